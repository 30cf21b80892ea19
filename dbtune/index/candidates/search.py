"""From a workload to candidates: what its queries want of tables, what indexes serve that, and which to ask about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced

from sqlglot.errors import SqlglotError

from dbtune.index.candidates import planned, statement
from dbtune.index.candidates.access import Access, Test
from dbtune.index.candidates.frequency import Frequencies
from dbtune.index.candidates.merging import merges
from dbtune.index.candidates.methods import Methods
from dbtune.index.candidates.proposal import Proposal
from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.shapes import Shapes
from dbtune.index.candidates.standing import Standing
from dbtune.index.candidates.statement import Reading
from dbtune.index.candidates.value import FOREIGN_KEY, MERGED, Candidate, Candidates, Limits
from dbtune.index.candidates.worth import Worth
from dbtune.index.definition import Index, Key
from dbtune.plan.tree import Plan
from dbtune.snapshot.value import Snapshot, Table
from dbtune.workload.fingerprint import is_preparable
from dbtune.workload.lexer import Unterminated, parameter_count, statements
from dbtune.workload.query import Query

PER_ACCESS = 8
"""So many of a query's candidates are kept for each table that it reads, however little the table weighs."""

_REASONS = 4
_LOSSY = 0.3


@dataclass(slots=True)
class _Read:
    """A query with what it wants of tables."""

    query: Query
    accesses: list[Access] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    reason: str | None = None


@dataclass(slots=True)
class _Kept:
    """A candidate while it is gathered. ``rank`` adds up what its queries make of it."""

    proposal: Proposal
    queries: set[str] = field(default_factory=set)
    reasons: dict[str, None] = field(default_factory=dict)
    rank: float = 0.0

    def add(self, query: str, proposal: Proposal) -> None:
        """Remember that the index is for the query, and why."""
        self.queries.add(query)
        self.reasons.setdefault(proposal.reason)


def candidates(
    queries: Sequence[Query],
    snapshot: Snapshot,
    plans: Mapping[str, Sequence[Plan]] | None = None,
    *,
    max_width: int | None = None,
    limits: Limits | None = None,
) -> Candidates:
    """Return the indexes worth asking the planner about, each with the queries that it is for and why.

    ``plans`` are those of the queries by name, of EXPLAIN (VERBOSE, FORMAT JSON). ``max_width`` is how many keys an
    index may have, in place of that of ``limits``. No query raises: one of which neither text nor plan can be used is
    told in ``unreadable``. The result depends on the arguments alone, not on the order of hashes.
    """
    limits = limits or Limits()
    if max_width is not None:
        limits = replaced(limits, max_width=max_width)
    return _Search(snapshot, limits).run(queries, plans or {})


