"""Rules for the size of a pool against each other and against what dbtune recommends, on a real server.

    python benchmarks/pool_rules.py [--seconds 40]

The same load for every rule: requests at random, held connections, queries that take the processor, and the party
service's. Prints success first and the 95th percentile of the response time second, measured, best first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from sqlalchemy import make_url
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.pools import LATE_S, ROLE_LIMIT, at, prepare, run
from dbtune.pool import formulas
from dbtune.pool.prediction import Demand, Settings
from dbtune.pool.recommendation import Goal, recommend
from dbtune.pool.sweep import sweep
from dbtune.server.connection import Target, connect, parse_url
from dbtune.server.embedded import EmbeddedServer

LOADS = (("sleep", 0.0, 60.0), ("cpu", 0.75, 0.0), ("party", 0.75, 0.0))
"""The kind of work, the share of the server's best throughput, or a rate."""
TIMEOUT_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--only", default="", help="a kind of work")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="dbtune-rules-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder) / "data")
        server.start()
        try:
            for name, share, rate in LOADS:
                if given.only in name:
                    compare(server, name, share, rate, cores, given.seconds)
        finally:
            server.stop()


def compare(server: EmbeddedServer, name: str, share: float, rate: float, cores: int, seconds: float) -> None:
    owner = Target(parse_url(server.url(), "embedded"), "embedded")
    with connect(owner) as connection:
        connection.exec_driver_sql("DROP OWNED BY app; DROP ROLE app" if _has_role(owner) else "SELECT 1")
        connection.exec_driver_sql(f"CREATE ROLE app LOGIN CONNECTION LIMIT {ROLE_LIMIT}")
        connection.commit()
        work = prepare(connection, owner, {name})[name]
    target = Target(make_url(owner.url).set(username="app"), "embedded")
    swept = sweep(target, work, 30, 12.5 if name == "sleep" else 4.0)
    rate = rate or share * swept.curve.most
    demand = Demand(rate=rate, curve=swept.curve, variation=swept.variation)
    base = Settings(timeout=TIMEOUT_S, limit=ROLE_LIMIT)
    advice = recommend(demand, base, Goal())
    size, overflow = formulas.SQLALCHEMY
    rules: list[tuple[str, int, int]] = [
        ("SQLAlchemy's default", size, overflow),
        ("cores × 2", formulas.doubled(cores), 0),
        ("HikariCP's rule", formulas.hikari(cores), 0),
        ("PGTune's max_connections, web", formulas.PGTUNE["web"], 0),
        ("all that the server has", ROLE_LIMIT, 0),
    ]
    if advice.best is not None:
        rules.insert(0, ("recommended", advice.best.settings.size, advice.best.settings.overflow))
    rows = []
    for number, (rule, kept, more) in enumerate(rules):
        settings = Settings(size=kept, overflow=more, timeout=TIMEOUT_S)
        found = run(target, settings, work, rate, seconds, number)
        late = at(found.lags, 0.99) > LATE_S
        rows.append(
            (
                -round(found.success, 3),
                at(found.responses, 0.95),
                [rule, f"{kept}+{more}", f"{found.success:.2%}", f"{at(found.responses, 0.5) * 1000:.0f} ms",
                 f"{at(found.responses, 0.95) * 1000:.0f} ms", "generator late" if late else ""],
            )
        )  # fmt: skip
        print(tabulate([rows[-1][2]], tablefmt="plain"), file=sys.stderr, flush=True)
    rows.sort(key=lambda row: row[:2])
    print(f"\n{name}, {rate:.1f} requests a second, time-out {TIMEOUT_S:g} s, {cores} cores\n")
    print(tabulate([row[2] for row in rows], ["rule", "pool", "success", "p50", "p95", ""], tablefmt="github"))


def _has_role(owner: Target) -> bool:
    with connect(owner) as connection:
        return connection.exec_driver_sql("SELECT FROM pg_roles WHERE rolname = 'app'").first() is not None


if __name__ == "__main__":
    main()
