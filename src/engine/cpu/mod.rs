//! The f64 reference engine: parallel over d, and the default where there is no GPU; in f32 if asked for.
//!
//! Same input, same results, bit by bit, however many threads there are and however wide the machine's
//! vectors.

mod basis;
mod bounds;
mod equation;
mod kernels;
mod lanes;
mod phase;
mod potential;
mod sweep;

pub(super) use kernels::copy;
pub(super) use sweep::{CHUNK, sums_over};

use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;

use self::basis::{DirectionsMut, grown};
use self::kernels::GramParts;
use self::phase::{Coordinates, Field, LiftTable, Model, Phase, Predictor, Tables, rows};
use crate::domain::Domain;
use crate::engine::best::{Best, change, slope};
use crate::engine::fit::{FitPlan, Grams, implicit_matrix, implicit_weights, residual_of_weights};
use crate::engine::holdout;
use crate::engine::interface::{
    Engine, EngineInfo, EngineKind, Fit, GradientSummary, Landing, Pair, PhaseEnd, PhaseLimits, Samples,
    Sealed, Setup, StepComparison, TableFormat, Traffic, TrustLimits,
};
use crate::engine::protocol::Protocol;
use crate::engine::ring::Ring;
use crate::error::{EngineError, Error, Result};
use crate::flow::Flow;
use crate::scalar::Scalar;
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::potential::{Polynomial, PotentialConfig};
use crate::surrogate::regression::{Regression, Solution};
use crate::surrogate::selection::Selection;
use crate::surrogate::{Lift, RegressionProblem, SpaceConfig, SurrogateConfig, TargetTransform, regression};

/// What a step reads and writes.
#[derive(Debug, Clone, Default)]
struct State<T> {
    x: Vec<T>,
    gradient: Vec<T>,
    /// The flow's own vectors (ADAM: m and v).
    auxiliary: Vec<Vec<T>>,
    /// Steps taken, true and surrogate.
    steps: u64,
}

impl<T: Scalar> State<T> {
    /// Becomes a copy of `other`, which has as many vectors of the same length.
    fn copy_from(&mut self, other: &Self) {
        kernels::copy(&other.x, &mut self.x);
        kernels::copy(&other.gradient, &mut self.gradient);
        self.auxiliary.iter_mut().zip(&other.auxiliary).for_each(|(to, from)| kernels::copy(from, to));
        self.steps = other.steps;
    }
}

/// The engine on the CPU; see the [module](self).
///
/// [`new`](CpuEngine::new) is the reference: everything in f64. [`single`](CpuEngine::single) keeps state,
/// history and tables in f32, as the GPU engine does, and computes in f32 what concerns one unknown alone;
/// sums over d, factorisations, multipliers of a volume constraint and the minimisation of a learned
/// potential stay in f64. That halves the memory and the bytes of every pass, and quotients and roots come at
/// more than twice the rate: a surrogate step takes half the time or less. What it costs in accuracy is a
/// rounding of 6·10⁻⁸ per stored number: enough to tell runs apart, not to make them worse.
#[derive(Debug)]
pub struct CpuEngine<T = f64> {
    format: TableFormat,
    protocol: Protocol,
    flow: Option<Flow>,
    domain: Domain,
    ring: Ring,
    iterates: Array2<T>,
    gradients: Array2<T>,
    state: State<T>,
    trusted: State<T>,
    best: Best<T>,
    model: Option<Model>,
    tables: Tables<T>,
    /// The sums the model asks of x, if no step has been taken since they were.
    observed: Option<Vec<f64>>,
    fit_residual: Option<f64>,
    equation: phase::InnerStates<T>,
    /// Inner products of a history of pairs: displacements by row, then changes of the gradient by row.
    pair_products: Array2<f64>,
    /// The same rows in f32, which the projected steps read twice each; none where they are f32 already.
    narrow_pairs: Array2<f32>,
    potential: Option<potential::Potential>,
    landing: Landing,
    /// The step size Dormand–Prince has come to.
    inner_step: f64,
    traffic: Traffic,
}

