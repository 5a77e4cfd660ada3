//! A run's resident data: segments of unknowns, shared buffers, the fitted model.

use ndarray::Array2;

use super::kernels::{OC_SCALES, PROJECTION_MULTIPLIERS, PartialsReduce, PhaseState, Search};
use super::mirror::Mirror;
use super::recording::{Buffer, Recorder};
use super::regression::RegressionBuffers;
use crate::engine::fit::FitPlan;
use crate::engine::interface::{Samples, Setup, TableFormat};
use crate::engine::ring::Ring;
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::objective::Domain;
use crate::surrogate::SurrogateConfig;
use crate::surrogate::integrator::Tableau;
use crate::surrogate::potential::Polynomial;

/// Stands for "no row" in kernels.
pub(super) const NO_ROW: u32 = u32::MAX;
/// Singular values, relative to the largest, that the device resolves: those of f32 data, and of Gram
/// matrices without double-word sums.
pub(super) const RESOLUTION: f64 = 4.0 * f32::EPSILON as f64;
pub(super) const RESOLUTION_PLAIN: f64 = 1.0 / 256.0;
/// The most bytes that the Gram matrix's partial sums may take.
pub(super) const GRAM_PARTIALS_BYTES: u64 = 64 << 20;

/// Segments are not made shorter than this for the sake of time: a dispatch of fewer workgroups leaves most
/// of a device idle and takes no less.
pub(super) const LEAST_SLABS: usize = 64;

/// One stretch of consecutive unknowns.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) first_slab: usize,
    pub(super) slabs: usize,
    pub(super) iterate: Buffer,
    pub(super) gradient: Buffer,
    /// The flow's own vectors, one after another (ADAM: m, v and AMSGrad's maximum; momentum: m).
    pub(super) auxiliary: Buffer,
    /// Copies of iterate, gradient and auxiliary.
    pub(super) trusted: [Buffer; 3],
    /// OC and projected gradient: volume weights; OC: growth.
    pub(super) volume_weights: Buffer,
    pub(super) growth: Buffer,
    /// A learned potential: the step, and the gradient of the potential.
    pub(super) direction: Buffer,
    pub(super) slope: Buffer,
    /// K×len each: recorded x and g, transformed targets, basis, which the mean follows as a row of its own:
    /// kernels may bind eight buffers. With a history of pairs `iterates` holds K displacements, K changes of
    /// the gradient and a row of zeros, and the basis 2K rows and the mean.
    pub(super) iterates: Buffer,
    pub(super) gradients: Buffer,
    pub(super) encoded: Buffer,
    pub(super) basis: Buffer,
    /// Made by the first phase that integrates a differential equation of size d.
    pub(super) equation: Option<EquationBuffers>,
}

/// Vectors of a Runge–Kutta step.
#[derive(Debug)]
pub(super) struct EquationBuffers {
    /// x, and the moments one after another, at a stage, and at last at the step's end.
    pub(super) at: [Buffer; 2],
    pub(super) gradient: Buffer,
    /// Slopes of x and of the moments, per stage.
    pub(super) slopes: Vec<[Buffer; 2]>,
    /// Dormand–Prince: where inside the iteration the trial step begins, and its error.
    pub(super) start: Option<[Buffer; 2]>,
    pub(super) error: Option<Buffer>,
}

impl EquationBuffers {
    pub(super) fn new(recorder: &mut Recorder, vectors: usize, bytes: u64, rule: &Tableau) -> Result<Self> {
        let embedded = !rule.error.is_empty();
        let moments = (vectors - 1) as u64 * bytes;
        let mut state = |name: &str| Ok([recorder.buffer(name, bytes)?, recorder.buffer(name, moments)?]);
        Ok(Self {
            at: state("stage")?,
            slopes: rule.times.iter().map(|_| state("slope")).collect::<Result<_>>()?,
            start: if embedded { Some(state("trial_start")?) } else { None },
            error: if embedded { Some(recorder.buffer("trial_error", bytes.max(moments))?) } else { None },
            gradient: recorder.buffer("stage_gradient", bytes)?,
        })
    }

    /// Whether these are enough for `rule`.
    pub(super) fn suits(&self, rule: &Tableau) -> bool {
        self.slopes.len() >= rule.times.len() && (rule.error.is_empty() || self.error.is_some())
    }
}

