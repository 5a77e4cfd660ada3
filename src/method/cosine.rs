//! The cosine test: learned steps within reach of the last true point, and the learned step against the true
//! one there.

use serde::{Deserialize, Serialize};

use super::fixed::{MAX_INTERVAL, consecutive};
use super::truth::{Attempt, Ended, Truth};
use super::{field, plain};
use crate::engine::{Engine, Landing, PhaseEnd, PhaseLimits, StepComparison};
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::surrogate::{Integrator, SurrogateConfig, Targets};

/// A learned field that is trusted by direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cosine {
    /// The base flow of the run.
    pub flow: Flow,
    /// What is learned, from tracked targets.
    pub surrogate: SurrogateConfig,
    /// How the learned flow is integrated.
    pub integrator: Integrator,
    /// When the model is believed.
    pub rule: CosineTest,
}

impl Cosine {
    /// `surrogate` under `flow`, replaying the flow's own step, with the default rule.
    pub fn new(flow: Flow, surrogate: SurrogateConfig) -> Self {
        Self { flow, surrogate, integrator: Integrator::FlowStep, rule: CosineTest::default() }
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.surrogate.targets != Targets::Tracked {
            return Err(consecutive());
        }
        self.rule.validate()?;
        field::validate_model(&self.flow, &self.surrogate, self.integrator, self.rule.window)?;
        self.rule.first_reach(self.flow.rate()).map(|_| ())
    }
}

/// Trust by direction: learned steps are taken while x is within γ of the last true point, and at every new
/// true point the step the model would take is compared with the one the true gradient takes.
///
/// Both are steps of the base flow from one and the same state, its momenta included: Δ̂ driven by ĝ(x) of
/// the model as it was before x was evaluated, Δ by the true g(x). c = Δ̂·Δ / (‖Δ̂‖ ‖Δ‖), and
///
/// | at a true point | reach γ | model and history |
/// |---|---|---|
/// | max \|Δ̂\| and max \|Δ\| ≤ 10⁻³ γ: the angle of steps so short decides nothing | × 1.25 | kept |
/// | c ≥ good | × 1.5 | kept |
/// | bad ≤ c < good | × 0.8 | kept |
/// | c < bad, or Δ̂ is not finite | × 0.5 | dropped: true steps until the warm-up is complete again |
/// | undone: worse than the last true point beyond the tolerance, or not to be evaluated | × 0.5 | kept |
///
/// "Kept" means that the true point joins the newest samples and the model is fitted anew to all of them. γ,
/// like the distance it is compared with, is the largest change of any unknown, in x's unit. A phase is one
/// true step and the learned steps up to and including the first that ends further than γ from the last true
/// point; if the true step alone is longer than γ, there are none. Each learned step costs one read-back of
/// x, for its length.
///
/// Source: a variant from the development of Norman, Rowan, Maute & Doostan, CMAME 460 (2026) 119099; the
/// landing check, the refits and the max norm are ours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CosineTest {
    /// The newest samples that are kept, 2 to 256.
    pub window: usize,
    /// Samples before the first fit, between 2 and the window.
    pub warm_up: usize,
    /// The cosine c from which on γ grows, in \[bad, 1\].
    pub good: f64,
    /// The cosine c below which the model is dropped, in \[−1, good\].
    pub bad: f64,
    /// γ at the start, above 0 and at most its cap, in x's unit; by default twice the flow's rate, or the cap
    /// if that is less.
    pub reach: Option<f64>,
    /// The cap of γ, finite.
    pub max_reach: f64,
    /// Learned steps between two true points, at most, ≥ 1: what ends phases where steps are too short to
    /// leave γ.
    pub horizon: usize,
    /// How much worse a landing may be, relative to the trusted value; ∞ is null in JSON.
    #[serde(with = "crate::number::or_infinite")]
    pub landing_tolerance: f64,
}

impl Default for CosineTest {
    fn default() -> Self {
        Self {
            window: 8,
            warm_up: 6,
            good: 0.7,
            bad: 0.2,
            reach: None,
            max_reach: 0.5,
            horizon: 64,
            landing_tolerance: 5e-4,
        }
    }
}

/// The verdict of comparing the learned step with the true one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// The cosine c; not finite where one of the steps is zero or not finite.
    pub cosine: f64,
    /// The reach γ of the next step.
    pub reach: f64,
    /// Whether the model is to be dropped.
    pub dropped: bool,
}

impl CosineTest {
    /// The share of γ below which a step is too short for its angle to decide anything.
    const TINY: f64 = 1e-3;
    /// The factor on γ after a landing that was undone.
    const AFTER_UNDONE: f64 = 0.5;

    /// The default settings with another window.
    pub fn with_window(window: usize) -> Self {
        let default = Self::default();
        Self { window, warm_up: default.warm_up.min(window), ..default }
    }

