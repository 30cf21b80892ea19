from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, make_url, text
from typer.testing import CliRunner

from dbtune.cli import app
from dbtune.errors import GaveUp, Unsafe
from dbtune.party import data, schema
from dbtune.party.rows import COLUMNS, Register, Row, Scale
from dbtune.server.connection import Target, connect

TINY = Scale(businesses=20)


def digests(db: Connection) -> dict[str, str]:
    """The rows of each table, boiled down."""
    return {
        table: db.scalar(text(f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM partysvc.{table} AS t"))
        or ""
        for table in COLUMNS
    }


def held(db: Connection) -> data.Contents:
    found = data.contents(db)
    db.rollback()
    assert found is not None
    return found


def test_the_loaded_rows_are_those_of_the_scale(db: Connection) -> None:
    loaded = data.load(db, TINY)
    assert not db.in_transaction()
    assert not loaded.already
    assert loaded.size_bytes > 100_000
    assert held(db) == data.Contents(counts=TINY.counts, scale=str(TINY))
    for table, columns in COLUMNS.items():
        wanted = {row[:2] for row in Register(TINY).rows(table)}
        first, second = columns[:2]
        assert {
            tuple(r) for r in db.execute(text(f"SELECT {first}::text, {second}::text FROM partysvc.{table}"))
        } == wanted


def test_the_same_seed_gives_the_same_rows_and_another_does_not(db: Connection) -> None:
    data.load(db, TINY)
    first = digests(db)
    db.rollback()
    data.load(db, TINY, replace=True)
    assert digests(db) == first
    db.rollback()
    data.load(db, Scale(businesses=20, seed=7), replace=True)
    assert all(digest != first[table] for table, digest in digests(db).items())


def test_psycopg_3_loads_the_same_rows(database_url: str, db: Connection) -> None:
    pytest.importorskip("psycopg")
    data.load(db, TINY)
    first = digests(db)
    db.rollback()
    with connect(Target(make_url(database_url).set(drivername="postgresql+psycopg"), "test")) as other:
        data.load(other, TINY, replace=True)
        assert digests(other) == first


def test_large_tables_go_in_several_pieces(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    data.load(db, TINY)
    first = digests(db)
    db.rollback()
    monkeypatch.setattr(data, "_PIECE_BYTES", 1000)
    data.load(db, TINY, replace=True)
    assert digests(db) == first


def test_loading_again_does_nothing(db: Connection) -> None:
    data.load(db, TINY)
    db.execute(text("UPDATE partysvc.respondent SET telephone = 'kept'"))
    db.commit()
    assert data.load(db, TINY).already
    assert held(db).counts == TINY.counts
    assert db.scalar(text("SELECT count(*) FROM partysvc.respondent WHERE telephone = 'kept'")) == 24


@pytest.mark.parametrize("change", ["another scale", "a row more", "no comment"])
def test_other_data_are_not_touched_without_replace(db: Connection, change: str) -> None:
    data.load(db, TINY)
    wanted = TINY
    if change == "another scale":
        wanted = Scale(businesses=20, seed=7)
    elif change == "a row more":
        db.execute(text("INSERT INTO partysvc.business VALUES (gen_random_uuid(), 'mine', now())"))
    else:
        db.execute(text("COMMENT ON SCHEMA partysvc IS 'production, mind you'"))
    db.commit()
    before = digests(db)
    db.rollback()
    with pytest.raises(Unsafe, match="--replace"):
        data.load(db, wanted)
    assert digests(db) == before
    db.rollback()
    assert not data.load(db, wanted, replace=True).already
    assert held(db).are(wanted)


def test_sequences_go_on_after_the_loaded_ids(db: Connection) -> None:
    data.load(db, TINY)
    for table, made in (("business_attributes", 36), ("respondent", 24), ("pending_enrolment", 6)):
        assert db.scalar(text(f"SELECT nextval('partysvc.{table}_id_seq')")) == made + 1


def test_the_planner_knows_the_loaded_tables(db: Connection) -> None:
    data.load(db, TINY)
    rows = db.execute(
        text(
            "SELECT relname, reltuples, relallvisible = relpages FROM pg_class WHERE oid = ANY(CAST(:t AS regclass[]))"
        ),
        {"t": [f"partysvc.{table}" for table in COLUMNS]},
    )
    assert {name: (tuples, visible) for name, tuples, visible in rows} == {
        table: (count, True) for table, count in TINY.counts.items()
    }
    assert db.scalar(text("SELECT count(DISTINCT tablename) FROM pg_stats WHERE schemaname = 'partysvc'")) == len(
        COLUMNS
    )


@pytest.mark.parametrize("full", [False, True], ids=["empty before", "loaded before"])
def test_a_load_that_stops_half_way_leaves_what_was_there(
    db: Connection, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    if full:
        data.load(db, TINY)
    else:
        schema.upgrade(db)
    before = (digests(db), held(db))
    whole = Register._enrolment

    def cut(self: Register) -> Iterator[Row]:
        yield from list(whole(self))[:5]
        raise KeyboardInterrupt

    monkeypatch.setattr(Register, "_enrolment", cut)
    with pytest.raises(KeyboardInterrupt):
        data.load(db, Scale(businesses=40), replace=True)
    assert (digests(db), held(db)) == before


def test_ctrl_c_stops_a_load_and_leaves_nothing(database_url: str, db: Connection) -> None:
    schema.upgrade(db)
    copying = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%COPY partysvc.%'"
        " AND pid <> pg_backend_pid()"
    )
    command = [sys.executable, "-m", "dbtune", "party", "load", "--businesses", "20000", "--url", database_url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not db.scalar(copying) and process.poll() is None and time.monotonic() < deadline:
        db.rollback()
        time.sleep(0.02)
    db.rollback()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (130, "", "")
    assert held(db).empty


def test_a_locked_table_is_waited_for_but_not_for_ever(
    database_url: str, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.load(db, TINY)
    monkeypatch.setattr(data, "_LOCK_SECONDS", 1)
    with connect(Target(make_url(database_url), "test")) as other:
        other.execute(text("SELECT count(*) FROM partysvc.business"))
        with pytest.raises(GaveUp, match="locked for 1 s"):
            data.load(db, TINY, replace=True)
    assert held(db).counts == TINY.counts


def test_contents_of_a_database_without_the_tables(db: Connection) -> None:
    assert data.contents(db) is None


def test_the_command_tells_what_it_did(database_url: str, db: Connection) -> None:
    def load(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["party", "load", "--url", database_url, *arguments])
        return result.exit_code, result.stdout, result.stderr

    code, output, errors = load("--businesses", "20")
    assert (code, errors) == (0, "")
    assert "20 business, 36 business_attributes, 24 respondent" in output
    code, output, errors = load("--businesses", "20")
    assert (code, errors) == (0, "")
    assert output.startswith("already loaded")
    code, output, errors = load("--businesses", "30")
    assert (code, output) == (4, "")
    assert errors.count("\n") == 1
    assert "--replace" in errors
    assert load("--businesses", "30", "--replace", "--quiet") == (0, "", "")
    assert held(db).counts["business"] == 30
    assert load("--businesses", "3")[0] == 2
