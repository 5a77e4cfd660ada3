//! The f64 reference engine: readable, parallel over d, and the default where there is no GPU.

pub(crate) mod kernels;

use ndarray::{Array1, Array2, ArrayView1};

use crate::engine::fit::{FitPlan, Grams};
use crate::engine::interface::{Engine, EngineInfo, Fit, Landing, PhaseEnd, PhaseLimits, Setup, Traffic};
use crate::engine::ring::Ring;
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::objective::Domain;
use crate::surrogate::{Library, Lift, SurrogateConfig, TargetTransform, Targets, regression};

/// What a step reads and writes.
#[derive(Debug, Clone, Default)]
struct State {
    x: Array1<f64>,
    gradient: Array1<f64>,
    /// The flow's own vectors (ADAM: m and v).
    auxiliary: Vec<Array1<f64>>,
    /// Steps taken, true and surrogate.
    steps: u64,
}

/// A fitted surrogate.
#[derive(Debug, Clone)]
struct Model {
    library: Library,
    coefficients: Array2<f64>,
    basis: Array2<f64>,
    mean: Array1<f64>,
    centered: bool,
    scale: f64,
    radius: f64,
    transform: TargetTransform,
    lift_table: Array2<f64>,
    fit_residual: f64,
}

/// The engine on the CPU; see the [module](self).
#[derive(Debug)]
pub struct CpuEngine {
    flow: Option<Flow>,
    domain: Domain,
    ring: Ring,
    iterates: Array2<f64>,
    gradients: Array2<f64>,
    state: State,
    trusted: State,
    model: Option<Model>,
    landing: Landing,
    traffic: Traffic,
}

const NOTHING: Landing = Landing { steps: 0, end: PhaseEnd::Horizon, predicted_change: 0.0, fit_residual: None };

impl Default for CpuEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuEngine {
    /// An engine without a run.
    pub fn new() -> Self {
        Self {
            flow: None,
            domain: Domain::Unbounded,
            ring: Ring::default(),
            iterates: Array2::zeros((0, 0)),
            gradients: Array2::zeros((0, 0)),
            state: State::default(),
            trusted: State::default(),
            model: None,
            landing: NOTHING,
            traffic: Traffic::default(),
        }
    }

    fn started(&self) -> Result<Flow> {
        self.flow.ok_or_else(|| Error::Incompatible("the engine has not been started".into()))
    }

    /// One step of the flow with the state's gradient.
    fn advance(&mut self, flow: Flow) {
        let State { x, gradient, auxiliary, steps } = &mut self.state;
        *steps += 1;
        let change = match flow {
            Flow::GradientDescent(flow) => kernels::gradient_descent(flow, x, gradient.view()),
            Flow::Adam(flow) => {
                let [m, v] = &mut auxiliary[..] else { unreachable!("start() gives ADAM its two moments") };
                kernels::adam(flow, x, gradient.view(), m, v, *steps)
            }
            Flow::OptimalityCriteria(flow) => kernels::optimality_criteria(flow, x, gradient.view(), &self.domain),
        };
        self.landing.predicted_change += change;
    }
}

