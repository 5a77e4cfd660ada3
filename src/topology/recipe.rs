//! The recipe for structures: coarse grids first, the penalty raised on the coarsest, the projection
//! sharpened by doubling, curvature pairs handed from problem to problem, and a stopping rule for densities.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::compliance::SolveEntry;
use super::continuation::{Continuation, Wish, runs_on_grid, stages, warm_start};
use super::mesh::Mesh;
use super::multilevel::coarse_radius;
use super::warm_start::WarmStart;
use super::{
    Compliance, FilterKind, Levels, LoadCase, Projection, SigmoidDesign, Structure, coarse_levels,
    interpolate, prolong,
};
use crate::engine::{Engine, Samples};
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::method::{Field, Method, Potential, Settled, Stopping};
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::report::{Report, StopReason};
use crate::run::{Lgf, LgfConfig, RunError};

/// How a structure is optimized.
///
/// ```
/// use lgf::engine::CpuEngine;
/// use lgf::topology::{Compliance, FilterKind, Recipe, Structure};
///
/// # fn main() -> lgf::Result<()> {
/// let mut problem = Compliance::new(Structure::mbb(60, 20, FilterKind::Density))?;
/// let solution = Recipe::default().solve(&mut problem, CpuEngine::new(), ())?;
/// assert!(solution.objective < 236.0 && solution.report.true_evaluations < 60);
/// # Ok(())
/// # }
/// ```
///
/// When not to use it: for an objective that is no [`Compliance`], [`Lgf`] is what runs it.
///
/// Cost: the evaluations on the given grid, softer projections and penalties included, all of which
/// [`Stopping::max_evaluations`] bounds, and those on coarse grids, which [`Solution::levels`] tells of: at
/// most 122 on the coarsest grid, where layouts compete, 92 on the next and 36 on every other one; 40 and 30
/// with [`Continuation::Off`], 40 more on the coarsest with [`Continuation::On`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Recipe {
    /// The method that alternates true evaluations and a learned model. Learned potentials and optimality
    /// criteria work on the densities themselves; other flows know no constraints and work on a sigmoid's
    /// argument ([`SigmoidDesign`]), without coarse grids and continuation.
    pub method: Method,
    /// The number of grids to go through.
    pub levels: Levels,
    /// How the first layout is found.
    pub continuation: Continuation,
    /// When the run on the given grid stops. The budget of evaluations is for all runs on that grid, those
    /// with a softer projection or penalty included; the time budget is for all grids together.
    pub stopping: Stopping,
}

impl Default for Recipe {
    /// A learned potential on as many grids as are useful.
    fn default() -> Self {
        Self::new(Potential::default())
    }
}

/// The record of a run on one grid before the final run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Level {
    /// The grid, and the projection if the run has any: `75x25`, `75x25 beta 2`.
    pub size: String,
    /// The number of true evaluations on this grid.
    pub true_evaluations: usize,
    /// The compliance of the design that was handed on from the grid.
    pub objective: f64,
    /// The evaluations on this grid times its share of the fine grid's elements: slightly more than their
    /// cost in evaluations on the fine grid with a direct solver.
    pub fine_equivalents: f64,
    /// The wall time spent on this grid, in seconds.
    pub wall_seconds: f64,
    /// Why its last run ended, in words.
    pub stop: String,
}

/// The true evaluations of all runs of a recipe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// The evaluations on the given grid, softer projections and penalties included.
    pub given_grid: usize,
    /// The evaluations on coarse grids.
    pub coarse_grids: usize,
    /// All evaluations, those on a coarse grid times its share of the given grid's elements.
    pub fine_equivalents: f64,
}

/// What a load case has to do with the objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadCaseValue {
    /// The name of the load case; empty where it has none.
    pub name: String,
    /// The factor of its compliance in the objective.
    pub weight: f64,
    /// Its compliance, twice its strain energy.
    pub compliance: f64,
}

