"""What a query wants of one table: the rows by which conditions, in which order, and which columns of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from dbtune.snapshot.value import Table


class Test(Enum):
    """What a condition asks of its operand."""

    EQUAL = "equal to a value, or one of a few"
    NULL = "NULL"
    RANGE = "less or greater than a value"
    PREFIX = "text that begins with a constant"
    PATTERN = "text in which a pattern is found"
    MEMBER = "an operator of GIN or GiST"
    OTHER = "one that no index looks up"


LOOKED_UP = frozenset({Test.EQUAL, Test.NULL, Test.RANGE, Test.PREFIX, Test.PATTERN, Test.MEMBER})
"""The tests that an index of some kind can answer."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What a condition tests, an order goes by, or an index holds: a column by its bare name, or an expression.

    ``columns`` are those in it, ``type`` is what is known of its type. ``bound`` says that captured parameter values
    stand in the expression.
    """

    text: str
    columns: tuple[str, ...]
    is_column: bool = True
    type: str = ""
    collation: str | None = None
    bound: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One condition on one table.

    ``partners`` are the numbers of the other tables whose columns it is compared with: none for a value. ``predicate``
    is the condition as a partial index can have it, where it holds constants alone and so is the same in every call.
    ``values`` are those it is compared with, as far as they are known, ``parameter`` is its number where that is all it
    is compared with. ``row`` are the further operands of a row
    comparison, in order. ``operator`` is told of members and patterns.
    """

    operand: Operand
    test: Test
    operator: str = ""
    partners: frozenset[int] = frozenset()
    predicate: str | None = None
    keeps_rest: bool = False
    values: tuple[str, ...] = ()
    parameter: int | None = None
    row: tuple[Operand, ...] = ()

    @property
    def fixes(self) -> bool:
        """Whether it leaves the operand a single value at a time."""
        return self.test in (Test.EQUAL, Test.NULL)


@dataclass(frozen=True, slots=True)
class Direction:
    """A key of an order. ``nulls_first`` is as it comes out, whether or not the statement said so."""

    operand: Operand
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An order in which rows are wanted, and what for: ORDER BY, GROUP BY, DISTINCT. ``limited``: only the first."""

    keys: tuple[Direction, ...]
    what: str
    limited: bool = False


Conjunction = tuple[Term, ...]


@dataclass(slots=True)
class Access:
    """How a query uses one occurrence of a table; filled while the query is read.

    ``alternatives`` are conditions joined by OR: for each OR its arms, of which each restricts this table. ``needed``
    are the columns that the query reads, None where that is not known. ``changed``: the statement changes or locks
    the rows, so that an index alone never answers it.
    """

    number: int
    table: Table
    alias: str
    terms: list[Term] = field(default_factory=list)
    alternatives: list[tuple[Conjunction, ...]] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    extremes: list[Operand] = field(default_factory=list)
    needed: dict[str, None] | None = field(default_factory=dict)
    changed: bool = False

    def need(self, column: str) -> None:
        """Remember that the query reads the column."""
        if self.needed is not None:
            self.needed.setdefault(column)
