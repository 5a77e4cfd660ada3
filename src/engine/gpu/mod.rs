//! The f32 engine on wgpu; the only place that names wgpu types.
//!
//! x, g, the history and the learned model live in segments of consecutive unknowns, each segment in buffers of its own, small enough
//! for the adapter's binding limit. A workgroup works on a *slab* of unknowns inside a segment; sums over d are double-word partial sums
//! per slab, added up in a fixed tree. Slabs depend on d alone, so the result does not depend on how the unknowns are segmented.
//!
//! Per cycle the host sends g and numbers of size K², and reads x (once per true evaluation) and the Gram matrices (once per fit).

mod device;
mod kernels;
mod recording;
mod self_test;
#[cfg(test)]
mod tests;

pub use device::{AdapterChoice, AdapterSummary, list_adapters};

use ndarray::{Array2, ArrayView2};

use self::device::Gpu;
use self::kernels::{
    AdamStep, Eft, FeaturesEvaluate, GradientDescentStep, GradientLift, GramAccumulate, OcGrowth, OcSelect, OcUpdate, OcVolume, PartialsReduce, PhaseAccount,
    PhaseState, RegressionSolve, RowsCombine, StateProject, TargetEncode, WeightsEvaluate,
};
use self::recording::{Buffer, Recorder};
use crate::engine::fit::{FitPlan, Grams};
use crate::engine::interface::{Engine, EngineInfo, Fit, Landing, PhaseEnd, PhaseLimits, Setup, Traffic};
use crate::engine::ring::Ring;
use crate::error::{Error, Result};
use crate::flow::{Flow, OptimalityCriteria};
use crate::objective::Domain;
use crate::surrogate::{Lift, SurrogateConfig, TargetTransform, Targets};

/// Stands for "no row" in kernels.
const NO_ROW: u32 = u32::MAX;
/// Passes of 32 candidates that narrow OC's bracket of 2³⁰ scales to neighbouring floats: 33⁶ > 2³⁰.
const OC_PASSES: usize = 6;
/// Scales s = 1/√λ between 2⁻⁶⁴ and 2⁶⁴: every λ that f32 has.
const OC_BRACKET: (u32, u32) = (0x1f80_0000, 0x5f80_0000);
/// Rounds of the regression: the first solve and its refinements.
const REGRESSION_ROUNDS: u32 = 4;
/// The most bytes that the Gram matrix's partial sums may take.
const GRAM_PARTIALS_BYTES: u64 = 64 << 20;

/// How a GPU engine is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GpuOptions {
    /// Largest storage binding to use, bytes; `None`: what the adapter allows. Smaller values make more segments, with the same results.
    pub max_binding: Option<u64>,
}

/// One stretch of consecutive unknowns.
#[derive(Debug)]
struct Segment {
    start: usize,
    len: usize,
    first_slab: usize,
    slabs: usize,
    iterate: Buffer,
    gradient: Buffer,
    /// ADAM's m and v.
    auxiliary: Vec<Buffer>,
    /// Copies of iterate, gradient and auxiliary.
    trusted: Vec<Buffer>,
    /// OC: volume weights and growth.
    volume_weights: Buffer,
    growth: Buffer,
    /// K×len each: recorded x and g, transformed targets, basis; and the mean.
    iterates: Buffer,
    gradients: Buffer,
    encoded: Buffer,
    basis: Buffer,
    mean: Buffer,
}

impl Segment {
    fn bytes(&self) -> u64 {
        4 * self.len as u64
    }

    /// The state's vectors and where they are saved.
    fn state(&self) -> impl Iterator<Item = (&Buffer, &Buffer)> {
        [&self.iterate, &self.gradient].into_iter().chain(&self.auxiliary).zip(&self.trusted)
    }
}

/// Buffers whose size does not depend on d, and the partial sums.
#[derive(Debug)]
struct Shared {
    phase: Buffer,
    /// Partial sums per slab, and their totals.
    partials: Buffer,
    totals: Buffer,
    /// B, Z, the monomials' factors, Y.
    combination: Buffer,
    coordinates: Buffer,
    terms: Buffer,
    targets: Buffer,
    /// Θ, the regression's work space, Ξ and Θ Ξ.
    matrix: Buffer,
    work: Buffer,
    coefficients: Buffer,
    predictions: Buffer,
    /// Θ(z) and w of the current step.
    monomials: Buffer,
    weights: Buffer,
    staging: Buffer,
}

