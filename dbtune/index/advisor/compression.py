"""A large workload made small: statements that differ in constants alone, then those of the same tables.

What stands for others carries their executions, so that the whole keeps its weight, and what that loses is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dbtune.snapshot.value import Snapshot
from dbtune.workload.fingerprint import fingerprint
from dbtune.workload.lexer import Kind, Unterminated, tokens
from dbtune.workload.normalise import parameterised
from dbtune.workload.query import Query

MOST_QUERIES = 400
"""More queries than this are compressed."""

PER_SHAPE = 3
"""So many statements of one shape are kept, those that ran longest: other constants may have other plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """The queries that are asked about, their calls those of all that they stand for.

    ``given`` is how many there were. ``by_shape`` are represented by others that differ in constants alone,
    ``by_tables`` by others that read the same tables; ``lost`` is the latter's part of all executions, or of all time
    where it is known.
    """

    queries: tuple[Query, ...]
    given: int
    by_shape: int = 0
    by_tables: int = 0
    lost: float = 0.0

    @property
    def note(self) -> str | None:
        """What was done, in a sentence; None where nothing was."""
        if not self.by_shape and not self.by_tables:
            return None
        said = (
            f"{self.given:,} statements were compressed to {len(self.queries):,}: {self.by_shape:,} are represented by"
            " others that differ from them in constants alone"
        )
        if self.by_tables:
            said += (
                f", and {self.by_tables:,}, which are {self.lost:.1%} of the workload, by heavier ones of the same"
                " tables: an index that only they need is not found"
            )
        return said


def compressed(queries: Sequence[Query], snapshot: Snapshot, most: int = MOST_QUERIES) -> Compressed:
    """Return the workload, with fewer queries where there are more than ``most``."""
    if len(queries) <= most:
        return Compressed(queries=tuple(queries), given=len(queries))
    groups: dict[str, list[Query]] = {}
    for query in queries:
        groups.setdefault(_shape(query), []).append(query)
    kept = [each for group in groups.values() for each in _represented(group, PER_SHAPE)]
    if len(kept) > most:
        kept = [each for group in groups.values() for each in _represented(group, 1)]
    by_shape = len(queries) - len(kept)
    by_tables, lost = 0, 0.0
    if len(kept) > most:
        total = sum(map(_weight, kept))
        names = frozenset(table.name for table in snapshot.tables)
        chosen = _by_tables(kept, names, most)
        by_tables = len(kept) - len(chosen)
        heaviest = {query.name for query in chosen}
        lost = sum(_weight(query) for query in kept if query.name not in heaviest) / total if total else 0.0
        kept = chosen
    order = {query.name: number for number, query in enumerate(queries)}
    kept.sort(key=lambda query: order[query.name])
    return Compressed(queries=tuple(kept), given=len(queries), by_shape=by_shape, by_tables=by_tables, lost=lost)


def _by_tables(queries: Sequence[Query], names: frozenset[str], most: int) -> list[Query]:
    """Return the heaviest queries, at least one of each set of tables; the others' calls are added to their like."""
    groups: dict[frozenset[str], list[Query]] = {}
    for query in queries:
        groups.setdefault(_tables(query, names), []).append(query)
    spare = max(0, most - len(groups))
    ranked = [sorted(group, key=_rank) for group in groups.values()]
    further = sorted((query for group in ranked for query in group[1:]), key=_rank)[:spare]
    more = {query.name for query in further}
    chosen = []
    for group in ranked:
        kept = [query for number, query in enumerate(group) if number == 0 or query.name in more]
        chosen += _shared(kept, sum(query.weight for query in group))
    return chosen


def _represented(group: Sequence[Query], most: int) -> list[Query]:
    kept = sorted(group, key=_rank)[:most]
    return _shared(kept, sum(query.weight for query in group)) if len(group) > most else list(group)


def _shared(kept: Sequence[Query], calls: int) -> list[Query]:
    """Return the queries with so many calls in all, in proportion to their own."""
    own = sum(query.weight for query in kept)
    shares = [calls * query.weight // own if own else calls // len(kept) for query in kept]
    shares[0] += calls - sum(shares)
    return [replace(query, calls=share) for query, share in zip(kept, shares, strict=True)]


def _rank(query: Query) -> tuple[float, str]:
    return -_weight(query), query.name


def _weight(query: Query) -> float:
    return query.total_ms if query.total_ms is not None else float(query.weight)


def _shape(query: Query) -> str:
    try:
        return fingerprint(parameterised(query.statement))
    except Unterminated:
        return query.statement


def _tables(query: Query, names: frozenset[str]) -> frozenset[str]:
    try:
        found = (token for token in tokens(query.statement) if token.kind in (Kind.WORD, Kind.QUOTED))
        words = {t.text.lower() if t.kind is Kind.WORD else t.text[1:-1].replace('""', '"') for t in found}
    except Unterminated:
        return frozenset()
    return names & words
