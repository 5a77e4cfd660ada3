//! Places in a structure: points, boxes, balls and files, and the nodes and elements that lie in them.

use std::path::PathBuf;
use std::sync::Arc;

use glam::DVec3;
use serde::{Deserialize, Serialize};

use super::mesh::Mesh;
use crate::error::{Error, Result};

/// One of the axes of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// The axis to the right.
    X,
    /// The axis that points upwards.
    Y,
    /// The axis towards the viewer, in three dimensions only.
    Z,
}

impl Axis {
    /// The number of the axis, 0 to 2.
    pub fn number(self) -> usize {
        self as usize
    }
}

/// Which elements of a structure lie in a file's region: one entry a cell of a lattice that covers the
/// structure's box, whatever its resolution is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// The number of cells along x, y and z.
    pub size: [usize; 3],
    /// Whether each cell is inside, x running fastest, then y, then z.
    pub inside: Vec<bool>,
}

/// A file that describes a region. The cells are read once, by [`Structure::load`](super::Structure::load).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionFile {
    /// The path of the file; in a problem file, relative to its folder.
    pub file: PathBuf,
    /// What the file says, once it has been read.
    #[serde(skip)]
    pub(super) cells: Option<Arc<Cells>>,
}

impl RegionFile {
    /// The region of a file that has not been read yet.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), cells: None }
    }

    /// The region of cells that no file is read for.
    pub fn with_cells(file: impl Into<PathBuf>, cells: Cells) -> Self {
        Self { file: file.into(), cells: Some(Arc::new(cells)) }
    }

    /// Takes what the file says.
    #[cfg(feature = "cli")]
    pub(super) fn set(&mut self, cells: Cells) {
        self.cells = Some(Arc::new(cells));
    }

    /// What is in the file, if it has been read.
    pub fn cells(&self) -> Option<&Cells> {
        self.cells.as_deref()
    }
}

impl PartialEq for RegionFile {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

/// A part of a structure's box. Coordinates are lengths from its lower left (front) corner, two or three of
/// them, as many as the mesh has axes.
///
/// **Nodes** of a shape, for supports and loads: those that lie in it or on its border. Boxes, planes and
/// points are moved to the nearest nodes first, so that they are found on every mesh; a ball or cylinder
/// without any node takes the one that is nearest to its centre. **Elements** of a shape, for regions: those
/// whose centre lies inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Shape {
    /// A point of the box.
    Point(Vec<f64>),
    /// A box that is parallel to the axes. Where both corners agree along an axis it is a face, an edge or a
    /// point.
    Box {
        /// The corner with the least coordinates.
        lower: Vec<f64>,
        /// The corner with the greatest coordinates.
        upper: Vec<f64>,
    },
    /// The plane of all points with one coordinate.
    Plane {
        /// The axis that the plane is perpendicular to.
        axis: Axis,
        /// The coordinate along the axis.
        at: f64,
    },
    /// A ball; in the plane, a disc.
    Sphere {
        /// The centre of the ball.
        centre: Vec<f64>,
        /// The radius of the ball.
        radius: f64,
    },
    /// A cylinder with flat ends; in three dimensions only.
    Cylinder {
        /// The centre of one end.
        from: Vec<f64>,
        /// The centre of the other end.
        to: Vec<f64>,
        /// The radius of the cylinder.
        radius: f64,
    },
    /// The inside of a closed surface in an STL file, in the structure's coordinates; in three dimensions and
    /// for regions only.
    Stl(RegionFile),
    /// The cells of a NumPy array that are not 0. The array has the axes of `design.npy`: in the plane rows
    /// from the top down, in space x, y and z; it covers the structure's box, whatever its resolution is. For
    /// regions only.
    Mask(RegionFile),
}

/// The geometry that shapes are resolved on: a mesh, and the sides of its elements.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lattice {
    pub mesh: Mesh,
    /// The sides of an element along x, y and z; 1 along z in the plane.
    pub sides: DVec3,
}

