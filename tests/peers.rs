//! The peers against values others measured with implementations of their own: the half-MBB beam 60x20, density filter of radius 2.4.

use lgf::peers::{Course, Peer};
use lgf::topology::{Compliance, ComplianceConfig, FilterKind};

fn course(peer: Peer, budget: usize) -> Course {
    let mut problem = Compliance::new(ComplianceConfig::mbb(60, 20, FilterKind::Density)).unwrap();
    let start = problem.uniform_start();
    let course = peer.minimize(&mut problem, &start, budget, 1e-4, &mut ()).unwrap();
    let volume = problem.volume(&course.x);
    assert!(volume <= 0.5 * (1.0 + 1e-6), "{}: volume {volume}", peer.name());
    assert!((problem.compliance(&course.x).unwrap() - course.objective).abs() <= 1e-12 * course.objective);
    course
}

fn to(course: &Course, target: f64) -> usize {
    course.history.iter().find(|e| e.objective <= target).unwrap_or_else(|| panic!("{target} is not reached")).evaluation
}

/// The best value any prototype of these methods found; theirs needed 23/35 (SPG) and 20/31 (PQN) evaluations to within 1 and 0.1 % of it.
const BEST: f64 = 233.489;

#[test]
fn spectral_and_quasi_newton_projection_need_what_prototypes_needed() {
    for (peer, coarse, fine) in [(Peer::Spg, 23, 35), (Peer::Pqn, 20, 31)] {
        let course = course(peer, 60);
        let found = [to(&course, 1.01 * BEST), to(&course, 1.001 * BEST)];
        // Details of the line search move a count by a few evaluations, not by half.
        assert!(2 * found[0] <= 3 * coarse && 2 * found[1] <= 3 * fine, "{}: {found:?} against {coarse}, {fine}", peer.name());
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
