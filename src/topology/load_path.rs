//! Whether loads find a way to the supports through material.
//!
//! Elements with material that share a side (in space, a face) move as one rigid body when nothing strains;
//! bodies that share nodes only are pinned to each other there, in space by a hinge along an edge. A load
//! that does work on a motion which neither supports nor pins prevent is carried by void alone, and its
//! compliance is of the order 1/E_min. Gravity is no such load: void has no mass.

use faer::{Mat, Side};

use super::boundary::Boundary;
use super::shape::Lattice;
use crate::error::{Error, Result};

/// Where more bodies than this hang together by pins, their joints count as rigid: the check then overlooks
/// some mechanisms, and costs no cubic time.
const MAX_PINNED: usize = 64;

/// The least eigenvalue of a body's constraints, relative to the largest one, that still holds it. Supports
/// one element apart hold a body of 16384 elements by the square of 1/16384, and rounding is below 10⁻¹³.
const HELD: f64 = 1e-11;

/// The share of a load that may fall on a motion that nothing prevents: rounding.
const NO_WORK: f64 = 1e-6;

/// What the elements that share nothing but a node do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joints {
    /// They turn about it: for elements that may be full of material.
    Pinned,
    /// They hold each other: for layouts, whose thin diagonal members would else be chains.
    Rigid,
}

/// Why a load case is not carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The load acts on a node with nothing but void around it.
    InVoid,
    /// The material around the load reaches no support.
    CutOff,
    /// The supports that the material around the load reaches leave a motion free.
    Free,
}

/// A load case that the material does not carry to the supports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Uncarried {
    /// The load case, counted from 0.
    pub load_case: usize,
    /// Where one of its loads acts, in lengths from the lower left corner.
    pub load: Point,
    pub cause: Cause,
    /// A support that the material around the load does not reach, in lengths.
    pub lost_support: Option<Point>,
}

/// The coordinates of a node, in the plane with 2 of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    coordinates: [f64; 3],
    dimension: usize,
}

impl Point {
    fn of(lattice: &Lattice, node: usize) -> Self {
        let place = lattice.mesh.node_place(node);
        Self { coordinates: lattice.node(place).into(), dimension: lattice.mesh.dimension() }
    }
}

impl Uncarried {
    /// The load case with the place of the load.
    pub(super) fn name(&self) -> String {
        format!("load case {} at {}", self.load_case + 1, at(self.load))
    }

    /// The error that refuses such a structure.
    pub(super) fn refusal(&self) -> Error {
        let why: String = match (self.cause, self.lost_support.map(at)) {
            (Cause::InVoid, _) => {
                "the load acts on a node with nothing but void around it; move the region".into()
            }
            (Cause::CutOff, Some(support)) => {
                format!(
                    "they cut the load off from the support at {support} and from all others; move a region"
                )
            }
            (Cause::Free, Some(support)) => format!(
                "they cut the load off from the support at {support}, and the supports that are left do not \
                 hold the structure; move a region"
            ),
            (Cause::CutOff | Cause::Free, None) => {
                return Error::exclusive(
                    self.name(),
                    "the supports",
                    "they do not hold the structure against the load; add a support",
                );
            }
        };
        Error::exclusive(self.name(), "the passive regions", why)
    }
}

fn at(point: Point) -> String {
    let shown: Vec<String> = point.coordinates[..point.dimension].iter().map(f64::to_string).collect();
    format!("({})", shown.join(", "))
}

/// The bodies of the elements with material.
struct Bodies<'a> {
    lattice: &'a Lattice,
    /// The number of rigid motions of a body: 3 in the plane, 6 in space.
    motions: usize,
    /// The body of every element with material.
    of_element: Vec<Option<usize>>,
    /// The cluster of every body: bodies hang together by shared nodes.
    cluster: Vec<usize>,
}

/// Labels the connected parts of `count` things from 0 in order of their first member; `link` visits pairs.
fn label(count: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..count).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for (a, b) in pairs {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        // The smaller number leads, so that a root comes before what hangs on it.
        parent[a.max(b)] = a.min(b);
    }
    let mut labels = vec![0; count];
    let mut next = 0;
    for i in 0..count {
        let leader = root(&mut parent, i);
        labels[i] = if leader == i {
            next += 1;
            next - 1
        } else {
            labels[leader]
        };
    }
    labels
}

