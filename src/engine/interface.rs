//! The trait that all engines implement, and the plain data of its calls.

use crate::domain::{BoundsRef, Domain};
use crate::error::{Error, Result};
use crate::flow::Flow;
pub(crate) use crate::record::{EngineInfo, EngineKind, Fit, NumberFormat, PhaseEnd, Traffic};
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::potential::{Polynomial, PotentialConfig};
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{Integrator, RegressionProblem, SurrogateConfig};

/// The settings that an engine gets at the start of a run.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The base flow of the run.
    pub flow: Flow,
    /// The feasible set of x.
    pub domain: &'a Domain,
    /// The first iterate, length d.
    pub start: &'a [f64],
    /// How many samples the history holds; 0 for a run without surrogate.
    pub capacity: usize,
    /// What a sample consists of.
    pub samples: Samples,
    /// How many directions a fit will keep at most, where that is fewer than the history can have and known
    /// beforehand. A GPU has memory for as many; a fit that keeps more takes it then.
    pub directions: Option<usize>,
}

/// The number format of the basis: of the r directions of size d that every fit makes, which every surrogate
/// step reads and a reduced phase lifts by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableFormat {
    /// The format of the state: f32 on a GPU, f64 or f32 on the CPU.
    #[default]
    State,
    /// IEEE half precision, times 4096: half the bytes of f32. Entries are rounded by up to 1 in 2048, to
    /// nearest, so that a predicted gradient or a lifted displacement is off by some 2·10⁻⁴ of its length,
    /// with no preferred direction; what is projected on the basis, a sum over d, is off by √d times less.
    /// The samples' mean, the history and the targets stay as they are: the history's own rows are what the
    /// snapshot lift reads, and what inner products are made from.
    F16,
}

impl TableFormat {
    /// The bytes of an entry, where a number of the state has `word` bytes.
    pub(crate) fn bytes(self, word: u64) -> u64 {
        match self {
            Self::State => word,
            Self::F16 => 2,
        }
    }

    /// An engine's precision, with that of its tables.
    pub(crate) fn describe(self, precision: &str) -> String {
        match self {
            Self::State => precision.into(),
            Self::F16 => format!("{precision}; basis f16"),
        }
    }
}

/// The numbers per unknown that an engine keeps resident for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resident {
    /// x, g, the flow's own and the trusted copies of these; what the [domain](DomainRows) says of every
    /// unknown; OC's growth; with pairs the projected step, the model's gradient and a row of zeros; the
    /// samples' mean.
    pub vectors: usize,
    /// Rows of the history, and of its transformed targets (OC).
    pub history: usize,
    /// Rows of the basis.
    pub basis: usize,
}

/// The numbers per unknown of the domain that a GPU keeps resident for a run: rows of one table, in this
/// order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DomainRows {
    /// The weights of the volume.
    pub weights: bool,
    /// The lower bounds and the upper bounds, where every unknown has its own.
    pub bounds: bool,
    /// The largest change of each unknown in one step of OC, where every unknown has its own bounds.
    pub moves: bool,
}

impl DomainRows {
    /// The number of rows.
    pub(crate) fn count(self) -> usize {
        usize::from(self.weights) + 2 * usize::from(self.bounds) + usize::from(self.moves)
    }

    /// The row of the lower bounds, if there are any.
    pub(crate) fn bounds_row(self) -> Option<usize> {
        self.bounds.then_some(usize::from(self.weights))
    }
}

impl Setup<'_> {
    /// The rows of the domain that a GPU keeps; see [`DomainRows`].
    pub(crate) fn domain_rows(&self) -> DomainRows {
        let is_oc = matches!(self.flow, Flow::OptimalityCriteria(_));
        let keeps_to_it = is_oc || matches!(self.flow, Flow::ProjectedGradient(_));
        let bounds = keeps_to_it && matches!(self.domain.bounds(), BoundsRef::PerUnknown { .. });
        let weights = keeps_to_it && self.domain.volume().is_some();
        DomainRows { weights, bounds, moves: bounds && is_oc }
    }

    /// Counts what a run keeps in memory; see [`Resident`].
    pub(crate) fn resident(&self) -> Resident {
        let is_oc = matches!(self.flow, Flow::OptimalityCriteria(_));
        let (k, pairs) = (self.capacity, self.samples == Samples::Pairs);
        let own = 2 * (2 + self.flow.auxiliary_vectors())
            + self.domain_rows().count()
            + usize::from(is_oc)
            + 3 * usize::from(pairs);
        let vectors = own + usize::from(k > 0);
        let (history, most) = match self.samples {
            Samples::Pairs => (2 * k, 2 * k),
            Samples::Points => ((2 + usize::from(is_oc)) * k, k),
        };
        Resident { vectors, history, basis: self.directions.map_or(most, |directions| directions.min(most)) }
    }
}

/// What the samples of a history consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Samples {
    /// Points (x, g), for a learned field.
    Points,
    /// Pairs (x − x_trusted, g − g_trusted), for a learned potential.
    Pairs,
}

