"""All that is ever sent to a twin: nothing in it reads a production-sized table, let alone runs a query."""

from __future__ import annotations

import re

from dbtune.index.definition import Index, Key
from dbtune.index.whatif.protocol import Question
from dbtune.index.whatif.twin import raise_twin
from dbtune.server.binaries import Binaries
from dbtune.snapshot.value import Snapshot
from dbtune.workload.query import Query

_STATEMENT = re.compile(r"LOG: +statement: (.*?)(?=\n\d{4}-|\Z)", re.DOTALL)
_READS = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?\"?(?:public|Odd Schema)\"?\.", re.IGNORECASE)
_FORBIDDEN = re.compile(r"^\s*(?:VACUUM|ANALYZE|REINDEX|CLUSTER|CREATE DATABASE|COPY|FETCH|CALL|DO)\b", re.IGNORECASE)


def test_nothing_but_plans_is_asked_for(source_snapshot: Snapshot, programs: Binaries) -> None:
    settings = {"log_statement": "all", "log_min_messages": "log", "log_line_prefix": "%m "}
    query = Query(name="q", statement="SELECT count(*) FROM customer WHERE born = $1", types=("date",))
    with raise_twin(source_snapshot, bindir=programs.bindir, settings=settings) as twin:
        made = len(twin.cluster.log.read_text())
        (known,) = twin.add([Index(schema="public", table="customer", keys=(Key("born"),))])
        for values in (("1960-01-01",), None):
            assert twin.plan(Question(name="q", query=query, values=values), {known.id}).used == {known.id}
        assert twin.plan(Question(name="d", query=Query(name="d", statement="DELETE FROM customer")), ()).reason is None
        log = twin.cluster.log.read_text()
    statements = _STATEMENT.findall(log)
    assert len(statements) > 100
    assert [each for each in statements if _FORBIDDEN.search(each)] == []
    assert "ANALYZE" not in "".join(_STATEMENT.findall(log[made:])).replace("EXPLAIN (VERBOSE", "")
    asked = [each for each in _STATEMENT.findall(log[made:]) if "customer" in each]
    assert len(asked) == 4
    assert [each.split("/* dbtune */ ")[1].split()[0] for each in asked] == [
        "SAVEPOINT",
        "PREPARE",
        "PREPARE",
        "EXPLAIN",
    ]
    executed = [each for each in statements if "EXECUTE" in each]
    assert len(executed) == 2
    assert all("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE" in each for each in executed)
    read_only = log[made:].split("EXPLAIN (VERBOSE")
    assert all("SET TRANSACTION READ ONLY" in part for part in read_only[:3])
    reading = [each for each in statements if _READS.search(each) and "SELECT" in each]
    for each in reading:
        # made for rows that are not there: types of expressions, views, and the seeds, of constants
        assert re.search(r"WITH NO DATA|CREATE (?:TABLE|VIEW|POLICY|FUNCTION|OR REPLACE)|INSERT INTO", each), each
