//! The loop over rows of elements that every product shares.
//!
//! The mesh is cut into slabs of layers along z. Slabs are computed in parallel; a plane of nodes between two
//! slabs gets the sum of the lower slab in place and that of the upper one from a private copy, which is
//! added afterwards. How the mesh is cut depends on its size only, and so does the order of every sum.

#![expect(clippy::needless_range_loop, reason = "indices are those of the formula")]

use pulp::NullaryFnOnce;
use rayon::prelude::*;

use super::lanes::{Lanes, Modes, Real, WIDTH, walsh_yz};
use super::mesh::BrickMesh;

/// What a product does to the modes of elements: û → K̂ û.
pub(super) trait Modal<T>: Sync {
    /// Multiplies the modes of the elements `chunk`·8 … of a row; `row` is y + ny·z. Lanes beyond the row's
    /// end come as zeros and must stay zeros.
    fn multiply(&self, row: usize, chunk: usize, modes: &mut Modes<T>);

    /// The elements of the row, as (x, matrix by corners), that are multiplied one by one.
    fn singles(&self, _row: usize) -> &[Single] {
        &[]
    }
}

/// An element whose matrix is stored by itself.
#[derive(Debug, Clone)]
pub(super) struct Single {
    pub(super) x: usize,
    /// Row and column 3 k + d belong to corner k and direction d.
    pub(super) matrix: Box<[[f32; 24]; 24]>,
}

/// The least number of layers in a slab, and the largest number of slabs.
const LAYERS: usize = 4;
const SLABS: usize = 64;

/// The number of layers in a slab: a function of the mesh alone.
fn layers(mesh: &BrickMesh) -> usize {
    LAYERS.max(mesh.size[2].div_ceil(SLABS))
}

/// The length of the scratch vector of [`product`].
pub(super) fn scratch_len(mesh: &BrickMesh) -> usize {
    (mesh.size[2].div_ceil(layers(mesh)) - 1) * 3 * mesh.plane()
}

/// The part of the result that one slab writes.
struct Slab<'a, T> {
    first_layer: usize,
    last_layer: usize,
    /// The lowest plane of nodes, of each direction.
    lowest: [&'a mut [T]; 3],
    /// The planes above it.
    rest: [&'a mut [T]; 3],
}

/// out = Σ_e K_e u_e; `u` and `out` have 3 N entries, `scratch` is resized as needed.
pub(super) fn product<T: Real, M: Modal<T>>(
    mesh: &BrickMesh,
    modal: &M,
    u: &[T],
    out: &mut [T],
    scratch: &mut Vec<T>,
) {
    let (n, plane) = (mesh.nodes(), mesh.plane());
    let (nz, step) = (mesh.size[2], layers(mesh));
    scratch.resize(scratch_len(mesh), T::default());
    let inputs = split(u, n);
    {
        let mut parts = split_mut(out, n);
        let mut private = scratch.chunks_exact_mut(3 * plane);
        let mut slabs = Vec::with_capacity(nz.div_ceil(step));
        for first_layer in (0..nz).step_by(step) {
            let last_layer = (first_layer + step).min(nz);
            let lowest = if first_layer == 0 {
                parts.each_mut().map(|part| part.split_off_mut(..plane).unwrap_or_default())
            } else {
                split_mut(private.next().unwrap_or_default(), plane)
            };
            let length = (last_layer - first_layer) * plane;
            let rest = parts.each_mut().map(|part| part.split_off_mut(..length).unwrap_or_default());
            slabs.push(Slab { first_layer, last_layer, lowest, rest });
        }
        let run = |slab: Slab<'_, T>| {
            pulp::Arch::new().dispatch(SlabProduct { mesh, modal, inputs, slab });
        };
        if slabs.len() == 1 {
            slabs.into_iter().for_each(run);
        } else {
            slabs.into_par_iter().for_each(run);
        }
    }
    let scratch = &*scratch;
    for (d, part) in split_mut(out, n).into_iter().enumerate() {
        part.par_chunks_mut(step * plane).enumerate().for_each(|(slab, planes)| {
            if slab > 0 && slab * step < nz {
                let private = &scratch[(slab - 1) * 3 * plane + d * plane..][..plane];
                for (value, more) in planes.iter_mut().zip(private) {
                    *value += *more;
                }
            }
        });
    }
}

