"""The report of ``dbtune explain`` as one HTML page: it needs no other file, no network, and no script to be read."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import accumulate

from dbtune.plan import words
from dbtune.plan.access import access_paths, shape
from dbtune.plan.arithmetic import Analysis, Measure
from dbtune.plan.estimate import MISESTIMATE_FACTOR, MISESTIMATE_ROWS, is_misestimated
from dbtune.plan.explain import Explained, Status
from dbtune.plan.finding import Confidence, Finding, Severity
from dbtune.plan.report import Advice, Outcome, Report, ScannedTable, SequentialScan
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node, Plan
from dbtune.render.explain import SHOWN, group
from dbtune.workload.query import Query

Anchors = Mapping[str, str]
"""The id of each query's section, by the query's name."""

_VOID = frozenset({"input", "link", "meta"})
_STATUS = {Status.MEASURED: "measured", Status.PLANNED: "planned only", Status.SKIPPED: "skipped"}

_NESTED = 30
"""Nodes below this depth stand side by side, with their depth in words: browsers give up on endless nesting."""

_INDENTED = 10
"""Nodes below this depth are not indented further: on a narrow screen nothing would be left of the line."""

_LARGE = 100
"""In a plan of more nodes, subtrees that took next to nothing and have no finding are closed at first."""

_NEXT_TO_NOTHING = 0.01
_LONGEST_VALUE = 300
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

_CONDITIONS = (
    "TID Cond",
    "Index Cond",
    "Order By",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "Run Condition",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Cache Key",
    "Function Call",
    "Conflict Filter",
)
_FACTS = (
    "Sort Method",
    "Heap Fetches",
    "Lossy Heap Blocks",
    "Cache Hits",
    "Cache Misses",
    "Cache Evictions",
)
_MORE_THAN_ONE = ("Index Searches", "Hash Batches", "HashAgg Batches")
"""What is worth a word only where it is more than 1."""

_OWN_SETTINGS = frozenset({"plan_cache_mode"})
"""Settings that dbtune made itself, to have the plan at all."""


class Html(str):
    """Text that is HTML already; whatever else goes into an element is escaped."""

    __slots__ = ()


def element(name: str, /, *content: str, **attributes: str | float | bool | None) -> Html:
    """Return an element; text and attributes are escaped, an :class:`Html` stays as it is.

    ``class_`` is the attribute class, ``data_value`` is data-value; None and False leave an attribute out.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(content)}</{name}>")


def join(parts: Iterable[str], between: str = "") -> Html:
    """Return the parts one after the other, escaped unless they are :class:`Html`."""
    return Html(escape(between).join(p if isinstance(p, Html) else escape(p) for p in parts))


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
        _plans(outcomes, anchors),
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
    return Html(files("dbtune.render").joinpath(name).read_text(encoding="utf-8"))


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
    told = [f"{number} {_STATUS[status]}" for status, number in by_status.items() if number]
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
    return _section("problems", "Query files that could not be used", element("ul", *items))


def _section(anchor: str, title: str, *content: str) -> Html:
    heading = element("h2", title, id=f"{anchor}-title")
    return element("section", heading, *content, id=anchor, aria_labelledby=f"{anchor}-title")


# What would help, and what is scanned.


def _advice(report: Report, anchors: Anchors) -> Html:
    groups = group(report.advice())
    if not groups:
        return _section("findings", "Findings", element("p", "None.", class_="none"))
    items = [_together(together, anchors) for together in groups]
    parts = [element("ol", *items[:SHOWN])]
    if items[SHOWN:]:
        more = element("summary", f"{len(items) - SHOWN} more")
        parts.append(element("details", more, element("ol", *items[SHOWN:], start=SHOWN + 1)))
    return _section("findings", "Most valuable first", *parts)


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
        _title(first),
        element("p", f"{first.message}{example}.{_sure(first)}"),
        _help(first, gain),
        *_leads_to(_named(together[0].leads_to)),
        element("div", "In ", _links(queries, anchors), class_="where"),
        class_=f"finding {first.severity.word}",
    )


def _title(finding: Finding) -> Html:
    rule = element("span", finding.rule, class_="rule", title=finding.name)
    return element("p", _badge(finding.severity), " ", element("b", finding.title), " ", rule)


