//! L-BFGS without constraints, and the memory of pairs that others share.

use std::collections::VecDeque;

use super::spg::{DECREASE, shorter};
use super::truth::{Ended, Truth, first_length};
use crate::linalg::{axpy, difference, dot, norm_inf};

/// The number of pairs (s, y) that are remembered.
const MEMORY: usize = 10;
/// The share of the slope that may be left at the end of a step (Wolfe's second condition). It keeps steps
/// from being too short, and makes sᵀy > 0.
const FLATTENED: f64 = 0.9;

/// The last pairs (s, y), all with sᵀy > 0.
#[derive(Default)]
pub(super) struct Memory {
    pub pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
}

impl Memory {
    /// Adds a pair, unless its curvature is not positive.
    pub(super) fn push(&mut self, s: Vec<f64>, y: Vec<f64>) {
        if dot(&s, &y) > 1e-12 * dot(&s, &s).sqrt() * dot(&y, &y).sqrt() {
            self.pairs.push_back((s, y));
            if self.pairs.len() > MEMORY {
                self.pairs.pop_front();
            }
        }
    }

    /// The product H v by the two-loop recursion (Nocedal, Math. Comput. 35 (1980) 773), H₀ = sᵀy/yᵀy of the
    /// newest pair.
    pub(super) fn times(&self, v: &[f64]) -> Vec<f64> {
        let mut out = v.to_vec();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (s, y) in self.pairs.iter().rev() {
            let share = dot(s, &out) / dot(s, y);
            axpy(-share, y, &mut out);
            shares.push(share);
        }
        if let Some((s, y)) = self.pairs.back() {
            let scale = dot(s, y) / dot(y, y);
            out.iter_mut().for_each(|out| *out *= scale);
        }
        for ((s, y), share) in self.pairs.iter().zip(shares.iter().rev()) {
            let more = share - dot(y, &out) / dot(s, y);
            axpy(more, s, &mut out);
        }
        out
    }
}

/// x − t H g with t from Wolfe's conditions in their weak form, found by doubling and bisection (Lewis &
/// Overton, Math. Program. 141 (2013) 135) but for the first cuts, which are a parabola's.
pub(super) fn minimize(truth: &mut Truth<'_>, start: &[f64], tolerance: f64) -> Result<(), Ended> {
    let mut x = start.to_vec();
    let (mut f, mut g) = truth.evaluate(&x)?;
    let mut memory = Memory::default();
    loop {
        let mut direction: Vec<f64> = memory.times(&g).iter().map(|v| -v).collect();
        if memory.pairs.is_empty() {
            let scale = first_length(start) / norm_inf(&g).max(f64::MIN_POSITIVE);
            direction.iter_mut().for_each(|d| *d *= scale);
        }
        if norm_inf(&direction) <= tolerance {
            return Ok(());
        }
        match search(truth, &x, &direction, (f, dot(&g, &direction)), tolerance)? {
            Some((next, value, gradient)) => {
                memory.push(difference(&next, &x), difference(&gradient, &g));
                (x, f, g) = (next, value, gradient);
            }
            // Rounding may have spoiled the pairs, so the search is repeated without them.
            None if !memory.pairs.is_empty() => memory.pairs.clear(),
            None => return Ok(()),
        }
    }
}

/// A point with its value and its gradient.
type Point = (Vec<f64>, f64, Vec<f64>);

