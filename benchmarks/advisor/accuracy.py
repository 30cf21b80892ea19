"""How exactly the twin, and HypoPG beside it, plan as a server with real indexes does.

    python -m benchmarks.advisor.accuracy [--scale 0.1] [--seed 1] [--pg-bindir FOLDER] [--hypopg]

TPC-H is loaded into a server of its own. Random indexes are really built there, and switched on in random sets; the
twin sees a snapshot of the server as it was before. A pair is a query with a set. "used" are the pairs in which the
real plan has one of the random indexes in it. A seed that was not used while anything was tuned is a fair one.
Only plans and costs are compared: nothing is executed.
"""

from __future__ import annotations

import argparse
import random
import statistics as mathematics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, make_url, text

from benchmarks.advisor.tpch import load, write_queries
from dbtune.index.definition import Index, Key
from dbtune.index.whatif.comparison import Agreement, Compared, tree
from dbtune.index.whatif.hypopg import raise_hypopg
from dbtune.index.whatif.protocol import Question, WhatIf
from dbtune.index.whatif.real import raise_real
from dbtune.index.whatif.twin import raise_twin
from dbtune.server import binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.snapshot.read import read
from dbtune.snapshot.value import Snapshot
from dbtune.workload.query import Query

KEYS = (
    "ALTER TABLE region ADD PRIMARY KEY (r_regionkey)",
    "ALTER TABLE nation ADD PRIMARY KEY (n_nationkey)",
    "ALTER TABLE part ADD PRIMARY KEY (p_partkey)",
    "ALTER TABLE supplier ADD PRIMARY KEY (s_suppkey)",
    "ALTER TABLE customer ADD PRIMARY KEY (c_custkey)",
    "ALTER TABLE orders ADD PRIMARY KEY (o_orderkey)",
    "ALTER TABLE partsupp ADD PRIMARY KEY (ps_partkey, ps_suppkey)",
    "ALTER TABLE lineitem ADD PRIMARY KEY (l_orderkey, l_linenumber)",
    "ALTER TABLE lineitem ADD FOREIGN KEY (l_orderkey) REFERENCES orders",
    "ALTER TABLE lineitem ADD FOREIGN KEY (l_partkey, l_suppkey) REFERENCES partsupp",
    "ALTER TABLE orders ADD FOREIGN KEY (o_custkey) REFERENCES customer",
    "CREATE STATISTICS part_supplier ON l_partkey, l_suppkey FROM lineitem",
    "CREATE STATISTICS dates ON l_shipdate, l_receiptdate, l_commitdate FROM lineitem",
)
LARGE = ("lineitem", "orders", "customer", "part", "partsupp", "supplier")


def main() -> None:
    """Load, build, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--candidates", type=int, default=26)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--queries", type=int, default=100, help="random queries beside TPC-H's 22")
    parser.add_argument("--pg-bindir", type=Path)
    parser.add_argument("--hypopg", action="store_true")
    chosen = parser.parse_args()
    programs = binaries.at(chosen.pg_bindir) if chosen.pg_bindir else binaries.find()
    with tempfile.TemporaryDirectory(prefix="dbtune-accuracy-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder), programs)
        server.start()
        try:
            target = Target(make_url(server.url()).set(drivername="postgresql+psycopg2"), "benchmark")
            print(f"PostgreSQL {programs.version}, TPC-H at scale {chosen.scale}, seed {chosen.seed}")
            with connect(target) as connection:
                prepare(connection, chosen.scale, hypopg=chosen.hypopg)
            for page_cost in ("1.1", "4.0"):
                with connect(target) as connection:
                    send = connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql
                    send(f"ALTER DATABASE dbtune SET random_page_cost = {page_cost}")
                print(f"\nrandom_page_cost {page_cost}")
                measure(target, programs, chosen)
        finally:
            server.reset()


def prepare(connection: Connection, scale: float, *, hypopg: bool) -> None:
    """Load the tables, their keys, and the settings that all plans are made with."""
    load(connection, scale)
    for statement in KEYS:
        connection.execute(text(statement))
    if hypopg:
        connection.execute(text("CREATE EXTENSION hypopg"))
    connection.execute(text("VACUUM ANALYZE"))
    for setting in ("work_mem = '32MB'", "effective_cache_size = '8GB'"):
        connection.execute(text(f"ALTER DATABASE dbtune SET {setting}"))


def measure(target: Target, programs: binaries.Binaries, chosen: argparse.Namespace) -> None:
    """Ask the real server and each method about the same pairs."""
    with connect(target) as connection:
        start = time.perf_counter()
        snapshot = read(connection)
        read_in = time.perf_counter() - start
    dice = random.Random(chosen.seed)
    indexes = random_indexes(snapshot, dice, chosen.candidates)
    questions = {"TPC-H": tpch_questions(), "random": random_questions(snapshot, dice, chosen.queries)}
    real = raise_real(target, snapshot, throw_away=True)
    try:
        built = real.add(indexes)
        numbers = [known.id for known in built if known.reason is None]
        sets = [(), *((each,) for each in numbers), tuple(numbers)]
        sets += [tuple(dice.sample(numbers, min(4, len(numbers)))) for _ in range(chosen.sets)]
        start = time.perf_counter()
        whatifs: list[WhatIf] = [raise_twin(snapshot, bindir=programs.bindir)]
        raised_in = time.perf_counter() - start
        print(f"snapshot {read_in:.2f} s, twin {raised_in:.2f} s")
        if chosen.hypopg:
            whatifs.append(raise_hypopg(target, snapshot))
        try:
            for whatif in whatifs:
                start = time.perf_counter()
                known = whatif.add(indexes)
                print(f"{whatif.method}: {(time.perf_counter() - start) * 1000 / len(indexes):.1f} ms a candidate")
                if whatif.method == "twin":
                    print_sizes([k.pages for k in built], [k.pages for k in known])
            for kind, asked in questions.items():
                for whatif in whatifs:
                    report(kind, real, whatif, asked, sets)
        finally:
            for whatif in whatifs:
                whatif.close()
    finally:
        real.close()


def report(
    kind: str, real: WhatIf, other: WhatIf, questions: Sequence[Question], sets: Sequence[Sequence[int]]
) -> None:
    """Print a line about all pairs, one about those in which an index is used, and the worst."""
    pairs, used, spent = [], [], 0.0
    for live in sets:
        for question in questions:
            truth = real.plan(question, live)
            start = time.perf_counter()
            answer = other.plan(question, live)
            spent += time.perf_counter() - start
            why = truth.reason or answer.reason
            same = truth.used == answer.used and why is None
            same = same and tree(truth.document, names=False) == tree(answer.document, names=False)
            name = f"{question.name} {list(live)}"
            pair = Compared(question=name, same=same, cost=answer.cost, real_cost=truth.cost, reason=why)
            pairs.append(pair)
            if truth.used:
                used.append(pair)
    print(f"{kind}, {other.method}: {Agreement(tuple(pairs)).summary}; {spent * 1000 / len(pairs):.2f} ms a plan")
    print(f"    used: {Agreement(tuple(used)).summary}")
    worst = sorted(Agreement(tuple(pairs)).pairs, key=lambda p: (p.same and p.close, -abs(p.ratio - 1)))[:4]
    for pair in worst:
        if not (pair.same and pair.close):
            print(f"    {pair.ratio:.3f} {'same' if pair.same else 'other'} plan: {pair.question[:150]}")


def print_sizes(real: Sequence[int], estimated: Sequence[int]) -> None:
    """Print how far estimates are from the truth."""
    errors = sorted(abs(two / one - 1) for one, two in zip(real, estimated, strict=True) if one)
    print(
        f"sizes of {len(errors)} indexes: median error {mathematics.median(errors):.1%},"
        f" 90 % below {errors[int(0.9 * (len(errors) - 1))]:.1%}, worst {errors[-1]:.1%}"
    )


def tpch_questions() -> list[Question]:
    """Return TPC-H's 22 queries."""
    with tempfile.TemporaryDirectory() as folder:
        return [ask(path.stem, path.read_text()) for path in write_queries(Path(folder), left_out=())]


