//! `lgf compare`: the paper's problems by the plain flow and by learned fields.

use std::fmt::Write;
use std::path::PathBuf;

use super::checkpoint::{self, CheckpointArgs, Identity, Sitting};
use super::paper::{Problem, Scale};
use super::run::{FieldFlag, Outcome, Overrides, Plan, Shared, matching, solve};
use crate::cli::arguments::{EngineArgs, EngineFlag, TablesFlag};
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::engine::gpu::AdapterChoice;
use crate::engine::{Engine, EngineInfo, EngineKind, NumberFormat};
use crate::error::Result;
use crate::io;
use crate::report::Report;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which problems, separated by commas
    #[arg(long, value_enum, value_delimiter = ',')]
    #[arg(default_value = "heat-inverse,nonlinear-heat,scattering,elastic-network,topology-reduced")]
    problems: Vec<Problem>,
    /// Which methods besides the plain flow, separated by commas
    #[arg(long, alias = "schedules", value_enum, value_delimiter = ',')]
    #[arg(default_values = ["fixed", "adaptive"])]
    methods: Vec<FieldFlag>,
    /// Which engines, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["auto"])]
    engines: Vec<EngineFlag>,
    /// What the surrogate's basis is kept in, which every surrogate step reads
    #[arg(long, value_enum, default_value = "state")]
    tables: TablesFlag,
    /// The GPU adapter to take: its index in `lgf info`, or a part of its name [default: the best one]
    #[arg(long, value_name = "INDEX|NAME")]
    adapter: Option<AdapterChoice>,
    /// The size of the problems
    #[arg(long, value_enum, default_value = "full")]
    scale: Scale,
    /// The fixed cadence with the paper's regression to the letter too, where it differs
    #[arg(long)]
    paper_regression: bool,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Folder for comparison.md, comparison.csv and comparison.svg
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    pub quiet: bool,
}

/// A row of the table.
#[derive(Debug, serde::Serialize)]
struct Row {
    problem: &'static str,
    engine: &'static str,
    method: String,
    true_evaluations: usize,
    /// The true evaluations until the plain flow's best value is reached.
    to_plain: Option<usize>,
    /// The plain flow's evaluations until its best value, over `to_plain`.
    ratio: Option<f64>,
    /// The evaluation from which on its best value is never above the plain flow's at as many evaluations;
    /// none where the plain flow is ahead at its end.
    ahead_from: Option<usize>,
    objective: f64,
    rejected: usize,
    seconds: f64,
    /// The problem's own measures.
    measures: String,
    stop: String,
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    execute(args, &Sitting::First)
}

/// Makes the runs that the arguments ask for, or goes on with them.
pub(super) fn execute(args: &Args, sitting: &Sitting) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    io::prepare(&args.out)?;
    let open = |flag| EngineArgs { engine: flag, tables: args.tables, adapter: args.adapter.clone() }.open();
    let identity = || {
        let mut identity = Identity::new();
        for &flag in &args.engines {
            identity = identity.on(&open(flag)?.info())?;
        }
        Ok(identity)
    };
    let journal = checkpoint::open(&args.out, args.checkpoint.checkpoint, sitting, identity)?;
    let shared = Shared { quiet: args.quiet, interrupted, journal: journal.as_ref() };
    let mut rows: Vec<Row> = Vec::new();
    let mut panels: Vec<(String, Vec<Outcome>)> = Vec::new();
    let mut adapters: Vec<String> = Vec::new();
    let mut ended = Ending::Done;
    'all: for &problem in &args.problems {
        for &flag in &args.engines {
            let mut opened = open(flag)?;
            let info = opened.info();
            let software = if info.software { " (software adapter)" } else { "" };
            let adapter = format!(
                "{}: {}{software}, {}; {}",
                info.kind.name(),
                info.adapter,
                info.precision,
                opened.reason()
            );
            if !adapters.contains(&adapter) {
                adapters.push(adapter);
            }
            let mut case = problem.open(args.scale)?;
            let settings = case.settings();
            let plan = Plan::new(settings, Overrides::default())?;
            let mut methods = vec![("plain".to_string(), plan.plain()?)];
            for &method in &args.methods {
                methods.push((method.name().to_string(), plan.lgf(method)?));
            }
            if args.paper_regression
                && args.methods.contains(&FieldFlag::Fixed)
                && settings.paper_regression != settings.surrogate.regression
            {
                let letter =
                    Plan::new(settings, Overrides { paper_regression: true, ..Overrides::default() })?;
                methods.push(("fixed, the paper's regression".to_string(), letter.lgf(FieldFlag::Fixed)?));
            }
            let mut outcomes: Vec<Outcome> = Vec::new();
            for (name, lgf) in &methods {
                let outcome = solve(&mut *case, lgf, &mut opened, name, outcomes.first(), &shared)?;
                rows.push(row(problem, &outcome, outcomes.first().unwrap_or(&outcome)));
                let stopped = outcome.stopped_early();
                if stopped {
                    ended = super::topology::ending(&outcome.report);
                }
                outcomes.push(outcome);
                if stopped {
                    panels.push((case.title(), outcomes));
                    break 'all;
                }
            }
            panels.push((case.title(), outcomes));
            // The results so far are written, in case a later problem fails.
            write(args, &rows, &panels, &adapters)?;
        }
    }
    write(args, &rows, &panels, &adapters)?;
    if !args.quiet {
        print(&markdown(&rows, &adapters))?;
        print(&format!("written to {}: comparison.md comparison.csv comparison.svg\n", args.out.display()))?;
    }
    checkpoint::leave(journal, &ended, &args.out)?;
    Ok(ended)
}

