"""Minimise: the lowest point of a function of a few numbers, without derivatives.

Nelder and Mead's simplex (Computer Journal 7, 1965) with the usual coefficients: reflection 1,
expansion 2, contraction and shrinkage a half. Deterministic.
"""

from collections.abc import Callable, Sequence

Function = Callable[[Sequence[float]], float]
Corner = tuple[float, list[float]]


def minimise(
    function: Function,
    start: Sequence[float],
    *,
    step: float = 0.5,
    tolerance: float = 1e-6,
    most: int = 500,
) -> list[float]:
    """Return where `function` is lowest near `start`.

    Ends when the corners differ by less than `tolerance` of their size, or after `most` rounds of
    one or two calls each.
    """
    corners: list[Corner] = [(function(start), list(start))]
    for place in range(len(start)):
        moved = list(start)
        moved[place] += step
        corners.append((function(moved), moved))
    for _ in range(most):
        corners.sort(key=lambda corner: corner[0])
        if abs(corners[-1][0] - corners[0][0]) <= tolerance * (1 + abs(corners[0][0])):
            break
        _improve(function, corners)
    return min(corners, key=lambda corner: corner[0])[1]


def _improve(function: Function, corners: list[Corner]) -> None:
    """Replace the worst corner by a better one, or draw all towards the best."""
    worst = corners[-1]
    others = [point for _, point in corners[:-1]]
    centre = [sum(values) / len(others) for values in zip(*others, strict=True)]

    def along(share: float) -> Corner:
        point = [c + share * (c - w) for c, w in zip(centre, worst[1], strict=True)]
        return function(point), point

    reflected = along(1.0)
    if reflected[0] < corners[0][0]:
        corners[-1] = min(reflected, along(2.0), key=lambda corner: corner[0])
        return
    if reflected[0] < corners[-2][0]:
        corners[-1] = reflected
        return
    contracted = along(0.5 if reflected[0] < worst[0] else -0.5)
    if contracted[0] < min(reflected[0], worst[0]):
        corners[-1] = contracted
        return
    best = corners[0][1]
    for place in range(1, len(corners)):
        drawn = [(b + p) / 2 for b, p in zip(best, corners[place][1], strict=True)]
        corners[place] = (function(drawn), drawn)
