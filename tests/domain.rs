//! Tests of bounds per unknown and volume constraints through whole runs.

use lgf::domain::{Bounds, Domain, Volume, kkt_residual};
use lgf::engine::{CpuEngine, Engine, EngineKind};
use lgf::error::ObjectiveError;
use lgf::flow::{Flow, OptimalityCriteria, ProjectedGradient};
use lgf::method::{Field, Method, Potential};
use lgf::objective::Objective;
use lgf::peers::Peer;
use lgf::report::Report;
use lgf::surrogate::SurrogateConfig;
use lgf::{Error, Lgf, RunError, Stopping};

mod common;
use common::gpu;

const INF: f64 = f64::INFINITY;

/// A separable function with a closed form of its constrained minimum.
#[derive(Clone)]
struct Separable {
    domain: Domain,
    kind: Kind,
    sizes: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// The function ½ Σ (1 + i mod 5) (xᵢ − aᵢ)².
    Quadratic,
    /// The function −2 Σ aᵢ √xᵢ, whose gradient is negative, as the OC flow needs it.
    Roots,
}

fn curvature(i: usize) -> f64 {
    1.0 + (i % 5) as f64
}

impl Objective for Separable {
    fn dimension(&self) -> usize {
        self.sizes.len()
    }
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let mut value = 0.0;
        for (i, (x, a)) in x.iter().zip(&self.sizes).enumerate() {
            let (f, g) = match self.kind {
                Kind::Quadratic => (0.5 * curvature(i) * (x - a) * (x - a), curvature(i) * (x - a)),
                Kind::Roots => (-2.0 * a * x.sqrt(), -a / x.sqrt()),
            };
            value += f;
            gradient[i] = g;
        }
        Ok(value)
    }
    fn domain(&self) -> Domain {
        self.domain.clone()
    }
}

impl Separable {
    /// The minimum of f + μ Σ wᵢ xᵢ on the bounds.
    fn at(&self, mu: f64) -> Vec<f64> {
        let bounds = self.domain.bounds();
        let weight = |i: usize| self.domain.volume().map_or(0.0, |volume| volume.weights[i]);
        let free = |i: usize| match self.kind {
            Kind::Quadratic => self.sizes[i] - mu * weight(i) / curvature(i),
            Kind::Roots => (self.sizes[i] / (mu * weight(i))).powi(2),
        };
        (0..self.sizes.len()).map(|i| free(i).max(bounds.at(i)[0]).min(bounds.at(i)[1])).collect()
    }

    /// The constrained minimum; its multiplier must be positive where there is a volume constraint.
    fn minimum(&self) -> Vec<f64> {
        let Some(volume) = self.domain.volume() else { return self.at(0.0) };
        let (mut low, mut high) = (1e-9, 1e3);
        assert!(volume.of(&self.at(low)) > volume.bound && volume.of(&self.at(high)) < volume.bound);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if volume.of(&self.at(middle)) > volume.bound { low = middle } else { high = middle }
        }
        self.at(high)
    }
}

/// Unknowns whose minimum lies below, between and above their own bounds, some of which are missing; d is
/// more than one chunk of the CPU engine, and no multiple of anything.
fn quadratic(d: usize, volume: bool) -> Separable {
    let sizes: Vec<f64> = (0..d).map(|i| 2.0 * (0.7 * i as f64).sin()).collect();
    let lower: Vec<f64> = (0..d).map(|i| if i % 3 == 0 { -INF } else { -0.1 * (i % 7) as f64 }).collect();
    let upper: Vec<f64> = (0..d).map(|i| if i % 4 == 1 { INF } else { 0.2 + 0.1 * (i % 9) as f64 }).collect();
    let bounds = Bounds::per_unknown(lower, upper);
    let weights: Vec<f64> = (0..d).map(|i| 1.0 + 0.5 * (0.3 * i as f64).cos()).collect();
    let domain = if volume {
        Domain::BoxVolume { bounds, volume: Volume::new(weights, -0.25 * d as f64) }
    } else {
        Domain::Box(bounds)
    };
    Separable { domain, kind: Kind::Quadratic, sizes }
}

fn roots(bounds: Bounds, d: usize) -> Separable {
    let sizes = (0..d).map(|i| 1.0 + 0.6 * (1.3 * i as f64).sin()).collect();
    let weights: Vec<f64> = (0..d).map(|i| 1.0 + 0.5 * (0.3 * i as f64).cos()).collect();
    let volume = Volume::new(weights, 0.4 * d as f64);
    Separable { domain: Domain::BoxVolume { bounds, volume }, kind: Kind::Roots, sizes }
}

fn lgf(method: impl Into<Method>, max_evaluations: usize) -> Lgf {
    let stopping = Stopping::default().evaluations(max_evaluations).tolerance(0.0);
    Lgf::new(method).unwrap().stopping(stopping).unwrap()
}