def _badge(severity: Severity) -> Html:
    return element("span", severity.word, class_=f"badge {severity.word}")


def _help(finding: Finding, gain: str) -> Html:
    return element("p", element("b", "Would help:"), f" {finding.advice}. ", element("span", gain, class_="gain"))


def _named(findings: Sequence[Finding]) -> list[Html]:
    return [join((f.title, " ", element("span", f.rule, class_="rule"))) for f in findings]


def _leads_to(findings: Sequence[Html]) -> list[Html]:
    return [element("p", element("b", "Leads to:"), " ", join(findings, ", "))] if findings else []


def _sure(finding: Finding) -> str:
    return " Estimated, not measured." if finding.confidence is Confidence.ESTIMATED else ""


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
        return _section("scans", title, element("p", "No sequential scans.", class_="none"))
    parts = [_wide(_tables(tables[:_TABLES], anchors), title)]
    if rest := tables[_TABLES:]:
        more = element("summary", words.plural(len(rest), "more table"))
        parts.append(element("details", more, _wide(_tables(rest, anchors), f"{title}: the others")))
    return _section("scans", title, *parts)


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


def _wide(content: Html, label: str) -> Html:
    """Return what may be wider than the page in a box that scrolls, by keyboard too."""
    return element("div", content, class_="wide", tabindex="0", role="region", aria_label=label)


# The table of queries. A cell's data-value is what it is sorted by; an empty one comes last.


def _queries(outcomes: Sequence[Outcome], anchors: Anchors) -> Html:
    if not outcomes:
        return _section("queries", "Queries", element("p", "None.", class_="none"))
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
    return _section("queries", "Queries", controls, _wide(table, "Queries"))


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
        _figure(_total_ms(outcome), _ms(_total_ms(outcome))),
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


def _total_ms(outcome: Outcome) -> float | None:
    return None if outcome.execution_ms is None else outcome.execution_ms * outcome.query.weight


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
        link = element("a", worst.title, href=f"#{_place(worst, anchor)}")
        parts.append(element("div", _badge(worst.severity), " ", link, " ", element("span", worst.rule, class_="rule")))
    if not outcome.is_measured:
        parts.append(element("div", _why(outcome.explained), class_="why"))
    return element("td", *parts, class_="worst", data_value=int(worst.severity) if worst is not None else "")


def _why(explained: Explained) -> str:
    status = _STATUS[explained.status]
    return f"{status}: {explained.reason}" if explained.reason else status


def _place(finding: Finding, anchor: str) -> str:
    """Return the id of the node that a finding is about, else of the findings below the plan."""
    return f"{anchor}-all" if finding.node is None else f"{anchor}-n{finding.node}"


# One query: what was asked, its plan, and where the time went.


def _plans(outcomes: Sequence[Outcome], anchors: Anchors) -> Html:
    if not outcomes:
        return Html()
    return _section("plans", "Plans", *(_query(outcome, anchors[outcome.query.name]) for outcome in outcomes))


def _query(outcome: Outcome, anchor: str) -> Html:
    query, explained, analysis = outcome.query, outcome.explained, outcome.analysis
    parts = [
        element(
            "header",
            element("h3", query.name, id=f"{anchor}-title"),
            element("a", "↑ all queries", href="#queries", class_="back"),
        )
    ]
    if query.route:
        parts.append(element("p", query.route, class_="route"))
    if not outcome.is_measured:
        parts.append(element("p", _why(explained), class_="note"))
    parts.append(_known(outcome))
    if query.statement:  # a plan in a file may come without
        parts.append(element("pre", element("code", query.statement), class_="statement", tabindex="0"))
    parts.append(_parameters(explained))
    if analysis is not None:
        parts.append(_changes(outcome))
        parts.append(_index(outcome.findings, anchor))
        parts.append(_tree(outcome, analysis, anchor))
        parts.append(_times(analysis))
        if everywhere := [_finding(f, outcome, anchor) for f in outcome.findings if f.node is None]:
            parts.append(element("div", *everywhere, id=f"{anchor}-all", class_="everywhere"))
        parts.append(_alternatives(outcome))
        parts.append(_looked_at(outcome))
        parts.append(_raw(analysis.plan))
    return element("article", *parts, id=anchor, aria_labelledby=f"{anchor}-title")


