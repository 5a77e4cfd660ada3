//! What a user would pick instead: optimizers without a learned flow, for benchmarks.
//!
//! All of them minimise an [`Objective`] on a box, or a box with one volume bound, from a feasible start, but
//! for the last two, which want no bounds at all; and all count every true evaluation, trial points of line
//! searches included.
//!
//! - [`Peer::Anderson`]: OC, every fourth step replaced by Anderson mixing. Source: Pratapa, Suryanarayana &
//!   Pask, J. Comput. Phys. 306 (2016) 43.
//! - [`Peer::Spg`]: spectral projected gradient, non-monotone line search. Source: Birgin, Martínez & Raydan,
//!   SIAM J. Optim. 10 (2000) 1196.
//! - [`Peer::Pqn`]: projected quasi-Newton: an L-BFGS model minimised by SPG. Source: Schmidt, van den Berg,
//!   Friedlander & Murphy, AISTATS 2009.
//! - [`Peer::Mma`]: method of moving asymptotes. Source: Svanberg, Int. J. Numer. Meth. Eng. 24 (1987) 359.
//! - [`Peer::Simpl`]: mirror descent with the Fermi–Dirac entropy, spectral step, Armijo's rule. Source: Kim,
//!   Lazarov, Surowiec & Keith, arXiv 2411.19421; analysis: arXiv 2409.19341.
//! - [`Peer::LbfgsSigmoid`]: L-BFGS on a sigmoid's argument, augmented Lagrangian for the volume. Source:
//!   Nocedal, Math. Comput. 35 (1980) 773; Rockafellar, Math. Program. 5 (1973) 354.
//! - [`Peer::Extrapolation`]: OC, every fourth step replaced by its last difference, lengthened. Source:
//!   Aitken, Proc. R. Soc. Edinb. 46 (1926) 289.
//! - [`Peer::Dmd`]: OC, every fourth step replaced by 4 of a linear reduced model of OC. Source: Schmid, J.
//!   Fluid Mech. 656 (2010) 5; Tu et al., J. Comput. Dyn. 1 (2014) 391.
//! - [`Peer::Lbfgs`]: L-BFGS, line search by Wolfe's conditions. Source: Nocedal, Math. Comput. 35 (1980)
//!   773; Liu & Nocedal, Math. Program. 45 (1989) 503.
//! - [`Peer::AndersonDescent`]: gradient descent, every fourth step replaced by Anderson mixing, undone if
//!   worse. Source: Anderson, J. ACM 12 (1965) 547; Banerjee, Suryanarayana & Pask, Chem. Phys. Lett. 647
//!   (2016) 31.
//!
//! ```
//! use lgf::peers::Peer;
//! use lgf::problems::Rosenbrock;
//!
//! # fn main() -> lgf::Result<()> {
//! let mut chain = Rosenbrock { dimension: 2 };
//! let course = Peer::Lbfgs.minimize(&mut chain, &[-1.2, 1.0], 100, 1e-8, &mut ())?;
//! assert!(course.objective < 1e-12 && course.history.len() < 60);
//! # Ok(())
//! # }
//! ```

mod anderson;
mod anderson_descent;
mod criteria;
mod dmd;
mod extrapolation;
mod latent;
mod lbfgs;
mod lbfgs_sigmoid;
mod mma;
mod pqn;
mod simpl;
mod spg;

use std::ops::ControlFlow;

use crate::domain::{Domain, Volume};
use crate::error::{Error, ObjectiveError, Result};
use crate::linalg::norm_inf;
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::report::HistoryEntry;

/// A published method that LGF is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Optimality criteria with periodic Anderson mixing (every 4th step from the 20th on, depth 4, damping
    /// 0.9, made feasible again).
    Anderson,
    /// Spectral projected gradient, with a non-monotone line search.
    Spg,
    /// Projected quasi-Newton, its model minimised by projected steps.
    Pqn,
    /// The method of moving asymptotes.
    Mma,
    /// Sigmoidal mirror descent with a projected latent variable (SiMPL).
    Simpl,
    /// L-BFGS in the sigmoid's argument with an augmented Lagrangian for the volume bound. Its iterates may
    /// break that bound: these are evaluations that the history marks as not accepted, and are never
    /// returned.
    LbfgsSigmoid,
    /// Optimality criteria with periodic extrapolation (every 4th step from the 20th on, x + 4 Δx, made
    /// feasible; undone if the objective rises).
    Extrapolation,
    /// Optimality criteria with periodic dynamic mode decomposition (every 4th step from the 20th on, 4 steps
    /// of the model of the last 8, made feasible; undone if the objective rises).
    Dmd,
    /// L-BFGS without bounds (memory 10, weak Wolfe conditions).
    Lbfgs,
    /// Gradient descent without bounds, its rate found by backtracking, with periodic Anderson mixing (every
    /// 4th step, depth 5, undone if the objective does not fall).
    AndersonDescent,
}

