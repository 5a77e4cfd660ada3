//! Every kernel's parameter block, source, shared fragments and bindings: the contract between Rust and
//! `shaders/`. A test compares each with the parsed WGSL.

use ndarray::ArrayView2;

use crate::engine::interface::TableFormat;

/// What kernels take for a limit that may be infinite.
pub(crate) fn finite_or_none(limit: f64) -> f32 {
    if limit.is_finite() { limit as f32 } else { -1.0 }
}

pub(crate) fn to_pairs(values: ArrayView2<f64>) -> Vec<[f32; 2]> {
    values.iter().map(|v| split(*v)).collect()
}

/// hi + lo = v, in f32.
pub(crate) fn split(v: f64) -> [f32; 2] {
    let hi = v as f32;
    [hi, (v - f64::from(hi)) as f32]
}

/// Shared WGSL text a kernel is built with, in the order it is put in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// Error-free transforms, in the variant the device passed the self-test with.
    Eft,
    /// Double-word arithmetic; needs [`Fragment::Eft`].
    DoubleWord,
    /// `struct PhaseState`.
    Phase,
    /// The workgroup's share of Σ g·Δx; needs [`Fragment::DoubleWord`].
    ChangePartial,
    /// Sums over the 64 threads of a workgroup; needs [`Fragment::DoubleWord`] and the kernel's `sums`.
    TreeSums,
    /// `struct Search`.
    Bracket,
    /// Sums at candidate multipliers; needs [`Fragment::DoubleWord`] and [`Fragment::Bracket`].
    CandidateSums,
    /// Where a projected step on a learned potential may lead.
    Reach,
    /// `struct Flow`: a step of the flows whose unknowns move by themselves.
    Flow,
    /// `struct Lift`: the predicted gradient of one unknown; needs [`Fragment::Basis`].
    Lift,
    /// How the entries of the basis, and of other tables, lie in memory.
    Basis,
    /// The pass that moves x and projects it; needs [`Fragment::DoubleWord`], [`Fragment::TreeSums`] and
    /// [`Fragment::Basis`].
    StepProject,
}

/// Which error-free transforms a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eft {
    /// Products by a fused multiply-add.
    Fma,
    /// Products by mask splitting.
    Mask,
    /// None work: plain f32.
    Plain,
}

impl Eft {
    /// What it means for sums over d.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Fma => "f32, sums over d in double-word (fma)",
            Self::Mask => "f32, sums over d in double-word (mask split)",
            Self::Plain => {
                "f32, sums over d in plain f32 on the device and f64 on the host: no error-free transform survives its compiler"
            }
        }
    }
}

/// What kernels are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variant {
    /// The device's arithmetic.
    pub eft: Eft,
    /// The engine's tables.
    pub tables: TableFormat,
}

impl Fragment {
    fn source(self, variant: Variant) -> &'static str {
        match (self, variant.eft) {
            (Self::Basis, _) => match variant.tables {
                TableFormat::State => include_str!("../../../shaders/lib/basis_f32.wgsl"),
                TableFormat::F16 => include_str!("../../../shaders/lib/basis_f16.wgsl"),
            },
            (Self::Eft, Eft::Fma) => include_str!("../../../shaders/lib/eft_fma.wgsl"),
            (Self::Eft, Eft::Mask) => include_str!("../../../shaders/lib/eft_mask.wgsl"),
            (Self::Eft, Eft::Plain) => include_str!("../../../shaders/lib/eft_plain.wgsl"),
            (Self::DoubleWord, _) => include_str!("../../../shaders/lib/double_word.wgsl"),
            (Self::Phase, _) => include_str!("../../../shaders/lib/phase.wgsl"),
            (Self::ChangePartial, _) => include_str!("../../../shaders/lib/change_partial.wgsl"),
            (Self::TreeSums, _) => include_str!("../../../shaders/lib/tree_sums.wgsl"),
            (Self::Reach, _) => include_str!("../../../shaders/lib/reach.wgsl"),
            (Self::Flow, _) => include_str!("../../../shaders/lib/flow.wgsl"),
            (Self::Lift, _) => include_str!("../../../shaders/lib/lift.wgsl"),
            (Self::StepProject, _) => include_str!("../../../shaders/lib/step_project.wgsl"),
            (Self::Bracket, _) => include_str!("../../../shaders/lib/bracket.wgsl"),
            (Self::CandidateSums, _) => include_str!("../../../shaders/lib/candidate_sums.wgsl"),
        }
    }
}

/// How a kernel uses a storage buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    Write,
}

/// What the engine and the tests need to know of a kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KernelSpec {
    /// File stem in `shaders/`.
    pub name: &'static str,
    pub source: &'static str,
    pub fragments: &'static [Fragment],
    /// Storage buffers, from binding 1 on.
    pub access: &'static [Access],
    pub params_size: usize,
    /// (name, offset) of each parameter.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the layout test"))]
    pub params: &'static [(&'static str, usize)],
}

