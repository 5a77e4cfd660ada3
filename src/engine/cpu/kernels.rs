//! The passes over d in the precision of the state, their sums in f64. The comment of a function that is the
//! twin of shaders begins with their names; other files of this folder have such functions as well.
//!
//! One pass reads every table once: what several results need is taken from a chunk while it is in the cache.
//! Bytes per pass, of vectors of length d: inner products 2K read; basis and mean K + 2 read, r + 1 written;
//! a surrogate step r (trajectory lift) or r + K (snapshots) and the state read, the state written.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::basis::DirectionsMut;
use super::bounds::Intervals;
use super::lanes::{add, add_coordinates, add_tile, combine, difference, from_f16, sum_of, to_f16};
use super::sweep::{CHUNK, chunks, parts, pieces, stream, sums_over, sweep, sweep_pieces};
use crate::domain::{BoundsRef, Domain, Volume, volume_scale};
use crate::flow::{Flow, OptimalityCriteria, ProjectedGradient};
use crate::scalar::Scalar;
use crate::surrogate::TargetTransform;

/// to ← from, rounded where they differ in precision.
pub(in crate::engine) fn copy<T: Scalar, U: Scalar>(from: &[T], to: &mut [U]) {
    stream(from.len(), to, |here, to| {
        to.iter_mut().zip(&from[here]).for_each(|(to, from)| *to = U::of((*from).into()))
    });
}

/// The Gram matrices that a pass computes besides XXᵀ.
#[derive(Debug, Clone, Copy)]
pub(super) struct GramParts {
    pub xy: bool,
    pub yy: bool,
}

/// `gram_accumulate`: XXᵀ, XYᵀ and YYᵀ of the rows of X about `reference` and of Y, all from one read of
/// both; a matrix that `parts` leaves out is NaN.
///
/// Flops: 2d for each of (K/4 + 1)·K/8 tiles of 16 per symmetric matrix, (K/4)² for XYᵀ.
pub(super) fn grams<T: Scalar>(
    x: &[&[T]],
    reference: Option<&[T]>,
    y: &[&[T]],
    parts: GramParts,
) -> [Array2<f64>; 3] {
    let d = x.first().or(y.first()).map_or(0, |row| row.len());
    // Rows of X, then of Y, each filled up to whole groups of four.
    let (x_groups, y_groups) = (x.len().div_ceil(4), y.len().div_ceil(4));
    let is_needed = |a: usize, b: usize| match (a < x_groups, b < x_groups) {
        (true, true) => true,
        (false, false) => parts.yy,
        _ => parts.xy,
    };
    let groups = x_groups + y_groups;
    let tiles: Vec<(usize, usize)> = (0..groups)
        .flat_map(|a| (a..groups).map(move |b| (a, b)))
        .filter(|(a, b)| is_needed(*a, *b))
        .collect();
    // A row of zeros fills up the last tile.
    let scratch = (1 + if reference.is_some() { x.len() } else { 0 }) * CHUNK;
    let sums = sweep(d, Vec::new(), 16 * tiles.len(), scratch, |here, _, sums, scratch| {
        let len = here.len();
        let (zeros, scratch) = scratch.split_at_mut(CHUNK);
        let mut rows: Vec<&[T]> = match reference {
            Some(reference) => {
                scratch.chunks_exact_mut(CHUNK).zip(x).for_each(|(out, row)| {
                    difference(&row[here.clone()], &reference[here.clone()], &mut out[..len])
                });
                scratch.chunks_exact(CHUNK).map(|row| &row[..len]).collect()
            }
            None => chunks(x, &here),
        };
        rows.resize(4 * x_groups, &zeros[..len]);
        rows.extend(y.iter().map(|row| &row[here.clone()]));
        rows.resize(4 * groups, &zeros[..len]);
        let (fours, _) = rows.as_chunks::<4>();
        tiles
            .iter()
            .zip(sums.as_chunks_mut::<16>().0)
            .for_each(|((a, b), sums)| add_tile(fours[*a], fours[*b], sums));
    });
    let lengths = [x.len(), y.len()];
    let mut out = [[0, 0], [0, 1], [1, 1]]
        .map(|[a, b]: [usize; 2]| Array2::from_elem((lengths[a], lengths[b]), f64::NAN));
    let place = |row: usize| if row < 4 * x_groups { (0, row) } else { (1, row - 4 * x_groups) };
    for ((a, b), sums) in tiles.iter().zip(sums.as_chunks::<16>().0) {
        for (t, sum) in sums.iter().enumerate() {
            let ((p, i), (q, j)) = (place(4 * a + t / 4), place(4 * b + t % 4));
            if i < lengths[p] && j < lengths[q] {
                out[p + q][[i, j]] = *sum;
                if p == q {
                    out[p + q][[j, i]] = *sum;
                }
            }
        }
    }
    out
}