/// A fitted surrogate, as far as the host needs it.
#[derive(Debug)]
struct Model {
    config: SurrogateConfig,
    plan: FitPlan,
    grams: Grams,
    /// Rows of the lift's table.
    outputs: usize,
    /// Whether its predictions have been read.
    reported: bool,
}

/// The engine on a GPU; see the [module](self).
#[derive(Debug)]
pub struct GpuEngine {
    recorder: Recorder,
    eft: Eft,
    max_binding: u64,
    run: Option<Run>,
}

#[derive(Debug)]
struct Run {
    flow: Flow,
    domain: Domain,
    dimension: usize,
    slab: usize,
    slabs: usize,
    ring: Ring,
    segments: Vec<Segment>,
    shared: Shared,
    model: Option<Model>,
    /// Steps taken, as far as the host knows, and the trusted state's.
    steps: u64,
    trusted_steps: u64,
    /// Steps recorded since the last read that were not surrogate steps.
    fit_residual: Option<f64>,
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

    /// Shares a host application's device. No handlers are installed on it; needs [`required_limits`](Self::required_limits) and no features.
    ///
    /// # Errors
    /// [`Error::Device`] when the limits are too low.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue, options: GpuOptions) -> Result<Self> {
        if !wgpu::Limits::default().check_limits(&device.limits()) {
            return Err(Error::Device { what: "the shared device".into(), reason: "its limits are below wgpu's defaults".into() });
        }
        Self::new(Gpu::from_device(device, queue), options)
    }

    /// The limits a host application should open its device with, given its adapter's.
    pub fn required_limits(adapter: &wgpu::Limits) -> wgpu::Limits {
        device::required_limits(adapter)
    }

    fn new(gpu: Gpu, options: GpuOptions) -> Result<Self> {
        let (recorder, eft) = self_test::open(&gpu)?;
        let limit = gpu.limits.max_storage_buffer_binding_size.min(gpu.limits.max_buffer_size);
        let max_binding = options.max_binding.map_or(limit, |b| b.min(limit));
        Ok(Self { recorder, eft, max_binding, run: None })
    }
}

fn not_started() -> Error {
    Error::Incompatible("the engine has not been started".into())
}

fn groups(segment: &Segment) -> [u32; 3] {
    [segment.slabs as u32, 1, 1]
}

fn to_f32(values: ArrayView2<f64>) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// hi + lo = v, in f32.
fn split(v: f64) -> [f32; 2] {
    let hi = v as f32;
    [hi, (v - f64::from(hi)) as f32]
}

/// Unordered pairs of 4-row blocks in a stack of `rows` rows.
fn block_pairs(rows: usize) -> usize {
    let blocks = rows.div_ceil(4);
    blocks * (blocks + 1) / 2
}

/// Unknowns per slab: a power of two, so that there are at most 1024 slabs and the Gram matrix's partial sums stay small.
fn slab_length(dimension: usize, capacity: usize) -> usize {
    let bytes_per_slab = 128 * block_pairs(2 * capacity).max(1) as u64;
    let slabs = (GRAM_PARTIALS_BYTES / bytes_per_slab).clamp(1, 1024) as usize;
    dimension.div_ceil(slabs).next_power_of_two().max(1024)
}

