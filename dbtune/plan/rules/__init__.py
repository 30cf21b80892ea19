"""The catalogue of findings: one module a rule, each with ``RULE``; its docstring is the rule's page.

A rule looks at a :class:`~dbtune.plan.subject.Subject` and yields :class:`~dbtune.plan.finding.Sign` values; it asks no
server. Modules are found by themselves: a new file is a new rule.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from dbtune.plan.chain import linked
from dbtune.plan.finding import Confidence, Finding, Severity, Sign
from dbtune.plan.subject import Subject

MIN_SHARE = 0.05
"""Findings about less than this part of a statement are not told."""

MIN_MS = 1.0
"""Statements that took less than this many milliseconds are left in peace."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding: a stable id (A1), a name in words, a title, and the function that looks for it."""

    id: str
    name: str
    title: str
    check: Callable[[Subject], Iterable[Sign]]

    @property
    def page(self) -> str:
        """What the rule means, when it fires and what to do: its module's docstring."""
        return inspect.getdoc(inspect.getmodule(self.check)) or ""


@cache
def catalogue() -> tuple[Rule, ...]:
    """Return every rule, in order of id."""
    rules = []
    for module in pkgutil.iter_modules(__path__):
        rule = importlib.import_module(f"{__name__}.{module.name}").RULE
        assert isinstance(rule, Rule)
        rules.append(rule)
    return tuple(sorted(rules, key=lambda rule: (rule.id[0], int(rule.id[1:]))))


def judge(subject: Subject, rules: Iterable[Rule] | None = None) -> tuple[Finding, ...]:
    """Return what the rules find, the most worthwhile first."""
    found = [
        _finding(rule, sign, subject)
        for rule in (catalogue() if rules is None else rules)
        for sign in rule.check(subject)
        if sign.severity is not None or _is_worth_telling(sign, subject)
    ]
    ordered = sorted(found, key=lambda f: (-(f.saves_ms or 0.0), -f.severity, -f.share, f.rule, f.node or 0))
    return linked(ordered, subject.plan)


def _is_worth_telling(sign: Sign, subject: Subject) -> bool:
    execution = subject.analysis.execution_ms
    long_enough = execution is None or execution >= MIN_MS
    return long_enough and sign.share >= MIN_SHARE


def _finding(rule: Rule, sign: Sign, subject: Subject) -> Finding:
    execution = subject.analysis.execution_ms
    measured = subject.plan.is_analyzed
    saves = None if sign.avoidable is None or execution is None else execution * sign.share * sign.avoidable
    return Finding(
        rule=rule.id,
        name=rule.name,
        title=rule.title,
        severity=sign.severity or _severity(sign.share),
        message=sign.message,
        advice=sign.advice,
        share=sign.share,
        saves_ms=saves,
        confidence=Confidence.MEASURED if measured else Confidence.ESTIMATED,
        node=sign.node,
        relation=sign.relation,
        evidence=sign.evidence,
    )


def _severity(share: float) -> Severity:
    if share >= 0.5:
        return Severity.HIGH
    return Severity.WARN if share >= 0.1 else Severity.INFO
