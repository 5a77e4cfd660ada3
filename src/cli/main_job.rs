//! The main job: plain OC, LGF-OC and LGF as `lgf topology` does it, side by side on the half-MBB beam.

use std::fmt::Write;
use std::path::PathBuf;

use super::results::{Run, engine_line};
use super::topology::{self, Label};
use crate::cli::arguments::{EngineArgs, parse_size};
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::error::Result;
use crate::flow::{Flow, OptimalityCriteria};
use crate::io;
use crate::method::{Adaptive, Cadence, Field};
use crate::report::StopReason;
use crate::surrogate::SurrogateConfig;
use crate::topology::{Compliance, ComplianceConfig, FilterKind, Recipe};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Elements, COLUMNSxROWS, each 1 to 16384, at most 4194304 in all; the filter radius is 0.04 times the
    /// columns, at least 1.5
    #[arg(long, value_name = "CxR", value_parser = parse_size, default_value = "150x50")]
    size: (u32, u32),
    #[command(flatten)]
    engine: EngineArgs,
    /// Folder for the pictures and records
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// The folders of the runs by plain OC, LGF-OC and LGF.
const FOLDERS: [&str; 3] = ["plain", "lgf-oc", "lgf"];

pub(super) fn run(args: &Args) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let mut opened = args.engine.open()?;
    io::prepare(&args.out)?;
    // The results of an earlier job must not pass for this one's, so they are removed.
    for folder in FOLDERS {
        for file in ["record.json", "history.csv", "design.png", "design.npy", "variables.npy"] {
            let _ = std::fs::remove_file(args.out.join(folder).join(file));
        }
    }
    let mut runs: Vec<(&str, Run)> = Vec::new();
    let mut problem = None;
    // OC's runs start from the uniform design, as a better start would not be the learned flow's merit. The
    // last run is what a user gets by default.
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let cadence = Cadence::Adaptive(Adaptive::default());
    let plans = [
        ("plain OC", Recipe::new(oc).cold()),
        ("LGF-OC", Recipe::new(Field::new(oc, SurrogateConfig::topology(), cadence)).cold()),
        ("LGF", Recipe::default()),
    ];
    let base = ComplianceConfig::mbb(args.size.0, args.size.1, FilterKind::Density);
    let config = ComplianceConfig { radius: base.radius.max(1.5), ..base };
    for ((name, recipe), folder) in plans.into_iter().zip(FOLDERS) {
        let problem: &mut Compliance = problem.insert(Compliance::new(config.clone())?);
        let label = Label { name, problem: "mbb", quiet: args.quiet };
        let run = topology::solve(problem, recipe, &mut opened, label, interrupted.clone())?;
        run.write(&args.out.join(folder), problem, false)?;
        let stop = &run.solution.report.stop;
        let stopped = matches!(stop, StopReason::Interrupted) || stop.is_fault();
        runs.push((name, run));
        if stopped {
            break;
        }
    }
    let curves: Vec<_> =
        runs.iter().map(|(name, run)| io::Curve { name, history: &run.solution.report.history }).collect();
    let title = format!("half-MBB beam {}x{}, density filter", args.size.0, args.size.1);
    let mut files =
        vec![("convergence.svg", io::convergence_svg(&title, "compliance", &curves)?.into_bytes())];
    if let (Some(problem), Some((_, last))) = (&problem, runs.last()) {
        files.push((
            "design.png",
            io::density_png(problem.grid(), &problem.physical_density(&last.solution.design))?,
        ));
    }
    let written = io::write_all(&args.out, &files);
    if !args.quiet {
        print(&table(args, &runs))?;
    }
    written?;
    Ok(runs.last().map_or(Ending::Done, |(_, run)| topology::ending(&run.solution.report)))
}

fn table(args: &Args, runs: &[(&str, Run)]) -> String {
    let mut text = String::new();
    let out = &mut text;
    let (nelx, nely) = args.size;
    line!(
        out,
        "half-MBB beam {nelx}x{nely}, volume fraction 0.5, p = 3, density filter of radius {:.1}",
        (0.04 * f64::from(nelx)).max(1.5)
    );
    line!(out, "");
    line!(
        out,
        "| method   | true evaluations | to plain OC's final value | compliance |   volume | seconds | \
         engine |"
    );
    line!(
        out,
        "|----------|-----------------:|--------------------------:|-----------:|---------:|--------:|\
         --------|"
    );
    let target = runs.first().map(|(_, plain)| plain.solution.objective);
    for (name, run) in runs {
        let reached = target
            .and_then(|t| run.solution.report.evaluations_to_reach(t))
            .map_or("not reached".to_string(), |n| n.to_string());
        line!(
            out,
            "| {name:8} | {:16} | {reached:>25} | {:10.4} | {:8.6} | {:7.2} | {:6} |",
            run.solution.report.true_evaluations,
            run.solution.objective,
            run.solution.volume,
            run.solution.report.wall_seconds
                + run.solution.levels.iter().map(|l| l.wall_seconds).sum::<f64>(),
            run.solution.report.engine.kind.name()
        );
    }
    line!(out, "");
    for (name, run) in runs.iter().filter(|(_, run)| !run.solution.levels.is_empty()) {
        line!(out, "{name} before that: {}", topology::before(&run.solution.levels));
    }
    for (name, run) in runs {
        line!(out, "{name}: {}", run.solution.report.stop);
    }
    if let Some((_, run)) = runs.last() {
        line!(out, "{}", engine_line(&run.solution.report.engine, &run.engine_reason));
    }
    let folders: Vec<_> = FOLDERS.iter().map(|f| format!("{f}/")).take(runs.len()).collect();
    line!(
        out,
        "written to {}: design.png convergence.svg, and record.json history.csv design.png design.npy \
         variables.npy in {}",
        args.out.display(),
        folders.join(", ")
    );
    text
}
