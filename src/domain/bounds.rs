//! Lower and upper bounds of the unknowns.

use std::sync::Arc;

use crate::error::{Error, Result};

/// Bounds on the unknowns, lᵢ ≤ xᵢ ≤ uᵢ.
///
/// Bounds per unknown are shared, never copied: a clone costs two reference counts. A single bound may be
/// infinite where it is given per unknown (a half-open interval), and the two may be equal, which fixes the
/// unknown.
#[derive(Debug, Clone, PartialEq)]
pub enum Bounds {
    /// One pair for all unknowns, both finite, the lower below the upper.
    Uniform {
        /// The lower bound of every unknown.
        lower: f64,
        /// The upper bound of every unknown.
        upper: f64,
    },
    /// A pair for each unknown; two slices of length d.
    PerUnknown {
        /// The lower bounds; −∞ where there is none.
        lower: Arc<[f64]>,
        /// The upper bounds; +∞ where there is none.
        upper: Arc<[f64]>,
    },
}

impl Bounds {
    /// The same pair of bounds for all unknowns.
    pub fn uniform(lower: f64, upper: f64) -> Self {
        Self::Uniform { lower, upper }
    }

    /// One pair of bounds for each unknown.
    pub fn per_unknown(lower: impl Into<Arc<[f64]>>, upper: impl Into<Arc<[f64]>>) -> Self {
        Self::PerUnknown { lower: lower.into(), upper: upper.into() }
    }

    /// A view of the bounds that loops over the unknowns read.
    pub fn view(&self) -> BoundsRef<'_> {
        match self {
            Self::Uniform { lower, upper } => BoundsRef::Uniform { lower: *lower, upper: *upper },
            Self::PerUnknown { lower, upper } => BoundsRef::PerUnknown { lower, upper },
        }
    }

    /// The lower bound of unknown `i`.
    pub fn lower(&self, i: usize) -> f64 {
        self.view().at(i)[0]
    }

    /// The upper bound of unknown `i`.
    pub fn upper(&self, i: usize) -> f64 {
        self.view().at(i)[1]
    }

    /// `value`, or the bound of unknown `i` that `value` is beyond.
    pub fn clamp(&self, i: usize, value: f64) -> f64 {
        self.view().clamp(i, value)
    }

    /// Checks that the bounds leave an interval for every unknown and fit `dimension`.
    pub(super) fn validate(&self, dimension: usize) -> Result<()> {
        let (lower, upper) = match self {
            Self::Uniform { lower, upper } => {
                return if lower.is_finite() && upper.is_finite() && lower < upper {
                    Ok(())
                } else {
                    Err(Error::invalid(
                        "the design's bounds",
                        format!("[{lower}, {upper}]"),
                        "finite, the lower below the upper",
                    ))
                };
            }
            Self::PerUnknown { lower, upper } => (lower, upper),
        };
        for (name, found) in [("the lower bounds", lower.len()), ("the upper bounds", upper.len())] {
            if found != dimension {
                return Err(Error::length(name, found, dimension));
            }
        }
        let leaves_room = |l: f64, u: f64| l <= u && l < f64::INFINITY && u > f64::NEG_INFINITY;
        if let Some(i) = (0..dimension).find(|&i| !leaves_room(lower[i], upper[i])) {
            return Err(Error::invalid(
                "a pair of bounds",
                format!("[{}, {}] for unknown {i}", lower[i], upper[i]),
                "an interval that contains a finite number",
            ));
        }
        if (0..dimension).all(|i| lower[i] == upper[i]) {
            return Err(Error::invalid("the number of unknowns that the bounds leave free", 0, "at least 1"));
        }
        Ok(())
    }
}

/// A view of [`Bounds`] that loops over the unknowns read; −∞ and +∞ where a domain has no bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BoundsRef<'a> {
    /// One pair for all unknowns.
    Uniform {
        /// The lower bound of every unknown.
        lower: f64,
        /// The upper bound of every unknown.
        upper: f64,
    },
    /// A pair for each unknown; two slices of length d.
    PerUnknown {
        /// The lower bounds, one per unknown.
        lower: &'a [f64],
        /// The upper bounds, one per unknown.
        upper: &'a [f64],
    },
}

impl BoundsRef<'_> {
    /// The lower and the upper bound of unknown `i`.
    #[inline]
    pub fn at(self, i: usize) -> [f64; 2] {
        match self {
            Self::Uniform { lower, upper } => [lower, upper],
            Self::PerUnknown { lower, upper } => [lower[i], upper[i]],
        }
    }

    /// `value`, or the bound of unknown `i` that `value` is beyond.
    #[inline]
    pub fn clamp(self, i: usize, value: f64) -> f64 {
        let [lower, upper] = self.at(i);
        super::clip(value, lower, upper)
    }

    /// The width of unknown `i`'s interval, in the units of the unknown; ∞ where a bound is missing.
    #[inline]
    pub fn width(self, i: usize) -> f64 {
        let [lower, upper] = self.at(i);
        upper - lower
    }

    /// The largest finite width, if there is one, and whether any width is infinite.
    pub(super) fn widths(self) -> (Option<f64>, bool) {
        let of = |width: f64| if width.is_finite() { (Some(width), false) } else { (None, true) };
        match self {
            Self::Uniform { lower, upper } => of(upper - lower),
            Self::PerUnknown { lower, .. } => (0..lower.len())
                .map(|i| of(self.width(i)))
                .fold((None, false), |(most, any), (width, open)| {
                    (most.into_iter().chain(width).reduce(f64::max), any || open)
                }),
        }
    }
}
