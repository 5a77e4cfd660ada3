//! Problem files: structures as TOML.

use std::path::Path;

use super::region::read_bounded;
use crate::error::{Error, Result};
use crate::topology::Structure;

/// The largest problem file that is read, in bytes.
const LARGEST: u64 = 1 << 24;

/// A commented problem file to begin with: a shelf in three dimensions.
pub const PROBLEM_TEMPLATE: &str = include_str!("problem.toml");

/// Reads a problem file and the files that its regions name, relative to its folder.
///
/// # Errors
/// [`FileError`](crate::error::FileError) for a file that cannot be read or is no problem file: the message
/// names line, table and key. [`SettingsError`](crate::error::SettingsError) for a structure that makes no
/// sense.
pub fn read_problem(path: &Path) -> Result<Structure> {
    read_problem_at(path, None)
}

/// The same on a mesh of other elements along each axis, if they are given.
///
/// # Errors
/// Those of [`read_problem`] and [`Structure::resized`].
pub fn read_problem_at(path: &Path, elements: Option<&[u32]>) -> Result<Structure> {
    let bytes = read_bounded(path, LARGEST)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::format(path, "it is no text in UTF-8"))?;
    let mut structure = parse_problem(&text).map_err(|reason| Error::format(path, reason))?;
    structure.validate()?;
    if let Some(elements) = elements {
        structure = structure.resized(elements)?;
    }
    structure.load(path.parent().unwrap_or(Path::new(".")))?;
    Ok(structure)
}

/// A structure from the text of a problem file; the files of its regions are not read.
///
/// # Errors
/// A sentence that names line, table and key.
pub fn parse_problem(text: &str) -> Result<Structure, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let mut reason = error.message().trim().replace('\n', ", ");
        if reason.starts_with("wanted exactly 1 element") {
            reason =
                "there must be exactly one kind of it: one force (total, per-node, traction or pressure) \
                      or one shape (point, box, plane, sphere, cylinder, stl or mask)"
                    .into();
        }
        match line {
            Some(line) => format!("line {line}: {reason}"),
            None => reason,
        }
    })
}

/// The text of the problem file of a structure.
///
/// # Errors
/// [`FileError`](crate::error::FileError) for a structure that TOML cannot hold.
pub fn write_problem(structure: &Structure) -> Result<String> {
    toml::to_string(structure).map_err(|e| Error::encoding("a problem file", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Compliance, Preset, Region, RegionFile, Shape};

    #[test]
    fn the_template_is_a_problem() {
        let structure = parse_problem(PROBLEM_TEMPLATE).unwrap();
        Compliance::new(structure).unwrap();
    }

    #[test]
    fn structures_survive_their_problem_file() {
        for preset in [Preset::Mbb, Preset::TwoLoadBridge, Preset::LBracket] {
            let structure = Structure::preset(preset, &[30, 12]).unwrap();
            assert_eq!(parse_problem(&write_problem(&structure).unwrap()).unwrap(), structure);
        }
        for preset in [Preset::Bridge, Preset::Torsion, Preset::LBracket] {
            let structure = Structure::preset(preset, &[12, 8, 6]).unwrap();
            assert_eq!(parse_problem(&write_problem(&structure).unwrap()).unwrap(), structure);
        }
    }

    /// Regions of files are read for the mesh that they are to be on, and again from wherever they lie.
    #[test]
    fn files_of_regions_are_read_for_the_mesh() {
        let folder = tempfile::tempdir().unwrap();
        // A tetrahedron in the corner of the box.
        let corners = ["0 0 0", "3 0 0", "0 3 0", "0 0 3"];
        let mut stl = String::from("solid corner\n");
        for face in [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]] {
            stl += "facet normal 0 0 0\nouter loop\n";
            for vertex in face {
                stl += &format!("vertex {}\n", corners[vertex]);
            }
            stl += "endloop\nendfacet\n";
        }
        stl += "endsolid corner\n";
        std::fs::write(folder.path().join("corner.stl"), stl).unwrap();
        let region = Region::void(Shape::Stl(RegionFile::new("corner.stl")));
        let structure = Structure::preset(Preset::Cantilever, &[8, 4, 4]).unwrap().with(region);
        let path = folder.path().join("problem.toml");
        std::fs::write(&path, write_problem(&structure).unwrap()).unwrap();
        let share = |structure: &Structure| {
            let Some(Region { at: Shape::Stl(file), .. }) = structure.regions.last() else { panic!() };
            let cells = file.cells().unwrap();
            let inside = cells.inside.iter().filter(|inside| **inside).count();
            (cells.size, inside as f64 / cells.inside.len() as f64)
        };
        let coarse = read_problem(&path).unwrap();
        assert_eq!(share(&coarse).0, [8, 4, 4]);
        let fine = read_problem_at(&path, Some(&[64, 32, 32])).unwrap();
        let (size, inside) = share(&fine);
        assert_eq!(size, [64, 32, 32]);
        // The tetrahedron's volume is 4.5 of 128; its surface passes through some 5 % of the cells in it.
        assert!((inside - 4.5 / 128.0).abs() < 0.05 * 4.5 / 128.0, "{inside}");
        let mut again = coarse.resized(&[64, 32, 32]).unwrap();
        again.load(std::path::Path::new("elsewhere")).unwrap();
        assert_eq!(share(&again), (size, inside));
        let wrong = coarse.resized(&[64, 32]).unwrap_err().to_string();
        assert!(wrong.contains("axes of the size"), "{wrong}");
    }

    #[test]
    fn errors_name_line_and_key() {
        let wrong = |from: &str, to: &str| {
            assert!(PROBLEM_TEMPLATE.contains(from), "{from}");
            let text = PROBLEM_TEMPLATE.replacen(from, to, 1);
            match parse_problem(&text) {
                Err(reason) => reason,
                Ok(structure) => Compliance::new(structure).unwrap_err().to_string(),
            }
        };
        for (from, to, named) in [
            ("volume = ", "volum = ", "volum"),
            ("fix = \"xyz\"", "fix = \"xq\"", "\"xq\" is no set of directions"),
            (
                "total = [0.0, -1000.0, 0.0]",
                "total = [0.0, -1000.0]",
                "load-cases[0].loads[0].force has 2 components",
            ),
            ("poisson-ratio = 0.3", "poisson-ratio = 0.7", "Poisson's ratio is 0.7"),
            ("force = { total =", "force = { sum =", "unknown variant `sum`"),
            (
                "force = { total =",
                "force = { pressure = 1.0, total =",
                "exactly one kind of it: one force (total",
            ),
            ("force = { total = [0.0, -1000.0, 0.0] }", "force = {}", "exactly one kind of it"),
            ("name = \"top, evenly\"", "name = \"front edge\"", "as another one's is"),
            ("at = 100.0", "at = 1000.0", "load-cases[1].loads[0].at is outside of the box"),
            ("density = 7.85e-9", "density = 0.0", "acts on no mass; give material.density"),
            ("[material]", "[material]\nthickness = 2.0", "material.thickness is for structures in two"),
        ] {
            let reason = wrong(from, to);
            assert!(reason.contains(named), "{reason}");
        }
        assert!(wrong("volume = ", "volum = ").starts_with("line "), "{}", wrong("volume = ", "volum = "));
    }
}
