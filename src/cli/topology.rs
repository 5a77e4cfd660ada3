//! `lgf topology`.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::ValueEnum;

use super::multilevel::{self, Start};
use super::opened::Opened;
use super::progress::Progress;
use super::results::{Level, Run, json};
use super::{Ending, EngineArgs, interrupt_flag, parse_size, print};
use crate::error::{Error, Result};
use crate::flow::{Adam, Flow, GradientDescent, OptimalityCriteria};
use crate::io;
use crate::objective::Objective;
use crate::optimizer::{Lgf, LgfConfig, Origin, Settled, Stopping};
use crate::report::{Report, StopReason};
use crate::schedule::{Adaptive, Cosine, Fixed, Potential, Schedule};
use crate::surrogate::{Rank, Regression, Ridge, SpaceConfig, SurrogateConfig};
use crate::topology::{
    Compliance, ComplianceConfig, FilterKind, Levels, PassiveRegion, Preset, Projection, Shape,
    SigmoidDesign, coarse_levels,
};

/// When a run with a potential counts as settled: it goes on finding a little for long.
const SETTLED_CHANGE: f64 = 2e-4;
const SETTLED_WINDOW: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PresetFlag {
    /// Half of the MBB beam: symmetry at the left edge, roller at the lower right corner, load at the upper
    /// left
    Mbb,
    /// Left edge clamped, load at the lower right corner
    Cantilever,
    /// Left edge clamped, two load cases: down at the lower right corner, up at the upper right one
    CantileverTwoLoads,
    /// An L, its upper end clamped, load down at the tip of its right end
    LBracket,
    /// Lower corners held, two load cases on the lower edge
    TwoLoadBridge,
}

