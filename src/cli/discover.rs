//! The command `lgf discover`: finds differential equations in a recorded trajectory.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ndarray::{Array1, Array2, ArrayD};
use ndarray_npy::{NpzReader, NpzWriter};
use serde::Serialize;

use super::results::json;
use crate::cli::arguments::EngineFlag;
use crate::cli::ending::{Ending, print};
use crate::discover::{DiscoverConfig, Discovery, Trajectory, Variables, discover};
use crate::engine::{Engine, EngineChoice};
use crate::error::{Error, Result};
use crate::io;
use crate::surrogate::targets::WeakForm;
use crate::surrogate::{Differences, Rank, Regression, Ridge, Targets};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TargetsFlag {
    /// x' by finite differences
    Strong,
    /// x' under integrals against bumps: averages noise out
    Weak,
    /// The recorded gradients, array `g`
    Tracked,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Recorded trajectory, NumPy .npz with arrays `x` (samples x coordinates), `t` (samples) or --dt, and
    /// optionally `g` (like x)
    #[arg(value_name = "FILE.npz")]
    file: PathBuf,
    /// Spacing of the samples, above 0, if the file has no `t`
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
    /// Half-width of a bump in samples, at least 1 (weak form) [default: a fiftieth of the samples]
    #[arg(long)]
    half_width: Option<usize>,
    /// Power of the bumps, 1 to 50 (weak form)
    #[arg(long, default_value_t = 5)]
    bump_power: u32,
    /// Samples between neighbouring bumps, at least 1 (weak form)
    #[arg(long, default_value_t = 1)]
    stride: usize,
    /// Let bumps be non-zero at the first and last sample (weak form)
    #[arg(long)]
    include_endpoints: bool,
    /// Coefficients below this leave the equations, at least 0
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    threshold: f64,
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

#[derive(Debug, Serialize)]
struct Equations<'a> {
    features: Vec<String>,
    /// The coefficients, one row per feature, one entry per coordinate.
    coefficients: Vec<Vec<f64>>,
    variables: Vec<String>,
    equations: &'a [String],
    support_sizes: &'a [usize],
    of_gradient: bool,
    rank: usize,
    energy: f64,
    rows: usize,
    fit_error: f64,
    validation_error: Option<f64>,
    condition: Option<f64>,
    engine: &'a str,
    adapter: &'a str,
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    let config = args.config()?;
    let trajectory = load(&args.file, args.dt)?;
    if config.targets == Targets::Tracked && trajectory.gradients().is_none() {
        return Err(Error::only_with(
            "--targets tracked",
            format!("the recorded gradients, array `g`, which {} has not", args.file.display()),
        ));
    }
    let half_width = args.half_width.unwrap_or(WeakForm::for_samples(trajectory.states().nrows()).half_width);
    let config = match config.targets {
        Targets::WeakForm(weak) => {
            DiscoverConfig { targets: Targets::WeakForm(WeakForm { half_width, ..weak }), ..config }
        }
        _ => config,
    };
    let mut engine = EngineChoice::from(args.engine).open()?;
    let found = discover(&trajectory, &config, &mut engine)?;
    let info = engine.info();
    let equations = found.equations();
    let sizes: Vec<usize> =
        found.support.columns().into_iter().map(|c| c.iter().filter(|v| **v).count()).collect();
    print(&summary(
        &trajectory,
        &found,
        &equations,
        &sizes,
        &format!("{} ({})", info.kind.name(), info.adapter),
    ))?;
    if let Some(path) = &args.json {
        let record = Equations {
            features: found.feature_names(),
            coefficients: found.coefficients.rows().into_iter().map(|r| r.to_vec()).collect(),
            variables: found.variable_names(),
            equations: &equations,
            support_sizes: &sizes,
            of_gradient: found.of_gradient,
            rank: found.library.variables(),
            energy: found.energy,
            rows: found.rows,
            fit_error: found.fit_error,
            validation_error: found.validation_error,
            condition: found.condition.is_finite().then_some(found.condition),
            engine: info.kind.name(),
            adapter: &info.adapter,
        };
        io::write_file(path, json(&record, true)?)?;
    }
    if let Some(duration) = args.simulate {
        let times = trajectory.times();
        let dt = (times[times.len() - 1] - times[0]) / (times.len() - 1) as f64;
        let (t, x) = found.simulate(trajectory.states().row(0), duration, dt)?;
        let reached = t[t.len() - 1];
        save(&args.trajectory, &t, &x)?;
        print(&format!(
            "simulated to t = {reached}: {} samples written to {}\n",
            t.len(),
            args.trajectory.display()
        ))?;
        if reached < duration - 0.5 * dt {
            return Ok(Ending::Faulty(format!(
                "the equations leave the finite numbers at t = {reached}; the trajectory ends there"
            )));
        }
    }
    Ok(Ending::Done)
}

