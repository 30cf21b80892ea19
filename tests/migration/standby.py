"""A primary and its standby, from one copied cluster: the programs of every major have initdb, pg_ctl and postgres."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbtune.server.binaries import Binaries
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import session, wait_for

NAME = "standby_one"
SLOT = "standby_slot"


@contextmanager
def pair(folder: Path, programs: Binaries | None = None) -> Iterator[tuple[EmbeddedServer, EmbeddedServer]]:
    """Start a primary and a standby that follows it through a slot, both in ``folder``."""
    primary = EmbeddedServer(folder / "primary", programs)
    standby = EmbeddedServer(folder / "standby", programs)
    try:
        primary.start()
        with session(primary.url()) as run:
            run(f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
        primary.stop()
        shutil.copytree(primary.home, standby.home, ignore=shutil.ignore_patterns("run", "pg_replslot"))
        (standby.data / "pg_replslot").mkdir(mode=0o700)
        shutil.copystat(primary.home, standby.home)
        owner = primary.data.stat()
        for each in (standby.home, *standby.home.rglob("*")):
            shutil.chown(each, owner.st_uid, owner.st_gid)
        primary.start()
        conninfo = f"host={primary.run} port={primary.status().port} user=dbtune application_name={NAME}"
        with (standby.data / "postgresql.auto.conf").open("a") as file:
            file.write(
                f"primary_conninfo = '{conninfo}'\nprimary_slot_name = '{SLOT}'\nwal_receiver_status_interval = '1s'\n"
            )
        (standby.data / "standby.signal").touch()
        standby.start()
        with session(primary.url()) as run:
            wait_for(lambda: bool(run("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")), 60)
        yield primary, standby
    finally:
        standby.reset()
        primary.reset()
