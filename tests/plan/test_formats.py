"""Every format of EXPLAIN gives the same documents: the same statement is explained in each, and compared.

The statements are in formats/*.sql, on the tables of formats/schema.sql; empty lines are between them. The first line
names a statement (and the first version that has it); ``-- set`` gives settings that steer the planner to the kind of
node it is there for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extras import register_default_json
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from dbtune.plan.formats import documents
from dbtune.server import connection
from dbtune.server.embedded import EmbeddedServer
from tests.plan.formats.comparison import as_text_has_it, differences

HERE = Path(__file__).parent / "formats"
PARALLEL = (
    "max_parallel_workers_per_gather = 2",
    "parallel_setup_cost = 0",
    "parallel_tuple_cost = 0",
    "min_parallel_table_scan_size = 0",
    "min_parallel_index_scan_size = 0",
)
JIT = ("jit = on", "jit_above_cost = 0", "jit_inline_above_cost = 0", "jit_optimize_above_cost = 0")


@dataclass(frozen=True, slots=True)
class Statement:
    name: str
    settings: tuple[str, ...]
    sql: str
    since: int = 13


def statements(file: str) -> list[Statement]:
    found: list[Statement] = []
    for block in (HERE / file).read_text().strip().split("\n\n"):
        title, *rest = block.split("\n")
        name, _, since = title.removeprefix("-- ").partition(", ")
        chosen = list(PARALLEL) if file == "parallel.sql" else []
        while rest[0].startswith("-- set "):
            chosen += rest.pop(0).removeprefix("-- set ").split(", ")
        found.append(Statement(name, tuple(chosen), "\n".join(rest), int(since or 13)))
    return found


def every(*files: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("statement", [s for f in files for s in statements(f)], ids=lambda s: s.name)


ALL = ("reads.sql", "parallel.sql", "changes.sql", "foreign.sql", "versions.sql")


@pytest.fixture(scope="module")
def sample(server: EmbeddedServer) -> Iterator[Connection]:
    """A connection to a database with the sample tables; made once, since every test leaves it as it was."""
    url = make_url(server.url()).set(drivername="postgresql+psycopg2")
    with connection.connect(connection.Target(url, "test")) as outside:
        outside.rollback()
        outside.execution_options(isolation_level="AUTOCOMMIT")
        outside.exec_driver_sql("CREATE DATABASE formats")
        with connection.connect(connection.Target(url.set(database="formats"), "test")) as inside:
            for file in ("schema.sql", "foreign_schema.sql"):
                text = (HERE / file).read_text().replace("{host}", str(url.query["host"]))
                text = text.replace("{port}", str(url.query["port"])).replace("{user}", str(url.username))
                inside.exec_driver_sql(text, execution_options={"no_parameters": True})
            if server_of(inside) >= 14:
                inside.exec_driver_sql("ALTER SERVER here OPTIONS (ADD async_capable 'true')")
            inside.commit()
            driver: Any = inside.connection.dbapi_connection
            register_default_json(driver, loads=str)  # JSON is read here, not by the driver
            yield inside
        outside.exec_driver_sql("DROP DATABASE formats WITH (FORCE)")


def server_of(sample: Connection) -> int:
    return connection.server_version_num(sample) // 10_000


def explain(sample: Connection, statement: Statement, *options: str) -> str:
    """Return what EXPLAIN prints, from a transaction that is rolled back."""
    if server_of(sample) < statement.since:
        pytest.skip(f"{statement.since} has it first")
    send = sample.exec_driver_sql
    try:
        for setting in statement.settings:
            if server_of(sample) < 16:
                setting = setting.replace("debug_parallel_query", "force_parallel_mode")
            send(f"SET LOCAL {setting}")
        chosen = ", ".join(filter(None, options))
        rows = send(f"EXPLAIN ({chosen}) {statement.sql}", execution_options={"no_parameters": True})
        return "\n".join(row[0] for row in rows)
    except DBAPIError as error:
        if connection.sqlstate(error) == "0A000":
            pytest.skip(f"this build lacks it: {connection.reason(error)}")
        raise
    finally:
        sample.rollback()


def read_json(text: str) -> Any:
    """Read JSON, and put right what no reader of JSON takes: until 18 a MERGE into partitions is printed so."""
    misplaced = re.compile(r'(\n *\}),((?:\s+"Tuples \w+": \d+,?)+)(\s+\])(?=,)')
    value = json.loads(misplaced.sub(r"\1\3,\2", text))
    assert documents(text) == value
    return value


# What differs from one execution to the next, though the plan be the same: what the cache held, and so is zero or not.
COUNTED = re.compile(r".* Blocks|.*I/O .* Time|WAL .*")
# This too, but it is there every time.
MEASURED = re.compile(
    r".* Time|Time|Peak Memory Usage|Memory (Used|Allocated)|Generation|Inlining|Optimization|Emission|Total|Deform"
)
# What depends on how the work was divided between processes.
DIVIDED = re.compile(
    r"Actual (Rows|Loops)|Rows Removed .*|.*Sort (Space|Method).*|.* Groups|Hash.*|Original Hash.*|Cache .*|Disk Usage"
    r"|Heap Fetches|Workers|Index Searches|Peak Memory Usage|HashAgg Batches|Functions"
)


def repeatable(value: Any, *, parallel: bool) -> Any:
    """Return a document without what differs between two executions."""
    if isinstance(value, list):
        return [repeatable(item, parallel=parallel) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        if COUNTED.fullmatch(key) or (parallel and DIVIDED.fullmatch(key)):
            continue
        measured = isinstance(item, int | float) and not isinstance(item, bool) and MEASURED.fullmatch(key)
        item = type(item).__name__ if measured else repeatable(item, parallel=parallel)
        if item != {}:
            kept[key] = item
    return kept


@every(*ALL)
def test_a_plan_in_every_format(statement: Statement, sample: Connection) -> None:
    for options in ("", "VERBOSE", "COSTS OFF", "VERBOSE, COSTS OFF"):
        expected = read_json(explain(sample, statement, "FORMAT JSON", options))
        for form in ("YAML", "XML"):
            given = explain(sample, statement, f"FORMAT {form}", options)
            assert differences(documents(given), expected) == [], given
        given = explain(sample, statement, "FORMAT TEXT", options)
        expected = as_text_has_it(expected, verbose="VERBOSE" in options)
        assert differences(documents(given), expected) == [], given


@every(*ALL)
def test_an_execution_in_every_format(statement: Statement, sample: Connection) -> None:
    more = ", SERIALIZE TEXT, MEMORY" if server_of(sample) >= 17 else ""
    parallel = statement.settings[:1] == PARALLEL[:1]
    for options in ("", f"VERBOSE, BUFFERS, WAL, SETTINGS{more}", "COSTS OFF, TIMING OFF, SUMMARY OFF"):
        raw = read_json(explain(sample, statement, "ANALYZE, FORMAT JSON", options))
        expected = repeatable(raw, parallel=parallel)
        for form in ("YAML", "XML"):
            given = explain(sample, statement, f"ANALYZE, FORMAT {form}", options)
            assert differences(repeatable(documents(given), parallel=parallel), expected) == [], given
        verbose = "VERBOSE" in options
        given = explain(sample, statement, "ANALYZE, FORMAT TEXT", options)
        expected = repeatable(as_text_has_it(raw, verbose=verbose), parallel=parallel)
        # A zero counter that TEXT does print, such as of heap fetches, is compared as well.
        found = repeatable(as_text_has_it(documents(given), verbose=verbose), parallel=parallel)
        assert differences(found, expected) == [], given


@pytest.mark.parametrize("name", ["seq scan", "bitmap", "external sort", "spilling hash", "recursive", "memoize"])
def test_counters_of_blocks(name: str, sample: Connection) -> None:
    (statement,) = (each for each in statements("reads.sql") if each.name == name)
    explain(sample, statement, "ANALYZE, BUFFERS")  # from now on all blocks are in the cache
    expected = as_text_has_it(read_json(explain(sample, statement, "ANALYZE, BUFFERS, FORMAT JSON")), verbose=False)
    found = documents(explain(sample, statement, "ANALYZE, BUFFERS"))
    assert blocks(expected[0]["Plan"]), "no counter to compare"
    assert blocks(found[0]["Plan"]) == blocks(expected[0]["Plan"])


def blocks(node: Any, path: str = "") -> dict[str, int]:
    found = {f"{path}/{key}": value for key, value in node.items() if key.endswith(" Blocks")}
    for number, child in enumerate(node.get("Plans", ())):
        found |= blocks(child, f"{path}/{number}")
    return found


def test_compilation(sample: Connection) -> None:
    (statement,) = (each for each in statements("parallel.sql") if each.name == "partial aggregate")
    statement = replace(statement, settings=statement.settings + JIT)
    raw = read_json(explain(sample, statement, "ANALYZE, VERBOSE, FORMAT JSON"))
    if "JIT" not in raw[0]:
        pytest.skip("this build does not compile")
    expected = repeatable(as_text_has_it(raw, verbose=True), parallel=True)
    for form in ("TEXT", "YAML", "XML"):
        given = explain(sample, statement, f"ANALYZE, VERBOSE, FORMAT {form}")
        found = documents(given)
        assert differences(repeatable(as_text_has_it(found, verbose=True), parallel=True), expected) == [], given
        worker = found[0]["Plan"]["Plans"][0]["Plans"][0]["Workers"][0]
        assert worker["JIT"].keys() == found[0]["JIT"].keys() == {"Functions", "Options", "Timing"}


def test_settings(sample: Connection) -> None:
    paths = """SET LOCAL search_path = "$user", public, "O'Brien, = 'x'" """
    for form in ("JSON", "TEXT", "YAML", "XML"):
        sample.exec_driver_sql(paths)
        sample.exec_driver_sql("SET LOCAL work_mem = '64kB'")
        given = explain(sample, Statement("settings", (), "SELECT 1"), "SETTINGS", f"FORMAT {form}")
        (document,) = documents(given)
        assert document["Settings"] == {
            "search_path": '"$user", public, "O\'Brien, = \'x\'"',
            "work_mem": "64kB",
        }, given


@pytest.mark.parametrize("form", ["text", "json", "yaml", "xml"])
def test_what_auto_explain_logs(form: str, sample: Connection, server: EmbeddedServer) -> None:
    """A statement whose text and values look like a plan, and one in a trigger, on the rows of a transition table."""
    sql = """PREPARE asked (text) AS
