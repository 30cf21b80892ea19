"""Why a recommendation may be wrong although the planner agrees: each doubt in a sentence, and how much it weighs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot.errors import SqlglotError

from dbtune.index.advice import Confidence
from dbtune.index.candidates import datatypes, statement
from dbtune.index.candidates.access import Term, Test
from dbtune.index.candidates.frequency import elements
from dbtune.index.candidates.schema import Schema
from dbtune.index.definition import Index
from dbtune.index.size import estimate
from dbtune.index.whatif.protocol import Question
from dbtune.plan import words
from dbtune.plan.predicate import terms
from dbtune.plan.tree import Node, Plan
from dbtune.snapshot.value import Snapshot, Table
from dbtune.workload.lexer import Unterminated

_NAME = r"""([\w$]+|"(?:[^"]|"")+")"""
_EQUAL_COLUMNS = re.compile(rf"{_NAME}\.{_NAME} = {_NAME}\.{_NAME}")
_CONDITIONS = ("Index Cond", "Recheck Cond", "Filter")
_JOIN_CONDITIONS = ("Hash Cond", "Merge Cond", "Join Filter")
_STALE = 0.2
_SURE = 0.1


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason to be less sure, in a sentence, and what confidence it leaves.

    ``about`` is the question that it is about, None for all; ``proven``: it was measured.
    """

    why: str
    leaves: Confidence
    about: str | None = None
    proven: bool = False


def of_table(index: Index, snapshot: Snapshot) -> Iterator[Doubt]:
    """Yield doubts about the statistics that everything rests on."""
    table = snapshot.table(*index.relation)
    if table is None:
        return
    if table.is_unanalysed:
        yield Doubt(f"statistics of {table.name} were never gathered: run ANALYZE {table.name} first", Confidence.LOW)
    elif table.reltuples > 0 and table.counters.n_mod_since_analyze > _STALE * table.reltuples:
        share = words.percent(table.counters.n_mod_since_analyze / table.reltuples)
        yield Doubt(f"{share} of {table.name}'s rows changed since the last ANALYZE", Confidence.MEDIUM)
    for key in index.keys:
        if not key.is_column:
            yield Doubt(
                f"there are no statistics about {key.text} before the index is made and {table.name} analysed",
                Confidence.MEDIUM,
            )


def of_size(index: Index, snapshot: Snapshot, *, chosen_if_larger: bool) -> Iterator[Doubt]:
    """Yield doubts about the size, where it is an estimate."""
    table = snapshot.table(*index.relation)
    if table is None:
        return
    size = estimate(index, table, snapshot)
    if not size.sure:
        yield Doubt(
            f"its size is a guess: it may be {words.percent(size.error)} more or less",
            Confidence.MEDIUM if size.error > 1 or not chosen_if_larger else Confidence.HIGH,
        )
    if not chosen_if_larger and size.error > _SURE:
        yield Doubt(
            "were indexes 25 % larger than estimated, others would be chosen within the budget",
            Confidence.HIGH if size.sure else Confidence.MEDIUM,
        )


class Edges:
    """Finds values beyond what statistics have seen, where the planner has nothing to go by."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._schema = Schema(snapshot)
        self._read: dict[str, list[tuple[Table, Term]]] = {}

    def of(self, question: Question, index: Index) -> Iterator[Doubt]:
        """Yield a doubt for each key that the question compares with such a value."""
        columns = set(index.columns)
        told: set[str] = set()
        for table, term in self._terms(question):
            name = term.operand.text
            if (table.schema, table.name) != index.relation or name not in columns or name in told:
                continue
            if term.test in (Test.RANGE, Test.EQUAL) and (value := self._beyond(table, term)) is not None:
                told.add(name)
                yield Doubt(
                    f"{question.name} compares {name} with {value}, which is at or beyond the end of what ANALYZE saw:"
                    " how many rows that finds is a guess",
                    Confidence.MEDIUM,
                    about=question.name,
                )

    def _terms(self, question: Question) -> list[tuple[Table, Term]]:
        if question.name not in self._read:
            values = {
                number: (value,) for number, value in enumerate(question.values or (), start=1) if value is not None
            }
            try:
                reading = statement.read(question.query.statement, self._schema, values=values)
                found = [(access.table, term) for access in reading.accesses.values() for term in access.terms]
            except (SqlglotError, Unterminated, statement.Unreadable, RecursionError, ValueError):
                found = []
            self._read[question.name] = found
        return self._read[question.name]

    def _beyond(self, table: Table, term: Term) -> str | None:
        statistics = self._schema.statistics(table, term.operand.text)
        column = self._schema.column(table, term.operand.text)
        if statistics is None or column is None or not statistics.histogram_bounds:
            return None
        bounds = [each for each in elements(statistics.histogram_bounds) if each is not None]
        common = [each for each in elements(statistics.most_common_vals or "{}") if each is not None]
        type_ = self._schema.type_of(column)
        seen = [_place(each, type_) for each in (bounds[0], bounds[-1], *common)] if bounds else []
        known = [place for place in seen if place is not None]
        for value in term.values if known else ():
            place = _place(value, type_)
            if place is None:
                continue
            if place < min(known) or place > max(known):
                return value
            if term.test is Test.RANGE and place in (min(known), max(known)):
                return value
        return None


def _place(value: str, type_: str) -> tuple[float, str] | None:
    """Return what sorts values of a type, None for a type that is not read here."""
    if type_ in datatypes.NUMBERS:
        try:
            return float(value), ""
        except ValueError:
            return None
    # ISO dates sort as text
    return (0.0, value) if type_ in datatypes.WITHOUT_ZONE | datatypes.WITH_ZONE else None


