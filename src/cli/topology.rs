//! `lgf topology`.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;

use super::progress::Progress;
use super::results::{Run, json, method_line};
use super::{Ending, EngineArgs, interrupt_flag, parse_size, print};
use crate::engine::Opened;
use crate::error::{Error, Result};
use crate::flow::{Adam, Flow, GradientDescent, OptimalityCriteria};
use crate::io;
use crate::method::{
    Adaptive, Cadence, Cosine, CosineTest, Field, Fixed, Method, Potential, Settled, Stopping,
};
use crate::report::{Report, StopReason};
use crate::surrogate::{Rank, Regression, Ridge, SpaceConfig, SurrogateConfig};
use crate::topology::{
    Compliance, ComplianceConfig, Continuation, FilterKind, Level, Levels, PassiveRegion, Preset, Projection,
    Recipe, Shape, SigmoidDesign, Solution,
};

/// The evaluations that `--settled` looks at.
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

    /// How the problem is to be solved, checked.
    pub(super) fn recipe(&self) -> Result<Recipe> {
        let method = match self.flow() {
            FlowFlag::Potential => self.potential()?.into(),
            FlowFlag::Oc => self.field(Flow::OptimalityCriteria(OptimalityCriteria::default()))?,
            FlowFlag::Adam => self.field(Flow::Adam(Adam::new(self.rate.unwrap_or(0.1))))?,
            FlowFlag::GradientDescent => {
                let elements = f64::from(self.size.0) * f64::from(self.size.1);
                self.field(Flow::GradientDescent(GradientDescent {
                    rate: self.rate.unwrap_or(0.001 * elements),
                }))?
            }
        };
        let recipe = Recipe::new(method);
        let refused = [
            ("--levels", self.levels.is_some_and(|levels| levels != Levels::Count(1))),
            ("--continuation", self.continuation == ContinuationFlag::On),
            ("--projection", self.projection.is_some()),
        ];
        if let (false, Some((flag, _))) = (recipe.is_direct(), refused.iter().find(|(_, given)| *given)) {
            return Err(Error::Incompatible(format!("{flag} is for the potential and oc flows")));
        }
        let settled = self.settled.map(|change| Settled { evaluations: SETTLED_WINDOW, change });
        let recipe = Recipe {
            levels: self.levels.unwrap_or(recipe.levels),
            continuation: self.continuation.into(),
            stopping: Stopping {
                max_evaluations: self.max_evaluations,
                tolerance: self.tolerance.unwrap_or(recipe.stopping.tolerance),
                target: self.target,
                settled: settled.or(recipe.stopping.settled),
                max_seconds: self.max_seconds,
            },
            ..recipe
        };
        recipe.validate(&self.problem())?;
        Ok(recipe)
    }

    fn potential(&self) -> Result<Potential> {
        if let FilterFlag::Sensitivity = self.filter {
            return Err(Error::Incompatible(
                "the sensitivity filter's field is the gradient of no function, so no potential can be \
                 learned from it; use --flow oc"
                    .into(),
            ));
        }
        if let Some(flag) = self.of_fields() {
            return Err(Error::Incompatible(format!(
                "{flag} is for learned fields; with --flow potential use --history, --order, --steps and \
                 --trust"
            )));
        }
        let default = Potential::default();
        Ok(Potential {
            memory: self.history.unwrap_or(default.memory),
            steps: self.steps.unwrap_or(default.steps),
            radius: self.trust.unwrap_or(default.radius),
            order: self.order.unwrap_or(default.order),
        })
    }

    /// The plain flow, or a field learned from it.
    fn field(&self, flow: Flow) -> Result<Method> {
        let is_oc = self.flow() == FlowFlag::Oc;
        if is_oc && self.rate.is_some() {
            return Err(Error::Incompatible(
                "--rate is for the adam and gradient-descent flows; the OC flow has none".into(),
            ));
        }
        if self.steps.is_some() || self.trust.is_some() {
            return Err(Error::Incompatible("--steps and --trust are for --flow potential".into()));
        }
        let history = self.history.unwrap_or(if is_oc { 8 } else { 20 });
        let interval = self.interval.unwrap_or(history + if is_oc { 16 } else { history });
        let surrogate = if is_oc { SurrogateConfig::topology() } else { SurrogateConfig::snapshots() };
        let rank = self.rank.map_or(Rank::Full, Rank::Count);
        let surrogate = SurrogateConfig {
            order: self.order.unwrap_or(1),
            space: SpaceConfig::Reduced { rank, centered: true },
            regression: Regression::ridge(Ridge::Relative(self.ridge.unwrap_or(1e-3))),
            ..surrogate
        };
        let field = |cadence| Ok(Field::new(flow, surrogate, cadence).into());
        match self.schedule.unwrap_or(ScheduleFlag::Adaptive) {
            ScheduleFlag::None => Ok(flow.into()),
            ScheduleFlag::Fixed => field(Cadence::Fixed(Fixed::new(history, interval))),
            ScheduleFlag::Adaptive => {
                if interval < history {
                    return Err(Error::invalid(
                        "the interval M",
                        interval,
                        format!("at least the history size K, {history}"),
                    ));
                }
                field(Cadence::Adaptive(Adaptive::with_window(history, interval)))
            }
            ScheduleFlag::Cosine => {
                if is_oc || self.interval.is_some() {
                    let what = if is_oc {
                        "--schedule cosine is for the adam and gradient-descent flows"
                    } else {
                        "--interval is for the other schedules"
                    };
                    return Err(Error::Incompatible(what.into()));
                }
                let rule = CosineTest::with_window(history);
                Ok(Cosine { rule, ..Cosine::new(flow, surrogate) }.into())
            }
        }
    }
}

