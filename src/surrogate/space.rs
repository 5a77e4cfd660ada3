//! The reduced space: the leading directions of the last K iterates, from their Gram matrix.

use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView2};

use crate::error::{Error, Result};

/// What z, the model's variables, are.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpaceConfig {
    /// z = x, with explicit monomials: for small d.
    Full,
    /// z = the coordinates of x along the history's leading directions.
    Reduced {
        /// How many of them.
        rank: Rank,
        /// z = U(x − mean)/radius (better conditioned) instead of z = U x (the paper).
        centered: bool,
    },
    /// z = x, with all monomials up to order 3 present through inner products only (see [`implicit_kernel`]):
    /// for any d.
    Implicit,
}

impl SpaceConfig {
    /// The most directions that `samples` samples may have.
    pub(crate) fn most_directions(self, samples: usize) -> usize {
        match self {
            // z is x.
            Self::Full | Self::Implicit => 0,
            Self::Reduced { rank, centered } => {
                // Differences to the mean add up to nothing.
                let all = if centered { samples.saturating_sub(1).max(1) } else { samples };
                if let Rank::Count(count) = rank { count.min(all) } else { all }
            }
        }
    }

    pub(crate) fn validate(self, capacity: usize) -> Result<()> {
        match self {
            Self::Reduced { rank: Rank::Count(rank), .. } if !(1..=capacity).contains(&rank) => {
                Err(Error::invalid("the rank", rank, format!("between 1 and the history size, {capacity}")))
            }
            Self::Reduced { rank: Rank::Energy(energy), .. } if !(energy > 0.0 && energy <= 1.0) => {
                Err(Error::invalid("the energy fraction", energy, "above 0 and at most 1"))
            }
            _ => Ok(()),
        }
    }

    /// Whether samples are taken about their mean.
    pub fn is_centered(self) -> bool {
        matches!(self, Self::Reduced { centered: true, .. })
    }
}

/// How many directions of the history are kept.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rank {
    /// All that the history resolves.
    Full,
    /// At most this many, ≥ 1.
    Count(usize),
    /// The fewest whose Σ sᵢ² reaches this fraction of the whole, in (0, 1].
    Energy(f64),
}

impl Rank {
    /// How many directions that is, given their squared singular values, largest first, and how many of them
    /// are `resolved`.
    pub(crate) fn resolve(self, squares: &[f64], resolved: usize) -> usize {
        match self {
            Self::Full => resolved,
            Self::Count(count) => count.min(resolved),
            Self::Energy(fraction) => {
                let total: f64 = squares.iter().sum();
                let mut sum = 0.0;
                let enough = squares.iter().position(|s| {
                    sum += s;
                    sum >= fraction * total
                });
                enough.map_or(resolved, |i| i + 1).min(resolved)
            }
        }
    }
}

/// θ(x)·θ(x') for all graded monomials up to `order` ≤ 3, constant first, from the power sums p_j = Σᵢ (xᵢ
/// x'ᵢ)ʲ: complete homogeneous symmetric polynomials, h₁ = p₁, h₂ = (p₁² + p₂)/2, h₃ = (p₁³ + 3 p₁p₂ + 2
/// p₃)/6.
pub fn implicit_kernel(order: usize, bias: bool, power_sums: [f64; 3]) -> f64 {
    let [p1, p2, p3] = power_sums;
    let h = [p1, (p1 * p1 + p2) / 2.0, (p1 * p1 * p1 + 3.0 * p1 * p2 + 2.0 * p3) / 6.0];
    f64::from(bias) + h[..order.min(3)].iter().sum::<f64>()
}

/// The reduced space as numbers of size K: the thin SVD of the history by the method of snapshots.
///
/// With the history's rows x_j and centre c (their mean, or 0): G = (X−c)(X−c)ᵀ = V S² Vᵀ, so the orthonormal
/// directions are U = S⁻¹ Vᵀ (X−c), one per row.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// B (r×K): U = B (X − c).
    pub basis: Array2<f64>,
    /// Z (K×r): the samples' own coordinates.
    pub coordinates: Array2<f64>,
    /// What z is divided by: the largest distance of a sample from the centre (centred), or 1.
    pub scale: f64,
    /// The largest distance of a sample from the samples' mean.
    pub radius: f64,
    /// The share of Σ sᵢ² the kept directions have.
    pub energy: f64,
}

