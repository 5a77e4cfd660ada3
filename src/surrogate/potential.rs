//! A potential instead of a field: the learned flow is x' = −∇φ by construction, and φ is minimised instead
//! of replayed.
//!
//! φ(s) = g·s + ½ σ |s|² + ½ Σᵢ λᵢ zᵢ² + ψ(z),  z = Q s,  s = x − x_trusted
//!
//! | symbol | shape | meaning |
//! |---|---|---|
//! | s | d | displacement from the trusted iterate, where g is the true gradient and φ is exact to order 1 |
//! | σ | 1 | curvature outside the learned span, from the newest pair: see [`Outside`] |
//! | Q | r×d | orthonormal directions in the span of all recorded displacements and changes of the gradient |
//! | λ | r | learned curvatures on top of σ |
//! | ψ | | terms of order 2 to 4 on top of these, see [`higher_order`](super::higher_order); none with 2 |
//!
//! σI + QᵀΛQ is the BFGS matrix of the recorded pairs (displacement, change of the gradient), oldest first,
//! from σI: the least change, in a weighted norm, of the model before that is symmetric and reproduces the
//! pair. Computed in coordinates of the span, from inner products alone. Sources: Nocedal & Wright,
//! *Numerical Optimization* (2006), §7.2; Schmidt, van den Berg, Friedlander & Murphy, AISTATS 2009.
//!
//! One pair shows the curvature of the parabola f(x) = 2 (x − 3)², and the next minimum of φ is that of f:
//! ```
//! use lgf::domain::Domain;
//! use lgf::engine::{CpuEngine, Engine, Samples, Setup, TrustLimits};
//! use lgf::flow::{Flow, ProjectedGradient};
//! use lgf::surrogate::potential::{Outside, PotentialConfig};
//!
//! # fn main() -> lgf::Result<()> {
//! let (value, gradient) = (|x: f64| 2.0 * (x - 3.0).powi(2), |x: f64| [4.0 * (x - 3.0)]);
//! let flow = Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 });
//! let (domain, start, samples) = (Domain::Unbounded, &[0.0], Samples::Pairs);
//! let mut engine = CpuEngine::new();
//! engine.start(Setup { flow, domain: &domain, start, capacity: 1, samples, directions: None })?;
//! let config = PotentialConfig { order: 2, outside: Outside::Steep };
//! let limits = TrustLimits { steps: 20, radius: 10.0 };
//! let mut x = [0.0];
//! engine.read(&mut x)?;
//! engine.set_gradient(&gradient(x[0]))?;
//! engine.trust(true)?;
//! // Nothing is known of the curvature yet, and 12 is assumed: a step of 12/12.
//! engine.fit_potential(12.0, config)?;
//! engine.minimize(limits)?;
//! engine.read(&mut x)?;
//! assert!((x[0] - 1.0).abs() < 1e-6);
//! engine.set_gradient(&gradient(x[0]))?;
//! engine.record_pair(value(x[0]) - value(0.0), true)?;
//! engine.trust(true)?;
//! engine.fit_potential(12.0, config)?;
//! engine.minimize(limits)?;
//! engine.read(&mut x)?;
//! assert!((x[0] - 3.0).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```

use faer::{Mat, Side};
use ndarray::{Array2, ArrayView2};

use super::higher_order::{HigherOrder, PairNote, RIDGE};
use crate::error::{Error, Result};

/// A pair whose sᵀy is below this share of |s||y| has no curvature to learn.
const LEAST_COSINE: f64 = 1e-10;
/// Curvatures below this share of σ + λ_max on top of σ are not worth a direction.
const LEAST_SHARE: f64 = 1e-6;

/// The curvature σ outside the learned span, between the least and the greatest that the newest pair (s, y)
/// has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// sᵀy/sᵀs, the mean curvature along s. It gives long steps, for domains whose bounds limit them.
    Mean,
    /// yᵀy/sᵀy, at least as large, as it weighs the steepest directions most. It gives short steps, for
    /// domains without bounds.
    Steep,
}

