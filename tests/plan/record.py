"""Run the rules' cases on real servers and keep their plans: python tests/plan/record.py [--major 18]... [RULE]...

The binaries come from .ci/postgresql; a case that needs JIT runs on the first PostgreSQL with it that --jit-bindir
names. Plans that exist are recorded anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
from sqlalchemy import make_url

sys.path.insert(0, str(Path(__file__).parents[2]))

from dbtune.plan.explain import Explained, Options, explain
from dbtune.plan.report import relations
from dbtune.server import binaries
from dbtune.server.catalog import table_facts
from dbtune.server.connection import Target, connect, server_version_num, version_text
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload.query import Query
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
        query = Query(name=case.name, statement=case.sql)
        explained: Explained = explain(connection, query, None, options)
        version = server_version_num(connection)
        if explained.plan is None:
            print(f"{case.rule} {case.name} on {version_text(version)}: {explained.reason}", file=sys.stderr)
            return 1
        facts = table_facts(connection, relations([explained]))
        origin = {"server": version_text(version), "recorded_by": "tests/plan/record.py", "statement": case.sql}
        cases.keep(case, version // 10_000, origin, explained.plan.document(), facts)
    return 0


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
