//! The iterates that an engine keeps in the host's memory, and what is summed up of them.
//!
//! All passes are parallel, and their sums do not depend on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::cpu::{CHUNK, copy, sums_over};
use super::interface::{GradientSummary, StepComparison};
use crate::error::{EngineError, Error, Result};
use crate::scalar::Scalar;

/// The best iterate and its gradient: the trusted ones, until others are trusted that are not better.
#[derive(Debug, Clone, Default)]
pub(crate) struct Best<T> {
    location: Location,
    x: Vec<T>,
    gradient: Vec<T>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Location {
    /// Nothing has been trusted as best.
    #[default]
    None,
    Trusted,
    Kept,
}

impl<T: Scalar> Best<T> {
    /// Prepares for the trusted iterate to be overwritten by one that `is_best` or not. If the trusted
    /// iterate is the best one and its successor is not, the vectors of the trusted iterate are kept, and the
    /// successor gets other memory of the same size.
    pub(crate) fn before_trust(&mut self, is_best: bool, x: &mut Vec<T>, gradient: &mut Vec<T>) {
        if is_best {
            self.location = Location::Trusted;
        } else if self.location == Location::Trusted {
            self.x.resize(x.len(), T::zero());
            self.gradient.resize(gradient.len(), T::zero());
            std::mem::swap(&mut self.x, x);
            std::mem::swap(&mut self.gradient, gradient);
            self.location = Location::Kept;
        }
    }