/// The settings of the learned polynomial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PotentialConfig {
    /// The polynomial's order in the learned coordinates, 2 to 4.
    pub order: usize,
    /// The curvature σ outside the learned span.
    pub outside: Outside,
}

/// The learned part, in terms of the recorded rows.
#[derive(Debug, Clone)]
pub(crate) struct Polynomial {
    /// The curvature σ > 0 outside the learned span.
    pub outside: f64,
    /// λ, r of them, the largest |λ| first.
    pub curvatures: Vec<f64>,
    /// Q = C V (r×2m), V the displacements s₁…s_m (oldest first) on top of the changes of the gradient
    /// y₁…y_m.
    pub combination: Array2<f64>,
    /// The terms ψ of order 3 and 4, if the order is above 2.
    pub higher: Option<HigherOrder>,
    /// The number of pairs that the fit used.
    pub pairs: usize,
}

impl Polynomial {
    /// The potential with the curvature `outside` everywhere, ½ `outside` |s|².
    pub(crate) fn flat(outside: f64) -> Self {
        Self { outside, curvatures: Vec::new(), combination: Array2::zeros((0, 0)), higher: None, pairs: 0 }
    }

    /// From the inner products V Vᵀ (2m×2m) and the `notes` of the m pairs, oldest first; `resolution`: the
    /// smallest singular value of V, relative to the largest, that they resolve. None if no pair has positive
    /// curvature.
    ///
    /// # Errors
    /// [`EngineError::Factorization`](crate::error::EngineError::Factorization) for inner products that are
    /// not finite.
    pub(crate) fn from_gram(
        gram: ArrayView2<f64>,
        notes: &[PairNote],
        config: PotentialConfig,
        resolution: f64,
    ) -> Result<Option<Self>> {
        let m = gram.nrows() / 2;
        if gram.iter().any(|v| !v.is_finite()) {
            return Err(Error::factorization("eigenvalue decomposition of the recorded pairs"));
        }
        let curved = |i: usize| {
            let (ss, sy, yy) = (gram[[i, i]], gram[[i, m + i]], gram[[m + i, m + i]]);
            sy > LEAST_COSINE * (ss * yy).sqrt() && ss > 0.0
        };
        let used: Vec<usize> = (0..m).filter(|i| curved(*i)).collect();
        let Some(&newest) = used.last() else { return Ok(None) };
        let (ss, sy, yy) =
            (gram[[newest, newest]], gram[[newest, m + newest]], gram[[m + newest, m + newest]]);
        let outside = match config.outside {
            Outside::Mean => sy / ss,
            Outside::Steep => yy / sy,
        };

        // Coordinates of the span: rows scaled to length 1, then the orthonormal eigenvectors of their Gram
        // matrix. The chain of pairs that leads to older samples has links without curvature too.
        let spanning: Vec<usize> = if config.order > 2 {
            (0..m).filter(|&i| gram[[i, i]] > 0.0 && gram[[m + i, m + i]] > 0.0).collect()
        } else {
            used.clone()
        };
        let rows: Vec<usize> = spanning.iter().copied().chain(spanning.iter().map(|i| m + i)).collect();
        let n = rows.len();
        let length: Vec<f64> = rows.iter().map(|&i| gram[[i, i]].sqrt()).collect();
        let scaled = Mat::from_fn(n, n, |i, j| gram[[rows[i], rows[j]]] / (length[i] * length[j]));
        let eigen = scaled
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::factorization("eigenvalue decomposition of the recorded pairs"))?;
        let largest = eigen.S()[n - 1];
        let kept: Vec<usize> = (0..n)
            .rev()
            .filter(|&k| eigen.S()[k] > (resolution * resolution).max(n as f64 * f64::EPSILON) * largest)
            .collect();
        let q = kept.len();
        // Row i of V is Σ_k at[i][k] (direction k); direction k is Σ_i of[k][i] (row i of V).
        let at = Mat::from_fn(n, q, |i, k| length[i] * eigen.U()[(i, kept[k])] * eigen.S()[kept[k]].sqrt());
        let of = Mat::from_fn(q, n, |k, i| eigen.U()[(i, kept[k])] / (eigen.S()[kept[k]].sqrt() * length[i]));

