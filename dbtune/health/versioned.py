"""Statements whose lines depend on the version: ``-- 16+`` and ``-- before 16`` at a line's end say for which it is."""

from __future__ import annotations

import re

from dbtune import sql

_FROM = re.compile(r"-- (\d+)\+$")
_BEFORE = re.compile(r"-- before (\d+)$")


def statement(name: str, major: int) -> str:
    """Return ``dbtune/sql/NAME.sql`` as that major version takes it."""
    lines = [line for line in sql.load(name).splitlines() if _is_for(line.rstrip(), major)]
    return "\n".join(lines)


def _is_for(line: str, major: int) -> bool:
    if (found := _FROM.search(line)) is not None:
        return major >= int(found.group(1))
    if (found := _BEFORE.search(line)) is not None:
        return major < int(found.group(1))
    return True
