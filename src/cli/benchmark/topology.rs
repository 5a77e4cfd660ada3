//! The command `lgf benchmark topology`: topology optimization by optimality criteria, LGF and published
//! optimizers.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;

use super::contest::{Common, Contest, Entry, Gap, Measure, by_lgf, by_peer};
use crate::cli::arguments::parse_elements;
use crate::cli::ending::Ending;
use crate::cli::progress::Progress;
use crate::cli::topology::PresetFlag;
use crate::engine::{CpuEngine, Engine};
use crate::error::{Error, Result};
use crate::flow::{Flow, OptimalityCriteria};
use crate::method::{Field, Method as LgfMethod, Potential, Stopping};
use crate::peers::Peer;
use crate::report::HistoryEntry;
use crate::run::LgfConfig;
use crate::surrogate::SurrogateConfig;
use crate::topology::{
    Compliance, Continuation, FilterKind, Levels, Projection, Region, Structure, WarmStart, coarse_levels,
    warm_start,
};

/// Gaps to the best value found, percent.
const MEASURE: Measure = Measure {
    gaps: [
        Gap { size: 1.0, title: "to 1 %", column: "to_1", panel: "within 1 % of the best value found" },
        Gap { size: 0.5, title: "to 0.5 %", column: "to_05", panel: "within 0.5 % of the best value found" },
        Gap { size: 0.1, title: "to 0.1 %", column: "to_01", panel: "within 0.1 % of the best value found" },
    ],
    target: |_, least, gap| least * (1.0 + gap / 100.0),
    gap: |_, least, value| 100.0 * (value / least - 1.0),
    title: "gap %",
    shown_value: |value| format!("{value:.4}"),
    shown_gap: |gap| format!("{gap:.3}"),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Optimality criteria without a learned model
    Oc,
    /// A learned potential, minimised in a trust region
    Lgf,
    /// The same, of order 3
    #[value(name = "lgf-3")]
    Lgf3,
    /// The same, of order 4
    #[value(name = "lgf-4")]
    Lgf4,
    /// Optimality criteria with the learned field, adaptive cadence
    LgfOc,
    /// Optimality criteria with periodic Anderson mixing
    OcAnderson,
    /// Optimality criteria with extrapolation of the last difference
    OcExtrapolation,
    /// Optimality criteria with dynamic mode decomposition
    OcDmd,
    /// Spectral projected gradient, with a non-monotone line search
    Spg,
    /// Projected quasi-Newton, its model minimised by projected steps
    Pqn,
    /// Method of moving asymptotes
    Mma,
    /// Sigmoidal mirror descent with a projected latent variable (SiMPL)
    Simpl,
    /// L-BFGS in a sigmoid parametrisation, augmented Lagrangian
    LbfgsSigmoid,
}

impl Method {
    fn peer(self) -> Option<Peer> {
        match self {
            Self::Lgf | Self::Lgf3 | Self::Lgf4 | Self::LgfOc | Self::Oc => None,
            Self::OcAnderson => Some(Peer::Anderson),
            Self::OcExtrapolation => Some(Peer::Extrapolation),
            Self::OcDmd => Some(Peer::Dmd),
            Self::Spg => Some(Peer::Spg),
            Self::Pqn => Some(Peer::Pqn),
            Self::Mma => Some(Peer::Mma),
            Self::Simpl => Some(Peer::Simpl),
            Self::LbfgsSigmoid => Some(Peer::LbfgsSigmoid),
        }
    }

    fn name(self) -> &'static str {
        match (self, self.peer()) {
            (_, Some(peer)) => peer.name(),
            (Self::Lgf, None) => "lgf",
            (Self::Lgf3, None) => "lgf-3",
            (Self::Lgf4, None) => "lgf-4",
            (Self::LgfOc, None) => "lgf-oc",
            _ => "oc",
        }
    }

    /// The sensitivity filter's field is no gradient, so only optimality criteria can follow it.
    fn applies(self, filter: FilterKind) -> bool {
        match self {
            Self::Oc | Self::LgfOc | Self::OcAnderson | Self::OcExtrapolation | Self::OcDmd => true,
            _ => filter == FilterKind::Density,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Start {
    /// The uniform design that meets the volume bound
    Cold,
    /// The method's own result on coarse grids, 40 and 30 evaluations each, where there is room for them
    Multilevel,
    /// The same, the best of several layouts that compete on the coarsest, as `lgf topology` does
    Continuation,
}

impl Start {
    fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Multilevel => "multilevel",
            Self::Continuation => "continuation",
        }
    }
}

