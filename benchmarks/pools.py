"""Predicted against measured: SQLAlchemy's QueuePool on a real server, cell by cell.

    python benchmarks/pools.py [--quick] [--seconds 60]

For each kind of work the server's throughput curve is measured first (a few seconds for each number of connections),
then every cell is predicted, and only then run: requests arrive at random (Poisson) at the cell's rate, each in a
thread of its own, takes a connection from the pool, works, and returns it. A role's CONNECTION LIMIT stands for a
server that refuses (SQLSTATE 53300). Before and after each cell the machine's speed is measured again: predictions are
scaled by the one before. A cell whose machine changed by more than a tenth meanwhile gives no verdict, nor one whose
generator was late: it shares the machine. Prints success, what failed of what, and waits, predicted and measured, and
the misses.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError, TimeoutError
from tabulate import tabulate

from dbtune.party import data
from dbtune.party.rows import Scale
from dbtune.pool.prediction import Demand, Prediction, Settings, predict
from dbtune.pool.sweep import Swept, closed_loop, sweep
from dbtune.pool.work import Work, captured, read_only, statement
from dbtune.server.connection import Target, connect, parse_url, pooled, sqlstate
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload import files

SLEEP_S = 0.25
CPU = "SELECT count(*) FROM generate_series(1, 150000)"
ROLE_LIMIT = 97
DRIFT = 0.1
LATE_S = 0.05
"""A generator whose 99th percentile is later than this gives no verdict."""

PARTY = (
    "select-business-attributes-by-business-ref",
    "select-business-by-party-uuid-in",
    "select-business-by-party-uuid",
    "select-business-by-business-ref",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A setting and a load, as a share of what the pool can do at best."""

    work: str
    size: int
    overflow: int = 0
    timeout: float = 2.0
    load: float = 1.0
    limit: int | None = None


CELLS = (
    Cell(work="sleep", size=5, overflow=10, load=0.8),
    Cell(work="sleep", size=5, overflow=10, load=1.0),
    Cell(work="sleep", size=5, overflow=10, load=1.2),
    Cell(work="sleep", size=5, overflow=10, timeout=0.5, load=1.1),
    Cell(work="sleep", size=5, timeout=1.0, load=0.95),
    Cell(work="sleep", size=30, load=1.05),
    Cell(work="sleep", size=100, limit=15, load=0.8),
    Cell(work="sleep", size=100, limit=15, load=1.2),
    Cell(work="cpu", size=2, load=0.8),
    Cell(work="cpu", size=2, load=1.15),
    Cell(work="cpu", size=5, overflow=10, load=0.9),
    Cell(work="cpu", size=5, overflow=10, timeout=0.5, load=1.1),
    Cell(work="party", size=5, load=0.8),
    Cell(work="party", size=5, timeout=1.0, load=1.15),
    Cell(work="party", size=5, overflow=10, load=0.9),
)


@dataclass(slots=True)
class Measured:
    """What happened, in seconds: ``waits`` and ``responses`` of those served, ``lags`` of the generator."""

    served: int = 0
    timed_out: int = 0
    refused: int = 0
    other: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    responses: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return self.served + self.timed_out + self.refused + len(self.other)

    @property
    def success(self) -> float:
        return self.served / self.sent


