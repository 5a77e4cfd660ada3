//! The report of a run.

use super::{EngineInfo, Fit, PhaseEnd, Traffic, Verdict};

/// A number with three digits, as a person writes it.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    if rounded == 0.0 || (1e-4..1e4).contains(&rounded.abs()) {
        rounded.to_string()
    } else {
        format!("{rounded:e}")
    }
}

/// Why a run ended; reads as a sentence.
#[derive(Debug, Clone, PartialEq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// A true step of the base flow changed no unknown by more than the tolerance.
    #[error(
        "converged: a true step of the base flow changed no unknown by more than {} (largest change \
         {change:.3e})",
        short(*tolerance)
    )]
    Converged {
        /// The largest change, max|Δx|; ∞ (null in JSON) for a step that is not finite.
        #[serde(with = "crate::number::or_infinite")]
        change: f64,
        /// The tolerance it met.
        tolerance: f64,
    },
    /// The base flow came to rest, but no iterate was better than the starting point.
    #[error(
        "the run came to rest after {evaluations} true evaluations without improving on the starting point: \
         that is a minimum, the steps are too long for it, or the gradient is not that of the objective"
    )]
    Stalled {
        /// The number of true evaluations spent.
        evaluations: usize,
    },
    /// A trusted value was at most the target.
    #[error("the target of {target} is reached")]
    TargetReached {
        /// The target for the value; ∞ is null in JSON.
        #[serde(with = "crate::number::or_infinite")]
        target: f64,
    },
    /// The best value has hardly fallen for a while.
    #[error(
        "settled: the best value has fallen by at most {change:e} of itself within the last {evaluations} \
         true evaluations"
    )]
    Settled {
        /// The relative change that the best value fell by at most.
        change: f64,
        /// The true evaluations looked at.
        evaluations: usize,
    },
    /// The budget of time is spent.
    #[error("the time budget of {seconds} s is spent")]
    TimeSpent {
        /// The budget, in seconds of wall time.
        seconds: f64,
    },
    /// The budget of true evaluations is spent.
    #[error("the budget of {limit} true evaluation{} is spent", if *limit == 1 { "" } else { "s" })]
    MaxEvaluations {
        /// The budget, in true evaluations.
        limit: usize,
    },
    /// The objective returned a value or gradient that is not finite.
    #[error(
        "true evaluation {evaluation} returned a non-finite {what}; the best trusted iterate is returned"
    )]
    NonFinite {
        /// What was not finite: `value` or `gradient`.
        what: String,
        /// The number of the evaluation, counted from 1.
        evaluation: usize,
    },
    /// The objective returned an error.
    #[error("true evaluation {evaluation} failed ({message}); the best trusted iterate is returned")]
    ObjectiveFailed {
        /// The objective's own error message.
        message: String,
        /// The number of the evaluation, counted from 1.
        evaluation: usize,
    },
    /// The objective has no minimum: on the way down an unknown or the value has grown beyond all measure.
    #[error(
        "the objective falls without end: {what} has come to {found:.1e}; it needs bounds, or its gradient \
         has the wrong sign; the best trusted iterate is returned"
    )]
    Unbounded {
        /// What has grown: `an unknown` or `the value`.
        what: String,
        /// How large it is.
        found: f64,
    },
    /// A step of the base flow itself left the finite numbers: its rate is too large.
    #[error(
        "step {iteration} of the base flow is not finite: its steps are too long, or the gradient is not \
         that of the objective; the best trusted iterate is returned"
    )]
    Diverged {
        /// The number of the step of the flow.
        iteration: usize,
    },
    /// The engine failed, e.g. the GPU device was lost.
    #[error("the engine failed ({message}); the best trusted iterate is returned")]
    EngineFailed {
        /// The engine's own error message.
        message: String,
    },
    /// An observer asked the run to end (Ctrl-C).
    #[error("interrupted; the best trusted iterate is returned")]
    Interrupted,
}

impl StopReason {
    /// Whether something went wrong (a fault of the objective or divergence), as against a budget,
    /// convergence or a wish.
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Stalled { .. }
                | Self::NonFinite { .. }
                | Self::ObjectiveFailed { .. }
                | Self::Diverged { .. }
                | Self::Unbounded { .. }
                | Self::EngineFailed { .. }
        )
    }

    /// Whether the same run would end there again, so that nothing is left to go on with: it has come to its
    /// end, well or badly, and was not cut short.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Interrupted | Self::EngineFailed { .. } | Self::ObjectiveFailed { .. })
    }
}

/// The record of one true evaluation.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The number of the evaluation, counted from 1.
    pub evaluation: usize,
    /// The number of steps of the flow, true and surrogate, that lead to the iterate.
    pub iteration: usize,
    /// The objective's value at the iterate.
    pub objective: f64,
    /// Whether the iterate was trusted (false: a surrogate phase landed here and was undone, or it is outside
    /// the domain).
    pub accepted: bool,
}

