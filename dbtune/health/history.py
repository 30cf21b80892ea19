"""Earlier readings of the same server and database, and what they say about now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbtune.health import counters
from dbtune.health.counters import Counts
from dbtune.health.section import Section
from dbtune.health.span import LEAST_SECONDS, Kind, Span
from dbtune.health.state import Reading

Resets = Mapping[Section, tuple[datetime | None, ...]]

_SKEW_SECONDS, _SKEW_SHARE = 5.0, 0.02
_KEPT_HOURS, _KEPT_DAYS = 24, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One reading's counters: ``at`` by the server's clock, ``client_at`` by ours.

    ``identity`` is of the server and database: counters of another one say nothing about this. ``workers_busy`` tells
    whether all autovacuum workers were at work, None where that was not to be seen.
    """

    at: datetime
    client_at: datetime
    identity: tuple[str, str, bool]
    resets: Resets
    counts: Mapping[Section, Counts]
    workers_busy: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The earlier readings that can be compared with one, the newest first, and why others cannot."""

    entries: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()


def entry(reading: Reading, client_at: datetime) -> Entry:
    """Return what is worth keeping of a reading."""
    counts = counters.taken(reading)
    resets = counters.resets(reading)
    return Entry(
        at=reading.server.at,
        client_at=client_at,
        identity=identity(reading),
        resets={section: resets[section] for section in counts},
        counts=counts,
        workers_busy=reading.workers.all_busy if reading.workers is not None else None,
    )


def identity(reading: Reading) -> tuple[str, str, bool]:
    """Return what must be the same for two readings to be of one server and database."""
    server = reading.server
    return server.system_identifier, server.database, server.in_recovery


def past(reading: Reading, client_at: datetime, entries: Iterable[Entry]) -> Past:
    """Return the entries of the same server and database from before, by clocks that ran alike since."""
    own = [each for each in entries if each.identity == identity(reading)]
    notes = []
    later = [each for each in own if each.at >= reading.server.at]
    if later:
        notes.append(
            f"{_readings(len(later))} not used: from {_time(max(e.at for e in later))}, which is later than now "
            f"by the server's clock: it was set back"
        )
    earlier = [each for each in own if each.at < reading.server.at]
    skewed = [each for each in earlier if _is_skewed(each, reading, client_at)]
    if skewed:
        notes.append(
            f"{_readings(len(skewed))} not used: since then the server's clock and this machine's went apart, so that "
            f"nobody knows how long ago that was"
        )
    kept = sorted((each for each in earlier if each not in skewed), key=lambda each: each.at, reverse=True)
    return Past(entries=tuple(kept), notes=tuple(notes))


def _is_skewed(each: Entry, reading: Reading, client_at: datetime) -> bool:
    by_server = (reading.server.at - each.at).total_seconds()
    by_client = (client_at - each.client_at).total_seconds()
    return abs(by_server - by_client) > max(_SKEW_SECONDS, _SKEW_SHARE * by_server)


def _readings(count: int) -> str:
    return "1 stored reading is" if count == 1 else f"{count} stored readings are"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"


def base(reading: Reading, found: Past, seconds: float) -> Entry | None:
    """Return the entry from which to count: the one whose age is nearest to ``seconds``, None where there is none.

    Those since which the database's counters were not reset are preferred, then those with all sections.
    """
    wanted = counters.taken(reading).keys()

    def rank(each: Entry) -> tuple[bool, int, float]:
        age = (reading.server.at - each.at).total_seconds()
        reset = not goes_on(reading, each, Section.TABLES if Section.TABLES in wanted else Section.SERVER)
        return reset, len(wanted - each.counts.keys()), abs(age - seconds)

    old = [e for e in found.entries if (reading.server.at - e.at).total_seconds() >= LEAST_SECONDS]
    return min(old, key=rank, default=None)


def goes_on(reading: Reading, each: Entry, section: Section) -> bool:
    """Return whether the section's counters went on from the entry to the reading without a reset."""
    return section in each.counts and each.resets.get(section) == counters.resets(reading)[section]


def counted(
    reading: Reading, begin: Entry | None, kind: Kind, seconds: float | None = None
) -> tuple[Reading, dict[Section, Span]]:
    """Return the reading with what its counters counted since ``begin``, and by section over which time.

    Without ``begin``, or where a section was reset since, its totals stay. ``seconds`` is the time between, where
    that is known better than by the server's clock.
    """
    spans: dict[Section, Span] = {}
    now = reading.server.at
    result = reading
    for section in counters.taken(reading):
        if begin is not None and goes_on(reading, begin, section):
            result = counters.grown(result, section, begin.counts[section])
            elapsed = (now - begin.at).total_seconds() if seconds is None else seconds
            spans[section] = Span(kind=kind, since=begin.at, seconds=elapsed)
            continue
        since = counters.since(reading, section)
        elapsed_since = None if since is None else max(0.0, (now - since).total_seconds())
        spans[section] = Span(kind=Kind.RESET, since=since, seconds=elapsed_since)
    return result, spans


def idle_since(reading: Reading, found: Past) -> dict[str, datetime | None]:
    """Return for each index the time since which no scan was counted, as far as is known; None: nothing is known.

    An index that is not in an older reading was made after it, or its counters began anew after it. Where even the
    oldest reading has it with as many scans, and that is none, it has had none since counting began, or since it was
    made.
    """
    going_on = [each for each in found.entries if goes_on(reading, each, Section.INDEXES)]
    began = reading.server.counters_since
    result: dict[str, datetime | None] = {}
    for name, index in reading.indexes.items():
        since: datetime | None = reading.server.at if index.idx_scan == 0 else None
        for each in going_on:
            before = each.counts[Section.INDEXES].get(name)
            if before is None or before.get("idx_scan", 0) != index.idx_scan:
                break
            since = each.at
        else:
            since = began if index.idx_scan == 0 else since
        if index.last_idx_scan is not None:
            since = index.last_idx_scan
        result[name] = since
    return result


def busy_readings(reading: Reading, found: Past) -> int:
    """Return in how many readings on end, this one the last, all autovacuum workers were at work."""
    if reading.workers is None or not reading.workers.all_busy:
        return 0
    count = 1
    for each in found.entries:
        if not each.workers_busy:
            break
        count += 1
    return count


def pruned(entries: Sequence[Entry], now: datetime) -> list[Entry]:
    """Return the entries worth keeping, oldest first: all of the last hour, then one an hour, then one a day.

    Of each hour and day the first is kept, so that a time without scans stays as long as it was. After a hundred days
    they go; so do those from a future of more than a day.
    """
    kept: list[Entry] = []
    seen: set[tuple[object, ...]] = set()
    for each in sorted(entries, key=lambda e: e.at):
        age = now - each.at
        if age > timedelta(days=_KEPT_DAYS) or age < -timedelta(days=1):
            continue
        if age > timedelta(hours=1):
            sections = frozenset(each.counts)
            length = 13 if age <= timedelta(hours=_KEPT_HOURS) else 10  # of 2026-01-31T10:00
            slot = (each.identity, sections, each.at.isoformat()[:length])
            if slot in seen:
                continue
            seen.add(slot)
        kept.append(each)
    return kept
