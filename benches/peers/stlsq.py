#!/usr/bin/env python3
"""Batched STLSQ against PySINDy's, on the same matrices.

Are the supports the same, and how long does each take?

    pip install pysindy && python3 benches/peers/stlsq.py > benches/results/stlsq.md

Prints Markdown; exits with 1 if a support differs. `--engines cpu,gpu` says which engines take part (the best
adapter there is, software included). PySINDy solves one matrix with all its targets per call, lgf the whole
batch at once. Each problem: a random K x P feature matrix, five true terms, noise of 1e-3. Problems share
matrices as the coordinates of one model share theirs: 1 = one matrix, one target; 64 = one matrix, 64
targets; 4096 = 64 matrices with 64 targets each.
"""
import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import pysindy

THRESHOLD, RIDGE, ITERATIONS = 0.1, 1e-3, 10
ROOT = pathlib.Path(__file__).resolve().parents[2]


def problems(matrices, columns, rows, features, seed):
    random = np.random.default_rng(seed)
    theta = random.standard_normal((matrices, rows, features))
    truth = np.zeros((matrices, features, columns))
    for b in range(matrices):
        for j in range(columns):
            at = random.choice(features, 5, replace=False)
            truth[b, at, j] = random.choice([-1, 1], 5) * random.uniform(1, 2, 5)
    return theta, theta @ truth + 1e-3 * random.standard_normal((matrices, rows, columns))


def peer(theta, targets):
    start = time.perf_counter()
    found = []
    for a, y in zip(theta, targets):
        model = pysindy.STLSQ(
            threshold=THRESHOLD, alpha=RIDGE, max_iter=ITERATIONS, normalize_columns=False, unbias=False
        )
        found.append(model.fit(a, y).coef_.T)
    return np.array(found), time.perf_counter() - start


def build():
    command = ["cargo", "build", "--release", "--example", "stlsq_batch", "--message-format", "json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = map(json.loads, output.splitlines())
    built = [m.get("executable") for m in messages if m.get("target", {}).get("name") == "stlsq_batch"]
    return built[-1]


def ours(program, theta, targets, engine, repetitions):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        np.savez(path / "in.npz", features=theta, targets=targets)
        command = [program, path / "in.npz", path / "out.npz", engine]
        command += [str(v) for v in (THRESHOLD, RIDGE, ITERATIONS, repetitions)]
        adapter = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        out = np.load(path / "out.npz")
        return out["coefficients"], out["support"] != 0, statistics.median(out["seconds"]), adapter


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--engines", default="cpu,gpu")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    engines = options.engines.split(",")
    program = build()
    warnings.filterwarnings("ignore")
    rows, adapters, differing = [], {}, 0
    for k, p in [(64, 66), (128, 286)]:
        for matrices, columns in [(1, 1), (1, 64), (64, 64)]:
            theta, targets = problems(matrices, columns, k, p, seed=k + columns)
            reference, seconds = peer(theta, targets)
            line = [f"{k}x{p}", str(matrices * columns), f"{1e3 * seconds:.3g}"]
            for engine in engines:
                found, support, seconds, adapters[engine] = ours(
                    program, theta, targets, engine, options.repetitions
                )
                wrong = int(np.any(support != (reference != 0), axis=1).sum())
                error = np.abs(found - reference).max() / np.abs(reference).max()
                differing += wrong
                line += [f"{1e3 * seconds:.3g}", f"{wrong}", f"{error:.0e}"]
            rows.append(line)
            print(*line, file=sys.stderr)
    print(f"# STLSQ, lgf and PySINDy {pysindy.__version__}\n")
    print(
        f"`python3 benches/peers/stlsq.py` on {platform.machine()}; threshold {THRESHOLD}, ridge {RIDGE}, "
        f"at most {ITERATIONS} rounds. Times in milliseconds,\n"
        f"the median of {options.repetitions} for lgf (uploads and read-back included); "
        "*differ*: problems whose support is not PySINDy's; *error*: the largest\n"
        "difference of a coefficient, relative to the largest coefficient.\n"
    )
    for engine in engines:
        print(f"- {adapters[engine]}")
    header = ["K x P", "problems", "PySINDy"]
    header += [f"{e} {what}" for e in engines for what in ("ms", "differ", "error")]
    print("\n| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for line in rows:
        print("| " + " | ".join(line) + " |")
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
