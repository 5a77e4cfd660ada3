//! Regions whose density is given, whatever the design is.

use glam::DVec2;

use super::grid::Grid;
use crate::error::{Error, Result};

/// A part of the domain; an element belongs to it if its centre lies inside. Coordinates run from the lower
/// left corner, in parts of the domain's width and height, so that a shape means the same on every grid.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Shape {
    /// A rectangle, given by two corners.
    Rectangle {
        /// The lower left corner (x, y).
        lower: (f64, f64),
        /// The upper right corner (x, y).
        upper: (f64, f64),
    },
    /// A disc, which is round whatever the domain's proportions are.
    Disc {
        /// The centre (x, y) of the disc.
        centre: (f64, f64),
        /// The radius of the disc in parts of the domain's *height*.
        radius: f64,
    },
}

impl Shape {
    fn validate(&self) -> Result<()> {
        let valid = match *self {
            Self::Rectangle { lower, upper } => {
                [lower.0, lower.1, upper.0, upper.1].iter().all(|v| v.is_finite())
                    && lower.0 < upper.0
                    && lower.1 < upper.1
            }
            Self::Disc { centre, radius } => {
                centre.0.is_finite() && centre.1.is_finite() && radius.is_finite() && radius > 0.0
            }
        };
        if valid {
            Ok(())
        } else {
            Err(Error::invalid("a passive region", format!("{self:?}"), "finite and not empty"))
        }
    }

    /// Whether the point `at`, in element sides, lies inside.
    fn contains(&self, at: DVec2, size: DVec2) -> bool {
        match *self {
            Self::Rectangle { lower, upper } => {
                let at = at / size;
                lower.0 < at.x && at.x < upper.0 && lower.1 < at.y && at.y < upper.1
            }
            // A centre on the circle counts as outside, however the coordinates were rounded.
            Self::Disc { centre, radius } => {
                at.distance_squared(DVec2::from(centre) * size) < (radius * size.y).powi(2) * (1.0 - 1e-9)
            }
        }
    }
}

/// A region that is no part of the design: its physical density is 0 or 1.
///
/// A cantilever with a round hole and a solid flange along its upper edge:
/// ```
/// use lgf::engine::CpuEngine;
/// use lgf::topology::{Compliance, ComplianceConfig, FilterKind, PassiveRegion, Preset, Recipe, Shape};
///
/// # fn main() -> lgf::Result<()> {
/// let hole = PassiveRegion::Void(Shape::Disc { centre: (0.35, 0.5), radius: 0.25 });
/// let flange = PassiveRegion::Solid(Shape::Rectangle { lower: (0.0, 0.9), upper: (1.0, 1.0) });
/// let base = ComplianceConfig::mbb(30, 20, FilterKind::Density);
/// let config = ComplianceConfig { preset: Preset::Cantilever, passive: vec![hole, flange], ..base };
/// let mut problem = Compliance::new(config)?;
/// let solution = Recipe::default().solve(&mut problem, CpuEngine::new(), ())?;
/// let density = problem.physical_density(&solution.design);
/// // Elements are numbered by columns, from the top: the tenth column's middle and upper end.
/// let column = 10 * problem.grid().nely();
/// assert_eq!((density[column + 10], density[column]), (0.0, 1.0));
/// assert!(solution.volume < 0.5 + 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PassiveRegion {
    /// ρ = 0: a hole, or the outside of a domain that is no rectangle.
    Void(Shape),
    /// ρ = 1: a flange, a deck.
    Solid(Shape),
}

impl PassiveRegion {
    /// The circular hole of the 99- and 88-line codes' passive example: the elements in column i and row j,
    /// both counted from 1 at the upper left, with (i − nelx/3)² + (j − nely/2)² < (nely/3)².
    ///
    /// The published test takes the numbers i and j for coordinates, so the hole sits half an element left of
    /// and above the point (1/3, 1/2). Source: Sigmund, *A 99 line topology optimization code written in
    /// Matlab*, SMO 21 (2001) 120–127, §4.3; Andreassen et al. 2011.
    pub fn classic_hole(nelx: u32, nely: u32) -> Self {
        let centre = (1.0 / 3.0 - 0.5 / f64::from(nelx), 0.5 + 0.5 / f64::from(nely));
        Self::Void(Shape::Disc { centre, radius: 1.0 / 3.0 })
    }

    fn shape(&self) -> &Shape {
        match self {
            Self::Void(shape) | Self::Solid(shape) => shape,
        }
    }

    fn density(&self) -> f64 {
        match self {
            Self::Void(_) => 0.0,
            Self::Solid(_) => 1.0,
        }
    }
}

/// The given density of every element, if it has one.
#[derive(Debug, Clone)]
pub(super) struct PassiveElements {
    given: Vec<Option<f64>>,
    active: usize,
    solid: usize,
}

impl PassiveElements {
    /// Where regions overlap, the last one counts.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a region that is empty or not finite, and if no
    /// element is left to design.
    pub(super) fn new(grid: &Grid, regions: &[PassiveRegion]) -> Result<Self> {
        regions.iter().try_for_each(|region| region.shape().validate())?;
        let size = DVec2::new(grid.nelx() as f64, grid.nely() as f64);
        let given: Vec<Option<f64>> = (0..grid.elements())
            .map(|e| {
                let (column, row) = (e / grid.nely(), e % grid.nely());
                let centre = DVec2::new(column as f64 + 0.5, size.y - row as f64 - 0.5);
                regions
                    .iter()
                    .rev()
                    .find(|region| region.shape().contains(centre, size))
                    .map(PassiveRegion::density)
            })
            .collect();
        let active = given.iter().filter(|g| g.is_none()).count();
        let solid = given.iter().filter(|g| **g == Some(1.0)).count();
        if active == 0 {
            return Err(Error::invalid(
                "the number of elements outside the passive regions",
                0,
                "at least 1",
            ));
        }
        Ok(Self { given, active, solid })
    }

    /// Whether the element may have material: it is designed or solid.
    pub(super) fn may_be_solid(&self, e: usize) -> bool {
        self.given[e] != Some(0.0)
    }

    /// Whether element `mirrored(e)` has the given density of element e, for all of them.
    pub(super) fn is_symmetric(&self, mirrored: impl Fn(usize) -> usize) -> bool {
        (0..self.given.len()).all(|e| self.given[e] == self.given[mirrored(e)])
    }

    /// The number of elements that are designed.
    pub(super) fn active(&self) -> usize {
        self.active
    }

    /// The number of elements that are solid whatever the design is.
    pub(super) fn solid(&self) -> usize {
        self.solid
    }

    /// Whether every element is designed.
    pub(super) fn is_empty(&self) -> bool {
        self.active == self.given.len()
    }

    pub(super) fn is_active(&self, e: usize) -> bool {
        self.given[e].is_none()
    }

    /// The values of the designed elements.
    pub(super) fn active_values<'a>(&'a self, values: &'a [f64]) -> impl Iterator<Item = f64> + Clone + 'a {
        self.given.iter().zip(values).filter(|(g, _)| g.is_none()).map(|(_, v)| *v)
    }

    /// Writes the given densities into the passive elements.
    pub(super) fn impose(&self, density: &mut [f64]) {
        for (rho, given) in density.iter_mut().zip(&self.given) {
            *rho = given.unwrap_or(*rho);
        }
    }

    /// Zeroes the passive elements' entries: a given density has no slope.
    pub(super) fn clear(&self, values: &mut [f64]) {
        for (v, given) in values.iter_mut().zip(&self.given) {
            if given.is_some() {
                *v = 0.0;
            }
        }
    }
}
