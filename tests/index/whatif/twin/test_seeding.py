"""Rows made of what statistics show; and which statements make a table again."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from dbtune.index.whatif.twin import schema, seeding
from dbtune.index.whatif.twin.extended import with_types
from dbtune.snapshot.value import Column, Constraint, Snapshot, Statistics, Table


def column(name: str = "a", **given: object) -> Column:
    held: dict[str, object] = {"number": 1, "type": "integer", "length": 4, "align": "i", **given}
    return Column(name=name, **held)  # type: ignore[arg-type]


def held(**given: object) -> Statistics:
    return Statistics(null_frac=0.0, avg_width=4, n_distinct=-1.0, **given)  # type: ignore[arg-type]


def snapshot(*tables: Table) -> Snapshot:
    return Snapshot(
        server_version_num=180000,
        server_version="18",
        database="d",
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        tables=tables,
    )


def statements(*tables: Table) -> list[str]:
    return [statement for step in schema.tables(snapshot(*tables)) for statement in step.statements]


def test_the_ends_of_the_histogram_are_the_ends() -> None:
    assert seeding.ends(column(statistics=held(histogram_bounds="{1,5,9}"))) == ("'1'::integer", "'9'::integer")


def test_a_common_value_may_be_an_end_which_the_server_finds() -> None:
    found = seeding.ends(
        column(type="text", collation='"C"', statistics=held(histogram_bounds="{b,f}", most_common_vals='{"a,}",z}'))
    )
    assert found is not None
    least, greatest = found
    assert "('a,}'), ('z'), ('b'), ('f')" in least
    assert least.endswith('ORDER BY v::text COLLATE "C" LIMIT 1)')
    assert greatest.endswith('ORDER BY v::text COLLATE "C" DESC LIMIT 1)')


def test_values_without_an_order_and_none_at_all() -> None:
    assert seeding.ends(column(type="xid", statistics=held(most_common_vals="{7,8}"))) == ("'7'::xid",) * 2
    assert seeding.ends(column(statistics=held())) is None
    assert seeding.ends(column()) is None


def test_rows_have_a_value_for_what_may_not_be_null_and_none_for_what_is_computed() -> None:
    table = Table(
        schema="s",
        name="t",
        columns=(
            column("a", statistics=held(histogram_bounds="{1,5}")),
            column("b", number=2, not_null=True, type="character varying(3)"),
            column("c", number=3, generated="s", default="a + 1", statistics=held(histogram_bounds="{2,6}")),
            column("d", number=4),
        ),
    )
    rows = seeding.rows(table)
    assert rows is not None
    assert rows[0] == {"a": "'1'::integer", "b": "''::character varying(3)"}
    assert seeding.insertion(table, rows) == (
        """INSERT INTO "s"."t" ("a", "b") SELECT '1'::integer, ''::character varying(3)"""
        """ UNION ALL SELECT '5'::integer, ''::character varying(3)"""
    )
    assert seeding.rows(table, refused=["a"]) is None


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("integer[]", "'{}'::integer[]"),
        ("timestamp with time zone", "'2000-01-01'::timestamp with time zone"),
        ("boolean", "'false'::boolean"),
        ("public.mood", "(pg_catalog.enum_range(NULL::public.mood))[1]"),
    ],
)
def test_some_value_of_a_type(type_: str, value: str) -> None:
    assert seeding.zero(column(type=type_)) == value


def test_column_numbers_are_kept() -> None:
    table = Table(schema="s", name='t"', columns=(column("b", number=2), column('c"', number=4, not_null=True)))
    assert statements(table) == [
        'CREATE TABLE "s"."t""" ("dbtune gap 1" boolean, "b" integer, "dbtune gap 3" boolean, "c""" integer NOT NULL)',
        'ALTER TABLE "s"."t""" DROP COLUMN "dbtune gap 1", DROP COLUMN "dbtune gap 3"',
    ]


def test_a_table_has_plainer_statements_to_fall_back_to() -> None:
    (step,) = schema.tables(
        snapshot(
            Table(
                schema="s",
                name="t",
                options=("fillfactor=70", "autovacuum_enabled=false"),
                columns=(
                    column("a", collation='"x"', type="text"),
                    column("b", number=2, generated="v", default="f(a)"),
                ),
            )
        )
    )
    assert step.statements == (
        'CREATE TABLE "s"."t" ("a" text COLLATE "x", "b" integer GENERATED ALWAYS AS (f(a)) VIRTUAL)'
        " WITH (fillfactor=70)",
    )
    assert step.plainer == ('CREATE TABLE "s"."t" ("a" text, "b" integer)',)


def test_constraints_are_added_without_looking_at_rows() -> None:
    known = Constraint(name="k", kind="c", definition="CHECK ((a > 0))")
    old = Constraint(name="o", kind="c", definition="CHECK ((a > 1)) NOT VALID", validated=False)
    key = Constraint(name="f", kind="f", definition="FOREIGN KEY (a) REFERENCES s.u(a)")
    of = snapshot(Table(schema="s", name="t", constraints=(known, old, key)))
    assert [step.statements[0] for step in (*schema.checks(of), *schema.foreign_keys(of))] == [
        'ALTER TABLE "s"."t" ADD CONSTRAINT "k" CHECK ((a > 0)) NOT VALID',
        'ALTER TABLE "s"."t" ADD CONSTRAINT "o" CHECK ((a > 1)) NOT VALID',
        'ALTER TABLE "s"."t" ADD CONSTRAINT "f" FOREIGN KEY (a) REFERENCES s.u(a) NOT VALID',
    ]
    assert schema.unvalidated(of) == [("s", "t", "o")]


def test_a_type_that_stands_for_another_has_none_of_its_values() -> None:
    of = snapshot(
        Table(schema="s", name="t", columns=(column(type="geometry", statistics=held(most_common_vals="{0101}")),))
    )
    (table,) = schema.with_stand_ins(of, {"geometry": "text"}).tables
    assert table.columns[0].type == "text"
    assert table.columns[0].statistics == held()


def test_common_values_get_the_types_of_the_database() -> None:
    common = struct.pack("=IIIh3I", 0xE1A651C2, 1, 5, 3, 23, 70_000, 25) + b"rest"
    assert with_types(common, (23, 80_000)) == struct.pack("=IIIh3I", 0xE1A651C2, 1, 5, 3, 23, 80_000, 25) + b"rest"
    with pytest.raises(ValueError, match="type of the database's own"):
        with_types(common, (23,))
    with pytest.raises(ValueError, match="form"):
        with_types(common[::-1], (23, 80_000))
