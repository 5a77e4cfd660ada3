//! Tests of what an application that embeds the engine relies on: a shared device, access to the design on
//! it, runs in pieces, and recovery when the device is lost.

use std::ops::ControlFlow;
use std::time::Duration;

use lgf::domain::Domain;
use lgf::engine::gpu::{AdapterChoice, GpuOptions};
use lgf::engine::{
    CpuEngine, Engine, EngineKind, GpuEngine, Opened, PhaseLimits, Samples, Setup, TableFormat, TrustLimits,
};
use lgf::error::{EngineError, SettingsError};
use lgf::flow::{Adam, Flow, OptimalityCriteria, ProjectedGradient};
use lgf::method::{Cosine, Field, Potential};
use lgf::objective::Objective;
use lgf::observe::{self, Event, Observer};
use lgf::problems::{Quadratic, Rosenbrock};
use lgf::report::{Report, StopReason};
use lgf::surrogate::potential::{Outside, PotentialConfig};
use lgf::surrogate::{Integrator, SurrogateConfig};
use lgf::topology::{Compliance, FilterKind, Structure};
use lgf::{Error, Lgf, RunError, wgpu};

mod common;
use common::{adaptive, best, budget, fixed, gpu, lgf};

/// A host application's own device, as it would open it.
fn host_device(limits: impl Fn(wgpu::Limits) -> wgpu::Limits) -> (wgpu::Device, wgpu::Queue) {
    host_device_of(wgpu::InstanceDescriptor::new_without_display_handle_from_env(), limits)
}

fn host_device_of(
    mut descriptor: wgpu::InstanceDescriptor,
    limits: impl Fn(wgpu::Limits) -> wgpu::Limits,
) -> (wgpu::Device, wgpu::Queue) {
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let adapter =
        pollster::block_on(wgpu::Instance::new(descriptor).request_adapter(&wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        }))
        .expect("the GPU tests need an adapter, for example a software one");
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: GpuEngine::required_features(adapter.features()),
        required_limits: limits(GpuEngine::required_limits(&adapter.limits())),
        ..Default::default()
    }))
    .unwrap()
}

fn shared() -> GpuEngine {
    let (device, queue) = host_device(|limits| limits);
    GpuEngine::from_device(device, queue, GpuOptions::default()).unwrap()
}

/// One run by each method.
fn runs() -> [Lgf; 5] {
    let adam = Flow::Adam(Adam::new(0.05));
    [
        adam.into(),
        fixed(adam, 5, 12),
        adaptive(adam),
        Cosine::new(adam, SurrogateConfig::snapshots()).into(),
        Potential::default().into(),
    ]
    .map(|method| lgf(method, 30))
}

/// A learned potential with a budget.
fn potential(max_evaluations: usize) -> Lgf {
    lgf(Potential::default(), max_evaluations)
}

/// A report without its times.
fn same(a: &Report, b: &Report) {
    assert_eq!(
        (&a.x, &a.history, &a.phases, &a.stop, a.kkt_residual, a.traffic),
        (&b.x, &b.history, &b.phases, &b.stop, b.kkt_residual, b.traffic)
    );
}

#[test]
fn a_session_is_the_same_run_in_pieces() {
    for lgf in runs() {
        let name = lgf.config().method.name();
        let valley = Rosenbrock { dimension: 6 };
        let whole = lgf.on(CpuEngine::new()).minimize(valley, &[-0.5; 6]).unwrap();
        let mut events = 0;
        let observer = observe::from_fn(|_: Event<'_>| {
            events += 1;
            ControlFlow::Continue(())
        });
        let lgf = lgf.on(CpuEngine::new()).observe(observer);
        let mut session = lgf.session(valley, &[-0.5; 6]).unwrap();
        assert_eq!(session.design().unwrap(), [-0.5; 6]);
        assert_eq!(session.true_evaluations(), 0);
        let mut pieces = 0;
        let report = loop {
            let before = session.true_evaluations();
            // A session that is given no time does one piece all the same.
            let outcome = session.step_for(Duration::ZERO).unwrap();
            pieces += 1;
            assert!(session.true_evaluations() <= before + 1, "{name}: one piece, one evaluation");
            if let Some(report) = outcome {
                break report;
            }
            // Between two pieces the engine's iterate is the one that the session reports.
            let mut x = [0.0; 6];
            session.engine_mut().read(&mut x).unwrap();
            assert_eq!(x, session.design().unwrap());
            assert!(session.value().is_finite());
        };
        assert!(pieces > 20, "{pieces}");
        same(&whole, &report);
        assert!(matches!(session.step(), Err(RunError::Ended)));
        drop(session);
        assert!(events >= whole.history.len() + 2);
    }
}