impl Peer {
    /// The optimizer's name in tables and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anderson => "oc-anderson",
            Self::Spg => "spg",
            Self::Pqn => "pqn",
            Self::Mma => "mma",
            Self::Simpl => "simpl",
            Self::LbfgsSigmoid => "lbfgs-sigmoid",
            Self::Extrapolation => "oc-extrapolation",
            Self::Dmd => "oc-dmd",
            Self::Lbfgs => "l-bfgs",
            Self::AndersonDescent => "anderson",
        }
    }

    /// Minimises `objective` from `start` with `budget` true evaluations, until a step changes no unknown by
    /// more than `tolerance`; tells `observer` of every evaluation. An evaluation that fails or is not finite
    /// ends the run with what was reached, unless it is the first; the last two peers undo it and go on.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for an unbounded domain (or, with MMA and the peers
    /// built on OC, one without a volume bound; with the last two, one that is not unbounded), what is wrong
    /// with the domain, the start or the budget, and [`Error::Start`] if the start cannot be evaluated.
    pub fn minimize(
        self,
        objective: &mut dyn Objective,
        start: &[f64],
        budget: usize,
        tolerance: f64,
        observer: &mut dyn Observer,
    ) -> Result<Course> {
        let (dimension, domain) = (objective.dimension(), objective.domain());
        if start.len() != dimension || dimension == 0 {
            return Err(Error::length("the starting point", start.len(), dimension.max(1)));
        }
        if let Some(value) = start.iter().find(|v| !v.is_finite()) {
            return Err(Error::invalid("an entry of the starting point", value, "finite"));
        }
        if budget == 0 {
            return Err(Error::invalid("the budget of true evaluations", 0, "at least 1"));
        }
        domain.validate(dimension)?;
        domain.check_start(start)?;
        let truth = Truth {
            objective,
            observer,
            budget,
            spent: 0,
            course: Course { x: Vec::new(), objective: f64::INFINITY, history: Vec::new() },
        };
        let on_set: OnSet = match self {
            Self::Lbfgs | Self::AndersonDescent if domain != Domain::Unbounded => {
                return Err(Error::domain(self.name(), "an objective without bounds"));
            }
            Self::Lbfgs => return truth.end(|truth| lbfgs::minimize(truth, start, tolerance)),
            Self::AndersonDescent => {
                return truth.end(|truth| anderson_descent::minimize(truth, start, tolerance));
            }
            Self::Anderson => anderson::minimize,
            Self::Spg => spg::minimize,
            Self::Pqn => pqn::minimize,
            Self::Mma => mma::minimize,
            Self::Simpl => simpl::minimize,
            Self::LbfgsSigmoid => lbfgs_sigmoid::minimize,
            Self::Extrapolation => extrapolation::minimize,
            Self::Dmd => dmd::minimize,
        };
        if domain == Domain::Unbounded {
            return Err(Error::domain("this optimizer", "bounds"));
        }
        if !matches!(self, Self::Spg | Self::Pqn) {
            domain.require_widths(dimension, self.name())?;
        }
        truth.end(|truth| on_set(truth, &domain, start, tolerance))
    }
}

/// A peer that needs a feasible set: it, a start and a tolerance.
type OnSet = fn(&mut Truth<'_>, &Domain, &[f64], f64) -> std::result::Result<(), Ended>;

/// What a peer did.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The best iterate found, length d.
    pub x: Vec<f64>,
    /// The objective's value at x.
    pub objective: f64,
    /// Every true evaluation that returned a finite value and gradient, trial points included; not accepted
    /// are those at points that are not feasible.
    pub history: Vec<HistoryEntry>,
}

/// Why a peer stops early.
enum Ended {
    /// The budget is spent, the observer has enough, or an evaluation has failed.
    Early,
    Fault(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

/// The objective, with its evaluations counted and reported.
struct Truth<'a> {
    objective: &'a mut dyn Objective,
    observer: &'a mut dyn Observer,
    budget: usize,
    /// Evaluations, those that failed included.
    spent: usize,
    course: Course,
}

impl Truth<'_> {
    /// What a peer has reached when it ends.
    fn end(mut self, minimize: impl FnOnce(&mut Self) -> std::result::Result<(), Ended>) -> Result<Course> {
        match minimize(&mut self) {
            Ok(()) | Err(Ended::Early) => Ok(self.course),
            Err(Ended::Fault(error)) => Err(error),
        }
    }

