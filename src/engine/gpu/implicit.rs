//! The implicit library: polynomials of x itself through inner products with the samples.

use ndarray::Array2;

use super::counts;
use super::kernels::{ImplicitKernel, PowerSums, RowsCombine, WeightsEvaluate, bindings, to_pairs};
use super::run::{Model, Place, Recording, Sums};
use super::shared::NO_ROW;
use crate::engine::fit::ImplicitSums;
use crate::error::Result;
use crate::surrogate::SurrogateConfig;

impl Recording<'_> {
    /// What the implicit library is made from: two read-backs, of the power sums of all pairs of samples and
    /// of Y Yᵀ.
    pub(super) async fn read_implicit_sums(&mut self, config: &SurrogateConfig) -> Result<ImplicitSums> {
        // Everything is numbered by row: no order of age is needed.
        let k = self.run.ring.len();
        let newest = self.run.newest()? as u32;
        let yy = self.read_stacked_gram(config, 0, NO_ROW).await?;
        let per_row = 3 * k + 1;
        let bytes = 8 * (k * per_row) as u64;
        self.recorder.ensure(&mut self.run.shared.totals, "totals", bytes)?;
        self.recorder.ensure_staging(&mut self.run.shared.staging, bytes)?;
        for s in &self.run.segments {
            let params = RowsCombine {
                len: s.len as u32,
                slab: self.run.slab as u32,
                rows: k as u32,
                rank: 0,
                reference: newest,
            };
            self.recorder.dispatch(
                params,
                &bindings::RowsCombine {
                    iterates: &s.iterates,
                    combination: &self.run.shared.combination,
                    basis: &s.basis,
                },
                s.per_directions(0),
            )?;
        }
        for row in 0..k {
            // The kernel matrix is symmetric.
            self.record_power_sums(Query::Sample(row), row + 1, row * per_row)?;
        }
        self.recorder.copy(&self.run.shared.totals, 0, &self.run.shared.staging, 0, bytes);
        let data: Vec<[f32; 2]> =
            bytemuck::pod_collect_to_vec(&self.recorder.read_async(&self.run.shared.staging, bytes).await?);
        let value = |at: usize| f64::from(data[at][0]) + f64::from(data[at][1]);
        let sums = [0, 1, 2].map(|power| {
            Array2::from_shape_fn((k, k), |(i, j)| value(i.max(j) * per_row + 3 * i.min(j) + power))
        });
        let radius = (0..k).map(|row| value(row * per_row + 3 * (row + 1))).fold(0.0, f64::max).sqrt();

        Ok(ImplicitSums { powers: sums, yy, radius })
    }

    /// Makes w(x) = M k(x, X) the model's weights.
    pub(super) fn upload_weights(&mut self, weights: &Array2<f64>) -> Result<()> {
        let k = weights.nrows();
        let shared = &mut self.run.shared;
        self.recorder.ensure(&mut shared.coefficients, "coefficients", 8 * (k * k) as u64)?;
        self.recorder.ensure(&mut shared.monomials, "monomials", 8 * k as u64)?;
        self.recorder.ensure(&mut shared.weights, "weights", 4 * k as u64)?;
        self.recorder.upload(&shared.coefficients, &to_pairs(weights.t()))
    }

    /// Records the power sums of one x with the first `rows` samples, and |x − mean|², into the totals from
    /// `first` on.
    fn record_power_sums(&mut self, query: Query, rows: usize, first: usize) -> Result<()> {
        for s in &self.run.segments {
            let (iterate, row) = match query {
                Query::Sample(row) => (&s.iterates, row),
                Query::State(place) => (s.at(place)?.0, 0),
            };
            let params = PowerSums {
                len: s.len as u32,
                slab: self.run.slab as u32,
                first_slab: s.first_slab as u32,
                rows: rows as u32,
                row: row as u32,
            };
            // The basis has no directions: its first row is the mean.
            let buffers = bindings::PowerSums {
                phase: &self.run.shared.phase,
                samples: &s.iterates,
                mean: &s.basis,
                iterate,
                partials: &self.run.shared.partials,
            };
            self.recorder.dispatch(params, &buffers, s.per_samples(rows))?;
        }
        self.record_reduction(3 * rows + 1, Sums::Totals, first)
    }

    /// Records k(x, X), which take the place of the monomials; returns how the weights follow from them.
    pub(super) fn record_implicit_kernel(&mut self, model: &Model, place: Place) -> Result<WeightsEvaluate> {
        let k = model.samples;
        self.record_power_sums(Query::State(place), k, 0)?;
        let params = ImplicitKernel {
            rows: k as u32,
            order: model.config.order as u32,
            bias: f32::from(u8::from(model.config.bias)),
        };
        self.recorder.dispatch(
            params,
            &bindings::ImplicitKernel {
                phase: &self.run.shared.phase,
                power_sums: &self.run.shared.totals,
                products: &self.run.shared.monomials,
            },
            counts::entries::<ImplicitKernel>(1, k),
        )?;
        Ok(WeightsEvaluate {
            rank: 3 * k as u32,
            features: k as u32,
            order: 0,
            outputs: k as u32,
            ..WeightsEvaluate::default()
        })
    }
}

/// The x of power sums.
#[derive(Debug, Clone, Copy)]
enum Query {
    /// The sample in this row.
    Sample(usize),
    State(Place),
}
