"""What the PyTorch programs beside crosstalk share: variants of training and evaluation, and their measurement.

A program is a `Training` and an `Evaluation` of one space; each knows its network, its children, and the choices that its variants are made of. A
variant is `eager`, or a sum of choices:

- `channels_last`: images and weights in that memory format.
- `bf16`: autocast.
- `compile`: torch.compile of parts (compiling the network would recompile for every child).
- `graph`: CUDA graphs, one for every child, or one for all where they share work.

One JSON line a variant: images/s (median, minimum, maximum of the repeats), and beside them the floor that the machine's own matrix products allow
(`gemm_gflops`, the same precision, one process): what a perfect program bound by arithmetic would reach; `copy_gigabytes_per_second`, read and
written, is for floors by traffic. A data set is not read: one mini-batch of random images stays in memory. Images/s of evaluation are images times children.

With `--processes`, that many networks work side by side, and their images/s are added.
Try `LD_PRELOAD=libtcmalloc_minimal.so.4` too. On shared machines run it in turns with the other program and quote ratios.
"""

import argparse
import functools
import json
import multiprocessing
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

# The networks.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "pytorch"))


class Program:
    """One variant: a network and a mini-batch. `steps()` are functions that together work once on every child.

    A space gives `network(arguments)`, `forward(child)`, `children`, the choices and, by device, the default variants.
    """

    def __init__(self, arguments, variant):
        self.choices = set(variant.split("+")) - {"eager"}
        if unknown := self.choices - self.known_choices:
            known = ", ".join(sorted(self.known_choices))
            raise SystemExit(f"{arguments.work} has no choice {', '.join(sorted(unknown))}; there are eager, {known}")
        if "graph" in self.choices and arguments.device != "cuda":
            raise SystemExit("graph needs --device cuda")
        self.device, self.batch = arguments.device, arguments.batch
        self.bf16, self.graph = "bf16" in self.choices, "graph" in self.choices
        self.children = self.children[: arguments.children]

        torch.manual_seed(0)
        self.model = self.network(arguments).to(self.device)
        self.images = torch.randn((self.batch, arguments.image_channels, arguments.size, arguments.size), device=self.device)
        self.labels = torch.randint(0, 10, (self.batch,), device=self.device)
        if "channels_last" in self.choices:
            self.model = self.model.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)

    def autocast(self):
        # A capture must not use casts of weights that were cached before it.
        return torch.autocast(self.device, torch.bfloat16, enabled=self.bf16, cache_enabled=not self.graph)

    def forward_multiplications(self, forward):
        """Multiply-adds of the layers that `forward` runs on one image, each with its number of passes in training: a gradient costs a forward each,
        and the first convolution has one gradient only."""
        products = []

        def see(module, inputs, output):
            first = inputs[0] is self.images
            products.append((module.weight[0].numel() * output.numel(), 2 if first else 3))

        layers = [module for module in self.model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
        handles = [layer.register_forward_hook(see) for layer in layers]
        mini_batch, self.images = self.images, self.images[:1]
        with torch.no_grad():
            forward()
        self.images = mini_batch
        for handle in handles:
            handle.remove()
        return products

    def run(self):
        """A function that works once on every child."""
        if self.graph:
            graphs = self.capture(self.steps())
            return lambda: [graph.replay() for graph in graphs]
        steps = self.steps()
        return lambda: [step() for step in steps]

    def capture(self, steps):
        """A CUDA graph for every step, in one memory pool."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for step in steps * 2:
                step()
        torch.cuda.current_stream().wait_stream(side)
        graphs, pool = [], torch.cuda.graph_pool_handle()
        for step in steps:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                step()
            graphs.append(graph)
        return graphs


class Training(Program):
    """A step on every child: forward, backward, an update of the parameters that the child has."""

    def __init__(self, arguments, variant):
        super().__init__(arguments, variant)
        self.model.eval()  # Counting must not move the running statistics.
        products = self.forward_multiplications(lambda: [self.forward(child) for child in self.children])
        self.gflops_per_image = 2e-9 * sum(count * passes for count, passes in products) / len(self.children)
        self.model.train()
        self.apply_choices()
        # The fused update is one call; it wants every momentum to exist (zero is where a momentum starts).
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.025, fused=True, **self.sgd)
        for parameter in self.model.parameters():
            self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            if self.graph:
                parameter.grad = torch.zeros_like(parameter)

    def apply_choices(self):
        """What the variant changes in the network."""

    def steps(self):
        return [functools.partial(self.step, child) for child in self.children]

    def step(self, child):
        # Captured graphs hold the addresses of the gradients.
        self.optimizer.zero_grad(set_to_none=not self.graph)
        with self.autocast():
            logits = self.forward(child)
        functional.cross_entropy(logits.float(), self.labels).backward()
        self.optimizer.step()


class Evaluation(Program):
    """The logits of every child."""

    def __init__(self, arguments, variant):
        super().__init__(arguments, variant)
        self.model.eval()
        self.fold()
        products = self.forward_multiplications(lambda: [step() for step in self.steps()])
        self.gflops_per_image = 2e-9 * sum(count for count, _ in products) / len(self.children)
        self.apply_choices()

    def fold(self):
        """What the variant changes in the network before its work is counted."""

    def apply_choices(self):
        """What it changes after."""

    def steps(self):
        if "shared" in self.choices:
            return [self.evaluate_sharing]
        return [functools.partial(self.evaluate, child) for child in self.children]

    @torch.inference_mode()
    def evaluate(self, child):
        with self.autocast():
            return self.forward(child)


def images_per_second(program, repeats, seconds, wait_for_others):
    """One figure a repeat of at least `seconds`, after a warm-up."""
    steps = program.steps()
    # Every shape is in a few children; compiled candidates must all have been compiled.
    for step in steps if "compile" in program.choices else steps[::5]:
        step()
    run = program.run()
    rates = []
    for _ in range(repeats):
        synchronize(program.device)
        wait_for_others()
        images, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            run()
            synchronize(program.device)
            images += len(program.children) * program.batch
        rates.append(images / elapsed)
    return rates


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


def copy_gigabytes_per_second(device):
    """The best of a few copies that no cache holds."""
    numbers = 2**28 if device == "cuda" else 2**25
    source, target = (torch.zeros(numbers, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        synchronize(device)
        started = time.perf_counter()
        target.copy_(source)
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 1e-9 * 2 * source.nbytes / best


def measure(arguments, variant, wait_for_others):
    """The variant's figures, and its images/s of every repeat apart: those of several processes are added."""
    program = arguments.programs[arguments.work](arguments, variant)
    rates = images_per_second(program, arguments.repeats, arguments.seconds, wait_for_others)
    gflops = gemm_gflops(arguments.device, torch.bfloat16 if program.bf16 else torch.float32)
    result = {
        "peer": "torch",
        "version": torch.__version__,
        "space": arguments.space,
        "work": arguments.work,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
        "processes": arguments.processes,
        "threads": torch.get_num_threads(),
        "variant": variant,
        "size": arguments.size,
        "channels": arguments.channels,
        "cells": arguments.cells,
        "image_channels": arguments.image_channels,
        "batch": arguments.batch,
        "children": len(program.children),
        "gemm_gflops": figure(gflops),
        "copy_gigabytes_per_second": figure(copy_gigabytes_per_second(arguments.device)),
        "floor_images_per_second": figure(gflops / program.gflops_per_image),
    }
    return result, rates


def print_result(result, rates):
    figures = {"median": statistics.median(rates), "min": min(rates), "max": max(rates)}
    print(json.dumps(result | {"images_per_second": {name: figure(rate) for name, rate in figures.items()}}), flush=True)


def work(arguments, variants, barrier, results):
    """One of several processes."""
    prepare(arguments)
    for variant in variants:
        results.put(measure(arguments, variant, barrier.wait))


def prepare(arguments):
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.benchmark = True


def measure_side_by_side(arguments, variants):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(arguments.processes)
    queues = [context.SimpleQueue() for _ in range(arguments.processes)]
    processes = [context.Process(target=work, args=(arguments, variants, barrier, queue), daemon=True) for queue in queues]
    for process in processes:
        process.start()
    for _ in variants:
        pairs = [queue.get() for queue in queues]
        print_result(pairs[0][0], [sum(rates) for rates in zip(*(rates for _, rates in pairs))])
    for process in processes:
        process.join()


def main(space, description, cells, training, evaluation):
    """Parses the command line of a space's program and measures."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", choices=["training", "evaluation"], default="training")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--size", type=int, default=32, help="height and width of an image")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=cells)
    parser.add_argument("--image-channels", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--children", type=int, help="the first so many (all); torch.compile takes a while for each")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="shortest repeat")
    parser.add_argument("--threads", type=int, help="threads of PyTorch (its own choice)")
    parser.add_argument("--processes", type=int, default=1, help="networks side by side, each with its own threads")
    parser.add_argument("--variants", help="comma-separated, e.g. eager,channels_last+bf16 (all)")
    arguments = parser.parse_args()
    arguments.space, arguments.programs = space, {"training": training, "evaluation": evaluation}
    program = arguments.programs[arguments.work]
    variants = arguments.variants.split(",") if arguments.variants else program.default_variants[arguments.device]
    if arguments.processes > 1:
        measure_side_by_side(arguments, variants)
        return
    prepare(arguments)
    for variant in variants:
        print_result(*measure(arguments, variant, wait_for_others=lambda: None))

