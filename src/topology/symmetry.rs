//! Mirror symmetry of structures and of their designs.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::boundary::{Boundary, CaseForces};
use super::mesh::Mesh;

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
    /// The front and the back half are mirror images, whatever the loads are; in three dimensions.
    Z,
    /// All four quarters are mirror images, left to right and top to bottom, whatever the loads are.
    Both,
    /// All eight eighths are mirror images, whatever the loads are; in three dimensions.
    All,
}

/// The mirror images that designs on a mesh are kept equal to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mirrors {
    mesh: Mesh,
    /// Whether there is a mirror that swaps left and right, one that swaps up and down, and one that swaps
    /// front and back.
    axes: [bool; 3],
}

/// The number of elements that one task passes over.
const BLOCK: usize = 1 << 14;

impl Mirrors {
    /// The mirrors that `symmetry` asks for; `has_symmetric_regions` tells whether the passive elements are
    /// their own images under a map of element numbers.
    pub(super) fn new(
        symmetry: Symmetry,
        mesh: Mesh,
        boundary: &Boundary,
        has_symmetric_regions: impl Fn(&dyn Fn(usize) -> usize) -> bool,
    ) -> Self {
        let mut axes = match symmetry {
            Symmetry::None => [false; 3],
            Symmetry::X => [true, false, false],
            Symmetry::Y => [false, true, false],
            Symmetry::Z => [false, false, true],
            Symmetry::Both => [true, true, false],
            Symmetry::All => [true; 3],
            Symmetry::Auto => [0, 1, 2].map(|axis| {
                axis < mesh.dimension()
                    && is_mirrored(&mesh, boundary, axis)
                    && has_symmetric_regions(&|e| mesh.mirrored_element(e, axis))
            }),
        };
        axes[2] &= mesh.dimension() == 3;
        Self { mesh, axes }
    }

    /// The axes that are kept.
    pub(super) fn axes(&self) -> [bool; 3] {
        self.axes
    }

    /// Whether any symmetry is kept.
    pub(super) fn any(&self) -> bool {
        self.axes != [false; 3]
    }

    /// Replaces a field on the elements by the mean of itself and of its mirror images, exactly symmetric.
    pub(super) fn symmetrize(&self, field: &mut [f64]) {
        for axis in (0..3).filter(|axis| self.axes[*axis]) {
            let given = field.to_vec();
            field.par_chunks_mut(BLOCK).enumerate().for_each(|(block, field)| {
                for (k, value) in field.iter_mut().enumerate() {
                    let image = self.mesh.mirrored_element(block * BLOCK + k, axis);
                    *value = 0.5 * (*value + given[image]);
                }
            });
        }
    }
}

/// The mirror image of a degree of freedom, and the sign that its value gets.
fn mirrored_dof(mesh: &Mesh, dof: usize, mirror: usize) -> (usize, f64) {
    let (node, axis) = mesh.node_and_axis(dof);
    (mesh.dof(mesh.mirrored_node(node, mirror), axis), if axis == mirror { -1.0 } else { 1.0 })
}

/// What a load case does, written so that equal ones are equal: forces added up by degree of freedom, their
/// weight and gravity. A load case and its negative count as equal, for they have the same compliance.
fn normal(
    forces: impl Iterator<Item = (usize, f64)>,
    gravity: [f64; 3],
    weight: f64,
) -> (Vec<(usize, f64)>, [f64; 3], f64) {
    let mut sums = std::collections::BTreeMap::new();
    forces.for_each(|(dof, force)| *sums.entry(dof).or_insert(0.0) += force);
    sums.retain(|_, force| *force != 0.0);
    let mut all = sums.values().chain(&gravity);
    let sign = all.find(|force| **force != 0.0).map_or(1.0, |force| force.signum());
    // Zero has one sign only.
    (
        sums.into_iter().map(|(dof, force)| (dof, sign * force)).collect(),
        gravity.map(|g| sign * g + 0.0),
        weight,
    )
}

