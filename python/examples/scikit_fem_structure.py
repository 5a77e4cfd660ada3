"""A structure that scikit-fem assembles, optimized beside SciPy's L-BFGS-B and NLopt's MMA.

All three get the same function and nothing but bounds: the compliance and a price on the volume.
"""

import numpy as np
from scipy.optimize import minimize

import lgf

try:
    import skfem
    from skfem.helpers import ddot, eye, sym_grad, trace
    from skfem.models.elasticity import lame_parameters
except ImportError:
    skfem = None

PRICE, PENALTY = 2.0, 3.0


def cantilever(columns=36, rows=12):
    """The function of the densities, and their number."""
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0, 3, columns + 1), np.linspace(0, 1, rows + 1))
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad1()))
    densities = basis.with_element(skfem.ElementQuad0())
    lam, mu = lame_parameters(1.0, 0.3)

    @skfem.BilinearForm
    def stiffness(u, v, w):
        strain = sym_grad(u)
        stress = 2 * mu * strain + lam * eye(trace(strain), 2)
        return w.modulus * ddot(stress, sym_grad(v))

    @skfem.Functional
    def energy(w):
        strain = sym_grad(w.u)
        return ddot(2 * mu * strain + lam * eye(trace(strain), 2), strain)

    clamped = basis.get_dofs(lambda x: np.isclose(x[0], 0)).flatten()
    tip = np.argmin(np.hypot(mesh.p[0] - 3, mesh.p[1]))
    force = np.zeros(basis.N)
    force[basis.nodal_dofs[1, tip]] = -1.0
    centre = mesh.p[:, mesh.t].mean(axis=1)
    near = np.maximum(0.125 - np.hypot(*(centre[:, :, None] - centre[:, None, :])), 0)
    near /= near.sum(axis=1, keepdims=True)

    def cost(x, scale):
        filtered = near @ x
        modulus = densities.interpolate(1e-6 + (1 - 1e-6) * filtered**PENALTY)
        matrix = stiffness.assemble(basis, modulus=modulus)
        u = skfem.solve(*skfem.condense(matrix, force, D=clamped))
        energies = energy.elemental(basis, u=basis.interpolate(u))
        slope = near.T @ (-PENALTY * (1 - 1e-6) * filtered ** (PENALTY - 1) * energies)
        value = force @ u / scale + PRICE * x.mean()
        return value, slope / scale + PRICE / x.size

    full = cost(np.ones(mesh.nelements), 1.0)[0] - PRICE
    return (lambda x: cost(x, full)), mesh.nelements


def counted(function):
    values = []

    def call(x):
        value, slope = function(x)
        values.append(value)
        return value, slope

    return call, values


def best_after(values, count):
    return min(values[:count])


def main():
    if skfem is None:
        print("scikit-fem is not installed, so there is nothing to show")
        return
    function, d = cantilever()
    start, budget = np.full(d, 0.5), 60
    runs = {}

    call, runs["lgf"] = counted(function)
    lgf.minimize(call, start, bounds=(0, 1), max_evaluations=budget, tolerance=0)
    call, runs["SciPy's L-BFGS-B"] = counted(function)
    minimize(
        call, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * d, options={"maxfun": budget, "ftol": 0}
    )
    try:
        import nlopt
    except ImportError:
        print("NLopt is not installed; its MMA is left out")
    else:
        call, runs["NLopt's MMA"] = counted(function)

        def write(x, slope):
            value, g = call(x)
            slope[:] = g
            return value

        mma = nlopt.opt(nlopt.LD_MMA, d)
        mma.set_min_objective(write)
        mma.set_lower_bounds(np.zeros(d))
        mma.set_upper_bounds(np.ones(d))
        mma.set_maxeval(budget)
        mma.optimize(start)

    counts = (10, 20, 40, budget)
    print("best value after".ljust(18), *(f"{count:>8}" for count in counts), "evaluations")
    for name, values in runs.items():
        print(name.ljust(18), *(f"{best_after(values, count):8.4f}" for count in counts))
    assert best_after(runs["lgf"], budget) <= best_after(runs["SciPy's L-BFGS-B"], budget) * 1.01


if __name__ == "__main__":
    main()
