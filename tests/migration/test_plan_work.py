"""What ``dbtune migrate plan`` reads from revisions: its own, and those that others wrote."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import psycopg2
import pytest
from sqlalchemy import Connection, make_url

from dbtune.migration import asked, statement
from dbtune.migration.preflight import offline
from dbtune.migration.preflight.finding import Finding, Level, Outcome
from dbtune.migration.preflight.plan import Plan, read
from dbtune.migration.preflight.subject import State
from dbtune.migration.preflight.work import Does
from dbtune.migration.project import Project
from dbtune.render import migration_plan as render
from tests.migration.conftest import Host, Run, session, state

REVISION = '''"""{name}"""
revision, down_revision, branch_labels, depends_on = {name!r}, {before!r}, None, None
import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
{body}


def downgrade() -> None:
    pass
'''


def other(host: Host, body: str, name: str = "other", before: str | None = None) -> None:
    """Write a revision as another tool or a person would."""
    text = REVISION.format(name=name, before=before, body=indent(body, "    "))
    (host.folder / "alembic" / "versions" / f"{name}.py").write_text(text)


def plan(host: Host, revision: str = "head") -> Plan:
    return read(Project(host.ini), revision, None, min_seconds=0)


def told(found: Plan) -> list[tuple[Level, str]]:
    return [(each.level, each.rule) for each in found.findings]


def finding(found: Plan, rule: str) -> Finding:
    (only,) = (each for each in found.findings if each.rule == rule)
    return only


PLAIN = "op.create_index('item_owner', 'item', ['owner'], schema='shop')"
CONCURRENT = """
with op.get_context().autocommit_block():
    op.create_index('item_owner', 'item', ['owner'], schema='shop', postgresql_concurrently=True{more})
