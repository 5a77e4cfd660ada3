//! Supports and loads on the degrees of freedom of a mesh.

use super::mesh::Mesh;
use super::shape::Lattice;
use super::structure::{Directions, Force, LoadCase, Structure};
use crate::error::{Error, Result};

/// The supports and load cases of a [`Structure`] on its mesh. Forces are in the structure's units.
#[derive(Debug, Clone, PartialEq)]
pub struct Boundary {
    /// The degrees of freedom that are held at zero, in order, each once.
    pub fixed: Vec<usize>,
    /// The load cases; they act one at a time, not together.
    pub cases: Vec<CaseForces>,
}

/// What one load case does to the nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseForces {
    /// The factor of the case's compliance in the objective.
    pub weight: f64,
    /// The forces by degree of freedom; one may occur several times, and they add up.
    pub forces: Vec<(usize, f64)>,
    /// The acceleration along each axis that acts on the structure's mass.
    pub gravity: [f64; 3],
}

impl Boundary {
    /// Finds the nodes of every support and load. `has_material` tells which elements may be anything but
    /// void.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError), naming the support or load.
    pub(super) fn new(
        structure: &Structure,
        mesh: Mesh,
        has_material: impl Fn(usize) -> bool,
    ) -> Result<Self> {
        let lattice = structure.lattice(mesh);
        let mut held = vec![0_u8; mesh.nodes()];
        for (number, support) in structure.supports.iter().enumerate() {
            let Directions(fix) = support.fix;
            let mask = fix.iter().enumerate().map(|(axis, held)| u8::from(*held) << axis).sum::<u8>();
            for place in support.at.nodes(&lattice, &format!("supports[{number}].at"))? {
                held[mesh.node(place)] |= mask;
            }
        }
        let mut fixed: Vec<usize> = (0..mesh.dimension())
            .flat_map(|axis| {
                let held = &held;
                (0..mesh.nodes())
                    .filter(move |node| held[*node] >> axis & 1 == 1)
                    .map(move |node| mesh.dof(node, axis))
            })
            .collect();
        fixed.sort_unstable();
        let touches = |place: &[usize; 3]| mesh.around(mesh.node(*place)).any(&has_material);
        let cases = structure.load_cases.iter().enumerate();
        let cases = cases
            .map(|(number, case)| {
                let key = format!("load-cases[{number}]");
                let forces = CaseForces::new(structure, case, &lattice, &key, touches)?;
                if forces.gravity == [0.0; 3] && !forces.acts_on(|dof| fixed.binary_search(&dof).is_err()) {
                    let reason = "has no effect: its forces act on held nodes only, or cancel at each node";
                    return Err(Error::structure(key, reason));
                }
                Ok(forces)
            })
            .collect::<Result<_>>()?;
        Ok(Self { fixed, cases })
    }
}

/// The least share of the greatest force of a case that counts as a force.
const LEAST_FORCE: f64 = 1e-12;

impl CaseForces {
    /// Whether the forces add up to more than rounding on any degree of freedom that is `free`.
    fn acts_on(&self, free: impl Fn(usize) -> bool) -> bool {
        let greatest = self.forces.iter().fold(0.0_f64, |m, (_, force)| m.max(force.abs()));
        let mut sums = std::collections::BTreeMap::<usize, f64>::new();
        self.forces.iter().for_each(|(dof, force)| *sums.entry(*dof).or_default() += force);
        sums.into_iter().any(|(dof, sum)| free(dof) && sum.abs() > LEAST_FORCE * greatest)
    }

