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
        let reason = error.message().trim().replace('\n', ", ");
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
    use crate::topology::{Compliance, Preset};

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
        ] {
            let reason = wrong(from, to);
            assert!(reason.contains(named), "{reason}");
        }
        assert!(wrong("volume = ", "volum = ").starts_with("line "), "{}", wrong("volume = ", "volum = "));
    }
}
