//! A learned field: the gradient is fitted to recorded samples, and the base flow runs on the model between
//! true evaluations.

use serde::{Deserialize, Serialize};

use super::fixed::consecutive;
use super::outcome::Outcome;
use super::truth::{Attempt, Ended, Judged, Truth};
use super::{Adaptive, Fixed};
use crate::engine::{Engine, NumberFormat, PhaseEnd, PhaseLimits};
use crate::error::{Error, Result};
use crate::flow::{Flow, OptimalityCriteria};
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::surrogate::{Integrator, ModelSelection, SurrogateConfig, TargetTransform, Targets};

/// When true gradients are computed for a learned field.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cadence {
    /// K true iterations, M − K surrogate iterations, and so on, as in the paper.
    Fixed(Fixed),
    /// A rolling window of samples, short true phases, and a horizon and damping that follow how well the
    /// last phase predicted.
    Adaptive(Adaptive),
}

impl Cadence {
    /// How many samples the history holds.
    pub fn capacity(&self) -> usize {
        match self {
            Self::Fixed(fixed) => fixed.history,
            Self::Adaptive(adaptive) => adaptive.window,
        }
    }
}

/// A learned field: the base flow steps on a model of its gradient between true evaluations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The base flow of the run.
    pub flow: Flow,
    /// What is learned: the variables, the library, the targets and the regression.
    pub surrogate: SurrogateConfig,
    /// When true gradients are computed.
    pub cadence: Cadence,
    /// Whether order, rank and ridge are chosen anew at each refit.
    pub selection: Option<ModelSelection>,
    /// How the learned flow is integrated.
    pub integrator: Integrator,
}

impl Field {
    /// `surrogate` under `flow` at `cadence`, replaying the flow's own step, without selection.
    pub fn new(flow: Flow, surrogate: SurrogateConfig, cadence: Cadence) -> Self {
        Self { flow, surrogate, cadence, selection: None, integrator: Integrator::FlowStep }
    }

    /// The same with the default adaptive cadence.
    pub fn adaptive(flow: Flow, surrogate: SurrogateConfig) -> Self {
        Self::new(flow, surrogate, Cadence::Adaptive(Adaptive::default()))
    }

    /// What structures with a sensitivity filter are optimized by: an adaptive field over the optimality
    /// criteria, learned from 8 iterates with 16 steps in the first phase.
    pub fn of_criteria() -> Self {
        let criteria = Flow::OptimalityCriteria(OptimalityCriteria::default());
        let cadence = Cadence::Adaptive(Adaptive::with_window(8, 24));
        Self::new(criteria, SurrogateConfig::topology(), cadence)
    }

    /// The same with the paper's cadence of `history` true iterations of every `interval`.
    pub fn fixed(flow: Flow, surrogate: SurrogateConfig, history: usize, interval: usize) -> Self {
        Self::new(flow, surrogate, Cadence::Fixed(Fixed::new(history, interval)))
    }

    /// The largest number of directions that a fit keeps.
    pub(super) fn max_rank(&self) -> Option<usize> {
        let capacity = self.cadence.capacity();
        match self.selection {
            None => Some(self.surrogate.space.most_directions(capacity)),
            Some(selection) => selection
                .candidates(&self.surrogate, capacity)
                .iter()
                .map(|candidate| candidate.space.most_directions(capacity))
                .max(),
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let is_tracked = self.surrogate.targets == Targets::Tracked;
        match &self.cadence {
            Cadence::Fixed(fixed) => {
                if fixed.record_after_step && is_tracked {
                    return Err(Error::only_with(
                        "recording after the step",
                        "strong- and weak-form targets: a tracked gradient belongs to the point before it",
                    ));
                }
                fixed.validate()?;
            }
            Cadence::Adaptive(adaptive) => {
                if !is_tracked {
                    return Err(consecutive());
                }
                adaptive.validate()?;
            }
        }
        let capacity = self.cadence.capacity();
        validate_model(&self.flow, &self.surrogate, self.integrator, capacity)?;
        if let Some(selection) = &self.selection {
            selection.validate(&self.surrogate, capacity)?;
            for candidate in selection.candidates(&self.surrogate, capacity) {
                candidate.validate(&self.flow, capacity)?;
            }
        }
        Ok(())
    }
}

/// Checks what is learned, and how it is integrated, with a history of `capacity`.
pub(super) fn validate_model(
    flow: &Flow,
    surrogate: &SurrogateConfig,
    integrator: Integrator,
    capacity: usize,
) -> Result<()> {
    surrogate.validate(flow, capacity)?;
    integrator.validate()?;
    if integrator != Integrator::FlowStep && flow.equation_vectors() == 0 {
        return Err(Error::only_with(
            format!("the {} flow", flow.name()),
            "its own step as the integrator: it is a discrete map, not a differential equation",
        ));
    }
    Ok(())
}

/// Whether a landing at the value `landed` is at most `tolerance`, relative, worse than `trusted`.
pub(super) fn is_no_worse(trusted: f64, landed: f64, tolerance: f64) -> bool {
    landed <= trusted + tolerance * trusted.abs()
}

/// The state of a field's cadence between two pieces of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cycle {
    settings: Field,
    /// Surrogate steps of the next phase.
    horizon: usize,
    /// The damping of logarithmic targets.
    damping: Option<f64>,
    /// True evaluations since the last landing (or the start), the landing's own included.
    fresh: usize,
}

