//! The classical test structures in two and three dimensions.

use serde::{Deserialize, Serialize};

use super::filter::FilterKind;
use super::shape::{Axis, Shape};
use super::structure::{Directions, Force, Load, LoadCase, Region, Structure, Support};
use crate::error::{Error, Result};

/// A named structure, whose supports, loads and regions [`Structure::preset`] makes. Elements have sides of
/// 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Preset {
    /// Half of the Messerschmitt-Bölkow-Blohm beam: symmetry (u_x = 0) at the left, a roller (u_y = 0) at the
    /// lower right, unit load down at the upper left. In three dimensions a quarter: symmetry at z = 0 as
    /// well, and roller and load along the edges.
    Mbb,
    /// Left side clamped, unit load down at the lower right corner (Sigmund's 99-line cantilever); in three
    /// dimensions along the lower right edge.
    Cantilever,
    /// Left edge clamped, two load cases: unit load down at the lower right corner, unit load up at the upper
    /// right one (Sigmund 2001, §4.2; Andreassen et al. 2011). In the plane only.
    CantileverTwoLoads,
    /// The L: void for x > 0.4 width and y > 0.4 height, the upper end of the leg clamped, unit load down at
    /// the upper corner of the arm's right end; in three dimensions along the upper edge there. At least 2
    /// elements along x and y.
    LBracket,
    /// Both lower corners held (u = 0), two load cases: unit load down on the lower edge, at one third and at
    /// two thirds of its length (the nearest nodes, mirror images of each other). At least 2 columns, in the
    /// plane only.
    TwoLoadBridge,
    /// A solid deck at half the height on the four lower corners' footings, with three load cases: the deck
    /// loaded all along, on its left half, and on its right half. In three dimensions only, at least 4
    /// elements along each axis.
    Bridge,
    /// The left face clamped, and two opposite unit couples of forces that twist the right face about x. In
    /// three dimensions only, at least 2 elements along y and z.
    Torsion,
}

/// The width of the L-bracket's leg and the height of its arm, in parts of the box.
const L_BRACKET: f64 = 0.4;

impl Preset {
    /// The name that records and command lines use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mbb => "mbb",
            Self::Cantilever => "cantilever",
            Self::CantileverTwoLoads => "cantilever-two-loads",
            Self::LBracket => "l-bracket",
            Self::TwoLoadBridge => "two-load-bridge",
            Self::Bridge => "bridge",
            Self::Torsion => "torsion",
        }
    }

    /// The least number of elements along each axis, in two and in three dimensions.
    fn least(self) -> [Option<[u32; 3]>; 2] {
        match self {
            Self::Mbb | Self::Cantilever => [Some([1, 1, 0]), Some([1; 3])],
            Self::CantileverTwoLoads => [Some([1, 1, 0]), None],
            Self::LBracket => [Some([2, 2, 0]), Some([2, 2, 1])],
            Self::TwoLoadBridge => [Some([2, 1, 0]), None],
            Self::Bridge => [None, Some([4; 3])],
            Self::Torsion => [None, Some([1, 2, 2])],
        }
    }

    /// Refuses meshes that the structure makes no sense on.
    fn check(self, elements: &[u32]) -> Result<()> {
        let [plane, solid] = self.least();
        let least = match elements.len() {
            2 => plane,
            3 => solid,
            _ => return super::mesh::Mesh::new(elements).map(|_| ()),
        };
        let size: Vec<String> = elements.iter().map(u32::to_string).collect();
        let Some(least) = least else {
            let axes = if plane.is_some() { "two numbers, for it is plane" } else { "three numbers" };
            return Err(Error::invalid("the size", size.join("x"), format!("{axes}: {}", self.name())));
        };
        if elements.iter().zip(least).any(|(n, least)| *n < least) {
            let least: Vec<String> = least[..elements.len()].iter().map(u32::to_string).collect();
            let allowed = format!("at least {} for this structure", least.join("x"));
            return Err(Error::invalid("the size", size.join("x"), allowed));
        }
        Ok(())
    }
}

/// A support of the nodes at `at`.
fn hold(at: Shape, fix: Directions) -> Support {
    Support { at, fix }
}

/// A load case of one total force down at `at`, or up for a negative `down`.
fn press(at: Shape, down: f64, dimension: usize) -> LoadCase {
    LoadCase::of(vec![total(at, 1, -down, dimension)])
}

fn total(at: Shape, axis: usize, size: f64, dimension: usize) -> Load {
    let mut force = vec![0.0; dimension];
    force[axis] = size;
    Load { at, force: Force::Total(force) }
}

fn plane(axis: Axis, at: f64) -> Shape {
    Shape::Plane { axis, at }
}

