//! The device's own clock: how long submissions take, which decides how much goes into the next one, and,
//! when asked, how long each kernel takes.

use super::device::Gpu;
use crate::error::Result;

/// The source of a kernel's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Timestamp queries of the device about each dispatch: nothing but the kernel.
    Timestamps,
    /// The host's clock about a wait for each dispatch: with the latency of a submission, for devices without
    /// timestamp queries.
    Wall,
}

/// The time of a kernel, over one or more dispatches.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct KernelTime {
    /// The kernel's file stem in `shaders/`.
    pub kernel: &'static str,
    /// The number of its dispatches.
    pub dispatches: u64,
    /// The time of all its dispatches, s.
    pub seconds: f64,
    /// Sizes of the buffers it was given, bytes, in all: more than its traffic where it works on a part of a
    /// table, less where it reads one twice.
    pub bound_bytes: u64,
    /// The bytes that they must move at least, each array once each way; 0 where the kernel does not tell.
    pub least_bytes: u64,
}

/// Memory that the dispatches of one submission may touch as long as nothing has been measured: at 20 GB/s,
/// 200 ms.
const UNMEASURED_BYTES: u64 = 4 << 30;
/// How long a submission should take, s: work that is half as fast as what was measured stays below the 200
/// ms that desktops' watchdogs are far above.
const SUBMIT_SECONDS: f64 = 0.1;
/// The least and the greatest budget of a submission, in bytes; a smaller one is used for less work only.
const BUDGET_BYTES: std::ops::RangeInclusive<u64> = (128 << 20)..=(64 << 30);
/// Submissions that are measured between two read-backs.
const SUBMISSIONS: usize = 32;
/// Dispatches that are measured in a submission while a profile is taken.
const PROFILED: usize = 256;
const TICK_BYTES: u64 = 8;

/// Pairs of timestamps and the buffers that they are read back through.
#[derive(Debug)]
pub(super) struct Timestamps {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    /// The length of a tick, in seconds.
    tick: f64,
}

impl Timestamps {
    fn new(gpu: &Gpu, pairs: usize) -> Result<Option<Self>> {
        let tick = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
        if !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) || !(tick > 0.0) {
            return Ok(None);
        }
        gpu.checked("timestamp queries", || {
            let (label, size) = (Some("lgf.timestamps"), 2 * TICK_BYTES * pairs as u64);
            let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label,
                ty: wgpu::QueryType::Timestamp,
                count: 2 * pairs as u32,
            });
            let buffer = |usage| {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label,
                    size,
                    usage,
                    mapped_at_creation: false,
                })
            };
            let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
            let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
            Some(Self { set, resolved, staging, tick })
        })
    }

    /// What a pass is begun with to be timed as pair `pair`: its beginning, its end, or both.
    pub(super) fn about(
        &self,
        pair: usize,
        begin: bool,
        end: bool,
    ) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let at = 2 * pair as u32;
        let index = |wanted: bool, at| wanted.then_some(at);
        (begin || end).then_some(wgpu::ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: index(begin, at),
            end_of_pass_write_index: index(end, at + 1),
        })
    }

    /// Records that the first `pairs` become readable.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder, pairs: usize) {
        encoder.resolve_query_set(&self.set, 0..2 * pairs as u32, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, 2 * TICK_BYTES * pairs as u64);
    }

    pub(super) fn staging(&self, pairs: usize) -> (&wgpu::Buffer, u64) {
        (&self.staging, 2 * TICK_BYTES * pairs as u64)
    }

    /// Seconds between each pair; 0 where a clock went backwards, as some do when the device changes its
    /// power state.
    pub(super) fn seconds(&self, data: &[u8]) -> Vec<f64> {
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(data);
        ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * self.tick).collect()
    }
}

/// The sizes and times of submissions, from which the size of the next one follows.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) timestamps: Option<Timestamps>,
    /// Bytes that each measured submission touched.
    pending: Vec<u64>,
    /// Bytes and seconds of earlier submissions, those of each read-back weighing twice those of the one
    /// before.
    measured: Option<(f64, f64)>,
}

