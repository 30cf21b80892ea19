"""What goes on in a database within a few seconds: how many transactions, and how long each keeps its connection.

Two readings of pg_stat_database tell how much was done, samples of pg_stat_activity in between who had a connection
in hand. Little's law joins them: busy = rate · hold.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection

from dbtune.server import counters, sessions
from dbtune.server.connection import server_version_num
from dbtune.server.counters import Counters, Reading
from dbtune.server.sessions import IDLE_IN_TRANSACTION, Group, Sample

_MOST_HZ, _LEAST_HZ, _SAMPLES = 10.0, 1.0, 200
_SKEW_SECONDS, _SKEW_SHARE = 2.0, 0.1
_LEAST_BUSY = 0.05
_APART = 0.25
"""Counters and samples that differ by less are taken for equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a database's clients did within ``seconds``, without the session that measured.

    ``rate`` is transactions per second, ``hold`` the seconds that one keeps its connection on the server (statements
    and the time between them; the application holds it a little longer). ``busy`` is how many were in use on average,
    ``peak`` the most in any sample; ``stuck`` of them were in transactions that had begun before, and are not
    in ``hold``: busy = rate · hold + stuck. ``open`` is how many clients were connected on average. ``churn`` is new
    sessions per second; before PostgreSQL 14 those alone that a sample met. ``app_share`` is the part of ``hold`` in
    which the server waited for the application, 0 to 1. None is what nobody could tell; ``hold`` also where no
    transaction ended. ``source`` is where ``busy`` is from, ``doubts`` what to know before trusting it.
    """

    database: str
    seconds: float
    rate: float
    hold: float | None
    busy: float | None
    stuck: float
    peak: int | None
    open: float
    churn: float | None
    app_share: float | None
    source: str
    added: Counters
    doubts: tuple[str, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether no transaction was counted."""
        return self.added.transactions == 0

    @property
    def utilisation(self) -> float | None:
        """How much of the open connections is in use on average, 0 to 1."""
        return None if self.busy is None or not self.open else min(1.0, self.busy / self.open)

    @property
    def session_s(self) -> float | None:
        """Seconds that a session lasts on average, by Little's law; None where none began."""
        return self.open / self.churn if self.churn else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Two readings, the samples in between, and what the observing session itself added in its database."""

    first: Reading
    last: Reading
    samples: tuple[Sample, ...]
    own_transactions: int
    own_ms: float
    has_session_counters: bool

    @property
    def databases(self) -> tuple[str, ...]:
        """Databases with clients, the connection's own first; the server itself has transactions everywhere."""
        names = {g.datname for sample in self.samples for g in sample if g.datname in self.last.counters}
        for name in self.last.counters:
            added = self._added(name)[0]
            if added.sessions or added.held_ms:
                names.add(name)
        return tuple(sorted({self.last.database, *filter(None, names)}, key=lambda n: (n != self.last.database, n)))

    def traffic(self, database: str | None = None) -> Traffic:
        """Return what went on in a database; None: in the connection's own."""
        name = database or self.last.database
        seconds, doubts = self._seconds()
        added, restarted = self._added(name)
        reset = self.last.resets.get(name)
        if restarted:
            doubts.append("the statistics were reset meanwhile: what was counted before is lost")
            if reset is not None and 0 < (self.last.at - reset).total_seconds() < seconds:
                seconds = (self.last.at - reset).total_seconds()
        rows = [[g for g in sample if g.datname == name] for sample in self.samples]
        return _traffic(name, seconds, added, rows, self.has_session_counters, doubts)

    def _added(self, name: str) -> tuple[Counters, bool]:
        """Return what was added in a database, and whether counting began anew meanwhile."""
        now, before = self.last.counters[name], self.first.counters.get(name)
        if before is None:
            return now, False
        restarted = self.last.resets.get(name) != self.first.resets.get(name)
        added = None if restarted else now.since(before)
        found = now if added is None else added
        if name == self.last.database:
            found = found.without(self.own_transactions, self.own_ms)
        return found, added is None

    def _seconds(self) -> tuple[float, list[str]]:
        """Return the seconds between the readings: by the server's clock, unless it jumped."""
        told = (self.last.at - self.first.at).total_seconds()
        passed = self.last.read_at - self.first.read_at
        if abs(told - passed) > _SKEW_SECONDS + _SKEW_SHARE * passed:
            return passed, [f"the server's clock moved by {told - passed:+.0f} s meanwhile: this machine's was used"]
        return max(told, 1e-3), []


def measure(connection: Connection, seconds: float, tell: Callable[[float], None] = lambda passed: None) -> Traffic:
    """Return what goes on in the connection's database within the next ``seconds``; see :func:`observe`."""
    return observe(connection, seconds, tell).traffic()


