#!/usr/bin/env python3
"""The GPU check: what must be run on a machine with a GPU, within nine minutes, from an unpacked bundle.

    ./run [OUT]

Needs a driver that knows CUDA 13 (580 or newer) and python3; no Rust, network or root. Writes OUT/SECTION.json (OUT is `results` unless given; it
must not exist) when a section ends, however it ends, and a table. compute-sanitizer, ncu and PyTorch are used where they are. Exits with 0
only if there is a GPU and nothing that was run failed or ran out of time.
"""

import sys
import traceback
from pathlib import Path

import correctness
import speed
import table
from section import Section

# In this order, with seconds; together less than nine minutes.
SECTIONS = {
    "devices": (correctness.devices, 10),
    "tests": (correctness.tests, 110),
    "training": (correctness.training, 60),
    "sanitizer": (correctness.sanitizer, 90),
    "throughput": (speed.throughput, 200),
    "kernels": (speed.kernels, 60),
}


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "results").resolve()
    if out.exists():
        sys.exit(f"{out} exists: name a folder that does not")
    out.mkdir(parents=True)
    statuses, lacking = [], None
    for name, (work, seconds) in SECTIONS.items():
        print(f"{name} (at most {seconds} s) ...", flush=True)
        section = Section(out, name, seconds)
        try:
            if lacking:
                section.end("not run", lacking)
            else:
                work(section)
        except Exception as error:
            section.end("failed", f"{type(error).__name__}: {error}")
            section.figures["traceback"] = traceback.format_exc()
        finally:
            if section.status == "running":
                section.end("failed", "interrupted")
            section.write()
        if name == "devices" and section.status != "passed":
            lacking = f"no device to run on ({section.why})"
        statuses.append(section.status)
    print()
    print("\n".join(table.lines(out, SECTIONS)))
    print(f"\nEverything is in {out}")
    sys.exit(1 if lacking or {"failed", "timed out"} & set(statuses) else 0)


if __name__ == "__main__":
    main()