"""
GUARDED = CONCURRENT.format(more=", if_not_exists=True")
UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY item_owner ON shop.item (owner)"
OTHERS = {
    "plain": (PLAIN, "", [(Level.WARN, "holds-up-writes")]),
    "concurrent": (CONCURRENT.format(more=""), "", []),
    "name taken": (
        CONCURRENT.format(more=""),
        "CREATE INDEX item_owner ON shop.item (name)",
        [(Level.REFUSE, "name-taken")],
    ),
    "guarded, over a leftover": (GUARDED, UNIQUE, [(Level.WARN, "passed-over"), (Level.WARN, "leftover")]),
    "guarded, over another one": (
        GUARDED,
        "CREATE INDEX item_owner ON shop.item (name)",
        [(Level.WARN, "passed-over")],
    ),
    "guarded, over the same": (GUARDED, "CREATE INDEX item_owner ON shop.item (owner)", []),
    "drop of nothing": ("op.drop_index('item_owner', schema='shop')", "", [(Level.REFUSE, "no-index")]),
    "drop": (
        "op.drop_index('item_owner', schema='shop')",
        "CREATE INDEX item_owner ON shop.item (owner)",
        [(Level.WARN, "locks-out")],
    ),
    "drop of a constraint's": (
        "op.execute('DROP INDEX shop.item_owner')",
        "ALTER TABLE shop.item ADD CONSTRAINT item_owner UNIQUE (id)",
        [(Level.REFUSE, "foreign-index"), (Level.WARN, "locks-out")],
    ),
    "constraint": (
        "op.create_unique_constraint('item_uq', 'item', ['id', 'owner'], schema='shop')",
        "",
        [(Level.WARN, "locks-out")],
    ),
    "no such table": ("op.create_index('x', 'nowhere', ['owner'], schema='shop')", "", [(Level.REFUSE, "no-table")]),
    "no such column": (
        "op.create_index('x', 'item', ['nothing'], schema='shop')",
        "",
        [(Level.WARN, "holds-up-writes"), (Level.REFUSE, "no-column")],
    ),
    "a view": (
        "op.execute('CREATE INDEX CONCURRENTLY x ON shop.seen (id)')",
        "CREATE VIEW shop.seen AS SELECT * FROM shop.item",
        [(Level.REFUSE, "no-table")],
    ),
    "reindex": ("op.execute('REINDEX TABLE CONCURRENTLY shop.item')", "", []),
    "something else": ("op.execute('UPDATE shop.item SET owner = 1')", "", []),
}


@pytest.mark.parametrize(("body", "setup", "expected"), OTHERS.values(), ids=OTHERS)
def test_revisions_of_others(host: Host, run: Run, body: str, setup: str, expected: list[tuple[Level, str]]) -> None:
    if setup == UNIQUE:
        with pytest.raises(psycopg2.errors.UniqueViolation):
            run(setup)
    elif setup:
        run(setup)
    other(host, body)
    found = plan(host)
    assert told(found) == expected
    assert not found.steps[0].task.ours
    assert "not an index revision of dbtune's" in render.screen(found, 80)


def test_a_table_that_a_pending_revision_makes(host: Host, run: Run) -> None:
    other(host, "op.execute('CREATE TABLE shop.made (id int, owner int)')\nop.execute('SELECT 1')", "first")
    other(host, "op.create_index('made_owner', 'made', ['owner'], schema='shop')", "second", "first")
    host.new("CREATE INDEX made_id ON shop.made (id)")
    found = plan(host)
    assert (found.verdict.outcome, told(found)) == (Outcome.READY, [])
    assert [(each.task.others, [w.does for w in each.task.works]) for each in found.steps] == [
        (2, []),
        (0, [Does.CREATE]),
        (0, [Does.CREATE]),
    ]
    assert "2 other statements, which are not judged" in render.screen(found, 80)


def test_a_column_that_an_earlier_revision_may_add(host: Host, run: Run) -> None:
    other(host, "op.add_column('item', sa.Column('added', sa.Integer), schema='shop')", "first")
    host.new("CREATE INDEX item_added ON shop.item (added)")
    assert told(plan(host)) == [(Level.WARN, "no-column")]
    assert "first may add it" in finding(plan(host), "no-column").message


OPAQUE = {
    "asks the database": "rows = op.get_bind().execute(sa.text('SELECT 1')).fetchall()",
    "opens a connection": "sa.create_engine({url!r}).connect().execute(sa.text('SELECT 1'))",
    "opens one past SQLAlchemy": "import psycopg2\npsycopg2.connect({dsn!r}).cursor().execute('DROP TABLE shop.item')",
}


@pytest.mark.parametrize("body", OPAQUE.values(), ids=OPAQUE)
def test_what_only_a_run_can_tell_is_said_and_nothing_is_run(host: Host, run: Run, body: str) -> None:
    dsn = make_url(host.url).set(drivername="postgresql").render_as_string()
    other(host, f"{PLAIN}\n{body.format(url=host.url, dsn=dsn)}\nop.execute('SELECT 2')")
    found = plan(host)
    assert told(found) == [(Level.WARN, "opaque"), (Level.WARN, "holds-up-writes")]
    assert "only a run can tell" in finding(found, "opaque").message
    assert run("SELECT to_regclass('shop.item') IS NOT NULL, to_regclass('shop.item_owner')") == [(True, None)]
    with session(host.url) as again:  # who was refused may connect now
        assert again("SELECT 1") == [(1,)]


def test_callbacks_are_not_called_and_logs_do_not_say_that_revisions_run(
    host: Host, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    env = host.folder / "alembic" / "env.py"
    written = env.read_text()
    callback = "def told(**given): raise SystemExit('deployed!')\n\n\ndef run_migrations_offline"
    written = written.replace("def run_migrations_offline", callback)
    written = written.replace(
        "target_metadata=target_metadata,", "target_metadata=target_metadata, on_version_apply=told,"
    )
    env.write_text(written)
    host.new("CREATE INDEX item_owner ON shop.item (owner)")
    caplog.set_level("INFO")
    assert len(plan(host).steps) == 1
    assert not [each for each in caplog.messages if "Running upgrade" in each]


def test_an_env_py_that_cannot_print_is_done_without(host: Host, run: Run) -> None:
    env = host.folder / "alembic" / "env.py"
    text = env.read_text()
    env.write_text(
        text.replace("if context.is_offline_mode():", "if context.is_offline_mode():\n    raise KeyError('URL')")
    )
    (written,) = host.new("CREATE INDEX item_owner ON shop.item (owner) WHERE name <> ':y%'")
    (printed,) = offline.printed(Project(host.ini), "head", ())
    assert (printed.revision, printed.why) == (written.revision, None)
    (step,) = plan(host).steps
    assert step.task.ours
    assert "WHERE name <> ':y%'" in step.task.works[0].statement


def test_a_constraint_and_its_index(host: Host, run: Run) -> None:
    host.new("ALTER TABLE shop.item ADD CONSTRAINT item_key UNIQUE (owner, id)")
    found = plan(host)
    assert (found.verdict.outcome, told(found)) == (Outcome.READY, [])
    works = [(s.work.does, s.state) for step in found.steps for s in step.subjects]
    assert works == [(Does.CREATE, State.ABSENT), (Does.CONSTRAINT, State.ABSENT)]
    host.alembic("upgrade", "+1")
    (step,) = plan(host).steps
    assert [(s.work.does, s.state) for s in step.subjects] == [(Does.CONSTRAINT, State.SAME)]
    run("DROP INDEX shop.item_key")
    assert told(plan(host)) == [(Level.REFUSE, "no-index")]


def test_a_replacement(host: Host, run: Run, db: Connection) -> None:
    run("CREATE INDEX item_old ON shop.item (name)")
    wanted = statement.parse("CREATE INDEX item_new ON shop.item (name, owner)")
    (change,) = asked.changes(wanted, db, statement.parse_name("shop.item_old"))
    host.new(change)
    found = plan(host)
    (step,) = found.steps
    assert [(s.work.does, s.index, s.state) for s in step.subjects] == [
        (Does.CREATE, "shop.item_new", State.ABSENT),
        (Does.DROP, "shop.item_old", State.SAME),
    ]
    assert found.verdict.outcome is Outcome.READY


PARTITIONED = """
CREATE TABLE shop.log (id int, day int, note text) PARTITION BY RANGE (day);
CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.log_2 PARTITION OF shop.log FOR VALUES FROM (10) TO (20) PARTITION BY LIST (day);
CREATE TABLE shop.log_2a PARTITION OF shop.log_2 FOR VALUES IN (10, 11);
INSERT INTO shop.log SELECT g, mod(g, 12), md5(g::text) FROM generate_series(1, 20000) AS g;
ANALYZE shop.log
"""


@pytest.mark.parametrize(
    "text", ["CREATE INDEX log_id ON shop.log (id)", "ALTER TABLE shop.log ADD CONSTRAINT log_id UNIQUE (id, day)"]
)
def test_partitions_that_lack_it_and_those_that_came_later(host: Host, run: Run, db: Connection, text: str) -> None:
    run(PARTITIONED)
    host.new(text, db)
    run("CREATE TABLE shop.log_3 PARTITION OF shop.log FOR VALUES FROM (20) TO (30)")
    found = plan(host)
    ((here,),) = (step.subjects for step in found.steps)
    assert (here.work.does, here.index, here.members) == (Does.CREATE, "shop.log_id", 3)
    assert [each.full_name for each in here.missing] == ["shop.log_1", "shop.log_3", "shop.log_2a"]
    (whole,) = found.steps[0].costs
    assert whole is not None
    host.alembic("upgrade", "head")
    ((real,),) = run("SELECT sum(pg_relation_size(relid))::bigint FROM pg_partition_tree('shop.log_id') WHERE isleaf")
    assert whole.bytes == pytest.approx(real, rel=0.2)
    run("DELETE FROM alembic_version")
    ((again,),) = (step.subjects for step in plan(host).steps)
    assert (again.state, again.missing) == (State.SAME, ())


def test_some_partitions_have_it(host: Host, run: Run, db: Connection) -> None:
    run(PARTITIONED)
    host.new("CREATE INDEX log_id ON shop.log (id)", db)
    run("CREATE INDEX log_id ON ONLY shop.log USING btree (id)")
    run("CREATE INDEX log_1_id ON shop.log_1 (id); ALTER INDEX shop.log_id ATTACH PARTITION shop.log_1_id")
    with session(host.url) as writer:
        writer("BEGIN; UPDATE shop.log_2a SET note = note")
        found = plan(host)
    ((here,),) = (step.subjects for step in found.steps)
    assert (here.state, [each.full_name for each in here.missing]) == (State.INVALID, ["shop.log_2a"])
    (blocker,) = found.blockers
    assert [lock.table for lock in blocker.locks] == ["shop.log_2a"]
    assert "1 of 2 partitions have it" in render.screen(found, 80)
    host.alembic("upgrade", "head")
    assert state(run, "log_id")[0]


def test_an_index_of_a_partitioned_table_that_was_taken_for_a_plain_one(host: Host, run: Run) -> None:
    host.new("CREATE INDEX log_id ON shop.log (id)")
    run(PARTITIONED)
    assert told(plan(host)) == [(Level.REFUSE, "partitioned")]


def test_several_heads_and_a_revision_in_between(host: Host, run: Run) -> None:
    first = host.new("CREATE INDEX item_owner ON shop.item (owner)")[0]
    second = host.new("CREATE INDEX item_name ON shop.item (name)")[0]
    other(host, "pass", "aside")
    assert [step.task.revision for step in plan(host, first.revision).steps] == [first.revision]
    assert sorted(step.task.revision for step in plan(host, "heads").steps) == sorted(
        [first.revision, second.revision, "aside"]
    )


def test_the_party_schema_from_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBTUNE_URL", database_url)
    found = read(Project(Path(__file__).parents[2] / "alembic.ini"), "head", None)
    assert (found.verdict.outcome, told(found)) == (Outcome.READY, [])
    assert [step.task.ours for step in found.steps] == [False, True, True, True, True]
