use super::{FlowRule, Separable, StepParameters};
use crate::error::{Error, Result};
use crate::scalar::{Scalar, vectorised};

/// Gradient descent, x ← x − η g: the explicit Euler discretisation of x' = −g with step η.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GradientDescent {
    /// The rate η > 0.
    pub rate: f64,
}

impl GradientDescent {
    /// One step of one unknown.
    #[inline(always)]
    pub fn update<T: Scalar>(&self, x: T, g: T) -> T {
        x - T::of(self.rate) * g
    }
}

impl FlowRule for GradientDescent {
    const NAME: &'static str = "gradient-descent";

    fn validate_parameters(&self) -> Result<()> {
        Error::require_positive("the rate", self.rate).map(drop)
    }

    fn rate(&self) -> Option<f64> {
        Some(self.rate)
    }

    fn is_driven_by_velocity(&self) -> bool {
        true
    }

    fn equation_vectors(&self) -> usize {
        1
    }
}

impl Separable for GradientDescent {
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