class Deck(random.Random):
    """Dice that deal evenly spread numbers in a random order, again and again; threads may share them.

    What is asked comes in no order, as it does in life, but chance has less of a say in its mean: a few thousand
    requests, some of which take much longer than others, may otherwise ask for several per cent more than they should.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._numbers = [(place + 0.5) / 500 for place in range(500)]
        random.Random(seed).shuffle(self._numbers)
        self._turns = itertools.count()

    def random(self) -> float:
        return self._numbers[next(self._turns) % len(self._numbers)]


def run(target: Target, settings: Settings, work: Work, rate: float, seconds: float, seed: int) -> Measured:
    """Load the pool, leave out the first tenth, and return what happened to the rest."""
    engine = pooled(target, settings.size, settings.overflow, settings.timeout)
    found = Measured()
    lock = threading.Lock()
    dice, deck = random.Random(seed), Deck(seed)
    began = time.perf_counter()
    warm = began + seconds / 10

    def request(intended: float) -> None:
        asked = time.perf_counter()
        waited = asked
        outcome = "served"
        try:
            with engine.connect() as connection:
                waited = time.perf_counter()
                if not connection.info.get("prepared"):
                    read_only(connection)
                    work.prepare(connection)
                    connection.info["prepared"] = True
                work.run(connection, deck)
        except TimeoutError:
            outcome = "timed_out"
        except DBAPIError as error:
            outcome = "refused" if sqlstate(error) in ("53300", None) else str(error.orig)
        with lock:
            if intended < warm:
                return
            found.lags.append(asked - intended)
            if outcome == "served":
                found.served += 1
                found.waits.append(waited - asked)
                found.responses.append(time.perf_counter() - intended)
            elif outcome == "timed_out":
                found.timed_out += 1
            elif outcome == "refused":
                found.refused += 1
            else:
                found.other.append(outcome)

    threads: list[threading.Thread] = []
    # As many as the rate says, at random times: a Poisson process whose number is not left to chance.
    whole = seconds * 1.1
    for at in sorted(began + dice.random() * whole for _ in range(round(rate * whole))):
        time.sleep(max(0.0, at - time.perf_counter()))
        thread = threading.Thread(target=request, args=(at,), daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    engine.dispose()
    return found


def at(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def sleeping() -> Work:
    """Return exponential sleeps."""

    def sleep(connection: Connection, dice: random.Random) -> None:
        connection.exec_driver_sql(f"SELECT pg_sleep({-SLEEP_S * math.log(1 - dice.random()):.6f})")

    return Work(prepare=lambda opened: None, run=sleep)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true", help="every third cell, a third of the time")
    parser.add_argument("--only", default="", help="a kind of work")
    given = parser.parse_args()
    cells = [cell for cell in CELLS if given.only in cell.work][:: 3 if given.quick else 1]
    seconds = given.seconds / (3 if given.quick else 1)
    with tempfile.TemporaryDirectory(prefix="dbtune-pools-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder) / "data")
        server.start()
        try:
            measure(server, cells, seconds)
        finally:
            server.stop()


def measure(server: EmbeddedServer, cells: list[Cell], seconds: float) -> None:
    owner = Target(parse_url(server.url(), "embedded"), "embedded")
    with connect(owner) as connection:
        connection.exec_driver_sql(f"CREATE ROLE app LOGIN CONNECTION LIMIT {ROLE_LIMIT}")
        connection.commit()
        works = prepare(connection, owner, {cell.work for cell in cells})
    target = Target(make_url(owner.url).set(username="app"), "embedded")
    swept: dict[str, Swept] = {}
    for name, work in works.items():
        swept[name] = sweep(target, work, 30, 12.5 if name == "sleep" else 4.0)
        print(name, " ".join(f"{p.n:g}:{p.per_second:.1f}" for p in swept[name].points),
              f"variation {swept[name].variation:.2f}", file=sys.stderr)  # fmt: skip
    rows, misses, waits = [], [], []
    for number, cell in enumerate(cells):
        ran = run_cell(owner, target, cell, works[cell.work], swept[cell.work], seconds, number)
        rows.append(row(cell, ran))
        print(tabulate([rows[-1]], tablefmt="plain"), file=sys.stderr, flush=True)
        if ran.no_verdict is not None:
            continue
        misses.append(abs(ran.predicted.steady.success - ran.found.success) * 100)
        median = at(ran.found.waits, 0.5)
        if median > 0.01:
            waits.append(ran.predicted.steady.wait.p50 / median - 1)
    headers = ["work", "pool", "time-out", "limit", "rate", "success", "measured", "lost to", "waits", "measured",
               "p50 wait", "measured", "mean", "measured", "lag p99", "drift", ""]  # fmt: skip
    print(tabulate(rows, headers, tablefmt="github"))
    if misses:
        print(f"\nmiss of success, points: median {statistics.median(misses):.2f}, worst {max(misses):.2f}")
    if waits:
        middle, worst = statistics.median(map(abs, waits)), max(map(abs, waits))
        print(f"miss of the median wait: median {middle:.0%}, worst {worst:.0%} ({len(waits)} cells that wait)")


def prepare(connection: Connection, owner: Target, wanted: set[str]) -> dict[str, Work]:
    works: dict[str, Work] = {}
    if "sleep" in wanted:
        works["sleep"] = sleeping()
    if "cpu" in wanted:
        works["cpu"] = statement(CPU)
    if "party" in wanted:
        works["party"] = party(connection, owner)
    return works


def party(connection: Connection, owner: Target) -> Work:
    """Return the captured queries of the party service that scan, on its data without indexes, nine versions each."""
    data.load(connection, Scale(businesses=10_000, versions=9, seed=2019))
    connection.exec_driver_sql(
        "GRANT USAGE ON SCHEMA partysvc TO app; GRANT SELECT ON ALL TABLES IN SCHEMA partysvc TO app"
    )
    connection.commit()
    loaded = files.load_folder(Path(__file__).parents[1] / "queries")
    return captured(connection, [query for query in loaded.workload.queries if query.name in PARTY]).work


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A cell after it ran; ``drift`` is how much faster the machine was after it than before."""

    predicted: Prediction
    found: Measured
    drift: float

    @property
    def no_verdict(self) -> str | None:
        """Return why nothing follows from it."""
        if at(self.found.lags, 0.99) > LATE_S:
            return "the generator was late"
        if abs(self.drift - 1) > DRIFT:
            return f"the machine's speed changed by {self.drift - 1:+.0%}"
        return None


