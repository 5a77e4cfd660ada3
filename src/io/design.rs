//! Designs in the formats that others read: arrays, pictures, surfaces and fields.

use std::path::Path;

use ndarray::{Array2, ArrayD, ArrayViewD, IxDyn, ShapeBuilder};
use ndarray_npy::WriteNpyExt;

use super::png::density_png;
use super::region::{entry, read_array, require_axes, size_along_axes};
use super::solid::{self, Field, Scene, Surface};
use crate::error::{Error, Result};
use crate::topology::{Boundary, Compliance, Mesh};

/// The name of a file and its content.
pub type NamedFile = (&'static str, Vec<u8>);

/// The width of the picture of a design in space, in pixels.
const WIDTH: u32 = 1200;
/// The most marks of held and of loaded nodes that are handed to the picture.
const MARKS: usize = 4000;

/// A field numbered like the mesh's elements as an array: in the plane rows from the top down, in space axes
/// x, y and z.
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) for a field that does not fit the mesh.
pub fn field_array(mesh: &Mesh, field: &[f64]) -> Result<ArrayD<f64>> {
    let wrong = |_| Error::length("the field", field.len(), mesh.elements());
    let size = mesh.size();
    match mesh {
        Mesh::Plane(_) => {
            let columns = Array2::from_shape_vec((size[0], size[1]), field.to_vec()).map_err(wrong)?;
            Ok(columns.reversed_axes().into_dyn())
        }
        Mesh::Solid(_) => ArrayD::from_shape_vec(IxDyn(&size).f(), field.to_vec()).map_err(wrong),
    }
}

/// Reads the field on elements that [`field_array`] made, of any resolution: a mesh of its size, and the
/// values in that mesh's numbering. A folder stands for its `variables.npy`.
///
/// # Errors
/// [`FileError`](crate::error::FileError) for what cannot be read, for an array with values outside of [0,
/// 1], and for one of another number of axes than the mesh of `elements`, or of its shape with the axes
/// exchanged.
pub fn read_design(path: &Path, elements: &[u32]) -> Result<(Mesh, Vec<f64>)> {
    let inside = path.join("variables.npy");
    let path = if path.is_dir() { &inside } else { path };
    let array = read_array(path)?;
    require_axes(path, array.shape(), elements)?;
    if let Some(value) = array.iter().find(|v| !(-1e-6..=1.0 + 1e-6).contains(*v)) {
        return Err(Error::format(path, format!("it has the value {value}; designs lie between 0 and 1")));
    }
    let size = size_along_axes(&array).map(|n| n as u32);
    let mesh = Mesh::new(&size[..array.ndim()]).map_err(|error| Error::format(path, error))?;
    let values = (0..mesh.elements()).map(|e| entry(&array, mesh.element_place(e)).clamp(0.0, 1.0)).collect();
    Ok((mesh, values))
}

/// An array in NumPy's format.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if it cannot be encoded.
pub fn array_npy(array: ArrayViewD<'_, f64>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let standard = array.as_standard_layout();
    // Bricks run along x first: such an array is written as it lies in memory.
    let written = if array.t().is_standard_layout() {
        array.write_npy(&mut bytes)
    } else {
        standard.write_npy(&mut bytes)
    };
    written.map_err(|e| Error::encoding("a NumPy array", e))?;
    Ok(bytes)
}

/// The files of a design `x`: `design.npy` (the physical density), `variables.npy` (the design variables),
/// `design.png` (a picture), `design.vti` (density and, by load case, displacement and strain energy per
/// volume, for ParaView) and, in space, `design.stl` (the surface that encloses the design's volume).
///
/// The displacements are those of the last evaluation.
///
/// # Errors
/// [`FileError`](crate::error::FileError) for what cannot be encoded, and
/// [`SettingsError`](crate::error::SettingsError) for a design that does not fit.
pub fn design_files(problem: &Compliance, x: &[f64]) -> Result<Vec<NamedFile>> {
    let mesh = problem.mesh();
    let density = problem.physical_density(x)?;
    let mut files = vec![
        ("design.npy", array_npy(field_array(mesh, &density)?.view())?),
        ("variables.npy", array_npy(field_array(mesh, x)?.view())?),
        ("design.vti", fields(problem, x, &density)?),
    ];
    let surface = design_surface(problem, &density);
    files.push(("design.png", picture(problem, &density, surface.as_ref())?));
    files.extend(surface.map(|surface| ("design.stl", solid::write_stl(&surface))));
    Ok(files)
}

/// A picture of the design `x` as PNG: in the plane solid black and void white, in space a shaded surface
/// with the held nodes in blue and the forces as red arrows.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if the picture cannot be encoded, and
/// [`SettingsError`](crate::error::SettingsError) for a design that does not fit.
pub fn design_png(problem: &Compliance, x: &[f64]) -> Result<Vec<u8>> {
    let density = problem.physical_density(x)?;
    picture(problem, &density, design_surface(problem, &density).as_ref())
}

