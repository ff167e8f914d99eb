"""Throughput beside PyTorch, and figures of the costliest kernels."""

import csv
import json
import os
import re
import statistics
import subprocess
import sys
import time

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

METRICS = {
    "gpu__time_duration.sum": "nanoseconds",
    "dram__bytes.sum": "dram_bytes",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed": "dram_percent",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed": "sm_percent",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "warps_percent",
}


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


def kernels(section):
    program = tool("ncu")
    if not program:
        section.end("not run", "ncu is not on this machine (Nsight Compute is part of the CUDA toolkit)")
        return
    train = command("paper", random_images(section.scratch), "bf16", 1, 6, section.scratch / "run")
    words = [program, "--csv", "--page", "raw", "--print-units", "base", "--metrics", ",".join(METRICS), "--launch-count", "500", *train]
    record = section.run("ncu", words)
    lines = open(record["log"], errors="replace").read().splitlines() if "log" in record else []
    start = next((at for at, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        if forbidden := next((line for line in lines if "ERR_NVGPUCTRPERM" in line), None):
            section.end("not run", forbidden)
        else:
            section.end("timed out" if record["timed_out"] else "failed", "ncu printed no table")
        return
    found = {}
    for row in csv.DictReader(lines[start:]):
        if not (row.get("ID") or "").isdigit():
            continue
        total = found.setdefault(row["Kernel Name"], {"launches": 0, "nanoseconds": 0.0, "dram_bytes": 0.0})
        numbers = {short: float((row.get(metric) or "0").replace(",", "")) for metric, short in METRICS.items()}
        total["launches"] += 1
        for short, number in numbers.items():
            weight = numbers["nanoseconds"] if short.endswith("percent") else 1.0
            total[short] = total.get(short, 0.0) + weight * number
    for total in found.values():
        for short in [short for short in total if short.endswith("percent")]:
            total[short] = round(total[short] / max(total["nanoseconds"], 1.0), 1)
        total["gigabytes_per_second"] = round(total["dram_bytes"] / max(total["nanoseconds"], 1.0), 1)
    costly = sorted(found.items(), key=lambda pair: -pair[1]["nanoseconds"])[:5]
    section.figures["share_of_five"] = round(sum(total["nanoseconds"] for _, total in costly) / sum(t["nanoseconds"] for t in found.values()), 3)
    section.figures["kernels"] = [{"kernel": name} | total for name, total in costly]
    section.judge()
