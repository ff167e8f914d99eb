"""The zhang64 supernet in PyTorch, as fast as PyTorch runs it: single-path training, and evaluation of many children.

    python benches/peers/zhang64.py --size 32 --channels 16 --batch 64
    python benches/peers/zhang64.py --size 8 --channels 8 --image-channels 1 --batch 64 --threads 1 --processes 2
    python benches/peers/zhang64.py --device cuda --size 32 --channels 16 --batch 256

Training takes one step on each of 16 children in turn; every candidate is on every edge equally often. Evaluation computes the logits of all 64
children under running statistics.

Variants and figures are those of `peer.py`; `compile` compiles the stem and every candidate. Further choices:

- `phases`, training: the dilated depthwise convolution as a dense one over the four phases of the image. oneDNN computes the gradients of a dense
  one several times faster; the copies make its forward slower.
- `folded`, evaluation: batch normalization folded into the convolution before it.
- `shared`, evaluation: the stem and the edges of the first cell computed once for all children; without it, child by child.

By default all but `compile` on a CPU, which takes minutes, are measured; compare with the best.
"""

import peer
import torch
from model import CHILDREN, Zhang64
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

# A Latin square: every candidate is on every edge in four of the 16.
TRAINED_CHILDREN = [child for child in CHILDREN if sum(map(int, child)) % 4 == 0]


class PhasedConvolution(nn.Conv2d):
    """A convolution of dilation 2, computed on the four images of every second row and column: of those it is a dense one. Even sizes only."""

    @classmethod
    def replacing(cls, dilated):
        dilated.__class__ = cls
        return dilated

    def forward(self, x):
        batch, channels, height, width = x.shape
        phases = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels).permute(2, 4, 0, 1, 3, 5)
        phases = phases.reshape(4 * batch, height // 2, width // 2, channels).permute(0, 3, 1, 2)
        padding = self.kernel_size[0] // 2
        y = functional.conv2d(phases, self.weight, padding=padding, groups=self.groups).permute(0, 2, 3, 1)
        y = y.reshape(2, 2, batch, height // 2, width // 2, channels).permute(2, 3, 0, 4, 1, 5)
        return y.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def flatten(model):
    """Candidates as flat sequences: fewer calls."""
    for cell in model.net.cells:
        cell.preproc = cell.preproc.net
        for edge in (edge for node in cell.dag for edge in node):
            edge._ops = nn.ModuleList(nn.Sequential(*leaves(candidate)) for candidate in edge._ops)


def leaves(module):
    return [inner for inner in module.modules() if not list(inner.children())]


def use_phases(model):
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.dilation == (2, 2):
            PhasedConvolution.replacing(module)


def fold_normalization(model):
    """Folds every batch normalization that follows a convolution into it."""
    for sequence in [module for module in model.modules() if isinstance(module, nn.Sequential)]:
        for place, (layer, following) in enumerate(zip(list(sequence), list(sequence)[1:])):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                sequence[place] = fuse_conv_bn_eval(layer, following)
                sequence[place + 1] = nn.Identity()


def compile_parts(model):
    torch._dynamo.config.recompile_limit = 512
    network = model.net
    network.stem = torch.compile(network.stem)
    for cell in network.cells:
        cell.preproc = torch.compile(cell.preproc)
        for edge in (edge for node in cell.dag for edge in node):
            edge._ops = nn.ModuleList(torch.compile(candidate) for candidate in edge._ops)


def network(arguments):
    model = Zhang64(arguments.channels, arguments.cells, image_channels=arguments.image_channels)
    flatten(model)
    return model


class Training(peer.Training):
    children = TRAINED_CHILDREN
    sgd = {"momentum": 0.9, "weight_decay": 1e-3}
    known_choices = {"channels_last", "bf16", "compile", "graph", "phases"}
    default_variants = {
        "cpu": ["eager", "channels_last", "channels_last+phases", "channels_last+bf16"],
        "cuda": [
            "eager",
            "channels_last",
            "channels_last+bf16",
            "compile",
            "channels_last+bf16+compile",
            "graph",
            "channels_last+graph",
            "channels_last+bf16+graph",
        ],
    }
    network = staticmethod(network)

    def apply_choices(self):
        if "phases" in self.choices:
            use_phases(self.model)
        if "compile" in self.choices:
            compile_parts(self.model)

    def forward(self, child):
        return self.model(self.images, child)


class Evaluation(peer.Evaluation):
    children = CHILDREN
    known_choices = {"channels_last", "bf16", "compile", "graph", "folded", "shared"}
    default_variants = {
        "cpu": [
            "eager",
            "channels_last",
            "channels_last+folded",
            "channels_last+shared",
            "channels_last+folded+shared",
            "channels_last+bf16+folded+shared",
        ],
        "cuda": [
            "eager",
            "channels_last",
            "compile",
            "graph",
            "channels_last+graph",
            "folded+graph",
            "folded+shared+graph",
            "channels_last+folded+shared+graph",
            "channels_last+bf16+folded+shared+graph",
        ],
    }
    network = staticmethod(network)

    def fold(self):
        if "folded" in self.choices:
            fold_normalization(self.model)

    def apply_choices(self):
        if "compile" in self.choices:
            compile_parts(self.model)

    def forward(self, child):
        return self.model(self.images, child)

    @torch.inference_mode()
    def evaluate_sharing(self):
        with self.autocast():
            network = self.model.net
            first_cell, later_cells = network.cells[0], network.cells[1:]
            x0 = first_cell.preproc(network.stem(self.images))
            [edge_01], [edge_02, edge_12] = first_cell.dag
            x1 = [edge_01(x0, candidate) for candidate in range(4)]
            x2_from_0 = [edge_02(x0, candidate) for candidate in range(4)]
            x2_from_1 = [[edge_12(node, candidate) for candidate in range(4)] for node in x1]
            logits = []
            for child in self.children:
                a, b, c = candidates = [int(digit) - 1 for digit in child]
                x = torch.cat([x1[a], x2_from_0[b] + x2_from_1[a][c]], dim=1)
                for cell in later_cells:
                    x = cell(x, candidates)
                logits.append(network.linear(x.mean(dim=(2, 3))))
            return logits


if __name__ == "__main__":
    peer.main("zhang64", __doc__.splitlines()[0], 4, Training, Evaluation)
