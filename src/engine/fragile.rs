//! An engine for tests that fails on demand.

use super::cpu::CpuEngine;
use super::forward::forward_engine;
use super::gpu::GpuEngine;
use super::interface::{
    Engine, EngineInfo, Fit, GradientSummary, Landing, Pair, PhaseLimits, Sealed, Setup, StepComparison,
    Traffic, TrustLimits,
};
use crate::error::{EngineError, Error, Result};
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{RegressionProblem, SurrogateConfig};

/// An engine that is lost at the call number `at` (from 1) of the method `of`, and for good.
#[derive(Debug)]
pub(crate) struct Fragile<E> {
    inner: E,
    of: &'static str,
    at: usize,
    calls: usize,
    lose: fn(&E, &str) -> Result<()>,
}

impl Fragile<CpuEngine> {
    /// The CPU engine, whose calls fail from then on.
    pub(crate) fn new(of: &'static str, at: usize) -> Self {
        let lose =
            |_: &CpuEngine, method: &str| Err(EngineError::Lost(format!("pulled out at {method}")).into());
        Self { inner: CpuEngine::new(), of, at, calls: 0, lose }
    }
}

impl Fragile<GpuEngine> {
    /// A GPU engine, whose device is destroyed just before that call, which has to find out itself.
    pub(crate) fn on(engine: GpuEngine, of: &'static str, at: usize) -> Self {
        let lose = |engine: &GpuEngine, _: &str| {
            engine.device().destroy();
            Ok(())
        };
        Self { inner: engine, of, at, calls: 0, lose }
    }
}

impl<E> Fragile<E> {
    fn call(&mut self, method: &str) -> Result<()> {
        self.calls += usize::from(method == self.of);
        // What was best is in the host's memory, whatever becomes of a device.
        if self.calls < self.at || method == "best" { Ok(()) } else { (self.lose)(&self.inner, method) }
    }
}

forward_engine!(
    [E: Engine] Fragile<E>, self => self.inner, self.inner, before(method) self.call(method),
    fall_back(_fault) false
);
