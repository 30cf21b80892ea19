"""What else a log tells that matters for pools and locks: refusals, waits, deadlocks, temporary files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dbtune.workload.capture.log.entry import Entry, moment


class Kind(StrEnum):
    """What happened."""

    TOO_MANY_CLIENTS = "too many clients"
    LOST_IN_TRANSACTION = "client lost in an open transaction"
    IDLE_IN_TRANSACTION = "ended while idle in a transaction"
    LOCK_WAIT = "lock wait"
    DEADLOCK = "deadlock"
    TEMPORARY_FILE = "temporary file"
    CANCELLED = "cancelled statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    ``amount`` is how long a lock was waited for in milliseconds, or the size of a temporary file in bytes; None for
    other kinds. ``statement`` is the one that ran, empty where the log does not tell.
    """

    kind: Kind
    message: str
    time: datetime | None = None
    process: int | None = None
    user: str = ""
    database: str = ""
    application: str = ""
    statement: str = ""
    amount: float | None = None


_STATES = {
    "53300": Kind.TOO_MANY_CLIENTS,
    "40P01": Kind.DEADLOCK,
    "57014": Kind.CANCELLED,
    "25P03": Kind.IDLE_IN_TRANSACTION,
}
# What the message says where the log has no SQLSTATE; the words that every one of a kind begins with.
_MESSAGES = (
    (re.compile(r"(?:sorry, )?too many (?:clients already|connections for )"), Kind.TOO_MANY_CLIENTS),
    (re.compile(r"remaining connection slots are reserved "), Kind.TOO_MANY_CLIENTS),
    (re.compile(r"unexpected EOF on client connection with an open transaction"), Kind.LOST_IN_TRANSACTION),
    (re.compile(r"terminating connection due to idle-in-transaction timeout"), Kind.IDLE_IN_TRANSACTION),
    (
        re.compile(r"process \d+ (?:still waiting for|acquired) \w+ on .* after (?P<amount>\d+\.\d+) ms", re.DOTALL),
        Kind.LOCK_WAIT,
    ),
    (re.compile(r"deadlock detected"), Kind.DEADLOCK),
    (re.compile(r'temporary file: path ".*", size (?P<amount>\d+)', re.DOTALL), Kind.TEMPORARY_FILE),
    (re.compile(r"canceling statement due to "), Kind.CANCELLED),
)
_BEGINNINGS = (
    "sorry, too", "too many ", "remaining ", "unexpected EOF ", "terminating connection due to idle", "process ",
    "deadlock ", "temporary file: ", "canceling statement ",
)  # fmt: skip


def events(entries: Iterable[Entry]) -> Iterator[Event]:
    """Yield the events among the entries.

    A wait for a lock is told once or twice: while it lasts, and when the lock is there.
    """
    for entry in entries:
        if (found := event(entry)) is not None:
            yield found


def event(entry: Entry) -> Event | None:
    """Return what the entry tells of, None if it is nothing of interest."""
    message = entry.message
    if not message.startswith(_BEGINNINGS) and entry.sqlstate not in _STATES:
        return None
    for expression, kind in _MESSAGES:
        if found := expression.match(message):
            amount = float(found["amount"]) if "amount" in expression.groupindex else None
            return _event(entry, kind, amount)
    kind_by_state = _STATES.get(entry.sqlstate)
    return None if kind_by_state is None else _event(entry, kind_by_state, None)


def _event(entry: Entry, kind: Kind, amount: float | None) -> Event:
    return Event(
        kind=kind,
        message=entry.message,
        time=moment(entry.time),
        process=entry.process,
        user=entry.user,
        database=entry.database,
        application=entry.application,
        statement=entry.statement,
        amount=amount,
    )
