//! Loops over chunks that stay in the fastest caches, written so that they vectorise.
//!
//! Sums are taken in a fixed number of lanes, without fused operations, so that no result depends on how wide the machine's vectors are. An accumulator
//! belongs to the closure that uses it: only then it stays in registers.

/// Lanes of a sum.
pub(super) const LANES: usize = 16;
/// Lanes of a sum where four, or eight, are taken at a time: half of sixteen registers of four numbers hold them.
const NARROW: usize = 8;
const NARROWEST: usize = 4;

/// Runs `pass`, a loop that must be inlined, with the widest vectors the machine has.
#[inline(always)]
pub(super) fn vectorised<R>(pass: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(pass)
}

/// Σ f(a₀ᵢ, a₁ᵢ, …) over slices of the same length.
#[inline(always)]
pub(super) fn sum_of<const N: usize>(slices: [&[f64]; N], f: impl Fn([f64; N]) -> f64) -> f64 {
    let blocks = slices.map(|s| s.as_chunks::<LANES>());
    let count = blocks.iter().map(|(whole, _)| whole.len()).min().unwrap_or(0);
    let (sums, rest) = vectorised(
        #[inline(always)]
        move || {
            let mut sums = [0.0; LANES];
            for i in 0..count {
                let at = blocks.map(|(whole, _)| whole[i]);
                for lane in 0..LANES {
                    sums[lane] += f(at.map(|a| a[lane]));
                }
            }
            let left = blocks.iter().map(|(_, rest)| rest.len()).min().unwrap_or(0);
            let rest: f64 = (0..left).map(|i| f(blocks.map(|(_, rest)| rest[i]))).sum();
            (sums, rest)
        },
    );
    sums.iter().sum::<f64>() + rest
}

