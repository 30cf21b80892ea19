"""The page as a whole: what was explained, what is most valuable, tables and queries."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from dbtune.plan import words
from dbtune.plan.explain import Status
from dbtune.plan.finding import Finding, Severity
from dbtune.plan.report import Advice, Outcome, Report, ScannedTable, SequentialScan
from dbtune.render.explain import SHOWN, group
from dbtune.render.html.elements import (
    STATUS,
    Anchors,
    Html,
    badge,
    element,
    join,
    leads_to,
    named_rule,
    place,
    section,
    sure,
    total_ms,
    why,
    wide,
    would_help,
)
from dbtune.render.html.plans import plans
from dbtune.workload.query import Query

_LINKS = 8
_TABLES = 10
_COLUMNS = (
    ("query", "name", "text"),
    ("route", "route", "text"),
    ("calls", "number", "number"),
    ("ms", "number", "number"),
    ("total ms", "number", "number"),
    ("rows", "number", "number"),
    ("buffers", "number", "number"),
    ("sequential scans: rows read → kept", "scans", "number"),
    ("worst finding", "worst", "number"),
)
"""The table of queries: each column's title, its class, and whether it is sorted as text or as numbers."""
_SORTED = {"total ms": "descending"}


def page(report: Report) -> str:
    """Return the report as an HTML document with its style and script inside."""
    outcomes = report.by_cost()
    anchors = {outcome.query.name: f"q{number}" for number, outcome in enumerate(outcomes, 1)}
    body = element(
        "main",
        _head(report),
        _problems(report),
        _advice(report, anchors),
        _scanned(report, anchors),
        _queries(outcomes, anchors),
        plans(outcomes, anchors),
    )
    script = _resource("page.js")
    text = join(
        (
            Html("<!DOCTYPE html>\n"),
            Html('<html lang="en">\n'),
            element("head", *_metadata(report, script)),
            element("body", body, element("script", script)),
            Html("\n</html>\n"),
        )
    )
    # The name of a file need not be UTF-8; Python keeps such bytes as half characters, which no file can hold.
    return text.encode("utf-8", "replace").decode("utf-8")


def _resource(name: str) -> Html:
    return Html(files("dbtune.render.html").joinpath(name).read_text(encoding="utf-8"))


def _metadata(report: Report, script: str) -> list[Html]:
    """Return what stands in the page's head. The policy lets nothing be loaded, and no script run but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),  # else a browser asks the server for one
        element("title", f"dbtune explain: {report.server}"),
        element("style", _resource("page.css")),
    ]


def _head(report: Report) -> Html:
    count = len(report.outcomes)
    by_status = {status: sum(o.explained.status is status for o in report.outcomes) for status in Status}
    told = [f"{number} {STATUS[status]}" for status, number in by_status.items() if number]
    captured = sum((o.execution_ms or 0.0) * o.query.weight for o in report.outcomes)
    calls = sum(o.query.weight for o in report.measured)
    facts = [
        ("Queries", words.number(count), ", ".join(told) or "none"),
        ("One run of each", words.milliseconds(report.execution_ms), "execution time"),
        ("As often as captured", words.milliseconds(captured), words.plural(calls, "call")),
        ("Shared buffers", words.size(report.blocks), f"{words.plural(report.blocks, 'block')}, one run of each"),
        ("Findings", *_finding_counts(report)),
    ]
    parts = [
        element("p", "dbtune explain", class_="product"),
        element("h1", f"Query plans on PostgreSQL {report.version}" if report.version else "Query plans"),
        element("p", report.server, class_="server"),
    ]
    if report.interrupted:
        left = report.selected - len(report.outcomes)
        more = f"{words.number(left)} more {'query' if left == 1 else 'queries'}"
        parts.append(element("p", f"Stopped before {more}: this page has only part.", class_="note"))
    tiles = [
        element("div", element("dt", name), element("dd", element("b", figure), " ", element("small", detail)))
        for name, figure, detail in facts
    ]
    return element("header", *parts, element("dl", *tiles, class_="tiles"))


def _finding_counts(report: Report) -> tuple[str, str]:
    every = [f.severity for o in report.outcomes for f in o.findings]
    counts = [(s, every.count(s)) for s in sorted(Severity, reverse=True)]
    return words.number(len(every)), ", ".join(f"{n} {s.word}" for s, n in counts if n) or "nothing to say"


def _problems(report: Report) -> Html:
    if not report.problems:
        return Html()
    items = [element("li", str(problem)) for problem in report.problems]
    return section("problems", "Query files that could not be used", element("ul", *items))


def _advice(report: Report, anchors: Anchors) -> Html:
    groups = group(report.advice())
    if not groups:
        return section("findings", "Findings", element("p", "None.", class_="none"))
    items = [_together(together, anchors) for together in groups]
    parts = [element("ol", *items[:SHOWN])]
    if items[SHOWN:]:
        more = element("summary", f"{len(items) - SHOWN} more")
        parts.append(element("details", more, element("ol", *items[SHOWN:], start=SHOWN + 1)))
    return section("findings", "Most valuable first", *parts)


def _together(together: Sequence[Advice], anchors: Anchors) -> Html:
    """Return one advice with the queries that it is for."""
    first = together[0].finding
    saving = sum(a.saves_ms for a in together)
    calls = sum(a.query.weight for a in together)
    gain = f"Saves about {words.milliseconds(saving)} over {words.plural(calls, 'call')}." if saving >= 0.01 else ""
    queries = list({a.query.name: a.query for a in together}.values())
    example = f" (in {queries[0].name})" if len(queries) > 1 else ""
    return element(
        "li",
        named_rule(first),
        element("p", f"{first.message}{example}.{sure(first)}"),
        would_help(first, gain),
        *leads_to(_named(together[0].leads_to)),
        element("div", "In ", _links(queries, anchors), class_="where"),
        class_=f"finding {first.severity.word}",
    )


def _named(findings: Sequence[Finding]) -> list[Html]:
    return [join((f.title, " ", element("span", f.rule, class_="rule"))) for f in findings]


def _links(queries: Sequence[Query], anchors: Anchors) -> Html:
    """Return links to these queries' plans; the rest of a long list is folded up."""
    links = [element("a", q.name, href=f"#{anchors[q.name]}") for q in queries]
    first, rest = join(links[:_LINKS], ", "), links[_LINKS:]
    if not rest:
        return first
    return join((first, " ", element("details", element("summary", f"and {len(rest)} more"), join(rest, ", "))))


