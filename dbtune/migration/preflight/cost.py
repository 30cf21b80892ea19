"""What a build would take: room for the index, temporary files and WAL, and time, each from the table's statistics.

The index's size is what :mod:`dbtune.index.size` says. The rest follows from it by factors that
``benchmarks/migration_builds.py`` measured, on PostgreSQL 13, 15 and 18: WAL holds the new pages without their empty
part; a sort writes all tuples to temporary files where they do not fit into maintenance_work_mem, and always where
workers help; a concurrent build reads the table twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dbtune.index.definition import Index
from dbtune.index.size import Size, estimate
from dbtune.index.size.value import UNSURE
from dbtune.migration.definition import Definition
from dbtune.migration.preflight.server import Server
from dbtune.snapshot.value import BLOCK, Snapshot, Table

READ = (1500e6, 100e6)
"""Bytes of the table that are read in a second: from memory, and from a disk that has other work."""

WRITTEN = (100e6, 5e6)
"""Bytes of the index that are sorted and written in a second, on a fast and on a busy machine."""

_WAL = {"btree": 0.91, "hash": 2.2, "gist": 0.7, "gin": 0.55}
"""Bytes of WAL for a byte of the index; other methods' are taken to write as much as the index has."""

_FULL = 0.9
"""The part of a btree's pages that holds tuples."""

_IN_MEMORY = 40
"""Bytes that a tuple takes in memory beside its own while it is sorted."""

_ADDRESS = (24, 12)
"""Bytes of a row's address in memory and in a file, which the second reading of a concurrent build sorts."""

_LEAST_FOR_WORKERS = 64 << 20
"""maintenance_work_mem from which on workers help: each wants 32 MB (plan_create_index_workers)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Bytes and seconds. ``error`` is the size's relative error; ``seconds`` are the fastest and the slowest.

    ``temporary`` is the most at one time. ``reads`` is what is read of the table. ``guess`` says why the size is one,
    None where it is not. Waiting for others is no part of ``seconds``.
    """

    bytes: int
    error: float
    wal: int
    temporary: int
    reads: int
    rows: float
    seconds: tuple[float, float]
    guess: str | None = None


def cost(
    definition: Definition, tables: Sequence[Table], snapshot: Snapshot, server: Server, *, concurrently: bool
) -> Cost:
    """Return what it takes to build the index on these tables, one after the other."""
    parts = [_one(definition.index, table, snapshot, server, concurrently=concurrently) for table in tables]
    total = sum(each.bytes for each in parts)
    error = sum(each.error * each.bytes for each in parts) / total if total else 0.0
    guesses = [each.guess for each in parts if each.guess is not None] if error > UNSURE else []
    return Cost(
        bytes=total,
        error=error,
        wal=sum(each.wal for each in parts),
        temporary=max((each.temporary for each in parts), default=0),
        reads=sum(each.reads for each in parts),
        rows=sum(each.rows for each in parts),
        seconds=(sum(each.seconds[0] for each in parts), sum(each.seconds[1] for each in parts)),
        guess=guesses[0] if guesses else None,
    )


def _one(index: Index, table: Table, snapshot: Snapshot, server: Server, *, concurrently: bool) -> Cost:
    index = replace(index, schema=table.schema, table=table.name)
    size = estimate(index, table, snapshot)
    sorted_ = size.bytes
    if index.method == "btree":  # equal keys are put together after they were sorted
        sorted_ = round(_FULL * estimate(replace(index, unique=True), table, snapshot).bytes)
    heap = table.pages * BLOCK
    reads = heap * (2 if concurrently else 1)
    is_logged = table.persistence == "p"
    return Cost(
        bytes=size.bytes,
        error=size.error,
        wal=round(size.bytes * _WAL.get(index.method, 1.0)) if is_logged else 0,
        temporary=_temporary(index, size, sorted_, heap, server, concurrently=concurrently),
        reads=reads,
        rows=size.tuples,
        seconds=(reads / READ[0] + sorted_ / WRITTEN[0], reads / READ[1] + sorted_ / WRITTEN[1]),
        guess=_guess(index, size, table),
    )


def _temporary(index: Index, size: Size, sorted_: int, heap: int, server: Server, *, concurrently: bool) -> int:
    memory = server.maintenance_work_mem
    with_workers = server.parallel_workers > 0 and heap >= server.parallel_from and memory >= _LEAST_FOR_WORKERS
    does_not_fit = sorted_ + _IN_MEMORY * size.tuples > memory
    need = 0
    match index.method:
        case "btree":
            need = sorted_ if with_workers or does_not_fit else 0
        case "gin":  # workers came with 18; alone it keeps what it has not written in memory
            need = round(_WAL["gin"] * size.bytes) if with_workers and server.version_num >= 180_000 else 0
        case "gist":  # some operator classes sort, from 14 on
            need = round(_WAL["gist"] * size.bytes) if does_not_fit and server.version_num >= 140_000 else 0
        case "brin":
            return 0
        case _:
            need = size.bytes if size.bytes > memory else 0
    if concurrently and _ADDRESS[0] * size.tuples > memory:
        need = max(need, round(_ADDRESS[1] * size.tuples))
    return need


def _guess(index: Index, size: Size, table: Table) -> str | None:
    """Return why the size is a guess."""
    if size.sure:
        return None
    if table.is_unanalysed:
        return f"{table.schema}.{table.name} was never analysed"
    columns = [table.column(name) for name in (*index.columns, *index.include)]
    if any(column is not None and column.hidden for column in columns):
        return f"this role may not see the statistics of {table.schema}.{table.name}"
    return f"its size may be {size.error:.0%} more or less".replace("%", " %")


def lacks(index: Index, table: Table) -> tuple[str, ...]:
    """Return the columns that the index wants and the table has not."""
    wanted = [*(key.text for key in index.keys if key.is_column), *index.include]
    return tuple(name for name in wanted if table.column(name) is None)
