//! Settings and results survive JSON.

use std::fmt::Debug;

use crate::engine::{
    CpuEngine, Engine, EngineChoice, EngineInfo, EngineKind, Fit, NumberFormat, Pair, PhaseEnd, TableFormat,
    Traffic,
};
use crate::flow::{Adam, Flow, GradientDescent, Momentum, Newton, OptimalityCriteria, ProjectedGradient};
use crate::method::{Adaptive, Cadence, Cosine, CosineTest, Field, Fixed, Method, Potential};
use crate::report::{HistoryEntry, PhaseEntry, Report, StopReason};
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::selection::Verdict;
use crate::surrogate::{
    Differences, Integrator, Lift, ModelSelection, Rank, Regression, Ridge, SpaceConfig, SurrogateConfig,
    TargetTransform, Targets, WeakForm,
};
use crate::topology::{
    Compliance, Continuation, FilterKind, Levels, Preset, Projection, Recipe, Region, Shape, Solution,
    Structure,
};
use crate::{Lgf, LgfConfig, Settled, Stopping};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn descent(rate: f64) -> Flow {
    Flow::GradientDescent(GradientDescent { rate })
}

fn adaptive(flow: Flow) -> Method {
    Field::adaptive(flow, SurrogateConfig::snapshots()).into()
}

/// `method`, which stops by a budget and by nothing else.
fn lgf(method: impl Into<Method>, max_evaluations: usize) -> Lgf {
    let stopping = Stopping::default().evaluations(max_evaluations).tolerance(0.0);
    Lgf::new(method).unwrap().stopping(stopping).unwrap()
}

/// What is read back from JSON, which is the same JSON.
fn read_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).unwrap();
    let found: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(serde_json::to_string(&found).unwrap(), text);
    found
}

fn assert_survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    assert_eq!(read_back(&value), value);
}

/// A number that has no short decimal form.
const THIRD: f64 = 1.0 / 3.0;

fn surrogates() -> Vec<SurrogateConfig> {
    let base = SurrogateConfig::snapshots();
    let ridge = Regression::ridge(Ridge::Absolute(THIRD));
    let weak = WeakForm { half_width: 2, power: 3, stride: 1, include_endpoints: true };
    let spaces = [
        SpaceConfig::Full,
        SpaceConfig::Implicit,
        SpaceConfig::Reduced { rank: Rank::Full, centered: true },
        SpaceConfig::Reduced { rank: Rank::Count(3), centered: false },
        SpaceConfig::Reduced { rank: Rank::Energy(0.1 + 0.2), centered: true },
    ];
    let targets = [
        Targets::Tracked,
        Targets::StrongForm { differences: Differences::Forward },
        Targets::StrongForm { differences: Differences::Central },
        Targets::StrongForm { differences: Differences::FivePoint },
        Targets::WeakForm(weak),
    ];
    let spaces = spaces.map(|space| SurrogateConfig { space, lift: Lift::Trajectory, ..base });
    let targets = targets.map(|targets| SurrogateConfig { targets, regression: ridge, ..base });
    let others = [
        SurrogateConfig::topology(),
        SurrogateConfig { transform: TargetTransform::LogDamped { damping: -THIRD }, order: 3, ..base },
        SurrogateConfig { regression: Regression::paper(), bias: !base.bias, orthonormal: true, ..base },
    ];
    spaces.into_iter().chain(targets).chain(others).collect()
}

fn flows() -> [Flow; 8] {
    [
        Flow::GradientDescent(GradientDescent { rate: THIRD }),
        Flow::Newton(Newton { rate: 0.15 }),
        Flow::Momentum(Momentum { rate: THIRD, friction: 0.1, nesterov: true }),
        Flow::Momentum(Momentum { rate: 1e-300, friction: 0.0, nesterov: false }),
        Flow::Adam(Adam::new(0.1)),
        Flow::Adam(Adam { amsgrad: true, ..Adam::new(0.1) }),
        Flow::OptimalityCriteria(OptimalityCriteria { move_limit: THIRD }),
        Flow::ProjectedGradient(ProjectedGradient { rate: 1e22 }),
    ]
}

