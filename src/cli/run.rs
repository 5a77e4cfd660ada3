//! The command `lgf run`: runs LGF on one problem of the paper.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;

use super::checkpoint::{self, CheckpointArgs, Identity, Sitting};
use super::paper::{Case, Problem, Scale, Settings, Solved};
use super::progress::Progress;
use super::results::{FullRecord, Record, engine_line, json};
use super::topology::ending;
use crate::checkpoint::{Journal, Journaled};
use crate::cli::arguments::EngineArgs;
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::engine::{Engine, Opened};
use crate::error::{Error, Result};
use crate::flow::{Adam, Flow, GradientDescent, Newton};
use crate::io;
use crate::method::{Cadence, Cosine, CosineTest, Field, Fixed, Method, Stopping};
use crate::observe::{Event, Observer};
use crate::report::{Report, StopReason};
use crate::run::{Lgf, RunError};
use crate::surrogate::{Integrator, Regression, Ridge, SurrogateConfig};

/// The largest number of parameters whose path is recorded.
const TRACKED: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FieldFlag {
    /// The paper's: K true iterations, M-K surrogate iterations, no landing check
    Fixed,
    /// Short true phases, surrogate phases as long and bold as they prove right
    Adaptive,
    /// Learned steps within a reach that follows the angle between learned and true steps
    Cosine,
}

impl FieldFlag {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Adaptive => "adaptive",
            Self::Cosine => "cosine",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Overrides {
    /// Iterations of the plain flow, at least 1; LGF gets as many (fixed) or as many true evaluations
    /// (adaptive, cosine) [default: the paper's]
    #[arg(long)]
    pub iterations: Option<usize>,
    /// K, iterates the surrogate is learned from, 2 to 256 [default: the paper's; adaptive, cosine: 20]
    #[arg(long, value_name = "K")]
    pub history: Option<usize>,
    /// M, iterations per cycle of the fixed cadence, true and surrogate, K to 10000 [default: the paper's]
    #[arg(long, value_name = "M")]
    pub interval: Option<usize>,
    /// Order of the polynomial surrogate, 1 to 6 [default: the paper's; adaptive, cosine: 1]
    #[arg(long)]
    pub order: Option<usize>,
    /// Ridge of the fixed cadence, absolute, at least 0; of the others, relative to the mean squared norm of
    /// a feature row [default: 1e-6]
    #[arg(long, allow_negative_numbers = true)]
    pub ridge: Option<f64>,
    /// The paper's regression to the letter: its ridge and its refit without ridge, which is unstable with
    /// more features than rows (fixed only)
    #[arg(long)]
    pub paper_regression: bool,
    /// Undo landings that are worse (fixed only; the others always do)
    #[arg(long)]
    pub landing_check: bool,
    /// The flow's rate or relaxation, above 0 [default: the paper's]
    #[arg(long, allow_negative_numbers = true)]
    pub rate: Option<f64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The problem of the paper to solve
    #[arg(value_enum)]
    problem: Problem,
    /// The size of the problem
    #[arg(long, value_enum, default_value = "full")]
    scale: Scale,
    /// How LGF alternates true gradients and the learned field
    #[arg(long, value_enum, default_value = "fixed", alias = "schedule")]
    method: FieldFlag,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Folder for table.md, convergence.svg, parameters.svg, the problem's pictures, and record.json,
    /// history.csv, parameters.csv and solution.npy of each run in plain/ and lgf/
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print one JSON object and nothing else on the standard output
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors
    #[arg(long)]
    pub quiet: bool,
}

/// The settings of a problem with what the command line changes of them.
pub(super) struct Plan {
    settings: Settings,
    overrides: Overrides,
}

impl Plan {
    pub(super) fn new(settings: Settings, overrides: Overrides) -> Result<Self> {
        let mut settings = settings;
        if let Some(rate) = overrides.rate {
            settings.flow = match settings.flow {
                Flow::GradientDescent(_) => Flow::GradientDescent(GradientDescent { rate }),
                Flow::Newton(_) => Flow::Newton(Newton { rate }),
                _ => Flow::Adam(Adam::new(rate)),
            };
        }
        settings.iterations = overrides.iterations.unwrap_or(settings.iterations);
        settings.history = overrides.history.unwrap_or(settings.history);
        settings.interval = overrides.interval.unwrap_or(settings.interval);
        if settings.iterations == 0 {
            return Err(Error::invalid("the number of iterations", 0, "at least 1"));
        }
        Ok(Self { settings, overrides })
    }

