use super::{FlowRule, Separable, StepParameters};
use crate::error::{Error, Result};
use crate::scalar::{Scalar, vectorised};

/// Momentum, m' = −c m − g, x' = m, discretised with step h: m ← μ m − h g with μ = 1 − c h, then x ← x + h m
/// (heavy ball) or x ← x + h (μ m − h g) (Nesterov, in the form that needs no gradient at the look-ahead
/// point).
///
/// In the usual terms: momentum μ and learning rate h².
/// Sources: Polyak, USSR Comput. Math. 4(5) (1964) 1; Sutskever et al., ICML 2013.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Momentum {
    /// The step h > 0 in flow time.
    pub rate: f64,
    /// The friction c ≥ 0, with c h < 1.
    pub friction: f64,
    /// Whether to take Nesterov's step.
    pub nesterov: bool,
}

impl Momentum {
    /// μ = 1 − c h.
    #[inline]
    pub fn decay(&self) -> f64 {
        1.0 - self.friction * self.rate
    }

    /// One step of one unknown; updates the momentum and returns the new x.
    #[inline(always)]
    pub fn update<T: Scalar>(&self, x: T, g: T, m: &mut T) -> T {
        let (h, mu) = (T::of(self.rate), T::of(self.decay()));
        *m = mu * *m - h * g;
        x + h * if self.nesterov { mu * *m - h * g } else { *m }
    }

    /// The flow as a function (m, g) → [x', m'].
    pub fn velocity<T: Scalar>(&self) -> impl Fn(T, T) -> [T; 2] + Copy + Send + Sync + use<T> {
        let friction = T::of(self.friction);
        #[inline(always)]
        move |m, g| [m, -friction * m - g]
    }
}

impl FlowRule for Momentum {
    const NAME: &'static str = "momentum";

    fn validate_parameters(&self) -> Result<()> {
        Error::require_positive("the rate", self.rate)?;
        let decay = self.friction * self.rate;
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::invalid(
                "the friction",
                self.friction,
                format!("at least 0 and below 1/rate, {}", 1.0 / self.rate),
            ));
        }
        Ok(())
    }

    fn rate(&self) -> Option<f64> {
        Some(self.rate)
    }

    fn auxiliary_vectors(&self) -> usize {
        1
    }

    fn equation_vectors(&self) -> usize {
        2
    }
}

impl Separable for Momentum {
    const RULE: (&'static str, u32) = ("RULE_MOMENTUM", 1);

    fn parameters(&self, _: u64) -> StepParameters {
        StepParameters {
            rule: Self::RULE.1,
            rate: self.rate as f32,
            decay: self.decay() as f32,
            nesterov: u32::from(self.nesterov),
            ..StepParameters::default()
        }
    }

    fn advance<T: Scalar>(&self, _: u64, x: &mut [T], own: &mut [&mut [T]], g: &[T]) {
        let [m] = own else { unreachable!("momentum has one vector of its own") };
        let (flow, unknowns) = (*self, x.iter_mut().zip(g));
        vectorised(
            #[inline(always)]
            move || unknowns.zip(m.iter_mut()).for_each(|((x, g), m)| *x = flow.update(*x, *g, m)),
        )
    }
}