/// An optimized structure, and how it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Solution {
    /// The design variables, one per element in the grid's numbering. Not recorded: empty when a solution is
    /// read back.
    #[serde(skip)]
    pub design: Vec<f64>,
    /// The compliance, computed once more from the design in f64.
    pub objective: f64,
    /// The mean physical density, passive elements included.
    pub volume: f64,
    /// The run on the given grid.
    pub report: Report,
    /// The runs before the last one on the given grid, in order.
    pub levels: Vec<Level>,
    /// The true evaluations of all runs.
    pub spent: Spent,
    /// What a user should know of the settings and of the design: sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What computed the true gradients on the given grid in the end.
    #[serde(default)]
    pub gradient_by: String,
    /// What computed the reported compliance.
    #[serde(default)]
    pub objective_by: String,
    /// The compliance of each load case without its weight, in the order of the structure's load cases.
    #[serde(default)]
    pub load_cases: Vec<LoadCaseValue>,
    /// The solves of the problem on the given grid, in space: the last ones are of the reported value.
    #[serde(default)]
    pub solves: Vec<SolveEntry>,
}

/// When a run with a potential has settled: it would find small improvements for long. On 38 structures that
/// had settled by the change alone, 40 more evaluations found at most 0.1 % but for four, and the residual
/// was below 10⁻².
const SETTLED: Settled = Settled { evaluations: 10, change: 2e-4, residual: Some(1e-2) };

impl Recipe {
    /// The recipe for structures with this filter: a learned potential, but for the sensitivity filter, whose
    /// field is the gradient of no function, an adaptive field over the optimality criteria.
    pub fn of_filter(filter: FilterKind) -> Self {
        match filter {
            FilterKind::Density => Self::default(),
            FilterKind::Sensitivity => Self::new(Field::of_criteria()),
        }
    }

    /// `method` with the stopping rule for densities between 0 and 1: converged when a step changes none by
    /// more than 10⁻³ (potential) or 10⁻² (OC), ADAM's argument by a tenth of its rate; a potential has
    /// settled when the best compliance has fallen by at most 2·10⁻⁴ of itself within 10 evaluations and the
    /// KKT residual is at most 10⁻² of the start's largest gradient entry.
    pub fn new(method: impl Into<Method>) -> Self {
        let method = method.into();
        let tolerance = match method.flow() {
            None => 1e-3,
            Some(Flow::Adam(flow)) => 0.1 * flow.rate,
            Some(_) => 0.01,
        };
        let settled = if let Method::Potential(_) = method { Some(SETTLED) } else { None };
        Self {
            method,
            levels: if is_direct(&method) { Levels::Auto } else { Levels::Count(1) },
            continuation: Continuation::Auto,
            stopping: Stopping { settled, ..Stopping::default().tolerance(tolerance) },
        }
    }

    /// The same recipe without coarse grids, from the uniform design on the given grid.
    #[must_use]
    pub fn cold(self) -> Self {
        Self { levels: Levels::Count(1), ..self }
    }

    /// Whether the flow works on the densities themselves.
    pub fn is_direct(&self) -> bool {
        is_direct(&self.method)
    }

    /// Checks the settings, for `problem` as well.
    ///
    /// # Errors
    /// [`Error::Settings`](crate::Error), naming the culprit.
    pub fn validate(&self, problem: &Structure) -> Result<()> {
        self.lgf(self.stopping)?;
        if !self.is_direct() {
            let refused = [
                ("a coarse grid", self.levels != Levels::Count(1)),
                ("raising the penalty", self.continuation == Continuation::On),
                ("the projection", problem.projection.is_some()),
            ];
            if let Some((what, _)) = refused.iter().find(|(_, given)| *given) {
                return Err(Error::only_with(
                    *what,
                    "the methods that work on the densities themselves: the potential and the OC flow",
                ));
            }
        }
        self.before(problem).map(|_| ())
    }

