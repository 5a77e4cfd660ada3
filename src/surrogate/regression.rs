//! Ridge least squares: Ξ = argmin ‖Θ Ξ − Y‖² + α ‖Ξ‖², in f64. The GPU twin is `shaders/regression_solve.wgsl`.

use faer::Mat;
use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result};

/// The ridge α ≥ 0. With α = 0 and more features than rows, the solution of least norm is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ridge {
    /// α itself.
    Absolute(f64),
    /// α = this times the mean squared norm of a feature row, ‖Θ‖²_F / K: free of the data's scale.
    Relative(f64),
}

impl Ridge {
    pub(crate) fn validate(self) -> Result<()> {
        let (Self::Absolute(a) | Self::Relative(a)) = self;
        if a >= 0.0 && a.is_finite() { Ok(()) } else { Err(Error::invalid("the ridge", a, "finite and at least 0")) }
    }

    /// α for the feature matrix `features`.
    pub fn resolve(self, features: ArrayView2<f64>) -> f64 {
        match self {
            Self::Absolute(a) => a,
            Self::Relative(a) => a * features.iter().map(|f| f * f).sum::<f64>() / features.nrows() as f64,
        }
    }
}

/// Ξ (P×m) for `features` Θ (K×P) and `targets` Y (K×m), by the SVD of Θ: Ξ = V (S² + α)⁻¹ S Uᵀ Y.
///
/// For α = 0 singular values below max(K, P)·eps·s_max count as zero.
///
/// # Errors
/// [`Error::Factorization`] for non-finite input.
pub fn solve(features: ArrayView2<f64>, targets: ArrayView2<f64>, alpha: f64) -> Result<Array2<f64>> {
    let (k, p) = features.dim();
    let theta = Mat::from_fn(k, p, |i, j| features[[i, j]]);
    let svd = theta.thin_svd().map_err(|_| Error::Factorization { what: "singular value decomposition of the feature matrix" })?;
    let n = k.min(p);
    let s: Vec<f64> = (0..n).map(|i| svd.S()[i]).collect();
    let cut = if alpha > 0.0 { 0.0 } else { k.max(p) as f64 * f64::EPSILON * s.first().copied().unwrap_or(0.0) };
    let mut coefficients = Array2::zeros((p, targets.ncols()));
    for (mode, &s) in s.iter().enumerate().filter(|(_, s)| **s > cut) {
        let factor = s / (s * s + alpha);
        for column in 0..targets.ncols() {
            let projection: f64 = (0..k).map(|row| svd.U()[(row, mode)] * targets[[row, column]]).sum();
            for feature in 0..p {
                coefficients[[feature, column]] += svd.V()[(feature, mode)] * factor * projection;
            }
        }
    }
    Ok(coefficients)
}
