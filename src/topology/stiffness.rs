//! Assembly and sparse Cholesky solution of K(E) u = f. The pattern is analysed once; every solve refills the
//! same arrays.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::LltRegularization;
use faer::sparse::linalg::cholesky::{
    CholeskySymbolicParams, SymbolicCholesky, SymmetricOrdering, factorize_symbolic_cholesky,
};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, MatMut, Par, Side};

use super::grid::Grid;
use crate::error::{FemError, Result};
use crate::linalg::{compressed_columns, norm};

/// Marks an entry without a free degree of freedom.
const NONE: u32 = u32::MAX;

/// The stiffness matrix Σ_e E_e K_e on the free degrees of freedom, with its factorisation.
pub(crate) struct Stiffness {
    grid: Grid,
    element: [[f64; 8]; 8],
    /// The free index of every degree of freedom, or [`NONE`].
    free_index: Vec<u32>,
    free: usize,
    col_ptr: Vec<usize>,
    row_idx: Vec<usize>,
    values: Vec<f64>,
    /// The position of entry (i, j) of each element's matrix in `values`, or [`NONE`]; 64 per element.
    scatter: Vec<u32>,
    symbolic: SymbolicCholesky<usize>,
    factor: Vec<f64>,
    scratch: MemBuffer,
}

impl Stiffness {
    /// Analyses the pattern: fill-reducing ordering (AMD) and symbolic factorisation, once.
    pub(crate) fn new(grid: Grid, element: [[f64; 8]; 8], fixed: &[usize]) -> Result<Self> {
        let mut free_index = vec![0_u32; grid.dofs()];
        for &dof in fixed {
            free_index[dof] = NONE;
        }
        let mut free = 0;
        for index in free_index.iter_mut().filter(|i| **i != NONE) {
            *index = free as u32;
            free += 1;
        }

        // The lower triangle's pattern, column by column.
        let mut columns: Vec<Vec<u32>> = vec![Vec::new(); free];
        for e in 0..grid.elements() {
            let dofs = grid.element_dofs(e).map(|dof| free_index[dof]);
            for &col in dofs.iter().filter(|c| **c != NONE) {
                columns[col as usize].extend(dofs.iter().filter(|r| **r != NONE && **r >= col));
            }
        }
        let (col_ptr, row_idx) = compressed_columns(columns);

        let mut scatter = vec![NONE; 64 * grid.elements()];
        for (e, targets) in scatter.chunks_exact_mut(64).enumerate() {
            let dofs = grid.element_dofs(e).map(|dof| free_index[dof]);
            for (i, &row) in dofs.iter().enumerate() {
                for (j, &col) in dofs.iter().enumerate() {
                    if row != NONE && col != NONE && row >= col {
                        let column = col_ptr[col as usize]..col_ptr[col as usize + 1];
                        let start = column.start;
                        if let Ok(at) = row_idx[column].binary_search(&(row as usize)) {
                            targets[8 * i + j] = (start + at) as u32;
                        }
                    }
                }
            }
        }

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
        let scratch = MemBuffer::try_new(scratch).map_err(|_| FemError::Memory)?;
        let factor = vec![0.0; symbolic.len_val()];
        let values = vec![0.0; row_idx.len()];
        Ok(Self {
            grid,
            element,
            free_index,
            free,
            col_ptr,
            row_idx,
            values,
            scatter,
            symbolic,
            factor,
            scratch,
        })
    }

    /// Solves K(moduli) u = f for every load case with one factorisation; f and u cover all degrees of
    /// freedom, fixed ones included (u is 0 there).
    ///
    /// # Errors
    /// [`FemError`](crate::error::FemError) when the matrix is not positive definite in double precision or
    /// the solution does not satisfy the system.
    pub(crate) fn solve(&mut self, moduli: &[f64], cases: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        self.values.fill(0.0);
        for (targets, modulus) in self.scatter.chunks_exact(64).zip(moduli) {
            for (target, k) in targets.iter().zip(self.element.as_flattened()) {
                if *target != NONE {
                    self.values[*target as usize] += modulus * k;
                }
            }
        }
        let pattern =
            SymbolicSparseColMatRef::new_checked(self.free, self.free, &self.col_ptr, None, &self.row_idx);
        let matrix = SparseColMatRef::new(pattern, self.values.as_slice());
        let stack = MemStack::new(&mut self.scratch);
        let factor = self
            .symbolic
            .factorize_numeric_llt(
                &mut self.factor,
                matrix,
                Side::Lower,
                LltRegularization::default(),
                Par::Seq,
                stack,
                Default::default(),
            )
            .map_err(|e| FemError::Singular { reason: format!("{e:?}") })?;
        let mut displacements = Vec::with_capacity(cases.len());
        for forces in cases {
            let mut rhs = vec![0.0; self.free];
            for (index, force) in self.free_index.iter().zip(forces) {
                if *index != NONE {
                    rhs[*index as usize] = *force;
                }
            }
            let load = norm(&rhs);
            let mut solution = rhs.clone();
            factor.solve_in_place_with_conj(
                Conj::No,
                MatMut::from_column_major_slice_mut(&mut solution, self.free, 1),
                Par::Seq,
                stack,
            );

            // A wrong answer must not pass silently: the residual of a backward stable solve is of the order
            // eps·‖K‖·‖u‖.
            for (col, u) in solution.iter().enumerate() {
                for k in self.col_ptr[col]..self.col_ptr[col + 1] {
                    let row = self.row_idx[k];
                    rhs[row] -= self.values[k] * u;
                    if row != col {
                        rhs[col] -= self.values[k] * solution[row];
                    }
                }
            }
            let (residual, allowed) = (norm(&rhs), 1e-9 * (load + norm(&solution)));
            if !(residual <= allowed) {
                return Err(FemError::Residual { found: residual, allowed }.into());
            }
            displacements.push(
                self.free_index.iter().map(|&i| if i == NONE { 0.0 } else { solution[i as usize] }).collect(),
            );
        }
        Ok(displacements)
    }

    /// The energy u_eᵀ K_e u_e of every element.
    pub(crate) fn unit_energies(&self, u: &[f64]) -> Vec<f64> {
        (0..self.grid.elements())
            .map(|e| {
                let local = self.grid.element_dofs(e).map(|dof| u[dof]);
                self.element
                    .iter()
                    .zip(local)
                    .map(|(row, ui)| ui * row.iter().zip(local).map(|(k, uj)| k * uj).sum::<f64>())
                    .sum()
            })
            .collect()
    }
}

impl std::fmt::Debug for Stiffness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stiffness")
            .field("grid", &self.grid)
            .field("free", &self.free)
            .finish_non_exhaustive()
    }
}
