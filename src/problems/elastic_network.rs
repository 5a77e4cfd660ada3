//! An elastic cube whose displacement is a neural network.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::random::Uniform;
use super::tanh::tanh_in_place;
use crate::error::{Error, ObjectiveError, Result};
use crate::objective::Objective;

/// The number of neurons of each hidden layer.
const WIDTH: usize = 20;
/// Lamé's constants for E = 1, ν = ¼.
const LAMBDA: f64 = 0.4;
const MU: f64 = 0.4;
const LOAD: f64 = 10.0;
/// The number of points that go through the network together.
const BATCH: usize = 128;
/// The number of entries of one block of a hidden layer.
const BLOCK: usize = WIDTH * BATCH;
/// The number of shares of the grid, each with a workspace and a partial sum of its own, whatever the number
/// of threads.
const SHARES: usize = 16;

// Where each parameter begins: W₁ (20×3), b₁, W₂ (20×20), b₂, W₃ (3×20), matrices by rows.
const B1: usize = 3 * WIDTH;
const W2: usize = B1 + WIDTH;
const B2: usize = W2 + WIDTH * WIDTH;
const W3: usize = B2 + WIDTH;
const PARAMETERS: usize = W3 + 3 * WIDTH;

/// The unit cube, clamped at X₃ = 0, twisted by a body force: 560 unknowns, the parameters of a network for
/// the displacement.
///
/// u(X) = X₃ net(X), net = W₃ tanh(W₂ tanh(W₁ X + b₁) + b₂). Linear elasticity with E = 1, ν = ¼, b = 10
/// (−(X₂ − ½), X₁ − ½, 0), all dimensionless. f = ∫ ½ σ:ε − b·u by the midpoints of a uniform grid of
/// `points` per edge. The spatial derivatives are carried forward through the network, and the gradient is
/// the exact reverse pass through both.
///
/// Cost of an evaluation: 12 kflop and 40 tanh per point, in batches of 128 points; memory 10 MB whatever the
/// grid. Source: Norman, Rowan, Maute & Doostan, arXiv 2602.13513, example 4.
#[derive(Debug, Clone)]
pub struct ElasticNetwork {
    points: usize,
    shares: Vec<Share>,
}

/// One share's workspace. Matrices have a column per point for the value and for each of the three
/// derivatives, in four blocks; stored by columns.
#[derive(Debug, Clone)]
struct Share {
    value: f64,
    gradient: Vec<f64>,
    hidden1: Vec<f64>,
    sums2: Vec<f64>,
    hidden2: Vec<f64>,
    /// The network's outputs, 3 rows: one per component of the displacement.
    output: Vec<f64>,
    back: Vec<f64>,
    /// The points of the batch that is at hand.
    at: Vec<[f64; 3]>,
}

impl ElasticNetwork {
    /// The points per edge of the paper's grid.
    pub const POINTS: usize = 99;

    /// With `points` per edge, 1 to 512.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for another number.
    pub fn new(points: usize) -> Result<Self> {
        if !(1..=512).contains(&points) {
            return Err(Error::invalid("the number of points per edge", points, "between 1 and 512"));
        }
        let wide = || vec![0.0; 4 * BLOCK];
        let share = Share {
            value: 0.0,
            gradient: vec![0.0; PARAMETERS],
            hidden1: wide(),
            sums2: wide(),
            hidden2: wide(),
            output: vec![0.0; 3 * 4 * BATCH],
            back: wide(),
            at: Vec::with_capacity(BATCH),
        };
        Ok(Self { points, shares: vec![share; SHARES] })
    }

    /// The number of points per edge of the grid.
    pub fn points(&self) -> usize {
        self.points
    }

    /// A start as is usual for networks: every weight and bias uniform in ±1/√(inputs of its layer), from a
    /// fixed seed.
    pub fn start() -> Vec<f64> {
        let mut uniform = Uniform::new(4);
        let bound = |at: usize| 1.0 / f64::sqrt(if at < W2 { 3.0 } else { WIDTH as f64 });
        (0..PARAMETERS).map(|at| bound(at) * (2.0 * uniform.draw() - 1.0)).collect()
    }

    /// The displacement u at the point X.
    pub fn displacement(parameters: &[f64], x: [f64; 3]) -> [f64; 3] {
        let layer = |weights: &[f64], input: &[f64], row: usize| {
            weights[row * input.len()..].iter().zip(input).map(|(w, x)| w * x).sum::<f64>()
        };
        let hidden1: Vec<f64> =
            (0..WIDTH).map(|i| (layer(parameters, &x, i) + parameters[B1 + i]).tanh()).collect();
        let hidden2: Vec<f64> =
            (0..WIDTH).map(|i| (layer(&parameters[W2..], &hidden1, i) + parameters[B2 + i]).tanh()).collect();
        std::array::from_fn(|i| x[2] * layer(&parameters[W3..], &hidden2, i))
    }

