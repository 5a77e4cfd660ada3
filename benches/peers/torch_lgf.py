#!/usr/bin/env python3
"""The method's PyTorch formulation, float32, timed; alone, or in turns with the CPU engine's passes.

    pip install torch numpy
    python3 benches/peers/torch_lgf.py
    python3 benches/peers/torch_lgf.py --against-lgf > benches/results/torch.md

The first line times PyTorch alone and prints JSON. The second times it in turns with the CPU engine in f32,
in f32 with its basis in halves, and in f64, and prints Markdown.

Written as a user of the paper would: whole-tensor operations, no loop over unknowns, no gradient tape, every
table made once per refit. A refit centres the history, takes its thin SVD to rank r (and, as a second line,
the same from the K x K Gram matrix, which costs PyTorch less), projects, evaluates the library and solves
the thresholded ridge regression. ADAM's differential equation on (x, m, v) is integrated by the 3/8 rule,
four predictions per step; its own discrete step takes one. A gradient-descent step is x - rate * g. Threads:
as many as there are cores, for both. With `--processor-time` both sides are measured by the time their
threads have run: with `--threads 1` a comparison that other work on the machine hardly touches.
"""
import argparse
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
RIDGE, THRESHOLD, ITERATIONS = 1e-6, 0.0, 10
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
ADAM_RATE, DESCENT_RATE = 0.01, 0.1


class Library:
    """All monomials up to `order`, constant first."""

    def __init__(self, variables, order, device):
        self.parts = [
            torch.tensor(list(itertools.combinations_with_replacement(range(variables), n)), device=device)
            for n in range(1, order + 1)
        ]

    def __call__(self, z):
        return torch.cat([torch.ones_like(z[..., :1])] + [z[..., part].prod(-1) for part in self.parts], -1)


def stlsq(theta, targets):
    """Sequentially thresholded ridge, one support per column."""
    gram = theta.T @ theta
    moment = theta.T @ targets
    ridge = RIDGE * gram.diagonal().mean()
    support = torch.ones_like(moment, dtype=torch.bool)
    for _ in range(ITERATIONS):
        mask = support.T.to(gram.dtype)
        systems = gram * mask[:, :, None] * mask[:, None, :] + torch.diag_embed(ridge * mask + (1 - mask))
        coefficients = torch.linalg.solve(systems, moment.T * mask).T * support
        kept = support & (coefficients.abs() >= THRESHOLD)
        if torch.equal(kept, support):
            break
        support = kept
    return coefficients


class Surrogate:
    """g(x) = U Xi^T Theta(U^T (x - mean) / scale), U by rows."""

    def __init__(self, x, g, rank, order, by_gram):
        self.mean = x.mean(0)
        centred = x - self.mean
        if by_gram:
            values, vectors = torch.linalg.eigh(centred @ centred.T)
            values, vectors = values[-rank:].flip(0), vectors[:, -rank:].flip(1)
            self.basis = (vectors / values.clamp_min(1e-30).sqrt()).T @ centred
        else:
            # LAPACK takes a tall matrix's decomposition in less time than a wide one's.
            self.basis = torch.linalg.svd(centred.T, full_matrices=False).U[:, :rank].T.contiguous()
        z = centred @ self.basis.T
        self.scale = centred.square().sum(1).max().sqrt()
        self.library = Library(rank, order, x.device)
        self.coefficients = stlsq(self.library(z / self.scale), g @ self.basis.T)

    def gradient(self, x):
        z = self.basis @ (x - self.mean) / self.scale
        return (self.library(z) @ self.coefficients) @ self.basis


def adam_velocity(model, t, x, m, v):
    g = model.gradient(x)
    k = t / ADAM_RATE
    first, second = max(1 - BETA1**k, 1e-16), max(1 - BETA2**k, 1e-16)
    denominator = (v / second).clamp_min_(0).sqrt_().add_(EPSILON)
    dx = (m / denominator).mul_(-1 / first)
    dv = torch.addcmul(v, g, g, value=-1).mul_(-(1 - BETA2) / ADAM_RATE)
    return dx, g.sub_(m).mul_((1 - BETA1) / ADAM_RATE), dv


def adam_rk4(model, k, state):
    h, t = ADAM_RATE, k * ADAM_RATE

    def moved(*terms):
        slopes, factors = terms[::2], terms[1::2]
        out = tuple(torch.add(y, a, alpha=h * factors[0]) for y, a in zip(state, slopes[0]))
        for slope, factor in zip(slopes[1:], factors[1:]):
            for y, a in zip(out, slope):
                y.add_(a, alpha=h * factor)
        return out

    k1 = adam_velocity(model, t, *state)
    k2 = adam_velocity(model, t + h / 3, *moved(k1, 1 / 3))
    k3 = adam_velocity(model, t + 2 * h / 3, *moved(k1, -1 / 3, k2, 1))
    k4 = adam_velocity(model, t + h, *moved(k1, 1, k2, -1, k3, 1))
    return moved(k1, 1 / 8, k2, 3 / 8, k3, 3 / 8, k4, 1 / 8)


