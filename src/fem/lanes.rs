//! Eight elements of a row side by side, and the Walsh–Hadamard transform of their corners.
//!
//! The loops over the lanes have a constant length, so that the compiler makes vector instructions of them
//! wherever they are inlined into a function that was dispatched for the machine's vectors. No product and
//! sum is fused: the bits are the same on every machine.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul, Sub};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point type, f64 or f32.
pub trait Real:
    Copy
    + Default
    + Debug
    + PartialEq
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + AddAssign
    + sealed::Sealed
    + 'static
{
    /// The number nearest to `value` in this format.
    fn of(value: f64) -> Self;
    /// The number as f64.
    fn wide(self) -> f64;
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
}

/// The number of elements that are computed together.
pub(super) const WIDTH: usize = 8;

/// One number for each of [`WIDTH`] elements.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Lanes<T>(pub(super) [T; WIDTH]);

impl<T: Real> Lanes<T> {
    #[inline(always)]
    pub(super) fn zero() -> Self {
        Self([T::default(); WIDTH])
    }

    /// The first numbers of `values`: [`WIDTH`] of them, or fewer and zeros.
    #[inline(always)]
    pub(super) fn load(values: &[T]) -> Self {
        match values.first_chunk::<WIDTH>() {
            Some(chunk) => Self(*chunk),
            None => {
                let mut lanes = [T::default(); WIDTH];
                lanes[..values.len()].copy_from_slice(values);
                Self(lanes)
            }
        }
    }

    #[inline(always)]
    pub(super) fn times(self, factor: T) -> Self {
        let mut out = self.0;
        for lane in &mut out {
            *lane = *lane * factor;
        }
        Self(out)
    }

    /// The lanes moved up by one, with `first` in the lowest.
    #[inline(always)]
    pub(super) fn shifted(self, first: T) -> Self {
        let [a, b, c, d, e, f, g, _] = self.0;
        Self([first, a, b, c, d, e, f, g])
    }
}

impl<T: Real> Add for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let mut out = self.0;
        for (lane, value) in out.iter_mut().zip(other.0) {
            *lane += value;
        }
        Self(out)
    }
}

impl<T: Real> Sub for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let mut out = self.0;
        for (lane, value) in out.iter_mut().zip(other.0) {
            *lane = *lane - value;
        }
        Self(out)
    }
}

impl<T: Real> Mul for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let mut out = self.0;
        for (lane, value) in out.iter_mut().zip(other.0) {
            *lane = *lane * value;
        }
        Self(out)
    }
}

/// The eight modes of each direction, for [`WIDTH`] elements: `modes[d][m]`.
pub(super) type Modes<T> = [[Lanes<T>; 8]; 3];

/// Sums and differences of the pairs that differ in bit 1 and in bit 2, which belong to y and z.
#[inline(always)]
pub(super) fn walsh_yz<T: Real>(a: &mut [Lanes<T>; 8]) {
    for bit in [2, 4] {
        for low in 0..8 {
            if low & bit == 0 {
                let (p, q) = (a[low], a[low | bit]);
                a[low] = p + q;
                a[low | bit] = p - q;
            }
        }
    }
}
