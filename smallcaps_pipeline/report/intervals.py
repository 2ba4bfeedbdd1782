"""Confidence intervals of the criteria's figures: how far chance could have moved each.

Each returns None where the sample says nothing of its own spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atanh, ceil, floor, sqrt, tanh
from statistics import NormalDist

Interval = tuple[float, float]
FEWEST_FOR_CORRELATION = 4


def wilson_interval(good: int, n: int, confidence: float) -> Interval:
    """Return the Wilson score interval of a share, 0 to 1; (0, 1) for n = 0.

    Source: Wilson (1927), doi:10.1080/01621459.1927.10502953.
    """
    if n == 0:
        return 0.0, 1.0
    z = _z(confidence)
    share = good / n
    centre = share + z**2 / (2 * n)
    spread = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def lead_interval(one: float, other: float, n: int, confidence: float) -> Interval | None:
    """Return the interval of the difference of two shares (0 to 1) of the same n events.

    Source: Wald's, with the variance of multinomial shares: Goodman (1965),
    doi:10.1080/00401706.1965.10490252.
    """
    if n == 0:
        return None
    spread = _z(confidence) * sqrt((one + other - (one - other) ** 2) / n)
    return one - other - spread, one - other + spread


def rank_correlation_interval(figure: float, n: int, confidence: float) -> Interval | None:
    """Return the interval of Spearman's rank correlation over n pairs.

    Source: Bonett and Wright (2000), doi:10.1007/BF02294183.
    """
    if n < FEWEST_FOR_CORRELATION or abs(figure) >= 1:
        return None
    spread = _z(confidence) * sqrt((1 + figure**2 / 2) / (n - 3))
    return tanh(atanh(figure) - spread), tanh(atanh(figure) + spread)


def median_interval(values: Sequence[float], confidence: float) -> Interval | None:
    """Return the interval of a median: two order statistics; None where they lie beyond the values.

    Source: Conover (1999), Practical Nonparametric Statistics, 3.2 (binomial, large sample).
    """
    ordered, n = sorted(values), len(values)
    spread = _z(confidence) * sqrt(n)
    low, high = floor((n - spread) / 2), ceil(1 + (n + spread) / 2)
    return (ordered[low - 1], ordered[high - 1]) if low >= 1 and high <= n else None


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
