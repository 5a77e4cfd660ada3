//! The optimality-criteria step, and the loop of those peers that replace some of its steps by a guess.

use super::truth::{Ended, Truth, required_volume};
use crate::domain::{BoundsRef, Domain, Volume, volume_scale};
use crate::error::Result;
use crate::flow::OptimalityCriteria;
use crate::linalg::dist_inf;

/// The first step that may be replaced, and the period in steps. They are the same for every accelerator, so
/// that accelerators differ in their guesses alone.
pub(super) const FIRST: usize = 20;
pub(super) const PERIOD: usize = 4;

/// Whether a step, counted from 1, may be replaced.
pub(super) fn is_replaced(step: usize) -> bool {
    step >= FIRST && step.is_multiple_of(PERIOD)
}

/// The optimality-criteria step on one feasible set.
pub(super) struct Criteria<'a> {
    flow: OptimalityCriteria,
    bounds: BoundsRef<'a>,
    volume: &'a Volume,
}

impl<'a> Criteria<'a> {
    pub(super) fn new(domain: &'a Domain) -> Result<Self> {
        let flow = OptimalityCriteria::default();
        Ok(Self { flow, bounds: domain.bounds(), volume: required_volume(domain)? })
    }

    /// The next iterate OC(x), given the gradient at x.
    pub(super) fn step(&self, x: &[f64], g: &[f64]) -> Vec<f64> {
        let weights = &self.volume.weights;
        let growth: Vec<f64> =
            (0..x.len()).map(|i| OptimalityCriteria::growth(x[i], g[i], weights[i])).collect();
        let clipped = |i: usize, scale: f64| {
            let [lower, upper] = self.bounds.at(i);
            self.flow.clip(x[i], growth[i], scale, lower, upper)
        };
        let at = |scale: f64| -> Vec<f64> { (0..x.len()).map(|i| clipped(i, scale)).collect() };
        at(volume_scale(|scale| self.volume.of(&at(scale)), self.volume.bound))
    }
}

/// The optimality-criteria loop. `guess(step, x, OC(x))` may offer another next iterate, which is made
/// feasible and evaluated. It is kept if the objective falls; otherwise it is undone, and the step is taken
/// from the last iterate.
pub(super) fn accelerated(
    truth: &mut Truth<'_>,
    domain: &Domain,
    start: &[f64],
    tolerance: f64,
    mut guess: impl FnMut(usize, &[f64], &[f64]) -> Result<Option<Vec<f64>>>,
) -> std::result::Result<(), Ended> {
    let criteria = Criteria::new(domain)?;
    let mut x = start.to_vec();
    let (mut f, mut g) = truth.evaluate(&x)?;
    for step in 1.. {
        let next = criteria.step(&x, &g);
        if dist_inf(&next, &x) <= tolerance {
            return Ok(());
        }
        // A guess that is not finite is dropped: the projection would turn it into some corner of the box.
        if let Some(landing) = guess(step, &x, &next)?.filter(|guess| guess.iter().all(|v| v.is_finite())) {
            let landing = domain.project(&landing);
            let (value, gradient) = truth.evaluate(&landing)?;
            if value < f {
                (x, f, g) = (landing, value, gradient);
                continue;
            }
        }
        (f, g) = truth.evaluate(&next)?;
        x = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Course, Peer};
    use super::*;
    use crate::error::ObjectiveError;
    use crate::objective::Objective;

    /// −2 Σ aᵢ √xᵢ with Σ xᵢ = 3/2: OC shrinks the logarithms' distances to the minimiser, xᵢ ~ aᵢ², by 3/4 a
    /// step.
    struct Roots;

    const SIZES: [f64; 3] = [1.0, 1.2, 0.8];

    impl Objective for Roots {
        fn dimension(&self) -> usize {
            3
        }
        fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> std::result::Result<f64, ObjectiveError> {
            (0..3).for_each(|i| gradient[i] = -SIZES[i] / x[i].sqrt());
            Ok((0..3).map(|i| -2.0 * SIZES[i] * x[i].sqrt()).sum())
        }
        fn domain(&self) -> Domain {
            Domain::uniform_with_volume(0.0, 1.0, vec![1.0; 3], 1.5)
        }
    }

    const START: [f64; 3] = [0.1, 0.5, 0.9];
    const TOLERANCE: f64 = 1e-5;

    fn plain() -> Course {
        let domain = Roots.domain();
        let (mut objective, mut observer) = (Roots, ());
        let mut truth = Truth::new(&mut objective, &mut observer, 300);
        assert!(accelerated(&mut truth, &domain, &START, TOLERANCE, |_, _, _| Ok(None)).is_ok());
        truth.course
    }

    #[test]
    fn guesses_shorten_slow_convergence() {
        let plain = plain();
        let exact = SIZES.map(|a| 1.5 * a * a / SIZES.iter().map(|a| a * a).sum::<f64>());
        for peer in [Peer::Extrapolation, Peer::Dmd] {
            let course = peer.minimize(&mut Roots, &START, 300, TOLERANCE, &mut ()).unwrap();
            assert!(
                course.history.len() < plain.history.len(),
                "{}: {} against {}",
                peer.name(),
                course.history.len(),
                plain.history.len()
            );
            // Steps that shrink by 3/4 have 1/(1 − 3/4) times the last one to go.
            assert!(dist_inf(&course.x, &exact) <= 4.0 * TOLERANCE, "{}: {:?}", peer.name(), course.x);
        }
    }

    #[test]
    fn a_guess_that_rises_is_counted_and_undone() {
        let domain = Roots.domain();
        let (mut objective, mut observer) = (Roots, ());
        let mut truth = Truth::new(&mut objective, &mut observer, 300);
        // One guess leads back to the start, the other is not finite; both come at the fifth step or later.
        let guess = |step: usize, _: &[f64], _: &[f64]| {
            Ok(match step {
                5 => Some(START.to_vec()),
                6 => Some(vec![f64::NAN; 3]),
                _ => None,
            })
        };
        assert!(accelerated(&mut truth, &domain, &START, TOLERANCE, guess).is_ok());
        let (plain, mut values) =
            (plain(), truth.course.history.iter().map(|e| e.objective).collect::<Vec<_>>());
        assert_eq!(values.remove(5), plain.history[0].objective);
        assert_eq!(values, plain.history.iter().map(|e| e.objective).collect::<Vec<_>>());
    }
}
