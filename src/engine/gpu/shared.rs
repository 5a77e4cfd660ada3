//! What Rust and `shaders/` share: numbers, enumerations and structures. [`prelude`] writes the numbers and
//! the enumerations as the WGSL constants that every kernel begins with; a test compares the structures with
//! the parsed WGSL.

use std::fmt::Write;

use crate::error::{Error, Result};
use crate::flow::StepParameters;
use crate::scalar::Half;

/// A number as WGSL has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Literal {
    /// A number of WGSL type `u32`.
    U32(u32),
    /// A number of WGSL type `f32`.
    F32(f32),
}

impl From<u32> for Literal {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<f32> for Literal {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: $type = $value;)*

        /// Every shared number: its name on both sides, and its value.
        pub(crate) fn numbers() -> Vec<(&'static str, Literal)> {
            vec![$((stringify!($name), Literal::from($name))),*]
        }
    };
}

numbers! {
    /// Places of the tree that a workgroup's sums are added up in.
    TREE_WIDTH: u32 = 64;
    /// Directions of the basis that one thread works on at a time: more would not stay in its registers.
    DIRECTIONS: u32 = 8;
    /// Candidates for a multiplier that a workgroup looks at, and those of a search's first passes.
    CANDIDATES: u32 = 8;
    /// Candidates of a pass at most.
    MOST_CANDIDATES: u32 = 32;
    /// Rows of a square block of the Gram matrix, which one workgroup computes.
    GRAM_ROWS: u32 = 4;
    /// Samples whose power sums one workgroup computes.
    POWER_ROWS: u32 = 4;
    /// Columns that one unit of a regression factorises.
    FACTOR_COLUMNS: u32 = 16;
    /// Rows that a long loop takes per turn: Mesa's software rasteriser counts turns.
    UNROLLED: u32 = 16;
    /// Rows of a double-word factor that a long loop takes per turn.
    DOUBLE_ROWS: u32 = 4;
    /// Workgroups that a dispatch may have in one direction: what every device allows.
    MOST_GROUPS: u32 = 65_535;
    /// Stands for "no row of a table".
    NO_ROW: u32 = u32::MAX;
    /// Stands for "no search has found a multiplier yet".
    NO_MULTIPLIER: u32 = u32::MAX;
    /// Vectors of the blocks that the stiffness of a brick is made of, and of their errors.
    BLOCK_VECTORS: u32 = 36;
    /// Vectors of the constants that couple the modes of an element with eight children.
    COUPLING_VECTORS: u32 = 144;
    /// The most degrees of freedom of the mesh that finite elements are solved on directly.
    MOST_COARSEST: u32 = 192;
    /// What directions in half precision are multiplied by.
    BASIS_SCALE: f32 = Half::SCALE;
}

macro_rules! enumerations {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$case_doc:meta])* $case:ident = $value:literal, $wgsl:literal;)* }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            #[repr(u32)]
            pub(crate) enum $name { $($(#[$case_doc])* $case = $value),* }

            impl From<$name> for u32 {
                fn from(case: $name) -> Self {
                    case as Self
                }
            }

            impl $name {
                /// The case with this discriminant, if there is one.
                #[allow(dead_code, reason = "most cases only travel to the device")]
                pub(crate) fn from_word(word: u32) -> Option<Self> {
                    match word {
                        $($value => Some(Self::$case),)*
                        _ => None,
                    }
                }
            }
        )*

        /// Every case of every shared enumeration, the rules of the flows among them: its name in WGSL, and
        /// its discriminant.
        pub(crate) fn cases() -> Vec<(&'static str, u32)> {
            let mut cases = crate::flow::rules();
            cases.extend([$($(($wgsl, $name::$case as u32)),*),*]);
            cases
        }
    };
}

