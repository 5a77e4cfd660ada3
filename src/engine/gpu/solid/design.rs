//! From a design to densities and moduli, and from energies to the design's gradient, on the device.

use super::levels::threads;
use crate::engine::gpu::buffers::Buffer;
use crate::engine::gpu::kernels::{DensityModulus, DensitySensitivity, DesignFilter, DesignMirror, bindings};
use crate::engine::gpu::recording::Recorder;
use crate::engine::gpu::shared::{Filtering, Given};
use crate::error::Result;
use crate::fem::{BrickMesh, Simp};

/// What lies between a design and the densities of its elements.
#[derive(Debug, Clone)]
pub(crate) struct DesignRule {
    /// The sides of an element, and the filter's radius in the same unit.
    pub(crate) sides: [f64; 3],
    pub(crate) radius: f64,
    /// Whether the filter is one of sensitivities, and densities are the design itself.
    pub(crate) filters_sensitivities: bool,
    /// The axes along which a design and its mirror image count as one.
    pub(crate) mirrors: [bool; 3],
    /// The density of every element that has a given one, 0 or 1; empty where all are designed.
    pub(crate) given: Vec<Option<f64>>,
}

/// A rule with its buffers on the device.
#[derive(Debug)]
pub(super) struct Design {
    mesh: BrickMesh,
    filter: DesignFilter,
    filters_sensitivities: bool,
    mirrors: [bool; 3],
    given: Buffer,
    /// x, and at the end the gradient.
    pub(super) design: Buffer,
    density: Buffer,
    row_inverse: Buffer,
}

/// The bytes of an element: the design, its density, and one over its row's sum.
pub(super) const BYTES: u64 = 12;

impl Design {
    pub(super) fn new(recorder: &mut Recorder, mesh: BrickMesh, rule: &DesignRule) -> Result<Self> {
        let elements = mesh.elements() as u64;
        let size = mesh.size();
        let [nx, ny, nz] = size.map(|n| n as u32);
        // The last neighbour along an axis that is nearer than the radius.
        let [reach_x, reach_y, reach_z] = std::array::from_fn(|d| {
            let reach = (rule.radius / rule.sides[d]).ceil() - 1.0;
            (reach.max(0.0) as usize).min(size[d] - 1) as u32
        });
        let [side_x, side_y, side_z] = rule.sides.map(|side| side as f32);
        let filter = DesignFilter {
            nx,
            ny,
            nz,
            mode: Filtering::RowSums.into(),
            reach_x,
            reach_y,
            reach_z,
            radius: rule.radius as f32,
            side_x,
            side_y,
            side_z,
            has_given: u32::from(!rule.given.is_empty()),
        };
        let code = |given: &Option<f64>| match given {
            None => Given::None,
            Some(0.0) => Given::Void,
            Some(_) => Given::Solid,
        };
        let words: Vec<u32> = rule
            .given
            .chunks(16)
            .map(|part| part.iter().rev().fold(0, |word, given| word << 2 | u32::from(code(given))))
            .collect();
        let this = Self {
            mesh,
            filter,
            filters_sensitivities: rule.filters_sensitivities,
            mirrors: rule.mirrors,
            given: recorder.buffer("fem.given", 4 * words.len() as u64)?,
            design: recorder.buffer("fem.design", 4 * elements)?,
            density: recorder.buffer("fem.density", 4 * elements)?,
            row_inverse: recorder.buffer("fem.row_inverse", 4 * elements)?,
        };
        if !words.is_empty() {
            recorder.upload(&this.given, &words)?;
        }
        this.filter(recorder, Filtering::RowSums, [&this.design, &this.density, &this.row_inverse])?;
        Ok(this)
    }

    pub(super) fn buffers(&self) -> [&Buffer; 4] {
        [&self.given, &self.design, &self.density, &self.row_inverse]
    }

    fn filter(
        &self,
        recorder: &mut Recorder,
        what: Filtering,
        [values, row_inverse, result]: [&Buffer; 3],
    ) -> Result<()> {
        recorder.dispatch(
            DesignFilter { mode: what.into(), ..self.filter },
            &bindings::DesignFilter { values, row_inverse, given: &self.given, result },
            threads::<DesignFilter>(self.mesh.elements()),
        )
    }

    fn mirror(&self, recorder: &mut Recorder) -> Result<()> {
        let [nx, ny, nz] = self.mesh.size().map(|n| n as u32);
        for axis in (0..3).filter(|axis| self.mirrors[*axis]) {
            recorder.dispatch(
                DesignMirror { nx, ny, nz, axis: axis as u32 },
                &bindings::DesignMirror { values: &self.design },
                threads::<DesignMirror>(self.mesh.elements()),
            )?;
        }
        Ok(())
    }

    /// Records the way from the design that was uploaded to `moduli`.
    pub(super) fn record_moduli(&self, recorder: &mut Recorder, law: &Simp, moduli: &Buffer) -> Result<()> {
        self.mirror(recorder)?;
        if self.filters_sensitivities {
            recorder.copy(&self.design, 0, &self.density, 0, 4 * self.mesh.elements() as u64);
        } else {
            self.filter(recorder, Filtering::Means, [&self.design, &self.row_inverse, &self.density])?;
        }
        recorder.dispatch(
            DensityModulus {
                elements: self.mesh.elements() as u32,
                has_given: self.filter.has_given,
                penalty: law.penalty as f32,
                void_modulus: law.void_modulus as f32,
            },
            &bindings::DensityModulus { given: &self.given, density: &self.density, moduli },
            threads::<DensityModulus>(self.mesh.elements()),
        )
    }

    /// Records the way from the elements' energies, which are overwritten, to the gradient, which is where
    /// the design was.
    pub(super) fn record_gradient(
        &self,
        recorder: &mut Recorder,
        law: &Simp,
        energies: &Buffer,
    ) -> Result<()> {
        recorder.dispatch(
            DensitySensitivity {
                elements: self.mesh.elements() as u32,
                has_given: self.filter.has_given,
                penalty: law.penalty as f32,
                void_modulus: law.void_modulus as f32,
                times_design: u32::from(self.filters_sensitivities),
            },
            &bindings::DensitySensitivity {
                given: &self.given,
                density: &self.density,
                design: &self.design,
                energies,
            },
            threads::<DensitySensitivity>(self.mesh.elements()),
        )?;
        let what = if self.filters_sensitivities { Filtering::Sensitivity } else { Filtering::Transpose };
        self.filter(recorder, what, [energies, &self.row_inverse, &self.design])?;
        self.mirror(recorder)
    }
}
