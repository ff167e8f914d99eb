"""The runs that `trace.py` traces."""

from dataclasses import dataclass, field

import numpy as np
import torch

from supernets import DARTS_CHILDREN, NASBENCH201_CHILDREN

# Every candidate on every edge, and neighbours that share one or two choices.
CYCLE = ["124", "213", "431", "342", "111", "222", "333", "444", "134", "423"]
# No max-pool over a max-pool: its taps are copies of one another.
CYCLE_WITHOUT_COPIES = ["124", "213", "431", "342", "234", "444"]
# A cell of zeros leaves biases before batch statistics alone: what is left of them is rounding, 300 times enlarged in every layer.
CONNECTED = [child for child in NASBENCH201_CHILDREN if "|none~0|none~1|none~2|" not in child]
# Beside those of the goldens, children whose edges are all drawn.
DARTS_CYCLE = DARTS_CHILDREN + ["-".join(map(str, np.random.RandomState(i).randint(1, 9, 28))) for i in range(5)]


@dataclass
class Trace:
    name: str
    steps: int
    batch: int
    unsampled: str
    space: str = "zhang64"
    untied: bool = False  # a child chooses anew in every cell
    bias: bool = False  # nasbench201: convolutions in cells have a bias
    nesterov: bool = False
    clip_norm: float = float("inf")
    weight_decay: float = 1e-3
    children: list = field(default_factory=lambda: CYCLE)
    channels: int = 8
    cells: int = 2
    seed: int = 0
    train_images: int = 500  # no multiple of the batch: the file wraps inside a mini-batch
    order: str = "file"  # or "explicit": drawn here, listed in batches.csv
    tie_margin: float = 0.0  # > 0: mini-batches are searched that stay this far from ties
    copies: bool = False  # there max-pools may meet copies of one value
    stored: torch.dtype = torch.float64  # of init.safetensors and the gradients
    warm_up_steps: int = 0  # steps before the trace begins
    evaluated_children: list = field(default_factory=list)  # empty: all of the space in `supernets`
    evaluated_weights: str = "final"  # or "init" or "replayed"
    evaluation_batch: int = 90
    gradient_children: list = field(default_factory=list)
    gradient_images: list = field(default_factory=list)  # empty: the first mini-batch
    predictions: bool = False
    search: bool = False  # first-order DARTS: a mixture of all candidates, in place of children


TRACES = [
    Trace("zhang64-decay", steps=50, batch=16, unsampled="decay", seed=4),
    Trace("zhang64-skip", steps=50, batch=16, unsampled="skip", evaluated_weights="replayed", seed=5),
    Trace(
        "zhang64-away-from-ties",
        steps=12,
        batch=4,
        unsampled="decay",
        children=CYCLE_WITHOUT_COPIES,
        train_images=1437,
        order="explicit",
        tie_margin=1e-4,
        stored=torch.float32,
        gradient_children=CYCLE_WITHOUT_COPIES[:1],
        seed=4,
    ),
    Trace(
        "zhang64-all-parts",
        steps=6,
        batch=7,
        unsampled="skip",
        channels=5,
        cells=1,
        order="explicit",
        stored=torch.float32,
        warm_up_steps=30,
        evaluated_weights="init",
        evaluation_batch=100,  # the last one is short: 60 images
        gradient_children=["124", "431", "222"],
        gradient_images=[3, 1, 4, 15, 92, 65, 35, 8],
        evaluated_children=["111", "124", "213", "222", "333", "342", "431", "444"],
        predictions=True,
        seed=3,
    ),
    Trace(
        "nasbench201-decay",
        space="nasbench201",
        steps=20,
        batch=16,
        unsampled="decay",
        nesterov=True,
        clip_norm=2.0,  # cuts some steps and leaves others
        weight_decay=5e-4,
        children=NASBENCH201_CHILDREN,
        channels=3,
        cells=1,
        seed=6,
    ),
    Trace(
        "nasbench201-untied",
        space="nasbench201",
        untied=True,
        bias=True,
        steps=20,
        batch=16,
        unsampled="skip",
        weight_decay=5e-4,
        children=["/".join(np.random.RandomState(7 * i).permutation(CONNECTED)[:3]) for i in range(8)],
        evaluated_children=CONNECTED,
        channels=3,
        cells=1,
        evaluated_weights="replayed",
        seed=7,
    ),
    Trace(
        "darts-decay",
        space="darts",
        steps=20,
        batch=16,
        unsampled="decay",
        clip_norm=5.0,
        weight_decay=3e-4,
        children=DARTS_CYCLE,
        evaluated_children=DARTS_CYCLE,
        channels=1,  # files stay small; the cells that halve the size have two and four
        cells=3,
        seed=8,
    ),
    Trace(
        "zhang64-darts",
        search=True,
        steps=20,
        batch=16,
        unsampled="decay",
        clip_norm=5.0,
        channels=5,
        cells=1,
        train_images=301,  # 150 of the weights, 151 of the alphas
        seed=8,
    ),
    Trace(
        "nasbench201-darts",
        space="nasbench201",
        search=True,
        steps=20,
        batch=4,
        unsampled="decay",
        nesterov=True,
        clip_norm=2.0,
        weight_decay=5e-4,
        channels=3,
        cells=1,
        train_images=1437,
        order="explicit",
        tie_margin=1e-4,
        stored=torch.float32,
        seed=9,
    ),
    Trace(
        "darts-darts",
        space="darts",
        search=True,
        steps=20,
        batch=8,
        unsampled="decay",
        clip_norm=5.0,
        weight_decay=3e-4,
        evaluated_children=DARTS_CYCLE,
        channels=1,
        cells=3,
        train_images=1437,
        order="explicit",
        tie_margin=1e-4,
        copies=True,  # all images are blank at some sides: the stem has equal patches
        stored=torch.float32,
        seed=10,
    ),
]
