//! The paper's problems against numbers produced by the authors' published implementation (double precision,
//! PyTorch): values and gradients at probes to 1e-8, runs of the base flow and of the fixed cadence to 1e-6
//! along the way; and against finite differences.

use std::ops::ControlFlow;

use lgf::Lgf;
use lgf::engine::{CpuEngine, Engine};
use lgf::flow::{Adam, Flow, GradientDescent, Newton};
use lgf::method::{Cadence, Field, Fixed};
use lgf::objective::Objective;
use lgf::observe::{Event, Observer};
use lgf::problems::{
    ElasticNetwork, HeatInverse, LogisticRegression, NonlinearHeat, Quadratic, Rosenbrock, Rotated,
    Scattering,
};
use lgf::report::{HistoryEntry, Report};
use lgf::surrogate::{Differences, Integrator, Regression, Ridge, SpaceConfig, SurrogateConfig, Targets};
use serde_json::Value;

mod common;
use common::{budget, count, gpu, load, numbers, relative};

/// f and its gradient at a probe, to 1e-8 relative.
fn assert_probe(problem: &mut dyn Objective, a: &[f64], value: f64, gradient: &[f64]) {
    let mut found = vec![0.0; a.len()];
    let f = problem.evaluate(a, &mut found).unwrap();
    println!("value off by {:.1e}, gradient by {:.1e}", (f / value - 1.0).abs(), relative(&found, gradient));
    assert!((f - value).abs() <= 1e-8 * value.abs(), "{f} against {value}");
    assert!(relative(&found, gradient) <= 1e-8, "gradient off by {:e}", relative(&found, gradient));
}

/// The derivative along a direction by central differences: h² f''' and eps f/h balance near h = 1e-5 for
/// values of size 1.
fn assert_slope(problem: &mut dyn Objective, a: &[f64], step: f64, tolerance: f64) {
    let direction: Vec<f64> = (0..a.len()).map(|i| (1.7 * i as f64 + 0.3).sin()).collect();
    let mut gradient = vec![0.0; a.len()];
    let mut at = |h: f64| {
        let x: Vec<f64> = a.iter().zip(&direction).map(|(a, d)| a + h * d).collect();
        problem.evaluate(&x, &mut gradient).unwrap()
    };
    let difference = (at(step) - at(-step)) / (2.0 * step);
    at(0.0);
    let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
    let size: f64 = gradient.iter().zip(&direction).map(|(g, d)| (g * d).abs()).sum();
    assert!((slope - difference).abs() <= tolerance * size, "{slope} against {difference}");
}

/// The settings of the reference as this crate's.
fn lgf(settings: &Value, flow: Flow, fixed: bool) -> Lgf {
    let solver = &settings["stlsq"];
    let strong = settings["method"] == "strong";
    let regression = Regression {
        ridge: Ridge::Absolute(solver["alpha"].as_f64().unwrap()),
        threshold: solver["threshold"].as_f64().unwrap(),
        max_iterations: count(&solver["max_iter"]),
        normalize: solver["normalize_columns"].as_bool().unwrap(),
        refit: solver["unbias"].as_bool().unwrap(),
    };
    let surrogate = SurrogateConfig {
        order: count(&settings["order"]),
        bias: settings["bias"].as_bool().unwrap(),
        targets: if strong {
            Targets::StrongForm { differences: Differences::Central }
        } else {
            Targets::Tracked
        },
        regression,
        ..SurrogateConfig::paper(SpaceConfig::Full)
    };
    let (history, interval) = (count(&settings["history"]), count(&settings["interval"]));
    let epochs = count(&settings["epochs"]);
    // One more than the reference counts: the iterate its run ends with.
    let evaluations =
        1 + if fixed { epochs / interval * history + (epochs % interval).min(history) } else { epochs };
    let lgf = if fixed {
        let cadence =
            Fixed { landing_check: false, record_after_step: strong, ..Fixed::new(history, interval) };
        let field = Field::new(flow, surrogate, Cadence::Fixed(cadence));
        Lgf::new(Field { integrator: Integrator::Rk4, ..field })
    } else {
        Lgf::new(flow)
    };
    lgf.unwrap().stopping(budget(evaluations)).unwrap()
}