/// Where a prediction is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the state.
    State,
    /// At a stage of a Runge–Kutta step.
    Stage,
}

impl Model {
    /// Rows of the lift's table, columns of Ξ.
    pub(super) fn outputs(&self) -> usize {
        self.plan.as_ref().map_or(self.samples, |plan| plan.targets.ncols())
    }
}

impl Segment {
    /// The iterate and the gradient at `place`.
    pub(super) fn at(&self, place: Place) -> (&Buffer, &Buffer) {
        match (place, &self.equation) {
            (Place::Stage, Some(equation)) => (&equation.at[0], &equation.gradient),
            _ => (&self.iterate, &self.gradient),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        4 * self.len as u64
    }

    /// The state's vectors and where they are saved.
    pub(super) fn state(&self) -> impl Iterator<Item = (&Buffer, &Buffer)> {
        [&self.iterate, &self.gradient, &self.auxiliary].into_iter().zip(&self.trusted)
    }
}

/// Buffers whose size does not depend on d, and the partial sums.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) phase: Buffer,
    /// Zeros: for kernels of a phase outside one.
    pub(super) no_phase: Buffer,
    /// What the search for the volume's multiplier keeps.
    pub(super) search: Buffer,
    /// Partial sums per slab, and their totals.
    pub(super) partials: Buffer,
    pub(super) totals: Buffer,
    /// B, Z, the monomials' factors, A, T.
    pub(super) combination: Buffer,
    pub(super) coordinates: Buffer,
    pub(super) terms: Buffer,
    pub(super) mix: Buffer,
    pub(super) orthonormal: Buffer,
    /// Θ at all samples, A Θ, and the regression with Θ' = A Θ T.
    pub(super) library: Buffer,
    pub(super) mixed: Buffer,
    pub(super) regression: RegressionBuffers,
    /// Ξ in terms of Θ.
    pub(super) coefficients: Buffer,
    /// The Runge–Kutta rule with the samples' mean, and the state of a reduced integration.
    pub(super) rule: Buffer,
    pub(super) reduced: Buffer,
    /// Θ(z) and w of the current step.
    pub(super) monomials: Buffer,
    pub(super) weights: Buffer,
    /// A learned potential: λ and ψ, and what `potential_step.wgsl` keeps.
    pub(super) learned: Buffer,
    pub(super) potential: Buffer,
    pub(super) staging: Buffer,
}

/// A fitted surrogate, as far as the host needs it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) config: SurrogateConfig,
    /// None for the implicit library.
    pub(super) plan: Option<FitPlan>,
    /// K.
    pub(super) samples: usize,
    /// Y Yᵀ of the samples' targets, for the residual of a snapshot lift.
    pub(super) yy: Array2<f64>,
    /// The samples' largest distance from their mean.
    pub(super) radius: f64,
    /// Whether its predictions have been read.
    pub(super) reported: bool,
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) flow: Flow,
    pub(super) domain: Domain,
    pub(super) dimension: usize,
    pub(super) slab: usize,
    pub(super) slabs: usize,
    pub(super) ring: Ring,
    pub(super) mirror: Mirror,
    pub(super) segments: Vec<Segment>,
    pub(super) shared: Shared,
    pub(super) model: Option<Model>,
    pub(super) potential: Option<Polynomial>,
    /// Inner products of a history of pairs, displacements by row and changes of the gradient by row; and the
    /// rows of the pairs whose are not known yet.
    pub(super) pair_products: Array2<f64>,
    pub(super) new_pairs: Vec<usize>,
    /// Steps taken, as far as the host knows, and the trusted state's.
    pub(super) steps: u64,
    pub(super) trusted_steps: u64,
    /// The step size Dormand–Prince has come to.
    pub(super) inner_step: f64,
    /// Residual of the latest fit whose predictions have been read.
    pub(super) fit_residual: Option<f64>,
}

pub(super) fn not_started() -> Error {
    Error::Incompatible("the engine has not been started".into())
}

pub(super) fn groups(segment: &Segment) -> [u32; 3] {
    [segment.slabs as u32, 1, 1]
}

