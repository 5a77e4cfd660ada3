"""A finite-element solver of one's own: the stiffest half of a beam, its compliance in forty lines of SciPy.

`lgf.minimize` sees a function of 1200 densities that returns a value and a gradient, and no solver.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

import lgf

COLUMNS, ROWS, VOLUME, RADIUS, PENALTY = 60, 20, 0.5, 2.4, 3.0


def element_stiffness(nu=0.3):
    a, b, c, d = 0.5 - nu / 6, 0.125 + nu / 8, -0.25 - nu / 12, -0.125 + 3 * nu / 8
    e, f, g, h = -0.25 + nu / 12, -0.125 - nu / 8, nu / 6, 0.125 - 3 * nu / 8
    first = np.array([a, b, c, d, e, f, g, h])
    rows = ["01234567", "10765432", "27056341", "36507214", "45670123", "54321076", "63412705", "72143650"]
    return np.array([[first[int(i)] for i in row] for row in rows]) / (1 - nu**2)


def beam():
    """The function x -> (compliance, gradient) of the densities, columns after columns."""
    x, y = np.divmod(np.arange(COLUMNS * ROWS), ROWS)
    corner = x * (ROWS + 1) + y
    nodes = np.stack([corner + 1, corner + ROWS + 2, corner + ROWS + 1, corner], axis=1)
    dofs = (2 * nodes[:, :, None] + [0, 1]).reshape(-1, 8)
    rows, columns = np.repeat(dofs, 8, axis=1).ravel(), np.tile(dofs, 8).ravel()
    count = 2 * (COLUMNS + 1) * (ROWS + 1)
    held = np.union1d(np.arange(0, 2 * (ROWS + 1), 2), [count - 1])
    free = np.setdiff1d(np.arange(count), held)
    force = np.zeros(count)
    force[1] = -1.0
    stiffness = element_stiffness()
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    weights = np.maximum(RADIUS - distance, 0)
    weights /= weights.sum(axis=1, keepdims=True)

    def compliance(density):
        filtered = weights @ density
        modulus = 1e-9 + filtered**PENALTY * (1 - 1e-9)
        entries = (stiffness.ravel() * modulus[:, None]).ravel()
        matrix = coo_matrix((entries, (rows, columns)), (count, count)).tocsc()
        u = np.zeros(count)
        u[free] = spsolve(matrix[free][:, free], force[free])
        energy = np.einsum("ei,ij,ej->e", u[dofs], stiffness, u[dofs])
        return force @ u, weights.T @ (-PENALTY * filtered ** (PENALTY - 1) * (1 - 1e-9) * energy)

    return compliance


def main():
    compliance = beam()
    start = np.full(COLUMNS * ROWS, VOLUME)
    given = {"bounds": (0, 1), "volume": VOLUME, "max_evaluations": 60}
    learned = lgf.minimize(compliance, start, **given, settled=(10, 2e-4))
    criteria = lgf.minimize(compliance, start, **given, method="oc")
    print(f"learned potential:   {learned.fun:.2f} after {learned.nfev} evaluations")
    print(f"optimality criteria: {criteria.fun:.2f} after {criteria.nfev} evaluations")
    assert learned.x.mean() <= VOLUME * (1 + 1e-9)
    assert learned.fun <= criteria.fun * 1.005
    # The same structure by lgf's own elements, whose recipe goes through coarse grids first.
    own = lgf.topology("mbb", size=(COLUMNS, ROWS), volume=VOLUME, radius=RADIUS)
    print(f"lgf.topology:        {own.fun:.2f} after {own.nfev} evaluations on the given grid")
    assert abs(compliance(own.variables.T.ravel())[0] - own.fun) < 1e-6 * own.fun


if __name__ == "__main__":
    main()
