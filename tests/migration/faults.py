"""Faults to put into upgrades: clients in processes of their own, builds held in any phase, what is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import make_url

from dbtune.migration import apply as applying
from dbtune.migration.project import Project
from tests.migration.conftest import Host, Run, session, state, version, wait_for

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"
BESIDE = """
CREATE TABLE shop.other (id int PRIMARY KEY, item int);
CREATE INDEX other_item_idx ON shop.other (item);
CREATE INDEX item_old ON shop.item (name);
COMMENT ON INDEX shop.item_old IS 'not yours';
"""
START = (
    "revision, down_revision, branch_labels, depends_on = 'start', None, None, None\n"
    "def upgrade(): pass\ndef downgrade(): pass\n"
)
ADVISORY = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database"
    " WHERE datname = current_database())"
)

CLIENTS = ("alembic", "apply")
"""Who upgrades: ``alembic upgrade head``, or ``dbtune migrate apply``."""


def start(host: Host, client: str = "alembic", *arguments: str, options: str = "") -> subprocess.Popen[str]:
    """Start an upgrade in a process of its own; ``options`` are libpq's PGOPTIONS."""
    match client:
        case "apply":
            command = ["dbtune", "migrate", "apply", "--at-once", "--config", str(host.ini), *arguments]
        case "downgrade":
            command = ["alembic", "-c", str(host.ini), "downgrade", *(arguments or ("base",))]
        case _:
            command = ["alembic", "-c", str(host.ini), "upgrade", *(arguments or ("head",))]
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        env=os.environ | {"PGOPTIONS": options},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process, and return what it exits with and what it says."""
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


@contextmanager
def upgrading(
    host: Host, client: str = "alembic", *arguments: str, options: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """An upgrade that does not outlive a test that fails."""
    process = start(host, client, *arguments, options=options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def upgrade(host: Host, client: str = "alembic") -> None:
    """Upgrade in this process; what goes wrong is raised."""
    if client == "alembic":
        host.alembic("upgrade", "head")
    else:
        applying.apply(Project(host.ini), at_once=True)


BUILDS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND state = 'active' AND query LIKE 'CREATE %INDEX CONCURRENTLY%'"
)


def waits(run: Run) -> bool:
    """Whether a build of this database waits for a lock."""
    return bool(run(f"{BUILDS} AND wait_event_type = 'Lock'"))


def builds(run: Run) -> bool:
    """Whether a build of this database goes on."""
    return bool(run(BUILDS))


def polls(run: Run) -> bool:
    """Whether a session of this database waits for its turn."""
    return bool(run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"))


def others(run: Run, but: str = INDEX) -> list[tuple[object, ...]]:
    """All indexes of ``shop`` but the wanted one, leftovers included, with what there is to change about them."""
    return run(
        "SELECT c.oid, c.relname, pg_get_indexdef(c.oid), c.relfilenode, indisvalid, obj_description(c.oid, 'pg_class')"
        " FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid"
        f" WHERE c.relnamespace = 'shop'::regnamespace AND c.relname <> '{but}' ORDER BY c.oid"
    )


def made(run: Run) -> bool | None:
    """Whether the wanted index is valid; None if there is none."""
    return state(run, INDEX)[0] if run(f"SELECT 1 WHERE to_regclass('shop.{INDEX}') IS NOT NULL") else None


def oid(run: Run) -> int:
    """The wanted index; another one after it was built anew."""
    return int(run(f"SELECT 'shop.{INDEX}'::regclass::oid::bigint")[0][0])


def noted(run: Run) -> str | None:
    """The revision that is noted, if Alembic's table is there at all."""
    return version(run) if run("SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL") else None


def done(run: Run, revision: str, before: list[tuple[object, ...]]) -> None:
    """Look: a valid index that bears our mark, the revision noted, all else as it was, and no lock left."""
    valid, comment = state(run, INDEX)
    assert valid
    assert (comment or "").startswith(f"dbtune {revision} ")
    assert noted(run) == revision
    assert others(run) == before
    wait_for(lambda: not run(ADVISORY))  # the server lets go of a session's locks a moment after the client has left