/// The point of the first step length that meets both conditions, or, where the interval has become too small
/// to matter, the last that met the first; none if none did.
fn search(
    truth: &mut Truth<'_>,
    x: &[f64],
    direction: &[f64],
    (f, slope): (f64, f64),
    tolerance: f64,
) -> Result<Option<Point>, Ended> {
    // The comparison is false as well where the slope is not a number.
    if slope.is_nan() || slope >= 0.0 {
        return Ok(None);
    }
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut kept = None;
    let mut t = 1.0;
    loop {
        let trial: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + t * d).collect();
        // Where there is no value, the parabola's minimiser is replaced by half the step.
        let found = truth.attempt(&trial)?;
        let value = found.as_ref().map_or(f64::INFINITY, |(value, _)| *value);
        match found {
            Some((value, gradient)) if value <= f + DECREASE * t * slope => {
                let flat = dot(&gradient, direction) >= FLATTENED * slope;
                kept = Some((trial, value, gradient));
                if flat {
                    return Ok(kept);
                }
                low = t;
            }
            _ => high = t,
        }
        t = match (low, high) {
            (_, f64::INFINITY) => 2.0 * t,
            (0.0, _) => shorter(t, f, slope, value),
            _ => 0.5 * (low + high),
        };
        if (t - low) * norm_inf(direction) <= tolerance.max(1e-15) || !t.is_finite() {
            return Ok(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::super::Peer;
    use super::*;
    use crate::error::{Error, SettingsError};
    use crate::linalg::dist_inf;
    use crate::objective::FnObjective;
    use crate::problems::{Boxed, Quadratic, Rosenbrock};

    /// H ← (I − s yᵀ/sᵀy) H (I − y sᵀ/sᵀy) + s sᵀ/sᵀy.
    #[test]
    fn the_two_loop_recursion_is_the_dense_update() {
        const D: usize = 5;
        let pairs: Vec<(Vec<f64>, Vec<f64>)> = (0..4)
            .map(|k| {
                let s: Vec<f64> = (0..D).map(|i| ((1 + k + 3 * i) as f64).sin()).collect();
                // A positive definite matrix times s.
                let y = (0..D).map(|i| (1.0 + i as f64) * s[i] + 0.3 * s.iter().sum::<f64>()).collect();
                (s, y)
            })
            .collect();
        let mut memory = Memory::default();
        pairs.iter().for_each(|(s, y)| memory.push(s.clone(), y.clone()));
        assert_eq!(memory.pairs.len(), 4);
        let (s, y) = &pairs[3];
        let mut h = Mat::from_fn(D, D, |i, j| if i == j { dot(s, y) / dot(y, y) } else { 0.0 });
        for (s, y) in &pairs {
            let left = Mat::from_fn(D, D, |i, j| f64::from(u8::from(i == j)) - s[i] * y[j] / dot(s, y));
            h = &left * &h * left.transpose() + Mat::from_fn(D, D, |i, j| s[i] * s[j] / dot(s, y));
        }
        let v = [1.0, -2.0, 0.5, 3.0, -0.7];
        let exact: Vec<f64> = (0..D).map(|i| (0..D).map(|j| h[(i, j)] * v[j]).sum()).collect();
        let error = norm_inf(&difference(&memory.times(&v), &exact));
        // The matrix has a condition number below 7, so |I − s yᵀ/sᵀy| = |s||y|/sᵀy is below 1.6
        // (Kantorovich), and eight such factors below 50. H₀ is below 1, and there are some hundred
        // roundings.
        assert!(error <= 50.0 * 200.0 * f64::EPSILON * norm_inf(&v), "{error:e}");
    }

    #[test]
    fn pairs_without_curvature_are_left_out() {
        let mut memory = Memory::default();
        memory.push(vec![1.0, 0.0], vec![-1.0, 2.0]);
        memory.push(vec![1.0, 0.0], vec![0.0, 2.0]);
        assert!(memory.pairs.is_empty());
        // The newest pair is kept exactly: H y = s.
        memory.push(vec![1.0, 2.0], vec![3.0, 0.5]);
        assert!(norm_inf(&difference(&memory.times(&[3.0, 0.5]), &[1.0, 2.0])) <= 8.0 * f64::EPSILON);
    }

    #[test]
    fn the_minimum_is_the_closed_forms() {
        let mut quadratic =
            Quadratic { minimizer: vec![1.4, 0.9, 0.2, -0.3, 0.6, 0.7], ..Quadratic::geometric(6, 50.0) };
        let course = Peer::Lbfgs.minimize(&mut quadratic, &[0.0; 6], 100, 1e-10, &mut ()).unwrap();
        let error = dist_inf(&course.x, &quadratic.minimizer);
        assert!(error < 1e-9, "off by {error:e} after {} evaluations", course.history.len());
        // Rosenbrock's chain: (1, …, 1), along a valley in which only the second condition keeps the pairs'
        // curvature positive.
        let course = Peer::Lbfgs
            .minimize(&mut Rosenbrock { dimension: 10 }, &[-0.5; 10], 300, 1e-10, &mut ())
            .unwrap();
        assert!(dist_inf(&course.x, &[1.0; 10]) < 1e-6, "{:?}", course.x);
    }

    /// With as many pairs as unknowns it is BFGS, whose error falls faster than by any factor (Dennis & Moré,
    /// Math. Comput. 28 (1974) 549). Gradient descent with the best rate has the factor (κ − 1)²/(κ + 1)² a
    /// step, which for κ = 50 takes 575 steps to a share of 10⁻²⁰.
    #[test]
    fn convergence_on_a_quadratic_is_superlinear() {
        let course =
            Peer::Lbfgs.minimize(&mut Quadratic::geometric(6, 50.0), &[0.0; 6], 100, 0.0, &mut ()).unwrap();
        let to = |share: f64| {
            let target = share * course.history[0].objective;
            course
                .history
                .iter()
                .position(|e| e.objective <= target)
                .unwrap_or_else(|| panic!("{share:e} is not reached: {:?}", course.history))
        };
        let [coarse, fine, finest] = [1e-5, 1e-10, 1e-20].map(to);
        assert!(finest <= 40, "{finest}");
        // A linear rate would take twice as long for the last ten digits as for the five before.
        assert!(finest - fine < 2 * (fine - coarse), "{coarse}, {fine}, {finest}");
    }

    /// x − ln(x)/100, which is least at 0.01, fails where x is not positive: long steps land there.
    #[test]
    fn trial_points_without_a_value_are_counted_and_undone() {
        for peer in [Peer::Lbfgs, Peer::AndersonDescent] {
            let mut failed = 0;
            let mut barrier = FnObjective::new(1, |x: &[f64], g: &mut [f64]| {
                if x[0] <= 0.0 {
                    failed += 1;
                    return Err("no logarithm".into());
                }
                g[0] = 1.0 - 0.01 / x[0];
                Ok(x[0] - 0.01 * x[0].ln())
            });
            let course = peer.minimize(&mut barrier, &[1.0], 60, 1e-10, &mut ()).unwrap();
            assert!((course.x[0] - 0.01).abs() < 1e-6, "{}: {course:?}", peer.name());
            let last = course.history.last().map(|e| e.evaluation);
            assert!(
                failed > 0 && last == Some(course.history.len() + failed) && last <= Some(60),
                "{}: {failed}, {course:?}",
                peer.name()
            );
        }
    }

    #[test]
    fn a_budget_is_kept_to_the_last_trial_point() {
        for peer in [Peer::Lbfgs, Peer::AndersonDescent] {
            let course = peer
                .minimize(&mut Rosenbrock { dimension: 4 }, &[-1.2, 1.0, -1.2, 1.0], 17, 0.0, &mut ())
                .unwrap();
            assert_eq!(course.history.len(), 17, "{}", peer.name());
        }
    }

    #[test]
    fn bounds_are_refused() {
        for peer in [Peer::Lbfgs, Peer::AndersonDescent] {
            let mut boxed = Boxed { inner: Quadratic::geometric(3, 10.0), lower: 0.0, upper: 2.0 };
            let refused = peer.minimize(&mut boxed, &[0.5; 3], 9, 0.0, &mut ());
            match refused {
                Err(Error::Settings(SettingsError::Domain { method, needs })) => {
                    assert_eq!((method, needs), (peer.name(), "an objective without bounds"));
                }
                other => panic!("{}: {other:?}", peer.name()),
            }
        }
    }
}
