//! The learned potential: minimised in a trust region by projected steps.

use std::ops::Range;

use super::bounds::Intervals;
use super::lanes::{LANES, add_dots, combine, dot, vectorised};
use super::sweep::{chunks, sums_over, sweep};
use crate::domain::{BoundsRef, Domain, Volume};
use crate::engine::interface::TrustLimits;
use crate::scalar::Scalar;
use crate::surrogate::higher_order::minimum_along;
use crate::surrogate::potential::Polynomial;

/// Where the excess volume is below this share of the volume, the next Newton step on the multiplier ends the
/// search and is not evaluated. Along it only those unknowns reach or leave a bound that are as near to it as
/// this share, so the error that is left is of second order.
const LAST_STEP_TOLERANCE: f64 = 2e-6;
/// The largest number of Newton steps on the multiplier; each is safeguarded by bisection.
const MULTIPLIER_STEPS: usize = 100;

/// A potential over rows of the history.
#[derive(Debug, Clone)]
pub(super) struct Potential {
    pub learned: Polynomial,
    /// For each column of the combination, the row of the table of pairs that it stands for (V).
    pub rows: Vec<usize>,
}

/// The trusted iterate and the set that may be reached from it.
pub(super) struct Neighbourhood<'a> {
    pub center: &'a [f64],
    pub gradient: &'a [f64],
    pub domain: &'a Domain,
    pub limits: TrustLimits,
}

/// The result of the minimisation.
pub(super) struct Minimum {
    pub x: Vec<f64>,
    pub steps: usize,
    /// The value of φ at the end; 0 at the trusted iterate.
    pub value: f64,
    /// Whether the minimisation found no lower value.
    pub settled: bool,
}

/// The inner products of a displacement and a change of the gradient with every one of `rows`, which are read
/// once. A GPU takes them by `state_project` on the history of pairs.
pub(super) fn products<T: Scalar>(rows: &[&[T]], [displacement, change]: [&[T]; 2]) -> [Vec<f64>; 2] {
    let mut first = sums_over(change.len(), 2 * rows.len(), |here, sums| {
        let rows = chunks(rows, &here);
        let (first, second) = sums.split_at_mut(rows.len());
        add_dots(&rows, &displacement[here.clone()], first);
        add_dots(&rows, &change[here], second);
    });
    let second = first.split_off(rows.len());
    [first, second]
}

impl Potential {
    /// `trust_volume`, `trust_direction`, `potential_step`, `potential_lift`: projected steps, the first of
    /// length 1/σ, then Barzilai and Borwein's, each as far as φ falls along it.
    ///
    /// The potential of the rows of pairs rounded to f32, `table`: its value, its gradient and its steps
    /// agree with each other in f64, and half the bytes go by.
    pub(super) fn minimize(&self, table: &[&[f32]], at: &Neighbourhood<'_>) -> Minimum {
        // The minimisation runs inside the thread pool: called from outside, each of its many short passes
        // would put this thread to sleep and wake it again.
        rayon::scope(|_| self.minimize_inside(table, at))
    }

    fn minimize_inside(&self, table: &[&[f32]], at: &Neighbourhood<'_>) -> Minimum {
        let (radius, volume) = (at.limits.radius, at.domain.volume());
        match at.domain.bounds() {
            BoundsRef::Uniform { lower, upper } => {
                self.minimize_within(table, at, Reach::new([lower, upper], radius, volume))
            }
            BoundsRef::PerUnknown { lower, upper } => {
                self.minimize_within(table, at, Reach::new([lower, upper], radius, volume))
            }
        }
    }

