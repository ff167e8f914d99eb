"""Writes the golden numbers of `tests/goldens/`: `python tests/pytorch/goldens.py [FOLDER]`.

`stages.py` describes the contents of `stages.{json,safetensors}`, `networks.py` those of the other files.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from networks import NETWORKS, golden_network
from stages import golden_stages

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "goldens"


def write(folder, name, description, tensors):
    (folder / f"{name}.json").write_text(json.dumps(description, indent=2) + "\n")
    path = folder / f"{name}.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size:,} bytes")


def main():
    # More threads would add in another order.
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    cases, tensors = golden_stages()
    write(folder, "stages", {"cases": cases}, tensors)
    for name, description in NETWORKS.items():
        described, tensors = golden_network(description)
        write(folder, name, described, tensors)
        print(f"  margin {described['margin']:.1e}, seed {described['seed']}")


if __name__ == "__main__":
    main()
