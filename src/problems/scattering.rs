//! A slowness field from scattered waves.

use std::f64::consts::PI;

use faer::prelude::Solve;
use faer::{Mat, Side};

use crate::error::{Error, ObjectiveError, Result};
use crate::objective::Objective;

/// The number of time samples of [0, 1], the two at rest included.
const SAMPLES: usize = 300;
/// The amplitude of the force.
const FORCE: f64 = 10.0;
/// This is added to |a|, which keeps the mass matrix positive definite.
const SHIFT: f64 = 0.01;
/// The index of the node in the middle of the top edge, where the force acts.
const FORCE_NODE: usize = 0;

/// The slowness of every triangle of a meshed unit square, from the pressure at all free nodes: 346 unknowns.
///
/// m ü = Δu + f, all dimensionless, with m = |a_e| + 0.01 in triangle e, u = 0 on three sides and free on the
/// top, a point force 10 sin(4πt) on the middle of the top; linear triangles, consistent mass matrix M(m),
/// explicit central differences on 300 samples of [0, 1], at rest at the first two: M (u_{n+1} − 2u_n +
/// u_{n−1})/Δt² + K u_n = f_n. The data v are the solution at m = 1 + 2y (element centroids, without the
/// shift). f(a) = ½ Δt Σ |u_n − v_n|²; the gradient by the discrete adjoint.
///
/// Cost of an evaluation: one inverse of size 161 and 596 products with it. Source: Norman, Rowan, Maute &
/// Doostan, arXiv 2602.13513, example 3.
#[derive(Debug, Clone)]
pub struct Scattering {
    mesh: Mesh,
    /// Per triangle: its free unknowns (`None` where fixed), a twelfth of its area, and its stiffness matrix.
    elements: Vec<Element>,
    unknowns: usize,
    /// The free unknown that the force acts on.
    force: usize,
    /// The stiffness matrix K by rows, as pairs (column, entry).
    stiffness: Vec<Vec<(usize, f64)>>,
    /// One column per time sample.
    data: Mat<f64>,
    solution: Mat<f64>,
    acceleration: Mat<f64>,
}

/// A triangulation of the domain in the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Mesh {
    /// The coordinates (x, y) of each node.
    pub nodes: Vec<[f64; 2]>,
    /// The three corners of each triangle, counter-clockwise, as indices of nodes.
    pub triangles: Vec<[usize; 3]>,
    /// The nodes where u = 0.
    pub fixed: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Element {
    unknowns: [Option<usize>; 3],
    area: f64,
    stiffness: [[f64; 3]; 3],
}

impl Mesh {
    /// The mesh of the paper's example: 198 nodes, 346 triangles.
    ///
    /// # Errors
    /// None: the text is part of the crate.
    pub fn paper() -> Result<Self> {
        let broken = || Error::internal("the scattering mesh cannot be read");
        let text = include_str!("scattering_mesh.txt");
        let mut words = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
        let mut section = |name: &str| {
            let found =
                words.next().filter(|word| *word == name).and_then(|_| words.next()?.parse::<usize>().ok());
            let width = match name {
                "nodes" => 2,
                "triangles" => 3,
                _ => 1,
            };
            let count = found.ok_or_else(broken)?;
            (0..count * width)
                .map(|_| words.next().and_then(|word| word.parse::<f64>().ok()).ok_or_else(broken))
                .collect::<Result<Vec<f64>>>()
        };
        let nodes = section("nodes")?.chunks_exact(2).map(|c| [c[0], c[1]]).collect();
        let triangles = section("triangles")?
            .chunks_exact(3)
            .map(|c| [c[0] as usize, c[1] as usize, c[2] as usize])
            .collect();
        let fixed = section("fixed")?.iter().map(|v| *v as usize).collect();
        Ok(Self { nodes, triangles, fixed })
    }

    /// The mean of a triangle's corners.
    pub fn centroid(&self, triangle: usize) -> [f64; 2] {
        let [a, b, c] = self.triangles[triangle].map(|n| self.nodes[n]);
        [(a[0] + b[0] + c[0]) / 3.0, (a[1] + b[1] + c[1]) / 3.0]
    }
}