impl KernelSpec {
    /// Whether it binds the zero that error-free transforms hide behind, in group 1.
    pub(crate) fn needs_zero(&self) -> bool {
        self.fragments.contains(&Fragment::Eft)
    }

    /// The whole WGSL text.
    pub(crate) fn text(&self, variant: Variant) -> String {
        self.fragments.iter().map(|f| f.source(variant)).chain([self.source]).collect::<Vec<_>>().join("\n")
    }
}

/// A parameter block knows its kernel.
pub(crate) trait Params: bytemuck::Pod {
    /// Its place in [`KERNELS`].
    const KERNEL: usize;
}

/// What a surrogate phase remembers on the device: `shaders/lib/phase.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct PhaseState {
    pub ended: u32,
    pub steps: u32,
    pub predicted: [f32; 2],
    pub bracket_low: u32,
    pub bracket_high: u32,
    pub distance: f32,
    pub rate: f32,
}

/// Scales s = 1/√λ between 2⁻⁶⁴ and 2⁶⁴, as bit patterns: every λ that f32 has.
pub(crate) const OC_SCALES: [u32; 2] = [0x1f80_0000, 0x5f80_0000];
/// All non-negative floats.
pub(crate) const PROJECTION_MULTIPLIERS: [u32; 2] = [0, 0x7f7f_ffff];

/// Candidates that a workgroup looks at, and those of a search's first pass.
pub(crate) const FEW: u32 = 8;

/// What a search keeps between its passes and for the next one: `shaders/lib/bracket.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Search {
    pub(crate) closed: u32,
    pub(crate) passes: u32,
    pub(crate) multiplier: u32,
    pub(crate) drift: u32,
    pub(crate) placed: u32,
    pub(crate) failures: u32,
    pub(crate) excess_low: f32,
    pub(crate) excess_high: f32,
    pub(crate) candidates: [u32; 32],
}

impl Search {
    /// Before the first: its candidates are evenly spaced.
    pub(crate) fn new([low, high]: [u32; 2]) -> Self {
        let mut candidates = [0; 32];
        let first = u64::from(FEW);
        for (k, bits) in candidates.iter_mut().enumerate().take(FEW as usize) {
            *bits = low + (u64::from(high - low) * (k as u64 + 1) / (first + 1)) as u32;
        }
        Self {
            closed: 0,
            passes: 0,
            multiplier: u32::MAX,
            drift: 0,
            placed: 0,
            failures: 0,
            excess_low: 1.0,
            excess_high: -1.0,
            candidates,
        }
    }
}

/// A flow whose unknowns move by themselves: `shaders/lib/flow.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct FlowRule {
    pub rule: u32,
    pub rate: f32,
    pub decay: f32,
    pub nesterov: u32,
    pub beta1: f32,
    pub beta2: f32,
    pub one_minus_beta1: f32,
    pub one_minus_beta2: f32,
    pub epsilon: f32,
    pub correction1: f32,
    pub correction2: f32,
    pub amsgrad: u32,
}

/// How weights become a gradient: `shaders/lib/lift.wgsl`. The default lifts nothing.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct LiftRule {
    pub rows: u32,
    pub log_damped: u32,
    pub damping: f32,
    pub iterate_floor: f32,
}

/// Mesa's software rasteriser (lavapipe) ends every loop of an invocation once they have taken 65535 turns
/// together, without a word.
pub(crate) const MESA_TURNS: usize = 65_535;

/// One column of a regression: `struct Problem` in `shaders/regression_solve.wgsl`. Offsets count pairs of
/// words of `data`, words of `work` and entries of the outputs.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Problem {
    pub rows: u32,
    pub features: u32,
    pub matrix_at: u32,
    pub scales_at: u32,
    pub target_at: u32,
    pub target_stride: u32,
    pub coefficient_at: u32,
    pub coefficient_stride: u32,
    pub prediction_at: u32,
    pub prediction_stride: u32,
    pub work_at: u32,
    pub iterations: u32,
    pub refit: u32,
    pub root: f32,
    pub threshold: f32,
    pub refit_root: f32,
}

impl Problem {
    /// Columns that one unit of the shader factorises.
    const COLUMNS: usize = 16;

    /// Units that factorise.
    pub(crate) fn chunks(rows: usize, features: usize) -> usize {
        rows.min(features).div_ceil(Self::COLUMNS)
    }