def run_cell(owner: Target, target: Target, cell: Cell, work: Work, swept: Swept, seconds: float, seed: int) -> Ran:
    with connect(owner) as connection:
        connection.exec_driver_sql(f"ALTER ROLE app CONNECTION LIMIT {ROLE_LIMIT}")
        connection.commit()
    settings = Settings(size=cell.size, overflow=cell.overflow, timeout=cell.timeout, limit=cell.limit)
    most = min(settings.cap, cell.limit or settings.cap)
    before = speed(target, cell, work, most)
    with connect(owner) as connection:
        connection.exec_driver_sql(f"ALTER ROLE app CONNECTION LIMIT {cell.limit or ROLE_LIMIT}")
        connection.commit()
    curve = swept.curve.times(before / swept.curve.per_second(most)) if before else swept.curve
    rate = cell.load * max(curve.per_second(n) for n in range(1, most + 1))
    predicted = predict(settings, Demand(rate=rate, curve=curve, variation=swept.variation))
    found = run(target, settings, work, rate, seconds, seed)
    for each in set(found.other):
        print(f"  also {found.other.count(each)}: {each}", file=sys.stderr)
    after = speed(target, cell, work, most)
    return Ran(predicted=predicted, found=found, drift=after / before if before else 1.0)


def speed(target: Target, cell: Cell, work: Work, n: int) -> float:
    """Return what the machine does with ``n`` busy now; 0 for sleeps, which do not depend on it."""
    return 0.0 if cell.work == "sleep" else closed_loop(target, work, n, 6.0)[0]


def row(cell: Cell, ran: Ran) -> list[str]:
    steady, found = ran.predicted.steady, ran.found
    band = 1.96 * math.sqrt(max(1e-9, found.success * (1 - found.success)) / found.sent)
    waited = sum(wait > 0.005 for wait in found.waits) + found.timed_out
    return [
        cell.work,
        f"{cell.size}+{cell.overflow}",
        f"{cell.timeout:g} s",
        str(cell.limit or ""),
        f"{ran.predicted.demand.rate:.1f}",
        f"{steady.success:.2%}",
        f"{found.success:.2%} ± {band * 100:.1f}",
        f"{found.timed_out} timed out, {found.refused} refused",
        f"{steady.p_wait:.0%}",
        f"{waited / found.sent:.0%}",
        *(f"{each * 1000:.0f} ms" for each in (steady.wait.p50, at(found.waits, 0.5))),
        *(f"{each * 1000:.0f} ms" for each in (steady.wait.mean, statistics.fmean(found.waits or [0.0]))),
        f"{at(found.lags, 0.99) * 1000:.0f} ms",
        f"{ran.drift - 1:+.0%}",
        ran.no_verdict or "",
    ]


if __name__ == "__main__":
    main()
