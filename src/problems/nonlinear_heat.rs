//! A steady, strongly nonlinear temperature field by Newton's method.

use std::f64::consts::PI;

use faer::linalg::matmul::matmul;
use faer::prelude::Solve;
use faer::{Accum, Mat, Par};
use ndarray::Array2;
use rayon::prelude::*;

use super::random::Uniform;
use crate::error::{Error, ObjectiveError, Result};
use crate::objective::Objective;

/// The number of quadrature points per mode and direction.
const POINTS_PER_MODE: usize = 20;
const SIGMA: f64 = 4.0;
/// The conductivity κ in the centred square of half-width ¼; it is 1 elsewhere.
const INCLUSION: f64 = 20.0;

/// A temperature field u on the unit square with u = 0 around it: n² unknowns, the coefficients a of u = Σ
/// a_ij sin(iπx) sin(jπy), i the slower index.
///
/// Minimises z(a) = ∫ κ|∇u|⁴ + σu⁵/5 − b u with σ = 4, κ = 20 in the centred square of half-width ¼ and 1
/// elsewhere, b = 10⁷ x sin(4πx) sin(3πy), all dimensionless; midpoint quadrature with 20n points per
/// direction. The gradient is the residual R = ∫ 4κ|∇u|²∇u·∇φ + (σu⁴ − b)φ, and the Newton direction J⁻¹R
/// with the exact Jacobian J.
///
/// The modes are products, so all sums factorise: value and residual are matrix products of 20n × n, the
/// Jacobian four weighted ones of n² × 20n × 20n. Cost at n = 15: 0.2 Gflop and one factorisation of size 225
/// per Newton direction. Source: Norman, Rowan, Maute & Doostan, arXiv 2602.13513, example 2.
#[derive(Debug, Clone)]
pub struct NonlinearHeat {
    modes: usize,
    /// sin(iπx) and its derivative at the quadrature points, points × modes; x and y share them.
    sine: Mat<f64>,
    slope: Mat<f64>,
    /// Products of two of them, a row per pair i ≤ k of modes (both factors alike) or per (i, k) (slope times
    /// sine).
    slope_slope: Mat<f64>,
    sine_sine: Mat<f64>,
    slope_sine: Mat<f64>,
    /// The weighted κ and b at the quadrature points (points × points), x the row.
    conductivity: Mat<f64>,
    source: Mat<f64>,
    fields: Fields,
    column: Vec<f64>,
    /// The residual R at the point that was evaluated last.
    residual: Mat<f64>,
    jacobian: Mat<f64>,
}

/// u and its derivatives at the quadrature points, and work space for intermediate products.
#[derive(Debug, Clone)]
struct Fields {
    u: Mat<f64>,
    x: Mat<f64>,
    y: Mat<f64>,
    flux: Mat<f64>,
    half: Mat<f64>,
}

/// Writes out ← a b + beta out.
fn product(out: &mut Mat<f64>, beta: Accum, a: faer::MatRef<'_, f64>, b: faer::MatRef<'_, f64>) {
    matmul(out.as_mut(), beta, a, b, 1.0, Par::Seq);
}

impl NonlinearHeat {
    /// The paper's number of modes per direction.
    pub const MODES: usize = 15;

    /// The problem with `modes` modes per direction, 1 to 32.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for another number.
    pub fn new(modes: usize) -> Result<Self> {
        if !(1..=32).contains(&modes) {
            return Err(Error::invalid("the number of modes per direction", modes, "between 1 and 32"));
        }
        let points = POINTS_PER_MODE * modes;
        let at = |q: usize| (q as f64 + 0.5) / points as f64;
        let wave = |i: usize| (i + 1) as f64 * PI;
        let sine = Mat::from_fn(points, modes, |q, i| (wave(i) * at(q)).sin());
        let slope = Mat::from_fn(points, modes, |q, i| wave(i) * (wave(i) * at(q)).cos());
        let pairs: Vec<(usize, usize)> = upper_pairs(modes).collect();
        let alike = |table: &Mat<f64>| {
            Mat::from_fn(pairs.len(), points, |p, q| table[(q, pairs[p].0)] * table[(q, pairs[p].1)])
        };
        let weight = 1.0 / (points * points) as f64;
        let inside = |q: usize| (at(q) - 0.5).abs() < 0.25;
        let field = || Mat::zeros(points, points);
        Ok(Self {
            modes,
            slope_slope: alike(&slope),
            sine_sine: alike(&sine),
            slope_sine: Mat::from_fn(modes * modes, points, |p, q| {
                slope[(q, p / modes)] * sine[(q, p % modes)]
            }),
            conductivity: Mat::from_fn(points, points, |p, q| {
                weight * if inside(p) && inside(q) { INCLUSION } else { 1.0 }
            }),
            source: Mat::from_fn(points, points, |p, q| {
                weight * 1e7 * at(p) * (4.0 * PI * at(p)).sin() * (3.0 * PI * at(q)).sin()
            }),
            sine,
            slope,
            fields: Fields {
                u: field(),
                x: field(),
                y: field(),
                flux: field(),
                half: Mat::zeros(points, modes),
            },
            column: vec![0.0; points],
            residual: Mat::zeros(modes, modes),
            jacobian: Mat::zeros(modes * modes, modes * modes),
        })
    }

