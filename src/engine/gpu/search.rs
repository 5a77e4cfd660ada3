//! The search for the multiplier of the volume, for OC, projected gradient steps and steps on a learned potential.

use super::kernels::{BracketSelect, split};
use super::recording::Recorder;
use super::run::{LEAST_SLABS, Run, Segment};
use crate::error::Result;

/// Scales s = 1/√λ between 2⁻⁶⁴ and 2⁶⁴, as bit patterns: every λ that f32 has.
pub(super) const OC_SCALES: [u32; 2] = [0x1f80_0000, 0x5f80_0000];
/// All non-negative floats.
pub(super) const PROJECTION_MULTIPLIERS: [u32; 2] = [0, 0x7f7f_ffff];

/// Candidates that a workgroup looks at, and those of a search's first pass.
const FIRST: u32 = 8;

/// Candidates of each recorded pass. Three or four passes are the rule; what is recorded beyond returns at once, so that many candidates there cost no more
/// than few, and fewer passes have to be recorded.
pub(super) const PASSES: [u32; 9] = [FIRST, FIRST, FIRST, FIRST, 32, 32, 32, 32, 32];

/// How many passes of a search may do worse than evenly spaced ones before one with that many candidates has to space its own evenly. The passes above then
/// close any bracket of the multipliers, wherever the volume bends: see the test.
const fn chances(candidates: u32) -> u32 {
    if candidates > FIRST { 1 } else { 2 }
}

/// What the volume does as the multiplier grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Growing,
    Falling,
}

/// What a search keeps between its passes and for the next one: `shaders/lib/bracket.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Search {
    pub(super) closed: u32,
    pub(super) passes: u32,
    pub(super) multiplier: u32,
    pub(super) drift: u32,
    pub(super) placed: u32,
    pub(super) failures: u32,
    pub(super) excess_low: f32,
    pub(super) excess_high: f32,
    pub(super) candidates: [u32; 32],
}

impl Search {
    /// Before the first: its candidates are evenly spaced.
    pub(super) fn new([low, high]: [u32; 2]) -> Self {
        let mut candidates = [0; 32];
        let first = u64::from(FIRST);
        for (k, bits) in candidates.iter_mut().enumerate().take(FIRST as usize) {
            *bits = low + (u64::from(high - low) * (k as u64 + 1) / (first + 1)) as u32;
        }
        Self { closed: 0, passes: 0, multiplier: u32::MAX, drift: 0, placed: 0, failures: 0, excess_low: 1.0, excess_high: -1.0, candidates }
    }
}

impl Run {
    /// Records a search: `volumes` records the partial sums of a segment at a pass's candidates, given their number, whether the search begins with it,
    /// and the workgroups.
    pub(super) fn record_search(
        &self,
        recorder: &mut Recorder,
        volume: f64,
        side: Side,
        [range_low, range_high]: [u32; 2],
        mut volumes: impl FnMut(&mut Recorder, &Segment, u32, u32, [u32; 3]) -> Result<()>,
    ) -> Result<()> {
        let [volume_high, volume_low] = split(volume);
        for (pass, &candidates) in PASSES.iter().enumerate() {
            let begins = u32::from(pass == 0);
            for s in &self.segments {
                // What seldom runs has few workgroups: software adapters go through those that return at once, too.
                let slabs = if candidates > FIRST { s.slabs.min(LEAST_SLABS) } else { s.slabs };
                volumes(recorder, s, candidates, begins, [slabs as u32, candidates / FIRST, 1])?;
            }
            let next = PASSES.get(pass + 1).copied().unwrap_or(candidates);
            let params = BracketSelect {
                slabs: self.slabs as u32,
                volume_high,
                volume_low,
                falling: u32::from(side == Side::Falling),
                begins,
                range_low,
                range_high,
                candidates,
                next,
                chances: chances(next),
            };
            recorder.dispatch(params, &[&self.shared.phase, &self.shared.search, &self.shared.partials], [1, 1, 1])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The widest bracket that may be left after the passes recorded: a pass either divides it by one more than its candidates, or fails and leaves it as it is,
    /// which only placed ones can. The first may be placed, by the search before.
    #[test]
    fn the_recorded_passes_close_every_bracket() {
        for [low, high] in [OC_SCALES, PROJECTION_MULTIPLIERS] {
            let mut widest = vec![(high - low, 0)];
            for candidates in PASSES {
                let fail = widest.iter().filter(|(_, failures)| *failures < chances(candidates)).map(|(span, failures)| (*span, failures + 1));
                let hold = widest.iter().map(|(span, failures)| (span.div_ceil(candidates + 1), *failures));
                widest = fail.chain(hold).collect();
            }
            widest.retain(|(span, _)| *span > 1);
            assert!(widest.is_empty(), "{widest:?}");
        }
    }
}
