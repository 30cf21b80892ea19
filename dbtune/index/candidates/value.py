"""What is found: indexes worth asking the planner about, with the queries that each is for and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbtune.index.definition import Index

PLAIN, COVERING, PARTIAL, EXPRESSION = "plain", "covering", "partial", "expression"
GIN, GIST, HASH, BRIN = "gin", "gist", "hash", "brin"
FOREIGN_KEY, MERGED = "foreign key", "merged"

KINDS = (PLAIN, COVERING, PARTIAL, EXPRESSION, GIN, GIST, HASH, BRIN, FOREIGN_KEY, MERGED)
"""What :attr:`Candidate.kind` can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the search goes. Widths are in keys, or in bytes as pg_stats gives them for an average value.

    ``per_query`` and ``per_table`` bound the candidates of one query and of one table, ``merges_per_table`` those that
    merging adds. Tables of up to ``small_table_pages`` pages get none.
    """

    max_width: int = 3
    per_query: int = 60
    per_table: int = 200
    merges_per_table: int = 16
    small_table_pages: int = 8
    include_columns: int = 8
    include_bytes: int = 200
    key_bytes: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An index that may help ``queries`` (their names). ``reasons`` say how it was thought of, ``kind`` is of KINDS.

    A foreign key's may have no query: it serves the check that the server makes when a referenced row goes.
    ``needs_extension`` is the extension to be created first; None where nothing is missing.
    """

    index: Index
    queries: frozenset[str]
    reasons: tuple[str, ...]
    kind: str
    needs_extension: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """All of them, in order of table and definition.

    ``unreadable`` gives the reason for each query of which neither text nor plan could be used, ``notes`` what else is
    worth saying of a query, such as a condition that no index serves. ``cut`` counts what the limits left out.
    """

    candidates: tuple[Candidate, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cut: int = 0

    def of(self, query: str) -> tuple[Candidate, ...]:
        """Return those for the query of that name."""
        return tuple(each for each in self.candidates if query in each.queries)
