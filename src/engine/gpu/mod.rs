//! The f32 engine on wgpu; the only place that names wgpu types.
//!
//! x, g, the history and the learned model live in segments of consecutive unknowns, each segment in buffers of its own, small enough
//! for the adapter's binding limit. A workgroup works on a *slab* of unknowns inside a segment; sums over d are double-word partial sums
//! per slab, added up in a fixed tree. Slabs depend on d and K, so the result does not depend on how the unknowns are segmented, unless segments are
//! shorter than a slab.
//!
//! Per cycle the host sends g and numbers of size K², and reads x (once per true evaluation) and the Gram matrices (once per fit).

mod device;
mod kernels;
mod recording;
mod regression;
mod self_test;
#[cfg(test)]
mod tests;

pub use device::{AdapterChoice, AdapterSummary, list_adapters};

use ndarray::{Array2, ArrayView2};

use self::device::Gpu;
use self::kernels::{
    AdamStep, BracketSelect, ColumnsScale, Eft, EquationSlope, FeaturesEvaluate, GradientDescentStep, GradientLift, GramAccumulate, MESA_TURNS, MatrixMultiply,
    MomentumStep, OcGrowth, OcUpdate, OcVolume, PartialsReduce, PhaseAccount, PhaseState, Problem, ProjectedGradientStep, ProjectionVolume, ReducedIntegrate,
    ReducedLift, RowsCombine, StateAccept, StateGather, StateProject, TargetEncode, VectorCombine, WeightsEvaluate,
};
use self::recording::{Buffer, Recorder};
use self::regression::RegressionBuffers;
use crate::engine::fit::{FitPlan, Grams};
use crate::engine::interface::{Engine, EngineInfo, Fit, Landing, PhaseEnd, PhaseLimits, Setup, Traffic};
use crate::engine::ring::Ring;
use crate::error::{Error, Result};
use crate::flow::{Flow, GradientDescent, Newton, OptimalityCriteria, ProjectedGradient};
use crate::objective::Domain;
use crate::surrogate::regression::Solution;
use crate::surrogate::{Integrator, Lift, RegressionProblem, SpaceConfig, SurrogateConfig, TargetTransform, Targets, integrator};

/// Stands for "no row" in kernels.
const NO_ROW: u32 = u32::MAX;
/// Passes of 32 candidates that narrow OC's bracket of 2³⁰ scales to neighbouring floats: 33⁶ > 2³⁰.
const OC_PASSES: usize = 6;
/// Scales s = 1/√λ between 2⁻⁶⁴ and 2⁶⁴: every λ that f32 has.
const OC_BRACKET: (u32, u32) = (0x1f80_0000, 0x5f80_0000);
/// Passes that narrow the projection's bracket, all non-negative floats: 33⁷ > 2³¹.
const PROJECTION_PASSES: usize = 7;
/// Singular values, relative to the largest, that the device resolves: f32 data about their mean; f32 data about 0, where the basis's rounding is
/// eps·s₁/s_i of z_i; Gram matrices without double-word sums.
const RESOLUTION_CENTERED: f64 = 4.0 * f32::EPSILON as f64;
const RESOLUTION_UNCENTERED: f64 = 1.0 / 16384.0;
const RESOLUTION_PLAIN: f64 = 1.0 / 256.0;
/// Kernels count words in u32, and some back ends cap bindings there.
const MAX_BINDING: u64 = (1 << 31) - 256;
/// The most bytes that the Gram matrix's partial sums may take.
const GRAM_PARTIALS_BYTES: u64 = 64 << 20;

/// How a GPU engine is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GpuOptions {
    /// Largest storage binding to use, bytes; `None`: what the adapter allows. Smaller values make more segments, with the same results down to
    /// segments of one slab (at least 1024 unknowns).
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
    /// Made by the first phase that integrates a differential equation of size d.
    equation: Option<EquationBuffers>,
}

/// Vectors of a Runge–Kutta step.
#[derive(Debug)]
struct EquationBuffers {
    /// x and the moments at a stage, and at last at the step's end.
    at: Vec<Buffer>,
    gradient: Buffer,
    /// Slopes of x, m and v, per stage.
    slopes: Vec<[Buffer; 3]>,
}

/// Where a prediction is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the state.
    State,
    /// At a stage of a Runge–Kutta step.
    Stage,
}

impl Segment {
    /// The iterate and the gradient at `place`.
    fn at(&self, place: Place) -> (&Buffer, &Buffer) {
        match (place, &self.equation) {
            (Place::Stage, Some(equation)) => (&equation.at[0], &equation.gradient),
            _ => (&self.iterate, &self.gradient),
        }
    }

