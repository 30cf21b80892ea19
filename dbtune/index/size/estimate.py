"""The size of an index on a table, from the table's statistics in a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbtune.index.definition import Index, Key
from dbtune.index.size import brin, btree, combine, gin, gist, hashed, storage
from dbtune.index.size import rows as counted
from dbtune.index.size.combine import Combination
from dbtune.index.size.expression import derive
from dbtune.index.size.predicate import Condition, Either, Negated, Opaque, Test, conditions
from dbtune.index.size.setting import Setting
from dbtune.index.size.spread import Spread, of, passing
from dbtune.index.size.value import Size
from dbtune.snapshot.value import Column, ExistingIndex, Snapshot, Statistics, Table

_READ = 30_000
_COUNTED = ((4, 0.35), (20, 0.15))
"""Rows that ANALYZE reads with the usual target; the error where it has to guess how many values the others have, by
rows of a value: where most values come once and some very often, they may be far more than it thinks."""

_OF_ANOTHER = 0.2
"""The error where a predicate asks for a column that is no key: it may go with the keys' values or against them."""


def estimate(index: Index, table: Table, snapshot: Snapshot) -> Size:
    """Return the size that ``index`` would have on ``table`` right after CREATE INDEX.

    The index on a partitioned table is the sum of those on its partitions, its level the highest of theirs.
    """
    leaves = counted.leaves_of(table, snapshot)
    if table.kind == "p":
        sizes = [_of_one(index, leaf, snapshot, above=table) for leaf in leaves]
        pages = sum(size.pages for size in sizes)
        return Size(
            pages=pages,
            level=max((size.level for size in sizes), default=0),
            tuples=sum(size.tuples for size in sizes),
            method=f"{index.method}, {len(sizes)} partitions",
            error=sum(size.error * size.pages for size in sizes) / pages if pages else 0.0,
        )
    return _of_one(index, table, snapshot)


def level_of(existing: ExistingIndex, table: Table) -> int:
    """Return the level of an existing btree's root from the pages of its file; 0 for other methods."""
    if existing.method != "btree" or existing.pages <= 2:
        return 0
    parts, null_parts = [], []
    for number, (key, name) in enumerate(zip(existing.keys, existing.key_columns, strict=False), start=1):
        column = table.column(name) if name is not None else None
        statistics = existing.statistics.get(number) if column is None else column.statistics or column.inherited
        if column is None:
            column = Column(name=key, number=0, type="text", length=-1, align="i", storage="x")
        rows = max(1.0, table.reltuples)
        spread = of(column, statistics, rows, column.type)
        parts.append(btree.Part(column, spread.widths))
        null_parts.append(sum(g.part for g in spread.groups if g.is_null))
    sizes: dict[int, float] = {}
    for nulls, part in btree.patterns(null_parts):
        for size, weight in btree.sizes(parts, nulls).items():
            sizes[size] = sizes.get(size, 0.0) + part * weight
    children = btree.fan_out(sizes)
    leaves = existing.pages - 1
    while 1 + leaves + sum(btree.levels(leaves, children)) > existing.pages and leaves > 1:
        leaves -= max(1, 1 + leaves + sum(btree.levels(leaves, children)) - existing.pages)
    return len(btree.levels(max(1, leaves), children))


def _of_one(index: Index, table: Table, snapshot: Snapshot, above: Table | None = None) -> Size:
    setting = _setting(index, table, snapshot, above)
    known = {"btree": _btree, "gin": gin.size, "brin": brin.size, "hash": hashed.size, "gist": gist.size}
    method = known.get(index.method)
    if method is None:  # SP-GiST and those of extensions: leaf tuples as GiST's
        return replace(gist.size(setting), method=f"{index.method}, as GiST", error=1.0)
    return method(setting)


