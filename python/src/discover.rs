//! Equation discovery: recordings, the search, and what it has found.

use std::ops::ControlFlow;

use lgf::discover::{
    Aim, Discovery as Found, Function, Search, Threshold, Trajectory, Units, Variables, WeakChoice,
    recorded_input,
};
use lgf::surrogate::{Differences, Rank, Ridge};
use ndarray::{Array1, Array2};
use numpy::{PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;

use crate::errors::{exception, setting};
use crate::settings;

/// The samples of one trajectory.
#[pyclass(frozen)]
#[derive(Debug, Clone)]
pub(crate) struct Recording(Trajectory);

fn matrix(array: PyReadonlyArray2<'_, f64>) -> Array2<f64> {
    array.as_array().to_owned()
}

#[pymethods]
impl Recording {
    /// The trajectories in one array of samples: a new one begins where the times start again.
    #[staticmethod]
    #[pyo3(signature = (x, t, g=None, u=None))]
    fn runs(
        x: PyReadonlyArray2<'_, f64>,
        t: PyReadonlyArray1<'_, f64>,
        g: Option<PyReadonlyArray2<'_, f64>>,
        u: Option<PyReadonlyArray2<'_, f64>>,
    ) -> PyResult<Vec<Self>> {
        let runs = Trajectory::runs(matrix(x), t.as_array().to_owned(), g.map(matrix), u.map(matrix));
        Ok(runs.map_err(exception)?.into_iter().map(Self).collect())
    }

    #[getter]
    fn mean_spacing(&self) -> f64 {
        self.0.mean_spacing()
    }
}

/// The directions, the centre and the scale of reduced variables.
type Space<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>, f64);

/// The times and the states of a simulation.
type Samples<'py> = (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray2<f64>>);

/// The equations that were found.
#[pyclass(frozen)]
pub(crate) struct Discovery(Found);

/// One of the functions that stand beside the monomials.
fn function(name: &str) -> PyResult<Function> {
    use Function::{Abs, Cos, Exp, Log, Reciprocal, Sin, Sqrt, Tanh};
    let all = [Sin, Cos, Exp, Log, Sqrt, Reciprocal, Abs, Tanh];
    all.into_iter().find(|function| function.name() == name).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|function| function.name()).collect();
        setting(format!("there is no term `{name}`; there are {} and time", names.join(", ")))
    })
}

/// Finds the equations behind `recordings`; see `lgf.discover`.
#[pyfunction]
#[pyo3(signature = (recordings, *, order, bias, terms, targets, differences, half_width, bump_power, stride,
    include_endpoints, threshold, units, ridge, normalize, refit, max_iterations, orthonormal, likelihood,
    rank, energy, center, names, input_names, engine))]
#[expect(clippy::too_many_arguments, reason = "this is the one place where Python's settings come in")]
#[expect(clippy::fn_params_excessive_bools, reason = "as above")]
pub(crate) fn discover(
    py: Python<'_>,
    recordings: Vec<PyRef<'_, Recording>>,
    order: usize,
    bias: bool,
    terms: Vec<String>,
    targets: &str,
    differences: usize,
    half_width: Option<usize>,
    bump_power: Option<u32>,
    stride: Option<usize>,
    include_endpoints: bool,
    threshold: Option<f64>,
    units: &str,
    ridge: f64,
    normalize: bool,
    refit: bool,
    max_iterations: usize,
    orthonormal: bool,
    likelihood: bool,
    rank: Option<usize>,
    energy: Option<f64>,
    center: bool,
    names: Vec<String>,
    input_names: Vec<String>,
    engine: &str,
) -> PyResult<Discovery> {
    let aim = match (targets, differences) {
        ("strong", 1) => Aim::Strong(Differences::Forward),
        ("strong", 2) => Aim::Strong(Differences::Central),
        ("strong", 4) => Aim::Strong(Differences::FivePoint),
        ("strong", other) => {
            return Err(setting(format!("the order of the differences is 1, 2 or 4, not {other}")));
        }
        ("weak", _) => Aim::Weak(WeakChoice { half_width, power: bump_power, stride, include_endpoints }),
        ("tracked", _) => Aim::Tracked,
        ("map", _) => Aim::Map,
        (other, _) => {
            return Err(setting(format!("targets are strong, weak, tracked or map, not `{other}`")));
        }
    };
    let units = match units {
        "scaled" => Units::Scaled,
        "own" => Units::Own,
        other => return Err(setting(format!("units are scaled or own, not `{other}`"))),
    };
    let rank = match (rank, energy) {
        (Some(rank), _) => Some(Rank::Count(rank)),
        (None, Some(energy)) => Some(Rank::Energy(energy)),
        (None, None) => center.then_some(Rank::Full),
    };
    let is_time = |name: &&String| name.as_str() == "time";
    let search = Search {
        order,
        bias,
        functions: terms.iter().filter(|t| !is_time(t)).map(|t| function(t)).collect::<PyResult<_>>()?,
        time: terms.iter().any(|t| is_time(&t)),
        variables: rank.map_or(Variables::Full, |rank| Variables::Reduced { rank, centered: center }),
        aim,
        threshold: threshold.map_or(Threshold::Automatic, Threshold::Given),
        units,
        ridge: Ridge::Absolute(ridge),
        max_iterations,
        normalize,
        refit,
        orthonormal,
        likelihood,
        names,
        input_names,
    };
    let trajectories: Vec<Trajectory> = recordings.iter().map(|recording| recording.0.clone()).collect();
    drop(recordings);
    let mut opened = settings::engine(engine, None)?;
    let mut raised = None;
    let found = py.detach(|| {
        search.run_watched(&trajectories, &mut opened, &mut |_| match Python::attach(|py| py.check_signals())
        {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                raised = Some(error);
                ControlFlow::Break(())
            }
        })
    });
    match raised {
        Some(error) => Err(error),
        None => found.map(Discovery).map_err(exception),
    }
}