    /// The relative squared difference ∫|u − v|²/∫|v|² of two networks on the grid.
    pub fn relative_difference(&self, parameters: &[f64], other: &[f64]) -> f64 {
        let n = self.points;
        let sums = (0..n * n * n).into_par_iter().map(|number| {
            let x = midpoint(number, n);
            let (u, v) = (Self::displacement(parameters, x), Self::displacement(other, x));
            [(0..3).map(|i| (u[i] - v[i]).powi(2)).sum::<f64>(), v.iter().map(|v| v * v).sum()]
        });
        let [difference, size] = sums.reduce(|| [0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        difference / size
    }
}

/// Point `number` of the grid of `n` midpoints per edge.
fn midpoint(number: usize, n: usize) -> [f64; 3] {
    let at = |i: usize| (i as f64 + 0.5) / n as f64;
    [at(number / (n * n)), at(number / n % n), at(number % n)]
}

fn body_force(x: [f64; 3]) -> [f64; 3] {
    [-LOAD * (x[1] - 0.5), LOAD * (x[0] - 0.5), 0.0]
}

/// A matrix of `rows` rows stored by columns.
fn columns(values: &[f64], rows: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(values, rows, values.len() / rows)
}

/// Writes the product out ← a b, by columns.
fn product(out: &mut [f64], a: MatRef<'_, f64>, b: &[f64]) {
    let (rows, width) = (a.nrows(), out.len() / a.nrows());
    matmul(
        MatMut::from_column_major_slice_mut(out, rows, width),
        Accum::Replace,
        a,
        columns(b, a.ncols()),
        1.0,
        Par::Seq,
    );
}

/// gradient ← gradient + a bᵀ, by rows, for a with `rows` rows.
fn accumulate(gradient: &mut [f64], rows: usize, a: &[f64], b: &[f64]) {
    let out = MatMut::from_row_major_slice_mut(&mut gradient[..rows * WIDTH], rows, WIDTH);
    matmul(out, Accum::Add, columns(a, rows), columns(b, WIDTH).transpose(), 1.0, Par::Seq);
}

/// Splits a matrix into its four blocks: the values and the three derivatives.
fn blocks(values: &[f64]) -> [&[f64]; 4] {
    let part = values.len() / 4;
    std::array::from_fn(|block| &values[block * part..(block + 1) * part])
}

fn blocks_mut(values: &mut [f64]) -> [&mut [f64]; 4] {
    let part = values.len() / 4;
    let (low, high) = values.split_at_mut(2 * part);
    let ((a, b), (c, d)) = (low.split_at_mut(part), high.split_at_mut(part));
    [a, b, c, d]
}

impl Share {
    /// Adds the energy and its gradient of the points `range` of the grid, at most [`BATCH`] of them. Columns
    /// beyond the batch's end hold what the last batch left; they get no output derivative and so change
    /// nothing.
    fn add(&mut self, parameters: &[f64], range: std::ops::Range<usize>, points: usize) {
        let weight = (points as f64).powi(-3);
        let matrix = |at: usize, rows: usize| {
            MatRef::from_row_major_slice(&parameters[at..at + rows * WIDTH], rows, WIDTH)
        };
        let (weights2, weights3) = (matrix(W2, WIDTH), matrix(W3, 3));
        let (weights1, bias1, bias2) = (&parameters[..B1], &parameters[B1..W2], &parameters[B2..W3]);
        self.at.clear();
        self.at.extend(range.map(|number| midpoint(number, points)));

        // First layer: its derivatives are the columns of W₁ times the slope of tanh.
        let [value, d1, d2, d3] = blocks_mut(&mut self.hidden1);
        for (x, sums) in self.at.iter().zip(value.chunks_exact_mut(WIDTH)) {
            for (a, (w, bias)) in sums.iter_mut().zip(weights1.chunks_exact(3).zip(bias1)) {
                *a = w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + bias;
            }
        }
        tanh_in_place(&mut value[..self.at.len() * WIDTH]);
        for i in 0..self.at.len() * WIDTH {
            let (slope, w) = (1.0 - value[i] * value[i], &weights1[3 * (i % WIDTH)..]);
            (d1[i], d2[i], d3[i]) = (slope * w[0], slope * w[1], slope * w[2]);
        }
        product(&mut self.sums2, weights2, &self.hidden1);
        let ([value, d1, d2, d3], [a, a1, a2, a3]) = (blocks_mut(&mut self.hidden2), blocks(&self.sums2));
        for (value, a) in value.chunks_exact_mut(WIDTH).zip(a.chunks_exact(WIDTH)) {
            value.iter_mut().zip(a.iter().zip(bias2)).for_each(|(value, (a, bias))| *value = a + bias);
        }
        tanh_in_place(value);
        for i in 0..BLOCK {
            let slope = 1.0 - value[i] * value[i];
            (d1[i], d2[i], d3[i]) = (slope * a1[i], slope * a2[i], slope * a3[i]);
        }
        product(&mut self.output, weights3, &self.hidden2);

        // Energy, and its derivative with respect to the output, in place.
        let output = blocks_mut(&mut self.output);
        for (p, x) in self.at.iter().enumerate() {
            let net: [f64; 3] = std::array::from_fn(|i| output[0][3 * p + i]);
            // ∂u_i/∂X_j
            let slope =
                |i: usize, j: usize| x[2] * output[j + 1][3 * p + i] + if j == 2 { net[i] } else { 0.0 };
            let strain: [[f64; 3]; 3] =
                std::array::from_fn(|i| std::array::from_fn(|j| 0.5 * (slope(i, j) + slope(j, i))));
            let trace = strain[0][0] + strain[1][1] + strain[2][2];
            let stress: [[f64; 3]; 3] = std::array::from_fn(|i| {
                std::array::from_fn(|j| 2.0 * MU * strain[i][j] + if i == j { LAMBDA * trace } else { 0.0 })
            });
            let b = body_force(*x);
            let work: f64 = stress.iter().flatten().zip(strain.iter().flatten()).map(|(s, e)| s * e).sum();
            self.value += weight * (0.5 * work - x[2] * (b[0] * net[0] + b[1] * net[1] + b[2] * net[2]));
            for (i, stress) in stress.iter().enumerate() {
                output[0][3 * p + i] = weight * (stress[2] - x[2] * b[i]);
                for (j, s) in stress.iter().enumerate() {
                    output[j + 1][3 * p + i] = weight * x[2] * s;
                }
            }
        }
        for block in output {
            block[3 * self.at.len()..].fill(0.0);
        }

        accumulate(&mut self.gradient[W3..], 3, &self.output, &self.hidden2);
        product(&mut self.back, weights3.transpose(), &self.output);
        let [_, a1, a2, a3] = blocks(&self.sums2);
        through_tanh(&mut self.back, &self.hidden2, |i| [a1[i], a2[i], a3[i]]);
        for column in self.back[..BLOCK].chunks_exact(WIDTH) {
            self.gradient[B2..W3].iter_mut().zip(column).for_each(|(g, v)| *g += v);
        }
        accumulate(&mut self.gradient[W2..], WIDTH, &self.back, &self.hidden1);
        // W₂ᵀ times the derivatives, where the second layer's sums were.
        product(&mut self.sums2, weights2.transpose(), &self.back);
        through_tanh(&mut self.sums2, &self.hidden1, |i| {
            std::array::from_fn(|j| weights1[3 * (i % WIDTH) + j])
        });
        let [first, d1, d2, d3] = blocks(&self.sums2);
        let (gradient1, gradient_bias) = self.gradient[..W2].split_at_mut(B1);
        for (p, x) in self.at.iter().enumerate() {
            for i in 0..WIDTH {
                let at = p * WIDTH + i;
                for (g, (x, d)) in
                    gradient1[3 * i..3 * i + 3].iter_mut().zip(x.iter().zip([d1[at], d2[at], d3[at]]))
                {
                    *g += first[at] * x + d;
                }
                gradient_bias[i] += first[at];
            }
        }
    }
}

/// From derivatives with respect to h = tanh(a) and h'ⱼ = (1 − h²) a'ⱼ to those with respect to a and a'ⱼ, in
/// place; `slopes` gives entry i's a'ⱼ.
fn through_tanh(back: &mut [f64], hidden: &[f64], slopes: impl Fn(usize) -> [f64; 3]) {
    let [first, d1, d2, d3] = blocks_mut(back);
    for i in 0..BLOCK {
        let h = hidden[i];
        let slope = 1.0 - h * h;
        let [a1, a2, a3] = slopes(i);
        let bend = d1[i] * a1 + d2[i] * a2 + d3[i] * a3;
        (d1[i], d2[i], d3[i]) = (slope * d1[i], slope * d2[i], slope * d3[i]);
        first[i] = slope * (first[i] - 2.0 * h * bend);
    }
}

impl Objective for ElasticNetwork {
    fn dimension(&self) -> usize {
        PARAMETERS
    }

    fn evaluate(
        &mut self,
        parameters: &[f64],
        gradient: &mut [f64],
    ) -> std::result::Result<f64, ObjectiveError> {
        let (points, total) = (self.points, self.points.pow(3));
        let batches = total.div_ceil(BATCH);
        self.shares.par_iter_mut().enumerate().for_each(|(number, share)| {
            share.value = 0.0;
            share.gradient.fill(0.0);
            for batch in number * batches / SHARES..(number + 1) * batches / SHARES {
                share.add(parameters, batch * BATCH..((batch + 1) * BATCH).min(total), points);
            }
        });
        gradient.fill(0.0);
        let mut value = 0.0;
        for share in &self.shares {
            value += share.value;
            gradient.iter_mut().zip(&share.gradient).for_each(|(g, s)| *g += s);
        }
        Ok(value)
    }
}
