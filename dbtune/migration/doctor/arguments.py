"""A call: what it is given, and what a statement that it sends does to its connection."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbtune.migration.doctor.source import Site
from dbtune.migration.doctor.values import Connection, Const, How, Items, Statement, Value

if TYPE_CHECKING:
    from dbtune.migration.doctor.walk import Walk


@dataclass(slots=True)
class Arguments:
    """What a call is given; ``is_open`` if there may be more."""

    positional: list[Value]
    named: dict[str, Value]
    is_open: bool = False

    def get(self, number: int, name: str) -> Value | None:
        """Return an argument by its place or name."""
        return self.positional[number] if number < len(self.positional) else self.named.get(name)

    def items(self) -> Items:
        """Return the keyword arguments."""
        return Items(self.named, self.is_open)


@dataclass(slots=True, frozen=True)
class Call:
    """A call: what it is given, where it stands, and the words before its name's dot."""

    walk: Walk
    site: Site
    arguments: Arguments
    receiver: str

    @property
    def is_awaited(self) -> bool:
        return isinstance(self.site.source.above(self.site.node), ast.Await)


def send(made: Call, connection: Connection | None, sql: str, receiver: str) -> None:
    """Note a statement: it begins a transaction on its connection if there is none."""
    walk = made.walk
    begun = connection.begun if connection is not None else None
    how = begun.how if begun is not None else None
    statement = Statement(made.site, sql, receiver, connection, made.is_awaited, how)
    walk.way.statements.append(statement)
    for ran in walk.way.ran[-1:]:
        if ran.configured is not None and ran.configured.connection is connection and not walk.inside:
            ran.after.append(statement)
    if connection is not None:
        connection.begin(How.ALEMBIC if walk.inside else How.STATEMENT, made.site)
        connection.statements.append(statement)


def connection_of(value: Value) -> Connection:
    """Return the connection that a value is; of a value that nobody knows, the one that it may be."""
    if isinstance(value, Connection):
        return value
    made = value.attributes.setdefault("\0connection", Connection(given=value.given))
    assert isinstance(made, Connection)
    return made


def sql_of(given: Arguments) -> str:
    """Return the text of the statement that a call sends, as far as it is known."""
    first = given.positional[0] if given.positional else given.named.get("statement")
    return first.value if isinstance(first, Const) and isinstance(first.value, str) else ""
