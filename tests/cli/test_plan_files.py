"""dbtune explain --plan: plans that exist, from a file or stdin; no server is asked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.command import dbtune

TEXT = """                                                QUERY PLAN
----------------------------------------------------------------------------------------------------------
 Seq Scan on item  (cost=0.00..1137.00 rows=10 width=69) (actual time=0.012..4.100 rows=10 loops=1)
   Filter: (owner = 3)
   Rows Removed by Filter: 49990
   Buffers: shared hit=512
 Planning Time: 0.100 ms
 Execution Time: 4.200 ms
(6 rows)
"""
NODE = {"Node Type": "Seq Scan", "Relation Name": "item", "Schema": "public", "Alias": "item", "Plan Rows": 10,
        "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 4.1, "Filter": "(owner = 3)",
        "Rows Removed by Filter": 49990, "Shared Hit Blocks": 512, "Total Cost": 1137.0}  # fmt: skip


def explain(tmp_path: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    return dbtune("explain", *arguments, cwd=tmp_path, stdin=stdin)


def test_text_that_psql_printed(tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text(TEXT)
    done = explain(tmp_path, "--plan", "plan.txt")
    assert done.returncode == 0, done.stderr
    told = done.stdout
    assert "Seq Scan on item" in told
    assert "Sequential scan that keeps few rows" in told
    assert "an index on item (owner)" in " ".join(told.split())


def test_json_on_stdin_and_several_plans(tmp_path: Path) -> None:
    one = json.dumps([{"Plan": NODE, "Execution Time": 4.2}])
    done = explain(tmp_path, "--plan", "-", "--format", "json", stdin=(one + "\n" + one).encode())
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [query["name"] for query in report["queries"]] == ["stdin-1", "stdin-2"]
    assert report["queries"][0]["findings"][0]["rule"] == "A1"


def test_a_plan_without_analyze_is_told_as_an_estimate(tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text(
        "Seq Scan on item  (cost=0.00..1137.00 rows=10 width=69)\n  Filter: (owner = 3)\n"
    )
    done = explain(tmp_path, "--plan", "plan.txt")
    assert done.returncode == 0
    assert "without ANALYZE" in done.stdout


def test_an_unknown_node_type_is_kept_and_shown(tmp_path: Path) -> None:
    plan = [{"Plan": {**NODE, "Node Type": "Quantum Scan"}, "Execution Time": 4.2}]
    done = explain(tmp_path, "--plan", "-", stdin=json.dumps(plan).encode())
    assert done.returncode == 0
    assert "Quantum Scan on public.item" in done.stdout


def test_two_hundred_levels(tmp_path: Path) -> None:
    plan: dict[str, object] = NODE
    for _ in range(200):
        plan = {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 4.1,
                "Total Cost": 1.0, "Shared Hit Blocks": 512, "Plans": [plan]}  # fmt: skip
    document = json.dumps([{"Plan": plan, "Execution Time": 4.2}])
    done = explain(tmp_path, "--plan", "-", stdin=document.encode())
    assert done.returncode == 0, done.stderr
    assert "Seq Scan on public.item" in done.stdout


def test_invalid_utf8_is_kept_as_a_mark(tmp_path: Path) -> None:
    done = explain(
        tmp_path, "--plan", "-", stdin=TEXT.replace("owner", "own\udcffer").encode("utf-8", "surrogateescape")
    )
    assert done.returncode == 0, done.stderr
    assert "own�er = 3" in done.stdout


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'[{"Plan": {"Node Type": "Seq Scan",', "plan.txt:1: "),
        (b"", "plan.txt: "),
        (b"hello\nworld\n", "plan.txt"),
        (b"[1, 2]", "plan.txt"),
    ],
)
def test_what_is_no_plan_is_one_clear_line(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "plan.txt").write_bytes(data)
    done = explain(tmp_path, "--plan", "plan.txt")
    assert done.returncode == 2
    assert done.stderr.startswith("dbtune: " + said)
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_wrong_usage(tmp_path: Path) -> None:
    assert explain(tmp_path, "--plan", "nowhere").stderr.startswith("dbtune: nowhere: cannot be read")
    done = explain(tmp_path, "--plan", "x", "some-query")
    assert done.returncode == 2
    assert "--plan reads plans that exist" in done.stderr
