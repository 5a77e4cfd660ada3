//! Problems of the crate `argmin` as objectives, and runs of this crate as its solver.

use std::cell::Cell;

use argmin::core::{CostFunction, Error, Executor, Gradient, State, TerminationReason};
use lgf::argmin::{ArgminObjective, ArgminSolver};
use lgf::domain::{Bounds, Domain};
use lgf::engine::CpuEngine;
use lgf::flow::{Flow, GradientDescent};
use lgf::objective::{FnObjective, Objective};
use lgf::report::StopReason;
use lgf::{Lgf, Stopping};
use ndarray::Array1;

/// f(x) = Σ i (xᵢ − 1)² + (x₁ − 1)⁴ as a problem of argmin on parameters of ndarray. It fails once
/// `evaluations` have been made, and its gradient has `extra` entries too many.
struct Bowl {
    evaluations: Cell<usize>,
    extra: isize,
}

impl Bowl {
    fn new() -> Self {
        Self { evaluations: Cell::new(usize::MAX), extra: 0 }
    }
}

fn value(x: &[f64]) -> f64 {
    x.iter().enumerate().map(|(i, x)| (i + 1) as f64 * (x - 1.0).powi(2)).sum::<f64>() + (x[0] - 1.0).powi(4)
}

fn gradient(x: &[f64]) -> Vec<f64> {
    let mut g: Vec<f64> = x.iter().enumerate().map(|(i, x)| 2.0 * (i + 1) as f64 * (x - 1.0)).collect();
    g[0] += 4.0 * (x[0] - 1.0).powi(3);
    g
}

impl CostFunction for Bowl {
    type Param = Array1<f64>;
    type Output = f64;

    fn cost(&self, x: &Array1<f64>) -> Result<f64, Error> {
        let left = self.evaluations.get();
        if left == 0 {
            return Err(Error::msg("the licence server has gone away"));
        }
        self.evaluations.set(left - 1);
        Ok(value(x.as_slice().expect("it is contiguous")))
    }
}

impl Gradient for Bowl {
    type Param = Array1<f64>;
    type Gradient = Array1<f64>;

    fn gradient(&self, x: &Array1<f64>) -> Result<Array1<f64>, Error> {
        let mut g = gradient(x.as_slice().expect("it is contiguous"));
        g.resize(g.len().checked_add_signed(self.extra).expect("few are missing"), 0.0);
        Ok(g.into())
    }
}

