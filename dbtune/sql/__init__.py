"""The catalog statements that dbtune sends, one a file: ``load("name")`` returns the text of ``name.sql``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load(name: str) -> str:
    """Return the statement in ``dbtune/sql/NAME.sql``."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def quote_identifier(name: str) -> str:
    """Return ``name`` as a quoted identifier (manual, 4.1.1)."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str | None) -> str:
    """Return ``value`` as a string constant, or NULL; right where ``standard_conforming_strings`` is on (4.1.2.1)."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"
