//! The f32 engine on wgpu; the only place that names wgpu types.
//!
//! x, g, the history and the learned model live in segments of consecutive unknowns, each segment in buffers
//! of its own, small enough for the adapter's binding limit. A workgroup works on a *slab* of unknowns inside
//! a segment; sums over d are double-word partial sums per slab, added up in a fixed tree. Slabs depend on d
//! and K, so the result does not depend on how the unknowns are segmented, unless segments are shorter than a
//! slab.
//!
//! A surrogate step reads its tables once: the pass that moves x lifts the gradient on its way and projects
//! the new x for the next prediction. Per unknown that is 4 r + 28 bytes for ADAM with a table that is the
//! basis, 4 r + 4 K + 28 with the snapshots, and 2 r instead of 4 r where the basis is in halves; directions
//! beyond eight, which no thread can hold, are projected on by a pass of their own, for 4 (r − 8) + 8 more
//! where the basis is the table and 8 where it is not. Where unknowns depend on each other (optimality
//! criteria, the projected gradient), the multiplier's passes lie between lift and projection.
//!
//! Watchdogs: where the device has timestamps, the inner products of a large run are timed on a scratch table
//! when it starts, and segments are short enough for dispatches of 50 ms (never shorter than 64 slabs, below
//! which a dispatch does not get faster); what the submissions between two read-backs took decides how much
//! goes into the next ones, so that they stay below 200 ms. Without timestamps segments are as long as
//! bindings allow ([`GpuOptions::max_binding`]) and a submission touches at most 4 GiB. Software adapters
//! have no watchdog, and their segments are not shortened. None of this changes a result.
//!
//! Per cycle the host sends g and numbers of size K², and reads x (once per true evaluation) and the Gram
//! matrices (once per fit; see [`crate::engine`] for the two exceptions).

mod buffers;
mod counts;
mod device;
mod engine;
mod equation;
mod fitting;
mod implicit;
mod interface;
mod kernels;
mod mirror;
mod phase;
mod pipelines;
mod potential;
mod recording;
mod regression;
mod run;
mod search;
mod self_test;
mod shared;
mod solid;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod timing;
mod waiting;

pub use device::{AdapterChoice, AdapterSummary, list_adapters};
pub use engine::{DesignSegment, GpuEngine, GpuOptions};
pub(crate) use solid::DesignRule;
pub use solid::{DeviceBytes, DeviceCompliance, SolidDevice};
pub use timing::{Clock, KernelTime};
