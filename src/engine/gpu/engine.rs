//! The engine on a GPU: how it is opened, shared with a host application, and measured.

use std::path::{Path, PathBuf};

use super::device::{self, AdapterChoice, Gpu};
use super::kernels::Eft;
use super::recording::Recorder;
use super::regression::RegressionBuffers;
use super::run::{self, Recording, Run, not_started};
use super::self_test;
use super::timing::{Clock, KernelTime};
#[cfg(doc)]
use crate::engine::interface::Engine;
use crate::engine::interface::{Resident, Setup, TableFormat};
use crate::engine::protocol::Protocol;
use crate::error::{EngineError, Error, Result};

/// The largest binding that is used, in bytes: kernels count words in u32, and some back ends allow no more.
const MAX_BINDING: u64 = (1 << 31) - 256;
/// Any hardware passes over a table of fewer bytes than this in far less than 50 ms.
const LARGE_TABLE: u64 = 64 << 20;
/// How a GPU engine is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuOptions {
    /// Largest storage binding to use, bytes; `None`: what the adapter allows. Smaller values make more
    /// segments, with the same results down to segments of one slab (at least 1024 unknowns).
    pub max_binding: Option<u64>,
    /// The number format that the basis is kept in.
    pub tables: TableFormat,
    /// A folder of the user's own to keep compiled pipelines in, where the device has `PIPELINE_CACHE`
    /// (Vulkan): the next engine on the same device and driver reads them instead of compiling. It is read
    /// when the engine is opened and written when it is dropped; what goes wrong with it is logged, no error.
    /// `None`: they are not kept, unless the driver does so by itself.
    pub pipeline_cache: Option<PathBuf>,
}

/// Consecutive unknowns of the iterate on the device; see [`GpuEngine::design`].
#[derive(Debug, Clone, Copy)]
pub struct DesignSegment<'a> {
    /// Their f32 values, tightly packed from the beginning.
    pub buffer: &'a wgpu::Buffer,
    /// The number of its first unknown.
    pub start: usize,
    /// The number of its unknowns.
    pub len: usize,
}

/// The engine on a GPU; see the [module](super).
#[derive(Debug)]
pub struct GpuEngine {
    pub(super) recorder: Recorder,
    pub(super) max_binding: u64,
    /// For a history of this size, so many unknowns per dispatch: see [`Run::unknowns_per_dispatch`].
    per_dispatch: Option<(usize, usize)>,
    /// For regressions that belong to no fit: kept, so that a selection at every refit allocates nothing.
    pub(super) batch: RegressionBuffers,
    pub(super) protocol: Protocol,
    pub(super) run: Option<Run>,
}

impl GpuEngine {
    /// Opens the best adapter that `choice` allows.
    ///
    /// # Errors
    /// [`EngineError::NoAdapter`] and [`EngineError::Device`].
    pub fn open(choice: AdapterChoice) -> Result<Self> {
        Self::open_with(choice, GpuOptions::default())
    }

    /// Opens the best adapter that `choice` allows, with options.
    ///
    /// # Errors
    /// [`EngineError::NoAdapter`] and [`EngineError::Device`].
    pub fn open_with(choice: AdapterChoice, options: GpuOptions) -> Result<Self> {
        Self::new(Gpu::open(&choice)?, options)
    }

