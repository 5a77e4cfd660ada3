//! Mirror symmetry of structures and of their designs.

use serde::{Deserialize, Serialize};

use super::grid::Grid;
use super::load_case::LoadCase;

/// Which halves of the domain are kept mirror images of each other.
///
/// A symmetric problem has symmetric gradients at symmetric designs, but rounding and learned models lose the
/// symmetry, as other layouts lie close by. Kept, the design is the mean of itself and of its mirror image
/// wherever it is used, and so is the gradient: the objective is x ↦ c((x + Mx)/2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symmetry {
    /// The symmetries that the problem itself has: its supports, its passive regions, and the set of its load
    /// cases, up to their signs.
    #[default]
    Auto,
    /// No symmetry is kept.
    None,
    /// The left and the right half are mirror images, whatever the loads are.
    X,
    /// The upper and the lower half are mirror images, whatever the loads are.
    Y,
    /// All four quarters are mirror images, whatever the loads are.
    Both,
}

/// The mirror images that designs on a grid are kept equal to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mirrors {
    grid: Grid,
    /// Whether there is a mirror that swaps left and right, and one that swaps up and down.
    axes: [bool; 2],
}

impl Mirrors {
    /// The mirrors that `symmetry` asks for; `has_symmetric_regions` tells whether the passive elements are
    /// their own images under a map of element numbers.
    pub(super) fn new(
        symmetry: Symmetry,
        grid: Grid,
        load_case: &LoadCase,
        has_symmetric_regions: impl Fn(&dyn Fn(usize) -> usize) -> bool,
    ) -> Self {
        let axes = match symmetry {
            Symmetry::None => [false, false],
            Symmetry::X => [true, false],
            Symmetry::Y => [false, true],
            Symmetry::Both => [true, true],
            Symmetry::Auto => [0, 1].map(|axis| {
                is_mirrored(&grid, load_case, axis)
                    && has_symmetric_regions(&|e| mirrored_element(&grid, e, axis))
            }),
        };
        Self { grid, axes }
    }

    /// Whether any symmetry is kept.
    pub(super) fn any(&self) -> bool {
        self.axes != [false, false]
    }

    /// Replaces a field on the elements by the mean of itself and of its mirror images, exactly symmetric.
    pub(super) fn symmetrize(&self, field: &mut [f64]) {
        for axis in (0..2).filter(|axis| self.axes[*axis]) {
            for e in 0..field.len() {
                let image = mirrored_element(&self.grid, e, axis);
                if e < image {
                    let mean = 0.5 * (field[e] + field[image]);
                    (field[e], field[image]) = (mean, mean);
                }
            }
        }
    }
}

/// The mirror image of element `e`: left and right are swapped with axis 0, up and down with axis 1.
fn mirrored_element(grid: &Grid, e: usize, axis: usize) -> usize {
    let (column, row) = (e / grid.nely(), e % grid.nely());
    if axis == 0 { (grid.nelx() - 1 - column) * grid.nely() + row } else { e - row + grid.nely() - 1 - row }
}

/// The mirror image of a degree of freedom, and the sign that its value gets.
fn mirrored_dof(grid: &Grid, dof: usize, axis: usize) -> (usize, f64) {
    let (node, component) = (dof / 2, dof % 2);
    let (ix, iy) = (node / (grid.nely() + 1), node % (grid.nely() + 1));
    let image = if axis == 0 { grid.node(grid.nelx() - ix, iy) } else { grid.node(ix, grid.nely() - iy) };
    (2 * image + component, if component == axis { -1.0 } else { 1.0 })
}

/// Whether supports and load cases are their own mirror images. A load case and its negative count as equal,
/// for they have the same compliance.
fn is_mirrored(grid: &Grid, load_case: &LoadCase, axis: usize) -> bool {
    let sorted = |mut values: Vec<usize>| {
        values.sort_unstable();
        values.dedup();
        values
    };
    let fixed = sorted(load_case.fixed.clone());
    let image = sorted(fixed.iter().map(|dof| mirrored_dof(grid, *dof, axis).0).collect());
    // Forces are added up by degree of freedom and written with the first sign positive.
    let normal = |forces: &mut dyn Iterator<Item = (usize, f64)>| {
        let mut sums = std::collections::BTreeMap::new();
        forces.for_each(|(dof, force)| *sums.entry(dof).or_insert(0.0) += force);
        sums.retain(|_, force| *force != 0.0);
        let sign = sums.values().next().map_or(1.0, |force: &f64| force.signum());
        sums.into_iter().map(|(dof, force)| (dof, sign * force)).collect::<Vec<_>>()
    };
    let cases: Vec<_> = load_case.forces.iter().map(|f| normal(&mut f.iter().copied())).collect();
    let mut unmatched = cases.clone();
    fixed == image
        && load_case.forces.iter().all(|forces| {
            let image = normal(&mut forces.iter().map(|(dof, force)| {
                let (dof, sign) = mirrored_dof(grid, *dof, axis);
                (dof, sign * force)
            }));
            let found = unmatched.iter().position(|case| *case == image);
            found.map(|at| unmatched.swap_remove(at)).is_some()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Preset;

    fn auto(preset: Preset, nelx: u32, nely: u32) -> [bool; 2] {
        let grid = Grid::new(nelx, nely).unwrap();
        Mirrors::new(Symmetry::Auto, grid, &LoadCase::preset(preset, &grid), |_| true).axes
    }

    #[test]
    fn presets_have_the_symmetries_of_their_loads() {
        for (nelx, nely) in [(12, 6), (13, 7)] {
            assert_eq!(auto(Preset::TwoLoadBridge, nelx, nely), [true, false]);
            assert_eq!(auto(Preset::CantileverTwoLoads, nelx, nely), [false, true]);
            for preset in [Preset::Mbb, Preset::Cantilever, Preset::LBracket] {
                assert_eq!(auto(preset, nelx, nely), [false, false], "{preset:?}");
            }
        }
        let grid = Grid::new(6, 4).unwrap();
        let held = |symmetry, regions: bool| {
            Mirrors::new(symmetry, grid, &LoadCase::preset(Preset::TwoLoadBridge, &grid), |_| regions).axes
        };
        assert_eq!(held(Symmetry::Auto, false), [false, false], "the passive regions are not symmetric");
        assert_eq!(held(Symmetry::Both, false), [true, true], "what is asked for is kept");
        assert_eq!(held(Symmetry::None, true), [false, false]);
    }

    #[test]
    fn fields_become_exactly_symmetric_and_symmetric_ones_stay() {
        let grid = Grid::new(5, 4).unwrap();
        let field: Vec<f64> = (0..20).map(|e| (e as f64 * 0.7).sin()).collect();
        for (axes, count) in [([true, false], 1), ([false, true], 1), ([true, true], 2)] {
            let mirrors = Mirrors { grid, axes };
            let mut mean = field.clone();
            mirrors.symmetrize(&mut mean);
            for axis in (0..2).filter(|axis| axes[*axis]) {
                assert!((0..20).all(|e| mean[e] == mean[mirrored_element(&grid, e, axis)]), "{axes:?}");
            }
            let again = mean.clone();
            mirrors.symmetrize(&mut mean);
            assert_eq!(mean, again);
            // Means keep the sum, to rounding.
            let sums = [&mean, &field].map(|f| f.iter().sum::<f64>());
            assert!((sums[0] - sums[1]).abs() < 1e-13, "{sums:?} with {count} mirrors");
        }
    }
}
