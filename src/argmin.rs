//! Problems and solvers of the crate [`argmin`](https://docs.rs/argmin) (feature `argmin`).
//!
//! A problem written for argmin is an [`Objective`] by [`ArgminObjective`], and a run of this crate is a
//! solver for argmin's `Executor` by [`ArgminSolver`], with argmin's observers, timeout and target.
//!
//! Parameters are vectors of f64: `Vec<f64>`, `ndarray::Array1<f64>`, nalgebra's `DVector<f64>`, or any type
//! that is made from a `Vec<f64>` and iterated by reference. A problem's cost and gradient are asked for one
//! after the other at the same point, once each per true evaluation: where both come from one solve, the
//! problem had better keep it (or implement [`Objective`] itself).
//!
//! ```
//! use argmin::core::{CostFunction, Error, Executor, Gradient, State};
//! use lgf::Lgf;
//! use lgf::argmin::ArgminSolver;
//! use lgf::engine::CpuEngine;
//!
//! // f(x) = Σ i (xᵢ − 1)⁴
//! struct Quartic;
//!
//! impl CostFunction for Quartic {
//!     type Param = Vec<f64>;
//!     type Output = f64;
//!     fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
//!         Ok(x.iter().enumerate().map(|(i, x)| (i + 1) as f64 * (x - 1.0).powi(4)).sum())
//!     }
//! }
//!
//! impl Gradient for Quartic {
//!     type Param = Vec<f64>;
//!     type Gradient = Vec<f64>;
//!     fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
//!         Ok(x.iter().enumerate().map(|(i, x)| 4.0 * (i + 1) as f64 * (x - 1.0).powi(3)).collect())
//!     }
//! }
//!
//! # fn main() -> Result<(), Error> {
//! let solver = ArgminSolver::new(Lgf::potential().on(CpuEngine::new()));
//! let result = Executor::new(Quartic, solver)
//!     .configure(|state| state.param(vec![0.0; 10]).target_cost(1e-8))
//!     .run()?;
//! assert!(result.state.get_best_cost() <= 1e-8);
//! # Ok(())
//! # }
//! ```

use std::collections::HashMap;
use std::fmt;

use ::argmin::core::{
    ArgminError, CostFunction, Error as AnyError, Gradient, IterState, KV, Problem, Solver, State,
    TerminationReason,
};
use ::argmin::kv;

use crate::domain::Domain;
use crate::engine::Engine;
use crate::error::{Error, ObjectiveError};
use crate::objective::Objective;
use crate::report::{Report, StopReason};
use crate::run::{Lgf, RunError, Session, Start};

/// A problem of argmin as an [`Objective`]: its cost is f and its gradient ∇f.
///
/// ```
/// # use argmin::core::{CostFunction, Error, Gradient};
/// # struct Square;
/// # impl CostFunction for Square {
/// #     type Param = Vec<f64>;
/// #     type Output = f64;
/// #     fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
/// #         Ok(x.iter().map(|x| (x - 1.0).powi(2)).sum())
/// #     }
/// # }
/// # impl Gradient for Square {
/// #     type Param = Vec<f64>;
/// #     type Gradient = Vec<f64>;
/// #     fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
/// #         Ok(x.iter().map(|x| 2.0 * (x - 1.0)).collect())
/// #     }
/// # }
/// use lgf::Lgf;
/// use lgf::argmin::ArgminObjective;
/// use lgf::domain::{Bounds, Domain};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // argmin has no bounds; here they are given beside the problem.
/// let objective = ArgminObjective::new(Square, 3).within(Domain::Box(Bounds::uniform(-1.0, 0.5)));
/// let report = Lgf::potential().minimize(objective, &[0.0; 3])?;
/// assert!(report.x.iter().all(|x| (x - 0.5).abs() < 1e-6));
/// # Ok(())
/// # }
/// ```
///
/// Cost: one copy of x and one of the gradient per evaluation, beside the problem's own.
#[derive(Clone)]
pub struct ArgminObjective<P> {
    problem: Problem<P>,
    dimension: usize,
    domain: Domain,
}

impl<P> ArgminObjective<P> {
    /// The cost of `problem` as a function of `dimension` unknowns, on all of R^d.
    pub fn new(problem: P, dimension: usize) -> Self {
        Self { problem: Problem::new(problem), dimension, domain: Domain::Unbounded }
    }