impl Space {
    /// The space of samples with Gram matrix `gram`, taken about any common reference if `centered`, about 0
    /// if not. Directions whose singular value is below `resolution` times the largest are rounding and
    /// dropped.
    ///
    /// # Errors
    /// [`EngineError::Factorization`](crate::error::EngineError::Factorization) if the eigenvalues do not
    /// converge (non-finite input).
    pub fn from_gram(gram: ArrayView2<f64>, rank: Rank, centered: bool, resolution: f64) -> Result<Self> {
        let k = gram.nrows();
        let about_mean = center(gram);
        let radius = about_mean.diag().iter().fold(0.0_f64, |a, b| a.max(*b)).sqrt();
        let used = if centered { about_mean } else { gram.to_owned() };
        let matrix = Mat::from_fn(k, k, |i, j| used[[i, j]]);
        let eigen = matrix
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::factorization("eigenvalue decomposition of the history's Gram matrix"))?;
        let values: Vec<f64> = (0..k).rev().map(|i| eigen.S()[i].max(0.0)).collect();
        let total: f64 = values.iter().sum();
        let leading = values[0].sqrt();
        let resolved = values.iter().take_while(|v| v.sqrt() > resolution * leading).count().max(1);
        let r = rank.resolve(&values, resolved);
        let scale = if centered && radius > 0.0 { radius } else { 1.0 };
        let mut basis = Array2::zeros((r, k));
        let mut coordinates = Array2::zeros((k, r));
        for i in 0..r {
            let mut vector: Vec<f64> = (0..k).map(|j| eigen.U()[(j, k - 1 - i)]).collect();
            if centered {
                // About the mean 1 is an eigenvector, with eigenvalue 0, which the decomposition mixes into
                // those of small eigenvalues. Their B would then add a share of the distance between the mean
                // and c, over s.
                let share = vector.iter().sum::<f64>() / k as f64;
                vector.iter_mut().for_each(|v| *v -= share);
            }
            // A decomposition leaves the sign open; the largest component is made positive so that both
            // engines agree.
            let sign = vector.iter().fold(0.0_f64, |a, b| if b.abs() > a.abs() { *b } else { a }).signum();
            let s = values[i].sqrt();
            for j in 0..k {
                basis[[i, j]] = if s > 0.0 { sign * vector[j] / s } else { 0.0 };
                coordinates[[j, i]] = sign * vector[j] * s / scale;
            }
        }
        let energy = if total > 0.0 { values[..r].iter().sum::<f64>() / total } else { 1.0 };
        Ok(Self { basis, coordinates, scale, radius, energy })
    }

    /// The number of directions r.
    pub fn rank(&self) -> usize {
        self.basis.nrows()
    }
}

/// (I − 11ᵀ/K) G (I − 11ᵀ/K).
fn center(gram: ArrayView2<f64>) -> Array2<f64> {
    let k = gram.nrows() as f64;
    let row_means: Array1<f64> = gram.sum_axis(ndarray::Axis(1)) / k;
    let mean = row_means.sum() / k;
    Array2::from_shape_fn(gram.raw_dim(), |(i, j)| gram[[i, j]] - row_means[i] - row_means[j] + mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples along directions of length 1, 10⁻¹, …, 10⁻⁵, the last of them, about which the Gram matrix is,
    /// far from the others.
    #[test]
    fn weak_directions_are_orthonormal_about_a_distant_reference() {
        let (k, d) = (7, 60);
        let direction =
            |j: usize, i: usize| ((j + 1) as f64 * (i as f64 + 0.5) * std::f64::consts::PI / d as f64).cos();
        let samples = Array2::from_shape_fn((k, d), |(a, i)| {
            let strong = if a + 1 == k { 4.0 } else { 0.1 * a as f64 };
            strong * direction(0, i)
                + (1..6)
                    .map(|j| 10.0_f64.powi(-(j as i32)) * ((a * j) as f64).sin() * direction(j, i))
                    .sum::<f64>()
        });
        let about = &samples - &samples.row(k - 1);
        let space = Space::from_gram(about.dot(&about.t()).view(), Rank::Full, true, 1e-7).unwrap();
        let basis = space.basis.dot(&about);
        let product = basis.dot(&basis.t());
        assert_eq!(space.rank(), 6, "{:?}", space.coordinates);
        let least = space.coordinates.column(5).dot(&space.coordinates.column(5)).sqrt();
        assert!(least < 1e-5, "{least}");
        for ((i, j), product) in product.indexed_iter() {
            // A Gram matrix has the squares of the lengths, to eps.
            let exact = f64::from(u8::from(i == j));
            assert!((product - exact).abs() <= 100.0 * f64::EPSILON / (least * least), "{i}, {j}: {product}");
        }
    }
}
