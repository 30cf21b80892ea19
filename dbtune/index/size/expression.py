"""Expressions as keys: what their values are like, told from the statistics of the columns that they are made of."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from dbtune.index.size import rows as counted
from dbtune.index.size import storage
from dbtune.index.size.spread import UNKNOWN_DISTINCT, place
from dbtune.index.size.texts import elements, numeric_bytes, text_bytes
from dbtune.snapshot.value import Column, Snapshot, Statistics, Table

_SECONDS = {
    "microseconds": 1e-6,
    "milliseconds": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 604800.0,
    "month": 2629800.0,
    "quarter": 7889400.0,
    "year": 31557600.0,
    "decade": 315576000.0,
    "century": 3155760000.0,
}
_CYCLES = {
    "month": 12,
    "quarter": 4,
    "day": 31,
    "dow": 7,
    "isodow": 7,
    "hour": 24,
    "minute": 60,
    "second": 60,
    "week": 53,
    "doy": 366,
}
_SPACES = re.compile(r"\s+")
_CASTS = re.compile(r"::(?:text|character varying|bpchar|regclass|name)(?:\(\d+\))?")
_OTHER_ZONE = {
    "timestamp with time zone": "timestamp without time zone",
    "timestamp without time zone": "timestamp with time zone",
}
_SQL = {
    "TEXT": "text",
    "VARCHAR": "character varying",
    "CHAR": "character",
    "BOOLEAN": "boolean",
    "SMALLINT": "smallint",
    "INT": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "DECIMAL": "numeric",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMPTZ": "timestamp with time zone",
    "UUID": "uuid",
    "JSONB": "jsonb",
    "JSON": "json",
    "INTERVAL": "interval",
}


@dataclass(frozen=True, slots=True)
class Derived:
    """An expression as if it were a column. ``known`` says whether its statistics are more than a guess."""

    column: Column
    statistics: Statistics | None
    known: bool


def derive(
    text: str, table: Table, snapshot: Snapshot, statistics_of: Callable[[Column], Statistics | None]
) -> Derived:
    """Return the expression ``text`` as a column of ``table``.

    An existing index or extended statistics with the same expression tell it best. Otherwise it has as many values as
    its column, or as the function leaves of them, and the width of its type.
    """
    node = _tree(text)
    value = _of(node, table, snapshot, statistics_of) if node is not None else _Value("text", None)
    gathered = _gathered(text, table)
    if gathered is not None:
        value = _Value(value.type, gathered, known=True)
    column = _column(text, value.type)
    statistics = value.statistics
    return Derived(column, statistics, value.known and statistics is not None)


def _column(name: str, type_: str) -> Column:
    length, align = storage.FIXED.get(storage.bare(type_), (-1, "i"))
    return Column(
        name=name, number=0, type=type_, length=length, align=align, by_value=0 < length <= 8,
        storage="p" if length > 0 else "x",
    )  # fmt: skip


def columns_of(text: str, table: Table) -> list[Column]:
    """Return the table's columns that an expression is made of, in the order in which they come."""
    from sqlglot import exp

    node = _tree(text)
    names = [each.this for each in node.find_all(exp.Column, bfs=False)] if node is not None else []
    found = [table.column(name.this if name.args.get("quoted") else name.this.lower()) for name in names]
    return [column for column in dict.fromkeys(found) if column is not None]


def plain(text: str) -> str:
    """Return an expression in a spelling by which equal ones are found: without spaces, casts of texts and outer
    parentheses."""
    found = _SPACES.sub("", _CASTS.sub("", _SPACES.sub(" ", text))).lower()
    return found.replace("(", "").replace(")", "")


def _gathered(text: str, table: Table) -> Statistics | None:
    wanted = plain(text)
    for index in table.indexes:
        for at, (key, column) in enumerate(zip(index.keys, index.key_columns, strict=False), start=1):
            if column is None and plain(key) == wanted and index.predicate is None and at in index.statistics:
                return index.statistics[at]
    for extended in table.statistics:
        held = [each for each in extended.expressions if each is not None]
        if len(held) == 1 and wanted in plain(extended.definition):
            return held[0]
    return None


