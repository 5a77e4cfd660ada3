//! Densities to compliance: a sparse factorisation in the plane, multigrid in space, on the CPU or on a
//! device.

use std::borrow::Cow;

use super::boundary::Boundary;
use super::element::q4;
use super::filter::HatFilter;
use super::grid::Grid;
use super::mesh::Mesh;
use super::stiffness::Stiffness;
use super::structure::{Structure, Unit};
use crate::engine::gpu::{DesignRule, DeviceCompliance, SolidDevice};
use crate::error::{Error, Result};
use crate::fem::{
    Accuracy, BrickMesh, DensityFilter, Element, Evaluation, Load, Operator, Simp, SolidCompliance, Solver,
    Supports,
};

/// The greatest number of iterations of one solve: some forty times what thin members in almost void need.
const MAX_ITERATIONS: usize = 2000;

/// The finite elements of a structure on one mesh. Forces are divided by their [`Unit`], so that the
/// compliance of internal numbers times the unit's is the structure's; a case's forces carry the root of its
/// weight.
#[derive(Debug)]
pub(super) enum Model {
    /// Four-node rectangles, solved by a sparse Cholesky factorisation.
    Plane(Box<PlaneModel>),
    /// Bricks, solved by conjugate gradients with multigrid.
    Solid(Box<SolidCompliance>),
    /// The same on a device.
    Device(Box<DeviceCompliance>),
}

/// The letters of the homes in a state.
const ON_CPU: [u8; 1] = *b"c";
const ON_DEVICE: [u8; 1] = *b"d";

impl Model {
    pub(super) fn new(structure: &Structure, mesh: Mesh, boundary: &Boundary) -> Result<Self> {
        Ok(match mesh {
            Mesh::Plane(grid) => Self::Plane(Box::new(PlaneModel::new(structure, grid, boundary)?)),
            Mesh::Solid(bricks) => Self::Solid(Box::new(solid(structure, bricks, boundary)?)),
        })
    }

    /// The weighted compliance of these densities, and its slope with respect to each. Solves in space end as
    /// `accuracy` says; a factorisation is exact, and no solve is told of.
    pub(super) fn evaluate(
        &mut self,
        law: &Simp,
        density: &[f64],
        accuracy: Accuracy,
        slope: &mut [f64],
    ) -> Result<Evaluation> {
        match self {
            Self::Plane(model) => model.evaluate(law, density, slope),
            Self::Solid(model) => model.evaluate(law, density, accuracy, MAX_ITERATIONS, slope),
            Self::Device(model) => model.evaluate(law, density, accuracy, MAX_ITERATIONS, slope),
        }
    }

    /// The model of a structure in space on a device.
    pub(super) fn on_device(
        structure: &Structure,
        mesh: Mesh,
        boundary: &Boundary,
        device: &SolidDevice,
        rule: &DesignRule,
    ) -> Result<Self> {
        let Mesh::Solid(bricks) = mesh else {
            return Err(Error::only_with("a true gradient on the GPU", "structures in three dimensions"));
        };
        let Bricks { element, supports, loads, bodies } = Bricks::new(structure, bricks, boundary)?;
        let model = DeviceCompliance::new(device, &element, &supports, loads, bodies)?;
        Ok(Self::Device(Box::new(model.with_design(rule)?)))
    }

    /// The weighted compliance of this design, and its gradient if that is asked for, where the model takes
    /// designs: on a device, whose rule for them has no projection. None elsewhere.
    pub(super) fn evaluate_design(
        &mut self,
        law: &Simp,
        x: &[f64],
        accuracy: Accuracy,
        gradient: Option<&mut [f64]>,
    ) -> Option<Result<Evaluation>> {
        match self {
            Self::Device(model) if model.takes_designs() => {
                Some(model.evaluate_design(law, x, accuracy, MAX_ITERATIONS, gradient))
            }
            _ => None,
        }
    }

    /// The handle of the device that the model is on, if it is on one.
    pub(super) fn device(&self) -> Option<&SolidDevice> {
        if let Self::Device(model) = self { Some(model.device()) } else { None }
    }

