"""Structures and their optimization."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _lgf
from ._optimize import _DONE, OptimizeResult, Report, _caller, _method, handed_out, history, stopping

Path = "str | os.PathLike[str]"


class Structure:
    """A structure: mesh, material, supports, loads, regions, volume, filter and penalty.

    ``Structure("beam.toml")`` reads a problem file, ``Structure("cantilever", size=(60, 30, 30))`` is a
    preset, and ``Structure({...})`` takes a dictionary with the keys of a problem file. Keywords replace its
    own entries: ``volume``, ``radius``, ``penalty``, ``filter``, ``projection``, ``symmetry`` and every other
    table.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Mapping[str, Any] | Structure,
        size: Sequence[int] | str | None = None,
        **changes: Any,
    ) -> None:
        self._inner = _source(source, size)
        given = {name.replace("_", "-"): value for name, value in changes.items() if value is not None}
        if np.isscalar(given.get("projection")):
            given["projection"] = {"beta": float(given["projection"])}
        if given:
            self._inner = self._inner.with_changes(json.dumps(given))

    @property
    def size(self) -> tuple[int, ...]:
        """The number of elements along each axis."""
        return tuple(self._inner.size)

    def to_dict(self) -> dict[str, Any]:
        """The keys and values of its problem file."""
        return json.loads(self._inner.to_json())

    def to_toml(self) -> str:
        """The text of its problem file."""
        return self._inner.to_toml()

    def __repr__(self) -> str:
        return f"Structure({self.to_dict()['name']!r}, size={self.size})"


def _elements(size: Sequence[int] | str | None) -> list[int] | None:
    """The elements along each axis of ``(60, 20)`` or ``"60x20"``."""
    if size is None:
        return None
    try:
        given = size.lower().split("x") if isinstance(size, str) else list(size)
        elements = [int(n) for n in given]
        is_whole = all(float(n) == float(m) for n, m in zip(given, elements, strict=True))
    except (TypeError, ValueError):
        is_whole, elements = False, []
    if not (is_whole and len(elements) in (2, 3) and all(0 < n < 2**31 for n in elements)):
        raise _lgf.SettingsError(f"the size is {size!r}; it must be two or three whole numbers, (60, 20) say")
    return elements


def _source(source: Any, size: Sequence[int] | str | None) -> Any:
    elements = _elements(size)
    if isinstance(source, Structure):
        inner = source._inner
    elif isinstance(source, Mapping):
        inner = _lgf.Problem.from_json(json.dumps(dict(source)))
    else:
        path = pathlib.Path(source)
        if path.suffix == ".toml" or path.is_file():
            inner = _lgf.Problem.read(path)
        elif elements is None:
            raise _lgf.SettingsError(
                f"the preset {os.fspath(source)!r} needs its size, (60, 20) or (48, 24, 24) say"
            )
        else:
            return _lgf.Problem.preset(os.fspath(source), elements)
    return inner if elements is None else inner.resized(elements)


class Topology(OptimizeResult):
    """An optimized structure: a dictionary whose entries are attributes.

    ``density`` and ``variables`` are arrays, (rows from the top down, columns) in the plane and (x, y, z) in
    space; ``fun`` is the compliance, computed once more from the design; ``volume``, ``message``, ``nfev``,
    ``levels``, ``spent``, ``warnings``, ``load_cases``, ``history`` and ``report`` tell how it was found.
    """

    @property
    def _files(self) -> dict[str, bytes]:
        if "_written" not in self.__dict__:
            self.__dict__["_written"] = self.__dict__["_solved"].files()
        return self.__dict__["_written"]

    def _write(self, name: str, path: str | os.PathLike[str]) -> None:
        if name not in self._files:
            raise _lgf.SettingsError(f"structures in the plane have no {name}")
        pathlib.Path(path).write_bytes(self._files[name])

    def to_stl(self, path: str | os.PathLike[str]) -> None:
        """Writes the closed surface that keeps the design's volume; in space."""
        self._write("design.stl", path)

    def to_vti(self, path: str | os.PathLike[str]) -> None:
        """Writes densities and displacements for ParaView."""
        self._write("design.vti", path)

    def to_png(self, path: str | os.PathLike[str]) -> None:
        """Writes a picture: shaded, with supports and loads, in space."""
        self._write("design.png", path)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes all files of the design, and ``record.json`` with what was reported."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._files.items():
            (folder / name).write_bytes(content)
        told = {name: value for name, value in self.items() if not isinstance(value, (np.ndarray, Report))}
        told["report"] = dict(self.report)
        (folder / "record.json").write_text(json.dumps(told, indent=2))

    def plot(self, ax: Any = None) -> Any:
        """Shows the design: by matplotlib in the plane, in space by pyvista or, without it, as a picture."""
        if self.density.ndim == 2:
            return _axes(ax).imshow(1.0 - self.density, cmap="gray", vmin=0.0, vmax=1.0)
        if ax is None:
            try:
                import pyvista
            except ImportError:
                pass
            else:
                plotter = pyvista.Plotter()
                with tempfile.TemporaryDirectory() as folder:
                    path = pathlib.Path(folder) / "design.stl"
                    self.to_stl(path)
                    plotter.add_mesh(pyvista.read(path), color="lightgray")
                return plotter
        import io

        from matplotlib import image

        axes = _axes(ax)
        axes.set_axis_off()
        return axes.imshow(image.imread(io.BytesIO(self._files["design.png"])))


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.figure().add_subplot()


