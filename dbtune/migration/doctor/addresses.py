"""Where the migrations connect to, and through which driver and engine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, urlsplit

from dbtune.migration.doctor import mends
from dbtune.migration.doctor.finding import Edit, Finding, Fix, Severity
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.settings import PLACEHOLDER, Settings
from dbtune.migration.doctor.trace import Way
from dbtune.migration.doctor.values import UNKNOWN, Const, Engine, Items, Pool, Value

POOLER_PORTS = (6432, 6543)
"""PgBouncer's port, and that of poolers in transaction mode of which there are several at hosting companies."""

_POOLER_HOST = re.compile(r"(?i)pgbouncer|pooler|pgcat|supavisor|odyssey")
_SESSION_MODE = re.compile(r"(?i)\.pooler\.supabase\.com$")
_ASYNC = ("asyncpg", "psycopg_async", "aiopg")
_SYNC = ("psycopg2", "pg8000", "psycopg2cffi")
_LIMITS = re.compile(
    r"(?:\b|-c)(lock_timeout|statement_timeout|idle_in_transaction_session_timeout|transaction_timeout)\b"
)


def judge(ways: Sequence[Way], settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the engines whose connections Alembic is given."""
    for way in ways:
        if way.databases is not None:
            continue
        for configured in way.configured:
            engine = configured.connection.engine if configured.connection is not None else None
            if engine is None or way.offline:
                continue
            yield from _driver(engine, settings)
            yield from _pooler(engine, settings)
            yield from _limits(engine, settings)
            if engine.pool is Pool.OTHER and engine.site.source is configured.site.source:
                yield _pool(engine)


def _driver(engine: Engine, settings: Settings) -> Iterator[Finding]:
    driver = _driver_of(engine.url)
    if driver in _ASYNC and not engine.is_async:
        yield _url_finding(
            engine,
            settings,
            "async-url",
            Severity.ERROR,
            f"{driver} is an asynchronous driver, and the engine is not",
            "Nothing is migrated: the first connection stops with MissingGreenlet.",
            "use a synchronous driver here, such as psycopg2, or Alembic's async template (alembic init -t async)",
            (driver, "psycopg2"),
        )
    elif driver in _SYNC and engine.is_async:
        yield _url_finding(
            engine,
            settings,
            "async-url",
            Severity.ERROR,
            f"the engine is asynchronous, and {driver} is not",
            "Nothing is migrated: create_async_engine() stops with InvalidRequestError.",
            "use an asynchronous driver here, such as asyncpg",
            (driver, "asyncpg"),
        )
    elif engine.is_async:
        known = f", with {driver}" if driver else ""
        yield found(
            "async-driver",
            Severity.INFO,
            engine.site,
            f"the migrations run on an asynchronous engine{known}",
            "Index revisions work there as they do elsewhere. With asyncpg, an application's transaction that is idle"
            " keeps a snapshot, so builds wait until it ends; with psycopg it keeps none once its statement is over.",
            None,
        )


def _driver_of(url: Value | None) -> str:
    """Return the driver that a URL names; nothing where it is not known, or SQLAlchemy's default."""
    if not isinstance(url, Const) or not isinstance(url.value, str) or url.value == PLACEHOLDER:
        return ""
    scheme = url.value.partition("://")[0]
    return scheme.partition("+")[2] if UNKNOWN not in scheme else ""


def _pooler(engine: Engine, settings: Settings) -> Iterator[Finding]:
    if not isinstance(engine.url, Const) or not isinstance(engine.url.value, str):
        return
    host, port = address(engine.url.value)
    if not (port in POOLER_PORTS or _POOLER_HOST.search(host)) or (port == 5432 and _SESSION_MODE.search(host)):
        return
    yield _url_finding(
        engine,
        settings,
        "pooler-url",
        Severity.WARNING,
        "this looks like a pooler: " + ":".join(filter(None, (host, str(port or "")))),
        "In transaction mode, the time limits that a revision lifts and the lock that it takes end up in other clients'"
        " sessions. dbtune migrate apply refuses a pooler in transaction mode.",
        "connect to the server itself, or to a pooler in session mode",
    )


def address(url: str) -> tuple[str, int | None]:
    """Return the host and port of a URL, as far as they are known."""
    try:
        parts = urlsplit(url.replace(UNKNOWN, "x"))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    query = dict(parse_qsl(parts.query))
    named = query.get("port", "")
    return host or query.get("host", ""), port or (int(named) if named.isdigit() else None)


def _limits(engine: Engine, settings: Settings) -> Iterator[Finding]:
    texts = [engine.url.value] if isinstance(engine.url, Const) and isinstance(engine.url.value, str) else []
    named = sorted({name for text in texts for name in _LIMITS.findall(text)})
    if named:
        yield _url_finding(engine, settings, *_limit_words(named))
    named = sorted({name for text in _texts(engine.arguments) for name in _LIMITS.findall(text)})
    if named:
        yield found("time-limit", Severity.INFO, engine.site, *_limit_words(named)[2:])


def _limit_words(names: Sequence[str]) -> tuple[str, Severity, str, str, None]:
    return (
        "time-limit",
        Severity.INFO,
        f"the connection sets {', '.join(names)}",
        "dbtune's index revisions lift time limits for the build and put them back. An index revision by hand would be"
        " cut short by them and leave an INVALID index.",
        None,
    )


def _texts(given: Value) -> Iterator[str]:
    """Yield the names and texts of connect_args."""
    if isinstance(given, Items):
        for name, each in given.items.items():
            yield name
            yield from _texts(each)
    elif isinstance(given, Const) and isinstance(given.value, str) and "://" not in given.value:
        yield given.value


def _pool(engine: Engine) -> Finding:
    source, node = engine.site.source, engine.site.node
    is_given = "poolclass" in engine.arguments.items
    chosen = source.named("sqlalchemy.pool.NullPool")
    edit = mends.with_argument(source, node, "poolclass", chosen) if isinstance(node, ast.Call) and chosen else None
    return found(
        "pool-not-null",
        Severity.INFO,
        engine.site,
        "the engine keeps its connection" + (" in another pool than NullPool" if is_given else ""),
        "The session stays until the process ends, idle, with what was SET in it. An index is built all the same: no"
        " transaction stays open.",
        "poolclass=pool.NullPool (from sqlalchemy import pool), as in Alembic's templates",
        [edit],
    )


def _url_finding(
    engine: Engine,
    settings: Settings,
    id: str,
    severity: Severity,
    message: str,
    why: str,
    text: str | None,
    driver: tuple[str, str] | None = None,
) -> Finding:
    """Return a finding where the URL is written; ``driver`` is to be replaced there by another one."""
    url = engine.url
    line = settings.line(url.option[1], url.option[0]) if isinstance(url, Const) and url.option is not None else None
    if line is not None:
        edits: tuple[Edit, ...] = ()
        if driver is not None:
            new = line.text.replace(f"+{driver[0]}:", f"+{driver[1]}:")
            edits = (Edit(file=line.file, line=line.number, last=line.number, lines=(new,)),)
        fix = None if text is None else Fix(text=text, edits=edits)
        return Finding(
            id=id,
            severity=severity,
            file=line.file,
            line=line.number,
            source=line.text,
            message=message,
            why=why,
            fix=fix,
        )
    site = url.site if isinstance(url, Const) and url.site is not None else engine.site
    made: list[Edit] = []
    if driver is not None:
        old = site.source.lines[site.line - 1]
        new = old.replace(f"+{driver[0]}:", f"+{driver[1]}:")
        if new != old:
            made = [Edit(file=site.source.path, line=site.line, last=site.line, lines=(new,))]
    return found(id, severity, site, message, why, text, made)
