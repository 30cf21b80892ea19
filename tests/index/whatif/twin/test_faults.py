"""What a twin cannot have: it is named, and stops nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from dbtune.index.definition import Index, Key
from dbtune.index.whatif.protocol import Question
from dbtune.index.whatif.twin import Twin, raise_twin
from dbtune.server import binaries
from dbtune.server.binaries import Binaries
from dbtune.snapshot.value import (
    Column,
    Constraint,
    ExistingIndex,
    ExtendedStatistics,
    SchemaObject,
    Snapshot,
    Statistics,
    Table,
)
from dbtune.workload.query import Query

POSTGIS = SchemaObject(kind="extension", schema="public", name="postgis", definition="CREATE EXTENSION postgis")
SHAPE = Column(name="shape", number=2, type="geometry(Point,4326)", length=-1, align="d", storage="m")
ID = Column(
    name="id",
    number=1,
    type="integer",
    length=4,
    align="i",
    statistics=Statistics(
        null_frac=0.0, avg_width=4, n_distinct=-1.0, histogram_bounds="{1,50000,100000}", correlation=1.0
    ),
)


Raise = Callable[[Snapshot], Twin]


def ask(statement: str) -> Question:
    return Question(name="q", query=Query(name="q", statement=statement))


@pytest.fixture
def bare(source_snapshot: Snapshot) -> Snapshot:
    """A database without anything in it, of the tests' major version."""
    return replace(source_snapshot, objects=(), tables=(), late_objects=(), unseen=())


@pytest.fixture
def raised(programs: Binaries) -> Raise:
    return partial(raise_twin, bindir=programs.bindir)


def table(name: str = "t", *columns: Column, **more: object) -> Table:
    return Table(
        schema="public",
        name=name,
        columns=columns or (ID,),
        pages=1000,
        relpages=1000,
        reltuples=100_000.0,
        **more,  # type: ignore[arg-type]
    )


def test_an_extension_that_is_not_there_is_named_and_its_columns_are_stood_in_for(
    bare: Snapshot, raised: Raise
) -> None:
    places = table("place", ID, SHAPE)
    view = SchemaObject(
        kind="view",
        schema="public",
        name="near",
        definition="CREATE VIEW public.near AS SELECT st_x(shape) FROM public.place",
    )
    with raised(replace(bare, objects=(POSTGIS,), tables=(places, table()), late_objects=(view,))) as twin:
        said = "\n".join(twin.warnings)
        assert "the twin lacks extension postgis" in said
        assert "column public.place.shape: the twin lacks type geometry(Point,4326), text stands for it" in said
        assert "the twin lacks view public.near" in said
        assert twin.plan(ask("SELECT id FROM place WHERE id = 5"), ()).reason is None
        assert twin.plan(ask("SELECT * FROM t"), ()).reason is None
        refused = twin.plan(ask("SELECT * FROM place WHERE st_x(shape) > 5"), ())
        assert refused.reason is not None
        assert "the twin lacks extension postgis" in refused.reason
        nothing = twin.plan(ask("SELECT * FROM near"), ())
        assert nothing.reason is not None
        assert "the twin lacks view public.near" in nothing.reason
        (by_shape,) = twin.add([Index(schema="public", table="place", keys=(Key("shape"),), method="gist")])
        assert by_shape.reason is not None


def test_a_table_that_cannot_be_made_is_named(bare: Snapshot, raised: Raise) -> None:
    odd = table("odd", replace(ID, name="ctid"))
    with raised(replace(bare, tables=(table(), odd))) as twin:
        assert any(each.startswith("the twin lacks table public.odd") for each in twin.warnings)
        assert twin.plan(ask("SELECT * FROM t"), ()).reason is None
        refused = twin.plan(ask("SELECT * FROM odd"), ())
        assert refused.reason is not None
        assert "the twin lacks table public.odd" in refused.reason
        (known,) = twin.add([Index(schema="public", table="odd", keys=(Key("id"),))])
        assert known.reason == "the twin lacks table public.odd"


def test_a_type_that_cannot_even_be_named_is_stood_in_for(bare: Snapshot, raised: Raise) -> None:
    odd = table("odd", ID, replace(SHAPE, type="integer["))
    with raised(replace(bare, tables=(odd,))) as twin:
        (said,) = twin.warnings
        assert said == "column public.odd.shape: the twin lacks type integer[, text stands for it"
        assert twin.plan(ask("SELECT id FROM odd"), ()).reason is None


def test_a_foreign_table_without_its_server_is_named(bare: Snapshot, raised: Raise) -> None:
    far = table("far", kind="f", definition="SERVER nowhere")
    with raised(replace(bare, tables=(table(), far))) as twin:
        refused = twin.plan(ask("SELECT * FROM far"), ())
        assert refused.reason is not None
        assert 'the twin lacks foreign table public.far: server "nowhere" does not exist' in refused.reason
        assert twin.plan(ask("SELECT * FROM t"), ()).reason is None


def test_an_index_that_cannot_be_made_is_known_with_the_reason(bare: Snapshot, raised: Raise) -> None:
    index = ExistingIndex(
        schema="public", name="t_odd", definition="CREATE INDEX t_odd ON public.t USING rum (id)", method="rum",
        keys=("id",), key_columns=("id",), pages=10,
    )  # fmt: skip
    with raised(replace(bare, tables=(table(indexes=(index,)),))) as twin:
        (known,) = twin.known
        assert (known.exists, known.pages) == (True, 10)
        assert known.reason is not None
        assert 'access method "rum" does not exist' in known.reason
        assert twin.plan(ask("SELECT * FROM t WHERE id = 5"), {0}).used == frozenset()


