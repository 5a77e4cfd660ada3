//! The native half of the Python package `lgf`: what Python cannot do, and nothing of its conventions.
//!
//! The Python files in `package/lgf/` speak as SciPy and scikit-learn do, and call this. Arrays come in by
//! NumPy's own interface without a copy where their layout allows; the interpreter's lock is released while
//! the engine works.

mod discover;
mod errors;
mod journal;
mod minimize;
mod settings;
mod topology;

use pyo3::pymodule;

/// The functions and classes that the Python files call.
#[pymodule(name = "_lgf")]
mod native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::discover::{Discovery, Recording, discover};
    #[pymodule_export]
    use crate::errors::{EngineError, FileError, SettingsError, SolveError};
    #[pymodule_export]
    use crate::minimize::minimize;
    #[pymodule_export]
    use crate::settings::{adapters, settings};
    #[pymodule_export]
    use crate::topology::{Problem, Solved};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
