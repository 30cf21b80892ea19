"""What an index must earn that says little new, and what size costs where nobody set a budget.

An index whose keys are those of a key of the table, or of another new index, has its uses: it covers a query where the
other does not, or is smaller. But it is one more to write to and to keep in memory, so it has to save as large a part
of the workload as it is a part of the tables.

Without a budget nothing would speak against an index that holds whole rows. So what an
index holds only to be read is charged for: as large as all tables, it has to save a tenth of the workload.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.index.advisor.case import Case, Found
from dbtune.index.advisor.removals import begins
from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.standing import Standing
from dbtune.index.candidates.value import COVERING
from dbtune.index.definition import Index
from dbtune.index.whatif.protocol import Known
from dbtune.snapshot.value import BLOCK, Snapshot

_ENTRY = 12  # bytes of an index tuple's header and of its line pointer

_COPY = 0.5  # an index of more than this part of its table's size is nearly a copy of it

RENT = 0.1
"""The part of the workload's cost that covering it must save for as many bytes as all tables have, without a budget."""


def rent(case: Case, found: Found) -> dict[int, float]:
    """Return what each candidate is charged for the columns that it holds only to be read, in the planner's unit."""
    if case.budget is not None or case.heap == 0:
        return {}
    workload = sum(q.weight * found.plans[q.name].root.total_cost for q in found.questions if q.name in found.plans)
    new = [known for known in case.known if not known.exists and known.reason is None]
    covering = {known.id for known in new if _covers(known.index, found)}
    least: dict[tuple[object, ...], int] = {}
    for known in new:
        if known.id not in covering:
            begin = _begin(known.index)
            least[begin] = min(known.pages, least.get(begin, known.pages))
    schema = Schema(case.snapshot)
    charged = {}
    for known in new:
        if known.id in covering:
            needed = least.get(_begin(known.index))
            if needed is None:
                needed = round(known.pages * _needed(known.index, schema))
            charged[known.id] = RENT * workload * max(0, known.pages - needed) * BLOCK / case.heap
    return charged


def copies(case: Case, found: Found) -> frozenset[int]:
    """Return the candidates that hold nearly whole rows only to be read; none where a budget prices size."""
    if case.budget is not None:
        return frozenset()
    schema = Schema(case.snapshot)
    copied = set()
    for known in case.known:
        index = known.index
        table = case.snapshot.table(*index.relation)
        several = len(index.keys) + len(index.include) > 2
        if known.exists or known.reason is not None or table is None or not several or not _covers(index, found):
            continue
        if known.pages > _COPY * schema.pages(table):
            copied.add(known.id)
    return frozenset(copied)


def _covers(index: Index, found: Found) -> bool:
    candidate = found.by_index.get(index)
    return bool(index.include) or (candidate is not None and candidate.kind == COVERING)


def _begin(index: Index) -> tuple[object, ...]:
    return index.relation, index.method, index.keys[0].text, index.predicate


def _needed(index: Index, schema: Schema) -> float:
    """Return the part of an index that its first key takes."""
    table = schema.snapshot.table(*index.relation)
    if table is None or not index.keys[0].is_column:
        return 1.0
    widths = [schema.width(table, name) for name in (*index.columns, *index.include)]
    return (widths[0] + _ENTRY) / (sum(widths) + _ENTRY)


class Earning:
    """Says of each candidate what it must save: nothing more than noise, or the part of the tables that it is."""

    def __init__(self, known: Sequence[Known], snapshot: Snapshot, heap: int) -> None:
        self._known = known
        self._heap = max(1, heap)
        schema = Schema(snapshot)
        self._schema = schema
        self._standing = Standing(schema)
        self._repeats_key = {each.id for each in known if not each.exists and self._repeats(each.index)}

    def __call__(self, index: int, chosen: frozenset[int]) -> float:
        """Return which part of the workload's cost the index must save where these are chosen."""
        if index in self._repeats_key or any(
            begins(self._known[other].index, self._known[index].index) for other in chosen
        ):
            return self._known[index].pages * BLOCK / self._heap
        return 0.0

    def _repeats(self, index: Index) -> bool:
        """Return whether the index begins as a unique one does, or has the columns first that one begins with."""
        if index.method != "btree" or index.predicate is not None:
            return False
        table = self._schema.snapshot.table(*index.relation)
        keys = index.columns
        if table is None or len(keys) != len(index.keys):
            return False
        if any(
            len(each) <= len(keys) and set(keys[: len(each)]) == each for each in self._standing.unique_columns(table)
        ):
            return True
        unique = [held.columns for each, held in self._standing.of(table) if each.is_unique and held.predicate is None]
        if len(keys) > 1 and any(set(each[: len(keys)]) == set(keys) for each in unique):
            return True
        return self._standing.is_kept_prefix(Index(schema=index.schema, table=index.table, keys=index.keys))
