//! Coarse operators Pᵀ K P, made of 24×24 matrices of coarse elements in the basis of Walsh–Hadamard modes.
//!
//! In that basis P is a product of three 2×2 matrices, one an axis: with the sum s and the difference d of
//! the two coarse ends, a child that covers [α, β] of its parent has the sum s + (1 − α − β) d and the
//! difference (β − α) d. So a coarse matrix comes from its children by sums of rows.
//!
//! The first coarse level needs no stored matrices: K₀ couples modes of one representation s only, and the
//! k-th Walsh–Hadamard mode of the children's moduli couples s with s xor k. Its element matrix is
//! K̂[i][j] = Ê[sᵢ xor sⱼ] C[i][j], with constant C and eight numbers Ê an element: 4 bytes a fine element
//! instead of 150. From the second level on, the lower triangle is stored: 1200 bytes for 64 fine elements.

#![expect(clippy::needless_range_loop, reason = "indices are those of the formula")]

use super::coarsening::Coarsening;
use super::element::{Element, Matrix, sign, to_corners, to_modes};
use super::lanes::{Lanes, Modes, Real, WIDTH};
use super::mesh::BrickMesh;
use super::rows::{Modal, Single};

/// The number of entries of a lower triangle with diagonal.
pub(crate) const TRIANGLE: usize = 300;

/// The representation of mode index i = 3 m + d, m xor 2^d.
fn representation(i: usize) -> usize {
    (i / 3) ^ (1 << (i % 3))
}

/// The matrices K̂ of a mesh. A trait and no closure, because it must be inlined.
pub(super) trait Children<T> {
    /// Puts K̂ of the element `at` into `out`, which comes as zeros.
    fn matrix(&self, at: [usize; 3], out: &mut [[T; 24]; 24]);
}

/// The sum over the children of the coarse element `at` of P̂ᵀ K̂ P̂, with a child's K̂ from `child`.
#[inline(always)]
pub(super) fn combine<T: Real>(
    coarsening: &Coarsening,
    at: [usize; 3],
    children: &impl Children<T>,
) -> [[T; 24]; 24] {
    let mut total = [[T::default(); 24]; 24];
    for z in coarsening.children(2, at[2]) {
        let mut plane = [[T::default(); 24]; 24];
        for y in coarsening.children(1, at[1]) {
            let mut line = [[T::default(); 24]; 24];
            for x in coarsening.children(0, at[0]) {
                let mut matrix = [[T::default(); 24]; 24];
                children.matrix([x, y, z], &mut matrix);
                restrict_along(&mut matrix, 0, coarsening.span(0, x));
                add(&mut line, &matrix);
            }
            restrict_along(&mut line, 1, coarsening.span(1, y));
            add(&mut plane, &line);
        }
        restrict_along(&mut plane, 2, coarsening.span(2, z));
        add(&mut total, &plane);
    }
    total
}

#[inline(always)]
fn add<T: Real>(sum: &mut [[T; 24]; 24], matrix: &[[T; 24]; 24]) {
    for (sum, value) in sum.as_flattened_mut().iter_mut().zip(matrix.as_flattened()) {
        *sum += *value;
    }
}

/// P̂ᵀ K̂ P̂ along one axis for a child that covers `span` of its parent; K̂ is symmetric.
#[inline(always)]
fn restrict_along<T: Real>(matrix: &mut [[T; 24]; 24], axis: usize, span: [f32; 2]) {
    let (low, high) = (f64::from(span[0]), f64::from(span[1]));
    let (even_part, odd_part) = (T::of(1.0 - low - high), T::of(high - low));
    for side in 0..2 {
        for m in (0..8).filter(|m| m >> axis & 1 == 0) {
            for d in 0..3 {
                let even = matrix[3 * m + d];
                for (odd, even) in matrix[3 * (m | 1 << axis) + d].iter_mut().zip(even) {
                    *odd = *odd * odd_part + even * even_part;
                }
            }
        }
        if side == 0 {
            for i in 0..24 {
                for j in 0..i {
                    let (a, b) = (matrix[i][j], matrix[j][i]);
                    matrix[i][j] = b;
                    matrix[j][i] = a;
                }
            }
        }
    }
}

