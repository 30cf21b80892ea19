"""Which indexes of other methods than btree serve one access: GIN, GiST, hash and BRIN."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from dbtune.index.candidates import datatypes
from dbtune.index.candidates.access import Access, Conjunction, Term, Test
from dbtune.index.candidates.frequency import Frequencies
from dbtune.index.candidates.proposal import Proposal, key
from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.value import BRIN, GIN, GIST, HASH
from dbtune.index.definition import Index, Key, quoted
from dbtune.snapshot.value import Table

BRIN_PAGES = 10_000
BRIN_CORRELATION = 0.9
"""A BRIN index is proposed for tables of more pages, on columns whose order is closer to that of the rows."""

HASH_WIDTH = 32
HASH_DISTINCT = 0.2
"""A hash index is proposed for values of at least so many bytes of which at least this part are distinct: its entries
hold 4 bytes of each, but it keeps no duplicates together as a btree does."""

_HASHED = frozenset({"text", "character varying", "uuid", "bytea", "citext", "character"})
_GIN_OF_JSONB_PATHS = frozenset({"@>", "@?", "@@"})
_GIN_OF_JSONB_KEYS = frozenset({"?", "?|", "?&"})
_GIN_OF_ARRAYS = frozenset({"@>", "<@", "&&"})
_TRIGRAMS = "pg_trgm"
_GAIN = 0.95


class Methods:
    """Proposes indexes other than btree for accesses to the tables of one database.

    ``ordered`` are the (schema, table, operand) that some query reads by range or in order: hash serves none of that.
    """

    def __init__(self, schema: Schema, ordered: Collection[tuple[str, str, str]]) -> None:
        self._schema = schema
        self._ordered = ordered
        self._frequencies = Frequencies(schema)

    def proposals(self, access: Access, home: Table) -> Iterator[Proposal]:
        """Yield the indexes on ``home`` that may serve the access."""
        yield from self._inverted(home, tuple(access.terms))
        for arms in access.alternatives:
            keys = []
            for arm in arms:
                yield from self._inverted(home, arm)
                keys += self._gin_keys(arm)
            if len({k for k, _ in keys}) > 1:
                yield self._gin(home, keys, "the arms of OR, by one index")
        for term in access.terms:
            yield from self._hash(home, term)
            yield from self._brin(home, term)

    def _inverted(self, home: Table, terms: Conjunction) -> Iterator[Proposal]:
        for term in terms:
            keys = self._gin_keys([term])
            if keys:
                yield self._gin(home, keys, f"{term.operand.text} {term.operator}")
            if term.test is Test.MEMBER and datatypes.is_range(term.operand.type):
                index = Index(schema=home.schema, table=home.name, keys=(key(term.operand),), method="gist")
                reason = f"{term.operand.text} {term.operator}"
                yield Proposal(index=index, reason=reason, kind=GIST, gain=_GAIN)
        several = self._gin_keys(terms)
        if len({k for k, _ in several}) > 1:
            yield self._gin(home, several, f"{' and '.join(k.text for k, _ in several)} by one index")

    def _gin_keys(self, terms: Sequence[Term]) -> list[tuple[Key, str | None]]:
        """Return a GIN key for each term that one serves, with the extension that its operator class is of."""
        found: list[tuple[Key, str | None]] = []
        for term in terms:
            operand = term.operand
            if term.partners:
                continue
            if term.test is Test.PATTERN and datatypes.is_text(operand.type):
                found.append((key(operand, self._trigram_class()), _TRIGRAMS))
            elif term.test is Test.MEMBER and datatypes.is_jsonb(operand.type):
                if term.operator in _GIN_OF_JSONB_PATHS:
                    found.append((key(operand, "jsonb_path_ops"), None))
                elif term.operator in _GIN_OF_JSONB_KEYS:
                    found.append((key(operand), None))
            elif term.test is Test.MEMBER and (
                (datatypes.is_array(operand.type) and term.operator in _GIN_OF_ARRAYS)
                or (datatypes.is_tsvector(operand.type) and term.operator == "@@")
                or (operand.type.endswith("hstore") and term.operator in _GIN_OF_JSONB_KEYS | {"@>"})
            ):
                found.append((key(operand), None))
        return list(dict.fromkeys(found))

    def _gin(self, home: Table, keys: Sequence[tuple[Key, str | None]], reason: str) -> Proposal:
        needs = next((extension for _, extension in keys if extension is not None), None)
        if needs is not None and self._schema.extension(needs) is not None:
            needs = None
        index = Index(schema=home.schema, table=home.name, keys=tuple(dict.fromkeys(k for k, _ in keys)), method="gin")
        return Proposal(index=index, reason=reason, kind=GIN, gain=_GAIN, needs_extension=needs)

    def _trigram_class(self) -> str:
        """Return the operator class, with its schema where the search path does not reach it."""
        place = self._schema.extension(_TRIGRAMS)
        if place is None or place in self._schema.path or place == "pg_catalog":
            return "gin_trgm_ops"
        return f"{quoted(place)}.gin_trgm_ops"

    def _hash(self, home: Table, term: Term) -> Iterator[Proposal]:
        operand = term.operand
        if term.test is not Test.EQUAL or operand.type not in _HASHED or not operand.is_column:
            return
        if (home.schema, home.name, operand.text) in self._ordered or home.kind == "p":
            return
        distinct = self._frequencies.distinct(home, operand) / max(1.0, self._schema.rows(home))
        if self._schema.width(home, operand.text) >= HASH_WIDTH and distinct >= HASH_DISTINCT:
            index = Index(schema=home.schema, table=home.name, keys=(key(operand),), method="hash")
            gain = (1 - self._frequencies.kept(home, term)) * _GAIN
            yield Proposal(index=index, reason=f"equality alone of {operand.text}", kind=HASH, gain=gain)

    def _brin(self, home: Table, term: Term) -> Iterator[Proposal]:
        if term.test not in (Test.RANGE, Test.EQUAL) or not term.operand.is_column or term.partners:
            return
        statistics = self._schema.statistics(home, term.operand.text)
        correlation = statistics.correlation if statistics is not None else None
        if correlation is None or abs(correlation) <= BRIN_CORRELATION or self._schema.pages(home) <= BRIN_PAGES:
            return
        if not datatypes.can_be_key(term.operand.type) or term.operand.type == "boolean":
            return
        index = Index(schema=home.schema, table=home.name, keys=(key(term.operand),), method="brin")
        reason = f"{term.operand.text} goes with the order of the rows (correlation {correlation:.2f})"
        yield Proposal(index=index, reason=reason, kind=BRIN, gain=(1 - self._frequencies.kept(home, term)) * _GAIN)
