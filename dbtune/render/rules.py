"""The catalogue of findings: a listing, and a page for each rule."""

from __future__ import annotations

import json

from dbtune.plan.rules import Rule, catalogue
from dbtune.render import table

GROUPS = {"A": "Access paths", "B": "Estimates", "C": "Memory", "D": "Joins, subqueries, shape", "E": "The statement"}


def listing(format: str, width: int) -> str:
    """Return id, name and title of every rule, as ``table``, ``markdown`` or ``json``."""
    if format == "json":
        return json.dumps(
            [{"id": r.id, "name": r.name, "title": r.title, "page": r.page} for r in catalogue()], indent=2
        )
    rows = [[rule.id, rule.name, rule.title] for rule in catalogue()]
    headers, align = ["id", "name", "finding"], ["left"] * 3
    if format == "markdown":
        return table.markdown(headers, [[f"[{i}](rules/{i}.md)", n, t] for i, n, t in rows], align) + "\n"
    return table.grid(headers, rows, align) + "\n"


def page(rule: Rule) -> str:
    """Return the rule's page in Markdown, from its module's docstring."""
    body = rule.page.replace("``", "`")
    return f"# {rule.id} {rule.name}: {rule.title}\n\n{body}\n\nGroup: {GROUPS[rule.id[0]]}.\n"