/// `modal` without the rows and columns of held corners, which `held` has as bits 3 k + d.
pub(super) fn without(modal: &Matrix, held: u32) -> Matrix {
    let mut corners = to_corners(modal);
    for i in 0..24 {
        for j in 0..24 {
            if (held >> i | held >> j) & 1 == 1 {
                corners[i][j] = 0.0;
            }
        }
    }
    to_modes(&corners)
}

pub(super) fn widen(matrix: &[[f32; 24]; 24]) -> Matrix {
    matrix.map(|row| row.map(f64::from))
}

pub(super) fn narrow(matrix: &Matrix) -> [[f32; 24]; 24] {
    matrix.map(|row| row.map(|v| v as f32))
}

/// The degrees of freedom of the element at (x, y, z) that are held, as bits 3 k + d.
pub(super) fn held(mesh: &BrickMesh, mask: &[u8], x: usize, y: usize, z: usize) -> u32 {
    let corners = mesh.corners(x, y, z);
    corners.iter().enumerate().fold(0, |bits, (k, node)| bits | u32::from(mask[*node] & 7) << (3 * k))
}

/// One of eight children, the others being empty.
struct Only<'a> {
    child: usize,
    modal: &'a Matrix,
}

impl Children<f64> for Only<'_> {
    fn matrix(&self, at: [usize; 3], out: &mut Matrix) {
        if at[0] + 2 * at[1] + 4 * at[2] == self.child {
            *out = *self.modal;
        }
    }
}

/// What one of eight equal children of matrix `modal` adds to its parent's.
pub(super) fn child_share(modal: &Matrix, child: usize) -> Matrix {
    // Any element with two children along each axis.
    let pair = Coarsening::new(BrickMesh { size: [2; 3] }, 1, [2; 3]);
    combine(&pair, [0; 3], &Only { child, modal })
}

/// The diagonal by corners, of Σ K̂[(m, d), (m', d)] over the pairs of modes with m xor m' = k, for each d
/// and k: entry (3 k + d, 3 k + d) of H K̂ Hᵀ is Σ (−1)^{|k ∧ (m xor m')|} K̂[(m, d), (m', d)].
fn diagonal_of(mut sums: [[f32; 8]; 3]) -> [f32; 24] {
    let mut diagonal = [0.0; 24];
    for (d, sums) in sums.iter_mut().enumerate() {
        for bit in [1, 2, 4] {
            for low in 0..8 {
                if low & bit == 0 {
                    let (a, b) = (sums[low], sums[low | bit]);
                    sums[low] = a + b;
                    sums[low | bit] = a - b;
                }
            }
        }
        for (k, value) in sums.iter().enumerate() {
            diagonal[3 * k + d] = *value;
        }
    }
    diagonal
}

/// C of an element with eight equal children, in the order of modes: see the module.
fn modal_coupling(element: &Element) -> Box<Matrix> {
    let modal_element = to_modes(element.stiffness());
    let mut modal = Box::new([[0.0; 24]; 24]);
    for c in 0..8 {
        let share = child_share(&modal_element, c);
        for (i, row) in share.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                modal[i][j] += value * sign(representation(i) ^ representation(j), c) / 8.0;
            }
        }
    }
    modal
}

/// A matrix in the order of modes in that of (representation, direction).
fn by_representation(modal: &Matrix) -> Matrix {
    let place = |i: usize| 3 * ((i / 3) ^ (1 << (i % 3))) + i % 3;
    std::array::from_fn(|i| std::array::from_fn(|j| modal[place(i)][place(j)]))
}

/// What couples the modes of an element with eight equal children, C of the module in the order
/// (representation s, direction): the k-th mode of the children's moduli times entry (3 s + d, 3 (s xor k) +
/// e) is the share of mode e of representation s xor k in the force in mode d of s.
pub(crate) fn coupling(element: &Element) -> Matrix {
    by_representation(&modal_coupling(element))
}

