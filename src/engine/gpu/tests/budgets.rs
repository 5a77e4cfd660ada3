//! What a phase may cost: dispatches, submissions, read-backs, memory.

use proptest::prelude::*;

use super::common::*;

/// What the phases of a learned field cost, beyond what is read from and written to: a regression of these
/// numbers is one of speed. Once the first cycle is through, nothing is allocated either.
#[test]
fn a_fields_phase_takes_the_dispatches_it_needs() {
    let (d, steps) = (1757, 5);
    // A phase begins with a projection and its sums. Per step: the weights, the pass that lifts, moves x and
    // projects it, the sums. OC: the growth, which lifts, 9 passes of a volume and a bracket, the update,
    // which projects. Projected gradient: the lift, 9 such passes, the update. A state that is the reduced
    // coordinate alone: projection, sums, all steps, lift.
    let phase = |of_a_step: usize| (2 + steps * of_a_step) as u64;
    let cases = [
        (
            DESCENT,
            Domain::Unbounded,
            SurrogateConfig::paper(SpaceConfig::Reduced { rank: Rank::Count(3), centered: false }),
            4,
        ),
        (
            Flow::Adam(Adam::new(0.01)),
            Domain::Unbounded,
            SurrogateConfig::paper(SpaceConfig::Reduced { rank: Rank::Count(3), centered: false }),
            phase(3),
        ),
        (Flow::Adam(Adam::new(0.01)), Domain::Unbounded, SurrogateConfig::snapshots(), phase(3)),
        (
            Flow::OptimalityCriteria(OptimalityCriteria::default()),
            box_volume(d),
            SurrogateConfig::topology(),
            phase(1 + 1 + 9 * 2 + 2),
        ),
        (
            Flow::ProjectedGradient(ProjectedGradient { rate: 0.1 }),
            box_volume(d),
            SurrogateConfig::snapshots(),
            phase(1 + 1 + 9 * 2 + 2),
        ),
    ];
    for (flow, domain, config, expected) in cases {
        let mut gpu = engine(GpuOptions::default());
        warmed(&mut gpu, flow, &domain, d, 4, 4);
        let (mut x, mut buffers) = (vec![0.0; d], 0);
        for cycle in 0..3 {
            gpu.fit(&config).unwrap();
            let before = gpu.traffic();
            gpu.integrate(PhaseLimits { steps, radius: f64::INFINITY, integrator: Integrator::FlowStep })
                .unwrap();
            let after = gpu.traffic();
            assert_eq!(after.dispatches - before.dispatches, expected, "{} with {config:?}", flow.name());
            assert_eq!(gpu.read(&mut x).unwrap().steps, steps, "{}", flow.name());
            let read = gpu.traffic();
            assert_eq!(read.readbacks - before.readbacks, 1, "{}", flow.name());
            assert!(
                read.submits - before.submits <= 3,
                "{}: {} submissions",
                flow.name(),
                read.submits - before.submits
            );
            assert!(
                cycle == 0 || gpu.recorder.buffers() == buffers,
                "{}: buffers were allocated in cycle {cycle}",
                flow.name()
            );
            buffers = gpu.recorder.buffers();
        }
    }
}

/// What a phase costs: a regression of these numbers is one of speed.
#[test]
fn a_potentials_phase_takes_the_dispatches_it_needs() {
    let d = 1757;
    let mut gpu = engine(GpuOptions::default());
    potential_cycles(&mut gpu, &box_volume(d), d, 3, 3, 4);
    let before = gpu.traffic();
    let steps = 4;
    gpu.record_pair(0.5, true).unwrap();
    gpu.fit_potential(8.0, PotentialConfig { order: 4, outside: Outside::Mean }).unwrap();
    gpu.minimize(TrustLimits { steps, radius: 0.2 }).unwrap();
    gpu.read(&mut vec![0.0; d]).unwrap();
    let after = gpu.traffic();
    // A fit: the pair, its two rows' inner products with all rows and their sums, the directions. A step: 9
    // passes of a volume and a bracket, the direction with its sums, the projection with its sums, the step's
    // length, the lift.
    assert_eq!(after.dispatches - before.dispatches, 1 + 2 * 2 + 1 + steps as u64 * (9 * 2 + 2 + 2 + 1 + 1));
    assert_eq!(after.readbacks - before.readbacks, 2);
}

/// What is told before a run is what it allocates.
#[test]
fn the_memory_of_a_run_is_known_before() {
    let d = 4096;
    let start = vec![0.5; d];
    let oc = Flow::OptimalityCriteria(OptimalityCriteria { move_limit: 0.2 });
    let projected = Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 });
    let adam = Flow::Adam(Adam { amsgrad: true, ..Adam::new(0.1) });
    let own = || own_bounds(d, false);
    for (flow, domain, samples, directions) in [
        (oc, with_volume(own(), d), Samples::Points, None),
        (projected, Domain::Box(own()), Samples::Points, None),
        (projected, with_volume(own(), d), Samples::Pairs, None),
        (DESCENT, Domain::Box(own()), Samples::Points, None),
        (oc, box_volume(d), Samples::Points, None),
        (oc, box_volume(d), Samples::Points, Some(3)),
        (projected, box_volume(d), Samples::Pairs, None),
        (adam, Domain::Unbounded, Samples::Points, Some(100)),
        (DESCENT, Domain::Unbounded, Samples::Points, Some(0)),
    ] {
        let setup = Setup { flow, domain: &domain, start: &start, capacity: 7, samples, directions };
        for tables in [TableFormat::State, TableFormat::F16] {
            let mut gpu = engine(GpuOptions { tables, ..GpuOptions::default() });
            gpu.start(setup).unwrap();
            gpu.read(&mut vec![0.0; d]).unwrap();
            let run = gpu.run.as_ref().unwrap();
            let buffers = |s: &Segment| {
                let fixed = [
                    &s.iterate,
                    &s.gradient,
                    &s.auxiliary,
                    &s.domain,
                    &s.growth,
                    &s.direction,
                    &s.slope,
                    &s.iterates,
                    &s.gradients,
                    &s.encoded,
                    &s.basis,
                ];
                // Buffers that are not used are 16 bytes.
                fixed
                    .into_iter()
                    .chain(&s.trusted)
                    .map(|b| if b.bytes > 16 { b.bytes } else { 0 })
                    .sum::<u64>()
            };
            let x = run.shared.staging.bytes - size_of::<PhaseState>() as u64;
            let found = run.segments.iter().map(buffers).sum::<u64>() + x;
            assert_eq!(found, GpuEngine::memory(&setup, tables), "{flow:?}, {tables:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Slabs never straddle segments, cover all unknowns, and partial sums stay within their budget.
    #[test]
    fn slabs_are_few_and_small(d in 1_usize..200_000_000, capacity in 0_usize..=256) {
        let slab = slab_length(d, capacity);
        let slabs = d.div_ceil(slab);
        prop_assert!(slab.is_power_of_two() && slab >= 1024);
        prop_assert!(slabs <= 1024);
        let bytes_per_slab = 128 * block_pairs(2 * capacity) as u64;
        prop_assert!(slabs as u64 * bytes_per_slab.max(128) <= GRAM_PARTIALS_BYTES.max(bytes_per_slab));
    }
}
