use crate::domain::clip;
use super::FlowRule;
use crate::domain::Domain;
use crate::error::{Error, Result};

/// Projected gradient, x ← P(x − η g), P the Euclidean projection onto the domain: a box, or a box and Σ w x
/// ≤ V. Exact: with the multiplier μ ≥ 0 of the linear constraint, P(y) = clip(y − μ w), and μ is settled to
/// the last bit.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProjectedGradient {
    /// The rate η > 0.
    pub rate: f64,
}

impl ProjectedGradient {
    /// clip(x − η g − μ w).
    pub fn update(&self, x: f64, g: f64, w: f64, mu: f64, lower: f64, upper: f64) -> f64 {
        clip(x - self.rate * g - mu * w, lower, upper)
    }
}

impl FlowRule for ProjectedGradient {
    const NAME: &'static str = "projected-gradient";

    fn validate_parameters(&self) -> Result<()> {
        Error::require_positive("the rate", self.rate).map(drop)
    }

    fn rate(&self) -> Option<f64> {
        Some(self.rate)
    }

    fn check_domain(&self, _: &Domain) -> Result<()> {
        Ok(())
    }
}
