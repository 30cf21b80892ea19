"""Drops, replacements, constraints and partitioned tables: through Alembic, directly, and after accidents."""

from __future__ import annotations

import pytest
from alembic.util import CommandError
from sqlalchemy import Connection

from dbtune.errors import Unsafe, UsageError
from dbtune.migration import asked, catalog, statement
from dbtune.migration.create import CreateIndex
from dbtune.migration.drop import DropIndex
from dbtune.migration.replace import ReplaceIndex
from dbtune.migration.run import run as carry_out
from dbtune.migration.statement import Relation
from dbtune.migration.step import Change
from tests.migration.conftest import Host, Run, indexes, psql, state, version

OLD = (
    'CREATE INDEX item_old ON shop.item USING btree (lower(name) COLLATE "C" DESC NULLS LAST)'
    " WHERE (note <> ':y'::text)"
)


def changes(text: str, db: Connection, replaces: str | None = None) -> list[Change]:
    old = None if replaces is None else statement.parse_name(replaces)
    return asked.changes(statement.parse(text), db, old)


def test_a_drop_is_undone_exactly(host: Host, run: Run, db: Connection) -> None:
    run(OLD)
    run("COMMENT ON INDEX shop.item_old IS 'who made this?'")
    (written,) = host.new("DROP INDEX shop.item_old", db)
    for _ in range(3):
        host.alembic("upgrade", "head")
        assert indexes(run) == {}
        assert version(run) == written.revision
        host.alembic("downgrade", "base")
        assert indexes(run) == {"item_old": OLD}
        assert state(run, "item_old") == (True, "who made this?")


def test_a_drop_spares_what_has_changed_since(host: Host, run: Run, db: Connection) -> None:
    run(OLD)
    host.new("DROP INDEX shop.item_old", db)
    run("DROP INDEX shop.item_old; CREATE INDEX item_old ON shop.item (owner)")
    with pytest.raises(CommandError, match=r"item_old is .*left alone"):
        host.alembic("upgrade", "head")
    psql(run, host.alembic("upgrade", "head", sql=True), stop=False)
    assert list(indexes(run)) == ["item_old"]


@pytest.mark.parametrize("name", ["shop.item_pkey", "shop.nosuch", "item_old"])
def test_what_cannot_be_dropped_is_refused_when_asked_for(run: Run, db: Connection, name: str) -> None:
    with pytest.raises((Unsafe, UsageError), match=r"needed by constraint item_pkey|there is no index"):
        changes(f"DROP INDEX {name}", db)
    assert not db.in_transaction()


def test_a_drop_needs_a_server() -> None:
    with pytest.raises(UsageError, match="--url"):
        asked.changes(statement.parse("DROP INDEX a"))


def test_a_replacement_is_there_before_the_old_one_goes(host: Host, run: Run, db: Connection) -> None:
    run(OLD)
    (change,) = changes("CREATE INDEX item_new ON shop.item (name, owner)", db, "shop.item_old")
    assert isinstance(change, ReplaceIndex)
    host.new(change)
    for _ in range(3):
        host.alembic("upgrade", "head")
        assert list(indexes(run)) == ["item_new"]
        host.alembic("downgrade", "base")
        assert indexes(run) == {"item_old": OLD}


def test_the_old_index_stays_where_the_new_one_cannot_be_made(host: Host, run: Run, db: Connection) -> None:
    run(OLD)
    (change,) = changes("CREATE UNIQUE INDEX item_new ON shop.item (owner)", db, "shop.item_old")
    host.new(change)
    with pytest.raises(CommandError, match="not unique"):
        host.alembic("upgrade", "head")
    assert list(indexes(run)) == ["item_old"]
    psql(run, host.alembic("upgrade", "head", sql=True), stop=False)
    assert "item_old" in indexes(run)


def test_nothing_replaces_itself(run: Run, db: Connection) -> None:
    run(OLD)
    with pytest.raises(UsageError, match="name it anew"):
        changes("CREATE INDEX item_old ON shop.item (owner)", db, "shop.item_old")


def constraints(run: Run) -> list[str]:
    rows = run(
        "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'shop.item'::regclass AND contype = 'u'"
    )
    return [text for (text,) in rows]


def test_a_unique_constraint_is_two_revisions(host: Host, run: Run, db: Connection) -> None:
    first, second = host.new('ALTER TABLE shop.item ADD CONSTRAINT item_key UNIQUE ("Mixed Case", id)', db)
    assert second.down_revision == first.revision
    for _ in range(3):
        host.alembic("upgrade", "head")
        assert constraints(run) == ['item_key UNIQUE ("Mixed Case", id)']
        host.alembic("downgrade", "-1")
        assert constraints(run) == []
        assert list(indexes(run)) == ["item_key"]
        assert state(run, "item_key")[0]
        host.alembic("downgrade", "base")
        assert indexes(run) == {}


