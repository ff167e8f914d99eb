"""crosstalk and PyTorch in turns on this machine: throughput of the zhang64 supernet, as ratios.

    cargo build --release
    python benches/peers/compare.py [--case cifar] [--case digits] [--work training] [--work evaluation] [--preload libtcmalloc_minimal.so.4]

Every round measures crosstalk, then every variant of zhang64.py in every arrangement of processes and threads, so that a change of the machine's speed
meets all of them. Another round begins only if it should end within `--minutes`; the first always runs.

Training: both train the same 16 children one after the other, mini-batches of 64. Evaluation: all 64 children, mini-batches of 64, running statistics;
crosstalk computes what children share once, the peer's `shared` variants do so up to the first cell, its others evaluate child by child; crosstalk's
time includes reading pixels, loss and accuracy, the peer's ends with the logits. All f32 (bf16 autocast is shown, and does not count as a peer of f32).

The ratio is of medians over the rounds, against the fastest f32 variant, with the least and the most of the rounds' own ratios; first against one
process (the same work: one network), then against any. One JSON line a comparison, then a table. Images are random: they do not matter for speed.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
from zhang64 import TRAINED_CHILDREN

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "target" / "release" / "crosstalk"
CORES = len(os.sched_getaffinity(0))

# Arrangements of the peer: processes, and threads of each. One thread alone can be the fastest network where images are small.
BOTH = sorted({(1, CORES), (CORES, 1)})
# name: (crosstalk arguments, steps, peer arguments, arrangements)
CASES = {
    "digits": (
        ["--set", "network.channels=8"],
        1600,
        ["--size", "8", "--channels", "8", "--image-channels", "1"],
        sorted({(1, 1), *BOTH}),
    ),
    "cifar": (["--set", "network.channels=16"], 96, ["--size", "32", "--channels", "16"], BOTH),
}
WORKS = ["training", "evaluation"]


def random_cifar(folder):
    """A file of random images in CIFAR-10's binary layout."""
    records = numpy.random.RandomState(0).randint(0, 256, (2000, 3073)).astype(numpy.uint8)
    records[:, 0] %= 10
    path = Path(folder) / "random.bin"
    path.write_bytes(records.tobytes())
    return path


class Crosstalk:
    """Trains in its own folder, and evaluates what was trained."""

    def __init__(self, case, folder):
        self.arguments, steps, _, _ = CASES[case]
        self.folder = Path(folder)
        self.runs = 0
        data = f"cifar10:{random_cifar(folder)}" if case == "cifar" else "digits"
        self.configuration = self.folder / "compare.toml"
        self.configuration.write_text(
            f'name = "compare"\nsteps = {steps}\n[network]\nspace = "zhang64"\n[data]\nsource = "{data}"\nbatch = 64\norder = "file"\n'
            f"evaluation_images = 320\n[evaluation]\nat_end = false\nbatch = 64\n"
        )

    def images_per_second(self, work):
        if work == "training" or self.runs == 0:
            self.runs += 1
            rate = self.train()
        return rate if work == "training" else printed_rate("eval", self.folder / f"{self.runs}")

    def train(self):
        children = ",".join(TRAINED_CHILDREN)
        return printed_rate("train", self.configuration, *self.arguments, "--children", children, "--out", self.folder / f"{self.runs}")


def printed_rate(*command):
    output = subprocess.run([PROGRAM, *command], check=True, capture_output=True, text=True).stdout
    return float(re.search(r": (\d+) images/s", output).group(1))


def peer(case, work, preload):
    """Images/s of every (variant, processes, threads)."""
    _, _, arguments, arrangements = CASES[case]
    environment = dict(os.environ, **({"LD_PRELOAD": preload} if preload else {}))
    rates = {}
    for processes, threads in arrangements:
        command = [sys.executable, HERE / "zhang64.py", *arguments, "--work", work, "--batch", "64", "--repeats", "1", "--seconds", "0.5"]
        command += ["--processes", str(processes), "--threads", str(threads)]
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        for line in output.splitlines():
            result = json.loads(line)
            rates[result["variant"], processes, threads] = result["images_per_second"]["median"]
    return rates


def measure(case, work, preload, seconds):
    """Images/s by round of crosstalk, and of every peer."""
    ours, peers = [], {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        crosstalk = Crosstalk(case, folder)
        while not ours or (time.monotonic() - started) * (len(ours) + 1) / len(ours) < seconds:
            ours.append(crosstalk.images_per_second(work))
            for name, rate in peer(case, work, preload).items():
                peers.setdefault(name, []).append(rate)
    return ours, peers


def ratio(ours, peers):
    """The fastest f32 peer's name, the ratio of medians, the rounds' own ratios."""
    f32 = {name: rates for name, rates in peers.items() if "bf16" not in name[0].split("+")}
    best = max(f32, key=lambda name: statistics.median(f32[name]))
    by_round = [rate / peer_rate for rate, peer_rate in zip(ours, f32[best])]
    return best, statistics.median(ours) / statistics.median(f32[best]), by_round


def name_of(peer_name):
    variant, processes, threads = peer_name
    return f"{variant}, {processes} x {threads} thread{'s' * (threads > 1)}"


def report(case, work, ours, peers):
    print(json.dumps({"case": case, "work": work, "crosstalk": ours, "peers": {name_of(name): rates for name, rates in peers.items()}}))
    print(f"\n{case}, {work}: images/s, median of {len(ours)} round(s) (least to most)")
    for name, rates in [("crosstalk", ours)] + [(name_of(name), rates) for name, rates in peers.items()]:
        print(f"  {name:48} {statistics.median(rates):9.0f}  ({min(rates):.0f} to {max(rates):.0f})")
    for label, group in [("one process", {name: rates for name, rates in peers.items() if name[1] == 1}), ("any", peers)]:
        best, of_medians, by_round = ratio(ours, group)
        print(f"  crosstalk / {name_of(best)} (fastest f32, {label}): {of_medians:.2f}  ({min(by_round):.2f} to {max(by_round):.2f})")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--work", action="append", choices=WORKS)
    parser.add_argument("--minutes", type=float, default=9, help="for everything")
    parser.add_argument("--preload", help="a library to preload for PyTorch, such as tcmalloc")
    options = parser.parse_args()
    left = [(case, work) for case in options.case or CASES for work in options.work or WORKS]
    end = time.monotonic() + 60 * options.minutes
    while left:
        seconds = (end - time.monotonic()) / len(left)
        case, work = left.pop(0)
        report(case, work, *measure(case, work, options.preload, seconds))


if __name__ == "__main__":
    main()
