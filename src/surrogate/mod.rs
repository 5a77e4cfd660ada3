//! The learned model as plain data and small-matrix mathematics; knows no engine.
//!
//! ĝ(x) = decode( Tᵀ Ξᵀ Θ(z), x ),  z = U (x − c)/σ
//!
//! | symbol | shape | meaning | file |
//! |---|---|---|---|
//! | z | r | coordinates of x in the space of the last K iterates, or x itself | [`space`] |
//! | Θ | P | all monomials of z up to an order | [`library`] |
//! | Y | rows×m | what Ξ is fitted to: gradients, or x' in strong or weak form | [`targets`] |
//! | Ξ | P×m | coefficients, one sparse least-squares problem per column | [`regression`] |
//! | T | m×d | what is lifted by: the space's own basis, or the recorded targets themselves | [`Lift`] |
//! | decode | | undoes an elementwise transform of the targets | [`transform`] |
//! | | | how ĝ moves the iterate | [`integrator`] |
//!
//! Three samples of gradient descent on a quadratic in two unknowns span all there is to learn: the fitted
//! field is the true one, and ten learned steps are ten true ones.
//! ```
//! use lgf::domain::Domain;
//! use lgf::engine::{CpuEngine, Engine, PhaseLimits, Samples, Setup};
//! use lgf::flow::{Flow, GradientDescent};
//! use lgf::objective::Objective;
//! use lgf::problems::Quadratic;
//! use lgf::surrogate::{Integrator, Regression, Ridge, SurrogateConfig};
//!
//! # fn main() -> Result<(), lgf::error::ObjectiveError> {
//! let mut problem = Quadratic { spectrum: vec![1.0, 3.0], minimizer: vec![1.0, 1.0] };
//! let flow = Flow::GradientDescent(GradientDescent { rate: 0.1 });
//! let (domain, start, samples) = (Domain::Unbounded, &[0.0, 0.0], Samples::Points);
//! let mut engine = CpuEngine::new();
//! engine.start(Setup { flow, domain: &domain, start, capacity: 3, samples, directions: None })?;
//! let (mut x, mut gradient) = ([0.0; 2], [0.0; 2]);
//! for _ in 0..3 {
//!     problem.evaluate(&x, &mut gradient)?;
//!     engine.set_gradient(&gradient)?;
//!     engine.record()?;
//!     engine.step()?;
//!     engine.read(&mut x)?;
//! }
//! let regression = Regression::ridge(Ridge::Absolute(0.0));
//! let fit = engine.fit(&SurrogateConfig { regression, ..SurrogateConfig::snapshots() })?;
//! assert_eq!((fit.samples, fit.rank, fit.features), (3, 2, 3));
//! engine.integrate(PhaseLimits { steps: 10, radius: f64::INFINITY, integrator: Integrator::FlowStep })?;
//! engine.read(&mut x)?;
//! // 13 steps, each of which multiplies xᵢ − 1 by 1 − 0.1 λᵢ.
//! let exact = [1.0 - 0.9_f64.powi(13), 1.0 - 0.7_f64.powi(13)];
//! assert!(x.iter().zip(exact).all(|(x, exact)| (x - exact).abs() < 1e-9));
//! # Ok(())
//! # }
//! ```

mod config;
pub mod higher_order;
pub mod integrator;
pub mod library;
pub mod potential;
pub mod regression;
pub mod selection;
pub mod space;
pub mod targets;
pub mod transform;

pub use config::{Lift, SurrogateConfig};
pub use integrator::Integrator;
pub use library::Library;
pub use regression::{Regression, RegressionProblem, Ridge};
pub use selection::ModelSelection;
pub use space::{Rank, Space, SpaceConfig};
pub use targets::{Differences, Targets, WeakForm};
pub use transform::TargetTransform;
