//! Integrals over recorded grids, even or uneven: the rule over each interval between samples, and bumps
//! whose discrete integration by parts is exact for low-degree polynomials.

use faer::Mat;
use ndarray::{ArrayView1, ArrayView2};

use crate::error::{Error, Result};
use crate::surrogate::targets::WeakForm;

/// The points of the interval rule: it is exact for polynomials of degree 5.
const POINTS: usize = 6;
/// The largest sum of the sizes of a rule's weights, in widths of the interval: it is 1.26 inside of an even
/// grid, 2.35 at its ends, and hundreds where samples are drawn at random.
const AMPLIFIED: f64 = 6.0;
/// Discrete integration by parts is exact for polynomials of this degree, where a bump has the points for it.
const DEGREE: usize = 6;

/// A row of weights on consecutive samples.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stencil {
    /// The first sample that has a weight.
    pub(super) first: usize,
    pub(super) weights: Vec<f64>,
}

impl Stencil {
    pub(super) fn dot(&self, column: ArrayView1<f64>) -> f64 {
        self.weights.iter().zip(column.iter().skip(self.first)).map(|(w, v)| w * v).sum()
    }
}

/// A row A Θ ≈ B x of an operator on one trajectory, as two stencils.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) features: Stencil,
    pub(super) samples: Stencil,
}

/// The weights of ∫ over [t_k, t_{k+1}] by the polynomial through the closest 6 samples (fewer on shorter
/// grids), for every k. Where samples lie so unevenly that such a polynomial would amplify their noise, fewer
/// samples are taken, down to the trapezoid rule.
pub(super) fn intervals(t: ArrayView1<f64>) -> Vec<Stencil> {
    let k = t.len();
    let most = POINTS.min(k);
    (0..k - 1)
        .map(|at| {
            let rules = (0..most / 2).map(|less| interval(t, at, most - 2 * less));
            let width = t[at + 1] - t[at];
            let size = |rule: &Stencil| rule.weights.iter().map(|w| w.abs()).sum::<f64>();
            let mut rules = rules.filter(|rule| size(rule) <= AMPLIFIED * width);
            rules.next().unwrap_or_else(|| Stencil { first: at, weights: vec![0.5 * width; 2] })
        })
        .collect()
}

/// The weights of ∫ over [t_at, t_{at+1}] by the polynomial through the closest `points` samples.
fn interval(t: ArrayView1<f64>, at: usize, points: usize) -> Stencil {
    let (nodes, gauss) = gauss3();
    let first = (at + 1).saturating_sub(points / 2).min(t.len() - points);
    let (left, width) = (t[at], t[at + 1] - t[at]);
    let s: Vec<f64> = (first..first + points).map(|i| (t[i] - left) / width).collect();
    let weights = (0..points).map(|i| {
        let lagrange =
            |q: f64| -> f64 { (0..points).filter(|m| *m != i).map(|m| (q - s[m]) / (s[i] - s[m])).product() };
        nodes.iter().zip(gauss).map(|(q, w)| w * lagrange(*q)).sum::<f64>() * width
    });
    Stencil { first, weights: weights.collect() }
}

/// Gauss–Legendre nodes and weights on [0, 1]: three of them are exact to degree 5.
fn gauss3() -> ([f64; 3], [f64; 3]) {
    let off = 0.6_f64.sqrt() / 2.0;
    ([0.5 - off, 0.5, 0.5 + off], [5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0])
}

/// The rows of `weak` on the grid `t`, newest first.
///
/// Features get weights A = −w φ, w the trapezoid rule's on even grids and that of [`intervals`] on uneven
/// ones. Samples get B = w φ' and the smallest correction, weighted by the bump, with B tⁿ = A n tⁿ⁻¹ for all
/// n up to [`DEGREE`]: so x' = 1 has slope 1 for every half-width, power and stride, and a bump that is cut
/// by an end of the recording has its boundary term.
///
/// # Errors
/// A bump that no sample is inside of.
pub(super) fn bumps(weak: WeakForm, t: ArrayView1<f64>, even: Option<f64>) -> Result<Vec<Row>> {
    let (k, w) = (t.len(), weak.half_width);
    let offset = usize::from(weak.include_endpoints);
    let grid = k + 2 * offset;
    let Some(last) = grid.checked_sub(2 * w + 1) else { return Ok(Vec::new()) };
    let weights = match even {
        Some(dt) => vec![dt; k],
        None => {
            let mut sums = vec![0.0; k];
            for rule in intervals(t) {
                rule.weights.iter().enumerate().for_each(|(i, v)| sums[rule.first + i] += v);
            }
            sums
        }
    };
    // The time of a grid point; beyond the samples it goes on as it ended.
    let time = |at: usize| -> f64 {
        match at.checked_sub(offset) {
            None => t[0] - (t[1] - t[0]),
            Some(i) if i >= k => 2.0 * t[k - 1] - t[k - 2],
            Some(i) => t[i],
        }
    };
    // On an even grid all bumps that lie between the ends are one another's copies.
    let mut copy: Option<(usize, Row)> = None;
    (0..=last / weak.stride)
        .map(|number| {
            let first = last - number * weak.stride;
            let from = first.saturating_sub(offset);
            let to = (first + 2 * w).saturating_sub(offset).min(k - 1);
            let inside = first >= offset && first + 2 * w < k + offset;
            if let Some((origin, row)) = copy.as_ref().filter(|_| inside && even.is_some()) {
                let moved = |stencil: &Stencil| Stencil {
                    first: (stencil.first + from) - origin,
                    weights: stencil.weights.clone(),
                };
                return Ok(Row { features: moved(&row.features), samples: moved(&row.samples) });
            }
            let (a, b) = (time(first), time(first + 2 * w));
            let row = bump(weak.power, &t.range(from, to), &weights[from..=to], from, a, b)?;
            if inside {
                copy = Some((from, row.clone()));
            }
            Ok(row)
        })
        .collect()
}

