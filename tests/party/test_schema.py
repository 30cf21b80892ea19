from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg2
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, make_url, text

from dbtune import config
from dbtune.errors import ServerError
from dbtune.party import schema
from dbtune.party.models import SCHEMA, Base
from dbtune.server.connection import Target, connect
from dbtune.workload import lexer

Alembic = Callable[..., str]

INDEX = "business_attributes_business_id_idx"
SHIPPED = {
    INDEX: ("business_attributes", True),
    "business_attributes_sample_summary_id_idx": ("business_attributes", True),
    "business_respondent_respondent_id_idx": ("business_respondent", True),
    "respondent_lower_email_address_idx": ("respondent", True),
}
REVISIONS = sorted((config.migrations_dir() / "versions").glob("*.py"))
CHECKOUT = Path(__file__).parents[2]


@contextmanager
def session(url: str) -> Iterator[Callable[[str], list[Any]]]:
    """A session of its own, outside of transactions unless it begins one."""
    opened = psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    opened.autocommit = True

    def run(statement: str) -> list[Any]:
        with opened.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    try:
        yield run
    finally:
        opened.close()


def indexes(run: Callable[[str], list[Any]]) -> dict[str, tuple[str, bool]]:
    """The indexes that no constraint made: their table, and whether they can be used."""
    rows = run(
        "SELECT c.relname, t.relname, i.indisvalid AND i.indisready AND i.indislive"
        "  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid"
        " WHERE t.relnamespace = to_regnamespace('partysvc')"
        "   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))"
    )
    return {name: (table, sound) for name, table, sound in rows}


def tables_and_types(run: Callable[[str], list[Any]]) -> set[str]:
    rows = run(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('partysvc') AND relkind = 'r'"
        " UNION SELECT typname FROM pg_type WHERE typnamespace = to_regnamespace('partysvc') AND typtype = 'e'"
    )
    return {name for (name,) in rows}


def version(run: Callable[[str], list[Any]]) -> str | None:
    rows = run("SELECT version_num FROM partysvc.alembic_version")
    return rows[0][0] if rows else None


def add_versions(run: Callable[[str], list[Any]]) -> None:
    """Add a business with two attribute versions."""
    run("INSERT INTO partysvc.business VALUES (gen_random_uuid(), '1', now())")
    run(
        "INSERT INTO partysvc.business_attributes (business_id, attributes, created_on)"
        " SELECT party_uuid, '{}', now() FROM partysvc.business, generate_series(1, 2)"
    )


def leave_invalid(run: Callable[[str], list[Any]]) -> None:
    """Leave an INVALID index behind as a failed build does, of the name of the first that is shipped, but unique."""
    add_versions(run)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        run(f"CREATE UNIQUE INDEX CONCURRENTLY {INDEX} ON partysvc.business_attributes (business_id)")
    assert indexes(run)[INDEX] == ("business_attributes", False)


def test_up_down_and_up_again(database_url: str, alembic: Alembic) -> None:
    with session(database_url) as run:
        for _ in range(2):
            alembic("upgrade", "head")
            assert indexes(run) == SHIPPED
            assert version(run) == REVISIONS[-1].stem
            alembic("downgrade", schema.FIRST)
            assert indexes(run) == {}
            assert "enrolmentstatus" in tables_and_types(run)
            alembic("downgrade", "base")
            assert tables_and_types(run) == {"alembic_version"}


def test_each_index_revision_can_be_undone_alone(database_url: str, alembic: Alembic) -> None:
    alembic("upgrade", "head")
    with session(database_url) as run:
        for left in range(len(SHIPPED) - 1, -1, -1):
            alembic("downgrade", "-1")
            assert set(indexes(run)) == set(list(SHIPPED)[:left])


