"""Locks that env.py waits for, and settings that end with a transaction: what they do to a build, and the fix."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from dbtune.migration.doctor.examination import examine
from tests.migration.conftest import Host, Run, indexes, session, state, wait_for
from tests.migration.doctor.conftest import errors, mend, noted, of, project, revision
from tests.migration.doctor.variants import HEAD, RUN

INDEX = "CREATE INDEX item_owner_idx ON shop.item (owner)"
OWN = """\
with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": 7})
    connection.commit()
"""
OTHER = """\
with engine.connect() as guard, engine.connect() as connection:
    guard.execute(text("SELECT pg_advisory_lock(7)"))
"""
POLL = """\
import time

with engine.connect() as guard, engine.connect() as connection:
    while not guard.scalar(text("SELECT pg_try_advisory_lock(7)")):
        guard.commit()
        time.sleep(0.1)
    guard.commit()
"""


def deployer(host: Host) -> subprocess.Popen[str]:
    """An ``alembic upgrade head`` of its own."""
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    return subprocess.Popen(command, cwd=host.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def building(run: Run) -> bool:
    return bool(run("SELECT 1 FROM pg_stat_progress_create_index WHERE datname = current_database()"))


def waiting_for_a_lock(run: Run) -> bool:
    return bool(run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"))


def two(host: Host, run: Run, url: str, second_is_there: Callable[[Run], bool]) -> list[subprocess.Popen[str]]:
    """Two deployers: the second comes while a writer keeps the first one's build from ending; then the writer ends."""
    with session(url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name WHERE id = 1")
        first = deployer(host)
        wait_for(lambda: building(run))
        second = deployer(host)
        wait_for(lambda: second_is_there(run))
        writer("COMMIT")
    return [first, second]


def ends(several: list[subprocess.Popen[str]]) -> list[str]:
    """What they say on stderr, when they have ended."""
    try:
        return [each.communicate(timeout=30)[1] for each in several]
    finally:
        for each in several:
            each.kill()
            each.communicate()


def test_lock_on_the_same_connection_is_a_deadlock(tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, HEAD + OWN + RUN, database_url)
    (written,) = host.new(INDEX)
    (found,) = errors(host)
    assert (found.id, found.line) == ("advisory-lock", 8)
    said = ends(two(host, run, database_url, waiting_for_a_lock))
    assert "deadlock detected" in "".join(said)

    run("DROP INDEX IF EXISTS shop.item_owner_idx")
    run("DROP TABLE IF EXISTS alembic_version")
    mend(found.edits)
    assert errors(host) == []
    several = two(host, run, database_url, lambda run: len(sessions(run)) > 2)
    assert "deadlock" not in "".join(ends(several)) and [each.returncode for each in several] == [0, 0]
    assert state(run, "item_owner_idx")[0] and noted(run) == [written.revision]


def sessions(run: Run) -> list[object]:
    """The other sessions that have asked something."""
    return run(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND query <> '' AND backend_type = 'client backend'"
    )


def test_lock_on_another_connection_waits_for_ever(tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, HEAD + OTHER + RUN, database_url)
    host.new(INDEX)
    (found,) = errors(host)
    assert (found.id, found.line) == ("advisory-lock", 8)
    assert found.fix is not None and "now and then" in found.fix.text
    several = two(host, run, database_url, waiting_for_a_lock)
    try:
        (deadlock_timeout,) = run("SELECT setting::float / 1000 FROM pg_settings WHERE name = 'deadlock_timeout'")[0]
        with pytest.raises(subprocess.TimeoutExpired):
            several[0].wait(deadlock_timeout + 1)
        assert building(run) and waiting_for_a_lock(run)
    finally:
        run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted")
        ends(several)

    # what it tells to write, in words
    (host.folder / "alembic" / "env.py").write_text(HEAD + POLL + RUN)
    assert errors(host) == []
    run("DROP INDEX IF EXISTS shop.item_owner_idx")
    run("DROP TABLE IF EXISTS alembic_version")
    several = two(host, run, database_url, lambda run: len(sessions(run)) > 3)
    ends(several)
    assert [each.returncode for each in several] == [0, 0] and state(run, "item_owner_idx")[0]


BESIDE = (
    'with op.get_bind().engine.connect().execution_options(isolation_level="AUTOCOMMIT") as own:\n'
    '        own.execute(sa.text("CREATE INDEX CONCURRENTLY item_owner_idx ON shop.item (owner)"))'
)

WAITING_BUILD = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX%'"
    " AND wait_event_type = 'Lock'"
)


