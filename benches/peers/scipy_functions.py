#!/usr/bin/env python3
"""Evaluations of `lgf.minimize` beside SciPy's methods, on SciPy's test function and others, with and without
bounds.

Usage: pip install ./python scipy; python3 benches/peers/scipy_functions.py

A method's count is the number of its evaluations of value and gradient until the value is within 1e-8 of the
least one, relative to the gap at the start; a dash where it ends or has had 2000 evaluations before. The
least values without bounds are known; those with bounds are the best that any method found, after which all
runs are judged.
"""

import warnings

import lgf
import numpy as np
from scipy.optimize import minimize, rosen, rosen_der

LIMIT = 2000
CLOSE = 1e-8


def quadratic(d, condition):
    weights = np.geomspace(1, condition, d)
    return lambda x: (0.5 * weights @ (x - 1) ** 2, weights * (x - 1))


def powell(x):
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    p, q, r, s = a + 10 * b, c - d, b - 2 * c, a - d
    g = np.zeros_like(x)
    g[0::4] = 2 * p + 40 * s**3
    g[1::4] = 20 * p + 4 * r**3
    g[2::4] = 10 * q - 8 * r**3
    g[3::4] = -10 * q - 40 * s**3
    return np.sum(p**2 + 5 * q**2 + r**4 + 10 * s**4), g


def dixon_price(x):
    i = np.arange(2, x.size + 1)
    t = 2 * x[1:] ** 2 - x[:-1]
    g = np.zeros_like(x)
    g[0] = 2 * (x[0] - 1)
    g[1:] += 8 * i * t * x[1:]
    g[:-1] -= 2 * i * t
    return (x[0] - 1) ** 2 + np.sum(i * t**2), g


def trid(x):
    g = 2 * (x - 1)
    g[1:] -= x[:-1]
    g[:-1] -= x[1:]
    return np.sum((x - 1) ** 2) - np.sum(x[1:] * x[:-1]), g


def zakharov(x):
    i = 0.5 * np.arange(1, x.size + 1)
    s = i @ x
    return x @ x + s**2 + s**4, 2 * x + (2 * s + 4 * s**3) * i


def styblinski(x):
    return 0.5 * np.sum(x**4 - 16 * x**2 + 5 * x), 0.5 * (4 * x**3 - 32 * x + 5)


def beale(x):
    a, b = x
    t = np.array([1.5 - a + a * b, 2.25 - a + a * b**2, 2.625 - a + a * b**3])
    return t @ t, 2 * np.array([t @ [b - 1, b**2 - 1, b**3 - 1], t @ [a, 2 * a * b, 3 * a * b**2]])


def wood(x):
    a, b, c, d = x
    value = 100 * (a * a - b) ** 2 + (a - 1) ** 2 + (c - 1) ** 2 + 90 * (c * c - d) ** 2
    value += 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)
    return value, np.array(
        [
            400 * (a * a - b) * a + 2 * (a - 1),
            -200 * (a * a - b) + 20.2 * (b - 1) + 19.8 * (d - 1),
            2 * (c - 1) + 360 * (c * c - d) * c,
            -180 * (c * c - d) + 20.2 * (d - 1) + 19.8 * (b - 1),
        ]
    )


def logistic(d=30, rows=200):
    dice = np.random.default_rng(0)
    a = dice.standard_normal((rows, d))
    y = np.sign(a @ dice.standard_normal(d) + dice.standard_normal(rows))

    def value(x):
        margin = y * (a @ x)
        return np.logaddexp(0, -margin).sum() + 0.5 * x @ x, -a.T @ (y / (1 + np.exp(margin))) + x

    return value


def least_trid(d):
    return -d * (d + 4) * (d - 1) / 6


