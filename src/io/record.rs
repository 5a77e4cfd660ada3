use std::fs;
use std::path::Path;

use ndarray::ArrayView2;
use ndarray_npy::WriteNpyExt;
use serde::Serialize;

use crate::error::{Error, Result};

/// Makes folder `dir` and finds out whether files can be written there, before a long run and not after it.
///
/// # Errors
/// [`FileError`](crate::error::FileError) naming the folder.
pub fn prepare(dir: &Path) -> Result<()> {
    let named = |e| Error::io(format!("the output folder {}", dir.display()), e);
    fs::create_dir_all(dir).map_err(named)?;
    let probe = dir.join(".lgf-probe");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(named)
}

/// Writes `files` (name, contents) to folder `dir`, all or none: first under temporary names, then renamed,
/// so that a full disk or an interruption leaves no half-written file and no half of a set.
///
/// # Errors
/// [`FileError`](crate::error::FileError) naming the file.
pub fn write_all(dir: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    let part = |name: &str| dir.join(format!("{name}.part"));
    let written = files
        .iter()
        .try_for_each(|(name, bytes)| fs::write(part(name), bytes).map_err(|e| Error::io(dir.join(name), e)));
    let renamed = written.and_then(|()| {
        files.iter().try_for_each(|(name, _)| {
            fs::rename(part(name), dir.join(name)).map_err(|e| Error::io(dir.join(name), e))
        })
    });
    if renamed.is_err() {
        for (name, _) in files {
            let _ = fs::remove_file(part(name));
        }
    }
    renamed
}

/// Writes one file by way of a temporary one beside it.
///
/// # Errors
/// [`FileError`](crate::error::FileError) naming the file.
pub fn write_file(path: &Path, bytes: Vec<u8>) -> Result<()> {
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .ok_or_else(|| Error::format(path, "this is no file name"))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write_all(folder, &[(name, bytes)])
}

/// Rows as CSV, their fields' names first; a history gives `evaluation,iteration,objective,accepted`.
/// ```
/// use lgf::problems::Rosenbrock;
/// use lgf::{Lgf, Stopping, io};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lgf = Lgf::potential().stopping(Stopping::default().evaluations(1))?;
/// let report = lgf.minimize(Rosenbrock { dimension: 2 }, &[1.0, 2.0])?;
/// let table = io::csv(&report.history)?;
/// assert_eq!(table, b"evaluation,iteration,objective,accepted\n1,0,100.0,true\n");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`FileError`](crate::error::FileError) for rows that are no table.
pub fn csv(rows: &[impl Serialize]) -> Result<Vec<u8>> {
    let failed = |e: String| Error::encoding("a table", e);
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| writer.serialize(row)).map_err(|e| failed(e.to_string()))?;
    writer.into_inner().map_err(|e| failed(e.to_string()))
}

/// A matrix in NumPy's format.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if it cannot be encoded.
pub fn npy(matrix: ArrayView2<f64>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    matrix.as_standard_layout().write_npy(&mut bytes).map_err(|e| Error::encoding("design.npy", e))?;
    Ok(bytes)
}
