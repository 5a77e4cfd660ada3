//! What the cycles of all methods share: true evaluations, trusting and undoing, counts, and the ways to end.
//!
//! Vectors of length d live in the engine. The host holds two of them, x and the gradient as the objective
//! reads and writes them (16 bytes per unknown), and decides by scalars that the engine sums up.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::{Method, Settled, Stopping};
use crate::domain::{Domain, kkt_residual};
use crate::engine::{Engine, Fit, GradientSummary, Landing, PhaseEnd, Samples, Setup, Traffic};
use crate::error::{Error, ObjectiveError, Result};
use crate::objective::Objective;
use crate::record::{Event, HistoryEntry, Observer, PhaseEntry, Report, StopReason, Verdict};

/// The reason why a run ends. `Err(Ended::Stop)` leaves nested calls early and is no error.
pub(crate) enum Ended {
    Stop(StopReason),
    Fault(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

/// The scalars of the trusted iterate, whose vectors are in the engine.
struct Trusted {
    value: f64,
    /// The largest entry of its gradient, max |gᵢ|.
    largest_gradient: f64,
    iteration: usize,
    /// The revision of the objective that `value` belongs to.
    revision: u64,
}

/// The results and the expenses of an earlier run, which this one continues.
#[derive(Default)]
struct Earlier {
    seconds: f64,
    traffic: Traffic,
    kkt_residual: Option<f64>,
    /// Its best iterate, as long as this run has found none better.
    best: Option<Vec<f64>>,
}

/// A surrogate phase that has ended on the engine and has not been judged by the truth.
pub(super) struct Attempt {
    pub fit: Fit,
    /// How the model's settings were selected, if they were.
    pub selection: Option<Verdict>,
    /// The steps that were allowed.
    pub horizon: usize,
    /// The damping of logarithmic targets.
    pub damping: Option<f64>,
    pub landing: Landing,
}

/// An attempt after its true evaluation.
pub(super) struct Judged {
    /// The true value; none if the landing was not finite or the objective could not be evaluated there.
    pub value: Option<f64>,
    pub accepted: bool,
    /// Whether the evaluation was of another revision of the objective than the trusted iterate's.
    pub changed: bool,
    /// True change over predicted change of the objective, where both are known.
    pub agreement: Option<f64>,
    phase: PhaseEntry,
    entry: Option<HistoryEntry>,
}

/// Gradients whose largest entry is within 2 to the power of ± this are given to the engine as they are.
/// Beyond, products of entries could leave the range of f32, and a floor on a gradient would be felt.
const PLAIN_EXPONENTS: f64 = 20.0;

/// What the objective answers; a panic is an error, so that the best design comes back all the same.
fn caught<T>(answer: impl FnOnce() -> Result<T, ObjectiveError>) -> Result<T, ObjectiveError> {
    // What the objective has broken of itself it may tell of by failing again; nothing of the run's own is
    // changed on the way.
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|cause| {
        let words = cause.downcast_ref::<&str>().copied();
        let words = words.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
        Err(format!("it panicked: {}", words.unwrap_or("without a word")).into())
    })
}

/// The largest unknown of a run beside its first unit of length, and the lowest value beside the size of the
/// first values: no minimum lies as far away.
const MOST_LENGTH: f64 = 1e30;
const MOST_VALUE: f64 = 1e100;

/// Multiplies every entry by a power of two, which is exact.
fn scale(values: &mut [f64], factor: f64) {
    if factor != 1.0 {
        values.par_chunks_mut(1 << 16).for_each(|part| part.iter_mut().for_each(|v| *v *= factor));
    }
}

/// A run between the objective, the engine and the observer. It is consistent only between two calls of a
/// cycle.
pub(crate) struct Truth<O, E, W> {
    pub(crate) objective: O,
    pub(crate) engine: E,
    pub(crate) observer: W,
    pub(super) stopping: Stopping,
    pub(super) domain: Domain,
    /// The flow steps by H⁻¹g, which is no gradient.
    steps_by_newton: bool,
    /// Whether no setting of the method has the unit of an unknown or of a gradient.
    is_free_of_units: bool,
    /// Whether the tolerance is a share of the unit of length.
    tolerance_is_relative: bool,
    /// The gradients that the engine sees are the objective's divided by this: a power of two, 1 unless the
    /// start's largest entry is far from 1.
    gradient_unit: f64,
    /// Whether the run records pairs, which are in the unit of gradient.
    has_pairs: bool,
    /// Whether the unit of gradient has been chosen, at the first evaluation.
    has_unit: bool,
    /// The largest unit of length of a trusted iterate so far: see [`Domain::unit_of_length`].
    unit_of_length: f64,
    /// The first such unit that was known; 0 before it is.
    first_unit: f64,
    /// x as the objective reads it.
    x: Vec<f64>,
    /// Whether `x` is the engine's iterate.
    is_current: bool,
    /// The gradient as the objective writes it; free for other use once the engine has it.
    gradient: Vec<f64>,
    /// max |gᵢ| at the latest evaluation.
    largest_gradient: f64,
    trusted: Trusted,
    /// The objective's revision at the latest evaluation.
    seen: u64,
    /// The value at x if that is to be trusted and the engine does not know yet.
    untrusted: Option<f64>,
    began: Instant,
    earlier: Earlier,
    /// The largest entry of the gradient where the newest revision began.
    first_slope: f64,
    changes: Vec<usize>,
    /// The length of the history when the newest revision began.
    revision_began: usize,
    best_value: f64,
    best_evaluation: usize,
    iteration: usize,
    evaluations: usize,
    history: Vec<HistoryEntry>,
    phases: Vec<PhaseEntry>,
    rejected: usize,
    surrogate_steps: usize,
    objective_time: Duration,
}

impl<O: Objective, E: Engine, W: Observer> Truth<O, E, W> {
    /// Checks what is given and starts the engine at `start`.
    pub(crate) fn new(
        method: &Method,
        stopping: Stopping,
        start: Vec<f64>,
        objective: O,
        mut engine: E,
        observer: W,
    ) -> Result<Self> {
        let began = Instant::now();
        let tolerance_is_relative = method.tolerance_is_relative();
        let (dimension, domain, flow) = (objective.dimension(), objective.domain(), method.engine_flow());
        if dimension == 0 {
            return Err(Error::invalid("the dimension", 0, "at least 1"));
        }
        if start.len() != dimension {
            return Err(Error::length("the starting point", start.len(), dimension));
        }
        if let Some(value) = start.iter().find(|v| !v.is_finite()) {
            return Err(Error::invalid("an entry of the starting point", value, "finite"));
        }
        domain.validate(dimension)?;
        domain.check_start(&start)?;
        flow.validate(&domain)?;
        let unit_of_length = domain.unit_of_length(&start).unwrap_or(0.0);
        engine.start(Setup {
            flow,
            domain: &domain,
            start: &start,
            capacity: method.capacity(),
            samples: method.samples(),
            directions: method.max_rank(),
        })?;
        let mut run = Self {
            objective,
            engine,
            observer,
            stopping,
            domain,
            steps_by_newton: flow.needs_newton_direction(),
            is_free_of_units: method.is_free_of_units(),
            tolerance_is_relative,
            gradient_unit: 1.0,
            has_pairs: method.samples() == Samples::Pairs,
            has_unit: false,
            unit_of_length,
            first_unit: unit_of_length,
            x: start,
            is_current: false,
            gradient: vec![0.0; dimension],
            largest_gradient: 0.0,
            trusted: Trusted { value: f64::INFINITY, largest_gradient: 0.0, iteration: 0, revision: 0 },
            seen: 0,
            untrusted: None,
            began,
            earlier: Earlier::default(),
            first_slope: 0.0,
            changes: Vec::new(),
            revision_began: 0,
            best_value: f64::INFINITY,
            best_evaluation: 0,
            iteration: 0,
            evaluations: 0,
            history: Vec::new(),
            phases: Vec::new(),
            rejected: 0,
            surrogate_steps: 0,
            objective_time: Duration::ZERO,
        };
        // The engine's own number format decides what x0 is (f32 on a GPU): the objective is evaluated there.
        run.refresh()?;
        Ok(run)
    }

