//! Model selection: which order, rank and ridge predict the newest samples best from the older ones.

use super::{Rank, Ridge, SpaceConfig, SurrogateConfig, Targets};
use crate::error::{Error, Result};

/// Candidates around a base configuration, judged at every refit by holding out the newest samples, one at a
/// time: fold j fits the samples before the j-th newest and predicts its target. All candidates × folds ×
/// coordinates are one batch of regressions.
///
/// If no candidate beats the prediction that the gradient stays as it is, no surrogate step is taken. Off by
/// default: two samples are a short view, and in slow tails the hold-out refuses models that would have done.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ModelSelection {
    /// Orders 1 to this are tried.
    pub max_order: usize,
    /// The base ridge, and this factor below and above it, > 1.
    pub ridge_factor: f64,
    /// Samples held out, 1 to half the history.
    pub folds: usize,
}

impl Default for ModelSelection {
    fn default() -> Self {
        Self { max_order: 2, ridge_factor: 10.0, folds: 2 }
    }
}

impl ModelSelection {
    /// All candidates: orders × ranks (the base's, and half the directions) × ridges.
    pub fn candidates(&self, base: &SurrogateConfig, samples: usize) -> Vec<SurrogateConfig> {
        let SpaceConfig::Reduced { rank, centered } = base.space else { return vec![*base] };
        let half = Rank::Count((samples / 2).max(1));
        let ridges = [1.0 / self.ridge_factor, 1.0, self.ridge_factor].map(|f| match base.regression.ridge {
            Ridge::Absolute(a) => Ridge::Absolute(a * f),
            Ridge::Relative(a) => Ridge::Relative(a * f),
        });
        let mut all = Vec::new();
        for order in 1..=self.max_order {
            for rank in [rank, half] {
                for ridge in ridges {
                    let mut candidate =
                        SurrogateConfig { order, space: SpaceConfig::Reduced { rank, centered }, ..*base };
                    candidate.regression.ridge = ridge;
                    all.push(candidate);
                }
            }
        }
        all
    }

    pub(crate) fn validate(&self, base: &SurrogateConfig, capacity: usize) -> Result<()> {
        if !(1..=4).contains(&self.max_order) {
            return Err(Error::invalid(
                "the highest order to select from",
                self.max_order,
                "between 1 and 4",
            ));
        }
        if !(self.ridge_factor > 1.0 && self.ridge_factor.is_finite()) {
            return Err(Error::invalid("the ridge factor", self.ridge_factor, "above 1 and finite"));
        }
        if !(1..=capacity / 2).contains(&self.folds) {
            return Err(Error::invalid(
                "the number of folds",
                self.folds,
                format!("between 1 and half the history size, {}", capacity / 2),
            ));
        }
        if base.targets != Targets::Tracked
            || !matches!(base.space, SpaceConfig::Reduced { .. })
            || base.orthonormal
        {
            return Err(Error::Incompatible(
                "model selection goes with tracked targets in a reduced space, without orthonormal features"
                    .into(),
            ));
        }
        Ok(())
    }
}

/// What a selection found: relative errors of predicting the held-out targets, ‖ŷ − y‖ / ‖y‖ over all folds.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// One per candidate.
    pub errors: Vec<f64>,
    /// Of predicting that the target stays what it was one sample before.
    pub persistence: f64,
}

/// The verdict on one refit, for the record.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// Candidates tried.
    pub candidates: usize,
    /// The winner's order.
    pub order: usize,
    /// The winner's most directions; none for all.
    pub rank: Option<usize>,
    /// The winner's ridge, as configured.
    pub ridge: f64,
    /// The winner's validation error.
    pub error: f64,
    /// The runner-up's.
    pub runner_up: Option<f64>,
    /// That of "the gradient stays as it is"; ∞ is null in JSON.
    #[serde(with = "crate::number::or_infinite")]
    pub persistence: f64,
}

impl Selection {
    /// The candidate with the least error; none if that is no better than persistence.
    pub fn winner(&self) -> Option<usize> {
        let best = (0..self.errors.len())
            .filter(|i| self.errors[*i].is_finite())
            .min_by(|a, b| self.errors[*a].total_cmp(&self.errors[*b]))?;
        (self.errors[best] < self.persistence).then_some(best)
    }

    /// The verdict, with `candidate` as its winner.
    pub fn verdict(&self, candidates: &[SurrogateConfig], winner: usize) -> Verdict {
        let candidate = &candidates[winner];
        let (Ridge::Absolute(ridge) | Ridge::Relative(ridge)) = candidate.regression.ridge;
        let runner_up = self
            .errors
            .iter()
            .enumerate()
            .filter(|(i, e)| *i != winner && e.is_finite())
            .map(|(_, e)| *e)
            .min_by(f64::total_cmp);
        Verdict {
            candidates: candidates.len(),
            order: candidate.order,
            rank: match candidate.space {
                SpaceConfig::Reduced { rank: Rank::Count(rank), .. } => Some(rank),
                _ => None,
            },
            ridge,
            error: self.errors[winner],
            runner_up,
            persistence: self.persistence,
        }
    }
}
