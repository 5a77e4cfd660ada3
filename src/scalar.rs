//! The two precisions a vector of length d is kept in.

use std::fmt::Debug;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// f64 or f32: what a state is made of, and what is computed for each unknown by itself. Sums over unknowns are f64 always.
pub trait Scalar: num_traits::Float + Into<f64> + Default + Debug + Send + Sync + sealed::Sealed + 'static {
    /// The type's name.
    const NAME: &'static str;

    /// Singular values below this share of the largest are rounding, in a history of this type whose inner products are f64.
    const RESOLUTION: f64;

    /// `value`, rounded.
    fn of(value: f64) -> Self;

    /// `values` as f64, put into `room` (at least as long) where they are not f64 already.
    fn widen<'a>(values: &'a [Self], room: &'a mut [f64]) -> &'a [f64];

    /// `values`, if they are f32.
    fn single(values: &[Self]) -> Option<&[f32]>;
}

impl Scalar for f64 {
    const NAME: &'static str = "f64";
    /// By way of a Gram matrix: the root of its rounding.
    const RESOLUTION: f64 = 1e-7;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn widen<'a>(values: &'a [Self], _: &'a mut [f64]) -> &'a [f64] {
        values
    }

    fn single(_: &[Self]) -> Option<&[f32]> {
        None
    }
}

impl Scalar for f32 {
    const NAME: &'static str = "f32";
    /// That of the data.
    const RESOLUTION: f64 = 4.0 * f32::EPSILON as f64;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn widen<'a>(values: &'a [Self], room: &'a mut [f64]) -> &'a [f64] {
        let room = &mut room[..values.len()];
        room.iter_mut().zip(values).for_each(|(wide, value)| *wide = f64::from(*value));
        room
    }

    fn single(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }
}