def adam_step(model, k, state):
    """In place, as torch.optim.Adam does it."""
    x, m, v = state
    g = model.gradient(x)
    m.lerp_(g, 1 - BETA1)
    v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
    denominator = (v.sqrt() / (1 - BETA2**k) ** 0.5).add_(EPSILON)
    x.addcdiv_(m, denominator, value=-ADAM_RATE / (1 - BETA1**k))
    return state


def descent_step(model, _, state):
    return (torch.sub(state[0], model.gradient(state[0]), alpha=DESCENT_RATE),)


def history(d, k, adam, device):
    """K true steps on a separable quadratic: the iterates, the gradients, and the state after them.

    The Rust side makes the same.
    """
    i = torch.arange(d, device=device, dtype=torch.float32)
    slope, centre = 0.55 + 0.45 * torch.sin(0.11 * i), torch.cos(0.23 * i)
    state = [torch.sin(0.37 * i)] + [torch.zeros_like(i) for _ in range(2 if adam else 0)]
    x, g = torch.empty(k, d, device=device), torch.empty(k, d, device=device)
    for step in range(k):
        x[step], g[step] = state[0], slope * (state[0] - centre)
        exact = type("Exact", (), {"gradient": staticmethod(lambda at: slope * (at - centre))})
        state = list(adam_step(exact, step + 1, state)) if adam else list(descent_step(exact, step, state))
    return x, g, state


