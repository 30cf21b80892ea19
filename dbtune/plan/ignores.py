"""Violations that somebody accepted: a YAML file of entries, each with a reason and a date on which it ends.

- query: search-businesses
  check: new-seq-scan
  relation: partysvc.business      # optional
  reason: a scan is right for a search by part of the name
  expires: 2027-06-30
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from dbtune.errors import BadFile
from dbtune.plan.gate import Check, Ignore

NAME = "ignore.yaml"
"""The file's name beside the query files."""

_KEYS = {"query", "check", "relation", "reason", "expires"}


def load(path: Path) -> tuple[Ignore, ...]:
    """Read the accepted violations.

    :raises BadFile: the file cannot be read, or an entry lacks a reason or an end.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise BadFile(path, f"is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise BadFile(path, "is not YAML", line=mark.line + 1 if mark else None) from None
    if document is None:
        return ()
    if not isinstance(document, list):
        raise BadFile(path, "must be a list of entries, each with query, check, reason and expires")
    return tuple(_ignore(entry, number, path) for number, entry in enumerate(document, 1))


def _ignore(entry: Any, number: int, path: Path) -> Ignore:
    where = f"entry {number}"
    if not isinstance(entry, dict):
        raise BadFile(path, f"{where} must be a mapping with query, check, reason and expires")
    if unknown := [key for key in entry if key not in _KEYS]:
        raise BadFile(path, f"{where} has an unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}")
    for key in ("query", "check", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise BadFile(path, f"{where} must have a {key}")
    if entry["check"] not in set(Check):
        raise BadFile(path, f"{where} names an unknown check {entry['check']!r}; known: {', '.join(Check)}")
    if not isinstance(entry.get("expires"), date):
        raise BadFile(path, f"{where} must have a date on which it expires, such as 2027-06-30")
    relation = entry.get("relation")
    return Ignore(
        query=entry["query"],
        check=Check(entry["check"]),
        relation=str(relation) if relation is not None else None,
        reason=entry["reason"].strip(),
        expires=entry["expires"],
    )
