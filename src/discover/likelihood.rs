//! The maximum-likelihood estimate of the coefficients from a noisy recording.
//!
//! The states z are unknowns beside the coefficients Ξ: minimise Σ ‖x_k − z_k‖²/σ² over both, subject to
//! z_{k+1} − z_k = Σ_m a_km Θ(z_m) Ξ for every interval, where the right-hand side is the integral of the
//! polynomial through the six closest samples. These rows span the weak form of every bump. Each round
//! linearises about the last states and solves the generalised least-squares problem whose covariance
//! S = J Σ Jᵀ is that of the rows: S is banded, so a round costs K d (8 d)² operations.
//!
//! Sources: H. I. Britt & R. H. Luecke, Technometrics 15 (1973) 233 (errors in variables under constraints);
//! D. M. Bortz, D. A. Messenger & V. Dukic, Bull. Math. Biol. 85 (2023) 110 (the weak form's covariance).

use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView1, s};

use super::quadrature::{Stencil, intervals};
use super::terms::Terms;

/// One recording: the samples, what else the terms are made of, and the rule over each interval.
pub(super) struct Segment {
    samples: Array2<f64>,
    /// Inputs and time, which are taken as exact.
    given: Array2<f64>,
    rules: Vec<Stencil>,
    /// The rows of an earlier interval that share samples with one are at most this far away.
    reach: usize,
}

impl Segment {
    pub(super) fn new(samples: Array2<f64>, given: Array2<f64>, t: ArrayView1<f64>) -> Self {
        let rules = intervals(t);
        let end = |rule: &Stencil| rule.first + rule.weights.len();
        let reach = (0..rules.len())
            .map(|k| k - (0..=k).rev().take_while(|j| end(&rules[*j]) > rules[k].first).last().unwrap_or(k))
            .max()
            .unwrap_or(0);
        Self { samples, given, rules, reach }
    }

    fn at(&self, z: &Array2<f64>, node: usize) -> Vec<f64> {
        z.row(node).iter().chain(self.given.row(node)).copied().collect()
    }
}

/// A term of an equation: (term, equation).
pub(super) type Place = (usize, usize);

/// An estimate of some coefficients, with the states that go with it.
#[derive(Clone)]
pub(super) struct Estimate {
    pub(super) places: Vec<Place>,
    pub(super) values: Vec<f64>,
    states: Vec<Array2<f64>>,
    /// The weighted sum of squares: about the number of rows, where the equations hold.
    pub(super) chi2: f64,
}

/// The quadratic form of the coefficients about an estimate.
pub(super) struct Quadratic {
    places: Vec<Place>,
    /// The information matrix, the inverse of the coefficients' covariance.
    information: Array2<f64>,
    linear: Array1<f64>,
    constant: f64,
}

/// The estimation problem: recordings, noise (d) and library.
pub(super) struct Likelihood<'a> {
    pub(super) segments: &'a [Segment],
    pub(super) sigma: &'a [f64],
    pub(super) terms: &'a Terms,
}

/// What one round leaves for the update of a segment's states.
struct Round {
    /// The scaled derivative of each row by the states of its interval's samples, d×(n d) a row of intervals.
    slopes: Vec<Array2<f64>>,
    factor: Band,
    /// Whitened derivatives by the coefficients, and the whitened residual.
    columns: Array2<f64>,
    residual: Array1<f64>,
}

