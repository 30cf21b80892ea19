"""The page of ``dbtune explain``: what it says, that it is sound HTML, and that nothing in a report can break out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from dbtune.errors import BadFile
from dbtune.plan import explain as plans
from dbtune.plan.comparison import Change, Direction, Work
from dbtune.plan.explain import Explained, Status
from dbtune.plan.finding import Confidence, Finding, Severity
from dbtune.plan.parse import parse
from dbtune.plan.report import Outcome, Report, outcome
from dbtune.render.explain import SHOWN
from dbtune.render.html import page
from dbtune.workload.query import ParameterSet, Query

VOID = {"meta", "link", "input"}
BLOCKS = {"div", "p", "dl", "ol", "ul", "pre", "table", "section", "article", "header", "details", "h1", "h2", "h3"}
HOSTILE = """<script>alert('x')</script> & "double" 'single' --> ]]> </pre></details>"""


@dataclass(eq=False)
class Tag:
    """An element of a parsed page."""

    name: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Tag | str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text() for c in self.children)

    def all(self, name: str | None = None, kind: str | None = None) -> list[Tag]:
        """Return the elements inside, by name and by class, in the page's order."""
        return [t for t in self.walk() if name in (None, t.name) and (kind is None or kind in t.kinds)]

    def one(self, name: str | None = None, kind: str | None = None) -> Tag:
        (found,) = self.all(name, kind)
        return found

    def first(self, name: str | None = None, kind: str | None = None) -> Tag:
        return self.all(name, kind)[0]

    def by_id(self, wanted: str) -> Tag:
        (found,) = [t for t in self.walk() if t.attributes.get("id") == wanted]
        return found

    def walk(self) -> Iterator[Tag]:
        waiting = [c for c in reversed(self.children) if isinstance(c, Tag)]
        while waiting:
            tag = waiting.pop()
            yield tag
            waiting.extend(c for c in reversed(tag.children) if isinstance(c, Tag))

    @property
    def kinds(self) -> list[str]:
        return (self.attributes.get("class") or "").split()


class Reader(HTMLParser):
    """Reads a page, and fails where a tag is not closed, stands where it must not, or an id is given twice."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Tag("")
        self.open = [self.root]
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        above = {t.name for t in self.open}
        assert not (tag in BLOCKS and above & {"p", "span", "summary"}), f"<{tag}> in a line of text"
        assert not (tag in ("a", "button", "input") and above & {"a", "button", "summary"}), f"<{tag}> in a control"
        made = Tag(tag, dict(attrs))
        if anchor := made.attributes.get("id"):
            assert anchor not in self.ids, f"two of {anchor}"
            self.ids.add(anchor)
        self.open[-1].children.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(text: str) -> Tag:
    """Return the page's root; every link in it leads somewhere."""
    assert text.startswith("<!DOCTYPE html>")
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root], "a tag is not closed"
    for link in reader.root.all("a"):
        assert (link.attributes["href"] or "").removeprefix("#") in reader.ids
    return reader.root.one("html")


def node(kind: str, *below: dict[str, Any], ms: float = 1.0, rows: float = 10, **more: Any) -> dict[str, Any]:
    """Return a node as EXPLAIN prints it; names in ``more`` are written with an underscore for a space."""
    raw = {
        "Node Type": kind,
        "Parent Relationship": "Outer",
        "Total Cost": 100.0,
        "Plan Rows": rows,
        "Plan Width": 8,
        "Actual Total Time": ms,
        "Actual Rows": rows,
        "Actual Loops": 1,
        "Shared Hit Blocks": 4,
        "Shared Read Blocks": 0,
    }
    raw |= {key.replace("_", " "): value for key, value in more.items()}
    return raw | ({"Plans": list(below)} if below else {})


def scan(relation: str = "item", **more: Any) -> dict[str, Any]:
    return node("Seq Scan", **{"Relation_Name": relation, "Schema": "public", "Alias": relation, **more})


