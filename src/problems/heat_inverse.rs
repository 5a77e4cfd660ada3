//! Two conductivities from a transient temperature field.

use std::f64::consts::PI;

use faer::linalg::matmul::matmul;
use faer::prelude::Solve;
use faer::{Accum, Mat, Par, Side, unzip, zip};
use ndarray::Array2;

use crate::error::{Error, ObjectiveError, Result};
use crate::objective::Objective;

/// The number of sine modes sin(iπx), i = 1 … N.
const MODES: usize = 30;
/// The number of midpoints of the quadrature on (0, 1).
const POINTS: usize = 250;
/// The number of time samples of [0, 2], the initial one included.
const SAMPLES: usize = 500;
/// The end of the time interval.
const END: f64 = 2.0;
/// The amplitude of the load on mode 2.
const LOAD: f64 = 1000.0;

/// The one-dimensional transient heat problem on (0, 1) with unknown conductivities of its halves: 2
/// unknowns.
///
/// u_t = (κ u_x)_x + f with κ = a₁ for x ≤ ½ and a₂ beyond, u = 0 at both ends and at t = 0, until T = 2. All
/// quantities are dimensionless. Galerkin's method with 30 sines and midpoint quadrature on 250 points (Δx =
/// 1/250), implicit Euler on 500 time samples (Δt = 2/499): (M + Δt K(a)) c_{n+1} = M c_n + Δt f_{n+1}, where
/// M has the weight Δx and K is the plain sum Σ κ φᵢ'φⱼ' over the points, so that κ is in effect 250 times as
/// large; f = 1000 sin(2πt) on the second mode's equation.
///
/// The data v are the solution at a = (2, 1). f(a) = log(Δx Δt Σ (u − v)²), the logarithm of the misfit; the
/// gradient by the discrete adjoint. Any a whose matrix M + Δt K is positive definite may be evaluated, but
/// for the truth itself, where f is −∞.
///
/// Cost of an evaluation: one factorisation of size 30, 998 matrix-vector and four matrix products with 500
/// columns; 1.3 ms. Source: Norman, Rowan, Maute & Doostan, arXiv 2602.13513, example 1.
#[derive(Debug, Clone)]
pub struct HeatInverse {
    mass: Mat<f64>,
    /// The stiffness of each half for unit conductivity.
    stiffness: [Mat<f64>; 2],
    /// The coefficients c of the data and of the latest solution, one column per time sample.
    data: Mat<f64>,
    solution: Mat<f64>,
    /// Work space for M (c − data), the adjoint's load and solution, and K c.
    weighted: Mat<f64>,
    load: Mat<f64>,
    adjoint: Mat<f64>,
    heat: Mat<f64>,
}

/// The matrices of one implicit Euler step.
struct Propagator {
    /// The matrix (M + Δt K)⁻¹ M, one time step of the homogeneous problem.
    step: Mat<f64>,
    /// The matrix (M + Δt K)⁻¹, which takes loads to states.
    inverse: Mat<f64>,
}

impl HeatInverse {
    /// The conductivities the data come from.
    pub const TRUTH: [f64; 2] = [2.0, 1.0];
    /// The conductivities at which the paper starts.
    pub const START: [f64; 2] = [0.5, 4.05];
    const STEP: f64 = END / (SAMPLES - 1) as f64;

    /// Assembles the matrices and computes the data.
    ///
    /// # Errors
    /// None that can be foreseen: the data's matrix is positive definite.
    pub fn new() -> Result<Self> {
        let spacing = 1.0 / POINTS as f64;
        let mut mass = Mat::zeros(MODES, MODES);
        let mut stiffness = [Mat::zeros(MODES, MODES), Mat::zeros(MODES, MODES)];
        for point in 0..POINTS {
            let x = (point as f64 + 0.5) * spacing;
            let half = &mut stiffness[usize::from(x > 0.5)];
            for i in 0..MODES {
                for j in 0..MODES {
                    let (a, b) = ((i + 1) as f64 * PI, (j + 1) as f64 * PI);
                    mass[(i, j)] += spacing * (a * x).sin() * (b * x).sin();
                    half[(i, j)] += a * b * (a * x).cos() * (b * x).cos();
                }
            }
        }
        let zero = || Mat::zeros(MODES, SAMPLES);
        let mut problem = Self {
            mass,
            stiffness,
            data: zero(),
            solution: zero(),
            weighted: zero(),
            load: zero(),
            adjoint: zero(),
            heat: zero(),
        };
        problem
            .solve(Self::TRUTH)
            .map_err(|_| Error::factorization("Cholesky decomposition of the heat problem's matrix"))?;
        std::mem::swap(&mut problem.data, &mut problem.solution);
        Ok(problem)
    }

