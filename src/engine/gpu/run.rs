//! A run's resident data: segments of unknowns, shared buffers, the fitted model.

use std::ops::Range;

use ndarray::Array2;

use super::buffers::Buffer;
use super::counts::{self, block_pairs};
use super::kernels::{PartialsReduce, bindings};
use super::mirror::Mirror;
use super::recording::Recorder;
use super::regression::RegressionBuffers;
use super::shared::{
    BLOCK_ENTRIES, MOST_CANDIDATES, NO_ROW, OC_SCALES, PROJECTION_MULTIPLIERS, PhaseState, Search,
};
use crate::domain::BoundsRef;
use crate::engine::fit::FitPlan;
use crate::engine::interface::{DomainRows, Samples, Setup, TableFormat};
use crate::engine::ring::Ring;
use crate::error::{EngineError, Error, Result};
use crate::flow::Flow;
use crate::surrogate::SurrogateConfig;
use crate::surrogate::integrator::Tableau;
use crate::surrogate::potential::Polynomial;

/// Singular values, relative to the largest, that the device resolves: those of f32 data, and of Gram
/// matrices without double-word sums.
pub(super) const RESOLUTION: f64 = 4.0 * f32::EPSILON as f64;
pub(super) const RESOLUTION_PLAIN: f64 = 1.0 / 256.0;
/// The most bytes that the Gram matrix's partial sums may take.
pub(super) const GRAM_PARTIALS_BYTES: u64 = 64 << 20;

/// Segments are not made shorter than this for the sake of time: a dispatch of fewer workgroups leaves most
/// of a device idle and takes no less.
pub(super) const LEAST_SLABS: usize = 64;

/// A stretch of consecutive unknowns, with every vector and table of them in a buffer of its own.
#[derive(Debug)]
pub(super) struct Segment {
    /// The number of its first unknown.
    pub(super) start: usize,
    /// The number of its unknowns.
    pub(super) len: usize,
    /// The number of its first slab.
    pub(super) first_slab: usize,
    /// The number of its slabs.
    pub(super) slabs: usize,
    /// The iterate x of the state.
    pub(super) iterate: Buffer,
    /// The gradient g that the next step is driven by.
    pub(super) gradient: Buffer,
    /// The flow's own vectors, one after another (ADAM: m, v and AMSGrad's maximum; momentum: m).
    pub(super) auxiliary: Buffer,
    /// The trusted state: copies of the iterate, the gradient and the flow's own vectors.
    pub(super) trusted: [Buffer; 3],
    /// What the domain says of every unknown, for OC and for projected steps: the rows of [`DomainRows`].
    pub(super) domain: Buffer,
    /// What x becomes by OC at multiplier 1, before it is clipped.
    pub(super) growth: Buffer,
    /// The projected step on a learned potential.
    pub(super) direction: Buffer,
    /// The gradient of a learned potential.
    pub(super) slope: Buffer,
    /// The recorded iterates, K×len. A history of pairs has K displacements, K changes of the gradient and a
    /// row of zeros here.
    pub(super) iterates: Buffer,
    /// The recorded gradients, K×len.
    pub(super) gradients: Buffer,
    /// The transformed targets of the samples, K×len.
    pub(super) encoded: Buffer,
    /// The directions of the basis, then the samples' mean as a row of its own, because a kernel may bind
    /// eight buffers at most.
    pub(super) basis: Buffer,
    /// The vectors of a Runge–Kutta step, made by the first phase that integrates a differential equation of
    /// size d.
    pub(super) equation: Option<EquationBuffers>,
}

/// The vectors of a Runge–Kutta step.
#[derive(Debug)]
pub(super) struct EquationBuffers {
    /// x, and the moments one after another, at a stage, and at last at the step's end.
    pub(super) at: [Buffer; 2],
    /// The predicted gradient at a stage.
    pub(super) gradient: Buffer,
    /// The slopes of x and of the moments, stage by stage.
    pub(super) slopes: Vec<[Buffer; 2]>,
    /// The vectors that only a rule with an error estimate needs.
    trial: Option<TrialBuffers>,
}

