"""Alembic's environment of the party schema: which database, which tables, one transaction a revision.

The database is, in this order: a Connection or Engine in ``config.attributes["connection"]``, ``-x url=…``, and what
every dbtune command uses ($DBTUNE_URL, $DATABASE_URL, the embedded server). ``--sql`` needs no database.
"""

from __future__ import annotations

import logging
from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.schema import CreateSchema

from dbtune.errors import DbtuneError
from dbtune.party.models import SCHEMA, Base
from dbtune.server import connection as server
from dbtune.server import interrupt

log = logging.getLogger("alembic.env")


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """Return whether autogenerate looks at this at all: of the schemas only at ours."""
    return kind != "schema" or name == SCHEMA


def include_object(thing: object, name: str | None, kind: str, reflected: bool, compare_to: object | None) -> bool:
    """Return whether autogenerate compares this.

    The models say nothing of indexes: those that the database has are the work of the revisions, not to be dropped.
    """
    return not (kind == "index" and reflected and compare_to is None)


OPTIONS: dict[str, Any] = {
    "target_metadata": Base.metadata,
    "version_table_schema": SCHEMA,
    "include_schemas": True,
    "include_name": include_name,
    "include_object": include_object,
    "transaction_per_migration": True,  # an index built CONCURRENTLY must not wait for a transaction of our own
}


def offline() -> None:
    """Print the SQL of the migration."""
    context.configure(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, **OPTIONS)
    output = context.get_context().impl.static_output
    output("-- Apply with psql -v ON_ERROR_STOP=1, or a failed statement does not keep the later ones from running.\n")
    if context.get_starting_revision_argument() in (None, "base"):  # else revisions have been there before
        output(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA};\n")
    with context.begin_transaction():
        context.run_migrations()


def online(connection: Connection) -> None:
    """Run the migration on a connection that is not in a transaction."""
    if connection.in_transaction():
        raise CommandError("the connection is in a transaction; indexes are built outside of any: commit it first")
    context.configure(connection=connection, **OPTIONS)
    if not context.get_context().opts.get("dont_mutate"):  # such as alembic current
        with connection.begin():
            # asked first, because IF NOT EXISTS wants the right to create schemas even where there is one
            if not connection.scalar(text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": SCHEMA}):
                connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
    with context.begin_transaction():
        context.run_migrations()


def online_by_url() -> None:
    """Run the migration on the database that dbtune uses; what goes wrong is one line."""
    try:
        url = context.get_x_argument(as_dictionary=True).get("url")
        target = server.Target(server.parse_url(url, "-x url"), "-x url") if url else server.resolve()
        with server.connect(target) as connection, interrupt.cancelling():
            try:
                online(connection)
            except (DBAPIError, PendingRollbackError, KeyboardInterrupt) as error:
                match first_cause(error):
                    case DBAPIError() as cause:
                        raise CommandError(f"{target}: {server.reason(cause, target.url.password)}") from error
                    case KeyboardInterrupt():
                        log.warning("stopped; upgrade again when you like, what is half built is dropped then")
                        raise SystemExit(130) from None
                raise
    except DbtuneError as error:
        raise CommandError(str(error)) from None


def first_cause(error: BaseException) -> BaseException:
    """Return what went wrong first: on the way out Alembic trips over the transaction that it ended."""
    while isinstance(error, PendingRollbackError) and error.__context__ is not None:
        error = error.__context__
    return error


if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)

given = context.config.attributes.get("connection")
if context.is_offline_mode():
    offline()
elif isinstance(given, Engine):
    with given.connect() as opened:
        online(opened)
elif given is not None:
    online(given)
else:
    online_by_url()
