//! The records of an engine: its hardware and formats, its fits, and its phases.

/// Why a surrogate phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PhaseEnd {
    /// All steps were taken.
    Horizon,
    /// x left the trust radius.
    Radius,
    /// A predicted value was not finite.
    NonFinite,
    /// The learned potential has no lower value in the trust region.
    Minimum,
}

/// The record of a fit.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Fit {
    /// The number of samples used, K.
    pub samples: usize,
    /// The number of directions kept, r.
    pub rank: usize,
    /// Their share of the history's energy, Σ sᵢ². What is not finite is null in JSON, and read back as NaN.
    #[serde(with = "crate::number::or_nan")]
    pub energy: f64,
    /// The number of features, P (0 for the implicit library, which never writes them down).
    pub features: usize,
    /// The ridge α used; in JSON as the energy.
    #[serde(with = "crate::number::or_nan")]
    pub ridge: f64,
}

/// The hardware an engine runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EngineKind {
    /// The processor of the host.
    Cpu,
    /// A device of the wgpu interface, software included.
    Gpu,
}

impl EngineKind {
    /// The name in records and messages, `cpu` or `gpu`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        }
    }
}

/// The format of the numbers of a state: 64 or 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NumberFormat {
    /// The IEEE format of 64 bits, double precision.
    F64,
    /// The IEEE format of 32 bits, single precision.
    F32,
}

impl NumberFormat {
    /// The bytes of one number.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
        }
    }
}

/// A description of an engine, for records.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct EngineInfo {
    /// The hardware that the engine runs on.
    #[serde(rename = "engine")]
    pub kind: EngineKind,
    /// The adapter, driver and backend; for the CPU engine the number of threads.
    pub adapter: String,
    /// The format of the state.
    pub state: NumberFormat,
    /// The formats of state, sums over d and basis, in words.
    pub precision: String,
    /// Whether a GPU adapter is software running on the CPU.
    pub software: bool,
}

/// The traffic between host and device since the start of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Traffic {
    /// The number of times that the host waited for data from the device.
    pub readbacks: u64,
    /// The number of command buffers submitted.
    pub submits: u64,
    /// The number of kernels launched.
    pub dispatches: u64,
}