    fn stopping(&self, max_evaluations: usize) -> Stopping {
        Stopping { max_evaluations, tolerance: 0.0, target: self.settings.done, ..Stopping::default() }
    }

    /// The base flow without a learned model, for the paper's number of iterations.
    pub(super) fn plain(&self) -> Result<Lgf> {
        Lgf::new(self.settings.flow)?.stopping(self.stopping(self.settings.iterations + 1))
    }

    pub(super) fn lgf(&self, method: FieldFlag) -> Result<Lgf> {
        match method {
            FieldFlag::Fixed => self.fixed(),
            FieldFlag::Adaptive => {
                let mut adaptive = Settings::adaptive();
                adaptive.window = self.overrides.history.unwrap_or(adaptive.window);
                adaptive.warm_up = adaptive.warm_up.min(adaptive.window);
                adaptive.true_steps = adaptive.true_steps.min(adaptive.window);
                let surrogate = self.rolling_surrogate()?;
                let cadence = Cadence::Adaptive(adaptive);
                self.rolling(Field::new(self.settings.flow, surrogate, cadence).into())
            }
            FieldFlag::Cosine => {
                let adaptive = Settings::adaptive();
                let window = self.overrides.history.unwrap_or(adaptive.window);
                let rule = CosineTest {
                    window,
                    warm_up: adaptive.warm_up.min(window),
                    horizon: adaptive.max_horizon,
                    ..CosineTest::default()
                };
                let surrogate = self.rolling_surrogate()?;
                self.rolling(Cosine { rule, ..Cosine::new(self.settings.flow, surrogate) }.into())
            }
        }
    }

    fn fixed(&self) -> Result<Lgf> {
        let Settings { flow, surrogate, paper_regression, history, interval, iterations, .. } = self.settings;
        let mut regression =
            if self.overrides.paper_regression { paper_regression } else { surrogate.regression };
        if let Some(ridge) = self.overrides.ridge {
            regression.ridge = Ridge::Absolute(ridge);
        }
        let surrogate = SurrogateConfig {
            regression,
            order: self.overrides.order.unwrap_or(surrogate.order),
            ..surrogate
        };
        let record_after_step = self.settings.records_after_step();
        let cadence = Cadence::Fixed(Fixed {
            landing_check: self.overrides.landing_check,
            record_after_step,
            ..Fixed::new(history, interval)
        });
        // The number of true evaluations of the fixed cadence: K of every M iterations, and the landing of
        // the last cycle.
        let evaluations =
            iterations / interval.max(1) * history + (iterations % interval.max(1)).min(history) + 1;
        Lgf::new(Field { integrator: Integrator::Rk4, ..Field::new(flow, surrogate, cadence) })?
            .stopping(self.stopping(evaluations))
    }

    /// Sets up a run by a method that has a rolling window.
    fn rolling(&self, method: Method) -> Result<Lgf> {
        Lgf::new(method)?.stopping(self.stopping(self.settings.iterations + 1))
    }

    /// The surrogate that such a method learns.
    fn rolling_surrogate(&self) -> Result<SurrogateConfig> {
        let Overrides { interval, order, ridge, paper_regression, landing_check, .. } = self.overrides;
        if interval.is_some() || paper_regression || landing_check {
            return Err(Error::only_with(
                "--interval, --paper-regression and --landing-check",
                "--method fixed",
            ));
        }
        let mut surrogate = Settings::adaptive_surrogate();
        surrogate.order = order.unwrap_or(surrogate.order);
        if let Some(ridge) = ridge {
            surrogate.regression = Regression::ridge(Ridge::Relative(ridge));
        }
        Ok(surrogate)
    }
}

/// One finished run of one method on the problem.
pub(super) struct Outcome {
    pub name: String,
    pub method: Method,
    pub settings: String,
    pub report: Report,
    /// The objective's value, recomputed at the returned x.
    pub objective: f64,
    pub measures: Vec<(&'static str, f64)>,
    pub path: Vec<(usize, Vec<f64>)>,
}

impl Outcome {
    pub(super) fn curve(&self) -> io::Curve<'_> {
        io::Curve { name: &self.name, history: &self.report.history }
    }

    pub(super) fn stopped_early(&self) -> bool {
        matches!(self.report.stop, StopReason::Interrupted | StopReason::EngineFailed { .. })
    }

