//! Gradient descent with periodic Anderson mixing.

use std::collections::VecDeque;

use super::anderson::mixed;
use super::truth::{Ended, Truth, first_length};
use crate::linalg::{dist_inf, dot, norm_inf};

/// The number of differences that are mixed, and the period in steps; of 1, 2, 3, 4 and 6 the best on
/// quadratics.
const DEPTH: usize = 5;
const PERIOD: usize = 4;

/// x − g/L, L doubled until f falls by the |g|²/2L that any L above the curvature grants (Nesterov,
/// Introductory Lectures on Convex Optimization, 2004, §1.2.3), begun where the first step is as long as the
/// other optimizers'. Every fourth step is mixed, of iterates and their −g, damped by 1/L: kept if f falls,
/// and otherwise undone, so that the step is taken from the last iterate after all.
pub(super) fn minimize(truth: &mut Truth<'_>, start: &[f64], tolerance: f64) -> Result<(), Ended> {
    let mut x = start.to_vec();
    let (mut f, mut g) = truth.evaluate(&x)?;
    let mut curvature = norm_inf(&g) / first_length(start);
    let mut recent: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    for step in 1.. {
        if norm_inf(&g) <= tolerance * curvature {
            return Ok(());
        }
        let residual: Vec<f64> = g.iter().map(|g| -g).collect();
        recent.push_back((x.clone(), residual.clone()));
        if recent.len() > DEPTH + 1 {
            recent.pop_front();
        }
        if step % PERIOD == 0 {
            let guess = mixed(&x, &residual, &recent, 1.0 / curvature)?;
            if guess.iter().all(|v| v.is_finite())
                && dist_inf(&guess, &x) > tolerance
                && let Some((value, gradient)) = truth.attempt(&guess)?
                && value < f
            {
                (x, f, g) = (guess, value, gradient);
                continue;
            }
        }
        loop {
            let trial: Vec<f64> = x.iter().zip(&g).map(|(x, g)| x - g / curvature).collect();
            // A rise within the roundings of f does not count.
            let enough = f - 0.5 * dot(&g, &g) / curvature + 8.0 * f64::EPSILON * f.abs();
            if let Some((value, gradient)) = truth.attempt(&trial)?
                && value <= enough
            {
                (x, f, g) = (trial, value, gradient);
                break;
            }
            curvature *= 2.0;
            if norm_inf(&g) <= tolerance * curvature {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Peer;
    use crate::problems::Quadratic;

    /// Gradient descent at 1/L needs ½ κ ln 10⁵ = 576 steps to a share of 10⁻⁵ at κ = 100.
    #[test]
    fn mixing_shortens_gradient_descent() {
        let mut quadratic = Quadratic::geometric(40, 100.0);
        let course = Peer::AndersonDescent.minimize(&mut quadratic, &[0.0; 40], 200, 1e-12, &mut ()).unwrap();
        assert!(
            course.objective <= 1e-5 * course.history[0].objective,
            "{:e} after {}",
            course.objective,
            course.history.len()
        );
        assert!(course.history.iter().all(|e| e.accepted));
    }
}
