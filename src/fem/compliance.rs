//! Densities to compliance and its gradient.

use rayon::prelude::*;

use super::hierarchy::Damping;
use super::load::Load;
use super::mesh::BrickMesh;
use super::solver::{Accuracy, SolveReport, Solver};
use super::vectors::{BLOCK, block_dot, dot, ordered_sum};
use crate::error::{Error, Result};

/// The modulus of an element of density ρ: E(ρ) = E_min + ρᵖ (1 − E_min), relative to the solid's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simp {
    /// The exponent p, at least 1.
    pub penalty: f64,
    /// The modulus E_min of void, above 0.
    pub void_modulus: f64,
}

impl Simp {
    /// The modulus E(ρ) of an element.
    pub fn modulus(&self, density: f64) -> f64 {
        self.void_modulus + density.powf(self.penalty) * (1.0 - self.void_modulus)
    }

    /// The slope dE/dρ of the modulus.
    pub fn slope(&self, density: f64) -> f64 {
        self.penalty * density.powf(self.penalty - 1.0) * (1.0 - self.void_modulus)
    }
}

/// One evaluation of the compliance.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Σ over the load cases of fᵀu.
    pub value: f64,
    /// The solve of each load case.
    pub solves: Vec<SolveReport>,
}

/// Compliance c(ρ) = Σ fₖᵀuₖ over load cases, K(E(ρ)) uₖ = fₖ, with its gradient −E'(ρ) Σ uₖᵀK₀uₖ, and
/// 2 uₖᵀ∂fₖ/∂ρ where the structure's own mass is a load.
///
/// Displacements are kept, and each solve starts from the last one of its case. The value that is returned is
/// 2 fᵀu − uᵀKu: it equals fᵀu for the exact displacement and is below the true compliance by the square of
/// the error's energy norm, so that a relative residual of 10⁻³ gives some eight digits.
///
/// Cost: one set-up, one solve a load case, one pass for the energies. Memory: the [`Solver`]'s, and for each
/// load case 24 bytes a node. Precision: f64, to the solver's tolerance.
#[derive(Debug)]
pub struct SolidCompliance {
    solver: Solver,
    loads: Vec<Load>,
    displacements: Vec<Vec<f64>>,
    /// The force of each load case on every corner of an element of density 1, along each axis.
    bodies: Vec<[f64; 3]>,
}

impl SolidCompliance {
    /// The compliance under these load cases; a vector of all degrees of freedom is a [`Load`] as well.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when a load does not have the mesh's length.
    pub fn new(solver: Solver, loads: impl IntoIterator<Item = impl Into<Load>>) -> Result<Self> {
        let dofs = solver.mesh().dofs();
        let loads: Vec<Load> = loads.into_iter().map(Into::into).collect();
        if let Some(load) = loads.iter().find(|load| load.dofs() != dofs) {
            return Err(Error::length("a load", load.dofs(), dofs));
        }
        let displacements = vec![vec![0.0; dofs]; loads.len()];
        let bodies = vec![[0.0; 3]; loads.len()];
        Ok(Self { solver, loads, displacements, bodies })
    }

    /// The same with forces on the structure's own mass: for each load case, the force on every corner of an
    /// element of density 1, along each axis. An element of density ρ has ρ times as much.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when there is not one entry a load case.
    pub fn with_bodies(self, bodies: Vec<[f64; 3]>) -> Result<Self> {
        if bodies.len() == self.loads.len() {
            Ok(Self { bodies, ..self })
        } else {
            Err(Error::length("the forces on bodies", bodies.len(), self.loads.len()))
        }
    }

    /// The displacement of each load case at the last evaluation.
    pub fn displacements(&self) -> &[Vec<f64>] {
        &self.displacements
    }

    /// Starts the next solves from these displacements, one for each load case.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when there is not one of the mesh's length a load case.
    pub fn start_from(&mut self, displacements: Vec<Vec<f64>>) -> Result<()> {
        if displacements.len() != self.loads.len() {
            return Err(Error::length("the displacements", displacements.len(), self.loads.len()));
        }
        let dofs = self.solver.mesh().dofs();
        if let Some(other) = displacements.iter().find(|u| u.len() != dofs) {
            return Err(Error::length("a displacement", other.len(), dofs));
        }
        self.displacements = displacements;
        Ok(())
    }

    /// Appends what the next evaluation depends on besides its densities: the damping of the cycle, then the
    /// displacement of each load case.
    pub(crate) fn write_state(&self, state: &mut Vec<u8>) {
        state.reserve_exact(4 + 8 * self.loads.len() * self.solver.mesh().dofs());
        state.extend(self.solver.damping().factor().to_le_bytes());
        self.displacements.iter().for_each(|u| state.extend_from_slice(bytemuck::cast_slice(u)));
    }

