//! `Lgf`: a method, when it stops, and what it runs on.

use serde::{Deserialize, Serialize};

use super::{Session, Start};
use crate::engine::{Engine, EngineChoice, Samples};
use crate::error::{Error, Result};
use crate::method::{Method, Potential, Stopping, Truth};
use crate::objective::Objective;
use crate::observe::Observer;
use crate::report::Report;

/// The reasons why [`Lgf::minimize`] returns no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The run did not begin: the settings do not fit the objective, the engine cannot be started, or the
    /// first evaluation failed.
    #[error(transparent)]
    NotStarted(#[from] Error),
    /// The engine failed on the way (a lost device, say), and there was no other to go on with; what had been
    /// reached is in the report, and [`Start::after`] goes on from there.
    #[error("the run was cut short: {source}")]
    CutShort {
        /// The error that ended the run.
        source: Error,
        /// The best trusted iterate and the history.
        report: Box<Report>,
    },
    /// The run has ended before, and its report has been handed out.
    #[error("the run has ended and its report has been handed out")]
    Ended,
}

impl RunError {
    /// The report of a run that was cut short, whose stop reason tells of the fault: what a program does that
    /// takes what was reached.
    ///
    /// # Errors
    /// The fault of a run that has nothing to report.
    pub fn into_report(self) -> Result<Report> {
        match self {
            Self::CutShort { report, .. } => Ok(*report),
            Self::NotStarted(error) => Err(error),
            ended @ Self::Ended => Err(Error::internal(ended.to_string())),
        }
    }
}

/// Everything that a run is defined by, besides the objective, the engine and where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LgfConfig {
    /// The method that alternates true evaluations and a learned model.
    pub method: Method,
    /// When the run is to stop.
    pub stopping: Stopping,
}

/// Stands for an engine that is opened when the run begins: a hardware GPU where there is one, else the CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unopened;

/// Learned gradient flow: minimises an [`Objective`] with few true evaluations.
///
/// ```
/// use lgf::Lgf;
/// use lgf::problems::Rosenbrock;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let report = Lgf::potential().minimize(Rosenbrock { dimension: 2 }, &[-1.2, 1.0])?;
/// assert!(report.objective < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// Cost: one true evaluation per trusted step and landing; per fit, one pass over the history and O(K³) on
/// the host; per surrogate step, one pass over the basis and the lift's table, which are at most K·d numbers
/// each and may be the same. The run itself holds 16 bytes per unknown on the host, beside what the objective
/// and the engine hold. Precision: the iterate is f64 on the CPU engine, unless f32 is asked for, and f32 on
/// the GPU; every value that is reported comes from the objective, in f64. Source: Norman, Rowan, Maute &
/// Doostan, CMAME 460 (2026) 119099, with the landing check, the adaptive cadence and the potential added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lgf<E = Unopened, W = ()> {
    config: LgfConfig,
    engine: E,
    observer: W,
}

impl Lgf {
    /// A run by `method` (or a plain [`Flow`](crate::flow::Flow)), with the stopping rule
    /// [`Stopping::of`](Stopping::of) the method.
    ///
    /// # Errors
    /// [`Error::Settings`], naming the culprit.
    pub fn new(method: impl Into<Method>) -> Result<Self> {
        let method = method.into();
        method.validate()?;
        let config = LgfConfig { method, stopping: Stopping::of(&method) };
        Ok(Self { config, engine: Unopened, observer: () })
    }

    /// A learned potential for a smooth function, on whatever domain the objective has, with the settings of
    /// [`Potential::smooth`] for 100 000 unknowns. Structures have others: [`Potential::default`].
    pub fn potential() -> Self {
        let method = Method::Potential(Potential::smooth(100_000));
        Self { config: LgfConfig { method, stopping: Stopping::of(&method) }, engine: Unopened, observer: () }
    }

    /// A run by recorded settings.
    ///
    /// # Errors
    /// As for [`new`](Self::new) and [`stopping`](Self::stopping).
    pub fn from_config(config: LgfConfig) -> Result<Self> {
        Self::new(config.method)?.stopping(config.stopping)
    }
}

