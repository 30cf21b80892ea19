"""env.py may take its URL from anywhere: no other database than the throw-away one is ever connected to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import make_url

from dbtune.errors import UsageError
from dbtune.migration.verify import guard
from dbtune.migration.verify.address import Address, environment
from tests.migration.conftest import Host, make_host

REVISION = """
from alembic import op
revision, down_revision, branch_labels, depends_on = {revision!r}, {down!r}, None, None
def upgrade():
    op.execute({sql!r})
def downgrade():
    pass
"""


class Production:
    """Something that listens where production would, and counts who calls."""

    def __init__(self) -> None:
        self.callers = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                self.callers += 1
                caller.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def production() -> Iterator[Production]:
    found = Production()
    yield found
    found.close()


def client(host: Host, *arguments: str, folder: str = "/nowhere", port: int = 1) -> tuple[int, str]:
    """Run a command under guard; the throw-away server would have its socket in ``folder``, if there were one."""
    address = Address(host=folder, port=port, user="dbtune", database="dbtune")
    said = {"address": asdict(address), "word": "not known to anybody"}
    done = subprocess.run(
        [sys.executable, "-m", "dbtune.migration.verify.client", *arguments],
        env=environment(address, os.environ, written=host.url) | {"DBTUNE_VERIFY": json.dumps(said)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def look(host: Host, folder: str = "/nowhere", port: int = 1) -> tuple[int, str]:
    """Run env.py as ``alembic current`` does."""
    if not list((host.folder / "alembic" / "versions").iterdir()):
        write(host, "CREATE TABLE item (id int)")
    return client(host, "look", str(host.ini), "head", str(host.folder / "seen.json"), folder=folder, port=port)


def verify(host: Host, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dbtune", "migrate", "verify", "--config", str(host.ini), *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write(host: Host, *sqls: str) -> None:
    """Write revisions one, two, …, each of one statement."""
    down = None
    for number, sql in enumerate(sqls, 1):
        text = REVISION.format(revision=f"r{number}", down=down, sql=sql)
        (host.folder / "alembic" / "versions" / f"r{number}.py").write_text(text)
        down = f"r{number}"


def env_py(host: Host, old: str, new: str) -> None:
    path = host.folder / "alembic" / "env.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


MADE_BY = """engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
"""
ENGINES = {
    "a URL of its own": "create_engine({url!r},\n",
    "psycopg 3": "create_engine({url3!r},\n",
    "a creator": "create_engine('postgresql+psycopg2://', creator=lambda: psycopg2.connect({dsn!r}),\n",
    "a host among arguments": "create_engine('postgresql+psycopg2://', connect_args=dict(host='127.0.0.1',"
    " port={port}, user='app', dbname='shop', password='secret'),\n",
}


@pytest.mark.parametrize("how", list(ENGINES))
def test_another_database_is_refused_and_not_connected_to(tmp_path: Path, production: Production, how: str) -> None:
    host = make_host(tmp_path / "host", "postgresql+psycopg2://nobody@nowhere.invalid/shop")
    write(host, "CREATE TABLE item (id int)", "CREATE INDEX item_id ON item (id)")
    place = f"app:secret@127.0.0.1:{production.port}/shop"
    engine = ENGINES[how].format(
        url=f"postgresql+psycopg2://{place}",
        url3=f"postgresql+psycopg://{place}",
        dsn=f"postgresql://{place}",
        port=production.port,
    )
    env_py(host, MADE_BY, engine)
    env_py(host, "import engine_from_config", "import create_engine\nimport psycopg2")
    code, said = look(host)
    assert code == guard.REFUSED, said
    assert said.splitlines()[-1] == f"{guard.PREFIX}127.0.0.1:{production.port}/shop"
    assert "secret" not in said
    assert production.callers == 0


def test_the_command_refuses_with_a_line_of_its_own(tmp_path: Path, production: Production) -> None:
    host = make_host(tmp_path / "host", "postgresql+psycopg2://nobody@nowhere.invalid/shop")
    write(host, "CREATE TABLE item (id int)", "CREATE INDEX item_id ON item (id)")
    env_py(host, MADE_BY, f"create_engine('postgresql+psycopg2://app:secret@127.0.0.1:{production.port}/shop',\n")
    env_py(host, "import engine_from_config", "import create_engine")
    done = verify(host)
    assert done.returncode == 4, done.stderr
    assert f"env.py opens 127.0.0.1:{production.port}/shop, not the throw-away server" in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert done.stderr.count("\n") == 1
    assert production.callers == 0


def test_a_server_that_does_not_know_the_word_is_refused(host: Host) -> None:
    url = make_url(host.url)
    code, said = look(host, str(url.query["host"]), int(str(url.query["port"])))
    assert code == guard.REFUSED, said
    assert "does not know this run's word" in said


def test_another_database_by_asyncpg_is_refused(tmp_path: Path, production: Production) -> None:
    host = make_host(tmp_path / "host", "postgresql+asyncpg://nobody@nowhere.invalid/shop", "async")
    write(host, "CREATE TABLE item (id int)", "CREATE INDEX item_id ON item (id)")
    env_py(
        host,
        "config.get_section(config.config_ini_section, {})",
        f'{{"sqlalchemy.url": "postgresql+asyncpg://app:secret@127.0.0.1:{production.port}/shop"}}',
    )
    code, said = look(host)
    assert code == guard.REFUSED, said
    assert f"127.0.0.1:{production.port}/shop" in said
    assert production.callers == 0


def test_a_connection_beside_sqlalchemy_s_is_refused(tmp_path: Path, production: Production) -> None:
    host = make_host(tmp_path / "host", "postgresql+psycopg2://nobody@nowhere.invalid/shop")
    write(host, "CREATE TABLE item (id int)", "CREATE INDEX item_id ON item (id)")
    path = host.folder / "alembic" / "env.py"
    path.write_text(
        f"import psycopg2\ntry:\n    psycopg2.connect(host='127.0.0.1', port={production.port}, dbname='shop')\n"
        f"except Exception:\n    pass\n{path.read_text()}"
    )
    assert look(host)[0] == guard.REFUSED
    assert production.callers == 0


def test_a_revision_that_connects_elsewhere_is_refused(tmp_path: Path, production: Production) -> None:
    host = make_host(tmp_path / "host", "postgresql+psycopg2://nobody@nowhere.invalid/shop")
    write(host, "CREATE TABLE item (id int)", "CREATE INDEX item_id ON item (id)")
    path = host.folder / "alembic" / "versions" / "r2.py"
    path.write_text(
        path.read_text().replace(
            "def upgrade():",
            "def upgrade():\n    import psycopg\n    psycopg.connect('host=127.0.0.1"
            f" port={production.port} dbname=shop')",
        )
    )
    code, said = client(host, "alembic", "-c", str(host.ini), "upgrade", "r1:r2", "--sql")
    assert code == guard.REFUSED, said
    assert production.callers == 0


@pytest.mark.parametrize(
    ("variable", "value", "given", "seen"),
    [
        ("DATABASE_URL", None, (), "postgresql+asyncpg://dbtune@/shop?host=%2Fsocket&port=5432"),
        ("SHOP_DSN", "postgresql+psycopg://app:secret@db/x", (), "postgresql+psycopg://dbtune@/shop?"),
        ("SHOP_DSN", "postgres://db/x?options=-csearch_path%3Dapp", (), "postgres://dbtune@/shop?"),
        ("SHOP_DSN", None, ("SHOP_DSN",), "postgresql+asyncpg://dbtune@/shop?"),
        ("SHOP_DSN", None, ("SHOP_DSN=x://{user}@{host}:{port}/{database}",), "x://dbtune@/socket:5432/shop"),
        ("PGHOST", "db", (), "/socket"),
        ("PGDATABASE", "x", (), "shop"),
        ("OTHER", "https://db/x", (), "https://db/x"),
    ],
)
def test_what_names_a_database_names_the_throw_away_one(
    variable: str, value: str | None, given: tuple[str, ...], seen: str
) -> None:
    address = Address(host="/socket", port=5432, user="dbtune", database="shop")
    before = {"PGPASSWORD": "secret", "PGSERVICE": "production"} | ({} if value is None else {variable: value})
    made = environment(address, before, given, written="postgresql+asyncpg://app@db/x")
    assert made[variable].startswith(seen)
    assert not any("secret" in each for each in made.values())
    assert "PGSERVICE" not in made
    assert ("options" in made[variable]) == ("options" in (value or ""))


@pytest.mark.parametrize("given", ["A=${other}", "=x", "A={0}", "A={url", "A-B"])
def test_a_variable_that_cannot_be_set_is_wrong_usage(given: str) -> None:
    with pytest.raises(UsageError, match="--env"):
        environment(Address(host="/socket", port=1, user="u", database="d"), {}, (given,))


def test_a_url_from_the_environment_by_an_asynchronous_driver(tmp_path: Path) -> None:
    host = make_host(tmp_path / "host", "postgresql+asyncpg://nobody@nowhere.invalid/shop", "async")
    write(host, "CREATE TABLE item (id int)", "CREATE INDEX item_id ON item (id)")
    env_py(host, "config.get_section(config.config_ini_section, {})", '{"sqlalchemy.url": os.environ["SHOP_DSN"]}')
    env_py(host, "import asyncio", "import asyncio\nimport os")
    elsewhere = "postgresql+asyncpg://app:secret@nowhere.invalid/shop"
    done = verify(host, "--only", "nothing", SHOP_DSN=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "item_id" in done.stdout
