//! The main job: plain OC, LGF-OC and LGF as `lgf topology` does it, side by side on the half-MBB beam.

use std::fmt::Write;
use std::path::PathBuf;

use super::opened::Opened;
use super::results::{Run, engine_line};
use super::topology::{self, ContinuationFlag, FilterFlag, FlowFlag, PresetFlag, ScheduleFlag};
use super::{Ending, EngineArgs, interrupt_flag, parse_size, print};
use crate::error::Result;
use crate::io;
use crate::report::StopReason;
use crate::topology::{Compliance, Levels};

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

/// Of plain OC, LGF-OC and LGF.
const FOLDERS: [&str; 3] = ["plain", "lgf-oc", "lgf"];

pub(super) fn run(args: &Args) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let mut opened = Opened::new(args.engine)?;
    io::prepare(&args.out)?;
    // Results of an earlier job must not pass for this one's.
    for folder in FOLDERS {
        for file in ["record.json", "history.csv", "design.png", "design.npy", "variables.npy"] {
            let _ = std::fs::remove_file(args.out.join(folder).join(file));
        }
    }
    let mut runs: Vec<(&str, Run)> = Vec::new();
    let mut problem = None;
    // OC's runs begin cold: the start is not the learned flow's merit. The last one is what a user gets by
    // default.
    let cold = Some(Levels::Count(1));
    let plans = [
        ("plain OC", FlowFlag::Oc, Some(ScheduleFlag::None), cold),
        ("LGF-OC", FlowFlag::Oc, Some(ScheduleFlag::Adaptive), cold),
        ("LGF", FlowFlag::Potential, None, None),
    ];
    for ((name, flow, schedule, levels), folder) in plans.into_iter().zip(FOLDERS) {
        let settings = topology::Args {
            preset: PresetFlag::Mbb,
            size: args.size,
            volume: 0.5,
            penalty: 3.0,
            radius: None,
            levels,
            continuation: ContinuationFlag::Auto,
            filter: FilterFlag::Density,
            projection: None,
            holes: Vec::new(),
            flow: Some(flow),
            schedule,
            history: None,
            interval: None,
            steps: None,
            trust: None,
            order: None,
            rank: None,
            ridge: None,
            rate: None,
            engine: args.engine,
            max_evaluations: 1000,
            max_seconds: None,
            tolerance: None,
            settled: None,
            target: None,
            out: args.out.join(folder),
            json: false,
            quiet: args.quiet,
        };
        let fresh = settings.compliance()?;
        let problem: &mut Compliance = problem.insert(fresh);
        let run =
            topology::solve(problem, &settings.lgf()?, &mut opened, name, &settings, interrupted.clone())?;
        run.write(&settings.out, problem, false)?;
        let stopped = matches!(run.report.stop, StopReason::Interrupted) || run.report.stop.is_fault();
        runs.push((name, run));
        if stopped {
            break;
        }
    }
    let curves: Vec<_> =
        runs.iter().map(|(name, run)| io::Curve { name, history: &run.report.history }).collect();
    let title = format!("half-MBB beam {}x{}, density filter", args.size.0, args.size.1);
    let mut files =
        vec![("convergence.svg", io::convergence_svg(&title, "compliance", &curves)?.into_bytes())];
    if let (Some(problem), Some((_, last))) = (&problem, runs.last()) {
        files.push(("design.png", io::density_png(problem.grid(), &problem.physical_density(&last.design))?));
    }
    let written = io::write_all(&args.out, &files);
    if !args.quiet {
        print(&table(args, &runs))?;
    }
    written?;
    Ok(runs.last().map_or(Ending::Done, |(_, run)| topology::ending(&run.report)))
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
    let target = runs.first().map(|(_, plain)| plain.objective);
    for (name, run) in runs {
        let reached = target
            .and_then(|t| run.report.evaluations_to_reach(t))
            .map_or("not reached".to_string(), |n| n.to_string());
        line!(
            out,
            "| {name:8} | {:16} | {reached:>25} | {:10.4} | {:8.6} | {:7.2} | {:6} |",
            run.report.true_evaluations,
            run.objective,
            run.volume,
            run.report.wall_seconds + run.levels.iter().map(|l| l.wall_seconds).sum::<f64>(),
            run.report.engine.engine
        );
    }
    line!(out, "");
    for (name, run) in runs.iter().filter(|(_, run)| !run.levels.is_empty()) {
        line!(out, "{name} before that: {}", topology::before(&run.levels));
    }
    for (name, run) in runs {
        line!(out, "{name}: {}", run.report.stop);
    }
    if let Some((_, run)) = runs.last() {
        line!(out, "{}", engine_line(&run.report.engine, &run.engine_reason));
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