impl Args {
    fn config(&self) -> Result<DiscoverConfig> {
        let targets = match self.targets {
            TargetsFlag::Strong => Targets::StrongForm {
                differences: match self.fd {
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
                },
            },
            TargetsFlag::Weak => Targets::WeakForm(WeakForm {
                half_width: self.half_width.unwrap_or(1),
                power: self.bump_power,
                stride: self.stride,
                include_endpoints: self.include_endpoints,
            }),
            TargetsFlag::Tracked => Targets::Tracked,
        };
        let rank = match (self.rank, self.energy) {
            (Some(rank), _) => Some(Rank::Count(rank)),
            (None, Some(energy)) => Some(Rank::Energy(energy)),
            (None, None) if self.center => Some(Rank::Full),
            (None, None) => None,
        };
        Ok(DiscoverConfig {
            order: self.order,
            bias: !self.no_bias,
            orthonormal: self.orthonormal,
            variables: rank
                .map_or(Variables::Full, |rank| Variables::Reduced { rank, centered: self.center }),
            targets,
            regression: Regression {
                ridge: Ridge::Absolute(self.ridge),
                threshold: self.threshold,
                max_iterations: self.max_iterations,
                normalize: self.normalize,
                refit: self.refit,
            },
        })
    }
}

fn summary(
    trajectory: &Trajectory,
    found: &Discovery,
    equations: &[String],
    sizes: &[usize],
    engine: &str,
) -> String {
    let mut text = String::new();
    let out = &mut text;
    let (k, d) = trajectory.states().dim();
    line!(out, "{k} samples of {d} coordinates, {} features, {} rows", found.library.len(), found.rows);
    if found.space.is_some() {
        line!(out, "{} directions z hold {:.6} of the energy", found.library.variables(), found.energy);
    }
    line!(out, "");
    for (equation, size) in equations.iter().zip(sizes) {
        line!(out, "{equation}    [{size} terms]");
    }
    line!(out, "");
    line!(out, "fit error         {:.3e}", found.fit_error);
    match found.validation_error {
        Some(error) => {
            line!(out, "validation error  {error:.3e} (newest fifth of the rows, from the others)")
        }
        None => line!(out, "validation error  too few rows"),
    }
    line!(out, "condition number  {:.3e}", found.condition);
    line!(out, "engine            {engine}");
    text
}

/// Reads `x`, `t` and `g`.
fn load(path: &Path, dt: Option<f64>) -> Result<Trajectory> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let not_npz = |e: String| Error::format(path, format!("this is no NumPy .npz file ({e})"));
    let mut npz = NpzReader::new(file).map_err(|e| not_npz(e.to_string()))?;
    let names: Vec<String> = npz
        .names()
        .map_err(|e| not_npz(e.to_string()))?
        .iter()
        .map(|n| n.trim_end_matches(".npy").to_string())
        .collect();
    let mut read = |name: &str| -> Result<Option<ArrayD<f64>>> {
        if !names.iter().any(|n| n == name) {
            return Ok(None);
        }
        // NumPy appends the suffix to a name; other programs may not.
        let as_f64 =
            npz.by_name::<ndarray::OwnedRepr<f64>, _>(&format!("{name}.npy")).or_else(|_| npz.by_name(name));
        if let Ok(array) = as_f64 {
            return Ok(Some(array));
        }
        let as_f32 = npz
            .by_name::<ndarray::OwnedRepr<f32>, ndarray::IxDyn>(&format!("{name}.npy"))
            .or_else(|_| npz.by_name(name));
        match as_f32 {
            Ok(array) => Ok(Some(array.mapv(f64::from))),
            Err(e) => Err(Error::format(path, format!("array `{name}` is no array of floats ({e})"))),
        }
    };
    let x = read("x")?
        .ok_or_else(|| Error::format(path, format!("there is no array `x`, only: {}", names.join(", "))))?;
    let x = matrix("x", x)?;
    let g = read("g")?.map(|g| matrix("g", g)).transpose()?;
    let t = match (read("t")?, dt) {
        (_, Some(dt)) => Array1::from_shape_fn(x.nrows(), |k| k as f64 * dt),
        (Some(t), None) => {
            let shape = format!("{:?}", t.shape());
            t.into_dimensionality().map_err(|_| Error::invalid("the shape of t", shape, "one-dimensional"))?
        }
        (None, None) => {
            return Err(Error::only_with(
                format!("{}, which has no array `t`,", path.display()),
                "the samples' spacing, --dt",
            ));
        }
    };
    if let Some(dt) = dt {
        Error::require_positive("dt", dt)?;
    }
    Trajectory::new(x, t, g)
}

/// The array has two dimensions; a vector counts as one coordinate.
fn matrix(name: &'static str, array: ArrayD<f64>) -> Result<Array2<f64>> {
    let shape = array.shape().to_vec();
    let array = if shape.len() == 1 { array.insert_axis(ndarray::Axis(1)) } else { array };
    array.into_dimensionality().map_err(|_| {
        Error::invalid("an array's shape", format!("{shape:?} for `{name}`"), "samples x coordinates")
    })
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
