//! The meshes of multigrid, for a device that keeps their operators itself.

use super::coarse::child_share;
pub(crate) use super::coarse::{TRIANGLE, coupling};
use super::element::{Element, Matrix, to_corners, to_modes};
use super::hierarchy::coarsenings;
pub(crate) use super::hierarchy::{Damping, is_visited_twice};
use super::mesh::BrickMesh;

/// One mesh of multigrid.
#[derive(Debug, Clone)]
pub(crate) struct LevelLayout {
    pub(crate) mesh: BrickMesh,
    /// One byte a node; bit d is set where direction d is held.
    pub(crate) mask: Vec<u8>,
    /// For each axis and node the lower one of the two nodes of the next coarser mesh around it, and the
    /// weight of the upper one; none on the coarsest mesh.
    pub(crate) lower: Option<[Vec<(u32, f32)>; 3]>,
    /// On the first coarse mesh, the elements whose matrix is not the sum of eight equal children's.
    pub(crate) singles: Vec<u32>,
}

/// The given mesh and the coarser ones, until one has at most `coarsest` degrees of freedom: at least one
/// coarser mesh, if the given one has several elements.
pub(crate) fn layouts(mesh: BrickMesh, mask: &[u8], coarsest: usize) -> Vec<LevelLayout> {
    let mut levels = vec![LevelLayout { mesh, mask: mask.to_vec(), lower: None, singles: Vec::new() }];
    for (l, coarsening) in coarsenings(mesh, coarsest.min(mesh.dofs() - 1)).iter().enumerate() {
        let above = &mut levels[l];
        above.lower = Some(std::array::from_fn(|axis| {
            let of = |node| {
                let (lower, up) = coarsening.lower(axis, node);
                (lower as u32, up)
            };
            (0..=coarsening.fine.size[axis]).map(of).collect()
        }));
        let coarse = coarsening.coarse;
        let mask = coarsening.mask(&above.mask);
        let mut singles = Vec::new();
        if l == 0 {
            let [nx, ny, _] = coarse.size;
            let is_single = |e: &u32| {
                let e = *e as usize;
                let at = [e % nx, e / nx % ny, e / (nx * ny)];
                !coarsening.is_even(at) || coarsening.is_irregular(&above.mask, &mask, at)
            };
            singles.extend((0..coarse.elements() as u32).filter(is_single));
        }
        levels.push(LevelLayout { mesh: coarse, mask, lower: None, singles });
    }
    levels
}

/// What each of eight equal children of modulus 1 adds to its parent's matrix, by corners.
pub(crate) fn child_matrices(element: &Element) -> Vec<Matrix> {
    let modal = to_modes(element.stiffness());
    (0..8).map(|child| to_corners(&child_share(&modal, child))).collect()
}
