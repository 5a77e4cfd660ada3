//! The passes of a fit, and the tables that it makes.

use ndarray::{Array2, ArrayView1, Axis};

use super::basis::{DirectionsMut, grown};
use super::engine::CpuEngine;
use super::kernels;
use super::kernels::GramParts;
use super::phase::{Coordinates, LiftTable, Model, Predictor, Tables, rows};
use crate::engine::fit::{FitPasses, FullSamples, Grams, ImplicitSums, Planned};
use crate::engine::interface::NumberFormat;
use crate::engine::ring::Ring;
use crate::error::Result;
use crate::flow::Flow;
use crate::scalar::Scalar;
use crate::surrogate::regression::Regression;
use crate::surrogate::{Lift, SpaceConfig, SurrogateConfig, TargetTransform, regression};

impl<T: Scalar> CpuEngine<T> {
    /// Inner products of the samples `which` (by the history's rows) and, where the transform asks for it,
    /// their transformed targets.
    pub(super) fn inner_products(
        &mut self,
        config: &SurrogateConfig,
        which: &[usize],
        parts: GramParts,
    ) -> Grams {
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

    /// What a fit needs of the inner products: the snapshot lift learns weights and needs no components; the
    /// trajectory's components are their own measure.
    fn products_of_fit(&mut self, config: &SurrogateConfig) -> Grams {
        let snapshots = config.lift == Lift::Snapshots;
        self.inner_products(config, &self.ring.rows(), GramParts { xy: !snapshots, yy: snapshots })
    }

    /// A model by `predictor`, of whose targets the inner products are `yy`.
    fn model(&self, config: &SurrogateConfig, predictor: Predictor, yy: &Array2<f64>, radius: f64) -> Model {
        let lift = match (config.lift, config.space, config.transform) {
            (Lift::Trajectory, SpaceConfig::Reduced { .. }, _) => LiftTable::Basis,
            (Lift::Trajectory, _, _) => LiftTable::Direct,
            (Lift::Snapshots, _, TargetTransform::Identity) => LiftTable::Gradients,
            (Lift::Snapshots, _, _) => LiftTable::Encoded,
        };
        let rows = self.ring.rows();
        // A direction is of length 1.
        let bounds = match config.lift {
            Lift::Snapshots => yy.diag().iter().map(|square| square.sqrt()).collect(),
            Lift::Trajectory => vec![1.0; rows.len()],
        };
        Model { predictor, transform: config.transform, lift, bounds, rows, radius }
    }
}

impl<T: Scalar> FitPasses for CpuEngine<T> {
    fn history(&self) -> (Flow, &Ring) {
        (self.flow.unwrap_or_else(|| unreachable!("the protocol asks for a run first")), &self.ring)
    }

    async fn grams(&mut self, config: &SurrogateConfig) -> Result<Grams> {
        Ok(self.products_of_fit(config))
    }

    async fn full_samples(&mut self, config: &SurrogateConfig) -> Result<FullSamples> {
        let yy = self.products_of_fit(config).yy;
        let which = self.ring.rows();
        let (x, targets) = self.samples_of(config, &which);
        Ok(FullSamples { x, targets, yy, radius: self.average(&which) })
    }

    async fn implicit_sums(&mut self, config: &SurrogateConfig) -> Result<ImplicitSums> {
        let yy = self.products_of_fit(config).yy;
        let which = self.ring.rows();
        let powers = kernels::power_sum_matrices(&rows(&self.iterates, &which));
        Ok(ImplicitSums { powers, yy, radius: self.average(&which) })
    }

    fn keep(&mut self, config: &SurrogateConfig, planned: Planned) -> Result<f64> {
        let Planned { plan, yy, radius } = planned;
        let centered = config.space.is_centered();
        let features = plan.features();
        // Interpolation fits the rounding of f32 iterates.
        let interpolates = T::FORMAT == NumberFormat::F32 && features.ncols() >= features.nrows();
        let settings = Regression { refit: config.regression.refit && !interpolates, ..config.regression };
        let solution = regression::solve(features.view(), plan.targets.view(), &settings)?;
        let predictions = features.dot(&solution.coefficients);
        self.fit_residual = Some(plan.residual(predictions.view(), config, yy.view()));
        let coefficients = match &plan.orthonormal {
            Some(transform) => transform.dot(&solution.coefficients),
            None => solution.coefficients,
        };
        let samples = plan.coordinates.nrows() as f64;
        let space = plan.space.as_ref().map(|space| {
            let mean =
                |column: ArrayView1<f64>| if centered { 0.0 } else { column.sum() / samples * space.scale };
            Coordinates {
                scale: space.scale,
                centered,
                mean: plan.coordinates.columns().into_iter().map(mean).collect(),
            }
        });
        let predictor = Predictor::Explicit { library: plan.library, coefficients, space };
        let model = self.model(config, predictor, &yy, radius);
        self.observed = plan.space.as_ref().map(|space| self.make_tables(&space.basis, centered, &model));
        self.model = Some(model);
        Ok(solution.ridge)
    }

    fn keep_implicit(
        &mut self,
        config: &SurrogateConfig,
        weights: Array2<f64>,
        sums: ImplicitSums,
        residual: f64,
    ) -> Result<()> {
        let predictor = Predictor::Implicit { order: config.order, bias: config.bias, weights };
        self.fit_residual = Some(residual);
        self.observed = None;
        self.model = Some(self.model(config, predictor, &sums.yy, sums.radius));
        Ok(())
    }
}
