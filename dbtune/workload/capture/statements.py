"""The workload as pg_stat_statements counts it: every statement of the database, how often, how long, without values.

The columns follow the extension's version, not the server's: an upgraded server runs the old extension until somebody
says ALTER EXTENSION pg_stat_statements UPDATE.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.errors import ServerError
from dbtune.server.connection import MARKER, is_lost, sqlstate
from dbtune.workload import lexer
from dbtune.workload.capture.collect import collect, resolve_types
from dbtune.workload.capture.execution import Execution
from dbtune.workload.fingerprint import is_preparable
from dbtune.workload.lexer import Kind
from dbtune.workload.normalise import castable
from dbtune.workload.period import period
from dbtune.workload.query import Query
from dbtune.workload.sampling import sampled
from dbtune.workload.system import is_of_system

SOURCE = "pg_stat_statements"

LIST_LENGTH = 3
"""Members that a list is given whose length PostgreSQL 18 no longer tells: ``IN ($1 /*, ... */)``."""

_COLUMNS = (((1, 11), "statements_1_11"), ((1, 9), "statements_1_9"), ((1, 8), "statements_1_8"))
_OLDEST_COLUMNS = "statements_1_0"
_INFO_SINCE = (1, 9)
_HIDDEN = "<insufficient privilege>"
_SQUASHED = re.compile(r"/\*, \.\.\. \*/")
_EXTRACT = re.compile(r"\bextract\s*\(\s*(\$[0-9]+)\s+from\b", re.IGNORECASE)
_ANY_OF = re.compile(
    r"\b(any|all)\s*\(\s*array\s*\[\s*(\$[0-9]+)[\s,$0-9]*(?:/\*, \.\.\. \*/)?\s*\]\s*\)", re.IGNORECASE
)
_NOT_LOADED = "55000"
_DAMAGED = "22021"  # the file was lost, and begins with zeros since
_NAME = "dbtune_statement"
# What the triggers of foreign keys send (ri_triggers.c).
_OF_CONSTRAINT = re.compile(
    r"\s*(?:SELECT (?:1|\$[0-9]+|fk\.\".*?) FROM|DELETE FROM|UPDATE)(?: ONLY)?"
    r' (?:"(?:[^"]|"")+"\.?){1,2} .*? OPERATOR\(pg_catalog\.',
    re.DOTALL,
)

Key = tuple[int, int, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of pg_stat_statements; ``total_ms`` is the time of all ``calls``, with planning where that is tracked.

    ``query`` is None where the server has lost the texts. ``since`` is when the entry began to count (extension 1.11).
    """

    query: str | None
    calls: int
    total_ms: float
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the view held at one time, for this database: ``hidden`` entries are of other roles and not to be read.

    ``evictions`` and ``reset`` are None where the extension is older than 1.9. ``read_at`` is the server's time.
    ``mixes_nested`` says that what functions send is counted too, by an extension (before 1.9) that does not tell it
    from what clients send.
    """

    entries: Mapping[Key, Entry]
    hidden: int
    evictions: int | None
    reset: datetime | None
    read_at: datetime
    mixes_nested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The queries of the application, what they were counted over, and how many entries are none of them, and why.

    ``since`` is the reset or the begin of the interval, whichever was later, None where it is not known; ``until`` is
    when it was read. ``seconds`` is None since a reset. ``evictions`` in that time make the counts of rare statements
    too low; None where the extension does not tell. ``mixes_nested`` is that of the snapshot.
    """

    queries: tuple[Query, ...]
    since: datetime | None
    until: datetime
    seconds: float | None
    evictions: int | None
    left_out: Mapping[str, int]
    mixes_nested: bool = False


