//! Which terms stay: the path of thresholds with its validation errors, and, for noisy recordings, the
//! criterion of the likelihood.

use std::ops::ControlFlow;

use faer::Mat;
use ndarray::{Array2, ArrayView2};

use super::likelihood::{Estimate, Likelihood, Place};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::surrogate::{Regression, RegressionProblem};

/// Thresholds a decade, and the decades below 1.
const PER_DECADE: usize = 5;
const DECADES: usize = 6;
/// Libraries of at most this many terms are solved on the whole path at once.
const SMALL: usize = 200;
/// Predictions this close, relative, are as good as exact.
const EXACT: f64 = 1e-9;
/// The sum of squares per row up to which the equations count as holding within the noise.
pub(super) const WITHIN_NOISE: f64 = 1.5;
/// Operations that the search for terms by the likelihood may take: some ten seconds on one core.
const WORK: f64 = 2e10;
/// Numbers that a round of it may keep.
const MEMORY: usize = 50_000_000;
/// The sum of squares per row below which the noise was overestimated: sampled too coarsely, the signal
/// itself counts as noise, and rules over intervals do not resolve it.
pub(super) const OVERESTIMATED: f64 = 0.6;

/// One threshold of the path and what it leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct PathEntry {
    /// The threshold: a term stays in an equation if its share ‖θ ξ‖/‖y‖ of the targets' norm is at least
    /// this.
    pub threshold: f64,
    /// The number of terms of each equation.
    pub terms: Vec<usize>,
    /// The relative error of each equation on the rows held out.
    pub validation_errors: Vec<f64>,
}

/// The rows of a regression: those of the fit, of which some are held out for validation.
pub(super) struct Rows<'a> {
    pub(super) features: ArrayView2<'a, f64>,
    pub(super) targets: ArrayView2<'a, f64>,
    /// The rows that the validation is fitted to, and those that it predicts; none if they are too few.
    pub(super) split: Option<(&'a Split, &'a Split)>,
    /// The targets' own error on the rows held out, relative to their norm, for each equation.
    pub(super) floor: Vec<f64>,
    /// Neighbouring rows that say the same.
    pub(super) overlap: f64,
}

/// Some of the rows of a regression.
pub(super) struct Split {
    pub(super) features: Array2<f64>,
    pub(super) targets: Array2<f64>,
}

/// What a path has found.
pub(super) struct Path {
    pub(super) entries: Vec<PathEntry>,
    /// The coefficients (P×m) at each threshold.
    pub(super) coefficients: Vec<Array2<f64>>,
    /// The entry that was chosen for each equation.
    pub(super) chosen: Vec<usize>,
    /// The coefficients of the chosen entries.
    pub(super) best: Array2<f64>,
}

/// ‖Θ Ξ − Y‖ / ‖Y‖ of each column; where Y is zero, ‖Θ Ξ‖ decides between 0 and ∞.
pub(super) fn errors(
    coefficients: &Array2<f64>,
    features: ArrayView2<f64>,
    targets: ArrayView2<f64>,
) -> Vec<f64> {
    let off = features.dot(coefficients) - targets;
    let norm = |column: ndarray::ArrayView1<f64>| column.iter().map(|v| v * v).sum::<f64>().sqrt();
    off.columns()
        .into_iter()
        .zip(targets.columns())
        .map(|(off, target)| {
            let size = norm(target);
            if size > 0.0 { norm(off) / size } else { 0.0 }
        })
        .collect()
}

/// The triangle R and Qᵀ Y of the rows, which regress as the rows do.
fn compressed(features: ArrayView2<f64>, targets: ArrayView2<f64>) -> (Array2<f64>, Array2<f64>) {
    let (k, p) = features.dim();
    let m = targets.ncols();
    if k <= 2 * (p + m) {
        return (features.to_owned(), targets.to_owned());
    }
    let joint = Mat::from_fn(k, p + m, |i, j| if j < p { features[[i, j]] } else { targets[[i, j - p]] });
    let qr = joint.qr();
    let r = qr.thin_R();
    let n = r.nrows();
    (Array2::from_shape_fn((n, p), |(i, j)| r[(i, j)]), Array2::from_shape_fn((n, m), |(i, j)| r[(i, j + p)]))
}

