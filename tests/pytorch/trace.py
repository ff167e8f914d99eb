"""Makes trace folders for `crosstalk replay DIR` from our own PyTorch model: `python tests/pytorch/trace.py [--out FOLDER] [NAME ...]`.

A trace is a PyTorch training run that another program can repeat. Its folder holds

    trace.toml                    the run's configuration, and that of the evaluation
    init.safetensors              the initial state, official names, buffers included
    steps.csv                     step,child,loss,accuracy          from 0; before the step's update; of a search without child, and alpha_loss
    batches.csv                   step,position,image               with `order = "explicit"`
    batches_alpha.csv             step,position,image               likewise, of a search: the mini-batches of the architecture parameters
    alphas.safetensors            of a search: architecture parameters [steps + 1, edges, candidates], before the first step and after every one
    gradients/CHILD.safetensors   at the initial state, on the first mini-batch, raw; no key = unused parameter
    gradients/batch.csv           position,image                    if they were taken on other images
    final.safetensors             the state after the last step
    eval.csv                      child,norm,loss,accuracy,correct
    predictions.safetensors       child/norm -> class per image, I64

Losses are means over the images of a mini-batch (of the evaluation: over all its images), accuracies shares of 1. `norm = batch`
uses the statistics of each evaluation batch; `running` the running ones.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

import architecture
import digits
from model import CHILDREN, initialize
from supernets import ALL_CHILDREN, supernet
from ties import TieWatch, logit_margin
from traces import TRACES

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "traces"
LEARNING_RATE, MOMENTUM = 0.025, 0.9
EVALUATION_IMAGES = (1437, 1797)


class Data:
    """The digits through the pixel table, in f64."""

    def __init__(self):
        images, labels = digits.load()
        self.mean, self.deviation = digits.mean_and_deviation(images[: digits.TRAINING_IMAGES])
        table = digits.pixel_table(self.mean, self.deviation)
        self.pixels = torch.from_numpy(digits.normalize(images, table)).double()
        self.labels = torch.from_numpy(labels)

    def take(self, indices):
        indices = torch.as_tensor(indices)
        return self.pixels[indices], self.labels[indices]


class Search:
    """Architecture parameters, and their Adam: first-order DARTS."""

    LEARNING_RATE, BETAS, WEIGHT_DECAY, PORTION = 3e-3, (0.5, 0.999), 1e-3, 0.5

    def __init__(self, trace):
        self.alphas = architecture.draw(trace.space, trace.seed + 1000)
        self.optimizer = torch.optim.Adam(
            self.alphas.values(), lr=self.LEARNING_RATE, betas=self.BETAS, weight_decay=self.WEIGHT_DECAY, foreach=False
        )
        self.values = {name: [] for name in self.alphas}
        self.keep()

    def keep(self):
        for name, tensor in self.alphas.items():
            self.values[name].append(tensor.detach().clone())

    def gates(self):
        return architecture.gates(self.alphas).detach()

    def step(self, model, pixels, labels):
        """Loss before the update. The forward pass moves the running statistics of the model, whose weights stay."""
        model.train()
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(model(pixels, architecture.gates(self.alphas)), labels)
        loss.backward()
        self.optimizer.step()
        self.keep()
        return loss.item()


class Training:
    """Training of one child a step, or of a mixture, with the SGD of `trace`."""

    def __init__(self, trace, model, data):
        self.trace, self.model, self.data = trace, model, data
        self.optimizer = torch.optim.SGD(
            model.parameters(),
            lr=LEARNING_RATE,
            momentum=MOMENTUM,
            weight_decay=trace.weight_decay,
            nesterov=trace.nesterov,
            foreach=False,
        )

    def step(self, child, indices):
        """Loss and accuracy before the update."""
        self.model.train()
        pixels, labels = self.data.take(indices)
        # Zeros, as in PyTorch 1: momentum and weight decay go on moving whatever once had a gradient. None, as in PyTorch 2: they do not.
        self.optimizer.zero_grad(set_to_none=self.trace.unsampled == "skip")
        logits = self.model(pixels, child)
        loss = functional.cross_entropy(logits, labels)
        loss.backward()
        if self.trace.clip_norm < float("inf"):
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.trace.clip_norm)
        self.optimizer.step()
        return loss.item(), (logits.argmax(1) == labels).sum().item() / len(labels)


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def store(path, tensors, dtype=torch.float64):
    tensors = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def initial_model(trace, data):
    """Drawn weights, trained by the warm-up, rounded to the stored type."""
    model = supernet(trace.space, trace.channels, trace.cells, 10, 1, bias=trace.bias)
    initialize(model, trace.seed)
    training = Training(trace, model, data)
    for step in range(trace.warm_up_steps):
        indices = (step * 32 + np.arange(32)) % trace.train_images
        training.step(CHILDREN[step * 13 % len(CHILDREN)], indices)
    state = {name: t.to(trace.stored).double() if t.is_floating_point() else t for name, t in model.state_dict().items()}
    model.load_state_dict(state)
    model.zero_grad(set_to_none=True)
    return model


def choose_batch(trace, model, data, random, step, child, part):
    """Indices of the step's images, in file order those of `part`, and how far they stay from ties."""
    if trace.order == "file":
        first, end = part
        return first + (step * trace.batch + np.arange(trace.batch)) % (end - first), None
    if trace.tie_margin == 0:
        return random.choice(trace.train_images, trace.batch, replace=False), None
    state = state_of(model)
    for _ in range(5000):
        indices = random.choice(trace.train_images, trace.batch, replace=False)
        pixels, _ = data.take(indices)
        with TieWatch(model.train()) as watch, torch.no_grad():
            logits = model(pixels, child)
        # The forward pass has moved the running statistics.
        model.load_state_dict(state)
        if (trace.copies or watch.equal_taps == 0) and watch.margin > trace.tie_margin and logit_margin(logits) > 1e-2:
            return indices, watch.margin
    raise SystemExit(f"{trace.name}: no mini-batch away from ties at step {step}")


