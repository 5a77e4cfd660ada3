//! When to call the truth: pure decisions, no data of size d.

mod adaptive;
mod cosine;
mod fixed;
mod outcome;
mod potential;

pub use adaptive::Adaptive;
pub use cosine::Cosine;
pub use fixed::Fixed;
pub(crate) use outcome::Outcome;
pub use potential::Potential;

use crate::engine::PhaseLimits;
use crate::error::{Error, Result};
use crate::surrogate::{Integrator, SurrogateConfig, TargetTransform, Targets};

/// When true gradients are computed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// Always: the plain base flow.
    None,
    /// K true iterations, M − K surrogate iterations, and so on, as in the paper.
    Fixed(Fixed),
    /// A rolling window of samples, short true phases, and a horizon and damping that follow how well the
    /// last phase predicted.
    Adaptive(Adaptive),
    /// A rolling window of samples, and learned steps within a reach that follows the angle between learned
    /// and true steps.
    Cosine(Cosine),
    /// A potential is learned and minimised in a trust region between any two true evaluations.
    Potential(Potential),
}

impl Schedule {
    /// The schedule's name in reports and records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fixed(_) => "fixed",
            Self::Adaptive(_) => "adaptive",
            Self::Cosine(_) => "cosine",
            Self::Potential(_) => "potential",
        }
    }

    /// Samples the history must hold.
    pub fn capacity(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Fixed(fixed) => fixed.history,
            Self::Adaptive(adaptive) => adaptive.window,
            Self::Cosine(cosine) => cosine.window,
            Self::Potential(potential) => potential.memory,
        }
    }

    pub(crate) fn validate(&self, surrogate: &SurrogateConfig) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Fixed(fixed) => {
                if fixed.record_after_step && surrogate.targets == Targets::Tracked {
                    return Err(Error::only_with(
                        "recording after the step",
                        "strong- and weak-form targets: a tracked gradient belongs to the point before it",
                    ));
                }
                fixed.validate()
            }
            Self::Adaptive(adaptive) => {
                if surrogate.targets != Targets::Tracked {
                    return Err(consecutive());
                }
                adaptive.validate()
            }
            Self::Cosine(cosine) => {
                if surrogate.targets != Targets::Tracked {
                    return Err(consecutive());
                }
                cosine.validate()
            }
            Self::Potential(potential) => potential.validate(),
        }
    }
}

fn consecutive() -> Error {
    Error::only_with(
        "strong- and weak-form targets",
        "the fixed schedule, which gives them consecutive iterates",
    )
}

/// The part of a schedule that changes during a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Control {
    schedule: Schedule,
    horizon: usize,
    damping: Option<f64>,
    /// True evaluations since the last landing (or the start), the landing's own included.
    fresh: usize,
}

impl Control {
    pub(crate) fn new(schedule: Schedule, surrogate: &SurrogateConfig) -> Self {
        let horizon = match schedule {
            Schedule::None | Schedule::Cosine(_) | Schedule::Potential(_) => 0,
            Schedule::Fixed(fixed) => fixed.interval - fixed.history,
            Schedule::Adaptive(adaptive) => adaptive.horizon,
        };
        let damping = match surrogate.transform {
            TargetTransform::LogDamped { damping } => Some(damping),
            TargetTransform::Identity => None,
        };
        Self { schedule, horizon, damping, fresh: 0 }
    }

    pub(crate) fn damping(&self) -> Option<f64> {
        self.damping
    }

    /// The surrogate as it is to be fitted now.
    pub(crate) fn surrogate(&self, config: &SurrogateConfig) -> SurrogateConfig {
        match self.damping {
            Some(damping) => SurrogateConfig { transform: TargetTransform::LogDamped { damping }, ..*config },
            None => *config,
        }
    }

    /// A sample was recorded at a trusted iterate.
    pub(crate) fn sampled(&mut self) {
        self.fresh += 1;
    }

    /// Whether the next step is to be followed by a surrogate phase, and how far that may go.
    pub(crate) fn phase(&self, samples: usize, integrator: Integrator) -> Option<PhaseLimits> {
        match self.schedule {
            Schedule::None | Schedule::Cosine(_) | Schedule::Potential(_) => None,
            Schedule::Fixed(fixed) => (samples == fixed.history && self.horizon > 0).then_some(PhaseLimits {
                steps: self.horizon,
                radius: f64::INFINITY,
                integrator,
            }),
            Schedule::Adaptive(adaptive) => (self.fresh >= adaptive.true_steps
                && samples >= adaptive.warm_up)
                .then_some(PhaseLimits { steps: self.horizon, radius: adaptive.trust_radius, integrator }),
        }
    }

    /// Whether a sample is taken after the true step instead of before it.
    pub(crate) fn records_after_step(&self) -> bool {
        matches!(self.schedule, Schedule::Fixed(Fixed { record_after_step: true, .. }))
    }

    /// Whether the history is dropped when a phase has landed (the paper's flush) instead of rolling on.
    pub(crate) fn flushes(&self) -> bool {
        matches!(self.schedule, Schedule::Fixed(_))
    }

    /// Whether a bad landing is undone.
    pub(crate) fn checks_landings(&self) -> bool {
        !matches!(self.schedule, Schedule::Fixed(Fixed { landing_check: false, .. }))
    }

    /// Whether a landing at `landed` is to be kept, coming from `trusted`.
    pub(crate) fn accepts(&self, trusted: f64, landed: f64) -> bool {
        if !self.checks_landings() {
            return true;
        }
        let tolerance = match self.schedule {
            Schedule::Fixed(fixed) => fixed.landing_tolerance,
            Schedule::Adaptive(adaptive) => adaptive.landing_tolerance,
            Schedule::Cosine(cosine) => cosine.landing_tolerance,
            Schedule::None | Schedule::Potential(_) => 0.0,
        };
        landed <= trusted + tolerance * trusted.abs()
    }

    /// Learns from a phase.
    pub(crate) fn landed(&mut self, outcome: Outcome) {
        self.fresh = 0;
        match self.schedule {
            Schedule::None | Schedule::Cosine(_) | Schedule::Potential(_) => {}
            Schedule::Fixed(fixed) => self.horizon = fixed.next_horizon(self.horizon, outcome),
            Schedule::Adaptive(adaptive) => {
                self.horizon = adaptive.next_horizon(self.horizon, outcome);
                self.damping = self.damping.map(|a| adaptive.next_damping(a, outcome));
            }
        }
    }
}
