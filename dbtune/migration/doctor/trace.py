"""What was seen on the ways through env.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbtune.migration.doctor.source import Site
from dbtune.migration.doctor.values import Begun, Connection, Engine, Items, Statement, Value


@dataclass(eq=False)
class Configured:
    """A call of context.configure(). ``begun`` and ``statements`` are the connection's at that moment,
    ``sent`` is how many statements the way had before."""

    site: Site
    options: Items
    subject: Value | None
    connection: Connection | None
    begun: Begun | None
    statements: tuple[Statement, ...]
    sent: int

    def option(self, name: str) -> Value | None:
        return self.options.items.get(name)


@dataclass(eq=False)
class Ran:
    """A call of context.run_migrations(). ``begun`` is what its connection is in, ``inside`` whether it stands in
    context.begin_transaction(); ``before`` are the statements sent since configure().
    """

    site: Site
    configured: Configured | None
    begun: Begun | None
    inside: bool
    before: tuple[Statement, ...]
    after: list[Statement] = field(default_factory=list)


@dataclass(eq=False)
class Way:
    """One way through env.py. ``repeats`` are loops that ran migrations and would go on."""

    offline: bool
    configured: list[Configured] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    engines: list[Engine] = field(default_factory=list)
    repeats: list[Site] = field(default_factory=list)
    asked_offline: bool = False
    databases: Site | None = None