/// Vectors of a trial step, which an error estimate accepts or rejects.
#[derive(Debug)]
pub(super) struct TrialBuffers {
    /// Where inside the iteration the trial step begins: x, and the moments one after another.
    pub(super) start: [Buffer; 2],
    /// The estimated error of the step.
    pub(super) error: Buffer,
}

impl EquationBuffers {
    pub(super) fn new(recorder: &mut Recorder, vectors: usize, bytes: u64, rule: &Tableau) -> Result<Self> {
        let embedded = !rule.error.is_empty();
        let moments = (vectors - 1) as u64 * bytes;
        let mut state = |name: &str| Ok([recorder.buffer(name, bytes)?, recorder.buffer(name, moments)?]);
        Ok(Self {
            at: state("stage")?,
            slopes: rule.times.iter().map(|_| state("slope")).collect::<Result<_>>()?,
            trial: if embedded {
                let start = state("trial_start")?;
                Some(TrialBuffers { start, error: recorder.buffer("trial_error", bytes.max(moments))? })
            } else {
                None
            },
            gradient: recorder.buffer("stage_gradient", bytes)?,
        })
    }

    /// Whether these are enough for `rule`.
    pub(super) fn suits(&self, rule: &Tableau) -> bool {
        self.slopes.len() >= rule.times.len() && (rule.error.is_empty() || self.trial.is_some())
    }

    /// The vectors of a trial step.
    pub(super) fn trial(&self) -> Result<&TrialBuffers> {
        self.trial
            .as_ref()
            .ok_or_else(|| Error::internal("a trial step was recorded for a rule without an error estimate"))
    }
}

/// Where a prediction is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the iterate of the state.
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
    pub(super) fn at(&self, place: Place) -> Result<(&Buffer, &Buffer)> {
        Ok(match place {
            Place::State => (&self.iterate, &self.gradient),
            Place::Stage => {
                let equation = self.equation()?;
                (&equation.at[0], &equation.gradient)
            }
        })
    }

    /// The vectors of a Runge–Kutta step.
    pub(super) fn equation(&self) -> Result<&EquationBuffers> {
        self.equation
            .as_ref()
            .ok_or_else(|| Error::internal("a Runge–Kutta step was recorded before its vectors were made"))
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
    /// What a phase remembers from step to step: one [`PhaseState`].
    pub(super) phase: Buffer,
    /// A phase state of zeros, for a kernel of a phase that is launched outside a phase.
    pub(super) no_phase: Buffer,
    /// What the search for the volume's multiplier keeps: one [`Search`].
    pub(super) search: Buffer,
    /// The partial sums of every slab.
    pub(super) partials: Buffer,
    /// The sums over all slabs.
    pub(super) totals: Buffer,
    /// B, which makes the directions from the samples, with the directions' shares of the reference.
    pub(super) combination: Buffer,
    /// Z, the coordinates of the samples.
    pub(super) coordinates: Buffer,
    /// The factors of every monomial, as indices of coordinates.
    pub(super) terms: Buffer,
    /// A, which makes the rows of the regression from those of Θ.
    pub(super) mix: Buffer,
    /// T, which makes the columns of the regression orthonormal.
    pub(super) orthonormal: Buffer,
    /// Θ, the monomials at all samples.
    pub(super) library: Buffer,
    /// A Θ, the rows of the regression before T.
    pub(super) mixed: Buffer,
    /// The regression of the latest fit, with the features A Θ T.
    pub(super) regression: RegressionBuffers,
    /// Ξ, the coefficients of the monomials in Θ.
    pub(super) coefficients: Buffer,
    /// The weights of the Runge–Kutta rule, then the samples' mean in reduced coordinates.
    pub(super) rule: Buffer,
    /// The state of a reduced integration.
    pub(super) reduced: Buffer,
    /// Θ(z), the monomials at the current step.
    pub(super) monomials: Buffer,
    /// The weights w of the lift at the current step.
    pub(super) weights: Buffer,
    /// The curvatures λ of a learned potential, then its terms of higher order.
    pub(super) learned: Buffer,
    /// What `potential_step.wgsl` keeps from step to step.
    pub(super) potential: Buffer,
    /// What the host reads is copied here.
    pub(super) staging: Buffer,
}