/// An observer that interrupts a run after some evaluations, so that it can go on later.
fn interrupt(at: usize) -> impl Observer {
    observe::from_fn(move |event: Event<'_>| match event {
        Event::TrueStep { entry, .. } | Event::Landed { entry: Some(entry), .. }
            if entry.evaluation >= at =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
}

#[test]
fn a_resumed_run_goes_on_with_counts_budget_and_best() {
    let bowl = || Quadratic::geometric(5, 10.0);
    for lgf in runs() {
        let resume = |report: &Report| lgf.on(CpuEngine::new()).minimize(bowl(), report);
        let interrupted = lgf.on(CpuEngine::new()).observe(interrupt(9));
        let earlier = interrupted.minimize(bowl(), &[0.0; 5]).unwrap();
        assert_eq!((&earlier.stop, earlier.true_evaluations), (&StopReason::Interrupted, 9));
        let report = resume(&earlier).unwrap();
        assert_eq!(report.history[..9], earlier.history[..]);
        // The first evaluation of the second run is at the best iterate of the first.
        assert_eq!((report.history[9].evaluation, report.history[9].objective), (10, earlier.objective));
        assert!(report.true_evaluations <= 30 && report.phases[..earlier.phases.len()] == earlier.phases[..]);
        assert!(report.objective < earlier.objective && report.first_slope == earlier.first_slope);
        assert!(report.wall_seconds >= earlier.wall_seconds);
        // A budget that the first run has spent stays spent.
        let again = resume(&report);
        if let StopReason::MaxEvaluations { .. } = report.stop {
            let mut again = again.unwrap();
            again.engine.clone_from(&report.engine);
            same(&again, &report);
        }
    }
    let [plain, ..] = runs();
    let earlier = plain.on(CpuEngine::new()).observe(interrupt(3)).minimize(bowl(), &[0.0; 5]).unwrap();
    let refused = plain.on(CpuEngine::new()).minimize(Quadratic::geometric(6, 10.0), &earlier);
    assert!(matches!(
        refused,
        Err(RunError::NotStarted(Error::Settings(SettingsError::Length { found: 5, expected: 6, .. })))
    ));
}

/// However a device is lost, the run returns its best design, and goes on from there on a new device or on
/// the CPU.
#[test]
fn a_run_whose_device_is_destroyed_keeps_its_best_design_and_goes_on() {
    let mut problem = Compliance::new(Structure::mbb(30, 10, FilterKind::Density)).unwrap();
    let start = problem.uniform_start();
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let oc = lgf(Field::adaptive(oc, SurrogateConfig::topology()), 40);
    for (lgf, tolerance) in [(oc, 0.01), (potential(40), 1e-4)] {
        let lgf = lgf.stopping(budget(40).tolerance(tolerance)).unwrap();
        for (name, mut engine) in [("shared", shared()), ("own", gpu())] {
            let device = engine.device().clone();
            let destroy = observe::from_fn(|event: Event<'_>| {
                if let Event::TrueStep { entry, .. } | Event::Landed { entry: Some(entry), .. } = event
                    && entry.evaluation == 9
                {
                    device.destroy();
                }
                ControlFlow::Continue(())
            });
            let cut = lgf.on(&mut engine).observe(destroy);
            let (source, report) = match cut.session(&mut problem, &start).unwrap().finish() {
                Err(RunError::CutShort { source, report }) => (source, *report),
                other => panic!("{name}: {other:?}"),
            };
            assert!(matches!(source, Error::Engine(EngineError::Lost(_))), "{name}: {source:?}");
            assert!(
                matches!(&report.stop, StopReason::EngineFailed { message } if message.contains("lost")),
                "{name}: {}",
                report.stop
            );
            assert!((9..=10).contains(&report.history.len()), "{name}: {}", report.history.len());
            assert_eq!(report.objective, best(&report.history));
            assert_eq!(problem.compliance(&report.x).unwrap(), report.objective);
            // The lost engine reports the loss from its first call.
            let refused = lgf.on(&mut engine).minimize(&mut problem, &start);
            assert!(
                matches!(refused, Err(RunError::NotStarted(Error::Engine(EngineError::Lost(_))))),
                "{name}: {refused:?}"
            );
            for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu()] {
                let resumed = lgf.on(&mut *engine).minimize(&mut problem, &report).unwrap();
                assert_eq!(resumed.engine, engine.info());
                assert_eq!(resumed.history[..report.history.len()], report.history[..]);
                assert!(
                    resumed.objective < 0.99 * report.objective,
                    "{name}: {} after {}",
                    resumed.objective,
                    report.objective
                );
                assert_eq!(problem.compliance(&resumed.x).unwrap(), resumed.objective);
            }
        }
    }
}

