//! The first-order optimality residual of a point.

use rayon::prelude::*;

use super::{Domain, bisect};
use crate::linalg::norm_inf;

/// The number of unknowns that one task passes over.
const BLOCK: usize = 1 << 14;

/// How far `x` is from a Karush–Kuhn–Tucker point of min f on `domain`: minᵤ maxᵢ |rᵢ| over the volume's
/// multiplier μ ≥ 0 (0 where the bound is slack), with r = g + μ w, of which only what the bounds leave
/// counts: a negative entry at an upper bound and a positive one at a lower bound count for nothing, as no
/// feasible step follows them downhill.
///
/// In units of the gradient; 0 at a stationary point. "At" a bound: within 10⁻⁶ of the interval's width, or
/// of max(|bound|, max |xᵢ|) where the other bound is missing; "slack": by more than 10⁻⁶ of the volume,
/// which is what f32 iterates resolve. Cost: some hundred passes over x. Source: Nocedal & Wright, *Numerical
/// Optimization* (2006), §12.3.
pub fn kkt_residual(domain: &Domain, x: &[f64], gradient: &[f64]) -> f64 {
    const ACTIVE_TOLERANCE: f64 = 1e-6;
    let bounds = domain.bounds();
    let size = norm_inf(x);
    let inside = |i: usize| {
        let [lower, upper] = bounds.at(i);
        let width = upper - lower;
        let finite = |bound: f64| if bound.is_finite() { bound.abs() } else { 0.0 };
        let margin = ACTIVE_TOLERANCE
            * if width.is_finite() { width } else { finite(lower).max(finite(upper)).max(size) };
        [lower + margin, upper - margin]
    };
    // The largest downward and the largest upward slope that are left: raising μ shrinks the first and grows
    // the second.
    let slopes_of = |block: usize, x: &[f64], gradient: &[f64], weights: &[f64], mu: f64| {
        x.iter().zip(gradient).enumerate().fold((0.0_f64, 0.0_f64), |(falls, rises), (k, (x, g))| {
            let i = block * BLOCK + k;
            let (r, [lower, upper]) = (g + mu * weights.get(i).copied().unwrap_or(0.0), inside(i));
            (if *x < upper { falls.max(-r) } else { falls }, if *x > lower { rises.max(r) } else { rises })
        })
    };
    // A maximum does not depend on the order, so neither does the result on the number of threads.
    let slopes = |weights: &[f64], mu: f64| {
        x.par_chunks(BLOCK)
            .zip(gradient.par_chunks(BLOCK))
            .enumerate()
            .map(|(block, (x, gradient))| slopes_of(block, x, gradient, weights, mu))
            .reduce(|| (0.0, 0.0), |a, b| (a.0.max(b.0), a.1.max(b.1)))
    };
    let residual = |weights: &[f64], mu: f64| {
        let (falls, rises) = slopes(weights, mu);
        falls.max(rises)
    };
    match domain.volume() {
        Some(volume) if volume.of(x) > volume.bound - ACTIVE_TOLERANCE * volume.bound.abs() => {
            let weights = &volume.weights[..];
            let most = gradient.iter().zip(weights).fold(0.0_f64, |m, (g, w)| m.max(-g / w));
            let ends = bisect([0.0, most], 0.0, |mu| {
                let (falls, rises) = slopes(weights, mu);
                falls > rises
            });
            let [low, high] = ends.map(|mu| residual(weights, mu));
            low.min(high)
        }
        _ => residual(&[], 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bounds, Volume};
    use super::*;

    /// The minimum of Σ ½ (x − a)² on a box with Σ x ≤ V is clip(a − μ).
    #[test]
    fn a_solution_has_no_residual_and_a_neighbour_has() {
        let a = [1.4, 0.9, 0.5, -0.3];
        let domain = Domain::uniform_with_volume(0.0, 1.0, vec![1.0; 4], 1.8);
        // 1 + (0.9 − μ) + (0.5 − μ) + 0 = 1.8
        let mu = 0.3;
        let x = a.map(|a: f64| (a - mu).clamp(0.0, 1.0));
        let gradient: Vec<f64> = x.iter().zip(a).map(|(x, a)| x - a).collect();
        assert!(kkt_residual(&domain, &x, &gradient) < 1e-12);
        let moved = [x[0], x[1] - 0.1, x[2] + 0.1, x[3]];
        let gradient: Vec<f64> = moved.iter().zip(a).map(|(x, a)| x - a).collect();
        // r = (…, −0.1, +0.1, …) about μ = 0.3.
        approx::assert_relative_eq!(kkt_residual(&domain, &moved, &gradient), 0.1, epsilon = 1e-9);
        assert_eq!(kkt_residual(&Domain::Unbounded, &[0.3, 0.1], &[2.0, -1.0]), 2.0);
        assert_eq!(kkt_residual(&Domain::uniform(0.0, 1.0), &[0.0, 1.0], &[2.0, -1.0]), 0.0);
    }

    #[test]
    fn each_unknown_is_held_against_its_own_bounds() {
        let inf = f64::INFINITY;
        let domain = Domain::Box(Bounds::per_unknown(vec![0.0, -inf, 2.0], vec![inf, 1.0, 2.0]));
        // The gradient presses each unknown against its lower bound, its upper bound or a pair that fixes it.
        assert_eq!(kkt_residual(&domain, &[0.0, 1.0, 2.0], &[3.0, -4.0, 5.0]), 0.0);
        // Away from the bounds every slope counts, and so does a slope at a bound that leads inside.
        assert_eq!(kkt_residual(&domain, &[1.0, 1.0, 2.0], &[3.0, -4.0, 5.0]), 3.0);
        assert_eq!(kkt_residual(&domain, &[0.0, 0.0, 2.0], &[3.0, -4.0, 5.0]), 4.0);
        assert_eq!(kkt_residual(&domain, &[0.0, 1.0, 2.0], &[-3.0, 2.0, 5.0]), 3.0);
        let domain = Domain::BoxVolume {
            bounds: Bounds::per_unknown(vec![0.0, -inf, 2.0], vec![inf, 1.0, 2.0]),
            volume: Volume::new(vec![1.0, 2.0, 1.0], 4.0),
        };
        // r = (−2 + μ, −1 + 2 μ, …), and the third unknown is fixed: μ = 1 leaves a magnitude of 1 in both.
        assert_eq!(kkt_residual(&domain, &[0.5, 0.75, 2.0], &[-2.0, -1.0, 9.0]), 1.0);
        // A volume bound below 0 is met as one above 0 is.
        let domain = Domain::BoxVolume {
            bounds: Bounds::per_unknown(vec![-inf; 2], vec![inf; 2]),
            volume: Volume::new(vec![1.0; 2], -3.0),
        };
        assert_eq!(kkt_residual(&domain, &[-1.0, -2.0], &[-4.0, -4.0]), 0.0);
    }
}
