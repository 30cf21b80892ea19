"""What an upgrade tells while it runs, as values: lines for people and objects for programs are made of them."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.migration.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A revision that an upgrade would run: its id, the first line of its docstring, the expected bytes it tells of."""

    revision: str
    title: str
    expected_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Pending):
    """A revision that was run; ``seconds`` include its waiting."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The upgrade begins: where, what the database is noted at, and what will be run."""

    server: str
    heads: tuple[str, ...]
    pending: tuple[Pending, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A revision begins."""

    revision: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to know, and perhaps to act upon."""

    text: str
    revision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The upgrade failed for a reason that may pass; attempt number ``attempt`` begins in ``pause_s``."""

    why: str
    attempt: int
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An index that a revision made, as it is in the end; ``bytes`` include its partitions' indexes."""

    revision: str
    index: str
    table: str
    is_valid: bool
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The end: what the process exits with and why, None where all went well; ``revisions`` are those that were run."""

    exit_code: int
    reason: str | None
    heads: tuple[str, ...] | None = None
    revisions: tuple[Done, ...] = ()
    seconds: float | None = None


Event = Begin | Revision | Progress | Notice | Again | Made | Result