@dataclass(frozen=True, slots=True)
class _Value:
    type: str
    statistics: Statistics | None
    known: bool = False


@lru_cache(maxsize=2048)
def _tree(text: str) -> Any:
    from sqlglot import parse_one
    from sqlglot.errors import SqlglotError

    try:
        return parse_one(f"SELECT ({text})", read="postgres").expressions[0]
    except (SqlglotError, RecursionError, IndexError):
        return None


def _of(node: Any, table: Table, snapshot: Snapshot, statistics_of: Callable[[Column], Statistics | None]) -> _Value:
    from sqlglot import exp

    def of(inner: Any) -> _Value:
        return _of(inner, table, snapshot, statistics_of)

    if isinstance(node, exp.Paren):
        return of(node.this)
    if isinstance(node, exp.Column):
        identifier = node.this
        column = table.column(identifier.this if identifier.args.get("quoted") else identifier.this.lower())
        if column is None:
            return _Value("text", None)
        return _Value(storage.base_type(column.type, snapshot), statistics_of(column), known=True)
    if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
        return _Value("text" if getattr(node, "is_string", False) else "integer", _constant())
    if isinstance(node, exp.Cast):
        return _cast(of(node.this), _SQL.get(node.to.this.name, "text"), counted.of(table, snapshot))
    if isinstance(node, exp.JSONExtractScalar | exp.JSONBExtractScalar | exp.JSONExtract | exp.JSONBExtract):
        return _extracted(node, of(node.this))
    if isinstance(node, exp.Lower | exp.Upper | exp.Initcap | exp.Trim | exp.Reverse):
        inner = of(node.this)
        return _Value("text", _cased(inner.statistics, node, exp), inner.known)
    if isinstance(node, exp.Substring | exp.Left | exp.Right | exp.SplitPart):
        return _Value("text", _pieces(of(node.this), node, counted.of(table, snapshot)))
    if isinstance(node, exp.AtTimeZone):
        inner = of(node.this)
        return replace(inner, type=_OTHER_ZONE.get(inner.type, inner.type))
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        unit = node.args.get("unit")
        inner = of(node.this)
        return _Value(inner.type, _steps(inner, str(getattr(unit, "name", unit)).lower()), inner.known)
    if isinstance(node, exp.Extract):
        inner = of(node.expression)
        kind = "numeric" if snapshot.major >= 14 else "double precision"
        return _Value(kind, _cycle(inner, str(node.this.name).lower(), 8 if kind != "numeric" else 5), inner.known)
    if isinstance(node, exp.Date | exp.TsOrDsToDate):
        return _cast(of(node.this), "date", counted.of(table, snapshot))
    if isinstance(node, exp.Length):
        inner = of(node.this)
        width = inner.statistics.avg_width if inner.statistics is not None else storage.UNKNOWN_WIDTH
        return _Value("integer", _guess(4, max(2.0, 2.0 * width), inner), False)
    if isinstance(node, exp.MD5):
        inner = of(node.this)
        return _Value("text", _with(inner.statistics, width=33), inner.known)
    if isinstance(node, exp.Coalesce):
        inner = of(node.this)
        return _Value(inner.type, _filled(inner.statistics), inner.known)
    if isinstance(node, exp.Predicate | exp.Connector | exp.Not):
        return _Value("boolean", Statistics(null_frac=0.0, avg_width=1, n_distinct=2.0))
    if isinstance(node, exp.DPipe | exp.Concat):
        operands = node.expressions if isinstance(node, exp.Concat) else [node.left, node.right]
        return _joined([of(each) for each in operands], counted.of(table, snapshot))
    if isinstance(node, exp.Binary):
        computed = _computed(of(node.left), node, of(node.right))
        return computed or _arithmetic(of(node.left), of(node.right), counted.of(table, snapshot))
    return _function(node, table, of)


