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

/// The fewest unknowns of a run that [`EngineChoice::Auto`] gives to a GPU. Measured: with 10⁵ unknowns a
/// data centre's GPU takes as long for a refit as 16 threads, and two thirds of their time for a step.
const LEAST_ON_GPU: usize = 50_000;

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
    /// A hardware GPU if there is one that passes its self-test, for runs of 50 000 unknowns and more; else
    /// the CPU in f64, which is faster for fewer: a step there takes a GPU as long as launching its kernels.
    /// A software adapter is not taken: it is slower than the CPU engine.
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
        let tables = options.tables;
        let Some(gpu) = gpu else { return Ok(Opened::only(self.cpu(tables), reason, tables)) };
        let name = gpu.info().adapter;
        let mut opened = Opened::only(Box::new(gpu), reason, tables);
        if self == Self::Auto && options.adapter.is_none() {
            opened.small = Some(Small {
                engine: self.cpu(tables),
                below: LEAST_ON_GPU,
                reason: format!("a run of fewer than {LEAST_ON_GPU} unknowns takes longer on {name}"),
            });
        }
        Ok(opened)
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
/// The CPU engine is then the one for all runs that follow. Opened by [`EngineChoice::Auto`], it takes the
/// CPU engine for small runs.
pub struct Opened {
    engine: Box<dyn Engine>,
    reason: String,
    tables: TableFormat,
    small: Option<Small>,
    /// Whether the run that was started last is a small one.
    is_small: bool,
}

/// The engine for small runs.
struct Small {
    engine: Box<dyn Engine>,
    /// The fewest unknowns that a run has on the other engine.
    below: usize,
    reason: String,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("info", &self.info()).field("reason", &self.reason()).finish()
    }
}

impl Opened {
    /// An engine that was opened elsewhere, and the reason why it was chosen.
    pub fn new(engine: impl Engine + 'static, reason: impl Into<String>) -> Self {
        Self::only(Box::new(engine), reason.into(), TableFormat::State)
    }

    fn only(engine: Box<dyn Engine>, reason: String, tables: TableFormat) -> Self {
        Self { engine, reason, tables, small: None, is_small: false }
    }

    /// The reason why the engine of the run that was started last was chosen: a clause, and the fault where
    /// another engine has failed. Before the first run, that of the engine for large runs.
    pub fn reason(&self) -> &str {
        self.small.as_ref().filter(|_| self.is_small).map_or(&self.reason, |small| &small.reason)
    }

    /// The fewest unknowns of a run on the engine that [`info`](Engine::info) tells of before the first run;
    /// runs of fewer are on the CPU engine. None where all runs are on one engine.
    pub fn least_unknowns(&self) -> Option<usize> {
        self.small.as_ref().map(|small| small.below)
    }

    /// Chooses the engine of a run.
    fn choose(&mut self, unknowns: usize) {
        self.is_small = self.small.as_ref().is_some_and(|small| unknowns < small.below);
    }

    fn current(&self) -> &dyn Engine {
        self.small.as_ref().filter(|_| self.is_small).map_or(&*self.engine, |small| &*small.engine)
    }

    fn current_mut(&mut self) -> &mut dyn Engine {
        match &mut self.small {
            Some(small) if self.is_small => &mut *small.engine,
            _ => &mut *self.engine,
        }
    }

    fn replace(&mut self, fault: &Error) -> bool {
        if self.info().kind == EngineKind::Cpu {
            return false;
        }
        self.reason = format!("{}; then {fault}", self.reason);
        self.engine = Box::new(CpuEngine::new().with_tables(self.tables));
        (self.small, self.is_small) = (None, false);
        true
    }
}

forward_engine!([] Opened, self => self.current(), self.current_mut(),
    before(_call) Ok::<(), Error>(()), start(setup) self.choose(setup.start.len()),
    fall_back(fault) self.replace(fault));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Domain;
    use crate::engine::interface::{NumberFormat, Samples};
    use crate::flow::{Flow, GradientDescent};

    /// Two engines that their number formats tell apart stand for a GPU and for the CPU.
    #[test]
    fn small_runs_have_an_engine_of_their_own() {
        let mut opened = Opened::new(CpuEngine::single(), "large");
        opened.small = Some(Small { engine: Box::new(CpuEngine::new()), below: 3, reason: "small".into() });
        assert_eq!((opened.least_unknowns(), opened.reason()), (Some(3), "large"));
        for (start, format, reason) in [
            (&[1.0, 2.0][..], NumberFormat::F64, "small"),
            (&[1.0, 2.0, 3.0], NumberFormat::F32, "large"),
            (&[1.0], NumberFormat::F64, "small"),
        ] {
            opened
                .start(Setup {
                    flow: Flow::GradientDescent(GradientDescent { rate: 0.1 }),
                    domain: &Domain::Unbounded,
                    start,
                    capacity: 2,
                    samples: Samples::Points,
                    directions: None,
                })
                .unwrap();
            assert_eq!((opened.info().state, opened.reason()), (format, reason));
            let mut x = vec![0.0; start.len()];
            opened.read(&mut x).unwrap();
            assert_eq!(x, start);
        }
    }
}
