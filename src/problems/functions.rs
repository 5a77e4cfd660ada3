use faer::Mat;

use super::random::Uniform;
use crate::domain::Domain;
use crate::error::ObjectiveError;
use crate::objective::Objective;

/// f(x) = ½ Σ λᵢ (xᵢ − aᵢ)², a quadratic of given spectrum; least value 0 at x = a.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadratic {
    /// The spectrum λ, one curvature per unknown.
    pub spectrum: Vec<f64>,
    /// The minimiser a, length d.
    pub minimizer: Vec<f64>,
}

impl Quadratic {
    /// A quadratic with d eigenvalues spaced geometrically from 1 to `condition` and the minimiser (1, …, 1).
    pub fn geometric(dimension: usize, condition: f64) -> Self {
        let last = dimension.saturating_sub(1).max(1) as f64;
        let spectrum = (0..dimension).map(|i| condition.powf(i as f64 / last)).collect();
        Self { spectrum, minimizer: vec![1.0; dimension] }
    }
}

impl Objective for Quadratic {
    fn dimension(&self) -> usize {
        self.spectrum.len()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let mut value = 0.0;
        for (i, g) in gradient.iter_mut().enumerate() {
            let off = x[i] - self.minimizer[i];
            *g = self.spectrum[i] * off;
            value += 0.5 * *g * off;
        }
        Ok(value)
    }

    fn newton_direction(&mut self, x: &[f64], direction: &mut [f64]) -> Result<(), ObjectiveError> {
        direction.iter_mut().zip(x).zip(&self.minimizer).for_each(|((p, x), a)| *p = x - a);
        Ok(())
    }
}

/// Rosenbrock's chain f(x) = Σ 100 (x_{i+1} − xᵢ²)² + (1 − xᵢ)²; least value 0 at (1, …, 1).
/// Source: Rosenbrock, Computer Journal 3 (1960) 175.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rosenbrock {
    /// The number of unknowns d ≥ 2.
    pub dimension: usize,
}

impl Objective for Rosenbrock {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        gradient.fill(0.0);
        let mut value = 0.0;
        for i in 0..x.len().saturating_sub(1) {
            let (curve, slope) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            value += 100.0 * curve * curve + slope * slope;
            gradient[i] += -400.0 * x[i] * curve - 2.0 * slope;
            gradient[i + 1] += 200.0 * curve;
        }
        Ok(value)
    }
}

/// A function restricted to \[lower, upper\]^d.
#[derive(Debug, Clone, PartialEq)]
pub struct Boxed<O> {
    /// The function without its bounds.
    pub inner: O,
    /// The lower bound of every unknown.
    pub lower: f64,
    /// The upper bound of every unknown.
    pub upper: f64,
}

impl<O: Objective> Objective for Boxed<O> {
    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        self.inner.evaluate(x, gradient)
    }

    fn domain(&self) -> Domain {
        Domain::uniform(self.lower, self.upper)
    }
}

/// f(Q x) with a dense orthogonal Q, the same on every machine to rounding. A separable function is no test
/// for methods with a rate per unknown; a rotated one is.
///
/// Q: the orthogonal factor of a matrix with entries uniform in [−½, ½).
#[derive(Debug, Clone)]
pub struct Rotated<O> {
    inner: O,
    rotation: Mat<f64>,
    /// The rotated point Q x, and f's gradient at it.
    image: Vec<f64>,
    slope: Vec<f64>,
}

impl<O: Objective> Rotated<O> {
    /// Turns the arguments of `inner` by a fixed rotation Q.
    pub fn new(inner: O) -> Self {
        let d = inner.dimension();
        let mut uniform = Uniform::new(1);
        let rotation = Mat::from_fn(d, d, |_, _| uniform.draw() - 0.5).qr().compute_Q();
        Self { inner, rotation, image: vec![0.0; d], slope: vec![0.0; d] }
    }
}

impl<O: Objective> Objective for Rotated<O> {
    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        self.image.fill(0.0);
        for (j, x) in x.iter().enumerate() {
            self.image.iter_mut().zip(self.rotation.col_as_slice(j)).for_each(|(y, q)| *y += q * x);
        }
        let value = self.inner.evaluate(&self.image, &mut self.slope)?;
        for (j, g) in gradient.iter_mut().enumerate() {
            *g = self.slope.iter().zip(self.rotation.col_as_slice(j)).map(|(s, q)| s * q).sum();
        }
        Ok(value)
    }
}