def capture(
    connection: Connection,
    *,
    seconds: float | None = None,
    min_calls: int = 1,
    sleep: Callable[[float], None] = time.sleep,
) -> Captured:
    """Return what ran since the counters' reset, or within the next ``seconds``, with sampled parameter sets.

    Where pg_stats does not know values for all parameters of a statement it has no sets. What the server cannot prepare
    again is left out.

    :raises ServerError: the extension is missing, or the server refuses.
    """
    after = snapshot(connection)
    entries, since, evictions, elapsed = after.entries, after.reset, after.evictions, None
    if seconds is not None:
        before = after
        started = time.monotonic()
        sleep(seconds)
        after = snapshot(connection)
        elapsed = time.monotonic() - started
        entries = added(before, after)
        was_reset = after.reset is not None and after.reset != before.reset
        since = after.reset if was_reset else before.read_at
        if after.evictions is not None and before.evictions is not None:
            evictions = after.evictions - (0 if was_reset else before.evictions)
    left_out: Counter[str] = Counter()
    if after.hidden:
        left_out["hidden"] = after.hidden
    found = collect(_executions(entries, left_out), source=SOURCE, timed=False)
    enough = [query for query in found if query.weight >= min_calls]
    known = [query for query in resolve_types(connection, enough) if _can_be_prepared(connection, query)]
    for reason, count in (("rare", len(found) - len(enough)), ("unprepared", len(enough) - len(known))):
        if count:
            left_out[reason] = count
    periods = () if since is None else (period(since, after.read_at),)
    return Captured(
        queries=tuple(replace(sampled(connection, query), periods=periods) for query in known),
        since=since,
        until=after.read_at,
        seconds=elapsed,
        evictions=evictions,
        left_out=dict(left_out),
        mixes_nested=after.mixes_nested,
    )


def _can_be_prepared(connection: Connection, query: Query) -> bool:
    """Return whether the server takes the text back; not where it is cut, or its constants' types were needed."""
    try:
        with connection.begin_nested() as attempt:
            types = f" ({', '.join(query.types)})" if query.types else ""
            for statement in (f"PREPARE {_NAME}{types} AS {query.statement}", f"DEALLOCATE {_NAME}"):
                connection.exec_driver_sql(f"{MARKER} {statement}", execution_options={"no_parameters": True})
            attempt.rollback()
    except DBAPIError as error:
        if is_lost(error):
            raise
        return False
    finally:
        connection.rollback()
    return True


def snapshot(connection: Connection) -> Snapshot:
    """Read the view.

    :raises ServerError: the extension is missing, or not loaded by the server.
    """
    extension = connection.execute(text(sql.load("statements_extension"))).one_or_none()
    if extension is None:
        connection.rollback()
        raise ServerError(
            "this database has no pg_stat_statements; run CREATE EXTENSION pg_stat_statements"
            " (the server must have it in shared_preload_libraries)"
        )
    version = tuple(int(number) for number in extension.extversion.split("."))
    schema = f"{sql.quote_identifier(extension.nspname)}."
    columns = next((name for first, name in _COLUMNS if version >= first), _OLDEST_COLUMNS)
    try:
        rows = connection.exec_driver_sql(_of_schema(columns, schema)).all()
        info = None
        if version >= _INFO_SINCE:
            info = connection.exec_driver_sql(_of_schema("statements_info", schema)).one()
    except DBAPIError as error:
        if sqlstate(error) == _NOT_LOADED:
            raise ServerError(
                "the server has not loaded pg_stat_statements;"
                " add it to shared_preload_libraries and restart the server"
            ) from None
        if sqlstate(error) == _DAMAGED:
            raise ServerError(
                "the server's file with the texts of pg_stat_statements is damaged, so that nobody can read the view;"
                " run SELECT pg_stat_statements_reset() to begin anew"
            ) from None
        raise
    finally:
        connection.rollback()
    entries: dict[Key, Entry] = {}
    for row in rows:
        if row.queryid is not None and row.query != _HIDDEN:
            entries[row.userid, row.queryid, row.toplevel] = Entry(
                query=row.query, calls=row.calls, total_ms=row.total_ms, since=row.stats_since
            )
    return Snapshot(
        entries=entries,
        hidden=len(rows) - len(entries),
        evictions=None if info is None else info.dealloc,
        reset=None if info is None else info.stats_reset,
        read_at=extension.read_at,
        mixes_nested=version < _INFO_SINCE and extension.track == "all",
    )


