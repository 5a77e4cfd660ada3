//! The command `lgf init`: writes a commented problem file to begin with.

use std::path::PathBuf;

use crate::cli::ending::{Ending, print};
use crate::error::{Error, Result};
use crate::io;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write; one that exists is left alone
    #[arg(value_name = "PROBLEM.toml", default_value = "problem.toml")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    if args.file.exists() {
        return Err(Error::format(&args.file, "there is such a file already; choose another name"));
    }
    io::write_file(&args.file, io::PROBLEM_TEMPLATE.into())?;
    let shown = args.file.display();
    print(&format!("written: {shown}; change it, then run `lgf topology {shown}`\n"))?;
    Ok(Ending::Done)
}
