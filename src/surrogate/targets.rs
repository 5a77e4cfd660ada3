//! What the surrogate is fitted to.
//!
//! Every kind of target is a linear operator on the samples: rows A Θ(X) Ξ ≈ B X for x' (strong and weak
//! form), Θ(X) Ξ ≈ G for tracked gradients.

use ndarray::Array2;

use crate::error::{Error, Result};

/// The kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Targets {
    /// The recorded gradients themselves. No differencing, so any samples will do.
    Tracked,
    /// x' by finite differences of consecutive iterates. The samples must be consecutive.
    StrongForm {
        /// The differences' order of accuracy.
        differences: Differences,
    },
    /// x' under integrals against compactly supported bumps: ∫ Θ φ dt Ξ = −∫ x φ' dt. Averages noise out. The
    /// samples must be consecutive.
    WeakForm(WeakForm),
}

/// Finite differences on equidistant samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Differences {
    /// Order 1: (x_{k+1} − x_k)/dt at sample k; K−1 rows. For x_{k+1} = x_k − η g_k it is exact.
    Forward,
    /// Order 2: (x_{k+1} − x_{k−1})/2dt; K−2 rows.
    Central,
    /// Order 4: five points; K−4 rows.
    FivePoint,
}

/// Bumps φ(t) = C (t−a)ᵖ (b−t)ᵖ with greatest value 1, laid from the last sample backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WeakForm {
    /// A bump spans 2w+1 grid points, its two ends zero; w ≥ 1.
    pub half_width: usize,
    /// The power p ≥ 1.
    pub power: u32,
    /// Grid points between neighbouring bumps, ≥ 1.
    pub stride: usize,
    /// Extends the grid by one dt on both sides, so that bumps may be non-zero at the first and last sample.
    /// The boundary term is dropped: an error that a noisy history hides and a clean one shows.
    pub include_endpoints: bool,
}

/// A and B: A Θ Ξ ≈ B X.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    /// Acts on the feature rows, rows×K.
    pub features: Array2<f64>,
    /// Acts on the samples, rows×K.
    pub samples: Array2<f64>,
}

impl WeakForm {
    /// The default for K samples: half-width max(1, K/50), power 5, every bump, without end points.
    pub fn for_samples(samples: usize) -> Self {
        Self { half_width: (samples / 25 / 2).max(1), power: 5, stride: 1, include_endpoints: false }
    }

    fn grid(self, samples: usize) -> usize {
        samples + if self.include_endpoints { 2 } else { 0 }
    }

    fn bumps(self, samples: usize) -> usize {
        let (grid, span) = (self.grid(samples), 2 * self.half_width + 1);
        if grid < span { 0 } else { (grid - span) / self.stride + 1 }
    }

    /// −∫ Θ φ and ∫ x φ' by the trapezoid rule on the samples.
    fn operator(self, samples: usize, dt: f64) -> Operator {
        let (grid, bumps, w) = (self.grid(samples), self.bumps(samples), self.half_width);
        let mut features = Array2::zeros((bumps, samples));
        let mut values = Array2::zeros((bumps, samples));
        let p = self.power as i32;
        let peak = (w as f64 * dt).powi(2 * p);
        let offset = usize::from(self.include_endpoints);
        for bump in 0..bumps {
            // The first bump ends at the last grid point.
            let first = grid - 1 - bump * self.stride - 2 * w;
            for k in 0..=2 * w {
                let at = first + k;
                let Some(sample) = at.checked_sub(offset).filter(|s| *s < samples) else { continue };
                let (left, right) = (k as f64 * dt, (2 * w - k) as f64 * dt);
                let phi = left.powi(p) * right.powi(p) / peak;
                let slope = f64::from(p)
                    * (left.powi(p - 1) * right.powi(p) - left.powi(p) * right.powi(p - 1))
                    / peak;
                let weight = if sample == 0 || sample == samples - 1 { 0.5 * dt } else { dt };
                features[[bump, sample]] = -weight * phi;
                values[[bump, sample]] = weight * slope;
            }
        }
        Operator { features, samples: values }
    }
}

impl Differences {
    /// (offset of the first sample used, weights·dt at samples first, first+1, …), about the sample where the
    /// derivative holds.
    fn stencil(self) -> (usize, &'static [f64]) {
        match self {
            Self::Forward => (0, &[-1.0, 1.0]),
            Self::Central => (1, &[-0.5, 0.0, 0.5]),
            Self::FivePoint => (2, &[1.0 / 12.0, -2.0 / 3.0, 0.0, 2.0 / 3.0, -1.0 / 12.0]),
        }
    }

