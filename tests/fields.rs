//! Tests of plain flows and learned fields on both engines.

use std::ops::ControlFlow;

use lgf::Lgf;
use lgf::domain::Domain;
use lgf::engine::{CpuEngine, Engine, Samples, Setup};
use lgf::error::ObjectiveError;
use lgf::flow::{Adam, Flow, Newton, OptimalityCriteria, ProjectedGradient};
use lgf::method::{Adaptive, Cadence, Field, Method};
use lgf::objective::Objective;
use lgf::observe::{self, Event};
use lgf::problems::{Quadratic, Rosenbrock};
use lgf::report::{Report, StopReason};
use lgf::surrogate::selection::{ModelSelection, Selection};
use lgf::surrogate::{Differences, Rank, Regression, Ridge, SpaceConfig, SurrogateConfig, Targets};
use lgf::topology::{Compliance, FilterKind, Structure};

mod common;
use common::{adaptive, best, descent, fixed, gpu, lgf, run, unchecked, value};

fn topology(size: (u32, u32), method: Method, engine: &mut dyn Engine) -> Report {
    let mut problem = Compliance::new(Structure::mbb(size.0, size.1, FilterKind::Density)).unwrap();
    let start = problem.uniform_start();
    let report = Lgf::new(method).unwrap().on(engine).minimize(&mut problem, &start).unwrap();
    // The reported value is the true one at the returned design, and that design keeps the volume (to f32 on
    // a GPU).
    assert_eq!(problem.compliance(&report.x).unwrap(), report.objective);
    assert!((problem.volume(&report.x).unwrap() - 0.5).abs() <= 1e-7);
    report
}

const OC: Flow = Flow::OptimalityCriteria(OptimalityCriteria { move_limit: 0.2 });

fn learned_oc() -> Method {
    Field::adaptive(OC, SurrogateConfig::topology()).into()
}

#[test]
fn lgf_oc_reaches_plain_oc_with_a_third_of_the_solves_on_both_engines() {
    let (mut cpu, mut gpu) = (CpuEngine::new(), gpu());
    let plain = topology((60, 20), OC.into(), &mut cpu).objective;
    let mut finals = Vec::new();
    for engine in [&mut cpu as &mut dyn Engine, &mut gpu] {
        let report = topology((60, 20), learned_oc(), engine);
        let name = engine.info().kind.name();
        let reached = report.evaluations_to_reach(plain).unwrap_or(usize::MAX);
        assert!(reached <= 50, "{name}: {reached} true evaluations to {plain}");
        assert!(report.objective <= plain, "{name}: {} against plain OC's {plain}", report.objective);
        assert!(matches!(report.stop, StopReason::Converged { .. }), "{}", report.stop);
        finals.push(report.objective);
    }
    assert!((finals[0] / finals[1] - 1.0).abs() <= 1e-3, "{finals:?}");
}

#[test]
fn lgf_oc_on_150x50_needs_at_most_80_solves() {
    let report = topology((150, 50), learned_oc(), &mut CpuEngine::new());
    let reached = report.evaluations_to_reach(235.7352).unwrap_or(usize::MAX);
    assert!(reached <= 80, "{reached} true evaluations, ends at {}", report.objective);
}

#[test]
fn only_what_must_crosses_the_bus() {
    let mut engine = gpu();
    let report = topology((30, 10), learned_oc(), &mut engine);
    assert!(report.phases.len() >= 3);
    // x once at the start (for its f32 rounding) and after each step or landing, evaluated all but the one
    // whose step converged; the Gram matrices once per fit.
    let converged = usize::from(matches!(report.stop, StopReason::Converged { .. }));
    assert_eq!(report.traffic.readbacks as usize, report.true_evaluations + converged + report.phases.len());
    assert!(report.traffic.dispatches > 0);
}

#[test]
fn two_runs_are_bit_identical_on_each_engine() {
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
        let [a, b] = [(); 2].map(|()| topology((30, 10), learned_oc(), &mut *engine));
        assert_eq!(a.x, b.x);
        assert_eq!((a.history, a.phases), (b.history, b.phases));
    }
}

