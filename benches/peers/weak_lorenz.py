#!/usr/bin/env python3
"""The weak form on noisy Lorenz recordings: lgf with its defaults against PySINDy's best of ten settings.

    pip install pysindy && cargo build --release
    python3 benches/peers/weak_lorenz.py > benches/results/discover.md

Prints Markdown; exits with 1 if lgf is behind in a cell. Lorenz (10, 28, 8/3) from (-8, 8, 27), sampled every
0.01, white noise of 0, 1 and 5 % of each coordinate's standard deviation, monomials up to order 2 with a
constant. Both get the same samples. lgf runs `lgf discover FILE --targets weak` and nothing else; PySINDy
runs its WeakPDELibrary and STLSQ with ten settings of the half-width of the subdomains, the power of the test
functions and the threshold; the one that is best by the truth over the cell's recordings stands for it.
Beside it stands the best of the ten for each recording anew, chosen among ten outcomes by the answer itself.
An error is ||coefficients - truth|| / ||truth||, over all coefficients; a cell is the median over the seeds.
Errors below 1e-10 are rounding, and level. `--keep FILE` keeps PySINDy's part from one run to the next.
"""
import argparse
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import pysindy
from scipy.integrate import solve_ivp

ROOT = pathlib.Path(__file__).resolve().parents[2]
DT, ROUNDING, LEVEL = 0.01, 1e-10, 1.05
TERMS = [()] + [c for n in (1, 2) for c in itertools.combinations_with_replacement(range(3), n)]
TRUTH = np.zeros((len(TERMS), 3))
for term, equation, value in [
    ((0,), 0, -10), ((1,), 0, 10), ((0,), 1, 28), ((1,), 1, -1), ((0, 2), 1, -1), ((2,), 2, -8 / 3),
    ((0, 1), 2, 1),
]:
    TRUTH[TERMS.index(term), equation] = value
# Half-width of the subdomains (time units), power of the test functions, threshold.
SETTINGS = [
    (0.03, 4, 0.1), (0.05, 4, 0.5), (0.1, 4, 0.1), (0.1, 4, 0.5), (0.15, 4, 0.5),
    (0.2, 4, 0.5), (0.1, 8, 0.5), (0.2, 8, 0.5), (0.3, 6, 0.5), (0.2, 2, 0.3),
]


def lorenz(_, x):
    return [10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]]


def recording(samples, noise, seed):
    t = np.arange(samples) * DT
    settings = {"t_eval": t, "rtol": 1e-12, "atol": 1e-12, "method": "DOP853"}
    clean = solve_ivp(lorenz, (0, t[-1]), [-8, 8, 27.0], **settings).y.T
    random = np.random.default_rng(seed)
    return t, clean + noise * clean.std(0) * random.standard_normal(clean.shape)


def judge(coefficients):
    right = bool(((coefficients != 0) == (TRUTH != 0)).all())
    return right, float(np.linalg.norm(coefficients - TRUTH) / np.linalg.norm(TRUTH))


def peer(t, x):
    library = pysindy.PolynomialLibrary(degree=2, include_bias=True)
    found = []
    for width, power, threshold in SETTINGS:
        np.random.seed(0)
        weak = pysindy.WeakPDELibrary(
            function_library=library, spatiotemporal_grid=t, is_uniform=True,
            K=min(1000, max(100, 2 * len(t))), H_xt=[min(width, 0.45 * t[-1])], p=power,
        )
        model = pysindy.SINDy(feature_library=weak, optimizer=pysindy.STLSQ(threshold=threshold, alpha=1e-12))
        model.fit(x, t=t)
        found.append(judge(model.coefficients().T))
    return found


def ours(program, t, x):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        np.savez(path / "x.npz", x=x, t=t)
        command = [program, "discover", path / "x.npz", "--targets", "weak", "--engine", "cpu"]
        start = time.perf_counter()
        subprocess.run(command + ["--json", path / "x.json"], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        found = json.loads((path / "x.json").read_text())
    return (*judge(np.array(found["coefficients"])), seconds)


def cell(found):
    return sum(right for right, *_ in found), statistics.median(error for _, error, *_ in found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=str(ROOT / "target/release/lgf"))
    parser.add_argument("--seeds", type=int, default=6, help="recordings of a cell up to 1000 samples")
    parser.add_argument("--long-seeds", type=int, default=3, help="recordings of a cell beyond")
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    kept = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    rows, behind = [], 0
    for samples in (90, 200, 500, 1000, 2000, 5000, 10000):
        for noise in (0, 0.01, 0.05):
            here, there = [], []
            seeds = options.seeds if samples <= 1000 else options.long_seeds
            for seed in range(1, 1 + (seeds if noise else 1)):
                t, x = recording(samples, noise, seed)
                here.append(ours(options.program, t, x))
                key = f"{samples} {noise} {seed}"
                if key not in kept:
                    kept[key] = peer(t, x)
                    if options.keep:
                        options.keep.write_text(json.dumps(kept))
                there.append(kept[key])
            right, error = cell(here)
            one = [cell([found[setting] for found in there]) for setting in range(len(SETTINGS))]
            their_right, their_error = min(one, key=lambda c: (-c[0], c[1]))
            anew = cell([min(found, key=lambda f: (not f[0], f[1])) for found in there])
            if right != their_right:
                verdict = "ahead" if right > their_right else "behind"
            elif max(error, their_error) <= max(ROUNDING, LEVEL * min(error, their_error)):
                verdict = "level"
            else:
                verdict = "ahead" if error < their_error else "behind"
            behind += verdict == "behind"
            seconds = statistics.median(s for *_, s in here)
            of = len(here)
            rows.append(
                f"| {samples} | {100 * noise:g} % | {right}/{of} | {error:.1e} | {their_right}/{of} "
                f"| {their_error:.1e} | {verdict} | {anew[0]}/{of} | {anew[1]:.1e} | {seconds:.2g} |"
            )
            print(rows[-1], file=sys.stderr, flush=True)
    print(f"# The weak form on noisy Lorenz recordings: lgf and PySINDy {pysindy.__version__}\n")
    print(
        "`python3 benches/peers/weak_lorenz.py`, CPU engine; the script's head tells what is measured. "
        "*Right*: recordings whose seven terms are found\nand no other; *error*: of all coefficients, "
        "relative, the median over the recordings. lgf with its\n"
        "defaults; PySINDy with the best of its ten settings by the truth, one for all recordings of a cell, "
        "and *anew*, one\nfor each recording.\n"
    )
    header = ["samples", "noise", "lgf right", "lgf error", "PySINDy right", "PySINDy error", "lgf is"]
    header += ["PySINDy anew: right", "error", "lgf seconds"]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    print("\n".join(rows))
    sys.exit(behind > 0)


if __name__ == "__main__":
    main()
