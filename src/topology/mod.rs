//! Topology optimization: the flagship problem. Knows nothing of engines or surrogates, only
//! [`Objective`](crate::objective::Objective) and the exact solution of a volume constraint.

mod compliance;
mod element;
mod filter;
mod grid;
mod load_case;
mod multilevel;
mod passive;
mod projection;
mod sigmoid;
mod stiffness;

pub use compliance::{Compliance, ComplianceConfig};
pub use element::q4_plane_stress;
pub use filter::{FilterKind, HatFilter};
pub use grid::Grid;
pub use load_case::{LoadCase, Preset};
pub use multilevel::{Levels, coarse_levels, interpolate, prolong};
pub use passive::{PassiveRegion, Shape};
pub use projection::Projection;
pub use sigmoid::SigmoidDesign;
