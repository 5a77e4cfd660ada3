//! The polynomial library Θ.

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::error::{Error, Result};

/// All monomials of r variables up to order n, graded: the constant (if any), z₁ … z_r, then z₁z₁, z₁z₂, …,
/// z_rz_r, then the cubics, … (combinations with replacement in lexicographic order).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    variables: usize,
    order: usize,
    /// `order` indices per term: 0 stands for the factor 1, i for zᵢ (counted from 1), padded with 0 at the
    /// end.
    terms: Vec<u32>,
}

impl Library {
    /// The most features accepted: beyond it the regression's matrices are out of reach.
    pub const MAX_FEATURES: usize = 32_768;

    /// P(r, n) = C(r+n, n), one less without the constant; `None` if that overflows.
    pub fn feature_count(variables: usize, order: usize, bias: bool) -> Option<usize> {
        let mut count: u128 = 1;
        for i in 1..=order as u128 {
            count = count.checked_mul(variables as u128 + i)? / i;
        }
        usize::try_from(count - u128::from(!bias)).ok()
    }

    /// Lists the terms of all monomials.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when there would be more than
    /// [`MAX_FEATURES`](Self::MAX_FEATURES), before anything is allocated.
    pub fn new(variables: usize, order: usize, bias: bool) -> Result<Self> {
        let count = Self::feature_count(variables, order, bias);
        if count.is_none_or(|c| c > Self::MAX_FEATURES) {
            let found = count.map_or("astronomical".to_string(), |c| c.to_string());
            return Err(Error::invalid(
                "the number of polynomial features",
                found,
                format!("at most {} (lower the rank or the order)", Self::MAX_FEATURES),
            ));
        }
        let mut terms = Vec::new();
        if bias {
            terms.extend(std::iter::repeat_n(0, order));
        }
        for degree in 1..=order {
            let mut indices = vec![1_u32; degree];
            loop {
                terms.extend(&indices);
                terms.extend(std::iter::repeat_n(0, order - degree));
                // The next non-decreasing tuple.
                let Some(at) = indices.iter().rposition(|i| (*i as usize) < variables) else { break };
                let next = indices[at] + 1;
                indices[at..].fill(next);
            }
        }
        Ok(Self { variables, order, terms })
    }

    /// The number of features P.
    pub fn len(&self) -> usize {
        self.terms.len() / self.order
    }

    /// Whether there are no features, which is never the case.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The number of variables r.
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// The highest order n.
    pub fn order(&self) -> usize {
        self.order
    }

    /// The terms' factors, `order` per term: 0 for 1, i for zᵢ.
    pub fn terms(&self) -> &[u32] {
        &self.terms
    }

    /// The features Θ of every row of `z` (K×r), as a K×P matrix.
    pub fn evaluate_rows(&self, z: ArrayView2<f64>) -> Array2<f64> {
        let mut rows = Array2::zeros((z.nrows(), self.len()));
        for (z, mut row) in z.rows().into_iter().zip(rows.rows_mut()) {
            row.assign(&ArrayView1::from(&self.evaluate(&z.to_vec())));
        }
        rows
    }

    /// The features Θ(z), one entry per monomial.
    pub fn evaluate(&self, z: &[f64]) -> Vec<f64> {
        self.terms
            .chunks_exact(self.order)
            .map(|term| term.iter().filter(|i| **i > 0).map(|i| z[*i as usize - 1]).product())
            .collect()
    }
}

/// Ξᵀ Θ(z) for coefficients Ξ (P×m), reading them in the order they lie in.
pub(crate) fn combine(coefficients: ArrayView2<f64>, features: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; coefficients.ncols()];
    for (row, feature) in coefficients.rows().into_iter().zip(features) {
        out.iter_mut().zip(row).for_each(|(out, xi)| *out += xi * feature);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_graded_and_lexicographic() {
        let library = Library::new(2, 3, true).unwrap();
        let expected = [
            [0, 0, 0],
            [1, 0, 0],
            [2, 0, 0],
            [1, 1, 0],
            [1, 2, 0],
            [2, 2, 0],
            [1, 1, 1],
            [1, 1, 2],
            [1, 2, 2],
            [2, 2, 2],
        ];
        assert_eq!(library.terms(), expected.as_flattened());
        assert_eq!(library.evaluate(&[2.0, 3.0]), [1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 8.0, 12.0, 18.0, 27.0]);
    }

    #[test]
    fn counts_match_the_binomial() {
        for (r, n) in [(1, 1), (3, 2), (8, 2), (5, 3), (7, 4)] {
            for bias in [false, true] {
                assert_eq!(
                    Library::feature_count(r, n, bias),
                    Some(Library::new(r, n, bias).unwrap().len()),
                    "r {r}, n {n}"
                );
            }
        }
        assert_eq!(Library::feature_count(1_000_000, 2, true), Some(500_001_500_001));
        assert!(Library::new(1_000_000, 2, true).is_err());
    }
}