    fn new(
        structure: &Structure,
        case: &LoadCase,
        lattice: &Lattice,
        key: &str,
        touches: impl Fn(&[usize; 3]) -> bool,
    ) -> Result<Self> {
        let mesh = &lattice.mesh;
        let mut forces = Vec::new();
        for (number, load) in case.loads.iter().enumerate() {
            let key = format!("{key}.loads[{number}]");
            let patch = match load.force {
                Force::Traction(_) | Force::Pressure(_) => load.at.patch(lattice),
                Force::Total(_) | Force::PerNode(_) => None,
            };
            let is_patch = patch.is_some();
            let all = match patch {
                Some(patch) => patch,
                None => {
                    let nodes = load.at.nodes(lattice, &format!("{key}.at"))?;
                    nodes.into_iter().map(|place| (place, 1.0)).collect()
                }
            };
            let (mut nodes, mut shares): (Vec<[usize; 3]>, Vec<f64>) =
                all.iter().copied().filter(|(place, _)| touches(place)).unzip();
            if nodes.is_empty() {
                (nodes, shares) = all.into_iter().unzip();
            }
            let Tributary { axes, shares } = match load.force {
                _ if is_patch => Tributary { axes: mesh.dimension() - 1, shares },
                Force::PerNode(_) => Tributary { axes: 0, shares },
                _ => tributary(&nodes, lattice),
            };
            let sum: f64 = shares.iter().sum();
            let thickness = if mesh.dimension() == 2 { structure.material.thickness } else { 1.0 };
            let per_area = || {
                if axes + 1 == mesh.dimension() {
                    return Ok(thickness);
                }
                let reason = "is a force on a unit of area, and the nodes of its shape are no surface";
                Err(Error::structure(key.clone(), reason))
            };
            let mut pressing = vec![0.0; mesh.dimension()];
            let (vector, factor) = match &load.force {
                Force::Total(total) => (total, 1.0 / sum),
                Force::PerNode(force) => (force, 1.0),
                Force::Traction(traction) => (traction, per_area()?),
                Force::Pressure(pressure) => {
                    // The shape was checked to be flat.
                    let (axis, at) = load.at.normal().unwrap_or_default();
                    let is_far = at > 0.5 * structure.lengths()[axis];
                    pressing[axis] = if is_far { -pressure } else { *pressure };
                    (&pressing, per_area()?)
                }
            };
            for (place, share) in nodes.iter().zip(shares) {
                let node = mesh.node(*place);
                let components = vector.iter().enumerate().filter(|(_, force)| **force != 0.0);
                forces
                    .extend(components.map(|(axis, force)| (mesh.dof(node, axis), force * (share * factor))));
            }
        }
        let mut gravity = [0.0; 3];
        for (axis, value) in case.gravity.iter().flatten().enumerate() {
            gravity[axis] = *value;
        }
        Ok(Self { weight: case.weight, forces, gravity })
    }
}

/// How much of the nodes' bodies, faces or edges belongs to each node.
struct Tributary {
    /// The number of axes that the parts extend along: 3 for bodies, 2 for faces, 1 for edges, 0 for points.
    axes: usize,
    /// The measure of each node's part: of each body, face or edge whose corners all are among the nodes,
    /// every corner gets the same share, as the shape functions have it.
    shares: Vec<f64>,
}

/// Distributes the parts of the greatest number of axes that lie in a set of nodes.
fn tributary(nodes: &[[usize; 3]], lattice: &Lattice) -> Tributary {
    let index: std::collections::HashMap<[usize; 3], usize> =
        nodes.iter().enumerate().map(|(number, place)| (*place, number)).collect();
    for axes in (1..=lattice.mesh.dimension()).rev() {
        let mut shares = vec![0.0; nodes.len()];
        let mut is_found = false;
        for along in (1..8_usize).filter(|along| along.count_ones() as usize == axes) {
            // The corners of a part that extends along these axes.
            let corners: Vec<usize> = (0..8).filter(|corner| corner & !along == 0).collect();
            let sides = (0..3).filter(|axis| along >> axis & 1 == 1).map(|axis| lattice.sides[axis]);
            let share = sides.product::<f64>() / corners.len() as f64;
            for place in nodes {
                let found: Vec<usize> = corners
                    .iter()
                    .map_while(|corner| {
                        let at = std::array::from_fn(|axis| place[axis] + (corner >> axis & 1));
                        index.get(&at).copied()
                    })
                    .collect();
                if found.len() == corners.len() {
                    is_found = true;
                    found.into_iter().for_each(|number| shares[number] += share);
                }
            }
        }
        if is_found {
            return Tributary { axes, shares };
        }
    }
    Tributary { axes: 0, shares: vec![1.0; nodes.len()] }
}
