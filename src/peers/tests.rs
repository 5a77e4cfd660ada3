//! Peers on problems with a known solution.

use super::*;
use crate::domain::Domain;
use crate::error::SettingsError;
use crate::error::{Error, ObjectiveError};
use crate::linalg::dist_inf;
use crate::objective::Objective;

/// ½ Σ λᵢ (xᵢ − aᵢ)² on a box with a volume bound: the solution by bisection on the bound's multiplier.
struct Target {
    domain: Domain,
}

const CENTER: [f64; 6] = [1.4, 0.9, 0.2, -0.3, 0.6, 0.7];
const SPECTRUM: [f64; 6] = [1.0, 20.0, 3.0, 7.0, 50.0, 2.0];

impl Objective for Target {
    fn dimension(&self) -> usize {
        6
    }
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> std::result::Result<f64, ObjectiveError> {
        let mut value = 10.0;
        for i in 0..6 {
            gradient[i] = SPECTRUM[i] * (x[i] - CENTER[i]);
            value += 0.5 * gradient[i] * (x[i] - CENTER[i]);
        }
        Ok(value)
    }
    fn domain(&self) -> Domain {
        self.domain.clone()
    }
}

fn solution(volume: f64) -> Vec<f64> {
    let at =
        |mu: f64| -> Vec<f64> { (0..6).map(|i| (CENTER[i] - mu / SPECTRUM[i]).clamp(0.0, 1.0)).collect() };
    let (mut low, mut high) = (0.0, 1000.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if at(middle).iter().sum::<f64>() > volume { low = middle } else { high = middle }
    }
    at(high)
}

const ON_SETS: [Peer; 8] = [
    Peer::Anderson,
    Peer::Spg,
    Peer::Pqn,
    Peer::Mma,
    Peer::Simpl,
    Peer::LbfgsSigmoid,
    Peer::Extrapolation,
    Peer::Dmd,
];

/// How near a peer gets: the slope by a sigmoid's argument falls with the distance to a bound, so L-BFGS
/// comes to rest before it.
fn within(peer: Peer) -> f64 {
    if peer == Peer::LbfgsSigmoid { 1e-4 } else { 1e-5 }
}

#[test]
fn peers_find_the_constrained_minimum() {
    let volume = 2.0;
    let exact = solution(volume);
    let domain = Domain::uniform_with_volume(0.0, 1.0, vec![1.0; 6], volume);
    for peer in [Peer::Spg, Peer::Pqn, Peer::Mma, Peer::Simpl, Peer::LbfgsSigmoid] {
        let course = peer
            .minimize(&mut Target { domain: domain.clone() }, &[volume / 6.0; 6], 300, 1e-10, &mut ())
            .unwrap();
        let error = dist_inf(&course.x, &exact);
        assert!(
            error < within(peer),
            "{}: off by {error:e} after {} evaluations: {:?}",
            peer.name(),
            course.history.len(),
            course.x
        );
        assert!(course.x.iter().sum::<f64>() <= volume * (1.0 + 1e-9), "{}", peer.name());
    }
    // Without the bound Σ x = 3.4 at the minimum.
    let domain = Domain::uniform(0.0, 1.0);
    for peer in [Peer::Spg, Peer::Pqn, Peer::Simpl, Peer::LbfgsSigmoid] {
        let course =
            peer.minimize(&mut Target { domain: domain.clone() }, &[0.0; 6], 300, 1e-10, &mut ()).unwrap();
        let error = dist_inf(&course.x, &CENTER.map(|c| c.clamp(0.0, 1.0)));
        assert!(
            error < within(peer),
            "{}: off by {error:e} after {} evaluations: {:?}",
            peer.name(),
            course.history.len(),
            course.x
        );
    }
    let unbounded = Peer::Spg.minimize(&mut Target { domain: Domain::Unbounded }, &[0.0; 6], 9, 0.0, &mut ());
    assert!(matches!(unbounded, Err(Error::Settings(SettingsError::Domain { .. }))));
}

#[test]
fn a_budget_is_kept_to_the_last_trial_point() {
    let domain = Domain::uniform_with_volume(0.0, 1.0, vec![1.0; 6], 2.0);
    for peer in [Peer::Spg, Peer::Pqn, Peer::Mma, Peer::Simpl, Peer::LbfgsSigmoid] {
        let course =
            peer.minimize(&mut Target { domain: domain.clone() }, &[1.0 / 3.0; 6], 7, 0.0, &mut ()).unwrap();
        assert_eq!(course.history.len(), 7, "{}", peer.name());
    }
}

/// OC oscillates on this pair, so the mixing is reached with more differences than unknowns.
#[test]
fn anderson_mixes_in_two_dimensions() {
    struct Pair;
    impl Objective for Pair {
        fn dimension(&self) -> usize {
            2
        }
        fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> std::result::Result<f64, ObjectiveError> {
            gradient.copy_from_slice(&[-x[0].powi(-4), -4.0 * x[1].powi(-4)]);
            Ok(x[0].powi(-3) / 3.0 + 4.0 / 3.0 * x[1].powi(-3))
        }
        fn domain(&self) -> Domain {
            Domain::uniform_with_volume(0.0, 1.0, vec![1.0; 2], 1.0)
        }
    }
    let course = Peer::Anderson.minimize(&mut Pair, &[0.5; 2], 40, 0.0, &mut ()).unwrap();
    assert!(course.history.len() > 20 && course.objective.is_finite());
}

#[test]
fn what_makes_no_sense_is_named_and_what_fails_later_keeps_the_best() {
    let domain = Domain::uniform_with_volume(0.0, 1.0, vec![1.0; 6], 2.0);
    for peer in ON_SETS {
        let refused = |start: &[f64], budget| {
            peer.minimize(&mut Target { domain: domain.clone() }, start, budget, 0.0, &mut ())
                .unwrap_err()
                .to_string()
        };
        assert!(refused(&[0.1; 5], 9).contains("starting point"));
        assert!(refused(&[2.0; 6], 9).contains("between the bounds"));
        assert!(refused(&[0.9; 6], 9).contains("volume"), "{}", refused(&[0.9; 6], 9));
        assert!(refused(&[0.1; 6], 0).contains("at least 1"));
        let mut left = 4;
        let mut fails = crate::objective::FnObjective::new(1, |x: &[f64], g: &mut [f64]| {
            left -= 1;
            g[0] = 2.0 * x[0] - 1.0;
            if left > 0 { Ok(x[0] * (x[0] - 1.0)) } else { Ok(f64::NAN) }
        });
        struct Boxed<'a>(&'a mut dyn Objective);
        impl Objective for Boxed<'_> {
            fn dimension(&self) -> usize {
                1
            }
            fn evaluate(
                &mut self,
                x: &[f64],
                gradient: &mut [f64],
            ) -> std::result::Result<f64, ObjectiveError> {
                self.0.evaluate(x, gradient)
            }
            fn domain(&self) -> Domain {
                Domain::uniform_with_volume(-1.0, 1.0, vec![1.0], 0.9)
            }
        }
        let course = peer.minimize(&mut Boxed(&mut fails), &[-0.9], 50, 0.0, &mut ()).unwrap();
        assert!(
            course.objective.is_finite() && course.x.len() == 1 && course.history.len() <= 3,
            "{}: {course:?}",
            peer.name()
        );
    }
}
