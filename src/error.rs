//! What can go wrong. Not converging is no error: that is a [`StopReason`](crate::report::StopReason).

/// The error a user's [`Objective`](crate::objective::Objective) may return.
pub type ObjectiveError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A specialised `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything the library can fail with. Each message is one sentence that names the culprit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside its range.
    #[error("{name} is {found}; it must be {allowed}")]
    InvalidParameter {
        /// The setting, as the user knows it.
        name: &'static str,
        /// What was given.
        found: String,
        /// The allowed range.
        allowed: String,
    },
    /// Two settings exclude each other.
    #[error("{0}")]
    Incompatible(String),
    /// An array has the wrong length.
    #[error("{name} has length {found}, expected {expected}")]
    Length {
        /// Which array.
        name: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// The objective failed or was not finite at the very first point, so there is nothing to return.
    #[error("the objective cannot be evaluated at the starting point: {0}")]
    Start(#[source] ObjectiveError),
    /// The finite-element system could not be solved.
    #[error("the finite-element system could not be solved: {0}")]
    Solve(String),
    /// No adapter fits the request.
    #[error(
        "no GPU adapter found ({looked_for}); install a Vulkan driver (software: `apt-get install \
         mesa-vulkan-drivers libvulkan1`) or use the CPU engine"
    )]
    NoAdapter {
        /// What was searched for.
        looked_for: String,
    },
    /// The device refused a request.
    #[error("the GPU device refused {what}: {reason}")]
    Device {
        /// What was asked for.
        what: String,
        /// The driver's words.
        reason: String,
    },
    /// More memory is needed than the device offers.
    #[error("{}; use fewer snapshots (--history), a basis in halves (--tables f16) or of fewer directions \
        (--rank), or the CPU engine", shortage(what, *needed, *available))]
    Memory {
        /// What was to be allocated.
        what: String,
        /// Bytes needed; 0: unknown.
        needed: u64,
        /// Bytes available: a limit of the device, or what the driver had granted a run before it refused
        /// more; none: unknown.
        available: Option<u64>,
    },
    /// The device disappeared (driver reset, unplugged, destroyed).
    #[error("the GPU device was lost: {0}")]
    DeviceLost(String),
    /// A small factorisation on the host failed.
    #[error("the {what} did not converge")]
    Factorization {
        /// Which factorisation.
        what: &'static str,
    },
    /// Reading or writing a file failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// The system's words.
        source: std::io::Error,
    },
}

fn shortage(what: &str, needed: u64, available: Option<u64>) -> String {
    match (needed, available) {
        (needed, Some(available)) => format!("{what} needs {needed} bytes, the device offers {available}"),
        (0, None) => format!("the GPU driver has no memory left for {what}"),
        (needed, None) => format!("{what} needs {needed} bytes, which the GPU driver does not have left"),
    }
}

impl Error {
    /// An [`Error::InvalidParameter`].
    pub fn invalid(name: &'static str, found: impl ToString, allowed: impl ToString) -> Self {
        Self::InvalidParameter { name, found: found.to_string(), allowed: allowed.to_string() }
    }

    /// `value`, if it is positive and finite.
    pub(crate) fn require_positive(name: &'static str, value: f64) -> Result<f64> {
        if value > 0.0 && value.is_finite() {
            Ok(value)
        } else {
            Err(Self::invalid(name, value, "positive and finite"))
        }
    }

    /// An [`Error::Io`] for `path`.
    pub fn io(path: impl AsRef<std::path::Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().display().to_string(), source }
    }

    /// Whether a device has disappeared, so that nothing on it can be reached any more.
    pub fn is_lost_device(&self) -> bool {
        matches!(self, Self::DeviceLost(_))
    }

    /// Whether the user can mend it by giving other settings.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::InvalidParameter { .. } | Self::Incompatible(_) | Self::Length { .. })
    }
}
