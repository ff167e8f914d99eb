"""crosstalk and PyTorch in turns on this machine: throughput of the zhang64 and nasbench201 supernets, as ratios.

    cargo build --release
    python benches/peers/compare.py [--case cifar] [--case nasbench201] [--work training] [--work evaluation] [--preload libtcmalloc_minimal.so.4]

Every round measures crosstalk, then every variant of zhang64.py or nasbench201.py in every arrangement of processes and threads, so that a change of the machine's speed
meets all of them. Another round begins only if it should end within `--minutes`; the first always runs.

Training: both train the same 16 (25) children one after the other, mini-batches of 64. Evaluation: all 64 (the same 25) children, mini-batches of 64,
running statistics where there are any; crosstalk computes what children share once, the peer's `shared` variants do so for the stem, and in zhang64 for
the first cell; its others evaluate child by child. crosstalk's time includes reading pixels, loss and accuracy, the peer's ends with the logits. All f32
(bf16 autocast is shown, and does not count as a peer of f32).

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
import typing
from pathlib import Path

import nasbench201
import numpy
import zhang64

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "target" / "release" / "crosstalk"
CORES = len(os.sched_getaffinity(0))

# Arrangements of the peer: processes, and threads of each. One thread alone can be the fastest network where images are small.
BOTH = sorted({(1, CORES), (CORES, 1)})


class Case(typing.NamedTuple):
    space: str
    data: str
    shrink: int
    channels: int
    cells: int
    steps: int
    trained: list[str]
    evaluated: str
    # Of the peer; its other sizes follow.
    size: int
    image_channels: int
    arrangements: list[tuple[int, int]]


ZHANG64 = {"space": "zhang64", "cells": 4, "trained": zhang64.TRAINED_CHILDREN, "evaluated": "all"}
NASBENCH201 = {"space": "nasbench201", "trained": nasbench201.TRAINED_CHILDREN, "evaluated": ",".join(nasbench201.TRAINED_CHILDREN)}
DIGITS = {"data": "digits", "shrink": 1, "size": 8, "image_channels": 1}
CIFAR = {"data": "cifar10", "shrink": 1, "size": 32, "image_channels": 3}
CASES = {
    "digits": Case(**ZHANG64, **DIGITS, channels=8, steps=1600, arrangements=sorted({(1, 1), *BOTH})),
    "cifar": Case(**ZHANG64, **CIFAR, channels=16, steps=96, arrangements=BOTH),
    "nasbench201": Case(**NASBENCH201, **CIFAR, channels=16, cells=5, steps=50, arrangements=BOTH),
    "nasbench201-small": Case(
        **NASBENCH201, **(CIFAR | {"shrink": 2, "size": 16}), channels=8, cells=1, steps=1000, arrangements=sorted({(1, 1), *BOTH})
    ),
}
WORKS = ["training", "evaluation"]


def random_cifar(folder):
    """A file of random images in CIFAR-10's binary layout."""
    records = numpy.random.RandomState(0).randint(0, 256, (4000, 3073)).astype(numpy.uint8)
    records[:, 0] %= 10
    path = Path(folder) / "random.bin"
    path.write_bytes(records.tobytes())
    return path


class Crosstalk:
    """Trains in its own folder, and evaluates what was trained."""

    def __init__(self, case, folder):
        self.case, self.folder, self.runs = case, Path(folder), 0
        data = f"cifar10:{random_cifar(folder)}" if case.data == "cifar10" else case.data
        self.configuration = self.folder / "compare.toml"
        self.configuration.write_text(
            f'name = "compare"\nsteps = {case.steps}\n'
            f'[network]\nspace = "{case.space}"\nchannels = {case.channels}\ncells = {case.cells}\n'
            f'[data]\nsource = "{data}"\nshrink = {case.shrink}\nbatch = 64\norder = "file"\nevaluation_images = 320\n'
            f"[optimizer]\nnesterov = {str(case.space == 'nasbench201').lower()}\n"
            f"[evaluation]\nat_end = false\nbatch = 64\n"
            f"[checkpoint]\nevery_steps = {case.steps}\n"
        )

    def images_per_second(self, work):
        if work == "training" or self.runs == 0:
            self.runs += 1
            rate = self.train()
        return rate if work == "training" else printed_rate("eval", self.folder / f"{self.runs}", "--children", self.case.evaluated)

    def train(self):
        children = ",".join(self.case.trained)
        return printed_rate("train", self.configuration, "--children", children, "--out", self.folder / f"{self.runs}")


def printed_rate(*command):
    output = subprocess.run([PROGRAM, *command], check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(re.search(r": (\d+) images/s", output).group(1))


def peer(case, work, preload):
    """Images/s of every (variant, processes, threads)."""
    environment = dict(os.environ, **({"LD_PRELOAD": preload} if preload else {}))
    sizes = {"size": case.size, "channels": case.channels, "cells": case.cells, "image-channels": case.image_channels, "batch": 64}
    rates = {}
    for processes, threads in case.arrangements:
        options = sizes | {"work": work, "repeats": 1, "seconds": 0.5, "processes": processes, "threads": threads}
        command = [sys.executable, HERE / f"{case.space}.py"]
        command += [text for name, value in options.items() for text in (f"--{name}", str(value))]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        for line in output.splitlines():
            result = json.loads(line)
            rates[result["variant"], processes, threads] = result["images_per_second"]["median"]
    return rates


def measure(case, work, preload, seconds):
    """Images/s by round of crosstalk, and of every peer."""
    ours, peers = [], {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        crosstalk = Crosstalk(CASES[case], folder)
        while not ours or (time.monotonic() - started) * (len(ours) + 1) / len(ours) < seconds:
            ours.append(crosstalk.images_per_second(work))
            for name, rate in peer(CASES[case], work, preload).items():
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
