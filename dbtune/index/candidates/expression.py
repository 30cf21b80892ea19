"""Expressions over one table: their type, whether an index may hold them, and how they are spelled.

PostgreSQL matches an expression of a query with that of an index by their trees after parsing. So they are kept as
written, but for casts that do not change the tree: of text columns to text, of string constants to text; and
for capitals in the names of functions.
"""

from __future__ import annotations

import re

from sqlglot import exp

from dbtune.index.candidates import datatypes
from dbtune.index.candidates.access import Operand
from dbtune.index.candidates.dialect import kinds, parameter, parsed_expression, rendered
from dbtune.index.candidates.schema import Schema
from dbtune.index.definition import quoted
from dbtune.snapshot.value import Table

IMMUTABLE = frozenset(
    """abs array_length array_position ascii bit_length btrim cardinality cbrt ceil ceiling char_length
    character_length chr coalesce daterange decode div encode exp floor greatest hashtext host initcap
    int4range int8range isfinite json_array_length json_extract_path json_extract_path_text json_typeof
    jsonb_array_length jsonb_extract_path jsonb_extract_path_text jsonb_typeof least left ln log lower lpad
    ltrim make_date make_interval make_time make_timestamp masklen md5 mod network nullif numrange octet_length pi
    power regexp_replace repeat replace reverse right round rpad rtrim sha224 sha256 sha384 sha512 sign split_part
    sqrt starts_with strpos substr substring translate trim trunc tsrange tstzrange upper setweight
    jsonb_path_exists jsonb_path_match hstore""".split()
)
"""Built-in functions of which every variant is IMMUTABLE (pg_proc.provolatile, 13 to 18)."""

_TEXT_RESULTS = frozenset(
    """btrim chr encode initcap json_extract_path_text jsonb_extract_path_text left lower lpad ltrim md5
    regexp_replace repeat replace reverse right rpad rtrim split_part substr substring translate trim upper""".split()
)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?\Z")
_PASSES_ON = frozenset({"coalesce", "greatest", "least", "nullif"})
_PRINTED_ALIKE = datatypes.NUMBERS - {"money"} | {"boolean", "uuid", "jsonb", "bytea", "inet", "cidr", "macaddr"}
"""Types whose output functions are IMMUTABLE; that of an enum is not."""

_OPERATORS = kinds(
    *"""Add Sub Mul Div Mod Neg Pow DPipe BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitwiseLeftShift
    BitwiseRightShift EQ NEQ GT GTE LT LTE And Or Not Is""".split()
)
_PARTS = kinds(
    *"""Column Identifier Literal Boolean Null Paren Case If Substring Trim StrPosition JSONExtract JSONExtractScalar
    JSONBExtract JSONBExtractScalar JSONBContains JSONBContainsTopKey Bracket Interval IntervalSpan Var DataType
    DataTypeParam Collate Array Tuple""".split()
)
_ARROWS_TO_TEXT = (exp.JSONExtractScalar, exp.JSONBExtractScalar)
_ARROWS = (exp.JSONExtract, exp.JSONBExtract)


_EXTRACT_SINCE = 14
"""Before this version extract() is another spelling of date_part()."""