    /// The paper's start: uniform in [−3, 3], from a fixed seed.
    pub fn start(&self) -> Vec<f64> {
        let mut uniform = Uniform::new(1);
        (0..self.dimension()).map(|_| 6.0 * uniform.draw() - 3.0).collect()
    }

    /// The temperature at the quadrature points of coefficients `a`, x the row: for pictures.
    pub fn temperature(&self, a: &[f64]) -> Array2<f64> {
        let points = self.sine.nrows();
        let u = &self.sine
            * faer::MatRef::from_row_major_slice(a, self.modes, self.modes)
            * self.sine.transpose();
        Array2::from_shape_fn((points, points), |(p, q)| u[(p, q)])
    }

    /// Computes u and its derivatives.
    fn fill(&mut self, a: &[f64]) {
        let n = self.modes;
        let coefficients = faer::MatRef::from_row_major_slice(a, n, n);
        let Fields { u, x, y, half, .. } = &mut self.fields;
        product(half, Accum::Replace, self.sine.as_ref(), coefficients);
        product(u, Accum::Replace, half.as_ref(), self.sine.transpose());
        product(y, Accum::Replace, half.as_ref(), self.slope.transpose());
        product(half, Accum::Replace, self.slope.as_ref(), coefficients);
        product(x, Accum::Replace, half.as_ref(), self.sine.transpose());
    }

    /// Σ over the grid of flux·(left ⊗ right), added to the residual.
    fn gather(&mut self, left_is_slope: bool, right_is_slope: bool) {
        let table = |slope: bool| if slope { &self.slope } else { &self.sine };
        product(
            &mut self.fields.half,
            Accum::Replace,
            self.fields.flux.as_ref(),
            table(right_is_slope).as_ref(),
        );
        product(&mut self.residual, Accum::Add, table(left_is_slope).transpose(), self.fields.half.as_ref());
    }

    /// u, its derivatives, κ and b in one column of the grid.
    fn at_column(&self, q: usize) -> [&[f64]; 5] {
        let Fields { u, x, y, .. } = &self.fields;
        [u, x, y, &self.conductivity, &self.source].map(|field| field.col_as_slice(q))
    }

