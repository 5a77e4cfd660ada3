//! Passes over d: parallel, in chunks that stay in the caches, with sums that do not depend on the number of
//! threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::scalar::Scalar;

/// Unknowns per chunk: small enough that the chunks of two histories stay in the second cache.
pub(in crate::engine) const CHUNK: usize = 1024;
/// The largest number of tasks per pass: it keeps the sums small, and does not depend on the machine.
const SEGMENTS: usize = 256;

/// One parallel pass over 0..d: `body` gets a chunk's range, its parts of `vectors`, `values` sums to add to
/// and `scratch` numbers of its own. Returns the sums.
pub(super) fn sweep<T: Scalar, F>(
    d: usize,
    vectors: Vec<&mut [T]>,
    values: usize,
    scratch: usize,
    body: F,
) -> Vec<f64>
where
    F: Fn(Range<usize>, &mut [&mut [T]], &mut [f64], &mut [T]) + Sync,
{
    sweep_by(CHUNK, d, vectors, values, scratch, body)
}

/// A pass without sums and scratch, whose pieces are as long as possible.
pub(super) fn stream<T: Scalar>(d: usize, vector: &mut [T], body: impl Fn(Range<usize>, &mut [T]) + Sync) {
    sweep_by(usize::MAX, d, vec![vector], 0, 0, |here, vectors, _, _| body(here, vectors[0]));
}

fn sweep_by<T: Scalar, F>(
    chunk: usize,
    d: usize,
    vectors: Vec<&mut [T]>,
    values: usize,
    scratch: usize,
    body: F,
) -> Vec<f64>
where
    F: Fn(Range<usize>, &mut [&mut [T]], &mut [f64], &mut [T]) + Sync,
{
    let split = |segment| pieces(vectors, d, segment);
    sweep_pieces(chunk, d, split, values, scratch, |here, within, vectors, sums, scratch| {
        body(here, &mut parts(vectors, within), sums, scratch)
    })
}

/// Splits `vectors` of length `d` into pieces of `segment` unknowns each.
pub(super) fn pieces<E>(vectors: Vec<&mut [E]>, d: usize, segment: usize) -> Vec<Vec<&mut [E]>> {
    let mut pieces: Vec<Vec<&mut [E]>> =
        (0..d.div_ceil(segment)).map(|_| Vec::with_capacity(vectors.len())).collect();
    for vector in vectors {
        pieces.iter_mut().zip(vector.chunks_mut(segment)).for_each(|(piece, part)| piece.push(part));
    }
    pieces
}

/// The same range of every vector.
pub(super) fn parts<'a, E>(vectors: &'a mut [&mut [E]], range: &Range<usize>) -> Vec<&'a mut [E]> {
    vectors.iter_mut().map(|v| &mut v[range.clone()]).collect()
}

/// The pass that the others are made of: `split` divides the written vectors into pieces of so many unknowns,
/// and `body` gets a chunk's range, its range within its piece, and the piece.
pub(super) fn sweep_pieces<T: Scalar, P: Send, F>(
    chunk: usize,
    d: usize,
    split: impl FnOnce(usize) -> Vec<P>,
    values: usize,
    scratch: usize,
    body: F,
) -> Vec<f64>
where
    F: Fn(Range<usize>, &Range<usize>, &mut P, &mut [f64], &mut [T]) + Sync,
{
    let segment = CHUNK * d.div_ceil(CHUNK).div_ceil(SEGMENTS).max(1);
    let pieces = split(segment);
    let task = |scratch: &mut Vec<T>, (number, mut piece): (usize, P)| {
        let mut sums = vec![0.0; values];
        let all = number * segment..((number + 1) * segment).min(d);
        for begin in all.clone().step_by(chunk) {
            let here = begin..begin.saturating_add(chunk).min(all.end);
            let within = here.start - all.start..here.end - all.start;
            body(here, &within, &mut piece, &mut sums, scratch);
        }
        sums
    };
    let make = || vec![T::zero(); scratch];
    let sums: Vec<Vec<f64>> = if pieces.len() > 1 {
        pieces.into_par_iter().enumerate().map_init(make, task).collect()
    } else {
        let mut scratch = make();
        pieces.into_iter().enumerate().map(|piece| task(&mut scratch, piece)).collect()
    };
    let mut total = vec![0.0; values];
    for part in sums {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
    total
}

/// The chunks `here` of `rows`.
pub(super) fn chunks<'a, E>(rows: &[&'a [E]], here: &Range<usize>) -> Vec<&'a [E]> {
    rows.iter().map(|row| &row[here.clone()]).collect()
}

/// A pass that changes no vector: see [`sweep`].
pub(in crate::engine) fn sums_over(
    d: usize,
    values: usize,
    body: impl Fn(Range<usize>, &mut [f64]) + Sync,
) -> Vec<f64> {
    sweep::<f64, _>(d, Vec::new(), values, 0, |here, _, sums, _| body(here, sums))
}
