"""Values of parameters as the server logs them: ``$1 = 'it''s', $2 = NULL`` (manual, 19.8.3, log_parameter_max_length).

DETAIL has ``parameters: …`` up to PostgreSQL 16 and ``Parameters: …`` from 17; auto_explain has Query Parameters.
"""

from __future__ import annotations

import re

_ONE = r"\$[0-9]+ = (?:NULL|'[^']*+(?:''[^']*+)*+')"
_ALL = re.compile(rf"{_ONE}(?:, {_ONE})*+\Z")
_PAIR = re.compile(r"\$([0-9]+) = (?:(NULL)|'([^']*+(?:''[^']*+)*+)')")
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
    if _ALL.match(text) is None:
        return None
    found: list[str | None] = []
    is_plain = "''" not in text and _CUT not in text
    for number, null, value in _PAIR.findall(text):
        if int(number) != len(found) + 1:
            return None
        if null:
            found.append(None)
        elif is_plain:
            found.append(value)
        elif value.endswith(_CUT):
            return None
        else:
            found.append(value.replace("''", "'"))
    return tuple(found)