    /// The same model on the CPU, with the displacements of a model on a device, if that can still tell them.
    pub(super) fn to_cpu(&self, structure: &Structure, mesh: Mesh, boundary: &Boundary) -> Result<Self> {
        let mut model = Self::new(structure, mesh, boundary)?;
        if let (Self::Solid(solid), Self::Device(device)) = (&mut model, self)
            && let Ok(displacements) = device.displacements()
        {
            solid.start_from(displacements)?;
        }
        Ok(model)
    }

    /// Whether an evaluation depends on the one before.
    pub(super) fn has_state(&self) -> bool {
        !matches!(self, Self::Plane(_))
    }

    /// Appends what the next evaluation depends on besides its densities: a letter for the model's home, then
    /// its own state.
    pub(super) fn write_state(&self, state: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Plane(_) => {}
            Self::Solid(model) => {
                state.extend(ON_CPU);
                model.write_state(state);
            }
            Self::Device(model) => {
                state.extend(ON_DEVICE);
                state.extend(model.state()?);
            }
        }
        Ok(())
    }

    /// Takes over what [`write_state`](Self::write_state) has written of the same structure; the CPU takes
    /// over where it had. Returns whether it is one.
    pub(super) fn restore(
        &mut self,
        state: &[u8],
        (structure, mesh, boundary): (&Structure, Mesh, &Boundary),
    ) -> Result<bool> {
        let Some((home, state)) = state.split_first_chunk::<1>() else { return Ok(!self.has_state()) };
        if let (Self::Device(_), &ON_CPU) = (&*self, home) {
            *self = Self::new(structure, mesh, boundary)?;
        }
        match (self, home) {
            (Self::Solid(model), &ON_CPU) => Ok(model.restore(state)),
            (Self::Device(model), &ON_DEVICE) => model.restore(state),
            _ => Ok(false),
        }
    }

    /// The displacement of each load case at the last evaluation, in internal units and with the root of the
    /// case's weight.
    fn internal_displacements(&self) -> Result<Cow<'_, [Vec<f64>]>> {
        Ok(match self {
            Self::Plane(model) => Cow::Borrowed(&model.displacements),
            Self::Solid(model) => Cow::Borrowed(model.displacements()),
            Self::Device(model) => Cow::Owned(model.displacements()?),
        })
    }

    /// The displacement of each load case at the last evaluation, in lengths: one value a degree of freedom.
    pub(super) fn displacements(&self, structure: &Structure, boundary: &Boundary) -> Result<Vec<Vec<f64>>> {
        let Unit { force, compliance, .. } = structure.unit();
        let found = self.internal_displacements()?;
        let scaled = |(u, weight): (&Vec<f64>, f64)| {
            let unit = compliance / force / weight.sqrt();
            u.iter().map(|u| unit * u).collect()
        };
        Ok(found.iter().zip(boundary.cases.iter().map(|case| case.weight)).map(scaled).collect())
    }

    /// The strain energy ½ E uᵀK₀u of each element for each load case at the last evaluation, in internal
    /// units and with the case's weight, `moduli` being those of the densities there.
    pub(super) fn strain_energies(&self, structure: &Structure, moduli: &[f64]) -> Result<Vec<Vec<f64>>> {
        let found = self.internal_displacements()?;
        let bricks = match Mesh::new(&structure.mesh.elements)? {
            Mesh::Plane(_) => None,
            Mesh::Solid(mesh) => Some(Operator::<f64>::new(mesh, &brick(structure)?)),
        };
        let energies = |u: &Vec<f64>| {
            let mut energies = match (self, &bricks) {
                (Self::Plane(model), _) => model.stiffness.unit_energies(u),
                (_, Some(operator)) => {
                    let mut energies = vec![0.0; moduli.len()];
                    operator.energies(u, &mut energies)?;
                    energies
                }
                (_, None) => return Err(Error::internal("a structure in space without a mesh of bricks")),
            };
            energies.iter_mut().zip(moduli).for_each(|(energy, modulus)| *energy *= 0.5 * modulus);
            Ok(energies)
        };
        found.iter().map(energies).collect()
    }
}

