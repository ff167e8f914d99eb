"""crosstalk and PyTorch in turns on this machine: training throughput of the zhang64 supernet, as ratios.

    cargo build --release
    python benches/peers/compare.py [--rounds 5] [--case cifar] [--case digits] [--preload libtcmalloc_minimal.so.4]

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
CHILDREN = [f"{a}{b}{c}" for a in range(1, 5) for b in range(1, 5) for c in range(1, 5)][::4]

# name: (crosstalk arguments, peer arguments, thread counts of the peer, steps)
CASES = {
    "cifar": (["--set", "network.channels=16"], ["--size", "32", "--channels", "16"], [2], 96),
    "digits": (["--set", "network.channels=8"], ["--size", "8", "--channels", "8", "--image-channels", "1"], [1, 2], 1600),
}


def random_cifar(folder):
    """A file of random images in CIFAR-10's binary layout."""
    records = numpy.random.RandomState(0).randint(0, 256, (2000, 3073)).astype(numpy.uint8)
    records[:, 0] %= 10
    path = Path(folder) / "random.bin"
    path.write_bytes(records.tobytes())
    return path


def crosstalk(case, folder, round_number):
    arguments, _, _, steps = CASES[case]
    data = f"cifar10:{random_cifar(folder)}" if case == "cifar" else "digits"
    configuration = Path(folder) / "compare.toml"
    configuration.write_text(
        f'name = "compare"\nsteps = {steps}\n[network]\nspace = "zhang64"\n[data]\nsource = "{data}"\nbatch = 64\norder = "file"\n'
        f"[evaluation]\nat_end = false\n"
    )
    out = Path(folder) / f"{case}-{round_number}"
    command = [PROGRAM, "train", configuration, *arguments, "--children", ",".join(CHILDREN), "--out", out]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r": (\d+) images/s", output).group(1))


def peer(case, preload):
    """Images/s of every (variant, threads)."""
    _, arguments, threads, _ = CASES[case]
    rates = {}
    for count in threads:
        command = [sys.executable, HERE / "zhang64.py", *arguments, "--batch", "64", "--children", "16"]
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
