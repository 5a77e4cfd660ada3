//! Kernels and single steps against the f64 engine, on sizes around workgroups' widths.

use super::common::*;

#[test]
fn the_self_test_passes_here_and_notices_missing_error_terms() {
    let engine = engine(GpuOptions::default());
    assert_ne!(
        engine.recorder.variant.eft,
        Eft::Plain,
        "no error-free transform works on {}",
        engine.info().adapter
    );
    let gpu = engine.recorder.gpu.clone();
    let exact =
        self_test::probe(&mut Recorder::new(gpu.clone(), engine.recorder.variant.eft).unwrap()).unwrap();
    let plain = self_test::probe(&mut Recorder::new(gpu, Eft::Plain).unwrap()).unwrap();
    assert_eq!(exact, 1024);
    assert!(plain < 512, "the self-test would not notice: plain f32 is exact on {plain} of 1024 pairs");
}

/// Double-word sums: the error is of order eps² times the sum of magnitudes; 2⁻⁴⁰ leaves room for the low
/// words' own rounding.
#[test]
fn gram_matrices_have_double_word_accuracy() {
    let mut gpu = engine(GpuOptions::default());
    for d in SIZES {
        for samples in [1, 3, 5] {
            for centered in [false, true] {
                warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, 5, samples);
                let config = SurrogateConfig {
                    space: SpaceConfig::Reduced { rank: Rank::Full, centered },
                    ..SurrogateConfig::snapshots()
                };
                let newest = samples - 1;
                let grams = pollster::block_on(gpu.recording().unwrap().read_grams(&config, newest)).unwrap();
                let x = download(&mut gpu, samples, |s| &s.iterates);
                let y = download(&mut gpu, samples, |s| &s.gradients);
                // The kernel subtracts the reference in f32.
                let about = |row: usize, i: usize| {
                    if centered { f64::from((x[[row, i]] - x[[newest, i]]) as f32) } else { x[[row, i]] }
                };
                let rows = Array2::from_shape_fn(x.dim(), |(j, i)| about(j, i));
                for (name, a, b, gram) in
                    [("XX", &rows, &rows, &grams.xx), ("XY", &rows, &y, &grams.xy), ("YY", &y, &y, &grams.yy)]
                {
                    let (exact, size) = (a.dot(&b.t()), a.mapv(f64::abs).dot(&b.mapv(f64::abs).t()));
                    for ((g, e), s) in gram.iter().zip(&exact).zip(&size) {
                        assert!(
                            (g - e).abs() <= s * 2.0_f64.powi(-40),
                            "{name}, d {d}, K {samples}: {g} against {e}"
                        );
                    }
                }
            }
        }
    }
}

/// The host's f64 sums of per-workgroup f32 partial sums, for devices without error terms.
#[test]
fn a_device_without_error_terms_gets_host_sums() {
    let d = 70_001;
    let mut gpu = engine(GpuOptions::default());
    gpu.recorder = Recorder::new(gpu.recorder.gpu.clone(), Eft::Plain).unwrap();
    warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, 4, 4);
    assert!(gpu.run.as_ref().unwrap().slabs > 1);
    let config = SurrogateConfig {
        space: SpaceConfig::Reduced { rank: Rank::Full, centered: false },
        ..SurrogateConfig::snapshots()
    };
    let grams = pollster::block_on(gpu.recording().unwrap().read_grams(&config, 3)).unwrap();
    let x = download(&mut gpu, 4, |s| &s.iterates);
    // 1024 unknowns per slab, 16 per thread, a tree of 6 levels above.
    for (g, e) in grams.xx.iter().zip(&x.dot(&x.t())) {
        assert!((g - e).abs() <= 24.0 * EPS * e.abs(), "{g} against {e}");
    }
}

#[test]
fn transformed_targets_match_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for d in SIZES {
        warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, 3, 3);
        let transform = TargetTransform::LogDamped { damping: 0.75 };
        let config = SurrogateConfig { transform, ..SurrogateConfig::snapshots() };
        pollster::block_on(gpu.recording().unwrap().read_grams(&config, 2)).unwrap();
        let [x, g, y] = [
            download(&mut gpu, 3, |s| &s.iterates),
            download(&mut gpu, 3, |s| &s.gradients),
            download(&mut gpu, 3, |s| &s.encoded),
        ];
        for ((x, g), y) in x.iter().zip(&g).zip(&y) {
            let exact = transform.encode(*g, *x);
            // WGSL grants log() 2⁻²¹ absolutely near 1 and 3 ulp elsewhere; |log| <= 7 here.
            assert!(
                (y - exact).abs() <= 1.75 * 2.0_f64.powi(-21) + 4.0 * 7.0 * EPS,
                "d {d}: {y} against {exact}"
            );
        }
    }
}

