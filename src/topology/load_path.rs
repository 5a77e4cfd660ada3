//! Whether loads find a way to the supports through material.
//!
//! Elements with material that share an edge move as one rigid body when nothing strains; bodies that share a
//! node only are pinned to each other there. A load that does work on a motion which neither supports nor
//! pins prevent is carried by void alone, and its compliance is of the order 1/E_min.

use faer::{Mat, Side};
use glam::DVec2;

use super::grid::Grid;
use super::load_case::LoadCase;
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
    /// Where one of its loads acts, in element sides from the lower left corner.
    pub load: DVec2,
    pub cause: Cause,
    /// A support that the material around the load does not reach, in element sides.
    pub lost_support: Option<DVec2>,
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

fn at(point: DVec2) -> String {
    format!("({}, {})", point.x, point.y)
}

/// The bodies of the elements with material.
struct Bodies<'a> {
    grid: &'a Grid,
    /// The body of every element with material.
    of_element: Vec<Option<usize>>,
    /// The cluster of every body: bodies hang together by shared nodes.
    cluster: Vec<usize>,
}

/// The elements around node (ix, iy).
fn around(grid: &Grid, node: usize) -> impl Iterator<Item = usize> + use<> {
    let (nelx, nely) = (grid.nelx(), grid.nely());
    let (ix, iy) = (node / (nely + 1), node % (nely + 1));
    let columns = ix.saturating_sub(1)..(ix + 1).min(nelx);
    columns.flat_map(move |column| {
        (iy.saturating_sub(1)..(iy + 1).min(nely)).map(move |row| column * nely + row)
    })
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
    fn new(grid: &'a Grid, has_material: impl Fn(usize) -> bool) -> Self {
        let (nelx, nely) = (grid.nelx(), grid.nely());
        let number: Vec<Option<usize>> = (0..grid.elements())
            .scan(0, |next, e| {
                Some(has_material(e).then(|| {
                    *next += 1;
                    *next - 1
                }))
            })
            .collect();
        let count = number.iter().flatten().count();
        let edges = (0..grid.elements()).flat_map(|e| {
            let right = (e / nely + 1 < nelx).then_some(e + nely);
            let below = (e % nely + 1 < nely).then_some(e + 1);
            [right, below].into_iter().flatten().map(move |other| (e, other))
        });
        let bodies = label(count, edges.filter_map(|(a, b)| Some((number[a]?, number[b]?))));
        let of_element: Vec<Option<usize>> = number.iter().map(|n| n.map(|n| bodies[n])).collect();
        let most = bodies.iter().max().map_or(0, |b| b + 1);
        let nodes = 0..grid.dofs() / 2;
        let shared = nodes.flat_map(|node| {
            let mut parts = around(grid, node).filter_map(|e| of_element[e]);
            let first = parts.next();
            parts.filter_map(move |part| Some((first?, part))).collect::<Vec<_>>()
        });
        let cluster = label(most, shared);
        Self { grid, of_element, cluster }
    }

    /// A body at `node`, if there is one.
    fn at(&self, node: usize) -> Option<usize> {
        around(self.grid, node).find_map(|e| self.of_element[e])
    }

    /// The motion of a node's degree of freedom by its body's three rigid motions about the domain's corner,
    /// in units of the domain's size.
    fn lever(&self, dof: usize) -> [f64; 3] {
        let size = self.grid.nelx().max(self.grid.nely()) as f64;
        let p = self.grid.position(dof / 2) / size;
        if dof.is_multiple_of(2) { [1.0, 0.0, -p.y] } else { [0.0, 1.0, p.x] }
    }

    /// The motions of a cluster that neither supports nor pins prevent, as columns over its bodies' rigid
    /// motions.
    fn free_motions(&self, bodies: &[usize], rigid_joints: bool, fixed: &[usize]) -> Result<Mat<f64>> {
        let place = |body: usize| if rigid_joints { Some(0) } else { bodies.binary_search(&body).ok() };
        let count = if rigid_joints { 1 } else { bodies.len() };
        let mut gram = Mat::<f64>::zeros(3 * count, 3 * count);
        let mut hold = |terms: &[(usize, [f64; 3], f64)]| {
            for (a, left, s) in terms {
                for (b, right, t) in terms {
                    for i in 0..3 {
                        for j in 0..3 {
                            gram[(3 * a + i, 3 * b + j)] += s * left[i] * t * right[j];
                        }
                    }
                }
            }
        };
        let cluster = self.cluster[bodies[0]];
        for dof in fixed {
            if let Some(body) = self.at(dof / 2).filter(|b| self.cluster[*b] == cluster)
                && let Some(place) = place(body)
            {
                hold(&[(place, self.lever(*dof), 1.0)]);
            }
        }
        if !rigid_joints {
            for node in 0..self.grid.dofs() / 2 {
                let mut parts: Vec<usize> =
                    around(self.grid, node).filter_map(|e| self.of_element[e]).collect();
                parts.dedup();
                for pair in parts.windows(2).filter(|pair| pair[0] != pair[1]) {
                    if let (Some(a), Some(b)) = (place(pair[0]), place(pair[1])) {
                        for dof in [2 * node, 2 * node + 1] {
                            hold(&[(a, self.lever(dof), 1.0), (b, self.lever(dof), -1.0)]);
                        }
                    }
                }
            }
        }
        let eigen = gram
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::factorization("eigenvalue decomposition of the supports"))?;
        let values: Vec<f64> = (0..3 * count).map(|i| eigen.S()[i]).collect();
        let largest = values.iter().fold(0.0_f64, |m, v| m.max(*v));
        let free: Vec<usize> = (0..3 * count).filter(|i| values[*i] <= HELD * largest).collect();
        Ok(Mat::from_fn(3 * count, free.len(), |i, j| eigen.U()[(i, free[j])]))
    }
}

