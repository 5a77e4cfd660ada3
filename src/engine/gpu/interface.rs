//! The GPU engine's side of the [`Engine`] trait: every method hands over to one of the engine's own.

use super::engine::GpuEngine;
use super::waiting::Poller;
use crate::engine::interface::{
    Engine, EngineInfo, EngineKind, Fit, GradientSummary, Landing, NumberFormat, Pair, PhaseLimits, Sealed,
    Setup, StepComparison, Traffic, TrustLimits,
};
use crate::engine::protocol::Protocol;
use crate::error::{Error, Result};
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{RegressionProblem, SurrogateConfig};

impl Sealed for GpuEngine {}

impl Engine for GpuEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            kind: EngineKind::Gpu,
            adapter: self.recorder.gpu.name(),
            state: NumberFormat::F32,
            precision: self.recorder.variant.tables.describe(self.recorder.variant.eft.describe()),
            software: self.recorder.gpu.is_software(),
        }
    }

    fn start(&mut self, setup: Setup<'_>) -> Result<()> {
        Protocol::check_start(&setup)?;
        self.begin(setup)
    }

    fn set_gradient(&mut self, gradient: &[f64]) -> Result<GradientSummary> {
        let summary = self.recording()?.set_gradient(gradient)?;
        self.protocol.gradient_was_set();
        Ok(summary)
    }

    fn record(&mut self) -> Result<()> {
        self.protocol.check_points("record")?;
        if let Some(row) = self.recording()?.record() {
            self.protocol.recorded(row);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.protocol.moved();
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

    fn record_pair(&mut self, change: f64, is_kept: bool) -> Result<()> {
        self.protocol.check_pairs("record_pair")?;
        let mut recording = self.recording()?;
        let note = PairNote { remainder: change - recording.run.mirror.slope(), kept: is_kept };
        recording.record_pair(note)
    }

    fn put_pair(&mut self, pair: &Pair) -> Result<()> {
        self.protocol.check_pairs("put_pair")?;
        self.recording()?.put_pair(pair)
    }

    fn pairs(&mut self) -> Result<Vec<Pair>> {
        pollster::block_on(self.polled_by(Poller::Engine).pairs_when_ready())
    }

    fn fit_potential(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        pollster::block_on(self.polled_by(Poller::Engine).fit_potential_when_ready(flat, config))
    }

    fn minimize(&mut self, limits: TrustLimits) -> Result<()> {
        self.protocol.check_minimize()?;
        self.protocol.moved();
        self.recording()?.minimize_potential(limits)
    }

    fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        pollster::block_on(self.polled_by(Poller::Engine).read_when_ready(x))
    }

    fn compare(&mut self, learned: &[f64]) -> Result<StepComparison> {
        let run = self.recording()?.run;
        if learned.len() != run.dimension {
            return Err(Error::length("the learned step", learned.len(), run.dimension));
        }
        Ok(run.mirror.compare(learned))
    }

    fn trust(&mut self, is_best: bool) -> Result<()> {
        self.protocol.check_trust()?;
        self.recording()?.trust(is_best);
        Ok(())
    }

    fn restore(&mut self) -> Result<()> {
        self.protocol.moved();
        self.recording()?.restore();
        Ok(())
    }

    fn best(&mut self, x: &mut [f64], gradient: &mut [f64]) -> Result<()> {
        self.recording()?.run.mirror.best(x, gradient)
    }

    fn regress(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
        pollster::block_on(self.polled_by(Poller::Engine).regress_when_ready(batch))
    }

    fn forget(&mut self) {
        if let Some(run) = &mut self.run {
            run.forget();
        }
        self.protocol.forgot();
    }

    fn samples(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.ring.len())
    }

    fn traffic(&self) -> Traffic {
        self.recorder.traffic
    }
}
