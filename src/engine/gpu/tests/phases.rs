//! Whole surrogate phases against the f64 engine.

use super::common::*;

#[test]
fn surrogate_phases_match_the_twin() {
    let mut engines = in_f32(TableFormat::State);
    let tracked = SurrogateConfig::snapshots();
    let reduced = |rank: usize, centered: bool| SpaceConfig::Reduced { rank: Rank::Count(rank), centered };
    let forward = Targets::StrongForm { differences: Differences::Forward };
    let central = Targets::StrongForm { differences: Differences::Central };
    let weak = Targets::WeakForm(WeakForm { half_width: 1, power: 2, stride: 1, include_endpoints: false });
    let trajectory = SurrogateConfig { lift: Lift::Trajectory, ..tracked };
    let sparse = Regression {
        threshold: 1e-3,
        max_iterations: 5,
        normalize: true,
        refit: false,
        ridge: Ridge::Relative(1e-3),
    };
    let kinds = [
        ("snapshots", tracked),
        ("snapshots, order 2", SurrogateConfig { order: 2, ..tracked }),
        ("snapshots, uncentred, rank 2", SurrogateConfig { space: reduced(2, false), ..tracked }),
        (
            "snapshots, energy",
            SurrogateConfig {
                space: SpaceConfig::Reduced { rank: Rank::Energy(0.9), centered: true },
                ..tracked
            },
        ),
        ("log-damped", SurrogateConfig { transform: TargetTransform::LogDamped { damping: 0.5 }, ..tracked }),
        ("trajectory", trajectory),
        ("trajectory, sparse", SurrogateConfig { space: reduced(3, true), regression: sparse, ..trajectory }),
        (
            "trajectory, orthonormal",
            SurrogateConfig { space: reduced(2, true), orthonormal: true, ..trajectory },
        ),
        (
            "strong form, forward",
            SurrogateConfig { targets: forward, space: reduced(2, false), ..trajectory },
        ),
        (
            "strong form, central, order 2",
            SurrogateConfig { targets: central, order: 2, space: reduced(2, true), ..trajectory },
        ),
        ("weak form", SurrogateConfig { targets: weak, space: reduced(2, true), ..trajectory }),
        ("full space", SurrogateConfig { space: SpaceConfig::Full, ..trajectory }),
        ("full space, snapshots", SurrogateConfig { space: SpaceConfig::Full, ..tracked }),
        ("implicit", SurrogateConfig { space: SpaceConfig::Implicit, ..tracked }),
        (
            "implicit, order 2, no bias",
            SurrogateConfig { space: SpaceConfig::Implicit, order: 2, bias: false, ..tracked },
        ),
        ("implicit, order 3", SurrogateConfig { space: SpaceConfig::Implicit, order: 3, ..tracked }),
        ("full space, forward", SurrogateConfig { targets: forward, space: SpaceConfig::Full, ..trajectory }),
    ];
    for d in SIZES {
        for (flow, domain) in flows(d) {
            for (name, config) in kinds {
                let integrators = [
                    Integrator::FlowStep,
                    Integrator::Euler,
                    Integrator::Rk4,
                    Integrator::DormandPrince { rtol: 1e-5, atol: 1e-7 },
                ];
                if config.validate(&flow, 6).is_err() {
                    continue;
                }
                // Explicit monomials of 1757 variables take long on a software adapter, and show nothing that
                // 65 do not.
                if config.space == SpaceConfig::Full && d > 65 {
                    continue;
                }
                for integrator in integrators {
                    let discrete = flow.equation_vectors() == 0;
                    if discrete && integrator != Integrator::FlowStep {
                        continue;
                    }
                    let what = format!("{}, {name}, {integrator:?}, d {d}", flow.name());
                    engines.iter_mut().for_each(|e| {
                        assert_phase_matches(
                            &mut **e,
                            flow,
                            &domain,
                            [d, 6],
                            &config,
                            integrator,
                            TableFormat::State,
                            &what,
                        )
                    });
                }
            }
        }
    }
}

