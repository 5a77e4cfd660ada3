//! Adapters, the device, and waiting for the device. All faults become [`Error`]s here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::channel::oneshot;

use super::pipelines::PipelineCache;
use crate::error::{EngineError, Error, Result};

/// Which adapters may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The best adapter there is, software included.
    Any,
    /// The best hardware adapter; never software.
    Hardware,
    /// The adapter of this index in [`list_adapters`], from 0: tells equal cards apart.
    Index(usize),
    /// The best adapter whose name contains this text, whatever the case of its letters.
    Named(String),
}

impl std::str::FromStr for AdapterChoice {
    type Err = std::convert::Infallible;

    /// A whole number is an index, and everything else is a part of a name.
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Named(text.into()), Self::Index))
    }
}

/// What a list of adapters says about one of them.
#[derive(Debug, Clone)]
pub struct AdapterSummary {
    /// The index that [`AdapterChoice::Index`] chooses it by.
    pub index: usize,
    /// The name that its driver gives it.
    pub name: String,
    /// The back end that reaches it: Vulkan, Metal or DX12.
    pub backend: String,
    /// The driver with its version.
    pub driver: String,
    /// Whether it is a discrete, integrated or virtual GPU, or software.
    pub kind: &'static str,
    /// Whether it is software that runs on the CPU.
    pub software: bool,
    /// The largest storage binding it allows, in bytes.
    pub max_binding: u64,
    /// The largest buffer it allows, in bytes.
    pub max_buffer: u64,
    /// Which error-free transforms passed the self-test, or why the adapter could not be opened.
    pub self_test: String,
}

/// The time after which waiting for a submission is reported.
const PATIENCE: Duration = Duration::from_secs(60);

/// A device and its queue.
#[derive(Debug, Clone)]
pub(crate) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    pub limits: wgpu::Limits,
    /// Where compiled pipelines come from, if they are kept.
    pub pipelines: Option<Arc<PipelineCache>>,
    lost: Arc<OnceLock<String>>,
}

impl Gpu {
    /// Opens the adapter of the choice, or the best one that it allows: discrete before integrated before
    /// virtual before software, `WGPU_ADAPTER_NAME` and `WGPU_BACKEND` honoured.
    pub(crate) fn open(choice: &AdapterChoice) -> Result<Self> {
        let all = adapters();
        let wanted = std::env::var("WGPU_ADAPTER_NAME").ok().filter(|_| is_by_environment(choice));
        let has_name = |adapter: &wgpu::Adapter, name: &str| {
            adapter.get_info().name.to_lowercase().contains(&name.to_lowercase())
        };
        let chosen = all.iter().enumerate().find(|(index, adapter)| match choice {
            AdapterChoice::Any => wanted.as_ref().is_none_or(|name| has_name(adapter, name)),
            AdapterChoice::Hardware => {
                !is_software(&adapter.get_info())
                    && wanted.as_ref().is_none_or(|name| has_name(adapter, name))
            }
            AdapterChoice::Index(wanted) => index == wanted,
            AdapterChoice::Named(name) => has_name(adapter, name),
        });
        if let Some((_, adapter)) = chosen {
            return Self::from_adapter(adapter);
        }
        let what = match (choice, wanted) {
            (AdapterChoice::Index(index), _) => format!("with the index {index}"),
            (AdapterChoice::Named(name), _) => format!("named `{name}`"),
            (_, Some(name)) => format!("named `{name}` as WGPU_ADAPTER_NAME says"),
            (AdapterChoice::Hardware, None) => "hardware".into(),
            (AdapterChoice::Any, None) => String::new(),
        };
        let backend =
            std::env::var("WGPU_BACKEND").map(|b| format!(", WGPU_BACKEND `{b}`")).unwrap_or_default();
        let looked_for = format!("looked for Vulkan, Metal or DX12{backend}");
        let listed: Vec<String> =
            all.iter().enumerate().map(|(index, a)| format!("{index}: {}", a.get_info().name)).collect();
        Err(if listed.is_empty() {
            EngineError::NoAdapter { looked_for }.into()
        } else {
            EngineError::OtherAdapters { what, found: listed.join(", ") }.into()
        })
    }