    /// Computes the Jacobian at the point that was evaluated last.
    fn assemble(&mut self) {
        let n = self.modes;
        let points = self.sine.nrows();
        let Fields { u, x, y, .. } = &self.fields;
        let square = |p: usize, q: usize| x[(p, q)].powi(2) + y[(p, q)].powi(2);
        let weight = 1.0 / (points * points) as f64;
        // Coefficient fields of φᵢφₖ in x and φⱼφₗ in y, with the factors' kinds; the mixed ones are each
        // other's transposes.
        let term = |number: usize| -> Mat<f64> {
            let coefficient = |p: usize, q: usize| match number {
                0 => 4.0 * self.conductivity[(p, q)] * (square(p, q) + 2.0 * x[(p, q)].powi(2)),
                1 => 4.0 * self.conductivity[(p, q)] * (square(p, q) + 2.0 * y[(p, q)].powi(2)),
                2 => 4.0 * SIGMA * weight * u[(p, q)].powi(3),
                _ => 8.0 * self.conductivity[(p, q)] * x[(p, q)] * y[(p, q)],
            };
            let field = Mat::from_fn(points, points, coefficient);
            let (left, right) = match number {
                0 => (&self.slope_slope, &self.sine_sine),
                1 => (&self.sine_sine, &self.slope_slope),
                2 => (&self.sine_sine, &self.sine_sine),
                _ => (&self.slope_sine, &self.slope_sine),
            };
            let mut half = Mat::zeros(left.nrows(), points);
            product(&mut half, Accum::Replace, left.as_ref(), field.as_ref());
            let mut sums = Mat::zeros(left.nrows(), right.nrows());
            product(&mut sums, Accum::Replace, half.as_ref(), right.transpose());
            sums
        };
        let terms: Vec<Mat<f64>> = (0..4).into_par_iter().map(term).collect();
        let pair = |i: usize, k: usize| {
            let (low, high) = (i.min(k), i.max(k));
            low * n - low * (low + 1) / 2 + high
        };
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            for (k, l) in (0..n).flat_map(|k| (0..n).map(move |l| (k, l))) {
                let (a, b) = (pair(i, k), pair(j, l));
                // slope of i times sine of k in x goes with sine of j times slope of l in y.
                let mixed = terms[3][(i * n + k, l * n + j)] + terms[3][(k * n + i, j * n + l)];
                self.jacobian[(i * n + j, k * n + l)] =
                    terms[0][(a, b)] + terms[1][(a, b)] + terms[2][(a, b)] + mixed;
            }
        }
    }

    /// The Jacobian's diagonal at the point evaluated last.
    pub fn jacobian_diagonal(&mut self) -> Vec<f64> {
        self.assemble();
        (0..self.dimension()).map(|i| self.jacobian[(i, i)]).collect()
    }
}

/// i ≤ k, i the slower.
fn upper_pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i..n).map(move |k| (i, k)))
}

impl Objective for NonlinearHeat {
    fn dimension(&self) -> usize {
        self.modes * self.modes
    }

    fn evaluate(&mut self, a: &[f64], gradient: &mut [f64]) -> std::result::Result<f64, ObjectiveError> {
        self.fill(a);
        let (n, points) = (self.modes, self.sine.nrows());
        let weight = 1.0 / (points * points) as f64;
        let mut value = 0.0;
        self.residual.fill(0.0);
        for q in 0..points {
            let [u, x, y, kappa, b] = self.at_column(q);
            let mut column = 0.0;
            for p in 0..points {
                let square = x[p] * x[p] + y[p] * y[p];
                column += kappa[p] * square * square
                    + u[p] * (weight * SIGMA / 5.0 * (u[p] * u[p]) * (u[p] * u[p]) - b[p]);
            }
            value += column;
        }
        for direction in 0..3 {
            for q in 0..points {
                let mut flux = std::mem::take(&mut self.column);
                let [u, x, y, kappa, b] = self.at_column(q);
                for (p, flux) in flux.iter_mut().enumerate() {
                    let square = x[p] * x[p] + y[p] * y[p];
                    *flux = match direction {
                        0 => 4.0 * kappa[p] * square * x[p],
                        1 => 4.0 * kappa[p] * square * y[p],
                        _ => weight * SIGMA * (u[p] * u[p]) * (u[p] * u[p]) - b[p],
                    };
                }
                self.fields.flux.col_as_slice_mut(q).copy_from_slice(&flux);
                self.column = flux;
            }
            self.gather(direction == 0, direction == 1);
        }
        for (at, g) in gradient.iter_mut().enumerate() {
            *g = self.residual[(at / n, at % n)];
        }
        Ok(value)
    }

    fn newton_direction(
        &mut self,
        _a: &[f64],
        direction: &mut [f64],
    ) -> std::result::Result<(), ObjectiveError> {
        self.assemble();
        let n = self.modes;
        let mut right = Mat::from_fn(direction.len(), 1, |i, _| self.residual[(i / n, i % n)]);
        self.jacobian.partial_piv_lu().solve_in_place(&mut right);
        direction.iter_mut().enumerate().for_each(|(i, p)| *p = right[(i, 0)]);
        if direction.iter().all(|p| p.is_finite()) {
            Ok(())
        } else {
            Err("the Jacobian of the nonlinear heat equation is singular here".into())
        }
    }
}