def test_a_constraint_that_is_there_is_only_noted(host: Host, run: Run) -> None:
    host.new("ALTER TABLE shop.item ADD CONSTRAINT item_key UNIQUE (owner, id)")
    host.alembic("upgrade", "+1")
    run("ALTER TABLE shop.item ADD CONSTRAINT item_key UNIQUE USING INDEX item_key")
    host.alembic("upgrade", "head")
    assert constraints(run) == ["item_key UNIQUE (owner, id)"]


def test_a_constraint_s_downgrade_that_was_cut_short_goes_on(host: Host, run: Run) -> None:
    host.new("ALTER TABLE shop.item ADD CONSTRAINT item_key UNIQUE (owner, id)")
    host.alembic("upgrade", "head")
    script = host.alembic("downgrade", "head:-1", sql=True)
    cuts = [script.index("CREATE UNIQUE INDEX CONCURRENTLY"), script.rindex("DROP INDEX CONCURRENTLY")]
    for cut in cuts:
        assert psql(run, script[:cut], stop=True) == []
        run("SELECT pg_advisory_unlock_all()")
    host.alembic("downgrade", "-1")
    assert constraints(run) == []
    assert list(indexes(run)) == ["item_key"]


PARTITIONED = """
CREATE TABLE shop.log (at date, kind text, n int) PARTITION BY RANGE (at);
CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop."log 2" PARTITION OF shop.log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
    PARTITION BY LIST (kind);
CREATE TABLE shop.log_2a PARTITION OF shop."log 2" FOR VALUES IN ('a');
CREATE TABLE shop.log_2b PARTITION OF shop."log 2" FOR VALUES IN ('b');
INSERT INTO shop.log SELECT date '2024-05-01' + g, CASE WHEN mod(g, 2) = 0 THEN 'a' ELSE 'b' END, g
  FROM generate_series(1, 400) AS g;
"""


def valid_tree(run: Run) -> list[tuple[str, bool]]:
    """The tables below and with shop.log that have an index of log_n_idx, and whether it is valid."""
    return run(
        "SELECT i.indrelid::regclass::text, i.indisvalid FROM pg_partition_tree('shop.log_n_idx') AS t"
        " JOIN pg_index AS i ON i.indexrelid = t.relid ORDER BY 1"
    )


WHOLE = [("shop.log", True), ('shop."log 2"', True), ("shop.log_1", True), ("shop.log_2a", True), ("shop.log_2b", True)]


