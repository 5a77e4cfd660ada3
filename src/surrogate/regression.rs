//! Sequentially thresholded ridge least squares (STLSQ), in f64. The GPU twin is `shaders/regression_solve.wgsl`.
//!
//! Source: Brunton, Proctor & Kutz, PNAS 113 (2016) 3932.

use std::collections::HashMap;

use faer::Mat;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

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

    /// α for a kernel matrix ΘΘᵀ.
    pub fn resolve_kernel(self, kernel: ArrayView2<f64>) -> f64 {
        match self {
            Self::Absolute(a) => a,
            Self::Relative(a) => a * kernel.diag().sum() / kernel.nrows().max(1) as f64,
        }
    }

    /// α for the feature matrix `features` (its columns scaled, if they are to be).
    pub fn resolve(self, features: ArrayView2<f64>) -> f64 {
        match self {
            Self::Absolute(a) => a,
            Self::Relative(a) => a * features.iter().map(|f| f * f).sum::<f64>() / features.nrows().max(1) as f64,
        }
    }
}

/// How Ξ is found from Θ Ξ ≈ Y. With threshold 0 it is one ridge solve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression {
    /// The ridge α; acts on the scaled coefficients if the columns are normalised.
    pub ridge: Ridge,
    /// Coefficients below τ ≥ 0 in magnitude (scaled, if the columns are normalised) leave the support.
    pub threshold: f64,
    /// At most this many rounds of solving and thresholding, ≥ 1.
    pub max_iterations: usize,
    /// Whether each column of Θ is first divided by its 2-norm.
    pub normalize: bool,
    /// Whether the coefficients on the final support are solved for once more, without ridge. Destroys the surrogate when the support is
    /// larger than the number of rows; the GPU engine's fits keep the ridge there, as f32 iterates have nothing left to interpolate.
    pub refit: bool,
}

impl Regression {
    /// One ridge solve: no thresholding.
    pub fn ridge(ridge: Ridge) -> Self {
        Self { ridge, threshold: 0.0, max_iterations: 1, normalize: false, refit: false }
    }

    /// The paper's setting, with the ridge kept: threshold 10⁻⁸, ridge 10⁻⁶, normalised columns, three iterations.
    pub fn paper() -> Self {
        Self { ridge: Ridge::Absolute(1e-6), threshold: 1e-8, max_iterations: 3, normalize: true, refit: false }
    }

    /// Whether this is one plain least-squares solve: then columns are never scaled.
    pub fn is_plain(&self) -> bool {
        self.threshold == 0.0 && matches!(self.ridge, Ridge::Absolute(a) | Ridge::Relative(a) if a == 0.0)
    }

    pub(crate) fn validate(&self) -> Result<()> {
        self.ridge.validate()?;
        if !(self.threshold >= 0.0 && self.threshold.is_finite()) {
            return Err(Error::invalid("the threshold", self.threshold, "finite and at least 0"));
        }
        if !(1..=1000).contains(&self.max_iterations) {
            return Err(Error::invalid("the number of STLSQ iterations", self.max_iterations, "between 1 and 1000"));
        }
        Ok(())
    }

    /// What each column of Θ is divided by: its 2-norm (1 where that is 0), or 1.
    pub fn column_scales(&self, features: ArrayView2<f64>) -> Array1<f64> {
        let norm = |column: ArrayView1<f64>| column.iter().map(|v| v * v).sum::<f64>().sqrt();
        features.columns().into_iter().map(|c| if self.normalize && !self.is_plain() { norm(c) } else { 1.0 }).map(|n| if n > 0.0 { n } else { 1.0 }).collect()
    }
}

/// One batch item: a feature matrix, target columns, and how to solve.
#[derive(Debug, Clone, Copy)]
pub struct RegressionProblem<'a> {
    /// Θ (K×P).
    pub features: ArrayView2<'a, f64>,
    /// Y (K×m), one support per column.
    pub targets: ArrayView2<'a, f64>,
    /// How.
    pub regression: Regression,
}

/// The coefficients and their supports.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Ξ (P×m), zero off the support.
    pub coefficients: Array2<f64>,
    /// The supports (P×m).
    pub support: Array2<bool>,
    /// The ridge α used.
    pub ridge: f64,
}

/// How well the columns of a feature matrix tell the coefficients apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditioning {
    /// s_max / s_min of Θ (scaled as solved); ∞ if it is rank-deficient.
    pub condition: f64,
    /// Singular values above rounding.
    pub rank: usize,
}

