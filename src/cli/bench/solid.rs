//! `lgf bench --fem`: what each pass of the true gradient in space costs on a device, beside the bytes that
//! it must move, and what these bytes would take at other bandwidths.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use super::args::Args;
use super::passes::median;
use super::report::digits;
use crate::cli::ending::{Ending, print};
use crate::cli::results::json;
use crate::engine::gpu::{AdapterChoice, Clock, DesignRule, DeviceCompliance, KernelTime, SolidDevice};
use crate::error::{Error, Result};
use crate::fem::{BrickMesh, Element, Simp, SolidCompliance, Solver, Supports};
use crate::io;

/// The iterations of conjugate gradients that are timed, from a displacement of zero: so few that none of
/// them finds the solve done.
const ITERATIONS: usize = 4;
/// The relative residual of the timed solves.
const TOLERANCE: f64 = 1e-5;
/// The filter radius of a design's passes, in element sides.
const RADIUS: f64 = 1.5;
/// The bandwidths that times are predicted for, in GB/s: an integrated GPU or a small card, a large card, a
/// data centre's.
const BANDWIDTHS: [f64; 3] = [300.0, 1000.0, 3000.0];
/// The most elements that the CPU solves beside the device.
const MOST_ON_CPU: usize = 300_000;

/// The contents of `bench-fem.json`.
#[derive(Debug, serde::Serialize)]
struct Report {
    version: &'static str,
    adapter: String,
    clock: Clock,
    tolerance: f64,
    meshes: Vec<Measured>,
}

/// What was measured on one mesh.
#[derive(Debug, serde::Serialize)]
struct Measured {
    mesh: String,
    elements: usize,
    device_bytes: u64,
    /// The bandwidth of a copy kernel of the displacements' size, in GB/s.
    copy_gigabytes_per_second: f64,
    iterations: usize,
    residual: f64,
    /// One value and gradient, the solve included, by the host's clock.
    evaluation_seconds: f64,
    cpu_seconds: Option<f64>,
    /// The compliance on the device over the CPU's, less 1.
    relative_difference: Option<f64>,
    once: Vec<Row>,
    iteration: Vec<Row>,
    /// The bytes of an evaluation with that many iterations, and its seconds at each bandwidth.
    evaluation_bytes: u64,
    predicted_seconds: Vec<(f64, f64)>,
}

/// One kernel, in what is done once an evaluation or in one iteration.
#[derive(Debug, serde::Serialize)]
struct Row {
    kernel: &'static str,
    dispatches: f64,
    seconds: f64,
    bytes: u64,
    gigabytes_per_second: f64,
    share_of_copy: f64,
}

/// A cantilever under a load along its lower edge, with a load-bearing layout of bars in almost void.
struct Problem {
    mesh: BrickMesh,
    element: Element,
    supports: Supports,
    load: Vec<f64>,
    densities: Vec<f64>,
}

impl Problem {
    fn new(size: [usize; 3]) -> Result<Self> {
        let [nx, ny, nz] = size;
        let mesh = BrickMesh::new(nx, ny, nz)?;
        let supports = Supports::clamped_left(mesh);
        let mut load = vec![0.0; mesh.dofs()];
        (0..=nz).for_each(|z| load[mesh.dof(mesh.node(nx, 0, z), 1)] = -1.0 / (nz + 1) as f64);
        // Bars of a third of each period along every axis meet in all directions.
        let period = (ny.min(nz) / 4).max(3);
        let is_bar = |at: usize| at % period < period.div_ceil(3);
        let density = |e: usize| {
            let place = [e % nx, e / nx % ny, e / (nx * ny)];
            let within = place.into_iter().filter(|at| is_bar(*at)).count();
            if within >= 2 { 1.0 } else { 0.05 }
        };
        let densities = (0..mesh.elements()).map(density).collect();
        Ok(Self { mesh, element: Element::new([1.0; 3], 0.3)?, supports, load, densities })
    }
}

/// The densities' law in all measurements.
const LAW: Simp = Simp { penalty: 3.0, void_modulus: 1e-9 };

