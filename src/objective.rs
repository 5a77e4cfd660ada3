//! The user's side: the true value and gradient.

use crate::error::{Error, ObjectiveError, Result};

/// A function R^d → R to be minimised, with its gradient.
///
/// One call of [`evaluate`](Self::evaluate) is one *true evaluation*, the unit everything in this crate is counted in:
/// it is assumed to be expensive (a finite-element solve and its adjoint).
pub trait Objective {
    /// The number of unknowns, d ≥ 1.
    fn dimension(&self) -> usize;

    /// Returns f(x) and writes ∇f(x) to `gradient`; both slices have length [`dimension`](Self::dimension).
    ///
    /// A non-finite value or gradient ends the run with the best trusted iterate, unless a surrogate phase has led there and landings are checked: then
    /// the phase is undone.
    ///
    /// # Errors
    /// Whatever keeps the value from being computed; treated alike.
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError>;

    /// Writes H⁻¹∇f at the point that was evaluated last, for the Newton flow. Default: there is none.
    ///
    /// # Errors
    /// Whatever keeps it from being computed, or that the objective has no second derivatives to offer.
    fn newton_direction(&mut self, x: &[f64], direction: &mut [f64]) -> Result<(), ObjectiveError> {
        let _ = (x, direction);
        Err("the Newton flow needs an objective that supplies H⁻¹g (Objective::newton_direction)".into())
    }

    /// Where x may be. Default: everywhere.
    fn domain(&self) -> Domain {
        Domain::Unbounded
    }
}

impl<T: Objective + ?Sized> Objective for &mut T {
    fn dimension(&self) -> usize {
        (**self).dimension()
    }
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        (**self).evaluate(x, gradient)
    }
    fn newton_direction(&mut self, x: &[f64], direction: &mut [f64]) -> Result<(), ObjectiveError> {
        (**self).newton_direction(x, direction)
    }
    fn domain(&self) -> Domain {
        (**self).domain()
    }
}

/// An [`Objective`] made of a dimension and a closure `(x, gradient) -> value`.
///
/// ```
/// use lgf::objective::{FnObjective, Objective};
/// let mut half_square = FnObjective::new(2, |x: &[f64], g: &mut [f64]| {
///     g.copy_from_slice(x);
///     Ok(0.5 * x.iter().map(|v| v * v).sum::<f64>())
/// });
/// let mut gradient = [0.0; 2];
/// assert_eq!(half_square.evaluate(&[3.0, 4.0], &mut gradient).unwrap(), 12.5);
/// ```
#[derive(Debug, Clone)]
pub struct FnObjective<F> {
    dimension: usize,
    function: F,
}

impl<F: FnMut(&[f64], &mut [f64]) -> Result<f64, ObjectiveError>> FnObjective<F> {
    /// Wraps `function` on R^`dimension`.
    pub fn new(dimension: usize, function: F) -> Self {
        Self { dimension, function }
    }
}

impl<F: FnMut(&[f64], &mut [f64]) -> Result<f64, ObjectiveError>> Objective for FnObjective<F> {
    fn dimension(&self) -> usize {
        self.dimension
    }
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        (self.function)(x, gradient)
    }
}

/// The set a flow keeps its iterates in.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Domain {
    /// R^d.
    Unbounded,
    /// \[lower, upper\]^d.
    Box {
        /// Lower bound of every unknown.
        lower: f64,
        /// Upper bound of every unknown.
        upper: f64,
    },
    /// { x ∈ \[lower, upper\]^d : Σ wᵢ xᵢ ≤ volume }, with all wᵢ > 0: the box and the one linear constraint of topology optimization.
    BoxVolume {
        /// Lower bound of every unknown.
        lower: f64,
        /// Upper bound of every unknown.
        upper: f64,
        /// The weights wᵢ > 0.
        weights: Vec<f64>,
        /// The bound on Σ wᵢ xᵢ.
        volume: f64,
    },
}

impl Domain {
    /// Checks that `start` is inside (the volume to 10⁻⁶ relative): a start outside would be the best design of its run.
    pub(crate) fn check_start(&self, start: &[f64]) -> Result<()> {
        let (Self::Box { lower, upper } | Self::BoxVolume { lower, upper, .. }) = self else { return Ok(()) };
        if let Some(x) = start.iter().find(|x| !(*lower..=*upper).contains(x)) {
            return Err(Error::invalid("an entry of the starting point", x, format!("between the bounds, {lower} and {upper}")));
        }
        if let Self::BoxVolume { weights, volume, .. } = self {
            let total: f64 = weights.iter().zip(start).map(|(w, x)| w * x).sum();
            if total > volume + 1e-6 * volume.abs() {
                return Err(Error::invalid("the volume of the starting point", total, format!("at most the volume bound, {volume}")));
            }
        }
        Ok(())
    }

    /// Checks that the domain is not empty and fits `dimension`.
    pub(crate) fn validate(&self, dimension: usize) -> Result<()> {
        if let Self::Box { lower, upper } | Self::BoxVolume { lower, upper, .. } = self
            && !(lower.is_finite() && upper.is_finite() && lower < upper)
        {
            return Err(Error::invalid("the design's bounds", format!("[{lower}, {upper}]"), "finite, the lower below the upper"));
        }
        let Self::BoxVolume { lower, upper, weights, volume } = self else { return Ok(()) };
        if weights.len() != dimension {
            return Err(Error::Length { name: "the volume weights", found: weights.len(), expected: dimension });
        }
        if let Some(w) = weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            return Err(Error::invalid("a volume weight", w, "finite and positive"));
        }
        let total: f64 = weights.iter().sum();
        let slack = 1e-9 * total * upper.abs().max(lower.abs());
        if !(*volume >= lower * total - slack && *volume <= upper * total + slack) {
            return Err(Error::invalid("the volume bound", volume, format!("between {} and {}, what the bounds allow", lower * total, upper * total)));
        }
        Ok(())
    }
}
