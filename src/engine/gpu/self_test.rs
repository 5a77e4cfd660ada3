//! Which error-free transforms a device really computes: compilers may optimise them away without a word, so
//! they are tried, not trusted.

use super::counts;
use super::device::Gpu;
use super::kernels::{Eft, EftProbe, bindings};
use super::recording::Recorder;
use crate::error::Result;

/// Terms of the inner products.
const TERMS: usize = 8;

/// Pairs that cancel, differ in sign and spread over exponents; sums and products stay exact in f64.
fn pairs() -> Vec<[f32; 2]> {
    let mut pairs = vec![
        [1.0, 2.0_f32.powi(-24)],
        [1.0, -(2.0_f32.powi(-25))],
        [16_777_216.0, 1.0],
        [1.0 + f32::EPSILON, -1.0],
        [3.0, -3.0],
        [0.1, 0.2],
    ];
    // A fixed pseudo-random sequence (Knuth's multiplicative congruence).
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mantissa = 1.0 + (state >> 9) as f32 * f32::EPSILON;
        let sign = if state & 1 == 0 { 1.0 } else { -1.0 };
        // Exponents in -12..12 keep the sum of two within f64's 53 bits.
        sign * mantissa * 2.0_f32.powi((state >> 3) as i32 % 25 - 12)
    };
    pairs.extend((0..1018).map(|_| [next(), next()]));
    pairs
}

/// Tries fma, then mask splitting, and returns a recorder with the first that is exact on every pair, or with
/// plain f32.
pub(crate) fn open(gpu: &Gpu) -> Result<Recorder> {
    for eft in [Eft::Fma, Eft::Mask] {
        let mut recorder = Recorder::new(gpu.clone(), eft)?;
        let right = probe(&mut recorder)?;
        let total = pairs().len();
        log::debug!("self-test of {eft:?} on {}: {right} of {total} pairs exact", gpu.info.name);
        if right == total {
            recorder.reset();
            return Ok(recorder);
        }
    }
    log::warn!(
        "{}: no error-free transform survives its compiler; sums over d are plain f32 on the device, f64 on \
         the host",
        gpu.info.name
    );
    Recorder::new(gpu.clone(), Eft::Plain)
}

/// How many pairs' sum and product come out exactly, and the inner product that starts there to double-word
/// accuracy.
pub(crate) fn probe(recorder: &mut Recorder) -> Result<usize> {
    let pairs = pairs();
    let bytes = 16 * pairs.len() as u64;
    let input = recorder.buffer("probe.pairs", bytes / 2)?;
    let output = recorder.buffer("probe.results", bytes)?;
    let sums = recorder.buffer("probe.products", bytes / 2)?;
    let staging = recorder.staging(bytes + bytes / 2)?;
    recorder.upload(&input, &pairs)?;
    recorder.dispatch(
        EftProbe { count: pairs.len() as u32, terms: TERMS as u32 },
        &bindings::EftProbe { pairs: &input, results: &output, products: &sums },
        counts::entries::<EftProbe>(1, pairs.len()),
    )?;
    recorder.copy(&output, 0, &staging, 0, bytes);
    recorder.copy(&sums, 0, &staging, bytes, bytes / 2);
    let data = recorder.read(&staging, bytes + bytes / 2)?;
    let (results, products) = data.split_at(bytes as usize);
    let results: Vec<[f32; 4]> = bytemuck::pod_collect_to_vec(results);
    let products: Vec<[f32; 2]> = bytemuck::pod_collect_to_vec(products);
    let exact = |x: f32, y: f32, z: f64| f64::from(x) + f64::from(y) == z;
    Ok((0..pairs.len())
        .filter(|&i| {
            let ([a, b], [sum, sum_error, product, product_error]) = (pairs[i].map(f64::from), results[i]);
            let terms = (0..TERMS).map(|k| pairs[(i + k) % pairs.len()].map(f64::from)).map(|[a, b]| a * b);
            let (inner, size) = terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()));
            let [hi, lo] = products[i].map(f64::from);
            // A few terms, each with a few roundings of the low words: far below 2⁻⁴⁰, far above f64's own.
            exact(sum, sum_error, a + b)
                && exact(product, product_error, a * b)
                && (hi + lo - inner).abs() <= size * 2.0_f64.powi(-40)
        })
        .count())
}
