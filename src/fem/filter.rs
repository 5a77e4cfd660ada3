//! The density filter: weighted means of the elements within a radius.

use rayon::prelude::*;

use super::mesh::BrickMesh;
use crate::error::{Error, Result};

/// ρ = W x / (W 1) with the hat weights W_ij = max(0, R − |i − j|), |i − j| the distance of the elements'
/// centres: a mean inside the domain, which keeps constants.
///
/// Cost: as many multiplications and additions an element as there are centres in a ball of radius R, about
/// 4 R³ for unit cubes: linear in the elements, but not whatever the radius. The hat in three dimensions is
/// no product of one-dimensional ones; rows are vector lanes instead. Memory: 8 bytes an element. Precision:
/// f64. Source: Bruns, Tortorelli, *Topology optimization of non-linear elastic structures and compliant
/// mechanisms*, CMAME 190 (2001) 3443–3459.
#[derive(Debug, Clone)]
pub struct DensityFilter {
    mesh: BrickMesh,
    /// For each offset (y, z) of a row, the weights at distances 0, 1, … along x.
    rows: Vec<([isize; 2], Vec<f64>)>,
    /// One over the sum of each element's weights.
    inverse: Vec<f64>,
}

impl DensityFilter {
    /// The filter of radius `radius` on elements with these `sides`, in the same units.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when the radius or a side is not positive and finite.
    pub fn new(mesh: BrickMesh, sides: [f64; 3], radius: f64) -> Result<Self> {
        if !(radius > 0.0 && radius.is_finite()) {
            return Err(Error::invalid("the filter radius", radius, "positive and finite"));
        }
        if !sides.iter().all(|s| *s > 0.0 && s.is_finite()) {
            return Err(Error::invalid(
                "the sides of an element",
                format!("{sides:?}"),
                "positive and finite",
            ));
        }
        let reach: [isize; 3] =
            std::array::from_fn(|d| ((radius / sides[d]).ceil() as isize).min(mesh.size()[d] as isize - 1));
        let mut rows = Vec::new();
        for z in -reach[2]..=reach[2] {
            for y in -reach[1]..=reach[1] {
                let across = (y as f64 * sides[1]).powi(2) + (z as f64 * sides[2]).powi(2);
                let weights: Vec<f64> = (0..=reach[0])
                    .map(|x| radius - ((x as f64 * sides[0]).powi(2) + across).sqrt())
                    .take_while(|weight| *weight > 0.0)
                    .collect();
                if !weights.is_empty() {
                    rows.push(([y, z], weights));
                }
            }
        }
        let mut filter = Self { mesh, rows, inverse: Vec::new() };
        let mut sums = vec![0.0; mesh.elements()];
        filter.convolve(&vec![1.0; mesh.elements()], None, &mut sums);
        for sum in &mut sums {
            *sum = sum.recip();
        }
        filter.inverse = sums;
        Ok(filter)
    }

    /// ρ of the design x.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when an array does not have one entry an element.
    pub fn apply(&self, design: &[f64], density: &mut [f64]) -> Result<()> {
        self.check(design.len(), density.len())?;
        self.convolve(design, None, density);
        density.par_iter_mut().zip(&self.inverse).for_each(|(density, inverse)| *density *= inverse);
        Ok(())
    }

    /// The gradient with respect to x, of that with respect to ρ: W (g / (W 1)).
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when an array does not have one entry an element.
    pub fn transpose(&self, gradient: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(gradient.len(), out.len())?;
        self.convolve(gradient, Some(&self.inverse), out);
        Ok(())
    }

    fn check(&self, input: usize, output: usize) -> Result<()> {
        match [input, output].into_iter().find(|length| *length != self.mesh.elements()) {
            Some(length) => Err(Error::length("an array of elements", length, self.mesh.elements())),
            None => Ok(()),
        }
    }

    /// out = W (factors ∘ values), row by row.
    fn convolve(&self, values: &[f64], factors: Option<&[f64]>, out: &mut [f64]) {
        let [nx, ny, nz] = self.mesh.size();
        out.par_chunks_exact_mut(nx).enumerate().with_min_len(4).for_each_init(
            || vec![0.0; nx],
            |buffer, (at, out)| {
                out.fill(0.0);
                for ([dy, dz], weights) in &self.rows {
                    let y = (at % ny).checked_add_signed(*dy).filter(|y| *y < ny);
                    let z = (at / ny).checked_add_signed(*dz).filter(|z| *z < nz);
                    let (Some(y), Some(z)) = (y, z) else { continue };
                    let start = nx * (y + ny * z);
                    let mut row = &values[start..start + nx];
                    if let Some(factors) = factors {
                        for ((out, value), factor) in buffer.iter_mut().zip(row).zip(&factors[start..]) {
                            *out = value * factor;
                        }
                        row = buffer;
                    }
                    pulp::Arch::new().dispatch(
                        #[inline(always)]
                        || add_row(weights, row, out),
                    );
                }
            },
        );
    }
}

/// out_i += Σ_k w_|k| row_{i+k}, nothing being outside the row.
#[inline(always)]
fn add_row(weights: &[f64], row: &[f64], out: &mut [f64]) {
    let n = row.len();
    for (k, weight) in weights.iter().enumerate().take(n) {
        for (out, value) in out.iter_mut().zip(&row[k..]) {
            *out += weight * value;
        }
        if k > 0 {
            for (out, value) in out[k..].iter_mut().zip(row) {
                *out += weight * value;
            }
        }
    }
}

/// The slow twin of [`DensityFilter::apply`]: all pairs of elements.
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) when there is not one entry an element.
pub fn filter_by_pairs(mesh: BrickMesh, sides: [f64; 3], radius: f64, design: &[f64]) -> Result<Vec<f64>> {
    if design.len() != mesh.elements() {
        return Err(Error::length("the design", design.len(), mesh.elements()));
    }
    let [nx, ny, _] = mesh.size();
    let place = |e: usize| [e % nx, e / nx % ny, e / (nx * ny)];
    let density = |i: usize| {
        let (mut sum, mut total) = (0.0, 0.0);
        for (j, value) in design.iter().enumerate() {
            let (a, b) = (place(i), place(j));
            let square: f64 = (0..3).map(|d| ((a[d] as f64 - b[d] as f64) * sides[d]).powi(2)).sum();
            let weight = (radius - square.sqrt()).max(0.0);
            sum += weight * value;
            total += weight;
        }
        sum / total
    };
    Ok((0..mesh.elements()).map(density).collect())
}
