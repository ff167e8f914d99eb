"""The NAS-Bench-201 supernet (arXiv 2001.00326) in PyTorch, written from the paper's definitions.

Modules are nested so that `state_dict()` has the parameter names of the official program's supernets (`stem.0.weight`,
`cells.0.edges.3<-1.2.op.1.weight`, `cells.1.conv_a.op.2.bias`, `lastact.0.running_mean`, ...). A child is the string
`|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`; several joined by `/` give every cell its own. Every chosen candidate runs: `none` multiplies its
input by zero, so that what lies before it has gradients, which are zero. In place of a child, a gate for every candidate of every edge computes
the mixture of all.

Run as a program, it checks the number of parameters.
"""

from torch import nn

EPSILON = 1e-5
MOMENTUM = 0.1
CANDIDATES = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
NODES = 4


def parse(child):
    """Candidate of every edge, targets in order, then sources."""
    terms = [term for node in child.split("+") for term in node.strip("|").split("|")]
    return [CANDIDATES.index(term.split("~")[0]) for term in terms]


class Block(nn.Module):
    """ReLU, convolution, batch normalization."""

    def __init__(self, inputs, outputs, kernel, stride=1, affine=True, tracked=True, bias=False):
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias),
            nn.BatchNorm2d(outputs, EPSILON, MOMENTUM, affine=affine, track_running_stats=tracked),
        )

    def forward(self, x):
        return self.op(x)


class Zero(nn.Module):
    def forward(self, x):
        return x.mul(0.0)


def edge(candidates, x, choice):
    """One candidate by its number, or all, each times its gate."""
    if isinstance(choice, int):
        return candidates[choice](x)
    return sum(gate * operation(x) for gate, operation in zip(choice, candidates, strict=True))


class Cell(nn.Module):
    def __init__(self, channels, **options):
        super().__init__()
        self.edges = nn.ModuleDict()
        for target in range(1, NODES):
            for source in range(target):
                self.edges[f"{target}<-{source}"] = nn.ModuleList(
                    [
                        Zero(),
                        nn.Identity(),
                        Block(channels, channels, 1, **options),
                        Block(channels, channels, 3, **options),
                        nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
                    ]
                )

    def forward(self, x, child):
        nodes, choices = [x], iter(parse(child) if isinstance(child, str) else child)
        for target in range(1, NODES):
            terms = [edge(self.edges[f"{target}<-{source}"], nodes[source], next(choices)) for source in range(target)]
            nodes.append(sum(terms))
        return nodes[-1]


class Reduction(nn.Module):
    """Two blocks, the first with stride 2, beside an average pool and a 1x1 convolution."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv_a = Block(inputs, outputs, 3, stride=2)
        self.conv_b = Block(outputs, outputs, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x):
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class Nasbench201(nn.Module):
    """The supernet: three stages of `cells` cells. Images are [batch, image_channels, height, width]; the size is free.

    `affine`, `tracked` and `bias` are those of the cells' normalizations and of the convolutions before them; stem, reductions and head
    always are affine and keep running statistics.
    """

    def __init__(self, channels=16, cells=5, classes=10, image_channels=3, affine=False, tracked=False, bias=False):
        super().__init__()
        stem = nn.Conv2d(image_channels, channels, 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(channels, EPSILON, MOMENTUM))
        self.cells = nn.ModuleList()
        for stage in range(3):
            width = channels << stage
            if stage > 0:
                self.cells.append(Reduction(width // 2, width))
            for _ in range(cells):
                self.cells.append(Cell(width, affine=affine, tracked=tracked, bias=bias))
        self.lastact = nn.Sequential(nn.BatchNorm2d(width, EPSILON, MOMENTUM), nn.ReLU())
        self.classifier = nn.Linear(width, classes)

    def forward(self, images, child):
        """Logits [batch, classes]."""
        x = self.stem(images)
        parts = child.split("/") if isinstance(child, str) else [child]
        children = iter(parts if len(parts) > 1 else [child] * len(self.cells))
        for cell in self.cells:
            x = cell(x, next(children)) if isinstance(cell, Cell) else cell(x)
        return self.classifier(self.lastact(x).mean(dim=(2, 3)))


def main():
    parameters = sum(parameter.numel() for parameter in Nasbench201().parameters())
    # Stem, 30 convolutions of each kind on every width, two reductions, head: counted by hand.
    cells = sum(30 * 10 * width * width for width in (16, 32, 64))
    reductions = sum(9 * w * w // 2 + 9 * w * w + 4 * w + w * w // 2 for w in (32, 64))
    expected = 27 * 16 + 32 + cells + reductions + 128 + 650
    assert parameters == expected, f"{parameters} parameters instead of {expected}"
    print(f"nasbench201, C = 16, N = 5, RGB, 10 classes: {parameters:,} parameters")


if __name__ == "__main__":
    main()
