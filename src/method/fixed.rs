//! The paper's cadence: as many true steps and as many surrogate steps in every cycle.

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use crate::error::{Error, Result};

/// The paper's cadence: K true iterations are recorded, a surrogate is fitted, M − K surrogate iterations
/// follow, the history is dropped, and so on: K true gradients per M iterations.
///
/// With the landing check (ours), a phase that made the objective worse is undone and the next ones are
/// shorter; without it this is the paper's algorithm to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fixed {
    /// K, true iterations per cycle, ≥ 2.
    pub history: usize,
    /// M ≥ K, iterations per cycle.
    pub interval: usize,
    /// Whether a worse landing is undone.
    pub landing_check: bool,
    /// How much worse a landing may be, relative to the trusted value; ∞ is null in JSON.
    #[serde(with = "crate::number::or_infinite")]
    pub landing_tolerance: f64,
    /// Whether a sample is the iterate after the true step (as the authors' code does for gradient descent)
    /// instead of the one before it.
    pub record_after_step: bool,
}

/// The largest interval M: a surrogate phase cannot be interrupted, so its length is bounded.
pub(super) const MAX_INTERVAL: usize = 10_000;

/// The error of targets that are differenced in time with a rolling window.
pub(super) fn consecutive() -> Error {
    Error::only_with(
        "strong- and weak-form targets",
        "the fixed cadence, which gives them consecutive iterates",
    )
}

impl Fixed {
    /// K and M as in the paper, with the landing check at 0.05 %.
    pub fn new(history: usize, interval: usize) -> Self {
        Self { history, interval, landing_check: true, landing_tolerance: 5e-4, record_after_step: false }
    }

    pub(super) fn validate(&self) -> Result<()> {
        if !(2..=256).contains(&self.history) {
            return Err(Error::invalid("the history size K", self.history, "between 2 and 256"));
        }
        if self.interval < self.history {
            return Err(Error::invalid(
                "the interval M",
                self.interval,
                format!("at least the history size K, {}", self.history),
            ));
        }
        if self.interval > MAX_INTERVAL {
            return Err(Error::invalid("the interval M", self.interval, format!("at most {MAX_INTERVAL}")));
        }
        if !(self.landing_tolerance >= 0.0) {
            return Err(Error::invalid("the landing tolerance", self.landing_tolerance, "at least 0"));
        }
        Ok(())
    }

    pub(super) fn next_horizon(&self, horizon: usize, outcome: Outcome) -> usize {
        if outcome.accepted { (2 * horizon).min(self.interval - self.history) } else { (horizon / 2).max(1) }
    }
}
