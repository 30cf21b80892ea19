"""One plan as an indented tree."""

from __future__ import annotations

import textwrap

from dbtune.plan import words
from dbtune.plan.access import access_paths, shape
from dbtune.plan.arithmetic import Measure
from dbtune.plan.report import Outcome
from dbtune.plan.tree import Node, Plan

_CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "Sort Key",
    "Group Key",
    "Cache Key",
)
_HEADERS = f"{'self ms':>9}  {'share':>6}  {'rows estimated → actual':>25}  {'blocks':>8}  plan"
_BESIDE = 120
"""Columns from which the figures stand in columns beside the tree; below it they stand under their node."""

_MAX_DEPTH = 30
"""Deeper nodes are not indented further: the tree must stay readable."""


SHOWN = 3
"""Findings told in words; JSON has all."""


def tree(outcome: Outcome, width: int, *, colour: bool = False) -> str:
    """Return the plan: self time, share, rows estimated → actual, blocks; conditions and findings beside their node.

    With ``colour``, nodes that take half of the time or more are red, those that take a tenth yellow.
    """
    query = outcome.query
    analysis = outcome.analysis
    title = query.name + (f": {query.route}" if query.route else "")
    lines = textwrap.wrap(title, width, subsequent_indent="    ", break_on_hyphens=False)
    explained = outcome.explained
    if explained.parameter_set is not None:
        lines.append(f"parameter set {explained.parameter_set} ({explained.provenance})")
    if explained.reason is not None:
        lines.append(f"{explained.status.value}: {explained.reason}")
    if analysis is None:
        return "\n".join(lines) + "\n"
    lines += ["", *_nodes(outcome, width, colour)]
    lines += ["", *_wrapped(_total(outcome), width, "")]
    for finding in outcome.roots[:SHOWN]:
        text = (
            f"{finding.severity.word} {finding.rule} {finding.title}: {finding.message}. Would help: {finding.advice}."
        )
        if consequences := outcome.consequences(finding):
            text += f" This leads to: {', '.join(f'{c.title} ({c.rule})' for c in consequences)}."
        lines += _wrapped(text, width, "")
    if len(outcome.roots) > SHOWN:
        lines.append(f"{len(outcome.roots) - SHOWN} more with --format json")
    lines += _beside(outcome, width)
    if outcome.checked:
        lines += _wrapped(f"Fine: {'; '.join(outcome.checked)}.", width, "")
    if outcome.unchecked:
        lines += _wrapped(f"Not checked: {'; '.join(outcome.unchecked)}.", width, "")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _beside(outcome: Outcome, width: int) -> list[str]:
    """Return the plans for other parameter sets, a line each: cost, rows expected, and how each table is reached."""
    if len(outcome.alternatives) < 2:
        return []
    if len({shape(plan) for plan in outcome.alternatives.values()}) == 1:
        return ["", *_wrapped(f"The same plan for other values: {', '.join(outcome.alternatives)}.", width, ""), ""]
    rows = [
        [name, words.number(round(plan.root.total_cost)), words.number(plan.root.plan_rows), _paths(plan)]
        for name, plan in outcome.alternatives.items()
    ]
    sizes = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["", "Planned with other values (cost, rows expected, scans):"]
    for name, cost, expected, paths in rows:
        lines += _wrapped(f"{name:<{sizes[0]}}  {cost:>{sizes[1]}}  {expected:>{sizes[2]}}  {paths}", width, "  ")
    return [*lines, ""]


def _paths(plan: Plan) -> str:
    return ", ".join(f"{p.relation} by {p.text}" for p in access_paths(plan)) or "no table"


def _nodes(outcome: Outcome, width: int, colour: bool) -> list[str]:
    analysis = outcome.analysis
    assert analysis is not None
    plan = analysis.plan
    flags: dict[int, list[str]] = {}
    for finding in outcome.findings:
        if finding.node is not None:
            flags.setdefault(finding.node, []).append(f"▲ {finding.severity.word} {finding.rule} {finding.title}")
    beside = width >= _BESIDE
    lines = [_HEADERS] if beside else []
    for node, (lead, below) in zip(plan.nodes, _branches(plan), strict=True):
        measure = analysis.of(node)
        label = " ".join(part for part in (_subplan(node), node.label, _loops(node)) if part)
        details = [*_details(node, measure), *flags.get(node.number, [])]
        if beside:
            lines.append(_coloured(f"{_columns(node, measure, plan)}  {lead}{label}", measure, colour))
            indent = " " * (len(_HEADERS) - 4) + below
        else:
            indent = below
            wrapped = textwrap.wrap(label, width, initial_indent=lead, subsequent_indent=f"{indent}    ")
            lines += [_coloured(line, measure, colour) for line in wrapped]
            details.insert(0, _sentence(node, measure, plan))
        for detail in details:
            lines += _wrapped(detail, max(width, len(indent) + 40), f"{indent}    ")
    return lines


