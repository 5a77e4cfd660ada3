//! The command `lgf info`: shows the engines of this machine and the memory that runs take.

use std::fmt::Write;

use crate::cli::arguments::{Elements, parse_count, parse_elements};
use crate::cli::ending::{Ending, print};
use crate::domain::Domain;
use crate::engine::{Engine, EngineChoice, GpuEngine, NumberFormat, Samples, Setup, TableFormat, gpu};
use crate::error::Result;
use crate::flow::{Adam, Flow, GradientDescent, OptimalityCriteria, ProjectedGradient};
use crate::topology::{Compliance, Preset, Structure, memory};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Tell the memory that runs of this many unknowns take, e.g. 10000000 or 1e7, at least 1
    #[arg(long, value_name = "D", value_parser = |text: &str| parse_count(text, 1e12))]
    dimension: Option<u64>,
    /// Tell the memory that a structure of this many elements takes, COLUMNSxROWSxLAYERS, true gradient and
    /// CPU engine together
    #[arg(long, value_name = "CxRxL", value_parser = parse_elements)]
    size: Option<Elements>,
    /// ... with this many samples (or pairs) in the history, 1 to 256
    #[arg(long, value_name = "K", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=256))]
    history: u64,
    /// ... and at most this many directions in a learned flow's basis, at least 1 [default: as many as there
    /// are samples]
    #[arg(long, value_name = "R", requires = "dimension")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=256))]
    rank: Option<u64>,
}

pub(super) fn run(args: &Args) -> Result<Ending> {
    let mut text = String::new();
    describe(&mut text)?;
    if let Some(dimension) = args.dimension {
        gpu_memory(&mut text, dimension, args.history as usize, args.rank.map(|rank| rank as usize));
    }
    if let Some(Elements(elements)) = &args.size {
        structure_memory(&mut text, elements)?;
    }
    print(&text)?;
    Ok(Ending::Done)
}

fn describe(out: &mut String) -> Result<()> {
    line!(out, "lgf {}", env!("CARGO_PKG_VERSION"));
    line!(out, "CPU engine: f64 (f32 by --engine cpu-f32), {} threads", rayon::current_num_threads());
    let adapters = gpu::list_adapters();
    if adapters.is_empty() {
        line!(
            out,
            "GPU adapters: none (looked for Vulkan, Metal and DX12, as WGPU_BACKEND allows); software: \
             apt-get install mesa-vulkan-drivers libvulkan1"
        );
    } else {
        line!(out, "GPU adapters, best first (choose with --adapter INDEX or a part of the name):");
    }
    for a in &adapters {
        line!(out, "  {}: {}", a.index, a.name);
        line!(
            out,
            "    kind             {}{}",
            a.kind,
            if a.software { " (runs on the CPU; `auto` never takes it)" } else { "" }
        );
        line!(out, "    back end, driver {}, {}", a.backend, a.driver);
        line!(out, "    largest binding  {} MiB", a.max_binding >> 20);
        line!(out, "    largest buffer   {} MiB", a.max_buffer >> 20);
        line!(out, "    self-test        {}", a.self_test);
    }
    let engine = EngineChoice::Auto.open()?;
    let reason = engine.reason();
    let info = engine.info();
    line!(
        out,
        "`--engine auto` takes: {} ({}; {}): {reason}",
        info.kind.name(),
        info.adapter,
        info.precision
    );
    if let Some(least) = engine.least_unknowns() {
        line!(
            out,
            "  for runs of {least} unknowns and more; smaller ones are faster on the CPU engine (f64)"
        );
    }
    Ok(())
}

/// The memory that `lgf topology` takes for a mesh in space, with either number format of the CPU engine.
fn structure_memory(out: &mut String, elements: &[u32]) -> Result<()> {
    let structure = Structure::preset(Preset::Cantilever, elements)?;
    let Some(bytes) = Compliance::bytes(&structure)? else {
        line!(out, "in the plane, memory depends on the factorisation: some 100 log2(d) bytes per element");
        return Ok(());
    };
    let d = structure.elements();
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    line!(out, "{d} elements with one load case: the true gradient takes {:.2} GiB", gib(bytes));
    for (engine, format) in [("cpu", NumberFormat::F64), ("cpu-f32", NumberFormat::F32)] {
        let Some(all) = structure.memory(format)? else { continue };
        line!(
            out,
            "  with --engine {engine:7} {:8.2} GiB in all, {:.0} bytes per element",
            gib(all),
            all as f64 / d as f64
        );
    }
    line!(out, "  available now         {:8.2} GiB", gib(memory::available()));
    if let Some(bytes) = Compliance::device_bytes(&structure)? {
        line!(
            out,
            "  on a GPU the true gradient takes {:.2} GiB ({:.0} bytes per element), with bindings of up to \
             {:.2} GiB; `--engine gpu` takes its own besides: `lgf info --dimension {d}`",
            gib(bytes.all),
            bytes.all as f64 / d as f64,
            gib(bytes.largest_binding)
        );
    }
    Ok(())
}

/// The memory that runs of the usual kinds keep resident, from one unknown's share.
fn gpu_memory(out: &mut String, dimension: u64, history: usize, rank: Option<usize>) {
    let (one, start) = (Domain::uniform_with_volume(0.0, 1.0, vec![1.0], 1.0), [0.5]);
    let unbounded = Domain::Unbounded;
    let kinds = [
        (
            "learned potential, bounds and volume",
            Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 }),
            &one,
            Samples::Pairs,
        ),
        ("learned OC flow", Flow::OptimalityCriteria(OptimalityCriteria::default()), &one, Samples::Points),
        ("learned ADAM flow", Flow::Adam(Adam::new(0.1)), &unbounded, Samples::Points),
        (
            "learned gradient descent",
            Flow::GradientDescent(GradientDescent { rate: 0.1 }),
            &unbounded,
            Samples::Points,
        ),
    ];
    let formats = [TableFormat::State, TableFormat::F16];
    line!(out, "GPU memory, GiB, for {dimension} unknowns and a history of {history}:");
    line!(out, "  {:38} {:>10} {:>14}", "", "basis f32", "--tables f16");
    for (name, flow, domain, samples) in kinds {
        let directions = rank.filter(|_| samples == Samples::Points);
        let setup = Setup { flow, domain, start: &start, capacity: history, samples, directions };
        let [single, halves] =
            formats.map(|tables| (GpuEngine::memory(&setup, tables) * dimension) as f64 / f64::from(1 << 30));
        line!(out, "  {name:38} {single:10.2} {halves:14.2}");
    }
    line!(
        out,
        "(and at most 64 MiB for partial sums; a smaller --history takes less, and so does a smaller --rank \
         of a learned flow; bounds of its own for every unknown take 8 bytes per unknown more, with OC 12)"
    );
}
