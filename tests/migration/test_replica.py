"""How far standbys are behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from dbtune.errors import UsageError
from dbtune.migration import replica
from dbtune.migration.replica import Limit, Replica
from dbtune.server import binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import session, wait_for
from tests.migration.standby import NAME, pair

Servers = tuple[EmbeddedServer, EmbeddedServer]


@pytest.fixture(scope="module")
def servers(data_dir: Path, pytestconfig: pytest.Config) -> Iterator[Servers]:
    bindir = pytestconfig.getoption("--pg-bindir")
    with pair(data_dir / "replicas", binaries.at(bindir.absolute()) if bindir else None) as started:
        yield started


def lag(url: URL | str) -> tuple[Replica, ...]:
    with connect(Target(make_url(url).set(drivername="postgresql+psycopg2"), "test")) as connection:
        return replica.lag(connection)


def test_a_standby_that_stops_replaying_falls_behind(servers: Servers) -> None:
    primary, standby = servers
    with session(primary.url()) as run, session(standby.url()) as there:
        wait_for(lambda: lag(primary.url())[0].seconds == 0.0)
        (found,) = lag(primary.url())
        assert (found.name, found.state, found.sync_state, found.seconds) == (NAME, "streaming", "async", 0.0)
        there("SELECT pg_wal_replay_pause()")
        try:
            run("CREATE TABLE grown AS SELECT g FROM generate_series(1, 10000) AS g")
            wait_for(lambda: (lag(primary.url())[0].seconds or 0.0) > 0.5)  # no reply tells so: it counts by itself
            (found,) = lag(primary.url())
            assert found.bytes is not None
            assert found.bytes > 300_000
            assert Limit(bytes=300_000).is_passed(found)
            assert Limit(seconds=0.5).is_passed(found)
            assert not Limit(bytes=1 << 30).is_passed(found)
        finally:
            there("SELECT pg_wal_replay_resume()")
            run("DROP TABLE grown")


def test_a_role_that_may_not_see_it_is_told_nothing_wrong(servers: Servers) -> None:
    primary, _ = servers
    with session(primary.url()) as run:
        run("CREATE ROLE replica_visitor LOGIN")
        try:
            (found,) = lag(make_url(primary.url()).set(username="replica_visitor"))
        finally:
            run("DROP ROLE replica_visitor")
    assert (found.name, found.state, found.bytes, found.seconds) == (NAME, None, None, None)
    assert Limit(bytes=0).is_passed(found) is None


def test_no_standby(database_url: str) -> None:
    assert lag(database_url) == ()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("100MB", Limit(bytes=100 << 20)),
        ("1.5 kB", Limit(bytes=1536)),
        ("0B", Limit(bytes=0)),
        ("30s", Limit(seconds=30)),
        ("250ms", Limit(seconds=0.25)),
        ("2min", Limit(seconds=120)),
    ],
)
def test_limits(text: str, means: Limit) -> None:
    assert replica.limit(text) == means


@pytest.mark.parametrize("text", ["", "100", "much", "-1s", "3 parsecs", "1MBs"])
def test_what_is_no_limit_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="such as 100MB, or a time such as 30s"):
        replica.limit(text)
