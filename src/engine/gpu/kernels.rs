//! Every kernel's workgroup size, source, shared fragments, bindings and parameters: the contract between
//! Rust and `shaders/`. A test compares each with the parsed WGSL.

use ndarray::ArrayView2;

use super::buffers::Buffer;
use super::shared::{LiftRule, Make, prelude};
use crate::engine::interface::TableFormat;
use crate::flow::StepParameters as FlowRule;

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
    /// The structure `PhaseState`, for kernels of a phase.
    Phase,
    /// The workgroup's share of Σ g·Δx; needs [`Fragment::DoubleWord`].
    ChangePartial,
    /// Sums over `TREE_WIDTH` threads of a workgroup; needs [`Fragment::DoubleWord`] and the kernel's `sums`.
    TreeSums,
    /// The structure `Search`, for the search for a multiplier.
    Bracket,
    /// Sums at candidate multipliers; needs [`Fragment::DoubleWord`] and [`Fragment::Bracket`].
    CandidateSums,
    /// Where a projected step on a learned potential may lead.
    Reach,
    /// The bounds of one unknown; needs the kernel's `domain`.
    Bounds,
    /// Between what one step of OC keeps an unknown; needs [`Fragment::Bounds`].
    MoveLimit,
    /// `struct FlowRule`: a step of the flows whose unknowns move by themselves.
    Flow,
    /// `struct LiftRule`: the predicted gradient of one unknown; needs [`Fragment::Basis`].
    Lift,
    /// How the entries of the basis, and of other tables, lie in memory.
    Basis,
    /// The structure `SolveState`, for conjugate gradients.
    SolveState,
    /// The modes of a brick.
    Brick,
    /// The forces of elements, column by column; needs [`Fragment::Brick`] and the kernel's `displacement`.
    Columns,
    /// What is made of a product on a coarse mesh.
    MadeOf,
    /// Entries of stored matrices; needs the kernel's `source`.
    StoredEntry,
    /// The moduli of an element's children; needs the kernel's `moduli`.
    Children,
    /// Powers of densities, as the law of moduli takes them.
    Power,
    /// The densities that are given; needs the kernel's `given`.
    Given,
    /// The matrices of coarse elements; needs the kernel's `table` and `plan`.
    CoarseElement,
    /// How a mesh lies on the next coarser one; needs the kernel's `plan`.
    Transfer,
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
                "f32, sums over d in plain f32 on the device and f64 on the host: no error-free transform \
                 survives its compiler"
            }
        }
    }
}

/// What kernels are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variant {
    /// The error-free transforms that the device computes.
    pub eft: Eft,
    /// The number format of the basis.
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
            (Self::Bounds, _) => include_str!("../../../shaders/lib/bounds.wgsl"),
            (Self::MoveLimit, _) => include_str!("../../../shaders/lib/move_limit.wgsl"),
            (Self::Flow, _) => include_str!("../../../shaders/lib/flow.wgsl"),
            (Self::Lift, _) => include_str!("../../../shaders/lib/lift.wgsl"),
            (Self::SolveState, _) => include_str!("../../../shaders/lib/solve_state.wgsl"),
            (Self::Brick, _) => include_str!("../../../shaders/lib/brick.wgsl"),
            (Self::Columns, _) => include_str!("../../../shaders/lib/columns.wgsl"),
            (Self::MadeOf, _) => include_str!("../../../shaders/lib/made_of.wgsl"),
            (Self::StoredEntry, _) => include_str!("../../../shaders/lib/stored_entry.wgsl"),
            (Self::Power, _) => include_str!("../../../shaders/lib/power.wgsl"),
            (Self::Given, _) => include_str!("../../../shaders/lib/given.wgsl"),
            (Self::Children, _) => include_str!("../../../shaders/lib/children.wgsl"),
            (Self::CoarseElement, _) => include_str!("../../../shaders/lib/coarse_element.wgsl"),
            (Self::Transfer, _) => include_str!("../../../shaders/lib/transfer.wgsl"),
            (Self::StepProject, _) => include_str!("../../../shaders/lib/step_project.wgsl"),
            (Self::Bracket, _) => include_str!("../../../shaders/lib/bracket.wgsl"),
            (Self::CandidateSums, _) => include_str!("../../../shaders/lib/candidate_sums.wgsl"),
        }
    }
}

