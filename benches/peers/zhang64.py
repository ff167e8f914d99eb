"""The zhang64 supernet in PyTorch, as fast as PyTorch runs it: single-path training and child-by-child evaluation.

    python benches/peers/zhang64.py --size 32 --channels 16 --batch 64
    python benches/peers/zhang64.py --size 8 --channels 8 --image-channels 1 --batch 64 --threads 1
    python benches/peers/zhang64.py --device cuda --size 32 --channels 16 --batch 256

A variant is a sum of choices: `channels_last`, `bf16` (autocast), `compile` (torch.compile of the stem and of every candidate: compiling
the network would recompile for every child), `graph` (one CUDA graph for every child); `eager` is none of them. By default all that can win on the
device are measured (on a CPU, compiling takes minutes and has not won); compare with the best. Prints one JSON line a variant: images/s of training and of evaluation (median, minimum, maximum
of the repeats), and beside them the floor that the machine's own matrix products allow (`gemm_gflops`, the same precision): what a
perfect program bound by arithmetic would reach.

On a CPU, `LD_PRELOAD=libtcmalloc_minimal.so.4` and one thread are faster at small sizes; try both. On shared machines run it in turns with the
other program and quote ratios.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

# Read when PyTorch loads its linear algebra; a setting meant for other programs must not slow the peer.
for setting in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(setting, None)

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "pytorch"))
from model import CHILDREN, Zhang64  # noqa: E402

CHOICES = {"channels_last", "bf16", "compile", "graph"}
DEFAULT_VARIANTS = {
    "cpu": ["eager", "channels_last", "channels_last+bf16"],
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


class Program:
    """One variant: a network, a mini-batch, an optimizer."""

    space = "zhang64"

    def build(self, arguments):
        """The network, its children, and its first convolution."""
        model = Zhang64(arguments.channels, arguments.cells, image_channels=arguments.image_channels)
        return model, CHILDREN[:: max(1, len(CHILDREN) // arguments.children)][: arguments.children], model.net.stem[0]

    def __init__(self, arguments, variant):
        choices = {variant} - {"eager"} if "+" not in variant else set(variant.split("+"))
        if unknown := choices - CHOICES:
            raise SystemExit(f"no choice is named {', '.join(sorted(unknown))}; there are eager, {', '.join(sorted(CHOICES))}")
        self.device, self.batch = arguments.device, arguments.batch
        self.bf16, self.graph = "bf16" in choices, "graph" in choices
        if self.graph and self.device != "cuda":
            raise SystemExit("graph needs --device cuda")

        torch.manual_seed(0)
        self.model, self.children, self.first = self.build(arguments)
        self.model = self.model.to(self.device)
        shape = (self.batch, arguments.image_channels, arguments.size, arguments.size)
        self.images = torch.randn(shape, device=self.device)
        self.labels = torch.randint(0, 10, (self.batch,), device=self.device)
        if "channels_last" in choices:
            self.model = self.model.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        self.forward_gflops_per_image, self.training_gflops_per_image = self.count_gflops()
        if "compile" in choices:
            self.compile()
        # The fused update is the fastest; it wants every momentum to exist (zero is where a momentum starts).
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.025, momentum=0.9, weight_decay=1e-3, fused=True)
        for parameter in self.model.parameters():
            self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def compile(self):
        torch._dynamo.config.recompile_limit = 512
        network = self.model.net
        network.stem = torch.compile(network.stem)
        for cell in network.cells:
            cell.preproc = torch.compile(cell.preproc)
            for edge in (edge for node in cell.dag for edge in node):
                edge._ops = nn.ModuleList(torch.compile(candidate) for candidate in edge._ops)

    def count_gflops(self):
        """Forward and training, averaged over the children: a multiply-add is two; a gradient costs a forward each, the stem has one only."""
        products = []

        def see(module, inputs, output):
            taps = module.weight[0].numel()
            products.append((2 * taps * output[0].numel(), 2 if module is self.first else 3))

        layers = [module for module in self.model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
        handles = [layer.register_forward_hook(see) for layer in layers]
        self.model.eval()
        with torch.no_grad():
            for child in self.children:
                self.model(self.images[:1], child)
        for handle in handles:
            handle.remove()
        scale = 1e-9 / len(self.children)
        return sum(f for f, _ in products) * scale, sum(f * times for f, times in products) * scale

    def autocast(self):
        # A capture must not use casts of weights that were cached before it.
        return torch.autocast(self.device, torch.bfloat16, enabled=self.bf16, cache_enabled=not self.graph)

    def train_step(self, child):
        # Captured graphs hold the addresses of the gradients.
        self.optimizer.zero_grad(set_to_none=not self.graph)
        with self.autocast():
            logits = self.model(self.images, child)
        functional.cross_entropy(logits.float(), self.labels).backward()
        self.optimizer.step()

    def evaluation_step(self, child):
        with torch.no_grad(), self.autocast():
            return self.model(self.images, child)

    def capture(self, step):
        """One CUDA graph for every child, in one memory pool."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for child in self.children * 2:
                step(child)
        torch.cuda.current_stream().wait_stream(side)
        graphs, pool = [], torch.cuda.graph_pool_handle()
        for child in self.children:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                step(child)
            graphs.append(graph)
        return graphs

    def all_children(self, step):
        """A function that takes one step on every child."""
        if self.graph:
            for parameter in self.model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            graphs = self.capture(step)
            return lambda: [graph.replay() for graph in graphs]
        return lambda: [step(child) for child in self.children]

    def images_per_second(self, step, repeats, seconds):
        """Repeats of at least `seconds` each, after a warm-up."""
        run = self.all_children(step)
        run()
        synchronize(self.device)
        started = time.perf_counter()
        run()
        synchronize(self.device)
        rounds = max(1, round(seconds / (time.perf_counter() - started)))
        rates = []
        for _ in range(repeats):
            started = time.perf_counter()
            for _ in range(rounds):
                run()
            synchronize(self.device)
            rates.append(rounds * len(self.children) * self.batch / (time.perf_counter() - started))
        return {"median": figure(statistics.median(rates)), "min": figure(min(rates)), "max": figure(max(rates))}


