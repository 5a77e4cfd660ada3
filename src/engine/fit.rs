//! The part of a fit that is the same on every engine: from Gram matrices of size K to the numbers the engine's tables are made with.

use ndarray::{Array2, ArrayView2, s};

use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::surrogate::{Library, Lift, Space, SurrogateConfig, Targets};

/// Inner products of the samples over d: XXᵀ about the reference, XYᵀ and YYᵀ, each K×K.
#[derive(Debug, Clone)]
pub(crate) struct Grams {
    pub xx: Array2<f64>,
    pub xy: Array2<f64>,
    pub yy: Array2<f64>,
}

/// A fit, planned on the host.
#[derive(Debug, Clone)]
pub(crate) struct FitPlan {
    pub space: Space,
    pub library: Library,
    /// The samples the rows belong to: coordinates Z of those samples, (rows×r).
    pub coordinates: Array2<f64>,
    /// Y (rows×m) in the coordinates of the lift.
    pub targets: Array2<f64>,
}

impl FitPlan {
    /// Plans a fit of `config` to samples with inner products `grams`.
    pub(crate) fn new(config: &SurrogateConfig, flow: &Flow, grams: &Grams) -> Result<Self> {
        let samples = grams.xx.nrows();
        if samples < config.targets.samples_needed() {
            return Err(Error::invalid("the number of recorded samples", samples, format!("at least {}", config.targets.samples_needed())));
        }
        let space = Space::from_gram(grams.xx.view(), config.rank, config.centered)?;
        let library = Library::new(space.rank(), config.order, config.bias)?;
        let (coordinates, targets) = match (config.targets, config.lift) {
            (Targets::Tracked, Lift::Snapshots) => (space.coordinates.clone(), Array2::eye(samples)),
            // uᵢ·y_k: the recorded gradients' components along the basis.
            (Targets::Tracked, Lift::Trajectory) => (space.coordinates.clone(), space.basis.dot(&centered_rows(&grams.xy, config.centered)).reversed_axes()),
            (Targets::StrongForm { differences }, _) => {
                let dt = flow.rate().ok_or_else(|| Error::Incompatible(format!("the {} flow has no time to differentiate by", flow.name())))?;
                let (first, d) = differences.matrix(samples, dt);
                let rows = d.nrows();
                // The samples' coordinates along U, in units of x; the centre drops out of the differences.
                let along: Array2<f64> = &space.coordinates * space.scale;
                (space.coordinates.slice(s![first..first + rows, ..]).to_owned(), -d.dot(&along))
            }
        };
        Ok(Self { space, library, coordinates, targets })
    }

    /// Θ at the rows, in f64.
    pub(crate) fn features(&self) -> Array2<f64> {
        let mut features = Array2::zeros((self.coordinates.nrows(), self.library.len()));
        for (z, mut row) in self.coordinates.rows().into_iter().zip(features.rows_mut()) {
            row.assign(&ndarray::ArrayView1::from(&self.library.evaluate(&z.to_vec())));
        }
        features
    }

    /// ‖Θ Ξ − Y‖ / ‖Y‖ in the space of the targets, from the predictions Θ Ξ (rows×m).
    pub(crate) fn residual(&self, predictions: ArrayView2<f64>, config: &SurrogateConfig, grams: &Grams) -> f64 {
        let error = &predictions - &self.targets;
        match config.lift {
            // The m outputs are components along orthonormal directions.
            Lift::Trajectory => ratio(error.iter().map(|e| e * e).sum(), self.targets.iter().map(|e| e * e).sum()),
            // The m outputs are weights of the recorded targets: ‖E Y‖²_F = tr(E YYᵀ Eᵀ).
            Lift::Snapshots => ratio((error.dot(&grams.yy) * &error).sum(), grams.yy.diag().sum()),
        }
    }
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
