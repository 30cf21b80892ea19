"""Statements for one partition, made from those for any. The source of these functions goes into revisions as it is."""

from __future__ import annotations

import hashlib

SCHEMA, TABLE, INDEX, ABOVE = "dbtune_leaf_schema", "dbtune_leaf_table", "dbtune_leaf_index", "dbtune_index_above"
"""The words that stand for a partition's schema, its name, its index, and the index that this one is a part of."""


def index_of(table: tuple[str, str], root: tuple[str, str], index: str, ending: str) -> str:
    """Return the name of the index on a partition: as much of the table's as fits, and what tells it from others."""
    if table == root:
        return index
    told = hashlib.sha256(".".join(table).encode()).hexdigest()[:6]
    return f"{table[1].encode()[:43].decode(errors='ignore')}_{ending}_{told}"


def expanded(
    statements: tuple[str, ...],
    table: tuple[str, str],
    above: tuple[str, str],
    *,
    root: tuple[str, str],
    index: str,
    ending: str,
) -> list[str]:
    """Return the statements with the names of one partition, which is one of the table ``above``."""
    names = {
        "dbtune_leaf_schema": (table[0],),
        "dbtune_leaf_table": (table[1],),
        "dbtune_leaf_index": (index_of(table, root, index, ending),),
        "dbtune_index_above": (above[0], index_of(above, root, index, ending)),
    }
    made = list(statements)
    for word, parts in names.items():
        if "'" in "".join(parts):
            raise ValueError(f"a partition with an apostrophe in its name: {parts}")
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
        made = [statement.replace(word, quoted) for statement in made]
    return made
