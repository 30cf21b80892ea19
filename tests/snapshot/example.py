"""A small snapshot with a value in every field."""

from __future__ import annotations

from datetime import UTC, datetime

from dbtune.snapshot.value import (
    Column,
    Constraint,
    Counters,
    ExistingIndex,
    ExtendedStatistics,
    SchemaObject,
    Snapshot,
    Statistics,
    Table,
    Unseen,
)

_AT = datetime(2026, 1, 31, 10, 0, 0, 123456, tzinfo=UTC)


def text(name: str, *values: str, frequencies: tuple[float, ...] = (), bounds: str | None = None) -> Column:
    """Return a column of text with these most common values."""
    return column(name, "text", *values, frequencies=frequencies, bounds=bounds)


def column(
    name: str, type_: str, *values: str, frequencies: tuple[float, ...] = (), bounds: str | None = None
) -> Column:
    """Return a column with these most common values."""
    statistics = Statistics(
        null_frac=0.125,
        avg_width=7,
        n_distinct=-0.5,
        most_common_vals="{" + ",".join(values) + "}" if values else None,
        most_common_freqs=frequencies,
        histogram_bounds=bounds,
        correlation=0.75,
    )
    return Column(name=name, number=1, type=type_, length=-1, align="i", statistics=statistics)


def elements(name: str, type_: str, values: str, *frequencies: float) -> Column:
    """Return a column with these most common elements."""
    statistics = Statistics(
        null_frac=0.0,
        avg_width=30,
        n_distinct=-1.0,
        most_common_elems=values,
        most_common_elem_freqs=frequencies,
        elem_count_histogram=(1.0, 2.0, 1.5),
    )
    return Column(name=name, number=1, type=type_, length=-1, align="i", statistics=statistics)


def snapshot(*columns: Column, **fields: object) -> Snapshot:
    """Return a snapshot of one table with these columns; ``fields`` replace the table's."""
    table = Table(
        **{  # type: ignore[arg-type]
            "schema": "public",
            "name": "customer",
            "columns": columns,
            "pages": 12,
            "relpages": 11,
            "reltuples": 1000.0,
            "relallvisible": 3,
            "options": ("fillfactor=80",),
            "constraints": (
                Constraint(name="checked", kind="c", definition="CHECK ((name <> 'Zuse'::text))", columns=("name",)),
                Constraint(
                    name="fk",
                    kind="f",
                    definition="FOREIGN KEY (id) REFERENCES public.other(id)",
                    columns=("id",),
                    references=("public", "other"),
                    referenced_columns=("id",),
                    validated=False,
                    inherited=True,
                ),
            ),
            "indexes": (
                ExistingIndex(
                    schema="public",
                    name="by_name",
                    definition="CREATE INDEX by_name ON public.customer USING btree (lower(name))",
                    method="btree",
                    keys=("lower(name)",),
                    key_columns=(None,),
                    opclasses=("text_ops",),
                    options=(0,),
                    pages=5,
                    reltuples=1000.0,
                    last_idx_scan=_AT,
                    parent=("public", "above"),
                    statistics={
                        1: Statistics(null_frac=0.0, avg_width=5, n_distinct=-1.0, histogram_bounds="{ada,zuse}")
                    },
                ),
            ),
            "statistics": (
                ExtendedStatistics(
                    schema="public",
                    name="both",
                    definition="CREATE STATISTICS public.both ON id, name FROM public.customer",
                    kinds=("d", "m", "e"),
                    ndistinct="QUJD",
                    mcv="QUJD",
                    ndistinct_text='{"1, 2": 7}',
                    expressions=(
                        None,
                        Statistics(
                            null_frac=0.0,
                            avg_width=5,
                            n_distinct=3.0,
                            most_common_vals="{ada}",
                            most_common_freqs=(0.5,),
                        ),
                    ),
                    inherited=ExtendedStatistics(schema="public", name="both", definition="x", mcv="QUJD"),
                ),
            ),
            "counters": Counters(n_tup_ins=4, last_analyze=_AT, since=_AT),
            **fields,
        }
    )
    return Snapshot(
        server_version_num=180_006,
        server_version="18.6",
        database="shop",
        taken_at=_AT,
        locale="C.UTF-8",
        settings={"work_mem": "4MB", "constraint_exclusion": "partition"},
        objects=(
            SchemaObject(
                kind="type", schema="public", name="mood", definition="CREATE TYPE public.mood AS ENUM ('sad', 'ok')"
            ),
            SchemaObject(
                kind="type",
                schema="public",
                name="email",
                definition="CREATE DOMAIN public.email AS text COLLATE pg_catalog.\"C\" DEFAULT 'a b'::text NOT NULL",
            ),
            SchemaObject(
                kind="type",
                schema="public",
                name="work email",
                definition="CREATE DOMAIN public.\"work email\" AS public.email CONSTRAINT c CHECK (VALUE <> ''::text)",
            ),
        ),
        tables=(table,),
        late_objects=(
            SchemaObject(kind="view", schema="public", name="v", definition="CREATE VIEW public.v AS\nSELECT 1"),
        ),
        unseen=(Unseen(what="statistics of public.other", why="the role may not SELECT from it"),),
    )
