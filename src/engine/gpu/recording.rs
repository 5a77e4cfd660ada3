//! Buffers, pipelines, and a recorder that gathers dispatches and copies until they are submitted together.

use std::collections::HashMap;
use std::time::Instant;

use rayon::prelude::*;

use super::device::Gpu;
use super::kernels::{Access, Eft, KERNELS, KernelSpec, Params, Variant};
use super::timing::{KernelTime, Pace, Profiler};
use crate::engine::interface::{TableFormat, Traffic};
use crate::error::{EngineError, Error, Result};

/// A buffer with an identity, so that bind groups can be reused.
#[derive(Debug)]
pub(crate) struct Buffer {
    id: u64,
    pub raw: wgpu::Buffer,
    pub bytes: u64,
}

enum Operation {
    Dispatch {
        /// Its place in [`KERNELS`].
        kernel: usize,
        /// Bytes of the buffers it binds.
        touched: u64,
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
    /// Made when first used, like the pipelines.
    layouts: Vec<Option<wgpu::BindGroupLayout>>,
    pipelines: Vec<Option<wgpu::ComputePipeline>>,
    /// The word the error-free transforms hide values behind.
    zero_layout: wgpu::BindGroupLayout,
    zero_group: wgpu::BindGroup,
    params: wgpu::Buffer,
    /// Distance between parameter blocks.
    step: usize,
    blocks: Vec<u8>,
    operations: Vec<Operation>,
    /// Bytes of the buffers that the recorded dispatches bind.
    touched: u64,
    /// Dispatches recorded.
    dispatches: usize,
    groups: HashMap<(usize, Vec<u64>), wgpu::BindGroup>,
    next_id: u64,
    /// Whether somebody else polls the device while a read-back is waited for.
    pub host_polls: bool,
    /// What such a read-back maps: still there if it has been given up.
    mapping: Vec<wgpu::Buffer>,
    /// Bytes allocated since the last reset.
    pub granted: u64,
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
        let (layouts, pipelines) = KERNELS.iter().map(|_| (None, None)).unzip();
        let step = gpu.limits.min_uniform_buffer_offset_alignment.max(64) as usize;
        let (zero_layout, zero_group) = gpu.checked("the zero word", || {
            let label = Some("lgf.eft_zero");
            // Buffers are born zeroed.
            let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label,
                size: 16,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            });
            let entries = [layout_entry(0, wgpu::BufferBindingType::Storage { read_only: true }, false)];
            let layout = gpu
                .device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
            let entries = [wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }];
            let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label,
                layout: &layout,
                entries: &entries,
            });
            (layout, group)
        })?;
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
            gpu,
            variant: Variant { eft, tables: TableFormat::State },
            layouts,
            pipelines,
            zero_layout,
            zero_group,
            params,
            step,
            blocks: Vec::new(),
            operations: Vec::new(),
            touched: 0,
            dispatches: 0,
            groups: HashMap::new(),
            next_id: 0,
            host_polls: false,
            mapping: Vec::new(),
            granted: 0,
            profiler: None,
            traffic: Traffic::default(),
        })
    }

    /// A storage buffer of at least 16 bytes, zeroed.
    pub(crate) fn buffer(&mut self, name: &str, bytes: u64) -> Result<Buffer> {
        self.allocate(
            name,
            bytes,
            wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        )
    }

    /// A buffer the host can read.
    pub(crate) fn staging(&mut self, bytes: u64) -> Result<Buffer> {
        self.allocate("staging", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    fn allocate(&mut self, name: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Buffer> {
        let bytes = bytes.max(16).next_multiple_of(16);
        let mut available = self.gpu.limits.max_buffer_size;
        if usage.contains(wgpu::BufferUsages::STORAGE) {
            available = available.min(self.gpu.limits.max_storage_buffer_binding_size);
        }
        if bytes > available {
            return Err(EngineError::Memory {
                what: format!("buffer `{name}`"),
                needed: bytes,
                available: Some(available),
            }
            .into());
        }
        let label = format!("lgf.{name}");
        let gpu = &self.gpu;
        let raw = gpu
            .checked(&format!("buffer `{name}`"), || {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(&label),
                    size: bytes,
                    usage,
                    mapped_at_creation: false,
                })
            })
            .map_err(|error| match error {
                Error::Engine(EngineError::Memory { what, available, .. }) => {
                    EngineError::Memory { what, needed: bytes, available }.into()
                }
                other => other,
            })?;
        self.next_id += 1;
        self.granted += bytes;
        Ok(Buffer { id: self.next_id, raw, bytes })
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
        self.groups.retain(|(_, ids), _| !ids.contains(&buffer.id));
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

    /// Records one dispatch. `buffers` are the kernel's storage bindings in order.
    pub(crate) fn dispatch<P: Params>(
        &mut self,
        params: P,
        buffers: &[&Buffer],
        groups: [u32; 3],
    ) -> Result<()> {
        let spec = &KERNELS[P::KERNEL];
        debug_assert_eq!(buffers.len(), spec.access.len(), "bindings of {}", spec.name);
        if groups.contains(&0) {
            return Ok(());
        }
        let touched: u64 = buffers
            .iter()
            .enumerate()
            .filter(|(i, b)| buffers[..*i].iter().all(|a| a.id != b.id))
            .map(|(_, b)| b.bytes)
            .sum();
        let is_full = self.profiler.as_ref().is_some_and(|p| self.dispatches >= p.room());
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
        let key = (P::KERNEL, buffers.iter().map(|b| b.id).collect::<Vec<_>>());
        let group = match self.groups.get(&key) {
            Some(group) => group.clone(),
            None => {
                let layout = match &self.layouts[P::KERNEL] {
                    Some(layout) => layout.clone(),
                    None => self.layouts[P::KERNEL].insert(lay_out(&self.gpu, spec)?).clone(),
                };
                let group = self.bind(&layout, spec, buffers)?;
                self.groups.insert(key, group.clone());
                group
            }
        };
        let offset = self.blocks.len();
        self.blocks.extend_from_slice(bytemuck::bytes_of(&params));
        self.blocks.resize(offset + self.step, 0);
        self.operations.push(Operation::Dispatch {
            kernel: P::KERNEL,
            touched,
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

    fn bind(
        &self,
        layout: &wgpu::BindGroupLayout,
        spec: &KernelSpec,
        buffers: &[&Buffer],
    ) -> Result<wgpu::BindGroup> {
        let params = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.params,
            offset: 0,
            size: wgpu::BufferSize::new(spec.params_size as u64),
        });
        let entries: Vec<_> = std::iter::once(params)
            .chain(buffers.iter().map(|b| b.raw.as_entire_binding()))
            .enumerate()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource })
            .collect();
        let label = format!("lgf.{}", spec.name);
        self.gpu.checked(&format!("the bindings of kernel `{}`", spec.name), || {
            self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&label),
                layout,
                entries: &entries,
            })
        })
    }

    /// Buffers allocated so far.
    #[cfg(test)]
    pub(crate) fn buffers(&self) -> u64 {
        self.next_id
    }

    /// Records a copy.
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
        self.groups.clear();
        self.operations.clear();
        self.blocks.clear();
        self.granted = 0;
        (self.touched, self.dispatches) = (0, 0);
        self.pace.reset();
        self.traffic = Traffic::default();
    }

    /// Submits what is recorded: consecutive dispatches in one pass.
    pub(crate) fn submit(&mut self) -> Result<Option<wgpu::SubmissionIndex>> {
        self.submit_and(false)
    }

    /// Builds the pipelines that what is recorded needs and no submission before it has, in parallel: a run
    /// needs one flow's kernels only.
    fn build_pipelines(&mut self) -> Result<()> {
        let mut missing: Vec<usize> = self
            .operations
            .iter()
            .filter_map(Operation::kernel)
            .filter(|kernel| self.pipelines[*kernel].is_none())
            .collect();
        missing.sort_unstable();
        missing.dedup();
        let build = |&kernel: &usize| {
            let Some(layout) = &self.layouts[kernel] else {
                return Err(Error::internal("a dispatch without bindings"));
            };
            build(&self.gpu, &KERNELS[kernel], self.variant, layout, &self.zero_layout)
        };
        let built = missing.par_iter().map(build).collect::<Result<Vec<_>>>()?;
        for (kernel, pipeline) in missing.into_iter().zip(built) {
            self.pipelines[kernel] = Some(pipeline);
        }
        Ok(())
    }

    /// Submits what is recorded; `report`: and makes the pending submissions' times readable.
    fn submit_and(&mut self, report: bool) -> Result<Option<wgpu::SubmissionIndex>> {
        if self.operations.is_empty() {
            return Ok(None);
        }
        self.build_pipelines()?;
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
        let submission = self.gpu.checked("a submission", || {
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
                            let Some(pipeline) = &self.pipelines[*kernel] else { continue };
                            pass.set_pipeline(pipeline);
                            pass.set_bind_group(0, group, &[*offset]);
                            if KERNELS[*kernel].needs_zero() {
                                pass.set_bind_group(1, &self.zero_group, &[]);
                            }
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
            self.gpu.queue.submit([encoder.finish()])
        })?;
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
                Operation::Dispatch { kernel, touched, .. } => Some((KERNELS[*kernel].name, *touched)),
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

    pub(crate) fn has_timestamps(&self) -> bool {
        self.pace.timestamps.is_some()
    }
}

