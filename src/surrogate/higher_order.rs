//! Terms of order 3 and 4 of a learned potential.
//!
//! ψ(z) = Σₖ bₖ κ(zₖ·z/ℓ²) + (aₖ·z/ℓ) κ'(zₖ·z/ℓ²),  κ(u) = u²/2! + … + uⁿ/n!
//!
//! The polynomial of order n without constant and linear terms that has the least norm in the space of the
//! kernel κ(z·z') and makes up for what the quadratic part leaves unexplained, of gradients and values, at
//! the window's samples zₖ (m of them, relative to the trusted iterate; ℓ is the farthest one's distance),
//! but for a ridge. A tensor of order n in r coordinates has about rⁿ/n! entries; this has m (r + 1), and is
//! evaluated in O(m r).
//!
//! Source: representer theorem, Schölkopf & Smola, *Learning with Kernels* (2002), ch. 4; the kernel is the
//! homogeneous polynomials' sum.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use crate::error::{Error, Result};
use crate::linalg::dot;

/// What is known about a pair besides its displacement s and its change of the gradient y.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PairNote {
    /// The remainder of the linear model, f(x) − f(x_trusted) − g·s; ½ s·y for a quadratic.
    pub remainder: f64,
    /// Whether x became the trusted iterate.
    pub kept: bool,
}

/// The ridge, relative to the mean diagonal of the kernel's matrix. It is as large as that because changes of
/// a design outside the span are noise to a function of the coordinates alone.
pub(crate) const RIDGE: f64 = 1.0;
/// The largest number of samples of a fit, the newest ones: its matrix has r + 1 rows per sample.
const MOST_SAMPLES: usize = 16;

/// ψ in the coordinates z; see the [module](self).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HigherOrder {
    pub order: usize,
    /// The samples' coordinates, scaled: zₖ/ℓ² (m×r).
    pub points: Vec<Vec<f64>>,
    /// The coefficients of κ', scaled: aₖ/ℓ (m×r).
    pub slopes: Vec<Vec<f64>>,
    /// The coefficients of κ: bₖ (m).
    pub values: Vec<f64>,
}

/// κ and its first derivatives at u.
fn kernel(order: usize, u: f64) -> [f64; 5] {
    let (third, fourth) = (if order >= 3 { 1.0 } else { 0.0 }, if order >= 4 { 1.0 } else { 0.0 });
    [
        u * u * (0.5 + u * (third / 6.0 + u * fourth / 24.0)),
        u * (1.0 + u * (third / 2.0 + u * fourth / 6.0)),
        1.0 + u * (third + u * fourth / 2.0),
        third + u * fourth,
        fourth,
    ]
}

/// A sample relative to the trusted iterate: its coordinates, its gradient less the trusted one, and its
/// value less the trusted one's linear prediction.
struct Sample {
    z: Vec<f64>,
    change: Vec<f64>,
    remainder: f64,
}

/// The samples that the chain of pairs leads to, newest first. A pair that was kept joins two successive
/// trusted iterates; one that was undone joins a rejected iterate to the iterate that was trusted at the
/// time.
fn samples(pairs: &[(Vec<f64>, Vec<f64>, PairNote)]) -> Vec<Sample> {
    let r = pairs.first().map_or(0, |p| p.0.len());
    let (mut base, mut found) =
        (Sample { z: vec![0.0; r], change: vec![0.0; r], remainder: 0.0 }, Vec::new());
    for (s, y, note) in pairs.iter().rev() {
        let moved = |from: &Sample, sign: f64| -> (Vec<f64>, Vec<f64>) {
            (
                from.z.iter().zip(s).map(|(z, s)| z + sign * s).collect(),
                from.change.iter().zip(y).map(|(c, y)| c + sign * y).collect(),
            )
        };
        if note.kept {
            let (z, change) = moved(&base, -1.0);
            let remainder = base.remainder - note.remainder - dot(&change, s);
            base = Sample { z, change, remainder };
            found.push(Sample { z: base.z.clone(), change: base.change.clone(), remainder });
        } else {
            let (z, change) = moved(&base, 1.0);
            let remainder = base.remainder + note.remainder + dot(&base.change, s);
            found.push(Sample { z, change, remainder });
        }
    }
    found
}