    fn validate(&self) -> Result<()> {
        if !(2..=256).contains(&self.window) {
            return Err(Error::invalid("the history size K", self.window, "between 2 and 256"));
        }
        if !(2..=self.window).contains(&self.warm_up) {
            return Err(Error::invalid(
                "the warm-up",
                self.warm_up,
                format!("between 2 and the history size, {}", self.window),
            ));
        }
        if !(self.good <= 1.0 && self.good >= -1.0) {
            return Err(Error::invalid("the good cosine", self.good, "between -1 and 1"));
        }
        if !(self.bad <= self.good && self.bad >= -1.0) {
            return Err(Error::invalid(
                "the bad cosine",
                self.bad,
                format!("between -1 and the good one, {}", self.good),
            ));
        }
        if !(self.max_reach > 0.0 && self.max_reach.is_finite()) {
            return Err(Error::invalid("the cap of the reach", self.max_reach, "above 0 and finite"));
        }
        if let Some(reach) = self.reach
            && !(reach > 0.0 && reach <= self.max_reach)
        {
            return Err(Error::invalid(
                "the first reach",
                reach,
                format!("above 0 and at most its cap, {}", self.max_reach),
            ));
        }
        if !(1..=MAX_INTERVAL).contains(&self.horizon) {
            return Err(Error::invalid("the horizon", self.horizon, format!("between 1 and {MAX_INTERVAL}")));
        }
        if !(self.landing_tolerance >= 0.0) {
            return Err(Error::invalid("the landing tolerance", self.landing_tolerance, "at least 0"));
        }
        Ok(())
    }

    /// The first reach γ₀ for a flow of this rate.
    ///
    /// # Errors
    /// [`SettingsError::OnlyWith`](crate::error::SettingsError) if there is neither a rate nor a reach.
    pub(crate) fn first_reach(&self, rate: Option<f64>) -> Result<f64> {
        match (self.reach, rate) {
            (Some(reach), _) => Ok(reach),
            (None, Some(rate)) => Ok((2.0 * rate).min(self.max_reach)),
            (None, None) => Err(Error::only_with(
                "the cosine test",
                "a flow that has a rate, twice which is the first reach, or with a given first reach",
            )),
        }
    }

    /// Judges a learned step Δ̂ against the true one Δ, from their inner products and largest entries.
    pub(crate) fn judge(&self, reach: f64, steps: StepComparison) -> Verdict {
        let [learned, truth] = steps.squares;
        let cosine = steps.product / (learned.sqrt() * truth.sqrt());
        let [learned, truth] = steps.largest;
        let tiny = steps.is_finite && learned.max(truth) <= Self::TINY * reach;
        let (factor, dropped) = match cosine {
            _ if tiny => (1.25, false),
            c if c >= self.good => (1.5, false),
            c if c >= self.bad => (0.8, false),
            _ => (0.5, true),
        };
        Verdict { cosine, reach: (factor * reach).min(self.max_reach), dropped }
    }
}

/// The state of the test between two true points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cycle {
    settings: Cosine,
    first_reach: f64,
    /// The reach γ of the next step.
    reach: f64,
    fitted: bool,
    /// Whether the trusted iterate is no sample yet. The sample has to wait until the model made without it
    /// has been tested there.
    is_new: bool,
}

impl Cycle {
    pub(super) fn new(settings: Cosine) -> Result<Self> {
        let first_reach = settings.rule.first_reach(settings.flow.rate())?;
        Ok(Self { settings, first_reach, reach: first_reach, fitted: false, is_new: true })
    }

