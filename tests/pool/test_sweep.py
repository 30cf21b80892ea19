"""Throughput measured on a real server, with work of one's own and with captured queries."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url

from dbtune.errors import ServerError, UsageError
from dbtune.pool.sweep import sweep
from dbtune.pool.work import Evenly, captured, statement
from dbtune.server.connection import Target
from dbtune.workload.query import ParameterSet, Query


@pytest.fixture
def target(database_url: str) -> Target:
    return Target(make_url(database_url), "test")


@pytest.fixture
def table(db: Connection) -> Connection:
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, name text)")
    db.exec_driver_sql("INSERT INTO item SELECT g, 'n' || g FROM generate_series(1, 1000) g")
    db.commit()
    return db


def test_sleeps_do_not_disturb_each_other(target: Target) -> None:
    told: list[str] = []
    swept = sweep(target, statement("SELECT pg_sleep(0.02)"), 4, 0.4, tell=told.append)
    assert [point.n for point in swept.points] == [1, 2, 3, 4]
    assert told == ["1 connections", "2 connections", "3 connections", "4 connections"]
    assert swept.curve.per_second(4) == pytest.approx(4 * swept.curve.per_second(1), rel=0.4)
    assert swept.stopped is None
    assert not [thread for thread in threading.enumerate() if thread.daemon and "call" in thread.name]


def test_it_ends_where_more_connections_do_far_less(target: Target, db: Connection) -> None:
    """A row that each caller locks for the longer the more of them there are."""
    work = statement(
        "SELECT pg_sleep(0.01 * count(*) ^ 3) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'dbtune' AND pid <> 0"
    )
    db.close()
    swept = sweep(target, work, 24, 0.3, steps=(1, 2, 4, 6, 8, 12, 16, 24))
    assert swept.stopped is not None
    assert swept.points[-1].n < 24
    assert swept.curve.peak < 4


def test_nothing_is_left_connected(target: Target, db: Connection) -> None:
    sweep(target, statement("SELECT 1"), 3, 0.1)
    left = db.exec_driver_sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state IS NOT NULL AND state_change < clock_timestamp() - interval '2 s'"
    ).scalar()
    assert left == 0


def test_it_cannot_write(target: Target, table: Connection) -> None:
    with pytest.raises(ServerError, match="read-only"):
        sweep(target, statement("DELETE FROM item RETURNING id"), 3, 0.1)
    assert table.exec_driver_sql("SELECT count(*) FROM item").scalar() == 1000


def test_a_server_that_refuses_is_one_error(target: Target, table: Connection) -> None:
    with pytest.raises(ServerError, match="nosuch"):
        sweep(target, statement("SELECT * FROM nosuch"), 3, 0.1)


def test_captured_queries_run_with_their_values_but_writers_do_not(target: Target, table: Connection) -> None:
    one = ParameterSet(name="one", values=("7",))
    by_id = Query(
        name="by-id", statement="SELECT name FROM item WHERE id = $1", types=("integer",), sets=(one,), calls=9
    )
    by_name = Query(
        name="by-name",
        statement="SELECT id FROM item WHERE name = $1 AND name <> '%(x)s :y'",
        types=("text",),
        sets=(ParameterSet(name="odd", values=("it's",)), ParameterSet(name="none", values=(None,))),
    )
    write = Query(name="write", statement="DELETE FROM item WHERE id = $1", types=("integer",), sets=(one,))
    chosen = captured(table, (by_id, by_name, write))
    assert chosen.names == ("by-id", "by-name")
    assert [name for name, _ in chosen.skipped] == ["write"]
    assert "changes data" in chosen.skipped[0][1]
    swept = sweep(target, chosen.work, 3, 0.2)
    assert all(point.per_second > 0 for point in swept.points)
    with pytest.raises(UsageError, match="none of the captured queries"):
        captured(table, (write,))


def test_folder_of_queries(target: Target, table: Connection, tmp_path: Path) -> None:
    assert captured(table, [Query(name="plain", statement="SELECT count(*) FROM item")]).names == ("plain",)


def test_even_dice_give_everything_its_share_within_a_few_draws() -> None:
    dice = Evenly()
    shares = {"often": 0.7, "rarely": 0.28, "hardly": 0.02}
    for draws in (50, 300, 3000):
        counts = Counter(dice.choices(list(shares), cum_weights=[0.7, 0.98, 1.0])[0] for _ in range(draws))
        assert all(abs(counts[name] - share * draws) <= 3 for name, share in shares.items())
