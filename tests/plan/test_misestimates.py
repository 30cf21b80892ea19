"""Of the rules about row counts, exactly one speaks of each place where they go wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dbtune.plan.estimate import misestimates
from dbtune.plan.rules import MIN_MS, catalogue
from tests.plan import case as cases
from tests.plan.case import HERE

FAMILY = ("B1", "B4", "B5", "B6", "B7")
CHECKS = {rule.id: rule.check for rule in catalogue() if rule.id in FAMILY}
RECORDED = sorted((HERE / "plans").glob("*/*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_misestimate_is_told_once(path: Path) -> None:
    subject = cases.subject(path)
    told = Counter(sign.node for check in CHECKS.values() for sign in check(subject))
    assert told == Counter(found.node.number for found in misestimates(subject, MIN_MS))


@pytest.mark.parametrize("major", [13, 15, 18])
@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("B1", "fires-one-customer-of-many-buys-most"),
        ("B1", "fires-at-the-join"),
        ("B4", "fires-function"),
        ("B5", "fires-town-and-postcode"),
        ("B6", "fires-changed-since"),
        ("B7", "fires-recursive-cte"),
    ],
)
def test_the_cause_speaks_alone(rule: str, name: str, major: int) -> None:
    subject = cases.subject(HERE / "plans" / rule / f"{name}.{major}.json")
    assert [speaker for speaker, check in CHECKS.items() for _ in check(subject)] == [rule]
