"""Evidence: what counts prove, for people who look at them again and again.

A usual p-value or interval holds for one look at a number of messages fixed beforehand. Whoever
looks each hour and stops at the first good one is wrong far more often than promised. The numbers
here hold at every look at once: however often and whenever somebody looks, and whatever makes them
stop, not more than one in twenty such tests is ever called wrongly.

They come from Robbins' mixture: the likelihood of what was counted, averaged over a beta prior,
divided by that at the truth, is a martingale of mean 1, and by Ville's inequality it ever reaches
1 / alpha at most with probability alpha. Nothing is asymptotic; counts may be small.

Two arms are compared by their goals alone: of all goals, those of the first are a share
w·p / (w·p + v·q), with the weights w and v of the draw and the rates p and q of the arms. Each goal
is so one toss of a coin whose bias tells p / q, however late it comes.

- H. Robbins, Statistical methods related to the law of the iterated logarithm. Annals of
  Mathematical Statistics 41 (1970).
- S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-uniform, nonparametric, nonasymptotic
  confidence sequences. Annals of Statistics 49 (2021).
- R. Johari, P. Koomen, L. Pekelis, D. Walsh, Always valid inference: continuous monitoring of A/B
  tests. Operations Research 70 (2022).
- M. Lindon, A. Malek, Anytime-valid inference for multinomial count data. NeurIPS 35 (2022): goals
  as tosses, which arm each belongs to.
"""

from collections.abc import Sequence
from math import erfc, exp, expm1, gamma, inf, lgamma, log, log1p, sqrt

ALPHA = 0.05
GOALS = 50.0
"""How strongly the prior of a comparison holds to “no difference”, in goals: it costs least of a
difference of about a quarter, and little of one of a tenth."""
RATE = 1.0
"""The same of a single rate: Jeffreys' prior."""
EXPECTED = 5.0
"""Below so many people expected of an arm, χ² is no measure."""
STEPS = 60
"""Halvings of an interval: to the last digit of a float."""


def p_value(first: int, second: int, share: float) -> float:
    """Return how well `first` goals beside `second` fit a draw that gives the first this share.

    In `share`, in (0, 1): the first arm's part of both weights. Out: at most x with probability x,
    over all looks, where the arms do not differ.
    """
    mixed = _mixture(first, second, GOALS * share, GOALS * (1 - share))
    return exp(min(0.0, first * log(share) + second * log(1 - share) - mixed))


def rate(hits: int, misses: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Return between what the share of hits lies at every look, but for one in 1 / alpha tests."""
    low, high = _odds(hits, misses, alpha, RATE / 2, RATE / 2)
    return low / (1 + low), 1 - 1 / (1 + high)


def ratio(
    first: int, second: int, share: float, alpha: float = ALPHA
) -> tuple[float, float | None]:
    """Return between what the first arm's rate ÷ the second's lies at every look.

    1 lies outside exactly where `p_value` is below alpha. No upper end: None.
    """
    low, high = _odds(first, second, alpha, GOALS * share, GOALS * (1 - share))
    even = share / (1 - share)
    return low / even, high / even if second else None


def mismatch(counts: Sequence[int], weights: Sequence[int]) -> float | None:
    """Return Pearson's χ² p-value of counts against their weights; None of too few to tell."""
    parts = [weight * sum(counts) / sum(weights) for weight in weights]
    if len(counts) < 2 or min(parts) < EXPECTED:
        return None
    square = sum((count - part) ** 2 / part for count, part in zip(counts, parts, strict=True))
    return _beyond(square, len(counts) - 1)


def _beyond(square: float, degrees: int) -> float:
    """Return the chance of a χ² above `square`, by the recurrence over degrees of freedom."""
    half = square / 2
    chance, at = (erfc(sqrt(half)), 1) if degrees % 2 else (exp(-half), 2)
    while at < degrees:
        chance += half ** (at / 2) * exp(-half) / gamma(at / 2 + 1)
        at += 2
    return chance


def _beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _mixture(hits: int, misses: int, a: float, b: float) -> float:
    """Return the logarithm of how likely the counts are, averaged over the prior."""
    return _beta(a + hits, b + misses) - _beta(a, b)


def _odds(hits: int, misses: int, alpha: float, a: float, b: float) -> tuple[float, float]:
    """Return the odds of a hit beside which the mixture is less than 1 / alpha times as likely.

    Found as logarithms, which are exact for odds of any size.
    """
    least = log(alpha) + _mixture(hits, misses, a, b)
    if not hits or not misses:
        edge = expm1(-least / (hits + misses)) if hits + misses else inf
        return (1 / edge, inf) if hits else (0.0, edge)
    seen = log(hits / misses)
    low, high = (_edge(hits, misses, least, seen, far) for far in (least / hits, -least / misses))
    return exp(low), exp(high)


def _edge(hits: int, misses: int, least: float, inside: float, outside: float) -> float:
    """Return where between two log-odds the counts' log-likelihood falls below `least`."""
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        if -hits * log1p(exp(-middle)) - misses * log1p(exp(middle)) > least:
            inside = middle
        else:
            outside = middle
    return inside
