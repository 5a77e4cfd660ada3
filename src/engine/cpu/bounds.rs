//! The bounds of the unknowns as loops over chunks read them: one pair that stays in registers, or two
//! slices.
//!
//! A pass branches on [`BoundsRef`](crate::domain::BoundsRef) once and runs a loop of its own for each of the
//! two, so that one pair for all unknowns costs no loads.

use std::ops::Range;

use super::lanes::{LANES, sum_of};

/// The lower and upper bounds that a loop reads.
pub(super) trait Intervals: Copy + Send + Sync {
    /// The bounds of the unknowns `here`.
    fn of(self, here: &Range<usize>) -> Self;

    /// The lower and upper bound of unknown `i`.
    fn at(self, i: usize) -> [f64; 2];

    /// The bounds of the [`LANES`] unknowns from `first` on, which is a multiple of [`LANES`].
    fn lanes(self, first: usize) -> [[f64; LANES]; 2];

    /// Σ f(aᵢ, pairᵢ) over slices of the same length, which is that of the bounds.
    fn sum_of(self, slices: [&[f64]; 3], f: impl Fn([f64; 3], [f64; 2]) -> f64) -> f64;
}

impl Intervals for [f64; 2] {
    #[inline(always)]
    fn of(self, _: &Range<usize>) -> Self {
        self
    }

    #[inline(always)]
    fn at(self, _: usize) -> [f64; 2] {
        self
    }

    #[inline(always)]
    fn lanes(self, _: usize) -> [[f64; LANES]; 2] {
        self.map(|bound| [bound; LANES])
    }

    #[inline(always)]
    fn sum_of(self, slices: [&[f64]; 3], f: impl Fn([f64; 3], [f64; 2]) -> f64) -> f64 {
        sum_of(slices, |at| f(at, self))
    }
}

impl Intervals for [&[f64]; 2] {
    #[inline(always)]
    fn of(self, here: &Range<usize>) -> Self {
        self.map(|bounds| &bounds[here.clone()])
    }

    #[inline(always)]
    fn at(self, i: usize) -> [f64; 2] {
        self.map(|bounds| bounds[i])
    }

    #[inline(always)]
    fn lanes(self, first: usize) -> [[f64; LANES]; 2] {
        self.map(|bounds| bounds.as_chunks().0[first / LANES])
    }

    #[inline(always)]
    fn sum_of(self, [a, b, c]: [&[f64]; 3], f: impl Fn([f64; 3], [f64; 2]) -> f64) -> f64 {
        let [lower, upper] = self;
        sum_of([a, b, c, lower, upper], |[a, b, c, lower, upper]| f([a, b, c], [lower, upper]))
    }
}
