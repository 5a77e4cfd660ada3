//! `lgf topology`.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;

use super::progress::Progress;
use super::results::{Level, Run, json};
use super::{Ending, EngineFlag, interrupt_flag, multilevel, parse_size, print};
use crate::engine::{Engine, EngineChoice};
use crate::error::{Error, Result};
use crate::flow::{Adam, Flow, GradientDescent, OptimalityCriteria};
use crate::io;
use crate::objective::Objective;
use crate::optimizer::{Lgf, LgfConfig, RunError, Stopping};
use crate::report::{Report, StopReason};
use crate::schedule::{Adaptive, Fixed, Schedule};
use crate::surrogate::{Rank, Regression, Ridge, SpaceConfig, SurrogateConfig};
use crate::topology::{Compliance, ComplianceConfig, FilterKind, Levels, Preset, SigmoidDesign, coarse_levels};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PresetFlag {
    /// Half of the MBB beam: symmetry at the left edge, roller at the lower right corner, load at the upper left
    Mbb,
    /// Left edge clamped, load at the lower right corner
    Cantilever,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FilterFlag {
    /// Filtered densities, exact gradient
    Density,
    /// Filtered sensitivities, the classical heuristic
    Sensitivity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FlowFlag {
    /// Optimality criteria, move limit 0.2
    Oc,
    /// ADAM on a sigmoid parametrisation that keeps the volume exactly
    Adam,
    /// Gradient descent on the same parametrisation
    GradientDescent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ScheduleFlag {
    /// The plain base flow: every step is a true evaluation
    None,
    /// The paper's: K true iterations, M-K surrogate iterations, with a landing check
    Fixed,
    /// Short true phases, surrogate phases as long and bold as they prove right
    Adaptive,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The structure
    #[arg(long, value_enum, default_value = "mbb")]
    pub preset: PresetFlag,
    /// Elements, COLUMNSxROWS, each 1 to 16384, at most 4194304 in all
    #[arg(long, value_name = "CxR", value_parser = parse_size, default_value = "150x50")]
    pub size: (u32, u32),
    /// Volume fraction, above 0 and at most 1
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true)]
    pub volume: f64,
    /// SIMP penalty exponent, 1 to 10
    #[arg(long, default_value_t = 3.0, allow_negative_numbers = true)]
    pub penalty: f64,
    /// Filter radius in element sides, above 0 and at most 1000; up to 1 filters nothing [default: 0.04 times the columns, at least 1.5]
    #[arg(long, allow_negative_numbers = true)]
    pub radius: Option<f64>,
    /// Grids to go through, the given one included: 1 to 12, or auto; coarse ones find the layout, the fine one refines it (OC flow only) [default: auto
    /// with the OC flow, else 1]
    #[arg(long, value_name = "N|auto", value_parser = parse_levels)]
    pub levels: Option<Levels>,
    /// What the filter smooths
    #[arg(long, value_enum, default_value = "density")]
    pub filter: FilterFlag,
    /// The base optimizer
    #[arg(long, value_enum, default_value = "oc")]
    pub flow: FlowFlag,
    /// When true gradients are computed
    #[arg(long, value_enum, default_value = "adaptive")]
    pub schedule: ScheduleFlag,
    /// K, iterates the surrogate is learned from, 2 to 256 [default: 8 with OC, else 20]
    #[arg(long, value_name = "K")]
    pub history: Option<usize>,
    /// M, iterations per cycle, true and surrogate, K to 10000 (adaptive: of the first cycle) [default: K + 16 with OC, else 2 K]
    #[arg(long, value_name = "M")]
    pub interval: Option<usize>,
    /// Order of the polynomial surrogate, 1 to 6
    #[arg(long, default_value_t = 1)]
    pub order: usize,
    /// Directions of the history kept, 1 to K; with the order it bounds the number of polynomial features, at most 32768 [default: all]
    #[arg(long)]
    pub rank: Option<usize>,
    /// Ridge, relative to the mean squared norm of a feature row, at least 0
    #[arg(long, default_value_t = 1e-3, allow_negative_numbers = true)]
    pub ridge: f64,
    /// Learning rate of ADAM and gradient descent, in units of the sigmoid's argument, above 0 [default: 0.1 for ADAM, for gradient
    /// descent 0.001 times the number of elements]
    #[arg(long, allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// Where state, history and surrogate live; finite elements are solved on the CPU
    #[arg(long, value_enum, default_value = "auto")]
    pub engine: EngineFlag,
    /// Budget of true evaluations, at least 1
    #[arg(long, default_value_t = 1000)]
    pub max_evaluations: usize,
    /// Converged when a true step changes no variable of the flow (OC: design variable; ADAM, gradient descent: argument of the sigmoid) by more
    /// than this, at least 0 and below the flow's largest step [default: 0.01, for ADAM a tenth of the rate]
    #[arg(long, allow_negative_numbers = true)]
    pub tolerance: Option<f64>,
    /// Stop as soon as the compliance of a trusted design is at most this [default: none]
    #[arg(long, value_name = "COMPLIANCE", allow_negative_numbers = true)]
    pub target: Option<f64>,
    /// Folder for design.png, design.npy, variables.npy, convergence.svg, record.json and history.csv
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print one JSON object and nothing else on the standard output
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors
    #[arg(long)]
    pub quiet: bool,
}

fn parse_levels(text: &str) -> std::result::Result<Levels, String> {
    if text == "auto" {
        return Ok(Levels::Auto);
    }
    text.parse().map(Levels::Count).map_err(|_| "expected a number or auto".into())
}

impl Args {
    /// The problem, checked and set up.
    pub(super) fn compliance(&self) -> Result<Compliance> {
        Compliance::new(self.problem())
    }

    fn problem(&self) -> ComplianceConfig {
        let filter = match self.filter {
            FilterFlag::Density => FilterKind::Density,
            FilterFlag::Sensitivity => FilterKind::Sensitivity,
        };
        let base = ComplianceConfig::mbb(self.size.0, self.size.1, filter);
        ComplianceConfig {
            preset: match self.preset {
                PresetFlag::Mbb => Preset::Mbb,
                PresetFlag::Cantilever => Preset::Cantilever,
            },
            volume_fraction: self.volume,
            penalty: self.penalty,
            radius: self.radius.unwrap_or(base.radius.max(1.5)),
            ..base
        }
    }

    /// The coarse problems before it.
    fn coarse(&self) -> Result<Vec<ComplianceConfig>> {
        let is_oc = self.flow == FlowFlag::Oc;
        let levels = self.levels.unwrap_or(if is_oc { Levels::Auto } else { Levels::Count(1) });
        if !is_oc && levels != Levels::Count(1) {
            return Err(Error::Incompatible("--levels is for the oc flow".into()));
        }
        coarse_levels(&self.problem(), levels)
    }

    fn flow(&self) -> Flow {
        match self.flow {
            FlowFlag::Oc => Flow::OptimalityCriteria(OptimalityCriteria::default()),
            FlowFlag::Adam => Flow::Adam(Adam::new(self.rate.unwrap_or(0.1))),
            FlowFlag::GradientDescent => {
                let elements = f64::from(self.size.0) * f64::from(self.size.1);
                Flow::GradientDescent(GradientDescent { rate: self.rate.unwrap_or(0.001 * elements) })
            }
        }
    }

    /// The run's settings, checked.
    pub(super) fn lgf(&self) -> Result<Lgf> {
        let is_oc = self.flow == FlowFlag::Oc;
        if is_oc && self.rate.is_some() {
            return Err(Error::Incompatible("--rate is for the adam and gradient-descent flows; the OC flow has none".into()));
        }
        let history = self.history.unwrap_or(if is_oc { 8 } else { 20 });
        let interval = self.interval.unwrap_or(history + if is_oc { 16 } else { history });
        let schedule = match self.schedule {
            ScheduleFlag::None => Schedule::None,
            ScheduleFlag::Fixed => Schedule::Fixed(Fixed::new(history, interval)),
            ScheduleFlag::Adaptive => {
                if interval < history {
                    return Err(Error::invalid("the interval M", interval, format!("at least the history size K, {history}")));
                }
                Schedule::Adaptive(Adaptive::with_window(history, interval))
            }
        };
        let surrogate = if is_oc { SurrogateConfig::topology() } else { SurrogateConfig::snapshots() };
        let rank = self.rank.map_or(Rank::Full, Rank::Count);
        let surrogate = SurrogateConfig {
            order: self.order,
            space: SpaceConfig::Reduced { rank, centered: true },
            regression: Regression::ridge(Ridge::Relative(self.ridge)),
            ..surrogate
        };
        let flow = self.flow();
        let tolerance = self.tolerance.unwrap_or(match flow {
            Flow::Adam(flow) => 0.1 * flow.rate,
            _ => 0.01,
        });
        let stopping = Stopping { max_evaluations: self.max_evaluations, tolerance, target: self.target };
        Lgf::new(LgfConfig { stopping, ..LgfConfig::new(flow, schedule, surrogate) })
    }
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let lgf = args.lgf()?;
    let mut problem = args.compliance()?;
    args.coarse()?;
    if args.flow != FlowFlag::Oc {
        // Finds out whether there is an interior design, before anything is written.
        SigmoidDesign::new(&mut problem)?;
    }
    let (mut engine, reason) = EngineChoice::from(args.engine).open()?;
    io::prepare(&args.out)?;
    let run = solve(&mut problem, &lgf, (&mut *engine, &reason), "lgf", args, interrupted)?;
    // What was reached is told even if the disk is full.
    let written = run.write(&args.out, &problem, true);
    if args.json {
        print(&(String::from_utf8_lossy(&json(&run.record(), false)?).into_owned() + "\n"))?;
    } else if !args.quiet {
        print(&summary(&run, written.is_ok().then_some(&args.out)))?;
    }
    written?;
    Ok(ending(&run.report))
}

/// Runs `lgf` on `problem`; a fault of the engine still gives the best design.
pub(super) fn solve(
    problem: &mut Compliance,
    lgf: &Lgf,
    (engine, engine_reason): (&mut dyn Engine, &str),
    name: &str,
    args: &Args,
    interrupted: Arc<AtomicBool>,
) -> Result<Run> {
    let config = lgf.config();
    let mut progress = Progress::new(name, args.quiet, interrupted.clone());
    let keep = |outcome| match outcome {
        Ok(report) => Ok(report),
        Err(RunError::CutShort { report, .. }) => Ok(*report),
        Err(RunError::NotStarted(error)) => Err(error),
    };
    let mut levels = Vec::new();
    let (report, design) = if let Flow::OptimalityCriteria(_) = config.flow {
        let start = multilevel::start(args.coarse()?, problem, |coarse, start, budget| {
            let (nelx, nely) = (coarse.grid().nelx(), coarse.grid().nely());
            let mut progress = Progress::new(&format!("{name} {nelx}x{nely}"), args.quiet, interrupted.clone());
            let stopping = Stopping { max_evaluations: budget, target: None, ..config.stopping };
            let report = keep(Lgf::new(LgfConfig { stopping, ..*config })?.minimize(coarse, start, engine, &mut progress))?;
            levels.push(Level {
                size: format!("{nelx}x{nely}"),
                true_evaluations: report.true_evaluations,
                objective: report.objective,
                fine_equivalents: coarse.grid().elements() as f64 / problem.grid().elements() as f64 * report.true_evaluations as f64,
                stop: report.stop.to_string(),
            });
            Ok(Some(report.x))
        })?
        .unwrap_or_else(|| problem.uniform_start());
        let report = keep(lgf.minimize(problem, &start, engine, &mut progress))?;
        let design = report.x.clone();
        (report, design)
    } else {
        let mut latent = SigmoidDesign::new(&mut *problem)?;
        let start = vec![0.0; latent.dimension()];
        let report = keep(lgf.minimize(&mut latent, &start, engine, &mut progress))?;
        let design = latent.design(&report.x);
        (report, design)
    };
    // The truth, once more, from the design that is handed out.
    let objective = problem.compliance(&design)?;
    Ok(Run {
        volume: problem.volume(&design),
        problem: match args.preset {
            PresetFlag::Mbb => "mbb",
            PresetFlag::Cantilever => "cantilever",
        },
        size: args.size,
        flow: config.flow.name(),
        schedule: config.schedule.name(),
        settings: format!("{:?}, {config:?}", args.problem()),
        report,
        design,
        objective,
        engine_reason: engine_reason.to_string(),
        levels,
    })
}

/// How the command ends after a run that came back.
pub(super) fn ending(report: &Report) -> Ending {
    match &report.stop {
        StopReason::Interrupted => Ending::Interrupted,
        stop if stop.is_fault() => Ending::Faulty(stop.to_string()),
        _ => Ending::Done,
    }
}

fn summary(run: &Run, folder: Option<&PathBuf>) -> String {
    let mut text = String::new();
    let out = &mut text;
    let report = &run.report;
    line!(out, "{} {}x{}, flow {}, schedule {}", run.problem, run.size.0, run.size.1, run.flow, run.schedule);
    line!(out, "  compliance        {:.4} at evaluation {} (the best; recomputed in f64)", run.objective, report.best_evaluation);
    line!(out, "  volume fraction   {:.6}", run.volume);
    line!(out, "  true evaluations  {} ({} of them undone landings)", report.true_evaluations, report.rejected);
    if !run.levels.is_empty() {
        let coarse: Vec<String> = run.levels.iter().map(|l| format!("{} on {}", l.true_evaluations, l.size)).collect();
        let equivalents: f64 = run.levels.iter().map(|l| l.fine_equivalents).sum();
        line!(out, "  before, coarse    {} ({equivalents:.1} fine-solve equivalents)", coarse.join(", "));
    }
    line!(out, "  surrogate steps   {}", report.surrogate_steps);
    line!(out, "  seconds           {:.2} ({:.2} in true evaluations)", report.wall_seconds, report.objective_seconds);
    line!(out, "  engine            {}: {}; {}", report.engine.engine, report.engine.adapter, run.engine_reason);
    line!(out, "  stop              {}", report.stop);
    if let Some(folder) = folder {
        line!(out, "  written to        {}: design.png design.npy variables.npy convergence.svg record.json history.csv", folder.display());
    }
    text
}
