"""What the routes send to the server, captured from real calls and kept as query files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from dbtune.errors import BadFile, Unsafe, UsageError
from dbtune.party import data, requests
from dbtune.party.models import SCHEMA
from dbtune.party.refusals import Refusal
from dbtune.party.requests import Request
from dbtune.party.routes import ROUTES
from dbtune.workload import files
from dbtune.workload.capture.collect import collect, resolve_types
from dbtune.workload.capture.sqlalchemy import SOURCE, record
from dbtune.workload.query import Query


@dataclass(frozen=True, slots=True)
class Written:
    """How many files a capture wrote anew, found as they should be, and removed because nothing sends them any more."""

    changed: int
    unchanged: int
    removed: int


def prepare(connection: Connection) -> list[Request]:
    """Return the requests to capture from the data that dbtune loaded.

    :raises UsageError: there are no data.
    :raises Unsafe: the data are somebody's own.
    """
    found = data.contents(connection)
    if found is None or found.empty:
        raise UsageError(f"{SCHEMA} holds no data to run requests on; load some: dbtune party load")
    if found.scale is None:
        raise Unsafe(
            f"{SCHEMA} was not loaded by dbtune, and requests write (though it is rolled back);"
            " name a database of its own for this: dbtune party load --url …"
        )
    return requests.choose(connection)


def capture(
    connection: Connection, wanted: Sequence[Request], progress: Callable[[str], None] = lambda route: None
) -> list[Query]:
    """Run the requests, each in a session of its own that is rolled back, and return the statements they sent.

    Durations are left out: they are the only part that differs when the same requests run on the same data again.
    The sessions are of ``connection``'s engine; its own transaction is rolled back first.
    """
    connection.rollback()
    with record(connection.engine) as recorder:
        for request in wanted:
            progress(str(request.route))
            with recorder.route(str(request.route)), Session(connection.engine) as session:
                run(session, request)
    data.vacuum(connection)
    queries = collect(recorder.executions, source=SOURCE, timed=False)
    return [replace(query, mean_ms=None) for query in resolve_types(connection, queries)]


def run(session: Session, request: Request) -> None:
    """Do what the request asks, and roll it back."""
    try:
        request.route.function(session, *request.path, **request.arguments)
        session.flush()
    except Refusal:
        pass  # an answer like any other: what was asked before it counts
    finally:
        session.rollback()


def write(queries: Iterable[Query], folder: Path) -> Written:
    """Write each query to ``folder/NAME.sql``; remove what earlier captures wrote there and this one did not.

    A file is a capture's if its header says so and names one of the party service's routes.

    :raises Unsafe: a file that no capture wrote has the name of a query; nothing is written then.
    :raises UsageError: the folder cannot be written.
    """
    texts = {folder / f"{query.name}.sql": files.dump(query) for query in queries}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = {path: _is_captured(path) for path in sorted(folder.glob("*.sql"))}
        for path in texts:
            if present.get(path) is False:
                raise Unsafe(f"{path} was not written by a capture and would be overwritten; give it another name")
        old = {path: path.read_text(encoding="utf-8") for path, captured in present.items() if captured}
        changed = {path: text for path, text in texts.items() if old.get(path) != text}
        for path, text in changed.items():
            path.write_text(text, encoding="utf-8")
        stale = old.keys() - texts.keys()
        for path in stale:
            path.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or folder}: {error.strerror}; choose another --query-dir"
        ) from None
    return Written(changed=len(changed), unchanged=len(texts) - len(changed), removed=len(stale))


def _is_captured(path: Path) -> bool:
    try:
        query = files.load(path)
    except BadFile:
        return False
    return query.source == SOURCE and (query.route or "").split(", ")[0] in map(str, ROUTES)
