//! A cantilever in three dimensions, matrix-free: optimality criteria beside a learned potential, at the same
//! number of solves.
//!
//! `cargo run --release --example cantilever3d [COLUMNS]`: COLUMNS × COLUMNS/2 × COLUMNS/2 bricks, 24 columns
//! unless told otherwise. The problem is the objective below: lgf needs its dimension, its domain, and its
//! value with the gradient.

use lgf::domain::{Domain, Volume};
use lgf::engine::CpuEngine;
use lgf::error::ObjectiveError;
use lgf::fem::{BrickMesh, DensityFilter, Element, Simp, SolidCompliance, Solver, Supports};
use lgf::flow::{Flow, OptimalityCriteria};
use lgf::method::{Method, Potential};
use lgf::objective::Objective;
use lgf::{Lgf, Stopping};

/// The relative residual of every solve. The compliance is right to the square of the error's energy norm.
const RESIDUAL: f64 = 1e-5;
/// The share of the box that may be material.
const VOLUME: f64 = 0.12;

/// The compliance of filtered densities, with the face x = 0 clamped and a unit load down along the lower
/// edge of the other end.
struct Cantilever {
    compliance: SolidCompliance,
    filter: DensityFilter,
    volume: Volume,
    density: Vec<f64>,
    slope: Vec<f64>,
}

impl Cantilever {
    fn new(columns: usize) -> lgf::Result<Self> {
        let (nx, ny, nz) = (columns, columns / 2, columns / 2);
        let mesh = BrickMesh::new(nx, ny, nz)?;
        let supports = Supports::clamped_left(mesh);
        let mut load = vec![0.0; mesh.dofs()];
        for z in 0..=nz {
            let share = if z == 0 || z == nz { 0.5 } else { 1.0 };
            load[mesh.dof(mesh.node(nx, 0, z), 1)] = -share / nz as f64;
        }
        let solver = Solver::new(mesh, &Element::new([1.0; 3], 0.3)?, &supports)?;
        let filter = DensityFilter::new(mesh, [1.0; 3], 3.0_f64.sqrt())?;
        // The weights carry the filter, so that the physical volume is bounded.
        let mut weights = vec![0.0; mesh.elements()];
        filter.transpose(&vec![1.0; mesh.elements()], &mut weights)?;
        let volume = Volume::new(weights, VOLUME * mesh.elements() as f64);
        let zeros = vec![0.0; mesh.elements()];
        Ok(Self {
            compliance: SolidCompliance::new(solver, vec![load])?,
            filter,
            volume,
            density: zeros.clone(),
            slope: zeros,
        })
    }
}

impl Objective for Cantilever {
    fn dimension(&self) -> usize {
        self.density.len()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let law = Simp { penalty: 3.0, void_modulus: 1e-9 };
        self.filter.apply(x, &mut self.density)?;
        let found = self.compliance.evaluate(&law, &self.density, RESIDUAL, 500, &mut self.slope)?;
        self.filter.transpose(&self.slope, gradient)?;
        Ok(found.value)
    }

    fn domain(&self) -> Domain {
        Domain::uniform_with_volume(0.0, 1.0, self.volume.weights.to_vec(), self.volume.bound)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let columns = std::env::args().nth(1).map_or(Ok(24), |text| text.parse())?;
    println!("| method    | evaluations | compliance | seconds |");
    println!("|-----------|------------:|-----------:|--------:|");
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let mut reached = Vec::new();
    for method in [Method::from(oc), Potential::default().into()] {
        let mut problem = Cantilever::new(columns)?;
        let start = vec![VOLUME; problem.dimension()];
        let lgf = Lgf::new(method)?.stopping(Stopping::default().evaluations(40).tolerance(1e-4))?;
        let report = lgf.on(CpuEngine::new()).minimize(&mut problem, &start)?;
        println!(
            "| {:9} | {:11} | {:10.4} | {:7.1} |",
            method.name(),
            report.true_evaluations,
            report.objective,
            report.wall_seconds
        );
        reached.push(report.objective);
    }
    assert!(reached[1] < reached[0], "the learned potential should be ahead at equal cost");
    Ok(())
}
