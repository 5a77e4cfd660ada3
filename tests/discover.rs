//! Equation discovery: known systems from clean and noisy data, on both engines, and the command line around
//! it.

use std::path::Path;
use std::process::{Command, Output};

use lgf::discover::{
    Aim, DiscoverConfig, Discovery, Function, Search, Threshold, Trajectory, Variables, WeakChoice, discover,
};
use lgf::engine::{CpuEngine, Engine};
use lgf::surrogate::targets::WeakForm;
use lgf::surrogate::{Differences, Integrator, Rank, Regression, Ridge, Targets};
use ndarray::{Array1, Array2};
use ndarray_npy::{NpzReader, NpzWriter};
use proptest::prelude::*;

mod common;
use common::gpu;

/// Samples of x' = f(x), `k` of them `dt` apart, integrated far more finely than they are sampled.
fn record(f: impl Fn(&[f64], &mut [f64]), start: &[f64], k: usize, dt: f64) -> Array2<f64> {
    let (mut x, mut inner) = (start.to_vec(), dt);
    let mut rows = x.clone();
    for step in 1..k {
        let mut rhs = |_: f64, x: &[f64], dx: &mut [f64]| f(x, dx);
        assert!(Integrator::DormandPrince { rtol: 1e-11, atol: 1e-13 }.advance(
            &mut rhs,
            step as f64 * dt,
            dt,
            &mut x,
            &mut inner
        ));
        rows.extend(&x);
    }
    Array2::from_shape_vec((k, start.len()), rows).unwrap()
}

/// Normal numbers by Box and Muller from a fixed sequence.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

fn noisy(clean: &Array2<f64>, size: f64, seed: u64) -> Array2<f64> {
    let mut next = noise(seed);
    clean.mapv(|v| v + size * next())
}

fn times(k: usize, dt: f64) -> Array1<f64> {
    Array1::from_shape_fn(k, |i| i as f64 * dt)
}

fn sparse(threshold: f64) -> Regression {
    Regression { ridge: Ridge::Absolute(0.0), threshold, max_iterations: 20, normalize: false, refit: true }
}

fn lorenz(x: &[f64], dx: &mut [f64]) {
    dx[0] = 10.0 * (x[1] - x[0]);
    dx[1] = x[0] * (28.0 - x[2]) - x[1];
    dx[2] = x[0] * x[1] - 8.0 / 3.0 * x[2];
}

/// Exactly the terms of `truth` (coordinate, feature, coefficient), each within `tolerance`.
fn assert_equations(found: &Discovery, truth: &[(usize, &str, f64)], tolerance: f64) {
    let names = found.feature_names();
    let mut terms: Vec<(usize, &str)> = Vec::new();
    for ((feature, coordinate), _) in found.support.indexed_iter().filter(|(_, kept)| **kept) {
        terms.push((coordinate, &names[feature]));
    }
    let mut expected: Vec<(usize, &str)> = truth.iter().map(|t| (t.0, t.1)).collect();
    terms.sort();
    expected.sort();
    assert_eq!(terms, expected, "{:#?}", found.equations());
    for (coordinate, feature, value) in truth {
        let row = names.iter().position(|n| n == feature).unwrap();
        let xi = found.coefficients[[row, *coordinate]];
        assert!(
            (xi - value).abs() <= tolerance,
            "{feature} in equation {coordinate}: {xi}, expected {value}"
        );
    }
}

const LORENZ: [(usize, &str, f64); 7] = [
    (0, "x1", -10.0),
    (0, "x2", 10.0),
    (1, "x1", 28.0),
    (1, "x2", -1.0),
    (1, "x1 x3", -1.0),
    (2, "x3", -8.0 / 3.0),
    (2, "x1 x2", 1.0),
];

#[test]
fn lorenz_from_noisy_data() {
    let (k, dt) = (2500, 0.01);
    let states = noisy(&record(lorenz, &[-8.0, 8.0, 27.0], k, dt), 0.05, 1);
    let trajectory = Trajectory::new(states, times(k, dt), None).unwrap();
    let targets =
        Targets::WeakForm(WeakForm { half_width: 20, power: 5, stride: 10, include_endpoints: false });
    let config = DiscoverConfig {
        order: 3,
        bias: true,
        orthonormal: false,
        variables: Variables::Full,
        targets,
        regression: sparse(0.05),
    };
    let mut gpu = gpu();
    for engine in [&mut CpuEngine::new() as &mut dyn Engine, &mut gpu] {
        let found = discover(&trajectory, &config, engine).unwrap();
        assert_equations(&found, &LORENZ, 0.1);
        assert!(
            found.fit_error < 0.05 && found.validation_error.unwrap() < 0.05,
            "{} {:?}",
            found.fit_error,
            found.validation_error
        );
    }
}

