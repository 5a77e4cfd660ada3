//! A learned potential: fitted to pairs of displacement and change of the gradient, minimised in a trust
//! region, and checked by a true evaluation at its minimum.

use serde::{Deserialize, Serialize};

use super::plain;
use super::truth::{Attempt, Ended, Truth};
use crate::domain::Domain;
use crate::engine::{Engine, PhaseEnd, TrustLimits};
use crate::error::{Error, Result};
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::report::StopReason;
use crate::surrogate::potential::{Outside, PotentialConfig};

/// Trust by agreement for a learned potential: every true evaluation is a landing, and ρ = true change /
/// predicted change decides about it.
///
/// | landing | iterate | trust radius Δ, max |x − x_trusted| |
/// |---|---|---|
/// | ρ > 0.75, step at the radius | kept | doubled |
/// | ρ > 1, recorded pairs and none of positive curvature | kept | times 1/(2 − ρ), at most 64 |
/// | ρ > 1.9, no pair recorded | kept | the same |
/// | 0.1 ≤ ρ < 0.25 | kept | × 0.8 |
/// | ρ < 0.1 | kept while ρ > 10⁻⁴ | half the step |
/// | ρ ≤ 10⁻⁴, or the objective fails | undone | half the step |
///
/// Without a pair of positive curvature the model has one curvature for all unknowns, which is made from the
/// radius: so a larger radius is a longer step even where the step is far from it. ρ = 2 − c says that the
/// curvature met is c times that one. That is how a grey structure becomes black and white, along whose way
/// the objective has next to no curvature.
///
/// An undone landing is learned from like any other. With radii of at least the step of plain projected
/// gradient this is a trust-region method whose model is exact to first order at the trusted iterate, and
/// converges to a stationary point (Conn, Gould & Toint, *Trust-Region Methods*, 2000, ch. 12).
///
/// Radii are fractions of the box, upper − lower; without bounds, of max |x₀|. From x₀ = 0 without bounds
/// they are fractions of |f(x₀)| / max |gᵢ|, or of 1 if that is 0 too, and the first landing corrects the
/// length: the parabola through both values and the first slope tells how far its minimum is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Potential {
    /// Pairs of displacement and change of the gradient that are kept, 1 to 64. More cost as much more per
    /// projected step.
    pub memory: usize,
    /// Projected steps that minimise the potential, at most, 1 to 1000. 20 do for filtered designs; a
    /// function whose curvatures are orders of magnitude apart wants 100 or more.
    pub steps: usize,
    /// The first trust radius, and the length of the first step: in (0, 1].
    pub radius: f64,
    /// The learned polynomial's order: 2, or 3 or 4 for terms beyond the quadratic, learned from the newest
    /// 16 pairs.
    pub order: usize,
}

impl Default for Potential {
    fn default() -> Self {
        Self { memory: 6, steps: 20, radius: 0.2, order: 2 }
    }
}

impl Potential {
    /// The settings for a smooth function of `dimension` unknowns whose curvatures may be orders of
    /// magnitude apart: ten pairs, a first radius of 1, and 100 to 1000 projected steps, fewer where a step
    /// takes longer. On Rosenbrock's function of 2 to 100 unknowns a run takes about as many evaluations as
    /// L-BFGS, and up to twelve times as many with the default of 20 steps, which is for filtered designs; so
    /// is the default's radius, which keeps a first step along a gradient alone from leaving a coarse layout.
    pub fn smooth(dimension: usize) -> Self {
        let steps = (30_000_000 / dimension.max(1)).clamp(100, 1000);
        Self { memory: 10, steps, radius: 1.0, ..Self::default() }
    }

    /// The least ρ of a landing that is kept.
    const LEAST_AGREEMENT: f64 = 1e-4;
    /// From this ρ on, an objective has next to no curvature along a step to the minimum of a parabola.
    const STRAIGHT: f64 = 1.9;
    /// The least curvature that a guessed one is corrected to, as a share of it.
    const LEAST_CURVATURE: f64 = 1.0 / 64.0;

    pub(super) fn validate(&self) -> Result<()> {
        if !(1..=64).contains(&self.memory) {
            return Err(Error::invalid("the number of remembered pairs", self.memory, "between 1 and 64"));
        }
        if !(1..=1000).contains(&self.steps) {
            return Err(Error::invalid(
                "the number of projected steps on the potential",
                self.steps,
                "between 1 and 1000",
            ));
        }
        if !(self.radius > 0.0 && self.radius <= 1.0) {
            return Err(Error::invalid("the first trust radius", self.radius, "above 0 and at most 1"));
        }
        if !(2..=4).contains(&self.order) {
            return Err(Error::invalid("the potential's order", self.order, "2, 3 or 4"));
        }
        Ok(())
    }

