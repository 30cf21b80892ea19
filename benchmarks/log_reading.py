"""How fast a server's log becomes queries, in each format, from one process and from two.

    python benchmarks/log_reading.py [--megabytes 50] [--formats stderr csvlog jsonlog] [--keep FOLDER]

The entries are like those of pgbench with log_min_duration_statement = 0, in equal parts over the simple and the
extended protocol, and of an application's reads. An entry is what the server says once, its DETAIL included. Where
pgbadger is installed it reads the same file.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

PREFIX = "%m [%p] "
FORMATS = {"stderr": "log", "csvlog": "csv", "jsonlog": "json"}
DBTUNE = str(Path(sys.executable).parent / "dbtune")


class Said(NamedTuple):
    """One entry."""

    time: str
    process: int
    message: str
    detail: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--keep", type=Path, help="a folder for the logs; else a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in arguments.formats:
            path = folder / f"postgresql.{FORMATS[name]}"
            entries = written(path, name, arguments.megabytes * 10**6)
            megabytes = path.stat().st_size / 1e6
            print(f"{name}: {megabytes:.0f} MB, {entries:,} entries")
            alone = None
            for label, command in commands(name, path, Path(temporary)):
                seconds = timed(command)
                alone = alone or seconds
                print(
                    f"  {label:<18} {seconds:>7.1f} s {megabytes / seconds:>7.1f} MB/s"
                    f" {entries / seconds:>10,.0f} entries/s {alone / seconds:>6.2f}x"
                )


def commands(name: str, path: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield what to run, with its label; pgbadger first, because the others are compared with what is first."""
    if pgbadger := shutil.which("pgbadger"):
        command = [pgbadger, "--quiet", "--jobs", "1", "--format", name, "--outfile", str(folder / "report.html")]
        yield "pgbadger", [*command, *(["--prefix", PREFIX] if name == "stderr" else []), str(path)]
    for jobs in (1, 2):
        queries = folder / f"queries-{name}-{jobs}"
        yield (
            f"dbtune --jobs {jobs}",
            [DBTUNE, "capture", "log", str(path), "--jobs", str(jobs), "--query-dir", str(queries), "--quiet"],
        )


def timed(command: list[str]) -> float:
    """Return the seconds that the command takes."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return time.perf_counter() - started


def written(path: Path, name: str, size: int) -> int:
    """Write a log of ``size`` bytes; return how many entries it has."""
    render: Callable[[int, Said], str] = {"stderr": stderr, "csvlog": csvlog, "jsonlog": jsonlog}[name]
    count = bytes_written = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for said in entries():
            line = render(count, said)
            file.write(line)
            bytes_written += len(line)
            count += 1
            if bytes_written >= size:
                break
    return count


def entries() -> Iterator[Said]:
    """Yield entries without end; the same every time."""
    chance = random.Random(4)
    number = 0
    while True:
        process = 2000 + chance.randrange(16)
        account, teller, branch = chance.randrange(10**7), chance.randrange(1000), chance.randrange(100)
        delta = chance.randrange(-5000, 5000)
        calls: list[tuple[str, tuple[object, ...]]] = [
            ("UPDATE pgbench_accounts SET abalance = abalance + {} WHERE aid = {};", (delta, account)),
            ("SELECT abalance FROM pgbench_accounts WHERE aid = {};", (account,)),
            ("UPDATE pgbench_tellers SET tbalance = tbalance + {} WHERE tid = {};", (delta, teller)),
            (
                "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ({}, {}, {}, {}, CURRENT_TIMESTAMP);",
                (teller, branch, account, delta),
            ),
            (
                "SELECT respondent.id, respondent.first_name, respondent.last_name FROM partysvc.respondent"
                " WHERE lower(respondent.email_address) = {} ORDER BY respondent.created_on DESC\n LIMIT {}",
                (f"person.{account}@example.com", 1),
            ),
        ]
        is_simple = chance.random() < 0.5
        for template, values in calls:
            number += 1
            written_at = f"2026-01-{1 + number // 8640000 % 28:02} {number // 360000 % 24:02}:{number // 6000 % 60:02}"
            stamp = f"{written_at}:{number // 100 % 60:02}.{number % 100 * 10:03} UTC"
            shown = [f"'{value}'" for value in values]
            if is_simple:
                text = template.format(*(v if isinstance(v, str) is False else f"'{v}'" for v in values))
                yield Said(stamp, process, f"duration: {chance.random():.3f} ms  statement: {text}", "")
                continue
            text = template.format(*(f"${n}" for n in range(1, len(values) + 1)))
            detail = "Parameters: " + ", ".join(f"${n} = {value}" for n, value in enumerate(shown, start=1))
            yield Said(stamp, process, f"duration: {chance.random():.3f} ms  parse <unnamed>: {text}", "")
            yield Said(stamp, process, f"duration: {chance.random():.3f} ms  bind <unnamed>: {text}", detail)
            yield Said(stamp, process, f"duration: {chance.random():.3f} ms  execute <unnamed>: {text}", detail)


def stderr(number: int, said: Said) -> str:
    """Return an entry as stderr has it."""
    head = f"{said.time} [{said.process}] "
    lines = head + "LOG:  " + said.message.replace("\n", "\n\t") + "\n"
    return lines + (f"{head}DETAIL:  {said.detail}\n" if said.detail else "")


def csvlog(number: int, said: Said) -> str:
    """Return an entry as csvlog has it, with the columns of PostgreSQL 14 and newer."""
    values = [
        said.time, '"app"', '"party"', said.process, '"127.0.0.1:40000"', f"679c3a10.{said.process:x}", number,
        '"SELECT"', "2026-01-01 00:00:00 UTC", "3/42", 0, "LOG", "00000", quoted(said.message), quoted(said.detail),
        "", "", "", "", "", "", "", '"pgbench"', '"client backend"', "", 0,
    ]  # fmt: skip
    return ",".join(map(str, values)) + "\n"


def quoted(text: str) -> str:
    """Return a text as csvlog has it."""
    return '"' + text.replace('"', '""') + '"' if text else ""


def jsonlog(number: int, said: Said) -> str:
    """Return an entry as jsonlog has it."""
    fields = {
        "timestamp": said.time, "user": "app", "dbname": "party", "pid": said.process, "remote_host": "127.0.0.1",
        "remote_port": 40000, "session_id": f"679c3a10.{said.process:x}", "line_num": number, "ps": "SELECT",
        "session_start": "2026-01-01 00:00:00 UTC", "vxid": "3/42", "txid": 0, "error_severity": "LOG",
        "message": said.message, "detail": said.detail, "application_name": "pgbench",
        "backend_type": "client backend", "query_id": 0,
    }  # fmt: skip
    return json.dumps({k: v for k, v in fields.items() if v != ""}, ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    main()
