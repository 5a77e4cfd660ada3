//! The compliance of a mesh of bricks on the device: multigrid and conjugate gradients in f32 inside a
//! refinement whose residual is double-word.
//!
//! | file | what is in it |
//! |---|---|
//! | `levels` | the meshes of multigrid on the device: their buffers, their operators and one cycle |
//! | `solve` | conjugate gradients, whose scalars stay on the device, and the refinement around them |
//! | `design` | a design to moduli, and energies to the design's gradient |
//! | `compliance` | designs or densities to compliance and gradient |

mod compliance;
mod design;
mod levels;
mod solve;
#[cfg(test)]
mod tests;

pub use compliance::{DeviceBytes, DeviceCompliance, SolidDevice};
pub(crate) use design::DesignRule;
