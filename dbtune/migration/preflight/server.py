"""The server that an upgrade would run on: what it is, what stands in front of it, and what the role may see."""

from __future__ import annotations

import os
import socket
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from enum import StrEnum

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.server import connection as server
from dbtune.server.connection import MARKER, Target

BROKEN = range(140_000, 140_004)
"""Versions in which CREATE INDEX CONCURRENTLY may make a corrupt index (release notes of 14.4)."""


class Pooler(StrEnum):
    """What is between a client and the server."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"
    """Two sessions share a server process: settings and locks of one are the other's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """dbtune/sql/migration_preflight_server.sql, with the version, the pooler, and whether it is on this machine."""

    version_num: int
    pooler: Pooler
    is_local: bool
    role: str
    database: str
    is_standby: bool
    pid: int
    sees_sessions: bool
    may_make_temporary: bool
    maintenance_work_mem: int
    parallel_workers: int
    parallel_from: int
    temp_file_limit: int | None
    default_tablespace: str
    temp_tablespaces: str
    data_directory: str | None

    @property
    def version(self) -> str:
        """The version, such as ``18.6``."""
        return server.version_text(self.version_num)


_READ = {each.name for each in fields(Server)} - {"version_num", "pooler", "is_local"}


def read(connection: Connection, target: Target) -> Server:
    """Return the facts, and leave ``connection`` in no transaction; another one is opened for a moment."""
    row = connection.execute(text(f"{MARKER}\n{sql.load('migration_preflight_server')}")).mappings().one()
    connection.commit()  # a pooler in transaction mode takes its session back here, and gives it to the next
    with server.connect(target) as other:
        shared = other.scalar(text(f"{MARKER} SELECT pg_catalog.pg_backend_pid()")) == row["pid"]
    # a pooler makes up the number of the process that it tells its client
    told = getattr(getattr(connection.connection.driver_connection, "info", None), "backend_pid", row["pid"])
    pooler = Pooler.TRANSACTION if shared else Pooler.NONE if told == row["pid"] else Pooler.SESSION
    return Server(
        version_num=server.server_version_num(connection),
        pooler=pooler,
        is_local=pooler is Pooler.NONE
        and _is_here(connection, row["server_address"], row["client_address"], row["client_port"]),
        **{name: row[name] for name in _READ},
    )


def _is_here(connection: Connection, server_address: str | None, client_address: str | None, port: int | None) -> bool:
    """Return whether nothing but this machine is between: a Unix socket, or our own address and port at both ends."""
    if server_address is None:
        return True
    fileno = getattr(connection.connection.driver_connection, "fileno", None)
    if fileno is None or server_address != client_address:
        return False
    with suppress(OSError), closing(socket.socket(fileno=os.dup(fileno()))) as ours:
        return bool(ours.getsockname()[:2] == (client_address, port))
    return False
