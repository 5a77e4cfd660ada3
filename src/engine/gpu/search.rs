//! The search for the multiplier of the volume, for OC, projected gradient steps and steps on a learned
//! potential.

use super::counts;
use super::kernels::{BracketSelect, bindings, split};
use super::recording::Recorder;
use super::run::{LEAST_SLABS, Recording, Run, Segment};
use super::shared::{CANDIDATES, MOST_CANDIDATES};
use crate::error::Result;

/// Candidates of each recorded pass. Three or four passes are the rule; what is recorded beyond returns at
/// once, so that many candidates there cost no more than few, and fewer passes have to be recorded.
pub(super) const PASSES: [u32; 9] = {
    let mut passes = [MOST_CANDIDATES; 9];
    (passes[0], passes[1], passes[2], passes[3]) = (CANDIDATES, CANDIDATES, CANDIDATES, CANDIDATES);
    passes
};

/// The number of passes of a search that may narrow the bracket less than evenly spaced candidates would,
/// before a pass with that many candidates spaces its own evenly. Then the passes above close any bracket of
/// the multipliers, wherever the volume has kinks: see the test.
const fn max_failures(candidates: u32) -> u32 {
    if candidates > CANDIDATES { 1 } else { 2 }
}

/// How the volume changes as the multiplier grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Growing,
    Falling,
}

/// One pass of a search, for the kernel that sums the volume.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    /// The number of candidates of the pass.
    pub(super) candidates: u32,
    /// Whether the search begins with this pass: 1 or 0.
    pub(super) begins: u32,
    pub(super) groups: [u32; 3],
}

impl Recording<'_> {
    /// Records a search: `volumes` records the partial sums of a segment's volume at a pass's candidates.
    pub(super) fn record_search(
        &mut self,
        volume: f64,
        side: Side,
        [range_low, range_high]: [u32; 2],
        mut volumes: impl FnMut(&Run, &mut Recorder, &Segment, Pass) -> Result<()>,
    ) -> Result<()> {
        let [volume_high, volume_low] = split(volume);
        for (pass, &candidates) in PASSES.iter().enumerate() {
            let begins = u32::from(pass == 0);
            for s in &self.run.segments {
                // The later passes, which seldom work, have few workgroups on software adapters, which go
                // through those of passes that return at once, too.
                let has_few = candidates > CANDIDATES && self.recorder.gpu.is_software();
                let slabs = if has_few { LEAST_SLABS } else { usize::MAX };
                let groups = s.per_candidates(candidates, slabs);
                volumes(self.run, self.recorder, s, Pass { candidates, begins, groups })?;
            }
            let next = PASSES.get(pass + 1).copied().unwrap_or(candidates);
            let params = BracketSelect {
                slabs: self.run.slabs as u32,
                volume_high,
                volume_low,
                falling: u32::from(side == Side::Falling),
                begins,
                range_low,
                range_high,
                candidates,
                next,
                max_failures: max_failures(next),
            };
            self.recorder.dispatch(
                params,
                &bindings::BracketSelect {
                    phase: &self.run.shared.phase,
                    search: &self.run.shared.search,
                    partials: &self.run.shared.partials,
                },
                counts::ONE,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared::{OC_SCALES, PROJECTION_MULTIPLIERS};
    use super::*;

    /// The widest bracket that may be left after the passes recorded: a pass either divides it by one more
    /// than its candidates, or fails and leaves it as it is, which only placed ones can. The first may be
    /// placed, by the search before.
    #[test]
    fn the_recorded_passes_close_every_bracket() {
        for [low, high] in [OC_SCALES, PROJECTION_MULTIPLIERS] {
            let mut widest = vec![(high - low, 0)];
            for candidates in PASSES {
                let fail = widest
                    .iter()
                    .filter(|(_, failures)| *failures < max_failures(candidates))
                    .map(|(span, failures)| (*span, failures + 1));
                let hold = widest.iter().map(|(span, failures)| (span.div_ceil(candidates + 1), *failures));
                widest = fail.chain(hold).collect();
            }
            widest.retain(|(span, _)| *span > 1);
            assert!(widest.is_empty(), "{widest:?}");
        }
    }
}
