use super::validate_rate;
use crate::error::Result;

/// Gradient descent, x ← x − η g: the explicit Euler discretisation of x' = −g with step η.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientDescent {
    /// The rate η > 0.
    pub rate: f64,
}

impl GradientDescent {
    pub(crate) fn validate(&self) -> Result<()> {
        validate_rate(self.rate)
    }

    /// One step of one unknown.
    pub fn update(&self, x: f64, g: f64) -> f64 {
        x - self.rate * g
    }
}