/// The record of one surrogate phase.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct PhaseEntry {
    /// The number of true evaluations before the phase.
    pub evaluation: usize,
    /// The record of the fit that the phase ran on.
    pub fit: Fit,
    /// ‖Θ Ξ − Y‖ / ‖Y‖ of that fit.
    pub residual: Option<f64>,
    /// The number of steps that were allowed.
    pub horizon: usize,
    /// The number of steps that were taken.
    pub steps: usize,
    /// Why the phase ended.
    pub end: PhaseEnd,
    /// The damping of the log transform, if that is used.
    pub damping: Option<f64>,
    /// The change of the objective that the model predicts, Σ ĝ·Δx. What is not finite is null in JSON, and
    /// read back as NaN; in the optional numbers here, as none.
    #[serde(with = "crate::number::or_nan")]
    pub predicted_change: f64,
    /// f(landing) − f(trusted); none if the landing was not evaluated, could not be, or f has changed on the
    /// way.
    pub true_change: Option<f64>,
    /// Whether the landing was kept.
    pub accepted: bool,
    /// The verdict of the model selection, if order, rank and ridge were selected.
    pub selection: Option<Verdict>,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The best trusted iterate, of the newest [revision](crate::objective::Objective::revision) of the
    /// objective. Not recorded: empty when a report is read back.
    #[serde(skip)]
    pub x: Vec<f64>,
    /// The gradient at x, as the engine keeps it: rounded to f32 where the iterates are. Empty for the Newton
    /// flow, and where an earlier run has reached x. Not recorded.
    #[serde(skip)]
    pub gradient: Vec<f64>,
    /// The true value at x, as the objective returned it (f64).
    pub objective: f64,
    /// The number of the true evaluation at x, counted from 1.
    pub best_evaluation: usize,
    /// [`kkt_residual`](crate::domain::kkt_residual) at x, relative to the largest entry of the gradient
    /// at the start (of the newest revision); none for the Newton flow, which knows no gradient, and where
    /// that is zero.
    pub kkt_residual: Option<f64>,
    /// That largest entry, of the Newton direction for the Newton flow.
    pub first_slope: f64,
    /// The unit that the engine's gradients and pairs are in, 1 unless gradients are far from it: pairs that
    /// another run is to know are [`Engine::pairs`](crate::engine::Engine::pairs), times this.
    #[serde(default = "one")]
    pub gradient_unit: f64,
    /// True evaluations, all of them: training iterates, landing checks and rejected landings.
    pub true_evaluations: usize,
    /// The first trusted evaluations of all further [revisions](crate::objective::Objective::revision) of the
    /// objective, counted from 1: values before and after are of different functions.
    pub changes: Vec<usize>,
    /// Surrogate phases that were undone.
    pub rejected: usize,
    /// Surrogate steps taken, undone ones included.
    pub surrogate_steps: usize,
    /// Why the run ended.
    pub stop: StopReason,
    /// Every true evaluation that returned a finite value and gradient.
    pub history: Vec<HistoryEntry>,
    /// Every surrogate phase, in order.
    pub phases: Vec<PhaseEntry>,
    /// The traffic between host and device.
    pub traffic: Traffic,
    /// The engine that the run was on.
    pub engine: EngineInfo,
    /// The wall time of the run, in seconds.
    pub wall_seconds: f64,
    /// The seconds spent in true evaluations.
    pub objective_seconds: f64,
}

fn one() -> f64 {
    1.0
}

impl Report {
    /// True evaluations spent when an accepted iterate of the newest revision of the objective first had a
    /// value ≤ `target`.
    /// ```
    /// use lgf::Lgf;
    /// use lgf::problems::Rosenbrock;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let report = Lgf::potential().minimize(Rosenbrock { dimension: 2 }, &[-1.2, 1.0])?;
    /// assert_eq!(report.evaluations_to_reach(report.objective), Some(report.best_evaluation));
    /// // The least value is 0.
    /// assert_eq!(report.evaluations_to_reach(-1.0), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn evaluations_to_reach(&self, target: f64) -> Option<usize> {
        let first = self.changes.last().copied().unwrap_or(0);
        evaluations_to_reach(&self.history[self.history.partition_point(|e| e.evaluation < first)..], target)
    }
}

/// True evaluations spent when an accepted iterate of `history` first had a value ≤ `target`.
pub fn evaluations_to_reach(history: &[HistoryEntry], target: f64) -> Option<usize> {
    history.iter().find(|e| e.accepted && e.objective <= target).map(|e| e.evaluation)
}
