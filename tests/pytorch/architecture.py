"""Architecture parameters of the supernets: tensors [edges, candidates] under the official names; the softmax of a row are the gates of an edge."""

import numpy as np
import torch

# Rows in the order of the edges: by target, then by source.
SHAPES = {
    "zhang64": {"alpha_normal.0": (1, 4), "alpha_normal.1": (2, 4)},
    "nasbench201": {"arch_parameters": (6, 5)},
    "darts": {"alphas_normal": (14, 8), "alphas_reduce": (14, 8)},
}


def draw(space, seed, deviation=1e-3):
    """Parameters in float64 by name, from NumPy's frozen `RandomState` stream."""
    random = np.random.RandomState(seed)
    drawn = {name: deviation * random.randn(*shape) for name, shape in SHAPES[space].items()}
    return {name: torch.nn.Parameter(torch.from_numpy(values)) for name, values in drawn.items()}


def gates(alphas):
    """[edges, candidates]"""
    return torch.cat([torch.softmax(tensor, dim=1) for tensor in alphas.values()])
