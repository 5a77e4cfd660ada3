//! Agreement with numbers produced by the method's authors' published implementation (double precision,
//! PyTorch), on small inputs: `tests/reference/*.json`. Assembly and single regressions to 1e-9, whole runs
//! to 1e-6 on the last iterate, 1e-4 where features outnumber rows.

use lgf::domain::Domain;
use lgf::engine::{CpuEngine, Engine, PhaseLimits, Samples, Setup};
use lgf::flow::{Adam, Flow, GradientDescent};
use lgf::surrogate::targets::WeakForm;
use lgf::surrogate::{
    Differences, Integrator, Library, Lift, Rank, Regression, RegressionProblem, Ridge, SpaceConfig,
    SurrogateConfig, TargetTransform, Targets,
};
use ndarray::Array2;
use serde_json::{Value, json};

mod common;
use common::{count, gpu, load, numbers, relative};

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

fn size(a: &Array2<f64>) -> f64 {
    a.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn assert_close(found: &Array2<f64>, expected: &Array2<f64>, tolerance: f64, what: &str) {
    assert_eq!(found.dim(), expected.dim(), "{what}");
    let error = size(&(found - expected)) / size(expected).max(1e-300);
    assert!(error <= tolerance, "{what}: off by {error:e} relative");
}

fn theta(states: &Array2<f64>, order: usize, bias: bool) -> Array2<f64> {
    Library::new(states.ncols(), order, bias).unwrap().evaluate_rows(states.view())
}

fn differences(order: usize) -> Differences {
    match order {
        1 => Differences::Forward,
        2 => Differences::Central,
        _ => Differences::FivePoint,
    }
}

#[test]
fn libraries_and_targets_are_assembled_alike() {
    let reference = load("assembly_and_regression");
    let states = matrix(&reference["states"]);
    let dt = reference["dt"].as_f64().unwrap();
    for library in reference["libraries"].as_array().unwrap() {
        let (order, bias) = (count(&library["order"]), library["bias"].as_bool().unwrap());
        assert_close(
            &theta(&states, order, bias),
            &matrix(&library["theta"]),
            1e-12,
            &format!("library of order {order}, bias {bias}"),
        );
    }
    let features = theta(&states, 2, true);
    for strong in reference["strong"].as_array().unwrap() {
        let order = count(&strong["fd_order"]);
        let operator =
            Targets::StrongForm { differences: differences(order) }.operator(states.nrows(), dt).unwrap();
        assert_close(
            &operator.samples.dot(&states),
            &matrix(&strong["dxdt"]),
            1e-9,
            &format!("strong form, order {order}"),
        );
        assert_close(
            &operator.features.dot(&features),
            &matrix(&strong["theta"]),
            1e-12,
            &format!("strong form's features, order {order}"),
        );
    }
    for weak in reference["weak"].as_array().unwrap() {
        let form = WeakForm {
            half_width: count(&weak["half_width"]),
            power: count(&weak["p"]) as u32,
            stride: count(&weak["stride"]),
            include_endpoints: weak["include_endpoints"].as_bool().unwrap(),
        };
        let operator = Targets::WeakForm(form).operator(states.nrows(), dt).unwrap();
        assert_close(&operator.samples.dot(&states), &matrix(&weak["lhs"]), 1e-9, &format!("{form:?}, lhs"));
        assert_close(
            &operator.features.dot(&features),
            &matrix(&weak["rhs"]),
            1e-9,
            &format!("{form:?}, rhs"),
        );
    }
}

/// The systems behind `stlsq`: central differences, orders 1 to 3 with bias.
#[test]
fn sparse_regressions_agree_on_both_engines() {
    let reference = load("assembly_and_regression");
    let states = matrix(&reference["states"]);
    let dt = reference["dt"].as_f64().unwrap();
    let operator =
        Targets::StrongForm { differences: Differences::Central }.operator(states.nrows(), dt).unwrap();
    let targets = operator.samples.dot(&states);
    let mut gpu = gpu();
    for case in reference["stlsq"].as_array().unwrap() {
        let order = match case["library"].as_str().unwrap() {
            "order1" => 1,
            "order2" => 2,
            _ => 3,
        };
        let regression = Regression {
            ridge: Ridge::Absolute(case["alpha"].as_f64().unwrap()),
            threshold: case["threshold"].as_f64().unwrap(),
            max_iterations: count(&case["max_iter"]),
            normalize: case["normalize_columns"].as_bool().unwrap(),
            refit: case["unbias"].as_bool().unwrap(),
        };
        let features = operator.features.dot(&theta(&states, order, true));
        let (xi, prediction) = (matrix(&case["xi"]), matrix(&case["prediction"]));
        let what = format!("order {order}, {regression:?}");
        let batch = [RegressionProblem { features: features.view(), targets: targets.view(), regression }];
        let cpu = CpuEngine::new().regress(&batch).unwrap().remove(0).coefficients;
        // Where features outnumber rows or the condition number is 4e5 the coefficients themselves are less
        // well determined than the predictions.
        let condition = case["cond"].as_f64().unwrap();
        assert_close(&cpu, &xi, 1e-9_f64.max(1e-13 * condition * condition.sqrt()), &what);
        assert_close(&features.dot(&cpu), &prediction, 1e-9, &what);

        let device = gpu.regress(&batch).unwrap().remove(0).coefficients;
        let supports = |a: &Array2<f64>| a.mapv(|v| v != 0.0);
        assert_eq!(supports(&device), supports(&xi), "{what}: supports on the GPU");
        assert_close(&features.dot(&device), &prediction, 1e-5, &format!("{what}, GPU predictions"));
        if condition <= 1e4 {
            assert_close(&device, &xi, 1e-4, &format!("{what}, GPU coefficients"));
        }
    }
}

enum Problem {
    Quadratic { a: Array2<f64>, b: Vec<f64> },
    Rosenbrock { weight: f64 },
    Cosh,
}

impl Problem {
    fn new(value: &Value) -> Self {
        match value["kind"].as_str().unwrap() {
            "quadratic" => Self::Quadratic { a: matrix(&value["A"]), b: numbers(&value["b"]) },
            "rosenbrock" => Self::Rosenbrock { weight: value["weight"].as_f64().unwrap() },
            "cosh" => Self::Cosh,
            other => panic!("{other}"),
        }
    }

    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let d = x.len();
        match self {
            Self::Quadratic { a, b } => (0..d)
                .map(|i| (0..d).map(|j| 0.5 * (a[[i, j]] + a[[j, i]]) * x[j]).sum::<f64>() - b[i])
                .collect(),
            Self::Rosenbrock { weight } => {
                let mut g = vec![0.0; d];
                for i in 0..d - 1 {
                    let curve = x[i + 1] - x[i] * x[i];
                    g[i] += -4.0 * weight * x[i] * curve - 2.0 * (1.0 - x[i]);
                    g[i + 1] += 2.0 * weight * curve;
                }
                g
            }
            Self::Cosh => (0..d).map(|i| x[i].sinh() + 0.1 * (x[(i + d - 1) % d] + x[(i + 1) % d])).collect(),
        }
    }
}