/// The flow of a quadratic is affine, so an order-1 surrogate replays it: after M iterations with K true ones
/// x is where M true ones lead.
#[test]
fn an_affine_flow_is_learned_exactly() {
    let forward = Targets::StrongForm { differences: Differences::Forward };
    let regression = Regression::ridge(Ridge::Absolute(0.0));
    let trajectory = SurrogateConfig {
        regression,
        ..SurrogateConfig::paper(SpaceConfig::Reduced { rank: Rank::Full, centered: false })
    };
    let cases = [
        (descent(0.1), SurrogateConfig { targets: forward, ..trajectory }),
        (descent(0.1), trajectory),
        (descent(0.1), SurrogateConfig { regression, ..SurrogateConfig::snapshots() }),
        (Flow::Adam(Adam::new(0.5)), SurrogateConfig { regression, ..SurrogateConfig::snapshots() }),
    ];
    for (flow, surrogate) in cases {
        let mut objective = Quadratic::geometric(3, 10.0);
        let start = [3.0, -2.0, 0.5];
        // The 13th iterate is the first landing: 6 true steps and 6 surrogate steps from the start.
        let plain = run(lgf(flow, 13), &mut objective, &start);
        let learned = run(lgf(unchecked(flow, surrogate, 6, 12), 7), &mut objective, &start);
        let (a, b) = (plain.history[12], learned.history[6]);
        assert_eq!((a.iteration, b.iteration), (12, 12), "{flow:?}");
        // The history's smallest singular value is a few 1e-3 of its largest; the rest is f64.
        assert!(
            (a.objective - b.objective).abs() <= 1e-8 * plain.history[0].objective,
            "{flow:?} {surrogate:?}: {a:?} against {b:?}"
        );
    }
}

#[test]
fn the_fixed_cadence_calls_k_true_gradients_per_m_iterations() {
    let method = unchecked(descent(0.005), SurrogateConfig::snapshots(), 4, 10);
    let report = run(lgf(method, 12), Quadratic::geometric(20, 100.0), &[0.0; 20]);
    let iterations: Vec<_> = report.history.iter().map(|e| e.iteration).collect();
    assert_eq!(iterations, [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]);
    assert_eq!((report.true_evaluations, report.surrogate_steps), (12, 12));
}