/// Workgroups of a projection on `directions` rows: eight to a workgroup, the first of which has what goes
/// with a projection as well.
pub(super) fn projection_groups(segment: &Segment, directions: usize) -> [u32; 3] {
    [segment.slabs as u32, directions.div_ceil(8).max(1) as u32, 1]
}

/// Unordered pairs of 4-row blocks in a stack of `rows` rows.
pub(super) fn block_pairs(rows: usize) -> usize {
    let blocks = rows.div_ceil(4);
    blocks * (blocks + 1) / 2
}

/// Bytes of `directions` directions of `len` unknowns, and their mean.
pub(super) fn basis_bytes(tables: TableFormat, len: usize, directions: usize) -> u64 {
    // Whole words.
    let direction = (tables.bytes(4) * len as u64).next_multiple_of(4);
    directions as u64 * direction + 4 * len as u64
}

/// Unknowns per slab: a power of two, so that there are at most 1024 slabs and the Gram matrix's partial sums
/// stay small.
pub(super) fn slab_length(dimension: usize, capacity: usize) -> usize {
    let bytes_per_slab = 128 * block_pairs(2 * capacity).max(1) as u64;
    let slabs = (GRAM_PARTIALS_BYTES / bytes_per_slab).clamp(1, 1024) as usize;
    dimension.div_ceil(slabs).next_power_of_two().max(1024)
}

impl Run {
    /// `longest`: unknowns that a segment may have, beyond what its bindings allow.
    pub(super) fn new(
        recorder: &mut Recorder,
        setup: Setup<'_>,
        max_binding: u64,
        longest: Option<usize>,
    ) -> Result<Self> {
        let (dimension, capacity) = (setup.start.len(), setup.capacity);
        let is_pairs = setup.samples == Samples::Pairs;
        let table_rows = if is_pairs { 2 * capacity + 1 } else { capacity };
        let mut slab = slab_length(dimension, capacity);
        // The longest: the basis with its mean, a history, or the flow's own vectors.
        let directions = setup.resident().basis;
        let basis_rows = 1 + (recorder.variant.tables.bytes(4) * directions as u64).div_ceil(4) as usize;
        let bound_rows = basis_rows.max(table_rows).max(setup.flow.auxiliary_vectors()).max(1);
        let bindable = (max_binding / 4 / bound_rows as u64) as usize;
        if bindable < 256 {
            return Err(Error::Memory {
                what: format!("256 unknowns of {bound_rows} vectors"),
                needed: 1024 * bound_rows as u64,
                available: Some(max_binding),
            });
        }
        // Bindings too small for one slab: shorter slabs, down to the width of a workgroup.
        while slab > bindable {
            slab /= 2;
        }
        let segment_length =
            longest.map_or(bindable, |longest| bindable.min(longest.max(LEAST_SLABS * slab))) / slab * slab;
        let slabs = dimension.div_ceil(slab);
        let weights = match setup.domain {
            Domain::BoxVolume { weights, .. } => Some(weights),
            Domain::Unbounded | Domain::Box { .. } => None,
        };
        let is_oc = matches!(setup.flow, Flow::OptimalityCriteria(_));
        let has_volume = weights.is_some()
            && matches!(setup.flow, Flow::OptimalityCriteria(_) | Flow::ProjectedGradient(_));
        let mut segments = Vec::new();
        for start in (0..dimension).step_by(segment_length) {
            let len = segment_length.min(dimension - start);
            let vector = 4 * len as u64;
            let table = vector * table_rows as u64;
            let auxiliary = vector * setup.flow.auxiliary_vectors() as u64;
            let segment = Segment {
                start,
                len,
                first_slab: start / slab,
                slabs: len.div_ceil(slab),
                iterate: recorder.buffer("iterate", vector)?,
                gradient: recorder.buffer("gradient", vector)?,
                auxiliary: recorder.buffer("auxiliary", auxiliary)?,
                trusted: [
                    recorder.buffer("trusted", vector)?,
                    recorder.buffer("trusted", vector)?,
                    recorder.buffer("trusted", auxiliary)?,
                ],
                volume_weights: recorder.buffer("volume_weights", if has_volume { vector } else { 0 })?,
                growth: recorder.buffer("growth", if is_oc { vector } else { 0 })?,
                iterates: recorder.buffer("iterates", table)?,
                gradients: recorder.buffer("gradients", if is_pairs { 0 } else { table })?,
                direction: recorder.buffer("direction", if is_pairs { vector } else { 0 })?,
                slope: recorder.buffer("slope", if is_pairs { vector } else { 0 })?,
                // Allocated here, so that a lack of memory shows before the first true evaluation.
                encoded: recorder.buffer("encoded", if is_oc { table } else { 0 })?,
                basis: recorder.buffer(
                    "basis",
                    if capacity > 0 { basis_bytes(recorder.variant.tables, len, directions) } else { 0 },
                )?,
                equation: None,
            };
            let here = start..start + len;
            recorder.upload(
                &segment.iterate,
                &setup.start[here.clone()].iter().map(|v| *v as f32).collect::<Vec<_>>(),
            )?;
            if let (true, Some(weights)) = (has_volume, weights) {
                recorder.upload(
                    &segment.volume_weights,
                    &weights[here].iter().map(|v| *v as f32).collect::<Vec<_>>(),
                )?;
            }
            segments.push(segment);
        }
        // Values per slab: Gram blocks, a projection with what goes with it, or candidates for a multiplier.
        let values = (16 * block_pairs(2 * capacity)).max(2 * capacity + 3).max(32) as u64;
        let phase = recorder.buffer("phase", size_of::<PhaseState>() as u64)?;
        let no_phase = recorder.buffer("no_phase", size_of::<PhaseState>() as u64)?;
        let search = recorder.buffer("search", size_of::<Search>() as u64)?;
        let mut small = |name: &str| recorder.buffer(name, 0);
        let shared = Shared {
            phase,
            no_phase,
            search,
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
            learned: small("learned")?,
            potential: small("potential")?,
            staging: recorder.staging(0)?,
            regression: RegressionBuffers::new(recorder)?,
            partials: recorder.buffer("partials", 8 * values * slabs as u64)?,
            totals: recorder.buffer("totals", 8 * values)?,
        };
        recorder
            .upload(&shared.search, &[Search::new(if is_oc { OC_SCALES } else { PROJECTION_MULTIPLIERS })])?;
        Ok(Self {
            flow: setup.flow,
            domain: setup.domain.clone(),
            dimension,
            slab,
            slabs,
            ring: Ring::new(capacity),
            mirror: Mirror::new(setup.start),
            segments,
            shared,
            model: None,
            potential: None,
            pair_products: Array2::zeros(if is_pairs { (2 * capacity, 2 * capacity) } else { (0, 0) }),
            new_pairs: Vec::new(),
            steps: 0,
            trusted_steps: 0,
            inner_step: 0.0,
            fit_residual: None,
        })
    }

