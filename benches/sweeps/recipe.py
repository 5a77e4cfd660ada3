#!/usr/bin/env python3
"""The recipe of `lgf topology` against optimizers without a learned model, over a sweep of structures.

    python3 benches/sweeps/recipe.py references [path of a binary]
    python3 benches/sweeps/recipe.py [path of a binary] [extra arguments of lgf topology]

Needs `cargo build --release` (or the path of a binary) and Python 3 alone. The first command runs optimality
criteria (OC) to its end, and spectral projected gradient (SPG) and projected quasi-Newton (PQN) both from the
uniform design and from their own results on coarse grids; it keeps the best values in recipe-references.csv
beside itself. That takes an hour or more on one core, and an interrupted run goes on where it was. The second
command runs `lgf topology` with its default settings and writes recipe.md.
"""
import concurrent.futures
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCES = os.path.join(HERE, "recipe-references.csv")
VOLUMES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
OBLONG = "40x20 60x20 60x30 80x40 90x30 100x50 120x40 150x50 160x80 180x60 240x80 270x90 300x100".split()
SQUARE = "40x40 48x48 50x50 60x60 64x64 70x70 80x80 90x90 100x100 110x110 120x120 140x140 170x170".split()
PRESETS = ["mbb", "cantilever", "cantilever-two-loads", "two-load-bridge", "l-bracket"]
# What people ran: the defaults at three sizes, low volume without a coarser grid.
EXTRA = [
    ("mbb", "180x60", 0.5, 7.2), ("mbb", "240x80", 0.5, 9.6), ("mbb", "270x90", 0.5, 10.8),
    ("mbb", "60x20", 0.2, 1.5), ("mbb", "60x20", 0.1, 1.5), ("mbb", "60x20", 0.5, 2.4),
    ("mbb", "60x20", 0.3, 1.5), ("cantilever", "80x40", 0.2, 1.5),
]
METHODS = [("oc", "cold", 600), ("spg", "cold", 200), ("pqn", "cold", 200), ("spg", "multilevel", 100),
           ("pqn", "multilevel", 100)]
# Above this many elements the references have half of these budgets.
LARGE = 12000


def cases():
    """Every preset at ten sizes and one or more larger ones; volumes and radii take turns."""
    rows = []
    for p, preset in enumerate(PRESETS):
        for i, size in enumerate(SQUARE if preset == "l-bracket" else OBLONG):
            if i > 9 and (i + p) % 3:
                continue
            columns = int(size.split("x")[0])
            volume = VOLUMES[(i + 2 * p) % 6]
            if preset == "l-bracket":
                volume = min(volume, 0.5)
            radius = [1.5, 0.04 * columns, 2.5, 0.025 * columns][(i + p) % 4]
            rows.append((preset, size, volume, round(max(radius, 1.5), 3)))
    return rows + EXTRA


def name(case):
    preset, size, volume, radius = case
    return f"{preset}:{size}:{volume}:{radius}"


def run_reference(binary, case, method, start, budget):
    with tempfile.TemporaryDirectory() as out:
        command = [binary, "benchmark", "topology", "--cases", name(case), "--methods", method, "--quiet"]
        command += ["--start", start, "--budget", str(budget), "--out", out]
        subprocess.run(command, check=True, capture_output=True)
        with open(os.path.join(out, "benchmark.csv"), encoding="utf-8") as file:
            row = next(csv.DictReader(file))
    return row


def references(binary):
    done = set()
    if os.path.exists(REFERENCES):
        with open(REFERENCES, encoding="utf-8") as file:
            done = {(row["case"], row["method"], row["start"]) for row in csv.DictReader(file)}
    else:
        with open(REFERENCES, "w", encoding="utf-8") as file:
            file.write("case,method,start,budget,evaluations,best\n")
    for case in sorted(cases(), key=lambda c: elements(c)):
        for method, start, budget in METHODS:
            budget //= 2 if elements(case) > LARGE else 1
            if (name(case), method, start) in done:
                continue
            row = run_reference(binary, case, method, start, budget)
            line = f"{name(case)},{method},{start},{budget},{row['evaluations']},{row['best']}"
            print(line, flush=True)
            with open(REFERENCES, "a", encoding="utf-8") as file:
                file.write(line + "\n")


