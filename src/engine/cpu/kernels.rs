//! The passes over d, in f64: the twin of every file in `shaders/`, under the same name.
//!
//! Sums are taken over fixed chunks, then over the chunks in order, so that they do not depend on the number of threads.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use crate::flow::{Adam, GradientDescent, Momentum, OptimalityCriteria, ProjectedGradient, volume_scale};
use crate::objective::Domain;
use crate::surrogate::TargetTransform;

/// Unknowns per chunk of a parallel pass.
const CHUNK: usize = 8192;

/// Σ f(i) over 0..d.
fn sum(d: usize, f: impl Fn(usize) -> f64 + Sync) -> f64 {
    let chunks: Vec<f64> = (0..d.div_ceil(CHUNK)).into_par_iter().map(|c| (c * CHUNK..((c + 1) * CHUNK).min(d)).map(&f).sum()).collect();
    chunks.iter().sum()
}

/// `gram_accumulate`: the inner products of the rows of `a` about `reference` with each other.
pub(crate) fn gram(a: ArrayView2<f64>, reference: Option<ArrayView1<f64>>) -> Array2<f64> {
    cross(a, a, reference, reference)
}

/// `gram_accumulate`: the inner products of the rows of `a` with those of `b`, each about its reference.
pub(crate) fn cross(a: ArrayView2<f64>, b: ArrayView2<f64>, a_reference: Option<ArrayView1<f64>>, b_reference: Option<ArrayView1<f64>>) -> Array2<f64> {
    let about = |row: ArrayView1<f64>, reference: Option<ArrayView1<f64>>, i: usize| row[i] - reference.map_or(0.0, |r| r[i]);
    Array2::from_shape_fn((a.nrows(), b.nrows()), |(j, k)| sum(a.ncols(), |i| about(a.row(j), a_reference, i) * about(b.row(k), b_reference, i)))
}

/// `rows_combine`: C (A − reference), the tables of basis directions, (r×K)(K×d).
pub(crate) fn rows_combine(coefficients: ArrayView2<f64>, a: ArrayView2<f64>, reference: Option<ArrayView1<f64>>) -> Array2<f64> {
    let mut out = Array2::zeros((coefficients.nrows(), a.ncols()));
    for (c, mut row) in coefficients.rows().into_iter().zip(out.rows_mut()) {
        for (weight, sample) in c.iter().zip(a.rows()) {
            match reference {
                Some(reference) => ndarray::Zip::from(&mut row).and(&sample).and(&reference).for_each(|o, s, r| *o += weight * (s - r)),
                None => row.scaled_add(*weight, &sample),
            }
        }
    }
    out
}

/// `target_encode`: the transformed targets of the samples.
pub(crate) fn target_encode(transform: TargetTransform, gradients: ArrayView2<f64>, iterates: ArrayView2<f64>) -> Array2<f64> {
    ndarray::Zip::from(&gradients).and(&iterates).map_collect(|g, x| transform.encode(*g, *x))
}

/// `state_project`: U (x − c).
pub(crate) fn state_project(basis: ArrayView2<f64>, x: ArrayView1<f64>, center: Option<ArrayView1<f64>>) -> Vec<f64> {
    basis.axis_iter(Axis(0)).map(|u| sum(x.len(), |i| u[i] * (x[i] - center.map_or(0.0, |c| c[i])))).collect()
}

/// `state_project`, its last value: ‖x − y‖².
pub(crate) fn squared_distance(x: ArrayView1<f64>, y: ArrayView1<f64>) -> f64 {
    sum(x.len(), |i| (x[i] - y[i]).powi(2))
}

/// `gradient_lift`: decode(Tᵀ w, x).
pub(crate) fn gradient_lift(table: ArrayView2<f64>, weights: &[f64], transform: TargetTransform, x: ArrayView1<f64>) -> Array1<f64> {
    let mut y = Array1::zeros(x.len());
    for (weight, row) in weights.iter().zip(table.rows()) {
        y.scaled_add(*weight, &row);
    }
    y.zip_mut_with(&x, |y, x| *y = transform.decode(*y, *x));
    y
}

/// `gradient_descent`: one step; returns Σ g·Δx.
pub(crate) fn gradient_descent(flow: GradientDescent, x: &mut Array1<f64>, g: ArrayView1<f64>) -> f64 {
    let change = sum(x.len(), |i| g[i] * (flow.update(x[i], g[i]) - x[i]));
    x.zip_mut_with(&g, |x, g| *x = flow.update(*x, *g));
    change
}

