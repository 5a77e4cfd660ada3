//! Every kernel against its f64 twin on odd sizes and split buffers, and every WGSL file against its Rust
//! contract.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use proptest::prelude::*;

use super::kernels::{
    Access, Eft, FeaturesEvaluate, FlowRule, KERNELS, LiftRule, OC_SCALES, PROJECTION_MULTIPLIERS,
    PhaseState, Search, Variant, to_pairs,
};
use super::phase::Beside;
use super::recording::{Buffer, Recorder};
use super::run::{GRAM_PARTIALS_BYTES, Place, Segment, Shared, block_pairs, slab_length};
use super::*;
use crate::engine::interface::Samples;
use crate::engine::{CpuEngine, TrustLimits};
use crate::flow::{Adam, GradientDescent, Momentum};
use crate::flow::{Flow, Newton, OptimalityCriteria, ProjectedGradient};
use crate::objective::Domain;
use crate::surrogate::potential::{Outside, PotentialConfig};
use crate::surrogate::{Differences, Library, Rank, Regression, Ridge, WeakForm, regression};
use crate::surrogate::{TargetTransform, Targets};

const EPS: f64 = f32::EPSILON as f64;

/// Dimensions around the widths of workgroups, and one larger than a slab.
const SIZES: [usize; 5] = [1, 63, 64, 65, 1757];

/// Any adapter; without one the test fails and says what is missing.
fn engine(options: GpuOptions) -> GpuEngine {
    GpuEngine::open_with(AdapterChoice::Any, options).expect("GPU tests need an adapter, software will do")
}

/// The engines whose state is f32: this one, and the CPU engine if asked for. The f64 engine is the twin of
/// both.
fn in_f32(tables: TableFormat) -> [Box<dyn Engine>; 2] {
    [
        Box::new(engine(GpuOptions { tables, ..GpuOptions::default() })),
        Box::new(CpuEngine::single().with_tables(tables)),
    ]
}

/// A fixed pseudo-random sequence in (-1, 1), each number an f32.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from(((state >> 40) as f32) / 8_388_608.0 - 1.0)
    }
}

fn vector(d: usize, seed: u64, mut map: impl FnMut(f64) -> f64) -> Vec<f64> {
    let mut next = noise(seed);
    (0..d).map(|_| f64::from(map(next()) as f32)).collect()
}

fn box_volume(d: usize) -> Domain {
    let weights = vector(d, 99, |v| 1.0 + 0.2 * v);
    let volume = 0.4 * weights.iter().sum::<f64>();
    Domain::BoxVolume { lower: 0.0, upper: 1.0, weights, volume }
}

/// The contents of one vector of all segments.
fn download(engine: &mut GpuEngine, rows: usize, pick: impl Fn(&Segment) -> &Buffer) -> Array2<f64> {
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

fn small(engine: &mut GpuEngine, words: usize, pick: impl Fn(&Shared) -> &Buffer) -> Vec<f32> {
    let bytes = 4 * words as u64;
    let staging = engine.recorder.staging(bytes).unwrap();
    let run = engine.run.as_ref().unwrap();
    engine.recorder.copy(pick(&run.shared), 0, &staging, 0, bytes);
    bytemuck::pod_collect_to_vec(&engine.recorder.read(&staging, bytes).unwrap())
}

/// Starts `engine` on `flow` and gives it `samples` true steps with random negative gradients.
fn warmed(engine: &mut dyn Engine, flow: Flow, domain: &Domain, d: usize, capacity: usize, samples: usize) {
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

/// Trusts the state where it is, with a gradient of its own.
fn trust(engine: &mut dyn Engine, d: usize) {
    engine.read(&mut vec![0.0; d]).unwrap();
    engine.set_gradient(&vector(d, 98, |v| -1.0 - 0.9 * v)).unwrap();
    engine.trust(true).unwrap();
}

const DESCENT: Flow = Flow::GradientDescent(GradientDescent { rate: 0.015_625 });

#[test]
fn the_self_test_passes_here_and_notices_missing_error_terms() {
    let engine = engine(GpuOptions::default());
    assert_ne!(engine.eft, Eft::Plain, "no error-free transform works on {}", engine.info().adapter);
    let gpu = engine.recorder.gpu.clone();
    let exact = self_test::probe(&mut Recorder::new(gpu.clone(), engine.eft).unwrap()).unwrap();
    let plain = self_test::probe(&mut Recorder::new(gpu, Eft::Plain).unwrap()).unwrap();
    assert_eq!(exact, 1024);
    assert!(plain < 512, "the self-test would not notice: plain f32 is exact on {plain} of 1024 pairs");
}

/// Double-word sums: the error is of order eps² times the sum of magnitudes; 2⁻⁴⁰ leaves room for the low
/// words' own rounding.
#[test]
fn gram_matrices_have_double_word_accuracy() {
    let mut gpu = engine(GpuOptions::default());
    for d in SIZES {
        for samples in [1, 3, 5] {
            for centered in [false, true] {
                warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, 5, samples);
                let config = SurrogateConfig {
                    space: SpaceConfig::Reduced { rank: Rank::Full, centered },
                    ..SurrogateConfig::snapshots()
                };
                let (run, eft) = (gpu.run.as_mut().unwrap(), gpu.eft);
                let newest = samples - 1;
                let grams =
                    pollster::block_on(run.read_grams(&mut gpu.recorder, &config, eft, newest)).unwrap();
                let x = download(&mut gpu, samples, |s| &s.iterates);
                let y = download(&mut gpu, samples, |s| &s.gradients);
                // The kernel subtracts the reference in f32.
                let about = |row: usize, i: usize| {
                    if centered { f64::from((x[[row, i]] - x[[newest, i]]) as f32) } else { x[[row, i]] }
                };
                let rows = Array2::from_shape_fn(x.dim(), |(j, i)| about(j, i));
                for (name, a, b, gram) in
                    [("XX", &rows, &rows, &grams.xx), ("XY", &rows, &y, &grams.xy), ("YY", &y, &y, &grams.yy)]
                {
                    let (exact, size) = (a.dot(&b.t()), a.mapv(f64::abs).dot(&b.mapv(f64::abs).t()));
                    for ((g, e), s) in gram.iter().zip(&exact).zip(&size) {
                        assert!(
                            (g - e).abs() <= s * 2.0_f64.powi(-40),
                            "{name}, d {d}, K {samples}: {g} against {e}"
                        );
                    }
                }
            }
        }
    }
}

/// The host's f64 sums of per-workgroup f32 partial sums, for devices without error terms.
#[test]
fn a_device_without_error_terms_gets_host_sums() {
    let d = 70_001;
    let mut gpu = engine(GpuOptions::default());
    gpu.recorder = Recorder::new(gpu.recorder.gpu.clone(), Eft::Plain).unwrap();
    gpu.eft = Eft::Plain;
    warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, 4, 4);
    let run = gpu.run.as_mut().unwrap();
    assert!(run.slabs > 1);
    let config = SurrogateConfig {
        space: SpaceConfig::Reduced { rank: Rank::Full, centered: false },
        ..SurrogateConfig::snapshots()
    };
    let grams = pollster::block_on(run.read_grams(&mut gpu.recorder, &config, Eft::Plain, 3)).unwrap();
    let x = download(&mut gpu, 4, |s| &s.iterates);
    // 1024 unknowns per slab, 16 per thread, a tree of 6 levels above.
    for (g, e) in grams.xx.iter().zip(&x.dot(&x.t())) {
        assert!((g - e).abs() <= 24.0 * EPS * e.abs(), "{g} against {e}");
    }
}

