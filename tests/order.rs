//! Calls of an engine in the wrong order, or on a run of the wrong kind: every engine refuses them with the
//! same typed error.

use lgf::Error;
use lgf::domain::Domain;
use lgf::engine::gpu::AdapterChoice;
use lgf::engine::{CpuEngine, Engine, GpuEngine, Pair, PhaseLimits, Samples, Setup, TrustLimits};
use lgf::error::{EngineError, Result, SettingsError};
use lgf::flow::{Flow, GradientDescent, OptimalityCriteria};
use lgf::surrogate::higher_order::PairNote;
use lgf::surrogate::potential::{Outside, PotentialConfig};
use lgf::surrogate::{Integrator, SurrogateConfig};

type Call = (&'static str, fn(&mut dyn Engine) -> Result<()>);

const NOTE: PairNote = PairNote { remainder: 0.0, kept: true };
const X: [f64; 3] = [1.0, 2.0, 3.0];

fn phase() -> PhaseLimits {
    PhaseLimits { steps: 1, radius: f64::INFINITY, integrator: Integrator::FlowStep }
}

fn pair() -> Pair {
    Pair { displacement: X.to_vec(), change: X.to_vec(), note: NOTE }
}

/// The calls that belong to any run.
const ANY: [Call; 7] = [
    ("set_gradient", |engine| engine.set_gradient(&X).map(drop)),
    ("read", |engine| engine.read(&mut [0.0; 3]).map(drop)),
    ("compare", |engine| engine.compare(&X).map(drop)),
    ("trust", |engine| engine.trust(true)),
    ("best", |engine| engine.best(&mut [0.0; 3], &mut [0.0; 3])),
    ("step", |engine| engine.step()),
    ("restore", |engine| engine.restore()),
];

/// The calls that belong to a run that records points, in an order that they may come in.
const POINTS: [Call; 4] = [
    ("record", |engine| engine.record()),
    ("select", |engine| engine.select(&[SurrogateConfig::snapshots()], 1).map(drop)),
    ("fit", |engine| engine.fit(&SurrogateConfig::snapshots()).map(drop)),
    ("integrate", |engine| engine.integrate(phase())),
];

/// The calls that belong to a run that records pairs, in an order that they may come in.
const PAIRS: [Call; 5] = [
    ("record_pair", |engine| engine.record_pair(0.0, true)),
    ("put_pair", |engine| engine.put_pair(&pair())),
    ("pairs", |engine| engine.pairs().map(drop)),
    ("fit_potential", |engine| {
        engine.fit_potential(1.0, PotentialConfig { order: 2, outside: Outside::Steep }).map(drop)
    }),
    ("minimize", |engine| engine.minimize(TrustLimits { steps: 1, radius: 0.1 })),
];

fn engines() -> Vec<(&'static str, Box<dyn Engine>)> {
    let gpu = GpuEngine::open(AdapterChoice::Any)
        .expect("the GPU tests need an adapter, for example a software one");
    vec![("f64", Box::new(CpuEngine::new())), ("f32", Box::new(CpuEngine::single())), ("gpu", Box::new(gpu))]
}

fn start(engine: &mut dyn Engine, samples: Samples) -> Result<()> {
    let flow = Flow::GradientDescent(GradientDescent { rate: 0.1 });
    let domain = &Domain::Unbounded;
    engine.start(Setup { flow, domain, start: &X, capacity: 2, samples, directions: None })
}

fn refusal(outcome: Result<()>) -> Option<EngineError> {
    match outcome {
        Ok(()) => None,
        Err(Error::Engine(error)) => Some(error),
        Err(error) => panic!("{error:?} is no error of an engine"),
    }
}

#[test]
fn before_the_start_every_call_that_needs_a_run_is_refused() {
    for (name, mut engine) in engines() {
        for (call, make) in [&ANY[..], &POINTS, &PAIRS].concat() {
            assert_eq!(refusal(make(&mut *engine)), Some(EngineError::NotStarted), "{name}, {call}()");
        }
        engine.forget();
        assert_eq!(engine.samples(), 0, "{name}");
        engine.info();
        assert_eq!(engine.regress(&[]).unwrap(), [], "{name}: a batch needs no run");
    }
}

#[test]
fn calls_of_the_other_kind_of_run_are_refused() {
    for (name, mut engine) in engines() {
        for (samples, own, other, needs) in
            [(Samples::Points, &POINTS[..], &PAIRS[..], "pairs"), (Samples::Pairs, &PAIRS, &POINTS, "points")]
        {
            start(&mut *engine, samples).unwrap();
            engine.set_gradient(&X).unwrap();
            for (call, make) in other {
                let expected = EngineError::WrongSamples { call, needs };
                assert_eq!(refusal(make(&mut *engine)), Some(expected), "{name}, {samples:?}");
            }
            for (call, make) in ANY.iter().chain(own) {
                // A selection needs more samples than there are: it is in order, and its settings are wrong.
                if *call != "select" {
                    assert_eq!(refusal(make(&mut *engine)), None, "{name}, {samples:?}: {call}()");
                }
            }
        }
    }
}

#[test]
fn calls_that_come_too_early_are_refused() {
    let early = |call, needs| Some(EngineError::OutOfOrder { call, needs });
    let after_fit = "fit(), and before record() overwrites the samples of that fit";
    for (name, mut engine) in engines() {
        let engine = &mut *engine;
        start(engine, Samples::Points).unwrap();
        engine.set_gradient(&X).unwrap();
        let [(_, record), (_, select), (_, fit), (_, integrate)] = POINTS;
        assert_eq!(refusal(fit(engine)), early("fit", "record()"), "{name}");
        assert_eq!(refusal(select(engine)), early("select", "record()"), "{name}");
        assert_eq!(refusal(integrate(engine)), early("integrate", after_fit), "{name}");
        record(engine).unwrap();
        assert_eq!(refusal(integrate(engine)), early("integrate", after_fit), "{name}");
        fit(engine).unwrap();
        integrate(engine).unwrap();
        // The second of two rows is free, the third sample takes the place of the first.
        record(engine).unwrap();
        integrate(engine).unwrap();
        record(engine).unwrap();
        assert_eq!(refusal(integrate(engine)), early("integrate", after_fit), "{name}");
        fit(engine).unwrap();
        integrate(engine).unwrap();
        engine.forget();
        assert_eq!(refusal(fit(engine)), early("fit", "record()"), "{name}");

        start(engine, Samples::Pairs).unwrap();
        let [.., (_, fit_potential), (_, minimize)] = PAIRS;
        assert_eq!(refusal(minimize(engine)), early("minimize", "fit_potential()"), "{name}");
        fit_potential(engine).unwrap();
        minimize(engine).unwrap();
        let unseen = "read() and set_gradient() at the same state";
        assert_eq!(refusal(engine.trust(true)), early("trust", unseen), "{name}");
        engine.read(&mut [0.0; 3]).unwrap();
        assert_eq!(refusal(engine.trust(true)), early("trust", unseen), "{name}");
        engine.set_gradient(&X).unwrap();
        let best = |engine: &mut dyn Engine| engine.best(&mut [0.0; 3], &mut [0.0; 3]);
        assert_eq!(refusal(best(engine)), early("best", "trust() of a best iterate"), "{name}");
        engine.trust(true).unwrap();
        best(engine).unwrap();
        engine.step().unwrap();
        assert_eq!(refusal(engine.trust(true)), early("trust", unseen), "{name}");
        // Another run knows nothing of the one before.
        start(engine, Samples::Pairs).unwrap();
        assert_eq!(refusal(minimize(engine)), early("minimize", "fit_potential()"), "{name}");
    }
}

#[test]
fn optimality_criteria_need_a_volume() {
    for (name, mut engine) in engines() {
        for domain in [&Domain::Unbounded, &Domain::uniform(0.0, 1.0)] {
            let flow = Flow::OptimalityCriteria(OptimalityCriteria { move_limit: 0.2 });
            let setup = Setup {
                flow,
                domain,
                start: &[0.5],
                capacity: 2,
                samples: Samples::Points,
                directions: None,
            };
            let refused = refusal(engine.start(setup));
            assert_eq!(refused, Some(EngineError::NoVolume { flow: flow.name() }), "{name}, {domain:?}");
            assert_eq!(refusal(engine.step()), Some(EngineError::NotStarted), "{name}: there is no run");
        }
    }
}

#[test]
fn vectors_of_another_length_are_refused_alike() {
    for (name, mut engine) in engines() {
        start(&mut *engine, Samples::Pairs).unwrap();
        let long = Pair { change: vec![0.0; 4], ..pair() };
        let refused = [
            (engine.set_gradient(&[0.0; 2]).map(drop), "the gradient", 2),
            (engine.read(&mut [0.0; 2]).map(drop), "the iterate", 2),
            (engine.compare(&[0.0; 2]).map(drop), "the learned step", 2),
            (engine.put_pair(&long), "the change of a pair", 4),
        ];
        for (outcome, what, length) in refused {
            match outcome {
                Err(Error::Settings(SettingsError::Length { name: named, found, expected })) => {
                    assert_eq!((named, found, expected), (what, length, 3), "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
