"""Faults put into plain ``alembic upgrade head``: what is left, what it exits with, and that the next run is done."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack

import pytest

from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import Host, Run, serves, session, state, version, wait_for
from tests.migration.faults import (
    BESIDE,
    BUILDS,
    INDEX,
    START,
    STATEMENT,
    builds,
    converges,
    end,
    give,
    made,
    noted,
    others,
    role,
    start,
    upgrading,
    waits,
)


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
        process = stack.enter_context(upgrading(host, options=options))
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
def test_a_server_that_goes_down_in_the_build(own_server: EmbeddedServer, own_host: Host, what: str) -> None:
    with session(own_host.url) as run:
        run(BESIDE)
        before = others(run)
    (written,) = own_host.new(STATEMENT)
    with session(own_host.url) as writer, session(own_host.url) as looker:
        writer("BEGIN; UPDATE shop.item SET name = name")
        with upgrading(own_host) as process:
            wait_for(lambda: waits(looker))
            if what == "backend":
                os.kill(looker(BUILDS)[0][0], signal.SIGKILL)
            else:
                postmaster = own_server.status().pid
                assert postmaster is not None
                os.kill(postmaster, signal.SIGQUIT)  # what pg_ctl stop -m immediate sends
                wait_for(lambda: own_server.status().pid is None)
            assert end(process)[0] == 1
    wait_for(lambda: serves(own_server), 60)
    with session(own_host.url) as run:
        assert made(run) is False
        assert noted(run) is None
        converges(own_host, run, written.revision, before)


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
        code, said = end(start(host, options=options))
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


def test_a_build_waits_for_a_prepared_transaction(own_host: Host) -> None:
    (written,) = own_host.new(STATEMENT)
    with session(own_host.url) as run:
        run(BESIDE)
        before = others(run)
        run("BEGIN; UPDATE shop.item SET name = name")
        run("PREPARE TRANSACTION 'forgotten'")
        with upgrading(own_host) as process:
            wait_for(lambda: waits(run))
            assert noted(run) is None
            run("COMMIT PREPARED 'forgotten'")
            code, said = end(process)
        assert code == 0, said
        assert made(run) is True
        converges(own_host, run, written.revision, before)


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
        with upgrading(owned, options=options) as process:
            wait_for(
                lambda: (
                    bool(run(f"{BUILDS} AND clock_timestamp() - query_start > '1.3s'")) or process.poll() is not None
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


def test_a_column_that_is_renamed_while_the_build_waits(host: Host, run: Run) -> None:
    run(BESIDE)
    before = others(run)
    (written,) = host.new(STATEMENT)
    with session(host.url) as renamer:
        renamer("BEGIN; LOCK TABLE shop.item IN SHARE UPDATE EXCLUSIVE MODE")
        with upgrading(host) as process:
            wait_for(lambda: waits(run))
            renamer("ALTER TABLE shop.item RENAME owner TO possessor")
            renamer("COMMIT")
            code, said = end(process)
    assert code != 0
    assert 'column "owner" does not exist' in said
    assert (made(run), noted(run)) == (None, None)
    run("ALTER TABLE shop.item RENAME possessor TO owner")
    converges(host, run, written.revision, before)


def test_an_owner_who_may_make_nothing_in_the_schema(host: Host, run: Run) -> None:
    run(BESIDE)
    before = others(run)
    (written,) = host.new(STATEMENT)
    with role(run, host, owner=False) as (name, owner):
        run(f"ALTER TABLE shop.item OWNER TO {name}")  # which takes CREATE on the schema only from ordinary roles
        code, said = end(start(owner))
        assert code != 0
        assert "permission denied for schema shop" in said
        assert (made(run), noted(run)) == (None, None)
        assert others(run) == before
        run(f"GRANT CREATE ON SCHEMA shop TO {name}")
        converges(owner, run, written.revision, before)
