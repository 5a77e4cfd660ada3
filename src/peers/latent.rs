//! The latent variable of the box: x = l + (u − l) σ(ψ).

use super::dot;
use super::feasible::Feasible;
use crate::topology::sigmoid;

/// Shares of the box are kept this far from 0 and 1, which is |ψ| below 14: a ψ that has run away is at the
/// bound to the last bit, and no step of a sensible length brings it back. Of 10⁻³ to 10⁻¹², and none at all,
/// the best on half-MBB beams.
const INSIDE: f64 = 1e-6;

pub(super) struct Latent<'a> {
    pub feasible: &'a Feasible,
}

impl Latent<'_> {
    /// ψ of a point of the box, drawn inside.
    pub(super) fn of(&self, x: &[f64]) -> Vec<f64> {
        let Feasible { lower, upper, .. } = *self.feasible;
        x.iter().map(|x| inside(logit((x - lower) / (upper - lower)))).collect()
    }

    /// x(ψ), in the box, whatever its volume.
    pub(super) fn design(&self, psi: &[f64]) -> Vec<f64> {
        let Feasible { lower, upper, .. } = *self.feasible;
        psi.iter().map(|psi| (lower + (upper - lower) * sigmoid(*psi)).clamp(lower, upper)).collect()
    }

    /// dx/dψ = (x − l)(u − x)/(u − l).
    pub(super) fn slope(&self, x: &[f64]) -> Vec<f64> {
        let Feasible { lower, upper, .. } = *self.feasible;
        x.iter().map(|x| (x - lower) * (upper - x) / (upper - lower)).collect()
    }

    /// The Bregman projection with the Fermi–Dirac entropy onto what is feasible and inside: clip(ψ − μ w)
    /// with the least μ ≥ 0 that keeps the volume bound, and its x.
    pub(super) fn project(&self, psi: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let at = |psi: Vec<f64>| {
            let x = self.design(&psi);
            (psi, x)
        };
        let kept = at(psi.iter().map(|psi| inside(*psi)).collect());
        let Some((weights, volume)) = &self.feasible.volume else { return kept };
        if dot(weights, &kept.1) <= *volume {
            return kept;
        }
        let shifted = |mu: f64| at(psi.iter().zip(weights).map(|(psi, w)| inside(psi - mu * w)).collect());
        // At the upper end every unknown is as low as may be.
        let (mut low, mut high) = (
            0.0,
            psi.iter().zip(weights).fold(0.0_f64, |m, (psi, w)| m.max((psi + logit(1.0 - INSIDE)) / w)),
        );
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if dot(weights, &shifted(middle).1) > *volume { low = middle } else { high = middle }
        }
        let (psi, x) = shifted(high);
        // Changes x only where the bound leaves no room inside.
        let x = self.feasible.project(&x);
        (psi, x)
    }
}

fn inside(psi: f64) -> f64 {
    let most = logit(1.0 - INSIDE);
    psi.clamp(-most, most)
}

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projection_keeps_the_bound_and_what_is_feasible() {
        let weights = vec![1.0, 2.0, 0.5, 1.5];
        let feasible = Feasible { lower: -1.0, upper: 3.0, volume: Some((weights.clone(), 0.7)) };
        let latent = Latent { feasible: &feasible };
        let psi = [3.0, -1.0, 900.0, 0.2];
        let (shifted, x) = latent.project(&psi);
        // One rounding of μ, below 16, moves the volume by less than Σ w² (u − l)/4 = 7.5 times 16 ε; the
        // sums' own roundings are fewer.
        assert!(dot(&weights, &x) <= 0.7 && dot(&weights, &x) > 0.7 - 1000.0 * f64::EPSILON, "{x:?}");
        assert_eq!(shifted[2], logit(1.0 - INSIDE), "what has run away is brought back");
        let mu = [0, 1, 3].map(|i| (psi[i] - shifted[i]) / weights[i]);
        assert!(
            mu[0] > 0.0 && mu.iter().all(|m| (m - mu[0]).abs() <= 64.0 * f64::EPSILON),
            "one multiplier for all: {mu:?}"
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
