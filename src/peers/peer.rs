//! The choice of a peer.

use super::truth::{Course, Ended, Truth};
use super::{anderson, anderson_descent, dmd, extrapolation, lbfgs, lbfgs_sigmoid, mma, pqn, simpl, spg};
use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::objective::Objective;
use crate::observe::Observer;

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
        let truth = Truth::new(objective, observer, budget);
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
