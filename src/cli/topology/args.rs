//! The arguments of `lgf topology`, and the problem and recipe that they make.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::arguments::{Elements, EngineArgs, GradientFlag, parse_elements};
use crate::cli::checkpoint::CheckpointArgs;
use crate::error::{Error, Result};
use crate::flow::{Adam, Flow, GradientDescent, OptimalityCriteria};
use crate::io;
use crate::method::{
    Adaptive, Cadence, Cosine, CosineTest, Field, Fixed, Method, Potential, Settled, Stopping,
};
use crate::surrogate::{Rank, Regression, Ridge, SpaceConfig, SurrogateConfig};
use crate::topology::{
    Continuation, FilterKind, Levels, Preset, Projection, Recipe, Region, Shape, Structure, Symmetry,
};

/// The number of evaluations that `--settled` looks at.
const SETTLED_WINDOW: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PresetFlag {
    /// Half of the MBB beam (a quarter in 3D): symmetry at the left, roller at the lower right, load at the
    /// upper left
    Mbb,
    /// Left side clamped, load at the lower right
    Cantilever,
    /// Left edge clamped, two load cases: down at the lower right corner, up at the upper right one; 2D
    CantileverTwoLoads,
    /// An L, its upper end clamped, load down at the tip of its right end
    LBracket,
    /// Lower corners held, two load cases on the lower edge; 2D
    TwoLoadBridge,
    /// A solid deck on four footings, loaded all along, on the left half and on the right half; 3D
    Bridge,
    /// Left face clamped, the right face twisted; 3D
    Torsion,
}

impl PresetFlag {
    pub(in crate::cli) fn preset(self) -> Preset {
        match self {
            Self::Mbb => Preset::Mbb,
            Self::Cantilever => Preset::Cantilever,
            Self::CantileverTwoLoads => Preset::CantileverTwoLoads,
            Self::LBracket => Preset::LBracket,
            Self::TwoLoadBridge => Preset::TwoLoadBridge,
            Self::Bridge => Preset::Bridge,
            Self::Torsion => Preset::Torsion,
        }
    }

