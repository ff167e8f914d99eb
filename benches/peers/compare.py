"""crosstalk and PyTorch in turns on this machine: training throughput of supernets, as ratios.

    cargo build --release
    python benches/peers/compare.py [--rounds 5] [--case CASE] [--preload libtcmalloc_minimal.so.4]

Every round measures crosstalk, then every PyTorch variant, so that a change of the machine's speed meets all of them. Both train the same 16
children one after the other, mini-batches of 64, f32 (bf16 autocast is shown, and does not count as a peer of f32). The ratio is of medians over the
rounds, against the fastest f32 variant; one JSON line a case, then a table. Images are random: they do not matter for speed.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "target" / "release" / "crosstalk"
ZHANG64 = [f"{a}{b}{c}" for a in range(1, 5) for b in range(1, 5) for c in range(1, 5)][::4]


def sizes(*numbers):
    """Arguments of a peer."""
    return [str(word) for pair in zip(("--size", "--channels", "--cells", "--image-channels"), numbers) for word in pair]


# name: (space, channels, cells, keys of [data], peer arguments, thread counts of the peer, steps)
CASES = {
    "cifar": ("zhang64", 16, 4, "", sizes(32, 16), [2], 96),
    "digits": ("zhang64", 8, 4, "", sizes(8, 8, 4, 1), [1, 2], 1600),
    "nasbench201": ("nasbench201", 16, 5, "", sizes(32, 16, 5), [2], 80),
    "nasbench201-small": ("nasbench201", 8, 1, "shrink = 2", sizes(16, 8, 1), [1, 2], 1600),
}


def children(space):
    if space == "zhang64":
        return ZHANG64
    from nasbench201 import draw_children

    return draw_children(16)


def random_cifar(folder):
    """A file of random images in CIFAR-10's binary layout."""
    records = numpy.random.RandomState(0).randint(0, 256, (2000, 3073)).astype(numpy.uint8)
    records[:, 0] %= 10
    path = Path(folder) / "random.bin"
    path.write_bytes(records.tobytes())
    return path


def crosstalk(case, folder, round_number):
    space, channels, cells, keys, _, _, steps = CASES[case]
    data = "digits" if case == "digits" else f"cifar10:{random_cifar(folder)}"
    configuration = Path(folder) / "compare.toml"
    configuration.write_text(
        f'name = "compare"\nsteps = {steps}\n[network]\nspace = "{space}"\nchannels = {channels}\ncells = {cells}\n'
        f'[data]\nsource = "{data}"\nbatch = 64\norder = "file"\n{keys}\n'
        f"[evaluation]\nat_end = false\n"
    )
    out = Path(folder) / f"{case}-{round_number}"
    command = [PROGRAM, "train", configuration, "--children", ",".join(children(space)), "--out", out]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r": (\d+) images/s", output).group(1))


def peer(case, preload):
    """Images/s of every (variant, threads)."""
    space, *_, arguments, threads, _ = CASES[case]
    rates = {}
    for count in threads:
        command = [sys.executable, HERE / f"{space}.py", *arguments, "--batch", "64", "--children", "16"]
        command += ["--repeats", "3", "--threads", str(count)]
        environment = dict(os.environ, **({"LD_PRELOAD": preload} if preload else {}))
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        for line in output.splitlines():
            result = json.loads(line)
            rates[f"{result['variant']}, {count} thread(s)"] = result["train_images_per_second"]["median"]
    return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=sorted(CASES))
    parser.add_argument("--preload", help="a library to preload for PyTorch, such as tcmalloc")
    options = parser.parse_args()
    for case in options.case or sorted(CASES):
        with tempfile.TemporaryDirectory() as folder:
            ours, peers = [], {}
            for round_number in range(options.rounds):
                ours.append(crosstalk(case, folder, round_number))
                for name, rate in peer(case, options.preload).items():
                    peers.setdefault(name, []).append(rate)
        medians = {name: statistics.median(rates) for name, rates in peers.items()}
        best = max((name for name in medians if "bf16" not in name), key=medians.get)
        median = statistics.median(ours)
        print(json.dumps({"case": case, "crosstalk": ours, "peers": peers}))
        print(f"\n{case}: training images/s, median of {options.rounds} rounds (least to most)")
        print(f"  crosstalk                        {median:9.0f}  ({min(ours):.0f} to {max(ours):.0f})")
        for name, rates in peers.items():
            print(f"  {name:32} {medians[name]:9.0f}  ({min(rates):.0f} to {max(rates):.0f})")
        print(f"  crosstalk / {best}: {median / medians[best]:.2f}\n", flush=True)


if __name__ == "__main__":
    main()
