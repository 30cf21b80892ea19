"""Every rule fires on the plans it is for, and no rule fires on those that are fine."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.plan.rules import catalogue, judge
from tests.plan import case as cases
from tests.plan.case import HERE, Case

CASES = {(case.rule, case.name): case for case in cases.load()}
RECORDED = sorted((HERE / "plans").glob("*/*.json"))


def _case(path: Path) -> Case:
    return CASES[path.parent.name, path.name.rsplit(".", 2)[0]]


def _id(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", [p for p in RECORDED if _case(p).fires], ids=_id)
def test_the_rule_fires(path: Path) -> None:
    case = _case(path)
    found = [f for f in judge(cases.subject(path)) if f.rule == case.rule]
    assert found, "did not fire"
    for key, expected in case.evidence.items():
        assert any(f.evidence[key] == expected for f in found), (key, [f.evidence for f in found])


@pytest.mark.parametrize("path", [p for p in RECORDED if not _case(p).fires], ids=_id)
def test_no_rule_fires_where_all_is_well(path: Path) -> None:
    # A case that switches methods off to get its plan is told so, which is right.
    is_steered = any(name.startswith("enable_") for name in _case(path).settings)
    found = [f for f in judge(cases.subject(path)) if not (is_steered and f.rule == "E11")]
    assert [(f.rule, f.message) for f in found] == []


def test_every_rule_has_plans_of_both_kinds() -> None:
    for rule in catalogue():
        kinds = {_case(path).fires for path in RECORDED if path.parent.name == rule.id}
        assert kinds == {True, False}, rule.id


def test_every_case_is_recorded_on_each_major() -> None:
    for case in CASES.values():
        if case.needs_jit:
            assert case.path(15).exists(), case
            continue
        for major in (13, 15, 18):
            if case.majors[0] <= major <= case.majors[1]:
                assert case.path(major).exists(), f"{case.rule} {case.name}: run tests/plan/record.py"


def test_ids_and_names_are_unique_and_every_page_says_what_to_do() -> None:
    rules = catalogue()
    assert len({r.id for r in rules}) == len({r.name for r in rules}) == len(rules)
    for rule in rules:
        assert "Fires when" in rule.page, rule.id
        assert "What to do" in rule.page, rule.id
        assert "Source: " in rule.page, rule.id
