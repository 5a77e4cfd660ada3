//! A run that goes on piece by piece.

use std::borrow::Cow;
use std::ops::DerefMut;
use std::time::{Duration, Instant};

use super::{Ended, Run, RunError};
use crate::domain::Domain;
use crate::engine::{Engine, Pair};
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::report::{Report, StopReason};

/// Where a run begins, and what is known there.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    start: &'a [f64],
    pub(super) pairs: &'a [Pair],
    pub(super) earlier: Option<&'a Report>,
}

impl<'a> Origin<'a> {
    /// At `start`, of which nothing is known.
    pub fn at(start: &'a [f64]) -> Self {
        Self { start, pairs: &[], earlier: None }
    }

    /// Where an earlier run has ended; see [`Lgf::resume`](super::Lgf::resume).
    pub fn after(report: &'a Report) -> Self {
        Self { start: &report.x, pairs: &[], earlier: Some(report) }
    }

    /// With `pairs` learned elsewhere, oldest first; see
    /// [`Lgf::minimize_knowing`](super::Lgf::minimize_knowing).
    pub fn knowing(self, pairs: &'a [Pair]) -> Self {
        Self { pairs, ..self }
    }

    /// The first iterate. An earlier run's may be beyond a bound by the rounding of its engine's number
    /// format.
    pub(super) fn x(&self, domain: &Domain) -> Cow<'a, [f64]> {
        match self.earlier {
            Some(_) => domain.clamped(self.start).into(),
            None => Cow::Borrowed(self.start),
        }
    }
}

/// A run that goes on when it is told to, piece by piece, with the same results as
/// [`Lgf::minimize`](super::Lgf::minimize): for the frame loop of an application. Begun by
/// [`Lgf::begin`](super::Lgf::begin).
///
/// A piece is the evaluated start, a true step with its evaluation, or a surrogate phase with the evaluation
/// of its landing; all on the calling thread. Between two pieces the iterate on the engine is the trusted
/// one, everything can be read, and the session may be dropped.
///
/// ```
/// use std::time::Duration;
///
/// use lgf::engine::CpuEngine;
/// use lgf::problems::Rosenbrock;
/// use lgf::schedule::Potential;
/// use lgf::{Lgf, LgfConfig, Origin};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lgf = Lgf::new(LgfConfig::potential(Potential::default()))?;
/// let (origin, objective) = (Origin::at(&[-1.2, 1.0]), Rosenbrock { dimension: 2 });
/// let mut session = lgf.begin(origin, objective, Box::new(CpuEngine::new()), ())?;
/// let report = loop {
///     // Whatever a frame leaves; here the application would draw `session.design()`.
///     if let Some(report) = session.step_for(Duration::from_millis(8))? {
///         break report;
///     }
/// };
/// println!("{} after {} true evaluations", report.objective, report.true_evaluations);
/// # assert!(report.objective < 1e-6, "{report:?}");
/// # Ok(())
/// # }
/// ```
pub struct Session<O, E, W> {
    run: Run<O, E, W>,
    ended: bool,
}

impl<O, E, W> std::fmt::Debug for Session<O, E, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("true_evaluations", &self.run.evaluations)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<O: Objective, E: DerefMut<Target: Engine>, W: Observer> Session<O, E, W> {
    pub(super) fn new(run: Run<O, E, W>) -> Self {
        Self { run, ended: false }
    }

    /// The next piece; the report once the run has ended.
    ///
    /// # Errors
    /// As for [`Lgf::minimize`](super::Lgf::minimize), and [`RunError::Ended`] when the run has ended before.
    pub fn step(&mut self) -> Result<Option<Report>, RunError> {
        if self.ended {
            return Err(RunError::Ended);
        }
        let run = &mut self.run;
        let (stop, fault) = match run.advance() {
            Ok(()) => return Ok(None),
            Err(Ended::Stop(stop)) => (stop, None),
            Err(Ended::Fault(error)) => {
                (StopReason::EngineFailed { message: error.to_string() }, Some(error))
            }
        };
        self.ended = true;
        match fault {
            Some(error) if run.history.is_empty() => Err(error.into()),
            fault => {
                let report = run.report(stop);
                let _ = run.observer.event(Event::Finished { report: &report });
                match fault {
                    Some(source) => Err(RunError::CutShort { source, report: Box::new(report) }),
                    None => Ok(Some(report)),
                }
            }
        }
    }

    /// As many whole pieces as fit into `time`, at least one; the report once the run has ended.
    ///
    /// Another piece is begun if, should it take as long as the one before, it would be done in time. An
    /// evaluation of the objective is never interrupted: a call may take longer than `time` by one piece.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn step_for(&mut self, time: Duration) -> Result<Option<Report>, RunError> {
        let began = Instant::now();
        loop {
            let before = began.elapsed();
            let report = self.step()?;
            let now = began.elapsed();
            if report.is_some() || now + (now - before) > time {
                return Ok(report);
            }
        }
    }

    /// All the rest.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn finish(mut self) -> Result<Report, RunError> {
        loop {
            if let Some(report) = self.step()? {
                return Ok(report);
            }
        }
    }

    /// The trusted iterate, in f64 on the host; the start before the first piece. On a GPU engine it is on
    /// the device as well: [`GpuEngine::design`](crate::engine::GpuEngine::design).
    pub fn design(&self) -> &[f64] {
        &self.run.trusted.x
    }

    /// The true value there; ∞ before the first piece.
    pub fn value(&self) -> f64 {
        self.run.trusted.value
    }

    /// True evaluations so far, an earlier run's included.
    pub fn true_evaluations(&self) -> usize {
        self.run.evaluations
    }

    /// The objective.
    pub fn objective(&self) -> &O {
        &self.run.objective
    }

    /// The objective, to change it in the ways its [revision](Objective::revision) tells of: a penalty's
    /// continuation at the user's hand, say.
    pub fn objective_mut(&mut self) -> &mut O {
        &mut self.run.objective
    }

    /// The engine.
    pub fn engine(&self) -> &E::Target {
        &self.run.engine
    }

    /// The engine, to read from it or to flush it. The run goes wrong if its state is changed.
    pub fn engine_mut(&mut self) -> &mut E::Target {
        &mut self.run.engine
    }

    /// The observer.
    pub fn observer_mut(&mut self) -> &mut W {
        &mut self.run.observer
    }

    /// Hands back what the session was given.
    pub fn into_parts(self) -> (O, E, W) {
        (self.run.objective, self.run.engine, self.run.observer)
    }
}