/// The name of an engine, as `--engines` has it.
fn engine_name(engine: &EngineInfo) -> &'static str {
    match (engine.kind, engine.state) {
        (EngineKind::Cpu, NumberFormat::F32) => "cpu-f32",
        (kind, _) => kind.name(),
    }
}

fn row(problem: Problem, outcome: &Outcome, plain: &Outcome) -> Row {
    let report = &outcome.report;
    let to_plain = report.evaluations_to_reach(matching(plain.report.objective));
    let plain_to_itself = plain.report.evaluations_to_reach(matching(plain.report.objective));
    let measures: Vec<String> =
        outcome.measures.iter().map(|(name, value)| format!("{name} {value:.3e}")).collect();
    Row {
        problem: problem.name(),
        engine: engine_name(&report.engine),
        method: outcome.name.clone(),
        true_evaluations: report.true_evaluations,
        to_plain,
        ahead_from: ahead_from(report, &plain.report),
        ratio: to_plain.zip(plain_to_itself).map(|(n, plain)| plain as f64 / n as f64),
        objective: outcome.objective,
        rejected: report.rejected,
        seconds: report.wall_seconds,
        measures: measures.join(", "),
        stop: report.stop.to_string(),
    }
}

/// The least n such that after any n' ≥ n evaluations `report` has a best value no worse than `plain`'s; none
/// if it is worse in the end.
fn ahead_from(report: &Report, plain: &Report) -> Option<usize> {
    let best_after = |report: &Report| {
        let mut best = f64::INFINITY;
        let mut entries = report.history.iter().filter(|e| e.accepted).peekable();
        (1..=plain.true_evaluations)
            .map(|n| {
                while let Some(entry) = entries.next_if(|e| e.evaluation <= n) {
                    best = best.min(entry.objective);
                }
                best
            })
            .collect::<Vec<f64>>()
    };
    let behind = best_after(report).iter().zip(&best_after(plain)).rposition(|(a, b)| *a > matching(*b));
    let from = 1 + behind.map_or(0, |last| last + 1);
    (from <= plain.true_evaluations).then_some(from)
}

fn markdown(rows: &[Row], adapters: &[String]) -> String {
    let mut text = String::new();
    let out = &mut text;
    line!(
        out,
        "| problem | engine | method | true evaluations | undone | to plain's best | ratio | ahead from | \
         objective | seconds | measures |"
    );
    line!(out, "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|");
    for row in rows {
        let reached = row.to_plain.map_or("not reached".to_string(), |n| n.to_string());
        let ratio = row.ratio.map_or(String::new(), |r| format!("{r:.1}"));
        let ahead = row.ahead_from.map_or("never".to_string(), |n| n.to_string());
        line!(
            out,
            "| {} | {} | {} | {} | {} | {reached} | {ratio} | {ahead} | {:.6} | {:.1} | {} |",
            row.problem,
            row.engine,
            row.method,
            row.true_evaluations,
            row.rejected,
            row.objective,
            row.seconds,
            row.measures
        );
    }
    line!(out, "");
    line!(
        out,
        "*To plain's best*: true evaluations to the plain flow's best value, to nine digits; *ratio*: the \
         plain flow's over these; *ahead from*: the evaluation from"
    );
    line!(
        out,
        "which on the best value so far is never above the plain flow's after as many evaluations; *undone*: \
         landings that were rejected."
    );
    line!(out, "");
    for adapter in adapters {
        line!(out, "{adapter}");
    }
    text
}

fn write(args: &Args, rows: &[Row], panels: &[(String, Vec<Outcome>)], adapters: &[String]) -> Result<()> {
    let curves: Vec<io::Panel<'_>> = panels
        .iter()
        .map(|(title, outcomes)| (&**title, outcomes.iter().map(Outcome::curve).collect()))
        .collect();
    let files = [
        ("comparison.md", markdown(rows, adapters).into_bytes()),
        ("comparison.csv", io::csv(rows)?),
        ("comparison.svg", io::convergence_panels_svg(&curves)?.into_bytes()),
    ];
    io::write_all(&args.out, &files)
}
