//! The journal of a run, which a checkpoint is: opened, and removed when the run has ended well.

use std::path::Path;

use lgf::checkpoint::{Every, Journal};
use lgf::report::StopReason;
use pyo3::PyResult;
use serde::Serialize;

use crate::errors::{exception, setting};

/// A value as JSON, for Python to read or to describe a run by.
pub(crate) fn json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| setting(error.to_string()))
}

/// The journal of a run that is to go on where `resume` says so, if there is a folder for one. What the run
/// depends on is asked for only then, as it holds whole vectors.
pub(crate) fn open<T: Serialize>(
    folder: Option<&Path>,
    resume: bool,
    what: impl FnOnce() -> T,
) -> PyResult<Option<Journal>> {
    let Some(folder) = folder else { return Ok(None) };
    let described = json(&(env!("CARGO_PKG_VERSION"), what()))?;
    let identity = format!("python {:08x}", crc32fast::hash(described.as_bytes()));
    let opened = if resume {
        Journal::resume(folder, &identity, Every::default())
    } else {
        Journal::create(folder, &identity, Every::default())
    };
    opened.map(Some).map_err(exception)
}

/// Removes the journal of a run that was not cut short, by Python or otherwise.
pub(crate) fn close(journal: Option<Journal>, stop: &StopReason, has_raised: bool) -> PyResult<()> {
    let is_cut_short = has_raised || stop.is_fault() || matches!(stop, StopReason::Interrupted);
    match journal {
        Some(journal) if !is_cut_short => journal.remove().map_err(exception),
        _ => Ok(()),
    }
}
