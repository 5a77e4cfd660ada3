//! `Lgf`: the host scheduler that alternates true iterations and surrogate phases.

mod cosine;
mod potential;
mod session;

use std::ops::{ControlFlow, DerefMut};
use std::time::{Duration, Instant};

pub use session::{Origin, Session};

use crate::domain::{Domain, kkt_residual};
use crate::engine::{Engine, Fit, Landing, Pair, PhaseEnd, PhaseLimits, Samples, Setup, Traffic};
use crate::error::{Error, ObjectiveError, Result};
use crate::flow::{Flow, ProjectedGradient};
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::report::{HistoryEntry, PhaseEntry, Report, StopReason};
use crate::schedule::{Control, Cosine, Outcome, Potential, Schedule};
use crate::surrogate::selection::Verdict;
use crate::surrogate::{Integrator, ModelSelection, SurrogateConfig};

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stopping {
    /// The budget of true evaluations, ≥ 1.
    pub max_evaluations: usize,
    /// Converged when a true step of the base flow, or a step to the minimum of a learned potential, changes
    /// no unknown by more than this, ≥ 0.
    pub tolerance: f64,
    /// Done when a trusted value is at most this, whatever the objective's revision.
    pub target: Option<f64>,
    /// Settled when the best value has hardly fallen for a while.
    pub settled: Option<Settled>,
    /// No true evaluation begins later than this many seconds after the start, above 0.
    pub max_seconds: Option<f64>,
}

/// The best value f* has fallen by at most `change`·|f*| within the last `evaluations` true evaluations, all
/// of the newest revision of the objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settled {
    /// How many true evaluations are looked at, ≥ 1.
    pub evaluations: usize,
    /// The relative change, ≥ 0.
    pub change: f64,
}

impl Default for Stopping {
    fn default() -> Self {
        Self { max_evaluations: 1000, tolerance: 0.01, target: None, settled: None, max_seconds: None }
    }
}

/// Why [`Lgf::minimize`] has no report to return as such.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The run did not begin: the settings do not fit the objective, the engine cannot be started, or the
    /// first evaluation failed.
    #[error(transparent)]
    NotStarted(#[from] Error),
    /// The run has ended before: its report has been handed out, or its fault.
    #[error("the run has ended, and its report has been handed out")]
    Ended,
    /// The engine failed on the way (a lost device, say); what had been reached is in the report, and
    /// [`Lgf::resume`] goes on from there.
    #[error("the run was cut short: {source}")]
    CutShort {
        /// The fault.
        source: Error,
        /// The best trusted iterate and the history.
        report: Box<Report>,
    },
}

/// Everything a run is defined by, besides the objective and where it starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LgfConfig {
    /// The base optimizer.
    pub flow: Flow,
    /// When true gradients are computed.
    pub schedule: Schedule,
    /// What is learned; not used by [`Schedule::None`] and [`Schedule::Potential`].
    pub surrogate: SurrogateConfig,
    /// Whether order, rank and ridge are chosen anew at each refit; for [`Schedule::Fixed`] and
    /// [`Schedule::Adaptive`].
    pub selection: Option<ModelSelection>,
    /// How the learned flow is integrated.
    pub integrator: Integrator,
    /// When to stop.
    pub stopping: Stopping,
}

impl LgfConfig {
    /// `flow` under `schedule` with `surrogate`, replaying the flow's own step, and the default stopping
    /// rule.
    pub fn new(flow: Flow, schedule: Schedule, surrogate: SurrogateConfig) -> Self {
        Self {
            flow,
            schedule,
            surrogate,
            selection: None,
            integrator: Integrator::FlowStep,
            stopping: Stopping::default(),
        }
    }

