"""The keys of a fleet file, and what each may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dbtune.pool.fleet import Amount, WorkerKind
from dbtune.pool.kinds import Kind

_MOST = 1_000_000


class Refused(Exception):
    """What a value must be, in words."""


def whole(value: object, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise Refused(f"must be a whole number from {least} to {_MOST}")
    return value


def _at_least_one(value: object) -> int:
    return whole(value, 1)


def _overflow(value: object) -> int:
    return whole(value, -1)


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return float(value)
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|min|h)", value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Refused('must be seconds, or a time such as "30s" or "500ms"')
    return float(found.group(1)) * {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}[found.group(2)]


def _above_zero(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _MOST:
        raise Refused("must be a number above 0")
    return float(value)


def _hold(value: object) -> float:
    if (seconds := _seconds(value)) <= 0:
        raise Refused('must be a time above 0, such as "30ms"')
    return seconds


def _recycle(value: object) -> float:
    return -1.0 if value == -1 else _seconds(value)


def _amount(value: object) -> Amount:
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,3})\s*%", value.strip())):
        return Amount(int(found.group(1)), is_percent=True)
    try:
        return Amount(whole(value))
    except Refused:
        raise Refused('must be a number of pods, or a percentage such as "25%"') from None


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused("must be true or false")
    return value


def name_of(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise Refused("must be a name")
    return value.strip()


def _one_of(*known: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in known:
            raise Refused(f"must be one of {', '.join(known)}")
        return str(value)

    return check


Check = Callable[[object], Any]

ENGINE: Mapping[str, Check] = {
    "kind": _one_of(*(each.value for each in Kind)),
    "pool_size": whole,
    "max_overflow": _overflow,
    "pool_timeout": _seconds,
    "pool_recycle": _recycle,
    "pool_pre_ping": flag,
    "driver": name_of,
    "database": name_of,
    "statement_timeout": _seconds,
    "prepared_statements": flag,
}
SERVICE: Mapping[str, Check] = {
    "name": name_of,
    "pods": whole,
    "surge": _amount,
    "unavailable": _amount,
    "terminating": whole,
    "processes": whole,
    "threads": _at_least_one,
    "worker": _one_of(*(each.value for each in WorkerKind)),
    "worker_timeout": _seconds,
    "preload": flag,
    "role": name_of,
    "via": name_of,
    "deploy_only": flag,
    "rate": _above_zero,
    "hold": _hold,
}
POOL: Mapping[str, Check] = {
    "database": name_of,
    "pool_size": _at_least_one,
    "reserve_pool_size": whole,
    "users": _at_least_one,
    "max_db_connections": whole,
}
POOLER: Mapping[str, Check] = {
    "name": name_of,
    "mode": _one_of("session", "transaction", "statement"),
    "pods": whole,
    "surge": _amount,
    "terminating": whole,
    "processes": _at_least_one,
    "max_client_conn": _at_least_one,
    "max_prepared_statements": whole,
    "server_idle_timeout": _seconds,
}
SERVER: Mapping[str, Check] = {
    "max_connections": _at_least_one,
    "superuser_reserved_connections": whole,
    "reserved_connections": whole,
    "provider_reserved": whole,
    "statement_timeout": _seconds,
    "idle_session_timeout": _seconds,
}
