"""The NAS-Bench-201 supernet in PyTorch, as fast as PyTorch runs it: single-path training and child-by-child evaluation.

    python benches/peers/nasbench201.py --size 32 --channels 16 --cells 5 --batch 64
    python benches/peers/nasbench201.py --size 16 --channels 8 --cells 1 --batch 64 --threads 1

Variants, repeats and output are those of `zhang64.py`. Unlike the official program, whose `none` multiplies by zero, this one computes only edges on a
way from the input to the output, so that it does no more work than crosstalk. Children are drawn uniformly from the 15,625.
"""

import random
import sys
from pathlib import Path

import zhang64
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "pytorch"))
from model_nasbench201 import CANDIDATES, NODES, Cell, Nasbench201, parse  # noqa: E402

EDGES = [(source, target) for target in range(1, NODES) for source in range(target)]
NONE, SKIP = CANDIDATES.index("none"), CANDIDATES.index("skip_connect")


def live_edges(choices):
    """(edge, candidate) on a way from the input to the output."""
    forward, backward = {0}, {NODES - 1}
    taken = [(edge, choice) for edge, choice in zip(EDGES, choices) if choice != NONE]
    for (source, target), _ in taken:
        forward |= {target} if source in forward else set()
    for (source, target), _ in reversed(taken):
        backward |= {source} if target in backward else set()
    return [(edge, choice) for edge, choice in taken if edge[0] in forward and edge[1] in backward]


class LiveCell(nn.Module):
    """A cell of the tests' model that leaves out what no result depends on."""

    def __init__(self, cell):
        super().__init__()
        self.edges = cell.edges

    def forward(self, x, child):
        nodes = {0: x}
        for (source, target), choice in child:
            value = nodes[source]
            if choice != SKIP:
                value = self.edges[f"{target}<-{source}"][choice](value)
            nodes[target] = nodes[target] + value if target in nodes else value
        return nodes[NODES - 1] if NODES - 1 in nodes else x.new_zeros(x.shape)


class Supernet(nn.Module):
    """Children are lists of live edges."""

    def __init__(self, channels, cells, image_channels):
        super().__init__()
        self.net = Nasbench201(channels, cells, image_channels=image_channels)
        self.net.cells = nn.ModuleList(LiveCell(cell) if isinstance(cell, Cell) else cell for cell in self.net.cells)

    def forward(self, images, child):
        x = self.net.stem(images)
        for cell in self.net.cells:
            x = cell(x, child) if isinstance(cell, LiveCell) else cell(x)
        return self.net.classifier(self.net.lastact(x).mean(dim=(2, 3)))


def draw_children(count):
    """Strings, the same for every program that asks for as many."""
    draw = random.Random(0)
    names = [[draw.choice(CANDIDATES) for _ in EDGES] for _ in range(count)]
    node = lambda names, target: "|".join(f"{name}~{source}" for (source, to), name in zip(EDGES, names) if to == target)
    return ["+".join(f"|{node(name, target)}|" for target in range(1, NODES)) for name in names]


class Program(zhang64.Program):
    space = "nasbench201"

    def build(self, arguments):
        model = Supernet(arguments.channels, arguments.cells, arguments.image_channels)
        children = [live_edges(parse(child)) for child in draw_children(arguments.children)]
        return model, children, model.net.stem[0]

    def compile(self):
        raise SystemExit("compile is not one of this program's choices")


if __name__ == "__main__":
    without_compile = {
        device: [variant for variant in variants if "compile" not in variant]
        for device, variants in zhang64.DEFAULT_VARIANTS.items()
    }
    zhang64.main(Program, __doc__, cells=5, variants=without_compile)