fn methods() -> Vec<Method> {
    let snapshots = SurrogateConfig::snapshots();
    let unbounded = Adaptive {
        trust_radius: f64::INFINITY,
        landing_tolerance: f64::INFINITY,
        ..Adaptive::with_window(5, 20)
    };
    let fixed = Fixed { landing_tolerance: f64::INFINITY, record_after_step: true, ..Fixed::new(4, 9) };
    let cosine =
        CosineTest { reach: Some(THIRD), landing_tolerance: f64::INFINITY, ..CosineTest::with_window(4) };
    let integrators = [
        Integrator::FlowStep,
        Integrator::Euler,
        Integrator::Rk4,
        Integrator::DormandPrince { rtol: 1e-5, atol: THIRD },
    ];
    let field = Field::adaptive(descent(0.1), snapshots);
    let selection = Some(ModelSelection { ridge_factor: 1.0 + THIRD, ..ModelSelection::default() });
    let mut methods: Vec<Method> = flows().map(Method::from).into();
    methods.extend(integrators.map(|integrator| Method::from(Field { integrator, ..field })));
    methods.extend(surrogates().into_iter().map(|surrogate| Method::from(Field { surrogate, ..field })));
    methods.extend([
        Field { selection, ..field }.into(),
        Field { cadence: Cadence::Adaptive(unbounded), ..field }.into(),
        Field { cadence: Cadence::Fixed(fixed), ..field }.into(),
        Cosine::new(descent(0.1), snapshots).into(),
        Method::from(Cosine { rule: cosine, ..Cosine::new(descent(0.1), snapshots) }),
        Potential { radius: THIRD, order: 4, ..Potential::default() }.into(),
    ]);
    methods
}

fn stoppings() -> [Stopping; 3] {
    [
        Stopping::default(),
        Stopping::default().evaluations(usize::MAX).tolerance(THIRD).target(-0.1 - 0.2).seconds(1e-9),
        Stopping {
            settled: Some(Settled { evaluations: 3, change: THIRD, residual: Some(THIRD) }),
            ..Stopping::default()
        },
    ]
}

#[test]
fn settings_survive() {
    for surrogate in surrogates() {
        assert_survives(surrogate);
    }
    for method in methods() {
        assert_survives(method);
        for stopping in stoppings() {
            assert_survives(LgfConfig { method, stopping });
            for levels in [Levels::Auto, Levels::Count(3)] {
                for continuation in [Continuation::Auto, Continuation::On, Continuation::Off] {
                    assert_survives(Recipe { method, levels, continuation, stopping });
                }
            }
        }
    }
    let bounded = Shape::Box { lower: vec![0.1, -0.2], upper: vec![THIRD, 0.7] };
    let disc = Shape::Sphere { centre: vec![THIRD, 0.5], radius: 0.1 + 0.2 };
    let base = Structure::mbb(7, 5, FilterKind::Sensitivity);
    for preset in
        [Preset::Mbb, Preset::Cantilever, Preset::CantileverTwoLoads, Preset::LBracket, Preset::TwoLoadBridge]
    {
        assert_survives(Structure::preset(preset, &[7, 5]).unwrap());
    }
    assert_survives(Structure {
        filter: FilterKind::Density,
        regions: vec![Region::void(bounded), Region::solid(disc)],
        projection: Some(Projection { beta: THIRD }),
        ..base
    });
    for choice in [EngineChoice::Auto, EngineChoice::Gpu, EngineChoice::Cpu, EngineChoice::CpuSingle] {
        assert_survives(choice);
    }
    assert_survives([TableFormat::State, TableFormat::F16]);
}