#[test]
fn transformed_targets_match_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for d in SIZES {
        warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, 3, 3);
        let transform = TargetTransform::LogDamped { damping: 0.75 };
        let config = SurrogateConfig { transform, ..SurrogateConfig::snapshots() };
        let eft = gpu.eft;
        pollster::block_on(gpu.run.as_mut().unwrap().read_grams(&mut gpu.recorder, &config, eft, 2)).unwrap();
        let [x, g, y] = [
            download(&mut gpu, 3, |s| &s.iterates),
            download(&mut gpu, 3, |s| &s.gradients),
            download(&mut gpu, 3, |s| &s.encoded),
        ];
        for ((x, g), y) in x.iter().zip(&g).zip(&y) {
            let exact = transform.encode(*g, *x);
            // WGSL grants log() 2⁻²¹ absolutely near 1 and 3 ulp elsewhere; |log| <= 7 here.
            assert!(
                (y - exact).abs() <= 1.75 * 2.0_f64.powi(-21) + 4.0 * 7.0 * EPS,
                "d {d}: {y} against {exact}"
            );
        }
    }
}

#[test]
fn basis_mean_and_projection_match_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for d in SIZES {
        for (samples, rank) in [(1, 1), (6, 3), (12, 12)] {
            warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, samples, samples);
            gpu.fit(&SurrogateConfig {
                space: SpaceConfig::Reduced { rank: Rank::Count(rank), centered: true },
                ..SurrogateConfig::snapshots()
            })
            .unwrap();
            let x = download(&mut gpu, samples, |s| &s.iterates);
            let plan = gpu.run.as_ref().unwrap().model.as_ref().unwrap().plan.clone().unwrap();
            let space = plan.space.clone().unwrap();
            let rank = space.rank();
            let table = download(&mut gpu, rank + 1, |s| &s.basis);
            let (basis, mean) = table.view().split_at(Axis(0), rank);
            let reference = x.row(samples - 1).to_owned();
            let exact = space.basis.dot(&(&x - &reference));
            for i in 0..d {
                let spread: f64 = (0..samples).map(|j| (x[[j, i]] - reference[i]).abs()).sum();
                for r in 0..rank {
                    let size = space.basis.row(r).iter().fold(0.0_f64, |a, b| a.max(b.abs())) * spread;
                    assert!(
                        (basis[[r, i]] - exact[[r, i]]).abs() <= (samples + 2) as f64 * EPS * size,
                        "d {d}, direction {r} of {rank}"
                    );
                }
                let average = x.column(i).mean().unwrap();
                assert!(
                    (mean[[0, i]] - average).abs() <= EPS * (2.0 * average.abs() + samples as f64 * spread),
                    "d {d}: mean"
                );
            }
            // One prediction leaves the projection behind.
            let run = gpu.run.as_ref().unwrap();
            run.record_prediction(
                &mut gpu.recorder,
                run.model.as_ref().unwrap(),
                f64::INFINITY,
                Place::State,
            )
            .unwrap();
            let totals = small(&mut gpu, 2 * (rank + 1), |s| &s.totals);
            let now = download(&mut gpu, 1, |s| &s.iterate).row(0).to_owned();
            let off: Array1<f64> = (&now - &mean.row(0)).mapv(|v| f64::from(v as f32));
            for r in 0..=rank {
                let u = if r < rank { basis.row(r).to_owned() } else { off.clone() };
                let (exact, size) = (u.dot(&off), u.mapv(f64::abs).dot(&off.mapv(f64::abs)));
                let value = f64::from(totals[2 * r]) + f64::from(totals[2 * r + 1]);
                assert!(
                    (value - exact).abs() <= size * 2.0_f64.powi(-40),
                    "d {d}, projection {r}: {value} against {exact}"
                );
            }
        }
    }
}

/// Solves one batch on the device; returns coefficients and predictions.
fn solve_on_device(
    gpu: &mut GpuEngine,
    features: ArrayView2<f64>,
    targets: ArrayView2<f64>,
    ridge: f64,
) -> (Array2<f64>, Array2<f64>) {
    let regression = Regression::ridge(Ridge::Absolute(ridge));
    let solution = gpu.regress(&[RegressionProblem { features, targets, regression }]).unwrap().remove(0);
    let predictions = features.dot(&solution.coefficients);
    (solution.coefficients, predictions)
}

