"""Throughput beside PyTorch, and figures of the costliest kernels."""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from correctness import tool
from section import PROGRAM, ROOT

# Presets on random images of CIFAR-10's shape (they do not matter for speed), with the PyTorch program that has the same network and batch.
CASES = {
    "paper": ("zhang64.py", ["--size", "32", "--channels", "16", "--cells", "4", "--batch", "256"]),
    "nasbench201": ("nasbench201.py", ["--size", "32", "--channels", "16", "--cells", "5", "--batch", "64"]),
    "darts": None,
}
VARIANTS = {
    "zhang64.py": ["eager", "channels_last+bf16", "graph", "channels_last+bf16+graph"],
    "nasbench201.py": ["eager", "channels_last+bf16+pruned", "pruned+graph", "channels_last+bf16+pruned+graph"],
}
COMPILED = ["compile", "channels_last+bf16+compile"]
COMPILE_SECONDS = 90
# Settings of crosstalk: precision and independent replicas side by side.
OURS = [("f32", 1), ("bf16", 1), ("bf16", 4)]
PILOT_STEPS = 32
MEASURED_SECONDS = 2.0
MOST_ROUNDS = 3
IMAGES = 4000

# Of the profile by kernel: every launch of the window is measured alone, in several passes.
WINDOW = ["--warm-up", "8", "--steps", "2"]


def random_images(folder):
    """A file in CIFAR-10's binary layout."""
    folder.mkdir(parents=True, exist_ok=True)
    records = bytearray(os.urandom(IMAGES * 3073))
    for label in range(0, len(records), 3073):
        records[label] %= 10
    path = folder / "random.bin"
    path.write_bytes(records)
    return path


def command(preset, images, precision, replicas, steps, out):
    keys = [
        f"precision={precision}",
        f"replicas={replicas}",
        'data.validation=held_out',
        "data.train_images=3600",
        "evaluation.at_end=false",
        f"evaluation.every_steps={steps + 1}",
        f"checkpoint.every_steps={steps}",
    ]
    assignments = [word for key in keys for word in ("--set", key)]
    return [PROGRAM, "train", preset, "--data", f"cifar10:{images}", "--device", "cuda", "--steps", steps, "--out", out, *assignments]


def ours(section, rates, costs, preset, images, precision, replicas):
    """Trains for about MEASURED_SECONDS; the pilot finds out how many steps these are."""
    name = f"crosstalk {precision}" + (f", {replicas} replicas" if replicas > 1 else "")
    steps = PILOT_STEPS
    for attempt in ("pilot", "measured"):
        out = section.scratch / f"run-{len(section.commands)}"
        record = section.run(f"{preset}: {name}, {attempt}", command(preset, images, precision, replicas, steps, out), seconds=25)
        printed = re.search(r"Trained (\d+) images in ([\d.]+) s: (\d+) images/s, ([\d.]+) GFLOP/s, at least ([\d.]+) GB/s", record["output"])
        if not printed:
            return
        trained, seconds, rate, gflops, gigabytes = map(float, printed.groups())
        steps = max(steps, int(steps * MEASURED_SECONDS / max(seconds, 0.05)))
    rates.setdefault(name, []).append(rate)
    costs[precision] = {"flops": gflops * 1e9 / rate, "bytes": gigabytes * 1e9 / rate}
    section.figures[preset]["batch"] = trained / replicas / int(record["command"][record["command"].index("--steps") + 1])


def peers(section, rates, machine, preset, variants, options=(), seconds=40):
    program, sizes = CASES[preset]
    words = [sys.executable, ROOT / "benches" / "peers" / program, "--device", "cuda", *sizes, *options]
    words += ["--variants", ",".join(variants), "--repeats", "1", "--seconds", "1"]
    record = section.run(f"{preset}: PyTorch, {', '.join(variants)}", words, seconds=seconds)
    for line in open(record["log"]) if "log" in record else ():
        if line.startswith("{"):
            result = json.loads(line)
            rates.setdefault(f"PyTorch {result['variant']}", []).append(result["images_per_second"]["median"])
            precision = "bf16" if "bf16" in result["variant"] else "f32"
            machine[f"gemm_gflops_{precision}"] = result["gemm_gflops"]
            machine["copy_gigabytes_per_second"] = result["copy_gigabytes_per_second"]
            machine["torch"] = result["version"]
    return record


def torch_is_here():
    found = subprocess.run(
        [sys.executable, "-c", "import numpy, torch; assert torch.cuda.is_available()"], capture_output=True, text=True, timeout=60
    )
    return None if found.returncode == 0 else (found.stderr.strip().splitlines() or ["it failed"])[-1]


