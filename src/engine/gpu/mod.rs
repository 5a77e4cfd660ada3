//! The f32 engine on wgpu; the only place that names wgpu types.
//!
//! x, g, the history and the learned model live in segments of consecutive unknowns, each segment in buffers
//! of its own, small enough for the adapter's binding limit. A workgroup works on a *slab* of unknowns inside
//! a segment; sums over d are double-word partial sums per slab, added up in a fixed tree. Slabs depend on d
//! and K, so the result does not depend on how the unknowns are segmented, unless segments are shorter than a
//! slab.
//!
//! A surrogate step reads its tables once: the pass that moves x lifts the gradient on its way and projects
//! the new x for the next prediction. Per unknown that is 4 r + 28 bytes for ADAM with a table that is the
//! basis, 4 r + 4 K + 28 with the snapshots, and 2 r instead of 4 r where the basis is in halves; directions
//! beyond eight, which no thread can hold, are projected on by a pass of their own, for 4 (r − 8) + 8 more
//! where the basis is the table and 8 where it is not. Where unknowns depend on each other (optimality
//! criteria, the projected gradient), the multiplier's passes lie between lift and projection.
//!
//! Watchdogs: where the device has timestamps, the inner products of a large run are timed on a scratch table
//! when it starts, and segments are short enough for dispatches of 50 ms (never shorter than 64 slabs, below
//! which a dispatch does not get faster); what the submissions between two read-backs took decides how much
//! goes into the next ones, so that they stay below 200 ms. Without timestamps segments are as long as
//! bindings allow ([`GpuOptions::max_binding`]) and a submission touches at most 4 GiB. Software adapters
//! have no watchdog, and their segments are not shortened. None of this changes a result.
//!
//! Per cycle the host sends g and numbers of size K², and reads x (once per true evaluation) and the Gram
//! matrices (once per fit; see [`crate::engine`] for the two exceptions).

mod device;
mod equation;
mod fitting;
mod implicit;
mod kernels;
mod mirror;
mod phase;
mod pipelines;
mod potential;
mod recording;
mod regression;
mod run;
mod search;
mod self_test;
mod steps;
#[cfg(test)]
mod tests;
mod timing;

pub use device::{AdapterChoice, AdapterSummary, list_adapters};
pub use timing::{Clock, KernelTime};

use std::path::{Path, PathBuf};

use ndarray::Array2;

use self::device::Gpu;
use self::kernels::{Eft, PhaseState, WordsCopy};
use self::phase::Beside;
use self::recording::Recorder;
use self::regression::RegressionBuffers;
use self::run::{Model, Run, not_started};
use crate::engine::fit::FitPlan;
use crate::engine::holdout;
use crate::engine::interface::{
    Engine, EngineInfo, EngineKind, Fit, GradientSummary, Landing, NumberFormat, Pair, PhaseEnd, PhaseLimits,
    Resident, Sealed, Setup, StepComparison, TableFormat, Traffic, TrustLimits,
};
use crate::error::{Error, Result};
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{Integrator, Lift, RegressionProblem, SpaceConfig, SurrogateConfig};

/// Kernels count words in u32, and some back ends cap bindings there.
const MAX_BINDING: u64 = (1 << 31) - 256;
/// Tables below this, bytes, are passed over in far less than 50 ms by any hardware.
const LARGE_TABLE: u64 = 64 << 20;
/// How a GPU engine is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuOptions {
    /// Largest storage binding to use, bytes; `None`: what the adapter allows. Smaller values make more
    /// segments, with the same results down to segments of one slab (at least 1024 unknowns).
    pub max_binding: Option<u64>,
    /// What the basis is kept in.
    pub tables: TableFormat,
    /// A folder of the user's own to keep compiled pipelines in, where the device has `PIPELINE_CACHE`
    /// (Vulkan): the next engine on the same device and driver reads them instead of compiling. It is read
    /// when the engine is opened and written when it is dropped; what goes wrong with it is logged, no error.
    /// `None`: they are not kept, unless the driver does so by itself.
    pub pipeline_cache: Option<PathBuf>,
}

/// Consecutive unknowns of the iterate on the device; see [`GpuEngine::design`].
#[derive(Debug, Clone, Copy)]
pub struct DesignSegment<'a> {
    /// Their f32 values, tightly packed from the beginning.
    pub buffer: &'a wgpu::Buffer,
    /// The first unknown.
    pub start: usize,
    /// How many.
    pub len: usize,
}

