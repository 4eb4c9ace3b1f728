"""Logistic: how likely something is, given into which bin each of a few features falls.

Logistic regression on bins, fitted by Newton's steps over counted cells, with a light pull towards
zero so that a bin with few members claims little. Over those it was fitted on, it is calibrated bin
by bin: as many happen as were predicted. Pure functions.
"""

import math
from collections.abc import Mapping, Sequence

Bins = tuple[int, ...]
Cells = Mapping[Bins, tuple[int, int]]
"""Bins of the features → (how many, how many of them it happened to)."""
PULL = 1.0
STEPS = 30
ENOUGH = 1e-8


def fit(cells: Cells, sizes: Sequence[int]) -> list[float]:
    """Return the weights: of being anybody, then of each bin of each feature in turn.

    `sizes` says how many bins each feature has. Some ten steps of cells x features².
    """
    width = 1 + sum(sizes)
    weights = [0.0] * width
    for _ in range(STEPS):
        gradient = [0.0, *[-PULL * one for one in weights[1:]]]
        curve = [[0.0] * width for _ in range(width)]
        for place in range(width):
            curve[place][place] = PULL if place else ENOUGH
        for bins, (count, happened) in cells.items():
            _add(weights, places(bins, sizes), count, happened, gradient, curve)
        change = solve(curve, gradient)
        weights = [one + by for one, by in zip(weights, change, strict=True)]
        if max(map(abs, change)) < ENOUGH:
            break
    return weights


def probability(weights: Sequence[float], bins: Bins, sizes: Sequence[int]) -> float:
    """Return how likely it is."""
    return _sigmoid(sum(weights[place] for place in places(bins, sizes)))


def places(bins: Bins, sizes: Sequence[int]) -> list[int]:
    """Return where the weights of some bins stand: everybody's, then one a feature."""
    found, start = [0], 1
    for one, size in zip(bins, sizes, strict=True):
        found.append(start + one)
        start += size
    return found


def solve(matrix: list[list[float]], right: Sequence[float]) -> list[float]:
    """Return x where matrix · x = right, by elimination with pivots."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for at in range(size):
        best = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[best] = rows[best], rows[at]
        for below in range(at + 1, size):
            factor = rows[below][at] / rows[at][at]
            if factor:
                rows[below] = [
                    one - factor * other for one, other in zip(rows[below], rows[at], strict=True)
                ]
    found = [0.0] * size
    for at in reversed(range(size)):
        known = sum(rows[at][place] * found[place] for place in range(at + 1, size))
        found[at] = (rows[at][size] - known) / rows[at][at]
    return found


def _add(
    weights: Sequence[float],
    held: Sequence[int],
    count: int,
    happened: int,
    gradient: list[float],
    curve: list[list[float]],
) -> None:
    """Add what one cell says of the slope and of the curve."""
    likely = _sigmoid(sum(weights[place] for place in held))
    missed = happened - count * likely
    bend = count * likely * (1 - likely)
    for place in held:
        gradient[place] += missed
        for other in held:
            curve[place][other] += bend


def _sigmoid(value: float) -> float:
    if value < 0:
        grown = math.exp(value)
        return grown / (1 + grown)
    return 1 / (1 + math.exp(-value))
