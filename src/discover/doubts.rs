//! What a user should know of equations that were found: sentences.

use ndarray::{Array1, Array2, Axis};

use super::select::OVERESTIMATED;
use super::trajectory::Trajectory;
use super::{Aim, Refinement};
use crate::error::Result;
use crate::surrogate::regression::conditioning;
use crate::surrogate::{Regression, Ridge};

/// The condition number of an equation's own terms above which its coefficients say nothing by themselves.
const ILL_CONDITIONED: f64 = 1e6;
/// The share of a derivative's size that the noise of its differences may have before they are doubted.
const NOISY: f64 = 0.05;

/// What an equation was found from.
pub(super) struct Findings<'a> {
    pub trajectories: &'a [Trajectory],
    pub aim: &'a Aim,
    /// The features and targets of the regression, row by row, and which features each equation has.
    pub features: &'a Array2<f64>,
    pub targets: &'a Array2<f64>,
    pub support: &'a Array2<bool>,
    /// The names of the left-hand sides.
    pub names: &'a [String],
    /// The standard deviation of the noise in each coordinate.
    pub noise: &'a Array1<f64>,
    pub refinement: Option<&'a Refinement>,
}

impl Findings<'_> {
    /// What a user should know of the equations, as sentences.
    pub(super) fn doubts(&self) -> Result<Vec<String>> {
        let mut doubts = Vec::new();
        for (name, support) in self.names.iter().zip(self.support.columns()) {
            let terms: Vec<usize> = (0..support.len()).filter(|p| support[*p]).collect();
            let rows = self.features.nrows();
            if terms.len() >= rows && terms.len() > 1 {
                doubts.push(format!(
                    "the equation of {name} has {} terms from {rows} row{}, which any {} terms would fit: it \
                     takes more samples or fewer terms",
                    terms.len(),
                    if rows == 1 { "" } else { "s" },
                    terms.len()
                ));
            } else if terms.len() > 1 {
                let own = super::search::unit_columns(&self.features.select(Axis(1), &terms));
                let plain = Regression::ridge(Ridge::Absolute(0.0));
                let condition = conditioning(own.view(), &plain)?.condition;
                if condition > ILL_CONDITIONED {
                    doubts.push(format!(
                        "the terms of the equation of {name} nearly depend on each other on these samples \
                         (condition number {condition:.1e}), so that its coefficients say nothing by \
                         themselves: take fewer terms, or a recording that tells them apart"
                    ));
                }
            }
        }
        doubts.extend(self.noisy_differences());
        if let Some(refinement) = self.refinement.filter(|refinement| refinement.misfit < OVERESTIMATED) {
            doubts.push(format!(
                "the recording is sampled too coarsely to tell its noise from its motion (misfit {:.3}), so \
                 that no likelihood was taken",
                refinement.misfit
            ));
        }
        Ok(doubts)
    }

    fn noisy_differences(&self) -> Option<String> {
        let Aim::Strong(_) = self.aim else { return None };
        let spacing = self.trajectories.iter().map(Trajectory::mean_spacing).fold(f64::INFINITY, f64::min);
        let shares = self.targets.columns().into_iter().zip(self.noise).map(|(target, sigma)| {
            let size = (target.iter().map(|v| v * v).sum::<f64>() / target.len().max(1) as f64).sqrt();
            if size > 0.0 { sigma / (spacing * size) } else { 0.0 }
        });
        let most = shares.fold(0.0, f64::max);
        (most > NOISY).then(|| {
            format!(
                "the samples are noisy: differences of neighbours carry an error of some {:.0} % of the \
                 derivative; the weak form averages it out (--targets weak)",
                100.0 * most
            )
        })
    }
}
