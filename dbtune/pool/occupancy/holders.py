"""Who has the connections: sessions put together by application, role and database, and how busy each was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dbtune.server.sessions import DISABLED, HOLDING, IDLE_IN_TRANSACTION, Group, Sample, Session

NO_NAME = "(no application_name)"
LOCAL = "local socket"
STARTING = "starting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Alike sessions. ``busy`` is how many held a connection on average while sampled, None where nobody sampled.

    ``clients`` counts addresses, ``longest_s`` is the age of the oldest transaction. ``unseen`` are sessions whose
    state is hidden from this role, or that have track_activities off.
    """

    application_name: str
    usename: str
    datname: str
    clients: int
    open: int
    active: int
    idle_in_transaction: int
    idle: int
    unseen: int
    longest_s: float | None
    busy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many sessions wait for what while they hold a connection: ``kind`` None: for nothing, they compute.

    ``state`` is ``active`` or ``idle in transaction``; who is that waits for the client, whatever else is told.
    """

    kind: str | None
    event: str | None
    state: str
    mean: float


def holders(clients: Sequence[Session], samples: Sequence[Sample]) -> list[Holder]:
    """Return the sessions by application, role and database, those with most connections first."""
    groups: dict[tuple[str, str, str], list[Session]] = {}
    for each in clients:
        groups.setdefault(_key(each.application_name, each.usename, each.datname), []).append(each)
    busy: Counter[tuple[str, str, str]] = Counter()
    for sample in samples:
        for group in (group for group in sample if group.usename is not None):  # else it only begins
            key = _key(group.application_name, group.usename, group.datname)
            groups.setdefault(key, [])
            busy[key] += group.count if group.is_holding else 0
    found = [_holder(key, each, busy[key] / len(samples) if samples else None) for key, each in groups.items()]
    return sorted(found, key=lambda h: (-h.open, -(h.busy or 0), h.application_name, h.usename, h.datname))


def by_state(clients: Iterable[Session]) -> dict[str, int]:
    """Return how many clients are in each state, most first."""
    return _counted(clients, lambda each: "hidden" if each.is_hidden else each.state or "starting")


def by_client(clients: Iterable[Session]) -> dict[str, int]:
    """Return how many connections each address has, most first; a hidden session's is not known."""
    return _counted(clients, lambda each: "hidden" if each.is_hidden else each.client_addr or LOCAL)


def waits(clients: Sequence[Session], samples: Sequence[Sample]) -> list[Waiting]:
    """Return what holding sessions wait for, most first: over all samples, or now where there are none."""
    counted: Counter[tuple[str | None, str | None, str]] = Counter()
    if samples:
        for group in (group for sample in samples for group in sample if group.is_holding):
            counted[_wait(group)] += group.count
    else:
        counted.update(_wait(each) for each in clients if each.state in HOLDING and not each.is_own)
    looks = max(1, len(samples))
    return [
        Waiting(kind=kind, event=event, state=state, mean=count / looks)
        for (kind, event, state), count in counted.most_common()
    ]


def _wait(one: Session | Group) -> tuple[str | None, str | None, str]:
    if one.state in IDLE_IN_TRANSACTION:
        return "Client", "ClientRead", "idle in transaction"
    return one.wait_event_type, one.wait_event, "active"


def _key(application_name: str, usename: str | None, datname: str | None) -> tuple[str, str, str]:
    return application_name or NO_NAME, usename or STARTING, datname or ""


def _holder(key: tuple[str, str, str], sessions: Sequence[Session], busy: float | None) -> Holder:
    states = Counter(each.state for each in sessions)
    return Holder(
        application_name=key[0],
        usename=key[1],
        datname=key[2],
        clients=len({each.client_addr for each in sessions if not each.is_hidden}),
        open=len(sessions),
        active=states["active"] + states["fastpath function call"],
        idle_in_transaction=sum(states[state] for state in IDLE_IN_TRANSACTION),
        idle=states["idle"],
        unseen=sum(each.is_hidden or each.state == DISABLED for each in sessions),
        longest_s=max((each.xact_s for each in sessions if each.xact_s is not None and not each.is_own), default=None),
        busy=busy,
    )


def _counted(clients: Iterable[Session], name: Callable[[Session], str]) -> dict[str, int]:
    return dict(sorted(Counter(map(name, clients)).items(), key=lambda pair: (-pair[1], pair[0])))
