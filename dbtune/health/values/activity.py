"""What sessions, standbys and workers do at the moment of reading."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who keeps old row versions: ``kind`` is session, standby, prepared or slot; ``xids`` how old what it holds is.

    ``name`` is a pid, or the name of the prepared transaction or slot. ``seconds`` is None where nobody notes it.
    """

    kind: str
    name: str
    owner: str | None
    application: str | None
    state: str | None
    seconds: float | None
    xids: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A replication slot: ``retained_bytes`` of WAL are kept for it, ``safe_bytes`` may be written until it is lost."""

    name: str
    kind: str
    active: bool
    temporary: bool
    wal_status: str | None
    safe_bytes: int | None
    retained_bytes: int | None
    inactive_seconds: float | None
    invalidation_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """Whoever streams WAL from the server; ``physical`` ones are copies of all of it, with counters of their own."""

    pid: int
    name: str | None
    address: str | None
    state: str | None
    sync_state: str | None
    physical: bool
    lag_bytes: int | None
    replay_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacuum:
    """A VACUUM at work; without the right to see it (``shown``) only its pid is known."""

    pid: int
    shown: bool
    schema: str | None
    name: str | None
    phase: str | None
    index_vacuum_count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Autovacuum workers: how many run, and how many may."""

    running: int
    allowed: int

    @property
    def all_busy(self) -> bool:
        """Whether no more may start."""
        return self.running >= self.allowed > 0