    /// Shares a host application's device (both are handles, cheap to clone), so that the host can draw the
    /// [`design`](Self::design) where it is.
    ///
    /// Open the device with [`required_limits`](Self::required_limits) and
    /// [`required_features`](Self::required_features) besides what the host itself needs, with this crate's
    /// [`wgpu`]. No handlers are installed on it, nothing is destroyed, and host and engine may submit to the
    /// queue in turns; errors of the engine's own calls are caught in error scopes and returned. Should the
    /// device be lost, the next call that waits for it returns [`EngineError::Lost`]. With `TIMESTAMP_QUERY`
    /// the size of submissions adapts to the device's speed, and a [`profile`](Self::profile) has the
    /// device's own times.
    ///
    /// # Errors
    /// [`EngineError::Device`] when the limits are too low, with the ones that are; device errors.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue, options: GpuOptions) -> Result<Self> {
        let mut missing = Vec::new();
        wgpu::Limits::default().check_limits_with_fail_fn(&device.limits(), false, |name, needed, found| {
            missing.push(format!("{name} is {found} of {needed}"))
        });
        if !missing.is_empty() {
            return Err(EngineError::Device {
                what: "the shared device".into(),
                reason: format!("its limits are too low: {}", missing.join(", ")),
            }
            .into());
        }
        Self::new(Gpu::from_device(device, queue), options)
    }

    /// The file that compiled pipelines are kept in, or `None` where they are not kept.
    pub fn pipeline_cache(&self) -> Option<&Path> {
        self.recorder.gpu.pipelines.as_ref().map(|cache| cache.file())
    }

    /// The device: of this engine's own opening, or the one that is shared.
    pub fn device(&self) -> &wgpu::Device {
        &self.recorder.gpu.device
    }

    /// The queue that the engine submits to.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.recorder.gpu.queue
    }

    /// The iterate where it is, in order and without gaps: x as f32, tightly packed, unknown `start + i` at
    /// byte 4 i of its segment's buffer. Nothing before a run.
    ///
    /// The buffers can be bound as storage and copied from (`STORAGE | COPY_SRC | COPY_DST`); they may be
    /// longer than their segment, by less than 16 bytes. A run keeps them until the next
    /// [`start`](Engine::start), a clone of a handle keeps them beyond. There are several where one binding
    /// cannot hold the *history* of all unknowns: [`GpuOptions::max_binding`] over 4 K + 4 (potential: 8 K +
    /// 4) bytes is a segment's length.
    ///
    /// The contents are the iterate as of the latest [`flush`](Self::flush) or read, for whatever is
    /// submitted to the [`queue`](Self::queue) afterwards. Between two pieces of a
    /// [`Session`](crate::Session) that is the trusted iterate. The host must not write to them.
    pub fn design(&self) -> impl Iterator<Item = DesignSegment<'_>> {
        let segments = self.run.as_ref().map_or(&[][..], |run| &run.segments);
        segments.iter().map(|s| DesignSegment { buffer: &s.iterate.raw, start: s.start, len: s.len })
    }

    /// Submits what has been asked for and not been submitted yet; waits for nothing. One submission, or none
    /// if there is nothing.
    ///
    /// # Errors
    /// Device errors.
    pub fn flush(&mut self) -> Result<()> {
        self.recorder.submit().map(|_| ())
    }

    /// The features a host application should open its device with, given its adapter's. None is needed:
    /// those the engine makes use of where there are any.
    pub fn required_features(adapter: wgpu::Features) -> wgpu::Features {
        device::required_features(adapter)
    }

    /// The limits a host application should open its device with, given its adapter's.
    pub fn required_limits(adapter: &wgpu::Limits) -> wgpu::Limits {
        device::required_limits(adapter)
    }

    /// Bytes of device memory that a run takes, but for the inner products' partial sums (at most 64 MiB or
    /// so) and what is of the samples' number alone: f32, and once x for reading it.
    ///
    /// wgpu cannot tell how much memory a device has free, and no single buffer is larger than the device
    /// allows, so nothing can be refused beforehand: a run that does not fit ends its
    /// [`start`](Engine::start) with [`EngineError::Memory`], before the first true evaluation, with this
    /// number and what the driver had granted.
    pub fn memory(setup: &Setup<'_>, tables: TableFormat) -> u64 {
        let Resident { vectors, history, basis } = setup.resident();
        (4 * (vectors + history + 1) as u64 + tables.bytes(4) * basis as u64) * setup.start.len() as u64
    }

    /// Where the times of a profile come from.
    pub fn clock(&self) -> Clock {
        if self.recorder.has_timestamps() { Clock::Timestamps } else { Clock::Wall }
    }

    /// Begins or ends measuring how long every kernel takes. The results are the same to the bit; the run is
    /// slower, because every dispatch gets a pass of its own and every submission is waited for.
    ///
    /// # Errors
    /// Device errors.
    pub fn profile(&mut self, on: bool) -> Result<()> {
        self.recorder.profile(on)
    }

    /// What was measured since the last call, kernel by kernel in the order of their first launch; nothing
    /// without [`profile`](Self::profile). Copies between buffers are not kernels and are left out.
    ///
    /// # Errors
    /// Device errors.
    pub fn take_profile(&mut self) -> Result<Vec<KernelTime>> {
        self.recorder.take_profile()
    }

    /// Waits until the device has done everything asked for: for measuring by the host's clock. Reads nothing
    /// back.
    ///
    /// # Errors
    /// Device errors.
    pub fn finish(&mut self) -> Result<()> {
        self.recorder.finish()
    }

    /// The bandwidth that others are measured by: a kernel that copies `bytes` (at most the largest binding)
    /// from one buffer to another, `repeats` times after one for warming up. Gives the bytes copied, so that
    /// twice as many were moved, and the seconds of each.
    ///
    /// # Errors
    /// Device and memory errors.
    pub fn copy_times(&mut self, bytes: u64, repeats: usize) -> Result<(u64, Vec<f64>)> {
        let vectors = (bytes.min(self.max_binding) / 16).max(1);
        // As in a run: as many slabs, each a workgroup.
        let slab = run::slab_length(vectors as usize, 0) as u32;
        Ok((16 * vectors, self.recorder.copy_times(vectors, slab, repeats)?))
    }

    /// Whether sums over d keep their error terms on this device.
    pub fn has_double_word_sums(&self) -> bool {
        self.recorder.variant.eft != Eft::Plain
    }

    /// The run, with what its work is recorded with.
    pub(super) fn recording(&mut self) -> Result<Recording<'_>> {
        let run = self.run.as_mut().ok_or_else(not_started)?;
        Ok(Recording { run, recorder: &mut self.recorder })
    }

    /// Allocates for a run and puts x at its start.
    pub(super) fn begin(&mut self, setup: Setup<'_>) -> Result<()> {
        (self.run, self.protocol) = (None, Protocol::default());
        let longest = self.longest_segment(&setup)?;
        self.recorder.reset();
        let run =
            Run::new(&mut self.recorder, setup, self.max_binding, longest).map_err(|error| match error {
                // Which buffer the driver refused says nothing; what would fit does.
                Error::Engine(EngineError::Memory { available: None, .. }) => EngineError::Memory {
                    what: format!(
                        "a run of {} unknowns with a history of {}",
                        setup.start.len(),
                        setup.capacity
                    ),
                    needed: Self::memory(&setup, self.recorder.variant.tables),
                    available: Some(self.recorder.granted()),
                }
                .into(),
                other => other,
            })?;
        (self.run, self.protocol) = (Some(run), Protocol::started(&setup));
        Ok(())
    }

    /// How many unknowns a segment may have if dispatches are to stay below the watchdogs, measured where it
    /// can matter: large runs on hardware with timestamps.
    pub(super) fn longest_segment(&mut self, setup: &Setup<'_>) -> Result<Option<usize>> {
        let table = 4 * (setup.start.len() * setup.capacity) as u64;
        if table < LARGE_TABLE || !self.recorder.has_timestamps() || self.recorder.gpu.is_software() {
            return Ok(None);
        }
        if let Some((capacity, unknowns)) = self.per_dispatch
            && capacity == setup.capacity
        {
            return Ok(Some(unknowns));
        }
        let unknowns = Run::unknowns_per_dispatch(&mut self.recorder, setup.capacity)?;
        self.per_dispatch = unknowns.map(|unknowns| (setup.capacity, unknowns));
        Ok(unknowns)
    }

    fn new(mut gpu: Gpu, options: GpuOptions) -> Result<Self> {
        if let Some(folder) = &options.pipeline_cache {
            gpu.keep_pipelines(folder);
        }
        let mut recorder = self_test::open(&gpu)?;
        recorder.variant.tables = options.tables;
        let batch = RegressionBuffers::new(&mut recorder)?;
        let limit =
            gpu.limits.max_storage_buffer_binding_size.min(gpu.limits.max_buffer_size).min(MAX_BINDING);
        let max_binding = options.max_binding.map_or(limit, |b| b.min(limit));
        Ok(Self {
            recorder,
            max_binding,
            per_dispatch: None,
            batch,
            protocol: Protocol::default(),
            run: None,
        })
    }
}
