//! From the recorded samples to a fitted model: inner products, tables, the regression.

use ndarray::Array2;

use super::buffers::Buffer;
use super::counts::{self, block_pairs};
use super::kernels::{
    ColumnsScale, Eft, FeaturesEvaluate, GramAccumulate, MatrixMultiply, RowsCombine, StateProject,
    TargetEncode, bindings, split, to_pairs,
};
use super::recording::Recorder;
use super::regression::{self, Scaling};
use super::run::{Model, RESOLUTION, RESOLUTION_PLAIN, Recording, Run, Segment, Sums};
use super::shared::{BLOCK_ENTRIES, NO_ROW, Problem};
use crate::engine::fit::{FitPasses, FitPlan, FullSamples, Grams, ImplicitSums, Planned};
use crate::engine::ring::Ring;
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::surrogate::{Lift, SurrogateConfig, TargetTransform};

/// How long the inner products' dispatch may take, s: half the 50 ms of any, since the directions of a
/// potential cost up to twice as much per unknown.
const GRAM_SECONDS: f64 = 0.025;
/// The scratch tables they are timed on, bytes.
const SCRATCH_BYTES: u64 = 8 << 20;

impl Run {
    /// How many unknowns the costliest kernel, the inner products of `capacity` samples and as many
    /// gradients, gets through in one dispatch of [`GRAM_SECONDS`]; none if that cannot be measured.
    pub(super) fn unknowns_per_dispatch(recorder: &mut Recorder, capacity: usize) -> Result<Option<usize>> {
        let slab = 1024;
        let slabs = (SCRATCH_BYTES as usize / 4 / capacity.max(1) / slab).clamp(1, 1024);
        let (len, blocks) = (slab * slabs, block_pairs(2 * capacity));
        let table = recorder.buffer("scratch", 4 * (len * capacity) as u64)?;
        let partials = recorder.buffer("scratch_partials", 128 * (blocks * slabs) as u64)?;
        let [rows, stacked] = [capacity, 2 * capacity].map(|n| n as u32);
        let params = GramAccumulate {
            len: len as u32,
            slab: slab as u32,
            first_slab: 0,
            rows,
            stacked,
            reference: 0,
            blocks: blocks as u32,
        };
        let mut once = || {
            recorder.timed(|r| {
                r.dispatch(
                    params,
                    &bindings::GramAccumulate { iterates: &table, targets: &table, partials: &partials },
                    counts::gram(blocks, slabs),
                )
            })
        };
        // The first builds the pipeline and wakes the device.
        let seconds = once().and_then(|_| once());
        recorder.release(&table);
        recorder.release(&partials);
        let seconds = seconds?;
        Ok((seconds > 0.0).then(|| (len as f64 / seconds * GRAM_SECONDS) as usize))
    }
}

impl FitPasses for Recording<'_> {
    fn history(&self) -> (Flow, &Ring) {
        (self.run.flow, &self.run.ring)
    }

    async fn grams(&mut self, config: &SurrogateConfig) -> Result<Grams> {
        self.read_grams_by_age(config).await
    }

    async fn full_samples(&mut self, config: &SurrogateConfig) -> Result<FullSamples> {
        let rows = self.run.ring.rows();
        let (x, g) = self.read_samples(&rows).await?;
        let targets = ndarray::Zip::from(&g).and(&x).map_collect(|g, x| config.transform.encode(*g, *x));
        if config.lift == Lift::Snapshots {
            self.record_encoding(config)?;
        }
        let mean = x.mean_axis(ndarray::Axis(0)).ok_or_else(|| Error::internal("a fit without samples"))?;
        let distance = |row: ndarray::ArrayView1<f64>| (&row - &mean).mapv(|v| v * v).sum().sqrt();
        let radius = x.rows().into_iter().map(distance).fold(0.0, f64::max);
        let bytes = 8 * (self.run.dimension as u64 + 1);
        self.recorder.ensure(&mut self.run.shared.totals, "totals", bytes)?;
        let yy = match config.lift {
            Lift::Snapshots => targets.dot(&targets.t()),
            Lift::Trajectory => Array2::zeros((0, 0)),
        };
        Ok(FullSamples { x, targets, yy, radius })
    }

    async fn implicit_sums(&mut self, config: &SurrogateConfig) -> Result<ImplicitSums> {
        self.read_implicit_sums(config).await
    }

    fn keep(&mut self, config: &SurrogateConfig, planned: Planned) -> Result<f64> {
        let (newest, rows) = (self.run.newest()?, self.run.ring.rows());
        let Planned { plan, yy, radius } = planned;
        let ridge = self.record_fit(config, &plan, &rows, newest)?;
        let samples = rows.len();
        self.run.model =
            Some(Model { config: *config, plan: Some(plan), samples, yy, radius, reported: false });
        Ok(ridge)
    }

    fn keep_implicit(
        &mut self,
        config: &SurrogateConfig,
        weights: Array2<f64>,
        sums: ImplicitSums,
        residual: f64,
    ) -> Result<()> {
        self.upload_weights(&weights)?;
        self.run.fit_residual = Some(residual);
        let ImplicitSums { yy, radius, .. } = sums;
        let samples = weights.nrows();
        self.run.model = Some(Model { config: *config, plan: None, samples, radius, yy, reported: true });
        Ok(())
    }
}

