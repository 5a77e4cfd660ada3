//! What the tests of several subjects share: engines, pseudo-random vectors, flows, and runs that are
//! warmed up.

pub(super) use std::path::{Path, PathBuf};

pub(super) use ndarray::{Array1, Array2, ArrayView2, Axis};

pub(super) use super::super::buffers::Buffer;
pub(super) use super::super::counts::{self, block_pairs};
pub(super) use super::super::kernels::{
    Access, Eft, FeaturesEvaluate, KERNELS, KernelSpec, Variant, bindings, to_pairs,
};
pub(super) use super::super::phase::Beside;
pub(super) use super::super::recording::Recorder;
pub(super) use super::super::run::{GRAM_PARTIALS_BYTES, Place, Run, Segment, Shared, slab_length};
pub(super) use super::super::shared::{OC_SCALES, PROJECTION_MULTIPLIERS, PhaseState, Problem, Search};
pub(super) use super::super::{AdapterChoice, Clock, GpuEngine, GpuOptions, device, pipelines, self_test};
pub(super) use crate::domain::{Bounds, Domain, Volume};
pub(super) use crate::engine::CpuEngine;
pub(super) use crate::engine::interface::{
    Engine, Landing, PhaseEnd, PhaseLimits, Samples, Setup, TableFormat, TrustLimits,
};
pub(super) use crate::error::EngineError;
pub(super) use crate::error::Error;
pub(super) use crate::flow::{
    Adam, Flow, GradientDescent, Momentum, Newton, OptimalityCriteria, ProjectedGradient,
};
pub(super) use crate::surrogate::potential::{Outside, PotentialConfig};
pub(super) use crate::surrogate::{
    Differences, Integrator, Library, Lift, Rank, Regression, RegressionProblem, Ridge, SpaceConfig,
    SurrogateConfig, TargetTransform, Targets, WeakForm, regression,
};

pub(super) const EPS: f64 = f32::EPSILON as f64;

/// Dimensions around the widths of workgroups, and one larger than a slab.
pub(super) const SIZES: [usize; 5] = [1, 63, 64, 65, 1757];

/// Any adapter; without one the test fails and says what is missing.
pub(super) fn engine(options: GpuOptions) -> GpuEngine {
    GpuEngine::open_with(AdapterChoice::Any, options)
        .expect("the GPU tests need an adapter, for example a software one")
}

/// The engines whose state is f32: this one, and the CPU engine if asked for. The f64 engine is the twin of
/// both.
pub(super) fn in_f32(tables: TableFormat) -> [Box<dyn Engine>; 2] {
    [
        Box::new(engine(GpuOptions { tables, ..GpuOptions::default() })),
        Box::new(CpuEngine::single().with_tables(tables)),
    ]
}

/// A fixed pseudo-random sequence in (-1, 1), each number an f32.
pub(super) fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from(((state >> 40) as f32) / 8_388_608.0 - 1.0)
    }
}

pub(super) fn vector(d: usize, seed: u64, mut map: impl FnMut(f64) -> f64) -> Vec<f64> {
    let mut next = noise(seed);
    (0..d).map(|_| f64::from(map(next()) as f32)).collect()
}

pub(super) fn box_volume(d: usize) -> Domain {
    let weights = vector(d, 99, |v| 1.0 + 0.2 * v);
    let volume = 0.4 * weights.iter().sum::<f64>();
    Domain::uniform_with_volume(0.0, 1.0, weights, volume)
}

/// Bounds of its own for every unknown, around the start of [`warmed`] and tight enough to be met; half-open
/// for three in four unknowns if `open`.
pub(super) fn own_bounds(d: usize, open: bool) -> Bounds {
    let lower = |i: usize| if open && i % 2 == 1 { f64::NEG_INFINITY } else { 0.0625 * (i % 3) as f64 };
    let upper = |i: usize| if open && i % 4 == 2 { f64::INFINITY } else { 0.8125 + 0.125 * (i % 5) as f64 };
    Bounds::per_unknown((0..d).map(lower).collect::<Vec<_>>(), (0..d).map(upper).collect::<Vec<_>>())
}

/// `bounds`, with the volume of [`box_volume`].
pub(super) fn with_volume(bounds: Bounds, d: usize) -> Domain {
    let Domain::BoxVolume { volume, .. } = box_volume(d) else { unreachable!() };
    Domain::BoxVolume { bounds, volume }
}

/// The contents of one vector of all segments.
pub(super) fn download(
    engine: &mut GpuEngine,
    rows: usize,
    pick: impl Fn(&Segment) -> &Buffer,
) -> Array2<f64> {
    let run = engine.run.as_ref().unwrap();
    let mut out = Array2::zeros((rows, run.dimension));
    for s in &run.segments {
        let bytes = s.bytes() * rows as u64;
        let staging = engine.recorder.staging(bytes).unwrap();
        engine.recorder.copy(pick(s), 0, &staging, 0, bytes);
        let data: Vec<f32> = bytemuck::pod_collect_to_vec(&engine.recorder.read(&staging, bytes).unwrap());
        for row in 0..rows {
            for i in 0..s.len {
                out[[row, s.start + i]] = f64::from(data[row * s.len + i]);
            }
        }
    }
    out
}

pub(super) fn small(engine: &mut GpuEngine, words: usize, pick: impl Fn(&Shared) -> &Buffer) -> Vec<f32> {
    let bytes = 4 * words as u64;
    let staging = engine.recorder.staging(bytes).unwrap();
    let run = engine.run.as_ref().unwrap();
    engine.recorder.copy(pick(&run.shared), 0, &staging, 0, bytes);
    bytemuck::pod_collect_to_vec(&engine.recorder.read(&staging, bytes).unwrap())
}

