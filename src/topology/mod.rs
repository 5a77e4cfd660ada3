//! Topology optimization: the flagship problem and the recipe that solves it.
//!
//! The objective and its parts (structure, mesh, filter, projection, loads) know nothing of engines or
//! surrogates, only [`Objective`](crate::objective::Objective) and the exact solution of a volume constraint;
//! the [`Recipe`] runs a method on them, grid by grid.

mod boundary;
mod compliance;
mod continuation;
mod element;
mod filter;
mod gradient_choice;
mod grid;
mod load_path;
pub(crate) mod memory;
mod mesh;
mod model;
mod multilevel;
mod passive;
mod preset;
mod projection;
mod recipe;
mod shape;
mod sigmoid;
mod stiffness;
mod structure;
mod symmetry;
mod warm_start;

pub use boundary::{Boundary, CaseForces};
pub use compliance::{Compliance, SolveEntry};
pub use continuation::Continuation;
#[cfg(feature = "cli")]
pub(crate) use continuation::warm_start;
pub use element::q4_plane_stress;
pub use filter::{FilterKind, HatFilter};
pub use gradient_choice::GradientChoice;
pub use grid::Grid;
pub use mesh::Mesh;
pub use multilevel::{Levels, coarse_levels, interpolate, prolong};
pub use preset::Preset;
pub use projection::Projection;
pub use recipe::{Level, LoadCaseValue, Recipe, Solution, Spent};
pub use shape::{Axis, Cells, RegionFile, Shape};
pub use sigmoid::SigmoidDesign;
pub use structure::{
    Directions, Force, Load, LoadCase, Material, MeshConfig, PlaneState, Region, RegionKind, Structure,
    Support,
};
pub use symmetry::Symmetry;
#[cfg(feature = "cli")]
pub(crate) use warm_start::WarmStart;
