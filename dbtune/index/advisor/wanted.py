"""What is asked of the advisor: how much disk, how many and how wide indexes, which ones never."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dbtune.errors import UsageError
from dbtune.index.definition import Index
from dbtune.index.search import Effort
from dbtune.index.whatif.protocol import Known
from dbtune.snapshot.value import BLOCK, Snapshot

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|B|kB|KB|MB|GB|TB)?", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}


@dataclass(frozen=True, slots=True)
class Budget:
    """How large new indexes may be together: ``bytes``, or a ``share`` of the tables' heap."""

    bytes: int | None = None
    share: float | None = None

    def of(self, heap: int) -> int:
        """Return it in bytes where the tables take ``heap`` bytes."""
        return round(self.share * heap) if self.share is not None else self.bytes or 0


def budget(text: str) -> Budget:
    """Return what ``25%``, ``500MB`` or a number of bytes means. Units are PostgreSQL's: 1 kB is 1024 bytes.

    :raises UsageError: it is none of them.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--budget {text}: write a part of the tables' size such as 25%, or a size such as 500MB")
    number, unit = float(match["number"]), (match["unit"] or "B").lower()
    if unit == "%":
        return Budget(share=number / 100)
    return Budget(bytes=round(number * _UNITS[unit]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for. ``budget`` None is any size. ``frontier`` is how many points the curve of cost over size has.

    ``protect`` are names of indexes that stay, or are made; ``forbid`` names of candidates, tables or ``table.column``
    on which nothing is made. ``slowdown`` is how many times dearer a query may get.
    """

    budget: Budget | None = None
    max_indexes: int | None = None
    max_width: int | None = None
    protect: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    frontier: int = 0
    slowdown: float | None = None
    effort: Effort = field(default_factory=Effort)


def heap_bytes(snapshot: Snapshot) -> int:
    """Return the size of all tables without their indexes."""
    return sum((t.pages or t.relpages) * BLOCK for t in snapshot.tables if t.kind in ("r", "m"))


def named(index: Index) -> frozenset[str]:
    """Return what a user may call an index: its name, with its schema or without."""
    name = index.chosen_name
    return frozenset({name, f"{index.schema}.{name}"})


def protected(names: Sequence[str], known: Iterable[Known]) -> frozenset[int]:
    """Return the ids of indexes with these names."""
    return frozenset(each.id for each in known if named(each.index) & set(names))


def forbidden(names: Sequence[str], known: Iterable[Known]) -> frozenset[int]:
    """Return the ids of candidates that these names rule out."""
    wanted = set(names)
    found = set()
    for each in known:
        index = each.index
        tables = {index.table, f"{index.schema}.{index.table}"}
        columns = {f"{table}.{column}" for table in tables for column in (*index.columns, *index.include)}
        if not each.exists and (named(index) | tables | columns) & wanted:
            found.add(each.id)
    return frozenset(found)


def check_names(names: Sequence[str], option: str, snapshot: Snapshot, known: Sequence[Known]) -> None:
    """Find out whether each name means anything.

    :raises UsageError: one does not.
    """
    there: set[str] = set()
    for table in snapshot.tables:
        for place in (table.name, f"{table.schema}.{table.name}"):
            there |= {place, *(f"{place}.{column.name}" for column in table.columns)}
        for index in table.indexes:
            there |= {index.name, f"{index.schema}.{index.name}"}
    for each in known:
        there |= named(each.index)
    for name in names:
        if name not in there:
            raise UsageError(f"{option} {name}: there is no index, table, table.column or candidate of that name")
