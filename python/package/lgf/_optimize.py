"""Minimisation of a Python function, with SciPy's conventions."""

from __future__ import annotations

import inspect
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from . import _lgf

Array = np.ndarray


class OptimizeResult(dict):
    """The result of a run: a dictionary whose entries are attributes, as SciPy's is.

    ``x``, ``fun``, ``jac``, ``success``, ``status``, ``message``, ``nfev``, ``njev`` and ``nit`` mean what
    they do in SciPy; ``history`` has a row for each evaluation, and ``report`` everything that the engine
    reports.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    __setattr__ = dict.__setitem__  # type: ignore[assignment]
    __delattr__ = dict.__delitem__  # type: ignore[assignment]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.keys()]

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        shown = (f"{key.rjust(width)}: {_short(value)}" for key, value in self.items())
        return "\n".join(shown)


class Report(Mapping):
    """Everything that the engine reports of a run: a mapping that prints its keys only."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self._entries = entries

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<report with {', '.join(self._entries)}>"


def history(report: Mapping[str, Any]) -> Array:
    """A row for each evaluation: its number, the steps to it, its value, and whether it was trusted."""
    fields = [("evaluation", np.int64), ("iteration", np.int64), ("fun", np.float64), ("accepted", np.bool_)]
    rows = [
        (row["evaluation"], row["iteration"], row["objective"], row["accepted"]) for row in report["history"]
    ]
    return np.array(rows, dtype=fields)


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.dtype.names:
        return f"<{len(value)} evaluations: {', '.join(value.dtype.names)}>"
    if isinstance(value, list) and len(value) > 3:
        return f"[{len(value)} entries]"
    return np.array2string(value, threshold=8) if isinstance(value, np.ndarray) else repr(value)


def stopping(**given: Any) -> str:
    """The stopping rule's changes as JSON; what is None keeps its default."""
    return json.dumps({name.replace("_", "-"): value for name, value in given.items() if value is not None})


def _vector(value: Any, length: int, name: str) -> Array:
    vector = np.asarray(value, dtype=np.float64)
    if vector.ndim == 0:
        vector = np.full(length, float(vector))
    vector = np.ascontiguousarray(vector.reshape(-1))
    if len(vector) != length:
        raise _lgf.SettingsError(f"{name} has {len(vector)} entries, and x has {length}")
    return vector


def _bounds(bounds: Any, length: int) -> tuple[Array, Array] | None:
    """Lower and upper bounds from SciPy's ``Bounds``, pairs, or one pair for all unknowns."""
    if bounds is None:
        return None
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        lower, upper = bounds.lb, bounds.ub
    else:
        pairs = list(bounds)
        is_one_pair = len(pairs) == 2 and all(pair is None or np.isscalar(pair) for pair in pairs)
        if is_one_pair:
            lower, upper = ([pairs[0]], [pairs[1]])
        else:
            try:
                lower, upper = zip(*pairs, strict=True)
            except (TypeError, ValueError):
                raise _lgf.SettingsError(
                    "bounds are a scipy.optimize.Bounds, a pair (lower, upper) for each unknown, "
                    "or one pair for all"
                ) from None
        lower = [-np.inf if low is None else low for low in lower]
        upper = [np.inf if high is None else high for high in upper]
        if is_one_pair:
            lower, upper = lower[0], upper[0]
    return _vector(lower, length, "the lower bound"), _vector(upper, length, "the upper bound")


def _volume(volume: Any, length: int) -> tuple[Array | None, float | None]:
    """Weights and bound of the volume: a share of the unknowns' mean, or a pair (weights, bound)."""
    if volume is None:
        return None, None
    if np.isscalar(volume):
        return np.full(length, 1.0 / length), float(np.asarray(volume))
    weights, bound = volume
    return _vector(weights, length, "the weights of the volume"), float(bound)


