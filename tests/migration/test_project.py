"""Hosts as they come: where their revisions are, what their files look like, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.util import CommandError
from sqlalchemy import Connection

from dbtune.errors import BadFile, UsageError
from dbtune.index.advice import Advice, Outcome, Recommendation
from dbtune.index.definition import Index, Key
from dbtune.migration import asked, statement
from dbtune.migration.advised import write_revisions
from dbtune.migration.evidence import Evidence
from dbtune.migration.project import Project
from tests import command
from tests.migration.conftest import Host, Run, indexes, make_host, version

STATEMENT = "CREATE INDEX item_owner_idx ON shop.item (owner)"
REVISION = "revision, down_revision, branch_labels, depends_on = {!r}, {!r}, {!r}, None\n"
EMPTY = "def upgrade(): pass\ndef downgrade(): pass\n"


def dbtune(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return command.dbtune(*arguments, cwd=folder)


def add(folder: Path, name: str, down: str | None, branch: str | None = None) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(REVISION.format(name, down, branch) + EMPTY)


def test_it_follows_the_head(host: Host, run: Run) -> None:
    add(host.folder / "alembic" / "versions", "abc", None)
    (first,) = host.new(STATEMENT)
    (second,) = host.new("CREATE INDEX ON shop.item (name)")
    assert (first.down_revision, second.down_revision) == ("abc", first.revision)
    assert "Undo: alembic downgrade abc" in first.text
    host.alembic("upgrade", "head")
    assert len(indexes(run)) == 2


def test_the_same_input_makes_the_same_file(host: Host) -> None:
    texts = {host.new(STATEMENT, keep=False)[0].text for _ in range(2)}
    assert len({"\n".join(line for line in text.splitlines() if "Create Date" not in line) for text in texts}) == 1
    assert list((host.folder / "alembic" / "versions").glob("*.py")) == []


def test_several_heads_are_refused_unless_one_is_named(host: Host) -> None:
    versions = host.folder / "alembic" / "versions"
    add(versions, "abc", None)
    add(versions, "one", "abc")
    add(versions, "two", "abc")
    with pytest.raises(UsageError, match=r"2 heads, one, two: .*--head"):
        host.new(STATEMENT)
    with pytest.raises(UsageError, match="abc is not a head"):
        host.new(STATEMENT, head="abc")
    with pytest.raises(UsageError, match="nosuch"):
        host.new(STATEMENT, head="nosuch")
    assert host.new(STATEMENT, head="two")[0].down_revision == "two"


def test_where_and_how_the_host_names_its_files(host: Host, run: Run) -> None:
    host.set(
        version_locations="%(here)s/one:%(here)s/two",
        file_template="%%(year)d/%%(rev)s_%%(slug)s",
        recursive_version_locations="true",
    )
    add(host.folder / "one", "abc", None)
    add(host.folder / "two", "xyz", None, "second")
    (written,) = host.new(STATEMENT, head="xyz")
    assert written.path is not None
    assert written.path.parent.parent == host.folder / "two"
    assert written.path.name.startswith(f"{written.revision}_create_index_item_owner_idx")
    host.alembic("upgrade", "second@head")
    assert list(indexes(run)) == ["item_owner_idx"]


def test_the_version_table_is_the_host_s(host: Host, run: Run) -> None:
    env = host.folder / "alembic" / "env.py"
    env.write_text(
        env.read_text().replace(
            "target_metadata=target_metadata",
            "target_metadata=target_metadata, version_table='v', version_table_schema='shop'",
        )
    )
    (written,) = host.new(STATEMENT)
    host.alembic("upgrade", "head")
    assert version(run, "shop.v") == written.revision


def test_hooks_run_over_the_file(host: Host) -> None:
    host.ini.write_text(
        host.ini.read_text()
        + "\nhooks = mark\nmark.type = exec\n"
        + f"mark.executable = {sys.executable}\n"
        + 'mark.options = -c \'import sys; open(sys.argv[1], "a").write("# seen\\\\n")\' REVISION_SCRIPT_FILENAME\n'
    )
    (written,) = host.new(STATEMENT)
    assert "# seen" in written.text


def test_what_env_py_adds_to_templates_and_revisions(host: Host, run: Run) -> None:
    host.set(revision_environment="true")
    template = host.folder / "alembic" / "script.py.mako"
    template.write_text(template.read_text() + "\n# by ${owner}\n")
    env = host.folder / "alembic" / "env.py"
    env.write_text(
        "def numbered(context, revision, directives):\n    directives[0].rev_id = '0007'\n\n"
        + env.read_text().replace(
            "target_metadata=target_metadata",
            "target_metadata=target_metadata, template_args={'owner': 'us'}, process_revision_directives=numbered",
        )
    )
    (written,) = host.new(STATEMENT)
    assert "# by us" in written.text
    assert written.revision == "0007"
    host.alembic("upgrade", "head")
    assert run("SELECT obj_description('shop.item_owner_idx'::regclass)")[0][0].startswith("dbtune 0007 ")


def test_a_template_without_a_docstring_gets_comments(host: Host, run: Run) -> None:
    (host.folder / "alembic" / "script.py.mako").write_text(
        "# ${message}\n${imports}\nrevision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n"
        "def upgrade():\n    ${upgrades}\n\ndef downgrade():\n    ${downgrades}\n"
    )
    (written,) = host.new(STATEMENT)
    assert written.text.startswith("# create index item_owner_idx on shop.item\n")
    assert "# Undo: alembic downgrade base\n" in written.text
    host.alembic("upgrade", "head")
    assert list(indexes(run)) == ["item_owner_idx"]


def test_a_template_that_cannot_hold_it_is_refused(tmp_path: Path) -> None:
    made = make_host(tmp_path / "multi", "postgresql://h/d", "multidb")
    with pytest.raises(BadFile, match=r"script\.py\.mako"):
        made.new(STATEMENT)
    assert list((made.folder / "alembic" / "versions").glob("*.py")) == []


def test_psycopg_3(tmp_path: Path, database_url: str, run: Run) -> None:
    pytest.importorskip("psycopg")
    made = make_host(tmp_path / "host", database_url.replace("psycopg2", "psycopg"))
    made.new("CREATE INDEX i ON shop.item (lower(name)) WHERE note <> ':y%' AND name <> 'a?'")
    made.alembic("upgrade", "head")
    assert list(indexes(run)) == ["i"]
    made.alembic("downgrade", "base")
    assert indexes(run) == {}


def test_one_transaction_for_all_revisions(host: Host, run: Run) -> None:
    env = host.folder / "alembic" / "env.py"
    env.write_text(env.read_text().replace("transaction_per_migration=True", "transaction_per_migration=False"))
    host.new(STATEMENT)
    (last,) = host.new("CREATE INDEX item_name_idx ON shop.item (name)")
    host.alembic("upgrade", "head")
    assert len(indexes(run)) == 2
    assert version(run) == last.revision
    host.alembic("downgrade", "base")
    assert indexes(run) == {}


def test_a_transaction_of_env_py_s_own_is_said_so(host: Host, run: Run) -> None:
    env = host.folder / "alembic" / "env.py"
    env.write_text(env.read_text().replace("connectable.connect() as", "connectable.begin() as"))
    host.new(STATEMENT)
    with pytest.raises(CommandError, match=r"env\.py began a transaction itself"):
        host.alembic("upgrade", "head")
    assert indexes(run) == {}


def test_an_owner_needs_no_more_rights(host: Host, run: Run) -> None:
    run("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN; ALTER TABLE shop.item OWNER TO plain")
    run("GRANT USAGE, CREATE ON SCHEMA shop, public TO plain")
    try:
        host.set(**{"sqlalchemy.url": host.url.replace("dbtune@", "plain@").replace("%", "%%")})
        host.new(STATEMENT)
        host.alembic("upgrade", "head")
        assert list(indexes(run)) == ["item_owner_idx"]
        host.alembic("downgrade", "base")
        assert indexes(run) == {}
    finally:
        run("DROP OWNED BY plain CASCADE; DROP ROLE plain")


def test_an_asynchronous_host(tmp_path: Path, database_url: str, run: Run) -> None:
    made = make_host(tmp_path / "host", database_url.replace("psycopg2", "asyncpg"), "async")
    made.new("CREATE INDEX i ON shop.item (lower(name)) WHERE note <> ':y%' AND name <> 'a?'")
    alembic("upgrade", "head", folder=made.folder)
    assert list(indexes(run)) == ["i"]


def test_a_host_configured_by_pyproject_toml(tmp_path: Path) -> None:
    alembic("init", "-t", "pyproject", "there", folder=tmp_path)
    for config in (tmp_path / "alembic.ini", tmp_path / "pyproject.toml"):
        (written,) = (
            Host(tmp_path, "").new(STATEMENT)
            if config.suffix == ".ini"
            else (Project(config).write([(asked.changes(statement.parse(STATEMENT))[0], Evidence())]))
        )
        assert written.path is not None
        assert written.path.parent == tmp_path / "there" / "versions"
    (tmp_path / "alembic.ini").unlink()
    assert Host(tmp_path, "").new(STATEMENT)


def alembic(*arguments: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "alembic", *arguments], cwd=folder, check=True, capture_output=True)


def test_a_missing_configuration(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="--config"):
        Project(tmp_path / "alembic.ini")
    (tmp_path / "alembic.ini").write_text("[alembic]\n")
    with pytest.raises(UsageError, match="script_location"):
        Project(tmp_path / "alembic.ini").write([])


@pytest.mark.parametrize("rev_id", ["a" * 33, "a@b"])
def test_ids_that_alembic_cannot_keep_are_refused(host: Host, rev_id: str) -> None:
    with pytest.raises(UsageError):
        host.new(STATEMENT, rev_id=rev_id)
    assert list((host.folder / "alembic" / "versions").glob("*.py")) == []


def test_an_id_that_is_taken_is_refused(host: Host) -> None:
    host.new(STATEMENT, rev_id="abc")
    with pytest.raises(UsageError, match="there is a revision abc already"):
        host.new("CREATE INDEX ON shop.item (name)", rev_id="abc")
    assert len(list((host.folder / "alembic" / "versions").glob("*.py"))) == 1


def advice(*recommendations: Recommendation) -> Advice:
    common: dict[str, Any] = {"method": "twin", "server": "18", "budget": None, "heap": 1 << 20}
    costs: dict[str, Any] = {"before": 1.0, "after": 0.5, "predicted": 0.5, "gap": 0.0, "complete": True, "calls": 1}
    return Advice(**common, **costs, recommendations=recommendations)


def test_advice_becomes_revisions_in_its_order(host: Host, run: Run, db: Connection) -> None:
    first = Recommendation(
        index=Index(schema="shop", table="item", keys=(Key("owner"),)),
        bytes=300 << 20,
        saves=5.0,
        write_cost=1.0,
        helped=(Outcome(query="by-owner", parameter_set="rare", weight=40, before=1234.5, after=8.25),),
        doubts=("few rows were seen",),
        reasons=("the filter of by-owner",),
        redundant=("item_old",),
    )
    second = Recommendation(
        index=Index(schema="shop", table="item", keys=(Key("lower(name)", is_column=False),)),
        bytes=8192,
        saves=1.0,
        write_cost=0.0,
    )
    paths = write_revisions(advice(first, second), host.ini, connection=db)
    texts = [path.read_text() for path in paths]
    assert "by-owner (rare): 1,234 → 8.25, 40 executions" in texts[0]
    assert "Size: about 300 MB. Build: 6 s to 63 s" in texts[0]
    assert "few rows were seen" in texts[0]
    assert "the filter of by-owner" in texts[0]
    assert "Index('ix_shop" not in texts[0]
    assert "Index('ix_item_owner', 'owner')" in texts[0]
    host.alembic("upgrade", "+1")
    assert list(indexes(run)) == ["ix_item_owner"]
    host.alembic("upgrade", "head")
    assert len(indexes(run)) == 2


def test_no_advice_is_no_revision(host: Host) -> None:
    assert write_revisions(advice(), host.ini) == []


def test_the_command_writes_prints_and_refuses(host: Host, run: Run, database_url: str) -> None:
    printed = dbtune("migrate", "new", "--print", STATEMENT, folder=host.folder)
    assert printed.returncode == 0, printed.stderr
    compile(printed.stdout, "printed", "exec")
    written = dbtune("migrate", "new", "-m", "owners, at last", STATEMENT, folder=host.folder)
    assert written.returncode == 0, written.stderr
    path = Path(written.stdout.strip())
    assert path.read_text().startswith('"""owners, at last\n')
    host.alembic("upgrade", "head")
    assert list(indexes(run)) == ["item_owner_idx"]
    replaced = dbtune(
        "migrate", "new", "--url", database_url, "--replaces", "shop.item_owner_idx",
        "CREATE INDEX item_both ON shop.item (owner, name)", folder=host.folder,
    )  # fmt: skip
    assert replaced.returncode == 0, replaced.stderr
    host.alembic("upgrade", "head")
    assert list(indexes(run)) == ["item_both"]
    for arguments, code, message in [
        ([STATEMENT, "--config", "nosuch.ini"], 2, "nosuch.ini: no such file"),
        (["CREATE TABLE t ()"], 2, "not an index"),
        (["DROP INDEX shop.item_both"], 2, "--url"),
        (["DROP INDEX shop.item_pkey", "--url", database_url], 4, "constraint item_pkey"),
        (["CREATE INDEX ON shop.nosuch (a)", "--url", database_url], 2, "there is no table shop.nosuch"),
        (["CREATE INDEX ON shop.item (nosuch)", "--url", database_url], 3, 'column "nosuch" does not exist'),
    ]:
        done = dbtune("migrate", "new", *arguments, folder=host.folder)
        assert (done.returncode, done.stdout) == (code, "")
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