/// The brick of a structure in space, with lengths in its sides along x.
fn brick(structure: &Structure) -> Result<Element> {
    let sides = structure.sides();
    Element::new(sides.map(|side| side / sides[0]), structure.material.poisson_ratio)
}

/// What gravity does to each corner of an element of density 1, by load case and axis, in internal units.
fn bodies(structure: &Structure, mesh: Mesh, boundary: &Boundary) -> Vec<[f64; 3]> {
    let sides = structure.sides();
    let [area, depth] =
        [sides[0] * sides[1], if mesh.dimension() == 2 { structure.material.thickness } else { sides[2] }];
    let corners = f64::from(1_u32 << mesh.dimension());
    let share = structure.material.density * area * depth / corners / structure.unit().force;
    boundary.cases.iter().map(|case| case.gravity.map(|g| case.weight.sqrt() * g * share)).collect()
}

/// The forces of each load case on all degrees of freedom, in internal units.
fn loads(structure: &Structure, mesh: Mesh, boundary: &Boundary) -> Result<Vec<Load>> {
    let unit = structure.unit().force;
    let of = |case: &super::boundary::CaseForces| {
        let mut load = Load::new(mesh.dofs());
        for (dof, force) in &case.forces {
            load.add(*dof, case.weight.sqrt() * (force / unit))?;
        }
        Ok(load)
    };
    boundary.cases.iter().map(of).collect()
}

/// Four-node rectangles, solved by a sparse Cholesky factorisation.
#[derive(Debug)]
pub(super) struct PlaneModel {
    mesh: Mesh,
    stiffness: Stiffness,
    loads: Vec<Vec<f64>>,
    bodies: Vec<[f64; 3]>,
    displacements: Vec<Vec<f64>>,
}

impl PlaneModel {
    fn new(structure: &Structure, grid: Grid, boundary: &Boundary) -> Result<Self> {
        let mesh = Mesh::Plane(grid);
        let [width, height, _] = structure.sides();
        let material = &structure.material;
        let element = q4(height / width, material.poisson_ratio, material.plane);
        let stiffness = Stiffness::new(grid, element, &boundary.fixed)?;
        let displacements = vec![Vec::new(); boundary.cases.len()];
        Ok(Self {
            mesh,
            stiffness,
            loads: loads(structure, mesh, boundary)?.iter().map(Load::to_vec).collect(),
            bodies: bodies(structure, mesh, boundary),
            displacements,
        })
    }

    /// The degrees of freedom of an element along an axis.
    fn corners(&self, e: usize, axis: usize) -> impl Iterator<Item = usize> + use<> {
        let mesh = self.mesh;
        let [x, y, _] = mesh.element_place(e);
        (0..4).map(move |k| mesh.dof(mesh.node([x + (k & 1), y + (k >> 1), 0]), axis))
    }

    fn evaluate(&mut self, law: &Simp, density: &[f64], slope: &mut [f64]) -> Result<Evaluation> {
        let moduli: Vec<f64> = density.iter().map(|rho| law.modulus(*rho)).collect();
        let has_weight = self.bodies.iter().any(|body| *body != [0.0; 3]);
        let mut heavy;
        let mut loads = &self.loads;
        if has_weight {
            heavy = self.loads.clone();
            for (load, body) in heavy.iter_mut().zip(&self.bodies) {
                for (e, rho) in density.iter().enumerate() {
                    for (axis, share) in body.iter().enumerate().take(2) {
                        self.corners(e, axis).for_each(|dof| load[dof] += share * rho);
                    }
                }
            }
            loads = &heavy;
        }
        self.displacements = self.stiffness.solve(&moduli, loads)?;
        let mut energies = vec![0.0; density.len()];
        for u in &self.displacements {
            energies.iter_mut().zip(self.stiffness.unit_energies(u)).for_each(|(sum, energy)| *sum += energy);
        }
        for ((slope, rho), energy) in slope.iter_mut().zip(density).zip(&energies) {
            *slope = -law.slope(*rho) * energy;
        }
        if has_weight {
            for (u, body) in self.displacements.iter().zip(&self.bodies) {
                for (e, slope) in slope.iter_mut().enumerate() {
                    for (axis, share) in body.iter().enumerate().take(2) {
                        *slope += 2.0 * share * self.corners(e, axis).map(|dof| u[dof]).sum::<f64>();
                    }
                }
            }
        }
        Ok(Evaluation { value: moduli.iter().zip(&energies).map(|(e, c)| e * c).sum(), solves: Vec::new() })
    }
}

