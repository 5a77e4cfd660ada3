//! Sigmoidal mirror descent with a projected latent variable.

use super::latent::Latent;
use super::truth::{Ended, Truth};
use crate::domain::Domain;
use crate::linalg::{difference, dot, norm_inf};

/// The share of the predicted decrease a step has to reach.
const DECREASE: f64 = 1e-4;
/// The largest change of ψ in one step; it only keeps ψ finite where the curvature vanishes.
const FARTHEST: f64 = 1e10;

/// ψ ← ψ − α g − μ w, x = l + (u − l) σ(ψ), μ ≥ 0 from the volume bound: mirror descent with the Fermi–Dirac
/// entropy. α is the Barzilai–Borwein step between x and its mirror image, |ΔψᵀΔx| / |ΔgᵀΔx|, halved until f
/// ≤ f₀ + 10⁻⁴ gᵀΔx. The published first step, α = 1, depends on the objective's units; here it changes no ψ
/// by more than 1, before the volume. Not as published either: ψ is kept from running away
/// ([`Latent::project`]).
pub(super) fn minimize(
    truth: &mut Truth<'_>,
    domain: &Domain,
    start: &[f64],
    tolerance: f64,
) -> Result<(), Ended> {
    let latent = Latent { domain };
    let (mut psi, mut x) = latent.project(&latent.of(start));
    let (mut f, mut g) = truth.evaluate(&x)?;
    let mut alpha = 1.0 / norm_inf(&g).max(f64::MIN_POSITIVE);
    loop {
        alpha = alpha.min(FARTHEST / norm_inf(&g).max(f64::MIN_POSITIVE));
        let (psi_next, next, f_next, g_next) = loop {
            let moved: Vec<f64> = psi.iter().zip(&g).map(|(psi, g)| psi - alpha * g).collect();
            let (latent_trial, trial) = latent.project(&moved);
            let step = difference(&trial, &x);
            if norm_inf(&step) <= tolerance {
                return Ok(());
            }
            let (value, gradient) = truth.evaluate(&trial)?;
            if value <= f + DECREASE * dot(&g, &step) {
                break (latent_trial, trial, value, gradient);
            }
            alpha *= 0.5;
        };
        let step = difference(&next, &x);
        let spectral =
            (dot(&difference(&psi_next, &psi), &step) / dot(&difference(&g_next, &g), &step)).abs();
        if spectral.is_finite() && spectral > 0.0 {
            alpha = spectral;
        }
        (psi, x, f, g) = (psi_next, next, f_next, g_next);
    }
}
