"""What to do about a finding as text to paste: a command for a shell, or a statement."""

from __future__ import annotations

import shlex
from typing import Any

from dbtune.health.finding import Migration, Remedy

_SPECIAL = frozenset('"$`\\!')


def is_sql(remedy: Remedy) -> bool:
    """Return whether it is a statement rather than a command."""
    return not isinstance(remedy, Migration)


def line(remedy: Remedy, at: str) -> str:
    """Return it on one line; ``at`` is how a shell names the server."""
    if not isinstance(remedy, Migration):
        return remedy.statement
    return " ".join([*_options(remedy, at), _quoted(remedy.statement)])


def shell(remedy: Remedy, at: str, width: int) -> list[str]:
    """Return it as one line, or where that is too long as several that paste as one."""
    whole = line(remedy, at)
    if len(whole) <= width or not isinstance(remedy, Migration):
        return [whole]
    lines = [""]
    for word in [*_options(remedy, at), _quoted(remedy.statement)]:
        if lines[-1] and len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"  {word}")
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def document(remedy: Remedy, at: str) -> dict[str, Any]:
    """Return it for programs: the statement, and for a migration the whole command line."""
    if not isinstance(remedy, Migration):
        return {"kind": "sql", "statement": remedy.statement, "replaces": None, "line": remedy.statement}
    return {
        "kind": "migration",
        "statement": remedy.statement,
        "replaces": remedy.replaces,
        "line": line(remedy, at),
    }


def _options(remedy: Migration, at: str) -> list[str]:
    words = ["dbtune migrate new"]
    if remedy.asks_server:
        words.append(f"--url {at}")
    if remedy.replaces is not None:
        words.append(f"--replaces {_quoted(remedy.replaces)}")
    return words


def _quoted(text: str) -> str:
    """Return the text as one word of a shell."""
    return shlex.quote(text) if _SPECIAL & set(text) else f'"{text}"'
