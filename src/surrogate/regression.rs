//! Sequentially thresholded ridge least squares (STLSQ), in f64. The GPU twin is
//! `shaders/regression_solve.wgsl`.
//!
//! Source: Brunton, Proctor & Kutz, PNAS 113 (2016) 3932.

use std::collections::HashMap;

use faer::prelude::Solve;
use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// The ridge α ≥ 0. With α = 0 and more features than rows, the solution of least norm is taken.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ridge {
    /// The ridge α itself, whatever the data's scale.
    Absolute(f64),
    /// α = this times the mean squared norm of a feature row, ‖Θ‖²_F / K: free of the data's scale.
    Relative(f64),
}

impl Ridge {
    pub(crate) fn validate(self) -> Result<()> {
        let (Self::Absolute(a) | Self::Relative(a)) = self;
        if a >= 0.0 && a.is_finite() {
            Ok(())
        } else {
            Err(Error::invalid("the ridge", a, "finite and at least 0"))
        }
    }

    /// The ridge α for a kernel matrix ΘΘᵀ.
    pub fn resolve_kernel(self, kernel: ArrayView2<f64>) -> f64 {
        match self {
            Self::Absolute(a) => a,
            Self::Relative(a) => a * kernel.diag().sum() / kernel.nrows().max(1) as f64,
        }
    }

    /// The ridge α for the feature matrix `features` (its columns scaled, if they are to be).
    pub fn resolve(self, features: ArrayView2<f64>) -> f64 {
        match self {
            Self::Absolute(a) => a,
            Self::Relative(a) => {
                a * features.iter().map(|f| f * f).sum::<f64>() / features.nrows().max(1) as f64
            }
        }
    }
}

/// How Ξ is found from Θ Ξ ≈ Y. With threshold 0 it is one ridge solve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Regression {
    /// The ridge α; it acts on the scaled coefficients if the columns are normalised.
    pub ridge: Ridge,
    /// Coefficients below τ ≥ 0 in magnitude (scaled, if the columns are normalised) leave the support.
    pub threshold: f64,
    /// At most this many rounds of solving and thresholding, ≥ 1.
    pub max_iterations: usize,
    /// Whether each column of Θ is first divided by its 2-norm.
    pub normalize: bool,
    /// Whether the coefficients on the final support are solved for once more, without ridge. Destroys the
    /// surrogate when the support is larger than the number of rows; fits to f32 iterates, which have nothing
    /// left to interpolate, keep the ridge there. On a GPU a solve without ridge is double-word, at ten to
    /// twenty times the operations of one in f32.
    pub refit: bool,
}

impl Regression {
    /// One ridge solve: no thresholding.
    pub fn ridge(ridge: Ridge) -> Self {
        Self { ridge, threshold: 0.0, max_iterations: 1, normalize: false, refit: false }
    }

    /// The paper's setting, with the ridge kept: threshold 10⁻⁸, ridge 10⁻⁶, normalised columns, three
    /// iterations.
    pub fn paper() -> Self {
        Self {
            ridge: Ridge::Absolute(1e-6),
            threshold: 1e-8,
            max_iterations: 3,
            normalize: true,
            refit: false,
        }
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
            return Err(Error::invalid(
                "the number of STLSQ iterations",
                self.max_iterations,
                "between 1 and 1000",
            ));
        }
        Ok(())
    }

    /// What each column of Θ is divided by: its 2-norm (1 where that is 0), or 1.
    pub fn column_scales(&self, features: ArrayView2<f64>) -> Array1<f64> {
        let norm = |column: ArrayView1<f64>| column.iter().map(|v| v * v).sum::<f64>().sqrt();
        features
            .columns()
            .into_iter()
            .map(|c| if self.normalize && !self.is_plain() { norm(c) } else { 1.0 })
            .map(|n| if n > 0.0 { n } else { 1.0 })
            .collect()
    }
}

/// One batch item: a feature matrix, target columns, and how to solve.
#[derive(Debug, Clone, Copy)]
pub struct RegressionProblem<'a> {
    /// The features Θ (K×P), one row per sample.
    pub features: ArrayView2<'a, f64>,
    /// Y (K×m), one support per column.
    pub targets: ArrayView2<'a, f64>,
    /// How the problem is solved: ridge, threshold and refits.
    pub regression: Regression,
}

/// The coefficients and their supports.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The coefficients Ξ (P×m), zero off the support.
    pub coefficients: Array2<f64>,
    /// The supports (P×m): true where a coefficient was kept.
    pub support: Array2<bool>,
    /// The ridge α that was used.
    pub ridge: f64,
}

/// How well the columns of a feature matrix tell the coefficients apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditioning {
    /// The condition number s_max / s_min of Θ (scaled as solved); ∞ if it is rank-deficient.
    pub condition: f64,
    /// The number of singular values above rounding.
    pub rank: usize,
}