    /// Takes over what [`write_state`](Self::write_state) has written; returns whether it is one of this mesh
    /// and these load cases.
    pub(crate) fn restore(&mut self, state: &[u8]) -> bool {
        let dofs = self.solver.mesh().dofs();
        let Some((damping, displacements)) = state.split_first_chunk::<4>() else { return false };
        let Some(damping) = Damping::of(f32::from_le_bytes(*damping)) else { return false };
        if displacements.len() != 8 * dofs * self.loads.len() {
            return false;
        }
        self.solver.set_damping(damping);
        for (u, bytes) in self.displacements.iter_mut().zip(displacements.chunks_exact(8 * dofs)) {
            bytemuck::cast_slice_mut(u).copy_from_slice(bytes);
        }
        true
    }

    /// The solver of all load cases.
    pub fn solver(&self) -> &Solver {
        &self.solver
    }

    /// The compliance of these densities, and its gradient with respect to them. Each solve ends at a
    /// relative residual of `tolerance`, or as an [`Accuracy`] says.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when an array does not have one entry an element or a
    /// modulus is not positive; [`FemError`](crate::error::FemError) when a solve does not reach
    /// `tolerance` in `max_iterations`.
    pub fn evaluate(
        &mut self,
        law: &Simp,
        densities: &[f64],
        tolerance: impl Into<Accuracy>,
        max_iterations: usize,
        gradient: &mut [f64],
    ) -> Result<Evaluation> {
        let accuracy = tolerance.into();
        let elements = self.solver.mesh().elements();
        for (name, found) in [("the densities", densities.len()), ("the gradient", gradient.len())] {
            if found != elements {
                return Err(Error::length(name, found, elements));
            }
        }
        self.solver.set_moduli_by(|e| law.modulus(densities[e]))?;
        gradient.fill(0.0);
        let mut evaluation = Evaluation { value: 0.0, solves: Vec::with_capacity(self.loads.len()) };
        let has_weight = self.bodies.iter().any(|body| *body != [0.0; 3]);
        let masses = if has_weight { masses(&self.solver.mesh(), densities) } else { Vec::new() };
        for ((load, body), displacement) in self.loads.iter().zip(&self.bodies).zip(&mut self.displacements) {
            let write = |out: &mut [f64]| {
                load.write(out);
                if *body != [0.0; 3] {
                    for (part, share) in out.chunks_exact_mut(masses.len()).zip(body) {
                        part.iter_mut().zip(&masses).for_each(|(force, mass)| *force += share * mass);
                    }
                }
            };
            write(self.solver.load_mut());
            let solve = self.solver.solve_loaded(displacement, accuracy, max_iterations);
            if solve.is_err() {
                // No later solve should start from what did not arrive.
                displacement.fill(0.0);
            }
            evaluation.solves.push(solve?);
            let load = self.solver.idle_mut();
            write(load);
            let work = dot(load, displacement);
            let (energies, moduli) = self.solver.energies(displacement)?;
            let strain = ordered_sum(
                gradient
                    .par_chunks_mut(BLOCK)
                    .zip(energies.par_chunks(BLOCK))
                    .zip(densities.par_chunks(BLOCK))
                    .zip(moduli.par_chunks(BLOCK))
                    .map(|(((gradient, energies), densities), moduli)| {
                        for ((gradient, energy), density) in gradient.iter_mut().zip(energies).zip(densities)
                        {
                            *gradient -= law.slope(*density) * energy;
                        }
                        block_dot(energies, moduli)
                    }),
            );
            evaluation.value += 2.0 * work - strain;
            if *body != [0.0; 3] {
                add_weight_slope(&self.solver.mesh(), *body, displacement, gradient);
            }
        }
        Ok(evaluation)
    }
}

/// The sum of the densities of the elements around each node.
pub(crate) fn masses(mesh: &BrickMesh, densities: &[f64]) -> Vec<f64> {
    let mut masses = vec![0.0; mesh.nodes()];
    let [nx, ny, _] = mesh.size();
    masses.par_iter_mut().enumerate().for_each(|(node, mass)| {
        let place = [node % (nx + 1), node / (nx + 1) % (ny + 1), node / ((nx + 1) * (ny + 1))];
        let around = |axis: usize| place[axis].saturating_sub(1)..(place[axis] + 1).min(mesh.size()[axis]);
        for z in around(2) {
            for y in around(1) {
                *mass += around(0).map(|x| densities[mesh.element(x, y, z)]).sum::<f64>();
            }
        }
    });
    masses
}

/// Adds 2 uᵀ∂f/∂ρ of every element, the force on each of its corners being `body` times ρ.
fn add_weight_slope(mesh: &BrickMesh, body: [f64; 3], displacement: &[f64], gradient: &mut [f64]) {
    let [nx, ny, _] = mesh.size();
    gradient.par_iter_mut().enumerate().for_each(|(e, gradient)| {
        let corners = mesh.corners(e % nx, e / nx % ny, e / (nx * ny));
        for (axis, share) in body.iter().enumerate().filter(|(_, share)| **share != 0.0) {
            let sum: f64 = corners.iter().map(|node| displacement[mesh.dof(*node, axis)]).sum();
            *gradient += 2.0 * share * sum;
        }
    });
}