fn norm(a: &Array2<f64>) -> f64 {
    a.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Random matrices with prescribed singular values from 1 down to 1/condition.
fn conditioned(k: usize, p: usize, condition: f64, seed: u64) -> Array2<f64> {
    let n = k.min(p);
    let random = faer::Mat::from_fn(k, p, {
        let mut next = noise(seed);
        move |_, _| next()
    });
    let svd = random.thin_svd().unwrap();
    let mut out = Array2::<f64>::zeros((k, p));
    for s in 0..n {
        let value = condition.powf(-(s as f64) / (n.max(2) - 1) as f64);
        for i in 0..k {
            for j in 0..p {
                out[[i, j]] += value * svd.U()[(i, s)] * svd.V()[(j, s)];
            }
        }
    }
    out.mapv(|v| f64::from(v as f32))
}

/// The precision contract: coefficients to 1e-4 relative for condition numbers up to 1e4, predictions on the
/// samples to 1e-5 for any.
#[test]
fn regressions_keep_the_precision_contract() {
    let mut gpu = engine(GpuOptions::default());
    for (case, (k, p)) in
        [(1, 1), (3, 1), (1, 3), (8, 8), (8, 9), (8, 36), (12, 7), (20, 66), (65, 64), (64, 65), (100, 45)]
            .into_iter()
            .enumerate()
    {
        for (condition, ridge) in [(1e2, 0.0), (1e4, 0.0), (1e4, 1e-6), (1e2, 1e-3), (1e7, 1e-3), (1e7, 1e-9)]
        {
            let features = conditioned(k, p, condition, case as u64 + 7);
            let mut next = noise(3);
            let targets = Array2::from_shape_fn((k, 5), |_| next());
            let exact = regression::solve(
                features.view(),
                targets.view(),
                &Regression::ridge(Ridge::Absolute(ridge)),
            )
            .unwrap()
            .coefficients;
            let (coefficients, predictions) =
                solve_on_device(&mut gpu, features.view(), targets.view(), ridge);
            let effective = if ridge > 0.0 { condition.min(1.0 / ridge.sqrt()) } else { condition };
            if effective <= 1e4 {
                let error = norm(&(&coefficients - &exact)) / norm(&exact);
                assert!(
                    error <= 1e-4,
                    "{k}x{p}, condition {condition:e}, ridge {ridge:e}: coefficients off by {error:e}"
                );
            }
            let error = norm(&(&predictions - &features.dot(&exact))) / norm(&targets);
            assert!(
                error <= 1e-5,
                "{k}x{p}, condition {condition:e}, ridge {ridge:e}: predictions off by {error:e}"
            );
        }
    }
}

/// A column that is small is not a column that is missing.
#[test]
fn badly_scaled_columns_are_kept() {
    let mut gpu = engine(GpuOptions::default());
    for (k, p) in [(20, 6), (8, 12)] {
        let mut features = conditioned(k, p, 100.0, 11);
        features.column_mut(0).mapv_inplace(|v| f64::from((v * 1e-7) as f32));
        features.column_mut(2).mapv_inplace(|v| f64::from((v * 1e4) as f32));
        let mut next = noise(8);
        let targets = Array2::from_shape_fn((k, 3), |_| next());
        for ridge in [0.0, 1e-20] {
            let exact = regression::solve(
                features.view(),
                targets.view(),
                &Regression::ridge(Ridge::Absolute(ridge)),
            )
            .unwrap()
            .coefficients;
            let (_, predictions) = solve_on_device(&mut gpu, features.view(), targets.view(), ridge);
            let error = norm(&(&predictions - &features.dot(&exact))) / norm(&targets);
            assert!(error <= 1e-5, "{k}x{p}, ridge {ridge:e}: predictions off by {error:e}");
        }
    }
}

/// Thresholds far from any coefficient, so that rounding decides no support.
#[test]
fn sparse_regressions_find_the_twins_supports() {
    let mut gpu = engine(GpuOptions::default());
    for (case, (k, p, m)) in [(30, 10, 1), (64, 20, 7), (20, 30, 3), (100, 66, 2)].into_iter().enumerate() {
        let features = conditioned(k, p, 20.0, case as u64 + 40);
        let mut next = noise(9);
        // Two or three true terms per column, and a little noise.
        let truth = Array2::from_shape_fn(
            (p, m),
            |(i, j)| if (i + 3 * j) % p < 3 { 1.0 + 0.5 * next() } else { 0.0 },
        );
        let targets = features.dot(&truth) + Array2::from_shape_fn((k, m), |_| 1e-3 * next());
        for (normalize, refit) in [(false, false), (true, false), (false, true), (true, true)] {
            let regression = Regression {
                ridge: Ridge::Absolute(1e-6),
                threshold: 0.15,
                max_iterations: 20,
                normalize,
                refit,
            };
            let exact = regression::solve(features.view(), targets.view(), &regression).unwrap();
            let found = gpu
                .regress(&[RegressionProblem {
                    features: features.view(),
                    targets: targets.view(),
                    regression,
                }])
                .unwrap()
                .remove(0);
            assert_eq!(found.support, exact.support, "{k}x{p}, normalize {normalize}, refit {refit}");
            let error = norm(&(&found.coefficients - &exact.coefficients)) / norm(&exact.coefficients);
            assert!(error <= 1e-4, "{k}x{p}, normalize {normalize}, refit {refit}: off by {error:e}");
        }
    }
}

/// The largest regression the engine promises; on a software adapter it is cut into several dispatches per
/// phase.
#[test]
fn the_largest_regression_matches_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for (k, p) in [(256, 2048), (2048, 256)] {
        let mut next = noise(31);
        let features = Array2::from_shape_fn((k, p), |_| next());
        let truth =
            Array2::from_shape_fn((p, 2), |(i, j)| if i % 97 == 5 + j { 1.0 + 0.5 * next() } else { 0.0 });
        let targets = features.dot(&truth) + Array2::from_shape_fn((k, 2), |_| 1e-3 * next());
        let regression = Regression {
            ridge: Ridge::Absolute(1e-2),
            threshold: 0.03,
            max_iterations: 2,
            normalize: false,
            refit: false,
        };
        let exact = regression::solve(features.view(), targets.view(), &regression).unwrap();
        let found = gpu
            .regress(&[RegressionProblem { features: features.view(), targets: targets.view(), regression }])
            .unwrap()
            .remove(0);
        assert_eq!(found.support, exact.support, "{k}x{p}");
        let error = norm(&(&found.coefficients - &exact.coefficients)) / norm(&exact.coefficients);
        assert!(error <= 1e-4, "{k}x{p}: off by {error:e}");
    }
}

#[test]
fn a_large_batch_is_solved_in_turns() {
    let mut gpu = engine(GpuOptions::default());
    let problems: Vec<_> = (0..40)
        .map(|i| {
            (
                conditioned(100 + i, 60, 10.0, i as u64),
                Array2::from_shape_fn((100 + i, 20), |(r, c)| ((r * 7 + c * 13 + i) as f64).sin()),
            )
        })
        .collect();
    let regression = Regression::ridge(Ridge::Absolute(1e-6));
    let batch: Vec<_> = problems
        .iter()
        .map(|(a, y)| RegressionProblem { features: a.view(), targets: y.view(), regression })
        .collect();
    let words: usize =
        batch.iter().map(|b| 20 * super::kernels::Problem::work_words(b.features.nrows(), 60)).sum();
    assert!(4 * words > 32 << 20, "the batch fits at once: {words} words");
    for (solution, item) in gpu.regress(&batch).unwrap().iter().zip(&batch) {
        let exact = regression::solve(item.features, item.targets, &regression).unwrap();
        assert!(norm(&(&solution.coefficients - &exact.coefficients)) <= 1e-4 * norm(&exact.coefficients));
    }
}

#[test]
fn a_rank_deficient_regression_is_finite() {
    let mut gpu = engine(GpuOptions::default());
    let mut features = conditioned(6, 3, 10.0, 5);
    let copy = features.column(0).to_owned();
    features.column_mut(2).assign(&copy);
    features.column_mut(1).fill(0.0);
    let targets = Array2::from_elem((6, 1), 1.0);
    let (coefficients, predictions) = solve_on_device(&mut gpu, features.view(), targets.view(), 0.0);
    assert!(coefficients.iter().all(|v| v.is_finite()), "{coefficients}");
    let exact = features.dot(
        &regression::solve(features.view(), targets.view(), &Regression::ridge(Ridge::Absolute(0.0)))
            .unwrap()
            .coefficients,
    );
    assert!(norm(&(&predictions - &exact)) <= 1e-5 * norm(&targets), "{predictions} against {exact}");
}

#[test]
fn feature_matrices_match_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for (rows, variables, order, bias) in
        [(1, 1, 1, false), (5, 3, 2, true), (9, 4, 4, true), (65, 7, 2, false)]
    {
        let library = Library::new(variables, order, bias).unwrap();
        let mut next = noise(4);
        let z = Array2::from_shape_fn((rows, variables), |_| next());
        let recorder = &mut gpu.recorder;
        let words = rows * library.len();
        let coordinates = recorder.buffer("test", 8 * z.len() as u64).unwrap();
        let terms = recorder.buffer("test", 4 * library.terms().len() as u64).unwrap();
        let matrix = recorder.buffer("test", 8 * words as u64).unwrap();
        let staging = recorder.staging(8 * words as u64).unwrap();
        recorder.upload(&coordinates, &to_pairs(z.view())).unwrap();
        recorder.upload(&terms, library.terms()).unwrap();
        let params = FeaturesEvaluate {
            rows: rows as u32,
            variables: variables as u32,
            features: library.len() as u32,
            order: order as u32,
        };
        recorder
            .dispatch(
                params,
                &[&coordinates, &terms, &matrix],
                [library.len().div_ceil(64) as u32, rows as u32, 1],
            )
            .unwrap();
        recorder.copy(&matrix, 0, &staging, 0, 8 * words as u64);
        let data: Vec<[f32; 2]> =
            bytemuck::pod_collect_to_vec(&recorder.read(&staging, 8 * words as u64).unwrap());
        for (row, z) in z.axis_iter(Axis(0)).enumerate() {
            for (p, exact) in library.evaluate(&z.to_vec()).iter().enumerate() {
                let [hi, lo] = data[row * library.len() + p].map(f64::from);
                let value = hi + lo;
                assert!(
                    (value - exact).abs() <= order as f64 * 2.0_f64.powi(-42) * exact.abs(),
                    "feature {p}: {value} against {exact}"
                );
            }
        }
    }
}

