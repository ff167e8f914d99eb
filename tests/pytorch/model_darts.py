"""The search network of DARTS (arXiv 1806.09055) in PyTorch, written from the paper's definitions.

Modules are nested so that `state_dict()` has the parameter names of the official search network (`stem.0.weight`,
`cells.3.preprocess0.conv_1.weight`, `cells.2._ops.0._ops.4.op.1.weight`, `cells.0._ops.5._ops.1.1.running_mean`, ...). A child is written as
one number an edge from 1, joined by `-`: 14 for the cells that keep the size, then 14 for those that halve it; or 14 for every cell, joined by
`/`. Every chosen candidate runs: `none` multiplies its input by zero, so that what lies before it has gradients, which are zero. In place of a
child, a gate for every candidate of every edge, in the same order, computes the mixture of all.

Run as a program, it checks the number of parameters.
"""

import torch
from torch import nn

EPSILON = 1e-5
MOMENTUM = 0.1
CANDIDATES = ["none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
INPUTS, NODES = 2, 4
EDGES = [(source, target) for target in range(INPUTS, INPUTS + NODES) for source in range(target)]


def normalization(channels, affine=False):
    return nn.BatchNorm2d(channels, EPSILON, MOMENTUM, affine=affine)


def convolution(inputs, outputs, kernel, stride=1, dilation=1, groups=1):
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


class Preprocessing(nn.Module):
    """ReLU, 1x1 convolution, batch normalization."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), convolution(inputs, outputs, 1), normalization(outputs))

    def forward(self, x):
        return self.op(x)


class FactorizedReduce(nn.Module):
    """ReLU; two 1x1 convolutions of stride 2, the second from one pixel further down and right; batch normalization of both together."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = convolution(inputs, outputs // 2, 1, stride=2)
        self.conv_2 = convolution(inputs, outputs // 2, 1, stride=2)
        self.bn = normalization(outputs)

    def forward(self, x):
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], dim=1))


class Separable(nn.Module):
    """So many times: ReLU, depthwise, pointwise, batch normalization; the stride is that of the first depthwise."""

    def __init__(self, channels, kernel, stride, dilation=1, times=1):
        super().__init__()
        layers = []
        for time in range(times):
            depthwise = convolution(channels, channels, kernel, stride if time == 0 else 1, dilation, groups=channels)
            layers += [nn.ReLU(), depthwise, convolution(channels, channels, 1), normalization(channels)]
        self.op = nn.Sequential(*layers)

    def forward(self, x):
        return self.op(x)


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride].mul(0.0)


class Edge(nn.Module):
    """The candidates of an edge."""

    def __init__(self, channels, stride):
        super().__init__()
        average = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        self._ops = nn.ModuleList(
            [
                Zero(stride),
                nn.Sequential(nn.MaxPool2d(3, stride, padding=1), normalization(channels)),
                nn.Sequential(average, normalization(channels)),
                nn.Identity() if stride == 1 else FactorizedReduce(channels, channels),
                Separable(channels, 3, stride, times=2),
                Separable(channels, 5, stride, times=2),
                Separable(channels, 3, stride, dilation=2),
                Separable(channels, 5, stride, dilation=2),
            ]
        )

    def forward(self, x, choice):
        """One candidate by its number, or all, each times its gate."""
        if isinstance(choice, int):
            return self._ops[choice](x)
        return sum(gate * operation(x) for gate, operation in zip(choice, self._ops, strict=True))


class Cell(nn.Module):
    def __init__(self, inputs, channels, reduces, after_reduction):
        super().__init__()
        self.reduces = reduces
        before, last = inputs
        self.preprocess0 = (FactorizedReduce if after_reduction else Preprocessing)(before, channels)
        self.preprocess1 = Preprocessing(last, channels)
        self._ops = nn.ModuleList(Edge(channels, 2 if reduces and source < INPUTS else 1) for source, _ in EDGES)

    def forward(self, before, last, choices):
        nodes = [self.preprocess0(before), self.preprocess1(last)]
        edges = list(zip(EDGES, self._ops, choices, strict=True))
        for node in range(INPUTS, INPUTS + NODES):
            nodes.append(sum(edge(nodes[source], choice) for (source, target), edge, choice in edges if target == node))
        return torch.cat(nodes[INPUTS:], dim=1)


class Darts(nn.Module):
    """The supernet: `cells` cells in all, those at a third and at two thirds halve the size. Images are [batch, image_channels, height, width]."""

    def __init__(self, channels=16, cells=8, classes=10, image_channels=3):
        super().__init__()
        stem = nn.Conv2d(image_channels, 3 * channels, 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, normalization(3 * channels, affine=True))
        self.cells = nn.ModuleList()
        before, last, width, after_reduction = 3 * channels, 3 * channels, channels, False
        for index in range(cells):
            reduces = index in (cells // 3, 2 * cells // 3)
            width *= 2 if reduces else 1
            self.cells.append(Cell((before, last), width, reduces, after_reduction))
            before, last, after_reduction = last, NODES * width, reduces
        self.classifier = nn.Linear(last, classes)

    def choices(self, child):
        """For every cell, the candidate of every edge, or its gates."""
        parts = [child]
        if isinstance(child, str):
            parts = [[int(number) - 1 for number in part.split("-")] for part in child.split("/")]
        if len(parts) > 1:
            return parts
        normal, reduce = parts[0][: len(EDGES)], parts[0][len(EDGES) :]
        return [reduce if cell.reduces else normal for cell in self.cells]

    def forward(self, images, child):
        """Logits [batch, classes]."""
        before = last = self.stem(images)
        for cell, choices in zip(self.cells, self.choices(child), strict=True):
            before, last = last, cell(before, last, choices)
        return self.classifier(last.mean(dim=(2, 3)))


def main():
    parameters = sum(parameter.numel() for parameter in Darts().parameters())
    # By hand, for 3 x 16 channels in the stem and cells of these widths: edges, factorized skips on eight edges, inputs, classifier.
    widths = [16, 16, 32, 32, 32, 64, 64, 64]
    edges = sum(14 * (2 * (9 + 25) + 9 + 25) * w + 14 * 6 * w * w for w in widths) + 8 * (32**2 + 64**2)
    outputs = [48, 48] + [4 * w for w in widths]
    inputs = sum((outputs[i] + outputs[i + 1]) * w for i, w in enumerate(widths))
    expected = 27 * 48 + 2 * 48 + edges + inputs + 256 * 10 + 10
    assert parameters == expected, f"{parameters} parameters instead of {expected}"
    print(f"darts, C = 16, 8 cells, RGB, 10 classes: {parameters:,} parameters")


if __name__ == "__main__":
    main()
