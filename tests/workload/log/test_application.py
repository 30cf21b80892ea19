"""Evidence of pools in an application's log, whatever it was logged with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dbtune.cli.capture import app
from dbtune.workload.capture.log.application import Evidence, PoolState, PoolTimeout, Refusal, told

TIMEOUT = "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00"


@pytest.mark.parametrize(
    "line",
    [
        "Pool size: 5  Connections in pool: 2 Current Overflow: -2 Current Checked out connections: 1",
        '{"event": "db pool", "pool_size": 5, "checked_in": 2, "checked_out": 1, "overflow": -2}',
        "level=info msg=pool db.pool.size=5 db.pool.checkedin=2 db.pool.checkedout=1 db.pool.overflow=-2",
        "2019-01-30 10:00:00,123 pool_size: 5, connections_checked_in: 2, connections_checked_out: 1, overflow: -2",
        '{"poolSize":"5","checkedIn":"2","checkedOut":"1","currentOverflow":"-2"}',
        "pool_size=5 checked_out=1 overflow=-2",
        "checked_in=2 checked_out=1 overflow=-2",
    ],
)
def test_a_pool_s_state_in_any_spelling(line: str) -> None:
    (found,) = told(line)
    assert isinstance(found, PoolState)
    assert (found.size, found.checked_in, found.checked_out, found.overflow) == (5, 2, 1, -2)


@pytest.mark.parametrize(
    "line", ["customers checked out: 3", "checked_out=1", "we checked out 5 hotels", "pool size: 5"]
)
def test_what_tells_no_state(line: str) -> None:
    assert list(told(line)) == []


@pytest.mark.parametrize(
    ("line", "time"),
    [
        (f"2019-01-30 10:00:31,123 ERROR {TIMEOUT}", datetime(2019, 1, 30, 10, 0, 31, 123000)),
        (f"[2019-01-30 10:00:31 +0000] [7] [ERROR] {TIMEOUT}", datetime(2019, 1, 30, 10, 0, 31, tzinfo=UTC)),
        (f'{{"timestamp": "2019-01-30T10:00:31Z", "e": "{TIMEOUT}"}}', datetime(2019, 1, 30, 10, 0, 31, tzinfo=UTC)),
        (f'{{"ts": 1548842431.5, "e": "{TIMEOUT}"}}', datetime(2019, 1, 30, 10, 0, 31, 500000, tzinfo=UTC)),
        (f'1.2.3.4 - - [30/Jan/2019:10:00:31 +0000] "GET /" {TIMEOUT}', datetime(2019, 1, 30, 10, 0, 31, tzinfo=UTC)),
        (TIMEOUT, None),
    ],
)
def test_a_time_out_with_the_time_of_its_line(line: str, time: datetime | None) -> None:
    assert list(told(line)) == [PoolTimeout(time=time, size=5, overflow=10, timeout_seconds=30.0)]


TRACEBACK = f"""2019-01-30 10:00:31,123 ERROR party failed
Traceback (most recent call last):
  File "pool.py", line 3, in connect
sqlalchemy.exc.TimeoutError: {TIMEOUT} (Background on this error at: https://sqlalche.me/e/20/3o7r)

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "party.py", line 9, in view
party.PartyError: {TIMEOUT}
"""


def test_one_exception_in_two_tracebacks_counts_once_and_two_exceptions_twice() -> None:
    assert len(list(told(TRACEBACK))) == 1
    assert len(list(told(TRACEBACK + TRACEBACK.replace("10:00:31", "10:00:32")))) == 2


def test_the_time_of_a_traceback_is_that_of_the_line_before_it() -> None:
    (one,) = told(TRACEBACK)
    assert one.time == datetime(2019, 1, 30, 10, 0, 31, 123000)
    head, tail = TRACEBACK.split("Traceback", 1)
    (one,) = told(f"Traceback{tail}", head)
    assert one.time == datetime(2019, 1, 30, 10, 0, 31, 123000)


@pytest.mark.parametrize(
    "message",
    [
        "sorry, too many clients already",
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        'too many connections for role "party"',
    ],
)
def test_the_server_s_refusal(message: str) -> None:
    (found,) = told(f"ERROR (psycopg2.OperationalError) connection failed: FATAL:  {message}")
    assert isinstance(found, Refusal)
    assert found.message.startswith(message[:40])


def test_evidence_adds_up_over_blocks_and_files() -> None:
    lines = [f"pool_size=5 checked_in=0 checked_out={5 + n} overflow={n}\n" for n in (0, 3, 10)]
    one, other = Evidence(), Evidence()
    one.add(lines[0] + lines[1])
    one.add(TIMEOUT + "\n")
    other.add(lines[2] + "FATAL:  sorry, too many clients already\n")
    one.join(other)
    pool = one.pools[5]
    assert (pool.states, pool.timeouts, pool.limit, pool.most_checked_out) == (3, 1, 15, 15)
    assert (pool.at_size, pool.at_limit) == (3, 1)
    assert one.refusals.count == 1


LOG = f"""2019-01-30 10:00:00,123 INFO party pool_size=5 checked_in=0 checked_out=15 overflow=10
{TRACEBACK}2019-01-30 10:00:33,000 ERROR party FATAL:  sorry, too many clients already
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_command_prints_it_and_touches_no_query(tmp_path: Path, jobs: int) -> None:
    log = tmp_path / "app.log"
    log.write_text(LOG)
    folder = tmp_path / "queries"
    arguments = ["log", str(log), "--query-dir", str(folder), "--jobs", str(jobs)]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "size 5 + 10" in done.stdout
    assert "1 of 30 s" in done.stdout
    assert "The server refused 1 connection, 2019-01-30 10:00:33: sorry, too many clients already" in done.stdout
    assert not folder.exists()
    found = json.loads(CliRunner().invoke(app, [*arguments, "--format", "json"]).stdout)
    (pool,) = found["pools"]
    assert (pool["size"], pool["max_overflow"], pool["timeouts"], pool["most_checked_out"]) == (5, 10, 1, 15)
    assert found["refusals"]["count"] == 1
    assert found["files"][0]["format"] == "application"


def test_what_an_application_says_within_a_server_s_log_is_not_lost(tmp_path: Path) -> None:
    log = tmp_path / "mixed.log"
    server = "2019-01-30 10:00:00.123 UTC [7] LOG:  duration: 1.000 ms  statement: SELECT 1\n"
    log.write_text(server * 3 + f"ERROR:party:{TIMEOUT}\n" + server)
    done = CliRunner().invoke(app, ["log", str(log), "--query-dir", str(tmp_path / "queries")])
    assert done.exit_code == 0
    assert "1 of 30 s" in done.stdout
    assert "1 new" in done.stdout
