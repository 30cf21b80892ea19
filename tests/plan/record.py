"""Run the rules' cases on real servers and keep their plans: python tests/plan/record.py [--major 18]... [RULE]...

The binaries come from .ci/postgresql; a case that needs JIT runs on the first PostgreSQL with it that --jit-bindir
names. Plans that exist are recorded anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import Connection, make_url

sys.path.insert(0, str(Path(__file__).parents[2]))

from dbtune.plan.explain import Explained, Options, alternatives, choose_set, explain
from dbtune.plan.report import relations
from dbtune.server import binaries
from dbtune.server.catalog import table_facts
from dbtune.server.connection import Target, connect, server_version_num, version_text
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload.query import ParameterSet, Query
from tests.plan import case as cases
from tests.plan.case import Case

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*", metavar="RULE")
    parser.add_argument("--major", type=int, action="append", help="13 to 18; default 13, 15 and 18")
    parser.add_argument("--jit-bindir", type=Path, default=Path("/usr/lib/postgresql/15/bin"))
    arguments = parser.parse_args()
    wanted = [c for rule in arguments.rules or [None] for c in cases.load(rule)]
    failed = 0
    for major in arguments.major or [13, 15, 18]:
        printed = subprocess.run([ROOT / ".ci" / "postgresql", str(major)], check=True, capture_output=True, text=True)
        failed += record(Path(printed.stdout.strip()), [c for c in wanted if not c.needs_jit and within(c, major)])
    jit = [c for c in wanted if c.needs_jit]
    if jit and arguments.jit_bindir.exists():
        failed += record(arguments.jit_bindir, jit)
    return 1 if failed else 0


def within(case: Case, major: int) -> bool:
    return case.majors[0] <= major <= case.majors[1]


def record(bindir: Path, wanted: list[Case]) -> int:
    """Record the cases on one server; return how many could not be."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="dbtune-record-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder), binaries.at(bindir))
        server.start()
        try:
            made: dict[str, str] = {}
            for case in wanted:
                failed += record_one(server, case, made)
        finally:
            server.reset()
    return failed


def record_one(server: EmbeddedServer, case: Case, made: dict[str, str]) -> int:
    if case.setup not in made:
        made[case.setup] = f"case_{len(made)}"
        set_up(server, made[case.setup], case.setup)
    url = make_url(server.url()).set(drivername="postgresql+psycopg2", database=made[case.setup])
    with connect(Target(url, "record")) as connection:
        for name, value in case.settings.items():
            connection.exec_driver_sql(f"SET {name} = '{value}'")
        connection.commit()
        options = Options(analyze=case.analyze, warm_up=case.warm_up, write_ok=True, statement_timeout_ms=120_000)
        sets = tuple(ParameterSet(name=name, values=values) for name, values in case.sets.items())
        query = Query(name=case.name, statement=case.sql, sets=sets)
        beside: dict[str, Any] = {}
        if case.before is not None:
            beside["before"] = planned_before(connection, query, case.before)
        if sets:
            plans = alternatives(connection, query, options)
            beside["alternatives"] = {name: plan.document() for name, plan in plans.items()}
        values = ParameterSet(name="case", values=case.parameters) if case.parameters else choose_set(query)
        explained: Explained = explain(connection, query, values, options)
        version = server_version_num(connection)
        if explained.plan is None:
            print(f"{case.rule} {case.name} on {version_text(version)}: {explained.reason}", file=sys.stderr)
            return 1
        facts = table_facts(connection, relations([explained]))
        origin = {"server": version_text(version), "recorded_by": "tests/plan/record.py", "statement": case.sql}
        document = explained.plan.document()
        if case.slow_reads != 1:
            origin["edited"] = f"time of reads multiplied by {case.slow_reads:g}, elapsed times raised by as much"
            slow_down(document, case.slow_reads)
        cases.keep(case, version // 10_000, origin, document, facts, beside)
    return 0


def planned_before(connection: Connection, query: Query, settings: Mapping[str, str]) -> dict[str, Any]:
    options = Options(write_ok=True, settings=tuple(settings.items()))
    explained = explain(connection, query, choose_set(query), options)
    assert explained.plan is not None, explained.reason
    return explained.plan.document()


def slow_down(document: dict[str, Any], factor: float) -> None:
    """Let every read of shared blocks take ``factor`` times as long; not for parallel plans."""
    waiting, added = [document["Plan"]], 0.0
    while waiting:
        node = waiting.pop()
        read = node.get("Shared I/O Read Time", 0.0)
        node["Shared I/O Read Time"] = round(read * factor, 3)
        node["Actual Total Time"] = round(node["Actual Total Time"] + read * (factor - 1) / node["Actual Loops"], 3)
        added = max(added, read * (factor - 1))
        waiting += node.get("Plans", [])
    document["Execution Time"] = round(document["Execution Time"] + added, 3)


def set_up(server: EmbeddedServer, database: str, script: str) -> None:
    admin = psycopg2.connect(server.url())
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {database}")
    admin.close()
    if not script.strip():
        return
    made = psycopg2.connect(make_url(server.url()).set(database=database).render_as_string())
    made.autocommit = True
    with made.cursor() as cursor:
        # One statement at a time, for VACUUM cannot run among others.
        from dbtune.workload.lexer import statements

        for statement in statements(script):
            cursor.execute(statement)
    made.close()


if __name__ == "__main__":
    sys.exit(main())
