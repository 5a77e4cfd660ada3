//! tanh of many numbers at once: the C library's takes one at a time, and most of an evaluation of the
//! elastic network.

use std::f64::consts::LOG2_E;

/// ln 2 in two parts, the first with trailing zeros.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Adding it rounds to the nearest integer, which is then in the lowest bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Replaces every value by its tanh, with the widest vectors the machine has; to 4 units in the last place.
pub(super) fn tanh_in_place(values: &mut [f64]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || values.iter_mut().for_each(|v| *v = tanh(*v)),
    );
}

/// −u/(2 + u) with u = exp(−2|x|) − 1, by 2ᵏ and Taylor's polynomial on |f| ≤ ½ ln 2 (Muller, Elementary
/// Functions, 3rd ed., ch. 11).
#[inline(always)]
fn tanh(x: f64) -> f64 {
    // Beyond 20 it is 1 to the last bit; NaN stays NaN.
    let y = -2.0 * if x.abs() > 20.0 { 20.0 } else { x.abs() };
    let shifted = y * LOG2_E + ROUND;
    let k = shifted - ROUND;
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    let f = (y - k * LN2_HIGH) - k * LN2_LOW;
    // exp(f) − 1 to degree 14, by the reciprocals of factorials.
    let mut sum = 1.0 / 87_178_291_200.0;
    for factorial in [
        6_227_020_800.0,
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
    ] {
        sum = sum * f + 1.0 / factorial;
    }
    let u = power * (f + f * f * sum) + (power - 1.0);
    (-u / (2.0 + u)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::tanh_in_place;

    #[test]
    fn agrees_with_the_c_library() {
        let points: Vec<f64> = (-40_000..=40_000)
            .map(|i| f64::from(i) * 7.3e-4)
            .chain([0.0, -0.0, 1e-300, 1e-9, -3e-5, f64::INFINITY, -800.0])
            .collect();
        let mut values = points.clone();
        tanh_in_place(&mut values);
        for (x, v) in points.iter().zip(&values) {
            assert!(
                (v - x.tanh()).abs() <= 4.0 * f64::EPSILON * x.tanh().abs(),
                "tanh {x}: {v} against {}",
                x.tanh()
            );
            assert_eq!(v.is_sign_negative(), x.is_sign_negative(), "{x}");
        }
        let mut nan = [f64::NAN];
        tanh_in_place(&mut nan);
        assert!(nan[0].is_nan());
    }
}
