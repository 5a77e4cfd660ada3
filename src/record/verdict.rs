//! The record of a model selection.

/// The record of the model selection at one refit.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The number of candidates tried.
    pub candidates: usize,
    /// The order of the winner's library.
    pub order: usize,
    /// The largest number of directions of the winner; none for all.
    pub rank: Option<usize>,
    /// The winner's ridge, as configured.
    pub ridge: f64,
    /// The winner's validation error.
    pub error: f64,
    /// The validation error of the runner-up, if there was one.
    pub runner_up: Option<f64>,
    /// The validation error of the prediction that the gradient stays as it is.
    #[serde(with = "crate::number::or_infinite")]
    pub persistence: f64,
}
