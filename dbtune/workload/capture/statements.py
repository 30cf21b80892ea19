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
from dbtune.server.connection import MARKER, sqlstate
from dbtune.workload import lexer
from dbtune.workload.capture.collect import collect, resolve_types
from dbtune.workload.capture.execution import Execution
from dbtune.workload.fingerprint import is_preparable
from dbtune.workload.lexer import Kind
from dbtune.workload.normalise import castable
from dbtune.workload.query import Query
from dbtune.workload.sampling import sampled

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
_SYSTEM = re.compile(r"\b(?:pg_\w*|information_schema|current_schemas?|current_setting|set_config|version|now)\b", re.I)
_NOT_LOADED = "55000"

Key = tuple[int, int, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of pg_stat_statements; ``total_ms`` is the time of all ``calls``, without planning.

    ``since`` is when the entry began to count (extension 1.11).
    """

    query: str | None
    calls: int
    total_ms: float
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the view held at one time, for this database: ``hidden`` entries are of other roles and not to be read.

    ``evictions`` and ``reset`` are None where the extension is older than 1.9.
    """

    entries: Mapping[Key, Entry]
    hidden: int
    evictions: int | None
    reset: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The queries of the application, what they were counted over, and how many entries are none of them, and why.

    ``since`` is the reset or the begin of the interval, None where it is not known; ``seconds`` is None since a reset.
    ``evictions`` in that time make the counts of rare statements too low; None where the extension does not tell.
    """

    queries: tuple[Query, ...]
    since: datetime | None
    seconds: float | None
    evictions: int | None
    left_out: Mapping[str, int]


def capture(
    connection: Connection,
    *,
    seconds: float | None = None,
    min_calls: int = 1,
    sleep: Callable[[float], None] = time.sleep,
) -> Captured:
    """Return what ran since the counters' reset, or within the next ``seconds``, with sampled parameter sets.

    Where pg_stats does not know values for all parameters of a statement it has no sets.

    :raises ServerError: the extension is missing, or the server refuses.
    """
    after = snapshot(connection)
    since, evictions, elapsed = after.reset, after.evictions, None
    entries = after.entries
    if seconds is not None:
        before = after
        started = time.monotonic()
        since = connection.execute(text("/* dbtune */ SELECT now()")).scalar()
        connection.rollback()
        sleep(seconds)
        after = snapshot(connection)
        elapsed = time.monotonic() - started
        entries = added(before, after)
        if after.evictions is not None and before.evictions is not None:
            evictions = after.evictions - before.evictions if after.evictions >= before.evictions else after.evictions
    left_out: Counter[str] = Counter()
    if after.hidden:
        left_out["hidden"] = after.hidden
    found = collect(_executions(entries, left_out), source=SOURCE, timed=False)
    enough = [query for query in found if query.weight >= min_calls]
    if len(enough) < len(found):
        left_out["rare"] = len(found) - len(enough)
    queries = tuple(sampled(connection, query) for query in resolve_types(connection, enough))
    return Captured(queries=queries, since=since, seconds=elapsed, evictions=evictions, left_out=dict(left_out))


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
        raise
    finally:
        connection.rollback()
    entries: dict[Key, Entry] = {}
    for row in rows:
        if row.queryid is not None and row.query != _HIDDEN:
            entries[row.userid, row.queryid, row.toplevel] = Entry(
                query=row.query, calls=row.calls, total_ms=row.total_exec_time, since=row.stats_since
            )
    return Snapshot(
        entries=entries,
        hidden=len(rows) - len(entries),
        evictions=None if info is None else info.dealloc,
        reset=None if info is None else info.stats_reset,
    )


def _of_schema(name: str, schema: str) -> str:
    return sql.load(name).replace("/* schema */", schema)


def added(before: Snapshot, after: Snapshot) -> dict[Key, Entry]:
    """Return the entries of what ran between the two snapshots.

    An entry that was evicted or reset meanwhile, and came again, counts as new.
    """
    found: dict[Key, Entry] = {}
    for key, entry in after.entries.items():
        old = before.entries.get(key)
        if old is None or old.since != entry.since or entry.calls < old.calls:
            found[key] = entry
        elif entry.calls > old.calls:
            found[key] = replace(entry, calls=entry.calls - old.calls, total_ms=entry.total_ms - old.total_ms)
    return found


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
    if not toplevel:
        return "nested"
    if not is_preparable(entry.query):
        return "utility"
    return "system" if _is_of_system(entry.query) else None


def _is_of_system(statement: str) -> bool:
    """Return whether it asks only the catalogs or the session: what drivers, tools and dbtune send by themselves.

    PostgreSQL 18 keeps no comment that leads a statement, so that dbtune's marker is not always there.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if not _SYSTEM.search(statement):
        return False
    try:
        tree = sqlglot.parse_one(_SQUASHED.sub("", statement), dialect="postgres")
    except (SqlglotError, RecursionError):
        return False
    if not isinstance(tree, exp.Query):
        return False
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = [t for t in tree.find_all(exp.Table) if t.name and (t.db or t.name not in ctes)]
    if tables:
        return all(t.name.startswith("pg_") or t.db == "information_schema" for t in tables)
    return all(map(_SYSTEM.fullmatch, lexer.called_functions(statement)))


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