/// The first load case that the elements with material do not carry to the supports. A load on a node without
/// material around it is such a load case too.
///
/// # Errors
/// A failed factorisation.
pub(super) fn uncarried(
    grid: &Grid,
    load_case: &LoadCase,
    joints: Joints,
    has_material: impl Fn(usize) -> bool,
) -> Result<Option<Uncarried>> {
    let bodies = Bodies::new(grid, has_material);
    let clusters = bodies.cluster.iter().max().map_or(0, |c| c + 1);
    let mut members = vec![Vec::new(); clusters];
    bodies.cluster.iter().enumerate().for_each(|(body, cluster)| members[*cluster].push(body));
    let cluster_at = |dof: usize| bodies.at(dof / 2).map(|body| bodies.cluster[body]);
    let mut motions: Vec<Option<Mat<f64>>> = vec![None; clusters];
    for (number, forces) in load_case.forces.iter().enumerate() {
        let loaded = |f: &&(usize, f64)| f.1 != 0.0;
        let fault = |dof: usize, cluster: Option<usize>| Uncarried {
            load_case: number,
            load: grid.position(dof / 2),
            cause: match cluster {
                None => Cause::InVoid,
                Some(_) if load_case.fixed.iter().any(|dof| cluster_at(*dof) == cluster) => Cause::Free,
                Some(_) => Cause::CutOff,
            },
            lost_support: load_case
                .fixed
                .iter()
                .find(|fixed| cluster.is_none() || cluster_at(**fixed) != cluster)
                .map(|fixed| grid.position(fixed / 2)),
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
                empty => empty.insert(bodies.free_motions(parts, rigid_joints, &load_case.fixed)?),
            };
            let mut resultant = vec![0.0; free.nrows()];
            let mut size = 0.0;
            for (dof, force) in &here {
                let body = bodies.at(dof / 2).unwrap_or(parts[0]);
                let place = if rigid_joints { 0 } else { parts.binary_search(&body).unwrap_or(0) };
                let lever = bodies.lever(*dof);
                (0..3).for_each(|i| resultant[3 * place + i] += force * lever[i]);
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
    use crate::topology::Preset;

    fn check(preset: Preset, nelx: u32, nely: u32, void: impl Fn(f64, f64) -> bool) -> Option<Uncarried> {
        let grid = Grid::new(nelx, nely).unwrap();
        let centre = |e: usize| {
            let (column, row) = (e / grid.nely(), e % grid.nely());
            (column as f64 + 0.5, grid.nely() as f64 - row as f64 - 0.5)
        };
        let load_case = LoadCase::preset(preset, &grid);
        uncarried(&grid, &load_case, Joints::Pinned, |e| {
            let (x, y) = centre(e);
            !void(x, y)
        })
        .unwrap()
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
        assert_eq!((found.load_case, found.load), (0, DVec2::new(0.0, 10.0)));
        assert_eq!((found.cause, found.lost_support), (Cause::Free, Some(DVec2::new(30.0, 0.0))));
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
    fn a_load_in_the_void_is_uncarried() {
        let found = check(Preset::Cantilever, 20, 10, |x, y| x > 18.0 && y < 2.0).unwrap();
        assert_eq!((found.load, found.cause), (DVec2::new(20.0, 0.0), Cause::InVoid));
    }
}
