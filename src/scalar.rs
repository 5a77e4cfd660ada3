//! The precisions that vectors of length d are kept in.

use std::fmt::Debug;

use crate::engine::NumberFormat;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// Runs `pass`, a loop that must be inlined, with the widest vectors the machine has.
#[inline(always)]
pub(crate) fn vectorised<R>(pass: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(pass)
}

/// f64 or f32: what a state is made of, and what is computed for each unknown by itself. Sums over unknowns
/// are f64 always.
pub trait Scalar:
    num_traits::Float + Into<f64> + From<Half> + Default + Debug + Send + Sync + sealed::Sealed + 'static
{
    /// The name of the type, `f64` or `f32`.
    const NAME: &'static str;

    /// The number format, for records.
    const FORMAT: NumberFormat;

    /// The smallest singular value, relative to the largest, that is more than rounding, in a history of this
    /// type whose inner products are f64.
    const RESOLUTION: f64;

    /// The number nearest to `value` in this format.
    fn of(value: f64) -> Self;

    /// `values` as f64, put into `scratch` (at least as long) where they are not f64 already.
    fn widen<'a>(values: &'a [Self], scratch: &'a mut [f64]) -> &'a [f64];

    /// `values`, if they are f32.
    fn single(values: &[Self]) -> Option<&[f32]>;
}

impl Scalar for f64 {
    const NAME: &'static str = "f64";
    const FORMAT: NumberFormat = NumberFormat::F64;
    /// A Gram matrix squares singular values, so this is the root of its rounding.
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
    const FORMAT: NumberFormat = NumberFormat::F32;
    /// The rounding of the data, which are f32.
    const RESOLUTION: f64 = 4.0 * f32::EPSILON as f64;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn widen<'a>(values: &'a [Self], scratch: &'a mut [f64]) -> &'a [f64] {
        let scratch = &mut scratch[..values.len()];
        scratch.iter_mut().zip(values).for_each(|(wide, value)| *wide = f64::from(*value));
        scratch
    }

    fn single(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }
}

/// A number of magnitude 1 at most in IEEE half precision, times 4096, as in `shaders/lib/basis_f16.wgsl`: to
/// nearest, ties to even, and what would be subnormal is 0. For storing only.
///
/// (`f16` of the `half` crate asks the processor what it can do whenever it is converted: loops of that do
/// not vectorise.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Half(u16);

impl Half {
    pub(crate) const SCALE: f32 = 4096.0;
    /// The least positive normal half, 2⁻¹⁴, as an f32's bits, and the greatest half, 65504, as a half's.
    const MIN_NORMAL: u32 = 113 << 23;
    const MAX_NORMAL: u32 = 0x7bff;

    #[inline(always)]
    pub(crate) fn from_f32(value: f32) -> Self {
        let bits = (value * Self::SCALE).to_bits();
        let (sign, size) = ((bits >> 16) & 0x8000, bits & 0x7fff_ffff);
        let rounded = size.wrapping_add(0xfff + ((size >> 13) & 1)) >> 13;
        // The exponent's bias goes from 127 to 15.
        let half =
            if size < Self::MIN_NORMAL { 0 } else { rounded.wrapping_sub(112 << 10).min(Self::MAX_NORMAL) };
        Self((sign | half) as u16)
    }
}

impl From<Half> for f32 {
    #[inline(always)]
    fn from(half: Half) -> Self {
        // 2¹⁰⁰ moves the exponent's bias from 15 to 127 and divides by the scale 2¹².
        const SHIFT: f32 = f32::from_bits((127 + 112 - 12) << 23);
        // The sign bit's copies above the exponent are masked out: three operations that every vector unit
        // has.
        let bits = (i32::from(half.0.cast_signed()) << 13) & (0x8fff_e000_u32).cast_signed();
        Self::from_bits(bits.cast_unsigned()) * SHIFT
    }
}

impl From<Half> for f64 {
    #[inline(always)]
    fn from(half: Half) -> Self {
        f32::from(half).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    /// Every half, the midpoints between neighbours and numbers below the least normal half are rounded as by
    /// the `half` crate.
    #[test]
    fn halves_round_as_ieee_says() {
        for bits in 0..=u16::MAX {
            let exact = f16::from_bits(bits);
            if !exact.is_finite() {
                continue;
            }
            let next = f16::from_bits(bits + 1).to_f32();
            let middle = 0.5 * (exact.to_f32() + if next.is_finite() { next } else { exact.to_f32() });
            for value in [exact.to_f32(), middle, middle.next_up(), middle.next_down()] {
                let expected = if value.abs() < f16::MIN_POSITIVE.to_f32() {
                    f16::from_f32(0.0_f32.copysign(value))
                } else {
                    f16::from_f32(value)
                };
                let found = Half::from_f32(value / Half::SCALE);
                assert_eq!(found.0, expected.to_bits(), "{value:e}");
                assert_eq!(
                    (f32::from(found), f64::from(found)),
                    (expected.to_f32() / Half::SCALE, expected.to_f64() / f64::from(Half::SCALE))
                );
            }
        }
        assert_eq!(
            f32::from(Half::from_f32(1e9)),
            65504.0 / Half::SCALE,
            "numbers beyond the format become its largest one"
        );
    }
}
