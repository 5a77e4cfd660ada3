//! Hold-out errors of surrogate candidates, from inner products alone: the part of a model selection that is
//! the same on every engine.

use ndarray::{Array1, Array2, s};

use super::fit::{FitPlan, Grams};
use crate::error::Result;
use crate::flow::Flow;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{Lift, RegressionProblem, SurrogateConfig};

/// One candidate on one fold.
struct Trial {
    candidate: usize,
    /// The number of samples that the candidate is fitted to: the oldest ones. The next sample is held out.
    samples: usize,
    plan: FitPlan,
    features: Array2<f64>,
}

/// `candidates` on every fold, before their hold-out errors are known.
pub(crate) struct Trials<'a> {
    candidates: &'a [SurrogateConfig],
    folds: usize,
    /// The inner products of all samples, oldest first.
    grams: Grams,
    trials: Vec<Trial>,
}

impl<'a> Trials<'a> {
    /// Plans every candidate's fit without the newest sample, without the newest two, and so on, `folds`
    /// times.
    pub(crate) fn new(
        candidates: &'a [SurrogateConfig],
        folds: usize,
        flow: &Flow,
        grams: Grams,
    ) -> Result<Self> {
        let k = grams.xx.nrows();
        let folds = folds.min(k.saturating_sub(2));
        let mut trials = Vec::new();
        for fold in 1..=folds {
            let samples = k - fold;
            let older = |gram: &Array2<f64>| gram.slice(s![..samples, ..samples]).to_owned();
            let grams = Grams {
                xx: older(&grams.xx),
                xy: older(&grams.xy),
                yy: older(&grams.yy),
                resolution: grams.resolution,
            };
            for (candidate, config) in candidates.iter().enumerate() {
                let plan = FitPlan::reduced(config, flow, &grams, None)?;
                let features = plan.features();
                trials.push(Trial { candidate, samples, plan, features });
            }
        }
        Ok(Self { candidates, folds, grams, trials })
    }

    /// The regressions that the engine has to solve.
    pub(crate) fn batch(&self) -> Vec<RegressionProblem<'_>> {
        let regression = |t: &Trial| self.candidates[t.candidate].regression;
        self.trials
            .iter()
            .map(|t| RegressionProblem {
                features: t.features.view(),
                targets: t.plan.targets.view(),
                regression: regression(t),
            })
            .collect()
    }

    /// The candidates' errors at the held-out samples, given the batch's solutions.
    pub(crate) fn judge(&self, solutions: &[Solution]) -> Selection {
        let (grams, k) = (&self.grams, self.grams.xx.nrows());
        let mut squares = vec![0.0; self.candidates.len()];
        for (trial, solution) in self.trials.iter().zip(solutions) {
            squares[trial.candidate] +=
                squared_error(trial, &self.candidates[trial.candidate], solution, grams);
        }
        let yy = |i: usize, j: usize| grams.yy[[i, j]];
        let held_out = || (1..=self.folds).map(|fold| k - fold);
        let size: f64 = held_out().map(|n| yy(n, n)).sum();
        let stays: f64 = held_out().map(|n| yy(n, n) - 2.0 * yy(n, n - 1) + yy(n - 1, n - 1)).sum();
        let relative = |square: f64| if size > 0.0 { (square.max(0.0) / size).sqrt() } else { 0.0 };
        Selection {
            errors: squares
                .into_iter()
                .map(|s| if s.is_finite() { relative(s) } else { f64::INFINITY })
                .collect(),
            persistence: relative(stays),
        }
    }
}

/// The squared error ‖ŷ − y‖² at the held-out sample.
fn squared_error(trial: &Trial, config: &SurrogateConfig, solution: &Solution, grams: &Grams) -> f64 {
    let (n, k) = (trial.samples, trial.samples);
    let Some(space) = &trial.plan.space else { return f64::INFINITY };
    // Inner products of the fitted samples with the held-out one, about the fitted samples' mean if the space
    // is centred.
    let column = grams.xx.slice(s![..k, n]);
    let about: Array1<f64> = if config.space.is_centered() {
        let square = grams.xx.slice(s![..k, ..k]);
        let rows = square.sum_axis(ndarray::Axis(1)) / k as f64;
        &column - &rows - (column.sum() / k as f64 - rows.sum() / k as f64)
    } else {
        column.to_owned()
    };
    let z = space.basis.dot(&about) / space.scale;
    let theta = Array1::from(trial.plan.library.evaluate(&z.to_vec()));
    let output = theta.dot(&solution.coefficients);
    let own = grams.yy[[n, n]];
    match config.lift {
        Lift::Snapshots => {
            own - 2.0 * output.dot(&grams.yy.slice(s![..k, n]))
                + output.dot(&grams.yy.slice(s![..k, ..k]).dot(&output))
        }
        Lift::Trajectory => {
            let cross = grams.xy.slice(s![..k, n]);
            let mean = if config.space.is_centered() { cross.sum() / k as f64 } else { 0.0 };
            own - 2.0 * output.dot(&space.basis.dot(&(&cross - mean))) + output.dot(&output)
        }
    }
}
