//! Tests of learned steps that are trusted by direction.

use std::ops::ControlFlow;

use lgf::engine::{CpuEngine, Engine};
use lgf::flow::{Adam, Flow};
use lgf::method::{Cosine, CosineTest};
use lgf::objective::{FnObjective, Objective};
use lgf::observe::{self, Event};
use lgf::problems::{Quadratic, Rosenbrock};
use lgf::report::Report;
use lgf::surrogate::SurrogateConfig;

mod common;
use common::{best, descent, gpu, lgf, run};

/// The events of the cosine test: (evaluation, cosine, reach, dropped).
type Comparisons = Vec<(usize, f64, f64, bool)>;

fn cosine_run(
    flow: Flow,
    rule: CosineTest,
    budget: usize,
    objective: impl Objective,
    start: &[f64],
    engine: &mut dyn Engine,
) -> (Report, Comparisons) {
    let mut comparisons = Comparisons::new();
    let (mut samples_since_drop, mut dropped) = (0, false);
    let observer = observe::from_fn(|event: Event<'_>| {
        match event {
            Event::Compared { evaluation, cosine, reach, dropped: now } => {
                comparisons.push((evaluation, cosine, reach, now));
                if now {
                    (dropped, samples_since_drop) = (true, 1);
                }
            }
            Event::TrueStep { .. } => samples_since_drop += 1,
            Event::Fitted { fit } => {
                // The first model after a drop is fitted to no sample from before the drop.
                assert!(!dropped || fit.samples == samples_since_drop, "{fit:?}, {samples_since_drop}");
                assert!(fit.samples >= rule.warm_up && fit.samples <= rule.window);
                dropped = false;
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let method = Cosine { rule, ..Cosine::new(flow, SurrogateConfig::snapshots()) };
    let report = lgf(method, budget).on(engine).observe(observer).minimize(objective, start).unwrap();
    // The result is never worse than the best trusted value, and no accepted landing is worse than its start.
    assert_eq!(report.objective, best(&report.history));
    for phase in report.phases.iter().filter(|p| p.accepted) {
        let at = report.history.iter().find(|e| e.evaluation == phase.evaluation + 1).unwrap().objective;
        let from = at - phase.true_change.unwrap();
        assert!(at <= from + 1.0001 * rule.landing_tolerance * from.abs() + 1e-12, "{phase:?}");
    }
    assert!(comparisons.iter().all(|c| c.2 <= rule.max_reach));
    (report, comparisons)
}

#[test]
fn the_cosine_test_trusts_a_model_that_points_the_right_way() {
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
        for flow in [descent(0.01), Flow::Adam(Adam::new(0.02))] {
            // Each learned step costs a read-back, which is slow on software adapters.
            let rule = CosineTest { horizon: 16, ..CosineTest::default() };
            let start = [3.0, -2.0, 0.5];
            let (report, comparisons) =
                cosine_run(flow, rule, 60, Quadratic::geometric(3, 10.0), &start, &mut *engine);
            let plain = run(lgf(flow, 60), Quadratic::geometric(3, 10.0), &start);
            let name = format!("{} on {}", flow.name(), engine.info().kind.name());
            let first: Vec<_> = comparisons.iter().take(4).collect();
            assert!(first.iter().all(|c| c.1 > 0.99 && !c.3), "{name}: {first:?}");
            assert!(comparisons.iter().any(|c| c.2 == 0.5), "{name}: γ grows to its cap");
            assert!(
                report.objective < 0.1 * plain.objective,
                "{name}: {} against {}",
                report.objective,
                plain.objective
            );
        }
    }
}

/// An objective with a wall: beyond x = 1 the gradient points back.
#[test]
fn the_cosine_test_drops_a_model_where_the_field_turns() {
    let wall = || {
        FnObjective::new(2, |x: &[f64], g: &mut [f64]| {
            let beyond = (x[0] - 1.0).max(0.0);
            g.copy_from_slice(&[-1.0 + 10.0 * beyond, 0.1 * x[1]]);
            Ok(-x[0] + 5.0 * beyond * beyond + 0.05 * x[1] * x[1])
        })
    };
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
        let mut drops = 0;
        for i in 0..4 {
            let rule = CosineTest { horizon: 16, ..CosineTest::default() };
            let start = [-1.0 - 0.05 * f64::from(i), 1.0];
            let mut once = || cosine_run(descent(0.04), rule, 40, wall(), &start, &mut *engine);
            let ((report, comparisons), (again, compared_again)) = (once(), once());
            assert_eq!(
                (&report.x, &report.history, &report.phases),
                (&again.x, &again.history, &again.phases)
            );
            let bits = |c: &Comparisons| {
                c.iter().map(|c| (c.0, c.1.to_bits(), c.2.to_bits(), c.3)).collect::<Vec<_>>()
            };
            assert_eq!(bits(&comparisons), bits(&compared_again));
            for (before, after) in comparisons.iter().zip(&comparisons[1..]).filter(|(_, after)| after.3) {
                assert!(after.1.is_nan() || after.1 < 0.2, "{after:?}");
                assert!(after.2 <= 0.5 * before.2, "{before:?} {after:?}");
                // A model is fitted again only after six samples.
                assert!(!comparisons.iter().any(|c| c.0 > after.0 && c.0 < after.0 + 6), "{comparisons:?}");
            }
            drops += comparisons.iter().filter(|c| c.3).count();
            assert!(report.objective < -1.0, "{}", report.objective);
        }
        assert!(drops >= 4, "{drops} models dropped: the test needs some");
    }
}

#[test]
fn the_cosine_test_descends_rosenbrocks_valley_safely() {
    let flow = descent(1.0 / 1024.0);
    let rule = CosineTest { horizon: 2000, ..CosineTest::default() };
    let start = [-1.2, 1.0, -1.2, 1.0];
    let valley = Rosenbrock { dimension: 4 };
    let (report, _) = cosine_run(flow, rule, 200, valley, &start, &mut CpuEngine::new());
    let plain = run(lgf(flow, 200), valley, &start);
    assert!(report.rejected >= 2, "{} undone: the test needs some", report.rejected);
    assert!(report.objective < 0.1 * plain.objective, "{} against {}", report.objective, plain.objective);
}
