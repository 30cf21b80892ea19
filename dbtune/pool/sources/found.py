"""What readers find, before it is joined to a fleet."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbtune.pool.clues import Clues
from dbtune.pool.fleet import Amount, Engine, Extra, Fact, Fleet, Pooler, Rollout, Worker
from dbtune.pool.sources.tree import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that could not be told, or was left out, and where."""

    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {self.text}" if self.source else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCall:
    """An engine as it is made in the source; those with the same ``key`` are made in branches of one decision."""

    engine: Engine
    path: str
    line: int
    key: tuple[str, ...]
    is_at_import: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command that starts processes. ``does`` is web, tasks, migration, once or unknown.

    ``threads`` is how many requests one process serves at once, its value None without a bound. ``target`` is what is
    imported, such as ``app:app``.
    """

    program: str
    does: str
    processes: Fact[int]
    threads: Fact[int | None]
    worker: Worker
    target: str | None = None
    by_cores: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Pods that a deployment file tells of. ``launch`` None: it says no command. ``folder`` is where its code is."""

    name: str
    source: str
    pods: Fact[int]
    rollout: Rollout
    launch: Launch | None
    environment: dict[str, Fact[str]]
    folder: str = ""
    is_once: bool = False
    grace: Fact[float] | None = None


@dataclass(slots=True)
class Deployment:
    """What one kind of deployment file tells: who runs, the server's limit if it runs there, and poolers.

    ``proxy_timeout`` is how long a proxy in front of the services waits, in seconds.
    """

    units: list[Unit] = field(default_factory=list)
    extras: list[Extra] = field(default_factory=list)
    poolers: list[Pooler] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    max_connections: Fact[int] | None = None
    proxy_timeout: Fact[float] | None = None

    def note(self, source: str, text: str) -> None:
        """Tell something once."""
        note = Note(source=source, text=text)
        if note not in self.notes:
            self.notes.append(note)

    def limit(self, most: Fact[int]) -> None:
        """Take a server's max_connections; of several files that say one, the smallest."""
        if self.max_connections is None or most.value < self.max_connections.value:
            self.max_connections = most


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a folder tells: a fleet, and everything that stands beside it.

    ``read`` are the files that told something; ``notes`` what could not be told; ``problems`` what was passed over.
    """

    fleet: Fleet
    read: tuple[str, ...]
    notes: tuple[Note, ...]
    problems: tuple[Problem, ...]
    clues: Clues = field(default_factory=Clues)


ONE_POD = Fact(1, "assumed: one, nothing says how many", assumed=True)
NO_SURGE = Rollout()
QUARTER = Amount(25, is_percent=True)


def migrations(source: str) -> Extra:
    """Return the one connection of a migration, which runs during a deploy."""
    return Extra(name="migrations", connections=Fact(1, source), is_deploy_only=True)