/// Reads both engines and compares iterates: `tolerance` in units of eps times the iterates' size.
fn assert_same(
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

fn flows(d: usize) -> Vec<(Flow, Domain)> {
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
        (projected, Domain::Box { lower: 0.25, upper: 0.75 }),
        (projected, box_volume(d)),
    ]
}

/// Ten true steps: each rounds a few times; ADAM's quotient m/√v turns relative errors of g into errors of
/// the rate.
#[test]
fn true_steps_match_the_twin() {
    for mut engine in in_f32(TableFormat::State) {
        for d in SIZES {
            for (flow, domain) in flows(d) {
                let mut cpu = CpuEngine::new();
                warmed(&mut *engine, flow, &domain, d, 0, 10);
                warmed(&mut cpu, flow, &domain, d, 0, 10);
                let (a, b) = assert_same(&mut *engine, &mut cpu, d, 60.0, flow.name());
                let size = b.predicted_change.abs().max(1e-3 * d as f64);
                assert!(
                    (a.predicted_change - b.predicted_change).abs() <= 1e3 * EPS * size,
                    "{}: {a:?} against {b:?}",
                    flow.name()
                );
            }
        }
    }
}

#[test]
fn the_volume_holds_after_every_oc_step() {
    let mut gpu = engine(GpuOptions::default());
    for d in SIZES {
        let (flow, domain) = (Flow::OptimalityCriteria(OptimalityCriteria::default()), box_volume(d));
        let Domain::BoxVolume { weights, volume, .. } = &domain else { unreachable!() };
        let mut x = vec![0.0; d];
        warmed(&mut gpu, flow, &domain, d, 0, 0);
        for k in 0..6 {
            gpu.set_gradient(&vector(d, 10 + k, |v| -1.0 - 0.9 * v)).unwrap();
            gpu.step().unwrap();
            gpu.read(&mut x).unwrap();
            let excess = weights.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() - volume;
            // The first steps are limited by the move limit; then the scale is exact to one unit in the last
            // place.
            assert!(k < 3 || excess <= 4.0 * EPS * volume, "d {d}, step {k}: volume off by {excess}");
            assert!(k < 3 || excess >= -8.0 * EPS * volume, "d {d}, step {k}: volume off by {excess}");
        }
    }
}

/// One surrogate step after a fit, for every kind of surrogate: conditioning multiplies rounding, so the
/// bound is 10⁻³ of the step. The bracket that the last search has closed.
fn bracket(gpu: &mut GpuEngine) -> [u32; 2] {
    let words = small(gpu, size_of::<PhaseState>() / 4, |s| &s.phase);
    [core::mem::offset_of!(PhaseState, bracket_low), core::mem::offset_of!(PhaseState, bracket_high)]
        .map(|at| words[at / 4].to_bits())
}

fn search(gpu: &mut GpuEngine) -> Search {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(&small(gpu, size_of::<Search>() / 4, |s| &s.search)))
}

/// Neighbouring floats with the volume's bound between them, whatever the search remembers of the ones
/// before: nothing, the truth, or what is far from it; for volumes that can be reached, that cannot, and that
/// are no numbers.
#[test]
fn a_search_ends_at_the_same_floats_wherever_it_begins() {
    let mut gpu = engine(GpuOptions::default());
    let projected = Flow::ProjectedGradient(ProjectedGradient { rate: 0.0625 });
    for d in [1, 65, 4099] {
        let Domain::BoxVolume { lower, upper, weights, volume } = box_volume(d) else { unreachable!() };
        for (share, bad) in [(1.0, false), (1.02, false), (0.0, false), (10.0, false), (1.0, true)] {
            let domain = Domain::BoxVolume { lower, upper, weights: weights.clone(), volume: share * volume };
            for flow in [Flow::OptimalityCriteria(OptimalityCriteria::default()), projected] {
                let what = format!("{}, d {d}, share {share}, not finite {bad}", flow.name());
                let mut found: Option<[u32; 2]> = None;
                for memory in 0..8_u32 {
                    warmed(&mut gpu, flow, &domain, d, 0, 3);
                    let x = download(&mut gpu, 1, |s| &s.iterate);
                    let mut g = vector(d, 200, |v| -1.0 - 0.9 * v);
                    if bad {
                        g[d / 2] = f64::NAN;
                    }
                    gpu.set_gradient(&g).unwrap();
                    let mut known = search(&mut gpu);
                    assert_eq!(known.closed, 1, "{what}");
                    let range = if flow == projected { PROJECTION_MULTIPLIERS } else { OC_SCALES };
                    if memory == 1 {
                        known = Search::new(range);
                    } else if memory > 1 {
                        // Candidates that crowd at an end, and some that are all the same.
                        let [low, high] = range;
                        for (k, bits) in known.candidates.iter_mut().enumerate() {
                            *bits = if memory % 2 == 0 {
                                low + 1 + k as u32 * (memory / 4)
                            } else {
                                high - 1 - k as u32 * (memory / 4)
                            };
                        }
                        known = Search {
                            multiplier: low + (high - low) / memory,
                            drift: memory / 3,
                            placed: 1,
                            ..known
                        };
                    }
                    let run = gpu.run.as_ref().unwrap();
                    gpu.recorder.upload(&run.shared.search, &[known]).unwrap();
                    gpu.step().unwrap();
                    let [low, high] = bracket(&mut gpu);
                    assert_eq!(high, low + 1, "{what}, memory {memory}");
                    assert_eq!(*found.get_or_insert([low, high]), [low, high], "{what}, memory {memory}");
                    let passes = search(&mut gpu).passes - known.passes;
                    assert!(passes <= 9, "{what}, memory {memory}: {passes} passes");
                    if let (Flow::OptimalityCriteria(flow), false) = (flow, bad) {
                        let growth = download(&mut gpu, 1, |s| &s.growth);
                        let total = |bits: u32| -> f64 {
                            let reach = flow.move_limit as f32;
                            let each = x.iter().zip(&growth).zip(&weights).map(|((x, growth), w)| {
                                let x = *x as f32;
                                w * f64::from(
                                    (*growth as f32 * f32::from_bits(bits))
                                        .clamp((x - reach).max(0.0), (x + reach).min(1.0)),
                                )
                            });
                            each.sum()
                        };
                        // Sums in f64 are off by d roundings at most.
                        let room = d as f64 * f64::EPSILON * volume;
                        let [range_low, range_high] = range;
                        assert!(
                            low == range_low || total(low) <= share * volume + room,
                            "{what}: {} against {}",
                            total(low),
                            share * volume
                        );
                        assert!(
                            high == range_high || total(high) > share * volume - room,
                            "{what}: {} against {}",
                            total(high),
                            share * volume
                        );
                    }
                }
            }
        }
    }
}