/// a·b.
pub(super) fn dot<T: Copy + Into<f64>>(a: &[T], b: &[f64]) -> f64 {
    let ((a, a_left), (b, b_left)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let sums = vectorised(
        #[inline(always)]
        move || {
            let mut sums = [0.0; LANES];
            for (a, b) in a.iter().zip(b) {
                for lane in 0..LANES {
                    sums[lane] += a[lane].into() * b[lane];
                }
            }
            sums
        },
    );
    sums.iter().sum::<f64>() + a_left.iter().zip(b_left).map(|(a, b)| (*a).into() * b).sum::<f64>()
}

/// a ← a + w b.
pub(super) fn add_multiple(a: &mut [f64], w: f64, b: &[f64]) {
    vectorised(
        #[inline(always)]
        move || a.iter_mut().zip(b).for_each(|(a, b)| *a += w * b),
    );
}

/// out ← a − b.
pub(super) fn difference(a: &[f64], b: &[f64], out: &mut [f64]) {
    vectorised(
        #[inline(always)]
        move || out.iter_mut().zip(a.iter().zip(b)).for_each(|(o, (a, b))| *o = a - b),
    );
}

/// sumsⱼ ← sumsⱼ + rowsⱼ·v.
pub(super) fn add_dots<T: Copy + Into<f64>>(rows: &[&[T]], v: &[f64], sums: &mut [f64]) {
    let (fours, rest) = rows.as_chunks::<4>();
    let (four_sums, rest_sums) = sums.as_chunks_mut::<4>();
    for (rows, sums) in fours.iter().zip(four_sums) {
        let found = four_dots(rows, v);
        sums.iter_mut().zip(found).for_each(|(s, f)| *s += f);
    }
    rest.iter().zip(rest_sums).for_each(|(row, sum)| *sum += dot(row, v));
}

/// Four rows at a time: v is loaded once for all of them.
fn four_dots<T: Copy + Into<f64>>(rows: &[&[T]; 4], v: &[f64]) -> [f64; 4] {
    let (whole, left) = v.as_chunks::<NARROW>();
    let blocks = rows.map(|r| r.as_chunks::<NARROW>());
    let lanes = vectorised(
        #[inline(always)]
        move || {
            let [a, b, c, d] = blocks.map(|(whole, _)| whole);
            let mut sums = [[0.0; NARROW]; 4];
            for ((((v, a), b), c), d) in whole.iter().zip(a).zip(b).zip(c).zip(d) {
                for (sums, row) in sums.iter_mut().zip([a, b, c, d]) {
                    for lane in 0..NARROW {
                        sums[lane] += row[lane].into() * v[lane];
                    }
                }
            }
            sums
        },
    );
    std::array::from_fn(|j| lanes[j].iter().sum::<f64>() + blocks[j].1.iter().zip(left).map(|(a, b)| (*a).into() * b).sum::<f64>())
}

/// sums ← sums + A Bᵀ of four rows each, row by row.
pub(super) fn add_tile([a, b, c, d]: [&[f64]; 4], columns: [&[f64]; 4], sums: &mut [f64; 16]) {
    let found = [half_tile([a, b], columns), half_tile([c, d], columns)];
    sums.iter_mut().zip(found.as_flattened().as_flattened()).for_each(|(s, f)| *s += f);
}

fn half_tile(rows: [&[f64]; 2], columns: [&[f64]; 4]) -> [[f64; 4]; 2] {
    let (rows, columns) = (rows.map(|r| r.as_chunks::<NARROWEST>()), columns.map(|c| c.as_chunks::<NARROWEST>()));
    let lanes = vectorised(
        #[inline(always)]
        move || {
            let ([p, q], [a, b, c, d]) = (rows.map(|(whole, _)| whole), columns.map(|(whole, _)| whole));
            let mut sums = [[[0.0; NARROWEST]; 4]; 2];
            for (((((p, q), a), b), c), d) in p.iter().zip(q).zip(a).zip(b).zip(c).zip(d) {
                for (sums, row) in sums.iter_mut().zip([p, q]) {
                    for (sums, column) in sums.iter_mut().zip([a, b, c, d]) {
                        for lane in 0..NARROWEST {
                            sums[lane] += row[lane] * column[lane];
                        }
                    }
                }
            }
            sums
        },
    );
    let rest = |i: usize, j: usize| rows[i].1.iter().zip(columns[j].1).map(|(a, b)| a * b).sum::<f64>();
    std::array::from_fn(|i| std::array::from_fn(|j| lanes[i][j].iter().sum::<f64>() + rest(i, j)))
}

/// outⱼ ← Σₖ weightsⱼₖ rowsₖ: up to four results at a time, so that a row is loaded once for all of them.
pub(super) fn combine<T: Copy + Into<f64>>(rows: &[&[T]], weights: &[&[f64]], out: &mut [&mut [f64]]) {
    for (weights, out) in weights.chunks(4).zip(out.chunks_mut(4)) {
        match (weights, out) {
            ([a, b, c, d], [p, q, r, s]) => combine_into::<4, NARROW, T>([a, b, c, d], rows, [p, q, r, s]),
            ([a, b, c], [p, q, r]) => combine_into::<3, NARROW, T>([a, b, c], rows, [p, q, r]),
            ([a, b], [p, q]) => combine_into::<2, LANES, T>([a, b], rows, [p, q]),
            ([a], [p]) => combine_into::<1, LANES, T>([a], rows, [p]),
            _ => {}
        }
    }
}

fn combine_into<const N: usize, const L: usize, T: Copy + Into<f64>>(weights: [&[f64]; N], rows: &[&[T]], out: [&mut [f64]; N]) {
    let terms = weights.iter().map(|w| w.len()).min().unwrap_or(0).min(rows.len());
    let weights: Vec<[f64; N]> = (0..terms).map(|k| weights.map(|w| w[k])).collect();
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
                let mut sums = [[0.0; L]; N];
                for (w, row) in weights.iter().zip(blocks) {
                    let row = &row[i];
                    for (sums, w) in sums.iter_mut().zip(w) {
                        for lane in 0..L {
                            sums[lane] += w * row[lane].into();
                        }
                    }
                }
                for (out, sums) in whole.iter_mut().zip(sums) {
                    out[i] = sums;
                }
            }
        },
    );
    for (j, rest) in rest.into_iter().enumerate() {
        for (i, out) in rest.iter_mut().enumerate() {
            *out = weights.iter().zip(&left).map(|(w, row)| w[j] * row[i].into()).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seed: usize, len: usize) -> Vec<f64> {
        (0..len).map(|i| ((i * 7 + seed * 13) % 11) as f64 - 5.0).collect()
    }

    /// Small integers: every order of summation is exact.
    #[test]
    fn blocks_and_remainders_give_every_term_once() {
        for len in [0, 1, 7, 8, 15, 16, 17, 100] {
            let table: Vec<Vec<f64>> = (0..7).map(|j| row(j, len)).collect();
            let rows: Vec<&[f64]> = table.iter().map(|r| &r[..]).collect();
            let exact = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let mut dots = vec![1.0; 7];
            add_dots(&rows, rows[2], &mut dots);
            assert!((0..7).all(|j| dots[j] == 1.0 + exact(rows[j], rows[2])), "length {len}");
            let mut tile = [2.0; 16];
            add_tile([rows[0], rows[1], rows[2], rows[3]], [rows[3], rows[4], rows[5], rows[6]], &mut tile);
            assert!((0..16).all(|t| tile[t] == 2.0 + exact(rows[t / 4], rows[3 + t % 4])), "length {len}");
            let weights: Vec<Vec<f64>> = (0..6).map(|j| row(j + 20, 7)).collect();
            let mut out = vec![vec![9.0; len]; 6];
            combine(&rows, &weights.iter().map(|w| &w[..]).collect::<Vec<_>>(), &mut out.iter_mut().map(|o| &mut o[..]).collect::<Vec<_>>());
            for (weights, out) in weights.iter().zip(&out) {
                assert!((0..len).all(|i| out[i] == (0..7).map(|k| weights[k] * rows[k][i]).sum::<f64>()), "length {len}");
            }
        }
    }
}
