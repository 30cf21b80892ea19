"""Sizes, times and sessions as a preflight's messages say them."""

from __future__ import annotations

from dbtune.migration.preflight.blocker import Blocker, Kind
from dbtune.migration.replica import Replica

_UNITS = (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10))


def size(value: float) -> str:
    """Return bytes in the largest unit of which there is one, with two digits or more."""
    for unit, factor in _UNITS:
        if value >= factor:
            amount = value / factor
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:,.0f} {unit}"
    return f"{value:.0f} B"


def time(seconds: float) -> str:
    """Return seconds as people say them: 0.3 s, 12 s, 3 min 12 s, 2 h 5 min, 4 d 3 h."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.05 else "0 s"
    whole = round(seconds)
    for (unit, factor), (below, part) in (
        (("d", 86_400), ("h", 3600)),
        (("h", 3600), ("min", 60)),
        (("min", 60), ("s", 1)),
    ):
        if whole >= factor:
            rest = whole % factor // part
            return f"{whole // factor} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def span(fast: float, slow: float) -> str:
    """Return a range of seconds, roughly."""
    if slow < 1:
        return "under a second"
    return f"{_rough(fast) if fast >= 1 else 'under a second'} to {_rough(slow)}"


def _rough(seconds: float) -> str:
    for unit, factor in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * factor:
            return f"{seconds / factor:.0f} {unit}"
    return f"{max(1, round(seconds))} s"


def blocker(each: Blocker) -> str:
    """Return who it is, since when, and what it holds."""
    if each.kind is Kind.PREPARED:
        name = f"prepared transaction {each.gid!r} of {each.role}" if each.gid else "a prepared transaction"
        facts = [_age(each.open_seconds, "for")]
    else:
        kind = "" if each.kind is Kind.SESSION else f" ({each.kind.value})"
        name = f"pid {each.pid}{kind}"
        facts = [each.role, each.application, each.address, each.state, _age(each.open_seconds, "open for")]
        facts += [] if each.is_shown else ["since when is not shown"]
    told = ", ".join(fact for fact in facts if fact)
    query = f" ({each.query})" if each.query and each.kind is not Kind.BUILD else ""
    return f"{name}{f', {told}' if told else ''}: {holds(each)}{query}"


def who(each: Blocker) -> str:
    """Return who it is and since when, in few words."""
    if each.kind is Kind.PREPARED:
        name = f"prepared transaction {each.gid!r}" if each.gid else "a prepared transaction"
    else:
        name = f"pid {each.pid}" if each.kind is Kind.SESSION else f"{each.kind.value} pid {each.pid}"
    if each.open_seconds is not None:
        return f"{name}, open for {time(each.open_seconds)}"
    return name if each.is_shown else f"{name}, since when is not shown"


def holds(each: Blocker) -> str:
    """Return why it would be waited for."""
    said = []
    for table in dict.fromkeys(lock.table for lock in each.locks):
        held = [lock.mode for lock in each.locks if lock.table == table and lock.granted]
        waits = [lock.mode for lock in each.locks if lock.table == table and not lock.granted]
        said += [f"holds {' and '.join(held)} on {table}"] if held else []
        said += [f"waits for {' and '.join(waits)} on {table}"] if waits else []
    if each.snapshot:
        said.append("keeps a snapshot, which the end of a build waits for")
    if each.kind is Kind.DEPLOYER:
        said.append("upgrades this database")
    return "; ".join(said)


def _age(seconds: float | None, lead: str) -> str | None:
    return None if seconds is None else f"{lead} {time(seconds)}"


def replica(each: Replica) -> str:
    """Return a standby and how far it is behind."""
    if each.bytes is None:
        return f"{each.name}: not shown to this role"
    state = ", ".join(fact for fact in (each.state, each.sync_state) if fact)
    lag = "up to date" if not each.bytes else f"{size(each.bytes)} behind"
    since = f", {time(each.seconds)}" if each.bytes and each.seconds is not None else ""
    return f"{each.name}: {state}, {lag}{since}"