#[test]
fn a_damped_oscillator_from_noisy_data() {
    let (k, dt) = (2000, 0.01);
    let clean = record(
        |x, dx| (dx[0], dx[1]) = (-0.1 * x[0] + 2.0 * x[1], -2.0 * x[0] - 0.1 * x[1]),
        &[2.0, 0.0],
        k,
        dt,
    );
    let trajectory = Trajectory::new(noisy(&clean, 0.01, 2), times(k, dt), None).unwrap();
    let targets =
        Targets::WeakForm(WeakForm { half_width: 40, power: 5, stride: 10, include_endpoints: false });
    let config = DiscoverConfig {
        order: 3,
        bias: true,
        orthonormal: false,
        variables: Variables::Full,
        targets,
        regression: sparse(0.05),
    };
    let found = discover(&trajectory, &config, &mut CpuEngine::new()).unwrap();
    assert_equations(&found, &[(0, "x1", -0.1), (0, "x2", 2.0), (1, "x1", -2.0), (1, "x2", -0.1)], 0.02);
    assert_eq!(found.equations()[0].split(" = ").next(), Some("dx1/dt"));
}

/// x' = μx − ωy − x(x²+y²), y' = ωx + μy − y(x²+y²): onto the limit cycle from inside and outside would be
/// two trajectories; one spiral has both regimes.
#[test]
fn a_noisy_hopf_normal_form() {
    let (k, dt) = (4000, 0.01);
    let hopf = |x: &[f64], dx: &mut [f64]| {
        let r = x[0] * x[0] + x[1] * x[1];
        (dx[0], dx[1]) = (0.3 * x[0] - 2.0 * x[1] - x[0] * r, 2.0 * x[0] + 0.3 * x[1] - x[1] * r);
    };
    let trajectory =
        Trajectory::new(noisy(&record(hopf, &[1.6, 0.0], k, dt), 0.002, 3), times(k, dt), None).unwrap();
    let targets =
        Targets::WeakForm(WeakForm { half_width: 30, power: 5, stride: 5, include_endpoints: false });
    let config = DiscoverConfig {
        order: 3,
        bias: true,
        orthonormal: false,
        variables: Variables::Full,
        targets,
        regression: sparse(0.15),
    };
    let found = discover(&trajectory, &config, &mut CpuEngine::new()).unwrap();
    let truth = [
        (0, "x1", 0.3),
        (0, "x2", -2.0),
        (0, "x1^3", -1.0),
        (0, "x1 x2^2", -1.0), //
        (1, "x1", 2.0),
        (1, "x2", 0.3),
        (1, "x1^2 x2", -1.0),
        (1, "x2^3", -1.0),
    ];
    assert_equations(&found, &truth, 0.1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Random stable linear systems of 2 to 8 dimensions, from clean data with their gradients of motion
    /// tracked, to 1e-6.
    #[test]
    fn stable_linear_systems_are_recovered(
        d in 2_usize..=8,
        entries in prop::collection::vec(-1.0_f64..1.0, 64),
        start in prop::collection::vec(0.5_f64..2.0, 8),
    ) {
        // A = S − R Rᵀ/d − 0.2 I is stable: S skew.
        let at = |i: usize, j: usize| entries[8 * i + j];
        let a = Array2::from_shape_fn((d, d), |(i, j)| {
            let skew = at(i.min(j), i.max(j)) * if i < j { 2.0 } else if i > j { -2.0 } else { 0.0 };
            let damped: f64 = (0..d).map(|k| at(i, k) * at(j, k)).sum::<f64>() / d as f64;
            skew - damped - if i == j { 0.2 } else { 0.0 }
        });
        let (k, dt) = (60 + 20 * d, 0.05);
        let motion = |x: &[f64], dx: &mut [f64]| {
            (0..d).for_each(|i| dx[i] = (0..d).map(|j| a[[i, j]] * x[j]).sum());
        };
        let states = record(motion, &start[..d], k, dt);
        let gradients = -states.dot(&a.t());
        let trajectory = Trajectory::new(states.clone(), times(k, dt), Some(gradients.clone())).unwrap();
        let regression = Regression::ridge(Ridge::Absolute(0.0));
        let config = DiscoverConfig {
            order: 1,
            bias: false,
            orthonormal: false,
            variables: Variables::Full,
            targets: Targets::Tracked,
            regression,
        };
        let found = discover(&trajectory, &config, &mut CpuEngine::new()).unwrap();
        // Directions the trajectory barely visits are known less well, by their condition number.
        let bound = 1e-6_f64.max(1e-15 * found.condition * found.condition);
        for (xi, a) in found.coefficients.t().iter().zip(&a) {
            prop_assert!((xi + a).abs() <= bound, "{} against {}", -xi, a);
        }

        // Permuting the coordinates permutes the equations.
        let swap = |m: &Array2<f64>| {
            let mut m = m.clone();
            (0..m.nrows()).for_each(|i| m.swap([i, 0], [i, d - 1]));
            m
        };
        let permuted = Trajectory::new(swap(&states), times(k, dt), Some(swap(&gradients))).unwrap();
        let other = discover(&permuted, &config, &mut CpuEngine::new()).unwrap();
        let place = |i: usize| if i == 0 { d - 1 } else if i == d - 1 { 0 } else { i };
        for ((i, j), xi) in found.coefficients.indexed_iter() {
            prop_assert!((xi - other.coefficients[[place(i), place(j)]]).abs() <= 1e-6_f64.max(bound));
        }
    }
}

/// A trajectory of 40 coordinates that moves in a plane: two equations in z, and the simulation lifts them
/// back.
#[test]
fn reduced_equations_and_their_simulation() {
    let (k, dt, d) = (400, 0.02, 40);
    let plane = record(
        |x, dx| (dx[0], dx[1]) = (-0.1 * x[0] + 2.0 * x[1], -2.0 * x[0] - 0.1 * x[1]),
        &[2.0, 0.0],
        k,
        dt,
    );
    let mut next = noise(5);
    let directions = Array2::from_shape_fn((2, d), |_| next());
    let states = plane.dot(&directions);
    let trajectory = Trajectory::new(states.clone(), times(k, dt), None).unwrap();
    for (rank, centered) in [(Rank::Count(2), false), (Rank::Energy(0.999_999), true)] {
        let config = DiscoverConfig {
            order: 1,
            bias: true,
            orthonormal: centered,
            variables: Variables::Reduced { rank, centered },
            targets: Targets::StrongForm { differences: Differences::FivePoint },
            regression: Regression::ridge(Ridge::Absolute(0.0)),
        };
        let found = discover(&trajectory, &config, &mut CpuEngine::new()).unwrap();
        assert_eq!(found.coefficients.dim(), (3, 2));
        assert!(found.energy > 0.999_999 && found.equations()[1].starts_with("dz2/dt = "));
        let (t, x) = found.simulate(states.row(0), (k - 1) as f64 * dt, dt).unwrap();
        assert_eq!((t.len(), x.dim()), (k, (k, d)));
        // Fourth-order differences at ω dt = 0.04 are off by (ω dt)⁴/30 in the frequency: 1e-7, and 16
        // radians go by.
        let error = (&x - &states).iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        assert!(error < 1e-4, "{error}");
    }
}

fn lgf(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lgf")).args(args).output().unwrap()
}

fn complaints(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|l| !l.contains("XDG_RUNTIME_DIR"))
        .map(String::from)
        .collect()
}