impl Engine for CpuEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo { engine: "cpu", adapter: format!("{} threads", rayon::current_num_threads()), precision: "f64".into(), software: false }
    }

    fn start(&mut self, setup: Setup<'_>) -> Result<()> {
        let d = setup.start.len();
        let auxiliary = vec![Array1::zeros(d); setup.flow.auxiliary_vectors()];
        let state = State { x: Array1::from(setup.start.to_vec()), gradient: Array1::zeros(d), auxiliary, steps: 0 };
        *self = Self {
            flow: Some(setup.flow),
            domain: setup.domain.clone(),
            ring: Ring::new(setup.capacity),
            iterates: Array2::zeros((setup.capacity, d)),
            gradients: Array2::zeros((setup.capacity, d)),
            trusted: state.clone(),
            state,
            ..Self::new()
        };
        Ok(())
    }

    fn push(&mut self, gradient: &[f64]) -> Result<()> {
        self.started()?;
        if gradient.len() != self.state.x.len() {
            return Err(Error::Length { name: "the gradient", found: gradient.len(), expected: self.state.x.len() });
        }
        self.state.gradient.assign(&ArrayView1::from(gradient));
        if let Some(row) = self.ring.push() {
            self.iterates.row_mut(row).assign(&self.state.x);
            self.gradients.row_mut(row).assign(&self.state.gradient);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let flow = self.started()?;
        self.advance(flow);
        Ok(())
    }

    fn fit(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        let flow = self.started()?;
        let rows = self.ring.rows();
        let x = self.iterates.select(ndarray::Axis(0), &rows);
        let targets = kernels::target_encode(config.transform, self.gradients.select(ndarray::Axis(0), &rows).view(), x.view());
        // Differences to a sample keep the digits that inner products of nearly equal iterates would lose.
        let reference = if config.centered { x.rows().into_iter().next_back() } else { None };
        let mut grams = Grams { xx: kernels::gram(x.view(), reference), xy: Array2::zeros((0, 0)), yy: Array2::zeros((0, 0)) };
        if config.targets == Targets::Tracked {
            grams.xy = kernels::cross(x.view(), targets.view(), reference, None);
            grams.yy = kernels::gram(targets.view(), None);
        }
        let plan = FitPlan::new(config, &flow, &grams)?;
        let features = plan.features();
        let ridge = config.ridge.resolve(features.view());
        let coefficients = regression::solve(features.view(), plan.targets.view(), ridge)?;
        let fit_residual = plan.residual(features.dot(&coefficients).view(), config, &grams);
        let fit = Fit { samples: rows.len(), rank: plan.space.rank(), energy: plan.space.energy, features: plan.library.len(), ridge };
        let basis = kernels::rows_combine(plan.space.basis.view(), x.view(), reference);
        let average = Array2::from_elem((1, rows.len()), 1.0 / rows.len() as f64);
        let mean = kernels::rows_combine(average.view(), x.view(), None).row(0).to_owned();
        let lift_table = match config.lift {
            Lift::Trajectory => basis.clone(),
            Lift::Snapshots => targets,
        };
        self.model = Some(Model {
            library: plan.library,
            coefficients,
            basis,
            mean,
            centered: config.centered,
            scale: plan.space.scale,
            radius: plan.space.radius,
            transform: config.transform,
            lift_table,
            fit_residual,
        });
        self.landing.fit_residual = Some(fit_residual);
        Ok(fit)
    }

    fn integrate(&mut self, limits: PhaseLimits) -> Result<()> {
        let flow = self.started()?;
        let Some(model) = self.model.take() else { return Err(Error::Incompatible("integrate() comes after fit()".into())) };
        for _ in 0..limits.steps {
            let center = model.centered.then(|| model.mean.view());
            let (mut z, distance) = kernels::state_project(model.basis.view(), self.state.x.view(), center, model.mean.view());
            z.iter_mut().for_each(|z| *z /= model.scale);
            let features = model.library.evaluate(&z);
            let weights: Vec<f64> = model.coefficients.columns().into_iter().map(|xi| xi.iter().zip(&features).map(|(a, b)| a * b).sum()).collect();
            if !(distance.is_finite() && weights.iter().all(|w| w.is_finite())) {
                self.landing.end = PhaseEnd::NonFinite;
                break;
            }
            if distance.sqrt() > limits.radius * model.radius {
                self.landing.end = PhaseEnd::Radius;
                break;
            }
            self.state.gradient = kernels::gradient_lift(model.lift_table.view(), &weights, model.transform, self.state.x.view());
            self.advance(flow);
            self.landing.steps += 1;
        }
        self.model = Some(model);
        Ok(())
    }

    fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        self.started()?;
        if x.len() != self.state.x.len() {
            return Err(Error::Length { name: "the iterate", found: x.len(), expected: self.state.x.len() });
        }
        x.iter_mut().zip(&self.state.x).for_each(|(out, x)| *out = *x);
        let fit_residual = self.model.as_ref().map(|m| m.fit_residual);
        let landing = std::mem::replace(&mut self.landing, Landing { fit_residual, ..NOTHING });
        if landing.predicted_change.is_finite() { Ok(landing) } else { Ok(Landing { end: PhaseEnd::NonFinite, ..landing }) }
    }

    fn trust(&mut self) -> Result<()> {
        self.trusted.clone_from(&self.state);
        Ok(())
    }

    fn restore(&mut self) -> Result<()> {
        self.state.clone_from(&self.trusted);
        Ok(())
    }

    fn forget(&mut self) {
        self.ring.clear();
    }

    fn samples(&self) -> usize {
        self.ring.len()
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}
