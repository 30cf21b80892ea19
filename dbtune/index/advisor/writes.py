"""What keeping indexes up to date costs a workload, in the planner's unit.

EXPLAIN says nothing of it: the cost of an INSERT is the same whether a table has one index or ten. So it is reckoned
here, from the rows that the workload's statements add and change, and from the server's own counters where the period
of the capture is known: a new index costs an entry for every row added; for every row changed an entry too, unless the
update is heap-only (HOT); and an update that was heap-only is so no more once an index has a column that it changes
(manual, 66.7): then all other indexes of the table get an entry as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError

from dbtune.index.candidates.dialect import parsed, parsed_expression
from dbtune.index.definition import Index
from dbtune.index.whatif.protocol import Question
from dbtune.plan.tree import Plan
from dbtune.snapshot.value import BLOCK, Snapshot, Table
from dbtune.workload.lexer import Unterminated
from dbtune.workload.period import union
from dbtune.workload.query import Query

_HEADER = 60
"""Bytes of a WAL record for an entry, beside the entry (``xl_btree_insert`` and its headers, rounded)."""

_TOUCHED = 0.1
"""Part of a page's random read that an entry costs: pages are dirtied, and written by each checkpoint once for many."""

_HOT_UNKNOWN = 0.5
_DELETED = 0.5  # what an entry costs that VACUUM removes, by one that is made
_PENDING = 0.5  # what an entry of GIN costs, for many are moved at a time
_SUMMARY = 0.05  # BRIN's: only a new extreme of a range of pages changes anything

