use crate::error::{Error, Result};
use crate::scalar::Scalar;

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
    #[inline(always)]
    pub fn update<T: Scalar>(&self, x: T, g: T) -> T {
        x - T::of(self.rate) * g
    }
}