def _function(node: Any, table: Table, of: Callable[[Any], _Value]) -> _Value:
    """Return what a function gives of which no more is known: as many values as its first column, as wide as those."""
    from sqlglot import exp

    for column in node.find_all(exp.Column):
        inner = of(column)
        if inner.statistics is not None:
            return _Value(inner.type, _with(inner.statistics), False)
    return _Value("text", None)


def _constant() -> Statistics:
    return Statistics(null_frac=0.0, avg_width=4, n_distinct=1.0)


def _with(statistics: Statistics | None, *, width: int | None = None) -> Statistics | None:
    """Return statistics of other values that are as many and as frequent, but unknown."""
    if statistics is None:
        return None
    return Statistics(
        null_frac=statistics.null_frac,
        avg_width=statistics.avg_width if width is None else width,
        n_distinct=statistics.n_distinct,
    )


def _guess(width: int, distinct: float, inner: _Value) -> Statistics:
    null_frac = inner.statistics.null_frac if inner.statistics is not None else 0.0
    return Statistics(null_frac=null_frac, avg_width=width, n_distinct=max(1.0, distinct))


def _cased(statistics: Statistics | None, node: Any, exp: Any) -> Statistics | None:
    if statistics is None:
        return None
    change = str.lower if isinstance(node, exp.Lower) else str.upper if isinstance(node, exp.Upper) else None
    if change is None:
        return _with(statistics) if isinstance(node, exp.Trim) else statistics
    return replace(
        statistics,
        most_common_vals=change(statistics.most_common_vals) if statistics.most_common_vals else None,
        histogram_bounds=change(statistics.histogram_bounds) if statistics.histogram_bounds else None,
    )


def _filled(statistics: Statistics | None) -> Statistics | None:
    """Return the statistics where NULL has become one more value."""
    if statistics is None or statistics.null_frac == 0 or statistics.null_frac >= 1:
        return statistics
    values = statistics.most_common_vals
    return replace(
        statistics,
        null_frac=0.0,
        n_distinct=statistics.n_distinct + 1 if statistics.n_distinct >= 0 else statistics.n_distinct,
        most_common_vals="{0," + values[1:] if values and len(values) > 2 else "{0}",
        most_common_freqs=(statistics.null_frac, *statistics.most_common_freqs),
    )


def _cast(inner: _Value, type_: str, rows: float) -> _Value:
    if type_ == inner.type:
        return inner
    if type_ == "date" and inner.type.startswith("timestamp"):
        return _Value("date", _with(_steps(inner, "day"), width=4), inner.known)
    if storage.is_text(type_) and storage.is_text(inner.type):
        return replace(inner, type=type_)
    length = storage.FIXED.get(type_, (None, ""))[0]
    width = length if length is not None else 8 if type_ == "numeric" else storage.UNKNOWN_WIDTH
    if inner.statistics is None:
        return _Value(type_, None)
    if storage.is_text(type_):
        texts = [value for value in elements(inner.statistics.histogram_bounds) if value is not None]
        width = 1 + round(sum(map(text_bytes, texts)) / len(texts)) if texts else inner.statistics.avg_width + 4
    whole = type_ in ("integer", "bigint", "smallint") and inner.type in ("numeric", "double precision", "real")
    statistics = _with(inner.statistics, width=width)
    if whole:
        statistics = _capped(statistics, _range(inner.statistics, inner.type), rows)
    return _Value(type_, statistics, inner.known)


def _capped(statistics: Statistics | None, most: float | None, rows: float) -> Statistics | None:
    if statistics is None or most is None or statistics.distinct(rows) <= most:
        return statistics
    return replace(statistics, n_distinct=max(1.0, most))


