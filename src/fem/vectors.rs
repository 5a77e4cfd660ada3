//! Passes over long vectors, in parallel, with sums in an order that depends on the length only.

use rayon::prelude::*;

/// The number of entries that one task passes over.
pub(super) const BLOCK: usize = 1 << 13;

/// Σ over blocks of what `block` returns, added in order. `parts` are the lengths' blocks in any grouping.
pub(super) fn ordered_sum(blocks: impl IndexedParallelIterator<Item = f64>) -> f64 {
    let sums: Vec<f64> = blocks.collect();
    sums.iter().sum()
}

/// The inner product aᵀb, summed block by block.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    ordered_sum(a.par_chunks(BLOCK).zip(b.par_chunks(BLOCK)).map(|(a, b)| block_dot(a, b)))
}

/// aᵀb of one block.
pub(super) fn block_dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (heads, tail) = a.as_chunks::<8>();
    let (others, rest) = b.as_chunks::<8>();
    for (a, b) in heads.iter().zip(others) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    for (i, (a, b)) in tail.iter().zip(rest).enumerate() {
        sums[i] += a * b;
    }
    sums.iter().sum()
}
