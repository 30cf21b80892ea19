"""Which index finds the rows that refer to another table's row: what a foreign key needs when that row goes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dbtune.health.values.foreign_key import ForeignKey
from dbtune.health.values.index import Index
from dbtune.migration.name import quoted

_NOT_NULL = re.compile(r'("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*) IS NOT NULL')
_AROUND = re.compile(r"[\s()]|AND")


def supports(index: Index, key: ForeignKey) -> bool:
    """Return whether the index finds rows by the columns of the foreign key.

    It is whole, or leaves out nothing but NULLs of these columns, which refer to nothing. Its keys begin with these
    columns, in any order, and none is an expression.
    """
    count = len(key.columns)
    if not index.is_valid or index.method not in ("btree", "hash") or set(index.keys[:count]) != set(key.columns):
        return False
    return index.predicate is None or _is_not_null(index.definition, key.column_names)


def helps(index: Index, key: ForeignKey) -> bool:
    """Return whether the index finds few rows by a part of the foreign key's columns: its first key is one of them."""
    is_whole = index.predicate is None or _is_not_null(index.definition, key.column_names)
    return index.is_valid and is_whole and index.method in ("btree", "hash") and index.keys[0] in key.columns


def _is_not_null(definition: str, names: Sequence[str]) -> bool:
    """Return whether the predicate of ``definition`` only asks that some of these columns are not NULL."""
    predicate = definition.rpartition(" WHERE ")[2]
    wanted = {quoted(name) for name in names}
    columns = _NOT_NULL.findall(predicate)
    return bool(columns) and set(columns) <= wanted and not _AROUND.sub("", _NOT_NULL.sub("", predicate))