def _coloured(line: str, measure: Measure, colour: bool) -> str:
    code = "31" if measure.share >= 0.5 else "33" if measure.share >= 0.1 else None
    return f"\x1b[{code}m{line}\x1b[0m" if colour and code is not None else line


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    if len(indent) + len(text) <= width:  # nearly always, and cheaper than to ask textwrap
        return [indent + text]
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def _branches(plan: Plan) -> list[tuple[str, str]]:
    """Return for each node what leads its line, and what leads the lines below it."""
    branches: list[tuple[str, str]] = []
    for node in plan.nodes:
        above = plan.parent(node)
        if above is None:
            branches.append(("", ""))
        elif node.depth > _MAX_DEPTH:
            branches.append((f"({node.depth}) ", ""))
        else:
            last = above.children[-1] == node.number
            lead = branches[above.number][1]
            branches.append((lead + ("└ " if last else "├ "), lead + ("  " if last else "│ ")))
    return branches


def _columns(node: Node, measure: Measure, plan: Plan) -> str:
    time, blocks = _time(measure), _blocks(measure, plan)
    return f"{time:>9}  {words.percent(measure.share):>6}  {_rows(node, measure):>25}  {blocks:>8}"


def _sentence(node: Node, measure: Measure, plan: Plan) -> str:
    if node.never_executed:
        return "never executed"
    time, blocks = _time(measure), _blocks(measure, plan)
    parts = [f"self {time} ms ({words.percent(measure.share)})" if time else f"{words.percent(measure.share)} of cost"]
    parts.append(f"rows {_rows(node, measure)}")
    if blocks:
        parts.append(f"{blocks} {'block' if blocks == '1' else 'blocks'}")
    return ", ".join(parts)


def _time(measure: Measure) -> str:
    return "" if measure.self_ms is None else f"{measure.self_ms:,.2f}"


def _blocks(measure: Measure, plan: Plan) -> str:
    known = measure.self_blocks is not None and plan.is_analyzed
    return words.number(measure.self_blocks.accessed) if known and measure.self_blocks is not None else ""


def _rows(node: Node, measure: Measure) -> str:
    estimate = words.number(round(measure.estimated_rows))
    if node.never_executed:
        return f"{words.number(node.plan_rows)} → never executed"
    return estimate if measure.rows is None else f"{estimate} → {words.count(measure.rows)}"


def _subplan(node: Node) -> str:
    return f"{node.subplan_name}:" if node.subplan_name else ""


def _loops(node: Node) -> str:
    return f"({words.number(node.loops)} loops)" if node.loops is not None and node.loops > 1 else ""


def _details(node: Node, measure: Measure) -> list[str]:
    details = []
    for key in _CONDITIONS:
        value = node.raw.get(key)
        if value:
            details.append(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    if measure.removed is not None and measure.removed.value > 0:
        details.append(f"rows dropped by filters: {words.count(measure.removed)}")
    if (off := _misestimate(measure)) is not None:
        details.append(off)
    if node.raw.get("Sort Space Type") == "Disk":
        details.append(f"sorted on disk: {words.size(node.number_of('Sort Space Used') / 8)}")
    return details


def _misestimate(measure: Measure) -> str | None:
    """Return the flag of an estimate that is off tenfold or more; where rounding hides the figure there is none."""
    if measure.rows is None or measure.rows.error > 0.1 * measure.rows.value:
        return None
    estimated, actual = max(1.0, measure.estimated_rows), max(1.0, measure.rows.value)
    if max(estimated, actual) < 10 * min(estimated, actual):
        return None
    times = words.number(round(max(estimated, actual) / min(estimated, actual)))
    return f"◆ estimate {times} times too {'high' if estimated > actual else 'low'}"


def _total(outcome: Outcome) -> str:
    analysis = outcome.analysis
    assert analysis is not None
    plan = analysis.plan
    parts = []
    if plan.planning_ms is not None:
        parts.append(f"planning {words.milliseconds(plan.planning_ms)}")
    if analysis.execution_ms is not None:
        parts.append(f"execution {words.milliseconds(analysis.execution_ms)}")
    for name, value in (
        ("triggers", analysis.trigger_ms),
        ("serialization", analysis.serialization_ms),
        ("JIT", plan.jit_ms),
        ("start and end", analysis.other_ms),
    ):
        if value >= 0.01:
            parts.append(f"{name} {words.milliseconds(value)}")
    if analysis.blocks is not None and plan.is_analyzed:
        parts.append(f"{words.plural(analysis.blocks.shared, 'shared block')}")
    return ", ".join(parts)
