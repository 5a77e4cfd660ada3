//! What must not change a bit: segments, profiles, kept pipelines, a restored state.

use super::common::*;

#[test]
fn segments_do_not_change_a_bit() {
    let snapshots = SurrogateConfig::snapshots();
    let trajectory = SurrogateConfig { lift: Lift::Trajectory, ..snapshots };
    let log_damped = SurrogateConfig { transform: TargetTransform::LogDamped { damping: 0.5 }, ..snapshots };
    let implicit = SurrogateConfig { space: SpaceConfig::Implicit, order: 2, ..snapshots };
    // With a history of 18 there are more directions than the pass that moves x has registers for.
    for (tables, capacity, d, configs) in [
        (TableFormat::State, 6, 4099, vec![snapshots, log_damped, trajectory, implicit]),
        (TableFormat::State, 6, 20_011, vec![snapshots, implicit]),
        (TableFormat::State, 18, 4099, vec![snapshots, trajectory]),
        (TableFormat::F16, 6, 4099, vec![snapshots, trajectory]),
        (TableFormat::F16, 18, 4099, vec![trajectory]),
    ] {
        let row = 4 * (capacity as u64 + 1);
        let mut engines = [None, Some(row * 1024 * 2), Some(row * 1024)]
            .map(|max_binding| engine(GpuOptions { max_binding, tables, ..GpuOptions::default() }));
        for (flow, domain) in flows(d) {
            for &config in &configs {
                if config.validate(&flow, capacity).is_err() {
                    continue;
                }
                let mut results: Vec<(Vec<f64>, Landing)> = Vec::new();
                for (number, gpu) in engines.iter_mut().enumerate() {
                    warmed(gpu, flow, &domain, d, capacity, capacity + 1);
                    let segments = gpu.run.as_ref().unwrap().segments.len();
                    assert!(number == 0 || segments > 1, "{segments} segments");
                    gpu.fit(&config).unwrap();
                    trust(gpu, d);
                    gpu.integrate(PhaseLimits {
                        steps: 4,
                        radius: f64::INFINITY,
                        integrator: Integrator::FlowStep,
                    })
                    .unwrap();
                    let mut x = vec![0.0; d];
                    let landing = gpu.read(&mut x).unwrap();
                    results.push((x, landing));
                }
                assert!(results.iter().all(|r| *r == results[0]), "{}, {config:?}, d {d}", flow.name());
            }
        }
    }
}

/// Bounds per unknown that are all the same are one pair, in one segment and in several; a pair that f32 does
/// not have, so that the move limit's rounding shows.
#[test]
fn the_same_pair_for_every_unknown_is_one_pair_to_the_last_bit() {
    let d = 4099;
    let (lower, upper) = (0.05, 0.9);
    let pairs = [Bounds::uniform(lower, upper), Bounds::per_unknown(vec![lower; d], vec![upper; d])];
    let projected = Flow::ProjectedGradient(ProjectedGradient { rate: 0.0625 });
    let capacity = 4;
    // Segments of two slabs for a field, of one for a potential, whose history is twice as long.
    for max_binding in [None, Some(4 * (capacity as u64 + 1) * 2048)] {
        let mut gpu = engine(GpuOptions { max_binding, ..GpuOptions::default() });
        for (flow, has_volume) in [
            (Flow::OptimalityCriteria(OptimalityCriteria::default()), true),
            (projected, true),
            (projected, false),
        ] {
            let [one, each] = pairs.clone().map(|bounds| {
                let domain = if has_volume { with_volume(bounds, d) } else { Domain::Box(bounds) };
                warmed(&mut gpu, flow, &domain, d, capacity, capacity + 1);
                assert_eq!(gpu.run.as_ref().unwrap().segments.len() > 1, max_binding.is_some());
                gpu.fit(&SurrogateConfig::snapshots()).unwrap();
                gpu.integrate(PhaseLimits {
                    steps: 4,
                    radius: f64::INFINITY,
                    integrator: Integrator::FlowStep,
                })
                .unwrap();
                let mut x = vec![0.0; d];
                let landing = gpu.read(&mut x).unwrap();
                assert!(x.iter().any(|x| *x == f64::from(upper as f32)), "no bound was met");
                let potential = potential_cycles(&mut gpu, &domain, d, capacity, 3, 3);
                (x, landing, potential)
            });
            assert!(one == each, "{}, with a volume: {has_volume}", flow.name());
        }
    }
}