#[pymethods]
impl Discovery {
    fn equations(&self) -> Vec<String> {
        self.0.equations()
    }

    /// What to know of the equations: sentences.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.clone()
    }

    /// The names of the equations' own variables.
    #[getter]
    fn variable_names(&self) -> Vec<String> {
        self.0.variable_names()
    }

    /// The names of the features.
    #[getter]
    fn feature_names(&self) -> Vec<String> {
        self.0.feature_names()
    }

    /// The number of inputs among the variables.
    #[getter]
    fn inputs(&self) -> usize {
        self.0.inputs()
    }

    /// Whether time is the last of the variables.
    #[getter]
    fn has_time(&self) -> bool {
        self.0.library_names().len() > self.0.variable_names().len() + self.0.inputs()
    }

    /// The coefficients, a row for each feature.
    #[getter]
    fn coefficients<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f64>> {
        self.0.coefficients.to_pyarray(py)
    }

    /// The directions, the centre and the scale of reduced variables.
    #[getter]
    fn space<'py>(&self, py: Python<'py>) -> Option<Space<'py>> {
        let (directions, center, scale) = self.0.space.as_ref()?;
        Some((directions.to_pyarray(py), center.to_pyarray(py), *scale))
    }

    #[getter]
    fn fit_error(&self) -> f64 {
        self.0.fit_error
    }

    #[getter]
    fn fit_errors(&self) -> Vec<f64> {
        self.0.fit_errors.clone()
    }

    #[getter]
    fn validation_error(&self) -> Option<f64> {
        self.0.validation_error
    }

    #[getter]
    fn condition(&self) -> f64 {
        self.0.condition
    }

    #[getter]
    fn noise(&self) -> Vec<f64> {
        self.0.noise.clone()
    }

    #[getter]
    fn thresholds(&self) -> Vec<f64> {
        self.0.thresholds.clone()
    }

    /// The features at rows of the library's variables.
    fn features<'py>(
        &self,
        py: Python<'py>,
        variables: PyReadonlyArray2<'py, f64>,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let rows = self.0.library.evaluate_rows(variables.as_array(), self.0.library_names());
        Ok(rows.map_err(exception)?.to_pyarray(py))
    }

    /// Integrates the equations; inputs are given at times, and linear between them.
    #[pyo3(signature = (start, begin, duration, dt, input_times, inputs))]
    #[expect(clippy::too_many_arguments, reason = "one more than usual")]
    fn simulate<'py>(
        &self,
        py: Python<'py>,
        start: PyReadonlyArray1<'py, f64>,
        begin: f64,
        duration: f64,
        dt: f64,
        input_times: PyReadonlyArray1<'py, f64>,
        inputs: PyReadonlyArray2<'py, f64>,
    ) -> PyResult<Samples<'py>> {
        let start = start.as_array().to_owned();
        let (input_times, inputs) = (input_times.as_array().to_owned(), matrix(inputs));
        let simulate = || -> lgf::Result<(Array1<f64>, Array2<f64>)> {
            let input = recorded_input(input_times.view(), inputs.view());
            self.0.simulate_with(start.view(), begin, duration, dt, &input)
        };
        let (t, x) = py.detach(simulate).map_err(exception)?;
        Ok((t.to_pyarray(py), x.to_pyarray(py)))
    }
}