/// The engine on a GPU; see the [module](self).
#[derive(Debug)]
pub struct GpuEngine {
    recorder: Recorder,
    eft: Eft,
    max_binding: u64,
    /// For a history of this size, so many unknowns per dispatch: see [`Run::unknowns_per_dispatch`].
    per_dispatch: Option<(usize, usize)>,
    /// For regressions that belong to no fit: kept, so that a selection at every refit allocates nothing.
    batch: RegressionBuffers,
    run: Option<Run>,
}

impl GpuEngine {
    /// Opens the best adapter that `choice` allows.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] and [`Error::Device`].
    pub fn open(choice: AdapterChoice) -> Result<Self> {
        Self::open_with(choice, GpuOptions::default())
    }

    /// Opens the best adapter that `choice` allows, with options.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] and [`Error::Device`].
    pub fn open_with(choice: AdapterChoice, options: GpuOptions) -> Result<Self> {
        Self::new(Gpu::open(choice)?, options)
    }

    /// Shares a host application's device (both are handles, cheap to clone), so that the host can draw the
    /// [`design`](Self::design) where it is.
    ///
    /// Open the device with [`required_limits`](Self::required_limits) and
    /// [`required_features`](Self::required_features) besides what the host itself needs, with this crate's
    /// [`wgpu`]. No handlers are installed on it, nothing is destroyed, and host and engine may submit to the
    /// queue in turns; errors of the engine's own calls are caught in error scopes and returned. Should the
    /// device be lost, the next call that waits for it returns [`Error::DeviceLost`]. With `TIMESTAMP_QUERY`
    /// the size of submissions adapts to the device's speed, and a [`profile`](Self::profile) has the
    /// device's own times.
    ///
    /// # Errors
    /// [`Error::Device`] when the limits are too low, with the ones that are; device errors.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue, options: GpuOptions) -> Result<Self> {
        let mut missing = Vec::new();
        wgpu::Limits::default().check_limits_with_fail_fn(&device.limits(), false, |name, needed, found| {
            missing.push(format!("{name} is {found} of {needed}"))
        });
        if !missing.is_empty() {
            return Err(Error::Device {
                what: "the shared device".into(),
                reason: format!("its limits are too low: {}", missing.join(", ")),
            });
        }
        Self::new(Gpu::from_device(device, queue), options)
    }

    /// The file that compiled pipelines are kept in; none where they are not.
    pub fn pipeline_cache(&self) -> Option<&Path> {
        self.recorder.gpu.pipelines.as_ref().map(|cache| cache.file())
    }

    /// The device: of this engine's own opening, or the one that is shared.
    pub fn device(&self) -> &wgpu::Device {
        &self.recorder.gpu.device
    }

    /// Its queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.recorder.gpu.queue
    }

    /// The iterate where it is, in order and without gaps: x as f32, tightly packed, unknown `start + i` at
    /// byte 4 i of its segment's buffer. Nothing before a run.
    ///
    /// The buffers can be bound as storage and copied from (`STORAGE | COPY_SRC | COPY_DST`); they may be
    /// longer than their segment, by less than 16 bytes. A run keeps them until the next
    /// [`start`](Engine::start), a clone of a handle keeps them beyond. There are several where one binding
    /// cannot hold the *history* of all unknowns: [`GpuOptions::max_binding`] over 4 K + 4 (potential: 8 K +
    /// 4) bytes is a segment's length.
    ///
    /// The contents are the iterate as of the latest [`flush`](Self::flush) or read, for whatever is
    /// submitted to the [`queue`](Self::queue) afterwards. Between two pieces of a
    /// [`Session`](crate::Session) that is the trusted iterate. The host must not write to them.
    pub fn design(&self) -> impl Iterator<Item = DesignSegment<'_>> {
        let segments = self.run.as_ref().map_or(&[][..], |run| &run.segments);
        segments.iter().map(|s| DesignSegment { buffer: &s.iterate.raw, start: s.start, len: s.len })
    }

    /// Submits what has been asked for and not been submitted yet; waits for nothing. One submission, or none
    /// if there is nothing.
    ///
    /// # Errors
    /// Device errors.
    pub fn flush(&mut self) -> Result<()> {
        self.recorder.submit().map(|_| ())
    }

    /// The features a host application should open its device with, given its adapter's. None is needed:
    /// those the engine makes use of where there are any.
    pub fn required_features(adapter: wgpu::Features) -> wgpu::Features {
        device::required_features(adapter)
    }

    /// The limits a host application should open its device with, given its adapter's.
    pub fn required_limits(adapter: &wgpu::Limits) -> wgpu::Limits {
        device::required_limits(adapter)
    }

    /// Bytes of device memory that a run takes, but for the inner products' partial sums (at most 64 MiB or
    /// so) and what is of the samples' number alone: f32, and once x for reading it.
    ///
    /// wgpu cannot tell how much memory a device has free, and no single buffer is larger than the device
    /// allows, so nothing can be refused beforehand: a run that does not fit ends its
    /// [`start`](Engine::start) with [`Error::Memory`], before the first true evaluation, with this number
    /// and what the driver had granted.
    pub fn memory(setup: &Setup<'_>, tables: TableFormat) -> u64 {
        let Resident { vectors, history, basis } = setup.resident();
        (4 * (vectors + history + 1) as u64 + tables.bytes(4) * basis as u64) * setup.start.len() as u64
    }

    /// Where the times of a profile come from.
    pub fn clock(&self) -> Clock {
        if self.recorder.has_timestamps() { Clock::Timestamps } else { Clock::Wall }
    }

    /// Begins or ends measuring how long every kernel takes. The results are the same to the bit; the run is
    /// slower, because every dispatch gets a pass of its own and every submission is waited for.
    ///
    /// # Errors
    /// Device errors.
    pub fn profile(&mut self, on: bool) -> Result<()> {
        self.recorder.profile(on)
    }

    /// What was measured since the last call, kernel by kernel in the order of their first launch; nothing
    /// without [`profile`](Self::profile). Copies between buffers are not kernels and are left out.
    ///
    /// # Errors
    /// Device errors.
    pub fn take_profile(&mut self) -> Result<Vec<KernelTime>> {
        self.recorder.take_profile()
    }

    /// Waits until the device has done everything asked for: for measuring by the host's clock. Reads nothing
    /// back.
    ///
    /// # Errors
    /// Device errors.
    pub fn finish(&mut self) -> Result<()> {
        self.recorder.finish()
    }

    /// The bandwidth that others are measured by: a kernel that copies `bytes` (at most the largest binding)
    /// from one buffer to another, `repeats` times after one for warming up. Gives the bytes copied, so that
    /// twice as many were moved, and the seconds of each.
    ///
    /// # Errors
    /// Device and memory errors.
    pub fn copy_times(&mut self, bytes: u64, repeats: usize) -> Result<(u64, Vec<f64>)> {
        let vectors = (bytes.min(self.max_binding) / 16).max(1);
        let (from, to) = (
            self.recorder.buffer("copy_source", 16 * vectors)?,
            self.recorder.buffer("copy_target", 16 * vectors)?,
        );
        // As in a run: as many slabs, each a workgroup.
        let slab = run::slab_length(vectors as usize, 0) as u32;
        let params = WordsCopy { len: vectors as u32, slab };
        let groups = [vectors.div_ceil(u64::from(slab)) as u32, 1, 1];
        let seconds = (0..=repeats)
            .map(|_| self.recorder.timed(|r| r.dispatch(params, &[&from, &to], groups)))
            .collect::<Result<Vec<f64>>>();
        self.recorder.release(&from);
        self.recorder.release(&to);
        Ok((16 * vectors, seconds?.split_off(1)))
    }

    /// Whether sums over d keep their error terms on this device.
    pub fn has_double_word_sums(&self) -> bool {
        self.eft != Eft::Plain
    }

    /// How many unknowns a segment may have if dispatches are to stay below the watchdogs, measured where it
    /// can matter: large runs on hardware with timestamps.
    fn longest_segment(&mut self, setup: &Setup<'_>) -> Result<Option<usize>> {
        let table = 4 * (setup.start.len() * setup.capacity) as u64;
        if table < LARGE_TABLE || !self.recorder.has_timestamps() || self.recorder.gpu.is_software() {
            return Ok(None);
        }
        if let Some((capacity, unknowns)) = self.per_dispatch
            && capacity == setup.capacity
        {
            return Ok(Some(unknowns));
        }
        let unknowns = Run::unknowns_per_dispatch(&mut self.recorder, setup.capacity)?;
        self.per_dispatch = unknowns.map(|unknowns| (setup.capacity, unknowns));
        Ok(unknowns)
    }

    fn new(mut gpu: Gpu, options: GpuOptions) -> Result<Self> {
        if let Some(folder) = &options.pipeline_cache {
            gpu.keep_pipelines(folder);
        }
        let (mut recorder, eft) = self_test::open(&gpu)?;
        recorder.variant.tables = options.tables;
        let batch = RegressionBuffers::new(&mut recorder)?;
        let limit =
            gpu.limits.max_storage_buffer_binding_size.min(gpu.limits.max_buffer_size).min(MAX_BINDING);
        let max_binding = options.max_binding.map_or(limit, |b| b.min(limit));
        Ok(Self { recorder, eft, max_binding, per_dispatch: None, batch, run: None })
    }
}

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

    async fn fit_in_turn(&mut self, config: &SurrogateConfig) -> Result<Fit> {
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

    async fn integrate_in_turn(&mut self, limits: PhaseLimits) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let Some(model) = run.model.take() else {
            return Err(Error::Incompatible("integrate() comes after fit()".into()));
        };
        run.ring.moved();
        run.mirror.moved();
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

    async fn select_in_turn(&mut self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection> {
        let Some(config) = candidates.first() else {
            return Err(Error::invalid("the number of candidates", 0, "at least 1"));
        };
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let grams = run.read_grams_by_age(&mut self.recorder, config, self.eft).await?;
        let trials = holdout::Trials::new(candidates, folds, &run.flow, grams)?;
        let solutions = regression::solve_batch(&mut self.recorder, &mut self.batch, &trials.batch()).await?;
        Ok(trials.judge(&solutions))
    }

    async fn fit_potential_in_turn(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        self.run
            .as_mut()
            .ok_or_else(not_started)?
            .fit_potential(&mut self.recorder, self.eft, flat, config)
            .await
    }

    async fn read_in_turn(&mut self, x: &mut [f64]) -> Result<Landing> {
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
        let (change, is_finite) = run.mirror.read(iterate, x);
        run.steps += u64::from(phase.steps);
        let predicted_change = f64::from(phase.predicted[0]) + f64::from(phase.predicted[1]);
        let end = match phase.ended {
            _ if !predicted_change.is_finite() => PhaseEnd::NonFinite,
            0 => PhaseEnd::Horizon,
            1 => PhaseEnd::Radius,
            3 => PhaseEnd::Minimum,
            _ => PhaseEnd::NonFinite,
        };
        Ok(Landing {
            steps: phase.steps as usize,
            end,
            predicted_change,
            fit_residual: run.fit_residual,
            change,
            is_finite,
        })
    }
}

impl Sealed for GpuEngine {}

impl Engine for GpuEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            kind: EngineKind::Gpu,
            adapter: self.recorder.gpu.name(),
            state: NumberFormat::F32,
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
                    available: Some(self.recorder.granted),
                },
                other => other,
            })?;
        self.run = Some(run);
        Ok(())
    }

    fn set_gradient(&mut self, gradient: &[f64]) -> Result<GradientSummary> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        if gradient.len() != run.dimension {
            return Err(Error::Length {
                name: "the gradient",
                found: gradient.len(),
                expected: run.dimension,
            });
        }
        let narrow = run.mirror.set_gradient(gradient);
        for s in &run.segments {
            self.recorder.upload(&s.gradient, &narrow[s.start..s.start + s.len])?;
        }
        run.ring.gradient_was_set();
        Ok(GradientSummary::of(gradient))
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
        run.mirror.moved();
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

    fn record_pair(&mut self, change: f64, is_kept: bool) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let note = PairNote { remainder: change - run.mirror.slope(), kept: is_kept };
        run.record_pair(&mut self.recorder, note)
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
        let run = self.run.as_mut().ok_or_else(not_started)?;
        run.mirror.moved();
        run.minimize_potential(&mut self.recorder, limits)
    }

    fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        self.recorder.host_polls = false;
        pollster::block_on(self.read_in_turn(x))
    }

    fn compare(&mut self, learned: &[f64]) -> Result<StepComparison> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        if learned.len() != run.dimension {
            return Err(Error::Length {
                name: "the learned step",
                found: learned.len(),
                expected: run.dimension,
            });
        }
        Ok(run.mirror.compare(learned))
    }

    fn trust(&mut self, is_best: bool) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        run.mirror.trust(is_best)?;
        run.trusted_steps = run.steps;
        for s in &run.segments {
            for (now, saved) in s.state() {
                self.recorder.copy(now, 0, saved, 0, now.bytes);
            }
        }
        Ok(())
    }

    fn best(&mut self, x: &mut [f64], gradient: &mut [f64]) -> Result<()> {
        self.run.as_mut().ok_or_else(not_started)?.mirror.best(x, gradient)
    }

    fn restore(&mut self) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        run.mirror.moved();
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