    fn lgf(&self, stopping: Stopping) -> Result<Lgf> {
        Lgf::from_config(LgfConfig { method: self.method, stopping })
    }

    /// The problems to solve before `problem`: coarse grids and softer projections.
    fn before(&self, problem: &Structure) -> Result<Vec<Structure>> {
        Ok(stages(coarse_levels(problem, self.levels)?, problem))
    }

    /// Optimizes `problem` on `engine`, given away or lent, telling `observer`.
    ///
    /// Where a device is lost, the run goes on if the engine can [fall back](Engine::fall_back) on another
    /// one. The best design comes back whatever happens after the first evaluation; [`Report::stop`] says why
    /// the run ended.
    ///
    /// # Errors
    /// Settings that exclude each other, and whatever keeps the first evaluation on the given grid from being
    /// made.
    pub fn solve<E: Engine, W: Observer>(
        &self,
        problem: &mut Compliance,
        engine: E,
        observer: W,
    ) -> Result<Solution> {
        self.solve_or_go_on(problem, None, engine, observer)
    }

    /// The same from a design on any mesh that covers the structure's box, numbered as its mesh is: it is
    /// interpolated and scaled to the volume, and no coarse grids and softer problems come before the run.
    /// Where its material is too little for the volume at any scale, all elements get as much more. Where it
    /// does not carry a load, because it comes from another problem, say, it is mixed with as much of the
    /// uniform design, for void has next to no gradient that would lead out of it; a warning then says so.
    ///
    /// # Errors
    /// Those of [`solve`](Self::solve), and a design that does not fit its mesh or a method that does not
    /// work on the densities themselves.
    pub fn solve_from<E: Engine, W: Observer>(
        &self,
        problem: &mut Compliance,
        (mesh, design): (&Mesh, &[f64]),
        engine: E,
        observer: W,
    ) -> Result<Solution> {
        if !self.is_direct() {
            return Err(Error::only_with(
                "a design to start from",
                "the methods that work on the densities themselves: the potential and the OC flow",
            ));
        }
        if mesh.dimension() != problem.mesh().dimension() {
            return Err(Error::exclusive("the design to start from", "the mesh", "they have other axes"));
        }
        let (start, note) = started(problem, (mesh, design))?;
        let mut solution = self.solve_or_go_on(problem, Some(start), engine, observer)?;
        solution.warnings.extend(note);
        Ok(solution)
    }

    fn solve_or_go_on<E: Engine, W: Observer>(
        &self,
        problem: &mut Compliance,
        from: Option<Vec<f64>>,
        mut engine: E,
        mut observer: W,
    ) -> Result<Solution> {
        self.validate(problem.structure())?;
        let mut account = Account::new(problem);
        let (report, design) = if self.is_direct() {
            self.solve_direct(problem, from, &mut account, &mut engine, &mut observer)?
        } else {
            let mut latent = SigmoidDesign::new(&mut *problem)?;
            let start = vec![0.0; latent.dimension()];
            let lgf = self.lgf(self.stopping)?.on(&mut engine).observe(&mut observer);
            let report = lgf.minimize(&mut latent, &start).or_else(RunError::into_report)?;
            let design = latent.design(&report.x);
            (report, design)
        };
        problem.keep_state();
        let design = handed_out(problem, design);
        // The true compliance is computed once more, from the design that is handed out.
        let objective = problem.compliance(&design)?;
        let load_cases = load_case_values(problem, &design)?;
        let mut warnings = problem.warnings();
        warnings.extend(problem.falls_apart(&design)?);
        warnings.extend(is_far_from_an_optimum(&report));
        let spent = account.spent(&report);
        let levels = account.levels;
        let solves = problem.solves().to_vec();
        let volume = problem.volume(&design)?;
        let (gradient_by, objective_by) = (problem.gradient_by(), problem.reported_by());
        Ok(Solution {
            volume,
            design,
            objective,
            report,
            levels,
            spent,
            warnings,
            gradient_by,
            objective_by,
            load_cases,
            solves,
        })
    }

