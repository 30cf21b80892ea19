"""What `dbtune connections` costs the server: one sample, one look, and the work of others while it samples.

    python benchmarks/connections_cost.py [--sessions 10,100,500] [--pg-bindir DIR]

A server of its own, made for this and removed after it, gets that many idle sessions and some that work. Times of
execution and planning are the server's, of pg_stat_statements; the client's clock is beside them. Then four clients do
short transactions for some seconds at a time, with and without sampling ten times a second, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import psycopg2
from sqlalchemy import Connection, make_url, text

from dbtune.server import binaries, connection, counters, limits, sessions, situation
from dbtune.server.embedded import EmbeddedServer

ROUNDS, CLIENTS, SECONDS, TURNS = 200, 4, 3.0, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", default="10,100,500")
    parser.add_argument("--pg-bindir", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedServer(folder, binaries.at(arguments.pg_bindir) if arguments.pg_bindir else None)
        server.start()
        try:
            url = server.url()
            send(
                url, "ALTER SYSTEM SET max_connections = 600", "ALTER SYSTEM SET pg_stat_statements.track_planning = on"
            )
            server.stop()
            server.start()
            target = connection.Target(make_url(url).set(drivername="postgresql+psycopg2"), "benchmark")
            for count in map(int, arguments.sessions.split(",")):
                with connection.connect(target) as opened:
                    measure(opened, target, url, count)
            with connection.connect(target) as opened:
                disturb(opened, url)
        finally:
            server.reset()


def send(url: str, *statements: str) -> None:
    with ExitStack() as stack:
        opened = psycopg2.connect(url)
        stack.callback(opened.close)
        opened.autocommit = True
        for statement in statements:
            opened.cursor().execute(statement)


def measure(opened: Connection, target: connection.Target, url: str, count: int) -> None:
    """Print what each statement and a whole look take with ``count`` sessions, one in ten within a transaction."""
    with ExitStack() as stack:
        for number in range(count):
            other = psycopg2.connect(url, application_name=f"app-{number % 7}")
            stack.callback(other.close)
            other.cursor().execute("SELECT count(*) FROM pg_class")
            if number % 10:
                other.commit()
        began = sampling_since(opened)
        version = connection.version_text(connection.server_version_num(opened))
        print(f"\nPostgreSQL {version}, {count} sessions, {ROUNDS} rounds: ms, the server's mean | the client's median")
        steps: dict[str, Callable[[], object]] = {
            "a sample (10 a second at most)": lambda: sessions.sample(opened, began),
            "the counters (twice an interval)": lambda: counters.read(opened),
            "all sessions (once)": lambda: sessions.read(opened),
            "the limits (once)": lambda: limits.read(opened),
            "a whole look": lambda: situation.read(opened, target, None),
        }
        for name, step in steps.items():
            opened.execute(text("SELECT pg_stat_statements_reset()"))
            opened.commit()
            seconds = []
            for _ in range(ROUNDS):
                at = time.perf_counter()
                step()
                opened.rollback()
                seconds.append(time.perf_counter() - at)
            told = opened.execute(
                text(
                    "SELECT sum(total_exec_time + total_plan_time) FROM pg_stat_statements"
                    " WHERE query NOT LIKE '%pg_stat_statements_reset%'"
                )
            ).scalar_one()
            opened.rollback()
            print(f"  {name:34} {told / ROUNDS:7.3f} | {statistics.median(seconds) * 1000:7.3f}")


def sampling_since(opened: Connection) -> datetime:
    """Return the server's time."""
    at: datetime = opened.execute(text("SELECT now()")).scalar_one()
    opened.rollback()
    return at


def disturb(opened: Connection, url: str) -> None:
    """Print how much others get done while the sessions are sampled ten times a second, against without."""
    began = sampling_since(opened)
    send(url, "CREATE TABLE work AS SELECT g AS id FROM generate_series(1, 1000) AS g", "ANALYZE work")
    done: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * TURNS):
        sampled = turn % 4 in (1, 2)
        counts = [0] * CLIENTS
        stop = threading.Event()

        def work(number: int, counts: list[int] = counts, stop: threading.Event = stop) -> None:
            other = psycopg2.connect(url)
            while not stop.is_set():
                other.cursor().execute("SELECT count(*) FROM work")
                other.commit()
                counts[number] += 1
            other.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + SECONDS
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(0.1, left))
            if sampled:
                sessions.sample(opened, began)
                opened.rollback()
        stop.set()
        for thread in threads:
            thread.join()
        done[sampled].append(sum(counts) / SECONDS)
    off, on = (statistics.median(done[kind]) for kind in (False, True))
    print(f"\n{CLIENTS} clients, transactions/s: {off:,.0f} alone, {on:,.0f} while sampled; ratio {on / off:.3f}")
    for name, kind in (("alone", False), ("sampled", True)):
        print(f"  {name}: {min(done[kind]):,.0f} to {max(done[kind]):,.0f}")


if __name__ == "__main__":
    main()