/// `momentum`: one step; returns Σ g·Δx.
pub(crate) fn momentum(flow: Momentum, x: &mut Array1<f64>, g: ArrayView1<f64>, m: &mut Array1<f64>) -> f64 {
    let old = x.clone();
    ndarray::Zip::from(&mut *x).and(&g).and(m).for_each(|x, g, m| *x = flow.update(*x, *g, m));
    sum(x.len(), |i| g[i] * (x[i] - old[i]))
}

/// `adam`: step number `k`; `moments` are m, v and, for AMSGrad, the maximum; returns Σ g·Δx.
pub(crate) fn adam(flow: Adam, x: &mut Array1<f64>, g: ArrayView1<f64>, moments: &mut [Array1<f64>], k: u64) -> f64 {
    let corrections = flow.corrections(k);
    let old = x.clone();
    match moments {
        [m, v] => ndarray::Zip::from(&mut *x).and(&g).and(m).and(v).for_each(|x, g, m, v| *x = flow.update(*x, *g, m, v, None, corrections)),
        [m, v, maximum] => {
            ndarray::Zip::from(&mut *x).and(&g).and(m).and(v).and(maximum).for_each(|x, g, m, v, a| *x = flow.update(*x, *g, m, v, Some(a), corrections));
        }
        _ => {}
    }
    sum(x.len(), |i| g[i] * (x[i] - old[i]))
}

/// `projected_gradient`, `projection_volume`, `bracket_select`: one step; returns Σ g·Δx.
pub(crate) fn projected_gradient(flow: ProjectedGradient, x: &mut Array1<f64>, g: ArrayView1<f64>, domain: &Domain) -> f64 {
    let new: Array1<f64> = match domain {
        Domain::Unbounded => (0..x.len()).map(|i| x[i] - flow.rate * g[i]).collect(),
        Domain::Box { lower, upper } => (0..x.len()).map(|i| flow.update(x[i], g[i], 0.0, 0.0, *lower, *upper)).collect(),
        Domain::BoxVolume { lower, upper, weights, volume } => {
            let at = |i: usize, mu: f64| flow.update(x[i], g[i], weights[i], mu, *lower, *upper);
            let total = |mu: f64| sum(x.len(), |i| weights[i] * at(i, mu));
            // The volume falls as μ grows: the least μ whose volume is allowed.
            let mu = if total(0.0) <= *volume { 0.0 } else { volume_scale(|mu| -total(mu), -volume.next_up()).next_up() };
            (0..x.len()).map(|i| at(i, mu)).collect()
        }
    };
    let change = sum(x.len(), |i| g[i] * (new[i] - x[i]));
    *x = new;
    change
}

/// `power_sums`: Σᵢ (aᵢ bᵢ)ʲ for j = 1, 2, 3.
pub(crate) fn power_sums(a: ArrayView1<f64>, b: ArrayView1<f64>) -> [f64; 3] {
    let chunks: Vec<[f64; 3]> = (0..a.len().div_ceil(CHUNK))
        .into_par_iter()
        .map(|c| (c * CHUNK..((c + 1) * CHUNK).min(a.len())).map(|i| a[i] * b[i]).fold([0.0; 3], |p, w| [p[0] + w, p[1] + w * w, p[2] + w * w * w]))
        .collect();
    chunks.iter().fold([0.0; 3], |p, q| [p[0] + q[0], p[1] + q[1], p[2] + q[2]])
}

/// `oc_growth`, `oc_volume`, `bracket_select`, `oc_update`: one step; returns Σ g·Δx.
pub(crate) fn optimality_criteria(flow: OptimalityCriteria, x: &mut Array1<f64>, g: ArrayView1<f64>, domain: &Domain) -> f64 {
    let Domain::BoxVolume { lower, upper, weights, volume } = domain else { return 0.0 };
    let growth: Vec<f64> = (0..x.len()).map(|i| OptimalityCriteria::growth(x[i], g[i], weights[i])).collect();
    let at = |i: usize, scale: f64| flow.clip(x[i], growth[i], scale, *lower, *upper);
    let scale = volume_scale(|s| sum(x.len(), |i| weights[i] * at(i, s)), *volume);
    let new: Array1<f64> = (0..x.len()).map(|i| at(i, scale)).collect();
    let change = sum(x.len(), |i| g[i] * (new[i] - x[i]));
    *x = new;
    change
}
