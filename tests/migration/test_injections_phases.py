"""Ends in each phase of a build: the client's, the statement's, the server process's; and between build and note."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import make_url

from dbtune.errors import ServerError
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import Host, Run, indexes, make_host, serves, session, wait_for
from tests.migration.faults import (
    ADVISORY,
    BESIDE,
    CLIENTS,
    INDEX,
    PHASES,
    SLOW,
    SLOW_STATEMENT,
    START,
    STATEMENT,
    VALIDATION,
    builds,
    converges,
    done,
    end,
    held,
    made,
    noted,
    oid,
    others,
    polls,
    upgrade,
    upgrading,
    waits,
)


def left(run: Run) -> tuple[bool, bool]:
    """Whether the wanted index is valid, and whether writers maintain it."""
    rows = run(f"SELECT indisvalid, indisready FROM pg_index WHERE indexrelid = 'shop.{INDEX}'::regclass")
    return rows[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_build_whose_client_is_gone_is_adopted(host: Host, run: Run, phase: str, client: str) -> None:
    run(BESIDE + SLOW)
    before = others(run)
    (written,) = host.new(SLOW_STATEMENT)
    with ThreadPoolExecutor(1) as pool, held(host.url, phase) as hold:
        with upgrading(host, client) as process:
            hold.reach()
            process.kill()
            assert end(process)[0] == -signal.SIGKILL
        assert builds(run)
        assert (left(run), noted(run)) == ((False, PHASES[phase]), None)
        built = oid(run)
        again = pool.submit(upgrade, host, client)
        wait_for(lambda: polls(run) or again.done())
        hold.release()
        again.result(60)
    assert oid(run) == built
    done(run, written.revision, before)


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_build_that_is_ended_on_the_server_is_begun_anew(host: Host, run: Run, phase: str, how: str) -> None:
    run(BESIDE + SLOW)
    before = others(run)
    (written,) = host.new(SLOW_STATEMENT)
    with ThreadPoolExecutor(1) as pool, held(host.url, phase) as hold:
        first = pool.submit(upgrade, host)
        hold.reach()
        run(f"SELECT {how}(pid) FROM pg_stat_progress_create_index WHERE datname = current_database()")
        assert "canceling statement" in str(first.exception(60)) or how == "pg_terminate_backend"
        assert (left(run), noted(run)) == ((False, PHASES[phase]), None)
        leftover = oid(run)
        hold.release()
    converges(host, run, written.revision, before)
    assert oid(run) != leftover


def test_apply_tries_again_when_its_session_is_ended_and_not_when_somebody_cancels_it(host: Host, run: Run) -> None:
    run(BESIDE + SLOW)
    before = others(run)
    (written,) = host.new(SLOW_STATEMENT)
    for how in ("pg_cancel_backend", "pg_terminate_backend"):
        with ThreadPoolExecutor(1) as pool, held(host.url, VALIDATION) as hold:
            first = pool.submit(upgrade, host, "apply")
            hold.reach()
            run(f"SELECT {how}(pid) FROM pg_stat_progress_create_index WHERE datname = current_database()")
            hold.release()
            if how == "pg_cancel_backend":
                assert isinstance(first.exception(60), ServerError)
                assert (made(run), noted(run)) == (False, None)
                run("DELETE FROM shop.item WHERE id >= 900")
            else:
                first.result(60)
    done(run, written.revision, before)


@pytest.mark.parametrize("phase", list(PHASES)[1::2])
def test_a_server_process_that_is_killed(own_server: EmbeddedServer, own_host: Host, phase: str) -> None:
    (written,) = own_host.new(SLOW_STATEMENT)
    with session(own_host.url) as run:
        run(BESIDE + SLOW)
        before = others(run)
    with ThreadPoolExecutor(1) as pool, session(own_host.url) as run, held(own_host.url, phase) as hold:
        first = pool.submit(upgrade, own_host)
        hold.reach()
        os.kill(run("SELECT pid FROM pg_stat_progress_create_index")[0][0], signal.SIGKILL)
        assert first.exception(60) is not None
    wait_for(lambda: serves(own_server), 60)
    with session(own_host.url) as run:
        assert (left(run), noted(run)) == ((False, PHASES[phase]), None)
        converges(own_host, run, written.revision, before)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_is_killed_between_build_and_note(host: Host, run: Run, client: str) -> None:
    run(BESIDE)
    before = others(run)
    (host.folder / "alembic" / "versions" / "start.py").write_text(START)
    (written,) = host.new(STATEMENT)
    host.alembic("upgrade", "start")
    with session(host.url) as holder:
        holder("BEGIN; LOCK TABLE alembic_version IN EXCLUSIVE MODE")
        with upgrading(host, client) as process:
            wait_for(lambda: bool(run("SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'")))
            process.kill()
            assert end(process)[0] == -signal.SIGKILL
        assert made(run) is True
        built = oid(run)
        holder("ROLLBACK")
    wait_for(lambda: not run(ADVISORY))  # the server process has found out
    assert noted(run) == "start"
    converges(host, run, written.revision, before, client)
    assert oid(run) == built


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_a_client_that_is_killed_in_a_downgrade(host: Host, run: Run, number: signal.Signals) -> None:
    run(BESIDE)
    before = others(run)
    (written,) = host.new(STATEMENT)
    upgrade(host)
    with session(host.url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        with upgrading(host, "downgrade") as process:
            wait_for(lambda: bool(run(f"SELECT 1 FROM pg_locks WHERE NOT granted AND pid IN ({DROPS})")))
            process.send_signal(number)
            if number is signal.SIGKILL:
                end(process)
            assert run(DROPS)
            assert (made(run), noted(run)) == (None, written.revision)
            assert len(indexes(run)) == 3  # under the name that it is dropped by
            writer("ROLLBACK")
            assert end(process)[0] != 0
    host.alembic("downgrade", "base")
    assert (made(run), noted(run), others(run)) == (None, None, before)
    converges(host, run, written.revision, before)


DROPS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
    " AND query LIKE 'DROP INDEX CONCURRENTLY%'"
)


def test_psycopg_3_cancels_the_build_at_once(tmp_path: Path, run: Run, database_url: str) -> None:
    run(BESIDE)
    before = others(run)
    host = make_host(tmp_path / "three", make_url(database_url).set(drivername="postgresql+psycopg").render_as_string())
    (written,) = host.new(STATEMENT)
    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        with upgrading(host) as process:
            wait_for(lambda: waits(run))
            process.send_signal(signal.SIGINT)
            code, said = end(process)
        assert (code, "KeyboardInterrupt" in said) == (1, True), said
        assert (builds(run), made(run), noted(run)) == (False, False, None)
        writer("ROLLBACK")
    converges(host, run, written.revision, before)