def summarize(case, machine):
    """Medians, child-steps/s, ratios to the fastest PyTorch variant of the precision, and the floor of the cost model."""
    medians = {name: statistics.median(found) for name, found in case["images_per_second"].items()}
    case["median"] = medians
    case["child_steps_per_second"] = {
        name: round(rate / case["batch"], 2) for name, rate in medians.items() if "batch" in case and name.startswith("crosstalk")
    }
    case["ratio"], case["share_of_floor"], case["floor_images_per_second"] = {}, {}, {}
    for precision, cost in case["cost_of_an_image"].items():
        if gflops := machine.get(f"gemm_gflops_{precision}"):
            arithmetic = gflops * 1e9 / cost["flops"]
            traffic = machine["copy_gigabytes_per_second"] * 1e9 / cost["bytes"]
            case["floor_images_per_second"][precision] = round(min(arithmetic, traffic))
    for name, rate in medians.items():
        precision = "bf16" if "bf16" in name else "f32"
        if floor := case["floor_images_per_second"].get(precision):
            case["share_of_floor"][name] = round(rate / floor, 3)
        if name.startswith("crosstalk"):
            other = {peer: found for peer, found in medians.items() if peer.startswith("PyTorch") and ("bf16" in peer) == (precision == "bf16")}
            if other:
                best = max(other, key=other.get)
                case["ratio"][name] = {"to": best, "ratio": round(rate / other[best], 3)}


def throughput(section):
    images = random_images(section.scratch)
    lacking = torch_is_here()
    if lacking:
        section.missing.append(f"PyTorch's programs and the floor: python3 has no torch with CUDA and numpy ({lacking})")
    machine, costs, rounds, compiled = {}, {preset: {} for preset in CASES}, 0, bool(lacking)
    for preset in CASES:
        section.figures[preset] = {"images_per_second": {}, "cost_of_an_image": costs[preset]}
    section.figures["machine"] = machine
    longest = 0.0
    while rounds == 0 or (rounds < MOST_ROUNDS and section.left() > 1.2 * longest):
        began = time.monotonic()
        for preset, peer in CASES.items():
            rates = section.figures[preset]["images_per_second"]
            for precision, replicas in OURS:
                ours(section, rates, costs[preset], preset, images, precision, replicas)
            if peer and not lacking:
                peers(section, rates, machine, preset, VARIANTS[peer[0]])
        rounds, longest = rounds + 1, max(longest, time.monotonic() - began)
        if not compiled:
            compiled = True
            rates = section.figures["paper"]["images_per_second"]
            record = peers(section, rates, machine, "paper", COMPILED, ["--children", "4"], COMPILE_SECONDS)
            if record["timed_out"]:
                section.commands.remove(record)
                section.missing.append(f"torch.compile: not done within {COMPILE_SECONDS} s on four children: {record['what']}")
        if any(record["timed_out"] or record["exit"] for record in section.commands):
            break
    section.figures["rounds"] = rounds
    for preset in CASES:
        summarize(section.figures[preset], machine)
    section.judge()


def profile(section, what, words):
    """The JSON that `crosstalk profile` prints; None, and the section judged, where it prints none."""
    record = section.run(what, [PROGRAM, "profile", *words, "--json"])
    try:
        # A progress bar is not drawn into a file, so that all else is an error.
        return json.loads(Path(record["log"]).read_text())
    except (KeyError, ValueError):
        section.judge()
        return None


def kernels(section):
    """By `crosstalk profile` (docs/cuda.md): what to measure, the command lines, and the table are the program's."""
    program = tool("ncu")
    if not program:
        section.end("not run", "ncu is not on this machine (Nsight Compute is part of the CUDA toolkit)")
        return
    words = ["paper", "--data", f"cifar10:{random_images(section.scratch)}", "--device", "cuda", *WINDOW]
    for key in ("precision=bf16", "data.validation=held_out", "data.train_images=3600"):
        words += ["--set", key]
    window = profile(section, "the window alone", words)
    if not window:
        return
    section.figures["window"] = {key: number for key, number in window.items() if key != "commands"}
    facts = (window["predicted"] or {}).get("device")
    if not facts:
        facts = "h100"
        section.missing.append(f"floors of this GPU: the cost model does not know {window['device']}; those shown are of {facts}")
    measured = section.run("ncu", [program, *window["commands"]["ncu"][1:]])
    if "ERR_NVGPUCTRPERM" in measured["output"]:
        section.commands.remove(measured)
        section.end("not run", "ncu may not read the GPU's counters (ERR_NVGPUCTRPERM)")
        return
    if measured["exit"] == 0:
        exported = section.run("ncu, export", [program, *window["commands"]["ncu_csv"][1:]])
        if exported["exit"] == 0 and (table := profile(section, "table", [*words, "--ncu-csv", exported["log"], "--device-facts", facts])):
            costly = table["kernels"][:5]
            section.figures["share_of_five"] = round(sum(kernel["measured_seconds"] for kernel in costly) / table["measured_seconds"], 3)
            section.figures |= table
    section.judge()
