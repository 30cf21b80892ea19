"""TPC-H without any index: what the advisor chooses at four budgets, against a greedy baseline, and what it is worth.

    python -m benchmarks.advisor.run --pg-bindir /usr/lib/postgresql/15/bin --width 2 --plain

Data and queries are those of duckdb's generator; queries 2, 17 and 20 are left out, for without an index they outweigh
all others together. The planner is asked on a twin, from a snapshot alone. Then each chosen set is built for real: the
server's own planner tells what the workload costs with it, and with --time it is run, before and after.

``--plain`` allows whole-table btree indexes on columns alone: what the published algorithms choose from.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, make_url

from benchmarks.advisor import tpch
from benchmarks.advisor.greedy import greedy
from benchmarks.advisor.plot import Series, svg
from dbtune.index.advisor.case import Case, Found, look
from dbtune.index.advisor.measuring import measure
from dbtune.index.advisor.wanted import Wanted, heap_bytes
from dbtune.index.definition import Index
from dbtune.index.selection import Selected, Selection, select
from dbtune.index.whatif.protocol import WhatIf
from dbtune.index.whatif.real import Real, raise_real
from dbtune.index.whatif.twin import raise_twin
from dbtune.server import binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.snapshot.read import read
from dbtune.snapshot.value import BLOCK, Snapshot
from dbtune.workload.files import load_folder

BUDGETS = (10, 25, 50, 100)
BEST_PUBLISHED = {10: 96.8, 25: 86.0, 50: 74.9, 100: 66.3}
"""Of Extend, DB2Advis, AutoAdmin, Relaxation and DTA-anytime, widths 2 and 3, at HypoPG's sizes, in % (reference)."""

_POINTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One budget, in % of the heap. Costs are in % of the workload's without any index; times of it in ms."""

    budget: int
    cost: float
    planned_gap: float
    gap: float
    mb: float
    indexes: int
    published: float
    greedy_cost: float | None = None
    greedy_calls: int | None = None
    real_cost: float | None = None
    real_mb: float | None = None
    ms_before: float | None = None
    ms_after: float | None = None
    deceived: tuple[str, ...] = ()