/// `rows_combine`: C (A − reference), the tables of basis directions, (r×K)(K×d), and the mean of A's rows.
/// `after` sees every chunk of both, as they are kept, and adds to as many sums as `values`, which are
/// returned.
pub(super) fn rows_combine<'o, T: Scalar>(
    coefficients: ArrayView2<f64>,
    a: &[&[T]],
    reference: Option<&[T]>,
    out: DirectionsMut<'o, T>,
    mean: &'o mut [T],
    values: usize,
    after: impl Fn(Range<usize>, &[&[T]], &[T], &mut [f64]) + Sync,
) -> Vec<f64> {
    let d = mean.len();
    let in_halves = matches!(out, DirectionsMut::F16(_));
    let (mut vectors, halves) = match out {
        DirectionsMut::State(rows) => (rows, Vec::new()),
        DirectionsMut::F16(rows) => (Vec::new(), rows),
    };
    vectors.push(mean);
    let average = vec![1.0 / a.len().max(1) as f64; a.len()];
    let mut weights: Vec<Vec<f64>> = coefficients.rows().into_iter().map(|row| row.to_vec()).collect();
    weights.push(average);
    let weights: Vec<&[f64]> = weights.iter().map(|w| &w[..]).collect();
    let differences = if reference.is_some() { a.len() * CHUNK } else { 0 };
    // The row in the precision of the state, from which the half-precision row is made.
    let scratch = differences + if in_halves { coefficients.nrows() * CHUNK } else { 0 };
    let split = |segment| pieces(vectors, d, segment).into_iter().zip(pieces(halves, d, segment)).collect();
    sweep_pieces(CHUNK, d, split, values, scratch, |here, within, (vectors, halves), sums, scratch| {
        let len = here.len();
        let (differences, scratch) = scratch.split_at_mut(differences);
        let mut out: Vec<&mut [T]> = scratch
            .chunks_exact_mut(CHUNK)
            .map(|row| &mut row[..len])
            .chain(parts(vectors, within))
            .collect();
        match reference.map(|r| &r[here.clone()]) {
            Some(reference) => {
                differences
                    .chunks_exact_mut(CHUNK)
                    .zip(a)
                    .for_each(|(out, row)| difference(&row[here.clone()], reference, &mut out[..len]));
                let rows: Vec<&[T]> = differences.chunks_exact(CHUNK).map(|row| &row[..len]).collect();
                combine::<f64, _, _>(&rows, &weights, &mut out);
                if let Some(mean) = out.last_mut() {
                    add(mean, reference);
                }
            }
            None => combine::<f64, _, _>(&chunks(a, &here), &weights, &mut out),
        }
        let Some((mean, rows)) = out.split_last_mut() else { return };
        for (half, row) in parts(halves, within).into_iter().zip(&mut *rows) {
            to_f16(row, half);
            from_f16(half, row);
        }
        let rows: Vec<&[T]> = rows.iter().map(|row| &**row).collect();
        after(here, &rows, mean, sums);
    })
}

/// `target_encode`: the transformed targets of the samples.
pub(super) fn target_encode<T: Scalar>(
    transform: TargetTransform,
    gradients: &[&[T]],
    iterates: &[&[T]],
    out: Vec<&mut [T]>,
) {
    let d = iterates.first().map_or(0, |row| row.len());
    sweep(d, out, 0, 0, |here, out, _, _| {
        for ((out, g), x) in out.iter_mut().zip(chunks(gradients, &here)).zip(chunks(iterates, &here)) {
            out.iter_mut()
                .zip(g.iter().zip(x))
                .for_each(|(y, (g, x))| *y = T::of(transform.encode((*g).into(), (*x).into())));
        }
    });
}