@pytest.mark.parametrize("path", REVISIONS, ids=lambda path: path.stem)
def test_a_revision_needs_alembic_and_sqlalchemy_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names <= {"alembic", "sqlalchemy"}
    values = {
        target.id: str(node.value.value or "base")
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert values["revision"] == path.stem
    assert len(path.stem) <= 32
    assert f"Undo: alembic downgrade {values['down_revision']}" in (ast.get_docstring(tree) or "")


def test_an_invalid_leftover_is_built_anew(database_url: str, alembic: Alembic) -> None:
    alembic("upgrade", schema.FIRST)
    with session(database_url) as run:
        run(f"CREATE INDEX {INDEX} ON partysvc.business_attributes (business_id)")
        run(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'partysvc.{INDEX}'::regclass")
        before = run(f"SELECT 'partysvc.{INDEX}'::regclass::oid")
        alembic("upgrade", "head")
        assert indexes(run) == SHIPPED
        assert run(f"SELECT 'partysvc.{INDEX}'::regclass::oid") != before


def test_an_invalid_leftover_of_another_index_stops_the_revision(database_url: str, alembic: Alembic) -> None:
    alembic("upgrade", schema.FIRST)
    with session(database_url) as run:
        leave_invalid(run)
        with pytest.raises(CommandError, match=f"{INDEX} is .*CREATE UNIQUE INDEX.*left alone"):
            alembic("upgrade", "head")
        assert version(run) == schema.FIRST
        assert indexes(run) == {INDEX: ("business_attributes", False)}
        run(f"DROP INDEX partysvc.{INDEX}")
        alembic("upgrade", "head")
        assert indexes(run) == SHIPPED


def test_a_sound_index_of_that_name_that_is_another_stops_the_revision(database_url: str, alembic: Alembic) -> None:
    alembic("upgrade", schema.FIRST)
    with session(database_url) as run:
        run(f"CREATE INDEX {INDEX} ON partysvc.business_attributes (created_on)")
        with pytest.raises(CommandError, match=f"{INDEX} is .* and not this revision's"):
            alembic("upgrade", "head")
        assert version(run) == schema.FIRST
        assert indexes(run) == {INDEX: ("business_attributes", True)}
        run(f"DROP INDEX partysvc.{INDEX}")
        alembic("upgrade", "head")
        assert indexes(run) == SHIPPED


def test_an_index_that_was_built_by_hand_counts(database_url: str, alembic: Alembic) -> None:
    alembic("upgrade", schema.FIRST)
    with session(database_url) as run:
        run(f"CREATE INDEX {INDEX} ON partysvc.business_attributes (business_id)")
        before = run(f"SELECT 'partysvc.{INDEX}'::regclass::oid")
        alembic("upgrade", "head")
        assert run(f"SELECT 'partysvc.{INDEX}'::regclass::oid") == before


def test_an_index_that_another_session_builds_is_waited_for(database_url: str, alembic: Alembic) -> None:
    alembic("upgrade", schema.FIRST)
    with session(database_url) as writer, session(database_url) as builder, session(database_url) as run:
        add_versions(run)
        writer("SET idle_in_transaction_session_timeout = '30s'")  # lest a failure waits for ever
        writer("BEGIN")
        writer("UPDATE partysvc.business_attributes SET created_on = now()")
        build = threading.Thread(
            target=builder, args=(f"CREATE INDEX CONCURRENTLY {INDEX} ON partysvc.business_attributes (business_id)",)
        )
        upgrade = threading.Thread(target=alembic, args=("upgrade", "head"))
        build.start()
        try:
            wait_for(lambda: INDEX in indexes(run))
            oid = run(f"SELECT 'partysvc.{INDEX}'::regclass::oid")
            upgrade.start()
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
            wait_for(lambda: bool(run(waiting)))
            assert version(run) == schema.FIRST
        finally:
            writer("ROLLBACK")
            build.join()
        upgrade.join()
        assert run(f"SELECT 'partysvc.{INDEX}'::regclass::oid") == oid
        assert indexes(run) == SHIPPED
        assert version(run) == REVISIONS[-1].stem


def wait_for(found: Callable[[], bool]) -> None:
    deadline = monotonic() + 20
    while not found():
        assert monotonic() < deadline
        sleep(0.02)


def test_the_database_s_own_time_limits_do_not_cut_a_build_short(database_url: str, alembic: Alembic) -> None:
    alembic("upgrade", schema.FIRST)
    with session(database_url) as writer, session(database_url) as run:
        add_versions(run)
        run(f"ALTER DATABASE {make_url(database_url).database} SET lock_timeout = '100ms'")
        run(f"ALTER DATABASE {make_url(database_url).database} SET statement_timeout = '2s'")
        writer("BEGIN")
        writer("UPDATE partysvc.business_attributes SET created_on = now()")
        release = threading.Timer(0.5, writer, ("ROLLBACK",))
        release.start()
        with connect(Target(make_url(database_url), "test")) as connection:
            command.upgrade(schema.alembic_config(connection), "head")
            limits = [connection.scalar(text(f"SHOW {name}")) for name in ("lock_timeout", "statement_timeout")]
        release.join()
        assert indexes(run) == SHIPPED
        assert limits == ["100ms", "2s"]


def test_offline_sql_builds_outside_of_transactions_and_notes_only_what_was_checked(alembic: Alembic) -> None:
    script = alembic("upgrade", "head", sql=True)
    assert "ON_ERROR_STOP" in script
    transaction: list[str] | None = None
    settings: list[str] = []
    built = noted = 0
    for statement in lexer.statements(script):
        code = "".join(t.text for t in lexer.tokens(statement) if t.kind is not lexer.Kind.COMMENT).strip()
        if code == "BEGIN":
            assert transaction is None
            assert not settings
            transaction = []
        elif code == "COMMIT":
            assert transaction is not None
            transaction = None
        elif code.startswith("SET "):
            assert transaction is None
            settings.append(code.split()[1])
        elif "set_config(name, current_setting('dbtune.' || name)" in code:  # puts back what was before
            assert transaction is None
            settings.clear()
        elif "CONCURRENTLY" in code:
            assert transaction is None
            assert set(settings) == {"lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"}
            built += code.startswith("CREATE INDEX")
        elif code.startswith("UPDATE partysvc.alembic_version"):
            assert transaction is not None
            assert "indisvalid AND indisready AND indislive" in transaction[-1]
            noted += 1
        elif transaction is not None:
            transaction.append(code)
    assert transaction is None
    assert built == noted == len(SHIPPED)
    for path in REVISIONS[:-1]:  # a transaction for each
        assert f"COMMIT;\n\nBEGIN;\n\n-- Running upgrade {path.stem} ->" in script


def test_offline_sql_does_the_same_as_online(database_url: str, alembic: Alembic) -> None:
    with session(database_url) as run:
        for statement in lexer.statements(alembic("upgrade", "head", sql=True)):
            run(statement)
        assert indexes(run) == SHIPPED
        assert version(run) == REVISIONS[-1].stem
        alembic("check")
        for statement in lexer.statements(alembic("downgrade", "head:base", sql=True)):
            run(statement)
        assert tables_and_types(run) <= {"alembic_version"}  # which Alembic before 1.19 drops too


def test_offline_sql_over_an_invalid_leftover_does_not_note_the_revision(database_url: str, alembic: Alembic) -> None:
    alembic("upgrade", schema.FIRST)
    with session(database_url) as run:
        leave_invalid(run)
        with pytest.raises(psycopg2.errors.RaiseException, match="left alone"):
            for statement in lexer.statements(alembic("upgrade", f"{schema.FIRST}:head", sql=True)):
                run(statement)
        run("ROLLBACK")
        assert version(run) == schema.FIRST


def test_the_first_revision_makes_what_the_models_say(db: Connection, alembic: Alembic) -> None:
    schema.upgrade(db)
    options = {"include_schemas": True, "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA}
    context = MigrationContext.configure(db, opts={**options, "version_table_schema": SCHEMA})
    assert compare_metadata(context, Base.metadata) == []
    constraints = {
        name
        for (name,) in db.execute(
            text(
                "SELECT conname FROM pg_constraint WHERE connamespace = to_regnamespace('partysvc') AND contype <> 'n'"
            )
        )
    }
    declared = {str(constraint.name) for table in Base.metadata.tables.values() for constraint in table.constraints}
    assert constraints == declared | {"alembic_version_pkc"}
    enums = {
        name: set(labels)
        for name, labels in db.execute(
            text(
                "SELECT typname, array_agg(enumlabel::text) FROM pg_enum JOIN pg_type AS t ON t.oid = enumtypid"
                " GROUP BY typname"
            )
        )
    }
    assert enums == {
        "respondentstatus": {"CREATED", "ACTIVE", "SUSPENDED"},
        "businessrespondentstatus": {"ACTIVE", "INACTIVE", "SUSPENDED", "ENDED"},
        "enrolmentstatus": {"PENDING", "ENABLED", "DISABLED", "SUSPENDED"},
    }


def test_pending_enrolments_refer_to_respondents_twice(db: Connection) -> None:
    schema.upgrade(db)
    found = db.scalars(
        text(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'partysvc.pending_enrolment'::regclass AND contype = 'f'"
        )
    ).all()
    assert found == ["FOREIGN KEY (respondent_id) REFERENCES partysvc.respondent(id)"] * 2


def test_check_is_quiet_at_the_head(alembic: Alembic) -> None:
    alembic("upgrade", "head")
    assert "No new upgrade operations detected" in alembic("check")


def test_looking_changes_nothing(database_url: str, alembic: Alembic) -> None:
    assert alembic("current") == ""
    with session(database_url) as run:
        assert run("SELECT to_regnamespace('partysvc')") == [(None,)]


def test_a_schema_that_is_further_on_stays_there(db: Connection, alembic: Alembic) -> None:
    alembic("upgrade", "head")
    schema.upgrade(db)
    assert not db.in_transaction()
    assert db.scalar(text("SELECT version_num FROM partysvc.alembic_version")) == REVISIONS[-1].stem


def test_a_schema_of_somebody_else_s_is_an_error_of_one_line(db: Connection) -> None:
    db.execute(text("CREATE SCHEMA partysvc"))
    db.execute(text("CREATE TABLE partysvc.business (id int)"))
    db.commit()
    with pytest.raises(ServerError, match='cannot be brought to 0001_january_2019: relation "business" already exists'):
        schema.upgrade(db)


def test_an_unknown_revision_is_an_error_of_one_line(db: Connection) -> None:
    schema.upgrade(db)
    db.execute(text("UPDATE partysvc.alembic_version SET version_num = 'fa52b1008d60'"))
    db.commit()
    with pytest.raises(ServerError, match="fa52b1008d60"):
        schema.upgrade(db)


def test_a_connection_in_a_transaction_is_refused(db: Connection) -> None:
    db.execute(text("SELECT 1"))
    with pytest.raises(ServerError, match="the connection is in a transaction"):
        schema.upgrade(db)


def test_psycopg_3_builds_the_same(database_url: str) -> None:
    pytest.importorskip("psycopg")
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    with connect(Target(url, "test")) as connection:
        schema.upgrade(connection, "head")
    with session(database_url) as run:
        assert indexes(run) == SHIPPED


def run_alembic(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in config.URL_VARIABLES}
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=CHECKOUT,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_takes_dbtune_s_variables(database_url: str) -> None:
    done = run_alembic("upgrade", "head", DBTUNE_URL=database_url)
    assert done.returncode == 0, done.stderr
    with session(database_url) as run:
        assert indexes(run) == SHIPPED


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:geheim@h/d", "-x url: names mysql"),
        ("postgresql://u:geheim@127.0.0.1:1/d", "u@127.0.0.1:1/d: Connection refused"),
    ],
)
def test_the_command_line_says_in_one_line_what_is_wrong(url: str, message: str) -> None:
    done = run_alembic("-x", f"url={url}", "upgrade", "head")
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stdout + done.stderr