class Expressions:
    """What can be said of expressions over the columns of one table; how they are qualified does not matter."""

    def __init__(self, schema: Schema, table: Table) -> None:
        self._schema = schema
        self._table = table

    def operand(self, tree: exp.Expr, *, bound: bool = False) -> Operand | None:
        """Return the tree as an index can hold it; None for one that it cannot (volatile, or over no column)."""
        tree = self.simplified(tree)
        collation = None
        if isinstance(tree, exp.Collate):
            collation = rendered(tree.expression)
            tree = unwrapped(tree.this)
        if isinstance(tree, exp.Column):
            column = self._schema.column(self._table, tree.name)
            if column is None:
                return None
            own = column.collation
            collation = None if collation == own else collation
            return Operand(column.name, (column.name,), True, self._schema.type_of(column), collation)
        columns = tuple(dict.fromkeys(c.name for c in tree.find_all(exp.Column, bfs=False)))
        if not columns or not self.is_immutable(tree):
            return None
        return Operand(rendered(_bare(tree)), columns, False, self.type_of(tree), collation, bound)

    def text(self, tree: exp.Expr) -> str:
        """Return a condition as WHERE of an index takes it."""
        return rendered(_bare(unwrapped(tree)))

    def simplified(self, tree: exp.Expr) -> exp.Expr:
        """Return a copy without outer parentheses, in the one spelling of all that are the same tree to the server."""
        holder = exp.Paren(this=unwrapped(tree).copy())
        for cast in list(holder.find_all(exp.Cast)):
            if (plain := self._without_cast(cast)) is not None:
                cast.replace(plain)
        for call in holder.find_all(exp.Anonymous):
            name = function_name(call)
            if isinstance(call.this, str) or name in IMMUTABLE:  # "left" is printed in quotes, for it is a keyword too
                call.set("this", name)
        if self._schema.snapshot.major < _EXTRACT_SINCE:
            for extract in list(holder.find_all(exp.Extract)):
                part = exp.Literal.string(rendered(extract.this).lower())
                extract.replace(exp.Anonymous(this="date_part", expressions=[part, extract.expression]))
        for paren in list(holder.find_all(exp.Paren)):
            inside = paren.this
            if paren is not holder and isinstance(inside, exp.Column | exp.Literal | exp.Anonymous | exp.Paren):
                paren.replace(inside)
        return unwrapped(holder)

    def _without_cast(self, cast: exp.Cast) -> exp.Expr | None:
        """Return what a cast is as good as without, None where it changes something."""
        written = rendered(cast.to)
        target = datatypes.base(written)
        inner = unwrapped(cast.this)
        constant = isinstance(inner, exp.Literal) and inner.is_string
        if constant and target == "interval":
            return parsed_expression(f"INTERVAL {rendered(inner)}")
        if constant and target == "text[]" and isinstance(cast.parent, exp.JSONBExtract | exp.JSONBExtractScalar):
            return inner
        if constant and target == "numeric" and isinstance(cast.parent, exp.Binary) and _NUMBER.match(inner.name):
            sides = {self.type_of(cast.parent.this), self.type_of(cast.parent.expression)}
            return exp.Literal(this=inner.name, is_string=False) if sides == {"numeric"} else None
        if target not in ("text", "character varying") or "(" in written:
            return None
        if constant:
            return None if isinstance(cast.parent, exp.Collate | exp.DPipe) else inner
        if self.type_of(inner) in ("text", "character varying") and not isinstance(inner, exp.Placeholder):
            return inner if isinstance(inner, exp.Column) else cast.this
        return None

    def type_of(self, tree: exp.Expr) -> str:
        """Return the type of an expression as far as it is plain to see; empty otherwise."""
        tree = unwrapped(tree)
        match tree:
            case exp.Column():
                column = self._schema.column(self._table, tree.name)
                return "" if column is None else self._schema.type_of(column)
            case exp.Cast():
                return datatypes.base(rendered(tree.to))
            case exp.Literal():
                return "unknown" if tree.is_string else "numeric"
            case exp.Collate():
                return self.type_of(tree.this)
            case exp.Substring() | exp.Trim() | exp.DPipe():
                return "text"
            case exp.Extract():
                return "numeric"
            case exp.AtTimeZone():
                turns = {
                    "timestamp with time zone": "timestamp without time zone",
                    "timestamp without time zone": "timestamp with time zone",
                }
                return turns.get(self.type_of(tree.this), "")
            case exp.Bracket():
                return self.type_of(tree.this).removesuffix("[]")
            case exp.Anonymous():
                return self._result(tree)
            case exp.Add() | exp.Sub():
                return self.type_of(tree.this) if isinstance(unwrapped(tree.expression), exp.Interval) else ""
        if isinstance(tree, _ARROWS_TO_TEXT):
            return "text"
        return self.type_of(tree.this) if isinstance(tree, _ARROWS) else ""

    def _result(self, call: exp.Anonymous) -> str:
        name = function_name(call)
        arguments = call.expressions
        if name in _TEXT_RESULTS:
            lower_of_range = name in ("lower", "upper") and arguments and datatypes.is_range(self.type_of(arguments[0]))
            return "" if lower_of_range else "text"
        if name in ("to_tsvector", "setweight"):
            return "tsvector"
        if name == "date" and arguments:
            return "date"
        if name == "date_trunc" and len(arguments) > 1:
            inner = self.type_of(arguments[1])
            return "timestamp without time zone" if inner == "date" else inner
        if name in _PASSES_ON and arguments:
            return next((t for t in map(self.type_of, arguments) if t and t != "unknown"), "")
        if name in ("length", "char_length", "array_length", "cardinality", "strpos"):
            return "integer"
        return ""

    def is_immutable(self, tree: exp.Expr) -> bool:
        """Return whether an index may hold the expression: nothing in it looks at more than its arguments."""
        return all(self._is_immutable_step(node) for node in tree.walk())

    def _is_immutable_step(self, node: exp.Expr) -> bool:
        match node:
            case exp.Placeholder() | exp.Parameter() | exp.Query() | exp.Window() | exp.AggFunc():
                return False
            case exp.Anonymous():
                return self._is_immutable_call(node)
            case exp.Cast():
                return self._is_immutable_cast(node)
            case exp.Extract():
                return self.type_of(node.expression) in datatypes.WITHOUT_ZONE
            case exp.AtTimeZone():
                return isinstance(node.args.get("zone"), exp.Literal)
            case exp.DPipe():  # of text and anything else it prints the other, by the session's settings
                sides = {self.type_of(node.this), self.type_of(node.expression)}
                return all(each == "unknown" or datatypes.is_text(each) for each in sides) or sides == {"jsonb"}
            case exp.Add() | exp.Sub():
                moved = any(isinstance(unwrapped(side), exp.Interval) for side in (node.this, node.expression))
                return not moved or self.type_of(node.this) != "timestamp with time zone"
        return isinstance(node, _PARTS + _OPERATORS)

    def _is_immutable_call(self, call: exp.Anonymous) -> bool:
        name = function_name(call)
        arguments = call.expressions
        if name == "date_trunc":
            inner = self.type_of(arguments[1]) if len(arguments) == 2 else ""
            return inner in datatypes.WITHOUT_ZONE and inner != "date"
        if name in ("date_part", "age"):
            return bool(arguments) and all(
                self.type_of(a) in (*datatypes.WITHOUT_ZONE, "unknown", "interval") for a in arguments
            ) and (name == "date_part" or len(arguments) == 2)  # fmt: skip
        if name == "date":
            return len(arguments) == 1 and self.type_of(arguments[0]) in datatypes.WITHOUT_ZONE
        if name == "to_tsvector":
            return len(arguments) == 2 and isinstance(unwrapped(arguments[0]), exp.Literal | exp.Cast)
        if name == "length":
            return len(arguments) == 1
        if name == "timezone":
            return len(arguments) == 2 and isinstance(unwrapped(arguments[0]), exp.Literal)
        return name in IMMUTABLE or name in self._schema.immutable_functions

    def _is_immutable_cast(self, cast: exp.Cast) -> bool:
        target = datatypes.base(rendered(cast.to))
        source = self.type_of(cast.this)
        inner = unwrapped(cast.this)
        if isinstance(inner, exp.Literal):
            return target not in datatypes.WITH_ZONE  # its meaning depends on the session's time zone
        if target in datatypes.WITH_ZONE:
            return source == target
        if target in datatypes.WITHOUT_ZONE:
            return source in datatypes.WITHOUT_ZONE
        if target == "text" or datatypes.is_text(target):
            return datatypes.is_text(source) or source in _PRINTED_ALIKE
        plain = datatypes.NUMBERS | {"boolean", "uuid", "jsonb"}
        return source in plain | {"text", "character varying"} and target in plain