/// How a kernel uses a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A few constants, which all threads read at the same place: `var<uniform>`.
    Uniform,
    /// The kernel reads it: `var<storage, read>`.
    Read,
    /// The kernel writes it, and may read it: `var<storage, read_write>`.
    Write,
}

/// What the engine and the tests need to know of a kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KernelSpec {
    /// File stem in `shaders/`.
    pub name: &'static str,
    pub source: &'static str,
    /// Threads of a workgroup.
    pub threads: u32,
    pub fragments: &'static [Fragment],
    /// Names and uses of its buffers, from binding 1 on.
    pub buffers: &'static [(&'static str, Access)],
    pub params_size: usize,
    /// (name, offset) of each parameter.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the layout test"))]
    pub params: &'static [(&'static str, usize)],
}

impl KernelSpec {
    /// How many storage buffers it binds, the zero included.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the layout test"))]
    pub(crate) fn storage_buffers(&self) -> usize {
        let own = self.buffers.iter().filter(|(_, access)| *access != Access::Uniform).count();
        own + usize::from(self.needs_zero())
    }

    /// Whether it binds the zero that error-free transforms hide behind, in group 1.
    pub(crate) fn needs_zero(&self) -> bool {
        self.fragments.contains(&Fragment::Eft)
    }

    /// Whether every loop of its text is a `for` loop, whose counter tells when it ends.
    pub(crate) fn has_counted_loops_only(text: &str) -> bool {
        !["loop {", "while (", "for (;"].iter().any(|kind| text.contains(kind))
    }

    /// The whole WGSL text.
    pub(crate) fn text(&self, variant: Variant) -> String {
        let mut text = prelude(self.threads);
        for part in self.fragments.iter().map(|f| f.source(variant)).chain([self.source]) {
            text.push('\n');
            text.push_str(part);
        }
        text
    }
}

/// The storage buffers of a kernel.
pub(crate) trait Bindings {
    /// The buffers in the order of the bindings, from binding 1 on.
    fn in_order(&self) -> Vec<&Buffer>;
}

/// A parameter block knows its kernel.
pub(crate) trait Params: bytemuck::Pod {
    /// The storage buffers that its kernel binds.
    type Buffers<'a>: Bindings;
    /// Its kernel's place in [`KERNELS`].
    const KERNEL: usize;
    /// Threads of one of its kernel's workgroups.
    const THREADS: u32;
    /// The bytes that a dispatch moves at least, each array once each way; none where nobody has counted.
    fn bytes(&self) -> Option<u64> {
        None
    }
}

/// The nodes of a mesh with so many elements along each axis.
fn nodes(size: [u32; 3]) -> u64 {
    size.iter().map(|n| u64::from(*n) + 1).product()
}

/// The elements of such a mesh.
fn elements(size: [u32; 3]) -> u64 {
    size.iter().map(|n| u64::from(*n)).product()
}

/// The bytes of a coarse mesh's matrices: the moduli of eight children each, and stored ones.
fn matrices(size: [u32; 3], by_children: u32, stored: u32) -> u64 {
    u64::from(by_children) * 32 * elements(size) + MATRIX * u64::from(stored)
}

/// The bytes of their diagonals.
fn diagonals(size: [u32; 3], by_children: u32, stored: u32) -> u64 {
    u64::from(by_children) * 32 * elements(size) + 96 * u64::from(stored)
}

/// The bytes of a stored matrix of an element: 300 entries.
const MATRIX: u64 = 4 * crate::fem::layout::TRIANGLE as u64;

