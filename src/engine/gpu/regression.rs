//! Batches of regressions on the device.

use ndarray::{Array1, Array2, ArrayView2};

use super::kernels::{MESA_TURNS, Problem, RegressionSolve, split};
use super::recording::{Buffer, Recorder};
use crate::error::{Error, Result};
use crate::surrogate::RegressionProblem;
use crate::surrogate::regression::{Regression, Solution};

/// Solves per system: the first and its refinements.
pub(super) const ROUNDS: u32 = 4;

/// Work space for the problems that are solved at once, bytes: larger batches are taken in turns.
const WORK_BYTES: usize = 32 << 20;

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
        if let Some(p) =
            problems.iter().find(|p| recorder.gpu.is_software() && Problem::turns(p.rows as usize, p.features as usize, ROUNDS as usize) > MESA_TURNS)
        {
            return Err(Error::Incompatible(format!(
                "a regression with {} rows and {} features is beyond what the software adapter {} computes correctly; use the CPU engine",
                p.rows, p.features, recorder.gpu.info.name
            )));
        }
        let words = |p: &Problem| Problem::work_words(p.rows as usize, p.features as usize);
        let mut at = 0;
        while at < problems.len() {
            let mut used = 0;
            let mut end = at;
            while end < problems.len()
                && end - at < 65535
                && problems[end].iterations == problems[at].iterations
                && (end == at || 4 * (used + words(&problems[end])) <= WORK_BYTES)
            {
                problems[end].work_at = used as u32;
                used += words(&problems[end]);
                end += 1;
            }
            recorder.ensure(&mut self.work, "regression.work", 4 * used as u64)?;
            recorder.ensure(&mut self.problems, "regression.problems", size_of_val(&problems[at..end]) as u64)?;
            recorder.upload(&self.problems, &problems[at..end])?;
            let buffers = [&self.problems, &self.data, &self.work, &self.coefficients, &self.predictions, &self.support];
            let groups = [(end - at) as u32, 1, 1];
            for iteration in 0..problems[at].iterations {
                recorder.dispatch(RegressionSolve { rounds: ROUNDS, phase: iteration.min(1) }, &buffers, groups)?;
            }
            recorder.dispatch(RegressionSolve { rounds: ROUNDS, phase: 2 }, &buffers, groups)?;
            at = end;
        }
        Ok(())
    }
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

/// One problem's numbers, offsets aside.
pub(super) fn problem(rows: usize, features: usize, regression: &Regression, ridge: f64) -> Problem {
    Problem {
        rows: rows as u32,
        features: features as u32,
        iterations: regression.max_iterations as u32,
        refit: u32::from(regression.refit && !regression.is_plain()),
        root: ridge.sqrt() as f32,
        threshold: regression.threshold as f32,
        ..Problem::default()
    }
}

/// Uploads a batch, solves it and reads coefficients and supports: one read-back.
pub(super) fn solve_batch(recorder: &mut Recorder, buffers: &mut RegressionBuffers, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
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
                ..problem(rows, features, &item.regression, ridge)
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
    let read = recorder.read(&buffers.staging, bytes)?;
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