def _range(statistics: Statistics, type_: str) -> float | None:
    """Return the distance between the least and the greatest value that statistics show, times in seconds."""
    shown = [*elements(statistics.histogram_bounds), *elements(statistics.most_common_vals)]
    numbers = [number for number in (place(v, type_) for v in shown if v is not None) if number is not None]
    return max(numbers) - min(numbers) if numbers else None


def _steps(inner: _Value, unit: str) -> Statistics | None:
    """Return the statistics of times cut to whole units: at most as many values as units pass between the ends."""
    if inner.statistics is None:
        return None
    length, seconds = _range(inner.statistics, inner.type), _SECONDS.get(unit)
    statistics = _with(inner.statistics)
    if statistics is None or length is None or seconds is None:
        return statistics
    most = math.ceil(length / seconds) + 1
    if statistics.n_distinct < 0 or statistics.n_distinct > most:
        return replace(statistics, n_distinct=float(most))
    return statistics


def _cycle(inner: _Value, field: str, width: int) -> Statistics | None:
    if inner.statistics is None:
        return None
    most = float(_CYCLES.get(field, 0))
    if not most:
        stepped = _steps(inner, "year" if field in ("year", "isoyear") else "second" if field == "epoch" else "day")
        return _with(stepped, width=width)
    distinct = inner.statistics.n_distinct
    return Statistics(
        null_frac=inner.statistics.null_frac,
        avg_width=width,
        n_distinct=min(most, distinct) if distinct > 0 else most,
    )


def _joined(parts: Sequence[_Value], rows: float) -> _Value:
    known = [part.statistics for part in parts if part.statistics is not None]
    if not known:
        return _Value("text", None)
    distinct = min(rows, math.prod(max(1.0, each.distinct(rows)) for each in known))
    width = 1 + sum(max(1, each.avg_width - 1) for each in known)
    null_frac = 1 - math.prod(1 - each.null_frac for each in known)
    return _Value("text", Statistics(null_frac=null_frac, avg_width=width, n_distinct=max(1.0, distinct)))


def _arithmetic(one: _Value, other: _Value, rows: float) -> _Value:
    known = [each for each in (one, other) if each.statistics is not None]
    if not known:
        return _Value("numeric", None)
    order = ["smallint", "integer", "bigint", "numeric", "real", "double precision"]
    type_ = max((v.type for v in known), key=lambda t: order.index(t) if t in order else len(order))
    distinct = min(rows, math.prod(max(1.0, each.statistics.distinct(rows)) for each in known if each.statistics))
    width = max(each.statistics.avg_width for each in known if each.statistics)
    null_frac = 1 - math.prod(1 - each.statistics.null_frac for each in known if each.statistics)
    single = [each for each in known if each.statistics and each.statistics.n_distinct != 1.0]
    if len(single) == 1:
        return _Value(type_, _with(single[0].statistics), single[0].known)
    return _Value(type_, Statistics(null_frac=null_frac, avg_width=width, n_distinct=max(1.0, distinct)))


def _extracted(node: Any, inner: _Value) -> _Value:
    """Return what ``->>`` takes from documents, told from those that pg_stats shows."""
    from sqlglot import exp

    as_text = isinstance(node, exp.JSONExtractScalar | exp.JSONBExtractScalar)
    type_, width = ("text", _text_width) if as_text else ("jsonb", _document_width)
    keys = _keys(node.expression, several=isinstance(node, exp.JSONBExtract | exp.JSONBExtractScalar))
    if inner.statistics is None or not keys:
        return _Value(type_, None)
    found = documents(inner.statistics)
    if not found:
        return _Value(type_, None)
    return _Value(
        type_, _sampled([(_at(document, keys, as_text=as_text), weight) for document, weight in found], width)
    )


def documents(statistics: Statistics) -> list[tuple[Any, float]]:
    """Return the JSON documents that statistics show, each with the part of the rows that it stands for."""
    found: list[tuple[Any, float]] = []
    for text, weight in shown(statistics):
        try:
            found.append((json.loads(text), weight))
        except ValueError:
            continue
    return found


