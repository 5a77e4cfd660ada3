//! The outcome of a surrogate phase, as a cadence sees it.

/// The outcome of a surrogate phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// Whether the landing was kept.
    pub accepted: bool,
    /// True change / predicted change of the objective; `None` if the landing was not evaluated or nothing
    /// was predicted.
    pub agreement: Option<f64>,
    /// Whether all allowed steps were taken.
    pub whole_horizon: bool,
}
