//! Topology optimization: the flagship problem and the recipe that solves it.
//!
//! The objective and its parts (grid, filter, projection, loads) know nothing of engines or surrogates, only
//! [`Objective`](crate::objective::Objective) and the exact solution of a volume constraint; the [`Recipe`]
//! runs a method on them, grid by grid.

mod compliance;
mod continuation;
mod element;
mod filter;
mod grid;
mod load_case;
mod load_path;
mod multilevel;
mod passive;
mod projection;
mod recipe;
mod sigmoid;
mod stiffness;
mod symmetry;

pub use compliance::{Compliance, ComplianceConfig};
pub use continuation::Continuation;
#[cfg(feature = "cli")]
pub(crate) use continuation::{WarmStart, warm_start};
pub use element::q4_plane_stress;
pub use filter::{FilterKind, HatFilter};
pub use grid::Grid;
pub use load_case::{LoadCase, Preset};
pub use multilevel::{Levels, coarse_levels, interpolate, prolong};
pub use passive::{PassiveRegion, Shape};
pub use projection::Projection;
pub use recipe::{Level, Recipe, Solution, Spent};
pub use sigmoid::SigmoidDesign;
pub use symmetry::Symmetry;
