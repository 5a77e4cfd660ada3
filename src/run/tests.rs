//! No fault of an engine loses what a run has reached.

use super::*;
use crate::Stopping;
use crate::engine::gpu::AdapterChoice;
use crate::engine::{CpuEngine, EngineKind, Fragile, GpuEngine};
use crate::error::{EngineError, Error};
use crate::flow::{Adam, Flow, GradientDescent};
use crate::method::{Cosine, Field, Method, Potential};
use crate::objective::Objective;
use crate::problems::Rosenbrock;
use crate::report::{Report, StopReason};
use crate::surrogate::{ModelSelection, SurrogateConfig};

const VALLEY: Rosenbrock = Rosenbrock { dimension: 4 };
const START: [f64; 4] = [-1.2, 1.0, -1.2, 1.0];

/// Everything that a run may ask of an engine once it has begun, and can be refused.
const CALLS: [&str; 13] = [
    "read",
    "set_gradient",
    "record",
    "step",
    "select",
    "fit",
    "integrate",
    "record_pair",
    "fit_potential",
    "minimize",
    "compare",
    "trust",
    "restore",
];

/// Every method, with phases that are kept and phases that are undone.
fn runs() -> Vec<Lgf> {
    let (descent, snapshots) =
        (Flow::GradientDescent(GradientDescent { rate: 1.0 / 1024.0 }), SurrogateConfig::snapshots());
    let selection = Some(ModelSelection::default());
    let adaptive = Field::adaptive(Flow::Adam(Adam::new(0.02)), snapshots);
    let methods: [Method; 6] = [
        descent.into(),
        Field::fixed(descent, snapshots, 4, 200).into(),
        adaptive.into(),
        Field { selection, ..adaptive }.into(),
        Cosine::new(descent, snapshots).into(),
        Potential::default().into(),
    ];
    let stopping = Stopping::default().evaluations(60).tolerance(0.0);
    methods.into_iter().map(|method| Lgf::new(method).unwrap().stopping(stopping).unwrap()).collect()
}

/// What holds of every report of a run of [`VALLEY`] that was cut short.
fn check_cut_short(report: &Report, context: &str) {
    let trusted = report.history.iter().filter(|entry| entry.accepted);
    let best = trusted.min_by(|a, b| a.objective.total_cmp(&b.objective)).unwrap();
    assert_eq!((report.objective, report.best_evaluation), (best.objective, best.evaluation), "{context}");
    let value = VALLEY.clone().evaluate(&report.x, &mut [0.0; 4]).unwrap();
    assert_eq!(value, report.objective, "{context}");
}

/// A device that is lost before any call of the engine that reaches it: the best design is there, the loss
/// has its name, and the CPU goes on. The call itself fails, or one after it where the device is not asked
/// for an answer.
#[test]
fn a_device_that_is_lost_at_any_call_loses_nothing() {
    let mut left: std::collections::BTreeSet<&str> = CALLS.into_iter().collect();
    for lgf in runs() {
        let name = lgf.config().method.name();
        for call in CALLS {
            let at = if matches!(call, "fit" | "select" | "restore" | "minimize") { 1 } else { 3 };
            // Each call is tried by the first method that makes it and goes on, as the CPU engine tells.
            let is_made = || lgf.on(Fragile::new(call, at)).minimize(VALLEY, &START).is_err();
            if !left.contains(call) || !is_made() {
                continue;
            }
            let context = format!("{name}, {call} number {at}");
            let gpu = GpuEngine::open(AdapterChoice::Any).expect("the GPU tests need an adapter");
            let mut engine = Fragile::on(gpu, call, at);
            let report = match lgf.on(&mut engine).minimize(VALLEY, &START) {
                // The device takes another way, on which the call is the last one or is not made.
                Ok(report) => {
                    check_cut_short(&report, &context);
                    continue;
                }
                Err(RunError::CutShort { source: Error::Engine(EngineError::Lost(_)), report }) => *report,
                other => panic!("{context}: {other:?}"),
            };
            left.remove(call);
            assert!(matches!(report.stop, StopReason::EngineFailed { .. }), "{context}: {}", report.stop);
            check_cut_short(&report, &context);
            let resumed = lgf.on(CpuEngine::new()).minimize(VALLEY, &report).unwrap();
            assert_eq!(resumed.history[..report.history.len()], report.history[..], "{context}");
            assert!(resumed.objective <= report.objective, "{context}");
        }
    }
    assert!(left.is_empty(), "no run made these calls often enough: {left:?}");
}

#[test]
fn no_fault_of_an_engine_loses_the_best_iterate_or_the_history() {
    let mut reached = std::collections::BTreeMap::new();
    for lgf in runs() {
        let name = lgf.config().method.name();
        let whole = lgf.on(CpuEngine::new()).minimize(VALLEY, &START).unwrap();
        for (call, at) in CALLS.iter().flat_map(|call| [1, 2, 3, 5, 8, 13, 21, 34].map(|at| (*call, at))) {
            let context = format!("{name}, {call} number {at}");
            let report = match lgf.on(Fragile::new(call, at)).minimize(VALLEY, &START) {
                Err(RunError::CutShort { source: Error::Engine(EngineError::Lost(_)), report }) => *report,
                // Nothing has been evaluated: there is nothing to lose.
                Err(RunError::NotStarted(Error::Engine(EngineError::Lost(_))))
                    if at == 1 && matches!(call, "read" | "set_gradient") =>
                {
                    continue;
                }
                Ok(report) => {
                    assert_eq!((report.x, report.history), (whole.x.clone(), whole.history.clone()));
                    continue;
                }
                other => panic!("{context}: {other:?}"),
            };
            *reached.entry(call).or_insert(0) += 1;
            let lost = StopReason::EngineFailed {
                message: format!("the GPU device was lost: pulled out at {call}"),
            };
            assert_eq!(report.stop, lost, "{context}");
            // All that was evaluated is there, but for an evaluation whose gradient has found no engine.
            assert_eq!(report.history[..], whole.history[..report.history.len()], "{context}");
            let unheard = usize::from(call == "set_gradient");
            assert_eq!(report.true_evaluations, report.history.len() + unheard, "{context}");
            check_cut_short(&report, &context);
            let mut gradient = [0.0; 4];
            VALLEY.clone().evaluate(&report.x, &mut gradient).unwrap();
            let largest = |gradient: &[f64]| gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            let residual = largest(&gradient) / whole.first_slope;
            assert_eq!(
                (report.first_slope, report.kkt_residual),
                (whole.first_slope, Some(residual)),
                "{context}"
            );
            // And another engine goes on from there.
            let resumed = lgf.on(CpuEngine::new()).minimize(VALLEY, &report).unwrap();
            assert_eq!(resumed.engine.kind, EngineKind::Cpu);
            assert_eq!(resumed.history[..report.history.len()], report.history[..], "{context}");
            assert!(resumed.objective <= report.objective, "{context}");
        }
    }
    assert!(CALLS.iter().all(|call| reached.contains_key(call)), "no run was cut short at some: {reached:?}");
}
