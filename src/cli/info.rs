//! `lgf info`.

use std::fmt::Write;

use super::{Ending, print};
use crate::engine::{EngineChoice, gpu};
use crate::error::Result;

pub(super) fn run() -> Result<Ending> {
    let mut text = String::new();
    describe(&mut text)?;
    print(&text)?;
    Ok(Ending::Done)
}

fn describe(out: &mut String) -> Result<()> {
    line!(out, "lgf {}", env!("CARGO_PKG_VERSION"));
    line!(out, "CPU engine: f64, {} threads", rayon::current_num_threads());
    let adapters = gpu::list_adapters();
    if adapters.is_empty() {
        line!(
            out,
            "GPU adapters: none (looked for Vulkan, Metal and DX12, as WGPU_BACKEND and WGPU_ADAPTER_NAME allow); software: apt-get install mesa-vulkan-drivers libvulkan1"
        );
    } else {
        line!(out, "GPU adapters, best first:");
    }
    for a in &adapters {
        line!(out, "  {}", a.name);
        line!(out, "    kind             {}{}", a.kind, if a.software { " (runs on the CPU; `auto` never takes it)" } else { "" });
        line!(out, "    back end, driver {}, {}", a.backend, a.driver);
        line!(out, "    largest binding  {} MiB", a.max_binding >> 20);
        line!(out, "    largest buffer   {} MiB", a.max_buffer >> 20);
        line!(out, "    self-test        {}", a.self_test);
    }
    let (engine, reason) = EngineChoice::Auto.open()?;
    let info = engine.info();
    line!(out, "`--engine auto` takes: {} ({}; {}): {reason}", info.engine, info.adapter, info.precision);
    Ok(())
}
