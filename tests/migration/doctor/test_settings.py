"""alembic.ini, the URL and the engine: what is found in them, and what is none of the doctor's business."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbtune.errors import BadFile
from dbtune.migration.doctor.examination import examine
from dbtune.migration.doctor.finding import Severity
from tests.migration.conftest import Host, Run, state
from tests.migration.doctor.conftest import NOWHERE, errors, mend, noted, of, project
from tests.migration.doctor.variants import HEAD, RUN

INDEX = "CREATE INDEX item_owner_idx ON shop.item (owner)"


def upgraded(host: Host, run: Run) -> bool:
    """Whether an index is built through it now."""
    (written,) = host.new(INDEX)
    host.alembic("upgrade", "head")
    return state(run, "item_owner_idx")[0] and noted(run) == [written.revision]


def test_percent_in_a_password(tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, None, database_url)
    good = host.ini.read_text()
    assert "%%2F" in good
    host.ini.write_text(good.replace("%%2F", "%2F"))
    (found,) = errors(host)
    assert found.id == "ini-percent" and found.source is not None and found.source.startswith("sqlalchemy.url")
    with pytest.raises(Exception, match="'%' must be followed by"):
        host.alembic("upgrade", "head")
    mend(found.edits)
    assert host.ini.read_text() == good and errors(host) == []
    assert upgraded(host, run)


@pytest.mark.parametrize(
    ("line", "says"),
    [("script_location = %(here)s/nosuch", "Path doesn't exist"), ("", "No 'script_location' key")],
)
def test_script_directory(line: str, says: str, tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, None, database_url)
    host.ini.write_text(re.sub(r"(?m)^script_location = .*\n", f"{line}\n" if line else "", host.ini.read_text()))
    (found,) = errors(host)
    assert found.id == "script-location"
    with pytest.raises(Exception, match=says):
        host.alembic("upgrade", "head")
    mend(found.edits)
    assert errors(host) == [] and upgraded(host, run)


def test_relative_script_directory(tmp_path: Path) -> None:
    host = project(tmp_path)
    host.set(script_location="alembic")
    found = of(examine(host.ini), "script-location")
    assert found.severity is Severity.INFO
    mend(found.edits)
    assert "script_location = %(here)s/alembic" in host.ini.read_text()


def test_template_without_a_place_for_the_revision(tmp_path: Path) -> None:
    host = project(tmp_path)
    template = host.folder / "alembic" / "script.py.mako"
    text = template.read_text()
    template.write_text(text.replace('${imports if imports else ""}', ""))
    (found,) = errors(host)
    assert (found.id, found.file) == ("template", template)
    with pytest.raises(BadFile, match="imports"):
        host.new(INDEX)
    template.unlink()
    assert [each.id for each in errors(host)] == ["template"]
    template.write_text(text)
    assert errors(host) == [] and host.new(INDEX)


@pytest.mark.parametrize(
    ("url", "is_pooler"),
    [
        ("postgresql://app@db.example.com:6432/shop", True),
        ("postgresql://app@pgbouncer/shop", True),
        ("postgresql://app@aws-0-eu.pooler.supabase.com:6543/postgres", True),
        ("postgresql://app@ep-cool-1-pooler.eu.neon.tech/shop", True),
        ("postgresql://app@/shop?host=/run/postgresql&port=6432", True),
        ("postgresql://app@aws-0-eu.pooler.supabase.com:5432/postgres", False),
        ("postgresql://app@db.example.com:5432/shop", False),
        ("postgresql://app@db.example.com/pooler", False),
    ],
)
def test_pooler(url: str, is_pooler: bool, tmp_path: Path) -> None:
    host = project(tmp_path, None, url)
    found = [each for each in examine(host.ini).findings if each.id == "pooler-url"]
    assert len(found) == is_pooler
    for each in found:
        assert each.severity is Severity.WARNING
        assert each.file == host.ini and each.line is not None
        assert host.ini.read_text().split("\n")[each.line - 1].startswith("sqlalchemy.url")


ENGINE = """\
from alembic import context
from sqlalchemy import create_engine, pool, text