def shown(statistics: Statistics) -> list[tuple[str, float]]:
    """Return the values that statistics show, each with the part of the rows that it stands for."""
    common = zip(elements(statistics.most_common_vals), statistics.most_common_freqs, strict=False)
    bounds = elements(statistics.histogram_bounds)
    rest = max(0.0, 1 - statistics.null_frac - sum(statistics.most_common_freqs))
    values = [*common, *((bound, rest / len(bounds)) for bound in bounds)]
    return [(value, weight) for value, weight in values if value is not None]


def _pieces(inner: _Value, node: Any, rows: float) -> Statistics | None:
    """Return the statistics of parts of texts, cut from those that are shown."""
    if inner.statistics is None:
        return None
    cut = _cut(node)
    values = [(cut(text), weight) for text, weight in shown(inner.statistics)] if cut is not None else []
    if not values:
        return _with(inner.statistics)
    most = max(1.0, inner.statistics.distinct(rows))
    if len({value for value, _ in values}) == len(values):
        # the values shown are of all parts of the order, hence differ: count what may stand at each place
        places = itertools.zip_longest(*(value for value, _ in values))
        most = min(most, math.prod(len(set(place)) for place in places))
    found = _sampled(values)
    found = replace(found, n_distinct=min(most, found.distinct(rows)))
    null_frac = inner.statistics.null_frac
    return replace(
        found, null_frac=null_frac, most_common_freqs=tuple(f * (1 - null_frac) for f in found.most_common_freqs)
    )


def _cut(node: Any) -> Callable[[str], str] | None:
    """Return the function that a call with constants is; None for another one."""
    from sqlglot import exp

    def number(name: str, default: int | None = None) -> int | None:
        argument = node.args.get(name)
        return default if argument is None else int(argument.this) if argument.is_int else None

    if isinstance(node, exp.SplitPart):
        delimiter, index = node.args.get("delimiter"), number("part_index")
        if not isinstance(delimiter, exp.Literal) or not delimiter.this or not index:
            return None
        return lambda text: dict(enumerate(text.split(str(delimiter.this)), start=1)).get(index, "")
    if isinstance(node, exp.Substring):
        start, length = number("start", 1), number("length", 1_000_000_000)
        if start is None or length is None:
            return None
        return lambda text: text[max(0, start - 1) : max(0, start - 1 + length)]
    size = number("expression")
    if size is None:
        return None
    return (lambda text: text[:size]) if isinstance(node, exp.Left) else (lambda text: text[-size:] if size else "")


def _computed(one: _Value, node: Any, other: _Value) -> _Value | None:
    """Return what arithmetic with a constant makes of a column's values; None where that is not what it is."""
    from sqlglot import exp

    if isinstance(node, exp.Mod) and node.right.is_int and one.statistics is not None:
        most = 2 * float(node.right.this) - 1 if _has_negatives(one.statistics) else float(node.right.this)
        statistics = _with(one.statistics)
        assert statistics is not None
        if statistics.n_distinct < 0 or statistics.n_distinct > most:
            statistics = replace(statistics, n_distinct=max(1.0, most))
        return _Value(one.type, statistics, one.known)
    calculate = {exp.Add: Decimal.__add__, exp.Sub: Decimal.__sub__, exp.Mul: Decimal.__mul__}.get(type(node))
    value, constant = (other, node.left) if isinstance(node.left, exp.Literal) else (one, node.right)
    if calculate is None or storage.bare(value.type) != "numeric" or value.statistics is None or not constant.is_number:
        return None

    def changed(text: str | None) -> str | None:
        values = [str(number) if number is not None else None for number in map(apply, elements(text))]
        return _array([each for each in values if each is not None]) if values and None not in values else None

    def apply(text: str | None) -> Decimal | None:
        try:
            number, fixed = Decimal(text or ""), Decimal(str(constant.this))
        except InvalidOperation:
            return None
        return calculate(fixed, number) if value is other else calculate(number, fixed)

    held = value.statistics
    return _Value(
        "numeric",
        replace(
            held,
            most_common_vals=changed(held.most_common_vals),
            histogram_bounds=changed(held.histogram_bounds),
        ),
        value.known,
    )