impl<'a> Bodies<'a> {
    fn new(lattice: &'a Lattice, has_material: impl Fn(usize) -> bool) -> Self {
        let mesh = &lattice.mesh;
        let number: Vec<Option<usize>> = (0..mesh.elements())
            .scan(0, |next, e| {
                Some(has_material(e).then(|| {
                    *next += 1;
                    *next - 1
                }))
            })
            .collect();
        let count = number.iter().flatten().count();
        let size = mesh.size();
        let sides = (0..mesh.elements()).flat_map(|e| {
            let place = mesh.element_place(e);
            (0..3).filter(move |axis| place[*axis] + 1 < size[*axis]).map(move |axis| {
                let mut next = place;
                next[axis] += 1;
                (e, mesh.element(next))
            })
        });
        let bodies = label(count, sides.filter_map(|(a, b)| Some((number[a]?, number[b]?))));
        let of_element: Vec<Option<usize>> = number.iter().map(|n| n.map(|n| bodies[n])).collect();
        let most = bodies.iter().max().map_or(0, |b| b + 1);
        // A single body shares its nodes with no other one.
        let nodes = 0..if most > 1 { mesh.nodes() } else { 0 };
        let shared = nodes.flat_map(|node| {
            let mut parts = mesh.around(node).filter_map(|e| of_element[e]);
            let first = parts.next();
            parts.filter_map(move |part| Some((first?, part))).filter(|(a, b)| a != b).collect::<Vec<_>>()
        });
        let cluster = label(most, shared);
        Self { lattice, motions: if mesh.dimension() == 2 { 3 } else { 6 }, of_element, cluster }
    }

    /// A body at `node`, if there is one.
    fn at(&self, node: usize) -> Option<usize> {
        self.lattice.mesh.around(node).find_map(|e| self.of_element[e])
    }

    /// The body and the motion of a node's degree of freedom by the body's rigid motions about the box's
    /// corner, in units of the box's size: translations first, then rotations.
    fn lever(&self, dof: usize) -> [f64; 6] {
        let mesh = &self.lattice.mesh;
        let (node, axis) = mesh.node_and_axis(dof);
        let size = self.lattice.node(mesh.last_node()).max_element();
        let p = self.lattice.node(mesh.node_place(node)) / size;
        match (self.motions, axis) {
            (3, 0) => [1.0, 0.0, -p.y, 0.0, 0.0, 0.0],
            (3, _) => [0.0, 1.0, p.x, 0.0, 0.0, 0.0],
            (_, 0) => [1.0, 0.0, 0.0, 0.0, p.z, -p.y],
            (_, 1) => [0.0, 1.0, 0.0, -p.z, 0.0, p.x],
            _ => [0.0, 0.0, 1.0, p.y, -p.x, 0.0],
        }
    }

    /// The motions of a cluster that neither supports nor pins prevent, as columns over its bodies' rigid
    /// motions.
    fn free_motions(&self, bodies: &[usize], rigid_joints: bool, fixed: &[usize]) -> Result<Mat<f64>> {
        let place = |body: usize| if rigid_joints { Some(0) } else { bodies.binary_search(&body).ok() };
        let count = if rigid_joints { 1 } else { bodies.len() };
        let motions = self.motions;
        let mut gram = Mat::<f64>::zeros(motions * count, motions * count);
        let mut hold = |terms: &[(usize, [f64; 6], f64)]| {
            for (a, left, s) in terms {
                for (b, right, t) in terms {
                    for i in 0..motions {
                        for j in 0..motions {
                            gram[(motions * a + i, motions * b + j)] += s * left[i] * t * right[j];
                        }
                    }
                }
            }
        };
        let cluster = self.cluster[bodies[0]];
        let mesh = &self.lattice.mesh;
        for dof in fixed {
            let (node, _) = mesh.node_and_axis(*dof);
            if let Some(body) = self.at(node).filter(|b| self.cluster[*b] == cluster)
                && let Some(place) = place(body)
            {
                hold(&[(place, self.lever(*dof), 1.0)]);
            }
        }
        if !rigid_joints {
            let nodes = 0..if count > 1 { mesh.nodes() } else { 0 };
            for node in nodes {
                let mut parts: Vec<usize> = mesh.around(node).filter_map(|e| self.of_element[e]).collect();
                parts.dedup();
                for pair in parts.windows(2).filter(|pair| pair[0] != pair[1]) {
                    if let (Some(a), Some(b)) = (place(pair[0]), place(pair[1])) {
                        for dof in (0..mesh.dimension()).map(|axis| mesh.dof(node, axis)) {
                            hold(&[(a, self.lever(dof), 1.0), (b, self.lever(dof), -1.0)]);
                        }
                    }
                }
            }
        }
        let eigen = gram
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::factorization("eigenvalue decomposition of the supports"))?;
        let values: Vec<f64> = (0..motions * count).map(|i| eigen.S()[i]).collect();
        let largest = values.iter().fold(0.0_f64, |m, v| m.max(*v));
        let free: Vec<usize> = (0..motions * count).filter(|i| values[*i] <= HELD * largest).collect();
        Ok(Mat::from_fn(motions * count, free.len(), |i, j| eigen.U()[(i, free[j])]))
    }
}