def planned(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the node as it is without ANALYZE."""
    kept = {k: v for k, v in raw.items() if not k.startswith(("Actual", "Shared", "Rows Removed"))}
    return kept | {"Plans": [planned(child) for child in raw["Plans"]]} if "Plans" in raw else kept


def explained(root: dict[str, Any], name: str = "by-owner", ms: float = 12.5, **more: Any) -> Outcome:
    """Return a measured query; ``more`` goes beside the plan (``Settings``) or into the query (``calls``)."""
    of_query = {k: more.pop(k) for k in list(more) if k[0].islower()}
    query = Query(**{"name": name, "statement": "SELECT 1", **of_query})
    (plan,) = parse([{"Plan": root, "Planning Time": 0.25, "Triggers": [], "Execution Time": ms, **more}])
    chosen = query.sets[0].name if query.sets else None
    return outcome(Explained(query=query, parameter_set=chosen, status=Status.MEASURED, plan=plan))


def told(*findings: Finding, root: dict[str, Any] | None = None, **more: Any) -> Outcome:
    """Return a query of which exactly this was found."""
    return replace(explained(root or scan(), **more), findings=findings)


def finding(**more: Any) -> Finding:
    known: dict[str, Any] = {
        "rule": "A1",
        "name": "selective-seq-scan",
        "title": "A whole table read for few rows",
        "severity": Severity.HIGH,
        "message": "reads all of public.item",
        "advice": "an index on public.item (owner)",
        "share": 0.9,
        "saves_ms": 11.0,
        "confidence": Confidence.MEASURED,
        "node": 0,
        "relation": "public.item",
    }
    return Finding(**{**known, **more})


def report(*outcomes: Outcome, **more: Any) -> Report:
    known: dict[str, Any] = {"server": "me@db.example:5432/shop", "version": "18.6", "selected": len(outcomes)}
    return Report(**{**known, "outcomes": outcomes, **more})


def rendered(*outcomes: Outcome, **more: Any) -> Tag:
    return read(page(report(*outcomes, **more)))


def texts(tags: list[Tag]) -> list[str]:
    return [" ".join(t.text().split()) for t in tags]


def facts(tag: Tag) -> dict[str, str]:
    """Return the pairs of the description lists inside."""
    return {k: v for d in tag.all("dl") for k, v in zip(texts(d.all("dt")), texts(d.all("dd")), strict=True)}


def test_the_head_says_what_was_explained() -> None:
    run = explained(scan(Shared_Read_Blocks=996), name="a", calls=40)
    only_planned = replace(run, explained=replace(run.explained, query=Query(name="b", statement="X")))
    only_planned = replace(only_planned, explained=replace(only_planned.explained, status=Status.PLANNED))
    head = rendered(run, only_planned).one("main").all("header")[0]
    assert head.one("h1").text() == "Query plans on PostgreSQL 18.6"
    assert head.one("p", "server").text() == "me@db.example:5432/shop"
    known = facts(head)
    assert known["Queries"] == "2 1 measured, 1 planned only"
    assert known["One run of each"].startswith("12.5 ms")
    assert known["As often as captured"] == "500 ms 40 calls"
    assert known["Shared buffers"] == "7.8 MB 1,000 blocks, one run of each"
    assert not head.all("p", "note")


def test_the_head_says_what_is_missing() -> None:
    problem = BadFile("queries/bad.sql", "holds no statement", line=3)
    whole = rendered(explained(scan()), interrupted=True, selected=4, problems=(problem,))
    assert "Stopped before 3 more queries" in whole.one("p", "note").text()
    assert texts(whole.by_id("problems").all("li")) == ["queries/bad.sql:3: holds no statement"]


def test_a_report_of_nothing_is_a_page() -> None:
    whole = rendered()
    assert "None." in whole.by_id("queries").text()
    assert "No sequential scans." in whole.by_id("scans").text()
    assert facts(whole)["Queries"] == "0 none"


def test_the_same_advice_is_told_once_with_its_queries() -> None:
    whole = rendered(told(finding(), name="a", calls=2), told(finding(saves_ms=5.0), name="b", calls=10))
    (item,) = whole.by_id("findings").all("li")
    said = " ".join(item.text().split())
    assert said.startswith("high A whole table read for few rows A1")
    assert "Would help: an index on public.item (owner). Saves about 72.0 ms over 12 calls." in said
    assert texts(item.all("a")) == ["b", "a"]  # b saves more


def test_more_than_the_most_valuable_findings_are_folded_up() -> None:
    whole = rendered(told(*(finding(advice=f"advice {n}", saves_ms=float(n)) for n in range(SHOWN + 2))))
    findings = whole.by_id("findings")
    folded = findings.one("details")
    assert folded.one("summary").text() == "2 more"
    assert len(folded.all("li")) == 2
    assert len(findings.all("li")) == SHOWN + 2
    assert "advice 6" in findings.all("li")[0].text()


def test_scanned_tables_name_their_queries() -> None:
    whole = rendered(
        explained(scan(Rows_Removed_by_Filter=49_990), name="a"), explained(scan(), name="b"), explained(scan("x"))
    )
    rows = whole.by_id("scans").one("tbody").all("tr")
    assert texts(rows) == ["public.item50,010a, b", "public.x10by-owner"]


def test_many_links_and_many_tables_are_folded_up() -> None:
    whole = rendered(
        *(explained(scan(), name=f"q-{n}") for n in range(12)), *(explained(scan(f"t{n}"), f"t-{n}") for n in range(12))
    )
    scans = whole.by_id("scans")
    assert texts(scans.all("summary")) == ["and 4 more", "3 more tables"]
    assert len(scans.all("tr")) == 2 + 13
    assert len(scans.all("a")) == 12 + 12


def test_a_row_of_the_table_has_all_figures_and_leads_to_the_plan() -> None:
    root = scan(ms=12.0, Rows_Removed_by_Filter=49_990)
    whole = rendered(told(finding(), root=root, route="GET /items", calls=40))
    table = whole.by_id("query-table")
    heads = texts(table.one("thead").all("th"))
    cells = dict(zip(heads, _cells(table.one("tbody").one("tr")), strict=True))
    shown = {name: " ".join(cell.text().split()) for name, cell in cells.items()}
    assert shown == {
        "query": "by-owner",
        "route": "GET /items",
        "calls": "40",
        "ms": "12.50",
        "total ms": "500.00",
        "rows": "10",
        "buffers": "4",
        "sequential scans: rows read → kept": "public.item 50,000 → 10",
        "worst finding": "high A whole table read for few rows A1",
    }
    assert cells["total ms"].attributes["data-value"] == "500.0"
    assert cells["worst finding"].attributes["data-value"] == "3"
    link = cells["query"].one("a").attributes["href"] or ""
    assert whole.by_id(link[1:]).name == "article"
    place = cells["worst finding"].one("a").attributes["href"] or ""
    assert "Seq Scan on public.item" in whole.by_id(place[1:]).text()


def _cells(row: Tag) -> list[Tag]:
    return [c for c in row.children if isinstance(c, Tag)]


def test_rows_stand_by_cost_and_those_not_measured_last() -> None:
    cheap, dear = explained(scan(), name="cheap", ms=3, calls=10), explained(scan(), name="dear", ms=2, calls=20)
    skipped = outcome(
        Explained(query=Query(name="a", statement="X"), parameter_set=None, status=Status.SKIPPED, reason="no table x")
    )
    whole = rendered(skipped, cheap, dear)
    table = whole.by_id("query-table")
    assert [row.one("th").text() for row in table.one("tbody").all("tr")] == ["dear", "cheap", "a"]
    (sorted_by,) = [h for h in table.one("thead").all("th") if "aria-sort" in h.attributes]
    assert (sorted_by.text(), sorted_by.attributes["aria-sort"]) == ("total ms", "descending")
    last = _cells(table.one("tbody").all("tr")[-1])
    assert [c.attributes.get("data-value") for c in last[2:]] == [""] * 7
    assert last[-1].text() == "skipped: no table x"
    assert not whole.by_id("q3").all("div", "plan")
    assert whole.by_id("q3").one("p", "note").text() == "skipped: no table x"


def test_a_query_shows_its_statement_and_parameters() -> None:
    long = "x" * 1000
    sets = (ParameterSet(name="frequent", values=("it's", None, long), provenance="sampled"),)
    article = rendered(
        explained(scan(), statement="SELECT\n  $1, $2, $3", sets=sets, types=("text", "int", "text"), source="log")
    ).one("article")
    assert article.one("pre", "statement").text() == "SELECT\n  $1, $2, $3"
    assert article.one("div", "parameters").text().startswith("Parameter set frequent (sampled)")
    first, second, third = texts(article.one("div", "parameters").all("li"))
    assert first == "$1 = 'it's' text"
    assert second == "$2 = NULL int"
    assert third.endswith("… (1,000 characters) text")
    assert len(third) < 400
    assert facts(article)["captured by"] == "log"


def test_a_generic_plan_has_no_values_and_no_times() -> None:
    (plan,) = parse([{"Plan": planned(scan(Filter="(owner = $1)"))}])
    query = Query(name="a", statement="SELECT $1", calls=3)
    done = outcome(
        Explained(query=query, parameter_set="generic", status=Status.PLANNED, plan=plan, reason="no values are known")
    )
    article = rendered(done).one("article")
    assert article.one("p", "parameters").text() == "Parameters generic: no values are known"
    assert article.one("p", "note").text() == "planned only: no values are known"
    heads, line = article.all("div", "columns")[0], article.one("summary", "line")
    assert heads.one("span", "share").text() == "share of cost"
    assert heads.one("span", "rows").text() == "rows estimated"
    assert [line.one("span", name).text() for name in ("share", "self", "rows", "blocks")] == ["100 %", "", "10", ""]
    assert facts(article)["calls"] == "3"
    assert "one run" not in facts(article)


def test_a_node_shows_its_own_figures_and_conditions() -> None:
    inner = scan(ms=0.02, rows=3, Actual_Loops=400, Filter="(a > 1)", Rows_Removed_by_Filter=7, Shared_Hit_Blocks=800)
    root = node("Nested Loop", scan("other", ms=2.0), inner, ms=11.0, rows=1000, Shared_Hit_Blocks=804)
    root["Sort Key"] = ["a", "b DESC"]
    article = rendered(explained(root)).one("article")
    top, first, second = article.one("div", "plan").all(kind="node")
    assert top.name == "details" and "open" in top.attributes
    line = second.one("summary", "line")
    assert line.one("span", "label").text() == "Seq Scan on public.item 400 loops"
    assert line.one("span", "self").text() == "8.00"
    assert line.one("span", "share").text() == "64 %"
    assert line.one("span", "share").attributes["style"] == "--share: 64.0%"
    assert "hot" in line.one("span", "share").kinds
    assert line.one("span", "rows").text() == "1,200 → ≈ 1,200 (±200)"
    assert line.one("span", "blocks").text() == "800"
    assert texts(second.all("div", "condition")) == ["Filter (a > 1)"]
    assert second.one("div", "observed").text() == "rows dropped ≈ 2,800 (±200)"
    assert top.first("summary").one("span", "self").text() == "1.00"
    assert texts(top.all("div", "condition"))[0] == "Sort Key a, b DESC"
    assert first.name == "div"  # nothing below it, so nothing to open


@pytest.mark.parametrize(
    ("estimated", "actual", "flag"),
    [
        (100, 999, None),
        (100, 1_000, "10 × more"),
        (20_000, 200, "100 × fewer"),
        (1, 0, None),
        (3, 0, None),
        (20, 0, "20 × fewer"),
    ],
)
def test_an_estimate_is_flagged_from_ten_times_on(estimated: int, actual: int, flag: str | None) -> None:
    whole = rendered(explained(node("Sort", scan(Plan_Rows=estimated, Actual_Rows=actual))))
    line = whole.all(kind="node")[1].first(kind="line")
    assert [f.text() for f in line.all("em", "off")] == ([flag] if flag else [])
    assert bool(line.all("em", "few")) == (flag is not None and max(estimated, actual) < 1000)


def test_a_scan_that_a_limit_stopped_is_flagged_quietly() -> None:
    stopped, whole = rendered(
        explained(node("Limit", scan(Plan_Rows=50_000, Actual_Rows=10)), name="a"),
        explained(node("Sort", scan(Plan_Rows=50_000, Actual_Rows=10)), name="b"),
    ).all("em", "off")
    assert stopped.text() == whole.text() == "5,000 × fewer"
    assert "few" in stopped.kinds
    assert "few" not in whole.kinds


def test_rounding_raises_no_flag() -> None:
    # 0 rows a loop, as before PostgreSQL 18, may be anything up to 500 in 1,000 loops
    inner = scan(rows=0, Plan_Rows=1, Actual_Loops=1000)
    assert not rendered(explained(node("Nested Loop", scan("x"), inner, Join_Filter="(a = b)"))).all("em", "off")


def test_a_node_that_never_ran_says_so() -> None:
    never = scan("other", ms=0, rows=0, Actual_Loops=0, Plan_Rows=70)
    line = rendered(explained(node("Append", scan(), never))).all("div", "leaf")[1]
    assert line.one("span", "label").text() == "Seq Scan on public.other never executed"
    assert line.one("span", "rows").text() == "70"
    assert line.one("span", "self").text() == ""


def test_what_else_a_run_told_stands_below_its_node() -> None:
    sort = node(
        "Sort",
        scan(),
        Sort_Method="external merge",
        Sort_Space_Used=2048,
        Sort_Space_Type="Disk",
        Temp_Read_Blocks=10,
        Temp_Written_Blocks=11,
        Shared_Read_Blocks=6,
        Index_Searches=1,
    )
    below: dict[str, Any] = {"Shared_Read_Blocks": 6, "Temp_Read_Blocks": 10, "Temp_Written_Blocks": 11}
    gather = node("Gather", sort, Workers_Planned=2, Workers_Launched=1, **below)
    observed = texts(rendered(explained(gather)).all("div", "observed"))
    assert observed[0] == "1 of 2 workers launched"
    assert "sort method external merge, on disk 2 MB" in observed[1]
    assert "6 blocks read from disk or the system's cache, 21 blocks of temporary files" in observed[1]
    assert "index searches" not in observed[1]


def test_findings_stand_at_their_node_and_the_others_below_the_plan() -> None:
    at_scan = finding(node=1, severity=Severity.WARN)
    dearer = finding(node=0, title="Sorted on disk", saves_ms=11.5)
    everywhere = finding(node=None, rule="E1", title="Planning takes long", confidence=Confidence.ESTIMATED)
    article = rendered(told(at_scan, everywhere, dearer, root=node("Sort", scan()))).one("article")
    plan = article.one("div", "plan")
    (shown,) = plan.all(kind="node")[1].all("div", "finding")
    assert "warn" in shown.kinds
    assert texts([shown]) == [
        "warn A whole table read for few rows A1reads all of public.item."
        "Would help: an index on public.item (owner). Saves about 11.0 ms of one execution."
    ]
    assert len(plan.all("div", "finding")) == 2
    below = article.one("div", "everywhere")
    assert "Planning takes long" in below.text()
    assert "Estimated, not measured." in below.text()
    assert len(below.all("div", "finding")) == 1
    order = [t for t in article.children if isinstance(t, Tag)]
    assert order.index(plan) < order.index(below)
    index = ["Sorted on disk", "Planning takes long", "A whole table read for few rows"]  # by severity, then by gain
    assert texts(article.one("ul", "index").all("a")) == index


def test_a_cause_and_what_it_leads_to_point_at_each_other() -> None:
    cause = finding(node=1, leads_to=("C1",))
    effect = finding(rule="C1", title="Sorted on disk", node=0, because_of="A1", saves_ms=2.0)
    whole = rendered(told(cause, effect, root=node("Sort", scan())))
    (advice,) = whole.by_id("findings").all("li")
    assert "Leads to: Sorted on disk C1" in " ".join(advice.text().split())
    at_sort, at_scan = whole.one("div", "plan").all("div", "finding")
    assert "Because of: A whole table read for few rows A1" in " ".join(at_sort.text().split())
    assert at_sort.one("a").attributes["href"] == "#q1-n1"
    assert "Leads to: Sorted on disk C1" in " ".join(at_scan.text().split())
    assert at_scan.one("a").attributes["href"] == "#q1-n0"
    assert facts(whole.first("header"))["Findings"] == "2 2 high"


def test_plans_with_other_values_stand_side_by_side() -> None:
    (whole_table,) = parse([{"Plan": planned(scan())}])
    (by_index,) = parse([{"Plan": planned(node("Index Scan", Relation_Name="item", Index_Name="i", Index_Cond="x"))}])
    done = explained(scan())
    differing = replace(done, alternatives={"rare": by_index, "generic": whole_table})
    table = rendered(differing).one("article").one("table")
    assert [texts(_cells(row)) for row in table.one("tbody").all("tr")] == [
        ["rare", "100", "10", "item by Index Scan using i"],
        ["generic", "100", "10", "public.item by Seq Scan"],
    ]
    same = rendered(replace(done, alternatives={"rare": whole_table, "generic": whole_table})).one("article")
    assert not same.all("table")
    assert "The same plan with other values: rare, generic." in same.text()
    for few in ({}, {"generic": by_index}):
        assert "other values" not in rendered(replace(done, alternatives=few)).one("article").text()


def test_what_changed_since_a_baseline_is_told() -> None:
    changes = (
        Change(kind="index-lost", direction=Direction.WORSE, text="item: Index Scan → Seq Scan"),
        Change(kind="sort", direction=Direction.BETTER, text="no longer sorts by <a>"),
    )
    before = Work(execution_ms=3.0, blocks=7, rows=10.0, rows_read=10.0, total_cost=5.0)
    done = explained(scan())
    told_of = rendered(replace(done, changes=changes, before=before)).one("div", "changes")
    assert told_of.text().startswith("Since the baseline (3.0 ms, 7 blocks):")
    items = told_of.all("li")
    assert texts(items) == ["worse item: Index Scan → Seq Scan", "better no longer sorts by <a>"]
    assert [i.kinds for i in items] == [["worse"], ["better"]]
    assert "The same as in the baseline." in rendered(replace(done, changes=())).one("article").text()
    assert "baseline" not in rendered(done).one("article").text()


def test_what_was_looked_at_is_told() -> None:
    known = facts(rendered(replace(explained(scan()), checked=("a", "b"), unchecked=("c: <why>",))).one("article"))
    assert known["fine"] == "a; b"
    assert known["not checked"] == "c: <why>"


def test_a_plan_from_a_file_needs_no_server_and_no_statement() -> None:
    whole = rendered(explained(scan(), statement=""), server="plan.txt", version="")
    assert whole.one("h1").text() == "Query plans"
    assert not whole.all("pre", "statement")
    assert whole.one("article").all(kind="node")


def test_times_outside_of_nodes_are_told() -> None:
    more: dict[str, Any] = {
        "Triggers": [{"Trigger Name": "audit", "Constraint Name": "fk", "Relation": "item", "Time": 3.0, "Calls": 7}],
        "JIT": {"Functions": 3, "Timing": {"Total": 2.5}},
        "Serialization": {"Time": 1.5},
        "Settings": {"random_page_cost": "1.1", "plan_cache_mode": "force_custom_plan"},
    }
    known = facts(rendered(explained(scan(ms=7.0), **more)).one("article"))
    assert known["planning"] == "0.25 ms"
    assert known["execution"] == "12.5 ms"
    assert known["triggers"] == "3.0 ms"
    assert known["trigger fk"] == "7 calls, 3.0 ms"
    assert known["JIT"] == "2.5 ms"
    assert known["serialization"] == "1.5 ms"
    assert known["start and end"] == "1.0 ms"
    assert known["setting random_page_cost"] == "1.1"
    assert "setting plan_cache_mode" not in known


def test_the_raw_plan_is_what_explain_printed() -> None:
    root = node("Hash Join", scan(Filter="(x = '<script>'::text)"), node("Hash", scan("ü")), Output=["a", "b"])
    document = {"Plan": root, "Planning Time": 0.25, "Triggers": [], "Execution Time": 12.5, "Settings": {"a": "<b>"}}
    raw = rendered(explained(root, Settings={"a": "<b>"})).one("details", "raw")
    assert json.loads(raw.one("pre").text()) == [document]
    assert '"ü"' in raw.one("pre").text()
    assert "open" not in raw.attributes
    assert "hidden" in raw.one("button", "copy").attributes  # the script shows it


def test_nothing_in_a_report_becomes_html() -> None:
    root = scan(HOSTILE, Filter=HOSTILE, Sort_Key=[HOSTILE], Alias=HOSTILE, Subplan_Name=HOSTILE)
    query: dict[str, Any] = {
        "statement": HOSTILE,
        "route": HOSTILE,
        "source": HOSTILE,
        "types": (HOSTILE,),
        "sets": (ParameterSet(name=HOSTILE, values=(HOSTILE,)),),
        "path": Path(HOSTILE),
    }
    found = finding(title=HOSTILE, message=HOSTILE, advice=HOSTILE, rule=HOSTILE, name=HOSTILE, relation=HOSTILE)
    beside: dict[str, Any] = {
        "Settings": {HOSTILE: HOSTILE},
        "Triggers": [{"Trigger Name": HOSTILE, "Time": 1.0, "Calls": 1}],
    }
    effect = replace(found, node=None, rule=f"{HOSTILE} 2", because_of=HOSTILE)
    done = told(replace(found, leads_to=(effect.rule,)), effect, root=root, name=HOSTILE, **query, **beside)
    (other,) = parse([{"Plan": node("Result")}])
    done = replace(
        done,
        alternatives={HOSTILE: other, "generic": parse([{"Plan": root}])[0]},
        changes=(Change(kind="x", direction=Direction.OTHER, text=HOSTILE),),
        checked=(HOSTILE,),
        unchecked=(HOSTILE,),
    )
    planned_only = replace(done, explained=replace(done.explained, status=Status.PLANNED, reason=HOSTILE))
    problem = BadFile(HOSTILE, HOSTILE)
    for one in (done, planned_only):
        text = page(report(one, server=HOSTILE, version=HOSTILE, problems=(problem,)))
        whole = read(text)
        (script,) = whole.all("script")
        assert script.text() == files("dbtune.render.html").joinpath("page.js").read_text(encoding="utf-8")
        assert "<script>alert" not in text
        assert not [t for t in whole.walk() if any(name.startswith("on") for name in t.attributes)]
        assert whole.one("pre", "statement").text() == HOSTILE
        assert whole.one("h3").text() == HOSTILE
        assert whole.one("title").text() == f"dbtune explain: {HOSTILE}"
        assert HOSTILE in whole.all("div", "condition")[0].text()
        assert json.loads(whole.one("details", "raw").one("pre").text())[0]["Plan"]["Filter"] == HOSTILE


def test_names_that_a_server_accepts_cannot_break_out_either(db: Connection) -> None:
    table = HOSTILE[:40].replace('"', '""')
    db.exec_driver_sql(f'CREATE TABLE "{table}" AS SELECT g AS "</script>" FROM generate_series(1, 1000) AS g')
    db.commit()
    query = Query(name="a", statement=f'SELECT * FROM "{table}" WHERE "</script>" < $1', sets=(_set("5"),))
    done = outcome(plans.explain(db, query, query.sets[0]))
    assert done.is_measured, done.explained.reason
    whole = rendered(done)
    assert len(whole.all("script")) == 1
    assert HOSTILE[:40] in whole.one("div", "plan").all("b")[0].text()
    assert '("</script>" < 5)' in whole.one("div", "plan").text().replace(f'"{table}".', "")


def _set(*values: str) -> ParameterSet:
    return ParameterSet(name="s", values=values)


def test_a_name_that_is_not_utf_8_can_be_written() -> None:
    whole = page(report(explained(scan(), name="caf\udce9")))
    assert "caf?" in whole
    whole.encode("utf-8")


def test_the_page_needs_nothing_else() -> None:
    text = page(report(explained(scan())))
    whole = read(text)
    assert [t.name for t in whole.walk() if {"src", "srcset", "action", "data"} & set(t.attributes)] == []
    assert [t.attributes["href"] for t in whole.all("link")] == ["data:,"]
    style = whole.one("style").text()
    assert "url(" not in style and "@import" not in style
    assert not re.search(r"https?:|//[a-z]", style + whole.one("script").text().replace("// ", ""))


def test_only_the_pages_own_script_may_run() -> None:
    whole = rendered(explained(scan()))
    (policy,) = [
        t.attributes["content"] or ""
        for t in whole.all("meta")
        if t.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(whole.one("script").text().encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy


def chain(depth: int) -> dict[str, Any]:
    made = scan(ms=1.0)
    for level in range(1, depth):
        made = node("Materialize", made, ms=1.0 + level)
    return made


@pytest.mark.parametrize("depth", [200, 1200])
def test_a_deep_plan_is_all_there_and_not_nested_without_end(depth: int) -> None:
    text = page(report(explained(chain(depth), ms=depth + 1.0)))
    whole = read(text)
    plan = whole.one("div", "plan")
    assert len(plan.all(kind="node")) == depth
    assert plan.all(kind="depth")[-1].text() == f"depth {depth - 1}"
    deepest = max(_depth(plan))
    assert deepest < 60
    # json reads no deeper than Python's stack
    assert whole.one("details", "raw").one("pre").text().count('"Node Type"') == depth
    if depth == 200:
        assert json.loads(whole.one("details", "raw").one("pre").text())[0]["Plan"] == chain(depth)


def _depth(tag: Tag) -> Iterator[int]:
    waiting = [(tag, 0)]
    while waiting:
        current, depth = waiting.pop()
        yield depth
        waiting.extend((c, depth + 1) for c in current.children if isinstance(c, Tag))


def test_in_a_large_plan_what_took_no_time_is_closed_but_findings_are_open() -> None:
    quiet = [node("Sort", node("Sort", scan(f"t{n}", ms=0.01), ms=0.01), ms=0.01) for n in range(700)]
    busy = node("Sort", scan("busy", ms=50.0), ms=60.0)
    root = node("Append", busy, *quiet, ms=100.0)
    plan = rendered(told(finding(node=5), root=root, ms=100.0)).one("div", "plan")
    assert len(plan.all(kind="node")) == 1 + 2 + 2100
    closed = [t for t in plan.all("details") if "open" not in t.attributes]
    assert len(closed) == 699
    assert "+ 2 nodes, 0.01 ms with all below" in closed[0].first("summary").text()
    assert not [t for t in closed if t.all("div", "finding") or "busy" in t.text()]


def test_a_small_plan_is_open() -> None:
    plan = rendered(explained(node("Append", node("Sort", scan(ms=0.0), ms=0.0), ms=100.0), ms=100.0)).one(
        "div", "plan"
    )
    assert all("open" in t.attributes for t in plan.all("details"))


@pytest.fixture(scope="module")
def node_js() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node to run the page's script with")
    return found


def script(node_js: str, expression: str) -> Any:
    """Return what an expression comes to after the page's script."""
    source = files("dbtune.render.html").joinpath("page.js").read_text(encoding="utf-8")
    done = subprocess.run(
        [node_js, "-e", f"{source}\nconsole.log(JSON.stringify({expression}))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_sorting_puts_numbers_by_value_and_missing_ones_last(node_js: str) -> None:
    rows = "[[9, 'a'], [null, 'b'], [100, 'c'], [9, 'd'], [0.5, 'e']]"
    ordered = f"[true, false].map((down) => sorted({rows}, (row) => row[0], down).map((row) => row[1]).join(''))"
    assert script(node_js, ordered) == ["cadeb", "eadcb"]


def test_sorting_puts_names_as_people_do(node_js: str) -> None:
    assert script(node_js, "sorted(['q10', 'Q2', null, 'é', 'f', 'q1'], (row) => row, false)") == [
        "é",
        "f",
        "q1",
        "Q2",
        "q10",
        None,
    ]


def test_a_cell_is_sorted_by_its_value_else_by_its_text(node_js: str) -> None:
    cells = """[
        keyOf({ dataset: { value: "1234.5" }, textContent: "1,234.50" }, "number"),
        keyOf({ dataset: { value: "" }, textContent: "–" }, "number"),
        keyOf({ dataset: {}, textContent: " GET /x " }, "text"),
        keyOf({ dataset: {}, textContent: "" }, "text"),
    ]"""
    assert script(node_js, cells) == [1234.5, None, "GET /x", None]


def test_the_filter_wants_every_word_anywhere(node_js: str) -> None:
    tries = "['item get', 'GET /ITEMS', 'item put', ''].map((wanted) => matches('by-owner GET /items', wanted))"
    assert script(node_js, tries) == [True, True, False, True]
