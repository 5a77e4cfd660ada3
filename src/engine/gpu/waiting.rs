//! What the engine has to wait for the device for, as futures.

use ndarray::Array2;

use super::engine::GpuEngine;
use super::kernels::PhaseState;
use super::regression;
use super::run::{Model, not_started};
use crate::engine::fit::FitPlan;
use crate::engine::holdout;
#[cfg(doc)]
use crate::engine::interface::Engine;
use crate::engine::interface::{Fit, Landing, Pair, PhaseEnd, PhaseLimits};
use crate::error::{Error, Result};
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{Integrator, Lift, RegressionProblem, SpaceConfig, SurrogateConfig};

/// What waits for the device, as futures for a host that waits for nothing. They are ready once what was
/// asked for is done *and* somebody has polled the [`device`](GpuEngine::device): on native,
/// `device.poll(wgpu::PollType::Poll)` in the host's event loop. (A surrogate phase is only asked for, then
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
    /// As there.
    pub async fn fit_async(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        self.recorder.host_polls = true;
        self.fit_in_turn(config).await
    }

    /// [`Engine::integrate`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn integrate_async(&mut self, limits: PhaseLimits) -> Result<()> {
        self.recorder.host_polls = true;
        self.integrate_in_turn(limits).await
    }

    /// [`Engine::select`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn select_async(&mut self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection> {
        self.recorder.host_polls = true;
        self.select_in_turn(candidates, folds).await
    }

    /// [`Engine::regress`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn regress_async(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
        self.recorder.host_polls = true;
        regression::solve_batch(&mut self.recorder, &mut self.batch, batch).await
    }

    /// [`Engine::pairs`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn pairs_async(&mut self) -> Result<Vec<Pair>> {
        self.recorder.host_polls = true;
        self.run.as_mut().ok_or_else(not_started)?.read_pairs(&mut self.recorder).await
    }

    /// [`Engine::fit_potential`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn fit_potential_async(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        self.recorder.host_polls = true;
        self.fit_potential_in_turn(flat, config).await
    }

    /// [`Engine::read`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn read_async(&mut self, x: &mut [f64]) -> Result<Landing> {
        self.recorder.host_polls = true;
        self.read_in_turn(x).await
    }

    pub(super) async fn fit_in_turn(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let rows = run.ring.rows();
        if rows.is_empty() {
            return Err(Error::invalid("the number of recorded samples", 0, "at least 1"));
        }
        let empty = || Array2::zeros((0, 0));
        let steps = run.flow.rate().and_then(|h| run.ring.displacements(h));
        let (plan, yy, radius) = match config.space {
            SpaceConfig::Full => {
                let (x, g) = run.read_samples(&mut self.recorder, &rows).await?;
                let targets =
                    ndarray::Zip::from(&g).and(&x).map_collect(|g, x| config.transform.encode(*g, *x));
                if config.lift == Lift::Snapshots {
                    run.record_encoding(&mut self.recorder, config)?;
                }
                let plan = FitPlan::full(
                    config,
                    &run.flow,
                    x.view(),
                    targets.view(),
                    steps.as_ref().map(|c| c.view()),
                )?;
                let mean = x.mean_axis(ndarray::Axis(0)).unwrap_or_default();
                let radius = x
                    .rows()
                    .into_iter()
                    .map(|row| (&row - &mean).mapv(|v| v * v).sum().sqrt())
                    .fold(0.0, f64::max);
                self.recorder.ensure(&mut run.shared.totals, "totals", 8 * (run.dimension as u64 + 1))?;
                (
                    plan,
                    if config.lift == Lift::Snapshots { targets.dot(&targets.t()) } else { empty() },
                    radius,
                )
            }
            SpaceConfig::Reduced { .. } => {
                let grams = run.read_grams_by_age(&mut self.recorder, config, self.eft).await?;
                let plan = FitPlan::reduced(config, &run.flow, &grams, steps.as_ref().map(|c| c.view()))?;
                let radius = plan.space.as_ref().map_or(0.0, |s| s.radius);
                (plan, grams.yy, radius)
            }
            SpaceConfig::Implicit => return run.fit_implicit(&mut self.recorder, config, self.eft).await,
        };
        let ridge = run.record_fit(&mut self.recorder, config, &plan, &rows)?;
        let fit = Fit {
            samples: rows.len(),
            rank: plan.coordinates.ncols(),
            energy: plan.space.as_ref().map_or(1.0, |s| s.energy),
            features: plan.library.len(),
            ridge,
        };
        run.model = Some(Model {
            config: *config,
            plan: Some(plan),
            samples: rows.len(),
            yy,
            radius,
            reported: false,
        });
        Ok(fit)
    }

    pub(super) async fn integrate_in_turn(&mut self, limits: PhaseLimits) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let Some(model) = run.model.take() else {
            return Err(Error::Incompatible("integrate() comes after fit()".into()));
        };
        run.ring.moved();
        match (run.flow.rate(), &model.plan, limits.integrator) {
            (Some(h), Some(plan), _)
                if run.flow.is_driven_by_velocity() && model.config.lift == Lift::Trajectory =>
            {
                run.record_reduced(&mut self.recorder, &model, plan, limits, h)?
            }
            (_, _, Integrator::FlowStep) => run.integrate_flow(&mut self.recorder, &model, limits)?,
            (rate, ..) => {
                run.integrate_equation(&mut self.recorder, &model, limits, rate.unwrap_or(0.0)).await?
            }
        }
        run.model = Some(model);
        Ok(())
    }

    pub(super) async fn select_in_turn(
        &mut self,
        candidates: &[SurrogateConfig],
        folds: usize,
    ) -> Result<Selection> {
        let Some(config) = candidates.first() else {
            return Err(Error::invalid("the number of candidates", 0, "at least 1"));
        };
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let grams = run.read_grams_by_age(&mut self.recorder, config, self.eft).await?;
        let trials = holdout::Trials::new(candidates, folds, &run.flow, grams)?;
        let solutions = regression::solve_batch(&mut self.recorder, &mut self.batch, &trials.batch()).await?;
        Ok(trials.judge(&solutions))
    }

    pub(super) async fn fit_potential_in_turn(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        self.run
            .as_mut()
            .ok_or_else(not_started)?
            .fit_potential(&mut self.recorder, self.eft, flat, config)
            .await
    }

    pub(super) async fn read_in_turn(&mut self, x: &mut [f64]) -> Result<Landing> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        if x.len() != run.dimension {
            return Err(Error::Length { name: "the iterate", found: x.len(), expected: run.dimension });
        }
        let recorder = &mut self.recorder;
        let unreported = run.model.as_mut().filter(|m| !m.reported);
        let head = size_of::<PhaseState>();
        let predicted =
            unreported.as_ref().and_then(|m| m.plan.as_ref()).map_or(0, |plan| plan.targets.len());
        let total = (head + 4 * predicted + 4 * run.dimension) as u64;
        recorder.ensure_staging(&mut run.shared.staging, total)?;
        let staging = &run.shared.staging;
        recorder.copy(&run.shared.phase, 0, staging, 0, head as u64);
        if predicted > 0 {
            recorder.copy(&run.shared.regression.predictions, 0, staging, head as u64, 4 * predicted as u64);
        }
        for s in &run.segments {
            recorder.copy(&s.iterate, 0, staging, (head + 4 * predicted + 4 * s.start) as u64, s.bytes());
        }
        recorder.clear(&run.shared.phase);
        let data = recorder.read_async(staging, total).await?;
        let phase: PhaseState = bytemuck::pod_read_unaligned(&data[..head]);
        let (predictions, iterate) = data[head..].split_at(4 * predicted);
        if let Some(model) = unreported
            && let Some(plan) = &model.plan
        {
            model.reported = true;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(predictions);
            let (samples, outputs) = plan.targets.dim();
            // Columns of a snapshot lift are numbered by row on the device and by age in the plan.
            let rows =
                if model.config.lift == Lift::Snapshots { run.ring.rows() } else { (0..outputs).collect() };
            let predictions =
                Array2::from_shape_fn((samples, outputs), |(i, j)| f64::from(values[i * outputs + rows[j]]));
            run.fit_residual = Some(plan.residual(predictions.view(), &model.config, model.yy.view()));
        }
        for (value, bytes) in x.iter_mut().zip(iterate.chunks_exact(4)) {
            *value = f64::from(f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        }
        run.steps += u64::from(phase.steps);
        let predicted_change = f64::from(phase.predicted[0]) + f64::from(phase.predicted[1]);
        let end = match phase.ended {
            _ if !predicted_change.is_finite() => PhaseEnd::NonFinite,
            0 => PhaseEnd::Horizon,
            1 => PhaseEnd::Radius,
            3 => PhaseEnd::Minimum,
            _ => PhaseEnd::NonFinite,
        };
        Ok(Landing { steps: phase.steps as usize, end, predicted_change, fit_residual: run.fit_residual })
    }
}