    pub(in crate::cli) fn name(self) -> &'static str {
        self.preset().name()
    }

    /// The size of the mesh without any wish.
    fn elements(self) -> Vec<u32> {
        match self {
            Self::Bridge | Self::Torsion => vec![48, 24, 24],
            _ => vec![150, 50],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ContinuationFlag {
    /// With coarse grids, several ways to a layout compete on the coarsest of them: the penalty raised, wider
    /// filters that are narrowed, and both; else straight on
    Auto,
    /// The penalty is raised from 1 in 4 steps of 10 evaluations on the first grid
    On,
    /// Straight on from the uniform design
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SymmetryFlag {
    /// The symmetries of the problem: of its supports, regions and set of load cases
    Auto,
    /// No mirror image is kept
    None,
    /// Left and right halves, whatever the loads are
    X,
    /// Upper and lower halves, whatever the loads are
    Y,
    /// Front and back halves, whatever the loads are; 3D
    Z,
    /// All four quarters, whatever the loads are
    Both,
    /// All eight eighths, whatever the loads are; 3D
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum FilterFlag {
    /// Filtered densities, exact gradient
    Density,
    /// Filtered sensitivities, the classical heuristic
    Sensitivity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FlowFlag {
    /// Optimality criteria, move limit 0.2
    Oc,
    /// ADAM on a sigmoid parametrisation that keeps the volume exactly
    Adam,
    /// Gradient descent on the same parametrisation
    GradientDescent,
    /// An older spelling of --method potential
    #[value(hide = true)]
    Potential,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum MethodFlag {
    /// The base flow by itself: every step is a true evaluation
    #[value(alias = "none")]
    Plain,
    /// A learned field at the paper's cadence: K true iterations, M-K surrogate iterations, with a landing
    /// check
    Fixed,
    /// A learned field with short true phases, and surrogate phases as long and bold as they prove right
    Adaptive,
    /// A learned field, and steps within a reach that follows the angle between learned and true steps; adam
    /// and gradient-descent flows
    Cosine,
    /// A learned potential, minimised in a trust region between any two true evaluations
    Potential,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A problem file: your own mesh, material, supports, loads and regions, as `lgf init` writes one; the
    /// options below change it
    #[arg(value_name = "PROBLEM.toml", conflicts_with = "preset")]
    pub problem: Option<PathBuf>,
    /// The structure to optimize, without a problem file [default: mbb]
    #[arg(long, value_enum)]
    pub preset: Option<PresetFlag>,
    /// Elements, COLUMNSxROWS (each 1 to 16384, at most 4194304 in all) or COLUMNSxROWSxLAYERS; the box of a
    /// problem file keeps its lengths [default: 150x50, for presets of 3D 48x24x24]
    #[arg(long, value_name = "CxR[xL]", value_parser = parse_elements)]
    pub size: Option<Elements>,
    /// Volume fraction of the whole box, regions included, above 0 and at most 1 [default: 0.5, in 3D 0.2]
    #[arg(long, allow_negative_numbers = true)]
    pub volume: Option<f64>,
    /// SIMP penalty exponent, 1 to 10 [default: 3]
    #[arg(long, allow_negative_numbers = true)]
    pub penalty: Option<f64>,
    /// Filter radius, above 0 and at most 1000 element sides; a length in the units of the problem file, for
    /// presets in element sides; up to 1 side filters nothing [default: 0.04 times the columns, at least 1.5;
    /// in 3D 1.5]
    #[arg(long, allow_negative_numbers = true)]
    pub radius: Option<f64>,
    /// Grids to go through, the given one included: 1 to 12, or auto; coarse ones find the layout, the fine
    /// one refines it (potential and OC only) [default: auto with these, else 1]
    #[arg(long, value_name = "N|auto", value_parser = parse_levels)]
    pub levels: Option<Levels>,
    /// How the first layout is found (potential and OC only)
    #[arg(long, value_enum, default_value = "auto")]
    pub continuation: ContinuationFlag,
    /// Mirror images that designs are kept equal to [default: auto]
    #[arg(long, value_enum)]
    pub symmetry: Option<SymmetryFlag>,
    /// What the filter smooths [default: density]
    #[arg(long, value_enum)]
    pub filter: Option<FilterFlag>,
    /// Sharpness BETA of a projection of the filtered densities towards 0 and 1 that keeps the volume, above
    /// 0 and at most 1000; reached by doubling, up to 40 evaluations for the first and 30 for each other
    /// (potential and OC, density filter only) [default: none]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub projection: Option<f64>,
    /// A round hole where there is never material, in 2D: its centre in parts of width and height from the
    /// lower left, its radius in parts of the height; may be given several times
    #[arg(long = "hole", value_name = "X,Y,R", value_parser = parse_hole)]
    pub holes: Vec<(f64, f64, f64)>,
    /// What alternates true evaluations and a learned model [default: potential; adaptive with a flow, with
    /// an option that is for learned fields, and with the sensitivity filter, whose field is the gradient of
    /// no function]
    #[arg(long, value_enum, alias = "schedule")]
    pub method: Option<MethodFlag>,
    /// The base optimizer of all methods but the potential, which has none [default: oc]
    #[arg(long, value_enum)]
    pub flow: Option<FlowFlag>,
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
    /// What computes the true gradient; the reported compliance is the CPU's in f64 up to two million
    /// elements
    #[arg(long, value_enum, default_value = "auto")]
    pub gradient: GradientFlag,
    /// Budget of true evaluations on the given grid, softer projections and penalties included, at least 1;
    /// the coarse grids have their own: at most 122 on the coarsest, 92 on the next, 36 on others
    #[arg(long, default_value_t = 1000)]
    pub max_evaluations: usize,
    /// Wall-clock budget in seconds for all grids together, above 0: no true evaluation begins later, but for
    /// the first of each run, of every layout on the coarse grids and of the one on the given grid
    /// [default: none]
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
    /// Start from a design: an array that a run wrote, design.npy or variables.npy, or a run's folder, also
    /// of another resolution; no coarse grids come before (potential and OC only)
    #[arg(long, value_name = "FILE|DIR")]
    pub start: Option<PathBuf>,
    /// Write the structure as a problem file and stop
    #[arg(long, value_name = "FILE")]
    pub save_problem: Option<PathBuf>,
    /// Write the design variables of every N-th true evaluation on the given grid to DIR/steps, at least 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub save_every: Option<u64>,
    #[command(flatten)]
    pub checkpoint: CheckpointArgs,
    /// Folder for design.png, design.npy, variables.npy, design.vti, in 3D design.stl, convergence.svg,
    /// record.json, history.csv, and evaluations.csv of all grids, which is written as the run goes
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
    /// Whether the run ends when its time is over.
    pub(in crate::cli) fn stops_by_time(&self) -> bool {
        self.max_seconds.is_some()
    }

    /// Whether the run starts from a design in `folder`.
    pub(in crate::cli) fn starts_from(&self, folder: &std::path::Path) -> bool {
        let start = self.start.as_ref().and_then(|start| std::path::absolute(start).ok());
        start.is_some_and(|start| start == folder || start.parent() == Some(folder))
    }

    /// The structure of the problem file or of the preset, with what the options change.
    pub(in crate::cli) fn structure(&self) -> Result<Structure> {
        let preset = self.preset.unwrap_or(PresetFlag::Mbb);
        let mut structure = match (&self.problem, &self.size) {
            (Some(path), size) => {
                io::read_problem_at(path, size.as_ref().map(|Elements(elements)| elements.as_slice()))?
            }
            (None, Some(Elements(elements))) => Structure::preset(preset.preset(), elements)?,
            (None, None) => Structure::preset(preset.preset(), &preset.elements())?,
        };
        if !self.holes.is_empty() && structure.dimension() == 3 {
            return Err(Error::only_with("--hole", "structures in 2D; a problem file has regions for 3D"));
        }
        let [width, height, _] = structure.lengths();
        for &(x, y, radius) in &self.holes {
            if !(radius > 0.0 && radius.is_finite()) {
                return Err(Error::invalid("the radius of a hole", radius, "positive and finite"));
            }
            let hole = Shape::Sphere { centre: vec![x * width, y * height], radius: radius * height };
            structure.regions.push(Region::void(hole));
        }
        let given = structure;
        let structure = Structure {
            filter: self.filter.map_or(given.filter, FilterKind::from),
            projection: self.projection.map(|beta| Projection { beta }).or(given.projection),
            volume_fraction: self.volume.unwrap_or(given.volume_fraction),
            penalty: self.penalty.unwrap_or(given.penalty),
            radius: self.radius.unwrap_or(given.radius),
            symmetry: self.symmetry.map_or(given.symmetry, Symmetry::from),
            ..given
        };
        structure.validate()?;
        Ok(structure)
    }

    /// The method that is given or implied.
    fn method(&self, filter: FilterKind) -> Result<MethodFlag> {
        let is_potential = self.flow == Some(FlowFlag::Potential);
        match self.method {
            None if is_potential => Ok(MethodFlag::Potential),
            None if self.flow.is_some() || self.of_fields().is_some() => Ok(MethodFlag::Adaptive),
            None => Ok(match Recipe::of_filter(filter).method {
                Method::Potential(_) => MethodFlag::Potential,
                _ => MethodFlag::Adaptive,
            }),
            Some(MethodFlag::Potential) if self.flow.is_some() && !is_potential => Err(Error::exclusive(
                "--flow",
                "--method potential",
                "a potential is minimised by projected gradient steps",
            )),
            Some(method) if is_potential && method != MethodFlag::Potential => {
                Err(Error::exclusive("--flow potential", "another --method", "it means --method potential"))
            }
            Some(method) => Ok(method),
        }
    }

    /// An option for learned fields that is given, if there is one.
    fn of_fields(&self) -> Option<&'static str> {
        let options = [
            ("--interval", self.interval.is_some()),
            ("--rank", self.rank.is_some()),
            ("--ridge", self.ridge.is_some()),
            ("--rate", self.rate.is_some()),
        ];
        options.iter().find(|(_, given)| *given).map(|(flag, _)| *flag)
    }

    /// Checks the settings and makes the recipe for a structure.
    pub(in crate::cli) fn recipe(&self, structure: &Structure) -> Result<Recipe> {
        let method = match self.method(structure.filter)? {
            MethodFlag::Potential => self.potential(structure.filter)?.into(),
            method => self.with_flow(method, structure.elements() as f64)?,
        };
        let recipe = Recipe::new(method);
        let refused = [
            ("--levels", self.levels.is_some_and(|levels| levels != Levels::Count(1))),
            ("--continuation", self.continuation == ContinuationFlag::On),
            ("--projection", structure.projection.is_some()),
            ("--start", self.start.is_some()),
        ];
        if let (false, Some((flag, _))) = (recipe.is_direct(), refused.iter().find(|(_, given)| *given)) {
            return Err(Error::only_with(*flag, "the potential and oc flows"));
        }
        if let (true, Some((flag, _))) = (self.start.is_some(), refused[..2].iter().find(|(_, given)| *given))
        {
            return Err(Error::exclusive(
                "--start",
                *flag,
                "no coarse grids come before a design that is given",
            ));
        }
        let settled =
            self.settled.map(|change| Settled { evaluations: SETTLED_WINDOW, change, residual: None });
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
        recipe.validate(structure)?;
        Ok(recipe)
    }

    fn potential(&self, filter: FilterKind) -> Result<Potential> {
        if filter == FilterKind::Sensitivity {
            return Err(Error::exclusive(
                "the sensitivity filter",
                "--method potential",
                "the filter's field is the gradient of no function, so no potential can be learned from it; \
                 use --flow oc",
            ));
        }
        if let Some(flag) = self.of_fields() {
            return Err(Error::exclusive(
                flag,
                "--method potential",
                format!(
                    "{flag} is for learned fields; with --method potential use --history, --order, --steps \
                     and --trust"
                ),
            ));
        }
        let default = Potential::default();
        Ok(Potential {
            memory: self.history.unwrap_or(default.memory),
            steps: self.steps.unwrap_or(default.steps),
            radius: self.trust.unwrap_or(default.radius),
            order: self.order.unwrap_or(default.order),
        })
    }

    /// The plain flow, or a field learned along it.
    fn with_flow(&self, method: MethodFlag, elements: f64) -> Result<Method> {
        let flow = match self.flow.unwrap_or(FlowFlag::Oc) {
            FlowFlag::Oc | FlowFlag::Potential => Flow::OptimalityCriteria(OptimalityCriteria::default()),
            FlowFlag::Adam => Flow::Adam(Adam::new(self.rate.unwrap_or(0.1))),
            FlowFlag::GradientDescent => {
                Flow::GradientDescent(GradientDescent { rate: self.rate.unwrap_or(0.001 * elements) })
            }
        };
        let is_oc = matches!(flow, Flow::OptimalityCriteria(_));
        if is_oc && self.rate.is_some() {
            return Err(Error::only_with(
                "--rate",
                "the adam and gradient-descent flows; the OC flow has none",
            ));
        }
        if self.steps.is_some() || self.trust.is_some() {
            return Err(Error::only_with("--steps and --trust", "--method potential"));
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
        match method {
            MethodFlag::Plain | MethodFlag::Potential => Ok(flow.into()),
            MethodFlag::Fixed => field(Cadence::Fixed(Fixed::new(history, interval))),
            MethodFlag::Adaptive => {
                if interval < history {
                    return Err(Error::invalid(
                        "the interval M",
                        interval,
                        format!("at least the history size K, {history}"),
                    ));
                }
                field(Cadence::Adaptive(Adaptive::with_window(history, interval)))
            }
            MethodFlag::Cosine => {
                if is_oc || self.interval.is_some() {
                    return Err(if is_oc {
                        Error::only_with("--method cosine", "the adam and gradient-descent flows")
                    } else {
                        Error::only_with("--interval", "the methods fixed and adaptive")
                    });
                }
                let rule = CosineTest::with_window(history);
                Ok(Cosine { rule, ..Cosine::new(flow, surrogate) }.into())
            }
        }
    }
}

impl From<FilterFlag> for FilterKind {
    fn from(flag: FilterFlag) -> Self {
        match flag {
            FilterFlag::Density => Self::Density,
            FilterFlag::Sensitivity => Self::Sensitivity,
        }
    }
}

impl From<SymmetryFlag> for Symmetry {
    fn from(flag: SymmetryFlag) -> Self {
        match flag {
            SymmetryFlag::Auto => Self::Auto,
            SymmetryFlag::None => Self::None,
            SymmetryFlag::X => Self::X,
            SymmetryFlag::Y => Self::Y,
            SymmetryFlag::Z => Self::Z,
            SymmetryFlag::Both => Self::Both,
            SymmetryFlag::All => Self::All,
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
