"""Percentiles of very many times in little memory: exact for some, within half a per cent for any number."""

from __future__ import annotations

import math
from array import array
from collections import Counter

EXACT = 50_000
"""Up to so many values are kept as they are."""

_BASE = math.log(1.005)
_LEAST = math.floor(math.log(1e-6) / _BASE)


class Latencies:
    """Times in seconds, added one by one."""

    __slots__ = ("_buckets", "_kept", "_sorted", "count", "least", "most", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.most = 0.0
        self._kept: array[float] | None = array("d")
        self._buckets: Counter[int] = Counter()
        self._sorted = True

    def add(self, seconds: float) -> None:
        """Count one; what is negative, by a clock's whim, counts as 0."""
        if seconds < 0:
            seconds = 0.0
        self.count += 1
        self.total += seconds
        if seconds < self.least:
            self.least = seconds
        if seconds > self.most:
            self.most = seconds
        if self._kept is None:
            self._buckets[_bucket(seconds)] += 1
            return
        self._kept.append(seconds)
        self._sorted = False
        if len(self._kept) > EXACT:
            self._coarsen()

    def take(self, other: Latencies) -> None:
        """Count all that another one counted."""
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        if self._kept is not None and (other._kept is None or len(self._kept) + len(other._kept) > EXACT):
            self._coarsen()
        if self._kept is not None and other._kept is not None:
            self._kept.extend(other._kept)
            self._sorted = False
        elif other._kept is not None:
            self._buckets.update(map(_bucket, other._kept))
        else:
            self._buckets.update(other._buckets)

    def _coarsen(self) -> None:
        """Count in buckets from here on."""
        self._buckets.update(map(_bucket, self._kept or ()))
        self._kept = None

    @property
    def mean(self) -> float:
        """Return the mean, NaN of nothing."""
        return self.total / self.count if self.count else math.nan

    def at(self, share: float) -> float:
        """Return the least value that at least this share of all do not exceed, NaN of nothing."""
        if not self.count:
            return math.nan
        rank = min(self.count, max(1, math.ceil(share * self.count)))
        if self._kept is not None:
            if not self._sorted:
                self._kept = array("d", sorted(self._kept))
                self._sorted = True
            return self._kept[rank - 1]
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(self.most, max(self.least, _middle(bucket)))
        return self.most


def _bucket(seconds: float) -> int:
    return math.floor(math.log(seconds) / _BASE) if seconds > 1e-6 else _LEAST


def _middle(bucket: int) -> float:
    return math.exp((bucket + 0.5) * _BASE)