    /// The same objective on `domain`.
    #[must_use]
    pub fn within(self, domain: Domain) -> Self {
        Self { domain, ..self }
    }

    /// Hands back the problem, with argmin's counts of its calls.
    pub fn into_problem(self) -> Problem<P> {
        self.problem
    }
}

impl<P> fmt::Debug for ArgminObjective<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgminObjective")
            .field("counts", &self.problem.counts)
            .field("dimension", &self.dimension)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

impl<P, V, G> Objective for ArgminObjective<P>
where
    P: CostFunction<Param = V, Output = f64> + Gradient<Param = V, Gradient = G>,
    V: From<Vec<f64>>,
    for<'a> &'a G: IntoIterator<Item = &'a f64>,
{
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let x = V::from(x.to_vec());
        let value = self.problem.cost(&x)?;
        let given = self.problem.gradient(&x)?;
        let mut entries = (&given).into_iter();
        for (i, g) in gradient.iter_mut().enumerate() {
            *g = *entries.next().ok_or_else(|| wrong_length(self.dimension, &i.to_string()))?;
        }
        match entries.next() {
            None => Ok(value),
            Some(_) => Err(wrong_length(self.dimension, "more")),
        }
    }

    fn domain(&self) -> Domain {
        self.domain.clone()
    }
}

fn wrong_length(dimension: usize, length: &str) -> ObjectiveError {
    format!("the gradient of the argmin problem must have {dimension} entries, one per unknown, not {length}")
        .into()
}

/// A run of this crate as a solver of argmin's `Executor`.
///
/// One iteration is one piece of the run (see [`Session`]): the start, a true step, or a surrogate phase with
/// the evaluation of its landing. The state's parameter and cost are the trusted iterate's; argmin's limits
/// of iterations, cost and time hold beside the run's own [`Stopping`](crate::Stopping), whose end is
/// argmin's `SolverConverged`, or `SolverExit` with the sentence of the [`StopReason`]. A failing problem or
/// device ends the run in the same way, and the best trusted iterate is in the state. The full report is
/// [`report`](Self::report) of the solver that argmin hands back.
///
/// An executor needs an initial parameter (`.configure(|state| state.param(x0))`). argmin's checkpoints
/// need a solver that can be written down, which a device is not: see [`checkpoint`](crate::checkpoint).
pub struct ArgminSolver<P, E> {
    run: Run<P, E>,
    domain: Domain,
    lgf: Lgf,
    report: Option<Report>,
}

/// What an [`ArgminSolver`] holds of its run: the engine before it, the session in it.
enum Run<P, E> {
    Unbegun(E),
    Going(Box<Session<ArgminObjective<P>, E, ()>>),
    Over,
}

impl<P, E: Engine> ArgminSolver<P, E> {
    /// The solver that runs `lgf`, on all of R^d.
    pub fn new(lgf: Lgf<E>) -> Self {
        let (lgf, engine) = lgf.without_engine();
        Self { run: Run::Unbegun(engine), domain: Domain::Unbounded, lgf, report: None }
    }

    /// The same solver on `domain`, which argmin itself has no word for.
    #[must_use]
    pub fn within(self, domain: Domain) -> Self {
        Self { domain, ..self }
    }

    /// The report of the run once it has ended by itself; none where one of argmin's own limits ended it.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }
}

impl<P, E> fmt::Debug for ArgminSolver<P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = match self.run {
            Run::Unbegun(_) => "unbegun",
            Run::Going(_) => "going",
            Run::Over => "over",
        };
        f.debug_struct("ArgminSolver")
            .field("run", &run)
            .field("domain", &self.domain)
            .field("lgf", &self.lgf)
            .field("report", &self.report)
            .finish()
    }
}

/// The state that argmin keeps of a run: the parameter and its cost.
type Iterate<V, G> = IterState<V, G, (), (), (), f64>;