/// The [`Conditioning`] of `features`, its columns scaled as `regression` does.
///
/// # Errors
/// [`EngineError::Factorization`](crate::error::EngineError::Factorization) for non-finite input.
pub fn conditioning(features: ArrayView2<f64>, regression: &Regression) -> Result<Conditioning> {
    let scaled = &features / &regression.column_scales(features);
    let full = Factors::new(&scaled, (0..features.ncols()).collect())?;
    let rank = full.singular.iter().filter(|s| **s > full.cut).count();
    let least = full.singular.last().copied().unwrap_or(0.0);
    let condition =
        if rank == full.singular.len() && least > 0.0 { full.singular[0] / least } else { f64::INFINITY };
    Ok(Conditioning { condition, rank })
}

/// The thin SVD of Θ on one support.
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
        let svd = theta
            .thin_svd()
            .map_err(|_| Error::factorization("singular value decomposition of the feature matrix"))?;
        let singular: Vec<f64> = (0..k.min(p)).map(|i| svd.S()[i]).collect();
        let cut = ((k * p) as f64).sqrt() * f64::EPSILON * singular[0];
        Ok(Self { columns, svd: Some(svd), singular, cut })
    }

    /// The solution ξ = V (S² + α)⁻¹ S Uᵀ y; with α = 0, of least norm.
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
/// The columns of Θ are scaled; on the support (all features at first) ridge least squares is solved and |ξ|
/// ≥ τ kept, until the support stays or the iterations are used up; then it is refitted without ridge, if
/// asked for, and the scaling undone. Cost: one SVD of Θ per distinct support, or one for all supports that
/// lack few of more features than rows.
///
/// # Errors
/// [`EngineError::Factorization`](crate::error::EngineError::Factorization) for non-finite input.
pub fn solve(
    features: ArrayView2<f64>,
    targets: ArrayView2<f64>,
    regression: &Regression,
) -> Result<Solution> {
    let (p, m) = (features.ncols(), targets.ncols());
    let scales = regression.column_scales(features);
    let scaled = &features / &scales;
    let ridge = regression.ridge.resolve(scaled.view());
    let mut columns: Vec<Column> =
        (0..m).map(|_| Column { active: (0..p).collect(), xi: Array1::zeros(p), settled: false }).collect();
    for _ in 0..regression.max_iterations {
        if columns.iter().all(|c| c.settled) {
            break;
        }
        solve_all(&scaled, targets, &mut columns, ridge, |column| !column.settled)?;
        for column in columns.iter_mut().filter(|c| !c.settled) {
            let before = column.active.len();
            let xi = &mut column.xi;
            column.active.retain(|i| {
                let kept = xi[*i].abs() >= regression.threshold;
                if !kept {
                    xi[*i] = 0.0;
                }
                kept
            });
            column.settled = column.active.len() == before;
        }
    }
    if regression.refit && !regression.is_plain() {
        solve_all(&scaled, targets, &mut columns, 0.0, |_| true)?;
    }
    let mut coefficients = Array2::zeros((p, m));
    let mut support = Array2::from_elem((p, m), false);
    for (number, column) in columns.into_iter().enumerate() {
        coefficients.column_mut(number).assign(&(&column.xi / &scales));
        for i in column.active {
            support[[i, number]] = true;
        }
    }
    Ok(Solution { coefficients, support, ridge })
}

/// One column of Y and the state of its iteration.
struct Column {
    /// The indices of the features on its support.
    active: Vec<usize>,
    xi: Array1<f64>,
    /// Whether the support has stopped changing.
    settled: bool,
}

/// Solves the `chosen` columns on their supports: one factorisation per distinct support, in parallel.
fn solve_all(
    features: &Array2<f64>,
    targets: ArrayView2<f64>,
    columns: &mut [Column],
    alpha: f64,
    chosen: impl Fn(&Column) -> bool,
) -> Result<()> {
    let mut groups: HashMap<Vec<usize>, Vec<(usize, &mut Array1<f64>)>> = HashMap::new();
    for (number, column) in columns.iter_mut().enumerate() {
        if chosen(column) {
            groups.entry(column.active.clone()).or_default().push((number, &mut column.xi));
        }
    }
    // With more features than rows and a ridge, supports that lack a few features follow from the
    // factorisation of all.
    let all = if alpha > 0.0 && features.ncols() > features.nrows() && groups.len() > 1 {
        Some(Factors::new(features, (0..features.ncols()).collect())?)
    } else {
        None
    };
    groups.into_par_iter().try_for_each(|(active, group)| {
        if let Some(without) = all.as_ref().and_then(|all| Without::new(all, &active, alpha)) {
            for (number, xi) in group {
                without.solve(targets.column(number), xi);
            }
            return Ok(());
        }
        let factors = Factors::new(features, active)?;
        for (number, xi) in group {
            factors.solve(targets.column(number), alpha, xi);
        }
        Ok(())
    })
}