def _known(outcome: Outcome) -> Html:
    query = outcome.query
    ms, total = outcome.execution_ms, _total_ms(outcome)
    facts = []
    if ms is not None and total is not None:
        facts.append(("one run", words.milliseconds(ms)))
        if query.calls is not None:
            facts.append((words.plural(query.calls, "call"), words.milliseconds(total)))
    elif query.calls is not None:
        facts.append(("calls", words.number(query.calls)))
    if query.mean_ms is not None:
        facts.append(("mean seen by the application", words.milliseconds(query.mean_ms)))
    if outcome.rows is not None:
        facts.append(("rows", words.count(outcome.rows)))
    if query.source:
        facts.append(("captured by", query.source))
    if query.path is not None:
        facts.append(("file", str(query.path)))
    return _facts(facts)


def _facts(facts: Sequence[tuple[str, str]]) -> Html:
    """Return names and what they are; nothing for none."""
    pairs = [element("div", element("dt", name), element("dd", value)) for name, value in facts]
    return element("dl", *pairs, class_="facts") if pairs else Html()


def _parameters(explained: Explained) -> Html:
    """Return the parameter set with its values; nothing for a query without parameters."""
    name = explained.parameter_set
    if name is None:
        return Html()
    chosen = explained.query.parameter_set(name)
    if chosen is None:
        return element("p", "Parameters ", element("b", name), ": no values are known", class_="parameters")
    types = explained.query.types or ("",) * len(chosen.values)
    values = [
        element(
            "li",
            element("code", f"${number} = {_value(value)}"),
            *([" ", element("span", kind, class_="kind")] if kind else []),
        )
        for number, (value, kind) in enumerate(zip(chosen.values, types, strict=True), 1)
    ]
    lead = ("Parameter set ", element("b", name), f" ({chosen.provenance})")
    return element("div", *lead, element("ul", *values), class_="parameters")


def _value(value: str | None) -> str:
    if value is None:
        return "NULL"
    return f"'{value}'" if len(value) <= _LONGEST_VALUE else f"'{value[:_LONGEST_VALUE]}… ({len(value):,} characters)"


def _changes(outcome: Outcome) -> Html:
    """Return what changed since the baseline; nothing where there is none to compare with."""
    if outcome.changes is None:
        return Html()
    if not outcome.changes:
        return element("p", "The same as in the baseline.", class_="none")
    before = outcome.before
    told = [] if before is None or before.execution_ms is None else [words.milliseconds(before.execution_ms)]
    told += [] if before is None or before.blocks is None else [words.plural(before.blocks, "block")]
    lead = f"Since the baseline ({', '.join(told)}):" if told else "Since the baseline:"
    items = [
        element(
            "li", element("span", change.direction.value, class_="badge"), " ", change.text, class_=change.direction
        )
        for change in outcome.changes
    ]
    return element("div", lead, element("ul", *items), class_="changes")


def _index(findings: Sequence[Finding], anchor: str) -> Html:
    """Return a link to the place of each finding, the worst first; nothing for none."""
    ordered = sorted(findings, key=lambda f: (-f.severity, -(f.saves_ms or 0.0)))
    links = [
        element("li", _badge(f.severity), " ", element("a", f.title, href=f"#{_place(f, anchor)}")) for f in ordered
    ]
    return element("ul", *links, class_="index") if links else Html()


def _tree(outcome: Outcome, analysis: Analysis, anchor: str) -> Html:
    """Return the plan as nested blocks that open and close."""
    plan = analysis.plan
    subject = Subject(analysis)
    by_node: dict[int, list[Html]] = {}
    for finding in outcome.findings:
        if finding.node is not None:
            by_node.setdefault(finding.node, []).append(_finding(finding, outcome, anchor))
    closed = _closed(analysis, by_node)
    parts: list[str] = []
    ends: list[int] = []
    for node in plan.nodes:
        while ends and ends[-1] <= node.number:
            parts.append(Html("</details>"))
            ends.pop()
        found = by_node.get(node.number, [])
        nests = bool(node.children) and node.depth < _NESTED
        place = f"{anchor}-n{node.number}" if found else None
        whole = _node(node, subject, found, place, nests=nests, is_open=node.number not in closed)
        parts.append(Html(whole.removesuffix("</details>")) if nests else whole)
        if nests:
            ends.append(node.end)
    parts += [Html("</details>")] * len(ends)
    return element("div", _columns(analysis), *parts, class_="plan", role="group", aria_label="Plan")