    /// Takes over what an earlier run has counted and found.
    pub(crate) fn go_on_from(&mut self, report: &Report) {
        self.earlier = Earlier {
            seconds: report.wall_seconds,
            traffic: report.traffic,
            kkt_residual: report.kkt_residual,
            best: Some(report.x.clone()),
        };
        self.best_value = report.objective;
        self.best_evaluation = report.best_evaluation;
        self.first_slope = report.first_slope;
        self.changes.clone_from(&report.changes);
        let newest = report.changes.last().copied().unwrap_or(0);
        self.revision_began = report.history.partition_point(|e| e.evaluation < newest);
        self.iteration =
            report.history.iter().find(|e| e.evaluation == report.best_evaluation).map_or(0, |e| e.iteration);
        self.evaluations = report.true_evaluations;
        self.history.clone_from(&report.history);
        self.phases.clone_from(&report.phases);
        self.rejected = report.rejected;
        self.surrogate_steps = report.surrogate_steps;
        self.objective_time = Duration::try_from_secs_f64(report.objective_seconds).unwrap_or_default();
    }

    /// The results so far; the lists and the host's x are moved out.
    pub(crate) fn report(&mut self, stop: StopReason) -> Report {
        // The engine has failed between the evaluation of an iterate and its trust; x and the gradient are
        // still those.
        let untrusted = self.untrusted.take().filter(|value| self.is_best(*value));
        if let Some(value) = untrusted {
            self.keep(value, true);
        }
        let (x, gradient, kkt_residual) = match self.earlier.best.take() {
            Some(best) => (best, Vec::new(), self.earlier.kkt_residual),
            None => {
                self.x.resize(self.objective.dimension(), 0.0);
                // Both engines keep the best iterate in the host's memory: a lost device cannot take it.
                if untrusted.is_none()
                    && let Err(error) = self.engine.best(&mut self.x, &mut self.gradient)
                {
                    log::error!("the best iterate could not be read: {error}");
                }
                if untrusted.is_none() {
                    scale(&mut self.gradient, self.gradient_unit);
                }
                self.is_current = false;
                let is_relative = !self.steps_by_newton && self.first_slope > 0.0;
                let residual = || kkt_residual(&self.domain, &self.x, &self.gradient) / self.first_slope;
                let residual = is_relative.then(residual);
                let mut gradient = std::mem::take(&mut self.gradient);
                if self.steps_by_newton {
                    gradient = Vec::new();
                }
                (std::mem::take(&mut self.x), gradient, residual)
            }
        };
        let (before, now) = (self.earlier.traffic, self.engine.traffic());
        Report {
            x,
            gradient,
            kkt_residual,
            first_slope: self.first_slope,
            gradient_unit: self.gradient_unit,
            objective: self.best_value,
            best_evaluation: self.best_evaluation,
            true_evaluations: self.evaluations,
            changes: std::mem::take(&mut self.changes),
            rejected: self.rejected,
            surrogate_steps: self.surrogate_steps,
            stop,
            history: std::mem::take(&mut self.history),
            phases: std::mem::take(&mut self.phases),
            traffic: Traffic {
                readbacks: before.readbacks + now.readbacks,
                submits: before.submits + now.submits,
                dispatches: before.dispatches + now.dispatches,
            },
            engine: self.engine.info(),
            wall_seconds: self.seconds(),
            objective_seconds: self.objective_time.as_secs_f64(),
        }
    }