#[test]
fn basis_mean_and_projection_match_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for d in SIZES {
        for (samples, rank) in [(1, 1), (6, 3), (12, 12)] {
            warmed(&mut gpu, DESCENT, &Domain::Unbounded, d, samples, samples);
            gpu.fit(&SurrogateConfig {
                space: SpaceConfig::Reduced { rank: Rank::Count(rank), centered: true },
                ..SurrogateConfig::snapshots()
            })
            .unwrap();
            let x = download(&mut gpu, samples, |s| &s.iterates);
            let plan = gpu.run.as_ref().unwrap().model.as_ref().unwrap().plan.clone().unwrap();
            let space = plan.space.clone().unwrap();
            let rank = space.rank();
            let table = download(&mut gpu, rank + 1, |s| &s.basis);
            let (basis, mean) = table.view().split_at(Axis(0), rank);
            let reference = x.row(samples - 1).to_owned();
            let exact = space.basis.dot(&(&x - &reference));
            for i in 0..d {
                let spread: f64 = (0..samples).map(|j| (x[[j, i]] - reference[i]).abs()).sum();
                for r in 0..rank {
                    let size = space.basis.row(r).iter().fold(0.0_f64, |a, b| a.max(b.abs())) * spread;
                    assert!(
                        (basis[[r, i]] - exact[[r, i]]).abs() <= (samples + 2) as f64 * EPS * size,
                        "d {d}, direction {r} of {rank}"
                    );
                }
                let average = x.column(i).mean().unwrap();
                assert!(
                    (mean[[0, i]] - average).abs() <= EPS * (2.0 * average.abs() + samples as f64 * spread),
                    "d {d}: mean"
                );
            }
            // One prediction leaves the projection behind.
            let mut recording = gpu.recording().unwrap();
            let model = recording.run.model.take().unwrap();
            recording.record_prediction(&model, f64::INFINITY, Place::State).unwrap();
            let totals = small(&mut gpu, 2 * (rank + 1), |s| &s.totals);
            let now = download(&mut gpu, 1, |s| &s.iterate).row(0).to_owned();
            let off: Array1<f64> = (&now - &mean.row(0)).mapv(|v| f64::from(v as f32));
            for r in 0..=rank {
                let u = if r < rank { basis.row(r).to_owned() } else { off.clone() };
                let (exact, size) = (u.dot(&off), u.mapv(f64::abs).dot(&off.mapv(f64::abs)));
                let value = f64::from(totals[2 * r]) + f64::from(totals[2 * r + 1]);
                assert!(
                    (value - exact).abs() <= size * 2.0_f64.powi(-40),
                    "d {d}, projection {r}: {value} against {exact}"
                );
            }
        }
    }
}

#[test]
fn feature_matrices_match_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for (rows, variables, order, bias) in
        [(1, 1, 1, false), (5, 3, 2, true), (9, 4, 4, true), (65, 7, 2, false)]
    {
        let library = Library::new(variables, order, bias).unwrap();
        let mut next = noise(4);
        let z = Array2::from_shape_fn((rows, variables), |_| next());
        let recorder = &mut gpu.recorder;
        let words = rows * library.len();
        let coordinates = recorder.buffer("test", 8 * z.len() as u64).unwrap();
        let terms = recorder.buffer("test", 4 * library.terms().len() as u64).unwrap();
        let matrix = recorder.buffer("test", 8 * words as u64).unwrap();
        let staging = recorder.staging(8 * words as u64).unwrap();
        recorder.upload(&coordinates, &to_pairs(z.view())).unwrap();
        recorder.upload(&terms, library.terms()).unwrap();
        let params = FeaturesEvaluate {
            rows: rows as u32,
            variables: variables as u32,
            features: library.len() as u32,
            order: order as u32,
        };
        recorder
            .dispatch(
                params,
                &bindings::FeaturesEvaluate { coordinates: &coordinates, terms: &terms, matrix: &matrix },
                counts::entries::<FeaturesEvaluate>(rows, library.len()),
            )
            .unwrap();
        recorder.copy(&matrix, 0, &staging, 0, 8 * words as u64);
        let data: Vec<[f32; 2]> =
            bytemuck::pod_collect_to_vec(&recorder.read(&staging, 8 * words as u64).unwrap());
        for (row, z) in z.axis_iter(Axis(0)).enumerate() {
            for (p, exact) in library.evaluate(&z.to_vec()).iter().enumerate() {
                let [hi, lo] = data[row * library.len() + p].map(f64::from);
                let value = hi + lo;
                assert!(
                    (value - exact).abs() <= order as f64 * 2.0_f64.powi(-42) * exact.abs(),
                    "feature {p}: {value} against {exact}"
                );
            }
        }
    }
}

