//! Tests of faults of the objective, the start or the settings, and of how they are reported.

use std::ops::ControlFlow;

use lgf::engine::CpuEngine;
use lgf::error::ObjectiveError;
use lgf::flow::{Adam, Flow, OptimalityCriteria};
use lgf::method::{Adaptive, Cadence, Cosine, CosineTest, Field, Potential};
use lgf::objective::{FnObjective, Objective};
use lgf::observe::{self, Event};
use lgf::problems::Quadratic;
use lgf::report::StopReason;
use lgf::surrogate::{Differences, Lift, Rank, Regression, Ridge, SpaceConfig, SurrogateConfig, Targets};
use lgf::topology::{Compliance, FilterKind, Structure};
use lgf::{Error, Lgf, RunError, Stopping};

mod common;
use common::{adaptive, budget, descent, fixed, lgf, run, value};

/// Writes a bad gradient and returns the objective's result.
type Fault = fn(&mut [f64]) -> Result<f64, ObjectiveError>;

/// An objective that fails at evaluation `at` as `fault` says.
fn faulty(at: usize, fault: Fault) -> impl Objective {
    let mut count = 0;
    let mut inner = Quadratic::geometric(5, 10.0);
    FnObjective::new(5, move |x: &[f64], g: &mut [f64]| {
        count += 1;
        let value = inner.evaluate(x, g)?;
        if count == at { fault(g) } else { Ok(value) }
    })
}

#[test]
fn a_fault_of_the_objective_returns_the_last_trusted_iterate() {
    let faults: [(&str, Fault); 5] = [
        ("value", |_| Ok(f64::NAN)),
        ("value", |_| Ok(f64::NEG_INFINITY)),
        ("gradient", |g| {
            g[2] = f64::NAN;
            Ok(1.0)
        }),
        ("the mesh is torn", |_| Err("the mesh is torn".into())),
        ("it panicked: the mesh is gone", |_| panic!("the mesh is gone")),
    ];
    for (word, fault) in faults {
        let flow = descent(0.01);
        for method in [flow.into(), adaptive(flow), fixed(flow, 3, 9)] {
            for at in [2, 9] {
                let report = run(lgf(method, 50), faulty(at, fault), &[0.0; 5]);
                assert!(report.stop.is_fault(), "{:?}", report.stop);
                let sentence = report.stop.to_string();
                assert!(sentence.contains(word) && sentence.contains(&at.to_string()), "{sentence}");
                assert_eq!((report.true_evaluations, report.history.len()), (at, at - 1));
                assert_eq!(value(Quadratic::geometric(5, 10.0), &report.x), report.objective);
            }
            let error =
                lgf(method, 50).on(CpuEngine::new()).minimize(faulty(1, fault), &[0.0; 5]).unwrap_err();
            assert!(
                matches!(error, RunError::NotStarted(Error::Start(_))) && error.to_string().contains(word),
                "{error}"
            );
        }
    }
}

#[test]
fn a_rate_that_is_too_large_is_called_by_its_name() {
    let report = run(lgf(descent(1e200), 50), Quadratic::geometric(5, 10.0), &[0.0; 5]);
    assert!(report.stop.is_fault(), "{:?}", report.stop);
    assert_eq!(report.x, [0.0; 5]);
}