impl Run {
    fn new(recorder: &mut Recorder, setup: Setup<'_>, max_binding: u64) -> Result<Self> {
        let (dimension, capacity) = (setup.start.len(), setup.capacity);
        let mut slab = slab_length(dimension, capacity);
        let longest = (max_binding / 4 / capacity.max(1) as u64) as usize;
        if longest < 256 {
            return Err(Error::Memory { what: format!("256 unknowns of {capacity} snapshots"), needed: 1024 * capacity as u64, available: max_binding });
        }
        // Bindings too small for one slab: shorter slabs, down to the width of a workgroup.
        while slab > longest {
            slab /= 2;
        }
        let segment_length = longest / slab * slab;
        let slabs = dimension.div_ceil(slab);
        let weights = match setup.domain {
            Domain::BoxVolume { weights, .. } => Some(weights),
            Domain::Unbounded => None,
        };
        let is_oc = matches!(setup.flow, Flow::OptimalityCriteria(_));
        let mut segments = Vec::new();
        for start in (0..dimension).step_by(segment_length) {
            let len = segment_length.min(dimension - start);
            let vector = 4 * len as u64;
            let table = vector * capacity as u64;
            let auxiliary = (0..setup.flow.auxiliary_vectors()).map(|_| recorder.buffer("auxiliary", vector)).collect::<Result<Vec<_>>>()?;
            let trusted = (0..2 + auxiliary.len()).map(|_| recorder.buffer("trusted", vector)).collect::<Result<_>>()?;
            let segment = Segment {
                start,
                len,
                first_slab: start / slab,
                slabs: len.div_ceil(slab),
                iterate: recorder.buffer("iterate", vector)?,
                gradient: recorder.buffer("gradient", vector)?,
                auxiliary,
                trusted,
                volume_weights: recorder.buffer("volume_weights", if is_oc { vector } else { 0 })?,
                growth: recorder.buffer("growth", if is_oc { vector } else { 0 })?,
                iterates: recorder.buffer("iterates", table)?,
                gradients: recorder.buffer("gradients", table)?,
                // Made by the first fit that needs them.
                encoded: recorder.buffer("encoded", 0)?,
                basis: recorder.buffer("basis", 0)?,
                mean: recorder.buffer("mean", if capacity > 0 { vector } else { 0 })?,
            };
            let here = start..start + len;
            recorder.upload(&segment.iterate, &setup.start[here.clone()].iter().map(|v| *v as f32).collect::<Vec<_>>())?;
            if let (true, Some(weights)) = (is_oc, weights) {
                recorder.upload(&segment.volume_weights, &weights[here].iter().map(|v| *v as f32).collect::<Vec<_>>())?;
            }
            segments.push(segment);
        }
        // Values per slab: Gram blocks, a projection with its distance, or OC's candidates.
        let values = (16 * block_pairs(2 * capacity)).max(capacity + 1).max(32) as u64;
        let mut small = |name: &str| recorder.buffer(name, 0);
        let shared = Shared {
            phase: small("phase")?,
            combination: small("combination")?,
            coordinates: small("coordinates")?,
            terms: small("terms")?,
            targets: small("targets")?,
            matrix: small("matrix")?,
            work: small("work")?,
            coefficients: small("coefficients")?,
            predictions: small("predictions")?,
            monomials: small("monomials")?,
            weights: small("weights")?,
            staging: recorder.staging(0)?,
            partials: recorder.buffer("partials", 8 * values * slabs as u64)?,
            totals: recorder.buffer("totals", 8 * values)?,
        };
        let mut shared = shared;
        recorder.ensure(&mut shared.phase, "phase", size_of::<PhaseState>() as u64)?;
        Ok(Self {
            flow: setup.flow,
            domain: setup.domain.clone(),
            dimension,
            slab,
            slabs,
            ring: Ring::new(capacity),
            segments,
            shared,
            model: None,
            steps: 0,
            trusted_steps: 0,
            fit_residual: None,
        })
    }