/// A whole cycle of every kind, with and without a profile, on a device with timestamps and on a host
/// application's without: the same to the bit, every dispatch accounted for.
#[test]
fn a_profile_does_not_change_a_bit() {
    let d = 4099;
    let adapter = device::adapters()
        .into_iter()
        .next()
        .expect("the GPU tests need an adapter, for example a software one");
    let descriptor = wgpu::DeviceDescriptor {
        required_limits: GpuEngine::required_limits(&adapter.limits()),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let shared = GpuEngine::from_device(device, queue, GpuOptions::default()).unwrap();
    assert_eq!(shared.clock(), Clock::Wall, "a device without timestamp queries is timed by the wall clock");
    for mut gpu in [engine(GpuOptions::default()), shared] {
        let cycle = |gpu: &mut GpuEngine| {
            let mut out = potential_cycles(gpu, &box_volume(d), d, 3, 3, 4);
            for (flow, domain) in flows(d) {
                warmed(gpu, flow, &domain, d, 6, 7);
                gpu.fit(&SurrogateConfig::snapshots()).unwrap();
                gpu.integrate(PhaseLimits {
                    steps: 4,
                    radius: f64::INFINITY,
                    integrator: Integrator::FlowStep,
                })
                .unwrap();
                let mut x = vec![0.0; d];
                let landing = gpu.read(&mut x).unwrap();
                out.push((x, landing));
            }
            (out, gpu.traffic().dispatches)
        };
        assert!(gpu.take_profile().unwrap().is_empty());
        let plain = cycle(&mut gpu);
        gpu.profile(true).unwrap();
        let profiled = cycle(&mut gpu);
        gpu.take_profile().unwrap();
        warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, 6, 7);
        let kernels = gpu.take_profile().unwrap();
        gpu.profile(false).unwrap();
        let last = cycle(&mut gpu);
        assert!(gpu.take_profile().unwrap().is_empty());
        assert_eq!(plain.0, profiled.0);
        assert_eq!(plain.0, last.0);
        assert_eq!(plain.1, profiled.1, "a profile changes no number of dispatches");
        let launched: Vec<_> = kernels.iter().map(|k| (k.kernel, k.dispatches)).collect();
        assert_eq!(launched, [("flow_step", 7), ("phase_account", 7)]);
        assert!(kernels.iter().all(|k| k.seconds >= 0.0 && k.bound_bytes > 0));
    }
}

/// Segments that are shortened for dispatches of 50 ms; and what they are measured by.
#[test]
fn shorter_dispatches_do_not_change_a_bit() {
    let d = 200_011;
    let start = vector(d, 1, |v| 0.5 + 0.3 * v);
    let setup = Setup {
        flow: DESCENT,
        domain: &Domain::Unbounded,
        start: &start,
        capacity: 3,
        samples: Samples::Points,
        directions: None,
    };
    let results = [None, Some(1)].map(|longest| {
        let mut gpu = engine(GpuOptions::default());
        gpu.run = Some(Run::new(&mut gpu.recorder, setup, gpu.max_binding, longest).unwrap());
        gpu.protocol = crate::engine::protocol::Protocol::started(&setup);
        for k in 0..3 {
            gpu.set_gradient(&vector(d, 100 + k, |v| -1.0 - 0.9 * v)).unwrap();
            gpu.record().unwrap();
            gpu.step().unwrap();
        }
        gpu.fit(&SurrogateConfig::snapshots()).unwrap();
        gpu.integrate(PhaseLimits { steps: 2, radius: f64::INFINITY, integrator: Integrator::FlowStep })
            .unwrap();
        let mut x = vec![0.0; d];
        let landing = gpu.read(&mut x).unwrap();
        assert_eq!(gpu.run.as_ref().unwrap().segments.len(), if longest.is_some() { 4 } else { 1 });
        (x, landing)
    });
    assert_eq!(results[0], results[1]);
    let mut gpu = engine(GpuOptions::default());
    assert_eq!(gpu.longest_segment(&setup).unwrap(), None, "a small run has no limit on its segments");
    let before = gpu.recorder.traffic.dispatches;
    let unknowns = Run::unknowns_per_dispatch(&mut gpu.recorder, 3).unwrap();
    assert!(unknowns.is_none_or(|unknowns| unknowns > 0), "{unknowns:?}");
    assert_eq!(gpu.recorder.traffic.dispatches, before + 2);
}

/// More unknowns than one slab has, and than one binding of the adapter's own limit would hold at full
/// history.
#[test]
fn segments_do_not_change_a_bit_of_a_potential() {
    let d = 4999;
    for tables in [TableFormat::State, TableFormat::F16] {
        let whole = potential_cycles(
            &mut engine(GpuOptions { tables, ..GpuOptions::default() }),
            &box_volume(d),
            d,
            3,
            4,
            2,
        );
        let mut split =
            engine(GpuOptions { max_binding: Some(4 * 1024 * 7), tables, ..GpuOptions::default() });
        let parts = potential_cycles(&mut split, &box_volume(d), d, 3, 4, 2);
        assert!(split.run.as_ref().unwrap().segments.len() > 2);
        assert!(whole == parts, "{tables:?}");
    }
}