#[test]
fn the_design_on_the_device_is_the_trusted_iterate() {
    let (device, queue) = host_device(|limits| limits);
    let d = 3000;
    // 2·6 + 1 rows of a potential's history: segments of 1024.
    for (max_binding, segments) in [(None, 1), (Some(4 * 13 * 1024), 3)] {
        let engine = GpuEngine::from_device(
            device.clone(),
            queue.clone(),
            GpuOptions { max_binding, ..GpuOptions::default() },
        )
        .unwrap();
        assert_eq!(engine.design().count(), 0);
        let lgf = potential(12).on(engine);
        let mut session = lgf.session(Quadratic::geometric(d, 100.0), &vec![0.0; d]).unwrap();
        loop {
            let ended = session.step_for(Duration::ZERO).unwrap().is_some();
            if ended {
                break;
            }
            session.engine_mut().flush().unwrap();
            let design: Vec<_> = session.engine().design().collect();
            assert_eq!(design.len(), segments);
            // The host submits its own commands after all that the engine has recorded.
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let host = device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 4 * d as u64,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            });
            let mut next = 0;
            for s in design {
                assert_eq!(s.start, next);
                assert!(
                    s.buffer.usage().contains(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC)
                );
                assert!((4 * s.len as u64..4 * s.len as u64 + 16).contains(&s.buffer.size()));
                encoder.copy_buffer_to_buffer(s.buffer, 0, &host, 4 * s.start as u64, 4 * s.len as u64);
                next += s.len;
            }
            assert_eq!(next, d);
            queue.submit([encoder.finish()]);
            host.map_async(wgpu::MapMode::Read, .., |outcome| outcome.unwrap());
            device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            let view = host.get_mapped_range(..).unwrap();
            let x: Vec<f64> = view
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_ne_bytes([b[0], b[1], b[2], b[3]])))
                .collect();
            assert_eq!(x, session.design().unwrap());
        }
    }
}

#[test]
fn a_device_with_too_low_limits_is_refused_with_the_limits() {
    let (device, queue) =
        host_device(|limits| wgpu::Limits { max_compute_invocations_per_workgroup: 64, ..limits });
    let refused = GpuEngine::from_device(device, queue, GpuOptions::default()).unwrap_err().to_string();
    assert!(refused.contains("max_compute_invocations_per_workgroup is 64 of 256"), "{refused}");
    assert_eq!(GpuEngine::required_features(wgpu::Features::empty()), wgpu::Features::empty());
    assert_eq!(
        GpuEngine::required_features(wgpu::Features::all()),
        wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE
    );
}

/// Polls a future as a host's event loop would, and returns how often it was not ready.
fn drive<T>(device: &wgpu::Device, future: impl Future<Output = T>) -> (T, usize) {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for turns in 0.. {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return (value, turns);
        }
        device.poll(wgpu::PollType::Poll).unwrap();
    }
    unreachable!()
}