def test_values_that_no_type_takes_are_left_out(bare: Snapshot, raised: Raise) -> None:
    """As a redacted snapshot may have them."""
    hashed = replace(ID, statistics=Statistics(null_frac=0.25, avg_width=4, n_distinct=77.0, most_common_vals="{x1,x2}",
                                               most_common_freqs=(0.5, 0.1), histogram_bounds="{a,b,c}"))  # fmt: skip
    with raised(replace(bare, tables=(table("t", hashed),))) as twin:
        (row,) = twin.connection.exec_driver_sql(
            "SELECT null_frac, n_distinct, most_common_vals::text FROM pg_stats WHERE tablename = 't'"
        ).all()
        twin.connection.rollback()
        assert tuple(row) == (0.25, 77.0, None)
        (known,) = twin.add([Index(schema="public", table="t", keys=(Key("id"),))])
        assert twin.plan(ask("SELECT * FROM t WHERE id = 5"), {known.id}).used == {known.id}


def test_rows_that_break_a_rule_are_left_out_as_far_as_needed(bare: Snapshot, raised: Raise) -> None:
    flag = Column(
        name="flag", number=2, type="boolean", length=1, align="c", not_null=True,
        statistics=Statistics(null_frac=0.0, avg_width=1, n_distinct=1.0, most_common_vals="{t}"),
    )  # fmt: skip
    alone = table(
        "alone",
        replace(ID, number=1),
        flag,
        constraints=(Constraint(name="one", kind="u", definition="UNIQUE (flag)"),),
    )
    never = table("never", ID, constraints=(Constraint(name="no", kind="c", definition="CHECK (id > 1000000)"),))
    with raised(replace(bare, tables=(alone, never))) as twin:
        assert list(twin.warnings) == []
        plan = twin.plan(ask("SELECT * FROM never WHERE id < 5"), ())
        assert plan.reason is None
        assert "One-Time Filter" not in plan.document["Plan"]
        valid = twin.connection.exec_driver_sql("SELECT convalidated FROM pg_constraint WHERE conname = 'no'").scalar()
        twin.connection.rollback()
        assert valid is True


def test_damaged_extended_statistics_are_left_out(bare: Snapshot, raised: Raise) -> None:
    two = replace(ID, name="two", number=2)
    damaged = ExtendedStatistics(
        schema="public", name="s", definition="CREATE STATISTICS public.s ON id, two FROM public.t", kinds=("d",),
        ndistinct="AAAA", mcv="AAAA",
    )  # fmt: skip
    with raised(replace(bare, tables=(table("t", ID, two, statistics=(damaged,)),))) as twin:
        said = "\n".join(twin.warnings)
        assert "the twin lacks data of extended statistics public.s" in said
        assert "the twin lacks common values of statistics public.s" in said
        assert twin.plan(ask("SELECT count(*) FROM t WHERE id = 5 AND two = 5 GROUP BY id, two"), ()).reason is None


def test_statistics_that_were_never_gathered_are_no_obstacle(bare: Snapshot, raised: Raise) -> None:
    never = replace(table("t", replace(ID, statistics=None)), relpages=0, reltuples=-1.0 if bare.major >= 14 else 0.0)
    with raised(replace(bare, tables=(never,))) as twin:
        (known,) = twin.add([Index(schema="public", table="t", keys=(Key("id"),))])
        answer = twin.plan(ask("SELECT * FROM t WHERE id = 5"), {known.id})
        assert answer.used == {known.id}
        assert known.pages > 10


def test_another_major_version_is_approximate(
    bare: Snapshot, programs: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = replace(bare, server_version_num=990000, tables=(table(),))
    with raise_twin(newer, bindir=programs.bindir) as twin:
        assert len(twin.warnings) == 1
        assert twin.warnings[0].startswith(f"approximate: planned by PostgreSQL {programs.major}")
        assert "99" in twin.warnings[0]
    with raise_twin(newer) as twin:
        assert twin.cluster.programs.major == binaries.find().major
        assert twin.warnings[0].startswith("approximate")
        assert twin.plan(ask("SELECT * FROM t"), ()).reason is None


def test_a_locale_that_is_not_here_is_told(bare: Snapshot, raised: Raise) -> None:
    elsewhere = replace(
        bare, collate="xx_XX.utf8", ctype="xx_XX.utf8", locale_provider="c", locale=None, tables=(table(),)
    )
    with raised(elsewhere) as twin:
        assert twin.plan(ask("SELECT * FROM t"), ()).reason is None
        (said,) = twin.warnings
        assert "xx_XX.utf8" in said


def test_a_database_without_tables_can_be_asked(bare: Snapshot, raised: Raise) -> None:
    with raised(bare) as twin:
        assert twin.plan(ask("SELECT 1"), ()).reason is None
        assert twin.add([]) == []
        assert list(twin.known) == []


def test_a_setting_that_the_twin_does_not_take_is_named(bare: Snapshot, raised: Raise) -> None:
    settings = {"random_page_cost": "1.25", "work_mem": "77MB", "no_such_setting": "1", "enable_hashjoin": "perhaps"}
    with raised(replace(bare, settings=settings)) as twin:
        shown = [str(twin.connection.exec_driver_sql(f"SHOW {n}").scalar()) for n in ("random_page_cost", "work_mem")]
        twin.connection.rollback()
        assert shown == ["1.25", "77MB"]
        assert [each for each in twin.warnings if "enable_hashjoin" in each]