    fn from_adapter(adapter: &wgpu::Adapter) -> Result<Self> {
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("lgf.device"),
            required_features: required_features(adapter.features()),
            required_limits: required_limits(&adapter.limits()),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        }))
        .map_err(|e| EngineError::Device { what: "to open".into(), reason: e.to_string() })?;
        let gpu = Self::from_device(device, queue);
        let lost = gpu.lost.clone();
        // Only on a device of our own: an embedding application keeps its own handlers.
        gpu.device.set_device_lost_callback(move |reason, message| {
            let _ = lost.set(format!("{reason:?}: {message}"));
        });
        Ok(gpu)
    }

    /// Shares a host application's device.
    pub(crate) fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let (info, limits) = (device.adapter_info(), device.limits());
        Self { device, queue, info, limits, pipelines: None, lost: Arc::new(OnceLock::new()) }
    }

    /// Keeps compiled pipelines in `folder`, if that can be done.
    pub(crate) fn keep_pipelines(&mut self, folder: &Path) {
        self.pipelines = PipelineCache::open(&self.device, folder).map(Arc::new);
    }

    /// What the adapter is called, for records.
    pub(crate) fn name(&self) -> String {
        let driver = [self.info.driver.as_str(), self.info.driver_info.as_str()]
            .into_iter()
            .filter(|s| !s.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        format!(
            "{} ({:?}{}{driver})",
            self.info.name,
            self.info.backend,
            if driver.is_empty() { "" } else { ", " }
        )
    }

    pub(crate) fn is_software(&self) -> bool {
        is_software(&self.info)
    }

    /// An error if the device is known to be lost.
    pub(crate) fn alive(&self) -> Result<()> {
        match self.lost.get() {
            Some(reason) => Err(EngineError::Lost(reason.clone()).into()),
            None => Ok(()),
        }
    }

    /// Runs `f`, which creates or submits something, and turns what wgpu reports about it into an error.
    pub(crate) fn checked<T>(&self, what: &str, f: impl FnOnce() -> T) -> Result<T> {
        self.alive()?;
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let value = f();
        // The pops take effect at once; the innermost scope goes first.
        let reports = [
            pollster::block_on(internal.pop()),
            pollster::block_on(memory.pop()),
            pollster::block_on(validation.pop()),
        ];
        self.alive()?;
        match reports.into_iter().flatten().next() {
            None => Ok(value),
            Some(wgpu::Error::OutOfMemory { .. }) => {
                Err(EngineError::Memory { what: what.to_string(), needed: 0, available: None }.into())
            }
            Some(error) => {
                self.probe()?;
                Err(EngineError::Device { what: what.to_string(), reason: error.to_string() }.into())
            }
        }
    }

    /// An error if the device turns out to be lost. A host's device tells its own handler only, and complains
    /// about anything but that; but no submission to a lost device can be waited for.
    fn probe(&self) -> Result<()> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let submission = self.queue.submit([]);
        let _ = pollster::block_on(scope.pop());
        let poll = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(Duration::ZERO) };
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(poll))) {
            Ok(Ok(_) | Err(wgpu::PollError::Timeout)) => self.alive(),
            Ok(Err(error)) => Err(self.loses(format!("waiting failed: {error}"))),
            Err(_) => Err(self.loses("the driver reported a loss while waiting".into())),
        }
    }

    /// The loss of the device, by the words that are already known or else these; remembered.
    fn loses(&self, reason: String) -> Error {
        EngineError::Lost(self.lost.get_or_init(|| reason).clone()).into()
    }

    /// Waits for a submission.
    pub(crate) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        self.alive()?;
        loop {
            // wgpu 30 panics when the driver reports a loss while waiting; this boundary turns that into an
            // error.
            let poll =
                wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(PATIENCE) };
            match catch_unwind(AssertUnwindSafe(|| self.device.poll(poll))) {
                Ok(Ok(_)) => return self.alive(),
                // A slow device is not a lost one, so the wait goes on.
                Ok(Err(wgpu::PollError::Timeout)) => {
                    log::warn!("still waiting for {} after {PATIENCE:?}", self.info.name)
                }
                Ok(Err(error)) => return Err(self.loses(format!("waiting failed: {error}"))),
                Err(_) => return Err(self.loses("the driver reported a loss while waiting".into())),
            }
        }
    }

    /// Copies what `submission` leaves in the first bytes of each mappable buffer, once that is done: after
    /// waiting for it, or, if `host_polls`, whenever somebody has polled the device.
    pub(crate) async fn download<const N: usize>(
        &self,
        stagings: [(&wgpu::Buffer, u64); N],
        submission: wgpu::SubmissionIndex,
        host_polls: bool,
    ) -> Result<[Vec<u8>; N]> {
        // A buffer that was made on a lost device is invalid, of which only its use tells.
        let receivers = self.checked("a read-back", || {
            stagings.map(|(staging, bytes)| {
                let (sender, receiver) = oneshot::channel();
                staging.map_async(wgpu::MapMode::Read, 0..bytes, move |outcome| {
                    let _ = sender.send(outcome);
                });
                receiver
            })
        })?;
        if !host_polls {
            self.wait(submission)?;
        }
        for mut receiver in receivers {
            let outcome = if host_polls { receiver.await.ok() } else { receiver.try_recv().ok().flatten() };
            if !matches!(outcome, Some(Ok(()))) {
                return Err(self.loses("a read-back could not be mapped".into()));
            }
        }
        let mut out = [const { Vec::new() }; N];
        for (out, (staging, bytes)) in out.iter_mut().zip(stagings) {
            let view = staging
                .get_mapped_range(0..bytes)
                .map_err(|e| EngineError::Device { what: "a read-back".into(), reason: e.to_string() })?;
            *out = view.to_vec();
            drop(view);
            staging.unmap();
        }
        Ok(out)
    }
}