def converges(host: Host, run: Run, revision: str, before: list[tuple[object, ...]], client: str = "alembic") -> None:
    """Run it again, and look."""
    upgrade(host, client)
    done(run, revision, before)


@contextmanager
def role(run: Run, host: Host, *, owner: bool) -> Iterator[tuple[str, Host]]:
    """A role of this database, the owner of ``shop`` or not, and the project as it runs it."""
    (database,) = run("SELECT current_database()")[0]
    name = f"injected_{database}"
    run(f"CREATE ROLE {name} LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO {name}")
    run(f"GRANT USAGE ON SCHEMA shop TO {name}; GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {name}")
    if owner:
        give(run, name)
    url = make_url(host.url).set(username=name).render_as_string()
    host.set(**{"sqlalchemy.url": url.replace("%", "%%")})
    try:
        yield name, replace(host, url=url)
    finally:
        run(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}")


def give(run: Run, name: str) -> None:
    """Make a role the owner of the table."""
    run(f"ALTER SCHEMA shop OWNER TO {name}; ALTER TABLE shop.item OWNER TO {name}")


WRITERS = "waiting for writers before build"
SCAN = "building index: scanning table"
MORE_WRITERS = "waiting for writers before validation"
VALIDATION = "index validation: scanning table"
SNAPSHOTS = "waiting for old snapshots"
PHASES = {WRITERS: False, SCAN: False, MORE_WRITERS: True, VALIDATION: True, SNAPSHOTS: True}
"""The phases of a concurrent build in which it can be held, and whether writers maintain the index by then."""

HELD_ROWS = (7, 1000)
SLOW = f"""
CREATE FUNCTION shop.slow(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN  -- a build stops at these rows for as long as somebody holds the lock of their number
    IF n IN {HELD_ROWS} AND pg_catalog.current_query() LIKE 'CREATE %INDEX CONCURRENTLY%' THEN
        PERFORM pg_catalog.pg_advisory_lock_shared(n);
        PERFORM pg_catalog.pg_advisory_unlock_shared(n);
    END IF;
    RETURN n;
END $$;
"""
SLOW_STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (shop.slow(id))"


@dataclass(frozen=True)
class Hold:
    """What keeps a build in a phase. ``reach`` brings one that has begun there, ``release`` lets it go on."""

    reach: Callable[[], None]
    release: Callable[[], None]


@contextmanager
def held(url: str, phase: str) -> Iterator[Hold]:
    """Keep the build of :data:`SLOW_STATEMENT` in ``phase``, where it waits for a lock of ours."""
    early, late = HELD_ROWS
    with ExitStack() as stack:
        look, first, second = (stack.enter_context(session(url)) for _ in range(3))
        if phase == WRITERS:
            first("BEGIN; UPDATE shop.item SET name = name")
        elif phase == SNAPSHOTS:
            first("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        else:
            first(f"SELECT pg_advisory_lock({early}), pg_advisory_lock({late})")

        def reach() -> None:
            if phase in (MORE_WRITERS, VALIDATION):
                wait_for(lambda: is_in(look, SCAN))
                if phase == MORE_WRITERS:
                    second("BEGIN; INSERT INTO shop.item (id) VALUES (900)")
                else:
                    second(f"INSERT INTO shop.item (id) VALUES ({late})")
                first(f"SELECT pg_advisory_unlock({early})")
            wait_for(lambda: is_in(look, phase))

        def release() -> None:
            for each in (first, second):
                each("ROLLBACK; SELECT pg_advisory_unlock_all()")

        yield Hold(reach, release)


def is_in(run: Run, phase: str) -> bool:
    """Whether a build of this database waits for a lock in ``phase``."""
    return bool(
        run(
            "SELECT 1 FROM pg_stat_progress_create_index AS p JOIN pg_stat_activity AS a USING (pid)"
            f" WHERE p.datname = current_database() AND p.phase = '{phase}' AND a.wait_event_type = 'Lock'"
        )
    )
