"""Reading a database: what the snapshot holds is what the server has, and nothing is locked or written for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, make_url, text

from dbtune.errors import GaveUp
from dbtune.index.whatif import real
from dbtune.server.connection import Target, connect, server_version_num
from dbtune.snapshot import session as sessions
from dbtune.snapshot import tables as table_reading
from dbtune.snapshot.read import read
from dbtune.snapshot.value import Column, Snapshot, Table
from tests.snapshot import rich
from tests.snapshot.rich import run, uncounted


def table(snapshot: Snapshot, name: str, schema: str = "public") -> Table:
    found = snapshot.table(schema, name)
    assert found is not None, [(t.schema, t.name) for t in snapshot.tables]
    return found


def column(snapshot: Snapshot, name: str, of: str) -> Column:
    found = table(snapshot, of).column(name)
    assert found is not None
    return found


def test_server_and_settings(db: Connection) -> None:
    run(
        db,
        "ALTER DATABASE {} SET random_page_cost = 1.3".format(db.exec_driver_sql("SELECT current_database()").scalar()),
    )
    run(db, "SET enable_sort = off; SET work_mem = '12MB'; SET search_path = public, \"Odd\"")
    db.commit()
    found = read(db)
    assert found.server_version_num == server_version_num(db)
    assert found.major == server_version_num(db) // 10_000
    assert found.database == db.exec_driver_sql("SELECT current_database()").scalar()
    assert found.taken_at.utcoffset() is not None
    assert found.encoding == "UTF8"
    assert found.search_path == 'public, "Odd"'
    assert found.settings["enable_sort"] == "off"
    assert found.settings["work_mem"] == "12MB"
    assert {"seq_page_cost", "max_parallel_workers_per_gather", "hash_mem_multiplier", "jit"} <= set(found.settings)
    row = db.exec_driver_sql("SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()").one()
    assert (found.collate, found.ctype) == tuple(row)


def test_settings_of_the_role_and_the_database_are_those_of_a_new_session(db: Connection, database_url: str) -> None:
    name = db.exec_driver_sql("SELECT current_database()").scalar()
    run(db, f"ALTER DATABASE {name} SET random_page_cost = 1.3")
    db.commit()
    with connect(Target(make_url(database_url), "test")) as fresh:
        assert read(fresh).settings["random_page_cost"] == "1.3"


def test_settings_of_another_role_are_told(db: Connection) -> None:
    run(db, "CREATE ROLE app_with_settings; ALTER ROLE app_with_settings SET random_page_cost = 1.1")
    run(db, "ALTER ROLE app_with_settings SET application_name = 'x'")
    db.commit()
    try:
        (told,) = [each for each in read(db).unseen if "app_with_settings" in each.what]
        assert "random_page_cost" in told.why
        assert "application_name" not in told.why
    finally:
        run(db, "DROP ROLE app_with_settings")
        db.commit()


def test_sizes_and_rows(made: Connection) -> None:
    found = read(made)
    for each in found.tables:
        row = made.exec_driver_sql(
            "SELECT pg_relation_size(c.oid) / 8192, relpages, reltuples, relallvisible, relpersistence::text"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE (nspname, relname) = (%s, %s)",
            (each.schema, each.name),
        ).one()
        stored = each.kind in "rm"
        assert (row[0] if stored else 0, *row[1:]) == (
            each.pages, each.relpages, each.reltuples, each.relallvisible, each.persistence,
        )  # fmt: skip
    assert table(found, "customer").pages > 10
    assert table(found, "order").persistence == "u"
    assert table(found, "customer").options == ("fillfactor=80", "parallel_workers=3")


def test_columns(made: Connection) -> None:
    found = read(made)
    mail = column(found, "mail", "customer")
    assert (mail.type, mail.length, mail.align, mail.by_value, mail.storage) == (
        "public.work_email",
        -1,
        "i",
        False,
        "x",
    )
    assert column(found, "nick", "customer").collation == "public.nocase"
    assert column(found, "id", "customer").not_null
    assert column(found, "ticket", "customer").default == "nextval('public.tickets'::regclass)"
    doubled = column(found, "doubled", "customer")
    assert (doubled.generated, doubled.default) == ("s", "public.twice(id)")
    long = table(found, rich.LONG)
    assert [each.name for each in long.columns] == [rich.LONG]
    odd = table(found, 'T:a "%(x)s" t', rich.ODD)
    assert [each.name for each in odd.columns] == ["c:d", "%(x)s", "who"]
    assert odd.columns[2].type == "public.customer"


def test_dropped_columns_leave_gaps_in_the_numbers(db: Connection) -> None:
    run(db, "CREATE TABLE gap (a int, b int, c int); ALTER TABLE gap DROP b")
    db.commit()
    assert [(each.name, each.number) for each in table(read(db), "gap").columns] == [("a", 1), ("c", 3)]


def test_statistics_are_those_of_pg_stats(made: Connection) -> None:
    found = read(made)
    rows = made.exec_driver_sql(
        "SELECT schemaname, tablename, attname, inherited, null_frac, avg_width, n_distinct, most_common_vals::text,"
        " most_common_freqs, histogram_bounds::text, correlation, most_common_elems::text, most_common_elem_freqs,"
        " elem_count_histogram FROM pg_stats WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema'"
    ).all()
    seen = 0
    for row in rows:
        of = found.table(row[0], row[1])
        if of is None:
            continue  # an index
        held = of.column(row[2])
        assert held is not None
        statistics = held.inherited if row[3] else held.statistics
        assert statistics is not None
        assert (
            statistics.null_frac, statistics.avg_width, statistics.n_distinct, statistics.most_common_vals,
            list(statistics.most_common_freqs), statistics.histogram_bounds, statistics.correlation,
            statistics.most_common_elems, list(statistics.most_common_elem_freqs),
            list(statistics.elem_count_histogram),
        ) == (*row[4:8], row[8] or [], *row[9:12], row[12] or [], row[13] or [])  # fmt: skip
        seen += 1
    assert seen == sum(
        (each.statistics is not None) + (each.inherited is not None) for t in found.tables for each in t.columns
    )
    assert column(found, "a", "base").inherited != column(found, "a", "base").statistics
    assert column(found, "kind", "day").inherited is not None
    assert column(found, "words", "customer").statistics is not None


def test_a_table_that_was_never_analysed_is_visible_as_such(db: Connection) -> None:
    run(db, "CREATE TABLE fresh AS SELECT g AS a FROM generate_series(1, 500) g")
    db.commit()
    fresh = table(read(db), "fresh")
    assert fresh.pages > 0
    assert fresh.columns[0].statistics is None
    assert not fresh.columns[0].hidden
    assert fresh.reltuples == (-1 if server_version_num(db) >= 140_000 else 0)
    assert fresh.counters.last_analyze is None


def test_statistics_of_ranges_also_before_17(db: Connection) -> None:
    run(
        db,
        "CREATE TABLE stay (during int4range);"
        "INSERT INTO stay SELECT int4range(g, g + g % 9) FROM generate_series(1, 900) g",
    )
    run(db, "ANALYZE stay")
    db.commit()
    statistics = column(read(db), "during", "stay").statistics
    assert statistics is not None
    assert statistics.range_bounds_histogram is not None
    assert statistics.range_bounds_histogram.startswith('{"[')
    assert statistics.range_length_histogram is not None
    assert statistics.range_empty_frac == pytest.approx(1 / 9, abs=0.01)


def test_values_are_printed_alike_whatever_the_session_is_set_to(db: Connection) -> None:
    run(db, "CREATE TABLE v (f float8, d date, b bytea, i interval)")
    run(db, "INSERT INTO v SELECT 1 / 3.0, '2024-02-01', 'abc', '1 day 02:03' FROM generate_series(1, 10); ANALYZE v")
    db.commit()
    before = table(read(db), "v").columns
    run(
        db,
        "SET DateStyle = 'German'; SET bytea_output = escape; SET extra_float_digits = -5;SET IntervalStyle = iso_8601",
    )
    db.commit()
    found = read(db)
    assert table(found, "v").columns == before
    assert [each.statistics.most_common_vals for each in before if each.statistics] == [
        "{0.3333333333333333}", "{2024-02-01}", '{"\\\\x616263"}', '{"1 day 02:03:00"}',
    ]  # fmt: skip
    assert found.settings["DateStyle"] == "German, DMY"


def test_constraints(made: Connection) -> None:
    found = read(made)
    order = {each.name: each for each in table(found, "order").constraints}
    key = order["order_customer_fkey"]
    assert (key.kind, key.columns, key.references, key.referenced_columns) == (
        "f", ("customer",), ("public", "customer"), ("id",),
    )  # fmt: skip
    assert order["order_customer_serial_key"].columns == ("customer", "serial")
    assert {each.kind for t in found.tables for each in t.constraints} == {"c", "f", "p", "u", "x"}
    assert {each.name: each.inherited for each in table(found, "child").constraints} == {
        "base_a_check": True,
        "child_a_check": False,
    }


def test_not_null_that_was_never_validated_is_none(db: Connection) -> None:
    if server_version_num(db) < 180_000:
        pytest.skip("came with 18")
    run(db, "CREATE TABLE n (a int, b int NOT NULL); INSERT INTO n VALUES (NULL, 1)")
    run(db, "ALTER TABLE n ADD CONSTRAINT n_a NOT NULL a NOT VALID")
    db.commit()
    assert [each.not_null for each in table(read(db), "n").columns] == [False, True]


def test_indexes(made: Connection) -> None:
    found = read(made)
    indexes = {each.name: each for each in table(found, "customer").indexes}
    wide = indexes["customer_expressions"]
    assert wide.keys == ("id", "lower(mail::text)", "(feeling::integer)", "public.twice(id)")
    assert wide.key_columns == ("id", None, None, None)
    assert wide.include == ("ticket",)
    assert wide.predicate == "(feeling <> 'sad'::public.mood)"
    assert wide.pages == made.exec_driver_sql("SELECT pg_relation_size('customer_expressions') / 8192").scalar()
    assert set(wide.statistics) == {2, 3, 4}
    assert wide.statistics[2].most_common_vals is None
    assert wide.statistics[2].histogram_bounds is not None
    assert indexes["customer_down"].opclasses == ("down_ops",)
    assert indexes["customer_pkey"].is_primary
    assert (indexes["customer_pkey"].constraint, indexes["customer_pkey"].constraint_name) == ("p", "customer_pkey")
    assert indexes["customer_words"].method == "gin"
    odd = {each.name: each for each in table(found, 'T:a "%(x)s" t', rich.ODD).indexes}
    assert odd["i:x %s"].keys == ('"c:d"', 'lower("%(x)s")')
    assert odd["i:x %s"].options == (1, 0)
    parents = {each.name: each.parent for t in found.tables for each in t.indexes if t.name.startswith("day")}
    assert parents["day_1_ab_n_idx"] == ("public", "day_1_n_idx")
    assert parents["day_n"] is None


def test_an_index_that_failed_to_build_is_not_valid(db: Connection) -> None:
    run(db, "CREATE TABLE broken (a int); INSERT INTO broken VALUES (1), (1); CREATE INDEX bad ON broken (a)")
    run(db, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bad'::regclass")
    db.commit()
    assert [each.is_valid for each in table(read(db), "broken").indexes] == [False]


def test_counters_and_use(db: Connection) -> None:
    run(db, "CREATE TABLE used (a int PRIMARY KEY, b int)")
    db.commit()
    run(db, "INSERT INTO used SELECT g, g FROM generate_series(1, 2000) g; UPDATE used SET b = 2 WHERE a = 1")
    run(db, "ANALYZE used; DELETE FROM used WHERE a = 3")
    db.commit()
    _settle(db)
    found = table(read(db), "used")
    counted = found.counters
    assert (counted.n_tup_ins, counted.n_tup_upd, counted.n_tup_del) == (2000, 1, 1)
    assert counted.last_analyze is not None
    assert found.indexes[0].idx_scan == counted.idx_scan == 2
    assert (found.indexes[0].last_idx_scan is not None) == (server_version_num(db) >= 160_000)


def test_extended_statistics(made: Connection) -> None:
    found = read(made)
    every = {each.name: each for t in found.tables for each in t.statistics}
    stats = every["customer_stats"]
    assert stats.kinds == ("d", "f", "m")
    for name in ("ndistinct", "mcv"):
        stored = made.exec_driver_sql(
            f"SELECT translate(encode(stxd{name}::bytea, 'base64'), E'\\n', '') FROM pg_statistic_ext_data d"
            " JOIN pg_statistic_ext e ON e.oid = d.stxoid WHERE stxname = 'customer_stats'"
        ).scalar()
        assert getattr(stats, name) == stored, name
    assert stats.ndistinct_text == '{"4, 5": 21}'
    assert every["base_stats"].dependencies is not None
    if server_version_num(made) >= 150_000:
        inherited = every["base_stats"].inherited
        assert inherited is not None
        assert (every["base_stats"].ndistinct_text, inherited.ndistinct_text) == ('{"1, 2": 500}', '{"1, 2": 500}')
        assert every["day_stats"].ndistinct_text == '{"2, 3": 60}'
    if server_version_num(made) >= 140_000:
        lower, modulo = every["customer_exprs"].expressions
        assert lower is not None
        assert lower.histogram_bounds is not None
        assert "a1000@b" in lower.histogram_bounds
        assert modulo is not None
        assert modulo.most_common_vals is not None
        assert set(modulo.most_common_vals.strip("{}").split(",")) == {str(digit) for digit in range(10)}


def test_what_is_left_out(made: Connection) -> None:
    run(made, "CREATE TEMP TABLE mine (a int); CREATE INDEX probe ON customer (name)")
    run(made, f"COMMENT ON INDEX probe IS '{real.MARKER}'")
    made.commit()
    found = read(made)
    assert table_reading.MARKER == real.MARKER
    assert "probe" not in {each.name for each in table(found, "customer").indexes}
    assert {each.schema for each in found.tables} == {"public", rich.ODD}
    assert "mine" not in {each.name for each in found.tables}
    names = {each.name for each in (*found.objects, *found.late_objects) if each.kind != "extension"}
    assert not {"similarity(text, text)", "citext", "no_plan()", "order_id_seq"} & names
    assert not any("secret.example" in each.definition for each in found.objects)
    assert not any("use_remote_estimate" in (each.definition or "") for each in found.tables)


def test_tables_of_extensions_are_told(db: Connection) -> None:
    run(db, "CREATE TABLE of_extension (a int); CREATE EXTENSION citext")
    run(db, "ALTER EXTENSION citext ADD TABLE of_extension")
    db.commit()
    found = read(db)
    assert found.table("public", "of_extension") is None
    assert [each.what for each in found.unseen] == ["tables of extension citext: public.of_extension"]


def test_same_from_both_drivers(made: Connection, database_url: str) -> None:
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    with connect(Target(url, "test")) as other:
        theirs = read(other)
    ours = read(made)
    assert uncounted(*theirs.tables) == uncounted(*ours.tables)
    assert theirs.objects == ours.objects
    assert theirs.settings == ours.settings


@pytest.mark.parametrize(
    ("encoding", "literal", "value"), [("LATIN1", "aä", "aä"), ("SQL_ASCII", "a\\xe4\\xff", "aäÿ")]
)
def test_databases_of_other_encodings(db: Connection, encoding: str, literal: str, value: str) -> None:
    auto = db.execution_options(isolation_level="AUTOCOMMIT")
    name = f"of_{encoding.lower()}"
    provider = "LOCALE_PROVIDER libc" if server_version_num(db) >= 150_000 else ""
    auto.exec_driver_sql(f"CREATE DATABASE {name} ENCODING '{encoding}' {provider} LOCALE 'C' TEMPLATE template0")
    try:
        with connect(Target(db.engine.url.set(database=name), "test")) as there:
            run(
                there,
                f"CREATE TABLE t (a text); INSERT INTO t SELECT E'{literal}' FROM generate_series(1, 9); ANALYZE t",
            )
            there.commit()
            found = read(there)
            assert found.encoding == encoding
            statistics = column(found, "a", "t").statistics
            assert statistics is not None
            assert statistics.most_common_vals == f"{{{value}}}"
    finally:
        auto.exec_driver_sql(f"DROP DATABASE {name}")


# what reading does to the server


@contextmanager
def _watched(connection: Connection, look: Any) -> Iterator[None]:
    """Call ``look`` with each statement that the connection has sent, while its locks are held."""

    def after(_: Any, cursor: Any, statement: str, *rest: Any) -> None:
        look(statement)

    event.listen(connection, "after_cursor_execute", after)
    try:
        yield
    finally:
        event.remove(connection, "after_cursor_execute", after)


def test_only_access_share_is_taken_and_given_back(made: Connection, database_url: str) -> None:
    modes: set[str] = set()
    held: dict[str, set[str]] = {}
    pid = made.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    made.rollback()
    with connect(Target(make_url(database_url), "test")) as other:
        watcher = other.execution_options(isolation_level="AUTOCOMMIT")

        def look(statement: str) -> None:
            rows = watcher.exec_driver_sql(
                "SELECT l.mode, n.nspname, c.relname FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation"
                " LEFT JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE l.pid = %s AND l.locktype NOT IN ('virtualxid')",
                (pid,),
            ).all()
            modes.update(row[0] for row in rows)
            held[statement] = {row[2] for row in rows if row[1] in ("public", rich.ODD)}

        with _watched(made, look):
            read(made)
    assert modes == {"AccessShareLock"}
    assert any("customer" in names for names in held.values())
    kept = {name for statement, names in held.items() if statement.startswith("/* dbtune */ RELEASE") for name in names}
    assert not kept


def test_statements_are_marked_read_only_and_of_one_state(made: Connection, database_url: str) -> None:
    statements: list[str] = []
    with _watched(made, statements.append):
        read(made)
    assert all(statement.startswith("/* dbtune */") for statement in statements)
    assert re.fullmatch(r"/\* dbtune \*/ SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", statements[0])

    states: set[tuple[str, ...]] = set()

    def look(statement: str) -> None:
        if statement.startswith("/* dbtune */ SAVEPOINT"):
            raw: Any = made.connection.dbapi_connection
            with raw.cursor() as cursor:
                cursor.execute(
                    "SELECT current_setting('transaction_read_only'), current_setting('transaction_isolation'),"
                    " current_setting('application_name'), coalesce(txid_current_if_assigned()::text, 'none')"
                )
                states.add(cursor.fetchone())

    with _watched(made, look):
        read(made)
    assert states == {("on", "repeatable read", "dbtune", "none")}


def test_session_is_left_as_it_was(db: Connection) -> None:
    run(db, "SET DateStyle = 'German'")
    db.commit()
    before = db.exec_driver_sql("SELECT current_setting('search_path'), current_setting('DateStyle')").one()
    read(db)
    after = db.exec_driver_sql("SELECT current_setting('search_path'), current_setting('DateStyle')").one()
    assert before == after
    run(db, "CREATE TABLE still_writable (a int)")


def test_a_locked_table_is_not_waited_for_long(
    made: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LOCK_SECONDS", 1)
    with connect(Target(make_url(database_url), "test")) as other:
        other.exec_driver_sql("LOCK TABLE customer IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(GaveUp, match="locked for 1 s"):
            read(made)
    assert read(made).tables


def test_a_change_meanwhile_makes_it_start_again(made: Connection, database_url: str) -> None:
    run(made, "CREATE TABLE short_lived (a int)")
    made.commit()
    with connect(Target(make_url(database_url), "test")) as other:

        def drop(statement: str) -> None:
            if "snapshot_columns" in statement or "Tables of the" in statement or "One row per table" in statement:
                run(other, "DROP TABLE IF EXISTS short_lived")
                other.commit()

        with _watched(made, drop):
            found = read(made)
    assert found.table("public", "short_lived") is None
    assert found.table("public", "customer") is not None


def test_a_schema_that_changes_all_the_time_is_given_up(made: Connection, database_url: str) -> None:
    with connect(Target(make_url(database_url), "test")) as other:

        def churn(statement: str) -> None:
            if "SET TRANSACTION" in statement:
                run(other, "CREATE TABLE churn (a int)")
                other.commit()
            if "One row per table" in statement:
                run(other, "DROP TABLE churn")
                other.commit()

        with _watched(made, churn), pytest.raises(GaveUp, match="schema changed while it was read, 3 times"):
            read(made)


def _settle(connection: Connection) -> None:
    from tests.cli.conftest import settle

    settle(connection)


def test_statistics_that_only_an_extension_understands_are_told(db: Connection) -> None:
    db.execute(text("CREATE TABLE place (id int, shape text)"))
    db.execute(text("INSERT INTO place SELECT g, repeat('x', g % 7) FROM generate_series(1, 500) AS g"))
    db.execute(text("ANALYZE place"))
    # what an extension's typanalyze writes (PostGIS has the kinds 102 and 103)
    db.execute(text("UPDATE pg_statistic SET stakind5 = 102 WHERE starelid = 'place'::regclass AND staattnum = 2"))
    db.commit()
    assert ("statistics of public.place.shape", "some are of an extension's own kind") in [
        (each.what, each.why) for each in read(db).unseen
    ]