/// One reference run, step by step on `engine`; returns x after every iteration.
fn replay(run: &Value, engine: &mut dyn Engine) -> Vec<Vec<f64>> {
    let problem = Problem::new(&run["problem"]);
    let x0 = numbers(&run["x0"]);
    let rate = run["lr"].as_f64().unwrap();
    let is_adam = run["flow"] == "adam";
    let flow = if is_adam {
        let betas = numbers(&run["betas"]);
        Flow::Adam(Adam {
            rate,
            beta1: betas[0],
            beta2: betas[1],
            epsilon: run["eps"].as_f64().unwrap(),
            amsgrad: run["amsgrad"].as_bool().unwrap(),
        })
    } else {
        Flow::GradientDescent(GradientDescent { rate })
    };
    let solver = &run["solver"];
    let regression = if solver == "least_squares" {
        Regression::ridge(Ridge::Absolute(0.0))
    } else {
        Regression {
            ridge: Ridge::Absolute(solver["alpha"].as_f64().unwrap()),
            threshold: solver["threshold"].as_f64().unwrap(),
            max_iterations: count(&solver["max_iter"]),
            normalize: solver["normalize_columns"].as_bool().unwrap(),
            refit: solver["unbias"].as_bool().unwrap(),
        }
    };
    let targets = match run["method"].as_str().unwrap() {
        "strong" => Targets::StrongForm { differences: differences(count(&run["fd_order"])) },
        "weak" => {
            let bump = &run["test_functions"];
            Targets::WeakForm(WeakForm {
                half_width: count(&bump["half_width"]),
                power: count(&bump["p"]) as u32,
                stride: count(&bump["stride"]),
                include_endpoints: bump["include_endpoints"].as_bool().unwrap(),
            })
        }
        _ => Targets::Tracked,
    };
    let config = SurrogateConfig {
        order: count(&run["order"]),
        bias: run["bias"].as_bool().unwrap(),
        orthonormal: run["orthonormal"].as_bool().unwrap(),
        space: run["rank"].as_u64().map_or(SpaceConfig::Full, |r| SpaceConfig::Reduced {
            rank: Rank::Count(r as usize),
            centered: false,
        }),
        targets,
        transform: TargetTransform::Identity,
        lift: Lift::Trajectory,
        regression,
    };
    let (history, interval) = (count(&run["history"]), count(&run["interval"]));
    config.validate(&flow, history).unwrap();
    engine
        .start(Setup {
            flow,
            domain: &Domain::Unbounded,
            start: &x0,
            capacity: history,
            samples: Samples::Points,
            directions: None,
        })
        .unwrap();
    let mut x = x0.clone();
    let mut trajectory = vec![x0];
    let mut fitted = false;
    for iteration in 0..count(&run["steps"]) {
        if iteration % interval == 0 {
            engine.forget();
            fitted = false;
        }
        if engine.samples() < history {
            engine.set_gradient(&problem.gradient(&x)).unwrap();
            // The reference is inconsistent: it records before the step with ADAM, and after it with gradient
            // descent.
            if is_adam {
                engine.record().unwrap();
            }
            engine.step().unwrap();
            if !is_adam {
                engine.record().unwrap();
            }
        } else {
            if !fitted {
                engine.fit(&config).unwrap();
                fitted = true;
            }
            engine
                .integrate(PhaseLimits { steps: 1, radius: f64::INFINITY, integrator: Integrator::Rk4 })
                .unwrap();
        }
        engine.read(&mut x).unwrap();
        trajectory.push(x.clone());
    }
    trajectory
}