    /// Vector `v` of (x, auxiliary…); what the flow does not have is a stand-in that kernels do not touch.
    fn vector(&self, v: usize) -> &Buffer {
        if v == 0 { &self.iterate } else { self.auxiliary.get(v - 1).unwrap_or(&self.growth) }
    }

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
    /// The widest bracket of multipliers, copied into the phase where a search begins.
    bracket: Buffer,
    /// Partial sums per slab, and their totals.
    partials: Buffer,
    totals: Buffer,
    /// B, Z, the monomials' factors, A, T.
    combination: Buffer,
    coordinates: Buffer,
    terms: Buffer,
    mix: Buffer,
    orthonormal: Buffer,
    /// Θ at all samples, A Θ, and the regression with Θ' = A Θ T.
    library: Buffer,
    mixed: Buffer,
    regression: RegressionBuffers,
    /// Ξ in terms of Θ.
    coefficients: Buffer,
    /// The Runge–Kutta rule with the samples' mean, and the state of a reduced integration.
    rule: Buffer,
    reduced: Buffer,
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
    /// Y Yᵀ of the samples' targets, for the residual of a snapshot lift.
    yy: Array2<f64>,
    /// The samples' largest distance from their mean.
    radius: f64,
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

    /// Whether sums over d keep their error terms on this device.
    pub fn has_double_word_sums(&self) -> bool {
        self.eft != Eft::Plain
    }