    /// Whether nothing has been evaluated successfully.
    pub(crate) fn is_empty(&self) -> bool {
        self.history.is_empty()
    }

    pub(crate) fn evaluations(&self) -> usize {
        self.evaluations
    }

    pub(crate) fn trusted_value(&self) -> f64 {
        self.trusted.value
    }

    /// The largest entry of the trusted iterate's gradient.
    pub(super) fn steepest(&self) -> f64 {
        self.trusted.largest_gradient
    }

    /// The largest entry of the gradient at the latest evaluation.
    pub(super) fn latest_slope(&self) -> f64 {
        self.largest_gradient
    }

    /// The revision of the objective that the trusted value is of.
    pub(super) fn revision(&self) -> u64 {
        self.trusted.revision
    }

    /// The change of the unknowns that a run has converged at, in their unit.
    pub(super) fn tolerance(&self) -> f64 {
        let unit = if self.tolerance_is_relative { self.unit_of_length } else { 1.0 };
        self.stopping.tolerance * unit
    }

    /// The unit of the objective's values as the engine sees them.
    pub(super) fn value_unit(&self) -> f64 {
        self.gradient_unit
    }

    /// The seconds since the start, an earlier run's included.
    fn seconds(&self) -> f64 {
        self.earlier.seconds + self.began.elapsed().as_secs_f64()
    }