def function_name(call: exp.Anonymous) -> str:
    """Return the name of the function called, in lower case and without its schema."""
    return str(call.name).lower()


def unwrapped(tree: exp.Expr) -> exp.Expr:
    """Return what stands in parentheses."""
    while isinstance(tree, exp.Paren):
        tree = tree.this
    return tree


def parameters(tree: exp.Expr) -> list[int]:
    """Return the numbers of the parameters in the tree."""
    return [n for p in tree.find_all(exp.Placeholder, bfs=False) if (n := parameter(p)) is not None]


def literal(tree: exp.Expr) -> str | None:
    """Return the constant's text; None for anything that is not a plain constant."""
    tree = unwrapped(tree)
    if isinstance(tree, exp.Cast):
        return literal(tree.this)
    if isinstance(tree, exp.Literal):
        return str(tree.this)
    if isinstance(tree, exp.Boolean):
        return "t" if tree.this else "f"
    if isinstance(tree, exp.Neg) and (number := literal(tree.this)) is not None:
        return f"-{number}"
    return None


def _bare(tree: exp.Expr) -> exp.Expr:
    """Return a copy with columns by their bare names, in quotes where they need them."""
    holder = exp.Paren(this=tree.copy())
    for column in list(holder.find_all(exp.Column)):
        name = column.name
        column.replace(exp.Column(this=exp.Identifier(this=name, quoted=quoted(name) != name)))
    return holder.this  # type: ignore[no-any-return]
