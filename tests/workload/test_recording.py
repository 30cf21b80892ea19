"""A recording survives crashes, forks, full disks and other writers, and the application never suffers from it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, event, make_url

from dbtune.capture.sqlalchemy import record
from dbtune.errors import BadFile
from dbtune.workload.capture import recording
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.recording import Told


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = sa.create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=0.2)
    yield engine
    engine.dispose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queries.rec"


def ask(engine: Engine, number: int = 1) -> Any:
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT :number + 0"), {"number": number}).scalar()


def read(path: Path, told: Told | None = None) -> list[Execution]:
    return list(recording.read(path, told))


def test_what_is_written_is_read_back(engine: Engine, path: Path) -> None:
    nasty = "', $2 = 'x\n\t𝄞 \\ \" 100%"
    with record(engine, path) as recorded:
        with recorded.route("GET /nasty"), engine.connect() as connection:
            connection.execute(sa.text("SELECT CAST(:value AS text)"), {"value": nasty})
            connection.execute(sa.text("SELECT 2"))
        with pytest.raises(sa.exc.ProgrammingError), engine.connect() as connection:
            connection.execute(sa.text("SELECT missing FROM nowhere"))
    ask(engine)  # after the block nothing is heard
    first, second, third = read(path)
    assert (first.statement, first.values, first.route, first.rows) == (
        "SELECT CAST($1 AS text)",
        (nasty,),
        "GET /nasty",
        1,
    )
    assert (third.error, third.sqlstate) == (True, "42P01")
    assert first.process == os.getpid()
    assert first.time is not None
    assert second.pool_wait_ms is None
    assert path.stat().st_mode & 0o777 == 0o600


def test_waiting_for_the_pool_and_holding_a_connection_are_measured(engine: Engine, path: Path) -> None:
    ask(engine)
    with record(engine, path):
        holder = engine.connect()
        holder.execute(sa.text("SELECT 1"))
        waiter = threading.Thread(target=ask, args=[engine])
        waiter.start()
        time.sleep(0.1)
        holder.close()
        waiter.join()
    told = Told()
    first, second = read(path, told)
    assert first.pool_wait_ms is not None
    assert first.pool_wait_ms < 50
    assert second.pool_wait_ms is not None
    assert 50 < second.pool_wait_ms < 200
    assert first.hold_ms is not None
    assert first.hold_ms >= 100
    assert (told.waits, told.holds) == (2, 2)
    assert told.hold_most_ms == first.hold_ms


def test_the_time_to_open_a_connection_is_no_wait_for_the_pool(database_url: str, path: Path) -> None:
    engine = sa.create_engine(database_url)

    @event.listens_for(engine, "do_connect")
    def slowly(*_: Any) -> None:
        time.sleep(0.15)

    with record(engine, path):
        ask(engine)
    engine.dispose()
    (one,) = read(path)
    assert one.pool_wait_ms is not None
    assert one.pool_wait_ms < 100


def test_a_pool_that_gives_no_connection_is_evidence(engine: Engine, database_url: str, path: Path) -> None:
    other = sa.create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    with record(engine, path) as recorded, engine.connect(), other.connect():
        with recorded.route("GET /full"), pytest.raises(sa.exc.TimeoutError):
            ask(engine)
        with pytest.raises(sa.exc.TimeoutError):
            ask(other)  # which nobody asked to hear
    other.dispose()
    told = Told()
    assert read(path, told) == []
    assert told.denials == 1
    assert told.denial_most_ms >= 200
    assert told.denial.startswith("TimeoutError: QueuePool limit of size 1 overflow 0 reached")
    (line,) = [json.loads(line) for line in path.read_text().splitlines() if line.startswith('["denied"')]
    assert line[4] == "GET /full"


def test_a_sample_stands_for_all(engine: Engine, path: Path) -> None:
    with record(engine, path, sample=0.25):
        for _ in range(400):
            ask(engine)
    found = read(path)
    assert 50 < len(found) < 160
    assert {each.calls for each in found} == {4}
    with pytest.raises(ValueError, match="sample"):
        record(engine, path, sample=0)


def test_forks_write_what_they_send_and_nothing_twice(engine: Engine, path: Path) -> None:
    with record(engine, path) as recorded:
        ask(engine, 1)
        child = os.fork()
        if child == 0:
            engine.dispose(close=False)
            ask(engine, 2)
            recorded.flush()
            os._exit(0)
        os.waitpid(child, 0)
        ask(engine, 3)
    told = Told()
    found = read(path, told)
    assert sorted(each.values or () for each in found) == [("1",), ("2",), ("3",)]
    assert {each.process for each in found} == {os.getpid(), child}
    assert len(told.processes) == 2


APPLICATION = """
import os, sys, time
import sqlalchemy as sa
from dbtune.capture.sqlalchemy import record
engine = sa.create_engine(sys.argv[1])
record(engine, sys.argv[2])
with engine.connect() as connection:
    for number in range(int(sys.argv[3])):
        connection.execute(sa.text("SELECT :number + 0"), {"number": number})
    print("sent", flush=True)
    time.sleep(float(sys.argv[4]))