enumerations! {
    /// Whether a surrogate phase has ended, and why.
    Ended {
        /// The phase goes on.
        No = 0, "ENDED_NO";
        /// The iterate has left the trust radius.
        Radius = 1, "ENDED_RADIUS";
        /// A predicted value is not finite.
        NonFinite = 2, "ENDED_NON_FINITE";
        /// The learned potential has no lower value in the trust region.
        Minimum = 3, "ENDED_MINIMUM";
    }

    /// Which solution of a regression this is.
    Solve {
        /// The first, on all features.
        First = 0, "SOLVE_FIRST";
        /// A later one, on the features that are left.
        Later = 1, "SOLVE_LATER";
        /// The end: perhaps a last solution without ridge, then the results.
        Last = 2, "SOLVE_LAST";
    }

    /// What is made of a product with a stiffness matrix.
    Make {
        /// The product K u.
        Product = 0, "MAKE_PRODUCT";
        /// The residual b - K u.
        Residual = 1, "MAKE_RESIDUAL";
        /// The displacement after a sweep of Jacobi's method.
        Smooth = 2, "MAKE_SMOOTH";
    }

    /// What a filter makes of the elements around one.
    Filtering {
        /// One over the sum of the weights.
        RowSums = 0, "FILTER_ROW_SUMS";
        /// The weighted means of the elements around.
        Means = 1, "FILTER_MEANS";
        /// The transpose of weighted means.
        Transpose = 2, "FILTER_TRANSPOSE";
        /// Weighted means over the element's own design.
        Sensitivity = 3, "FILTER_SENSITIVITY";
    }

    /// The density that an element has whatever the design is.
    Given {
        /// The element has none: it is designed.
        None = 0, "GIVEN_NONE";
        /// The element is void, of density 0.
        Void = 1, "GIVEN_VOID";
        /// The element is solid, of density 1.
        Solid = 2, "GIVEN_SOLID";
    }

    /// What conjugate gradients make of a sum.
    Sum {
        /// The goal, from the square of the first residual.
        Start = 0, "SUM_START";
        /// The share of the last direction, from r.z.
        Product = 1, "SUM_PRODUCT";
        /// The step, from p.K p.
        Curvature = 2, "SUM_CURVATURE";
        /// The end, from the square of the residual.
        Square = 3, "SUM_SQUARE";
    }

    /// What a linear combination of vectors begins with.
    Begin {
        /// It goes on with the result so far.
        Result = 0, "BEGIN_RESULT";
        /// It begins with the base vector.
        Base = 1, "BEGIN_BASE";
        /// It begins with zero.
        Zero = 2, "BEGIN_ZERO";
    }
}

/// The WGSL text that every kernel begins with: the shared numbers, the cases of the enumerations, and the
/// kernel's own workgroup size.
pub(crate) fn prelude(threads: u32) -> String {
    let mut text = format!("const THREADS: u32 = {threads}u;\n");
    for (name, value) in numbers() {
        // Writing to a string does not fail.
        let _ = match value {
            Literal::U32(value) => writeln!(text, "const {name}: u32 = {value}u;"),
            Literal::F32(value) => writeln!(text, "const {name}: f32 = {value:?}f;"),
        };
    }
    for (name, value) in cases() {
        let _ = writeln!(text, "const {name}: u32 = {value}u;");
    }
    text
}

/// A structure that Rust and WGSL share.
#[cfg_attr(not(test), expect(dead_code, reason = "read by the layout test"))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Structure {
    /// Its name on both sides.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: usize,
    /// The name and the offset of every member.
    pub members: &'static [(&'static str, usize)],
}

