"""The rules' pages say what the rules' modules say."""

from __future__ import annotations

import json
from pathlib import Path

from dbtune.plan.rules import catalogue
from dbtune.render import rules

DOCS = Path(__file__).parents[2] / "docs"


def test_every_rule_has_its_page_and_no_page_is_left_over() -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "rules").glob("*.md")}
    assert pages == {rule.id: rules.page(rule) for rule in catalogue()}, "run .ci/rule-pages"


def test_the_list_of_pages_is_up_to_date() -> None:
    assert (DOCS / "rules.md").read_text(encoding="utf-8") == rules.index(), "run .ci/rule-pages"


def test_listings() -> None:
    lines = rules.listing("table", 80).splitlines()
    assert len(lines) == len(catalogue()) + 2
    assert lines[2].split()[:2] == ["A1", "selective-seq-scan"]
    assert {entry["id"] for entry in json.loads(rules.listing("json", 80))} == {r.id for r in catalogue()}
