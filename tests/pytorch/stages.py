"""Golden numbers of single stages in float64: the table of cases and the formulas.

A stage takes one or more concatenated segments, each the raw output of its producer, and computes

    segments (each through its producer's batch normalization if `normalize`) -> [ReLU] -> linear operation
      -> [batch normalization with the statistics of the batch]

The table of cases is `tests/cases.toml`, which describes its columns; those with `pytorch = true` are computed here,
and `stages.safetensors` holds its tensors (NCHW, PyTorch's layout of weights). Given, in F32, which is exact (everything given is drawn in f32 and
then computed with in f64):

    CASE/input.I                   raw output of producer I                            [batch, channels, height, width]
    CASE/input_gamma.I, CASE/input_beta.I     its scale and shift, if affine           [channels]
    CASE/weight.0                  convolution [out, in, k, k], depthwise [in, 1, k, k], first half [out / 2, in, 1, 1], head [classes, in]
    CASE/weight.1                  pointwise [out, in, 1, 1], second half [out / 2, in, 1, 1]
    CASE/gamma, CASE/beta          scale and shift of the output, if affine            [out]
    CASE/gate                      node: factor of every segment                       [segments]
    CASE/bias, CASE/labels         head: [classes]; I64 [batch]
    CASE/output_gradient           gradient of the loss by the normalized output (by the raw one where the stage has no normalization)

expected, in F64:

    CASE/input_mean.I, CASE/input_variance.I   statistics of producer I (biased), where it is normalized
    CASE/raw                       output of the operation; node: the sum of gate * segment
    CASE/mean, CASE/variance       its statistics (biased)                             [out]
    CASE/normalized                the output after its normalization, scale and shift included
    CASE/input_gradient.I          gradient by the *normalized* segment (scale and shift included), before the producer's own backward
    CASE/weight_gradient.0, .1; CASE/gamma_gradient, CASE/beta_gradient; CASE/gate_gradient; CASE/bias_gradient
    CASE/pooled, CASE/logits, CASE/loss [1], CASE/correct (I64 [1])       head: mean over pixels; mean cross-entropy; first maximum

Except in `max_pool_ties` and `max_pool_normalized_ties`, inputs of ReLUs and windows of max-pools stay away from ties by `MARGIN`.
"""

import tomllib
import zlib
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ties import pool_margin, relu_margin

MARGIN = 1e-4

TABLE = tomllib.loads((Path(__file__).resolve().parent.parent / "cases.toml").read_text())
EPSILON = TABLE["epsilon"]
LINEAR = ("convolution", "depthwise_separable", "factorized_reduce", "max_pool", "average_pool")


def segment(text):
    channels, _, normalization = text.partition(" ")
    return {"channels": int(channels), "normalize": normalization != "stored", "affine": normalization == "affine"}