/// More directions than the pass that moves x has registers for, as many as there are samples, and one of
/// each kind of table.
#[test]
fn wide_surrogate_phases_match_the_twin() {
    let mut engines = [TableFormat::State, TableFormat::F16].map(|tables| (tables, in_f32(tables)));
    let reduced = |rank: Rank, centered: bool| SpaceConfig::Reduced { rank, centered };
    let tracked = SurrogateConfig::snapshots();
    let trajectory = SurrogateConfig { lift: Lift::Trajectory, ..tracked };
    let log_damped = TargetTransform::LogDamped { damping: 0.5 };
    let kinds = [
        ("snapshots, rank 8", SurrogateConfig { space: reduced(Rank::Count(8), true), ..tracked }),
        ("snapshots, rank 12", SurrogateConfig { space: reduced(Rank::Count(12), true), ..tracked }),
        ("snapshots, full rank, uncentred", SurrogateConfig { space: reduced(Rank::Full, false), ..tracked }),
        ("log-damped, full rank", SurrogateConfig { transform: log_damped, ..tracked }),
        ("trajectory, rank 9", SurrogateConfig { space: reduced(Rank::Count(9), true), ..trajectory }),
        (
            "trajectory, full rank, uncentred",
            SurrogateConfig { space: reduced(Rank::Full, false), ..trajectory },
        ),
    ];
    for d in [65, 1200, 1757] {
        for (flow, domain) in flows(d) {
            for (name, config) in kinds {
                if config.validate(&flow, 18).is_ok() {
                    let what = format!("{}, {name}, d {d}", flow.name());
                    for (tables, engines) in &mut engines {
                        let what = format!("{what}, {tables:?}");
                        for engine in engines {
                            assert_phase_matches(
                                &mut **engine,
                                flow,
                                &domain,
                                [d, 18],
                                &config,
                                Integrator::FlowStep,
                                *tables,
                                &what,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Three surrogate steps after a fit and a true one on an engine and its twin, both with `tables`, `d`
/// unknowns and `samples` samples.
#[expect(clippy::too_many_arguments, reason = "what there is to vary")]
fn assert_phase_matches(
    engine: &mut dyn Engine,
    flow: Flow,
    domain: &Domain,
    [d, samples]: [usize; 2],
    config: &SurrogateConfig,
    integrator: Integrator,
    tables: TableFormat,
    what: &str,
) {
    let mut cpu = CpuEngine::new().with_tables(tables);
    let mut before = vec![0.0; d];
    let mut fits = Vec::new();
    for e in [&mut *engine as &mut dyn Engine, &mut cpu] {
        warmed(e, flow, domain, d, samples, samples + 1);
        e.read(&mut before).unwrap();
        fits.push(e.fit(config).unwrap());
        e.integrate(PhaseLimits { steps: 3, radius: f64::INFINITY, integrator }).unwrap();
    }
    assert_eq!((fits[0].rank, fits[0].features), (fits[1].rank, fits[1].features), "{what}");
    let (mut a, mut b) = (vec![0.0; d], vec![0.0; d]);
    let (la, lb) = (engine.read(&mut a).unwrap(), cpu.read(&mut b).unwrap());
    assert_eq!((la.steps, la.end), (lb.steps, lb.end), "{what}");
    assert_eq!(la.steps, 3);
    let moved = b.iter().zip(&before).fold(0.0_f64, |m, (b, x)| m.max((b - x).abs()));
    let size = b.iter().fold(0.0_f64, |m, b| m.max(b.abs()));
    // The halves of nearly the same number are 2⁻¹⁰ of it apart at most, and errors of r directions add up
    // like √r.
    let halves =
        if tables == TableFormat::F16 { (fits[0].rank as f64).sqrt() * 2.0_f64.powi(-10) } else { 0.0 };
    for (a, b) in a.iter().zip(&b) {
        assert!(
            (a - b).abs() <= (1e-3 + halves) * moved + 60.0 * EPS * size,
            "{what}: {a} against {b}, moved {moved}"
        );
    }
    let (pa, pb) = (la.predicted_change, lb.predicted_change);
    assert!(
        (pa - pb).abs() <= (2e-3 + halves) * pb.abs() + 1e-4 * moved * d as f64,
        "{what}: predicted change {pa} against {pb}"
    );
    let (ra, rb) = (la.fit_residual.unwrap(), lb.fit_residual.unwrap());
    assert!((ra - rb).abs() <= 1e-4 * (1e-2 + rb), "{what}: residual {ra} against {rb}");
    // The step count goes on where the phase ended: ADAM's corrections depend on it.
    for (e, x) in [(&mut *engine as &mut dyn Engine, &mut a), (&mut cpu, &mut b)] {
        e.set_gradient(&vector(d, 77, |v| -1.0 - 0.9 * v)).unwrap();
        e.step().unwrap();
        e.read(x).unwrap();
    }
    for (a, b) in a.iter().zip(&b) {
        assert!(
            (a - b).abs() <= (2e-3 + halves) * moved + 100.0 * EPS * size,
            "{what}: {a} against {b} after the next true step"
        );
    }
}

/// x grows 64-fold per step, which the linear surrogate learns: it leaves any radius, then f32, then f64.
#[test]
fn a_phase_ends_at_the_trust_radius_and_at_the_first_number_that_is_not_finite() {
    let d = 65;
    let rate = 0.015_625;
    for (radius, expected) in [(1000.0, PhaseEnd::Radius), (f64::INFINITY, PhaseEnd::NonFinite)] {
        let mut steps = Vec::new();
        for e in [&mut engine(GpuOptions::default()) as &mut dyn Engine, &mut CpuEngine::new()] {
            let mut x = vector(d, 1, |v| v + 2.0);
            e.start(Setup {
                flow: Flow::GradientDescent(GradientDescent { rate }),
                domain: &Domain::Unbounded,
                start: &x,
                capacity: 4,
                samples: Samples::Points,
                directions: None,
            })
            .unwrap();
            for _ in 0..4 {
                let gradient: Vec<f64> = x.iter().map(|x| -63.0 * x / rate).collect();
                e.set_gradient(&gradient).unwrap();
                e.record().unwrap();
                e.step().unwrap();
                e.read(&mut x).unwrap();
            }
            e.fit(&SurrogateConfig {
                regression: Regression::ridge(Ridge::Relative(1e-9)),
                ..SurrogateConfig::snapshots()
            })
            .unwrap();
            e.integrate(PhaseLimits { steps: 400, radius, integrator: Integrator::FlowStep }).unwrap();
            let landing = e.read(&mut x).unwrap();
            assert_eq!(landing.end, expected, "{}: {landing:?}", e.info().kind.name());
            assert!(landing.steps > 0 && landing.steps < 400, "{landing:?}");
            steps.push(landing.steps);
        }
        assert!(expected != PhaseEnd::Radius || steps[0] == steps[1], "{steps:?} steps inside the radius");
    }
}

/// A stiff linear field, g = 60 x, and one that grows without bound, g = -400 x: Dormand-Prince must cut its
/// steps on the first, give up on the second.
#[test]
fn step_control_matches_the_twin_and_gives_up_where_it_must() {
    let d = 65;
    let flow = Flow::Momentum(Momentum { rate: 0.25, friction: 1.0, nesterov: false });
    let config = SurrogateConfig {
        regression: Regression::ridge(Ridge::Relative(1e-9)),
        ..SurrogateConfig::snapshots()
    };
    let run = |e: &mut dyn Engine, slope: f64, steps: usize| {
        let mut x = vector(d, 1, |v| v + 2.0);
        e.start(Setup {
            flow,
            domain: &Domain::Unbounded,
            start: &x,
            capacity: 4,
            samples: Samples::Points,
            directions: None,
        })
        .unwrap();
        for _ in 0..4 {
            e.set_gradient(&x.iter().map(|x| slope * x).collect::<Vec<_>>()).unwrap();
            e.record().unwrap();
            e.step().unwrap();
            e.read(&mut x).unwrap();
        }
        e.fit(&config).unwrap();
        let before = e.traffic().readbacks;
        e.integrate(PhaseLimits {
            steps,
            radius: f64::INFINITY,
            integrator: Integrator::DormandPrince { rtol: 1e-4, atol: 1e-6 },
        })
        .unwrap();
        let trials = e.traffic().readbacks - before;
        (e.read(&mut x).unwrap(), x, trials)
    };
    let (mut gpu, mut cpu) = (engine(GpuOptions::default()), CpuEngine::new());
    let (a, b) = (run(&mut gpu, 60.0, 3), run(&mut cpu, 60.0, 3));
    assert_eq!((a.0.steps, a.0.end, b.0.steps), (3, PhaseEnd::Horizon, 3));
    assert!(a.2 > 6, "{} trial steps in 3 iterations", a.2);
    let size = b.1.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    for (a, b) in a.1.iter().zip(&b.1) {
        // The tolerance itself: the two step sequences need not agree.
        assert!((a - b).abs() <= 1e-3 * size, "{a} against {b}");
    }
    let (landing, x, _) = run(&mut gpu, -400.0, 100);
    assert_eq!(landing.end, PhaseEnd::NonFinite);
    assert!(landing.steps > 0 && landing.steps < 100, "{landing:?}");
    assert!(x.iter().all(|x| x.is_finite()));
}
