//! `lgf topology`.

mod args;
mod run;
mod summary;

pub(super) use args::{Args, PresetFlag};
pub(super) use run::{Label, ending, run, solve};
pub(super) use summary::before;