macro_rules! structures {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Debug, Clone, Copy, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
            pub(crate) struct $name { $($(#[$field_doc])* pub(crate) $field: $type),* }
        )*

        /// Every structure that Rust and WGSL share.
        #[cfg_attr(not(test), expect(dead_code, reason = "read by the layout test"))]
        pub(crate) const STRUCTURES: &[Structure] = &[$(
            Structure {
                name: stringify!($name),
                size: size_of::<$name>(),
                members: &[$((stringify!($field), core::mem::offset_of!($name, $field))),*],
            }
        ),*, Structure {
            name: "FlowRule",
            size: size_of::<StepParameters>(),
            members: StepParameters::MEMBERS,
        }];
    };
}

structures! {
    /// What a surrogate phase remembers on the device: `shaders/lib/phase.wgsl`.
    struct PhaseState {
        /// Discriminant of an [`Ended`].
        ended: u32,
        steps: u32,
        predicted: [f32; 2],
        bracket_low: u32,
        bracket_high: u32,
        distance: f32,
        rate: f32,
    }

    /// What a search keeps between its passes and for the next one: `shaders/lib/bracket.wgsl`.
    struct Search {
        closed: u32,
        passes: u32,
        multiplier: u32,
        drift: u32,
        placed: u32,
        failures: u32,
        excess_low: f32,
        excess_high: f32,
        candidates: [u32; MOST_CANDIDATES as usize],
    }

    /// The scalars of a solve by conjugate gradients: `shaders/lib/solve_state.wgsl`.
    struct SolveState {
        done: u32,
        broken: u32,
        iterations: u32,
        reserved: u32,
        square: f32,
        inner_goal: f32,
        goal: f32,
        product: f32,
        last_product: f32,
        step: f32,
        share: f32,
        start_square: f32,
    }

    /// How weights become a gradient: `shaders/lib/lift.wgsl`. The default lifts nothing.
    struct LiftRule {
        rows: u32,
        log_damped: u32,
        damping: f32,
        iterate_floor: f32,
    }

    /// One column of a regression: `shaders/regression_solve.wgsl`. Offsets count pairs of words of `data`,
    /// words of `work` and entries of the outputs.
    struct Problem {
        rows: u32,
        features: u32,
        matrix_at: u32,
        scales_at: u32,
        target_at: u32,
        target_stride: u32,
        coefficient_at: u32,
        coefficient_stride: u32,
        prediction_at: u32,
        prediction_stride: u32,
        work_at: u32,
        iterations: u32,
        refit: u32,
        root: f32,
        threshold: f32,
        refit_root: f32,
        double_below: f32,
    }
}

impl Ended {
    /// What a phase's state on the device says.
    pub(crate) fn of(phase: &PhaseState) -> Result<Self> {
        Self::from_word(phase.ended).ok_or_else(|| {
            Error::internal(format!("a kernel ended a phase by the unknown reason {}", phase.ended))
        })
    }
}

/// Entries of a block of the Gram matrix.
pub(crate) const BLOCK_ENTRIES: usize = (GRAM_ROWS * GRAM_ROWS) as usize;

/// Scales s = 1/√λ between 2⁻⁶⁴ and 2⁶⁴, as bit patterns: every λ that f32 has.
pub(crate) const OC_SCALES: [u32; 2] = [0x1f80_0000, 0x5f80_0000];
/// All non-negative floats, as bit patterns.
pub(crate) const PROJECTION_MULTIPLIERS: [u32; 2] = [0, 0x7f7f_ffff];

/// Mesa's software rasteriser (lavapipe) ends every loop of an invocation once they have taken 65535 turns
/// together, without a word.
pub(crate) const MESA_TURNS: usize = 65_535;

impl Search {
    /// Before the first search: its candidates are evenly spaced.
    pub(crate) fn new([low, high]: [u32; 2]) -> Self {
        let mut candidates = [0; MOST_CANDIDATES as usize];
        let first = u64::from(CANDIDATES);
        for (k, bits) in candidates.iter_mut().enumerate().take(CANDIDATES as usize) {
            *bits = low + (u64::from(high - low) * (k as u64 + 1) / (first + 1)) as u32;
        }
        Self {
            closed: 0,
            passes: 0,
            multiplier: NO_MULTIPLIER,
            drift: 0,
            placed: 0,
            failures: 0,
            excess_low: 1.0,
            excess_high: -1.0,
            candidates,
        }
    }
}