macro_rules! kernels {
    ($($params:ident = $file:literal {
        threads: $threads:literal,
        fragments: [$($fragment:ident),* $(,)?],
        buffers: { $($buffer:ident: $access:ident),* $(,)? },
        params: { $($field:ident: $type:ty),* $(,)? },
        $(bytes: $bytes:expr,)?
    })*) => {
        $(
            #[doc = concat!("Parameters of `shaders/", $file, ".wgsl`.")]
            #[repr(C)]
            #[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
            pub(crate) struct $params { $(pub $field: $type),* }

            impl Params for $params {
                type Buffers<'a> = bindings::$params<'a>;
                const KERNEL: usize = Number::$params as usize;
                const THREADS: u32 = $threads;
                $(fn bytes(&self) -> Option<u64> {
                    let count: fn(&Self) -> u64 = $bytes;
                    Some(count(self))
                })?
            }
        )*

        /// The storage buffers that every kernel binds, by the names that WGSL has for them.
        pub(crate) mod bindings {
            use super::{Bindings, Buffer};

            $(
                #[doc = concat!("Storage buffers of `shaders/", $file, ".wgsl`.")]
                #[derive(Debug, Clone, Copy)]
                pub(crate) struct $params<'a> { $(pub(crate) $buffer: &'a Buffer),* }

                impl Bindings for $params<'_> {
                    fn in_order(&self) -> Vec<&Buffer> {
                        vec![$(self.$buffer),*]
                    }
                }
            )*
        }

        enum Number { $($params),* }

        /// Every kernel of the engine.
        pub(crate) const KERNELS: &[KernelSpec] = &[$(
            KernelSpec {
                name: $file,
                source: include_str!(concat!("../../../shaders/", $file, ".wgsl")),
                threads: $threads,
                fragments: &[$(Fragment::$fragment),*],
                buffers: &[$((stringify!($buffer), Access::$access)),*],
                params_size: size_of::<$params>(),
                params: &[$((stringify!($field), core::mem::offset_of!($params, $field))),*],
            }
        ),*];
    };
}