/// Every method goes on until a step changes no design variable by more than this.
const TOLERANCE: f64 = 1e-4;

/// A structure: its preset, elements, volume fraction, filter with radius, and projection.
#[derive(Debug, Clone, PartialEq)]
struct Case {
    preset: PresetFlag,
    /// The classical round hole, with its centre at a third of the length.
    hole: bool,
    size: Vec<u32>,
    volume: f64,
    radius: f64,
    filter: FilterKind,
    beta: Option<f64>,
}

/// The cases that `--cases` stands for by default.
const CASES: &str = "60x20:0.5:2.4,90x30:0.3:3.6,80x40:0.6:2.5,120x30:0.4:3,150x50:0.5:6,120x40:0.5:3.5:2,\
                     60x20:0.5:1.5:sensitivity,150x50:0.5:6:sensitivity,cantilever:100x50:0.4:3,\
                     cantilever-hole:90x60:0.5:2.7,cantilever-two-loads:90x30:0.5:3,l-bracket:80x80:0.3:3.2,\
                     two-load-bridge:120x40:0.3:3";

/// The cases that `--dimension 3` stands for.
const SOLIDS: &str = "cantilever:48x24x24:0.12:1.732,cantilever:48x24x24:0.3:2.5,mbb:48x16x16:0.2:1.5,\
                      l-bracket:36x36x18:0.2:1.5,bridge:48x24x16:0.15:1.5,torsion:48x20x20:0.2:1.5";

impl Case {
    fn name(&self) -> String {
        let hole = if self.hole { "-hole" } else { "" };
        let beta = match (self.filter, self.beta) {
            (FilterKind::Sensitivity, _) => "-sensitivity".into(),
            (FilterKind::Density, beta) => beta.map_or(String::new(), |beta| format!("-beta{beta}")),
        };
        let structure = if self.preset == PresetFlag::Mbb {
            String::new()
        } else {
            format!("{}{hole}-", self.preset.name())
        };
        let size: Vec<String> = self.size.iter().map(u32::to_string).collect();
        format!("{structure}{}-vf{}-r{}{beta}", size.join("x"), self.volume, self.radius)
    }

    fn structure(&self) -> Result<Structure> {
        let mut structure = Structure::preset(self.preset.preset(), &self.size)?;
        if let (true, [columns, rows]) = (self.hole, &self.size[..]) {
            structure = structure.with(Region::classic_hole(*columns, *rows));
        }
        Ok(Structure {
            filter: self.filter,
            projection: self.beta.map(|beta| Projection { beta }),
            volume_fraction: self.volume,
            radius: self.radius,
            ..structure
        })
    }
}