def complete(row):
    """A row of the table with its defaults."""
    kernel, dilation = row.get("kernel", 1), row.get("dilation", 1)
    normalization = row.get("normalization", "plain") if row["operation"] in LINEAR else "none"
    return {
        "batch": 3,
        "relu": False,
        "kernel": kernel,
        "stride": 2 if row["operation"] == "factorized_reduce" else 1,
        "dilation": dilation,
        "padding": dilation * (kernel // 2),
        "ties": False,
        **row,
        "normalization": normalization,
        "segments": [segment(text) for text in row["segments"]],
    }


def table_of_cases():
    return [complete(row) for row in TABLE["cases"] if row.get("pytorch")]


def given(case, attempt):
    """Everything that the stage is given, drawn in f32 from the case's name."""
    random = np.random.RandomState(zlib.crc32(case["name"].encode()) % 2**31 + attempt)

    def normal(*shape, scale=1.0, shift=0.0):
        return torch.from_numpy((scale * random.randn(*shape) + shift).astype(np.float32).astype(np.float64))

    batch, size, outputs = case["batch"], case["size"], case["outputs"]
    inputs = sum(segment["channels"] for segment in case["segments"])
    tensors = {}
    for index, segment in enumerate(case["segments"]):
        channels = segment["channels"]
        # Every channel has a mean and a deviation of its own, so that a missing normalization shows.
        spread = np.exp(0.5 * random.randn(channels))[:, None, None]
        offset = random.randn(channels)[:, None, None]
        tensors[f"input.{index}"] = normal(batch, channels, *size, scale=spread, shift=offset)
        if case["ties"]:
            tensors[f"input.{index}"] = torch.from_numpy(random.randint(-2, 3, (batch, channels, *size)).astype(np.float64))
        if segment["affine"]:
            tensors[f"input_gamma.{index}"] = normal(channels, scale=0.3, shift=1.0)
            tensors[f"input_beta.{index}"] = normal(channels, scale=0.3)
    kind = case["operation"]
    if kind == "convolution":
        kernel = case["kernel"]
        tensors["weight.0"] = normal(outputs, inputs, kernel, kernel, scale=(inputs * kernel**2) ** -0.5)
    elif kind == "depthwise_separable":
        tensors["weight.0"] = normal(inputs, 1, case["kernel"], case["kernel"], scale=1 / case["kernel"])
        tensors["weight.1"] = normal(outputs, inputs, 1, 1, scale=inputs**-0.5)
    elif kind == "factorized_reduce":
        for name in ("weight.0", "weight.1"):
            tensors[name] = normal(outputs // 2, inputs, 1, 1, scale=inputs**-0.5)
    elif kind == "node":
        tensors["gate"] = normal(len(case["segments"]), scale=0.5, shift=0.5)
    elif kind == "head":
        tensors["weight.0"] = normal(outputs, inputs, scale=0.5)
        tensors["bias"] = normal(outputs, scale=0.3)
        tensors["labels"] = torch.from_numpy(random.randint(0, outputs, batch).astype(np.int64))
    if case["normalization"] == "affine":
        tensors["gamma"] = normal(outputs, scale=0.3, shift=1.0)
        tensors["beta"] = normal(outputs, scale=0.3)
    if kind != "head":
        height, width = (output_size(case, size) for size in size)
        tensors["output_gradient"] = normal(batch, outputs, height, width)
    return tensors


def output_size(case, size):
    if case["operation"] == "node":
        return size
    reach = case["dilation"] * (case["kernel"] - 1)
    return (size + 2 * case["padding"] - reach - 1) // case["stride"] + 1


def statistics(x):
    return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)


def normalize(x, gamma=None, beta=None):
    return functional.batch_norm(x, None, None, gamma, beta, training=True, eps=EPSILON)


def linear_operation(case, x, weights):
    kind = case["operation"]
    window = (case["stride"], case["padding"])
    if kind == "convolution":
        return functional.conv2d(x, weights[0], None, *window, case["dilation"])
    if kind == "depthwise_separable":
        depthwise = functional.conv2d(x, weights[0], None, *window, case["dilation"], groups=x.shape[1])
        return functional.conv2d(depthwise, weights[1])
    if kind == "factorized_reduce":
        halves = [functional.conv2d(x[:, :, first:, first:], weights[first], None, 2) for first in (0, 1)]
        return torch.cat(halves, 1)
    if kind == "max_pool":
        return functional.max_pool2d(x, case["kernel"], *window)
    return functional.avg_pool2d(x, case["kernel"], *window, count_include_pad=False)


def compute(case, tensors):
    """The expected tensors, and the distance from a tie."""
    expected, margin, kind = {}, float("inf"), case["operation"]
    segments = []
    for index, segment in enumerate(case["segments"]):
        x = tensors[f"input.{index}"]
        if segment["normalize"]:
            expected[f"input_mean.{index}"], expected[f"input_variance.{index}"] = statistics(x)
            x = normalize(x, tensors.get(f"input_gamma.{index}"), tensors.get(f"input_beta.{index}"))
        segments.append(x.clone().requires_grad_())
    leaves = {
        name: tensors[name].clone().requires_grad_()
        for name in ("weight.0", "weight.1", "gamma", "beta", "gate", "bias")
        if name in tensors
    }

    if kind == "node":
        raw = sum(gate * x for gate, x in zip(leaves["gate"], segments))
        expected["raw"] = raw
        raw.backward(tensors["output_gradient"])
    else:
        x = torch.cat(segments, 1)
        if case["relu"]:
            margin = relu_margin(x)
            x = functional.relu(x)
        if kind == "head":
            pooled = x.mean((2, 3))
            logits = functional.linear(pooled, leaves["weight.0"], leaves["bias"])
            loss = functional.cross_entropy(logits, tensors["labels"])
            loss.backward()
            correct = (logits.argmax(1) == tensors["labels"]).sum()
            expected |= {"pooled": pooled, "logits": logits, "loss": loss.reshape(1), "correct": correct.reshape(1)}
        else:
            if kind == "max_pool" and not case["ties"]:
                margin = pool_margin(x, case["stride"])[0]
            weights = [leaves[name] for name in ("weight.0", "weight.1") if name in leaves]
            raw = output = linear_operation(case, x, weights)
            expected["raw"] = raw
            if case["normalization"] != "none":
                expected["mean"], expected["variance"] = statistics(raw)
                output = expected["normalized"] = normalize(raw, leaves.get("gamma"), leaves.get("beta"))
            output.backward(tensors["output_gradient"])

    for index, x in enumerate(segments):
        expected[f"input_gradient.{index}"] = x.grad
    for name, leaf in leaves.items():
        base, dot, index = name.partition(".")
        expected[f"{base}_gradient{dot}{index}"] = leaf.grad
    return {name: tensor.detach().clone() for name, tensor in expected.items()}, margin


def golden_stages():
    """All tensors by name."""
    everything = {}
    for case in table_of_cases():
        for attempt in range(1000):
            tensors = given(case, attempt)
            expected, margin = compute(case, tensors)
            if margin > MARGIN:
                break
        else:
            raise SystemExit(f"{case['name']}: no inputs away from ties found")
        for name, tensor in tensors.items():
            everything[f"{case['name']}/{name}"] = tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in expected.items():
            everything[f"{case['name']}/{name}"] = tensor
    return everything
