"""A saved report, to compare with later: the JSON that ``dbtune explain`` prints, read back as plans."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbtune.errors import BadFile
from dbtune.plan.arithmetic import Analysis, analyse
from dbtune.plan.parse import NotAPlan, parse

SCHEMA_VERSIONS = (1,)
"""Versions of the report that can be read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """One query as it was. ``index_paths``: for each table, whether an index could look up its rows; None: unknown."""

    name: str
    statement: str | None
    parameter_set: str | None
    analysis: Analysis
    index_paths: Mapping[str, bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The queries of a saved report, by name, and the server's version of then."""

    path: Path
    version: str
    queries: Mapping[str, Before]

    @property
    def major(self) -> int:
        """The server's major version, 0 where it is not known."""
        head = self.version.split(".")[0]
        return int(head) if head.isdigit() else 0


def load(path: Path) -> Baseline:
    """Read a report that ``dbtune explain --save`` (or ``--format json``) wrote.

    :raises BadFile: it cannot be read, or is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise BadFile(path, f"is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}; dbtune explain --save FILE makes one") from None
    except RecursionError:
        raise BadFile(path, "is nested too deeply to be a report") from None
    except json.JSONDecodeError as error:
        raise BadFile(path, f"is not JSON ({error.msg}); was it cut off?", line=error.lineno) from None
    if not isinstance(document, dict) or document.get("command") != "explain":
        raise BadFile(path, "is no report of dbtune explain; make one with --save FILE")
    if document.get("schema_version") not in SCHEMA_VERSIONS:
        found = document.get("schema_version")
        raise BadFile(path, f"has schema_version {found!r}; this dbtune reads {', '.join(map(str, SCHEMA_VERSIONS))}")
    try:
        entries = [_before(entry) for entry in document["queries"] if entry.get("plan")]
        version = str(document["server"]["version"])
    except (KeyError, TypeError, AttributeError, ValueError, NotAPlan) as error:
        raise BadFile(path, f"is damaged: {error!r}; save it anew") from None
    return Baseline(path=path, version=version, queries={entry.name: entry for entry in entries})


def _before(entry: Mapping[str, Any]) -> Before:
    (plan,) = parse(entry["plan"])
    paths = entry.get("index_paths")
    return Before(
        name=str(entry["name"]),
        statement=entry.get("statement"),
        parameter_set=entry.get("parameter_set"),
        analysis=analyse(plan),
        index_paths={str(k): bool(v) for k, v in paths.items()} if isinstance(paths, dict) else None,
    )
