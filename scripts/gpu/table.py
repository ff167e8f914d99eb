"""The short table at the end of the GPU check, from its JSON files."""

import json
from pathlib import Path


def rows_of_case(name, case):
    yield f"  {name}: images/s (child-steps/s; ratio to the fastest PyTorch of its precision; share of the floor)"
    for variant, rate in case.get("median", {}).items():
        notes = []
        if steps := case["child_steps_per_second"].get(variant):
            notes.append(f"{steps:.1f} child-steps/s")
        if ratio := case["ratio"].get(variant):
            notes.append(f"{ratio['ratio']:.2f} x {ratio['to']}")
        if share := case["share_of_floor"].get(variant):
            notes.append(f"{share:.1%} of the floor")
        yield f"    {variant:44} {rate:10.0f}  {'; '.join(notes)}"


def lines(out, names):
    records = [json.loads((Path(out) / f"{name}.json").read_text()) for name in names]
    yield f"{'section':12} {'status':10} {'seconds':>8}  why"
    for record in records:
        yield f"{record['section']:12} {record['status']:10} {record['seconds']:8.1f}  {record['why'] or ''}".rstrip()
        for missing in record["missing"]:
            yield f"{'':12} left out: {missing}"
    figures = {record["section"]: record["figures"] for record in records}
    if gpus := figures["devices"].get("gpus"):
        yield "\nGPU: " + "; ".join(gpus)
    measured = {name: case for name, case in figures["throughput"].items() if isinstance(case, dict) and case.get("median")}
    if measured:
        yield f"\nThroughput, medians of {figures['throughput'].get('rounds', 0)} round(s); the machine: {figures['throughput']['machine']}"
        for name, case in measured.items():
            yield from rows_of_case(name, case)
    if costly := figures["kernels"].get("kernels"):
        yield f"\nCostliest kernels, {figures['kernels']['share_of_five']:.0%} of the time of all, beside the cost model of {figures['kernels']['device']}"
        for kernel in costly[:5]:
            rate = kernel["dram_bytes"] / kernel["measured_seconds"] / 1e9
            words = [f"{kernel['launches']:5} launches", f"{kernel['measured_seconds'] * 1e3:8.2f} ms", f"{rate:7.0f} GB/s"]
            for name, what in (("time_ratio", "x floor"), ("bytes_ratio", "x least bytes")):
                if kernel[name] is not None:
                    words.append(f"{kernel[name]:.2f} {what}")
            for name, what in (("dram", "DRAM"), ("multiprocessors", "SM"), ("occupancy", "warps"), ("tensor_cores", "tensor cores")):
                if kernel[f"{name}_percent"] is not None:
                    words.append(f"{kernel[f'{name}_percent']:.0f} % {what}")
            yield f"  {kernel['kernel']:40} " + ", ".join(words)
