//! Tests of the rules by which runs end.

use std::time::Instant;

use lgf::Lgf;
use lgf::Stopping;
use lgf::objective::{FnObjective, Objective};
use lgf::problems::Quadratic;
use lgf::report::StopReason;

mod common;
use common::{budget, descent, lgf, run};

#[test]
fn a_target_ends_the_run() {
    let lgf = lgf(descent(0.05), 500).stopping(budget(500).target(1e-3)).unwrap();
    let report = run(lgf, Quadratic::geometric(3, 10.0), &[2.0; 3]);
    assert!(report.objective <= 1e-3 && report.history[report.history.len() - 2].objective > 1e-3);
    assert_eq!(report.stop, StopReason::TargetReached { target: 1e-3 });
}

#[test]
fn runs_end_when_little_changes() {
    let d = 40;
    let settled = Stopping::default().tolerance(0.0).settled(5, 1e-3);
    for lgf in [Lgf::potential(), lgf(descent(0.015), 500)] {
        let mut shifted = Quadratic::geometric(d, 100.0);
        let objective = FnObjective::new(d, |x: &[f64], g: &mut [f64]| Ok(1.0 + shifted.evaluate(x, g)?));
        let report = run(lgf.stopping(settled).unwrap(), objective, &vec![0.0; d]);
        assert_eq!(report.stop, StopReason::Settled { change: 1e-3, evaluations: 5 });
        let n = report.history.len();
        let best =
            |upto: usize| report.history[..upto].iter().map(|e| e.objective).fold(f64::INFINITY, f64::min);
        assert!(best(n - 5) - best(n) <= 1e-3 * best(n) && best(n - 6) - best(n - 1) > 1e-3 * best(n - 1));
    }
}

/// Whatever the machine's speed: no evaluation follows one that has ended after the time was up, and the run
/// goes on until the time is up.
#[test]
fn runs_end_when_time_is_up() {
    let limit = 0.05;
    let before = Instant::now();
    let mut spans = Vec::new();
    let slope = FnObjective::new(1, |x: &[f64], g: &mut [f64]| {
        let begin = Instant::now();
        g[0] = x[0].signum();
        spans.push((begin, Instant::now()));
        Ok(x[0].abs())
    });
    // 10⁹ steps lead to the minimum.
    let lgf = lgf(descent(1e-9), 1).stopping(budget(usize::MAX).seconds(limit)).unwrap();
    let report = run(lgf, slope, &[1.0]);
    assert_eq!(report.stop, StopReason::TimeSpent { seconds: limit });
    assert!(report.wall_seconds >= limit && before.elapsed().as_secs_f64() >= report.wall_seconds);
    assert_eq!((report.true_evaluations, report.history.len()), (spans.len(), spans.len()));
    // The run's clock was started before its first evaluation.
    let (first, _) = spans[0];
    let in_time = |(_, end): &(Instant, Instant)| end.duration_since(first).as_secs_f64() < limit;
    assert!(spans[..spans.len() - 1].iter().all(in_time));
}

/// The start is evaluated however little time there is, and nothing else is.
#[test]
fn no_time_at_all_is_enough_for_the_start() {
    let lgf = lgf(descent(0.1), 1).stopping(budget(9).seconds(1e-9)).unwrap();
    let report = run(lgf, Quadratic::geometric(3, 10.0), &[2.0; 3]);
    assert_eq!((report.true_evaluations, report.stop), (1, StopReason::TimeSpent { seconds: 1e-9 }));
    assert_eq!(report.x, [2.0; 3]);
}

/// A run on an objective without a minimum does not come to rest where numbers end, and says what is wrong.
#[test]
fn an_objective_that_falls_without_end_is_named() {
    let line = |x: &[f64], g: &mut [f64]| {
        g.fill(1.0);
        Ok(x.iter().sum())
    };
    let hill = |x: &[f64], g: &mut [f64]| {
        g.iter_mut().zip(x).for_each(|(g, x)| *g = -2.0 * x);
        Ok(-x.iter().map(|x| x * x).sum::<f64>())
    };
    let cliff = |x: &[f64], g: &mut [f64]| {
        g.iter_mut().zip(x).for_each(|(g, x)| *g = -x.min(700.0).exp());
        Ok(-x.iter().map(|x| x.min(700.0).exp()).sum::<f64>())
    };
    type Function = fn(&[f64], &mut [f64]) -> Result<f64, lgf::error::ObjectiveError>;
    let cases: [(Function, &str, &[f64]); 3] = [
        (line, "an unknown", &[0.0, 1e-3, -1e6]),
        (hill, "an unknown", &[1e-3, 1e6]),
        (cliff, "the value", &[0.0, 1e-3]),
    ];
    for (function, grown, starts) in cases {
        for start in starts {
            let report = run(Lgf::potential(), FnObjective::new(3, function), &[*start; 3]);
            let StopReason::Unbounded { what, found } = &report.stop else {
                panic!("{grown} from {start}: {}", report.stop);
            };
            assert!(what == grown && found.abs() > 1e20, "{}", report.stop);
            assert!(report.stop.is_fault() && report.true_evaluations < 100, "{report:?}");
            let text = report.stop.to_string();
            assert!(text.starts_with("the objective falls without end: ") && text.len() < 200, "{text}");
        }
    }
}
