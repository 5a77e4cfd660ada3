//! Between a mesh and the next coarser one: trilinear prolongation P and its transpose.
//!
//! Cost: each vector is read or written once. The sums are gathered, so their order is fixed.

use rayon::prelude::*;

use super::coarsening::Coarsening;
use super::rows::split;

/// coarse = Pᵀ fine, and 0 where `mask` holds a degree of freedom of the coarse mesh.
pub(super) fn restrict(coarsening: &Coarsening, residual: &[f32], mask: &[u8], out: &mut [f32]) {
    let (fine, coarse) = (coarsening.fine, coarsening.coarse);
    let (rows, planes) = (coarse.size[1] + 1, coarse.size[2] + 1);
    let (width, row, plane) = (coarse.row(), fine.row(), fine.plane());
    let parts = split(residual, fine.nodes());
    out.par_chunks_exact_mut(width).enumerate().with_min_len(16).for_each_init(
        || vec![0.0_f32; row + 1],
        |line, (at, out)| {
            let (d, y, z) = (at / (rows * planes), at % rows, at / rows % planes);
            // line[i + 1] is the weighted sum at fine column i; there is a column of zeros before the first.
            line.fill(0.0);
            for (fine_z, weight_z) in coarsening.reach(2, z) {
                for (fine_y, weight_y) in coarsening.reach(1, y) {
                    let start = fine_z * plane + fine_y * row;
                    let weight = weight_z * weight_y;
                    for (sum, value) in line[1..].iter_mut().zip(&parts[d][start..start + row]) {
                        *sum += weight * value;
                    }
                }
            }
            let mask = &mask[(z * rows + y) * width..][..width];
            // The last two nodes may have other weights than halves.
            let regular = width - 2;
            for (x, value) in out[..regular].iter_mut().enumerate() {
                *value = line[2 * x + 1] + 0.5 * (line[2 * x] + line[2 * x + 2]);
            }
            for (x, value) in out.iter_mut().enumerate().skip(regular) {
                *value = coarsening.reach(0, x).map(|(node, weight)| weight * line[node + 1]).sum();
            }
            for (value, mask) in out.iter_mut().zip(mask) {
                *value = if mask >> d & 1 == 1 { 0.0 } else { *value };
            }
        },
    );
}

/// fine += P coarse, except where `mask` holds a degree of freedom of the fine mesh.
pub(super) fn prolong(coarsening: &Coarsening, values: &[f32], mask: &[u8], out: &mut [f32]) {
    let (fine, coarse) = (coarsening.fine, coarsening.coarse);
    let (rows, planes, width) = (fine.size[1] + 1, fine.size[2] + 1, fine.row());
    let (row, plane) = (coarse.row(), coarse.plane());
    let parts = split(values, coarse.nodes());
    out.par_chunks_exact_mut(width).enumerate().with_min_len(16).for_each_init(
        || (vec![0.0_f32; row], vec![0.0_f32; width + 1]),
        |(line, fine_line), (at, out)| {
            let (d, y, z) = (at / (rows * planes), at % rows, at / rows % planes);
            let ((lower_y, up_y), (lower_z, up_z)) = (coarsening.lower(1, y), coarsening.lower(2, z));
            line.fill(0.0);
            for (z, weight_z) in [(lower_z, 1.0 - up_z), (lower_z + 1, up_z)] {
                for (y, weight_y) in [(lower_y, 1.0 - up_y), (lower_y + 1, up_y)] {
                    let weight = weight_y * weight_z;
                    if weight > 0.0 {
                        let start = z * plane + y * row;
                        for (sum, value) in line.iter_mut().zip(&parts[d][start..start + row]) {
                            *sum += weight * value;
                        }
                    }
                }
            }
            // The nodes in the last coarse element may have other weights than halves.
            let regular = row - 2;
            for (pair, ends) in fine_line.chunks_exact_mut(2).zip(line.windows(2)).take(regular) {
                pair[0] = ends[0];
                pair[1] = 0.5 * (ends[0] + ends[1]);
            }
            for (x, value) in fine_line[..width].iter_mut().enumerate().skip(2 * regular) {
                let (lower, up) = coarsening.lower(0, x);
                *value = (1.0 - up) * line[lower] + up * line[lower + 1];
            }
            let mask = &mask[(z * rows + y) * width..][..width];
            for ((out, value), mask) in out.iter_mut().zip(&*fine_line).zip(mask) {
                *out += if mask >> d & 1 == 1 { 0.0 } else { *value };
            }
        },
    );
}