    /// A true step, what it says about the model, and learned steps from there.
    pub(super) fn advance<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
    ) -> Result<(), Ended> {
        let rule = self.settings.rule;
        let one_step = PhaseLimits { steps: 1, radius: f64::INFINITY, integrator: self.settings.integrator };
        truth.stop_where_settled()?;
        let is_tested = self.is_new && self.fitted;
        let mut is_usable = false;
        if is_tested {
            truth.engine.integrate(one_step)?;
            let taken = truth.read_aside()?;
            truth.engine.restore()?;
            // A step that could not be taken agrees with nothing.
            is_usable = taken.steps == 1 && taken.end != PhaseEnd::NonFinite;
        }
        if self.is_new {
            truth.engine.record()?;
        }
        let mut landing = true_update(truth)?;
        let change = truth.check_true_step(&landing)?;
        truth.require_budget()?;
        if is_tested {
            let steps = if is_usable { truth.compare_with_aside()? } else { StepComparison::INCOMPARABLE };
            let verdict = rule.judge(self.reach, steps);
            self.reach = verdict.reach;
            log::debug!("{verdict:?}");
            if verdict.dropped {
                // The history begins again with this very point, which only the trusted state still knows.
                truth.engine.forget();
                truth.restore()?;
                truth.engine.record()?;
                landing = true_update(truth)?;
            }
            truth.tell(Event::Compared {
                evaluation: truth.evaluations(),
                cosine: verdict.cosine,
                reach: self.reach,
                dropped: verdict.dropped,
            })?;
        }

        self.fitted = truth.engine.samples() >= rule.warm_up;
        let revision = truth.revision();
        self.is_new = true;
        let mut phase = None;
        if self.fitted {
            let fit = truth.engine.fit(&self.settings.surrogate)?;
            truth.tell(Event::Fitted { fit })?;
            landing = learned_steps(truth, self.reach, rule.horizon, one_step, landing)?;
            phase = (landing.steps > 0 || landing.end == PhaseEnd::NonFinite).then_some(fit);
        }
        match phase {
            None => {
                let value = truth.evaluate()?;
                self.enter(truth, value, change)?;
            }
            Some(fit) => {
                let attempt = Attempt { fit, selection: None, horizon: rule.horizon, damping: None, landing };
                if !self.land(truth, attempt)? {
                    self.reach *= CosineTest::AFTER_UNDONE;
                    self.is_new = false;
                }
            }
        }
        if truth.revision() != revision {
            *self = Self { reach: self.first_reach, fitted: false, is_new: true, ..*self };
        }
        Ok(())
    }

    /// Trusts what was just evaluated at x; it becomes a sample once the model has been tested there.
    pub(super) fn enter<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
        value: f64,
        change: f64,
    ) -> Result<(), Ended> {
        forget_if_changed(truth);
        plain::enter(truth, value, change)
    }

    /// Evaluates the landing of learned steps, and keeps or undoes it; returns whether it was kept.
    fn land<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
        attempt: Attempt,
    ) -> Result<bool, Ended> {
        let tolerance = self.settings.rule.landing_tolerance;
        let judged = truth
            .judge(attempt, true, |trusted, landed, _| field::is_no_worse(trusted, landed, tolerance))?;
        match judged.value {
            Some(value) if judged.accepted => {
                forget_if_changed(truth);
                truth.settle(value)?;
            }
            value => {
                if value.is_some() {
                    // The true gradient at an undone landing is a sample to learn from all the same.
                    forget_if_changed(truth);
                    truth.engine.record()?;
                }
                truth.undo()?;
            }
        }
        if truth.leave(&judged)? {
            truth.check_budget()?;
            let value = truth.evaluate()?;
            self.enter(truth, value, 0.0)?;
        }
        Ok(judged.accepted)
    }
}

/// Drops the samples of an old revision of the objective: nothing is learned from them.
fn forget_if_changed<O: Objective, E: Engine, W: Observer>(truth: &mut Truth<O, E, W>) {
    if truth.has_changed() {
        truth.engine.forget();
    }
}

/// One step of the base flow with the trusted gradient.
fn true_update<O: Objective, E: Engine, W: Observer>(truth: &mut Truth<O, E, W>) -> Result<Landing, Ended> {
    truth.step()?;
    truth.read()
}

/// Takes learned steps until x is further than `reach` from the trusted iterate; `so_far` is the true step.
fn learned_steps<O: Objective, E: Engine, W: Observer>(
    truth: &mut Truth<O, E, W>,
    reach: f64,
    horizon: usize,
    one_step: PhaseLimits,
    so_far: Landing,
) -> Result<Landing, Ended> {
    let mut sum = so_far;
    while sum.steps < horizon {
        if sum.change > reach {
            sum.end = PhaseEnd::Radius;
            break;
        }
        truth.engine.integrate(one_step)?;
        let landing = truth.read()?;
        sum = Landing {
            steps: sum.steps + landing.steps,
            predicted_change: sum.predicted_change + landing.predicted_change,
            end: sum.end,
            ..landing
        };
        if landing.steps == 0 || landing.end == PhaseEnd::NonFinite {
            sum.end = PhaseEnd::NonFinite;
            break;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reach_follows_the_angle() {
        let rule = CosineTest::default();
        let compare =
            |learned: &[f64], truth: &[f64]| StepComparison::of(learned, truth, &vec![0.0; truth.len()]);
        let at = |degrees: f64| {
            rule.judge(0.1, compare(&[degrees.to_radians().cos(), degrees.to_radians().sin()], &[2.0, 0.0]))
        };
        assert_eq!((at(10.0).reach, at(10.0).dropped), (0.1 * 1.5, false));
        assert_eq!((at(60.0).reach, at(60.0).dropped), (0.1 * 0.8, false));
        assert_eq!((at(100.0).reach, at(100.0).dropped), (0.1 * 0.5, true));
        approx::assert_relative_eq!(at(60.0).cosine, 0.5, epsilon = 1e-12);
        assert_eq!(rule.judge(0.4, compare(&[1.0], &[1.0])).reach, 0.5, "capped");
        assert_eq!(
            rule.judge(0.1, compare(&[1e-5], &[-1e-5])),
            Verdict { cosine: -1.0, reach: 0.125, dropped: false }
        );
        assert!(
            rule.judge(0.1, compare(&[f64::NAN], &[0.0])).dropped
                && rule.judge(0.1, compare(&[1.0], &[0.0])).dropped
        );
        assert_eq!(
            (rule.first_reach(Some(0.01)).unwrap(), rule.first_reach(Some(3.0)).unwrap()),
            (0.02, 0.5)
        );
        rule.first_reach(None).unwrap_err();
    }
}