    /// Turns that one thread's loops take in each unit, as the shader writes them: see [`MESA_TURNS`].
    pub(crate) fn unit_turns(rows: usize, features: usize, rounds: usize) -> Vec<usize> {
        let (tall, narrow) = (rows + features, rows.min(features));
        let per_thread = |n: usize| n.div_ceil(256);
        let load = per_thread(tall) * (1 + narrow) + 2 * per_thread(features);
        let factor = Self::COLUMNS * (per_thread(tall) + 32 + per_thread(narrow) * 2 * tall.div_ceil(16));
        let pivots = per_thread(narrow) * tall.div_ceil(16);
        let reflections = 2 * narrow * (2 * per_thread(tall) + 32);
        let refine = per_thread(tall) * narrow.div_ceil(16)
            + per_thread(narrow) * tall.div_ceil(16)
            + 2 * narrow * per_thread(narrow)
            + reflections;
        let finish = 4 * per_thread(features) + features + per_thread(rows) * features.div_ceil(16);
        let mut units = vec![load];
        units.extend(std::iter::repeat_n(factor, Self::chunks(rows, features)));
        units.push(pivots);
        units.extend(std::iter::repeat_n(refine, rounds));
        units.push(finish);
        units
    }

    /// Words of work space for `rows` rows and `features` features: the support with its count and a flag,
    /// the factor, its diagonal and scales, two vectors, and solution and residual in double words.
    pub(crate) fn work_words(rows: usize, features: usize) -> usize {
        let (tall, narrow) = (rows + features, rows.min(features));
        2 + features + tall * narrow + 3 * narrow + 5 * tall
    }
}

macro_rules! kernels {
    ($($params:ident = $file:literal, [$($fragment:ident),*], [$($access:ident),*], { $($field:ident: $type:ty),* $(,)? };)*) => {
        $(
            #[doc = concat!("Parameters of `shaders/", $file, ".wgsl`.")]
            #[repr(C)]
            #[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
            pub(crate) struct $params { $(pub $field: $type),* }

            impl Params for $params {
                const KERNEL: usize = Number::$params as usize;
            }
        )*

        enum Number { $($params),* }

        /// All kernels.
        pub(crate) const KERNELS: &[KernelSpec] = &[$(
            KernelSpec {
                name: $file,
                source: include_str!(concat!("../../../shaders/", $file, ".wgsl")),
                fragments: &[$(Fragment::$fragment),*],
                access: &[$(Access::$access),*],
                params_size: size_of::<$params>(),
                params: &[$((stringify!($field), core::mem::offset_of!($params, $field))),*],
            }
        ),*];
    };
}

