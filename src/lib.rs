//! **Learned gradient flow**: optimization when every gradient is a finite-element solve.
//!
//! The iterates of an optimizer are samples of a flow. This crate records a handful of true iterates, fits a
//! polynomial model to them in the space they span (on the GPU, or on the CPU in f64), lets the optimizer run
//! on the model's gradient instead of the true one, and goes back to the truth to check: a surrogate phase
//! that made the true objective worse is undone. Fewer true gradients, the same design, and every value that
//! is reported was computed by the true objective in f64.
//!
//! ```
//! use lgf::flow::{Adam, Flow};
//! use lgf::method::Field;
//! use lgf::objective::FnObjective;
//! use lgf::surrogate::SurrogateConfig;
//! use lgf::{Lgf, Stopping};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // f(x) = ½ Σ i (xᵢ − 1)²; in earnest, this is a finite-element solve and its adjoint.
//! let mut objective = FnObjective::new(50, |x: &[f64], gradient: &mut [f64]| {
//!     let mut value = 0.0;
//!     for (i, (x, g)) in x.iter().zip(gradient).enumerate() {
//!         *g = (i + 1) as f64 * (x - 1.0);
//!         value += 0.5 * *g * (x - 1.0);
//!     }
//!     Ok(value)
//! });
//! let field = Field::adaptive(Flow::Adam(Adam::new(0.05)), SurrogateConfig::snapshots());
//! let stopping = Stopping::default().evaluations(60).tolerance(1e-6);
//! let report = Lgf::new(field)?.stopping(stopping)?.minimize(&mut objective, &[0.0; 50])?;
//! println!("f = {:.1e} after {} evaluations: {}", report.objective, report.true_evaluations, report.stop);
//! # assert!(report.objective < 1.0, "{report:?}");
//! # Ok(())
//! # }
//! ```
//!
//! A structure is optimized by its recipe, [`topology::Recipe`].
//!
//! # How to choose
//! | you have | take |
//! |---|---|
//! | a structure | [`topology::Recipe`]: a learned potential, coarse grids first |
//! | a smooth function, with or without bounds | [`Lgf::potential`] |
//! | a gradient of no function, or an optimizer whose dynamics are to be kept | [`method::Field`] |
//! | a gradient cheaper than a pass over the history | the plain flow: [`Lgf::new`] of a [`flow::Flow`] |
//!
//! The page `docs/how-to-choose.md` has the measurements behind this, and when not to use each of them.
//!
//! # Where is what
//! | you want to | look at |
//! |---|---|
//! | give it your problem | [`objective`] |
//! | say where the unknowns may be | [`domain`] |
//! | choose the optimizer it accelerates | [`flow`] |
//! | choose what is learned | [`surrogate`] |
//! | choose the method, and when the truth is called | [`method`] |
//! | know what a setting costs when it is wrong | [`knobs`] |
//! | run it, watch it, read the result | [`run`], [`observe`], [`report`] |
//! | run it piece by piece in a frame loop, or go on from a report | [`Session`], [`Start::after`] |
//! | choose where it runs, or share your own wgpu device | [`EngineChoice`], [`GpuEngine::from_device`] |
//! | optimize a structure | [`topology`] |
//! | go on with a run that was killed | [`checkpoint`] |
//! | solve an elastic problem in three dimensions without a matrix | [`fem`] |
//! | bring a problem of the crate argmin, or be its solver | the feature `argmin` and its module |
//! | find the equations behind a recorded trajectory | [`discover`] |
//!
//! [`EngineChoice`]: engine::EngineChoice
//! [`GpuEngine::from_device`]: engine::GpuEngine::from_device
//!
//! # Precision contract
//! The CPU engine is f64, but for the rows that a learned potential is made of (f32; their inner products
//! f64). In f32 ([`CpuEngine::single`](engine::CpuEngine::single), `--engine cpu-f32`) its state, history
//! and tables are f32; inner products over d are sums in f64, but for a state's coordinates, of which runs
//! of 16 products are added in f32. On the GPU the state, the history and the tables are f32; inner products
//! over d are double-word sums (a self-test at start-up finds out whether the device's compiler leaves them
//! intact, and the report says which variant ran); factorisations of K×K matrices are done on the host in
//! f64; the batched regression on the device is a refined QR of the ridge-augmented matrix, whose factor is
//! double-word where the ridge does not stand above the rounding of one in f32 (a refit without ridge, plain
//! least squares): its coefficients agree with f64 to 10⁻⁴ relative for condition numbers up to 10⁴ with a
//! ridge and 10⁸ without, and its predictions on the samples agree to 10⁻⁵ for any. Without double words
//! (the self-test tells) both hold as far as f32 resolves them. On every engine the basis may be kept in
//! half precision ([`TableFormat`](engine::TableFormat), `--tables f16`): each entry is rounded by up to
//! 2⁻¹¹ of itself. A learned potential is fitted on the host in f64 from the pairs' double-word inner
//! products, its directions are combined in double-word and rounded once. Objective values always come from
//! the user's objective, in f64. Same input, same engine, same adapter: bit-identical results.

// `!(x <= limit)` is true for NaN as well, which is what the checks of user data mean.
#![expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN must fail range checks")]
#![deny(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout))]

#[cfg(feature = "argmin")]
pub mod argmin;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod discover;
pub mod domain;
pub mod engine;
pub mod error;
pub mod fem;
pub mod flow;
#[cfg(all(test, feature = "cli"))]
mod hostile;
#[cfg(feature = "cli")]
pub mod io;
#[doc = include_str!("knobs.md")]
pub mod knobs {}
mod linalg;
pub mod method;
mod number;
pub mod objective;
pub mod peers;
pub mod problems;
pub mod record;
pub mod run;
mod scalar;
pub mod surrogate;
pub mod topology;

pub use error::{Error, Result};
pub use method::{Settled, Stopping};
pub use record::{observe, report};
pub use run::{Lgf, LgfConfig, RunError, Session, Start};
pub use scalar::Scalar;
pub use wgpu;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The example of the page about embedding, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;