/// The least share of an element's side that counts as a distance.
const NEAR: f64 = 1e-9;

impl Lattice {
    /// The coordinates of the node at a place.
    pub(super) fn node(&self, place: [usize; 3]) -> DVec3 {
        DVec3::from(place.map(|p| p as f64)) * self.sides
    }

    /// The coordinates of the centre of the element at a place; 0 along z in the plane.
    fn centre(&self, place: [usize; 3]) -> DVec3 {
        let half = if self.mesh.dimension() == 3 { DVec3::splat(0.5) } else { DVec3::new(0.5, 0.5, 0.0) };
        (DVec3::from(place.map(|p| p as f64)) + half) * self.sides
    }

    /// The places of the nodes between two corners; bounds are moved to the nearest nodes, and a bound
    /// halfway between two nodes to the inner one, if there is any.
    fn block(&self, lower: DVec3, upper: DVec3) -> Vec<[usize; 3]> {
        let last = self.mesh.last_node();
        let ranges: [_; 3] = std::array::from_fn(|axis| {
            let place = |at: f64| (at / self.sides[axis]).clamp(0.0, last[axis] as f64);
            let (low, high) = ((place(lower[axis]) + 0.5).floor(), (place(upper[axis]) - 0.5).ceil());
            let (low, high) = (low.min(last[axis] as f64) as usize, high.max(0.0) as usize);
            low.min(high)..=low.max(high)
        });
        let mut places = Vec::with_capacity(ranges.iter().map(|r| r.end() - r.start() + 1).product());
        for z in ranges[2].clone() {
            for y in ranges[1].clone() {
                places.extend(ranges[0].clone().map(|x| [x, y, z]));
            }
        }
        places
    }
}

fn point(coordinates: &[f64]) -> DVec3 {
    DVec3::new(coordinates[0], coordinates[1], coordinates.get(2).copied().unwrap_or(0.0))
}

impl Shape {
    /// Checks numbers and their count; `key` names the shape to the user.
    pub(super) fn validate(&self, key: &str, dimension: usize) -> Result<()> {
        let fault = |what: &str| Err(Error::structure(key, what.to_string()));
        let points: &[&Vec<f64>] = match self {
            Self::Point(point) => &[point],
            Self::Box { lower, upper } => &[lower, upper],
            Self::Sphere { centre, .. } => &[centre],
            Self::Cylinder { from, to, .. } => &[from, to],
            Self::Plane { .. } | Self::Stl(_) | Self::Mask(_) => &[],
        };
        for point in points {
            if point.len() != dimension {
                let found = point.len();
                return fault(&format!("has a point of {found} coordinates; the mesh has {dimension} axes"));
            }
            if !point.iter().all(|c| c.is_finite()) {
                return fault("has a coordinate that is not finite");
            }
        }
        match self {
            Self::Box { lower, upper } if lower.iter().zip(upper).any(|(l, u)| l > u) => {
                fault("is a box whose lower corner is above its upper corner")
            }
            Self::Sphere { radius, .. } | Self::Cylinder { radius, .. }
                if !(*radius > 0.0 && radius.is_finite()) =>
            {
                fault(&format!("has the radius {radius}; it must be positive and finite"))
            }
            Self::Plane { at, .. } if !at.is_finite() => fault("is a plane that is not at a finite place"),
            Self::Plane { axis: Axis::Z, .. } | Self::Cylinder { .. } | Self::Stl(_) if dimension == 2 => {
                fault("is a shape for three dimensions; the mesh has two")
            }
            Self::Cylinder { from, to, .. } if from == to => fault("is a cylinder without a length"),
            _ => Ok(()),
        }
    }

