//! A run that goes on piece by piece.

use std::time::{Duration, Instant};

use super::RunError;
use crate::engine::Engine;
use crate::error::Result;
use crate::method::{Course, Ended, Method, Truth};
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::report::{Report, StopReason};

/// A run that goes on when it is told to, piece by piece, with the same results as
/// [`Lgf::minimize`](super::Lgf::minimize): for the frame loop of an application. Begun by
/// [`Lgf::session`](super::Lgf::session).
///
/// A piece is the evaluated start, a true step with its evaluation, or a surrogate phase with the evaluation
/// of its landing; all on the calling thread. Between two pieces the iterate on the engine is the trusted
/// one, everything can be read, and the session may be dropped.
///
/// ```
/// use std::time::Duration;
///
/// use lgf::Lgf;
/// use lgf::engine::CpuEngine;
/// use lgf::problems::Rosenbrock;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lgf = Lgf::potential().on(CpuEngine::new());
/// let mut session = lgf.session(Rosenbrock { dimension: 2 }, &[-1.2, 1.0])?;
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
    course: Course,
    truth: Truth<O, E, W>,
    ended: bool,
}

impl<O: Objective, E: Engine, W: Observer> std::fmt::Debug for Session<O, E, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("course", &self.course)
            .field("true_evaluations", &self.truth.evaluations())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<O: Objective, E: Engine, W: Observer> Session<O, E, W> {
    pub(super) fn new(method: Method, truth: Truth<O, E, W>) -> Self {
        Self { course: Course::Start(method), truth, ended: false }
    }

    /// The next piece; the report once the run has ended.
    ///
    /// # Errors
    /// As for [`Lgf::minimize`](super::Lgf::minimize), and [`RunError::Ended`] when the run has ended before.
    pub fn step(&mut self) -> Result<Option<Report>, RunError> {
        if self.ended {
            return Err(RunError::Ended);
        }
        let (stop, fault) = match self.course.advance(&mut self.truth) {
            Ok(()) => return Ok(None),
            Err(Ended::Stop(stop)) => (stop, None),
            Err(Ended::Fault(error)) => {
                (StopReason::EngineFailed { message: error.to_string() }, Some(error))
            }
        };
        self.ended = true;
        match fault {
            Some(error) if self.truth.is_empty() => Err(error.into()),
            fault => {
                let report = self.truth.report(stop);
                let _ = self.truth.observer.event(Event::Finished { report: &report });
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

    /// Runs all the remaining pieces.
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

    /// The trusted iterate, in f64 on the host; the start before the first piece. After an undone landing it
    /// is read from the engine first. On a GPU engine it is on the device as well:
    /// [`GpuEngine::design`](crate::engine::GpuEngine::design).
    ///
    /// # Errors
    /// Device errors.
    pub fn design(&mut self) -> Result<&[f64]> {
        self.truth.design()
    }

    /// The true value at the trusted iterate; ∞ before the first piece.
    pub fn value(&self) -> f64 {
        self.truth.trusted_value()
    }

    /// True evaluations so far, an earlier run's included.
    pub fn true_evaluations(&self) -> usize {
        self.truth.evaluations()
    }

    /// The objective of the session.
    pub fn objective(&self) -> &O {
        &self.truth.objective
    }

    /// The objective, to change it in the ways its [revision](Objective::revision) tells of: a penalty's
    /// continuation at the user's hand, say.
    pub fn objective_mut(&mut self) -> &mut O {
        &mut self.truth.objective
    }

    /// The engine of the session.
    pub fn engine(&self) -> &E {
        &self.truth.engine
    }

    /// The engine, to read from it or to flush it. The run goes wrong if its state is changed.
    pub fn engine_mut(&mut self) -> &mut E {
        &mut self.truth.engine
    }

    /// The observer of the session.
    pub fn observer_mut(&mut self) -> &mut W {
        &mut self.truth.observer
    }

    /// Hands back what the session was given.
    pub fn into_parts(self) -> (O, E, W) {
        (self.truth.objective, self.truth.engine, self.truth.observer)
    }
}
