//! The library's errors as Python's exceptions.

use lgf::Error;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::{PyErr, create_exception};

create_exception!(
    lgf,
    SettingsError,
    PyValueError,
    "A setting, an array or a structure is not what it should be."
);
create_exception!(lgf, EngineError, PyRuntimeError, "The engine cannot do what it was asked for.");
create_exception!(lgf, SolveError, PyRuntimeError, "The finite-element system could not be solved.");
create_exception!(
    lgf,
    FileError,
    PyRuntimeError,
    "A file could not be read or written, or is not what it should be."
);

/// The exception of the error's layer, with its sentence.
pub(crate) fn exception(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Settings(_) => SettingsError::new_err(text),
        Error::Fem(_) => SolveError::new_err(text),
        Error::File(_) => FileError::new_err(text),
        Error::Engine(_) => EngineError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}

/// An exception about a setting.
pub(crate) fn setting(text: impl Into<String>) -> PyErr {
    SettingsError::new_err(text.into())
}
