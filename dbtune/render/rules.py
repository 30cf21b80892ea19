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
        return table.markdown(headers, rows, align) + "\n"
    return table.grid(headers, rows, align) + "\n"


def index() -> str:
    """Return the page that lists every rule, by group."""
    parts = [
        "# What dbtune finds in a plan\n",
        "`dbtune explain --rules` prints this list. For each rule `tests/plan/plans/` holds plans of real servers that"
        "\nfire it, and others that must not.\n",
    ]
    for letter, title in GROUPS.items():
        rows = [[f"[{r.id}](rules/{r.id}.md)", r.name, r.title] for r in catalogue() if r.id[0] == letter]
        parts.append(f"## {title}\n\n{table.markdown(['id', 'name', 'finding'], rows, ['left'] * 3)}\n")
    return "\n".join(parts)


def page(rule: Rule) -> str:
    """Return the rule's page in Markdown, from its module's docstring."""
    body = rule.page.replace("``", "`")
    return f"# {rule.id} {rule.name}: {rule.title}\n\n{body}\n\nGroup: {GROUPS[rule.id[0]]}.\n"
