//! The projected quasi-Newton method.

use std::collections::VecDeque;

use super::spg::{descend, search, spectral};
use super::truth::{Ended, Truth};
use crate::domain::Domain;
use crate::linalg::{axpy, difference, dot, norm_inf};

/// The number of pairs that the model remembers, and the number of projected steps that minimise it.
const MEMORY: usize = 10;
const INNER: usize = 50;

/// B = σ I + the BFGS updates of the remembered pairs, σ = sᵀy/sᵀs of the newest, as products with vectors:
/// the update's own sum, B v = σ v + Σ (yᵢ yᵢᵀv/yᵢᵀsᵢ − bᵢ bᵢᵀv/sᵢᵀbᵢ) with bᵢ = B_{i−1} sᵢ.
struct Model {
    sigma: f64,
    /// The terms (y, yᵀs, b, sᵀb) of the updates.
    terms: Vec<(Vec<f64>, f64, Vec<f64>, f64)>,
}

impl Model {
    fn new(pairs: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Option<Self> {
        let (s, y) = pairs.back()?;
        let mut model = Self { sigma: dot(s, y) / dot(s, s), terms: Vec::with_capacity(pairs.len()) };
        for (s, y) in pairs {
            let b = model.times(s);
            let along = dot(s, &b);
            model.terms.push((y.clone(), dot(y, s), b, along));
        }
        Some(model)
    }

    fn times(&self, v: &[f64]) -> Vec<f64> {
        let mut out: Vec<f64> = v.iter().map(|v| self.sigma * v).collect();
        for (y, ys, b, sb) in &self.terms {
            let (up, down) = (dot(y, v) / ys, dot(b, v) / sb);
            for ((out, y), b) in out.iter_mut().zip(y).zip(b) {
                *out += up * y - down * b;
            }
        }
        out
    }

    /// An approximate minimiser of gᵀ(z − x) + ½ (z − x)ᵀB(z − x) on the feasible set, by projected steps of
    /// spectral length with exact steps along them.
    fn minimize(&self, domain: &Domain, x: &[f64], g: &[f64]) -> Vec<f64> {
        let mut z = x.to_vec();
        let mut slope = g.to_vec();
        let unit = domain.unit_of_length(x).unwrap_or(0.0);
        let mut alpha = 1.0 / self.sigma;
        for _ in 0..INNER {
            let direction = descend(domain, &z, &slope, alpha);
            if norm_inf(&direction) <= 1e-10 * unit {
                break;
            }
            let b_direction = self.times(&direction);
            let (along, curvature) = (dot(&slope, &direction), dot(&direction, &b_direction));
            let t = if curvature > 0.0 { (-along / curvature).clamp(0.0, 1.0) } else { 1.0 };
            axpy(t, &direction, &mut z);
            axpy(t, &b_direction, &mut slope);
            alpha = spectral(&direction, &b_direction);
        }
        z
    }
}

pub(super) fn minimize(
    truth: &mut Truth<'_>,
    domain: &Domain,
    start: &[f64],
    tolerance: f64,
) -> Result<(), Ended> {
    let mut x = start.to_vec();
    let (mut f, mut g) = truth.evaluate(&x)?;
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    loop {
        let direction = match Model::new(&pairs) {
            Some(model) => difference(&model.minimize(domain, &x, &g), &x),
            None => descend(
                domain,
                &x,
                &g,
                0.2 * domain.unit_of_length(start).unwrap_or(1.0) / norm_inf(&g).max(f64::MIN_POSITIVE),
            ),
        };
        let slope = dot(&g, &direction);
        if norm_inf(&direction) <= tolerance || slope >= 0.0 {
            if pairs.is_empty() {
                return Ok(());
            }
            // A model without a descent direction is dropped.
            pairs.clear();
            continue;
        }
        let Some((next, f_next, g_next)) = search(truth, &x, &direction, (f, slope), f, tolerance)? else {
            return Ok(());
        };
        let (s, y) = (difference(&next, &x), difference(&g_next, &g));
        if dot(&s, &y) > 1e-12 * dot(&s, &s).sqrt() * dot(&y, &y).sqrt() {
            pairs.push_back((s, y));
            if pairs.len() > MEMORY {
                pairs.pop_front();
            }
        }
        (x, f, g) = (next, f_next, g_next);
    }
}