def gradients(model, child, pixels, labels):
    """Raw gradients of the used parameters; the model is left as it was."""
    state = state_of(model)
    model.train()
    model.zero_grad(set_to_none=True)
    functional.cross_entropy(model(pixels, child), labels).backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad(set_to_none=True)
    model.load_state_dict(state)
    return found


def logits_under(model, data, child, norm, batch):
    """Logits of the evaluation images [images, classes]; the model is left as it was."""
    state = state_of(model)
    model.train(norm == "batch")
    first, end = EVALUATION_IMAGES
    with torch.no_grad():
        parts = [model(data.pixels[start : min(start + batch, end)], child) for start in range(first, end, batch)]
    model.load_state_dict(state)
    return torch.cat(parts)


def evaluate(trace, model, data):
    """Rows of eval.csv, predictions, and how near the two largest logits came to each other."""
    labels = data.labels[slice(*EVALUATION_IMAGES)]
    rows, predictions, margin = [], {}, float("inf")
    for child in trace.evaluated_children or ALL_CHILDREN[trace.space]:
        for norm in ("running", "batch"):
            logits = logits_under(model, data, child, norm, trace.evaluation_batch)
            predicted = logits.argmax(1)
            correct = (predicted == labels).sum().item()
            loss = functional.cross_entropy(logits, labels).item()
            rows.append((child, norm, repr(loss), repr(correct / len(labels)), correct))
            predictions[f"{child}/{norm}"] = predicted
            margin = min(margin, logit_margin(logits))
    return rows, predictions, margin


def configuration(trace, data):
    def numbers(values):
        # All digits of the f32 value, so that reading it as f64 first changes nothing.
        return "[" + ", ".join(repr(float(value)) for value in values) + "]"

    children = ", ".join(f'"{child}"' for child in trace.children)
    step = 'children = "mixture"' if trace.search else f'children = "cycle"\norder = [{children}]'
    search = f"""
[architecture]
learning_rate = {Search.LEARNING_RATE}
betas = [{Search.BETAS[0]}, {Search.BETAS[1]}]
weight_decay = {Search.WEIGHT_DECAY}
portion = {Search.PORTION}
"""
    options = "untied_cells = true\n" * trace.untied + "convolution_bias = true\n" * trace.bias
    clip_norm = f"clip_norm = {trace.clip_norm}\n" if trace.clip_norm < float("inf") else ""
    return f"""name = "{trace.name}"
precision = "f64"
steps = {trace.steps}

[network]
space = "{trace.space}"
channels = {trace.channels}
cells = {trace.cells}
{options}
[data]
source = "digits"
mean = {numbers(data.mean)}
std = {numbers(data.deviation)}
order = "{trace.order}"
train_images = {trace.train_images}
batch = {trace.batch}

[augmentation]
crop_padding = 0
flip = false

[step]
{step}

[optimizer]
learning_rate = {LEARNING_RATE}
schedule = "constant"
momentum = {MOMENTUM}
weight_decay = {trace.weight_decay}
nesterov = {str(trace.nesterov).lower()}
{clip_norm}unsampled = "{trace.unsampled}"
{search if trace.search else ""}
[evaluation]
images = [{EVALUATION_IMAGES[0]}, {EVALUATION_IMAGES[1]}]
batch = {trace.evaluation_batch}
weights = "{trace.evaluated_weights}"
"""


