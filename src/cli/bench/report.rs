//! What was measured, its table and its comparison with an earlier measurement.

use std::fmt::Write;
use std::path::Path;

use super::passes::{Measured, PASSES};
use crate::cli::results::engine_line;
use crate::engine::gpu::Clock;
use crate::engine::{EngineInfo, EngineKind};
use crate::error::{Error, Result};

/// The table marks a pass that has become slower than before by this factor.
const SLOWER: f64 = 1.1;

/// The contents of `bench.json`: the machine, the settings and one row per pass.
#[derive(Debug, serde::Serialize)]
pub(super) struct Report {
    pub version: &'static str,
    pub command: String,
    pub engine: EngineInfo,
    pub engine_reason: String,
    pub clock: Clock,
    pub history: usize,
    pub rank: usize,
    pub repeats: usize,
    /// The measurement that the ratios refer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<String>,
    pub copies: Vec<Copied>,
    pub rows: Vec<Row>,
    pub skipped: Vec<Skipped>,
}

/// A copy of as many bytes as the history has: every byte is read once and written once.
#[derive(Debug, serde::Serialize)]
pub(super) struct Copied {
    pub dimension: usize,
    pub bytes: u64,
    pub seconds: f64,
    pub gigabytes_per_second: f64,
}

/// A row of the table.
#[derive(Debug, serde::Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub measured: Measured,
    pub gigabytes_per_second: Option<f64>,
    pub share_of_copy: Option<f64>,
    /// The CPU engine's seconds for the same pass, and this engine's seconds over them.
    pub cpu_seconds: Option<f64>,
    pub cpu_ratio: Option<f64>,
    pub earlier_seconds: Option<f64>,
    /// This measurement's seconds over the earlier one's; below 1 the pass has become faster.
    pub ratio: Option<f64>,
}

#[derive(Debug, serde::Serialize)]
pub(super) struct Skipped {
    pub engine: &'static str,
    pub dimension: usize,
    pub reason: String,
}

/// What a comparison needs of an earlier `bench.json`.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Earlier {
    pub engine: EarlierEngine,
    pub history: usize,
    pub rank: usize,
    pub rows: Vec<EarlierRow>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct EarlierEngine {
    pub engine: String,
    pub adapter: String,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct EarlierRow {
    pub pass: String,
    pub dimension: usize,
    pub seconds: f64,
}

impl Earlier {
    pub(super) fn read(path: &Path, history: usize, rank: usize) -> Result<Self> {
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

    pub(super) fn seconds(&self, measured: &Measured) -> Option<f64> {
        self.rows
            .iter()
            .find(|row| row.pass == measured.pass && row.dimension == measured.dimension)
            .map(|row| row.seconds)
    }
}

pub(super) fn row(measured: Measured, copy: Option<f64>, cpu: &[Measured], earlier: Option<&Earlier>) -> Row {
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
pub(super) fn digits(value: f64) -> String {
    let before = value.abs().max(1e-6).log10().floor() as i32 + 1;
    format!("{value:.*}", (3 - before).max(0) as usize)
}

pub(super) fn count(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.1}") }
}

pub(super) fn markdown(report: &Report) -> String {
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
