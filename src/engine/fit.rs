//! The part of a fit that is the same on every engine: from numbers of size K to the numbers that the engine
//! makes its tables with.

use faer::prelude::Solve;
use faer::{Mat, Side};
use ndarray::{Array2, ArrayView2};

use super::interface::Fit;
use super::ring::Ring;
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::surrogate::space::implicit_kernel;
use crate::surrogate::{Library, Lift, Space, SpaceConfig, SurrogateConfig, Targets};

/// Singular values of the feature matrix below this fraction of the largest are dropped from an orthonormal
/// library.
const ORTHONORMAL_CUT: f64 = 1e-12;

/// Inner products of the samples over d: XXᵀ about the reference, XYᵀ and YYᵀ, each K×K.
#[derive(Debug, Clone)]
pub(crate) struct Grams {
    pub xx: Array2<f64>,
    pub xy: Array2<f64>,
    pub yy: Array2<f64>,
    /// The smallest singular value, relative to the largest, that these sums and the tables made from them
    /// resolve.
    pub resolution: f64,
}

/// A fit with explicit features, planned on the host.
#[derive(Debug, Clone)]
pub(crate) struct FitPlan {
    /// The reduced space; none if z = x.
    pub space: Option<Space>,
    pub library: Library,
    /// Z of all samples (K×r).
    pub coordinates: Array2<f64>,
    /// A (rows×K): the regression's rows are A Θ(Z); none for Θ(Z) itself.
    pub mix: Option<Array2<f64>>,
    /// T (P×q): the regression's features are Θ T; none for Θ itself.
    pub orthonormal: Option<Array2<f64>>,
    /// Y (rows×m) in the coordinates of the lift, as gradients: −x' for strong and weak form.
    pub targets: Array2<f64>,
}

impl FitPlan {
    /// A fit in the reduced space of samples with inner products `grams`; `steps` are
    /// [`Ring::displacements`](super::ring::Ring::displacements).
    pub(crate) fn reduced(
        config: &SurrogateConfig,
        flow: &Flow,
        grams: &Grams,
        steps: Option<ArrayView2<f64>>,
    ) -> Result<Self> {
        let SpaceConfig::Reduced { rank, centered } = config.space else {
            return Err(Error::internal("a reduced fit of a space that is not reduced"));
        };
        let space = Space::from_gram(grams.xx.view(), rank, centered, grams.resolution)?;
        let coordinates = space.coordinates.clone();
        // The products uᵢ·y_k: the recorded gradients' components along the basis.
        let along = || space.basis.dot(&centered_rows(&grams.xy, centered)).reversed_axes();
        Self::new(config, flow, coordinates, along, steps, Some(space.clone()))
    }

    /// A fit in x itself, from the samples (K×d) and their gradients.
    pub(crate) fn full(
        config: &SurrogateConfig,
        flow: &Flow,
        x: ArrayView2<f64>,
        gradients: ArrayView2<f64>,
        steps: Option<ArrayView2<f64>>,
    ) -> Result<Self> {
        Self::new(config, flow, x.to_owned(), || gradients.to_owned(), steps, None)
    }

    /// `gradients`: the recorded gradients G in the coordinates of the trajectory lift.
    fn new(
        config: &SurrogateConfig,
        flow: &Flow,
        coordinates: Array2<f64>,
        gradients: impl FnOnce() -> Array2<f64>,
        steps: Option<ArrayView2<f64>>,
        space: Option<Space>,
    ) -> Result<Self> {
        let samples = coordinates.nrows();
        if config.targets.rows(samples) == 0 {
            return Err(Error::invalid(
                "the number of recorded samples",
                samples,
                format!("at least {}", config.targets.samples_needed()),
            ));
        }
        let library = Library::new(coordinates.ncols(), config.order, config.bias)?;
        let operator = match config.targets {
            Targets::Tracked => None,
            _ => {
                let dt = flow.rate().ok_or_else(|| {
                    Error::exclusive(
                        "strong- and weak-form targets",
                        format!("the {} flow", flow.name()),
                        "the flow has no time to differentiate by",
                    )
                })?;
                config.targets.operator(samples, dt)
            }
        };
        let (mix, targets) = match (operator, config.lift) {
            (Some(operator), _) => {
                let Some(steps) = steps else {
                    return Err(Error::only_with(
                        "strong- and weak-form targets",
                        "samples that are consecutive true steps of the flow",
                    ));
                };
                // B X = B (1 x₀ᵀ + C G); B 1 is zero but for a weak form that includes its end points.
                let of_one = operator.samples.sum_axis(ndarray::Axis(1)).insert_axis(ndarray::Axis(1));
                let scale = space.as_ref().map_or(1.0, |s| s.scale);
                let first = &coordinates.slice(ndarray::s![..1, ..]) * scale;
                let velocities = of_one.dot(&first) + operator.samples.dot(&steps).dot(&gradients());
                (Some(operator.features), -velocities)
            }
            (None, Lift::Snapshots) => (None, Array2::eye(samples)),
            (None, Lift::Trajectory) => (None, gradients()),
        };
        let mut plan = Self { space, library, coordinates, mix, orthonormal: None, targets };
        if config.orthonormal {
            plan.orthonormal = Some(orthonormal(plan.library_rows().view())?);
        }
        Ok(plan)
    }

