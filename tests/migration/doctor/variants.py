"""Variants of env.py: those in which an index cannot be built CONCURRENTLY, and those in which it can.

Each is what follows :data:`HEAD`, or a file of its own where it imports something itself.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """\
from alembic import context
from sqlalchemy import engine_from_config, inspect, pool, text
from sqlalchemy.orm import Session

engine = engine_from_config(context.config.get_section("alembic"), poolclass=pool.NullPool)

"""

ASYNC = """\
import asyncio

from alembic import context
from sqlalchemy import pool, text
from sqlalchemy.ext.asyncio import async_engine_from_config

engine = async_engine_from_config(context.config.get_section("alembic"), poolclass=pool.NullPool)


def migrate(connection):
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


"""

RUN = """\
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""

OURS = "env.py began a transaction itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """``line`` is the source line that an error ``id`` is found in, ``says`` what ``alembic upgrade head`` stops with.

    ``driver`` is what the URL in alembic.ini has.
    """

    env: str
    id: str
    line: str
    says: str = OURS
    driver: str = "psycopg2"


BROKEN = {
    "engine.begin": Broken(
        env=HEAD + "with engine.begin() as connection:\n" + RUN,
        id="outer-begin",
        line="with engine.begin() as connection:",
    ),
    "engine.begin and a statement": Broken(
        env=HEAD
        + "with engine.begin() as connection:\n"
        + '    connection.execute(text("CREATE SCHEMA IF NOT EXISTS audit"))\n'
        + RUN
        + "    connection.execute(text(\"COMMENT ON SCHEMA audit IS 'done'\"))\n",
        id="outer-begin",
        line="with engine.begin() as connection:",
    ),
    "connection.begin in the same with": Broken(
        env=HEAD + "with engine.connect() as connection, connection.begin():\n" + RUN,
        id="outer-begin",
        line="with engine.connect() as connection, connection.begin():",
    ),
    "connection.begin in its own with": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n    with connection.begin():\n"
        + RUN.replace("    ", "        ", 1).replace("\n    ", "\n        "),
        id="outer-begin",
        line="with connection.begin():",
    ),
    "a transaction in a variable": Broken(
        env=HEAD
        + "connection = engine.connect()\ntransaction = connection.begin()\n"
        + "try:\n"
        + RUN
        + "    transaction.commit()\nexcept Exception:\n    transaction.rollback()\n    raise\n"
        + "finally:\n    connection.close()\n",
        id="outer-begin",
        line="transaction = connection.begin()",
    ),
    "a session's connection": Broken(
        env=HEAD
        + "with Session(engine) as session:\n    context.configure(connection=session.connection())\n"
        + "    with context.begin_transaction():\n        context.run_migrations()\n    session.commit()\n",
        id="outer-begin",
        line="context.configure(connection=session.connection())",
    ),
    "connection.begin after configure": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n    context.configure(connection=connection)\n"
        + "    with connection.begin():\n        context.run_migrations()\n",
        id="outer-begin",
        line="with connection.begin():",
    ),
    "connection.begin in Alembic's": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n    context.configure(connection=connection)\n"
        + "    with context.begin_transaction(), connection.begin():\n        context.run_migrations()\n",
        id="outer-begin",
        line="with context.begin_transaction(), connection.begin():",
        says="already",
    ),
    "connection.begin, and each revision its own": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n"
        + RUN.replace("context.begin_transaction()", "context.begin_transaction(), connection.begin()"),
        id="outer-begin",
        line="with context.begin_transaction(), connection.begin():",
        says="closed transaction",
    ),
    "in a function, through a context manager": Broken(
        env="from contextlib import contextmanager\n"
        + HEAD
        + "@contextmanager\ndef opened():\n    with engine.begin() as connection:\n        yield connection\n\n\n"
        + "def online():\n    with opened() as connection:\n"
        + RUN.replace("    ", "        ", 1).replace("\n    ", "\n        ")
        + "\n\nif not context.is_offline_mode():\n    online()\n",
        id="outer-begin",
        line="with engine.begin() as connection:",
    ),
    "async begin": Broken(
        env=ASYNC
        + "async def main():\n    async with engine.begin() as connection:\n"
        + "        await connection.run_sync(migrate)\n    await engine.dispose()\n\n\nasyncio.run(main())\n",
        id="outer-begin",
        line="async with engine.begin() as connection:",
        driver="asyncpg",
    ),
    "SET before configure": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n"
        + "    connection.execute(text(\"SET application_name = 'migrations'\"))\n"
        + RUN,
        id="statement-before-configure",
        line="connection.execute(text(\"SET application_name = 'migrations'\"))",
    ),
    "SET LOCAL before configure": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n"
        + "    connection.execute(text(\"SET LOCAL lock_timeout = '5s'\"))\n"
        + RUN,
        id="statement-before-configure",
        line="connection.execute(text(\"SET LOCAL lock_timeout = '5s'\"))",
    ),
    "CREATE SCHEMA before configure": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n"
        + '    connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS audit")\n'
        + RUN,
        id="statement-before-configure",
        line='connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS audit")',
    ),
    "an inspector before configure": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n"
        + '    is_new = not inspect(connection).has_table("item", schema="shop")\n'
        + RUN,
        id="statement-before-configure",
        line='is_new = not inspect(connection).has_table("item", schema="shop")',
    ),
    "async statement": Broken(
        env=ASYNC
        + "async def main():\n    async with engine.connect() as connection:\n"
        + "        await connection.execute(text(\"SET lock_timeout = '5s'\"))\n"
        + "        await connection.run_sync(migrate)\n    await engine.dispose()\n\n\nasyncio.run(main())\n",
        id="statement-before-configure",
        line="await connection.execute(text(\"SET lock_timeout = '5s'\"))",
        driver="asyncpg",
    ),
    "no transaction of Alembic's": Broken(
        env=HEAD
        + "with engine.connect() as connection:\n    context.configure(connection=connection)\n"
        + "    context.run_migrations()\n",
        id="missing-transaction",
        line="context.run_migrations()",
    ),
    "async driver, engine that is not": Broken(
        env=HEAD + "with engine.connect() as connection:\n" + RUN,
        id="async-url",
        line="sqlalchemy.url = ",
        says="greenlet_spawn has not been called",
        driver="asyncpg",
    ),
    "async engine, driver that is not": Broken(
        env=ASYNC
        + "async def main():\n    async with engine.connect() as connection:\n"
        + "        await connection.run_sync(migrate)\n    await engine.dispose()\n\n\nasyncio.run(main())\n",
        id="async-url",
        line="sqlalchemy.url = ",
        says="requires an async driver",
    ),
}
"""The errors that every build trips over, with the fix as exact lines."""

FINE = {
    "connect": HEAD + "with engine.connect() as connection:\n" + RUN,
    "a statement that is committed": HEAD
    + "with engine.connect() as connection:\n"
    + "    connection.execute(text(\"SET lock_timeout = '5s'\"))\n    connection.commit()\n"
    + RUN,
    "a transaction that is over": HEAD
    + "with engine.connect() as connection:\n    with connection.begin():\n"
    + '        connection.execute(text("CREATE SCHEMA IF NOT EXISTS audit"))\n'
    + RUN,
    "a transaction of another connection": HEAD
    + "with engine.begin() as other:\n    other.execute(text('CREATE SCHEMA IF NOT EXISTS audit'))\n"
    + "with engine.connect() as connection:\n"
    + RUN,
    "each revision its own transaction, and no other": HEAD
    + "with engine.connect() as connection:\n"
    + "    context.configure(connection=connection, transaction_per_migration=True)\n    context.run_migrations()\n",
    "a statement after configure": HEAD
    + "with engine.connect() as connection:\n"
    + RUN.replace("    with", "    connection.execute(text(\"SET application_name = 'migrations'\"))\n    with"),
    "async": ASYNC
    + "async def main():\n    async with engine.connect() as connection:\n"
    + "        await connection.run_sync(migrate)\n    await engine.dispose()\n\n\nasyncio.run(main())\n",
}
"""What looks alike and is no error: a build works through it."""
