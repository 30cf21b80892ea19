"""What recording costs the application: CPU time of a request of the party service, with a recording and without.

    dbtune party load
    python benchmarks/capture_overhead.py [--rounds 40] [--url URL]

One process answers the same requests again and again through Flask, SQLAlchemy's ORM and psycopg2; every other round is
recorded to a file, all statements of it. The time is that of all threads of the process, the one that writes the file
included; the server's is not in it.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from pathlib import Path

from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from dbtune.capture.sqlalchemy import record
from dbtune.party import capture
from dbtune.party.requests import Request
from dbtune.server import connection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="how many of each kind")
    parser.add_argument("--url", help="the database with the party data; else as dbtune finds it")
    arguments = parser.parse_args()
    target = connection.resolve(arguments.url)
    with connection.connect(target) as opened:
        wanted = capture.prepare(opened)
    engine = create_engine(target.url, pool_size=5, max_overflow=10)
    client = application(engine, wanted).test_client()
    for _ in range(2):
        answer(client, wanted)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    statements = size = 0
    gc.disable()  # a collection falls into one round or the other by chance
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as folder:
        for number in range(2 * arguments.rounds):
            is_recorded = number % 4 in (1, 2)  # off on on off: a machine that gets slower favours neither
            path = Path(folder) / f"{number}"
            gc.collect()
            began = time.process_time()
            if is_recorded:
                with record(engine, path):
                    answer(client, wanted)
                text = path.read_text()
                statements, size = text.count('["sent"'), len(text)
            else:
                answer(client, wanted)
            seconds[is_recorded].append((time.process_time() - began) / len(wanted))
    off, on = (statistics.median(seconds[kind]) for kind in (False, True))
    ratios = sorted(two / one for one, two in zip(seconds[False], seconds[True], strict=True))
    low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    print(f"{len(wanted)} requests a round, {statements} statements recorded, {size / statements:.0f} bytes each")
    print(f"without  {off * 1000:.3f} ms CPU a request (median of {arguments.rounds} rounds)")
    print(f"recorded {on * 1000:.3f} ms CPU a request")
    print(
        f"ratio of the medians {on / off:.4f}; of the pairs' {statistics.median(ratios):.4f},"
        f" 80 % {low:.3f} to {high:.3f}"
    )


def application(engine: Engine, wanted: list[Request]) -> Flask:
    """Return a service that answers request number N at /N, as the party service would: one session, rolled back."""
    app = Flask("party")

    def view(number: int) -> dict[str, str]:
        with Session(engine) as session:
            capture.run(session, wanted[number])
        return {"path": request.path}

    app.add_url_rule("/<int:number>", view_func=view)
    return app


def answer(client: FlaskClient, wanted: list[Request]) -> None:
    """Send each request once."""
    for number in range(len(wanted)):
        client.get(f"/{number}")


if __name__ == "__main__":
    main()
