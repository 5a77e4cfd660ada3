//! Watching a run, and stopping it.

use std::ops::ControlFlow;

use crate::engine::{EngineInfo, Fit};
use crate::report::{HistoryEntry, PhaseEntry, Report};

/// What has just happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins.
    Started {
        /// The engine it runs on.
        engine: &'a EngineInfo,
        /// The number of unknowns.
        dimension: usize,
        /// The budget of true evaluations.
        max_evaluations: usize,
    },
    /// A true evaluation at a step of the base flow.
    TrueStep {
        /// Value and counters.
        entry: HistoryEntry,
        /// The iterate.
        x: &'a [f64],
        /// max|Δx| of the step that led here (0 at the start).
        change: f64,
    },
    /// A surrogate was fitted.
    Fitted {
        /// What came out.
        fit: Fit,
    },
    /// A surrogate phase has ended and, unless it was not finite, its landing was evaluated.
    Landed {
        /// The phase.
        phase: PhaseEntry,
        /// The landing's true evaluation, if there was one.
        entry: Option<HistoryEntry>,
        /// The landing.
        x: &'a [f64],
    },
    /// The learned step was compared with the true one, under
    /// [`Schedule::Cosine`](crate::schedule::Schedule::Cosine).
    Compared {
        /// The true evaluation it was compared at, counted from 1.
        evaluation: usize,
        /// The cosine of the angle between the two steps; not finite where one of them is zero or not finite.
        cosine: f64,
        /// γ from here on.
        reach: f64,
        /// Whether the model and its history were dropped.
        dropped: bool,
    },
    /// The objective is a new [revision](crate::objective::Objective::revision): what was learned is dropped,
    /// and the best value is the new one's. Comes before the event of the evaluation that showed it.
    Changed {
        /// The first trusted evaluation of the new revision, counted from 1.
        evaluation: usize,
    },
    /// The run has ended.
    Finished {
        /// Its result.
        report: &'a Report,
    },
}

/// Receives every [`Event`]; `Break` ends the run after the current evaluation, with its results.
pub trait Observer {
    /// Called after each event.
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()>;
}

/// Watches nothing.
impl Observer for () {
    fn event(&mut self, _: Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(Event<'_>) -> ControlFlow<()>> Observer for F {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        self(event)
    }
}