    fn minimize_within<B: Intervals>(
        &self,
        table: &[&[f32]],
        at: &Neighbourhood<'_>,
        reach: Reach<'_, B>,
    ) -> Minimum {
        let Polynomial { outside, curvatures, combination, higher, .. } = &self.learned;
        let (center, gradient, d) = (at.center, at.gradient, at.center.len());
        let (mut z, mut slope, mut direction) = (center.to_vec(), gradient.to_vec(), vec![0.0; d]);
        let mut coordinates = vec![0.0; curvatures.len()];
        let mut minimum = Minimum { x: Vec::new(), steps: 0, value: 0.0, settled: false };
        let (mut rate, mut price) = (1.0 / outside, 0.0);
        for _ in 0..at.limits.steps {
            // Successive multipliers are similar per length of the step, so the search begins at the last
            // one.
            let mu = reach.multiplier(&z, &slope, center, rate, price * rate);
            price = mu / rate;
            let sums = sweep(d, vec![&mut direction], 2 + table.len(), 0, |here, vectors, sums, _| {
                let (z, slope, center) = (&z[here.clone()], &slope[here.clone()], &center[here.clone()]);
                let direction = &mut *vectors[0];
                reach.of(&here).direction(z, slope, center, rate, mu, direction);
                sums[0] += dot::<f64, f64>(direction, direction);
                sums[1] += dot::<f64, f64>(direction, slope);
                add_dots(&chunks(table, &here), direction, &mut sums[2..]);
            });
            let (square, along) = (sums[0], sums[1]);
            if !(along < 0.0) {
                minimum.settled = true;
                break;
            }
            let change: Vec<f64> = combination
                .rows()
                .into_iter()
                .map(|c| c.iter().zip(&sums[2..]).map(|(c, v)| c * v).sum())
                .collect();
            let curvature =
                outside * square + curvatures.iter().zip(&change).map(|(l, c)| l * c * c).sum::<f64>();
            let (t, value, mean_curvature) = match higher {
                None => {
                    let t = if curvature > 0.0 { (-along / curvature).min(1.0) } else { 1.0 };
                    (t, t * along + 0.5 * t * t * curvature, curvature)
                }
                Some(higher) => {
                    let [second, third, fourth] = higher.directional_derivatives(&coordinates, &change);
                    minimum_along([along, curvature + second, third, fourth])
                }
            };
            minimum.value += value;
            minimum.steps += 1;
            rate = if mean_curvature > 0.0 { square / mean_curvature } else { 1.0 / outside };
            coordinates.iter_mut().zip(&change).for_each(|(z, c)| *z += t * c);

            // The gradient of φ is computed at z afresh, not updated, so that no error accumulates.
            let mut slopes: Vec<f64> =
                curvatures.iter().zip(&coordinates).map(|(lambda, z)| lambda * z).collect();
            if let Some(higher) = higher {
                higher.add_gradient(&coordinates, &mut slopes);
            }
            let mut weights = vec![0.0; table.len()];
            for (slope, c) in slopes.iter().zip(combination.rows()) {
                weights.iter_mut().zip(c).for_each(|(w, c)| *w += slope * c);
            }
            sweep(d, vec![&mut z, &mut slope], 0, 0, |here, vectors, _, _| {
                let [z, slope] = vectors else { return };
                let (direction, center, gradient) =
                    (&direction[here.clone()], &center[here.clone()], &gradient[here.clone()]);
                reach.of(&here).advance(z, direction, center, t);
                combine::<f64, _, _>(&chunks(table, &here), &[&weights], &mut [&mut **slope]);
                let (outside, points) = (*outside, z.iter().zip(center).zip(gradient).zip(slope.iter_mut()));
                vectorised(
                    #[inline(always)]
                    move || points.for_each(|(((z, c), g), s)| *s += g + outside * (z - c)),
                );
            });
        }
        minimum.x = z;
        minimum
    }
}

/// The feasible set cut down to the trust region.
#[derive(Clone, Copy)]
struct Reach<'a, B> {
    bounds: B,
    radius: f64,
    weights: Option<&'a [f64]>,
    volume: f64,
}

impl<'a, B: Intervals> Reach<'a, B> {
    fn new(bounds: B, radius: f64, volume: Option<&'a Volume>) -> Self {
        Self {
            bounds,
            radius,
            weights: volume.map(|volume| &volume.weights[..]),
            volume: volume.map_or(f64::INFINITY, |volume| volume.bound),
        }
    }

    /// The part of the reach on the unknowns `here`.
    fn of(&self, here: &Range<usize>) -> Self {
        let weights = self.weights.map(|w| &w[here.clone()]);
        Self { bounds: self.bounds.of(here), weights, ..*self }
    }

    #[inline(always)]
    fn clip(&self, point: f64, center: f64, [lower, upper]: [f64; 2]) -> f64 {
        let (low, high) = ((center - self.radius).max(lower), (center + self.radius).min(upper));
        point.max(low).min(high)
    }

    /// An unknown's share of the volume, and of the rate at which the volume falls as μ grows.
    #[inline(always)]
    fn share(&self, point: f64, center: f64, weight: f64, bounds: [f64; 2]) -> (f64, f64) {
        let clipped = self.clip(point, center, bounds);
        (weight * clipped, if clipped == point { weight * weight } else { 0.0 })
    }

    /// The same for [`LANES`] unknowns, one operation after the other, which compilers vectorise.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "lanes of vectors")]
    fn add_shares(
        &self,
        z: &[f64; LANES],
        slope: &[f64; LANES],
        center: &[f64; LANES],
        weights: &[f64; LANES],
        [lower, upper]: [[f64; LANES]; 2],
        rate: f64,
        mu: f64,
        volume: &mut [f64; LANES],
        free: &mut [f64; LANES],
    ) {
        let (mut point, mut clipped) = ([0.0; LANES], [0.0; LANES]);
        for k in 0..LANES {
            point[k] = z[k] - rate * slope[k] - mu * weights[k];
        }
        for k in 0..LANES {
            clipped[k] = self.clip(point[k], center[k], [lower[k], upper[k]]);
        }
        for k in 0..LANES {
            volume[k] += weights[k] * clipped[k];
        }
        for k in 0..LANES {
            free[k] += if clipped[k] == point[k] { weights[k] * weights[k] } else { 0.0 };
        }
    }

