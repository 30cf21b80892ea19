"""The three pool settings of the 2019 report, predicted from the report's own facts, beside its figures.

    python benchmarks/report_2019.py

One route was asked 4,000 times: 100, 200 and 500 requests at each of five offsets. The report does not say how fast the
service was, so one number is taken from it: with a pool of 100 all succeeded, in 7,773 ms on average. If all 15 sets
began together, and the service did a fixed number of requests a second however many were under way, that number follows
from the mean; all else below is predicted from it. That they began together is inferred, not stated.
"""

from __future__ import annotations

from tabulate import tabulate

from dbtune.pool.curve import Curve
from dbtune.pool.queue import Steady
from dbtune.pool.simulation import System, simulate

COUNTS, OFFSETS_MS = (100, 200, 500), (50, 100, 200, 1000, 2000)
MEAN_S, MEDIAN_S = 7.773, 6.912
TIMEOUT_S = 30.0
"""SQLAlchemy's default, which the service used."""
USABLE = 300 - 3


def arrivals(routes: int = 1) -> tuple[float, ...]:
    """Return when requests come if all sets begin together, in seconds."""
    each = (number * offset / 1000 for count in COUNTS for offset in OFFSETS_MS for number in range(count))
    return tuple(sorted(list(each) * routes))


def constant(per_second: float) -> Curve:
    """Return the curve of a service that does as much whatever is under way: one busy machine."""
    return Curve(gamma=per_second, alpha=1.0)


def run(per_second: float, size: int, overflow: int = 0, limit: int | None = None, routes: int = 1) -> Steady:
    return simulate(
        System(
            rate=1.0,
            curve=constant(per_second),
            size=size,
            overflow=overflow,
            patience=TIMEOUT_S,
            limit=limit,
            variation=0.3,
            arrivals=arrivals(routes),
        )
    )


def response_s(per_second: float, size: int) -> float:
    """Return the mean response time: the wait, and the time on the server, by Little's law."""
    found = run(per_second, size)
    return found.wait.mean + found.busy * arrivals()[-1] / len(arrivals())


def calibrated() -> float:
    """Return the requests a second with which a pool of 100 has the report's mean response time."""
    low, high = 10.0, 100.0
    while high - low > 0.05:
        middle = (low + high) / 2
        low, high = (middle, high) if response_s(middle, 100) > MEAN_S else (low, middle)
    return (low + high) / 2


def main() -> None:
    speed = calibrated()
    print(f"{speed:.1f} requests a second give the report's mean of {MEAN_S * 1000:.0f} ms with a pool of 100\n")
    rows = []
    for name, size, overflow, limit, reported in (
        ("100", 100, 0, USABLE, "100 % ok"),
        ("500 against max_connections 300", 500, 0, USABLE, "80.30 % ok, 19.70 % errors"),
        ("5+10", 5, 10, USABLE, "87.1 % completed (3,484 of 4,000)"),
    ):
        found = run(speed, size, overflow, limit)
        rows.append([name, f"{found.success:.1%}", f"{found.timed_out:.1%}", f"{found.refused:.1%}", reported])
    print(tabulate(rows, ["pool", "ok", "timed out", "refused", "the report"], tablefmt="github"))
    print("\nand by how much the answer for 500 against 300 depends on the speed:\n")
    rows = []
    for factor in (0.8, 0.9, 1.0, 1.1, 1.2):
        found = run(speed * factor, 500, 0, USABLE)
        rows.append([f"{speed * factor:.1f}/s", f"{found.success:.1%}", f"{found.refused:.1%}"])
    print(tabulate(rows, ["speed", "ok", "refused"], tablefmt="github"))
    three = run(speed, 5, 10, USABLE, routes=3)
    print(f"\nall three routes together, 5+10: {three.success:.1%} ok; the report: 52.3 % (6,273 of 12,000)")


if __name__ == "__main__":
    main()
