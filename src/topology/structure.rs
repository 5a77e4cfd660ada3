//! What is optimized: mesh, material, supports, loads, regions, and how much of the box may be filled.

use glam::DVec3;
use serde::{Deserialize, Serialize};

use super::filter::FilterKind;
use super::mesh::Mesh;
use super::projection::Projection;
use super::shape::{Lattice, Shape};
use super::symmetry::Symmetry;
use crate::error::{Error, Result};

/// A structure to optimize, in two or three dimensions: plain data, which problem files hold as TOML.
///
/// Units are free but must agree: the same structure in other units of length and force has the same design,
/// and its compliance is a force times a length. The box starts at the origin, y points up.
///
/// A shelf of 60×20×20, clamped at the left, with a load spread along its front edge:
/// ```
/// use lgf::topology::{Axis, Compliance, Directions, Force, Load, LoadCase, Shape, Structure, Support};
///
/// # fn main() -> lgf::Result<()> {
/// let mut shelf = Structure::new(&[18, 6, 6], 0.3);
/// shelf.mesh.lengths = vec![60.0, 20.0, 20.0];
/// shelf.radius = 5.0;
/// shelf.supports = vec![Support { at: Shape::Plane { axis: Axis::X, at: 0.0 }, fix: Directions::ALL }];
/// let edge = Shape::Box { lower: vec![0.0, 20.0, 20.0], upper: vec![60.0, 20.0, 20.0] };
/// shelf.load_cases = vec![LoadCase::of(vec![Load { at: edge, force: Force::Total(vec![0.0, -1.0, 0.0]) }])];
/// let problem = Compliance::new(shelf)?;
/// assert_eq!(problem.mesh().to_string(), "18x6x6");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Structure {
    /// A word for the structure in records and pictures.
    #[serde(default = "unnamed")]
    pub name: String,
    /// The volume fraction, in (0, 1]: of the whole box, solid and void regions included.
    #[serde(rename = "volume")]
    pub volume_fraction: f64,
    /// The filter radius, a length above 0. A radius of at most one element's side filters nothing.
    pub radius: f64,
    /// The SIMP exponent p, in \[1, 10\].
    #[serde(default = "three")]
    pub penalty: f64,
    /// What the filter smooths, densities or sensitivities.
    #[serde(default)]
    pub filter: FilterKind,
    /// Projects the filtered density towards 0 and 1; with the density filter only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Projection>,
    /// The mirror images that designs are kept equal to.
    #[serde(default)]
    pub symmetry: Symmetry,
    /// The box and its elements.
    pub mesh: MeshConfig,
    /// The material that the structure is made of.
    #[serde(default)]
    pub material: Material,
    /// The nodes that are held.
    pub supports: Vec<Support>,
    /// The loads; cases act one at a time, and their weighted compliances add up.
    pub load_cases: Vec<LoadCase>,
    /// Parts of the box that are void or solid whatever the design is; where they overlap, the last one
    /// counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
}

fn unnamed() -> String {
    "structure".into()
}

fn three() -> f64 {
    3.0
}

/// The box of a structure and its elements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MeshConfig {
    /// The number of elements along each axis: two or three numbers.
    pub elements: Vec<u32>,
    /// The lengths of the box along each axis. Without any, elements have sides of 1.
    #[serde(default)]
    pub lengths: Vec<f64>,
}

/// What happens across the plane of a structure in two dimensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaneState {
    /// Nothing presses on its faces: a thin plate.
    #[default]
    Stress,
    /// Nothing moves across it: a long dam.
    Strain,
}

/// A linear elastic, isotropic material.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Material {
    /// Young's modulus of the solid, a force over an area, above 0.
    pub youngs_modulus: f64,
    /// Poisson's ratio of the material, above −1 and below 0.5.
    pub poisson_ratio: f64,
    /// Young's modulus of void as a share of the solid's, in (0, 1): keeps the stiffness matrix regular.
    pub void_modulus: f64,
    /// The mass of the solid in a unit of volume, which gravity acts on, at least 0; where there is gravity,
    /// it has to be given.
    pub density: f64,
    /// What happens across the plane, in two dimensions.
    pub plane: PlaneState,
    /// The thickness of a structure in two dimensions, above 0.
    pub thickness: f64,
}

