//! The product K(E) u and the element energies on the given mesh, without a stored matrix.

use rayon::prelude::*;

use super::element::{Element, Matrix};
use super::lanes::{Lanes, Modes, Real, WIDTH};
use super::mesh::BrickMesh;
use super::rows::{Modal, gather, product, scratch_len, split};
use crate::error::{Error, Result};

/// The operator u ↦ K(E) u = Σ_e E_e K₀ u_e on a mesh, supports not counted.
///
/// Cost: some 300 flops an element, in about 40 bytes in f32 and 80 in f64. Besides its argument and its
/// result it keeps 3 numbers for each node of every fourth plane. It is parallel over slabs of four layers
/// along z, so that a mesh should have its shortest side elsewhere. Precision: that of `T`. The product has
/// the same bits for any number of threads.
#[derive(Debug, Clone)]
pub struct Operator<T> {
    mesh: BrickMesh,
    blocks: [[[T; 3]; 3]; 8],
    scratch: Vec<T>,
}

impl<T: Real> Operator<T> {
    /// The operator of equal elements on `mesh`.
    pub fn new(mesh: BrickMesh, element: &Element) -> Self {
        Self { mesh, blocks: element.blocks().map(|b| b.map(|r| r.map(T::of))), scratch: Vec::new() }
    }

    /// The mesh of the operator.
    pub fn mesh(&self) -> BrickMesh {
        self.mesh
    }

    /// The bytes that products keep besides their arguments.
    pub fn scratch_bytes(mesh: &BrickMesh) -> u64 {
        (scratch_len(mesh) * size_of::<T>()) as u64
    }

    /// out = K(`moduli`) u.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when an array does not have the mesh's length.
    pub fn product(&mut self, moduli: &[T], u: &[T], out: &mut [T]) -> Result<()> {
        check("the moduli", moduli.len(), self.mesh.elements())?;
        check("the displacement", u.len(), self.mesh.dofs())?;
        check("the product", out.len(), self.mesh.dofs())?;
        self.apply(moduli, u, out);
        Ok(())
    }

    /// [`product`](Self::product) of arrays that have the right lengths.
    pub(super) fn apply(&mut self, moduli: &[T], u: &[T], out: &mut [T]) {
        let modal = Fine { blocks: &self.blocks, moduli, nx: self.mesh.size[0] };
        product(&self.mesh, &modal, u, out, &mut self.scratch);
    }

    /// The energy u_eᵀK₀u_e of every element, twice the strain energy for a modulus of 1.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when an array does not have the mesh's length.
    pub fn energies(&self, u: &[T], out: &mut [T]) -> Result<()> {
        check("the displacement", u.len(), self.mesh.dofs())?;
        check("the energies", out.len(), self.mesh.elements())?;
        let (ny, row, plane) = (self.mesh.size[1], self.mesh.row(), self.mesh.plane());
        let inputs = split(u, self.mesh.nodes());
        out.par_chunks_exact_mut(self.mesh.size[0]).enumerate().with_min_len(8).for_each(|(at, out)| {
            let node = at / ny * plane + at % ny * row;
            let u = inputs
                .map(|part| [0, row, plane, plane + row].map(|edge| &part[node + edge..node + edge + row]));
            pulp::Arch::new().dispatch(RowEnergies { blocks: &self.blocks, u, out });
        });
        Ok(())
    }
}

fn check(name: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::length(name, found, expected)) }
}

/// The blocks B_s times an element's modulus.
struct Fine<'a, T> {
    blocks: &'a [[[T; 3]; 3]; 8],
    moduli: &'a [T],
    nx: usize,
}

