//! `lgf benchmark`: topology optimization by plain OC, LGF-OC and what a user would pick instead.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use clap::ValueEnum;

use super::progress::Progress;
use super::topology::PresetFlag;
use super::{Ending, interrupt_flag, multilevel, print};
use crate::engine::{CpuEngine, Engine};
use crate::error::{Error, Result};
use crate::flow::{Flow, OptimalityCriteria};
use crate::io;
use crate::observe::{Event, Observer};
use crate::optimizer::{Lgf, LgfConfig, RunError, Stopping};
use crate::peers::Peer;
use crate::report::{HistoryEntry, StopReason, evaluations_to_reach};
use crate::schedule::{Adaptive, Potential, Schedule};
use crate::surrogate::SurrogateConfig;
use crate::topology::{Compliance, ComplianceConfig, FilterKind, Levels, PassiveRegion, Projection, coarse_levels};

/// Gaps to the best value found, percent.
const GAPS: [f64; 3] = [1.0, 0.5, 0.1];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// A learned potential, minimised in a trust region
    Lgf,
    /// Optimality criteria with the learned flow, adaptive schedule
    LgfOc,
    /// Plain optimality criteria
    Oc,
    /// Optimality criteria with periodic Anderson mixing
    OcAnderson,
    /// Optimality criteria with extrapolation of the last difference
    OcExtrapolation,
    /// Optimality criteria with dynamic mode decomposition
    OcDmd,
    /// Spectral projected gradient
    Spg,
    /// Projected quasi-Newton
    Pqn,
    /// Method of moving asymptotes
    Mma,
    /// Sigmoidal mirror descent
    Simpl,
    /// L-BFGS in a sigmoid parametrisation, augmented Lagrangian
    LbfgsSigmoid,
}