    /// A learned potential under `rule`, on whatever domain the objective has. Its base flow is the projected
    /// gradient, with the rate that makes the first step as long as the trust radius.
    pub fn potential(rule: Potential) -> Self {
        let flow = Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 });
        let stopping = Stopping { tolerance: 1e-4, ..Stopping::default() };
        Self { stopping, ..Self::new(flow, Schedule::Potential(rule), SurrogateConfig::snapshots()) }
    }

    /// How many directions a fit will keep at most, if the settings say.
    fn most_directions(&self) -> Option<usize> {
        let capacity = self.schedule.capacity();
        match (self.schedule, self.selection) {
            (Schedule::Potential(_), _) => None,
            (_, None) => Some(self.surrogate.space.most_directions(capacity)),
            (_, Some(selection)) => selection
                .candidates(&self.surrogate, capacity)
                .iter()
                .map(|c| c.space.most_directions(capacity))
                .max(),
        }
    }
}

/// Learned gradient flow: minimises an [`Objective`] with few true evaluations.
///
/// Cost: one true evaluation per trusted step and landing; per fit, one pass over the history and O(K³) on
/// the host; per surrogate step, one pass over the basis and the lift's table, which are at most K·d numbers
/// each and may be the same. Precision: the iterate is f64 on the CPU engine, unless f32 is asked for, and
/// f32 on the GPU; every value that is reported comes from the objective, in f64. Source: Norman, Rowan,
/// Maute & Doostan, CMAME 460 (2026) 119099, with the landing check and the adaptive schedule added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lgf {
    config: LgfConfig,
}

