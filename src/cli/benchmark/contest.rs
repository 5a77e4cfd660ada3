//! What all benchmarks share: runs that are kept and not repeated, the table, and the plots.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::cli::progress::Progress;
use crate::engine::{CpuEngine, Engine};
use crate::error::{Error, Result};
use crate::io;
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::peers::{Course, Peer};
use crate::report::{HistoryEntry, Report, StopReason, evaluations_to_reach};
use crate::run::{Lgf, LgfConfig, RunError, Start};

/// The arguments that all benchmarks have.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// Runs at the same time, at least 1; more than one shows no progress bars
    #[arg(long, default_value_t = 1)]
    pub jobs: usize,
    /// Folder for benchmark.md, benchmark.csv, convergence.svg, profiles.svg and runs/, whose finished runs
    /// are not repeated
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    pub quiet: bool,
}

impl Common {
    /// Checks the arguments, before anything is written.
    pub(super) fn check(&self, budget: usize) -> Result<()> {
        if budget == 0 {
            return Err(Error::invalid("the budget", 0, "at least 1"));
        }
        if self.jobs == 0 {
            return Err(Error::invalid("the number of jobs", 0, "at least 1"));
        }
        Ok(())
    }

    pub(super) fn progress(&self, name: &str, interrupted: &Arc<AtomicBool>) -> Progress {
        Progress::new(name, self.quiet || self.jobs > 1, interrupted.clone())
    }
}

/// A distance to the least value, by which methods are compared.
pub(super) struct Gap {
    pub size: f64,
    /// The gap's name in the table's head, in the CSV's head and over the profiles.
    pub title: &'static str,
    pub column: &'static str,
    pub panel: &'static str,
}

/// A measure of the distance of a value from the least value f*, and its format.
pub(super) struct Measure {
    pub gaps: [Gap; 3],
    /// The value at a gap from f*, of (f(x₀), f*, gap).
    pub target: fn(f64, f64, f64) -> f64,
    /// The gap of a value, of (f(x₀), f*, value).
    pub gap: fn(f64, f64, f64) -> f64,
    /// The gap in the table's head.
    pub title: &'static str,
    pub shown_value: fn(f64) -> String,
    pub shown_gap: fn(f64) -> String,
}

/// A case and the methods that are run on it.
pub(super) struct Entry {
    pub name: String,
    /// The group of cases that shares performance profiles, as all its cases have the same methods to choose
    /// from. It ends the profiles' titles.
    pub group: &'static str,
    /// The least value of the objective, where that is known.
    pub minimum: Option<f64>,
    pub methods: Vec<&'static str>,
}

/// The cases, the methods, and how they are compared.
pub(super) struct Contest<'a> {
    pub common: &'a Common,
    pub entries: Vec<Entry>,
    /// The suffix of the names of kept runs: the settings that distinguish them besides case and method.
    pub suffix: String,
    /// The Markdown text that stands above the table.
    pub preface: String,
    pub measure: Measure,
}

/// A finished run: the numbers of its case and of the method there, and every evaluation.
pub(super) type Done = ((usize, usize), Vec<HistoryEntry>);

/// The results of every method on one case.
pub(super) struct Outcome<'a> {
    pub entry: &'a Entry,
    pub runs: Vec<(&'static str, Vec<HistoryEntry>)>,
}

