"""What a snapshot holds and what it lacks, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from dbtune.snapshot.value import BLOCK, Snapshot, Table, Unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Sizes in bytes, of the files that the snapshot stands for.

    ``tables`` are counted by relkind, ``objects`` by their kind. ``columns`` are all, of which ``analysed`` have
    statistics and ``hidden`` may have some that the role could not see. ``never_analysed`` are tables
    (``schema.table``) that have pages and no statistics, though they could have been seen.
    """

    database: str
    server_version: str
    taken_at: datetime
    redacted: str
    tables: dict[str, int]
    objects: dict[str, int]
    indexes: int
    table_bytes: int
    index_bytes: int
    columns: int
    analysed: int
    hidden: int
    extended_statistics: int
    extended_with_data: int
    settings: int
    never_analysed: tuple[str, ...]
    unseen: tuple[Unseen, ...]


def summary(snapshot: Snapshot) -> Summary:
    """Return the snapshot's summary."""
    tables = snapshot.tables
    columns = [column for table in tables for column in table.columns]
    indexes = [index for table in tables for index in table.indexes]
    extended = [each for table in tables for each in table.statistics]
    return Summary(
        database=snapshot.database,
        server_version=snapshot.server_version,
        taken_at=snapshot.taken_at,
        redacted=snapshot.redacted,
        tables=dict(sorted(Counter(table.kind for table in tables).items())),
        objects=dict(sorted(Counter(each.kind for each in (*snapshot.objects, *snapshot.late_objects)).items())),
        indexes=len(indexes),
        table_bytes=BLOCK * sum(table.pages for table in tables),
        index_bytes=BLOCK * sum(index.pages for index in indexes),
        columns=len(columns),
        analysed=sum(column.statistics is not None or column.inherited is not None for column in columns),
        hidden=sum(column.hidden for column in columns),
        extended_statistics=len(extended),
        extended_with_data=sum(
            bool(each.ndistinct or each.dependencies or each.mcv or each.expressions or each.inherited)
            for each in extended
        ),
        settings=len(snapshot.settings),
        never_analysed=tuple(f"{table.schema}.{table.name}" for table in tables if _is_unknown(table)),
        unseen=snapshot.unseen,
    )


def _is_unknown(table: Table) -> bool:
    return (
        table.pages > 0
        and bool(table.columns)
        and not any(column.hidden or column.statistics or column.inherited for column in table.columns)
    )