def _node(
    node: Node, subject: Subject, found: Sequence[Html], place: str | None, *, nests: bool, is_open: bool
) -> Html:
    """Return one node, without those below it; it opens and closes where there is anything to hide."""
    details = (*_conditions(node), *_observations(node, subject), *found)
    kind = "node deep" if node.depth > _INDENTED else "node"
    line = _line(node, subject, nests)
    if not nests and not details:
        return element("div", element("div", line, class_="line"), class_=f"{kind} leaf", id=place)
    about = [element("div", *details, class_="about")] if details else []
    return element("details", element("summary", line, class_="line"), *about, class_=kind, id=place, open=is_open)


def _closed(analysis: Analysis, by_node: Mapping[int, Sequence[Html]]) -> set[int]:
    """Return the nodes that are closed at first: in a large plan, those that did next to nothing with all below.

    What they hide is open, so that one click shows it.
    """
    nodes = analysis.plan.nodes
    if len(nodes) <= _LARGE:
        return set()
    shares = [0.0, *accumulate(m.share for m in analysis.measures)]
    findings = [0, *accumulate(len(by_node.get(n.number, ())) for n in nodes)]
    quiet = {
        n.number
        for n in nodes
        if shares[n.end] - shares[n.number] < _NEXT_TO_NOTHING and findings[n.end] == findings[n.number]
    }
    return {n.number for n in nodes if n.children and n.number in quiet and n.parent not in quiet}


def _columns(analysis: Analysis) -> Html:
    plan = analysis.plan
    measured_by = "time" if plan.is_timed and analysis.execution_ms else None
    if measured_by is None:
        measured_by = "blocks" if plan.is_analyzed and plan.root.buffers is not None else "cost"
    rows = "rows estimated → actual" if plan.is_analyzed else "rows estimated"
    titles = (("label", "node"), ("share", f"share of {measured_by}"), ("self", "self ms"), ("rows", rows))
    cells = [element("span", title, class_=name) for name, title in (*titles, ("blocks", "blocks"))]
    return element("div", *cells, class_="line columns")


def _line(node: Node, subject: Subject, nests: bool) -> Html:
    """Return a node's line: what it is, and its figures."""
    measure = subject.measure(node)
    label = []
    if node.depth > _INDENTED:
        label += [element("span", f"depth {node.depth}", class_="depth"), " "]
    if node.subplan_name:
        label += [element("span", node.subplan_name, class_="subplan"), " "]
    label.append(element("b", node.label))
    if node.loops is not None and node.loops > 1:
        label += [" ", element("span", f"{words.number(node.loops)} loops", class_="loops")]
    if node.never_executed:
        label += [" ", element("span", "never executed", class_="loops")]
    if nests:
        label += [" ", element("span", _hidden(node, measure), class_="hidden-nodes")]
    heat = " hot" if measure.share >= 0.5 else " warm" if measure.share >= 0.1 else ""
    share = element(
        "span", words.percent(measure.share), class_=f"share{heat}", style=f"--share: {measure.share * 100:.1f}%"
    )
    own = "" if measure.self_ms is None or node.never_executed else f"{measure.self_ms:,.2f}"
    return join(
        (
            element("span", *label, class_="label"),
            share,
            element("span", own, class_="self"),
            element("span", *_rows(node, subject), class_="rows"),
            element("span", _blocks(measure, subject.plan), class_="blocks"),
        )
    )


def _hidden(node: Node, measure: Measure) -> str:
    """Return what a closed node hides."""
    count = node.end - node.number - 1
    time = "" if measure.inclusive_ms is None else f", {words.milliseconds(measure.inclusive_ms)} with all below"
    return f"+ {words.plural(count, 'node')}{time}"