    /// The engine's iterate, read if the host does not have it yet.
    pub(crate) fn design(&mut self) -> Result<&[f64]> {
        if !self.is_current {
            self.refresh()?;
        }
        Ok(&self.x)
    }

    fn refresh(&mut self) -> Result<()> {
        self.x.resize(self.objective.dimension(), 0.0);
        self.engine.read(&mut self.x)?;
        self.is_current = true;
        Ok(())
    }

    /// The first piece of a run: tells of it and evaluates x. `told` is what the observer wants done after.
    pub(super) fn evaluate_start(&mut self) -> Result<(f64, Result<(), Ended>), Ended> {
        let info = self.engine.info();
        let (dimension, max_evaluations) = (self.x.len(), self.stopping.max_evaluations);
        // An observer that ends the run at once still gets the start, evaluated.
        let told = self.tell(Event::Started { engine: &info, dimension, max_evaluations });
        if !self.history.is_empty() {
            self.check_budget()?;
        }
        let value = self.evaluate()?;
        self.trusted.revision = self.seen;
        Ok((value, told))
    }

    /// One step of the base flow with the state's gradient.
    pub(super) fn step(&mut self) -> Result<(), Ended> {
        self.engine.step()?;
        self.iteration += 1;
        Ok(())
    }

    /// Reads where the engine's steps have led; surrogate steps are counted.
    pub(super) fn read(&mut self) -> Result<Landing, Ended> {
        let mut landing = self.engine.read(&mut self.x)?;
        landing.predicted_change *= self.gradient_unit;
        self.is_current = true;
        self.iteration += landing.steps;
        self.surrogate_steps += landing.steps;
        Ok(landing)
    }

    /// Reads a step that is not to be evaluated into the gradient's memory, which is free until then.
    pub(super) fn read_aside(&mut self) -> Result<Landing, Ended> {
        self.is_current = false;
        Ok(self.engine.read(&mut self.gradient)?)
    }

    /// How the step that was [read aside](Self::read_aside) compares with the one that led to x.
    pub(super) fn compare_with_aside(&mut self) -> Result<crate::engine::StepComparison, Ended> {
        Ok(self.engine.compare(&self.gradient)?)
    }

    /// Reads where a step of the base flow has led, and ends the run where it has come to rest or diverged;
    /// max |Δx|.
    pub(super) fn read_true_step(&mut self) -> Result<f64, Ended> {
        let landing = self.read()?;
        self.check_true_step(&landing)
    }

    /// The same for a step that has been read.
    pub(super) fn check_true_step(&mut self, landing: &Landing) -> Result<f64, Ended> {
        if !landing.is_finite {
            return Err(Ended::Stop(StopReason::Diverged { iteration: self.iteration }));
        }
        if landing.change <= self.tolerance() {
            return Err(Ended::Stop(self.came_to_rest(landing.change)));
        }
        Ok(landing.change)
    }

    pub(super) fn came_to_rest(&self, change: f64) -> StopReason {
        let first = self.history.get(self.revision_began).map_or(1, |e| e.evaluation);
        let improved = self.evaluations == first || self.best_evaluation > first;
        if improved {
            StopReason::Converged { change, tolerance: self.tolerance() }
        } else {
            StopReason::Stalled { evaluations: self.evaluations }
        }
    }

    /// Ends a run whose budget does not allow the evaluation of the iterate that was just read, and puts the
    /// trusted one back. It comes after the test for convergence: a run that has converged on its last
    /// evaluation says so.
    pub(super) fn require_budget(&mut self) -> Result<(), Ended> {
        let outcome = self.check_budget();
        if outcome.is_err() {
            self.restore()?;
            self.is_current = false;
        }
        outcome
    }