/// The [`Conditioning`] of `features`, its columns scaled as `regression` does.
///
/// # Errors
/// [`Error::Factorization`] for non-finite input.
pub fn conditioning(features: ArrayView2<f64>, regression: &Regression) -> Result<Conditioning> {
    let scaled = &features / &regression.column_scales(features);
    let full = Factors::new(&scaled, (0..features.ncols()).collect())?;
    let rank = full.singular.iter().filter(|s| **s > full.cut).count();
    let least = full.singular.last().copied().unwrap_or(0.0);
    let condition = if rank == full.singular.len() && least > 0.0 { full.singular[0] / least } else { f64::INFINITY };
    Ok(Conditioning { condition, rank })
}

/// Thin SVD of Θ on one support.
struct Factors {
    columns: Vec<usize>,
    svd: Option<faer::linalg::solvers::Svd<f64>>,
    singular: Vec<f64>,
    /// Singular values at or below this are rounding.
    cut: f64,
}

impl Factors {
    fn new(features: &Array2<f64>, columns: Vec<usize>) -> Result<Self> {
        let (k, p) = (features.nrows(), columns.len());
        if p == 0 || k == 0 {
            return Ok(Self { columns, svd: None, singular: Vec::new(), cut: 0.0 });
        }
        let theta = Mat::from_fn(k, p, |i, j| features[[i, columns[j]]]);
        let svd = theta.thin_svd().map_err(|_| Error::Factorization { what: "singular value decomposition of the feature matrix" })?;
        let singular: Vec<f64> = (0..k.min(p)).map(|i| svd.S()[i]).collect();
        let cut = ((k * p) as f64).sqrt() * f64::EPSILON * singular[0];
        Ok(Self { columns, svd: Some(svd), singular, cut })
    }

    /// ξ = V (S² + α)⁻¹ S Uᵀ y; with α = 0, of least norm.
    fn solve(&self, y: ArrayView1<f64>, alpha: f64, into: &mut Array1<f64>) {
        into.fill(0.0);
        let Some(svd) = &self.svd else { return };
        for (mode, &s) in self.singular.iter().enumerate() {
            if s == 0.0 || (alpha == 0.0 && s <= self.cut) {
                continue;
            }
            let projection: f64 = y.iter().enumerate().map(|(row, y)| svd.U()[(row, mode)] * y).sum();
            for (j, &feature) in self.columns.iter().enumerate() {
                into[feature] += svd.V()[(j, mode)] * projection * s / (s * s + alpha);
            }
        }
    }
}

/// Ξ (P×m) for `features` Θ (K×P) and `targets` Y (K×m), with one support per column of Y.
///
/// The columns of Θ are scaled; on the support (all features at first) ridge least squares is solved and |ξ| ≥ τ kept, until the support stays or the
/// iterations are used up; then it is refitted without ridge, if asked for, and the scaling undone. Cost: one SVD of Θ per distinct support.
///
/// # Errors
/// [`Error::Factorization`] for non-finite input.
pub fn solve(features: ArrayView2<f64>, targets: ArrayView2<f64>, regression: &Regression) -> Result<Solution> {
    let (p, m) = (features.ncols(), targets.ncols());
    let scales = regression.column_scales(features);
    let scaled = &features / &scales;
    let ridge = regression.ridge.resolve(scaled.view());
    let mut cache: HashMap<Vec<usize>, Factors> = HashMap::new();
    let all: Vec<usize> = (0..p).collect();

    let mut coefficients = Array2::zeros((p, m));
    let mut support = Array2::from_elem((p, m), true);
    let mut xi = Array1::zeros(p);
    for column in 0..m {
        let y = targets.column(column);
        let mut active = all.clone();
        for _ in 0..regression.max_iterations {
            on_support(&mut cache, &scaled, &active)?.solve(y, ridge, &mut xi);
            let kept: Vec<usize> = active.iter().copied().filter(|i| xi[*i].abs() >= regression.threshold).collect();
            for i in &active {
                if xi[*i].abs() < regression.threshold {
                    xi[*i] = 0.0;
                }
            }
            let settled = kept.len() == active.len();
            active = kept;
            if settled {
                break;
            }
        }
        if regression.refit && !regression.is_plain() {
            on_support(&mut cache, &scaled, &active)?.solve(y, 0.0, &mut xi);
        }
        coefficients.column_mut(column).assign(&(&xi / &scales));
        let mut mask = support.column_mut(column);
        mask.fill(false);
        for i in active {
            mask[i] = true;
        }
    }
    Ok(Solution { coefficients, support, ridge })
}

fn on_support<'a>(cache: &'a mut HashMap<Vec<usize>, Factors>, features: &Array2<f64>, active: &[usize]) -> Result<&'a Factors> {
    if !cache.contains_key(active) {
        cache.insert(active.to_vec(), Factors::new(features, active.to_vec())?);
    }
    Ok(&cache[active])
}
