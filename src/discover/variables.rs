//! The variables of the equations: the coordinates, or those along a trajectory's leading directions.

use faer::Mat;
use ndarray::{Array1, Array2, Axis};

use crate::error::{Error, Result};
use crate::surrogate::Rank;

/// The variables of the equations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Variables {
    /// The coordinates of x themselves.
    Full,
    /// The coordinates along the trajectory's leading directions.
    Reduced {
        /// How many directions are kept.
        rank: Rank,
        /// Whether the coordinates are taken about the samples' mean, in units of the largest distance of a
        /// sample from it.
        centered: bool,
    },
}

/// The directions U (d×r), the centre and the scale of reduced variables.
pub(super) type ReducedSpace = Option<(Array2<f64>, Array1<f64>, f64)>;

/// The directions, their energy, and the samples' coordinates.
pub(super) fn variables(x: &Array2<f64>, variables: Variables) -> Result<(ReducedSpace, f64, Array2<f64>)> {
    let Variables::Reduced { rank, centered } = variables else { return Ok((None, 1.0, x.clone())) };
    let (k, d) = x.dim();
    match rank {
        Rank::Count(r) if !(1..=k.min(d)).contains(&r) => {
            return Err(Error::invalid(
                "the rank",
                r,
                format!("between 1 and {}, the smaller side of x", k.min(d)),
            ));
        }
        Rank::Energy(e) if !(e > 0.0 && e <= 1.0) => {
            return Err(Error::invalid("the energy fraction", e, "above 0 and at most 1"));
        }
        _ => {}
    }
    let center =
        if centered { x.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(d)) } else { Array1::zeros(d) };
    let off = x - &center;
    let largest = off.rows().into_iter().map(|r| r.dot(&r).sqrt()).fold(0.0, f64::max);
    let scale = if centered && largest > 0.0 { largest } else { 1.0 };
    let svd = Mat::from_fn(k, d, |i, j| off[[i, j]])
        .thin_svd()
        .map_err(|_| Error::factorization("singular value decomposition of the samples"))?;
    let squares: Vec<f64> = (0..k.min(d)).map(|i| svd.S()[i] * svd.S()[i]).collect();
    let total: f64 = squares.iter().sum();
    let resolved = (0..squares.len())
        .take_while(|&i| svd.S()[i] > k.max(d) as f64 * f64::EPSILON * svd.S()[0])
        .count()
        .max(1);
    let r = rank.resolve(&squares, resolved);
    let directions = Array2::from_shape_fn((d, r), |(i, j)| {
        // The sign of a direction is arbitrary, so the largest entry is made positive.
        let column: Vec<f64> = (0..d).map(|i| svd.V()[(i, j)]).collect();
        column[i] * column.iter().fold(0.0_f64, |a, b| if b.abs() > a.abs() { *b } else { a }).signum()
    });
    let energy = if total > 0.0 { squares[..r].iter().sum::<f64>() / total } else { 1.0 };
    let z = off.dot(&directions) / scale;
    Ok((Some((directions, center, scale)), energy, z))
}
