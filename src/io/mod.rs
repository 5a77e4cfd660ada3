//! Results on disk, in formats others read: PNG, SVG, JSON, CSV, NPY. Every file appears whole or not at all.

mod plot;
mod png;
mod record;

pub use plot::{Curve, convergence_svg};
pub use png::density_png;
pub use record::{history_csv, npy, prepare, write_all, write_file};
