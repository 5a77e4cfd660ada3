#!/usr/bin/env python3
"""The same cantilever in space with lgf, pyMOTO and scikit-topt.

How long does a design iteration take in each, and what does each reach in the same number of them?

    pip install pymoto==2.0.1 scikit-topt==0.3.10 && cargo build --release
    python3 benches/peers/solids.py > benches/results/solids.md

Prints Markdown; a package that is not installed, or a run that fails, becomes a row that says so. The
structure: NX x NY x NZ unit cubes, all nodes at x = 0 clamped, a load of 1 against y spread along the edge
x = NX, y = 0 (a share of 1 / NZ for a node, half of that at both ends), E from 1e-9 to 1, Poisson's ratio
0.3, SIMP with p = 3, densities filtered with the weights sqrt(3) - distance, 12 % of the volume, optimality
criteria with a move limit of 0.2 from the uniform design. An iteration is one evaluation of compliance and
gradient with the step that follows it. The programs run one after the other, each with a solver of its own
that is fast for this.
"""
import argparse
import contextlib
import importlib.metadata
import json
import logging
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import warnings

EMIN, POISSON, PENALTY, RADIUS, VOLUME, MOVE = 1e-9, 0.3, 3, 3**0.5, 0.12, 0.2
TOLERANCE = 1e-5
ROOT = pathlib.Path(__file__).resolve().parents[2]


def edge_load(layers):
    """The shares of the load that the nodes of the loaded edge take, from z = 0 on."""
    return [(0.5 if k in (0, layers) else 1) / layers for k in range(layers + 1)]


def lgf(program, size, iterations, options):
    """A run of lgf by itself; in all, its process with the files that it writes is timed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "topology", "--preset", "cantilever", "--size", "x".join(map(str, size))]
        command += ["--volume", VOLUME, "--radius", RADIUS, "--penalty", PENALTY, *options]
        command += ["--max-evaluations", iterations, "--engine", "cpu", "--json", "--quiet", "--out", folder]
        start = time.perf_counter()
        output = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
        whole = time.perf_counter() - start
    record = json.loads(output)
    levels = record.get("levels", [])
    seconds = record["wall_seconds"] + sum(level["wall_seconds"] for level in levels)
    history = [entry["objective"] for entry in record["history"]]
    spent = record["spent"]
    notes = [f"volume after filtering {record['volume']:.4f}, {record['adapter']}, {record['precision']}"]
    if spent["given_grid"] != iterations:
        notes.append(f"stopped after {spent['given_grid']} iterations: {record['stop']}")
    if spent["coarse_grids"]:
        coarse = sum(level["wall_seconds"] for level in levels if level["size"] != "x".join(map(str, size)))
        notes.append(
            f"{spent['coarse_grids']} evaluations on coarser grids come first, and their {coarse:.2f} s are "
            f"part of the {seconds:.2f} s that are divided by {spent['given_grid']}"
        )
    if levels:
        notes.append("its first design on the given grid is that of the coarser grid, not the uniform one")
    # With earlier runs on the given grid, the history begins after them.
    uniform = None if levels else history[0]
    return {
        "whole": whole,
        "each": seconds / spent["given_grid"],
        "first": uniform,
        "last": record["objective"] if levels else history[-1],
        "notes": notes,
    }


def pymoto(size, iterations):
    """pyMOTO's own modules, its OC and its conjugate gradients with geometric multigrid."""
    import numpy as np
    import pymoto as pym

    start = time.perf_counter()
    domain = pym.VoxelDomain(*size)
    nx, _, nz = size
    nodes = domain.get_nodenumber(*np.meshgrid(0, range(size[1] + 1), range(nz + 1), indexing="ij")).ravel()
    clamped = (3 * nodes[:, None] + np.arange(3)).ravel()
    load = np.zeros(3 * domain.nnodes)
    load[3 * domain.get_nodenumber(nx, 0, np.arange(nz + 1)) + 1] = -np.array(edge_load(nz))

    # Grids are halved, as in pyMOTO's examples, until the coarsest is small or of an odd size. Two steps of
    # its smoother take less time here than the five that are its default.
    grids = []
    coarse = domain
    while coarse.nnodes > 700 and not any(n % 2 for n in (coarse.nelx, coarse.nely, coarse.nelz)):
        grids.append(pym.solvers.GeometricMultigrid(coarse, smooth_steps=2))
        coarse = grids[-1].sub_domain
    for fine, inner in zip(grids, grids[1:]):
        fine.inner_level = inner
    solver = pym.solvers.CG(preconditioner=grids[0], tol=TOLERANCE) if grids else None

    design = pym.Signal("x", state=np.full(domain.nel, VOLUME))
    smooth = pym.DensityFilter(domain, radius=RADIUS)
    simp = pym.MathExpression(f"{EMIN} + {1 - EMIN} * inp0^{PENALTY}")
    assemble = pym.AssembleStiffness(domain, e_modulus=1.0, poisson_ratio=POISSON, bc=clamped)
    solve = pym.LinSolve(symmetric=True, positive_definite=True, solver=solver)
    began = time.perf_counter()
    # Connecting the modules evaluates them, and the first step does not do so again.
    with pym.Network() as network:
        filtered = smooth(design)
        compliance = pym.EinSum("i,i->")(solve(assemble(simp(filtered)), load), load)
    x, history = design.state, []
    optimizer = pym.OC(design, compliance, network, move=MOVE, maxvol=VOLUME, l1l2tol=1e-6, verbosity=0)
    for _ in range(iterations):
        x, value, _ = optimizer.step(x=x)
        history.append(float(value[0]))
    volume = float(filtered.state.mean())
    end = time.perf_counter()
    name = f"CG to {TOLERANCE:g}, geometric multigrid of {len(grids) + 1} grids" if grids else "sparse direct"
    notes = [f"its OC holds the volume before filtering; the last design has {volume:.4f} after it"]
    return {
        "solver": name,
        "whole": end - start,
        "each": (end - began) / iterations,
        "first": history[0],
        "last": history[-1],
        "notes": notes,
    }


