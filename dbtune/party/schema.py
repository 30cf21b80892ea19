"""The party schema's tables, made by its first Alembic revision: nothing that would help a query."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune import config
from dbtune.errors import ServerError
from dbtune.server.connection import reason

FIRST = "0001_january_2019"


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration for the party schema on ``connection``, without any alembic.ini."""
    made = Config()
    made.set_main_option("script_location", str(config.migrations_dir()).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, revision: str = FIRST) -> None:
    """Bring the schema up to ``revision``; one that is further on stays as it is.

    ``connection`` must not be in a transaction; the work is committed.

    :raises ServerError: the server refuses, or the schema is at a revision that nobody here knows.
    """
    try:
        command.upgrade(alembic_config(connection), revision)
    except CommandError as error:
        raise ServerError(f"the party schema cannot be brought to {revision}: {error}") from None
    except DBAPIError as error:
        raise ServerError(f"the party schema cannot be brought to {revision}: {reason(error)}") from None
    connection.commit()  # where there was nothing to do, Alembic leaves the transaction open in which it looked