    fn record(&self, problem: Problem) -> Record<'_> {
        let record = Record::new(
            problem.name(),
            self.report.x.len().to_string(),
            &self.method,
            self.objective,
            &self.report,
        );
        Record { measures: self.measures.iter().copied().collect::<BTreeMap<_, _>>(), ..record }
    }

    fn write(&self, dir: &Path, problem: Problem, engine_reason: &str) -> Result<()> {
        io::prepare(dir)?;
        let record = self.record(problem);
        let full = FullRecord::new(&record, engine_reason, self.settings.clone(), &self.report);
        let solution = ndarray::ArrayView2::from_shape((1, self.report.x.len()), &self.report.x)
            .map_err(|_| Error::length("the solution", self.report.x.len(), self.report.x.len()))?;
        io::write_all(
            dir,
            &[
                ("record.json", json(&full, true)?),
                ("history.csv", io::csv(&self.report.history)?),
                ("parameters.csv", parameters_csv(&self.path)),
                ("solution.npy", io::npy(solution)?),
            ],
        )
    }
}

/// The tracked parameters as CSV: `iteration,x0,…`.
fn parameters_csv(path: &[(usize, Vec<f64>)]) -> Vec<u8> {
    let mut text = String::from("iteration");
    (0..path.first().map_or(0, |(_, values)| values.len())).for_each(|i| text.push_str(&format!(",x{i}")));
    text.push('\n');
    for (iteration, values) in path {
        let values: Vec<String> = values.iter().map(f64::to_string).collect();
        line!(text, "{iteration},{}", values.join(","));
    }
    text.into_bytes()
}

/// The value that counts as reached: nine digits, because the last digits of converged runs differ.
pub(super) fn matching(value: f64) -> f64 {
    value + 1e-9 * value.abs()
}

/// An observer of the progress and of the path of some parameters.
struct Watch {
    progress: Progress,
    path: Vec<(usize, Vec<f64>)>,
}

impl Observer for Watch {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let trusted = match event {
            Event::TrueStep { entry, x, .. } => Some((entry, x)),
            Event::Landed { entry: Some(entry), x, .. } if entry.accepted => Some((entry, x)),
            _ => None,
        };
        if let Some((entry, x)) = trusted {
            let count = x.len().min(TRACKED);
            self.path.push((entry.iteration, (0..count).map(|i| x[i * x.len() / count]).collect()));
        }
        self.progress.event(event)
    }
}

/// What the runs of a command share: whether they show their progress, what ends them, and the journal that
/// they are kept in.
pub(super) struct Shared<'a> {
    pub quiet: bool,
    pub interrupted: Arc<AtomicBool>,
    pub journal: Option<&'a Journal>,
}

/// Runs one method on a problem, in a journal if there is one; if a device is lost, the run is finished on
/// another engine. `plain` is where the plain flow ended, which the measures refer to.
pub(super) fn solve(
    case: &mut dyn Case,
    lgf: &Lgf,
    opened: &mut Opened,
    name: &str,
    plain: Option<&Outcome>,
    shared: &Shared<'_>,
) -> Result<Outcome> {
    let progress = Progress::new(name, shared.quiet, shared.interrupted.clone());
    let mut watch = Watch { progress, path: Vec::new() };
    let start = case.start();
    let run = lgf.on(&mut *opened).observe(&mut watch);
    let outcome = match shared.journal {
        Some(journal) => run.minimize(Journaled::new(case.objective(), journal), &start),
        None => run.minimize(case.objective(), &start),
    };
    let report = outcome.or_else(RunError::into_report)?;
    let mut gradient = vec![0.0; report.x.len()];
    let objective = case.objective().evaluate(&report.x, &mut gradient).unwrap_or(f64::NAN);
    let measures = case.measures(&report.x, plain.map_or(&report.x, |plain| &plain.report.x))?;
    let config = lgf.config();
    Ok(Outcome {
        name: name.to_string(),
        method: config.method,
        settings: format!("{config:?}"),
        report,
        objective,
        measures,
        path: watch.path,
    })
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    execute(args, &Sitting::First)
}

