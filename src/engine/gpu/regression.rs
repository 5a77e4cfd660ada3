//! Batches of regressions on the device.

use ndarray::{Array1, Array2, ArrayView2};

use super::buffers::Buffer;
use super::counts;
use super::kernels::{Eft, Params, RegressionSolve, bindings, split};
use super::recording::Recorder;
use super::shared::{DOUBLE_ROWS, FACTOR_COLUMNS, MESA_TURNS, MOST_GROUPS, Problem, Solve, UNROLLED};
use crate::error::{EngineError, Result};
use crate::surrogate::RegressionProblem;
use crate::surrogate::regression::{Regression, Solution};

/// Solves per system: the first and its refinements.
pub(super) const ROUNDS: u32 = 4;

/// Where the ridge's root is below so many times [`pivot_rounding`], the factor is double-word. At once the
/// rounding, [`ROUNDS`] solves with a factor in f32 leave predictions on the samples off by 10⁻⁴; at twice,
/// 10⁻⁵; at four times, 10⁻⁶.
const ROUGH: f64 = 4.0;

/// Work space for the problems that are solved at once, bytes: larger batches are taken in turns.
const WORK_BYTES: usize = 32 << 20;

impl Problem {
    /// The number of units that factorise.
    pub(crate) fn chunks(rows: usize, features: usize) -> usize {
        rows.min(features).div_ceil(FACTOR_COLUMNS as usize)
    }

    /// Turns that one thread's loops take in each unit, as the shader writes them: see [`MESA_TURNS`].
    /// A double-word factor takes [`DOUBLE_ROWS`] rows per turn.
    pub(crate) fn unit_turns(rows: usize, features: usize, rounds: usize, is_double: bool) -> Vec<usize> {
        let (tall, narrow) = (rows + features, rows.min(features));
        let per_thread = |n: usize| n.div_ceil(RegressionSolve::THREADS as usize);
        let load = per_thread(tall) * (1 + narrow) + 2 * per_thread(features);
        let per_turn = if is_double { DOUBLE_ROWS } else { UNROLLED } as usize;
        let factor = FACTOR_COLUMNS as usize
            * (per_thread(tall) + 32 + per_thread(narrow) * 2 * tall.div_ceil(per_turn));
        let pivots = per_thread(narrow) * tall.div_ceil(UNROLLED as usize);
        let reflections = 2 * narrow * (2 * per_thread(tall) + 32);
        let refine = per_thread(tall) * narrow.div_ceil(UNROLLED as usize)
            + per_thread(narrow) * tall.div_ceil(UNROLLED as usize)
            + 2 * narrow * per_thread(narrow)
            + reflections;
        let finish =
            4 * per_thread(features) + features + per_thread(rows) * features.div_ceil(UNROLLED as usize);
        let mut units = vec![load];
        units.extend(std::iter::repeat_n(factor, Self::chunks(rows, features)));
        units.push(pivots);
        units.extend(std::iter::repeat_n(refine, rounds));
        units.push(finish);
        units
    }

    /// Words of work space for `rows` rows and `features` features: the support with its count and a flag,
    /// the factor, its diagonal and scales, two vectors, and solution and residual in double words; twice as
    /// many where the factor has low words.
    pub(crate) fn work_words(rows: usize, features: usize, is_double: bool) -> usize {
        let (tall, narrow) = (rows + features, rows.min(features));
        (2 + features + tall * narrow + 3 * narrow + 5 * tall) * if is_double { 2 } else { 1 }
    }

    /// Whether one of the solves has a double-word factor.
    pub(crate) fn is_double(&self) -> bool {
        self.is_double_in(Solve::First) || self.is_double_in(Solve::Last)
    }

    /// Whether the solve of this phase has a double-word factor.
    fn is_double_in(&self, phase: Solve) -> bool {
        match phase {
            Solve::Last => self.refit != 0 && self.refit_root < self.double_below,
            Solve::First | Solve::Later => self.root < self.double_below,
        }
    }
}

/// Everything the kernel binds.
#[derive(Debug)]
pub(super) struct RegressionBuffers {
    pub problems: Buffer,
    pub data: Buffer,
    pub work: Buffer,
    pub coefficients: Buffer,
    pub predictions: Buffer,
    pub support: Buffer,
    /// What the host reads of a batch.
    pub staging: Buffer,
}

impl RegressionBuffers {
    pub(super) fn new(recorder: &mut Recorder) -> Result<Self> {
        let staging = recorder.staging(0)?;
        let mut small = |name: &str| recorder.buffer(name, 0);
        Ok(Self {
            staging,
            problems: small("regression.problems")?,
            data: small("regression.data")?,
            work: small("regression.work")?,
            coefficients: small("regression.coefficients")?,
            predictions: small("regression.predictions")?,
            support: small("regression.support")?,
        })
    }

