"""Repeats traces from nothing but their folders and prints how far PyTorch itself deviates: `python tests/pytorch/check.py [--f32] FOLDER ...`.

In f64 a deviation beyond 1e-9 is an error: the folder would not say all that the run depends on. In f32 the deviations are the spread that f32 alone
shows, which a tolerance for an f32 program has to allow; on a trace away from ties, beyond 1e-4 is an error. Errors of tensors are
||a - b|| / max(||b||, 1e-6 * ||all tensors of the file||), those of losses relative.
"""

import argparse
import csv
import sys
import tomllib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

import architecture
import digits
from supernets import supernet


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def error_of_tensors(found, expected):
    """The largest error and its name."""
    norm = {name: tensor.double().norm().item() for name, tensor in expected.items()}
    floor = 1e-6 * sum(value**2 for value in norm.values()) ** 0.5
    errors = {
        name: (found[name].double() - tensor.double()).norm().item() / max(norm[name], floor, 1e-300)
        for name, tensor in expected.items()
    }
    return max((error, name) for name, error in errors.items())


class Replay:
    def __init__(self, folder, precision):
        self.folder, self.precision = folder, precision
        self.run = tomllib.loads((folder / "trace.toml").read_text())
        images, labels = digits.load()
        table = digits.pixel_table(self.run["data"]["mean"], self.run["data"]["std"])
        self.pixels = torch.from_numpy(digits.normalize(images, table)).to(precision)
        self.labels = torch.from_numpy(labels)
        network = self.run["network"]
        bias = network.get("convolution_bias", False)
        model = supernet(network["space"], network["channels"], network["cells"], 10, 1, bias=bias)
        self.model = model.to(precision)
        self.load("init.safetensors")
        self.steps = read_csv(folder / "steps.csv")
        self.search = self.run["step"]["children"] == "mixture"
        images = self.run["data"]["train_images"]
        border = int(self.run["architecture"]["portion"] * images) if self.search else images
        self.batches = self.read_batches("batches.csv", 0, border)
        self.alpha_batches = self.read_batches("batches_alpha.csv", border, images) if self.search else None

    def load(self, name):
        self.model.load_state_dict(load_file(self.folder / name))

    def read_batches(self, name, first, end):
        data = self.run["data"]
        if data["order"] == "explicit":
            rows = read_csv(self.folder / name)
            batches = [[] for _ in self.steps]
            for row in rows:
                assert int(row["position"]) == len(batches[int(row["step"])])
                batches[int(row["step"])].append(int(row["image"]))
            return batches
        size = data["batch"]
        return [first + (step * size + np.arange(size)) % (end - first) for step in range(len(self.steps))]

    def loss(self, child, images):
        images = torch.as_tensor(np.asarray(images))
        return functional.cross_entropy(self.model(self.pixels[images], child), self.labels[images])

    def gradients(self):
        batch_file = self.folder / "gradients" / "batch.csv"
        images = [int(row["image"]) for row in read_csv(batch_file)] if batch_file.exists() else self.batches[0]
        for path in sorted((self.folder / "gradients").glob("*.safetensors")):
            self.load("init.safetensors")
            self.model.train()
            self.model.zero_grad(set_to_none=True)
            self.loss(path.stem, images).backward()
            found = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
            expected = load_file(path)
            assert found.keys() == expected.keys(), f"{path}: other parameters are used"
            yield f"gradients/{path.stem}", *error_of_tensors(found, expected)
        self.model.zero_grad(set_to_none=True)
        self.load("init.safetensors")

    def train(self):
        settings = self.run["optimizer"]
        optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=settings["learning_rate"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
            nesterov=settings["nesterov"],
        )
        clip_norm = settings.get("clip_norm", float("inf"))
        self.model.train()
        worst = (0.0, "")
        alphas = self.alphas() if self.search else None
        for row, images in zip(self.steps, self.batches, strict=True):
            child = row["child"]
            if alphas:
                alpha_loss = next(alphas)
                worst = max(worst, (abs(alpha_loss / float(row["alpha_loss"]) - 1), f"alpha step {row['step']}"))
                child = architecture.gates(self.alpha_values).detach().to(self.precision)
            optimizer.zero_grad(set_to_none=settings["unsampled"] == "skip")
            loss = self.loss(child, images)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
            optimizer.step()
            worst = max(worst, (abs(loss.item() / float(row["loss"]) - 1), f"step {row['step']}"))
        yield "steps", *worst
        if alphas:
            yield "alphas", *self.alpha_error
        yield "final", *error_of_tensors(self.model.state_dict(), load_file(self.folder / "final.safetensors"))

    def alphas(self):
        """Moves the architecture parameters a step whenever it is asked for the loss before the step."""
        settings, expected = self.run["architecture"], load_file(self.folder / "alphas.safetensors")
        self.alpha_values = {name: torch.nn.Parameter(values[0].clone()) for name, values in expected.items()}
        # Their order in the file is that of their names, which is that of the edges.
        optimizer = torch.optim.Adam(
            self.alpha_values.values(),
            lr=settings["learning_rate"],
            betas=tuple(settings["betas"]),
            weight_decay=settings["weight_decay"],
        )
        self.alpha_error = (0.0, "")
        for step, images in enumerate(self.alpha_batches):
            optimizer.zero_grad()
            loss = self.loss(architecture.gates(self.alpha_values).to(self.precision), images)
            loss.backward()
            optimizer.step()
            now = {name: values[step + 1] for name, values in expected.items()}
            error, name = error_of_tensors(self.alpha_values, now)
            self.alpha_error = max(self.alpha_error, (error, f"{name} after step {step}"))
            yield loss.item()

    def evaluate(self):
        evaluation = self.run["evaluation"]
        if evaluation["weights"] != "replayed":
            self.load(f"{evaluation['weights']}.safetensors")
        first, end = evaluation["images"]
        starts, size = range(first, end, evaluation["batch"]), evaluation["batch"]
        path = self.folder / "predictions.safetensors"
        predictions = load_file(path) if path.exists() else {}
        state = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        worst, miscounted, mispredicted = (0.0, ""), 0, 0
        for row in read_csv(self.folder / "eval.csv"):
            self.model.load_state_dict(state)
            self.model.train(row["norm"] == "batch")
            with torch.no_grad():
                logits = torch.cat([self.model(self.pixels[s : min(s + size, end)], row["child"]) for s in starts])
            labels = self.labels[first:end]
            key = f"{row['child']}/{row['norm']}"
            loss = functional.cross_entropy(logits, labels).item()
            worst = max(worst, (abs(loss / float(row["loss"]) - 1), key))
            miscounted += (logits.argmax(1) == labels).sum().item() != int(row["correct"])
            if key in predictions:
                mispredicted += (logits.argmax(1) != predictions[key]).sum().item()
        yield "evaluation", *worst
        yield "correct counts that differ", miscounted, ""
        yield "predictions that differ", mispredicted, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--f32", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    for folder in arguments.folders:
        replay = Replay(folder, torch.float32 if arguments.f32 else torch.float64)
        tolerance = 1e-9
        if arguments.f32:
            tolerance = 1e-4 if "ties" in folder.name else float("inf")
        for part in (replay.gradients, replay.train, replay.evaluate):
            for what, error, where in part():
                beyond = error > tolerance
                failed |= beyond
                print(f"{folder.name:26} {what:28} {error:8.2g} {where}{'  BEYOND' if beyond else ''}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
