//! The arguments of `lgf discover`, and the search that they ask for.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::arguments::EngineFlag;
use crate::discover::{Aim, Function, Search, Threshold, Units, Variables, WeakChoice};
use crate::error::{Error, Result};
use crate::surrogate::{Differences, Rank, Ridge};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum TargetsFlag {
    /// x' by finite differences
    Strong,
    /// x' under integrals against bumps: averages noise out
    Weak,
    /// The recorded gradients, array `g`
    Tracked,
}

/// What a threshold measures coefficients in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum UnitsFlag {
    /// Units in which all variables have the same standard deviation
    Scaled,
    /// The coordinates' own units
    Own,
}

/// Whether noisy recordings are fitted by maximum likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LikelihoodFlag {
    /// Where the recording has noise and the equations hold within it
    Auto,
    /// The weak form alone
    Off,
}

/// Terms of the library beside the monomials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum TermFlag {
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
pub(in crate::cli) struct Args {
    /// Recording, NumPy .npz: `x` (samples x coordinates, or runs x samples x coordinates, or a list x_0,
    /// x_1, ...), `t` (samples; a new run begins where it starts again) or --dt, and optionally gradients `g`
    /// (like x), inputs `u` (samples x inputs) and `names` of the coordinates
    #[arg(value_name = "FILE.npz")]
    pub file: PathBuf,
    /// Spacing of the samples, above 0, if the file has no `t`; with it `t` is not read
    #[arg(long, allow_negative_numbers = true)]
    pub dt: Option<f64>,
    /// Highest order of the monomials, at least 1
    #[arg(long, default_value_t = 2)]
    pub order: usize,
    /// Leave out the constant
    #[arg(long)]
    pub no_bias: bool,
    /// Equations in the coordinates of this many leading directions, 1 to the smaller side of x
    #[arg(long, conflicts_with = "energy")]
    pub rank: Option<usize>,
    /// Equations in the fewest directions that hold this share of the energy, above 0 and at most 1
    #[arg(long, allow_negative_numbers = true)]
    pub energy: Option<f64>,
    /// Take the directions about the samples' mean, in units of the largest distance from it
    #[arg(long)]
    pub center: bool,
    /// Regress on an orthonormal basis of the features
    #[arg(long)]
    pub orthonormal: bool,
    /// What is regressed on
    #[arg(long, value_enum, default_value = "strong")]
    pub targets: TargetsFlag,
    /// Order of the finite differences (strong form): 1, 2 or 4
    #[arg(long, default_value_t = 2)]
    pub fd: usize,
    /// Half-width of a bump in samples, at least 1 (weak form) [default: from noise and bandwidth]
    #[arg(long)]
    pub half_width: Option<usize>,
    /// Power of the bumps, 1 to 50 (weak form) [default: one above the half-width, at most 12]
    #[arg(long)]
    pub bump_power: Option<u32>,
    /// Samples between neighbouring bumps, at least 1 (weak form) [default: an eighth of the half-width]
    #[arg(long)]
    pub stride: Option<usize>,
    /// Let bumps be cut by the ends of the recording (weak form)
    #[arg(long)]
    pub include_endpoints: bool,
    /// Coefficients below this leave the equations, at least 0; 0 keeps all [default: by validation]
    #[arg(long, allow_negative_numbers = true)]
    pub threshold: Option<f64>,
    /// What --threshold measures coefficients in
    #[arg(long, value_enum, default_value = "scaled")]
    pub units: UnitsFlag,
    /// Whether the weak form of a noisy recording is followed by maximum likelihood (without --threshold)
    #[arg(long, value_enum, default_value = "auto")]
    pub likelihood: LikelihoodFlag,
    /// Terms beside the monomials, separated by commas: functions of each variable, or time as a variable
    #[arg(long, value_enum, value_delimiter = ',')]
    pub terms: Vec<TermFlag>,
    /// A discrete map: equations of the next sample, x[k+1] = f(x[k]), instead of the derivative
    #[arg(long, conflicts_with = "targets")]
    pub map: bool,
    /// Names of the coordinates, and then of the inputs, separated by commas [default: those in the file]
    #[arg(long, value_delimiter = ',')]
    pub names: Vec<String>,
    /// End the search for terms after this many seconds, above 0, with the best found
    #[arg(long, allow_negative_numbers = true)]
    pub max_seconds: Option<f64>,
    /// Print nothing but errors
    #[arg(long)]
    pub quiet: bool,
    /// Ridge, at least 0
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub ridge: f64,
    /// Divide each feature by its 2-norm first; threshold and ridge then act on the scaled coefficients
    #[arg(long)]
    pub normalize: bool,
    /// Solve once more on the final support, without ridge
    #[arg(long)]
    pub refit: bool,
    /// Most rounds of solving and thresholding, 1 to 1000
    #[arg(long, default_value_t = 20)]
    pub max_iterations: usize,
    /// Where the regressions are solved
    #[arg(long, value_enum, default_value = "auto")]
    pub engine: EngineFlag,
    /// Write the equations as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Integrate the equations from the first sample for this long, above 0
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub simulate: Option<f64>,
    /// Where --simulate writes its trajectory (arrays `t` and `x`)
    #[arg(long, value_name = "FILE.npz", default_value = "simulated.npz", requires = "simulate")]
    pub trajectory: PathBuf,
}

impl Args {
    pub(super) fn search(&self) -> Result<Search> {
        let is_weak = matches!(self.targets, TargetsFlag::Weak) && !self.map;
        let of_bumps = [
            ("--half-width", self.half_width.is_some()),
            ("--bump-power", self.bump_power.is_some()),
            ("--stride", self.stride.is_some()),
            ("--include-endpoints", self.include_endpoints),
        ];
        if let Some((flag, _)) = of_bumps.iter().find(|(_, given)| *given && !is_weak) {
            return Err(Error::only_with(*flag, "--targets weak"));
        }
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
