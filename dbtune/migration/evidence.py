"""Why an index is made, as a revision tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbtune.index.advice import Recommendation

_FASTEST, _SLOWEST = 50e6, 5e6  # bytes of index that a build makes in a second, on fast and on busy machines
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Helped:
    """A query that the index helps; costs are the planner's, for one execution, of which there were ``calls``."""

    query: str
    before: float
    after: float
    calls: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for an index and against it; ``bytes`` is its estimated size, None where nobody estimated."""

    why: tuple[str, ...] = ()
    helped: tuple[Helped, ...] = ()
    bytes: int | None = None
    doubts: tuple[str, ...] = ()
    needs_extension: str | None = None
    redundant: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return it as text, a statement a line."""
        found = list(self.why)
        if self.helped:
            found.append("Queries, with the planner's cost of one execution before → after:")
            found += [
                f"  {each.query}: {_cost(each.before)} → {_cost(each.after)}{_calls(each.calls)}"
                for each in self.helped[:_SHOWN]
            ]
            if more := len(self.helped) - _SHOWN:
                found += [f"  and {more} more"] if more > 0 else []
        if self.bytes is not None:
            found.append(f"Size: about {_size(self.bytes)}. Build: {_duration(self.bytes)}, and the wait for old")
            found.append("transactions, none of which it holds up.")
        found += [f"Doubt: {each}" for each in self.doubts]
        if self.needs_extension:
            found.append(f"Needs first: CREATE EXTENSION {self.needs_extension}")
        if self.redundant:
            found.append(f"Makes superfluous: {', '.join(self.redundant)}")
        return found


def of(recommendation: Recommendation) -> Evidence:
    """Return what the advisor found, as evidence."""
    return Evidence(
        why=tuple(f"Because {reason}" for reason in recommendation.reasons),
        helped=tuple(_helped(recommendation)),
        bytes=recommendation.bytes,
        doubts=recommendation.doubts,
        needs_extension=recommendation.needs_extension,
        redundant=recommendation.redundant,
    )


def _helped(recommendation: Recommendation) -> Iterable[Helped]:
    for each in recommendation.helped:
        yield Helped(query=each.name, before=each.before, after=each.after, calls=each.weight)


def _cost(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}"


def _calls(calls: float) -> str:
    return "" if calls == 1 else f", {calls:,.0f} executions"


def _size(size: int) -> str:
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{max(1, round(size / 1024))} kB"


def _duration(size: int) -> str:
    """Return how long a build may take, from the best to the worst, in words."""
    fast, slow = size / _FASTEST, size / _SLOWEST
    return "under a second" if slow < 1 else f"{_time(fast)} to {_time(slow)}"


def _time(seconds: float) -> str:
    for unit, factor in (("h", 3600), ("min", 60)):
        if seconds >= 2 * factor:
            return f"{seconds / factor:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
