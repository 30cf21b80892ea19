"""Pools as code makes them: SQLAlchemy's and others', values followed as far as the text tells."""

from __future__ import annotations

import pytest

from dbtune.pool.fleet import Engine
from dbtune.pool.kinds import Kind
from dbtune.pool.sources import folder
from dbtune.pool.sources.found import Found
from tests.pool.sources.conftest import Write

URL = "'postgresql+psycopg2://ann:s3cret@h:5432/shop?options=-c%20statement_timeout%3D5000'"


def read(write: Write, code: str, **files: str) -> Found:
    others = {name.replace("__", "."): text for name, text in files.items()}
    return folder.read(write({"Procfile": "web: gunicorn app:app\n", "app.py": code, **others}))


def pools(found: Found) -> list[Engine]:
    return list(found.fleet.services[0].engines)


@pytest.mark.parametrize(
    ("code", "size", "overflow"),
    [
        (f"from sqlalchemy import create_engine\ne = create_engine({URL})\n", 5, 10),
        (f"import sqlalchemy as sa\ne = sa.create_engine({URL}, pool_size=7, max_overflow=0)\n", 7, 0),
        (f"from sqlalchemy import create_engine\nN = 3 * 2\ne = create_engine({URL}, pool_size=N)\n", 6, 10),
        (f"from sqlalchemy import create_engine\nO = dict(pool_size=4)\ne = create_engine({URL}, **O)\n", 4, 10),
        (f"from sqlalchemy import create_engine\nO = {{'pool_size': 4}}\ne = create_engine({URL}, **O)\n", 4, 10),
        (
            f"import os\nfrom sqlalchemy import create_engine\n"
            f"e = create_engine({URL}, pool_size=int(os.environ.get('SIZE') or 8))\n",
            8,
            10,
        ),
        (
            f"from sqlalchemy import create_engine\ndef make(n=2):\n    return create_engine({URL}, pool_size=n)\n"
            "e = make(n=9)\n",
            9,
            10,
        ),
        (
            "from sqlalchemy.ext.asyncio import create_async_engine\n"
            "e = create_async_engine('postgresql+asyncpg://h/d', pool_size=12, max_overflow=3)\n",
            12,
            3,
        ),
    ],
)
def test_sqlalchemy_s(write: Write, code: str, size: int, overflow: int) -> None:
    (made,) = pools(read(write, code))
    assert (made.kind, made.pool_size.value, made.max_overflow.value) == (Kind.SQLALCHEMY, size, overflow)


def test_what_the_url_and_options_tell(write: Write) -> None:
    code = f"""
from sqlalchemy import create_engine
engine = create_engine(
    {URL}, pool_timeout=2.5, pool_recycle=300, pool_pre_ping=True,
)
"""
    found = read(write, code)
    (made,) = pools(found)
    assert made.user is not None
    assert made.database is not None
    assert made.driver is not None
    assert made.statement_timeout is not None
    assert (made.user.value, made.database.value, made.driver.value) == ("ann", "shop", "psycopg2")
    assert made.statement_timeout.value == 5
    assert made.pool_timeout is not None
    assert made.pool_recycle is not None
    assert made.pool_pre_ping is not None
    assert (made.pool_timeout.value, made.pool_recycle.value, made.pool_pre_ping.value) == (2.5, 300, True)
    assert found.fleet.services[0].role is not None
    assert found.fleet.services[0].role.value == "ann"
    assert "s3cret" not in str(found)


def test_flask_sqlalchemy_and_its_settings(write: Write) -> None:
    code = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from config import Production
app = Flask(__name__)
app.config.from_object(Production)
db = SQLAlchemy(app)
"""
    config = """
import os

class Base:
    SQLALCHEMY_DATABASE_URI = "postgresql://shop@h/shop"

class Production(Base):
    SQLALCHEMY_ENGINE_OPTIONS = {"pool_size": int(os.getenv("POOL", "11")), "max_overflow": 1}

class TestConfig(Base):
    SQLALCHEMY_DATABASE_URI = "sqlite://"
