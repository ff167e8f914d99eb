"""Writes the golden numbers of `tests/goldens/`: `python tests/pytorch/goldens.py [FOLDER]`.

`stages.py` describes the contents of `stages.safetensors`, `adam.py` those of `adam.{json,safetensors}`, `networks.py` those of the other files.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from adam import golden_adam
from networks import NETWORKS, golden_network
from stages import golden_stages

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "goldens"


def describe(folder, name, description):
    (folder / f"{name}.json").write_text(json.dumps(description, indent=2) + "\n")


def write(folder, name, tensors):
    path = folder / f"{name}.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size:,} bytes")


def main():
    # More threads would add in another order.
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, "stages", golden_stages())
    cases, tensors = golden_adam()
    describe(folder, "adam", {"cases": cases})
    write(folder, "adam", tensors)
    for name, description in NETWORKS.items():
        described, tensors = golden_network(description)
        describe(folder, name, described)
        write(folder, name, tensors)
        print(f"  margin {described['margin']:.1e}, seed {described['seed']}")


if __name__ == "__main__":
    main()