def _setting(index: Index, table: Table, snapshot: Snapshot, above: Table | None) -> Setting:
    rows = counted.of(table, snapshot)
    setting = Setting(table, snapshot, index, rows)

    def statistics_of(column: Column) -> Statistics | None:
        own = column.statistics or column.inherited
        if own is None and above is not None:
            parent = above.column(column.name)
            own = (parent.inherited or parent.statistics) if parent is not None else None
            if own is not None and own.n_distinct > rows:
                own = replace(own, n_distinct=max(1.0, rows))
        return own

    for key in index.keys:
        column, statistics = _key(setting, key, statistics_of)
        type_ = storage.base_type(column.type, snapshot)
        setting.columns.append(column)
        setting.statistics.append(statistics)
        setting.names.append(key.text if key.is_column else None)
        setting.whole.append(of(column, statistics, rows, type_))
        if statistics is None:
            setting.doubts.append(1.0)
    _restrict(setting, statistics_of)
    return setting


def _key(setting: Setting, key: Key, statistics_of: object) -> tuple[Column, Statistics | None]:
    assert callable(statistics_of)
    if key.is_column:
        column = setting.table.column(key.text)
        if column is not None:
            return column, statistics_of(column)
        unknown = Column(name=key.text, number=0, type="text", length=-1, align="i", storage="x")
        return unknown, None
    derived = derive(key.text, setting.table, setting.snapshot, statistics_of)
    if not derived.known and derived.statistics is not None:
        setting.doubts.append(0.7)  # from all rows differing to few values is a factor of three
    return derived.column, derived.statistics


def _restrict(setting: Setting, statistics_of: object) -> None:
    """Narrow the spreads of keys and INCLUDE columns to the rows of the predicate."""
    assert callable(statistics_of)
    index, snapshot = setting.index, setting.snapshot
    wanted = conditions(index.predicate) if index.predicate is not None else ()
    tested = _tested(wanted)
    held = dict(zip(setting.names, setting.whole, strict=True))
    columns: dict[str, Spread] = {}
    for name in [*tested, *index.include]:
        column = setting.table.column(name)
        if name not in held and column is not None:
            spread = of(column, statistics_of(column), setting.rows, storage.base_type(column.type, snapshot))
            columns[name] = spread
            if not spread.known:
                setting.doubts.append(1.0 if name in tested else 0.5)
    columns |= {name: spread for name, spread in held.items() if name is not None}
    before = dict(columns)
    setting.part = passing(wanted, columns)
    for name, spread in columns.items():
        if name not in held:
            setting.part *= spread.part / before[name].part if before[name].part > 0 else 0.0
    if any(name not in held for name in tested):
        setting.doubts.append(_OF_ANOTHER)
    if any(isinstance(each, Opaque) for each in wanted):
        setting.doubts.append(2.0)
    if any(isinstance(each, Test) and each.kind == "other" for each in wanted):
        setting.doubts.append(2.0)
    setting.spreads = [
        columns[name] if name is not None else spread for name, spread in zip(setting.names, setting.whole, strict=True)
    ]
    for name in index.include:
        column = setting.table.column(name)
        if column is not None:
            spread = columns[name]
            nulls = sum(group.part for group in spread.groups if group.is_null)
            setting.include.append(btree.Part(column, spread.widths))
            setting.include_nulls.append(nulls / spread.part if spread.part > 0 else 0.0)


def _tested(wanted: Sequence[Condition]) -> list[str]:
    found: list[str] = []
    for each in wanted:
        if isinstance(each, Test):
            found.append(each.column)
        elif isinstance(each, Negated):
            found += _tested(each.conditions)
        elif isinstance(each, Either):
            for branch in each.branches:
                found += _tested(branch)
    return list(dict.fromkeys(found))


