//! The search for the volume's multiplier.

use super::common::*;

/// One surrogate step after a fit, for every kind of surrogate: conditioning multiplies rounding, so the
/// bound is 10⁻³ of the step. The bracket that the last search has closed.
fn bracket(gpu: &mut GpuEngine) -> [u32; 2] {
    let words = small(gpu, size_of::<PhaseState>() / 4, |s| &s.phase);
    [core::mem::offset_of!(PhaseState, bracket_low), core::mem::offset_of!(PhaseState, bracket_high)]
        .map(|at| words[at / 4].to_bits())
}

#[test]
fn the_volume_holds_after_every_oc_step() {
    let mut gpu = engine(GpuOptions::default());
    for d in SIZES {
        let (flow, domain) = (Flow::OptimalityCriteria(OptimalityCriteria::default()), box_volume(d));
        let Domain::BoxVolume { volume: Volume { weights, bound: volume }, .. } = &domain else {
            unreachable!()
        };
        let mut x = vec![0.0; d];
        warmed(&mut gpu, flow, &domain, d, 0, 0);
        for k in 0..6 {
            gpu.set_gradient(&vector(d, 10 + k, |v| -1.0 - 0.9 * v)).unwrap();
            gpu.step().unwrap();
            gpu.read(&mut x).unwrap();
            let excess = weights.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() - volume;
            // The first steps are limited by the move limit; then the scale is exact to one unit in the last
            // place.
            assert!(k < 3 || excess <= 4.0 * EPS * volume, "d {d}, step {k}: volume off by {excess}");
            assert!(k < 3 || excess >= -8.0 * EPS * volume, "d {d}, step {k}: volume off by {excess}");
        }
    }
}

/// Neighbouring floats with the volume's bound between them, whatever the search remembers of the ones
/// before: nothing, the truth, or what is far from it; for volumes that can be reached, that cannot, and that
/// are no numbers.
#[test]
fn a_search_ends_at_the_same_floats_wherever_it_begins() {
    let mut gpu = engine(GpuOptions::default());
    let projected = Flow::ProjectedGradient(ProjectedGradient { rate: 0.0625 });
    for d in [1, 65, 4099] {
        let Domain::BoxVolume { bounds, volume: Volume { weights, bound: volume } } = box_volume(d) else {
            unreachable!()
        };
        for (share, bad) in [(1.0, false), (1.02, false), (0.0, false), (10.0, false), (1.0, true)] {
            let domain = Domain::BoxVolume {
                bounds: bounds.clone(),
                volume: Volume::new(weights.clone(), share * volume),
            };
            for flow in [Flow::OptimalityCriteria(OptimalityCriteria::default()), projected] {
                let what = format!("{}, d {d}, share {share}, not finite {bad}", flow.name());
                let mut found: Option<[u32; 2]> = None;
                for memory in 0..8_u32 {
                    warmed(&mut gpu, flow, &domain, d, 0, 3);
                    let x = download(&mut gpu, 1, |s| &s.iterate);
                    let mut g = vector(d, 200, |v| -1.0 - 0.9 * v);
                    if bad {
                        g[d / 2] = f64::NAN;
                    }
                    gpu.set_gradient(&g).unwrap();
                    let mut known = search(&mut gpu);
                    assert_eq!(known.closed, 1, "{what}");
                    let range = if flow == projected { PROJECTION_MULTIPLIERS } else { OC_SCALES };
                    if memory == 1 {
                        known = Search::new(range);
                    } else if memory > 1 {
                        // Candidates that crowd at an end, and some that are all the same.
                        let [low, high] = range;
                        for (k, bits) in known.candidates.iter_mut().enumerate() {
                            *bits = if memory % 2 == 0 {
                                low + 1 + k as u32 * (memory / 4)
                            } else {
                                high - 1 - k as u32 * (memory / 4)
                            };
                        }
                        known = Search {
                            multiplier: low + (high - low) / memory,
                            drift: memory / 3,
                            placed: 1,
                            ..known
                        };
                    }
                    let run = gpu.run.as_ref().unwrap();
                    gpu.recorder.upload(&run.shared.search, &[known]).unwrap();
                    gpu.step().unwrap();
                    let [low, high] = bracket(&mut gpu);
                    assert_eq!(high, low + 1, "{what}, memory {memory}");
                    assert_eq!(*found.get_or_insert([low, high]), [low, high], "{what}, memory {memory}");
                    let passes = search(&mut gpu).passes - known.passes;
                    assert!(passes <= 9, "{what}, memory {memory}: {passes} passes");
                    if let (Flow::OptimalityCriteria(flow), false) = (flow, bad) {
                        let growth = download(&mut gpu, 1, |s| &s.growth);
                        let total = |bits: u32| -> f64 {
                            let reach = flow.move_limit as f32;
                            let each = x.iter().zip(&growth).zip(&weights[..]).map(|((x, growth), w)| {
                                let x = *x as f32;
                                w * f64::from(
                                    (*growth as f32 * f32::from_bits(bits))
                                        .clamp((x - reach).max(0.0), (x + reach).min(1.0)),
                                )
                            });
                            each.sum()
                        };
                        // Sums in f64 are off by d roundings at most.
                        let rounding = d as f64 * f64::EPSILON * volume;
                        let [range_low, range_high] = range;
                        assert!(
                            low == range_low || total(low) <= share * volume + rounding,
                            "{what}: {} against {}",
                            total(low),
                            share * volume
                        );
                        assert!(
                            high == range_high || total(high) > share * volume - rounding,
                            "{what}: {} against {}",
                            total(high),
                            share * volume
                        );
                    }
                }
            }
        }
    }
}