    /// f(x) and its gradient at a feasible point.
    fn evaluate(&mut self, x: &[f64]) -> std::result::Result<(f64, Vec<f64>), Ended> {
        self.explore(x, true)
    }

    /// f(x) and its gradient. A point that is not feasible counts like any other, but is not accepted: it is
    /// no result, however low.
    fn explore(&mut self, x: &[f64], feasible: bool) -> std::result::Result<(f64, Vec<f64>), Ended> {
        match self.call(x, feasible)? {
            Ok(found) => Ok(found),
            Err(error) => {
                log::warn!("true evaluation {} failed ({error}); the best iterate is returned", self.spent);
                Err(Ended::Early)
            }
        }
    }

    /// f(x) and its gradient at a trial point that can be taken back; none if it cannot be evaluated.
    fn attempt(&mut self, x: &[f64]) -> std::result::Result<Option<(f64, Vec<f64>)>, Ended> {
        Ok(self
            .call(x, true)?
            .inspect_err(|error| log::info!("true evaluation {} is undone: {error}", self.spent))
            .ok())
    }

    /// One evaluation; the inner error is the objective's.
    fn call(
        &mut self,
        x: &[f64],
        feasible: bool,
    ) -> std::result::Result<std::result::Result<(f64, Vec<f64>), ObjectiveError>, Ended> {
        if self.spent == self.budget {
            return Err(Ended::Early);
        }
        self.spent += 1;
        let mut gradient = vec![0.0; x.len()];
        let value = match self.objective.evaluate(x, &mut gradient) {
            Ok(value) if value.is_finite() && gradient.iter().all(|g| g.is_finite()) => value,
            outcome => {
                let error = outcome
                    .err()
                    .unwrap_or_else(|| "it returned a value or gradient that is not finite".into());
                return if self.spent == 1 { Err(Error::Start(error).into()) } else { Ok(Err(error)) };
            }
        };
        let entry = HistoryEntry {
            evaluation: self.spent,
            iteration: self.spent - 1,
            objective: value,
            accepted: feasible,
        };
        self.course.history.push(entry);
        if feasible && value < self.course.objective {
            self.course.objective = value;
            self.course.x = x.to_vec();
        }
        match self.observer.event(Event::TrueStep { entry, x, change: 0.0 }) {
            ControlFlow::Continue(()) => Ok(Ok((value, gradient))),
            ControlFlow::Break(()) => Err(Ended::Early),
        }
    }
}

/// The volume constraint, for optimizers that cannot do without.
fn required_volume(domain: &Domain) -> Result<&Volume> {
    domain.volume().ok_or_else(|| Error::domain("this optimizer", "a volume bound"))
}

/// How far the first step without bounds moves the unknown with the largest gradient: a fifth of max(1, max
/// |x₀|), the first trust radius of a learned potential, so that all begin alike.
fn first_length(start: &[f64]) -> f64 {
    0.2 * norm_inf(start).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SettingsError;
    use crate::linalg::dist_inf;

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
        let at = |mu: f64| -> Vec<f64> {
            (0..6).map(|i| (CENTER[i] - mu / SPECTRUM[i]).clamp(0.0, 1.0)).collect()
        };
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
            let course = peer
                .minimize(&mut Target { domain: domain.clone() }, &[0.0; 6], 300, 1e-10, &mut ())
                .unwrap();
            let error = dist_inf(&course.x, &CENTER.map(|c| c.clamp(0.0, 1.0)));
            assert!(
                error < within(peer),
                "{}: off by {error:e} after {} evaluations: {:?}",
                peer.name(),
                course.history.len(),
                course.x
            );
        }
        let unbounded =
            Peer::Spg.minimize(&mut Target { domain: Domain::Unbounded }, &[0.0; 6], 9, 0.0, &mut ());
        assert!(matches!(unbounded, Err(Error::Settings(SettingsError::Domain { .. }))));
    }

    #[test]
    fn a_budget_is_kept_to_the_last_trial_point() {
        let domain = Domain::uniform_with_volume(0.0, 1.0, vec![1.0; 6], 2.0);
        for peer in [Peer::Spg, Peer::Pqn, Peer::Mma, Peer::Simpl, Peer::LbfgsSigmoid] {
            let course = peer
                .minimize(&mut Target { domain: domain.clone() }, &[1.0 / 3.0; 6], 7, 0.0, &mut ())
                .unwrap();
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
            fn evaluate(
                &mut self,
                x: &[f64],
                gradient: &mut [f64],
            ) -> std::result::Result<f64, ObjectiveError> {
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
}
