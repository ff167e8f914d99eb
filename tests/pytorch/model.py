"""The zhang64 supernet ("Deeper Insights into Weight Sharing", arXiv 2001.01431) in PyTorch.

Modules are nested so that `state_dict()` has the official parameter names (`net.stem.0.weight`,
`net.cells.0.dag.1.0._ops.3.net.2.weight`, ...). A child is written as three digits, candidates numbered from 1, edges in
the order (0,1), (0,2), (1,2); in its place, a gate for every candidate of every edge computes the mixture of all. Works in any floating-point
type and on any device.

Run as a program, it checks the published number of parameters.
"""

import itertools

import numpy as np
import torch
from torch import nn

EPSILON = 1e-5
MOMENTUM = 0.4
CANDIDATES = 4
CHILDREN = ["".join(digits) for digits in itertools.product("1234", repeat=3)]


def normalization(channels, affine=False):
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM, affine=affine)


def convolution(inputs, outputs, kernel, dilation=1, groups=1):
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, groups=groups, bias=False)


class MaxPool(nn.Module):
    """max_pool_3x3: pool, batch normalization."""

    def __init__(self, channels):
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.bn = normalization(channels)

    def forward(self, x):
        return self.bn(self.pool(x))


class Separable(nn.Module):
    """ReLU, depthwise, pointwise, batch normalization: dil_conv_5x5 with kernel 5 and dilation 2, or half of a sep_conv."""

    def __init__(self, channels, kernel, dilation=1):
        super().__init__()
        self.net = nn.Sequential(
            nn.ReLU(),
            convolution(channels, channels, kernel, dilation, groups=channels),
            convolution(channels, channels, 1),
            normalization(channels),
        )

    def forward(self, x):
        return self.net(x)


class TwiceSeparable(nn.Module):
    """sep_conv_3x3 and sep_conv_5x5."""

    def __init__(self, channels, kernel):
        super().__init__()
        self.net = nn.Sequential(Separable(channels, kernel), Separable(channels, kernel))

    def forward(self, x):
        return self.net(x)


class Edge(nn.Module):
    """The four candidates of an edge."""

    def __init__(self, channels):
        super().__init__()
        self._ops = nn.ModuleList(
            [
                MaxPool(channels),
                TwiceSeparable(channels, 3),
                TwiceSeparable(channels, 5),
                Separable(channels, 5, dilation=2),
            ]
        )

    def forward(self, x, choice):
        """One candidate by its number, or all, each times its gate."""
        if isinstance(choice, int):
            return self._ops[choice](x)
        return sum(gate * operation(x) for gate, operation in zip(choice, self._ops, strict=True))


class Preprocessing(nn.Module):
    """ReLU, 1x1 convolution, batch normalization."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.net = nn.Sequential(nn.ReLU(), convolution(inputs, outputs, 1), normalization(outputs))

    def forward(self, x):
        return self.net(x)


class Cell(nn.Module):
    """Two nodes over the preprocessed input; `dag[node][source]` is an edge."""

    def __init__(self, inputs, channels):
        super().__init__()
        self.preproc = Preprocessing(inputs, channels)
        self.dag = nn.ModuleList(nn.ModuleList(Edge(channels) for _ in range(node + 1)) for node in range(2))

    def forward(self, x, child):
        x0 = self.preproc(x)
        x1 = self.dag[0][0](x0, child[0])
        x2 = self.dag[1][0](x0, child[1]) + self.dag[1][1](x1, child[2])
        return torch.cat([x1, x2], dim=1)


class Network(nn.Module):
    """Stem without ReLU, cells at one size, global average pool, linear classifier."""

    def __init__(self, channels, cells, classes, image_channels):
        super().__init__()
        wide = 3 * channels
        self.stem = nn.Sequential(
            convolution(image_channels, wide, 3),
            normalization(wide, affine=True),
            convolution(wide, wide, 3),
            normalization(wide, affine=True),
        )
        self.cells = nn.ModuleList(Cell(wide if cell == 0 else 2 * channels, channels) for cell in range(cells))
        self.linear = nn.Linear(2 * channels, classes)

    def forward(self, x, child):
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x, child)
        return self.linear(x.mean(dim=(2, 3)))


class Zhang64(nn.Module):
    """The supernet. Images are [batch, image_channels, height, width]; the size is free."""

    def __init__(self, channels=16, cells=4, classes=10, image_channels=3):
        super().__init__()
        self.net = Network(channels, cells, classes, image_channels)

    def forward(self, images, child):
        """Logits [batch, classes] of a child such as "124", or of the mixture with gates [edges, candidates]."""
        return self.net(images, [int(digit) - 1 for digit in child] if isinstance(child, str) else child)


def initialize(model, seed):
    """PyTorch's default distribution, uniform in +-1/sqrt(fan_in), from NumPy's frozen `RandomState` stream, so that the
    numbers depend neither on the version of PyTorch nor on its threads. Parameters are drawn in the order of their names."""
    random = np.random.RandomState(seed)
    weights = {name: tensor for name, tensor in model.named_parameters() if not is_normalization(model, name)}
    for name in sorted(weights):
        # A bias has the fan-in of the weight beside it.
        weight = weights[name.replace(".bias", ".weight")]
        bound = 1 / weight[0].numel() ** 0.5
        draw = random.uniform(-bound, bound, size=tuple(weights[name].shape))
        with torch.no_grad():
            weights[name].copy_(torch.from_numpy(draw))


def is_normalization(model, parameter_name):
    module, _, _ = parameter_name.rpartition(".")
    return isinstance(model.get_submodule(module), nn.BatchNorm2d)


def main():
    parameters = sum(parameter.numel() for parameter in Zhang64().parameters())
    assert parameters == 58_074, f"{parameters} parameters instead of 58,074"
    print(f"zhang64, C = 16, RGB, 10 classes: {parameters:,} parameters")


if __name__ == "__main__":
    main()