kernels! {
    EftProbe = "eft_probe", [Eft, DoubleWord], [Read, Write, Write], { count: u32, terms: u32 };
    WordsCopy = "words_copy", [], [Read, Write], { len: u32, slab: u32 };
    GramAccumulate = "gram_accumulate", [Eft, DoubleWord, TreeSums], [Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, rows: u32, stacked: u32, reference: u32, blocks: u32 };
    PartialsReduce = "partials_reduce", [Eft, DoubleWord, TreeSums], [Read, Write], { slabs: u32, values: u32, first: u32 };
    TargetEncode = "target_encode", [], [Read, Read, Write],
        { len: u32, slab: u32, rows: u32, damping: f32, gradient_floor: f32, iterate_floor: f32 };
    RowsCombine = "rows_combine", [Eft, DoubleWord, Basis], [Read, Read, Write], { len: u32, slab: u32, rows: u32, rank: u32, reference: u32 };
    FeaturesEvaluate = "features_evaluate", [Eft, DoubleWord], [Read, Read, Write], { rows: u32, variables: u32, features: u32, order: u32 };
    MatrixMultiply = "matrix_multiply", [Eft, DoubleWord], [Read, Read, Write], { rows: u32, inner: u32, columns: u32, reserved: u32 };
    ColumnsScale = "columns_scale", [Eft, DoubleWord], [Write], { rows: u32, features: u32, scales_at: u32 };
    RegressionSolve = "regression_solve", [Eft, DoubleWord], [Read, Read, Write, Write, Write, Write],
        { phase: u32, begin: u32, end: u32, chunks: u32, rounds: u32 };
    StateGather = "state_gather", [Phase], [Read, Read, Write], { len: u32, slab: u32, first: u32 };
    StateProject = "state_project", [Eft, DoubleWord, Phase, TreeSums, Basis], [Read, Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, rank: u32, first: u32, values: u32, centered: u32, row: u32, of_basis: u32 };
    PowerSums = "power_sums", [Eft, DoubleWord, Phase, TreeSums], [Read, Read, Read, Read, Write], { len: u32, slab: u32, first_slab: u32, rows: u32, row: u32 };
    ImplicitKernel = "implicit_kernel", [Eft, DoubleWord, Phase], [Read, Read, Write], { rows: u32, order: u32, bias: f32 };
    WeightsEvaluate = "weights_evaluate", [Eft, DoubleWord, Phase], [Write, Read, Read, Read, Write, Write],
        { rank: u32, features: u32, order: u32, outputs: u32, inverse_scale: f32, radius: f32, trust: f32, counts: u32 };
    ReducedIntegrate = "reduced_integrate", [Eft, DoubleWord, Phase], [Write, Read, Read, Read, Read, Write],
        { rank: u32, features: u32, order: u32, steps: u32, h: f32, inverse_scale: f32, radius: f32, trust: f32, stages: u32, rtol: f32, atol: f32, smallest: f32 };
    ReducedLift = "reduced_lift", [Basis], [Read, Read, Write], { len: u32, slab: u32, rows: u32, first: u32, rank: u32 };
    GradientLift = "gradient_lift", [Phase, Basis, Lift], [Read, Read, Read, Read, Write],
        { lift: LiftRule, len: u32, slab: u32, first: u32, lifts_basis: u32 };
    PhaseAccount = "phase_account", [Eft, DoubleWord, Phase, TreeSums], [Write, Read, Write], { slabs: u32, values: u32 };
    FlowStep = "flow_step", [Eft, DoubleWord, Phase, TreeSums, Flow, Basis, Lift, StepProject], [Read, Read, Read, Read, Write, Write, Write],
        { flow: FlowRule, lift: LiftRule, len: u32, slab: u32, first_slab: u32, rank: u32, centered: u32, values: u32, lifts_basis: u32 };
    ProjectionVolume = "projection_volume", [Eft, DoubleWord, Phase, Bracket, CandidateSums], [Read, Read, Read, Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, candidates: u32, begins: u32, rate: f32, lower: f32, upper: f32 };
    ProjectedGradientStep = "projected_gradient", [Eft, DoubleWord, Phase, TreeSums, Basis, StepProject], [Read, Read, Read, Read, Write, Write],
        { len: u32, slab: u32, first_slab: u32, rank: u32, centered: u32, values: u32, rate: f32, lower: f32, upper: f32, has_volume: u32 };
    EquationSlope = "equation_slope", [Phase], [Read, Read, Read, Read, Write, Write],
        { len: u32, slab: u32, equation: u32, friction: f32, gain1: f32, gain2: f32, correction1: f32, correction2: f32, epsilon: f32, amsgrad: u32 };
    VectorCombine = "vector_combine", [Phase], [Read, Read, Read, Write], { len: u32, slab: u32, factor: f32, begin: u32 };
    StepError = "step_error", [Eft, DoubleWord, Phase, ChangePartial], [Read, Read, Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, rtol: f32, atol: f32, row: u32 };
    StateAccept = "state_accept", [Eft, DoubleWord, Phase, ChangePartial], [Read, Read, Read, Read, Write, Write, Write],
        { len: u32, slab: u32, first_slab: u32, amsgrad: u32 };
    OcGrowth = "oc_growth", [Phase, Basis, Lift], [Read, Read, Read, Read, Read, Write, Write],
        { lift: LiftRule, len: u32, slab: u32, gradient_floor: f32, lifts_basis: u32 };
    OcVolume = "oc_volume", [Eft, DoubleWord, Phase, Bracket, CandidateSums], [Read, Read, Read, Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, candidates: u32, begins: u32, reach: f32, lower: f32, upper: f32 };
    BracketSelect = "bracket_select", [Eft, DoubleWord, Phase, Bracket], [Write, Write, Read],
        { slabs: u32, volume_high: f32, volume_low: f32, falling: u32, begins: u32, range_low: u32, range_high: u32, candidates: u32, next: u32, chances: u32 };
    PairRecord = "pair_record", [], [Read, Read, Read, Read, Write], { len: u32, slab: u32, displacement_row: u32, change_row: u32 };
    TrustVolume = "trust_volume", [Eft, DoubleWord, Phase, Bracket, CandidateSums, Reach], [Read, Read, Read, Read, Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, candidates: u32, begins: u32, radius: f32, lower: f32, upper: f32 };
    TrustDirection = "trust_direction", [Eft, DoubleWord, Phase, TreeSums, Reach], [Read, Read, Read, Read, Read, Write, Write],
        { len: u32, slab: u32, first_slab: u32, radius: f32, lower: f32, upper: f32, has_volume: u32 };
    PotentialStep = "potential_step", [Eft, DoubleWord, Phase], [Write, Read, Read, Write],
        { rank: u32, outside: f32, order: u32, samples: u32 };
    PotentialLift = "potential_lift", [Phase, Reach, Basis], [Read, Write, Write, Read, Read, Read, Read, Read],
        { len: u32, slab: u32, rank: u32, radius: f32, lower: f32, upper: f32, outside: f32 };
    OcUpdate = "oc_update", [Eft, DoubleWord, Phase, TreeSums, Basis, StepProject], [Read, Read, Read, Read, Write, Write],
        { len: u32, slab: u32, first_slab: u32, rank: u32, centered: u32, values: u32, reach: f32, lower: f32, upper: f32 };
}
