//! The objective: the true value and gradient, which the user supplies.

use crate::domain::Domain;
use crate::error::ObjectiveError;

/// A function R^d → R to be minimised, with its gradient.
///
/// One call of [`evaluate`](Self::evaluate) is one *true evaluation*, the unit everything in this crate is
/// counted in: it is assumed to be expensive (a finite-element solve and its adjoint).
pub trait Objective {
    /// The number of unknowns, d ≥ 1.
    fn dimension(&self) -> usize;

    /// Returns f(x) and writes ∇f(x) to `gradient`; both slices have length [`dimension`](Self::dimension).
    ///
    /// A non-finite value or gradient ends the run with the best trusted iterate, unless a surrogate phase
    /// has led there and landings are checked: then the phase is undone.
    ///
    /// # Errors
    /// Whatever keeps the value from being computed; treated alike, and a panic as well.
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError>;

    /// Writes H⁻¹∇f at the point that was evaluated last, for the Newton flow. Default: an error, as there is
    /// none.
    ///
    /// # Errors
    /// Whatever keeps it from being computed, or that the objective has no second derivatives to offer.
    fn newton_direction(&mut self, x: &[f64], direction: &mut [f64]) -> Result<(), ObjectiveError> {
        let _ = (x, direction);
        Err("the Newton flow needs an objective that supplies H⁻¹g (Objective::newton_direction)".into())
    }

    /// The feasible set of x. Default: all of R^d.
    fn domain(&self) -> Domain {
        Domain::Unbounded
    }

    /// A number that changes whenever f itself has changed, for continuation in a penalty, say; values of
    /// different revisions are not compared. Default: f never changes.
    ///
    /// It is asked for after each evaluation and must be that of the function which that evaluation saw. When
    /// it differs from the trusted iterate's, the run begins afresh where it is: the history is dropped, and
    /// what was evaluated is trusted whatever its value. The flow's own state (momenta, say), dimension and
    /// domain stay.
    fn revision(&self) -> u64 {
        0
    }

    /// Whether an evaluation depends on more than x: on the displacement that an iterative solver starts
    /// from, say. A [checkpoint](crate::checkpoint) keeps the [`state`](Self::state) of such an objective, so
    /// that a run that goes on takes the same steps to the last bit. Default: it does not.
    fn has_state(&self) -> bool {
        false
    }

    /// The state that the next evaluation depends on, in any format. Default: nothing.
    ///
    /// # Errors
    /// Whatever keeps it from being read; the run goes on.
    fn state(&self) -> Result<Vec<u8>, ObjectiveError> {
        Ok(Vec::new())
    }

    /// Takes over a [`state`](Self::state), whatever has been evaluated since it was made.
    ///
    /// # Errors
    /// A state that is no state of this objective.
    fn restore(&mut self, state: &[u8]) -> Result<(), ObjectiveError> {
        if state.is_empty() { Ok(()) } else { Err("this objective carries no state".into()) }
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
    fn revision(&self) -> u64 {
        (**self).revision()
    }
    fn has_state(&self) -> bool {
        (**self).has_state()
    }
    fn state(&self) -> Result<Vec<u8>, ObjectiveError> {
        (**self).state()
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), ObjectiveError> {
        (**self).restore(state)
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