class _Search:
    def __init__(self, snapshot: Snapshot, limits: Limits) -> None:
        self._schema = Schema(snapshot)
        self._standing = Standing(self._schema)
        self._worth = Worth(self._schema, self._standing, limits)
        self._frequencies = Frequencies(self._schema)
        self._limits = limits
        self._cut = 0

    def run(self, queries: Sequence[Query], plans: Mapping[str, Sequence[Plan]]) -> Candidates:
        reads = [self._read(query, plans.get(query.name, ())) for query in queries]
        found = self._gathered(reads)
        self._add_merges(found)
        self._add_foreign_keys(found)
        made = [
            Candidate(
                index=kept.proposal.index,
                queries=frozenset(kept.queries),
                reasons=tuple(list(kept.reasons)[:_REASONS]),
                kind=kept.proposal.kind,
                needs_extension=kept.proposal.needs_extension,
            )
            for kept in found.values()
        ]
        return Candidates(
            candidates=tuple(sorted(made, key=lambda c: (c.index.schema, c.index.table, c.index.target))),
            unreadable={read.query.name: read.reason for read in reads if read.reason is not None},
            notes={read.query.name: tuple(read.notes) for read in reads if read.notes},
            cut=self._cut,
        )

    # reading

    def _read(self, query: Query, plans: Sequence[Plan]) -> _Read:
        found = _Read(query)
        reading, reason = self._from_text(query)
        readings = [reading] if reading is not None else []
        for plan in plans:
            try:
                readings.append(planned.read(plan, self._schema, constant=_parameters(query) == 0))
            except Exception as error:  # a plan that is not understood leaves what the text tells
                found.notes.setdefault(f"its plan cannot be read: {type(error).__name__} {_first_line(error)}".rstrip())
        for each in readings:
            found.accesses += each.accesses.values()
            found.notes.update(dict.fromkeys(each.notes))
        missing = sorted({name for each in readings for name in each.missing})
        if not found.accesses:
            if reason is None and missing:
                reason = f"there is no table {', '.join(missing)} in the snapshot"
            found.reason = reason
        else:
            if reason is not None:
                found.notes.setdefault(f"read from its plan alone: {reason}")
            found.notes.update(dict.fromkeys(f"there is no table {name} in the snapshot" for name in missing))
        for access in found.accesses:
            obstacle = self._worth.obstacle(access.table)
            if obstacle is not None and not obstacle.startswith("has "):
                found.notes.setdefault(f"{access.table.name} {obstacle}")
        found.notes.update(dict.fromkeys(self._constant_parameters(query, found.accesses)))
        return found

    def _from_text(self, query: Query) -> tuple[Reading | None, str | None]:
        """Return what the text tells, or why it tells nothing."""
        try:
            if len(statements(query.statement)) == 1 and not is_preparable(query.statement):
                return None, "it is no statement that reads or changes rows"
            if len(statements(query.statement)) != 1:
                return None, f"its text holds {len(statements(query.statement))} statements"
            return statement.read(query.statement, self._schema, values=_values(query)), None
        except (SqlglotError, Unterminated) as error:
            return None, f"its text cannot be read: {_first_line(error)}"
        except statement.Unreadable as error:
            return None, str(error)
        except RecursionError:
            return None, "its text cannot be read: it is nested too deeply"
        except Exception as error:  # sqlglot fails in many ways over text that is not SQL; one query stops no other
            return None, f"its text cannot be read: {type(error).__name__} {_first_line(error)}".rstrip()

    def _constant_parameters(self, query: Query, accesses: Sequence[Access]) -> Iterator[str]:
        """Yield a note of each parameter that always had one value, where a partial index could rest on a constant."""
        if len(query.sets) < 2:
            return
        for term, table in ((term, access.table) for access in accesses for term in access.terms):
            if term.parameter is None or term.test is not Test.EQUAL or len(term.values) != 1:
                continue
            always = all(chosen.values[term.parameter - 1] is not None for chosen in query.sets)
            if always and self._frequencies.makes_a_part(table, term):
                yield (
                    f"${term.parameter} was {term.values[0]!r} in every captured call: as a constant it could have an"
                    f" index of that part of {table.name} alone, which a generic plan never uses for a parameter"
                )

    # proposing

    def _gathered(self, reads: Sequence[_Read]) -> dict[Index, _Kept]:
        shapes = Shapes(self._schema, self._standing, self._limits, self._shared(reads))
        methods = Methods(self._schema, self._ordered(reads))
        found: dict[Index, _Kept] = {}
        others: dict[str, list[Proposal]] = {}
        for read in reads:
            chosen, others[read.query.name] = self._chosen(self._proposals(read, shapes, methods))
            for proposal in chosen:
                kept = found.setdefault(proposal.index, _Kept(proposal))
                kept.add(read.query.name, proposal)
                kept.rank += read.query.weight * self._score(proposal)
        for name, proposals in others.items():  # what was left out of one query's may be there for another's sake
            there = [proposal for proposal in proposals if proposal.index in found]
            for proposal in there[: self._limits.per_query // 2]:
                found[proposal.index].add(name, proposal)
            self._cut += len(proposals) - len(there)
        return self._within_tables(found)

    def _proposals(self, read: _Read, shapes: Shapes, methods: Methods) -> dict[Index, Proposal]:
        """Return what the query suggests, each index once, by the best of its reasons."""
        found: dict[Index, Proposal] = {}
        for access in read.accesses:
            for home in self._schema.homes(access.table):
                if self._worth.obstacle(home) is not None:
                    continue
                for source in (shapes.proposals(access, home), methods.proposals(access, home)):
                    for proposal in source:
                        if not self._worth.is_worth_asking(proposal, home):
                            continue
                        best = found.get(proposal.index)
                        if best is None or proposal.gain > best.gain:
                            found[proposal.index] = proposal
        return found

    def _chosen(self, proposals: Mapping[Index, Proposal]) -> tuple[list[Proposal], list[Proposal]]:
        """Return the best of a query's proposals, and the others, both in order."""
        ranked = sorted(proposals.values(), key=lambda p: (-self._score(p), len(p.index.keys), p.index.target))
        if len(ranked) <= self._limits.per_query:
            return ranked, []
        share: dict[tuple[str, str], int] = {}
        first: list[Proposal] = []
        others: list[Proposal] = []
        for proposal in ranked:
            relation = proposal.index.relation
            share[relation] = share.get(relation, 0) + 1
            (first if share[relation] <= PER_ACCESS else others).append(proposal)
        ordered = [*first, *others]
        return ordered[: self._limits.per_query], ordered[self._limits.per_query :]

    def _score(self, proposal: Proposal) -> float:
        """Return about how many pages need not be read: what ranks proposals of one query."""
        table = self._schema.find(*proposal.index.relation)
        assert isinstance(table, Table)
        score = self._schema.pages(table) * proposal.gain
        return score * (0.1 if self._standing.is_prefix(proposal.index) else 1.0)

    def _within_tables(self, found: Mapping[Index, _Kept]) -> dict[Index, _Kept]:
        """Return the best of each table's candidates; what is left out is counted."""
        tables: dict[tuple[str, str], list[_Kept]] = {}
        for kept in found.values():
            tables.setdefault(kept.proposal.index.relation, []).append(kept)
        left: dict[Index, _Kept] = {}
        for relation in sorted(tables):
            ranked = sorted(
                tables[relation], key=lambda k: (-k.rank, len(k.proposal.index.keys), k.proposal.index.target)
            )
            self._cut += max(0, len(ranked) - self._limits.per_table)
            left.update({kept.proposal.index: kept for kept in ranked[: self._limits.per_table]})
        return left

    def _shared(self, reads: Sequence[_Read]) -> dict[tuple[str, str, str], float]:
        """Return how many executions look up each operand by a fixed value."""
        shared: dict[tuple[str, str, str], float] = {}
        for read in reads:
            operands = {
                (home.schema, home.name, term.operand.text)
                for access in read.accesses
                for home in self._schema.homes(access.table)
                for terms in (access.terms, *(arm for arms in access.alternatives for arm in arms))
                for term in terms
                if term.fixes
            }
            for operand in sorted(operands):
                shared[operand] = shared.get(operand, 0.0) + read.query.weight
        return shared

    def _ordered(self, reads: Sequence[_Read]) -> frozenset[tuple[str, str, str]]:
        """Return the operands that some query reads by range or in order."""
        found = set()
        for read in reads:
            for access in read.accesses:
                operands = [t.operand for t in access.terms if t.test in (Test.RANGE, Test.PREFIX)]
                operands += [each.operand for order in access.orders for each in order.keys]
                operands += access.extremes
                for home in self._schema.homes(access.table):
                    found |= {(home.schema, home.name, operand.text) for operand in operands}
        return frozenset(found)

    # what no single query suggests

    def _add_merges(self, found: dict[Index, _Kept]) -> None:
        for table in sorted(self._schema.snapshot.tables, key=lambda t: (t.schema, t.name)):
            of_table = [k for k in found.values() if k.proposal.index.relation == (table.schema, table.name)]
            ranked = sorted(of_table, key=lambda k: (-k.rank, k.proposal.index.target))
            queries = {k.proposal.index: k for k in ranked if k.proposal.index.method == "btree"}
            there = [
                index
                for existing, index in self._standing.of(table)
                if existing.method == "btree" and not existing.is_unique and existing.constraint is None
            ]
            if not queries:
                continue
            sources = [*there, *queries]
            merged: dict[Index, _Kept] = {}
            for merge in merges(sources, table, self._schema, self._limits):
                if merge.index in found or all(part in there for part in merge.parts):
                    continue
                parts = [queries[part] for part in merge.parts if part in queries]
                told = " and ".join(_told(part) for part in merge.parts)
                proposal = Proposal(
                    index=merge.index, reason=f"{told} in one", kind=MERGED, gain=0.5, covers=bool(merge.index.include)
                )
                if not self._worth.is_worth_asking(proposal, table):
                    continue
                if len(parts) == 2 and parts[0].queries == parts[1].queries:
                    continue
                kept = merged.setdefault(merge.index, _Kept(proposal, reasons={proposal.reason: None}))
                kept.rank = max(kept.rank, sum(part.rank for part in parts) * (1.0 if merge.lossless else _LOSSY))
                for part in parts:
                    kept.queries |= part.queries
            best = sorted(merged.values(), key=lambda k: (-k.rank, len(k.proposal.index.keys), k.proposal.index.target))
            self._cut += max(0, len(best) - self._limits.merges_per_table)
            found.update({kept.proposal.index: kept for kept in best[: self._limits.merges_per_table]})

    def _add_foreign_keys(self, found: dict[Index, _Kept]) -> None:
        for table in sorted(self._schema.snapshot.tables, key=lambda t: (t.schema, t.name)):
            if self._worth.obstacle(table) is not None or self._schema.homes(table)[0] is not table:
                continue
            for constraint in self._standing.unindexed_foreign_keys(table):
                keys = tuple(Key(name) for name in constraint.columns)
                index = Index(schema=table.schema, table=table.name, keys=keys)
                to = ".".join(constraint.references or ())
                reason = f"foreign key {constraint.name}: when a row of {to} goes, its rows are looked for here"
                proposal = Proposal(index=index, reason=reason, kind=FOREIGN_KEY, gain=0.5)
                if not self._worth.is_worth_asking(proposal, table):
                    continue
                kept = found.get(index)
                if kept is None:
                    kept = found[index] = _Kept(proposal)
                kept.reasons = {reason: None, **kept.reasons}


def _told(index: Index) -> str:
    words = ", ".join(key.text for key in index.keys)
    return f"({words})" if index.name is None else f"{index.name} ({words})"


def _parameters(query: Query) -> int:
    try:
        return parameter_count(query.statement)
    except Unterminated:
        return 0


def _values(query: Query) -> dict[int, tuple[str, ...]]:
    """Return the values that each parameter had, by number, NULL left out."""
    found: dict[int, dict[str, None]] = {}
    for chosen in query.sets:
        for number, value in enumerate(chosen.values, start=1):
            if value is not None:
                found.setdefault(number, {}).setdefault(value)
    return {number: tuple(values) for number, values in found.items()}


def _first_line(error: BaseException) -> str:
    """Return the error's message up to its first line break, without the marks that colour terminals."""
    line = str(error).strip().partition("\n")[0]
    return line.replace("\x1b[4m", "").replace("\x1b[0m", "").rstrip(".")
