"""Names: quoted where they need it, and no longer than PostgreSQL keeps them."""

from __future__ import annotations

import hashlib

from dbtune.errors import UsageError
from dbtune.index.definition import LONGEST_NAME, quoted

__all__ = ["checked", "digest", "fitted", "qualified", "quoted"]


def qualified(schema: str, name: str) -> str:
    """Return ``schema.name`` as identifiers."""
    return f"{quoted(schema)}.{quoted(name)}"


def checked(name: str) -> str:
    """Return ``name``.

    :raises UsageError: PostgreSQL would cut it short, so that it is found under another name; or it breaks the line.
    """
    if not name.isprintable():
        raise UsageError(f"{name!a}: a name with control characters or line breaks; choose another")
    if (size := len(name.encode())) > LONGEST_NAME:
        raise UsageError(f"{quoted(name)} has {size} bytes; PostgreSQL keeps {LONGEST_NAME} of a name: shorten it")
    return name


def fitted(beginning: str, ending: str) -> str:
    """Return ``beginning_ending``, the beginning cut so that both fit into a name."""
    room = LONGEST_NAME - len(ending.encode()) - 1
    cut = beginning.encode()[:room].decode(errors="ignore")
    return f"{cut}_{ending}"


def digest(text: str) -> str:
    """Return twelve characters that stand for ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