    /// The features where the derivative holds, and the derivative there.
    fn operator(self, samples: usize, dt: f64) -> Operator {
        let (first, weights) = self.stencil();
        let rows = (samples + 1).saturating_sub(weights.len());
        let mut features = Array2::zeros((rows, samples));
        let mut values = Array2::zeros((rows, samples));
        for row in 0..rows {
            features[[row, row + first]] = 1.0;
            for (k, w) in weights.iter().enumerate() {
                values[[row, row + k]] = w / dt;
            }
        }
        Operator { features, samples: values }
    }
}

impl Targets {
    /// The fewest samples that give one row.
    pub fn samples_needed(self) -> usize {
        match self {
            Self::Tracked => 1,
            Self::StrongForm { differences } => differences.stencil().1.len(),
            Self::WeakForm(weak) => {
                (2 * weak.half_width + 1).saturating_sub(if weak.include_endpoints { 2 } else { 0 }).max(1)
            }
        }
    }

    /// The rows that `samples` samples give.
    pub fn rows(self, samples: usize) -> usize {
        match self {
            Self::Tracked => samples,
            Self::StrongForm { differences } => (samples + 1).saturating_sub(differences.stencil().1.len()),
            Self::WeakForm(weak) => weak.bumps(samples),
        }
    }

    /// A and B for `samples` samples `dt` apart; none for tracked targets.
    pub fn operator(self, samples: usize, dt: f64) -> Option<Operator> {
        match self {
            Self::Tracked => None,
            Self::StrongForm { differences } => Some(differences.operator(samples, dt)),
            Self::WeakForm(weak) => Some(weak.operator(samples, dt)),
        }
    }

    pub(crate) fn validate(self) -> Result<()> {
        if let Self::WeakForm(weak) = self {
            if weak.half_width == 0 {
                return Err(Error::invalid("the bump's half-width", 0, "at least 1"));
            }
            if !(1..=50).contains(&weak.power) {
                return Err(Error::invalid("the bump's power", weak.power, "between 1 and 50"));
            }
            if weak.stride == 0 {
                return Err(Error::invalid("the bumps' stride", 0, "at least 1"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule of order q is exact on polynomials of degree q.
    #[test]
    fn differences_are_exact_to_their_order() {
        let dt = 0.1;
        for (rule, order) in
            [(Differences::Forward, 1), (Differences::Central, 2), (Differences::FivePoint, 4)]
        {
            let operator = rule.operator(9, dt);
            let times = ndarray::Array1::from_shape_fn(9, |k| k as f64 * dt);
            for degree in 0..=order {
                let derivatives = operator.samples.dot(&times.mapv(|t| t.powi(degree)));
                for (derivative, t) in derivatives.iter().zip(operator.features.dot(&times)) {
                    let exact = if degree == 0 { 0.0 } else { f64::from(degree) * t.powi(degree - 1) };
                    // Rounding of samples of size 1 divided by dt.
                    approx::assert_abs_diff_eq!(*derivative, exact, epsilon = 4.0 * f64::EPSILON / dt);
                }
            }
        }
    }

    /// ∫ x φ' = −∫ x' φ for every x, up to the trapezoid rule's error, which is tiny for smooth bumps.
    #[test]
    fn weak_rows_integrate_by_parts() {
        let (samples, dt) = (101, 0.01);
        let weak = WeakForm { half_width: 20, power: 5, stride: 7, include_endpoints: false };
        let operator = weak.operator(samples, dt);
        let times = ndarray::Array1::from_shape_fn(samples, |k| k as f64 * dt);
        let (x, velocity) = (times.mapv(|t| (3.0 * t).sin()), times.mapv(|t| 3.0 * (3.0 * t).cos()));
        assert_eq!(operator.samples.nrows(), Targets::WeakForm(weak).rows(samples));
        for (left, right) in operator.samples.dot(&x).iter().zip(operator.features.dot(&velocity)) {
            // The bump and its first p−1 derivatives vanish at its ends: the rule's error is of the order
            // (1/w)^{p+1}.
            approx::assert_abs_diff_eq!(*left, right, epsilon = 10.0 * 20.0_f64.powi(-6));
        }
    }
}