/// `state_project` of one chunk: adds ‖x − mean‖² to the first sum and U (x − mean), or U x if not centred,
/// to the others.
pub(super) fn state_project<T: Scalar>(
    basis: &[&[T]],
    x: &[T],
    mean: &[T],
    centered: bool,
    sums: &mut [f64],
) {
    let mut about = [T::zero(); CHUNK];
    let about = &mut about[..x.len()];
    difference(x, mean, about);
    if let [square, coordinates @ ..] = sums {
        *square += sum_of([&*about], |[a]| a * a);
        add_coordinates(basis, if centered { about } else { x }, coordinates);
    }
}

/// `power_sums` of one chunk: adds Σᵢ (aᵢ bᵢ)ʲ, j = 1, 2, 3, to three sums per row a.
pub(super) fn power_sums<T: Scalar>(rows: &[&[T]], b: &[T], sums: &mut [f64]) {
    for (a, sums) in rows.iter().zip(sums.as_chunks_mut::<3>().0) {
        sums[0] += sum_of([a, b], |[a, b]| a * b);
        sums[1] += sum_of([a, b], |[a, b]| (a * b) * (a * b));
        sums[2] += sum_of([a, b], |[a, b]| (a * b) * (a * b) * (a * b));
    }
}

/// `power_sums` of all pairs of rows, one matrix per power.
pub(super) fn power_sum_matrices<T: Scalar>(rows: &[&[T]]) -> [Array2<f64>; 3] {
    let (k, d) = (rows.len(), rows.first().map_or(0, |row| row.len()));
    let sums = sums_over(d, 3 * k * k, |here, sums| {
        let rows = chunks(rows, &here);
        for (i, b) in rows.iter().enumerate() {
            power_sums(&rows[..=i], b, &mut sums[3 * i * k..]);
        }
    });
    [0, 1, 2].map(|p| Array2::from_shape_fn((k, k), |(i, j)| sums[3 * (i.max(j) * k + i.min(j)) + p]))
}

/// The squared distance of each of the `rows` from `mean`.
pub(super) fn squared_distances<T: Scalar>(rows: &[&[T]], mean: &[T]) -> Vec<f64> {
    sums_over(mean.len(), rows.len(), |here, sums| {
        for (row, sum) in chunks(rows, &here).into_iter().zip(sums) {
            *sum += sum_of([row, &mean[here.clone()]], |[a, b]| (a - b) * (a - b));
        }
    })
}

/// Takes step number `k` of any flow; returns Σ g·Δx.
pub(super) fn step<T: Scalar>(flow: Flow, domain: &Domain, k: u64, vectors: Vec<&mut [T]>, g: &[T]) -> f64 {
    match (flow, vectors) {
        (Flow::OptimalityCriteria(flow), mut vectors) => {
            vectors.first_mut().map_or(0.0, |x| optimality_criteria(flow, x, g, domain))
        }
        (Flow::ProjectedGradient(flow), mut vectors) => {
            vectors.first_mut().map_or(0.0, |x| projected_gradient(flow, x, g, domain))
        }
        (_, vectors) => sweep(g.len(), vectors, 1, 0, |here, vectors, sums, _| {
            sums[0] += advance(flow, k, vectors, &g[here])
        })[0],
    }
}

/// `flow_step` of one chunk: step number `k`; `vectors` are x and the flow's own.
/// Returns Σ g·Δx; 0 for the flows whose unknowns depend on each other.
pub(super) fn advance<T: Scalar>(flow: Flow, k: u64, vectors: &mut [&mut [T]], g: &[T]) -> f64 {
    let mut old = [T::zero(); CHUNK];
    let old = &mut old[..g.len()];
    let [x, own @ ..] = vectors else { return 0.0 };
    old.copy_from_slice(x);
    if !flow.advance(k, x, own, g) {
        return 0.0;
    }
    sum_of([g, &**x, &*old], |[g, new, old]| g * (new - old))
}

/// `projected_gradient`, `projection_volume`, `bracket_select`: one step; returns Σ g·Δx.
fn projected_gradient<T: Scalar>(flow: ProjectedGradient, x: &mut [T], g: &[T], domain: &Domain) -> f64 {
    match domain.bounds() {
        BoundsRef::Uniform { lower, upper } => projected_step(flow, x, g, [lower, upper], domain.volume()),
        BoundsRef::PerUnknown { lower, upper } => projected_step(flow, x, g, [lower, upper], domain.volume()),
    }
}

