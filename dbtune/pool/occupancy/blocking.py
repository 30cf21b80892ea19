"""Who blocks whom, as trees: at the head the session that holds the lock and waits for nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dbtune.server.sessions import Session, Snapshot, Wait

PREPARED = 0
"""What pg_blocking_pids() says of a prepared transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A session in the way of others. ``session`` is None for a prepared transaction, or one that is gone meanwhile.

    ``waited_s`` is how long it waits for a lock itself; before PostgreSQL 14 how long its statement runs, which is
    more. ``also`` are others that it waits for as well, ``blocked`` those that wait for it.
    """

    pid: int
    session: Session | None
    wait: Wait | None
    waited_s: float | None
    also: tuple[int, ...]
    blocked: tuple[Node, ...]

    @property
    def size(self) -> int:
        """How many sessions wait below this one."""
        return sum(1 + each.size for each in self.blocked)

    @property
    def longest_s(self) -> float:
        """The longest of their waits, in seconds."""
        return max((max(each.waited_s or 0.0, each.longest_s) for each in self.blocked), default=0.0)


def trees(snapshot: Snapshot) -> tuple[Node, ...]:
    """Return a tree for each session that others wait for while it waits for none, the longest wait first.

    A session that waits for several stands below the first of them. Sessions that wait for each other, until the
    server finds the deadlock, stand below the one that waits longest.
    """
    sessions = {each.pid: each for each in (*snapshot.clients, *snapshot.others)}
    waits = {pid: wait for pid, wait in snapshot.waits.items() if wait.blockers}
    below: dict[int, list[int]] = {}
    for pid in sorted(waits, key=lambda pid: -(_waited(pid, waits, sessions) or 0)):
        below.setdefault(waits[pid].blockers[0], []).append(pid)
    placed: set[int] = set()

    def node(pid: int) -> Node:
        placed.add(pid)
        blocked = tuple(node(each) for each in below.get(pid, ()) if each not in placed)
        wait = waits.get(pid)
        return Node(
            pid=pid,
            session=sessions.get(pid),
            wait=wait,
            waited_s=_waited(pid, waits, sessions),
            also=wait.blockers[1:] if wait is not None else (),
            blocked=blocked,
        )

    found = [node(pid) for pid in below if pid not in waits]
    for pid in waits:  # those left wait in a circle; waits are in no order, so the longest is looked for
        if pid not in placed:
            circle = _circle(pid, waits)
            found.append(node(max(circle, key=lambda each: (_waited(each, waits, sessions) or 0, -each))))
    return tuple(sorted(found, key=lambda tree: (-tree.longest_s, tree.pid)))


def _circle(pid: int, waits: Mapping[int, Wait]) -> Iterable[int]:
    """Return those that wait for each other, in front of ``pid``."""
    seen: list[int] = []
    while pid not in seen:
        seen.append(pid)
        pid = waits[pid].blockers[0]
    return seen[seen.index(pid) :]


def _waited(pid: int, waits: Mapping[int, Wait], sessions: Mapping[int, Session]) -> float | None:
    wait = waits.get(pid)
    if wait is None:
        return None
    if wait.waited_s is not None:
        return wait.waited_s
    session = sessions.get(pid)
    return None if session is None else session.query_s
