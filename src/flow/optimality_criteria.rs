use crate::domain::clip;
use super::FlowRule;
use crate::domain::Domain;
use crate::error::{Error, Result};

/// Optimality criteria: x ← clip(x √(−g/(λw)), max(l, x−move), min(u, x+move)), the multiplier λ from Σ w x =
/// V, solved to the last bit.
///
/// Needs g ≤ 0 (more material never hurts); larger values are clipped to −10⁻¹².
/// Source: Bendsøe & Sigmund, *Topology Optimization*, 2003; Andreassen et al. 2011.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct OptimalityCriteria {
    /// The largest change of an unknown in one step, in (0, 1] times the width between its bounds.
    pub move_limit: f64,
}

impl Default for OptimalityCriteria {
    fn default() -> Self {
        Self { move_limit: 0.2 }
    }
}

impl OptimalityCriteria {
    /// −g is kept at or above this.
    pub const GRADIENT_FLOOR: f64 = 1e-12;

    /// What x becomes at λ = 1, before clipping: x √(−g/w).
    pub fn growth(x: f64, g: f64, w: f64) -> f64 {
        x * ((-g).max(Self::GRADIENT_FLOOR) / w).sqrt()
    }

    /// x at the scale s = 1/√λ, clipped to the move limit and the bounds.
    pub fn clip(&self, x: f64, growth: f64, scale: f64, lower: f64, upper: f64) -> f64 {
        let reach = self.move_limit * (upper - lower);
        clip(growth * scale, (x - reach).max(lower), (x + reach).min(upper))
    }
}

impl FlowRule for OptimalityCriteria {
    const NAME: &'static str = "oc";

    fn validate_parameters(&self) -> Result<()> {
        if self.move_limit > 0.0 && self.move_limit <= 1.0 {
            Ok(())
        } else {
            Err(Error::invalid("the move limit", self.move_limit, "above 0 and at most 1"))
        }
    }

    fn rate(&self) -> Option<f64> {
        None
    }

    fn longest_step(&self) -> Option<f64> {
        Some(self.move_limit)
    }

    fn check_domain(&self, domain: &Domain) -> Result<()> {
        let Domain::BoxVolume { bounds, volume } = domain else {
            return Err(Error::domain("the OC flow", "an objective on a box with a volume constraint"));
        };
        let mut each = (0..volume.weights.len()).map(|i| bounds.view().at(i));
        match each.find(|[lower, upper]| *lower < 0.0 || *upper == f64::INFINITY) {
            Some([lower, _]) if lower < 0.0 => Err(Error::invalid(
                "the design's lower bound",
                lower,
                "at least 0 for the OC flow, whose steps are factors",
            )),
            Some([_, upper]) => Err(Error::invalid(
                "the design's upper bound",
                upper,
                "finite for the OC flow, whose move limit is a share of the bounds' width",
            )),
            None => Ok(()),
        }
    }
}
