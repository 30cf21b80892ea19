"""How long writes wait while an index is built: by no migration, by a revision of dbtune's, by plain CREATE INDEX.

    python benchmarks/migration_writes.py [--rows 1000000] [--rate 200] [--rounds 3] [--pg-bindir DIR] [--json]

A server of the benchmark's own has one table. Writers, each a process with a session, send single-row INSERTs and
UPDATEs at a fixed rate, whether or not the ones before are done: a statement that is due while its writer still waits
counts from when it was due. Two seconds into an arm the build begins, and one second after it the arm ends:

none        nothing is built; as long as --quiet says
revision    ``alembic upgrade head``, in a project as ``alembic init`` makes it, with the revision that dbtune wrote;
            its seconds include Alembic's own start
plain       CREATE INDEX without CONCURRENTLY

The order of the arms is turned around in every other round. "late" are the statements that overlapped a build and took
over 100 ms longer than any of the arm without one, in any round. Absolute times are of this machine, and of what else
ran on it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
from sqlalchemy import make_url
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from dbtune.server import binaries
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import make_host

INDEX = "orders_customer_note"
STATEMENT = f"CREATE INDEX {INDEX} ON public.orders (customer, note)"
TABLE = """
CREATE TABLE public.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL, note text NOT NULL,
    amount int NOT NULL DEFAULT 0
)
"""
ROWS = """
INSERT INTO public.orders (customer, note)
SELECT hashint8(g) % 100000, md5(g::text) FROM generate_series(1, {rows}) AS g
"""
BEFORE, AFTER = 2.0, 1.0
LATE = 0.1
LONGEST = 600
ARMS = ("none", "revision", "plain")


class Sent(NamedTuple):
    """A statement, by the machine's monotonic clock: when it was due, when it was done, and whether it failed."""

    due: float
    done: float
    failed: bool

    @property
    def took(self) -> float:
        return self.done - self.due


