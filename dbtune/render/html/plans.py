"""One query's part of the page: its statement, its plan as a tree that folds, and what was found in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate

from dbtune.plan import words
from dbtune.plan.access import access_paths, shape
from dbtune.plan.arithmetic import Analysis, Measure
from dbtune.plan.estimate import MISESTIMATE_FACTOR, MISESTIMATE_ROWS, is_misestimated
from dbtune.plan.explain import Explained
from dbtune.plan.finding import Finding
from dbtune.plan.report import Outcome
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node, Plan
from dbtune.render.html.elements import (
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

_NESTED = 30
"""Nodes below this depth stand side by side, with their depth in words: browsers give up on endless nesting."""
_INDENTED = 10
"""Nodes below this depth are not indented further: on a narrow screen nothing would be left of the line."""
_LARGE = 100
"""In a plan of more nodes, subtrees that took next to nothing and have no finding are closed at first."""
_NEXT_TO_NOTHING = 0.01
_LONGEST_VALUE = 300
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


def plans(outcomes: Sequence[Outcome], anchors: Anchors) -> Html:
    if not outcomes:
        return Html()
    return section("plans", "Plans", *(_query(outcome, anchors[outcome.query.name]) for outcome in outcomes))


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
        parts.append(element("p", why(explained), class_="note"))
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
    ms, total = outcome.execution_ms, total_ms(outcome)
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
    links = [element("li", badge(f.severity), " ", element("a", f.title, href=f"#{place(f, anchor)}")) for f in ordered]
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
        named_rule(finding),
        element("p", f"{finding.message}.{sure(finding)}"),
        would_help(finding, gain),
        *because,
        *leads_to(_placed(outcome.consequences(finding), anchor)),
        class_=f"finding {finding.severity.word}",
    )


def _placed(findings: Sequence[Finding], anchor: str) -> list[Html]:
    return [
        join((element("a", f.title, href=f"#{place(f, anchor)}"), " ", element("span", f.rule, class_="rule")))
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
    return wide(table, f"Plans of {outcome.query.name} with other values")


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
