//! Elementwise transforms of the targets.

use crate::error::{Error, Result};

/// y = encode(g, x) is what is learned; decode(y, x) gives g back.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TargetTransform {
    /// No transform, y = g.
    Identity,
    /// y = log(−g) + a·log(max(x, 10⁻³)), for gradients that are negative and span decades (compliance).
    ///
    /// Predictions stay negative, and a > 0 builds in the curvature of a member whose force stays as it is
    /// when x changes: the larger a, the shorter and safer the strides.
    LogDamped {
        /// The damping a, in [−4, 4].
        damping: f64,
    },
}

impl TargetTransform {
    /// −g is kept at or above this before the logarithm.
    pub const GRADIENT_FLOOR: f64 = 1e-12;
    /// x is kept at or above this before the logarithm.
    pub const ITERATE_FLOOR: f64 = 1e-3;

    pub(crate) fn validate(&self) -> Result<()> {
        match self {
            Self::LogDamped { damping } if !(-4.0..=4.0).contains(damping) => {
                Err(Error::invalid("the damping", damping, "between -4 and 4"))
            }
            _ => Ok(()),
        }
    }

    /// y from g at x.
    pub fn encode(&self, g: f64, x: f64) -> f64 {
        match self {
            Self::Identity => g,
            Self::LogDamped { damping } => {
                (-g).max(Self::GRADIENT_FLOOR).ln() + damping * x.max(Self::ITERATE_FLOOR).ln()
            }
        }
    }

    /// g from y at x.
    pub fn decode(&self, y: f64, x: f64) -> f64 {
        match self {
            Self::Identity => y,
            Self::LogDamped { damping } => -(y - damping * x.max(Self::ITERATE_FLOOR).ln()).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_undoes_encode(g in -1e3_f64..-1e-9, x in 0.0_f64..1.0, damping in -1.5_f64..3.0) {
            let transform = TargetTransform::LogDamped { damping };
            let back = transform.decode(transform.encode(g, x), x);
            // The logarithms are at most ~28 in size; their rounding is the relative error of exp.
            prop_assert!((back - g).abs() <= 64.0 * f64::EPSILON * g.abs());
        }
    }
}
