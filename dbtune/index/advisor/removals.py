"""Indexes that are there and need not be: never scanned, or begun the same way by another one.

Never those that a constraint needs, nor the last one on a foreign key's columns. All of it is a proposal: counters are
one server's, and count since they were last reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dbtune.index.definition import Index
from dbtune.index.whatif.existing import switchable
from dbtune.snapshot.value import ExistingIndex, Snapshot, Table

_SHORT_DAYS = 7


def may_go(existing: ExistingIndex, index: Index, snapshot: Snapshot) -> bool:
    """Return whether an index may be chosen to be dropped: no scan was counted, and no foreign key rests on it."""
    table = snapshot.table(*index.relation)
    return table is not None and existing.idx_scan == 0 and not _is_last_for_a_key(existing, table)


def _is_last_for_a_key(existing: ExistingIndex, table: Table) -> bool:
    for constraint in table.constraints:
        if constraint.kind != "f" or not constraint.columns:
            continue
        serving = [each for each in table.indexes if each.is_valid and _serves(each, constraint.columns)]
        if serving == [existing]:
            return True
    return False


def _serves(existing: ExistingIndex, columns: Sequence[str]) -> bool:
    leading = existing.key_columns[: len(columns)]
    return existing.method == "btree" and existing.predicate is None and set(leading) == set(columns)


def unscanned(existing: ExistingIndex, snapshot: Snapshot) -> str:
    """Return why an index that nothing scans may be dropped, with how long that was watched."""
    table = next((t for t in snapshot.tables if any(each is existing for each in t.indexes)), None)
    since = table.counters.since if table is not None else None
    return (
        f"candidate: no scan was counted{_since(since, snapshot.taken_at)}, and no query of the workload uses it;"
        " ask each standby too, which counts its own"
    )


def _since(since: datetime | None, now: datetime) -> str:
    if since is None:
        return " (since when is not known: the counters were never reset)"
    days = (now - since).days
    short = ", too short a time to be sure" if days < _SHORT_DAYS else ""
    return f" since {since:%Y-%m-%d} ({days} {'day' if days == 1 else 'days'}{short})"


def begins(longer: Index, shorter: Index) -> bool:
    """Return whether one index finds all that the other one does: the same keys first, of no fewer rows."""
    return (
        longer != shorter
        and longer.relation == shorter.relation
        and longer.method == shorter.method == "btree"
        and longer.predicate in (None, shorter.predicate)
        and longer.keys[: len(shorter.keys)] == shorter.keys
        and set(shorter.include) <= {*longer.include, *longer.columns}
    )


def covered(snapshot: Snapshot, made: Sequence[Index]) -> list[tuple[ExistingIndex, Index, Index]]:
    """Return the indexes that another one makes superfluous: the existing one, what it is, and the other.

    The other is made, or there to stay; of two equal ones the one that sorts first stays.
    """
    there = switchable(snapshot)
    kept: list[Index] = [*made]
    found = []
    for existing, index in sorted(there, key=lambda pair: (-len(pair[1].keys), pair[0].schema, pair[0].name)):
        table = snapshot.table(*index.relation)
        by = next((other for other in kept if other == index or begins(other, index)), None)
        by = by or (_constraint(index, table) if table is not None else None)
        if by is not None:
            found.append((existing, index, by))
        else:
            kept.append(index)
    return found


def _constraint(index: Index, table: Table) -> Index | None:
    """Return a unique index that finds all that the index does, as far as plain columns tell."""
    for each in table.indexes:
        names = [name for name in each.key_columns if name is not None]
        if (
            each.is_valid
            and each.is_unique
            and each.predicate is None
            and len(names) == len(each.key_columns)
            and not any(each.options)
            and index.method == each.method == "btree"
            and not index.include
            and all(key.is_column and key.opclass is None and not key.descending for key in index.keys)
            and list(index.columns) == names[: len(index.keys)]
        ):
            return Index(schema=index.schema, table=index.table, keys=index.keys, unique=True, name=each.name)
    return None
