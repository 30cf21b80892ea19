"""The fleet file: every key, and every nonsense with its place and what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbtune.errors import BadFile, UsageError
from dbtune.pool.budget import Moment, budget
from dbtune.pool.fleet import Amount, WorkerKind
from dbtune.pool.kinds import Kind
from dbtune.pool.sources import folder
from tests.pool.sources.conftest import Write

WHOLE = """
[server]
max_connections = 200
superuser_reserved_connections = 5
reserved_connections = 2
provider_reserved = 3
statement_timeout = "30s"
idle_session_timeout = "10min"

[server.roles]
shop = 60

[server.databases]
shop = 150

[[service]]
name = "web"
pods = 4
surge = "50%"
unavailable = 0
terminating = 1
processes = 2
threads = 8
worker = "gthread"
worker_timeout = 30
preload = true
role = "shop"

[[service.engine]]
name = "main"
pool_size = 4
max_overflow = 1
pool_timeout = "500ms"
pool_recycle = -1
pool_pre_ping = true
driver = "psycopg2"
database = "shop"
statement_timeout = 5
prepared_statements = false

[[service.engine]]
name = "audit"
kind = "psycopg-pool"
pool_size = 2

[[service]]
name = "reports"
via = "bouncer"
processes = 3
pool_size = 10
max_overflow = 0

[[pooler]]
name = "bouncer"
mode = "transaction"
pods = 2
surge = 1
max_client_conn = 40
max_prepared_statements = 100
server_idle_timeout = "10min"

[[pooler.pool]]
database = "shop"
pool_size = 6
reserve_pool_size = 2
users = 2
max_db_connections = 12

[rest]
psql = 2
migrations = 1
backup = {connections = 3, deploy_only = true}
"""


def test_every_key_and_the_sums(write: Write) -> None:
    found = folder.read_file(write({"fleet.toml": WHOLE}) / "fleet.toml")
    fleet = found.fleet
    web, reports = fleet.services
    assert fleet.server.usable == 200 - 5 - 2 - 3
    assert fleet.server.statement_timeout is not None
    assert fleet.server.statement_timeout.value == 30
    assert fleet.server.idle_session_timeout is not None
    assert fleet.server.idle_session_timeout.value == 600
    assert web.per_process == (4 + 1) + 2
    assert web.at_rest == 4 * 2 * 7
    assert web.in_deploy == (4 + 2 + 1) * 2 * 7
    assert web.rollout.surge.value == Amount(50, is_percent=True)
    assert web.worker is not None
    assert (web.worker.kind, web.worker.preload and web.worker.preload.value) == (WorkerKind.GTHREAD, True)
    assert [each.kind for each in web.engines] == [Kind.SQLALCHEMY, Kind.PSYCOPG_POOL]
    assert web.engines[0].pool_timeout is not None
    assert web.engines[0].pool_timeout.value == 0.5
    assert web.engines[0].pool_size.source.endswith("fleet.toml:30")
    (pooler,) = fleet.poolers
    assert pooler.at_rest == 2 * 12  # 2 users × (6 + 2), but no more than 12
    assert pooler.in_deploy == 3 * 12
    sums = budget(fleet)
    assert sums.server(Moment.REST).total == 56 + 24 + 2
    assert sums.server(Moment.DEPLOY).total == 98 + 36 + 2 + 1 + 3
    told = {each.of: each for each in sums.broken}
    assert set(told) == {"connection limit of role shop"}
    assert (told["connection limit of role shop"].total, told["connection limit of role shop"].usable) == (98, 60)
    assert reports.in_deploy == 30  # of the pooler's 2 × 40 clients


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[server]\nmax_connections = -1\n", 2, "max_connections must be a whole number from 1"),
        ("[server]\nmax_connections = 1.5\n", 2, "whole number"),
        ("[server]\nmax_connections = true\n", 2, "whole number"),
        ("[server]\nmax_conections = 100\n", 2, "did you mean max_connections?"),
        ("[servers]\n", 1, "did you mean server?"),
        ("server = 3\n", 1, "server must be a table: write [server]"),
        ('[[service]]\nname = "web"\npod = 3\n', 3, "did you mean pods?"),
        ('[[service]]\nname = "web"\nprocesses = -2\n', 3, "service web: processes must be a whole number from 0"),
        ('[[service]]\nname = "web"\npool_size = -5\n', 3, "service web: pool_size must be a whole number from 0"),
        ('[[service]]\nname = "web"\nmax_overflow = -2\n', 3, "max_overflow must be a whole number from -1"),
        ('[[service]]\nname = "web"\nsurge = "much"\n', 3, 'a percentage such as "25%"'),
        ('[[service]]\nname = "web"\npool_timeout = "soon"\n', 3, 'a time such as "30s"'),
        ('[[service]]\nname = "web"\nworker = "threads"\n', 3, "worker must be one of sync, gthread"),
        ("[[service]]\npods = 3\n", 1, 'service 1 has no name: write name = "…"'),
        ('[service]\nname = "web"\n', 1, "write [[service]]"),
        ('[[service]]\nname = "a"\n[[service]]\nname = "a"\n', 4, "service a is there twice"),
        ('[[service]]\nname = "a"\nvia = "pg"\n', 3, "via names no pooler"),
        ('[[service]]\nname = "a"\npool_size = 1\n[[service.engine]]\npool_size = 2\n', 3, "belongs below one of its"),
        ('[[service]]\nname = "a"\nkind = "asyncpg"\nmax_overflow = 1\n', 4, "only pool_size"),
        ('[[pooler]]\nname = "p"\nmode = "fast"\n', 3, "mode must be one of session, transaction, statement"),
        ("[rest]\npsql = -3\n", 2, "psql must be a whole number from 0"),
        ('[rest]\npsql = "two"\n', 2, "whole number"),
        ("[server.roles]\nshop = -1\n", 2, "shop must be a whole number"),
        ("max_connections = = 3\n", 1, "is not TOML"),
    ],
)
def test_nonsense_is_said_with_its_line_and_what_to_write(write: Write, text: str, line: int, says: str) -> None:
    file = write({}) / "fleet.toml"
    file.write_text(text)
    with pytest.raises(BadFile) as caught:
        folder.read_file(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_names_nobody(write: Write) -> None:
    root = write({"fleet.toml": "[server]\nmax_connections = 3\n"})
    with pytest.raises(UsageError, match="names nobody who connects"):
        folder.read_file(root / "fleet.toml")


@pytest.mark.parametrize(
    ("data", "says"), [(b"\xff\xfe", "is not UTF-8"), (b"", "names nobody"), (b"a = " + b"[" * 9000, "TOML")]
)
def test_what_is_no_fleet_file(write: Write, data: bytes, says: str) -> None:
    file = write({}) / "fleet.toml"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=says):
        folder.read_file(file)


def test_a_file_that_is_not_there(write: Write) -> None:
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        folder.read_file(write({}) / "fleet.toml")


def test_the_file_of_the_documentation(write: Write) -> None:
    text = (Path(__file__).parents[3] / "docs" / "fleet.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    found = folder.read_file(write({"fleet.toml": example}) / "fleet.toml")
    (web,) = found.fleet.services
    assert (web.rate and web.rate.value, web.hold and web.hold.value) == (60, 0.3)
    assert web.in_deploy == (8 + 2 + 2) * 2 * 15
    assert found.notes == ()
