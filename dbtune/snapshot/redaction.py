"""A snapshot without the values of rows: left out, or replaced as those of captured queries are.

docs/snapshot.md says what each costs in accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from dbtune.snapshot.arrays import parsed, printed
from dbtune.snapshot.value import Column, Constraint, ExistingIndex, ExtendedStatistics, Snapshot, Statistics, Table
from dbtune.workload import redaction as values  # one place says what a hash makes of a value
from dbtune.workload.redaction import Redaction

_DOMAIN = re.compile(
    r"CREATE DOMAIN (?P<name>.+?) AS (?P<type>.+?)(?: COLLATE .*| DEFAULT .*| NOT NULL.*| CONSTRAINT .*)?\Z", re.DOTALL
)
_ENUM = re.compile(r"CREATE TYPE (?P<name>.+?) AS ENUM ")
_LENGTH = re.compile(r"\([^)]*\)")


def redacted(snapshot: Snapshot, mode: Redaction, key: bytes = b"") -> Snapshot:
    """Return the snapshot without the values that rows hold; names, definitions, sizes and frequencies stay.

    With ``types`` no value of statistics is left. With ``hash`` a value becomes what :mod:`dbtune.workload.redaction`
    makes of it under the same ``key``, so that statements redacted alike still find it among the most common ones:
    a text, UUID or bytea a hash, a number its first digit and size, a date its month; enums and booleans stay. The
    order of hashed values tells nothing, so their histograms go; numbers and months keep theirs. Values of other types,
    of expressions, and the common combinations of extended statistics go in both.

    Defaults go too, and CHECK constraints that no planner looks at, because no plan needs them. Constants in partition
    bounds, indexes, views, functions and types are the schema's and stay.
    """
    if mode is Redaction.KEEP:
        return snapshot
    change = _Change(*_own_types(snapshot), key) if mode is Redaction.HASH else None
    every_check = snapshot.settings.get("constraint_exclusion") == "on"
    return replace(
        snapshot,
        tables=tuple(_table(table, change, every_check=every_check) for table in snapshot.tables),
        redacted=mode.value,
    )


def _own_types(snapshot: Snapshot) -> tuple[dict[str, str], frozenset[str]]:
    """Return the base type of each domain, and the enums, by the names that columns have."""
    types = [each.definition for each in snapshot.objects if each.kind == "type"]
    domains = {match["name"]: match["type"] for each in types if (match := _DOMAIN.match(each))}
    return domains, frozenset(match["name"] for each in types if (match := _ENUM.match(each)))


def _table(table: Table, change: _Change | None, *, every_check: bool) -> Table:
    return replace(
        table,
        columns=tuple(_column(column, change) for column in table.columns),
        constraints=tuple(each for each in table.constraints if every_check or _is_needed(each, table)),
        indexes=tuple(_index(index) for index in table.indexes),
        statistics=tuple(_extended(each) for each in table.statistics),
    )


def _is_needed(constraint: Constraint, table: Table) -> bool:
    """Return whether plans depend on it: of checks those that tell which child tables can be left out."""
    return constraint.kind != "c" or bool(table.inherits)


def _column(column: Column, change: _Change | None) -> Column:
    def changed(statistics: Statistics | None) -> Statistics | None:
        if statistics is None:
            return None
        return _valueless(statistics) if change is None else change.statistics(statistics, column.type)

    return replace(
        column,
        default=column.default if column.generated else None,
        statistics=changed(column.statistics),
        inherited=changed(column.inherited),
    )


def _index(index: ExistingIndex) -> ExistingIndex:
    return replace(index, statistics={at: _valueless(each) for at, each in index.statistics.items()})


def _extended(extended: ExtendedStatistics) -> ExtendedStatistics:
    return replace(
        extended,
        mcv=None,
        expressions=tuple(each and _valueless(each) for each in extended.expressions),
        inherited=extended.inherited and _extended(extended.inherited),
    )


def _valueless(statistics: Statistics) -> Statistics:
    """Return them with how often, how wide, how many and how ordered values are, and not which."""
    return replace(
        statistics,
        most_common_vals=None,
        histogram_bounds=None,
        most_common_elems=None,
        range_length_histogram=None,
        range_bounds_histogram=None,
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """Replaces values by others of their type."""

    domains: dict[str, str]
    enums: frozenset[str]
    key: bytes = field(repr=False)

    def statistics(self, statistics: Statistics, type_: str) -> Statistics:
        """Return the statistics with values of the type replaced, or without them where nothing can replace them."""
        type_ = self._base(type_)
        bare = _valueless(statistics)
        if type_ == "tsvector" or type_.endswith("[]"):
            element = "text" if type_ == "tsvector" else self._base(type_.removesuffix("[]"))
            return self._elements(bare, statistics, element, longest_last=type_ == "tsvector")
        if type_ in self.enums:
            return replace(
                bare, most_common_vals=statistics.most_common_vals, histogram_bounds=statistics.histogram_bounds
            )
        changed = self._change(type_)
        if changed is None:
            return bare
        if statistics.most_common_vals is not None:
            common = _merged(map(changed, _texts(statistics.most_common_vals)), statistics.most_common_freqs)
            common.sort(key=lambda pair: -pair[1])
            bare = replace(
                bare,
                most_common_vals=printed(value for value, _ in common),
                most_common_freqs=tuple(share for _, share in common),
            )
        if statistics.histogram_bounds is not None and _keeps_order(type_):
            bounds = [changed(value) for value in _texts(statistics.histogram_bounds)]
            if _is_sorted(bounds):
                bare = replace(bare, histogram_bounds=printed(bounds))
        return bare

    def _elements(self, bare: Statistics, old: Statistics, type_: str, *, longest_last: bool) -> Statistics:
        """Return them with elements replaced, in the order in which the planner looks for them.

        After the elements' frequencies stand the lowest, the highest, and for arrays that of NULL.
        """
        if old.most_common_elems is None:
            return bare
        if type_ in self.enums:
            return replace(bare, most_common_elems=old.most_common_elems)
        changed = self._change(type_)
        if changed is None:
            return bare
        elements = _texts(old.most_common_elems)
        pairs = _merged(map(changed, elements), old.most_common_elem_freqs[: len(elements)])
        if _keeps_order(type_):
            if not _is_sorted([value for value, _ in pairs]):
                return bare
        else:
            pairs.sort(key=lambda pair: (len(pair[0]) if longest_last else 0, pair[0]))
        shares = [share for _, share in pairs]
        extremes = [min(shares), max(shares)] if pairs else []
        return replace(
            bare,
            most_common_elems=printed(value for value, _ in pairs),
            most_common_elem_freqs=(*shares, *extremes, *old.most_common_elem_freqs[len(elements) + 2 :]),
        )

    def _base(self, type_: str) -> str:
        for _ in range(8):
            if type_ not in self.domains:
                break
            type_ = self.domains[type_]
        return _LENGTH.sub("", type_)

    def _change(self, type_: str) -> Callable[[str], str] | None:
        found = values.replacement("citext" if type_.endswith(".citext") else type_)
        if found is None:
            return None
        padded = type_ in ("character", "bpchar")  # its padding is not part of what statements say
        return lambda value: found(value.rstrip(" ") if padded else value, self.key)


def _keeps_order(type_: str) -> bool:
    """Return whether what replaces values of the type is in their order."""
    return values.replacement(type_) in (values.number, values.month) or type_ == "boolean"


def _is_sorted(replaced: Sequence[str]) -> bool:
    """Return whether they are in order still: infinities, years of five digits and the like are not."""
    try:
        numbers = [float(value) for value in replaced]
    except ValueError:
        return list(replaced) == sorted(replaced)
    return numbers == sorted(numbers)


def _texts(array: str) -> list[str]:
    return [value for value in parsed(array) if value is not None]


def _merged(replaced: Iterable[str], shares: Sequence[float]) -> list[tuple[str, float]]:
    """Return each replacement once, with the sum of its shares, which is at most 1."""
    found: dict[str, float] = {}
    for value, share in zip(replaced, shares, strict=False):
        found[value] = min(1.0, found[value] + share) if value in found else share
    return list(found.items())
