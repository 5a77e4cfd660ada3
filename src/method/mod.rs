//! What alternates true evaluations and a learned model: every method's rule beside its cycle.
//!
//! | method | learned | between two true evaluations |
//! |---|---|---|
//! | [`Method::Plain`] | nothing | one step of the base flow |
//! | [`Method::Field`] | the gradient as a field | steps on the model, at a fixed or adaptive cadence |
//! | [`Method::Cosine`] | the gradient as a field | the same, while learned and true steps agree |
//! | [`Method::Potential`] | a potential | its minimum in a trust region |
//!
//! The same objective by three methods, with as many true evaluations each:
//! ```
//! use lgf::engine::CpuEngine;
//! use lgf::flow::{Adam, Flow};
//! use lgf::method::{Field, Method, Potential};
//! use lgf::problems::Quadratic;
//! use lgf::surrogate::SurrogateConfig;
//! use lgf::{Lgf, Stopping};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let adam = Flow::Adam(Adam::new(0.1));
//! let field = Field::adaptive(adam, SurrogateConfig::snapshots());
//! let mut values = Vec::new();
//! for method in [Method::from(adam), field.into(), Potential::default().into()] {
//!     let lgf = Lgf::new(method)?.stopping(Stopping::default().evaluations(60).tolerance(0.0))?;
//!     let report = lgf.on(CpuEngine::new()).minimize(Quadratic::geometric(20, 100.0), &[0.0; 20])?;
//!     values.push(report.objective);
//! }
//! // Both learned models are far ahead of ADAM by itself.
//! assert!(values[1] < 1e-4 * values[0] && values[2] < 1e-4 * values[0]);
//! # Ok(())
//! # }
//! ```
//!
//! Each file holds a method's settings, the rule that decides, which sees scalars only, and the cycle that
//! calls the truth and the engine. What all cycles share (evaluating, recording, trusting, undoing, stopping)
//! is in `truth.rs`.

mod adaptive;
mod config;
mod cosine;
mod course;
mod field;
mod fixed;
mod outcome;
mod plain;
mod potential;
mod stopping;
mod truth;

pub use adaptive::Adaptive;
pub use config::Method;
pub use cosine::{Cosine, CosineTest};
pub use field::{Cadence, Field};
pub use fixed::Fixed;
pub use potential::Potential;
pub use stopping::{Settled, Stopping};

pub(crate) use course::Course;
pub(crate) use truth::{Ended, Truth};