def observe(
    connection: Connection,
    seconds: float,
    tell: Callable[[float], None] = lambda passed: None,
) -> Observation:
    """Read the counters, sample the sessions one to ten times a second, and read the counters again.

    ``tell`` is called after each sample with the seconds that passed. Before PostgreSQL 15 it takes two seconds more.
    """
    with _autocommit(connection):
        counters.settle(connection)
        first = counters.read(connection)
        samples, asking_s = _sampled(connection, seconds, first.at, tell)
        own = 1 + len(samples) + counters.settle(connection)  # the first reading was not counted in itself
        last = counters.read(connection)
    return Observation(
        first=first,
        last=last,
        samples=tuple(samples),
        own_transactions=own,
        own_ms=asking_s * 1000,
        has_session_counters=server_version_num(connection) >= 140_000,
    )


def _sampled(
    connection: Connection, seconds: float, at: datetime, tell: Callable[[float], None]
) -> tuple[list[Sample], float]:
    """Return samples of the next ``seconds``, one or more, and the seconds that asking took; ``at`` is when it began.

    One is taken at a random time within each step: even ones could keep time with what clients do. A slow answer
    loses steps, never adds any.
    """
    step = 1 / min(_MOST_HZ, max(_LEAST_HZ, _SAMPLES / max(seconds, 1e-3)))
    steps = max(1, round(seconds / step))
    dice = random.Random()
    began = time.monotonic()
    samples: list[Sample] = []
    asking = 0.0
    for number in range(steps):
        passed = time.monotonic() - began
        if passed > (number + 1) * step and samples:
            continue
        time.sleep(max(0.0, min(seconds, (number + dice.random()) * step) - passed))
        asked = time.monotonic()
        samples.append(sessions.sample(connection, at))
        answered = time.monotonic()
        asking += answered - asked
        tell(min(seconds, answered - began))
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return samples, asking


@contextmanager
def _autocommit(connection: Connection) -> Iterator[None]:
    """Let each statement of the block be one transaction: within one, the views would show the same for ever.

    psycopg 3 would prepare what is sent often, which is a transaction more.
    """
    before = connection.get_execution_options().get("isolation_level") or connection.default_isolation_level
    connection.rollback()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    driver: Any = connection.connection.dbapi_connection
    threshold = getattr(driver, "prepare_threshold", None)
    if threshold is not None:
        driver.prepare_threshold = None
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:
            if threshold is not None:
                driver.prepare_threshold = threshold
            connection.rollback()
            connection.execution_options(isolation_level=before)


def _traffic(
    name: str,
    seconds: float,
    added: Counters,
    samples: Sequence[Sequence[Group]],
    has_session_counters: bool,
    doubts: list[str],
) -> Traffic:
    holding = [sum(g.count for g in groups if g.is_holding) for groups in samples]
    old = [sum(g.old for g in groups if g.is_holding) for groups in samples]
    unseen = any(g.is_unseen for groups in samples for g in groups)
    stuck = statistics.fmean(old) if samples else 0.0
    sampled = None if unseen or not samples else statistics.fmean(holding) - stuck
    counted = None if added.held_ms is None or not has_session_counters else added.held_ms / 1000 / seconds
    flowing, app_share, source = counted, added.app_share, "counters"
    if counted is None or (sampled is not None and _disagree(counted, sampled, len(samples))):
        if counted is not None and sampled is not None:
            doubts.append(
                f"counters say {counted:.1f} in use, samples {sampled:.1f}: sessions tell what they did a second"
                " later, or when a transaction ends, with all its time; so the samples were taken"
            )
        flowing, source = sampled, f"{len(samples)} samples"
        waiting = sum(g.count - g.old for groups in samples for g in groups if g.state in IDLE_IN_TRANSACTION)
        app_share = waiting / held if sampled is not None and (held := sum(holding) - sum(old)) else None
    if unseen:
        doubts.append("the state of some sessions cannot be seen, so that samples do not tell how many are in use")
    transactions = added.transactions
    if not transactions and sampled is not None and sampled > _LEAST_BUSY:
        doubts = [
            f"no transaction was counted, and {sampled:.1f} connections were in use: transactions take longer than that"
            " time, or touch no table, for then sessions tell their counters late"
        ]
    rate = transactions / seconds
    churn = added.sessions if has_session_counters else _met(samples)
    return Traffic(
        database=name,
        seconds=seconds,
        rate=rate,
        hold=flowing / rate if flowing is not None and transactions else None,
        busy=None if flowing is None else flowing + stuck,
        stuck=stuck,
        peak=max(holding, default=0) if sampled is not None else None,
        open=statistics.fmean(sum(g.count for g in groups) for groups in samples) if samples else 0.0,
        churn=None if churn is None else churn / seconds,
        app_share=app_share if transactions else None,
        source=source,
        added=added,
        doubts=tuple(doubts),
    )


def _met(samples: Sequence[Sequence[Group]]) -> int:
    """Return how many sessions a sample met that the one before had not."""
    pids = [{pid for g in groups for pid in g.pids} for groups in samples]
    return sum(len(now - before) for before, now in pairwise(pids))


def _disagree(counted: float, sampled: float, samples: int) -> bool:
    """Return whether chance does not explain the difference: a mean of ``samples`` counts that scatter as Poisson's."""
    larger = max(counted, sampled)
    return abs(counted - sampled) > max(_APART * larger, 3 * math.sqrt(larger / samples), _LEAST_BUSY)