@dataclass
class Arm:
    """What all rounds of an arm measured: each build's begin and end, and each round's statements."""

    builds: list[tuple[float, float]] = field(default_factory=list)
    rounds: list[list[Sent]] = field(default_factory=list)

    @property
    def took(self) -> list[float]:
        """The latencies, in order."""
        return sorted(each.took for sent in self.rounds for each in sent)

    def late(self, limit: float) -> int:
        """Count the statements that overlapped the build of their round and took longer than ``limit``."""
        return sum(
            each.took > limit and each.due < end and each.done > begin
            for (begin, end), sent in zip(self.builds, self.rounds, strict=True)
            for each in sent
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table, to begin with")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=200, help="statements a second, of all writers together")
    parser.add_argument("--rounds", type=int, default=3, help="how often each arm runs")
    parser.add_argument("--quiet", type=float, default=5, help="seconds that the arm without a build takes for one")
    parser.add_argument("--pg-bindir", type=Path, help="PostgreSQL's programs; else those that came with dbtune")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args()
    programs = binaries.at(arguments.pg_bindir.absolute()) if arguments.pg_bindir else binaries.find()
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedServer(folder / "server", programs)
        server.start()
        try:
            arms = measured(server.url(), folder / "host", arguments)
        finally:
            server.reset()
    found = summary(arms)
    if arguments.json:
        options = {key: value for key, value in vars(arguments).items() if key not in ("json", "pg_bindir")}
        print(json.dumps({"server": programs.version, "cores": os.cpu_count(), **options, **found}, indent=2))
        return
    print(
        f"PostgreSQL {programs.version}, {os.cpu_count()} cores, {arguments.rows:,} rows, {arguments.writers} writers,"
        f" {arguments.rate:g} statements a second, {arguments.rounds} rounds"
    )
    show(found)


def measured(url: str, host: Path, arguments: argparse.Namespace) -> dict[str, Arm]:
    """Run all arms in turn."""
    with redirect_stdout(sys.stderr):  # Alembic tells which files it makes
        made = make_host(host, str(make_url(url).set(drivername="postgresql+psycopg2")))
    made.new(STATEMENT)
    alembic = [str(Path(sys.executable).parent / "alembic"), "--config", str(made.ini), "upgrade", "head"]
    with closing(psycopg2.connect(url)) as opened:
        opened.autocommit = True
        with opened.cursor() as cursor:
            cursor.execute(TABLE)
            cursor.execute(ROWS.format(rows=arguments.rows))

            def upgrade() -> None:
                subprocess.run(alembic, check=True, stdout=subprocess.DEVNULL)

            builds: dict[str, Callable[[], None]] = {
                "none": lambda: time.sleep(arguments.quiet),
                "revision": upgrade,
                "plain": lambda: cursor.execute(STATEMENT),
            }
            arms = {name: Arm() for name in ARMS}
            for number in range(arguments.rounds):
                for name in ARMS if number % 2 == 0 else reversed(ARMS):
                    cursor.execute(f"DROP INDEX IF EXISTS public.{INDEX}")
                    cursor.execute("DROP TABLE IF EXISTS public.alembic_version")
                    cursor.execute("VACUUM ANALYZE public.orders")
                    cursor.execute("CHECKPOINT")
                    build, sent = loaded(url, builds[name], arguments)
                    arms[name].builds.append(build)
                    arms[name].rounds.append(sent)
                    cursor.execute(
                        "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid = to_regclass(%s)",
                        (f"public.{INDEX}",),
                    )
                    assert cursor.fetchone() == (int(name != "none"),), f"{name}: the index is not as it should be"
    return arms


def loaded(
    url: str, build: Callable[[], None], arguments: argparse.Namespace
) -> tuple[tuple[float, float], list[Sent]]:
    """Build while writers write; return when the build began and ended, and what was sent."""
    spawn = get_context("spawn")
    pipes: list[Connection] = []
    writers = []
    for number in range(arguments.writers):
        ours, theirs = spawn.Pipe()
        writers.append(spawn.Process(target=write, args=(theirs, url, number, arguments.rows), daemon=True))
        writers[-1].start()
        theirs.close()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    start, interval = time.monotonic() + 0.1, arguments.writers / arguments.rate
    for number, pipe in enumerate(pipes):
        pipe.send((start + interval * number / arguments.writers, interval))
    time.sleep(max(0.0, start + BEFORE - time.monotonic()))
    began = time.monotonic()
    build()
    ended = time.monotonic()
    time.sleep(AFTER)
    stop = time.monotonic()
    for pipe in pipes:
        pipe.send(stop)
    sent = [Sent(*each) for pipe in pipes for each in pipe.recv()]
    for writer in writers:
        writer.join()
    return (began, ended), sent


def write(pipe: Connection, url: str, number: int, rows: int) -> None:
    """Send statements when they are due, until told when to stop; those due before then are sent all the same."""
    chosen = random.Random(number)
    sent: list[tuple[float, float, bool]] = []
    with closing(psycopg2.connect(url)) as opened, opened.cursor() as cursor:
        opened.autocommit = True
        cursor.execute("SELECT 1")
        pipe.send(None)
        due, interval = pipe.recv()
        stop = due + LONGEST
        while due < stop:
            if pipe.poll(max(0.0, due - time.monotonic())):
                stop = pipe.recv()
                continue
            failed = False
            try:
                if len(sent) % 2:
                    cursor.execute(
                        "UPDATE public.orders SET amount = amount + 1 WHERE id = %s", (chosen.randint(1, rows),)
                    )
                else:
                    cursor.execute(
                        "INSERT INTO public.orders (customer, note) VALUES (%s, %s)",
                        (chosen.randrange(100_000), f"{chosen.getrandbits(128):032x}"),
                    )
            except psycopg2.Error:
                failed = True
            sent.append((due, time.monotonic(), failed))
            due += interval
    pipe.send(sent)


def summary(arms: dict[str, Arm]) -> dict[str, Any]:
    """Return the figures of each arm, and how the longest waits compare; latencies are in milliseconds."""
    longest = {name: arm.took[-1] for name, arm in arms.items()}
    limit = longest["none"] + LATE
    return {
        "arms": {
            name: {
                "build_seconds": [] if name == "none" else [round(end - begin, 3) for begin, end in arm.builds],
                "statements": len(arm.took),
                "errors": sum(each.failed for sent in arm.rounds for each in sent),
                **{f"p{at:g}": round(percentile(arm.took, at) * 1000, 2) for at in (50, 95, 99, 99.9)},
                "max": round(longest[name] * 1000, 2),
                "max_of_rounds": [round(max(each.took for each in sent) * 1000, 2) for sent in arm.rounds],
                "late": 0 if name == "none" else arm.late(limit),
            }
            for name, arm in arms.items()
        },
        "late_over": round(limit * 1000, 2),
        "ratio_of_max": {name: round(longest[name] / longest["none"], 2) for name in ARMS[1:]},
    }


def percentile(ordered: Sequence[float], at: float) -> float:
    """Return the value that ``at`` percent are not above."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * at / 100))]


def show(found: dict[str, Any]) -> None:
    """Print a row for each arm, and how the longest waits compare."""
    rows = []
    for name, arm in found["arms"].items():
        builds = arm["build_seconds"]
        figures = [f"{arm[key]:,.1f}" for key in ("p50", "p95", "p99", "p99.9", "max")]
        built = f"{min(builds):.1f} to {max(builds):.1f}" if builds else ""
        rows.append([name, built, arm["statements"], arm["errors"], *figures, arm["late"]])
    headers = ["arm", "build s", "statements", "errors", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms", "late"]
    print(tabulate(rows, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1))))
    for name, arm in found["arms"].items():
        print(f"max ms of each round, {name}: {', '.join(f'{each:,.1f}' for each in arm['max_of_rounds'])}")
    ratios = found["ratio_of_max"]
    print(
        f"longest wait against no migration: revision {ratios['revision']:.1f}x, plain {ratios['plain']:.1f}x;"
        f" late is over {found['late_over']:.0f} ms"
    )


if __name__ == "__main__":
    main()
