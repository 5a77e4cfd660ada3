//! A recorder that gathers dispatches and copies until they are submitted together.

use std::time::Instant;

use super::buffers::{Allocator, Buffer};
use super::counts;
use super::device::Gpu;
use super::kernels::{Bindings, Eft, KERNELS, Params, Variant, WordsCopy, bindings};
use super::pipelines::Pipelines;
use super::timing::{KernelTime, Pace, Profiler};
use crate::engine::interface::{TableFormat, Traffic};
use crate::error::{Error, Result};

enum Operation {
    Dispatch {
        /// Its place in [`KERNELS`].
        kernel: usize,
        /// Bytes of the buffers it binds.
        touched: u64,
        /// The bytes that it must move.
        least: u64,
        group: wgpu::BindGroup,
        offset: u32,
        groups: [u32; 3],
    },
    Copy {
        from: wgpu::Buffer,
        from_offset: u64,
        to: wgpu::Buffer,
        to_offset: u64,
        bytes: u64,
    },
    Clear {
        buffer: wgpu::Buffer,
    },
}

impl Operation {
    fn kernel(&self) -> Option<usize> {
        match self {
            Self::Dispatch { kernel, .. } => Some(*kernel),
            Self::Copy { .. } | Self::Clear { .. } => None,
        }
    }
}

/// Room for parameter blocks in one submission.
const PARAMS_BYTES: u64 = 64 << 10;

