//! The GPU engine's side of the [`Engine`] trait: every method hands over to one of the engine's own.

use super::engine::GpuEngine;
use super::waiting::Poller;
use crate::engine::interface::{
    Engine, EngineInfo, Fit, Landing, Pair, PhaseLimits, Setup, Traffic, TrustLimits,
};
use crate::error::Result;
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{RegressionProblem, SurrogateConfig};

impl Engine for GpuEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            engine: "gpu",
            adapter: self.recorder.gpu.name(),
            precision: self.recorder.variant.tables.describe(self.recorder.variant.eft.describe()),
            software: self.recorder.gpu.is_software(),
        }
    }

    fn start(&mut self, setup: Setup<'_>) -> Result<()> {
        self.begin(setup)
    }

    fn set_gradient(&mut self, gradient: &[f64]) -> Result<()> {
        self.recording()?.set_gradient(gradient)
    }

    fn record(&mut self) -> Result<()> {
        self.recording()?.record()
    }

    fn step(&mut self) -> Result<()> {
        self.recording()?.step()
    }

    fn select(&mut self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection> {
        pollster::block_on(self.polled_by(Poller::Engine).select_when_ready(candidates, folds))
    }

    fn fit(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        pollster::block_on(self.polled_by(Poller::Engine).fit_when_ready(config))
    }

    fn integrate(&mut self, limits: PhaseLimits) -> Result<()> {
        pollster::block_on(self.polled_by(Poller::Engine).integrate_when_ready(limits))
    }

    fn record_pair(&mut self, note: PairNote) -> Result<()> {
        self.recording()?.record_pair(note)
    }

    fn put_pair(&mut self, pair: &Pair) -> Result<()> {
        self.recording()?.put_pair(pair)
    }

    fn pairs(&mut self) -> Result<Vec<Pair>> {
        pollster::block_on(self.polled_by(Poller::Engine).pairs_when_ready())
    }

    fn fit_potential(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        pollster::block_on(self.polled_by(Poller::Engine).fit_potential_when_ready(flat, config))
    }

    fn minimize(&mut self, limits: TrustLimits) -> Result<()> {
        self.recording()?.minimize_potential(limits)
    }

    fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        pollster::block_on(self.polled_by(Poller::Engine).read_when_ready(x))
    }

    fn trust(&mut self) -> Result<()> {
        self.recording()?.trust()
    }

    fn restore(&mut self) -> Result<()> {
        self.recording()?.restore()
    }

    fn regress(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
        pollster::block_on(self.polled_by(Poller::Engine).regress_when_ready(batch))
    }

    fn forget(&mut self) {
        if let Some(run) = &mut self.run {
            run.forget();
        }
    }

    fn samples(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.ring.len())
    }

    fn traffic(&self) -> Traffic {
        self.recorder.traffic
    }
}
