//! The choice of the engine that a run takes.

use std::path::PathBuf;

use super::cpu::CpuEngine;
use super::forward::forward_engine;
use super::gpu::{AdapterChoice, GpuEngine, GpuOptions};
use super::interface::{
    Engine, EngineInfo, EngineKind, Fit, GradientSummary, Landing, Pair, PhaseLimits, Sealed, Setup,
    StepComparison, TableFormat, Traffic, TrustLimits,
};
use crate::error::{Error, Result};
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{RegressionProblem, SurrogateConfig};

/// How an engine is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// The adapter that a GPU engine takes instead of the best one. [`EngineChoice::Auto`] then takes it too,
    /// and fails where there is no such adapter.
    pub adapter: Option<AdapterChoice>,
    /// The number format that the basis is kept in.
    pub tables: TableFormat,
    /// Where a GPU's compiled pipelines are kept: see [`GpuOptions::pipeline_cache`].
    pub pipeline_cache: Option<PathBuf>,
}

/// Which engine to run on.
/// ```
/// use lgf::Lgf;
/// use lgf::engine::{Engine, EngineChoice, EngineKind};
/// use lgf::problems::Rosenbrock;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut opened = EngineChoice::Cpu.open()?;
/// assert_eq!(opened.info().kind, EngineKind::Cpu);
/// assert_eq!(opened.reason(), "the CPU engine was asked for");
/// let report = Lgf::potential().on(&mut opened).minimize(Rosenbrock { dimension: 2 }, &[-1.2, 1.0])?;
/// assert_eq!(report.engine, opened.info());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// A hardware GPU if there is one that passes its self-test, else the CPU. A software adapter is not
    /// taken: it is slower than the CPU engine.
    #[default]
    Auto,
    /// The best adapter there is; software adapters count.
    Gpu,
    /// The CPU engine in f64, the reference.
    Cpu,
    /// The CPU engine in f32: half the memory, and its passes take half the time or less.
    CpuSingle,
}

impl EngineChoice {
    /// Opens the engine.
    ///
    /// # Errors
    /// [`EngineError::NoAdapter`](crate::error::EngineError::NoAdapter) and device errors for
    /// [`EngineChoice::Gpu`]; the others fall back on the CPU.
    pub fn open(self) -> Result<Opened> {
        self.open_with(&EngineOptions::default())
    }

    /// Opens the engine with `options`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(self, options: &EngineOptions) -> Result<Opened> {
        let (gpu, reason) = self.open_gpu(options)?;
        let engine = gpu.map_or_else(|| self.cpu(options.tables), |gpu| Box::new(gpu) as Box<dyn Engine>);
        Ok(Opened { engine, reason, tables: options.tables })
    }

    /// The CPU engine that this choice leads to where there is no GPU.
    pub(crate) fn cpu(self, tables: TableFormat) -> Box<dyn Engine> {
        match self {
            Self::CpuSingle => Box::new(CpuEngine::single().with_tables(tables)),
            Self::Auto | Self::Gpu | Self::Cpu => Box::new(CpuEngine::new().with_tables(tables)),
        }
    }

    /// The GPU engine, or none where this choice leads to the CPU engine; with the reason.
    pub(crate) fn open_gpu(self, options: &EngineOptions) -> Result<(Option<GpuEngine>, String)> {
        let adapter = options.adapter.clone();
        let options = GpuOptions {
            tables: options.tables,
            pipeline_cache: options.pipeline_cache.clone(),
            ..GpuOptions::default()
        };
        match (self, adapter) {
            (Self::Cpu, _) => Ok((None, "the CPU engine was asked for".into())),
            (Self::CpuSingle, _) => Ok((None, "the CPU engine in f32 was asked for".into())),
            (Self::Gpu, adapter) => Ok((
                Some(GpuEngine::open_with(adapter.unwrap_or(AdapterChoice::Any), options)?),
                "the GPU engine was asked for".into(),
            )),
            (Self::Auto, Some(adapter)) => {
                Ok((Some(GpuEngine::open_with(adapter, options)?), "its adapter was asked for".into()))
            }
            (Self::Auto, None) => match GpuEngine::open_with(AdapterChoice::Hardware, options) {
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

/// An open engine, and the reason why it was chosen. It is an engine itself: where its GPU is lost, a run on
/// it goes on from the best iterate on the CPU engine, and where its GPU refuses a run, the run begins there.
/// The CPU engine is then the one for all runs that follow.
pub struct Opened {
    engine: Box<dyn Engine>,
    reason: String,
    tables: TableFormat,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("info", &self.info()).field("reason", &self.reason).finish()
    }
}

impl Opened {
    /// An engine that was opened elsewhere, and the reason why it was chosen.
    pub fn new(engine: impl Engine + 'static, reason: impl Into<String>) -> Self {
        Self { engine: Box::new(engine), reason: reason.into(), tables: TableFormat::State }
    }

    /// The reason why this engine was chosen: a clause, and the fault where another engine has failed.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    fn replace(&mut self, fault: &Error) -> bool {
        if self.info().kind == EngineKind::Cpu {
            return false;
        }
        self.reason = format!("{}; then {fault}", self.reason);
        self.engine = Box::new(CpuEngine::new().with_tables(self.tables));
        true
    }
}

forward_engine!([] Opened, self => self.engine, before(_call) Ok::<(), Error>(()),
    fall_back(fault) self.replace(fault));
