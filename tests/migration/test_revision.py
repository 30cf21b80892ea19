"""Generated revisions in a host's project: up, down, after accidents, and beside what is not theirs."""

from __future__ import annotations

import ast
import threading

import pytest
from alembic.util import CommandError

from tests.migration.conftest import Host, Run, indexes, psql, session, state, version, wait_for

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"
MADE = f"CREATE INDEX {INDEX} ON shop.item USING btree (owner)"


def test_up_down_and_up_three_times(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    for _ in range(3):
        host.alembic("upgrade", "head")
        assert indexes(run) == {INDEX: MADE}
        assert state(run, INDEX) == (True, run(f"SELECT obj_description('shop.{INDEX}'::regclass)")[0][0])
        assert version(run) == written.revision
        host.alembic("downgrade", "base")
        assert indexes(run) == {}
        assert version(run) is None


def test_it_needs_alembic_and_sqlalchemy_only(host: Host) -> None:
    (written,) = host.new(STATEMENT)
    modules = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(written.text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert modules <= {"alembic", "sqlalchemy", "collections", "contextlib", "itertools", "typing"}


def test_upgrading_again_after_the_stamp_was_lost_only_stamps(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    host.alembic("upgrade", "head")
    before = run(f"SELECT 'shop.{INDEX}'::regclass::oid")
    run("DELETE FROM alembic_version")
    host.alembic("upgrade", "head")
    assert run(f"SELECT 'shop.{INDEX}'::regclass::oid") == before
    assert version(run) == written.revision


@pytest.mark.parametrize("lost", ["indisvalid = false", "indisvalid = false, indisready = false"])
def test_a_leftover_of_a_build_is_dropped_and_built_anew(host: Host, run: Run, lost: str) -> None:
    host.new(STATEMENT)
    run(STATEMENT)
    run(f"UPDATE pg_index SET {lost} WHERE indexrelid = 'shop.{INDEX}'::regclass")
    before = run(f"SELECT 'shop.{INDEX}'::regclass::oid")
    host.alembic("upgrade", "head")
    assert indexes(run) == {INDEX: MADE}
    assert state(run, INDEX)[0]
    assert run(f"SELECT 'shop.{INDEX}'::regclass::oid") != before


@pytest.mark.parametrize(
    ("foreign", "kind"),
    [
        (f"CREATE INDEX {INDEX} ON shop.item (name)", "another definition"),
        (f"CREATE UNIQUE INDEX {INDEX} ON shop.item (id)", "unique"),
        (f"CREATE TABLE shop.other (owner int); CREATE INDEX {INDEX} ON shop.other (owner)", "another table"),
        (f"CREATE TABLE shop.{INDEX} (a int)", "a table"),
        (f"CREATE SEQUENCE shop.{INDEX}", "a sequence"),
        (f"CREATE VIEW shop.{INDEX} AS SELECT 1", "a view"),
        (f"ALTER TABLE shop.item ADD CONSTRAINT {INDEX} UNIQUE (owner, id)", "a constraint's"),
    ],
)
def test_what_is_not_ours_stops_the_revision_and_stays(host: Host, run: Run, foreign: str, kind: str) -> None:
    host.new(STATEMENT)
    run(foreign)
    for sound in (True, False):
        run(
            f"UPDATE pg_index SET indisvalid = {sound} WHERE indexrelid = to_regclass('shop.{INDEX}')"
            " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
        )
        before = run(f"SELECT oid, relname, relkind FROM pg_class WHERE relname = '{INDEX}'")
        with pytest.raises(CommandError, match=f"shop.{INDEX} is .*left alone"):
            host.alembic("upgrade", "head")
        assert version_or_none(run) is None
        assert psql(run, host.alembic("upgrade", "head", sql=True), stop=False)
        assert run(f"SELECT oid, relname, relkind FROM pg_class WHERE relname = '{INDEX}'") == before
        assert version_or_none(run) is None


def version_or_none(run: Run) -> str | None:
    return version(run) if run("SELECT to_regclass('alembic_version')")[0][0] else None


def test_downgrade_spares_an_index_that_took_the_name(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    host.alembic("upgrade", "head")
    run(f"DROP INDEX shop.{INDEX}; CREATE INDEX {INDEX} ON shop.item (name)")
    with pytest.raises(CommandError, match="left alone"):
        host.alembic("downgrade", "base")
    psql(run, host.alembic("downgrade", "head:base", sql=True), stop=False)
    assert list(indexes(run)) == [INDEX]
    assert version(run) == written.revision


def test_downgrade_spares_an_index_that_somebody_else_comments_on(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    run(STATEMENT)
    run(f"COMMENT ON INDEX shop.{INDEX} IS 'the night job needs it'")
    host.alembic("upgrade", "head")
    assert state(run, INDEX) == (True, "the night job needs it")
    with pytest.raises(CommandError, match="left alone"):
        host.alembic("downgrade", "base")
    assert list(indexes(run)) == [INDEX]


def test_a_downgrade_that_was_cut_short_goes_on(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    host.alembic("upgrade", "head")
    script = host.alembic("downgrade", "head:base", sql=True)
    until = script[: script.index("DROP INDEX CONCURRENTLY")]
    assert psql(run, until, stop=True) == []
    run("SELECT pg_advisory_unlock_all()")
    assert list(indexes(run)) != [INDEX]
    host.alembic("downgrade", "base")
    assert indexes(run) == {}
    host.alembic("upgrade", "head")
    assert indexes(run) == {INDEX: MADE}


def test_an_upgrade_after_half_a_downgrade_leaves_one_index(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    host.alembic("upgrade", "head")
    script = host.alembic("downgrade", "head:base", sql=True)
    psql(run, script[: script.index("DROP INDEX CONCURRENTLY")], stop=True)
    run("SELECT pg_advisory_unlock_all(); DELETE FROM alembic_version")
    host.alembic("upgrade", "head")
    assert indexes(run) == {INDEX: MADE}


def test_a_build_that_another_session_is_at_is_waited_for_and_adopted(host: Host, run: Run, database_url: str) -> None:
    (written,) = host.new(STATEMENT)
    with session(database_url) as writer, session(database_url) as builder:
        writer("SET idle_in_transaction_session_timeout = '20s'")  # lest a failure waits for ever
        writer("BEGIN; UPDATE shop.item SET name = name")
        build = threading.Thread(target=builder, args=(f"CREATE INDEX CONCURRENTLY {INDEX} ON shop.item (owner)",))
        build.start()
        wait_for(lambda: INDEX in indexes(run))
        oid = run(f"SELECT 'shop.{INDEX}'::regclass::oid")
        upgrade = threading.Thread(target=host.alembic, args=("upgrade", "head"))
        upgrade.start()
        wait_for(
            lambda: bool(
                run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
            )
        )
        writer("ROLLBACK")
        build.join()
        upgrade.join()
    assert run(f"SELECT 'shop.{INDEX}'::regclass::oid") == oid
    assert state(run, INDEX)[0]
    assert version(run) == written.revision


def test_the_session_s_time_limits_do_not_cut_a_build_short_and_are_put_back(
    host: Host, run: Run, database_url: str
) -> None:
    host.new(STATEMENT)
    limits = {"lock_timeout": "123ms", "statement_timeout": "2s", "idle_in_transaction_session_timeout": "7s"}
    (host.folder / "alembic" / "versions" / "zz.py").write_text(
        "from alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = 'zz', None, None, None\n"
        "def upgrade():\n"
        + "".join(f"    op.execute(\"SET {name} = '{value}'\")\n" for name, value in limits.items())
        + "def downgrade(): pass\n"
    )
    (first,) = (host.folder / "alembic" / "versions").glob("*_create_index*.py")
    first.write_text(first.read_text().replace("Union[str, Sequence[str], None] = None", "object = 'zz'", 1))
    names = ", ".join(f"current_setting('{name}')" for name in limits)
    (host.folder / "alembic" / "versions" / "zzz.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = 'zzz', '{first.name.split('_')[0]}', None, None\n"
        f'def upgrade(): op.execute("CREATE TABLE limits AS SELECT ARRAY[{names}] AS found")\n'
        "def downgrade(): op.execute('DROP TABLE limits')\n"
    )
    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        release = threading.Timer(0.6, writer, ("ROLLBACK",))
        release.start()
        host.alembic("upgrade", "head")
        release.join()
    assert run("SELECT found FROM limits") == [(list(limits.values()),)]
    assert indexes(run) == {INDEX: MADE}
    assert run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_duplicates_are_named_before_a_unique_index_is_tried(host: Host, run: Run) -> None:
    host.new(f"CREATE UNIQUE INDEX {INDEX} ON shop.item (owner)")
    with pytest.raises(CommandError, match=r"cannot be made: not unique are \(\d\) \d times"):
        host.alembic("upgrade", "head")
    assert indexes(run) == {}
    run("DELETE FROM shop.item WHERE id > 7")
    host.alembic("upgrade", "head")
    assert list(indexes(run)) == [INDEX]


def test_a_unique_index_that_fails_on_the_way_is_taken_away_at_once(host: Host, run: Run, database_url: str) -> None:
    host.new(f"CREATE UNIQUE INDEX {INDEX} ON shop.item (owner)")
    run("DELETE FROM shop.item WHERE id > 5")
    with session(database_url) as writer:
        writer("BEGIN; INSERT INTO shop.item (id, owner) VALUES (99, 1)")  # a duplicate that nobody sees yet

        def let_go() -> None:
            wait_for(lambda: INDEX in indexes(run))
            writer("COMMIT")

        release = threading.Thread(target=let_go)
        release.start()
        with pytest.raises(Exception, match="could not create unique index"):
            host.alembic("upgrade", "head")
        release.join()
    assert indexes(run) == {}


def test_offline_does_the_same_as_online(host: Host, run: Run) -> None:
    (written,) = host.new("CREATE INDEX item_e ON shop.item (lower(name)) WHERE note <> ':y%' AND name <> E'a\\\\b?'")
    host.alembic("upgrade", "head")
    online = indexes(run)
    host.alembic("downgrade", "base")
    script = host.alembic("upgrade", "head", sql=True)
    assert "ON_ERROR_STOP" in script
    run("DROP TABLE alembic_version")
    assert psql(run, script, stop=True) == []
    assert indexes(run) == online
    assert version(run) == written.revision
    assert psql(run, host.alembic("downgrade", "head:base", sql=True), stop=True) == []
    assert indexes(run) == {}


@pytest.mark.parametrize("stop", [True, False])
def test_offline_a_build_that_fails_is_not_noted(host: Host, run: Run, stop: bool) -> None:
    host.new(f"CREATE UNIQUE INDEX {INDEX} ON shop.item (owner)")
    errors = psql(run, host.alembic("upgrade", "head", sql=True), stop=stop)
    assert "not unique are" in errors[0]
    run("ROLLBACK")
    assert version_or_none(run) is None


def test_an_offline_script_mends_a_leftover(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    run(STATEMENT)
    run(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.{INDEX}'::regclass")
    assert psql(run, host.alembic("upgrade", "head", sql=True), stop=True) == []
    assert state(run, INDEX)[0]


def test_a_partitioned_table_is_told_from_others_by_a_revision_that_did_not_know(host: Host, run: Run) -> None:
    run("CREATE TABLE shop.part (a int) PARTITION BY RANGE (a)")
    host.new("CREATE INDEX part_a ON shop.part (a)")
    with pytest.raises(CommandError, match=r"shop\.part is partitioned"):
        host.alembic("upgrade", "head")


def test_a_missing_table_is_said_so(host: Host, run: Run) -> None:
    host.new("CREATE INDEX x ON shop.nosuch (a)")
    with pytest.raises(Exception, match=r"nosuch.*does not exist"):
        host.alembic("upgrade", "head")


def test_many_deployers_leave_one_index(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    run("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    script = host.alembic("upgrade", "head", sql=True).replace(
        "CREATE TABLE alembic_version", "CREATE TABLE IF NOT EXISTS alembic_version"
    )
    failed: list[str] = []

    def deploy() -> None:
        with session(host.url) as own:
            failed.extend(psql(own, script, stop=True))

    threads = [threading.Thread(target=deploy) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert indexes(run) == {INDEX: MADE}
    assert version(run) == written.revision
    assert all("duplicate key" in each for each in failed)  # of the note, which only one can make