"""


def application(url: str, path: Path, count: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", APPLICATION, url, str(path), str(count), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_a_killed_process_had_written_is_there_and_its_last_line_is_skipped(database_url: str, path: Path) -> None:
    running = application(database_url, path, 500, 60)
    assert running.stdout is not None
    assert running.stdout.readline() == "sent\n"
    time.sleep(1)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert len(read(path)) == 500
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    told = Told()
    assert len(read(path, told)) == 499
    assert told.skipped == 1


def test_several_processes_write_to_one_file(database_url: str, path: Path) -> None:
    running = [application(database_url, path, 400, 0) for _ in range(3)]
    for each in running:
        each.communicate()
        assert each.returncode == 0
    told = Told()
    assert len(read(path, told)) == 1200
    assert (len(told.processes), told.skipped) == (3, 0)


def test_a_full_file_ends_the_recording_and_not_the_application(engine: Engine, path: Path) -> None:
    warnings: list[str] = []
    with record(engine, path, max_bytes=4000, warn=warnings.append) as recorded:
        for number in range(100):
            assert ask(engine, number) == number
            recorded.flush()
    assert path.stat().st_size <= 4000
    assert 0 < len(read(path)) < 100
    assert len(warnings) == 1
    assert "--max-size" in warnings[0]


@pytest.mark.parametrize("name", ["missing/queries.rec", "folder"])
def test_a_file_that_cannot_be_written_costs_one_warning(engine: Engine, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    warnings: list[str] = []
    with record(engine, tmp_path / name, warn=warnings.append) as recorded:
        for number in range(3):
            assert ask(engine, number) == number
            recorded.flush()
    (said,) = warnings
    assert str(tmp_path / name) in said


def test_a_full_disk_costs_one_warning(engine: Engine) -> None:
    warnings: list[str] = []
    with record(engine, "/dev/full", warn=warnings.append) as recorded:
        for number in range(3):
            assert ask(engine, number) == number
            recorded.flush()
    (said,) = warnings
    assert "No space left" in said


@pytest.mark.parametrize("content", ["hello\n", '{"a": 1}\n', "[1]\n"])
def test_another_file_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(BadFile, match="is no recording"):
        read(path)
    with pytest.raises(BadFile, match="cannot be read"):
        read(path.parent / "missing")


def test_a_recording_of_a_later_version_is_refused(path: Path) -> None:
    path.write_text('["dbtune",2,"1-a",1,1.0]\n')
    with pytest.raises(BadFile, match="another version"):
        read(path)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_asynchronous_engines(database_url: str, path: Path, driver: str) -> None:
    pytest.importorskip(driver)
    from sqlalchemy.ext.asyncio import create_async_engine

    url = make_url(database_url)
    if driver == "asyncpg":
        url = url.set(host=str(url.query["host"]), port=int(str(url.query["port"])), query={})

    async def handler() -> None:
        engine = create_async_engine(url.set(drivername=f"postgresql+{driver}"))
        with record(engine, path):
            async with engine.connect() as connection:
                await connection.execute(sa.text("CREATE TEMPORARY TABLE t (a int, b text)"))
                await connection.execute(
                    sa.text("INSERT INTO t VALUES (:a, :b)"), [{"a": n, "b": f"{n}"} for n in range(3)]
                )
                await connection.execute(
                    sa.text("SELECT b FROM t WHERE a IN :some").bindparams(sa.bindparam("some", expanding=True)),
                    {"some": [1, 2]},
                )
                stream = await connection.stream(sa.text("SELECT a FROM t WHERE b = :b"), {"b": "2"})
                assert [row.a async for row in stream] == [2]
        await engine.dispose()

    asyncio.run(handler())
    found = read(path)
    assert [each.values for each in found if each.statement.startswith("INSERT")] == [
        (str(n), str(n)) for n in range(3)
    ]
    assert [each.values for each in found if " IN " in each.statement] == [("1", "2")]
    assert [each.values for each in found if "b = $1" in each.statement] == [("2",)]
    assert {each.route for each in found} == {f"{__name__}:test_asynchronous_engines.<locals>.handler"}
    assert found[0].pool_wait_ms is not None
    assert found[0].hold_ms is not None


def test_what_goes_wrong_while_recording_is_not_the_application_s(
    engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with record(engine, path):
        monkeypatch.setattr(threading.Thread, "start", fail)
        assert ask(engine, 7) == 7
    with record(engine, path), engine.connect() as connection:
        cursor = connection.connection.cursor()
        engine.dialect.do_execute(cursor, "SELECT %(a)s", {"a": 1})  # as an extension may, without a context
        assert cursor.fetchone() == (1,)


def test_another_s_instrumentation_stays(engine: Engine, path: Path) -> None:
    seen: list[str] = []
    original = engine.dialect.do_execute

    def other(cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        seen.append(statement)
        original(cursor, statement, parameters, context)

    engine.dialect.do_execute = other  # type: ignore[method-assign]
    with record(engine, path):
        ask(engine)
    assert engine.dialect.do_execute is other
    assert len(read(path)) == 1
    assert any(":number" not in each and "+ 0" in each for each in seen)