    fn solve_direct(
        &self,
        problem: &mut Compliance,
        from: Option<Vec<f64>>,
        account: &mut Account,
        engine: &mut impl Engine,
        observer: &mut impl Observer,
    ) -> Result<(Report, Vec<f64>)> {
        let began = Instant::now();
        // The time budget is shared by all grids; each grid gets at least the moment that its start takes.
        let left = || {
            let spent = began.elapsed().as_secs_f64();
            self.stopping.max_seconds.map(|seconds| (seconds - spent).max(1e-3))
        };
        let (before, continuation) = match from {
            Some(_) => (Vec::new(), Continuation::Off),
            None => (self.before(problem.structure())?, self.continuation),
        };
        let is_projected = problem.structure().projection.is_some();
        let budget_in_all = self.stopping.max_evaluations;
        let mut runs_ahead = runs_on_grid(&before, continuation, problem.structure());
        let run = |softer: &mut Compliance, start: WarmStart, budget: usize, wish: &mut Wish<'_>| {
            let mut budget = budget;
            if *softer.mesh() == account.mesh {
                // The runs on the given grid share its budget; the last one gets at least one evaluation.
                budget = budget.min((budget_in_all - account.given_grid) / (runs_ahead + 1));
                runs_ahead = runs_ahead.saturating_sub(1);
                if budget == 0 {
                    return Ok(Some(start));
                }
            }
            let stopping =
                Stopping { max_evaluations: budget, target: None, max_seconds: left(), ..self.stopping };
            let _ = observer.event(Event::Stage { name: &label(softer, is_projected) });
            let lgf = self.lgf(stopping)?.on(&mut *engine).observe(&mut *observer);
            let report = lgf.minimize(&mut *softer, start.as_start()).or_else(RunError::into_report)?;
            softer.keep_state();
            if report.stop == StopReason::Interrupted {
                softer.close_journal();
            }
            account.enter(softer, label(softer, is_projected), &report);
            let mut pairs = Vec::new();
            if self.method.samples() == Samples::Pairs && wish(report.objective) {
                // A fault of the engine is reported by the run on the given grid.
                let found = engine.pairs().unwrap_or_default();
                pairs.extend(found.into_iter().map(|pair| pair.times(report.gradient_unit)));
            }
            Ok(Some(WarmStart::found(report.objective, report.x, pairs)))
        };
        let start = match from {
            Some(design) => WarmStart::at(design),
            None => warm_start(before, continuation, problem, run)?
                .unwrap_or_else(|| WarmStart::at(problem.uniform_start())),
        };
        if !account.levels.is_empty() {
            let _ = observer.event(Event::Stage { name: &label(problem, is_projected) });
        }
        let lgf = self.lgf(Stopping {
            max_seconds: left(),
            max_evaluations: budget_in_all - account.given_grid,
            ..self.stopping
        })?;
        let outcome = lgf.on(engine).observe(observer).minimize(&mut *problem, start.as_start());
        let mut report = outcome.or_else(RunError::into_report)?;
        // Both budgets are for all runs.
        match (&mut report.stop, self.stopping.max_seconds) {
            (StopReason::TimeSpent { seconds }, Some(all)) => *seconds = all,
            (StopReason::MaxEvaluations { limit }, _) => *limit = budget_in_all,
            _ => {}
        }
        let design = report.x.clone();
        Ok((report, design))
    }
}

/// The KKT residual, in parts of the start's largest gradient entry, above which a run that has come to rest
/// is not called near to an optimum.
const FAR: f64 = 0.1;

