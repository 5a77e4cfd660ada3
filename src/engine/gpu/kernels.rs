//! Every kernel's parameter block, source, shared fragments and bindings: the contract between Rust and `shaders/`.
//! A test compares each with the parsed WGSL.

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
    /// OC's candidate scales.
    OcCandidate,
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
            Self::Plain => "f32, sums over d in plain f32 on the device and f64 on the host: no error-free transform survives its compiler",
        }
    }
}

impl Fragment {
    pub(crate) fn source(self, eft: Eft) -> &'static str {
        match (self, eft) {
            (Self::Eft, Eft::Fma) => include_str!("../../../shaders/lib/eft_fma.wgsl"),
            (Self::Eft, Eft::Mask) => include_str!("../../../shaders/lib/eft_mask.wgsl"),
            (Self::Eft, Eft::Plain) => include_str!("../../../shaders/lib/eft_plain.wgsl"),
            (Self::DoubleWord, _) => include_str!("../../../shaders/lib/double_word.wgsl"),
            (Self::Phase, _) => include_str!("../../../shaders/lib/phase.wgsl"),
            (Self::ChangePartial, _) => include_str!("../../../shaders/lib/change_partial.wgsl"),
            (Self::OcCandidate, _) => include_str!("../../../shaders/lib/oc.wgsl"),
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
    pub(crate) fn text(&self, eft: Eft) -> String {
        self.fragments.iter().map(|f| f.source(eft)).chain([self.source]).collect::<Vec<_>>().join("\n")
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
    pub reserved: u32,
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
    GramAccumulate = "gram_accumulate", [Eft, DoubleWord], [Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, rows: u32, stacked: u32, reference: u32, blocks: u32 };
    PartialsReduce = "partials_reduce", [Eft, DoubleWord], [Read, Write], { slabs: u32, values: u32, reserved: u32 };
    TargetEncode = "target_encode", [], [Read, Read, Write],
        { len: u32, slab: u32, rows: u32, damping: f32, gradient_floor: f32, iterate_floor: f32 };
    RowsCombine = "rows_combine", [], [Read, Read, Write, Write], { len: u32, slab: u32, rows: u32, rank: u32, reference: u32 };
    FeaturesEvaluate = "features_evaluate", [], [Read, Read, Write], { rows: u32, variables: u32, features: u32, order: u32 };
    RegressionSolve = "regression_solve", [Eft, DoubleWord], [Read, Read, Write, Write, Write],
        { rows: u32, features: u32, problems: u32, root: f32, rounds: u32, stride: u32 };
    StateProject = "state_project", [Eft, DoubleWord, Phase], [Read, Read, Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, rank: u32, centered: u32 };
    WeightsEvaluate = "weights_evaluate", [Eft, DoubleWord, Phase], [Write, Read, Read, Read, Write, Write],
        { rank: u32, features: u32, order: u32, outputs: u32, inverse_scale: f32, radius: f32, trust: f32 };
    GradientLift = "gradient_lift", [Phase], [Read, Read, Read, Read, Write],
        { len: u32, slab: u32, rows: u32, log_damped: u32, damping: f32, iterate_floor: f32 };
    PhaseAccount = "phase_account", [Eft, DoubleWord, Phase], [Write, Read], { slabs: u32 };
    GradientDescentStep = "gradient_descent", [Eft, DoubleWord, Phase, ChangePartial], [Read, Read, Write, Write],
        { len: u32, slab: u32, first_slab: u32, rate: f32 };
    AdamStep = "adam", [Eft, DoubleWord, Phase, ChangePartial], [Read, Read, Write, Write, Write, Write],
        { len: u32, slab: u32, first_slab: u32, rate: f32, beta1: f32, beta2: f32, one_minus_beta1: f32, one_minus_beta2: f32, epsilon: f32,
          correction1: f32, correction2: f32 };
    OcGrowth = "oc_growth", [Phase], [Write, Read, Read, Read, Write],
        { len: u32, slab: u32, gradient_floor: f32, bracket_low: u32, bracket_high: u32, first_slab: u32 };
    OcVolume = "oc_volume", [Eft, DoubleWord, Phase, OcCandidate], [Read, Read, Read, Read, Write],
        { len: u32, slab: u32, first_slab: u32, reach: f32, lower: f32, upper: f32 };
    OcSelect = "oc_select", [Eft, DoubleWord, Phase, OcCandidate], [Write, Read], { slabs: u32, volume_high: f32, volume_low: f32 };
    OcUpdate = "oc_update", [Eft, DoubleWord, Phase, ChangePartial], [Read, Read, Read, Write, Write],
        { len: u32, slab: u32, first_slab: u32, reach: f32, lower: f32, upper: f32 };
}
