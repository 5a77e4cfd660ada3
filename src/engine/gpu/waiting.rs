//! What the engine has to wait for the device for: each once, as a future that polls the device itself or
//! leaves that to the host.

use super::engine::GpuEngine;
use super::regression;
#[cfg(doc)]
use crate::engine::interface::Engine;
use crate::engine::interface::{Fit, Landing, Pair, PhaseLimits};
use crate::engine::{fit, holdout};
use crate::error::{Error, Result};
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{RegressionProblem, SurrogateConfig};

/// The methods of [`Engine`] that wait for the device, as futures for a host whose thread must not block. A
/// future is ready once the device has done what was asked for *and* somebody has polled the
/// [`device`](GpuEngine::device): on native, `device.poll(wgpu::PollType::Poll)` in the host's event loop. (A
/// surrogate phase is only asked for, then
/// [`flush`](GpuEngine::flush)ed, and [`read_async`](GpuEngine::read_async) waits for it, unless its
/// integrator is Dormand–Prince on a state of size d, which looks at every trial step:
/// [`integrate_async`](GpuEngine::integrate_async) is for any.)
///
/// A future that is dropped before it is ready does no harm but to itself: a fit has not been made, and what
/// a read would have told of the steps is lost. A phase has been left in the middle, and its fit with it:
/// after a [`read`](Engine::read), as after any phase, [`restore`](Engine::restore) brings the trusted state
/// back.
impl GpuEngine {
    /// [`Engine::fit`] as a future.
    ///
    /// # Errors
    /// Those of [`Engine::fit`].
    pub async fn fit_async(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        self.polled_by(Poller::Host).fit_when_ready(config).await
    }

    /// [`Engine::integrate`] as a future.
    ///
    /// # Errors
    /// Those of [`Engine::integrate`].
    pub async fn integrate_async(&mut self, limits: PhaseLimits) -> Result<()> {
        self.polled_by(Poller::Host).integrate_when_ready(limits).await
    }

    /// [`Engine::select`] as a future.
    ///
    /// # Errors
    /// Those of [`Engine::select`].
    pub async fn select_async(&mut self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection> {
        self.polled_by(Poller::Host).select_when_ready(candidates, folds).await
    }

    /// [`Engine::regress`] as a future.
    ///
    /// # Errors
    /// Those of [`Engine::regress`].
    pub async fn regress_async(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
        self.polled_by(Poller::Host).regress_when_ready(batch).await
    }

    /// [`Engine::pairs`] as a future.
    ///
    /// # Errors
    /// Those of [`Engine::pairs`].
    pub async fn pairs_async(&mut self) -> Result<Vec<Pair>> {
        self.polled_by(Poller::Host).pairs_when_ready().await
    }

    /// [`Engine::fit_potential`] as a future.
    ///
    /// # Errors
    /// Those of [`Engine::fit_potential`].
    pub async fn fit_potential_async(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        self.polled_by(Poller::Host).fit_potential_when_ready(flat, config).await
    }

    /// [`Engine::read`] as a future.
    ///
    /// # Errors
    /// Those of [`Engine::read`].
    pub async fn read_async(&mut self, x: &mut [f64]) -> Result<Landing> {
        self.polled_by(Poller::Host).read_when_ready(x).await
    }
}

/// Who polls the device while a future waits for a read-back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poller {
    /// The engine itself, which blocks its thread meanwhile.
    Engine,
    /// The host application's event loop.
    Host,
}

impl GpuEngine {
    /// This engine, with the read-backs to come polled by `poller`.
    pub(super) fn polled_by(&mut self, poller: Poller) -> &mut Self {
        self.recorder.host_polls = poller == Poller::Host;
        self
    }

    pub(super) async fn fit_when_ready(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        self.protocol.check_recorded("fit")?;
        let mut recording = self.recording()?;
        let rows = recording.run.ring.rows();
        let fit = fit::fit(&mut recording, config).await?;
        self.protocol.fitted(config, &rows);
        Ok(fit)
    }

    pub(super) async fn integrate_when_ready(&mut self, limits: PhaseLimits) -> Result<()> {
        self.protocol.check_integrate()?;
        self.protocol.moved();
        // A phase that breaks off takes its fit with it.
        let learned = self.protocol.take_learned();
        self.recording()?.integrate(limits).await?;
        self.protocol.learned(learned);
        Ok(())
    }

    pub(super) async fn select_when_ready(
        &mut self,
        candidates: &[SurrogateConfig],
        folds: usize,
    ) -> Result<Selection> {
        let Some(config) = candidates.first() else {
            return Err(Error::invalid("the number of candidates", 0, "at least 1"));
        };
        self.protocol.check_recorded("select")?;
        let mut recording = self.recording()?;
        let grams = recording.read_grams_by_age(config).await?;
        let trials = holdout::Trials::new(candidates, folds, &recording.run.flow, grams)?;
        let solutions = regression::solve_batch(&mut self.recorder, &mut self.batch, &trials.batch()).await?;
        Ok(trials.judge(&solutions))
    }

    pub(super) async fn regress_when_ready(
        &mut self,
        batch: &[RegressionProblem<'_>],
    ) -> Result<Vec<Solution>> {
        regression::solve_batch(&mut self.recorder, &mut self.batch, batch).await
    }

    pub(super) async fn pairs_when_ready(&mut self) -> Result<Vec<Pair>> {
        self.protocol.check_pairs("pairs")?;
        self.recording()?.read_pairs().await
    }

    pub(super) async fn fit_potential_when_ready(
        &mut self,
        flat: f64,
        config: PotentialConfig,
    ) -> Result<Fit> {
        self.protocol.check_pairs("fit_potential")?;
        let fit = self.recording()?.fit_potential(flat, config).await?;
        self.protocol.fitted_potential();
        Ok(fit)
    }

    pub(super) async fn read_when_ready(&mut self, x: &mut [f64]) -> Result<Landing> {
        let landing = self.recording()?.read(x).await?;
        self.protocol.was_read();
        Ok(landing)
    }
}