impl Method {
    fn peer(self) -> Option<Peer> {
        match self {
            Self::Lgf | Self::LgfOc | Self::Oc => None,
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
            (Self::LgfOc, None) => "lgf-oc",
            _ => "oc",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Start {
    /// The uniform design
    Cold,
    /// The method's own result on coarse grids, 40 and 30 evaluations each, where there is room for them
    Multilevel,
    /// The same, the penalty raised on the coarsest in 4 steps of 10 evaluations, as `lgf topology` does
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

/// A structure: which, elements, volume fraction, filter radius, projection.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Case {
    preset: PresetFlag,
    /// The classical round hole at a third of the length.
    hole: bool,
    size: (u32, u32),
    volume: f64,
    radius: f64,
    beta: Option<f64>,
}

/// What `--cases` stands for by default.
const CASES: &str = "60x20:0.5:2.4,90x30:0.3:3.6,80x40:0.6:2.5,120x30:0.4:3,150x50:0.5:6,120x40:0.5:3.5:2,cantilever:100x50:0.4:3,\
                     cantilever-hole:90x60:0.5:2.7,cantilever-two-loads:90x30:0.5:3,l-bracket:80x80:0.3:3.2,two-load-bridge:120x40:0.3:3";

impl Case {
    fn name(&self) -> String {
        let hole = if self.hole { "-hole" } else { "" };
        let beta = self.beta.map_or(String::new(), |beta| format!("-beta{beta}"));
        let structure = if self.preset == PresetFlag::Mbb { String::new() } else { format!("{}{hole}-", self.preset.name()) };
        format!("{structure}{}x{}-vf{}-r{}{beta}", self.size.0, self.size.1, self.volume, self.radius)
    }

    fn config(&self) -> ComplianceConfig {
        let base = ComplianceConfig::mbb(self.size.0, self.size.1, FilterKind::Density);
        ComplianceConfig {
            preset: self.preset.preset(),
            passive: if self.hole { vec![PassiveRegion::classic_hole(self.size.0, self.size.1)] } else { Vec::new() },
            projection: self.beta.map(|beta| Projection { beta }),
            volume_fraction: self.volume,
            radius: self.radius,
            ..base
        }
    }
}

fn parse_case(text: &str) -> std::result::Result<Case, String> {
    let wrong = || "expected [STRUCTURE:]COLUMNSxROWS:VOLUME:RADIUS[:BETA], e.g. 60x20:0.5:2.4 or cantilever-hole:90x60:0.5:2.7".to_string();
    let mut parts: Vec<&str> = text.split(':').collect();
    let (preset, hole) = match parts.first() {
        Some(&"cantilever-hole") => (Some(PresetFlag::Cantilever), true),
        Some(name) => (PresetFlag::from_str(name, false).ok(), false),
        None => (None, false),
    };
    if preset.is_some() {
        parts.remove(0);
    }
    let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
    let (&[size, volume, radius], beta) = match parts[..] {
        [size, volume, radius] => (&[size, volume, radius], None),
        [size, volume, radius, beta] => (&[size, volume, radius], Some(number(beta)?)),
        _ => return Err(wrong()),
    };
    let preset = preset.unwrap_or(PresetFlag::Mbb);
    Ok(Case { preset, hole, size: super::parse_size(size)?, volume: number(volume)?, radius: number(radius)?, beta })
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Structures with density filter, [STRUCTURE:]COLUMNSxROWS:VOLUME:RADIUS[:BETA] separated by commas; STRUCTURE (default: mbb) as for lgf topology, or
    /// cantilever-hole; BETA: sharpness of a projection
    #[arg(long, value_delimiter = ',', value_parser = parse_case, default_value = CASES)]
    cases: Vec<Case>,
    /// Which optimizers, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Method::value_variants().to_vec())]
    methods: Vec<Method>,
    /// Where every method begins
    #[arg(long, value_enum, default_value = "cold")]
    start: Start,
    /// True evaluations of every run on the given grid, trial points included, at least 1
    #[arg(long, default_value_t = 150)]
    budget: usize,
    /// Runs at the same time, at least 1; more than one shows no progress bars
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Folder for benchmark.md, benchmark.csv, convergence.svg, profiles.svg and runs/, whose finished runs are not repeated
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// What every method did on one case.
type Runs = Vec<(Method, Vec<HistoryEntry>)>;

/// A line of the table.
#[derive(Debug, serde::Serialize)]
struct Row {
    case: String,
    method: &'static str,
    evaluations: usize,
    /// True evaluations to within 1, 0.5 and 0.1 % of the best value any method found.
    to_1: Option<usize>,
    to_05: Option<usize>,
    to_01: Option<usize>,
    best: f64,
    /// Above the best value any method found, percent.
    gap: f64,
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    if args.budget == 0 {
        return Err(Error::invalid("the budget", 0, "at least 1"));
    }
    if args.jobs == 0 {
        return Err(Error::invalid("the number of jobs", 0, "at least 1"));
    }
    for case in &args.cases {
        Compliance::new(case.config())?;
    }
    let interrupted = interrupt_flag()?;
    let folder = args.out.join("runs");
    io::prepare(&folder)?;
    let work: Vec<(Case, Method)> = args.cases.iter().flat_map(|&case| args.methods.iter().map(move |&method| (case, method))).collect();
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<(usize, Vec<HistoryEntry>)>> {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            let Some((case, method)) = work.get(number) else { return Ok(done) };
            match kept(&folder, case, *method, args, &interrupted)? {
                Some(history) => done.push((number, history)),
                None => return Ok(done),
            }
        }
    };
    let done: Vec<(usize, Vec<HistoryEntry>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..args.jobs).map(|_| scope.spawn(worker)).collect();
        let broken = || Err(Error::Incompatible("a run of the benchmark broke off".into()));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| broken())).collect::<Result<Vec<_>>>()
    })?
    .concat();
    let history = |number: usize| done.iter().find(|(n, _)| *n == number).map(|(_, history)| history.clone());
    let results: Vec<(Case, Runs)> = args
        .cases
        .iter()
        .enumerate()
        .map(|(c, &case)| {
            let runs = args.methods.iter().enumerate().filter_map(|(m, &method)| Some((method, history(c * args.methods.len() + m)?))).collect();
            (case, runs)
        })
        .filter(|(_, runs): &(Case, Runs)| !runs.is_empty())
        .collect();
    let rows: Vec<Row> = results.iter().flat_map(|(case, runs)| table(case, runs)).collect();
    write(args, &results, &rows)?;
    if !args.quiet {
        print(&markdown(args, &rows))?;
        print(&format!("written to {}: benchmark.md benchmark.csv convergence.svg profiles.svg runs/\n", args.out.display()))?;
    }
    Ok(if interrupted.load(Ordering::SeqCst) { Ending::Interrupted } else { Ending::Done })
}

