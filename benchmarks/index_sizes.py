"""How large indexes really are, and how large dbtune says they would be from statistics alone.

    python benchmarks/index_sizes.py [--scale 0.3] [--pg-bindir DIR]

Loads TPC-H (made by duckdb) and the party service's data into a server of its own, takes a snapshot, then builds each
index, measures it and drops it. A ratio of 1.10 means that the estimate is a tenth too large. Where the server has
HypoPG (Debian: postgresql-15-hypopg with --pg-bindir /usr/lib/postgresql/15/bin) its figures stand beside.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, make_url
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.advisor import tpch
from dbtune.index.definition import Index, Key
from dbtune.index.size import estimate
from dbtune.party import data
from dbtune.party.models import SCHEMA
from dbtune.party.rows import Scale
from dbtune.server import binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.snapshot.read import read
from dbtune.snapshot.value import Snapshot


@dataclass(frozen=True)
class Row:
    """An index, its pages and level, and what was said of them; ``hypopg`` is None where it was not asked."""

    index: Index
    real: int
    said: int
    error: float
    level: int | None
    said_level: int
    hypopg: int | None

    @property
    def ratio(self) -> float:
        return self.said / self.real


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1, help="TPC-H's scale factor")
    parser.add_argument("--pg-bindir", type=Path, help="the folder of PostgreSQL's programs, else the embedded ones")
    arguments = parser.parse_args()
    programs = binaries.at(arguments.pg_bindir) if arguments.pg_bindir else binaries.find()
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder), programs)
        server.start()
        try:
            target = Target(make_url(server.url()).set(drivername="postgresql+psycopg2"), "bench")
            with connect(target) as connection:
                tpch.load(connection, arguments.scale)
            with connect(target) as connection:
                data.load(connection, Scale())
            with connect(target) as connection:
                rows = list(measured(connection))
        finally:
            server.reset()
    print(f"PostgreSQL {programs.version}, TPC-H at scale {arguments.scale}, party as loaded")
    show(rows)


def measured(connection: Connection) -> Iterator[Row]:
    """Yield each index as it is and as it was thought to be."""
    extensions = set(connection.exec_driver_sql("SELECT name FROM pg_available_extensions").scalars())
    for name in ("pageinspect", "pg_trgm", "btree_gin", "btree_gist", "hypopg"):
        if name in extensions:
            connection.exec_driver_sql(f"CREATE EXTENSION IF NOT EXISTS {name}")
    connection.commit()
    snapshot = read(connection)
    for index in (*of_tpch(), *of_party()):
        table = snapshot.table(index.schema, index.table)
        assert table is not None, index.target
        found = estimate(index, table, snapshot)
        hypopg = asked(connection, index, snapshot) if "hypopg" in extensions else None
        statement = index.ddl(name="measured").replace("%", "%%")
        connection.exec_driver_sql(statement)
        name = f"{index.schema}.measured"
        pages = connection.exec_driver_sql(f"SELECT pg_relation_size('{name}') / 8192").scalar_one()
        level = None
        if index.method == "btree" and "pageinspect" in extensions:
            level = connection.exec_driver_sql(f"SELECT level FROM bt_metap('{name}')").scalar_one()
        connection.rollback()
        yield Row(index, pages, found.pages, found.error, level, found.level, hypopg)


def asked(connection: Connection, index: Index, snapshot: Snapshot) -> int | None:
    """Return the pages that HypoPG says; None for a method that it does not know."""
    if index.method not in ("btree", "hash", "brin"):
        return None
    size = connection.exec_driver_sql(
        "SELECT hypopg_relation_size(indexrelid) FROM hypopg_create_index(%(ddl)s)", {"ddl": index.ddl()}
    ).scalar_one()
    connection.exec_driver_sql("SELECT hypopg_reset()")
    connection.rollback()
    return int(size) // 8192


def show(rows: Sequence[Row]) -> None:
    """Print all rows, and how far off each method is."""
    with_hypopg = any(row.hypopg is not None for row in rows)
    headers = ["index", "real", "estimate", "ratio", "±", "level", "estimate"] + ["HypoPG"] * with_hypopg
    print(
        tabulate(
            [
                [
                    row.index.target, row.real, row.said, f"{row.ratio:.2f}", f"{row.error:.0%}",
                    "" if row.level is None else row.level, row.said_level if row.index.method == "btree" else "",
                    *([f"{row.hypopg / row.real:.2f}" if row.hypopg is not None else ""] if with_hypopg else []),
                ]
                for row in rows
            ],
            headers=headers,
            disable_numparse=True,
            colalign=("left", *["right"] * (len(headers) - 1)),
        )
    )  # fmt: skip
    print()
    print("How far from the real size (0 % is exact; too small by half and too large by half are both 50 %)")
    table = []
    for method in dict.fromkeys(row.index.method for row in rows):
        these = [row for row in rows if row.index.method == method]
        table.append([method, *spread([row.ratio for row in these])])
        heights = [row for row in these if row.level is not None]
        table[-1].append(f"{sum(row.level == row.said_level for row in heights)} of {len(heights)}" if heights else "")
        table[-1].append(f"{sum(abs(row.ratio - 1) <= max(row.error, 1 / row.real) for row in these)}")
        others = [row.hypopg / row.real for row in these if row.hypopg is not None]
        if others:
            table.append([f"{method}, HypoPG", *spread(others), "", ""])
    print(tabulate(table, ["", "indexes", "median", "p90", "worst", "within 25 %", "heights", "within ±"]))


def spread(ratios: Sequence[float]) -> list[str]:
    """Return their number, the median, ninetieth percentile and worst distance from one, and how many are near."""
    off = sorted(abs(ratio - 1) for ratio in ratios)
    p90 = off[max(0, -(-9 * len(off) // 10) - 1)]
    near = sum(distance <= 0.25 for distance in off)
    return [str(len(off)), *(f"{value:.1%}" for value in (statistics.median(off), p90, off[-1])), str(near)]


def on(table: str, *keys: str | Key, method: str = "btree", include: tuple[str, ...] = (), where: str | None = None,
       schema: str = "public", unique: bool = False) -> Index:  # fmt: skip
    found = tuple(key if isinstance(key, Key) else Key(key) for key in keys)
    return Index(
        schema=schema, table=table, keys=found, include=include, predicate=where, method=method, unique=unique
    )  # fmt: skip


def computed(text: str, opclass: str | None = None) -> Key:
    return Key(text, is_column=False, opclass=opclass)


def of_tpch() -> Iterator[Index]:
    """Yield indexes that advisors name for TPC-H's queries, and some that are harder to foresee."""
    for table, columns in {
        "lineitem": "l_orderkey l_partkey l_suppkey l_shipdate l_shipmode l_extendedprice l_quantity l_comment",
        "orders": "o_orderkey o_custkey o_orderdate o_totalprice o_clerk o_comment",
        "part": "p_partkey p_brand p_type p_name p_retailprice",
        "partsupp": "ps_suppkey ps_supplycost",
        "customer": "c_custkey c_name c_phone c_acctbal c_mktsegment c_nationkey",
        "supplier": "s_nationkey s_acctbal",
    }.items():
        yield from (on(table, column) for column in columns.split())
    yield on("lineitem", "l_orderkey", "l_linenumber")
    yield on("lineitem", "l_partkey", "l_suppkey")
    yield on("lineitem", "l_suppkey", "l_shipdate")
    yield on("lineitem", "l_shipdate", "l_discount", "l_quantity")
    yield on("lineitem", "l_returnflag", "l_linestatus")
    yield on("lineitem", "l_receiptdate", "l_commitdate")
    yield on("lineitem", "l_shipdate", include=("l_extendedprice", "l_discount"))
    yield on("lineitem", "l_shipdate", where="l_shipdate > '1996-01-01'")
    yield on("lineitem", "l_orderkey", where="l_returnflag = 'R'")
    yield on("orders", "o_orderpriority", "o_orderdate")
    yield on("orders", "o_custkey", where="o_orderstatus = 'F'")
    yield on("orders", computed("lower(o_clerk)"))
    yield on("part", "p_brand", "p_container")
    yield on("part", "p_type", "p_size")
    yield on("partsupp", "ps_partkey", "ps_suppkey")
    yield on("customer", computed("substring(c_phone from 1 for 2)"))
    for table, column in (("lineitem", "l_partkey"), ("lineitem", "l_shipmode"), ("orders", "o_custkey")):
        yield on(table, column, method="hash")
    for table, column in (("lineitem", "l_shipdate"), ("orders", "o_orderkey"), ("customer", "c_name")):
        yield on(table, column, method="brin")
    for table, column in (
        ("part", "p_name"),
        ("orders", "o_comment"),
        ("customer", "c_name"),
        ("customer", "c_address"),
    ):
        yield on(table, Key(column, opclass="gin_trgm_ops"), method="gin")
    yield on("orders", computed("to_tsvector('english'::regconfig, o_comment)"), method="gin")
    for table, column in (("lineitem", "l_partkey"), ("lineitem", "l_shipmode")):
        yield on(table, column, method="gin")
    for table, column in (("orders", "o_orderdate"), ("customer", "c_acctbal"), ("part", "p_brand")):
        yield on(table, column, method="gist")
    for table, column in (("part", "p_name"), ("customer", "c_name")):
        yield on(table, Key(column, opclass="gist_trgm_ops"), method="gist")