/// Whether the regression has more features than rows.
fn is_wide(run: &Value) -> bool {
    let d = run["x0"].as_array().unwrap().len();
    let variables = run["rank"].as_u64().map_or(d, |r| r as usize);
    Library::feature_count(variables, count(&run["order"]), run["bias"].as_bool().unwrap()).unwrap()
        >= count(&run["history"])
}

#[test]
fn all_fourteen_runs_on_the_cpu_engine() {
    let runs = load("optimizer_runs");
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 14);
    for (number, run) in runs.iter().enumerate() {
        let reference: Vec<Vec<f64>> = run["trajectory"].as_array().unwrap().iter().map(numbers).collect();
        let found = replay(run, &mut CpuEngine::new());
        assert_eq!(found.len(), reference.len());
        let worst = found.iter().zip(&reference).map(|(a, b)| relative(a, b)).fold(0.0, f64::max);
        let last = relative(found.last().unwrap(), reference.last().unwrap());
        let tolerance = if is_wide(run) { 1e-4 } else { 1e-6 };
        println!("run {}: last iterate off by {last:.1e}, worst {worst:.1e}", number + 1);
        assert!(last <= tolerance, "run {}: last iterate off by {last:e}, worst {worst:e}", number + 1);
    }
}

#[test]
fn all_fourteen_runs_in_f32() {
    let runs = load("optimizer_runs");
    let mut gpu = gpu();
    for (number, run) in runs.as_array().unwrap().iter().enumerate() {
        let reference = numbers(run["trajectory"].as_array().unwrap().last().unwrap());
        for engine in [&mut gpu as &mut dyn Engine, &mut CpuEngine::single()] {
            let last = relative(replay(run, engine).last().unwrap(), &reference);
            let tolerance = if is_wide(run) { 1e-2 } else { 1e-3 };
            let what = format!("run {} on the {} engine", number + 1, engine.info().kind.name());
            println!("{what}: last iterate off by {last:.1e}");
            assert!(last <= tolerance, "{what}: last iterate off by {last:e}");
        }
    }
}

/// A run in the form of `optimizer_runs_refit.json`, without its trajectory: ADAM, order 1 in the full space,
/// refitted without ridge from fewer features than samples.
fn refit_run(problem: Value, x0: &[f64], history: usize) -> Value {
    let interval = history + 6;
    json!({
        "flow": "adam", "problem": problem, "x0": x0, "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-8,
        "amsgrad": false, "history": history, "interval": interval, "steps": 3 * interval, "order": 1,
        "bias": true, "rank": null, "method": "tracked", "orthonormal": false,
        "solver": {
            "threshold": 1e-8, "alpha": 1e-6, "max_iter": 3, "normalize_columns": true, "unbias": true,
        },
    })
}

