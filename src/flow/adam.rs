use crate::error::{Error, Result};

/// ADAM: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², x ← x − η m̂ / (√v̂ + ε), m̂ = m/(1−β₁ᵏ), v̂ = v/(1−β₂ᵏ).
///
/// This is the semi-implicit discretisation, with step η, of the ADAM flow; replaying it with the predicted gradient costs one
/// prediction per step and keeps the dynamics of true and surrogate phase the same.
/// Source: Kingma & Ba, ICLR 2015.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// The rate η > 0.
    pub rate: f64,
    /// Decay of the first moment, in [0, 1).
    pub beta1: f64,
    /// Decay of the second moment, in [0, 1).
    pub beta2: f64,
    /// Keeps the denominator from zero, > 0.
    pub epsilon: f64,
}

impl Adam {
    /// The usual β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸.
    pub fn new(rate: f64) -> Self {
        Self { rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        Error::require_positive("the rate", self.rate)?;
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::invalid(name, beta, "at least 0 and below 1"));
            }
        }
        Error::require_positive("epsilon", self.epsilon).map(drop)
    }

    /// The bias corrections (1 − β₁ᵏ, 1 − β₂ᵏ) of step `k` ≥ 1.
    pub fn corrections(&self, k: u64) -> (f64, f64) {
        // expm1 keeps the digits that 1 − β₂ᵏ loses for β₂ near 1.
        let correction = |beta: f64| -(k as f64 * beta.ln()).exp_m1();
        (correction(self.beta1), correction(self.beta2))
    }

    /// One step of one unknown; updates the moments and returns the new x.
    pub fn update(&self, x: f64, g: f64, m: &mut f64, v: &mut f64, corrections: (f64, f64)) -> f64 {
        *m = self.beta1 * *m + (1.0 - self.beta1) * g;
        *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
        x - self.rate * (*m / corrections.0) / ((*v / corrections.1).sqrt() + self.epsilon)
    }
}
