//! What is known of each problem: its settings, measures of success and pictures.

use crate::error::Result;
use crate::flow::Flow;
use crate::method::Adaptive;
use crate::objective::Objective;
use crate::surrogate::{Differences, Regression, Ridge, SurrogateConfig, Targets};

/// How a problem is run.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Settings {
    pub flow: Flow,
    /// The paper's surrogate, with the ridge kept where there are more features than rows.
    pub surrogate: SurrogateConfig,
    /// Whether the paper's own regression differs: its ridge and refit.
    pub paper_regression: Regression,
    /// K, the true iterations of a cycle; `interval` is M, the iterations of a cycle in all.
    pub history: usize,
    pub interval: usize,
    /// The number of iterations of the plain flow.
    pub iterations: usize,
    /// The value at which a run counts as done, if the paper has one.
    pub done: Option<f64>,
}

impl Settings {
    /// The surrogate of the adaptive cadence: order 1 in the whole centred history, snapshot lift, a ridge
    /// that trusts exact gradients.
    pub(in crate::cli) fn adaptive_surrogate() -> SurrogateConfig {
        SurrogateConfig {
            regression: Regression::ridge(Ridge::Relative(1e-6)),
            ..SurrogateConfig::snapshots()
        }
    }

    /// Long windows and bold horizons: these objectives are smooth, and a rejected landing costs one
    /// evaluation.
    pub(in crate::cli) fn adaptive() -> Adaptive {
        Adaptive { window: 20, warm_up: 8, max_horizon: 256, trust_radius: 10.0, ..Adaptive::default() }
    }

    /// Whether samples are taken after the step, as the authors' code does for differenced targets.
    pub(in crate::cli) fn records_after_step(&self) -> bool {
        self.surrogate.targets != Targets::Tracked
    }
}

pub(super) const CENTRAL: Targets = Targets::StrongForm { differences: Differences::Central };

/// The end of a run and the path to it.
pub(in crate::cli) struct Solved<'a> {
    pub name: &'a str,
    pub x: &'a [f64],
    /// The values of some parameters at every trusted true evaluation, with the iteration.
    pub path: &'a [(usize, Vec<f64>)],
}

/// A file of the results.
pub(in crate::cli) type File = (&'static str, Vec<u8>);

/// A problem of the paper with its settings, measures and pictures.
pub(in crate::cli) trait Case {
    /// A description of the problem, with its size.
    fn title(&self) -> String;
    fn settings(&self) -> Settings;
    fn start(&self) -> Vec<f64>;
    fn objective(&mut self) -> &mut dyn Objective;
    /// The objective's name on tables and axes.
    fn value_name(&self) -> &'static str;
    /// The problem's own measures of success at `x`; `plain` is where the plain flow ended.
    fn measures(&mut self, x: &[f64], plain: &[f64]) -> Result<Vec<(&'static str, f64)>>;
    fn pictures(&mut self, runs: &[Solved<'_>]) -> Result<Vec<File>>;
}

/// The relative difference ‖a − b‖/‖b‖ in the Euclidean norm.
pub(super) fn relative_difference<'a>(
    a: impl IntoIterator<Item = &'a f64>,
    b: impl IntoIterator<Item = &'a f64>,
) -> f64 {
    let [difference, size] =
        a.into_iter().zip(b).fold([0.0; 2], |[d, s], (a, b)| [d + (a - b).powi(2), s + b * b]);
    (difference / size).sqrt()
}