def figure(number):
    return float(f"{number:.4g}")


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def gemm_gflops(device, dtype):
    """The best of a few large matrix products."""
    size = 8192 if device == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        synchronize(device)
        started = time.perf_counter()
        a @ b
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2e-9 * size**3 / best


def measure(arguments, variant, kind):
    program = kind(arguments, variant)
    program.model.train()
    training = program.images_per_second(program.train_step, arguments.repeats, arguments.seconds)
    program.model.eval()
    evaluation = program.images_per_second(program.evaluation_step, arguments.repeats, arguments.seconds)
    gflops = gemm_gflops(arguments.device, torch.bfloat16 if program.bf16 else torch.float32)
    return {
        "peer": "torch",
        "version": torch.__version__,
        "space": kind.space,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "variant": variant,
        "size": arguments.size,
        "channels": arguments.channels,
        "cells": arguments.cells,
        "image_channels": arguments.image_channels,
        "batch": arguments.batch,
        "children": len(program.children),
        "train_images_per_second": training,
        "evaluation_images_per_second": evaluation,
        "gemm_gflops": figure(gflops),
        "train_floor_images_per_second": figure(gflops / program.training_gflops_per_image),
        "evaluation_floor_images_per_second": figure(gflops / program.forward_gflops_per_image),
    }


def main(kind=Program, description=__doc__, cells=4, variants=DEFAULT_VARIANTS):
    """Measures the variants of a kind of program as the command line says."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--size", type=int, default=32, help="height and width of an image")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=cells)
    parser.add_argument("--image-channels", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--children", type=int, default=16, help="how many of the space, evenly spread")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="shortest repeat")
    parser.add_argument("--threads", type=int, help="threads of PyTorch (its own choice)")
    parser.add_argument("--variants", help="comma-separated, e.g. eager,channels_last+bf16 (all)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.benchmark = True
    for variant in arguments.variants.split(",") if arguments.variants else variants[arguments.device]:
        print(json.dumps(measure(arguments, variant, kind)), flush=True)


if __name__ == "__main__":
    main()
