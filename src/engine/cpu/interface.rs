//! The CPU engine's side of the [`Engine`] trait.

use ndarray::Array2;
use rayon::prelude::*;

use super::engine::{CpuEngine, NOTHING};
use super::kernels;
use super::kernels::GramParts;
use super::phase::{Field, Phase};
use super::potential;
use super::state::State;
use crate::engine::best::{change, slope};
use crate::engine::fit::fit;
use crate::engine::holdout;
use crate::engine::interface::{
    Engine, EngineInfo, EngineKind, Fit, GradientSummary, Landing, Pair, PhaseEnd, PhaseLimits, Samples,
    Sealed, Setup, StepComparison, Traffic, TrustLimits,
};
use crate::engine::protocol::Protocol;
use crate::engine::ring::Ring;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::potential::{Polynomial, PotentialConfig};
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{RegressionProblem, SurrogateConfig, regression};

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
        // The tables of the run before are let go of first: both would be twice the memory.
        *self = Self::without_run(self.format);
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
        let fit = pollster::block_on(fit(self, config))?;
        self.protocol.fitted(config, &self.ring.rows());
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
        let mut scratch = [(); 2].map(|()| vec![0.0; self.trusted.x.len()]);
        let [center, gradient] = &mut scratch;
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
