//! What a user would pick instead: optimizers without a learned flow, for benchmarks.
//!
//! All of them minimise an [`Objective`] on a box, or a box with one volume bound, from a feasible start, and count every true evaluation, trial points
//! of line searches included.
//!
//! | peer | what it is | source |
//! |---|---|---|
//! | [`Peer::Anderson`] | OC, every fourth step replaced by Anderson mixing | Pratapa, Suryanarayana & Pask, J. Comput. Phys. 306 (2016) 43 |
//! | [`Peer::Spg`] | spectral projected gradient, non-monotone line search | Birgin, Martínez & Raydan, SIAM J. Optim. 10 (2000) 1196 |
//! | [`Peer::Pqn`] | projected quasi-Newton: an L-BFGS model minimised by SPG | Schmidt, van den Berg, Friedlander & Murphy, AISTATS 2009 |
//! | [`Peer::Mma`] | method of moving asymptotes | Svanberg, Int. J. Numer. Meth. Eng. 24 (1987) 359 |

mod anderson;
mod feasible;
mod mma;
mod pqn;
mod spg;

use crate::error::{Error, Result};
use crate::objective::Objective;
use crate::report::HistoryEntry;
use feasible::Feasible;

/// A peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Optimality criteria with periodic Anderson mixing (every 4th step from the 20th on, depth 4, damping 0.9, made feasible again).
    Anderson,
    /// Spectral projected gradient.
    Spg,
    /// Projected quasi-Newton.
    Pqn,
    /// Moving asymptotes.
    Mma,
}

impl Peer {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anderson => "oc-anderson",
            Self::Spg => "spg",
            Self::Pqn => "pqn",
            Self::Mma => "mma",
        }
    }

    /// Minimises `objective` from `start` with `budget` true evaluations, until a step changes no unknown by more than `tolerance`.
    ///
    /// # Errors
    /// [`Error::Incompatible`] for an unbounded domain (or, with Anderson and MMA, one without a volume bound), and [`Error::Start`] if an
    /// evaluation fails.
    pub fn minimize(self, objective: &mut dyn Objective, start: &[f64], budget: usize, tolerance: f64) -> Result<Course> {
        let feasible = Feasible::new(objective.domain())?;
        let mut truth = Truth::new(objective, budget);
        let outcome = match self {
            Self::Anderson => anderson::minimize(&mut truth, &feasible, start, tolerance),
            Self::Spg => spg::minimize(&mut truth, &feasible, start, tolerance),
            Self::Pqn => pqn::minimize(&mut truth, &feasible, start, tolerance),
            Self::Mma => mma::minimize(&mut truth, &feasible, start, tolerance),
        };
        match outcome {
            Ok(()) | Err(Ended::Budget) => Ok(truth.course),
            Err(Ended::Fault(error)) => Err(error),
        }
    }
}

/// What a peer did.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The best iterate.
    pub x: Vec<f64>,
    /// Its value.
    pub objective: f64,
    /// Every true evaluation, trial points included.
    pub history: Vec<HistoryEntry>,
}

/// Why a peer stops early.
enum Ended {
    Budget,
    Fault(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

/// The objective, counted.
struct Truth<'a> {
    objective: &'a mut dyn Objective,
    budget: usize,
    course: Course,
}

impl<'a> Truth<'a> {
    fn new(objective: &'a mut dyn Objective, budget: usize) -> Self {
        Self { objective, budget, course: Course { x: Vec::new(), objective: f64::INFINITY, history: Vec::new() } }
    }

    /// f(x) and its gradient.
    fn evaluate(&mut self, x: &[f64]) -> std::result::Result<(f64, Vec<f64>), Ended> {
        let evaluation = self.course.history.len() + 1;
        if evaluation > self.budget {
            return Err(Ended::Budget);
        }
        let mut gradient = vec![0.0; x.len()];
        let value = self.objective.evaluate(x, &mut gradient).map_err(Error::Start)?;
        self.course.history.push(HistoryEntry { evaluation, iteration: evaluation - 1, objective: value, accepted: true });
        if value < self.course.objective {
            self.course.objective = value;
            self.course.x = x.to_vec();
        }
        Ok((value, gradient))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, v| m.max(v.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ObjectiveError;
    use crate::objective::Domain;

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
        let at = |mu: f64| -> Vec<f64> { (0..6).map(|i| (CENTER[i] - mu / SPECTRUM[i]).clamp(0.0, 1.0)).collect() };
        let (mut low, mut high) = (0.0, 1000.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if at(middle).iter().sum::<f64>() > volume { low = middle } else { high = middle }
        }
        at(high)
    }

    #[test]
    fn peers_find_the_constrained_minimum() {
        let volume = 2.0;
        let exact = solution(volume);
        let domain = Domain::BoxVolume { lower: 0.0, upper: 1.0, weights: vec![1.0; 6], volume };
        for peer in [Peer::Spg, Peer::Pqn, Peer::Mma] {
            let course = peer.minimize(&mut Target { domain: domain.clone() }, &[volume / 6.0; 6], 300, 1e-10).unwrap();
            let error = largest(&difference(&course.x, &exact));
            assert!(error < 1e-5, "{}: off by {error:e} after {} evaluations: {:?}", peer.name(), course.history.len(), course.x);
            assert!(course.x.iter().sum::<f64>() <= volume * (1.0 + 1e-9), "{}", peer.name());
        }
        let unbounded = Peer::Spg.minimize(&mut Target { domain: Domain::Unbounded }, &[0.0; 6], 9, 0.0);
        assert!(matches!(unbounded, Err(Error::Incompatible(_))));
    }

    #[test]
    fn a_budget_is_kept_to_the_last_trial_point() {
        let domain = Domain::BoxVolume { lower: 0.0, upper: 1.0, weights: vec![1.0; 6], volume: 2.0 };
        for peer in [Peer::Spg, Peer::Pqn, Peer::Mma] {
            let course = peer.minimize(&mut Target { domain: domain.clone() }, &[1.0 / 3.0; 6], 7, 0.0).unwrap();
            assert_eq!(course.history.len(), 7, "{}", peer.name());
        }
    }
}
