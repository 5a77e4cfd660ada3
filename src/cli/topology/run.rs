//! Running a recipe as a command: progress, files, the record.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::Args;
use super::summary::summary;
use crate::cli::checkpoint::{self, Identity, Sitting, checksum};
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::cli::progress::Progress;
use crate::cli::results::{Resumed, Run, json};
use crate::engine::{Engine, EngineInfo, Opened};
use crate::error::{Error, Result};
use crate::io;
use crate::observe::{Event, Observer};
use crate::report::{HistoryEntry, Report, StopReason};
use crate::topology::{Compliance, GradientChoice, Mesh, Recipe, SigmoidDesign};

pub(in crate::cli) fn run(args: &Args) -> Result<Ending> {
    if let Some(path) = &args.save_problem {
        io::write_file(path, io::write_problem(&args.structure()?)?.into_bytes())?;
        print(&format!("written: {}\n", path.display()))?;
        return Ok(Ending::Done);
    }
    execute(args, Sitting::First)
}

/// Makes the run that the arguments ask for, or goes on with it.
pub(in crate::cli) fn execute(args: &Args, sitting: Sitting) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let structure = args.structure()?;
    let mut recipe = args.recipe(&structure)?;
    let elements = &structure.mesh.elements;
    let start = args.start.as_ref().map(|path| io::read_design(path, elements)).transpose()?;
    let mut opened = args.engine.open()?;
    structure.require_memory(opened.info().state)?;
    let (engine, adapter) = (args.engine.engine.into(), args.engine.adapter.as_ref());
    let mut problem = GradientChoice::from(args.gradient).open(structure, engine, adapter)?;
    // What is wrong with the settings is said before the run, which may take long.
    problem.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    if !recipe.is_direct() {
        // This finds out whether there is an interior design, before anything is written.
        SigmoidDesign::new(&mut problem)?;
    }
    io::prepare(&args.out)?;
    let identity = || identity(&problem, recipe, start.as_ref().map(|start| &start.1[..]), &opened.info());
    let journal = checkpoint::open(&args.out, args.checkpoint.checkpoint, &sitting, identity)?;
    let mut earlier = None;
    if let (Some(journal), Sitting::Another(first)) = (&journal, sitting) {
        let resumed = Resumed { evaluations: journal.replays(), seconds: journal.earlier_seconds() };
        recipe.stopping.max_seconds =
            recipe.stopping.max_seconds.map(|seconds| (seconds - resumed.seconds).max(1e-3));
        earlier = Some((first.directory, first.command, resumed));
    }
    if let Some(journal) = &journal {
        problem.journal(journal);
    }
    let saver = args.save_every.map(|every| Saver::new(every, &args.out, &problem, earlier.is_none()));
    let saver = saver.transpose()?;
    let files = Files { saver, listing: Some(Listing::new(&args.out, &problem)) };
    let label = Label { name: "lgf", quiet: args.quiet };
    let run = solve(&mut problem, recipe, start.as_ref(), &mut opened, label, (interrupted, files))?;
    // The files of the results take memory too, which the engine no longer needs.
    drop(opened);
    let checkpoint_seconds = journal.as_ref().map(|journal| journal.time_spent().as_secs_f64());
    let run = Run { earlier, checkpoint_seconds, ..run };
    // The summary is printed even if the disk is full.
    let written = run.write(&args.out, &problem, true);
    if args.json {
        print(&(String::from_utf8_lossy(&json(&run.record(), false)?).into_owned() + "\n"))?;
    } else if !args.quiet {
        print(&summary(&run, written.as_ref().ok().map(|files| (&args.out, files))))?;
    }
    written?;
    let ending = ending(&run.solution.report);
    let is_final = run.solution.report.stop.is_final();
    checkpoint::leave(journal, if is_final { &Ending::Done } else { &ending }, &args.out)?;
    Ok(ending)
}

/// What the steps of a run on `problem` depend on.
fn identity(
    problem: &Compliance,
    recipe: Recipe,
    start: Option<&[f64]>,
    engine: &EngineInfo,
) -> Result<Identity> {
    let half = vec![0.5; problem.mesh().elements()];
    let density = problem.physical_density(&half)?;
    Identity::new()
        .on(engine)?
        .with("the gradient", problem.gradient_by())?
        .with("the problem", problem.structure())?
        .with("a file of the problem's regions", checksum(&density))?
        .with("the design to start from", start.map(checksum))?
        .with("the recipe", recipe)
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
    (interrupted, files): (Arc<AtomicBool>, Files),
) -> Result<Run> {
    let watch = Watch { progress: Progress::new(label.name, label.quiet, interrupted), files };
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
        earlier: None,
        checkpoint_seconds: None,
    })
}

/// The files that are written while a run goes.
#[derive(Default)]
pub(in crate::cli) struct Files {
    saver: Option<Saver>,
    listing: Option<Listing>,
}

/// Writes the design variables of every so many evaluations on the given grid.
pub(in crate::cli) struct Saver {
    every: u64,
    folder: PathBuf,
    mesh: Mesh,
    seen: u64,
}

impl Saver {
    fn new(every: u64, out: &Path, problem: &Compliance, is_first: bool) -> Result<Self> {
        let folder = out.join("steps");
        io::prepare(&folder)?;
        if is_first {
            // Those of an earlier run in the same folder would be taken for this one's.
            let earlier = std::fs::read_dir(&folder).map_err(|error| Error::io(&folder, error))?;
            for file in earlier.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
                let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if name.starts_with("variables-") && name.ends_with(".npy") {
                    std::fs::remove_file(&file).map_err(|error| Error::io(&file, error))?;
                }
            }
        }
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

/// Writes one line of `evaluations.csv` an evaluation, on all grids, as soon as it is known: what can be read
/// of a run that was killed.
struct Listing {
    path: PathBuf,
    /// None once it could not be written.
    file: Option<std::fs::File>,
    stage: String,
}

impl Listing {
    fn new(out: &Path, problem: &Compliance) -> Self {
        let path = out.join("evaluations.csv");
        let mut listing = Self { path, file: None, stage: problem.mesh().to_string() };
        let created = std::fs::File::create(&listing.path);
        listing.note(created.and_then(|mut file| {
            file.write_all(b"grid,evaluation,iteration,objective,accepted\n")?;
            Ok(file)
        }));
        listing
    }

    fn note(&mut self, written: std::io::Result<std::fs::File>) {
        match written {
            Ok(file) => self.file = Some(file),
            // A full disk must not end a run that has not lost anything.
            Err(error) => log::warn!("{} ends here: {error}", self.path.display()),
        }
    }

    fn see(&mut self, entry: &HistoryEntry) {
        let HistoryEntry { evaluation, iteration, objective, accepted, .. } = entry;
        if let Some(mut file) = self.file.take() {
            let line = format!("{},{evaluation},{iteration},{objective:?},{accepted}\n", self.stage);
            self.note(file.write_all(line.as_bytes()).map(|()| file));
        }
    }
}

/// The progress bar, and what is written on the way.
struct Watch {
    progress: Progress,
    files: Files,
}

impl Observer for Watch {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let Files { saver, listing } = &mut self.files;
        match (&event, listing) {
            (Event::Stage { name }, Some(listing)) => listing.stage = (*name).to_string(),
            (Event::TrueStep { entry, .. } | Event::Landed { entry: Some(entry), .. }, Some(listing)) => {
                listing.see(entry);
            }
            _ => {}
        }
        if let (Some(saver), Event::TrueStep { x, .. } | Event::Landed { entry: Some(_), x, .. }) =
            (saver, &event)
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