/// Gathers work and submits it.
pub(crate) struct Recorder {
    pub gpu: Gpu,
    /// What its kernels are built for.
    pub variant: Variant,
    kernels: Pipelines,
    allocator: Allocator,
    params: wgpu::Buffer,
    /// Distance between parameter blocks.
    step: usize,
    blocks: Vec<u8>,
    operations: Vec<Operation>,
    /// Bytes of the buffers that the recorded dispatches bind.
    touched: u64,
    /// How many dispatches are recorded.
    dispatches: usize,
    /// Whether somebody else polls the device while a read-back is waited for.
    pub host_polls: bool,
    /// What such a read-back maps: still there if it has been given up.
    mapping: Vec<wgpu::Buffer>,
    pace: Pace,
    profiler: Option<Profiler>,
    pub traffic: Traffic,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("gpu", &self.gpu.info.name)
            .field("operations", &self.operations.len())
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// A recorder whose kernels use the given error-free transforms.
    pub(crate) fn new(gpu: Gpu, eft: Eft) -> Result<Self> {
        let step = gpu.limits.min_uniform_buffer_offset_alignment.max(64) as usize;
        let params = gpu.checked("the parameter buffer", || {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("lgf.params"),
                size: PARAMS_BYTES,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        Ok(Self {
            pace: Pace::new(&gpu)?,
            kernels: Pipelines::new(&gpu)?,
            allocator: Allocator::default(),
            gpu,
            variant: Variant { eft, tables: TableFormat::State },
            params,
            step,
            blocks: Vec::new(),
            operations: Vec::new(),
            touched: 0,
            dispatches: 0,
            host_polls: false,
            mapping: Vec::new(),
            profiler: None,
            traffic: Traffic::default(),
        })
    }

    /// A storage buffer of at least 16 bytes, zeroed.
    pub(crate) fn buffer(&mut self, name: &str, bytes: u64) -> Result<Buffer> {
        self.allocator.storage(&self.gpu, name, bytes)
    }

    /// A buffer of constants, with what it holds.
    pub(crate) fn constants<T: bytemuck::NoUninit>(&mut self, name: &str, data: &[T]) -> Result<Buffer> {
        let buffer = self.allocator.constants(&self.gpu, name, size_of_val(data) as u64)?;
        self.upload(&buffer, data)?;
        Ok(buffer)
    }

    /// A buffer the host can read.
    pub(crate) fn staging(&mut self, bytes: u64) -> Result<Buffer> {
        self.allocator.staging(&self.gpu, bytes)
    }

    /// Makes a buffer the host can read at least `bytes` long.
    ///
    /// Where a read-back from it has been given up, it is another one: wgpu ends a buffer's second mapping
    /// with the submission that the first one, unmapped in between, was waiting for, before what the second
    /// is to read is there.
    pub(crate) fn ensure_staging(&mut self, buffer: &mut Buffer, bytes: u64) -> Result<()> {
        if buffer.bytes < bytes || self.mapping.contains(&buffer.raw) {
            *buffer = self.staging(bytes)?;
        }
        Ok(())
    }

    /// Makes `buffer` at least `bytes` long; its contents may be lost.
    pub(crate) fn ensure(&mut self, buffer: &mut Buffer, name: &str, bytes: u64) -> Result<()> {
        if buffer.bytes < bytes {
            let grown = self.buffer(name, bytes)?;
            self.release(buffer);
            *buffer = grown;
        }
        Ok(())
    }

    /// Forgets the bind groups of a buffer that goes: they would keep it alive.
    pub(crate) fn release(&mut self, buffer: &Buffer) {
        self.kernels.release(buffer);
    }

    /// Writes `data` to the start of `buffer`, before everything recorded from now on and after everything
    /// recorded before.
    pub(crate) fn upload<T: bytemuck::NoUninit>(&mut self, buffer: &Buffer, data: &[T]) -> Result<()> {
        self.upload_at(buffer, 0, data)
    }

    /// Like [`upload`](Self::upload), from byte `offset` on.
    pub(crate) fn upload_at<T: bytemuck::NoUninit>(
        &mut self,
        buffer: &Buffer,
        offset: u64,
        data: &[T],
    ) -> Result<()> {
        self.submit()?;
        self.gpu.checked("an upload", || {
            self.gpu.queue.write_buffer(&buffer.raw, offset, bytemuck::cast_slice(data))
        })
    }

    /// Records one dispatch of the kernel that `P` stands for.
    pub(crate) fn dispatch<P: Params>(
        &mut self,
        params: P,
        buffers: &P::Buffers<'_>,
        groups: [u32; 3],
    ) -> Result<()> {
        let buffers = &buffers.in_order()[..];
        if groups.contains(&0) {
            return Ok(());
        }
        let touched: u64 = buffers
            .iter()
            .enumerate()
            .filter(|(i, b)| buffers[..*i].iter().all(|a| a.id != b.id))
            .map(|(_, b)| b.bytes)
            .sum();
        let is_full = self.profiler.as_ref().is_some_and(|p| self.dispatches >= p.max_dispatches());
        if self.blocks.len() + self.step > PARAMS_BYTES as usize
            || self.touched + touched > self.pace.budget()
            || is_full
        {
            self.submit()?;
        }
        let is_waited_for = self.profiler.as_ref().is_some_and(|p| p.timestamps().is_none());
        if is_waited_for {
            // What came before is not this dispatch's time.
            self.finish()?;
        }
        self.touched += touched;
        self.dispatches += 1;
        let group = self.kernels.bind(&self.gpu, P::KERNEL, &self.params, buffers)?;
        let offset = self.blocks.len();
        self.blocks.extend_from_slice(bytemuck::bytes_of(&params));
        self.blocks.resize(offset + self.step, 0);
        self.operations.push(Operation::Dispatch {
            kernel: P::KERNEL,
            touched,
            least: params.bytes().unwrap_or_default(),
            group,
            offset: offset as u32,
            groups,
        });
        self.traffic.dispatches += 1;
        if is_waited_for {
            self.submit()?;
        }
        Ok(())
    }

    /// Bytes allocated since the last reset.
    pub(crate) fn granted(&self) -> u64 {
        self.allocator.granted
    }

    /// Buffers allocated so far.
    #[cfg(test)]
    pub(crate) fn buffers(&self) -> u64 {
        self.allocator.made
    }

    /// Records a copy of bytes between buffers.
    pub(crate) fn copy(&mut self, from: &Buffer, from_offset: u64, to: &Buffer, to_offset: u64, bytes: u64) {
        self.operations.push(Operation::Copy {
            from: from.raw.clone(),
            from_offset,
            to: to.raw.clone(),
            to_offset,
            bytes,
        });
    }

    /// Records zeroing a buffer.
    pub(crate) fn clear(&mut self, buffer: &Buffer) {
        self.operations.push(Operation::Clear { buffer: buffer.raw.clone() });
    }

    /// Forgets the bind groups, whose buffers a new run replaces, and what is recorded.
    pub(crate) fn reset(&mut self) {
        self.kernels.release_all();
        self.operations.clear();
        self.blocks.clear();
        self.allocator.granted = 0;
        (self.touched, self.dispatches) = (0, 0);
        self.pace.reset();
        self.traffic = Traffic::default();
    }

    /// Submits what is recorded: consecutive dispatches in one pass.
    pub(crate) fn submit(&mut self) -> Result<Option<wgpu::SubmissionIndex>> {
        self.submit_and(false)
    }

    /// Submits what is recorded; `report`: and makes the pending submissions' times readable.
    fn submit_and(&mut self, report: bool) -> Result<Option<wgpu::SubmissionIndex>> {
        if self.operations.is_empty() {
            return Ok(None);
        }
        let needed = self.operations.iter().filter_map(Operation::kernel);
        self.kernels.build(&self.gpu, self.variant, needed)?;
        for given_up in self.mapping.drain(..) {
            given_up.unmap();
        }
        let operations = std::mem::take(&mut self.operations);
        let blocks = std::mem::take(&mut self.blocks);
        let (touched, dispatches) = (std::mem::take(&mut self.touched), std::mem::take(&mut self.dispatches));
        let profiled = self.profiler.as_ref().and_then(Profiler::timestamps).filter(|_| dispatches > 0);
        // Passes that a profile takes apart tell nothing about the pace of others.
        let pair = if dispatches > 0 && self.profiler.is_none() { self.pace.enter(touched) } else { None };
        let first = operations.iter().position(|o| matches!(o, Operation::Dispatch { .. }));
        let last = operations.iter().rposition(|o| matches!(o, Operation::Dispatch { .. }));
        let begun = Instant::now();
        let submission = self.gpu.checked("a submission", || -> Result<wgpu::SubmissionIndex> {
            self.gpu.queue.write_buffer(&self.params, 0, &blocks);
            let mut encoder = self
                .gpu
                .device
                .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("lgf.encoder") });
            let mut at = 0;
            let mut number = 0;
            while at < operations.len() {
                match &operations[at] {
                    Operation::Copy { from, from_offset, to, to_offset, bytes } => {
                        encoder.copy_buffer_to_buffer(from, *from_offset, to, *to_offset, *bytes);
                        at += 1;
                    }
                    Operation::Clear { buffer } => {
                        encoder.clear_buffer(buffer, 0, None);
                        at += 1;
                    }
                    Operation::Dispatch { .. } => {
                        let length = operations[at..]
                            .iter()
                            .take_while(|o| matches!(o, Operation::Dispatch { .. }))
                            .count();
                        let end = if profiled.is_some() { at + 1 } else { at + length };
                        let timestamp_writes = match (profiled, &self.pace.timestamps, pair) {
                            (Some(timestamps), ..) => timestamps.about(number, true, true),
                            (None, Some(timestamps), Some(pair)) => {
                                timestamps.about(pair, Some(at) == first, last < Some(end))
                            }
                            _ => None,
                        };
                        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                            label: Some("lgf.pass"),
                            timestamp_writes,
                        });
                        for operation in &operations[at..end] {
                            let Operation::Dispatch { kernel, group, offset, groups: [x, y, z], .. } =
                                operation
                            else {
                                continue;
                            };
                            self.kernels.set(&mut pass, *kernel, group, *offset)?;
                            pass.dispatch_workgroups(*x, *y, *z);
                            number += 1;
                        }
                        at = end;
                    }
                }
            }
            match (profiled, &self.pace.timestamps) {
                (Some(timestamps), _) => timestamps.resolve(&mut encoder, dispatches),
                (None, Some(timestamps)) if report && self.pace.pending() > 0 => {
                    timestamps.resolve(&mut encoder, self.pace.pending())
                }
                _ => {}
            }
            Ok(self.gpu.queue.submit([encoder.finish()]))
        })??;
        self.traffic.submits += 1;
        if let Some(profiler) = self.profiler.as_mut().filter(|_| dispatches > 0) {
            let seconds = match profiler.timestamps() {
                Some(timestamps) => {
                    let [ticks] = pollster::block_on(self.gpu.download(
                        [timestamps.staging(dispatches)],
                        submission.clone(),
                        false,
                    ))?;
                    timestamps.seconds(&ticks)
                }
                None => {
                    self.gpu.wait(submission.clone())?;
                    vec![begun.elapsed().as_secs_f64()]
                }
            };
            let dispatches = operations.iter().filter_map(|operation| match operation {
                Operation::Dispatch { kernel, touched, least, .. } => {
                    Some((KERNELS[*kernel].name, *touched, *least))
                }
                Operation::Copy { .. } | Operation::Clear { .. } => None,
            });
            profiler.learn(dispatches, &seconds);
        }
        Ok(Some(submission))
    }

    /// Submits, waits and returns the first `bytes` of `staging`, into which copies have been recorded: one
    /// read-back.
    pub(crate) fn read(&mut self, staging: &Buffer, bytes: u64) -> Result<Vec<u8>> {
        self.host_polls = false;
        pollster::block_on(self.read_async(staging, bytes))
    }

    /// The same, as a future that is ready at once unless [`host_polls`](Self::host_polls).
    pub(crate) async fn read_async(&mut self, staging: &Buffer, bytes: u64) -> Result<Vec<u8>> {
        // A profile's submissions do not resolve the pace's timestamps, and after a read-back that was given
        // up their buffer has to be left alone: see `ensure_staging`.
        let report = self.profiler.is_none() && self.mapping.is_empty();
        let Some(submission) = self.submit_and(report)? else {
            return Err(Error::internal("a read-back of which nothing was recorded"));
        };
        self.traffic.readbacks += 1;
        let ticks = self
            .pace
            .timestamps
            .as_ref()
            .filter(|_| report && self.pace.pending() > 0)
            .map(|t| t.staging(self.pace.pending()));
        if self.host_polls {
            self.mapping = [Some(&staging.raw), ticks.map(|(buffer, _)| buffer)]
                .into_iter()
                .flatten()
                .cloned()
                .collect();
        }
        let outcome = match ticks {
            // The times come with the data: no wait of their own.
            Some(ticks) => {
                self.gpu.download([(&staging.raw, bytes), ticks], submission, self.host_polls).await
            }
            None => self
                .gpu
                .download([(&staging.raw, bytes)], submission, self.host_polls)
                .await
                .map(|[data]| [data, Vec::new()]),
        };
        self.mapping.clear();
        let [data, ticks] = outcome?;
        if let Some(timestamps) = &self.pace.timestamps {
            let seconds = timestamps.seconds(&ticks);
            self.pace.learn(&seconds);
        }
        Ok(data)
    }

    /// Submits what is recorded and waits for everything submitted, uploads included.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.submit()?;
        let submission = self.gpu.checked("a submission", || self.gpu.queue.submit([]))?;
        self.gpu.wait(submission)
    }

    /// Begins or ends timing every dispatch.
    pub(crate) fn profile(&mut self, on: bool) -> Result<()> {
        self.submit()?;
        self.profiler = if on { Some(Profiler::new(&self.gpu)?) } else { None };
        Ok(())
    }

    /// Kernels' times since the last call, or since profiling began.
    pub(crate) fn take_profile(&mut self) -> Result<Vec<KernelTime>> {
        self.submit()?;
        Ok(self.profiler.as_mut().map_or_else(Vec::new, Profiler::take))
    }

    /// Seconds that the dispatches recorded by `record` take, each alone.
    pub(crate) fn timed(&mut self, record: impl FnOnce(&mut Self) -> Result<()>) -> Result<f64> {
        self.submit()?;
        let profiler = Profiler::new(&self.gpu)?;
        let outer = self.profiler.replace(profiler);
        let outcome = record(self).and_then(|()| self.take_profile());
        self.profiler = outer;
        Ok(outcome?.iter().map(|kernel| kernel.seconds).sum())
    }

    /// The seconds that a kernel takes to copy vectors of 16 bytes, `repeats` times after one for warming up,
    /// by workgroups that own `slab` of them.
    pub(crate) fn copy_times(&mut self, vectors: u64, slab: u32, repeats: usize) -> Result<Vec<f64>> {
        let (from, to) =
            (self.buffer("copy_source", 16 * vectors)?, self.buffer("copy_target", 16 * vectors)?);
        let params = WordsCopy { len: vectors as u32, slab };
        let groups = counts::each(vectors.div_ceil(u64::from(slab)) as usize);
        let seconds = (0..=repeats)
            .map(|_| {
                self.timed(|r| {
                    r.dispatch(params, &bindings::WordsCopy { source: &from, target_words: &to }, groups)
                })
            })
            .collect::<Result<Vec<f64>>>();
        self.release(&from);
        self.release(&to);
        Ok(seconds?.split_off(1))
    }

    pub(crate) fn has_timestamps(&self) -> bool {
        self.pace.timestamps.is_some()
    }
}