        let mut matrix = Mat::from_fn(q, q, |i, j| if i == j { outside } else { 0.0 });
        for pair in (0..spanning.len()).filter(|p| used.contains(&spanning[*p])) {
            let (s, y) = (at.row(pair).transpose(), at.row(spanning.len() + pair).transpose());
            let b = &matrix * s;
            let (ys, sb) = (s.transpose() * y, s.transpose() * &b);
            // The span's cut may have taken all the curvature of a weak pair.
            if ys > 0.0 && sb > 0.0 {
                matrix +=
                    y * y.transpose() * faer::Scale(1.0 / ys) - &b * b.transpose() * faer::Scale(1.0 / sb);
            }
        }
        let learned = Mat::from_fn(q, q, |i, j| {
            0.5 * (matrix[(i, j)] + matrix[(j, i)]) - if i == j { outside } else { 0.0 }
        });
        let spectrum = learned
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::factorization("eigenvalue decomposition of the learned curvature"))?;
        let top = (0..q).map(|k| spectrum.S()[k].abs()).fold(outside, f64::max);
        let is_worth_it = |k: usize| config.order > 2 || spectrum.S()[k].abs() > LEAST_SHARE * top;
        let mut modes: Vec<usize> = (0..q).filter(|&k| is_worth_it(k)).collect();
        modes.sort_by(|&a, &b| spectrum.S()[b].abs().total_cmp(&spectrum.S()[a].abs()));

        let mut combination = Array2::zeros((modes.len(), 2 * m));
        for (r, &mode) in modes.iter().enumerate() {
            for (i, &row) in rows.iter().enumerate() {
                combination[[r, row]] = (0..q).map(|k| spectrum.U()[(k, mode)] * of[(k, i)]).sum();
            }
        }
        let curvatures: Vec<f64> = modes.iter().map(|&k| spectrum.S()[k]).collect();
        let higher = if config.order > 2 && notes.len() == m {
            let in_modes = |row: usize| {
                modes
                    .iter()
                    .map(|&mode| (0..q).map(|k| at[(row, k)] * spectrum.U()[(k, mode)]).sum())
                    .collect()
            };
            let pairs = spanning
                .iter()
                .enumerate()
                .map(|(p, &i)| (in_modes(p), in_modes(spanning.len() + p), notes[i]))
                .collect::<Vec<_>>();
            let total: Vec<f64> = curvatures.iter().map(|l| outside + l).collect();
            Some(HigherOrder::fit(config.order, &pairs, &total, RIDGE)?)
        } else {
            None
        };
        Ok(Some(Self { outside, curvatures, combination, higher, pairs: used.len() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUADRATIC: PotentialConfig = PotentialConfig { order: 2, outside: Outside::Mean };

    /// The matrix σI + QᵀΛQ, written out.
    fn dense(model: &Polynomial, v: &Array2<f64>) -> Array2<f64> {
        let q = model.combination.dot(v);
        let mut b = Array2::eye(v.ncols()) * model.outside;
        for (lambda, row) in model.curvatures.iter().zip(q.rows()) {
            let row = row.to_owned().insert_axis(ndarray::Axis(1));
            b += &(row.dot(&row.t()) * *lambda);
        }
        b
    }

    /// BFGS as the textbook writes it, in d×d matrices.
    fn textbook(v: &Array2<f64>, m: usize) -> Array2<f64> {
        let column = |i: usize| v.row(i).to_owned().insert_axis(ndarray::Axis(1));
        let dot = |a: &Array2<f64>, b: &Array2<f64>| (a * b).sum();
        let (s, y) = (column(m - 1), column(2 * m - 1));
        let mut b = Array2::eye(v.ncols()) * (dot(&s, &y) / dot(&s, &s));
        for i in 0..m {
            let (s, y) = (column(i), column(m + i));
            let bs = b.dot(&s);
            b = &b + &(y.dot(&y.t()) / dot(&s, &y)) - &(bs.dot(&bs.t()) / dot(&s, &bs));
        }
        b
    }

    proptest! {
        /// Against the textbook's recurrence, for pairs of a convex quadratic and more or fewer of them than
        /// unknowns.
        #[test]
        fn is_the_bfgs_matrix(
            values in proptest::collection::vec(-1.0..1.0f64, 4 * 9),
            spectrum in proptest::collection::vec(0.1..10.0f64, 9),
            d in 3usize..=9,
        ) {
            let m = 4;
            let mut v = Array2::zeros((2 * m, d));
            for i in 0..m {
                for j in 0..d {
                    v[[i, j]] = values[9 * i + j];
                    v[[m + i, j]] = spectrum[j] * v[[i, j]];
                }
            }
            let gram = v.dot(&v.t());
            prop_assume!((0..m).all(|i| gram[[i, i]] > 0.1));
            let model = Polynomial::from_gram(gram.view(), &[], QUADRATIC, 1e-9).unwrap().unwrap();
            let (found, expected) = (dense(&model, &v), textbook(&v, m));
            let size = expected.iter().fold(0.0_f64, |m, e| m.max(e.abs()));
            // The span's weakest direction carries an error of about eps / its relative size.
            let error = (&found - &expected).iter().fold(0.0_f64, |m, e| m.max(e.abs()));
            prop_assert!(error < 1e-5 * size, "off by {error:e} of {size:e}");
        }
    }

    /// Every pair is reproduced in order of age where the function is quadratic and steps are conjugate; the
    /// newest always is.
    #[test]
    fn reproduces_the_newest_pair_and_leaves_out_the_rest_of_space() {
        let v = ndarray::arr2(&[
            [1.0, 0.0, 0.0, 0.0],
            [0.3, 1.0, 0.2, 0.0],
            [2.0, 0.5, 0.0, 0.0],
            [1.0, 4.0, 0.5, 0.0],
        ]);
        let model = Polynomial::from_gram(v.dot(&v.t()).view(), &[], QUADRATIC, 1e-9).unwrap().unwrap();
        let b = dense(&model, &v);
        let newest = b.dot(&v.row(1));
        for j in 0..4 {
            approx::assert_relative_eq!(newest[j], v[[3, j]], epsilon = 1e-10);
        }
        approx::assert_relative_eq!(b[[3, 3]], model.outside);
        assert_eq!(b[[3, 0]], 0.0);
    }

    #[test]
    fn pairs_without_curvature_are_left_out() {
        let v = ndarray::arr2(&[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 3.0]]);
        let model = Polynomial::from_gram(v.dot(&v.t()).view(), &[], QUADRATIC, 1e-9).unwrap().unwrap();
        assert_eq!((model.pairs, model.outside), (1, 3.0));
        let v = ndarray::arr2(&[[1.0, 1.0], [1.0, 3.0]]);
        let of = |outside| {
            Polynomial::from_gram(v.dot(&v.t()).view(), &[], PotentialConfig { order: 2, outside }, 1e-9)
                .unwrap()
                .unwrap()
                .outside
        };
        assert_eq!((of(Outside::Mean), of(Outside::Steep)), (2.0, 2.5));
        let v = ndarray::arr2(&[[1.0, 0.0], [-1.0, 0.0]]);
        assert!(Polynomial::from_gram(v.dot(&v.t()).view(), &[], QUADRATIC, 1e-9).unwrap().is_none());
        assert!(
            Polynomial::from_gram(Array2::from_elem((2, 2), f64::NAN).view(), &[], QUADRATIC, 1e-9).is_err()
        );
        assert!(Polynomial::from_gram(Array2::zeros((0, 0)).view(), &[], QUADRATIC, 1e-9).unwrap().is_none());
    }
}