fn layout_entry(binding: usize, ty: wgpu::BufferBindingType, dynamic: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding: binding as u32,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: dynamic, min_binding_size: None },
        count: None,
    }
}

/// How a kernel's group 0 is bound.
fn lay_out(gpu: &Gpu, spec: &KernelSpec) -> Result<wgpu::BindGroupLayout> {
    let label = format!("lgf.{}", spec.name);
    let mut entries = vec![layout_entry(0, wgpu::BufferBindingType::Uniform, true)];
    for (i, access) in spec.access.iter().enumerate() {
        entries.push(layout_entry(
            i + 1,
            wgpu::BufferBindingType::Storage { read_only: *access == Access::Read },
            false,
        ));
    }
    gpu.checked(&format!("the layout of kernel `{}`", spec.name), || {
        gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label),
            entries: &entries,
        })
    })
}

fn build(
    gpu: &Gpu,
    spec: &KernelSpec,
    variant: Variant,
    layout: &wgpu::BindGroupLayout,
    zero_layout: &wgpu::BindGroupLayout,
) -> Result<wgpu::ComputePipeline> {
    let label = format!("lgf.{}", spec.name);
    gpu.checked(&format!("kernel `{}`", spec.name), || {
        let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(spec.text(variant).into()),
        });
        let both = [Some(layout), Some(zero_layout)];
        let pipeline_layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: if spec.needs_zero() { &both } else { &both[..1] },
            immediate_size: 0,
        });
        gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            // Every kernel writes workgroup memory before it reads it.
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: gpu.pipelines.as_ref().map(|cache| &cache.raw),
        })
    })
}