/// Eight more runs of that kind: three problems in three to ten dimensions from pseudo-random starts.
fn more_refit_runs() -> Vec<Value> {
    // A fixed pseudo-random sequence (Knuth's multiplicative congruence), one decimal in -1 to 1.
    let start = |d: usize, seed: u64| -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
        };
        next();
        (0..d).map(|_| (10.0 * next()).round() / 10.0).collect()
    };
    let rosenbrock = |weight: f64| json!({ "kind": "rosenbrock", "weight": weight });
    let cosh = || json!({ "kind": "cosh" });
    // Eigenvalues of a chain of springs, between 0.3 and 4.3.
    let quadratic = |d: usize| {
        let a = |i: usize, j: usize| match i.abs_diff(j) {
            0 => 2.3,
            1 => -1.0,
            _ => 0.0,
        };
        let rows: Vec<Vec<f64>> = (0..d).map(|i| (0..d).map(|j| a(i, j)).collect()).collect();
        json!({ "kind": "quadratic", "A": rows, "b": start(d, 77) })
    };
    [
        (rosenbrock(3.0), 3, 10, 1),
        (rosenbrock(1.7), 4, 12, 2),
        (rosenbrock(5.0), 8, 15, 3),
        (rosenbrock(1.5), 9, 20, 34),
        (rosenbrock(1.2), 10, 20, 14),
        (quadratic(5), 5, 12, 5),
        (quadratic(8), 8, 20, 6),
        (cosh(), 4, 10, 7),
    ]
    .into_iter()
    .map(|(problem, d, history, seed)| refit_run(problem, &start(d, seed), history))
    .collect()
}

/// Refits without ridge to the nearly collinear iterates of ADAM, whose features have condition numbers up to
/// 10⁸ and more: in f32 they lose digits to the rounding of the iterates, on every engine alike, and the GPU
/// no more than three times what the CPU does. A factor of the features in f32 loses whole directions: with
/// one, these runs were off by up to 200 times as much.
///
/// What rounding costs one run is chance, by factors of five, so the eight generated ones are taken from four
/// starts each that are 10⁻⁵ apart, and their errors in the root mean square.
#[test]
fn refits_without_ridge_keep_the_digits_that_f32_has() {
    let mut gpu = gpu();
    let given = load("optimizer_runs_refit");
    let given = given.as_array().unwrap();
    assert_eq!(given.len(), 6);
    let given = given.iter().map(|run| (run.clone(), 1));
    let runs = given.chain(more_refit_runs().into_iter().map(|run| (run, 4)));
    for (number, (mut run, starts)) in runs.enumerate() {
        let what = format!("run {}", number + 1);
        assert!(!is_wide(&run), "{what}: features outnumber samples");
        let x0 = numbers(&run["x0"]);
        let mut squares = [0.0; 2];
        for start in 0..starts {
            let moved: Vec<f64> = x0.iter().map(|x| x + 1e-5 * f64::from(start)).collect();
            run["x0"] = json!(moved);
            let exact = replay(&run, &mut CpuEngine::new()).pop().unwrap();
            if let Some(trajectory) = run["trajectory"].as_array() {
                let error = relative(&exact, &numbers(trajectory.last().unwrap()));
                assert!(error <= 1e-6, "{what}: the CPU engine is off by {error:e}");
            }
            let engines = [&mut gpu as &mut dyn Engine, &mut CpuEngine::single()];
            for (square, engine) in squares.iter_mut().zip(engines) {
                *square += relative(replay(&run, engine).last().unwrap(), &exact).powi(2);
            }
        }
        let [device, host] = squares.map(|square| (square / f64::from(starts)).sqrt());
        println!("{what}: GPU off by {device:.1e}, CPU in f32 by {host:.1e}");
        assert!(host <= 1e-2, "{what}: nothing is left in f32: {host:e}");
        // Roundings of half an epsilon a step add up as the root of their number.
        let rounding = (count(&run["steps"]) as f64).sqrt() * 0.5 * f64::from(f32::EPSILON);
        assert!(device <= 3.0 * host.max(rounding), "{what}: GPU off by {device:e}, CPU in f32 by {host:e}");
    }
}
