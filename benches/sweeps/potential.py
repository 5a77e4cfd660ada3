#!/usr/bin/env python3
"""The sweeps behind the defaults of `lgf topology --method potential`.

They vary the pairs remembered, the projected steps and the first trust radius; and the polynomial's order.

    python3 benches/sweeps/potential.py [settings|orders] [path of a binary]

Needs `cargo build --release` (or the path of a binary) and Python 3 alone. Writes potential.md or
potential-orders.md beside itself. Structures, sizes, volumes and filters are not those of `lgf benchmark`,
whose numbers the defaults are judged by.
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
SWEEP = sys.argv[1] if len(sys.argv) > 1 else "settings"
LGF = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "..", "..", "target", "release", "lgf")
BUDGET = {"cold": 100, "coarse to fine": 50}
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
# Orders differ by less than two settings do: more structures.
MORE_CASES = [
    ("mbb", "60x30", 0.5, 2.4),
    ("mbb", "150x50", 0.35, 4.0),
    ("mbb", "90x45", 0.6, 3.6),
    ("mbb", "108x36", 0.3, 2.9),
    ("mbb", "140x35", 0.4, 3.5),
    ("cantilever", "80x40", 0.5, 2.4),
    ("cantilever", "120x60", 0.35, 4.8),
    ("cantilever", "64x64", 0.4, 3.8),
    ("cantilever", "96x32", 0.6, 2.6),
    ("cantilever-two-loads", "80x40", 0.3, 3.2),
    ("cantilever-two-loads", "60x60", 0.4, 3.6),
    ("cantilever-two-loads", "100x50", 0.5, 3.0),
    ("two-load-bridge", "100x50", 0.4, 4.0),
    ("two-load-bridge", "80x40", 0.5, 2.4),
    ("l-bracket", "60x60", 0.35, 3.6),
    ("l-bracket", "90x90", 0.4, 5.4),
]
# memory, steps, radius
SETTINGS = [
    (10, 20, 0.2), (3, 20, 0.2), (5, 20, 0.2), (6, 20, 0.2), (8, 20, 0.2), (15, 20, 0.2), (25, 20, 0.2),
    (10, 5, 0.2), (10, 10, 0.2), (10, 15, 0.2), (10, 40, 0.2),
    (6, 10, 0.2), (6, 12, 0.2), (6, 15, 0.2), (8, 12, 0.2), (8, 15, 0.2),
    (10, 20, 0.05), (10, 20, 0.1), (10, 20, 0.3), (10, 20, 0.5), (10, 20, 1.0),
]
FLAGS = {"settings": ("--history", "--steps", "--trust"), "orders": ("--history", "--order")}
# The first of each is what the others are compared with.
TRIED = {"settings": SETTINGS, "orders": [(6, 2), (6, 3), (6, 4), (10, 2), (10, 3), (10, 4)]}
COLUMNS = {"settings": ("pairs", "steps", "radius"), "orders": ("pairs", "order")}
STRUCTURES = {"settings": CASES, "orders": CASES + MORE_CASES}
GAPS = {"settings": (1.0, 0.5, 0.1), "orders": (1.0, 0.5, 0.2, 0.1)}
FILE = {"settings": "potential.md", "orders": "potential-orders.md"}


def run(case, setting, start):
    preset, size, volume, radius = case
    with tempfile.TemporaryDirectory() as out:
        command = [LGF, "topology", "--preset", preset, "--size", size, "--volume", str(volume)]
        command += ["--radius", str(radius), "--method", "potential"]
        command += [text for flag, value in zip(FLAGS[SWEEP], setting) for text in (flag, str(value))]
        command += ["--engine", "cpu", "--json", "--out", out]
        command += ["--max-evaluations", str(BUDGET[start]), "--settled", "0", "--tolerance", "1e-4"]
        command += ["--levels", "1" if start == "cold" else "auto"]
        record = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [e["objective"] for e in record["history"]]


def reach(history, target):
    return next((n + 1 for n, value in enumerate(history) if value <= target), None)


def main():
    cases, tried, gaps = STRUCTURES[SWEEP], TRIED[SWEEP], GAPS[SWEEP]
    command = f"`cargo build --release && python3 benches/sweeps/potential.py {SWEEP}`"
    text = ["# Defaults of the learned potential", "", f"{command}, CPU engine.", ""]
    structures = ", ".join(f"{p} {s} (volume {v}, radius {r})" for p, s, v, r in cases)
    prose = (
        f"Per row, over the structures {structures}: the geometric mean of the true evaluations on the given "
        "grid to within a gap of the best value any row found on that structure from that start, relative to "
        "the first row (below 1: fewer), one that is not reached counted as the budget; and how many "
        "structures did not reach it."
    )
    text += textwrap.wrap(prose, 110, break_on_hyphens=False)
    for start in BUDGET:
        histories = {}
        for case in cases:
            histories |= {(case, s): run(case, s, start) for s in tried}
            print(start, case, file=sys.stderr, flush=True)
        best = {c: min(min(histories[c, s]) for s in tried) for c in cases}
        columns = [*COLUMNS[SWEEP], *(f"to {gap:g} %" for gap in gaps), "not reached"]
        text += ["", f"## {start[0].upper()}{start[1:]}, {BUDGET[start]} true evaluations", ""]
        text += ["| " + " | ".join(columns) + " |", "|" + "---:|" * len(columns)]
        for setting in tried:
            cells, missed = [], []
            for gap in gaps:
                targets = {c: best[c] * (1 + gap / 100) for c in cases}
                counts = {s: [reach(histories[c, s], targets[c]) for c in cases] for s in (setting, tried[0])}
                pairs = zip(counts[setting], counts[tried[0]])
                logs = [math.log((a or BUDGET[start]) / (b or BUDGET[start])) for a, b in pairs]
                cells.append(f"{math.exp(sum(logs) / len(logs)):.2f}")
                missed.append(str(counts[setting].count(None)))
            text.append("| " + " | ".join([*map(str, setting), *cells, " / ".join(missed)]) + " |")
            print(start, setting, cells, missed, file=sys.stderr, flush=True)
    with open(os.path.join(HERE, FILE[SWEEP]), "w") as file:
        file.write("\n".join(text) + "\n")


main()
