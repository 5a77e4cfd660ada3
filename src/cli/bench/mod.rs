//! The command `lgf bench` measures what each pass of a cycle costs on this machine.

mod passes;
mod solid;

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use self::passes::{Bench, Measured, PASSES, Shape, Subject, resident};
use super::results::{engine_line, json};
use crate::cli::arguments::{Elements, EngineArgs, parse_count, parse_elements};
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::engine::gpu::Clock;
use crate::engine::{Engine, EngineChoice, EngineInfo, EngineKind, TableFormat};
use crate::error::{EngineError, Error, Result};
use crate::io;

/// The table marks a pass that has become slower than before by this factor.
const SLOWER: f64 = 1.1;
const GIB: f64 = (1_u64 << 30) as f64;
/// The share of the free memory that a size may take. Other programs need some, and the estimates are not
/// exact.
const SHARE_OF_FREE_MEMORY: f64 = 0.8;
/// The host memory of the synthetic data, bytes per unknown: start, gradient, weights and their copies that
/// are on the way to an engine.
const HOST_BYTES: u64 = 64;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Numbers of unknowns, separated by commas, each 1 to 1e9 [default: 1e4,1e5,1e6, and on hardware
    /// adapters 1e7,1e8]
    #[arg(long, value_name = "D,...", value_delimiter = ',')]
    #[arg(value_parser = |text: &str| parse_count(text, 1e9))]
    dimensions: Option<Vec<u64>>,
    /// Measure the true gradient in 3D on the GPU instead: every pass of a solve, on the meshes of --sizes
    #[arg(long, conflicts_with_all = ["dimensions", "compare", "memory", "without_cpu"])]
    fem: bool,
    /// Meshes for --fem, separated by commas
    #[arg(long, value_name = "CxRxL,...", value_delimiter = ',', value_parser = parse_elements)]
    #[arg(default_values = ["32x16x16", "64x32x32"], requires = "fem")]
    sizes: Vec<Elements>,
    /// Samples, or pairs, in the history, 2 to 64
    #[arg(long, value_name = "K", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u64).range(2..=64))]
    history: u64,
    /// Directions of the reduced space, at least 1 and fewer than samples
    #[arg(long, value_name = "R", default_value_t = 8)]
    rank: u64,
    /// Measurements of which the median is taken, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    repeats: u64,
    #[command(flatten)]
    engine: EngineArgs,
    /// Do not measure the CPU engine beside a GPU
    #[arg(long)]
    without_cpu: bool,
    /// Skip sizes that take more memory than this, GiB [default: what is free, for what lies in the main
    /// memory]
    #[arg(long, value_name = "GIB")]
    memory: Option<f64>,
    /// An earlier bench.json, with the same history and rank, to compare with
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Folder for bench.md and bench.json
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// The contents of `bench.json`: the machine, the settings and one row per pass.
#[derive(Debug, serde::Serialize)]
struct Report {
    version: &'static str,
    command: String,
    engine: EngineInfo,
    engine_reason: String,
    clock: Clock,
    history: usize,
    rank: usize,
    repeats: usize,
    /// The measurement that the ratios refer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared_with: Option<String>,
    copies: Vec<Copied>,
    rows: Vec<Row>,
    skipped: Vec<Skipped>,
}

/// A copy of as many bytes as the history has: every byte is read once and written once.
#[derive(Debug, serde::Serialize)]
struct Copied {
    dimension: usize,
    bytes: u64,
    seconds: f64,
    gigabytes_per_second: f64,
}

/// A row of the table.
#[derive(Debug, serde::Serialize)]
struct Row {
    #[serde(flatten)]
    measured: Measured,
    gigabytes_per_second: Option<f64>,
    share_of_copy: Option<f64>,
    /// The CPU engine's seconds for the same pass, and this engine's seconds over them.
    cpu_seconds: Option<f64>,
    cpu_ratio: Option<f64>,
    earlier_seconds: Option<f64>,
    /// This measurement's seconds over the earlier one's; below 1 the pass has become faster.
    ratio: Option<f64>,
}

#[derive(Debug, serde::Serialize)]
struct Skipped {
    engine: &'static str,
    dimension: usize,
    reason: String,
}

/// What a comparison needs of an earlier `bench.json`.
#[derive(Debug, serde::Deserialize)]
struct Earlier {
    engine: EarlierEngine,
    history: usize,
    rank: usize,
    rows: Vec<EarlierRow>,
}

#[derive(Debug, serde::Deserialize)]
struct EarlierEngine {
    engine: String,
    adapter: String,
}

#[derive(Debug, serde::Deserialize)]
struct EarlierRow {
    pass: String,
    dimension: usize,
    seconds: f64,
}

impl Earlier {
    fn read(path: &Path, history: usize, rank: usize) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let earlier: Self = serde_json::from_slice(&text)
            .map_err(|e| Error::format(path, format!("this is no bench.json ({e})")))?;
        if (earlier.history, earlier.rank) != (history, rank) {
            let (k, r) = (earlier.history, earlier.rank);
            return Err(Error::exclusive(
                format!("--compare {}", path.display()),
                format!("--history {history} --rank {rank}"),
                format!("the file was measured with --history {k} --rank {r}"),
            ));
        }
        Ok(earlier)
    }

    fn seconds(&self, measured: &Measured) -> Option<f64> {
        self.rows
            .iter()
            .find(|row| row.pass == measured.pass && row.dimension == measured.dimension)
            .map(|row| row.seconds)
    }
}