/// A fitted surrogate, as far as the host needs it.
#[derive(Debug)]
pub(super) struct Model {
    /// What kind of surrogate it is.
    pub(super) config: SurrogateConfig,
    /// How the fit was made; the implicit library has no plan.
    pub(super) plan: Option<FitPlan>,
    /// The number of samples, K.
    pub(super) samples: usize,
    /// Y Yᵀ of the samples' targets, for the residual of a snapshot lift.
    pub(super) yy: Array2<f64>,
    /// The samples' largest distance from their mean.
    pub(super) radius: f64,
    /// Whether its predictions have been read.
    pub(super) reported: bool,
}

/// All data of a run that stay on the device, and what the host knows about them.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) flow: Flow,
    /// The lower and the upper bound of all unknowns; zeros, which nothing reads, where each has its own.
    pub(super) bounds: [f64; 2],
    /// The rows of every segment's `domain`.
    pub(super) domain_rows: DomainRows,
    /// The bound on the volume, if there is one.
    pub(super) volume: Option<f64>,
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

/// Where sums over the slabs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// To where the next kernel, or the host, takes them from.
    Totals,
    /// To the samples' coordinates.
    Coordinates,
}

/// A run together with the recorder that its work is recorded with: what every step of an algorithm needs.
#[derive(Debug)]
pub(super) struct Recording<'a> {
    pub(super) run: &'a mut Run,
    pub(super) recorder: &'a mut Recorder,
}

