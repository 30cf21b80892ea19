"""Why no index helps a query: what the planner, the statement and the statistics tell, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dbtune.index.advice import Unhelped
from dbtune.index.advisor.case import Case, Found, ratio
from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.value import Limits
from dbtune.index.graph import Node, members
from dbtune.index.search import NOISE
from dbtune.index.selection import Chosen, Selected, Selection
from dbtune.index.whatif.protocol import Question
from dbtune.plan import words
from dbtune.plan.access import access_paths
from dbtune.plan.tree import JOINS, Plan
from dbtune.plan.tree import Node as Step
from dbtune.snapshot.value import Snapshot, Table
from dbtune.workload.query import Query

_SMALL = Limits().small_table_pages
_CONDITIONS = ("Filter", "Index Cond", "Recheck Cond", "TID Cond")
_PATTERNS = (" ~~ ", " ~~* ", " ~ ", " ~* ")


def unhelped(
    case: Case, found: Found, selected: Selected, selection: Selection, repeated: Mapping[str, str]
) -> tuple[Unhelped, ...]:
    """Return the queries that nothing helps, or nothing that was chosen, or that cannot be planned.

    ``repeated`` are queries that the application sends too often, with what shows it.
    """
    chosen = {each.question.name: each for each in selection.chosen}
    by_query: dict[str, list[Question]] = {}
    for question in found.questions:
        by_query.setdefault(question.query.name, []).append(question)
    told = []
    for query in found.queries:
        asked = by_query.get(query.name, [])
        refused = sorted({found.refused[q.name] for q in asked if q.name in found.refused})
        planned = [chosen[q.name] for q in asked if q.name in chosen]
        reasons = []
        if not asked:
            reasons.append("it was never called")
        elif refused and not planned:
            reasons.append(f"it cannot be planned: {'; '.join(refused)}")
        elif planned and all(ratio(each) >= 1 - NOISE for each in planned):
            reasons.append(_of_query(case, query, planned, found, selected))
        if query.name in repeated:
            reasons.append(repeated[query.name])
        if reasons:
            told.append(Unhelped(query=query.name, why="; ".join(reasons)))
    return tuple(told)


def _of_query(case: Case, query: Query, planned: Sequence[Chosen], found: Found, selected: Selected) -> str:
    """Return why no index helps a query: there is one that was not chosen, or there is none."""
    cheapest = {each.question.name: _cheapest(each, selected) for each in planned}
    best = min(planned, key=lambda each: cheapest[each.question.name].cost / max(each.before, 1e-9))
    node = cheapest[best.question.name]
    known = case.known
    names = sorted(known[each].index.target for each in members(node.used) if not known[each].exists)
    if names and node.cost < best.before * (1 - NOISE):
        return (
            f"{' with '.join(names)} would take it from {best.before:,.0f} to {node.cost:,.0f}, but is not advised:"
            " see what was considered"
        )
    by_index = {each.index: each for each in known}
    own = [by_index[candidate.index] for candidate in found.candidates.of(query.name)]
    refused = [each.reason for each in own if each.reason is not None]
    notes = found.candidates.notes.get(query.name, ())
    return why(found.plans[best.question.name], case.snapshot, notes, len(own) - len(refused), refused)


def _cheapest(chosen: Chosen, selected: Selected) -> Node:
    graph = selected.graphs[chosen.question.name]
    return min(graph.nodes, key=lambda node: (node.cost, node.used.bit_count(), node.used))


def why(plan: Plan, snapshot: Snapshot, notes: Sequence[str], candidates: int, refused: Sequence[str]) -> str:
    """Return why none of the ``candidates`` makes the plan cheaper. ``notes`` are those of the search for candidates.

    ``refused`` are reasons why some of its candidates cannot be had.
    """
    return next(_reasons(plan, snapshot, notes, candidates, refused))


def _reasons(
    plan: Plan, snapshot: Snapshot, notes: Sequence[str], candidates: int, refused: Sequence[str]
) -> Iterator[str]:
    schema = Schema(snapshot)
    tables = _tables(plan, snapshot)
    if not tables:
        yield "it reads no table" if plan.root.node_type != "ModifyTable" else "it adds rows and reads none"
    if all(n.node_type in ("ModifyTable", "Result", "Values Scan", "ProjectSet") for n in plan.nodes):
        yield "it adds rows and reads none"
    if never := sorted({t.name for t in tables if t.kind == "r" and t.is_unanalysed and schema.pages(t) > _SMALL}):
        yield f"statistics of {', '.join(never)} were never gathered: run ANALYZE first, then ask again"
    scans = [n for n in plan.nodes if n.node_type == "Seq Scan"]
    large = [n for n in scans if (t := _table(n, snapshot)) is not None and schema.pages(t) > _SMALL]
    told = "; ".join(dict.fromkeys(note for note in notes if not note.startswith(("read from its plan", "$"))))
    if refused and candidates == 0:
        yield f"what could help cannot be had: {'; '.join(dict.fromkeys(refused))}"
    if not large:
        yield _without_scans(plan, tables, schema)
    if told:
        yield told
    if pattern := next((n for n in large if any(p in str(n.raw.get("Filter", "")) for p in _PATTERNS)), None):
        yield (
            f"it looks for a pattern ({words.excerpt(str(pattern.raw['Filter']), 60)}), which an index serves only by"
            " trigrams (pg_trgm), if the pattern has three characters in a row that are known and few rows have them"
        )
    if candidates == 0 and not any("Filter" in n.raw for n in large) and not _joins_or_sorts(plan):
        names = ", ".join(sorted({words.relation(n) for n in large}))
        yield f"it wants all rows of {names}: there is no condition, join or order that an index could serve"
    yield _reads_much(large, candidates)


def _without_scans(plan: Plan, tables: Sequence[Table], schema: Schema) -> str:
    looked_up = [path for path in access_paths(plan) if path.looks_up]
    if looked_up:
        names = sorted({name for path in looked_up for name in path.indexes})
        return f"its rows are looked up by an index already ({', '.join(names)})" if names else "it reads rows by TID"
    if all(schema.pages(table) <= _SMALL for table in tables if table.kind in "rpm"):
        names = sorted({table.name for table in tables})
        return (
            f"it reads small tables only ({', '.join(names)}): up to {_SMALL} pages are read as fast without an index"
        )
    return "its plan reads indexes as a whole already"


def _reads_much(large: Sequence[Step], candidates: int) -> str:
    parts = sorted({words.relation(n) for n in large})
    tried = words.plural(candidates, "candidate")
    return (
        f"of {tried} none makes it 1 % cheaper: it needs so many rows of {', '.join(parts)} that reading all of them"
        " in order is no dearer"
    )


def _joins_or_sorts(plan: Plan) -> bool:
    kinds = JOINS | {"Sort", "Incremental Sort", "Group", "Unique", "WindowAgg"}
    return any(n.node_type in kinds or (n.node_type == "Aggregate" and n.raw.get("Group Key")) for n in plan.nodes)


def _tables(plan: Plan, snapshot: Snapshot) -> list[Table]:
    found = {}
    for node in plan.nodes:
        if (table := _table(node, snapshot)) is not None:
            found[table.schema, table.name] = table
    return list(found.values())


def _table(node: Step, snapshot: Snapshot) -> Table | None:
    name = node.raw.get("Relation Name")
    return None if name is None else snapshot.table(str(node.raw.get("Schema", "")), str(name))
