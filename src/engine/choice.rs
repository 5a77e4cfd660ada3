//! Which engine a run takes.

use std::path::PathBuf;

use super::cpu::CpuEngine;
use super::gpu::{AdapterChoice, GpuEngine, GpuOptions};
use super::interface::{Engine, TableFormat};
use crate::error::Result;

/// How an engine is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// What the basis is kept in.
    pub tables: TableFormat,
    /// Where a GPU's compiled pipelines are kept: see [`GpuOptions::pipeline_cache`].
    pub pipeline_cache: Option<PathBuf>,
}

/// Which engine to run on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// A hardware GPU if there is one that passes its self-test, else the CPU: a software adapter is slower
    /// than the CPU engine.
    #[default]
    Auto,
    /// The best adapter there is, software included.
    Gpu,
    /// The f64 reference.
    Cpu,
    /// The CPU engine in f32: half the memory, and its passes take half the time or less.
    CpuSingle,
}

impl EngineChoice {
    /// Opens the engine and says, in a sentence, why this one.
    ///
    /// # Errors
    /// [`EngineError::NoAdapter`](crate::error::EngineError::NoAdapter) and device errors for
    /// [`EngineChoice::Gpu`]; the others fall back on the CPU.
    pub fn open(self) -> Result<(Box<dyn Engine>, String)> {
        self.open_with(&EngineOptions::default())
    }

    /// Opens the engine, with options, and says, in a sentence, why this one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(self, options: &EngineOptions) -> Result<(Box<dyn Engine>, String)> {
        let (gpu, reason) = self.open_gpu(options)?;
        Ok((gpu.map_or_else(|| self.cpu(options.tables), |gpu| Box::new(gpu)), reason))
    }

    /// The CPU engine that this choice comes to where there is no GPU.
    pub(crate) fn cpu(self, tables: TableFormat) -> Box<dyn Engine> {
        match self {
            Self::CpuSingle => Box::new(CpuEngine::single().with_tables(tables)),
            Self::Auto | Self::Gpu | Self::Cpu => Box::new(CpuEngine::new().with_tables(tables)),
        }
    }

    /// The GPU engine, or none where this choice comes to the CPU engine, and why.
    pub(crate) fn open_gpu(self, options: &EngineOptions) -> Result<(Option<GpuEngine>, String)> {
        let options = GpuOptions {
            tables: options.tables,
            pipeline_cache: options.pipeline_cache.clone(),
            ..GpuOptions::default()
        };
        match self {
            Self::Cpu => Ok((None, "the CPU engine was asked for".into())),
            Self::CpuSingle => Ok((None, "the CPU engine in f32 was asked for".into())),
            Self::Gpu => Ok((
                Some(GpuEngine::open_with(AdapterChoice::Any, options)?),
                "the GPU engine was asked for".into(),
            )),
            Self::Auto => match GpuEngine::open_with(AdapterChoice::Hardware, options) {
                Ok(engine) if engine.has_double_word_sums() => {
                    Ok((Some(engine), "a hardware adapter was found".into()))
                }
                Ok(engine) => {
                    let name = engine.info().adapter;
                    log::warn!("taking the CPU engine: {name} failed the self-test");
                    Ok((None, format!("the hardware adapter {name} failed the self-test")))
                }
                Err(reason) => {
                    log::info!("taking the CPU engine: {reason}");
                    Ok((None, "no usable hardware adapter was found".into()))
                }
            },
        }
    }
}
