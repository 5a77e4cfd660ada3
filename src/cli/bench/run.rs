//! Measures the passes of a cycle on the sizes that fit.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Args;
use super::memory::Memory;
use super::passes::{Bench, Measured, Shape, Subject, resident};
use super::report::{Copied, Earlier, Report, Skipped, markdown, row};
use super::solid;
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::cli::results::json;
use crate::engine::{Engine, EngineChoice, TableFormat};
use crate::error::{EngineError, Error, Result};
use crate::io;

/// The host memory of the synthetic data, bytes per unknown: start, gradient, weights and their copies that
/// are on the way to an engine.
const HOST_BYTES: u64 = 64;

pub(in crate::cli) fn run(args: &Args) -> Result<Ending> {
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