/// A run's history, from the folder if it is there already; none if it was interrupted.
fn kept(folder: &Path, case: &Case, method: Method, args: &Args, interrupted: &Arc<AtomicBool>) -> Result<Option<Vec<HistoryEntry>>> {
    let begun = if args.start == Start::Cold { String::new() } else { format!("-{}", args.start.name()) };
    let file = folder.join(format!("{}-{}-{}{begun}.csv", case.name(), method.name(), args.budget));
    if let Some(history) = read(&file) {
        return Ok(Some(history));
    }
    let Some(history) = solve(case, method, args, interrupted)? else { return Ok(None) };
    io::write_file(&file, io::csv(&history)?)?;
    log::info!("{} {}: {:.4} after {} evaluations", case.name(), method.name(), best(&history), history.len());
    Ok(Some(history))
}

/// A finished run's history, if there is one that can be read.
fn read(file: &Path) -> Option<Vec<HistoryEntry>> {
    let mut reader = csv::Reader::from_path(file).ok()?;
    reader
        .deserialize::<(usize, usize, f64, bool)>()
        .map(|row| row.ok().map(|(evaluation, iteration, objective, accepted)| HistoryEntry { evaluation, iteration, objective, accepted }))
        .collect()
}

/// One method on one case, the coarse grids first if it begins there; none if it was interrupted.
fn solve(case: &Case, method: Method, args: &Args, interrupted: &Arc<AtomicBool>) -> Result<Option<Vec<HistoryEntry>>> {
    let coarse = match args.start {
        Start::Cold => Vec::new(),
        Start::Multilevel | Start::Continuation => coarse_levels(&case.config(), Levels::Auto)?,
    };
    let raised = args.start == Start::Continuation && !coarse.is_empty();
    let run = |problem: &mut Compliance, start: &multilevel::Start, budget: usize| {
        let name = format!("{}x{} {}", problem.grid().nelx(), problem.grid().nely(), method.name());
        let mut progress = Progress::new(&name, args.quiet || args.jobs > 1, interrupted.clone());
        let done = minimize(method, problem, start, budget, &mut progress)?;
        Ok(done.filter(|_| !interrupted.load(Ordering::SeqCst)))
    };
    let mut problem = Compliance::new(case.config())?;
    let start = multilevel::start(coarse, raised, &problem, |coarse, start, budget| Ok(run(coarse, start, budget)?.map(|(end, _)| end)))?;
    let Some(start) = start else { return Ok(None) };
    Ok(run(&mut problem, &start, args.budget)?.map(|(_, history)| history))
}

/// One run: the best design and every evaluation; none if the observer ended it.
fn minimize(
    method: Method,
    problem: &mut Compliance,
    start: &multilevel::Start,
    budget: usize,
    progress: &mut Progress,
) -> Result<Option<(multilevel::Start, Vec<HistoryEntry>)>> {
    let oc = |schedule| LgfConfig::new(Flow::OptimalityCriteria(OptimalityCriteria::default()), schedule, SurrogateConfig::topology());
    let config = match method {
        Method::Lgf => LgfConfig::potential(Potential::default()),
        Method::Oc => oc(Schedule::None),
        Method::LgfOc => oc(Schedule::Adaptive(Adaptive::default())),
        _ => {
            let Some(peer) = method.peer() else { return Ok(None) };
            let engine = CpuEngine::new().info();
            if progress.event(Event::Started { engine: &engine, dimension: start.design.len(), max_evaluations: budget }).is_break() {
                return Ok(None);
            }
            let course = peer.minimize(problem, &start.design, budget, TOLERANCE, progress)?;
            return Ok(Some((multilevel::Start { value: course.objective, design: course.x, pairs: Vec::new() }, course.history)));
        }
    };
    let stopping = Stopping { max_evaluations: budget, tolerance: TOLERANCE, ..Stopping::default() };
    let config = LgfConfig { stopping, ..config };
    let mut engine = CpuEngine::new();
    match Lgf::new(config)?.minimize_knowing(&start.pairs, problem, &start.design, &mut engine, progress) {
        Ok(report) if report.stop == StopReason::Interrupted => Ok(None),
        Ok(report) => {
            let pairs = if config.schedule == Schedule::Potential(Potential::default()) { engine.pairs()? } else { Vec::new() };
            Ok(Some((multilevel::Start { value: report.objective, design: report.x, pairs }, report.history)))
        }
        Err(RunError::NotStarted(error) | RunError::CutShort { source: error, .. }) => Err(error),
    }
}