def scikit_topt(size, iterations, solver):
    """scikit-topt's OC, with its own linear kernel as the filter and the load given node by node."""
    import dataclasses

    import matplotlib
    import numpy as np
    import skfem
    from sktopt import filters
    from sktopt.core.optimizers import oc
    from sktopt.fea.solver_elastic import LinearSolverConfig
    from sktopt.filters import spacial
    from sktopt.mesh import LinearElasticity, toy_problem
    from sktopt.tools import SchedulerConfig

    # The package plots as it goes, and pyMOTO has chosen a backend that needs a screen.
    matplotlib.use("agg")
    logging.disable(logging.INFO)

    class Hat(filters.SpacialFilter):
        """The filter of the package is Gaussian and rebuilt for every use: this is linear and kept."""

        kept = None

        def forward(self, density):
            if self.kept is None:
                kernel, support = spacial.make_kernel("linear", self.radius)
                self.kept = spacial.build_filter_matrix(self.element_centers, kernel, support)
            return self.kept @ density

        def gradient(self, vector):
            return self.kept.T @ vector

    class Recorded(oc.OC_Optimizer):
        def rho_update(self, iter_num, *arguments, **named):
            history.append(self._state.compliance)
            volumes.append(float(self._state.rho_projected.mean()))
            super().rho_update(iter_num, *arguments, **named)

    history, volumes = [], []
    start = time.perf_counter()
    nx, ny, nz = size
    mesh = toy_problem.create_box_hex(nx, ny, nz, 1.0)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementHex1()), intorder=2)
    left = mesh.facets_satisfying(lambda p: np.isclose(p[0], 0))
    right = mesh.facets_satisfying(lambda p: np.isclose(p[0], nx) & (p[1] < 1))
    everywhere, nowhere = np.arange(mesh.nelements), np.array([], dtype=int)
    task = LinearElasticity.from_facets(
        basis, left, "all", right, "u^2", -1.0, everywhere, E=1.0, nu=POISSON
    )
    x, y, z = mesh.p
    edge = np.flatnonzero(np.isclose(x, nx) & np.isclose(y, 0))
    load = np.zeros(basis.N)
    load[basis.nodal_dofs[1, edge]] = -np.array(edge_load(nz))[np.rint(z[edge]).astype(int)]
    # By default, elements at supports and loads are solid and no part of the design.
    task = dataclasses.replace(
        task, neumann_linear=[load], design_elements=everywhere, fixed_elements=nowhere,
        neumann_elements=nowhere, dirichlet_neumann_elements=nowhere,
    )
    constant = SchedulerConfig.constant
    with tempfile.TemporaryDirectory() as folder:
        settings = oc.OC_Config(
            dst_path=folder, max_iters=iterations + 1, record_times=1, design_dirichlet=True,
            p=constant(target_value=float(PENALTY)), vol_frac=constant(target_value=VOLUME),
            beta=constant(target_value=1e-4), move_limit=constant(target_value=MOVE),
            percentile=constant(target_value=90.0), filter_radius=constant(target_value=RADIUS),
            filter_type="spacial", E_min_coeff=EMIN, rho_min=0.0, rho_max=1.0, eta=constant(target_value=0.5),
            scaling_rate_min=0.0, scaling_rate_max=1e9,
        )
        settings.solver_config = LinearSolverConfig(solver, rtol=TOLERANCE, maxiter=10000)
        optimizer = Recorded(settings, task)
        optimizer.parameterize()
        optimizer.filter = Hat.from_defaults(mesh, task.elements_volume, RADIUS)
        optimizer.filter.forward(np.zeros(mesh.nelements))
        ready = time.perf_counter() - start
        # One iteration less than allowed leaves out final plots that fail where no density is above a half.
        optimizer.optimize_steps(iterations)
        # Sections within sections have a > in their names; the plots and files at the end are left out.
        sections = [s for s in optimizer.timer.stats() if ">" not in s.name]
        seconds = sum(s.total for s in sections if s.name not in ("export_iteration", "timing_plot"))
    names = {"cg_pyamg": "CG to {:g}, smoothed aggregation of PyAMG", "cg_jacobi": "CG to {:g}, diagonal"}
    notes = [
        f"its solver is {solver}, chosen by --scikit-topt-solver (cg_pyamg was slower at 48x24x24, spsolve "
        "at 24x12x12)",
        "the load is set node by node in its vector, as its own loads are spread over facets",
        "elements at the support and the load belong to the design, as they do not by default",
        "the filter is the package's linear kernel in a class of ours, as its own is Gaussian",
        "its projection cannot be switched off, and beta = 1e-4 makes it the identity to some 7 digits",
        "the limits of its OC's factor are opened, and its sensitivities are scaled by their 90th percentile",
        "the sections of its own timer are added, without the plots and files that it always writes",
        f"its OC holds the volume after filtering within 1e-4; the last design has {volumes[-1]:.4f}",
    ]
    return {
        "solver": names.get(solver, "sparse direct").format(TOLERANCE),
        "whole": ready + seconds,
        "each": seconds / iterations,
        "first": history[0],
        "last": history[-1],
        "notes": notes,
    }


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "–"


