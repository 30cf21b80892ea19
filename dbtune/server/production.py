"""Servers that their owner marked as production: ``ALTER DATABASE … SET dbtune.production = on``."""

from __future__ import annotations

from sqlalchemy import Connection

from dbtune.errors import Unsafe

_ON = frozenset({"on", "true", "yes", "1", "t", "y"})


def check_not_marked(connection: Connection, what: str) -> None:
    """Refuse ``what`` (an option, as people write it) on a marked server.

    :raises Unsafe: the server is marked.
    """
    marked = connection.exec_driver_sql("/* dbtune */ SELECT current_setting('dbtune.production', true)").scalar()
    connection.rollback()
    if str(marked or "").lower() in _ON:
        raise Unsafe(f"this server is marked as production (dbtune.production): {what} is refused here")
