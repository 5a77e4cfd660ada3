//! The learned potential: a history of pairs, the quadratic fitted to it, and its minimisation in a trust
//! region.

use ndarray::{Array2, Axis};

use super::counts::{self, block_pairs};
use super::kernels::{
    Eft, PairRecord, Params, PotentialLift, PotentialStep, RowsCombine, StateProject, TrustDirection,
    TrustVolume, bindings, to_pairs,
};
use super::run::{RESOLUTION, RESOLUTION_PLAIN, Recording, Sums};
use super::search::Side;
use super::shared::{BLOCK_ENTRIES, NO_ROW, PROJECTION_MULTIPLIERS, PhaseState};
use crate::engine::interface::{Fit, Pair, TrustLimits};
use crate::error::{Error, Result};
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::potential::{Polynomial, PotentialConfig};

/// Where the totals of Q d begin, after d·d and d·slope.
const PROJECTIONS: usize = 2;

impl Recording<'_> {
    pub(super) fn record_pair(&mut self, note: PairNote) -> Result<()> {
        let capacity = self.run.ring.capacity();
        let Some(row) = self.run.ring.push_pair(note) else { return Ok(()) };
        self.run.new_pairs.push(row);
        for s in &self.run.segments {
            let params = PairRecord {
                len: s.len as u32,
                slab: self.run.slab as u32,
                displacement_row: row as u32,
                change_row: (capacity + row) as u32,
            };
            self.recorder.dispatch(
                params,
                &bindings::PairRecord {
                    iterate: &s.iterate,
                    gradient: &s.gradient,
                    trusted_iterate: &s.trusted[0],
                    trusted_gradient: &s.trusted[1],
                    history: &s.iterates,
                },
                s.per_slab(),
            )?;
        }
        Ok(())
    }

    pub(super) fn put_pair(&mut self, pair: &Pair) -> Result<()> {
        pair.check(self.run.dimension)?;
        let capacity = self.run.ring.capacity();
        let Some(row) = self.run.ring.push_pair(pair.note) else { return Ok(()) };
        self.run.new_pairs.push(row);
        for s in &self.run.segments {
            for (vector, row) in [(&pair.displacement, row), (&pair.change, capacity + row)] {
                let here: Vec<f32> = vector[s.start..s.start + s.len].iter().map(|v| *v as f32).collect();
                self.recorder.upload_at(&s.iterates, row as u64 * s.bytes(), &here)?;
            }
        }
        Ok(())
    }

    pub(super) async fn read_pairs(&mut self) -> Result<Vec<Pair>> {
        let (rows, capacity) = (self.run.ring.rows(), self.run.ring.capacity());
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let vector = 4 * self.run.dimension as u64;
        self.recorder.ensure_staging(&mut self.run.shared.staging, 2 * rows.len() as u64 * vector)?;
        for (age, &row) in rows.iter().enumerate() {
            for s in &self.run.segments {
                for (half, row) in [row, capacity + row].into_iter().enumerate() {
                    let to = (2 * age + half) as u64 * vector + 4 * s.start as u64;
                    self.recorder.copy(
                        &s.iterates,
                        row as u64 * s.bytes(),
                        &self.run.shared.staging,
                        to,
                        s.bytes(),
                    );
                }
            }
        }
        let data = self.recorder.read_async(&self.run.shared.staging, 2 * rows.len() as u64 * vector).await?;
        let words: Vec<f32> = bytemuck::pod_collect_to_vec(&data);
        let d = self.run.dimension;
        let wide = |vector: &[f32]| vector.iter().map(|v| f64::from(*v)).collect();
        let pair = |(note, both): (PairNote, &[f32])| Pair {
            displacement: wide(&both[..d]),
            change: wide(&both[d..]),
            note,
        };
        Ok(self.run.ring.notes().into_iter().zip(words.chunks_exact(2 * d)).map(pair).collect())
    }

    /// Fits the quadratic on the host and makes its directions on the device: one read-back, or none without
    /// a pair.
    pub(super) async fn fit_potential(&mut self, flat: f64, config: PotentialConfig) -> Result<Fit> {
        let both = self.run.ring.pair_rows();
        let learned = if both.is_empty() {
            None
        } else {
            self.learn_products().await?;
            let gram = self.run.pair_products.select(Axis(0), &both).select(Axis(1), &both);
            let found = Polynomial::from_gram(
                gram.view(),
                &self.run.ring.notes(),
                config,
                if self.recorder.variant.eft == Eft::Plain { RESOLUTION_PLAIN } else { RESOLUTION },
            )?;
            if let Some(learned) = &found {
                self.record_directions(learned, &both)?;
            }
            found
        };
        let learned = learned.unwrap_or_else(|| Polynomial::flat(flat));
        let fit = Fit::of_potential(&learned);
        self.run.potential = Some(learned);
        Ok(fit)
    }

    /// The inner products of the new pairs with all others. Each new row reads the table once; where most
    /// pairs are new, the Gram matrix's kernel does it.
    async fn learn_products(&mut self) -> Result<()> {
        let capacity = self.run.ring.capacity();
        let (rows, values) = (2 * capacity, 2 * capacity + 1);
        let new: Vec<usize> = self.run.new_pairs.iter().flat_map(|&row| [row, capacity + row]).collect();
        if new.len() * values > BLOCK_ENTRIES * block_pairs(rows) {
            self.run.pair_products = self.read_gram([rows; 2], NO_ROW, |s| &s.gradients).await?;
        } else if !new.is_empty() {
            self.prepare_sums(values, new.len())?;
            for (set, &row) in new.iter().enumerate() {
                for s in &self.run.segments {
                    let params =
                        StateProject { row: row as u32, of_basis: 0, ..self.run.state_project(s, rows) };
                    // The row after the pairs, of zeros, stands where a basis has its mean.
                    let buffers = bindings::StateProject {
                        phase: &self.run.shared.no_phase,
                        basis: &s.iterates,
                        iterate: &s.iterates,
                        partials: &self.run.shared.partials,
                    };
                    self.recorder.dispatch(params, &buffers, s.per_directions(rows))?;
                }
                self.record_sums(values, set)?;
            }
            let sums = self.read_sums(values, new.len()).await?;
            for (&row, products) in new.iter().zip(sums.chunks_exact(values)) {
                for (other, product) in products[..rows].iter().enumerate() {
                    self.run.pair_products[[row, other]] = *product;
                    self.run.pair_products[[other, row]] = *product;
                }
            }
        }
        self.run.new_pairs.clear();
        Ok(())
    }

    /// Records the kernels that form the directions Q = C V from the recorded rows.
    fn record_directions(&mut self, learned: &Polynomial, columns: &[usize]) -> Result<()> {
        let (rank, rows) = (learned.curvatures.len(), 2 * self.run.ring.capacity());
        // By row instead of by age; the last column is the share of the reference, a row of zeros.
        let mut combination = Array2::zeros((rank, rows + 1));
        for (from, &to) in columns.iter().enumerate() {
            combination.column_mut(to).assign(&learned.combination.column(from));
        }
        self.ensure_directions(rank)?;
        let shared = &mut self.run.shared;
        self.recorder.ensure(&mut shared.combination, "combination", 8 * combination.len() as u64)?;
        let mut numbers: Vec<f32> = learned.curvatures.iter().map(|l| *l as f32).collect();
        if let Some(higher) = &learned.higher {
            numbers.extend(
                higher.points.iter().chain(&higher.slopes).flatten().chain(&higher.values).map(|v| *v as f32),
            );
        }
        self.recorder.ensure(&mut shared.learned, "learned", 4 * numbers.len() as u64)?;
        self.recorder.upload(&shared.combination, &to_pairs(combination.view()))?;
        self.recorder.upload(&shared.learned, &numbers)?;
        for s in &self.run.segments {
            let params = RowsCombine {
                len: s.len as u32,
                slab: self.run.slab as u32,
                rows: rows as u32,
                rank: rank as u32,
                reference: rows as u32,
            };
            self.recorder.dispatch(
                params,
                &bindings::RowsCombine {
                    iterates: &s.iterates,
                    combination: &self.run.shared.combination,
                    basis: &s.basis,
                },
                s.per_directions(rank),
            )?;
        }
        Ok(())
    }

    /// Records the whole minimisation: no read-back, one submission unless it is a large one.
    pub(super) fn minimize_potential(&mut self, limits: TrustLimits) -> Result<()> {
        let Some(learned) = &self.run.potential else {
            return Err(Error::internal("a fitted engine without a potential"));
        };
        let (rank, outside) = (learned.curvatures.len(), learned.outside as f32);
        let (order, samples) = learned
            .higher
            .as_ref()
            .map_or((2, 0), |higher| (higher.order as u32, higher.points.len() as u32));
        if samples > PotentialStep::THREADS {
            return Err(Error::internal(format!(
                "terms of order {order} from {samples} samples: the kernel takes {} at most",
                PotentialStep::THREADS
            )));
        }
        self.recorder.ensure(&mut self.run.shared.potential, "potential", 4 * (1 + 2 * rank) as u64)?;
        self.recorder.upload(&self.run.shared.potential, &vec![0.0_f32; 1 + 2 * rank])?;
        self.recorder.upload_at(
            &self.run.shared.phase,
            core::mem::offset_of!(PhaseState, rate) as u64,
            &[1.0 / outside],
        )?;
        self.run.ring.moved();
        for s in &self.run.segments {
            self.recorder.copy(&s.trusted[0], 0, &s.iterate, 0, s.bytes());
            self.recorder.copy(&s.trusted[1], 0, &s.slope, 0, s.bytes());
        }
        let (lower, upper, volume) = self.run.limits();
        let (slab, radius, bounds_row) = (self.run.slab as u32, limits.radius as f32, self.run.bounds_row());
        for _ in 0..limits.steps {
            if let Some(volume) = volume {
                self.record_search(
                    volume,
                    Side::Falling,
                    PROJECTION_MULTIPLIERS,
                    |run, recorder, s, pass| {
                        let params = TrustVolume {
                            len: s.len as u32,
                            slab,
                            first_slab: s.first_slab as u32,
                            candidates: pass.candidates,
                            begins: pass.begins,
                            radius,
                            lower,
                            upper,
                            bounds_row,
                        };
                        let buffers = bindings::TrustVolume {
                            phase: &run.shared.phase,
                            search: &run.shared.search,
                            iterate: &s.iterate,
                            slope: &s.slope,
                            center: &s.trusted[0],
                            domain: &s.domain,
                            partials: &run.shared.partials,
                        };
                        recorder.dispatch(params, &buffers, pass.groups)
                    },
                )?;
            }
            for s in &self.run.segments {
                let has_volume = u32::from(volume.is_some());
                let params = TrustDirection {
                    len: s.len as u32,
                    slab,
                    first_slab: s.first_slab as u32,
                    radius,
                    lower,
                    upper,
                    bounds_row,
                    has_volume,
                };
                let buffers = bindings::TrustDirection {
                    phase: &self.run.shared.phase,
                    iterate: &s.iterate,
                    slope: &s.slope,
                    center: &s.trusted[0],
                    domain: &s.domain,
                    direction: &s.direction,
                    partials: &self.run.shared.partials,
                };
                self.recorder.dispatch(params, &buffers, s.per_slab())?;
            }
            self.record_reduction(PROJECTIONS, Sums::Totals, 0)?;
            if rank > 0 {
                for s in &self.run.segments {
                    let buffers = bindings::StateProject {
                        phase: &self.run.shared.phase,
                        basis: &s.basis,
                        iterate: &s.direction,
                        partials: &self.run.shared.partials,
                    };
                    self.recorder.dispatch(
                        self.run.state_project(s, rank),
                        &buffers,
                        s.per_directions(rank),
                    )?;
                }
                self.record_reduction(rank + 1, Sums::Totals, PROJECTIONS)?;
            }
            let params = PotentialStep { rank: rank as u32, outside, order, samples };
            self.recorder.dispatch(
                params,
                &bindings::PotentialStep {
                    phase: &self.run.shared.phase,
                    totals: &self.run.shared.totals,
                    learned: &self.run.shared.learned,
                    model: &self.run.shared.potential,
                },
                counts::ONE,
            )?;
            for s in &self.run.segments {
                let params = PotentialLift {
                    len: s.len as u32,
                    slab,
                    rank: rank as u32,
                    radius,
                    lower,
                    upper,
                    bounds_row,
                    outside,
                };
                let buffers = bindings::PotentialLift {
                    iterate: &s.iterate,
                    slope: &s.slope,
                    direction: &s.direction,
                    center: &s.trusted[0],
                    gradient: &s.trusted[1],
                    domain: self.run.bounds_buffer(s),
                    basis: &s.basis,
                    model: &self.run.shared.potential,
                };
                self.recorder.dispatch(params, &buffers, s.per_slab())?;
            }
        }
        Ok(())
    }
}