fn write_npz(path: &Path, x: &Array2<f64>, t: Option<&Array1<f64>>, g: Option<&Array2<f64>>) {
    let mut npz = NpzWriter::new(std::fs::File::create(path).unwrap());
    npz.add_array("x", x).unwrap();
    if let Some(t) = t {
        npz.add_array("t", t).unwrap();
    }
    if let Some(g) = g {
        npz.add_array("g", g).unwrap();
    }
    npz.finish().unwrap();
}

#[test]
fn the_command_prints_equations_and_writes_json_and_a_simulation() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let (k, dt) = (2500, 0.01);
    write_npz(
        dir.path().join("lorenz.npz").as_path(),
        &noisy(&record(lorenz, &[-8.0, 8.0, 27.0], k, dt), 0.05, 1),
        Some(&times(k, dt)),
        None,
    );
    for engine in ["cpu", "gpu"] {
        let output = lgf(&[
            "discover",
            &at("lorenz.npz"),
            "--targets",
            "weak",
            "--order",
            "3",
            "--half-width",
            "20",
            "--stride",
            "10",
            "--threshold",
            "0.05",
            "--refit",
            "--engine",
            engine,
            "--json",
            &at("equations.json"),
            "--simulate",
            "2",
            "--trajectory",
            &at("simulated.npz"),
        ]);
        assert!(output.status.success(), "{:?}", complaints(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for word in [
            "dx1/dt = -",
            " x1 + ",
            "dx3/dt = ",
            "fit error",
            "validation error",
            "condition number",
            "[2 terms]",
            "[3 terms]",
        ] {
            assert!(text.contains(word), "no `{word}` in {text}");
        }
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("equations.json")).unwrap()).unwrap();
        assert_eq!(
            (record["features"][0].as_str(), record["features"][4].as_str()),
            (Some("1"), Some("x1^2"))
        );
        assert_eq!(
            (
                record["coefficients"].as_array().unwrap().len(),
                record["coefficients"][0].as_array().unwrap().len()
            ),
            (20, 3)
        );
        assert!((record["coefficients"][1][0].as_f64().unwrap() + 10.0).abs() < 0.1);
        let mut npz = NpzReader::new(std::fs::File::open(dir.path().join("simulated.npz")).unwrap()).unwrap();
        let x: Array2<f64> = npz.by_name("x").unwrap();
        assert_eq!(x.dim(), (201, 3));
    }
}

