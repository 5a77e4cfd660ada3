//! Objectives that are Python functions.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use lgf::checkpoint::{Journal, Journaled};
use lgf::domain::{Bounds, Domain, Volume};
use lgf::engine::Engine;
use lgf::error::ObjectiveError;
use lgf::objective::Objective;
use lgf::observe::{Event, Observer};
use lgf::report::{HistoryEntry, Report};
use lgf::{Lgf, LgfConfig, RunError, Stopping};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{exception, setting};
use crate::journal::{self, json};
use crate::settings;

/// The exception that Python code has raised during the run.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    pub(crate) fn set(&self, error: PyErr) {
        let mut raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What was raised first is what the run ends for.
        raised.get_or_insert(error);
    }

    fn is_set(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An objective whose values a Python function `(x) -> (f, g)` computes.
struct Callable {
    function: Py<PyAny>,
    /// The array that the function is given, which the next evaluation fills again unless Python has kept it.
    x: Py<PyArray1<f64>>,
    dimension: usize,
    domain: Domain,
    raised: Raised,
}

impl Callable {
    /// x as an array of which nobody else knows.
    fn array(&mut self, py: Python<'_>, x: &[f64]) -> PyResult<Py<PyArray1<f64>>> {
        if is_held_once(py, &self.x)
            && let Ok(mut array) = self.x.bind(py).try_readwrite()
        {
            array.as_slice_mut()?.copy_from_slice(x);
        } else {
            self.x = PyArray1::from_slice(py, x).unbind();
        }
        Ok(self.x.clone_ref(py))
    }

    fn call(&mut self, py: Python<'_>, x: &[f64], gradient: &mut [f64]) -> PyResult<f64> {
        py.check_signals()?;
        let x = self.array(py, x)?;
        let answer = self.function.call1(py, (x,))?;
        let (value, slope): (f64, PyReadonlyArray1<'_, f64>) = answer.extract(py)?;
        let slope = slope.as_array();
        if slope.len() != gradient.len() {
            let [found, wanted] = [slope.len(), gradient.len()];
            return Err(setting(format!("the gradient has {found} entries, and x has {wanted}")));
        }
        match slope.as_slice() {
            Some(slope) => gradient.copy_from_slice(slope),
            None => gradient.iter_mut().zip(slope).for_each(|(to, from)| *to = *from),
        }
        Ok(value)
    }
}

impl Objective for Callable {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        // A learned step to where the objective fails is undone; what Python raises ends the run instead.
        if self.raised.is_set() {
            return Err("the run is about to end".into());
        }
        Python::attach(|py| self.call(py, x, gradient)).map_err(|error| {
            let text = error.to_string();
            self.raised.set(error);
            text.into()
        })
    }

    fn domain(&self) -> Domain {
        self.domain.clone()
    }
}

/// Whether nothing but `array` itself holds the Python object.
#[expect(unsafe_code, reason = "the count of references has no other access; it is read under the lock")]
fn is_held_once(_: Python<'_>, array: &Py<PyArray1<f64>>) -> bool {
    // SAFETY: the object lives as long as `array`, and the interpreter's lock is held.
    unsafe { pyo3::ffi::Py_REFCNT(array.as_ptr()) == 1 }
}

/// Calls a Python function `(stage, x, value, evaluation, iteration, accepted)` after each evaluation, which
/// ends the run by returning true; without one, only looks whether Ctrl-C was pressed.
pub(crate) struct Watch {
    callback: Option<Py<PyAny>>,
    raised: Raised,
    /// The grid that a structure is on, of several.
    stage: String,
}

impl Watch {
    /// `stage` is the grid of a run that is on one only.
    pub(crate) fn new(callback: Option<Py<PyAny>>, raised: Raised, stage: String) -> Self {
        Self { callback, raised, stage }
    }

    fn see(&self, py: Python<'_>, seen: Option<(HistoryEntry, &[f64])>) -> PyResult<bool> {
        py.check_signals()?;
        if self.raised.is_set() {
            return Ok(true);
        }
        let (Some(callback), Some((entry, x))) = (&self.callback, seen) else { return Ok(false) };
        let HistoryEntry { evaluation, iteration, objective, accepted, .. } = entry;
        let x = PyArray1::from_slice(py, x);
        callback
            .call1(py, (self.stage.as_str(), x, objective, evaluation, iteration, accepted))?
            .is_truthy(py)
    }
}

impl Observer for Watch {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let seen = match event {
            Event::Stage { name } => {
                name.clone_into(&mut self.stage);
                None
            }
            Event::TrueStep { entry, x, .. } => Some((entry, x)),
            Event::Landed { entry: Some(entry), x, .. } => Some((entry, x)),
            _ => None,
        };
        match Python::attach(|py| self.see(py, seen)) {
            Ok(false) => ControlFlow::Continue(()),
            Ok(true) => ControlFlow::Break(()),
            Err(error) => {
                self.raised.set(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// The values of an array, copied: the run goes on without the interpreter's lock.
fn values(array: Option<PyReadonlyArray1<'_, f64>>) -> Option<Vec<f64>> {
    array.map(|array| array.as_array().to_vec())
}

/// Minimises the Python function `function`; see `lgf.minimize`. Returns a dictionary: x, the gradient there,
/// the report as JSON, why the run stopped, and the exception that has ended it, if any.
#[pyfunction]
#[pyo3(signature = (function, x0, *, lower, upper, weights, volume, method, options, stopping, engine,
    adapter, callback, checkpoint, resume))]
#[expect(clippy::too_many_arguments, reason = "this is the one place where Python's settings come in")]
pub(crate) fn minimize<'py>(
    py: Python<'py>,
    function: Py<PyAny>,
    x0: PyReadonlyArray1<'py, f64>,
    lower: Option<PyReadonlyArray1<'py, f64>>,
    upper: Option<PyReadonlyArray1<'py, f64>>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
    volume: Option<f64>,
    method: &str,
    options: &str,
    stopping: &str,
    engine: &str,
    adapter: Option<String>,
    callback: Option<Py<PyAny>>,
    checkpoint: Option<PathBuf>,
    resume: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let x0 = x0.as_array().to_vec();
    let bounds = match (values(lower), values(upper)) {
        (Some(lower), Some(upper)) => Some(Bounds::per_unknown(lower, upper)),
        _ => None,
    };
    let domain = match (bounds, values(weights), volume) {
        (None, _, None) => Domain::Unbounded,
        (Some(bounds), _, None) => Domain::Box(bounds),
        (Some(bounds), Some(weights), Some(bound)) => {
            Domain::BoxVolume { bounds, volume: Volume::new(weights, bound) }
        }
        _ => return Err(setting("a bound on the volume needs bounds on all unknowns")),
    };
    let method = settings::method(method, settings::object(options)?, Some(x0.len()))?;
    let stopping = settings::stopping(Stopping::of(&method), stopping)?;
    let config = LgfConfig { method, stopping };
    let lgf = Lgf::from_config(config).map_err(exception)?;
    let raised = Raised::default();
    let mut callable = Callable {
        function,
        x: PyArray1::from_slice(py, &x0).unbind(),
        dimension: x0.len(),
        domain: domain.clone(),
        raised: raised.clone(),
    };
    let mut watch = Watch::new(callback, raised.clone(), String::new());
    let run = || -> PyResult<(Report, Option<Journal>)> {
        let mut opened = settings::engine(engine, settings::adapter(adapter))?;
        let what = || (config.method, opened.info(), format!("{domain:?}"), &x0);
        let journal = journal::open(checkpoint.as_deref(), resume, what)?;
        let lgf = lgf.on(&mut opened).observe(&mut watch);
        let outcome = match &journal {
            Some(journal) => lgf.minimize(Journaled::new(&mut callable, journal), &x0),
            None => lgf.minimize(&mut callable, &x0),
        };
        Ok((outcome.or_else(RunError::into_report).map_err(exception)?, journal))
    };
    let (report, journal) = match py.detach(run) {
        Ok(done) => done,
        // Where the first evaluation failed, what Python has raised says more.
        Err(error) => return Err(raised.take().unwrap_or(error)),
    };
    let error = raised.take();
    journal::close(journal, &report.stop, error.is_some())?;
    let result = PyDict::new(py);
    let gradient = (!report.gradient.is_empty()).then(|| PyArray1::from_slice(py, &report.gradient));
    result.set_item("x", PyArray1::from_slice(py, &report.x))?;
    result.set_item("gradient", gradient)?;
    result.set_item("report", json(&report)?)?;
    result.set_item("stop", report.stop.to_string())?;
    result.set_item("raised", error.map(|error| error.into_value(py)))?;
    Ok(result)
}
