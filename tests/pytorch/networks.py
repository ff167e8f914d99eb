"""Golden numbers of whole networks in float64.

`NETWORK.json` holds the space, the shape of the network (channels, cells, classes, image_channels, height, width, batch), for nasbench201 what
its cells are (affine, tracked, bias), the children, and `margin`: how far ReLUs and max-pools of all children stay from ties, in units of the root mean square of their
input. The `.safetensors` beside it (F64 unless said; everything given is exactly representable in f32):

    images                 I64 [batch, image_channels, height, width]
    labels                 I64 [batch]
    mean, deviation        F32 [image_channels], of byte / 255
    pixel_table            F32 [image_channels, 256]
    weights/NAME           the whole state under the official names, buffers included (`num_batches_tracked` I64); with `partial` only of the
                           candidates that a child of the list uses

and for every child:

    logits/CHILD           training forward (statistics of the batch)     [batch, classes]
    loss/CHILD             mean cross-entropy                             [1]
    grad/CHILD/NAME        gradient of every parameter that the child uses; the others have none
    tracked/CHILD/NAME     every running statistic that this one training forward moved, after it
    evaluation/CHILD/running/{logits,loss,correct}      running statistics of `weights/` (`correct` I64 [1])
    evaluation/CHILD/batch/{logits,loss,correct}        statistics of the batch

and where `mixture` is true, of all candidates weighted by the softmax of architecture parameters:

    alphas/NAME                             [edges, candidates]
    {logits,loss,grad,tracked}/mixture...   as for a child
    alpha_grad/NAME                         gradients of the architecture parameters
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import architecture
import digits
from model import initialize
from supernets import DARTS_CHILDREN, NASBENCH201_CHILDREN, supernet
from ties import TieWatch

DARTS_FOUR_CELLS = {
    "space": "darts",
    "channels": 2,
    "cells": 4,
    "classes": 10,
    "image_channels": 1,
    "height": 8,
    "width": 8,
    "batch": 8,  # with 4, PyTorch's own f32 is 2e-5 off: normalizations of 16 pixels
    "partial": True,
}
NETWORKS = {
    # Channels a multiple of 8: no padding anywhere.
    "zhang64_network": {
        "space": "zhang64",
        "channels": 8,
        "cells": 4,
        "classes": 10,
        "image_channels": 1,
        "height": 8,
        "width": 8,
        "batch": 6,
        "children": ["111", "124", "222", "333", "444", "431", "213"],
    },
    # Nothing a multiple of anything.
    "zhang64_odd": {
        "space": "zhang64",
        "channels": 12,
        "cells": 2,
        "classes": 7,
        "image_channels": 3,
        "height": 9,
        "width": 7,
        "batch": 5,
        "children": ["142", "214", "323", "431"],
    },
    # As trained: cells without affine parameters and running statistics.
    "nasbench201_network": {
        "space": "nasbench201",
        "channels": 4,
        "cells": 1,
        "classes": 10,
        "image_channels": 3,
        "height": 8,
        "width": 8,
        "batch": 6,
        "affine": False,
        "tracked": False,
        "bias": False,
        "children": NASBENCH201_CHILDREN,
    },
    # Running statistics and canceled biases in cells; one child with another choice in every cell.
    "nasbench201_bias": {
        "space": "nasbench201",
        "channels": 5,
        "cells": 1,
        "classes": 7,
        "image_channels": 1,
        "height": 12,
        "width": 8,
        "batch": 5,
        "affine": False,
        "tracked": True,
        "bias": True,
        "children": [
            "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_1x1~2|",
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|",
            "|nor_conv_1x1~0|+|none~0|none~1|+|nor_conv_3x3~0|skip_connect~1|avg_pool_3x3~2|"
            "/|skip_connect~0|+|avg_pool_3x3~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_3x3~2|"
            "/|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_1x1~1|skip_connect~2|",
        ],
    },
    # A zero input with an affine normalization is a shift.
    "nasbench201_affine": {
        "space": "nasbench201",
        "channels": 3,
        "cells": 1,
        "classes": 4,
        "image_channels": 3,
        "height": 8,
        "width": 8,
        "batch": 5,
        "affine": True,
        "tracked": True,
        "bias": False,
        "children": [
            "|none~0|+|skip_connect~0|nor_conv_3x3~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_1x1~2|",
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|nor_conv_1x1~0|skip_connect~1|none~2|",
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|none~1|none~2|",
        ],
    },
    # Four cells, so that each kind stands before and behind a reduction; every candidate in both; both halves of a factorized reduction in one vector.
    "darts_network": {**DARTS_FOUR_CELLS, "children": DARTS_CHILDREN[:1]},
    # A node of zeros in both, and inputs that nobody reads, whose running statistics move.
    "darts_zeros": {**DARTS_FOUR_CELLS, "channels": 3, "children": DARTS_CHILDREN[2:]},
    # Another choice in every cell; halves of three and of six channels.
    "darts_untied": {
        "space": "darts",
        "channels": 3,
        "cells": 3,
        "classes": 7,
        "image_channels": 3,
        "height": 12,
        "width": 8,
        "batch": 4,
        "partial": True,
        "children": ["4-2-6-7-5-3-8-1-4-4-5-6-3-2/7-4-5-4-1-8-3-2-6-4-2-5-8-4/4-8-6-1-3-2-4-5-7-5-4-6-2-3"],
    },
    "zhang64_mixture": {
        "space": "zhang64",
        "channels": 5,
        "cells": 2,
        "classes": 10,
        "image_channels": 1,
        "height": 8,
        "width": 7,
        "batch": 4,
        "children": [],
        "mixture": True,
    },
    "nasbench201_mixture": {
        "space": "nasbench201",
        "channels": 4,
        "cells": 1,
        "classes": 10,
        "image_channels": 3,
        "height": 8,
        "width": 8,
        "batch": 4,
        "children": [],
        "mixture": True,
    },
    # A cell that keeps the size, and one before and behind a reduction.
    "darts_mixture": {**DARTS_FOUR_CELLS, "cells": 3, "partial": False, "children": [], "mixture": True},
}
SEEDS_TRIED = 200


def build(description, seed):
    """A network with spread weights, scales, shifts and running statistics; images; labels; the pixel table."""
    options = ("space", "channels", "cells", "classes", "image_channels", "affine", "tracked", "bias")
    model = supernet(**{key: description[key] for key in options if key in description})
    initialize(model, seed)
    random = np.random.RandomState(seed + 1_000_000)

    def fill(tensor, draw):
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.asarray(draw, dtype=np.float32).astype(np.float64)))

    for parameter in model.parameters():
        fill(parameter, parameter.detach().numpy())
    for _, module in sorted(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            channels = module.num_features
            if module.track_running_stats:
                fill(module.running_mean, 0.5 * random.randn(channels))
                fill(module.running_var, np.exp(0.5 * random.randn(channels)))
                module.num_batches_tracked.fill_(int(random.randint(1, 100)))
            if module.affine:
                fill(module.weight, 1 + 0.3 * random.randn(channels))
                fill(module.bias, 0.3 * random.randn(channels))
    size = (description["batch"], description["image_channels"], description["height"], description["width"])
    images = random.randint(0, 256, size).astype(np.uint8)
    labels = random.randint(0, description["classes"], description["batch"]).astype(np.int64)
    mean = random.uniform(0.4, 0.6, size[1]).astype(np.float32)
    deviation = random.uniform(0.2, 0.3, size[1]).astype(np.float32)
    return model, images, torch.from_numpy(labels), mean, deviation


def draw_alphas(description, seed):
    """Architecture parameters whose gates are far from equal, exactly representable in f32."""
    alphas = architecture.draw(description["space"], seed + 2_000_000, deviation=0.5)
    for tensor in alphas.values():
        tensor.data = tensor.data.float().double()
    return alphas


def margin_of_seed(description, seed):
    model, images, _, mean, deviation = build(description, seed)
    pixels = torch.from_numpy(digits.normalize(images, digits.pixel_table(mean, deviation))).double()
    with TieWatch(model) as watch, torch.no_grad():
        for child in description["children"]:
            model(pixels, child)
        if description.get("mixture"):
            model(pixels, architecture.gates(draw_alphas(description, seed)))
    return watch.margin


def train(model, pixels, labels, label, child, state):
    """Tensors of one training forward and backward; the running statistics of the model move."""
    model.train()
    model.zero_grad(set_to_none=True)
    logits = model(pixels, child)
    loss = functional.cross_entropy(logits, labels)
    loss.backward()
    tensors = {f"logits/{label}": logits.detach().clone(), f"loss/{label}": loss.detach().reshape(1)}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            tensors[f"grad/{label}/{name}"] = parameter.grad.clone()
    for name, after in model.state_dict().items():
        if not torch.equal(after, state[name]):
            tensors[f"tracked/{label}/{name}"] = after.clone()
    return tensors


def evaluate(model, pixels, labels, child):
    with torch.no_grad():
        logits = model(pixels, child)
    return {
        "logits": logits,
        "loss": functional.cross_entropy(logits, labels).reshape(1),
        "correct": (logits.argmax(1) == labels).sum().reshape(1),
    }


def golden_network(description):
    """The description with its margin, and all tensors by name."""
    margins = {seed: margin_of_seed(description, seed) for seed in range(SEEDS_TRIED)}
    seed = max(margins, key=margins.get)
    model, images, labels, mean, deviation = build(description, seed)
    table = digits.pixel_table(mean, deviation)
    pixels = torch.from_numpy(digits.normalize(images, table)).double()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = {
        "images": torch.from_numpy(images).long(),
        "labels": labels,
        "mean": torch.from_numpy(mean),
        "deviation": torch.from_numpy(deviation),
        "pixel_table": torch.from_numpy(table),
    }
    used = set()
    for child in description["children"]:
        trained = train(model, pixels, labels, child, child, state)
        for kind in ("grad", "tracked"):
            prefix = f"{kind}/{child}/"
            used |= {name.removeprefix(prefix) for name in trained if name.startswith(prefix)}
        tensors |= trained
        # The child has moved the running statistics; the evaluations, and the next child, start from the given ones.
        for regime in ("running", "batch"):
            model.load_state_dict(state)
            model.train(regime == "batch")
            for name, tensor in evaluate(model, pixels, labels, child).items():
                tensors[f"evaluation/{child}/{regime}/{name}"] = tensor
        model.load_state_dict(state)
    if description.get("mixture"):
        alphas = draw_alphas(description, seed)
        tensors |= train(model, pixels, labels, "mixture", architecture.gates(alphas), state)
        for name, tensor in alphas.items():
            tensors |= {f"alphas/{name}": tensor.detach(), f"alpha_grad/{name}": tensor.grad}
    stored = used if description.get("partial") else state
    tensors |= {f"weights/{name}": tensor for name, tensor in state.items() if name in stored}
    return {**description, "seed": seed, "margin": margins[seed]}, tensors