#[test]
fn bad_files_are_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let x = Array2::from_shape_fn((20, 2), |(i, j)| (0.1 * i as f64 + j as f64).sin());
    let t = times(20, 0.1);
    let file = |name: &str, x: &Array2<f64>, t: Option<&Array1<f64>>, g: Option<&Array2<f64>>| {
        write_npz(&dir.path().join(name), x, t, g)
    };
    file("good.npz", &x, Some(&t), None);
    file("no_t.npz", &x, None, None);
    file("short_t.npz", &x, Some(&times(19, 0.1)), None);
    let mut back = t.clone();
    back[7] = 0.0;
    file("back.npz", &x, Some(&back), None);
    let mut hole = x.clone();
    hole[[3, 1]] = f64::NAN;
    file("nan.npz", &hole, Some(&t), None);
    file("bad_g.npz", &x, Some(&t), Some(&Array2::zeros((20, 3))));
    std::fs::write(dir.path().join("text.npz"), "not an archive").unwrap();
    let cases: [(&str, &[&str], i32, &str); 12] = [
        ("missing.npz", &[], 1, "missing.npz"),
        ("text.npz", &[], 1, "no NumPy .npz file"),
        ("no_t.npz", &[], 2, "--dt"),
        ("no_t.npz", &["--dt", "0"], 2, "dt is 0"),
        ("short_t.npz", &[], 2, "t has length 19, expected 20"),
        ("back.npz", &[], 2, "increasing"),
        ("nan.npz", &[], 2, "row 3"),
        ("bad_g.npz", &["--targets", "tracked"], 2, "the shape of g is 20x3"),
        ("good.npz", &["--targets", "tracked"], 2, "array `g`"),
        ("good.npz", &["--fd", "3"], 2, "1, 2 or 4"),
        ("good.npz", &["--order", "900"], 2, "number of polynomial features"),
        ("good.npz", &["--rank", "3"], 2, "the rank is 3"),
    ];
    for (name, arguments, code, expected) in cases {
        let path = at(name);
        let output = lgf(&[&["discover", &path], arguments].concat());
        let lines = complaints(&output);
        assert_eq!(output.status.code(), Some(code), "{name} {arguments:?}: {lines:?}");
        assert!(lines.len() == 1 && lines[0].contains(expected), "{name} {arguments:?}: {lines:?}");
        assert!(output.stdout.is_empty());
    }
}

/// Samples of x' = f(x) at the given times, which begin at any time.
fn record_at(f: impl Fn(&[f64], &mut [f64]), start: &[f64], times: &Array1<f64>) -> Array2<f64> {
    let (mut x, mut inner) = (start.to_vec(), 0.01);
    let mut rows = x.clone();
    for step in times.windows(2) {
        let mut rhs = |_: f64, x: &[f64], dx: &mut [f64]| f(x, dx);
        let rule = Integrator::DormandPrince { rtol: 1e-11, atol: 1e-13 };
        assert!(rule.advance(&mut rhs, step[0], step[1] - step[0], &mut x, &mut inner));
        rows.extend(&x);
    }
    Array2::from_shape_vec((times.len(), start.len()), rows).unwrap()
}

fn oscillator(x: &[f64], dx: &mut [f64]) {
    (dx[0], dx[1]) = (-0.1 * x[0] + 2.0 * x[1], -2.0 * x[0] - 0.1 * x[1]);
}

