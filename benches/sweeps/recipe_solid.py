#!/usr/bin/env python3
"""The settings of `lgf topology`'s recipe in three dimensions, beside optimizers without a learned model.

    python3 benches/sweeps/recipe_solid.py [path of a binary]

Needs `cargo build --release` (or the path of a binary) and Python 3 alone. It runs every structure with the
default recipe and with variants of it, and spectral projected gradient (SPG) and projected quasi-Newton (PQN)
from their own results on coarse grids, and optimality criteria (OC) from a uniform start; it writes
recipe_solid.md beside itself. That takes some ten minutes on two cores.
"""
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CASES = [
    ("cantilever", "48x24x24", 0.12, 1.732), ("cantilever", "48x24x24", 0.3, 2.5),
    ("cantilever", "64x32x32", 0.2, 3.0), ("mbb", "48x16x16", 0.2, 1.5), ("mbb", "60x20x20", 0.1, 2.0),
    ("l-bracket", "36x36x18", 0.2, 1.5), ("l-bracket", "40x40x20", 0.4, 2.0),
    ("bridge", "48x24x16", 0.15, 1.5), ("bridge", "64x32x24", 0.3, 2.5),
    ("torsion", "48x20x20", 0.2, 1.5), ("torsion", "49x25x21", 0.1, 2.0),
]
VARIANTS = {
    "default": [],
    "settled 2e-4": ["--settled", "0.0002"],
    "settled 5e-4": ["--settled", "0.0005"],
    "settled 1e-3": ["--settled", "0.001"],
    "settled 2e-3": ["--settled", "0.002"],
    "continuation on": ["--continuation", "on"],
    "continuation off": ["--continuation", "off"],
    "one coarse grid": ["--levels", "2"],
    "12 pairs": ["--history", "12"],
}
PEERS = [("oc", "cold", 300), ("spg", "multilevel", 60), ("pqn", "multilevel", 60)]


def run(binary, case, extra):
    """One run of `lgf topology`: compliance, evaluations on the given grid, equivalents in all, seconds."""
    preset, size, volume, radius = case
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "topology", "--preset", preset, "--size", size, "--volume", str(volume)]
        command += ["--radius", str(radius), "--engine", "cpu", "--json", "--out", folder] + extra
        record = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    seconds = record["wall_seconds"] + sum(level["wall_seconds"] for level in record.get("levels", []))
    return record["objective"], record["spent"]["given_grid"], record["spent"]["fine_equivalents"], seconds


def peer(binary, case, method, start, budget):
    """The least value of a run of `lgf benchmark`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "benchmark", "topology", "--cases", ":".join(map(str, case)), "--quiet"]
        command += ["--methods", method, "--start", start, "--budget", str(budget), "--out", folder]
        subprocess.run(command, capture_output=True, check=True)
        with open(os.path.join(folder, "benchmark.csv"), encoding="utf-8") as file:
            return float(next(csv.DictReader(file))["best"])


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "target/release/lgf")
    rows = {}
    for case in CASES:
        found = {name: run(binary, case, extra) for name, extra in VARIANTS.items()}
        peers = {f"{m}, {s}, {b}": peer(binary, case, m, s, b) for m, s, b in PEERS}
        rows[case] = (found, peers)
        best = min([f[0] for f in found.values()] + list(peers.values()))
        gaps = {name: f"{100 * (f[0] / best - 1):.2f} % {f[1]}" for name, f in found.items()}
        print(*case, f"best {best:.5g}", gaps, flush=True)
        print({name: f"{100 * (value / best - 1):.2f} %" for name, value in peers.items()}, flush=True)
    text = ["# The recipe in three dimensions", "",
            "Gap to the best value that any column found, in per cent, with the evaluations on the given",
            "grid in brackets; the last columns are optimizers without a learned model and their budgets.",
            "CPU engine, f64, 2 cores; `python3 benches/sweeps/recipe_solid.py`.", ""]
    names = list(VARIANTS)
    labels = [f"{m}, {s}, {b}" for m, s, b in PEERS]
    text += ["| structure | best | " + " | ".join(names + labels) + " |",
             "|---|---|" + "---|" * (len(names) + len(labels))]
    gaps = {name: [] for name in names + labels}
    spent = {name: [] for name in names}
    for case, (found, peers) in rows.items():
        best = min([f[0] for f in found.values()] + list(peers.values()))
        cells = []
        for name in names:
            gap = 100 * (found[name][0] / best - 1)
            gaps[name].append(gap)
            spent[name].append(found[name][1:])
            cells.append(f"{gap:.2f} ({found[name][1]})")
        for name in labels:
            gap = 100 * (peers[name] / best - 1)
            gaps[name].append(gap)
            cells.append(f"{gap:.2f}")
        structure = f"{case[0]} {case[1]}, volume {case[2]}, radius {case[3]}"
        text.append(f"| {structure} | {best:.5g} | " + " | ".join(cells) + " |")
    for label, of in [("median gap", statistics.median), ("worst gap", max)]:
        text.append(f"| {label} | | " + " | ".join(f"{of(gaps[name]):.2f}" for name in names + labels) + " |")
    for label, column in [("evaluations, sum", 0), ("in all, fine solves, sum", 1)]:
        sums = [f"{sum(s[column] for s in spent[name]):.0f}" for name in names]
        text.append(f"| {label} | | " + " | ".join(sums + [""] * len(labels)) + " |")
    with open(os.path.join(HERE, "recipe_solid.md"), "w") as file:
        file.write("\n".join(text) + "\n")


main()
