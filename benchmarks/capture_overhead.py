"""What recording costs the application: CPU time of a request of the party service, with a recording and without.

    dbtune party load
    python benchmarks/capture_overhead.py [--rounds 40] [--url URL]

A process of its own answers the same requests again and again, through a threaded HTTP server, Flask, basic auth,
SQLAlchemy's ORM and psycopg2, and logs a line for each; every other round is recorded to a file, all statements of it.
The time is that of all threads of that process, the one that writes the file included; PostgreSQL's and the client's
are not in it. Rounds come in the order off, on, on, off: a machine that gets slower favours neither.
"""

from __future__ import annotations

import argparse
import gc
import http.client
import io
import json
import logging
import statistics
import tempfile
import time
from base64 import b64encode
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from flask import Flask, Response, jsonify, request
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from dbtune.capture.sqlalchemy import Recorded, record
from dbtune.party import capture
from dbtune.party.refusals import Refusal
from dbtune.party.requests import Request
from dbtune.server import connection

USER, PASSWORD = "admin", "secret"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="how many of each kind")
    parser.add_argument("--url", help="the database with the party data; else as dbtune finds it")
    arguments = parser.parse_args()
    target = connection.resolve(arguments.url)
    with connection.connect(target) as opened:
        wanted = capture.prepare(opened)
    ours, theirs = get_context("spawn").Pipe()
    url = target.url.render_as_string(hide_password=False)
    server = get_context("spawn").Process(target=serve, args=(theirs, url, wanted), daemon=True)
    server.start()
    port = ours.recv()
    for _ in range(2):
        answers(port, len(wanted))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    statements = size = 0
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as folder:
        for number in range(2 * arguments.rounds):
            is_recorded = number % 4 in (1, 2)
            path = Path(folder) / f"{number}"
            ours.send(str(path) if is_recorded else "")
            ours.recv()
            answers(port, len(wanted))
            ours.send("stop")
            seconds[is_recorded].append(ours.recv() / len(wanted))
            if is_recorded:
                text = path.read_text()
                statements, size = text.count('["sent"'), len(text)
    server.terminate()
    off, on = (statistics.median(seconds[kind]) for kind in (False, True))
    ratios = sorted(two / one for one, two in zip(seconds[False], seconds[True], strict=True))
    low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    print(f"{len(wanted)} requests a round, {statements} statements recorded, {size / statements:.0f} bytes each")
    print(f"without  {off * 1000:.3f} ms CPU a request (median of {arguments.rounds} rounds)")
    print(f"recorded {on * 1000:.3f} ms CPU a request")
    print(
        f"ratio of the medians {on / off:.4f}; of the shortest {min(seconds[True]) / min(seconds[False]):.4f};"
        f" of the pairs' {statistics.median(ratios):.4f}, 80 % {low:.3f} to {high:.3f}"
    )


def serve(pipe: Connection, url: str, wanted: list[Request]) -> None:
    """Serve in this process; the pipe begins each round, with a recording's path or without, and ends it."""
    logging.basicConfig(stream=io.StringIO(), level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    engine = create_engine(url, pool_size=5, max_overflow=10)
    server = make_server("127.0.0.1", 0, application(engine, wanted), threaded=True)
    pipe.send(server.server_port)
    gc.freeze()
    from threading import Thread

    Thread(target=server.serve_forever, daemon=True).start()
    while True:
        path = pipe.recv()
        gc.collect()
        began = time.process_time()
        recording: Recorded | None = record(engine, path) if path else None
        pipe.send(None)
        pipe.recv()
        if recording is not None:
            recording.stop()
        pipe.send(time.process_time() - began)


def application(engine: Engine, wanted: list[Request]) -> Flask:
    """Return a service that answers request number N at /N, as the party service would: one session, rolled back."""
    app = Flask("party")
    log = logging.getLogger("party")

    def view(number: int) -> Response | tuple[Response, int]:
        given = request.authorization
        if given is None or (given.username, given.password) != (USER, PASSWORD):
            return jsonify(error="unauthorised"), 401
        asked = wanted[number]
        with Session(engine) as session:
            try:
                found = asked.route.function(session, *asked.path, **asked.arguments)
                session.flush()
                return jsonify(found)
            except Refusal as refusal:
                return jsonify(error=str(refusal)), 404
            finally:
                session.rollback()
                log.info("%s", json.dumps({"event": "session", "pool": engine.pool.status()}))

    app.add_url_rule("/<int:number>", view_func=view)
    return app


def answers(port: int, count: int) -> None:
    """Send each request once, each on a connection of its own, as the report's hammer did."""
    headers = {"Authorization": f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"}
    for number in range(count):
        client = http.client.HTTPConnection("127.0.0.1", port)
        client.request("GET", f"/{number}", headers=headers)
        response = client.getresponse()
        response.read()
        assert response.status in (200, 404), (number, response.status)
        client.close()


if __name__ == "__main__":
    main()