/// A structure of bricks. Lengths are in sides along x, as the stiffness of a brick is proportional to its
/// size.
struct Bricks {
    element: Element,
    supports: Supports,
    loads: Vec<Load>,
    bodies: Vec<[f64; 3]>,
}

impl Bricks {
    fn new(structure: &Structure, bricks: BrickMesh, boundary: &Boundary) -> Result<Self> {
        let mesh = Mesh::Solid(bricks);
        let element = brick(structure)?;
        let mut supports = Supports::new(bricks);
        for dof in &boundary.fixed {
            let (node, axis) = mesh.node_and_axis(*dof);
            supports.fix(node, std::array::from_fn(|direction| direction == axis));
        }
        let loads = loads(structure, mesh, boundary)?;
        Ok(Self { element, supports, loads, bodies: bodies(structure, mesh, boundary) })
    }
}

fn solid(structure: &Structure, mesh: BrickMesh, boundary: &Boundary) -> Result<SolidCompliance> {
    let Bricks { element, supports, loads, bodies } = Bricks::new(structure, mesh, boundary)?;
    SolidCompliance::new(Solver::new(mesh, &element, &supports)?, loads)?.with_bodies(bodies)
}

/// The density filter on either kind of mesh.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    Plane(HatFilter),
    Solid(DensityFilter),
}

impl Filter {
    pub(super) fn new(structure: &Structure, mesh: &Mesh) -> Result<Self> {
        let sides = structure.sides();
        let radius = structure.radius_in_sides();
        Ok(match mesh {
            Mesh::Plane(grid) => Self::Plane(HatFilter::on_rectangles(*grid, sides[1] / sides[0], radius)?),
            Mesh::Solid(bricks) => {
                Self::Solid(DensityFilter::new(*bricks, sides.map(|side| side / sides[0]), radius)?)
            }
        })
    }

    /// The values after the filter.
    pub(super) fn smooth(&self, values: &[f64]) -> Result<Vec<f64>> {
        match self {
            Self::Plane(filter) => Ok(filter.smooth(values)),
            Self::Solid(filter) => {
                let mut out = vec![0.0; values.len()];
                filter.apply(values, &mut out)?;
                Ok(out)
            }
        }
    }

    /// The transpose of [`smooth`](Self::smooth): the chain rule for gradients.
    pub(super) fn smooth_transpose(&self, values: &[f64], out: &mut [f64]) -> Result<()> {
        match self {
            Self::Plane(filter) => out.copy_from_slice(&filter.smooth_transpose(values)),
            Self::Solid(filter) => filter.transpose(values, out)?,
        }
        Ok(())
    }

    /// The heuristic of the sensitivity filter: H(x ∘ s) / (H1 ∘ max(x, 10⁻³)).
    pub(super) fn smooth_sensitivity(&self, slope: &[f64], x: &[f64], out: &mut [f64]) -> Result<()> {
        let weighted: Vec<f64> = slope.iter().zip(x.iter()).map(|(s, x)| s * x).collect();
        match self {
            Self::Plane(filter) => {
                let smoothed = filter.apply(&weighted);
                for (i, g) in out.iter_mut().enumerate() {
                    *g = smoothed[i] / (filter.row_sums()[i] * x[i].max(1e-3));
                }
            }
            Self::Solid(filter) => {
                filter.apply(&weighted, out)?;
                out.iter_mut().zip(x).for_each(|(g, x)| *g /= x.max(1e-3));
            }
        }
        Ok(())
    }
}
