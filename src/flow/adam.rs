use super::{FlowRule, Separable, StepParameters};
use crate::error::{Error, Result};
use crate::scalar::{Scalar, vectorised};

/// ADAM: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², x ← x − η m̂ / (√v̂ + ε), m̂ = m/(1−β₁ᵏ), v̂ = v/(1−β₂ᵏ).
///
/// This is the semi-implicit discretisation, with step η, of the ADAM flow; replaying it with the predicted
/// gradient costs one prediction per step and keeps the dynamics of true and surrogate phase the same.
/// Source: Kingma & Ba, ICLR 2015.
///
/// Whatever the gradient's size, the first step has the length of the rate:
/// ```
/// use lgf::flow::Adam;
///
/// let (adam, mut m, mut v) = (Adam::new(0.1), 0.0, 0.0);
/// let x: f64 = adam.update(1.0, 5.0, &mut m, &mut v, None, adam.corrections(1));
/// assert!((x - 0.9).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Adam {
    /// The rate η > 0.
    pub rate: f64,
    /// Decay of the first moment, in [0, 1).
    pub beta1: f64,
    /// Decay of the second moment, in [0, 1).
    pub beta2: f64,
    /// Keeps the denominator from zero, > 0.
    pub epsilon: f64,
    /// AMSGrad: v̂ uses the running maximum of v (Reddi, Kale & Kumar, ICLR 2018).
    pub amsgrad: bool,
}

impl Adam {
    /// The usual β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸.
    pub fn new(rate: f64) -> Self {
        Self { rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, amsgrad: false }
    }

    /// The bias corrections (1 − β₁ᵏ, 1 − β₂ᵏ) of step `k` ≥ 1.
    pub fn corrections(&self, k: u64) -> (f64, f64) {
        // expm1 keeps the digits that 1 − β₂ᵏ loses for β₂ near 1.
        let correction = |beta: f64| -(k as f64 * beta.ln()).exp_m1();
        (correction(self.beta1), correction(self.beta2))
    }

    /// The bias corrections 1 − β^{t/η} at flow time t, floored at 10⁻¹⁶.
    pub fn corrections_at(&self, t: f64) -> [f64; 2] {
        [self.beta1, self.beta2].map(|beta| (-(t / self.rate * beta.ln()).exp_m1()).max(1e-16))
    }

    /// One step of one unknown; updates the moments (and the maximum, for AMSGrad) and returns the new x.
    #[inline(always)]
    pub fn update<T: Scalar>(
        &self,
        x: T,
        g: T,
        m: &mut T,
        v: &mut T,
        maximum: Option<&mut T>,
        corrections: (f64, f64),
    ) -> T {
        *m = T::of(self.beta1) * *m + T::of(1.0 - self.beta1) * g;
        *v = T::of(self.beta2) * *v + T::of(1.0 - self.beta2) * g * g;
        let v = match maximum {
            Some(maximum) => {
                *maximum = maximum.max(*v);
                *maximum
            }
            None => *v,
        };
        x - T::of(self.rate) * (*m / T::of(corrections.0))
            / ((v / T::of(corrections.1)).sqrt() + T::of(self.epsilon))
    }

    /// The ADAM flow at time t = η·(step number), as a function (m, v, second, g) → [x', m', v']: m' =
    /// (1−β₁)(g−m)/η, v' = (1−β₂)(g²−v)/η, x' = −m̂/(√v̂ + ε), the bias corrections with real exponents t/η
    /// and floored at 10⁻¹⁶: one over [`corrections_at`](Self::corrections_at) time t, which all unknowns
    /// share. `second` is what v̂ is made from: v, or AMSGrad's maximum, which is held during a step.
    pub fn velocity<T: Scalar>(
        &self,
        inverse: [f64; 2],
    ) -> impl Fn(T, T, T, T) -> [T; 3] + Copy + Send + Sync + use<T> {
        let [inverse1, inverse2] = inverse.map(T::of);
        let [toward1, toward2] = [self.beta1, self.beta2].map(|beta| T::of((1.0 - beta) / self.rate));
        let epsilon = T::of(self.epsilon);
        #[inline(always)]
        move |m, v, second, g| {
            let x = -(m * inverse1) / ((second * inverse2).max(T::zero()).sqrt() + epsilon);
            [x, toward1 * (g - m), toward2 * (g * g - v)]
        }
    }
}

impl FlowRule for Adam {
    const NAME: &'static str = "adam";

    fn validate_parameters(&self) -> Result<()> {
        Error::require_positive("the rate", self.rate)?;
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::invalid(name, beta, "at least 0 and below 1"));
            }
        }
        Error::require_positive("epsilon", self.epsilon).map(drop)
    }

    fn rate(&self) -> Option<f64> {
        Some(self.rate)
    }

    fn auxiliary_vectors(&self) -> usize {
        2 + usize::from(self.amsgrad)
    }

    fn equation_vectors(&self) -> usize {
        3
    }

    fn longest_step(&self) -> Option<f64> {
        Some(self.rate)
    }
}

impl Separable for Adam {
    const RULE: (&'static str, u32) = ("RULE_ADAM", 2);

    fn parameters(&self, k: u64) -> StepParameters {
        let (correction1, correction2) = self.corrections(k);
        StepParameters {
            rule: Self::RULE.1,
            rate: self.rate as f32,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            one_minus_beta1: (1.0 - self.beta1) as f32,
            one_minus_beta2: (1.0 - self.beta2) as f32,
            epsilon: self.epsilon as f32,
            correction1: correction1 as f32,
            correction2: correction2 as f32,
            amsgrad: u32::from(self.amsgrad),
            ..StepParameters::default()
        }
    }

    fn advance<T: Scalar>(&self, k: u64, x: &mut [T], own: &mut [&mut [T]], g: &[T]) {
        // A copy: a division of two of the flow's numbers through a reference is repeated for every unknown.
        let (flow, corrections) = (*self, self.corrections(k));
        let unknowns = x.iter_mut().zip(g);
        match own {
            [m, v] => vectorised(
                #[inline(always)]
                move || {
                    unknowns
                        .zip(m.iter_mut().zip(v.iter_mut()))
                        .for_each(|((x, g), (m, v))| *x = flow.update(*x, *g, m, v, None, corrections))
                },
            ),
            [m, v, maximum] => {
                let moments = m.iter_mut().zip(v.iter_mut()).zip(maximum.iter_mut());
                vectorised(
                    #[inline(always)]
                    move || {
                        unknowns.zip(moments).for_each(|((x, g), ((m, v), a))| {
                            *x = flow.update(*x, *g, m, v, Some(a), corrections)
                        })
                    },
                )
            }
            _ => unreachable!("ADAM has two vectors of its own, three with AMSGrad"),
        }
    }
}