impl PresetFlag {
    pub(super) fn preset(self) -> Preset {
        match self {
            Self::Mbb => Preset::Mbb,
            Self::Cantilever => Preset::Cantilever,
            Self::CantileverTwoLoads => Preset::CantileverTwoLoads,
            Self::LBracket => Preset::LBracket,
            Self::TwoLoadBridge => Preset::TwoLoadBridge,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mbb => "mbb",
            Self::Cantilever => "cantilever",
            Self::CantileverTwoLoads => "cantilever-two-loads",
            Self::LBracket => "l-bracket",
            Self::TwoLoadBridge => "two-load-bridge",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ContinuationFlag {
    /// With coarse grids on the coarsest of them, else not at all
    Auto,
    /// On the first grid
    On,
    /// Not at all
    Off,
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
    /// The gradient flow of a learned potential, minimised in a trust region between any two true evaluations
    Potential,
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
    /// Learned steps within a reach that follows the angle between learned and true steps; adam and
    /// gradient-descent flows
    Cosine,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The structure
    #[arg(long, value_enum, default_value = "mbb")]
    pub preset: PresetFlag,
    /// Elements, COLUMNSxROWS, each 1 to 16384, at most 4194304 in all
    #[arg(long, value_name = "CxR", value_parser = parse_size, default_value = "150x50")]
    pub size: (u32, u32),
    /// Volume fraction of the whole grid, passive elements included, above 0 and at most 1
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true)]
    pub volume: f64,
    /// SIMP penalty exponent, 1 to 10
    #[arg(long, default_value_t = 3.0, allow_negative_numbers = true)]
    pub penalty: f64,
    /// Filter radius in element sides, above 0 and at most 1000; up to 1 filters nothing [default: 0.04 times
    /// the columns, at least 1.5]
    #[arg(long, allow_negative_numbers = true)]
    pub radius: Option<f64>,
    /// Grids to go through, the given one included: 1 to 12, or auto; coarse ones find the layout, the fine
    /// one refines it (potential and OC only) [default: auto with these, else 1]
    #[arg(long, value_name = "N|auto", value_parser = parse_levels)]
    pub levels: Option<Levels>,
    /// When the penalty is raised from 1 in 4 steps of 10 evaluations before it is what is asked for; where
    /// there is one coarse grid only, that is done beside going straight on and the better layout taken
    /// (potential and OC only)
    #[arg(long, value_enum, default_value = "auto")]
    pub continuation: ContinuationFlag,
    /// What the filter smooths
    #[arg(long, value_enum, default_value = "density")]
    pub filter: FilterFlag,
    /// Sharpness BETA of a projection of the filtered densities towards 0 and 1 that keeps the volume, above
    /// 0 and at most 1000; reached by doubling, 30 evaluations each (potential and OC, density filter only)
    /// [default: none]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub projection: Option<f64>,
    /// A round hole where there is never material: its centre in parts of width and height from the lower
    /// left, its radius in parts of the height; may be given several times
    #[arg(long = "hole", value_name = "X,Y,R", value_parser = parse_hole)]
    pub holes: Vec<(f64, f64, f64)>,
    /// What is learned and followed [default: potential; oc with an option that is for learned fields, or
    /// with the sensitivity filter, whose field is the gradient of no function]
    #[arg(long, value_enum)]
    pub flow: Option<FlowFlag>,
    /// When true gradients are computed; a potential has a schedule of its own [default: adaptive]
    #[arg(long, value_enum)]
    pub schedule: Option<ScheduleFlag>,
    /// K, samples the surrogate is learned from, 2 to 256 (potential: pairs of samples, 1 to 64) [default: 6
    /// with a potential, 8 with OC, else 20]
    #[arg(long, value_name = "K")]
    pub history: Option<usize>,
    /// M, iterations per cycle, true and surrogate, K to 10000 (adaptive: of the first cycle); not for a
    /// potential [default: K + 16 with OC, else 2 K]
    #[arg(long, value_name = "M")]
    pub interval: Option<usize>,
    /// Projected steps that minimise a potential, at most, 1 to 1000 [default: 20]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// First trust radius of a potential, as a change of the densities, above 0 and at most 1 [default: 0.2]
    #[arg(long, value_name = "CHANGE", allow_negative_numbers = true)]
    pub trust: Option<f64>,
    /// Order of the polynomial: of a learned field 1 to 6, of a potential 2 to 4 [default: field 1, potential
    /// 2]
    #[arg(long)]
    pub order: Option<usize>,
    /// Directions of the history kept, 1 to K; with the order it bounds the number of polynomial features, at
    /// most 32768; not for a potential [default: all]
    #[arg(long)]
    pub rank: Option<usize>,
    /// Ridge, relative to the mean squared norm of a feature row, at least 0; not for a potential [default:
    /// 0.001]
    #[arg(long, allow_negative_numbers = true)]
    pub ridge: Option<f64>,
    /// Learning rate of ADAM and gradient descent, in units of the sigmoid's argument, above 0 [default: 0.1
    /// for ADAM, for gradient descent 0.001 times the number of elements]
    #[arg(long, allow_negative_numbers = true)]
    pub rate: Option<f64>,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Budget of true evaluations, at least 1
    #[arg(long, default_value_t = 1000)]
    pub max_evaluations: usize,
    /// Wall-clock budget in seconds for all grids together, above 0: no true evaluation begins later, but for
    /// each grid's first [default: none]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub max_seconds: Option<f64>,
    /// Converged when a true step changes no variable of the flow (potential, OC: design variable; ADAM,
    /// gradient descent: argument of the sigmoid) by more than this, at least 0 and below the flow's largest
    /// step [default: 0.001 with a potential, else 0.01, for ADAM a tenth of the rate]
    #[arg(long, allow_negative_numbers = true)]
    pub tolerance: Option<f64>,
    /// Settled when the best compliance has fallen by at most this share within the last 10 true evaluations,
    /// at least 0 [default: 0.0002 with a potential, else off]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub settled: Option<f64>,
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

fn parse_hole(text: &str) -> std::result::Result<(f64, f64, f64), String> {
    let numbers: Vec<f64> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    match numbers[..] {
        [x, y, radius] if text.split(',').count() == 3 => Ok((x, y, radius)),
        _ => Err("expected X,Y,R, e.g. 0.33,0.5,0.3".into()),
    }
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
            preset: self.preset.preset(),
            passive: self
                .holes
                .iter()
                .map(|&(x, y, radius)| PassiveRegion::Void(Shape::Disc { centre: (x, y), radius }))
                .collect(),
            projection: self.projection.map(|beta| Projection { beta }),
            volume_fraction: self.volume,
            penalty: self.penalty,
            radius: self.radius.unwrap_or(base.radius.max(1.5)),
            ..base
        }
    }

    fn flow(&self) -> FlowFlag {
        self.flow.unwrap_or(match self.filter {
            FilterFlag::Density if self.of_fields().is_none() => FlowFlag::Potential,
            FilterFlag::Density | FilterFlag::Sensitivity => FlowFlag::Oc,
        })
    }