impl Default for Material {
    /// Modulus and thickness 1, ν = 0.3, E_min = 10⁻⁹, no mass, plane stress.
    fn default() -> Self {
        Self {
            youngs_modulus: 1.0,
            poisson_ratio: 0.3,
            void_modulus: 1e-9,
            density: 0.0,
            plane: PlaneState::Stress,
            thickness: 1.0,
        }
    }
}

/// The directions in which nodes are held: in problem files a word of the letters x, y and z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Directions(pub [bool; 3]);

impl Directions {
    /// All directions, a clamped node.
    pub const ALL: Self = Self([true; 3]);

    /// One direction, a roller or a plane of symmetry.
    pub fn only(axis: super::shape::Axis) -> Self {
        let mut directions = [false; 3];
        directions[axis.number()] = true;
        Self(directions)
    }
}

impl TryFrom<String> for Directions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut directions = [false; 3];
        for letter in text.chars() {
            match "xyz".find(letter) {
                Some(axis) if !directions[axis] => directions[axis] = true,
                _ => return Err(format!("\"{text}\" is no set of directions such as \"x\" or \"xyz\"")),
            }
        }
        if text.is_empty() { Err("\"\" names no direction".into()) } else { Ok(Self(directions)) }
    }
}

impl From<Directions> for String {
    fn from(Directions(held): Directions) -> Self {
        "xyz".chars().zip(held).filter(|(_, held)| *held).map(|(letter, _)| letter).collect()
    }
}

/// Nodes that are held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Support {
    /// The nodes that are held.
    pub at: Shape,
    /// The directions in which they cannot move. In the plane, z is ignored.
    pub fix: Directions,
}

/// Loads that act together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadCase {
    /// A word for the case in records and pictures.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The factor of the case's compliance in the objective, above 0.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: f64,
    /// The forces on nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<Load>,
    /// The acceleration that acts on the structure's own mass, of which there is as much as there is density.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gravity: Option<Vec<f64>>,
}

fn one() -> f64 {
    1.0
}

fn is_one(weight: &f64) -> bool {
    *weight == 1.0
}

impl LoadCase {
    /// A case of weight 1 without gravity.
    pub fn of(loads: Vec<Load>) -> Self {
        Self { name: String::new(), weight: 1.0, loads, gravity: None }
    }
}

/// A force on the nodes of a shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Load {
    /// The nodes. Those that touch nothing but void are left out, unless all do.
    pub at: Shape,
    /// The force on them.
    pub force: Force,
}

/// How large a force is. Totals and tractions are spread consistently with the elements' shape functions: the
/// end nodes of an edge get half as much as those between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Force {
    /// The sum of the forces on all nodes of the shape.
    Total(Vec<f64>),
    /// The force on each node of the shape: what it adds up to depends on the mesh.
    PerNode(Vec<f64>),
    /// The force on a unit of area; in the plane, of length times thickness. The shape must be a surface (in
    /// the plane, a line).
    Traction(Vec<f64>),
    /// The force on a unit of area, at a right angle to a plane or flat box, against the axis for a positive
    /// pressure on the far side of the box, along it on the near side.
    Pressure(f64),
}

/// A part of the box whose density is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Region {
    /// Whether it is void or solid.
    pub kind: RegionKind,
    /// The elements of the region.
    pub at: Shape,
}

impl Region {
    /// A hole, or the outside of a domain that is no box.
    pub fn void(at: Shape) -> Self {
        Self { kind: RegionKind::Void, at }
    }

    /// A flange, a deck.
    pub fn solid(at: Shape) -> Self {
        Self { kind: RegionKind::Solid, at }
    }