/// Requests a read of x and drops the future before it is ready.
fn give_up(engine: &mut GpuEngine, x: &mut [f64]) {
    let mut read = std::pin::pin!(engine.read_async(x));
    assert!(read.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
}

/// The same bits whether the engine waits or the host polls, for a learned field and a learned potential.
#[test]
fn what_waits_for_the_device_can_be_awaited() {
    let d = 2000;
    let mut objective = Quadratic::geometric(d, 10.0);
    let adam = (Flow::Adam(Adam::new(0.05)), Samples::Points);
    let potential = (Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 }), Samples::Pairs);
    let quadratic = PotentialConfig { order: 2, outside: Outside::Mean };
    for (flow, samples) in [adam, potential] {
        let mut results = Vec::new();
        for waits in [true, false] {
            let mut engine = shared();
            let device = engine.device().clone();
            let (mut x, mut gradient) = (vec![0.0; d], vec![0.0; d]);
            engine
                .start(Setup {
                    flow,
                    domain: &Domain::Unbounded,
                    start: &x,
                    capacity: 4,
                    samples,
                    directions: None,
                })
                .unwrap();
            objective.evaluate(&x, &mut gradient).unwrap();
            engine.read(&mut x).unwrap();
            engine.set_gradient(&gradient).unwrap();
            engine.trust(true).unwrap();
            for _ in 0..3 {
                match samples {
                    Samples::Points => {
                        engine.record().unwrap();
                        engine.step().unwrap();
                    }
                    Samples::Pairs => {
                        engine.fit_potential(10.0, quadratic).unwrap();
                        engine.minimize(TrustLimits { steps: 3, radius: 0.1 }).unwrap();
                    }
                }
                engine.read(&mut x).unwrap();
                objective.evaluate(&x, &mut gradient).unwrap();
                engine.set_gradient(&gradient).unwrap();
                if samples == Samples::Pairs {
                    engine.record_pair(0.5, true).unwrap();
                    engine.trust(true).unwrap();
                }
            }
            engine.trust(true).unwrap();
            let config = SurrogateConfig::snapshots();
            let fit = match (samples, waits) {
                (Samples::Points, true) => engine.fit(&config).unwrap(),
                (Samples::Pairs, true) => engine.fit_potential(10.0, quadratic).unwrap(),
                (_, false) => {
                    give_up(&mut engine, &mut x);
                    if samples == Samples::Points {
                        // A fit gets its own read-back, not the one that was requested before and dropped.
                        let first = drive(&device, engine.fit_async(&config)).0.unwrap();
                        for _ in 0..30 {
                            give_up(&mut engine, &mut x);
                            assert_eq!(drive(&device, engine.fit_async(&config)).0.unwrap(), first);
                        }
                    }
                    let (fit, turns) = match samples {
                        Samples::Points => drive(&device, engine.fit_async(&config)),
                        Samples::Pairs => drive(&device, engine.fit_potential_async(10.0, quadratic)),
                    };
                    assert!(turns > 0, "the future was ready at once: the engine has waited itself");
                    fit.unwrap()
                }
            };
            let phase = |integrator| PhaseLimits { steps: 5, radius: f64::INFINITY, integrator };
            let by_trials = phase(Integrator::DormandPrince { rtol: 1e-5, atol: 1e-8 });
            let candidates = [config, SurrogateConfig { order: 2, ..config }];
            // The other read-backs are of hold-out errors, trial steps and pairs.
            let read = match (samples, waits) {
                (Samples::Points, true) => {
                    let found = engine.select(&candidates, 2).unwrap();
                    engine.integrate(by_trials).unwrap();
                    found.errors
                }
                (Samples::Points, false) => {
                    let (found, turns) = drive(&device, engine.select_async(&candidates, 2));
                    assert!(turns > 0, "the future was ready at once: the engine has waited itself");
                    {
                        let mut given_up = std::pin::pin!(engine.integrate_async(by_trials));
                        assert!(
                            given_up
                                .as_mut()
                                .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
                                .is_pending()
                        );
                    }
                    assert!(engine.integrate(by_trials).is_err(), "the dropped phase has lost the fit");
                    // As after any phase, the result is read, then undone.
                    engine.read(&mut x).unwrap();
                    engine.restore().unwrap();
                    assert_eq!(engine.fit(&config).unwrap(), fit);
                    let (outcome, turns) = drive(&device, engine.integrate_async(by_trials));
                    assert!(turns > 5, "{turns} turns for five steps of several trials");
                    outcome.unwrap();
                    found.unwrap().errors
                }
                (Samples::Pairs, _) => {
                    let pairs = if waits { engine.pairs() } else { drive(&device, engine.pairs_async()).0 };
                    pairs.unwrap().into_iter().flat_map(|pair| pair.displacement).collect()
                }
            };
            match samples {
                Samples::Points => engine.integrate(phase(Integrator::FlowStep)).unwrap(),
                Samples::Pairs => engine.minimize(TrustLimits { steps: 5, radius: 0.1 }).unwrap(),
            }
            engine.flush().unwrap();
            let landing = if waits {
                engine.read(&mut x).unwrap()
            } else {
                let (landing, turns) = drive(&device, engine.read_async(&mut x));
                assert!(turns > 0, "the future was ready at once: the engine has waited itself");
                landing.unwrap()
            };
            assert!(landing.steps > 0, "{landing:?}");
            results.push((x, fit, landing.steps, read));
        }
        let apart = results[0].0.iter().zip(&results[1].0).filter(|(a, b)| a != b).count();
        assert_eq!((apart, results[0].1, results[0].2), (0, results[1].1, results[1].2));
        assert!(results[0].3 == results[1].3 && !results[0].3.is_empty());
    }
}