const NOTHING: Landing = Landing {
    steps: 0,
    end: PhaseEnd::Horizon,
    predicted_change: 0.0,
    fit_residual: None,
    change: 0.0,
    is_finite: true,
};

impl Default for CpuEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuEngine {
    /// An engine without a run, in f64.
    pub fn new() -> Self {
        Self::without_run(TableFormat::State)
    }
}

impl CpuEngine<f32> {
    /// An engine without a run, in f32.
    pub fn single() -> Self {
        Self::without_run(TableFormat::State)
    }
}

impl<T: Scalar> CpuEngine<T> {
    /// This engine, without a run, with its basis in another format.
    #[must_use]
    pub fn with_tables(self, format: TableFormat) -> Self {
        Self::without_run(format)
    }

    fn without_run(format: TableFormat) -> Self {
        Self {
            format,
            protocol: Protocol::default(),
            flow: None,
            domain: Domain::Unbounded,
            ring: Ring::default(),
            iterates: Array2::zeros((0, 0)),
            gradients: Array2::zeros((0, 0)),
            state: State::default(),
            trusted: State::default(),
            best: Best::default(),
            model: None,
            tables: Tables::new(format),
            observed: None,
            fit_residual: None,
            equation: phase::InnerStates::default(),
            pair_products: Array2::zeros((0, 0)),
            narrow_pairs: Array2::zeros((0, 0)),
            potential: None,
            landing: NOTHING,
            inner_step: 0.0,
            traffic: Traffic::default(),
        }
    }

    fn started(&self) -> Result<Flow> {
        self.flow.ok_or_else(|| EngineError::NotStarted.into())
    }

    /// Inner products of the samples `which` (by the history's rows) and, where the transform asks for it,
    /// their transformed targets.
    fn inner_products(&mut self, config: &SurrogateConfig, which: &[usize], parts: GramParts) -> Grams {
        let (x, gradients) = (rows(&self.iterates, which), rows(&self.gradients, which));
        let is_encoded = config.transform != TargetTransform::Identity;
        if is_encoded {
            let d = self.state.x.len();
            kernels::target_encode(
                config.transform,
                &gradients,
                &x,
                grown(&mut self.tables.encoded, which.len(), d),
            );
        }
        let encoded: Vec<&[T]> = self.tables.encoded.iter().take(which.len()).map(|row| &row[..]).collect();
        let targets = if is_encoded { &encoded } else { &gradients };
        // Differences to a sample keep the digits that inner products of nearly equal iterates would lose.
        let reference = if config.space.is_centered() { x.last().copied() } else { None };
        let [xx, xy, yy] = kernels::grams(&x, reference, targets, parts);
        Grams { xx, xy, yy, resolution: T::RESOLUTION }
    }

    /// The samples `which` and their targets, in the order asked for: for fits in the full space, whose d is
    /// small.
    fn samples_of(&self, config: &SurrogateConfig, which: &[usize]) -> (Array2<f64>, Array2<f64>) {
        let x = self.iterates.select(Axis(0), which).mapv(Into::into);
        let targets = ndarray::Zip::from(&self.gradients.select(Axis(0), which))
            .and(&x)
            .map_collect(|g, x| config.transform.encode((*g).into(), *x));
        (x, targets)
    }

    /// Makes the samples' mean; returns their largest distance from it.
    fn average(&mut self, which: &[usize]) -> f64 {
        let samples = rows(&self.iterates, which);
        self.tables.mean.resize(self.state.x.len(), T::zero());
        let mean = &mut self.tables.mean;
        kernels::rows_combine(
            Array2::zeros((0, which.len())).view(),
            &samples,
            None,
            DirectionsMut::State(Vec::new()),
            mean,
            0,
            |_, _, _, _| {},
        );
        kernels::squared_distances(&samples, mean).into_iter().fold(0.0, f64::max).sqrt()
    }