/// The oscillator's terms, in a unit of time of so many seconds.
fn oscillates(unit: f64) -> [(usize, &'static str, f64); 4] {
    [(0, "x1", -0.1 * unit), (0, "x2", 2.0 * unit), (1, "x1", -2.0 * unit), (1, "x2", -0.1 * unit)]
}

/// The command's record of a file that `write` fills; the summary beside it.
fn commanded(
    write: impl Fn(&mut NpzWriter<std::fs::File>),
    arguments: &[&str],
) -> (serde_json::Value, String) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let mut npz = NpzWriter::new(std::fs::File::create(at("x.npz")).unwrap());
    write(&mut npz);
    npz.finish().unwrap();
    let (file, json) = (at("x.npz"), at("x.json"));
    let output = lgf(&[&["discover", &file, "--engine", "cpu", "--json", &json], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {:?}", complaints(&output));
    let record = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    (record, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Exactly the terms of `truth` in a record, each within `tolerance` of it, relative.
fn assert_record(record: &serde_json::Value, truth: &[(usize, &str, f64)], tolerance: f64) {
    let features = record["features"].as_array().unwrap();
    let mut count = 0;
    for (p, row) in record["coefficients"].as_array().unwrap().iter().enumerate() {
        for (equation, value) in row.as_array().unwrap().iter().enumerate() {
            let (value, feature) = (value.as_f64().unwrap(), features[p].as_str().unwrap());
            let expected = truth.iter().find(|t| t.0 == equation && t.1 == feature).map_or(0.0, |t| t.2);
            assert!(
                (value - expected).abs() <= tolerance * expected.abs(),
                "{feature} in equation {equation}: {value}, expected {expected}; {:?}",
                record["equations"]
            );
            count += usize::from(expected != 0.0);
        }
    }
    assert_eq!(count, truth.len());
}

const STRONG_AND_WEAK: [(&[&str], f64); 2] = [
    // Central differences at ω dt = 0.04 … 0.06 are off by (ω dt)²/6, and by twice that in the damping.
    (&[], 2e-3),
    // The weak form is off by the rounding of the samples: f32, or the times.
    (&["--targets", "weak"], 1e-5),
];

#[test]
fn times_are_uniform_within_their_own_resolution() {
    let t = times(400, 0.02);
    let x = record_at(oscillator, &[2.0, 0.0], &t);
    let long: Array1<f64> = Array1::linspace(0.0, 8.0, 301);
    let at_long = record_at(oscillator, &[2.0, 0.0], &long);
    for (arguments, tolerance) in STRONG_AND_WEAK {
        let single = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x", &x.mapv(|v| v as f32)).unwrap();
            npz.add_array("t", &t.mapv(|v| v as f32)).unwrap();
        };
        assert_record(&commanded(single, arguments).0, &oscillates(1.0), tolerance);
        let rounded = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x", &at_long).unwrap();
            npz.add_array("t", &long.mapv(|t| (t * 1e3).round() / 1e3)).unwrap();
        };
        assert_record(&commanded(rounded, arguments).0, &oscillates(1.0), tolerance);
        let counted = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x", &x).unwrap();
            npz.add_array("t", &Array1::from_shape_fn(400, |k| k as i64)).unwrap();
        };
        assert_record(&commanded(counted, arguments).0, &oscillates(0.02), tolerance);
        let seconds = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x", &x).unwrap();
            // Seconds since 1970 resolve 2·10⁻⁷ s.
            npz.add_array("t", &t.mapv(|t| 1_732_000_000.125 + t)).unwrap();
        };
        assert_record(&commanded(seconds, arguments).0, &oscillates(1.0), tolerance);
        // --dt comes before t, which here is of no type that could be read.
        let overridden = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x", &x).unwrap();
            npz.add_array("t", &ndarray::arr2(&[[true, false]])).unwrap();
        };
        let arguments = [arguments, &["--dt", "0.02"]].concat();
        assert_record(&commanded(overridden, &arguments).0, &oscillates(1.0), tolerance);
    }
}

#[test]
fn uneven_times_and_times_with_gaps_work() {
    // Steps between 0.012 and 0.028; and integer times of which every seventh is missing.
    let uneven = times(400, 0.02).mapv(|t| t + 0.004 * (40.0 * t).sin());
    let gaps: Array1<f64> = (0..400).filter(|k| k % 7 != 3).map(|k| 0.02 * f64::from(k)).collect();
    for t in [uneven, gaps] {
        let x = record_at(oscillator, &[2.0, 0.0], &t);
        for (arguments, tolerance) in [(&[][..], 2e-2), (&["--targets", "weak"], 1e-7)] {
            let write = |npz: &mut NpzWriter<std::fs::File>| {
                npz.add_array("x", &x).unwrap();
                npz.add_array("t", &t).unwrap();
            };
            assert_record(&commanded(write, arguments).0, &oscillates(1.0), tolerance);
        }
    }
}

#[test]
fn no_row_crosses_the_seam_between_two_trajectories() {
    let (short, long) = (times(250, 0.02), times(400, 0.02));
    let first = record_at(oscillator, &[2.0, 0.0], &long);
    let second = record_at(oscillator, &[0.0, -1.5], &short);
    let joint = ndarray::concatenate![ndarray::Axis(0), first, second];
    let both = ndarray::concatenate![ndarray::Axis(0), long, short];
    let cube = ndarray::stack![
        ndarray::Axis(0),
        first.slice(ndarray::s![..250, ..]),
        second.slice(ndarray::s![..250, ..])
    ];
    for (arguments, tolerance) in [(&[][..], 1e-3), (&["--targets", "weak"], 1e-8)] {
        let again = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x", &joint).unwrap();
            npz.add_array("t", &both).unwrap();
        };
        let (record, text) = commanded(again, arguments);
        assert_record(&record, &oscillates(1.0), tolerance);
        assert!(text.contains("650 samples in 2 trajectories of 2 coordinates"), "{text}");
        let three = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x", &cube).unwrap();
            npz.add_array("t", &short).unwrap();
        };
        assert_record(&commanded(three, arguments).0, &oscillates(1.0), tolerance);
        let list = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x_0", &first).unwrap();
            npz.add_array("t_0", &long).unwrap();
            npz.add_array("x_1", &second).unwrap();
            npz.add_array("t_1", &short).unwrap();
        };
        assert_record(&commanded(list, arguments).0, &oscillates(1.0), tolerance);
    }
}

