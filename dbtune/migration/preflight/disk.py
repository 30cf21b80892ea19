"""Where a build puts what it writes, and how much room there is, as far as anybody but the server can see that.

SQL tells how much a tablespace holds, and not how much more it could. Where the server is on this machine, and its
folders are to be reached, the operating system tells.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.migration.preflight.server import Server
from dbtune.server.connection import MARKER


class Holds(StrEnum):
    """What is put somewhere."""

    INDEXES = "indexes"
    TEMPORARY = "temporary files"
    WAL = "WAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place that a build writes to; sizes in bytes.

    ``tablespace`` is None for WAL. ``used`` is what the tablespace holds, None where that is not shown. ``free`` and
    ``device``, the disk's number, are None where the operating system could not be asked.
    """

    holds: Holds
    tablespace: str | None
    needs: int
    used: int | None = None
    path: str | None = None
    free: int | None = None
    device: int | None = None


def read(connection: Connection, server: Server, indexes: Mapping[str, int], temporary: int, wal: int) -> list[Place]:
    """Return the places for so many bytes; ``indexes`` are those by tablespace, of which '' is the database's."""
    temp = server.temp_tablespaces.split(",")[0].strip().strip('"')
    rows = connection.execute(
        text(f"{MARKER}\n{sql.load('migration_preflight_tablespaces')}"), {"names": [*indexes, temp]}
    ).mappings()
    found: dict[str, tuple[str, int | None, str]] = {}
    for row in rows:
        for name in {row["name"], *(("",) if row["is_default"] else ())}:
            found[name] = (row["name"], row["bytes"], row["location"])
    wanted = [(Holds.INDEXES, name, size) for name, size in indexes.items()]
    places = []
    for holds, name, needs in [*wanted, (Holds.TEMPORARY, temp, temporary)]:
        if needs and name in found:
            shown, used, location = found[name]
            folder = location or (f"{server.data_directory}/base" if server.data_directory else None)
            places.append(_place(Place(holds=holds, tablespace=shown, needs=needs, used=used), server, folder))
    if wal:
        folder = f"{server.data_directory}/pg_wal" if server.data_directory else None
        places.append(_place(Place(holds=Holds.WAL, tablespace=None, needs=wal), server, folder))
    return places


def _place(place: Place, server: Server, folder: str | None) -> Place:
    if folder is None or not server.is_local:
        return place
    try:
        free, device = shutil.disk_usage(folder).free, Path(folder).stat().st_dev
    except OSError:
        return place
    return Place(
        holds=place.holds,
        tablespace=place.tablespace,
        needs=place.needs,
        used=place.used,
        path=str(Path(folder)),
        free=free,
        device=device,
    )