/// The three blocks of a vector, one a direction.
pub(super) fn split<T>(vector: &[T], n: usize) -> [&[T]; 3] {
    let (x, rest) = vector.split_at(n);
    let (y, z) = rest.split_at(n);
    [x, y, z]
}

/// The three blocks of a vector, one a direction.
pub(super) fn split_mut<T>(vector: &mut [T], n: usize) -> [&mut [T]; 3] {
    let (x, rest) = vector.split_at_mut(n.min(vector.len()));
    let (y, z) = rest.split_at_mut(n.min(rest.len()));
    [x, y, z]
}

struct SlabProduct<'a, T, M> {
    mesh: &'a BrickMesh,
    modal: &'a M,
    inputs: [&'a [T]; 3],
    slab: Slab<'a, T>,
}

impl<T: Real, M: Modal<T>> NullaryFnOnce for SlabProduct<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { mesh, modal, inputs, slab } = self;
        let Slab { first_layer, last_layer, mut lowest, mut rest } = slab;
        let (plane, row, ny) = (mesh.plane(), mesh.row(), mesh.size[1]);
        for part in &mut lowest {
            part.fill(T::default());
        }
        for z in first_layer..last_layer {
            let above = (z - first_layer) * plane;
            let [mut low, mut high] = planes(&mut lowest, &mut rest, above, plane);
            for part in &mut high {
                part.fill(T::default());
            }
            for y in 0..ny {
                let at = z * plane + y * row;
                let u = [
                    edges(inputs[0], at, row, plane),
                    edges(inputs[1], at, row, plane),
                    edges(inputs[2], at, row, plane),
                ];
                let [a, b, c] = &mut low;
                let rows = y * row..(y + 2) * row;
                let mut out = [&mut a[rows.clone()], &mut b[rows.clone()], &mut c[rows.clone()]];
                let [a, b, c] = &mut high;
                let mut out_high = [&mut a[rows.clone()], &mut b[rows.clone()], &mut c[rows]];
                multiply_row(modal, y + ny * z, &u, &mut out, &mut out_high);
                for single in modal.singles(y + ny * z) {
                    multiply_single(single, &u, &mut out, &mut out_high);
                }
            }
        }
    }
}

/// The rows of nodes at the four edges along x of a row of elements; the first starts at `at`.
#[inline(always)]
pub(super) fn edges<T>(part: &[T], at: usize, row: usize, plane: usize) -> [&[T]; 4] {
    [
        &part[at..at + row],
        &part[at + row..at + 2 * row],
        &part[at + plane..at + plane + row],
        &part[at + plane + row..at + plane + 2 * row],
    ]
}