fn parse_case(text: &str) -> std::result::Result<Case, String> {
    let wrong = || {
        "expected [STRUCTURE:]SIZE:VOLUME:RADIUS[:BETA|:sensitivity], e.g. 60x20:0.5:2.4, \
         cantilever-hole:90x60:0.5:2.7 or torsion:48x20x20:0.2:1.5"
            .to_string()
    };
    let mut parts: Vec<&str> = text.split(':').collect();
    let (preset, hole) = match parts.first() {
        Some(&"cantilever-hole") => (Some(PresetFlag::Cantilever), true),
        Some(name) => (PresetFlag::from_str(name, false).ok(), false),
        None => (None, false),
    };
    if preset.is_some() {
        parts.remove(0);
    } else if let Some(name) = parts.first().filter(|name| !name.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(format!("`{name}` is no structure; {}", wrong()));
    }
    let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
    let ([size, volume, radius], filter, beta) = match parts[..] {
        [size, volume, radius] => ([size, volume, radius], FilterKind::Density, None),
        [size, volume, radius, "sensitivity"] => ([size, volume, radius], FilterKind::Sensitivity, None),
        [size, volume, radius, beta] => ([size, volume, radius], FilterKind::Density, Some(number(beta)?)),
        _ => return Err(wrong()),
    };
    let preset = preset.unwrap_or(PresetFlag::Mbb);
    Ok(Case {
        preset,
        hole,
        size: parse_elements(size)?.0,
        volume: number(volume)?,
        radius: number(radius)?,
        filter,
        beta,
    })
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Structures with density filter, [STRUCTURE:]SIZE:VOLUME:RADIUS[:BETA] separated by commas; STRUCTURE
    /// (default: mbb) as for lgf topology, or cantilever-hole; SIZE: COLUMNSxROWS or COLUMNSxROWSxLAYERS;
    /// BETA: sharpness of a projection, or the word sensitivity for that filter, whose field only optimality
    /// criteria can follow [default: thirteen structures of 2D, six of 3D]
    #[arg(long, value_delimiter = ',', value_parser = parse_case)]
    cases: Vec<Case>,
    /// Which structures the default cases are, 2 or 3 dimensions
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    dimension: u8,
    /// Which optimizers, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Method::value_variants().to_vec())]
    methods: Vec<Method>,
    /// Where every method begins
    #[arg(long, value_enum, default_value = "cold")]
    start: Start,
    /// True evaluations of every run on the given grid, trial points included, at least 1
    #[arg(long, default_value_t = 150)]
    budget: usize,
    #[command(flatten)]
    common: Common,
}

/// The cases that are given, or those that the dimension stands for.
fn cases(args: &Args) -> Result<Vec<Case>> {
    if !args.cases.is_empty() {
        return Ok(args.cases.clone());
    }
    let defaults = if args.dimension == 3 { SOLIDS } else { CASES };
    let parsed = defaults.split(',').map(|case| parse_case(case.trim()));
    parsed.collect::<std::result::Result<_, _>>().map_err(Error::internal)
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    args.common.check(args.budget)?;
    let cases = cases(args)?;
    for case in &cases {
        Compliance::new(case.structure()?)?;
    }
    let methods: Vec<Vec<Method>> = cases
        .iter()
        .map(|case| args.methods.iter().copied().filter(|method| method.applies(case.filter)).collect())
        .collect();
    if methods.iter().all(Vec::is_empty) {
        return Err(Error::exclusive(
            "the methods",
            "the cases",
            "none of the methods goes with any of the cases: with the sensitivity filter only optimality \
             criteria do",
        ));
    }
    let entry = |(case, methods): (&Case, &Vec<Method>)| Entry {
        name: case.name(),
        group: "",
        minimum: None,
        methods: methods.iter().map(|method| method.name()).collect(),
    };
    let start_suffix =
        if args.start == Start::Cold { String::new() } else { format!("-{}", args.start.name()) };
    let contest = Contest {
        common: &args.common,
        entries: cases.iter().zip(&methods).map(entry).collect(),
        suffix: format!("{}{start_suffix}{}", args.budget, if args.dimension == 3 { "-3d" } else { "" }),
        preface: preface(args, &cases),
        measure: MEASURE,
    };
    contest.hold(|case, method, interrupted| solve(&cases[case], methods[case][method], args, interrupted))
}