/// What is left out is what it is by default.
#[test]
fn settings_may_be_left_out() {
    let read = |text: &str| serde_json::from_str::<Method>(text).unwrap();
    assert_eq!(
        read(r#"{"potential": {"steps": 100}}"#),
        Potential { steps: 100, ..Potential::default() }.into()
    );
    let stopping: Stopping = serde_json::from_str(r#"{"max-evaluations": 7}"#).unwrap();
    assert_eq!(stopping, Stopping::default().evaluations(7));
    let Method::Field(Field { cadence: Cadence::Adaptive(adaptive), .. }) = adaptive(descent(0.1)) else {
        panic!("an adaptive field")
    };
    assert_eq!(serde_json::from_str::<Adaptive>("{}").unwrap(), adaptive);
    assert_eq!(serde_json::from_str::<Recipe>("{}").unwrap(), Recipe::default());
}

fn reasons() -> Vec<StopReason> {
    let message = String::from("\"no\" mesh\n");
    vec![
        StopReason::Converged { change: THIRD, tolerance: 0.1 },
        StopReason::Converged { change: f64::INFINITY, tolerance: 0.1 },
        StopReason::Stalled { evaluations: 3 },
        StopReason::TargetReached { target: -THIRD },
        StopReason::TargetReached { target: f64::INFINITY },
        StopReason::Settled { change: THIRD, evaluations: 5 },
        StopReason::TimeSpent { seconds: THIRD },
        StopReason::MaxEvaluations { limit: 9 },
        StopReason::NonFinite { what: "value".into(), evaluation: 2 },
        StopReason::ObjectiveFailed { message: message.clone(), evaluation: 2 },
        StopReason::Diverged { iteration: 4 },
        StopReason::Unbounded { what: "the value".into(), found: -1e120 },
        StopReason::EngineFailed { message },
        StopReason::Interrupted,
    ]
}

fn phase() -> PhaseEntry {
    PhaseEntry {
        evaluation: 8,
        fit: Fit { samples: 6, rank: 5, energy: 0.9 + THIRD * 0.1, features: 6, ridge: 1e-7 },
        residual: Some(THIRD),
        horizon: 16,
        steps: 9,
        end: PhaseEnd::Radius,
        damping: Some(0.75),
        predicted_change: -THIRD,
        true_change: Some(-0.1 - 0.2),
        accepted: true,
        selection: Some(Verdict {
            candidates: 12,
            order: 2,
            rank: Some(4),
            ridge: THIRD,
            error: 0.1,
            runner_up: None,
            persistence: f64::INFINITY,
        }),
    }
}

#[test]
fn results_survive() {
    for reason in reasons() {
        assert_survives(reason);
    }
    for end in [PhaseEnd::Horizon, PhaseEnd::Radius, PhaseEnd::NonFinite, PhaseEnd::Minimum] {
        assert_survives(PhaseEntry { end, ..phase() });
    }
    assert_survives(HistoryEntry { evaluation: 3, iteration: 19, objective: THIRD, accepted: false });
    assert_survives(Traffic { readbacks: u64::MAX, submits: 1, dispatches: 0 });
    assert_survives(EngineInfo {
        kind: EngineKind::Gpu,
        adapter: "a \"device\"".into(),
        state: NumberFormat::F32,
        precision: "f32".into(),
        software: true,
    });
    assert_survives(CpuEngine::new().info());
    let note = PairNote { remainder: THIRD, kept: false };
    assert_survives(Pair { displacement: vec![THIRD, -0.0], change: vec![5e-324, 1.7e308], note });

    for method in [adaptive(descent(1.0 / 1024.0)), Potential::default().into()] {
        let valley = crate::problems::Rosenbrock { dimension: 4 };
        let report = lgf(method, 40).on(CpuEngine::new()).minimize(valley, &[-0.5; 4]).unwrap();
        assert!(!report.phases.is_empty());
        for stop in reasons() {
            let report = Report { stop, ..report.clone() };
            assert_eq!(read_back(&report), Report { x: Vec::new(), gradient: Vec::new(), ..report });
        }
    }
}

#[test]
fn a_solution_survives() {
    let mut problem = Compliance::new(Structure::mbb(30, 10, FilterKind::Density)).unwrap();
    let recipe = Recipe { levels: Levels::Count(2), ..Recipe::default() };
    let solution = recipe.solve(&mut problem, CpuEngine::new(), ()).unwrap();
    let found: Solution = read_back(&solution);
    assert!(!solution.levels.is_empty() && found.levels == solution.levels);
    assert_eq!((found.objective, found.volume), (solution.objective, solution.volume));
    assert_eq!(found.report, Report { x: Vec::new(), gradient: Vec::new(), ..solution.report });
    assert!(found.design.is_empty());
}

/// JSON has no notation for them.
#[test]
fn numbers_that_are_not_finite_can_be_read_back() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let fit = Fit { energy: number, ridge: number, ..phase().fit };
        let found = read_back(&PhaseEntry {
            fit,
            residual: Some(number),
            predicted_change: number,
            true_change: Some(number),
            ..phase()
        });
        assert!(found.predicted_change.is_nan() && found.fit.energy.is_nan() && found.fit.ridge.is_nan());
        assert_eq!((found.residual, found.true_change), (None, None));
        read_back(&Stopping::default().target(number));
        read_back(&StopReason::TargetReached { target: number });
    }
    // A whole report with a phase that has left the finite numbers.
    let valley = crate::problems::Rosenbrock { dimension: 2 };
    let mut report: Report =
        lgf(adaptive(descent(1.0 / 1024.0)), 12).on(CpuEngine::new()).minimize(valley, &[-0.5; 2]).unwrap();
    report.phases.push(PhaseEntry { predicted_change: f64::NEG_INFINITY, ..phase() });
    read_back(&report);
}

#[test]
fn tolerances_are_written_as_people_write_them() {
    for (tolerance, written) in [
        (0.01, "0.01"),
        (0.000_300_000_000_000_000_03, "0.0003"),
        (1e-6, "1e-6"),
        (7.742_4e143, "7.74e143"),
        (0.0, "0"),
    ] {
        let text = StopReason::Converged { change: 0.0, tolerance }.to_string();
        assert!(text.contains(&format!("by more than {written} (")), "{text}");
    }
}
