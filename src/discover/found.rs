//! What a discovery has found.

use ndarray::{Array1, Array2};

use super::select::PathEntry;
use super::terms::Terms;
use crate::surrogate::targets::WeakForm;

/// What the left-hand sides of the equations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The derivatives x' of the coordinates.
    Derivative,
    /// The recorded gradients g.
    Gradient,
    /// The next samples x_{k+1}.
    Map,
}

/// What maximum likelihood has made of a noisy recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Refinement {
    /// The weighted sum of squares over its degrees of freedom: 1 where the equations hold within the noise.
    pub misfit: f64,
    /// Whether the equations hold within the noise, so that this estimate was taken.
    pub holds: bool,
    /// The standard errors of the coefficients (P×m), 0 off the support.
    pub standard_errors: Array2<f64>,
}

/// The equations that a discovery has found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Discovery {
    /// The library of terms that the rows of the coefficients belong to.
    pub library: Terms,
    /// The coefficients Ξ (P×m): of x' (strong and weak form), of g (tracked) or of the next x (map).
    pub coefficients: Array2<f64>,
    /// The supports (P×m): true where a coefficient was kept.
    pub support: Array2<bool>,
    /// Whether the equations are of g instead of x'.
    pub of_gradient: bool,
    /// What the left-hand sides of the equations are.
    pub kind: Kind,
    /// The names of all variables: coordinates, inputs, time.
    pub(super) names: Vec<String>,
    /// Whether the last variable is time.
    pub(super) time: bool,
    /// The directions U (d×r), the centre and the scale of reduced variables.
    pub space: Option<(Array2<f64>, Array1<f64>, f64)>,
    /// The share of Σ s² that the kept directions have; 1 for full variables.
    pub energy: f64,
    /// The number of rows of the regression.
    pub rows: usize,
    /// The relative residual ‖Θ Ξ − Y‖ / ‖Y‖ on the rows of the fit, over all equations.
    pub fit_error: f64,
    /// The relative residual of each equation on the rows of the fit.
    pub fit_errors: Vec<f64>,
    /// The relative error on the newest fifth of each trajectory's rows, predicted from the older ones, over
    /// all equations; none if there are too few rows.
    pub validation_error: Option<f64>,
    /// The same error for each equation.
    pub validation_errors: Option<Vec<f64>>,
    /// The condition number of the regression's matrix, its columns scaled as in the regression; ∞ if it is
    /// rank-deficient.
    pub condition: f64,
    /// The terms that depend linearly on each other on the samples, where the condition number is ∞.
    pub dependent: Vec<String>,
    /// The standard deviation of the noise in each coordinate, as estimated by [`noise`](super::noise).
    pub noise: Vec<f64>,
    /// The bumps of the weak form.
    pub weak: Option<WeakForm>,
    /// The path of thresholds; empty where one was given.
    pub path: Vec<PathEntry>,
    /// The threshold of the path that was chosen for each equation; empty where one was given.
    pub thresholds: Vec<f64>,
    /// What maximum likelihood has made of it; none where it was not tried.
    pub refinement: Option<Refinement>,
    /// Whether the search for terms was ended before its time.
    pub ended: bool,
    /// What a user should know of the equations: sentences.
    pub warnings: Vec<String>,
}

impl Discovery {
    /// The names of the equations' own variables: x1, x2, … or z1, z2, …, or those that were given.
    pub fn variable_names(&self) -> Vec<String> {
        self.names[..self.coordinates()].to_vec()
    }

    /// The names of the library's variables: coordinates, then inputs, then `t` where time is one.
    pub fn library_names(&self) -> &[String] {
        &self.names
    }

    /// The number of inputs among the library's variables.
    pub fn inputs(&self) -> usize {
        self.names.len() - self.coordinates() - usize::from(self.time)
    }

    /// The number of coordinates that the equations are of.
    pub(super) fn coordinates(&self) -> usize {
        self.coefficients.ncols().min(self.names.len())
    }

    /// The names of the features: `1`, `x1`, `x1 x2`, `x1^2`, `sin(x1)`, …
    pub fn feature_names(&self) -> Vec<String> {
        self.library.names(&self.names)
    }
}
