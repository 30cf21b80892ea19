"""Values of parameters as the server logs them: ``$1 = 'it''s', $2 = NULL`` (manual, 19.8.3, log_parameter_max_length).

DETAIL has ``parameters: …`` up to PostgreSQL 16 and ``Parameters: …`` from 17; auto_explain has Query Parameters.
"""

from __future__ import annotations

import re

_PAIR = re.compile(r"\$([0-9]+) = (?:NULL|'([^']*+(?:''[^']*+)*+)')(?:, |\Z)")
_LABEL = re.compile(r"[Pp]arameters: ")
_CUT = "..."


def parameters(detail: str) -> tuple[str | None, ...] | None:
    """Return the values in a DETAIL, in order; None if it tells none, or only a part of them."""
    label = _LABEL.match(detail)
    return values(detail[label.end() :]) if label else None


def values(text: str) -> tuple[str | None, ...] | None:
    """Return the values in ``$1 = '…', $2 = NULL``; None if ``text`` is not all of that.

    A value that ends in three dots counts as one that log_parameter_max_length cut: then not all is told.
    """
    found: list[str | None] = []
    at = 0
    match = _PAIR.match
    while at < len(text):
        pair = match(text, at)
        if pair is None:
            return None
        number, value = pair.groups()
        if value is not None:
            if value.endswith(_CUT):
                return None
            if "''" in value:
                value = value.replace("''", "'")
        found.append(value)
        if int(number) != len(found):
            return None
        at = pair.end()
    return tuple(found) if found else None
