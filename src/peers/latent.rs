//! The latent variable of the box: x = l + (u − l) σ(ψ).

use crate::domain::{Domain, bisect, clip, logit, sigmoid};

/// Shares of the box are kept this far from 0 and 1, which is |ψ| below 14. An unbounded ψ would be at the
/// bound to the last bit, and no step of a sensible length would bring it back. Of 10⁻³ to 10⁻¹², and no
/// limit, the best on half-MBB beams.
const INSIDE: f64 = 1e-6;

pub(super) struct Latent<'a> {
    pub domain: &'a Domain,
}

impl Latent<'_> {
    /// The latent variable ψ of a point of the box, which is moved inside where it is at a bound.
    pub(super) fn of(&self, x: &[f64]) -> Vec<f64> {
        let bounds = self.domain.bounds();
        let share = |(i, x): (usize, &f64)| (x - bounds.at(i)[0]) / bounds.width(i);
        x.iter().enumerate().map(share).map(|share| inside(logit(share))).collect()
    }

    /// The point x(ψ) of the box, whatever its volume.
    pub(super) fn design(&self, psi: &[f64]) -> Vec<f64> {
        let bounds = self.domain.bounds();
        let point = |(i, psi): (usize, &f64)| {
            let [lower, upper] = bounds.at(i);
            clip(lower + (upper - lower) * sigmoid(*psi), lower, upper)
        };
        psi.iter().enumerate().map(point).collect()
    }

    /// The derivative dx/dψ = (x − l)(u − x)/(u − l).
    pub(super) fn slope(&self, x: &[f64]) -> Vec<f64> {
        let bounds = self.domain.bounds();
        let slope = |(i, x): (usize, &f64)| {
            let [lower, upper] = bounds.at(i);
            (x - lower) * (upper - x) / (upper - lower)
        };
        x.iter().enumerate().map(slope).collect()
    }

    /// The Bregman projection with the Fermi–Dirac entropy onto what is feasible and inside: clip(ψ − μ w)
    /// with the least μ ≥ 0 that keeps the volume bound, and its x.
    pub(super) fn project(&self, psi: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let at = |psi: Vec<f64>| {
            let x = self.design(&psi);
            (psi, x)
        };
        let kept = at(psi.iter().map(|psi| inside(*psi)).collect());
        let Some(volume) = self.domain.volume() else { return kept };
        if volume.of(&kept.1) <= volume.bound {
            return kept;
        }
        let weights = &volume.weights[..];
        let shifted = |mu: f64| at(psi.iter().zip(weights).map(|(psi, w)| inside(psi - mu * w)).collect());
        // At the upper end every unknown is as low as it may be.
        let end = psi.iter().zip(weights).fold(0.0_f64, |m, (psi, w)| m.max((psi + logit(1.0 - INSIDE)) / w));
        let [_, mu] = bisect([0.0, end], 0.0, |mu| volume.of(&shifted(mu).1) > volume.bound);
        let (psi, x) = shifted(mu);
        // The correction changes x only where the volume bound leaves no interior.
        let x = self.domain.project(&x);
        (psi, x)
    }
}

fn inside(psi: f64) -> f64 {
    let most = logit(1.0 - INSIDE);
    psi.clamp(-most, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::dot;

    #[test]
    fn projection_keeps_the_bound_and_what_is_feasible() {
        let weights = vec![1.0, 2.0, 0.5, 1.5];
        let domain = Domain::uniform_with_volume(-1.0, 3.0, weights.clone(), 0.7);
        let latent = Latent { domain: &domain };
        let psi = [3.0, -1.0, 900.0, 0.2];
        let (shifted, x) = latent.project(&psi);
        // One rounding of μ, below 16, moves the volume by less than Σ w² (u − l)/4 = 7.5 times 16 ε; the
        // sums' own roundings are fewer.
        assert!(dot(&weights, &x) <= 0.7 && dot(&weights, &x) > 0.7 - 1000.0 * f64::EPSILON, "{x:?}");
        assert_eq!(shifted[2], logit(1.0 - INSIDE), "a share beyond the limit is set to the limit");
        let mu = [0, 1, 3].map(|i| (psi[i] - shifted[i]) / weights[i]);
        assert!(
            mu[0] > 0.0 && mu.iter().all(|m| (m - mu[0]).abs() <= 64.0 * f64::EPSILON),
            "all unknowns have one multiplier: {mu:?}"
        );
        let inside = latent.of(&[-1.0, -0.5, 0.3, 0.0]);
        let (kept, x) = latent.project(&inside);
        assert_eq!(kept, inside);
        // ln and exp lose a few roundings of |ψ| < 14; at the bound the start is drawn in by 10⁻⁶ of the box.
        for (found, given) in x.iter().zip([-1.0 + 4e-6, -0.5, 0.3, 0.0]) {
            assert!((found - given).abs() < 1e-13, "{found} for {given}");
        }
    }
}
