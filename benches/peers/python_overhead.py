#!/usr/bin/env python3
"""What calling a Python function costs `lgf.minimize`, beside the engine's own time, in one run.

Usage: pip install ./python; python3 benches/peers/python_overhead.py

The engine measures the time of each evaluation as it sees it, and the function its own; the difference is
what the way from Rust to Python and back costs. The rest of the run is the engine's own time, which a Rust
program has as well.
"""

import time

import numpy as np

import lgf


def main():
    print(
        "| unknowns | evaluations | function, µs | way to Python and back, µs | engine, µs | with/without |"
    )
    print("|---:|---:|---:|---:|---:|---:|")
    for d, budget in ((10, 2000), (10_000, 500), (10_000_000, 8)):
        weights = np.linspace(1, 10, d)
        inside = 0.0

        def function(x):
            nonlocal inside
            began = time.perf_counter()
            slope = weights * x
            value = 0.5 * float(slope @ x)
            inside += time.perf_counter() - began
            return value, slope

        result = lgf.minimize(
            function,
            np.ones(d),
            method="gradient-descent",
            options={"rate": 1e-4},
            engine="cpu",
            tolerance=0,
            max_evaluations=budget,
        )
        n, report = result.nfev, result.report
        way = report["objective_seconds"] - inside
        engine = report["wall_seconds"] - report["objective_seconds"]
        whole = report["wall_seconds"]
        micro = 1e6 / n
        print(
            f"| {d} | {n} | {micro * inside:.1f} | {micro * way:.1f} | {micro * engine:.1f} "
            f"| {whole / (whole - way):.2f} |"
        )


if __name__ == "__main__":
    main()
