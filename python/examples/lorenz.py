"""Lorenz's equations from a noisy recording, beside PySINDy where that is installed."""

import numpy as np
from scipy.integrate import solve_ivp

import lgf


def lorenz(t, x):
    return [10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]]


t = np.linspace(0, 10, 2001)
x = solve_ivp(lorenz, (0, 10), [-8, 8, 27], t_eval=t, rtol=1e-10, atol=1e-10).y.T
noisy = x + 0.01 * x.std(axis=0) * np.random.default_rng(1).standard_normal(x.shape)

model = lgf.discover(noisy, t, targets="weak", names=["x", "y", "z"])
model.print()
true = {
    (0, "x"): -10,
    (0, "y"): 10,
    (1, "x"): 28,
    (1, "y"): -1,
    (1, "x z"): -1,
    (2, "z"): -8 / 3,
    (2, "x y"): 1,
}
errors = [
    abs(model.coefficients[model.feature_names.index(name), equation] / value - 1)
    for (equation, name), value in true.items()
]
print(f"largest error of a coefficient: {100 * max(errors):.2f} %")
assert np.count_nonzero(model.coefficients) == len(true) and max(errors) < 0.02

try:
    import pysindy
except ImportError:
    print("PySINDy is not installed, so there is nothing to compare with")
else:
    library = pysindy.WeakPDELibrary(
        pysindy.PolynomialLibrary(degree=2, include_bias=True), spatiotemporal_grid=t, K=200
    )
    theirs = pysindy.SINDy(feature_library=library, optimizer=pysindy.STLSQ(threshold=0.5))
    theirs.fit(noisy, t=t[1], feature_names=["x", "y", "z"])
    print("PySINDy's weak form, threshold 0.5:")
    theirs.print()