def _volume_of_constraints(constraints: Any, length: int) -> tuple[Array, float] | None:
    """The volume bound in SciPy's constraints: one linear one, with positive weights and an upper bound."""
    listed = constraints if isinstance(constraints, (list, tuple)) else [constraints]
    if not len(listed):
        return None
    only = listed[0]
    if len(listed) == 1 and hasattr(only, "A"):
        weights = np.atleast_2d(np.asarray(only.A, dtype=np.float64))
        lower, upper = (np.atleast_1d(np.asarray(bound, dtype=np.float64)) for bound in (only.lb, only.ub))
        if weights.shape == (1, length) and np.all(weights > 0) and np.all(lower == -np.inf):
            return weights[0], float(upper[0])
    raise _lgf.SettingsError(
        "the only constraint beside bounds is one LinearConstraint(weights, -inf, bound) with positive "
        "weights"
    )


class _Function:
    """The function and its gradient as ``x -> (f, g)``."""

    def __init__(
        self, fun: Callable[..., Any], jac: Any, args: tuple[Any, ...], shape: tuple[int, ...]
    ) -> None:
        self.fun, self.jac, self.args, self.shape = fun, jac, args, shape
        self.calls = 0

    def __call__(self, x: Array) -> tuple[float, Array]:
        value, gradient = self.evaluate(x.reshape(self.shape))
        if gradient is None:
            raise TypeError("the gradient is None: let fun return (f, g), or give jac")
        gradient = np.asarray(gradient, dtype=np.float64).reshape(-1)
        if np.ndim(value) and np.size(value) != 1:
            raise TypeError(f"fun returns {np.size(value)} values; the objective is one number")
        return float(np.asarray(value, dtype=np.float64).reshape(-1)[0]), gradient

    def evaluate(self, x: Array) -> tuple[Any, Any]:
        if self.jac is True:
            answer = self.fun(x, *self.args)
            self.calls += 1
            if not isinstance(answer, (tuple, list)) or len(answer) != 2:
                raise TypeError(
                    "fun returns one number where a pair (f, g) is expected; give the gradient as jac=..., "
                    "or jac='2-point' for differences, which take d + 1 evaluations"
                )
            return answer[0], answer[1]
        if callable(self.jac):
            self.calls += 1
            return self.fun(x, *self.args), self.jac(x, *self.args)
        return self.differences(x)

    def differences(self, x: Array) -> tuple[Any, Any]:
        from scipy.optimize._numdiff import approx_derivative

        def counted(point: Array) -> Any:
            self.calls += 1
            return self.fun(point.reshape(self.shape), *self.args)

        value = counted(x)
        flat = x.reshape(-1)
        return value, approx_derivative(counted, flat, method=self.jac, f0=np.atleast_1d(value))


_DIFFERENCES = ("2-point", "3-point", "cs")
_DONE = ("converged", "settled", "target-reached")
#: SciPy's number for a run that a callback ended.
_STOPPED = 99
#: The unknowns from which on a GPU is looked for. Below it a pass over them takes less time than reaching
#: one, and the processor is in double precision.
_MANY = 100_000
#: The change of an unknown, as a share of the unit of length, at which a run has converged.
_TOLERANCE = 1e-6


def _caller(callback: Callable[..., Any] | None, shape: tuple[int, ...]) -> Callable[..., bool] | None:
    """The callback as the engine calls it: true ends the run."""
    if callback is None:
        return None
    try:
        takes_result = list(inspect.signature(callback).parameters) == ["intermediate_result"]
    except (TypeError, ValueError):
        takes_result = False

    def call(grid: str, x: Array, value: float, evaluation: int, iteration: int, accepted: bool) -> bool:
        if not accepted:
            return False
        point = x.reshape(shape) if x.size == np.prod(shape, dtype=int) else x
        try:
            if takes_result:
                entry = OptimizeResult(x=point, fun=value, nfev=evaluation, nit=iteration)
                if grid:
                    entry["grid"] = grid
                return bool(callback(intermediate_result=entry))
            return bool(callback(point))
        except StopIteration:
            return True

    return call


def _method(method: str | None, options: Mapping[str, Any] | None) -> tuple[str, str]:
    return (method or "potential"), json.dumps(dict(options or {}))


def settings(method: str = "potential", dimension: int | None = None, **options: Any) -> dict[str, Any]:
    """All settings of a method with their defaults, ``options`` laid over them: what ``options`` can change.

    The defaults are those for a function of ``dimension`` unknowns, or for a structure where none is given.

    >>> settings("potential", memory=8)
    {'potential': {'memory': 8, 'steps': 20, 'radius': 0.2, 'order': 2}}
    >>> settings("potential", dimension=1000)
    {'potential': {'memory': 10, 'steps': 1000, 'radius': 1.0, 'order': 2}}
    """
    return json.loads(_lgf.settings(*_method(method, options), dimension))