def _of_schema(name: str, schema: str) -> str:
    return sql.load(name).replace("/* schema */", schema)


def added(before: Snapshot, after: Snapshot) -> dict[Key, Entry]:
    """Return the entries of what ran between the two snapshots.

    An entry that was evicted or reset meanwhile, and came again, counts as new. The extension tells from 1.11 on, and
    from 1.9 on when everything was reset; else that shows only by counters that went down and entries that are gone.
    """
    known = {} if _was_reset(before, after) else before.entries
    found: dict[Key, Entry] = {}
    for key, entry in after.entries.items():
        old = known.get(key)
        if old is None or old.since != entry.since or entry.calls < old.calls or entry.total_ms < old.total_ms:
            found[key] = entry
        elif entry.calls > old.calls:
            found[key] = replace(entry, calls=entry.calls - old.calls, total_ms=entry.total_ms - old.total_ms)
    return found


def _was_reset(before: Snapshot, after: Snapshot) -> bool:
    """Return whether the counters of the database began anew: so it is told, or most of them fell or are gone."""
    if after.reset != before.reset:
        return True
    fell = sum(
        (new := after.entries.get(key)) is None or new.calls < old.calls or new.total_ms < old.total_ms
        for key, old in before.entries.items()
    )
    return fell * 2 > len(before.entries)


def _executions(entries: Mapping[Key, Entry], left_out: Counter[str]) -> Iterator[Execution]:
    """Yield the application's statements as they can be prepared; count the others by the reason."""
    for (_, _, toplevel), entry in entries.items():
        if reason := _not_wanted(entry, toplevel):
            left_out[reason] += 1
        elif entry.query is not None and entry.calls:
            yield Execution(
                statement=preparable(entry.query),
                values=None,
                duration_ms=max(entry.total_ms, 0) / entry.calls,
                rows=None,
                calls=entry.calls,
            )


def _not_wanted(entry: Entry, toplevel: bool) -> str | None:
    if entry.query is None:
        return "lost"
    if MARKER in entry.query:
        return "own"
    if not toplevel or _OF_CONSTRAINT.match(entry.query):
        return "nested"
    if not is_preparable(entry.query):
        return "utility"
    return "system" if is_of_system(entry.query) else None


def preparable(statement: str) -> str:
    """Return a text of pg_stat_statements as PREPARE takes it, its parameters numbered in their order.

    It writes ``date '2019-01-30'`` as ``date $1`` and ``extract(year from x)`` as ``extract($1 from x)``, which no
    parser takes, and from PostgreSQL 18 a list of any length as ``IN ($1 /*, ... */)``. The members of an array that
    something is compared with have lost their type, so that one parameter takes their place.
    """
    statement = _EXTRACT.sub(r"pg_catalog.date_part(\1,", castable(statement))
    statement = _ANY_OF.sub(r"\1 (\2)", statement)
    pieces: list[str] = []
    numbers: dict[str, int] = {}
    count = 0
    for token in lexer.tokens(statement):
        if token.kind is Kind.PARAMETER:
            if token.text not in numbers:
                count += 1
                numbers[token.text] = count
            pieces.append(f"${numbers[token.text]}")
        elif token.kind is Kind.COMMENT and _SQUASHED.fullmatch(token.text):
            more = range(count + 1, count + LIST_LENGTH)
            pieces[-1] = pieces[-1].rstrip()
            pieces += [f", ${number}" for number in more]
            count += len(more)
        else:
            pieces.append(token.text)
    return "".join(pieces)