/// Ridge least squares without some of the features, from Θ = U S Vᵀ of all of them.
///
/// With D = S (S² + α)^{−½}, the rows V_R of the features left out and N = D V_RᵀV_R D,
/// ξ = V D (I − N)⁻¹ (S² + α)^{−½} Uᵀ y on the support. Nothing is squared that the factorisation has not
/// squared, so no digits are lost while I − N is well conditioned; otherwise there is none.
struct Without<'a> {
    all: &'a Factors,
    svd: &'a faer::linalg::solvers::Svd<f64>,
    active: &'a [usize],
    alpha: f64,
    factor: faer::linalg::solvers::Llt<f64>,
}

impl<'a> Without<'a> {
    /// The share of the weakest direction's energy that must be left in the support.
    const LEFT: f64 = 0.1;

    fn new(all: &'a Factors, active: &'a [usize], alpha: f64) -> Option<Self> {
        let svd = all.svd.as_ref()?;
        let (k, p) = (all.singular.len(), all.columns.len());
        let mut kept = active.iter().copied().peekable();
        let removed: Vec<usize> = (0..p).filter(|i| kept.next_if_eq(i).is_none()).collect();
        if 4 * removed.len() > p {
            return None;
        }
        let scale = |i: usize| all.singular[i] / (all.singular[i].powi(2) + alpha).sqrt();
        let matrix = Mat::from_fn(k, k, |i, j| {
            let overlap: f64 = removed.iter().map(|r| svd.V()[(*r, i)] * svd.V()[(*r, j)]).sum();
            f64::from(u8::from(i == j)) - scale(i) * scale(j) * overlap
        });
        let least = matrix.self_adjoint_eigenvalues(Side::Lower).ok()?.first().copied()?;
        if !(least >= Self::LEFT) {
            return None;
        }
        let factor = matrix.llt(Side::Lower).ok()?;
        Some(Self { all, svd, active, alpha, factor })
    }

    fn solve(&self, y: ArrayView1<f64>, into: &mut Array1<f64>) {
        let root = |s: f64| (s * s + self.alpha).sqrt();
        let k = self.all.singular.len();
        let mut modes = Mat::from_fn(k, 1, |mode, _| {
            let projection: f64 = y.iter().enumerate().map(|(row, y)| self.svd.U()[(row, mode)] * y).sum();
            projection / root(self.all.singular[mode])
        });
        self.factor.solve_in_place(&mut modes);
        into.fill(0.0);
        for mode in 0..k {
            let s = self.all.singular[mode];
            let weight = modes[(mode, 0)] * s / root(s);
            for &i in self.active {
                into[i] += self.svd.V()[(i, mode)] * weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns that lose few of many features are solved from one factorisation of all; one column alone is
    /// not.
    #[test]
    fn supports_without_a_few_features_follow_from_all() {
        let (k, p, m) = (9, 60, 12);
        let mut state = 5_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
        };
        // Rows of very different size, nearly parallel: singular values over six decades.
        let features = Array2::from_shape_fn((k, p), |(i, _)| 1.0 + 10.0_f64.powi(-(i as i32)) * next());
        let targets = Array2::from_shape_fn((k, m), |_| next());
        let plain = solve(features.view(), targets.view(), &Regression::ridge(Ridge::Absolute(1e-4)))
            .unwrap()
            .coefficients;
        let mut sizes: Vec<f64> = plain.iter().map(|xi| xi.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        for (share, fewest) in [(0.05, p - p / 4), (0.6, 0)] {
            let threshold = sizes[(share * sizes.len() as f64) as usize];
            let regression =
                Regression { threshold, max_iterations: 4, ..Regression::ridge(Ridge::Absolute(1e-4)) };
            let batch = solve(features.view(), targets.view(), &regression).unwrap();
            let sizes: Vec<usize> =
                batch.support.columns().into_iter().map(|c| c.iter().filter(|kept| **kept).count()).collect();
            assert!(sizes.iter().any(|s| (fewest..p).contains(s)), "no support lacks a few: {sizes:?}");
            for column in 0..m {
                let alone =
                    solve(features.view(), targets.slice(ndarray::s![.., column..=column]), &regression)
                        .unwrap();
                assert_eq!(alone.support.column(0), batch.support.column(column));
                let size = alone.coefficients.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
                for (a, b) in alone.coefficients.iter().zip(batch.coefficients.column(column)) {
                    // The condition number, (s₁² + α)/α in the worst direction's root, is below 10⁶.
                    assert!(
                        (a - b).abs() <= 1e6 * f64::EPSILON * size,
                        "threshold {threshold}, column {column}: {a} against {b}"
                    );
                }
            }
        }
    }
}
