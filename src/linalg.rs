//! Products, norms and sums of slices of f64, and the pattern of a sparse matrix: one home for what the host
//! computes serially.
//!
//! Every sum is taken from the first entry to the last, so that a result does not depend on who asks for it.
//! Slices of different lengths are used up to the length of the shorter one.

/// The inner product a·b.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The Euclidean norm |a|₂.
pub(crate) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// The largest magnitude of an entry, |a|∞; 0 for an empty slice. Entries that are not numbers are passed
/// over.
pub(crate) fn norm_inf(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, a| m.max(a.abs()))
}

/// The largest magnitude of a difference of entries, |a − b|∞.
pub(crate) fn dist_inf(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

/// The difference a − b.
pub(crate) fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Adds a multiple of x to y: y ← y + α x.
pub(crate) fn axpy(alpha: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += alpha * x);
}

/// The pattern of a sparse matrix in compressed columns, from the rows of every column in any order, repeated
/// ones among them: where each column begins (one entry more than columns), and the rows in rising order.
pub(crate) fn compressed_columns(columns: Vec<Vec<u32>>) -> (Vec<usize>, Vec<usize>) {
    let mut begins = Vec::with_capacity(columns.len() + 1);
    let mut rows = Vec::new();
    begins.push(0);
    for mut column in columns {
        column.sort_unstable();
        column.dedup();
        rows.extend(column.iter().map(|row| *row as usize));
        begins.push(rows.len());
    }
    (begins, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_norms_of_a_known_pair() {
        let (a, b) = ([3.0, -4.0, 0.0], [1.0, 2.0, -6.0]);
        assert_eq!((dot(&a, &b), norm(&a)), (-5.0, 5.0));
        assert_eq!((norm_inf(&a), norm_inf(&[])), (4.0, 0.0));
        assert_eq!((dist_inf(&a, &b), difference(&a, &b)), (6.0, vec![2.0, -6.0, 6.0]));
        let columns = vec![vec![2, 0, 2], vec![], vec![1]];
        assert_eq!(compressed_columns(columns), (vec![0, 2, 2, 3], vec![0, 2, 1]));
        let mut y = b;
        axpy(0.5, &a, &mut y);
        assert_eq!(y, [2.5, 0.0, -6.0]);
    }
}
