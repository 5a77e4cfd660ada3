//! The volume constraint, one linear inequality.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::linalg::dot;

/// Σ wᵢ xᵢ ≤ V with all wᵢ > 0: the volume constraint of topology optimization.
///
/// The weights are shared, never copied: an objective computes them once and hands out clones, which cost one
/// reference count each.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// The weights wᵢ > 0, length d.
    pub weights: Arc<[f64]>,
    /// The bound V on Σ wᵢ xᵢ.
    pub bound: f64,
}

impl Volume {
    /// The constraint Σ wᵢ xᵢ ≤ `bound` with the `weights` wᵢ.
    pub fn new(weights: impl Into<Arc<[f64]>>, bound: f64) -> Self {
        Self { weights: weights.into(), bound }
    }

    /// The volume Σ wᵢ xᵢ, summed from the first unknown to the last.
    pub fn of(&self, x: &[f64]) -> f64 {
        dot(&self.weights, x)
    }

    /// Checks that there is a weight, finite and positive, for every unknown.
    pub(super) fn validate(&self, dimension: usize) -> Result<()> {
        if self.weights.len() != dimension {
            return Err(Error::length("the volume weights", self.weights.len(), dimension));
        }
        match self.weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            Some(w) => Err(Error::invalid("a volume weight", w, "finite and positive")),
            None => Ok(()),
        }
    }
}