def of_party() -> Iterator[Index]:
    """Yield indexes that the party service's statements ask for, and others on its columns."""

    def party(table: str, *keys: str | Key, method: str = "btree", unique: bool = False) -> Index:
        return on(table, *keys, method=method, schema=SCHEMA, unique=unique)

    yield party("business", "party_uuid", unique=True)
    yield party("business", "business_ref", unique=True)
    yield party("business", "created_on")
    yield party("business_attributes", "business_id")
    yield party("business_attributes", "business_id", Key("created_on", descending=True))
    yield party("business_attributes", "sample_summary_id")
    yield party("business_attributes", "collection_exercise")
    yield party("business_attributes", computed("(attributes ->> 'name')"))
    yield party("respondent", "party_uuid", unique=True)
    yield party("respondent", "email_address", unique=True)
    yield party("respondent", "pending_email_address", unique=True)
    yield party("respondent", computed("lower(email_address)"))
    yield party("respondent", "last_name", "first_name")
    yield party("respondent", "status")
    yield party("business_respondent", "business_id", "respondent_id", unique=True)
    yield party("business_respondent", "respondent_id")
    yield party("enrolment", "business_id", "respondent_id", "survey_id", unique=True)
    yield party("enrolment", "survey_id")
    yield party("enrolment", "status", "created_on")
    yield party("pending_enrolment", "case_id")
    yield party("respondent", "status", method="hash")
    yield party("business_attributes", "attributes", method="gin")
    yield party("business_attributes", Key("attributes", opclass="jsonb_path_ops"), method="gin")
    yield party("respondent", Key("email_address", opclass="gin_trgm_ops"), method="gin")
    yield party("business_attributes", computed("(attributes ->> 'name')", "gin_trgm_ops"), method="gin")


if __name__ == "__main__":
    main()