/// A sentence on a run that came to rest where the gradient says that there is a way down.
fn is_far_from_an_optimum(report: &Report) -> Option<String> {
    let residual = report.kkt_residual.filter(|residual| *residual > FAR)?;
    if !matches!(report.stop, StopReason::Converged { .. } | StopReason::Settled { .. }) {
        return None;
    }
    Some(format!(
        "the run came to rest where the KKT residual is {residual:.2}, and an optimum has 0: take the design \
         for a first one, and try a smaller tolerance, another start or another method"
    ))
}

/// The physical density from which on an element of a design to start from counts as material.
const MATERIAL: f64 = 0.1;

/// The start on the mesh of `problem` that comes from a design on any mesh, and a sentence on what was done
/// to it besides interpolation and a scale.
fn started(problem: &Compliance, (mesh, design): (&Mesh, &[f64])) -> Result<(Vec<f64>, Option<String>)> {
    let domain = problem.domain();
    let Some(volume) = domain.volume() else {
        return Ok((interpolate(mesh, design, problem.mesh())?, None));
    };
    let mut start = prolong(mesh, design, problem.mesh(), &volume.weights, volume.bound)?;
    let (used, whole) = (volume.of(&start), volume.weights.iter().sum::<f64>());
    if used < volume.bound * (1.0 - 1e-6) && used < whole {
        let share = ((volume.bound - used) / (whole - used)).min(1.0);
        start.iter_mut().for_each(|x| *x += share * (1.0 - *x));
    }
    let Some(lost) = problem.uncarried_above(&start, MATERIAL)? else { return Ok((start, None)) };
    let uniform = problem.uniform_start();
    start.iter_mut().zip(&uniform).for_each(|(x, uniform)| *x = 0.5 * (*x + uniform));
    let note = format!(
        "the design to start from does not carry {lost} to the supports; the run started from its mean with \
         the uniform design"
    );
    Ok((domain.project(&start), Some(note)))
}

/// The compliances of the load cases at the design that was evaluated last.
fn load_case_values(problem: &Compliance, design: &[f64]) -> Result<Vec<LoadCaseValue>> {
    let values = problem.load_case_compliances(design)?;
    let of = |(case, compliance): (&LoadCase, f64)| LoadCaseValue {
        name: case.name.clone(),
        weight: case.weight,
        compliance,
    };
    Ok(problem.structure().load_cases.iter().zip(values).map(of).collect())
}

/// What the sum of a volume may be off by, relative.
const SUMMED: f64 = 1e-12;

/// The design as it is handed out: symmetric where that is kept, and within the volume also where an engine
/// in single precision was a rounding off.
fn handed_out(problem: &Compliance, design: Vec<f64>) -> Vec<f64> {
    let design = problem.symmetrized(&design).into_owned();
    let domain = problem.domain();
    match domain.volume() {
        Some(volume) if volume.of(&design) > volume.bound * (1.0 + SUMMED) => domain.project(&design),
        _ => design,
    }
}

fn is_direct(method: &Method) -> bool {
    match method.flow() {
        None => true,
        Some(flow) => matches!(flow, Flow::OptimalityCriteria(_) | Flow::ProjectedGradient(_)),
    }
}

/// The records of the runs before the last one.
struct Account {
    levels: Vec<Level>,
    /// The best compliance of the given problem's kind on the latest of these grids.
    reached: Option<f64>,
    /// The given problem and its grid.
    given: Structure,
    mesh: Mesh,
    given_grid: usize,
}

impl Account {
    fn new(problem: &Compliance) -> Self {
        Self {
            levels: Vec::new(),
            reached: None,
            given: problem.structure().clone(),
            mesh: *problem.mesh(),
            given_grid: 0,
        }
    }