    /// The bounds, and the volume if there is one. WGSL has no infinities.
    pub(super) fn limits(&self) -> (f32, f32, Option<f64>) {
        match &self.domain {
            Domain::Unbounded => (f32::MIN, f32::MAX, None),
            Domain::Box { lower, upper } => (*lower as f32, *upper as f32, None),
            Domain::BoxVolume { lower, upper, volume, .. } => (*lower as f32, *upper as f32, Some(*volume)),
        }
    }

    /// Makes room for so many directions, where the run was not told of them.
    pub(super) fn ensure_directions(&mut self, recorder: &mut Recorder, directions: usize) -> Result<()> {
        let tables = recorder.variant.tables;
        self.segments
            .iter_mut()
            .try_for_each(|s| recorder.ensure(&mut s.basis, "basis", basis_bytes(tables, s.len, directions)))
    }

    /// Drops the samples.
    pub(super) fn forget(&mut self) {
        self.ring.clear();
        self.new_pairs.clear();
    }

    /// Adds up the slabs' partial sums of `values` values into `totals` from `first` on.
    pub(super) fn record_reduction(
        &self,
        recorder: &mut Recorder,
        values: usize,
        totals: &Buffer,
        first: usize,
    ) -> Result<()> {
        let params = PartialsReduce { slabs: self.slabs as u32, values: values as u32, first: first as u32 };
        let groups = [values.min(65535) as u32, values.div_ceil(65535) as u32, 1];
        recorder.dispatch(params, &[&self.shared.partials, totals], groups)
    }
}