/// A row of the table.
pub(super) struct Row {
    pub case: String,
    pub method: &'static str,
    pub evaluations: usize,
    /// For each gap its column and the number of true evaluations until the gap is reached.
    pub to: [(&'static str, Option<usize>); 3],
    pub best: f64,
    /// The gap of the best value.
    pub gap: f64,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Row", 8)?;
        row.serialize_field("case", &self.case)?;
        row.serialize_field("method", self.method)?;
        row.serialize_field("evaluations", &self.evaluations)?;
        for (column, cost) in &self.to {
            row.serialize_field(column, cost)?;
        }
        row.serialize_field("best", &self.best)?;
        row.serialize_field("gap", &self.gap)?;
        row.end()
    }
}

impl Contest<'_> {
    /// Runs what has not been run yet, and writes and prints the results; `solve` takes the indices of a case
    /// and of one of its methods, and returns every evaluation, or none if it was interrupted.
    pub(super) fn hold(
        &self,
        solve: impl Fn(usize, usize, &Arc<AtomicBool>) -> Result<Option<Vec<HistoryEntry>>> + Sync,
    ) -> Result<Ending> {
        let interrupted = interrupt_flag()?;
        let folder = self.common.out.join("runs");
        io::prepare(&folder)?;
        let work: Vec<(usize, usize)> = self
            .entries
            .iter()
            .enumerate()
            .flat_map(|(c, entry)| (0..entry.methods.len()).map(move |m| (c, m)))
            .collect();
        let next = AtomicUsize::new(0);
        let worker = || -> Result<Vec<Done>> {
            let mut done = Vec::new();
            loop {
                let Some(&(c, m)) = work.get(next.fetch_add(1, Ordering::SeqCst)) else { return Ok(done) };
                match self.kept(&folder, (c, m), || solve(c, m, &interrupted), &interrupted)? {
                    Some(history) => done.push(((c, m), history)),
                    None => return Ok(done),
                }
            }
        };
        let mut done = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.common.jobs).map(|_| scope.spawn(worker)).collect();
            let broken = || Err(Error::internal("a run of the benchmark panicked"));
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| broken()))
                .collect::<Result<Vec<_>>>()
        })?
        .concat();
        done.sort_by_key(|(run, _)| *run);
        let outcomes: Vec<Outcome<'_>> = self
            .entries
            .iter()
            .enumerate()
            .map(|(c, entry)| {
                let runs = done
                    .iter()
                    .filter(|((case, _), _)| *case == c)
                    .map(|((_, m), history)| (entry.methods[*m], history.clone()))
                    .collect();
                Outcome { entry, runs }
            })
            .filter(|outcome| !outcome.runs.is_empty())
            .collect();
        let rows: Vec<Vec<Row>> = outcomes.iter().map(|outcome| self.table(outcome)).collect();
        self.write(&outcomes, &rows)?;
        if !self.common.quiet {
            print(&self.markdown(&rows))?;
            print(&format!(
                "written to {}: benchmark.md benchmark.csv convergence.svg profiles.svg runs/\n",
                self.common.out.display()
            ))?;
        }
        Ok(if interrupted.load(Ordering::SeqCst) { Ending::Interrupted } else { Ending::Done })
    }

    /// The history of a run, from the folder if it is there already; none if the run was interrupted.
    fn kept(
        &self,
        folder: &Path,
        (c, m): (usize, usize),
        solve: impl FnOnce() -> Result<Option<Vec<HistoryEntry>>>,
        interrupted: &AtomicBool,
    ) -> Result<Option<Vec<HistoryEntry>>> {
        let entry = &self.entries[c];
        let (case, method) = (&entry.name, entry.methods[m]);
        let file = folder.join(format!("{case}-{method}-{}.csv", self.suffix));
        if let Some(history) = read(&file) {
            return Ok(Some(history));
        }
        let Some(history) = solve()?.filter(|_| !interrupted.load(Ordering::SeqCst)) else { return Ok(None) };
        io::write_file(&file, io::csv(&history)?)?;
        log::info!(
            "{case} {method}: {} after {} evaluations",
            (self.measure.shown_value)(best(&history)),
            history.len()
        );
        Ok(Some(history))
    }

    fn table(&self, outcome: &Outcome<'_>) -> Vec<Row> {
        let Measure { gaps, target, gap, .. } = &self.measure;
        // A minimum is known up to rounding only.
        let least = outcome
            .runs
            .iter()
            .map(|(_, history)| best(history))
            .fold(outcome.entry.minimum.unwrap_or(f64::INFINITY), f64::min);
        let row = |(method, history): &(&'static str, Vec<HistoryEntry>)| {
            let first = history.first().map_or(f64::NAN, |e| e.objective);
            let to = gaps
                .each_ref()
                .map(|gap| (gap.column, evaluations_to_reach(history, target(first, least, gap.size))));
            let best = best(history);
            Row {
                case: outcome.entry.name.clone(),
                method,
                evaluations: history.len(),
                to,
                best,
                gap: gap(first, least, best),
            }
        };
        outcome.runs.iter().map(row).collect()
    }

    fn markdown(&self, rows: &[Vec<Row>]) -> String {
        let Measure { gaps: [first, second, third], title, shown_value, shown_gap, .. } = &self.measure;
        let mut text = self.preface.clone();
        let out = &mut text;
        line!(out, "");
        line!(
            out,
            "| case | method | {} | {} | {} | best | {title} |",
            first.title,
            second.title,
            third.title
        );
        line!(out, "|---|---|---:|---:|---:|---:|---:|");
        for row in rows.iter().flatten() {
            let [a, b, c] = row.to.map(|(_, cost)| cost.map_or("-".to_string(), |n| n.to_string()));
            line!(
                out,
                "| {} | {} | {a} | {b} | {c} | {} | {} |",
                row.case,
                row.method,
                shown_value(row.best),
                shown_gap(row.gap)
            );
        }
        text
    }

    fn write(&self, outcomes: &[Outcome<'_>], rows: &[Vec<Row>]) -> Result<()> {
        let panels: Vec<io::Panel<'_>> = outcomes
            .iter()
            .map(|Outcome { entry, runs }| {
                (&*entry.name, runs.iter().map(|(name, history)| io::Curve { name, history }).collect())
            })
            .collect();
        let rows_flat: Vec<&Row> = rows.iter().flatten().collect();
        io::write_all(
            &self.common.out,
            &[
                ("benchmark.md", self.markdown(rows).into_bytes()),
                ("benchmark.csv", io::csv(&rows_flat)?),
                ("convergence.svg", io::convergence_panels_svg(&panels)?.into_bytes()),
                ("profiles.svg", io::profiles_svg(&self.profiles(outcomes, rows))?.into_bytes()),
            ],
        )
    }

    /// For each group, gap and method, the number of evaluations on every case.
    fn profiles(&self, outcomes: &[Outcome<'_>], rows: &[Vec<Row>]) -> Vec<io::Profile<'static>> {
        let mut groups: Vec<&str> = Vec::new();
        outcomes.iter().for_each(|outcome| {
            if !groups.contains(&outcome.entry.group) {
                groups.push(outcome.entry.group)
            }
        });
        let mut profiles = Vec::new();
        for group in groups {
            let cases: Vec<&Vec<Row>> = outcomes
                .iter()
                .zip(rows)
                .filter(|(outcome, _)| outcome.entry.group == group)
                .map(|(_, rows)| rows)
                .collect();
            let mut methods: Vec<&'static str> = Vec::new();
            cases.iter().flat_map(|rows| rows.iter()).for_each(|row| {
                if !methods.contains(&row.method) {
                    methods.push(row.method)
                }
            });
            for (number, gap) in self.measure.gaps.iter().enumerate() {
                let costs = |method| {
                    cases
                        .iter()
                        .map(|rows| {
                            rows.iter().find(|row| row.method == method).and_then(|row| row.to[number].1)
                        })
                        .collect()
                };
                profiles.push((
                    format!("{}{group}", gap.panel),
                    methods.iter().map(|&method| (method, costs(method))).collect(),
                ));
            }
        }
        profiles
    }
}

/// A finished run's history, if there is one that can be read.
pub(super) fn read(file: &Path) -> Option<Vec<HistoryEntry>> {
    let mut reader = csv::Reader::from_path(file).ok()?;
    reader
        .deserialize::<(usize, usize, f64, bool)>()
        .map(|row| {
            row.ok().map(|(evaluation, iteration, objective, accepted)| HistoryEntry {
                evaluation,
                iteration,
                objective,
                accepted,
            })
        })
        .collect()
}

pub(super) fn best(history: &[HistoryEntry]) -> f64 {
    history.iter().filter(|e| e.accepted).map(|e| e.objective).fold(f64::INFINITY, f64::min)
}

/// A run by a peer; none if the observer ended it at once.
pub(super) fn by_peer(
    peer: Peer,
    problem: &mut dyn Objective,
    start: &[f64],
    budget: usize,
    tolerance: f64,
    progress: &mut Progress,
) -> Result<Option<Course>> {
    let engine = CpuEngine::new().info();
    if progress
        .event(Event::Started { engine: &engine, dimension: start.len(), max_evaluations: budget })
        .is_break()
    {
        return Ok(None);
    }
    peer.minimize(problem, start, budget, tolerance, progress).map(Some)
}

/// A run by `Lgf`; none if the observer ended it.
pub(super) fn by_lgf(
    config: LgfConfig,
    problem: &mut dyn Objective,
    start: Start<'_>,
    engine: &mut CpuEngine,
    progress: &mut Progress,
) -> Result<Option<Report>> {
    match Lgf::from_config(config)?.on(engine).observe(progress).minimize(problem, start) {
        Ok(report) if report.stop == StopReason::Interrupted => Ok(None),
        Ok(report) => Ok(Some(report)),
        Err(RunError::NotStarted(error) | RunError::CutShort { source: error, .. }) => Err(error),
        Err(ended @ RunError::Ended) => Err(Error::internal(ended.to_string())),
    }
}
