//! Optimality criteria with dynamic mode decomposition: the uncentred linear reduced model of its own steps.

use std::collections::VecDeque;

use faer::Mat;

use super::criteria::{accelerated, is_replaced};
use super::truth::{Ended, Truth};
use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::linalg::{axpy, dot};

/// The number of iterates that the model is fitted to.
const WINDOW: usize = 8;
/// The number of steps that the model is advanced by; of 2, 4, 6, 8, 16 and 32 the best on half-MBB beams,
/// where larger numbers are mostly undone.
const STEPS: usize = 4;
/// The share of Σ sᵢ² that the kept directions have: close to 1, as the iterates' mean alone has all but a
/// hundredth.
const ENERGY: f64 = 1.0 - 1e-12;

pub(super) fn minimize(
    truth: &mut Truth<'_>,
    domain: &Domain,
    start: &[f64],
    tolerance: f64,
) -> std::result::Result<(), Ended> {
    // Iterates and their images under OC. They are pairs, not a sequence, so that they stay samples of OC
    // across a landing.
    let mut recent: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::with_capacity(WINDOW + 1);
    accelerated(truth, domain, start, tolerance, |step, x, next| {
        recent.push_back((x.to_vec(), next.to_vec()));
        if recent.len() > WINDOW {
            recent.pop_front();
        }
        if is_replaced(step) && recent.len() == WINDOW {
            advanced(&recent, x, STEPS, ENERGY)
        } else {
            Ok(None)
        }
    })
}

/// Aᴶ x with A = Y X⁺, columns of X and Y the pairs' firsts and seconds (Tu et al., J. Comput. Dyn. 1 (2014)
/// 391): with X = U S Vᵀ cut at `energy`, Aᴶ x = Y V S⁻¹ Ãᴶ⁻¹ Uᵀ x, Ã = Uᵀ Y V S⁻¹. None if the pairs are all
/// zero.
fn advanced(
    pairs: &VecDeque<(Vec<f64>, Vec<f64>)>,
    x: &[f64],
    steps: usize,
    energy: f64,
) -> Result<Option<Vec<f64>>> {
    let (d, k) = (x.len(), pairs.len());
    let svd = Mat::from_fn(d, k, |i, j| pairs[j].0[i])
        .thin_svd()
        .map_err(|_| Error::factorization("singular value decomposition of OC's iterates"))?;
    let squares: Vec<f64> = (0..d.min(k)).map(|i| svd.S()[i] * svd.S()[i]).collect();
    let total: f64 = squares.iter().sum();
    if total.is_nan() || total <= 0.0 {
        return Ok(None);
    }
    let mut held = 0.0;
    let enough = squares.iter().position(|square| {
        held += square;
        held >= energy * total
    });
    let rank = enough.map_or(squares.len(), |last| last + 1);
    // The matrix Y V S⁻¹, by columns.
    let images: Vec<Vec<f64>> = (0..rank)
        .map(|mode| {
            let mut image = vec![0.0; d];
            for (j, (_, y)) in pairs.iter().enumerate() {
                let share = svd.V()[(j, mode)] / svd.S()[mode];
                axpy(share, y, &mut image);
            }
            image
        })
        .collect();
    let basis: Vec<Vec<f64>> = (0..rank).map(|mode| (0..d).map(|i| svd.U()[(i, mode)]).collect()).collect();
    let reduced: Vec<Vec<f64>> =
        basis.iter().map(|u| images.iter().map(|image| dot(u, image)).collect()).collect();
    let mut z: Vec<f64> = basis.iter().map(|u| dot(u, x)).collect();
    for _ in 1..steps {
        z = reduced.iter().map(|row| dot(row, &z)).collect();
    }
    let mut out = vec![0.0; d];
    for (z, image) in z.iter().zip(&images) {
        axpy(*z, image, &mut out);
    }
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test's sequence xₖ₊₁ = A xₖ with A of rank 3 in six dimensions: a rotation that shrinks, and a
    /// constant.
    #[test]
    fn a_linear_recurrence_is_recovered() {
        let (angle, shrink) = (0.4_f64, 0.9_f64);
        let at = |k: i32| -> Vec<f64> {
            let (phase, size) = (angle * f64::from(k), shrink.powi(k));
            let (a, b) = (size * phase.cos(), size * phase.sin());
            vec![1.0 + a, 1.0 - a, 2.0 + b, b, a + b, 0.5]
        };
        let pairs: VecDeque<_> = (0..8).map(|k| (at(k), at(k + 1))).collect();
        for steps in [1, 2, 16, 50] {
            let found = advanced(&pairs, &at(7), steps, 1.0 - 1e-24).unwrap().unwrap();
            let exact = at(7 + steps as i32);
            for (found, exact) in found.iter().zip(&exact) {
                // The iterates' condition number is below 20 and A has no growing mode, so each step loses
                // below 20·8 roundings.
                assert!(
                    (found - exact).abs() < 1e4 * steps as f64 * f64::EPSILON,
                    "{steps}: {found} for {exact}"
                );
            }
        }
    }

    #[test]
    fn iterates_that_are_zero_make_no_model() {
        let pairs: VecDeque<_> = (0..8).map(|_| (vec![0.0; 3], vec![0.0; 3])).collect();
        assert!(advanced(&pairs, &[0.0; 3], 16, ENERGY).unwrap().is_none());
    }
}
