"""Which indexes another one makes superfluous: equal ones, and beginnings of longer ones."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.health.case import Case
from dbtune.health.values.index import Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Redundant:
    """``index`` can go, because ``keeper`` does all that it does; ``is_duplicate`` if they are equal."""

    index: Index
    keeper: Index
    is_duplicate: bool


def redundant(case: Case) -> list[Redundant]:
    """Return what can go: each of them alone, and all of them together.

    A part of a partitioned index is never let go for itself, and what serves a constraint only for another constraint.
    """
    sums = {index.oid: index for index in case.indexes}
    found: dict[int, Redundant] = {}
    for own in case.indexes_by_table.values():
        for index in sorted(own, key=_worth):
            if index.parent_oid is not None:
                continue
            keepers = [other for other in own if other.oid not in found and _replaces(other, index)]
            if keepers:
                best = min(keepers, key=lambda other: (len(other.columns), tuple(-v for v in _worth(other))))
                found[index.oid] = Redundant(
                    index=sums[index.oid], keeper=sums.get(best.oid, best), is_duplicate=_is_equal(index, best)
                )
    return [each if each.is_duplicate else _resting_on_last(each, found) for each in found.values()]


def _resting_on_last(each: Redundant, found: dict[int, Redundant]) -> Redundant:
    """A longer index may go for a still longer one itself: then that one is the keeper."""
    while (further := found.get(each.keeper.oid)) is not None:
        each = Redundant(index=each.index, keeper=further.keeper, is_duplicate=False)
    return each


def _worth(index: Index) -> tuple[int, ...]:
    """Return what speaks for keeping an index rather than its like: the least worth is let go first."""
    return (
        len(index.columns),
        index.is_primary,
        index.referenced,
        index.constraint_name is not None,
        index.is_replica_identity,
        index.is_unique,
        index.is_clustered,
        index.parent_oid is not None,
        index.idx_scan,
        -index.oid,
    )


def _replaces(keeper: Index, index: Index) -> bool:
    return keeper.oid != index.oid and _covers(keeper, index) and _takes_duties(keeper, index)


def _covers(keeper: Index, index: Index) -> bool:
    """Return whether every scan of ``index`` could be one of ``keeper``."""
    count = index.n_keys
    if keeper.method != index.method or keeper.predicate != index.predicate:
        return False
    if keeper.n_keys != count and (index.method != "btree" or keeper.n_keys < count):
        return False
    return (
        keeper.keys[:count] == index.keys
        and keeper.opclasses[:count] == index.opclasses
        and keeper.collations[:count] == index.collations
        and keeper.options[:count] == index.options
        and _begins_with(keeper.expressions, index.expressions)
        and index.included <= {column for column in keeper.columns if column}
    )


def _begins_with(longer: str | None, expressions: str | None) -> bool:
    """Return whether a list of expressions, as the parser prints it in brackets, begins with all of another."""
    if expressions is None or longer == expressions:
        return True
    return longer is not None and longer.startswith(f"{expressions[:-1]} ")


def _takes_duties(keeper: Index, index: Index) -> bool:
    """Return whether ``keeper`` guarantees all that ``index`` does."""
    if index.duty is None:
        return True
    if index.is_primary or index.is_exclusion or index.referenced or index.is_replica_identity or index.of_extension:
        return False
    return (
        keeper.is_unique
        and keeper.n_keys == index.n_keys
        and keeper.nulls_not_distinct == index.nulls_not_distinct
        and keeper.is_immediate == index.is_immediate
        and (index.constraint_name is None or keeper.constraint_name is not None)
    )


def _is_equal(index: Index, keeper: Index) -> bool:
    return index.n_keys == keeper.n_keys and index.included == keeper.included
