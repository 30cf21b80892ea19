"""The gate for a deploy pipeline: is a query worse than in the baseline, in ways that do not depend on the weather?

Costs and times decide nothing. What counts: whether an index path exists at all (also where today's little data makes
the planner prefer a scan), blocks read for each row returned, and scans of tables that were not scanned before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from dbtune.plan import words
from dbtune.plan.baseline import Baseline, Before
from dbtune.plan.comparison import work
from dbtune.plan.explain import Status
from dbtune.plan.report import Outcome


class Check(StrEnum):
    """What the gate asks of a query; the values are stable ids, for reports and ignores."""

    LOST_INDEX_PATH = "lost-index-path"
    NEW_SEQ_SCAN = "new-seq-scan"
    MORE_BUFFERS = "more-buffers"
    FAILS = "fails"


TITLES = {
    Check.LOST_INDEX_PATH: "No index can look up the rows any more",
    Check.NEW_SEQ_SCAN: "A table is scanned that was not scanned before",
    Check.MORE_BUFFERS: "More blocks are read for each row returned",
    Check.FAILS: "The query fails, before it ran",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a difference counts. ``pages`` are blocks of 8 kB."""

    pages: int = 64
    factor: float = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """A violation that somebody accepted, why, and until when (that day included)."""

    query: str
    check: Check
    relation: str | None
    reason: str
    expires: date

    def covers(self, violation: Violation, today: date) -> bool:
        """Return whether this is the violation that was accepted, and still is."""
        return (
            self.expires >= today
            and self.query == violation.query
            and self.check is violation.check
            and self.relation in (None, violation.relation)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One way in which a query is worse than it was. ``ignored`` is the reason why that is accepted."""

    check: Check
    query: str
    message: str
    relation: str | None = None
    path: str | None = None
    line: int | None = None
    ignored: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's answer. ``notes`` tell what could not be compared, and why."""

    checked: tuple[str, ...]
    violations: tuple[Violation, ...]
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Violation, ...]:
        """The violations that nobody accepted."""
        return tuple(v for v in self.violations if v.ignored is None)


def judge(
    baseline: Baseline,
    outcomes: Sequence[Outcome],
    index_paths: Mapping[str, Mapping[str, bool]],
    limits: Limits,
    ignores: Iterable[Ignore] = (),
    *,
    today: date,
    selected: Sequence[str] | None = None,
    version: str = "",
) -> Verdict:
    """Compare queries with the baseline.

    ``index_paths`` tells for each query and table whether an index could look up its rows now. ``selected`` are the
    names that were asked for, None for all. ``version`` is the server's now.
    """
    accepted = tuple(ignores)
    notes: list[str] = []
    if version and baseline.major and not version.startswith(f"{baseline.major}."):
        notes.append(f"the baseline is of PostgreSQL {baseline.version}, this server is {version}: save a new one")
    violations: list[Violation] = []
    for outcome in outcomes:
        name = outcome.query.name
        before = baseline.queries.get(name)
        if before is None:
            notes.append(f"{name} is not in the baseline: only its sequential scans are judged")
        elif before.statement is not None and before.statement != outcome.query.statement:
            notes.append(f"{name} has changed its statement since the baseline")
        violations += _violations(outcome, before, index_paths.get(name, {}), limits)
    names = {o.query.name for o in outcomes}
    if selected is not None:
        names |= set(baseline.queries)
    notes += [f"{name} is in the baseline, but not among the queries" for name in baseline.queries if name not in names]
    notes += [f"ignore of {i.check} for {i.query} expired on {i.expires}" for i in accepted if i.expires < today]
    return Verdict(
        checked=tuple(sorted(names)),
        violations=tuple(_with_ignore(v, accepted, today) for v in violations),
        notes=tuple(notes),
    )


def _with_ignore(violation: Violation, ignores: Sequence[Ignore], today: date) -> Violation:
    found = next((i for i in ignores if i.covers(violation, today)), None)
    return violation if found is None else replace(violation, ignored=f"{found.reason} (until {found.expires})")


def _violation(outcome: Outcome, check: Check, message: str, relation: str | None = None) -> Violation:
    query = outcome.query
    path = str(query.path) if query.path is not None else None
    line = query.line if path is not None else None
    return Violation(check=check, query=query.name, message=message, relation=relation, path=path, line=line)


def _violations(
    outcome: Outcome, before: Before | None, index_paths: Mapping[str, bool], limits: Limits
) -> list[Violation]:
    if outcome.analysis is None:
        reason = outcome.explained.reason or "no plan"
        return [_violation(outcome, Check.FAILS, reason)] if before is not None else []
    lost = _lost(before, index_paths)
    found = [_violation(outcome, Check.LOST_INDEX_PATH, text, relation) for relation, text in lost.items()]
    scanned = {n.relation for n in before.analysis.plan.sequential_scans()} if before is not None else set()
    for scan in outcome.scans:
        pages = scan.blocks or 0
        if pages > limits.pages and scan.relation not in scanned | lost.keys():
            scanned.add(scan.relation)
            text = f"reads all of {scan.relation}, {words.plural(pages, 'block')} ({words.size(pages)})"
            found.append(_violation(outcome, Check.NEW_SEQ_SCAN, text, scan.relation))
    if (more := _more_buffers(outcome, before, limits)) is not None:
        found.append(_violation(outcome, Check.MORE_BUFFERS, more))
    return found


def _lost(before: Before | None, index_paths: Mapping[str, bool]) -> dict[str, str]:
    """Return the tables whose rows an index could look up before, and now cannot, with what to say."""
    paths = before.index_paths if before is not None else None
    return {
        relation: f"no index can look up the rows of {relation} any more, not even with enable_seqscan = off"
        for relation, had in (paths or {}).items()
        if had and not index_paths.get(relation, True)
    }


def _more_buffers(outcome: Outcome, before: Before | None, limits: Limits) -> str | None:
    if before is None or outcome.analysis is None or outcome.explained.status is not Status.MEASURED:
        return None
    old, new = work(before.analysis), work(outcome.analysis)
    if old.blocks_per_row is None or new.blocks_per_row is None or old.blocks is None or new.blocks is None:
        return None
    if new.blocks - old.blocks < limits.pages or new.blocks_per_row <= limits.factor * old.blocks_per_row:
        return None
    return (
        f"{words.number(new.blocks_per_row)} blocks for each row returned, before "
        f"{words.number(old.blocks_per_row)} ({words.number(old.blocks)} → {words.plural(new.blocks, 'block')})"
    )
