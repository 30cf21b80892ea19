"""All checks, in the order in which people read them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

from dbtune.errors import UsageError
from dbtune.health import checks as package
from dbtune.health.check import Check, Group, Limit, Limits
from dbtune.health.limit_text import value_of

Chosen = dict[str, dict[str, float]]
"""The limits that hold, by check and name."""


@cache
def catalogue() -> tuple[Check, ...]:
    """Return every check, by group and then by id; a new module in ``checks`` is found by itself."""
    found: list[Check] = []
    for module in pkgutil.iter_modules(package.__path__):
        found += importlib.import_module(f"{package.__name__}.{module.name}").CHECKS
    order = list(Group)
    return tuple(sorted(found, key=lambda check: (order.index(check.group), check.id)))


def chosen(only: Iterable[str]) -> tuple[Check, ...]:
    """Return the checks that ``only`` names, by id or group; all of them where it names none.

    :raises UsageError: there is none of that name.
    """
    names = list(only)
    known = {check.id for check in catalogue()} | set(Group)
    for name in names:
        if name not in known:
            groups = ", ".join(Group)
            raise UsageError(f"no check or group {name!r}; groups: {groups}; --rules lists the checks")
    return tuple(check for check in catalogue() if not names or check.id in names or check.group in names)


def limits(settings: Iterable[str]) -> Chosen:
    """Return every check's limits, those of ``settings`` (``unused-index.days=14``) in place of the usual ones.

    :raises UsageError: no such check or limit, or no value of its unit.
    """
    found = {check.id: {limit.name: limit.value for limit in check.limits} for check in catalogue()}
    for setting in settings:
        place, equals, text = setting.partition("=")
        check_id, _, name = place.partition(".")
        limit = _limit(check_id, name) if equals else None
        if limit is None:
            raise UsageError(f"--limit {setting}: {_why(check_id, name, bool(equals))}")
        found[check_id][name] = value_of(text, limit.unit, f"--limit {setting}")
    return found


def _limit(check_id: str, name: str) -> Limit | None:
    own = next((check.limits for check in catalogue() if check.id == check_id), ())
    return next((limit for limit in own if limit.name == name), None)


def _why(check_id: str, name: str, has_value: bool) -> str:
    check = next((check for check in catalogue() if check.id == check_id), None)
    if not has_value:
        return "write CHECK.NAME=VALUE, such as unused-index.days=14"
    if check is None:
        return f"no check {check_id!r}; --rules lists them"
    names = ", ".join(limit.name for limit in check.limits) or "none"
    return f"{check_id} has no limit {name!r}; it has {names}"


def usual(check: Check) -> Limits:
    """Return the check's own limits."""
    return {limit.name: limit.value for limit in check.limits}