/// Makes the runs that the arguments ask for, or goes on with them.
pub(super) fn execute(args: &Args, sitting: &Sitting) -> Result<Ending> {
    let interrupted = interrupt_flag()?;
    let mut case = args.problem.open(args.scale)?;
    let plan = Plan::new(case.settings(), args.overrides)?;
    let methods = [plan.plain()?, plan.lgf(args.method)?];
    let mut opened = args.engine.open()?;
    io::prepare(&args.out)?;
    let configs = methods.map(|lgf| *lgf.config());
    let identity = || {
        Identity::new().on(&opened.info())?.with("the problem", case.title())?.with("the methods", configs)
    };
    let journal = checkpoint::open(&args.out, args.checkpoint.checkpoint, sitting, identity)?;
    let shared = Shared { quiet: args.quiet, interrupted, journal: journal.as_ref() };
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (lgf, name) in methods.iter().zip(["plain", "lgf"]) {
        let label = if name == "plain" {
            format!("plain {}", case.settings().flow.name())
        } else {
            format!("LGF, {}", args.method.name())
        };
        let outcome = solve(&mut *case, lgf, &mut opened, &label, outcomes.first(), &shared)?;
        outcome.write(&args.out.join(name), args.problem, opened.reason())?;
        let stopped = outcome.stopped_early();
        outcomes.push(outcome);
        if stopped {
            break;
        }
    }
    let table = table(&*case, &outcomes, opened.reason());
    let written = write(args, &mut *case, &outcomes, &table);
    if args.json {
        let records: BTreeMap<&str, Record<'_>> =
            ["plain", "lgf"].into_iter().zip(outcomes.iter().map(|o| o.record(args.problem))).collect();
        print(&(String::from_utf8_lossy(&json(&records, false)?).into_owned() + "\n"))?;
    } else if !args.quiet {
        print(&table)?;
        if written.is_ok() {
            print(&format!("written to {}\n", args.out.display()))?;
        }
    }
    written?;
    let ending = outcomes.last().map_or(Ending::Done, |outcome| ending(&outcome.report));
    let is_final = outcomes.iter().all(|outcome| outcome.report.stop.is_final());
    checkpoint::leave(journal, if is_final { &Ending::Done } else { &ending }, &args.out)?;
    Ok(ending)
}

/// Writes the table and all pictures.
fn write(args: &Args, case: &mut dyn Case, outcomes: &[Outcome], table: &str) -> Result<()> {
    let title = case.title();
    let solved: Vec<Solved<'_>> =
        outcomes.iter().map(|o| Solved { name: &o.name, x: &o.report.x, path: &o.path }).collect();
    let tracks: Vec<io::Track<'_>> = outcomes.iter().map(|o| (&*o.name, &*o.path)).collect();
    let panels = [(&*title, outcomes.iter().map(Outcome::curve).collect())];
    let mut files = vec![
        ("table.md", table.as_bytes().to_vec()),
        ("convergence.svg", io::convergence_panels_svg(&panels)?.into_bytes()),
        ("parameters.svg", io::parameters_svg(&title, &tracks)?.into_bytes()),
    ];
    files.extend(case.pictures(&solved)?);
    io::write_all(&args.out, &files)
}

fn table(case: &dyn Case, outcomes: &[Outcome], reason: &str) -> String {
    let mut text = String::new();
    let out = &mut text;
    line!(out, "{}", case.title());
    line!(out, "");
    let measures: Vec<&str> =
        outcomes.first().map(|o| o.measures.iter().map(|(name, _)| *name).collect()).unwrap_or_default();
    line!(
        out,
        "| method | true evaluations | to plain's best | {} | {} | seconds |",
        case.value_name(),
        measures.join(" | ")
    );
    line!(out, "|---|---:|---:|---:|{}---:|", "---:|".repeat(measures.len()));
    let target = outcomes.first().map(|plain| plain.report.objective);
    for outcome in outcomes {
        let reached = target
            .and_then(|t| outcome.report.evaluations_to_reach(matching(t)))
            .map_or("not reached".to_string(), |n| n.to_string());
        let measured: Vec<String> =
            outcome.measures.iter().map(|(_, value)| format!("{value:.4e}")).collect();
        line!(
            out,
            "| {} | {} | {reached} | {:.8} | {} | {:.2} |",
            outcome.name,
            outcome.report.true_evaluations,
            outcome.objective,
            measured.join(" | "),
            outcome.report.wall_seconds
        );
    }
    line!(out, "");
    for outcome in outcomes {
        line!(out, "{}: {}", outcome.name, outcome.report.stop);
    }
    if let Some(outcome) = outcomes.first() {
        line!(out, "{}", engine_line(&outcome.report.engine, reason));
    }
    text
}
