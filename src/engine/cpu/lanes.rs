//! Loops over chunks that stay in the fastest caches, written so that they vectorise.
//!
//! Sums are taken in a fixed number of lanes, without fused operations, so that no result depends on how wide
//! the machine's vectors are. An accumulator belongs to the closure that uses it: only then it stays in
//! registers. Sums over unknowns are f64, whatever the vectors are kept in.

use crate::scalar::{Half, Scalar};

/// The number of lanes of a sum.
pub(super) const LANES: usize = 16;
/// The number of lanes of each sum where four, or eight, sums are taken at a time: half of sixteen registers
/// of four numbers hold them.
const NARROW: usize = 8;
const NARROWEST: usize = 4;
/// The number of products that are added in f32 before they are added to an f64 sum.
const SHORT: usize = 16;

pub(super) use crate::scalar::vectorised;

/// Σ f(a₀ᵢ, a₁ᵢ, …) over slices of the same length.
#[inline(always)]
pub(super) fn sum_of<const N: usize, T: Scalar>(slices: [&[T]; N], f: impl Fn([f64; N]) -> f64) -> f64 {
    let blocks = slices.map(|s| s.as_chunks::<LANES>());
    let count = blocks.iter().map(|(whole, _)| whole.len()).min().unwrap_or(0);
    let (sums, rest) = vectorised(
        #[inline(always)]
        move || {
            let mut sums = [0.0; LANES];
            for i in 0..count {
                let mut at = [[0.0; N]; LANES];
                for (j, (whole, _)) in blocks.iter().enumerate() {
                    for lane in 0..LANES {
                        at[lane][j] = whole[i][lane].into();
                    }
                }
                for lane in 0..LANES {
                    sums[lane] += f(at[lane]);
                }
            }
            let left = blocks.iter().map(|(_, rest)| rest.len()).min().unwrap_or(0);
            let rest: f64 = (0..left).map(|i| f(blocks.map(|(_, rest)| rest[i].into()))).sum();
            (sums, rest)
        },
    );
    sums.iter().sum::<f64>() + rest
}

