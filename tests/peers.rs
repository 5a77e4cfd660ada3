//! Tests of the peers against values that others measured with implementations of their own: the half-MBB
//! beam 60x20, density filter of radius 2.4.

use std::ops::ControlFlow;

use lgf::observe::{Event, Observer};
use lgf::peers::{Course, Peer};
use lgf::report::evaluations_to_reach;
use lgf::topology::{Compliance, FilterKind, Structure};

fn course(peer: Peer, budget: usize) -> Course {
    let mut problem = Compliance::new(Structure::mbb(60, 20, FilterKind::Density)).unwrap();
    let start = problem.uniform_start();
    let course = peer.minimize(&mut problem, &start, budget, 1e-4, &mut ()).unwrap();
    let volume = problem.volume(&course.x).unwrap();
    assert!(volume <= 0.5 * (1.0 + 1e-6), "{}: volume {volume}", peer.name());
    assert!((problem.compliance(&course.x).unwrap() - course.objective).abs() <= 1e-12 * course.objective);
    course
}

fn to(course: &Course, target: f64) -> usize {
    evaluations_to_reach(&course.history, target).unwrap_or_else(|| panic!("{target} is not reached"))
}

/// The best value any prototype of these methods found; theirs needed 23/35 (SPG) and 20/31 (PQN) evaluations
/// to within 1 and 0.1 % of it.
const BEST: f64 = 233.489;

#[test]
fn spectral_and_quasi_newton_projection_need_what_prototypes_needed() {
    for (peer, coarse, fine) in [(Peer::Spg, 23, 35), (Peer::Pqn, 20, 31)] {
        let course = course(peer, 60);
        let found = [to(&course, 1.01 * BEST), to(&course, 1.001 * BEST)];
        // Details of the line search move a count by a few evaluations, not by half.
        assert!(
            2 * found[0] <= 3 * coarse && 2 * found[1] <= 3 * fine,
            "{}: {found:?} against {coarse}, {fine}",
            peer.name()
        );
    }
}

#[test]
fn moving_asymptotes_reach_the_criteria_methods_value() {
    // Andreassen et al. 2011: 233.71 after 144 iterations of OC; NLopt's MMA: 78 evaluations to it.
    assert!(to(&course(Peer::Mma, 80), 233.71) <= 78);
}

/// Periodic mixing ends in a worse basin here, as others found (236.6).
#[test]
fn anderson_mixing_ends_in_the_basin_others_found() {
    let value = course(Peer::Anderson, 120).objective;
    assert!((value - 236.6).abs() < 0.2, "{value}");
}

/// Where plain OC stops, and what it needs to within 0.5 and 0.1 % of that, in an implementation of its own.
const CRITERIA: (f64, usize, usize) = (233.7125, 79, 116);

/// Accelerators must be faster than plain OC, and mirror descent as fast as its authors report.
#[test]
fn accelerated_criteria_and_mirror_descent_need_less_than_plain_criteria() {
    let (last, coarse, fine) = CRITERIA;
    for peer in [Peer::Extrapolation, Peer::Dmd] {
        let course = course(peer, fine);
        let found = [to(&course, 1.005 * last), to(&course, 1.001 * last)];
        assert!(found[0] < coarse && found[1] < fine, "{}: {found:?}", peer.name());
    }
    assert!(to(&course(Peer::Simpl, coarse), 1.005 * last) < coarse);
}

/// Of the augmented Lagrangian's iterates only those that keep the volume may count as designs.
#[test]
fn iterates_outside_are_not_accepted() {
    struct Volumes(Compliance, Vec<(f64, bool)>);
    impl Observer for Volumes {
        fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
            if let Event::TrueStep { entry, x, .. } = event {
                self.1.push((self.0.volume(x).unwrap(), entry.accepted));
            }
            ControlFlow::Continue(())
        }
    }
    let problem = || Compliance::new(Structure::mbb(60, 20, FilterKind::Density)).unwrap();
    let mut volumes = Volumes(problem(), Vec::new());
    let mut beam = problem();
    let start = beam.uniform_start();
    let course = Peer::LbfgsSigmoid.minimize(&mut beam, &start, 60, 1e-4, &mut volumes).unwrap();
    assert_eq!(volumes.1.len(), 60);
    for (volume, accepted) in &volumes.1 {
        // The volume's sum is taken in another order here.
        assert_eq!(*accepted, *volume <= 0.5 * (1.0 + 1e-12), "{volume}");
    }
    let kept = course.history.iter().filter(|e| e.accepted);
    assert_eq!(kept.clone().map(|e| e.objective).fold(f64::INFINITY, f64::min), course.objective);
    // Both kinds of iterates must occur, or this test checks nothing.
    assert!((2..59).contains(&kept.count()));
}