/// What the searches of real sequences of steps take, out of 9 passes recorded: a regression of these numbers
/// is one of speed.
#[test]
fn searches_take_few_passes() {
    type Gradient<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;
    let mut gpu = engine(GpuOptions::default());
    let d = 4099;
    let domain = box_volume(d);
    let steps = 20;
    let (loads, middles) = (vector(d, 12, |v| 10.0_f64.powf(2.0 * v)), vector(d, 13, |v| 0.5 + 0.7 * v));
    // Bars that share a volume, Σ a/x, by OC; Σ ½ λ (x − m)² by projected gradients.
    let compliance =
        |x: &[f64]| -> Vec<f64> { x.iter().zip(&loads).map(|(x, a)| -a / (x * x).max(1e-4)).collect() };
    let quadratic = |x: &[f64]| -> Vec<f64> {
        x.iter().zip(&middles).enumerate().map(|(i, (x, m))| (1.0 + (i % 7) as f64) * (x - m)).collect()
    };
    let cases: [(Flow, Gradient<'_>, f64); 2] = [
        (Flow::OptimalityCriteria(OptimalityCriteria::default()), &compliance, 2.5),
        (Flow::ProjectedGradient(ProjectedGradient { rate: 0.1 }), &quadratic, 3.5),
    ];
    for (flow, gradient, most) in cases {
        let start = vec![0.4; d];
        gpu.start(Setup {
            flow,
            domain: &domain,
            start: &start,
            capacity: 0,
            samples: Samples::Points,
            directions: None,
        })
        .unwrap();
        let (mut x, mut taken, mut longest) = (start, 0, 0);
        for step in 0..steps {
            gpu.set_gradient(&gradient(&x)).unwrap();
            gpu.step().unwrap();
            gpu.read(&mut x).unwrap();
            let passes = search(&mut gpu).passes;
            if step > 0 {
                longest = longest.max(passes - taken);
            }
            taken = passes;
        }
        let mean = f64::from(taken) / f64::from(steps);
        assert!(mean <= most, "{}: {mean} passes per step", flow.name());
        assert!(longest <= 5, "{}: {longest} passes", flow.name());
    }
    let (cycles, per_cycle) = (4, 6);
    potential_cycles(&mut gpu, &domain, d, 3, cycles, 2);
    let mean = f64::from(search(&mut gpu).passes) / (cycles * per_cycle) as f64;
    assert!(mean <= 3.5, "{mean} passes per step on the potential");
}

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

/// The basis in halves is the f32 basis, rounded to nearest, and its mean is the same: every one of them,
/// over several slabs, in segments of odd and even lengths.
#[test]
fn a_basis_in_halves_is_the_same_basis_rounded() {
    let scale = 4096.0_f32;
    for (d, samples, max_binding) in [
        (1, 2, None),
        (63, 5, None),
        (64, 5, None),
        (1200, 6, None),
        (1757, 6, None),
        (4999, 18, Some(4 * 19 * 1024)),
    ] {
        let [single, halves] = [TableFormat::State, TableFormat::F16].map(|tables| {
            let mut gpu = engine(GpuOptions { max_binding, tables, ..GpuOptions::default() });
            warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, samples, samples);
            let rank = gpu.fit(&SurrogateConfig::snapshots()).unwrap().rank;
            let run = gpu.run.as_ref().unwrap();
            let lengths: Vec<usize> = run.segments.iter().map(|s| s.len).collect();
            let contents = (0..lengths.len()).map(|number| {
                let bytes = gpu.run.as_ref().unwrap().segments[number].basis.bytes;
                let staging = gpu.recorder.staging(bytes).unwrap();
                gpu.recorder.copy(&gpu.run.as_ref().unwrap().segments[number].basis, 0, &staging, 0, bytes);
                bytemuck::pod_collect_to_vec::<u8, u32>(&gpu.recorder.read(&staging, bytes).unwrap())
            });
            (rank, lengths.clone(), contents.collect::<Vec<_>>())
        });
        assert_eq!((single.0, &single.1), (halves.0, &halves.1));
        assert!(max_binding.is_none() || single.1.len() > 1);
        for ((single_words, half_words), &len) in single.2.iter().zip(&halves.2).zip(&single.1) {
            let (rank, words) = (single.0, len.div_ceil(2));
            for i in 0..len {
                for row in 0..rank {
                    let value = f32::from_bits(single_words[row * len + i]) * scale;
                    let expected = if value.abs() < half::f16::MIN_POSITIVE.to_f32() {
                        0
                    } else {
                        half::f16::from_f32(value).to_bits()
                    };
                    let found = (half_words[row * words + i / 2] >> (16 * (i % 2))) as u16;
                    assert_eq!(
                        found & 0x7fff,
                        expected & 0x7fff,
                        "d {d}, direction {row}, unknown {i}: {value:e}"
                    );
                    assert!(
                        found == expected || value.abs() < 1e-4,
                        "d {d}, direction {row}, unknown {i}: {value:e}"
                    );
                }
                assert_eq!(
                    half_words[rank * words + i],
                    single_words[rank * len + i],
                    "d {d}, the mean of unknown {i}"
                );
            }
        }
    }
}

/// The error of a reduced phase in halves: each direction is off by 2⁻¹¹ of itself at most, and so is what it
/// adds to x.
#[test]
fn a_basis_in_halves_lifts_as_exactly_as_it_says() {
    let d = 1757;
    let config = SurrogateConfig {
        lift: Lift::Trajectory,
        space: SpaceConfig::Reduced { rank: Rank::Count(4), centered: true },
        ..SurrogateConfig::snapshots()
    };
    let moved = |engine: &mut dyn Engine| {
        let (mut before, mut after) = (vec![0.0; d], vec![0.0; d]);
        warmed(engine, DESCENT, &Domain::Unbounded, d, 6, 6);
        engine.fit(&config).unwrap();
        engine.read(&mut before).unwrap();
        engine
            .integrate(PhaseLimits { steps: 20, radius: f64::INFINITY, integrator: Integrator::Euler })
            .unwrap();
        engine.read(&mut after).unwrap();
        Array1::from_iter(after.iter().zip(&before).map(|(a, b)| a - b))
    };
    let length = |v: &Array1<f64>| v.dot(v).sqrt();
    for (number, mut in_halves) in in_f32(TableFormat::F16)
        .into_iter()
        .chain([Box::new(CpuEngine::new().with_tables(TableFormat::F16)) as Box<dyn Engine>])
        .enumerate()
    {
        let exact = moved(&mut CpuEngine::new());
        let error = length(&(&moved(&mut *in_halves) - &exact));
        // √r directions' errors at worst, and the path's own in f32.
        let bound = 2.0_f64.powi(-11) * 2.0 * length(&exact);
        assert!(error <= bound, "engine {number}: {error:e} over {bound:e}");
        assert!(
            error >= 2.0_f64.powi(-15) * length(&exact),
            "engine {number}: {error:e} is less than halves can do"
        );
    }
}

