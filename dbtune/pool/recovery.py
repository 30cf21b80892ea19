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


def largest_safe(curve: Curve, rate: float, margin: float = MARGIN, most: int = 5_000) -> int | None:
    """Return the most connections that still do ``margin`` times the rate with all of them busy, up to ``most``.

    None: no number of them does.
    """
    return next((n for n in range(most, 0, -1) if curve.per_second(n) >= rate * margin), None)


def smallest_safe(curve: Curve, rate: float, margin: float = MARGIN, most: int = 5_000) -> int | None:
    """Return the fewest connections that do ``margin`` times the rate, None where no number up to ``most`` does."""
    return next((n for n in range(1, most + 1) if curve.per_second(n) >= rate * margin), None)