/// The inner product a·b, summed in f64.
pub(super) fn dot<T: Scalar, U: Scalar>(a: &[T], b: &[U]) -> f64 {
    let ((a, a_left), (b, b_left)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let sums = vectorised(
        #[inline(always)]
        move || {
            let mut sums = [0.0; LANES];
            for (a, b) in a.iter().zip(b) {
                for lane in 0..LANES {
                    sums[lane] += a[lane].into() * b[lane].into();
                }
            }
            sums
        },
    );
    sums.iter().sum::<f64>() + a_left.iter().zip(b_left).map(|(a, b)| (*a).into() * (*b).into()).sum::<f64>()
}

/// Copies with rounding to half precision: to ← from.
pub(super) fn to_f16<T: Scalar>(from: &[T], to: &mut [Half]) {
    vectorised(
        #[inline(always)]
        move || to.iter_mut().zip(from).for_each(|(to, from)| *to = Half::from_f32((*from).into() as f32)),
    );
}

/// Copies from half precision, which is exact: to ← from.
pub(super) fn from_f16<T: Scalar>(from: &[Half], to: &mut [T]) {
    vectorised(
        #[inline(always)]
        move || to.iter_mut().zip(from).for_each(|(to, from)| *to = (*from).into()),
    );
}

/// Adds b to a: a ← a + b.
pub(super) fn add<T: Scalar>(a: &mut [T], b: &[T]) {
    vectorised(
        #[inline(always)]
        move || a.iter_mut().zip(b).for_each(|(a, b)| *a = *a + *b),
    );
}

/// Writes the difference: out ← a − b.
pub(super) fn difference<T: Scalar>(a: &[T], b: &[T], out: &mut [T]) {
    vectorised(
        #[inline(always)]
        move || out.iter_mut().zip(a.iter().zip(b)).for_each(|(o, (a, b))| *o = *a - *b),
    );
}

/// Adds one inner product per row: sumsⱼ ← sumsⱼ + rowsⱼ·v.
pub(super) fn add_dots<T: Scalar, U: Scalar>(rows: &[&[T]], v: &[U], sums: &mut [f64]) {
    add_dots_in::<f64, NARROW, T, U>(usize::MAX, rows, v, sums);
}

/// Like [`add_dots`], for the coordinates of a state, in the precision of the state: in f32 only [`SHORT`]
/// products are added before they go to f64, which on average errs by less than √SHORT times what rounding
/// the state's entries has cost.
pub(super) fn add_coordinates<T: Scalar>(rows: &[&[T]], v: &[T], sums: &mut [f64]) {
    match T::single(v) {
        None => add_dots(rows, v, sums),
        Some(_) => add_dots_in::<T, LANES, T, T>(SHORT, rows, v, sums),
    }
}

fn add_dots_in<A: Scalar, const L: usize, T: Scalar + Into<A>, U: Scalar + Into<A>>(
    run: usize,
    rows: &[&[T]],
    v: &[U],
    sums: &mut [f64],
) {
    let (fours, rest) = rows.as_chunks::<4>();
    let (four_sums, rest_sums) = sums.as_chunks_mut::<4>();
    for (rows, sums) in fours.iter().zip(four_sums) {
        let found = four_dots::<A, L, T, U>(run, rows, v);
        sums.iter_mut().zip(found).for_each(|(s, f)| *s += f);
    }
    rest.iter().zip(rest_sums).for_each(|(row, sum)| *sum += dot(row, v));
}

/// Four rows at a time: v is loaded once for all of them. `run` products of a lane are added up in A.
fn four_dots<A: Scalar, const L: usize, T: Scalar + Into<A>, U: Scalar + Into<A>>(
    run: usize,
    rows: &[&[T]; 4],
    v: &[U],
) -> [f64; 4] {
    let (whole, left) = v.as_chunks::<L>();
    let blocks = rows.map(|r| r.as_chunks::<L>());
    let lanes = vectorised(
        #[inline(always)]
        move || {
            let [a, b, c, d] = blocks.map(|(whole, _)| whole);
            let mut lanes = [[0.0; L]; 4];
            for ((((whole, a), b), c), d) in
                whole.chunks(run).zip(a.chunks(run)).zip(b.chunks(run)).zip(c.chunks(run)).zip(d.chunks(run))
            {
                let mut sums = [[A::zero(); L]; 4];
                for ((((v, a), b), c), d) in whole.iter().zip(a).zip(b).zip(c).zip(d) {
                    for (sums, row) in sums.iter_mut().zip([a, b, c, d]) {
                        for lane in 0..L {
                            sums[lane] = sums[lane] + Into::<A>::into(row[lane]) * Into::<A>::into(v[lane]);
                        }
                    }
                }
                for (lanes, sums) in lanes.iter_mut().zip(sums) {
                    for lane in 0..L {
                        lanes[lane] += sums[lane].into();
                    }
                }
            }
            lanes
        },
    );
    let product = |(a, b): (&T, &U)| Into::<f64>::into(*a) * Into::<f64>::into(*b);
    std::array::from_fn(|j| {
        lanes[j].iter().sum::<f64>() + blocks[j].1.iter().zip(left).map(product).sum::<f64>()
    })
}

/// sums ← sums + A Bᵀ of four rows each, row by row.
pub(super) fn add_tile<T: Scalar>([a, b, c, d]: [&[T]; 4], columns: [&[T]; 4], sums: &mut [f64; 16]) {
    let found = [half_tile([a, b], columns), half_tile([c, d], columns)];
    sums.iter_mut().zip(found.as_flattened().as_flattened()).for_each(|(s, f)| *s += f);
}

fn half_tile<T: Scalar>(rows: [&[T]; 2], columns: [&[T]; 4]) -> [[f64; 4]; 2] {
    let (rows, columns) =
        (rows.map(|r| r.as_chunks::<NARROWEST>()), columns.map(|c| c.as_chunks::<NARROWEST>()));
    let lanes = vectorised(
        #[inline(always)]
        move || {
            let ([p, q], [a, b, c, d]) = (rows.map(|(whole, _)| whole), columns.map(|(whole, _)| whole));
            let mut sums = [[[0.0; NARROWEST]; 4]; 2];
            for (((((p, q), a), b), c), d) in p.iter().zip(q).zip(a).zip(b).zip(c).zip(d) {
                for (sums, row) in sums.iter_mut().zip([p, q]) {
                    for (sums, column) in sums.iter_mut().zip([a, b, c, d]) {
                        for lane in 0..NARROWEST {
                            sums[lane] += row[lane].into() * column[lane].into();
                        }
                    }
                }
            }
            sums
        },
    );
    let rest = |i: usize, j: usize| {
        rows[i].1.iter().zip(columns[j].1).map(|(a, b)| (*a).into() * (*b).into()).sum::<f64>()
    };
    std::array::from_fn(|i| std::array::from_fn(|j| lanes[i][j].iter().sum::<f64>() + rest(i, j)))
}

/// outⱼ ← Σₖ weightsⱼₖ rowsₖ, summed in the type A: up to four results at a time, so that a row is loaded
/// once for all of them.
pub(super) fn combine<A: Scalar, R: Copy + Into<A>, O: Scalar>(
    rows: &[&[R]],
    weights: &[&[f64]],
    out: &mut [&mut [O]],
) {
    let replace = |_, sum: A| O::of(sum.into());
    for (weights, out) in weights.chunks(4).zip(out.chunks_mut(4)) {
        match (weights, out) {
            ([a, b, c, d], [p, q, r, s]) => {
                combine_into::<4, NARROW, A, R, O>([a, b, c, d], rows, [p, q, r, s], replace)
            }
            ([a, b, c], [p, q, r]) => combine_into::<3, NARROW, A, R, O>([a, b, c], rows, [p, q, r], replace),
            ([a, b], [p, q]) => combine_into::<2, LANES, A, R, O>([a, b], rows, [p, q], replace),
            ([a], [p]) => combine_into::<1, LANES, A, R, O>([a], rows, [p], replace),
            _ => {}
        }
    }
}

/// v ← v + Σₖ weightsₖ rowsₖ.
pub(super) fn add_combination<R: Copy + Into<T>, T: Scalar>(rows: &[&[R]], weights: &[f64], v: &mut [T]) {
    combine_into::<1, LANES, T, R, T>([weights], rows, [v], |old, sum| old + sum);
}

/// outⱼ ← put(outⱼ, Σₖ weightsⱼₖ rowsₖ).
fn combine_into<const N: usize, const L: usize, A: Scalar, R: Copy + Into<A>, O: Scalar>(
    weights: [&[f64]; N],
    rows: &[&[R]],
    out: [&mut [O]; N],
    put: impl Fn(O, A) -> O + Copy,
) {
    let terms = weights.iter().map(|w| w.len()).min().unwrap_or(0).min(rows.len());
    let weights: Vec<[A; N]> = (0..terms).map(|k| weights.map(|w| A::of(w[k]))).collect();
    let (blocks, left): (Vec<_>, Vec<_>) = rows.iter().map(|r| r.as_chunks::<L>()).unzip();
    let (weights, blocks) = (&weights[..], &blocks[..]);
    let mut rest = Vec::with_capacity(N);
    let mut whole = out.map(|o| {
        let (whole, left) = o.as_chunks_mut::<L>();
        rest.push(left);
        whole
    });
    let count = whole.iter().map(|w| w.len()).min().unwrap_or(0);
    vectorised(
        #[inline(always)]
        move || {
            for i in 0..count {
                let mut sums = [[A::zero(); L]; N];
                for (w, row) in weights.iter().zip(blocks) {
                    let row = &row[i];
                    for (sums, w) in sums.iter_mut().zip(w) {
                        for lane in 0..L {
                            sums[lane] = sums[lane] + *w * row[lane].into();
                        }
                    }
                }
                for (out, sums) in whole.iter_mut().zip(sums) {
                    for lane in 0..L {
                        out[i][lane] = put(out[i][lane], sums[lane]);
                    }
                }
            }
        },
    );
    for (j, rest) in rest.into_iter().enumerate() {
        for (i, out) in rest.iter_mut().enumerate() {
            let sum = weights.iter().zip(&left).fold(A::zero(), |sum, (w, row)| sum + w[j] * row[i].into());
            *out = put(*out, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<T: Scalar>(seed: usize, len: usize) -> Vec<T> {
        (0..len).map(|i| T::of(((i * 7 + seed * 13) % 11) as f64 - 5.0)).collect()
    }

    /// Small integers make every order of summation exact, in f32 too.
    fn check<T: Scalar>() {
        for len in [0, 1, 7, 8, 15, 16, 17, 100, 1024] {
            let table: Vec<Vec<T>> = (0..7).map(|j| row(j, len)).collect();
            let rows: Vec<&[T]> = table.iter().map(|r| &r[..]).collect();
            let wide = |v: &T| Into::<f64>::into(*v);
            let exact = |a: &[T], b: &[T]| a.iter().zip(b).map(|(a, b)| wide(a) * wide(b)).sum::<f64>();
            let sums_of = |pass: fn(&[&[T]], &[T], &mut [f64])| {
                let mut sums = vec![1.0; 7];
                pass(&rows, rows[2], &mut sums);
                sums
            };
            for dots in [sums_of(add_dots), sums_of(add_coordinates)] {
                assert!((0..7).all(|j| dots[j] == 1.0 + exact(rows[j], rows[2])), "length {len}");
            }
            let mut tile = [2.0; 16];
            add_tile([rows[0], rows[1], rows[2], rows[3]], [rows[3], rows[4], rows[5], rows[6]], &mut tile);
            assert!((0..16).all(|t| tile[t] == 2.0 + exact(rows[t / 4], rows[3 + t % 4])), "length {len}");
            let weights: Vec<Vec<f64>> = (0..6).map(|j| row(j + 20, 7)).collect();
            let expected =
                |weights: &[f64], i: usize| (0..7).map(|k| weights[k] * wide(&rows[k][i])).sum::<f64>();
            let mut out = vec![vec![T::of(9.0); len]; 6];
            combine::<T, _, _>(
                &rows,
                &weights.iter().map(|w| &w[..]).collect::<Vec<_>>(),
                &mut out.iter_mut().map(|o| &mut o[..]).collect::<Vec<_>>(),
            );
            for (weights, out) in weights.iter().zip(&out) {
                assert!((0..len).all(|i| wide(&out[i]) == expected(weights, i)), "length {len}");
            }
            let before = out[0].clone();
            add_combination::<T, T>(&rows, &weights[3], &mut out[0]);
            assert!(
                (0..len).all(|i| wide(&out[0][i]) == wide(&before[i]) + expected(&weights[3], i)),
                "length {len}"
            );
        }
    }

    #[test]
    fn blocks_and_remainders_give_every_term_once() {
        check::<f64>();
        check::<f32>();
    }
}
