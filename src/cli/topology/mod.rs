//! The command `lgf topology`: optimizes the layout of a structure for least compliance.

mod args;
mod run;
mod summary;

pub(super) use args::{Args, PresetFlag};
pub(super) use run::{Files, Label, ending, execute, run, solve};
pub(super) use summary::before;