    pub(crate) fn accepts(&self, agreement: f64) -> bool {
        agreement > Self::LEAST_AGREEMENT
    }

    /// The next Δ after a step of `step`; `agreement` is none if the landing could not be evaluated.
    pub(crate) fn next_radius(
        &self,
        radius: f64,
        step: f64,
        agreement: Option<f64>,
        knows: Curvature,
    ) -> f64 {
        // The share of the guessed curvature below which it is corrected.
        let met = match knows {
            Curvature::Learned => f64::NEG_INFINITY,
            Curvature::None => 1.0,
            Curvature::Unknown => 2.0 - Self::STRAIGHT,
        };
        match agreement {
            Some(rho) if 2.0 - rho < met => radius / (2.0 - rho).max(Self::LEAST_CURVATURE),
            Some(rho) if rho > 0.75 && step > 0.9 * radius => 2.0 * radius,
            Some(rho) if rho >= 0.25 => radius,
            Some(rho) if rho >= 0.1 => 0.8 * radius,
            _ => 0.5 * step,
        }
    }
}

/// The share of a step of guessed length that is tried next where the objective could not be evaluated.
const UNKNOWN_STEP: f64 = 1e-3;
/// How much a guessed length is corrected by at most, either way, by one landing.
const FARTHEST: f64 = 1e12;

/// What the recorded pairs tell of the curvature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curvature {
    /// Some have a positive one.
    Learned,
    /// There are pairs, and none of them has any.
    None,
    /// There is no pair yet.
    Unknown,
}

/// The trust radii of a run: the first one (of the run or of the objective's newest revision), and the
/// current one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cycle {
    rule: Potential,
    first_radius: f64,
    radius: f64,
    /// Whether the radii come from a length that the problem tells, not from a guess.
    is_length_known: bool,
    /// Whether a pair has been recorded since the history was dropped.
    has_pairs: bool,
}

impl Cycle {
    /// The radii at the iterate that was just evaluated, where the objective is `value`.
    pub(super) fn new<O: Objective, E: Engine, W: Observer>(
        rule: Potential,
        truth: &mut Truth<O, E, W>,
        value: f64,
    ) -> Result<Self> {
        let domain = truth.domain.clone();
        let known = domain.unit_of_length(truth.design()?);
        let guess = value.abs() / truth.latest_slope();
        let unit = known.unwrap_or(if guess > 0.0 && guess.is_finite() { guess } else { 1.0 });
        let first_radius = rule.radius * unit;
        Ok(Self {
            rule,
            first_radius,
            radius: first_radius,
            is_length_known: known.is_some(),
            has_pairs: false,
        })
    }

