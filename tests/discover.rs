//! Equation discovery: known systems from clean and noisy data, on both engines, and the command line around
//! it.

use std::path::Path;
use std::process::{Command, Output};

use lgf::discover::{DiscoverConfig, Discovery, Trajectory, Variables, discover};
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
    let mut uneven = t.clone();
    uneven[19] += 0.05;
    file("uneven.npz", &x, Some(&uneven), None);
    let mut hole = x.clone();
    hole[[3, 1]] = f64::NAN;
    file("nan.npz", &hole, Some(&t), None);
    file("bad_g.npz", &x, Some(&t), Some(&Array2::zeros((20, 3))));
    std::fs::write(dir.path().join("text.npz"), "not an archive").unwrap();
    let cases: [(&str, &[&str], i32, &str); 13] = [
        ("missing.npz", &[], 1, "missing.npz"),
        ("text.npz", &[], 1, "no NumPy .npz file"),
        ("no_t.npz", &[], 2, "--dt"),
        ("no_t.npz", &["--dt", "0"], 2, "dt is 0"),
        ("short_t.npz", &[], 2, "t has length 19, expected 20"),
        ("back.npz", &[], 2, "increasing"),
        ("uneven.npz", &[], 2, "equidistant"),
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
