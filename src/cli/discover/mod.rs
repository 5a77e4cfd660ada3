//! The command `lgf discover`: finds differential equations in recorded trajectories.

mod args;
mod reading;
mod run;
mod summary;
mod watcher;

pub(super) use args::Args;
pub(super) use run::run;
