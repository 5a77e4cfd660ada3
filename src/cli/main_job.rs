//! The main job: plain OC, LGF-OC and LGF as `lgf topology` does it, side by side on the half-MBB beam, and
//! plain OC beside LGF on a cantilever in three dimensions.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::checkpoint::{self, CheckpointArgs, Identity, Sitting};
use super::results::{Run, engine_line};
use super::topology::{self, Files, Label};
use crate::checkpoint::Journal;
use crate::cli::arguments::{Elements, EngineArgs, parse_elements, parse_size};
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::engine::{Engine, Opened};
use crate::error::{Error, Result};
use crate::flow::{Flow, OptimalityCriteria};
use crate::io;
use crate::method::{Adaptive, Cadence, Field};
use crate::report::StopReason;
use crate::surrogate::SurrogateConfig;
use crate::topology::{Compliance, Preset, Recipe, Structure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Elements of the beam, COLUMNSxROWS, each 1 to 16384, at most 4194304 in all; the filter radius is 0.04
    /// times the columns, at least 1.5
    #[arg(long, value_name = "CxR", value_parser = parse_size, default_value = "150x50")]
    size: (u32, u32),
    /// Elements of the cantilever in three dimensions, COLUMNSxROWSxLAYERS; the filter radius is 1.5
    #[arg(long, value_name = "CxRxL", value_parser = parse_elements, default_value = "64x32x32")]
    solid: Elements,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Folder for the pictures and records
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    pub quiet: bool,
}

/// One structure, and the runs that are shown side by side: the name, the folder and the recipe of each.
struct Job {
    title: String,
    structure: Structure,
    plans: Vec<(&'static str, &'static str, Recipe)>,
    /// The names of the picture of the last run's design and of the plot of all runs.
    pictures: [&'static str; 2],
}

/// The budget of plain OC in three dimensions, where it creeps for hundreds of evaluations: the most that is
/// usual there.
const SOLID_BUDGET: usize = 120;

fn jobs(args: &Args) -> Result<[Job; 2]> {
    // OC's runs start from the uniform design, as a better start would not be the learned flow's merit. The
    // last run is what a user gets by default.
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let cadence = Cadence::Adaptive(Adaptive::default());
    let learned = Field::new(oc, SurrogateConfig::topology(), cadence);
    let beam = Structure::preset(Preset::Mbb, &[args.size.0, args.size.1])?;
    let Elements(elements) = &args.solid;
    if elements.len() != 3 {
        return Err(Error::invalid("--solid", "two numbers", "three numbers, e.g. 48x24x24"));
    }
    let solid = Structure::preset(Preset::Cantilever, elements)?;
    let mut plain = Recipe::new(oc).cold();
    plain.stopping.max_evaluations = SOLID_BUDGET;
    let size: Vec<String> = elements.iter().map(u32::to_string).collect();
    Ok([
        Job {
            title: format!("half-MBB beam {}x{}", args.size.0, args.size.1),
            structure: beam,
            plans: vec![
                ("plain OC", "plain", Recipe::new(oc).cold()),
                ("LGF-OC", "lgf-oc", Recipe::new(learned).cold()),
                ("LGF", "lgf", Recipe::default()),
            ],
            pictures: ["design.png", "convergence.svg"],
        },
        Job {
            title: format!("cantilever {}", size.join("x")),
            structure: solid,
            plans: vec![("plain OC", "solid-plain", plain), ("LGF", "solid-lgf", Recipe::default())],
            pictures: ["solid.png", "solid-convergence.svg"],
        },
    ])
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    execute(args, &Sitting::First)
}

/// Makes the runs that the arguments ask for, or goes on with them.
pub(super) fn execute(args: &Args, sitting: &Sitting) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let jobs = jobs(args)?;
    let mut opened = args.engine.open()?;
    io::prepare(&args.out)?;
    let identity = || Identity::new().on(&opened.info());
    let journal = checkpoint::open(&args.out, args.checkpoint.checkpoint, sitting, identity)?;
    // The results of an earlier job must not pass for this one's, so they are removed.
    for (_, folder, _) in jobs.iter().flat_map(|job| &job.plans) {
        for file in [
            "record.json",
            "history.csv",
            "design.png",
            "design.npy",
            "variables.npy",
            "design.stl",
            "design.vti",
        ] {
            let _ = std::fs::remove_file(args.out.join(folder).join(file));
        }
    }
    let mut ending = Ending::Done;
    for job in &jobs {
        ending = job.run(args, &mut opened, &interrupted, journal.as_ref())?;
        if !matches!(ending, Ending::Done) {
            break;
        }
    }
    checkpoint::leave(journal, &ending, &args.out)?;
    Ok(ending)
}

impl Job {
    fn run(
        &self,
        args: &Args,
        opened: &mut Opened,
        interrupted: &Arc<AtomicBool>,
        journal: Option<&Journal>,
    ) -> Result<Ending> {
        let mut runs: Vec<(&str, Run)> = Vec::new();
        let mut problem = None;
        for (name, folder, recipe) in &self.plans {
            let problem: &mut Compliance = problem.insert(Compliance::new(self.structure.clone())?);
            if let Some(journal) = journal {
                problem.journal(journal);
            }
            let label = Label { name, quiet: args.quiet };
            let run = topology::solve(
                problem,
                *recipe,
                None,
                opened,
                label,
                (interrupted.clone(), Files::default()),
            )?;
            run.write(&args.out.join(folder), problem, false)?;
            let stop = &run.solution.report.stop;
            let stopped = matches!(stop, StopReason::Interrupted) || stop.is_fault();
            runs.push((name, run));
            if stopped {
                break;
            }
        }
        let curves: Vec<_> = runs
            .iter()
            .map(|(name, run)| io::Curve { name, history: &run.solution.report.history })
            .collect();
        let title = format!("{}, density filter", self.title);
        let [picture, plot] = self.pictures;
        let mut files = vec![(plot, io::convergence_svg(&title, "compliance", &curves)?.into_bytes())];
        if let (Some(problem), Some((_, last))) = (&problem, runs.last()) {
            files.push((picture, io::design_png(problem, &last.solution.design)?));
        }
        let written = io::write_all(&args.out, &files);
        if !args.quiet {
            print(&self.table(&args.out, &runs))?;
        }
        written?;
        Ok(runs.last().map_or(Ending::Done, |(_, run)| topology::ending(&run.solution.report)))
    }

    fn table(&self, folder: &Path, runs: &[(&str, Run)]) -> String {
        let mut text = String::new();
        let out = &mut text;
        let Structure { volume_fraction, penalty, radius, .. } = self.structure;
        line!(
            out,
            "{}, volume fraction {volume_fraction}, p = {penalty}, density filter of radius {radius:.1}",
            self.title
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
        let folders: Vec<_> =
            self.plans.iter().map(|(_, folder, _)| format!("{folder}/")).take(runs.len()).collect();
        let surface = if self.structure.dimension() == 3 { " design.stl" } else { "" };
        line!(
            out,
            "written to {}: {}, and record.json problem.toml history.csv design.png design.npy variables.npy \
             design.vti{surface} in {}",
            folder.display(),
            self.pictures.join(" "),
            folders.join(", ")
        );
        line!(out, "");
        text
    }
}
