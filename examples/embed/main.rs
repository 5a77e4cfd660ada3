//! One device for two: an application draws a structure while it is optimized, straight from the optimizer's
//! memory.
//!
//! `cargo run --release --example embed --features window` opens a window,
//! `cargo run --release --example embed -- --headless frames` writes a picture of each piece of the run. With
//! `--solid` the structure is one in three dimensions, and the same device solves its finite elements too.

mod view;
#[cfg(feature = "window")]
mod window;

use std::path::Path;
use std::time::Duration;

use lgf::engine::GpuEngine;
use lgf::engine::gpu::{GpuOptions, SolidDevice};
use lgf::method::Potential;
use lgf::topology::{Compliance, FilterKind, Preset, Structure};
use lgf::{Lgf, Session, Stopping, wgpu};

type Run = Session<Compliance, GpuEngine, ()>;

/// Opens the host's device with what the engine needs.
fn open(
    instance: &wgpu::Instance,
    surface: Option<&wgpu::Surface<'_>>,
) -> Result<(wgpu::Adapter, wgpu::Device, wgpu::Queue), Box<dyn std::error::Error>> {
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        compatible_surface: surface,
        ..Default::default()
    }))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        label: Some("host"),
        required_features: GpuEngine::required_features(adapter.features()),
        required_limits: GpuEngine::required_limits(&adapter.limits()),
        ..Default::default()
    }))?;
    Ok((adapter, device, queue))
}

/// Sets up a beam, or a cantilever in space, on an engine that shares the host's device.
fn begin(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    elements: &[u32],
) -> Result<Run, Box<dyn std::error::Error>> {
    let engine = GpuEngine::from_device(device.clone(), queue.clone(), GpuOptions::default())?;
    let problem = match *elements {
        [columns, rows] => {
            Compliance::new(Structure { radius: 2.4, ..Structure::mbb(columns, rows, FilterKind::Density) })?
        }
        _ => {
            let cantilever = Structure::preset(Preset::Cantilever, elements)?;
            let structure = Structure { volume_fraction: 0.2, radius: 1.5, ..cantilever };
            // The finite elements are solved on the same device.
            Compliance::on_device(structure, &SolidDevice::of(&engine)?)?
        }
    };
    let stopping = Stopping::default().evaluations(200).settled(10, 2e-4);
    let start = problem.uniform_start();
    Ok(Lgf::new(Potential::default())?.stopping(stopping)?.on(engine).session(problem, &start)?)
}

/// Writes a picture of each piece.
fn headless(folder: &Path, elements: &[u32]) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let (_, device, queue) = open(&instance, None)?;
    let mut run = begin(&device, &queue, elements)?;
    let mut view = view::View::new(device, queue, wgpu::TextureFormat::Rgba8Unorm, run.objective());
    for frame in 0.. {
        let report = run.step_for(Duration::ZERO)?;
        let (width, grey) = view.picture(run.engine_mut(), 10)?;
        image::GrayImage::from_raw(width, grey.len() as u32 / width, grey)
            .ok_or("a picture of the wrong size")?
            .save(folder.join(format!("frame-{frame:03}.png")))?;
        if let Some(report) = report {
            println!(
                "{} frames; compliance {:.4} after {} true evaluations: {}",
                frame + 1,
                report.objective,
                report.true_evaluations,
                report.stop
            );
            break;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--headless", folder] => headless(Path::new(folder), &[60, 20]),
        ["--solid", "--headless", folder] => headless(Path::new(folder), &[16, 8, 8]),
        #[cfg(feature = "window")]
        [] => window::show(&[150, 50], 8),
        #[cfg(feature = "window")]
        ["--solid"] => window::show(&[64, 32, 32], 10),
        #[cfg(not(feature = "window"))]
        [] | ["--solid"] => {
            Err("without a window: --headless DIR; the window takes --features window".into())
        }
        _ => Err("expected nothing, --headless DIR or --solid before them".into()),
    }
}
