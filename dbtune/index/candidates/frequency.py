"""How many rows a condition keeps, from pg_stats alone: enough to rank candidates, not to plan with.

Where the planner knows more (extended statistics, histograms of odd types) it is asked later, of the candidates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

from dbtune.index.candidates import datatypes
from dbtune.index.candidates.access import Operand, Term, Test
from dbtune.index.candidates.schema import Schema
from dbtune.snapshot.value import Statistics, Table

UNKNOWN_EQUAL = 0.005
UNKNOWN_RANGE = 1 / 3
"""What the planner takes where it knows nothing (``selfuncs.h``)."""

LARGEST_PART = 0.75
"""A partial index is worth proposing where it holds at most this part of the rows."""

FEW_VALUES = 100
"""A constant of a column with more distinct values than this earns a partial index only if it is a common one."""

_PATTERN = 0.01
_MEMBER = 0.01


@lru_cache(maxsize=1024)
def elements(text: str) -> tuple[str | None, ...]:
    """Return the members of a one-dimensional array in PostgreSQL's text format; of nested ones what they hold."""
    found: list[str | None] = []
    part: list[str] = []
    quoted = was_quoted = escaped = False
    for sign in text.strip()[1:-1] + ",":
        if escaped:
            part.append(sign)
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == '"':
            quoted, was_quoted = not quoted, True
        elif sign == "," and not quoted:
            word = "".join(part)
            if word or was_quoted:
                found.append(None if word == "NULL" and not was_quoted else word)
            part, was_quoted = [], False
        else:
            part.append(sign)
    return tuple(found)


def longest(statistics: Statistics | None) -> int:
    """Return the bytes of the longest value that statistics show, 0 where they show none."""
    texts = (statistics.most_common_vals, statistics.histogram_bounds) if statistics is not None else ()
    return max((len(e.encode()) for text in texts if text for e in elements(text) if e is not None), default=0)


class Frequencies:
    """What parts of a table's rows conditions keep."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def kept(self, table: Table, term: Term) -> float:
        """Return the part of all rows that the condition keeps, from 0 to 1."""
        statistics = self._schema.statistics(table, term.operand.text) if term.operand.is_column else None
        return min(1.0, max(1e-9, self._kept(table, term, statistics)))

    def distinct(self, table: Table, operand: Operand) -> float:
        """Return how many distinct values there are, an expression's as many as its first column's; at least 1."""
        rows = self._schema.rows(table)
        statistics = self._schema.statistics(table, operand.columns[0])
        return max(1.0, statistics.distinct(rows)) if statistics is not None else max(1.0, rows * UNKNOWN_EQUAL)

    def makes_a_part(self, table: Table, term: Term) -> bool:
        """Return whether the rows that the condition keeps are worth an index of their own."""
        if not term.operand.is_column or term.test not in (Test.EQUAL, Test.NULL, Test.OTHER):
            return False
        statistics = self._schema.statistics(table, term.operand.text)
        if statistics is None:
            return term.test is Test.NULL or term.operator == "IS NOT NULL" or term.operand.type == "boolean"
        if term.test is Test.EQUAL and term.operand.type != "boolean":
            few = statistics.distinct(self._schema.rows(table)) <= FEW_VALUES
            if not term.values or not (few or self.are_common(statistics, term.values)):
                return False
        return self.kept(table, term) <= LARGEST_PART

    def are_common(self, statistics: Statistics, values: Sequence[str]) -> bool:
        """Return whether all the values are among the most common ones."""
        common = elements(statistics.most_common_vals or "{}")
        return bool(values) and all(value in common for value in values)

    def of_values(self, statistics: Statistics, values: Sequence[str], rows: float) -> float:
        """Return the part of rows that have one of the values."""
        common = dict(zip(elements(statistics.most_common_vals or "{}"), statistics.most_common_freqs, strict=False))
        others = max(1.0, statistics.distinct(rows) - len(common))
        rest = max(0.0, 1 - statistics.null_frac - sum(common.values())) / others
        return sum(common.get(value, rest) for value in values)

    def _kept(self, table: Table, term: Term, statistics: Statistics | None) -> float:
        rows = self._schema.rows(table)
        if term.operator == "IS NOT NULL":
            return 1 - (statistics.null_frac if statistics is not None else UNKNOWN_EQUAL)
        if term.operator == "<>":
            if statistics is None:
                return 1.0
            return 1 - statistics.null_frac - self.of_values(statistics, term.values, rows)
        if term.test is Test.NULL:
            return statistics.null_frac if statistics is not None else UNKNOWN_EQUAL
        if term.test is Test.EQUAL:
            if statistics is None or not term.values:
                return 1 / self.distinct(table, term.operand)
            if term.operand.type == "boolean":
                return self.of_values(statistics, [_truth(value) for value in term.values], rows)
            return self.of_values(statistics, term.values, rows)
        if term.test is Test.RANGE:
            return self._between(term, statistics)
        return _MEMBER if term.test is Test.MEMBER else _PATTERN

    def _between(self, term: Term, statistics: Statistics | None) -> float:
        """Return a third of all rows, or what the histogram says of two known bounds."""
        if statistics is None or not statistics.histogram_bounds or len(term.values) != 2:
            return UNKNOWN_RANGE
        bounds = [each for each in elements(statistics.histogram_bounds) if each is not None]
        low, high = (_place(bounds, value, term.operand.type) for value in term.values)
        return max(1 / max(1, len(bounds)), high - low) if low is not None and high is not None else UNKNOWN_RANGE


def _place(bounds: Sequence[str], value: str, type_: str) -> float | None:
    """Return where the value stands among the bounds, from 0 to 1; None for types that are not read here."""
    if len(bounds) < 2:
        return None
    if type_ in datatypes.NUMBERS:
        try:
            return bisect_left([float(each) for each in bounds], float(value)) / len(bounds)
        except ValueError:
            return None
    if type_ in datatypes.WITHOUT_ZONE | datatypes.WITH_ZONE:  # ISO dates sort as text
        return bisect_left(list(bounds), value) / len(bounds)
    return None


def _truth(value: str) -> str:
    return "t" if value.lower() in ("t", "true", "1", "yes", "on") else "f" if len(value) < 6 else value