impl HigherOrder {
    /// From pairs (displacement, change of the gradient, note), oldest first, in coordinates where the
    /// quadratic part is ½ Σ `curvatures`ᵢ zᵢ²; `ridge` is relative to the mean diagonal of the kernel's
    /// matrix.
    ///
    /// Cost: a Cholesky factorisation of order min(m, 16) (r + 1).
    pub(crate) fn fit(
        order: usize,
        pairs: &[(Vec<f64>, Vec<f64>, PairNote)],
        curvatures: &[f64],
        ridge: f64,
    ) -> Result<Self> {
        let (mut samples, r) = (samples(pairs), curvatures.len());
        samples.truncate(MOST_SAMPLES);
        let length = samples.iter().map(|s| dot(&s.z, &s.z)).fold(0.0, f64::max).sqrt();
        if !(length > 0.0) {
            // All samples coincide with the trusted iterate, as far as the coordinates resolve.
            return Ok(Self { order, points: Vec::new(), slopes: Vec::new(), values: Vec::new() });
        }
        let points: Vec<Vec<f64>> =
            samples.iter().map(|s| s.z.iter().map(|z| z / length).collect()).collect();
        // The rows of the system, per sample the value and then the slopes.
        let (m, block) = (samples.len(), r + 1);
        let gram = Mat::from_fn(m * block, m * block, |row, column| {
            let (zi, zj) = (&points[row / block], &points[column / block]);
            let [k, k1, k2, ..] = kernel(order, dot(zi, zj));
            match (row % block, column % block) {
                (0, 0) => k,
                (0, b) => k1 * zi[b - 1],
                (a, 0) => k1 * zj[a - 1],
                (a, b) => k2 * zj[a - 1] * zi[b - 1] + if a == b { k1 } else { 0.0 },
            }
        });
        let unexplained = Mat::from_fn(m * block, 1, |row, _| {
            let sample = &samples[row / block];
            let quadratic_slope = |i: usize| curvatures[i] * sample.z[i];
            match row % block {
                0 => sample.remainder - 0.5 * (0..r).map(|i| sample.z[i] * quadratic_slope(i)).sum::<f64>(),
                a => length * (sample.change[a - 1] - quadratic_slope(a - 1)),
            }
        });
        let n = m * block;
        let ridge = ridge * (0..n).map(|i| gram[(i, i)]).sum::<f64>() / n as f64;
        let regular = Mat::from_fn(n, n, |i, j| gram[(i, j)] + if i == j { ridge } else { 0.0 });
        let factor = regular
            .llt(Side::Lower)
            .map_err(|_| Error::factorization("Cholesky factorisation of a potential's kernel"))?;
        let solution = factor.solve(&unexplained);
        Ok(Self {
            order,
            points: points.iter().map(|z| z.iter().map(|z| z / length).collect()).collect(),
            slopes: (0..m)
                .map(|k| (0..r).map(|i| solution[(k * block + 1 + i, 0)] / length).collect())
                .collect(),
            values: (0..m).map(|k| solution[(k * block, 0)]).collect(),
        })
    }

    /// Adds ∇ψ(z) to `gradient`.
    pub(crate) fn add_gradient(&self, z: &[f64], gradient: &mut [f64]) {
        for ((point, slope), value) in self.points.iter().zip(&self.slopes).zip(&self.values) {
            let [_, k1, k2, ..] = kernel(self.order, dot(point, z));
            let along = value * k1 + dot(slope, z) * k2;
            gradient.iter_mut().zip(point.iter().zip(slope)).for_each(|(g, (p, s))| *g += along * p + k1 * s);
        }
    }

    /// The second to fourth derivative of ψ(z + t c) at t = 0.
    pub(crate) fn directional_derivatives(&self, z: &[f64], c: &[f64]) -> [f64; 3] {
        let mut derivatives = [0.0; 3];
        for ((point, slope), value) in self.points.iter().zip(&self.slopes).zip(&self.values) {
            let [_, _, k2, k3, k4] = kernel(self.order, dot(point, z));
            let (v, alpha, beta) = (dot(point, c), dot(slope, z), dot(slope, c));
            derivatives[0] += v * (value * k2 * v + 2.0 * beta * k2 + alpha * k3 * v);
            derivatives[1] += v * v * (value * k3 * v + 3.0 * beta * k3 + alpha * k4 * v);
            derivatives[2] += v * v * v * k4 * (value * v + 4.0 * beta);
        }
        derivatives
    }
}

