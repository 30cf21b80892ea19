"""Faults put into plain ``alembic upgrade head``: what is left, what it exits with, and that the next run is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from dbtune.errors import DbtuneError
from dbtune.server import binaries
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import SHOP, Host, Run, make_host, session, state, version, wait_for

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
LIMITS = ("lock_timeout", "statement_timeout")


def start(host: Host, options: str = "") -> subprocess.Popen[str]:
    """Start ``alembic upgrade head`` in a process of its own; ``options`` are libpq's PGOPTIONS."""
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "-c", str(host.ini), "upgrade", "head"],
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
def upgrading(host: Host, options: str = "") -> Iterator[subprocess.Popen[str]]:
    """An upgrade that does not outlive a test that fails."""
    process = start(host, options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def waits(run: Run) -> bool:
    """Whether a build of this database waits for a lock."""
    return bool(run(f"{_BUILDS} AND wait_event_type = 'Lock'"))


def builds(run: Run) -> bool:
    """Whether a build of this database goes on."""
    return bool(run(_BUILDS))


_BUILDS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND state = 'active' AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
)


def others(run: Run) -> list[tuple[object, ...]]:
    """All indexes of ``shop`` but the wanted one, leftovers included, with what there is to change about them."""
    return run(
        "SELECT c.oid, c.relname, pg_get_indexdef(c.oid), c.relfilenode, indisvalid, obj_description(c.oid, 'pg_class')"
        " FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid"
        f" WHERE c.relnamespace = 'shop'::regnamespace AND c.relname <> '{INDEX}' ORDER BY c.oid"
    )


def made(run: Run) -> bool | None:
    """Whether the wanted index is valid; None if there is none."""
    return state(run, INDEX)[0] if run(f"SELECT 1 WHERE to_regclass('shop.{INDEX}') IS NOT NULL") else None


def noted(run: Run) -> str | None:
    """The revision that is noted, if Alembic's table is there at all."""
    return version(run) if run("SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL") else None


def converges(host: Host, run: Run, revision: str, before: list[tuple[object, ...]]) -> None:
    """Run it again and look: a valid index that bears our mark, the revision noted, all else as it was."""
    code, said = end(start(host))
    assert code == 0, said
    valid, comment = state(run, INDEX)
    assert valid
    assert (comment or "").startswith(f"dbtune {revision} ")
    assert noted(run) == revision
    assert others(run) == before
    assert (
        run(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database())"
        )
        == []
    )


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


