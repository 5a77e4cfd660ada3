//! The smoothed Heaviside projection that keeps the volume.

use crate::domain::newton;
use crate::error::{Error, Result};

/// The smoothed Heaviside projection of the filtered density ρ̃, for designs with less grey:
/// ρ = (tanh βη + tanh β(ρ̃ − η)) / (tanh βη + tanh β(1 − η)).
///
/// The threshold η is no setting: it is solved for each design so that Σ ρ = Σ ρ̃ over the designed elements.
/// So the volume constraint stays the linear one on ρ̃, the only one
/// [`Domain::BoxVolume`](crate::domain::Domain::BoxVolume) has; with a fixed η it would be nonlinear,
/// which is why there is no such mode. There is always a solution: ρ ≥ ρ̃ at η = 0, ρ ≤ ρ̃ at η = 1, and ρ
/// falls with η in between.
///
/// The gradient is exact, the threshold's change with the design included. Its entries may be positive,
/// though more material never hurts: where it hardly helps, it raises the threshold for all. Optimality
/// criteria cut such entries off, so their first steps are slower than with the published heuristic, which
/// holds η fixed and weighs the volume by ∂ρ/∂ρ̃ as well.
///
/// Cost: about ten hyperbolic tangents per element and evaluation. Source: Xu, Cai & Cheng, *Volume
/// preserving nonlinear density filter based on heaviside functions*, SMO 41 (2010) 495–505; the tanh form is
/// that of Wang, Lazarov & Sigmund, SMO 43 (2011) 767–784.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Projection {
    /// The sharpness β, above 0 and at most 1000: about the identity below 0.1, nearly a step beyond 64.
    pub beta: f64,
}

impl Projection {
    pub(super) fn validate(&self) -> Result<()> {
        if self.beta > 0.0 && self.beta <= 1000.0 {
            Ok(())
        } else {
            Err(Error::invalid("the projection's sharpness", self.beta, "above 0 and at most 1000"))
        }
    }

    /// Solves for the threshold that keeps the sum of `filtered`, by Newton's method within a bracket.
    pub(super) fn threshold(&self, filtered: impl Iterator<Item = f64> + Clone) -> Threshold {
        // Always the same bracket and first guess: the value of the objective must not depend on what was
        // evaluated before.
        let eta = newton([0.0, 1.0], 2.0 * f64::EPSILON, |eta| {
            let threshold = Threshold::new(self.beta, eta);
            let [mut excess, mut slope] = [0.0; 2];
            for t in filtered.clone() {
                let (rho, _, per_eta) = threshold.at(t);
                excess += rho - t;
                slope += per_eta;
            }
            [excess, slope]
        });
        Threshold::new(self.beta, eta)
    }
}

/// The projection at one threshold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Threshold {
    beta: f64,
    eta: f64,
    /// The constant tanh βη of the formula.
    lower: f64,
    /// The constant tanh β(1 − η) of the formula.
    upper: f64,
}

impl Threshold {
    fn new(beta: f64, eta: f64) -> Self {
        Self { beta, eta, lower: (beta * eta).tanh(), upper: (beta * (1.0 - eta)).tanh() }
    }

    /// The projected density ρ(ρ̃).
    pub(super) fn density(&self, filtered: f64) -> f64 {
        self.at(filtered).0
    }

    /// (ρ, ∂ρ/∂ρ̃, ∂ρ/∂η): with C = tanh β(ρ̃ − η) the slopes are β (1 − C²) / (tanh βη + tanh β(1 − η)) and
    /// β ρ (C − tanh β(1 − η)) ≤ 0; the second because sech² = 1 − tanh² lets numerator and denominator share
    /// a factor.
    fn at(&self, filtered: f64) -> (f64, f64, f64) {
        let c = (self.beta * (filtered - self.eta)).tanh();
        let sum = self.lower + self.upper;
        let rho = (self.lower + c) / sum;
        // The comparison keeps rounding from leading below 0, where powers are undefined, and keeps NaN,
        // which `max` would drop.
        let rho = if rho < 0.0 { 0.0 } else { rho };
        (rho, self.beta * (1.0 - c * c) / sum, self.beta * rho * (c - self.upper).min(0.0))
    }

    /// Turns df/dρ into df/dρ̃ for the entries `active`, the threshold's own dependence included.
    ///
    /// From Σ ρ = Σ ρ̃: dη/dρ̃ₖ = (1 − aₖ) / Σ bⱼ with a = ∂ρ/∂ρ̃, b = ∂ρ/∂η. Hence df/dρ̃ₖ = aₖ (sₖ − S) + S
    /// with the mean slope S = Σ sⱼ bⱼ / Σ bⱼ.
    pub(super) fn chain(&self, filtered: &[f64], slope: &mut [f64], active: impl Fn(usize) -> bool) {
        let (mut weighted, mut total) = (0.0, 0.0);
        for e in (0..slope.len()).filter(|e| active(*e)) {
            let (_, _, b) = self.at(filtered[e]);
            weighted += slope[e] * b;
            total += b;
        }
        // Without grey elements, no threshold changes anything.
        let mean = if total < 0.0 { weighted / total } else { 0.0 };
        for e in (0..slope.len()).filter(|e| active(*e)) {
            slope[e] = self.at(filtered[e]).1 * (slope[e] - mean) + mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both slopes against central differences: the difference is h² f'''/6 ≤ h² β³, far below the bound.
    #[test]
    fn the_slopes_are_those_of_the_projection() {
        let h = 1e-5;
        for beta in [0.01, 2.0, 16.0] {
            for (eta, t) in [(0.5, 0.3), (0.5, 0.5), (0.2, 0.9), (0.8, 0.1), (0.4, 1.0)] {
                let (_, a, b) = Threshold::new(beta, eta).at(t);
                let at = |eta, t| Threshold::new(beta, eta).density(t);
                approx::assert_abs_diff_eq!(
                    a,
                    (at(eta, t + h) - at(eta, t - h)) / (2.0 * h),
                    epsilon = 1e-9 + h * h * beta.powi(3)
                );
                approx::assert_abs_diff_eq!(
                    b,
                    (at(eta + h, t) - at(eta - h, t)) / (2.0 * h),
                    epsilon = 1e-9 + h * h * beta.powi(3)
                );
            }
        }
    }

    /// A design that is not finite must be seen, not mistaken for void.
    #[test]
    fn not_a_number_stays_one() {
        let threshold = Projection { beta: 2.0 }.threshold([0.3, f64::NAN, 0.6].into_iter());
        assert!(threshold.density(f64::NAN).is_nan());
    }

    #[test]
    fn the_threshold_keeps_the_sum() {
        let designs: [Vec<f64>; 5] = [
            (0..1000).map(|i| f64::from(i) / 999.0).collect(),
            (0..1000).map(|i| (f64::from(i) / 999.0).powi(6)).collect(),
            (0..1000).map(|i| f64::from(u8::from(i % 3 == 0))).collect(),
            vec![0.5; 7],
            vec![1.0; 7],
        ];
        for beta in [0.01, 2.0, 64.0, 1000.0] {
            for filtered in &designs {
                let threshold = Projection { beta }.threshold(filtered.iter().copied());
                let excess: f64 = filtered.iter().map(|t| threshold.density(*t) - t).sum();
                // One rounding of η, at the steepest.
                let allowed = 4.0 * f64::EPSILON * (1.0 + beta) * filtered.len() as f64;
                assert!(excess.abs() <= allowed, "beta {beta}: {excess:e} of {}", filtered.len());
            }
        }
    }
}
