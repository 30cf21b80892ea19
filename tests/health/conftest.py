"""Looking at the health of a database of its own, in which things go wrong on purpose."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from dbtune.health import catalogue
from dbtune.health.finding import Finding
from dbtune.health.ignores import Ignore
from dbtune.health.report import Report
from dbtune.health.survey import Wanted, survey
from dbtune.server.connection import Target, connect, parse_url
from tests import command
from tests.migration.conftest import Run, session

Look = Callable[..., Report]
Dbtune = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(database_url: str) -> Iterator[Run]:
    """A session in that database, outside of transactions unless it begins one."""
    with session(database_url) as opened:
        yield opened


@pytest.fixture
def look(database_url: str) -> Look:
    """Look at that database: checks by id or group, limits as on the command line, and a history if one is named."""
    return lambda *only, **options: look_at(database_url, *only, **options)


def look_at(
    url: str,
    *only: str,
    limits: tuple[str, ...] = (),
    history: Path | None = None,
    window: float = 86_400.0,
    interval: float | None = None,
    during: Callable[[], None] = lambda: None,
    replicas: tuple[str, ...] = (),
    measure_bloat: bool = False,
    ignores: tuple[Ignore, ...] = (),
) -> Report:
    """Look at a database; ``during`` happens between the two readings of an interval."""
    wanted = Wanted(
        checks=catalogue.chosen(only),
        limits=catalogue.limits(limits),
        interval=interval,
        window=window,
        history=history,
        keeps_history=history is not None,
        replicas=[Target(parse_url(each, "test"), "test") for each in replicas],
        measure_bloat=measure_bloat,
        ignores=ignores,
    )

    def wait(seconds: float) -> None:
        during()
        time.sleep(seconds)

    with connect(Target(make_url(url).set(drivername="postgresql+psycopg2"), "test")) as connection:
        return survey(connection, wanted, wait)


def found(report: Report, check: str) -> dict[str, Finding]:
    """The findings of one check by object; it must have been made."""
    assert check not in {each.check for each in report.unchecked}, report.unchecked
    return {finding.object: finding for finding in report.findings if finding.check == check}


def settle(run: Run) -> None:
    """Make the server tell its counters now: a session reports them at most once a second, and when it is idle."""
    if int(run("SHOW server_version_num")[0][0]) >= 150_000:
        run("SELECT pg_stat_force_next_flush()")
    else:
        time.sleep(1.1)
        run("SELECT 1")
        time.sleep(0.7)


@pytest.fixture
def dbtune(database_url: str, tmp_path: Path) -> Dbtune:
    """Run dbtune as a user does, in an empty folder and with a data directory of its own, at 80 columns."""
    variables = {"DBTUNE_URL": database_url, "DBTUNE_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "80"}

    def run_dbtune(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return command.dbtune(*arguments, cwd=tmp_path, env=os.environ | variables | more)

    return run_dbtune