class Peer:
    """The PyTorch side, one device."""

    def __init__(self, options, device):
        self.options, self.device = options, torch.device(device)
        self.adam = history(options.d, options.k, True, self.device)
        self.descent = history(options.d, options.k, False, self.device)

    def clock(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.process_time() if self.options.processor_time else time.perf_counter()

    def refit(self, case, by_gram):
        begin = self.clock()
        model = Surrogate(case[0], case[1], self.options.rank, self.options.order, by_gram)
        return model, self.clock() - begin

    def phase(self, model, state, step, count):
        state = tuple(y.clone() for y in state)
        begin = self.clock()
        for k in range(count):
            state = step(model, self.options.k + 1 + k, state)
        seconds = self.clock() - begin
        assert all(bool(y.isfinite().all()) for y in state)
        return seconds

    def round(self):
        out, steps = {}, self.options.steps
        with torch.inference_mode():
            _, out["refit"] = self.refit(self.adam, False)
            model, out["refit_by_gram"] = self.refit(self.adam, True)
            out["adam_rk4_step"] = self.phase(model, self.adam[2], adam_rk4, steps) / steps
            out["adam_step"] = self.phase(model, self.adam[2], adam_step, steps) / steps
            model, _ = self.refit(self.descent, True)
            out["descent_phase"] = self.phase(model, self.descent[2], descent_step, 20)
        return out


class Lgf:
    """The CPU engine: `benches/passes.rs`, which does a round for every line it is sent."""

    def __init__(self, options, flags):
        build = ["cargo", "bench", "--bench", "passes", "--no-run", "--message-format", "json"]
        output = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        messages = map(json.loads, output.splitlines())
        program = [m.get("executable") for m in messages if m.get("target", {}).get("name") == "passes"][-1]
        sizes = ("d", "k", "rank", "order", "steps")
        command = [program, "--serve"] + [f"--{name}={getattr(options, name)}" for name in sizes]
        command += ["--processor-time"] if options.processor_time else []
        command += flags
        environment = {**os.environ, "RAYON_NUM_THREADS": str(options.threads)}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        greeting = json.loads(self.process.stdout.readline())
        self.adapter, self.precision = greeting.get("adapter"), greeting.get("precision")
        self.precision = self.precision.replace(", sums f64", "").replace(";", ",")
        self.word = 4 if "--single" in flags else 8
        # A number of the basis, in numbers of the state.
        self.basis = 2 / self.word if "--f16" in flags else 1

    def round(self):
        self.process.stdin.write("round\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def summary(rounds):
    times = {name: [r[name] for r in rounds] for name in rounds[0]}
    return {name: {"median": statistics.median(t), "min": min(t)} for name, t in times.items()}


ROWS = [
    ("refit", "refit", "refit", 3),
    ("refit, against PyTorch's by Gram matrix", "refit_by_gram", "refit", None),
    ("ADAM, one step by RK4", "adam_rk4_step", "adam_rk4_step", 2),
    ("ADAM, one step of its own, against PyTorch's RK4 step", "adam_rk4_step", "adam_step", 10),
    ("ADAM, one step of its own, against the same in PyTorch", "adam_step", "adam_step", None),
    ("gradient descent, a phase of 20 steps", "descent_phase", "descent_phase", 50),
]


def markdown(options, engines, ours, theirs):
    clock = "processor time" if options.processor_time else "wall clock"
    names = " and ".join(e.precision for e in engines)
    title = "The CPU engine's passes and the method's PyTorch formulation"
    print(f"# {title}: {clock}, {options.threads} threads\n")
    print(f"`python3 benches/peers/torch_lgf.py {' '.join(sys.argv[1:])}`")
    print(
        f"on {platform.machine()}; PyTorch {torch.__version__}, float32, {options.threads} threads; "
        f"lgf: {engines[0].adapter}, {names}; load of the machine\n"
        f"{os.getloadavg()[0]:.1f}. d = {options.d}, K = {options.k}, r = {options.rank}, "
        f"order {options.order}; in turns, {options.rounds} rounds; milliseconds, median (minimum). "
        "PyTorch takes a thin SVD per\n"
        "refit where no other way is named; the phases of all begin right after a refit "
        f"({options.steps} steps of ADAM, timed together).\n"
    )
    columns = "".join(f" lgf, {e.precision} | ratio of medians | of minima |" for e in engines)
    print("| pass | PyTorch |" + columns + " wanted |\n|---|---|---|" + "---|---|---|" * len(engines))
    for name, peer, own, wanted in ROWS:
        show = lambda s: f"{1e3 * s['median']:.3g} ({1e3 * s['min']:.3g})"
        a, cells = theirs[peer], ""
        for b in (own_times[own] for own_times in ours):
            cells += f" {show(b)} | {a['median'] / b['median']:.1f} | {a['min'] / b['min']:.1f} |"
        print(f"| {name} | {show(a)} |{cells} {wanted or ''} |")
    print(
        "\nThe CPU engine's passes against the bandwidth of the same run: bytes that have to be read and "
        "written once. *copy* is a parallel copy of the\n"
        "history's size in f64 (bytes read plus bytes written), *read* a parallel sum over it.\n"
    )
    k = options.k
    passes = lambda r: [
        ("refit", "refit", (2 * k) + k + 2 + r + 1),
        ("ADAM, one step by RK4", "adam_rk4_step", 4 * (r + 4) + 3),
        ("ADAM, one step of its own", "adam_step", r + 1 + 6),
        ("gradient descent, a phase of 20 steps", "descent_phase", r + 2),
        ("refit, snapshot lift", "snapshots_refit", (2 * k) + k + 2 + k + 1),
        ("ADAM, one step of its own, snapshot lift", "snapshots_adam_step", 2 * k + 1 + 6),
        ("record x and g", "record", 4),
        ("one true step of ADAM", "true_step", 4 + 3),
    ]
    for engine, times in zip(engines, ours):
        size = options.d * engine.word
        copy, read = 16 * options.d * k / times["copy"]["min"], 8 * options.d * k / times["read"]["min"]
        print(f"| pass, {engine.precision} | ms | MB | GB/s | of copy | of read |\n|---|---|---|---|---|---|")
        for name, key, vectors in passes(options.rank * engine.basis):
            seconds, data = times[key]["min"], vectors * size
            rate = data / seconds
            print(
                f"| {name} | {1e3 * seconds:.3g} | {data / 1e6:.0f} | {rate / 1e9:.3g} "
                f"| {rate / copy:.0%} | {rate / read:.0%} |"
            )
        print(f"\nCopy {copy / 1e9:.3g} GB/s, read {read / 1e9:.3g} GB/s.\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--d", type=int, default=1_000_000)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--order", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5, help="steps of ADAM per timed phase")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--against-lgf", action="store_true")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="the time the threads have run instead of the wall clock",
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() and not options.against_lgf else [])
    peers = {device: Peer(options, device) for device in devices}
    precisions = (["--single"], ["--single", "--f16"], []) if options.against_lgf else ()
    engines = [Lgf(options, flags) for flags in precisions]
    ours, theirs = [[] for _ in engines], {device: [] for device in devices}
    for number in range(options.rounds + 1):
        for device, peer in peers.items():
            theirs[device].append(peer.round())
        for engine, rounds in zip(engines, ours):
            # OpenMP's threads spin for a while before they sleep.
            time.sleep(0.3)
            rounds.append(engine.round())
        print(f"round {number} of {options.rounds}", file=sys.stderr)
    # The first round warms up.
    if engines:
        markdown(options, engines, [summary(rounds[1:]) for rounds in ours], summary(theirs["cpu"][1:]))
    else:
        python = platform.python_version()
        versions = {"torch": torch.__version__, "python": python, "threads": options.threads}
        sizes = {name: getattr(options, name) for name in ("d", "k", "rank", "order")}
        seconds = {device: summary(rounds[1:]) for device, rounds in theirs.items()}
        print(json.dumps({**versions, **sizes, "seconds": seconds}, indent=1))


if __name__ == "__main__":
    main()