impl Lgf {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError), naming the culprit.
    pub fn new(config: LgfConfig) -> Result<Self> {
        config.schedule.validate(&config.surrogate)?;
        if let Schedule::Potential(_) = config.schedule {
            if !matches!(config.flow, Flow::ProjectedGradient(_)) {
                return Err(Error::exclusive(
                    "a learned potential",
                    format!("the {} flow", config.flow.name()),
                    "a potential is minimised by projected gradient steps and goes with that flow",
                ));
            }
        } else if config.schedule != Schedule::None {
            config.surrogate.validate(&config.flow, config.schedule.capacity())?;
            config.integrator.validate()?;
            if let Some(selection) = &config.selection {
                selection.validate(&config.surrogate, config.schedule.capacity())?;
                for candidate in selection.candidates(&config.surrogate, config.schedule.capacity()) {
                    candidate.validate(&config.flow, config.schedule.capacity())?;
                }
            }
            if let Schedule::Cosine(cosine) = config.schedule {
                cosine.first_reach(config.flow.rate())?;
                if config.selection.is_some() {
                    return Err(Error::only_with(
                        "the selection of order, rank and ridge",
                        "the fixed and the adaptive schedule",
                    ));
                }
            }
            if config.integrator != Integrator::FlowStep && config.flow.equation_vectors() == 0 {
                return Err(Error::only_with(
                    format!("the {} flow", config.flow.name()),
                    "its own step as the integrator: it is a discrete map, not a differential equation",
                ));
            }
        }
        if config.stopping.max_evaluations == 0 {
            return Err(Error::invalid("the number of true evaluations", 0, "at least 1"));
        }
        config.flow.validate_parameters()?;
        if let Some(Settled { evaluations, change }) = config.stopping.settled
            && !(evaluations >= 1 && change >= 0.0 && change.is_finite())
        {
            return Err(Error::invalid(
                "the window of settled values",
                format!("{change} in {evaluations} evaluations"),
                "a change of at least 0 in at least 1",
            ));
        }
        if let Some(seconds) = config.stopping.max_seconds {
            Error::require_positive("the time budget in seconds", seconds)?;
        }
        let tolerance = config.stopping.tolerance;
        // Changes that every step stays below would count as convergence at once.
        let least_step = match config.flow {
            Flow::OptimalityCriteria(flow) => flow.move_limit,
            Flow::Adam(flow) => flow.rate,
            _ => f64::INFINITY,
        };
        if !(tolerance >= 0.0 && tolerance < least_step) {
            let what = if least_step.is_finite() {
                format!("at least 0 and below the flow's largest step, {least_step}")
            } else {
                "finite and at least 0".into()
            };
            return Err(Error::invalid("the tolerance", tolerance, what));
        }
        Ok(Self { config })
    }

    /// The settings.
    pub fn config(&self) -> &LgfConfig {
        &self.config
    }

    /// Minimises `objective` from `start` on `engine`, telling `observer` (`&mut ()` for nobody).
    ///
    /// The best trusted iterate comes back whatever happens after the first evaluation: a non-finite value, a
    /// failing objective and an interruption are [`StopReason`]s; a fault of the engine is
    /// [`RunError::CutShort`], which carries the report.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn minimize(
        &self,
        objective: &mut dyn Objective,
        start: &[f64],
        engine: &mut dyn Engine,
        observer: &mut dyn Observer,
    ) -> Result<Report, RunError> {
        self.minimize_knowing(&[], objective, start, engine, observer)
    }

    /// The same for a learned potential that begins with `pairs` learned elsewhere, oldest first: on a
    /// coarser grid, say, whose run's are in [`Engine::pairs`] when it has ended. Other schedules have no use
    /// for them.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn minimize_knowing(
        &self,
        pairs: &[Pair],
        objective: &mut dyn Objective,
        start: &[f64],
        engine: &mut dyn Engine,
        observer: &mut dyn Observer,
    ) -> Result<Report, RunError> {
        self.begin(Origin::at(start).knowing(pairs), objective, engine, |event: Event<'_>| {
            observer.event(event)
        })?
        .finish()
    }

    /// Goes on from where an earlier run has ended, on whatever engine: one that was cut short, interrupted,
    /// or had too small a budget. Its best iterate is evaluated once more, for the gradient; counts, history,
    /// budgets and the reported seconds go on. What only the earlier engine knew is learned anew: the flow's
    /// momenta, the samples, the trust region.
    ///
    /// `objective` must be the one the earlier run ended with.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn resume(
        &self,
        earlier: &Report,
        objective: &mut dyn Objective,
        engine: &mut dyn Engine,
        observer: &mut dyn Observer,
    ) -> Result<Report, RunError> {
        self.begin(Origin::after(earlier), objective, engine, |event: Event<'_>| observer.event(event))?
            .finish()
    }

    /// A run that goes on piece by piece, whenever its [`Session`] is told to: for applications with an event
    /// loop of their own. The settings are checked, the engine is started; nothing is evaluated yet.
    /// Objective, engine and observer are given away or borrowed (`&mut`; an engine of one's own goes into a
    /// `Box`).
    ///
    /// # Errors
    /// [`RunError::NotStarted`].
    pub fn begin<O: Objective, E: DerefMut<Target: Engine>, W: Observer>(
        &self,
        origin: Origin<'_>,
        objective: O,
        engine: E,
        observer: W,
    ) -> Result<Session<O, E, W>, RunError> {
        Ok(Session::new(Run::new(self.config, origin, objective, engine, observer)?))
    }
}

/// max |a|.
fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, a| m.max(a.abs()))
}

