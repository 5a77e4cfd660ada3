use super::fixed::MAX_INTERVAL;
use crate::error::{Error, Result};

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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosine {
    /// The newest samples that are kept, 2 to 256.
    pub window: usize,
    /// Samples before the first fit, between 2 and the window.
    pub warm_up: usize,
    /// The c from which on γ grows, in \[bad, 1\].
    pub good: f64,
    /// The c below which the model is dropped, in \[−1, good\].
    pub bad: f64,
    /// γ at the start, above 0 and at most its cap, in x's unit; by default twice the flow's rate, or the cap
    /// if that is less.
    pub reach: Option<f64>,
    /// The cap of γ, finite.
    pub max_reach: f64,
    /// Learned steps between two true points, at most, ≥ 1: what ends phases where steps are too short to
    /// leave γ.
    pub horizon: usize,
    /// How much worse a landing may be, relative to the trusted value.
    pub landing_tolerance: f64,
}

impl Default for Cosine {
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

/// The learned step against the true one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// c; not finite where one of the steps is zero or not finite.
    pub cosine: f64,
    /// The next γ.
    pub reach: f64,
    /// Whether the model is to be dropped.
    pub dropped: bool,
}

impl Cosine {
    /// What a step is compared with to be called tiny, as a share of γ.
    const TINY: f64 = 1e-3;

    /// The default with another window.
    pub fn with_window(window: usize) -> Self {
        let default = Self::default();
        Self { window, warm_up: default.warm_up.min(window), ..default }
    }

    pub(super) fn validate(&self) -> Result<()> {
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

    /// γ₀ for a flow of this rate.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) if there is neither a rate nor a reach.
    pub(crate) fn first_reach(&self, rate: Option<f64>) -> Result<f64> {
        match (self.reach, rate) {
            (Some(reach), _) => Ok(reach),
            (None, Some(rate)) => Ok((2.0 * rate).min(self.max_reach)),
            (None, None) => Err(Error::only_with(
                "the cosine schedule without a first reach",
                "a flow that has a rate, twice which it takes; another flow needs a first reach given",
            )),
        }
    }

    /// γ after a landing that was undone.
    pub(crate) fn after_undone(reach: f64) -> f64 {
        0.5 * reach
    }

    pub(crate) fn judge(&self, reach: f64, learned: &[f64], truth: &[f64]) -> Verdict {
        let largest = |v: &[f64]| v.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let square = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
        let along: f64 = learned.iter().zip(truth).map(|(a, b)| a * b).sum();
        let cosine = along / (square(learned).sqrt() * square(truth).sqrt());
        let finite = learned.iter().all(|v| v.is_finite());
        let tiny = finite && largest(learned).max(largest(truth)) <= Self::TINY * reach;
        let (factor, dropped) = match cosine {
            _ if tiny => (1.25, false),
            c if c >= self.good => (1.5, false),
            c if c >= self.bad => (0.8, false),
            _ => (0.5, true),
        };
        Verdict { cosine, reach: (factor * reach).min(self.max_reach), dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reach_follows_the_angle() {
        let rule = Cosine::default();
        let at = |degrees: f64| {
            rule.judge(0.1, &[degrees.to_radians().cos(), degrees.to_radians().sin()], &[2.0, 0.0])
        };
        assert_eq!((at(10.0).reach, at(10.0).dropped), (0.1 * 1.5, false));
        assert_eq!((at(60.0).reach, at(60.0).dropped), (0.1 * 0.8, false));
        assert_eq!((at(100.0).reach, at(100.0).dropped), (0.1 * 0.5, true));
        approx::assert_relative_eq!(at(60.0).cosine, 0.5, epsilon = 1e-12);
        assert_eq!(rule.judge(0.4, &[1.0], &[1.0]).reach, 0.5, "capped");
        assert_eq!(
            rule.judge(0.1, &[1e-5], &[-1e-5]),
            Verdict { cosine: -1.0, reach: 0.125, dropped: false }
        );
        assert!(rule.judge(0.1, &[f64::NAN], &[0.0]).dropped && rule.judge(0.1, &[1.0], &[0.0]).dropped);
        assert_eq!(
            (rule.first_reach(Some(0.01)).unwrap(), rule.first_reach(Some(3.0)).unwrap()),
            (0.02, 0.5)
        );
        rule.first_reach(None).unwrap_err();
    }
}