    /// Copies the best iterate and its gradient, given the trusted ones.
    pub(crate) fn copy_to(&self, trusted: [&[T]; 2], x: &mut [f64], gradient: &mut [f64]) -> Result<()> {
        let from = match self.location {
            Location::None => {
                return Err(
                    EngineError::OutOfOrder { call: "best", needs: "trust() of a best iterate" }.into()
                );
            }
            Location::Trusted => trusted,
            Location::Kept => [&self.x[..], &self.gradient[..]],
        };
        for (from, to) in from.into_iter().zip([x, gradient]) {
            if from.len() != to.len() {
                return Err(Error::length("the iterate", to.len(), from.len()));
            }
            copy(from, to);
        }
        Ok(())
    }
}

/// The larger of two numbers; the first one where the second is NaN.
fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// Folds `chunk` over all chunks of 0..d: the largest value, and whether all values are finite.
fn over_chunks(d: usize, chunk: impl Fn(Range<usize>) -> (f64, bool) + Sync) -> (f64, bool) {
    (0..d.div_ceil(CHUNK))
        .into_par_iter()
        .with_min_len(16)
        .map(|number| chunk(number * CHUNK..((number + 1) * CHUNK).min(d)))
        .reduce(|| (0.0, true), |a, b| (larger(a.0, b.0), a.1 & b.1))
}

impl GradientSummary {
    /// The summary of `gradient`.
    pub(crate) fn of(gradient: &[f64]) -> Self {
        let (largest, is_finite) = over_chunks(gradient.len(), |here| {
            gradient[here].iter().fold((0.0, true), |(largest, is_finite), g| {
                (larger(largest, g.abs()), is_finite & g.is_finite())
            })
        });
        Self { largest, is_finite }
    }
}

/// The largest change, max |a − b|, and whether all entries of a are finite.
pub(crate) fn change<T: Scalar>(a: &[T], b: &[T]) -> (f64, bool) {
    over_chunks(a.len(), |here| {
        a[here.clone()].iter().zip(&b[here]).fold((0.0, true), |(largest, is_finite), (a, b)| {
            let (a, b): (f64, f64) = ((*a).into(), (*b).into());
            (larger(largest, (a - b).abs()), is_finite & a.is_finite())
        })
    })
}

/// The slope g·(a − b) of the objective from b to a, summed in f64.
pub(crate) fn slope<T: Scalar>(gradient: &[T], a: &[T], b: &[T]) -> f64 {
    sums_over(a.len(), 1, |here, sums| {
        for i in here {
            let step = Into::<f64>::into(a[i]) - Into::<f64>::into(b[i]);
            sums[0] += Into::<f64>::into(gradient[i]) * step;
        }
    })[0]
}

impl StepComparison {
    /// Compares the displacements of `learned` and `truth` from `trusted`.
    pub(crate) fn of<T: Scalar>(learned: &[f64], truth: &[T], trusted: &[T]) -> Self {
        let at = |i: usize| {
            let from: f64 = trusted[i].into();
            (learned[i] - from, Into::<f64>::into(truth[i]) - from)
        };
        let sums = sums_over(learned.len(), 3, |here, sums| {
            for (a, b) in here.map(at) {
                sums[0] += a * b;
                sums[1] += a * a;
                sums[2] += b * b;
            }
        });
        let largest = |step: fn((f64, f64)) -> f64| {
            over_chunks(learned.len(), |here| {
                here.fold((0.0, true), |(largest, is_finite), i| {
                    let step = step(at(i));
                    (larger(largest, step.abs()), is_finite & step.is_finite())
                })
            })
        };
        let (own, is_finite) = largest(|(a, _)| a);
        let (other, _) = largest(|(_, b)| b);
        Self { product: sums[0], squares: [sums[1], sums[2]], largest: [own, other], is_finite }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_those_of_plain_loops_on_odd_sizes() {
        for d in [1, 63, 64, 65, 1023, 1025, 70_001] {
            let a: Vec<f64> = (0..d).map(|i| (0.37 * i as f64).sin()).collect();
            let b: Vec<f64> = (0..d).map(|i| (0.11 * i as f64).cos()).collect();
            let largest = a.iter().zip(&b).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
            assert_eq!(change(&a, &b), (largest, true));
            assert_eq!(GradientSummary::of(&a).largest, a.iter().fold(0.0_f64, |m, a| m.max(a.abs())));
            let plain: f64 = b.iter().zip(a.iter().zip(&b)).map(|(g, (a, b))| g * (a - b)).sum();
            // The bound is for two orders of summation of d terms of size at most 4.
            let bound = 8.0 * f64::EPSILON * d as f64 * 4.0;
            assert!((slope(&b, &a, &b) - plain).abs() <= bound);
            let steps = StepComparison::of(&a, &b, &vec![0.0; d]);
            let product: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert!((steps.product - product).abs() <= bound && steps.is_finite);
        }
    }

    #[test]
    fn what_is_not_finite_is_found_anywhere() {
        for (at, value) in [(0, f64::NAN), (4097, f64::INFINITY), (9999, f64::NEG_INFINITY)] {
            let mut a = vec![1.0; 10_000];
            a[at] = value;
            let found = GradientSummary::of(&a);
            assert!(!found.is_finite);
            assert_eq!(found.largest, if value.is_nan() { 1.0 } else { f64::INFINITY });
            assert!(!change(&a, &[0.0; 10_000]).1);
        }
    }

    #[test]
    fn the_best_iterate_survives_worse_ones() {
        let mut best = Best::default();
        let (mut x, mut gradient) = (vec![0.0; 3], vec![0.0; 3]);
        let mut found = [[0.0; 3]; 2];
        let [to_x, to_gradient] = &mut found;
        best.copy_to([&x, &gradient], to_x, to_gradient).unwrap_err();
        for (value, is_best, expected) in
            [(1.0, true, 1.0), (2.0, false, 1.0), (3.0, false, 1.0), (0.5, true, 0.5), (0.7, false, 0.5)]
        {
            best.before_trust(is_best, &mut x, &mut gradient);
            (x, gradient) = (vec![value; 3], vec![-value; 3]);
            let [to_x, to_gradient] = &mut found;
            best.copy_to([&x, &gradient], to_x, to_gradient).unwrap();
            assert_eq!(found, [[expected; 3], [-expected; 3]]);
        }
    }
}