/// max |a − b|.
fn largest_change(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

/// The trusted iterate as the host knows it; the engine keeps its own copy, with the flow's state.
struct Trusted {
    x: Vec<f64>,
    /// There.
    gradient: Vec<f64>,
    value: f64,
    iteration: usize,
    /// Of the objective.
    revision: u64,
}

impl Trusted {
    /// g·(x − x_trusted).
    fn slope_along(&self, x: &[f64]) -> f64 {
        self.gradient.iter().zip(x.iter().zip(&self.x)).map(|(g, (x, t))| g * (x - t)).sum()
    }
}

/// What the schedule goes by between two pieces of a run.
#[derive(Clone, Copy)]
enum Course {
    /// Nothing has been evaluated yet.
    Start,
    /// The plain flow, and the schedules that [`Control`] decides for.
    Field,
    Cosine(Cosine, cosine::Progress),
    Potential(Potential, potential::Radii),
}

/// What an earlier run has used up.
#[derive(Default)]
struct Earlier {
    seconds: f64,
    traffic: Traffic,
    kkt_residual: Option<f64>,
}

/// A run's state. It goes on by [`advance`](Self::advance), and only between two calls is it whole.
struct Run<O, E, W> {
    config: LgfConfig,
    objective: O,
    engine: E,
    observer: W,
    course: Course,
    control: Control,
    x: Vec<f64>,
    previous: Vec<f64>,
    gradient: Vec<f64>,
    trusted: Trusted,
    /// The objective's revision at the latest evaluation.
    seen: u64,
    domain: Domain,
    began: Instant,
    earlier: Earlier,
    best: Vec<f64>,
    /// Empty while the best iterate is an earlier run's.
    best_gradient: Vec<f64>,
    /// The largest entry of the gradient where the newest revision began.
    first_slope: f64,
    changes: Vec<usize>,
    /// How long the history was when the newest revision began.
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

/// A run that ends is the short way out of nested calls: `Err(Ended::Stop)` is no error.
enum Ended {
    Stop(StopReason),
    Fault(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl<O: Objective, E: DerefMut<Target: Engine>, W: Observer> Run<O, E, W> {
    /// Checks what is given and starts the engine.
    fn new(config: LgfConfig, origin: Origin<'_>, objective: O, mut engine: E, observer: W) -> Result<Self> {
        let began = Instant::now();
        let (dimension, domain) = (objective.dimension(), objective.domain());
        if dimension == 0 {
            return Err(Error::invalid("the dimension", 0, "at least 1"));
        }
        let start = origin.x(&domain);
        if start.len() != dimension {
            return Err(Error::length("the starting point", start.len(), dimension));
        }
        if let Some(value) = start.iter().find(|v| !v.is_finite()) {
            return Err(Error::invalid("an entry of the starting point", value, "finite"));
        }
        domain.validate(dimension)?;
        domain.check_start(&start)?;
        config.flow.validate(&domain)?;
        let samples =
            if let Schedule::Potential(_) = config.schedule { Samples::Pairs } else { Samples::Points };
        let capacity = config.schedule.capacity();
        engine.start(Setup {
            flow: config.flow,
            domain: &domain,
            start: &start,
            capacity,
            samples,
            directions: config.most_directions(),
        })?;
        if samples == Samples::Pairs {
            origin.pairs.iter().try_for_each(|pair| engine.put_pair(pair))?;
        }
        // The engine's own number format decides what x0 is (f32 on a GPU): evaluate there.
        let mut x = start.into_owned();
        engine.read(&mut x)?;
        let mut run = Self {
            config,
            objective,
            engine,
            observer,
            course: Course::Start,
            control: Control::new(config.schedule, &config.surrogate),
            previous: vec![0.0; dimension],
            gradient: vec![0.0; dimension],
            trusted: Trusted {
                x: x.clone(),
                gradient: Vec::new(),
                value: f64::INFINITY,
                iteration: 0,
                revision: 0,
            },
            x,
            seen: 0,
            domain,
            began,
            earlier: Earlier::default(),
            best: Vec::new(),
            best_gradient: Vec::new(),
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
        if let Some(report) = origin.earlier {
            run.go_on_from(report);
        }
        Ok(run)
    }

    /// Takes over what an earlier run has counted and found.
    fn go_on_from(&mut self, report: &Report) {
        self.earlier = Earlier {
            seconds: report.wall_seconds,
            traffic: report.traffic,
            kkt_residual: report.kkt_residual,
        };
        self.best.clone_from(&report.x);
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

    /// What has been reached; the lists and the best iterate are handed over.
    fn report(&mut self, stop: StopReason) -> Report {
        let (before, now) = (self.earlier.traffic, self.engine.traffic());
        let traffic = Traffic {
            readbacks: before.readbacks + now.readbacks,
            submits: before.submits + now.submits,
            dispatches: before.dispatches + now.dispatches,
        };
        Report {
            kkt_residual: self.kkt_residual(),
            first_slope: self.first_slope,
            x: std::mem::take(&mut self.best),
            objective: self.best_value,
            best_evaluation: self.best_evaluation,
            true_evaluations: self.evaluations,
            changes: std::mem::take(&mut self.changes),
            rejected: self.rejected,
            surrogate_steps: self.surrogate_steps,
            stop,
            history: std::mem::take(&mut self.history),
            phases: std::mem::take(&mut self.phases),
            traffic,
            engine: self.engine.info(),
            wall_seconds: self.seconds(),
            objective_seconds: self.objective_time.as_secs_f64(),
        }
    }

    /// Since the start, an earlier run's included.
    fn seconds(&self) -> f64 {
        self.earlier.seconds + self.began.elapsed().as_secs_f64()
    }

    fn kkt_residual(&self) -> Option<f64> {
        if self.best_gradient.is_empty() {
            return self.earlier.kkt_residual;
        }
        let knows_gradient = !self.config.flow.needs_newton_direction() && self.first_slope > 0.0;
        knows_gradient.then(|| kkt_residual(&self.domain, &self.best, &self.best_gradient) / self.first_slope)
    }

    /// One piece of the run: the evaluated start, a true step with its evaluation, or a surrogate phase with
    /// its landing's.
    fn advance(&mut self) -> Result<(), Ended> {
        match self.course {
            Course::Start => self.evaluate_start(),
            Course::Field => self.advance_field(),
            Course::Cosine(rule, progress) => {
                self.course = Course::Cosine(rule, self.test_by_cosine(rule, progress)?);
                Ok(())
            }
            Course::Potential(rule, radii) => {
                self.course = Course::Potential(rule, self.minimize_potential(rule, radii)?);
                Ok(())
            }
        }
    }

    fn evaluate_start(&mut self) -> Result<(), Ended> {
        let info = self.engine.info();
        let limit = self.config.stopping.max_evaluations;
        // Whoever ends the run at once still gets the start, evaluated.
        let told =
            self.tell(Event::Started { engine: &info, dimension: self.x.len(), max_evaluations: limit });
        if !self.history.is_empty() {
            self.check_budget()?;
        }
        let value = self.evaluate()?;
        self.trusted.revision = self.seen;
        self.record_true_step(value, 0.0)?;
        told?;
        self.course = match self.config.schedule {
            Schedule::Cosine(rule) => {
                Course::Cosine(rule, cosine::Progress::new(rule.first_reach(self.config.flow.rate())?))
            }
            Schedule::Potential(rule) => Course::Potential(rule, self.first_radii(rule)),
            Schedule::None | Schedule::Fixed(_) | Schedule::Adaptive(_) => Course::Field,
        };
        Ok(())
    }

    fn advance_field(&mut self) -> Result<(), Ended> {
        self.check_budget()?;
        self.stop_where_nothing_changes()?;
        self.engine.step()?;
        self.iteration += 1;
        if self.control.records_after_step() {
            self.engine.record()?;
        }
        match self.control.phase(self.engine.samples(), self.config.integrator) {
            Some(limits) => self.surrogate_phase(limits),
            None => self.true_step(),
        }
    }

    /// Evaluates where the base flow's step has led.
    fn true_step(&mut self) -> Result<(), Ended> {
        self.previous.copy_from_slice(&self.x);
        self.engine.read(&mut self.x)?;
        self.true_step_taken()
    }

    /// The same, once x has been read.
    fn true_step_taken(&mut self) -> Result<(), Ended> {
        let change = largest_change(&self.x, &self.previous);
        if self.x.iter().any(|x| !x.is_finite()) {
            return Err(Ended::Stop(StopReason::Diverged { iteration: self.iteration }));
        }
        let tolerance = self.config.stopping.tolerance;
        if change <= tolerance {
            return Err(Ended::Stop(self.came_to_rest(change)));
        }
        let value = self.evaluate()?;
        self.record_true_step(value, change)
    }

    fn came_to_rest(&self, change: f64) -> StopReason {
        let first = self.history.get(self.revision_began).map_or(1, |e| e.evaluation);
        let improved = self.evaluations == first || self.best_evaluation > first;
        if improved {
            StopReason::Converged { change, tolerance: self.config.stopping.tolerance }
        } else {
            StopReason::Stalled { evaluations: self.evaluations }
        }
    }

    fn check_budget(&self) -> Result<(), Ended> {
        let limit = self.config.stopping.max_evaluations;
        if self.evaluations >= limit {
            return Err(Ended::Stop(StopReason::MaxEvaluations { limit }));
        }
        match self.config.stopping.max_seconds {
            Some(seconds) if self.seconds() >= seconds => Err(Ended::Stop(StopReason::TimeSpent { seconds })),
            _ => Ok(()),
        }
    }

    fn stop_where_nothing_changes(&self) -> Result<(), Ended> {
        let Some(Settled { evaluations, change }) = self.config.stopping.settled else { return Ok(()) };
        // Values of earlier revisions are of another function.
        let comparable = &self.history[self.revision_began..];
        let Some(earlier) = comparable.len().checked_sub(evaluations + 1) else { return Ok(()) };
        let before = comparable[..=earlier]
            .iter()
            .filter(|e| e.accepted)
            .map(|e| e.objective)
            .fold(f64::INFINITY, f64::min);
        if before - self.best_value <= change * self.best_value.abs() {
            return Err(Ended::Stop(StopReason::Settled { change, evaluations }));
        }
        Ok(())
    }

    /// Fits, integrates, lands, and keeps or undoes it.
    fn surrogate_phase(&mut self, limits: PhaseLimits) -> Result<(), Ended> {
        let base = self.control.surrogate(&self.config.surrogate);
        let (surrogate, verdict) = match self.config.selection {
            None => (base, None),
            Some(selection) => {
                let candidates = selection.candidates(&base, self.engine.samples());
                let found = self.engine.select(&candidates, selection.folds)?;
                match found.winner() {
                    Some(winner) => (candidates[winner], Some(found.verdict(&candidates, winner))),
                    None => {
                        log::debug!(
                            "no candidate predicts better than the gradient staying as it is: {found:?}"
                        );
                        return self.true_step();
                    }
                }
            }
        };
        let fit = self.engine.fit(&surrogate)?;
        let rows = surrogate.targets.rows(fit.samples);
        // In f32 the ridge is kept there.
        if self.phases.is_empty()
            && surrogate.regression.refit
            && fit.features >= rows
            && self.engine.info().precision == "f64"
        {
            log::warn!(
                "the final refit without ridge has {} features for {rows} rows, which makes a surrogate that \
                 reproduces its samples and nothing else; keep the ridge (refit = false), or lower the order \
                 or the rank",
                fit.features
            );
        }
        self.tell(Event::Fitted { fit })?;
        self.engine.integrate(limits)?;
        self.previous.copy_from_slice(&self.x);
        let landing = self.engine.read(&mut self.x)?;
        self.iteration += landing.steps;
        self.surrogate_steps += landing.steps;
        if landing.steps == 0 && landing.end != PhaseEnd::NonFinite {
            // The true step itself has left the trust radius: it is a true step like any other.
            return self.true_step_taken();
        }
        self.land(fit, verdict, limits.steps, landing).map(|_| ())
    }

    /// Evaluates where a surrogate phase has led, and keeps or undoes it; whether it was kept.
    fn land(
        &mut self,
        fit: Fit,
        selection: Option<Verdict>,
        horizon: usize,
        landing: Landing,
    ) -> Result<bool, Ended> {
        let finite = landing.end != PhaseEnd::NonFinite && self.x.iter().all(|x| x.is_finite());

        // A landing that is not finite costs no evaluation: it is simply undone.
        let spent = self.evaluations;
        let value = if finite { self.evaluate_landing()? } else { None };
        let changed = self.has_changed();
        let accepted = value.is_some_and(|value| changed || self.control.accepts(self.trusted.value, value));
        let true_change = value.filter(|_| !changed).map(|value| value - self.trusted.value);
        // A Newton direction is no gradient: Σ (H⁻¹g)·Δx predicts nothing about f.
        let predicts = landing.predicted_change < 0.0 && !self.config.flow.needs_newton_direction();
        let agreement = true_change.filter(|_| predicts).map(|change| change / landing.predicted_change);
        let phase = PhaseEntry {
            evaluation: spent,
            selection,
            ..self.phase_entry(fit, horizon, landing, true_change, accepted)
        };
        self.phases.push(phase);
        let entry = value.map(|value| self.enter(value, accepted));
        if self.control.flushes() {
            self.engine.forget();
        }
        self.control.landed(Outcome {
            accepted,
            agreement,
            whole_horizon: landing.end == PhaseEnd::Horizon && landing.steps == horizon,
        });
        match value {
            Some(value) if accepted => {
                self.sample()?;
                self.settle(value)?;
            }
            _ => {
                self.rejected += 1;
                if value.is_some() && !self.control.flushes() {
                    // What the truth said there is still a sample to learn from.
                    self.sample()?;
                    if let Schedule::Cosine(_) = self.config.schedule {
                        self.engine.record()?;
                    }
                }
                self.engine.restore()?;
                self.iteration = self.trusted.iteration;
                if self.control.flushes() {
                    // The restored state has the trusted gradient.
                    if !self.control.records_after_step() {
                        self.engine.record()?;
                    }
                    self.control.sampled();
                }
            }
        }
        log::debug!("{phase:?}");
        self.leave_landing(phase, entry, changed)?;
        Ok(accepted)
    }

    /// Tells of a phase that was kept or undone, and goes on from where that leaves the run.
    fn leave_landing(
        &mut self,
        phase: PhaseEntry,
        entry: Option<HistoryEntry>,
        changed: bool,
    ) -> Result<(), Ended> {
        let x = std::mem::take(&mut self.x);
        let told = self.tell(Event::Landed { phase, entry, x: &x });
        self.x = x;
        told?;
        if phase.accepted {
            return self.stop_at_target(self.trusted.value);
        }
        self.x.copy_from_slice(&self.trusted.x);
        if changed { self.evaluate_again() } else { Ok(()) }
    }

    /// Whether the latest evaluation was of another function than the trusted iterate's.
    fn has_changed(&self) -> bool {
        self.seen != self.trusted.revision
    }

    /// The trusted iterate, which is where x is, has a value and a gradient of a function that is no more,
    /// and the new one could not be evaluated elsewhere.
    fn evaluate_again(&mut self) -> Result<(), Ended> {
        self.check_budget()?;
        let value = self.evaluate()?;
        self.record_true_step(value, 0.0)
    }

    fn phase_entry(
        &self,
        fit: Fit,
        horizon: usize,
        landing: Landing,
        true_change: Option<f64>,
        accepted: bool,
    ) -> PhaseEntry {
        PhaseEntry {
            evaluation: self.evaluations,
            fit,
            residual: landing.fit_residual,
            horizon,
            steps: landing.steps,
            end: landing.end,
            damping: self.control.damping(),
            predicted_change: landing.predicted_change,
            true_change,
            accepted,
            selection: None,
        }
    }

    /// One true evaluation at x.
    fn evaluate(&mut self) -> Result<f64, Ended> {
        let began = Instant::now();
        let mut outcome = self.objective.evaluate(&self.x, &mut self.gradient);
        if self.config.flow.needs_newton_direction()
            && let Ok(value) = outcome
            && value.is_finite()
        {
            outcome = self.objective.newton_direction(&self.x, &mut self.gradient).map(|()| value);
        }
        self.objective_time += began.elapsed();
        self.evaluations += 1;
        self.seen = self.objective.revision();
        let evaluation = self.evaluations;
        let what = match &outcome {
            Ok(value) if !value.is_finite() => Some("value"),
            Ok(_) if self.gradient.iter().any(|g| !g.is_finite()) => Some("gradient"),
            _ => None,
        };
        let reason = match (outcome, what) {
            (Ok(value), None) => return Ok(value),
            (Ok(_), Some(what)) => StopReason::NonFinite { what, evaluation },
            (Err(error), _) => {
                if self.history.is_empty() {
                    return Err(Ended::Fault(Error::Start(error)));
                }
                StopReason::ObjectiveFailed { message: error.to_string(), evaluation }
            }
        };
        if self.history.is_empty() {
            return Err(Ended::Fault(Error::Start(ObjectiveError::from(format!(
                "it returned a non-finite {}",
                what.unwrap_or("value")
            )))));
        }
        Err(Ended::Stop(reason))
    }

    /// The same where a surrogate phase has led: a point the objective cannot be evaluated at is a landing to
    /// be undone, if landings are checked.
    fn evaluate_landing(&mut self) -> Result<Option<f64>, Ended> {
        match self.evaluate() {
            Err(Ended::Stop(reason)) if reason.is_fault() && self.control.checks_landings() => {
                log::info!("a surrogate phase is undone: {reason}");
                Ok(None)
            }
            outcome => outcome.map(Some),
        }
    }

    /// Hands the gradient (or Newton direction) at x to the engine, as a sample unless the schedule takes its
    /// samples elsewhere.
    fn sample(&mut self) -> Result<(), Ended> {
        if self.has_changed() {
            // No sample of the old function is learned from, and how well it was predicted says nothing about
            // the new one.
            self.engine.forget();
            self.control = Control::new(self.config.schedule, &self.config.surrogate);
        }
        self.engine.set_gradient(&self.gradient)?;
        if !self.control.records_after_step()
            && !matches!(self.config.schedule, Schedule::Cosine(_) | Schedule::Potential(_))
        {
            self.engine.record()?;
        }
        Ok(())
    }

    fn enter(&mut self, objective: f64, accepted: bool) -> HistoryEntry {
        let entry =
            HistoryEntry { evaluation: self.evaluations, iteration: self.iteration, objective, accepted };
        self.history.push(entry);
        entry
    }

    fn record_true_step(&mut self, value: f64, change: f64) -> Result<(), Ended> {
        let entry = self.enter(value, true);
        self.sample()?;
        self.settle(value)?;
        let x = std::mem::take(&mut self.x);
        let told = self.tell(Event::TrueStep { entry, x: &x, change });
        self.x = x;
        told?;
        self.stop_at_target(value)
    }

    fn stop_at_target(&self, value: f64) -> Result<(), Ended> {
        match self.config.stopping.target {
            Some(target) if value <= target => Err(Ended::Stop(StopReason::TargetReached { target })),
            _ => Ok(()),
        }
    }

    /// x, just evaluated, entered and pushed, is trusted.
    fn settle(&mut self, value: f64) -> Result<(), Ended> {
        // Whatever the engine refuses leaves the old best as it was.
        self.engine.trust()?;
        let (changed, first) = (self.has_changed(), self.history.len() == 1);
        self.trusted.gradient.clone_from(&self.gradient);
        if changed || first {
            self.revision_began = self.history.len() - 1;
            self.first_slope = largest(&self.gradient);
            self.best_value = f64::INFINITY;
        }
        self.control.sampled();
        self.trusted.value = value;
        self.trusted.x.clone_from(&self.x);
        self.trusted.iteration = self.iteration;
        self.trusted.revision = self.seen;
        if value <= self.best_value {
            self.best_value = value;
            self.best_evaluation = self.evaluations;
            self.best.clone_from(&self.x);
            self.best_gradient.clone_from(&self.gradient);
        }
        if changed {
            self.changes.push(self.evaluations);
            return self.tell(Event::Changed { evaluation: self.evaluations });
        }
        Ok(())
    }

    fn tell(&mut self, event: Event<'_>) -> Result<(), Ended> {
        match self.observer.event(event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Ended::Stop(StopReason::Interrupted)),
        }
    }
}