def topology(
    structure: str | os.PathLike[str] | Mapping[str, Any] | Structure,
    *,
    size: Sequence[int] | str | None = None,
    volume: float | None = None,
    radius: float | None = None,
    penalty: float | None = None,
    projection: float | None = None,
    symmetry: Any = None,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    levels: int | None = None,
    continuation: bool | None = None,
    engine: str = "auto",
    adapter: str | int | None = None,
    gradient: str = "auto",
    max_evaluations: int | None = None,
    tolerance: float | None = None,
    target: float | None = None,
    max_seconds: float | None = None,
    start: Any = None,
    callback: Callable[..., Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> Topology:
    """Finds the stiffest structure of a given volume, as ``lgf topology`` does.

    Parameters
    ----------
    structure
        A problem file, the name of a preset (with ``size``), a dictionary with the keys of a problem file, or
        a :class:`Structure`.
    size, volume, radius, penalty, projection, symmetry
        In the place of the structure's own.
    method
        ``"potential"`` (the default), ``"adaptive"`` over the optimality criteria, or a plain flow, ``"oc"``
        say.
    levels, continuation
        How many grids are gone through, and whether the penalty is raised on the coarsest; found out by
        default.
    gradient
        Where the finite elements are solved: ``"auto"``, ``"cpu"`` or ``"gpu"``.
    start
        A design to go on from: an array as ``variables`` is, an ``.npy`` file or the folder of a run; of any
        resolution.
    callback
        As of :func:`minimize`, on all grids; ``intermediate_result.grid`` names the grid.

    The other parameters are those of :func:`minimize`.
    """
    problem = Structure(
        structure,
        size,
        volume=volume,
        radius=radius,
        penalty=penalty,
        projection=projection,
        symmetry=symmetry,
    )._inner
    chosen, given = method or problem.usual_method(), dict(options or {})
    if chosen in ("adaptive", "field", "fixed", "cosine"):
        given.setdefault("flow", "oc")
    name, own = _method(chosen, given)
    folder = checkpoint if resume is None else resume
    with tempfile.TemporaryDirectory() as place:
        if isinstance(start, np.ndarray):
            np.save(os.path.join(place, "start.npy"), np.asarray(start, dtype=np.float64))
            start = os.path.join(place, "start.npy")
        answer = problem.solve(
            method=name,
            options=own,
            stopping=stopping(
                max_evaluations=max_evaluations, tolerance=tolerance, target=target, max_seconds=max_seconds
            ),
            levels=levels,
            continuation=continuation,
            engine=engine,
            adapter=None if adapter is None else str(adapter),
            gradient=gradient,
            start=None if start is None else os.fspath(start),
            callback=_caller(callback, ()),
            checkpoint=None if folder is None else os.fspath(folder),
            resume=resume is not None,
        )
    return handed_out(_topology(answer), answer["raised"])


def _topology(answer: dict[str, Any]) -> Topology:
    told = json.loads(answer["solution"])
    report = told["report"]
    reason = report["stop"]["reason"]
    solved = answer["solved"]
    result = Topology(
        density=solved.density(),
        variables=solved.variables(),
        fun=told["objective"],
        volume=told["volume"],
        success=reason in _DONE,
        message=answer["stop"],
        nfev=told["spent"]["given_grid"],
        spent=told["spent"],
        levels=told["levels"],
        warnings=told["warnings"],
        load_cases=told["load_cases"],
        history=history(report),
        report=Report(report),
    )
    result.__dict__["_solved"] = solved
    return result
