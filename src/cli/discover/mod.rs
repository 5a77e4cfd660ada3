//! The command `lgf discover`: finds differential equations in recorded trajectories.

mod reading;
mod summary;

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzWriter;

use self::reading::load;
use crate::cli::arguments::EngineFlag;
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::discover::{
    Aim, Discovery, Function, Progress, Search, Threshold, Trajectory, Units, Variables, WeakChoice,
    recorded_input,
};
use crate::engine::{Engine, EngineChoice};
use crate::error::{Error, Result};
use crate::io;
use crate::surrogate::{Differences, Rank, Ridge};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TargetsFlag {
    /// x' by finite differences
    Strong,
    /// x' under integrals against bumps: averages noise out
    Weak,
    /// The recorded gradients, array `g`
    Tracked,
}

/// What a threshold measures coefficients in.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnitsFlag {
    /// Units in which all variables have the same standard deviation
    Scaled,
    /// The coordinates' own units
    Own,
}

/// Whether noisy recordings are fitted by maximum likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LikelihoodFlag {
    /// Where the recording has noise and the equations hold within it
    Auto,
    /// The weak form alone
    Off,
}

/// Terms of the library beside the monomials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TermFlag {
    Sin,
    Cos,
    Exp,
    Log,
    Sqrt,
    /// One over the variable
    Reciprocal,
    Abs,
    Tanh,
    /// Time as a variable `t`
    Time,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Recording, NumPy .npz: `x` (samples x coordinates, or runs x samples x coordinates, or a list x_0,
    /// x_1, ...), `t` (samples; a new run begins where it starts again) or --dt, and optionally gradients `g`
    /// (like x), inputs `u` (samples x inputs) and `names` of the coordinates
    #[arg(value_name = "FILE.npz")]
    file: PathBuf,
    /// Spacing of the samples, above 0, if the file has no `t`; with it `t` is not read
    #[arg(long, allow_negative_numbers = true)]
    dt: Option<f64>,
    /// Highest order of the monomials, at least 1
    #[arg(long, default_value_t = 2)]
    order: usize,
    /// Leave out the constant
    #[arg(long)]
    no_bias: bool,
    /// Equations in the coordinates of this many leading directions, 1 to the smaller side of x
    #[arg(long, conflicts_with = "energy")]
    rank: Option<usize>,
    /// Equations in the fewest directions that hold this share of the energy, above 0 and at most 1
    #[arg(long, allow_negative_numbers = true)]
    energy: Option<f64>,
    /// Take the directions about the samples' mean, in units of the largest distance from it
    #[arg(long)]
    center: bool,
    /// Regress on an orthonormal basis of the features
    #[arg(long)]
    orthonormal: bool,
    /// What is regressed on
    #[arg(long, value_enum, default_value = "strong")]
    targets: TargetsFlag,
    /// Order of the finite differences (strong form): 1, 2 or 4
    #[arg(long, default_value_t = 2)]
    fd: usize,
    /// Half-width of a bump in samples, at least 1 (weak form) [default: from noise and bandwidth]
    #[arg(long)]
    half_width: Option<usize>,
    /// Power of the bumps, 1 to 50 (weak form) [default: one above the half-width, at most 12]
    #[arg(long)]
    bump_power: Option<u32>,
    /// Samples between neighbouring bumps, at least 1 (weak form) [default: an eighth of the half-width]
    #[arg(long)]
    stride: Option<usize>,
    /// Let bumps be cut by the ends of the recording (weak form)
    #[arg(long)]
    include_endpoints: bool,
    /// Coefficients below this leave the equations, at least 0; 0 keeps all [default: by validation]
    #[arg(long, allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// What --threshold measures coefficients in
    #[arg(long, value_enum, default_value = "scaled")]
    units: UnitsFlag,
    /// Whether the weak form of a noisy recording is followed by maximum likelihood (without --threshold)
    #[arg(long, value_enum, default_value = "auto")]
    likelihood: LikelihoodFlag,
    /// Terms beside the monomials, separated by commas: functions of each variable, or time as a variable
    #[arg(long, value_enum, value_delimiter = ',')]
    terms: Vec<TermFlag>,
    /// A discrete map: equations of the next sample, x[k+1] = f(x[k]), instead of the derivative
    #[arg(long, conflicts_with = "targets")]
    map: bool,
    /// Names of the coordinates, and then of the inputs, separated by commas [default: those in the file]
    #[arg(long, value_delimiter = ',')]
    names: Vec<String>,
    /// End the search for terms after this many seconds, above 0, with the best found
    #[arg(long, allow_negative_numbers = true)]
    max_seconds: Option<f64>,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Ridge, at least 0
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    ridge: f64,
    /// Divide each feature by its 2-norm first; threshold and ridge then act on the scaled coefficients
    #[arg(long)]
    normalize: bool,
    /// Solve once more on the final support, without ridge
    #[arg(long)]
    refit: bool,
    /// Most rounds of solving and thresholding, 1 to 1000
    #[arg(long, default_value_t = 20)]
    max_iterations: usize,
    /// Where the regressions are solved
    #[arg(long, value_enum, default_value = "auto")]
    engine: EngineFlag,
    /// Write the equations as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Integrate the equations from the first sample for this long, above 0
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    simulate: Option<f64>,
    /// Where --simulate writes its trajectory (arrays `t` and `x`)
    #[arg(long, value_name = "FILE.npz", default_value = "simulated.npz")]
    trajectory: PathBuf,
}

