//! Results on disk, in common formats: PNG, SVG, JSON, CSV, NPY. Every file appears whole or not at all.

mod field;
mod panels;
mod plot;
mod png;
mod record;

pub use field::{Polygon, fields_png, polygons_svg, range};
pub use panels::{
    Landscape, Panel, Profile, Track, convergence_panels_svg, parameters_svg, paths_svg, profiles_svg,
};
pub use plot::{Curve, convergence_svg};
pub use png::density_png;
pub use record::{csv, npy, prepare, write_all, write_file};