    /// The temperatures of the latest evaluation and of the data, each as time samples × `points` midpoints.
    pub fn temperatures(&self, points: usize) -> [Array2<f64>; 2] {
        let mode =
            |i: usize, point: usize| ((i + 1) as f64 * PI * (point as f64 + 0.5) / points as f64).sin();
        [&self.solution, &self.data].map(|c| {
            Array2::from_shape_fn((SAMPLES, points), |(n, point)| {
                (0..MODES).map(|i| c[(i, n)] * mode(i, point)).sum()
            })
        })
    }

    fn propagator(&self, a: [f64; 2]) -> std::result::Result<Propagator, ObjectiveError> {
        let matrix = Mat::from_fn(MODES, MODES, |i, j| {
            self.mass[(i, j)]
                + Self::STEP * (a[0] * self.stiffness[0][(i, j)] + a[1] * self.stiffness[1][(i, j)])
        });
        let factor = matrix.llt(Side::Lower).map_err(|_| {
            format!("the heat equation is ill-posed for conductivities {} and {}", a[0], a[1])
        })?;
        Ok(Propagator {
            step: factor.solve(&self.mass),
            inverse: factor.solve(Mat::<f64>::identity(MODES, MODES)),
        })
    }

    /// Computes the temperatures of all time steps into `solution`.
    fn solve(&mut self, a: [f64; 2]) -> std::result::Result<Propagator, ObjectiveError> {
        let propagator = self.propagator(a)?;
        let mut now = [0.0; MODES];
        for n in 1..SAMPLES {
            let load = Self::STEP * LOAD * (2.0 * PI * n as f64 * Self::STEP).sin();
            now = advance(&propagator.step, &now);
            for (i, c) in now.iter_mut().enumerate() {
                *c += load * propagator.inverse[(i, 1)];
                self.solution[(i, n)] = *c;
            }
        }
        Ok(propagator)
    }
}

/// The product of the matrix A with the coefficients c.
fn advance(a: &Mat<f64>, c: &[f64; MODES]) -> [f64; MODES] {
    let mut out = [0.0; MODES];
    for (j, c) in c.iter().enumerate() {
        out.iter_mut().zip(a.col_as_slice(j)).for_each(|(o, a)| *o += a * c);
    }
    out
}

fn inner(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    (0..SAMPLES)
        .map(|n| a.col_as_slice(n).iter().zip(b.col_as_slice(n)).map(|(a, b)| a * b).sum::<f64>())
        .sum()
}

impl Objective for HeatInverse {
    fn dimension(&self) -> usize {
        2
    }

    fn evaluate(&mut self, a: &[f64], gradient: &mut [f64]) -> std::result::Result<f64, ObjectiveError> {
        let Propagator { step, inverse } = self.solve([a[0], a[1]])?;
        let product = |out: &mut Mat<f64>, a: &Mat<f64>, b: &Mat<f64>| {
            matmul(out.as_mut(), Accum::Replace, a.as_ref(), b.as_ref(), 1.0, Par::Seq)
        };
        // Δx Σ_x (u − v)² = eᵀ M e.
        zip!(&mut self.heat, &self.solution, &self.data).for_each(|unzip!(e, c, v)| *e = c - v);
        product(&mut self.weighted, &self.mass, &self.heat);
        let misfit = Self::STEP * inner(&self.heat, &self.weighted);
        // (M + Δt K) λ_n = M λ_{n+1} − ∂misfit/∂c_n, and ∂misfit/∂a = Σ λ_nᵀ Δt ∂K/∂a c_n.
        product(&mut self.load, &inverse, &self.weighted);
        let mut now = [0.0; MODES];
        for n in (1..SAMPLES).rev() {
            now = advance(&step, &now);
            for (i, l) in now.iter_mut().enumerate() {
                *l -= 2.0 * Self::STEP * self.load[(i, n)];
                self.adjoint[(i, n)] = *l;
            }
        }
        for (g, half) in gradient.iter_mut().zip(&self.stiffness) {
            product(&mut self.heat, half, &self.solution);
            *g = Self::STEP * inner(&self.adjoint, &self.heat) / misfit;
        }
        Ok(misfit.ln())
    }
}
