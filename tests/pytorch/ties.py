"""How far a forward pass stays away from ties.

Rounding flips a ReLU whose input is next to 0 and moves the maximum of a pool whose two largest taps are next to each
other; either changes gradients by far more than a rounding. Two programs can be compared sharply only where neither is near.
"""

import torch
from torch import nn
from torch.nn import functional


EQUAL = 1e-12


class TieWatch:
    """While open, records for every ReLU and every max-pool of `model` how near its input came to a tie.

    `margin`: the smallest distance seen, in units of the root mean square of the tensor. Taps of a pool that are equal but for the rounding
    of f64 do not count in it but in `equal_taps`: they are copies of one value (pools over pools make them), with the same
    source, so it does not matter to any gradient of a parameter which of them wins.
    """

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.margin, self.equal_taps, self.handles = float("inf"), 0, []
        for module in self.model.modules():
            if isinstance(module, nn.ReLU):
                self.handles.append(module.register_forward_pre_hook(lambda _, inputs: self.see_relu(inputs[0])))
            elif isinstance(module, nn.MaxPool2d):
                self.handles.append(module.register_forward_pre_hook(lambda _, inputs: self.see_pool(inputs[0])))
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def see_relu(self, x):
        self.margin = min(self.margin, relu_margin(x))

    def see_pool(self, x):
        margin, equal_taps = pool_margin(x)
        self.margin = min(self.margin, margin)
        self.equal_taps += equal_taps


def root_mean_square(x):
    return x.detach().square().mean().sqrt()


def relu_margin(x):
    """Exact zeros do not count, as a node without terms has them: nothing rounds there, and no gradient passes. Infinite where all is zero."""
    sizes = x.detach().abs()
    sizes = sizes[sizes > 0]
    return (sizes.min() / root_mean_square(x)).item() if sizes.numel() else float("inf")


def pool_margin(x, stride=1):
    """Smallest gap between the two largest taps of a 3x3 window with padding 1, and how many windows have equal ones."""
    batch, channels, height, width = x.shape
    planes = functional.pad(x.detach().reshape(batch * channels, 1, height, width), (1, 1, 1, 1), value=-1e300)
    largest = functional.unfold(planes, 3, stride=stride).topk(2, dim=1).values
    gaps = (largest[:, 0] - largest[:, 1]) / root_mean_square(x)
    equal = gaps < EQUAL
    parted = gaps[~equal]
    return parted.min().item() if parted.numel() else float("inf"), int(equal.sum())


def logit_margin(logits):
    """Smallest gap between the two largest logits of an image, in units of the root mean square of all logits."""
    largest = logits.detach().topk(2, dim=1).values
    return ((largest[:, 0] - largest[:, 1]).min() / root_mean_square(logits)).item()
