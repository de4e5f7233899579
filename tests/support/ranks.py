"""Whether two samples differ, by rank: the Mann-Whitney U test, and how small a difference it would have seen."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def probability(left: Sequence[float], right: Sequence[float]) -> float:
    """The two-sided p of the Mann-Whitney U test, by the normal approximation with ties corrected."""
    both = sorted([(value, 0) for value in left] + [(value, 1) for value in right])
    ranks, ties = 0.0, 0.0
    at = 0
    for _, group in itertools.groupby(both, key=lambda pair: pair[0]):
        members = list(group)
        rank = at + (len(members) + 1) / 2
        ranks += rank * sum(side == 0 for _, side in members)
        ties += len(members) ** 3 - len(members)
        at += len(members)
    n, m = len(left), len(right)
    u = ranks - n * (n + 1) / 2
    deviation = math.sqrt(n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1))))
    return math.erfc(abs(u - n * m / 2) / deviation / math.sqrt(2)) if deviation else 1.0


def least_seen(sample: Sequence[float], below: float, most: float = 1.0) -> float:
    """The smallest delay that tells such a sample from itself delayed, with a probability under ``below``; ``most`` at most."""
    least = 0.0
    while most - least > 1e-6:
        middle = (least + most) / 2
        if probability(sample, [value + middle for value in sample]) < below:
            most = middle
        else:
            least = middle
    return most
