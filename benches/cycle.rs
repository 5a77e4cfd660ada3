//! What the parts of a cycle cost: the true gradient, a refit and a surrogate step, on both engines.
//!
//! `cargo bench --bench cycle`; compare with `--save-baseline NAME` and `--baseline NAME`. The GPU engine
//! takes the best adapter there is and is named after it; a software adapter says so in its name.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lgf::domain::Domain;
use lgf::engine::gpu::AdapterChoice;
use lgf::engine::{CpuEngine, Engine, GpuEngine, PhaseLimits, Samples, Setup};
use lgf::flow::{Adam, Flow};
use lgf::objective::Objective;
use lgf::surrogate::{Integrator, SurrogateConfig};
use lgf::topology::{Compliance, FilterKind, Structure};

const SAMPLES: usize = 8;

fn true_gradient(c: &mut Criterion) {
    let mut group = c.benchmark_group("true_gradient");
    group.sample_size(10);
    for (nelx, nely) in [(60, 20), (150, 50), (300, 100)] {
        let mut problem =
            Compliance::new(Structure::mbb(nelx, nely, FilterKind::Density)).expect("valid settings");
        let x = problem.uniform_start();
        let mut gradient = vec![0.0; x.len()];
        group.throughput(Throughput::Elements(x.len() as u64));
        group.bench_function(format!("compliance_{nelx}x{nely}"), |b| {
            b.iter(|| problem.evaluate(black_box(&x), &mut gradient).expect("solvable"))
        });
    }
}

/// Starts a run of ADAM with a full history of `SAMPLES` iterates.
fn warm(engine: &mut dyn Engine, d: usize) {
    let start: Vec<f64> = (0..d).map(|i| (i as f64 * 0.37).sin()).collect();
    engine
        .start(Setup {
            flow: Flow::Adam(Adam::new(0.01)),
            domain: &Domain::Unbounded,
            start: &start,
            capacity: SAMPLES,
            samples: Samples::Points,
            directions: None,
        })
        .expect("enough memory");
    for k in 0..SAMPLES {
        let gradient: Vec<f64> = (0..d).map(|i| ((i + 31 * k) as f64 * 0.11).cos()).collect();
        engine.set_gradient(&gradient).expect("upload");
        engine.record().expect("record");
        engine.step().expect("step");
    }
}

fn cycle(c: &mut Criterion) {
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(CpuEngine::new())];
    match GpuEngine::open(AdapterChoice::Any) {
        Ok(gpu) => engines.push(Box::new(gpu)),
        Err(error) => eprintln!("no GPU engine: {error}"),
    }
    for engine in &mut engines {
        let info = engine.info();
        let name = format!(
            "{}{} {}",
            info.kind.name(),
            if info.software { " (software)" } else { "" },
            info.adapter
        );
        for d in [10_000, 1_000_000] {
            warm(&mut **engine, d);
            let mut x = vec![0.0; d];
            let mut group = c.benchmark_group(&name);
            group.sample_size(10).throughput(Throughput::Bytes(8 * (SAMPLES * d) as u64));
            group.bench_function(BenchmarkId::new("refit", d), |b| {
                b.iter(|| {
                    engine.fit(&SurrogateConfig::snapshots()).expect("fit");
                    engine.read(&mut x).expect("read");
                });
            });
            group.bench_function(BenchmarkId::new("ten_surrogate_adam_steps_and_read", d), |b| {
                b.iter(|| {
                    engine
                        .integrate(PhaseLimits {
                            steps: 10,
                            radius: f64::INFINITY,
                            integrator: Integrator::FlowStep,
                        })
                        .expect("integrate");
                    engine.read(&mut x).expect("read");
                });
            });
        }
    }
}

criterion_group!(benches, true_gradient, cycle);
criterion_main!(benches);
