//! The arguments of `lgf bench`.

use std::path::PathBuf;

use crate::cli::arguments::{Elements, EngineArgs, parse_count, parse_elements};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Numbers of unknowns, separated by commas, each 1 to 1e9 [default: 1e4,1e5,1e6, and on hardware
    /// adapters 1e7,1e8]
    #[arg(long, value_name = "D,...", value_delimiter = ',')]
    #[arg(value_parser = |text: &str| parse_count(text, 1e9))]
    pub dimensions: Option<Vec<u64>>,
    /// Measure the true gradient in 3D on the GPU instead: every pass of a solve, on the meshes of --sizes
    #[arg(long, conflicts_with_all = ["dimensions", "compare", "memory", "without_cpu"])]
    pub fem: bool,
    /// Meshes for --fem, separated by commas
    #[arg(long, value_name = "CxRxL,...", value_delimiter = ',', value_parser = parse_elements)]
    #[arg(default_values = ["32x16x16", "64x32x32"], requires = "fem")]
    pub sizes: Vec<Elements>,
    /// Samples, or pairs, in the history, 2 to 64
    #[arg(long, value_name = "K", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u64).range(2..=64))]
    pub history: u64,
    /// Directions of the reduced space, at least 1 and fewer than samples
    #[arg(long, value_name = "R", default_value_t = 8)]
    pub rank: u64,
    /// Measurements of which the median is taken, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub repeats: u64,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Do not measure the CPU engine beside a GPU
    #[arg(long)]
    pub without_cpu: bool,
    /// Skip sizes that take more memory than this, GiB [default: what is free, for what lies in the main
    /// memory]
    #[arg(long, value_name = "GIB")]
    pub memory: Option<f64>,
    /// An earlier bench.json, with the same history and rank, to compare with
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Folder for bench.md and bench.json
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    pub quiet: bool,
}
