//! The errors of the crate, one enumeration a layer.
//!
//! | layer | what has failed | who can mend it |
//! |---|---|---|
//! | [`SettingsError`] | a setting or an array that the caller gave | the caller, by giving another |
//! | [`EngineError`] | a device, its memory, the order of the calls | the caller, by an engine or order |
//! | [`FemError`] | the solution of a finite-element system | the caller, by a structure that is held |
//! | [`FileError`] | reading or writing a file | the caller, by another path |
//!
//! [`Error`] has one variant for each of these layers, and one for an objective that fails at the starting
//! point. A run that does not converge is no error: see [`StopReason`](crate::report::StopReason).

use std::borrow::Cow;
use std::path::Path;

/// The error that a user's [`Objective`](crate::objective::Objective) may return.
pub type ObjectiveError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A `Result` whose error is the crate's own, unless another one is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that the library can fail with. Each message is one sentence that names the culprit.
///
/// The layer tells who can do something about it: the caller about settings, for example.
/// ```
/// use lgf::error::{Error, SettingsError};
/// use lgf::flow::{Adam, Flow};
/// use lgf::Lgf;
///
/// let error = Lgf::new(Flow::Adam(Adam::new(-0.1))).expect_err("a negative rate");
/// assert_eq!(error.to_string(), "the rate is -0.1; it must be positive and finite");
/// let name = match error {
///     Error::Settings(SettingsError::InvalidParameter { name, .. }) => Some(name),
///     _ => None,
/// };
/// assert_eq!(name, Some("the rate"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's settings or arrays make no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The engine has failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The finite-element system could not be solved.
    #[error("the finite-element system could not be solved: {0}")]
    Fem(#[from] FemError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The objective failed or was not finite at the very first point, so there is nothing to return.
    #[error("the objective cannot be evaluated at the starting point: {0}")]
    Start(#[source] ObjectiveError),
}

/// A setting or an array that the caller gave cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A setting is outside its range.
    #[error("{name} is {found}; it must be {allowed}")]
    InvalidParameter {
        /// The setting, as the user knows it.
        name: &'static str,
        /// The value that was given.
        found: String,
        /// The range that is allowed.
        allowed: String,
    },
    /// An array has the wrong length.
    #[error("{name} has length {found}, expected {expected}")]
    Length {
        /// The name of the array.
        name: &'static str,
        /// The length that it has.
        found: usize,
        /// The length that it should have.
        expected: usize,
    },
    /// A part of a structure makes no sense.
    #[error("{key} {reason}")]
    Structure {
        /// The part, as a problem file names it: `supports[1].at`.
        key: String,
        /// What is wrong with it and what to do: the rest of the sentence.
        reason: String,
    },
    /// A method does not go with the objective's domain.
    #[error("{method} needs {needs}")]
    Domain {
        /// The name of the method.
        method: &'static str,
        /// The domain that the method needs, and what else the caller can do.
        needs: &'static str,
    },
    /// Two settings exclude each other.
    #[error("{first} and {second} exclude each other: {why}")]
    Exclusive {
        /// One of the settings.
        first: Cow<'static, str>,
        /// The other one of them.
        second: Cow<'static, str>,
        /// The reason, with what goes together.
        why: Cow<'static, str>,
    },
    /// A setting goes with some of the others only.
    #[error("{what} can only be used with {with}")]
    OnlyWith {
        /// The setting that needs others.
        what: Cow<'static, str>,
        /// The settings that it goes with, and what else the caller can do.
        with: Cow<'static, str>,
    },
}

