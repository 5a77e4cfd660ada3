//! The f64 reference engine: readable, parallel over d, and the default where there is no GPU.

pub(crate) mod kernels;
mod potential;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

use crate::engine::fit::{FitPlan, Grams, implicit_matrix, implicit_weights, residual_of_weights};
use crate::engine::holdout;
use crate::engine::interface::{Engine, EngineInfo, Fit, Landing, Pair, PhaseEnd, PhaseLimits, Samples, Setup, Traffic, TrustLimits};
use crate::engine::ring::Ring;
use crate::error::{Error, Result};
use crate::flow::{Flow, GradientDescent};
use crate::objective::Domain;
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::library::combine;
use crate::surrogate::potential::{Polynomial, PotentialConfig};
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::space::implicit_kernel;
use crate::surrogate::{Integrator, Library, Lift, RegressionProblem, SpaceConfig, SurrogateConfig, TargetTransform, regression};

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
    predictor: Predictor,
    transform: TargetTransform,
    lift: Lift,
    /// T; none if the predictor's outputs are the gradient itself.
    lift_table: Option<Array2<f64>>,
    /// The samples' mean and their largest distance from it: the trust region.
    mean: Array1<f64>,
    radius: f64,
    fit_residual: f64,
}

/// From x to the lift's weights.
#[derive(Debug, Clone)]
enum Predictor {
    Explicit {
        library: Library,
        coefficients: Array2<f64>,
        /// U and what z is divided by; none if z = x.
        basis: Option<(Array2<f64>, f64)>,
        centered: bool,
    },
    Implicit {
        order: usize,
        bias: bool,
        samples: Array2<f64>,
        weights: Array2<f64>,
    },
}

impl Model {
    /// ‖x − mean‖ in history radii.
    fn distance(&self, x: ArrayView1<f64>) -> f64 {
        kernels::squared_distance(x, self.mean.view()).sqrt() / if self.radius > 0.0 { self.radius } else { 1.0 }
    }

    fn weights(&self, x: ArrayView1<f64>) -> Vec<f64> {
        match &self.predictor {
            Predictor::Explicit { library, coefficients, basis, centered } => {
                let z = match basis {
                    None => x.to_vec(),
                    Some((basis, scale)) => {
                        let center = centered.then(|| self.mean.view());
                        kernels::state_project(basis.view(), x, center).iter().map(|z| z / scale).collect()
                    }
                };
                combine(coefficients.view(), &library.evaluate(&z))
            }
            Predictor::Implicit { order, bias, samples, weights } => {
                let kernel: Array1<f64> = samples.rows().into_iter().map(|row| implicit_kernel(*order, *bias, kernels::power_sums(x, row))).collect();
                weights.dot(&kernel).to_vec()
            }
        }
    }

    /// The predicted gradient; it may be not finite.
    fn gradient(&self, x: ArrayView1<f64>) -> Array1<f64> {
        let weights = self.weights(x);
        match &self.lift_table {
            Some(table) => kernels::gradient_lift(table.view(), &weights, self.transform, x),
            None => Array1::from(weights),
        }
    }
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
    /// Inner products of a history of pairs: displacements by row, then changes of the gradient by row.
    pair_products: Array2<f64>,
    potential: Option<potential::Potential>,
    landing: Landing,
    /// The step size Dormand–Prince has come to.
    inner_step: f64,
    traffic: Traffic,
}

