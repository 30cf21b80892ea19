"""Any definition, through a revision, into the catalogs and back: nothing of it is lost or changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, MetaData, Table, literal_column
from sqlalchemy import Index as ModelIndex
from sqlalchemy.schema import CreateIndex as ModelCreate

from dbtune.index.definition import Index, Key
from dbtune.migration import asked, catalog, model
from dbtune.migration.definition import Definition
from dbtune.migration.run import run as carry_out
from dbtune.migration.statement import Create, Relation, parse, parse_definition
from dbtune.server.connection import server_version_num
from dbtune.workload import lexer
from tests.migration.conftest import Host, Run

ODD = 'Odd "sch%ma" :x'
TABLES = f"""
CREATE SCHEMA "{ODD.replace('"', '""')}";
CREATE TABLE "{ODD.replace('"', '""')}"."it's ? a :table" (LIKE shop.item);
"""
PLACES = (Relation("shop", "item"), Relation(ODD, "it's ? a :table"))

names = st.one_of(
    st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True),
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=15),
    st.sampled_from(["select", "Mixed Case", "ü" * 31, "x" * 63, "concurrently", "a.b", "it's", "100%", ":y", "?"]),
).filter(lambda name: name.isprintable() and not name.startswith("dbtune_drop"))
texts = st.sampled_from(["name", "note", "Mixed Case"])
predicates = st.sampled_from(
    [
        None,
        "note <> ':y'",
        "name LIKE '50%' AND note <> '?'",
        "name::text = 'it''s' OR \"Mixed Case\" IS NULL",
        r"note <> E'a\\b\nc' AND name <> $$it's :z$$",
        "name COLLATE \"C\" > 'a' -- said\nAND owner = ANY (ARRAY[1, 2])",
        "made > '2024-01-01'::timestamp",
        "note <> '\n    DO $dbtune$'",
    ]
)
directions: dict[str, Any] = {"descending": st.booleans(), "nulls_first": st.sampled_from([None, True, False])}


@st.composite
def btree_keys(draw: st.DrawFn) -> Key:
    kind = draw(st.sampled_from(["number", "text", "expression", "made"]))
    more = {name: draw(values) for name, values in directions.items()}
    if more["nulls_first"] == more["descending"]:
        more["nulls_first"] = None
    if kind == "text":
        opclass = draw(st.sampled_from([None, "text_pattern_ops", "varchar_ops"]))
        return Key(draw(texts), opclass=opclass, collation=draw(st.sampled_from([None, '"C"', '"POSIX"'])), **more)
    if kind == "expression":
        text = draw(
            st.sampled_from(["lower(name)", "owner + id", "name || ':y%' || note", "(owner)::bigint", "tags[1]"])
        )
        return Key(text, is_column=False, **more)
    return Key("owner" if kind == "number" else "made", **more)


@st.composite
def definitions(draw: st.DrawFn, version: int) -> Definition:
    place = draw(st.sampled_from(PLACES))
    method = draw(st.sampled_from(["btree", "btree", "btree", "hash", "gin", "gist", "brin"]))
    more: dict[str, Any] = {"predicate": draw(predicates), "method": method}
    storage: tuple[tuple[str, str | None], ...] = ()
    nulls_distinct = True
    match method:
        case "btree":
            keys = draw(st.lists(btree_keys(), min_size=1, max_size=3))
            if draw(st.booleans()):
                keys = [*keys, Key("id")]
                more["unique"] = True
                nulls_distinct = version < 150000 or draw(st.booleans())
            more["include"] = tuple(draw(st.lists(st.sampled_from(["note", "Mixed Case"]), unique=True, max_size=2)))
            storage = draw(st.sampled_from([(), (("fillfactor", "70"),)]))
        case "hash":
            keys = [Key(draw(st.sampled_from(["owner", "name"])))]
        case "gin":
            keys = [Key("tags")]
            storage = draw(st.sampled_from([(), (("fastupdate", "off"),)]))
        case "gist":
            keys = [Key("spot", opclass=draw(st.sampled_from([None, "point_ops"])))]
        case _:
            keys = [Key("made"), Key("owner")]
            storage = draw(st.sampled_from([(), (("pages_per_range", "16"), ("autosummarize", "on"))]))
    index = Index(schema=place.schema or "", table=place.name, keys=tuple(keys), name=draw(names), **more)
    return Definition(index=index, storage=storage, nulls_distinct=nulls_distinct)


def catalogued(run: Run) -> list[str]:
    rows = run(
        "SELECT indexdef FROM pg_indexes WHERE schemaname NOT LIKE 'pg%' AND indexname NOT LIKE '%pkey'"
        " AND tablename <> 'alembic_version' ORDER BY 1"
    )
    return [text for (text,) in rows]


@pytest.mark.parametrize("through", ["revision", "offline"])
def test_definition_revision_catalog_definition(host: Host, run: Run, db: Connection, through: str) -> None:
    run(TABLES)
    version = server_version_num(db)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(definitions(version))
    def round_trip(definition: Definition) -> None:
        read = parse(definition.ddl())
        assert isinstance(read, Create)
        assert read.definition == definition
        settled = catalog.settle(db, read.definition, read.table).definition
        for path in (host.folder / "alembic" / "versions").glob("*.py"):
            path.unlink()
        host.new(asked.made(catalog.Settled(definition)))
        if through == "revision":
            host.alembic("upgrade", "head")
        else:
            send(run, host.alembic("upgrade", "head", sql=True))
        (made,) = catalogued(run)
        assert parse_definition(made) == settled
        assert parse_definition(made).name == definition.name
        if through == "revision":
            host.alembic("downgrade", "base")
        else:
            send(run, host.alembic("downgrade", "head:base", sql=True))
        assert catalogued(run) == []
        run("DROP TABLE IF EXISTS alembic_version")

    round_trip()


def send(run: Run, script: str) -> None:
    for sql in lexer.statements(script):
        run(sql)


def test_the_line_for_models_makes_the_same_index(run: Run, db: Connection) -> None:
    run(TABLES)
    version = server_version_num(db)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(definitions(version))
    def same(definition: Definition) -> None:
        assume(definition.name != "concurrently")  # which SQLAlchemy does not quote
        carry_out(asked.made(catalog.Settled(definition)), db)
        (made,) = catalogued(run)
        carry_out(asked.made(catalog.Settled(definition)).reverse(), db)
        columns: list[Column[Any]] = [
            Column(name) for name in ("id", "owner", "name", "note", "tags", "Mixed Case", "made", "spot")
        ]
        table = Table(definition.index.table, MetaData(), *columns, schema=definition.schema)
        line = eval(model.line(definition), {"Index": ModelIndex, "literal_column": literal_column})
        table.append_constraint(line)
        db.execute(ModelCreate(line))
        db.commit()
        assert catalogued(run) == [made]
        carry_out(asked.made(catalog.Settled(definition)).reverse(), db)

    same()


def test_the_session_stays_as_it_was(run: Run, db: Connection) -> None:
    timeouts = "SELECT name, setting FROM pg_settings WHERE name LIKE '%%timeout' ORDER BY 1"
    before = db.exec_driver_sql(timeouts).all()
    db.rollback()
    carry_out(asked.made(catalog.Settled(parse_definition("CREATE INDEX i ON shop.item (owner)"))), db)
    assert db.exec_driver_sql(timeouts).all() == before
    assert db.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar() == 0
