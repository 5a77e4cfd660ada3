//! The structured grid of unit squares and its numbering.
//!
//! Nodes and elements are numbered column by column, each column from the top down (the numbering of the
//! 88-line code, Andreassen et al., SMO 43:1, 2011), so its published values can be compared entry by entry.
//! y points up.

use glam::{DVec2, UVec2};

use crate::error::{Error, Result};

/// The grid of nelx × nely bilinear unit-square elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    size: UVec2,
}

impl Grid {
    /// The largest number of elements per side that is accepted: beyond it a direct solver is hopeless
    /// anyway.
    pub const MAX_SIDE: u32 = 16_384;

    /// The largest number of elements that is accepted.
    pub const MAX_ELEMENTS: u64 = 1 << 22;

    /// A grid of `nelx` columns and `nely` rows.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) unless both are in 1..=16384.
    pub fn new(nelx: u32, nely: u32) -> Result<Self> {
        if nelx == 0 || nely == 0 || nelx > Self::MAX_SIDE || nely > Self::MAX_SIDE {
            return Err(Error::invalid(
                "the size",
                format!("{nelx}x{nely}"),
                format!("1 to {} elements per side", Self::MAX_SIDE),
            ));
        }
        let elements = u64::from(nelx) * u64::from(nely);
        if elements > Self::MAX_ELEMENTS {
            return Err(Error::invalid(
                "the number of elements",
                format!("{elements} ({nelx}x{nely})"),
                format!("at most {} for the direct solver", Self::MAX_ELEMENTS),
            ));
        }
        Ok(Self { size: UVec2::new(nelx, nely) })
    }

    /// The number of columns of elements.
    pub fn nelx(&self) -> usize {
        self.size.x as usize
    }

    /// The number of rows of elements.
    pub fn nely(&self) -> usize {
        self.size.y as usize
    }

    /// The number of elements, columns times rows.
    pub fn elements(&self) -> usize {
        self.nelx() * self.nely()
    }

    /// The number of degrees of freedom, two per node.
    pub fn dofs(&self) -> usize {
        2 * (self.nelx() + 1) * (self.nely() + 1)
    }

    /// The node in column `ix` (0 at the left) and row `iy` (0 at the top).
    pub fn node(&self, ix: usize, iy: usize) -> usize {
        ix * (self.nely() + 1) + iy
    }

    /// The coordinates of node `node`, in element sides from the lower left corner.
    pub fn position(&self, node: usize) -> DVec2 {
        let rows = self.nely() + 1;
        DVec2::new((node / rows) as f64, (self.nely() - node % rows) as f64)
    }

    /// The eight degrees of freedom of element `e`: (x, y) of its lower left, lower right, upper right and
    /// upper left node.
    pub fn element_dofs(&self, e: usize) -> [usize; 8] {
        let (ix, iy) = (e / self.nely(), e % self.nely());
        let [ll, lr, ur, ul] =
            [self.node(ix, iy + 1), self.node(ix + 1, iy + 1), self.node(ix + 1, iy), self.node(ix, iy)];
        [2 * ll, 2 * ll + 1, 2 * lr, 2 * lr + 1, 2 * ur, 2 * ur + 1, 2 * ul, 2 * ul + 1]
    }
}
