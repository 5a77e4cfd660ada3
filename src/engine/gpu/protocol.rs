//! The GPU engine's side of the [`Engine`] trait.

use super::engine::GpuEngine;
use super::phase::Beside;
use super::regression;
use super::run::{Run, not_started};
use crate::engine::interface::{
    Engine, EngineInfo, Fit, Landing, Pair, PhaseLimits, Setup, Traffic, TrustLimits,
};
use crate::error::{Error, Result};
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
            precision: self.recorder.variant.tables.describe(self.eft.describe()),
            software: self.recorder.gpu.is_software(),
        }
    }

    fn start(&mut self, setup: Setup<'_>) -> Result<()> {
        self.run = None;
        let longest = self.longest_segment(&setup)?;
        self.recorder.reset();
        let run =
            Run::new(&mut self.recorder, setup, self.max_binding, longest).map_err(|error| match error {
                // Which buffer the driver refused says nothing; what would fit does.
                Error::Memory { available: None, .. } => Error::Memory {
                    what: format!(
                        "a run of {} unknowns with a history of {}",
                        setup.start.len(),
                        setup.capacity
                    ),
                    needed: Self::memory(&setup, self.recorder.variant.tables),
                    available: Some(self.recorder.granted()),
                },
                other => other,
            })?;
        self.run = Some(run);
        Ok(())
    }

    fn set_gradient(&mut self, gradient: &[f64]) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        if gradient.len() != run.dimension {
            return Err(Error::Length {
                name: "the gradient",
                found: gradient.len(),
                expected: run.dimension,
            });
        }
        for s in &run.segments {
            let here: Vec<f32> = gradient[s.start..s.start + s.len].iter().map(|g| *g as f32).collect();
            self.recorder.upload(&s.gradient, &here)?;
        }
        run.ring.gradient_was_set();
        Ok(())
    }

    fn record(&mut self) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        if let Some(row) = run.ring.push() {
            for s in &run.segments {
                let offset = row as u64 * s.bytes();
                self.recorder.copy(&s.iterate, 0, &s.iterates, offset, s.bytes());
                self.recorder.copy(&s.gradient, 0, &s.gradients, offset, s.bytes());
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        run.steps += 1;
        run.ring.stepped();
        run.record_step(&mut self.recorder, run.steps, Beside::default())
    }

    fn select(&mut self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection> {
        self.recorder.host_polls = false;
        pollster::block_on(self.select_in_turn(candidates, folds))
    }

    fn fit(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        self.recorder.host_polls = false;
        pollster::block_on(self.fit_in_turn(config))
    }

    fn integrate(&mut self, limits: PhaseLimits) -> Result<()> {
        self.recorder.host_polls = false;
        pollster::block_on(self.integrate_in_turn(limits))
    }

    fn record_pair(&mut self, note: PairNote) -> Result<()> {
        self.run.as_mut().ok_or_else(not_started)?.record_pair(&mut self.recorder, note)
    }

    fn put_pair(&mut self, pair: &Pair) -> Result<()> {
        self.run.as_mut().ok_or_else(not_started)?.put_pair(&mut self.recorder, pair)
    }

    fn pairs(&mut self) -> Result<Vec<Pair>> {
        self.recorder.host_polls = false;
        pollster::block_on(self.run.as_mut().ok_or_else(not_started)?.read_pairs(&mut self.recorder))
    }

    fn fit_potential(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        self.recorder.host_polls = false;
        pollster::block_on(self.fit_potential_in_turn(flat, config))
    }

    fn minimize(&mut self, limits: TrustLimits) -> Result<()> {
        self.run.as_mut().ok_or_else(not_started)?.minimize_potential(&mut self.recorder, limits)
    }

    fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        self.recorder.host_polls = false;
        pollster::block_on(self.read_in_turn(x))
    }

    fn trust(&mut self) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        run.trusted_steps = run.steps;
        for s in &run.segments {
            for (now, saved) in s.state() {
                self.recorder.copy(now, 0, saved, 0, now.bytes);
            }
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        run.steps = run.trusted_steps;
        run.ring.moved();
        for s in &run.segments {
            for (now, saved) in s.state() {
                self.recorder.copy(saved, 0, now, 0, now.bytes);
            }
        }
        Ok(())
    }

    fn regress(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
        self.recorder.host_polls = false;
        pollster::block_on(regression::solve_batch(&mut self.recorder, &mut self.batch, batch))
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
