//! Device buffers and their allocation.

use super::device::Gpu;
use crate::error::{EngineError, Error, Result};

/// A buffer with an identity, so that bind groups can be reused.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(super) id: u64,
    pub(super) raw: wgpu::Buffer,
    pub(super) bytes: u64,
}

/// Makes buffers, numbers them and counts their bytes.
#[derive(Debug, Default)]
pub(super) struct Allocator {
    /// How many buffers have been made, which is the identity of the latest one.
    pub(super) made: u64,
    /// How many bytes have been allocated since the last reset.
    pub(super) granted: u64,
}

impl Allocator {
    /// A storage buffer of at least 16 bytes, zeroed.
    pub(super) fn storage(&mut self, gpu: &Gpu, name: &str, bytes: u64) -> Result<Buffer> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.allocate(gpu, name, bytes, usage)
    }

    /// A buffer of a few constants.
    pub(super) fn constants(&mut self, gpu: &Gpu, name: &str, bytes: u64) -> Result<Buffer> {
        self.allocate(gpu, name, bytes, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)
    }

    /// A buffer the host can read.
    pub(super) fn staging(&mut self, gpu: &Gpu, bytes: u64) -> Result<Buffer> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        self.allocate(gpu, "staging", bytes, usage)
    }

    fn allocate(&mut self, gpu: &Gpu, name: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Buffer> {
        let bytes = bytes.max(16).next_multiple_of(16);
        let mut available = gpu.limits.max_buffer_size;
        if usage.contains(wgpu::BufferUsages::STORAGE) {
            available = available.min(gpu.limits.max_storage_buffer_binding_size);
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
        self.made += 1;
        self.granted += bytes;
        Ok(Buffer { id: self.made, raw, bytes })
    }
}