impl<E, W> Lgf<E, W> {
    /// The same run with another stopping rule.
    ///
    /// # Errors
    /// [`Error::Settings`] for a number outside its range: a budget of 0, say, or a tolerance that every step
    /// of the flow stays below.
    pub fn stopping(self, stopping: Stopping) -> Result<Self> {
        stopping.validate(&self.config.method)?;
        Ok(Self { config: LgfConfig { stopping, ..self.config }, ..self })
    }

    /// The same run on `engine`, which is given away or lent (`&mut`).
    #[must_use]
    pub fn on<F: Engine>(self, engine: F) -> Lgf<F, W> {
        Lgf { config: self.config, engine, observer: self.observer }
    }

    /// The same run watched by `observer`, which is given away or lent (`&mut`); a closure goes into
    /// [`observe::from_fn`](crate::observe::from_fn).
    #[must_use]
    pub fn observe<V: Observer>(self, observer: V) -> Lgf<E, V> {
        Lgf { config: self.config, engine: self.engine, observer }
    }

    /// The settings of the run.
    pub fn config(&self) -> &LgfConfig {
        &self.config
    }
}

#[cfg(feature = "argmin")]
impl<E> Lgf<E> {
    /// The run without its engine, and the engine.
    pub(crate) fn without_engine(self) -> (Lgf, E) {
        (Lgf { config: self.config, engine: Unopened, observer: () }, self.engine)
    }
}

impl<W: Observer> Lgf<Unopened, W> {
    /// Minimises `objective` from `start` on the engine that [`EngineChoice::Auto`] opens; see
    /// [`Lgf::on`](Lgf::on) for another.
    ///
    /// # Errors
    /// As for a run [on](Lgf::on) an engine.
    pub fn minimize<'s, O: Objective>(
        self,
        objective: O,
        start: impl Into<Start<'s>>,
    ) -> Result<Report, RunError> {
        self.on(EngineChoice::Auto.open()?).minimize(objective, start)
    }
}

impl<E: Engine, W: Observer> Lgf<E, W> {
    /// Minimises `objective` from `start`.
    ///
    /// The best trusted iterate comes back whatever happens after the first evaluation: a non-finite value, a
    /// failing objective and an interruption are [`StopReason`](crate::report::StopReason)s. Where a device
    /// is lost, the run goes on from the best iterate if the engine can [fall back](Engine::fall_back) on
    /// another device; else the fault is [`RunError::CutShort`], which carries the report. Where a device
    /// refuses the run before the first evaluation, because its memory is too small, say, the run begins on
    /// the other device.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn minimize<'s, O: Objective>(
        self,
        objective: O,
        start: impl Into<Start<'s>>,
    ) -> Result<Report, RunError> {
        let Self { config, mut engine, mut observer } = self;
        let (mut objective, start) = (objective, start.into());
        let mut run = |start: Start<'_>, engine: &mut E| {
            Lgf { config, engine, observer: &mut observer }.session(&mut objective, start)?.finish()
        };
        match run(start, &mut engine) {
            Err(RunError::CutShort { source, report }) if engine.fall_back(&source) => {
                log::warn!(
                    "{source}; going on from true evaluation {} on another engine",
                    report.best_evaluation
                );
                run(Start::after(&report), &mut engine)
            }
            Err(RunError::NotStarted(source)) if source.is_of_device() && engine.fall_back(&source) => {
                log::warn!("{source}; taking another engine");
                run(start, &mut engine)
            }
            outcome => outcome,
        }
    }

    /// A run that goes on piece by piece, whenever its [`Session`] is told to: for applications with an event
    /// loop of their own. The engine is started; nothing is evaluated yet.
    ///
    /// # Errors
    /// [`RunError::NotStarted`].
    pub fn session<'s, O: Objective>(
        self,
        objective: O,
        start: impl Into<Start<'s>>,
    ) -> Result<Session<O, E, W>, RunError> {
        let Self { config: LgfConfig { method, stopping }, engine, observer } = self;
        let start = start.into();
        let x = start.x(&objective.domain());
        let mut truth = Truth::new(&method, stopping, x, objective, engine, observer)?;
        if method.samples() == Samples::Pairs {
            start.for_each_pair(&mut |pair| truth.engine.put_pair(pair))?;
        }
        if let Some(report) = start.earlier {
            truth.go_on_from(report);
        }
        Ok(Session::new(method, truth))
    }
}
