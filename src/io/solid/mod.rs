//! Designs in space: the surface of a density, files that other programs read, and a shaded picture.

mod boundary;
mod markers;
mod raster;
mod render;
mod stl;
mod surface;
mod tetrahedra;
mod voxelise;
mod vti;

pub use boundary::{Boundary, boundary};
pub use render::{Scene, render};
pub use stl::{read_stl, write_ply, write_stl};
pub use surface::Surface;
pub use voxelise::voxelise;
pub use vti::{Field, image_data};
