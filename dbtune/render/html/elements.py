"""HTML that escapes by itself, and the pieces that the page's parts share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from dbtune.plan.explain import Explained, Status
from dbtune.plan.finding import Confidence, Finding, Severity
from dbtune.plan.report import Outcome

Anchors = Mapping[str, str]
"""The id of each query's section, by the query's name."""
_VOID = frozenset({"input", "link", "meta"})
STATUS = {Status.MEASURED: "measured", Status.PLANNED: "planned only", Status.SKIPPED: "skipped"}


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


def section(anchor: str, title: str, *content: str) -> Html:
    heading = element("h2", title, id=f"{anchor}-title")
    return element("section", heading, *content, id=anchor, aria_labelledby=f"{anchor}-title")


def named_rule(finding: Finding) -> Html:
    rule = element("span", finding.rule, class_="rule", title=finding.name)
    return element("p", badge(finding.severity), " ", element("b", finding.title), " ", rule)


def badge(severity: Severity) -> Html:
    return element("span", severity.word, class_=f"badge {severity.word}")


def would_help(finding: Finding, gain: str) -> Html:
    return element("p", element("b", "Would help:"), f" {finding.advice}. ", element("span", gain, class_="gain"))


def leads_to(findings: Sequence[Html]) -> list[Html]:
    return [element("p", element("b", "Leads to:"), " ", join(findings, ", "))] if findings else []


def sure(finding: Finding) -> str:
    told = {Confidence.ESTIMATED: " Estimated, not measured.", Confidence.SAMPLED: " Measured with sampled values."}
    return told.get(finding.confidence, "")


def wide(content: Html, label: str) -> Html:
    """Return what may be wider than the page in a box that scrolls, by keyboard too."""
    return element("div", content, class_="wide", tabindex="0", role="region", aria_label=label)


def total_ms(outcome: Outcome) -> float | None:
    return None if outcome.execution_ms is None else outcome.execution_ms * outcome.query.weight


def why(explained: Explained) -> str:
    status = STATUS[explained.status]
    return f"{status}: {explained.reason}" if explained.reason else status


def place(finding: Finding, anchor: str) -> str:
    """Return the id of the node that a finding is about, else of the findings below the plan."""
    return f"{anchor}-all" if finding.node is None else f"{anchor}-n{finding.node}"
