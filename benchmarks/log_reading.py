"""How fast a real server's log becomes queries, in each format, from one process and from two, beside pgBadger.

    python benchmarks/log_reading.py [--megabytes 500] [--formats stderr csv json] [--keep FOLDER] [--pg-bindir DIR]

A server of the benchmark's own logs every statement in all formats that it knows, while pgbench (simple and prepared
protocol) and the party service's requests (values within the text by psycopg2, beside it by psycopg) run on it. What it
logged is then repeated, each time with later times and other processes, until the file is large enough.

Seconds are elapsed; "CPU" is user and system time of all processes, which other load on the machine disturbs less. The
ratio in brackets is that of CPU time, and so says nothing of several jobs. "most MB" is the largest process's resident
memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import psycopg2
from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session

from dbtune.party import capture, data, requests
from dbtune.party.rows import Scale
from dbtune.server import binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer

FORMATS = {"stderr": "log", "csv": "csv", "json": "json"}
PGBADGER_FORMATS = {"stderr": "stderr", "csv": "csv", "json": "jsonlog"}
PREFIX = "%m [%p] "
DBTUNE = str(Path(sys.executable).parent / "dbtune")
MODES = ("simple", "prepared")
CLIENTS = 4
TRANSACTIONS = 250

_SECOND = rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"
_HEADS = {
    "stderr": re.compile(rb"(?m)^" + _SECOND + rb"(\.\d{3} UTC \[)(\d+)"),
    "csv": re.compile(rb"(?m)^" + _SECOND + rb'(\.\d{3} UTC,(?:"[^"]*")?,(?:"[^"]*")?,)(\d+)'),
    "json": re.compile(rb'(?m)^\{"timestamp":"' + _SECOND + rb'(\.\d{3} UTC",(?:"user":"[^"]*",)?'
                       rb'(?:"dbname":"[^"]*",)?"pid":)(\d+)'),
}  # fmt: skip
_BEGINNINGS = {"stderr": b"", "csv": b"", "json": b'{"timestamp":"'}


class Took(NamedTuple):
    """What a command cost."""

    seconds: float
    cpu: float
    megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500, help="how large each file becomes")
    parser.add_argument("--real-megabytes", type=int, default=50, help="how much of it the server itself writes")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which are used again; else a temporary one")
    parser.add_argument("--pg-bindir", type=Path, help="PostgreSQL's programs; else those that came with dbtune")
    parser.add_argument("--without-pgbadger", action="store_true")
    arguments = parser.parse_args()
    programs = binaries.at(arguments.pg_bindir.absolute()) if arguments.pg_bindir else binaries.find()
    formats = [name for name in arguments.formats if name != "json" or programs.major >= 15]
    pgbadger = None if arguments.without_pgbadger else shutil.which("pgbadger")
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in logs(folder, programs, formats, arguments.real_megabytes, arguments.megabytes):
            compare(name, path, pgbadger, Path(temporary))
            if arguments.keep is None:
                path.unlink()


def compare(name: str, path: Path, pgbadger: str | None, folder: Path) -> None:
    """Print how long each program takes for one file, and what it found in it."""
    megabytes = path.stat().st_size / 1e6
    print(f"{name}: {megabytes:.0f} MB")
    print(f"  {'':<20}{'seconds':>9}{'MB/s':>7}{'ratio':>8}{'CPU':>8}{'ratio':>9}{'most MB':>9}{'calls':>11}")
    first: Took | None = None
    for label, command, calls in commands(name, path, pgbadger, folder):
        took = timed(command)
        first = first or took
        print(
            f"  {label:<20}{took.seconds:>9.1f}{megabytes / took.seconds:>7.1f}{first.seconds / took.seconds:>7.2f}x"
            f"{took.cpu:>8.1f}{f'({first.cpu / took.cpu:.2f}x)':>9}{took.megabytes:>9.0f}{calls():>11,}",
            flush=True,
        )


def commands(
    name: str, path: Path, pgbadger: str | None, folder: Path
) -> Iterator[tuple[str, list[str], Callable[[], int]]]:
    """Yield what to run, with its label, and a function that tells afterwards how many calls it found.

    pgBadger with one job comes first, because the others are compared with what is first.
    """
    for jobs in (1, 2) if pgbadger else ():
        report = folder / f"report-{jobs}.json"
        options = ["--quiet", "--jobs", str(jobs), "--format", PGBADGER_FORMATS[name], "--outfile", str(report)]
        prefix = ["--prefix", PREFIX] if name == "stderr" else []
        yield (
            f"pgbadger --jobs {jobs}",
            [str(pgbadger), *options, "--extension", "json", *prefix, str(path)],
            lambda report=report: _pgbadger_calls(report),  # type: ignore[misc]
        )
    for jobs in (1, 2):
        queries, report = folder / f"queries-{name}-{jobs}", folder / f"found-{jobs}.json"
        options = ["--jobs", str(jobs), "--query-dir", str(queries), "--quiet", "--format", "json", "-o", str(report)]
        yield (
            f"dbtune --jobs {jobs}",
            [DBTUNE, "capture", "log", str(path), *options],
            lambda report=report: sum(query["calls"] for query in json.loads(report.read_text())["queries"]),  # type: ignore[misc]
        )


def _pgbadger_calls(report: Path) -> int:
    """Return how many statements it counted: BEGIN and the like too, which dbtune leaves out."""
    found = json.loads(report.read_text())["overall_stat"]
    return max((each.get("queries_number", 0) for each in found.values() if isinstance(each, dict)), default=0)


def timed(command: list[str]) -> Took:
    """Return what the command costs."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if running.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(command)} ended with {running.returncode}: {output.read().decode(errors='replace')}")
    return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def logs(
    folder: Path, programs: binaries.Binaries, formats: list[str], real: int, megabytes: int
) -> Iterator[tuple[str, Path]]:
    """Yield each format's log, written where the folder does not have it yet."""
    base = {name: folder / f"real-{real}.{FORMATS[name]}" for name in formats}
    if not all(path.exists() for path in base.values()):
        with logging_server(programs) as server:
            written = work(server, real * 10**6)
            for name, path in base.items():
                shutil.copyfile(written.with_suffix(f".{FORMATS[name]}"), path)
    for name, path in base.items():
        large = folder / f"all-{megabytes}.{FORMATS[name]}"
        if not large.exists():
            repeated(path, large, name, megabytes * 10**6)
        yield name, large


