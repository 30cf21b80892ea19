"""What an upgrade does, over time: the rate of a phase that counts, and how long one that waits has waited."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dbtune.migration.duration import spoken
from dbtune.migration.watch import Activity

_WINDOW_S = 30.0
_SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One look. ``done`` is a fraction of the phase, ``rate`` in ``unit`` (bytes or tuples) a second.

    ``eta_s`` is until the end of the phase: nobody knows of the later ones. All four are None where nothing is counted,
    as in a phase that waits: then ``waits_for`` names who is ahead and ``waiting_s`` is for how long. ``is_new``:
    something else goes on than at the look before. ``phase`` is that of a build; else ``statement`` may say what runs.
    """

    revision: str | None
    pid: int | None
    relation: str | None = None
    index: str | None = None
    phase: str | None = None
    statement: str | None = None
    done: float | None = None
    rate: float | None = None
    unit: str | None = None
    eta_s: float | None = None
    waits_for: tuple[str, ...] = ()
    waiting_s: float | None = None
    is_new: bool = True

    @property
    def says_something(self) -> bool:
        """Return whether anything is known."""
        return bool(self.phase or self.statement or self.waits_for)

    @property
    def line(self) -> str:
        """Return it as people read it."""
        pid = f"(pid {self.pid})" if self.pid is not None else ""
        where = " ".join(filter(None, (self.revision, self.index or self.relation, pid)))
        return f"{where}: {self.doing}" if where else self.doing

    @property
    def doing(self) -> str:
        """Return what is done, without where."""
        what = self.phase or f"running {self.statement or ''}".rstrip()
        if self.waits_for or self.waiting_s is not None:
            what = what if "waiting" in what else "waiting" if what == "running" else f"{what}, waiting"
            since = f" for {spoken(self.waiting_s)}" if self.waiting_s and self.waiting_s >= 1 else ""
            return f"{what}{since}" + (f": {'; '.join(self.waits_for)}" if self.waits_for else "")
        facts = [what]
        if self.done is not None:
            facts.append(f"{self.done:.0%}")
        if self.rate is not None:
            facts.append(_rate(self.rate, self.unit))
        if self.eta_s is not None:
            facts.append(f"{spoken(self.eta_s)} left in this phase")
        return ", ".join(facts)


def _rate(rate: float, unit: str | None) -> str:
    return f"{rate / 1e6:.3g} MB/s" if unit == "bytes" else f"{rate:,.0f} rows/s"


class Meter:
    """Looks, one after the other."""

    def __init__(self) -> None:
        self._stage: tuple[object, ...] = ()
        self._waits_since: float | None = None
        self._counted: deque[tuple[float, int]] = deque()

    def read(self, seen: Activity, now: float, revision: str | None) -> Progress:
        """Return what ``seen`` tells at second ``now`` of a clock of one's own choice."""
        stage = (revision, seen.relation, seen.phase, bool(seen.waits_for), seen.blockers)
        is_new = stage != self._stage and bool(seen.phase or seen.waits_for)
        if stage[:3] != self._stage[:3]:
            self._counted.clear()
        self._stage = stage
        waits = bool(seen.waits_for)
        self._waits_since = (now if self._waits_since is None else self._waits_since) if waits else None
        rate = self._rate(seen, now)
        count = seen.count
        return Progress(
            revision=revision,
            pid=seen.pid,
            relation=seen.relation,
            index=seen.index,
            phase=seen.phase,
            statement=None if seen.phase else seen.statement,
            done=None if count is None else min(1.0, count.done / count.total),
            rate=rate,
            unit=None if count is None else count.unit,
            eta_s=max(0, count.total - count.done) / rate if count is not None and rate else None,
            waits_for=seen.waits_for,
            waiting_s=None if self._waits_since is None else now - self._waits_since,
            is_new=is_new,
        )

    def _rate(self, seen: Activity, now: float) -> float | None:
        """Return the rate over the last half minute: what a build did long ago tells little of what it does next."""
        if seen.count is None:
            self._counted.clear()
            return None
        self._counted.append((now, seen.count.done))
        while now - self._counted[0][0] > _WINDOW_S and len(self._counted) > 2:
            self._counted.popleft()
        (since, before), (_, done) = self._counted[0], self._counted[-1]
        return None if now - since < _SHORTEST_S else max(0.0, (done - before) / (now - since))