    /// Records one step of the flow, number `k`, with whatever is in the gradient buffers.
    fn record_step(&self, recorder: &mut Recorder, k: u64) -> Result<()> {
        let (shared, slab) = (&self.shared, self.slab as u32);
        match self.flow {
            Flow::GradientDescent(flow) => {
                for s in &self.segments {
                    let params = GradientDescentStep { len: s.len as u32, slab, first_slab: s.first_slab as u32, rate: flow.rate as f32 };
                    recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.iterate, &shared.partials], groups(s))?;
                }
            }
            Flow::Adam(flow) => {
                let (correction1, correction2) = flow.corrections(k);
                for s in &self.segments {
                    let params = AdamStep {
                        len: s.len as u32,
                        slab,
                        first_slab: s.first_slab as u32,
                        rate: flow.rate as f32,
                        beta1: flow.beta1 as f32,
                        beta2: flow.beta2 as f32,
                        one_minus_beta1: (1.0 - flow.beta1) as f32,
                        one_minus_beta2: (1.0 - flow.beta2) as f32,
                        epsilon: flow.epsilon as f32,
                        correction1: correction1 as f32,
                        correction2: correction2 as f32,
                    };
                    let buffers = [&shared.phase, &s.gradient, &s.iterate, &s.auxiliary[0], &s.auxiliary[1], &shared.partials];
                    recorder.dispatch(params, &buffers, groups(s))?;
                }
            }
            Flow::OptimalityCriteria(flow) => self.record_oc(recorder, flow)?,
        }
        recorder.dispatch(PhaseAccount { slabs: self.slabs as u32 }, &[&shared.phase, &shared.partials], [1, 1, 1])
    }

    fn record_oc(&self, recorder: &mut Recorder, flow: OptimalityCriteria) -> Result<()> {
        let Domain::BoxVolume { lower, upper, volume, .. } = &self.domain else { return Err(not_started()) };
        let (shared, slab) = (&self.shared, self.slab as u32);
        let (lower, upper, reach) = (*lower as f32, *upper as f32, (flow.move_limit * (upper - lower)) as f32);
        for s in &self.segments {
            let params = OcGrowth {
                len: s.len as u32,
                slab,
                gradient_floor: OptimalityCriteria::GRADIENT_FLOOR as f32,
                bracket_low: OC_BRACKET.0,
                bracket_high: OC_BRACKET.1,
                first_slab: s.first_slab as u32,
            };
            recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.iterate, &s.volume_weights, &s.growth], groups(s))?;
        }
        let [volume_high, volume_low] = split(*volume);
        for _ in 0..OC_PASSES {
            for s in &self.segments {
                let params = OcVolume { len: s.len as u32, slab, first_slab: s.first_slab as u32, reach, lower, upper };
                recorder.dispatch(params, &[&shared.phase, &s.iterate, &s.growth, &s.volume_weights, &shared.partials], groups(s))?;
            }
            let params = OcSelect { slabs: self.slabs as u32, volume_high, volume_low };
            recorder.dispatch(params, &[&shared.phase, &shared.partials], [1, 1, 1])?;
        }
        for s in &self.segments {
            let params = OcUpdate { len: s.len as u32, slab, first_slab: s.first_slab as u32, reach, lower, upper };
            recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.growth, &s.iterate, &shared.partials], groups(s))?;
        }
        Ok(())
    }

    /// The table the model's outputs are lifted by.
    fn lift_table<'a>(&self, segment: &'a Segment, config: &SurrogateConfig) -> &'a Buffer {
        match (config.lift, config.transform) {
            (Lift::Trajectory, _) => &segment.basis,
            (Lift::Snapshots, TargetTransform::Identity) => &segment.gradients,
            (Lift::Snapshots, TargetTransform::LogDamped { .. }) => &segment.encoded,
        }
    }

    /// Transforms the targets and reads the inner products of all samples, in the order of their rows.
    fn read_grams(&mut self, recorder: &mut Recorder, config: &SurrogateConfig, eft: Eft, newest: usize) -> Result<Grams> {
        let (rows, slab) = (self.ring.len(), self.slab as u32);
        if let TargetTransform::LogDamped { damping } = config.transform {
            for s in &mut self.segments {
                recorder.ensure(&mut s.encoded, "encoded", s.iterates.bytes)?;
                let params = TargetEncode {
                    len: s.len as u32,
                    slab,
                    rows: rows as u32,
                    damping: damping as f32,
                    gradient_floor: TargetTransform::GRADIENT_FLOOR as f32,
                    iterate_floor: TargetTransform::ITERATE_FLOOR as f32,
                };
                recorder.dispatch(params, &[&s.iterates, &s.gradients, &s.encoded], [s.slabs as u32, rows as u32, 1])?;
            }
        }
        let tracked = config.targets == Targets::Tracked;
        let stacked = if tracked { 2 * rows } else { rows };
        let pairs = block_pairs(stacked);
        for s in &self.segments {
            let targets = if config.transform == TargetTransform::Identity { &s.gradients } else { &s.encoded };
            let params = GramAccumulate {
                len: s.len as u32,
                slab,
                first_slab: s.first_slab as u32,
                rows: rows as u32,
                stacked: stacked as u32,
                reference: if config.centered { newest as u32 } else { NO_ROW },
                blocks: pairs as u32,
            };
            recorder.dispatch(params, &[&s.iterates, targets, &self.shared.partials], [pairs as u32, s.slabs as u32, 1])?;
        }
        let values = 16 * pairs;
        let on_host = eft == Eft::Plain;
        let bytes = 8 * values as u64 * if on_host { self.slabs as u64 } else { 1 };
        if self.shared.staging.bytes < bytes {
            self.shared.staging = recorder.staging(bytes)?;
        }
        if on_host {
            recorder.copy(&self.shared.partials, 0, &self.shared.staging, 0, bytes);
        } else {
            self.record_reduction(recorder, values)?;
            recorder.copy(&self.shared.totals, 0, &self.shared.staging, 0, bytes);
        }
        let data: Vec<[f32; 2]> = bytemuck::pod_collect_to_vec(&recorder.read(&self.shared.staging, bytes)?);
        let value = |at: usize| -> f64 { data[at..].iter().step_by(values).map(|[hi, lo]| f64::from(*hi) + f64::from(*lo)).sum() };
        let mut gram = Array2::zeros((stacked, stacked));
        let mut at = 0;
        for a in (0..stacked).step_by(4) {
            for b in (a..stacked).step_by(4) {
                for (t, (i, j)) in (0..16).map(|t| (t, (a + t / 4, b + t % 4))) {
                    if i < stacked && j < stacked {
                        gram[[i, j]] = value(at + t);
                        gram[[j, i]] = gram[[i, j]];
                    }
                }
                at += 16;
            }
        }
        let part = |i: usize, j: usize| {
            if tracked || i + j == 0 { gram.slice(ndarray::s![i * rows..(i + 1) * rows, j * rows..(j + 1) * rows]).to_owned() } else { Array2::zeros((0, 0)) }
        };
        Ok(Grams { xx: part(0, 0), xy: part(0, 1), yy: part(1, 1) })
    }

    fn record_reduction(&self, recorder: &mut Recorder, values: usize) -> Result<()> {
        let params = PartialsReduce { slabs: self.slabs as u32, values: values as u32, reserved: 0 };
        let groups = [values.min(65535) as u32, values.div_ceil(65535) as u32, 1];
        recorder.dispatch(params, &[&self.shared.partials, &self.shared.totals], groups)
    }

    /// Makes basis and mean, and solves the regression, on the device. `rows` are the samples' rows, oldest first.
    fn record_fit(&mut self, recorder: &mut Recorder, config: &SurrogateConfig, plan: &FitPlan, ridge: f64, rows: &[usize]) -> Result<()> {
        let (k, rank, features) = (rows.len(), plan.space.rank(), plan.library.len());
        let (samples, outputs) = plan.targets.dim();
        let newest = rows.last().copied().unwrap_or(0);

        // Samples are numbered by age in the plan and by row in the tables.
        let mut combination = Array2::zeros((rank, k));
        let mut targets = Array2::zeros((samples, outputs));
        for (age, &row) in rows.iter().enumerate() {
            combination.column_mut(row).assign(&plan.space.basis.column(age));
            if config.lift == Lift::Snapshots {
                targets.column_mut(row).assign(&plan.targets.column(age));
            }
        }
        if config.lift == Lift::Trajectory {
            targets.assign(&plan.targets);
        }

        let tall = samples + features;
        let narrow = samples.min(features);
        // The factor, diagonal, scales, two vectors of R's size and Q's, solution and residual in double words.
        let stride = tall * narrow + 3 * narrow + tall + 4 * tall;
        let shared = &mut self.shared;
        let sizes: [(&mut Buffer, &str, usize); 9] = [
            (&mut shared.combination, "combination", rank * k),
            (&mut shared.coordinates, "coordinates", samples * rank),
            (&mut shared.terms, "terms", plan.library.terms().len()),
            (&mut shared.targets, "targets", samples * outputs),
            (&mut shared.matrix, "matrix", samples * features),
            (&mut shared.work, "work", stride * outputs),
            (&mut shared.coefficients, "coefficients", 2 * features * outputs),
            (&mut shared.predictions, "predictions", samples * outputs),
            (&mut shared.monomials, "monomials", features),
        ];
        for (buffer, name, words) in sizes {
            recorder.ensure(buffer, name, 4 * words as u64)?;
        }
        recorder.ensure(&mut shared.weights, "weights", 4 * outputs as u64)?;
        for s in &mut self.segments {
            let needed = 4 * (s.len * rank) as u64;
            recorder.ensure(&mut s.basis, "basis", needed)?;
        }
        let shared = &self.shared;
        recorder.upload(&shared.combination, &to_f32(combination.view()))?;
        recorder.upload(&shared.coordinates, &to_f32(plan.coordinates.view()))?;
        recorder.upload(&shared.terms, plan.library.terms())?;
        recorder.upload(&shared.targets, &to_f32(targets.view()))?;
        for s in &self.segments {
            let params = RowsCombine {
                len: s.len as u32,
                slab: self.slab as u32,
                rows: k as u32,
                rank: rank as u32,
                reference: if config.centered { newest as u32 } else { NO_ROW },
            };
            recorder.dispatch(params, &[&s.iterates, &shared.combination, &s.basis, &s.mean], [s.slabs as u32, rank.div_ceil(8) as u32, 1])?;
        }
        let params = FeaturesEvaluate { rows: samples as u32, variables: rank as u32, features: features as u32, order: plan.library.order() as u32 };
        recorder.dispatch(params, &[&shared.coordinates, &shared.terms, &shared.matrix], [features.div_ceil(64) as u32, samples as u32, 1])?;
        let params = RegressionSolve {
            rows: samples as u32,
            features: features as u32,
            problems: outputs as u32,
            root: ridge.sqrt() as f32,
            rounds: REGRESSION_ROUNDS,
            stride: stride as u32,
        };
        recorder.dispatch(params, &[&shared.matrix, &shared.targets, &shared.work, &shared.coefficients, &shared.predictions], [outputs as u32, 1, 1])
    }

    /// Records the prediction of the gradient at the current x.
    fn record_prediction(&self, recorder: &mut Recorder, model: &Model, trust: f64) -> Result<()> {
        let (shared, slab) = (&self.shared, self.slab as u32);
        let rank = model.plan.space.rank();
        for s in &self.segments {
            let params =
                StateProject { len: s.len as u32, slab, first_slab: s.first_slab as u32, rank: rank as u32, centered: u32::from(model.config.centered) };
            let buffers = [&shared.phase, &s.basis, &s.mean, &s.iterate, &shared.partials];
            recorder.dispatch(params, &buffers, [s.slabs as u32, (rank + 1).div_ceil(8) as u32, 1])?;
        }
        self.record_reduction(recorder, rank + 1)?;
        let params = WeightsEvaluate {
            rank: rank as u32,
            features: model.plan.library.len() as u32,
            order: model.plan.library.order() as u32,
            outputs: model.outputs as u32,
            inverse_scale: (1.0 / model.plan.space.scale) as f32,
            radius: model.plan.space.radius as f32,
            trust: if trust.is_finite() { trust as f32 } else { -1.0 },
        };
        let buffers = [&shared.phase, &shared.totals, &shared.terms, &shared.coefficients, &shared.monomials, &shared.weights];
        recorder.dispatch(params, &buffers, [1, 1, 1])?;
        let (log_damped, damping) = match model.config.transform {
            TargetTransform::Identity => (0, 0.0),
            TargetTransform::LogDamped { damping } => (1, damping as f32),
        };
        for s in &self.segments {
            let params =
                GradientLift { len: s.len as u32, slab, rows: model.outputs as u32, log_damped, damping, iterate_floor: TargetTransform::ITERATE_FLOOR as f32 };
            let buffers = [&shared.phase, self.lift_table(s, &model.config), &shared.weights, &s.iterate, &s.gradient];
            recorder.dispatch(params, &buffers, groups(s))?;
        }
        Ok(())
    }
}