"""
    (made,) = pools(read(write, code, config__py=config))
    assert (made.pool_size.value, made.max_overflow.value) == (11, 1)
    assert made.pool_size.source.startswith("config.py:7")


@pytest.mark.parametrize(
    ("code", "kind", "size"),
    [
        ("import asyncpg\nasync def go():\n    return await asyncpg.create_pool('', max_size=20)\n", Kind.ASYNCPG, 20),
        (
            "from psycopg_pool import ConnectionPool\np = ConnectionPool('', min_size=2, max_size=6)\n",
            Kind.PSYCOPG_POOL,
            6,
        ),
        ("from psycopg_pool import AsyncConnectionPool\np = AsyncConnectionPool('')\n", Kind.PSYCOPG_POOL, 4),
        (
            "from psycopg2.pool import ThreadedConnectionPool\np = ThreadedConnectionPool(1, 9, '')\n",
            Kind.PSYCOPG2_POOL,
            9,
        ),
        ("import databases\nd = databases.Database('postgresql://h/d', max_size=7)\n", Kind.DATABASES, 7),
        (
            "from playhouse.pool import PooledPostgresqlDatabase as P\nd = P('d', max_connections=8)\n",
            Kind.PEEWEE,
            8,
        ),
        (
            "from sqlalchemy import create_engine\nfrom sqlalchemy.pool import NullPool\n"
            "e = create_engine('postgresql://h/d', poolclass=NullPool)\n",
            Kind.NULL_POOL,
            1,
        ),
    ],
)
def test_others(write: Write, code: str, kind: Kind, size: int) -> None:
    (made,) = pools(read(write, code))
    assert (made.kind, made.pool_size.value) == (kind, size)


def test_what_is_not_told_has_its_default_and_is_noted(write: Write) -> None:
    code = """
from sqlalchemy import create_engine
from vault import size
e = create_engine("postgresql://h/d", pool_size=size())
"""
    found = read(write, code)
    (made,) = pools(found)
    assert made.pool_size.value == 5
    assert any("pool_size is not known, its default is counted" in str(note) for note in found.notes)


def test_engines_of_other_databases_tests_and_scripts_do_not_count(write: Write) -> None:
    code = (
        "from sqlalchemy import create_engine\na = create_engine('postgresql://h/d')\nb = create_engine('sqlite://')\n"
    )
    other = "from sqlalchemy import create_engine\nc = create_engine('postgresql://h/t', pool_size=50)\n"
    root = write(
        {"Procfile": "web: gunicorn app:app\n", "app.py": code, "tests/conftest.py": other, "scripts/x.py": other}
    )
    found = folder.read(root)
    assert [each.name for each in pools(found)] == ["a"]
    assert any("left out: an engine for sqlite" in str(note) for note in found.notes)


def test_branches_of_one_decision_are_one_pool(write: Write) -> None:
    code = """
import os
from sqlalchemy import create_engine

if os.environ.get("BIG"):
    engine = create_engine("postgresql://h/d", pool_size=30)
else:
    engine = create_engine("postgresql://h/d", pool_size=3)
"""
    found = read(write, code)
    assert [each.pool_size.value for each in pools(found)] == [30]
    assert any("an alternative of line 5, which is counted" in str(note) for note in found.notes)


@pytest.mark.parametrize(
    ("options", "kind", "most"),
    [
        ("", Kind.DJANGO, 1),
        ('"OPTIONS": {"pool": True}', Kind.DJANGO_POOL, 4),
        ('"OPTIONS": {"pool": {"min_size": 2, "max_size": 9}}', Kind.DJANGO_POOL, 9),
        ('"OPTIONS": {"pool": False}', Kind.DJANGO, 1),
    ],
)
def test_django(write: Write, options: str, kind: Kind, most: int) -> None:
    settings = f'DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "x", {options}}}}}\n'
    found = folder.read(write({"Procfile": "web: gunicorn site.wsgi\n", "manage.py": "", "site/settings.py": settings}))
    (made,) = pools(found)
    assert (made.kind, made.most(1)) == (kind, most)


def test_habits_that_traps_are_made_of(write: Write) -> None:
    code = """
from flask import Flask, request
from flask_caching import Cache
from sqlalchemy import create_engine
app = Flask(__name__)
cache = Cache(app)
engine = create_engine("postgresql://h/d")

def start():
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")

start()

@app.route("/a")
@cache.cached(timeout=5)
def wrong():
    return request.args["id"]

@app.route("/b")
@cache.cached(timeout=5, query_string=True)
def right():
    return request.args["id"]
"""
    clues = read(write, code, patch__py="from psycogreen.gevent import patch_psycopg\npatch_psycopg()\n").clues
    assert [(each.function, each.source, each.reads) for each in clues.cached_routes] == [
        ("wrong", "app.py:15", "app.py:17")
    ]
    assert clues.startup == ("app.py:12",)
    assert clues.psycogreen == "patch.py:2"