fn rows(kernels: &[KernelTime], times: usize, copy: f64) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for time in kernels {
        let share = 1.0 / times as f64;
        let (dispatches, seconds) = (share * time.dispatches as f64, share * time.seconds);
        let bytes = time.least_bytes / times as u64;
        match rows.iter_mut().find(|row| row.kernel == time.kernel) {
            Some(row) => {
                row.dispatches += dispatches;
                row.seconds += seconds;
                row.bytes += bytes;
            }
            None => rows.push(Row {
                kernel: time.kernel,
                dispatches,
                seconds,
                bytes,
                gigabytes_per_second: 0.0,
                share_of_copy: 0.0,
            }),
        }
    }
    for row in &mut rows {
        row.gigabytes_per_second = row.bytes as f64 / row.seconds.max(f64::MIN_POSITIVE) / 1e9;
        row.share_of_copy = row.gigabytes_per_second / copy;
    }
    rows
}

fn measure(device: &SolidDevice, size: [usize; 3], repeats: usize) -> Result<Measured> {
    let Problem { mesh, element, supports, load, densities } = Problem::new(size)?;
    let bodies = vec![[0.0; 3]];
    let model = DeviceCompliance::new(device, &element, &supports, vec![load.clone()], bodies)?;
    let mut model = model.with_design(&DesignRule {
        sides: [1.0; 3],
        radius: RADIUS,
        filters_sensitivities: false,
        mirrors: [false, false, true],
        given: Vec::new(),
    })?;
    let mut gradient = vec![0.0; mesh.elements()];
    // The kernels are compiled by a first evaluation, which is not timed.
    model.evaluate(&LAW, &densities, 1e-1, 1000, &mut gradient)?;
    let (bytes, seconds) = device.copy_times(4 * mesh.dofs() as u64, repeats)?;
    let copy = 2e-9 * bytes as f64 / median(seconds);
    let mut evaluations = Vec::new();
    let mut last = None;
    for _ in 0..repeats {
        // Each solve begins from zero.
        model.forget()?;
        let began = Instant::now();
        last = Some(model.evaluate(&LAW, &densities, TOLERANCE, 1000, &mut gradient)?);
        evaluations.push(began.elapsed().as_secs_f64());
    }
    let last = last.ok_or_else(|| Error::internal("no evaluation was timed"))?;
    let solve = last.solves.first().copied().ok_or_else(|| Error::internal("no solve was made"))?;
    let (mut cpu_seconds, mut relative_difference) = (None, None);
    if mesh.elements() <= MOST_ON_CPU {
        let solver = Solver::new(mesh, &element, &supports)?;
        let mut cpu = SolidCompliance::new(solver, vec![load])?;
        let began = Instant::now();
        let value = cpu.evaluate(&LAW, &densities, TOLERANCE, 1000, &mut gradient)?.value;
        cpu_seconds = Some(began.elapsed().as_secs_f64());
        relative_difference = Some(last.value / value - 1.0);
    }
    let [once, iteration] = model.profile(&LAW, &densities, ITERATIONS)?;
    let (once, iteration) = (rows(&once, 1, copy), rows(&iteration, ITERATIONS, copy));
    let sum = |rows: &[Row]| rows.iter().map(|row| row.bytes).sum::<u64>();
    let evaluation_bytes = sum(&once) + solve.iterations as u64 * sum(&iteration);
    Ok(Measured {
        mesh: size.map(|n| n.to_string()).join("x"),
        elements: mesh.elements(),
        device_bytes: DeviceCompliance::bytes(mesh, 1).all,
        copy_gigabytes_per_second: copy,
        iterations: solve.iterations,
        residual: solve.residual,
        evaluation_seconds: median(evaluations),
        cpu_seconds,
        relative_difference,
        once,
        iteration,
        evaluation_bytes,
        predicted_seconds: BANDWIDTHS.map(|rate| (rate, 1e-9 * evaluation_bytes as f64 / rate)).to_vec(),
    })
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    let device = SolidDevice::open(args.engine.adapter.as_ref().unwrap_or(&AdapterChoice::Any))?;
    let mut sizes: Vec<[usize; 3]> = Vec::new();
    for size in &args.sizes {
        let parts: [u32; 3] = size.0.clone().try_into().map_err(|_| {
            Error::invalid("a size of --sizes", format!("{:?}", size.0), "in 3D, as 64x32x32")
        })?;
        sizes.push(parts.map(|n| n as usize));
    }
    io::prepare(&args.out)?;
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        adapter: device.adapter(),
        clock: device.clock(),
        tolerance: TOLERANCE,
        meshes: Vec::new(),
    };
    for size in sizes {
        report.meshes.push(measure(&device, size, args.repeats as usize)?);
        write(&args.out, &report)?;
    }
    if !args.quiet {
        print(&markdown(&report))?;
        print(&format!("written to {}: bench-fem.md bench-fem.json\n", args.out.display()))?;
    }
    Ok(Ending::Done)
}

