"""The gate: what makes a query fail against its baseline, and what does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dbtune.errors import BadFile
from dbtune.plan import baseline, ignores
from dbtune.plan.explain import Explained, Status
from dbtune.plan.gate import Check, Ignore, Limits, Verdict, judge
from dbtune.plan.parse import parse
from dbtune.plan.report import Outcome, Report, outcome
from dbtune.render import document, gate
from dbtune.workload.query import Query

TODAY = date(2026, 11, 24)


def node(kind: str, blocks: int, rows: int, **more: Any) -> dict[str, Any]:
    return {
        "Node Type": kind, "Schema": "public", "Relation Name": "item", "Alias": "item", "Plan Rows": rows,
        "Actual Rows": rows, "Actual Loops": 1, "Actual Total Time": 0.1, "Total Cost": 1.0,
        "Shared Hit Blocks": blocks, **more,
    }  # fmt: skip


INDEXED = node("Index Scan", 8, 3, **{"Index Name": "item_owner", "Index Cond": "(owner = 3)"})
SCANNED = node("Seq Scan", 2_000, 3, **{"Filter": "(owner = 3)", "Rows Removed by Filter": 9_997})


def explained(name: str, root: Mapping[str, Any] | None, statement: str = "SELECT 1") -> Outcome:
    query = Query(name=name, statement=statement, path=Path(f"queries/{name}.sql"), line=4)
    if root is None:
        refused = Explained(query=query, parameter_set=None, status=Status.SKIPPED, reason="no such column")
        return outcome(refused)
    (plan,) = parse([{"Plan": root, "Execution Time": 0.1}])
    return outcome(Explained(query=query, parameter_set=None, status=Status.MEASURED, plan=plan))


def saved(tmp_path: Path, *outcomes: Outcome, paths: Mapping[str, bool] | None = None) -> baseline.Baseline:
    report = document.explain(Report(server="here", version="18.6", outcomes=outcomes))
    for query in report["queries"]:
        query["index_paths"] = dict(paths) if paths is not None else None
    path = tmp_path / "baseline.json"
    path.write_text(document.to_json(report))
    return baseline.load(path)


def verdict(before: baseline.Baseline, *now: Outcome, paths: Mapping[str, bool] | None = None, **more: Any) -> Verdict:
    index_paths = {o.query.name: paths or {} for o in now}
    return judge(before, now, index_paths, Limits(), today=TODAY, **more)


def checks(found: Verdict) -> list[Check]:
    return [v.check for v in found.failures]


def test_nothing_changed(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED), paths={"public.item": True})
    assert verdict(before, explained("q", INDEXED), paths={"public.item": True}) == Verdict(
        checked=("q",), violations=()
    )


def test_a_lost_index_is_one_failure_and_more_blocks_another(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED), paths={"public.item": True})
    found = verdict(before, explained("q", SCANNED), paths={"public.item": False})
    assert checks(found) == [Check.LOST_INDEX_PATH, Check.MORE_BUFFERS]
    assert found.failures[0].relation == "public.item"
    assert (found.failures[0].path, found.failures[0].line) == ("queries/q.sql", 4)


def test_a_scan_that_the_planner_merely_prefers_is_no_lost_path(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED), paths={"public.item": True})
    small = node("Seq Scan", 9, 3, Filter="(owner = 3)")
    assert checks(verdict(before, explained("q", small), paths={"public.item": True})) == []


def test_a_new_scan_of_a_large_table(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED), paths={"public.item": True})
    found = verdict(before, explained("q", SCANNED), paths={"public.item": True})
    assert checks(found) == [Check.NEW_SEQ_SCAN, Check.MORE_BUFFERS]
    assert "2,000 blocks (16 MB)" in found.failures[0].message


def test_a_scan_that_was_there_before_passes(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", SCANNED), paths={"public.item": False})
    assert checks(verdict(before, explained("q", SCANNED), paths={"public.item": False})) == []


def test_more_blocks_for_more_rows_are_fair(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED))
    tenfold = node("Index Scan", 80, 30, **{"Index Name": "item_owner", "Index Cond": "(owner = 3)"})
    assert checks(verdict(before, explained("q", tenfold))) == []
    wasteful = node("Index Scan", 800, 3, **{"Index Name": "item_owner", "Index Cond": "(owner = 3)"})
    assert checks(verdict(before, explained("q", wasteful))) == [Check.MORE_BUFFERS]


def test_a_query_that_fails_now_fails_and_a_new_one_is_judged_by_its_scans(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED))
    found = verdict(before, explained("q", None), explained("new", SCANNED), explained("newer", None))
    assert [(v.query, v.check) for v in found.failures] == [("q", Check.FAILS), ("new", Check.NEW_SEQ_SCAN)]
    assert any(note.startswith("new is not in the baseline") for note in found.notes)


def test_what_cannot_be_compared_is_noted(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED), explained("gone", INDEXED))
    found = verdict(before, explained("q", INDEXED, statement="SELECT 2"), version="16.2")
    assert found.failures == ()
    assert len(found.notes) == 3
    assert found.notes[0] == "the baseline is of PostgreSQL 18.6, this server is 16.2: save a new one"


def test_an_accepted_violation_passes_until_it_expires(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED))
    now = explained("q", SCANNED)

    def accepted(**changes: Any) -> Ignore:
        fields: dict[str, Any] = {"query": "q", "check": Check.NEW_SEQ_SCAN, "relation": None, "reason": "archive"}
        return Ignore(**{**fields, "expires": TODAY, **changes})

    found = judge(before, [now], {}, Limits(), [accepted()], today=TODAY)
    assert checks(found) == [Check.MORE_BUFFERS]
    assert found.violations[0].ignored == "archive (until 2026-11-24)"
    for wrong in ({"expires": date(2026, 11, 23)}, {"query": "other"}, {"relation": "public.other"}):
        found = judge(before, [now], {}, Limits(), [accepted(**wrong)], today=TODAY)
        assert Check.NEW_SEQ_SCAN in checks(found), wrong


def test_reports_for_pipelines(tmp_path: Path) -> None:
    before = saved(tmp_path, explained("q", INDEXED), explained("fine", INDEXED))
    ignore = Ignore(query="q", check=Check.MORE_BUFFERS, relation=None, reason="a, b: c", expires=TODAY)
    found = judge(before, [explained("q", SCANNED), explained("fine", INDEXED)], {}, Limits(), [ignore], today=TODAY)
    suite = ElementTree.fromstring(gate.junit(found))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["q"]
    (run,) = json.loads(gate.sarif(found))["runs"]
    assert [r["ruleId"] for r in run["results"]] == ["new-seq-scan", "more-buffers"]
    assert "suppressions" in run["results"][1]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 4}
    lines = gate.github(found).splitlines()
    assert lines[0].startswith("::error file=queries/q.sql,line=4,title=new-seq-scan%3A q::reads all of public.item")
    assert lines[1].startswith("::notice ")
    assert json.loads(gate.to_json(found))["passed"] is False
    assert gate.table(found, 80).splitlines()[-1] == "2 queries checked: 1 violation, 1 ignored"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{]", "is not YAML"),
        ("query: q", "must be a list"),
        ("- {query: q, check: new-seq-scan, expires: 2027-01-01}", "entry 1 must have a reason"),
        ("- {query: q, check: new-seq-scan, reason: x}", "entry 1 must have a date on which it expires"),
        ("- {query: q, check: nonsense, reason: x, expires: 2027-01-01}", "unknown check 'nonsense'"),
        ("- {query: q, check: fails, reason: x, expires: 2027-01-01, why: y}", "unknown key 'why'"),
    ],
)
def test_bad_ignores_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "ignore.yaml"
    path.write_text(text)
    with pytest.raises(BadFile, match=said):
        ignores.load(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"command": "explain", "schema_ver', "is not JSON"),
        ("[]", "is no report of dbtune explain"),
        ('{"command": "scans"}', "is no report of dbtune explain"),
        ('{"command": "explain", "schema_version": 99}', "has schema_version 99"),
        ('{"command": "explain", "schema_version": 1}', "is damaged"),
        (
            '{"command": "explain", "schema_version": 1, "server": {"version": "18"}, "queries": [{"plan": 3}]}',
            "damaged",
        ),
    ],
)
def test_bad_baselines_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(BadFile, match=said):
        baseline.load(path)