@pytest.mark.parametrize("definition", ["(n)", "((n + 1)) WHERE kind <> ':a%'"])
def test_a_partitioned_index_is_built_partition_by_partition(
    host: Host, run: Run, db: Connection, definition: str
) -> None:
    run(PARTITIONED)
    (written,) = host.new(f"CREATE INDEX log_n_idx ON shop.log {definition}", db)
    run("CREATE TABLE shop.log_3 PARTITION OF shop.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
    for _ in range(3):
        host.alembic("upgrade", "head")
        assert sorted(valid_tree(run)) == sorted([*WHOLE, ("shop.log_3", True)])
        assert version(run) == written.revision
        host.alembic("downgrade", "base")
        assert [name for name in indexes(run) if "log" in name] == []


def test_a_partitioned_build_goes_on_where_it_was_cut(host: Host, run: Run, db: Connection) -> None:
    run(PARTITIONED)
    host.new("CREATE INDEX log_n_idx ON shop.log (n)", db)
    script = host.alembic("upgrade", "head", sql=True)
    starts = [i for i in range(len(script)) if script.startswith(("CREATE INDEX CONCURRENTLY", "DO $dbtune"), i)]
    for cut in [*starts[3::2], len(script)]:
        errors = psql(run, script[:cut], stop=False)
        assert set(errors) <= {'relation "alembic_version" already exists'}
        run("ROLLBACK")
        run("SELECT pg_advisory_unlock_all()")
    assert sorted(valid_tree(run)) == sorted(WHOLE)
    host.alembic("downgrade", "base")
    assert [name for name in indexes(run) if "log" in name] == []


def test_an_invalid_partition_is_built_anew_and_one_made_meanwhile_counts(host: Host, run: Run, db: Connection) -> None:
    run(PARTITIONED)
    host.new("CREATE INDEX log_n_idx ON shop.log (n)", db)
    script = host.alembic("upgrade", "head", sql=True)
    first = script.index("CREATE INDEX CONCURRENTLY")
    end = script.index(";", first) + 1
    psql(run, script[:end], stop=True)
    run("SELECT pg_advisory_unlock_all(); DROP TABLE alembic_version")
    run(
        "UPDATE pg_index SET indisvalid = false WHERE indrelid = 'shop.log_1'::regclass"
        " AND indexrelid::regclass::text LIKE '%log_1%'"
    )
    run("CREATE TABLE shop.log_3 PARTITION OF shop.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
    host.alembic("upgrade", "head")
    assert sorted(valid_tree(run)) == sorted([*WHOLE, ("shop.log_3", True)])
    assert len([name for name in indexes(run) if name.startswith("log_3")]) == 1


def test_a_partition_that_the_script_did_not_know_keeps_it_from_being_noted(
    host: Host, run: Run, db: Connection
) -> None:
    run(PARTITIONED)
    host.new("CREATE INDEX log_n_idx ON shop.log (n)", db)
    script = host.alembic("upgrade", "head", sql=True)
    run("CREATE TABLE shop.log_3 PARTITION OF shop.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
    assert "log_n_idx is missing, not valid" in psql(run, script, stop=True)[0]
    run("ROLLBACK")
    run("SELECT pg_advisory_unlock_all()")
    host.alembic("upgrade", "head")
    assert ("shop.log_3", True) in valid_tree(run)


def test_a_drop_of_a_partitioned_index_is_undone(host: Host, run: Run, db: Connection) -> None:
    run(PARTITIONED)
    run("CREATE INDEX log_n_idx ON shop.log (n)")
    host.new("DROP INDEX shop.log_n_idx", db)
    host.alembic("upgrade", "head")
    assert [name for name in indexes(run) if "log" in name] == []
    host.alembic("downgrade", "base")
    assert sorted(valid_tree(run)) == sorted(WHOLE)


def test_a_foreign_partition_is_refused(run: Run, db: Connection) -> None:
    run(PARTITIONED)
    run("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w")
    run("CREATE FOREIGN TABLE shop.far PARTITION OF shop.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') SERVER s")
    with pytest.raises(Unsafe, match=r"foreign table shop\.far"):
        changes("CREATE INDEX ON shop.log (n)", db)


def test_a_change_runs_without_alembic(run: Run, db: Connection) -> None:
    (create,) = changes("CREATE INDEX item_e ON shop.item (lower(name))", db)
    assert isinstance(create, CreateIndex)
    for change, there in ((create, True), (create, True), (create.reverse(), False), (create.reverse(), False)):
        carry_out(change, db)
        assert ("item_e" in indexes(run)) is there
        assert not db.in_transaction()
    run("CREATE INDEX item_e ON shop.item (id)")
    with pytest.raises(Unsafe, match="left alone"):
        carry_out(create, db)
    assert db.get_isolation_level() == "READ COMMITTED"


def test_a_partitioned_change_runs_without_alembic(run: Run, db: Connection) -> None:
    run(PARTITIONED)
    (create,) = changes("CREATE INDEX log_n_idx ON shop.log (n)", db)
    carry_out(create, db)
    assert sorted(valid_tree(run)) == sorted(WHOLE)
    carry_out(create.reverse(), db)
    assert [name for name in indexes(run) if "log" in name] == []


def test_statements_can_be_printed(run: Run, db: Connection) -> None:
    (create,) = changes("CREATE INDEX item_e ON shop.item (lower(name))", db)
    assert psql(run, ";\n".join(create.sql()), stop=True) == []
    assert list(indexes(run)) == ["item_e"]
    assert isinstance(create.reverse(), DropIndex)
    assert psql(run, ";\n".join(create.reverse().sql()), stop=True) == []
    assert indexes(run) == {}


def test_a_server_settles_what_a_statement_means(run: Run, db: Connection) -> None:
    run("SET search_path = shop")
    found = statement.parse("CREATE INDEX i ON item ((owner + 1), name varchar_ops) WHERE note = 'a'")
    assert isinstance(found, statement.Create)
    with pytest.raises(UsageError, match="there is no table item"):
        catalog.settle(db, found.definition, found.table)
    settled = catalog.settle(db, found.definition, Relation("shop", "item"))
    assert " ".join(settled.definition.clauses()) == (
        "CREATE INDEX i ON shop.item USING btree (((owner + 1)), name varchar_ops) WHERE (note = 'a'::text)"
    )
    assert settled.partitions is None
    assert indexes(run) == {}