@pytest.mark.parametrize("noticed", [False, True], ids=["unnoticed", "noticed"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_client_that_is_killed_in_the_build(host: Host, run: Run, number: signal.Signals, noticed: bool) -> None:
    if noticed and run("SHOW server_version_num")[0][0] < "140000":
        pytest.skip("client_connection_check_interval came with 14")
    run(BESIDE)
    before = others(run)
    (written,) = host.new(STATEMENT)
    options = "-c client_connection_check_interval=50ms" if noticed else ""
    with ExitStack() as stack:
        writer = stack.enter_context(session(host.url))
        writer("BEGIN; UPDATE shop.item SET name = name")
        process = stack.enter_context(upgrading(host, options))
        wait_for(lambda: waits(run))
        process.send_signal(number)
        if number is not signal.SIGINT:
            assert end(process)[0] == -number
            if noticed:
                wait_for(lambda: not builds(run))
        else:
            with pytest.raises(subprocess.TimeoutExpired):  # psycopg2 heeds it when the statement is over
                process.wait(0.7)
        assert builds(run) is not (noticed and number is not signal.SIGINT)
        assert (made(run), noted(run)) == (False, None)
        writer("COMMIT")
        if number is signal.SIGINT:
            code, said = end(process)
            assert code in (1, -signal.SIGINT, 130)  # 1: SQLAlchemy's complaint comes on top of it
            assert "KeyboardInterrupt" in said
            assert (made(run), noted(run)) == (True, None)
    converges(host, run, written.revision, before)


@pytest.mark.parametrize("what", ["backend", "immediate"])
def test_a_server_that_goes_down_in_the_build(data_dir: Path, pytestconfig: pytest.Config, what: str) -> None:
    bindir = pytestconfig.getoption("--pg-bindir")
    server = EmbeddedServer(data_dir / f"down-{what}", binaries.at(bindir.absolute()) if bindir else None)
    server.start()
    try:
        url = server.url().replace("postgresql://", "postgresql+psycopg2://")
        with session(url) as run:
            run(SHOP + BESIDE)
            before = others(run)
        host = make_host(data_dir / f"down-{what}" / "host", url)
        (written,) = host.new(STATEMENT)
        with session(url) as writer, session(url) as looker:
            writer("BEGIN; UPDATE shop.item SET name = name")
            with upgrading(host) as process:
                wait_for(lambda: waits(looker))
                if what == "backend":
                    os.kill(looker(_BUILDS)[0][0], signal.SIGKILL)
                else:
                    postmaster = server.status().pid
                    assert postmaster is not None
                    os.kill(postmaster, signal.SIGQUIT)  # what pg_ctl stop -m immediate sends
                    wait_for(lambda: server.status().pid is None)
                assert end(process)[0] == 1
        wait_for(lambda: serves(server, url), 60)
        with session(url) as run:
            assert made(run) is False
            assert noted(run) is None
            converges(host, run, written.revision, before)
    finally:
        server.reset()


def serves(server: EmbeddedServer, url: str) -> bool:
    """Start the server if it is down, and return whether it takes connections."""
    with suppress(DbtuneError, psycopg2.OperationalError):
        server.start()
        with session(url):
            return True
    return False


@pytest.mark.parametrize("by", ["role", "PGOPTIONS"])
def test_no_room_to_sort_leaves_no_index(host: Host, run: Run, by: str) -> None:
    run(BESIDE + "INSERT INTO shop.item (id, owner) SELECT g, g FROM generate_series(1000, 400000) AS g")
    before = others(run)
    (written,) = host.new(STATEMENT)
    limits = {"temp_file_limit": "5MB", "maintenance_work_mem": "1MB"}
    with ExitStack() as stack:
        options = " ".join(f"-c {name}={value}" for name, value in limits.items())
        if by == "role":
            name, host = stack.enter_context(role(run, host, owner=True))
            options = ""
            for limit, value in limits.items():
                run(f"ALTER ROLE {name} SET {limit} = '{value}'")
        code, said = end(start(host, options))
        assert code == 1
        assert "temp_file_limit" in said
        assert made(run) is None
        assert noted(run) is None
        assert others(run) == before
        if by == "role":
            run(f"ALTER ROLE {name} RESET ALL")
        converges(host, run, written.revision, before)


def test_ten_deployers_at_once(host: Host, run: Run) -> None:
    run(BESIDE)
    before = others(run)
    (host.folder / "alembic" / "versions" / "start.py").write_text(START)
    (written,) = host.new(STATEMENT)
    host.alembic("upgrade", "start")
    ended = [end(process) for process in [start(host) for _ in range(10)]]
    assert any(code == 0 for code, _ in ended)
    assert [said for code, said in ended if code != 0 and "expected to match one row" not in said.lower()] == []
    assert made(run) is True
    assert version(run) == written.revision
    again = [end(process) for process in [start(host) for code, _ in ended if code != 0]]
    assert [said for code, said in again if code != 0] == []
    converges(host, run, written.revision, before)


@pytest.mark.parametrize(
    ("blocks", "goes"),
    [
        ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM shop.other", "COMMIT"),
        ("BEGIN; DECLARE page CURSOR FOR SELECT * FROM shop.other; FETCH 1 FROM page", "COMMIT"),
        ("BEGIN; LOCK TABLE shop.item IN SHARE UPDATE EXCLUSIVE MODE", "ROLLBACK"),
    ],
    ids=["reader of another table", "cursor", "vacuum"],
)
def test_a_build_waits_and_goes_on(host: Host, run: Run, blocks: str, goes: str) -> None:
    run(BESIDE)
    before = others(run)
    (written,) = host.new(STATEMENT)
    with session(host.url) as blocker:
        blocker(blocks)
        with upgrading(host) as process:
            wait_for(lambda: waits(run))
            assert noted(run) is None
            blocker(goes)
            code, said = end(process)
    assert code == 0, said
    assert made(run) is True
    converges(host, run, written.revision, before)


def test_a_build_waits_for_a_prepared_transaction(data_dir: Path, pytestconfig: pytest.Config) -> None:
    bindir = pytestconfig.getoption("--pg-bindir")
    server = EmbeddedServer(data_dir / "prepared", binaries.at(bindir.absolute()) if bindir else None)
    server.start()
    try:
        url = server.url().replace("postgresql://", "postgresql+psycopg2://")
        with session(url) as run:
            run(SHOP + BESIDE)
            run("ALTER SYSTEM SET max_prepared_transactions = 2")
        server.stop()
        server.start()
        host = make_host(data_dir / "prepared" / "host", url)
        (written,) = host.new(STATEMENT)
        with session(url) as run:
            before = others(run)
            run("BEGIN; UPDATE shop.item SET name = name")
            run("PREPARE TRANSACTION 'forgotten'")
            with upgrading(host) as process:
                wait_for(lambda: waits(run))
                assert noted(run) is None
                run("COMMIT PREPARED 'forgotten'")
                code, said = end(process)
            assert code == 0, said
            assert made(run) is True
            converges(host, run, written.revision, before)
    finally:
        server.reset()


@pytest.mark.parametrize("by", ["role", "PGOPTIONS"])
def test_limits_of_a_session_are_lifted_and_come_back(host: Host, run: Run, by: str) -> None:
    run(BESIDE)
    before = others(run)
    (written,) = host.new(STATEMENT)
    (host.folder / "alembic" / "versions" / "after.py").write_text(
        START.replace("'start', None", f"'after', {written.revision!r}").replace(
            "upgrade(): pass",
            'upgrade():\n    from alembic import op\n    op.execute("CREATE TABLE public.seen AS SELECT'
            " current_setting('lock_timeout'), current_setting('statement_timeout') AS second\")",
        )
    )
    with role(run, host, owner=True) as (name, owned), session(host.url) as writer:
        options = "-c lock_timeout=1s -c statement_timeout=60ms"
        if by == "role":
            run(f"ALTER ROLE {name} SET lock_timeout = '1s'; ALTER ROLE {name} SET statement_timeout = '60ms'")
            options = ""
        writer("BEGIN; UPDATE shop.item SET name = name")
        with upgrading(owned, options) as process:
            wait_for(
                lambda: (
                    bool(run(f"{_BUILDS} AND clock_timestamp() - query_start > '1.3s'")) or process.poll() is not None
                )
            )
            writer("COMMIT")
            code, said = end(process)
        assert code == 0, said
        assert run("SELECT * FROM public.seen") == [("1s", "60ms")]
        assert state(run, INDEX)[0]
        assert noted(run) == "after"
        assert others(run) == before


def test_a_table_that_is_dropped_while_the_build_waits(host: Host, run: Run) -> None:
    run(BESIDE)
    (written,) = host.new(STATEMENT)
    with session(host.url) as dropper:
        dropper("BEGIN; LOCK TABLE shop.item IN SHARE UPDATE EXCLUSIVE MODE")
        with upgrading(host) as process:
            wait_for(lambda: waits(run))
            dropper("DROP TABLE shop.item")
            dropper("COMMIT")
            code, said = end(process)
    assert code != 0
    assert "shop.item" in said
    assert (made(run), noted(run)) == (None, None)
    assert [name for _, name, *_ in others(run)] == ["other_pkey", "other_item_idx"]
    run("CREATE TABLE shop.item (id int PRIMARY KEY, owner int)")
    converges(host, run, written.revision, others(run))


def test_a_role_that_does_not_own_the_table(host: Host, run: Run) -> None:
    run(BESIDE)
    before = others(run)
    (written,) = host.new(STATEMENT)
    with role(run, host, owner=False) as (name, stranger):
        code, said = end(start(stranger))
        assert code != 0
        assert "must be owner of table item" in said
        assert (made(run), noted(run)) == (None, None)
        assert others(run) == before
        give(run, name)
        converges(stranger, run, written.revision, before)