impl From<ContinuationFlag> for Continuation {
    fn from(flag: ContinuationFlag) -> Self {
        match flag {
            ContinuationFlag::Auto => Self::Auto,
            ContinuationFlag::On => Self::On,
            ContinuationFlag::Off => Self::Off,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let recipe = args.recipe()?;
    let mut problem = args.compliance()?;
    if !recipe.is_direct() {
        // Finds out whether there is an interior design, before anything is written.
        SigmoidDesign::new(&mut problem)?;
    }
    let mut opened = args.engine.open()?;
    io::prepare(&args.out)?;
    let label = Label { name: "lgf", problem: args.preset.name(), quiet: args.quiet };
    let run = solve(&mut problem, recipe, &mut opened, label, interrupted)?;
    // What was reached is told even if the disk is full.
    let written = run.write(&args.out, &problem, true);
    if args.json {
        print(&(String::from_utf8_lossy(&json(&run.record(), false)?).into_owned() + "\n"))?;
    } else if !args.quiet {
        print(&summary(&run, written.is_ok().then_some(&args.out)))?;
    }
    written?;
    Ok(ending(&run.solution.report))
}

/// What a run is called, and whether its progress is shown.
pub(super) struct Label<'a> {
    pub name: &'a str,
    pub problem: &'static str,
    pub quiet: bool,
}

/// Solves `problem` by `recipe` with a progress bar.
pub(super) fn solve(
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
    let Solution { report, levels, .. } = &run.solution;
    let (columns, rows) = run.size;
    line!(out, "{} {columns}x{rows}, method {}", run.problem, method_line(&run.recipe.method));
    line!(
        out,
        "  compliance        {:.4} at evaluation {} (the best; recomputed in f64)",
        run.solution.objective,
        report.best_evaluation
    );
    line!(out, "  volume fraction   {:.6}", run.solution.volume);
    if let Some(residual) = report.kkt_residual {
        line!(out, "  KKT residual      {residual:.2e} of the start's largest gradient entry")
    }
    line!(
        out,
        "  true evaluations  {} ({} of them undone landings)",
        report.true_evaluations,
        report.rejected
    );
    if !levels.is_empty() {
        line!(out, "  before            {}", before(levels));
    }
    line!(out, "  surrogate steps   {}", report.surrogate_steps);
    let earlier: f64 = levels.iter().map(|l| l.wall_seconds).sum();
    let with = if levels.is_empty() { String::new() } else { format!(", {earlier:.2} before that") };
    line!(
        out,
        "  seconds           {:.2} ({:.2} in true evaluations){with}",
        report.wall_seconds,
        report.objective_seconds
    );
    line!(
        out,
        "  engine            {}: {}, {}; {}",
        report.engine.kind.name(),
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