/// Runs one method on one case, the coarse grids first if it starts there; none if it was interrupted.
fn solve(
    case: &Case,
    method: Method,
    args: &Args,
    interrupted: &Arc<AtomicBool>,
) -> Result<Option<Vec<HistoryEntry>>> {
    let coarse = match args.start {
        Start::Cold => Vec::new(),
        Start::Multilevel | Start::Continuation => coarse_levels(&case.structure()?, Levels::Auto)?,
    };
    let continuation = if args.start == Start::Continuation { Continuation::Auto } else { Continuation::Off };
    let run = |problem: &mut Compliance, start: &WarmStart, budget: usize| {
        let name = format!("{} {}", problem.mesh(), method.name());
        let mut progress = args.common.progress(&name, interrupted);
        let done = minimize(method, problem, start, budget, &mut progress)?;
        Ok::<_, Error>(done.filter(|_| !interrupted.load(Ordering::SeqCst)))
    };
    let mut problem = Compliance::new(case.structure()?)?;
    // Layouts that compete on the given grid are evaluated there, which counts.
    let mut spent: Vec<HistoryEntry> = Vec::new();
    let given = problem.structure().clone();
    let start = warm_start(coarse, continuation, &mut problem, |softer, start, budget, _| {
        let Some((end, history)) = run(softer, &start, budget)? else { return Ok(None) };
        if *softer.structure() == given {
            append(&mut spent, history);
        }
        Ok(Some(end))
    })?;
    let Some(start) = start else { return Ok(None) };
    let left = args.budget.saturating_sub(spent.len()).max(1);
    let Some((_, history)) = run(&mut problem, &start, left)? else { return Ok(None) };
    append(&mut spent, history);
    Ok(Some(spent))
}

/// Adds the evaluations of a later run to those of the earlier ones, numbered on.
fn append(spent: &mut Vec<HistoryEntry>, later: Vec<HistoryEntry>) {
    let before = spent.last().map_or(0, |entry| entry.evaluation);
    spent.extend(
        later.into_iter().map(|entry| HistoryEntry { evaluation: before + entry.evaluation, ..entry }),
    );
}

/// Runs one method once: the best design and every evaluation; none if the observer ended it.
fn minimize(
    method: Method,
    problem: &mut Compliance,
    start: &WarmStart,
    budget: usize,
    progress: &mut Progress,
) -> Result<Option<(WarmStart, Vec<HistoryEntry>)>> {
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let method: LgfMethod = match method {
        Method::Lgf => Potential::default().into(),
        Method::Lgf3 => Potential { order: 3, ..Potential::default() }.into(),
        Method::Lgf4 => Potential { order: 4, ..Potential::default() }.into(),
        Method::Oc => oc.into(),
        Method::LgfOc => Field::adaptive(oc, SurrogateConfig::topology()).into(),
        _ => {
            let Some(peer) = method.peer() else { return Ok(None) };
            let Some(course) = by_peer(peer, problem, &start.design, budget, TOLERANCE, progress)? else {
                return Ok(None);
            };
            return Ok(Some((WarmStart::found(course.objective, course.x, Vec::new()), course.history)));
        }
    };
    let stopping = Stopping { max_evaluations: budget, tolerance: TOLERANCE, ..Stopping::default() };
    let config = LgfConfig { method, stopping };
    let mut engine = CpuEngine::new();
    let Some(report) = by_lgf(config, problem, start.as_start(), &mut engine, progress)? else {
        return Ok(None);
    };
    let pairs = if let LgfMethod::Potential(_) = method { engine.pairs()? } else { Vec::new() };
    let pairs = pairs.into_iter().map(|pair| pair.times(report.gradient_unit)).collect();
    Ok(Some((WarmStart::found(report.objective, report.x, pairs), report.history)))
}

fn preface(args: &Args, cases: &[Case]) -> String {
    let mut text = String::new();
    let out = &mut text;
    let start = match args.start {
        Start::Cold => "uniform start",
        Start::Multilevel => {
            "start from the method's own result on coarse grids where there is room for them"
        }
        Start::Continuation => {
            "start from the method's own result on coarse grids, the best of several layouts that compete on \
             the coarsest, where there is room for them"
        }
    };
    line!(
        out,
        "Compliance (half-MBB beams and density filter unless a case says otherwise), {start}, {} true \
         evaluations each, CPU engine;",
        args.budget
    );
    line!(out, "true evaluations on the given grid to within a gap of the best value");
    line!(out, "that any of these methods found. Optima are many: a gap may be another design.");
    if cases.iter().any(|case| case.filter == FilterKind::Sensitivity) {
        line!(
            out,
            "With the sensitivity filter the least value is passed on the way: where its field vanishes is \
             no minimum of the compliance."
        );
        line!(
            out,
            "Only optimality criteria follow that field: in the profiles the others count as not having \
             solved such a case."
        );
    }
    text
}