#[test]
fn short_recordings_are_resolved_or_refused() {
    let t: Array1<f64> = Array1::linspace(0.0, 3.0, 99);
    let decay = t.mapv(|t| (-t).exp()).insert_axis(ndarray::Axis(1));
    let write = |npz: &mut NpzWriter<std::fs::File>| {
        npz.add_array("x", &decay).unwrap();
        npz.add_array("t", &t).unwrap();
    };
    let (record, text) = commanded(write, &["--targets", "weak"]);
    assert_record(&record, &[(0, "x1", -1.0)], 1e-9);
    assert!(text.contains("[1 term]") && text.contains("of 1 coordinate, 3 features"), "{text}");
    for k in [90, 120, 150] {
        let t = times(k, 0.01);
        let x = record_at(lorenz, &[-8.0, 8.0, 27.0], &t);
        for arguments in [&["--targets", "weak"][..], &["--targets", "weak", "--threshold", "0.1"]] {
            let write = |npz: &mut NpzWriter<std::fs::File>| {
                npz.add_array("x", &x).unwrap();
                npz.add_array("t", &t).unwrap();
            };
            assert_record(&commanded(write, arguments).0, &LORENZ, 1e-8);
        }
    }
    let few = Trajectory::new(record_at(lorenz, &[-8.0, 8.0, 27.0], &times(9, 0.01)), times(9, 0.01), None);
    let search = Search { aim: Aim::Weak(WeakChoice::default()), ..Search::default() };
    let refused = search.run(&[few.unwrap()], &mut CpuEngine::new()).unwrap_err().to_string();
    assert!(refused.contains("samples is 9; it must be at least 12"), "{refused}");
}

/// Coordinates whose units differ by a million keep their equations under one threshold.
#[test]
fn units_lose_no_equation() {
    let t = times(5000, 0.002);
    let mut x = record_at(lorenz, &[-8.0, 8.0, 27.0], &t);
    x.column_mut(0).mapv_inplace(|v| v * 1e-3);
    x.column_mut(2).mapv_inplace(|v| v * 1e3);
    let truth = [
        (0, "x1", -10.0),
        (0, "x2", 1e-2),
        (1, "x1", 28e3),
        (1, "x2", -1.0),
        (1, "x1 x3", -1.0),
        (2, "x3", -8.0 / 3.0),
        (2, "x1 x2", 1e6),
    ];
    for arguments in [&["--threshold", "0.1"][..], &[]] {
        let write = |npz: &mut NpzWriter<std::fs::File>| {
            npz.add_array("x", &x).unwrap();
            npz.add_array("t", &t).unwrap();
        };
        let (record, text) = commanded(write, arguments);
        assert_record(&record, &truth, 5e-3);
        let errors = record["fit_errors"].as_array().unwrap();
        assert!(errors.len() == 3 && errors.iter().all(|e| e.as_f64().unwrap() < 1e-3), "{errors:?}");
        assert!(["  x1 ", "  x2 ", "  x3 "].iter().all(|name| text.contains(name)), "{text}");
    }
}

/// Noise of 5 % on short and long recordings: the default settings find the terms, and the coefficients
/// within three of their standard errors.
#[test]
fn noisy_lorenz_by_the_default_weak_form() {
    for (k, tolerance) in [(200, 0.06), (1000, 0.02), (2000, 0.01)] {
        let clean = record_at(lorenz, &[-8.0, 8.0, 27.0], &times(k, 0.01));
        let mut next = noise(7);
        let deviation = clean.std_axis(ndarray::Axis(0), 0.0);
        let states =
            Array2::from_shape_fn(clean.dim(), |(i, j)| clean[[i, j]] + 0.05 * deviation[j] * next());
        let trajectory = Trajectory::new(states, times(k, 0.01), None).unwrap();
        let search = Search { aim: Aim::Weak(WeakChoice::default()), ..Search::default() };
        let found = search.run(&[trajectory], &mut CpuEngine::new()).unwrap();
        let names = found.feature_names();
        for ((p, j), value) in found.coefficients.indexed_iter() {
            let expected = LORENZ.iter().find(|t| t.0 == j && t.1 == names[p]).map_or(0.0, |t| t.2);
            // The −x2 of the second equation is the least certain; the others are ten times better known.
            let allowed = tolerance * expected.abs().max(if expected == -1.0 { 8.0 } else { 0.0 });
            assert!((value - expected).abs() <= allowed, "{k}: {} {:#?}", names[p], found.equations());
        }
        let refinement = found.refinement.unwrap();
        assert!(refinement.holds && (refinement.misfit - 1.0).abs() < 0.3, "{refinement:?}");
    }
}