/// A progress bar, which ends the discovery when its time is over or Ctrl-C was pressed.
struct Watcher {
    bar: ProgressBar,
    stage: &'static str,
    until: Option<Instant>,
    interrupted: Arc<AtomicBool>,
}

impl Watcher {
    fn new(quiet: bool, seconds: Option<f64>, interrupted: Arc<AtomicBool>) -> Result<Self> {
        let until = match seconds {
            Some(seconds) => {
                let seconds = Error::require_positive("the number of seconds", seconds)?;
                // Beyond what a clock counts there is no end.
                Duration::try_from_secs_f64(seconds).ok().and_then(|d| Instant::now().checked_add(d))
            }
            None => None,
        };
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        // The template is a constant; if it did not parse, the default style would serve.
        if let Ok(style) = ProgressStyle::with_template("{prefix:10} {bar:30} {pos}/{len}, {elapsed} gone") {
            bar.set_style(style);
        }
        Ok(Self { bar, stage: "", until, interrupted })
    }

    fn told(&mut self, progress: Progress) -> ControlFlow<()> {
        if self.stage != progress.stage {
            self.stage = progress.stage;
            self.bar.set_prefix(progress.stage);
            log::info!("discover: {}", progress.stage);
        }
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
        let over = self.until.is_some_and(|until| Instant::now() >= until);
        if over || self.interrupted.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    let mut search = args.search()?;
    let interrupted = interrupt_flag()?;
    let mut watcher = Watcher::new(args.quiet, args.max_seconds, interrupted.clone())?;
    let recording = load(&args.file, args.dt, args.map)?;
    let trajectories = &recording.trajectories;
    let coordinates = trajectories[0].states().ncols();
    search.names = recording.names;
    search.input_names = recording.input_names;
    if !args.names.is_empty() {
        let inputs = trajectories[0].inputs().ncols();
        let split = coordinates.min(args.names.len());
        let (names, rest) = args.names.split_at(split);
        search.names = names.to_vec();
        if !rest.is_empty() || inputs == 0 {
            search.input_names = rest.to_vec();
        }
    } else if search.input_names.is_empty() && search.names.len() > coordinates {
        search.input_names = search.names.split_off(coordinates);
    }
    if search.aim == Aim::Tracked && trajectories.iter().any(|t| t.gradients().is_none()) {
        return Err(Error::only_with(
            "--targets tracked",
            format!("the recorded gradients, array `g`, which {} has not", args.file.display()),
        ));
    }
    let mut engine = EngineChoice::from(args.engine).open()?;
    let found = search.run_watched(trajectories, &mut engine, &mut |progress| watcher.told(progress))?;
    watcher.bar.finish_and_clear();
    let info = engine.info();
    let name = format!("{} ({})", info.kind.name(), info.adapter);
    if !args.quiet {
        print(&summary::text(trajectories, &found, &name))?;
    }
    if let Some(path) = &args.json {
        io::write_file(path, summary::record(trajectories, &found, info.kind.name(), &info.adapter)?)?;
    }
    if let Some(duration) = args.simulate
        && let Some(ending) = simulate(args, &trajectories[0], &found, duration)?
    {
        return Ok(ending);
    }
    Ok(if interrupted.load(Ordering::SeqCst) { Ending::Interrupted } else { Ending::Done })
}

/// Simulates from the first sample and writes the trajectory; an ending if the equations blow up.
fn simulate(
    args: &Args,
    trajectory: &Trajectory,
    found: &Discovery,
    duration: f64,
) -> Result<Option<Ending>> {
    let times = trajectory.times();
    let dt = trajectory.mean_spacing();
    let recorded = times[times.len() - 1] - times[0];
    if found.inputs() > 0 && duration > recorded * (1.0 + 1e-9) {
        return Err(Error::invalid(
            "the duration (--simulate)",
            duration,
            format!("at most {recorded}, for as long as the inputs are recorded"),
        ));
    }
    let input = recorded_input(times, trajectory.inputs());
    let (t, x) = found.simulate_with(trajectory.states().row(0), times[0], duration, dt, &input)?;
    let reached = t[t.len() - 1];
    save(&args.trajectory, &t, &x)?;
    if !args.quiet {
        print(&format!(
            "simulated to t = {reached}: {} written to {}\n",
            summary::count(t.len(), "sample"),
            args.trajectory.display()
        ))?;
    }
    Ok((reached < duration - 0.5 * dt).then(|| {
        Ending::Faulty(format!(
            "the equations leave the finite numbers at t = {reached}; the trajectory ends there"
        ))
    }))
}

impl Args {
    fn search(&self) -> Result<Search> {
        let aim = match self.targets {
            _ if self.map => Aim::Map,
            TargetsFlag::Strong => Aim::Strong(match self.fd {
                1 => Differences::Forward,
                2 => Differences::Central,
                4 => Differences::FivePoint,
                other => {
                    return Err(Error::invalid(
                        "the order of the finite differences (--fd)",
                        other,
                        "1, 2 or 4",
                    ));
                }
            }),
            TargetsFlag::Weak => Aim::Weak(WeakChoice {
                half_width: self.half_width,
                power: self.bump_power,
                stride: self.stride,
                include_endpoints: self.include_endpoints,
            }),
            TargetsFlag::Tracked => Aim::Tracked,
        };
        let rank = match (self.rank, self.energy) {
            (Some(rank), _) => Some(Rank::Count(rank)),
            (None, Some(energy)) => Some(Rank::Energy(energy)),
            (None, None) if self.center => Some(Rank::Full),
            (None, None) => None,
        };
        let mut functions = Vec::new();
        for function in self.terms.iter().filter_map(|term| term.function()) {
            if !functions.contains(&function) {
                functions.push(function);
            }
        }
        Ok(Search {
            order: self.order,
            bias: !self.no_bias,
            functions,
            time: self.terms.contains(&TermFlag::Time),
            variables: rank
                .map_or(Variables::Full, |rank| Variables::Reduced { rank, centered: self.center }),
            aim,
            threshold: self.threshold.map_or(Threshold::Automatic, Threshold::Given),
            units: match self.units {
                UnitsFlag::Scaled => Units::Scaled,
                UnitsFlag::Own => Units::Own,
            },
            ridge: Ridge::Absolute(self.ridge),
            max_iterations: self.max_iterations,
            normalize: self.normalize,
            refit: self.refit,
            orthonormal: self.orthonormal,
            likelihood: self.likelihood == LikelihoodFlag::Auto,
            ..Search::default()
        })
    }
}

impl TermFlag {
    /// The function of a variable that the term is; none for time, which is a variable itself.
    fn function(self) -> Option<Function> {
        Some(match self {
            Self::Sin => Function::Sin,
            Self::Cos => Function::Cos,
            Self::Exp => Function::Exp,
            Self::Log => Function::Log,
            Self::Sqrt => Function::Sqrt,
            Self::Reciprocal => Function::Reciprocal,
            Self::Abs => Function::Abs,
            Self::Tanh => Function::Tanh,
            Self::Time => return None,
        })
    }
}

fn save(path: &Path, t: &Array1<f64>, x: &Array2<f64>) -> Result<()> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut npz = NpzWriter::new(&mut bytes);
    let failed = |e: ndarray_npy::WriteNpzError| Error::encoding(path.display(), e);
    npz.add_array("t", t).map_err(failed)?;
    npz.add_array("x", x).map_err(failed)?;
    npz.finish().map_err(failed)?;
    io::write_file(path, bytes.into_inner())
}
