//! One true evaluation of each of the paper's problems at full size.
//!
//! `cargo bench --bench problems`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lgf::objective::Objective;
use lgf::problems::{ElasticNetwork, HeatInverse, NonlinearHeat, Scattering};

fn evaluations(c: &mut Criterion) {
    let mut group = c.benchmark_group("true_evaluation");
    group.sample_size(10);
    let mut bench = |name: &str, problem: &mut dyn Objective, start: &[f64], newton: bool| {
        let mut gradient = vec![0.0; start.len()];
        group.bench_function(name, |b| {
            b.iter(|| {
                let value = problem.evaluate(black_box(start), &mut gradient).expect("solvable");
                if newton {
                    problem.newton_direction(start, &mut gradient).expect("regular");
                }
                value
            });
        });
    };
    bench("heat_inverse", &mut HeatInverse::new().expect("a constant problem"), &HeatInverse::START, false);
    let mut heat = NonlinearHeat::new(NonlinearHeat::MODES).expect("a valid size");
    let start = heat.start();
    bench("nonlinear_heat_with_newton_direction", &mut heat, &start, true);
    let mut scattering = Scattering::new().expect("a constant problem");
    let ones = vec![1.0; scattering.dimension()];
    bench("scattering", &mut scattering, &ones, false);
    let mut network = ElasticNetwork::new(ElasticNetwork::POINTS).expect("a valid size");
    bench("elastic_network_99", &mut network, &ElasticNetwork::start(), false);
}

criterion_group!(benches, evaluations);
criterion_main!(benches);
