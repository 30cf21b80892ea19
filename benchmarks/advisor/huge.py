"""A terabyte known by its statistics alone: how long a twin of it takes, and how much of the disk.

    python -m benchmarks.advisor.huge

The statistics are made up: a table of ten thousand million rows, one of a hundred million, and a hundred small ones.
"""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from dbtune.index.definition import Index, Key
from dbtune.index.whatif.protocol import Question
from dbtune.index.whatif.twin import raise_twin
from dbtune.server import binaries
from dbtune.snapshot.value import Column, Constraint, ExistingIndex, Snapshot, Statistics, Table
from dbtune.workload.query import Query

QUERIES = {
    "key": "SELECT * FROM event WHERE id = 123456789",
    "one account": "SELECT * FROM event WHERE account_id = 4711",
    "account in time": "SELECT * FROM event WHERE account_id = 4711 AND at > '2025-06-01'",
    "kinds": "SELECT kind, count(*) FROM event WHERE at > '2025-12-30' GROUP BY kind",
    "join": "SELECT a.name, e.at FROM account a JOIN event e ON e.account_id = a.id WHERE a.name = 'v50'",
    "newest": "SELECT * FROM event ORDER BY at DESC LIMIT 10",
}
CANDIDATES = (
    ("event", ("account_id",), ()),
    ("event", ("account_id", "at"), ()),
    ("event", ("at",), ()),
    ("event", ("kind", "at"), ()),
    ("event", ("kind",), ("amount",)),
    ("event", ("amount",), ()),
    ("event", ("at", "kind", "account_id"), ()),
    ("account", ("name",), ()),
    ("account", ("name", "id"), ()),
)


def main() -> None:
    """Raise the twin, make candidates, plan, and print what that took."""
    snapshot = made(binaries.find().version)
    start = time.perf_counter()
    with raise_twin(snapshot) as twin:
        print(f"twin of {apparent(snapshot) / 1e12:.2f} TB raised in {time.perf_counter() - start:.2f} s")
        start = time.perf_counter()
        known = twin.add([index(*each) for each in CANDIDATES])
        spent = time.perf_counter() - start
        print(f"{len(known)} candidates of {sum(k.pages for k in known) * 8192 / 1e12:.2f} TB in {spent:.2f} s")
        for live in ((), tuple(k.id for k in known)):
            for name, statement in QUERIES.items():
                start = time.perf_counter()
                answer = twin.plan(Question(name=name, query=Query(name=name, statement=statement)), live)
                spent = (time.perf_counter() - start) * 1000
                said = answer.reason or f"cost {answer.cost:,.0f} with {sorted(answer.used)}"
                print(f"  {name}: {said} in {spent:.1f} ms")
        print(f"disk: {used(twin.cluster.home) / 1e6:.0f} MB in {sum(1 for _ in twin.cluster.home.rglob('*'))} files")
        start = time.perf_counter()
    print(f"removed in {time.perf_counter() - start:.2f} s")


def made(version: str) -> Snapshot:
    """Return the snapshot."""
    major = int(version.split(".")[0])
    rows = 1e10
    event = Table(
        schema="public", name="event", pages=134_000_000, relpages=134_000_000, reltuples=rows,
        relallvisible=133_000_000,
        columns=(
            column(1, "id", "bigint", 8, -1.0, numbers(1, int(rows)), 1.0),
            column(2, "account_id", "bigint", 8, 9e7, numbers(1, 100_000_000), 0.01),
            column(3, "at", "timestamp with time zone", 8, -0.8, days(), 0.999),
            column(4, "kind", "text", 9, 40.0, None, 0.1, most=tuple(f"kind{n}" for n in range(40))),
            column(5, "amount", "numeric(12,2)", 6, 900_000.0, numbers(0, 1_000_000), 0.0),
            column(6, "body", "text", 60, -1.0, texts(), 0.0),
        ),
        constraints=(Constraint(name="event_pkey", kind="p", definition="PRIMARY KEY (id)", columns=("id",)),),
        indexes=(primary("event", 27_422_000),),
    )  # fmt: skip
    account = Table(
        schema="public", name="account", pages=1_200_000, relpages=1_200_000, reltuples=1e8, relallvisible=1_200_000,
        columns=(
            column(1, "id", "bigint", 8, -1.0, numbers(1, 100_000_000), 1.0),
            column(2, "name", "text", 20, -0.9, texts(), 0.0),
        ),
        constraints=(Constraint(name="account_pkey", kind="p", definition="PRIMARY KEY (id)", columns=("id",)),),
        indexes=(primary("account", 274_200),),
    )  # fmt: skip
    small = tuple(
        Table(
            schema="public", name=f"small_{n}", pages=100, relpages=100, reltuples=10_000.0,
            columns=tuple(column(i, f"c{i}", "integer", 4, -0.5, numbers(1, 10_000), 0.0) for i in range(1, 11)),
        )
        for n in range(100)
    )  # fmt: skip
    return Snapshot(
        server_version_num=major * 10_000, server_version=version, database="huge",
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        settings={"work_mem": "256MB", "random_page_cost": "1.1", "effective_cache_size": "192GB"},
        tables=(event, account, *small),
    )  # fmt: skip


def column(
    number: int, name: str, type_: str, width: int, distinct: float, bounds: str | None, correlation: float,
    most: tuple[str, ...] = (),
) -> Column:  # fmt: skip
    """Return a column with statistics."""
    fixed = type_ in ("bigint", "integer", "timestamp with time zone")
    return Column(
        name=name, number=number, type=type_, length=width if fixed else -1, align="d" if width == 8 else "i",
        not_null=number == 1,
        statistics=Statistics(
            null_frac=0.0, avg_width=width, n_distinct=distinct, histogram_bounds=bounds, correlation=correlation,
            most_common_vals=f"{{{','.join(most)}}}" if most else None,
            most_common_freqs=tuple(1 / len(most) for _ in most),
        ),
    )  # fmt: skip


def primary(table: str, pages: int) -> ExistingIndex:
    """Return the primary key's index."""
    name = f"{table}_pkey"
    return ExistingIndex(
        schema="public", name=name, definition=f"CREATE UNIQUE INDEX {name} ON public.{table} USING btree (id)",
        method="btree", keys=("id",), key_columns=("id",), pages=pages, is_unique=True, is_primary=True, constraint="p",
        constraint_name=name,
    )  # fmt: skip


def numbers(first: int, last: int) -> str:
    """Return a histogram's bounds."""
    return "{" + ",".join(str(first + (last - first) * step // 100) for step in range(101)) + "}"


def days() -> str:
    """Return bounds over two years."""
    return "{" + ",".join(f'"20{24 + n // 12:02}-{n % 12 + 1:02}-01 00:00:00+00"' for n in range(24)) + "}"


def texts() -> str:
    """Return bounds of texts."""
    return "{" + ",".join(sorted(f"v{n}" for n in range(101))) + "}"


def index(table: str, keys: tuple[str, ...], include: tuple[str, ...]) -> Index:
    """Return a candidate."""
    return Index(schema="public", table=table, keys=tuple(map(Key, keys)), include=include)


def apparent(snapshot: Snapshot) -> float:
    """Return the bytes of all files, as they look."""
    return 8192.0 * sum(t.pages + sum(i.pages for i in t.indexes) for t in snapshot.tables)


def used(folder: Path) -> int:
    """Return the bytes that a folder takes on the disk."""
    found = subprocess.run(["du", "-sk", str(folder)], capture_output=True, text=True, check=True).stdout
    return int(found.split()[0]) * 1024


if __name__ == "__main__":
    main()