/// A pair of displacement and change of the gradient, from which curvature is learned.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pair {
    /// The displacement s = x − x_trusted, length d.
    pub displacement: Vec<f64>,
    /// The change of the gradient, y = g − g_trusted, length d.
    pub change: Vec<f64>,
    /// What else is known about the pair.
    pub note: PairNote,
}

impl Pair {
    /// The same pair of an objective that is `factor` times as large.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        self.change.iter_mut().for_each(|change| *change *= factor);
        self.note.remainder *= factor;
        self
    }

    pub(crate) fn check(&self, dimension: usize) -> Result<()> {
        for (name, vector) in
            [("the displacement of a pair", &self.displacement), ("the change of a pair", &self.change)]
        {
            if vector.len() != dimension {
                return Err(Error::length(name, vector.len(), dimension));
            }
        }
        Ok(())
    }
}

/// The limits of the minimisation of a learned potential.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrustLimits {
    /// The largest number of projected steps.
    pub steps: usize,
    /// The trust radius: the largest change of any unknown from the trusted iterate.
    pub radius: f64,
}

/// The limits of a surrogate phase, and how it is integrated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseLimits {
    /// The largest number of steps.
    pub steps: usize,
    /// The phase stops once x is further from the samples' mean than this many times the furthest sample (∞:
    /// never).
    pub radius: f64,
    /// How the learned flow is integrated.
    pub integrator: Integrator,
}

/// The outcome of the steps since the last read.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Landing {
    /// The number of surrogate steps taken.
    pub steps: usize,
    /// Why the surrogate phase ended ([`PhaseEnd::Horizon`] if there was none).
    pub end: PhaseEnd,
    /// Σ g·Δx over all steps, true and surrogate, with the gradient each step was driven by: the predicted
    /// change of the objective.
    pub predicted_change: f64,
    /// The relative residual ‖Θ Ξ − Y‖ / ‖Y‖ of the latest fit, in the space of the targets.
    pub fit_residual: Option<f64>,
    /// The largest change max |x − x_trusted|; entries that are not numbers are left out.
    pub change: f64,
    /// Whether every entry of x is finite.
    pub is_finite: bool,
}

/// The summary of a gradient of length d.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct GradientSummary {
    /// The largest entry max |gᵢ|; entries that are not numbers are left out.
    pub largest: f64,
    /// Whether every entry is finite.
    pub is_finite: bool,
}

/// The comparison of two displacements a (learned) and b (true) from the trusted iterate: the sums that their
/// angle and sizes follow from.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StepComparison {
    /// The inner product a·b.
    pub product: f64,
    /// The squared norms a·a and b·b.
    pub squares: [f64; 2],
    /// The largest entries max |aᵢ| and max |bᵢ|.
    pub largest: [f64; 2],
    /// Whether every entry of a is finite.
    pub is_finite: bool,
}

impl StepComparison {
    /// The comparison with a step that could not be taken.
    pub(crate) const INCOMPARABLE: Self =
        Self { product: f64::NAN, squares: [f64::NAN; 2], largest: [f64::NAN; 2], is_finite: false };
}

impl Fit {
    pub(crate) fn of_potential(learned: &Polynomial) -> Self {
        let rank = learned.curvatures.len();
        let features = rank + learned.higher.as_ref().map_or(0, |h| h.points.len() * (rank + 1));
        Self { samples: learned.pairs, rank, energy: 1.0, features, ridge: 0.0 }
    }
}

mod sealed {
    /// Keeps [`Engine`](super::Engine) sealed, so that another method is no breaking change.
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// An engine: resident data and the operations on it. Same input, same engine, same adapter: bit-identical
/// results.
///
/// The *state* is x, the gradient the next step is driven by, and the flow's auxiliary vectors. Two copies of
/// it are kept beside: the *trusted* state, which [`restore`](Self::restore) goes back to, and the *best*
/// iterate, which is in the host's memory on every engine, so that no lost device can take it.
///
/// The trait is sealed: the engines are [`CpuEngine`](super::CpuEngine) in two precisions,
/// [`GpuEngine`](super::GpuEngine) and [`Opened`](super::Opened), and `&mut E` and `Box<E>` of any. A history
/// is made of points or of pairs, as [`Setup::samples`] says; what belongs to the other kind is refused.
pub trait Engine: Send + Sealed {
    /// A description of the engine.
    fn info(&self) -> EngineInfo;