/// Ten true steps: each rounds a few times; ADAM's quotient m/√v turns relative errors of g into errors of
/// the rate.
#[test]
fn true_steps_match_the_twin() {
    for mut engine in in_f32(TableFormat::State) {
        for d in SIZES {
            for (flow, domain) in flows(d) {
                let mut cpu = CpuEngine::new();
                warmed(&mut *engine, flow, &domain, d, 0, 10);
                warmed(&mut cpu, flow, &domain, d, 0, 10);
                let (a, b) = assert_same(&mut *engine, &mut cpu, d, 60.0, flow.name());
                let size = b.predicted_change.abs().max(1e-3 * d as f64);
                assert!(
                    (a.predicted_change - b.predicted_change).abs() <= 1e3 * EPS * size,
                    "{}: {a:?} against {b:?}",
                    flow.name()
                );
            }
        }
    }
}

/// What the pass that moves x leaves for the next prediction, for every flow: as exact as a projection of its
/// own.
#[test]
fn a_step_projects_with_double_word_accuracy() {
    let mut gpu = engine(GpuOptions::default());
    for (d, samples, rank) in [(1, 2, 1), (65, 6, 3), (1757, 10, 8), (1757, 18, 9), (2500, 18, 18)] {
        for (flow, domain) in flows(d) {
            for (lift, centered) in [(Lift::Snapshots, true), (Lift::Trajectory, false)] {
                let config = SurrogateConfig {
                    space: SpaceConfig::Reduced { rank: Rank::Count(rank), centered },
                    lift,
                    ..SurrogateConfig::snapshots()
                };
                if config.validate(&flow, samples).is_err() {
                    continue;
                }
                warmed(&mut gpu, flow, &domain, d, samples, samples);
                let rank = gpu.fit(&config).unwrap().rank;
                let mut recording = gpu.recording().unwrap();
                let model = &recording.run.model.take().unwrap();
                recording.record_prediction(model, f64::INFINITY, Place::State).unwrap();
                // A projected gradient reads the one that the prediction has left.
                let lift = Some(model).filter(|_| !matches!(flow, Flow::ProjectedGradient(_)));
                let beside = Beside { lift, projection: model.projection() };
                recording.record_step(samples as u64 + 1, beside).unwrap();
                let totals = small(&mut gpu, 2 * (rank + 1), |s| &s.totals);
                let table = download(&mut gpu, rank + 1, |s| &s.basis);
                let x = download(&mut gpu, 1, |s| &s.iterate).row(0).to_owned();
                let off: Array1<f64> = (&x - &table.row(rank)).mapv(|v| f64::from(v as f32));
                for r in 0..=rank {
                    let (u, about) = if r < rank {
                        (table.row(r).to_owned(), if centered { &off } else { &x })
                    } else {
                        (off.clone(), &off)
                    };
                    let (exact, size) = (u.dot(about), u.mapv(f64::abs).dot(&about.mapv(f64::abs)));
                    let value = f64::from(totals[2 * r]) + f64::from(totals[2 * r + 1]);
                    assert!(
                        (value - exact).abs() <= size * 2.0_f64.powi(-40),
                        "{}, d {d}, projection {r} of {rank}: {value} against {exact}",
                        flow.name()
                    );
                }
            }
        }
    }
}

/// More slabs than a workgroup has threads, and more unknowns per slab than the smallest: reductions that
/// small tests never reach.
#[test]
fn many_slabs_match_the_twin() {
    let mut gpu = engine(GpuOptions::default());
    for d in [70_001, 1_100_003] {
        for (flow, domain) in flows(d) {
            if d > 100_000 && !matches!(flow, Flow::OptimalityCriteria(_)) {
                continue;
            }
            let mut cpu = CpuEngine::new();
            for e in [&mut gpu as &mut dyn Engine, &mut cpu] {
                warmed(e, flow, &domain, d, 4, 4);
                e.fit(&SurrogateConfig::snapshots()).unwrap();
                e.integrate(PhaseLimits {
                    steps: 2,
                    radius: f64::INFINITY,
                    integrator: Integrator::FlowStep,
                })
                .unwrap();
            }
            assert!(gpu.run.as_ref().unwrap().slabs > 64);
            let (a, b) = assert_same(&mut gpu, &mut cpu, d, 3e3, flow.name());
            let (pa, pb) = (a.predicted_change, b.predicted_change);
            assert!(
                (pa - pb).abs() <= 1e-4 * pb.abs(),
                "{}: predicted change {pa} against {pb}",
                flow.name()
            );
        }
    }
}