engine = create_engine({arguments})
"""
CONNECT = "with engine.connect() as connection:\n"


@pytest.mark.parametrize(
    ("arguments", "id", "severity"),
    [
        (
            "'postgresql://db/shop', isolation_level='AUTOCOMMIT', poolclass=pool.NullPool",
            "autocommit",
            Severity.WARNING,
        ),
        ("'postgresql://db:6432/shop', poolclass=pool.NullPool", "pooler-url", Severity.WARNING),
        ("'postgresql://db/shop'", "pool-not-null", Severity.INFO),
        ("'postgresql://db/shop?options=-clock_timeout%3D5s', poolclass=pool.NullPool", "time-limit", Severity.INFO),
        (
            "'postgresql://db/shop', poolclass=pool.NullPool, connect_args={'options': '-c statement_timeout=9'}",
            "time-limit",
            Severity.INFO,
        ),
    ],
)
def test_engine(arguments: str, id: str, severity: Severity, tmp_path: Path) -> None:
    host = project(tmp_path, ENGINE.format(arguments=arguments) + CONNECT + RUN)
    findings = {each.id: each for each in examine(host.ini).findings if each.id != "no-heads"}
    assert set(findings) == {id} and findings[id].severity is severity and findings[id].line == 4


def test_autocommit_builds_all_the_same(tmp_path: Path, database_url: str, run: Run) -> None:
    arguments = f"{database_url!r}, isolation_level='AUTOCOMMIT', poolclass=pool.NullPool"
    host = project(tmp_path, ENGINE.format(arguments=arguments) + CONNECT + RUN)
    assert upgraded(host, run)


def test_time_limit_does_not_cut_a_build_short(tmp_path: Path, database_url: str, run: Run) -> None:
    arguments = f"{database_url!r}, poolclass=pool.NullPool, connect_args={{'options': '-c statement_timeout=1s'}}"
    host = project(tmp_path, ENGINE.format(arguments=arguments) + CONNECT + RUN)
    run("CREATE FUNCTION shop.slow(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 FROM pg_sleep(0.03)'")
    host.new("CREATE INDEX item_slow_idx ON shop.item (shop.slow(owner))")
    host.alembic("upgrade", "head")
    assert state(run, "item_slow_idx")[0]


@pytest.mark.parametrize(
    ("env", "id"),
    [
        ("context.configure(connection=connection, transaction_per_migration=True, transactional_ddl=False)",
         "transactional-ddl"),
        ("context.configure(connection=connection, transaction_per_migration=True, version_table='noted')",
         "version-table"),
        ("context.configure(connection=connection, transaction_per_migration=True, target_metadata=metadata)",
         "autogenerate-drops-indexes"),
    ],
)  # fmt: skip
def test_configure(env: str, id: str, tmp_path: Path) -> None:
    text = HEAD.replace("import context", "import context\nfrom shop.models import metadata")
    host = project(
        tmp_path, f"{text}{CONNECT}    {env}\n    with context.begin_transaction():\n        context.run_migrations()\n"
    )
    assert of(examine(host.ini), id).line == 9


def test_connection_of_a_program(tmp_path: Path) -> None:
    env = f"{HEAD}connection = context.config.attributes['connection']\nif True:\n{RUN}"
    host = project(tmp_path, env)
    assert of(examine(host.ini), "given-connection").severity is Severity.INFO


def test_migrations_for_each_schema(tmp_path: Path) -> None:
    env = (
        HEAD
        + CONNECT
        + "    for schema in ('a', 'b'):\n"
        + RUN.replace("    ", "        ", 1).replace("\n    ", "\n        ")
    )
    host = project(tmp_path, env)
    assert of(examine(host.ini), "several-runs").line == 8


def test_migrations_that_something_else_runs(tmp_path: Path) -> None:
    host = project(tmp_path, "from company.migrations import run\n\nrun()\n")
    found = of(examine(host.ini), "env-unread")
    assert (found.severity, found.line) == (Severity.WARNING, None)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("alembic/env.py", "import os\ndef online(:\n", r"env.py:2: a syntax error"),
        ("alembic.ini", "script_location = x\n", r"alembic.ini:1: not an ini file"),
    ],
)
def test_file_that_cannot_be_read(name: str, text: str, says: str, tmp_path: Path) -> None:
    host = project(tmp_path)
    (host.folder / name).write_text(text)
    with pytest.raises(BadFile, match=says):
        examine(host.ini)


def test_nothing_of_the_project_is_run(tmp_path: Path) -> None:
    host = project(tmp_path, f"raise SystemExit('run')\n{HEAD}", NOWHERE)
    (host.folder / "alembic" / "versions" / "one.py").write_text("revision = 'one'\nraise SystemExit('run')\n")
    (host.folder / "shop.py").write_text("raise SystemExit('run')\n")
    assert examine(host.ini).env is not None
