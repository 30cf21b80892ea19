"""One check of the catalogue: what it reads, when it fires, what to do, and the function that judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dbtune.health.finding import Sign
from dbtune.health.section import Section

if TYPE_CHECKING:
    from dbtune.health.case import Case

Limits = Mapping[str, float]
"""A check's limits by name."""


class Group(StrEnum):
    """What a check is about; the order is that of the catalogue."""

    INDEXES = "indexes"
    TABLES = "tables"
    VACUUM = "vacuum"
    STATEMENTS = "statements"
    BUFFERS = "buffers"
    SERVER = "server"


class Unit(StrEnum):
    """What a limit counts; on the command line each is spelled its own way."""

    COUNT = "count"
    RATE = "per second"
    SHARE = "share"
    BYTES = "bytes"
    SECONDS = "seconds"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Limit:
    """A number from which on a check fires, which may be set: ``--limit CHECK.NAME=VALUE``."""

    name: str
    value: float
    unit: Unit
    means: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A kind of finding. ``id`` is stable; ``reads`` are views and columns.

    ``severity``, ``trigger``, ``why``, ``next_step`` and ``resolved`` are sentences for people. ``needs`` are the
    sections without which it cannot judge. ``counts`` is the section whose counters it rests on; where it takes them as
    ``rates``, they must have counted for a while. ``yields_to`` are checks that say more about the same object.
    ``primary_only``: a standby does not know. ``since`` is the first major version that can tell.
    """

    id: str
    title: str
    group: Group
    reads: tuple[str, ...]
    trigger: str
    severity: str
    why: str
    next_step: str
    resolved: str
    needs: frozenset[Section]
    judge: Callable[[Case, Limits], Iterable[Sign]]
    limits: tuple[Limit, ...] = ()
    counts: Section | None = None
    rates: bool = True
    yields_to: tuple[str, ...] = ()
    primary_only: bool = False
    since: int = 13