def _rows(node: Node, subject: Subject) -> list[str]:
    measure = subject.measure(node)
    estimate = words.number(round(measure.estimated_rows))
    if node.never_executed:
        return [words.number(node.plan_rows)]
    if measure.rows is None:
        return [estimate]
    parts: list[str] = [f"{estimate} → {words.count(measure.rows)}"]
    if (factor := _off(measure)) is not None:
        # Few rows more or less, or a scan that was stopped early, matter little.
        few = max(measure.rows.value, measure.estimated_rows) < MISESTIMATE_ROWS or not is_misestimated(subject, node)
        parts += [" ", element("em", factor, class_="off few" if few else "off")]
    return parts


def _off(measure: Measure) -> str | None:
    """Return how far an estimate is off, from ten times on; None where rounding hides the figure."""
    if measure.rows is None or measure.rows.error > 0.1 * measure.rows.value:
        return None
    estimated, actual = max(1.0, measure.estimated_rows), max(1.0, measure.rows.value)
    ratio = max(estimated, actual) / min(estimated, actual)
    if ratio < MISESTIMATE_FACTOR:
        return None
    return f"{words.number(round(ratio))} × {'more' if actual > estimated else 'fewer'}"


def _blocks(measure: Measure, plan: Plan) -> str:
    own = measure.self_blocks
    return words.number(own.accessed) if own is not None and plan.is_analyzed else ""


def _conditions(node: Node) -> list[Html]:
    return [_condition(key, node.raw[key]) for key in _CONDITIONS if node.raw.get(key)]


def _condition(name: str, value: object) -> Html:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return element("div", element("span", name, class_="key"), " ", element("code", text), class_="condition")


def _observations(node: Node, subject: Subject) -> list[Html]:
    """Return what else the run told of a node, as one line; nothing for nothing."""
    measure = subject.measure(node)
    told = []
    if measure.removed is not None and measure.removed.value > 0:
        told.append(f"rows dropped {words.count(measure.removed)}")
    told += [f"{key.lower()} {_fact(node.raw[key])}" for key in _FACTS if node.raw.get(key)]
    told += [f"{key.lower()} {_fact(node.raw[key])}" for key in _MORE_THAN_ONE if node.number_of(key) > 1]
    if node.workers_launched is not None:
        told.append(f"{node.workers_launched} of {words.plural(node.number_of('Workers Planned'), 'worker')} launched")
    if node.raw.get("Sort Space Type") == "Disk":
        told.append(f"on disk {words.size(node.number_of('Sort Space Used') / 8)}")
    if node.raw.get("Disk Usage"):
        told.append(f"on disk {words.size(node.number_of('Disk Usage') / 8)}")
    own = measure.self_blocks
    if own is not None and subject.plan.is_analyzed:
        counters = (
            ("read from disk or the system's cache", own.shared_read + own.local_read),
            ("dirtied", own.shared_dirtied + own.local_dirtied),
            ("written", own.shared_written + own.local_written),
            ("of temporary files", own.temp),
        )
        told += [f"{words.plural(count, 'block')} {what}" for what, count in counters if count]
    return [element("div", ", ".join(told), class_="observed")] if told else []


def _fact(value: object) -> str:
    return words.number(value) if isinstance(value, int | float) else str(value)


def _finding(finding: Finding, outcome: Outcome, anchor: str) -> Html:
    """Return a finding in words, with links to its cause and to what it leads to."""
    saves = finding.saves_ms or 0.0
    gain = f"Saves about {words.milliseconds(saves)} of one execution." if saves >= 0.01 else ""
    causes = [f for f in outcome.roots if f.rule == finding.because_of]
    because = [element("p", element("b", "Because of:"), " ", join(_placed(causes, anchor), ", "))] if causes else []
    return element(
        "div",
        _title(finding),
        element("p", f"{finding.message}.{_sure(finding)}"),
        _help(finding, gain),
        *because,
        *_leads_to(_placed(outcome.consequences(finding), anchor)),
        class_=f"finding {finding.severity.word}",
    )


