//! The feasible set: boxes, with or without a bound on the volume.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Bounds, BoundsRef, Volume};
use crate::error::{Error, Result};
use crate::linalg::norm_inf;

/// The set that a flow keeps its iterates in.
///
/// A clone shares weights and bounds with the original.
///
/// min ½ |x − a|² under different bounds and Σ xᵢ ≤ V has the solution P(a):
/// ```
/// use lgf::domain::{Bounds, Domain, Volume, kkt_residual};
///
/// let bounds = Bounds::per_unknown(vec![0.0, 0.5, f64::NEG_INFINITY], vec![1.0, 2.0, 0.25]);
/// let domain = Domain::BoxVolume { bounds, volume: Volume::new(vec![1.0; 3], 1.75) };
/// let a = [1.5, 1.0, 2.0];
/// let x = domain.project(&a);
/// // clip(a − μ) with μ = 1/2 uses up the volume: 1 + 1/2 + 1/4, to the rounding of that sum.
/// assert_eq!([x[0], x[2]], [1.0, 0.25]);
/// assert!((x[1] - 0.5).abs() <= f64::EPSILON);
/// let gradient: Vec<f64> = x.iter().zip(a).map(|(x, a)| x - a).collect();
/// assert!(kkt_residual(&domain, &x, &gradient) < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Domain {
    /// All of R^d, without any bound.
    Unbounded,
    /// The box { x : lᵢ ≤ xᵢ ≤ uᵢ }.
    Box(Bounds),
    /// The box with a volume constraint, { x : lᵢ ≤ xᵢ ≤ uᵢ, Σ wᵢ xᵢ ≤ V }.
    BoxVolume {
        /// The bounds l and u.
        bounds: Bounds,
        /// The weights w and the bound V.
        volume: Volume,
    },
}

impl Domain {
    /// The box \[`lower`, `upper`\]^d, one pair of bounds for all unknowns.
    pub fn uniform(lower: f64, upper: f64) -> Self {
        Self::Box(Bounds::uniform(lower, upper))
    }

    /// The set { x ∈ \[`lower`, `upper`\]^d : Σ wᵢ xᵢ ≤ `bound` } with the `weights` wᵢ.
    pub fn uniform_with_volume(lower: f64, upper: f64, weights: impl Into<Arc<[f64]>>, bound: f64) -> Self {
        Self::BoxVolume { bounds: Bounds::uniform(lower, upper), volume: Volume::new(weights, bound) }
    }

    /// The bounds of the set; −∞ and +∞ where there are none.
    pub fn bounds(&self) -> BoundsRef<'_> {
        match self {
            Self::Unbounded => BoundsRef::Uniform { lower: f64::NEG_INFINITY, upper: f64::INFINITY },
            Self::Box(bounds) | Self::BoxVolume { bounds, .. } => bounds.view(),
        }
    }

    /// The volume constraint, if there is one.
    pub fn volume(&self) -> Option<&Volume> {
        match self {
            Self::Unbounded | Self::Box(_) => None,
            Self::BoxVolume { volume, .. } => Some(volume),
        }
    }

    /// x with each unknown clamped to its bounds. Where there are not as many bounds as unknowns, x stays as
    /// it is.
    pub(crate) fn clamped(&self, x: &[f64]) -> Vec<f64> {
        match self.bounds() {
            BoundsRef::PerUnknown { lower, upper } if [lower.len(), upper.len()] != [x.len(); 2] => {
                x.to_vec()
            }
            bounds => x.iter().enumerate().map(|(i, x)| bounds.clamp(i, *x)).collect(),
        }
    }

    /// The length that trust radii and tolerances are fractions of: the largest finite width of the bounds;
    /// where a width is infinite, at least max |xᵢ|. None where neither tells a length: x = 0 without bounds.
    /// No constant takes part, so a problem in other units of length is the same problem.
    pub(crate) fn unit_of_length(&self, x: &[f64]) -> Option<f64> {
        let (width, is_open) = self.bounds().widths();
        let size = if is_open { largest(x) } else { 0.0 };
        Some(width.map_or(size, |width| width.max(size))).filter(|unit| *unit > 0.0)
    }

    /// Checks that every unknown has a finite lower and upper bound, the lower below the upper.
    pub(crate) fn require_widths(&self, dimension: usize, who: &str) -> Result<()> {
        let bounds = self.bounds();
        match (0..dimension).map(|i| bounds.at(i)).find(|[l, u]| !((u - l).is_finite() && u > l)) {
            None => Ok(()),
            Some([l, u]) => Err(Error::invalid(
                "a pair of bounds",
                format!("[{l}, {u}]"),
                format!("a pair of finite bounds, the lower below the upper, for {who}"),
            )),
        }
    }

    /// The least and the greatest value of Σ wᵢ xᵢ that the bounds allow, and the size of its terms.
    pub(crate) fn volume_range(&self, volume: &Volume) -> [f64; 3] {
        let weights = &volume.weights;
        match self.bounds() {
            BoundsRef::Uniform { lower, upper } => {
                let total: f64 = weights.iter().sum();
                [lower * total, upper * total, total * upper.abs().max(lower.abs())]
            }
            BoundsRef::PerUnknown { lower, upper } => {
                let finite = |v: f64| if v.is_finite() { v.abs() } else { 0.0 };
                weights.iter().zip(lower.iter().zip(upper)).fold(
                    [0.0; 3],
                    |[least, most, size], (w, (l, u))| {
                        [least + w * l, most + w * u, size + w * finite(*l).max(finite(*u))]
                    },
                )
            }
        }
    }

    /// Checks that `start` is feasible (the volume to 10⁻⁶ relative): an infeasible start would count as the
    /// best design of its run.
    pub(crate) fn check_start(&self, start: &[f64]) -> Result<()> {
        let bounds = self.bounds();
        if *self != Self::Unbounded
            && let Some((i, x)) = start.iter().enumerate().find(|(i, x)| {
                let [lower, upper] = bounds.at(*i);
                !(lower..=upper).contains(*x)
            })
        {
            let [lower, upper] = bounds.at(i);
            return Err(Error::invalid(
                "an entry of the starting point",
                x,
                format!("between the bounds, {lower} and {upper}"),
            ));
        }
        if let Some(volume) = self.volume() {
            let (total, bound) = (volume.of(start), volume.bound);
            if total > bound + 1e-6 * bound.abs() {
                return Err(Error::invalid(
                    "the volume of the starting point",
                    total,
                    format!("at most the volume bound, {bound}"),
                ));
            }
        }
        Ok(())
    }

    /// Checks that the domain is not empty and fits `dimension`.
    pub(crate) fn validate(&self, dimension: usize) -> Result<()> {
        if let Self::Box(bounds) | Self::BoxVolume { bounds, .. } = self {
            bounds.validate(dimension)?;
        }
        let Some(volume) = self.volume() else { return Ok(()) };
        volume.validate(dimension)?;
        let [least, most, size] = self.volume_range(volume);
        let slack = 1e-9 * size;
        if !(volume.bound >= least - slack && volume.bound <= most + slack) {
            return Err(Error::invalid(
                "the volume bound",
                volume.bound,
                format!("between {least} and {most}, what the bounds allow"),
            ));
        }
        Ok(())
    }
}