pub(super) fn not_started() -> Error {
    EngineError::NotStarted.into()
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

/// The [`DomainRows`] of the unknowns `here`.
fn domain_table(setup: &Setup<'_>, here: Range<usize>) -> Vec<f32> {
    let rows = setup.domain_rows();
    let mut table = Vec::with_capacity(rows.count() * here.len());
    let volume = setup.domain.volume().filter(|_| rows.weights);
    if let Some(volume) = volume {
        table.extend(volume.weights[here.clone()].iter().map(|weight| *weight as f32));
    }
    if let (true, BoundsRef::PerUnknown { lower, upper }) = (rows.bounds, setup.domain.bounds()) {
        // WGSL has no infinities. A search for the volume's multiplier looks at multipliers that move every
        // unknown to its lower bound, and the sum of all of them has to be a number as well.
        let weights: f64 = volume.map_or(0.0, |volume| volume.weights.iter().sum());
        let largest = f64::from(f32::MAX) / (4.0 * weights).max(1.0);
        for bounds in [lower, upper] {
            table.extend(bounds[here.clone()].iter().map(|bound| bound.clamp(-largest, largest) as f32));
        }
        if let (true, Flow::OptimalityCriteria(flow)) = (rows.moves, setup.flow) {
            table.extend(here.map(|i| (flow.move_limit * (upper[i] - lower[i])) as f32));
        }
    }
    table
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
        // The longest: the basis with its mean, a history, the flow's own vectors, or the domain's rows.
        let directions = setup.resident().basis;
        let basis_rows = 1 + (recorder.variant.tables.bytes(4) * directions as u64).div_ceil(4) as usize;
        let domain_rows = setup.domain_rows();
        let bound_rows =
            basis_rows.max(table_rows).max(setup.flow.auxiliary_vectors()).max(domain_rows.count()).max(1);
        let bindable = (max_binding / 4 / bound_rows as u64) as usize;
        if bindable < 256 {
            return Err(EngineError::Memory {
                what: format!("256 unknowns of {bound_rows} vectors"),
                needed: 1024 * bound_rows as u64,
                available: Some(max_binding),
            }
            .into());
        }
        // Bindings too small for one slab: shorter slabs, down to the width of a workgroup.
        while slab > bindable {
            slab /= 2;
        }
        let segment_length =
            longest.map_or(bindable, |longest| bindable.min(longest.max(LEAST_SLABS * slab))) / slab * slab;
        let slabs = dimension.div_ceil(slab);
        let bounds = match setup.domain.bounds() {
            BoundsRef::Uniform { lower, upper } => [lower, upper],
            BoundsRef::PerUnknown { .. } => [0.0; 2],
        };
        let is_oc = matches!(setup.flow, Flow::OptimalityCriteria(_));
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
                domain: recorder.buffer("domain", vector * domain_rows.count() as u64)?,
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
            if domain_rows.count() > 0 {
                recorder.upload(&segment.domain, &domain_table(&setup, here))?;
            }
            segments.push(segment);
        }
        // Values per slab: Gram blocks, a projection with what goes with it, or candidates for a multiplier.
        let values = (BLOCK_ENTRIES * block_pairs(2 * capacity))
            .max(2 * capacity + 3)
            .max(MOST_CANDIDATES as usize) as u64;
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
            bounds,
            domain_rows,
            volume: setup.domain.volume().map(|volume| volume.bound),
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

    /// The one pair of bounds, and the volume if there is one. WGSL has no infinities.
    pub(super) fn limits(&self) -> (f32, f32, Option<f64>) {
        let [lower, upper] = self.bounds.map(|bound| (bound as f32).clamp(f32::MIN, f32::MAX));
        (lower, upper, self.volume)
    }

    /// The row of the lower bounds in every segment's `domain`, or [`NO_ROW`] for the one pair, as kernels
    /// take it.
    pub(super) fn bounds_row(&self) -> u32 {
        self.domain_rows.bounds_row().map_or(NO_ROW, |row| row as u32)
    }

    /// What a kernel binds as a segment's `domain` that reads nothing but bounds there: as good as nothing
    /// for the one pair, so that it counts for nothing in what a dispatch touches.
    pub(super) fn bounds_buffer<'a>(&'a self, segment: &'a Segment) -> &'a Buffer {
        if self.domain_rows.bounds { &segment.domain } else { &self.shared.no_phase }
    }

    /// The row of the newest sample.
    pub(super) fn newest(&self) -> Result<usize> {
        let newest = self.ring.rows().last().copied();
        newest.ok_or_else(|| Error::invalid("the number of recorded samples", 0, "at least 1"))
    }

    /// Forgets all recorded samples and pairs.
    pub(super) fn forget(&mut self) {
        self.ring.clear();
        self.new_pairs.clear();
    }
}

impl Recording<'_> {
    /// Makes room for so many directions, where the run was not told of them.
    pub(super) fn ensure_directions(&mut self, directions: usize) -> Result<()> {
        let tables = self.recorder.variant.tables;
        self.run.segments.iter_mut().try_for_each(|s| {
            self.recorder.ensure(&mut s.basis, "basis", basis_bytes(tables, s.len, directions))
        })
    }

    /// Adds up the slabs' partial sums of `values` values into `sums` from `first` on.
    pub(super) fn record_reduction(&mut self, values: usize, sums: Sums, first: usize) -> Result<()> {
        let params =
            PartialsReduce { slabs: self.run.slabs as u32, values: values as u32, first: first as u32 };
        let shared = &self.run.shared;
        let totals = match sums {
            Sums::Totals => &shared.totals,
            Sums::Coordinates => &shared.coordinates,
        };
        self.recorder.dispatch(
            params,
            &bindings::PartialsReduce { partials: &shared.partials, totals },
            counts::values(values),
        )
    }
}