impl Cycle {
    pub(super) fn new(settings: Field) -> Self {
        let horizon = match settings.cadence {
            Cadence::Fixed(fixed) => fixed.interval - fixed.history,
            Cadence::Adaptive(adaptive) => adaptive.horizon,
        };
        let damping = match settings.surrogate.transform {
            TargetTransform::LogDamped { damping } => Some(damping),
            TargetTransform::Identity => None,
        };
        Self { settings, horizon, damping, fresh: 0 }
    }

    /// The surrogate configuration for the next fit.
    fn surrogate(&self) -> SurrogateConfig {
        match self.damping {
            Some(damping) => SurrogateConfig {
                transform: TargetTransform::LogDamped { damping },
                ..self.settings.surrogate
            },
            None => self.settings.surrogate,
        }
    }

    /// Whether the next step is to be followed by a surrogate phase, and how far that may go.
    fn phase(&self, samples: usize) -> Option<PhaseLimits> {
        let (is_due, radius) = match self.settings.cadence {
            Cadence::Fixed(fixed) => (samples == fixed.history && self.horizon > 0, f64::INFINITY),
            Cadence::Adaptive(adaptive) => {
                (self.fresh >= adaptive.true_steps && samples >= adaptive.warm_up, adaptive.trust_radius)
            }
        };
        is_due.then_some(PhaseLimits { steps: self.horizon, radius, integrator: self.settings.integrator })
    }

    /// Whether a sample is taken after the true step instead of before it.
    fn records_after_step(&self) -> bool {
        matches!(self.settings.cadence, Cadence::Fixed(Fixed { record_after_step: true, .. }))
    }

    /// Whether the history is dropped when a phase has landed (the paper's flush) instead of rolling on.
    fn flushes(&self) -> bool {
        matches!(self.settings.cadence, Cadence::Fixed(_))
    }

    /// The tolerance of landings; none where they are not checked.
    fn landing_tolerance(&self) -> Option<f64> {
        match self.settings.cadence {
            Cadence::Fixed(fixed) => fixed.landing_check.then_some(fixed.landing_tolerance),
            Cadence::Adaptive(adaptive) => Some(adaptive.landing_tolerance),
        }
    }

    /// Learns from a phase.
    fn landed(&mut self, outcome: Outcome) {
        self.fresh = 0;
        match self.settings.cadence {
            Cadence::Fixed(fixed) => self.horizon = fixed.next_horizon(self.horizon, outcome),
            Cadence::Adaptive(adaptive) => {
                self.horizon = adaptive.next_horizon(self.horizon, outcome);
                self.damping = self.damping.map(|a| adaptive.next_damping(a, outcome));
            }
        }
    }

