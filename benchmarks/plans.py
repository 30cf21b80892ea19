"""How fast plans are read and judged, and how exactly their times add up.

    python benchmarks/plans.py

Prints the time and memory of a plan of 10,000 nodes, the time of 1,000 plans as auto_explain logs them, and, over real
statements on a server of its own, the largest part of an execution time that no node, trigger or serialization has.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from dbtune.plan.arithmetic import analyse
from dbtune.plan.explain import Explained, Status
from dbtune.plan.parse import parse
from dbtune.plan.report import outcome
from dbtune.plan.tree import Plan
from dbtune.render import tree
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload.query import Query

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.plan.test_arithmetic import SETTINGS, SETUP, SHAPES


def main() -> None:
    large_plan()
    many_plans()
    sums()


def scan(number: int) -> dict[str, Any]:
    return {
        "Node Type": "Seq Scan", "Parent Relationship": "Member", "Relation Name": f"part_{number}", "Schema": "public",
        "Alias": f"part_{number}", "Plan Rows": 100, "Plan Width": 8, "Startup Cost": 0.0, "Total Cost": 10.0,
        "Actual Rows": 7, "Actual Loops": 3, "Actual Startup Time": 0.001, "Actual Total Time": 0.01,
        "Filter": "((at > '2019-01-30'::date) AND (owner = 17))", "Rows Removed by Filter": 93,
        "Shared Hit Blocks": 3, "Shared Read Blocks": 0, "Output": ["id", "at"],
    }  # fmt: skip


def document(nodes: int) -> str:
    parts = [scan(number) for number in range(nodes - 1)]
    root = {**scan(0), "Node Type": "Append", "Actual Total Time": 0.02 * nodes, "Plans": parts,
            "Shared Hit Blocks": 3 * nodes, "Actual Loops": 1}  # fmt: skip
    return json.dumps([{"Plan": root, "Planning Time": 1.0, "Triggers": [], "Execution Time": 0.03 * nodes}])


def explained(plan: Plan) -> Explained:
    return Explained(query=Query(name="q", statement=""), parameter_set=None, status=Status.MEASURED, plan=plan)


def large_plan() -> None:
    text = document(10_000)
    started = time.perf_counter()
    (plan,) = parse(text)
    explained = Explained(
        query=Query(name="large", statement=""), parameter_set=None, status=Status.MEASURED, plan=plan
    )
    lines = tree.tree(outcome(explained), 120).count("\n")
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"10,000 nodes parsed, judged, printed ({lines} lines): {seconds:.2f} s, {memory:.0f} MB of memory at most")


def many_plans() -> None:
    texts = [document(20) for _ in range(1_000)]
    started = time.perf_counter()
    for text in texts:
        (plan,) = parse(text)
        outcome(explained(plan))
    print(f"1,000 plans of 20 nodes parsed and judged: {time.perf_counter() - started:.2f} s")


def sums() -> None:
    worst: list[tuple[float, str]] = []
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder))
        server.start()
        url = make_url(server.url()).set(drivername="postgresql+psycopg2")
        with connect(Target(url, "benchmark")) as connection:
            connection.exec_driver_sql(SETUP, execution_options={"no_parameters": True})
            connection.commit()
            for how, changes in SETTINGS.items():
                for name, value in changes.items():
                    connection.exec_driver_sql(f"SET {name} = '{value}'")
                connection.commit()
                for shape, statement in SHAPES.items():
                    # SERIALIZE is left out: it times only a part of what it adds to the execution
                    asked = f"EXPLAIN (ANALYZE, BUFFERS, VERBOSE, FORMAT JSON) {statement.format(n=300)}"
                    document = connection.exec_driver_sql(asked, execution_options={"no_parameters": True}).scalar()
                    connection.rollback()
                    (plan,) = parse(document)
                    analysis = analyse(plan)
                    if analysis.execution_ms and analysis.execution_ms >= 1:
                        worst.append((analysis.other_ms / analysis.execution_ms, f"{shape}, {how}"))
                connection.exec_driver_sql("RESET ALL")
                connection.commit()
        server.reset()
    worst.sort(reverse=True)
    print(f"{len(worst)} statements of 1 ms and more; execution time that no node or trigger took:")
    for part, name in worst[:5]:
        print(f"  {part:6.2%}  {name}")
    print(f"  {sum(part for part, _ in worst) / len(worst):6.2%}  mean")


if __name__ == "__main__":
    main()
