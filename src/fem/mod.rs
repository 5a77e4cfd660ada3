//! Linear elasticity on structured meshes of bricks, without a stored matrix: the element, the product K(E)
//! u, geometric multigrid as the preconditioner of conjugate gradients, and the density filter.
//!
//! | file | what is in it |
//! |---|---|
//! | [`mesh`] | the mesh and its numbering of elements, nodes and degrees of freedom |
//! | [`element`] | the stiffness of one brick, and its blocks by symmetry |
//! | `lanes` | rows of elements as vector lanes; the Walsh–Hadamard transform of the eight corners |
//! | `rows` | the parallel loop over rows of elements that every product shares |
//! | [`operator`] | the product and the element energies on the given mesh, with their slow twins |
//! | `coarsening` | how a mesh and the next coarser one lie on each other, for any number of elements |
//! | `hierarchy` | the coarse operators and how they are made |
//! | `coarse` | the products with the coarse operators |
//! | `transfer` | restriction and prolongation |
//! | [`load`] | the forces of a load case |
//! | `layout` | the meshes of multigrid, for a device that keeps their operators itself |
//! | `direct` | assembly and sparse Cholesky factorisation: the coarsest level, and the twin of the solver |
//! | [`solver`] | conjugate gradients with the cycle, and the report of a solve |
//! | [`filter`] | the density filter and its transpose |
//! | [`compliance`] | densities to compliance and gradient |
//! | `vectors` | sums that do not depend on the number of threads |
//!
//! **Precision.** Displacements, residuals and energies are f64; the cycle is f32. **Order of sums.** Every
//! sum has one order, which depends on the mesh only: results are the same bits for any number of threads,
//! and for any width of the machine's vectors.
//!
//! The tip of a clamped beam of 6×3×2 unit cubes sinks under a load:
//! ```
//! use lgf::fem::{BrickMesh, Element, Solver, Supports};
//!
//! # fn main() -> Result<(), lgf::error::Error> {
//! let mesh = BrickMesh::new(6, 3, 2)?;
//! let supports = Supports::clamped_left(mesh);
//! let mut load = vec![0.0; mesh.dofs()];
//! let tip = mesh.dof(mesh.node(6, 0, 1), 1);
//! load[tip] = -1.0;
//! let mut solver = Solver::new(mesh, &Element::new([1.0; 3], 0.3)?, &supports)?;
//! solver.set_moduli(&vec![1.0; mesh.elements()])?;
//! let mut displacement = vec![0.0; mesh.dofs()];
//! let report = solver.solve(&load, &mut displacement, 1e-8, 100)?;
//! assert!(report.residual <= 1e-8);
//! assert!(displacement[tip] < 0.0);
//! # Ok(())
//! # }
//! ```

mod coarse;
mod coarsening;
pub mod compliance;
mod direct;
pub mod element;
pub mod filter;
mod hierarchy;
mod lanes;
pub(crate) mod layout;
pub mod load;
pub mod mesh;
pub mod operator;
mod rows;
pub mod solver;
#[cfg(test)]
mod tests;
mod transfer;
mod vectors;

pub(crate) use compliance::masses;
pub use compliance::{Evaluation, Simp, SolidCompliance};
pub use direct::solve_directly;
pub use element::Element;
pub use filter::DensityFilter;
pub use lanes::Real;
pub use load::Load;
pub use mesh::{BrickMesh, Supports};
pub use operator::Operator;
pub use solver::{Accuracy, SolveReport, Solver};