Relation = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Rows of a table that are added, changed or removed during the workload. ``columns`` are those changed."""

    relation: Relation
    operation: str
    rows: float
    columns: frozenset[str] = frozenset()


def writes(questions: Sequence[Question], plans: Mapping[str, Plan], snapshot: Snapshot) -> list[Write]:
    """Return the rows that the workload writes: what its statements do, or what the counters tell if that is more.

    ``plans`` are by question. Counters count where the capture tells its period and the server since when it counts.
    """
    found: dict[tuple[Relation, str, frozenset[str]], float] = {}
    for question in questions:
        plan = plans.get(question.name)
        for relation, operation, rows in _changes(plan) if plan is not None else ():
            columns = _changed_columns(question.query, relation) if operation == "Update" else frozenset[str]()
            key = (relation, operation, columns)
            found[key] = found.get(key, 0.0) + question.weight * rows
    _add_counted(found, questions, snapshot)
    return [
        Write(relation=relation, operation=operation, rows=rows, columns=columns)
        for (relation, operation, columns), rows in sorted(found.items(), key=lambda item: (*item[0][:2], *item[0][2]))
        if rows > 0
    ]


def _changes(plan: Plan) -> Iterable[tuple[Relation, str, float]]:
    for node in plan.nodes:
        if node.node_type != "ModifyTable":
            continue
        operation = str(node.raw.get("Operation", ""))
        relation = (str(node.raw.get("Schema", "")), str(node.raw.get("Relation Name", "")))
        rows = sum(child.plan_rows for child in plan.children(node) if child.parent_relationship in ("Outer", "Member"))
        if operation == "Merge":
            yield relation, "Update", rows
        elif operation:
            yield relation, operation, max(1.0, rows)
            if node.raw.get("Conflict Resolution") == "UPDATE":
                yield relation, "Update", max(1.0, rows)


def _changed_columns(query: Query, relation: Relation) -> frozenset[str]:
    """Return the columns that SET names, for the table of that name."""
    try:
        tree = parsed(query.statement)
    except (SqlglotError, Unterminated, RecursionError):
        return frozenset()
    changed: set[str] = set()
    for update in tree.find_all(exp.Update, exp.OnConflict):
        if isinstance(update, exp.Update) and isinstance(update.this, exp.Table) and update.this.name != relation[1]:
            continue
        for each in update.args.get("expressions") or ():
            if isinstance(each, exp.EQ):
                target = each.this
                names = target.expressions if isinstance(target, exp.Tuple) else [target]
                changed |= {name.name for name in names if isinstance(name, exp.Column | exp.Identifier)}
    return frozenset(changed)


def _add_counted(
    found: dict[tuple[Relation, str, frozenset[str]], float], questions: Sequence[Question], snapshot: Snapshot
) -> None:
    periods = union(period for question in questions for period in question.query.periods)
    seconds = sum((period.end - period.begin).total_seconds() for period in periods)
    if seconds <= 0:
        return
    for table in snapshot.tables:
        counters = table.counters
        if counters.since is None:
            continue
        counted = (snapshot.taken_at - counters.since).total_seconds()
        if counted <= 0:
            continue
        relation = (table.schema, table.name)
        for operation, rows in (
            ("Insert", counters.n_tup_ins),
            ("Update", counters.n_tup_upd),
            ("Delete", counters.n_tup_del),
        ):
            stated = sum(n for (where, what, _), n in found.items() if where == relation and what == operation)
            if (more := rows * seconds / counted - stated) > 0:
                key = (relation, operation, frozenset[str]())
                found[key] = found.get(key, 0.0) + more


class Upkeep:
    """Reckons what indexes cost a workload's writes."""

    def __init__(self, snapshot: Snapshot, written: Sequence[Write]) -> None:
        self._snapshot = snapshot
        self._parents = {(t.schema, t.name): t.inherits for t in snapshot.tables if t.partition_bound is not None}
        self._writes: dict[Relation, list[Write]] = {}
        for each in written:
            self._writes.setdefault(each.relation, []).append(each)

    def cost(self, index: Index, pages: int, tuples: float) -> float:
        """Return what keeping the index costs all writes of the workload; ``tuples`` are the entries that it has."""
        table = self._snapshot.table(*index.relation)
        if table is None:
            return 0.0
        entry = self._entry(index, table, pages, tuples)
        columns = _columns(index)
        total = 0.0
        for write in self._of(index.relation):
            if write.operation == "Insert":
                total += write.rows * entry
            elif write.operation == "Delete":
                total += write.rows * entry * _DELETED
            elif write.operation == "Update":
                total += write.rows * self._update(write, table, columns, entry, summarising=index.method == "brin")
        return total

    def has_writes(self, relation: Relation) -> bool:
        """Return whether the workload writes to the table at all."""
        return bool(self._of(relation))

    def _of(self, relation: Relation) -> list[Write]:
        found = list(self._writes.get(relation, ()))
        for child, parents in self._parents.items():
            if relation in parents:
                found += self._of(child)
        return found

    def _update(self, write: Write, table: Table, columns: frozenset[str], entry: float, *, summarising: bool) -> float:
        """Return what one changed row costs."""
        counters = table.counters
        hot = counters.n_tup_hot_upd / counters.n_tup_upd if counters.n_tup_upd else _HOT_UNKNOWN
        indexed = frozenset[str]().union(*(_existing_columns(each.key_columns, each.include) for each in table.indexes))
        if write.columns & indexed:
            hot = 0.0
        if not write.columns & columns:
            return entry * (1 - hot)
        if summarising and self._snapshot.major >= 16:
            return entry
        others = sum(self._existing_entry(each.pages, each.reltuples, table) for each in table.indexes)
        return entry + hot * others

    def _entry(self, index: Index, table: Table, pages: int, tuples: float) -> float:
        """Return what a row of the table costs the index: one entry, or as many as a row has."""
        rows = max(1.0, table.reltuples)
        one = self._existing_entry(pages, tuples, table)
        if index.method == "brin":
            return one * _SUMMARY
        share = tuples / rows if tuples >= 0 else 1.0
        return one * share * (_PENDING if index.method == "gin" else 1.0)

    def _existing_entry(self, pages: int, tuples: float, table: Table) -> float:
        """Return what one entry costs: the descent, a part of a page, and its WAL."""
        setting = self._setting
        entries = max(2.0, tuples if tuples > 0 else table.reltuples)
        levels = max(0, math.ceil(math.log(max(1, pages), 250)))
        operator = setting("cpu_operator_cost", 0.0025)
        descent = operator * math.log2(entries) + 50 * operator * (levels + 1) + setting("cpu_index_tuple_cost", 0.005)
        width = pages * BLOCK / entries
        wal = (_HEADER + min(width, 2700.0)) / BLOCK * setting("seq_page_cost", 1.0)
        return descent + _TOUCHED * setting("random_page_cost", 4.0) + wal

    def _setting(self, name: str, default: float) -> float:
        try:
            return float(self._snapshot.settings.get(name, default))
        except ValueError:
            return default


def _existing_columns(keys: Iterable[str | None], include: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in [*keys, *include] if name is not None)


def _columns(index: Index) -> frozenset[str]:
    """Return every column that the index has in it, also in expressions and in its predicate."""
    found = {*index.columns, *index.include}
    texts = [key.text for key in index.keys if not key.is_column]
    texts += [index.predicate] if index.predicate is not None else []
    for text in texts:
        try:
            found |= {column.name for column in parsed_expression(text).find_all(exp.Column)}
        except SqlglotError:
            continue
    return frozenset(found)
