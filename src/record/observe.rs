//! Events of a run, and observers that watch and stop it.

use std::ops::ControlFlow;

use super::{EngineInfo, Fit, HistoryEntry, PhaseEntry, Report};

/// An event of a run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins on an engine.
    Started {
        /// The engine it runs on.
        engine: &'a EngineInfo,
        /// The number of unknowns.
        dimension: usize,
        /// The budget of true evaluations.
        max_evaluations: usize,
    },
    /// A run of several begins: on another grid, or with another penalty or projection. Its own events
    /// follow.
    Stage {
        /// The grid, and the projection if there is any: `75x25`, `75x25 beta 2`.
        name: &'a str,
    },
    /// A true evaluation at a step of the base flow.
    TrueStep {
        /// The value and the counters of the evaluation.
        entry: HistoryEntry,
        /// The iterate that was evaluated, length d.
        x: &'a [f64],
        /// max|Δx| of the step that led here (0 at the start).
        change: f64,
    },
    /// A surrogate was fitted.
    Fitted {
        /// What the fit found: its samples, directions and ridge.
        fit: Fit,
    },
    /// A surrogate phase has ended and, unless it was not finite, its landing was evaluated.
    Landed {
        /// The record of the phase.
        phase: PhaseEntry,
        /// The landing's true evaluation, if there was one.
        entry: Option<HistoryEntry>,
        /// The landing of the phase, length d.
        x: &'a [f64],
    },
    /// The learned step was compared with the true one, by [`Method::Cosine`](crate::method::Method::Cosine).
    Compared {
        /// The true evaluation it was compared at, counted from 1.
        evaluation: usize,
        /// The cosine of the angle between the two steps; not finite where one of them is zero or not finite.
        cosine: f64,
        /// The reach γ from here on.
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
        /// The report of the run.
        report: &'a Report,
    },
}

/// Receives every [`Event`]; `Break` ends the run after the current evaluation, with its results.
pub trait Observer {
    /// Called after each event.
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()>;
}

/// An observer that ignores every event.
impl Observer for () {
    fn event(&mut self, _: Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<W: Observer + ?Sized> Observer for &mut W {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        (**self).event(event)
    }
}

impl<W: Observer + ?Sized> Observer for Box<W> {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        (**self).event(event)
    }
}

/// An [`Observer`] made of a closure; see [`from_fn`].
#[derive(Debug, Clone)]
pub struct FnObserver<F>(F);

/// Watches by a closure.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use lgf::Lgf;
/// use lgf::observe::{self, Event};
/// use lgf::problems::Rosenbrock;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut landings = 0;
/// let watch = observe::from_fn(|event: Event<'_>| {
///     landings += usize::from(matches!(event, Event::Landed { .. }));
///     ControlFlow::Continue(())
/// });
/// let report = Lgf::potential().observe(watch).minimize(Rosenbrock { dimension: 2 }, &[-1.2, 1.0])?;
/// assert_eq!(landings, report.phases.len());
/// # Ok(())
/// # }
/// ```
pub fn from_fn<F: FnMut(Event<'_>) -> ControlFlow<()>>(watch: F) -> FnObserver<F> {
    FnObserver(watch)
}

impl<F: FnMut(Event<'_>) -> ControlFlow<()>> Observer for FnObserver<F> {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        (self.0)(event)
    }
}
