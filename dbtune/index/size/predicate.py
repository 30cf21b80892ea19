"""What a partial index's predicate asks of each column, as far as statistics can tell how many rows that keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

EQUAL_UNKNOWN = 0.005
RANGE_UNKNOWN = 1 / 3
LIKE_UNKNOWN = 0.005
UNKNOWN = 0.1
"""The part of rows that a condition keeps where nothing tells: the planner's own (selfuncs.h), for the last a guess."""

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Test:
    """One condition on one column. ``kind`` is ``null``, ``not null``, ``in``, ``not in``, ``<``, ``<=``, ``>``, ``>=``
    or ``other``; ``values`` are constants in text, booleans as ``t`` and ``f``; ``default`` is the part that is kept
    where the column has no statistics."""

    column: str
    kind: str
    values: tuple[str, ...] = ()
    default: float = UNKNOWN


@dataclass(frozen=True, slots=True)
class Either:
    """Conditions that OR joins: each is a list of conditions that AND joins."""

    branches: tuple[tuple[Condition, ...], ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """Conditions that AND joins, of which NOT is asked."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Opaque:
    """A condition that statistics of columns say nothing about."""

    default: float = UNKNOWN


Condition = Test | Either | Negated | Opaque


@lru_cache(maxsize=4096)
def conditions(predicate: str) -> tuple[Condition, ...]:
    """Return what AND joins in the predicate (SQL without WHERE); what cannot be read is opaque."""
    from sqlglot import parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(f"SELECT 1 WHERE {predicate}", read="postgres")
        where = tree.args.get("where")
    except (SqlglotError, RecursionError):
        where = None
    return (Opaque(),) if where is None else tuple(_conjuncts(where.this))


def _conjuncts(node: Any) -> list[Condition]:
    from sqlglot import exp

    node = _bare(node)
    if isinstance(node, exp.And):
        return _conjuncts(node.left) + _conjuncts(node.right)
    return [_condition(node)]


def _condition(node: Any) -> Condition:
    from sqlglot import exp

    if node.args.get("negate"):  # how sqlglot reads IS NOT NULL and NOT LIKE from version 30 on
        plain = node.copy()
        plain.set("negate", None)
        return _opposite(_condition(plain))
    if isinstance(node, exp.Or):
        return Either((tuple(_conjuncts(node.left)), tuple(_conjuncts(node.right))))
    if isinstance(node, exp.Column):
        return Test(_name(node), "in", ("t",), 0.5)
    if isinstance(node, exp.Not):
        inner = _bare(node.this)
        found = _condition(inner) if not isinstance(inner, exp.And) else Negated(tuple(_conjuncts(inner)))
        return _opposite(found)
    if isinstance(node, exp.Is | exp.NullSafeEQ | exp.NullSafeNEQ):
        return _is(node)
    if isinstance(node, exp.In):
        column = _column(node.this)
        values = [_constant(each) for each in node.expressions]
        if column is not None and values and None not in values:
            return Test(column, "in", tuple(v for v in values if v is not None), EQUAL_UNKNOWN * len(values))
        return Opaque()
    if isinstance(node, exp.Between):
        low, high = _constant(node.args["low"]), _constant(node.args["high"])
        column = _column(node.this)
        if column is None or low is None or high is None:
            return Opaque(RANGE_UNKNOWN)
        # NOT (NOT (…)) keeps the two bounds together as one condition
        return Negated((Negated((Test(column, ">=", (low,), 0.5), Test(column, "<=", (high,), 0.5))),))
    if isinstance(node, exp.Like | exp.ILike | exp.RegexpLike | exp.RegexpILike | exp.SimilarTo):
        column = _column(node.this)
        return Test(column, "other", (), LIKE_UNKNOWN) if column is not None else Opaque(LIKE_UNKNOWN)
    return _comparison(node)


def _comparison(node: Any) -> Condition:
    from sqlglot import exp

    sign = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}.get(type(node))
    if sign is None:
        return Opaque()
    left, right = node.left, node.right
    if _column(left) is None and _column(right) is not None:
        left, right, sign = right, left, _FLIPPED.get(sign, sign)
    default = EQUAL_UNKNOWN if sign == "=" else 1 - EQUAL_UNKNOWN if sign == "<>" else RANGE_UNKNOWN
    column, values = _column(left), _several(right)
    if column is None or not values:
        return Opaque(default)
    if sign == "=":
        return Test(column, "in", values, min(0.5, default * len(values)))
    if sign == "<>":
        return Test(column, "not in", values, default)
    return Test(column, sign, values, default) if len(values) == 1 else Opaque(default)


def _is(node: Any) -> Condition:
    from sqlglot import exp

    column = _column(node.this)
    if column is None:
        return Opaque()
    wanted = _bare(node.expression)
    if isinstance(wanted, exp.Null):
        kind = "not null" if isinstance(node, exp.NullSafeNEQ) else "null"
        return Test(column, kind, (), EQUAL_UNKNOWN if kind == "null" else 1 - EQUAL_UNKNOWN)
    if isinstance(wanted, exp.Boolean) and isinstance(node, exp.Is):
        return Test(column, "in", ("t" if wanted.this else "f",), 0.5)
    return Opaque()


def _opposite(found: Condition) -> Condition:
    if isinstance(found, Test):
        if found.kind == "in" and found.values in (("t",), ("f",)) and found.default == 0.5:
            return Test(found.column, "in", ("f" if found.values == ("t",) else "t",), 0.5)
        kinds = {"null": "not null", "not null": "null", "in": "not in", "not in": "in"}
        kinds |= {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
        if found.kind in kinds:
            return Test(found.column, kinds[found.kind], found.values, 1 - found.default)
    if isinstance(found, Opaque):
        return Opaque(1 - found.default)
    return Negated((found,))


def _bare(node: Any) -> Any:
    from sqlglot import exp

    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _name(column: Any) -> str:
    identifier = column.this
    return str(identifier.this if identifier.args.get("quoted") else identifier.this.lower())


def _column(node: Any) -> str | None:
    """Return the name of the column that the expression is, with or without a change of its text's type."""
    from sqlglot import exp

    node = _bare(node)
    while isinstance(node, exp.Cast) and node.to.this in exp.DataType.TEXT_TYPES:
        node = _bare(node.this)
    return _name(node) if isinstance(node, exp.Column) else None


def _constant(node: Any) -> str | None:
    from sqlglot import exp

    node = _bare(node)
    while isinstance(node, exp.Cast):
        node = _bare(node.this)
    if isinstance(node, exp.Neg):
        inner = _constant(node.this)
        return f"-{inner}" if inner is not None else None
    if isinstance(node, exp.Literal):
        return str(node.this)
    if isinstance(node, exp.Boolean):
        return "t" if node.this else "f"
    return None


def _several(node: Any) -> tuple[str, ...]:
    """Return one constant, or those of ANY (ARRAY[…]) or ANY ('{…}'); none where it is something else."""
    from sqlglot import exp

    from dbtune.index.size.texts import elements

    node = _bare(node)
    if not isinstance(node, exp.Any):
        value = _constant(node)
        return () if value is None else (value,)
    inner = _bare(node.this)
    while isinstance(inner, exp.Cast):
        inner = _bare(inner.this)
    if isinstance(inner, exp.Array):
        values = [_constant(each) for each in inner.expressions]
        return () if None in values else tuple(value for value in values if value is not None)
    text = _constant(inner)
    return tuple(value for value in elements(text) if value is not None) if text and text.startswith("{") else ()