    /// Θ at all samples (K×P).
    pub(crate) fn library_rows(&self) -> Array2<f64> {
        self.library.evaluate_rows(self.coordinates.view())
    }

    /// The regression's matrix A Θ T, in f64.
    pub(crate) fn features(&self) -> Array2<f64> {
        let mut features = self.library_rows();
        if let Some(mix) = &self.mix {
            features = mix.dot(&features);
        }
        if let Some(transform) = &self.orthonormal {
            features = features.dot(transform);
        }
        features
    }

    /// The relative residual ‖A Θ Ξ − Y‖ / ‖Y‖ in the space of the targets, from the predictions A Θ Ξ
    /// (rows×m).
    pub(crate) fn residual(
        &self,
        predictions: ArrayView2<f64>,
        config: &SurrogateConfig,
        yy: ArrayView2<f64>,
    ) -> f64 {
        let error = &predictions - &self.targets;
        match config.lift {
            // The m outputs are components along orthonormal directions.
            Lift::Trajectory => {
                ratio(error.iter().map(|e| e * e).sum(), self.targets.iter().map(|e| e * e).sum())
            }
            // The m outputs are weights of the recorded targets.
            Lift::Snapshots => residual_of_weights(error.view(), yy),
        }
    }
}

/// The samples themselves, oldest first: for a fit in the full space, whose d is small.
pub(crate) struct FullSamples {
    /// The samples X (K×d), oldest first.
    pub x: Array2<f64>,
    /// The transformed targets (K×d).
    pub targets: Array2<f64>,
    /// Y Yᵀ of the transformed targets, for the snapshot lift.
    pub yy: Array2<f64>,
    /// The largest distance of a sample from the mean of all.
    pub radius: f64,
}

/// The sums that the implicit library is fitted from, in whatever order the engine numbers its samples.
pub(crate) struct ImplicitSums {
    /// The power sums p₁, p₂ and p₃ of all pairs of samples.
    pub powers: [Array2<f64>; 3],
    /// Y Yᵀ of the targets.
    pub yy: Array2<f64>,
    /// The largest distance of a sample from the mean of all.
    pub radius: f64,
}

/// A planned fit, and the sums that its residual follows from.
pub(crate) struct Planned {
    pub plan: FitPlan,
    /// Y Yᵀ of the transformed targets, for the snapshot lift.
    pub yy: Array2<f64>,
    /// The largest distance of a sample from the mean of all.
    pub radius: f64,
}

/// The passes over d that a fit asks an engine for. What they find is planned and judged in [`fit`], which is
/// the same on every engine; an engine without a device to wait for is ready at once.
pub(crate) trait FitPasses {
    /// The base flow, and the history.
    fn history(&self) -> (Flow, &Ring);

    /// The inner products of the samples, oldest first.
    async fn grams(&mut self, config: &SurrogateConfig) -> Result<Grams>;

    /// The samples, and their targets.
    async fn full_samples(&mut self, config: &SurrogateConfig) -> Result<FullSamples>;

    /// The sums that the implicit library is fitted from.
    async fn implicit_sums(&mut self, config: &SurrogateConfig) -> Result<ImplicitSums>;

    /// Solves the regression and keeps the model; returns the ridge that was used.
    fn keep(&mut self, config: &SurrogateConfig, planned: Planned) -> Result<f64>;

    /// Keeps the implicit library's model: weights w(x) = M k(x, X), and the residual of the samples.
    fn keep_implicit(
        &mut self,
        config: &SurrogateConfig,
        weights: Array2<f64>,
        sums: ImplicitSums,
        residual: f64,
    ) -> Result<()>;
}

