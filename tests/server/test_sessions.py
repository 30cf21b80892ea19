"""Sessions and locks as the server tells them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from dbtune.server import sessions
from dbtune.server.connection import server_version_num
from tests.server.conftest import Opened

NOW = datetime.now(UTC) - timedelta(minutes=1)


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def here(db: Connection) -> list[sessions.Session]:
    """Clients of the test's own database but the one that asks."""
    found = sessions.read(db)
    assert found.own is not None
    return [each for each in found.clients if each.datname == found.own.datname and not each.is_own]


def test_only_client_backends_are_clients(db: Connection, session: Opened) -> None:
    session(application_name="shop")
    found = sessions.read(db)
    assert {each.backend_type for each in found.clients} == {"client backend"}
    assert {"checkpointer", "walwriter", "logical replication launcher"} <= {each.backend_type for each in found.others}
    count = db.exec_driver_sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'").scalar()
    assert len(found.clients) == count


def test_states_and_ages(db: Connection, session: Opened) -> None:
    idle = session(application_name="pool \x1b[31m red")
    idle.autocommit = True
    idle.cursor().execute("SELECT 1")
    within = session(application_name="web")
    within.cursor().execute("SELECT   2 AS\n\ttwo")
    until(lambda: len(here(db)) == 2 and all(each.state != "active" for each in here(db)))
    by_name = {each.application_name: each for each in here(db)}
    assert by_name["web"].is_idle_in_transaction
    assert by_name["web"].query == "SELECT 2 AS two"
    assert by_name["web"].xact_s is not None and by_name["web"].state_s is not None
    (other,) = set(by_name) - {"web"}
    assert "\x1b" not in other
    assert by_name[other].state == "idle"
    assert by_name[other].xact_s is None
    assert sessions.read(db).skew_s == 0


def test_passwords_are_not_shown(db: Connection, session: Opened) -> None:
    for statement in (
        "SELECT 'x' AS password_is_tiger",
        "SELECT 'host=a password=tiger'",
        "SELECT 'postgresql://scott:tiger@h/d'",
    ):
        opened = session()
        opened.cursor().execute(statement)
    until(lambda: all(each.is_idle_in_transaction for each in here(db)))
    shown = [each.query for each in here(db)]
    assert shown == ["SELECT … (may hold a password)"] * 3


def test_who_waits_for_whom(db: Connection, session: Opened) -> None:
    db.exec_driver_sql('CREATE TABLE "Item" (id int)')
    db.commit()
    head = session(application_name="head")
    head.cursor().execute('LOCK TABLE "Item" IN ROW EXCLUSIVE MODE')
    second = session(application_name="second")
    third = session(application_name="third")

    def lock(opened: object, mode: str) -> threading.Thread:
        statement = f'LOCK TABLE "Item" IN {mode} MODE'
        thread = threading.Thread(target=lambda: opened.cursor().execute(statement))  # type: ignore[attr-defined]
        thread.start()
        return thread

    threads = [lock(second, "ACCESS EXCLUSIVE")]
    pids = {name: each.info.backend_pid for name, each in (("head", head), ("second", second), ("third", third))}
    until(lambda: pids["second"] in sessions.read(db).waits)
    threads.append(lock(third, "ACCESS SHARE"))
    until(lambda: pids["third"] in sessions.read(db).waits)
    waits = sessions.read(db).waits
    assert waits[pids["second"]].blockers == (pids["head"],)
    assert waits[pids["third"]].blockers == (pids["second"],)
    assert (waits[pids["second"]].mode, waits[pids["second"]].relation) == ("AccessExclusiveLock", 'public."Item"')
    assert (waits[pids["second"]].waited_s is not None) == (server_version_num(db) >= 140_000)
    head.rollback()
    threads[0].join()
    second.rollback()
    threads[1].join()


def test_a_role_without_rights_counts_what_it_may_not_see(plain: Connection, session: Opened) -> None:
    for _ in range(3):
        session(application_name="secret service").cursor().execute("SELECT 'mine'")
    found = sessions.read(plain)
    assert found.own is not None
    others = [each for each in found.clients if each.datname == found.own.datname and not each.is_own]
    hidden = [each for each in others if each.is_hidden]
    assert len(hidden) == len(others) == 4  # the fixture's superuser is one
    assert {(each.state, each.query) for each in hidden} == {(None, "")}
    # processes of the server are hidden as well, and are no clients
    assert all(each.usename is None or each.datname is None for each in found.others if each.is_hidden)
    assert found.hidden >= 4
    groups = [g for g in sessions.sample(plain, NOW) if g.datname == found.own.datname]
    assert sum(g.hidden for g in groups) == sum(g.count for g in groups) == 4


def test_samples_put_alike_clients_together(db: Connection, session: Opened) -> None:
    database = db.exec_driver_sql("SELECT current_database()").scalar()
    pids = set()
    for _ in range(2):
        opened = session(application_name="web")
        opened.cursor().execute("SELECT 1")
        pids.add(opened.info.backend_pid)

    def groups() -> list[sessions.Group]:
        db.rollback()
        return [g for g in sessions.sample(db, NOW) if g.datname == database]

    until(lambda: len(groups()) == 1)
    (group,) = groups()
    assert (group.application_name, group.state, group.wait_event) == ("web", "idle in transaction", "ClientRead")
    assert set(group.pids) == pids
    assert group.is_holding and not group.is_unseen
    assert group.old == 0
    (later,) = (g for g in sessions.sample(db, NOW + timedelta(days=1)) if g.datname == database)
    assert later.old == 2


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_statement_is_an_empty_text(text: str | None) -> None:
    assert sessions.shown(text) == ""


def test_long_statements_are_cut() -> None:
    assert len(sessions.shown("SELECT " + "1," * 1000)) == 200
