//! The mesh of a structure in two or three dimensions, with places that mean the same in both.

use std::fmt;

use super::grid::Grid;
use crate::error::{Error, Result};
use crate::fem::BrickMesh;

/// A structured mesh of equal rectangles or bricks.
///
/// Places are counted from the lower left (front) corner along x, y (up) and z, whatever the numbering of the
/// mesh is; on a plane mesh the third count is 0. `Display` writes the numbers of elements, `60x20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mesh {
    /// Rectangles in the plane, numbered by columns from the top.
    Plane(Grid),
    /// Bricks in space, numbered along x first, then y, then z.
    Solid(BrickMesh),
}

impl Mesh {
    /// The mesh of `elements` along each axis, two or three numbers.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for another count of numbers, for 0 elements along an
    /// axis, and for more than the solver takes.
    pub fn new(elements: &[u32]) -> Result<Self> {
        match *elements {
            [x, y] => Ok(Self::Plane(Grid::new(x, y)?)),
            [x, y, z] => Ok(Self::Solid(BrickMesh::new(x as usize, y as usize, z as usize)?)),
            _ => Err(Error::structure(
                "mesh.elements",
                format!("has {} numbers; it must have two or three, one an axis", elements.len()),
            )),
        }
    }

    /// The number of axes, 2 or 3.
    pub fn dimension(&self) -> usize {
        match self {
            Self::Plane(_) => 2,
            Self::Solid(_) => 3,
        }
    }

    /// The rectangles' grid, where the mesh is plane.
    pub fn grid(&self) -> Option<&Grid> {
        match self {
            Self::Plane(grid) => Some(grid),
            Self::Solid(_) => None,
        }
    }

    /// The number of elements along each axis; along z, 1 on a plane mesh.
    pub fn size(&self) -> [usize; 3] {
        match self {
            Self::Plane(grid) => [grid.nelx(), grid.nely(), 1],
            Self::Solid(mesh) => mesh.size(),
        }
    }

    /// The greatest place of a node along each axis; along z, 0 on a plane mesh.
    pub(super) fn last_node(&self) -> [usize; 3] {
        let size = self.size();
        [size[0], size[1], if self.dimension() == 3 { size[2] } else { 0 }]
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.size().iter().product()
    }

    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.last_node().iter().map(|n| n + 1).product()
    }

    /// The number of degrees of freedom, one a node and axis, held ones included.
    pub fn dofs(&self) -> usize {
        self.dimension() * self.nodes()
    }

    /// The element at a place.
    pub fn element(&self, [x, y, z]: [usize; 3]) -> usize {
        match self {
            Self::Plane(grid) => x * grid.nely() + grid.nely() - 1 - y,
            Self::Solid(mesh) => mesh.element(x, y, z),
        }
    }

    /// The place of an element.
    pub fn element_place(&self, e: usize) -> [usize; 3] {
        match self {
            Self::Plane(grid) => [e / grid.nely(), grid.nely() - 1 - e % grid.nely(), 0],
            Self::Solid(mesh) => {
                let [nx, ny, _] = mesh.size();
                [e % nx, e / nx % ny, e / (nx * ny)]
            }
        }
    }

    /// The node at a place.
    pub fn node(&self, [x, y, z]: [usize; 3]) -> usize {
        match self {
            Self::Plane(grid) => grid.node(x, grid.nely() - y),
            Self::Solid(mesh) => mesh.node(x, y, z),
        }
    }

    /// The place of a node.
    pub fn node_place(&self, node: usize) -> [usize; 3] {
        match self {
            Self::Plane(grid) => {
                let rows = grid.nely() + 1;
                [node / rows, grid.nely() - node % rows, 0]
            }
            Self::Solid(mesh) => {
                let [nx, ny, _] = mesh.size().map(|n| n + 1);
                [node % nx, node / nx % ny, node / (nx * ny)]
            }
        }
    }

    /// The degree of freedom of a node along an axis.
    pub fn dof(&self, node: usize, axis: usize) -> usize {
        match self {
            Self::Plane(_) => 2 * node + axis,
            Self::Solid(mesh) => mesh.dof(node, axis),
        }
    }

    /// The node and the axis of a degree of freedom.
    pub fn node_and_axis(&self, dof: usize) -> (usize, usize) {
        match self {
            Self::Plane(_) => (dof / 2, dof % 2),
            Self::Solid(_) => (dof % self.nodes(), dof / self.nodes()),
        }
    }

    /// The elements around a node.
    pub(super) fn around(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        let mesh = *self;
        let place = self.node_place(node);
        let size = self.size();
        let range = move |axis: usize| place[axis].saturating_sub(1)..(place[axis] + 1).min(size[axis]);
        range(0).flat_map(move |x| range(1).flat_map(move |y| range(2).map(move |z| mesh.element([x, y, z]))))
    }

    /// The mirror image of an element along an axis.
    pub(super) fn mirrored_element(&self, e: usize, axis: usize) -> usize {
        let mut place = self.element_place(e);
        place[axis] = self.size()[axis] - 1 - place[axis];
        self.element(place)
    }

    /// The mirror image of a node along an axis.
    pub(super) fn mirrored_node(&self, node: usize, axis: usize) -> usize {
        let mut place = self.node_place(node);
        place[axis] = self.last_node()[axis] - place[axis];
        self.node(place)
    }
}

impl fmt::Display for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.size();
        match self {
            Self::Plane(_) => write!(f, "{x}x{y}"),
            Self::Solid(_) => write!(f, "{x}x{y}x{z}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_numbers_are_each_others_inverse() {
        for elements in [&[5, 3][..], &[4, 3, 2]] {
            let mesh = Mesh::new(elements).unwrap();
            assert!((0..mesh.elements()).all(|e| mesh.element(mesh.element_place(e)) == e));
            assert!((0..mesh.nodes()).all(|n| mesh.node(mesh.node_place(n)) == n));
            for dof in 0..mesh.dofs() {
                let (node, axis) = mesh.node_and_axis(dof);
                assert_eq!(mesh.dof(node, axis), dof);
            }
            for e in 0..mesh.elements() {
                let place = mesh.element_place(e);
                let corners = 1 << mesh.dimension();
                let nodes =
                    (0..corners).map(|k| mesh.node([0, 1, 2].map(|axis| place[axis] + (k >> axis & 1))));
                assert!(nodes.into_iter().all(|node| mesh.around(node).any(|found| found == e)));
            }
            let met: usize = (0..mesh.nodes()).map(|node| mesh.around(node).count()).sum();
            assert_eq!(met, mesh.elements() << mesh.dimension());
        }
    }

    #[test]
    fn the_plane_mesh_has_the_grids_numbers() {
        let grid = Grid::new(4, 3).unwrap();
        let mesh = Mesh::Plane(grid);
        assert_eq!(mesh.element([0, 2, 0]), 0, "the first element is at the upper left");
        assert_eq!(mesh.node([0, 3, 0]), grid.node(0, 0));
        for node in 0..mesh.nodes() {
            let [x, y, _] = mesh.node_place(node);
            assert_eq!(grid.position(node), glam::DVec2::new(x as f64, y as f64));
        }
        assert_eq!(
            (mesh.to_string(), Mesh::new(&[4, 3, 2]).unwrap().to_string()),
            ("4x3".into(), "4x3x2".into())
        );
        assert!(Mesh::new(&[4]).unwrap_err().to_string().contains("mesh.elements has 1 numbers"));
    }
}
