"""No false alarm: Alembic's own templates, and this repository."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import make_url

from dbtune.migration.doctor.examination import examine
from dbtune.migration.doctor.finding import Severity
from tests.migration.conftest import Host, Run, indexes, state
from tests.migration.doctor.conftest import of, project

CHECKOUT = Path(__file__).parents[3]


def init(folder: Path, template: str) -> Path:
    """The configuration of a project just as ``alembic init`` makes it."""
    config = Config(folder / "alembic.ini", toml_file=folder / "pyproject.toml", cmd_opts=Namespace(quiet=True))
    command.init(config, str(folder / "alembic"), template=template)
    return folder / "alembic.ini"


@pytest.mark.parametrize("template", ["generic", "async", "pyproject", "pyproject_async"])
def test_template_has_nothing_to_mend(template: str, tmp_path: Path) -> None:
    report = examine(init(tmp_path, template))
    assert report.worst is Severity.INFO
    expected = {"no-heads", "one-transaction-for-all", *(["async-driver"] if "async" in template else [])}
    assert {each.id for each in report.findings} == expected


@pytest.mark.parametrize("template", ["generic", "async"])
def test_template_builds(template: str, tmp_path: Path, database_url: str, run: Run) -> None:
    driver = "asyncpg" if template == "async" else "psycopg2"
    url = make_url(database_url).set(drivername=f"postgresql+{driver}").render_as_string()
    host = project(tmp_path, None, url, template)
    env = host.folder / "alembic" / "env.py"
    env.write_text(env.read_text().replace(", transaction_per_migration=True", ""))
    host.new("CREATE INDEX item_owner_idx ON shop.item (owner)")
    assert of(examine(host.ini), "one-transaction-for-all").severity is Severity.INFO
    host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0]


def test_this_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert [each.id for each in examine(Path("alembic.ini")).findings] == []


MULTIDB = """\
from alembic import op

revision, down_revision = "index", None


def upgrade(engine_name):
    if engine_name == "engine1":
        with op.get_context().autocommit_block():
            op.create_index("item_owner_idx", "item", ["owner"], schema="shop", postgresql_concurrently=True)


def downgrade(engine_name):
    pass
"""


def test_multidb_template_cannot_build(tmp_path: Path, database_url: str, run: Run) -> None:
    ini = init(tmp_path, "multidb")
    text = ini.read_text().replace("driver://user:pass@localhost/dbname2", "sqlite://")
    ini.write_text(text.replace("driver://user:pass@localhost/dbname", database_url.replace("%", "%%")))
    (tmp_path / "alembic" / "versions" / "index.py").write_text(MULTIDB)
    found = of(examine(ini), "multidb")
    assert found.severity is Severity.ERROR
    assert found.source is not None and found.source.strip() == 'rec["transaction"] = conn.begin()'
    host = Host(tmp_path, database_url)
    with pytest.raises(AssertionError):
        host.alembic("upgrade", "head")
    assert indexes(run) == {}

    # what it tells to do: an environment of its own for that database
    (tmp_path / "own").mkdir()
    own = project(tmp_path / "own", None, database_url)
    body = MULTIDB.replace("engine_name", "").replace('if  == "engine1":', "if True:")
    (own.folder / "alembic" / "versions" / "index.py").write_text(body)
    assert examine(own.ini).worst is not Severity.ERROR
    own.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0]


WITHIN = """\
            with context.begin_transaction():
                context.run_migrations(engine_name=name)

        if"""


def test_several_databases_without_transactions_of_their_own(tmp_path: Path) -> None:
    ini = init(tmp_path, "multidb")
    env = tmp_path / "alembic" / "env.py"
    text = env.read_text().replace("            context.run_migrations(engine_name=name)\n\n        if", WITHIN)
    env.write_text(text)
    assert of(examine(ini), "multidb").severity is Severity.ERROR
    for begins in ("conn.begin()", "conn.begin_twophase()"):
        text = text.replace(begins, "None")
    env.write_text(text)
    assert of(examine(ini), "multidb").severity is Severity.WARNING
