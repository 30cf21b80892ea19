"""What a name of env.py may stand for, as far as reading tells. Each is made anew for each way, and changes on it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbtune.migration.doctor.names import Scope
    from dbtune.migration.doctor.source import Site

UNKNOWN = "\ufffd"
"""What stands in a text for what is not known of it."""


@dataclass(eq=False)
class Value:
    """Something that nobody knows more of. ``given`` is what a program may have put into ``config.attributes``."""

    given: bool = field(default=False, kw_only=True)
    attributes: dict[str, Value] = field(default_factory=dict, kw_only=True)


@dataclass(eq=False)
class Const(Value):
    """None, a number, a truth, or a text, in which :data:`UNKNOWN` stands for parts that are not known."""

    value: object
    site: Site | None = None
    option: tuple[str, str] | None = None
    """The section and option of the ini file that it comes from."""


@dataclass(eq=False)
class Ref(Value):
    """Something of a module that is not read, by its full name, such as ``sqlalchemy.create_engine``."""

    name: str

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(eq=False)
class Module(Value):
    """A module of the project's own: its file, or a package's folder."""

    path: Path


@dataclass(eq=False)
class Items(Value):
    """A dict or keyword arguments, by name; ``is_open`` if there may be more."""

    items: dict[str, Value]
    is_open: bool = False


@dataclass(eq=False)
class Series(Value):
    """A list or tuple."""

    items: list[Value]


@dataclass(eq=False)
class Function(Value):
    """A function or lambda of a file that is read; ``bound`` are arguments that a partial() gave it."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    bound: list[Value] = field(default_factory=list)


@dataclass(eq=False)
class Paused(Value):
    """A generator that was called, to be entered as a context manager."""

    function: Function
    scope: Scope


class Pool(StrEnum):
    """Whether an engine keeps connections."""

    NULL = "null"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(eq=False)
class Engine(Value):
    """What create_engine() or one of its like returns."""

    site: Site
    url: Value | None = None
    is_async: bool = False
    pool: Pool = Pool.OTHER
    autocommit: Site | None = None
    arguments: Items = field(default_factory=lambda: Items({}))


class How(StrEnum):
    """How a transaction was begun."""

    ENGINE = "engine.begin()"
    CONNECTION = "connection.begin()"
    SESSION = "session.connection()"
    STATEMENT = "a statement"
    ALEMBIC = "context.begin_transaction()"
    GIVEN = "a program that handed it over"


@dataclass(eq=False)
class Begun:
    """That a transaction was begun, and where."""

    how: How
    site: Site


@dataclass(eq=False)
class Connection(Value):
    """A connection, with the transaction that it is in, and the statements since it was out of any.

    ``is_checked`` tells that env.py itself asked whether it is in a transaction.
    """

    engine: Engine | None = None
    begun: Begun | None = None
    statements: list[Statement] = field(default_factory=list)
    autocommit: Site | None = None
    is_checked: bool = False

    def begin(self, how: How, site: Site) -> None:
        """Begin a transaction unless there is one."""
        if self.begun is None:
            self.begun = Begun(how, site)
            self.statements = []

    def end(self) -> None:
        """End the transaction."""
        self.begun = None
        self.statements = []


@dataclass(eq=False)
class Statement:
    """A statement that env.py sends: the call, its text as far as that is known, and how the connection is written.

    ``begun`` is how the transaction was begun that it found.
    """

    site: Site
    sql: str
    receiver: str
    connection: Connection | None
    is_awaited: bool = False
    begun: How | None = None


@dataclass(eq=False)
class Transaction(Value):
    """What connection.begin() returns; entering gives ``yields``, the connection that engine.begin() opens."""

    connection: Connection
    yields: Value | None = None


@dataclass(eq=False)
class Logical(Value):
    """What context.begin_transaction() returns."""

    site: Site


@dataclass(eq=False)
class Session(Value):
    """A session of SQLAlchemy's ORM."""

    engine: Engine | None = None
    connection: Connection | None = None


@dataclass(eq=False)
class Inspector(Value):
    """What inspect(connection), or its dialect, asks the catalogs through; ``words`` is how that is written."""

    connection: Connection
    words: str = ""


@dataclass(eq=False)
class Manager(Value):
    """A context manager that yields ``value`` and does nothing else."""

    value: Value
