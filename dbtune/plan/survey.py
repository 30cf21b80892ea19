"""Explaining a whole workload on one connection: each query, its other parameter sets, and cures proved by running."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from dbtune.plan import explain as plans
from dbtune.plan import words
from dbtune.plan.baseline import Baseline
from dbtune.plan.explain import Explained, Options, Status
from dbtune.plan.finding import Finding
from dbtune.plan.report import Outcome, Report, outcome, relations
from dbtune.plan.tree import Plan
from dbtune.server.catalog import table_facts
from dbtune.server.connection import server_version_num, version_text
from dbtune.workload.query import ParameterSet, Query
from dbtune.workload.sampling import sampled

SPILLS = frozenset({"C1", "C2", "C3", "C4", "C5"})
"""Rules about memory that did not suffice: more work_mem cures them, and running again proves it."""

MAX_WORK_MEM_KB = 512 * 1024
"""No proof is tried with more memory than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to find out of each query.

    ``compare``: also whether an index could look up each table's rows. ``prove``: run again with more work_mem where a
    sort or hash went to disk. ``alternatives``: plan the other parameter sets too.
    """

    param_set: str | None = None
    options: Options = field(default_factory=Options)
    alternatives: bool = True
    compare: bool = False
    prove: bool = True


@dataclass(slots=True)
class _Seen:
    explained: Explained
    alternatives: Mapping[str, Plan]
    index_paths: Mapping[str, bool] | None


def survey(
    connection: Connection,
    queries: Sequence[Query],
    wanted: Wanted,
    *,
    server: str,
    baseline: Baseline | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> Report:
    """Explain the queries one after the other. On Ctrl-C the report holds those that are done.

    :raises ServerError: the connection is lost.
    """
    seen: list[_Seen] = []
    interrupted = False
    outcomes: list[Outcome] = []
    try:
        for query in queries:
            step(query.name)
            seen.append(_one(connection, query, wanted))
    except KeyboardInterrupt:
        interrupted = True
        connection.rollback()
    facts = table_facts(connection, relations(s.explained for s in seen))
    for one in seen:
        before = baseline.queries.get(one.explained.query.name) if baseline is not None else None
        outcomes.append(
            outcome(
                one.explained,
                facts,
                alternatives=one.alternatives,
                index_paths=one.index_paths,
                before=before.analysis if before is not None else None,
            )
        )
    if wanted.prove and not interrupted:
        try:
            for number, found in enumerate(outcomes):
                outcomes[number] = _proved(connection, found, wanted)
        except KeyboardInterrupt:
            interrupted = True
            connection.rollback()
    return Report(
        server=server,
        version=version_text(server_version_num(connection)),
        outcomes=tuple(outcomes),
        interrupted=interrupted,
        selected=len(queries),
    )


def _one(connection: Connection, query: Query, wanted: Wanted) -> _Seen:
    query = sampled(connection, query)
    chosen = plans.choose_set(query, wanted.param_set)
    explained = plans.explain(connection, query, chosen, wanted.options)
    if explained.plan is None:
        return _Seen(explained, {}, None)
    others = plans.alternatives(connection, query, wanted.options) if wanted.alternatives else {}
    paths = plans.index_paths(connection, query, chosen, wanted.options) if wanted.compare else None
    return _Seen(explained, others, paths)


def _proved(connection: Connection, found: Outcome, wanted: Wanted) -> Outcome:
    """Run a query that spilled again, with as much work_mem as it takes; its findings tell what that gained."""
    spills = [f for f in found.findings if f.rule in SPILLS]
    if not spills or found.explained.status is not Status.MEASURED or found.execution_ms is None:
        return found
    query = found.query
    chosen = plans.choose_set(query, wanted.param_set)
    again = _without_spill(connection, query, chosen, wanted.options, found)
    if again is None:
        return found
    work_mem_kb, after = again
    return replace(
        found,
        findings=tuple(
            _with_proof(f, work_mem_kb, found.execution_ms, after) if f.rule in SPILLS else f for f in found.findings
        ),
    )


def _without_spill(
    connection: Connection, query: Query, chosen: ParameterSet | None, options: Options, found: Outcome
) -> tuple[int, float] | None:
    """Return the least tried work_mem in kB with which nothing went to disk, and the time in ms; None: none did."""
    assert found.analysis is not None and found.analysis.blocks is not None
    temp_kb = 8 * found.analysis.blocks.temp_written
    work_mem_kb = 1 << max(10, temp_kb.bit_length())
    for _ in range(4):
        if work_mem_kb > MAX_WORK_MEM_KB:
            return None
        again = plans.with_work_mem(connection, query, chosen, options, work_mem_kb)
        if again.plan is None or again.status is not Status.MEASURED or again.plan.execution_ms is None:
            return None
        blocks = again.plan.root.buffers
        if blocks is None or blocks.temp_written == 0:
            return work_mem_kb, again.plan.execution_ms
        work_mem_kb *= 2
    return None


def _with_proof(finding: Finding, work_mem_kb: int, before: float, after: float) -> Finding:
    memory = words.size(work_mem_kb / 8)
    measured = f"{words.milliseconds(before)} → {words.milliseconds(after)}"
    advice = (
        f"SET LOCAL work_mem = '{work_mem_kb // 1024}MB' for this statement: run again with {memory} it took no "
        f"temporary file, {measured}"
    )
    if after >= before:
        advice += ", so memory alone gains nothing here"
    return replace(
        finding,
        advice=advice,
        saves_ms=max(0.0, before - after),
        evidence={**finding.evidence, "proved_work_mem_kb": work_mem_kb, "proved_ms": after, "spilled_ms": before},
    )
