//! Logistic regression on synthetic data.

use faer::{Mat, Side};

use super::random::Uniform;
use crate::error::{Error, ObjectiveError, Result};
use crate::objective::Objective;

/// Standard deviations of the features: from 1 down to this, geometrically, as in data that nobody has
/// scaled.
const LEAST_DEVIATION: f64 = 0.1;
/// The seed of the data.
const SEED: u64 = 1;

/// f(w) = 1/n Σ log(1 + exp(−yᵢ xᵢᵀw)) + ½ ρ |w|² with n samples x of d features, labels y = ±1 and a ridge
/// ρ: convex, no closed form.
///
/// The data are synthetic and the same everywhere: features uniform with mean 0 and standard deviations from
/// 1 to 0.1, labels drawn with the probabilities 1/(1 + exp(−xᵀw*)) of weights w* uniform in [−2, 2). Cost of
/// an evaluation: two products with the n×d data. Source: Hastie, Tibshirani & Friedman, *The Elements of
/// Statistical Learning* (2009), §4.4.
#[derive(Debug, Clone)]
pub struct LogisticRegression {
    /// Row i of the data: yᵢ xᵢ.
    rows: Vec<Vec<f64>>,
    dimension: usize,
    ridge: f64,
}

impl LogisticRegression {
    /// Draws the data.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for no samples, no features or a ridge that is negative
    /// or not finite.
    pub fn synthetic(samples: usize, dimension: usize, ridge: f64) -> Result<Self> {
        for (name, count) in [("the number of samples", samples), ("the number of features", dimension)] {
            if count == 0 {
                return Err(Error::invalid(name, 0, "at least 1"));
            }
        }
        if !(ridge >= 0.0 && ridge.is_finite()) {
            return Err(Error::invalid("the ridge", ridge, "finite and at least 0"));
        }
        let mut uniform = Uniform::new(SEED);
        // A uniform number in [−1, 1).
        let mut draw = || 2.0 * uniform.draw() - 1.0;
        let weights: Vec<f64> = (0..dimension).map(|_| 2.0 * draw()).collect();
        let last = dimension.saturating_sub(1).max(1) as f64;
        // A uniform number in [−1, 1) has the variance ⅓.
        let scales: Vec<f64> =
            (0..dimension).map(|j| 3.0_f64.sqrt() * LEAST_DEVIATION.powf(j as f64 / last)).collect();
        let rows = (0..samples)
            .map(|_| {
                let x: Vec<f64> = scales.iter().map(|scale| scale * draw()).collect();
                let score: f64 = x.iter().zip(&weights).map(|(x, w)| x * w).sum();
                let label = if 0.5 * (draw() + 1.0) < 1.0 / (1.0 + (-score).exp()) { 1.0 } else { -1.0 };
                x.into_iter().map(|x| label * x).collect()
            })
            .collect();
        Ok(Self { rows, dimension, ridge })
    }

    /// A bound on the curvature everywhere: the largest eigenvalue of XᵀX/4n, as no logistic slope is above
    /// ¼, plus the ridge.
    ///
    /// # Errors
    /// [`EngineError::Factorization`](crate::error::EngineError::Factorization) if the eigenvalues cannot be
    /// computed.
    pub fn largest_curvature(&self) -> Result<f64> {
        let d = self.dimension;
        let gram = Mat::from_fn(d, d, |i, j| self.rows.iter().map(|row| row[i] * row[j]).sum::<f64>());
        let eigen = gram
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::factorization("eigenvalue decomposition of the samples' products"))?;
        Ok(0.25 * eigen.S()[d - 1] / self.rows.len() as f64 + self.ridge)
    }
}

impl Objective for LogisticRegression {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn evaluate(&mut self, w: &[f64], gradient: &mut [f64]) -> std::result::Result<f64, ObjectiveError> {
        let share = 1.0 / self.rows.len() as f64;
        let mut value = 0.0;
        gradient.iter_mut().zip(w).for_each(|(g, w)| *g = self.ridge * w);
        for row in &self.rows {
            let margin: f64 = row.iter().zip(w).map(|(x, w)| x * w).sum();
            // log(1 + exp(−m)) without overflow, and its derivative −1/(1 + exp(m)).
            value += share * ((-margin.abs()).exp().ln_1p() + (-margin).max(0.0));
            let slope = -share / (1.0 + margin.exp());
            gradient.iter_mut().zip(row).for_each(|(g, x)| *g += slope * x);
        }
        Ok(value + 0.5 * self.ridge * w.iter().map(|w| w * w).sum::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At w = 0 every sample costs log 2; far out the likely and the unlikely sides are linear, and neither
    /// overflows.
    #[test]
    fn values_are_the_closed_forms_where_there_are_some() {
        let mut problem =
            LogisticRegression { rows: vec![vec![1.0, 0.0], vec![-1.0, 2.0]], dimension: 2, ridge: 0.5 };
        let mut g = [0.0; 2];
        assert!((problem.evaluate(&[0.0; 2], &mut g).unwrap() - 2.0_f64.ln()).abs() < 4.0 * f64::EPSILON);
        assert_eq!(g, [0.0, -0.5]);
        assert_eq!(problem.evaluate(&[1e4, 0.0], &mut g).unwrap(), 0.5 * 1e4 + 0.25 * 1e8);
        assert_eq!(g, [0.5 + 0.5e4, -1.0]);
    }

    /// |∇f(v) − ∇f(w)| ≤ L |v − w|; near the origin logistic slopes are near ¼, and the bound is nearly met
    /// along the steepest direction.
    #[test]
    fn the_curvature_bound_holds() {
        let mut problem = LogisticRegression::synthetic(60, 5, 1e-3).unwrap();
        let bound = problem.largest_curvature().unwrap();
        let mut steepest = 0.0_f64;
        let mut v = vec![1.0; 5];
        for _ in 0..60 {
            // Power iteration on the curvature at the origin.
            let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            let near: Vec<f64> = v.iter().map(|v| 1e-4 * v / length).collect();
            let mut g = [vec![0.0; 5], vec![0.0; 5]];
            problem.evaluate(&near, &mut g[0]).unwrap();
            problem.evaluate(&[0.0; 5], &mut g[1]).unwrap();
            v = g[0].iter().zip(&g[1]).map(|(a, b)| (a - b) / 1e-4).collect();
            steepest = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            assert!(steepest <= bound * (1.0 + 1e-9), "{steepest} above {bound}");
        }
        assert!(steepest >= 0.999 * bound, "{steepest} against {bound}");
    }

    #[test]
    fn no_data_are_refused() {
        for (samples, dimension, ridge, named) in [
            (0, 2, 0.0, "samples"),
            (2, 0, 0.0, "features"),
            (2, 2, -1.0, "ridge"),
            (2, 2, f64::NAN, "ridge"),
        ] {
            let error = LogisticRegression::synthetic(samples, dimension, ridge).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
