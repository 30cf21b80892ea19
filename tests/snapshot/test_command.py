"""dbtune snapshot, run as users run it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url

from dbtune.server.connection import Target, connect
from dbtune.snapshot import file
from dbtune.snapshot.read import read
from tests.command import dbtune
from tests.snapshot.rich import run as send
from tests.snapshot.rich import uncounted

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shop(db: Connection) -> Connection:
    send(db, "CREATE TABLE item (id int PRIMARY KEY, kind text); CREATE TABLE fresh (a int, b text)")
    send(
        db,
        "INSERT INTO item SELECT g, CASE WHEN g % 3 = 0 THEN 'needle' ELSE 'k' || g END"
        " FROM generate_series(1, 9000) g",
    )
    send(db, "ANALYZE item; INSERT INTO fresh SELECT g, 'x' FROM generate_series(1, 10) g")
    db.commit()
    return db


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "DBTUNE_URL": database_url, "COLUMNS": "80", "DBTUNE_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    def run_dbtune(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return dbtune("snapshot", *arguments, cwd=tmp_path, env=environment | variables)

    return run_dbtune


def test_one_screen_about_a_private_file(run: Run, shop: Connection, tmp_path: Path) -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.snapshot.json.gz")
    assert path.name == f"{shop.engine.url.database}.snapshot.json.gz"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert uncounted(*file.load(path).tables) == uncounted(*read(shop).tables)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert "statistics  2 of 4 columns" in done.stdout
    assert "in 2 tables" in done.stdout
    assert "Never analysed, run ANALYZE: public.fresh" in done.stdout
    assert "Not seen" not in done.stdout
    assert "holds values from rows" in done.stdout
    assert path.name in done.stdout


def test_summary_for_programs(run: Run, shop: Connection, tmp_path: Path) -> None:
    done = run("--format", "json", "--output", "a.json")
    told = json.loads(done.stdout)
    assert told["schema_version"] == 1
    assert told["file"] == "a.json"
    assert told["file_bytes"] == (tmp_path / "a.json").stat().st_size
    assert told["tables"] == {"table": 2}
    assert (
        told["table_bytes"]
        == shop.exec_driver_sql("SELECT pg_relation_size('item') + pg_relation_size('fresh')").scalar()
    )
    assert told["index_bytes"] == shop.exec_driver_sql("SELECT pg_relation_size('item_pkey')").scalar()
    assert told["columns"] == {"all": 4, "with_statistics": 2, "hidden": 0}
    assert told["never_analysed"] == ["public.fresh"]
    assert told["unseen"] == []


def test_markdown(run: Run, shop: Connection) -> None:
    assert "| statistics | 2 of 4 columns |" in run("--format", "markdown").stdout


def test_snapshot_on_stdout(run: Run, shop: Connection, tmp_path: Path) -> None:
    done = run("--output", "-")
    assert uncounted(*file.parse(done.stdout, Path("-")).tables) == uncounted(*read(shop).tables)
    assert "statistics  2 of 4 columns" in done.stderr
    assert run("--output", "-", "--quiet").stderr == ""
    assert not list(tmp_path.glob("*.json*"))


def test_what_the_role_cannot_see_is_told(run: Run, shop: Connection, database_url: str) -> None:
    send(shop, "CREATE ROLE snapshot_visitor LOGIN")
    shop.commit()
    try:
        url = make_url(database_url).set(username="snapshot_visitor").render_as_string(hide_password=False)
        done = run("--url", url)
        assert done.returncode == 0, done.stderr
        assert "0 of 4 columns, 4 hidden from the role" in done.stdout
        assert "Not seen (2):" in done.stdout
        assert "statistics of public.item: the role may not SELECT from it" in done.stdout
        assert "Never analysed" not in done.stdout
    finally:
        send(shop, "DROP ROLE snapshot_visitor")
        shop.commit()


@pytest.mark.parametrize("mode", ["types", "hash"])
def test_redacted(run: Run, shop: Connection, tmp_path: Path, mode: str) -> None:
    texts = []
    for name in ("a.json", "b.json"):
        done = run("--redact", mode, "--output", name)
        assert done.returncode == 0, done.stderr
        assert "needle" not in (tmp_path / name).read_text()
        taken = file.load(tmp_path / name)
        assert taken.redacted == mode
        texts.append(taken.tables[1].columns)
    assert texts[0] == texts[1]
    kind = texts[0][1].statistics
    assert kind is not None
    assert kind.most_common_freqs[0] == pytest.approx(1 / 3, abs=0.05)
    assert (kind.most_common_vals is not None) == (mode == "hash")
    assert "values from rows" in done.stdout


def test_database_names_that_no_file_could_have(run: Run, db: Connection, tmp_path: Path) -> None:
    auto = db.execution_options(isolation_level="AUTOCOMMIT")
    auto.exec_driver_sql('CREATE DATABASE "../odd name/é"')
    try:
        url = db.engine.url.set(database="../odd name/é").render_as_string(hide_password=False)
        done = run("--url", url)
        assert done.returncode == 0, done.stderr
        assert [each.name for each in tmp_path.glob("*.gz")] == ["_odd_name_é.snapshot.json.gz"]
    finally:
        auto.exec_driver_sql('DROP DATABASE "../odd name/é"')


def test_errors_and_their_exit_codes(run: Run, shop: Connection, tmp_path: Path) -> None:
    done = run("--output", "nowhere/a.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot write nowhere/a.json" in done.stderr
    done = run("--url", "postgresql://nobody@127.0.0.1:1/x")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    done = run("--url", "mysql://x/y")
    assert done.returncode == 2
    assert not list(tmp_path.glob("*.gz"))


def test_a_locked_table_ends_it_with_5(run: Run, shop: Connection, tmp_path: Path) -> None:
    shop.exec_driver_sql("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
    done = run("--output", "a.json")
    shop.rollback()
    assert done.returncode == 5, done.stderr
    assert "locked for 5 s" in done.stderr
    assert not (tmp_path / "a.json").exists()


def test_ctrl_c_leaves_nothing_behind(
    environment: dict[str, str], shop: Connection, database_url: str, tmp_path: Path
) -> None:
    shop.exec_driver_sql("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
    (tmp_path / "a.json").write_text("old")
    running = subprocess.Popen(
        [sys.executable, "-m", "dbtune", "snapshot", "--output", "a.json"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with connect(Target(make_url(database_url), "test")) as watcher:
        for _ in range(100):
            waiting = watcher.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar()
            watcher.rollback()
            if waiting:
                break
            time.sleep(0.05)
        assert waiting
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
        left = watcher.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar()
    shop.rollback()
    assert running.returncode == 130, err
    assert out == ""
    assert not left
    assert (tmp_path / "a.json").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