    /// Mean and basis of the samples, and the new model's sums at x on the way.
    fn make_tables(&mut self, coefficients: &Array2<f64>, centered: bool, model: &Model) -> Vec<f64> {
        let (d, x) = (self.state.x.len(), &self.state.x);
        let samples = rows(&self.iterates, &model.rows);
        let reference = if centered { samples.last().copied() } else { None };
        let Tables { mean, basis, .. } = &mut self.tables;
        mean.resize(d, T::zero());
        let out = basis.grown(coefficients.nrows(), d);
        kernels::rows_combine(
            coefficients.view(),
            &samples,
            reference,
            out,
            mean,
            1 + coefficients.nrows(),
            |here, basis, mean, sums| {
                kernels::state_project(basis, &x[here], mean, centered, sums);
            },
        )
    }

    /// A new row of the history of pairs, and its inner products with all others.
    fn enter_pair(&mut self, displacement: &[T], change: &[T], note: PairNote) {
        let Some(row) = self.ring.push_pair(note) else { return };
        self.iterates.row_mut(row).assign(&ArrayView1::from(displacement));
        self.gradients.row_mut(row).assign(&ArrayView1::from(change));
        let places = [row, self.iterates.nrows() + row];
        for (place, vector) in places.into_iter().zip([displacement, change]) {
            self.narrow_pairs
                .row_mut(place)
                .iter_mut()
                .zip(vector)
                .for_each(|(narrow, value)| *narrow = f32::of((*value).into()));
        }
        let table: Vec<&[T]> = [&self.iterates, &self.gradients]
            .into_iter()
            .flat_map(|t| t.rows().into_iter().filter_map(|row| row.to_slice()))
            .collect();
        for (place, products) in places.into_iter().zip(potential::products(&table, [displacement, change])) {
            let products = ArrayView1::from(&products);
            self.pair_products.row_mut(place).assign(&products);
            self.pair_products.column_mut(place).assign(&products);
        }
    }
}

impl<T: Scalar> Sealed for CpuEngine<T> {}

impl<T: Scalar> Engine for CpuEngine<T> {
    fn info(&self) -> EngineInfo {
        let sums = if T::NAME == "f64" { "" } else { ", sums f64" };
        EngineInfo {
            kind: EngineKind::Cpu,
            adapter: format!("{} threads", rayon::current_num_threads()),
            state: T::FORMAT,
            precision: self.format.describe(&format!("{}{sums}", T::NAME)),
            software: false,
        }
    }

    fn start(&mut self, setup: Setup<'_>) -> Result<()> {
        Protocol::check_start(&setup)?;
        let d = setup.start.len();
        let pair_rows = if setup.samples == Samples::Pairs { 2 * setup.capacity } else { 0 };
        let auxiliary = vec![vec![T::zero(); d]; setup.flow.auxiliary_vectors()];
        let state = State {
            x: setup.start.iter().map(|x| T::of(*x)).collect(),
            gradient: vec![T::zero(); d],
            auxiliary,
            steps: 0,
        };
        *self = Self {
            protocol: Protocol::started(&setup),
            flow: Some(setup.flow),
            domain: setup.domain.clone(),
            ring: Ring::new(setup.capacity),
            iterates: Array2::zeros((setup.capacity, d)),
            gradients: Array2::zeros((setup.capacity, d)),
            pair_products: Array2::zeros((pair_rows, pair_rows)),
            narrow_pairs: Array2::zeros((pair_rows, if T::single(&[]).is_some() { 0 } else { d })),
            trusted: state.clone(),
            state,
            ..Self::without_run(self.format)
        };
        Ok(())
    }

    fn set_gradient(&mut self, gradient: &[f64]) -> Result<GradientSummary> {
        self.protocol.check_run()?;
        if gradient.len() != self.state.x.len() {
            return Err(Error::length("the gradient", gradient.len(), self.state.x.len()));
        }
        kernels::copy(gradient, &mut self.state.gradient);
        self.ring.gradient_was_set();
        self.protocol.gradient_was_set();
        Ok(GradientSummary::of(gradient))
    }