/// Solves on every threshold of the path, on all rows and on those of the validation: as one batch where the
/// library is small, and threshold by threshold, each time telling `watch`, where it is large.
pub(super) fn path(
    rows: &Rows<'_>,
    regression: Regression,
    engine: &mut dyn Engine,
    watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Path> {
    let norms = |matrix: ArrayView2<f64>| -> Vec<f64> {
        matrix
            .columns()
            .into_iter()
            .map(|c| c.iter().map(|v| v * v).sum::<f64>().sqrt())
            .map(|n| if n > 0.0 && n.is_finite() { n } else { 1.0 })
            .collect()
    };
    let (by_feature, by_target) = (norms(rows.features), norms(rows.targets));
    let scaled = |features: ArrayView2<f64>, targets: ArrayView2<f64>| {
        let (mut features, mut targets) = compressed(features, targets);
        features.columns_mut().into_iter().zip(&by_feature).for_each(|(mut c, n)| c /= *n);
        targets.columns_mut().into_iter().zip(&by_target).for_each(|(mut c, n)| c /= *n);
        (features, targets)
    };
    let whole = scaled(rows.features, rows.targets);
    let older = rows.split.map(|(older, _)| scaled(older.features.view(), older.targets.view()));
    // Columns have norm 1, and so have targets: the coefficient of an equation of one term is ±1 up to
    // rounding, so that a threshold of 1 would keep or lose it by chance.
    let thresholds: Vec<f64> = (0..PER_DECADE * DECADES)
        .map(|i| 10.0_f64.powf(i as f64 / PER_DECADE as f64 - DECADES as f64))
        .collect();
    let settings = |threshold: f64| Regression { threshold, normalize: false, ..regression };
    let mut batch = Vec::new();
    for &threshold in &thresholds {
        for (features, targets) in std::iter::once(&whole).chain(&older) {
            let (features, targets) = (features.view(), targets.view());
            batch.push(RegressionProblem { features, targets, regression: settings(threshold) });
        }
    }
    let each = 1 + usize::from(older.is_some());
    let at_once = if rows.features.ncols() <= SMALL { batch.len() } else { each };
    let mut solutions = Vec::with_capacity(batch.len());
    for part in batch.chunks(at_once) {
        let found = engine.regress(part)?;
        if found.len() != part.len() {
            return Err(Error::internal("the engine returned another number of solutions"));
        }
        solutions.extend(found);
        if watch(solutions.len() / each, thresholds.len()).is_break() {
            break;
        }
    }
    let unscaled = |coefficients: &Array2<f64>| {
        Array2::from_shape_fn(coefficients.dim(), |(p, j)| {
            coefficients[[p, j]] * by_target[j] / by_feature[p]
        })
    };
    let m = rows.targets.ncols();
    let (mut entries, mut coefficients, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for (&threshold, found) in thresholds.iter().zip(solutions.chunks_exact(each)) {
        let all = unscaled(&found[0].coefficients);
        let validation_errors = match (rows.split, found.get(1)) {
            (Some((_, newer)), Some(older)) => {
                errors(&unscaled(&older.coefficients), newer.features.view(), newer.targets.view())
            }
            _ => errors(&all, rows.features, rows.targets),
        };
        // What is handed out are the coefficients from all rows: they must hold on the newer ones as well.
        own.push(rows.split.map(|(_, newer)| errors(&all, newer.features.view(), newer.targets.view())));
        let count = |j: usize| all.column(j).iter().filter(|v| **v != 0.0).count();
        entries.push(PathEntry { threshold, terms: (0..m).map(count).collect(), validation_errors });
        coefficients.push(all);
    }
    let held_out = rows.split.map_or(rows.features.nrows(), |(_, newer)| newer.features.nrows());
    let independent = (held_out as f64 / rows.overlap).max(1.0);
    let chosen: Vec<usize> = (0..m)
        .map(|j| {
            let error = |entry: &PathEntry| entry.validation_errors[j];
            let least = entries.iter().map(error).fold(f64::INFINITY, f64::min);
            // One standard error of a mean of squares, and what the targets themselves are off by.
            let allowed = least * least * (1.0 + (2.0 / independent).sqrt())
                + rows.floor.get(j).map_or(0.0, |floor| floor * floor)
                + EXACT * EXACT;
            let holds = |own: &Option<Vec<f64>>| own.as_ref().is_none_or(|own| own[j].powi(2) <= allowed);
            // A long step beyond the last good threshold would lose terms; the sparsest good one is taken.
            let good = |at: &usize| error(&entries[*at]).powi(2) <= allowed && holds(&own[*at]);
            (0..entries.len()).rev().find(good).unwrap_or(0)
        })
        .collect();
    let mut best = Array2::zeros((rows.features.ncols(), m));
    for (j, at) in chosen.iter().enumerate() {
        best.column_mut(j).assign(&coefficients[*at].column(j));
    }
    Ok(Path { entries, coefficients, chosen, best })
}

/// A candidate with its criterion.
struct Candidate {
    score: f64,
    estimate: Estimate,
}

/// The terms with the best criterion n ln(χ²/n) + (ln n + 2 ln P) a term, and their estimate.
///
/// From each of `starts` (P×d, distinct supports) an estimate; from the best of them, terms are taken away
/// one by one, the least significant first; and from the best of those, single terms are removed, added and
/// exchanged on the quadratic form. `watch` ends the search with the best that was found.
pub(super) fn by_likelihood(
    problem: &Likelihood<'_>,
    starts: &[Array2<f64>],
    watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Option<(Estimate, bool)> {
    let (n, p, d) = (problem.rows(), problem.terms.len(), problem.sigma.len());
    // The price of a term: of as many sets of terms as there are, the best by chance alone must not win.
    let price = (n as f64).ln() + 2.0 * (p as f64).ln();
    let score = |estimate: &Estimate| {
        let rows = n as f64;
        rows * (estimate.chi2 / rows).ln() + price * estimate.places.len() as f64
    };
    let candidate = |estimate: Estimate| Candidate { score: score(&estimate), estimate };
    let mut seen: Vec<Vec<Place>> = Vec::new();
    let mut work = 0.0;
    let mut pool: Vec<Candidate> = Vec::new();
    let mut ended = false;
    for (number, start) in starts.iter().enumerate() {
        let start = problem.start(start);
        // More unknowns than rows, or dense starts that cost more than the search may.
        if start.places.is_empty() || 2 * start.places.len() > n || seen.contains(&start.places) {
            continue;
        }
        let cost = 6.0 * problem.work(start.places.len());
        if work + cost > WORK || problem.memory(start.places.len()) > MEMORY {
            continue;
        }
        work += cost;
        seen.push(start.places.clone());
        pool.extend(problem.estimate(&start, 6).map(candidate));
        if watch(number + 1, starts.len()).is_break() {
            ended = true;
            break;
        }
    }
    pool.retain(|c| c.score.is_finite());
    pool.sort_by(|a, b| a.score.total_cmp(&b.score));
    if ended {
        return pool.into_iter().next().map(|c| (c.estimate, true));
    }
    pool.truncate(5);
    let mut finals: Vec<Candidate> = Vec::new();
    let count = pool.len();
    for (number, begin) in pool.into_iter().enumerate() {
        let mut now = begin.estimate.clone();
        let mut best = begin;
        while now.places.len() > 1 && !ended {
            let cost = 6.0 * problem.work(now.places.len());
            if work + cost > WORK {
                break;
            }
            work += cost;
            let Some((others, values)) =
                problem.quadratic(&now, &now.places).and_then(|quadratic| quadratic.without_weakest())
            else {
                break;
            };
            let places: Vec<Place> = others.iter().map(|i| now.places[*i]).collect();
            if seen.contains(&places) {
                break;
            }
            seen.push(places.clone());
            let Some(next) = problem.estimate(&now.with(places, values), 6) else { break };
            now = next;
            let found = candidate(now.clone());
            // Far beyond the best there is nothing to come back for.
            if found.score > best.score + 5.0 * price {
                break;
            }
            if found.score < best.score {
                best = found;
            }
            ended = watch(number + 1, count).is_break();
        }
        finals.push(best);
    }
    finals.sort_by(|a, b| a.score.total_cmp(&b.score));
    let all: Vec<Place> = (0..d).flat_map(|j| (0..p).map(move |p| (p, j))).collect();
    let room = problem.work(all.len()) <= WORK / 4.0 && problem.memory(all.len()) <= MEMORY;
    for best in finals.iter_mut().filter(|_| room) {
        for _ in 0..6 {
            if ended || work > 2.0 * WORK {
                break;
            }
            work += problem.work(all.len());
            let Some(quadratic) = problem.quadratic(&best.estimate, &all) else { break };
            let held = |place: &Place| all.iter().position(|other| other == place);
            let subset: Vec<usize> = best.estimate.places.iter().filter_map(held).collect();
            let size = subset.len() as f64;
            let exchanges = size * (all.len() as f64) * size.powi(3) / 3.0 < 1e7;
            let next = quadratic.stepwise(&subset, n, price, exchanges);
            let places: Vec<Place> = next.iter().map(|i| all[*i]).collect();
            if places == best.estimate.places {
                break;
            }
            let Some((_, values)) = quadratic.least(&next) else { break };
            let cost = 8.0 * problem.work(places.len());
            work += cost;
            let Some(found) =
                problem.estimate(&best.estimate.with(places, values.to_vec()), 8).map(candidate)
            else {
                break;
            };
            ended = watch(count, count).is_break();
            if !(found.score < best.score - 1e-6) {
                break;
            }
            *best = found;
        }
    }
    let best =
        finals.into_iter().filter(|c| c.score.is_finite()).min_by(|a, b| a.score.total_cmp(&b.score))?;
    let last = problem.estimate(&best.estimate, 12).unwrap_or(best.estimate);
    Some((last, ended))
}
