"""A throw-away copy: indexes are really built, only planned with, and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, make_url

from dbtune.errors import ServerError, Unsafe
from dbtune.index.definition import Index, Key
from dbtune.index.whatif.protocol import Question
from dbtune.index.whatif.real import MARKER, Real, raise_real
from dbtune.server.connection import Target, connect
from dbtune.workload.query import Query
from tests.index.cataloged import snapshot

OWNER = Index(schema="public", table="item", keys=(Key("owner"),))
COVERING = Index(schema="public", table="item", keys=(Key("owner"),), include=("code",))
TRIGRAMS = Index(schema="public", table="item", keys=(Key("code", opclass="gin_trgm_ops"),), method="gin")
NONSENSE = Index(schema="public", table="item", keys=(Key("nothing"),))


def ask(statement: str, *values: str, name: str = "q") -> Question:
    return Question(name=name, query=Query(name=name, statement=statement), values=values)


@pytest.fixture
def target(db: Connection, database_url: str) -> Target:
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, owner int, code text)")
    db.exec_driver_sql("INSERT INTO item SELECT g, mod(g, 500), 'code ' || g FROM generate_series(1, 20000) AS g")
    db.exec_driver_sql("CREATE INDEX item_code ON item (code)")
    db.commit()
    target = Target(make_url(database_url), "test")
    with connect(target) as other:
        other.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM (ANALYZE) item")
    return target


@pytest.fixture
def real(target: Target, db: Connection) -> Iterator[Real]:
    raised = raise_real(target, snapshot(db), throw_away=True)
    db.rollback()
    yield raised
    raised.close()


def indexes(db: Connection) -> list[str]:
    names = db.exec_driver_sql("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1").scalars()
    found = [str(name) for name in names]
    db.rollback()
    return found


def test_the_plan_follows_what_is_live(real: Real) -> None:
    (code,) = real.known
    owner, covering = real.add([OWNER, COVERING])
    assert (code.exists, owner.exists, owner.id, covering.id) == (True, False, 1, 2)
    assert owner.pages > 1
    question = ask("SELECT code FROM item WHERE owner = 7")
    without = real.plan(question, {code.id})
    plain = real.plan(question, {code.id, owner.id})
    both = real.plan(question, {code.id, owner.id, covering.id})
    assert [set(answer.used) for answer in (without, plain, both)] == [set(), {owner.id}, {covering.id}]
    assert without.cost > plain.cost > both.cost
    assert both.document["Plan"]["Node Type"] == "Index Only Scan"
    assert real.plan(question, {code.id}).cost == without.cost
    assert real.calls == 4


def test_an_index_that_is_there_can_be_thought_away(real: Real) -> None:
    question = ask("SELECT * FROM item WHERE code = $1", "code 12")
    assert real.plan(question, {0}).used == {0}
    gone = real.plan(question, set())
    assert gone.used == frozenset()
    assert gone.document["Plan"]["Node Type"] == "Seq Scan"


def test_values_and_the_generic_plan_are_different_questions(real: Real) -> None:
    (owner,) = real.add([OWNER])
    query = Query(name="q", statement="SELECT * FROM item WHERE owner < $1", types=("int",))
    few = real.plan(Question(name="few", query=query, values=("1",)), {owner.id})
    many = real.plan(Question(name="many", query=query, values=("400",)), {owner.id})
    generic = real.plan(Question(name="generic", query=query, values=None), {owner.id})
    assert few.used == {owner.id}
    assert many.used == frozenset()
    assert few.cost < generic.cost
    # a generic plan is made anew although the statement is the same
    assert real.plan(Question(name="generic", query=query, values=None), set()).used == frozenset()


def test_what_the_server_refuses_is_told_and_stops_nothing(real: Real) -> None:
    refused, owner = real.add([NONSENSE, OWNER])
    assert refused.reason == 'column "nothing" does not exist'
    assert owner.reason is None
    assert real.plan(ask("SELECT missing FROM item"), set()).reason == 'column "missing" does not exist'
    assert real.plan(ask("SELECT 1; DROP TABLE item"), set()).reason is not None
    assert real.plan(ask("SELECT * FROM item WHERE owner = 3"), {owner.id}).used == {owner.id}


def test_trigrams_get_their_extension_for_the_time_being(real: Real, db: Connection) -> None:
    (trigrams,) = real.add([TRIGRAMS])
    assert trigrams.reason is None
    assert real.plan(ask("SELECT * FROM item WHERE code LIKE '%e 1999%'"), {trigrams.id}).used == {trigrams.id}
    real.close()
    assert db.exec_driver_sql("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'").scalar() == 0


def test_the_copy_is_as_it_was(real: Real, db: Connection) -> None:
    real.add([OWNER, COVERING, NONSENSE])
    real.plan(ask("DELETE FROM item"), {0, 1})
    assert len(indexes(db)) == 4
    real.close()
    assert indexes(db) == ["item_code", "item_pkey"]
    assert db.exec_driver_sql("SELECT count(*) FROM item").scalar() == 20000
    assert db.exec_driver_sql("SELECT bool_and(indisvalid) FROM pg_index").scalar()


def test_what_a_killed_one_left_is_removed(target: Target, db: Connection) -> None:
    known = snapshot(db)
    db.exec_driver_sql("CREATE INDEX dbtune_whatif_7 ON item (owner)")
    db.exec_driver_sql(f"COMMENT ON INDEX dbtune_whatif_7 IS '{MARKER}'")
    db.commit()
    raise_real(target, known, throw_away=True).close()
    assert indexes(db) == ["item_code", "item_pkey"]


def test_indexes_of_partitions_count_for_their_parent(target: Target, db: Connection) -> None:
    db.exec_driver_sql("CREATE TABLE event (id int, at date) PARTITION BY RANGE (at)")
    for year in (2018, 2019):
        db.exec_driver_sql(
            f"CREATE TABLE event_{year} PARTITION OF event FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
        )
    db.exec_driver_sql(
        "INSERT INTO event SELECT g, date '2018-01-01' + mod(g, 700) FROM generate_series(1, 20000) AS g"
    )
    db.exec_driver_sql("ANALYZE event")
    db.commit()
    real = raise_real(target, snapshot(db), throw_away=True)
    db.rollback()
    try:
        (by_id,) = real.add([Index(schema="public", table="event", keys=(Key("id"),))])
        question = ask("SELECT * FROM event WHERE id = 12")
        assert by_id.pages > 2
        assert real.plan(question, {0, by_id.id}).used == {by_id.id}
        assert real.plan(question, {0}).used == frozenset()
    finally:
        real.close()


def test_it_needs_the_word_that_it_is_a_copy(target: Target, db: Connection) -> None:
    known = snapshot(db)
    db.rollback()
    with pytest.raises(Unsafe, match="--throw-away"):
        raise_real(target, known, throw_away=False)
    name = db.exec_driver_sql("SELECT current_database()").scalar()
    db.exec_driver_sql(f"ALTER DATABASE {name} SET dbtune.production = on")
    db.commit()
    with pytest.raises(Unsafe, match="production"):
        raise_real(target, known, throw_away=True)


def test_it_needs_a_superuser(target: Target, db: Connection) -> None:
    known = snapshot(db)
    db.exec_driver_sql("CREATE ROLE modest LOGIN")
    db.commit()
    try:
        modest = Target(target.url.set(username="modest"), "test")
        with pytest.raises(ServerError, match="superuser"):
            raise_real(modest, known, throw_away=True)
    finally:
        db.exec_driver_sql("DROP ROLE modest")
        db.commit()


def test_the_connection_is_closed_where_it_refuses(target: Target, db: Connection) -> None:
    with pytest.raises(Unsafe):
        raise_real(target, snapshot(db), throw_away=False)
    with connect(target) as other:
        assert other.exec_driver_sql("SELECT 1").scalar() == 1