/// The number of bisections in the search for a polynomial's minimum.
const BISECTIONS: usize = 40;

/// The value and the slope at t of the polynomial with these derivatives at 0, the first to the fourth, and
/// the value 0 at 0.
fn along(derivatives: [f64; 4], t: f64) -> (f64, f64) {
    let [first, second, third, fourth] = derivatives;
    (
        t * (first + t * (second / 2.0 + t * (third / 6.0 + t * fourth / 24.0))),
        first + t * (second + t * (third / 2.0 + t * fourth / 6.0)),
    )
}

/// A minimiser in (0, 1] of the polynomial with these derivatives at 0, the first of them negative: (t, value
/// there, mean second derivative up to there). A value below 0 is certain.
pub(crate) fn minimum_along(derivatives: [f64; 4]) -> (f64, f64, f64) {
    let (mut low, mut high) = (0.0, 1.0);
    let (value, slope) = along(derivatives, high);
    // Where the polynomial rises or is not below 0 at 1, it has a minimum before, which bisection encloses.
    if slope > 0.0 || value >= 0.0 {
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            let (value, slope) = along(derivatives, middle);
            if slope > 0.0 || value >= 0.0 { high = middle } else { low = middle }
        }
        high = low;
    }
    let (value, slope) = along(derivatives, high);
    (high, value, if high > 0.0 { (slope - derivatives[0]) / high } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A polynomial of order 4 about the origin, without constant and linear terms: (value, gradient).
    fn polynomial(order: usize, z: &[f64]) -> (f64, [f64; 2]) {
        let (x, y) = (z[0], z[1]);
        let (third, fourth) = (1.0, if order == 4 { 1.0 } else { 0.0 });
        (
            1.5 * x * x - 0.5 * x * y
                + y * y
                + third * (0.7 * x.powi(3) - 1.1 * x * y * y)
                + fourth * (0.3 * x.powi(4) + 0.9 * x * y.powi(3)),
            [
                3.0 * x - 0.5 * y
                    + third * (2.1 * x * x - 1.1 * y * y)
                    + fourth * (1.2 * x.powi(3) + 0.9 * y.powi(3)),
                -0.5 * x + 2.0 * y - third * 2.2 * x * y + fourth * 2.7 * x * y * y,
            ],
        )
    }

    /// A walk whose every third landing is undone, as pairs relative to where it stands: the last trusted
    /// point is the origin.
    fn walk(order: usize) -> Vec<(Vec<f64>, Vec<f64>, PairNote)> {
        let steps: [[f64; 2]; 9] = [
            [0.5, 0.1],
            [-0.2, 0.4],
            [0.3, 0.3],
            [-0.4, 0.1],
            [0.1, -0.5],
            [0.6, 0.2],
            [-0.1, -0.3],
            [0.2, 0.5],
            [-0.3, 0.2],
        ];
        let kept = |i: usize| i % 3 != 2;
        let trodden = |i: usize, axis: usize| -> f64 {
            steps[i..].iter().enumerate().filter(|(k, _)| kept(i + k)).map(|(_, s)| s[axis]).sum()
        };
        let mut pairs = Vec::new();
        for (i, s) in steps.iter().enumerate() {
            let at = [-trodden(i, 0), -trodden(i, 1)];
            let (value, g) = polynomial(order, &at);
            let (landed, h) = polynomial(order, &[at[0] + s[0], at[1] + s[1]]);
            let remainder = landed - value - g[0] * s[0] - g[1] * s[1];
            pairs.push((s.to_vec(), vec![h[0] - g[0], h[1] - g[1]], PairNote { remainder, kept: kept(i) }));
        }
        pairs
    }

    /// There are more equations than coefficients, so without a ridge the polynomial itself is found,
    /// whatever the quadratic part explains: values and slopes at a point that is no sample.
    #[test]
    fn a_polynomial_is_found_again() {
        for order in [3, 4] {
            for quadratic in [[0.0, 0.0], [2.0, -0.7]] {
                let higher = HigherOrder::fit(order, &walk(order), &quadratic, 1e-13).unwrap();
                let z = [0.35, -0.45];
                let mut gradient = [quadratic[0] * z[0], quadratic[1] * z[1]];
                higher.add_gradient(&z, &mut gradient);
                let (_, expected) = polynomial(order, &z);
                // The bound covers the ridge and the rounding of a matrix with a condition number of about
                // 1e7.
                for axis in 0..2 {
                    approx::assert_abs_diff_eq!(gradient[axis], expected[axis], epsilon = 1e-5);
                }
            }
        }
    }

    #[test]
    fn samples_that_do_not_differ_teach_nothing() {
        let still = (vec![0.0, 0.0], vec![0.0, 0.0], PairNote { remainder: 0.0, kept: true });
        let higher = HigherOrder::fit(4, &[still], &[1.0, 2.0], RIDGE).unwrap();
        let mut gradient = [0.0; 2];
        higher.add_gradient(&[0.3, 0.4], &mut gradient);
        assert_eq!(
            (gradient, higher.directional_derivatives(&[0.3, 0.4], &[1.0, 1.0])),
            ([0.0; 2], [0.0; 3])
        );
    }

    /// Central differences of the gradient, exact but for rounding on a polynomial of order 4 or less.
    #[test]
    fn directional_derivatives_are_derivatives_of_the_gradient() {
        let higher = HigherOrder::fit(4, &walk(4), &[2.0, 1.0], RIDGE).unwrap();
        let (z, c, h) = ([0.2, -0.1], [0.3, 0.7], 0.05);
        let slope = |t: f64| {
            let mut g = [0.0; 2];
            higher.add_gradient(&[z[0] + t * c[0], z[1] + t * c[1]], &mut g);
            g[0] * c[0] + g[1] * c[1]
        };
        let [second, third, fourth] = higher.directional_derivatives(&z, &c);
        let (f2, f1, b1, b2) = (slope(2.0 * h), slope(h), slope(-h), slope(-2.0 * h));
        let scale = slope(0.0).abs().max(1.0);
        approx::assert_abs_diff_eq!(
            second,
            (8.0 * (f1 - b1) - (f2 - b2)) / (12.0 * h),
            epsilon = 1e-13 * scale / h
        );
        approx::assert_abs_diff_eq!(
            third,
            (16.0 * (f1 + b1) - (f2 + b2) - 30.0 * slope(0.0)) / (12.0 * h * h),
            epsilon = 1e-13 * scale / (h * h)
        );
        approx::assert_abs_diff_eq!(
            fourth,
            (f2 - 2.0 * f1 + 2.0 * b1 - b2) / (2.0 * h.powi(3)),
            epsilon = 1e-13 * scale / h.powi(3)
        );
    }

    #[test]
    fn the_least_value_along_a_step_is_found() {
        // −t + t²/2·2 is least at ½; for one that falls on all of (0, 1] the minimiser is 1, and so it is for
        // one that falls, rises and falls below 0 again.
        let (t, value, bend) = minimum_along([-1.0, 2.0, 0.0, 0.0]);
        approx::assert_abs_diff_eq!(t, 0.5, epsilon = 1e-11);
        approx::assert_abs_diff_eq!(value, -0.25, epsilon = 1e-11);
        approx::assert_abs_diff_eq!(bend, 2.0, epsilon = 1e-10);
        assert_eq!(minimum_along([-1.0, 0.5, 0.0, 0.0]), (1.0, -0.75, 0.5));
        assert_eq!(minimum_along([-1.0, -3.0, 0.0, 0.0]).0, 1.0);
        // Falls, rises above 0, and is still above 0 and falling at 1: the descent before the rise is what
        // counts.
        let derivatives = [-1.0, 12.0, -30.0, 0.0];
        let (t, value, _) = minimum_along(derivatives);
        assert!(value < 0.0 && t < 0.2 && along(derivatives, t).1.abs() < 1e-9, "{t}: {value}");
    }
}