/// The samples of a range, whatever the view's strides.
trait Range {
    fn range(&self, from: usize, to: usize) -> Vec<f64>;
}

impl Range for ArrayView1<'_, f64> {
    fn range(&self, from: usize, to: usize) -> Vec<f64> {
        self.iter().skip(from).take(to + 1 - from).copied().collect()
    }
}

/// One bump on [a, b] at the samples `t`, of which `first` is the first.
fn bump(power: u32, t: &[f64], weights: &[f64], first: usize, a: f64, b: f64) -> Result<Row> {
    let n = t.len();
    if n < 2 {
        return Err(Error::invalid(
            "the number of samples under a bump",
            n,
            "at least 2 (a greater half-width)",
        ));
    }
    let p = power as i32;
    let half = 0.5 * (b - a);
    // s runs from −1 to 1 over the bump.
    let s: Vec<f64> = t.iter().map(|t| (t - 0.5 * (a + b)) / half).collect();
    let phi: Vec<f64> = s.iter().map(|s| (1.0 - s * s).max(0.0).powi(p)).collect();
    let slope = s.iter().map(|s| -2.0 * f64::from(p) * s * (1.0 - s * s).max(0.0).powi(p - 1) / half);
    let features: Vec<f64> = phi.iter().zip(weights).map(|(phi, w)| -w * phi).collect();
    let mut samples: Vec<f64> = slope.zip(weights).map(|(slope, w)| w * slope).collect();
    let degree = DEGREE.min(n - 1);
    let values: Vec<Vec<(f64, f64)>> = s.iter().map(|s| legendre(degree, *s)).collect();
    // The correction is small where the bump is, and never impossible at its ends.
    let share: Vec<f64> = phi.iter().map(|phi| phi + 1e-3).collect();
    let matrix = Mat::from_fn(n, degree + 1, |i, m| values[i][m].0 * share[i]);
    let svd =
        matrix.thin_svd().map_err(|_| Error::factorization("singular value decomposition of a bump"))?;
    // Two rounds: the second takes away what rounding has left of the first.
    for _ in 0..2 {
        let missing: Vec<f64> = (0..=degree)
            .map(|m| {
                let total: f64 =
                    (0..n).map(|i| features[i] * values[i][m].1 / half - samples[i] * values[i][m].0).sum();
                total
            })
            .collect();
        for mode in 0..=degree {
            let size = svd.S()[mode];
            if size <= 1e-12 * svd.S()[0] {
                continue;
            }
            let along: f64 = missing.iter().enumerate().map(|(m, v)| svd.V()[(m, mode)] * v).sum();
            for i in 0..n {
                samples[i] += share[i] * svd.U()[(i, mode)] * along / size;
            }
        }
    }
    Ok(Row { features: Stencil { first, weights: features }, samples: Stencil { first, weights: samples } })
}

/// Legendre polynomials up to `degree` and their derivatives at `s`.
fn legendre(degree: usize, s: f64) -> Vec<(f64, f64)> {
    let mut values = vec![(1.0, 0.0), (s, 1.0)];
    for n in 1..degree {
        let m = n as f64;
        let ((p0, d0), (p1, _)) = (values[n - 1], values[n]);
        let value = ((2.0 * m + 1.0) * s * p1 - m * p0) / (m + 1.0);
        values.push((value, d0 + (2.0 * m + 1.0) * p1));
    }
    values.truncate(degree + 1);
    values
}

