//! Densities to compliance and its gradient.

use rayon::prelude::*;

use super::solver::{SolveReport, Solver};
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

/// Compliance c(ρ) = Σ fₖᵀuₖ over load cases, K(E(ρ)) uₖ = fₖ, with its gradient −E'(ρ) Σ uₖᵀK₀uₖ.
///
/// Displacements are kept, and each solve starts from the last one of its case. The value that is returned is
/// 2 fᵀu − uᵀKu: it equals fᵀu for the exact displacement and is below the true compliance by the square of
/// the error's energy norm, so that a relative residual of 10⁻³ gives some eight digits.
///
/// Cost: one set-up, one solve a load case, one pass for the energies. Memory: the [`Solver`]'s, and 8 bytes
/// an element, and for each load case 48 bytes a node. Precision: f64, to the solver's tolerance.
#[derive(Debug)]
pub struct SolidCompliance {
    solver: Solver,
    loads: Vec<Vec<f64>>,
    displacements: Vec<Vec<f64>>,
    /// Moduli first, then energies.
    elements: Vec<f64>,
}

impl SolidCompliance {
    /// The compliance under these load cases, each a vector of all degrees of freedom.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when a load does not have the mesh's length.
    pub fn new(solver: Solver, loads: Vec<Vec<f64>>) -> Result<Self> {
        let dofs = solver.mesh().dofs();
        if let Some(load) = loads.iter().find(|load| load.len() != dofs) {
            return Err(Error::length("a load", load.len(), dofs));
        }
        let displacements = vec![vec![0.0; dofs]; loads.len()];
        let elements = vec![0.0; solver.mesh().elements()];
        Ok(Self { solver, loads, displacements, elements })
    }

    /// The displacement of each load case at the last evaluation.
    pub fn displacements(&self) -> &[Vec<f64>] {
        &self.displacements
    }

    /// The solver of all load cases.
    pub fn solver(&self) -> &Solver {
        &self.solver
    }

    /// The compliance of these densities, and its gradient with respect to them. Each solve ends at a
    /// relative residual of `tolerance`.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when an array does not have one entry an element or a
    /// modulus is not positive; [`FemError`](crate::error::FemError) when a solve does not reach
    /// `tolerance` in `max_iterations`.
    pub fn evaluate(
        &mut self,
        law: &Simp,
        densities: &[f64],
        tolerance: f64,
        max_iterations: usize,
        gradient: &mut [f64],
    ) -> Result<Evaluation> {
        let elements = self.solver.mesh().elements();
        for (name, found) in [("the densities", densities.len()), ("the gradient", gradient.len())] {
            if found != elements {
                return Err(Error::length(name, found, elements));
            }
        }
        self.elements.par_chunks_mut(BLOCK).zip(densities.par_chunks(BLOCK)).for_each(|(out, densities)| {
            for (out, density) in out.iter_mut().zip(densities) {
                *out = law.modulus(*density);
            }
        });
        self.solver.set_moduli(&self.elements)?;
        gradient.fill(0.0);
        let mut evaluation = Evaluation { value: 0.0, solves: Vec::with_capacity(self.loads.len()) };
        for (load, displacement) in self.loads.iter().zip(&mut self.displacements) {
            let solve = self.solver.solve(load, displacement, tolerance, max_iterations);
            if solve.is_err() {
                // No later solve should start from what did not arrive.
                displacement.fill(0.0);
            }
            evaluation.solves.push(solve?);
            self.solver.operator().energies(displacement, &mut self.elements)?;
            let energies = &self.elements;
            let strain = ordered_sum(
                gradient
                    .par_chunks_mut(BLOCK)
                    .zip(energies.par_chunks(BLOCK))
                    .zip(densities.par_chunks(BLOCK))
                    .zip(self.solver.moduli().par_chunks(BLOCK))
                    .map(|(((gradient, energies), densities), moduli)| {
                        for ((gradient, energy), density) in gradient.iter_mut().zip(energies).zip(densities)
                        {
                            *gradient -= law.slope(*density) * energy;
                        }
                        block_dot(energies, moduli)
                    }),
            );
            evaluation.value += 2.0 * dot(load, displacement) - strain;
        }
        Ok(evaluation)
    }
}