/// The limit on the memory that a size may take.
struct Memory {
    /// The limit that the user has set, bytes.
    allowed: Option<f64>,
}

impl Memory {
    fn new(gib: Option<f64>) -> Result<Self> {
        match gib {
            Some(gib) => Ok(Self { allowed: Some(GIB * Error::require_positive("the memory, GiB,", gib)?) }),
            None => Ok(Self { allowed: None }),
        }
    }

    /// Says why `device` + `host` bytes are too much, if they are. A hardware adapter does not tell how much
    /// memory it has left, so it is tried and may refuse.
    fn refusal(&self, device: u64, host: u64, is_main_memory: bool) -> Option<String> {
        let both = (device + host) as f64;
        match self.allowed {
            Some(allowed) => (both > allowed)
                .then(|| format!("it takes {:.3} GiB, and --memory allows {:.3}", both / GIB, allowed / GIB)),
            None => {
                let needed = if is_main_memory { both } else { host as f64 };
                let free = free_memory()? * SHARE_OF_FREE_MEMORY;
                (needed > free).then(|| {
                    format!(
                        "it takes {:.1} GiB of main memory, and {:.1} are to be had",
                        needed / GIB,
                        free / GIB
                    )
                })
            }
        }
    }
}

/// The memory that Linux says is available, bytes; none elsewhere.
fn free_memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| 1024.0 * kib)
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    if args.fem {
        return solid::run(args);
    }
    let (history, rank, repeats) = (args.history as usize, args.rank as usize, args.repeats as usize);
    if !(1..history).contains(&rank) {
        return Err(Error::invalid(
            "the rank",
            rank,
            format!("between 1 and {}, one below the history's samples", history - 1),
        ));
    }
    let memory = Memory::new(args.memory)?;
    let earlier = args.compare.as_deref().map(|path| Earlier::read(path, history, rank)).transpose()?;
    let (choice, options) = (EngineChoice::from(args.engine.engine), args.engine.options());
    let tables = options.tables;
    let (gpu, engine_reason) = choice.open_gpu(&options)?;
    let mut subject = gpu.map_or_else(|| Subject::Cpu(choice.cpu(tables)), |gpu| Subject::Gpu(Box::new(gpu)));
    let is_gpu = matches!(subject, Subject::Gpu(_));
    let engine = subject.engine().info();
    let in_main_memory = !is_gpu || engine.software;
    let mut dimensions: Vec<usize> = match &args.dimensions {
        Some(given) => given.iter().map(|d| *d as usize).collect(),
        None if in_main_memory => vec![10_000, 100_000, 1_000_000],
        None => vec![10_000, 100_000, 1_000_000, 10_000_000, 100_000_000],
    };
    dimensions.sort_unstable();
    dimensions.dedup();
    io::prepare(&args.out)?;
    let interrupted = interrupt_flag()?;
    let bar = progress_bar(
        args.quiet,
        dimensions.len() * (if is_gpu { 10 } else { 9 } + if is_gpu && !args.without_cpu { 9 } else { 0 }),
    );
    let clock = subject.clock();
    let compared_with = earlier.as_ref().map(|e| format!("{}, {}", e.engine.engine, e.engine.adapter));
    let command = std::iter::once("lgf".into())
        .chain(std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()))
        .collect::<Vec<_>>()
        .join(" ");
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        command,
        engine,
        engine_reason,
        clock,
        history,
        rank,
        repeats,
        compared_with,
        copies: Vec::new(),
        rows: Vec::new(),
        skipped: Vec::new(),
    };
    for dimension in dimensions {
        let shape = Shape { dimension, history, rank, repeats, tables };
        let Some(rows) =
            measure(&mut subject, shape, &memory, in_main_memory, &mut report, &bar, &interrupted)?
        else {
            continue;
        };
        let mut cpu_rows = Vec::new();
        if is_gpu && !args.without_cpu && !interrupted.load(Ordering::SeqCst) {
            let mut cpu = Subject::Cpu(EngineChoice::Cpu.cpu(TableFormat::State));
            cpu_rows = measure(
                &mut cpu,
                Shape { tables: TableFormat::State, ..shape },
                &memory,
                true,
                &mut report,
                &bar,
                &interrupted,
            )?
            .unwrap_or_default();
        }
        let copy = report.copies.iter().find(|c| c.dimension == dimension).map(|c| c.gigabytes_per_second);
        report.rows.extend(rows.into_iter().map(|measured| row(measured, copy, &cpu_rows, earlier.as_ref())));
        // The results so far are written, in case a later size fails.
        write(&args.out, &report)?;
        if interrupted.load(Ordering::SeqCst) {
            break;
        }
    }
    bar.finish_and_clear();
    write(&args.out, &report)?;
    if !args.quiet {
        print(&markdown(&report))?;
        print(&format!("written to {}: bench.md bench.json\n", args.out.display()))?;
    }
    Ok(if interrupted.load(Ordering::SeqCst) {
        Ending::Interrupted
    } else {
        match (report.rows.is_empty(), report.skipped.first()) {
            (true, Some(skipped)) => Ending::Faulty(format!(
                "no size could be measured: {:e} unknowns: {}",
                skipped.dimension, skipped.reason
            )),
            _ => Ending::Done,
        }
    })
}