/// Finite differences of an order on any grid: the derivative of the polynomial through the samples of each
/// stencil, where the derivative is taken at sample `at` of it.
pub(super) fn differences(t: ArrayView1<f64>, points: usize, at: usize) -> Vec<Row> {
    (0..(t.len() + 1).saturating_sub(points))
        .map(|first| {
            let node = |i: usize| t[first + i];
            let weights = (0..points).map(|i| {
                if i == at {
                    (0..points).filter(|m| *m != at).map(|m| (node(at) - node(m)).recip()).sum()
                } else {
                    let others = (0..points).filter(|m| *m != i && *m != at);
                    let ratio: f64 = others.map(|m| (node(at) - node(m)) / (node(i) - node(m))).product();
                    ratio / (node(i) - node(at))
                }
            });
            Row {
                features: Stencil { first: first + at, weights: vec![1.0] },
                samples: Stencil { first, weights: weights.collect() },
            }
        })
        .collect()
}

/// Applies the rows to features (K×P) and samples (K×d) of one trajectory.
pub(super) fn apply(
    rows: &[Row],
    theta: ArrayView2<f64>,
    z: ArrayView2<f64>,
) -> (ndarray::Array2<f64>, ndarray::Array2<f64>) {
    let act = |of: fn(&Row) -> &Stencil, matrix: ArrayView2<f64>| {
        let mut out = ndarray::Array2::zeros((rows.len(), matrix.ncols()));
        for (row, mut into) in rows.iter().zip(out.rows_mut()) {
            let stencil = of(row);
            for (i, w) in stencil.weights.iter().enumerate() {
                into.scaled_add(*w, &matrix.row(stencil.first + i));
            }
        }
        out
    };
    (act(|row| &row.features, theta), act(|row| &row.samples, z))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    fn grids(k: usize) -> [(Array1<f64>, Option<f64>); 2] {
        let even = Array1::from_shape_fn(k, |i| 0.1 * i as f64);
        let uneven = even.mapv(|t| t + 0.03 * (7.0 * t).sin());
        [(even, Some(0.1)), (uneven, None)]
    }

    /// x = t has slope 1, for every admissible setting and on every grid.
    #[test]
    fn linear_data_have_slope_one() {
        for (t, even) in grids(60) {
            for half_width in [1, 2, 3, 5, 8, 13, 29] {
                for power in [1, 2, 3, 5, 8, 12, 30, 50] {
                    for stride in [1, 3] {
                        for include_endpoints in [false, true] {
                            let weak = WeakForm { half_width, power, stride, include_endpoints };
                            for row in bumps(weak, t.view(), even).unwrap() {
                                let ones = Array1::ones(t.len());
                                let ratio = row.samples.dot(t.view()) / row.features.dot(ones.view());
                                assert!((ratio - 1.0).abs() < 1e-10, "{weak:?}: {ratio}");
                                let size: f64 = row.samples.weights.iter().map(|w| w.abs()).sum();
                                let sum = row.samples.dot(ones.view());
                                assert!(sum.abs() <= 1e-12 * size, "{weak:?}: constants have slope {sum}");
                            }
                        }
                    }
                }
            }
        }
    }

    /// Times at random, some of them close together: no rule multiplies noise, and lines are integrated.
    #[test]
    fn rules_on_clustered_samples_do_not_amplify() {
        let mut state = 7_u64;
        let mut times: Vec<f64> = (0..300)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                10.0 * (state >> 11) as f64 / (1_u64 << 53) as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let t = Array1::from(times);
        for (k, rule) in intervals(t.view()).iter().enumerate() {
            let width = t[k + 1] - t[k];
            assert!(rule.weights.iter().map(|w| w.abs()).sum::<f64>() <= AMPLIFIED * width);
            let exact = 0.5 * (t[k + 1] + t[k]) * width;
            assert!((rule.dot(t.view()) - exact).abs() < 1e-12 * width, "{k}");
        }
    }

    #[test]
    fn intervals_and_differences_are_exact_for_their_degree() {
        for (t, _) in grids(12) {
            let quintic = t.mapv(|t| t.powi(5));
            for (k, rule) in intervals(t.view()).iter().enumerate() {
                let exact = (t[k + 1].powi(6) - t[k].powi(6)) / 6.0;
                assert!((rule.dot(quintic.view()) - exact).abs() < 1e-13, "{k}");
            }
            for (points, at) in [(2, 0), (3, 1), (5, 2)] {
                let power = points as i32 - 1;
                let x = t.mapv(|t| t.powi(power));
                let slope = t.mapv(|t| f64::from(power) * t.powi(power - 1));
                for row in differences(t.view(), points, at) {
                    let (found, exact) = (row.samples.dot(x.view()), row.features.dot(slope.view()));
                    assert!((found - exact).abs() < 1e-11, "{found} {exact}");
                }
            }
        }
    }
}
