//! Optimality criteria with periodic Anderson mixing.

use std::collections::VecDeque;

use faer::Mat;

use super::criteria::{Criteria, is_replaced};
use super::truth::{Ended, Truth};
use crate::domain::Domain;
use crate::error::Error;
use crate::linalg::{difference, norm_inf};

/// The number of differences that are mixed, and the damping of the residual.
const DEPTH: usize = 4;
const DAMPING: f64 = 0.9;

pub(super) fn minimize(
    truth: &mut Truth<'_>,
    domain: &Domain,
    start: &[f64],
    tolerance: f64,
) -> Result<(), Ended> {
    let criteria = Criteria::new(domain)?;
    let mut x = start.to_vec();
    // Iterates and residuals OC(x) − x.
    let mut recent: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    for step in 1.. {
        let (_, g) = truth.evaluate(&x)?;
        let next = criteria.step(&x, &g);
        let residual = difference(&next, &x);
        if norm_inf(&residual) <= tolerance {
            return Ok(());
        }
        recent.push_back((x.clone(), residual.clone()));
        if recent.len() > DEPTH + 1 {
            recent.pop_front();
        }
        x = if is_replaced(step) && recent.len() == DEPTH + 1 {
            domain.project(&mixed(&x, &residual, &recent, DAMPING)?)
        } else {
            next
        };
    }
    Ok(())
}

/// x + β r − (ΔX + β ΔR) γ with γ = argmin |r − ΔR γ| and the damping β; the residual r is that of the newest
/// iterate.
pub(super) fn mixed(
    x: &[f64],
    residual: &[f64],
    recent: &VecDeque<(Vec<f64>, Vec<f64>)>,
    damping: f64,
) -> Result<Vec<f64>, Error> {
    let differences: Vec<(Vec<f64>, Vec<f64>)> = recent
        .iter()
        .zip(recent.iter().skip(1))
        .map(|((x0, r0), (x1, r1))| (difference(x1, x0), difference(r1, r0)))
        .collect();
    let matrix = Mat::from_fn(x.len(), differences.len(), |i, j| differences[j].1[i]);
    let svd = matrix
        .thin_svd()
        .map_err(|_| Error::factorization("singular value decomposition of Anderson's differences"))?;
    let mut out: Vec<f64> = x.iter().zip(residual).map(|(x, r)| x + damping * r).collect();
    for mode in 0..differences.len().min(x.len()) {
        let s = svd.S()[mode];
        if s <= 1e-12 * svd.S()[0] {
            continue;
        }
        let projection: f64 = (0..x.len()).map(|i| svd.U()[(i, mode)] * residual[i]).sum::<f64>() / s;
        for (j, (dx, dr)) in differences.iter().enumerate() {
            let gamma = projection * svd.V()[(j, mode)];
            out.iter_mut()
                .zip(dx.iter().zip(dr))
                .for_each(|(out, (dx, dr))| *out -= gamma * (dx + damping * dr));
        }
    }
    Ok(out)
}