    /// Records the solution of `problems`, as many at a time as the work space holds.
    pub(super) fn record(&mut self, recorder: &mut Recorder, problems: &mut [Problem]) -> Result<()> {
        if recorder.variant.eft == Eft::Plain {
            // There are no double words on this device.
            problems.iter_mut().for_each(|p| p.double_below = 0.0);
        }
        let words = |p: &Problem| Problem::work_words(p.rows as usize, p.features as usize, p.is_double());
        let mut at = 0;
        while at < problems.len() {
            let mut used = 0;
            let mut end = at;
            while end < problems.len()
                && end - at < MOST_GROUPS as usize
                && problems[end].iterations == problems[at].iterations
                && (end == at || 4 * (used + words(&problems[end])) <= WORK_BYTES)
            {
                problems[end].work_at = used as u32;
                used += words(&problems[end]);
                end += 1;
            }
            recorder.ensure(&mut self.work, "regression.work", 4 * used as u64)?;
            recorder.ensure(
                &mut self.problems,
                "regression.problems",
                size_of_val(&problems[at..end]) as u64,
            )?;
            recorder.upload(&self.problems, &problems[at..end])?;
            let buffers = bindings::RegressionSolve {
                problems: &self.problems,
                data: &self.data,
                work: &self.work,
                coefficients: &self.coefficients,
                predictions: &self.predictions,
                support: &self.support,
            };
            let groups = counts::each(end - at);
            let rows = problems[at..end].iter().map(|p| p.rows).max().unwrap_or(0) as usize;
            let features = problems[at..end].iter().map(|p| p.features).max().unwrap_or(0) as usize;
            let is_double = problems[at..end].iter().any(Problem::is_double);
            let dispatches = cut(recorder, rows, features, is_double)?;
            for iteration in 0..=problems[at].iterations {
                let phase = match iteration {
                    last if last == problems[at].iterations => Solve::Last,
                    0 => Solve::First,
                    _ => Solve::Later,
                };
                let doubles = problems[at..end].iter().any(|p| p.is_double_in(phase));
                for units in &dispatches {
                    let (begin, end) = (units.start as u32, units.end as u32);
                    let params = RegressionSolve {
                        phase: phase as u32,
                        begin,
                        end,
                        chunks: Problem::chunks(rows, features) as u32,
                        rounds: ROUNDS,
                        doubles: u32::from(doubles),
                    };
                    recorder.dispatch(params, &buffers, groups)?;
                }
            }
            at = end;
        }
        Ok(())
    }
}

/// The units of one phase of problems up to this size, cut into dispatches: all in one, but for software
/// adapters that would take too many turns.
fn cut(
    recorder: &Recorder,
    rows: usize,
    features: usize,
    is_double: bool,
) -> Result<Vec<std::ops::Range<usize>>> {
    let units = Problem::unit_turns(rows, features, ROUNDS as usize, is_double);
    if !recorder.gpu.is_software() {
        return Ok(std::iter::once(0..units.len()).collect());
    }
    if units.iter().any(|turns| *turns > MESA_TURNS) {
        return Err(EngineError::Beyond {
            what: format!("a regression with {rows} rows and {features} features"),
            adapter: recorder.gpu.info.name.clone(),
        }
        .into());
    }
    let (mut dispatches, mut begin, mut turns) = (Vec::new(), 0, 0);
    for (unit, cost) in units.iter().enumerate() {
        if turns + cost > MESA_TURNS {
            dispatches.push(begin..unit);
            (begin, turns) = (unit, 0);
        }
        turns += cost;
    }
    dispatches.push(begin..units.len());
    Ok(dispatches)
}

/// What a feature matrix is divided by, the quotient, and the ridge α that goes with it.
pub(super) struct Scaling {
    /// Rounded to f32, so that the device undoes exactly what is done.
    pub scales: Array1<f64>,
    pub scaled: Array2<f64>,
    pub ridge: f64,
}

impl Scaling {
    pub(super) fn new(regression: &Regression, features: ArrayView2<f64>) -> Self {
        let scales = regression.column_scales(features).mapv(|s| f64::from(s as f32));
        let scaled = &features / &scales;
        let ridge = regression.ridge.resolve(scaled.view());
        Self { scales, scaled, ridge }
    }
}

/// What the kernel takes for rounding in a pivot of a wide problem's average row.
pub(super) fn pivot_rounding(features: ArrayView2<f64>) -> f64 {
    let (rows, columns) = features.dim();
    let row_square = features.iter().map(|f| f * f).sum::<f64>() / rows.max(1) as f64;
    2.0 * ((rows + columns) as f64 * row_square).sqrt() * f64::from(f32::EPSILON)
}