    /// d = P(z − η slope) − z, for the unknowns of the chunk.
    fn direction(&self, z: &[f64], slope: &[f64], center: &[f64], rate: f64, mu: f64, d: &mut [f64]) {
        let reach = *self;
        let points = d.iter_mut().zip(z).zip(slope.iter().zip(center)).enumerate();
        match self.weights {
            Some(weights) => vectorised(
                #[inline(always)]
                move || {
                    points.zip(weights).for_each(|((i, ((d, z), (s, c))), w)| {
                        *d = reach.clip(z - rate * s - mu * w, *c, reach.bounds.at(i)) - z
                    })
                },
            ),
            None => vectorised(
                #[inline(always)]
                move || {
                    points.for_each(|(i, ((d, z), (s, c)))| {
                        *d = reach.clip(z - rate * s, *c, reach.bounds.at(i)) - z
                    })
                },
            ),
        }
    }

    /// z ← z + t d, for the unknowns of the chunk, clamped because rounding must not lead out of the bounds.
    fn advance(&self, z: &mut [f64], d: &[f64], center: &[f64], t: f64) {
        let reach = *self;
        let points = z.iter_mut().zip(d).zip(center).enumerate();
        vectorised(
            #[inline(always)]
            move || points.for_each(|(i, ((z, d), c))| *z = reach.clip(*z + t * d, *c, reach.bounds.at(i))),
        );
    }

    /// The least μ ≥ 0 for which clip(z − η slope − μ w) keeps the volume, to rounding or to second order in
    /// [`LAST_STEP_TOLERANCE`]. The excess is convex between the kinks, so Newton's method, kept inside a
    /// shrinking bracket, ends after a few steps.
    fn multiplier(&self, z: &[f64], slope: &[f64], center: &[f64], rate: f64, guess: f64) -> f64 {
        let Some(weights) = self.weights else { return 0.0 };
        let excess = |mu: f64| {
            let sums = sums_over(z.len(), 2, |here, sums| {
                let (z, slope, center, weights) =
                    (&z[here.clone()], &slope[here.clone()], &center[here.clone()], &weights[here.clone()]);
                let n = z.len() / LANES * LANES;
                let lanes = (z.as_chunks().0.iter().zip(slope.as_chunks().0))
                    .zip(center.as_chunks().0.iter().zip(weights.as_chunks().0));
                let reach = self.of(&here);
                let (mut volume, mut free) = vectorised(
                    #[inline(always)]
                    move || {
                        let (mut volume, mut free) = ([0.0; LANES], [0.0; LANES]);
                        for (block, ((z, slope), (center, weights))) in lanes.enumerate() {
                            let bounds = reach.bounds.lanes(block * LANES);
                            let sums = (&mut volume, &mut free);
                            reach.add_shares(z, slope, center, weights, bounds, rate, mu, sums.0, sums.1);
                        }
                        (volume, free)
                    },
                );
                for i in n..z.len() {
                    let point = z[i] - rate * slope[i] - mu * weights[i];
                    let (v, f) = reach.share(point, center[i], weights[i], reach.bounds.at(i));
                    volume[i - n] += v;
                    free[i - n] += f;
                }
                sums[0] += volume.iter().sum::<f64>();
                sums[1] += free.iter().sum::<f64>();
            });
            (sums[0] - self.volume, sums[1])
        };
        let (mut low, mut high, mut mu) = (0.0, f64::INFINITY, guess);
        let (tolerance, last_step_tolerance) =
            (1e-13 * self.volume.abs(), LAST_STEP_TOLERANCE * self.volume.abs());
        for _ in 0..MULTIPLIER_STEPS {
            let (over, free) = excess(mu);
            if over.abs() <= tolerance || (mu == 0.0 && over <= 0.0) {
                return mu;
            }
            if over > 0.0 {
                low = mu
            } else {
                high = mu
            }
            let newton = mu + over / free;
            if over.abs() <= last_step_tolerance && newton > low && newton < high {
                return newton;
            }
            mu = if free > 0.0 && newton > low && newton < high {
                newton
            } else if low == 0.0 && over < 0.0 && newton <= 0.0 {
                // The bound may be slack, which an evaluation at the multiplier 0 decides.
                0.0
            } else if high.is_finite() {
                0.5 * (low + high)
            } else {
                // No unknown is free to move, so the multiplier grows beyond the next kink, wherever that is.
                2.0 * mu.max(rate * slope.iter().fold(f64::MIN_POSITIVE, |m, s| m.max(s.abs())))
            };
            if mu == 0.0 && low == 0.0 {
                continue;
            }
            if mu <= low || mu >= high {
                break;
            }
        }
        if high.is_finite() { high } else { low }
    }
}