#[test]
fn a_fit_takes_memory_for_directions_it_was_not_told_of() {
    let d = 4099;
    let (start, row) = (vector(d, 1, |v| 0.5 + 0.3 * v), 4 * 7);
    for tables in [TableFormat::State, TableFormat::F16] {
        let [told, untold] = [None, Some(1)].map(|directions| {
            let mut gpu =
                engine(GpuOptions { max_binding: Some(row * 1024), tables, ..GpuOptions::default() });
            gpu.start(Setup {
                flow: DESCENT,
                domain: &Domain::Unbounded,
                start: &start,
                capacity: 6,
                samples: Samples::Points,
                directions,
            })
            .unwrap();
            for k in 0..6 {
                gpu.set_gradient(&vector(d, 100 + k, |v| -1.0 - 0.9 * v)).unwrap();
                gpu.record().unwrap();
                gpu.step().unwrap();
            }
            assert!(gpu.fit(&SurrogateConfig::snapshots()).unwrap().rank > 1);
            gpu.integrate(PhaseLimits { steps: 2, radius: f64::INFINITY, integrator: Integrator::FlowStep })
                .unwrap();
            let mut x = vec![0.0; d];
            (gpu.read(&mut x).unwrap(), x)
        });
        assert!(told == untold, "{tables:?}");
    }
}

/// What is kept between runs changes no bit; what is not as it was written is left out, and written anew.
#[test]
fn compiled_pipelines_are_kept_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cycle = |pipeline_cache: Option<PathBuf>| {
        let d = 1757;
        let mut gpu = engine(GpuOptions { pipeline_cache, ..GpuOptions::default() });
        warmed(&mut gpu, Flow::Adam(Adam::new(0.0625)), &Domain::Unbounded, d, 6, 6);
        gpu.fit(&SurrogateConfig::snapshots()).unwrap();
        gpu.integrate(PhaseLimits { steps: 2, radius: f64::INFINITY, integrator: Integrator::FlowStep })
            .unwrap();
        let mut x = vec![0.0; d];
        let landing = gpu.read(&mut x).unwrap();
        (gpu.pipeline_cache().map(Path::to_path_buf), (landing, x))
    };
    let kept = || cycle(Some(folder.path().join("a/b")));
    let (none, exact) = cycle(None);
    assert_eq!(none, None);
    let (file, first) = kept();
    assert!(first == exact);
    let adapter = device::adapters().into_iter().next().unwrap();
    assert_eq!(file.is_some(), adapter.features().contains(wgpu::Features::PIPELINE_CACHE));
    let Some(file) = file else { return };
    let written = std::fs::read(&file).unwrap();
    assert_eq!(pipelines::read(&file).as_deref(), Some(&written[8..]));
    assert!(kept().1 == exact);
    let (mut short, mut other) = (written.clone(), written.clone());
    short.pop();
    *other.last_mut().unwrap() ^= 1;
    for spoiled in [short, other, Vec::new(), b"something else".to_vec()] {
        std::fs::write(&file, &spoiled).unwrap();
        assert!(pipelines::read(&file).is_none(), "{} bytes were taken for what was written", spoiled.len());
        assert!(kept().1 == exact);
        assert!(pipelines::read(&file).is_some());
    }
    assert_eq!(
        std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
        1,
        "the temporary file is renamed, so the folder has one file"
    );
    // A place that cannot be written to is no reason to fail.
    assert!(cycle(Some(file.join("below a file"))).1 == exact);
}

#[test]
fn bindings_smaller_than_a_slab_still_work() {
    let d = 5000;
    let mut gpu = engine(GpuOptions { max_binding: Some(4 * 6 * 300), ..GpuOptions::default() });
    let mut cpu = CpuEngine::new();
    for e in [&mut gpu as &mut dyn Engine, &mut cpu] {
        warmed(e, DESCENT, &Domain::Unbounded, d, 6, 6);
        e.fit(&SurrogateConfig::snapshots()).unwrap();
        e.integrate(PhaseLimits { steps: 2, radius: f64::INFINITY, integrator: Integrator::FlowStep })
            .unwrap();
    }
    assert!(gpu.run.as_ref().unwrap().segments.len() >= 10);
    assert_same(&mut gpu, &mut cpu, d, 200.0, "short slabs");
    let error = GpuEngine::start(
        &mut engine(GpuOptions { max_binding: Some(64), ..GpuOptions::default() }),
        Setup {
            flow: DESCENT,
            domain: &Domain::Unbounded,
            start: &[0.0],
            capacity: 6,
            samples: Samples::Points,
            directions: None,
        },
    );
    assert!(matches!(error, Err(Error::Engine(EngineError::Memory { .. }))), "{error:?}");
}

#[test]
fn restore_brings_back_every_bit_of_the_state() {
    let mut gpu = engine(GpuOptions::default());
    for (flow, domain) in flows(1757) {
        let d = 1757;
        warmed(&mut gpu, flow, &domain, d, 6, 6);
        trust(&mut gpu, d);
        let mut at_trust = vec![0.0; d];
        gpu.read(&mut at_trust).unwrap();
        let walk = |gpu: &mut GpuEngine| {
            gpu.step().unwrap();
            gpu.step().unwrap();
            let mut x = vec![0.0; d];
            gpu.read(&mut x).unwrap();
            x
        };
        let first = walk(&mut gpu);
        assert_ne!(first, at_trust);
        gpu.restore().unwrap();
        assert_eq!(
            walk(&mut gpu),
            first,
            "{}: x, gradient, moments and step count must all come back",
            flow.name()
        );
    }
}