def _btree(setting: Setting) -> Size:
    index, held = setting.index, setting.held
    known = combine.known(setting.names, setting.whole, setting.table, setting.snapshot)
    deduplicate = (
        not index.unique
        and not index.include
        and all(
            storage.deduplicates(column, key.collation, setting.snapshot)
            for column, key in zip(setting.columns, index.keys, strict=True)
        )
    )
    factors = combine.factors(setting.names, setting.whole, known, setting.rows)
    built = _built(setting, factors, deduplicate)
    error = 0.1
    if deduplicate and len(index.keys) > 1 and not known[-1].sure and built.pages > 2:
        error = max(error, _if_dependent(setting, factors, built.pages))
    if deduplicate and setting.rows > _READ:
        error = max(error, _if_miscounted(setting, known[-1]))
    error = max([error, *setting.doubts])
    method = "btree, deduplicated" if deduplicate else "btree"
    return Size(built.pages, built.level, held, method, error)


def _if_miscounted(setting: Setting, known: combine.Known) -> float:
    """Return the error where ANALYZE took the number of values from a sample: larger, the fewer rows each has."""
    distinct = max(spread.distinct() for spread in setting.whole)
    if known.distinct is not None or distinct >= 0.999 * setting.rows:
        return 0.0
    rows = setting.rows / max(1.0, distinct)
    return next((error for most, error in _COUNTED if rows < most), 0.0)


def _if_dependent(setting: Setting, factors: Sequence[float], pages: int) -> float:
    """Return by how much the index would be smaller if its columns had no more combinations than one of them."""
    step = combine.combinations(setting.whole, setting.rows, factors)[-1]
    fewest = max(spread.distinct() for spread in setting.whole)
    least = [*factors[:-1], factors[-1] * combine.fitted(step, fewest, setting.rows)]
    # the truth lies somewhere between, mostly near independence: half of the distance
    return (1 - _built(setting, least, True).pages / pages) / 2


def _built(setting: Setting, factors: Sequence[float], deduplicate: bool) -> btree.Built:
    parts = [btree.Part(column, s.widths) for column, s in zip(setting.columns, setting.spreads, strict=True)]
    rows = setting.rows * setting.part
    steps = combine.combinations(setting.spreads, rows, factors)
    distinct = [combine.occurring(step, rows) for step in steps]
    null_parts = [_null_part(spread) for spread in setting.spreads]
    groups = _groups(setting, parts, steps[-1], rows, factors)
    items = btree.leaf_items(groups, deduplicate)[2]
    return btree.build(groups, btree.pivots(parts, null_parts, distinct, items), deduplicate)


def _null_part(spread: Spread) -> float:
    return sum(g.part for g in spread.groups if g.is_null) / spread.part if spread.part > 0 else 0.0


def _groups(
    setting: Setting,
    parts: Sequence[btree.Part],
    combinations: Sequence[Combination],
    rows: float,
    factors: Sequence[float],
) -> list[btree.Rows]:
    """Return the index's rows by how many have the same key and how many bytes that has."""
    found = []
    if len(parts) == 1 and not setting.include:
        for group in setting.spreads[0].groups:
            widths = parts[0].widths if group.width is None else {group.width: 1.0}
            part = btree.Part(parts[0].column, widths)
            sizes = tuple(sorted(btree.sizes([part], [group.is_null]).items()))
            mean = group.share * rows / factors[0]
            if mean > 0 and group.values > 0:
                found.append(btree.Rows(group.values * factors[0], mean, sizes))
        return found
    layouts: dict[tuple[bool, ...], tuple[tuple[int, float], ...]] = {}
    for each in combinations:
        if each.nulls not in layouts:
            spread: dict[int, float] = {}
            for nulls, chance in btree.patterns(setting.include_nulls):
                for size, weight in btree.sizes([*parts, *setting.include], [*each.nulls, *nulls]).items():
                    spread[size] = spread.get(size, 0.0) + chance * weight
            layouts[each.nulls] = tuple(sorted(spread.items()))
        if each.share * rows > 0:
            found.append(btree.Rows(each.values, each.share * rows, layouts[each.nulls]))
    return found