/// Singular values by way of a Gram matrix in f64 are good to the root of its rounding.
const RESOLUTION: f64 = 1e-7;

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
            pair_products: Array2::zeros((0, 0)),
            potential: None,
            landing: NOTHING,
            inner_step: 0.0,
            traffic: Traffic::default(),
        }
    }

    fn started(&self) -> Result<Flow> {
        self.flow.ok_or_else(|| Error::Incompatible("the engine has not been started".into()))
    }

    /// Surrogate iterations of a flow whose state is the reduced coordinate alone: y' = −Ξᵀ Θ(y/σ), y = σ z. The cost does not depend on d.
    fn integrate_reduced(&mut self, limits: PhaseLimits, h: f64, model: &Model) {
        let Predictor::Explicit { library, coefficients, basis, centered } = &model.predictor else { return };
        let project = |x: ArrayView1<f64>| match basis {
            None => x.to_vec(),
            Some((basis, _)) => kernels::state_project(basis.view(), x, centered.then(|| model.mean.view())),
        };
        let scale = basis.as_ref().map_or(1.0, |(_, scale)| *scale);
        let (start, mean) = (project(self.state.x.view()), project(model.mean.view()));
        let square = |y: &[f64]| y.iter().zip(&mean).map(|(y, m)| (y - m).powi(2)).sum::<f64>();
        // What x has outside the span stays as it is.
        let outside = kernels::squared_distance(self.state.x.view(), model.mean.view()) - square(&start);
        let mut rhs = |_: f64, y: &[f64], slope: &mut [f64]| {
            let features = library.evaluate(&y.iter().map(|y| y / scale).collect::<Vec<_>>());
            slope.iter_mut().zip(combine(coefficients.view(), &features)).for_each(|(s, g)| *s = -g);
        };
        let rule = if limits.integrator == Integrator::FlowStep { Integrator::Euler } else { limits.integrator };
        let (mut y, mut inner) = (start.clone(), h);
        let mut slope = vec![0.0; y.len()];
        for _ in 0..limits.steps {
            let distance = (square(&y) + outside).max(0.0).sqrt();
            if distance > limits.radius * model.radius {
                self.landing.end = PhaseEnd::Radius;
                break;
            }
            rhs(0.0, &y, &mut slope);
            let before = y.clone();
            if !distance.is_finite() || !rule.advance(&mut rhs, 0.0, h, &mut y, &mut inner) {
                y = before;
                self.landing.end = PhaseEnd::NonFinite;
                break;
            }
            self.landing.predicted_change -= slope.iter().zip(&y).zip(&before).map(|((s, y), b)| s * (y - b)).sum::<f64>();
            self.landing.steps += 1;
            self.state.steps += 1;
        }
        match basis {
            None => self.state.x = Array1::from(y),
            Some((basis, _)) => {
                for ((u, y), start) in basis.rows().into_iter().zip(&y).zip(&start) {
                    self.state.x.scaled_add(y - start, &u);
                }
            }
        }
    }

    /// One surrogate iteration along the flow's differential equation; false if it left the finite numbers.
    fn advance_equation(&mut self, flow: Flow, integrator: Integrator, model: &Model) -> bool {
        let (d, n, h) = (self.state.x.len(), flow.equation_vectors(), flow.rate().unwrap_or(0.0));
        // x, then the auxiliary vectors that follow the equation; what is left over (AMSGrad's maximum) is held.
        let mut flat: Vec<f64> = self.state.x.iter().chain(self.state.auxiliary[..n - 1].iter().flatten()).copied().collect();
        let held = self.state.auxiliary.get(n - 1).cloned();
        let mut rhs = |t: f64, state: &[f64], derivative: &mut [f64]| {
            let g = model.gradient(ArrayView1::from(&state[..d]));
            let (mut here, mut slope) = ([0.0; 3], [0.0; 3]);
            for i in 0..d {
                (0..n).for_each(|v| here[v] = state[v * d + i]);
                flow.velocity(t, &here[..n], g[i], held.as_ref().map_or(0.0, |a| a[i]), &mut slope[..n]);
                (0..n).for_each(|v| derivative[v * d + i] = slope[v]);
            }
        };
        let finite = integrator.advance(&mut rhs, self.state.steps as f64 * h, h, &mut flat, &mut self.inner_step);
        if !finite {
            return false;
        }
        let gradient = model.gradient(self.state.x.view());
        self.landing.predicted_change += (0..d).map(|i| gradient[i] * (flat[i] - self.state.x[i])).sum::<f64>();
        self.state.gradient = gradient;
        self.state.x = Array1::from(flat[..d].to_vec());
        for (v, vector) in self.state.auxiliary[..n - 1].iter_mut().enumerate() {
            vector.iter_mut().zip(&flat[(v + 1) * d..]).for_each(|(a, b)| *a = *b);
        }
        if let [.., v, maximum] = &mut self.state.auxiliary[..]
            && held.is_some()
        {
            maximum.zip_mut_with(v, |a, v| *a = a.max(*v));
        }
        self.state.steps += 1;
        true
    }

    /// A new row of the history of pairs, and its inner products with all others.
    fn enter_pair(&mut self, displacement: ArrayView1<f64>, change: ArrayView1<f64>, note: PairNote) {
        let Some(row) = self.ring.push_pair(note) else { return };
        self.iterates.row_mut(row).assign(&displacement);
        self.gradients.row_mut(row).assign(&change);
        let capacity = self.iterates.nrows();
        let table: Vec<ArrayView1<f64>> = self.iterates.rows().into_iter().chain(self.gradients.rows()).collect();
        for place in [row, capacity + row] {
            let products = Array1::from(potential::products(&table, table[place]));
            self.pair_products.row_mut(place).assign(&products);
            self.pair_products.column_mut(place).assign(&products);
        }
    }

    /// One step of the flow with the state's gradient.
    fn advance(&mut self, flow: Flow) {
        let State { x, gradient, auxiliary, steps } = &mut self.state;
        *steps += 1;
        let change = match flow {
            Flow::GradientDescent(flow) => kernels::gradient_descent(flow, x, gradient.view()),
            Flow::Newton(flow) => kernels::gradient_descent(GradientDescent { rate: flow.rate }, x, gradient.view()),
            Flow::Momentum(flow) => kernels::momentum(flow, x, gradient.view(), &mut auxiliary[0]),
            Flow::Adam(flow) => kernels::adam(flow, x, gradient.view(), auxiliary, *steps),
            Flow::OptimalityCriteria(flow) => kernels::optimality_criteria(flow, x, gradient.view(), &self.domain),
            Flow::ProjectedGradient(flow) => kernels::projected_gradient(flow, x, gradient.view(), &self.domain),
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
            pair_products: match setup.samples {
                Samples::Points => Array2::zeros((0, 0)),
                Samples::Pairs => Array2::zeros((2 * setup.capacity, 2 * setup.capacity)),
            },
            trusted: state.clone(),
            state,
            ..Self::new()
        };
        Ok(())
    }

    fn set_gradient(&mut self, gradient: &[f64]) -> Result<()> {
        self.started()?;
        if gradient.len() != self.state.x.len() {
            return Err(Error::Length { name: "the gradient", found: gradient.len(), expected: self.state.x.len() });
        }
        self.state.gradient.assign(&ArrayView1::from(gradient));
        self.ring.gradient_was_set();
        Ok(())
    }

    fn record(&mut self) -> Result<()> {
        if let Some(row) = self.ring.push() {
            self.iterates.row_mut(row).assign(&self.state.x);
            self.gradients.row_mut(row).assign(&self.state.gradient);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let flow = self.started()?;
        self.advance(flow);
        self.ring.stepped();
        Ok(())
    }

    fn select(&mut self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection> {
        let flow = self.started()?;
        let Some(config) = candidates.first() else { return Err(Error::invalid("the number of candidates", 0, "at least 1")) };
        let rows = self.ring.rows();
        let x = self.iterates.select(ndarray::Axis(0), &rows);
        let targets = kernels::target_encode(config.transform, self.gradients.select(ndarray::Axis(0), &rows).view(), x.view());
        let grams = inner_products(config, x.view(), targets.view());
        holdout::select(candidates, folds, &flow, &grams, |batch| self.regress(batch))
    }

    fn fit(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        let flow = self.started()?;
        let rows = self.ring.rows();
        if rows.is_empty() {
            return Err(Error::invalid("the number of recorded samples", 0, "at least 1"));
        }
        let x = self.iterates.select(ndarray::Axis(0), &rows);
        let targets = kernels::target_encode(config.transform, self.gradients.select(ndarray::Axis(0), &rows).view(), x.view());
        let average = Array2::from_elem((1, rows.len()), 1.0 / rows.len() as f64);
        let mean = kernels::rows_combine(average.view(), x.view(), None).row(0).to_owned();
        let yy = if config.lift == Lift::Snapshots { kernels::gram(targets.view(), None) } else { Array2::zeros((0, 0)) };

        if config.space == SpaceConfig::Implicit {
            let pairs = Array2::from_shape_fn((rows.len(), rows.len()), |(i, j)| kernels::power_sums(x.row(i), x.row(j)));
            let kernel = implicit_matrix(config, &[0, 1, 2].map(|p| pairs.mapv(|sums| sums[p])));
            let ridge = config.regression.ridge.resolve_kernel(kernel.view());
            let weights = implicit_weights(kernel.view(), ridge)?;
            let error = kernel.dot(&weights) - Array2::<f64>::eye(rows.len());
            let fit_residual = residual_of_weights(error.view(), yy.view());
            let predictor = Predictor::Implicit { order: config.order, bias: config.bias, samples: x.clone(), weights };
            self.model = Some(Model {
                predictor,
                transform: config.transform,
                lift: config.lift,
                radius: radius_about(x.view(), mean.view()),
                mean,
                lift_table: Some(targets),
                fit_residual,
            });
            return Ok(Fit { samples: rows.len(), rank: rows.len(), energy: 1.0, features: 0, ridge });
        }

        let centered = config.space.is_centered();
        let steps = flow.rate().and_then(|h| self.ring.displacements(h));
        let plan = if config.space == SpaceConfig::Full {
            FitPlan::full(config, &flow, x.view(), targets.view(), steps.as_ref().map(|c| c.view()))?
        } else {
            FitPlan::reduced(config, &flow, &inner_products(config, x.view(), targets.view()), steps.as_ref().map(|c| c.view()))?
        };
        let features = plan.features();
        let solution = regression::solve(features.view(), plan.targets.view(), &config.regression)?;
        let fit_residual = plan.residual(features.dot(&solution.coefficients).view(), config, yy.view());
        let fit = Fit {
            samples: rows.len(),
            rank: plan.coordinates.ncols(),
            energy: plan.space.as_ref().map_or(1.0, |s| s.energy),
            features: plan.library.len(),
            ridge: solution.ridge,
        };
        let coefficients = match &plan.orthonormal {
            Some(transform) => transform.dot(&solution.coefficients),
            None => solution.coefficients,
        };
        let basis = plan.space.as_ref().map(|space| {
            let reference = if centered { x.rows().into_iter().next_back() } else { None };
            (kernels::rows_combine(space.basis.view(), x.view(), reference), space.scale)
        });
        let lift_table = match config.lift {
            Lift::Trajectory => basis.as_ref().map(|(basis, _)| basis.clone()),
            Lift::Snapshots => Some(targets),
        };
        let radius = plan.space.as_ref().map_or_else(|| radius_about(x.view(), mean.view()), |s| s.radius);
        let predictor = Predictor::Explicit { library: plan.library, coefficients, basis, centered };
        self.model = Some(Model { predictor, transform: config.transform, lift: config.lift, lift_table, mean, radius, fit_residual });
        Ok(fit)
    }

    fn integrate(&mut self, limits: PhaseLimits) -> Result<()> {
        let flow = self.started()?;
        let Some(model) = self.model.take() else { return Err(Error::Incompatible("integrate() comes after fit()".into())) };
        self.ring.moved();
        if let (true, Some(h), Lift::Trajectory) = (flow.is_driven_by_velocity(), flow.rate(), model.lift) {
            self.integrate_reduced(limits, h, &model);
            self.model = Some(model);
            return Ok(());
        }
        for _ in 0..limits.steps {
            let distance = model.distance(self.state.x.view());
            if !distance.is_finite() {
                self.landing.end = PhaseEnd::NonFinite;
                break;
            }
            if distance > limits.radius {
                self.landing.end = PhaseEnd::Radius;
                break;
            }
            if limits.integrator == Integrator::FlowStep {
                let gradient = model.gradient(self.state.x.view());
                if !gradient.iter().all(|g| g.is_finite()) {
                    self.landing.end = PhaseEnd::NonFinite;
                    break;
                }
                self.state.gradient = gradient;
                self.advance(flow);
            } else if !self.advance_equation(flow, limits.integrator, &model) {
                self.landing.end = PhaseEnd::NonFinite;
                break;
            }
            self.landing.steps += 1;
        }
        self.model = Some(model);
        Ok(())
    }

    fn record_pair(&mut self, note: PairNote) -> Result<()> {
        self.started()?;
        let (displacement, change) = (&self.state.x - &self.trusted.x, &self.state.gradient - &self.trusted.gradient);
        self.enter_pair(displacement.view(), change.view(), note);
        Ok(())
    }

    fn put_pair(&mut self, pair: &Pair) -> Result<()> {
        self.started()?;
        pair.check(self.state.x.len())?;
        self.enter_pair(ArrayView1::from(&pair.displacement), ArrayView1::from(&pair.change), pair.note);
        Ok(())
    }

    fn pairs(&mut self) -> Result<Vec<Pair>> {
        let pair = |(row, note)| Pair { displacement: self.iterates.row(row).to_vec(), change: self.gradients.row(row).to_vec(), note };
        Ok(self.ring.rows().into_iter().zip(self.ring.notes()).map(pair).collect())
    }

    fn fit_potential(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        self.started()?;
        let rows = self.ring.rows();
        let both = self.ring.pair_rows();
        let gram = self.pair_products.select(ndarray::Axis(0), &both).select(ndarray::Axis(1), &both);
        let learned = Polynomial::from_gram(gram.view(), &self.ring.notes(), config, RESOLUTION)?.unwrap_or_else(|| Polynomial::flat(flat));
        let fit = Fit::of_potential(&learned);
        let rows = if learned.pairs == 0 { Vec::new() } else { rows };
        self.potential = Some(potential::Potential { learned, rows });
        Ok(fit)
    }

    fn minimize(&mut self, limits: TrustLimits) -> Result<()> {
        self.started()?;
        let Some(model) = &self.potential else { return Err(Error::Incompatible("minimize() comes after fit_potential()".into())) };
        self.ring.moved();
        let at = potential::Neighbourhood { center: self.trusted.x.view(), gradient: self.trusted.gradient.view(), domain: &self.domain, limits };
        let minimum = model.minimize(&self.iterates, &self.gradients, &at);
        self.landing.steps += minimum.steps;
        self.landing.predicted_change += minimum.value;
        if minimum.settled {
            self.landing.end = PhaseEnd::Minimum;
        }
        self.state.x = minimum.x;
        Ok(())
    }

    fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        self.started()?;
        if x.len() != self.state.x.len() {
            return Err(Error::Length { name: "the iterate", found: x.len(), expected: self.state.x.len() });
        }
        x.iter_mut().zip(&self.state.x).for_each(|(out, x)| *out = *x);
        let fit_residual = self.model.as_ref().map(|m| m.fit_residual);
        let landing = Landing { fit_residual, ..std::mem::replace(&mut self.landing, NOTHING) };
        if landing.predicted_change.is_finite() { Ok(landing) } else { Ok(Landing { end: PhaseEnd::NonFinite, ..landing }) }
    }

    fn trust(&mut self) -> Result<()> {
        self.trusted.clone_from(&self.state);
        Ok(())
    }

    fn restore(&mut self) -> Result<()> {
        self.state.clone_from(&self.trusted);
        self.ring.moved();
        Ok(())
    }

    fn regress(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
        batch.par_iter().map(|item| regression::solve(item.features, item.targets, &item.regression)).collect()
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

/// The largest distance of a row from `mean`.
fn radius_about(x: ArrayView2<f64>, mean: ArrayView1<f64>) -> f64 {
    x.rows().into_iter().map(|row| kernels::squared_distance(row, mean).sqrt()).fold(0.0, f64::max)
}

/// The inner products a fit in a reduced space needs.
fn inner_products(config: &SurrogateConfig, x: ArrayView2<f64>, targets: ArrayView2<f64>) -> Grams {
    // Differences to a sample keep the digits that inner products of nearly equal iterates would lose.
    let reference = if config.space.is_centered() { x.rows().into_iter().next_back() } else { None };
    Grams { xx: kernels::gram(x, reference), xy: kernels::cross(x, targets, reference, None), yy: kernels::gram(targets, None), resolution: RESOLUTION }
}
