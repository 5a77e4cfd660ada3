use std::fs;
use std::path::Path;

use ndarray::ArrayView2;
use ndarray_npy::WriteNpyExt;

use crate::error::{Error, Result};
use crate::report::HistoryEntry;

/// Makes folder `dir` and finds out whether files can be written there, before a long run and not after it.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn prepare(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    let probe = dir.join(".lgf-probe");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(|e| Error::io(dir, e))
}

/// Writes `bytes` to `path` by way of a temporary file beside it, so that a full disk or an interruption leaves the old file or the new
/// one, never half of one.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    let outcome = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    outcome.map_err(|e| {
        let _ = fs::remove_file(&part);
        Error::io(path, e)
    })
}

/// The history as CSV: `evaluation,iteration,objective,accepted`.
pub fn history_csv(history: &[HistoryEntry]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for entry in history {
        // Writing plain numbers to memory cannot fail.
        let _ = writer.serialize(entry);
    }
    writer.into_inner().unwrap_or_default()
}

/// A matrix in NumPy's format.
///
/// # Errors
/// [`Error::Io`] if it cannot be encoded.
pub fn npy(matrix: ArrayView2<f64>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    matrix.write_npy(&mut bytes).map_err(|e| Error::io("design.npy", std::io::Error::other(e)))?;
    Ok(bytes)
}
