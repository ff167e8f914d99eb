"""A section of the GPU check: commands within a time limit, and a JSON file that is whole whenever the section ends."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "bin" / "crosstalk"
# What tests built on another machine want to know: where their data and the program are.
ENVIRONMENT = {"CARGO_MANIFEST_DIR": str(ROOT), "CARGO_BIN_EXE_crosstalk": str(PROGRAM)}
TAIL = 4000


class Section:
    """`status` is passed, failed, timed out or not run; `missing` is what was left out, with the reasons."""

    def __init__(self, out, name, seconds):
        self.path, self.name, self.limit = Path(out) / f"{name}.json", name, seconds
        self.scratch = Path(out) / name
        self.status, self.why, self.missing, self.commands, self.figures = "running", None, [], [], {}
        self.began = time.monotonic()
        self.write()

    def left(self):
        return self.limit - (time.monotonic() - self.began)

    def run(self, what, command, seconds=None):
        """Runs a command and returns its record. Nothing that it started outlives the limit."""
        limit = min(self.left(), seconds or self.limit)
        record = {"what": what, "command": [str(word) for word in command], "exit": None, "timed_out": False}
        self.commands.append(record)
        if limit <= 1:
            record |= {"timed_out": True, "seconds": 0.0, "output": "not started: no time left"}
            return record
        self.scratch.mkdir(parents=True, exist_ok=True)
        log = self.scratch / f"{len(self.commands)}.log"
        began = time.monotonic()
        with log.open("wb") as sink:
            process = subprocess.Popen(
                record["command"],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self.scratch,
                env=os.environ | ENVIRONMENT,
                start_new_session=True,
            )
            try:
                record["exit"] = process.wait(limit)
            except subprocess.TimeoutExpired:
                record["timed_out"] = True
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
        record["seconds"] = round(time.monotonic() - began, 2)
        record["log"] = str(log)
        record["output"] = log.read_text(errors="replace")[-TAIL:]
        self.write()
        return record

    def judge(self):
        """Passed if every command was; else why not."""
        bad = [record for record in self.commands if record["timed_out"] or record["exit"] != 0]
        if not self.commands:
            self.end("not run", "there is nothing to run")
        elif not bad:
            self.end("passed")
        else:
            failed = [record for record in bad if not record["timed_out"]]
            names = ", ".join(record["what"] for record in failed or bad)
            self.end("failed" if failed else "timed out", f"{len(bad)} of {len(self.commands)}: {names}")

    def end(self, status, why=None):
        self.status, self.why = status, why

    def write(self):
        record = {
            "section": self.name,
            "status": self.status,
            "why": self.why,
            "seconds": round(time.monotonic() - self.began, 2),
            "limit_seconds": self.limit,
            "missing": self.missing,
            "figures": self.figures,
            "commands": self.commands,
        }
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1) + "\n")
        partial.replace(self.path)
