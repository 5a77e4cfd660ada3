use crate::error::{Error, Result};

/// Gradient descent, x ← x − η g: the explicit Euler discretisation of x' = −g with step η.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GradientDescent {
    /// The rate η > 0.
    pub rate: f64,
}

impl GradientDescent {
    pub(crate) fn validate(&self) -> Result<()> {
        Error::require_positive("the rate", self.rate).map(drop)
    }

    /// One step of one unknown.
    pub fn update(&self, x: f64, g: f64) -> f64 {
        x - self.rate * g
    }
}
