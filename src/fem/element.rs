//! The stiffness of one brick with 8 nodes, and what its mirror symmetries make of it.

#![expect(clippy::needless_range_loop, reason = "indices are those of the formula")]

use crate::error::{Error, Result};

/// A 24×24 matrix. Row and column 3 k + d belong to corner k and direction d.
pub type Matrix = [[f64; 24]; 24];

/// The stiffness K₀ of a brick a×b×c of modulus 1: trilinear shape functions, isotropic material, 2×2×2 Gauss
/// points, which integrate exactly.
///
/// K₀ commutes with the three reflections of the brick. In the basis of Walsh–Hadamard modes, mode m of
/// direction d being û = Σ_k (−1)^{|k ∧ m|} u_k over the corners k, it falls into eight blocks of 3×3: modes
/// m and m' of directions d and d' are coupled only where m xor 2^d = m' xor 2^{d'} =: s. Block s is
/// B_s = HᵀK₀H/64 restricted to it, and K₀ = H B Hᵀ.
///
/// Units: those of the sides; a modulus E multiplies K₀. Precision: f64.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    sides: [f64; 3],
    stiffness: Box<Matrix>,
    blocks: [[[f64; 3]; 3]; 8],
}

impl Element {
    /// The element with these sides along x, y and z, and Poisson's ratio ν.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when a side is not positive and finite, or when ν is
    /// not between −1 and 0.5.
    pub fn new(sides: [f64; 3], poisson_ratio: f64) -> Result<Self> {
        if !sides.iter().all(|s| *s > 0.0 && s.is_finite()) {
            return Err(Error::invalid(
                "the sides of an element",
                format!("{sides:?}"),
                "positive and finite",
            ));
        }
        if !(poisson_ratio > -1.0 && poisson_ratio < 0.5) {
            return Err(Error::invalid("Poisson's ratio", poisson_ratio, "above -1 and below 0.5"));
        }
        let stiffness = Box::new(stiffness(sides, poisson_ratio));
        let modal = to_modes(&stiffness);
        let mut blocks = [[[0.0; 3]; 3]; 8];
        for (s, block) in blocks.iter_mut().enumerate() {
            for (a, row) in block.iter_mut().enumerate() {
                for (b, entry) in row.iter_mut().enumerate() {
                    *entry = modal[3 * (s ^ (1 << a)) + a][3 * (s ^ (1 << b)) + b];
                }
            }
        }
        Ok(Self { sides, stiffness, blocks })
    }

    /// The sides along x, y and z.
    pub fn sides(&self) -> [f64; 3] {
        self.sides
    }

    /// K₀; row and column 3 k + d belong to corner k and direction d.
    pub fn stiffness(&self) -> &Matrix {
        &self.stiffness
    }

    /// The eight blocks B_s; row and column d of block s belong to mode s xor 2^d of direction d.
    pub(crate) fn blocks(&self) -> &[[[f64; 3]; 3]; 8] {
        &self.blocks
    }
}

/// The sign of corner k in mode m, (−1)^{|k ∧ m|}.
pub(super) fn sign(m: usize, k: usize) -> f64 {
    if (m & k).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// HᵀKH/64: the matrix for modal displacements û = H u, with uᵀKu = ûᵀK̂û.
pub(super) fn to_modes(matrix: &Matrix) -> Matrix {
    let mut modal = transform(matrix);
    for entry in modal.as_flattened_mut() {
        *entry /= 64.0;
    }
    modal
}

/// H K̂ Hᵀ: the matrix for displacements of corners, the inverse of [`to_modes`].
pub(super) fn to_corners(modal: &Matrix) -> Matrix {
    transform(modal)
}

/// H M Hᵀ, with H the unnormalised Walsh–Hadamard matrix of the corners: three steps of sums and differences
/// on the rows, then on the columns.
fn transform(matrix: &Matrix) -> Matrix {
    let mut once = *matrix;
    butterflies(&mut once);
    let mut twice = transpose(&once);
    butterflies(&mut twice);
    transpose(&twice)
}

fn butterflies(rows: &mut Matrix) {
    for bit in [1, 2, 4] {
        for m in (0..8).filter(|m| m & bit == 0) {
            for d in 0..3 {
                let (low, high) = (3 * m + d, 3 * (m | bit) + d);
                for column in 0..24 {
                    let (a, b) = (rows[low][column], rows[high][column]);
                    rows[low][column] = a + b;
                    rows[high][column] = a - b;
                }
            }
        }
    }
}

fn transpose(matrix: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| matrix[j][i]))
}

/// ∫ BᵀCB over the brick, with engineering shear strains in the order xy, yz, xz.
fn stiffness(sides: [f64; 3], nu: f64) -> Matrix {
    let lame = nu / ((1.0 + nu) * (1.0 - 2.0 * nu));
    let shear = 0.5 / (1.0 + nu);
    let mut law = [[0.0; 6]; 6];
    for i in 0..3 {
        for j in 0..3 {
            law[i][j] = lame;
        }
        law[i][i] += 2.0 * shear;
        law[i + 3][i + 3] = shear;
    }
    let gauss = 1.0 / 3.0_f64.sqrt();
    let weight = sides.iter().product::<f64>() / 8.0;
    let mut matrix = [[0.0; 24]; 24];
    for point in 0..8 {
        let xi: [f64; 3] = std::array::from_fn(|d| if point >> d & 1 == 1 { gauss } else { -gauss });
        let mut strain = [[0.0; 24]; 6];
        for k in 0..8 {
            let corner: [f64; 3] = std::array::from_fn(|d| if k >> d & 1 == 1 { 1.0 } else { -1.0 });
            let slope: [f64; 3] = std::array::from_fn(|d| {
                let others = (0..3).filter(|e| *e != d).map(|e| 1.0 + corner[e] * xi[e]).product::<f64>();
                corner[d] * others / 8.0 * 2.0 / sides[d]
            });
            for d in 0..3 {
                strain[d][3 * k + d] = slope[d];
            }
            for (row, (a, b)) in [(0, 1), (1, 2), (0, 2)].into_iter().enumerate() {
                strain[row + 3][3 * k + a] = slope[b];
                strain[row + 3][3 * k + b] = slope[a];
            }
        }
        for i in 0..24 {
            for j in 0..24 {
                let mut sum = 0.0;
                for a in 0..6 {
                    for b in 0..6 {
                        sum += strain[a][i] * law[a][b] * strain[b][j];
                    }
                }
                matrix[i][j] += weight * sum;
            }
        }
    }
    matrix
}
