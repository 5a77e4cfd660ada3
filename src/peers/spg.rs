//! The spectral projected gradient method.

use std::collections::VecDeque;

use super::truth::{Ended, Truth};
use crate::domain::Domain;
use crate::linalg::{difference, dot, norm_inf};

/// The number of values that the line search looks back on, and the share of the predicted decrease that any
/// search asks for.
const MEMORY: usize = 5;
pub(super) const DECREASE: f64 = 1e-4;
/// The bounds of the spectral step.
const STEPS: (f64, f64) = (1e-10, 1e10);

/// A point with its value and its gradient.
type Point = (Vec<f64>, f64, Vec<f64>);

/// x + d with d = P(x − α g) − x, α the Barzilai–Borwein step sᵀs/sᵀy, cut back until f falls below the
/// largest of the last values.
pub(super) fn minimize(
    truth: &mut Truth<'_>,
    domain: &Domain,
    start: &[f64],
    tolerance: f64,
) -> Result<(), Ended> {
    let mut x = start.to_vec();
    let (mut f, mut g) = truth.evaluate(&x)?;
    let mut recent = VecDeque::from([f]);
    // The first step moves the unknown with the largest gradient by a fifth of the widest interval.
    let mut alpha = 0.2 * domain.unit_of_length(start).unwrap_or(1.0) / norm_inf(&g).max(f64::MIN_POSITIVE);
    loop {
        let direction = descend(domain, &x, &g, alpha);
        if norm_inf(&direction) <= tolerance {
            return Ok(());
        }
        let slope = dot(&g, &direction);
        let ceiling = recent.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let Some((next, f_next, g_next)) = search(truth, &x, &direction, (f, slope), ceiling, tolerance)?
        else {
            return Ok(());
        };
        let (s, y) = (difference(&next, &x), difference(&g_next, &g));
        alpha = spectral(&s, &y);
        (x, f, g) = (next, f_next, g_next);
        recent.push_back(f);
        if recent.len() > MEMORY {
            recent.pop_front();
        }
    }
}

/// The first point x + t d, t cut back from 1, with f at most `ceiling` and a share of the decrease the slope
/// predicts; none when the step has become too small to matter.
pub(super) fn search(
    truth: &mut Truth<'_>,
    x: &[f64],
    direction: &[f64],
    (f, slope): (f64, f64),
    ceiling: f64,
    tolerance: f64,
) -> Result<Option<Point>, Ended> {
    let mut t = 1.0;
    loop {
        let trial: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + t * d).collect();
        let (value, gradient) = truth.evaluate(&trial)?;
        if value <= ceiling + DECREASE * t * slope {
            return Ok(Some((trial, value, gradient)));
        }
        t = shorter(t, f, slope, value);
        if t * norm_inf(direction) <= tolerance.max(1e-15) {
            return Ok(None);
        }
    }
}

/// The projected step P(x − α g) − x.
pub(super) fn descend(domain: &Domain, x: &[f64], g: &[f64], alpha: f64) -> Vec<f64> {
    let y: Vec<f64> = x.iter().zip(g).map(|(x, g)| x - alpha * g).collect();
    difference(&domain.project(&y), x)
}

/// The Barzilai–Borwein step, within bounds; where the curvature is not positive, as long a step as took the
/// gradient from one point to the other.
pub(super) fn spectral(s: &[f64], y: &[f64]) -> f64 {
    let curvature = dot(s, y);
    if curvature > 0.0 {
        (dot(s, s) / curvature).clamp(STEPS.0, STEPS.1)
    } else {
        STEPS.1.min(norm_inf(s) / norm_inf(y).max(f64::MIN_POSITIVE))
    }
}

/// The minimiser of the parabola through f, the slope and the trial value, within a tenth and half of the
/// step.
pub(super) fn shorter(t: f64, f: f64, slope: f64, value: f64) -> f64 {
    let parabola = -0.5 * slope * t * t / (value - f - t * slope);
    if parabola.is_finite() { parabola.clamp(0.1 * t, 0.5 * t) } else { 0.5 * t }
}
