//! Batches of regressions against the f64 solver.

use super::super::regression::pivot_rounding;
use super::super::shared::MESA_TURNS;
use super::common::*;

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

/// Random matrices of f32 with prescribed singular values from 1 down to 1/condition.
fn conditioned(k: usize, p: usize, condition: f64, seed: u64) -> Array2<f64> {
    spectral(k, p, condition, seed).mapv(|v| f64::from(v as f32))
}

/// The same, not rounded: in f32 nothing of a singular value below its rounding would be left.
fn spectral(k: usize, p: usize, condition: f64, seed: u64) -> Array2<f64> {
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
    out
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

/// Without ridge nothing bounds the condition number, and a factor in f32 loses the directions below its
/// rounding. A double-word one errs by some 2⁻⁴⁴ √m of the condition number: coefficients agree to 1e-4 up to
/// condition numbers of 1e8, in plain least squares and in the refit after a ridge.
#[test]
fn regressions_without_ridge_keep_their_digits() {
    let mut gpu = engine(GpuOptions::default());
    let plain = Regression::ridge(Ridge::Absolute(0.0));
    let refit = Regression { refit: true, ..Regression::paper() };
    for (case, (k, p)) in
        [(3, 2), (8, 8), (15, 7), (20, 66), (65, 64), (100, 45), (300, 17)].into_iter().enumerate()
    {
        for condition in [1e5, 1e7, 1e8] {
            let features = spectral(k, p, condition, case as u64 + 70);
            let mut next = noise(4);
            let targets = Array2::from_shape_fn((k, 3), |_| next());
            for regression in [plain, refit] {
                let exact = regression::solve(features.view(), targets.view(), &regression).unwrap();
                let item =
                    RegressionProblem { features: features.view(), targets: targets.view(), regression };
                let found = gpu.regress(&[item]).unwrap().remove(0);
                let what = format!("{k}x{p}, condition {condition:e}, refit {}", regression.refit);
                assert_eq!(found.support, exact.support, "{what}");
                let difference = &found.coefficients - &exact.coefficients;
                let error = norm(&difference) / norm(&exact.coefficients);
                assert!(error <= 1e-4, "{what}: coefficients off by {error:e}");
                let error = norm(&features.dot(&difference)) / norm(&targets);
                assert!(error <= 1e-5, "{what}: predictions off by {error:e}");
            }
        }
    }
}

/// A double-word factor that takes more turns than a software adapter has is cut into dispatches as well.
#[test]
fn a_large_regression_without_ridge_matches_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    let (k, p) = (600, 200);
    let turns: usize = Problem::unit_turns(k, p, 4, true).iter().sum();
    assert!(turns > MESA_TURNS, "one dispatch takes it: {turns} turns");
    let mut next = noise(32);
    let features = Array2::from_shape_fn((k, p), |_| next());
    let targets = Array2::from_shape_fn((k, 1), |_| next());
    let regression = Regression::ridge(Ridge::Absolute(0.0));
    let exact = regression::solve(features.view(), targets.view(), &regression).unwrap().coefficients;
    let (found, _) = solve_on_device(&mut gpu, features.view(), targets.view(), 0.0);
    // The condition number of such a matrix is below (1 + √(p/k)) / (1 − √(p/k)) = 3.8.
    let error = norm(&(&found - &exact)) / norm(&exact);
    let rounding = ((k + p) as f64).sqrt() * 2.0_f64.powi(-44);
    assert!(error <= 3.8 * rounding, "coefficients off by {error:e}");
}

/// Ridges about the one from which on the factor is in f32, where that is the roughest.
#[test]
fn regressions_with_the_least_ridges_keep_their_predictions() {
    let mut gpu = engine(GpuOptions::default());
    for (case, (k, p)) in [(15, 7), (40, 20), (7, 15), (100, 45)].into_iter().enumerate() {
        for condition in [1e5, 1e7, 1e9] {
            let features = spectral(k, p, condition, case as u64 + 90);
            let mut next = noise(5);
            let targets = Array2::from_shape_fn((k, 3), |_| next());
            for factor in [1.0, 3.9, 4.1, 8.0, 64.0] {
                let root = factor * pivot_rounding(features.view());
                let ridge = Ridge::Absolute(root * root);
                let exact =
                    regression::solve(features.view(), targets.view(), &Regression::ridge(ridge)).unwrap();
                let (_, predictions) =
                    solve_on_device(&mut gpu, features.view(), targets.view(), root * root);
                let error = norm(&(&predictions - &features.dot(&exact.coefficients))) / norm(&targets);
                assert!(
                    error <= 1e-5,
                    "{k}x{p}, condition {condition:e}, root {factor} of the rounding: off by {error:e}"
                );
            }
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
    let words: usize = batch.iter().map(|b| 20 * Problem::work_words(b.features.nrows(), 60, false)).sum();
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
