"""The party service's captured queries: every advised index is used, none repeats a key, no table is read in vain."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url

from dbtune.index.advice import Advice
from dbtune.index.advisor import Wanted, session
from dbtune.index.advisor.removals import begins
from dbtune.index.advisor.session import Session
from dbtune.index.whatif.making import Method
from dbtune.party import data
from dbtune.party.rows import Scale
from dbtune.plan import explain
from dbtune.server.connection import Target, connect
from dbtune.snapshot.read import read
from dbtune.workload.files import load_folder

QUERIES = Path(__file__).parents[3] / "queries"
LARGE = 64
"""Pages from which on a table should not be read as a whole where an index can help."""


@pytest.fixture
def party(db: Connection, database_url: str) -> Target:
    data.load(db, Scale(businesses=2000))
    db.commit()
    return Target(make_url(database_url), "test")


def advised(target: Target, method: Method) -> Advice:
    queries = load_folder(QUERIES).workload.queries
    return session.run(
        Session(method=method, target=target, throw_away=method is Method.REAL, jobs=1), queries, Wanted()
    )


def test_the_advice_is_used_says_nothing_twice_and_ends_sequential_scans(party: Target, db: Connection) -> None:
    advice = advised(party, Method.TWIN)
    assert 3 <= len(advice.recommendations) <= 10
    assert advice.after < advice.before / 2
    assert advice.gap <= 0.01
    assert advice.predicted == pytest.approx(advice.after, rel=0.005)
    assert not advice.slower
    made = [each.index for each in advice.recommendations]
    assert all(each.helped for each in advice.recommendations)
    assert not [(one, other) for one in made for other in made if begins(one, other)]
    with connect(party) as other:
        snapshot = read(other)
    for index in made:
        table = snapshot.table(*index.relation)
        assert table is not None
        for existing in table.indexes:
            assert list(existing.key_columns[: len(index.keys)]) != [key.text for key in index.keys]

    for index in made:
        db.exec_driver_sql(index.ddl())
    db.commit()
    with connect(party) as other:
        other.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM (ANALYZE)")
    large = {f"{t.schema}.{t.name}" for t in snapshot.tables if t.pages > LARGE}
    assert large
    without_help = {each.query for each in advice.unhelped}
    used: set[str] = set()
    scanned: set[str] = set()
    for query in load_folder(QUERIES).workload.queries:
        for chosen in query.sets or (None,):
            found = explain.explain(db, query, chosen, explain.Options(analyze=False))
            assert found.plan is not None, found.reason
            used |= {node.index_name for node in found.plan.nodes if node.index_name is not None}
            if query.name not in without_help:
                scanned |= {f"{query.name}: {n.relation}" for n in found.plan.nodes
                            if n.node_type == "Seq Scan" and n.relation in large}  # fmt: skip
    assert {index.chosen_name for index in made} <= used
    assert not scanned

    again = advised(party, Method.TWIN)
    assert [each.index.target for each in again.recommendations] == []


def test_the_twin_advises_what_the_copy_does(party: Target) -> None:
    twin = advised(party, Method.TWIN)
    real = advised(party, Method.REAL)
    assert [each.index.target for each in twin.recommendations] == [each.index.target for each in real.recommendations]
    assert twin.after == pytest.approx(real.after, rel=0.01)
