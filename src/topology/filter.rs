//! The linear hat filter on densities or on sensitivities.

use rayon::prelude::*;

use super::grid::Grid;
use crate::error::{Error, Result};

/// What the filter smooths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterKind {
    /// ρ = H x / H1: the density is filtered and the chain rule is exact (Bruns & Tortorelli 2001).
    #[default]
    Density,
    /// ρ = x; the gradient is replaced by H(x ∘ g) / (H1 ∘ max(x, 10⁻³)): a heuristic (Sigmund 1997), not the
    /// gradient of any known function.
    Sensitivity,
}

/// H_ef = max(0, r − |centre_e − centre_f|), applied without being stored: the same small stencil for every
/// element.
///
/// Cost per application: d·π r² multiply-adds, 16 d bytes.
#[derive(Debug, Clone)]
pub struct HatFilter {
    grid: Grid,
    /// How far the filter reaches along x and y, in elements.
    reach: [usize; 2],
    /// Stencil weights, (2 reach + 1) along each axis, column by column.
    stencil: Vec<f64>,
    row_sums: Vec<f64>,
}

impl HatFilter {
    /// A filter with a radius of `radius` element sides, on squares.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) unless 0 < radius ≤ 1000. A radius up to 1 changes
    /// nothing.
    pub fn new(grid: Grid, radius: f64) -> Result<Self> {
        Self::on_rectangles(grid, 1.0, radius)
    }

    /// A filter with a radius of `radius` sides along x, on rectangles that are `height` such sides high.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) unless 0 < radius ≤ 1000.
    pub(super) fn on_rectangles(grid: Grid, height: f64, radius: f64) -> Result<Self> {
        if !(radius > 0.0 && radius <= 1000.0) {
            return Err(Error::invalid(
                "the filter radius",
                radius,
                "above 0 and at most 1000 element sides",
            ));
        }
        let reach = [1.0, height].map(|side| ((radius / side).ceil() as usize).saturating_sub(1));
        let [columns, rows] = reach.map(|reach| 2 * reach + 1);
        let stencil = (0..columns * rows)
            .map(|k| {
                let offset = glam::DVec2::new(
                    (k / rows) as f64 - reach[0] as f64,
                    height * ((k % rows) as f64 - reach[1] as f64),
                );
                (radius - offset.length()).max(0.0)
            })
            .collect();
        let mut filter = Self { grid, reach, stencil, row_sums: Vec::new() };
        filter.row_sums = filter.apply(&vec![1.0; grid.elements()]);
        Ok(filter)
    }

    /// The product H v; H is symmetric.
    pub fn apply(&self, v: &[f64]) -> Vec<f64> {
        let (nelx, nely, [reach, tall]) = (self.grid.nelx(), self.grid.nely(), self.reach);
        let side = 2 * tall + 1;
        let mut out = vec![0.0; v.len()];
        // Each column is summed by one thread in a fixed order: the result does not depend on the number of
        // threads.
        out.par_chunks_mut(nely).enumerate().for_each(|(ix, column)| {
            for jx in ix.saturating_sub(reach)..(ix + reach + 1).min(nelx) {
                let weights = &self.stencil[(jx + reach - ix) * side..][..side];
                let source = &v[jx * nely..][..nely];
                for (iy, sum) in column.iter_mut().enumerate() {
                    let (first, last) = (iy.saturating_sub(tall), (iy + tall + 1).min(nely));
                    let w = &weights[first + tall - iy..][..last - first];
                    *sum += w.iter().zip(&source[first..last]).map(|(w, s)| w * s).sum::<f64>();
                }
            }
        });
        out
    }

    /// The row sums H1.
    pub fn row_sums(&self) -> &[f64] {
        &self.row_sums
    }

    /// The filtered density H v / H1.
    pub fn smooth(&self, v: &[f64]) -> Vec<f64> {
        let mut out = self.apply(v);
        out.iter_mut().zip(&self.row_sums).for_each(|(o, s)| *o /= s);
        out
    }

    /// H (v / H1), the transpose of [`smooth`](Self::smooth): the chain rule for gradients.
    pub fn smooth_transpose(&self, v: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = v.iter().zip(&self.row_sums).map(|(v, s)| v / s).collect();
        self.apply(&scaled)
    }
}