#[test]
fn an_observer_can_end_the_run_and_keeps_what_was_reached() {
    let mut seen = 0;
    let observer = observe::from_fn(|event: Event<'_>| {
        if let Event::TrueStep { .. } = event {
            seen += 1;
        }
        if seen == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let lgf = lgf(descent(0.01), 50).on(CpuEngine::new()).observe(observer);
    let report = lgf.minimize(Quadratic::geometric(5, 10.0), &[0.0; 5]).unwrap();
    assert_eq!((report.stop, report.history.len()), (StopReason::Interrupted, 4));
}

/// An observer that has enough before the first evaluation still gets the start with its value.
#[test]
fn a_run_ended_at_once_returns_the_start() {
    let never = observe::from_fn(|_: Event<'_>| ControlFlow::Break(()));
    let lgf = lgf(descent(0.1), 9).on(CpuEngine::new()).observe(never);
    let report = lgf.minimize(Quadratic::geometric(3, 10.0), &[2.0; 3]).unwrap();
    assert_eq!((report.true_evaluations, &report.x[..]), (1, &[2.0; 3][..]));
    assert_eq!(report.stop, StopReason::Interrupted);
}

/// A surrogate that leads where the objective cannot be evaluated is undone, not the end.
#[test]
fn a_failing_landing_is_undone() {
    // f = x^2 that cannot be evaluated below 0.2: the bold surrogate steps beyond it, short true steps do not
    // get there within the budget.
    let mut failures = 0;
    let mut cliff = FnObjective::new(1, |x: &[f64], g: &mut [f64]| {
        if x[0] < 0.2 {
            failures += 1;
            return Err("off the cliff".into());
        }
        g[0] = 2.0 * x[0];
        Ok(x[0] * x[0])
    });
    let bold = Cadence::Adaptive(Adaptive {
        max_horizon: 500,
        horizon: 100,
        trust_radius: f64::INFINITY,
        ..Adaptive::default()
    });
    let field = Field::new(descent(0.01), SurrogateConfig::snapshots(), bold);
    let report = run(lgf(field, 30), &mut cliff, &[1.0]);
    assert!(failures >= 1 && report.rejected >= failures, "{failures} failures, {} undone", report.rejected);
    assert!(!report.stop.is_fault() && report.objective < 0.3, "{}: {}", report.objective, report.stop);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let good = SurrogateConfig::snapshots();
    let strong = SurrogateConfig {
        targets: Targets::StrongForm { differences: Differences::FivePoint },
        lift: Lift::Trajectory,
        ..good
    };
    let fixed = |flow, surrogate, k, m| Field::fixed(flow, surrogate, k, m);
    let adam = Flow::Adam(Adam::new(0.1));
    let cases = [
        (fixed(descent(0.1), good, 8, 5), "the interval M is 5; it must be at least the history size K, 8"),
        (fixed(descent(0.1), good, 1, 5), "the history size K is 1"),
        (
            fixed(
                descent(0.1),
                SurrogateConfig {
                    space: SpaceConfig::Reduced { rank: Rank::Count(9), centered: true },
                    ..good
                },
                8,
                16,
            ),
            "the rank is 9; it must be between 1 and the history size, 8",
        ),
        (fixed(descent(0.1), SurrogateConfig { order: 0, ..good }, 8, 16), "the order is 0"),
        (
            fixed(
                descent(0.1),
                SurrogateConfig { regression: Regression::ridge(Ridge::Relative(-1.0)), ..good },
                8,
                16,
            ),
            "the ridge is -1",
        ),
        (fixed(descent(0.1), strong, 4, 16), "the history size is 4; it must be at least 5"),
        (fixed(adam, strong, 8, 16), "strong- and weak-form targets and the adam flow exclude each other"),
        (
            Field::adaptive(descent(0.1), strong),
            "strong- and weak-form targets can only be used with the fixed cadence",
        ),
        (
            fixed(
                descent(0.1),
                SurrogateConfig { lift: Lift::Trajectory, ..SurrogateConfig::topology() },
                8,
                16,
            ),
            "transformed targets",
        ),
        (
            fixed(descent(0.1), SurrogateConfig::topology(), 8, 16),
            "logarithmic targets and the gradient-descent flow exclude each other",
        ),
        (fixed(descent(0.1), good, 8, 20_000), "the interval M is 20000; it must be at most 10000"),
        (
            fixed(descent(0.1), SurrogateConfig { order: 3, ..good }, 200, 400),
            "the number of polynomial features is",
        ),
    ];
    for (field, expected) in cases {
        let message = Lgf::new(field).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let rate = Lgf::new(descent(f64::NAN)).unwrap_err().to_string();
    assert!(rate.starts_with("the rate is NaN"), "{rate}");
    let zero = Lgf::new(descent(0.1)).unwrap().stopping(budget(0)).unwrap_err().to_string();
    assert!(zero.starts_with("the number of true evaluations is 0"), "{zero}");

    // The settings that are checked against the objective when the run starts.
    let starts: [(Flow, &[f64], &str); 3] = [
        (descent(0.1), &[0.0; 4], "the starting point has length 4, expected 5"),
        (descent(0.1), &[f64::NAN; 5], "an entry of the starting point is NaN"),
        (Flow::OptimalityCriteria(OptimalityCriteria::default()), &[0.0; 5], "the OC flow needs"),
    ];
    for (flow, start, expected) in starts {
        let refused = lgf(flow, 10).on(CpuEngine::new()).minimize(Quadratic::geometric(5, 10.0), start);
        let message = refused.unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}

/// OC from a start outside its box or its volume would return that start as its best design.
#[test]
fn a_start_outside_the_domain_is_refused() {
    let mut problem = Compliance::new(Structure::mbb(12, 4, FilterKind::Density)).unwrap();
    let lgf = Lgf::new(Flow::OptimalityCriteria(OptimalityCriteria::default())).unwrap();
    for (value, expected) in [
        (1.5, "an entry of the starting point is 1.5"),
        (-0.1, "an entry of the starting point is -0.1"),
        (1.0, "the volume of the starting point"),
    ] {
        let refused = lgf.on(CpuEngine::new()).minimize(&mut problem, &[value; 48]);
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn settings_of_a_potential_that_make_no_sense_are_named() {
    for (rule, words) in [
        (Potential { memory: 0, ..Potential::default() }, "between 1 and 64"),
        (Potential { steps: 0, ..Potential::default() }, "between 1 and 1000"),
        (Potential { order: 5, ..Potential::default() }, "2, 3 or 4"),
        (Potential { radius: f64::NAN, ..Potential::default() }, "above 0 and at most 1"),
    ] {
        let error = Lgf::new(rule).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    for (stopping, words) in [
        (Stopping::default().seconds(0.0), "time budget"),
        (Stopping::default().settled(0, 0.1), "settled values"),
    ] {
        let error = Lgf::potential().stopping(stopping).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn settings_of_the_cosine_test_that_make_no_sense_are_named() {
    let rule = CosineTest::default();
    let named = |flow: Flow, rule: CosineTest, words: &str| {
        let method = Cosine { rule, ..Cosine::new(flow, SurrogateConfig::snapshots()) };
        let error = Lgf::new(method).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    for (rule, words) in [
        (CosineTest { window: 1, ..rule }, "the history size K is 1"),
        (CosineTest { warm_up: 9, ..rule }, "the warm-up is 9; it must be between 2 and the history size, 8"),
        (CosineTest { good: 1.5, ..rule }, "the good cosine is 1.5"),
        (
            CosineTest { bad: 0.8, ..rule },
            "the bad cosine is 0.8; it must be between -1 and the good one, 0.7",
        ),
        (
            CosineTest { reach: Some(0.6), ..rule },
            "the first reach is 0.6; it must be above 0 and at most its cap, 0.5",
        ),
        (CosineTest { max_reach: f64::INFINITY, ..rule }, "the cap of the reach is inf"),
        (CosineTest { horizon: 0, ..rule }, "the horizon is 0"),
        (CosineTest { landing_tolerance: -1.0, ..rule }, "the landing tolerance is -1"),
    ] {
        named(descent(0.1), rule, words);
    }
    named(
        Flow::OptimalityCriteria(OptimalityCriteria::default()),
        rule,
        "can only be used with a flow that has a rate, twice which is the first reach, or with",
    );
}
