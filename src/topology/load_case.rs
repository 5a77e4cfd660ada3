//! Supports and loads: the classical test structures.

use super::grid::Grid;

/// A named structure: where it is held and where it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// Half of the Messerschmitt-Bölkow-Blohm beam: symmetry (u_x = 0) at the left edge, u_y = 0 at the lower right
    /// corner, unit load down at the upper left node.
    Mbb,
    /// Left edge clamped, unit load down at the lower right corner (Sigmund's 99-line cantilever).
    Cantilever,
}

/// Supports and nodal forces on a [`Grid`].
#[derive(Debug, Clone, PartialEq)]
pub struct LoadCase {
    /// Degrees of freedom held at zero.
    pub fixed: Vec<usize>,
    /// (degree of freedom, force).
    pub forces: Vec<(usize, f64)>,
}

impl LoadCase {
    /// The supports and loads of `preset` on `grid`.
    pub fn preset(preset: Preset, grid: &Grid) -> Self {
        let left = (0..=grid.nely()).map(|iy| grid.node(0, iy));
        let lower_right = grid.node(grid.nelx(), grid.nely());
        match preset {
            Preset::Mbb => Self { fixed: left.map(|n| 2 * n).chain([2 * lower_right + 1]).collect(), forces: vec![(2 * grid.node(0, 0) + 1, -1.0)] },
            Preset::Cantilever => Self { fixed: left.flat_map(|n| [2 * n, 2 * n + 1]).collect(), forces: vec![(2 * lower_right + 1, -1.0)] },
        }
    }
}