/// What the searches of real sequences of steps take, out of 9 passes recorded: a regression of these numbers
/// is one of speed.
#[test]
fn searches_take_few_passes() {
    type Gradient<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;
    let mut gpu = engine(GpuOptions::default());
    let d = 4099;
    let domain = box_volume(d);
    let steps = 20;
    let (loads, middles) = (vector(d, 12, |v| 10.0_f64.powf(2.0 * v)), vector(d, 13, |v| 0.5 + 0.7 * v));
    // Bars that share a volume, Σ a/x, by OC; Σ ½ λ (x − m)² by projected gradients.
    let compliance =
        |x: &[f64]| -> Vec<f64> { x.iter().zip(&loads).map(|(x, a)| -a / (x * x).max(1e-4)).collect() };
    let quadratic = |x: &[f64]| -> Vec<f64> {
        x.iter().zip(&middles).enumerate().map(|(i, (x, m))| (1.0 + (i % 7) as f64) * (x - m)).collect()
    };
    let cases: [(Flow, Gradient<'_>, f64); 2] = [
        (Flow::OptimalityCriteria(OptimalityCriteria::default()), &compliance, 2.5),
        (Flow::ProjectedGradient(ProjectedGradient { rate: 0.1 }), &quadratic, 3.5),
    ];
    for (flow, gradient, most) in cases {
        let start = vec![0.4; d];
        gpu.start(Setup {
            flow,
            domain: &domain,
            start: &start,
            capacity: 0,
            samples: Samples::Points,
            directions: None,
        })
        .unwrap();
        let (mut x, mut taken, mut longest) = (start, 0, 0);
        for step in 0..steps {
            gpu.set_gradient(&gradient(&x)).unwrap();
            gpu.step().unwrap();
            gpu.read(&mut x).unwrap();
            let passes = search(&mut gpu).passes;
            if step > 0 {
                longest = longest.max(passes - taken);
            }
            taken = passes;
        }
        let mean = f64::from(taken) / f64::from(steps);
        assert!(mean <= most, "{}: {mean} passes per step", flow.name());
        assert!(longest <= 5, "{}: {longest} passes", flow.name());
    }
    let (cycles, per_cycle) = (4, 6);
    potential_cycles(&mut gpu, &domain, d, 3, cycles, 2);
    let mean = f64::from(search(&mut gpu).passes) / (cycles * per_cycle) as f64;
    assert!(mean <= 3.5, "{mean} passes per step on the potential");
}
