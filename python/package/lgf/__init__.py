"""Learned gradient flow: optimization when every gradient is a finite-element solve.

:func:`minimize` minimises a function of yours with few gradients, :func:`topology` optimizes a structure, and
:func:`discover` finds the equations behind a recording. All three run on a GPU of any make where there is
one, and in double precision on the processor otherwise; the values that they report are always your
function's own.
"""

from ._discover import Model, discover
from ._lgf import EngineError, FileError, SettingsError, SolveError, __version__
from ._optimize import OptimizeResult, adapters, minimize, scipy_method, settings
from ._topology import Structure, Topology, topology

__all__ = [
    "EngineError",
    "FileError",
    "Model",
    "OptimizeResult",
    "SettingsError",
    "SolveError",
    "Structure",
    "Topology",
    "adapters",
    "discover",
    "minimize",
    "scipy_method",
    "settings",
    "topology",
    "__version__",
]
