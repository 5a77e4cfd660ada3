#!/usr/bin/env python3
"""The sweep behind the defaults of `lgf topology --flow potential`: pairs remembered, projected steps, first trust radius.

Needs `cargo build --release` (or the path of a binary) and Python 3 alone. Writes potential.md beside itself. Structures, sizes, volumes and filters are not those of
`lgf benchmark`, whose numbers the defaults are judged by.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LGF = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "..", "target", "release", "lgf")
BUDGET = {"cold": 100, "coarse to fine": 50}
GAPS = (1.0, 0.5, 0.1)
# preset, size, volume fraction, filter radius
CASES = [
    ("mbb", "100x50", 0.4, 4.0),
    ("mbb", "120x40", 0.35, 4.8),
    ("mbb", "150x75", 0.3, 6.0),
    ("mbb", "200x50", 0.5, 6.0),
    ("mbb", "72x24", 0.5, 2.9),
    ("cantilever", "100x50", 0.5, 4.0),
    ("cantilever", "160x80", 0.3, 5.0),
    ("cantilever", "90x60", 0.4, 3.0),
]
DEFAULT = (10, 20, 0.2)
SETTINGS = [DEFAULT] + [
    (memory, steps, radius)
    for memory, steps, radius in [
        (3, 20, 0.2), (5, 20, 0.2), (6, 20, 0.2), (8, 20, 0.2), (15, 20, 0.2), (25, 20, 0.2),
        (10, 5, 0.2), (10, 10, 0.2), (10, 15, 0.2), (10, 40, 0.2), (6, 10, 0.2), (6, 12, 0.2), (6, 15, 0.2), (8, 12, 0.2), (8, 15, 0.2),
        (10, 20, 0.05), (10, 20, 0.1), (10, 20, 0.3), (10, 20, 0.5), (10, 20, 1.0),
    ]
]


def run(case, setting, start):
    preset, size, volume, radius = case
    memory, steps, trust = setting
    with tempfile.TemporaryDirectory() as out:
        command = [LGF, "topology", "--preset", preset, "--size", size, "--volume", str(volume), "--radius", str(radius), "--flow", "potential"]
        command += ["--history", str(memory), "--steps", str(steps), "--trust", str(trust), "--engine", "cpu", "--json", "--out", out]
        command += ["--max-evaluations", str(BUDGET[start]), "--settled", "0", "--tolerance", "1e-4", "--levels", "1" if start == "cold" else "auto"]
        record = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [e["objective"] for e in record["history"]]


def reach(history, target):
    return next((n + 1 for n, value in enumerate(history) if value <= target), None)


def main():
    text = ["# Defaults of the learned potential", "", "`cargo build --release && python3 benches/sweeps/potential.py`, CPU engine.", ""]
    text += ["Per setting, over the structures " + ", ".join(f"{p} {s} (volume {v}, radius {r})" for p, s, v, r in CASES) + ":"]
    text += ["the geometric mean of the true evaluations on the given grid to within a gap of the best value any setting found on that structure from that"]
    text += ["start, relative to the default (below 1: fewer), one that is not reached counted as the budget; and how many structures did not reach it."]
    for start in BUDGET:
        histories = {}
        for case in CASES:
            histories |= {(case, s): run(case, s, start) for s in SETTINGS}
            print(start, case, file=sys.stderr, flush=True)
        best = {c: min(min(histories[c, s]) for s in SETTINGS) for c in CASES}
        text += ["", f"## {start[0].upper()}{start[1:]}, {BUDGET[start]} true evaluations", ""]
        text += ["| pairs | steps | radius | to 1 % | to 0.5 % | to 0.1 % | not reached |", "|---:|---:|---:|---:|---:|---:|---:|"]
        for setting in SETTINGS:
            cells, missed = [], []
            for gap in GAPS:
                counts = {s: [reach(histories[c, s], best[c] * (1 + gap / 100)) for c in CASES] for s in (setting, DEFAULT)}
                logs = [math.log((a or BUDGET[start]) / (b or BUDGET[start])) for a, b in zip(counts[setting], counts[DEFAULT])]
                cells.append(f"{math.exp(sum(logs) / len(logs)):.2f}")
                missed.append(str(counts[setting].count(None)))
            memory, steps, radius = setting
            text.append(f"| {memory} | {steps} | {radius} | " + " | ".join(cells) + f" | {' / '.join(missed)} |")
            print(start, setting, cells, missed, file=sys.stderr, flush=True)
    with open(os.path.join(HERE, "potential.md"), "w") as file:
        file.write("\n".join(text) + "\n")


main()