/// An observer that keeps the latest iterate.
struct Last(Vec<f64>);

impl Observer for Last {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::TrueStep { x, .. } | Event::Landed { x, .. } = event {
            self.0 = x.to_vec();
        }
        ControlFlow::Continue(())
    }
}

/// A run and the iterate it ended with.
fn run(problem: &mut dyn Objective, lgf: Lgf, start: &[f64], engine: &mut dyn Engine) -> (Report, Vec<f64>) {
    let mut last = Last(Vec::new());
    let report = lgf.on(engine).observe(&mut last).minimize(problem, start).unwrap();
    assert!(!report.stop.is_fault(), "{}", report.stop);
    (report, last.0)
}

/// Every true evaluation against the reference's value at that iteration; `tolerance` is relative.
fn assert_values(report: &Report, values: &[f64], tolerance: f64, what: &str) {
    assert!(report.history.len() >= 50, "{what}: {} evaluations, {}", report.history.len(), report.stop);
    let off = |e: &HistoryEntry| values.get(e.iteration).map_or(0.0, |v| (e.objective / v - 1.0).abs());
    let worst = report.history.iter().map(off).fold(0.0, f64::max);
    println!("{what}: {} true evaluations, worst value off by {worst:.1e}", report.true_evaluations);
    let bad = report.history.iter().find(|e| off(e) > tolerance);
    assert!(bad.is_none(), "{what}: {bad:?} against {}", values[bad.unwrap().iteration]);
}

/// Base and LGF on the CPU engine along the way, LGF on the GPU engine at the end.
fn assert_runs(
    problem: &mut dyn Objective,
    reference: &Value,
    base: &str,
    flow: Flow,
    start: &[f64],
) -> [Vec<f64>; 2] {
    let settings = &reference["settings"];
    let ends = [(base, false), ("lgf", true)].map(|(name, fixed)| {
        let (report, end) = run(problem, lgf(settings, flow, fixed), start, &mut CpuEngine::new());
        let expected = &reference["runs"][name];
        assert_values(&report, &numbers(&expected["values"]), 1e-6, name);
        let off = relative(&end, &numbers(&expected["last"]));
        // A refit without ridge in more features than rows divides by singular values down to 1e-14 of the
        // largest, where both are rounding: 1e-4, as the reference's authors ask for.
        let interpolates = settings["stlsq"]["unbias"] == true && start.len() >= count(&settings["history"]);
        let tolerance = if fixed && interpolates { 1e-4 } else { 1e-6 };
        println!("{name}: last iterate off by {off:.1e}");
        assert!(off <= tolerance, "{name}: last iterate off by {off:e}");
        end
    });
    let (report, _) = run(problem, lgf(settings, flow, true), start, &mut gpu());
    let values = numbers(&reference["runs"]["lgf"]["values"]);
    let last = report.history.iter().rfind(|e| e.iteration < values.len()).unwrap();
    let off = (last.objective / values[last.iteration] - 1.0).abs();
    println!("lgf on the GPU engine: last value off by {off:.1e}");
    assert!(off <= 1e-3, "{} against {}", last.objective, values[last.iteration]);
    ends
}

#[test]
fn heat_inverse() {
    let reference = load("heat_inverse");
    let mut problem = HeatInverse::new().unwrap();
    for probe in reference["value_and_gradient_probes"].as_array().unwrap() {
        let a = numbers(&probe["a"]);
        assert_probe(&mut problem, &a, probe["log_misfit"].as_f64().unwrap(), &numbers(&probe["gradient"]));
        assert_slope(&mut problem, &a, 1e-5, 1e-7);
    }
    let flow = Flow::GradientDescent(GradientDescent { rate: 0.01 });
    assert_runs(&mut problem, &reference, "gradient_descent", flow, &HeatInverse::START);
}