impl Pace {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self { timestamps: Timestamps::new(gpu, SUBMISSIONS)?, pending: Vec::new(), measured: None })
    }

    /// The pair of timestamps for a submission that touches `bytes`, if there is one left.
    pub(super) fn enter(&mut self, bytes: u64) -> Option<usize> {
        if self.timestamps.is_none() || self.pending.len() == SUBMISSIONS {
            return None;
        }
        self.pending.push(bytes);
        Some(self.pending.len() - 1)
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Learns how long the pending submissions took.
    pub(super) fn learn(&mut self, seconds: &[f64]) {
        let new = self
            .pending
            .drain(..)
            .zip(seconds)
            .filter(|(_, s)| **s > 0.0)
            .fold((0.0, 0.0), |(b, t), (bytes, s)| (b + bytes as f64, t + s));
        if new.1 > 0.0 {
            let (bytes, time) = self.measured.unwrap_or((0.0, 0.0));
            self.measured = Some((0.5 * bytes + new.0, 0.5 * time + new.1));
        }
    }

    /// Forgets the submissions that are pending.
    pub(super) fn reset(&mut self) {
        self.pending.clear();
    }

    /// Bytes that the dispatches of the next submission may touch. It decides where submissions are split,
    /// never what they compute.
    pub(super) fn budget(&self) -> u64 {
        match self.measured {
            None => UNMEASURED_BYTES,
            Some((bytes, seconds)) => {
                ((bytes / seconds * SUBMIT_SECONDS) as u64).clamp(*BUDGET_BYTES.start(), *BUDGET_BYTES.end())
            }
        }
    }
}

/// Times every dispatch, each in a pass of its own.
#[derive(Debug)]
pub(super) struct Profiler {
    timestamps: Option<Timestamps>,
    kernels: Vec<KernelTime>,
}

impl Profiler {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self { timestamps: Timestamps::new(gpu, PROFILED)?, kernels: Vec::new() })
    }

    pub(super) fn timestamps(&self) -> Option<&Timestamps> {
        self.timestamps.as_ref()
    }

    /// The number of dispatches that a submission may have: 1 where there are no timestamps, because the host
    /// waits for it.
    pub(super) fn max_dispatches(&self) -> usize {
        if self.timestamps.is_some() { PROFILED } else { 1 }
    }

    /// Adds up what was measured, dispatch by dispatch: the kernel, the bytes of its buffers, and those that
    /// it must move.
    pub(super) fn learn(
        &mut self,
        dispatches: impl Iterator<Item = (&'static str, u64, u64)>,
        seconds: &[f64],
    ) {
        for ((kernel, bytes, least), seconds) in dispatches.zip(seconds) {
            match self.kernels.iter_mut().find(|k| k.kernel == kernel) {
                Some(known) => {
                    known.dispatches += 1;
                    known.seconds += seconds;
                    known.bound_bytes += bytes;
                    known.least_bytes += least;
                }
                None => self.kernels.push(KernelTime {
                    kernel,
                    dispatches: 1,
                    seconds: *seconds,
                    bound_bytes: bytes,
                    least_bytes: least,
                }),
            }
        }
    }

    pub(super) fn take(&mut self) -> Vec<KernelTime> {
        std::mem::take(&mut self.kernels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test gives the times instead of measuring them.
    #[test]
    fn the_budget_follows_what_was_measured() {
        let mut pace = Pace { timestamps: None, pending: Vec::new(), measured: None };
        assert_eq!(pace.budget(), UNMEASURED_BYTES);
        // 1 GB in 50 ms: 2 GB in the 100 ms that are aimed at.
        pace.pending = vec![600_000_000, 400_000_000];
        pace.learn(&[0.03, 0.02]);
        assert_eq!(pace.budget(), 2_000_000_000);
        // Half as fast: the budget goes down, the latest weighing most.
        pace.pending = vec![1_000_000_000];
        pace.learn(&[0.1]);
        assert!(pace.budget() < 1_300_000_000 && pace.budget() > 1_000_000_000, "{}", pace.budget());
        // A time of 0 is left out.
        let before = pace.budget();
        pace.pending = vec![1];
        pace.learn(&[0.0]);
        assert_eq!(pace.budget(), before);
        // The budget stays within its limits, however slow or fast the device is.
        pace.pending = vec![1];
        pace.learn(&[1e6]);
        assert_eq!(pace.budget(), *BUDGET_BYTES.start());
        pace.measured = Some((1e15, 1e-3));
        assert_eq!(pace.budget(), *BUDGET_BYTES.end());
    }
}
