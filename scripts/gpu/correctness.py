"""Sections that pass or fail: devices, the tests that need a GPU, training, compute-sanitizer."""

import glob
import re
import shutil
import subprocess
from pathlib import Path

from section import PROGRAM, ROOT

TESTS = ROOT / "bin" / "tests"
TOOLS = ["memcheck", "racecheck", "initcheck"]
# Every candidate of every edge, of two spaces that have all kinds of stages together, on a few of the embedded digits.
SANITIZED = {
    "nasbench201": ["network.cells=1", "network.channels=8"],
    "darts": ["network.cells=3", "network.channels=8"],
}


def devices(section):
    """Passes if there is a GPU that the kernels can run on."""
    record = section.run("crosstalk devices", [PROGRAM, "devices"])
    text = Path(record["log"]).read_text()
    absent = re.search(r"^(?:GPU|Kernels for GPUs): (none; .*)$", text, re.M)
    if record["exit"] != 0:
        section.end("failed", "crosstalk devices does not run on this machine: " + text.strip()[-200:])
    elif absent:
        section.end("failed", absent.group(0))
    else:
        section.figures["gpus"] = re.findall(r"^  \d+: (.*)$", text, re.M)
        section.end("passed")


def run_tests(section, binary):
    """Every test of a binary that needs a GPU, in a process of its own: a GPU that one leaves in error is not the next one's."""
    listed = subprocess.run([TESTS / binary, "--list", "--ignored", "on_a_gpu"], capture_output=True, text=True, timeout=20).stdout
    names = re.findall(r"^(\S+): test$", listed, re.M)
    if not names:
        raise RuntimeError(f"{binary} has no test that needs a GPU")
    for name in names:
        section.run(f"{binary} {name}", [TESTS / binary, "--ignored", "--exact", name, "--nocapture"], seconds=60)


def tests(section):
    for binary in ("devices", "cuda_kernels", "stages", "bf16_steps", "pytorch_network"):
        run_tests(section, binary)
    section.figures["passed"] = sum(record["exit"] == 0 for record in section.commands)
    section.figures["tests"] = len(section.commands)
    section.judge()


def training(section):
    run_tests(section, "gpu_training")
    section.figures["hashes"] = re.findall(r"state [0-9a-f]+.*", "\n".join(record["output"] for record in section.commands))
    section.judge()


def tool(name):
    """A program of the CUDA toolkit, which often is not in PATH."""
    patterns = [f"/usr/local/cuda*/bin/{name}", f"/usr/local/cuda*/*/{name}", f"/opt/nvidia/*/*/{name}", f"/opt/cuda*/bin/{name}"]
    return shutil.which(name) or next((path for pattern in patterns for path in sorted(glob.glob(pattern), reverse=True)), None)


def sanitizer(section):
    program = tool("compute-sanitizer")
    if not program:
        section.end("not run", "compute-sanitizer is not on this machine (it is part of the CUDA toolkit)")
        return
    for checked in TOOLS:
        for space, sizes in SANITIZED.items():
            for precision in ("f32", "bf16"):
                keys = [
                    f"network.space={space}",
                    *sizes,
                    f"precision={precision}",
                    "data.batch=3",
                    "data.train_images=12",
                    "data.evaluation_images=3",
                    "evaluation.batch=3",
                    "step.children=mixture",
                    "architecture.learning_rate=0.05",
                    "evaluation.children=derived",
                ]
                assignments = [word for key in keys for word in ("--set", key)]
                train = [PROGRAM, "train", ROOT / "scripts" / "gpu" / "tiny.toml", "--device", "cuda", "--steps", "1", *assignments]
                name = f"{checked} {space} {precision}"
                out = ["--out", section.scratch / name.replace(" ", "-")]
                section.run(name, [program, "--tool", checked, "--error-exitcode", "86", "--print-limit", "20", *train, *out], seconds=25)
    section.judge()