    /// The least and the greatest coordinates of its points; none for a file.
    pub(super) fn extent(&self) -> Option<[[f64; 3]; 2]> {
        let ends = |lower: DVec3, upper: DVec3| Some([lower.to_array(), upper.to_array()]);
        match self {
            Self::Point(at) => ends(point(at), point(at)),
            Self::Box { lower, upper } => ends(point(lower), point(upper)),
            Self::Plane { axis, at } => {
                let (mut lower, mut upper) = (DVec3::NEG_INFINITY, DVec3::INFINITY);
                (lower[axis.number()], upper[axis.number()]) = (*at, *at);
                ends(lower, upper)
            }
            Self::Sphere { centre, radius } => ends(point(centre) - *radius, point(centre) + *radius),
            Self::Cylinder { from, to, radius } => {
                let (from, to) = (point(from), point(to));
                // A disc perpendicular to the axis reaches that far along each direction.
                let tilt = ((to - from) / from.distance(to)).powf(2.0);
                let reach = *radius * (DVec3::ONE - tilt).max(DVec3::ZERO).powf(0.5);
                ends(from.min(to) - reach, from.max(to) + reach)
            }
            Self::Stl(_) | Self::Mask(_) => None,
        }
    }

    /// The places of its nodes on a mesh, at least one; `key` names the shape to the user.
    pub(super) fn nodes(&self, lattice: &Lattice, key: &str) -> Result<Vec<[usize; 3]>> {
        let reach = DVec3::splat(f64::MAX);
        Ok(match self {
            Self::Point(at) => lattice.block(point(at), point(at)),
            Self::Box { lower, upper } => lattice.block(point(lower), point(upper)),
            Self::Plane { axis, at } => {
                let (mut lower, mut upper) = (-reach, reach);
                (lower[axis.number()], upper[axis.number()]) = (*at, *at);
                lattice.block(lower, upper)
            }
            Self::Sphere { centre, radius } => {
                let margin = DVec3::splat(*radius) + lattice.sides;
                self.inside_or_nearest(lattice, point(centre) - margin, point(centre) + margin)
            }
            Self::Cylinder { from, to, radius } => {
                let (from, to) = (point(from), point(to));
                let margin = DVec3::splat(*radius) + lattice.sides;
                self.inside_or_nearest(lattice, from.min(to) - margin, from.max(to) + margin)
            }
            Self::Stl(_) | Self::Mask(_) => {
                return Err(Error::structure(
                    key,
                    "is a file, which describes regions only; use a box, a plane, a sphere or a cylinder",
                ));
            }
        })
    }

    /// For a box that is flat along one axis: the nodes of the nearest plane whose elements it covers, and
    /// the integral of each node's shape function over the box, so that a force on a unit of area has the
    /// same resultant and moment on every mesh. None for other shapes.
    pub(super) fn patch(&self, lattice: &Lattice) -> Option<Vec<([usize; 3], f64)>> {
        let (Self::Box { lower, upper }, Some((normal, _))) = (self, self.normal()) else { return None };
        let last = lattice.mesh.last_node();
        // The nodes along each axis, with the integrals of their hats.
        let along = |axis: usize| -> Vec<(usize, f64)> {
            let (side, count) = (lattice.sides[axis], last[axis] as f64);
            // In sides of elements; ends that are off a node by rounding lie on it.
            let place = |at: f64| {
                let at = (at / side).clamp(0.0, count);
                if (at - at.round()).abs() < NEAR * count { at.round() } else { at }
            };
            if axis >= lattice.mesh.dimension() {
                return vec![(0, 1.0)];
            }
            if axis == normal {
                return vec![(place(lower[axis]).round() as usize, 1.0)];
            }
            let (from, to) = (place(lower[axis]), place(upper[axis]));
            // The integral of the hat 1 − |t| from −1 to t.
            let below = |t: f64| {
                let t = t.clamp(-1.0, 1.0);
                if t < 0.0 { 0.5 * (1.0 + t).powi(2) } else { 1.0 - 0.5 * (1.0 - t).powi(2) }
            };
            let share = |node: usize| side * (below(to - node as f64) - below(from - node as f64));
            (from.floor() as usize..=to.ceil() as usize).map(|node| (node, share(node))).collect()
        };
        let [x, y, z] = [0, 1, 2].map(along);
        let mut patch = Vec::with_capacity(x.len() * y.len() * z.len());
        for (z, in_z) in &z {
            for (y, in_y) in &y {
                patch.extend(x.iter().map(|(x, in_x)| ([*x, *y, *z], in_x * in_y * in_z)));
            }
        }
        patch.retain(|(_, share)| *share > 0.0);
        Some(patch)
    }