/// What the engine makes use of where there is any: timestamps tell how large submissions may be, and what a
/// profile shows; compiled pipelines can be kept.
pub(crate) fn required_features(adapter: wgpu::Features) -> wgpu::Features {
    adapter & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE)
}

/// What the engine needs: the defaults, and bindings and buffers as large as the adapter allows.
pub(crate) fn required_limits(adapter: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_storage_buffer_binding_size: adapter.max_storage_buffer_binding_size,
        max_buffer_size: adapter.max_buffer_size,
        ..wgpu::Limits::default()
    }
}

/// Whether the environment may narrow the choice: what is asked for by index or name stands.
fn is_by_environment(choice: &AdapterChoice) -> bool {
    matches!(choice, AdapterChoice::Any | AdapterChoice::Hardware)
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// The one instance of the process, with the back ends that it looks at. Whenever the last instance goes,
/// the Vulkan loader unloads the drivers; on an NVIDIA H200 no adapter was found any more after some forty
/// engines that had been opened and closed one after another.
static INSTANCE: OnceLock<(wgpu::Instance, wgpu::Backends)> = OnceLock::new();

/// All adapters of the back ends that `WGPU_BACKEND` allowed when a GPU was first looked for, best first.
pub(super) fn adapters() -> Vec<wgpu::Adapter> {
    let (instance, backends) = INSTANCE.get_or_init(|| {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        let backends = descriptor.backends;
        (wgpu::Instance::new(descriptor), backends)
    });
    let mut adapters = pollster::block_on(instance.enumerate_adapters(*backends));
    let needed = wgpu::Limits::default();
    adapters.retain(|a| needed.check_limits(&a.limits()));
    // The sort is stable: among equals the driver's order stands.
    adapters.sort_by_key(|a| match a.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    });
    adapters
}

/// Every usable adapter, in the order they would be chosen in, opened and tested.
pub fn list_adapters() -> Vec<AdapterSummary> {
    adapters()
        .into_iter()
        .enumerate()
        .map(|(index, adapter)| {
            let (info, limits) = (adapter.get_info(), adapter.limits());
            AdapterSummary {
                index,
                kind: match info.device_type {
                    wgpu::DeviceType::DiscreteGpu => "discrete GPU",
                    wgpu::DeviceType::IntegratedGpu => "integrated GPU",
                    wgpu::DeviceType::VirtualGpu => "virtual GPU",
                    wgpu::DeviceType::Cpu => "software",
                    wgpu::DeviceType::Other => "other",
                },
                software: is_software(&info),
                backend: format!("{:?}", info.backend),
                driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
                name: info.name,
                max_binding: limits.max_storage_buffer_binding_size,
                max_buffer: limits.max_buffer_size,
                self_test: match Gpu::from_adapter(&adapter).and_then(|gpu| super::self_test::open(&gpu)) {
                    Ok(recorder) => recorder.variant.eft.describe().into(),
                    Err(error) => error.to_string(),
                },
            }
        })
        .collect()
}
