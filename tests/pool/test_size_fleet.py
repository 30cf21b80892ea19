"""dbtune size --fleet: all services that share a server, sized together."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dbtune.errors import UsageError
from dbtune.pool import fleet_sizing
from dbtune.pool.budget import Moment
from dbtune.pool.curve import Curve
from dbtune.pool.fleet import Amount, Fact, Fleet, Pool, Pooler, Rollout, Server, Service, engine
from dbtune.pool.kinds import Kind
from dbtune.pool.prediction import Demand
from dbtune.pool.recommendation import Goal
from tests.command import dbtune

Run = Callable[..., "subprocess.CompletedProcess[str]"]

FLEET = """
[server]
max_connections = 200

[[service]]
name = "web"
pods = 3
surge = "100%"
processes = 2
pool_size = 5
max_overflow = 10
pool_timeout = "2s"
role = "shop"
rate = 60
hold = "300ms"

[[service]]
name = "tasks"
pods = 2
processes = 4
pool_size = 5
max_overflow = 0
rate = 20
hold = "100ms"

[rest]
psql = 3
"""


def service(name: str, pods: int, surge: int, size: int, overflow: int, rate: float, hold: float) -> Service:
    return Service(
        name=name,
        pods=Fact(pods, ""),
        processes=Fact(1, ""),
        threads=Fact(None, ""),
        engines=(engine(pool_size=Fact(size, ""), max_overflow=Fact(overflow, "")),),
        rollout=Rollout(surge=Fact(Amount(surge), "")),
        rate=Fact(rate, ""),
        hold=Fact(hold, ""),
    )


def fleet(*services: Service, most: int = 100) -> Fleet:
    return Fleet(services=services, server=Server(max_connections=Fact(most, "")))


def test_each_gets_what_it_needs_and_a_deploy_fits() -> None:
    asked = fleet(service("a", 4, 4, 20, 10, 40, 0.2), service("b", 2, 0, 20, 0, 10, 0.1))
    advice = fleet_sizing.advise(asked, Goal())
    assert not advice.before.holds  # 8 × 30 + 2 × 20
    assert advice.after.holds
    assert advice.holds
    a, b = advice.sized
    assert a.best is not None
    assert b.best is not None
    # 40/s × 0.2 s in 4 processes: 2 busy in each; the deploy has 8 of them, and each is counted
    assert a.best.settings.processes == 4
    assert a.best.settings.cap >= 4
    total = 8 * a.best.settings.cap + 2 * b.best.settings.cap
    assert advice.after.server(Moment.DEPLOY).total == total
    assert advice.needed == total + 3


def test_the_limit_is_such_that_a_deploy_fits_too() -> None:
    asked = fleet(service("a", 4, 4, 5, 0, 300, 0.2), most=83)  # 60 busy, 80 to be had, 8 processes in a deploy
    settings = fleet_sizing.settings_of(asked, asked.services[0])
    assert (settings.processes, settings.limit) == (4, 40)
    advice = fleet_sizing.advise(asked, Goal())
    assert not advice.holds
    (sized,) = advice.sized
    assert sized.best is not None
    assert not sized.best.holds
    assert advice.after.holds  # what comes nearest is no more than fits


def test_a_curve_given_by_hand_goes_before_what_is_written() -> None:
    asked = fleet(service("a", 1, 0, 5, 0, 1, 0.01))
    by_hand = Demand(rate=50, curve=Curve.straight(0.2))
    (sized,) = fleet_sizing.advise(asked, Goal(), {"a": by_hand}).sized
    assert sized.today.prediction.demand is by_hand


def test_what_cannot_be_sized_is_said() -> None:
    only = service("a", 1, 0, 5, 0, 1, 0.01)
    with pytest.raises(UsageError, match="no service has a rate and a hold"):
        fleet_sizing.advise(fleet(replace(only, rate=None)), Goal())
    with pytest.raises(UsageError, match="a has no pool of SQLAlchemy's"):
        fleet_sizing.advise(fleet(replace(only, engines=(engine(Kind.ASYNCPG),))), Goal())
    full = replace(service("b", 1, 0, 97, 0, 1, 0.1), rate=None)
    with pytest.raises(UsageError, match="the server has 97 connections and others take 97: none is left for a"):
        fleet_sizing.advise(fleet(only, full), Goal())
    endless = replace(service("b", 1, 0, 0, 0, 1, 0.1), rate=None)
    with pytest.raises(UsageError, match="nothing limits what others than a open"):
        fleet_sizing.advise(fleet(only, endless), Goal())


def test_a_service_behind_a_pooler_has_the_pooler_s_clients() -> None:
    pooler = Pooler(
        name="bouncer",
        mode=Fact("transaction", ""),
        pools=(Pool(database="*", pool_size=Fact(10, "")),),
        max_client_conn=Fact(50, ""),
    )
    behind = replace(service("a", 1, 0, 5, 0, 1, 0.01), via="bouncer")
    asked = replace(fleet(behind, most=20), poolers=(pooler,))
    assert fleet_sizing.left_for(asked, behind) == 50


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "fleet.toml").write_text(FLEET)
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DBTUNE_URL")}

    def size(*arguments: str) -> subprocess.CompletedProcess[str]:
        return dbtune("size", *arguments, cwd=tmp_path, env={**environment, "COLUMNS": "80"})

    return size


def test_the_page(run: Run) -> None:
    done = run("--fleet", "fleet.toml")
    assert done.returncode == 0, done.stderr
    assert "web: 60 requests a second, each holding a connection for 300 ms" in done.stdout
    assert "✗ today: during a deploy: 223 asked, the server has 197: 26 too many" in done.stdout
    assert "✓ recommended: " in done.stdout
    assert 'ALTER ROLE "shop" CONNECTION LIMIT' in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_for_programs(run: Run) -> None:
    told = json.loads(run("--fleet", "fleet.toml", "--format", "json").stdout)
    assert (told["command"], told["fits"]) == ("size", True)
    web, tasks = told["services"]
    assert (web["rate"], web["hold_ms"], web["today"]["settings"]["processes"]) == (60, 300, 6)
    assert tasks["recommended"]["predicted"]["success"] >= 0.999
    deploy = next(each for each in told["sums"]["recommended"] if each["moment"] == "deploy")
    assert told["max_connections"] == deploy["total"] + 3


def test_one_service_by_hand(run: Run) -> None:
    done = run("--fleet", "fleet.toml", "--service", "web", "--rate", "200", "--hold", "400ms")
    assert "web: 200 requests a second" in done.stdout
    assert "(--rate, --hold)" in done.stdout
    assert "tasks today" not in done.stdout
    assert "web nearest" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rate", "3"), "give both --rate and --hold"),
        (("--rate", "3", "--hold", "1s"), "give --service; there are: web, tasks"),
        (("--service", "x", "--rate", "3", "--hold", "1s"), "there is none of that name; there are: web, tasks"),
        (("--pool-size", "3"), "--pool-size does not go with --fleet"),
        (("--sweep",), "--sweep does not go with --fleet"),
        (("--hold", "1s", "--curve", "1:10"), "give either --hold or --curve"),
    ],
)
def test_mistakes_get_one_line(run: Run, arguments: tuple[str, ...], says: str) -> None:
    done = run("--fleet", "fleet.toml", *arguments)
    assert done.returncode == 2
    assert says.lower() in done.stderr.lower()
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_service_without_a_fleet(run: Run) -> None:
    done = run("--service", "web", "--rate", "3", "--hold", "1s")
    assert (done.returncode, "--service is one of a fleet" in done.stderr) == (2, True)
