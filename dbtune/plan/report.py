"""What explaining a workload told: each query with its plan's sums, the tables it scans and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dbtune.errors import BadFile
from dbtune.plan.arithmetic import Analysis, Count, analyse
from dbtune.plan.comparison import Change, Work, compare, work
from dbtune.plan.explain import Explained, Status
from dbtune.plan.finding import Confidence, Finding, Severity
from dbtune.plan.negatives import checked, unchecked
from dbtune.plan.rules import judge
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Plan
from dbtune.server.facts import Facts
from dbtune.workload.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialScan:
    """One table read as a whole, ``loops`` times. ``read`` and ``kept`` are rows over all loops, None where unknown.

    ``is_estimated``: the statement was planned, not run.
    """

    relation: str
    alias: str | None
    read: Count | None
    kept: Count | None
    loops: int
    blocks: int | None
    is_estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One query's part of the report; ``analysis`` is None where there is no plan.

    ``alternatives`` are its plans with other parameter sets, by the set's name. ``index_paths`` tells for each table
    whether an index could look up its rows; None where nobody asked. ``changes`` are against a baseline.
    """

    explained: Explained
    analysis: Analysis | None
    scans: tuple[SequentialScan, ...]
    findings: tuple[Finding, ...]
    alternatives: Mapping[str, Plan] = field(default_factory=dict)
    index_paths: Mapping[str, bool] | None = None
    changes: tuple[Change, ...] | None = None
    before: Work | None = None
    checked: tuple[str, ...] = ()
    """What was looked at and is fine."""
    unchecked: tuple[str, ...] = ()
    """What could not be looked at, and why."""

    @property
    def query(self) -> Query:
        return self.explained.query

    @property
    def execution_ms(self) -> float | None:
        """Time of one execution, None where it was not run."""
        return self.analysis.execution_ms if self.analysis is not None and self.is_measured else None

    @property
    def is_measured(self) -> bool:
        return self.explained.status is Status.MEASURED

    @property
    def rows(self) -> Count | None:
        """Rows that the statement returned or, changing data, touched."""
        if self.analysis is None or not self.is_measured:
            return None
        root = self.analysis.plan.root
        source = self.analysis.plan.nodes[1] if root.node_type == "ModifyTable" and root.children else root
        return self.analysis.of(source).rows

    @property
    def roots(self) -> tuple[Finding, ...]:
        """The findings that are nothing's consequence."""
        return tuple(f for f in self.findings if f.because_of is None)

    def saves_ms(self, root: Finding) -> float:
        """What curing a root cause would save of one execution: the most that it or what it leads to costs."""
        return max(f.saves_ms or 0.0 for f in (root, *self.consequences(root)))

    def consequences(self, root: Finding) -> tuple[Finding, ...]:
        """The findings that this one leads to."""
        return tuple(f for f in self.findings if f.because_of == root.rule and f.rule in root.leads_to)

    @property
    def worst(self) -> Finding | None:
        """The finding that matters most."""
        return max(self.findings, key=lambda f: (f.severity, f.saves_ms or 0.0), default=None)