impl Likelihood<'_> {
    /// The number of rows of all intervals and equations.
    pub(super) fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.rules.len()).sum::<usize>() * self.sigma.len()
    }

    /// The numbers that a round keeps for `columns` coefficients.
    pub(super) fn memory(&self, columns: usize) -> usize {
        self.rows().saturating_mul(columns + 8 * self.sigma.len())
    }

    /// The operations of one round, roughly, for `columns` coefficients.
    pub(super) fn work(&self, columns: usize) -> f64 {
        let d = self.sigma.len();
        let band = (d * (1 + self.segments.iter().map(|s| s.reach).max().unwrap_or(0))) as f64;
        let columns = columns as f64;
        self.rows() as f64 * (1.5 * band * band + band * columns + columns * columns + 40.0 * d as f64)
    }

    /// Whether an integral over an interval is known better than the noise leaves it: whether the rules of
    /// six and of four samples agree within the noise, with `coefficients` (P×d) in the equations.
    pub(super) fn resolves(&self, coefficients: &Array2<f64>, times: &[Array1<f64>]) -> bool {
        let d = self.sigma.len();
        let (mut sums, mut count) = (vec![0.0; d], 0_usize);
        for (segment, t) in self.segments.iter().zip(times) {
            let velocity: Vec<Array1<f64>> = (0..segment.samples.nrows())
                .map(|k| {
                    Array1::from(self.terms.evaluate(&segment.at(&segment.samples, k))).dot(coefficients)
                })
                .collect();
            for (k, rule) in segment.rules.iter().enumerate().skip(2) {
                if rule.weights.len() < 6 || rule.first + 2 != k {
                    continue;
                }
                // The rule of four samples on the same interval.
                let four = &intervals(t.slice(s![k - 1..k + 3]))[1];
                for j in 0..d {
                    let by = |rule: &Stencil, from: usize| -> f64 {
                        rule.weights.iter().enumerate().map(|(i, w)| w * velocity[from + i][j]).sum()
                    };
                    sums[j] += (by(rule, rule.first) - by(four, k - 1)).powi(2);
                }
                count += 1;
            }
        }
        count > 0 && (0..d).all(|j| (sums[j] / count as f64).sqrt() <= self.sigma[j])
    }

    fn round(
        &self,
        segment: &Segment,
        z: &Array2<f64>,
        current: &[(Place, f64)],
        places: &[Place],
    ) -> Option<Round> {
        let (k, d) = segment.samples.dim();
        let rows = (k - 1) * d;
        let sigma = self.sigma;
        let mut jacobians: Vec<Array2<f64>> = Vec::with_capacity(k);
        let mut theta: Vec<Vec<f64>> = Vec::with_capacity(k);
        let mut gradient = vec![0.0; d];
        for node in 0..k {
            let point = segment.at(z, node);
            let mut jacobian = Array2::zeros((d, d));
            for &((p, j), value) in current {
                gradient.fill(0.0);
                self.terms.add_gradient(p, &point, value, &mut gradient);
                for (i, slope) in gradient.iter().enumerate() {
                    jacobian[[j, i]] += slope * sigma[i] / sigma[j];
                }
            }
            jacobians.push(jacobian);
            theta.push(self.terms.evaluate(&point));
        }
        let off = &segment.samples - z;
        let mut slopes = Vec::with_capacity(k - 1);
        let mut columns = Array2::zeros((rows, places.len()));
        let mut residual = Array1::zeros(rows);
        for (at, rule) in segment.rules.iter().enumerate() {
            let n = rule.weights.len();
            let mut block = Array2::zeros((d, n * d));
            for (i, w) in rule.weights.iter().enumerate() {
                let node = rule.first + i;
                block.slice_mut(s![.., i * d..(i + 1) * d]).scaled_add(-w, &jacobians[node]);
                let sign = f64::from(i8::from(node == at + 1) - i8::from(node == at));
                for j in 0..d {
                    block[[j, i * d + j]] += sign;
                }
                for (c, &(p, j)) in places.iter().enumerate() {
                    columns[[at * d + j, c]] += w * theta[node][p] / sigma[j];
                }
                for &((p, j), value) in current {
                    residual[at * d + j] -= w * theta[node][p] * value / sigma[j];
                }
            }
            for j in 0..d {
                residual[at * d + j] += (z[[at + 1, j]] - z[[at, j]]) / sigma[j];
                for i in 0..n * d {
                    residual[at * d + j] += block[[j, i]] * off[[rule.first + i / d, i % d]] / sigma[i % d];
                }
            }
            slopes.push(block);
        }
        let factor = Band::factor(&slopes, &segment.rules, segment.reach, d)?;
        factor.whiten(&mut columns);
        let mut column = residual.insert_axis(ndarray::Axis(1));
        factor.whiten(&mut column);
        let residual = column.column(0).to_owned();
        Some(Round { slopes, factor, columns, residual })
    }

    /// The quadratic form of the coefficients at `places` about an estimate; none where the arithmetic fails.
    pub(super) fn quadratic(&self, estimate: &Estimate, places: &[Place]) -> Option<Quadratic> {
        let current: Vec<(Place, f64)> =
            estimate.places.iter().copied().zip(estimate.values.iter().copied()).collect();
        let c = places.len();
        let (mut information, mut linear, mut constant) = (Array2::zeros((c, c)), Array1::zeros(c), 0.0);
        for (segment, z) in self.segments.iter().zip(&estimate.states) {
            let round = self.round(segment, z, &current, places)?;
            information += &round.columns.t().dot(&round.columns);
            linear += &round.columns.t().dot(&round.residual);
            constant += round.residual.dot(&round.residual);
        }
        // About zero instead of about the estimate.
        let at: Array1<f64> =
            places.iter().map(|p| current.iter().find(|(q, _)| p == q).map_or(0.0, |(_, v)| *v)).collect();
        let moved = information.dot(&at);
        constant += 2.0 * at.dot(&linear) + at.dot(&moved);
        linear += &moved;
        (constant.is_finite() && linear.iter().all(|v| v.is_finite())).then_some(Quadratic {
            places: places.to_vec(),
            information,
            linear,
            constant,
        })
    }

    /// Estimates the coefficients from `start` in at most `rounds` rounds; none where it fails.
    pub(super) fn estimate(&self, start: &Estimate, rounds: usize) -> Option<Estimate> {
        let mut now = start.clone();
        let places = now.places.clone();
        for number in 0..rounds {
            let current: Vec<(Place, f64)> = places.iter().copied().zip(now.values.iter().copied()).collect();
            let c = places.len();
            let mut all = Vec::with_capacity(self.segments.len());
            let (mut information, mut linear) = (Array2::zeros((c, c)), Array1::zeros(c));
            for (segment, z) in self.segments.iter().zip(&now.states) {
                let round = self.round(segment, z, &current, &places)?;
                information += &round.columns.t().dot(&round.columns);
                linear += &round.columns.t().dot(&round.residual);
                all.push(round);
            }
            let step = pseudo_inverse(&information)?.dot(&linear);
            now.chi2 = 0.0;
            for ((segment, z), round) in self.segments.iter().zip(&mut now.states).zip(all) {
                let mut white = round.residual - round.columns.dot(&step);
                now.chi2 += white.dot(&white);
                round.factor.transposed_solve(&mut white);
                let d = self.sigma.len();
                z.assign(&segment.samples);
                for (at, (rule, block)) in segment.rules.iter().zip(&round.slopes).enumerate() {
                    for j in 0..d {
                        let multiplier = white[at * d + j];
                        for i in 0..block.ncols() {
                            z[[rule.first + i / d, i % d]] -= self.sigma[i % d] * block[[j, i]] * multiplier;
                        }
                    }
                }
            }
            now.values.iter_mut().zip(&step).for_each(|(v, s)| *v += s);
            let moved = step.dot(&information.dot(&step));
            if !(now.chi2.is_finite() && now.values.iter().all(|v| v.is_finite())) {
                return None;
            }
            // The coefficients have moved by a small part of their standard deviation.
            if number > 0 && moved < 1e-4 * c as f64 {
                break;
            }
        }
        Some(now)
    }

    /// An estimate to start from: coefficients (P×d) on their support, and the samples as states.
    pub(super) fn start(&self, coefficients: &Array2<f64>) -> Estimate {
        let (p, d) = coefficients.dim();
        let places: Vec<Place> = (0..d)
            .flat_map(|j| (0..p).map(move |p| (p, j)))
            .filter(|(p, j)| coefficients[[*p, *j]] != 0.0)
            .collect();
        Estimate {
            values: places.iter().map(|(p, j)| coefficients[[*p, *j]]).collect(),
            places,
            states: self.segments.iter().map(|segment| segment.samples.clone()).collect(),
            chi2: f64::INFINITY,
        }
    }

    /// The coefficients of an estimate as a matrix (P×d).
    pub(super) fn matrix(&self, estimate: &Estimate) -> Array2<f64> {
        let mut coefficients = Array2::zeros((self.terms.len(), self.sigma.len()));
        for (&(p, j), value) in estimate.places.iter().zip(&estimate.values) {
            coefficients[[p, j]] = *value;
        }
        coefficients
    }
}

