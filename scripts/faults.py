#!/usr/bin/env python3
"""Cuts runs of `lgf topology` short in every way that a machine has, goes on with them, and compares.

Usage: python3 scripts/faults.py [--kills 50] [--lgf target/release/lgf] [--seed 1] [--engine cpu]

It prints a table: the fault, how it was produced, how often it was tried, and how many runs were lost. A run
is lost unless its design, its history and its listing of all evaluations are those of a run without the
fault, byte by byte. With --engine gpu the meshes are smaller, so that a software adapter will do, and nothing
is limited in its memory, as a driver's threads take addresses as they like.
"""

import argparse
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time

PROBLEMS = {
    "3D 32x16x16": ["--preset", "cantilever", "--size", "32x16x16", "--max-evaluations", "30"],
    "2D 90x30": ["--preset", "mbb", "--size", "90x30"],
}
PROBLEMS_GPU = {
    "3D 16x8x8": ["--preset", "cantilever", "--size", "16x8x8", "--max-evaluations", "20"],
    "2D 40x14": ["--preset", "mbb", "--size", "40x14"],
}
COMPARED = ["variables.npy", "design.npy", "history.csv", "evaluations.csv"]


class Bench:
    def __init__(self, lgf, folder, engine):
        self.lgf, self.folder, self.engine, self.count = lgf, folder, engine, 0
        self.problems = PROBLEMS_GPU if engine == "gpu" else PROBLEMS
        self.whole, self.seconds = {}, {}
        for name, options in self.problems.items():
            out = self.fresh()
            began = time.monotonic()
            assert self.begin(out, options).wait() == 0
            self.seconds[name] = time.monotonic() - began
            self.whole[name] = out

    def fresh(self):
        self.count += 1
        return self.folder / str(self.count)

    def begin(self, out, options, **more):
        command = [self.lgf, "topology", "--engine", self.engine, "--quiet", "--checkpoint", "every=5"]
        return subprocess.Popen([*command, "--out", out, *options], stderr=subprocess.DEVNULL, **more)

    def resume(self, out):
        command = [self.lgf, "resume", out, "--quiet"]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def is_same(self, name, out):
        whole = self.whole[name]
        return all((out / file).exists() and (out / file).read_bytes() == (whole / file).read_bytes()
                   for file in COMPARED)


def cut(bench, name, dice, sent):
    """Sends a signal at a random moment, in one sitting of three to the sitting after that as well."""
    out = bench.fresh()
    run = bench.begin(out, bench.problems[name])
    while True:
        time.sleep(dice.uniform(0, bench.seconds[name]))
        run.send_signal(sent)
        run.wait()
        if not (out / "checkpoint").exists():
            if not out.exists() or not (out / "record.json").exists():
                # It had not begun: the command is given again.
                run = bench.begin(out, bench.problems[name])
                run.wait()
            return bench.is_same(name, out)
        try:
            run = bench.resume(out)
            if dice.random() < 2 / 3:
                if run.wait() != 0:
                    # It was cut off before its first record was whole.
                    assert bench.begin(out, bench.problems[name]).wait() == 0
                return bench.is_same(name, out)
        except subprocess.SubprocessError:
            return False


def full_disk(bench, name, bytes_allowed):
    """No file may grow beyond some bytes, as if the disk were full; the run must end as it would have."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_allowed, bytes_allowed))
    out = bench.fresh()
    bench.begin(out, bench.problems[name], preexec_fn=limit).wait()
    return bench.is_same(name, out)


def little_memory(bench, name, bytes_allowed):
    """The run is given too little memory, dies of it or not, and is gone on with."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (bytes_allowed, bytes_allowed))
    out = bench.fresh()
    bench.begin(out, bench.problems[name], preexec_fn=limit, stdout=subprocess.DEVNULL).wait()
    if not (out / "record.json").exists():
        done = (out / "checkpoint").exists() and bench.resume(out).wait() == 0
        if not done and bench.begin(out, bench.problems[name]).wait() != 0:
            return False
    return bench.is_same(name, out)


def removed_folder(bench, name, dice):
    """The folder is removed while the run goes; the results are written to a new one."""
    out = bench.fresh()
    run = bench.begin(out, bench.problems[name])
    while not (out / "evaluations.csv").exists():
        time.sleep(0.001)
    time.sleep(dice.uniform(0, 0.5 * bench.seconds[name]))
    shutil.rmtree(out, ignore_errors=True)
    if run.wait() != 0:
        return False
    # The listing of the evaluations went with the folder.
    whole = bench.whole[name]
    return all((out / file).read_bytes() == (whole / file).read_bytes() for file in COMPARED[:3])


def spoiled_checkpoint(bench, name, dice):
    """A bit of a killed run's checkpoint is flipped, or a file of it is cut off."""
    out = bench.fresh()
    run = bench.begin(out, bench.problems[name])
    time.sleep(dice.uniform(0.3, 0.9) * bench.seconds[name])
    run.kill()
    run.wait()
    if not (out / "checkpoint").exists():
        return bench.is_same(name, out)
    file = dice.choice([path for path in (out / "checkpoint").iterdir() if path.is_file()])
    content = bytearray(file.read_bytes())
    # The first part of the journal names the run; it is refused when that is spoiled.
    first = 4000 if file.name == "journal.bin" else 0
    if len(content) <= first:
        return True
    place = dice.randrange(first, len(content))
    if dice.random() < 0.5:
        content[place] ^= 1 << dice.randrange(8)
    else:
        del content[place:]
    file.write_bytes(content)
    return bench.resume(out).wait() == 0 and bench.is_same(name, out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lgf", default="target/release/lgf")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", default="cpu")
    given = parser.parse_args()
    dice = random.Random(given.seed)
    few = max(1, given.kills // 5)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(given.lgf).resolve(), pathlib.Path(folder), given.engine)
        faults = [
            ("killed", "`kill -9` at a random moment of the run, and of every third sitting after that",
             given.kills, lambda name: cut(bench, name, dice, signal.SIGKILL)),
            ("asked to end", "SIGTERM at a random moment", few,
             lambda name: cut(bench, name, dice, signal.SIGTERM)),
            ("checkpoint spoiled", "killed, then a bit flipped or a file cut off at a random place", few,
             lambda name: spoiled_checkpoint(bench, name, dice)),
            ("disk full", "no file may exceed 1 MiB (RLIMIT_FSIZE)", 1,
             lambda name: full_disk(bench, name, 1 << 20)),
            ("folder removed", "`rm -rf` of the run's folder at a random moment", few,
             lambda name: removed_folder(bench, name, dice)),
            ("memory", "40 to 400 MiB of addresses (RLIMIT_AS), then gone on with without that limit", few,
             lambda name: little_memory(bench, name, dice.randrange(40, 400) << 20)),
        ]
        print("| fault | how | problem | tried | lost |\n|---|---|---|---:|---:|")
        for fault, how, count, attempt in faults:
            if given.engine == "gpu" and fault == "memory":
                continue
            for name in bench.problems:
                lost = sum(not attempt(name) for _ in range(count))
                print(f"| {fault} | {how} | {name} | {count} | {lost} |", flush=True)


if __name__ == "__main__":
    main()