/// The largest magnitude of an entry, by all cores: a maximum is the same in any order.
fn largest(x: &[f64]) -> f64 {
    x.par_chunks(1 << 16).map(norm_inf).reduce(|| 0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(lower: Vec<f64>, upper: Vec<f64>) -> String {
        Domain::Box(Bounds::per_unknown(lower, upper)).validate(2).unwrap_err().to_string()
    }

    #[test]
    fn bounds_per_unknown_are_checked_one_by_one() {
        let inf = f64::INFINITY;
        let open = Domain::Box(Bounds::per_unknown(vec![0.0, -inf], vec![inf, inf]));
        assert!(open.validate(2).is_ok());
        assert!(open.validate(3).unwrap_err().to_string().contains("expected 3"));
        for (lower, upper) in [(1.0, 0.0), (f64::NAN, 1.0), (inf, inf), (-inf, -inf)] {
            let refused = refusal(vec![0.0, lower], vec![1.0, upper]);
            assert!(refused.contains("for unknown 1"), "{refused}");
        }
        assert!(refusal(vec![0.5; 2], vec![0.5; 2]).contains("leave free"));
        assert!(Domain::uniform(0.0, inf).validate(2).is_err());
        assert!(open.check_start(&[3.0, -9.0]).is_ok());
        let below = open.check_start(&[-1e-9, 0.0]).unwrap_err().to_string();
        assert!(below.contains("between the bounds, 0 and inf"), "{below}");
    }

    #[test]
    fn a_volume_must_be_within_what_the_bounds_allow() {
        let with = |lower: Vec<f64>, upper: Vec<f64>, bound| {
            let domain = Domain::BoxVolume {
                bounds: Bounds::per_unknown(lower, upper),
                volume: Volume::new(vec![1.0, 2.0], bound),
            };
            domain.validate(2)
        };
        assert!(with(vec![0.0, 0.5], vec![1.0, 1.0], 1.0).is_ok());
        assert!(
            with(vec![0.0, 0.5], vec![1.0, 1.0], 0.9).unwrap_err().to_string().contains("between 1 and 3")
        );
        assert!(with(vec![0.0, 0.5], vec![1.0, 1.0], 3.1).is_err());
        assert!(with(vec![f64::NEG_INFINITY, 0.5], vec![1.0, f64::INFINITY], -7.0).is_ok());
    }

    #[test]
    fn a_length_comes_from_the_bounds_or_from_the_point() {
        let inf = f64::INFINITY;
        let of = |domain: Domain| domain.unit_of_length(&[0.5, -3.0]);
        assert_eq!(of(Domain::uniform(-1.0, 0.5)), Some(1.5));
        assert_eq!(of(Domain::Unbounded), Some(3.0));
        assert_eq!(of(Domain::Box(Bounds::per_unknown(vec![0.0, -4.0], vec![0.25, -2.0]))), Some(2.0));
        assert_eq!(of(Domain::Box(Bounds::per_unknown(vec![0.0, -inf], vec![0.25, inf]))), Some(3.0));
        assert_eq!(of(Domain::Box(Bounds::per_unknown(vec![0.0, -inf], vec![9.0, inf]))), Some(9.0));
        let nothing = Domain::Unbounded.unit_of_length(&[0.0, 0.0]);
        assert_eq!(nothing, None, "a start at 0 without bounds tells no length");
    }
}