// No closure is passed to a function of the standard library in here and in the other kernels: the compiler
// would leave it outside of what is compiled for the machine's vectors.
impl<T: Real> Modal<T> for Fine<'_, T> {
    #[inline(always)]
    fn multiply(&self, row: usize, chunk: usize, modes: &mut Modes<T>) {
        let moduli = &self.moduli[row * self.nx..(row + 1) * self.nx];
        let moduli = Lanes::load(&moduli[chunk * WIDTH..]);
        for (s, block) in self.blocks.iter().enumerate() {
            let (x, y, z) = (modes[0][s ^ 1] * moduli, modes[1][s ^ 2] * moduli, modes[2][s ^ 4] * moduli);
            modes[0][s ^ 1] = x.times(block[0][0]) + y.times(block[0][1]) + z.times(block[0][2]);
            modes[1][s ^ 2] = x.times(block[1][0]) + y.times(block[1][1]) + z.times(block[1][2]);
            modes[2][s ^ 4] = x.times(block[2][0]) + y.times(block[2][1]) + z.times(block[2][2]);
        }
    }
}

struct RowEnergies<'a, T> {
    blocks: &'a [[[T; 3]; 3]; 8],
    u: [[&'a [T]; 4]; 3],
    out: &'a mut [T],
}

impl<T: Real> pulp::NullaryFnOnce for RowEnergies<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (chunk, out) in self.out.chunks_mut(WIDTH).enumerate() {
            let width = out.len();
            let start = chunk * WIDTH;
            let modes = [
                gather(&self.u[0], start, width),
                gather(&self.u[1], start, width),
                gather(&self.u[2], start, width),
            ];
            let mut sum = Lanes::zero();
            for (s, block) in self.blocks.iter().enumerate() {
                let (x, y, z) = (modes[0][s ^ 1], modes[1][s ^ 2], modes[2][s ^ 4]);
                sum = sum + x * (x.times(block[0][0]) + y.times(block[0][1]) + z.times(block[0][2]));
                sum = sum + y * (x.times(block[1][0]) + y.times(block[1][1]) + z.times(block[1][2]));
                sum = sum + z * (x.times(block[2][0]) + y.times(block[2][1]) + z.times(block[2][2]));
            }
            out.copy_from_slice(&sum.0[..width]);
        }
    }
}

/// The slow twin of [`Operator::product`]: every element's 24×24 matrix times its 24 displacements, in f64.
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) when an array does not have the mesh's length.
pub fn product_by_elements(mesh: &BrickMesh, k: &Matrix, moduli: &[f64], u: &[f64]) -> Result<Vec<f64>> {
    check("the moduli", moduli.len(), mesh.elements())?;
    check("the displacement", u.len(), mesh.dofs())?;
    let mut out = vec![0.0; mesh.dofs()];
    for_each_element(mesh, |e, dofs| {
        for (row, i) in k.iter().zip(dofs) {
            out[*i] += moduli[e] * row.iter().zip(dofs).map(|(k, j)| k * u[*j]).sum::<f64>();
        }
    });
    Ok(out)
}

/// The slow twin of [`Operator::energies`].
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) when an array does not have the mesh's length.
pub fn energies_by_elements(mesh: &BrickMesh, k: &Matrix, u: &[f64]) -> Result<Vec<f64>> {
    check("the displacement", u.len(), mesh.dofs())?;
    let mut out = vec![0.0; mesh.elements()];
    for_each_element(mesh, |e, dofs| {
        for (row, i) in k.iter().zip(dofs) {
            out[e] += u[*i] * row.iter().zip(dofs).map(|(k, j)| k * u[*j]).sum::<f64>();
        }
    });
    Ok(out)
}

/// Calls `visit` with every element's number and its 24 degrees of freedom.
pub(super) fn for_each_element(mesh: &BrickMesh, mut visit: impl FnMut(usize, &[usize; 24])) {
    let [nx, ny, nz] = mesh.size;
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                let corners = mesh.corners(x, y, z);
                let dofs = std::array::from_fn(|i| mesh.dof(corners[i / 3], i % 3));
                visit(mesh.element(x, y, z), &dofs);
            }
        }
    }
}