    /// An option given that is for learned fields.
    fn of_fields(&self) -> Option<&'static str> {
        let options = [
            ("--schedule", self.schedule.is_some()),
            ("--interval", self.interval.is_some()),
            ("--rank", self.rank.is_some()),
            ("--ridge", self.ridge.is_some()),
            ("--rate", self.rate.is_some()),
        ];
        options.iter().find(|(_, given)| *given).map(|(flag, _)| *flag)
    }

    /// Whether the flow works on the densities themselves.
    fn is_direct(&self) -> bool {
        matches!(self.flow(), FlowFlag::Potential | FlowFlag::Oc)
    }

    /// The problems before it: coarse grids, softer projections.
    fn before(&self) -> Result<Vec<ComplianceConfig>> {
        let levels = self.levels.unwrap_or(if self.is_direct() { Levels::Auto } else { Levels::Count(1) });
        let refused = [
            ("--levels", levels != Levels::Count(1)),
            ("--continuation", self.continuation == ContinuationFlag::On),
            ("--projection", self.projection.is_some()),
        ];
        if let (false, Some((flag, _))) = (self.is_direct(), refused.iter().find(|(_, given)| *given)) {
            return Err(Error::only_with(*flag, "the potential and oc flows"));
        }
        let problem = self.problem();
        Ok(multilevel::way(coarse_levels(&problem, levels)?, &problem))
    }

    /// Whether the penalty is raised on the first grid.
    fn is_raised(&self, before: &[ComplianceConfig]) -> bool {
        match self.continuation {
            ContinuationFlag::Auto => before.iter().any(|config| config.size != self.size),
            ContinuationFlag::On => true,
            ContinuationFlag::Off => false,
        }
    }

    /// The run's settings, checked.
    pub(super) fn lgf(&self) -> Result<Lgf> {
        let config = match self.flow() {
            FlowFlag::Potential => self.potential()?,
            FlowFlag::Oc => self.field(Flow::OptimalityCriteria(OptimalityCriteria::default()))?,
            FlowFlag::Adam => self.field(Flow::Adam(Adam::new(self.rate.unwrap_or(0.1))))?,
            FlowFlag::GradientDescent => {
                let elements = f64::from(self.size.0) * f64::from(self.size.1);
                self.field(Flow::GradientDescent(GradientDescent {
                    rate: self.rate.unwrap_or(0.001 * elements),
                }))?
            }
        };
        let tolerance = self.tolerance.unwrap_or(match config.flow {
            Flow::Adam(flow) => 0.1 * flow.rate,
            Flow::ProjectedGradient(_) => 1e-3,
            _ => 0.01,
        });
        let default = if self.flow() == FlowFlag::Potential { Some(SETTLED_CHANGE) } else { None };
        let settled = self.settled.or(default).map(|change| Settled { evaluations: SETTLED_WINDOW, change });
        let stopping = Stopping {
            max_evaluations: self.max_evaluations,
            tolerance,
            target: self.target,
            settled,
            max_seconds: self.max_seconds,
        };
        Lgf::new(LgfConfig { stopping, ..config })
    }

    fn potential(&self) -> Result<LgfConfig> {
        if let FilterFlag::Sensitivity = self.filter {
            return Err(Error::exclusive(
                "the sensitivity filter",
                "--flow potential",
                "the filter's field is the gradient of no function, so no potential can be learned from it; \
                 use --flow oc",
            ));
        }
        if let Some(flag) = self.of_fields() {
            return Err(Error::exclusive(
                flag,
                "--flow potential",
                format!(
                    "{flag} is for learned fields; with --flow potential use --history, --order, --steps and \
                     --trust"
                ),
            ));
        }
        let default = Potential::default();
        Ok(LgfConfig::potential(Potential {
            memory: self.history.unwrap_or(default.memory),
            steps: self.steps.unwrap_or(default.steps),
            radius: self.trust.unwrap_or(default.radius),
            order: self.order.unwrap_or(default.order),
        }))
    }

    fn field(&self, flow: Flow) -> Result<LgfConfig> {
        let is_oc = self.flow() == FlowFlag::Oc;
        if is_oc && self.rate.is_some() {
            return Err(Error::only_with(
                "--rate",
                "the adam and gradient-descent flows; the OC flow has none",
            ));
        }
        if self.steps.is_some() || self.trust.is_some() {
            return Err(Error::only_with("--steps and --trust", "--flow potential"));
        }
        let history = self.history.unwrap_or(if is_oc { 8 } else { 20 });
        let interval = self.interval.unwrap_or(history + if is_oc { 16 } else { history });
        let schedule = match self.schedule.unwrap_or(ScheduleFlag::Adaptive) {
            ScheduleFlag::None => Schedule::None,
            ScheduleFlag::Fixed => Schedule::Fixed(Fixed::new(history, interval)),
            ScheduleFlag::Adaptive => {
                if interval < history {
                    return Err(Error::invalid(
                        "the interval M",
                        interval,
                        format!("at least the history size K, {history}"),
                    ));
                }
                Schedule::Adaptive(Adaptive::with_window(history, interval))
            }
            ScheduleFlag::Cosine => {
                if is_oc || self.interval.is_some() {
                    return Err(if is_oc {
                        Error::only_with("--schedule cosine", "the adam and gradient-descent flows")
                    } else {
                        Error::only_with("--interval", "the other schedules")
                    });
                }
                Schedule::Cosine(Cosine::with_window(history))
            }
        };
        let surrogate = if is_oc { SurrogateConfig::topology() } else { SurrogateConfig::snapshots() };
        let rank = self.rank.map_or(Rank::Full, Rank::Count);
        let surrogate = SurrogateConfig {
            order: self.order.unwrap_or(1),
            space: SpaceConfig::Reduced { rank, centered: true },
            regression: Regression::ridge(Ridge::Relative(self.ridge.unwrap_or(1e-3))),
            ..surrogate
        };
        Ok(LgfConfig::new(flow, schedule, surrogate))
    }
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let lgf = args.lgf()?;
    let mut problem = args.compliance()?;
    args.before()?;
    if !args.is_direct() {
        // Finds out whether there is an interior design, before anything is written.
        SigmoidDesign::new(&mut problem)?;
    }
    let mut opened = Opened::new(args.engine)?;
    io::prepare(&args.out)?;
    let run = solve(&mut problem, &lgf, &mut opened, "lgf", args, interrupted)?;
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

