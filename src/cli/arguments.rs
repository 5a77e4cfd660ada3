//! Arguments that several commands have.

use crate::engine::gpu::AdapterChoice;
use crate::engine::{EngineChoice, EngineOptions, Opened};
use crate::error::{Error, Result};
use crate::topology::GradientChoice;

/// Parses a grid's size: `150x50` becomes (150, 50). Both numbers are at least 1.
pub(super) fn parse_size(text: &str) -> std::result::Result<(u32, u32), String> {
    let parts: Vec<_> = text.split(['x', 'X', '×']).map(str::parse).collect();
    match parts[..] {
        [Ok(nelx), Ok(nely)] if nelx > 0 && nely > 0 => Ok((nelx, nely)),
        _ => Err("expected COLUMNSxROWS, both at least 1, e.g. 150x50".into()),
    }
}

/// The numbers of elements along each axis, two or three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elements(pub Vec<u32>);

/// Parses the size of a mesh in two or three dimensions: `150x50` or `48x24x24`. All numbers are at least 1.
pub(super) fn parse_elements(text: &str) -> std::result::Result<Elements, String> {
    let parts: std::result::Result<Vec<u32>, _> = text.split(['x', 'X', '×']).map(str::parse).collect();
    match parts {
        Ok(parts) if (2..=3).contains(&parts.len()) && parts.iter().all(|n| *n > 0) => Ok(Elements(parts)),
        _ => {
            Err("expected COLUMNSxROWS or COLUMNSxROWSxLAYERS, all at least 1, e.g. 150x50 or 48x24x24"
                .into())
        }
    }
}

/// Parses a count: `1e7` or `10000000` becomes 10000000. It is at most `most`.
pub(super) fn parse_count(text: &str, most: f64) -> std::result::Result<u64, String> {
    match text.trim().parse::<f64>() {
        Ok(count) if (1.0..=most).contains(&count) && count.fract() == 0.0 => Ok(count as u64),
        _ => Err(format!("expected a whole number between 1 and {most:e}")),
    }
}

/// The values of the `--engine` flag.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(super) enum EngineFlag {
    /// A hardware GPU if there is one, else the CPU
    #[default]
    Auto,
    /// The best GPU adapter, software ones included
    Gpu,
    /// The CPU engine in f64, the reference
    Cpu,
    /// The CPU engine with state, history and tables in f32: half the memory, and its passes take half the
    /// time or less
    CpuF32,
}

/// The values of the `--gradient` flag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum GradientFlag {
    /// The GPU where a hardware one is taken for the engine, the structure is in 3D and it fits; else the CPU
    #[default]
    Auto,
    /// The CPU, in f64
    Cpu,
    /// The GPU, software adapters included; 3D
    Gpu,
}

impl From<GradientFlag> for GradientChoice {
    fn from(flag: GradientFlag) -> Self {
        match flag {
            GradientFlag::Auto => Self::Auto,
            GradientFlag::Cpu => Self::Cpu,
            GradientFlag::Gpu => Self::Gpu,
        }
    }
}

/// The values of the `--tables` flag.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(super) enum TablesFlag {
    /// As the state is: f32 on a GPU, f64 or f32 on the CPU
    #[default]
    State,
    /// Half precision: less memory, fewer bytes per surrogate step, predictions off by some 2e-4 of their
    /// length
    F16,
}

impl EngineArgs {
    /// The engine that is asked for.
    pub(super) fn open(&self) -> Result<Opened> {
        if self.adapter.is_some() && matches!(self.engine, EngineFlag::Cpu | EngineFlag::CpuF32) {
            return Err(Error::only_with("--adapter", "--engine auto and gpu"));
        }
        EngineChoice::from(self.engine).open_with(&self.options())
    }

    pub(super) fn options(&self) -> EngineOptions {
        // The usual folder for caches; without one, compiled pipelines are not kept.
        EngineOptions {
            adapter: self.adapter.clone(),
            tables: self.tables.into(),
            pipeline_cache: dirs::cache_dir().map(|folder| folder.join("lgf")),
        }
    }
}

impl From<TablesFlag> for crate::engine::TableFormat {
    fn from(flag: TablesFlag) -> Self {
        match flag {
            TablesFlag::State => Self::State,
            TablesFlag::F16 => Self::F16,
        }
    }
}

/// Which engine, and how.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct EngineArgs {
    /// Where state, history and surrogate live; true gradients are computed on the CPU, unless a command has
    /// --gradient
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) engine: EngineFlag,
    /// What the surrogate's basis is kept in, which every surrogate step reads
    #[arg(long, value_enum, default_value = "state")]
    pub(super) tables: TablesFlag,
    /// The GPU adapter to take: its index in `lgf info`, or a part of its name [default: the best one]
    #[arg(long, value_name = "INDEX|NAME")]
    pub(super) adapter: Option<AdapterChoice>,
}

impl From<EngineFlag> for EngineChoice {
    fn from(flag: EngineFlag) -> Self {
        match flag {
            EngineFlag::Auto => Self::Auto,
            EngineFlag::Gpu => Self::Gpu,
            EngineFlag::Cpu => Self::Cpu,
            EngineFlag::CpuF32 => Self::CpuSingle,
        }
    }
}
