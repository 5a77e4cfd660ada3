//! Functions that the tests of several subjects share.

#![allow(dead_code, reason = "every test program uses a part of this")]

use lgf::engine::gpu::AdapterChoice;
use lgf::engine::{CpuEngine, GpuEngine};
use lgf::flow::{Flow, GradientDescent};
use lgf::method::{Field, Fixed, Method};
use lgf::objective::Objective;
use lgf::report::{HistoryEntry, Report};
use lgf::surrogate::SurrogateConfig;
use lgf::{Lgf, Stopping};
use serde_json::Value;

pub fn gpu() -> GpuEngine {
    GpuEngine::open(AdapterChoice::Any).expect("the GPU tests need an adapter, for example a software one")
}

pub fn descent(rate: f64) -> Flow {
    Flow::GradientDescent(GradientDescent { rate })
}

pub fn fixed(flow: Flow, history: usize, interval: usize) -> Method {
    Field::fixed(flow, SurrogateConfig::snapshots(), history, interval).into()
}

/// The paper's fixed cadence without a landing check: every landing is kept.
pub fn unchecked(flow: Flow, surrogate: SurrogateConfig, history: usize, interval: usize) -> Method {
    let fixed = Fixed { landing_check: false, ..Fixed::new(history, interval) };
    Field::new(flow, surrogate, lgf::method::Cadence::Fixed(fixed)).into()
}

pub fn adaptive(flow: Flow) -> Method {
    Field::adaptive(flow, SurrogateConfig::snapshots()).into()
}

/// Stopping by a budget, and by nothing else.
pub fn budget(max_evaluations: usize) -> Stopping {
    Stopping::default().evaluations(max_evaluations).tolerance(0.0)
}

/// `method`, which stops by a budget and by nothing else.
pub fn lgf(method: impl Into<Method>, max_evaluations: usize) -> Lgf {
    Lgf::new(method).unwrap().stopping(budget(max_evaluations)).unwrap()
}

/// Runs on the CPU engine.
pub fn run(lgf: Lgf, objective: impl Objective, start: &[f64]) -> Report {
    lgf.on(CpuEngine::new()).minimize(objective, start).unwrap()
}

/// The least value of the trusted evaluations.
pub fn best(history: &[HistoryEntry]) -> f64 {
    history.iter().filter(|e| e.accepted).map(|e| e.objective).fold(f64::INFINITY, f64::min)
}

/// The value of `objective` at `x`.
pub fn value(mut objective: impl Objective, x: &[f64]) -> f64 {
    objective.evaluate(x, &mut vec![0.0; x.len()]).unwrap()
}

/// Reads the reference results in `tests/reference/<name>.json`.
pub fn load(name: &str) -> Value {
    let path = format!("{}/tests/reference/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

pub fn count(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// The relative difference ‖a − b‖ / ‖b‖ in the Euclidean norm.
pub fn relative(a: &[f64], b: &[f64]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}
