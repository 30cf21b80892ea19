"""How exactly dbtune hammer sends, and what that costs, beside a bare aiohttp loop, wrk and Locust; and its summaries.

    python benchmarks/hammer.py [--rate 1000] [--seconds 30] [--rows 10000000] [--locust PROGRAM]

All ask the same null server, a process of its own that answers every request with the same bytes. "CPU" is user and
system time of the generator alone, a request. dbtune and the bare loop are measured from the first request on, wrk and
Locust with their start. wrk has no rate: ten connections that wait between requests come near to it. Locust has as many
users as a tenth of the rate, of ten requests a second each. Both are closed: what their answers delay is not sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, cast

import aiohttp
import uvloop

from dbtune.load import record, schedule
from dbtune.load.hammer import Hammer, Options
from dbtune.load.latency import Latencies
from dbtune.load.outcome import Outcome
from dbtune.load.record import Head, Row, Writer
from dbtune.load.route import plain
from dbtune.load.summary import Summary, summarise
from dbtune.load.timeline import Timeline
from dbtune.render import load as render

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_SPAWN = multiprocessing.get_context("spawn")


class Took(NamedTuple):
    """What a generator did; the lag in seconds, NaN where it is not known."""

    requests: int
    rate: float
    lag: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000, help="requests a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rows", type=int, default=10_000_000, help="how many rows the long summary has")
    parser.add_argument("--repeat", type=int, default=1, help="how often dbtune and the bare loop take turns")
    parser.add_argument("--locust", default=shutil.which("locust"), help="Locust's program")
    arguments = parser.parse_args()
    with null_server() as url:
        generators(url, arguments.rate, arguments.seconds, arguments.repeat, arguments.locust)
    few_rows()
    if arguments.rows:
        many_rows(arguments.rows)


def generators(url: str, rate: int, seconds: int, repeat: int, locust: str | None) -> None:
    """Print how each generator kept a rate."""
    print(f"{rate}/s for {seconds} s, load average {os.getloadavg()[0]:.1f}")
    print(f"  {'':<14}{'requests':>9}{'rate':>9}{'off by':>8}{'lag p99':>10}{'CPU':>8}{'ratio':>7}")
    bare = 0.0
    for _ in range(repeat):
        for name, run in (("aiohttp, bare", _bare), ("dbtune", _dbtune)):
            took = apart(run, url, rate, seconds)
            bare = took.cpu if name != "dbtune" else bare
            tell(name, took, rate, bare)
    if (wrk := shutil.which("wrk")) is not None:
        tell("wrk", _wrk(wrk, url, rate, seconds), rate, bare)
    if locust:
        tell("Locust", _locust(locust, url, rate, seconds), rate, bare)


def tell(name: str, took: Took, rate: int, bare: float) -> None:
    """Print one line."""
    lag = f"{took.lag * 1000:.1f} ms" if took.lag == took.lag else "?"
    print(
        f"  {name:<14}{took.requests:>9,}{took.rate:>9.1f}{took.rate / rate - 1:>8.2%}{lag:>10}"
        f"{took.cpu * 1e6:>5.0f} µs{took.cpu / bare:>6.2f}x",
        flush=True,
    )


def apart(run: Callable[[Connection, str, int, int], None], url: str, rate: int, seconds: int) -> Took:
    """Return what a generator did in a process of its own."""
    ours, theirs = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=run, args=(theirs, url, rate, seconds))
    process.start()
    theirs.close()
    found: Took = ours.recv()
    process.join()
    return found


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _dbtune(told: Connection, url: str, rate: int, seconds: int) -> None:
    """Send as the command does, counting every row as it comes."""
    planned = schedule.constant(rate, seconds, 1)
    summary, timeline = Summary(planned=len(planned.due)), Timeline(planned.seconds)

    def keep(row: Row) -> None:
        summary.add(row)
        timeline.add(row)

    hammer = Hammer(url, [plain("/item/1")], planned, Options(), keep)
    before = _cpu()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(hammer.run())
    cpu = _cpu() - before
    assert summary.all.success == 1, summary.all.outcomes
    told.send(Took(summary.sent, summary.rate, summary.lag.at(0.99), cpu / summary.sent))


def _bare(told: Connection, url: str, rate: int, seconds: int) -> None:
    """Send with aiohttp and nothing else: a task for each request, and the times in a list."""
    sent: list[tuple[float, float]] = []

    async def ask(session: aiohttp.ClientSession, due: float) -> None:
        sent.append((due, time.perf_counter()))
        async with session.get(f"{url}/item/1") as answer:
            await answer.read()

    async def run() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            began = time.perf_counter() + 0.25
            tasks = set()
            for number in range(rate * seconds):
                due = began + number / rate
                if (ahead := due - time.perf_counter()) > 0:
                    await asyncio.sleep(ahead)
                task = asyncio.create_task(ask(session, due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)

    before = _cpu()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    cpu = _cpu() - before
    lag = Latencies()
    for due, at in sent:
        lag.add(at - due)
    told.send(Took(len(sent), (len(sent) - 1) / (sent[-1][1] - sent[0][1]), lag.at(0.99), cpu / len(sent)))


def _wrk(program: str, url: str, rate: int, seconds: int) -> Took:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "delay.lua"
        script.write_text(f"function delay() return {10_000 // rate} end\n")
        text, cpu = _run([program, "-t1", "-c10", f"-d{seconds}s", "-s", str(script), f"{url}/item/1"])
    requests = int(re.findall(r"(\d+) requests in", text)[0])
    achieved = float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])
    return Took(requests, achieved, float("nan"), cpu / requests)


def _locust(program: str, url: str, rate: int, seconds: int) -> Took:
    users = max(1, rate // 10)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "locustfile.py"
        script.write_text(
            "from locust import FastHttpUser, constant_throughput, task\n"
            "class User(FastHttpUser):\n"
            f"    wait_time = constant_throughput({rate / users})\n"
            "    @task\n"
            "    def ask(self):\n"
            "        self.client.get('/item/1')\n"
        )
        options = ["--headless", "--json", "-u", str(users), "-r", str(users), "-t", f"{seconds}s", "--host", url]
        text, cpu = _run([program, "-f", str(script), *options])
    (told,) = json.loads(text)
    requests = told["num_requests"]
    return Took(
        requests, requests / (told["last_request_timestamp"] - told["start_time"]), float("nan"), cpu / requests
    )


def _run(command: list[str]) -> tuple[str, float]:
    """Return what a command printed, and its seconds of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr[-400:]}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class _Null(asyncio.Protocol):
    """Answers each request that has no body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        if requests:
            self._transport.write(_ANSWER * len(requests))


def _serve(listener: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Null, sock=listener, backlog=4096)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


@contextmanager
def null_server() -> Iterator[str]:
    """Run it for the block; what it yields is its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = _SPAWN.Process(target=_serve, args=(listener,), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.join()


def rows(count: int) -> Iterator[Row]:
    """Yield rows of three routes and fifteen sets, a twentieth of them failures."""
    for number in range(count):
        due = number / 1000
        bad = number % 20 == 0
        yield Row(
            number=number,
            cell=f"set {number // 7 % 15}",
            route=f"GET /{number % 3}",
            due=due,
            sent=due + 0.001,
            done=due + 0.002 + (number * 7919 % 100_003) / 1e6,
            outcome=Outcome.SERVER_ERROR if bad else Outcome.OK,
            status=500 if bad else 200,
            detail="pool exhausted" if bad else "",
        )


def few_rows(count: int = 12_000) -> None:
    """Print how long a file of raw rows takes to become tables."""
    head = Head(target="http://localhost", schedule="15 sets", requests=count, began=0.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw.jsonl"
        with path.open("w", encoding="utf-8") as file:
            writer = Writer(file, head)
            for row in rows(count):
                writer.write(row)
        began = time.perf_counter()
        summary, timeline = Summary(planned=count), Timeline(count / 1000)
        for row in record.rows(path):
            summary.add(row)
            timeline.add(row)
        render.screen(head, summary, timeline, 100)
        print(f"{count:,} rows of a file in tables: {time.perf_counter() - began:.2f} s")


def many_rows(count: int) -> None:
    """Print how long very many rows take to be summarised, and in how much memory."""
    ours, theirs = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_many_rows, args=(theirs, count))
    process.start()
    print(ours.recv())
    process.join()


def _many_rows(told: Connection, count: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    found = summarise(rows(count), count)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert found.all.count == count
    told.send(f"{count:,} rows summarised: {seconds:.0f} s, {after:.0f} MB of memory, {after - before:.0f} MB for it")


if __name__ == "__main__":
    main()
