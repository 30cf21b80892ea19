"""A change, run on a connection without Alembic: on throw-away copies, and wherever nobody counts revisions."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError, Unsafe
from dbtune.migration.step import Change, Steps, for_members
from dbtune.server.connection import reason, sqlstate

_RAISED = "P0001"
_LEAVES_A_HEAP = ("23", "53")  # a unique index that rejects writes, or a full disk: what was built goes at once


def run(change: Change, connection: Connection) -> None:
    """Carry out ``change`` on a connection that is in no transaction; running it again changes nothing.

    :raises Unsafe: something else bears the index's name, or rows are not unique; nothing was touched.
    :raises ServerError: the server refuses; run it again when the reason is gone.
    """
    if connection.in_transaction():
        raise ServerError("the connection is in a transaction; indexes are built outside of any: commit it first")
    steps = change.steps()
    level = connection.get_isolation_level()
    connection.rollback()
    try:
        if steps.outside:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            _outside(connection, steps)
            connection.rollback()
            connection.execution_options(isolation_level=level)
        _send(connection, steps.inside)
        connection.commit()
    except DBAPIError as error:
        with suppress(Exception):
            connection.rollback()
            connection.execution_options(isolation_level=level)
        if sqlstate(error) == _RAISED:
            raise Unsafe(reason(error)) from None
        raise ServerError(f"{change.title}: {reason(error)}") from None


def _outside(connection: Connection, steps: Steps) -> None:
    cleanup = steps.outside[: steps.cleanup]
    try:
        _send(connection, (*steps.prepare, *steps.outside))
        if steps.members is not None:
            now = connection.exec_driver_sql(steps.members.tree, execution_options={"no_parameters": True}).all()
            for statements, cleanup in for_members(steps, now):  # noqa: B007  # of the one that failed
                _send(connection, statements)
        _send(connection, steps.after)
    except BaseException as error:
        if isinstance(error, DBAPIError) and (sqlstate(error) or "").startswith(_LEAVES_A_HEAP):
            with suppress(Exception):
                _send(connection, cleanup)
        with suppress(Exception):
            _send(connection, steps.restore)
        raise
    _send(connection, steps.restore)


def _send(connection: Connection, statements: Iterable[str]) -> None:
    """Send each as it stands: the driver looks for no parameters in it."""
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
