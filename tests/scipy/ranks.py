"""Rank correlations of SciPy for `tests/rank_goldens.rs`; see README.md."""

import json
import math
import pathlib
import warnings

import numpy
import scipy.stats

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens" / "ranks.json"

SHORT = {
    "rising": ([1, 2, 3, 4, 5], [2, 3, 5, 7, 11]),
    "falling": ([1, 2, 3, 4, 5], [11, 7, 5, 3, 2]),
    "two_items": ([0.5, 0.25], [1, 2]),
    "one_item": ([0.5], [1]),
    "ties_on_one_side": ([1, 1, 2, 2, 3], [5, 4, 3, 2, 1]),
    "ties_on_both_sides": ([1, 1, 2, 2, 3, 3], [1, 2, 2, 2, 1, 3]),
    "tied_together": ([1, 1, 2, 3], [4, 4, 5, 5]),
    "constant_first": ([0.1, 0.1, 0.1], [1, 2, 3]),
    "constant_second": ([1, 2, 3], [0.1, 0.1, 0.1]),
    "constant_both": ([1, 1, 1], [2, 2, 2]),
    "signed_zeros": ([0.0, -0.0, 1.0, 2.0], [3, 1, 2, 4]),
    "accuracies": ([0.7014, 0.7852, 0.8112, 0.7985, 0.8112], [0.10, 0.35, 0.31, 0.35, 0.40]),
}

# name: rows, seed, levels of the first, levels of the second, weight of the first in the second
LONG = {
    "continuous": (15625, 1, 1 << 30, 1 << 30, 3),
    "many_ties": (15625, 2, 1000, 300, 1),
    "few_levels": (15625, 3, 7, 5, 2),
    "unrelated": (15625, 4, 1 << 30, 1 << 30, 0),
    "sixty_four": (64, 5, 40, 1 << 20, 1),
}


def draws(seed, count):
    """The upper 31 bits of a 64-bit linear congruential generator."""
    state = seed
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 33


def pair(rows, seed, first_levels, second_levels, weight):
    """A second series that is noise plus `weight` times the first."""
    numbers = list(draws(seed, 2 * rows))
    first = [numbers[2 * row] % first_levels for row in range(rows)]
    second = [
        numbers[2 * row + 1] % second_levels + weight * (first[row] * second_levels // first_levels)
        for row in range(rows)
    ]
    return first, second


def correlations(first, second):
    first, second = numpy.array(first, dtype=float), numpy.array(second, dtype=float)
    if len(first) < 2:
        return {"tau": None, "spearman": None, "pearson": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant input, whose result is NaN
        found = {
            "tau": scipy.stats.kendalltau(first, second).statistic,
            "spearman": scipy.stats.spearmanr(first, second).statistic,
            "pearson": scipy.stats.pearsonr(first, second).statistic,
        }
    return {name: None if math.isnan(value) else float(value) for name, value in found.items()}


def main():
    short = [
        {"name": name, "first": first, "second": second} | correlations(first, second)
        for name, (first, second) in SHORT.items()
    ]
    keys = ["rows", "seed", "first_levels", "second_levels", "weight"]
    long = [
        {"name": name} | dict(zip(keys, case)) | correlations(*pair(*case)) for name, case in LONG.items()
    ]
    text = json.dumps({"scipy": scipy.__version__, "short": short, "long": long}, indent=1)
    GOLDENS.write_text(text + "\n")


if __name__ == "__main__":
    main()