    fn record(&mut self) -> Result<()> {
        self.protocol.check_points("record")?;
        let Some(row) = self.ring.push() else { return Ok(()) };
        for (table, vector) in
            [(&mut self.iterates, &self.state.x), (&mut self.gradients, &self.state.gradient)]
        {
            if let Some(place) = table.row_mut(row).into_slice() {
                kernels::copy(vector, place);
            }
        }
        self.protocol.recorded(row);
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let flow = self.started()?;
        let State { x, gradient, auxiliary, steps } = &mut self.state;
        *steps += 1;
        let vectors = std::iter::once(x).chain(auxiliary).map(|v| &mut v[..]).collect();
        self.landing.predicted_change += kernels::step(flow, &self.domain, *steps, vectors, gradient);
        self.observed = None;
        self.ring.stepped();
        self.protocol.moved();
        Ok(())
    }

    fn select(&mut self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection> {
        self.protocol.check_recorded("select")?;
        let flow = self.started()?;
        let Some(config) = candidates.first() else {
            return Err(Error::invalid("the number of candidates", 0, "at least 1"));
        };
        let grams = self.inner_products(config, &self.ring.rows(), GramParts { xy: true, yy: true });
        let trials = holdout::Trials::new(candidates, folds, &flow, grams)?;
        let solutions = self.regress(&trials.batch())?;
        Ok(trials.judge(&solutions))
    }

    fn fit(&mut self, config: &SurrogateConfig) -> Result<Fit> {
        self.protocol.check_recorded("fit")?;
        let flow = self.started()?;
        let which = self.ring.rows();
        let k = which.len();
        let (centered, snapshots) = (config.space.is_centered(), config.lift == Lift::Snapshots);
        // The snapshot lift learns weights and needs no components; the trajectory's components are their own
        // measure.
        let grams = self.inner_products(config, &which, GramParts { xy: !snapshots, yy: snapshots });
        let lift = match (config.lift, config.space, config.transform) {
            (Lift::Trajectory, SpaceConfig::Reduced { .. }, _) => LiftTable::Basis,
            (Lift::Trajectory, _, _) => LiftTable::Direct,
            (Lift::Snapshots, _, TargetTransform::Identity) => LiftTable::Gradients,
            (Lift::Snapshots, _, _) => LiftTable::Encoded,
        };
        // A direction is of length 1.
        let bounds = if snapshots {
            grams.yy.diag().iter().map(|square| square.sqrt()).collect()
        } else {
            vec![1.0; k]
        };
        let model = |predictor, radius| Model {
            predictor,
            transform: config.transform,
            lift,
            bounds,
            rows: which.clone(),
            radius,
        };
        self.observed = None;

        if config.space == SpaceConfig::Implicit {
            let samples = rows(&self.iterates, &which);
            let kernel = implicit_matrix(config, &kernels::power_sum_matrices(&samples));
            let ridge = config.regression.ridge.resolve_kernel(kernel.view());
            let weights = implicit_weights(kernel.view(), ridge)?;
            let error = kernel.dot(&weights) - Array2::<f64>::eye(k);
            self.fit_residual = Some(residual_of_weights(error.view(), grams.yy.view()));
            let model = model(
                Predictor::Implicit { order: config.order, bias: config.bias, weights },
                self.average(&which),
            );
            self.model = Some(model);
            self.protocol.fitted(config, &which);
            return Ok(Fit { samples: k, rank: k, energy: 1.0, features: 0, ridge });
        }

        let steps = flow.rate().and_then(|h| self.ring.displacements(h));
        let plan = if config.space == SpaceConfig::Full {
            let (x, targets) = self.samples_of(config, &which);
            FitPlan::full(config, &flow, x.view(), targets.view(), steps.as_ref().map(|c| c.view()))?
        } else {
            FitPlan::reduced(config, &flow, &grams, steps.as_ref().map(|c| c.view()))?
        };
        let features = plan.features();
        // Interpolation fits the rounding of f32 iterates.
        let interpolates = T::NAME == "f32" && features.ncols() >= features.nrows();
        let settings = Regression { refit: config.regression.refit && !interpolates, ..config.regression };
        let solution = regression::solve(features.view(), plan.targets.view(), &settings)?;
        self.fit_residual =
            Some(plan.residual(features.dot(&solution.coefficients).view(), config, grams.yy.view()));
        let fit = Fit {
            samples: k,
            rank: plan.coordinates.ncols(),
            energy: plan.space.as_ref().map_or(1.0, |s| s.energy),
            features: plan.library.len(),
            ridge: solution.ridge,
        };
        let coefficients = match &plan.orthonormal {
            Some(transform) => transform.dot(&solution.coefficients),
            None => solution.coefficients,
        };
        let space = plan.space.as_ref().map(|space| {
            let mean =
                |column: ArrayView1<f64>| if centered { 0.0 } else { column.sum() / k as f64 * space.scale };
            Coordinates {
                scale: space.scale,
                centered,
                mean: plan.coordinates.columns().into_iter().map(mean).collect(),
            }
        });
        let predictor = Predictor::Explicit { library: plan.library, coefficients, space };
        match &plan.space {
            Some(space) => {
                let model = model(predictor, space.radius);
                self.observed = Some(self.make_tables(&space.basis, centered, &model));
                self.model = Some(model);
            }
            None => self.model = Some(model(predictor, self.average(&which))),
        }
        self.protocol.fitted(config, &which);
        Ok(fit)
    }

    fn integrate(&mut self, limits: PhaseLimits) -> Result<()> {
        self.protocol.check_integrate()?;
        let flow = self.started()?;
        let Some(model) = &self.model else {
            return Err(Error::internal("a fitted engine without a model"));
        };
        self.ring.moved();
        self.protocol.moved();
        let mut phase = Phase {
            field: Field::new(model, &self.tables, &self.iterates, &self.gradients),
            flow,
            domain: &self.domain,
            state: &mut self.state,
            landing: &mut self.landing,
            observed: &mut self.observed,
            equation: &mut self.equation,
            inner_step: &mut self.inner_step,
        };
        phase.run(limits);
        Ok(())
    }

    fn record_pair(&mut self, change: f64, is_kept: bool) -> Result<()> {
        self.protocol.check_pairs("record_pair")?;
        let along = slope(&self.trusted.gradient, &self.state.x, &self.trusted.x);
        let note = PairNote { remainder: change - along, kept: is_kept };
        let less =
            |now: &[T], trusted: &[T]| now.iter().zip(trusted).map(|(a, b)| *a - *b).collect::<Vec<T>>();
        let (displacement, change) =
            (less(&self.state.x, &self.trusted.x), less(&self.state.gradient, &self.trusted.gradient));
        self.enter_pair(&displacement, &change, note);
        Ok(())
    }

    fn put_pair(&mut self, pair: &Pair) -> Result<()> {
        self.protocol.check_pairs("put_pair")?;
        pair.check(self.state.x.len())?;
        let stored = |vector: &[f64]| vector.iter().map(|v| T::of(*v)).collect::<Vec<T>>();
        self.enter_pair(&stored(&pair.displacement), &stored(&pair.change), pair.note);
        Ok(())
    }

    fn pairs(&mut self) -> Result<Vec<Pair>> {
        self.protocol.check_pairs("pairs")?;
        let wide = |table: &Array2<T>, row| table.row(row).iter().map(|v| (*v).into()).collect();
        let pair = |(row, note)| Pair {
            displacement: wide(&self.iterates, row),
            change: wide(&self.gradients, row),
            note,
        };
        Ok(self.ring.rows().into_iter().zip(self.ring.notes()).map(pair).collect())
    }

    fn fit_potential(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        self.protocol.check_pairs("fit_potential")?;
        let both = self.ring.pair_rows();
        let gram = self.pair_products.select(ndarray::Axis(0), &both).select(ndarray::Axis(1), &both);
        let learned = Polynomial::from_gram(gram.view(), &self.ring.notes(), config, T::RESOLUTION)?
            .unwrap_or_else(|| Polynomial::flat(flat));
        let fit = Fit::of_potential(&learned);
        let rows = if learned.pairs == 0 { Vec::new() } else { both };
        self.potential = Some(potential::Potential { learned, rows });
        self.protocol.fitted_potential();
        Ok(fit)
    }

    fn minimize(&mut self, limits: TrustLimits) -> Result<()> {
        self.protocol.check_minimize()?;
        let Some(model) = &self.potential else {
            return Err(Error::internal("a fitted engine without a potential"));
        };
        self.ring.moved();
        self.protocol.moved();
        let capacity = self.iterates.nrows();
        let own = |row: usize| {
            if row < capacity {
                self.iterates.row(row).to_slice()
            } else {
                self.gradients.row(row - capacity).to_slice()
            }
        };
        let single =
            |&row: &usize| own(row).and_then(T::single).or_else(|| self.narrow_pairs.row(row).to_slice());
        let table: Vec<&[f32]> = model.rows.iter().filter_map(single).collect();
        // Zeros cost nothing until they are written to.
        let mut room = [(); 2].map(|()| vec![0.0; self.trusted.x.len()]);
        let [center, gradient] = &mut room;
        let (center, gradient) =
            (T::widen(&self.trusted.x, center), T::widen(&self.trusted.gradient, gradient));
        let at = potential::Neighbourhood { center, gradient, domain: &self.domain, limits };
        let minimum = model.minimize(&table, &at);
        self.landing.steps += minimum.steps;
        self.landing.predicted_change += minimum.value;
        if minimum.settled {
            self.landing.end = PhaseEnd::Minimum;
        }
        kernels::copy(&minimum.x, &mut self.state.x);
        self.observed = None;
        Ok(())
    }

    fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        self.protocol.check_run()?;
        if x.len() != self.state.x.len() {
            return Err(Error::length("the iterate", x.len(), self.state.x.len()));
        }
        kernels::copy(&self.state.x, x);
        self.protocol.was_read();
        let (change, is_finite) = change(&self.state.x, &self.trusted.x);
        let since = std::mem::replace(&mut self.landing, NOTHING);
        let landing = Landing { fit_residual: self.fit_residual, change, is_finite, ..since };
        if landing.predicted_change.is_finite() {
            Ok(landing)
        } else {
            Ok(Landing { end: PhaseEnd::NonFinite, ..landing })
        }
    }

