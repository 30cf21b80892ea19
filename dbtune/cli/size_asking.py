"""What ``dbtune size`` asks a server: its limits, its transactions, its throughput; with progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from dbtune.cli import output
from dbtune.errors import UsageError
from dbtune.pool import live
from dbtune.pool import sweep as sweeping
from dbtune.pool.curve import Curve
from dbtune.pool.work import captured
from dbtune.server import connection as server
from dbtune.server import limits, production
from dbtune.server.connection import Target
from dbtune.server.interrupt import cancelling
from dbtune.workload import files
from dbtune.workload.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a server told, and who it was."""

    sources: dict[str, str]
    rate: float = 0.0
    curve: Curve | None = None
    variation: float = 1.0
    max_connections: int | None = None
    reserved: int = 3
    causes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def ask(url: str | None, rate: float | None, query_dir: Path, seconds: float, *, sweep: bool, quiet: bool) -> Found:
    """Measure what was not given on the server.

    :raises UsageError: nothing goes on there, or it does not tell how long connections are held.
    """
    target = server.resolve(url, output.note(quiet))
    has_queries = query_dir.is_dir() and any(query_dir.glob("*.sql"))
    queries = files.load_folder(query_dir).workload.queries if has_queries else ()
    with server.connect(target) as connection, server.translated(target):
        told = limits.read(connection)
        sources = {"limits": f"{told.max_connections} connections, {told.reserved} of them reserved, of {target}"}
        base = Found(sources=sources, max_connections=told.max_connections, reserved=told.reserved)
        if rate is not None and sweep:
            return _swept(target, connection, queries, told.usable, base, quiet)
        steps = max(1, round(seconds))
        with cancelling(), output.progress("watching transactions", steps, quiet) as step:
            shown = 0

            def tell(passed: float) -> None:
                nonlocal shown
                while shown < min(steps, int(passed)):
                    shown += 1
                    step("")

            found = live.observe(connection, seconds, queries, tell)
        sources["rate and hold"] = (
            f"transactions of {found.traffic.database} within {found.traffic.seconds:.0f} s ({found.traffic.source})"
        )
        if sweep:
            swept = _swept(target, connection, queries, told.usable, base, quiet)
            return replace(swept, rate=found.traffic.rate, causes=found.causes, doubts=found.traffic.doubts)
        return replace(
            base,
            rate=found.traffic.rate,
            curve=Curve.straight(found.hold),
            causes=found.causes,
            doubts=(
                *found.traffic.doubts,
                "hold times grow when more connections are busy: --sweep measures by how much",
            ),
        )


def _swept(
    target: Target,
    connection: Connection,
    queries: Sequence[Query],
    usable: int,
    base: Found,
    quiet: bool,
) -> Found:
    """Measure the throughput curve with the captured queries."""
    production.check_not_marked(connection, "--sweep")
    if not queries:
        raise UsageError("--sweep runs captured queries: name their folder with --query-dir (dbtune capture makes it)")
    chosen = captured(connection, queries)
    connection.rollback()
    steps = [step for step in sweeping.STEPS if step <= max(3, usable // 2)]
    with output.progress("measuring throughput,", len(steps), quiet) as step:
        swept = sweeping.sweep(target, chosen.work, steps[-1], steps=steps, tell=step)
    reasons = Counter(why for _, why in chosen.skipped)
    doubts = [f"{count} captured queries were left out: {why}" for why, count in reasons.items()]
    if swept.stopped is not None:
        doubts.append(f"the sweep ended early: {swept.stopped}")
    told = {
        "throughput": f"measured with {len(chosen.names)} captured queries on up to {swept.points[-1].n:g} connections",
    }
    return replace(
        base,
        sources={**base.sources, **told},
        curve=swept.curve,
        variation=swept.variation,
        doubts=tuple(doubts),
    )