impl Recording<'_> {
    /// Transforms the targets of all samples, if they are to be.
    pub(super) fn record_encoding(&mut self, config: &SurrogateConfig) -> Result<()> {
        let (rows, slab) = (self.run.ring.len(), self.run.slab as u32);
        if let TargetTransform::LogDamped { damping } = config.transform {
            for s in &mut self.run.segments {
                self.recorder.ensure(&mut s.encoded, "encoded", s.iterates.bytes)?;
                let params = TargetEncode {
                    len: s.len as u32,
                    slab,
                    rows: rows as u32,
                    damping: damping as f32,
                    gradient_floor: TargetTransform::GRADIENT_FLOOR as f32,
                    iterate_floor: TargetTransform::ITERATE_FLOOR as f32,
                };
                self.recorder.dispatch(
                    params,
                    &bindings::TargetEncode {
                        iterates: &s.iterates,
                        gradients: &s.gradients,
                        encoded: &s.encoded,
                    },
                    s.per_row(rows),
                )?;
            }
        }
        Ok(())
    }

    /// Transforms the targets and reads the inner products of all samples, in the order of their rows.
    pub(super) async fn read_grams(&mut self, config: &SurrogateConfig, newest: usize) -> Result<Grams> {
        let rows = self.run.ring.len();
        let reference = if config.space.is_centered() { newest as u32 } else { NO_ROW };
        let gram = self.read_stacked_gram(config, rows, reference).await?;
        let part = |i: usize, j: usize| {
            gram.slice(ndarray::s![i * rows..(i + 1) * rows, j * rows..(j + 1) * rows]).to_owned()
        };
        let resolution = if self.recorder.variant.eft == Eft::Plain { RESOLUTION_PLAIN } else { RESOLUTION };
        Ok(Grams { xx: part(0, 0), xy: part(0, 1), yy: part(1, 1), resolution })
    }

    /// Transforms the targets and reads the Gram matrix of the first `iterates` rows of X, about row
    /// `reference`, stacked on all rows of Y.
    pub(super) async fn read_stacked_gram(
        &mut self,
        config: &SurrogateConfig,
        iterates: usize,
        reference: u32,
    ) -> Result<Array2<f64>> {
        self.record_encoding(config)?;
        let stacked = iterates + self.run.ring.len();
        self.read_gram([iterates, stacked], reference, |s| {
            if config.transform == TargetTransform::Identity { &s.gradients } else { &s.encoded }
        })
        .await
    }

    /// Reads the Gram matrix of `stacked` rows: the first `iterates` of them of X, about row `reference`, the
    /// others of `targets`.
    pub(super) async fn read_gram(
        &mut self,
        [iterates, stacked]: [usize; 2],
        reference: u32,
        targets: impl Fn(&Segment) -> &Buffer,
    ) -> Result<Array2<f64>> {
        let slab = self.run.slab as u32;
        let pairs = block_pairs(stacked);
        for s in &self.run.segments {
            let params = GramAccumulate {
                len: s.len as u32,
                slab,
                first_slab: s.first_slab as u32,
                rows: iterates as u32,
                stacked: stacked as u32,
                reference,
                blocks: pairs as u32,
            };
            self.recorder.dispatch(
                params,
                &bindings::GramAccumulate {
                    iterates: &s.iterates,
                    targets: targets(s),
                    partials: &self.run.shared.partials,
                },
                counts::gram(pairs, s.slabs),
            )?;
        }
        let values = BLOCK_ENTRIES * pairs;
        self.prepare_sums(values, 1)?;
        self.record_sums(values, 0)?;
        let sums = self.read_sums(values, 1).await?;
        let mut gram = Array2::zeros((stacked, stacked));
        let mut at = 0;
        for a in (0..stacked).step_by(4) {
            for b in (a..stacked).step_by(4) {
                for (t, (i, j)) in (0..16).map(|t| (t, (a + t / 4, b + t % 4))) {
                    if i < stacked && j < stacked {
                        gram[[i, j]] = sums[at + t];
                        gram[[j, i]] = gram[[i, j]];
                    }
                }
                at += 16;
            }
        }
        Ok(gram)
    }

    /// Makes room for the sums of `sets` passes with `values` values each.
    pub(super) fn prepare_sums(&mut self, values: usize, sets: usize) -> Result<()> {
        let bytes = sets as u64 * self.sum_bytes(values);
        self.recorder.ensure_staging(&mut self.run.shared.staging, bytes)
    }

    /// What a set takes on its way: a device without double-word sums has the host add up the slabs.
    fn sum_bytes(&mut self, values: usize) -> u64 {
        8 * values as u64 * if self.recorder.variant.eft == Eft::Plain { self.run.slabs as u64 } else { 1 }
    }

    /// Puts what is in the partial sums aside as set `set`.
    pub(super) fn record_sums(&mut self, values: usize, set: usize) -> Result<()> {
        let bytes = self.sum_bytes(values);
        let from = if self.recorder.variant.eft == Eft::Plain {
            &self.run.shared.partials
        } else {
            self.record_reduction(values, Sums::Totals, 0)?;
            &self.run.shared.totals
        };
        self.recorder.copy(from, 0, &self.run.shared.staging, set as u64 * bytes, bytes);
        Ok(())
    }

    /// Reads the sets that were put aside: one read-back.
    pub(super) async fn read_sums(&mut self, values: usize, sets: usize) -> Result<Vec<f64>> {
        let bytes = self.sum_bytes(values);
        let data: Vec<[f32; 2]> = bytemuck::pod_collect_to_vec(
            &self.recorder.read_async(&self.run.shared.staging, sets as u64 * bytes).await?,
        );
        let set = |data: &[[f32; 2]]| -> Vec<f64> {
            (0..values)
                .map(|at| {
                    data[at..].iter().step_by(values).map(|[hi, lo]| f64::from(*hi) + f64::from(*lo)).sum()
                })
                .collect()
        };
        Ok(data.chunks_exact(bytes as usize / 8).flat_map(set).collect())
    }

    /// The inner products of all samples, oldest first.
    pub(super) async fn read_grams_by_age(&mut self, config: &SurrogateConfig) -> Result<Grams> {
        let rows = self.run.ring.rows();
        let newest = self.run.newest()?;
        let by_row = self.read_grams(config, newest).await?;
        let by_age = |gram: Array2<f64>| gram.select(ndarray::Axis(0), &rows).select(ndarray::Axis(1), &rows);
        Ok(Grams {
            xx: by_age(by_row.xx),
            xy: by_age(by_row.xy),
            yy: by_age(by_row.yy),
            resolution: by_row.resolution,
        })
    }

    /// Reads the recorded samples and gradients (K×d each), oldest first: for fits in the full space, whose d
    /// is small.
    pub(super) async fn read_samples(&mut self, rows: &[usize]) -> Result<(Array2<f64>, Array2<f64>)> {
        let (k, d) = (rows.len(), self.run.dimension);
        let capacity = self.run.segments.iter().map(|s| s.iterates.bytes).sum::<u64>();
        self.recorder.ensure_staging(&mut self.run.shared.staging, 2 * capacity)?;
        let mut at = 0;
        let mut places = Vec::new();
        for s in &self.run.segments {
            for (table, buffer) in [&s.iterates, &s.gradients].into_iter().enumerate() {
                let bytes = s.bytes() * self.run.ring.len() as u64;
                self.recorder.copy(buffer, 0, &self.run.shared.staging, at, bytes);
                places.push((table, s.start, s.len, at as usize));
                at += bytes;
            }
        }
        let data = self.recorder.read_async(&self.run.shared.staging, at).await?;
        let mut tables = [Array2::zeros((k, d)), Array2::zeros((k, d))];
        for (table, start, len, at) in places {
            for (age, row) in rows.iter().enumerate() {
                for i in 0..len {
                    let word = at + 4 * (row * len + i);
                    tables[table][[age, start + i]] = f64::from(f32::from_ne_bytes([
                        data[word],
                        data[word + 1],
                        data[word + 2],
                        data[word + 3],
                    ]));
                }
            }
        }
        let [x, g] = tables;
        Ok((x, g))
    }

    /// Makes basis and mean, and solves the regression, on the device. `rows` are the samples' rows, oldest
    /// first, and `newest` is the last of them. Returns the ridge α.
    pub(super) fn record_fit(
        &mut self,
        config: &SurrogateConfig,
        plan: &FitPlan,
        rows: &[usize],
        newest: usize,
    ) -> Result<f64> {
        let (k, rank, library) = (rows.len(), plan.coordinates.ncols(), plan.library.len());
        let (samples, outputs) = plan.targets.dim();
        let features = plan.features();
        let width = features.ncols();
        let Scaling { scales, scaled, ridge } = Scaling::new(&config.regression, features.view());
        // Interpolation in more features than rows fits the rounding of f32 iterates: there the refit keeps
        // the ridge, and the ridge is at least twice what the kernel takes for rounding in a pivot.
        let least = if width >= samples {
            ridge.sqrt().max(2.0 * regression::pivot_rounding(scaled.view()))
        } else {
            0.0
        };

        // Samples are numbered by age in the plan and by row in the tables.
        let mut targets = plan.targets.clone();
        if config.lift == Lift::Snapshots {
            for (age, &row) in rows.iter().enumerate() {
                targets.column_mut(row).assign(&plan.targets.column(age));
            }
        }
        let shared = &mut self.run.shared;
        let (words, pairs) = (|n: usize| 4 * n as u64, |n: usize| 8 * n as u64);
        self.recorder.ensure(&mut shared.coordinates, "coordinates", pairs(k * rank + 1))?;
        self.recorder.ensure(&mut shared.terms, "terms", words(plan.library.terms().len()))?;
        self.recorder.ensure(&mut shared.monomials, "monomials", pairs(library))?;
        self.recorder.ensure(&mut shared.weights, "weights", words(outputs))?;
        self.recorder.ensure(&mut shared.coefficients, "coefficients", pairs(library * outputs))?;
        let scales_at = samples * width;
        let target_at = scales_at + width;
        let regression = &mut shared.regression;
        self.recorder.ensure(
            &mut regression.data,
            "regression.data",
            pairs(target_at + samples * outputs),
        )?;
        self.recorder.ensure(
            &mut regression.coefficients,
            "regression.coefficients",
            pairs(width * outputs),
        )?;
        self.recorder.ensure(&mut regression.support, "regression.support", words(width * outputs))?;
        self.recorder.ensure(
            &mut regression.predictions,
            "regression.predictions",
            words(samples * outputs),
        )?;
        self.recorder.upload(&shared.coordinates, &to_pairs(plan.coordinates.view()))?;
        self.recorder.upload(&shared.terms, plan.library.terms())?;
        let regression = &shared.regression;
        self.recorder.upload_at(
            &regression.data,
            pairs(scales_at),
            &scales.iter().map(|v| split(*v)).collect::<Vec<_>>(),
        )?;
        self.recorder.upload_at(&regression.data, pairs(target_at), &to_pairs(targets.view()))?;
        if let Some(mix) = &plan.mix {
            self.recorder.ensure(&mut shared.mix, "mix", pairs(mix.len()))?;
            self.recorder.upload(&shared.mix, &to_pairs(mix.view()))?;
        }
        if let Some(transform) = &plan.orthonormal {
            self.recorder.ensure(&mut shared.orthonormal, "orthonormal", pairs(transform.len()))?;
            self.recorder.upload(&shared.orthonormal, &to_pairs(transform.view()))?;
        }
        self.recorder.ensure(&mut shared.library, "library", pairs(k * library))?;
        self.recorder.ensure(&mut shared.mixed, "mixed", pairs(samples * library))?;

        if let Some(space) = &plan.space {
            let mut combination = Array2::zeros((rank, k + 1));
            for (age, &row) in rows.iter().enumerate() {
                combination.column_mut(row).assign(&space.basis.column(age));
            }
            if !config.space.is_centered() {
                combination.column_mut(k).assign(&space.basis.sum_axis(ndarray::Axis(1)));
            }
            self.recorder.ensure(&mut shared.combination, "combination", pairs(rank * (k + 1)))?;
            self.recorder.upload(&shared.combination, &to_pairs(combination.view()))?;
        }
        // The full space has no directions, but a mean to measure distances from.
        let directions = if plan.space.is_some() { rank } else { 0 };
        self.ensure_directions(directions)?;
        let shared = &self.run.shared;
        for s in &self.run.segments {
            let params = RowsCombine {
                len: s.len as u32,
                slab: self.run.slab as u32,
                rows: k as u32,
                rank: directions as u32,
                reference: newest as u32,
            };
            self.recorder.dispatch(
                params,
                &bindings::RowsCombine {
                    iterates: &s.iterates,
                    combination: &shared.combination,
                    basis: &s.basis,
                },
                s.per_directions(directions),
            )?;
        }

        if plan.space.is_some() && !config.space.is_centered() {
            // About 0, the rounding of the basis is eps·s₁ in every coordinate, which is all there is of a
            // weak one. So the samples' coordinates are taken along the basis as it is, as every later x's
            // will be. (The distance that follows each sample's coordinates is overwritten by the next.)
            for (age, &row) in rows.iter().enumerate() {
                for s in &self.run.segments {
                    let params = StateProject { row: row as u32, ..self.run.state_project(s, rank) };
                    let shared = &self.run.shared;
                    let buffers = bindings::StateProject {
                        phase: &shared.no_phase,
                        basis: &s.basis,
                        iterate: &s.iterates,
                        partials: &shared.partials,
                    };
                    self.recorder.dispatch(params, &buffers, s.per_directions(rank))?;
                }
                self.record_reduction(rank + 1, Sums::Coordinates, age * rank)?;
            }
        }

        // Θ, A Θ and A Θ T, the last of them where the regression reads it.
        let stages = usize::from(plan.mix.is_some()) + usize::from(plan.orthonormal.is_some());
        let shared = &self.run.shared;
        let data = &shared.regression.data;
        let params = FeaturesEvaluate {
            rows: k as u32,
            variables: rank as u32,
            features: library as u32,
            order: plan.library.order() as u32,
        };
        let into = if stages == 0 { data } else { &shared.library };
        self.recorder.dispatch(
            params,
            &bindings::FeaturesEvaluate {
                coordinates: &shared.coordinates,
                terms: &shared.terms,
                matrix: into,
            },
            counts::entries::<FeaturesEvaluate>(k, library),
        )?;
        let multiply = |rows: usize, inner: usize, columns: usize| MatrixMultiply {
            rows: rows as u32,
            inner: inner as u32,
            columns: columns as u32,
            reserved: 0,
        };
        let mut rows_so_far = &shared.library;
        if plan.mix.is_some() {
            let into = if plan.orthonormal.is_some() { &shared.mixed } else { data };
            self.recorder.dispatch(
                multiply(samples, k, library),
                &bindings::MatrixMultiply { left: &shared.mix, right: rows_so_far, product: into },
                counts::entries::<MatrixMultiply>(samples, library),
            )?;
            rows_so_far = into;
        }
        if plan.orthonormal.is_some() {
            self.recorder.dispatch(
                multiply(samples, library, width),
                &bindings::MatrixMultiply { left: rows_so_far, right: &shared.orthonormal, product: data },
                counts::entries::<MatrixMultiply>(samples, width),
            )?;
        }
        let params =
            ColumnsScale { rows: samples as u32, features: width as u32, scales_at: scales_at as u32 };
        self.recorder.dispatch(
            params,
            &bindings::ColumnsScale { data },
            counts::entries::<ColumnsScale>(samples, width),
        )?;
        let mut problems: Vec<Problem> = (0..outputs as u32)
            .map(|column| Problem {
                scales_at: scales_at as u32,
                target_at: target_at as u32 + column,
                target_stride: outputs as u32,
                coefficient_at: column,
                coefficient_stride: outputs as u32,
                prediction_at: column,
                prediction_stride: outputs as u32,
                ..regression::problem(scaled.view(), &config.regression, ridge, least)
            })
            .collect();
        self.run.shared.regression.record(self.recorder, &mut problems)?;
        let shared = &self.run.shared;
        let solved = &shared.regression.coefficients;
        if plan.orthonormal.is_some() {
            let buffers = bindings::MatrixMultiply {
                left: &shared.orthonormal,
                right: solved,
                product: &shared.coefficients,
            };
            self.recorder.dispatch(
                multiply(library, width, outputs),
                &buffers,
                counts::entries::<MatrixMultiply>(library, outputs),
            )?;
        } else {
            self.recorder.copy(solved, 0, &shared.coefficients, 0, pairs(library * outputs));
        }
        Ok(ridge.max(least * least))
    }
}
