"""Cut anywhere, then run again: the same end, with nothing left over."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection

from dbtune.workload import lexer
from tests.migration.conftest import Host, Run, indexes, psql, session, state, version, wait_for

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"
OLD = "CREATE INDEX item_old ON shop.item USING btree (name)"
START = (
    "revision, down_revision, branch_labels, depends_on = 'start', None, None, None\n"
    "def upgrade(): pass\ndef downgrade(): pass\n"
)


def leftovers(run: Run) -> list[str]:
    """Indexes of shop.item beside its primary key that are not what a revision means to leave."""
    return [name for name in indexes(run) if name not in (INDEX, "item_old", "item_key")]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (STATEMENT, {"up": [INDEX], "down": []}),
        ("DROP INDEX shop.item_old", {"up": [], "down": ["item_old"]}),
        ("ALTER TABLE shop.item ADD CONSTRAINT item_key UNIQUE (owner, id)", {"up": [], "down": []}),
    ],
    ids=["create", "drop", "constraint"],
)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_script_cut_after_any_statement_is_finished_by_alembic(
    host: Host, run: Run, db: Connection, text: str, after: dict[str, list[str]], direction: str
) -> None:
    if "DROP" in text:
        run(OLD)
    (host.folder / "alembic" / "versions" / "start.py").write_text(START)
    head = host.new(text, db)[-1].revision
    name, target, script_of, start = (
        ("upgrade", "head", "start:head", "start") if direction == "up" else ("downgrade", "start", "head:start", head)
    )
    host.alembic("upgrade", start)
    statements = lexer.statements(host.alembic(name, script_of, sql=True))
    for cut in range(1, len(statements)):
        with session(host.url) as own:  # its end is the client's
            for sql in statements[:cut]:
                own(sql)
        host.alembic(name, target)
        assert (sorted(indexes(run)), leftovers(run)) == (after[direction], []), statements[cut - 1]
        assert version(run) == (head if direction == "up" else "start")
        host.alembic("downgrade" if direction == "up" else "upgrade", start)
    assert run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
def test_a_build_that_is_ended_on_the_server_is_done_anew(host: Host, run: Run, database_url: str, end: str) -> None:
    (written,) = host.new(STATEMENT)
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            host.alembic("upgrade", "head")
        except Exception as error:
            errors.append(error)

    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        thread = threading.Thread(target=upgrade)
        thread.start()
        wait_for(
            lambda: bool(run("SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for writers%'"))
        )
        run(f"SELECT {end}(pid) FROM pg_stat_progress_create_index")
        thread.join()
        assert len(errors) == 1
        assert state(run, INDEX)[0] is False
        writer("ROLLBACK")
    host.alembic("upgrade", "head")
    assert state(run, INDEX)[0]
    assert version(run) == written.revision
    assert leftovers(run) == []


def test_a_replacement_cut_after_any_statement_keeps_one_of_the_two(host: Host, run: Run, db: Connection) -> None:
    from dbtune.migration import asked, statement

    run(OLD)
    (host.folder / "alembic" / "versions" / "start.py").write_text(START)
    (change,) = asked.changes(statement.parse(STATEMENT), db, statement.parse_name("shop.item_old"))
    host.new(change)
    host.alembic("upgrade", "start")
    statements = lexer.statements(host.alembic("upgrade", "start:head", sql=True))
    for cut in range(1, len(statements)):
        with session(host.url) as own:
            assert psql(own, ";\n".join(statements[:cut]), stop=True) == []
        rows = run(
            "SELECT count(*) FROM pg_index WHERE indrelid = 'shop.item'::regclass AND indisvalid AND NOT indisprimary"
        )
        assert rows[0][0] >= 1, statements[cut - 1]
        host.alembic("upgrade", "head")
        assert list(indexes(run)) == [INDEX]
        host.alembic("downgrade", "start")
        assert indexes(run) == {"item_old": OLD}