/// One engine at one size: the copy, where it is the engine that the report is about, and all passes; none if
/// there is not enough memory.
fn measure(
    subject: &mut Subject,
    shape: Shape,
    memory: &Memory,
    in_main_memory: bool,
    report: &mut Report,
    bar: &ProgressBar,
    interrupted: &AtomicBool,
) -> Result<Option<Vec<Measured>>> {
    let (d, info) = (shape.dimension as u64, subject.engine().info());
    let is_main = info == report.engine;
    let mut device = resident(shape.history, shape.tables) * d;
    if matches!(subject, Subject::Cpu(_)) {
        // The estimate includes a fit's copies of the history.
        device = subject.word() / 4 * device + 2 * subject.word() * shape.history as u64 * d;
    }
    let mut skip = |reason| {
        report.skipped.push(Skipped { engine: info.kind.name(), dimension: shape.dimension, reason });
        Ok(None)
    };
    if let Some(reason) = memory.refusal(device, HOST_BYTES * d, in_main_memory) {
        return skip(reason);
    }
    let outcome = (if is_main { subject.copy(shape).map(Some) } else { Ok(None) }).and_then(|copy| {
        Bench { subject, shape, bar, interrupted, rows: Vec::new() }.run().map(|rows| (copy, rows))
    });
    match outcome {
        Ok((copy, rows)) => {
            if let Some((bytes, seconds)) = copy {
                let gigabytes_per_second = bytes as f64 / seconds / 1e9;
                report.copies.push(Copied {
                    dimension: shape.dimension,
                    bytes,
                    seconds,
                    gigabytes_per_second,
                });
            }
            Ok(Some(rows))
        }
        // A device refuses a size that it has no memory for.
        Err(error @ Error::Engine(EngineError::Memory { .. } | EngineError::Device { .. })) => {
            skip(error.to_string())
        }
        Err(error) => Err(error),
    }
}

fn row(measured: Measured, copy: Option<f64>, cpu: &[Measured], earlier: Option<&Earlier>) -> Row {
    let gigabytes_per_second = measured.bytes.map(|bytes| bytes as f64 / measured.seconds / 1e9);
    let cpu_seconds = cpu.iter().find(|c| c.pass == measured.pass).map(|c| c.seconds);
    let earlier_seconds = earlier.and_then(|e| e.seconds(&measured));
    Row {
        gigabytes_per_second,
        share_of_copy: gigabytes_per_second.zip(copy).map(|(pass, copy)| pass / copy),
        cpu_seconds,
        // On both engines, the wall time is what the caller waits for.
        cpu_ratio: cpu_seconds.zip(measured.wall_seconds).map(|(cpu, wall)| cpu / wall),
        earlier_seconds,
        ratio: earlier_seconds.map(|old| measured.seconds / old),
        measured,
    }
}

/// Writes `value` with three significant digits, as a decimal without an exponent.
fn digits(value: f64) -> String {
    let before = value.abs().max(1e-6).log10().floor() as i32 + 1;
    format!("{value:.*}", (3 - before).max(0) as usize)
}

fn count(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.1}") }
}

fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let out = &mut text;
    let clock = match report.clock {
        Clock::Timestamps => {
            "device times by timestamp queries about each dispatch, copies between buffers left out"
        }
        Clock::Wall if report.engine.kind == EngineKind::Cpu => "times by the host's clock",
        Clock::Wall => {
            "this device has no timestamp queries: its times are the host's, about a wait for each dispatch"
        }
    };
    line!(out, "`{}` (lgf {})", report.command, report.version);
    line!(out, "");
    line!(out, "{}", engine_line(&report.engine, &report.engine_reason));
    line!(out, "");
    line!(
        out,
        "K = {} samples, r = {} directions, medians of {}; {clock}.",
        report.history,
        report.rank,
        report.repeats
    );
    if let Some(compared) = &report.compared_with {
        line!(
            out,
            "Ratios are this measurement's times over those of: {compared}. Above {SLOWER} they are marked \
             **slower**."
        );
    }
    line!(out, "");
    let comparing = report.compared_with.is_some();
    let (head, rule) = if comparing { (" earlier, ms | new/old |", "---:|---:|") } else { ("", "") };
    line!(
        out,
        "| unknowns | pass | ms | bound, MB | GB/s | of the copy | dispatches | read-backs | call, ms | CPU \
         engine, ms | CPU/call |{head}"
    );
    line!(out, "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|{rule}");
    let dash = || "–".to_string();
    let mut dimension = None;
    for Row {
        measured: m,
        gigabytes_per_second,
        share_of_copy,
        cpu_seconds,
        cpu_ratio,
        earlier_seconds,
        ratio,
    } in &report.rows
    {
        if dimension != Some(m.dimension) {
            dimension = Some(m.dimension);
            for c in report.copies.iter().filter(|c| c.dimension == m.dimension) {
                let (ms, mb, rate) =
                    (digits(1e3 * c.seconds), digits(c.bytes as f64 / 1e6), digits(c.gigabytes_per_second));
                let blank = if comparing { " – | – |" } else { "" };
                let dispatches = if report.engine.kind == EngineKind::Gpu { "1" } else { "0" };
                line!(
                    out,
                    "| {:e} | *copy* | {ms} | {mb} | {rate} | 100 % | {dispatches} | 0 | – | – | – |{blank}",
                    c.dimension
                );
            }
        }
        let ms = |seconds: Option<f64>| seconds.map_or_else(dash, |s| digits(1e3 * s));
        let wall = if m.clock == Clock::Wall && report.clock != Clock::Wall { " (host)" } else { "" };
        let tail = if comparing {
            let mark = if ratio.is_some_and(|r| r > SLOWER) { " **slower**" } else { "" };
            format!(" {} | {}{mark} |", ms(*earlier_seconds), ratio.map_or_else(dash, digits))
        } else {
            String::new()
        };
        line!(
            out,
            "| {:e} | {} | {}{wall} | {} | {} | {} | {} | {} | {} | {} | {} |{tail}",
            m.dimension,
            m.pass,
            ms(Some(m.seconds)),
            m.bytes.map_or_else(dash, |b| digits(b as f64 / 1e6)),
            gigabytes_per_second.map_or_else(dash, digits),
            share_of_copy.map_or_else(dash, |s| format!("{} %", digits(100.0 * s))),
            count(m.dispatches),
            count(m.readbacks),
            ms(m.wall_seconds),
            ms(*cpu_seconds),
            cpu_ratio.map_or_else(dash, digits)
        );
    }
    if !report.skipped.is_empty() {
        line!(out, "");
        for s in &report.skipped {
            line!(out, "Skipped on the {} engine, {:e} unknowns: {}", s.engine, s.dimension, s.reason);
        }
    }
    line!(out, "");
    line!(
        out,
        "Per step where a pass has several. *bound*: what must be moved at least, which other traffic and \
         arithmetic come on top of; *GB/s*: bound over time;"
    );
    line!(
        out,
        "*of the copy*: that over what a copy of a table of K rows moves per second; *call*: until the \
         caller may go on, by the host's clock. The passes, with the"
    );
    line!(out, "numbers per unknown that their bounds count:");
    line!(out, "");
    for (name, is_part, what) in PASSES {
        if report.engine.kind == EngineKind::Gpu || !is_part {
            line!(out, "- {name}: {what}");
        }
    }
    text
}

fn write(dir: &Path, report: &Report) -> Result<()> {
    io::write_all(dir, &[("bench.md", markdown(report).into_bytes()), ("bench.json", json(report, true)?)])
}

fn progress_bar(quiet: bool, length: usize) -> ProgressBar {
    let bar = if quiet || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(length as u64)
    };
    // The template is a constant; if it did not parse, the default style would serve.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} passes, {elapsed} gone, {msg}") {
        bar.set_style(style);
    }
    bar
}