@contextmanager
def logging_server(programs: binaries.Binaries) -> Iterator[EmbeddedServer]:
    """Run a server that logs every statement in every format that it knows."""
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-server-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder), programs)
        server.start()
        settings = {
            "logging_collector": "on",
            "log_destination": "stderr,csvlog" + (",jsonlog" if programs.major >= 15 else ""),
            "log_directory": "logs",
            "log_filename": "bench.log",
            "log_rotation_age": "0",
            "log_rotation_size": "0",
            "log_line_prefix": PREFIX,
            "log_min_duration_statement": "0",
            "synchronous_commit": "off",
        }
        try:
            connection = psycopg2.connect(server.url())
            connection.autocommit = True
            for name, value in settings.items():
                connection.cursor().execute(f"ALTER SYSTEM SET {name} = %s", (value,))
            connection.close()
            server.stop()
            server.start()
            yield server
        finally:
            server.reset()


def work(server: EmbeddedServer, size: int) -> Path:
    """Let pgbench and the party service work until the server has logged so many bytes; return its log."""
    log = server.data / "logs" / "bench.log"
    url = make_url(server.url()).set(drivername="postgresql+psycopg2")
    with connect(Target(url, "the benchmark")) as connection:
        data.load(connection, Scale(businesses=500))
        wanted = requests.choose(connection)
    pgbench = _pgbench(server)
    pgbench(["-i", "-q"])
    engines = [create_engine(url)]
    try:
        import psycopg  # noqa: F401

        engines.append(create_engine(url.set(drivername="postgresql+psycopg"), connect_args={"prepare_threshold": 2}))
    except ImportError:
        print("psycopg is not installed: the party service's values are within the texts only")
    number = 0
    while log.stat().st_size < size:
        pgbench(["-n", f"-M{MODES[number % 2]}", f"-c{CLIENTS}", f"-t{TRANSACTIONS}"])
        with Session(engines[number % len(engines)]) as session:
            for request in wanted:
                capture.run(session, request)
        number += 1
    for engine in engines:
        engine.dispose()
    time.sleep(1)  # the collector is a process of its own
    return log


