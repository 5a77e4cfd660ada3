//! Results on disk, in common formats: PNG, SVG, JSON, CSV, NPY, VTI, STL; and problem
//! files. Every file appears whole or not at all.

mod design;
mod field;
mod panels;
mod plot;
mod png;
mod problem;
mod record;
mod region;
pub mod solid;

pub use design::{NamedFile, array_npy, design_files, design_png, field_array, read_design};
pub use field::{Polygon, fields_png, polygons_svg, range};
pub use panels::{
    Landscape, Panel, Profile, Track, convergence_panels_svg, parameters_svg, paths_svg, profiles_svg,
};
pub use plot::{Curve, convergence_svg};
pub use png::density_png;
pub use problem::{PROBLEM_TEMPLATE, parse_problem, read_problem, read_problem_at, write_problem};
pub use record::{csv, npy, prepare, write_all, write_file};
pub(crate) use region::brief;
pub use region::{mask_cells, stl_cells};
