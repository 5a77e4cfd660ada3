use super::{FlowRule, Separable, StepParameters};
use crate::error::{Error, Result};
use crate::scalar::{Scalar, vectorised};

/// Relaxed Newton, x ← x − η H⁻¹g: the explicit Euler discretisation of x' = −H⁻¹g with step η. The objective
/// supplies H⁻¹g ([`Objective::newton_direction`](crate::objective::Objective::newton_direction)).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Newton {
    /// The relaxation η > 0; 1 is a full step.
    pub rate: f64,
}

impl Newton {
    /// One step of one unknown, of which `direction` is the entry of H⁻¹g.
    #[inline(always)]
    pub fn update<T: Scalar>(&self, x: T, direction: T) -> T {
        x - T::of(self.rate) * direction
    }
}

impl FlowRule for Newton {
    const NAME: &'static str = "newton";

    fn validate_parameters(&self) -> Result<()> {
        Error::require_positive("the rate", self.rate).map(drop)
    }

    fn rate(&self) -> Option<f64> {
        Some(self.rate)
    }

    fn is_driven_by_velocity(&self) -> bool {
        true
    }

    fn needs_newton_direction(&self) -> bool {
        true
    }

    fn equation_vectors(&self) -> usize {
        1
    }
}

impl Separable for Newton {
    const RULE: (&'static str, u32) = ("RULE_DESCENT", 0);

    fn parameters(&self, _: u64) -> StepParameters {
        StepParameters { rule: Self::RULE.1, rate: self.rate as f32, ..StepParameters::default() }
    }

    fn advance<T: Scalar>(&self, _: u64, x: &mut [T], _: &mut [&mut [T]], g: &[T]) {
        let (flow, unknowns) = (*self, x.iter_mut().zip(g));
        vectorised(
            #[inline(always)]
            move || unknowns.for_each(|(x, g)| *x = flow.update(*x, *g)),
        )
    }
}
