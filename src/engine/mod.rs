//! The operations on resident data: history, state and learned model live in the engine; only x, g and small
//! numbers cross its border.
//!
//! | operation | crosses the border |
//! |---|---|
//! | [`Engine::set_gradient`] | g down (x is already there) |
//! | [`Engine::record`], [`Engine::step`], [`Engine::integrate`] | nothing |
//! | [`Engine::trust`], [`Engine::restore`], [`Engine::forget`] | nothing |
//! | [`Engine::record_pair`], [`Engine::minimize`] | nothing |
//! | [`Engine::fit`], [`Engine::fit_potential`] | K² inner products up (one read-back), K² numbers down |
//! | [`Engine::put_pair`], [`Engine::pairs`] | the vectors (one read-back on a GPU) |
//! | [`Engine::read`] | x and a few scalars up (one read-back on a GPU) |
//!
//! Two choices cost more read-backs on a GPU: a fit of the implicit library takes two, and Dormand–Prince on
//! a state of size d one per trial step.

mod best;
mod choice;
pub mod cpu;
mod fit;
mod forward;
#[cfg(test)]
mod fragile;
pub mod gpu;
mod holdout;
mod interface;
mod protocol;
mod ring;

pub use choice::{EngineChoice, EngineOptions, Opened};
pub use cpu::CpuEngine;
pub(crate) use fit::orthonormal as orthonormal_features;
#[cfg(test)]
pub(crate) use fragile::Fragile;
pub use gpu::GpuEngine;
pub use interface::{
    Engine, GradientSummary, Landing, Pair, PhaseLimits, Samples, Setup, StepComparison, TableFormat,
    TrustLimits,
};

pub use crate::record::{EngineInfo, EngineKind, Fit, NumberFormat, PhaseEnd, Traffic};
