"""A whole capture from log files: executions in the files' order, and beside them what was found out on the way.

Large files can be read by several processes, each a part at a time; what comes back from a part is condensed, so that
little has to be sent from one process to another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from dbtune.errors import BadFile, GaveUp
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.log import reader
from dbtune.workload.capture.log.application import Evidence
from dbtune.workload.capture.log.entry import Entry
from dbtune.workload.capture.log.events import Event, Kind, event
from dbtune.workload.capture.log.prefix import Prefix
from dbtune.workload.capture.log.reader import Format, Part, Reading
from dbtune.workload.capture.log.statements import executions

PART_BYTES = 16 * 2**20
_PLANS_KEPT = 5000
_VALUES_KEPT = 1000


@dataclass(slots=True)
class Tally:
    """How often one kind of event was seen, between when and when; ``amount`` and ``most`` add up and top theirs."""

    count: int = 0
    amount: float = 0.0
    most: float = 0.0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, seen: Event) -> None:
        """Count one more."""
        self._add(1, seen.amount or 0.0, seen.amount or 0.0, seen.time, seen.time)

    def join(self, other: Tally) -> None:
        """Count what another part of the log has."""
        self._add(other.count, other.amount, other.most, other.first, other.last)

    def _add(self, count: int, amount: float, most: float, first: datetime | None, last: datetime | None) -> None:
        self.count += count
        self.amount += amount
        self.most = max(self.most, most)
        self.first = first if self.first is None else self.first
        self.last = last if last is not None else self.last


@dataclass(slots=True)
class Gathered:
    """What was found out besides executions: how each file was read, and its events.

    ``progress`` is told each time how many more bytes of the files were read.
    """

    readings: dict[str, Reading] = field(default_factory=dict)
    events: dict[Kind, Tally] = field(default_factory=dict)
    progress: Callable[[int], None] | None = None

    @property
    def evidence(self) -> Evidence:
        """What all files together tell of an application's pools."""
        total = Evidence()
        for reading in self.readings.values():
            total.join(reading.evidence)
        return total

    @property
    def is_of_server(self) -> bool:
        """Whether any file is a server's log, which could hold statements."""
        return any(reading.format not in (None, Format.APPLICATION) for reading in self.readings.values())

    def watched(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield the entries, counting the events among them."""
        for entry in entries:
            if (seen := event(entry)) is not None:
                self.events.setdefault(seen.kind, Tally()).add(seen)
            yield entry

    def join(self, name: str, other: Gathered) -> None:
        """Add what a part of the file ``name`` told."""
        total = self.readings[name]
        for reading in other.readings.values():
            total.bytes += reading.bytes
            total.unread.first = total.unread.first or reading.unread.first
            total.unread.lines += reading.unread.lines
            total.evidence.join(reading.evidence)
        for kind, tally in other.events.items():
            self.events.setdefault(kind, Tally()).join(tally)


def gathered(
    sources: Sequence[Path | BinaryIO], prefix: Prefix | None, gathered: Gathered, *, jobs: int = 1
) -> Iterator[Execution]:
    """Yield what the logs tell was executed, and tell ``gathered`` the rest.

    With more than one of ``jobs``, equal statements with equal values come as one execution of several calls, a part
    of a file at a time. Packed files and streams are read by this process.

    :raises BadFile: as :func:`reader.read`.
    """
    with ProcessPoolExecutor(max_workers=jobs) if jobs > 1 else nullcontext() as pool:
        for source in sources:
            name = str(source) if isinstance(source, Path) else "standard input"
            reading = gathered.readings[name] = Reading()
            if pool is not None and isinstance(source, Path) and (probed := reader.probe(source, prefix)) is not None:
                reading.format, reading.prefix = probed.format, probed.prefix
                yield from _by_parts(pool, jobs, source, gathered)
            else:
                if gathered.progress is not None and isinstance(source, Path):
                    reading.progress = _added(gathered.progress)
                yield from executions(gathered.watched(reader.read(source, prefix, reading=reading)))


def _added(progress: Callable[[int], None]) -> Callable[[int], None]:
    """Return what tells ``progress`` the bytes since the last time; it is told positions in a file."""
    last = 0

    def tell(position: int) -> None:
        nonlocal last
        progress(position - last)
        last = position

    return tell


def _by_parts(pool: ProcessPoolExecutor, jobs: int, path: Path, total: Gathered) -> Iterator[Execution]:
    """Yield the executions of each part, in the file's order; a few parts are under way at any time."""
    reading = total.readings[str(path)]
    running: deque[tuple[Part, Future[tuple[list[Execution], Gathered]]]] = deque()
    waiting = iter(reader.parts(path, reading, PART_BYTES))
    try:
        while True:
            while len(running) < jobs + 1 and (part := next(waiting, None)) is not None:
                running.append((part, pool.submit(_part, part, reading.format, reading.prefix)))
            if not running:
                return
            part, under_way = running.popleft()
            found, told = under_way.result()
            total.join(str(path), told)
            if total.progress is not None:
                total.progress(part.end - part.start)
            yield from found
    except BrokenProcessPool:
        raise GaveUp(f"{path}: a process that read it was killed; try again with --jobs 1") from None
    finally:
        for _, left in running:
            left.cancel()


def _part(part: Part, format: Format | None, prefix: Prefix | None) -> tuple[list[Execution], Gathered]:
    told = Gathered()
    reading = told.readings[str(part.path)] = Reading(format=format, prefix=prefix)
    entries = told.watched(reader.read_part(part, reading))
    return list(condensed(executions(entries))), told


@dataclass(slots=True)
class _Same:
    """Executions of one statement with the same values, or with any."""

    first: Execution
    calls: int = 0
    total_ms: float = 0.0
    plan: dict[str, Any] | None = None
    last: datetime | None = None

    def add(self, one: Execution) -> None:
        self.calls += one.calls
        self.last = one.last or one.time
        self.total_ms += one.duration_ms * one.calls
        if one.plan is not None:
            self.plan = slower_plan(self.plan, one.plan)

    def execution(self, values: tuple[str | None, ...] | None) -> Execution:
        if self.calls == self.first.calls and values == self.first.values:
            return self.first
        mean = self.total_ms / self.calls
        return replace(self.first, calls=self.calls, duration_ms=mean, plan=self.plan, values=values, last=self.last)


def condensed(executions: Iterable[Execution]) -> Iterator[Execution]:
    """Yield one execution for all with the same statement and values: their calls, mean duration and slowest plan.

    After the first thousand distinct values of a statement, others are kept only if they were slower than all before;
    the calls with the rest of them come as one execution without values.
    """
    statements: dict[str, dict[tuple[str | None, ...] | None, _Same]] = {}
    slowest: dict[str, float] = {}
    for each in executions:
        statement, values = each.statement, each.values
        kept = statements.get(statement)
        if kept is None:
            kept = statements[statement] = {}
        same = kept.get(values)
        if same is None:
            if len(kept) >= _VALUES_KEPT and each.duration_ms <= slowest[statement]:
                values = None
                same = kept.get(None)
            if same is None:
                same = kept[values] = _Same(each)
        same.add(each)
        if each.duration_ms > slowest.get(statement, -1.0):
            slowest[statement] = each.duration_ms
    for kept in statements.values():
        for values, same in kept.items():
            yield same.execution(values)


def slower_plan(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the plan of the execution that took longer; the first among equals."""
    if one is None or other is None:
        return one or other
    return other if other.get("Duration", 0) > one.get("Duration", 0) else one


def with_plans(
    executions: Iterable[Execution], plans: dict[str, dict[str, Any]], key: Callable[[str], str]
) -> Iterator[Execution]:
    """Yield the executions; ``plans`` gets the slowest plan of each statement under the ``key`` of its text."""
    for each in executions:
        if each.plan is not None:
            found = key(each.statement)
            if found in plans or len(plans) < _PLANS_KEPT:
                plans[found] = slower_plan(plans.get(found), each.plan) or each.plan
        yield each


def following(
    path: Path, prefix: Prefix | None, gathered: Gathered, stopped: Callable[[], bool]
) -> Iterator[Execution]:
    """Yield what a growing log tells, until ``stopped``.

    :raises BadFile: as :func:`reader.follow`, or it is packed.
    """
    if path.is_file():
        with path.open("rb") as stream:
            if reader.is_packed(stream.read(8)):
                raise BadFile(path, "is packed, and so will not grow; leave out --follow")
    reading = gathered.readings[str(path)] = Reading()
    entries = reader.follow(path, prefix, reading=reading, stopped=stopped)
    yield from executions(gathered.watched(entries))
