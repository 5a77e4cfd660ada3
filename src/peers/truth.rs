//! What every peer stands on: the objective, with its evaluations counted and reported.

use std::ops::ControlFlow;

use crate::domain::{Domain, Volume};
use crate::error::{Error, ObjectiveError, Result};
use crate::linalg::norm_inf;
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::report::HistoryEntry;

/// What a peer did.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The best iterate found, length d.
    pub x: Vec<f64>,
    /// The objective's value at x.
    pub objective: f64,
    /// Every true evaluation that returned a finite value and gradient, trial points included; not accepted
    /// are those at points that are not feasible.
    pub history: Vec<HistoryEntry>,
}

/// Why a peer stops early.
pub(super) enum Ended {
    /// The budget is spent, the observer has enough, or an evaluation has failed.
    Early,
    Fault(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

/// The objective, with its evaluations counted and reported.
pub(super) struct Truth<'a> {
    objective: &'a mut dyn Objective,
    observer: &'a mut dyn Observer,
    budget: usize,
    /// Evaluations, those that failed included.
    spent: usize,
    pub(super) course: Course,
}

impl<'a> Truth<'a> {
    pub(super) fn new(
        objective: &'a mut dyn Objective,
        observer: &'a mut dyn Observer,
        budget: usize,
    ) -> Self {
        let course = Course { x: Vec::new(), objective: f64::INFINITY, history: Vec::new() };
        Self { objective, observer, budget, spent: 0, course }
    }

    /// What a peer has reached when it ends.
    pub(super) fn end(
        mut self,
        minimize: impl FnOnce(&mut Self) -> std::result::Result<(), Ended>,
    ) -> Result<Course> {
        match minimize(&mut self) {
            Ok(()) | Err(Ended::Early) => Ok(self.course),
            Err(Ended::Fault(error)) => Err(error),
        }
    }

    /// f(x) and its gradient at a feasible point.
    pub(super) fn evaluate(&mut self, x: &[f64]) -> std::result::Result<(f64, Vec<f64>), Ended> {
        self.explore(x, true)
    }

    /// f(x) and its gradient. A point that is not feasible counts like any other, but is not accepted: it is
    /// no result, however low.
    pub(super) fn explore(
        &mut self,
        x: &[f64],
        feasible: bool,
    ) -> std::result::Result<(f64, Vec<f64>), Ended> {
        match self.call(x, feasible)? {
            Ok(found) => Ok(found),
            Err(error) => {
                log::warn!("true evaluation {} failed ({error}); the best iterate is returned", self.spent);
                Err(Ended::Early)
            }
        }
    }

    /// f(x) and its gradient at a trial point that can be taken back; none if it cannot be evaluated.
    pub(super) fn attempt(&mut self, x: &[f64]) -> std::result::Result<Option<(f64, Vec<f64>)>, Ended> {
        Ok(self
            .call(x, true)?
            .inspect_err(|error| log::info!("true evaluation {} is undone: {error}", self.spent))
            .ok())
    }

    /// One evaluation; the inner error is the objective's.
    fn call(
        &mut self,
        x: &[f64],
        feasible: bool,
    ) -> std::result::Result<std::result::Result<(f64, Vec<f64>), ObjectiveError>, Ended> {
        if self.spent == self.budget {
            return Err(Ended::Early);
        }
        self.spent += 1;
        let mut gradient = vec![0.0; x.len()];
        let value = match self.objective.evaluate(x, &mut gradient) {
            Ok(value) if value.is_finite() && gradient.iter().all(|g| g.is_finite()) => value,
            outcome => {
                let error = outcome
                    .err()
                    .unwrap_or_else(|| "it returned a value or gradient that is not finite".into());
                return if self.spent == 1 { Err(Error::Start(error).into()) } else { Ok(Err(error)) };
            }
        };
        let entry = HistoryEntry {
            evaluation: self.spent,
            iteration: self.spent - 1,
            objective: value,
            accepted: feasible,
        };
        self.course.history.push(entry);
        if feasible && value < self.course.objective {
            self.course.objective = value;
            self.course.x = x.to_vec();
        }
        match self.observer.event(Event::TrueStep { entry, x, change: 0.0 }) {
            ControlFlow::Continue(()) => Ok(Ok((value, gradient))),
            ControlFlow::Break(()) => Err(Ended::Early),
        }
    }
}

/// The volume constraint, for optimizers that cannot do without.
pub(super) fn required_volume(domain: &Domain) -> Result<&Volume> {
    domain.volume().ok_or_else(|| Error::domain("this optimizer", "a volume bound"))
}

/// How far the first step without bounds moves the unknown with the largest gradient: a fifth of max |x₀|,
/// the first trust radius of a learned potential, so that all begin alike; a fifth of 1 from x₀ = 0.
pub(super) fn first_length(start: &[f64]) -> f64 {
    let size = norm_inf(start);
    0.2 * if size > 0.0 { size } else { 1.0 }
}