impl Scattering {
    const STEP: f64 = 1.0 / (SAMPLES - 1) as f64;

    /// Assembles the matrices and computes the data.
    ///
    /// # Errors
    /// None that can be foreseen.
    pub fn new() -> Result<Self> {
        let mesh = Mesh::paper()?;
        let mut numbers = vec![None; mesh.nodes.len()];
        let mut unknowns = 0;
        for (node, number) in numbers.iter_mut().enumerate() {
            if !mesh.fixed.contains(&node) {
                *number = Some(unknowns);
                unknowns += 1;
            }
        }
        let elements: Vec<Element> = mesh
            .triangles
            .iter()
            .map(|corners| {
                let [a, b, c] = corners.map(|n| mesh.nodes[n]);
                let area = 0.5 * ((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]));
                // The gradient ∇φ of each corner's shape function, times twice the area.
                let slopes =
                    [[b[1] - c[1], c[0] - b[0]], [c[1] - a[1], a[0] - c[0]], [a[1] - b[1], b[0] - a[0]]];
                let entry = |i: usize, j: usize| {
                    (slopes[i][0] * slopes[j][0] + slopes[i][1] * slopes[j][1]) / (4.0 * area)
                };
                let stiffness = std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)));
                Element { unknowns: corners.map(|n| numbers[n]), area, stiffness }
            })
            .collect();
        let mut rows = vec![std::collections::BTreeMap::<usize, f64>::new(); unknowns];
        for element in &elements {
            for (i, row) in element.unknowns.iter().enumerate() {
                for (j, column) in element.unknowns.iter().enumerate() {
                    if let (Some(row), Some(column)) = (row, column) {
                        *rows[*row].entry(*column).or_default() += element.stiffness[i][j];
                    }
                }
            }
        }
        let stiffness = rows.into_iter().map(|row| row.into_iter().collect()).collect();
        let force = numbers[FORCE_NODE]
            .ok_or_else(|| Error::internal("the force of the scattering problem acts on a fixed node"))?;
        let zero = || Mat::zeros(unknowns, SAMPLES);
        let mut problem = Self {
            mesh,
            elements,
            unknowns,
            force,
            stiffness,
            data: zero(),
            solution: zero(),
            acceleration: zero(),
        };
        let truth = problem.truth();
        problem.solve(&truth).map_err(|_| {
            Error::factorization("Cholesky decomposition of the scattering problem's mass matrix")
        })?;
        std::mem::swap(&mut problem.data, &mut problem.solution);
        Ok(problem)
    }

    /// The mesh of the domain.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The field the data come from, 1 + 2y at the centroids.
    pub fn truth(&self) -> Vec<f64> {
        (0..self.elements.len()).map(|e| 1.0 + 2.0 * self.mesh.centroid(e)[1]).collect()
    }

    /// The relative error of the slowness, ‖m(a) − truth‖/‖truth‖.
    pub fn relative_error(&self, a: &[f64]) -> f64 {
        let truth = self.truth();
        let square: f64 = Self::slowness(a).zip(&truth).map(|(m, t)| (m - t).powi(2)).sum();
        (square / truth.iter().map(|t| t * t).sum::<f64>()).sqrt()
    }

    /// The slowness m = |a| + 0.01, entry by entry.
    pub fn slowness(a: &[f64]) -> impl Iterator<Item = f64> {
        a.iter().map(|a| a.abs() + SHIFT)
    }

    /// The largest magnitude of the pressure in the data.
    pub fn largest_pressure(&self) -> f64 {
        (0..SAMPLES).flat_map(|n| self.data.col_as_slice(n)).fold(0.0, |m, u| m.max(u.abs()))
    }

    /// The inverse mass matrix M⁻¹ for slownesses `m`.
    fn inverse_mass(&self, m: &[f64]) -> std::result::Result<Mat<f64>, ObjectiveError> {
        let mut mass = Mat::<f64>::zeros(self.unknowns, self.unknowns);
        for (element, m) in self.elements.iter().zip(m) {
            for (i, row) in element.unknowns.iter().enumerate() {
                for (j, column) in element.unknowns.iter().enumerate() {
                    if let (Some(row), Some(column)) = (row, column) {
                        mass[(*row, *column)] += m * element.area / 12.0 * if i == j { 2.0 } else { 1.0 };
                    }
                }
            }
        }
        let factor = mass
            .llt(Side::Lower)
            .map_err(|_| "the mass matrix of the scattering problem is not positive definite")?;
        Ok(factor.solve(Mat::<f64>::identity(self.unknowns, self.unknowns)))
    }

    /// Writes the product of the stiffness matrix with u, K u, to `out`.
    fn stiffness_times(&self, u: &[f64], out: &mut [f64]) {
        for (out, row) in out.iter_mut().zip(&self.stiffness) {
            *out = row.iter().map(|(column, k)| k * u[*column]).sum();
        }
    }

    /// Computes solution and acceleration; returns M⁻¹.
    fn solve(&mut self, m: &[f64]) -> std::result::Result<Mat<f64>, ObjectiveError> {
        let inverse = self.inverse_mass(m)?;
        let mut right = vec![0.0; self.unknowns];
        for n in 1..SAMPLES - 1 {
            self.stiffness_times(self.solution.col_as_slice(n), &mut right);
            right.iter_mut().for_each(|r| *r = -*r);
            right[self.force] += FORCE * (4.0 * PI * n as f64 * Self::STEP).sin();
            let acceleration = self.acceleration.col_as_slice_mut(n);
            symmetric_times(&inverse, &right, acceleration);
            for i in 0..self.unknowns {
                let next = 2.0 * self.solution[(i, n)] - self.solution[(i, n - 1)]
                    + Self::STEP.powi(2) * self.acceleration[(i, n)];
                self.solution[(i, n + 1)] = next;
            }
        }
        Ok(inverse)
    }
}

