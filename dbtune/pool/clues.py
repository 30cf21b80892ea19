"""What a project's source tells beside numbers: drivers, cached routes, connections at start-up, and the like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbtune.pool.fleet import Fact

ROUTE_THREADS = 40
"""How many of FastAPI's plain routes run at once in a process: AnyIO's default limiter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedRoute:
    """A route whose answer is cached by its path only, though its function reads the query string, at ``reads``."""

    function: str
    source: str
    reads: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """Clues, each with its place.

    ``packages`` are those that are required, by name, with their version where one is pinned, else "".
    ``psycogreen`` is where psycopg2 is made to yield to gevent. ``plain_routes`` are FastAPI's ``def`` routes.
    ``startup`` is where a connection is used while a module is imported. ``import_engines`` are engines that are made
    then, ``disposes`` is where one is disposed of after a fork. ``proxy_timeout`` is in seconds.
    """

    packages: Mapping[str, Fact[str]] = field(default_factory=dict)
    psycogreen: str | None = None
    cached_routes: tuple[CachedRoute, ...] = ()
    plain_routes: tuple[str, ...] = ()
    startup: tuple[str, ...] = ()
    import_engines: tuple[str, ...] = ()
    disposes: str | None = None
    proxy_timeout: Fact[float] | None = None
