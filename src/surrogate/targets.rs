//! What the surrogate is fitted to.

use ndarray::Array2;

/// The kind of target. All are given as gradients: a velocity x' counts as g = −x'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Targets {
    /// The recorded gradients themselves. No differencing, so any samples will do.
    Tracked,
    /// x' by finite differences of consecutive iterates, `dt` apart. The samples must be consecutive.
    StrongForm {
        /// The differences' order of accuracy.
        differences: Differences,
    },
}

/// Finite differences on equidistant samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differences {
    /// Order 1: (x_{k+1} − x_k)/dt at sample k; K−1 rows. For x_{k+1} = x_k − η g_k it is exact.
    Forward,
    /// Order 2: (x_{k+1} − x_{k−1})/2dt; K−2 rows.
    Central,
    /// Order 4: five points; K−4 rows.
    FivePoint,
}

impl Differences {
    /// (offset of the first sample used, weights·dt at samples first, first+1, …), about the sample where the derivative holds.
    fn stencil(self) -> (usize, &'static [f64]) {
        match self {
            Self::Forward => (0, &[-1.0, 1.0]),
            Self::Central => (1, &[-0.5, 0.0, 0.5]),
            Self::FivePoint => (2, &[1.0 / 12.0, -2.0 / 3.0, 0.0, 2.0 / 3.0, -1.0 / 12.0]),
        }
    }

    /// The first sample that has a derivative, and D (rows×K) with D X = x' there.
    pub fn matrix(self, samples: usize, dt: f64) -> (usize, Array2<f64>) {
        let (first, weights) = self.stencil();
        let rows = (samples + 1).saturating_sub(weights.len());
        let mut d = Array2::zeros((rows, samples));
        for row in 0..rows {
            for (k, w) in weights.iter().enumerate() {
                d[[row, row + k]] = w / dt;
            }
        }
        (first, d)
    }
}

impl Targets {
    /// The fewest samples that give one row.
    pub fn samples_needed(self) -> usize {
        match self {
            Self::Tracked => 1,
            Self::StrongForm { differences } => differences.stencil().1.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule of order q is exact on polynomials of degree q.
    #[test]
    fn differences_are_exact_to_their_order() {
        let dt = 0.1;
        for (rule, order) in [(Differences::Forward, 1), (Differences::Central, 2), (Differences::FivePoint, 4)] {
            let (first, d) = rule.matrix(9, dt);
            for degree in 0..=order {
                let samples = ndarray::Array1::from_shape_fn(9, |k| (k as f64 * dt).powi(degree));
                for (row, derivative) in d.dot(&samples).iter().enumerate() {
                    let t = (row + first) as f64 * dt;
                    let exact = if degree == 0 { 0.0 } else { f64::from(degree) * t.powi(degree - 1) };
                    // Rounding of samples of size 1 divided by dt.
                    approx::assert_abs_diff_eq!(*derivative, exact, epsilon = 4.0 * f64::EPSILON / dt);
                }
            }
        }
    }
}
