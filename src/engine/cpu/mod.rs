//! The f64 reference engine: parallel over d, and the default where there is no GPU; in f32 if asked for.
//!
//! Same input, same results, bit by bit, however many threads there are and however wide the machine's
//! vectors.

mod basis;
mod bounds;
mod engine;
mod equation;
mod fitting;
mod interface;
mod kernels;
mod lanes;
mod phase;
mod potential;
mod state;
mod sweep;
#[cfg(test)]
mod tests;

pub use engine::CpuEngine;

pub(super) use kernels::copy;
pub(super) use sweep::{CHUNK, sums_over};
