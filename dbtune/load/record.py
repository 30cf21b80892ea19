"""Raw rows of a run, one JSON object a line, after a line that says what was run. Times are seconds from its start."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from dbtune.errors import BadFile
from dbtune.load.outcome import Outcome

SCHEMA_VERSION = 1
_KIND = "hammer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One request: when it was due, sent and done, what came of it, and the error's or the answer's first words.

    ``sent`` and ``done`` are None where that did not happen.
    """

    number: int
    cell: str
    route: str
    due: float
    sent: float | None
    done: float | None
    outcome: Outcome
    status: int | None = None
    detail: str = ""

    @property
    def latency(self) -> float | None:
        """Return the seconds from when it was due, as its user would count them."""
        return None if self.done is None else self.done - self.due

    @property
    def service(self) -> float | None:
        """Return the seconds from when it was sent."""
        return None if self.done is None or self.sent is None else self.done - self.sent

    @property
    def lag(self) -> float | None:
        """Return the seconds by which it was sent late."""
        return None if self.sent is None else self.sent - self.due


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What was run: target without password, schedule in words, shard, and when it began (Unix time).

    ``seconds`` from then the last request of all shards is due. Who ``knows_due`` tells when a request should have been
    sent; of others' files ``due`` is when it was.
    """

    target: str
    schedule: str
    requests: int
    began: float
    seconds: float = 0.0
    knows_due: bool = True
    shard: str = "1/1"
    cells: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)


class Writer:
    """Writes a run as it goes."""

    def __init__(self, file: TextIO, head: Head) -> None:
        self._file = file
        told = {
            "dbtune": _KIND,
            "schema_version": SCHEMA_VERSION,
            "target": head.target,
            "schedule": head.schedule,
            "requests": head.requests,
            "began": head.began,
            "seconds": head.seconds,
            "shard": head.shard,
            "cells": head.cells,
            "routes": head.routes,
            "notes": head.notes,
        }
        self._file.write(json.dumps(told) + "\n")

    def write(self, row: Row) -> None:
        """Write one row."""
        told = [row.number, row.cell, row.route, _round(row.due), _round(row.sent), _round(row.done), row.outcome.value]
        if row.status is not None or row.detail:
            told += [row.status, row.detail] if row.detail else [row.status]
        self._file.write(json.dumps(told, separators=(",", ":")) + "\n")


def head(path: Path) -> Head:
    """Return what a file of raw rows says about its run.

    :raises BadFile: it is not one.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return _head(path, file.readline())
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(path, f"cannot be read: {error}") from None


def rows(path: Path) -> Iterator[Row]:
    """Yield a file's rows, without ever holding all of them.

    :raises BadFile: it is not a file of raw rows, or ends within one.
    """
    try:
        with path.open(encoding="utf-8") as file:
            _head(path, file.readline())
            for number, line in enumerate(file, 2):
                yield _row(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(path, f"cannot be read: {error}") from None


def parsed(text: str) -> Iterator[Row]:
    """Yield the rows of a file that was sent as text.

    :raises BadFile: it is not one.
    """
    path = Path("raw rows")
    first, *lines = text.splitlines()
    _head(path, first)
    yield from (_row(path, number, line) for number, line in enumerate(lines, 2))


def heads(paths: Sequence[Path]) -> list[Head]:
    """Return what the files of several machines' shards say about their run.

    :raises BadFile: a file is not one, is of another run, or has the requests that another one has.
    """
    found = [head(path) for path in paths]
    seen: dict[str, Path] = {}
    for path, each in zip(paths, found, strict=True):
        if each.shard in seen:
            raise BadFile(path, f"has the shard {each.shard}, as {seen[each.shard]} has")
        seen[each.shard] = path
        for name in ("target", "schedule", "cells", "routes"):
            if getattr(each, name) != getattr(found[0], name):
                raise BadFile(path, f"is of another run than {paths[0]}: its {name} {_differ(name)}")
        if _of(each) != _of(found[0]):
            raise BadFile(path, f"has the shard {each.shard}, and {paths[0]} has {found[0].shard}: not of the same run")
    return found


def _differ(name: str) -> str:
    return "are others" if name in ("cells", "routes") else "is another"


def _of(head: Head) -> str:
    return head.shard.partition("/")[2]


def joined(heads: Sequence[Head]) -> Head:
    """Return what the shards of a run were together."""
    first = min(each.began for each in heads)
    return replace(
        heads[0],
        requests=sum(each.requests for each in heads),
        began=first,
        seconds=max(each.began - first + each.seconds for each in heads),
        shard=heads[0].shard if len(heads) == 1 else ", ".join(_shards(heads)) if missing(heads) else "1/1",
    )


def missing(heads: Sequence[Head]) -> list[str]:
    """Return the shards of the run that are not there; one file alone is what it is."""
    if len(heads) == 1:
        return []
    have = set(_shards(heads))
    count = int(_of(heads[0]))
    return [each for each in (f"{k}/{count}" for k in range(1, count + 1)) if each not in have]


def _shards(heads: Sequence[Head]) -> list[str]:
    return sorted((each.shard for each in heads), key=lambda shard: int(shard.partition("/")[0]))


def merged(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of several machines' files, as one run that began when the first of them did.

    They come in the order of their ends, as far as each file has them so, and are never all held.

    :raises BadFile: see :func:`heads` and :func:`rows`.
    """
    found = heads(paths)
    first = min(each.began for each in found)
    shifted = (_later(rows(path), each.began - first) for path, each in zip(paths, found, strict=True))
    return heapq.merge(*shifted, key=lambda row: row.due if row.done is None else row.done)


def _later(rows: Iterator[Row], seconds: float) -> Iterator[Row]:
    if not seconds:
        yield from rows
        return
    for row in rows:
        yield replace(
            row,
            due=row.due + seconds,
            sent=None if row.sent is None else row.sent + seconds,
            done=None if row.done is None else row.done + seconds,
        )


def _head(path: Path, line: str) -> Head:
    try:
        told = json.loads(line)
        if told["dbtune"] != _KIND or told["schema_version"] != SCHEMA_VERSION:
            raise ValueError
        return Head(
            target=told["target"],
            schedule=told["schedule"],
            requests=told["requests"],
            began=told["began"],
            seconds=float(told["seconds"]),
            shard=told["shard"],
            cells=tuple(told["cells"]),
            routes=tuple(told["routes"]),
            notes=told["notes"],
        )
    except (ValueError, KeyError, TypeError):
        raise BadFile(path, "is not a file of raw rows of dbtune hammer", line=1) from None


def _row(path: Path, number: int, line: str) -> Row:
    try:
        told = json.loads(line)
        return Row(
            number=told[0],
            cell=told[1],
            route=told[2],
            due=told[3],
            sent=told[4],
            done=told[5],
            outcome=Outcome(told[6]),
            status=told[7] if len(told) > 7 else None,
            detail=told[8] if len(told) > 8 else "",
        )
    except (ValueError, IndexError, TypeError, KeyError):
        raise BadFile(path, "this line is no row; was the run stopped while it wrote?", line=number) from None


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