impl Engine for GpuEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo { engine: "gpu", adapter: self.recorder.gpu.name(), precision: self.eft.describe().into(), software: self.recorder.gpu.is_software() }
    }

    fn start(&mut self, setup: Setup<'_>) -> Result<()> {
        self.run = None;
        self.recorder.reset();
        self.run = Some(Run::new(&mut self.recorder, setup, self.max_binding)?);
        Ok(())
    }

    fn push(&mut self, gradient: &[f64]) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        if gradient.len() != run.dimension {
            return Err(Error::Length { name: "the gradient", found: gradient.len(), expected: run.dimension });
        }
        let row = run.ring.push();
        for s in &run.segments {
            let here: Vec<f32> = gradient[s.start..s.start + s.len].iter().map(|g| *g as f32).collect();
            self.recorder.upload(&s.gradient, &here)?;
        }
        if let Some(row) = row {
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
        run.record_step(&mut self.recorder, run.steps)
    }

    fn fit(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let rows = run.ring.rows();
        if rows.is_empty() {
            return Err(Error::invalid("the number of recorded samples", 0, "at least 1"));
        }
        let newest = rows[rows.len() - 1];
        let by_row = run.read_grams(&mut self.recorder, config, self.eft, newest)?;
        let by_age = |gram: Array2<f64>| if gram.is_empty() { gram } else { gram.select(ndarray::Axis(0), &rows).select(ndarray::Axis(1), &rows) };
        let grams = Grams { xx: by_age(by_row.xx), xy: by_age(by_row.xy), yy: by_age(by_row.yy) };
        let plan = FitPlan::new(config, &run.flow, &grams)?;
        let ridge = config.ridge.resolve(plan.features().view());
        run.record_fit(&mut self.recorder, config, &plan, ridge, &rows)?;
        let fit = Fit { samples: rows.len(), rank: plan.space.rank(), energy: plan.space.energy, features: plan.library.len(), ridge };
        let outputs = plan.targets.ncols();
        run.model = Some(Model { config: *config, plan, grams, outputs, reported: false });
        Ok(fit)
    }

    fn integrate(&mut self, limits: PhaseLimits) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let Some(model) = run.model.take() else { return Err(Error::Incompatible("integrate() comes after fit()".into())) };
        for k in 1..=limits.steps as u64 {
            run.record_prediction(&mut self.recorder, &model, limits.radius)?;
            run.record_step(&mut self.recorder, run.steps + k)?;
        }
        run.model = Some(model);
        Ok(())
    }

    fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        if x.len() != run.dimension {
            return Err(Error::Length { name: "the iterate", found: x.len(), expected: run.dimension });
        }
        let recorder = &mut self.recorder;
        let unreported = run.model.as_mut().filter(|m| !m.reported);
        let head = size_of::<PhaseState>();
        let predicted = unreported.as_ref().map_or(0, |m| m.plan.targets.len());
        let total = (head + 4 * predicted + 4 * run.dimension) as u64;
        if run.shared.staging.bytes < total {
            run.shared.staging = recorder.staging(total)?;
        }
        let staging = &run.shared.staging;
        recorder.copy(&run.shared.phase, 0, staging, 0, head as u64);
        if predicted > 0 {
            recorder.copy(&run.shared.predictions, 0, staging, head as u64, 4 * predicted as u64);
        }
        for s in &run.segments {
            recorder.copy(&s.iterate, 0, staging, (head + 4 * predicted + 4 * s.start) as u64, s.bytes());
        }
        recorder.clear(&run.shared.phase);
        let data = recorder.read(staging, total)?;
        let phase: PhaseState = bytemuck::pod_read_unaligned(&data[..head]);
        let (predictions, iterate) = data[head..].split_at(4 * predicted);
        if let Some(model) = unreported {
            model.reported = true;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(predictions);
            let (samples, outputs) = model.plan.targets.dim();
            // Columns of a snapshot lift are numbered by row on the device and by age in the plan.
            let rows = if model.config.lift == Lift::Snapshots { run.ring.rows() } else { (0..outputs).collect() };
            let predictions = Array2::from_shape_fn((samples, outputs), |(i, j)| f64::from(values[i * outputs + rows[j]]));
            run.fit_residual = Some(model.plan.residual(predictions.view(), &model.config, &model.grams));
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
            _ => PhaseEnd::NonFinite,
        };
        Ok(Landing { steps: phase.steps as usize, end, predicted_change, fit_residual: run.fit_residual })
    }

    fn trust(&mut self) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        run.trusted_steps = run.steps;
        for s in &run.segments {
            for (now, saved) in s.state() {
                self.recorder.copy(now, 0, saved, 0, s.bytes());
            }
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        run.steps = run.trusted_steps;
        for s in &run.segments {
            for (now, saved) in s.state() {
                self.recorder.copy(saved, 0, now, 0, s.bytes());
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        if let Some(run) = &mut self.run {
            run.ring.clear();
        }
    }

    fn samples(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.ring.len())
    }

    fn traffic(&self) -> Traffic {
        self.recorder.traffic
    }
}