kernels! {
    EftProbe = "eft_probe" {
        threads: 64,
        fragments: [Eft, DoubleWord],
        buffers: { pairs: Read, results: Write, products: Write },
        params: { count: u32, terms: u32 },
    }
    WordsCopy = "words_copy" {
        threads: 256,
        fragments: [],
        buffers: { source: Read, target_words: Write },
        params: { len: u32, slab: u32 },
        bytes: |p| 32 * u64::from(p.len),
    }
    GramAccumulate = "gram_accumulate" {
        threads: 64,
        fragments: [Eft, DoubleWord, TreeSums],
        buffers: { iterates: Read, targets: Read, partials: Write },
        params: {
            len: u32, slab: u32, first_slab: u32, rows: u32, stacked: u32, reference: u32, blocks: u32,
        },
    }
    PartialsReduce = "partials_reduce" {
        threads: 64,
        fragments: [Eft, DoubleWord, TreeSums],
        buffers: { partials: Read, totals: Write },
        params: { slabs: u32, values: u32, first: u32 },
        bytes: |p| 8 * u64::from(p.slabs) * u64::from(p.values),
    }
    TargetEncode = "target_encode" {
        threads: 256,
        fragments: [],
        buffers: { iterates: Read, gradients: Read, encoded: Write },
        params: { len: u32, slab: u32, rows: u32, damping: f32, gradient_floor: f32, iterate_floor: f32 },
    }
    RowsCombine = "rows_combine" {
        threads: 256,
        fragments: [Eft, DoubleWord, Basis],
        buffers: { iterates: Read, combination: Read, basis: Write },
        params: { len: u32, slab: u32, rows: u32, rank: u32, reference: u32 },
    }
    FeaturesEvaluate = "features_evaluate" {
        threads: 64,
        fragments: [Eft, DoubleWord],
        buffers: { coordinates: Read, terms: Read, matrix: Write },
        params: { rows: u32, variables: u32, features: u32, order: u32 },
    }
    MatrixMultiply = "matrix_multiply" {
        threads: 64,
        fragments: [Eft, DoubleWord],
        buffers: { left: Read, right: Read, product: Write },
        params: { rows: u32, inner: u32, columns: u32, reserved: u32 },
    }
    ColumnsScale = "columns_scale" {
        threads: 64,
        fragments: [Eft, DoubleWord],
        buffers: { data: Write },
        params: { rows: u32, features: u32, scales_at: u32 },
    }
    RegressionSolve = "regression_solve" {
        threads: 256,
        fragments: [Eft, DoubleWord],
        buffers: {
            problems: Read, data: Read, work: Write, coefficients: Write, predictions: Write, support:
            Write,
        },
        params: { phase: u32, begin: u32, end: u32, chunks: u32, rounds: u32, doubles: u32 },
    }
    StateGather = "state_gather" {
        threads: 256,
        fragments: [Phase],
        buffers: { phase: Read, iterate: Read, projection: Write },
        params: { len: u32, slab: u32, first: u32 },
    }
    StateProject = "state_project" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase, TreeSums, Basis],
        buffers: { phase: Read, basis: Read, iterate: Read, partials: Write },
        params: {
            len: u32, slab: u32, first_slab: u32, rank: u32, first: u32, values: u32, centered: u32, row:
            u32, of_basis: u32,
        },
    }
    PowerSums = "power_sums" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase, TreeSums],
        buffers: { phase: Read, samples: Read, mean: Read, iterate: Read, partials: Write },
        params: { len: u32, slab: u32, first_slab: u32, rows: u32, row: u32 },
    }
    ImplicitKernel = "implicit_kernel" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase],
        buffers: { phase: Read, power_sums: Read, products: Write },
        params: { rows: u32, order: u32, bias: f32 },
    }
    WeightsEvaluate = "weights_evaluate" {
        threads: 256,
        fragments: [Eft, DoubleWord, Phase],
        buffers: {
            phase: Write, projection: Read, terms: Read, coefficients: Read, monomials: Write, weights:
            Write,
        },
        params: {
            rank: u32, features: u32, order: u32, outputs: u32, inverse_scale: f32, radius: f32, trust: f32,
            counts: u32,
        },
    }
    ReducedIntegrate = "reduced_integrate" {
        threads: 256,
        fragments: [Eft, DoubleWord, Phase],
        buffers: {
            phase: Write, projection: Read, terms: Read, coefficients: Read, constants: Read, work: Write,
        },
        params: {
            rank: u32, features: u32, order: u32, steps: u32, h: f32, inverse_scale: f32, radius: f32,
            trust: f32, stages: u32, rtol: f32, atol: f32, smallest: f32,
        },
    }
    ReducedLift = "reduced_lift" {
        threads: 256,
        fragments: [Basis],
        buffers: { work: Read, basis: Read, iterate: Write },
        params: { len: u32, slab: u32, rows: u32, first: u32, rank: u32 },
    }
    GradientLift = "gradient_lift" {
        threads: 256,
        fragments: [Phase, Basis, Lift],
        buffers: { phase: Read, table: Read, weights: Read, iterate: Read, gradient: Write },
        params: { lift: LiftRule, len: u32, slab: u32, first: u32, lifts_basis: u32 },
    }
    PhaseAccount = "phase_account" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase, TreeSums],
        buffers: { phase: Write, partials: Read, totals: Write },
        params: { slabs: u32, values: u32 },
    }
    FlowStep = "flow_step" {
        threads: 128,
        fragments: [Eft, DoubleWord, Phase, TreeSums, Flow, Basis, Lift, StepProject],
        buffers: {
            phase: Read, weights: Read, basis: Read, table: Read, iterate: Write, auxiliary: Write,
            partials: Write,
        },
        params: {
            flow: FlowRule, lift: LiftRule, len: u32, slab: u32, first_slab: u32, rank: u32, centered: u32,
            values: u32, lifts_basis: u32,
        },
    }
    ProjectionVolume = "projection_volume" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase, Bracket, CandidateSums, Bounds],
        buffers: {
            phase: Read, search: Read, iterate: Read, gradient: Read, domain: Read, partials: Write,
        },
        params: {
            len: u32, slab: u32, first_slab: u32, candidates: u32, begins: u32, rate: f32, lower: f32,
            upper: f32, bounds_row: u32,
        },
    }
    ProjectedGradientStep = "projected_gradient" {
        threads: 128,
        fragments: [Eft, DoubleWord, Phase, TreeSums, Basis, StepProject, Bounds],
        buffers: {
            phase: Read, gradient: Read, domain: Read, basis: Read, iterate: Write, partials: Write,
        },
        params: {
            len: u32, slab: u32, first_slab: u32, rank: u32, centered: u32, values: u32, rate: f32, lower:
            f32, upper: f32, bounds_row: u32, has_volume: u32,
        },
    }
    EquationSlope = "equation_slope" {
        threads: 256,
        fragments: [Phase],
        buffers: {
            phase: Read, gradient: Read, moments: Read, auxiliary: Read, slope_x: Write, slope_moments:
            Write,
        },
        params: {
            len: u32, slab: u32, rule: u32, friction: f32, gain1: f32, gain2: f32, correction1: f32,
            correction2: f32, epsilon: f32, amsgrad: u32,
        },
    }
    VectorCombine = "vector_combine" {
        threads: 256,
        fragments: [Phase],
        buffers: { phase: Read, base: Read, slope: Read, result: Write },
        params: { len: u32, slab: u32, factor: f32, begin: u32 },
    }
    StepError = "step_error" {
        threads: 256,
        fragments: [Eft, DoubleWord, Phase, ChangePartial],
        buffers: { phase: Read, start: Read, next: Read, estimate: Read, partials: Write },
        params: { len: u32, slab: u32, first_slab: u32, rtol: f32, atol: f32, row: u32 },
    }
    StateAccept = "state_accept" {
        threads: 256,
        fragments: [Eft, DoubleWord, Phase, ChangePartial],
        buffers: {
            phase: Read, gradient: Read, end_iterate: Read, end_moments: Read, iterate: Write, auxiliary:
            Write, partials: Write,
        },
        params: { len: u32, slab: u32, first_slab: u32, amsgrad: u32 },
    }
    OcGrowth = "oc_growth" {
        threads: 256,
        fragments: [Phase, Basis, Lift],
        buffers: {
            phase: Read, weights: Read, table: Read, iterate: Read, volume_weights: Read, gradient: Write,
            growth: Write,
        },
        params: { lift: LiftRule, len: u32, slab: u32, gradient_floor: f32, lifts_basis: u32 },
    }
    OcVolume = "oc_volume" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase, Bracket, CandidateSums, Bounds, MoveLimit],
        buffers: {
            phase: Read, search: Read, iterate: Read, growth: Read, domain: Read, partials: Write,
        },
        params: {
            len: u32, slab: u32, first_slab: u32, candidates: u32, begins: u32, reach: f32, lower: f32,
            upper: f32, bounds_row: u32,
        },
    }
    BracketSelect = "bracket_select" {
        threads: 256,
        fragments: [Eft, DoubleWord, Phase, Bracket],
        buffers: { phase: Write, search: Write, partials: Read },
        params: {
            slabs: u32, volume_high: f32, volume_low: f32, falling: u32, begins: u32, range_low: u32,
            range_high: u32, candidates: u32, next: u32, max_failures: u32,
        },
    }
    PairRecord = "pair_record" {
        threads: 256,
        fragments: [],
        buffers: {
            iterate: Read, gradient: Read, trusted_iterate: Read, trusted_gradient: Read, history: Write,
        },
        params: { len: u32, slab: u32, displacement_row: u32, change_row: u32 },
    }
    TrustVolume = "trust_volume" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase, Bracket, CandidateSums, Reach, Bounds],
        buffers: {
            phase: Read, search: Read, iterate: Read, slope: Read, center: Read, domain: Read,
            partials: Write,
        },
        params: {
            len: u32, slab: u32, first_slab: u32, candidates: u32, begins: u32, radius: f32, lower: f32,
            upper: f32, bounds_row: u32,
        },
    }
    TrustDirection = "trust_direction" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase, TreeSums, Reach, Bounds],
        buffers: {
            phase: Read, iterate: Read, slope: Read, center: Read, domain: Read, direction: Write,
            partials: Write,
        },
        params: {
            len: u32, slab: u32, first_slab: u32, radius: f32, lower: f32, upper: f32, bounds_row: u32,
            has_volume: u32,
        },
    }
    PotentialStep = "potential_step" {
        threads: 64,
        fragments: [Eft, DoubleWord, Phase],
        buffers: { phase: Write, totals: Read, learned: Read, model: Write },
        params: { rank: u32, outside: f32, order: u32, samples: u32 },
    }
    PotentialLift = "potential_lift" {
        threads: 256,
        fragments: [Reach, Basis, Bounds],
        buffers: {
            iterate: Write, slope: Write, direction: Read, center: Read, gradient: Read, domain: Read, basis:
            Read, model: Read,
        },
        params: {
            len: u32, slab: u32, rank: u32, radius: f32, lower: f32, upper: f32, bounds_row: u32, outside:
            f32,
        },
    }
    OcUpdate = "oc_update" {
        threads: 128,
        fragments: [Eft, DoubleWord, Phase, TreeSums, Basis, StepProject, Bounds, MoveLimit],
        buffers: {
            phase: Read, gradient: Read, growth: Read, basis: Read, domain: Read, iterate: Write, partials:
            Write,
        },
        params: {
            len: u32, slab: u32, first_slab: u32, rank: u32, centered: u32, values: u32, reach: f32, lower:
            f32, upper: f32, bounds_row: u32,
        },
    }
    BrickProduct = "fem/product" {
        threads: 256,
        fragments: [SolveState, Brick, Columns],
        buffers: {
            state: Read, blocks: Uniform, moduli: Read, plan: Read, displacement: Read, right_side:
            Read, result: Write, partials: Write,
        },
        params: {
            nx: u32, ny: u32, nz: u32, layers: u32, mode: u32, damping: f32, inverse_x: f32, inverse_y:
            f32, inverse_z: f32,
        },
        bytes: |p| {
            let right_side = if p.mode == u32::from(Make::Product) { 0 } else { 12 };
            let size = [p.nx, p.ny, p.nz];
            (28 + right_side) * nodes(size) + 4 * elements(size)
        },
    }
    ChildProduct = "fem/child_product" {
        threads: 256,
        fragments: [SolveState, Brick, Columns, MadeOf, StoredEntry, Children],
        buffers: {
            state: Read, coupling: Uniform, moduli: Read, plan: Read, source: Read, displacement: Read,
            right_side: Read, inverse: Read, result: Write,
        },
        params: {
            nx: u32, ny: u32, nz: u32, layers: u32, mode: u32, damping: f32, entries: u32, fine_x: u32,
            fine_y: u32,
        },
        bytes: |p| 40 * nodes([p.nx, p.ny, p.nz]) + matrices([p.nx, p.ny, p.nz], 1, p.entries),
    }
    StoredProduct = "fem/stored_product" {
        threads: 256,
        fragments: [SolveState, MadeOf, StoredEntry],
        buffers: {
            state: Read, plan: Read, source: Read, displacement: Read, right_side: Read, inverse: Read,
            result: Write,
        },
        params: { nx: u32, ny: u32, nz: u32, mode: u32, damping: f32, entries: u32 },
        bytes: |p| 40 * nodes([p.nx, p.ny, p.nz]) + MATRIX * u64::from(p.entries),
    }
    CoarseDiagonal = "fem/diagonal" {
        threads: 64,
        fragments: [StoredEntry, Children, CoarseElement],
        buffers: { table: Read, moduli: Read, plan: Read, source: Read, inverse: Write },
        params: {
            nx: u32, ny: u32, nz: u32, by_children: u32, entries: u32, fine_x: u32, fine_y: u32,
        },
        bytes: |p| 16 * nodes([p.nx, p.ny, p.nz]) + diagonals([p.nx, p.ny, p.nz], p.by_children, p.entries),
    }
    NodeInverse = "fem/node_inverse" {
        threads: 64,
        fragments: [],
        buffers: { moduli: Read, inverse: Write },
        params: { nx: u32, ny: u32, nz: u32 },
        bytes: |p| 4 * nodes([p.nx, p.ny, p.nz]) + 4 * elements([p.nx, p.ny, p.nz]),
    }
    JacobiStart = "fem/jacobi" {
        threads: 64,
        fragments: [SolveState],
        buffers: { state: Read, inverse: Read, right_side: Read, result: Write },
        params: { nodes: u32, per_node: u32, factor_x: f32, factor_y: f32, factor_z: f32 },
        bytes: |p| if p.per_node == 1 { 28 } else { 36 } * u64::from(p.nodes),
    }
    Restrict = "fem/restrict" {
        threads: 64,
        fragments: [SolveState, Transfer],
        buffers: { state: Read, plan: Read, coarse_plan: Read, residual: Read, right_side: Write },
        params: {
            nx: u32, ny: u32, nz: u32, coarse_x: u32, coarse_y: u32, coarse_z: u32, weights_x:
            u32, weights_y: u32, weights_z: u32,
        },
        bytes: |p| 12 * nodes([p.nx, p.ny, p.nz]) + 16 * nodes([p.coarse_x, p.coarse_y, p.coarse_z]),
    }
    Prolong = "fem/prolong" {
        threads: 64,
        fragments: [SolveState, Transfer],
        buffers: { state: Read, plan: Read, correction: Read, result: Write },
        params: {
            nx: u32, ny: u32, nz: u32, coarse_x: u32, coarse_y: u32, coarse_z: u32, weights_x:
            u32, weights_y: u32, weights_z: u32,
        },
        bytes: |p| 28 * nodes([p.nx, p.ny, p.nz]) + 12 * nodes([p.coarse_x, p.coarse_y, p.coarse_z]),
    }
    Galerkin = "fem/galerkin" {
        threads: 64,
        fragments: [StoredEntry, Children, CoarseElement, Transfer],
        buffers: { table: Read, moduli: Read, plan: Read, source: Read, matrices: Write },
        params: {
            nx: u32, ny: u32, nz: u32, coarse_x: u32, coarse_y: u32, coarse_z: u32, weights_x:
            u32, weights_y: u32, weights_z: u32, by_children: u32, entries: u32, fine_x: u32,
            fine_y: u32, from_given: u32, listed: u32, list_at: u32, count: u32,
        },
        bytes: |p| {
            // A matrix is made of eight: of moduli, or of stored ones.
            let read = match (p.from_given, p.by_children) {
                (1, _) => 4 * 8,
                (_, 1) => 4 * 64,
                _ => 8 * MATRIX,
            };
            (MATRIX + read) * u64::from(p.count)
        },
    }
    CoarsestAssemble = "fem/coarsest_assemble" {
        threads: 64,
        fragments: [StoredEntry, Children, CoarseElement],
        buffers: { table: Read, moduli: Read, plan: Read, source: Read, matrix: Write },
        params: {
            nx: u32, ny: u32, nz: u32, by_children: u32, entries: u32, fine_x: u32, fine_y: u32,
        },
        bytes: |p| {
            let size = [p.nx, p.ny, p.nz];
            4 * (3 * nodes(size)).pow(2) + matrices(size, p.by_children, p.entries)
        },
    }
    CoarsestFactor = "fem/coarsest_factor" {
        threads: 256,
        fragments: [],
        buffers: { matrix: Write, inverse: Write },
        params: { n: u32 },
        bytes: |p| 8 * u64::from(p.n).pow(2),
    }
    CoarsestSolve = "fem/coarsest_solve" {
        threads: 256,
        fragments: [SolveState],
        buffers: { state: Read, inverse: Read, right_side: Read, result: Write },
        params: { n: u32 },
        bytes: |p| 4 * u64::from(p.n).pow(2) + 8 * u64::from(p.n),
    }
    Dot = "fem/dot" {
        threads: 256,
        fragments: [Eft, DoubleWord, SolveState, TreeSums],
        buffers: { state: Read, left: Read, right: Read, partials: Write },
        params: { len: u32, slab: u32 },
        bytes: |p| 8 * u64::from(p.len),
    }
    Turn = "fem/turn" {
        threads: 256,
        fragments: [SolveState],
        buffers: { state: Read, preconditioned: Read, direction: Write },
        params: { len: u32, slab: u32 },
        bytes: |p| 12 * u64::from(p.len),
    }
    Advance = "fem/advance" {
        threads: 256,
        fragments: [Eft, DoubleWord, SolveState, TreeSums],
        buffers: {
            state: Read, direction: Read, product: Read, correction: Write, residual: Write,
            partials: Write,
        },
        params: { len: u32, slab: u32 },
        bytes: |p| 24 * u64::from(p.len),
    }
    Scalars = "fem/scalars" {
        threads: 256,
        fragments: [Eft, DoubleWord, SolveState, TreeSums],
        buffers: { partials: Read, state: Write },
        params: {
            count: u32, sum: u32, is_first: u32, limit: f32, floor: f32, reduction: f32,
            inner_reduction: f32,
        },
        bytes: |p| 8 * u64::from(p.count),
    }
    ResidualExact = "fem/residual_exact" {
        threads: 128,
        fragments: [Eft, DoubleWord, TreeSums],
        buffers: {
            blocks: Uniform, moduli: Read, plan: Read, displacement: Read, load: Read, residual:
            Write, partials: Write,
        },
        params: { nx: u32, ny: u32, nz: u32, layers: u32 },
        bytes: |p| 52 * nodes([p.nx, p.ny, p.nz]) + 4 * elements([p.nx, p.ny, p.nz]),
    }
    Correct = "fem/correct" {
        threads: 256,
        fragments: [Eft, DoubleWord],
        buffers: { displacement: Write, correction: Write },
        params: { len: u32, slab: u32 },
        bytes: |p| 24 * u64::from(p.len),
    }
    Energies = "fem/energies" {
        threads: 256,
        fragments: [Eft, DoubleWord, Brick, TreeSums],
        buffers: {
            blocks: Uniform, moduli: Read, displacement: Read, energies: Write, partials: Write,
        },
        params: {
            nx: u32, ny: u32, nz: u32, body_x: f32, body_y: f32, body_z: f32, adds: u32, slab: u32,
        },
        bytes: |p| 12 * nodes([p.nx, p.ny, p.nz]) + 8 * elements([p.nx, p.ny, p.nz]),
    }
    Work = "fem/work" {
        threads: 256,
        fragments: [Eft, DoubleWord, TreeSums],
        buffers: { load: Read, displacement: Read, partials: Write },
        params: { len: u32, slab: u32 },
        bytes: |p| 12 * u64::from(p.len),
    }
    DesignFilter = "fem/filter" {
        threads: 256,
        fragments: [Given],
        buffers: { values: Read, row_inverse: Read, given: Read, result: Write },
        params: {
            nx: u32, ny: u32, nz: u32, mode: u32, reach_x: u32, reach_y: u32, reach_z: u32, radius: f32,
            side_x: f32, side_y: f32, side_z: f32, has_given: u32,
        },
        bytes: |p| 12 * elements([p.nx, p.ny, p.nz]),
    }
    DensityModulus = "fem/modulus" {
        threads: 256,
        fragments: [Power, Given],
        buffers: { given: Read, density: Write, moduli: Write },
        params: { elements: u32, has_given: u32, penalty: f32, void_modulus: f32 },
        bytes: |p| 8 * u64::from(p.elements),
    }
    DensitySensitivity = "fem/sensitivity" {
        threads: 256,
        fragments: [Power, Given],
        buffers: { given: Read, density: Read, design: Read, energies: Write },
        params: { elements: u32, has_given: u32, penalty: f32, void_modulus: f32, times_design: u32 },
        bytes: |p| (12 + 4 * u64::from(p.times_design)) * u64::from(p.elements),
    }
    DesignMirror = "fem/mirror" {
        threads: 256,
        fragments: [],
        buffers: { values: Write },
        params: { nx: u32, ny: u32, nz: u32, axis: u32 },
        bytes: |p| 8 * elements([p.nx, p.ny, p.nz]),
    }
}