    pub(super) fn check_budget(&self) -> Result<(), Ended> {
        let limit = self.stopping.max_evaluations;
        if self.evaluations >= limit {
            return Err(Ended::Stop(StopReason::MaxEvaluations { limit }));
        }
        match self.stopping.max_seconds {
            Some(seconds) if self.seconds() >= seconds => Err(Ended::Stop(StopReason::TimeSpent { seconds })),
            _ => Ok(()),
        }
    }

    /// Ends a run that has settled. The residual is computed only where the values have settled: it takes the
    /// host some fifty passes over x and its gradient.
    pub(super) fn stop_where_settled(&self) -> Result<(), Ended> {
        let Some(Settled { evaluations, change, .. }) = self.stopping.settled else { return Ok(()) };
        // Values of earlier revisions are of another function.
        let comparable = &self.history[self.revision_began..];
        let Some(earlier) = comparable.len().checked_sub(evaluations + 1) else { return Ok(()) };
        let before = comparable[..=earlier]
            .iter()
            .filter(|e| e.accepted)
            .map(|e| e.objective)
            .fold(f64::INFINITY, f64::min);
        if before - self.best_value <= change * self.best_value.abs() && !self.is_steep() {
            return Err(Ended::Stop(StopReason::Settled { change, evaluations }));
        }
        Ok(())
    }

    /// Whether the KKT residual at the iterate that was just evaluated and trusted is larger than settled
    /// values may have, if the rule for them names one. Where the latest landing was undone nothing is asked:
    /// steps that fail are no way down, however steep it is.
    fn is_steep(&self) -> bool {
        let is_steep = |most: f64| kkt_residual(&self.domain, &self.x, &self.gradient) > most;
        self.is_current && self.most_residual().is_some_and(is_steep)
    }

    /// Whether the KKT residual at the best iterate is larger than settled values may have, if the rule for
    /// them names one.
    pub(super) fn is_steep_at_best(&mut self) -> Result<bool> {
        let Some(most) = self.most_residual() else { return Ok(false) };
        let d = self.objective.dimension();
        let (mut x, mut gradient) = (vec![0.0; d], vec![0.0; d]);
        self.engine.best(&mut x, &mut gradient)?;
        scale(&mut gradient, self.gradient_unit);
        Ok(kkt_residual(&self.domain, &x, &gradient) > most)
    }

    /// The largest KKT residual that settled values may have, if the rule for them names one.
    fn most_residual(&self) -> Option<f64> {
        let most = self.stopping.settled.and_then(|settled| settled.residual);
        most.filter(|_| !self.steps_by_newton && self.first_slope > 0.0).map(|most| most * self.first_slope)
    }

    /// One true evaluation at x; the engine has the gradient (or Newton direction) afterwards.
    pub(super) fn evaluate(&mut self) -> Result<f64, Ended> {
        if !self.is_current {
            self.refresh()?;
        }
        let began = Instant::now();
        let Self { objective, x, gradient, .. } = self;
        let mut outcome = caught(|| objective.evaluate(x, gradient));
        if self.steps_by_newton
            && let Ok(value) = outcome
            && value.is_finite()
        {
            outcome = caught(|| objective.newton_direction(x, gradient)).map(|()| value);
        }
        self.objective_time += began.elapsed();
        self.evaluations += 1;
        self.seen = self.objective.revision();
        let evaluation = self.evaluations;
        let what = match &outcome {
            Ok(value) if !value.is_finite() => Some("value"),
            Ok(_) => (!self.hand_over_gradient()?).then_some("gradient"),
            Err(_) => None,
        };
        let reason = match (outcome, what) {
            (Ok(value), None) => return Ok(value),
            (Ok(_), Some(what)) => StopReason::NonFinite { what: what.into(), evaluation },
            (Err(error), _) => {
                if self.history.is_empty() {
                    return Err(Ended::Fault(Error::Start(error)));
                }
                StopReason::ObjectiveFailed { message: error.to_string(), evaluation }
            }
        };
        if self.history.is_empty() {
            let message = format!("it returned a non-finite {}", what.unwrap_or("value"));
            return Err(Ended::Fault(Error::Start(ObjectiveError::from(message))));
        }
        Err(Ended::Stop(reason))
    }