/// Runs `lgf` on `problem`, if need be to the end on another engine; see [`Opened::minimize`].
pub(super) fn solve(
    problem: &mut Compliance,
    lgf: &Lgf,
    opened: &mut Opened,
    name: &str,
    args: &Args,
    interrupted: Arc<AtomicBool>,
) -> Result<Run> {
    let config = lgf.config();
    let mut progress = Progress::new(name, args.quiet, interrupted.clone());
    let began = Instant::now();
    // One budget of time for all grids; each is left at least the moment its start takes.
    let left =
        || config.stopping.max_seconds.map(|seconds| (seconds - began.elapsed().as_secs_f64()).max(1e-3));
    let mut levels: Vec<Level> = Vec::new();
    let mut reached: Option<f64> = None;
    let (report, design) = if args.is_direct() {
        let before = args.before()?;
        let raised = args.is_raised(&before);
        let start = multilevel::start(before, raised, problem, |coarse, start, budget| {
            let size = label(coarse, args.projection.is_some());
            let mut progress = Progress::new(&format!("{name} {size}"), args.quiet, interrupted.clone());
            let stopping =
                Stopping { max_evaluations: budget, target: None, max_seconds: left(), ..config.stopping };
            let lgf = Lgf::new(LgfConfig { stopping, ..*config })?;
            let report = opened.minimize(
                &lgf,
                Origin::at(&start.design).knowing(&start.pairs),
                coarse,
                &mut progress,
            )?;
            let share = coarse.grid().elements() as f64 / problem.grid().elements() as f64;
            let before = match levels.pop() {
                // The same grid, straight on or with a smaller penalty.
                Some(level) if level.size == size => Some(level),
                other => {
                    levels.extend(other);
                    None
                }
            };
            // With the run's own penalty; before that, whatever the softer ones have come to.
            let is_own = coarse.config().penalty == args.penalty;
            reached = reached.filter(|_| before.is_some());
            if is_own {
                reached = Some(reached.map_or(report.objective, |r| r.min(report.objective)));
            }
            let objective = reached.unwrap_or(report.objective);
            let true_evaluations =
                before.as_ref().map_or(0, |l| l.true_evaluations) + report.true_evaluations;
            levels.push(Level {
                size,
                true_evaluations,
                objective,
                fine_equivalents: share * true_evaluations as f64,
                wall_seconds: before.map_or(0.0, |l| l.wall_seconds) + report.wall_seconds,
                stop: report.stop.to_string(),
            });
            // A broken engine is the fine run's to report.
            Ok(Some(Start {
                value: report.objective,
                design: report.x,
                pairs: opened.engine.pairs().unwrap_or_default(),
            }))
        })?
        .unwrap_or_else(|| Start::at(problem.uniform_start()));
        let lgf =
            Lgf::new(LgfConfig { stopping: Stopping { max_seconds: left(), ..config.stopping }, ..*config })?;
        let mut report =
            opened.minimize(&lgf, Origin::at(&start.design).knowing(&start.pairs), problem, &mut progress)?;
        if let (StopReason::TimeSpent { seconds }, Some(all)) =
            (&mut report.stop, config.stopping.max_seconds)
        {
            *seconds = all;
        }
        let design = report.x.clone();
        (report, design)
    } else {
        let mut latent = SigmoidDesign::new(&mut *problem)?;
        let start = vec![0.0; latent.dimension()];
        let report = opened.minimize(lgf, Origin::at(&start), &mut latent, &mut progress)?;
        let design = latent.design(&report.x);
        (report, design)
    };
    // The truth, once more, from the design that is handed out.
    let objective = problem.compliance(&design)?;
    Ok(Run {
        volume: problem.volume(&design),
        problem: args.preset.name(),
        size: args.size,
        flow: config.flow.name(),
        schedule: config.schedule.name(),
        settings: format!("{:?}, {config:?}", args.problem()),
        report,
        design,
        objective,
        engine_reason: opened.reason.clone(),
        levels,
    })
}

