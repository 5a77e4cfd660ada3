//! An engine for tests that fails on demand.

use super::cpu::CpuEngine;
use super::forward::forward_engine;
use super::interface::{
    Engine, EngineInfo, Fit, GradientSummary, Landing, Pair, PhaseLimits, Sealed, Setup, StepComparison,
    Traffic, TrustLimits,
};
use crate::error::{EngineError, Error, Result};
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{RegressionProblem, SurrogateConfig};

/// The CPU engine, which is lost at the call number `at` (from 1) of the method `of`, and for good.
#[derive(Debug)]
pub(crate) struct Fragile {
    inner: CpuEngine,
    of: &'static str,
    at: usize,
    calls: usize,
}

impl Fragile {
    pub(crate) fn new(of: &'static str, at: usize) -> Self {
        Self { inner: CpuEngine::new(), of, at, calls: 0 }
    }

    fn call(&mut self, method: &str) -> Result<()> {
        self.calls += usize::from(method == self.of);
        // What was best is in the host's memory, whatever becomes of a device.
        if self.calls < self.at || method == "best" {
            return Ok(());
        }
        Err(EngineError::Lost(format!("pulled out at {method}")).into())
    }
}

forward_engine!([] Fragile, self => self.inner, before(method) self.call(method), fall_back(_fault) false);