    /// Allocates for a run and puts x at its start, which is the trusted iterate. An engine may be started
    /// again.
    ///
    /// # Errors
    /// Memory or device errors.
    fn start(&mut self, setup: Setup<'_>) -> Result<()>;

    /// Makes `gradient` (or the Newton direction) the one the next [`step`](Self::step) uses, and sums it up.
    ///
    /// # Errors
    /// [`SettingsError::Length`](crate::error::SettingsError::Length) and device errors.
    fn set_gradient(&mut self, gradient: &[f64]) -> Result<GradientSummary>;

    /// Records the state's (x, gradient) as the newest sample, if the history has room for any. A fit may
    /// predict from the history's own rows: once one of them is overwritten, [`integrate`](Self::integrate)
    /// needs a new fit.
    ///
    /// # Errors
    /// Device errors.
    fn record(&mut self) -> Result<()>;

    /// Takes one step of the base flow with the state's gradient.
    ///
    /// # Errors
    /// Device errors.
    fn step(&mut self) -> Result<()>;

    /// Judges `candidates`, which differ in order, rank and ridge only, by predicting the newest `folds`
    /// samples from the older ones: one batch of regressions (on a GPU, two read-backs).
    ///
    /// # Errors
    /// As for [`fit`](Self::fit).
    fn select(&mut self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection>;

    /// Fits the surrogate to the recorded samples.
    ///
    /// # Errors
    /// Device errors, and [`SettingsError`](crate::error::SettingsError) when there would be too many
    /// features.
    fn fit(&mut self, config: &SurrogateConfig) -> Result<Fit>;

    /// Takes steps of the base flow with the gradient predicted by the latest fit. The state's gradient is
    /// undefined afterwards, until it is set again.
    ///
    /// # Errors
    /// Device errors.
    fn integrate(&mut self, limits: PhaseLimits) -> Result<()>;

    /// Records the state's (x, gradient) less the trusted state's as the newest pair of a history of pairs.
    /// `change` is f(x) − f(x_trusted), and `is_kept` whether x is to be trusted.
    ///
    /// # Errors
    /// Device errors.
    fn record_pair(&mut self, change: f64, is_kept: bool) -> Result<()>;

    /// Adds a pair that was learned elsewhere to a history of pairs as the newest one.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for vectors that do not fit, and device errors.
    fn put_pair(&mut self, pair: &Pair) -> Result<()>;

    /// Reads a history of pairs, oldest first, in the unit of [`Report::gradient_unit`].
    ///
    /// [`Report::gradient_unit`]: crate::report::Report::gradient_unit
    ///
    /// # Errors
    /// Device errors.
    fn pairs(&mut self) -> Result<Vec<Pair>>;

    /// Fits a potential to the recorded pairs about the trusted iterate. As long as no pair shows any
    /// curvature the potential is ½ `flat` |s|² everywhere; later `config` says how it is fitted.
    ///
    /// # Errors
    /// Device errors.
    fn fit_potential(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit>;

    /// Moves x from the trusted iterate to an approximate minimiser of the latest
    /// [`fit_potential`](Self::fit_potential) on the domain and the trust region: projected gradient steps of
    /// Barzilai–Borwein length, each cut back to the minimiser along it.
    ///
    /// # Errors
    /// Device errors.
    fn minimize(&mut self, limits: TrustLimits) -> Result<()>;

    /// Waits for all recorded work, copies the iterate to `x` and returns the outcome since the last read.
    ///
    /// # Errors
    /// [`SettingsError::Length`](crate::error::SettingsError::Length) and device errors.
    fn read(&mut self, x: &mut [f64]) -> Result<Landing>;

    /// Compares the displacement of `learned` from the trusted iterate with that of the iterate read last.
    ///
    /// # Errors
    /// [`SettingsError::Length`](crate::error::SettingsError::Length).
    fn compare(&mut self, learned: &[f64]) -> Result<StepComparison>;

    /// Remembers the state, which has been [read](Self::read) and whose gradient has been
    /// [set](Self::set_gradient), as the trusted one; as the best one too if it `is_best`.
    ///
    /// # Errors
    /// Device errors.
    fn trust(&mut self, is_best: bool) -> Result<()>;

    /// Goes back to the trusted state, bit by bit. The outcome of a phase since then must be
    /// [`read`](Self::read) before.
    ///
    /// # Errors
    /// Device errors.
    fn restore(&mut self) -> Result<()>;

    /// Copies the best iterate and its gradient, as the engine keeps them. Needs no device.
    ///
    /// # Errors
    /// An error where nothing has been trusted as best.
    fn best(&mut self, x: &mut [f64], gradient: &mut [f64]) -> Result<()>;

    /// Solves a batch of regressions, one problem per column of each item's targets, all at once on a GPU.
    /// Needs no run and disturbs none.
    ///
    /// # Errors
    /// Device errors, and [`EngineError::Factorization`](crate::error::EngineError::Factorization) for
    /// non-finite input.
    fn regress(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>>;

    /// Drops the recorded samples.
    fn forget(&mut self);

    /// The number of samples in the history.
    fn samples(&self) -> usize;

    /// The traffic between host and device since the start.
    fn traffic(&self) -> Traffic;

    /// Takes another device for the runs to come, because of `fault`; returns whether there is one. The run
    /// on the old device is lost but for its best iterate, which must be asked for before.
    fn fall_back(&mut self, fault: &Error) -> bool {
        let _ = fault;
        false
    }
}
