"""Where a command has a fleet from: a folder, a fleet file, and a server's limits on top."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dbtune.cli import output
from dbtune.pool.fleet import Cap, Fact, Server
from dbtune.pool.sources import folder
from dbtune.pool.sources.found import Found
from dbtune.server import connection as server
from dbtune.server import limits


def ask(
    path: Path | None,
    file: Path | None,
    cores: int | None,
    max_connections: int | None,
    url: str | None,
    *,
    quiet: bool,
) -> Found:
    """Return the fleet of a folder or a fleet file, of the current folder where neither is named.

    :raises UsageError: there is nothing that tells of connections.
    :raises BadFile: a fleet file is nonsense.
    """
    if path is not None and path.is_file() and path.suffix == ".toml" and file is None:
        path, file = None, path
    if path is None and file is not None:
        found = folder.read_file(file)
    else:
        found = folder.read(path if path is not None else Path(), file, cores)
    told = found.fleet.server
    if url is not None:
        told = _asked(url, told, quiet)
    if max_connections is not None:
        told = replace(told, max_connections=Fact(max_connections, "--max-connections"))
    return replace(found, fleet=replace(found.fleet, server=told))


def _asked(url: str, base: Server, quiet: bool) -> Server:
    """Return a server with the limits that it really has."""
    target = server.resolve(url, output.note(quiet))
    with server.connect(target) as connection, server.translated(target):
        told = limits.read(connection)
    source = f"{target}"
    caps = [Cap(kind="role", name=each.name, most=Fact(each.most, source)) for each in told.roles]
    caps += [Cap(kind="database", name=each.name, most=Fact(each.most, source)) for each in told.databases]

    def seconds(name: str) -> Fact[float] | None:
        value = told.timeouts.get(name, 0)
        return Fact(value / 1000, source) if value else None

    return replace(
        base,
        max_connections=Fact(told.max_connections, source),
        superuser_reserved_connections=Fact(told.superuser_reserved_connections, source),
        reserved_connections=Fact(told.reserved_connections, source),
        caps=(*(each for each in base.caps if each.name not in {cap.name for cap in caps}), *caps),
        statement_timeout=base.statement_timeout or seconds("statement_timeout"),
        idle_session_timeout=base.idle_session_timeout or seconds("idle_session_timeout"),
    )
