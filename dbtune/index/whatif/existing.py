"""The indexes that a database has, as far as it may do without them."""

from __future__ import annotations

from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.standing import describe
from dbtune.index.definition import Index
from dbtune.snapshot.value import ExistingIndex, Snapshot


def is_needed(index: ExistingIndex) -> str | None:
    """Return what an index is there for beside speed, None where that is nothing: then it may be switched off."""
    if index.constraint is not None or index.is_primary:
        kinds = {"p": "the primary key", "u": "a unique constraint", "x": "an exclusion constraint"}
        return kinds.get(index.constraint or "p", "a constraint")
    if index.is_unique:
        return "uniqueness"
    if index.is_replica_identity:
        return "the replica identity"
    return None


def switchable(snapshot: Snapshot) -> list[tuple[ExistingIndex, Index]]:
    """Return the valid indexes that no constraint needs, each with its definition, in order of schema and name.

    One that belongs to a partitioned index is not switched for itself.
    """
    schema = Schema(snapshot)
    found = [
        (each, describe(each, table, schema))
        for table in snapshot.tables
        for each in table.indexes
        if each.is_valid and each.parent is None and is_needed(each) is None
    ]
    return sorted(found, key=lambda pair: (pair[0].schema, pair[0].name))
