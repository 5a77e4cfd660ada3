//! The same problem in other units is the same problem: the same minimiser, in as many evaluations.

use lgf::domain::Domain;
use lgf::engine::CpuEngine;
use lgf::error::ObjectiveError;
use lgf::flow::{Flow, OptimalityCriteria};
use lgf::method::{Method, Potential};
use lgf::objective::Objective;
use lgf::problems::Rosenbrock;
use lgf::report::{Report, StopReason};
use lgf::topology::{Compliance, FilterKind, Recipe, Structure};
use lgf::{Lgf, Stopping};

/// The objective v · f(x / u), in other units.
struct InUnits<O> {
    inner: O,
    length: f64,
    value: f64,
}

impl<O: Objective> Objective for InUnits<O> {
    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let x: Vec<f64> = x.iter().map(|x| x / self.length).collect();
        let value = self.inner.evaluate(&x, gradient)?;
        gradient.iter_mut().for_each(|g| *g *= self.value / self.length);
        Ok(self.value * value)
    }

    fn domain(&self) -> Domain {
        match self.inner.domain() {
            Domain::BoxVolume { volume, .. } => Domain::uniform_with_volume(
                0.0,
                self.length,
                volume.weights.to_vec(),
                volume.bound * self.length,
            ),
            domain => domain,
        }
    }
}

/// Units of length and value. Powers of two change no rounding, so what a run does has to be the same to the
/// last bit; powers of ten round x / u, and a curved valley makes other roundings another path.
const BINARY: [(i32, i32); 7] = [(-20, 0), (20, 0), (0, 40), (0, -40), (-20, 40), (20, -40), (-10, -3)];
const DECIMAL: [(f64, f64); 7] =
    [(1e-3, 1.0), (1e-6, 1.0), (1e6, 1.0), (1.0, 1e12), (1.0, 1e-12), (1e-6, 1e12), (1e6, 1e-12)];

fn run<O: Objective>(objective: O, start: &[f64], method: Method, stopping: Stopping) -> Report {
    Lgf::new(method)
        .unwrap()
        .stopping(stopping)
        .unwrap()
        .on(CpuEngine::new())
        .minimize(objective, start)
        .unwrap()
}

#[test]
fn rosenbrock_in_any_units_has_its_minimum() {
    for method in [Potential::default(), Potential { steps: 100, memory: 10, ..Potential::default() }] {
        let solve = |length: f64, value: f64, start: [f64; 2]| {
            let objective = InUnits { inner: Rosenbrock { dimension: 2 }, length, value };
            let stopping = Stopping::default().evaluations(300).tolerance(1e-6);
            run(objective, &start.map(|x| x * length), method.into(), stopping)
        };
        // From 0 there is no length in the start: the value and the slope there tell one.
        for start in [[-1.2, 1.0], [0.0, 0.0]] {
            let plain = solve(1.0, 1.0, start);
            assert!(plain.x.iter().all(|x| (x - 1.0).abs() < 1e-3), "{:?}: {}", plain.x, plain.stop);
            for (length, value) in BINARY.map(|(length, value)| (2.0_f64.powi(length), 2.0_f64.powi(value))) {
                let scaled = solve(length, value, start);
                let x: Vec<f64> = scaled.x.iter().map(|x| x / length).collect();
                assert_eq!(x, plain.x, "in units of {length:e} and {value:e}");
                assert_eq!(scaled.true_evaluations, plain.true_evaluations);
            }
            for (length, value) in DECIMAL {
                let scaled = solve(length, value, start);
                assert!(
                    scaled.x.iter().all(|x| (x / length - 1.0).abs() < 1e-3),
                    "{:?} in units of {length:e}: {}",
                    scaled.x,
                    scaled.stop
                );
            }
        }
    }
}

/// A start without any length: x = 0 and f = 0. The first landing tells it.
#[test]
fn a_quadratic_from_its_zero_finds_its_length() {
    struct Bowl(f64);
    impl Objective for Bowl {
        fn dimension(&self) -> usize {
            3
        }
        fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
            let mut value = 0.0;
            for (i, (x, g)) in x.iter().zip(gradient).enumerate() {
                let (curvature, at) = (1.0 + i as f64, self.0 * (2.0 - i as f64));
                value += 0.5 * curvature * x * (x - 2.0 * at);
                *g = curvature * (x - at);
            }
            Ok(value)
        }
    }
    for length in [1.0, 1e-6, 1e6, 1e-12] {
        let stopping = Stopping::default().evaluations(100).tolerance(1e-7);
        let report = run(Bowl(length), &[0.0; 3], Potential::default().into(), stopping);
        let wrong = (0..3).map(|i| (report.x[i] / length - (2.0 - i as f64)).abs()).fold(0.0, f64::max);
        assert!(wrong < 1e-4, "{:?} in units of {length:e}: {}", report.x, report.stop);
        assert!(matches!(report.stop, StopReason::Converged { .. }), "{}", report.stop);
    }
}

/// Optimality criteria and the potential on a structure, in other units of density and of compliance.
#[test]
fn structures_in_any_units_have_the_same_design() {
    let problem = || Compliance::new(Structure::mbb(24, 8, FilterKind::Density)).unwrap();
    let start = problem().uniform_start();
    for method in
        [Method::from(Flow::OptimalityCriteria(OptimalityCriteria::default())), Potential::default().into()]
    {
        let solve = |length: f64, value: f64| {
            let objective = InUnits { inner: problem(), length, value };
            let start: Vec<f64> = start.iter().map(|x| x * length).collect();
            let stopping = Stopping { max_evaluations: 60, ..Recipe::new(method).stopping };
            run(objective, &start, method, stopping)
        };
        let plain = solve(1.0, 1.0);
        for (length, value) in DECIMAL {
            let scaled = solve(length, value);
            let worst =
                plain.objective.min(scaled.objective / value) / plain.objective.max(scaled.objective / value);
            assert!(worst > 1.0 - 1e-6, "{} and {}", plain.objective, scaled.objective / value);
            let (a, b) = (plain.true_evaluations, scaled.true_evaluations);
            assert!(
                a.abs_diff(b) <= 2,
                "{}: {a} evaluations, and {b} in units of {length:e} and {value:e}",
                method.name()
            );
        }
    }
}