def measure(name, run):
    """What a run found, or the words that say why there is nothing."""
    print(f"{name} ...", file=sys.stderr)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = run()
    except ModuleNotFoundError as error:
        return {"missing": f"not installed ({error})"}
    except Exception as error:
        return {"missing": f"failed ({type(error).__name__}: {error})"}
    print(f"{found['each']:.3g} s an iteration, {found['last']:.6g} at the end", file=sys.stderr)
    return found


def warmed(run, iterations):
    """The same run after a tiny one, which imports and compiles what is compiled at the first use."""

    def timed(size):
        run((8, 4, 4), 2)
        return run(size, iterations)

    return timed


def number(value, digits):
    return "–" if value is None else f"{value:.{digits}g}"


def main():
    # Threads of the BLAS slow down short vectors many times over where cores are busy.
    for library in ("OPENBLAS", "MKL", "OMP"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default=str(ROOT / "target" / "release" / "lgf"))
    parser.add_argument("--size", default="48x24x24")
    parser.add_argument("--iterations", type=int, default=10)
    solvers = ["cg_jacobi", "cg_pyamg", "spsolve"]
    parser.add_argument("--scikit-topt-solver", choices=solvers, default=solvers[0])
    options = parser.parse_args()
    size, count = tuple(map(int, options.size.split("x"))), options.iterations
    warnings.filterwarnings("ignore")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    try:
        output = subprocess.run([options.program, "--version"], stdout=subprocess.PIPE, text=True).stdout
        own = output.split()[-1]
    except OSError:
        own = "–"
    choice = options.scikit_topt_solver
    plain = ["--method", "plain", "--levels", 1]
    runs = [
        ("lgf, plain OC", own, lambda s: lgf(options.program, s, count, plain)),
        ("lgf, its default method", own, lambda s: lgf(options.program, s, count, [])),
        ("pyMOTO", version("pymoto"), warmed(pymoto, count)),
        ("scikit-topt", version("scikit-topt"), warmed(lambda s, n: scikit_topt(s, n, choice), count)),
    ]
    rows, notes = [], []
    for name, release, run in runs:
        found = measure(name, lambda: run(size))
        if "missing" in found:
            rows.append([name, release, found["missing"], "–", "–", "–", "–"])
            continue
        solver = found.get("solver", "CG to 1e-3 or less, its own multigrid")
        timed = [number(found["whole"], 3), number(found["each"], 3)]
        rows.append([name, release, solver, *timed, number(found["first"], 10), number(found["last"], 6)])
        notes.append(f"{name}: " + "; ".join(found["notes"]) + ".")
    print(f"# A cantilever in space, {options.size} cubes, {count} design iterations\n")
    print(
        f"`python3 benches/peers/solids.py --size {options.size} --iterations {count}` on "
        f"{platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"the load of the machine was {load:.1f} when it began.\n"
    )
    header = ["program", "version", "solver", "seconds in all", "seconds an iteration"]
    header += ["compliance at 1", f"compliance at {count}"]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()
    common = [
        "Seconds in all: for the packages, from an empty mesh to the last design, without imports and files "
        "and after a tiny run that compiles what is compiled at first use; for lgf, its whole process with "
        "all files that it writes.",
        "Seconds an iteration: without building the problem; for lgf, the wall_seconds of its record, those "
        "of all grids together, by the number of evaluations on the given grid.",
        "The packages run in one thread, as more threads of their BLAS only slow it down here; lgf takes all "
        "cores.",
        "The OC of lgf divides by the exact gradient of the filtered volume, those of both packages by a "
        "constant, so designs differ from the second on.",
        "The last compliance is that of the last design, for lgf's default method that of the best one.",
    ]
    for note in common + notes:
        print(f"- {note}")


if __name__ == "__main__":
    main()
