//! Kernels as the device knows them: pipelines, their layouts and bind groups; and compiled pipelines kept in
//! a file from run to run where the device hands them out (`PIPELINE_CACHE`: Vulkan).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::buffers::Buffer;
use super::device::Gpu;
use super::kernels::{Access, KERNELS, KernelSpec, Variant};
use crate::error::{Error, Result};

/// The pipelines, layouts and bind groups of all kernels of a device. Layouts and pipelines are made when
/// they are first used: a run needs one flow's kernels only.
#[derive(Debug)]
pub(super) struct Pipelines {
    /// The pipelines, by number of the kernel in [`KERNELS`].
    layouts: Vec<Option<wgpu::BindGroupLayout>>,
    pipelines: Vec<Option<wgpu::ComputePipeline>>,
    /// The word that the error-free transforms hide values behind, in a group of its own.
    zero_layout: wgpu::BindGroupLayout,
    zero_group: wgpu::BindGroup,
    /// Bind groups by kernel and identities of the buffers.
    groups: HashMap<(usize, Vec<u64>), wgpu::BindGroup>,
}

impl Pipelines {
    /// No kernel's pipeline, and the word that all of them share.
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        let (layouts, pipelines) = KERNELS.iter().map(|_| (None, None)).unzip();
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
        Ok(Self { layouts, pipelines, zero_layout, zero_group, groups: HashMap::new() })
    }

    /// The bind group of a kernel with these storage buffers and the parameter buffer.
    pub(super) fn bind(
        &mut self,
        gpu: &Gpu,
        kernel: usize,
        params: &wgpu::Buffer,
        buffers: &[&Buffer],
    ) -> Result<wgpu::BindGroup> {
        let key = (kernel, buffers.iter().map(|b| b.id).collect::<Vec<_>>());
        if let Some(group) = self.groups.get(&key) {
            return Ok(group.clone());
        }
        let spec = &KERNELS[kernel];
        let layout = match &self.layouts[kernel] {
            Some(layout) => layout,
            None => self.layouts[kernel].insert(lay_out(gpu, spec)?),
        };
        let params = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: params,
            offset: 0,
            size: wgpu::BufferSize::new(spec.params_size as u64),
        });
        let entries: Vec<_> = std::iter::once(params)
            .chain(buffers.iter().map(|b| b.raw.as_entire_binding()))
            .enumerate()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource })
            .collect();
        let label = format!("lgf.{}", spec.name);
        let group = gpu.checked(&format!("the bindings of kernel `{}`", spec.name), || {
            gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&label),
                layout,
                entries: &entries,
            })
        })?;
        self.groups.insert(key, group.clone());
        Ok(group)
    }

    /// Forgets the bind groups of a buffer that goes: they would keep it alive.
    pub(super) fn release(&mut self, buffer: &Buffer) {
        self.groups.retain(|(_, ids), _| !ids.contains(&buffer.id));
    }

    /// Forgets all bind groups.
    pub(super) fn release_all(&mut self) {
        self.groups.clear();
    }

    /// Builds those of the needed kernels' pipelines that are not there yet, in parallel.
    pub(super) fn build(
        &mut self,
        gpu: &Gpu,
        variant: Variant,
        needed: impl Iterator<Item = usize>,
    ) -> Result<()> {
        let mut missing: Vec<usize> = needed.filter(|kernel| self.pipelines[*kernel].is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        let build = |&kernel: &usize| {
            let Some(layout) = &self.layouts[kernel] else {
                return Err(Error::internal("a dispatch without bindings"));
            };
            build(gpu, &KERNELS[kernel], variant, layout, &self.zero_layout)
        };
        let built = missing.par_iter().map(build).collect::<Result<Vec<_>>>()?;
        for (kernel, pipeline) in missing.into_iter().zip(built) {
            self.pipelines[kernel] = Some(pipeline);
        }
        Ok(())
    }

    /// Sets a kernel, whose parameters begin at byte `offset`, for the next dispatch of a pass.
    pub(super) fn set(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        kernel: usize,
        group: &wgpu::BindGroup,
        offset: u32,
    ) -> Result<()> {
        let Some(pipeline) = &self.pipelines[kernel] else {
            let name = KERNELS[kernel].name;
            return Err(Error::internal(format!("the pipeline of kernel `{name}`, which was not built")));
        };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[offset]);
        if KERNELS[kernel].needs_zero() {
            pass.set_bind_group(1, &self.zero_group, &[]);
        }
        Ok(())
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
    for (i, (_, access)) in spec.buffers.iter().enumerate() {
        let ty = match access {
            Access::Uniform => wgpu::BufferBindingType::Uniform,
            Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
            Access::Write => wgpu::BufferBindingType::Storage { read_only: false },
        };
        entries.push(layout_entry(i + 1, ty, false));
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
        let module = create_module(gpu, &label, spec, variant);
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

/// The module of a kernel. Where all of its loops count, it is compiled without the counters that wgpu puts
/// into the loops of a shader it does not trust: they keep a driver from unrolling the loops over a few
/// constants that most kernels are made of, and from having the reads of several turns in flight.
fn create_module(gpu: &Gpu, label: &str, spec: &KernelSpec, variant: Variant) -> wgpu::ShaderModule {
    let text = spec.text(variant);
    let force_loop_bounding = !KernelSpec::has_counted_loops_only(&text);
    let source = wgpu::ShaderSource::Wgsl(text.into());
    let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding, ..Default::default() };
    #[expect(unsafe_code, reason = "wgpu cannot see that the loops end")]
    // SAFETY: all checks but one stay, and that one asks that no loop be infinite. The text is made of files
    // of this crate alone, and all of its loops are `for` loops. Their counters go up by a constant, or down
    // by ones or halves, to bounds that the loop does not change and that are far below 2^32: numbers of
    // threads, of workgroups or of a buffer's entries.
    let module = unsafe {
        gpu.device
            .create_shader_module_trusted(wgpu::ShaderModuleDescriptor { label: Some(label), source }, checks)
    };
    module
}

/// A device's compiled pipelines and the file they come from and go to.
///
/// The file is this library's own: a digest, then what wgpu gave. Whatever is not as it was written, or was
/// written for another device, driver or version of wgpu, is left out, and the pipelines are compiled as they
/// would be without it. Nothing about it is an error: it can only save time.
#[derive(Debug)]
pub(crate) struct PipelineCache {
    pub(crate) raw: wgpu::PipelineCache,
    file: PathBuf,
    /// The digest of the file as it was read.
    digest: u64,
}

impl PipelineCache {
    /// That of `device` in `folder`; none if the device does not hand its pipelines out.
    pub(crate) fn open(device: &wgpu::Device, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = folder.join(wgpu::util::pipeline_cache_key(&device.adapter_info())?);
        let data = read(&file);
        let descriptor = wgpu::PipelineCacheDescriptor {
            label: Some("lgf.pipelines"),
            data: data.as_deref(),
            fallback: true,
        };
        #[expect(unsafe_code, reason = "wgpu cannot see where the bytes come from")]
        // SAFETY: the data must be what `get_data` gave, for this device or another one, which wgpu's header
        // in it tells apart. Only `save` writes this file, whole or not at all, and the digest tells whether
        // anything has changed it since by accident. That nobody does on purpose is what a folder of the
        // user's own stands for: who can write there can replace the program as well.
        let raw = unsafe { device.create_pipeline_cache(&descriptor) };
        let digest = data.map_or(0, |data| digest(&data));
        log::debug!("compiled pipelines are kept in {}", file.display());
        Some(Self { raw, file, digest })
    }

    /// The path of the file that they are kept in.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Writes what has been compiled, if that is more than what was read: beside the file first, then in its
    /// place.
    fn save(&self) -> Result<()> {
        let Some(data) = self.raw.get_data().filter(|data| digest(data) != self.digest) else {
            return Ok(());
        };
        let error = |e| Error::io(&self.file, e);
        let beside = self.file.with_extension(format!("{}", std::process::id()));
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(error)?;
        }
        let bytes = [&digest(&data).to_le_bytes()[..], &data].concat();
        std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &self.file)).map_err(|e| {
            let _ = std::fs::remove_file(&beside);
            error(e)
        })
    }
}

impl Drop for PipelineCache {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            log::debug!("compiled pipelines were not kept: {error}");
        }
    }
}

/// The data that `save` wrote; none if the file is missing or damaged.
pub(super) fn read(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let (written, data) = bytes.split_first_chunk()?;
    (u64::from_le_bytes(*written) == digest(data)).then(|| data.to_vec())
}

fn digest(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    hasher.finish()
}
