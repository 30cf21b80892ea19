"""HypoPG, on Debian's PostgreSQL 15 where that is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url

from dbtune.errors import ServerError
from dbtune.index.definition import Index, Key
from dbtune.index.whatif.hypopg import HypoPG, raise_hypopg
from dbtune.index.whatif.protocol import Question
from dbtune.server import binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload.query import Query
from tests.index.cataloged import snapshot

DEBIAN = Path("/usr/lib/postgresql/15/bin")

pytestmark = pytest.mark.skipif(
    not (DEBIAN / "postgres").exists() or not binaries.at(DEBIAN).has_library("hypopg"),
    reason="needs Debian's packages postgresql-15 and postgresql-15-hypopg",
)

OWNER = Index(schema="public", table="item", keys=(Key("owner"),))
COVERING = Index(schema="public", table="item", keys=(Key("owner"),), include=("code",))
GIN = Index(schema="public", table="item", keys=(Key("tags"),), method="gin")


@pytest.fixture(scope="module")
def debian() -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="dbtune-test-hypopg-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder), binaries.at(DEBIAN))
        server.start()
        target = Target(make_url(server.url()).set(drivername="postgresql+psycopg2"), "test")
        with connect(target) as connection:
            connection.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, owner int, code text, tags int[])")
            connection.exec_driver_sql(
                "INSERT INTO item SELECT g, mod(g, 500), 'code ' || g, ARRAY[g] FROM generate_series(1, 20000) AS g"
            )
            connection.exec_driver_sql("CREATE INDEX item_code ON item (code)")
            connection.commit()
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM (ANALYZE) item")
        yield target
        server.reset()


@pytest.fixture
def connection(debian: Target) -> Iterator[Connection]:
    with connect(debian) as opened:
        opened.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS hypopg")
        opened.commit()
        yield opened


@pytest.fixture
def hypopg(debian: Target, connection: Connection) -> Iterator[HypoPG]:
    known = snapshot(connection)
    connection.rollback()
    raised = raise_hypopg(debian, known)
    yield raised
    raised.close()


def ask(statement: str, *values: str) -> Question:
    return Question(name="q", query=Query(name="q", statement=statement), values=values)


def test_the_plan_follows_what_is_live(hypopg: HypoPG, connection: Connection) -> None:
    owner, covering = hypopg.add([OWNER, COVERING])
    question = ask("SELECT code FROM item WHERE owner = $1", "7")
    everything = {known.id for known in hypopg.known}
    without = hypopg.plan(question, everything - {owner.id, covering.id})
    plain = hypopg.plan(question, everything - {covering.id})
    both = hypopg.plan(question, everything)
    assert [set(answer.used) for answer in (without, plain, both)] == [set(), {owner.id}, {covering.id}]
    assert without.cost > plain.cost > both.cost
    assert hypopg.plan(question, everything - {owner.id, covering.id}).cost == without.cost
    assert owner.pages > 1
    names = connection.exec_driver_sql("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
    assert list(names.scalars()) == ["item_code", "item_pkey"]


def test_access_methods_that_it_refuses_come_back_with_the_reason(hypopg: HypoPG) -> None:
    (gin,) = hypopg.add([GIN])
    assert gin.reason is not None
    assert "gin" in gin.reason


def test_indexes_that_are_there_can_be_hidden_by_newer_versions_only(hypopg: HypoPG) -> None:
    question = ask("SELECT * FROM item WHERE code = 'code 5'")
    existing = [known for known in hypopg.known if known.exists]
    if any("cannot hide" in said for said in hypopg.warnings):
        assert existing == []
        assert hypopg.plan(question, set()).document["Plan"]["Node Type"] != "Seq Scan"
    else:
        assert hypopg.plan(question, set()).document["Plan"]["Node Type"] == "Seq Scan"
        assert hypopg.plan(question, {existing[0].id}).used == {existing[0].id}


def test_a_refused_query_is_told_and_stops_nothing(hypopg: HypoPG) -> None:
    (owner,) = hypopg.add([OWNER])
    assert hypopg.plan(ask("SELECT missing FROM item"), set()).reason == 'column "missing" does not exist'
    assert hypopg.plan(ask("SELECT * FROM item WHERE owner = 3"), {owner.id}).used == {owner.id}


def test_without_the_extension_one_line_says_what_to_do(debian: Target, connection: Connection) -> None:
    known = snapshot(connection)
    connection.exec_driver_sql("DROP EXTENSION hypopg")
    connection.commit()
    with pytest.raises(ServerError, match="CREATE EXTENSION hypopg"):
        raise_hypopg(debian, known)