impl Estimate {
    /// The same states with other coefficients.
    pub(super) fn with(&self, places: Vec<Place>, values: Vec<f64>) -> Self {
        Self { places, values, states: self.states.clone(), chi2: f64::INFINITY }
    }
}

impl Quadratic {
    fn sub(&self, subset: &[usize]) -> (Array2<f64>, Array1<f64>) {
        let c = subset.len();
        (
            Array2::from_shape_fn((c, c), |(i, j)| self.information[[subset[i], subset[j]]]),
            subset.iter().map(|i| self.linear[*i]).collect(),
        )
    }

    /// The least sum of squares with the coefficients of `subset` only, and they.
    pub(super) fn least(&self, subset: &[usize]) -> Option<(f64, Array1<f64>)> {
        let (information, linear) = self.sub(subset);
        let values = definite_solve(&information, &linear)?;
        Some((self.constant - values.dot(&linear), values))
    }

    /// The variances of the coefficients, all of them in the equations.
    pub(super) fn variances(&self) -> Option<Vec<f64>> {
        Some(pseudo_inverse(&self.information)?.diag().to_vec())
    }

    /// The coefficients without the one whose loss raises the sum of squares least: which are left, and their
    /// values.
    pub(super) fn without_weakest(&self) -> Option<(Vec<usize>, Vec<f64>)> {
        let inverse = pseudo_inverse(&self.information)?;
        let values = inverse.dot(&self.linear);
        let loss = |i: usize| values[i] * values[i] / inverse[[i, i]].max(f64::MIN_POSITIVE);
        let all = 0..self.places.len();
        let weakest = all.clone().min_by(|a, b| loss(*a).total_cmp(&loss(*b)))?;
        let others: Vec<usize> = all.filter(|i| *i != weakest).collect();
        let share = values[weakest] / inverse[[weakest, weakest]].max(f64::MIN_POSITIVE);
        let left = others.iter().map(|i| values[*i] - inverse[[*i, weakest]] * share).collect();
        Some((others, left))
    }