    /// The circular hole of the 99- and 88-line codes' passive example: the elements in column i and row j,
    /// both counted from 1 at the upper left, with (i − nelx/3)² + (j − nely/2)² < (nely/3)².
    ///
    /// The published test takes the numbers i and j for coordinates, so the hole sits half an element left of
    /// and above the point (1/3, 1/2). Source: Sigmund, *A 99 line topology optimization code written in
    /// Matlab*, SMO 21 (2001) 120–127, §4.3; Andreassen et al. 2011.
    pub fn classic_hole(nelx: u32, nely: u32) -> Self {
        let (x, y) = (f64::from(nelx), f64::from(nely));
        Self::void(Shape::Sphere { centre: vec![x / 3.0 - 0.5, 0.5 * y + 0.5], radius: y / 3.0 })
    }
}

/// What a region is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegionKind {
    /// The density is 0.
    Void,
    /// The density is 1.
    Solid,
}

impl RegionKind {
    /// The density of the region.
    pub fn density(self) -> f64 {
        match self {
            Self::Void => 0.0,
            Self::Solid => 1.0,
        }
    }
}

impl Structure {
    /// A box of unit squares or cubes without supports and loads: p = 3, the density filter of radius 1.5,
    /// the default material, nothing passive, no projection, whatever symmetry the problem has.
    pub fn new(elements: &[u32], volume_fraction: f64) -> Self {
        Self {
            name: unnamed(),
            volume_fraction,
            radius: 1.5,
            penalty: 3.0,
            filter: FilterKind::Density,
            projection: None,
            symmetry: Symmetry::Auto,
            mesh: MeshConfig {
                elements: elements.to_vec(),
                lengths: elements.iter().map(|n| f64::from(*n)).collect(),
            },
            material: Material::default(),
            supports: Vec::new(),
            load_cases: Vec::new(),
            regions: Vec::new(),
        }
    }

    /// The same structure with another region.
    #[must_use]
    pub fn with(mut self, region: Region) -> Self {
        self.regions.push(region);
        self
    }

    /// The number of axes that the mesh has.
    pub fn dimension(&self) -> usize {
        self.mesh.elements.len()
    }

    /// The lengths of the box along x, y and z; in the plane, 1 along z.
    pub fn lengths(&self) -> [f64; 3] {
        std::array::from_fn(|axis| match (self.mesh.lengths.get(axis), self.mesh.elements.get(axis)) {
            (Some(length), _) => *length,
            (None, Some(elements)) => f64::from(*elements),
            (None, None) => 1.0,
        })
    }

    /// The volume of an element; in the plane, with the material's thickness.
    pub(super) fn element_volume(&self) -> f64 {
        let [width, height, depth] = self.sides();
        width * height * if self.dimension() == 2 { self.material.thickness } else { depth }
    }

    /// The sides of an element along x, y and z; in the plane, 1 along z.
    pub fn sides(&self) -> [f64; 3] {
        let lengths = self.lengths();
        std::array::from_fn(|axis| match self.mesh.elements.get(axis) {
            Some(elements) => lengths[axis] / f64::from(*elements),
            None => 1.0,
        })
    }

    /// The number of elements.
    pub fn elements(&self) -> u64 {
        self.mesh.elements.iter().map(|n| u64::from(*n)).product()
    }

    /// The filter radius in sides of an element along x.
    pub(super) fn radius_in_sides(&self) -> f64 {
        self.radius / self.sides()[0]
    }

    pub(super) fn lattice(&self, mesh: Mesh) -> Lattice {
        Lattice { mesh, sides: DVec3::from(self.sides()) }
    }

