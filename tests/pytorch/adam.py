"""Golden numbers of Adam in float64.

A case updates one parameter with given gradients, in those steps only that use it (elsewhere its gradient is None, and PyTorch does not count the
step). `adam.json` describes every case:

    name              prefix of its tensors
    shape             of the parameter
    learning_rate, betas, epsilon, weight_decay
    used              for every step, whether it gives the parameter a gradient

and `adam.safetensors` holds, in F64,

    CASE/initial      the parameter before the first step
    CASE/gradients    [steps, ...shape]; zeros in the steps that do not use it
    CASE/values       [steps, ...shape]: the parameter after every step
    CASE/first, CASE/second      moments after the last step
"""

import numpy as np
import torch

STEPS = 20

CASES = [
    # First-order DARTS: the alphas of one cell.
    dict(name="darts", shape=[14, 8], learning_rate=3e-4, betas=[0.5, 0.999], epsilon=1e-8, weight_decay=1e-3, skips=[]),
    # PyTorch's defaults, a parameter that some steps leave out.
    dict(name="skips", shape=[6, 5], learning_rate=1e-2, betas=[0.9, 0.999], epsilon=1e-8, weight_decay=0.0, skips=[0, 4, 5, 11]),
]


def golden_adam():
    described, tensors = [], {}
    for seed, case in enumerate(CASES):
        random = np.random.RandomState(seed)
        initial = torch.from_numpy(1e-3 * random.randn(*case["shape"]))
        # Gradients of very different sizes, as those of alphas are.
        sizes = 10.0 ** random.uniform(-6, 0, case["shape"])
        gradients = torch.from_numpy(sizes * random.randn(STEPS, *case["shape"]))
        used = [step not in case["skips"] for step in range(STEPS)]
        gradients[[not use for use in used]] = 0.0
        parameter = torch.nn.Parameter(initial.clone())
        optimizer = torch.optim.Adam(
            [parameter],
            lr=case["learning_rate"],
            betas=tuple(case["betas"]),
            eps=case["epsilon"],
            weight_decay=case["weight_decay"],
            foreach=False,
        )
        values = []
        for gradient, use in zip(gradients, used):
            parameter.grad = gradient.clone() if use else None
            optimizer.step()
            values.append(parameter.detach().clone())
        state = optimizer.state[parameter]
        name = case["name"]
        described.append({key: value for key, value in case.items() if key != "skips"} | {"used": used})
        tensors |= {
            f"{name}/initial": initial,
            f"{name}/gradients": gradients,
            f"{name}/values": torch.stack(values),
            f"{name}/first": state["exp_avg"],
            f"{name}/second": state["exp_avg_sq"],
        }
    return described, tensors
