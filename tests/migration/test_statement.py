"""Statements as people write them, read without a server."""

from __future__ import annotations

import pytest

from dbtune.errors import UsageError
from dbtune.index.definition import Key
from dbtune.migration import model
from dbtune.migration.statement import Constraint, Create, Drop, Relation, parse, parse_definition, parse_name


@pytest.mark.parametrize(
    ("text", "ddl"),
    [
        ("create index on item (owner)", "CREATE INDEX ix_item_owner ON public.item USING btree (owner)"),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON s.t USING BTREE"
            " (a DESC NULLS LAST, b ASC, c NULLS FIRST);",
            "CREATE UNIQUE INDEX i ON s.t USING btree (a DESC NULLS LAST, b, c NULLS FIRST)",
        ),
        (
            'CREATE INDEX "My Index" ON "Sales"."Order" ("Mixed Case", "a""b", "select")',
            'CREATE INDEX "My Index" ON "Sales"."Order" USING btree ("Mixed Case", "a""b", "select")',
        ),
        (
            'CREATE INDEX i ON t (lower(a), (a || b), pg_catalog.left(a, 3) COLLATE "C" text_pattern_ops DESC)',
            "CREATE INDEX i ON public.t USING btree ((lower(a)), (a || b), (pg_catalog.left(a, 3))"
            ' COLLATE "C" text_pattern_ops DESC)',
        ),
        (
            "CREATE INDEX i ON t USING gin (doc jsonb_path_ops, tags)"
            " WITH (fastupdate = off, gin_pending_list_limit=64)"
            " TABLESPACE fast WHERE (state <> ':y%') AND note ~ 'a?;b' -- why",
            "CREATE INDEX i ON public.t USING gin (doc jsonb_path_ops, tags) WITH (fastupdate = off,"
            " gin_pending_list_limit = 64) TABLESPACE fast WHERE (state <> ':y%') AND note ~ 'a?;b'",
        ),
        (
            "CREATE INDEX i ON t USING gist (name gist_trgm_ops (siglen = 32), spot)",
            "CREATE INDEX i ON public.t USING gist (name gist_trgm_ops (siglen = 32), spot)",
        ),
        (
            'CREATE UNIQUE INDEX i ON t (a) INCLUDE (b, "C d") NULLS NOT DISTINCT WITH (fillfactor=70) WHERE a = $$x$$',
            'CREATE UNIQUE INDEX i ON public.t USING btree (a) INCLUDE (b, "C d") NULLS NOT DISTINCT'
            " WITH (fillfactor = 70) WHERE a = $$x$$",
        ),
        (
            "CREATE INDEX i ON t USING brin (made) WITH (autosummarize)",
            "CREATE INDEX i ON public.t USING brin (made) WITH (autosummarize)",
        ),
        (
            "CREATE INDEX i ON t ((a[1]), (ARRAY[a,b]), (f(a,b)))",
            "CREATE INDEX i ON public.t USING btree ((a[1]), (ARRAY[a,b]), (f(a,b)))",
        ),
        ("CREATE INDEX Ünï ON t (Äpfel)", 'CREATE INDEX "Ünï" ON public.t USING btree ("Äpfel")'),
        ("/* a */ CREATE INDEX i ON t (a) -- end", "CREATE INDEX i ON public.t USING btree (a)"),
        (
            'CREATE INDEX i ON t (concurrently_, "concurrently")',
            'CREATE INDEX i ON public.t USING btree (concurrently_, "concurrently")',
        ),
    ],
)
def test_an_index_is_read_and_nothing_is_lost(text: str, ddl: str) -> None:
    found = parse(text)
    assert isinstance(found, Create)
    assert " ".join(found.definition.clauses()) == ddl
    again = parse_definition(found.definition.ddl())
    assert again == found.definition
    assert again.name == found.definition.name


def test_keys_are_values() -> None:
    index = parse_definition("CREATE INDEX ON t (a DESC NULLS FIRST, b NULLS LAST, c DESC NULLS LAST)").index
    assert index.keys == (Key("a", descending=True), Key("b"), Key("c", descending=True, nulls_first=False))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("CREATE INDEX a ON t (x); CREATE INDEX b ON t (y)", "2 statements"),
        ("CREATE INDEX a ON t (x); DROP TABLE t", "2 statements"),
        ("CREATE TABLE t (a int)", "not an index: CREATE TABLE t"),
        ("SELECT 1", "not an index: SELECT 1"),
        ("ALTER TABLE t ADD COLUMN a int", "not a unique constraint"),
        ("ALTER TABLE t DROP COLUMN a", "only ADD CONSTRAINT"),
        ("CREATE INDEX a ON ONLY t (x)", "leave ONLY out"),
        ("CREATE INDEX a t (x)", "expected ON"),
        ("CREATE INDEX a ON t", "at the end of .*expected \\("),
        ("CREATE INDEX a ON t ()", "expected the keys"),
        ("CREATE INDEX a ON t (x,)", "expected the keys"),
        ("CREATE INDEX a ON t (x", "expected the keys and \\)"),
        ("CREATE INDEX a ON t (x + 1)", "expected an operator class"),
        ("CREATE INDEX a ON t (x) nonsense", "at nonsense of .*expected its end"),
        ("CREATE INDEX a ON t (x) WHERE", "expected a condition"),
        ("CREATE INDEX a ON t (x) WHERE b = 'c", "unterminated string constant"),
        (f"CREATE INDEX {'a' * 64} ON t (x)", "has 64 bytes; PostgreSQL keeps 63"),
        (f"CREATE INDEX {'ä' * 32} ON t (x)", "has 64 bytes"),
        ('CREATE INDEX "a\nb" ON t (x)', "line breaks"),
        ("DROP INDEX a CASCADE", "CASCADE"),
        ("DROP INDEX a, b", "expected its end"),
        ("DROP TABLE a", "not an index"),
    ],
)
def test_what_is_no_index_is_said_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_other_statements() -> None:
    assert parse('drop index concurrently if exists s."I" restrict;') == Drop(Relation("s", "I"))
    found = parse('ALTER TABLE ONLY s.t ADD CONSTRAINT t_a_key UNIQUE NULLS NOT DISTINCT (a, "B") INCLUDE (c)')
    assert isinstance(found, Constraint)
    assert found.table == Relation("s", "t")
    assert " ".join(found.definition.clauses()) == (
        'CREATE UNIQUE INDEX t_a_key ON s.t USING btree (a, "B") INCLUDE (c) NULLS NOT DISTINCT'
    )
    assert parse_name('s."T t"') == Relation("s", "T t")


def test_the_line_for_models() -> None:
    definition = parse_definition(
        "CREATE UNIQUE INDEX i ON t USING btree (a, lower(b) DESC) INCLUDE (c) WITH (fillfactor = 70) WHERE d <> ':y%'"
    )
    assert model.line(definition) == (
        "Index('i', 'a', literal_column('(lower(b)) DESC'), unique=True, postgresql_include=['c'],"
        " postgresql_with={'fillfactor': '70'}, postgresql_where=literal_column(\"d <> ':y%'\"))"
    )