fn projected_step<T: Scalar>(
    flow: ProjectedGradient,
    x: &mut [T],
    g: &[T],
    bounds: impl Intervals,
    volume: Option<&Volume>,
) -> f64 {
    let weights = volume.map(|volume| &volume.weights[..]);
    let mu = match volume {
        Some(Volume { weights, bound }) => {
            // The volume falls as μ grows, so the search is for the least μ whose volume is allowed.
            let total = |mu: f64| {
                volume_of(x, g, weights, bounds, |[x, g, w], [lower, upper]| {
                    flow.update(x, g, w, mu, lower, upper)
                })
            };
            if total(0.0) <= *bound { 0.0 } else { volume_scale(|mu| -total(mu), -bound.next_up()).next_up() }
        }
        None => 0.0,
    };
    let weight = |i: usize| weights.map_or(0.0, |w| w[i]);
    replace(x, g, |i, x| {
        let [lower, upper] = bounds.at(i);
        flow.update(x, g[i].into(), weight(i), mu, lower, upper)
    })
}

/// `oc_growth`, `oc_volume`, `bracket_select`, `oc_update`: one step; returns Σ g·Δx.
fn optimality_criteria<T: Scalar>(flow: OptimalityCriteria, x: &mut [T], g: &[T], domain: &Domain) -> f64 {
    let Some(volume) = domain.volume() else { return 0.0 };
    match domain.bounds() {
        BoundsRef::Uniform { lower, upper } => criteria_step(flow, x, g, [lower, upper], volume),
        BoundsRef::PerUnknown { lower, upper } => criteria_step(flow, x, g, [lower, upper], volume),
    }
}

fn criteria_step<T: Scalar>(
    flow: OptimalityCriteria,
    x: &mut [T],
    g: &[T],
    bounds: impl Intervals,
    Volume { weights, bound }: &Volume,
) -> f64 {
    let mut growth = vec![T::zero(); x.len()];
    let old = &*x;
    sweep(x.len(), vec![&mut growth], 0, 0, |here, growth, _, _| {
        let unknowns = old[here.clone()].iter().zip(&g[here.clone()]).zip(&weights[here]);
        growth[0].iter_mut().zip(unknowns).for_each(|(out, ((x, g), w))| {
            *out = T::of(OptimalityCriteria::growth((*x).into(), (*g).into(), *w))
        });
    });
    let total = |scale: f64| {
        volume_of(old, &growth, weights, bounds, |[x, growth, _], [lower, upper]| {
            flow.clip(x, growth, scale, lower, upper)
        })
    };
    let scale = volume_scale(total, *bound);
    replace(x, g, |i, x| {
        let [lower, upper] = bounds.at(i);
        flow.clip(x, growth[i].into(), scale, lower, upper)
    })
}

/// Σ w f((x, a, w), bounds), with f rounded to the precision in which it would be stored.
fn volume_of<T: Scalar>(
    x: &[T],
    a: &[T],
    weights: &[f64],
    bounds: impl Intervals,
    f: impl Fn([f64; 3], [f64; 2]) -> f64 + Sync,
) -> f64 {
    sums_over(x.len(), 1, |here, sums| {
        let mut scratch = [[0.0; CHUNK]; 2];
        let [first, second] = &mut scratch;
        let at =
            [T::widen(&x[here.clone()], first), T::widen(&a[here.clone()], second), &weights[here.clone()]];
        sums[0] += bounds.of(&here).sum_of(at, |at, bounds| at[2] * T::of(f(at, bounds)).into());
    })[0]
}

/// xᵢ ← f(i, xᵢ); returns Σ g·Δx.
fn replace<T: Scalar>(x: &mut [T], g: &[T], f: impl Fn(usize, f64) -> f64 + Sync) -> f64 {
    sweep(g.len(), vec![x], 1, 0, |here, vectors, sums, _| {
        let mut change = 0.0;
        for (i, x) in here.zip(vectors[0].iter_mut()) {
            let (old, new) = ((*x).into(), T::of(f(i, (*x).into())));
            change += g[i].into() * (new.into() - old);
            *x = new;
        }
        sums[0] += change;
    })[0]
}