/// Starts `engine` on `flow` and gives it `samples` true steps with random negative gradients.
pub(super) fn warmed(
    engine: &mut dyn Engine,
    flow: Flow,
    domain: &Domain,
    d: usize,
    capacity: usize,
    samples: usize,
) {
    let start = vector(d, 1, |v| 0.5 + 0.3 * v);
    engine
        .start(Setup { flow, domain, start: &start, capacity, samples: Samples::Points, directions: None })
        .unwrap();
    for k in 0..samples {
        engine.set_gradient(&vector(d, 100 + k as u64, |v| -1.0 - 0.9 * v)).unwrap();
        engine.record().unwrap();
        engine.step().unwrap();
    }
}

pub(super) const DESCENT: Flow = Flow::GradientDescent(GradientDescent { rate: 0.015_625 });

/// Reads both engines and compares iterates: `tolerance` in units of eps times the iterates' size.
pub(super) fn assert_same(
    gpu: &mut dyn Engine,
    cpu: &mut CpuEngine,
    d: usize,
    tolerance: f64,
    what: &str,
) -> (Landing, Landing) {
    let (mut a, mut b) = (vec![0.0; d], vec![0.0; d]);
    let landings = (gpu.read(&mut a).unwrap(), cpu.read(&mut b).unwrap());
    let size = b.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!((a - b).abs() <= tolerance * EPS * size, "{what}, d {d}, unknown {i}: {a} against {b}");
    }
    landings
}

pub(super) fn flows(d: usize) -> Vec<(Flow, Domain)> {
    let adam = Adam::new(0.0625);
    let momentum = Momentum { rate: 0.0625, friction: 2.0, nesterov: false };
    let projected = Flow::ProjectedGradient(ProjectedGradient { rate: 0.0625 });
    vec![
        (DESCENT, Domain::Unbounded),
        (Flow::Newton(Newton { rate: 0.015_625 }), Domain::Unbounded),
        (Flow::Momentum(momentum), Domain::Unbounded),
        (Flow::Momentum(Momentum { nesterov: true, ..momentum }), Domain::Unbounded),
        (Flow::Adam(adam), Domain::Unbounded),
        (Flow::Adam(Adam { amsgrad: true, ..adam }), Domain::Unbounded),
        (Flow::OptimalityCriteria(OptimalityCriteria::default()), box_volume(d)),
        (projected, Domain::Unbounded),
        (projected, Domain::uniform(0.25, 0.75)),
        (projected, box_volume(d)),
        (Flow::OptimalityCriteria(OptimalityCriteria::default()), with_volume(own_bounds(d, false), d)),
        (projected, Domain::Box(own_bounds(d, true))),
        (projected, with_volume(own_bounds(d, true), d)),
    ]
}

pub(super) fn norm(a: &Array2<f64>) -> f64 {
    a.iter().map(|v| v * v).sum::<f64>().sqrt()
}

pub(super) fn largest_difference(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

pub(super) fn search(gpu: &mut GpuEngine) -> Search {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(&small(gpu, size_of::<Search>() / 4, |s| &s.search)))
}

/// Cycles of a learned potential of an order on Σ ½ λ e² with e = x − a, above order 2 + e³/5 + e⁴/4 and with
/// every third landing undone: the iterates after each, and the predicted changes.
pub(super) fn potential_cycles(
    engine: &mut dyn Engine,
    domain: &Domain,
    d: usize,
    memory: usize,
    cycles: usize,
    order: usize,
) -> Vec<(Vec<f64>, Landing)> {
    let center = vector(d, 5, |v| 0.5 + 0.7 * v);
    let spectrum = vector(d, 6, |v| 3.0 + 2.0 * v);
    let start = match domain {
        Domain::BoxVolume { volume, .. } => vec![volume.bound / volume.weights.iter().sum::<f64>(); d],
        _ => vec![0.25; d],
    };
    let bent = if order > 2 { 1.0 } else { 0.0 };
    let evaluate = |x: &[f64]| -> (f64, Vec<f64>) {
        let parts = x.iter().zip(&center).zip(&spectrum).map(|((x, a), l)| {
            let e = x - a;
            (0.5 * l * e * e + bent * e.powi(3) * (0.2 + 0.25 * e), l * e + bent * e * e * (0.6 + e))
        });
        let (values, slopes): (Vec<f64>, Vec<f64>) = parts.unzip();
        (values.iter().sum(), slopes)
    };
    let flow = Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 });
    engine
        .start(Setup {
            flow,
            domain,
            start: &start,
            capacity: memory,
            samples: Samples::Pairs,
            directions: None,
        })
        .unwrap();
    let mut x = vec![0.0; d];
    engine.read(&mut x).unwrap();
    let mut trusted = evaluate(&x).0;
    let mut out = Vec::new();
    for cycle in 0..cycles {
        let there = evaluate(&x);
        engine.set_gradient(&there.1).unwrap();
        let kept = order == 2 || cycle % 3 != 2;
        if cycle > 0 {
            engine.record_pair(there.0 - trusted, kept).unwrap();
        }
        if kept {
            engine.trust(true).unwrap();
            trusted = there.0;
        } else {
            engine.restore().unwrap();
        }
        engine.fit_potential(8.0, PotentialConfig { order, outside: Outside::Mean }).unwrap();
        engine.minimize(TrustLimits { steps: 6, radius: 0.2 }).unwrap();
        let landing = engine.read(&mut x).unwrap();
        out.push((x.clone(), landing));
    }
    out
}

/// Trusts the state where it is, with a gradient of its own.
pub(super) fn trust(engine: &mut dyn Engine, d: usize) {
    engine.read(&mut vec![0.0; d]).unwrap();
    engine.set_gradient(&vector(d, 98, |v| -1.0 - 0.9 * v)).unwrap();
    engine.trust(true).unwrap();
}
