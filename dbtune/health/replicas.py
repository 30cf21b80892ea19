"""Other servers of the cluster: each counts its own index scans, and the primary's oids are theirs too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from dbtune.errors import UsageError
from dbtune.health.state import Reading
from dbtune.health.values.index import Scans
from dbtune.health.values.server import Server
from dbtune.health.versioned import statement
from dbtune.server.connection import server_version_num


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Another server: how to call it, since when it counts, and its scans by the index's oid."""

    name: str
    at: datetime
    counters_since: datetime | None
    scans: Mapping[int, Scans]


def read(connection: Connection, name: str, reading: Reading) -> Replica:
    """Return the scans of this database's indexes on another server of the cluster that ``reading`` is of.

    :raises UsageError: it is a server of another cluster, the same server, or another database.
    """
    major = server_version_num(connection) // 10_000
    server = Server(**connection.execute(text(statement("health_server", major))).mappings().one())
    own = reading.server
    if server.system_identifier != own.system_identifier:
        raise UsageError(f"--replica {name}: a server of another cluster: its indexes are not these")
    if server.database != own.database:
        raise UsageError(f"--replica {name}: database {server.database}, but {own.database} is read: name that one")
    if (server.started, server.in_recovery, server.life) == (own.started, own.in_recovery, own.life):
        raise UsageError(f"--replica {name}: the server that is read anyway; name another one of the cluster")
    rows = connection.execute(text(statement("health_index_scans", major))).mappings().all()
    connection.rollback()
    return Replica(
        name=name,
        at=server.at,
        counters_since=server.counters_since,
        scans={row["oid"]: Scans(**row) for row in rows},
    )
