//! The basis in half precision.

use super::common::*;

/// The basis in halves is the f32 basis, rounded to nearest, and its mean is the same: every one of them,
/// over several slabs, in segments of odd and even lengths.
#[test]
fn a_basis_in_halves_is_the_same_basis_rounded() {
    let scale = 4096.0_f32;
    for (d, samples, max_binding) in [
        (1, 2, None),
        (63, 5, None),
        (64, 5, None),
        (1200, 6, None),
        (1757, 6, None),
        (4999, 18, Some(4 * 19 * 1024)),
    ] {
        let [single, halves] = [TableFormat::State, TableFormat::F16].map(|tables| {
            let mut gpu = engine(GpuOptions { max_binding, tables, ..GpuOptions::default() });
            warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, samples, samples);
            let rank = gpu.fit(&SurrogateConfig::snapshots()).unwrap().rank;
            let run = gpu.run.as_ref().unwrap();
            let lengths: Vec<usize> = run.segments.iter().map(|s| s.len).collect();
            let contents = (0..lengths.len()).map(|number| {
                let bytes = gpu.run.as_ref().unwrap().segments[number].basis.bytes;
                let staging = gpu.recorder.staging(bytes).unwrap();
                gpu.recorder.copy(&gpu.run.as_ref().unwrap().segments[number].basis, 0, &staging, 0, bytes);
                bytemuck::pod_collect_to_vec::<u8, u32>(&gpu.recorder.read(&staging, bytes).unwrap())
            });
            (rank, lengths.clone(), contents.collect::<Vec<_>>())
        });
        assert_eq!((single.0, &single.1), (halves.0, &halves.1));
        assert!(max_binding.is_none() || single.1.len() > 1);
        for ((single_words, half_words), &len) in single.2.iter().zip(&halves.2).zip(&single.1) {
            let (rank, words) = (single.0, len.div_ceil(2));
            for i in 0..len {
                for row in 0..rank {
                    let value = f32::from_bits(single_words[row * len + i]) * scale;
                    let expected = if value.abs() < half::f16::MIN_POSITIVE.to_f32() {
                        0
                    } else {
                        half::f16::from_f32(value).to_bits()
                    };
                    let found = (half_words[row * words + i / 2] >> (16 * (i % 2))) as u16;
                    assert_eq!(
                        found & 0x7fff,
                        expected & 0x7fff,
                        "d {d}, direction {row}, unknown {i}: {value:e}"
                    );
                    assert!(
                        found == expected || value.abs() < 1e-4,
                        "d {d}, direction {row}, unknown {i}: {value:e}"
                    );
                }
                assert_eq!(
                    half_words[rank * words + i],
                    single_words[rank * len + i],
                    "d {d}, the mean of unknown {i}"
                );
            }
        }
    }
}

/// The error of a reduced phase in halves: each direction is off by 2⁻¹¹ of itself at most, and so is what it
/// adds to x.
#[test]
fn a_basis_in_halves_lifts_as_exactly_as_it_says() {
    let d = 1757;
    let config = SurrogateConfig {
        lift: Lift::Trajectory,
        space: SpaceConfig::Reduced { rank: Rank::Count(4), centered: true },
        ..SurrogateConfig::snapshots()
    };
    let moved = |engine: &mut dyn Engine| {
        let (mut before, mut after) = (vec![0.0; d], vec![0.0; d]);
        warmed(engine, DESCENT, &Domain::Unbounded, d, 6, 6);
        engine.fit(&config).unwrap();
        engine.read(&mut before).unwrap();
        engine
            .integrate(PhaseLimits { steps: 20, radius: f64::INFINITY, integrator: Integrator::Euler })
            .unwrap();
        engine.read(&mut after).unwrap();
        Array1::from_iter(after.iter().zip(&before).map(|(a, b)| a - b))
    };
    let length = |v: &Array1<f64>| v.dot(v).sqrt();
    for (number, mut in_halves) in in_f32(TableFormat::F16)
        .into_iter()
        .chain([Box::new(CpuEngine::new().with_tables(TableFormat::F16)) as Box<dyn Engine>])
        .enumerate()
    {
        let exact = moved(&mut CpuEngine::new());
        let error = length(&(&moved(&mut *in_halves) - &exact));
        // √r directions' errors at worst, and the path's own in f32.
        let bound = 2.0_f64.powi(-11) * 2.0 * length(&exact);
        assert!(error <= bound, "engine {number}: {error:e} over {bound:e}");
        assert!(
            error >= 2.0_f64.powi(-15) * length(&exact),
            "engine {number}: {error:e} is less than halves can do"
        );
    }
}
