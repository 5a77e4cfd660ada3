//! The paper's five problems: their settings, measures of success and pictures.

mod elastic_network;
mod heat_inverse;
mod nonlinear_heat;
mod scattering;
mod topology_reduced;

use clap::ValueEnum;

use crate::error::Result;
use crate::flow::Flow;
use crate::method::Adaptive;
use crate::objective::Objective;
use crate::surrogate::{Differences, Regression, Ridge, SurrogateConfig, Targets};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Problem {
    /// Two conductivities from a transient temperature field: 2 unknowns, gradient descent
    HeatInverse,
    /// A strongly nonlinear temperature field: 225 unknowns, Newton
    NonlinearHeat,
    /// A slowness field from scattered waves: 346 unknowns, ADAM
    Scattering,
    /// An elastic cube whose displacement is a neural network: 560 unknowns, ADAM
    ElasticNetwork,
    /// The half-MBB beam in a sigmoid parametrisation: 1200 unknowns, gradient descent, reduced space of rank
    /// 2
    TopologyReduced,
}

impl Problem {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HeatInverse => "heat-inverse",
            Self::NonlinearHeat => "nonlinear-heat",
            Self::Scattering => "scattering",
            Self::ElasticNetwork => "elastic-network",
            Self::TopologyReduced => "topology-reduced",
        }
    }

    pub(super) fn open(self, scale: Scale) -> Result<Box<dyn Case>> {
        Ok(match self {
            Self::HeatInverse => Box::new(heat_inverse::Heat::new(scale)?),
            Self::NonlinearHeat => Box::new(nonlinear_heat::Heat::new(scale)?),
            Self::Scattering => Box::new(scattering::Waves::new(scale)?),
            Self::ElasticNetwork => Box::new(elastic_network::Cube::new(scale)?),
            Self::TopologyReduced => Box::new(topology_reduced::Beam::new(scale)?),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scale {
    /// As in the paper: a second to ten minutes
    Full,
    /// The size of the reference data: seconds
    Small,
}

/// How a problem is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
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
    pub(super) fn adaptive_surrogate() -> SurrogateConfig {
        SurrogateConfig {
            regression: Regression::ridge(Ridge::Relative(1e-6)),
            ..SurrogateConfig::snapshots()
        }
    }

    /// Long windows and bold horizons: these objectives are smooth, and a rejected landing costs one
    /// evaluation.
    pub(super) fn adaptive() -> Adaptive {
        Adaptive { window: 20, warm_up: 8, max_horizon: 256, trust_radius: 10.0, ..Adaptive::default() }
    }

    /// Whether samples are taken after the step, as the authors' code does for differenced targets.
    pub(super) fn records_after_step(&self) -> bool {
        self.surrogate.targets != Targets::Tracked
    }
}

const CENTRAL: Targets = Targets::StrongForm { differences: Differences::Central };

/// The end of a run and the path to it.
pub(super) struct Solved<'a> {
    pub name: &'a str,
    pub x: &'a [f64],
    /// The values of some parameters at every trusted true evaluation, with the iteration.
    pub path: &'a [(usize, Vec<f64>)],
}

/// A file of the results.
pub(super) type File = (&'static str, Vec<u8>);

/// A problem of the paper with its settings, measures and pictures.
pub(super) trait Case {
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
fn relative_difference<'a>(
    a: impl IntoIterator<Item = &'a f64>,
    b: impl IntoIterator<Item = &'a f64>,
) -> f64 {
    let [difference, size] =
        a.into_iter().zip(b).fold([0.0; 2], |[d, s], (a, b)| [d + (a - b).powi(2), s + b * b]);
    (difference / size).sqrt()
}