/// The first coarse level: moduli of children instead of matrices.
#[derive(Debug, Clone)]
pub(super) struct ByChildren {
    nx: usize,
    /// Ê of [`WIDTH`] elements at a time: for each chunk of each row eight groups of lanes.
    pub(super) moduli: Vec<f32>,
    /// C in the order (representation, direction).
    coupling: Box<[[f32; 24]; 24]>,
    /// C in the order of modes.
    modal: Box<[[f32; 24]; 24]>,
    /// Σ over modes m of C[(m, d), (m xor k, d)], for each d and k.
    diagonal: [[f32; 8]; 3],
    /// Elements whose matrix has a form of its own, row by row: those near supports that the coarse mesh
    /// cannot represent, and the last ones where the number of fine elements is odd.
    pub(super) singles: Vec<Single>,
    /// Where each row's elements start in `singles`.
    pub(super) starts: Vec<u32>,
}

impl ByChildren {
    pub(super) fn new(mesh: &BrickMesh, element: &Element) -> Self {
        let modal = modal_coupling(element);
        let coupling = by_representation(&modal).map(|row| row.map(|value| value as f32));
        let diagonal = std::array::from_fn(|d| {
            std::array::from_fn(|k| (0..8).map(|m| modal[3 * m + d][3 * (m ^ k) + d]).sum::<f64>() as f32)
        });
        let rows = mesh.size[1] * mesh.size[2];
        Self {
            nx: mesh.size[0],
            moduli: vec![0.0; rows * mesh.size[0].div_ceil(WIDTH) * 8 * WIDTH],
            coupling: Box::new(coupling),
            modal: Box::new(narrow(&modal)),
            diagonal,
            singles: Vec::new(),
            starts: vec![0; rows + 1],
        }
    }

    /// K̂ of the element `x` of a row.
    #[inline(always)]
    pub(super) fn matrix(&self, row: usize, x: usize, out: &mut [[f32; 24]; 24]) {
        let singles = self.singles(row);
        if let Ok(at) = singles.binary_search_by_key(&x, |single| single.x) {
            *out = narrow(&to_modes(&widen(&singles[at].matrix)));
            return;
        }
        let chunk = row * self.nx.div_ceil(WIDTH) + x / WIDTH;
        let mut moduli = [0.0; 8];
        for (k, modulus) in moduli.iter_mut().enumerate() {
            *modulus = self.moduli[(chunk * 8 + k) * WIDTH + x % WIDTH];
        }
        for (i, row) in out.iter_mut().enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = moduli[representation(i) ^ representation(j)] * self.modal[i][j];
            }
        }
    }
}

impl ByChildren {
    /// The diagonal by corners of the element `x` of a row.
    pub(super) fn diagonal(&self, row: usize, x: usize) -> [f32; 24] {
        let singles = self.singles(row);
        if let Ok(at) = singles.binary_search_by_key(&x, |single| single.x) {
            return std::array::from_fn(|i| singles[at].matrix[i][i]);
        }
        let chunk = row * self.nx.div_ceil(WIDTH) + x / WIDTH;
        let mut sums = self.diagonal;
        for row in &mut sums {
            for (k, sum) in row.iter_mut().enumerate() {
                *sum *= self.moduli[(chunk * 8 + k) * WIDTH + x % WIDTH];
            }
        }
        diagonal_of(sums)
    }
}

