"""A PyTorch objective: the gradient is autograd's, the optimizer `lgf`'s."""

import sys

import numpy as np

import lgf

try:
    import torch
except ImportError:
    print("PyTorch is not installed, so there is nothing to show")
    sys.exit(0)


def fit():
    """The squared error of a small network at 200 points, as a function of its parameters."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(1, 12), torch.nn.Tanh(), torch.nn.Linear(12, 1)).double()
    parameters = list(network.parameters())
    at = torch.linspace(-2, 2, 200, dtype=torch.float64)[:, None]
    wanted = torch.sin(2 * at)

    def error(x):
        torch.nn.utils.vector_to_parameters(torch.from_numpy(x), parameters)
        loss = ((network(at) - wanted) ** 2).mean()
        slopes = torch.autograd.grad(loss, parameters)
        return loss.item(), torch.cat([slope.reshape(-1) for slope in slopes]).numpy()

    return error, torch.nn.utils.parameters_to_vector(parameters).detach().numpy()


error, start = fit()
result = lgf.minimize(error, start, max_evaluations=300)
print(
    f"mean squared error {result.fun:.2e} after {result.nfev} evaluations, {error(start)[0]:.2e} at the start"
)
assert result.fun < 1e-3 and np.all(np.isfinite(result.x))
