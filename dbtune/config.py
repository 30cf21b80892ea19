"""Where things are: folders, files and the environment variables that move them."""

from __future__ import annotations

import os
from pathlib import Path

URL_VARIABLES = ("DBTUNE_URL", "DATABASE_URL")
"""Environment variables that may name the database, the first that is set wins."""

DATA_DIR_VARIABLE = "DBTUNE_DATA_DIR"
PG_BINDIR_VARIABLE = "DBTUNE_PG_BINDIR"
SERVER_USER_VARIABLE = "DBTUNE_SERVER_USER"

_PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """Return the folder for the embedded server: ``$DBTUNE_DATA_DIR``, else the user's data directory.

    root has a system-wide one, because PostgreSQL must run as another user and that user cannot look into root's home.
    """
    if chosen := os.environ.get(DATA_DIR_VARIABLE):
        return Path(chosen).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/dbtune")
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "dbtune"


def cache_dir() -> Path:
    """Return the folder for things that can be made again, such as a readable copy of the server's binaries."""
    if os.geteuid() == 0:
        return Path("/var/cache/dbtune")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "dbtune"


def migrations_dir() -> Path:
    """Return the party schema's Alembic environment: the checkout's, else the copy inside an installed wheel."""
    checkout = _PACKAGE.parent / "migrations"
    return checkout if (checkout / "env.py").is_file() else _PACKAGE / "party" / "migrations"
