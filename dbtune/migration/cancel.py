"""Ending an upgrade early, and taking away what it did not finish."""

from __future__ import annotations

import time
from contextlib import suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune.migration.mutex import Mutex
from dbtune.migration.upgrade import Upgrade
from dbtune.server import connection as server
from dbtune.server.connection import MARKER

_POLL_S = 0.5
_PATIENCE_S = 30.0
_DROPS = "2s"


def cancel(mutex: Mutex, upgrade: Upgrade, built: int | None) -> str:
    """Cancel what the upgrade's sessions do until it has ended, and drop the index ``built`` unless it is valid.

    Return what is left, as people say it.

    :raises ServerError: the server is gone, or refuses.
    """
    upgrade.stop()
    since = time.monotonic()
    with server.translated(mutex.target):
        connection = mutex.usable()
        while not upgrade.ended.is_set():
            if time.monotonic() - since > _PATIENCE_S:
                return "it does not end: what it does is no statement that can be cancelled, and goes on"
            connection.execute(
                text(f"{MARKER} SELECT pg_catalog.pg_cancel_backend(p) FROM unnest(CAST(:pids AS int[])) AS p"),
                {"pids": upgrade.pids},
            )
            upgrade.ended.wait(_POLL_S)
        return _drop(connection, built)


def _drop(connection: Connection, built: int | None) -> str:
    name = (
        None
        if built is None
        else connection.scalar(
            text(
                f"{MARKER} SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_index AS i"
                " JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid"
                " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                " WHERE i.indexrelid = :index AND NOT i.indisvalid AND c.relkind = 'i'"
            ),
            {"index": built},
        )
    )
    if name is None:
        return "nothing is left of it"
    try:
        connection.exec_driver_sql(f"{MARKER} SET lock_timeout = '{_DROPS}'")
        connection.exec_driver_sql(
            f"{MARKER} DROP INDEX CONCURRENTLY IF EXISTS {name}", execution_options={"no_parameters": True}
        )
    except DBAPIError:
        return f"{name} stays INVALID until the next run mends it"
    finally:
        with suppress(DBAPIError):
            connection.exec_driver_sql(f"{MARKER} SET lock_timeout = 0")
    return f"what was built of {name} is dropped"