def _placed(findings: Sequence[Finding], anchor: str) -> list[Html]:
    return [
        join((element("a", f.title, href=f"#{_place(f, anchor)}"), " ", element("span", f.rule, class_="rule")))
        for f in findings
    ]


def _times(analysis: Analysis) -> Html:
    """Return where the time went that is not in a node, triggers one by one, and settings that made the plan."""
    plan = analysis.plan
    facts = []
    if plan.planning_ms is not None:
        facts.append(("planning", words.milliseconds(plan.planning_ms)))
    if analysis.execution_ms is not None:
        facts.append(("execution", words.milliseconds(analysis.execution_ms)))
    extras = (
        ("triggers", analysis.trigger_ms),
        ("JIT", plan.jit_ms),
        ("serialization", analysis.serialization_ms),
        ("start and end", analysis.other_ms),
    )
    facts += [(name, words.milliseconds(value)) for name, value in extras if value >= 0.01]
    facts += [_trigger(trigger) for trigger in plan.triggers]
    if analysis.blocks is not None and plan.is_analyzed:
        blocks = analysis.blocks.shared
        facts.append(("shared buffers", f"{words.plural(blocks, 'block')}, {words.size(blocks)}"))
    facts += [(f"setting {name}", str(value)) for name, value in plan.settings.items() if name not in _OWN_SETTINGS]
    return _facts(facts)


def _trigger(trigger: Mapping[str, object]) -> tuple[str, str]:
    name = trigger.get("Constraint Name") or trigger.get("Trigger Name") or "?"
    calls, time = trigger.get("Calls"), trigger.get("Time")
    told = [words.plural(calls, "call")] if isinstance(calls, int | float) else []
    told += [words.milliseconds(time)] if isinstance(time, int | float) else []
    return f"trigger {name}", ", ".join(told)


def _alternatives(outcome: Outcome) -> Html:
    """Return the plans with other parameter sets: cost, rows expected, and how each table is reached."""
    plans = outcome.alternatives
    if len(plans) < 2:
        return Html()
    if len({shape(plan) for plan in plans.values()}) == 1:
        return element("p", f"The same plan with other values: {', '.join(plans)}.", class_="none")
    head = element(
        "tr",
        element("th", "planned with", scope="col"),
        element("th", "cost", scope="col", class_="number"),
        element("th", "rows expected", scope="col", class_="number"),
        element("th", "scans", scope="col"),
    )
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            element("td", words.number(round(plan.root.total_cost)), class_="number"),
            element("td", words.number(plan.root.plan_rows), class_="number"),
            element("td", ", ".join(f"{p.relation} by {p.text}" for p in access_paths(plan)) or "no table"),
        )
        for name, plan in plans.items()
    ]
    table = element("table", element("thead", head), element("tbody", *rows))
    return _wide(table, f"Plans of {outcome.query.name} with other values")


def _looked_at(outcome: Outcome) -> Html:
    """Return what was looked at and is fine, and what could not be."""
    told = (("fine", outcome.checked), ("not checked", outcome.unchecked))
    return _facts([(name, "; ".join(texts)) for name, texts in told if texts])


def _raw(plan: Plan) -> Html:
    return element(
        "details",
        element("summary", "Plan as JSON"),
        element("button", "Copy", type="button", class_="copy", hidden=True),
        element("pre", _json(plan), tabindex="0"),
        class_="raw",
    )


def _json(plan: Plan) -> str:
    """Return the plan as EXPLAIN (FORMAT JSON) prints it, made from its leaves up: deep plans need no deep stack."""
    written = [""] * len(plan.nodes)
    for node in reversed(plan.nodes):
        fields = _fields(node.raw)
        if node.children:
            fields.append('"Plans": [' + ", ".join(written[child] for child in node.children) + "]")
        written[node.number] = _object(fields, 2 * min(node.depth, _NESTED) + 4)
    return "[" + _object([f'"Plan": {written[0]}', *_fields(plan.raw)], 2) + "]"


def _fields(raw: Mapping[str, object]) -> list[str]:
    return [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in raw.items()]


def _object(fields: Sequence[str], margin: int) -> str:
    lines = ",\n".join(" " * margin + field for field in fields)
    return "{\n" + lines + "\n" + " " * (margin - 2) + "}"