def random_indexes(snapshot: Snapshot, dice: random.Random, count: int) -> list[Index]:
    """Return btree indexes of one to three columns, some with INCLUDE, on the larger tables."""
    found: dict[Index, None] = {}
    while len(found) < count:
        table = snapshot.table("public", dice.choice(LARGE))
        assert table is not None
        names = [column.name for column in table.columns if not column.name.endswith("comment")]
        picked = dice.sample(names, dice.choice((1, 1, 2, 2, 3)))
        include = tuple(dice.sample([n for n in names if n not in picked], 1)) if dice.random() < 0.2 else ()
        keys = tuple(Key(name, descending=dice.random() < 0.1) for name in picked)
        found[Index(schema="public", table=table.name, keys=keys, include=include)] = None
    return list(found)


def random_questions(snapshot: Snapshot, dice: random.Random, count: int) -> list[Question]:
    """Return queries on one or two tables with conditions whose values lie within the histograms."""
    joins = {
        ("lineitem", "orders"): "l_orderkey = o_orderkey",
        ("orders", "customer"): "o_custkey = c_custkey",
        ("partsupp", "part"): "ps_partkey = p_partkey",
    }
    found = []
    for number in range(count):
        tables = dice.choice([*((name,) for name in LARGE), *joins])
        conditions = [joins[tables]] if len(tables) == 2 else []
        for name in tables:
            conditions += random_conditions(snapshot, name, dice)
        first = snapshot.table("public", tables[0])
        assert first is not None
        column = dice.choice(first.columns).name
        end = dice.choice(("", "", f" ORDER BY {column} LIMIT {dice.choice((1, 10, 100))}"))
        wanted = dice.choice(("*", "count(*)", column)) if not end else "*"
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        found.append(ask(f"r{number}", f"SELECT {wanted} FROM {', '.join(tables)}{where}{end}"))
    return found


def random_conditions(snapshot: Snapshot, name: str, dice: random.Random) -> list[str]:
    """Return up to two conditions on a table."""
    from dbtune.index.size.texts import elements

    table = snapshot.table("public", name)
    assert table is not None
    found = []
    for column in dice.sample(table.columns, dice.choice((1, 1, 2))):
        held = column.statistics
        if held is None:
            continue
        inner = elements(held.histogram_bounds)[1:-1] or elements(held.most_common_vals)
        values = sorted(value.replace("'", "''") for value in inner if value is not None)
        if not values:
            continue
        operator = dice.choice(("=", "=", "<", ">", "BETWEEN", "IN"))
        one, two = dice.choice(values), dice.choice(values)
        if operator == "BETWEEN":
            found.append(f"{column.name} BETWEEN '{one}' AND '{two}'")
        elif operator == "IN":
            found.append(f"{column.name} IN ('{one}', '{two}')")
        else:
            found.append(f"{column.name} {operator} '{one}'")
    return found


def ask(name: str, statement: str) -> Question:
    """Return a question without parameters."""
    return Question(name=name, query=Query(name=name, statement=statement))


if __name__ == "__main__":
    main()