/// A host whose frames are shorter than an evaluation gives the session to a thread, and draws from handles.
#[test]
fn a_session_may_go_to_another_thread() {
    let lgf = potential(8).on(shared());
    let session = lgf.session(Quadratic::geometric(50, 10.0), &[0.0; 50]).unwrap();
    let handles: Vec<wgpu::Buffer> = session.engine().design().map(|s| s.buffer.clone()).collect();
    let report = std::thread::spawn(move || session.finish().unwrap()).join().unwrap();
    assert!(report.true_evaluations > 1 && handles[0].size() >= 200);
}

/// A device that is too small for a run is no reason not to run; settings that make no sense still are.
#[test]
fn a_run_that_its_device_refuses_begins_on_the_cpu() {
    let small = GpuOptions { max_binding: Some(256), ..GpuOptions::default() };
    let quadratic = || Quadratic::geometric(5, 10.0);
    let start = [0.0; 5];
    let mut alone = GpuEngine::open_with(AdapterChoice::Any, small.clone()).unwrap();
    let refused = potential(20).on(&mut alone).minimize(quadratic(), &start);
    assert!(
        matches!(refused, Err(RunError::NotStarted(Error::Engine(EngineError::Memory { .. })))),
        "{refused:?}"
    );
    let mut opened = Opened::new(alone, "a GPU was found");
    let wrong = potential(20).on(&mut opened).minimize(quadratic(), &[f64::NAN; 5]);
    assert!(matches!(wrong, Err(RunError::NotStarted(Error::Settings(_)))), "{wrong:?}");
    assert_eq!(opened.info().kind, EngineKind::Gpu);
    let report = potential(20).on(&mut opened).minimize(quadratic(), &start).unwrap();
    assert_eq!(report.engine.kind, EngineKind::Cpu);
    assert!(opened.reason().contains("256 unknowns"), "{}", opened.reason());
    same(&report, &potential(20).on(CpuEngine::new()).minimize(quadratic(), &start).unwrap());
}

/// A device that is lost before the engine has asked anything of it is known as lost as well.
#[test]
fn a_device_that_is_lost_at_once_is_known_as_lost() {
    let mut engine = shared();
    engine.device().destroy();
    let [plain, ..] = runs();
    let refused = plain.on(&mut engine).minimize(Quadratic::geometric(5, 10.0), &[0.0; 5]);
    assert!(matches!(refused, Err(RunError::NotStarted(Error::Engine(EngineError::Lost(_))))), "{refused:?}");
    let (device, queue) = (engine.device().clone(), engine.queue().clone());
    let refused = GpuEngine::from_device(device, queue, GpuOptions::default());
    assert!(matches!(refused, Err(Error::Engine(EngineError::Lost(_)))), "{refused:?}");
}

/// This variable is set for the child process of the test below.
const CHILD: &str = "LGF_TEST_LITTLE_MEMORY";

