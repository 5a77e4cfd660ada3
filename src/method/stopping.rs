//! The rules by which a run ends.

use serde::{Deserialize, Serialize};

use super::Method;
use crate::error::{Error, Result};

/// When to stop.
///
/// ```
/// use lgf::method::Stopping;
///
/// let stopping = Stopping::default().evaluations(60).tolerance(1e-3).settled(10, 2e-4);
/// assert_eq!(stopping.max_evaluations, 60);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Stopping {
    /// The budget of true evaluations, ≥ 1.
    pub max_evaluations: usize,
    /// The run has converged when a true step of the base flow, or a step to the minimum of a learned
    /// potential, changes no unknown by more than this share, ≥ 0, of the unit of length: the largest finite
    /// width of the bounds, or, where a bound is missing, the largest magnitude of an unknown so far, if that
    /// is more. With ADAM, whose rate is the length of its steps, it is in the unit of the unknowns.
    pub tolerance: f64,
    /// The run is done when a trusted value is at most this, whatever the objective's revision. Finite: JSON
    /// keeps no other.
    pub target: Option<f64>,
    /// The run has settled when the best value has hardly fallen for a while.
    pub settled: Option<Settled>,
    /// No true evaluation begins later than this many seconds after the start, above 0.
    pub max_seconds: Option<f64>,
}

/// The best value f* has fallen by at most `change`·|f*| within the last `evaluations` true evaluations, all
/// of the newest revision of the objective, and the KKT residual is small enough, if that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The number of true evaluations that are looked at, ≥ 1.
    pub evaluations: usize,
    /// The relative change, ≥ 0 and below 1.
    pub change: f64,
    /// The largest [KKT residual](crate::domain::kkt_residual) of the latest trusted iterate, in parts of the
    /// start's largest gradient entry, ≥ 0: a run whose steps have become short far from a stationary point
    /// has not settled. `None` asks for nothing; neither does a flow that steps by Newton's direction.
    #[serde(default)]
    pub residual: Option<f64>,
}

impl Default for Stopping {
    fn default() -> Self {
        Self { max_evaluations: 1000, tolerance: 0.01, target: None, settled: None, max_seconds: None }
    }
}

impl Stopping {
    /// The stopping rule of a run by `method` unless another one is asked for: the default, with the
    /// tolerance 10⁻⁴ for a learned potential, whose steps are not bounded by a rate or a move limit.
    ///
    /// Structures have another rule, which knows that the unknowns are densities:
    /// [`Recipe::new`](crate::topology::Recipe::new).
    /// ```
    /// use lgf::Stopping;
    /// use lgf::flow::{Flow, OptimalityCriteria};
    /// use lgf::method::Potential;
    /// use lgf::topology::Recipe;
    ///
    /// let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    /// assert_eq!(Stopping::of(&oc.into()), Stopping::default());
    /// assert_eq!(Stopping::of(&Potential::default().into()), Stopping::default().tolerance(1e-4));
    /// let structures = Recipe::new(Potential::default()).stopping;
    /// let settled = lgf::Settled { evaluations: 10, change: 2e-4, residual: Some(1e-2) };
    /// assert_eq!(structures, Stopping { settled: Some(settled), ..Stopping::default().tolerance(1e-3) });
    /// ```
    pub fn of(method: &Method) -> Self {
        match method {
            Method::Potential(_) => Self::default().tolerance(1e-4),
            _ => Self::default(),
        }
    }

    /// The same settings with a budget of `count` true evaluations.
    #[must_use]
    pub fn evaluations(self, count: usize) -> Self {
        Self { max_evaluations: count, ..self }
    }

    /// The same settings with another tolerance.
    #[must_use]
    pub fn tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// The same settings with a target value.
    #[must_use]
    pub fn target(self, target: f64) -> Self {
        Self { target: Some(target), ..self }
    }

    /// The same settings, and the run has settled when the best value has fallen by at most `change` of
    /// itself within `evaluations`.
    #[must_use]
    pub fn settled(self, evaluations: usize, change: f64) -> Self {
        Self { settled: Some(Settled { evaluations, change, residual: None }), ..self }
    }

    /// The same settings with a budget of time.
    #[must_use]
    pub fn seconds(self, seconds: f64) -> Self {
        Self { max_seconds: Some(seconds), ..self }
    }

    /// Checks every field for a run by `method`.
    pub(crate) fn validate(&self, method: &Method) -> Result<()> {
        if self.max_evaluations == 0 {
            return Err(Error::invalid("the number of true evaluations", 0, "at least 1"));
        }
        if let Some(residual) = self.settled.and_then(|settled| settled.residual)
            && !(residual >= 0.0 && residual.is_finite())
        {
            return Err(Error::invalid("the residual of settled values", residual, "finite and at least 0"));
        }
        if let Some(Settled { evaluations, change, .. }) = self.settled
            && !(evaluations >= 1 && (0.0..1.0).contains(&change))
        {
            return Err(Error::invalid(
                "the window of settled values",
                format!("{change} in {evaluations} evaluations"),
                "a change of at least 0 and below 1, in at least 1",
            ));
        }
        if let Some(target) = self.target.filter(|target| !target.is_finite()) {
            return Err(Error::invalid("the target", target, "finite"));
        }
        if let Some(seconds) = self.max_seconds {
            Error::require_positive("the time budget in seconds", seconds)?;
        }
        // Changes that every step stays below would count as convergence at once.
        let longest = method.longest_step();
        if !(self.tolerance >= 0.0 && self.tolerance < longest.unwrap_or(f64::INFINITY)) {
            let allowed = match longest {
                Some(longest) => {
                    let what = match method {
                        Method::Potential(_) => "the first trust radius",
                        _ => "the flow's largest step",
                    };
                    format!("at least 0 and below {what}, {longest}")
                }
                None => "finite and at least 0".into(),
            };
            return Err(Error::invalid("the tolerance", self.tolerance, allowed));
        }
        Ok(())
    }
}
