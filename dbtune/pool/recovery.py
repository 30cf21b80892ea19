"""What a burst does: whether the queue it leaves drains, or the pool stays wedged with everything busy and too slow.

With every connection busy the server does X(c). Where that is less than what arrives, one burst is enough:
requests then time out for ever although the steady state looks healthy (Bronson et al., *Metastable Failures in
Distributed Systems*, HotOS 2021).
"""

from __future__ import annotations

import math

from dbtune.pool.curve import Curve

MARGIN = 1.2
"""By what factor X(c) should exceed the rate."""


def drain(curve: Curve, cap: int, rate: float, burst: int) -> float:
    """Return the seconds until ``burst`` requests at once, above ``rate`` a second, are served; infinite: never."""
    over = curve.per_second(cap) - rate
    return burst / over if over > 0 else math.inf


def largest_safe(curve: Curve, rate: float, margin: float = MARGIN, most: int = 10_000) -> int | None:
    """Return the most connections that still do ``margin`` times the rate with all of them busy, up to ``most``.

    None: no number of them does.
    """
    needed = rate * margin
    if curve.per_second(most) >= needed:
        return most
    low = max(1, min(most, math.floor(curve.peak) if not math.isinf(curve.peak) else most))
    if curve.per_second(low) < needed:
        low = min(most, low + 1)
        if curve.per_second(low) < needed:
            return None
    high = most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if curve.per_second(middle) >= needed else (low, middle)
    return low


def smallest_safe(curve: Curve, rate: float, margin: float = MARGIN, most: int = 10_000) -> int | None:
    """Return the fewest connections that do ``margin`` times the rate, None where no number does."""
    high = largest_safe(curve, rate, margin, most)
    if high is None:
        return None
    low = 0
    top = min(high, math.ceil(curve.peak)) if not math.isinf(curve.peak) else high
    while top - low > 1:
        middle = (low + top) // 2
        low, top = (low, middle) if curve.per_second(middle) >= rate * margin else (middle, top)
    return top
