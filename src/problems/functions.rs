use crate::error::ObjectiveError;
use crate::objective::Objective;

/// f(x) = ½ Σ λᵢ (xᵢ − aᵢ)², a quadratic of given spectrum; least value 0 at x = a.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadratic {
    /// The spectrum λ.
    pub spectrum: Vec<f64>,
    /// The minimiser a.
    pub minimizer: Vec<f64>,
}

impl Quadratic {
    /// d eigenvalues spaced geometrically from 1 to `condition`, minimiser (1, …, 1).
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