    /// The subset that single removals, additions and exchanges lead to from `subset`, by the criterion
    /// n ln(χ²/n) + `price` a term.
    pub(super) fn stepwise(&self, subset: &[usize], rows: usize, price: f64, exchanges: bool) -> Vec<usize> {
        let n = rows as f64;
        let score = |subset: &[usize]| {
            let chi2 = if subset.is_empty() {
                Some(self.constant)
            } else {
                self.least(subset).map(|(chi2, _)| chi2)
            };
            chi2.filter(|chi2| *chi2 > 0.0)
                .map_or(f64::INFINITY, |chi2| n * (chi2 / n).ln() + price * subset.len() as f64)
        };
        let mut best = subset.to_vec();
        let mut value = score(&best);
        for _ in 0..2 * self.places.len() + 2 {
            let mut next: Option<(f64, Vec<usize>)> = None;
            let mut offer = |candidate: Vec<usize>| {
                let found = score(&candidate);
                if found < next.as_ref().map_or(value - 1e-6, |(v, _)| *v) {
                    next = Some((found, candidate));
                }
            };
            let without = |i: usize| best.iter().copied().filter(|other| *other != i).collect::<Vec<usize>>();
            let outside: Vec<usize> = (0..self.places.len()).filter(|i| !best.contains(i)).collect();
            best.iter().for_each(|i| offer(without(*i)));
            for &new in &outside {
                offer([best.as_slice(), &[new]].concat());
                if exchanges {
                    best.iter().for_each(|old| offer([without(*old), vec![new]].concat()));
                }
            }
            match next {
                Some((found, candidate)) => (value, best) = (found, candidate),
                None => break,
            }
        }
        best.sort_unstable();
        best
    }
}

/// The Cholesky factor of the rows' covariance, a band: row r has its entries from column r − width on.
struct Band {
    width: usize,
    rows: Vec<f64>,
    count: usize,
}

impl Band {
    fn row(&self, r: usize) -> &[f64] {
        &self.rows[r * (self.width + 1)..(r + 1) * (self.width + 1)]
    }

    /// Factors S = J Jᵀ, J the scaled derivatives of the rows by the states.
    fn factor(slopes: &[Array2<f64>], rules: &[Stencil], reach: usize, d: usize) -> Option<Self> {
        let count = slopes.len() * d;
        let width = (reach * d + d - 1).min(count.saturating_sub(1));
        let mut rows = vec![0.0; count * (width + 1)];
        for k in 0..slopes.len() {
            for other in k.saturating_sub(reach)..=k {
                // The samples that the two intervals' rules share.
                let from = rules[k].first.max(rules[other].first);
                let to = (rules[k].first + rules[k].weights.len())
                    .min(rules[other].first + rules[other].weights.len());
                if from >= to {
                    continue;
                }
                let part = |of: usize, row: usize| {
                    let at = rules[of].first;
                    slopes[of].row(row).to_slice().map(|row| &row[(from - at) * d..(to - at) * d])
                };
                for i in 0..d {
                    for j in 0..d {
                        let (r, c) = (k * d + i, other * d + j);
                        if c <= r && r - c <= width {
                            rows[r * (width + 1) + width - (r - c)] = dot(part(k, i)?, part(other, j)?);
                        }
                    }
                }
            }
        }
        // Entry (r, c) lies at width − (r − c) of its row.
        for r in 0..count {
            let (before, rest) = rows.split_at_mut(r * (width + 1));
            let row = &mut rest[..=width];
            for c in r.saturating_sub(width)..r {
                let other = &before[c * (width + 1)..(c + 1) * (width + 1)];
                // Both rows from the later of their first columns on.
                let shift = r - c;
                let sum = dot(&row[..width - shift], &other[shift..width]);
                let at = width - shift;
                row[at] = (row[at] - sum) / other[width];
            }
            let pivot = row[width] - dot(&row[..width], &row[..width]);
            if !(pivot > 1e-15 * row[width]) {
                return None;
            }
            row[width] = pivot.sqrt();
        }
        Some(Self { width, rows, count })
    }