    fn new(gpu: Gpu, options: GpuOptions) -> Result<Self> {
        let (recorder, eft) = self_test::open(&gpu)?;
        let limit = gpu.limits.max_storage_buffer_binding_size.min(gpu.limits.max_buffer_size).min(MAX_BINDING);
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

/// What kernels take for a limit that may be infinite.
fn finite_or_none(limit: f64) -> f32 {
    if limit.is_finite() { limit as f32 } else { -1.0 }
}

fn to_f32(values: ArrayView2<f64>) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn to_pairs(values: ArrayView2<f64>) -> Vec<[f32; 2]> {
    values.iter().map(|v| split(*v)).collect()
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
            Domain::Unbounded | Domain::Box { .. } => None,
        };
        let is_oc = matches!(setup.flow, Flow::OptimalityCriteria(_));
        let has_volume = weights.is_some() && matches!(setup.flow, Flow::OptimalityCriteria(_) | Flow::ProjectedGradient(_));
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
                volume_weights: recorder.buffer("volume_weights", if has_volume { vector } else { 0 })?,
                growth: recorder.buffer("growth", if is_oc { vector } else { 0 })?,
                iterates: recorder.buffer("iterates", table)?,
                gradients: recorder.buffer("gradients", table)?,
                // Allocated here, so that a lack of memory shows before the first true evaluation.
                encoded: recorder.buffer("encoded", if is_oc { table } else { 0 })?,
                basis: recorder.buffer("basis", table)?,
                mean: recorder.buffer("mean", if capacity > 0 { vector } else { 0 })?,
                equation: None,
            };
            let here = start..start + len;
            recorder.upload(&segment.iterate, &setup.start[here.clone()].iter().map(|v| *v as f32).collect::<Vec<_>>())?;
            if let (true, Some(weights)) = (has_volume, weights) {
                recorder.upload(&segment.volume_weights, &weights[here].iter().map(|v| *v as f32).collect::<Vec<_>>())?;
            }
            segments.push(segment);
        }
        // Values per slab: Gram blocks, a projection with its distance, or OC's candidates.
        let values = (16 * block_pairs(2 * capacity)).max(capacity + 1).max(32) as u64;
        let mut small = |name: &str| recorder.buffer(name, 0);
        let shared = Shared {
            phase: small("phase")?,
            bracket: small("bracket")?,
            combination: small("combination")?,
            coordinates: small("coordinates")?,
            terms: small("terms")?,
            mix: small("mix")?,
            orthonormal: small("orthonormal")?,
            library: small("library")?,
            mixed: small("mixed")?,
            coefficients: small("coefficients")?,
            rule: small("rule")?,
            reduced: small("reduced")?,
            monomials: small("monomials")?,
            weights: small("weights")?,
            staging: recorder.staging(0)?,
            regression: RegressionBuffers::new(recorder)?,
            partials: recorder.buffer("partials", 8 * values * slabs as u64)?,
            totals: recorder.buffer("totals", 8 * values)?,
        };
        let mut shared = shared;
        recorder.ensure(&mut shared.phase, "phase", size_of::<PhaseState>() as u64)?;
        recorder.upload(&shared.bracket, &[0, f32::MAX.to_bits()])?;
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
            Flow::GradientDescent(GradientDescent { rate }) | Flow::Newton(Newton { rate }) => {
                for s in &self.segments {
                    let params = GradientDescentStep { len: s.len as u32, slab, first_slab: s.first_slab as u32, rate: rate as f32 };
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
                        amsgrad: u32::from(flow.amsgrad),
                    };
                    let buffers = [&shared.phase, &s.gradient, s.vector(0), s.vector(1), s.vector(2), s.vector(3), &shared.partials];
                    recorder.dispatch(params, &buffers, groups(s))?;
                }
            }
            Flow::Momentum(flow) => {
                for s in &self.segments {
                    let params = MomentumStep {
                        len: s.len as u32,
                        slab,
                        first_slab: s.first_slab as u32,
                        rate: flow.rate as f32,
                        decay: flow.decay() as f32,
                        nesterov: u32::from(flow.nesterov),
                    };
                    recorder.dispatch(params, &[&shared.phase, &s.gradient, s.vector(0), s.vector(1), &shared.partials], groups(s))?;
                }
            }
            Flow::OptimalityCriteria(flow) => self.record_oc(recorder, flow)?,
            Flow::ProjectedGradient(flow) => self.record_projected_gradient(recorder, flow)?,
        }
        recorder.dispatch(PhaseAccount { slabs: self.slabs as u32 }, &[&shared.phase, &shared.partials], [1, 1, 1])
    }

    fn record_projected_gradient(&self, recorder: &mut Recorder, flow: ProjectedGradient) -> Result<()> {
        let (shared, slab, rate) = (&self.shared, self.slab as u32, flow.rate as f32);
        let (lower, upper, volume) = match &self.domain {
            Domain::Unbounded => (f32::MIN, f32::MAX, None),
            Domain::Box { lower, upper } => (*lower as f32, *upper as f32, None),
            Domain::BoxVolume { lower, upper, volume, .. } => (*lower as f32, *upper as f32, Some(*volume)),
        };
        if let Some(volume) = volume {
            let [volume_high, volume_low] = split(volume);
            recorder.copy(&shared.bracket, 0, &shared.phase, core::mem::offset_of!(PhaseState, bracket_low) as u64, 8);
            for _ in 0..PROJECTION_PASSES {
                for s in &self.segments {
                    let params = ProjectionVolume { len: s.len as u32, slab, first_slab: s.first_slab as u32, rate, lower, upper };
                    recorder.dispatch(params, &[&shared.phase, &s.iterate, &s.gradient, &s.volume_weights, &shared.partials], groups(s))?;
                }
                let params = BracketSelect { slabs: self.slabs as u32, volume_high, volume_low, falling: 1 };
                recorder.dispatch(params, &[&shared.phase, &shared.partials], [1, 1, 1])?;
            }
        }
        for s in &self.segments {
            let has_volume = u32::from(volume.is_some());
            let params = ProjectedGradientStep { len: s.len as u32, slab, first_slab: s.first_slab as u32, rate, lower, upper, has_volume };
            recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.volume_weights, &s.iterate, &shared.partials], groups(s))?;
        }
        Ok(())
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
            let params = BracketSelect { slabs: self.slabs as u32, volume_high, volume_low, falling: 0 };
            recorder.dispatch(params, &[&shared.phase, &shared.partials], [1, 1, 1])?;
        }
        for s in &self.segments {
            let params = OcUpdate { len: s.len as u32, slab, first_slab: s.first_slab as u32, reach, lower, upper };
            recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.growth, &s.iterate, &shared.partials], groups(s))?;
        }
        Ok(())
    }

    /// Whether the model's outputs are the gradient itself.
    fn is_direct(&self, model: &Model) -> bool {
        model.plan.space.is_none() && model.config.lift == Lift::Trajectory
    }

    /// The table the model's outputs are lifted by.
    fn lift_table<'a>(&self, segment: &'a Segment, config: &SurrogateConfig) -> &'a Buffer {
        match (config.lift, config.transform) {
            (Lift::Trajectory, _) => &segment.basis,
            (Lift::Snapshots, TargetTransform::Identity) => &segment.gradients,
            (Lift::Snapshots, TargetTransform::LogDamped { .. }) => &segment.encoded,
        }
    }

    /// Transforms the targets of all samples, if they are to be.
    fn record_encoding(&mut self, recorder: &mut Recorder, config: &SurrogateConfig) -> Result<()> {
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
        Ok(())
    }

    /// Transforms the targets and reads the inner products of all samples, in the order of their rows.
    fn read_grams(&mut self, recorder: &mut Recorder, config: &SurrogateConfig, eft: Eft, newest: usize) -> Result<Grams> {
        let (rows, slab) = (self.ring.len(), self.slab as u32);
        self.record_encoding(recorder, config)?;
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
                reference: if config.space.is_centered() { newest as u32 } else { NO_ROW },
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
            self.record_reduction(recorder, values, 0)?;
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
        let resolution = match (eft, config.space.is_centered()) {
            (Eft::Plain, _) => RESOLUTION_PLAIN,
            (_, true) => RESOLUTION_CENTERED,
            (_, false) => RESOLUTION_UNCENTERED,
        };
        Ok(Grams { xx: part(0, 0), xy: part(0, 1), yy: part(1, 1), resolution })
    }

    /// Adds up the slabs' partial sums of `values` values into the totals from `first` on.
    fn record_reduction(&self, recorder: &mut Recorder, values: usize, first: usize) -> Result<()> {
        let params = PartialsReduce { slabs: self.slabs as u32, values: values as u32, first: first as u32 };
        let groups = [values.min(65535) as u32, values.div_ceil(65535) as u32, 1];
        recorder.dispatch(params, &[&self.shared.partials, &self.shared.totals], groups)
    }

    /// Reads the recorded samples and gradients (K×d each), oldest first: for fits in the full space, whose d is small.
    fn read_samples(&mut self, recorder: &mut Recorder, rows: &[usize]) -> Result<(Array2<f64>, Array2<f64>)> {
        let (k, d) = (rows.len(), self.dimension);
        let capacity = self.segments.iter().map(|s| s.iterates.bytes).sum::<u64>();
        if self.shared.staging.bytes < 2 * capacity {
            self.shared.staging = recorder.staging(2 * capacity)?;
        }
        let mut at = 0;
        let mut places = Vec::new();
        for s in &self.segments {
            for (table, buffer) in [&s.iterates, &s.gradients].into_iter().enumerate() {
                let bytes = s.bytes() * self.ring.len() as u64;
                recorder.copy(buffer, 0, &self.shared.staging, at, bytes);
                places.push((table, s.start, s.len, at as usize));
                at += bytes;
            }
        }
        let data = recorder.read(&self.shared.staging, at)?;
        let mut tables = [Array2::zeros((k, d)), Array2::zeros((k, d))];
        for (table, start, len, at) in places {
            for (age, row) in rows.iter().enumerate() {
                for i in 0..len {
                    let word = at + 4 * (row * len + i);
                    tables[table][[age, start + i]] = f64::from(f32::from_ne_bytes([data[word], data[word + 1], data[word + 2], data[word + 3]]));
                }
            }
        }
        let [x, g] = tables;
        Ok((x, g))
    }

    /// Makes basis and mean, and solves the regression, on the device. `rows` are the samples' rows, oldest first. Returns the ridge α.
    fn record_fit(&mut self, recorder: &mut Recorder, config: &SurrogateConfig, plan: &FitPlan, rows: &[usize]) -> Result<f64> {
        let (k, rank, library) = (rows.len(), plan.coordinates.ncols(), plan.library.len());
        let (samples, outputs) = plan.targets.dim();
        let features = plan.features();
        let width = features.ncols();
        let newest = rows.last().copied().unwrap_or(0);
        // Rounded to f32, so that the device undoes exactly what it does.
        let scales = config.regression.column_scales(features.view()).mapv(|s| f64::from(s as f32));
        let ridge = config.regression.ridge.resolve((&features / &scales).view());

        // Samples are numbered by age in the plan and by row in the tables.
        let mut targets = plan.targets.clone();
        if config.lift == Lift::Snapshots {
            for (age, &row) in rows.iter().enumerate() {
                targets.column_mut(row).assign(&plan.targets.column(age));
            }
        }
        let shared = &mut self.shared;
        let (words, pairs) = (|n: usize| 4 * n as u64, |n: usize| 8 * n as u64);
        recorder.ensure(&mut shared.coordinates, "coordinates", pairs(k * rank))?;
        recorder.ensure(&mut shared.terms, "terms", words(plan.library.terms().len()))?;
        recorder.ensure(&mut shared.monomials, "monomials", words(library))?;
        recorder.ensure(&mut shared.weights, "weights", words(outputs))?;
        recorder.ensure(&mut shared.coefficients, "coefficients", pairs(library * outputs))?;
        let scales_at = samples * width;
        let target_at = scales_at + width;
        let regression = &mut shared.regression;
        recorder.ensure(&mut regression.data, "regression.data", pairs(target_at + samples * outputs))?;
        recorder.ensure(&mut regression.coefficients, "regression.coefficients", pairs(width * outputs))?;
        recorder.ensure(&mut regression.support, "regression.support", words(width * outputs))?;
        recorder.ensure(&mut regression.predictions, "regression.predictions", words(samples * outputs))?;
        recorder.upload(&shared.coordinates, &to_pairs(plan.coordinates.view()))?;
        recorder.upload(&shared.terms, plan.library.terms())?;
        let regression = &shared.regression;
        recorder.upload_at(&regression.data, pairs(scales_at), &scales.iter().map(|v| split(*v)).collect::<Vec<_>>())?;
        recorder.upload_at(&regression.data, pairs(target_at), &to_pairs(targets.view()))?;
        if let Some(mix) = &plan.mix {
            recorder.ensure(&mut shared.mix, "mix", pairs(mix.len()))?;
            recorder.upload(&shared.mix, &to_pairs(mix.view()))?;
        }
        if let Some(transform) = &plan.orthonormal {
            recorder.ensure(&mut shared.orthonormal, "orthonormal", pairs(transform.len()))?;
            recorder.upload(&shared.orthonormal, &to_pairs(transform.view()))?;
        }
        recorder.ensure(&mut shared.library, "library", pairs(k * library))?;
        recorder.ensure(&mut shared.mixed, "mixed", pairs(samples * library))?;

        if let Some(space) = &plan.space {
            let mut combination = Array2::zeros((rank, k + 1));
            for (age, &row) in rows.iter().enumerate() {
                combination.column_mut(row).assign(&space.basis.column(age));
            }
            if !config.space.is_centered() {
                combination.column_mut(k).assign(&space.basis.sum_axis(ndarray::Axis(1)));
            }
            recorder.ensure(&mut shared.combination, "combination", words(rank * (k + 1)))?;
            recorder.upload(&shared.combination, &to_f32(combination.view()))?;
        }
        let shared = &self.shared;
        // The full space has no directions, but a mean to measure distances from.
        let directions = if plan.space.is_some() { rank } else { 0 };
        for s in &self.segments {
            let params = RowsCombine { len: s.len as u32, slab: self.slab as u32, rows: k as u32, rank: directions as u32, reference: newest as u32 };
            recorder.dispatch(params, &[&s.iterates, &shared.combination, &s.basis, &s.mean], [s.slabs as u32, directions.div_ceil(8).max(1) as u32, 1])?;
        }

        // Θ, A Θ and A Θ T, the last of them where the regression reads it.
        let stages = usize::from(plan.mix.is_some()) + usize::from(plan.orthonormal.is_some());
        let data = &shared.regression.data;
        let params = FeaturesEvaluate { rows: k as u32, variables: rank as u32, features: library as u32, order: plan.library.order() as u32 };
        let into = if stages == 0 { data } else { &shared.library };
        recorder.dispatch(params, &[&shared.coordinates, &shared.terms, into], [library.div_ceil(64) as u32, k as u32, 1])?;
        let multiply =
            |rows: usize, inner: usize, columns: usize| MatrixMultiply { rows: rows as u32, inner: inner as u32, columns: columns as u32, reserved: 0 };
        let shape = |rows: usize, columns: usize| [columns.div_ceil(64) as u32, rows as u32, 1];
        let mut rows_so_far = &shared.library;
        if plan.mix.is_some() {
            let into = if plan.orthonormal.is_some() { &shared.mixed } else { data };
            recorder.dispatch(multiply(samples, k, library), &[&shared.mix, rows_so_far, into], shape(samples, library))?;
            rows_so_far = into;
        }
        if plan.orthonormal.is_some() {
            recorder.dispatch(multiply(samples, library, width), &[rows_so_far, &shared.orthonormal, data], shape(samples, width))?;
        }
        let params = ColumnsScale { rows: samples as u32, features: width as u32, scales_at: scales_at as u32 };
        recorder.dispatch(params, &[data], shape(samples, width))?;
        let mut problems: Vec<Problem> = (0..outputs as u32)
            .map(|column| Problem {
                scales_at: scales_at as u32,
                target_at: target_at as u32 + column,
                target_stride: outputs as u32,
                coefficient_at: column,
                coefficient_stride: outputs as u32,
                prediction_at: column,
                prediction_stride: outputs as u32,
                ..regression::problem(samples, width, &config.regression, ridge)
            })
            .collect();
        self.shared.regression.record(recorder, &mut problems)?;
        let shared = &self.shared;
        let solved = &shared.regression.coefficients;
        if plan.orthonormal.is_some() {
            let buffers = [&shared.orthonormal, solved, &shared.coefficients];
            recorder.dispatch(multiply(library, width, outputs), &buffers, shape(library, outputs))?;
        } else {
            recorder.copy(solved, 0, &shared.coefficients, 0, pairs(library * outputs));
        }
        Ok(ridge)
    }

    /// Records U (x − c) (or x itself) and |x − mean|² into the totals.
    fn record_projection(&self, recorder: &mut Recorder, model: &Model, place: Place) -> Result<()> {
        let (shared, slab) = (&self.shared, self.slab as u32);
        let rank = model.plan.coordinates.ncols();
        let directions = if model.plan.space.is_some() { rank } else { 0 };
        for s in &self.segments {
            let params = StateProject {
                len: s.len as u32,
                slab,
                first_slab: s.first_slab as u32,
                rank: directions as u32,
                centered: u32::from(model.config.space.is_centered()),
            };
            let buffers = [&shared.phase, &s.basis, &s.mean, s.at(place).0, &shared.partials];
            recorder.dispatch(params, &buffers, [s.slabs as u32, (directions + 1).div_ceil(8) as u32, 1])?;
            if directions == 0 {
                let params = StateGather { len: s.len as u32, slab, first: s.start as u32 };
                recorder.dispatch(params, &[&shared.phase, s.at(place).0, &shared.totals], groups(s))?;
            }
        }
        self.record_reduction(recorder, directions + 1, rank - directions)
    }

    /// Records surrogate iterations of a flow whose state is the reduced coordinate alone: one dispatch, whatever d and the number of steps.
    fn record_reduced(&mut self, recorder: &mut Recorder, model: &Model, limits: PhaseLimits, h: f64) -> Result<()> {
        let (rule, rtol, atol) = match limits.integrator {
            Integrator::FlowStep | Integrator::Euler => (&integrator::EULER, -1.0, 0.0),
            Integrator::Rk4 => (&integrator::RK4, -1.0, 0.0),
            Integrator::DormandPrince { rtol, atol } => (&integrator::DORMAND_PRINCE, rtol, atol),
        };
        let stages = rule.times.len();
        let rank = model.plan.coordinates.ncols();
        let scale = model.plan.space.as_ref().map_or(1.0, |s| s.scale);
        let mut constants = vec![0.0_f32; stages * (stages + 2)];
        for (s, row) in rule.stages.iter().enumerate() {
            row.iter().enumerate().for_each(|(t, a)| constants[s * stages + t] = *a as f32);
        }
        for (t, b) in rule.weights.iter().enumerate() {
            constants[stages * stages + t] = *b as f32;
        }
        for (t, e) in rule.error.iter().enumerate() {
            constants[stages * (stages + 1) + t] = *e as f32;
        }
        let k = model.plan.coordinates.nrows() as f64;
        // About the mean itself if the space is centred.
        constants
            .extend(model.plan.coordinates.columns().into_iter().map(|c| if model.config.space.is_centered() { 0.0 } else { (c.sum() / k * scale) as f32 }));
        recorder.ensure(&mut self.shared.rule, "rule", 4 * constants.len() as u64)?;
        recorder.ensure(&mut self.shared.reduced, "reduced", 4 * ((4 + stages) * rank + model.plan.library.len()) as u64)?;
        recorder.upload(&self.shared.rule, &constants)?;
        let turns = {
            let (per_thread, features) = (rank.div_ceil(256), model.plan.library.len());
            let derivative = features.div_ceil(256) * (1 + model.plan.library.order()) + per_thread * (1 + features.div_ceil(16));
            // A few reductions and passes over y per step; step control may take many inner steps.
            let inner = if rtol < 0.0 { 1 } else { 64 };
            inner * ((stages + 1) * (derivative + per_thread * (1 + stages)) + 4 * (8 + per_thread)) + 40
        };
        let chunk = if recorder.gpu.is_software() { (MESA_TURNS / turns).max(1) } else { limits.steps };
        if recorder.gpu.is_software() && turns > MESA_TURNS && rtol < 0.0 {
            return Err(Error::Incompatible(format!(
                "a surrogate with {} features of {rank} variables is beyond what the software adapter {} computes correctly; use the CPU engine",
                model.plan.library.len(),
                recorder.gpu.info.name
            )));
        }
        for begin in (0..limits.steps).step_by(chunk.max(1)) {
            self.record_projection(recorder, model, Place::State)?;
            let shared = &self.shared;
            let params = ReducedIntegrate {
                rank: rank as u32,
                features: model.plan.library.len() as u32,
                order: model.plan.library.order() as u32,
                steps: chunk.min(limits.steps - begin) as u32,
                h: h as f32,
                inverse_scale: (1.0 / scale) as f32,
                radius: model.radius as f32,
                trust: finite_or_none(limits.radius),
                stages: stages as u32,
                rtol: rtol as f32,
                atol: atol as f32,
                smallest: integrator::SMALLEST as f32,
            };
            let buffers = [&shared.phase, &shared.totals, &shared.terms, &shared.coefficients, &shared.rule, &shared.reduced];
            recorder.dispatch(params, &buffers, [1, 1, 1])?;
            for s in &self.segments {
                let rows = if model.plan.space.is_some() { rank } else { 0 };
                let params = ReducedLift { len: s.len as u32, slab: self.slab as u32, rows: rows as u32, first: s.start as u32, rank: rank as u32 };
                recorder.dispatch(params, &[&shared.reduced, &s.basis, &s.iterate], groups(s))?;
            }
        }
        Ok(())
    }

    /// Records surrogate steps by a Runge–Kutta rule on the flow's differential equation, for states of size d.
    fn record_equation(&mut self, recorder: &mut Recorder, model: &Model, limits: PhaseLimits, h: f64) -> Result<()> {
        let rule = match limits.integrator {
            Integrator::Euler => &integrator::EULER,
            Integrator::Rk4 => &integrator::RK4,
            _ => {
                return Err(Error::Incompatible(
                    "on the GPU engine Dormand-Prince goes with flows whose state is the reduced coordinate alone (gradient descent or Newton along the trajectory)".into(),
                ));
            }
        };
        let n = self.flow.equation_vectors();
        for s in self.segments.iter_mut().filter(|s| s.equation.as_ref().is_none_or(|e| e.slopes.len() < rule.times.len())) {
            let vector = s.bytes();
            let mut used = |v: usize, name: &str| recorder.buffer(name, if v < n { vector } else { 0 });
            let at = (0..3).map(|v| used(v, "stage")).collect::<Result<_>>()?;
            let slopes = rule.times.iter().map(|_| Ok([used(0, "slope")?, used(1, "slope")?, used(2, "slope")?])).collect::<Result<_>>()?;
            s.equation = Some(EquationBuffers { at, gradient: used(0, "stage_gradient")?, slopes });
        }
        let slab = self.slab as u32;
        let equations = |segment: &Segment, f: &mut dyn FnMut(&Segment, &EquationBuffers) -> Result<()>| match &segment.equation {
            Some(equation) => f(segment, equation),
            None => Ok(()),
        };
        // Steps after the phase has ended copy what the last one left: begin with the state itself.
        for segment in &self.segments {
            equations(segment, &mut |s, e| {
                (0..n).for_each(|v| recorder.copy(s.vector(v), 0, &e.at[v], 0, s.bytes()));
                Ok(())
            })?;
        }
        for k in 0..limits.steps as u64 {
            let t = (self.steps + k) as f64 * h;
            for (stage, (c, row)) in rule.times.iter().zip(rule.stages).enumerate() {
                let place = if stage == 0 { Place::State } else { Place::Stage };
                self.record_combination(recorder, row, h, n)?;
                self.record_prediction(recorder, model, if stage == 0 { limits.radius } else { f64::INFINITY }, place)?;
                let slope = self.equation_slope(t + c * h);
                for segment in &self.segments {
                    equations(segment, &mut |s, e| {
                        let moment = |v: usize| if stage == 0 { s.vector(v) } else { &e.at[v] };
                        let [x, m, v] = &e.slopes[stage];
                        let buffers = [&self.shared.phase, s.at(place).1, moment(1), moment(2), s.vector(3), x, m, v];
                        recorder.dispatch(EquationSlope { len: s.len as u32, slab, ..slope }, &buffers, groups(s))
                    })?;
                }
            }
            self.record_combination(recorder, rule.weights, h, n)?;
            let amsgrad = u32::from(matches!(self.flow, Flow::Adam(flow) if flow.amsgrad));
            for segment in &self.segments {
                equations(segment, &mut |s, e| {
                    let params = StateAccept { len: s.len as u32, slab, first_slab: s.first_slab as u32, amsgrad };
                    let buffers = [&self.shared.phase, &s.gradient, &e.at[0], &e.at[2], &s.iterate, s.vector(3), &self.shared.partials];
                    recorder.dispatch(params, &buffers, groups(s))
                })?;
            }
            recorder.dispatch(PhaseAccount { slabs: self.slabs as u32 }, &[&self.shared.phase, &self.shared.partials], [1, 1, 1])?;
            for segment in &self.segments {
                equations(segment, &mut |s, e| {
                    (1..n).for_each(|v| recorder.copy(&e.at[v], 0, s.vector(v), 0, s.bytes()));
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Records at ← state + h Σ wₜ slopeₜ for every vector of the equation.
    fn record_combination(&self, recorder: &mut Recorder, weights: &[f64], h: f64, n: usize) -> Result<()> {
        for s in &self.segments {
            let Some(e) = &s.equation else { continue };
            for v in 0..n {
                for (number, (t, weight)) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0).enumerate() {
                    let params = VectorCombine { len: s.len as u32, slab: self.slab as u32, factor: (h * weight) as f32, from_base: u32::from(number == 0) };
                    recorder.dispatch(params, &[&self.shared.phase, s.vector(v), &e.slopes[t][v], &e.at[v]], groups(s))?;
                }
            }
        }
        Ok(())
    }

    /// The flow's differential equation at flow time `t`, for the kernel.
    fn equation_slope(&self, t: f64) -> EquationSlope {
        match self.flow {
            Flow::Momentum(flow) => EquationSlope { equation: 1, friction: flow.friction as f32, ..EquationSlope::default() },
            Flow::Adam(flow) => {
                let [correction1, correction2] = flow.corrections_at(t);
                EquationSlope {
                    equation: 2,
                    gain1: ((1.0 - flow.beta1) / flow.rate) as f32,
                    gain2: ((1.0 - flow.beta2) / flow.rate) as f32,
                    correction1: correction1 as f32,
                    correction2: correction2 as f32,
                    epsilon: flow.epsilon as f32,
                    amsgrad: u32::from(flow.amsgrad),
                    ..EquationSlope::default()
                }
            }
            _ => EquationSlope::default(),
        }
    }

    /// Records the prediction of the gradient at the current x (or at a Runge–Kutta stage's); only the former begins a surrogate step.
    fn record_prediction(&self, recorder: &mut Recorder, model: &Model, trust: f64, place: Place) -> Result<()> {
        let (shared, slab) = (&self.shared, self.slab as u32);
        let rank = model.plan.coordinates.ncols();
        self.record_projection(recorder, model, place)?;
        let params = WeightsEvaluate {
            rank: rank as u32,
            features: model.plan.library.len() as u32,
            order: model.plan.library.order() as u32,
            outputs: model.outputs as u32,
            inverse_scale: (1.0 / model.plan.space.as_ref().map_or(1.0, |s| s.scale)) as f32,
            radius: model.radius as f32,
            trust: finite_or_none(trust),
            counts: u32::from(place == Place::State),
        };
        let buffers = [&shared.phase, &shared.totals, &shared.terms, &shared.coefficients, &shared.monomials, &shared.weights];
        recorder.dispatch(params, &buffers, [1, 1, 1])?;
        let (log_damped, damping) = match model.config.transform {
            TargetTransform::Identity => (0, 0.0),
            TargetTransform::LogDamped { damping } => (1, damping as f32),
        };
        for s in &self.segments {
            let params = GradientLift {
                len: s.len as u32,
                slab,
                rows: if self.is_direct(model) { 0 } else { model.outputs as u32 },
                first: s.start as u32,
                log_damped,
                damping,
                iterate_floor: TargetTransform::ITERATE_FLOOR as f32,
            };
            let (iterate, gradient) = s.at(place);
            let buffers = [&shared.phase, self.lift_table(s, &model.config), &shared.weights, iterate, gradient];
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

    fn set_gradient(&mut self, gradient: &[f64]) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        if gradient.len() != run.dimension {
            return Err(Error::Length { name: "the gradient", found: gradient.len(), expected: run.dimension });
        }
        for s in &run.segments {
            let here: Vec<f32> = gradient[s.start..s.start + s.len].iter().map(|g| *g as f32).collect();
            self.recorder.upload(&s.gradient, &here)?;
        }
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
        run.record_step(&mut self.recorder, run.steps)
    }

    fn fit(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let rows = run.ring.rows();
        if rows.is_empty() {
            return Err(Error::invalid("the number of recorded samples", 0, "at least 1"));
        }
        let empty = || Array2::zeros((0, 0));
        let (plan, yy, radius) = match config.space {
            SpaceConfig::Full => {
                let (x, g) = run.read_samples(&mut self.recorder, &rows)?;
                let targets = ndarray::Zip::from(&g).and(&x).map_collect(|g, x| config.transform.encode(*g, *x));
                if config.lift == Lift::Snapshots {
                    run.record_encoding(&mut self.recorder, config)?;
                }
                let plan = FitPlan::full(config, &run.flow, x.view(), targets.view())?;
                let mean = x.mean_axis(ndarray::Axis(0)).unwrap_or_default();
                let radius = x.rows().into_iter().map(|row| (&row - &mean).mapv(|v| v * v).sum().sqrt()).fold(0.0, f64::max);
                self.recorder.ensure(&mut run.shared.totals, "totals", 8 * (run.dimension as u64 + 1))?;
                (plan, if config.lift == Lift::Snapshots { targets.dot(&targets.t()) } else { empty() }, radius)
            }
            SpaceConfig::Reduced { .. } => {
                let newest = rows[rows.len() - 1];
                let by_row = run.read_grams(&mut self.recorder, config, self.eft, newest)?;
                let by_age = |gram: Array2<f64>| if gram.is_empty() { gram } else { gram.select(ndarray::Axis(0), &rows).select(ndarray::Axis(1), &rows) };
                let grams = Grams { xx: by_age(by_row.xx), xy: by_age(by_row.xy), yy: by_age(by_row.yy), resolution: by_row.resolution };
                let plan = FitPlan::reduced(config, &run.flow, &grams)?;
                let radius = plan.space.as_ref().map_or(0.0, |s| s.radius);
                (plan, grams.yy, radius)
            }
            SpaceConfig::Implicit => return Err(Error::Incompatible("the implicit library runs on the CPU engine only".into())),
        };
        let ridge = run.record_fit(&mut self.recorder, config, &plan, &rows)?;
        let fit = Fit {
            samples: rows.len(),
            rank: plan.coordinates.ncols(),
            energy: plan.space.as_ref().map_or(1.0, |s| s.energy),
            features: plan.library.len(),
            ridge,
        };
        let outputs = plan.targets.ncols();
        run.model = Some(Model { config: *config, plan, yy, radius, outputs, reported: false });
        Ok(fit)
    }

    fn integrate(&mut self, limits: PhaseLimits) -> Result<()> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        let Some(model) = run.model.take() else { return Err(Error::Incompatible("integrate() comes after fit()".into())) };
        match (run.flow.rate(), limits.integrator) {
            (Some(h), _) if run.flow.is_driven_by_velocity() && model.config.lift == Lift::Trajectory => {
                run.record_reduced(&mut self.recorder, &model, limits, h)?
            }
            (_, Integrator::FlowStep) => {
                for k in 1..=limits.steps as u64 {
                    run.record_prediction(&mut self.recorder, &model, limits.radius, Place::State)?;
                    run.record_step(&mut self.recorder, run.steps + k)?;
                }
            }
            (rate, _) => run.record_equation(&mut self.recorder, &model, limits, rate.unwrap_or(0.0))?,
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
            recorder.copy(&run.shared.regression.predictions, 0, staging, head as u64, 4 * predicted as u64);
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
            run.fit_residual = Some(model.plan.residual(predictions.view(), &model.config, model.yy.view()));
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

    fn regress(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
        regression::solve_batch(&mut self.recorder, batch)
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
