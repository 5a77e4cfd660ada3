//! What holds for the CPU engine alone; the engines are compared in `engine/gpu/tests`.

use super::engine::CpuEngine;
use crate::domain::Domain;
use crate::engine::interface::{Engine, Fit, PhaseEnd, PhaseLimits, Samples, Setup, TableFormat};
use crate::flow::Flow;
use crate::flow::{Adam, GradientDescent, Momentum};
use crate::scalar::Scalar;
use crate::surrogate::{Integrator, Rank};
use crate::surrogate::{Lift, SpaceConfig, SurrogateConfig};

/// One cycle: the samples' length is no multiple of anything.
fn cycle<T: Scalar>(
    format: TableFormat,
    flow: Flow,
    config: &SurrogateConfig,
    integrator: Integrator,
) -> (Vec<u64>, u64, Fit) {
    let (d, k) = (9001, 6);
    let mut engine = CpuEngine::<T>::without_run(format);
    let mut x: Vec<f64> = (0..d).map(|i| (0.37 * i as f64).sin()).collect();
    engine
        .start(Setup {
            flow,
            domain: &Domain::Unbounded,
            start: &x,
            capacity: k,
            samples: Samples::Points,
            directions: None,
        })
        .unwrap();
    for _ in 0..k + 2 {
        let gradient: Vec<f64> =
            x.iter().enumerate().map(|(i, x)| (1.5 + (0.11 * i as f64).cos()) * x).collect();
        engine.set_gradient(&gradient).unwrap();
        engine.record().unwrap();
        engine.step().unwrap();
        engine.read(&mut x).unwrap();
    }
    let fit = engine.fit(config).unwrap();
    engine.integrate(PhaseLimits { steps: 3, radius: f64::INFINITY, integrator }).unwrap();
    let landing = engine.read(&mut x).unwrap();
    assert_eq!((landing.steps, landing.end), (3, PhaseEnd::Horizon));
    (x.into_iter().map(f64::to_bits).collect(), landing.predicted_change.to_bits(), fit)
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let snapshots = SurrogateConfig::snapshots();
    let trajectory = SurrogateConfig {
        lift: Lift::Trajectory,
        space: SpaceConfig::Reduced { rank: Rank::Count(3), centered: true },
        ..snapshots
    };
    let implicit = SurrogateConfig { space: SpaceConfig::Implicit, order: 2, ..snapshots };
    let flows = [
        Flow::GradientDescent(GradientDescent { rate: 0.05 }),
        Flow::Momentum(Momentum { rate: 0.05, friction: 2.0, nesterov: false }),
        Flow::Adam(Adam { amsgrad: true, ..Adam::new(0.01) }),
    ];
    for flow in flows {
        for config in [snapshots, trajectory, implicit] {
            for integrator in
                [Integrator::FlowStep, Integrator::Rk4, Integrator::DormandPrince { rtol: 1e-6, atol: 1e-9 }]
            {
                let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let in_each = |format| {
                    (
                        cycle::<f64>(format, flow, &config, integrator),
                        cycle::<f32>(format, flow, &config, integrator),
                    )
                };
                let all = || (in_each(TableFormat::State), in_each(TableFormat::F16));
                assert!(
                    pool(1).install(all) == pool(5).install(all),
                    "{}, {:?}, {integrator:?}",
                    flow.name(),
                    config.space
                );
            }
        }
    }
}

#[test]
fn a_fit_ends_with_the_samples_it_predicts_from() {
    let mut engine = CpuEngine::new();
    let flow = Flow::GradientDescent(GradientDescent { rate: 0.5 });
    engine
        .start(Setup {
            flow,
            domain: &Domain::Unbounded,
            start: &[1.0, 2.0],
            capacity: 2,
            samples: Samples::Points,
            directions: None,
        })
        .unwrap();
    let limits = PhaseLimits { steps: 1, radius: f64::INFINITY, integrator: Integrator::FlowStep };
    for step in 0..3 {
        engine.set_gradient(&[1.0, step as f64]).unwrap();
        engine.record().unwrap();
        if step > 0 {
            assert_eq!(
                engine.integrate(limits).is_ok(),
                step == 1,
                "the third sample takes the place of the first"
            );
        }
        if step == 0 {
            engine.fit(&SurrogateConfig::snapshots()).unwrap();
        }
        engine.step().unwrap();
    }
}