fn write(dir: &Path, report: &Report) -> Result<()> {
    let files = [("bench-fem.md", markdown(report).into_bytes()), ("bench-fem.json", json(report, true)?)];
    io::write_all(dir, &files)
}

fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let out = &mut text;
    let clock = match report.clock {
        Clock::Timestamps => "device times by timestamp queries about each dispatch",
        Clock::Wall => "times by the host's clock about a wait for each dispatch, latency included",
    };
    line!(out, "lgf {}, {}; {clock}.", report.version, report.adapter);
    line!(out, "Solves begin from zero and end at a relative residual of {:e}.", report.tolerance);
    line!(out, "");
    let rates = BANDWIDTHS.map(|rate| format!(" at {rate} GB/s, ms |")).concat();
    line!(
        out,
        "| mesh | elements | device, MB | iterations | evaluation, s | CPU, s | compliance to the CPU's | \
         moved, GB |{rates}"
    );
    line!(out, "|---|---:|---:|---:|---:|---:|---:|---:|{}", "---:|".repeat(BANDWIDTHS.len()));
    let dash = || "–".to_string();
    for m in &report.meshes {
        let predicted: String =
            m.predicted_seconds.iter().map(|(_, seconds)| format!(" {} |", digits(1e3 * seconds))).collect();
        line!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |{predicted}",
            m.mesh,
            m.elements,
            digits(1e-6 * m.device_bytes as f64),
            m.iterations,
            digits(m.evaluation_seconds),
            m.cpu_seconds.map_or_else(dash, digits),
            m.relative_difference.map_or_else(dash, |difference| format!("{difference:.1e}")),
            digits(1e-9 * m.evaluation_bytes as f64)
        );
    }
    line!(out, "");
    line!(
        out,
        "*moved*: the least bytes of an evaluation, each array of each pass once each way; the times at \
         other bandwidths are"
    );
    line!(out, "these bytes over the bandwidth, without the latency of launches.");
    for m in &report.meshes {
        line!(out, "");
        line!(out, "{}: a copy moves {} GB/s.", m.mesh, digits(m.copy_gigabytes_per_second));
        line!(out, "");
        line!(out, "| kernel | dispatches | ms | bound, MB | GB/s | of the copy |");
        line!(out, "|---|---:|---:|---:|---:|---:|");
        for (title, rows) in [("once an evaluation", &m.once), ("each iteration", &m.iteration)] {
            let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
            let bytes: u64 = rows.iter().map(|row| row.bytes).sum();
            let dispatches: f64 = rows.iter().map(|row| row.dispatches).sum();
            let rate = 1e-9 * bytes as f64 / seconds;
            let mut line = |name: &str, dispatches: f64, seconds: f64, bytes: u64, rate: f64| {
                line!(
                    out,
                    "| {name} | {dispatches} | {} | {} | {} | {} % |",
                    digits(1e3 * seconds),
                    digits(1e-6 * bytes as f64),
                    digits(rate),
                    digits(100.0 * rate / m.copy_gigabytes_per_second)
                );
            };
            line(&format!("*{title}*"), dispatches, seconds, bytes, rate);
            for row in rows {
                line(row.kernel, row.dispatches, row.seconds, row.bytes, row.gigabytes_per_second);
            }
        }
    }
    text
}
