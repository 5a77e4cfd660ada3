//! Supports and loads: the classical test structures.

use super::grid::Grid;
use super::passive::{PassiveRegion, Shape};
use crate::error::{Error, Result};

/// A named structure: its supports, its loads, and the part of the rectangle that it may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Preset {
    /// Half of the Messerschmitt-Bölkow-Blohm beam: symmetry (u_x = 0) at the left edge, u_y = 0 at the lower
    /// right corner, unit load down at the upper left node.
    Mbb,
    /// Left edge clamped, unit load down at the lower right corner (Sigmund's 99-line cantilever).
    Cantilever,
    /// Left edge clamped, two load cases: unit load down at the lower right corner, unit load up at the upper
    /// right one (Sigmund 2001, §4.2; Andreassen et al. 2011).
    CantileverTwoLoads,
    /// The L: void for x > 0.4 width and y > 0.4 height, the upper edge of the leg clamped, unit load down at
    /// the upper corner of the arm's right end. The classical bracket has as many columns as rows, at least
    /// 2.
    LBracket,
    /// Both lower corners held (u = 0), two load cases: unit load down on the lower edge, at one third and at
    /// two thirds of its length (the nearest nodes, mirror images of each other). At least 2 columns.
    TwoLoadBridge,
}

/// The width of the L-bracket's leg and the height of its arm, in parts of the domain.
const L_BRACKET: f64 = 0.4;

impl Preset {
    /// The regions that are no part of the structure's design.
    pub fn passive(self) -> Vec<PassiveRegion> {
        match self {
            Self::LBracket => vec![PassiveRegion::Void(Shape::Rectangle {
                lower: (L_BRACKET, L_BRACKET),
                upper: (1.0, 1.0),
            })],
            Self::Mbb | Self::Cantilever | Self::CantileverTwoLoads | Self::TwoLoadBridge => Vec::new(),
        }
    }

    /// Refuses grids on which the structure would be a mechanism or its loads would rest on the supports.
    pub(super) fn check_size(self, grid: &Grid) -> Result<()> {
        let least = match self {
            Self::Mbb | Self::Cantilever | Self::CantileverTwoLoads => (1, 1),
            Self::LBracket => (2, 2),
            Self::TwoLoadBridge => (2, 1),
        };
        if grid.nelx() < least.0 || grid.nely() < least.1 {
            let size = format!("{}x{}", grid.nelx(), grid.nely());
            return Err(Error::invalid(
                "the size",
                size,
                format!("at least {}x{} for this structure", least.0, least.1),
            ));
        }
        Ok(())
    }
}

/// Supports and nodal forces on a [`Grid`].
#[derive(Debug, Clone, PartialEq)]
pub struct LoadCase {
    /// The degrees of freedom that are held at zero.
    pub fixed: Vec<usize>,
    /// One list of (degree of freedom, force) for each load case; they act one at a time, not together.
    pub forces: Vec<Vec<(usize, f64)>>,
}

impl LoadCase {
    /// The supports and loads of `preset` on `grid`.
    pub fn preset(preset: Preset, grid: &Grid) -> Self {
        let (nelx, nely) = (grid.nelx(), grid.nely());
        let clamp = |node: usize| [2 * node, 2 * node + 1];
        let up = |node: usize, force: f64| vec![(2 * node + 1, force)];
        let left = (0..=nely).map(|iy| grid.node(0, iy));
        let lower_right = grid.node(nelx, nely);
        match preset {
            Preset::Mbb => Self {
                fixed: left.map(|n| 2 * n).chain([2 * lower_right + 1]).collect(),
                forces: vec![up(grid.node(0, 0), -1.0)],
            },
            Preset::Cantilever => {
                Self { fixed: left.flat_map(clamp).collect(), forces: vec![up(lower_right, -1.0)] }
            }
            Preset::CantileverTwoLoads => Self {
                fixed: left.flat_map(clamp).collect(),
                forces: vec![up(lower_right, -1.0), up(grid.node(nelx, 0), 1.0)],
            },
            Preset::LBracket => {
                // The numbers of columns and rows whose elements have their centres outside the void.
                let kept = |n: usize| (L_BRACKET * n as f64).round() as usize;
                let leg = (0..=kept(nelx)).map(|ix| grid.node(ix, 0));
                Self {
                    fixed: leg.flat_map(clamp).collect(),
                    forces: vec![up(grid.node(nelx, nely - kept(nely)), -1.0)],
                }
            }
            Preset::TwoLoadBridge => {
                let third = (nelx as f64 / 3.0).round() as usize;
                let lower = |ix: usize| grid.node(ix, nely);
                Self {
                    fixed: [lower(0), lower_right].into_iter().flat_map(clamp).collect(),
                    forces: vec![up(lower(third), -1.0), up(lower(nelx - third), -1.0)],
                }
            }
        }
    }
}
