//! How many workgroups every kernel is launched with, in one place.

use super::kernels::Params;
use super::run::Segment;
use super::shared::{CANDIDATES, DIRECTIONS, GRAM_ROWS, MOST_GROUPS, POWER_ROWS};

/// Workgroups of a dispatch, in x, y and z.
pub(super) type Groups = [u32; 3];

/// A kernel that works as one workgroup.
pub(super) const ONE: Groups = [1, 1, 1];

/// One workgroup per problem, value or slab.
pub(super) fn each(number: usize) -> Groups {
    [number as u32, 1, 1]
}

/// One thread per entry of a row, and a row of workgroups per row of a small matrix.
pub(super) fn entries<P: Params>(rows: usize, columns: usize) -> Groups {
    [columns.div_ceil(P::THREADS as usize) as u32, rows as u32, 1]
}

/// One workgroup per value, in rows of as many as a dispatch may have side by side.
pub(super) fn values(number: usize) -> Groups {
    let side = MOST_GROUPS as usize;
    [number.min(side) as u32, number.div_ceil(side) as u32, 1]
}

/// One workgroup per pair of blocks of the Gram matrix and per slab.
pub(super) fn gram(block_pairs: usize, slabs: usize) -> Groups {
    [block_pairs as u32, slabs as u32, 1]
}

/// Unordered pairs of blocks of `GRAM_ROWS` rows in a stack of `rows` rows.
pub(super) fn block_pairs(rows: usize) -> usize {
    let blocks = rows.div_ceil(GRAM_ROWS as usize);
    blocks * (blocks + 1) / 2
}

impl Segment {
    /// One workgroup per slab.
    pub(super) fn per_slab(&self) -> Groups {
        [self.slabs as u32, 1, 1]
    }

    /// One workgroup per slab and per row of a table.
    pub(super) fn per_row(&self, rows: usize) -> Groups {
        [self.slabs as u32, rows as u32, 1]
    }

    /// One workgroup per slab and per `DIRECTIONS` of the given number of directions. The first workgroup of
    /// a slab also computes what belongs to all directions: the mean, or the distance from it.
    pub(super) fn per_directions(&self, directions: usize) -> Groups {
        [self.slabs as u32, directions.div_ceil(DIRECTIONS as usize).max(1) as u32, 1]
    }

    /// One workgroup per slab and per `POWER_ROWS` samples.
    pub(super) fn per_samples(&self, samples: usize) -> Groups {
        [self.slabs as u32, samples.div_ceil(POWER_ROWS as usize) as u32, 1]
    }

    /// One workgroup per slab and per `CANDIDATES` of the given number of candidates; at most `at_most`
    /// workgroups share the slabs.
    pub(super) fn per_candidates(&self, candidates: u32, at_most: usize) -> Groups {
        [self.slabs.min(at_most) as u32, candidates / CANDIDATES, 1]
    }
}
