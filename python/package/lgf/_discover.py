"""Equation discovery, with scikit-learn's manners."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _lgf

Array = np.ndarray


def _rows(value: Any, name: str) -> Array:
    rows = np.asarray(value, dtype=np.float64)
    if rows.ndim == 1:
        rows = rows[:, np.newaxis]
    if rows.ndim != 2:
        raise _lgf.SettingsError(f"{name} has {rows.ndim} axes; it needs samples by coordinates")
    return rows


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) > 0 and np.ndim(value[0]) >= 1


def _is_runs(x: Any) -> bool:
    """Whether x is several trajectories: a list of arrays or frames, or an array of three axes."""
    if isinstance(x, (list, tuple)):
        # A list of lists of numbers is one trajectory.
        return len(x) > 0 and (hasattr(x[0], "ndim") and x[0].ndim >= 1 or np.ndim(x[0]) >= 2)
    return np.ndim(x) == 3


def _each(value: Any, count: int) -> list[Any]:
    """One entry for each trajectory."""
    if value is None:
        return [None] * count
    if _is_list(value):
        return list(value)
    return [value] * count if np.ndim(value) == 1 else list(value)


class Model:
    """A model of the equations x' = f(x, u, t) behind recordings, as scikit-learn's estimators are.

    Parameters
    ----------
    order, bias, terms
        The library: monomials up to ``order``, with or without a constant, and beside them functions of each
        variable (``"sin"``, ``"cos"``, ``"exp"``, ``"log"``, ``"sqrt"``, ``"1/"``, ``"abs"``, ``"tanh"``) or
        ``"time"``.
    targets
        What is regressed on: ``"strong"`` (finite differences of order ``differences``), ``"weak"`` (under
        integrals, which averages noise out), ``"tracked"`` (recorded gradients ``g``), ``"map"`` (the next
        sample).
    half_width, bump_power, stride, include_endpoints
        The bumps of the weak form; chosen from the recording where not given.
    threshold, units
        Coefficients below it leave the equations, by validation where none is given; 0 keeps all. Measured in
        ``"scaled"`` units, in which all variables have the same deviation, or their ``"own"``.
    ridge, normalize, refit, max_iterations, orthonormal
        The regression.
    likelihood
        Whether the weak form of a noisy recording is followed by maximum likelihood.
    rank, energy, center
        Equations in the leading directions: so many, or those that hold this share of the energy.
    names, input_names
        The names of the coordinates and inputs; those of a pandas frame by default.
    """

    def __init__(
        self,
        *,
        order: int = 2,
        bias: bool = True,
        terms: Sequence[str] = (),
        targets: str = "strong",
        differences: int = 2,
        half_width: int | None = None,
        bump_power: int | None = None,
        stride: int | None = None,
        include_endpoints: bool = False,
        threshold: float | None = None,
        units: str = "scaled",
        ridge: float = 0.0,
        normalize: bool = False,
        refit: bool = False,
        max_iterations: int = 20,
        orthonormal: bool = False,
        likelihood: bool = True,
        rank: int | None = None,
        energy: float | None = None,
        center: bool = False,
        names: Sequence[str] | None = None,
        input_names: Sequence[str] | None = None,
        engine: str = "cpu",
    ) -> None:
        self.order = order
        self.bias = bias
        self.terms = terms
        self.targets = targets
        self.differences = differences
        self.half_width = half_width
        self.bump_power = bump_power
        self.stride = stride
        self.include_endpoints = include_endpoints
        self.threshold = threshold
        self.units = units
        self.ridge = ridge
        self.normalize = normalize
        self.refit = refit
        self.max_iterations = max_iterations
        self.orthonormal = orthonormal
        self.likelihood = likelihood
        self.rank = rank
        self.energy = energy
        self.center = center
        self.names = names
        self.input_names = input_names
        self.engine = engine

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Model:
        """Changes parameters; returns the model."""
        for name, value in params.items():
            if name not in self._names():
                raise _lgf.SettingsError(
                    f"a model has no parameter {name!r}; it has {', '.join(self._names())}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = {p.name: p.default for p in inspect.signature(type(self).__init__).parameters.values()}
        changed = [
            f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name]
        ]
        return f"Model({', '.join(changed)})"

    def fit(self, x: Any, t: Any = None, *, dt: float | None = None, u: Any = None, g: Any = None) -> Model:
        """Finds the equations behind ``x``: samples by coordinates, or a list of those, one a trajectory.

        ``t`` are the times, for all trajectories or one each, or ``dt`` their spacing; where they start again
        a new trajectory begins. ``u`` are recorded inputs and ``g`` recorded gradients, shaped as ``x``. A
        frame of pandas gives the names, and the times by its index where there are no others.
        """
        is_list = _is_runs(x)
        runs = list(x) if is_list else [x]
        frame = runs[0] if hasattr(runs[0], "columns") else None
        names = (
            self.names if self.names is not None else [] if frame is None else [str(c) for c in frame.columns]
        )
        times = _each(t, len(runs)) if is_list else [t]
        inputs, slopes = (_each(value, len(runs)) if is_list else [value] for value in (u, g))
        for given, name in ((times, "t"), (inputs, "u"), (slopes, "g")):
            if len(given) != len(runs):
                raise _lgf.SettingsError(
                    f"{name} has {len(given)} entries, and there are {len(runs)} trajectories"
                )
        input_names = self.input_names
        if input_names is None and inputs[0] is not None and hasattr(inputs[0], "columns"):
            input_names = [str(c) for c in inputs[0].columns]
        recordings = []
        for states, time, forced, slope in zip(runs, times, inputs, slopes, strict=True):
            rows = _rows(states, "x")
            recordings += _lgf.Recording.runs(
                rows,
                self._times(states, rows, time, dt),
                None if slope is None else _rows(slope, "g"),
                None if forced is None else _rows(forced, "u"),
            )
        settings = {
            name: getattr(self, name)
            for name in self._names()
            if name not in ("names", "input_names", "terms")
        }
        self.discovery_ = _lgf.discover(
            recordings,
            terms=[str(term) for term in self.terms],
            names=list(names),
            input_names=list(input_names or []),
            **settings,
        )
        self.coefficients_ = self.discovery_.coefficients
        self.feature_names_ = self.discovery_.feature_names
        self.n_features_in_ = _rows(runs[0], "x").shape[1]
        self.spacing_ = recordings[0].mean_spacing
        return self

    def _times(self, states: Any, rows: Array, t: Any, dt: float | None) -> Array:
        if dt is not None:
            if not dt > 0:
                raise _lgf.SettingsError(f"dt is {dt}; it has to be above 0")
            return np.arange(len(rows)) * float(dt)
        if t is None and self.targets == "map":
            return np.arange(len(rows), dtype=np.float64)
        if t is None and hasattr(states, "index"):
            index = states.index
            if np.issubdtype(index.dtype, np.datetime64):
                return (index - index[0]).total_seconds().to_numpy(dtype=np.float64)
            t = index
        if t is None:
            raise _lgf.SettingsError("give the times t of the samples, or their spacing dt")
        return np.ascontiguousarray(np.asarray(t, dtype=np.float64).reshape(-1))

    @property
    def _found(self) -> Any:
        try:
            return self.discovery_
        except AttributeError:
            raise _lgf.SettingsError("the model knows no equations yet; call fit first") from None

    @property
    def coefficients(self) -> Array:
        """The coefficients: a row for each of ``feature_names``, a column for each equation."""
        return self._found.coefficients

    @property
    def feature_names(self) -> list[str]:
        """The names of the features."""
        return self._found.feature_names

    def equations(self) -> list[str]:
        """The equations in words: ``dx1/dt = -1.000 x1``."""
        return self._found.equations()

    def print(self) -> None:
        """Prints the equations."""
        print("\n".join(self.equations()))

    def predict(self, x: Any, u: Any = None, t: Any = None) -> Array:
        """The right-hand sides at the states ``x``: derivatives, or for a map the next states."""
        found = self._found
        rows = _rows(x, "x")
        if found.space is not None:
            directions, center, scale = found.space
            rows = (rows - center) @ directions / scale
        parts = [rows]
        if found.inputs:
            if u is None:
                raise _lgf.SettingsError("the equations have inputs; give u")
            parts.append(_rows(u, "u"))
        if found.has_time:
            if t is None:
                raise _lgf.SettingsError("the equations depend on time; give t")
            parts.append(np.broadcast_to(np.asarray(t, dtype=np.float64).reshape(-1, 1), (len(rows), 1)))
        slopes = found.features(np.ascontiguousarray(np.hstack(parts))) @ found.coefficients
        if found.space is not None:
            slopes = slopes @ directions.T * scale
            if self.targets == "map":
                slopes = slopes + center
        return slopes

    def simulate(self, x0: Any, t: Any, u: Any = None, *, dt: float | None = None) -> Array:
        """The states at the uniform times ``t`` from ``x0`` on, by Dormand and Prince's rule to 1e-9.

        ``u`` are inputs at these times, linear between them. Shorter than ``t`` where the equations leave the
        finite numbers.
        """
        times = np.asarray(t, dtype=np.float64).reshape(-1)
        if times.size < 2:
            raise _lgf.SettingsError("a simulation needs at least two times")
        steps = np.diff(times)
        step = float(steps[0]) if dt is None else dt
        if not np.allclose(steps, steps[0], rtol=1e-6, atol=0.0):
            raise _lgf.SettingsError("the times of a simulation are uniform")
        inputs = np.zeros((times.size, 0)) if u is None else _rows(u, "u")
        start = np.asarray(x0, dtype=np.float64).reshape(-1)
        duration = float(times[-1] - times[0])
        return self._found.simulate(start, float(times[0]), duration, step, times, inputs)[1]

    def score(
        self, x: Any, t: Any = None, x_dot: Any = None, *, dt: float | None = None, u: Any = None
    ) -> float:
        """R² of the predicted derivatives against ``x_dot``, or else against central differences of ``x``."""
        rows = _rows(x, "x")
        times = self._times(x, rows, t, dt)
        if self.targets == "map":
            truth, seen = rows[1:], slice(0, -1)
        else:
            truth = np.gradient(rows, times, axis=0, edge_order=2) if x_dot is None else _rows(x_dot, "x_dot")
            seen = slice(None)
        predicted = self.predict(rows[seen], None if u is None else _rows(u, "u")[seen], times[seen])
        left = ((truth - predicted) ** 2).sum()
        return float(1.0 - left / ((truth - truth.mean(axis=0)) ** 2).sum())


def discover(
    x: Any, t: Any = None, *, dt: float | None = None, u: Any = None, g: Any = None, **settings: Any
) -> Model:
    """Finds the equations behind the samples ``x`` at the times ``t``: ``Model(**settings).fit(x, t)``.

    >>> import numpy as np
    >>> t = np.linspace(0, 6, 601)
    >>> discover(np.column_stack([np.cos(t), -np.sin(t)]), t, differences=4).equations()
    ['dx1/dt = 1.000 x2', 'dx2/dt = -1.000 x1']
    """
    return Model(**settings).fit(x, t, dt=dt, u=u, g=g)
