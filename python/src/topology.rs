//! Structures, and their optimization by the library's recipe.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lgf::checkpoint::Journal;
use lgf::engine::Engine;
use lgf::io;
use lgf::method::Method;
use lgf::topology::{
    Compliance, Continuation, GradientChoice, Levels, Mesh, Preset, Recipe, Solution, Structure,
};
use numpy::{PyArrayDyn, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde_json::Value;

use crate::errors::{exception, setting};
use crate::journal::{self, json};
use crate::minimize::{Raised, Watch};
use crate::settings;

/// A structure: mesh, material, supports, loads, regions, and how it is filtered.
#[pyclass(frozen)]
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    structure: Structure,
    /// Where the files of its regions are looked for.
    folder: PathBuf,
}

impl Problem {
    fn new(structure: Structure, folder: PathBuf) -> PyResult<Self> {
        let mut structure = structure;
        structure.validate().and_then(|()| structure.load(&folder)).map_err(exception)?;
        Ok(Self { structure, folder })
    }

    fn parse(value: Value, folder: PathBuf) -> PyResult<Self> {
        let structure =
            serde_json::from_value(value).map_err(|error| setting(format!("the structure: {error}")))?;
        Self::new(structure, folder)
    }

    fn value(&self) -> PyResult<Value> {
        serde_json::to_value(&self.structure).map_err(|error| setting(error.to_string()))
    }
}

#[pymethods]
impl Problem {
    /// The structure in a problem file.
    #[staticmethod]
    fn read(path: PathBuf) -> PyResult<Self> {
        let structure = io::read_problem(&path).map_err(exception)?;
        Ok(Self { structure, folder: path.parent().unwrap_or(Path::new(".")).into() })
    }

    /// A preset on a mesh of unit squares or cubes.
    #[staticmethod]
    fn preset(name: &str, elements: Vec<u32>) -> PyResult<Self> {
        let preset: Preset = serde_json::from_value(Value::String(name.to_lowercase().replace('_', "-")))
            .map_err(|error| setting(format!("there is no preset and no file `{name}`: {error}")))?;
        Self::new(Structure::preset(preset, &elements).map_err(exception)?, PathBuf::from("."))
    }

