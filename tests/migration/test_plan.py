"""``dbtune migrate plan``: what is said before an upgrade, and that it is so."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import Connection, make_url
from typer.testing import CliRunner, Result

from dbtune.cli import app
from dbtune.migration.block import lock_key
from dbtune.migration.preflight import plan as preflight
from dbtune.migration.preflight.blocker import Kind
from dbtune.migration.preflight.finding import Finding, Level, Outcome
from dbtune.migration.preflight.plan import Plan
from dbtune.migration.preflight.subject import State, Subject
from dbtune.migration.project import Project
from tests.migration.conftest import Host, Run, indexes, make_host, session, wait_for
from tests.migration.faults import role

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"


def plan(host: Host, revision: str = "head", min_seconds: float = 0.0) -> Plan:
    """Read a plan in this process; transactions of any age count."""
    return preflight.read(Project(host.ini), revision, None, min_seconds=min_seconds)


def subject(found: Plan) -> Subject:
    ((only,),) = (step.subjects for step in found.steps)
    return only


def rules(found: Plan, level: Level = Level.WARN) -> list[str]:
    return [each.rule for each in found.findings if each.level >= level]


def finding(found: Plan, rule: str) -> Finding:
    (only,) = (each for each in found.findings if each.rule == rule)
    return only


def command(host: Host, *arguments: str) -> Result:
    """Run the command at 80 columns."""
    words = ["migrate", "plan", "--config", str(host.ini), *arguments]
    return CliRunner().invoke(app, words, env={"COLUMNS": "80"})


def test_nobody_is_in_the_way(host: Host, run: Run) -> None:
    run("INSERT INTO shop.item (id, owner) SELECT g, g FROM generate_series(1000, 30000) AS g; ANALYZE shop.item")
    (written,) = host.new(STATEMENT)
    before = run("SELECT count(*), max(oid) FROM pg_class")
    found = plan(host)
    assert run("SELECT count(*), max(oid) FROM pg_class") == before, "a version table, or anything else"
    assert (found.verdict.outcome, found.worst, found.heads) == (Outcome.READY, None, ())
    (step,) = found.steps
    assert (step.task.revision, step.task.title, step.task.ours) == (
        written.revision,
        f"create index {INDEX} on shop.item",
        True,
    )
    here = subject(found)
    assert (here.state, here.index, here.table and here.table.is_owner) == (State.ABSENT, f"shop.{INDEX}", True)
    (cost,) = step.costs
    assert cost is not None
    host.alembic("upgrade", "head")
    ((real,),) = run(f"SELECT pg_relation_size('shop.{INDEX}')")
    assert cost.bytes == pytest.approx(real, rel=0.2)
    assert 0.5 * real < cost.wal < real
    assert 0 <= cost.seconds[0] < cost.seconds[1]


def test_nothing_is_pending(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    host.alembic("upgrade", "head")
    with session(host.url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        found = plan(host)
    assert (found.verdict.outcome, found.verdict.why) == (Outcome.READY, "nothing is pending")
    assert (found.heads, found.steps, found.findings) == ((written.revision,), (), ())


INVALID = f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.{INDEX}'::regclass"
STATES = {
    "absent": ("SELECT 1", State.ABSENT),
    "same": (STATEMENT, State.SAME),
    "invalid": (f"{STATEMENT}; {INVALID}", State.INVALID),
    "another definition": (f"CREATE INDEX {INDEX} ON shop.item (name)", State.FOREIGN),
    "another one, invalid": (f"CREATE INDEX {INDEX} ON shop.item (name); {INVALID}", State.FOREIGN),
    "ours, invalid, of another definition": (
        f"CREATE INDEX {INDEX} ON shop.item (name); COMMENT ON INDEX shop.{INDEX} IS 'dbtune x {{digest}}'; {INVALID}",
        State.INVALID,
    ),
    "a table": (f"CREATE TABLE shop.{INDEX} (x int)", State.FOREIGN),
    "on another table": (f"CREATE TABLE shop.t (owner int); CREATE INDEX {INDEX} ON shop.t (owner)", State.FOREIGN),
    "of a constraint": (f"ALTER TABLE shop.item ADD CONSTRAINT {INDEX} UNIQUE (id)", State.FOREIGN),
}


@pytest.mark.parametrize(("setup", "state"), STATES.values(), ids=STATES)
def test_what_is_there_is_what_the_upgrade_finds(host: Host, run: Run, setup: str, state: State) -> None:
    host.new(STATEMENT)
    here = subject(plan(host))
    assert here.definition is not None
    run(setup.format(digest=here.definition.digest))
    oid = f"SELECT to_regclass('shop.{INDEX}')::oid::bigint"
    before = run(oid)
    found = plan(host)
    assert subject(found).state is state
    if state is State.FOREIGN:
        assert (found.verdict.outcome, rules(found)) == (Outcome.REFUSED, ["foreign-index"])
        with pytest.raises(Exception, match="it is left alone"):
            host.alembic("upgrade", "head")
        return
    assert found.verdict.outcome is Outcome.READY
    assert (subject(found).builds_on == ()) == (state is State.SAME)
    host.alembic("upgrade", "head")
    assert (run(oid) == before) == (state is State.SAME)


def test_the_server_says_whether_words_differ_or_indexes(host: Host, run: Run) -> None:
    host.new("CREATE INDEX item_note ON shop.item (lower(name)) WHERE note = 'x' AND owner IN (1, 2)")
    run("CREATE INDEX item_note ON shop.item (lower(name)) WHERE note = 'x' AND owner IN (1, 2)")
    ((written,),) = run("SELECT indexdef FROM pg_indexes WHERE indexname = 'item_note'")
    assert "ANY" in written
    before = run("SELECT count(*), max(oid) FROM pg_class")
    assert subject(plan(host)).state is State.SAME
    assert run("SELECT count(*), max(oid) FROM pg_class") == before
    run("DROP INDEX shop.item_note")
    run("CREATE INDEX item_note ON shop.item (lower(name)) WHERE note = 'y' AND owner IN (1, 2)")
    assert subject(plan(host)).state is State.FOREIGN


def test_a_running_build_is_waited_for(host: Host, run: Run, database_url: str) -> None:
    host.new(STATEMENT)
    with session(database_url) as writer, session(database_url) as builder:
        writer("BEGIN; UPDATE shop.item SET name = name")
        ((pid,),) = builder("SELECT pg_backend_pid()")
        thread = threading.Thread(target=builder, args=(STATEMENT.replace("INDEX", "INDEX CONCURRENTLY", 1),))
        thread.start()
        try:
            wait_for(lambda: bool(run("SELECT 1 FROM pg_stat_progress_create_index WHERE current_locker_pid > 0")))
            found = plan(host)
        finally:
            writer("ROLLBACK")
            thread.join()
    here = subject(found)
    assert (here.state, here.existing and here.existing.builder) == (State.RUNNING, pid)
    assert found.verdict.outcome is Outcome.WAIT
    assert [each.pid for each in found.blockers if each.kind is Kind.BUILD] == [pid]
    assert [each.index for each in found.builds] == [f"shop.{INDEX}"]
    assert subject(plan(host)).state is State.SAME


@contextmanager
def opened(url: str, begin: str) -> Iterator[int]:
    """A session that has begun something; yields its process."""
    with session(url) as other:
        ((pid,),) = other("SELECT pg_backend_pid()")
        other(begin)
        yield pid


READ = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class"
TRANSACTIONS = {
    "writer of the table": ("BEGIN; UPDATE shop.item SET name = name", True),
    "old snapshot": (READ, True),
    "open cursor": ("BEGIN; DECLARE c CURSOR FOR SELECT * FROM shop.other; FETCH c", True),
    "lock like another build's": ("BEGIN; LOCK TABLE shop.item IN SHARE UPDATE EXCLUSIVE MODE", True),
    "reader of the table": ("BEGIN; SELECT count(*) FROM shop.item", False),
    "writer of another table": ("BEGIN; INSERT INTO shop.other VALUES (1)", False),
    "nothing": ("SELECT 1", False),
}


@pytest.mark.parametrize(("begin", "waits"), TRANSACTIONS.values(), ids=TRANSACTIONS)
def test_a_build_waits_for_those_that_it_names(host: Host, run: Run, begin: str, waits: bool) -> None:
    run("CREATE TABLE shop.other (id int); INSERT INTO shop.other SELECT g FROM generate_series(1, 500) AS g")
    host.new(STATEMENT)
    with opened(host.url, begin) as pid:
        found = plan(host)
        with session(host.url) as builder:
            builder("SET lock_timeout = '200ms'")
            try:
                builder(STATEMENT.replace("INDEX", "INDEX CONCURRENTLY", 1))
                waited = False
            except psycopg2.errors.LockNotAvailable:
                waited = True
    assert [each.pid for each in found.blockers] == ([pid] if waits else [])
    assert (found.verdict.outcome is Outcome.WAIT, waited) == (waits, waits)
    if waits:
        assert f"pid {pid}, open for" in found.verdict.why


def test_a_drop_waits_for_readers_of_the_table_and_for_no_snapshot(host: Host, run: Run, db: Connection) -> None:
    run("CREATE INDEX item_old ON shop.item (name); CREATE TABLE shop.other (id int)")
    host.new("DROP INDEX shop.item_old", db)
    with opened(host.url, READ), opened(host.url, "BEGIN; SELECT count(*) FROM shop.item") as pid:
        found = plan(host)
    assert [(each.pid, each.snapshot, [lock.mode for lock in each.locks]) for each in found.blockers] == [
        (pid, False, ["AccessShareLock"])
    ]
    here = subject(found)
    assert (here.work.does, here.state, here.index) == ("drop", State.SAME, "shop.item_old")
    run("DROP INDEX shop.item_old; CREATE INDEX item_old ON shop.item (id)")
    assert rules(plan(host)) == ["foreign-index"]
    run("DROP INDEX shop.item_old")
    assert (plan(host).verdict.outcome, subject(plan(host)).state) == (Outcome.READY, State.ABSENT)


def test_short_transactions_are_told_of_and_not_counted(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    with opened(host.url, "BEGIN; UPDATE shop.item SET name = name") as pid:
        found = plan(host, min_seconds=3600)
        done = command(host, "--min-age", "1h")
    assert ([each.pid for each in found.blockers], found.verdict.outcome, found.worst) == (
        [pid],
        Outcome.READY,
        Level.INFO,
    )
    assert (done.exit_code, f"pid {pid}" in done.stdout) == (0, True)


def test_another_deployer_is_waited_for(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    for key in ("every upgrade", "shop.item"):
        with opened(host.url, f"SELECT pg_advisory_lock({lock_key(key)})") as pid:
            found = plan(host)
        assert [(each.kind, each.pid) for each in found.blockers] == [(Kind.DEPLOYER, pid)]
        assert found.verdict.outcome is Outcome.WAIT


def test_a_role_that_owns_nothing_and_sees_little_is_told_so(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    with (
        opened(host.url, "BEGIN; UPDATE shop.item SET name = 'a secret'") as pid,
        role(run, host, owner=False) as (name, theirs),
    ):
        found = plan(theirs)
        done = command(theirs)
    assert (found.verdict.outcome, done.exit_code) == (Outcome.REFUSED, 4)
    assert rules(found, Level.REFUSE) == ["not-owner", "no-create"]
    assert f"GRANT CREATE ON SCHEMA shop TO {name};" in str(finding(found, "no-create").advice)
    (blocker,) = found.blockers
    assert (blocker.pid, blocker.is_shown, blocker.query, blocker.open_seconds) == (pid, False, None, None)
    assert "since when is not shown" in finding(found, "blocked-by-session").message
    assert f"GRANT pg_monitor TO {name};" in [each.grant for each in found.unseen]
    assert "free space" in [each.what for each in found.unseen]
    assert ("a secret" in done.stdout, done.stderr) == (False, "")


def test_the_owner_sees_that_somebody_is_there(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    with opened(host.url, READ) as pid, role(run, host, owner=True) as (name, theirs):
        found = plan(theirs, min_seconds=3600)
        run(f"GRANT pg_monitor TO {name}")
        shown = plan(theirs, min_seconds=3600)
    assert found.verdict.outcome is Outcome.WAIT, "nobody knows for how long"
    assert (found.blockers[0].pid, rules(found)) == (pid, ["blocked-by-session"])
    assert (shown.verdict.outcome, shown.blockers[0].query) == (Outcome.READY, READ)
    assert "other roles' sessions, builds and replicas" not in [each.what for each in shown.unseen]


def test_a_role_that_may_not_even_use_the_schema(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    with role(run, host, owner=False) as (name, theirs):
        run(f"REVOKE ALL ON SCHEMA shop FROM {name}; REVOKE ALL ON shop.item FROM {name}")
        found = plan(theirs)
    assert rules(found, Level.REFUSE) == ["not-owner", "no-usage", "no-create"]
    assert "statistics of shop.item" in [each.what for each in found.unseen]


def test_leftovers_of_others_are_told_of(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    run("CREATE TABLE shop.other AS SELECT 1 AS id FROM generate_series(1, 2)")
    for table, column in (("item", "owner"), ("other", "id")):
        with pytest.raises(psycopg2.errors.UniqueViolation):
            run(f"CREATE UNIQUE INDEX CONCURRENTLY {table}_left ON shop.{table} ({column})")
    found = plan(host)
    told = {each.message: each for each in found.findings if each.rule == "leftover"}
    assert {message: each.level for message, each in told.items()} == {
        "shop.item_left on shop.item is INVALID": Level.WARN,
        "shop.other_left on shop.other is INVALID": Level.INFO,
    }
    assert told["shop.item_left on shop.item is INVALID"].advice == "DROP INDEX CONCURRENTLY shop.item_left;"
    assert found.verdict.outcome is Outcome.READY
    assert "but shop.item_left on shop.item is INVALID" in found.verdict.why


@pytest.mark.parametrize(("driver", "template"), [("psycopg", "generic"), ("asyncpg", "async")])
def test_other_drivers(tmp_path: Path, run: Run, database_url: str, driver: str, template: str) -> None:
    pytest.importorskip(driver)
    url = make_url(database_url).set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)
    host = make_host(tmp_path / driver, url, template=template)
    host.new(STATEMENT)
    run(f"CREATE INDEX {INDEX} ON shop.item (owner) WHERE note = 'x'")
    with opened(database_url, "BEGIN; UPDATE shop.item SET name = name") as pid:
        found = plan(host)
    assert (subject(found).state, rules(found, Level.REFUSE)) == (State.FOREIGN, ["foreign-index"])
    assert [each.pid for each in found.blockers] == [pid]
    run(f"DROP INDEX shop.{INDEX}")
    assert (plan(host).verdict.outcome, plan(host).server.is_local) == (Outcome.READY, True)


def test_temporary_files_that_are_not_allowed(host: Host, run: Run) -> None:
    run("INSERT INTO shop.item (id, name) SELECT g, md5(g::text) FROM generate_series(1000, 60000) AS g")
    run("ANALYZE shop.item")
    host.new("CREATE INDEX item_name ON shop.item (name)")
    ((name,),) = run("SELECT current_database()")
    run(f"ALTER DATABASE {name} SET maintenance_work_mem = '1MB'")
    assert plan(host).findings == ()
    run(f"ALTER DATABASE {name} SET temp_file_limit = '1MB'")
    assert rules(plan(host)) == ["temp-file-limit"]
    with pytest.raises(Exception, match="temp_file_limit"):
        host.alembic("upgrade", "head")


def test_a_table_that_is_locked_has_no_size_and_does_not_hold_up_the_plan(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    with opened(host.url, "BEGIN; LOCK TABLE shop.item IN ACCESS EXCLUSIVE MODE") as pid:
        found = plan(host)
    assert ([each.pid for each in found.blockers], found.steps[0].costs) == ([pid], (None,))
    assert "sizes and times" in [each.what for each in found.unseen]


def test_command_exits_with_what_it_found(host: Host, run: Run, tmp_path: Path) -> None:
    (written,) = host.new(STATEMENT)
    ready = command(host, "--format", "json", "--output", str(tmp_path / "plan.json"))
    assert (ready.exit_code, ready.stdout, ready.stderr) == (0, "", "")
    shown = json.loads((tmp_path / "plan.json").read_text())
    assert (shown["schema_version"], shown["command"], shown["verdict"]["outcome"]) == (1, "migrate plan", "ready")
    assert [each["revision"] for each in shown["pending"]] == [written.revision]
    assert shown["pending"][0]["indexes"][0]["state"] == "absent"
    with opened(host.url, "BEGIN; UPDATE shop.item SET name = name") as pid:
        waits = command(host, "--min-age", "0s")
        calm = command(host, "--min-age", "0s", "--fail-on", "never", "--format", "markdown")
    assert (waits.exit_code, calm.exit_code) == (1, 0)
    assert waits.stdout.splitlines()[-1].startswith(f"WOULD WAIT: for pid {pid}, open for ")
    assert max(map(len, waits.stdout.splitlines())) <= 80
    assert calm.stdout.startswith(f"**would wait**: for pid {pid}")
    run(f"CREATE TABLE shop.{INDEX} (x int)")
    refused = command(host)
    assert (refused.exit_code, "no index, but something else of that name" in refused.stdout) == (4, True)
    assert indexes(run) == {}


SECRET = "postgresql+psycopg2://x:secret@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("change", "arguments", "code", "says"),
    [
        (None, ["nowhere"], 2, "nowhere"),
        (lambda host: host.ini.unlink(), [], 2, "--config"),
        (lambda host: host.set(**{"sqlalchemy.url": SECRET}), [], 3, "refused"),
        (None, ["--url", SECRET], 3, "refused"),
        (None, ["--url", "mysql://x:secret@y/z"], 2, "PostgreSQL"),
        (None, ["--max-replica-lag", "much"], 2, "a size such as 100MB"),
        (None, ["--min-age", "soon"], 2, "not a duration"),
        (None, ["--output", "/nowhere/at/all"], 2, "cannot write"),
    ],
    ids=["revision", "config", "server", "url", "kind", "lag", "age", "output"],
)
def test_mistakes_get_one_line(
    host: Host, run: Run, change: Callable[[Host], None] | None, arguments: list[str], code: int, says: str
) -> None:
    host.new(STATEMENT)
    if change is not None:
        change(host)
    done = command(host, *arguments)
    assert (done.exit_code, says in done.stderr, done.stdout) == (code, True, ""), done.stderr
    assert ("secret" in done.stderr, "Traceback" in done.stderr) == (False, False)


def test_an_env_py_that_prints_does_not_spoil_the_document(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    env = host.folder / "alembic" / "env.py"
    env.write_text(env.read_text() + "\nprint('hello from env.py')\n")
    done = command(host, "--format", "json")
    assert (done.exit_code, "hello" in done.stderr) == (0, True)
    assert json.loads(done.stdout)["verdict"]["outcome"] == "ready"
