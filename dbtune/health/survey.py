"""One look at a database: read, compare with earlier readings, ask replicas, judge, and keep the reading."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import Connection

from dbtune.errors import UsageError
from dbtune.health import history, history_file, ignores, judging, reading, replicas, sizes
from dbtune.health.case import Case
from dbtune.health.check import Check, Limits
from dbtune.health.history import Entry
from dbtune.health.ignores import Ignore
from dbtune.health.report import Report, Totals
from dbtune.health.section import SINCE, Section
from dbtune.health.span import Kind
from dbtune.health.state import Reading
from dbtune.health.values.index import whole
from dbtune.server.connection import Target, connect, translated

_JUMP_SECONDS, _JUMP_SHARE = 1.0, 0.05
_BASE = frozenset({Section.TABLES, Section.INDEXES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look at and how. ``interval`` seconds lie between two readings, None: one reading and the history.

    ``window`` is the age in seconds of the earlier reading from which to count. ``history`` is the file, None: that in
    the user's data directory; with ``keeps_history`` False neither is read nor written.
    """

    checks: Sequence[Check]
    limits: Mapping[str, Limits]
    interval: float | None = None
    window: float = 86_400.0
    history: Path | None = None
    keeps_history: bool = True
    replicas: Sequence[Target] = ()
    measure_bloat: bool = False
    ignores: Sequence[Ignore] = ()


def survey(connection: Connection, wanted: Wanted, sleep: Callable[[float], None] = time.sleep) -> Report:
    """Return the report.

    :raises UsageError: a replica is none, or --measure-bloat without pgstattuple.
    :raises BadFile: the history is not one.
    :raises ServerError: a replica is unreachable.
    """
    sections = _BASE | {section for check in wanted.checks for section in check.needs}
    first, began = None, 0.0
    if wanted.interval is not None:
        first = history.entry(reading.read(connection, sections), _now())
        began = time.monotonic()
        sleep(wanted.interval)
    now = reading.read(connection, sections)
    elapsed = time.monotonic() - began
    client_at = _now()
    file = wanted.history or history_file.default_path(now.server.system_identifier, now.server.database)
    past = history.past(now, client_at, history_file.load(file) if wanted.keeps_history else ())
    notes = list(past.notes)
    if first is not None:
        notes += _jump(first, now, elapsed)
        past = replace(past, entries=(first, *past.entries))
        counted, spans = history.counted(now, first, Kind.INTERVAL, elapsed)
    else:
        counted, spans = history.counted(now, history.base(now, past, wanted.window), Kind.HISTORY)
    if Section.SIZES in sections:
        now = _with_sizes(connection, now, wanted)
    case = Case(
        now=now,
        counted=counted,
        spans=spans,
        idle_since=history.idle_since(now, past),
        replicas=tuple(_replica(target, now) for target in wanted.replicas),
        busy_readings=history.busy_readings(now, past),
    )
    found, sound, unchecked = judging.judge(case, wanted.checks, wanted.limits, wanted.ignores, today=date.today())
    notes += ignores.expired(wanted.ignores, date.today())
    if not case.replicas and any(finding.check == "unused-index" for finding in found):
        notes.append("only this server's scans are seen; standbys count their own (--replica URL adds one)")
    kept = _keep(file, wanted, history.entry(now, client_at), notes) if wanted.keeps_history else None
    return Report(
        server=now.server,
        spans=spans,
        findings=found,
        sound=sound,
        unchecked=unchecked,
        unseen=tuple(u for s, u in now.unseen.items() if s not in SINCE) + now.hidden,
        notes=tuple(notes),
        replicas=tuple(replica.name for replica in case.replicas),
        totals=_totals(now),
        history=kept,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _jump(first: Entry, now: Reading, elapsed: float) -> list[str]:
    by_server = (now.server.at - first.at).total_seconds()
    if abs(by_server - elapsed) <= _JUMP_SECONDS + _JUMP_SHARE * elapsed:
        return []
    return [
        f"the server's clock says {by_server:.0f} s between the readings, this machine's {elapsed:.0f} s: it jumped"
    ]


def _with_sizes(connection: Connection, now: Reading, wanted: Wanted) -> Reading:
    limits = [wanted.limits[check.id] for check in wanted.checks if Section.SIZES in check.needs]
    found = sizes.read(connection, now, min(each["bytes"] for each in limits))
    return sizes.measure(connection, found, min(e["share"] for e in limits)) if wanted.measure_bloat else found


def _replica(target: Target, now: Reading) -> replicas.Replica:
    with connect(target) as connection, translated(target):
        return replicas.read(connection, str(target), now)


def _keep(file: Path, wanted: Wanted, entry: Entry, notes: list[str]) -> str | None:
    """Add the reading to the history; where that is ours to choose, a folder that takes no file is only a pity."""
    try:
        history_file.add(file, entry)
    except OSError as error:
        reason = f"{error.filename or file}: {error.strerror}"
        if wanted.history is not None:
            raise UsageError(f"cannot write the history {reason}; name another --history") from None
        notes.append(f"this reading could not be kept ({reason}); name a file with --history")
        return None
    return str(file)


def _totals(now: Reading) -> Totals | None:
    if not now.read >= _BASE:
        return None
    indexes = whole(now.indexes.values())
    return Totals(
        indexes=len(indexes),
        index_bytes=sum(index.size_bytes for index in indexes),
        tables=sum(table.parent_oid is None for table in now.tables.values()),
        table_bytes=sum(table.size_bytes for table in now.tables.values()),
    )
