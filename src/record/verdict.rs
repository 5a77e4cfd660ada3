//! Which candidate a model selection has chosen.

/// The verdict on one refit, for the record.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Candidates tried.
    pub candidates: usize,
    /// The winner's order.
    pub order: usize,
    /// The winner's most directions; none for all.
    pub rank: Option<usize>,
    /// The winner's ridge, as configured.
    pub ridge: f64,
    /// The winner's validation error.
    pub error: f64,
    /// The runner-up's.
    pub runner_up: Option<f64>,
    /// That of "the gradient stays as it is".
    pub persistence: f64,
}
