//! The command `lgf benchmark functions`: smooth functions without bounds and on a box, by learned flows and
//! by published optimizers.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;

use super::contest::{Common, Contest, Entry, Gap, Measure, by_lgf, by_peer};
use crate::cli::ending::Ending;
use crate::domain::Domain;
use crate::engine::CpuEngine;
use crate::error::{Error, ObjectiveError, Result};
use crate::flow::{Adam, Flow, GradientDescent, ProjectedGradient};
use crate::method::{Field, Method as LgfMethod, Potential, Stopping};
use crate::objective::Objective;
use crate::peers::Peer;
use crate::problems::{Boxed, HeatInverse, LogisticRegression, Quadratic, Rosenbrock, Rotated, Scattering};
use crate::report::HistoryEntry;
use crate::run::{LgfConfig, Start};
use crate::surrogate::SurrogateConfig;

/// The gaps: shares of f(x₀) − f* that are left.
const MEASURE: Measure = Measure {
    gaps: [
        Gap { size: 1e-2, title: "to 1e-2", column: "to_1e-2", panel: "with 1e-2 of the way left" },
        Gap { size: 1e-4, title: "to 1e-4", column: "to_1e-4", panel: "with 1e-4 of the way left" },
        Gap { size: 1e-6, title: "to 1e-6", column: "to_1e-6", panel: "with 1e-6 of the way left" },
    ],
    target: |first, least, share| least + share * (first - least),
    // The gap is 0 where the start is the minimum.
    gap: |first, least, value| if first > least { (value - least) / (first - least) } else { 0.0 },
    title: "share left",
    shown_value: |value| format!("{value:.6e}"),
    shown_gap: |share| format!("{share:.1e}"),
};

