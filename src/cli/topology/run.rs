//! Running a recipe as a command: progress, files, the record.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::Args;
use super::summary::summary;
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::cli::progress::Progress;
use crate::cli::results::{Run, json};
use crate::engine::Opened;
use crate::error::Result;
use crate::io;
use crate::report::{Report, StopReason};
use crate::topology::{Compliance, Recipe, SigmoidDesign};

pub(in crate::cli) fn run(args: &Args) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let recipe = args.recipe()?;
    let mut problem = args.compliance()?;
    // What is wrong with the settings is said before the run, which may take long.
    problem.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    if !recipe.is_direct() {
        // This finds out whether there is an interior design, before anything is written.
        SigmoidDesign::new(&mut problem)?;
    }
    let mut opened = args.engine.open()?;
    io::prepare(&args.out)?;
    let label = Label { name: "lgf", problem: args.preset.name(), quiet: args.quiet };
    let run = solve(&mut problem, recipe, &mut opened, label, interrupted)?;
    // The summary is printed even if the disk is full.
    let written = run.write(&args.out, &problem, true);
    if args.json {
        print(&(String::from_utf8_lossy(&json(&run.record(), false)?).into_owned() + "\n"))?;
    } else if !args.quiet {
        print(&summary(&run, written.is_ok().then_some(&args.out)))?;
    }
    written?;
    Ok(ending(&run.solution.report))
}

/// The name of a run, and whether its progress is shown.
pub(in crate::cli) struct Label<'a> {
    pub name: &'a str,
    pub problem: &'static str,
    pub quiet: bool,
}

/// Solves `problem` by `recipe` with a progress bar.
pub(in crate::cli) fn solve(
    problem: &mut Compliance,
    recipe: Recipe,
    opened: &mut Opened,
    label: Label<'_>,
    interrupted: Arc<AtomicBool>,
) -> Result<Run> {
    let progress = Progress::new(label.name, label.quiet, interrupted);
    let solution = recipe.solve(problem, &mut *opened, progress)?;
    Ok(Run {
        problem: label.problem,
        size: problem.config().size,
        recipe,
        settings: format!("{:?}, {recipe:?}", problem.config()),
        solution,
        engine_reason: opened.reason().into(),
    })
}

/// The outcome of the command for a run that returned.
pub(in crate::cli) fn ending(report: &Report) -> Ending {
    match &report.stop {
        StopReason::Interrupted => Ending::Interrupted,
        stop if stop.is_fault() => Ending::Faulty(stop.to_string()),
        _ => Ending::Done,
    }
}
