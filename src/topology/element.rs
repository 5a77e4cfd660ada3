//! The four-node plane element.

use glam::{DMat2, DVec2};

use super::structure::PlaneState;

/// Stiffness matrix of the bilinear unit square in plane stress, unit Young's modulus and thickness:
/// K = ∫ Bᵀ D B over the square by 2×2 Gauss points, which is exact here.
///
/// Degrees of freedom as in [`Grid::element_dofs`](super::Grid::element_dofs). `nu` is Poisson's ratio.
/// Source: any finite-element text, e.g. Bathe, *Finite Element Procedures*, §5.3.
pub fn q4_plane_stress(nu: f64) -> [[f64; 8]; 8] {
    q4(1.0, nu, PlaneState::Stress)
}

/// The same for a rectangle that is `height` times as high as it is wide, which is all that its stiffness
/// depends on, in plane stress or strain.
pub(super) fn q4(height: f64, nu: f64, plane: PlaneState) -> [[f64; 8]; 8] {
    // Reference coordinates in [-1, 1]²; the element has the width 1, so the Jacobian is diag(1, height)/2.
    let corners =
        [DVec2::new(-1.0, -1.0), DVec2::new(1.0, -1.0), DVec2::new(1.0, 1.0), DVec2::new(-1.0, 1.0)];
    let inverse_jacobian = DMat2::from_diagonal(DVec2::new(2.0, 2.0 / height));
    let weight = 0.25 * height;
    let d = match plane {
        PlaneState::Stress => {
            let factor = 1.0 / (1.0 - nu * nu);
            [[factor, factor * nu, 0.0], [factor * nu, factor, 0.0], [0.0, 0.0, factor * (1.0 - nu) / 2.0]]
        }
        PlaneState::Strain => {
            let factor = 1.0 / ((1.0 + nu) * (1.0 - 2.0 * nu));
            let (stretch, cross) = (factor * (1.0 - nu), factor * nu);
            [[stretch, cross, 0.0], [cross, stretch, 0.0], [0.0, 0.0, 0.5 / (1.0 + nu)]]
        }
    };
    let mut k = [[0.0; 8]; 8];
    let gauss = 1.0 / 3.0_f64.sqrt();
    for point in corners.map(|c| c * gauss) {
        // Strain-displacement matrix B (3×8).
        let mut b = [[0.0; 8]; 3];
        for (node, corner) in corners.iter().enumerate() {
            let local =
                DVec2::new(corner.x * (1.0 + corner.y * point.y), corner.y * (1.0 + corner.x * point.x))
                    / 4.0;
            let gradient = inverse_jacobian * local;
            b[0][2 * node] = gradient.x;
            b[1][2 * node + 1] = gradient.y;
            b[2][2 * node] = gradient.y;
            b[2][2 * node + 1] = gradient.x;
        }
        for i in 0..8 {
            for j in 0..8 {
                for p in 0..3 {
                    for q in 0..3 {
                        k[i][j] += weight * b[p][i] * d[p][q] * b[q][j];
                    }
                }
            }
        }
    }
    // Symmetric to the last bit, so that the assembled lower triangle stands for both.
    std::array::from_fn(|i| std::array::from_fn(|j| k[i.max(j)][i.min(j)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closed form printed in the 99-line code (Sigmund, SMO 21:120, 2001), first row, times (1 − ν²).
    #[test]
    fn matches_the_published_closed_form() {
        for nu in [0.0, 0.3, 0.45] {
            let k = q4_plane_stress(nu);
            let row = [
                0.5 - nu / 6.0,
                0.125 + nu / 8.0,
                -0.25 - nu / 12.0,
                -0.125 + 3.0 * nu / 8.0,
                -0.25 + nu / 12.0,
                -0.125 - nu / 8.0,
                nu / 6.0,
                0.125 - 3.0 * nu / 8.0,
            ];
            for (computed, published) in k[0].iter().zip(row) {
                approx::assert_abs_diff_eq!(
                    computed * (1.0 - nu * nu),
                    published,
                    epsilon = 8.0 * f64::EPSILON
                );
            }
        }
    }

    /// A rectangle under a uniform strain has the energy that the material law gives: ½ εᵀDε times its area.
    #[test]
    fn uniform_strains_have_the_energy_of_the_material_law() {
        for (height, nu, plane) in
            [(1.0, 0.3, PlaneState::Stress), (0.4, 0.2, PlaneState::Stress), (2.5, 0.3, PlaneState::Strain)]
        {
            let k = q4(height, nu, plane);
            let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, height), (0.0, height)];
            let stretch: Vec<f64> = corners.iter().flat_map(|(x, _)| [*x, 0.0]).collect();
            let shear: Vec<f64> = corners.iter().flat_map(|(_, y)| [*y, 0.0]).collect();
            let energy = |u: &[f64]| -> f64 { (0..64).map(|i| u[i / 8] * k[i / 8][i % 8] * u[i % 8]).sum() };
            let modulus = match plane {
                PlaneState::Stress => 1.0 / (1.0 - nu * nu),
                PlaneState::Strain => (1.0 - nu) / ((1.0 + nu) * (1.0 - 2.0 * nu)),
            };
            approx::assert_relative_eq!(energy(&stretch), modulus * height, epsilon = 1e-14);
            approx::assert_relative_eq!(energy(&shear), 0.5 / (1.0 + nu) * height, epsilon = 1e-14);
        }
    }

    #[test]
    fn rigid_body_motions_cost_nothing() {
        let k = q4(0.7, 0.3, PlaneState::Strain);
        let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.7), (0.0, 0.7)];
        let rotation: Vec<f64> = corners.iter().flat_map(|(x, y)| [-y, *x]).collect();
        let translation: Vec<f64> = (0..8).map(|i| f64::from(i % 2 == 0)).collect();
        for motion in [rotation, translation] {
            for row in k {
                let force: f64 = row.iter().zip(&motion).map(|(a, b)| a * b).sum();
                assert!(force.abs() < 16.0 * f64::EPSILON, "a rigid motion makes force {force}");
            }
        }
    }
}
