"""Environments that run the migrations more than once: for several databases, schemas or tenants."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from dbtune.migration.doctor.finding import Finding, Severity
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.source import Site, Source
from dbtune.migration.doctor.trace import Ran, Way


def databases(ways: Sequence[Way]) -> Finding | None:
    """Return that env.py upgrades several databases, as the multidb template does; None if it does not."""
    site = next((way.databases for way in ways if way.databases is not None and way.ran), None)
    if site is None:
        return None
    return _several_databases(site, [ran for way in ways if not way.offline for ran in way.ran])


def judge(ways: Sequence[Way]) -> Iterator[Finding]:
    """Yield where env.py runs the migrations of one database more than once."""
    yield from _several_runs([way for way in ways if way.ran and not way.offline])


def _several_databases(site: Site, several: Sequence[Ran]) -> Finding:
    """Report an environment for several databases, as the multidb template makes; the rest of it is not judged."""
    own = next((begun for ran in several if (begun := _begin_by_hand(ran.site.source)) is not None), None)
    is_kept = own is not None and isinstance(own.source.above(own.node), ast.Assign)
    outside = is_kept or any(not ran.inside for ran in several)
    fix = "give the database that gets indexes an Alembic environment of its own: alembic init"
    refused = (
        "dbtune migrate apply upgrades one database at a time and refuses this environment; so does dbtune migrate new"
        " with the multidb template's script.py.mako. Nothing more of env.py was judged."
    )
    if own is None or not outside:
        message = "this environment upgrades several databases in one run"
        return found("multidb", Severity.WARNING, site, message, refused, fix)
    return found(
        "multidb",
        Severity.ERROR,
        own,
        "this environment upgrades several databases in one run, in transactions that it begins itself",
        "Alembic does not end a transaction that it did not begin, and an index is built CONCURRENTLY outside of any:"
        f" autocommit_block() stops with AssertionError, and nothing is built. {refused}",
        fix,
    )


def _begin_by_hand(source: Source) -> Site | None:
    """Return a call that begins a transaction without Alembic, an ordinary one before one in two phases."""
    calls = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("begin", "begin_twophase")
    ]
    if not calls:
        return None
    return Site(source, min(calls, key=lambda each: (source.text(each.func).endswith("twophase"), each.lineno)))


def _several_runs(ways: Sequence[Way]) -> Iterator[Finding]:
    site = None
    if ways and all(way.repeats for way in ways):
        site = ways[0].repeats[0]
    else:
        site = next((way.ran[1].site for way in ways if len(way.ran) > 1), None)
    if site is not None:
        yield found(
            "several-runs",
            Severity.WARNING,
            site,
            "env.py runs the migrations more than once",
            "dbtune migrate apply upgrades one database or schema at a time and refuses where there are more;"
            " alembic upgrade does not mind.",
            "run them once, for what -x or a variable names, and call alembic once for each",
        )