fn native() -> impl Objective {
    FnObjective::new(7, |x: &[f64], g: &mut [f64]| {
        g.copy_from_slice(&gradient(x));
        Ok(value(x))
    })
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The run of an objective of argmin, and argmin's run of this crate, are this crate's run to the last bit.
#[test]
fn argmin_changes_no_bit_of_a_run() -> Result<(), Box<dyn std::error::Error>> {
    let here = Lgf::potential().on(CpuEngine::new()).minimize(native(), &[3.0; 7])?;
    assert!(here.true_evaluations > 3, "{here:?}");

    let mut objective = ArgminObjective::new(Bowl::new(), 7);
    let adapted = Lgf::potential().on(CpuEngine::new()).minimize(&mut objective, &[3.0; 7])?;
    assert_eq!(bits(&adapted.x), bits(&here.x));
    assert_eq!(adapted.history, here.history);
    let counts = objective.into_problem().counts;
    assert_eq!(counts["cost_count"], here.true_evaluations as u64);
    assert_eq!(counts["gradient_count"], here.true_evaluations as u64);

    let solver = ArgminSolver::new(Lgf::potential().on(CpuEngine::new()));
    let result = Executor::new(Bowl::new(), solver)
        .configure(|state| state.param(Array1::from_elem(7, 3.0)).max_iters(1000))
        .run()?;
    let report = result.solver.report().expect("the run ended by itself");
    assert_eq!(bits(&report.x), bits(&here.x));
    assert_eq!(report.history, here.history);
    let best = result.state.get_best_param().expect("there is a best one");
    assert_eq!(bits(best.as_slice().expect("it is contiguous")), bits(&here.x));
    assert_eq!(result.state.get_best_cost(), here.objective);
    assert_eq!(result.state.get_termination_reason(), Some(&TerminationReason::SolverConverged));
    assert_eq!(result.problem.counts["cost_count"], here.true_evaluations as u64);
    Ok(())
}

#[test]
fn limits_of_argmin_end_a_run_with_its_best_iterate() -> Result<(), Error> {
    let solver = || ArgminSolver::new(Lgf::potential().on(CpuEngine::new()));
    let start = || Array1::from_elem(7, 3.0);
    let few = Executor::new(Bowl::new(), solver()).configure(|s| s.param(start()).max_iters(2)).run()?;
    assert_eq!(few.state.get_termination_reason(), Some(&TerminationReason::MaxItersReached));
    assert!(few.solver.report().is_none());
    assert!(few.state.get_best_cost() < value(&[3.0; 7]));
    let best = few.state.get_best_param().expect("there is a best one");
    assert_eq!(value(best.as_slice().expect("it is contiguous")), few.state.get_best_cost());

    let target =
        Executor::new(Bowl::new(), solver()).configure(|s| s.param(start()).target_cost(1.0)).run()?;
    assert_eq!(target.state.get_termination_reason(), Some(&TerminationReason::TargetCostReached));

    let budget = Lgf::potential().stopping(Stopping::default().evaluations(3).tolerance(0.0))?;
    let spent = Executor::new(Bowl::new(), ArgminSolver::new(budget.on(CpuEngine::new())))
        .configure(|s| s.param(start()))
        .run()?;
    assert_eq!(
        spent.state.get_termination_reason(),
        Some(&TerminationReason::SolverExit("the budget of 3 true evaluations is spent".into()))
    );
    Ok(())
}

#[test]
fn a_failing_problem_leaves_the_best_iterate() -> Result<(), Error> {
    let problem = Bowl { evaluations: Cell::new(3), extra: 0 };
    // Each evaluation of the plain flow is at a true step: a learned step to where the problem fails would be
    // undone.
    let descent = Flow::GradientDescent(GradientDescent { rate: 0.01 });
    let solver = ArgminSolver::new(Lgf::new(descent)?.on(CpuEngine::new()));
    let result = Executor::new(problem, solver).configure(|s| s.param(Array1::from_elem(7, 3.0))).run()?;
    let report = result.solver.report().expect("the run ended by itself");
    assert!(
        matches!(&report.stop, StopReason::ObjectiveFailed { message, evaluation: 4 }
            if message == "the licence server has gone away"),
        "{}",
        report.stop
    );
    assert!(result.state.get_best_cost() < value(&[3.0; 7]));
    assert_eq!(
        result.state.get_termination_reason(),
        Some(&TerminationReason::SolverExit(report.stop.to_string()))
    );
    Ok(())
}

#[test]
fn gradients_of_a_wrong_length_are_refused() {
    for (extra, given) in [(-2, "5"), (1, "more")] {
        let mut objective = ArgminObjective::new(Bowl { extra, ..Bowl::new() }, 7);
        let error = objective.evaluate(&[0.0; 7], &mut [0.0; 7]).expect_err("its length is wrong");
        assert_eq!(
            error.to_string(),
            format!("the gradient of the argmin problem must have 7 entries, one per unknown, not {given}")
        );
    }
}

#[test]
fn bounds_are_kept_and_a_missing_start_is_named() -> Result<(), Error> {
    let solver = || {
        let domain = Domain::Box(Bounds::uniform(-0.5, 0.5));
        ArgminSolver::new(Lgf::potential().on(CpuEngine::new())).within(domain)
    };
    let result = Executor::new(Bowl::new(), solver()).configure(|s| s.param(Array1::zeros(7))).run()?;
    let best = result.state.get_best_param().expect("there is a best one");
    assert!(best.iter().all(|x| (x - 0.5).abs() < 1e-6), "{best}");

    let error = Executor::new(Bowl::new(), solver()).run().err().expect("there is no start");
    assert!(error.to_string().contains("initial parameter"), "{error}");
    Ok(())
}