    fn compare(&mut self, learned: &[f64]) -> Result<StepComparison> {
        self.protocol.check_run()?;
        if learned.len() != self.state.x.len() {
            return Err(Error::length("the learned step", learned.len(), self.state.x.len()));
        }
        Ok(StepComparison::of(learned, &self.state.x, &self.trusted.x))
    }

    fn trust(&mut self, is_best: bool) -> Result<()> {
        self.protocol.check_trust()?;
        self.best.before_trust(is_best, &mut self.trusted.x, &mut self.trusted.gradient);
        self.trusted.copy_from(&self.state);
        Ok(())
    }

    fn best(&mut self, x: &mut [f64], gradient: &mut [f64]) -> Result<()> {
        self.protocol.check_run()?;
        self.best.copy_to([&self.trusted.x, &self.trusted.gradient], x, gradient)
    }

    fn restore(&mut self) -> Result<()> {
        self.protocol.check_run()?;
        self.state.copy_from(&self.trusted);
        self.observed = None;
        self.ring.moved();
        self.protocol.moved();
        Ok(())
    }

    fn regress(&mut self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
        batch
            .par_iter()
            .map(|item| regression::solve(item.features, item.targets, &item.regression))
            .collect()
    }

    fn forget(&mut self) {
        self.protocol.forgot();
        self.ring.clear();
    }