impl Modal<f32> for ByChildren {
    #[inline(always)]
    fn multiply(&self, row: usize, chunk: usize, modes: &mut Modes<f32>) {
        let at = (row * self.nx.div_ceil(WIDTH) + chunk) * 8 * WIDTH;
        let (chunks, _) = self.moduli[at..at + 8 * WIDTH].as_chunks::<WIDTH>();
        let mut moduli = [Lanes::zero(); 8];
        for k in 0..8 {
            moduli[k] = Lanes(chunks[k]);
        }
        let mut out: Modes<f32> = [[Lanes::zero(); 8]; 3];
        for s in 0..8 {
            let (mut x, mut y, mut z) = (Lanes::zero(), Lanes::zero(), Lanes::zero());
            for t in 0..8 {
                for e in 0..3 {
                    let u = modes[e][t ^ (1 << e)] * moduli[s ^ t];
                    x = x + u.times(self.coupling[3 * s][3 * t + e]);
                    y = y + u.times(self.coupling[3 * s + 1][3 * t + e]);
                    z = z + u.times(self.coupling[3 * s + 2][3 * t + e]);
                }
            }
            out[0][s ^ 1] = x;
            out[1][s ^ 2] = y;
            out[2][s ^ 4] = z;
        }
        *modes = out;
    }

    #[inline(always)]
    fn singles(&self, row: usize) -> &[Single] {
        &self.singles[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}

/// A coarse level with stored matrices.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    nx: usize,
    /// For each chunk of each row, the lower triangle's entries of [`WIDTH`] elements side by side.
    pub(super) entries: Vec<f32>,
}

impl Stored {
    pub(super) fn new(mesh: &BrickMesh) -> Self {
        let rows = mesh.size[1] * mesh.size[2];
        Self { nx: mesh.size[0], entries: vec![0.0; rows * mesh.size[0].div_ceil(WIDTH) * TRIANGLE * WIDTH] }
    }

    /// K̂ of the element `x` of a row.
    #[inline(always)]
    pub(super) fn matrix(&self, row: usize, x: usize, out: &mut [[f32; 24]; 24]) {
        let chunk = row * self.nx.div_ceil(WIDTH) + x / WIDTH;
        let entries = &self.entries[chunk * TRIANGLE * WIDTH..(chunk + 1) * TRIANGLE * WIDTH];
        let mut at = x % WIDTH;
        for i in 0..24 {
            for j in 0..=i {
                out[i][j] = entries[at];
                out[j][i] = entries[at];
                at += WIDTH;
            }
        }
    }
}

impl Stored {
    /// The diagonal by corners of the element `x` of a row.
    pub(super) fn diagonal(&self, row: usize, x: usize) -> [f32; 24] {
        let chunk = row * self.nx.div_ceil(WIDTH) + x / WIDTH;
        let entries = &self.entries[chunk * TRIANGLE * WIDTH..(chunk + 1) * TRIANGLE * WIDTH];
        let mut sums = [[0.0_f32; 8]; 3];
        for (d, sums) in sums.iter_mut().enumerate() {
            for m in 0..8 {
                for other in 0..=m {
                    let (i, j) = (3 * m + d, 3 * other + d);
                    let entry = entries[(i * (i + 1) / 2 + j) * WIDTH + x % WIDTH];
                    sums[m ^ other] += if m == other { entry } else { 2.0 * entry };
                }
            }
        }
        diagonal_of(sums)
    }
}

impl Modal<f32> for Stored {
    #[inline(always)]
    fn multiply(&self, row: usize, chunk: usize, modes: &mut Modes<f32>) {
        let chunk = row * self.nx.div_ceil(WIDTH) + chunk;
        let (entries, _) = self.entries[chunk * TRIANGLE * WIDTH..(chunk + 1) * TRIANGLE * WIDTH].as_chunks();
        let mut u = [Lanes::zero(); 24];
        for i in 0..24 {
            u[i] = modes[i % 3][i / 3];
        }
        let mut out = [Lanes::zero(); 24];
        let mut at = 0;
        for i in 0..24 {
            let mut sum = Lanes::zero();
            for j in 0..i {
                let entry = Lanes(entries[at]);
                sum = sum + entry * u[j];
                out[j] = out[j] + entry * u[i];
                at += 1;
            }
            out[i] = out[i] + (sum + Lanes(entries[at]) * u[i]);
            at += 1;
        }
        for (i, sum) in out.into_iter().enumerate() {
            modes[i % 3][i / 3] = sum;
        }
    }
}