/// Every method goes on until a step changes no unknown by more than this: the benchmark compares how fast
/// values fall, not the stopping rules.
const TOLERANCE: f64 = 1e-10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Gradient descent at a fixed rate, on a box projected
    Gd,
    /// ADAM without a learned model
    Adam,
    /// ADAM with the learned field, adaptive cadence
    LgfAdam,
    /// L-BFGS with a memory of 10 pairs
    #[value(name = "l-bfgs")]
    Lbfgs,
    /// Gradient descent with periodic Anderson mixing
    Anderson,
    /// Spectral projected gradient, with a non-monotone line search
    Spg,
    /// Projected quasi-Newton, its model minimised by projected steps
    Pqn,
    /// A learned potential, minimised in a trust region
    Lgf,
    /// The same, of order 3
    #[value(name = "lgf-3")]
    Lgf3,
    /// The same, of order 4
    #[value(name = "lgf-4")]
    Lgf4,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Gd => "gd",
            Self::Adam => "adam",
            Self::LgfAdam => "lgf-adam",
            Self::Lbfgs => Peer::Lbfgs.name(),
            Self::Anderson => Peer::AndersonDescent.name(),
            Self::Spg => Peer::Spg.name(),
            Self::Pqn => Peer::Pqn.name(),
            Self::Lgf => "lgf",
            Self::Lgf3 => "lgf-3",
            Self::Lgf4 => "lgf-4",
        }
    }

    /// Whether the method can handle a domain with bounds, or one without.
    fn applies(self, bounded: bool) -> bool {
        match self {
            Self::Gd | Self::Lgf | Self::Lgf3 | Self::Lgf4 => true,
            Self::Adam | Self::LgfAdam | Self::Lbfgs | Self::Anderson => !bounded,
            Self::Spg | Self::Pqn => bounded,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// A quadratic of 100 unknowns, curvatures from 1 to 100, turned against the axes
    #[value(name = "quadratic-1e2")]
    Quadratic2,
    /// The same, curvatures from 1 to 10000
    #[value(name = "quadratic-1e4")]
    Quadratic4,
    /// Rosenbrock's chain of 20 unknowns
    Rosenbrock,
    /// Logistic regression: 400 samples of 50 features, ridge 1e-3
    Logistic,
    /// Two conductivities from a transient temperature field
    HeatInverse,
    /// The slowness of 346 triangles from scattered waves
    Scattering,
    /// A quadratic of 100 unknowns, curvatures from 1 to 1000, its minimiser partly outside the box
    QuadraticBox,
    /// Rosenbrock's chain of 20 unknowns, none above 0.8
    RosenbrockBox,
}

/// A case with its objective, ready to run.
struct Opened {
    objective: Box<dyn Objective>,
    start: Vec<f64>,
    /// The least value of the objective, where that is known.
    minimum: Option<f64>,
    /// The rate of gradient descent on this case.
    descent: f64,
}

/// ADAM's rate, about how far an unknown goes in a step: of 0.01, 0.02, 0.05, 0.1, 0.2 and 0.5 none is best
/// everywhere; below 0.1 most cases take longer, above it the learned flow mostly does.
const ADAM: f64 = 0.1;
/// Rates of gradient descent where the largest curvature is no closed form: its inverse, to two digits, at
/// Rosenbrock's start (−1.2, 1, …), where it is 2591, at the heat problem's start (0.76), and at the truth of
/// the scattering problem (2.88; 1.90 at the start), by power iteration on differences of gradients.
const ROSENBROCK: f64 = 3.8e-4;
const HEAT: f64 = 1.3;
const SCATTERING: f64 = 0.34;

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Quadratic2 => "quadratic-1e2",
            Self::Quadratic4 => "quadratic-1e4",
            Self::Rosenbrock => "rosenbrock",
            Self::Logistic => "logistic",
            Self::HeatInverse => "heat-inverse",
            Self::Scattering => "scattering",
            Self::QuadraticBox => "quadratic-box",
            Self::RosenbrockBox => "rosenbrock-box",
        }
    }

    fn open(self) -> Result<Opened> {
        let quadratic = |condition: f64| Opened {
            objective: Box::new(Rotated::new(Quadratic::geometric(100, condition))),
            start: vec![0.0; 100],
            minimum: Some(0.0),
            descent: 1.0 / condition,
        };
        Ok(match self {
            Self::Quadratic2 => quadratic(1e2),
            Self::Quadratic4 => quadratic(1e4),
            Self::Rosenbrock => Opened {
                objective: Box::new(Rosenbrock { dimension: 20 }),
                start: [-1.2, 1.0].repeat(10),
                minimum: Some(0.0),
                descent: ROSENBROCK,
            },
            Self::Logistic => {
                let problem = LogisticRegression::synthetic(400, 50, 1e-3)?;
                let descent = 1.0 / problem.largest_curvature()?;
                Opened { objective: Box::new(problem), start: vec![0.0; 50], minimum: None, descent }
            }
            Self::HeatInverse => Opened {
                objective: Box::new(Misfit(HeatInverse::new()?)),
                start: HeatInverse::START.to_vec(),
                minimum: Some(0.0),
                descent: HEAT,
            },
            // The truth is in this space, by m = |a| + 0.01.
            Self::Scattering => Opened {
                objective: Box::new(Scattering::new()?),
                start: vec![1.0; 346],
                minimum: Some(0.0),
                descent: SCATTERING,
            },
            Self::QuadraticBox => {
                let minimizer: Vec<f64> =
                    (0..100).map(|i| 0.5 + 0.9 * (1.7 * f64::from(i) + 0.3).sin()).collect();
                let inner = Quadratic { minimizer, ..Quadratic::geometric(100, 1e3) };
                let objective = Boxed { inner, lower: 0.0, upper: 1.0 };
                // The function is separable.
                let terms = objective
                    .inner
                    .spectrum
                    .iter()
                    .zip(&objective.inner.minimizer)
                    .map(|(l, a)| 0.5 * l * (a.clamp(0.0, 1.0) - a).powi(2));
                Opened {
                    minimum: Some(terms.sum()),
                    objective: Box::new(objective),
                    start: vec![0.5; 100],
                    descent: 1e-3,
                }
            }
            Self::RosenbrockBox => Opened {
                objective: Box::new(Boxed { inner: Rosenbrock { dimension: 20 }, lower: -1.5, upper: 0.8 }),
                start: vec![-0.5; 20],
                minimum: None,
                descent: ROSENBROCK,
            },
        })
    }
}

/// The misfit itself: the paper's problem is its logarithm, which has no least value to compare with.
struct Misfit(HeatInverse);