/// The driver's own refusal: a child process with little address space, in which a software adapter gets its
/// memory.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_does_not_fit_says_what_it_needs_and_harms_nothing() {
    if std::env::var(CHILD).is_ok() {
        return with_little_memory();
    }
    if !lgf::engine::gpu::list_adapters().iter().any(|adapter| adapter.name.contains("llvmpipe")) {
        println!("skipped: needs llvmpipe");
        return;
    }
    let child = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -v 6291456 && exec \"$0\" --exact \
            a_run_that_does_not_fit_says_what_it_needs_and_harms_nothing --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .envs([(CHILD, "1"), ("WGPU_ADAPTER_NAME", "llvmpipe")])
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}{}",
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr)
    );
}

fn with_little_memory() {
    let mut engine = gpu();
    let d = 30_000_000;
    let start = vec![0.5; d];
    let flow = Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 });
    let setup = Setup {
        flow,
        domain: &Domain::Unbounded,
        start: &start,
        capacity: 16,
        samples: Samples::Pairs,
        directions: None,
    };
    let error = engine.start(setup).unwrap_err();
    match &error {
        Error::Engine(EngineError::Memory { what, needed, available: Some(granted) }) => {
            assert_eq!(
                (&**what, *needed),
                (
                    "a run of 30000000 unknowns with a history of 16",
                    GpuEngine::memory(&setup, TableFormat::State)
                )
            );
            assert!((1 << 28..6 << 30).contains(granted) && needed > granted, "{granted}");
        }
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("take a shorter history"), "{error}");
    assert!(engine.read(&mut vec![0.0; d]).is_err(), "read() without a run is an error");
    // The memory that was granted has been given back.
    let small = Setup { capacity: 4, ..setup };
    engine.start(small).unwrap();
    let mut x = vec![0.0; d];
    engine.read(&mut x).unwrap();
    assert_eq!(x, start);
}

#[cfg(feature = "cli")]
#[path = "../examples/embed/view.rs"]
mod view;

/// What the example draws from the engine's buffers is what the library draws from the design on the host.
/// The shader filters in f32: a density's error is a few 10⁻⁷, so a grey that differs at all is one of those
/// next to a rounding boundary of 1/255, and off by one.
#[cfg(feature = "cli")]
#[test]
fn pictures_from_the_device_are_those_from_the_host() {
    let (device, queue) = host_device(|limits| limits);
    for (size, radius, max_binding) in
        [((60, 20), 2.4, None), ((37, 41), 1.0, None), ((60, 40), 3.7, Some(4 * 13 * 1024))]
    {
        let mut problem =
            Compliance::new(Structure { radius, ..Structure::mbb(size.0, size.1, FilterKind::Density) })
                .unwrap();
        let start = problem.uniform_start();
        let engine = GpuEngine::from_device(
            device.clone(),
            queue.clone(),
            GpuOptions { max_binding, ..GpuOptions::default() },
        )
        .unwrap();
        let mut session = potential(12).on(engine).session(&mut problem, &start).unwrap();
        let mut view = view::View::new(
            device.clone(),
            queue.clone(),
            wgpu::TextureFormat::Rgba8Unorm,
            session.objective(),
        );
        let (mut wrong, mut greys, mut pixels) = (0, std::collections::BTreeSet::new(), 0);
        loop {
            let ended = session.step_for(Duration::ZERO).unwrap().is_some();
            if !ended && session.true_evaluations() % 4 != 1 {
                continue;
            }
            let design = session.design().unwrap().to_vec();
            let density = session.objective().physical_density(&design).unwrap();
            let png = lgf::io::density_png(session.objective().mesh().grid().unwrap(), &density).unwrap();
            let expected = image::load_from_memory(&png).unwrap().into_luma8();
            let scale = expected.width() / size.0;
            let (width, grey) = view.picture(session.engine_mut(), scale).unwrap();
            assert_eq!((width, grey.len()), (expected.width(), expected.as_raw().len()));
            for (found, expected) in grey.iter().zip(expected.as_raw()) {
                assert!(found.abs_diff(*expected) <= 1, "{found} instead of {expected}");
                wrong += usize::from(found != expected);
                greys.insert(*found);
            }
            pixels += grey.len();
            if ended {
                break;
            }
        }
        // The picture shows a structure, not a uniform grey.
        assert!(greys.len() > 50, "{greys:?}");
        assert!(wrong * 1000 < pixels, "{wrong} of {pixels} pixels differ");
    }
}
