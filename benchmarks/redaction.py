"""What redaction of a snapshot costs: plans of a twin with the redacted snapshot against those with the whole one.

    python benchmarks/redaction.py [--each 100] [--seed 5]

On the party database with an index on every column: the captured queries, and invented ones with one condition, by
equality or range, on one table or a join over a foreign key. Values are drawn from pg_stats. For ``hash`` the
statements' values are hashed with the same key, as a redacted workload has them.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from dbtune.index.whatif.protocol import Answer, Question
from dbtune.index.whatif.twin import raise_twin
from dbtune.server import binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.snapshot.arrays import parsed
from dbtune.snapshot.read import read
from dbtune.snapshot.redaction import redacted
from dbtune.snapshot.value import Column, Snapshot, Table
from dbtune.sql import quote_identifier
from dbtune.workload import files
from dbtune.workload import redaction as workload
from dbtune.workload.query import ParameterSet, Query
from dbtune.workload.redaction import Redaction

KEY = b"a key of this benchmark's own"
QUERIES = Path(__file__).resolve().parent.parent / "queries"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query with one parameter set, of one of the kinds that are told apart."""

    kind: str
    query: Query


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=100, help="invented queries of each kind")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    whole = party()
    asked = [*captured(), *invented(whole, arguments.each, random.Random(arguments.seed))]
    plain = {each.query.name: each.query for each in asked}
    hashed = {name: workload.redacted(query, Redaction.HASH, KEY) for name, query in plain.items()}
    base = plans(whole, plain)
    print("| queries | mode | n | same plan | cost within 10 % | cost ratio |\n|---|---|---|---|---|---|")
    for mode, queries in ((Redaction.TYPES, plain), (Redaction.HASH, hashed)):
        found = plans(redacted(whole, mode, KEY), queries)
        for kind in dict.fromkeys(each.kind for each in asked):
            names = [each.query.name for each in asked if each.kind == kind and each.query.name in found]
            print(f"| {kind} | {mode.value} | {row([(base[name], found[name]) for name in names if name in base])} |")


def party() -> Snapshot:
    """Return the snapshot of a party database with an index on every column that can have one."""
    folder = Path(tempfile.mkdtemp(prefix="dbtune-benchmark-"))
    folder.chmod(0o755)
    server = EmbeddedServer(folder, binaries.find())
    server.start()
    try:
        url = make_url(server.url()).set(drivername="postgresql+psycopg2")
        load = [sys.executable, "-m", "dbtune", "party", "load", "--quiet", "--url", url.render_as_string(False)]
        subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
        with connect(Target(url, "benchmark")) as connection:
            for table in read(connection).tables:
                for column in table.columns:
                    if not column.type.startswith("json"):
                        connection.exec_driver_sql(f"CREATE INDEX ON {name(table)} ({quote_identifier(column.name)})")
            connection.commit()
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")
        with connect(Target(url, "benchmark")) as connection:
            return read(connection)
    finally:
        server.reset()
        shutil.rmtree(folder, ignore_errors=True)


def captured() -> Iterator[Asked]:
    for query in files.load_folder(QUERIES).workload.queries:
        for chosen in query.sets:
            yield Asked("captured", one(f"{query.name} {chosen.name}", query.statement, query.types, chosen.values))


def invented(whole: Snapshot, count: int, chance: random.Random) -> Iterator[Asked]:
    keys = [(table, key) for table in whole.tables for key in table.constraints if key.references is not None]
    for number in range(count):
        for kind in ("equality", "range", "join"):
            parameters: list[tuple[str, str]] = []
            condition = None
            while condition is None:
                table, key = chance.choice(keys) if kind == "join" else (chance.choice(whole.tables), None)
                how = chance.choice(("equality", "range")) if kind == "join" else kind
                condition = compared(table, how, parameters, chance)
            statement = f"SELECT * FROM {name(table)} AS x"
            if key is not None and key.references is not None:
                other = whole.table(*key.references)
                assert other is not None
                pairs = zip(key.columns, key.referenced_columns, strict=True)
                on = " AND ".join(f"x.{quote_identifier(a)} = y.{quote_identifier(b)}" for a, b in pairs)
                statement += f" JOIN {name(other)} AS y ON {on}"
            types = tuple(type_ for _, type_ in parameters)
            values = tuple(value for value, _ in parameters)
            yield Asked(kind, one(f"{kind}-{number}", f"{statement} WHERE {condition}", types, values))


def compared(table: Table, how: str, parameters: list[tuple[str, str]], chance: random.Random) -> str | None:
    """Return a condition on one of the table's columns, with a value that rows have."""
    columns = [each for each in table.columns if drawn(each)]
    if not columns:
        return None
    column = chance.choice(columns)
    parameters[:] = [(chance.choice(drawn(column)), re.sub(r"\(.*\)", "", column.type))]
    operator = chance.choice("<>") if how == "range" and column.type != "boolean" else "="
    return f"x.{quote_identifier(column.name)} {operator} $1"


def drawn(column: Column) -> list[str]:
    statistics = column.statistics
    if statistics is None or column.type.startswith("json"):
        return []
    common = parsed(statistics.most_common_vals or "{}")[:20]
    return [value for value in (*common, *parsed(statistics.histogram_bounds or "{}")[1:-1]) if value is not None]


def one(name: str, statement: str, types: tuple[str, ...], values: tuple[str | None, ...]) -> Query:
    return Query(name=name, statement=statement, types=types, sets=(ParameterSet(name="one", values=values),))


def name(table: Table) -> str:
    return f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"


def plans(snapshot: Snapshot, queries: Mapping[str, Query]) -> dict[str, Answer]:
    """Return the plans of the queries that have values and can be planned."""
    with raise_twin(snapshot) as twin:
        live = {known.id for known in twin.known}
        answers = {
            name: twin.plan(Question(name=name, query=query, values=query.sets[0].values), live)
            for name, query in queries.items()
            if query.sets
        }
    return {name: answer for name, answer in answers.items() if answer.reason is None}


def row(pairs: list[tuple[Answer, Answer]]) -> str:
    same = sum(shape(a.document["Plan"]) == shape(b.document["Plan"]) for a, b in pairs)
    ratios = sorted(b.cost / a.cost for a, b in pairs)
    near = sum(0.9 <= ratio <= 1.1 for ratio in ratios)
    count = len(pairs)
    return f"{count} | {same / count:.0%} | {near / count:.0%} | {ratios[0]:.2g} to {ratios[-1]:.2g}"


def shape(node: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what of a plan makes it the same: nodes, relations, indexes, joins."""
    own = tuple(node.get(key) for key in ("Node Type", "Relation Name", "Index Name", "Join Type"))
    return (own, tuple(shape(child) for child in node.get("Plans", ())))


if __name__ == "__main__":
    main()
