//! The command `lgf bench` measures what each pass of a cycle costs on this machine.

mod args;
mod memory;
mod passes;
mod report;
mod run;
mod solid;

pub(super) use args::Args;
pub(super) use run::run;