def test_build_on_another_connection_waits_for_ever(tmp_path: Path, database_url: str, run: Run) -> None:
    shared = RUN.replace(", transaction_per_migration=True", "")
    host = project(tmp_path, HEAD + "with engine.connect() as connection:\n" + shared, database_url)
    revision(host, "column", 'op.execute("ALTER TABLE shop.item ADD COLUMN weight int")')
    path = revision(host, "index", BESIDE, after="column")
    (found,) = errors(host)
    assert (found.id, found.file, found.line) == ("other-connection", path, 10)
    stuck = deployer(host)
    try:
        wait_for(lambda: bool(run(WAITING_BUILD)))
        (deadlock_timeout,) = run("SELECT setting::float / 1000 FROM pg_settings WHERE name = 'deadlock_timeout'")[0]
        with pytest.raises(subprocess.TimeoutExpired):
            stuck.wait(deadlock_timeout + 1)
        assert run(WAITING_BUILD)
    finally:
        run(f"SELECT pg_terminate_backend(pid) FROM ({WAITING_BUILD}) AS build")
        ends([stuck])

    run("DROP INDEX IF EXISTS shop.item_owner_idx")
    mend(found.edits)
    assert errors(host) == []
    host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0] and noted(run) == ["index"]


def test_lock_of_the_transaction_ends_with_it(tmp_path: Path) -> None:
    env = RUN.replace(", transaction_per_migration=True", "").replace(
        "        context", '        connection.execute(text("SELECT pg_advisory_xact_lock(7)"))\n        context'
    )
    host = project(tmp_path, HEAD + "with engine.connect() as connection:\n" + env)
    assert of(examine(host.ini), "transaction-lock").line == 10


@pytest.mark.parametrize("lock", ["pg_try_advisory_lock(7)", "pg_advisory_lock_shared(7)"])
def test_lock_that_nobody_waits_for(lock: str, tmp_path: Path) -> None:
    host = project(tmp_path, HEAD + OWN.replace("pg_advisory_lock(:key)", lock) + RUN)
    assert errors(host) == []


def in_transaction(statement: str) -> str:
    """An env.py that sends a statement in the transaction of all revisions."""
    return (
        HEAD
        + "with engine.connect() as connection:\n    context.configure(connection=connection)\n"
        + f"    with context.begin_transaction():\n        connection.execute(text({statement!r}))\n"
        + "        context.run_migrations()\n"
    )


def test_local_search_path_loses_the_version_table(tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, in_transaction("SET LOCAL search_path TO shop"), database_url)
    (written,) = host.new(INDEX)
    (found,) = errors(host)
    assert (found.id, found.line) == ("set-local", 10)
    with pytest.raises(Exception, match='relation "alembic_version" does not exist'):
        host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0] and noted(run) == []
    mend(found.edits)
    assert errors(host) == []
    host.alembic("upgrade", "head")
    assert run("SELECT version_num FROM shop.alembic_version") == [(written.revision,)]


def test_local_role_builds_as_another(tmp_path: Path, database_url: str, run: Run) -> None:
    (database,) = run("SELECT current_database()")[0]
    owner, login = f"owner_{database}", f"login_{database}"
    run(f"CREATE ROLE {owner}; CREATE ROLE {login} LOGIN NOINHERIT IN ROLE {owner}")
    try:
        run(f"ALTER SCHEMA shop OWNER TO {owner}; ALTER TABLE shop.item OWNER TO {owner}")
        run(f"GRANT CREATE ON SCHEMA public TO {owner}")
        url = make_url(database_url).set(username=login).render_as_string()
        host = project(tmp_path, in_transaction(f"SET LOCAL ROLE {owner}"), url)
        host.new(INDEX)
        (found,) = errors(host)
        assert found.id == "set-local"
        with pytest.raises(Exception, match=r"permission denied for schema shop|must be owner of table item"):
            host.alembic("upgrade", "head")
        assert indexes(run) == {}
        mend(found.edits)
        host.alembic("upgrade", "head")
        assert state(run, "item_owner_idx")[0]
    finally:
        run(f"DROP OWNED BY {login}, {owner} CASCADE; DROP ROLE {login}, {owner}")
