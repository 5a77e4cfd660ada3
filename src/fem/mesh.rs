//! Structured meshes of equal bricks, and which degrees of freedom are held.

use crate::error::{Error, Result};

/// A mesh of nx×ny×nz equal bricks with 8 nodes each. Along every axis it starts at 0.
///
/// Elements are numbered x fastest, then y, then z: e = x + nx (y + ny z). Nodes likewise: n = x + (nx + 1)
/// (y + (ny + 1) z). Vectors of displacements and forces are in three blocks, one a component: the degree
/// of freedom of node n in direction d is d·N + n, with N the number of nodes. So a row of elements along x
/// lies contiguously in memory in everything that belongs to it.
///
/// Corner k of an element (x, y, z) is the node (x + k₀, y + k₁, z + k₂) with k₀, k₁, k₂ the bits of k.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrickMesh {
    /// The number of elements along x, y and z.
    pub(crate) size: [usize; 3],
}

impl BrickMesh {
    /// A mesh of `nx`·`ny`·`nz` elements.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when a number is 0, or when there would be more than
    /// 2³¹ degrees of freedom.
    pub fn new(nx: usize, ny: usize, nz: usize) -> Result<Self> {
        let dofs = [nx, ny, nz].iter().try_fold(3_usize, |n, side| n.checked_mul(side.checked_add(1)?));
        if nx == 0 || ny == 0 || nz == 0 || dofs.is_none_or(|n| n > 1 << 31) {
            return Err(Error::invalid(
                "the number of elements",
                format!("{nx}×{ny}×{nz}"),
                "at least 1 along each axis, with at most 2³¹ degrees of freedom",
            ));
        }
        Ok(Self { size: [nx, ny, nz] })
    }

    /// The number of elements along x, y and z.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.size.iter().product()
    }

    /// The number of nodes, N.
    pub fn nodes(&self) -> usize {
        self.size.iter().map(|n| n + 1).product()
    }

    /// The number of degrees of freedom, 3 N, held ones included.
    pub fn dofs(&self) -> usize {
        3 * self.nodes()
    }

    /// The number of the element at (x, y, z).
    pub fn element(&self, x: usize, y: usize, z: usize) -> usize {
        x + self.size[0] * (y + self.size[1] * z)
    }

    /// The number of the node at (x, y, z).
    pub fn node(&self, x: usize, y: usize, z: usize) -> usize {
        x + self.row() * (y + (self.size[1] + 1) * z)
    }

    /// The degree of freedom of `node` in `direction` (0 to 2 for x to z).
    pub fn dof(&self, node: usize, direction: usize) -> usize {
        direction * self.nodes() + node
    }

    /// The eight nodes of the element at (x, y, z), by corner.
    pub fn corners(&self, x: usize, y: usize, z: usize) -> [usize; 8] {
        std::array::from_fn(|k| self.node(x + (k & 1), y + (k >> 1 & 1), z + (k >> 2)))
    }

    /// The number of nodes in a row along x.
    pub(crate) fn row(&self) -> usize {
        self.size[0] + 1
    }

    /// The number of nodes in a plane of constant z.
    pub(crate) fn plane(&self) -> usize {
        self.row() * (self.size[1] + 1)
    }
}

/// Which degrees of freedom are held at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supports {
    mesh: BrickMesh,
    /// One byte a node; bit d is set where direction d is held.
    pub(crate) mask: Vec<u8>,
}

impl Supports {
    /// Supports that hold nothing yet.
    pub fn new(mesh: BrickMesh) -> Self {
        Self { mesh, mask: vec![0; mesh.nodes()] }
    }

    /// Supports that hold every node of the face x = 0 in all directions.
    pub fn clamped_left(mesh: BrickMesh) -> Self {
        let mut supports = Self::new(mesh);
        let [_, ny, nz] = mesh.size();
        for z in 0..=nz {
            for y in 0..=ny {
                supports.fix(mesh.node(0, y, z), [true; 3]);
            }
        }
        supports
    }

    /// Holds `node` in the directions that are `true`, besides those that are held already. A node that the
    /// mesh does not have is ignored.
    pub fn fix(&mut self, node: usize, directions: [bool; 3]) {
        if let Some(mask) = self.mask.get_mut(node) {
            for (d, held) in directions.into_iter().enumerate() {
                *mask |= u8::from(held) << d;
            }
        }
    }

    /// The mesh they belong to.
    pub fn mesh(&self) -> BrickMesh {
        self.mesh
    }

    /// Whether `node` is held in `direction`.
    pub fn is_fixed(&self, node: usize, direction: usize) -> bool {
        self.mask.get(node).is_some_and(|mask| mask >> direction & 1 == 1)
    }

    /// Sets the entries of held degrees of freedom in `vector` to 0.
    pub(crate) fn clear<T: Default>(&self, vector: &mut [T]) {
        for (d, part) in vector.chunks_exact_mut(self.mask.len()).enumerate() {
            for (value, mask) in part.iter_mut().zip(&self.mask) {
                if mask >> d & 1 == 1 {
                    *value = T::default();
                }
            }
        }
    }
}
