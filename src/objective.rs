//! The user's side: the true value and gradient.

use crate::error::{Error, ObjectiveError, Result};

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
    /// { x ∈ \[lower, upper\]^d : Σ wᵢ xᵢ ≤ volume }, with all wᵢ > 0: the box and the one linear constraint
    /// of topology optimization.
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
    /// Checks that `start` is inside (the volume to 10⁻⁶ relative): a start outside would be the best design
    /// of its run.
    pub(crate) fn check_start(&self, start: &[f64]) -> Result<()> {
        let (Self::Box { lower, upper } | Self::BoxVolume { lower, upper, .. }) = self else { return Ok(()) };
        if let Some(x) = start.iter().find(|x| !(*lower..=*upper).contains(x)) {
            return Err(Error::invalid(
                "an entry of the starting point",
                x,
                format!("between the bounds, {lower} and {upper}"),
            ));
        }
        if let Self::BoxVolume { weights, volume, .. } = self {
            let total: f64 = weights.iter().zip(start).map(|(w, x)| w * x).sum();
            if total > volume + 1e-6 * volume.abs() {
                return Err(Error::invalid(
                    "the volume of the starting point",
                    total,
                    format!("at most the volume bound, {volume}"),
                ));
            }
        }
        Ok(())
    }

    /// Checks that the domain is not empty and fits `dimension`.
    pub(crate) fn validate(&self, dimension: usize) -> Result<()> {
        if let Self::Box { lower, upper } | Self::BoxVolume { lower, upper, .. } = self
            && !(lower.is_finite() && upper.is_finite() && lower < upper)
        {
            return Err(Error::invalid(
                "the design's bounds",
                format!("[{lower}, {upper}]"),
                "finite, the lower below the upper",
            ));
        }
        let Self::BoxVolume { lower, upper, weights, volume } = self else { return Ok(()) };
        if weights.len() != dimension {
            return Err(Error::length("the volume weights", weights.len(), dimension));
        }
        if let Some(w) = weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            return Err(Error::invalid("a volume weight", w, "finite and positive"));
        }
        let total: f64 = weights.iter().sum();
        let slack = 1e-9 * total * upper.abs().max(lower.abs());
        if !(*volume >= lower * total - slack && *volume <= upper * total + slack) {
            return Err(Error::invalid(
                "the volume bound",
                volume,
                format!("between {} and {}, what the bounds allow", lower * total, upper * total),
            ));
        }
        Ok(())
    }
}

/// How far `x` is from a Karush–Kuhn–Tucker point of min f on `domain`: minᵤ maxᵢ |rᵢ| over the volume's
/// multiplier μ ≥ 0 (0 where the bound is slack), with r = g + μ w, of which only what the bounds leave
/// counts: a negative entry at an upper bound and a positive one at a lower bound count for nothing, as no
/// feasible step follows them downhill.
///
/// In units of the gradient; 0 at a stationary point. "At" a bound: within 10⁻⁶ of the box; "slack": by more
/// than 10⁻⁶ of the volume, which is what f32 iterates resolve. Cost: some hundred passes over x. Source:
/// Nocedal & Wright, *Numerical Optimization* (2006), §12.3.
pub fn kkt_residual(domain: &Domain, x: &[f64], gradient: &[f64]) -> f64 {
    const NEAR: f64 = 1e-6;
    let (lower, upper) = match domain {
        Domain::Unbounded => (f64::MIN, f64::MAX),
        Domain::Box { lower, upper } | Domain::BoxVolume { lower, upper, .. } => {
            (lower + NEAR * (upper - lower), upper - NEAR * (upper - lower))
        }
    };
    // The largest downward and upward slope that is left: raising μ shrinks the one and grows the other.
    let slopes = |weights: &[f64], mu: f64| {
        x.iter().zip(gradient).enumerate().fold((0.0_f64, 0.0_f64), |(falls, rises), (i, (x, g))| {
            let r = g + mu * weights.get(i).copied().unwrap_or(0.0);
            (if *x < upper { falls.max(-r) } else { falls }, if *x > lower { rises.max(r) } else { rises })
        })
    };
    let residual = |weights: &[f64], mu: f64| {
        let (falls, rises) = slopes(weights, mu);
        falls.max(rises)
    };
    match domain {
        Domain::BoxVolume { weights, volume, .. }
            if weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() > volume * (1.0 - NEAR) =>
        {
            let (mut low, mut high) =
                (0.0, gradient.iter().zip(weights).fold(0.0_f64, |m, (g, w)| m.max(-g / w)));
            for _ in 0..100 {
                let middle = 0.5 * (low + high);
                let (falls, rises) = slopes(weights, middle);
                if falls > rises { low = middle } else { high = middle }
            }
            residual(weights, low).min(residual(weights, high))
        }
        _ => residual(&[], 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// min Σ ½ (x − a)² on a box with Σ x ≤ V: the solution is clip(a − μ).
    #[test]
    fn a_solution_has_no_residual_and_a_neighbour_has() {
        let a = [1.4, 0.9, 0.5, -0.3];
        let domain = Domain::BoxVolume { lower: 0.0, upper: 1.0, weights: vec![1.0; 4], volume: 1.8 };
        // 1 + (0.9 − μ) + (0.5 − μ) + 0 = 1.8
        let mu = 0.3;
        let x = a.map(|a: f64| (a - mu).clamp(0.0, 1.0));
        let gradient: Vec<f64> = x.iter().zip(a).map(|(x, a)| x - a).collect();
        assert!(kkt_residual(&domain, &x, &gradient) < 1e-12);
        let moved = [x[0], x[1] - 0.1, x[2] + 0.1, x[3]];
        let gradient: Vec<f64> = moved.iter().zip(a).map(|(x, a)| x - a).collect();
        // r = (…, −0.1, +0.1, …) about μ = 0.3.
        approx::assert_relative_eq!(kkt_residual(&domain, &moved, &gradient), 0.1, epsilon = 1e-9);
        assert_eq!(kkt_residual(&Domain::Unbounded, &[0.3, 0.1], &[2.0, -1.0]), 2.0);
        assert_eq!(kkt_residual(&Domain::Box { lower: 0.0, upper: 1.0 }, &[0.0, 1.0], &[2.0, -1.0]), 0.0);
    }
}
