"""Columns in a tree that say which occurrence of a table they are of: their qualifier is ``@`` and its number.

A lone ``@`` stands for something that no index is on: a function's result, an aggregate. ``@u`` and a number is a
column of several queries joined by UNION.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

MARK = "@"
ELSEWHERE = -1
"""The number of what no index is on."""

SUBQUERY = "subquery"
"""The name of the function that stands for a subquery which gives a value."""

_UNION = "@u"


def column(name: str, number: int) -> exp.Column:
    """Return the column of an occurrence."""
    return _made(name, f"{MARK}{number}")


def union_column(name: str, number: int) -> exp.Column:
    """Return the column that several queries give."""
    return _made(name, f"{_UNION}{number}")


def elsewhere(name: str = "?") -> exp.Column:
    """Return a column of something that no index is on."""
    return _made(name, MARK)


def _made(name: str, mark: str) -> exp.Column:
    return exp.Column(this=exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=mark, quoted=True))


def is_tagged(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Column) and tree.table.startswith(MARK)


def number(tree: exp.Column) -> int:
    """Return the occurrence that the column is of, or ELSEWHERE."""
    mark = tree.table
    return int(mark[1:]) if mark[1:].isdigit() else ELSEWHERE


def union(tree: exp.Column) -> int | None:
    """Return which union the column is of, None if of none."""
    mark = tree.table
    return int(mark[2:]) if mark.startswith(_UNION) else None


def columns(tree: exp.Expr) -> Iterator[exp.Column]:
    """Yield the columns in the tree, in their order."""
    return tree.find_all(exp.Column, bfs=False)


def owners(tree: exp.Expr) -> frozenset[int]:
    """Return the occurrences that the tree's columns are of."""
    return frozenset(number(each) for each in columns(tree))