def _pgbench(server: EmbeddedServer) -> Callable[[list[str]], None]:
    """Return pgbench of the server's programs or of PATH, else what sends the same statements."""
    program = shutil.which("pgbench", path=f"{server.programs.bindir}{os.pathsep}{os.environ.get('PATH', '')}")

    def run(options: list[str]) -> None:
        if program is None:
            _like_pgbench(server.url(), options)
            return
        done = subprocess.run([program, *options, server.url()], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"pgbench ended with {done.returncode}: {done.stderr}")

    return run


def _like_pgbench(url: str, options: list[str]) -> None:
    """Send the statements of pgbench's built-in script, by psycopg for the prepared protocol."""
    chance = random.Random()
    if "-i" in options:
        with psycopg2.connect(url) as connection:
            cursor = connection.cursor()
            for table, column, rows in (("accounts", "a", 100_000), ("tellers", "t", 10), ("branches", "b", 1)):
                cursor.execute(
                    f"CREATE TABLE pgbench_{table} AS SELECT g AS {column}id, 1 AS bid, 0 AS {column}balance"
                    f" FROM generate_series(1, {rows}) AS g"
                )
                cursor.execute(f"CREATE INDEX ON pgbench_{table} ({column}id)")
            cursor.execute("CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp)")
        connection.close()
        return
    prepared = "-Mprepared" in options
    if prepared:
        import psycopg

        opened = psycopg.connect(url, prepare_threshold=0)
        execute: Callable[[str, tuple[int, ...]], object] = opened.execute
        commit, close = opened.commit, opened.close
    else:
        simple = psycopg2.connect(url)
        execute, commit, close = simple.cursor().execute, simple.commit, simple.close
    for _ in range(CLIENTS * TRANSACTIONS):
        account, teller, delta = chance.randint(1, 100_000), chance.randint(1, 10), chance.randint(-5000, 5000)
        execute("UPDATE pgbench_accounts SET abalance = abalance + %s WHERE aid = %s;", (delta, account))
        execute("SELECT abalance FROM pgbench_accounts WHERE aid = %s;", (account,))
        execute("UPDATE pgbench_tellers SET tbalance = tbalance + %s WHERE tid = %s;", (delta, teller))
        execute("UPDATE pgbench_branches SET bbalance = bbalance + %s WHERE bid = %s;", (delta, 1))
        execute(
            "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (%s, %s, %s, %s, CURRENT_TIMESTAMP);",
            (teller, 1, account, delta),
        )
        commit()
    close()


def repeated(source: Path, target: Path, name: str, size: int) -> None:
    """Write the log again and again, later each time and by other processes, until there are so many bytes."""
    text = source.read_bytes()
    head, beginning = _HEADS[name], _BEGINNINGS[name]
    times = [_moment(found[1]) for found in (head.search(text), head.search(text, len(text) - 10_000)) if found]
    span = timedelta(seconds=int((times[-1] - times[0]).total_seconds()) + 60)
    part = target.with_name(f"{target.name}.part")
    with part.open("wb") as file:
        copies = 0
        while file.tell() < size:
            later = _later(span * copies)
            file.write(
                head.sub(
                    lambda found, later=later, more=copies * 65536: (  # type: ignore[misc]
                        beginning + later(found[1]) + found[2] + str(int(found[3]) + more).encode()
                    ),
                    text,
                )
            )
            copies += 1
    part.rename(target)


def _later(span: timedelta) -> Callable[[bytes], bytes]:
    @lru_cache(maxsize=100)
    def later(second: bytes) -> bytes:
        return f"{_moment(second) + span:%Y-%m-%d %H:%M:%S}".encode()

    return later


def _moment(second: bytes) -> datetime:
    return datetime.fromisoformat(second.decode())


if __name__ == "__main__":
    main()