#[test]
fn inputs_maps_functions_and_names() {
    // A driven pendulum: angle' = speed, speed' = −9 sin(angle) − 0.2 speed + 2 push.
    let t = times(3000, 0.005);
    let push = |t: f64| (1.3 * t).sin() + (0.4 * t).cos();
    let (mut x, mut inner, mut rows) = (vec![1.0, 0.0], 0.005, vec![1.0, 0.0]);
    for k in 1..3000 {
        let mut rhs = |t: f64, x: &[f64], dx: &mut [f64]| {
            (dx[0], dx[1]) = (x[1], -9.0 * x[0].sin() - 0.2 * x[1] + 2.0 * push(t))
        };
        let rule = Integrator::DormandPrince { rtol: 1e-11, atol: 1e-13 };
        assert!(rule.advance(&mut rhs, t[k - 1], 0.005, &mut x, &mut inner));
        rows.extend(&x);
    }
    let x = Array2::from_shape_vec((3000, 2), rows).unwrap();
    let write = |npz: &mut NpzWriter<std::fs::File>| {
        npz.add_array("x", &x).unwrap();
        npz.add_array("t", &t).unwrap();
        npz.add_array("u", &t.mapv(push)).unwrap();
    };
    let arguments = ["--terms", "sin", "--names", "angle,speed,push", "--order", "1", "--targets", "weak"];
    let (record, text) = commanded(write, &arguments);
    let truth = [(0, "speed", 1.0), (1, "sin(angle)", -9.0), (1, "speed", -0.2), (1, "push", 2.0)];
    assert_record(&record, &truth, 1e-4);
    assert!(text.contains("dangle/dt = 1.000 speed"), "{text}");

    // Hénon's map, without times: x' = 1 − 1.4 x² + y, y' = 0.3 x.
    let mut henon = vec![0.1, 0.1];
    for k in 0..400 {
        let (a, b) = (henon[2 * k], henon[2 * k + 1]);
        henon.extend([1.0 - 1.4 * a * a + b, 0.3 * a]);
    }
    let x = Array2::from_shape_vec((401, 2), henon).unwrap();
    let map = |npz: &mut NpzWriter<std::fs::File>| npz.add_array("x", &x).unwrap();
    let (record, text) = commanded(map, &["--map"]);
    assert_record(&record, &[(0, "1", 1.0), (0, "x1^2", -1.4), (0, "x2", 1.0), (1, "x1", 0.3)], 1e-9);
    assert!(text.contains("x2[k+1] = 0.3000 x1    [1 term]"), "{text}");

    // Time as a variable: x' = 2 t.
    let t = times(200, 0.01);
    let square = t.mapv(|t| t * t).insert_axis(ndarray::Axis(1));
    let trajectory = Trajectory::new(square, t, None).unwrap();
    let search = Search { order: 1, time: true, functions: vec![Function::Cos], ..Search::default() };
    let found = search.run(&[trajectory], &mut CpuEngine::new()).unwrap();
    assert_eq!(found.equations(), ["dx1/dt = 2.000 t"]);
}

#[test]
fn integers_are_read_and_dependent_columns_are_named() {
    let x = Array2::from_shape_fn((50, 2), |(k, i)| (2 * k + i) as i32);
    let write = |npz: &mut NpzWriter<std::fs::File>| {
        npz.add_array("x", &x).unwrap();
        npz.add_array("t", &times(50, 1.0)).unwrap();
    };
    let (record, text) = commanded(write, &["--order", "1"]);
    assert_record(&record, &[(0, "1", 2.0), (1, "1", 2.0)], 1e-9);
    assert!(text.contains("infinite: 1, x1, x2 depend on each other"), "{text}");
    assert_eq!(record["dependent"].as_array().unwrap().len(), 3);
}

#[test]
fn the_path_is_printed_and_a_time_limit_ends_the_search() {
    let t = times(500, 0.01);
    let x = noisy(&record_at(lorenz, &[-8.0, 8.0, 27.0], &t), 0.3, 4);
    let write = |npz: &mut NpzWriter<std::fs::File>| {
        npz.add_array("x", &x).unwrap();
        npz.add_array("t", &t).unwrap();
    };
    let (record, text) = commanded(write, &["--targets", "weak", "--max-seconds", "1e-9"]);
    assert!(record["ended_early"].as_bool().unwrap(), "{text}");
    assert!(
        text.contains("threshold  terms  validation error of x1, x2, x3") && text.contains('*'),
        "{text}"
    );
    let (record, text) = commanded(write, &["--targets", "weak", "--threshold", "0"]);
    assert_eq!(record["support_sizes"].as_array().unwrap(), &[10, 10, 10]);
    assert!(!text.contains("validation error of"), "{text}");
    let search = Search { threshold: Threshold::Given(-1.0), ..Search::default() };
    let trajectory = Trajectory::new(x, t, None).unwrap();
    assert!(search.run(&[trajectory], &mut CpuEngine::new()).is_err());
}