def _scanned(report: Report, anchors: Anchors) -> Html:
    title = "Tables scanned as a whole"
    tables = report.scanned_tables()
    if not tables:
        return section("scans", title, element("p", "No sequential scans.", class_="none"))
    parts = [wide(_tables(tables[:_TABLES], anchors), title)]
    if rest := tables[_TABLES:]:
        more = element("summary", words.plural(len(rest), "more table"))
        parts.append(element("details", more, wide(_tables(rest, anchors), f"{title}: the others")))
    return section("scans", title, *parts)


def _tables(tables: Sequence[ScannedTable], anchors: Anchors) -> Html:
    rows = [
        element(
            "tr",
            element("th", table.relation, scope="row"),
            element("td", words.number(table.rows_read) if table.rows_read else "unknown", class_="number"),
            element("td", _links(table.queries, anchors)),
        )
        for table in tables
    ]
    head = element(
        "tr",
        element("th", "table", scope="col"),
        element("th", "rows read, one run of each", scope="col", class_="number"),
        element("th", "by", scope="col"),
    )
    return element("table", element("thead", head), element("tbody", *rows))


def _queries(outcomes: Sequence[Outcome], anchors: Anchors) -> Html:
    if not outcomes:
        return section("queries", "Queries", element("p", "None.", class_="none"))
    heads = [
        element("th", title, scope="col", class_=name, data_sort=kind, aria_sort=_SORTED.get(title))
        for title, name, kind in _COLUMNS
    ]
    table = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *(_row(outcome, anchors) for outcome in outcomes)),
        id="query-table",
    )
    search = element(
        "input", type="search", id="filter", placeholder="name, route, table, finding …", autocomplete="off"
    )
    controls = element(
        "p",
        element("label", "Show only ", search),
        " ",
        element("output", id="shown", for_="filter", aria_live="polite"),
        class_="controls",
        hidden=True,
    )
    return section("queries", "Queries", controls, wide(table, "Queries"))


def _row(outcome: Outcome, anchors: Anchors) -> Html:
    query = outcome.query
    ms = outcome.execution_ms
    blocks = outcome.analysis.blocks if outcome.analysis is not None and outcome.is_measured else None
    read = sum(s.read.value for s in outcome.scans if s.read is not None)
    return element(
        "tr",
        element("th", element("a", query.name, href=f"#{anchors[query.name]}"), scope="row", class_="name"),
        element("td", query.route or "", class_="route"),
        _figure(query.calls, "" if query.calls is None else words.number(query.calls)),
        _figure(ms, _ms(ms)),
        _figure(total_ms(outcome), _ms(total_ms(outcome))),
        _figure(outcome.rows.value if outcome.rows else None, words.count(outcome.rows) if outcome.rows else "–"),
        _figure(blocks.shared if blocks else None, words.number(blocks.shared) if blocks else "–"),
        element("td", *map(_scan, outcome.scans), class_="scans", data_value=read if outcome.scans else ""),
        _worst(outcome, anchors[query.name]),
    )


def _figure(value: float | None, text: str) -> Html:
    return element("td", text, class_="number", data_value="" if value is None else value)


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.2f}" if value < 10_000 else f"{value:,.0f}"


def _scan(scan: SequentialScan) -> Html:
    times = f" ({words.number(scan.loops)} times)" if scan.loops > 1 else ""
    return element("div", f"{scan.relation} ", element("span", _read_and_kept(scan), class_="figures"), times)


def _read_and_kept(scan: SequentialScan) -> str:
    if scan.read is None or scan.kept is None:
        return "rows unknown"
    return f"{'~ ' if scan.is_estimated else ''}{words.count(scan.read)} → {words.count(scan.kept)}"


def _worst(outcome: Outcome, anchor: str) -> Html:
    worst = outcome.worst
    parts = []
    if worst is not None:
        link = element("a", worst.title, href=f"#{place(worst, anchor)}")
        parts.append(element("div", badge(worst.severity), " ", link, " ", element("span", worst.rule, class_="rule")))
    if not outcome.is_measured:
        parts.append(element("div", why(outcome.explained), class_="why"))
    return element("td", *parts, class_="worst", data_value=int(worst.severity) if worst is not None else "")