impl<P, V, G, E> ArgminSolver<P, E>
where
    P: CostFunction<Param = V, Output = f64> + Gradient<Param = V, Gradient = G>,
    V: From<Vec<f64>> + Clone,
    for<'a> &'a V: IntoIterator<Item = &'a f64>,
    for<'a> &'a G: IntoIterator<Item = &'a f64>,
    E: Engine,
{
    /// One piece of the run, with the problem lent to the session for as long as it takes.
    fn piece(
        &mut self,
        problem: &mut Problem<P>,
        state: Iterate<V, G>,
    ) -> Result<(Iterate<V, G>, Option<KV>), AnyError> {
        let Run::Going(session) = &mut self.run else {
            return Err(
                ArgminError::NotInitialized { text: "the run has not begun or is over".into() }.into()
            );
        };
        std::mem::swap(problem, &mut session.objective_mut().problem);
        let outcome = session.step();
        std::mem::swap(problem, &mut session.objective_mut().problem);
        let report = match outcome {
            Ok(None) => {
                let state = state.param(V::from(session.design()?.to_vec())).cost(session.value());
                let values = kv!("true_evaluations" => session.true_evaluations() as u64;);
                return Ok((state, Some(values)));
            }
            Ok(Some(report)) => report,
            Err(RunError::CutShort { source, report }) => {
                return self.after_a_fault(&source, *report, state);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(self.ended(report, state))
    }

    /// Goes on from `report` on the device that the engine falls back on, or ends.
    fn after_a_fault(
        &mut self,
        fault: &Error,
        report: Report,
        state: Iterate<V, G>,
    ) -> Result<(Iterate<V, G>, Option<KV>), AnyError> {
        let Run::Going(session) = std::mem::replace(&mut self.run, Run::Over) else {
            return Ok(self.ended(report, state));
        };
        let (objective, mut engine, ()) = session.into_parts();
        if !engine.fall_back(fault) {
            return Ok(self.ended(report, state));
        }
        log::warn!("{fault}; going on from true evaluation {} on another engine", report.best_evaluation);
        let session = self.lgf.on(engine).session(objective, Start::after(&report))?;
        self.run = Run::Going(Box::new(session));
        Ok((state.param(V::from(report.x)).cost(report.objective), None))
    }

    /// The state at the end of the run, which `report` tells of.
    fn ended(&mut self, report: Report, state: Iterate<V, G>) -> (Iterate<V, G>, Option<KV>) {
        self.run = Run::Over;
        let reason = match &report.stop {
            StopReason::Converged { .. } | StopReason::Settled { .. } => TerminationReason::SolverConverged,
            StopReason::TargetReached { .. } => TerminationReason::TargetCostReached,
            StopReason::TimeSpent { .. } => TerminationReason::Timeout,
            StopReason::Interrupted => TerminationReason::Interrupt,
            stop => TerminationReason::SolverExit(stop.to_string()),
        };
        let values = kv!("true_evaluations" => report.true_evaluations as u64;);
        let state = state.param(V::from(report.x.clone())).cost(report.objective).terminate_with(reason);
        self.report = Some(report);
        (state, Some(values))
    }
}

impl<P, V, G, E> Solver<P, Iterate<V, G>> for ArgminSolver<P, E>
where
    P: CostFunction<Param = V, Output = f64> + Gradient<Param = V, Gradient = G>,
    V: From<Vec<f64>> + Clone,
    for<'a> &'a V: IntoIterator<Item = &'a f64>,
    for<'a> &'a G: IntoIterator<Item = &'a f64>,
    E: Engine,
{
    fn name(&self) -> &str {
        "learned gradient flow"
    }

    fn init(
        &mut self,
        problem: &mut Problem<P>,
        mut state: Iterate<V, G>,
    ) -> Result<(Iterate<V, G>, Option<KV>), AnyError> {
        let Run::Unbegun(engine) = std::mem::replace(&mut self.run, Run::Over) else {
            let text = "a solver runs once; make another for the next run".into();
            return Err(ArgminError::NotInitialized { text }.into());
        };
        let Some(start) = state.take_param() else {
            let text = "the learned gradient flow needs an initial parameter: \
                        .configure(|state| state.param(x0))"
                .into();
            return Err(ArgminError::NotInitialized { text }.into());
        };
        let x: Vec<f64> = (&start).into_iter().copied().collect();
        // The problem itself is lent to the session for each piece.
        let nothing = Problem { problem: None, counts: HashMap::new() };
        let objective = ArgminObjective { problem: nothing, dimension: x.len(), domain: self.domain.clone() };
        self.run = Run::Going(Box::new(self.lgf.on(engine).session(objective, &x)?));
        self.piece(problem, state)
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<P>,
        state: Iterate<V, G>,
    ) -> Result<(Iterate<V, G>, Option<KV>), AnyError> {
        self.piece(problem, state)
    }
}