    fn inside_or_nearest(&self, lattice: &Lattice, lower: DVec3, upper: DVec3) -> Vec<[usize; 3]> {
        let near = NEAR * lattice.sides.max_element();
        let around = lattice.block(lower, upper);
        let distances: Vec<f64> = around.iter().map(|place| self.distance(lattice.node(*place))).collect();
        let least = distances.iter().copied().fold(f64::INFINITY, f64::min).max(0.0);
        around
            .into_iter()
            .zip(distances)
            .filter(|(_, d)| *d <= least + near)
            .map(|(place, _)| place)
            .collect()
    }

    /// How far a point is outside of a ball or a cylinder; at most 0 inside.
    fn distance(&self, at: DVec3) -> f64 {
        match self {
            Self::Sphere { centre, radius } => at.distance(point(centre)) - radius,
            Self::Cylinder { from, to, radius } => {
                let (from, to) = (point(from), point(to));
                let length = from.distance(to);
                let along = (at - from).dot(to - from) / length;
                let across = (at - from - (to - from) * (along / length)).length();
                (across - radius).max(along - length).max(-along)
            }
            _ => f64::INFINITY,
        }
    }

    /// Whether the centre of the element at a place lies inside; `key` names the shape to the user.
    pub(super) fn holds_element(&self, lattice: &Lattice, place: [usize; 3], key: &str) -> Result<bool> {
        let centre = lattice.centre(place);
        Ok(match self {
            Self::Box { lower, upper } => (0..lattice.mesh.dimension())
                .all(|axis| lower[axis] < centre[axis] && centre[axis] < upper[axis]),
            // A centre on the border counts as outside, however the coordinates were rounded.
            Self::Sphere { centre: middle, radius } => {
                centre.distance_squared(point(middle)) < radius.powi(2) * (1.0 - NEAR)
            }
            Self::Cylinder { .. } => self.distance(centre) < -NEAR * lattice.sides.max_element(),
            Self::Stl(file) | Self::Mask(file) => {
                let Some(cells) = &file.cells else {
                    return Err(Error::structure(key, "is a file that has not been read"));
                };
                let size = lattice.mesh.size();
                let [x, y, z] = std::array::from_fn(|axis| {
                    let cell = (place[axis] as f64 + 0.5) * cells.size[axis] as f64 / size[axis] as f64;
                    (cell as usize).min(cells.size[axis] - 1)
                });
                cells.inside[x + cells.size[0] * (y + cells.size[1] * z)]
            }
            Self::Point(_) | Self::Plane { .. } => {
                return Err(Error::structure(
                    key,
                    "is a point or a plane, which holds no element; use a box, a sphere or a cylinder",
                ));
            }
        })
    }

    /// The shape in a box that is stretched along each axis; balls and cylinders by the factor along y.
    pub(super) fn stretched(&self, factors: [f64; 3]) -> Self {
        let moved = |at: &Vec<f64>| at.iter().zip(factors).map(|(c, factor)| c * factor).collect();
        let radius = |radius: &f64| radius * factors[1];
        match self {
            Self::Point(at) => Self::Point(moved(at)),
            Self::Box { lower, upper } => Self::Box { lower: moved(lower), upper: moved(upper) },
            Self::Plane { axis, at } => Self::Plane { axis: *axis, at: at * factors[axis.number()] },
            Self::Sphere { centre, radius: r } => Self::Sphere { centre: moved(centre), radius: radius(r) },
            Self::Cylinder { from, to, radius: r } => {
                Self::Cylinder { from: moved(from), to: moved(to), radius: radius(r) }
            }
            // Their cells cover the box, whatever its size is.
            Self::Stl(_) | Self::Mask(_) => self.clone(),
        }
    }
}