/// The grid, and the projection if the run has any.
fn label(problem: &Compliance, projected: bool) -> String {
    let (nelx, nely) = (problem.grid().nelx(), problem.grid().nely());
    match problem.config().projection {
        Some(Projection { beta }) if projected => format!("{nelx}x{nely} beta {beta}"),
        _ => format!("{nelx}x{nely}"),
    }
}

/// How the command ends after a run that came back.
pub(super) fn ending(report: &Report) -> Ending {
    match &report.stop {
        StopReason::Interrupted => Ending::Interrupted,
        stop if stop.is_fault() => Ending::Faulty(stop.to_string()),
        _ => Ending::Done,
    }
}

/// What was spent before the run proper.
pub(super) fn before(levels: &[Level]) -> String {
    let each: Vec<String> = levels.iter().map(|l| format!("{} on {}", l.true_evaluations, l.size)).collect();
    format!(
        "{} ({:.1} fine-solve equivalents)",
        each.join(", "),
        levels.iter().map(|l| l.fine_equivalents).sum::<f64>()
    )
}

fn summary(run: &Run, folder: Option<&PathBuf>) -> String {
    let mut text = String::new();
    let out = &mut text;
    let report = &run.report;
    line!(out, "{} {}x{}, flow {}, schedule {}", run.problem, run.size.0, run.size.1, run.flow, run.schedule);
    line!(
        out,
        "  compliance        {:.4} at evaluation {} (the best; recomputed in f64)",
        run.objective,
        report.best_evaluation
    );
    line!(out, "  volume fraction   {:.6}", run.volume);
    if let Some(residual) = report.kkt_residual {
        line!(out, "  KKT residual      {residual:.2e} of the start's largest gradient entry")
    }
    line!(
        out,
        "  true evaluations  {} ({} of them undone landings)",
        report.true_evaluations,
        report.rejected
    );
    if !run.levels.is_empty() {
        line!(out, "  before            {}", before(&run.levels));
    }
    line!(out, "  surrogate steps   {}", report.surrogate_steps);
    let earlier: f64 = run.levels.iter().map(|l| l.wall_seconds).sum();
    let with = if run.levels.is_empty() { String::new() } else { format!(", {earlier:.2} before that") };
    line!(
        out,
        "  seconds           {:.2} ({:.2} in true evaluations){with}",
        report.wall_seconds,
        report.objective_seconds
    );
    line!(
        out,
        "  engine            {}: {}, {}; {}",
        report.engine.engine,
        report.engine.adapter,
        report.engine.precision,
        run.engine_reason
    );
    line!(out, "  stop              {}", report.stop);
    if let Some(folder) = folder {
        line!(
            out,
            "  written to        {}: design.png design.npy variables.npy convergence.svg record.json \
             history.csv",
            folder.display()
        );
    }
    text
}