INSERT INTO log SELECT 1, $1 FROM item

\tWHERE id = 5 AND name <> 'a

Seq Scan on x  (cost=';"""
    before = server.log.stat().st_size
    try:
        sample.exec_driver_sql("LOAD 'auto_explain'")
        for setting in ("min_duration = 0", f"format = {form}", "nested_statements = on", "analyze = on"):
            sample.exec_driver_sql(f"SET LOCAL auto_explain.log_{setting}")
        sample.exec_driver_sql(sql)
        sample.exec_driver_sql("EXECUTE asked ('it''s')")
    finally:
        sample.rollback()
        sample.exec_driver_sql("DEALLOCATE ALL")
        sample.exec_driver_sql("PREPARE one_part (int) AS SELECT * FROM part WHERE id = $1")
        sample.commit()
    with server.log.open() as log:
        log.seek(before)
        logged = log.read()
    nested, outer = documents(logged)
    assert outer["Query Text"] == sql
    if server_of(sample) >= 16:
        assert outer["Query Parameters"] == "$1 = 'it''s'"
    assert outer["Duration"] >= nested["Duration"] > 0
    change = outer["Plan"]
    assert (change["Node Type"], change["Relation Name"], change["Actual Loops"]) == ("ModifyTable", "log", 1)
    assert change["Plans"][0]["Filter"] == "(name <> 'a\n\nSeq Scan on x  (cost='::text)"
    assert nested["Query Text"] == "SELECT count(*) FROM fresh"
    assert nested["Plan"]["Plans"][0]["Node Type"] == "Named Tuplestore Scan"
