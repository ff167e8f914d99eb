"""The NAS-Bench-201 supernet in PyTorch, as fast as PyTorch runs it: single-path training, and evaluation of many children.

    python benches/peers/nasbench201.py --size 32 --channels 16 --cells 5 --batch 64
    python benches/peers/nasbench201.py --size 16 --channels 8 --cells 1 --batch 64 --threads 1 --processes 2
    python benches/peers/nasbench201.py --device cuda --size 32 --channels 16 --cells 5 --batch 64

Training takes one step on each of 25 children in turn; every two edges have every two candidates once. Evaluation computes the logits of the same
children; cells normalize by the mini-batch, as ever, the rest by running statistics.

Variants and figures are those of `peer.py`; `compile` compiles blocks and reductions. Further choices:

- `pruned`: a `none` edge is no term of its sum, and edges without a way to the output are not computed. Otherwise `none` multiplies by zero, as in the
  official program.
- `shared`, evaluation: the stem computed once for all children.

By default all but `compile` on a CPU, which takes minutes, are measured; compare with the best.
"""

import peer
import torch
from model_nasbench201 import CANDIDATES, NODES, Cell, Nasbench201

EDGES = [(source, target) for target in range(1, NODES) for source in range(target)]
NONE = CANDIDATES.index("none")
# An orthogonal array of strength 2 over Z5.
CHOICES = [tuple((a + i * b) % 5 for i in range(5)) + (b,) for a in range(5) for b in range(5)]


def child_string(choices):
    """As NAS-Bench-201 writes it."""
    terms = {target: [] for target in range(1, NODES)}
    for (source, target), choice in zip(EDGES, choices):
        terms[target].append(f"{CANDIDATES[choice]}~{source}")
    return "+".join("|" + "|".join(terms[target]) + "|" for target in terms)


TRAINED_CHILDREN = [child_string(choices) for choices in CHOICES]


def live_edges(choices):
    """Edges with a way from the input and to the output, none of it `none`."""
    reached, leading = {0}, {NODES - 1}
    for (source, target), choice in zip(EDGES, choices):
        if choice != NONE and source in reached:
            reached.add(target)
    for (source, target), choice in reversed(list(zip(EDGES, choices))):
        if choice != NONE and target in leading:
            leading.add(source)
    return [
        choice != NONE and source in reached and target in leading for (source, target), choice in zip(EDGES, choices)
    ]


def cell_output(cell, x, choices, live):
    nodes = [x] + [None] * (NODES - 1)
    for (source, target), choice, alive in zip(EDGES, choices, live):
        if alive:
            term = cell.edges[f"{target}<-{source}"][choice](nodes[source])
            nodes[target] = term if nodes[target] is None else nodes[target] + term
    return torch.zeros_like(x) if nodes[-1] is None else nodes[-1]


class Nasbench201Program:
    """What training and evaluation have in common."""

    children = CHOICES

    @staticmethod
    def network(arguments):
        return Nasbench201(arguments.channels, arguments.cells, image_channels=arguments.image_channels)

    def apply_choices(self):
        if "compile" in self.choices:
            torch._dynamo.config.recompile_limit = 512
            for cell in self.model.cells:
                parts = [cell] if not isinstance(cell, Cell) else [edge[choice] for edge in cell.edges.values() for choice in (2, 3)]
                for part in parts:
                    part.compile()

    def forward(self, choices):
        return self.forward_from(self.model.stem(self.images), choices)

    def forward_from(self, x, choices):
        live = live_edges(choices) if "pruned" in self.choices else [True] * len(EDGES)
        for cell in self.model.cells:
            x = cell_output(cell, x, choices, live) if isinstance(cell, Cell) else cell(x)
        return self.model.classifier(self.model.lastact(x).mean(dim=(2, 3)))


class Training(Nasbench201Program, peer.Training):
    sgd = {"momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}
    known_choices = {"channels_last", "bf16", "compile", "graph", "pruned"}
    default_variants = {
        "cpu": ["eager", "channels_last", "channels_last+pruned", "channels_last+bf16+pruned"],
        "cuda": [
            "eager",
            "channels_last+pruned",
            "channels_last+bf16+pruned",
            "pruned+compile",
            "channels_last+bf16+pruned+compile",
            "pruned+graph",
            "channels_last+pruned+graph",
            "channels_last+bf16+pruned+graph",
        ],
    }


class Evaluation(Nasbench201Program, peer.Evaluation):
    known_choices = {"channels_last", "bf16", "compile", "graph", "pruned", "shared"}
    default_variants = {
        "cpu": ["eager", "channels_last", "channels_last+pruned", "channels_last+pruned+shared", "channels_last+bf16+pruned+shared"],
        "cuda": [
            "eager",
            "channels_last+pruned",
            "pruned+compile",
            "channels_last+pruned+shared+graph",
            "channels_last+bf16+pruned+shared+graph",
        ],
    }

    @torch.inference_mode()
    def evaluate_sharing(self):
        with self.autocast():
            stem = self.model.stem(self.images)
            return [self.forward_from(stem, child) for child in self.children]


if __name__ == "__main__":
    peer.main("nasbench201", __doc__.splitlines()[0], 5, Training, Evaluation)