def _has_negatives(statistics: Statistics) -> bool:
    return any(text.startswith("-") for text, _ in shown(statistics))


def _keys(node: Any, *, several: bool) -> list[str]:
    from sqlglot import exp

    if several and isinstance(node, exp.Literal):
        return [key for key in elements(str(node.this)) if key is not None]
    if isinstance(node, exp.JSONPath):
        return [
            str(part.this) for part in node.expressions if isinstance(part, exp.JSONPathKey | exp.JSONPathSubscript)
        ]
    return [str(node.this)] if isinstance(node, exp.Literal) else []


def _at(document: Any, keys: Sequence[str], *, as_text: bool) -> str | None:
    for key in keys:
        if isinstance(document, Mapping):
            document = document.get(key)
        elif isinstance(document, list) and key.lstrip("-").isdigit() and -len(document) <= int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    if document is None:
        return None
    return document if isinstance(document, str) and as_text else json.dumps(document)


def _text_width(value: str) -> int:
    return storage.packed(text_bytes(value))


def _document_width(value: str) -> int:
    return storage.packed(jsonb_bytes(json.loads(value)))


def jsonb_bytes(document: Any) -> int:
    """Return the bytes of a jsonb value without its header (jsonb.h): four for each container and each key, element
    and value in it, and what these hold, numbers and containers aligned to four."""
    return _container_bytes(document if isinstance(document, dict | list) else [document])


def _container_bytes(container: Mapping[str, Any] | Sequence[Any]) -> int:
    values = list(container.values()) if isinstance(container, Mapping) else list(container)
    names = list(container) if isinstance(container, Mapping) else []
    size = 4 + 4 * (len(names) + len(values)) + sum(map(text_bytes, names))
    for value in values:
        if isinstance(value, str):
            size += text_bytes(value)
        elif isinstance(value, Mapping | list):
            size = -(-size // 4) * 4 + _container_bytes(value)
        elif value is not None and not isinstance(value, bool):
            size = -(-size // 4) * 4 + 4 + (numeric_bytes(str(value)) or 8)
    return size


def _sampled(values: Sequence[tuple[str | None, float]], width_of: Callable[[str], int] = _text_width) -> Statistics:
    """Return statistics of values that a hundred or so rows have: the estimate of their number is that of ANALYZE
    (Haas and Stokes, Duj1), over rows without end."""
    total = sum(weight for _, weight in values) or 1.0
    shares: dict[str, float] = {}
    times: dict[str, int] = {}
    for value, weight in values:
        if value is not None:
            shares[value] = shares.get(value, 0.0) + weight / total
            times[value] = times.get(value, 0) + 1
    filled, once = sum(times.values()), sum(1 for number in times.values() if number == 1)
    if not filled:
        return Statistics(null_frac=1.0, avg_width=1, n_distinct=1.0)
    width = round(sum(width_of(value) * number for value, number in times.items()) / filled)
    distinct = -1.0 if once == filled else len(times) * filled / (filled - once)
    null_frac = max(0.0, 1 - sum(shares.values()))
    repeated = [value for value, number in sorted(times.items()) if number > 2] if distinct > 0 else []
    return Statistics(
        null_frac=null_frac,
        avg_width=width,
        n_distinct=min(distinct, 10 * UNKNOWN_DISTINCT) if distinct > 0 else -(1 - null_frac),
        most_common_vals=_array(repeated) if repeated else None,
        most_common_freqs=tuple(shares[value] for value in repeated),
        histogram_bounds=_array(sorted(set(times) - set(repeated))) if len(times) > len(repeated) + 1 else None,
    )


def _array(values: Sequence[str]) -> str:
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"