def make(trace, data, folder):
    """Trains and writes one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model = initial_model(trace, data)
    store(folder / "init.safetensors", model.state_dict(), trace.stored)
    if trace.evaluated_weights == "init":
        evaluation = evaluate(trace, model, data)

    training, random = Training(trace, model, data), np.random.RandomState(trace.seed)
    search = Search(trace) if trace.search else None
    border = int(Search.PORTION * trace.train_images) if trace.search else trace.train_images
    steps, batches, alpha_batches, margins = [], [], [], []
    for step in range(trace.steps):
        child, alpha_loss = trace.children[step % len(trace.children)], ()
        if search:
            part = (border, trace.train_images)
            indices, margin = choose_batch(trace, model, data, random, step, search.gates(), part)
            alpha_loss = (repr(search.step(model, *data.take(indices))),)
            alpha_batches += [(step, position, image) for position, image in enumerate(indices)]
            margins.append(margin)
            child = search.gates()
        indices, margin = choose_batch(trace, model, data, random, step, child, (0, border))
        if step == 0:
            write_gradients(trace, model, data, indices, folder)
        loss, accuracy = training.step(child, indices)
        assert np.isfinite(loss), f"{trace.name}: loss {loss} at step {step}"
        steps.append((step, "" if search else child, repr(loss), repr(accuracy), *alpha_loss))
        batches += [(step, position, image) for position, image in enumerate(indices)]
        margins.append(margin)
    store(folder / "final.safetensors", model.state_dict())
    if search:
        store(folder / "alphas.safetensors", {name: torch.stack(values) for name, values in search.values.items()})
    if trace.evaluated_weights != "init":
        evaluation = evaluate(trace, model, data)
    rows, predictions, nearest_logits = evaluation

    (folder / "trace.toml").write_text(configuration(trace, data))
    write_csv(folder / "steps.csv", "step,child,loss,accuracy" + ",alpha_loss" * trace.search, steps)
    if trace.order == "explicit":
        write_csv(folder / "batches.csv", "step,position,image", batches)
    if trace.order == "explicit" and search:
        write_csv(folder / "batches_alpha.csv", "step,position,image", alpha_batches)
    write_csv(folder / "eval.csv", "child,norm,loss,accuracy,correct", rows)
    if trace.predictions:
        store(folder / "predictions.safetensors", predictions)
    best = max(int(row[4]) for row in rows if row[1] == "batch")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    near = f", {min(margins):.1e} from ties" if trace.tie_margin else ""
    print(f"{trace.name}: loss {float(steps[0][2]):.3f} -> {float(steps[-1][2]):.3f}{near}, best child {best} of {len(predictions[rows[0][0] + '/batch'])} correct, ", end="")
    print(f"logits {nearest_logits:.1e} apart, {size:,} bytes")


def write_gradients(trace, model, data, first_batch, folder):
    if not trace.gradient_children:
        return
    (folder / "gradients").mkdir(exist_ok=True)
    if trace.gradient_images:
        rows = list(enumerate(trace.gradient_images))
        write_csv(folder / "gradients" / "batch.csv", "position,image", rows)
    pixels, labels = data.take(trace.gradient_images or first_batch)
    for child in trace.gradient_children:
        store(folder / "gradients" / f"{child}.safetensors", gradients(model, child, pixels, labels))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="traces to make (all)")
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER)
    arguments = parser.parse_args()
    # More threads would add in another order.
    torch.set_num_threads(1)
    known = {trace.name for trace in TRACES}
    if unknown := set(arguments.names) - known:
        parser.error(f"no trace is named {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    data = Data()
    for trace in TRACES:
        if not arguments.names or trace.name in arguments.names:
            make(trace, data, arguments.out / trace.name)


if __name__ == "__main__":
    main()