    /// Gives the engine the gradient, in the engine's unit; returns whether it is finite.
    fn hand_over_gradient(&mut self) -> Result<bool> {
        let mut summary = self.set_gradient()?;
        let exponent = summary.largest.log2();
        let is_first = !std::mem::replace(&mut self.has_unit, true);
        if is_first && self.is_free_of_units && exponent.is_finite() && exponent.abs() > PLAIN_EXPONENTS {
            self.gradient_unit = exponent.round().exp2();
            // Pairs that were learned elsewhere are in the objective's unit.
            let pairs = if self.has_pairs { self.engine.pairs()? } else { Vec::new() };
            self.engine.forget();
            for pair in pairs {
                self.engine.put_pair(&pair.times(1.0 / self.gradient_unit))?;
            }
            summary = self.set_gradient()?;
        }
        self.largest_gradient = summary.largest * self.gradient_unit;
        Ok(summary.is_finite)
    }

    /// Sets the engine's gradient, in its unit; the host's stays in the objective's.
    fn set_gradient(&mut self) -> Result<GradientSummary> {
        scale(&mut self.gradient, 1.0 / self.gradient_unit);
        let summary = self.engine.set_gradient(&self.gradient);
        scale(&mut self.gradient, self.gradient_unit);
        summary
    }

    /// Whether the latest evaluation was of another revision of the objective than the trusted iterate's.
    pub(super) fn has_changed(&self) -> bool {
        self.seen != self.trusted.revision
    }

    /// Evaluates where a surrogate phase has led and judges it by `accepts`, which gets the trusted value,
    /// the landing's and the agreement of true and predicted change. Where landings are checked (`undoes`), a
    /// point at which the objective cannot be evaluated is a landing to be undone.
    pub(super) fn judge(
        &mut self,
        attempt: Attempt,
        undoes: bool,
        accepts: impl FnOnce(f64, f64, Option<f64>) -> bool,
    ) -> Result<Judged, Ended> {
        let Attempt { fit, selection, horizon, damping, landing } = attempt;
        let spent = self.evaluations;
        // A landing that is not finite costs no evaluation: it is simply undone.
        let is_usable = landing.end != PhaseEnd::NonFinite && landing.is_finite;
        let value = match is_usable.then(|| self.evaluate()) {
            None => None,
            Some(Err(Ended::Stop(reason))) if reason.is_fault() && undoes => {
                log::info!("a surrogate phase is undone: {reason}");
                None
            }
            Some(outcome) => Some(outcome?),
        };
        let changed = self.has_changed();
        let true_change = value.filter(|_| !changed).map(|value| value - self.trusted.value);
        // A Newton direction is no gradient: Σ (H⁻¹g)·Δx predicts nothing about f.
        let predicts = landing.predicted_change < 0.0 && !self.steps_by_newton;
        let agreement = true_change.filter(|_| predicts).map(|change| change / landing.predicted_change);
        let accepted = value.is_some_and(|value| changed || accepts(self.trusted.value, value, agreement));
        let phase = PhaseEntry {
            evaluation: spent,
            fit,
            residual: landing.fit_residual,
            horizon,
            steps: landing.steps,
            end: landing.end,
            damping,
            predicted_change: landing.predicted_change,
            true_change,
            accepted,
            selection,
        };
        self.phases.push(phase);
        let entry = value.map(|value| self.enter(value, accepted));
        Ok(Judged { value, accepted, changed, agreement, phase, entry })
    }

    /// Undoes a landing: the engine goes back to the trusted state.
    pub(super) fn undo(&mut self) -> Result<(), Ended> {
        self.rejected += 1;
        self.restore()
    }

    /// The engine goes back to the trusted state.
    pub(super) fn restore(&mut self) -> Result<(), Ended> {
        self.engine.restore()?;
        self.iteration = self.trusted.iteration;
        Ok(())
    }