    /// A true step of the base flow, or a surrogate phase when one is due.
    pub(super) fn advance<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
    ) -> Result<(), Ended> {
        truth.stop_where_settled()?;
        truth.step()?;
        if self.records_after_step() {
            truth.engine.record()?;
        }
        match self.phase(truth.engine.samples()) {
            Some(limits) => {
                truth.require_budget()?;
                self.surrogate_phase(truth, limits)
            }
            None => {
                let change = truth.read_true_step()?;
                truth.require_budget()?;
                self.true_step(truth, change)
            }
        }
    }

    /// Evaluates where the base flow's step has led.
    fn true_step<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
        change: f64,
    ) -> Result<(), Ended> {
        let value = truth.evaluate()?;
        self.enter(truth, value, change)
    }

    /// Trusts what was just evaluated at x; it is a sample.
    pub(super) fn enter<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
        value: f64,
        change: f64,
    ) -> Result<(), Ended> {
        let entry = truth.enter(value, true);
        self.sample(truth)?;
        self.settle(truth, value)?;
        truth.tell_true_step(entry, change)
    }

    /// Records what was just evaluated, unless samples are taken after the step.
    fn sample<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
    ) -> Result<(), Ended> {
        if truth.has_changed() {
            // Samples of an old revision are not learned from, and how well it was predicted says nothing
            // about the new one.
            truth.engine.forget();
            *self = Self::new(self.settings);
        }
        if !self.records_after_step() {
            truth.engine.record()?;
        }
        Ok(())
    }

    fn settle<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
        value: f64,
    ) -> Result<(), Ended> {
        self.fresh += 1;
        truth.settle(value)
    }

    /// Fits, integrates, evaluates the landing, and keeps or undoes it.
    fn surrogate_phase<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
        limits: PhaseLimits,
    ) -> Result<(), Ended> {
        let base = self.surrogate();
        let (surrogate, selection) = match self.settings.selection {
            None => (base, None),
            Some(selection) => {
                let candidates = selection.candidates(&base, truth.engine.samples());
                let found = truth.engine.select(&candidates, selection.folds)?;
                match found.winner() {
                    Some(winner) => (candidates[winner], Some(found.verdict(&candidates, winner))),
                    None => {
                        log::debug!(
                            "no candidate predicts better than the gradient staying as it is: {found:?}"
                        );
                        let change = truth.read_true_step()?;
                        return self.true_step(truth, change);
                    }
                }
            }
        };
        let fit = truth.engine.fit(&surrogate)?;
        let rows = surrogate.targets.rows(fit.samples);
        // In f32 the refit keeps the ridge, so the warning is for f64 only.
        if !truth.has_phases()
            && surrogate.regression.refit
            && fit.features >= rows
            && truth.engine.info().state == NumberFormat::F64
        {
            log::warn!(
                "the final refit without ridge has {} features for {rows} rows, which makes a surrogate that \
                 reproduces its samples and nothing else; keep the ridge (refit = false), or lower the order \
                 or the rank",
                fit.features
            );
        }
        truth.tell(Event::Fitted { fit })?;
        truth.engine.integrate(limits)?;
        let landing = truth.read()?;
        if landing.steps == 0 && landing.end != PhaseEnd::NonFinite {
            // The true step itself has left the trust radius: it is a true step like any other.
            let change = truth.check_true_step(&landing)?;
            return self.true_step(truth, change);
        }
        self.land(truth, Attempt { fit, selection, horizon: limits.steps, damping: self.damping, landing })
    }

    /// Evaluates the landing of a surrogate phase, and keeps or undoes it.
    fn land<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
        attempt: Attempt,
    ) -> Result<(), Ended> {
        let (landing, horizon) = (attempt.landing, attempt.horizon);
        let tolerance = self.landing_tolerance();
        let judged: Judged = truth.judge(attempt, tolerance.is_some(), |trusted, landed, _| {
            tolerance.is_none_or(|tolerance| is_no_worse(trusted, landed, tolerance))
        })?;
        if self.flushes() {
            truth.engine.forget();
        }
        self.landed(Outcome {
            accepted: judged.accepted,
            agreement: judged.agreement,
            whole_horizon: landing.end == PhaseEnd::Horizon && landing.steps == horizon,
        });
        match judged.value {
            Some(value) if judged.accepted => {
                self.sample(truth)?;
                self.settle(truth, value)?;
            }
            value => {
                if value.is_some() && !self.flushes() {
                    // The true gradient at an undone landing is a sample to learn from all the same.
                    self.sample(truth)?;
                }
                truth.undo()?;
                if self.flushes() {
                    // The restored state has the trusted gradient.
                    if !self.records_after_step() {
                        truth.engine.record()?;
                    }
                    self.fresh += 1;
                }
            }
        }
        if truth.leave(&judged)? {
            truth.check_budget()?;
            let value = truth.evaluate()?;
            self.enter(truth, value, 0.0)?;
        }
        Ok(())
    }
}