/// The first load case that the elements with material do not carry to the supports. A load on a node without
/// material around it is such a load case too.
///
/// # Errors
/// A failed factorisation.
pub(super) fn uncarried(
    lattice: &Lattice,
    boundary: &Boundary,
    joints: Joints,
    has_material: impl Fn(usize) -> bool,
) -> Result<Option<Uncarried>> {
    let bodies = Bodies::new(lattice, has_material);
    let node_of = |dof: usize| lattice.mesh.node_and_axis(dof).0;
    let clusters = bodies.cluster.iter().max().map_or(0, |c| c + 1);
    let mut members = vec![Vec::new(); clusters];
    bodies.cluster.iter().enumerate().for_each(|(body, cluster)| members[*cluster].push(body));
    let cluster_at = |dof: usize| bodies.at(node_of(dof)).map(|body| bodies.cluster[body]);
    let mut motions: Vec<Option<Mat<f64>>> = vec![None; clusters];
    for (number, case) in boundary.cases.iter().enumerate() {
        let forces = &case.forces;
        let loaded = |f: &&(usize, f64)| f.1 != 0.0;
        let fault = |dof: usize, cluster: Option<usize>| Uncarried {
            load_case: number,
            load: Point::of(lattice, node_of(dof)),
            cause: match cluster {
                None => Cause::InVoid,
                Some(_) if boundary.fixed.iter().any(|dof| cluster_at(*dof) == cluster) => Cause::Free,
                Some(_) => Cause::CutOff,
            },
            lost_support: boundary
                .fixed
                .iter()
                .find(|fixed| cluster.is_none() || cluster_at(**fixed) != cluster)
                .map(|fixed| Point::of(lattice, node_of(*fixed))),
        };
        if let Some((dof, _)) = forces.iter().filter(loaded).find(|f| cluster_at(f.0).is_none()) {
            return Ok(Some(fault(*dof, None)));
        }
        for cluster in 0..clusters {
            let here: Vec<(usize, f64)> =
                forces.iter().filter(loaded).filter(|f| cluster_at(f.0) == Some(cluster)).copied().collect();
            let Some((dof, _)) = here.first().copied() else { continue };
            let parts = &members[cluster];
            let rigid_joints = joints == Joints::Rigid || parts.len() > MAX_PINNED;
            let free = match &mut motions[cluster] {
                Some(free) => free,
                empty => empty.insert(bodies.free_motions(parts, rigid_joints, &boundary.fixed)?),
            };
            let mut resultant = vec![0.0; free.nrows()];
            let mut size = 0.0;
            for (dof, force) in &here {
                let body = bodies.at(node_of(*dof)).unwrap_or(parts[0]);
                let place = if rigid_joints { 0 } else { parts.binary_search(&body).unwrap_or(0) };
                let lever = bodies.lever(*dof);
                (0..bodies.motions).for_each(|i| resultant[bodies.motions * place + i] += force * lever[i]);
                size += force.abs();
            }
            let work = |motion: usize| -> f64 {
                resultant.iter().enumerate().map(|(i, r)| r * free[(i, motion)]).sum::<f64>().abs()
            };
            if (0..free.ncols()).any(|motion| work(motion) > NO_WORK * size) {
                return Ok(Some(fault(dof, Some(cluster))));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Mesh, Preset, Structure};

    fn find(preset: Preset, elements: &[u32], void: impl Fn([f64; 3]) -> bool) -> Option<Uncarried> {
        let structure = Structure::preset(preset, elements).unwrap();
        let mesh = Mesh::new(elements).unwrap();
        let has_material = |e: usize| !void(mesh.element_place(e).map(|place| place as f64 + 0.5));
        let boundary = Boundary::new(&structure, mesh, has_material).unwrap();
        uncarried(&structure.lattice(mesh), &boundary, Joints::Pinned, has_material).unwrap()
    }

    fn check(preset: Preset, nelx: u32, nely: u32, void: impl Fn(f64, f64) -> bool) -> Option<Uncarried> {
        find(preset, &[nelx, nely], |[x, y, _]| void(x, y))
    }

    fn plane(x: f64, y: f64) -> Point {
        Point { coordinates: [x, y, 0.0], dimension: 2 }
    }

    #[test]
    fn presets_carry_their_loads() {
        for preset in [
            Preset::Mbb,
            Preset::Cantilever,
            Preset::CantileverTwoLoads,
            Preset::LBracket,
            Preset::TwoLoadBridge,
        ] {
            for (nelx, nely) in [(2, 2), (3, 2), (30, 30), (7, 40)] {
                let l = |x: f64, y: f64| {
                    preset == Preset::LBracket && x > 0.4 * f64::from(nelx) && y > 0.4 * f64::from(nely)
                };
                assert_eq!(check(preset, nelx, nely, l), None, "{preset:?} {nelx}x{nely}");
            }
        }
    }

    /// The whole left edge holds the half beam against everything but moving down: the roller does that.
    #[test]
    fn a_lost_roller_is_named() {
        let gone = |x: f64, y: f64| x > 27.0 && y < 3.0;
        let found = check(Preset::Mbb, 30, 10, gone).unwrap();
        assert_eq!((found.load_case, found.load), (0, plane(0.0, 10.0)));
        assert_eq!((found.cause, found.lost_support), (Cause::Free, Some(plane(30.0, 0.0))));
        let text = found.refusal().to_string();
        assert!(text.contains("load case 1 at (0, 10)") && text.contains("the support at (30, 0)"), "{text}");
    }

    #[test]
    fn a_gap_cuts_the_load_off() {
        for wide in [1.0, 5.0] {
            let found = check(Preset::Cantilever, 20, 10, |x, _| (x - 10.0).abs() < wide).unwrap();
            assert!(found.cause == Cause::CutOff && found.lost_support.is_some(), "{found:?}");
            assert!(found.refusal().to_string().contains("from all others"), "{}", found.refusal());
        }
    }

    /// Two halves of a beam that touch in one node turn about it.
    #[test]
    fn a_hinge_is_a_mechanism_and_two_are_none() {
        let hinge = |x: f64, y: f64| (x > 10.0) != (y > 5.0) && x > 4.0 && y > 2.0 && y < 8.0;
        assert_eq!(check(Preset::Cantilever, 20, 10, hinge), None, "the lower flange still carries the load");
        // Left of the hinge the upper half is kept, right of it the lower one.
        let hinge = |x: f64, y: f64| (x > 10.0) == (y > 5.0);
        let found = check(Preset::Cantilever, 20, 10, hinge).unwrap();
        assert_eq!(found.cause, Cause::Free, "the pin connects both halves: {found:?}");
    }

    #[test]
    fn solids_carry_their_loads() {
        for preset in [Preset::Mbb, Preset::Cantilever, Preset::LBracket, Preset::Bridge, Preset::Torsion] {
            for elements in [[4, 4, 4], [9, 5, 4]] {
                let l = |[x, y, _]: [f64; 3]| {
                    preset == Preset::LBracket
                        && x > 0.4 * f64::from(elements[0])
                        && y > 0.4 * f64::from(elements[1])
                };
                assert_eq!(find(preset, &elements, l), None, "{preset:?} {elements:?}");
            }
        }
    }

    /// Two halves of a solid beam that touch along an edge turn about it, those that touch in a face do not.
    #[test]
    fn a_hinge_in_space_is_a_mechanism() {
        let hinge = |[x, y, _]: [f64; 3]| (x > 5.0) == (y > 2.0);
        let found = find(Preset::Cantilever, &[10, 4, 3], hinge).unwrap();
        assert_eq!(found.cause, Cause::Free, "{found:?}");
        let joined = |[x, y, _]: [f64; 3]| (x > 6.0 && y > 2.0) || (x < 5.0 && y < 2.0);
        assert_eq!(find(Preset::Cantilever, &[10, 4, 3], joined), None);
        let gap = |[x, ..]: [f64; 3]| (x - 5.0).abs() < 1.0;
        assert_eq!(find(Preset::Cantilever, &[10, 4, 3], gap).unwrap().cause, Cause::CutOff);
    }

    #[test]
    fn a_load_in_the_void_is_uncarried() {
        let found = check(Preset::Cantilever, 20, 10, |x, y| x > 18.0 && y < 2.0).unwrap();
        assert_eq!((found.load, found.cause), (plane(20.0, 0.0), Cause::InVoid));
    }
}