    /// Adds a run on the grid `size` to the records.
    fn enter(&mut self, problem: &Compliance, size: String, report: &Report) {
        let structure = problem.structure();
        let before = match self.levels.pop() {
            // The run is on the same grid as the last one, with another start or a softer problem.
            Some(level) if level.size == size => Some(level),
            other => {
                self.levels.extend(other);
                None
            }
        };
        // Of the grid's own problem the best value counts; before that, the latest one.
        self.reached = self.reached.filter(|_| before.is_some());
        let own_radius = coarse_radius(structure, &self.given);
        if structure.penalty == self.given.penalty && structure.radius <= own_radius * (1.0 + 1e-12) {
            self.reached = Some(self.reached.map_or(report.objective, |r| r.min(report.objective)));
        }
        if *problem.mesh() == self.mesh {
            self.given_grid += report.true_evaluations;
        }
        let true_evaluations =
            before.as_ref().map_or(0, |level| level.true_evaluations) + report.true_evaluations;
        let share = problem.mesh().elements() as f64 / self.mesh.elements() as f64;
        self.levels.push(Level {
            size,
            true_evaluations,
            objective: self.reached.unwrap_or(report.objective),
            fine_equivalents: share * true_evaluations as f64,
            wall_seconds: before.map_or(0.0, |level| level.wall_seconds) + report.wall_seconds,
            stop: report.stop.to_string(),
        });
    }

    /// What all runs have spent, `last` being the last one.
    fn spent(&self, last: &Report) -> Spent {
        let before: usize = self.levels.iter().map(|level| level.true_evaluations).sum();
        let equivalents: f64 = self.levels.iter().map(|level| level.fine_equivalents).sum();
        Spent {
            given_grid: self.given_grid + last.true_evaluations,
            coarse_grids: before - self.given_grid,
            fine_equivalents: equivalents + last.true_evaluations as f64,
        }
    }
}

/// The grid, and the projection if the run has any.
fn label(problem: &Compliance, is_projected: bool) -> String {
    match problem.structure().projection {
        Some(Projection { beta }) if is_projected => format!("{} beta {beta}", problem.mesh()),
        _ => problem.mesh().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::engine::gpu::AdapterChoice;
    use crate::engine::{EngineKind, GpuEngine, Opened};
    use crate::observe;
    use crate::topology::FilterKind;

    /// The device is lost during the run on a coarse grid or on the given one.
    #[test]
    fn a_run_that_loses_its_gpu_ends_on_the_cpu() {
        for at in [7, 37] {
            let mut problem = Compliance::new(Structure::mbb(30, 10, FilterKind::Density)).unwrap();
            let engine = GpuEngine::open(AdapterChoice::Any)
                .expect("the GPU tests need an adapter, for example a software one");
            let device = engine.device().clone();
            let mut opened = Opened::new(engine, "the GPU engine was asked for");
            let mut evaluations = 0;
            let mut best = f64::INFINITY;
            let watch = observe::from_fn(|event: Event<'_>| {
                // Values on another grid are not compared.
                if let Event::Stage { .. } = event {
                    best = f64::INFINITY;
                }
                let (Event::TrueStep { entry, .. } | Event::Landed { entry: Some(entry), .. }) = event else {
                    return ControlFlow::Continue(());
                };
                evaluations += 1;
                if evaluations == at {
                    device.destroy();
                } else if evaluations < at && entry.accepted {
                    best = entry.objective.min(best);
                }
                ControlFlow::Continue(())
            });
            let recipe =
                Recipe { levels: Levels::Count(2), continuation: Continuation::Off, ..Recipe::default() };
            let Solution { report, .. } = recipe.solve(&mut problem, &mut opened, watch).unwrap();
            assert!(!report.stop.is_fault() && report.stop != StopReason::Interrupted, "{}", report.stop);
            assert_eq!([report.engine.kind, opened.info().kind], [EngineKind::Cpu; 2]);
            assert!(report.history.windows(2).all(|w| w[0].evaluation < w[1].evaluation));
            assert!(report.objective <= best, "{} after {best}", report.objective);
            assert!(opened.reason().contains("lost"), "{}", opened.reason());
        }
    }
}