fn descent(max_evaluations: usize) -> Lgf {
    lgf(Flow::ProjectedGradient(ProjectedGradient { rate: 0.2 }), max_evaluations)
}

const CRITERIA: Flow = Flow::OptimalityCriteria(OptimalityCriteria { move_limit: 0.2 });

fn criteria(max_evaluations: usize) -> Lgf {
    lgf(CRITERIA, max_evaluations)
}

fn potential(max_evaluations: usize) -> Lgf {
    lgf(Potential::default(), max_evaluations)
}

fn run(lgf: Lgf, objective: &Separable, start: &[f64], engine: &mut dyn Engine) -> Report {
    lgf.on(engine).minimize(objective.clone(), start).unwrap()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Bounds stored as one pair and as slices give the same results.
#[test]
fn the_same_pair_for_every_unknown_is_one_pair_to_the_last_bit() {
    let d = 2500;
    let pairs = [Bounds::uniform(0.05, 1.0), Bounds::per_unknown(vec![0.05; d], vec![1.0; d])];
    let start = vec![0.3; d];
    for config in [
        descent(12),
        criteria(12),
        lgf(Field::adaptive(CRITERIA, SurrogateConfig::snapshots()), 24),
        potential(12),
    ] {
        for with_volume in [true, false] {
            if !with_volume && matches!(config.config().method.flow(), Some(Flow::OptimalityCriteria(_))) {
                continue;
            }
            let engines: [fn() -> Box<dyn Engine>; 2] =
                [|| Box::new(CpuEngine::new()), || Box::new(CpuEngine::single())];
            for engine in engines {
                let [one, each] = pairs.clone().map(|bounds| {
                    let mut objective = roots(bounds.clone(), d);
                    if !matches!(config.config().method.flow(), Some(Flow::OptimalityCriteria(_))) {
                        objective.kind = Kind::Quadratic;
                        objective.sizes = (0..d).map(|i| 2.0 * (0.7 * i as f64).sin()).collect();
                    }
                    if !with_volume {
                        objective.domain = Domain::Box(bounds);
                    }
                    let report = run(config, &objective, &start, &mut *engine());
                    let values: Vec<u64> = report.history.iter().map(|e| e.objective.to_bits()).collect();
                    let x: Vec<u64> = report.x.iter().map(|x| x.to_bits()).collect();
                    (x, values, report.kkt_residual.map(f64::to_bits))
                });
                assert!(one.1.len() > 8 && one.1[0] != one.1[8], "nothing happened: {config:?}");
                assert!(one == each, "with a volume: {with_volume}, {config:?}");
            }
        }
    }
}

/// Some of the bounds are half-open.
#[test]
fn every_unknown_ends_at_its_own_bound_or_at_the_minimum_between() {
    let d = 1501;
    let mut gpu = gpu();
    for with_volume in [false, true] {
        let objective = quadratic(d, with_volume);
        let exact = objective.minimum();
        // Where a bound is missing, the unknown is as far below as the volume requires.
        let start = objective.domain.project(&vec![0.0; d]);
        let bounds = objective.domain.bounds();
        let touched = |side: usize| (0..d).filter(|&i| exact[i] == bounds.at(i)[side]).count();
        assert!(touched(0) > d / 20 && touched(1) > d / 20 && touched(0) + touched(1) < d * 3 / 4);
        // The iterate of the least value is returned; values resolve the distance to the root of a rounding.
        for (what, config, allowed, in_single) in
            [("descent", descent(150), 1e-7, 1e-6), ("potential", potential(80), 1e-6, 2e-3)]
        {
            let report = run(config, &objective, &start, &mut CpuEngine::new());
            let error = distance(&report.x, &exact);
            assert!(error < allowed, "{what}, volume {with_volume}: off by {error:e}, {}", report.stop);
            assert!(report.kkt_residual.is_some_and(|r| r < 1e-5), "{:?}", report.kkt_residual);
            // In f32 an iterate is rounded; bounds of the size of 1 hold to a rounding.
            for engine in [&mut CpuEngine::single() as &mut dyn Engine, &mut gpu] {
                let report = run(config, &objective, &start, engine);
                let error = distance(&report.x, &exact);
                let kind = report.engine.kind;
                // Sums over d of f32 iterates are off by up to d ε |w x| / 2, some 10⁻⁴; typically √d ε, some
                // 2·10⁻⁶. With a multiplier of the size of 1, that is how far values at the minimum differ:
                // the iterate of the least one is off by the root of twice that.
                let allowed = if kind == EngineKind::Gpu { 2e-3 } else { in_single };
                assert!(error < allowed, "{what} on {kind:?}, volume {with_volume}: off by {error:e}");
                for (i, x) in report.x.iter().enumerate() {
                    let [lower, upper] = bounds.at(i);
                    assert!(*x >= lower - 1e-7 && *x <= upper + 1e-7, "{x} beyond [{lower}, {upper}]");
                }
            }
        }
    }
}

#[test]
fn optimality_criteria_keep_to_each_unknowns_bounds() {
    let d = 1501;
    let bounds = Bounds::per_unknown(
        (0..d).map(|i| 0.05 * (i % 5) as f64 + 0.01).collect::<Vec<_>>(),
        (0..d).map(|i| 0.45 + 0.1 * (i % 6) as f64).collect::<Vec<_>>(),
    );
    let objective = roots(bounds, d);
    let exact = objective.minimum();
    let limits = objective.domain.bounds();
    let touched = |side: usize| (0..d).filter(|&i| exact[i] == limits.at(i)[side]).count();
    assert!(touched(0) > d / 20 && touched(1) > d / 20, "{} and {}", touched(0), touched(1));
    let start = objective.domain.project(&vec![0.35; d]);
    let report = run(criteria(120), &objective, &start, &mut CpuEngine::new());
    let error = distance(&report.x, &exact);
    assert!(error < 1e-9, "off by {error:e}");
    let mut gradient = vec![0.0; d];
    objective.clone().evaluate(&exact, &mut gradient).unwrap();
    assert!(kkt_residual(&objective.domain, &exact, &gradient) < 1e-9);
    for engine in [&mut CpuEngine::single() as &mut dyn Engine, &mut gpu()] {
        let report = run(criteria(120), &objective, &start, engine);
        let error = distance(&report.x, &exact);
        assert!(error < 2e-3, "in f32 off by {error:e}");
    }
}

#[test]
fn peers_take_bounds_per_unknown() {
    let d = 12;
    let sizes: Vec<f64> = (0..d).map(|i| 2.0 * (0.7 * i as f64).sin()).collect();
    let bounds = |open: bool| {
        Bounds::per_unknown(
            (0..d).map(|i| if open && i % 3 == 0 { -INF } else { -0.5 - 0.1 * i as f64 }).collect::<Vec<_>>(),
            (0..d).map(|i| 0.3 + 0.1 * i as f64).collect::<Vec<_>>(),
        )
    };
    let problem = |open: bool| Separable {
        domain: Domain::BoxVolume { bounds: bounds(open), volume: Volume::new(vec![1.0; d], -1.5) },
        kind: Kind::Quadratic,
        sizes: sizes.clone(),
    };
    for (peer, open, allowed) in [
        (Peer::Spg, true, 1e-6),
        (Peer::Pqn, true, 1e-6),
        (Peer::Mma, false, 1e-4),
        (Peer::Simpl, false, 1e-4),
        (Peer::LbfgsSigmoid, false, 1e-3),
    ] {
        let mut objective = problem(open);
        let start = objective.domain.project(&vec![-0.2; d]);
        let exact = objective.minimum();
        let course = peer.minimize(&mut objective, &start, 400, 1e-10, &mut ()).unwrap();
        let error = distance(&course.x, &exact);
        assert!(error < allowed, "{}: off by {error:e} after {}", peer.name(), course.history.len());
    }
    for peer in [Peer::Mma, Peer::Simpl, Peer::LbfgsSigmoid, Peer::Dmd] {
        let mut objective = problem(true);
        let start = objective.domain.project(&vec![-0.2; d]);
        let refused = peer.minimize(&mut objective, &start, 9, 0.0, &mut ()).unwrap_err().to_string();
        assert!(refused.contains("finite bounds"), "{}: {refused}", peer.name());
    }
}

#[test]
fn what_a_flow_or_an_engine_cannot_take_is_refused() {
    let refused = |lgf: Lgf, objective: &Separable, start: &[f64], engine: &mut dyn Engine| match lgf
        .on(engine)
        .minimize(objective.clone(), start)
    {
        Err(RunError::NotStarted(error @ Error::Settings(_))) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let open = roots(Bounds::per_unknown(vec![0.1; 3], vec![1.0, INF, 1.0]), 3);
    let why = refused(criteria(9), &open, &[0.2; 3], &mut CpuEngine::new());
    assert!(why.contains("upper bound is inf"), "{why}");
    let why = refused(criteria(9), &open, &[0.2; 3], &mut gpu());
    assert!(why.contains("upper bound is inf"), "{why}");
    let short = Separable { domain: Domain::Box(Bounds::per_unknown([0.0; 2], [1.0; 2])), ..open };
    let error = potential(9).on(CpuEngine::new()).minimize(short.clone(), &[0.2; 3]).unwrap_err();
    assert!(error.to_string().contains("length 2, expected 3"), "{error}");
}
