//! Running a recipe as a command: progress, files, the record.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::Args;
use super::summary::summary;
use crate::cli::arguments::GradientFlag;
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::cli::memory;
use crate::cli::progress::Progress;
use crate::cli::results::{Run, json};
use crate::engine::Opened;
use crate::engine::gpu::SolidDevice;
use crate::error::{Error, Result};
use crate::io;
use crate::observe::{Event, Observer};
use crate::report::{Report, StopReason};
use crate::topology::{Compliance, Mesh, Recipe, SigmoidDesign, Structure};

pub(in crate::cli) fn run(args: &Args) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let structure = args.structure()?;
    if let Some(path) = &args.save_problem {
        io::write_file(path, io::write_problem(&structure)?.into_bytes())?;
        print(&format!("written: {}\n", path.display()))?;
        return Ok(Ending::Done);
    }
    let recipe = args.recipe(&structure)?;
    let start = args.start.as_ref().map(|path| io::read_design(path, structure.dimension())).transpose()?;
    memory::check(&structure)?;
    let mut problem = set_up(structure, args)?;
    // What is wrong with the settings is said before the run, which may take long.
    problem.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    if !recipe.is_direct() {
        // This finds out whether there is an interior design, before anything is written.
        SigmoidDesign::new(&mut problem)?;
    }
    let mut opened = args.engine.open()?;
    io::prepare(&args.out)?;
    let saver = args.save_every.map(|every| Saver::new(every, &args.out, &problem)).transpose()?;
    let label = Label { name: "lgf", quiet: args.quiet };
    let run = solve(&mut problem, recipe, start.as_ref(), &mut opened, label, (interrupted, saver))?;
    // The summary is printed even if the disk is full.
    let written = run.write(&args.out, &problem, true);
    if args.json {
        print(&(String::from_utf8_lossy(&json(&run.record(), false)?).into_owned() + "\n"))?;
    } else if !args.quiet {
        print(&summary(&run, written.as_ref().ok().map(|files| (&args.out, files))))?;
    }
    written?;
    Ok(ending(&run.solution.report))
}

/// The problem, its gradient where it is asked for: `auto` takes a hardware GPU that it fits on.
fn set_up(structure: Structure, args: &Args) -> Result<Compliance> {
    let is_asked_for = args.gradient == GradientFlag::Gpu;
    let adapter = args.engine.gradient_adapter(args.gradient);
    let Some(adapter) = adapter.filter(|_| is_asked_for || structure.dimension() == 3) else {
        return Compliance::new(structure);
    };
    let on_device =
        SolidDevice::open(&adapter).and_then(|device| Compliance::on_device(structure.clone(), &device));
    match on_device {
        Err(Error::Engine(fault)) if !is_asked_for => {
            log::info!("true gradients on the CPU: {fault}");
            Compliance::new(structure)
        }
        other => other,
    }
}

/// The name of a run, and whether its progress is shown.
pub(in crate::cli) struct Label<'a> {
    pub name: &'a str,
    pub quiet: bool,
}

/// Solves `problem` by `recipe` with a progress bar, from a design if one is given.
pub(in crate::cli) fn solve(
    problem: &mut Compliance,
    recipe: Recipe,
    start: Option<&(Mesh, Vec<f64>)>,
    opened: &mut Opened,
    label: Label<'_>,
    (interrupted, saver): (Arc<AtomicBool>, Option<Saver>),
) -> Result<Run> {
    let watch = Watch { progress: Progress::new(label.name, label.quiet, interrupted), saver };
    let solution = match start {
        Some((mesh, design)) => recipe.solve_from(problem, (mesh, design), &mut *opened, watch)?,
        None => recipe.solve(problem, &mut *opened, watch)?,
    };
    Ok(Run {
        problem: problem.structure().name.clone(),
        size: problem.mesh().to_string(),
        recipe,
        settings: format!("{:?}, {recipe:?}", problem.structure()),
        solution,
        engine_reason: opened.reason().into(),
    })
}

/// Writes the design variables of every so many evaluations on the given grid.
pub(in crate::cli) struct Saver {
    every: u64,
    folder: PathBuf,
    mesh: Mesh,
    seen: u64,
}

impl Saver {
    fn new(every: u64, out: &Path, problem: &Compliance) -> Result<Self> {
        let folder = out.join("steps");
        io::prepare(&folder)?;
        Ok(Self { every, folder, mesh: *problem.mesh(), seen: 0 })
    }

    fn see(&mut self, x: &[f64]) {
        if x.len() != self.mesh.elements() {
            return;
        }
        self.seen += 1;
        if self.seen.is_multiple_of(self.every) {
            let name = format!("variables-{:05}.npy", self.seen);
            let written = io::field_array(&self.mesh, x)
                .and_then(|array| io::array_npy(array.view()))
                .and_then(|bytes| io::write_file(&self.folder.join(&name), bytes));
            // A full disk must not end a run that has not lost anything.
            if let Err(error) = written {
                log::warn!("{name} is not written: {error}");
            }
        }
    }
}

/// The progress bar, and what is written on the way.
struct Watch {
    progress: Progress,
    saver: Option<Saver>,
}

impl Observer for Watch {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let (Some(saver), Event::TrueStep { x, .. } | Event::Landed { entry: Some(_), x, .. }) =
            (&mut self.saver, &event)
        {
            saver.see(x);
        }
        self.progress.event(event)
    }
}

/// The outcome of the command for a run that returned.
pub(in crate::cli) fn ending(report: &Report) -> Ending {
    match &report.stop {
        StopReason::Interrupted => Ending::Interrupted,
        stop if stop.is_fault() => Ending::Faulty(stop.to_string()),
        _ => Ending::Done,
    }
}