@dataclass(frozen=True, slots=True)
class Advice:
    """A root cause with the query it is about; ``saves_ms_once`` is what curing it would save of one execution."""

    query: Query
    finding: Finding
    saves_ms_once: float
    leads_to: tuple[Finding, ...] = ()

    @property
    def saves_ms(self) -> float:
        """What it would save over all captured calls; 0 where that is not known."""
        return self.saves_ms_once * self.query.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedTable:
    """A table, and the queries whose plans read all of it."""

    relation: str
    queries: tuple[Query, ...]
    rows_read: float
    """Rows read by one execution of each of these queries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of ``dbtune explain``. ``problems`` are query files that could not be used.

    ``interrupted``: the queries that were not reached are left out.
    """

    server: str
    version: str
    outcomes: tuple[Outcome, ...]
    problems: tuple[BadFile, ...] = ()
    interrupted: bool = False
    selected: int = 0
    """How many queries were asked for."""

    @property
    def measured(self) -> list[Outcome]:
        return [o for o in self.outcomes if o.is_measured]

    @property
    def execution_ms(self) -> float:
        """Time of one execution of every measured query."""
        return sum(o.execution_ms or 0.0 for o in self.outcomes)

    @property
    def blocks(self) -> int:
        """Shared blocks that one execution of every measured query asked for."""
        return sum(o.analysis.blocks.shared for o in self.measured if o.analysis and o.analysis.blocks)

    def by_cost(self) -> list[Outcome]:
        """Return the outcomes by time over all captured calls, the most expensive first; then those not measured."""
        return sorted(
            self.outcomes,
            key=lambda o: (not o.is_measured, -(o.execution_ms or 0.0) * o.query.weight, o.query.name),
        )

    def advice(self) -> list[Advice]:
        """Return every root cause, the one that would save most over all calls first."""
        every = [Advice(o.query, f, o.saves_ms(f), o.consequences(f)) for o in self.outcomes for f in o.roots]
        return sorted(every, key=lambda a: (-a.saves_ms, -a.finding.severity, a.query.name, a.finding.rule))

    def worst_severity(self) -> Severity | None:
        """Return the highest severity of all findings."""
        return max((f.severity for o in self.outcomes for f in o.findings), default=None)

    def scanned_tables(self) -> list[ScannedTable]:
        """Return the tables that any plan scans, by rows read."""
        readers: dict[str, dict[str, Query]] = {}
        rows: dict[str, float] = {}
        for outcome in self.outcomes:
            for scan in outcome.scans:
                readers.setdefault(scan.relation, {})[outcome.query.name] = outcome.query
                rows[scan.relation] = rows.get(scan.relation, 0.0) + (scan.read.value if scan.read else 0.0)
        tables = [
            ScannedTable(relation=name, queries=tuple(queries.values()), rows_read=rows[name])
            for name, queries in readers.items()
        ]
        return sorted(tables, key=lambda t: (-t.rows_read, t.relation))


def outcome(
    explained: Explained,
    facts: Facts | None = None,
    *,
    alternatives: Mapping[str, Plan] | None = None,
    index_paths: Mapping[str, bool] | None = None,
    before: Analysis | None = None,
) -> Outcome:
    """Return what a query's plan tells; ``before`` is its plan in a baseline."""
    if explained.plan is None:
        return Outcome(explained=explained, analysis=None, scans=(), findings=())
    analysis = analyse(explained.plan)
    others = alternatives or {}
    sampled = explained.provenance == "sampled"
    subject = Subject(analysis, facts or Facts(), others, before.plan if before is not None else None)
    return Outcome(
        explained=explained,
        analysis=analysis,
        scans=tuple(_scans(subject)),
        findings=tuple(_as_sure_as_its_values(f) if sampled else f for f in judge(subject)),
        alternatives=others,
        index_paths=index_paths,
        changes=tuple(compare(before, analysis)) if before is not None else None,
        before=work(before) if before is not None else None,
        checked=tuple(checked(subject)),
        unchecked=tuple(unchecked(subject)),
    )


def _as_sure_as_its_values(finding: Finding) -> Finding:
    """A run with values that nobody captured shows what may happen, not what does."""
    measured = finding.confidence is Confidence.MEASURED
    return replace(finding, confidence=Confidence.SAMPLED) if measured else finding


def relations(explained: Iterable[Explained]) -> set[str]:
    """Return the tables that these plans touch, as ``schema.table``."""
    return {n.relation for e in explained if e.plan is not None for n in e.plan.walk() if n.relation is not None}


def _scans(subject: Subject) -> list[SequentialScan]:
    found = []
    for node in subject.plan.sequential_scans():
        if node.relation is None or node.never_executed:
            continue
        measure = subject.measure(node)
        read, kept = measure.read, measure.rows
        if read is None and (estimated := subject.scanned(node)) is not None:
            read, kept = (Count(value) for value in estimated)
        found.append(
            SequentialScan(
                relation=node.relation,
                alias=node.alias,
                read=read,
                kept=kept,
                loops=round(subject.repeats(node)),
                blocks=subject.blocks(node),
                is_estimated=not subject.plan.is_analyzed,
            )
        )
    return found