/// The planes of nodes below and above a layer, of each direction.
#[inline(always)]
fn planes<'b, T>(
    lowest: &'b mut [&mut [T]; 3],
    rest: &'b mut [&mut [T]; 3],
    above: usize,
    plane: usize,
) -> [[&'b mut [T]; 3]; 2] {
    if above == 0 {
        return [lowest.each_mut().map(|part| &mut **part), rest.each_mut().map(|part| &mut part[..plane])];
    }
    let [x, y, z] = rest.each_mut().map(|part| part[above - plane..above + plane].split_at_mut(plane));
    [[x.0, y.0, z.0], [x.1, y.1, z.1]]
}

/// The modes of the elements from `start` on, of one direction, from the rows of nodes at their four edges
/// along x.
#[inline(always)]
pub(super) fn gather<T: Real>(u: &[&[T]; 4], start: usize, width: usize) -> [Lanes<T>; 8] {
    let mut a = [Lanes::zero(); 8];
    for q in 0..4 {
        let nodes = &u[q][start..start + width + 1];
        let (left, right) = (Lanes::load(&nodes[..width]), Lanes::load(&nodes[1..]));
        a[2 * q] = left + right;
        a[2 * q + 1] = left - right;
    }
    walsh_yz(&mut a);
    a
}

#[inline(always)]
fn multiply_row<T: Real, M: Modal<T>>(
    modal: &M,
    row: usize,
    u: &[[&[T]; 4]; 3],
    low: &mut [&mut [T]; 3],
    high: &mut [&mut [T]; 3],
) {
    let nodes = u[0][0].len();
    let elements = nodes - 1;
    // What the last element of the chunk before gives to the first node of the next one.
    let mut carry = [[T::default(); 4]; 3];
    let full = elements / WIDTH;
    for chunk in 0..full {
        multiply_chunk(modal, row, chunk, WIDTH, u, low, high, &mut carry);
    }
    if !elements.is_multiple_of(WIDTH) {
        multiply_chunk(modal, row, full, elements % WIDTH, u, low, high, &mut carry);
    }
    for d in 0..3 {
        for q in 0..4 {
            let target = if q < 2 { &mut *low[d] } else { &mut *high[d] };
            target[(q & 1) * nodes + elements] += carry[d][q];
        }
    }
}

/// The elements of one chunk, `width` of them, which is a constant where this is inlined.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the state of the loop that it is the body of")]
fn multiply_chunk<T: Real, M: Modal<T>>(
    modal: &M,
    row: usize,
    chunk: usize,
    width: usize,
    u: &[[&[T]; 4]; 3],
    low: &mut [&mut [T]; 3],
    high: &mut [&mut [T]; 3],
    carry: &mut [[T; 4]; 3],
) {
    let (start, nodes) = (chunk * WIDTH, u[0][0].len());
    let mut modes: Modes<T> =
        [gather(&u[0], start, width), gather(&u[1], start, width), gather(&u[2], start, width)];
    modal.multiply(row, chunk, &mut modes);
    for d in 0..3 {
        let a = &mut modes[d];
        walsh_yz(a);
        for q in 0..4 {
            let left = a[2 * q] + a[2 * q + 1];
            let right = a[2 * q] - a[2 * q + 1];
            let sum = left + right.shifted(carry[d][q]);
            carry[d][q] = right.0[width - 1];
            let target = if q < 2 { &mut *low[d] } else { &mut *high[d] };
            let target = &mut target[(q & 1) * nodes + start..][..width];
            if width == WIDTH {
                if let Some(chunk) = target.first_chunk_mut::<WIDTH>() {
                    *chunk = (Lanes(*chunk) + sum).0;
                }
            } else {
                for i in 0..width {
                    target[i] += sum.0[i];
                }
            }
        }
    }
}

#[inline(always)]
fn multiply_single<T: Real>(
    single: &Single,
    u: &[[&[T]; 4]; 3],
    low: &mut [&mut [T]; 3],
    high: &mut [&mut [T]; 3],
) {
    let nodes = u[0][0].len();
    let mut sums = [T::default(); 24];
    for (j, column) in single.matrix.iter().enumerate() {
        let (k, d) = (j / 3, j % 3);
        let value = u[d][k >> 1][single.x + (k & 1)];
        // The matrix is symmetric: its row j is its column j.
        for (sum, entry) in sums.iter_mut().zip(column) {
            *sum += T::of(f64::from(*entry)) * value;
        }
    }
    for (i, sum) in sums.into_iter().enumerate() {
        let (k, d) = (i / 3, i % 3);
        let target = if k < 4 { &mut *low[d] } else { &mut *high[d] };
        target[(k >> 1 & 1) * nodes + single.x + (k & 1)] += sum;
    }
}