#[test]
fn nonlinear_heat() {
    let reference = load("nonlinear_heat");
    let mut problem = NonlinearHeat::new(6).unwrap();
    let probe = &reference["probe"];
    let a = numbers(&probe["a"]);
    assert_probe(&mut problem, &a, probe["value"].as_f64().unwrap(), &numbers(&probe["residual"]));
    let mut direction = vec![0.0; 36];
    problem.newton_direction(&a, &mut direction).unwrap();
    assert!(relative(&direction, &numbers(&probe["newton_direction"])) <= 1e-8);
    assert!(relative(&problem.jacobian_diagonal(), &numbers(&probe["jacobian_diagonal"])) <= 1e-8);
    assert_slope(&mut problem, &a, 1e-5, 1e-8);

    let start = numbers(&reference["runs"]["newton"]["first"]);
    let ends = assert_runs(&mut problem, &reference, "newton", Flow::Newton(Newton { rate: 0.15 }), &start);
    for (end, name) in ends.iter().zip(["newton", "lgf"]) {
        let mut residual = vec![0.0; 36];
        problem.evaluate(end, &mut residual).unwrap();
        let (norm, expected) = (
            residual.iter().map(|r| r * r).sum::<f64>().sqrt(),
            reference["runs"][name]["final_residual_norm"].as_f64().unwrap(),
        );
        assert!((norm / expected - 1.0).abs() <= 1e-3, "{name}: residual norm {norm} against {expected}");
    }
}

#[test]
fn scattering() {
    let reference = load("scattering");
    let mut problem = Scattering::new().unwrap();
    let pressure = reference["max_true_pressure"].as_f64().unwrap();
    assert!(
        (problem.largest_pressure() - pressure).abs() <= 1e-8 * pressure,
        "{} against {pressure}",
        problem.largest_pressure()
    );
    let ones = vec![1.0; 346];
    assert_probe(
        &mut problem,
        &ones,
        reference["probe"]["value"].as_f64().unwrap(),
        &numbers(&reference["probe"]["gradient"]),
    );
    let mixed: Vec<f64> = (0..346).map(|i| if i % 7 == 0 { -1.3 } else { 1.0 + 0.01 * i as f64 }).collect();
    assert_slope(&mut problem, &mixed, 1e-5, 1e-7);
    assert_runs(&mut problem, &reference, "adam", Flow::Adam(Adam::new(0.02)), &ones);
}

#[test]
fn elastic_network() {
    let reference = load("elastic_network");
    let mut problem = ElasticNetwork::new(9).unwrap();
    let probe = &reference["probe"];
    let a = numbers(&probe["parameters"]);
    assert_probe(&mut problem, &a, probe["energy"].as_f64().unwrap(), &numbers(&probe["gradient"]));
    assert_slope(&mut problem, &a, 1e-5, 1e-8);
    assert_runs(&mut problem, &reference, "adam", Flow::Adam(Adam::new(0.0025)), &a);
}

#[test]
fn logistic_regression() {
    let mut problem = LogisticRegression::synthetic(400, 50, 1e-3).unwrap();
    for scale in [0.0, 0.3, 3.0] {
        let w: Vec<f64> = (0..50).map(|i| scale * (0.9 * i as f64 + 0.2).cos()).collect();
        assert_slope(&mut problem, &w, 1e-5, 1e-8);
    }
    // At w = 0 the value does not depend on the labels.
    let mut gradient = vec![0.0; 50];
    assert!((problem.evaluate(&[0.0; 50], &mut gradient).unwrap() - 2.0_f64.ln()).abs() < 1e-13);
}

/// A rotation keeps distances, so the spectrum and the value at the origin stay the same.
#[test]
fn rotated() {
    let mut problem = Rotated::new(Rosenbrock { dimension: 7 });
    assert_slope(&mut problem, &[0.3, -0.7, 1.1, 0.2, -0.4, 0.9, 0.5], 1e-5, 1e-8);
    let mut problem = Rotated::new(Quadratic { minimizer: vec![0.0; 6], ..Quadratic::geometric(6, 1.0) });
    let (x, mut gradient) = ([0.3, -0.7, 1.1, 0.2, -0.4, 0.9], [0.0; 6]);
    let value = problem.evaluate(&x, &mut gradient).unwrap();
    // ½ |Q x|² = ½ |x|², and QᵀQ x = x.
    assert!(
        (value - 0.5 * x.iter().map(|x| x * x).sum::<f64>()).abs() < 1e-14 && relative(&gradient, &x) < 1e-14,
        "{value} {gradient:?}"
    );
}