/// What the pass that moves x leaves for the next prediction, for every flow: as exact as a projection of its
/// own.
#[test]
fn a_step_projects_with_double_word_accuracy() {
    let mut gpu = engine(GpuOptions::default());
    for (d, samples, rank) in [(1, 2, 1), (65, 6, 3), (1757, 10, 8), (1757, 18, 9), (2500, 18, 18)] {
        for (flow, domain) in flows(d) {
            for (lift, centered) in [(Lift::Snapshots, true), (Lift::Trajectory, false)] {
                let config = SurrogateConfig {
                    space: SpaceConfig::Reduced { rank: Rank::Count(rank), centered },
                    lift,
                    ..SurrogateConfig::snapshots()
                };
                if config.validate(&flow, samples).is_err() {
                    continue;
                }
                warmed(&mut gpu, flow, &domain, d, samples, samples);
                let rank = gpu.fit(&config).unwrap().rank;
                let run = gpu.run.as_ref().unwrap();
                let model = run.model.as_ref().unwrap();
                run.record_prediction(&mut gpu.recorder, model, f64::INFINITY, Place::State).unwrap();
                // A projected gradient reads the one that the prediction has left.
                let lift = Some(model).filter(|_| !matches!(flow, Flow::ProjectedGradient(_)));
                run.record_step(
                    &mut gpu.recorder,
                    samples as u64 + 1,
                    Beside { lift, projection: model.projection() },
                )
                .unwrap();
                let totals = small(&mut gpu, 2 * (rank + 1), |s| &s.totals);
                let table = download(&mut gpu, rank + 1, |s| &s.basis);
                let x = download(&mut gpu, 1, |s| &s.iterate).row(0).to_owned();
                let off: Array1<f64> = (&x - &table.row(rank)).mapv(|v| f64::from(v as f32));
                for r in 0..=rank {
                    let (u, about) = if r < rank {
                        (table.row(r).to_owned(), if centered { &off } else { &x })
                    } else {
                        (off.clone(), &off)
                    };
                    let (exact, size) = (u.dot(about), u.mapv(f64::abs).dot(&about.mapv(f64::abs)));
                    let value = f64::from(totals[2 * r]) + f64::from(totals[2 * r + 1]);
                    assert!(
                        (value - exact).abs() <= size * 2.0_f64.powi(-40),
                        "{}, d {d}, projection {r} of {rank}: {value} against {exact}",
                        flow.name()
                    );
                }
            }
        }
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

/// A whole cycle of every kind, with and without a profile, on a device with timestamps and on a host
/// application's without: the same to the bit, every dispatch accounted for.
#[test]
fn a_profile_does_not_change_a_bit() {
    let d = 4099;
    let adapter = device::adapters().into_iter().next().expect("GPU tests need an adapter, software will do");
    let descriptor = wgpu::DeviceDescriptor {
        required_limits: GpuEngine::required_limits(&adapter.limits()),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let shared = GpuEngine::from_device(device, queue, GpuOptions::default()).unwrap();
    assert_eq!(shared.clock(), Clock::Wall, "no feature was asked for");
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
        assert_eq!(plain.1, profiled.1, "dispatches");
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
    assert_eq!(gpu.longest_segment(&setup).unwrap(), None, "small, and perhaps software");
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
        "nothing is left beside the file"
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
    assert!(matches!(error, Err(Error::Memory { .. })), "{error:?}");
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

/// More slabs than a workgroup has threads, and more unknowns per slab than the smallest: reductions that
/// small tests never reach.
#[test]
fn many_slabs_match_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for d in [70_001, 1_100_003] {
        for (flow, domain) in flows(d) {
            if d > 100_000 && !matches!(flow, Flow::OptimalityCriteria(_)) {
                continue;
            }
            let mut cpu = CpuEngine::new();
            for e in [&mut gpu as &mut dyn Engine, &mut cpu] {
                warmed(e, flow, &domain, d, 4, 4);
                e.fit(&SurrogateConfig::snapshots()).unwrap();
                e.integrate(PhaseLimits {
                    steps: 2,
                    radius: f64::INFINITY,
                    integrator: Integrator::FlowStep,
                })
                .unwrap();
            }
            assert!(gpu.run.as_ref().unwrap().slabs > 64);
            let (a, b) = assert_same(&mut gpu, &mut cpu, d, 3e3, flow.name());
            let (pa, pb) = (a.predicted_change, b.predicted_change);
            assert!(
                (pa - pb).abs() <= 1e-4 * pb.abs(),
                "{}: predicted change {pa} against {pb}",
                flow.name()
            );
        }
    }
}

fn largest_difference(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// Cycles of a learned potential of an order on Σ ½ λ e² with e = x − a, above order 2 + e³/5 + e⁴/4 and with
/// every third landing undone: the iterates after each, and the predicted changes.
fn potential_cycles(
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
        Domain::BoxVolume { weights, volume, .. } => vec![volume / weights.iter().sum::<f64>(); d],
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

/// Both engines, from the same start, on all domains; more cycles than pairs, so that the ring turns over.
/// Iterates of f32 make pairs with a relative error of eps |x|/|s|; here |s| shrinks to about 10⁻² before the
/// last cycle.
#[test]
fn learned_potentials_match_the_twin() {
    for d in SIZES {
        let domains = [Domain::Unbounded, Domain::Box { lower: 0.0, upper: 1.0 }, box_volume(d)];
        for (domain, order) in domains.iter().flat_map(|domain| [2, 3, 4].map(|order| (domain, order))) {
            let expected = potential_cycles(&mut CpuEngine::new(), domain, d, 3, 5, order);
            if order == 4 && d > 1 {
                let of_order_3 = potential_cycles(&mut CpuEngine::new(), domain, d, 3, 5, 3);
                let apart = expected
                    .iter()
                    .zip(&of_order_3)
                    .map(|(a, b)| largest_difference(&a.0, &b.0))
                    .fold(0.0, f64::max);
                assert!(
                    apart > 1e3 * EPS,
                    "{domain:?}, d {d}: the orders differ by no more than the twins may, {apart:e}"
                );
            }
            let found = in_f32(TableFormat::State)
                .map(|mut engine| potential_cycles(&mut *engine, domain, d, 3, 5, order));
            for (cycle, ((x, a), (y, b))) in
                found.iter().flat_map(|found| found.iter().zip(&expected).enumerate())
            {
                let error = largest_difference(x, y);
                assert!(
                    error < 1e3 * EPS,
                    "{domain:?}, d {d}, order {order}, cycle {cycle}: off by {error:e}"
                );
                let change = (a.predicted_change - b.predicted_change).abs();
                let size = expected[0].1.predicted_change.abs();
                assert!(
                    change <= 1e2 * EPS * size,
                    "{domain:?}, d {d}, order {order}, cycle {cycle}: {a:?} against {b:?}"
                );
            }
        }
    }
}

/// What the phases of a learned field cost, beyond what is read from and written to: a regression of these
/// numbers is one of speed. Once the first cycle is through, nothing is allocated either.
#[test]
fn a_fields_phase_takes_the_dispatches_it_needs() {
    let (d, steps) = (1757, 5);
    // A phase begins with a projection and its sums. Per step: the weights, the pass that lifts, moves x and
    // projects it, the sums. OC: the growth, which lifts, 9 passes of a volume and a bracket, the update,
    // which projects. Projected gradient: the lift, 9 such passes, the update. A state that is the reduced
    // coordinate alone: projection, sums, all steps, lift.
    let phase = |of_a_step: usize| (2 + steps * of_a_step) as u64;
    let cases = [
        (
            DESCENT,
            Domain::Unbounded,
            SurrogateConfig::paper(SpaceConfig::Reduced { rank: Rank::Count(3), centered: false }),
            4,
        ),
        (
            Flow::Adam(Adam::new(0.01)),
            Domain::Unbounded,
            SurrogateConfig::paper(SpaceConfig::Reduced { rank: Rank::Count(3), centered: false }),
            phase(3),
        ),
        (Flow::Adam(Adam::new(0.01)), Domain::Unbounded, SurrogateConfig::snapshots(), phase(3)),
        (
            Flow::OptimalityCriteria(OptimalityCriteria::default()),
            box_volume(d),
            SurrogateConfig::topology(),
            phase(1 + 1 + 9 * 2 + 2),
        ),
        (
            Flow::ProjectedGradient(ProjectedGradient { rate: 0.1 }),
            box_volume(d),
            SurrogateConfig::snapshots(),
            phase(1 + 1 + 9 * 2 + 2),
        ),
    ];
    for (flow, domain, config, expected) in cases {
        let mut gpu = engine(GpuOptions::default());
        warmed(&mut gpu, flow, &domain, d, 4, 4);
        let (mut x, mut buffers) = (vec![0.0; d], 0);
        for cycle in 0..3 {
            gpu.fit(&config).unwrap();
            let before = gpu.traffic();
            gpu.integrate(PhaseLimits { steps, radius: f64::INFINITY, integrator: Integrator::FlowStep })
                .unwrap();
            let after = gpu.traffic();
            assert_eq!(after.dispatches - before.dispatches, expected, "{} with {config:?}", flow.name());
            assert_eq!(gpu.read(&mut x).unwrap().steps, steps, "{}", flow.name());
            let read = gpu.traffic();
            assert_eq!(read.readbacks - before.readbacks, 1, "{}", flow.name());
            assert!(
                read.submits - before.submits <= 3,
                "{}: {} submissions",
                flow.name(),
                read.submits - before.submits
            );
            assert!(
                cycle == 0 || gpu.recorder.buffers() == buffers,
                "{}: buffers were allocated in cycle {cycle}",
                flow.name()
            );
            buffers = gpu.recorder.buffers();
        }
    }
}

/// What a phase costs: a regression of these numbers is one of speed.
#[test]
fn a_potentials_phase_takes_the_dispatches_it_needs() {
    let d = 1757;
    let mut gpu = engine(GpuOptions::default());
    potential_cycles(&mut gpu, &box_volume(d), d, 3, 3, 4);
    let before = gpu.traffic();
    let steps = 4;
    gpu.record_pair(0.5, true).unwrap();
    gpu.fit_potential(8.0, PotentialConfig { order: 4, outside: Outside::Mean }).unwrap();
    gpu.minimize(TrustLimits { steps, radius: 0.2 }).unwrap();
    gpu.read(&mut vec![0.0; d]).unwrap();
    let after = gpu.traffic();
    // A fit: the pair, its two rows' inner products with all rows and their sums, the directions. A step: 9
    // passes of a volume and a bracket, the direction with its sums, the projection with its sums, the step's
    // length, the lift.
    assert_eq!(after.dispatches - before.dispatches, 1 + 2 * 2 + 1 + steps as u64 * (9 * 2 + 2 + 2 + 1 + 1));
    assert_eq!(after.readbacks - before.readbacks, 2);
}

/// The minimum of a quadratic that has been learned in all its directions, on one unknown more than there are
/// pairs: a closed form, not the twin.
#[test]
fn a_learned_quadratic_is_minimised_where_it_should_be() {
    for engine in [&mut engine(GpuOptions::default()) as &mut dyn Engine, &mut CpuEngine::new()] {
        let cycles = potential_cycles(engine, &Domain::Unbounded, 3, 3, 12, 2);
        let (x, last) = cycles.last().unwrap();
        let center = vector(3, 5, |v| 0.5 + 0.7 * v);
        let error = x.iter().zip(&center).map(|(x, a)| (x - a).abs()).fold(0.0, f64::max);
        assert!(error < 1e-5, "{last:?}: off by {error:e}");
    }
}

/// What is told before a run is what it allocates.
#[test]
fn the_memory_of_a_run_is_known_before() {
    let d = 4096;
    let start = vec![0.5; d];
    let oc = Flow::OptimalityCriteria(OptimalityCriteria { move_limit: 0.2 });
    let projected = Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 });
    let adam = Flow::Adam(Adam { amsgrad: true, ..Adam::new(0.1) });
    for (flow, domain, samples, directions) in [
        (oc, box_volume(d), Samples::Points, None),
        (oc, box_volume(d), Samples::Points, Some(3)),
        (projected, box_volume(d), Samples::Pairs, None),
        (adam, Domain::Unbounded, Samples::Points, Some(100)),
        (DESCENT, Domain::Unbounded, Samples::Points, Some(0)),
    ] {
        let setup = Setup { flow, domain: &domain, start: &start, capacity: 7, samples, directions };
        for tables in [TableFormat::State, TableFormat::F16] {
            let mut gpu = engine(GpuOptions { tables, ..GpuOptions::default() });
            gpu.start(setup).unwrap();
            gpu.read(&mut vec![0.0; d]).unwrap();
            let run = gpu.run.as_ref().unwrap();
            let buffers = |s: &Segment| {
                let fixed = [
                    &s.iterate,
                    &s.gradient,
                    &s.auxiliary,
                    &s.volume_weights,
                    &s.growth,
                    &s.direction,
                    &s.slope,
                    &s.iterates,
                    &s.gradients,
                    &s.encoded,
                    &s.basis,
                ];
                // Buffers that are not used are 16 bytes.
                fixed
                    .into_iter()
                    .chain(&s.trusted)
                    .map(|b| if b.bytes > 16 { b.bytes } else { 0 })
                    .sum::<u64>()
            };
            let x = run.shared.staging.bytes - size_of::<PhaseState>() as u64;
            let found = run.segments.iter().map(buffers).sum::<u64>() + x;
            assert_eq!(found, GpuEngine::memory(&setup, tables), "{flow:?}, {tables:?}");
        }
    }
}

/// A whole cycle of a learned field and of a learned potential where every table takes several bindings of
/// 128 MiB, against the twin.
#[test]
#[ignore = "some minutes and 12 GiB: cargo test --release --lib -- --ignored thirty_million"]
fn a_cycle_of_thirty_million_unknowns_matches_the_twin() {
    let d = 30_000_001;
    let options = GpuOptions { max_binding: Some(128 << 20), ..GpuOptions::default() };
    let limits = PhaseLimits { steps: 2, radius: f64::INFINITY, integrator: Integrator::FlowStep };
    let field = |engine: &mut dyn Engine| {
        warmed(engine, Flow::Adam(Adam::new(0.01)), &Domain::Unbounded, d, 4, 4);
        engine.fit(&SurrogateConfig::snapshots()).unwrap();
        engine.integrate(limits).unwrap();
        let mut x = vec![0.0; d];
        let landing = engine.read(&mut x).unwrap();
        (x, landing)
    };
    let largest = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let mut gpu = engine(options);
    let (x, a) = field(&mut gpu);
    assert!(gpu.run.as_ref().unwrap().segments.len() > 2);
    let (y, b) = field(&mut CpuEngine::new());
    // Two ADAM steps of 0.01 from x of size 1: rounding of x, and of m/√v where v is small.
    assert_eq!((a.steps, a.end, b.steps), (2, PhaseEnd::Horizon, 2));
    assert!(largest(&x, &y) < 1e2 * EPS, "{:e}", largest(&x, &y));
    let found = potential_cycles(&mut gpu, &Domain::Unbounded, d, 2, 3, 2);
    let expected = potential_cycles(&mut CpuEngine::new(), &Domain::Unbounded, d, 2, 3, 2);
    for ((x, _), (y, _)) in found.iter().zip(&expected) {
        assert!(largest(x, y) < 1e3 * EPS, "{:e}", largest(x, y));
    }
}

fn parse(spec: &super::kernels::KernelSpec, variant: Variant) -> naga::Module {
    let text = spec.text(variant);
    let module = naga::front::wgsl::parse_str(&text)
        .unwrap_or_else(|e| panic!("{}: {}", spec.name, e.emit_to_string(&text)));
    naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    )
    .validate(&module)
    .unwrap_or_else(|e| panic!("{}: {e:?}", spec.name));
    module
}

fn assert_members(
    module: &naga::Module,
    kernel: &str,
    structure: &str,
    expected: &[(&str, usize)],
    size: usize,
) {
    let (_, found) = module
        .types
        .iter()
        .find(|(_, t)| t.name.as_deref() == Some(structure))
        .unwrap_or_else(|| panic!("{kernel}: no struct {structure}"));
    let naga::TypeInner::Struct { members, span } = &found.inner else {
        panic!("{kernel}: {structure} is no struct")
    };
    let members: Vec<_> =
        members.iter().map(|m| (m.name.as_deref().unwrap_or(""), m.offset as usize)).collect();
    assert_eq!(members, expected, "{kernel}: members of {structure}");
    assert_eq!(*span as usize, size, "{kernel}: size of {structure}");
}

#[test]
fn every_shader_is_valid_and_keeps_its_contract() {
    for spec in KERNELS {
        for (eft, tables) in [
            (Eft::Fma, TableFormat::State),
            (Eft::Mask, TableFormat::State),
            (Eft::Plain, TableFormat::F16),
            (Eft::Fma, TableFormat::F16),
        ] {
            let module = parse(spec, Variant { eft, tables });
            assert_eq!(module.entry_points.len(), 1, "{}", spec.name);
            assert_eq!(module.entry_points[0].name, "main", "{}", spec.name);
            assert_members(&module, spec.name, "Params", spec.params, spec.params_size);
            if spec.name == "regression_solve" {
                let fields = [
                    "rows",
                    "features",
                    "matrix_at",
                    "scales_at",
                    "target_at",
                    "target_stride",
                    "coefficient_at",
                    "coefficient_stride",
                    "prediction_at",
                    "prediction_stride",
                    "work_at",
                    "iterations",
                    "refit",
                    "root",
                    "threshold",
                    "refit_root",
                ];
                let offsets: Vec<_> = fields.into_iter().zip((0..).step_by(4)).collect();
                assert_members(&module, spec.name, "Problem", &offsets, size_of::<super::kernels::Problem>());
                assert_eq!(core::mem::offset_of!(super::kernels::Problem, threshold), 56);
            }
            if spec.fragments.contains(&super::kernels::Fragment::Phase) {
                let offsets = [
                    ("ended", core::mem::offset_of!(PhaseState, ended)),
                    ("steps", core::mem::offset_of!(PhaseState, steps)),
                    ("predicted", core::mem::offset_of!(PhaseState, predicted)),
                    ("bracket_low", core::mem::offset_of!(PhaseState, bracket_low)),
                    ("bracket_high", core::mem::offset_of!(PhaseState, bracket_high)),
                    ("distance", core::mem::offset_of!(PhaseState, distance)),
                    ("rate", core::mem::offset_of!(PhaseState, rate)),
                ];
                assert_members(&module, spec.name, "PhaseState", &offsets, size_of::<PhaseState>());
            }
            if spec.fragments.contains(&super::kernels::Fragment::Bracket) {
                let offsets = [
                    ("closed", core::mem::offset_of!(Search, closed)),
                    ("passes", core::mem::offset_of!(Search, passes)),
                    ("multiplier", core::mem::offset_of!(Search, multiplier)),
                    ("drift", core::mem::offset_of!(Search, drift)),
                    ("placed", core::mem::offset_of!(Search, placed)),
                    ("failures", core::mem::offset_of!(Search, failures)),
                    ("excess_low", core::mem::offset_of!(Search, excess_low)),
                    ("excess_high", core::mem::offset_of!(Search, excess_high)),
                    ("candidates", core::mem::offset_of!(Search, candidates)),
                ];
                assert_members(&module, spec.name, "Search", &offsets, size_of::<Search>());
            }
            if spec.fragments.contains(&super::kernels::Fragment::Flow) {
                let offsets = [
                    ("rule", core::mem::offset_of!(FlowRule, rule)),
                    ("rate", core::mem::offset_of!(FlowRule, rate)),
                    ("decay", core::mem::offset_of!(FlowRule, decay)),
                    ("nesterov", core::mem::offset_of!(FlowRule, nesterov)),
                    ("beta1", core::mem::offset_of!(FlowRule, beta1)),
                    ("beta2", core::mem::offset_of!(FlowRule, beta2)),
                    ("one_minus_beta1", core::mem::offset_of!(FlowRule, one_minus_beta1)),
                    ("one_minus_beta2", core::mem::offset_of!(FlowRule, one_minus_beta2)),
                    ("epsilon", core::mem::offset_of!(FlowRule, epsilon)),
                    ("correction1", core::mem::offset_of!(FlowRule, correction1)),
                    ("correction2", core::mem::offset_of!(FlowRule, correction2)),
                    ("amsgrad", core::mem::offset_of!(FlowRule, amsgrad)),
                ];
                assert_members(&module, spec.name, "Flow", &offsets, size_of::<FlowRule>());
            }
            if spec.fragments.contains(&super::kernels::Fragment::Lift) {
                let offsets = [
                    ("rows", core::mem::offset_of!(LiftRule, rows)),
                    ("log_damped", core::mem::offset_of!(LiftRule, log_damped)),
                    ("damping", core::mem::offset_of!(LiftRule, damping)),
                    ("iterate_floor", core::mem::offset_of!(LiftRule, iterate_floor)),
                ];
                assert_members(&module, spec.name, "Lift", &offsets, size_of::<LiftRule>());
            }
            // What every adapter has for a stage, the zero word included.
            assert!(
                spec.access.len() + usize::from(spec.needs_zero()) <= 8,
                "{}: too many bindings",
                spec.name
            );
            let mut bindings: Vec<(u32, Option<Access>)> = module
                .global_variables
                .iter()
                .filter_map(|(_, v)| {
                    let at = v.binding.as_ref()?;
                    if at.group != 0 {
                        return None;
                    }
                    let binding = at.binding;
                    Some(match v.space {
                        naga::AddressSpace::Storage { access }
                            if access.contains(naga::StorageAccess::STORE) =>
                        {
                            (binding, Some(Access::Write))
                        }
                        naga::AddressSpace::Storage { .. } => (binding, Some(Access::Read)),
                        _ => (binding, None),
                    })
                })
                .collect();
            bindings.sort_by_key(|b| b.0);
            let expected: Vec<_> = std::iter::once((0, None))
                .chain(spec.access.iter().enumerate().map(|(i, a)| (i as u32 + 1, Some(*a))))
                .collect();
            assert_eq!(bindings, expected, "{}: bindings", spec.name);
        }
    }
}

#[test]
fn every_shader_file_belongs_to_a_kernel() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
    let mut stems: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "wgsl"))
        .map(|p| p.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    stems.sort();
    let mut names: Vec<_> = KERNELS.iter().map(|k| k.name.to_string()).collect();
    names.sort();
    assert_eq!(stems, names);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Slabs never straddle segments, cover all unknowns, and partial sums stay within their budget.
    #[test]
    fn slabs_are_few_and_small(d in 1_usize..200_000_000, capacity in 0_usize..=256) {
        let slab = slab_length(d, capacity);
        let slabs = d.div_ceil(slab);
        prop_assert!(slab.is_power_of_two() && slab >= 1024);
        prop_assert!(slabs <= 1024);
        prop_assert!(slabs as u64 * 128 * block_pairs(2 * capacity).max(1) as u64 <= GRAM_PARTIALS_BYTES.max(128 * block_pairs(2 * capacity) as u64));
    }
}