/// One problem's numbers, offsets aside, for a matrix scaled like this. A ridge below the square of
/// `least_root` is raised to it, and one that does not stand above the rounding of a factor in f32 gets a
/// double-word factor.
pub(super) fn problem(
    scaled: ArrayView2<f64>,
    regression: &Regression,
    ridge: f64,
    least_root: f64,
) -> Problem {
    let (rows, features) = scaled.dim();
    Problem {
        rows: rows as u32,
        features: features as u32,
        double_below: (ROUGH * pivot_rounding(scaled)) as f32,
        iterations: regression.max_iterations as u32,
        refit: u32::from(regression.refit && !regression.is_plain()),
        root: ridge.sqrt().max(least_root) as f32,
        refit_root: least_root as f32,
        threshold: regression.threshold as f32,
        ..Problem::default()
    }
}

/// Solves a batch: one read-back, or several if one binding cannot hold the data.
pub(super) async fn solve_batch(
    recorder: &mut Recorder,
    buffers: &mut RegressionBuffers,
    batch: &[RegressionProblem<'_>],
) -> Result<Vec<Solution>> {
    let limit = recorder.gpu.limits.max_storage_buffer_binding_size.min(recorder.gpu.limits.max_buffer_size);
    let mut solutions = Vec::with_capacity(batch.len());
    let mut left = batch;
    while !left.is_empty() {
        let (mut data, mut outputs) = (0, 0);
        let fits = |item: &&RegressionProblem<'_>| {
            let (features, columns) = (item.features.ncols(), item.targets.ncols());
            data += 8 * (item.features.len() + features + item.targets.len()) as u64;
            outputs += 8 * (features * columns) as u64;
            data.max(outputs) <= limit
        };
        let (now, later) = left.split_at(left.iter().take_while(fits).count().max(1));
        solutions.extend(solve_part(recorder, buffers, now).await?);
        left = later;
    }
    Ok(solutions)
}

/// Uploads a batch, solves it and reads coefficients and supports: one read-back.
async fn solve_part(
    recorder: &mut Recorder,
    buffers: &mut RegressionBuffers,
    batch: &[RegressionProblem<'_>],
) -> Result<Vec<Solution>> {
    let mut data: Vec<[f32; 2]> = Vec::new();
    let mut problems = Vec::new();
    let (mut outputs, mut predictions) = (0, 0);
    let mut ridges = Vec::new();
    for item in batch {
        let ((rows, features), columns) = (item.features.dim(), item.targets.ncols());
        let Scaling { scales, scaled, ridge } = Scaling::new(&item.regression, item.features);
        ridges.push(ridge);
        let matrix_at = data.len() as u32;
        data.extend(scaled.iter().map(|v| split(*v)));
        let scales_at = data.len() as u32;
        data.extend(scales.iter().map(|v| split(*v)));
        let target_at = data.len() as u32;
        data.extend(item.targets.iter().map(|v| split(*v)));
        for column in 0..columns as u32 {
            problems.push(Problem {
                matrix_at,
                scales_at,
                target_at: target_at + column,
                target_stride: columns as u32,
                coefficient_at: outputs as u32 + column,
                coefficient_stride: columns as u32,
                prediction_at: predictions as u32 + column,
                prediction_stride: columns as u32,
                ..problem(scaled.view(), &item.regression, ridge, 0.0)
            });
        }
        outputs += features * columns;
        predictions += rows * columns;
    }
    recorder.ensure(&mut buffers.data, "regression.data", 8 * data.len() as u64)?;
    recorder.ensure(&mut buffers.coefficients, "regression.coefficients", 8 * outputs as u64)?;
    recorder.ensure(&mut buffers.predictions, "regression.predictions", 4 * predictions as u64)?;
    recorder.ensure(&mut buffers.support, "regression.support", 4 * outputs as u64)?;
    recorder.upload(&buffers.data, &data)?;
    buffers.record(recorder, &mut problems)?;
    let bytes = 12 * outputs as u64;
    recorder.ensure_staging(&mut buffers.staging, bytes)?;
    recorder.copy(&buffers.coefficients, 0, &buffers.staging, 0, 8 * outputs as u64);
    recorder.copy(&buffers.support, 0, &buffers.staging, 8 * outputs as u64, 4 * outputs as u64);
    let read = recorder.read_async(&buffers.staging, bytes).await?;
    let pairs: Vec<[f32; 2]> = bytemuck::pod_collect_to_vec(&read[..8 * outputs]);
    let support: Vec<u32> = bytemuck::pod_collect_to_vec(&read[8 * outputs..]);
    let mut at = 0;
    Ok(batch
        .iter()
        .zip(ridges)
        .map(|(item, ridge)| {
            let (p, m) = (item.features.ncols(), item.targets.ncols());
            let here = at;
            at += p * m;
            let pair = |i: usize| f64::from(pairs[i][0]) + f64::from(pairs[i][1]);
            Solution {
                coefficients: Array2::from_shape_fn((p, m), |(i, j)| pair(here + i * m + j)),
                support: Array2::from_shape_fn((p, m), |(i, j)| support[here + i * m + j] != 0),
                ridge,
            }
        })
        .collect())
}
