#!/usr/bin/env python3
"""Runs ten thousand evaluations and watches the program's memory and open files.

Usage: python3 scripts/soak.py [--lgf target/release/lgf] [--evaluations 10000] [--gpu]

It prints, for a structure in the plane and one in space, the resident memory and the number of open files at
the evaluations 100, 1000 and 10 000. What may grow is the history: some 100 bytes an evaluation, and 40 bytes
for each solve in space.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time

PROBLEMS = {
    "2D 40x14": ["--preset", "mbb", "--size", "40x14"],
    "3D 12x6x6": ["--preset", "cantilever", "--size", "12x6x6"],
}


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def listed(path):
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n") - 1
    except FileNotFoundError:
        return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lgf", default="target/release/lgf")
    parser.add_argument("--evaluations", type=int, default=10000)
    parser.add_argument("--gpu", action="store_true", help="on the GPU engine as well")
    given = parser.parse_args()
    marks = [count for count in (100, 1000, 10000, 100000) if count <= given.evaluations]
    engines = ["cpu", "gpu"] if given.gpu else ["cpu"]
    print("| problem | engine | evaluations | resident, MiB | open files |\n|---|---|---:|---:|---:|")
    for name, options in PROBLEMS.items():
        for engine in engines:
            with tempfile.TemporaryDirectory() as out:
                plain = ["--method", "plain", "--levels", "1", "--tolerance", "0", "--quiet"]
                ends = ["--max-evaluations", str(given.evaluations + 1), "--checkpoint", "10s", "--out", out]
                command = [given.lgf, "topology", *options, "--engine", engine, *plain, *ends]
                run = subprocess.Popen(command)
                left = list(marks)
                while left and run.poll() is None:
                    done = listed(f"{out}/evaluations.csv")
                    if done >= left[0]:
                        files = len(os.listdir(f"/proc/{run.pid}/fd"))
                        row = [name, engine, done, f"{resident(run.pid):.1f}", files]
                        print("|", " | ".join(map(str, row)), "|", flush=True)
                        left.pop(0)
                    time.sleep(0.005)
                assert run.wait() == 0, name


if __name__ == "__main__":
    main()
