//! Elements whose density is given, whatever the design is.

use super::mesh::Mesh;
use super::structure::{RegionKind, Structure};
use crate::error::{Error, Result};

/// The given density of every element, if it has one.
#[derive(Debug, Clone)]
pub(super) struct PassiveElements {
    given: Vec<Option<RegionKind>>,
    active: usize,
    solid: usize,
    /// The numbers of the regions that hold no element.
    without_elements: Vec<usize>,
}

impl PassiveElements {
    /// Where regions overlap, the last one counts.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) if no element is left to design, and for a shape that
    /// holds no elements.
    pub(super) fn new(structure: &Structure, mesh: &Mesh) -> Result<Self> {
        let lattice = structure.lattice(*mesh);
        let mut given = vec![None; mesh.elements()];
        let mut without_elements = Vec::new();
        for (number, region) in structure.regions.iter().enumerate() {
            let key = format!("regions[{number}].at");
            let mut holds_any = false;
            for (e, given) in given.iter_mut().enumerate() {
                if region.at.holds_element(&lattice, mesh.element_place(e), &key)? {
                    *given = Some(region.kind);
                    holds_any = true;
                }
            }
            if !holds_any {
                without_elements.push(number);
            }
        }
        let active = given.iter().filter(|g| g.is_none()).count();
        let solid = given.iter().filter(|g| **g == Some(RegionKind::Solid)).count();
        if active == 0 {
            return Err(Error::invalid(
                "the number of elements outside the passive regions",
                0,
                "at least 1",
            ));
        }
        Ok(Self { given, active, solid, without_elements })
    }

    /// The numbers of the regions that hold no element, counted from 0.
    pub(super) fn without_elements(&self) -> &[usize] {
        &self.without_elements
    }

    /// Whether the element may have material: it is designed or solid.
    pub(super) fn may_be_solid(&self, e: usize) -> bool {
        self.given[e] != Some(RegionKind::Void)
    }

    /// Whether element `mirrored(e)` has the given density of element e, for all of them.
    pub(super) fn is_symmetric(&self, mirrored: impl Fn(usize) -> usize) -> bool {
        self.is_empty() || (0..self.given.len()).all(|e| self.given[e] == self.given[mirrored(e)])
    }

    /// The number of elements that are designed.
    pub(super) fn active(&self) -> usize {
        self.active
    }

    /// The number of elements that are solid whatever the design is.
    pub(super) fn solid(&self) -> usize {
        self.solid
    }

    /// The density of every element that has a given one; nothing where all are designed.
    pub(super) fn given(&self) -> Vec<Option<f64>> {
        let given = if self.is_empty() { &[][..] } else { &self.given };
        given.iter().map(|given| given.map(RegionKind::density)).collect()
    }

    /// Whether every element is designed.
    pub(super) fn is_empty(&self) -> bool {
        self.active == self.given.len()
    }

    pub(super) fn is_active(&self, e: usize) -> bool {
        self.given[e].is_none()
    }

    /// The values of the designed elements.
    pub(super) fn active_values<'a>(&'a self, values: &'a [f64]) -> impl Iterator<Item = f64> + Clone + 'a {
        self.given.iter().zip(values).filter(|(g, _)| g.is_none()).map(|(_, v)| *v)
    }

    /// Writes the given densities into the passive elements.
    pub(super) fn impose(&self, density: &mut [f64]) {
        if self.is_empty() {
            return;
        }
        for (rho, given) in density.iter_mut().zip(&self.given) {
            *rho = given.map_or(*rho, RegionKind::density);
        }
    }

    /// Zeroes the passive elements' entries: a given density has no slope.
    pub(super) fn clear(&self, values: &mut [f64]) {
        if self.is_empty() {
            return;
        }
        for (v, given) in values.iter_mut().zip(&self.given) {
            if given.is_some() {
                *v = 0.0;
            }
        }
    }
}