    /// The same structure on half as many elements along each axis, rounded up, each twice as long. Where a
    /// number is odd the box, with all that is in it, is stretched by half a coarse element along that axis.
    /// The filter radius is stretched along.
    pub(super) fn halved(&self) -> Self {
        let elements: Vec<u32> = self.mesh.elements.iter().map(|n| n.div_ceil(2)).collect();
        let sides = self.sides();
        let lengths: Vec<f64> =
            elements.iter().zip(sides).map(|(n, side)| f64::from(*n) * (2.0 * side)).collect();
        let old = self.lengths();
        let factors = std::array::from_fn(|axis| lengths.get(axis).map_or(1.0, |new| new / old[axis]));
        let mut coarse = self.clone();
        coarse.mesh = MeshConfig { elements, lengths };
        coarse.supports.iter_mut().for_each(|support| support.at = support.at.stretched(factors));
        for load in coarse.load_cases.iter_mut().flat_map(|case| &mut case.loads) {
            load.at = load.at.stretched(factors);
        }
        coarse.regions.iter_mut().for_each(|region| region.at = region.at.stretched(factors));
        coarse
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError), which names the culprit as a problem file does.
    pub fn validate(&self) -> Result<()> {
        Mesh::new(&self.mesh.elements)?;
        self.validate_settings()?;
        let dimension = self.dimension();
        let lengths = &self.mesh.lengths;
        if !lengths.is_empty() && lengths.len() != dimension {
            let (found, axes) = (lengths.len(), dimension);
            let reason = format!("has {found} numbers; it must have {axes}, one an axis");
            return Err(Error::structure("mesh.lengths", reason));
        }
        let sides = self.sides();
        if !lengths.iter().all(|length| *length > 0.0 && length.is_finite()) {
            return Err(Error::structure("mesh.lengths", "has a length that is not positive and finite"));
        }
        let (least, most) =
            sides[..dimension].iter().fold((f64::INFINITY, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
        if most > 10.0 * least {
            let shown: Vec<String> = sides[..dimension].iter().map(|s| format!("{s:.4}")).collect();
            let shown = shown.join(" x ");
            return Err(Error::structure(
                "mesh",
                format!("has elements of {shown}; no side may be more than 10 times another"),
            ));
        }
        if self.supports.is_empty() {
            return Err(Error::structure("supports", "is empty; a structure must be held somewhere"));
        }
        for (number, support) in self.supports.iter().enumerate() {
            let key = format!("supports[{number}]");
            support.at.validate(&format!("{key}.at"), dimension)?;
            if dimension == 2 && support.fix == Directions([false, false, true]) {
                let reason = "holds nothing in the plane; take \"x\", \"y\" or \"xy\"";
                return Err(Error::structure(format!("{key}.fix"), reason));
            }
        }
        if self.load_cases.is_empty() {
            return Err(Error::structure("load-cases", "is empty; there must be a load"));
        }
        self.load_cases.iter().enumerate().try_for_each(|(number, case)| {
            case.validate(&format!("load-cases[{number}]"), dimension, self.material.density)
        })?;
        for (number, case) in self.load_cases.iter().enumerate().filter(|(_, case)| !case.name.is_empty()) {
            if self.load_cases[..number].iter().any(|other| other.name == case.name) {
                let reason = format!("is \"{}\", as another one's is; results are told by name", case.name);
                return Err(Error::structure(format!("load-cases[{number}].name"), reason));
            }
        }
        for (number, region) in self.regions.iter().enumerate() {
            region.at.validate(&format!("regions[{number}].at"), dimension)?;
        }
        self.require_places()
    }

    /// Refuses supports and loads that are outside of the box: a slip of units would move them to its border.
    fn require_places(&self) -> Result<()> {
        let (lengths, sides) = (self.lengths(), self.sides());
        let supports = self.supports.iter().enumerate();
        let supports = supports.map(|(number, support)| (format!("supports[{number}].at"), &support.at));
        let cases = self.load_cases.iter().enumerate();
        let loads = cases.flat_map(|(number, case)| {
            let loads = case.loads.iter().enumerate();
            loads.map(move |(load, Load { at, .. })| (format!("load-cases[{number}].loads[{load}].at"), at))
        });
        for (key, at) in supports.chain(loads) {
            let Some([lower, upper]) = at.extent() else { continue };
            for axis in 0..self.dimension() {
                let (length, margin) = (lengths[axis], 0.5 * sides[axis]);
                if upper[axis] < -margin || lower[axis] > length + margin {
                    let name = ["x", "y", "z"][axis];
                    let reason = format!(
                        "is outside of the box, which goes from 0 to {length} along {name}; the shape goes \
                         from {} to {}",
                        lower[axis], upper[axis]
                    );
                    return Err(Error::structure(key, reason));
                }
            }
        }
        Ok(())
    }

    /// Checks the numbers of the problem itself, without shapes.
    pub(super) fn validate_settings(&self) -> Result<()> {
        let Self { volume_fraction, penalty, .. } = *self;
        if !(volume_fraction > 0.0 && volume_fraction <= 1.0) {
            return Err(Error::invalid("the volume fraction", volume_fraction, "above 0 and at most 1"));
        }
        if !(1.0..=10.0).contains(&penalty) {
            return Err(Error::invalid("the penalty", penalty, "between 1 and 10"));
        }
        self.material.validate()?;
        let Material { plane, thickness, .. } = self.material;
        if self.dimension() == 3 && (plane != PlaneState::Stress || thickness != 1.0) {
            let key = if thickness == 1.0 { "material.plane" } else { "material.thickness" };
            return Err(Error::structure(key, "is for structures in two dimensions; the mesh has three"));
        }
        if self.dimension() == 2 && matches!(self.symmetry, Symmetry::Z | Symmetry::All) {
            return Err(Error::only_with("the symmetry of front and back", "structures in three dimensions"));
        }
        if let Some(projection) = self.projection {
            projection.validate()?;
            if self.filter == FilterKind::Sensitivity {
                return Err(Error::exclusive(
                    "the projection",
                    "the sensitivity filter",
                    "the projection needs the density filter, the other one leaves nothing to project",
                ));
            }
        }
        Ok(())
    }

    /// The same structure on a mesh of other elements along each axis; lengths stay. What an STL file was
    /// [read](Self::load) as keeps its resolution until it is read again.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for another number of axes, or no elements.
    pub fn resized(&self, elements: &[u32]) -> Result<Self> {
        if elements.len() != self.dimension() {
            let allowed = format!("{}, as the structure has", self.dimension());
            return Err(Error::invalid("the number of axes of the size", elements.len(), allowed));
        }
        let mut resized = self.clone();
        resized.mesh.lengths = self.lengths()[..self.dimension()].to_vec();
        resized.mesh.elements = elements.to_vec();
        resized.validate()?;
        Ok(resized)
    }

    /// Reads the files that the regions name, relative to `folder`; their paths are absolute afterwards, so
    /// that they can be read again.
    ///
    /// # Errors
    /// [`FileError`](crate::error::FileError) for a file that cannot be read or is not what it should be.
    #[cfg(feature = "cli")]
    pub fn load(&mut self, folder: &std::path::Path) -> Result<()> {
        let (lengths, elements) = (self.lengths(), self.mesh.elements.clone());
        // The parent of a bare file name is empty.
        let folder = if folder.as_os_str().is_empty() { std::path::Path::new(".") } else { folder };
        let folder = std::path::absolute(folder).map_err(|error| Error::io(folder, error))?;
        for region in &mut self.regions {
            if let Shape::Stl(file) | Shape::Mask(file) = &mut region.at
                && file.file.is_relative()
            {
                file.file = folder.join(&file.file);
            }
            match &mut region.at {
                Shape::Stl(file) => file.set(crate::io::stl_cells(&file.file, &elements, lengths)?),
                Shape::Mask(file) => file.set(crate::io::mask_cells(&file.file, &elements)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// The unit of compliance that the solver's numbers are in: forces are divided by the greatest one,
    /// lengths by an element's side (in the plane, thickness), moduli by Young's.
    pub(super) fn unit(&self) -> Unit {
        let material = &self.material;
        let lengths = self.lengths();
        let volume: f64 = lengths[..self.dimension()].iter().product();
        let mass = material.density * volume;
        let size = |vector: &[f64]| vector.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let greatest = self.load_cases.iter().flat_map(|case| {
            let gravity = case.gravity.iter().map(|gravity| size(gravity) * mass);
            case.loads.iter().map(|load| load.force.size()).chain(gravity)
        });
        let force = greatest.fold(0.0, f64::max);
        let stiffness = if self.dimension() == 2 {
            material.youngs_modulus * material.thickness
        } else {
            material.youngs_modulus * self.sides()[0]
        };
        Unit { force, compliance: force * force / stiffness, length: self.sides()[0] }
    }
}

/// The units of what the solver computes with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    pub force: f64,
    pub length: f64,
    /// The compliance of a unit force on a unit stiffness.
    pub compliance: f64,
}

impl Material {
    fn validate(&self) -> Result<()> {
        let Self { youngs_modulus, void_modulus, poisson_ratio, density, thickness, .. } = *self;
        if !(void_modulus > 0.0 && void_modulus < 1.0) {
            return Err(Error::invalid("the void modulus", void_modulus, "between 0 and 1, both excluded"));
        }
        if !(poisson_ratio > -1.0 && poisson_ratio < 0.5) {
            return Err(Error::invalid("Poisson's ratio", poisson_ratio, "above -1 and below 0.5"));
        }
        Error::require_positive("Young's modulus", youngs_modulus)?;
        Error::require_positive("the thickness", thickness)?;
        if !(density >= 0.0 && density.is_finite()) {
            return Err(Error::invalid("the material's density", density, "at least 0 and finite"));
        }
        Ok(())
    }
}

impl Force {
    /// The greatest entry, whatever it is a measure of.
    fn size(&self) -> f64 {
        match self {
            Self::Total(force) | Self::PerNode(force) | Self::Traction(force) => {
                force.iter().fold(0.0_f64, |m, v| m.max(v.abs()))
            }
            Self::Pressure(pressure) => pressure.abs(),
        }
    }

    fn validate(&self, key: &str, dimension: usize) -> Result<()> {
        if let Self::Total(force) | Self::PerNode(force) | Self::Traction(force) = self
            && force.len() != dimension
        {
            let found = force.len();
            let reason = format!("has {found} components; the mesh has {dimension} axes");
            return Err(Error::structure(key, reason));
        }
        if self.size() > 0.0 && self.size().is_finite() {
            Ok(())
        } else {
            Err(Error::structure(key, "must be finite and not 0"))
        }
    }
}

impl LoadCase {
    fn validate(&self, key: &str, dimension: usize, density: f64) -> Result<()> {
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            let reason = format!("is {}; it must be positive and finite", self.weight);
            return Err(Error::structure(format!("{key}.weight"), reason));
        }
        for (number, load) in self.loads.iter().enumerate() {
            load.at.validate(&format!("{key}.loads[{number}].at"), dimension)?;
            load.force.validate(&format!("{key}.loads[{number}].force"), dimension)?;
            if let (Force::Pressure(_), false) = (&load.force, load.at.normal().is_some()) {
                return Err(Error::structure(
                    format!("{key}.loads[{number}]"),
                    "is a pressure on a shape that is no plane and no flat box; use a traction",
                ));
            }
        }
        match &self.gravity {
            Some(gravity) => {
                Force::Total(gravity.clone()).validate(&format!("{key}.gravity"), dimension)?;
                if density == 0.0 {
                    let reason = "acts on no mass; give material.density, the mass of a unit of volume";
                    return Err(Error::structure(format!("{key}.gravity"), reason));
                }
                Ok(())
            }
            None if self.loads.is_empty() => Err(Error::structure(key, "has neither loads nor gravity")),
            None => Ok(()),
        }
    }
}

impl Shape {
    /// The axis that a plane or a flat box is perpendicular to, and its place there.
    pub(super) fn normal(&self) -> Option<(usize, f64)> {
        match self {
            Self::Plane { axis, at } => Some((axis.number(), *at)),
            Self::Box { lower, upper } => {
                let mut flat = (0..lower.len()).filter(|axis| lower[*axis] == upper[*axis]);
                match (flat.next(), flat.next()) {
                    (Some(axis), None) => Some((axis, lower[axis])),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}