fn best(history: &[HistoryEntry]) -> f64 {
    history.iter().filter(|e| e.accepted).map(|e| e.objective).fold(f64::INFINITY, f64::min)
}

fn table(case: &Case, runs: &[(Method, Vec<HistoryEntry>)]) -> Vec<Row> {
    let least = runs.iter().map(|(_, history)| best(history)).fold(f64::INFINITY, f64::min);
    let row = |(method, history): &(Method, Vec<HistoryEntry>)| {
        let [to_1, to_05, to_01] = GAPS.map(|gap| evaluations_to_reach(history, least * (1.0 + gap / 100.0)));
        let best = best(history);
        Row { case: case.name(), method: method.name(), evaluations: history.len(), to_1, to_05, to_01, best, gap: 100.0 * (best / least - 1.0) }
    };
    runs.iter().map(row).collect()
}

fn markdown(args: &Args, rows: &[Row]) -> String {
    let mut text = String::new();
    let out = &mut text;
    let start = match args.start {
        Start::Cold => "uniform start",
        Start::Multilevel => "start from the method's own result on coarse grids where there is room for them",
        Start::Continuation => {
            "start from the method's own result on coarse grids, the penalty raised on the coarsest (where there is one only, the better of that and straight on), where there is room for them"
        }
    };
    line!(out, "Compliance with density filter (half-MBB beams unless a case says otherwise), {start}, {} true evaluations each, CPU engine;", args.budget);
    line!(out, "true evaluations on the given grid to within a gap of the best value");
    line!(out, "that any of these methods found. Optima are many: a gap may be another design.");
    line!(out, "");
    line!(out, "| case | method | to 1 % | to 0.5 % | to 0.1 % | best | gap % |");
    line!(out, "|---|---|---:|---:|---:|---:|---:|");
    let shown = |n: Option<usize>| n.map_or("-".to_string(), |n| n.to_string());
    for row in rows {
        let (a, b, c) = (shown(row.to_1), shown(row.to_05), shown(row.to_01));
        line!(out, "| {} | {} | {a} | {b} | {c} | {:.4} | {:.3} |", row.case, row.method, row.best, row.gap);
    }
    text
}

fn write(args: &Args, results: &[(Case, Runs)], rows: &[Row]) -> Result<()> {
    let titles: Vec<String> = results.iter().map(|(case, _)| case.name()).collect();
    let panels: Vec<io::Panel<'_>> = results
        .iter()
        .zip(&titles)
        .map(|((_, runs), title)| (&**title, runs.iter().map(|(method, history)| io::Curve { name: method.name(), history }).collect()))
        .collect();
    // Per gap and method, the evaluations on every case.
    let profiles: Vec<io::Profile<'_>> = [0, 1, 2]
        .map(|gap| {
            let methods = args.methods.iter().map(|method| {
                let costs = rows.iter().filter(|row| row.method == method.name()).map(|row| [row.to_1, row.to_05, row.to_01][gap]).collect();
                (method.name(), costs)
            });
            (format!("within {} % of the best value found", GAPS[gap]), methods.collect())
        })
        .into();
    io::write_all(
        &args.out,
        &[
            ("benchmark.md", markdown(args, rows).into_bytes()),
            ("benchmark.csv", io::csv(rows)?),
            ("convergence.svg", io::convergence_panels_svg(&panels)?.into_bytes()),
            ("profiles.svg", io::profiles_svg(&profiles)?.into_bytes()),
        ],
    )
}
