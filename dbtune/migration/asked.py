"""A statement that somebody asks for, as the changes that carry it out."""

from __future__ import annotations

from sqlalchemy import Connection

from dbtune.errors import UsageError
from dbtune.migration import catalog
from dbtune.migration.constraint import AddConstraint
from dbtune.migration.create import CreateIndex
from dbtune.migration.drop import DropIndex
from dbtune.migration.partitioned import CreatePartitioned, DropPartitioned
from dbtune.migration.partitioned_constraint import AddPartitionedConstraint
from dbtune.migration.replace import ReplaceIndex
from dbtune.migration.statement import Constraint, Create, Drop, Relation, Statement
from dbtune.migration.step import Change


def changes(
    statement: Statement, connection: Connection | None = None, replaces: Relation | None = None
) -> list[Change]:
    """Return what carries the statement out, a change a revision. ``replaces`` is an index that goes for the new one.

    :raises UsageError: it needs a server to be understood and none is given, or it is nothing that can be done so.
    :raises ServerError: the server refuses the statement.
    :raises Unsafe: something else needs the index.
    """
    match statement:
        case Drop(index):
            if replaces is not None:
                raise UsageError("DROP INDEX makes no index that could replace another")
            found = catalog.existing(_needed(connection, "what an index is, to have it back"), index)
            if found.partitions is not None:
                return [
                    DropPartitioned(definition=found.definition, partitions=found.partitions, comment=found.comment)
                ]
            return [DropIndex(definition=found.definition, comment=found.comment)]
        case Constraint(definition, table):
            if replaces is not None:
                raise UsageError("a constraint cannot replace an index")
            settled = catalog.settle(connection, definition, table) if connection is not None else None
            if settled is not None and settled.partitions is not None:
                return [AddPartitionedConstraint(definition=settled.definition, partitions=settled.partitions)]
            definition = settled.definition if settled is not None else definition
            return [CreateIndex(definition=definition), AddConstraint(definition=definition)]
        case Create(definition, table):
            new = catalog.settle(connection, definition, table) if connection else catalog.Settled(definition)
            if replaces is None:
                return [made(new)]
            old = catalog.existing(_needed(connection, "what the old index is, to have it back"), replaces)
            if old.partitions is not None or new.partitions is not None:
                raise UsageError("an index of a partitioned table cannot be replaced in one revision: make, then drop")
            return [ReplaceIndex(old=old.definition, new=new.definition, old_comment=old.comment)]


def made(settled: catalog.Settled) -> Change:
    """Return the change that makes an index, with all of its partitions where it has some."""
    if settled.partitions is not None:
        return CreatePartitioned(definition=settled.definition, partitions=settled.partitions)
    return CreateIndex(definition=settled.definition)


def _needed(connection: Connection | None, what: str) -> Connection:
    if connection is None:
        raise UsageError(f"only a server knows {what}: name one with --url")
    return connection