/// Samples at times drawn at random, some of them close together, with 2 % noise: the rules over intervals do
/// not multiply the noise of neighbours.
#[test]
fn noisy_samples_at_random_times_are_no_harder_than_even_ones() {
    let hunters = |x: &[f64], dx: &mut [f64]| {
        (dx[0], dx[1]) = (x[0] - 0.1 * x[0] * x[1], 0.075 * x[0] * x[1] - 1.5 * x[1]);
    };
    let truth = [(0, "x1", 1.0), (0, "x1 x2", -0.1), (1, "x2", -1.5), (1, "x1 x2", 0.075)];
    for seed in 1..=4 {
        let mut state = 0x2545_f491_4f6c_dd1d_u64.wrapping_mul(seed);
        let mut times: Vec<f64> = (0..1500)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                40.0 * (state >> 11) as f64 / (1_u64 << 53) as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let times = Array1::from(times);
        let clean = record_at(hunters, &[10.0, 5.0], &times);
        let mut x = clean.clone();
        for (column, mut noisy) in clean.columns().into_iter().zip(x.columns_mut()) {
            let mut next = noise(seed);
            let deviation = column.std(0.0);
            noisy.mapv_inplace(|v| v + 0.02 * deviation * next());
        }
        let search = Search { aim: Aim::Weak(WeakChoice::default()), ..Search::default() };
        let trajectory = Trajectory::new(x, times, None).unwrap();
        let found = search.run(&[trajectory], &mut CpuEngine::new()).unwrap();
        // A term too many that is within the noise is no mistake; its coefficient is next to nothing.
        let names = found.feature_names();
        for ((p, j), value) in found.coefficients.indexed_iter() {
            let expected = truth.iter().find(|t| t.0 == j && t.1 == names[p]).map_or(0.0_f64, |t| t.2);
            let allowed = 0.02 * expected.abs().max(1e-3);
            assert!((value - expected).abs() <= allowed, "{seed}: {} {:#?}", names[p], found.equations());
        }
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }
}

/// Equations that any terms would fit, terms that the samples do not tell apart, and noise that differences
/// multiply are told.
#[test]
fn doubtful_equations_are_told() {
    let swing = |x: &[f64], dx: &mut [f64]| (dx[0], dx[1]) = (x[1], -x[0]);
    let clean = record(swing, &[1.0, 0.3], 400, 0.02);
    let search = |functions: Vec<Function>| Search { functions, ..Search::default() };
    let warnings = |x: Array2<f64>, search: Search| {
        let t = times(x.nrows(), 0.02);
        let trajectory = Trajectory::new(x, t, None).unwrap();
        search.run(&[trajectory], &mut CpuEngine::new()).unwrap().warnings
    };
    assert!(warnings(clean.clone(), search(Vec::new())).is_empty());
    let few = warnings(clean.slice(ndarray::s![..3, ..]).to_owned(), search(Vec::new()));
    assert!(few[0].contains("terms from 1 row"), "{few:?}");
    let noise = warnings(noisy(&clean, 0.01, 3), search(Vec::new()));
    assert!(noise.iter().any(|w| w.contains("--targets weak")), "{noise:?}");
    // Far from 0 a logarithm, a root and a line are one another's shadows; all of them are kept.
    let far = clean.mapv(|v| 1000.0 + v);
    let every = Search { threshold: Threshold::Given(0.0), ..search(vec![Function::Log, Function::Sqrt]) };
    let alike = warnings(far, every);
    assert!(alike[0].contains("nearly depend on each other"), "{alike:?}");
}

/// x' = v is an equation of one term, whose share of the derivative is 1 up to rounding.
#[test]
fn equations_of_one_term_are_not_lost() {
    for n in 0..20 {
        let (stiffness, damping) = (4.0 + 0.37 * f64::from(n), 0.05 + 0.01 * f64::from(n));
        let swing = |x: &[f64], dx: &mut [f64]| (dx[0], dx[1]) = (x[1], -stiffness * x[0] - damping * x[1]);
        let x = record(swing, &[1.0, -0.2], 1001, 0.01);
        for aim in [Aim::Strong(Differences::Central), Aim::Weak(WeakChoice::default())] {
            let trajectory = Trajectory::new(x.clone(), times(1001, 0.01), None).unwrap();
            let found =
                Search { aim, ..Search::default() }.run(&[trajectory], &mut CpuEngine::new()).unwrap();
            let truth = [(0, "x2", 1.0), (1, "x1", -stiffness), (1, "x2", -damping)];
            assert_equations(&found, &truth, 0.02);
        }
        // A map with a delay: x2[k+1] = 0.3 x1.
        let mut states = vec![[0.1, 0.1 + 0.001 * f64::from(n)]];
        for k in 0..500 {
            let [a, b] = states[k];
            states.push([1.0 - 1.4 * a * a + b, 0.3 * a]);
        }
        let x = Array2::from_shape_fn((501, 2), |(k, i)| states[k][i]);
        let trajectory = Trajectory::new(x, times(501, 1.0), None).unwrap();
        let search = Search { aim: Aim::Map, ..Search::default() };
        let found = search.run(&[trajectory], &mut CpuEngine::new()).unwrap();
        let truth = [(0, "1", 1.0), (0, "x1^2", -1.4), (0, "x2", 1.0), (1, "x1", 0.3)];
        assert_equations(&found, &truth, 1e-6);
    }
}