impl Structure {
    /// The preset on a mesh of unit squares or cubes, two or three numbers of `elements`: volume fraction 0.5
    /// in the plane and 0.2 in space, filter radius 0.04 times the columns and at least 1.5.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a size that the structure makes no sense on.
    pub fn preset(preset: Preset, elements: &[u32]) -> Result<Self> {
        preset.check(elements)?;
        let dimension = elements.len();
        let mut structure = Self::new(elements, if dimension == 2 { 0.5 } else { 0.2 });
        structure.name = preset.name().into();
        let length: Vec<f64> = elements.iter().map(|n| f64::from(*n)).collect();
        let (x, y, z) = (length[0], length[1], length.get(2).copied());
        // The point of the plane or, in space, the edge along z.
        let edge = |x: f64, y: f64| match z {
            None => Shape::Point(vec![x, y]),
            Some(z) => Shape::Box { lower: vec![x, y, 0.0], upper: vec![x, y, z] },
        };
        let all = Directions::ALL;
        match preset {
            Preset::Mbb => {
                structure.supports = vec![
                    hold(plane(Axis::X, 0.0), Directions::only(Axis::X)),
                    hold(edge(x, 0.0), Directions::only(Axis::Y)),
                ];
                if z.is_some() {
                    structure.supports.push(hold(plane(Axis::Z, 0.0), Directions::only(Axis::Z)));
                }
                structure.load_cases = vec![press(edge(0.0, y), 1.0, dimension)];
            }
            Preset::Cantilever => {
                structure.supports = vec![hold(plane(Axis::X, 0.0), all)];
                structure.load_cases = vec![press(edge(x, 0.0), 1.0, dimension)];
            }
            Preset::CantileverTwoLoads => {
                structure.supports = vec![hold(plane(Axis::X, 0.0), all)];
                structure.load_cases = vec![press(edge(x, 0.0), 1.0, 2), press(edge(x, y), -1.0, 2)];
            }
            Preset::LBracket => {
                // The parts of columns and rows whose elements have their centres outside the void.
                let kept = |n: f64| (L_BRACKET * n).round();
                let leg = match z {
                    None => Shape::Box { lower: vec![0.0, y], upper: vec![kept(x), y] },
                    Some(z) => Shape::Box { lower: vec![0.0, y, 0.0], upper: vec![kept(x), y, z] },
                };
                let corner = |x: f64, y: f64, z_at: f64| match z {
                    None => vec![x, y],
                    Some(_) => vec![x, y, z_at],
                };
                structure.supports = vec![hold(leg, all)];
                structure.load_cases = vec![press(edge(x, kept(y)), 1.0, dimension)];
                structure.regions = vec![Region::void(Shape::Box {
                    lower: corner(L_BRACKET * x, L_BRACKET * y, 0.0),
                    upper: corner(x, y, z.unwrap_or_default()),
                })];
            }
            Preset::TwoLoadBridge => {
                let third = (x / 3.0).round();
                structure.supports = vec![hold(edge(0.0, 0.0), all), hold(edge(x, 0.0), all)];
                structure.load_cases =
                    vec![press(edge(third, 0.0), 1.0, 2), press(edge(x - third, 0.0), 1.0, 2)];
            }
            Preset::Bridge => bridge(&mut structure, [x, y, z.unwrap_or_default()]),
            Preset::Torsion => torsion(&mut structure, [x, y, z.unwrap_or_default()]),
        }
        if dimension == 2 {
            structure.radius = (0.04 * x).max(1.5);
        }
        Ok(structure)
    }

    /// The half-MBB beam of the literature: volume fraction 0.5, p = 3, radius 0.04·nelx, E_min = 10⁻⁹, ν =
    /// 0.3, nothing passive, no projection, whatever symmetry the problem has.
    pub fn mbb(nelx: u32, nely: u32, filter: FilterKind) -> Self {
        let elements = [nelx, nely];
        // A size that is no size is refused when the problem is set up.
        let structure = Self::preset(Preset::Mbb, &elements).unwrap_or_else(|_| Self::new(&elements, 0.5));
        Self { filter, radius: 0.04 * f64::from(nelx), ..structure }
    }
}

fn bridge(structure: &mut Structure, [x, y, z]: [f64; 3]) {
    // Footings of an eighth of the length at the four lower corners.
    let footing =
        |x: [f64; 2], z: [f64; 2]| Shape::Box { lower: vec![x[0], 0.0, z[0]], upper: vec![x[1], 0.0, z[1]] };
    let (foot, side) = ((x / 8.0).ceil(), (z / 4.0).ceil());
    for columns in [[0.0, foot], [x - foot, x]] {
        for rows in [[0.0, side], [z - side, z]] {
            structure.supports.push(hold(footing(columns, rows), Directions::ALL));
        }
    }
    let deck = (0.5 * y).floor();
    let middle = (0.5 * x).round();
    let part = |from: f64, to: f64| Shape::Box { lower: vec![from, deck, 0.0], upper: vec![to, deck, z] };
    let cases = [("all along", 0.0, x), ("left half", 0.0, middle), ("right half", x - middle, x)];
    for (name, from, to) in cases {
        let case = press(part(from, to), (to - from) / x, 3);
        structure.load_cases.push(LoadCase { name: name.into(), ..case });
    }
    let thickness = (y / 24.0).ceil();
    structure.regions =
        vec![Region::solid(Shape::Box { lower: vec![0.0, deck - thickness, 0.0], upper: vec![x, deck, z] })];
}

fn torsion(structure: &mut Structure, [x, y, z]: [f64; 3]) {
    structure.supports = vec![hold(plane(Axis::X, 0.0), Directions::ALL)];
    // Forces along the four edges of the right face, all in the sense of a rotation about x.
    let line = |lower: [f64; 2], upper: [f64; 2]| Shape::Box {
        lower: vec![x, lower[0], lower[1]],
        upper: vec![x, upper[0], upper[1]],
    };
    structure.load_cases = vec![LoadCase::of(vec![
        total(line([0.0, 0.0], [y, 0.0]), 1, 1.0, 3),
        total(line([0.0, z], [y, z]), 1, -1.0, 3),
        total(line([0.0, 0.0], [0.0, z]), 2, -1.0, 3),
        total(line([y, 0.0], [y, z]), 2, 1.0, 3),
    ])];
}