/// Fits the surrogate to the recorded samples.
pub(crate) async fn fit<P: FitPasses>(passes: &mut P, config: &SurrogateConfig) -> Result<Fit> {
    let (flow, ring) = passes.history();
    let samples = ring.len();
    let steps = flow.rate().and_then(|h| ring.displacements(h));
    let steps = steps.as_ref().map(|c| c.view());
    let planned = match config.space {
        SpaceConfig::Implicit => {
            let sums = passes.implicit_sums(config).await?;
            let kernel = implicit_matrix(config, &sums.powers);
            let ridge = config.regression.ridge.resolve_kernel(kernel.view());
            let weights = implicit_weights(kernel.view(), ridge)?;
            let error = kernel.dot(&weights) - Array2::<f64>::eye(samples);
            let residual = residual_of_weights(error.view(), sums.yy.view());
            passes.keep_implicit(config, weights, sums, residual)?;
            return Ok(Fit { samples, rank: samples, energy: 1.0, features: 0, ridge });
        }
        SpaceConfig::Full => {
            let FullSamples { x, targets, yy, radius } = passes.full_samples(config).await?;
            let plan = FitPlan::full(config, &flow, x.view(), targets.view(), steps)?;
            Planned { plan, yy, radius }
        }
        SpaceConfig::Reduced { .. } => {
            let grams = passes.grams(config).await?;
            let plan = FitPlan::reduced(config, &flow, &grams, steps)?;
            let radius = plan.space.as_ref().map_or(0.0, |space| space.radius);
            Planned { plan, yy: grams.yy, radius }
        }
    };
    let plan = &planned.plan;
    let (rank, features) = (plan.coordinates.ncols(), plan.library.len());
    let energy = plan.space.as_ref().map_or(1.0, |space| space.energy);
    let ridge = passes.keep(config, planned)?;
    Ok(Fit { samples, rank, energy, features, ridge })
}

/// The relative error ‖E Y‖ / ‖Y‖ of weights with the error E: ‖E Y‖²_F = tr(E YYᵀ Eᵀ).
pub(crate) fn residual_of_weights(error: ArrayView2<f64>, yy: ArrayView2<f64>) -> f64 {
    ratio((error.dot(&yy) * error).sum(), yy.diag().sum())
}

/// The inverse of (k(xᵢ, xⱼ) + α I), the implicit library's fit: weights w(x) = M k(x, X).
///
/// With α = 0 directions below K·eps of the largest eigenvalue are dropped, which gives the solution of least
/// norm.
pub(crate) fn implicit_weights(kernel: ArrayView2<f64>, alpha: f64) -> Result<Array2<f64>> {
    let k = kernel.nrows();
    let matrix = Mat::from_fn(k, k, |i, j| kernel[[i, j]]);
    if alpha > 0.0 {
        let shifted = Mat::from_fn(k, k, |i, j| kernel[[i, j]] + if i == j { alpha } else { 0.0 });
        if let Ok(llt) = shifted.llt(Side::Lower) {
            let inverse = llt.solve(Mat::<f64>::identity(k, k));
            return Ok(Array2::from_shape_fn((k, k), |(i, j)| inverse[(i, j)]));
        }
    }
    let eigen = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::factorization("eigenvalue decomposition of the kernel matrix"))?;
    let largest = (0..k).map(|i| eigen.S()[i].abs()).fold(0.0, f64::max);
    let cut = k as f64 * f64::EPSILON * largest;
    let mut out = Array2::zeros((k, k));
    for mode in (0..k).filter(|m| eigen.S()[*m] > cut) {
        for i in 0..k {
            for j in 0..k {
                out[[i, j]] += eigen.U()[(i, mode)] * eigen.U()[(j, mode)] / (eigen.S()[mode] + alpha);
            }
        }
    }
    Ok(out)
}

/// The kernel matrix from the power sums p₁, p₂, p₃ of all pairs of samples.
pub(crate) fn implicit_matrix(config: &SurrogateConfig, power_sums: &[Array2<f64>; 3]) -> Array2<f64> {
    let [p1, p2, p3] = power_sums;
    Array2::from_shape_fn(p1.raw_dim(), |at| {
        implicit_kernel(config.order, config.bias, [p1[at], p2[at], p3[at]])
    })
}

/// V S⁻¹ of the feature matrix's thin SVD: Θ V S⁻¹ has orthonormal columns.
pub(crate) fn orthonormal(features: ArrayView2<f64>) -> Result<Array2<f64>> {
    let (k, p) = features.dim();
    let svd = Mat::from_fn(k, p, |i, j| features[[i, j]])
        .thin_svd()
        .map_err(|_| Error::factorization("singular value decomposition of the feature matrix"))?;
    let kept: Vec<usize> = (0..k.min(p)).filter(|&i| svd.S()[i] > ORTHONORMAL_CUT * svd.S()[0]).collect();
    Ok(Array2::from_shape_fn((p, kept.len()), |(i, j)| svd.V()[(i, kept[j])] / svd.S()[kept[j]]))
}

fn ratio(error: f64, size: f64) -> f64 {
    if size > 0.0 { (error.max(0.0) / size).sqrt() } else { 0.0 }
}

/// X Yᵀ with the rows of X taken about their mean if `centered`.
fn centered_rows(xy: &Array2<f64>, centered: bool) -> Array2<f64> {
    if !centered {
        return xy.clone();
    }
    let mean = xy.sum_axis(ndarray::Axis(0)) / xy.nrows() as f64;
    xy - &mean
}
