//! The adaptive cadence: short true phases, and surrogate phases as long as the last one's agreement allows.

use serde::{Deserialize, Serialize};

use super::fixed::MAX_INTERVAL;
use super::outcome::Outcome;
use crate::error::{Error, Result};

/// Trust by agreement: after each landing ρ = true change / predicted change of the objective decides about
/// the next phase.
///
/// | landing | damping a (log targets) | horizon |
/// |---|---|---|
/// | undone | + 0.5 | halved |
/// | ρ < 0.2 | + 0.25 | |
/// | ρ > 0.5 | − 0.25 | |
/// | ρ > 0.6, whole horizon used | | doubled |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adaptive {
    /// The newest samples that are kept, ≥ the true steps.
    pub window: usize,
    /// Samples before the first surrogate phase, between the true steps and the window: the first few steps
    /// are limited by the move limit and mislead.
    pub warm_up: usize,
    /// True evaluations between two surrogate phases, the landing included, ≥ 2.
    pub true_steps: usize,
    /// Surrogate steps in the first phase, ≥ 1.
    pub horizon: usize,
    /// The horizon never grows beyond this.
    pub max_horizon: usize,
    /// A phase ends when x is this many history radii from the history's mean; ∞ (null in JSON): never.
    #[serde(with = "crate::number::or_infinite")]
    pub trust_radius: f64,
    /// How much worse a landing may be, relative to the trusted value; ∞ is null in JSON.
    #[serde(with = "crate::number::or_infinite")]
    pub landing_tolerance: f64,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            window: 8,
            warm_up: 6,
            true_steps: 3,
            horizon: 16,
            max_horizon: 24,
            trust_radius: 3.0,
            landing_tolerance: 5e-4,
        }
    }
}

impl Adaptive {
    /// The default with another window, and a first cycle of `interval` iterations (true and surrogate).
    pub fn with_window(window: usize, interval: usize) -> Self {
        let default = Self::default();
        let true_steps = default.true_steps.min(window);
        let horizon = interval.saturating_sub(window).max(1);
        Self {
            window,
            true_steps,
            warm_up: default.warm_up.min(window),
            horizon,
            max_horizon: default.max_horizon.max(horizon),
            ..default
        }
    }

    /// Least and greatest damping.
    const DAMPING: (f64, f64) = (-1.5, 3.0);

    pub(super) fn validate(&self) -> Result<()> {
        if !(2..=256).contains(&self.window) {
            return Err(Error::invalid("the history size K", self.window, "between 2 and 256"));
        }
        if !(2..=self.window).contains(&self.true_steps) {
            return Err(Error::invalid(
                "the number of true steps per cycle",
                self.true_steps,
                format!("between 2 and the history size, {}", self.window),
            ));
        }
        if !(self.true_steps..=self.window).contains(&self.warm_up) {
            return Err(Error::invalid(
                "the warm-up",
                self.warm_up,
                format!(
                    "between the true steps per cycle, {}, and the history size, {}",
                    self.true_steps, self.window
                ),
            ));
        }
        if self.max_horizon > MAX_INTERVAL {
            return Err(Error::invalid("the horizon", self.max_horizon, format!("at most {MAX_INTERVAL}")));
        }
        if self.horizon == 0 || self.max_horizon < self.horizon {
            return Err(Error::invalid(
                "the horizon",
                self.horizon,
                format!("between 1 and its maximum, {}", self.max_horizon),
            ));
        }
        if !(self.trust_radius > 0.0) {
            return Err(Error::invalid("the trust radius", self.trust_radius, "above 0"));
        }
        if !(self.landing_tolerance >= 0.0) {
            return Err(Error::invalid("the landing tolerance", self.landing_tolerance, "at least 0"));
        }
        Ok(())
    }

    pub(super) fn next_horizon(&self, horizon: usize, outcome: Outcome) -> usize {
        match outcome {
            Outcome { accepted: false, .. } => (horizon / 2).max(1),
            Outcome { agreement: Some(rho), whole_horizon: true, .. } if rho > 0.6 => {
                (2 * horizon).min(self.max_horizon)
            }
            _ => horizon,
        }
    }

    pub(super) fn next_damping(&self, damping: f64, outcome: Outcome) -> f64 {
        let change = match outcome {
            Outcome { accepted: false, .. } => 0.5,
            Outcome { agreement: Some(rho), .. } if rho > 0.5 => -0.25,
            Outcome { agreement: Some(rho), .. } if rho < 0.2 => 0.25,
            _ => 0.0,
        };
        (damping + change).clamp(Self::DAMPING.0, Self::DAMPING.1)
    }
}