/// The surface of a density in space.
fn design_surface(problem: &Compliance, density: &[f64]) -> Option<Surface> {
    match problem.mesh() {
        Mesh::Plane(_) => None,
        Mesh::Solid(mesh) => Some(solid::boundary(mesh.size(), problem.structure().sides(), density).surface),
    }
}

fn picture(problem: &Compliance, density: &[f64], surface: Option<&Surface>) -> Result<Vec<u8>> {
    let structure = problem.structure();
    match (problem.mesh(), surface) {
        (Mesh::Plane(grid), _) => density_png(grid, density),
        (mesh, Some(surface)) => {
            let (supports, loads) = marks(problem.boundary(), mesh, structure.sides());
            let scene = Scene { surface, domain: structure.lengths(), supports: &supports, loads: &loads };
            super::png::encode(&solid::render(&scene, WIDTH))
        }
        (_, None) => Err(Error::internal("a picture in space without a surface")),
    }
}

/// A field in the order of VTK's image data: x fastest, then y, then z.
fn in_order(mesh: &Mesh, values: &[f64]) -> Vec<f64> {
    let [nx, ny, nz] = mesh.size();
    let places = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])));
    places.map(|place| values[mesh.element(place)]).collect()
}

fn fields(problem: &Compliance, x: &[f64], density: &[f64]) -> Result<Vec<u8>> {
    let mesh = problem.mesh();
    let variables = in_order(mesh, x);
    let density = in_order(mesh, density);
    let named = |number: usize| {
        let name = &problem.structure().load_cases[number].name;
        if name.is_empty() { (number + 1).to_string() } else { name.clone() }
    };
    let size = mesh.size();
    let last = if mesh.dimension() == 3 { size } else { [size[0], size[1], 0] };
    let moved: Vec<(String, Vec<f64>)> = problem
        .displacements()?
        .iter()
        .enumerate()
        .filter(|(_, u)| u.len() == mesh.dofs())
        .map(|(number, u)| {
            let places = (0..=last[2])
                .flat_map(|z| (0..=last[1]).flat_map(move |y| (0..=last[0]).map(move |x| [x, y, z])));
            let values = places.flat_map(|place| {
                let node = mesh.node(place);
                [0, 1, 2].map(|axis| if axis < mesh.dimension() { u[mesh.dof(node, axis)] } else { 0.0 })
            });
            (format!("displacement, load case {}", named(number)), values.collect())
        })
        .collect();
    // Where nothing has been evaluated there are no displacements, and no energies.
    let energies = if moved.is_empty() { Vec::new() } else { problem.strain_energies(x)? };
    let energies: Vec<(String, Vec<f64>)> = energies
        .iter()
        .enumerate()
        .map(|(number, w)| (format!("strain energy, load case {}", named(number)), in_order(mesh, w)))
        .collect();
    let mut cells = vec![
        Field { name: "density", components: 1, values: &density },
        Field { name: "variables", components: 1, values: &variables },
    ];
    cells.extend(energies.iter().map(|(name, values)| Field { name, components: 1, values }));
    let points: Vec<Field<'_>> =
        moved.iter().map(|(name, values)| Field { name, components: 3, values }).collect();
    Ok(solid::image_data(last, problem.structure().sides(), &cells, &points))
}

type Arrow = ([f64; 3], [f64; 3]);

/// The held nodes, and the loaded ones with their forces, evenly thinned out.
fn marks(boundary: &Boundary, mesh: &Mesh, sides: [f64; 3]) -> (Vec<[f64; 3]>, Vec<Arrow>) {
    let at = |node: usize| {
        let place = mesh.node_place(node);
        [0, 1, 2].map(|axis| place[axis] as f64 * sides[axis])
    };
    let mut held: Vec<usize> = boundary.fixed.iter().map(|dof| mesh.node_and_axis(*dof).0).collect();
    held.sort_unstable();
    held.dedup();
    let every = held.len().div_ceil(MARKS).max(1);
    let supports = held.iter().step_by(every).map(|node| at(*node)).collect();
    let mut forces = std::collections::BTreeMap::<usize, [f64; 3]>::new();
    for (dof, force) in boundary.cases.iter().flat_map(|case| &case.forces) {
        let (node, axis) = mesh.node_and_axis(*dof);
        forces.entry(node).or_default()[axis] += force;
    }
    let every = forces.len().div_ceil(MARKS).max(1);
    let loads = forces.iter().step_by(every).map(|(node, force)| (at(*node), *force)).collect();
    (supports, loads)
}
