//! Assembly and sparse Cholesky factorisation: for the coarsest level, and as the slow twin of the solver.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::LltRegularization;
use faer::sparse::linalg::cholesky::{
    CholeskySymbolicParams, LltRef, SymbolicCholesky, SymmetricOrdering, factorize_symbolic_cholesky,
};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, MatMut, Par, Side};

use super::element::{Element, Matrix};
use super::mesh::{BrickMesh, Supports};
use super::operator::for_each_element;
use crate::error::{Error, FemError, Result};
use crate::linalg::compressed_columns;

/// Marks a degree of freedom that is held.
const NONE: u32 = u32::MAX;

/// K on the free degrees of freedom, with its factorisation. The pattern is analysed once.
pub(super) struct Direct {
    mesh: BrickMesh,
    free_index: Vec<u32>,
    free: usize,
    col_ptr: Vec<usize>,
    row_idx: Vec<usize>,
    values: Vec<f64>,
    symbolic: SymbolicCholesky<usize>,
    factor: Vec<f64>,
    scratch: MemBuffer,
    rhs: Vec<f64>,
}

impl Direct {
    pub(super) fn new(mesh: BrickMesh, mask: &[u8]) -> Result<Self> {
        let n = mesh.nodes();
        let mut free = 0;
        let mut free_index = vec![NONE; 3 * n];
        // Node by node, so that what belongs together is numbered together.
        for (node, mask) in mask.iter().enumerate() {
            for d in (0..3).filter(|d| mask >> d & 1 == 0) {
                free_index[d * n + node] = free as u32;
                free += 1;
            }
        }
        let mut columns: Vec<Vec<u32>> = vec![Vec::new(); free];
        for_each_element(&mesh, |_, dofs| {
            let dofs = dofs.map(|dof| free_index[dof]);
            for col in dofs.into_iter().filter(|c| *c != NONE) {
                columns[col as usize].extend(dofs.iter().filter(|r| **r != NONE && **r >= col));
            }
        });
        let (col_ptr, row_idx) = compressed_columns(columns);
        let pattern = SymbolicSparseColMatRef::new_checked(free, free, &col_ptr, None, &row_idx);
        let symbolic = factorize_symbolic_cholesky(
            pattern,
            Side::Lower,
            SymmetricOrdering::Amd,
            CholeskySymbolicParams::default(),
        )
        .map_err(|e| FemError::Symbolic { reason: format!("{e:?}") })?;
        let scratch = symbolic
            .factorize_numeric_llt_scratch::<f64>(Par::Seq, Default::default())
            .or(symbolic.solve_in_place_scratch::<f64>(1, Par::Seq));
        Ok(Self {
            mesh,
            free_index,
            free,
            values: vec![0.0; row_idx.len()],
            col_ptr,
            row_idx,
            factor: vec![0.0; symbolic.len_val()],
            symbolic,
            scratch: MemBuffer::try_new(scratch).map_err(|_| FemError::Memory)?,
            rhs: vec![0.0; free],
        })
    }

    /// Factorises Σ of the elements' matrices by corners, `matrix`(e), plus `shift` times its diagonal. Where
    /// the matrix is not positive definite, a shift above 0 is raised by factors of 100 up to 10⁻².
    pub(super) fn factorize(&mut self, shift: f64, mut matrix: impl FnMut(usize) -> Matrix) -> Result<()> {
        self.values.fill(0.0);
        let Self { mesh, free_index, values, col_ptr, row_idx, .. } = self;
        for_each_element(mesh, |e, dofs| {
            let matrix = matrix(e);
            let dofs = dofs.map(|dof| free_index[dof]);
            for (i, &row) in dofs.iter().enumerate() {
                for (j, &col) in dofs.iter().enumerate() {
                    if row != NONE && col != NONE && row >= col {
                        let column = col_ptr[col as usize]..col_ptr[col as usize + 1];
                        if let Ok(at) = row_idx[column.clone()].binary_search(&(row as usize)) {
                            values[column.start + at] += matrix[i][j];
                        }
                    }
                }
            }
        });
        let mut shift = shift;
        let mut shifted = 0.0;
        loop {
            // The diagonal comes first in each column of the lower triangle.
            for start in &self.col_ptr[..self.free] {
                self.values[*start] *= (1.0 + shift) / (1.0 + shifted);
            }
            let pattern = SymbolicSparseColMatRef::new_checked(
                self.free,
                self.free,
                &self.col_ptr,
                None,
                &self.row_idx,
            );
            let result = self.symbolic.factorize_numeric_llt(
                &mut self.factor,
                SparseColMatRef::new(pattern, self.values.as_slice()),
                Side::Lower,
                LltRegularization::default(),
                Par::Seq,
                MemStack::new(&mut self.scratch),
                Default::default(),
            );
            match result {
                Ok(_) => return Ok(()),
                Err(_) if shift > 0.0 && shift < 1e-3 => (shifted, shift) = (shift, 100.0 * shift),
                Err(e) => return Err(FemError::Singular { reason: format!("{e:?}") }.into()),
            }
        }
    }

    /// Solves for one right-hand side; both have 3 N entries, and the result is 0 where the mesh is held.
    pub(super) fn solve<T: super::Real>(&mut self, load: &[T], out: &mut [T]) {
        for (index, value) in self.free_index.iter().zip(load) {
            if *index != NONE {
                self.rhs[*index as usize] = value.wide();
            }
        }
        LltRef::new(&self.symbolic, &self.factor).solve_in_place_with_conj(
            Conj::No,
            MatMut::from_column_major_slice_mut(&mut self.rhs, self.free, 1),
            Par::Seq,
            MemStack::new(&mut self.scratch),
        );
        for (index, value) in self.free_index.iter().zip(out) {
            *value = if *index == NONE { T::default() } else { T::of(self.rhs[*index as usize]) };
        }
    }

    /// The bytes that it keeps.
    pub(super) fn bytes(&self) -> u64 {
        let words =
            self.values.len() + self.row_idx.len() + self.col_ptr.len() + self.factor.len() + self.free;
        8 * words as u64 + 4 * self.free_index.len() as u64 + self.scratch.len() as u64
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").field("mesh", &self.mesh).field("free", &self.free).finish_non_exhaustive()
    }
}

/// The slow twin of [`Solver`](super::Solver): assembles K and factorises it in f64.
///
/// Cost: about n² entries of the factor for n degrees of freedom in 3D; for some ten thousand of them.
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) when an array does not have the mesh's length, and
/// [`FemError`] when the matrix cannot be factorised.
pub fn solve_directly(
    element: &Element,
    supports: &Supports,
    moduli: &[f64],
    load: &[f64],
) -> Result<Vec<f64>> {
    let mesh = supports.mesh();
    if moduli.len() != mesh.elements() {
        return Err(Error::length("the moduli", moduli.len(), mesh.elements()));
    }
    if load.len() != mesh.dofs() {
        return Err(Error::length("the load", load.len(), mesh.dofs()));
    }
    let mut direct = Direct::new(mesh, &supports.mask)?;
    direct.factorize(0.0, |e| element.stiffness().map(|row| row.map(|k| moduli[e] * k)))?;
    let mut displacement = vec![0.0; mesh.dofs()];
    direct.solve(load, &mut displacement);
    Ok(displacement)
}
