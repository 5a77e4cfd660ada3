//! The files and the JSON object that a run writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::checkpoint::command;
use crate::engine::EngineInfo;
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::io;
use crate::method::Method;
use crate::report::{HistoryEntry, Report};
use crate::topology::{Compliance, Level, LoadCaseValue, Recipe, Solution, SolveEntry, Spent};

/// The version of the layout of records, which `docs/records.md` describes: it grows when a key changes its
/// meaning, its type or its name, or goes; not when one is added.
const SCHEMA: u32 = 1;

/// The object `--json` prints and, with the details, `record.json`.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    /// The version of this layout.
    pub schema: u32,
    pub problem: &'a str,
    pub size: String,
    pub method: &'a str,
    /// The base flow; a potential has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<&'a str>,
    pub engine: &'a str,
    pub adapter: &'a str,
    /// The precision of the state, of the sums and of the tables.
    pub precision: &'a str,
    /// The objective's value, recomputed in f64 at the returned design.
    pub objective: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<f64>,
    /// The problem's own measures of success.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<&'a str, f64>,
    /// The records of the coarse grids before this run, the coarsest first.
    #[serde(skip_serializing_if = "<[Level]>::is_empty")]
    pub levels: &'a [Level],
    /// The true evaluations of all runs, those on coarse grids and of softer problems included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kkt_residual: Option<f64>,
    /// The true evaluations of the last run, which the history tells of.
    pub true_evaluations: usize,
    pub rejected: usize,
    pub surrogate_steps: usize,
    pub readbacks: u64,
    pub stop: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub warnings: &'a [String],
    pub wall_seconds: f64,
    pub history: &'a [HistoryEntry],
}

impl<'a> Record<'a> {
    pub(super) fn new(
        problem: &'a str,
        size: String,
        method: &'a Method,
        objective: f64,
        report: &'a Report,
    ) -> Self {
        Self {
            schema: SCHEMA,
            problem,
            size,
            method: method.name(),
            flow: method.flow().map(Flow::name),
            engine: report.engine.kind.name(),
            adapter: &report.engine.adapter,
            precision: &report.engine.precision,
            objective,
            volume: None,
            measures: BTreeMap::new(),
            levels: &[],
            spent: None,
            warnings: &[],
            kkt_residual: report.kkt_residual,
            true_evaluations: report.true_evaluations,
            rejected: report.rejected,
            surrogate_steps: report.surrogate_steps,
            readbacks: report.traffic.readbacks,
            stop: report.stop.to_string(),
            wall_seconds: report.wall_seconds,
            history: &report.history,
        }
    }
}

/// `record.json`: the JSON object, why this engine, the settings, and everything the run reported.
#[derive(Debug, Serialize)]
pub(super) struct FullRecord<'a> {
    version: &'static str,
    #[serde(flatten)]
    record: &'a Record<'a>,
    engine_reason: &'a str,
    /// Where the command was given, and its words.
    directory: PathBuf,
    command: Vec<String>,
    /// What the sittings before had done, if the run was gone on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<Resumed>,
    /// The seconds that the checkpoint took, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_seconds: Option<f64>,
    settings: String,
    report: &'a Report,
    /// The iterations and the residual of every solve on the given grid, in space.
    #[serde(skip_serializing_if = "<[SolveEntry]>::is_empty")]
    solves: &'a [SolveEntry],
    /// The load cases' compliances, of a structure.
    #[serde(skip_serializing_if = "<[LoadCaseValue]>::is_empty")]
    load_cases: &'a [LoadCaseValue],
}

impl<'a> FullRecord<'a> {
    pub(super) fn new(
        record: &'a Record<'a>,
        engine_reason: &'a str,
        settings: String,
        report: &'a Report,
    ) -> Self {
        let (command, directory) = (command(), std::env::current_dir().unwrap_or_default());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            record,
            engine_reason,
            directory,
            command,
            resumed: None,
            checkpoint_seconds: None,
            settings,
            report,
            solves: &[],
            load_cases: &[],
        }
    }
}

/// What the sittings before the last one of a run had done.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Resumed {
    /// The true evaluations that were taken from the checkpoint, those on coarse grids included.
    pub evaluations: usize,
    /// The seconds until the last of them; the other times are those of the last sitting.
    pub seconds: f64,
}

/// A finished run with its design.
pub(super) struct Run {
    pub solution: Solution,
    pub problem: String,
    pub size: String,
    pub recipe: Recipe,
    pub engine_reason: String,
    pub settings: String,
    /// The command of the first sitting, where it was given, and what the sittings before had done.
    pub earlier: Option<(PathBuf, Vec<String>, Resumed)>,
    pub checkpoint_seconds: Option<f64>,
}

impl Run {
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            volume: Some(self.solution.volume),
            levels: &self.solution.levels,
            spent: Some(self.solution.spent),
            warnings: &self.solution.warnings,
            ..Record::new(
                &self.problem,
                self.size.clone(),
                &self.recipe.method,
                self.solution.objective,
                &self.solution.report,
            )
        }
    }

    /// Writes `record.json`, `problem.toml`, `history.csv`, the design's files (see [`io::design_files`])
    /// and, for a run of its own, `convergence.svg` to `dir`; returns their names.
    pub(super) fn write(&self, dir: &Path, problem: &Compliance, with_plot: bool) -> Result<Vec<String>> {
        io::prepare(dir)?;
        let record = self.record();
        let (settings, report) = (self.settings.clone(), &self.solution.report);
        let mut full = FullRecord {
            solves: &self.solution.solves,
            load_cases: &self.solution.load_cases,
            checkpoint_seconds: self.checkpoint_seconds,
            ..FullRecord::new(&record, &self.engine_reason, settings, report)
        };
        if let Some((directory, command, resumed)) = self.earlier.clone() {
            full = FullRecord { directory, command, resumed: Some(resumed), ..full };
        }
        let mut files = vec![
            ("record.json", json(&full, true)?),
            ("problem.toml", io::write_problem(problem.structure())?.into_bytes()),
            ("history.csv", io::csv(&self.solution.report.history)?),
        ];
        files.extend(io::design_files(problem, &self.solution.design)?);
        if with_plot {
            let name = method_line(&self.recipe.method);
            let curves = [io::Curve { name: &name, history: &self.solution.report.history }];
            let title = format!("{} {}", self.problem, self.size);
            files.push(("convergence.svg", io::convergence_svg(&title, "compliance", &curves)?.into_bytes()));
        }
        io::write_all(dir, &files)?;
        // A run in the plane has no surface; one that is there is an earlier run's.
        let surface = dir.join("design.stl");
        if !files.iter().any(|(name, _)| *name == "design.stl") && surface.exists() {
            std::fs::remove_file(&surface).map_err(|error| Error::io(&surface, error))?;
        }
        Ok(files.into_iter().map(|(name, _)| name.to_string()).collect())
    }
}

/// The method and its base flow, in words.
pub(super) fn method_line(method: &Method) -> String {
    match method.flow() {
        Some(flow) => format!("{}, flow {}", method.name(), flow.name()),
        None => method.name().into(),
    }
}

/// Which engine ran, and why.
pub(super) fn engine_line(engine: &EngineInfo, reason: &str) -> String {
    let software = if engine.software { " (software adapter)" } else { "" };
    format!("engine: {}, {}{software}, {}; {reason}", engine.kind.name(), engine.adapter, engine.precision)
}

/// Compact or pretty JSON.
pub(super) fn json(value: &impl Serialize, pretty: bool) -> Result<Vec<u8>> {
    let text = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    text.map_err(|e| Error::encoding("JSON", e))
}