impl Objective for Misfit {
    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> std::result::Result<f64, ObjectiveError> {
        let misfit = self.0.evaluate(x, gradient)?.exp();
        gradient.iter_mut().for_each(|g| *g *= misfit);
        Ok(misfit)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Functions, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Case::value_variants().to_vec())]
    cases: Vec<Case>,
    /// Which optimizers, separated by commas; one that does not go with a case's domain is left out there
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Method::value_variants().to_vec())]
    methods: Vec<Method>,
    /// True evaluations of every run, trial points included, at least 1
    #[arg(long, default_value_t = 300)]
    budget: usize,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    args.common.check(args.budget)?;
    let mut entries = Vec::new();
    let mut methods = Vec::new();
    for case in &args.cases {
        let Opened { objective, minimum, .. } = case.open()?;
        let bounded = objective.domain() != Domain::Unbounded;
        let tried: Vec<Method> =
            args.methods.iter().copied().filter(|method| method.applies(bounded)).collect();
        let group = if bounded { ", on a box" } else { ", no bounds" };
        entries.push(Entry {
            name: case.name().into(),
            group,
            minimum,
            methods: tried.iter().map(|method| method.name()).collect(),
        });
        methods.push(tried);
    }
    if methods.iter().all(Vec::is_empty) {
        return Err(Error::exclusive(
            "the methods",
            "the cases",
            "none of the methods goes with any of the cases: some need bounds, some know none",
        ));
    }
    let contest = Contest {
        common: &args.common,
        entries,
        suffix: args.budget.to_string(),
        preface: preface(args.budget),
        measure: MEASURE,
    };
    contest
        .hold(|case, method, interrupted| solve(args.cases[case], methods[case][method], args, interrupted))
}

/// Runs one method on one case; none if it was interrupted.
fn solve(
    case: Case,
    method: Method,
    args: &Args,
    interrupted: &Arc<AtomicBool>,
) -> Result<Option<Vec<HistoryEntry>>> {
    let Opened { mut objective, start, descent, .. } = case.open()?;
    let mut progress = args.common.progress(&format!("{} {}", case.name(), method.name()), interrupted);
    let bounded = objective.domain() != Domain::Unbounded;
    // Curvatures that differ by orders of magnitude need more projected steps than filtered designs do.
    let potential = |order| LgfMethod::from(Potential { steps: 100, order, ..Potential::default() });
    let mut by_peer = |peer| {
        Ok(by_peer(peer, &mut *objective, &start, args.budget, TOLERANCE, &mut progress)?
            .map(|course| course.history))
    };
    let method = match method {
        Method::Gd if bounded => Flow::ProjectedGradient(ProjectedGradient { rate: descent }).into(),
        Method::Gd => Flow::GradientDescent(GradientDescent { rate: descent }).into(),
        Method::Adam => Flow::Adam(Adam::new(ADAM)).into(),
        Method::LgfAdam => Field::adaptive(Flow::Adam(Adam::new(ADAM)), SurrogateConfig::snapshots()).into(),
        Method::Lgf => potential(2),
        Method::Lgf3 => potential(3),
        Method::Lgf4 => potential(4),
        Method::Lbfgs => return by_peer(Peer::Lbfgs),
        Method::Anderson => return by_peer(Peer::AndersonDescent),
        Method::Spg => return by_peer(Peer::Spg),
        Method::Pqn => return by_peer(Peer::Pqn),
    };
    let stopping = Stopping { max_evaluations: args.budget, tolerance: TOLERANCE, ..Stopping::default() };
    let report = by_lgf(
        LgfConfig { method, stopping },
        &mut *objective,
        Start::at(&start),
        &mut CpuEngine::new(),
        &mut progress,
    )?;
    Ok(report.map(|report| report.history))
}

fn preface(budget: usize) -> String {
    let mut text = String::new();
    let out = &mut text;
    line!(
        out,
        "Smooth functions without bounds and (-box) on a box, {budget} true evaluations each, trial points \
         included, CPU engine;"
    );
    line!(
        out,
        "true evaluations to f - f* of at most 1e-2, 1e-4 and 1e-6 of f(x0) - f*: f* is the known minimum \
         (the quadratics, Rosenbrock's chain,"
    );
    line!(
        out,
        "and the misfits of the inverse problems, 0) or the best value that any of these methods found \
         (logistic, rosenbrock-box). Rates are"
    );
    line!(
        out,
        "fixed: gd's is 1/L with the largest curvature L (Rosenbrock's and the heat problem's at the start, \
         the scattering problem's at the"
    );
    line!(out, "minimum), ADAM's {ADAM}.");
    text
}