/// The engine cannot do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No adapter fits the request.
    #[error(
        "no GPU adapter was found ({looked_for}); install a driver for Vulkan, Metal or DX12, or use the CPU \
         engine"
    )]
    NoAdapter {
        /// What was searched for.
        looked_for: String,
    },
    /// There are adapters, and none of them is the one that was asked for.
    #[error("there is no GPU adapter {what}, but {found}; choose one by index or name")]
    OtherAdapters {
        /// What was asked for.
        what: String,
        /// The adapters there are, each with its index.
        found: String,
    },
    /// The device refused a request.
    #[error("the GPU device refused {what}: {reason}")]
    Device {
        /// What was asked for.
        what: String,
        /// The reason in the driver's words.
        reason: String,
    },
    /// More memory is needed than the device offers.
    #[error(
        "{}; take a shorter history, a basis in halves or of lower rank, or the CPU engine",
        shortage(what, *needed, *available)
    )]
    Memory {
        /// What was to be allocated.
        what: String,
        /// The bytes that are needed; 0 where their number is not known.
        needed: u64,
        /// The bytes that are available: a limit of the device, or what the driver had granted a run before
        /// it refused more; `None` where their number is not known.
        available: Option<u64>,
    },
    /// The device disappeared (driver reset, unplugged, destroyed).
    #[error("the GPU device was lost: {0}")]
    Lost(String),
    /// A call needs a run, and the engine has not been started.
    #[error("the engine has not been started")]
    NotStarted,
    /// A call came before the call that it needs.
    #[error("{call}() comes after {needs}")]
    OutOfOrder {
        /// The method of [`Engine`](crate::engine::Engine) that was called.
        call: &'static str,
        /// What has to come before it.
        needs: &'static str,
    },
    /// A call belongs to a run with samples of the other kind.
    #[error("{call}() needs a run that records {needs}")]
    WrongSamples {
        /// The method of [`Engine`](crate::engine::Engine) that was called.
        call: &'static str,
        /// The kind of samples that the call needs, `points` or `pairs`: see
        /// [`Samples`](crate::engine::Samples).
        needs: &'static str,
    },
    /// A flow needs a volume, and the domain of the run has none.
    #[error("the {flow} flow needs a domain with a volume constraint")]
    NoVolume {
        /// The flow of the run.
        flow: &'static str,
    },
    /// A problem is larger than what a software adapter computes correctly.
    #[error("{what} is beyond what the software adapter {adapter} computes correctly; use the CPU engine")]
    Beyond {
        /// The problem, with its size.
        what: String,
        /// The name of the adapter.
        adapter: String,
    },
    /// A small factorisation on the host failed.
    #[error("the {what} did not converge")]
    Factorization {
        /// The factorisation, and of what.
        what: &'static str,
    },
    /// An invariant of the crate does not hold: a fault of the crate, not of its user.
    #[error("an internal fault, please report it: {what}")]
    Internal {
        /// The invariant that is broken.
        what: Cow<'static, str>,
    },
}

