//! Cycles of a learned potential against the f64 engine.

use super::common::*;

/// Both engines, from the same start, on all domains; more cycles than pairs, so that the ring turns over.
/// Iterates of f32 make pairs with a relative error of eps |x|/|s|; here |s| shrinks to about 10⁻² before the
/// last cycle.
#[test]
fn learned_potentials_match_the_twin() {
    for d in SIZES {
        let domains = [
            Domain::Unbounded,
            Domain::uniform(0.0, 1.0),
            box_volume(d),
            Domain::Box(own_bounds(d, true)),
            with_volume(own_bounds(d, true), d),
        ];
        for (domain, order) in domains.iter().flat_map(|domain| [2, 3, 4].map(|order| (domain, order))) {
            let expected = potential_cycles(&mut CpuEngine::new(), domain, d, 3, 5, order);
            if order == 4 && d > 1 {
                let of_order_3 = potential_cycles(&mut CpuEngine::new(), domain, d, 3, 5, 3);
                let apart = expected
                    .iter()
                    .zip(&of_order_3)
                    .map(|(a, b)| largest_difference(&a.0, &b.0))
                    .fold(0.0, f64::max);
                assert!(
                    apart > 1e3 * EPS,
                    "{domain:?}, d {d}: the orders differ by no more than the twins may, {apart:e}"
                );
            }
            let found = in_f32(TableFormat::State)
                .map(|mut engine| potential_cycles(&mut *engine, domain, d, 3, 5, order));
            for (cycle, ((x, a), (y, b))) in
                found.iter().flat_map(|found| found.iter().zip(&expected).enumerate())
            {
                let error = largest_difference(x, y);
                assert!(
                    error < 1e3 * EPS,
                    "{domain:?}, d {d}, order {order}, cycle {cycle}: off by {error:e}"
                );
                let change = (a.predicted_change - b.predicted_change).abs();
                let size = expected[0].1.predicted_change.abs();
                assert!(
                    change <= 1e2 * EPS * size,
                    "{domain:?}, d {d}, order {order}, cycle {cycle}: {a:?} against {b:?}"
                );
            }
        }
    }
}

/// The minimum of a quadratic that has been learned in all its directions, on one unknown more than there are
/// pairs: a closed form, not the twin.
#[test]
fn a_learned_quadratic_is_minimised_where_it_should_be() {
    for engine in [&mut engine(GpuOptions::default()) as &mut dyn Engine, &mut CpuEngine::new()] {
        let cycles = potential_cycles(engine, &Domain::Unbounded, 3, 3, 12, 2);
        let (x, last) = cycles.last().unwrap();
        let center = vector(3, 5, |v| 0.5 + 0.7 * v);
        let error = x.iter().zip(&center).map(|(x, a)| (x - a).abs()).fold(0.0, f64::max);
        assert!(error < 1e-5, "{last:?}: off by {error:e}");
    }
}

/// A whole cycle of a learned field and of a learned potential where every table takes several bindings of
/// 128 MiB, against the twin.
#[test]
#[ignore = "some minutes and 12 GiB: cargo test --release --lib -- --ignored thirty_million"]
fn a_cycle_of_thirty_million_unknowns_matches_the_twin() {
    let d = 30_000_001;
    let options = GpuOptions { max_binding: Some(128 << 20), ..GpuOptions::default() };
    let limits = PhaseLimits { steps: 2, radius: f64::INFINITY, integrator: Integrator::FlowStep };
    let field = |engine: &mut dyn Engine| {
        warmed(engine, Flow::Adam(Adam::new(0.01)), &Domain::Unbounded, d, 4, 4);
        engine.fit(&SurrogateConfig::snapshots()).unwrap();
        engine.integrate(limits).unwrap();
        let mut x = vec![0.0; d];
        let landing = engine.read(&mut x).unwrap();
        (x, landing)
    };
    let largest = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let mut gpu = engine(options);
    let (x, a) = field(&mut gpu);
    assert!(gpu.run.as_ref().unwrap().segments.len() > 2);
    let (y, b) = field(&mut CpuEngine::new());
    // Two ADAM steps of 0.01 from x of size 1: rounding of x, and of m/√v where v is small.
    assert_eq!((a.steps, a.end, b.steps), (2, PhaseEnd::Horizon, 2));
    assert!(largest(&x, &y) < 1e2 * EPS, "{:e}", largest(&x, &y));
    let found = potential_cycles(&mut gpu, &Domain::Unbounded, d, 2, 3, 2);
    let expected = potential_cycles(&mut CpuEngine::new(), &Domain::Unbounded, d, 2, 3, 2);
    for ((x, _), (y, _)) in found.iter().zip(&expected) {
        assert!(largest(x, y) < 1e3 * EPS, "{:e}", largest(x, y));
    }
}