    /// Replaces each column of `matrix` by L⁻¹ times it.
    fn whiten(&self, matrix: &mut Array2<f64>) {
        let columns = matrix.ncols();
        let Some(data) = matrix.as_slice_mut() else { return };
        for r in 0..self.count {
            let (before, rest) = data.split_at_mut(r * columns);
            let into = &mut rest[..columns];
            let row = self.row(r);
            for c in r.saturating_sub(self.width)..r {
                let weight = row[self.width - (r - c)];
                for (v, other) in into.iter_mut().zip(&before[c * columns..(c + 1) * columns]) {
                    *v -= weight * other;
                }
            }
            into.iter_mut().for_each(|v| *v /= row[self.width]);
        }
    }

    /// Replaces `vector` by L⁻ᵀ times it.
    fn transposed_solve(&self, vector: &mut Array1<f64>) {
        for r in (0..self.count).rev() {
            let row = self.row(r);
            vector[r] /= row[self.width];
            let value = vector[r];
            for c in r.saturating_sub(self.width)..r {
                vector[c] -= row[self.width - (r - c)] * value;
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The matrix with unit diagonal, and the roots of the diagonal.
fn balanced(matrix: &Array2<f64>) -> (Mat<f64>, Vec<f64>) {
    let roots: Vec<f64> = matrix.diag().iter().map(|v| if *v > 0.0 { v.sqrt() } else { 1.0 }).collect();
    let n = roots.len();
    (Mat::from_fn(n, n, |i, j| matrix[[i, j]] / (roots[i] * roots[j])), roots)
}

/// The pseudo-inverse of a symmetric matrix, its cut taken in units of the diagonal.
fn pseudo_inverse(matrix: &Array2<f64>) -> Option<Array2<f64>> {
    let n = matrix.nrows();
    if n == 0 {
        return Some(Array2::zeros((0, 0)));
    }
    let (balanced, roots) = balanced(matrix);
    let finite = (0..n).all(|i| (0..n).all(|j| balanced[(i, j)].is_finite()));
    let eigen = finite.then(|| balanced.self_adjoint_eigen(Side::Lower).ok()).flatten()?;
    let largest = eigen.S()[n - 1];
    let kept: Vec<usize> = (0..n).filter(|mode| eigen.S()[*mode] > 1e-14 * largest).collect();
    let vectors = Array2::from_shape_fn((n, kept.len()), |(i, m)| {
        eigen.U()[(i, kept[m])] / (roots[i] * eigen.S()[kept[m]].sqrt())
    });
    Some(vectors.dot(&vectors.t()))
}

/// The solution of a positive definite system by Cholesky; none where it is not definite.
fn definite_solve(matrix: &Array2<f64>, right: &Array1<f64>) -> Option<Array1<f64>> {
    let n = right.len();
    let mut factor = vec![0.0; n * n];
    let root = |i: usize| matrix[[i, i]].max(f64::MIN_POSITIVE).sqrt();
    let roots: Vec<f64> = (0..n).map(root).collect();
    for i in 0..n {
        for j in 0..=i {
            let sum = dot(&factor[i * n..i * n + j], &factor[j * n..j * n + j]);
            let value = matrix[[i, j]] / (roots[i] * roots[j]) - sum;
            if i == j {
                if !(value > 1e-14) {
                    return None;
                }
                factor[i * n + i] = value.sqrt();
            } else {
                factor[i * n + j] = value / factor[j * n + j];
            }
        }
    }
    let mut solution: Vec<f64> = (0..n).map(|i| right[i] / roots[i]).collect();
    for i in 0..n {
        let sum = dot(&factor[i * n..i * n + i], &solution[..i]);
        solution[i] = (solution[i] - sum) / factor[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|j| factor[j * n + i] * solution[j]).sum();
        solution[i] = (solution[i] - sum) / factor[i * n + i];
    }
    Some((0..n).map(|i| solution[i] / roots[i]).collect())
}
