//! The Euclidean projection onto the feasible set.

use super::{Domain, bisect, bracket_above};

/// `value` clamped to the bounds; the upper bound where the two have crossed by rounding. NaN stays NaN.
#[inline(always)]
pub(crate) fn clip(value: f64, lower: f64, upper: f64) -> f64 {
    let value = if value < lower { lower } else { value };
    if value > upper { upper } else { value }
}

impl Domain {
    /// The nearest feasible point to `y` in the Euclidean norm: clip(y − μ w) with the least μ ≥ 0 that keeps
    /// Σ wᵢ xᵢ ≤ V, to neighbouring floating-point numbers; μ = 0 without a volume constraint.
    ///
    /// Cost: one pass over y where the volume is kept, and some sixty more where it is not.
    ///
    /// # Panics
    /// If y has more entries than the bounds, where they are given per unknown.
    pub fn project(&self, y: &[f64]) -> Vec<f64> {
        let bounds = self.bounds();
        let clipped: Vec<f64> = y.iter().enumerate().map(|(i, y)| bounds.clamp(i, *y)).collect();
        let Some(volume) = self.volume() else { return clipped };
        if volume.of(&clipped) <= volume.bound {
            return clipped;
        }
        let weights = &volume.weights;
        let shifted = |mu: f64| -> Vec<f64> {
            y.iter().zip(&weights[..]).enumerate().map(|(i, (y, w))| bounds.clamp(i, y - mu * w)).collect()
        };
        let is_too_small = |mu: f64| volume.of(&shifted(mu)) > volume.bound;
        // At this multiplier every unknown is at its lower bound.
        let lowest = y.iter().zip(&weights[..]).enumerate();
        let end = lowest.fold(0.0_f64, |m, (i, (y, w))| m.max((y - bounds.at(i)[0]) / w));
        let bracket = if end.is_finite() { [0.0, end] } else { bracket_above(1.0, is_too_small) };
        let [_, mu] = bisect(bracket, 0.0, is_too_small);
        shifted(mu)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bounds, Volume};
    use super::*;
    use crate::linalg::dist_inf;

    /// The optimality condition of the projection x of y: y − x = μ w + the multipliers of the active bounds,
    /// μ ≥ 0.
    #[test]
    fn the_projection_is_clip_of_a_common_shift() {
        let (inf, weights) = (f64::INFINITY, vec![1.0, 2.0, 0.5, 1.5]);
        let domain = |lower: Vec<f64>, upper: Vec<f64>, bound: f64| Domain::BoxVolume {
            bounds: Bounds::per_unknown(lower, upper),
            volume: Volume::new(weights.clone(), bound),
        };
        let y = [2.0, 1.0, -3.0, 0.5];
        // Without lower bounds the upper end of the bracket has no closed form.
        for (lower, bound) in [(vec![0.0, -1.0, -4.0, 0.25], 1.0), (vec![-inf; 4], -100.0)] {
            let domain = domain(lower, vec![inf, 0.5, 1.0, 2.0], bound);
            let x = domain.project(&y);
            let volume = domain.volume().unwrap();
            let total = volume.of(&x);
            assert!(total <= bound && total > bound - 1e-12 * bound.abs(), "{total} against {bound}");
            let bounds = domain.bounds();
            let free = (0..4).filter(|&i| x[i] > bounds.at(i)[0] && x[i] < bounds.at(i)[1]);
            let shifts: Vec<f64> = free.map(|i| (y[i] - x[i]) / weights[i]).collect();
            assert!(shifts.len() >= 2 && shifts.iter().all(|mu| (mu - shifts[0]).abs() < 1e-12 * mu.abs()));
            let shifted: Vec<f64> = (0..4).map(|i| bounds.clamp(i, y[i] - shifts[0] * weights[i])).collect();
            assert!(dist_inf(&shifted, &x) < 1e-12 * shifts[0], "{x:?} against {shifted:?}");
        }
        assert_eq!(domain(vec![0.0; 4], vec![1.0; 4], 4.0).project(&y), [1.0, 1.0, 0.0, 0.5]);
    }

    #[test]
    fn the_same_pair_for_all_gives_the_same_bits() {
        let y: Vec<f64> = (0..50).map(|i| (1.7 * f64::from(i)).sin() * 2.0).collect();
        let weights: Vec<f64> = (0..50).map(|i| 1.0 + 0.5 * (0.3 * f64::from(i)).cos()).collect();
        let uniform = Domain::uniform_with_volume(0.0, 1.0, weights.clone(), 12.0);
        let each = Domain::BoxVolume {
            bounds: Bounds::per_unknown(vec![0.0; 50], vec![1.0; 50]),
            volume: Volume::new(weights, 12.0),
        };
        assert_eq!(uniform.project(&y), each.project(&y));
    }
}