rosenbrock = lambda x: (rosen(x), rosen_der(x))
#: Name, function, start, least value without bounds if it is known, and a pair of bounds.
PROBLEMS = [
    ("Rosenbrock, 2", rosenbrock, np.array([-1.2, 1.0]), 0.0, (-2, 0.8)),
    ("Rosenbrock, 10", rosenbrock, np.zeros(10), 0.0, (-2, 0.8)),
    ("Rosenbrock, 50", rosenbrock, np.zeros(50), 0.0, (-2, 0.8)),
    ("quadratic, 50, condition 1e4", quadratic(50, 1e4), np.zeros(50), 0.0, (-1, 0.9)),
    ("Powell's singular, 8", powell, np.tile([3.0, -1.0, 0.0, 1.0], 2), 0.0, (-1, 3)),
    ("Dixon and Price, 10", dixon_price, np.ones(10), None, (0.6, 2)),
    ("Trid, 10", trid, np.zeros(10), least_trid(10), (0, 20)),
    ("Zakharov, 10", zakharov, np.full(10, 0.5), 0.0, (0.1, 2)),
    ("Styblinski and Tang, 10", styblinski, np.full(10, -1.0), None, (-2.5, 1)),
    ("Beale", beale, np.array([1.0, 1.0]), 0.0, (-1, 2)),
    ("Wood", wood, np.array([-3.0, -1.0, -3.0, -1.0]), 0.0, (-4, 0.9)),
    ("logistic regression, 30", logistic(), np.zeros(30), None, (-0.3, 0.3)),
]
METHODS = ["lgf", "L-BFGS-B", "TNC", "SLSQP", "trust-constr"]


class Enough(Exception):
    pass


def run(method, function, start, bounds):
    """The values of a run in the order of their evaluations; those outside of the bounds count as none."""
    values = []

    def called(x):
        if len(values) >= LIMIT:
            raise Enough
        value, slope = function(x)
        inside = bounds is None or (np.all(x >= bounds[0] - 1e-9) and np.all(x <= bounds[1] + 1e-9))
        values.append(value if inside else np.inf)
        return value, slope

    pairs = None if bounds is None else [bounds] * start.size
    start = start if bounds is None else np.clip(start, *bounds)
    settings = {
        "L-BFGS-B": {"maxiter": LIMIT, "maxfun": LIMIT, "ftol": 0, "gtol": 1e-12},
        "TNC": {"maxfun": LIMIT, "ftol": 0, "xtol": 0, "gtol": 1e-12},
        "SLSQP": {"maxiter": LIMIT, "ftol": 1e-16},
        "trust-constr": {"maxiter": LIMIT, "gtol": 1e-12, "xtol": 1e-14},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if method == "lgf":
                lgf.minimize(
                    called, start, bounds=bounds, tolerance=1e-12, max_evaluations=LIMIT, engine="cpu"
                )
            else:
                minimize(called, start, jac=True, method=method, bounds=pairs, options=settings[method])
        except Enough:
            pass
    return np.array(values)


def main():
    print(f"SciPy {__import__('scipy').__version__}, lgf {lgf.__version__} on the CPU engine in f64\n")
    for with_bounds in (False, True):
        print(f"{'With' if with_bounds else 'Without'} bounds\n")
        print("| function |", " | ".join(METHODS), "|\n|---|" + "---:|" * len(METHODS))
        first = 0
        for name, function, start, least, bounds in PROBLEMS:
            runs = {m: run(m, function, start, bounds if with_bounds else None) for m in METHODS}
            known = least if least is not None and not with_bounds else min(v.min() for v in runs.values())
            counts = {}
            for method, values in runs.items():
                gap = values[0] - known
                there = np.flatnonzero(values - known <= CLOSE * gap)
                counts[method] = there[0] + 1 if there.size else np.inf
            first += counts["lgf"] <= min(counts.values())
            cells = ("-" if np.isinf(count) else str(count) for count in counts.values())
            print(
                f"| {name}{f' in [{bounds[0]}, {bounds[1]}]' if with_bounds else ''} |",
                " | ".join(cells),
                "|",
            )
        print(f"\nlgf is first or level on {first} of {len(PROBLEMS)}.\n")


if __name__ == "__main__":
    main()