@dataclass(frozen=True, slots=True)
class _Guess:
    """Columns of a table that a node takes for independent. ``most`` is by how much that may be too few rows."""

    node: Node
    table: Table
    columns: tuple[str, ...]
    most: float


def of_loops(name: str, before: float, plan: Plan, snapshot: Snapshot) -> Iterator[Doubt]:
    """Yield a doubt where nested loops by new indexes are driven by an estimate that takes columns for independent.

    The planner multiplies the selectivities of conditions on several columns. Where the columns depend on each other
    many more rows come, each of which descends an index: the cost falls on paper while blocks and time rise. A doubt is
    told where so many more rows as the columns' statistics allow would cost more than the plan without the indexes.
    ``before`` is that plan's cost, ``plan`` the one with the indexes.
    """
    there = {index.name for table in snapshot.tables for index in table.indexes}
    told: set[tuple[str, ...]] = set()
    for guess in _guesses(plan, snapshot):
        at_stake = 0.0
        below = guess.node
        for above in plan.ancestors(guess.node):
            inner = plan.child(above, "Inner")
            outer = plan.child(above, "Outer")
            driven = above.node_type == "Nested Loop" and inner is not None and outer is not None
            if driven and inner is not None and outer is not None and below.number == outer.number:
                names = {n.index_name for n in plan.subtree(inner) if n.index_name is not None}
                if names - there:
                    at_stake += outer.plan_rows * inner.total_cost
            below = above
        if at_stake <= 0:
            continue
        enough = 1 + max(0.0, before - plan.root.total_cost) / at_stake
        key = (guess.table.name, *guess.columns)
        if enough < guess.most and key not in told:
            told.add(key)
            yield Doubt(
                f"{name} loops over rows whose number takes {' and '.join(guess.columns)} of {guess.table.name} for"
                f" independent of each other: should {max(2, round(enough))} times as many come, it costs more than"
                " now, and touches more blocks; measure it on a copy (--measure)",
                Confidence.LOW,
                about=name,
            )


def _guesses(plan: Plan, snapshot: Snapshot) -> Iterator[_Guess]:
    tables = _tables_by_alias(plan, snapshot)
    for node in plan.nodes:
        texts = [str(node.raw[key]) for key in _JOIN_CONDITIONS if key in node.raw]
        if node.node_type == "Nested Loop" and (inner := plan.child(node, "Inner")) is not None:
            texts += [str(n.raw[key]) for n in plan.subtree(inner) for key in _CONDITIONS if key in n.raw]
        joined: dict[str, dict[str, None]] = {}
        for text in texts:
            for one, column, other, another in _EQUAL_COLUMNS.findall(text):
                if one != other:
                    joined.setdefault(_plain(one), {}).setdefault(_plain(column))
                    joined.setdefault(_plain(other), {}).setdefault(_plain(another))
        for alias, columns in joined.items():
            table = tables.get(alias)
            if table is not None and len(columns) > 1 and not _is_foreign_key(table, tuple(columns), snapshot):
                most = _most(table, tuple(columns))
                if _is_unique(table, tuple(columns)):  # then no more rows come than the other side has
                    most = min(most, max(c.plan_rows for c in plan.children(node)) / max(1.0, node.plan_rows))
                yield _Guess(node, table, tuple(columns), most)
        if (table := tables.get(node.alias or "")) is not None and node.relation is not None:
            fixed = _fixed(node)
            if len(fixed) > 1 and not _has_statistics(table, fixed) and not _is_unique(table, fixed):
                yield _Guess(node, table, fixed, _most(table, fixed))


def _fixed(node: Node) -> tuple[str, ...]:
    """Return the columns that the node's conditions compare for equality with values, not with other columns."""
    found: dict[str, None] = {}
    for key in _CONDITIONS:
        if key in node.raw:
            for term in terms(str(node.raw[key])):
                if term.column is not None and term.is_equality and not _EQUAL_COLUMNS.search(term.text):
                    found.setdefault(term.column.rpartition(".")[2].strip('"'))
    return tuple(found)


def _tables_by_alias(plan: Plan, snapshot: Snapshot) -> Mapping[str, Table]:
    found = {}
    for node in plan.nodes:
        name, schema = node.raw.get("Relation Name"), node.raw.get("Schema")
        if name is not None and (table := snapshot.table(str(schema), str(name))) is not None:
            found[node.alias or str(name)] = table
    return found


def _is_foreign_key(table: Table, columns: Sequence[str], snapshot: Snapshot) -> bool:
    """Return whether the columns are those of a foreign key, either side of it: then the planner knows better."""
    wanted = set(columns)
    if any(c.kind == "f" and wanted <= set(c.columns) for c in table.constraints):
        return True
    here = (table.schema, table.name)
    return any(
        c.kind == "f" and c.references == here and wanted <= set(c.referenced_columns)
        for other in snapshot.tables
        for c in other.constraints
    )


def _is_unique(table: Table, columns: Sequence[str]) -> bool:
    wanted = set(columns)
    return any(
        index.is_unique and index.predicate is None and index.key_columns and set(index.key_columns) <= wanted
        for index in table.indexes
    )


def _has_statistics(table: Table, columns: Sequence[str]) -> bool:
    return any(
        all(re.search(rf"\b{re.escape(column)}\b", each.definition) for column in columns) for each in table.statistics
    )


def _most(table: Table, columns: Sequence[str]) -> float:
    """Return by how much the rows can be underestimated: all but the most selective column may say nothing new."""
    rows = max(1.0, table.reltuples)
    distinct = []
    for name in columns:
        column = table.column(name)
        statistics = None if column is None else column.statistics or column.inherited
        distinct.append(max(1.0, statistics.distinct(rows)) if statistics is not None else 200.0)
    product = 1.0
    for each in sorted(distinct)[:-1]:
        product *= each
    return min(product, rows)


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