/// Rosenbrock's valley is curved, so long phases of a model fitted at its edge land at high values. Such
/// landings must be undone to the last bit.
#[test]
fn a_worse_landing_is_undone_exactly() {
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
        let rate = 1.0 / 1024.0;
        let mut probe = Rosenbrock { dimension: 4 };
        let mut trusted: Option<(Vec<f64>, f64)> = None;
        let mut undone = 0;
        let mut expect_step_from_trusted = false;
        let observer = observe::from_fn(|event: Event<'_>| {
            match event {
                Event::TrueStep { x, entry, .. } => {
                    if expect_step_from_trusted {
                        let (from, _) = trusted.as_ref().unwrap();
                        let mut g = vec![0.0; 4];
                        probe.evaluate(from, &mut g).unwrap();
                        for ((x, from), g) in x.iter().zip(from).zip(&g) {
                            let exact = from - rate * g;
                            assert!(
                                (x - exact).abs()
                                    <= 2.0 * f64::from(f32::EPSILON) * exact.abs().max(rate * g.abs()),
                                "{x} against {exact}"
                            );
                        }
                        expect_step_from_trusted = false;
                    }
                    trusted = Some((x.to_vec(), entry.objective));
                }
                Event::Landed { phase, entry, x } => {
                    if phase.accepted {
                        assert!(entry.unwrap().objective <= trusted.as_ref().unwrap().1 * (1.0 + 5e-4));
                        trusted = Some((x.to_vec(), entry.unwrap().objective));
                    } else {
                        undone += 1;
                        expect_step_from_trusted = true;
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        let report = lgf(fixed(descent(rate), 4, 200), 80)
            .on(engine)
            .observe(observer)
            .minimize(Rosenbrock { dimension: 4 }, &[-1.2, 1.0, -1.2, 1.0])
            .unwrap();
        assert!(undone >= 2, "{undone} phases undone: the test needs some");
        assert_eq!(report.rejected, undone);
        assert_eq!(report.true_evaluations, 80);
        assert_eq!(report.objective, best(&report.history));
        assert_eq!(value(Rosenbrock { dimension: 4 }, &report.x), report.objective);
    }
}

#[test]
fn adaptive_adam_beats_plain_adam_at_equal_true_evaluations() {
    let start = vec![0.0; 40];
    let flow = Flow::Adam(Adam::new(0.02));
    let plain = run(lgf(flow, 100), Quadratic::geometric(40, 100.0), &start);
    let learned = run(lgf(adaptive(flow), 100), Quadratic::geometric(40, 100.0), &start);
    assert!(learned.objective < 0.1 * plain.objective, "{} against {}", learned.objective, plain.objective);
}

/// A rejected landing at the adaptive cadence goes back to the trusted iterate, the iteration count with
/// it.
#[test]
fn the_adaptive_cadence_undoes_exactly() {
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
        let rate = 1.0 / 1024.0;
        let adaptive = Adaptive { horizon: 200, max_horizon: 400, trust_radius: 1e3, ..Adaptive::default() };
        let cadence = Cadence::Adaptive(adaptive);
        let field = Field::new(descent(rate), SurrogateConfig::snapshots(), cadence);
        let mut probe = Rosenbrock { dimension: 4 };
        let (mut trusted, mut after_undone, mut undone) = ((Vec::new(), 0), false, 0);
        let observer = observe::from_fn(|event: Event<'_>| {
            match event {
                Event::TrueStep { x, entry, .. } => {
                    if after_undone {
                        let (from, iteration): &(Vec<f64>, usize) = &trusted;
                        assert_eq!(entry.iteration, iteration + 1);
                        let mut g = vec![0.0; 4];
                        probe.evaluate(from, &mut g).unwrap();
                        for ((x, from), g) in x.iter().zip(from).zip(&g) {
                            let exact = from - rate * g;
                            assert!(
                                (x - exact).abs()
                                    <= 2.0 * f64::from(f32::EPSILON) * exact.abs().max(rate * g.abs()),
                                "{x} against {exact}"
                            );
                        }
                    }
                    after_undone = false;
                    trusted = (x.to_vec(), entry.iteration);
                }
                Event::Landed { phase, entry, x } if phase.accepted => {
                    trusted = (x.to_vec(), entry.unwrap().iteration)
                }
                Event::Landed { .. } => {
                    undone += 1;
                    after_undone = true;
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        lgf(field, 60)
            .on(engine)
            .observe(observer)
            .minimize(Rosenbrock { dimension: 4 }, &[-1.2, 1.0, -1.2, 1.0])
            .unwrap();
        assert!(undone >= 1, "the test needs an undone phase");
    }
}

/// The implicit library of order n is the explicit minimum-norm ridge solution in the full space.
#[test]
fn the_implicit_library_equals_the_explicit_one() {
    for order in 1..=3 {
        for bias in [false, true] {
            for ridge in [0.0, 1e-3] {
                let explicit = SurrogateConfig {
                    order,
                    bias,
                    space: SpaceConfig::Full,
                    regression: Regression::ridge(Ridge::Relative(ridge)),
                    ..SurrogateConfig::snapshots()
                };
                let implicit = SurrogateConfig { space: SpaceConfig::Implicit, ..explicit };
                let landings = [explicit, implicit].map(|surrogate| {
                    run(
                        lgf(unchecked(descent(0.002), surrogate, 4, 8), 5),
                        Rosenbrock { dimension: 5 },
                        &[-0.5, 0.8, 0.3, -0.7, 0.6],
                    )
                    .history[4]
                });
                assert_eq!(landings[0].iteration, 8);
                let [a, b] = landings.map(|l| l.objective);
                assert!(
                    (a - b).abs() <= 1e-8 * a.abs(),
                    "order {order}, bias {bias}, ridge {ridge}: {a} against {b}"
                );
            }
        }
    }
}

#[test]
fn an_implicit_library_of_order_2_runs_in_a_million_dimensions() {
    let d = 1_000_000;
    // The kernel's diagonal is of the order d²: a ridge that is to spare the differences of samples is that
    // much smaller.
    let regression = Regression::ridge(Ridge::Relative(1e-12));
    let surrogate = SurrogateConfig {
        order: 2,
        space: SpaceConfig::Implicit,
        regression,
        ..SurrogateConfig::snapshots()
    };
    let field = Field::fixed(descent(0.02), surrogate, 4, 8);
    let report = run(lgf(field, 9), Quadratic::geometric(d, 10.0), &vec![0.0; d]);
    assert_eq!(report.rejected, 0);
    assert!(report.surrogate_steps >= 4);
}

#[test]
fn newton_needs_and_uses_the_objectives_direction() {
    let newton = lgf(Flow::Newton(Newton { rate: 0.5 }), 3);
    let report = run(newton, Quadratic::geometric(4, 1e6), &[0.0; 4]);
    // Each half step halves the distance for any spectrum.
    assert!((report.objective / report.history[0].objective - 1.0 / 16.0).abs() < 1e-12);
    let refused = newton.on(CpuEngine::new()).minimize(Rosenbrock { dimension: 4 }, &[0.0; 4]);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("newton_direction"), "{error}");
}

/// minimise ½|x − a|² on box and volume: the projected gradient's fixed point is the projection of a.
#[test]
fn projected_gradient_finds_the_projection() {
    let target = [1.4, 0.9, 0.2, -0.3, 0.6];
    struct Projection([f64; 5]);
    impl Objective for Projection {
        fn dimension(&self) -> usize {
            5
        }
        fn evaluate(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, ObjectiveError> {
            g.iter_mut().zip(x).zip(&self.0).for_each(|((g, x), a)| *g = x - a);
            Ok(0.5 * g.iter().map(|g| g * g).sum::<f64>())
        }
        fn domain(&self) -> Domain {
            Domain::uniform_with_volume(0.0, 1.0, vec![1.0; 5], 2.0)
        }
    }
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
        let flow = Flow::ProjectedGradient(ProjectedGradient { rate: 0.5 });
        let report = lgf(flow, 60).on(engine).minimize(Projection(target), &[0.4; 5]).unwrap();
        // The bound binds: x = clip(a − μ) for one μ.
        let sum: f64 = report.x.iter().sum();
        assert!((sum - 2.0).abs() < 1e-6, "{:?}", report.x);
        let mu = target[1] - report.x[1];
        for (x, a) in report.x.iter().zip(target) {
            assert!((x - (a - mu).clamp(0.0, 1.0)).abs() < 1e-5, "{:?}", report.x);
        }
    }
}

/// Samples of a quadratic field: order 2 predicts the next one, order 1 cannot, and both beat persistence.
/// The engines agree.
#[test]
fn selection_finds_the_order_of_the_field() {
    let start = [1.0, -0.6, 0.3];
    let field =
        |x: &[f64]| vec![x[0] + 0.8 * x[1] * x[2], 2.0 * x[1] - x[0] * x[0], 3.0 * x[2] + 0.5 * x[0] * x[1]];
    let base = SurrogateConfig {
        regression: Regression::ridge(Ridge::Relative(1e-7)),
        ..SurrogateConfig::snapshots()
    };
    let candidates = [1, 2].map(|order| SurrogateConfig { order, ..base });
    let mut found = Vec::new();
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
        engine
            .start(Setup {
                flow: descent(0.08),
                domain: &Domain::Unbounded,
                start: &start,
                capacity: 14,
                samples: Samples::Points,
                directions: None,
            })
            .unwrap();
        let mut x = start.to_vec();
        for _ in 0..14 {
            engine.set_gradient(&field(&x)).unwrap();
            engine.record().unwrap();
            engine.step().unwrap();
            engine.read(&mut x).unwrap();
        }
        let selection = engine.select(&candidates, 3).unwrap();
        assert_eq!(selection.winner(), Some(1), "{selection:?}");
        assert!(
            selection.errors[1] < 0.1 * selection.errors[0] && selection.errors[0] < selection.persistence,
            "{selection:?}"
        );
        found.push(selection);
    }
    // The errors are differences of inner products of f32 data: good to the root of their rounding.
    for (a, b) in found[0].errors.iter().zip(&found[1].errors) {
        assert!((a - b).abs() <= 2e-3 * a.max(0.1), "{found:?}");
    }
    // Not even the best model is used when no model beats persistence.
    assert_eq!(Selection { errors: vec![0.5, 0.3], persistence: 0.2 }.winner(), None);
}

#[test]
fn selection_is_reported_for_every_phase() {
    let adam = Field::adaptive(Flow::Adam(Adam::new(0.05)), SurrogateConfig::snapshots());
    let selected = |selection| Field { selection: Some(selection), ..adam };
    let lgf = lgf(selected(ModelSelection::default()), 60);
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
        let report = lgf.on(engine).minimize(Quadratic::geometric(20, 50.0), &[0.0; 20]).unwrap();
        assert!(!report.phases.is_empty());
        for phase in &report.phases {
            let verdict = phase.selection.unwrap();
            assert_eq!(verdict.candidates, 12);
            assert!(
                verdict.error < verdict.persistence && verdict.runner_up.unwrap() >= verdict.error,
                "{verdict:?}"
            );
        }
    }
    let folds = selected(ModelSelection { folds: 9, ..ModelSelection::default() });
    assert!(Lgf::new(folds).unwrap_err().to_string().starts_with("the number of folds is 9"));
}
