//! How a mesh and the next coarser one lie on each other.

use std::ops::Range;

use super::mesh::BrickMesh;

/// A mesh and the mesh of half as many elements along each axis, rounded down, at least 1.
///
/// A coarse element has two children along an axis, the last one three where the number is odd, and one where
/// there is only one. Every coarse node lies on a fine one: X on 2 X, the last on the last. Lengths are
/// counted in elements of the given mesh, so that interpolation is linear in space: the last element of a
/// mesh is up to twice as long as the others, and never shorter.
#[derive(Debug, Clone)]
pub(super) struct Coarsening {
    pub(super) fine: BrickMesh,
    pub(super) coarse: BrickMesh,
    /// For every fine node along each axis, the weight of the coarse node above it; see
    /// [`lower`](Self::lower).
    upper_weights: [Vec<f32>; 3],
}

impl Coarsening {
    /// Of a mesh in which all elements are `step` long, but the last ones, which end at `ends`.
    pub(super) fn new(fine: BrickMesh, step: usize, ends: [usize; 3]) -> Self {
        let coarse = BrickMesh { size: fine.size.map(|n| (n / 2).max(1)) };
        let upper_weights = std::array::from_fn(|axis| {
            let (n, cells, end) = (fine.size[axis], coarse.size[axis], ends[axis]);
            (0..=n)
                .map(|node| {
                    let lower = (node / 2).min(cells - 1);
                    let at = if node == n { end } else { node * step };
                    let low = 2 * lower * step;
                    let high = if lower + 1 == cells { end } else { low + 2 * step };
                    (at - low) as f32 / (high - low) as f32
                })
                .collect()
        });
        Self { fine, coarse, upper_weights }
    }

    /// The coarse node at or below a fine node along an axis, and the weight of the next coarse node.
    pub(super) fn lower(&self, axis: usize, node: usize) -> (usize, f32) {
        ((node / 2).min(self.coarse.size[axis] - 1), self.upper_weights[axis][node])
    }

    /// The fine nodes that a coarse node carries along an axis, with their weights, in order.
    pub(super) fn reach(&self, axis: usize, coarse: usize) -> impl Iterator<Item = (usize, f32)> {
        let last = (2 * coarse + 3).min(self.fine.size[axis]);
        ((2 * coarse).saturating_sub(1)..=last).filter_map(move |node| {
            let (lower, upper_weight) = self.lower(axis, node);
            let weight = if lower == coarse {
                1.0 - upper_weight
            } else if lower + 1 == coarse {
                upper_weight
            } else {
                0.0
            };
            (weight > 0.0).then_some((node, weight))
        })
    }

    /// The fine elements in a coarse one along an axis.
    pub(super) fn children(&self, axis: usize, coarse: usize) -> Range<usize> {
        let end = if coarse + 1 == self.coarse.size[axis] { self.fine.size[axis] } else { 2 * coarse + 2 };
        2 * coarse..end
    }

    /// Where a child lies in its parent along an axis, as fractions of it.
    pub(super) fn span(&self, axis: usize, child: usize) -> [f32; 2] {
        let weights = &self.upper_weights[axis];
        let parent = (child / 2).min(self.coarse.size[axis] - 1);
        // The upper node of the last child of a parent is the lower node of the next parent.
        let high = if child + 1 < self.children(axis, parent).end { weights[child + 1] } else { 1.0 };
        [weights[child], high]
    }

    /// Whether a coarse element has two children along every axis.
    pub(super) fn is_even(&self, at: [usize; 3]) -> bool {
        (0..3).all(|axis| self.children(axis, at[axis]).len() == 2)
    }

    /// What is held on the coarse mesh: nodes that lie on held ones.
    pub(super) fn mask(&self, mask: &[u8]) -> Vec<u8> {
        let on = |axis: usize, node: usize| {
            if node == self.coarse.size[axis] { self.fine.size[axis] } else { 2 * node }
        };
        let [nx, ny, nz] = self.coarse.size;
        let mut out = Vec::with_capacity(self.coarse.nodes());
        for z in 0..=nz {
            for y in 0..=ny {
                out.extend((0..=nx).map(|x| mask[self.fine.node(on(0, x), on(1, y), on(2, z))]));
            }
        }
        out
    }

    /// Whether a degree of freedom of the coarse element that is free carries a fine one in it that is held:
    /// then the element's matrix depends on where the fine mesh is held.
    pub(super) fn is_irregular(&self, mask: &[u8], coarse_mask: &[u8], at: [usize; 3]) -> bool {
        let nodes = |axis: usize| {
            let children = self.children(axis, at[axis]);
            children.start..=children.end
        };
        let mut held =
            nodes(2).flat_map(|z| nodes(1).flat_map(move |y| nodes(0).map(move |x| self.fine.node(x, y, z))));
        held.any(|node| mask[node] != 0)
            && self.coarse.corners(at[0], at[1], at[2]).iter().enumerate().any(|(k, corner)| {
                let free = !coarse_mask[*corner] & 7;
                let within = |axis: usize| {
                    let nodes = nodes(axis);
                    self.reach(axis, at[axis] + (k >> axis & 1))
                        .map(|(node, _)| node)
                        .filter(move |node| nodes.contains(node))
                };
                within(2)
                    .any(|z| within(1).any(|y| within(0).any(|x| mask[self.fine.node(x, y, z)] & free != 0)))
            })
    }
}
