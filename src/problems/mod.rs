//! Objectives with known answers: the four problems of the method's paper that need no mesh of their own
//! making, and standard test functions.
//!
//! | problem | unknowns | base flow | what an evaluation is |
//! |---|---|---|---|
//! | [`HeatInverse`] | 2 | gradient descent | transient heat equation and its adjoint |
//! | [`NonlinearHeat`] | n² (225) | Newton | residual and Jacobian of a nonlinear heat equation |
//! | [`Scattering`] | 346 | ADAM | wave equation and its adjoint |
//! | [`ElasticNetwork`] | 560 | ADAM | energy of an elastic cube, and the reverse pass through a network |
//!
//! Source: Norman, Rowan, Maute & Doostan, arXiv 2602.13513. Its fifth, topology optimization, is
//! [`crate::topology`].
//!
//! ```
//! use lgf::objective::Objective;
//! use lgf::problems::HeatInverse;
//!
//! # fn main() -> Result<(), lgf::error::ObjectiveError> {
//! let (mut problem, mut gradient) = (HeatInverse::new()?, [0.0; 2]);
//! let start = problem.evaluate(&HeatInverse::START, &mut gradient)?;
//! let near = problem.evaluate(&[2.01, 1.01], &mut gradient)?;
//! // Logarithms of the misfit, which is 0 at the truth, (2, 1).
//! assert!(near < start - 5.0);
//! # Ok(())
//! # }
//! ```

mod elastic_network;
mod functions;
mod heat_inverse;
mod logistic;
mod nonlinear_heat;
mod random;
mod scattering;
mod tanh;

pub use elastic_network::ElasticNetwork;
pub use functions::{Boxed, Quadratic, Rosenbrock, Rotated};
pub use heat_inverse::HeatInverse;
pub use logistic::LogisticRegression;
pub use nonlinear_heat::NonlinearHeat;
pub use scattering::{Mesh, Scattering};
