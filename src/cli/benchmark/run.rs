//! Which benchmark is run.

use clap::Subcommand;

use super::{functions, topology};
use crate::cli::ending::Ending;
use crate::error::Result;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Args {
    #[command(subcommand)]
    which: Option<Which>,
    #[command(flatten)]
    topology: topology::Args,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Structures: the benchmark without a subcommand
    Topology(Box<topology::Args>),
    /// Smooth functions without bounds and on a box
    Functions(functions::Args),
}

pub(in crate::cli) fn run(args: &Args) -> Result<Ending> {
    match &args.which {
        None => topology::run(&args.topology),
        Some(Which::Topology(args)) => topology::run(args),
        Some(Which::Functions(args)) => functions::run(args),
    }
}