    /// The structure of a JSON object with the keys of a problem file.
    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        Self::parse(Value::Object(settings::object(text)?), PathBuf::from("."))
    }

    /// The same structure with the entries of a JSON object in the place of its own.
    fn with_changes(&self, text: &str) -> PyResult<Self> {
        let mut value = self.value()?;
        for (key, change) in settings::object(text)? {
            value[key] = change;
        }
        Self::parse(value, self.folder.clone())
    }

    /// The same structure on a mesh of other elements.
    fn resized(&self, elements: Vec<u32>) -> PyResult<Self> {
        Self::new(self.structure.resized(&elements).map_err(exception)?, self.folder.clone())
    }

    /// The method that suits its filter.
    fn usual_method(&self) -> &'static str {
        match Recipe::of_filter(self.structure.filter).method {
            Method::Potential(_) => "potential",
            _ => "adaptive",
        }
    }

    /// The text of its problem file.
    fn to_toml(&self) -> PyResult<String> {
        io::write_problem(&self.structure).map_err(exception)
    }

    fn to_json(&self) -> PyResult<String> {
        json(&self.structure)
    }

    /// The number of elements along each axis.
    #[getter]
    fn size(&self) -> Vec<u32> {
        self.structure.mesh.elements.clone()
    }

    /// The bytes that the true gradient takes in space; none in the plane.
    #[getter]
    fn bytes(&self) -> PyResult<Option<u64>> {
        Compliance::bytes(&self.structure).map_err(exception)
    }

    /// Optimizes the structure; see `lgf.topology`.
    #[pyo3(signature = (*, method, options, stopping, levels, continuation, engine, adapter, gradient, start,
        callback, checkpoint, resume))]
    #[expect(clippy::too_many_arguments, reason = "this is the one place where Python's settings come in")]
    fn solve<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        options: &str,
        stopping: &str,
        levels: Option<usize>,
        continuation: Option<bool>,
        engine: &str,
        adapter: Option<String>,
        gradient: &str,
        start: Option<PathBuf>,
        callback: Option<Py<PyAny>>,
        checkpoint: Option<PathBuf>,
        resume: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let recipe = Recipe::new(settings::method(method, settings::object(options)?, None)?);
        let recipe = Recipe {
            levels: levels.map_or(recipe.levels, Levels::Count),
            continuation: match continuation {
                None => recipe.continuation,
                Some(true) => Continuation::On,
                Some(false) => Continuation::Off,
            },
            stopping: settings::stopping(recipe.stopping, stopping)?,
            ..recipe
        };
        recipe.validate(&self.structure).map_err(exception)?;
        let raised = Raised::default();
        let mesh = Mesh::new(&self.structure.mesh.elements).map_err(exception)?;
        let mut watch = Watch::new(callback, raised.clone(), mesh.to_string());
        let gradient = match gradient {
            "auto" => GradientChoice::Auto,
            "cpu" => GradientChoice::Cpu,
            "gpu" => GradientChoice::Gpu,
            _ => return Err(setting(format!("gradient is auto, cpu or gpu, not `{gradient}`"))),
        };
        let adapter = settings::adapter(adapter);
        let run = || -> PyResult<(Compliance, Solution, Option<Journal>)> {
            let mut opened = settings::engine(engine, adapter.clone())?;
            let start = start.map(|path| io::read_design(&path, &self.structure.mesh.elements));
            let start = start.transpose().map_err(exception)?;
            self.structure.require_memory(opened.info().state).map_err(exception)?;
            let mut problem = gradient
                .open(self.structure.clone(), settings::engine_choice(engine)?, adapter.as_ref())
                .map_err(exception)?;
            let what = || {
                let start = start.as_ref().map(|start| &start.1);
                (opened.info(), problem.gradient_by(), problem.structure(), recipe, start)
            };
            let journal = journal::open(checkpoint.as_deref(), resume, what)?;
            if let Some(journal) = &journal {
                problem.journal(journal);
            }
            let solution = match &start {
                Some((mesh, design)) => {
                    recipe.solve_from(&mut problem, (mesh, design), &mut opened, &mut watch)
                }
                None => recipe.solve(&mut problem, &mut opened, &mut watch),
            };
            problem.leave_journal();
            Ok((problem, solution.map_err(exception)?, journal))
        };
        let (problem, solution, journal) = match py.detach(run) {
            Ok(done) => done,
            Err(error) => return Err(raised.take().unwrap_or(error)),
        };
        let error = raised.take();
        let stop = &solution.report.stop;
        journal::close(journal, stop, error.is_some())?;
        let result = PyDict::new(py);
        result.set_item("solution", json(&solution)?)?;
        result.set_item("stop", stop.to_string())?;
        result.set_item("raised", error.map(|error| error.into_value(py)))?;
        result.set_item("solved", Solved { design: solution.design, problem: Mutex::new(problem) })?;
        Ok(result)
    }
}

/// An optimized structure.
#[pyclass(frozen)]
pub(crate) struct Solved {
    problem: Mutex<Compliance>,
    design: Vec<f64>,
}

impl Solved {
    fn problem(&self) -> MutexGuard<'_, Compliance> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A field on the elements as an array, as `design.npy` has it.
fn array<'py>(py: Python<'py>, mesh: &Mesh, field: &[f64]) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
    Ok(io::field_array(mesh, field).map_err(exception)?.to_pyarray(py))
}

#[pymethods]
impl Solved {
    /// The physical densities.
    fn density<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
        let problem = self.problem();
        let density = problem.physical_density(&self.design).map_err(exception)?;
        array(py, problem.mesh(), &density)
    }

    /// The design variables.
    fn variables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
        array(py, self.problem().mesh(), &self.design)
    }

    /// The files that the command line writes of a design, by name.
    fn files<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let files = py.detach(|| io::design_files(&self.problem(), &self.design)).map_err(exception)?;
        let named = PyDict::new(py);
        for (name, bytes) in files {
            named.set_item(name, PyBytes::new(py, &bytes))?;
        }
        Ok(named)
    }
}
