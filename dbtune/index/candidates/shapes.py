"""Which btree indexes serve one access to a table.

The rules are those of the order within an index (manual, 11.3 and 11.4): columns that are fixed to a value first, in
any order among them; then one range, or the order in which rows are wanted. Columns of a join are fixed to a value
once the other side is known, so they stand before or behind the query's own constants. What else the query reads may
be carried along, so that the table itself is not read (11.9).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from dbtune.index.candidates import datatypes
from dbtune.index.candidates.access import Access, Conjunction, Operand, Order, Term, Test
from dbtune.index.candidates.frequency import Frequencies
from dbtune.index.candidates.proposal import Proposal, key, ordered
from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.standing import Standing
from dbtune.index.candidates.value import COVERING, EXPRESSION, PARTIAL, PLAIN, Limits
from dbtune.index.definition import Index, Key
from dbtune.snapshot.value import Table

FEW_ROWS = 10
"""Reading so many rows of the table costs too little for the index to carry what the query reads of them."""

_MOST_OF_PART = 4
_LIMITED_GAIN = 0.9
_ORDERED_GAIN = 0.2
_NARROW = 0.5

Shared = Mapping[tuple[str, str, str], float]
"""How many executions look up (schema, table, operand) by a fixed value."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Keys in order, with what part of the rows they leave to be read, and what for.

    ``repeated``: they are looked up once for each row of another table.
    """

    keys: tuple[Key, ...]
    kept: float
    reason: str
    ordered: bool = False
    limited: bool = False
    repeated: bool = False

    @property
    def gain(self) -> float:
        gain = 1 - self.kept
        if self.limited:
            return max(gain, _LIMITED_GAIN)
        return max(gain, _ORDERED_GAIN) if self.ordered else gain


class Shapes:
    """Proposes btree indexes for accesses to the tables of one database."""

    def __init__(self, schema: Schema, standing: Standing, limits: Limits, shared: Shared) -> None:
        self._schema = schema
        self._standing = standing
        self._limits = limits
        self._shared = shared
        self._frequencies = Frequencies(schema)

    def proposals(self, access: Access, home: Table) -> Iterator[Proposal]:
        """Yield the indexes on ``home`` (the accessed table, or what it is part of) that may serve the access."""
        is_read_whole = True
        for terms, arm in _variants(access):
            for shape in self._shapes(access, home, terms, arm=arm):
                is_read_whole = False
                yield from self._plain(access, home, shape)
            yield from self._partial(access, home, terms)
        if is_read_whole:
            yield from self._scan(access, home)

    # from terms to shapes

    def _shapes(self, access: Access, home: Table, terms: Conjunction, *, arm: bool) -> Iterator[_Shape]:
        fixed = self._distinct_operands(home, [t for t in terms if t.fixes and not t.partners])
        joins = self._joins(home, terms)
        ranges = [t for t in terms if t.test in (Test.RANGE, Test.PREFIX) and self._can_be_key(t.operand)]
        what = " in one arm of OR" if arm else ""
        for term in fixed:
            yield self._shape(home, [term], reason=f"looked up by {term.operand.text}{what}")
        for order in self._orders_of_equals(home, fixed):
            yield self._shape(home, order, reason=f"looked up by {_list(order)}{what}")
        for partner_terms in joins:
            for term in partner_terms:
                yield self._shape(home, [term], reason=f"joined by {term.operand.text}")
            for order in self._orders_of_equals(home, partner_terms):
                yield self._shape(home, order, reason=f"joined by {_list(order)}")
            if fixed:
                best = self._best_order(home, fixed)
                own = [t for t in best if all(t.operand != j.operand for j in partner_terms)]
                for both in ([*partner_terms, *own], [*own, *partner_terms]):
                    yield self._shape(home, both, reason=f"joined by {_list(partner_terms)}, looked up by {_list(own)}")
        for tail in ranges:
            yield from self._range_shapes(home, fixed, joins, tail, what)
        if not arm:
            for wanted in access.orders:
                yield from self._order_shapes(home, fixed, joins, wanted)
            for extreme in access.extremes:
                if self._can_be_key(extreme):
                    before = self._best_order(home, fixed)
                    keys = (*map(_key, before), key(extreme))
                    yield _Shape(keys, self._kept(home, before), f"least or greatest {extreme.text}", True, True)

    def _shape(self, home: Table, terms: Sequence[Term], *, reason: str) -> _Shape:
        repeated = any(term.partners for term in terms)
        return _Shape(tuple(map(_key, terms)), self._kept(home, terms), reason, repeated=repeated)

    def _range_shapes(
        self, home: Table, fixed: Sequence[Term], joins: Sequence[Sequence[Term]], tail: Term, what: str
    ) -> Iterator[_Shape]:
        opclass = self._opclass(home, tail)
        tail_keys = (key(tail.operand, opclass), *(key(each) for each in tail.row if self._can_be_key(each)))
        kept = self._kept(home, [tail])
        verb = "LIKE" if tail.test is Test.PREFIX else "range"
        yield _Shape(tail_keys, kept, f"{verb} of {tail.operand.text}{what}")
        prefixes = [self._best_order(home, fixed), *list(self._orders_of_equals(home, fixed))[:2]]
        prefixes += [list(partner_terms) for partner_terms in joins]
        prefixes += [[*partner_terms, *self._best_order(home, fixed)] for partner_terms in joins if fixed]
        for prefix in prefixes:
            before = [t for t in prefix if t.operand != tail.operand][: max(0, self._limits.max_width - 1)]
            if before:
                keys = (*map(_key, before), *tail_keys)
                reason = f"looked up by {_list(before)}, {verb} of {tail.operand.text}{what}"
                repeated = any(term.partners for term in before)
                yield _Shape(keys, self._kept(home, [*before, tail]), reason, repeated=repeated)

    def _order_shapes(
        self, home: Table, fixed: Sequence[Term], joins: Sequence[Sequence[Term]], order: Order
    ) -> Iterator[_Shape]:
        wanted = []
        for each in order.keys:
            if not self._can_be_key(each.operand):
                break
            wanted.append(each)
        prefixes = [self._best_order(home, fixed), [], *(list(terms) for terms in joins)]
        for prefix in prefixes:
            is_fixed = {term.operand for term in [*prefix, *fixed]}
            rest = tuple(each for each in wanted if each.operand not in is_fixed)
            if not rest:
                continue
            keys = (*map(_key, prefix), *ordered(rest))
            if prefix and len(prefix) >= self._limits.max_width:
                continue
            reason = f"{order.what} {', '.join(each.operand.text for each in rest)}"
            if prefix:
                reason = f"looked up by {_list(prefix)}, {reason}"
            yield _Shape(keys, self._kept(home, prefix), reason, True, order.limited)
            if not prefix and fixed:  # conditions that the index can test while it is read in order
                behind = tuple(_key(t) for t in self._best_order(home, fixed))
                yield _Shape((*keys, *behind), 1.0, f"{reason}, filtered by {_list(fixed)}", True, order.limited)

    def _orders_of_equals(self, home: Table, terms: Sequence[Term]) -> Iterator[list[Term]]:
        """Yield the few orders of fixed columns that are worth having.

        Two are had both ways. Of more, the one that most queries can share leads; then the most selective, for the
        rows it leaves; then the least, for how small the index is and for skip scans.
        """
        if len(terms) <= 2:
            yield from (list(order) for order in permutations(terms) if order)
            return
        seen = []
        for order in (
            self._best_order(home, terms),
            sorted(terms, key=lambda t: (-self._distinct(home, t), t.operand.text)),
            sorted(terms, key=lambda t: (self._distinct(home, t), t.operand.text)),
        ):
            if order not in seen:
                seen.append(order)
                yield order

    def _best_order(self, home: Table, terms: Sequence[Term]) -> list[Term]:
        def rank(term: Term) -> tuple[float, float, str]:
            shared = self._shared.get((home.schema, home.name, term.operand.text), 0.0)
            return -shared, -self._distinct(home, term), term.operand.text

        return sorted(terms, key=rank)

    def _joins(self, home: Table, terms: Conjunction) -> list[list[Term]]:
        """Return the terms of each join, by the other table."""
        partners = sorted({partner for term in terms if term.fixes for partner in term.partners})
        found = [
            self._distinct_operands(home, [t for t in terms if t.fixes and partner in t.partners])
            for partner in partners
        ]
        unique: list[list[Term]] = []
        for each in found:
            if each and [t.operand for t in each] not in [[t.operand for t in other] for other in unique]:
                unique.append(each)
        return unique

    def _distinct_operands(self, home: Table, terms: Iterable[Term]) -> list[Term]:
        """Return a term for each operand that can be a key, none twice."""
        found: dict[Operand, Term] = {}
        for term in terms:
            if self._can_be_key(term.operand):
                found.setdefault(term.operand, term)
        return list(found.values())

    # from shapes to indexes

    def _plain(self, access: Access, home: Table, shape: _Shape) -> Iterator[Proposal]:
        keys = _without_repeats(shape.keys)
        full = keys[: self._limits.max_width]
        for width in range(len(full), 0, -1):
            gain = shape.gain if width == len(full) else shape.gain * (0.9 if width > 1 else 0.8)
            if shape.limited and width < len(full):
                gain *= 0.5
            reason = shape.reason if width == len(keys) else f"beginning of: {shape.reason}"
            yield self._proposal(home, full[:width], reason, gain)
        if not shape.repeated and shape.kept * self._schema.rows(home) < FEW_ROWS:
            return
        yield from self._covering(access, home, shape, full)
        if len(full) > 1:
            yield from self._covering(access, home, shape, full[:1])

    def _covering(
        self,
        access: Access,
        home: Table,
        shape: _Shape,
        keys: tuple[Key, ...],
        *,
        predicate: str | None = None,
        without: frozenset[str] = frozenset(),
    ) -> Iterator[Proposal]:
        """Yield the index with the rest of what the query reads, behind INCLUDE and as further keys."""
        rest = self._rest(access, home, keys, without)
        if rest is None:
            return
        limits = self._limits
        width = sum(self._schema.width(home, name) for name in (*rest, *_columns(keys)))
        if len(rest) > limits.include_columns or width > limits.include_bytes:
            return
        narrower = 1 - min(1.0, width / max(1, self._schema.row_width(home)))
        gain = shape.gain + (1 - shape.gain) * _NARROW * narrower
        reason = f"{shape.reason}, and reads no more than {', '.join(rest)}" if rest else f"{shape.reason}, and no more"
        if not rest:
            yield replace(self._proposal(home, keys, reason, gain, predicate=predicate), covers=True)
            return
        yield replace(self._proposal(home, keys, reason, gain, include=rest, predicate=predicate), covers=True)
        as_keys = [Operand(name, (name,), True, self._type(home, name)) for name in rest]
        if len(keys) + len(rest) <= limits.max_width and all(map(self._can_be_key, as_keys)):
            wide = (*keys, *(key(each) for each in as_keys))
            yield replace(self._proposal(home, wide, reason, gain, predicate=predicate, kind=COVERING), covers=True)

    def _rest(
        self, access: Access, home: Table, keys: Sequence[Key], without: frozenset[str] = frozenset()
    ) -> tuple[str, ...] | None:
        """Return what the query reads beside the keys, in the table's order; None where the table is read anyway."""
        if access.changed or access.needed is None:
            return None
        there = {k.text for k in keys if k.is_column} | without
        return tuple(c.name for c in home.columns if c.name in access.needed and c.name not in there)

    def _scan(self, access: Access, home: Table) -> Iterator[Proposal]:
        """Yield an index that is read as a whole in place of a much wider table."""
        needed = self._rest(access, home, ())
        if not needed:
            return
        width = sum(self._schema.width(home, name) for name in needed)
        row = max(1, self._schema.row_width(home))
        usable = [name for name in needed if datatypes.can_be_key(self._type(home, name))]
        if not usable or width > _NARROW * row:
            return
        shape = _Shape((Key(usable[0]),), 1.0, "reads few of the table's columns")
        yield from self._covering(access, home, shape, shape.keys)

    def _partial(self, access: Access, home: Table, terms: Conjunction) -> Iterator[Proposal]:
        """Yield indexes of those rows alone that a condition keeps which is the same in every call.

        A parameter never makes one: a generic plan does not know its value, so it cannot use the index.
        """
        suitable = [term for term in terms if self._makes_a_part(home, term)]
        choices = [[term] for term in suitable] + ([suitable] if len(suitable) > 1 else [])
        for chosen in choices:
            predicates = list(dict.fromkeys(t.predicate for t in chosen if t.predicate is not None))
            predicate = " AND ".join(predicates)
            part = self._kept(home, chosen)
            others = tuple(t for t in terms if t not in chosen)
            where = f"of the rows WHERE {predicate} ({part:.2g} of all)"
            for shape in self._shapes_of_part(access, home, others, chosen):
                keys = _without_repeats(shape.keys)[: self._limits.max_width]
                whole = replace(shape, kept=shape.kept * part, reason=f"{shape.reason}, {where}")
                yield self._proposal(home, keys, whole.reason, whole.gain, predicate=predicate)
                if not whole.repeated and whole.kept * self._schema.rows(home) < FEW_ROWS:
                    continue
                held = frozenset(name for t in chosen for name in t.operand.columns)
                yield from self._covering(access, home, whole, keys, predicate=predicate, without=held)

    def _shapes_of_part(
        self, access: Access, home: Table, others: Conjunction, chosen: Sequence[Term]
    ) -> Iterator[_Shape]:
        found = list(self._shapes(access, home, others, arm=False))
        if found:
            longest = sorted(found, key=lambda s: (-s.gain, len(s.keys), [k.sql for k in s.keys]))
            yield from longest[:_MOST_OF_PART]
            return
        primary = self._standing.primary_key(home)
        own = [t.operand for t in chosen if self._can_be_key(t.operand)]
        keys = tuple(Key(name) for name in primary) or tuple(key(each) for each in own[:1])
        if keys:
            yield _Shape(keys, 1.0, "looked up")

    def _makes_a_part(self, home: Table, term: Term) -> bool:
        return term.predicate is not None and self._frequencies.makes_a_part(home, term)

    def _proposal(
        self,
        home: Table,
        keys: Sequence[Key],
        reason: str,
        gain: float,
        *,
        include: tuple[str, ...] = (),
        predicate: str | None = None,
        kind: str | None = None,
    ) -> Proposal:
        index = Index(schema=home.schema, table=home.name, keys=tuple(keys), include=include, predicate=predicate)
        if kind is None:
            kind = PLAIN
            if predicate is not None:
                kind = PARTIAL
            elif include:
                kind = COVERING
            elif any(not each.is_column for each in keys):
                kind = EXPRESSION
        return Proposal(index=index, reason=reason, kind=kind, gain=gain)

    # what is known of columns

    def _kept(self, home: Table, terms: Sequence[Term]) -> float:
        kept = 1.0
        for term in terms:
            kept *= self._frequencies.kept(home, term)
        return kept

    def _distinct(self, home: Table, term: Term) -> float:
        return self._frequencies.distinct(home, term.operand)

    def _type(self, home: Table, name: str) -> str:
        column = self._schema.column(home, name)
        return "" if column is None else self._schema.type_of(column)

    def _can_be_key(self, operand: Operand) -> bool:
        return datatypes.can_be_key(operand.type)

    def _opclass(self, home: Table, term: Term) -> str | None:
        """Return the operator class that LIKE needs where the collation does not sort by bytes."""
        if term.test is not Test.PREFIX:
            return None
        collation = term.operand.collation
        if collation is None and term.operand.is_column:
            column = self._schema.column(home, term.operand.text)
            collation = None if column is None else column.collation
        return None if self._schema.sorts_by_bytes(collation) else datatypes.pattern_opclass(term.operand.type)


def _variants(access: Access) -> Iterator[tuple[Conjunction, bool]]:
    """Yield the access's conditions; then, for each arm of an OR, that arm's with the others and alone."""
    own = tuple(access.terms)
    yield own, False
    for arms in access.alternatives:
        for arm in arms:
            yield arm, True
            if own:
                yield (*arm, *own), True


def _key(term: Term) -> Key:
    return key(term.operand)


def _without_repeats(keys: Iterable[Key]) -> tuple[Key, ...]:
    found: dict[tuple[str, str | None], Key] = {}
    for each in keys:
        found.setdefault((each.text, each.opclass), each)
    return tuple(found.values())


def _columns(keys: Iterable[Key]) -> list[str]:
    return [each.text for each in keys if each.is_column]


def _list(terms: Sequence[Term]) -> str:
    return ", ".join(term.operand.text for term in terms)