    /// Reports a phase that was kept or undone. Returns whether the trusted iterate must be evaluated again:
    /// its value belongs to an earlier revision of the objective, and the new revision could not be evaluated
    /// elsewhere.
    pub(super) fn leave(&mut self, judged: &Judged) -> Result<bool, Ended> {
        log::debug!("{:?}", judged.phase);
        let event = Event::Landed { phase: judged.phase, entry: judged.entry, x: &self.x };
        tell(&mut self.observer, event)?;
        if judged.accepted {
            self.stop_at_target(self.trusted.value)?;
            return Ok(false);
        }
        self.is_current = false;
        Ok(judged.changed)
    }

    /// Adds an evaluation to the history.
    pub(super) fn enter(&mut self, objective: f64, accepted: bool) -> HistoryEntry {
        let entry =
            HistoryEntry { evaluation: self.evaluations, iteration: self.iteration, objective, accepted };
        self.history.push(entry);
        self.untrusted = accepted.then_some(objective);
        entry
    }

    /// The iterate that was just evaluated and entered is trusted.
    pub(super) fn settle(&mut self, value: f64) -> Result<(), Ended> {
        let (changed, is_best) = (self.has_changed(), self.is_best(value));
        self.engine.trust(is_best)?;
        self.untrusted = None;
        self.keep(value, is_best);
        self.stop_where_unbounded()?;
        if changed { self.tell(Event::Changed { evaluation: self.evaluations }) } else { Ok(()) }
    }

    /// Ends a run on the way to minus infinity, which would come to rest where numbers end.
    fn stop_where_unbounded(&self) -> Result<(), Ended> {
        let unbounded =
            |what: &str, found| Err(Ended::Stop(StopReason::Unbounded { what: what.to_string(), found }));
        if self.first_unit == 0.0 {
            return Ok(());
        }
        if self.unit_of_length > MOST_LENGTH * self.first_unit {
            return unbounded("an unknown", self.unit_of_length);
        }
        // The first value of the revision, and its change along the first unit of length.
        let first = self.history.get(self.revision_began).map_or(0.0, |entry| entry.objective.abs());
        let size = first + self.first_slope * self.first_unit;
        if size > 0.0 && self.trusted.value < -MOST_VALUE * size {
            return unbounded("the value", self.trusted.value);
        }
        Ok(())
    }

    /// Whether the iterate that was just evaluated and entered is the best one: values of another revision
    /// are not compared.
    fn is_best(&self, value: f64) -> bool {
        self.has_changed() || self.history.len() == 1 || value <= self.best_value
    }

    /// Keeps account of a trusted iterate, which was just evaluated and entered.
    fn keep(&mut self, value: f64, is_best: bool) {
        let changed = self.has_changed();
        if changed || self.history.len() == 1 {
            self.revision_began = self.history.len() - 1;
            self.first_slope = self.largest_gradient;
        }
        if self.tolerance_is_relative {
            let unit = self.domain.unit_of_length(&self.x).unwrap_or(0.0);
            self.unit_of_length = self.unit_of_length.max(unit);
            if self.first_unit == 0.0 {
                self.first_unit = unit;
            }
        }
        self.trusted = Trusted {
            value,
            largest_gradient: self.largest_gradient,
            iteration: self.iteration,
            revision: self.seen,
        };
        if is_best {
            self.best_value = value;
            self.best_evaluation = self.evaluations;
            self.earlier.best = None;
        }
        if changed {
            self.changes.push(self.evaluations);
        }
    }

    /// Reports a trusted step of the base flow, and ends the run at the target.
    pub(super) fn tell_true_step(&mut self, entry: HistoryEntry, change: f64) -> Result<(), Ended> {
        tell(&mut self.observer, Event::TrueStep { entry, x: &self.x, change })?;
        self.stop_at_target(entry.objective)
    }

    fn stop_at_target(&self, value: f64) -> Result<(), Ended> {
        match self.stopping.target {
            Some(target) if value <= target => Err(Ended::Stop(StopReason::TargetReached { target })),
            _ => Ok(()),
        }
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) -> Result<(), Ended> {
        tell(&mut self.observer, event)
    }

    /// Whether any surrogate phase has been judged.
    pub(super) fn has_phases(&self) -> bool {
        !self.phases.is_empty()
    }
}

fn tell<W: Observer>(observer: &mut W, event: Event<'_>) -> Result<(), Ended> {
    match observer.event(event) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Ended::Stop(StopReason::Interrupted)),
    }
}
