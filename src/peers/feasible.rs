//! The feasible set and the projection onto it.

use crate::error::{Error, Result};
use crate::objective::Domain;

/// A box, with at most one bound Σ wᵢ xᵢ ≤ V.
pub(super) struct Feasible {
    pub lower: f64,
    pub upper: f64,
    /// Weights and bound.
    pub volume: Option<(Vec<f64>, f64)>,
}

impl Feasible {
    pub(super) fn new(domain: Domain) -> Result<Self> {
        match domain {
            Domain::Unbounded => Err(Error::domain("this optimizer", "an objective with bounds")),
            Domain::Box { lower, upper } => Ok(Self { lower, upper, volume: None }),
            Domain::BoxVolume { lower, upper, weights, volume } => {
                Ok(Self { lower, upper, volume: Some((weights, volume)) })
            }
        }
    }

    /// The weights and the bound, for optimizers that cannot do without.
    pub(super) fn bound(&self) -> Result<(&[f64], f64)> {
        match &self.volume {
            Some((weights, volume)) => Ok((weights, *volume)),
            None => Err(Error::domain("this optimizer", "an objective with a volume constraint")),
        }
    }

    fn shifted(&self, y: &[f64], weights: &[f64], mu: f64) -> Vec<f64> {
        y.iter().zip(weights).map(|(y, w)| (y - mu * w).clamp(self.lower, self.upper)).collect()
    }

    /// The nearest feasible point: clip(y − μ w) with the least μ ≥ 0 that keeps the bound, to rounding.
    pub(super) fn project(&self, y: &[f64]) -> Vec<f64> {
        let clipped: Vec<f64> = y.iter().map(|y| y.clamp(self.lower, self.upper)).collect();
        let Some((weights, volume)) = &self.volume else { return clipped };
        let total = |x: &[f64]| super::dot(x, weights);
        if total(&clipped) <= *volume {
            return clipped;
        }
        // At the upper end every unknown is at its lower bound.
        let (mut low, mut high) =
            (0.0, y.iter().zip(weights).fold(0.0_f64, |m, (y, w)| m.max((y - self.lower) / w)));
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if total(&self.shifted(y, weights, middle)) > *volume { low = middle } else { high = middle }
        }
        self.shifted(y, weights, high)
    }
}
