use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Relaxed Newton, x ← x − η H⁻¹g: the explicit Euler discretisation of x' = −H⁻¹g with step η. The objective
/// supplies H⁻¹g ([`Objective::newton_direction`](crate::objective::Objective::newton_direction)).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Newton {
    /// The relaxation η > 0; 1 is a full step.
    pub rate: f64,
}

impl Newton {
    pub(crate) fn validate(&self) -> Result<()> {
        Error::require_positive("the rate", self.rate).map(drop)
    }

    /// One step of one unknown, of which `direction` is the entry of H⁻¹g.
    #[inline(always)]
    pub fn update<T: Scalar>(&self, x: T, direction: T) -> T {
        x - T::of(self.rate) * direction
    }
}