    fn samples(&self) -> usize {
        self.ring.len()
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Adam, GradientDescent, Momentum};
    use crate::surrogate::{Integrator, Rank};

    /// One cycle: the samples' length is no multiple of anything.
    fn cycle<T: Scalar>(
        format: TableFormat,
        flow: Flow,
        config: &SurrogateConfig,
        integrator: Integrator,
    ) -> (Vec<u64>, u64, Fit) {
        let (d, k) = (9001, 6);
        let mut engine = CpuEngine::<T>::without_run(format);
        let mut x: Vec<f64> = (0..d).map(|i| (0.37 * i as f64).sin()).collect();
        engine
            .start(Setup {
                flow,
                domain: &Domain::Unbounded,
                start: &x,
                capacity: k,
                samples: Samples::Points,
                directions: None,
            })
            .unwrap();
        for _ in 0..k + 2 {
            let gradient: Vec<f64> =
                x.iter().enumerate().map(|(i, x)| (1.5 + (0.11 * i as f64).cos()) * x).collect();
            engine.set_gradient(&gradient).unwrap();
            engine.record().unwrap();
            engine.step().unwrap();
            engine.read(&mut x).unwrap();
        }
        let fit = engine.fit(config).unwrap();
        engine.integrate(PhaseLimits { steps: 3, radius: f64::INFINITY, integrator }).unwrap();
        let landing = engine.read(&mut x).unwrap();
        assert_eq!((landing.steps, landing.end), (3, PhaseEnd::Horizon));
        (x.into_iter().map(f64::to_bits).collect(), landing.predicted_change.to_bits(), fit)
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let snapshots = SurrogateConfig::snapshots();
        let trajectory = SurrogateConfig {
            lift: Lift::Trajectory,
            space: SpaceConfig::Reduced { rank: Rank::Count(3), centered: true },
            ..snapshots
        };
        let implicit = SurrogateConfig { space: SpaceConfig::Implicit, order: 2, ..snapshots };
        let flows = [
            Flow::GradientDescent(GradientDescent { rate: 0.05 }),
            Flow::Momentum(Momentum { rate: 0.05, friction: 2.0, nesterov: false }),
            Flow::Adam(Adam { amsgrad: true, ..Adam::new(0.01) }),
        ];
        for flow in flows {
            for config in [snapshots, trajectory, implicit] {
                for integrator in [
                    Integrator::FlowStep,
                    Integrator::Rk4,
                    Integrator::DormandPrince { rtol: 1e-6, atol: 1e-9 },
                ] {
                    let pool =
                        |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    let in_each = |format| {
                        (
                            cycle::<f64>(format, flow, &config, integrator),
                            cycle::<f32>(format, flow, &config, integrator),
                        )
                    };
                    let all = || (in_each(TableFormat::State), in_each(TableFormat::F16));
                    assert!(
                        pool(1).install(all) == pool(5).install(all),
                        "{}, {:?}, {integrator:?}",
                        flow.name(),
                        config.space
                    );
                }
            }
        }
    }

    #[test]
    fn a_fit_ends_with_the_samples_it_predicts_from() {
        let mut engine = CpuEngine::new();
        let flow = Flow::GradientDescent(GradientDescent { rate: 0.5 });
        engine
            .start(Setup {
                flow,
                domain: &Domain::Unbounded,
                start: &[1.0, 2.0],
                capacity: 2,
                samples: Samples::Points,
                directions: None,
            })
            .unwrap();
        let limits = PhaseLimits { steps: 1, radius: f64::INFINITY, integrator: Integrator::FlowStep };
        for step in 0..3 {
            engine.set_gradient(&[1.0, step as f64]).unwrap();
            engine.record().unwrap();
            if step > 0 {
                assert_eq!(
                    engine.integrate(limits).is_ok(),
                    step == 1,
                    "the third sample takes the place of the first"
                );
            }
            if step == 0 {
                engine.fit(&SurrogateConfig::snapshots()).unwrap();
            }
            engine.step().unwrap();
        }
    }
}