def main() -> None:
    """Run it as the command line asks, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=0.3)
    parser.add_argument("--width", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="btree indexes of whole tables on columns alone")
    parser.add_argument("--pg-bindir", type=Path)
    parser.add_argument("--data-dir", type=Path, help="keep the loaded server here, for another run")
    parser.add_argument("--no-greedy", action="store_true")
    parser.add_argument("--no-real", action="store_true")
    parser.add_argument("--time", action="store_true", help="run the workload, before and after")
    parser.add_argument("--svg", type=Path, help="write the curve of cost over size")
    parser.add_argument("--json", type=Path, help="write all figures")
    options = parser.parse_args()
    programs = binaries.at(options.pg_bindir.absolute()) if options.pg_bindir else binaries.find()
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(options.data_dir or Path(folder), programs)
        server.start(_say)
        target = Target(make_url(server.url()).set(drivername="postgresql+psycopg2"), "benchmark")
        try:
            _run(options, target)
        finally:
            if options.data_dir is None:
                server.reset()
            else:
                server.stop()


def _run(options: argparse.Namespace, target: Target) -> None:
    with connect(target) as connection:
        if not _is_loaded(connection):
            _say(f"loading TPC-H, scale {options.scale}")
            tpch.load(connection, options.scale)
    with connect(target) as connection:
        snapshot = read(connection)
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-queries-") as folder:
        tpch.write_queries(Path(folder))
        queries = load_folder(Path(folder)).workload.queries
    heap = heap_bytes(snapshot)
    began = time.monotonic()
    twin = raise_twin(snapshot)
    try:
        case = Case(snapshot, twin, Wanted(max_width=options.width), progress=_say)
        found = look(case, queries)
        relevant = _relevant(twin, found, plain=options.plain)
        ready = time.monotonic()
        budgets = [round(share / 100 * heap) for share in BUDGETS]
        selected = select(twin, found.planned, relevant, budgets, progress=_say)
        chosen_at = time.monotonic()
        curve = select(twin, found.planned, relevant, budgets, frontier=_POINTS) if options.svg else selected
        rows = [_row(share, each) for share, each in zip(BUDGETS, selected.selections, strict=True)]
        if not options.no_greedy:
            rows = [_with_greedy(row, twin, found, relevant, heap) for row in rows]
        indexes = [[twin.known[each].index for each in sorted(s.create)] for s in selected.selections]
    finally:
        twin.close()
    if not options.no_real:
        rows = [
            _with_real(row, target, snapshot, found, made, timed=options.time)
            for row, made in zip(rows, indexes, strict=True)
        ]
    _report(options, rows, selected, ready - began, chosen_at - ready, sum(map(len, relevant.values())))
    if options.svg:
        points = [(100 * step.bytes / heap, 100 * step.cost / selected.selections[0].before) for step in curve.frontier]
        curves: list[tuple[str, Series]] = [
            ("dbtune", points),
            ("best published, HypoPG's sizes", [(float(x), y) for x, y in BEST_PUBLISHED.items()]),
        ]
        if not options.no_greedy:
            curves.append(("greedy", [(float(r.budget), r.greedy_cost or 0.0) for r in rows]))
        title = f"TPC-H, scale {options.scale:g}, width {options.width}"
        options.svg.write_text(svg(title, curves, steps=("dbtune",)))


def _is_loaded(connection: Connection) -> bool:
    found = connection.exec_driver_sql("SELECT to_regclass('public.lineitem') IS NOT NULL").scalar()
    connection.rollback()
    return bool(found)


def _relevant(whatif: WhatIf, found: Found, *, plain: bool) -> dict[str, frozenset[int]]:
    ids = {known.index: known.id for known in whatif.known if not known.exists and known.reason is None}
    of: dict[str, set[int]] = {question.name: set() for question in found.planned}
    for candidate in found.candidates.candidates:
        if candidate.index in ids and not (plain and not _is_plain(candidate.index)):
            for query in candidate.queries & of.keys():
                of[query].add(ids[candidate.index])
    return {name: frozenset(each) for name, each in of.items()}


def _is_plain(index: Index) -> bool:
    whole = index.method == "btree" and not index.include and index.predicate is None
    return whole and all(key.is_column for key in index.keys)


def _row(share: int, selection: Selection) -> Row:
    planned = selection.planned if selection.planned is not None else selection.predicted
    return Row(
        budget=share,
        cost=100 * planned / selection.before,
        planned_gap=100 * abs(selection.predicted - planned) / planned,
        gap=100 * selection.gap,
        mb=selection.bytes / 2**20,
        indexes=len(selection.create),
        published=BEST_PUBLISHED[share],
    )


def _with_greedy(row: Row, whatif: WhatIf, found: Found, relevant: dict[str, frozenset[int]], heap: int) -> Row:
    _say(f"greedy within {row.budget} %")
    every = frozenset[int]().union(*relevant.values())
    sizes = {known.id: known.pages * BLOCK for known in whatif.known if known.id in every}
    base = {known.id for known in whatif.known if known.exists}
    before = sum(q.weight * found.plans[q.name].root.total_cost for q in found.planned)
    done = greedy(whatif, found.planned, relevant, sizes, round(row.budget / 100 * heap), base)
    return replace(row, greedy_cost=100 * done.cost / before, greedy_calls=done.calls)


def _with_real(
    row: Row, target: Target, snapshot: Snapshot, found: Found, indexes: Sequence[Index], *, timed: bool
) -> Row:
    _say(f"building {len(indexes)} indexes within {row.budget} %")
    real: Real = raise_real(target, snapshot, throw_away=True)
    try:
        known = [each for each in real.add(indexes) if each.reason is None]
        live = {each.id for each in known}
        before = sum(q.weight * real.plan(q, set()).cost for q in found.planned)
        after = sum(q.weight * real.plan(q, live).cost for q in found.planned)
        row = replace(row, real_cost=100 * after / before, real_mb=sum(k.pages for k in known) * BLOCK / 2**20)
    finally:
        real.close()
    if timed:
        measured = measure(target, found.planned, indexes, throw_away=True, progress=_say)
        one = sum(each.ms for each in measured.before.values())
        other = sum(measured.after[name].ms for name in measured.before)
        worse = tuple(
            name
            for name, each in sorted(measured.before.items())
            if measured.after[name].ms > 1.2 * each.ms and measured.after[name].blocks > 1.5 * each.blocks
        )
        row = replace(row, ms_before=one, ms_after=other, deceived=worse)
    return row


def _report(
    options: argparse.Namespace, rows: Sequence[Row], selected: Selected, raising: float, choosing: float, pairs: int
) -> None:
    heads = (
        "budget  cost  gap  |pred-plan|  MB  indexes  published  greedy (calls)  real cost  real MB  ms before -> after"
    )
    print(heads)
    for r in rows:
        greedy_ = "-" if r.greedy_cost is None else f"{r.greedy_cost:.1f} ({r.greedy_calls:,})"
        real = "-" if r.real_cost is None else f"{r.real_cost:.1f}"
        real_mb = "-" if r.real_mb is None else f"{r.real_mb:.0f}"
        ms = "-" if r.ms_before is None or r.ms_after is None else f"{r.ms_before:,.0f} -> {r.ms_after:,.0f}"
        print(
            f"{r.budget:>5} %  {r.cost:.1f}  {r.gap:.2f}  {r.planned_gap:.3f}  {r.mb:.0f}  {r.indexes}  {r.published}"
            f"  {greedy_}  {real}  {real_mb}  {ms}  {' '.join(r.deceived)}"
        )
    print(
        f"{selected.calls:,} questions to the planner for all budgets, {choosing:.1f} s to choose,"
        f" {raising:.1f} s to raise the twin and make {pairs} pairs of query and candidate known"
    )
    if options.json:
        document = {
            "scale": options.scale,
            "width": options.width,
            "plain": options.plain,
            "calls": selected.calls,
            "seconds": choosing,
            "raising_seconds": raising,
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
