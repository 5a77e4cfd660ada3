//! An unconstrained parametrisation of a box with a volume constraint, for flows that know no constraints.

use crate::error::{Error, ObjectiveError, Result};
use crate::objective::{Domain, Objective};

/// f(x(θ)) with xᵢ = l + (u − l) σ(θᵢ + b), where the shift b(θ) makes Σ wᵢ xᵢ = V hold exactly.
///
/// Chosen over a penalty or an augmented Lagrangian because every iterate is feasible: the objective reported
/// is the compliance of a design that may be used, and there is no penalty factor to tune. The gradient by
/// implicit differentiation, sᵢ = dxᵢ/dθᵢ at fixed b: ∂f/∂θᵢ = sᵢ (gᵢ − λ wᵢ), λ = Σ sⱼ gⱼ / Σ sⱼ wⱼ. The
/// same shift is the projection of mirror descent with the Fermi–Dirac entropy (SiMPL, arXiv 2411.19421).
///
/// Cost beyond the inner objective: about 60 passes over θ for the shift.
#[derive(Debug)]
pub struct SigmoidDesign<O> {
    inner: O,
    lower: f64,
    upper: f64,
    weights: Vec<f64>,
    volume: f64,
}

impl<O: Objective> SigmoidDesign<O> {
    /// Wraps `inner`, whose domain must be a box with a volume.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for another domain, and when the volume leaves no
    /// interior design.
    pub fn new(inner: O) -> Result<Self> {
        let Domain::BoxVolume { lower, upper, weights, volume } = inner.domain() else {
            return Err(Error::domain(
                "the sigmoid parametrisation",
                "an objective on a box with a volume constraint",
            ));
        };
        let total: f64 = weights.iter().sum();
        let fraction = (volume / total - lower) / (upper - lower);
        if !(1e-6..=1.0 - 1e-6).contains(&fraction) {
            return Err(Error::invalid(
                "the volume fraction",
                fraction,
                "at least 1e-6 from 0 and from 1 for flows in the sigmoid parametrisation (use the OC flow)",
            ));
        }
        Ok(Self { inner, lower, upper, weights, volume })
    }

    /// The wrapped objective.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The wrapped objective.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }

    /// The design x(θ).
    pub fn design(&self, theta: &[f64]) -> Vec<f64> {
        let shift = self.shift(theta);
        theta.iter().map(|t| self.lower + (self.upper - self.lower) * sigmoid(t + shift)).collect()
    }

    /// b with Σ wᵢ x(θᵢ + b) = V: bisection down to rounding.
    fn shift(&self, theta: &[f64]) -> f64 {
        let (least, greatest) =
            theta.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(*t), b.max(*t)));
        // σ(±40) is 0 or 1 to the last bit, so the root lies between.
        let (mut low, mut high) = (-greatest - 40.0, -least + 40.0);
        loop {
            let middle = 0.5 * (low + high);
            if high - low <= f64::EPSILON * middle.abs().max(1.0) {
                return middle;
            }
            let volume: f64 = theta
                .iter()
                .zip(&self.weights)
                .map(|(t, w)| w * (self.lower + (self.upper - self.lower) * sigmoid(t + middle)))
                .sum();
            if volume < self.volume { low = middle } else { high = middle }
        }
    }
}

/// 1/(1 + e⁻ᵗ).
pub(crate) fn sigmoid(t: f64) -> f64 {
    // Both branches avoid overflow of exp.
    if t >= 0.0 { 1.0 / (1.0 + (-t).exp()) } else { t.exp() / (1.0 + t.exp()) }
}

impl<O: Objective> Objective for SigmoidDesign<O> {
    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn evaluate(&mut self, theta: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let x = self.design(theta);
        let value = self.inner.evaluate(&x, gradient)?;
        let width = self.upper - self.lower;
        let slope: Vec<f64> = x.iter().map(|x| (x - self.lower) * (self.upper - x) / width).collect();
        let along: f64 = slope.iter().zip(&*gradient).map(|(s, g)| s * g).sum();
        let across: f64 = slope.iter().zip(&self.weights).map(|(s, w)| s * w).sum();
        let lambda = if across > 0.0 { along / across } else { 0.0 };
        for ((g, s), w) in gradient.iter_mut().zip(&slope).zip(&self.weights) {
            *g = s * (*g - lambda * w);
        }
        Ok(value)
    }

    fn revision(&self) -> u64 {
        self.inner.revision()
    }
}