/// Whether supports and load cases are their own mirror images.
fn is_mirrored(mesh: &Mesh, boundary: &Boundary, axis: usize) -> bool {
    let mut image: Vec<usize> = boundary.fixed.iter().map(|dof| mirrored_dof(mesh, *dof, axis).0).collect();
    image.sort_unstable();
    let of = |case: &CaseForces| normal(case.forces.iter().copied(), case.gravity, case.weight);
    let mut unmatched: Vec<_> = boundary.cases.iter().map(of).collect();
    boundary.fixed == image
        && boundary.cases.iter().all(|case| {
            let mut gravity = case.gravity;
            gravity[axis] *= -1.0;
            let forces = case.forces.iter().map(|(dof, force)| {
                let (dof, sign) = mirrored_dof(mesh, *dof, axis);
                (dof, sign * force)
            });
            let image = normal(forces, gravity, case.weight);
            let found = unmatched.iter().position(|case| *case == image);
            found.map(|at| unmatched.swap_remove(at)).is_some()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Preset, Structure};

    fn mirrors(preset: Preset, elements: &[u32], symmetry: Symmetry, regions: bool) -> [bool; 3] {
        let structure = Structure::preset(preset, elements).unwrap();
        let mesh = Mesh::new(elements).unwrap();
        let boundary = Boundary::new(&structure, mesh, |_| true).unwrap();
        Mirrors::new(symmetry, mesh, &boundary, |_| regions).axes
    }

    #[test]
    fn presets_have_the_symmetries_of_their_loads() {
        for elements in [[12, 6], [13, 7]] {
            let auto = |preset| mirrors(preset, &elements, Symmetry::Auto, true);
            assert_eq!(auto(Preset::TwoLoadBridge), [true, false, false]);
            assert_eq!(auto(Preset::CantileverTwoLoads), [false, true, false]);
            for preset in [Preset::Mbb, Preset::Cantilever, Preset::LBracket] {
                assert_eq!(auto(preset), [false; 3], "{preset:?}");
            }
        }
        let held = |symmetry, regions: bool| mirrors(Preset::TwoLoadBridge, &[6, 4], symmetry, regions);
        assert_eq!(held(Symmetry::Auto, false), [false; 3], "the passive regions are not symmetric");
        assert_eq!(held(Symmetry::Both, false), [true, true, false], "what is asked for is kept");
        assert_eq!(held(Symmetry::All, false), [true, true, false], "there is no third axis");
        assert_eq!(held(Symmetry::None, true), [false; 3]);
        for elements in [[12, 6, 4], [13, 7, 5]] {
            let auto = |preset| mirrors(preset, &elements, Symmetry::Auto, true);
            assert_eq!(auto(Preset::Cantilever), [false, false, true]);
            assert_eq!(auto(Preset::Mbb), [false; 3]);
            assert_eq!(auto(Preset::Bridge), [true, false, true]);
            assert_eq!(auto(Preset::Torsion), [false, true, true], "a mirrored couple is its negative");
        }
    }

    #[test]
    fn fields_become_exactly_symmetric_and_symmetric_ones_stay() {
        for (elements, axes, count) in [
            (&[5, 4][..], [true, false, false], 1),
            (&[5, 4], [false, true, false], 1),
            (&[5, 4], [true, true, false], 2),
            (&[3, 4, 5], [true, false, true], 2),
        ] {
            let mesh = Mesh::new(elements).unwrap();
            let field: Vec<f64> = (0..mesh.elements()).map(|e| (e as f64 * 0.7).sin()).collect();
            let mirrors = Mirrors { mesh, axes };
            let mut mean = field.clone();
            mirrors.symmetrize(&mut mean);
            for axis in (0..3).filter(|axis| axes[*axis]) {
                let image = |e| mesh.mirrored_element(e, axis);
                assert!((0..mean.len()).all(|e| mean[e] == mean[image(e)]), "{axes:?}");
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
