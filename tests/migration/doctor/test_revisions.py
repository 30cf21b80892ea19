"""Revision files that Alembic or the server refuses, and what shares a transaction with an index by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.migration.doctor.examination import examine
from dbtune.migration.doctor.finding import Severity
from tests.migration.conftest import Run, indexes, state
from tests.migration.doctor.conftest import errors, mend, noted, of, project, revision
from tests.migration.doctor.variants import HEAD, RUN

CREATE = 'op.create_index("item_owner_idx", "item", ["owner"], schema="shop", postgresql_concurrently=True)'
BLOCK = "with op.get_context().autocommit_block():\n        "
SHARED = HEAD + "with engine.connect() as connection:\n" + RUN.replace(", transaction_per_migration=True", "")


@pytest.mark.parametrize(
    "statement",
    [
        CREATE,
        'op.execute("CREATE INDEX CONCURRENTLY item_owner_idx ON shop.item (owner)")',
        'op.execute(sa.text("create unique index concurrently item_owner_idx ON shop.item (id)"))',
        'op.get_bind().exec_driver_sql("CREATE INDEX CONCURRENTLY item_owner_idx ON shop.item (owner)")',
    ],
)
def test_concurrently_in_a_transaction(statement: str, tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, None, database_url)
    path = revision(host, "index", statement)
    (found,) = errors(host)
    assert (found.id, found.file, found.line) == ("concurrently-in-transaction", path, 9)
    with pytest.raises(Exception, match="cannot run inside a transaction block"):
        host.alembic("upgrade", "head")
    assert indexes(run) == {}
    mend(found.edits)
    assert errors(host) == []
    host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0] and noted(run) == ["index"]


@pytest.mark.parametrize(
    "body", [BLOCK + CREATE, CREATE.replace("True", "False"), 'op.execute("COMMIT")\n    ' + CREATE]
)
def test_index_by_hand_that_is_right(body: str, tmp_path: Path) -> None:
    host = project(tmp_path)
    revision(host, "index", body)
    assert examine(host.ini).worst in (None, Severity.INFO)


def test_one_transaction_for_an_index_by_hand(tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, SHARED, database_url)
    revision(host, "index", BLOCK + CREATE)
    later = revision(host, "later", 'op.execute("SELECT 1 / 0")', after="index")
    found = of(examine(host.ini), "one-transaction-for-all")
    assert (found.severity, found.line) == (Severity.WARNING, 8) and "index.py" in found.why
    with pytest.raises(Exception, match="division by zero"):
        host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0] and noted(run) == []
    with pytest.raises(Exception, match="already exists"):
        host.alembic("upgrade", "head")

    run("DROP INDEX shop.item_owner_idx")
    mend(found.edits)
    assert all(each.id != found.id for each in examine(host.ini).findings)
    with pytest.raises(Exception, match="division by zero"):
        host.alembic("upgrade", "head")
    assert noted(run) == ["index"]
    later.write_text(later.read_text().replace("1 / 0", "1"))
    host.alembic("upgrade", "head")
    assert noted(run) == ["later"]


def test_one_transaction_for_an_index_of_dbtune(tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, SHARED, database_url)
    (written,) = host.new("CREATE INDEX item_owner_idx ON shop.item (owner)")
    later = revision(host, "later", 'op.execute("SELECT 1 / 0")', after=written.revision)
    assert of(examine(host.ini), "one-transaction-for-all").severity is Severity.INFO
    with pytest.raises(Exception, match="division by zero"):
        host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0] and noted(run) == []
    later.write_text(later.read_text().replace("1 / 0", "1"))
    host.alembic("upgrade", "head")
    assert noted(run) == ["later"]


def test_two_heads(tmp_path: Path, database_url: str) -> None:
    host = project(tmp_path, None, database_url)
    for name in ("one", "two"):
        revision(host, name, "pass")
    (found,) = errors(host)
    assert (found.id, found.line) == ("several-heads", 4) and "one, two" in found.message
    with pytest.raises(Exception, match="Multiple head revisions"):
        host.alembic("upgrade", "head")
    host.alembic("merge", "heads", message="merge", rev_id="merged")
    assert errors(host) == []
    host.alembic("upgrade", "head")


def test_labelled_branches_are_meant(tmp_path: Path) -> None:
    host = project(tmp_path)
    for name in ("one", "two"):
        path = revision(host, name, "pass")
        path.write_text(path.read_text() + f"\nbranch_labels = ('{name}_label',)\n")
    assert of(examine(host.ini), "several-heads").severity is Severity.WARNING


def test_predecessor_that_is_not_there(tmp_path: Path, database_url: str) -> None:
    host = project(tmp_path, None, database_url)
    revision(host, "two", "pass", after="one")
    (found,) = errors(host)
    assert (found.id, found.line) == ("revision-missing", 5)
    with pytest.raises(Exception, match="one"), pytest.warns(UserWarning, match="Revision one"):
        host.alembic("upgrade", "head")
    revision(host, "one", "pass")
    assert errors(host) == []
    host.alembic("upgrade", "head")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [("def upgrade(:\n    pass\n", 1, "invalid syntax"), ("NOTE = 1\n", None, "Could not determine revision")],
)
def test_file_that_is_no_revision(text: str, line: int | None, says: str, tmp_path: Path, database_url: str) -> None:
    host = project(tmp_path, None, database_url)
    path = host.folder / "alembic" / "versions" / "notes.py"
    path.write_text(text)
    (found,) = errors(host)
    assert (found.id, found.file, found.line) == ("revision-file", path, line)
    with pytest.raises(Exception, match=says):
        host.alembic("upgrade", "head")
    path.unlink()
    assert errors(host) == []
    host.alembic("upgrade", "head")


def test_id_that_the_version_table_cannot_keep(tmp_path: Path, database_url: str, run: Run) -> None:
    host = project(tmp_path, None, database_url)
    long = "index_of_the_owners_of_all_the_items"
    path = revision(host, long, BLOCK + CREATE)
    (found,) = errors(host)
    assert (found.id, found.line) == ("revision-id-too-long", 4)
    with pytest.raises(Exception, match="value too long"):
        host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0] and noted(run) == []
    run("DROP INDEX shop.item_owner_idx")
    path.write_text(path.read_text().replace(long, "owners"))
    assert errors(host) == []
    host.alembic("upgrade", "head")
    assert noted(run) == ["owners"]


def test_one_id_twice(tmp_path: Path) -> None:
    host = project(tmp_path)
    path = revision(host, "one", "pass")
    path.with_name("other.py").write_text(path.read_text())
    assert of(examine(host.ini), "revision-twice").severity is Severity.WARNING


def test_id_that_only_a_run_can_tell(tmp_path: Path) -> None:
    host = project(tmp_path)
    path = revision(host, "one", "pass")
    path.write_text(path.read_text().replace("revision = 'one'", "revision = name()"))
    assert of(examine(host.ini), "revision-unread").severity is Severity.INFO
