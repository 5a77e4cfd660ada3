//! An unconstrained parametrisation of a box with a volume constraint, for flows that know no constraints.

use crate::domain::{Bounds, BoundsRef, Domain, Volume, bisect, sigmoid};
use crate::error::{Error, ObjectiveError, Result};
use crate::linalg::dot;
use crate::objective::Objective;

/// f(x(θ)) with xᵢ = lᵢ + (uᵢ − lᵢ) σ(θᵢ + b), where the shift b(θ) makes Σ wᵢ xᵢ = V hold exactly.
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
    bounds: Bounds,
    volume: Volume,
}

impl<O: Objective> SigmoidDesign<O> {
    /// Wraps `inner`, whose domain must be a box with finite bounds and a volume.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for another domain, and when the volume leaves no
    /// interior design.
    pub fn new(inner: O) -> Result<Self> {
        let domain = inner.domain();
        let Domain::BoxVolume { bounds, volume } = domain.clone() else {
            return Err(Error::domain(
                "the sigmoid parametrisation",
                "an objective on a box with a volume constraint",
            ));
        };
        domain.require_widths(inner.dimension(), "the sigmoid parametrisation")?;
        let fraction = match bounds.view() {
            BoundsRef::Uniform { lower, upper } => {
                let total: f64 = volume.weights.iter().sum();
                (volume.bound / total - lower) / (upper - lower)
            }
            BoundsRef::PerUnknown { .. } => {
                let [least, most, _] = domain.volume_range(&volume);
                (volume.bound - least) / (most - least)
            }
        };
        if !(1e-6..=1.0 - 1e-6).contains(&fraction) {
            return Err(Error::invalid(
                "the volume fraction",
                fraction,
                "at least 1e-6 from 0 and from 1 for flows in the sigmoid parametrisation (use the OC flow)",
            ));
        }
        Ok(Self { inner, bounds, volume })
    }

    /// A view of the wrapped objective.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The wrapped objective, to change it.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }

    /// The design x(θ) of the argument θ, length d.
    pub fn design(&self, theta: &[f64]) -> Vec<f64> {
        let shift = self.shift(theta);
        let bounds = self.bounds.view();
        theta.iter().enumerate().map(|(i, t)| within(bounds.at(i), sigmoid(t + shift))).collect()
    }

    /// The shift b with Σ wᵢ x(θᵢ + b) = V, to rounding.
    fn shift(&self, theta: &[f64]) -> f64 {
        let (least, greatest) =
            theta.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(*t), b.max(*t)));
        let bounds = self.bounds.view();
        // σ(±40) is 0 or 1 to the last bit, so the root lies between.
        let [low, high] = bisect([-greatest - 40.0, -least + 40.0], f64::EPSILON, |shift| {
            let parts = theta.iter().zip(&self.volume.weights[..]).enumerate();
            let volume: f64 = parts.map(|(i, (t, w))| w * within(bounds.at(i), sigmoid(t + shift))).sum();
            volume < self.volume.bound
        });
        0.5 * (low + high)
    }
}

/// The point of an interval at the relative position `share`.
fn within([lower, upper]: [f64; 2], share: f64) -> f64 {
    lower + (upper - lower) * share
}

impl<O: Objective> Objective for SigmoidDesign<O> {
    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn evaluate(&mut self, theta: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let x = self.design(theta);
        let value = self.inner.evaluate(&x, gradient)?;
        let bounds = self.bounds.view();
        let slope_at = |(i, x): (usize, &f64)| {
            let [lower, upper] = bounds.at(i);
            (x - lower) * (upper - x) / (upper - lower)
        };
        let slope: Vec<f64> = x.iter().enumerate().map(slope_at).collect();
        let along = dot(&slope, gradient);
        let across = dot(&slope, &self.volume.weights);
        let lambda = if across > 0.0 { along / across } else { 0.0 };
        for ((g, s), w) in gradient.iter_mut().zip(&slope).zip(&self.volume.weights[..]) {
            *g = s * (*g - lambda * w);
        }
        Ok(value)
    }

    fn has_state(&self) -> bool {
        self.inner.has_state()
    }

    fn state(&self) -> Result<Vec<u8>, ObjectiveError> {
        self.inner.state()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), ObjectiveError> {
        self.inner.restore(state)
    }

    fn revision(&self) -> u64 {
        self.inner.revision()
    }
}
