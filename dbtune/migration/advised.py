"""Advice as revisions: one for each index, in the order in which the advice names them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from dbtune.index.advice import Advice, Recommendation
from dbtune.index.definition import Index
from dbtune.migration import asked, catalog, evidence
from dbtune.migration.create import CreateIndex
from dbtune.migration.definition import Definition
from dbtune.migration.name import checked
from dbtune.migration.partitioned import CreatePartitioned
from dbtune.migration.project import Project
from dbtune.migration.statement import Relation
from dbtune.migration.step import Change


def write_revisions(
    advice: Advice, config: Path, *, head: str | None = None, connection: Connection | None = None
) -> list[Path]:
    """Write a revision for each index to make, with what speaks for it, and return the files.

    ``config`` is the host's alembic.ini. With a ``connection``, in no transaction, to a database that has the tables,
    definitions stand as its server writes them, and partitioned tables are known for what they are.

    :raises UsageError: the project has several heads and ``head`` names none, or Alembic refuses.
    :raises ServerError: the server does not take a definition.
    """
    project = Project(config)
    changes = [(change(each, connection), evidence.of(each)) for each in advice.recommendations]
    return [written.path for written in project.write(changes, head=head) if written.path is not None]


def change(recommendation: Recommendation, connection: Connection | None = None) -> Change:
    """Return what makes the recommended index.

    :raises ServerError: the server does not take its definition.
    """
    found = definition(recommendation.index)
    if connection is None:
        return CreatePartitioned(definition=found) if recommendation.partitioned else CreateIndex(definition=found)
    return asked.made(catalog.settle(connection, found, Relation(found.schema, found.index.table)))


def definition(index: Index) -> Definition:
    """Return an index of the advisor's with a name of its own.

    :raises UsageError: the name is too long.
    """
    found = Definition(index=index)
    return found.named(checked(found.name))