def adapters() -> list[str]:
    """The GPU adapters, in the order of the indices that ``adapter`` takes."""
    return _lgf.adapters()


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    jac: Any = True,
    bounds: Any = None,
    volume: Any = None,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    engine: str = "auto",
    adapter: str | int | None = None,
    max_evaluations: int | None = None,
    tolerance: float | None = None,
    target: float | None = None,
    max_seconds: float | None = None,
    settled: tuple[int, float] | None = None,
    callback: Callable[..., Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> OptimizeResult:
    """Minimises ``fun`` from ``x0`` with few evaluations, each of which is assumed to be expensive.

    Parameters
    ----------
    fun
        ``fun(x, *args) -> (f, g)``, the value and the gradient; or the value alone, with the gradient in
        ``jac``.
    x0
        The start, an array of any shape; ``fun`` is called with that shape.
    jac
        True where ``fun`` returns the gradient, a function ``jac(x, *args)``, or ``"2-point"``, ``"3-point"``
        or ``"cs"`` for differences (with SciPy), which cost d evaluations and more each.
    bounds
        ``scipy.optimize.Bounds``, a pair ``(lower, upper)`` for each unknown, or one pair for all; None and
        infinities where there is no bound.
    volume
        A bound on the mean of the unknowns, or a pair ``(weights, bound)`` for the sum of weights times
        unknowns; needs bounds.
    method
        ``"potential"`` (the default: a learned model of the function, minimised in a trust region),
        ``"adaptive"`` (or ``"field"``), ``"fixed"``, ``"cosine"`` (a learned model of a flow's gradient), or
        a plain flow: ``"oc"``, ``"adam"``, ``"momentum"``, ``"gradient-descent"``, ``"projected-gradient"``.
    options
        The method's own settings, such as ``{"rate": 0.05}`` for ADAM; :func:`settings` shows them all.
    engine
        ``"auto"`` (a hardware GPU where there is one, from 100 000 unknowns on), ``"gpu"`` (whose iterates
        are in single precision), ``"cpu"`` (double precision) or ``"cpu-f32"``.
    adapter
        The index of a GPU adapter, or a part of its name; see :func:`adapters`.
    max_evaluations, tolerance, target, max_seconds, settled
        When to stop: after so many evaluations (1000); when a step changes no unknown by more than this share
        of the unit of length (1e-6 for a potential, 1e-2 otherwise), which is the widest pair of bounds or
        the largest unknown; at a value; after some seconds; or, for ``settled=(n, share)``, when the best
        value has fallen by less than this share of itself within n evaluations.
    callback
        ``callback(intermediate_result)`` or ``callback(x)`` after each trusted evaluation. The run ends when
        it returns true or raises ``StopIteration``.
    checkpoint, resume
        A folder that every answer of ``fun`` is written to at once; and one to go on from, whose answers are
        not computed again. The resumed run takes the same steps to the last bit. The folder is emptied when
        the run has ended well.

    Returns
    -------
    OptimizeResult
        ``fun`` and ``jac`` are those that your function returned at ``x``; ``jac`` is rounded to single
        precision where the engine's iterates are in it.

    Raises
    ------
    SettingsError, EngineError, FileError
        Subclasses of ValueError and RuntimeError with a sentence. What ``fun`` or ``callback`` raise comes
        back as it is, with the best result so far as its attribute ``lgf_result``.
    """
    start = np.asarray(x0, dtype=np.float64)
    shape, flat = start.shape, np.ascontiguousarray(start.reshape(-1))
    if flat.size == 0:
        raise _lgf.SettingsError("x0 is empty; it needs at least one unknown")
    if jac is None or jac is False:
        jac = "2-point"
    if not (jac is True or callable(jac) or jac in _DIFFERENCES):
        raise _lgf.SettingsError(f"jac is True, a function or one of {', '.join(_DIFFERENCES)}, not {jac!r}")
    box = _bounds(bounds, flat.size)
    weights, bound = _volume(volume, flat.size)
    if box is not None and np.any((flat < box[0]) | (flat > box[1])) and np.all(box[0] <= box[1]):
        warnings.warn("x0 is outside of the bounds and was moved to the nearest point inside", stacklevel=2)
        flat = np.clip(flat, *box)
    function = _Function(fun, jac, tuple(args), shape)
    name, own = _method(method, options)
    if tolerance is None and name == "potential":
        tolerance = _TOLERANCE
    if engine == "auto" and adapter is None and flat.size < _MANY:
        engine = "cpu"
    folder = checkpoint if resume is None else resume
    rule = stopping(
        max_evaluations=max_evaluations,
        tolerance=tolerance,
        target=target,
        max_seconds=max_seconds,
        settled=None
        if settled is None
        else {"evaluations": settled[0], "change": settled[1], "residual": None},
    )
    answer = _lgf.minimize(
        function,
        flat,
        lower=None if box is None else box[0],
        upper=None if box is None else box[1],
        weights=weights,
        volume=bound,
        method=name,
        options=own,
        stopping=rule,
        engine=engine,
        adapter=None if adapter is None else str(adapter),
        callback=_caller(callback, shape),
        checkpoint=None if folder is None else os.fspath(folder),
        resume=resume is not None,
    )
    return _result(answer, function, shape)


def _result(answer: dict[str, Any], function: _Function, shape: tuple[int, ...]) -> OptimizeResult:
    report = json.loads(answer["report"])
    x, gradient = answer["x"], answer["gradient"]
    reason = report["stop"]["reason"]
    # A start whose gradient is zero is a minimum as far as anybody can tell.
    at_rest = reason == "stalled" and report["first_slope"] == 0
    success = reason in _DONE or at_rest
    result = OptimizeResult(
        x=x.reshape(shape),
        fun=report["objective"],
        jac=None if gradient is None else gradient.reshape(shape),
        success=success,
        status=0 if success else _STOPPED if reason == "interrupted" else 1,
        message=answer["stop"],
        nfev=report["true_evaluations"],
        njev=report["true_evaluations"],
        nit=max(sum(entry["accepted"] for entry in report["history"]) - 1, 0),
        history=history(report),
        report=Report(report),
    )
    if function.jac in _DIFFERENCES:
        result["nfev"] = function.calls
    return handed_out(result, answer["raised"])


def handed_out(result: Any, error: BaseException | None) -> Any:
    """The result, or the exception that has ended the run with the result as its attribute."""
    if error is not None:
        error.lgf_result = result  # type: ignore[attr-defined]
        raise error
    return result


def scipy_method(
    fun: Callable[..., Any],
    x0: Array,
    args: tuple[Any, ...] = (),
    jac: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    **options: Any,
) -> Any:
    """LGF as a method of ``scipy.optimize.minimize(fun, x0, method=lgf.scipy_method, options={...})``.

    The options are the keywords of :func:`minimize`, ``method`` under the name ``lgf_method``; SciPy's
    ``tol``, ``maxiter`` and ``maxfun`` are taken for ``tolerance`` and ``max_evaluations``.
    """
    from scipy.optimize import OptimizeResult as SciPyResult

    for unused in ("hess", "hessp", "disp"):
        options.pop(unused, None)
    for theirs, ours in {
        "tol": "tolerance",
        "maxiter": "max_evaluations",
        "maxfun": "max_evaluations",
    }.items():
        value = options.pop(theirs, None)
        if value is not None:
            options.setdefault(ours, value)
    volume = _volume_of_constraints(constraints, np.size(x0))
    if volume is not None:
        options["volume"] = volume
    options["method"] = options.pop("lgf_method", None)
    own: Sequence[str] = list(inspect.signature(minimize).parameters)
    unknown = sorted(set(options) - set(own))
    if unknown:
        raise _lgf.SettingsError(f"lgf has no option {unknown[0]!r}; it has {', '.join(own[5:])}")
    result = minimize(fun, x0, args, jac=jac, bounds=bounds, callback=callback, **options)
    # SciPy prints all entries of a result; the history and the report are long.
    return SciPyResult({**result, "history": result.history["fun"]})