def elements(case):
    columns, rows = case[1].split("x")
    return int(columns) * int(rows)


def run(binary, case, extra):
    preset, size, volume, radius = case
    with tempfile.TemporaryDirectory() as out:
        command = [binary, "topology", "--preset", preset, "--size", size, "--volume", str(volume)]
        command += ["--radius", str(radius), "--engine", "cpu", "--json", "--out", out, *extra]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def cost(record):
    """Evaluations on the given grid, and in all in evaluations on it."""
    levels = record.get("levels", [])
    in_all = record["true_evaluations"] + sum(level["fine_equivalents"] for level in levels)
    on_grid = [level["true_evaluations"] for level in levels if level["size"].split()[0] == record["size"]]
    return record["true_evaluations"] + sum(on_grid), in_all


def main():
    binary, extra = os.path.join(HERE, "..", "..", "target", "release", "lgf"), sys.argv[1:]
    is_reference = extra[:1] == ["references"]
    extra = extra[is_reference:]
    if extra and not extra[0].startswith("-"):
        binary, extra = extra[0], extra[1:]
    if is_reference:
        return references(binary)
    best = {}
    with open(REFERENCES, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            best.setdefault(row["case"], {})[row["method"], row["start"]] = float(row["best"])
    listed = [case for case in cases() if name(case) in best]
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "1"))) as pool:
        records = list(pool.map(lambda case: run(binary, case, extra), listed))
    rows = []
    for case, record in zip(listed, records):
        (method, start), least = min(best[name(case)].items(), key=lambda item: item[1])
        gap = 100 * (record["objective"] / least - 1)
        rows.append((gap, case, record, f"{method}, {start}", least, *cost(record)))
    rows.sort(key=lambda row: -row[0])
    gaps, given, in_all = ([row[i] for row in rows] for i in (0, 5, 6))
    prose = (
        f"{len(rows)} structures, default settings, CPU engine. The gap is to the best value of five runs: "
        "OC to its end (600 evaluations at most), SPG and PQN from the uniform design (200) and from their "
        f"own results on coarse grids (100; half of all that above {LARGE} elements), in "
        "`recipe-references.csv`. Evaluations are those on the given grid, all of them; in all: with those "
        "on coarse grids, times their share of the given grid's elements."
    )
    arguments = "".join(f" {word}" for word in extra)
    summary = (
        f"Gap: worst {max(gaps):.2f} %, median {statistics.median(gaps):.3f} %, least {min(gaps):.2f} %; "
        f"above 0.5 %: {sum(gap > 0.5 for gap in gaps)} of {len(gaps)}. Evaluations on the given grid: "
        f"median {statistics.median(given):g}, sum {sum(given)}; in all: median "
        f"{statistics.median(in_all):.1f}, sum {sum(in_all):.0f}."
    )
    text = ["# The recipe over a sweep of structures", ""]
    text += [f"`python3 benches/sweeps/recipe.py{arguments}`", ""]
    text += [*textwrap.wrap(prose, 110), "", *textwrap.wrap(summary, 110), ""]
    text += ["| structure | gap % | compliance | best of the others | by | evaluations | in all | stop |"]
    text += ["|---|---:|---:|---:|---|---:|---:|---|"]
    for gap, case, record, by, least, given, in_all in rows:
        cells = [name(case), f"{gap:.3f}", f"{record['objective']:.4f}", f"{least:.4f}", by, given]
        cells += [f"{in_all:.1f}", record["stop"].split(":")[0][:40]]
        text.append("| " + " | ".join(map(str, cells)) + " |")
    target = os.environ.get("OUT", os.path.join(HERE, "recipe.md"))
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(text) + "\n")
    print("\n".join(text[:14]))


main()