/// The product A v, by columns.
fn symmetric_times(a: &Mat<f64>, v: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (j, v) in v.iter().enumerate() {
        out.iter_mut().zip(a.col_as_slice(j)).for_each(|(o, a)| *o += a * v);
    }
}

impl Objective for Scattering {
    fn dimension(&self) -> usize {
        self.elements.len()
    }

    fn evaluate(&mut self, a: &[f64], gradient: &mut [f64]) -> std::result::Result<f64, ObjectiveError> {
        let m: Vec<f64> = Self::slowness(a).collect();
        let inverse = self.solve(&m)?;
        let mut value = 0.0;
        gradient.fill(0.0);
        // M λ_{n−1} = M (2λ_n − λ_{n+1}) − Δt² (K λ_n + Δt (u_n − v_n)), and ∂f/∂m_e = Σ λ_nᵀ M_e ü_n.
        let [mut next, mut now, mut right, mut step] = std::array::from_fn(|_| vec![0.0; self.unknowns]);
        for n in (2..SAMPLES).rev() {
            self.stiffness_times(&now, &mut right);
            for (i, r) in right.iter_mut().enumerate() {
                let error = self.solution[(i, n)] - self.data[(i, n)];
                value += 0.5 * Self::STEP * error * error;
                *r += Self::STEP * error;
            }
            symmetric_times(&inverse, &right, &mut step);
            for i in 0..self.unknowns {
                let before = 2.0 * now[i] - next[i] - Self::STEP.powi(2) * step[i];
                (next[i], now[i]) = (now[i], before);
            }
            let acceleration = self.acceleration.col_as_slice(n - 1);
            for (element, g) in self.elements.iter().zip(&mut *gradient) {
                let at = |vector: &[f64], corner: usize| element.unknowns[corner].map_or(0.0, |i| vector[i]);
                let (l, u): ([f64; 3], [f64; 3]) =
                    (std::array::from_fn(|c| at(&now, c)), std::array::from_fn(|c| at(acceleration, c)));
                // The product lᵀ (I + 11ᵀ) u / 12 · area, the consistent mass matrix of a triangle.
                let plain: f64 = l.iter().zip(&u).map(|(l, u)| l * u).sum();
                *g += element.area / 12.0 * (plain + l.iter().sum::<f64>() * u.iter().sum::<f64>());
            }
        }
        for (g, a) in gradient.iter_mut().zip(a) {
            *g *= if *a < 0.0 { -1.0 } else { 1.0 };
        }
        Ok(value)
    }
}