/// The finite-element system could not be solved.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FemError {
    /// The sparsity pattern could not be factorised.
    #[error("the symbolic factorisation failed ({reason})")]
    Symbolic {
        /// The reason in the solver's words.
        reason: String,
    },
    /// There is too little memory for the factorisation's work space.
    #[error("there is not enough memory for the factorisation's work space")]
    Memory,
    /// The stiffness matrix is not positive definite in double precision.
    #[error("the stiffness matrix is not positive definite ({reason}); is the structure held?")]
    Singular {
        /// The reason in the solver's words.
        reason: String,
    },
    /// The solution does not satisfy the system.
    #[error("the residual is {found:.1e}, allowed is {allowed:.1e}")]
    Residual {
        /// The norm of the residual over that of the load.
        found: f64,
        /// The largest that is allowed.
        allowed: f64,
    },
}

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system could not read or write.
    #[error("{path}: {source}")]
    Io {
        /// The path of the file or folder.
        path: String,
        /// The reason in the system's words.
        source: std::io::Error,
    },
    /// A file was read, and its content is not what it should be.
    #[error("{path}: {reason}")]
    Format {
        /// The path of the file.
        path: String,
        /// What is wrong with the content.
        reason: String,
    },
    /// A picture, a plot, a table or an array could not be put into its file's format.
    #[error("{what} cannot be encoded: {reason}")]
    Encoding {
        /// What was to be encoded.
        what: String,
        /// The reason in the encoder's words.
        reason: String,
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
    /// Makes a [`SettingsError::InvalidParameter`] of its fields.
    pub fn invalid(name: &'static str, found: impl ToString, allowed: impl ToString) -> Self {
        SettingsError::InvalidParameter { name, found: found.to_string(), allowed: allowed.to_string() }
            .into()
    }

    /// Makes a [`SettingsError::Length`] of its fields.
    pub fn length(name: &'static str, found: usize, expected: usize) -> Self {
        SettingsError::Length { name, found, expected }.into()
    }

    /// Makes a [`SettingsError::Structure`] of its fields.
    pub fn structure(key: impl Into<String>, reason: impl Into<String>) -> Self {
        SettingsError::Structure { key: key.into(), reason: reason.into() }.into()
    }

    /// Makes a [`SettingsError::Domain`] of its fields.
    pub fn domain(method: &'static str, needs: &'static str) -> Self {
        SettingsError::Domain { method, needs }.into()
    }

    /// Makes a [`SettingsError::Exclusive`] of its fields.
    pub fn exclusive(
        first: impl Into<Cow<'static, str>>,
        second: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
    ) -> Self {
        SettingsError::Exclusive { first: first.into(), second: second.into(), why: why.into() }.into()
    }

    /// Makes a [`SettingsError::OnlyWith`] of its fields.
    pub fn only_with(what: impl Into<Cow<'static, str>>, with: impl Into<Cow<'static, str>>) -> Self {
        SettingsError::OnlyWith { what: what.into(), with: with.into() }.into()
    }

    /// Makes an [`EngineError::Factorization`] of its field.
    pub fn factorization(what: &'static str) -> Self {
        EngineError::Factorization { what }.into()
    }

    /// Makes an [`EngineError::Internal`] of its field.
    pub fn internal(what: impl Into<Cow<'static, str>>) -> Self {
        EngineError::Internal { what: what.into() }.into()
    }

    /// Makes a [`FileError::Io`] for `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        FileError::Io { path: path.as_ref().display().to_string(), source }.into()
    }

    /// Makes a [`FileError::Format`] for `path`.
    pub fn format(path: impl AsRef<Path>, reason: impl ToString) -> Self {
        FileError::Format { path: path.as_ref().display().to_string(), reason: reason.to_string() }.into()
    }

    /// Makes a [`FileError::Encoding`] of `what`.
    pub fn encoding(what: impl ToString, reason: impl ToString) -> Self {
        FileError::Encoding { what: what.to_string(), reason: reason.to_string() }.into()
    }

    /// `value`, if it is positive and finite.
    pub(crate) fn require_positive(name: &'static str, value: f64) -> Result<f64> {
        if value > 0.0 && value.is_finite() {
            Ok(value)
        } else {
            Err(Self::invalid(name, value, "positive and finite"))
        }
    }

    /// Whether the device is at fault, not what it was asked for: an engine on another device may succeed.
    pub(crate) fn is_of_device(&self) -> bool {
        let Self::Engine(error) = self else { return false };
        match error {
            EngineError::NoAdapter { .. }
            | EngineError::OtherAdapters { .. }
            | EngineError::Device { .. }
            | EngineError::Memory { .. }
            | EngineError::Lost(_)
            | EngineError::Beyond { .. } => true,
            EngineError::NotStarted
            | EngineError::OutOfOrder { .. }
            | EngineError::WrongSamples { .. }
            | EngineError::NoVolume { .. }
            | EngineError::Factorization { .. }
            | EngineError::Internal { .. } => false,
        }
    }

    /// Whether a device has disappeared, so that nothing on it can be reached any more.
    pub fn is_lost_device(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Lost(_)))
    }
}