    /// One fit, the minimum of its potential in the trust region, and the landing there.
    pub(super) fn advance<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
    ) -> Result<(), Ended> {
        let Self { rule, radius, .. } = *self;
        let outside = if truth.domain == Domain::Unbounded { Outside::Steep } else { Outside::Mean };
        let (steepest, tolerance) = (truth.steepest(), truth.tolerance());
        if steepest == 0.0 {
            return Err(Ended::Stop(StopReason::Converged { change: 0.0, tolerance }));
        }
        // Without any pair: a projected gradient step that moves no unknown further than the radius.
        let learned = PotentialConfig { order: rule.order, outside };
        let fit = truth.engine.fit_potential(steepest / truth.value_unit() / radius, learned)?;
        truth.tell(Event::Fitted { fit })?;
        truth.engine.minimize(TrustLimits { steps: rule.steps, radius })?;
        let landing = truth.read()?;
        let step = landing.change;
        let is_usable =
            landing.end != PhaseEnd::NonFinite && step.is_finite() && landing.predicted_change < 0.0;
        if !is_usable || step <= tolerance {
            let settled = is_usable && step < 0.9 * radius;
            if settled && fit.samples > 0 && truth.is_steep_at_best()? {
                // Steps are short, and there is a way down: a landing far up, say, has left a curvature that
                // holds every step back. It is learned anew, within the radius that is left.
                truth.engine.forget();
                self.has_pairs = false;
                truth.restore()?;
                return Ok(());
            }
            if settled || fit.samples == 0 {
                let step = if step.is_finite() { step } else { f64::INFINITY };
                return Err(Ended::Stop(truth.came_to_rest(step)));
            }
            // The model leads nowhere, so the history is dropped and learning begins again.
            truth.engine.forget();
            self.has_pairs = false;
            truth.restore()?;
            self.radius = self.first_radius;
            return Ok(());
        }

        truth.require_budget()?;
        let trusted = truth.trusted_value();
        let attempt = Attempt { fit, selection: None, horizon: rule.steps, damping: None, landing };
        let judged = truth.judge(attempt, true, |_, _, agreement| {
            agreement.is_some_and(|agreement| rule.accepts(agreement))
        })?;
        let knows = match (fit.samples, self.has_pairs) {
            (1.., _) => Curvature::Learned,
            (0, true) => Curvature::None,
            (0, false) => Curvature::Unknown,
        };
        if let Some(value) = judged.value {
            self.has_pairs = !judged.changed;
            if judged.changed {
                truth.engine.forget();
            } else {
                truth.engine.record_pair((value - trusted) / truth.value_unit(), judged.accepted)?;
            }
        }
        self.radius = rule.next_radius(radius, step, judged.agreement, knows);
        if fit.samples > 0 {
            // The guessed length has been tried on a model with curvatures: the agreement corrects it.
            self.is_length_known = true;
        } else if !self.is_length_known {
            self.measure(step, landing.predicted_change, judged.value.map(|value| value - trusted));
        }
        match judged.value {
            Some(value) if judged.accepted => truth.settle(value)?,
            _ => truth.undo()?,
        }
        log::debug!("the next trust radius is {}", self.radius);
        if truth.leave(&judged)? {
            truth.check_budget()?;
            let value = truth.evaluate()?;
            self.enter(truth, value, 0.0)?;
        }
        if judged.changed {
            *self = Self::new(rule, truth, truth.trusted_value())?;
        }
        truth.stop_where_settled()
    }

    /// Corrects a guessed length by the first landing, the minimum of a model with one curvature for all
    /// unknowns, `step` away. There the objective should have changed by `predicted`, half of what the slope
    /// alone makes of the step, and has changed by `change`, unless it could not be evaluated.
    fn measure(&mut self, step: f64, predicted: f64, change: Option<f64>) {
        let Some(change) = change else {
            self.radius = UNKNOWN_STEP * step;
            return;
        };
        // The minimum of the parabola through both values with the slope, in steps.
        let slope = 2.0 * predicted;
        let bend = change - slope;
        let minimum = if bend > 0.0 { -slope / (2.0 * bend) } else { f64::INFINITY };
        if !(0.25..4.0).contains(&minimum) {
            self.radius = step * minimum.clamp(1.0 / FARTHEST, FARTHEST);
            self.first_radius = self.radius;
        }
        self.is_length_known = true;
    }

    /// Trusts what was just evaluated at x.
    pub(super) fn enter<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
        value: f64,
        change: f64,
    ) -> Result<(), Ended> {
        if truth.has_changed() {
            truth.engine.forget();
        }
        plain::enter(truth, value, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radius_follows_the_agreement() {
        let rule = Potential::default();
        let next = |step, agreement| rule.next_radius(0.2, step, agreement, Curvature::Learned);
        assert_eq!(next(0.2, Some(0.9)), 0.4);
        assert_eq!(next(0.1, Some(0.9)), 0.2, "the radius was not what limited the step");
        assert_eq!(next(0.2, Some(0.5)), 0.2);
        assert_eq!(next(0.2, Some(0.2)), 0.8 * 0.2);
        assert_eq!(next(0.1, Some(-3.0)), 0.05);
        assert_eq!(next(0.1, None), 0.05);
        let guessed = |agreement, knows| rule.next_radius(0.2, 0.01, Some(agreement), knows);
        assert_eq!(guessed(2.5, Curvature::Unknown), 64.0 * 0.2, "the guessed curvature was too large");
        assert_eq!(guessed(1.5, Curvature::Unknown), 0.2);
        assert_eq!(guessed(1.5, Curvature::None), 0.4, "half of it was met");
        assert_eq!(guessed(0.9, Curvature::None), 0.2);
        assert!(rule.accepts(0.01) && !rule.accepts(0.0) && !rule.accepts(f64::NAN));
    }
}
