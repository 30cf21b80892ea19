"""Entries become executions and events, however the server was told to log."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from dbtune.workload.capture.log import Entry, Kind, events, executions

TIME = "2026-01-31 10:00:00.500 UTC"


def said(message: str, process: int | None = 1, *, severity: str = "LOG", **more: str) -> Entry:
    return Entry(severity, message, TIME, process, **more)


def sent(*entries: Entry) -> list[tuple[str, tuple[str | None, ...] | None, float]]:
    return [(each.statement, each.values, each.duration_ms) for each in executions(entries)]


def test_a_statement_with_constants() -> None:
    assert sent(said("duration: 1.250 ms  statement: SELECT * FROM t WHERE a = 'it''s' AND b = 3")) == [
        ("SELECT * FROM t WHERE a = $1 AND b = $2", ("it's", "3"), 1.25)
    ]


@pytest.mark.parametrize("name", ["<unnamed>", "S_1", "S_1/C_2", "__asyncpg_stmt_1__", "a:b"])
@pytest.mark.parametrize("label", ["parameters", "Parameters"])
def test_parse_bind_and_execute_are_one_call(name: str, label: str) -> None:
    detail = f"{label}: $1 = 'x'', $2 = ''y', $2 = NULL"
    assert sent(
        said(f"duration: 0.1 ms  parse {name}: SELECT $1, $2"),
        said(f"duration: 0.2 ms  bind {name}: SELECT $1, $2", detail=detail),
        said(f"duration: 0.3 ms  execute {name}: SELECT $1, $2", detail=detail),
        said(f"duration: 0.4 ms  execute fetch from {name}: SELECT $1, $2", detail=detail),
    ) == [("SELECT $1, $2", ("x', $2 = 'y", None), 0.3)]


def test_values_that_were_cut_are_not_told() -> None:
    cut = said("duration: 0.3 ms  execute a: SELECT $1", detail="Parameters: $1 = 'abc...'")
    assert sent(cut, said("duration: 0.3 ms  execute a: SELECT $1")) == [("SELECT $1", None, 0.3)] * 2


def test_log_statement_and_its_duration() -> None:
    assert sent(
        said("duration: 0.01 ms"),  # of a parse
        said("statement: SELECT 7"),
        said("statement: SELECT 8", 2),
        said("duration: 2.5 ms"),
        said("execute <unnamed>: SELECT $1", detail="parameters: $1 = '9'"),
        said("duration: 3.5 ms"),
        said("duration: 4.5 ms", 2),
        said("statement: SELECT 10"),  # its duration is not told
    ) == [("SELECT $1", ("7",), 2.5), ("SELECT $1", ("9",), 3.5), ("SELECT $1", ("8",), 4.5)]


def plan_of(statement: str, node: str = "Result", *, as_json: bool = True, given: str = "") -> str:
    if as_json:
        document = {"Query Text": statement} | ({"Query Parameters": given} if given else {})
        return "plan:\n" + json.dumps(document | {"Plan": {"Node Type": node}}, indent=2)
    parameters = f"Query Parameters: {given}\n" if given else ""
    return f"plan:\nQuery Text: {statement}\n{parameters}{node}  (cost=0.00..0.01 rows=1 width=4)"


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("plan_first", [True, False])
def test_a_plan_and_its_statement_are_one_call(as_json: bool, plan_first: bool) -> None:
    statement = "SELECT a,\n  b FROM t WHERE c = 5"
    entries = [
        said(f"duration: 1.0 ms  {plan_of(statement, as_json=as_json)}"),
        said(f"duration: 1.1 ms  statement: {statement}"),
    ]
    others = [said("duration: 9.0 ms  statement: SELECT 1", 2)]
    for logged in (entries, [entries[0], *others, entries[1]]):
        found = list(executions(logged if plan_first else reversed(logged)))
        (ours,) = [each for each in found if " FROM t" in each.statement]
        assert (ours.duration_ms, ours.values) == (1.1, ("5",))
        assert ours.plan is not None
        assert ours.plan["Plan"]["Node Type"] == "Result"
        assert len(found) == len(logged) - 1


def test_a_plan_alone_is_a_call_with_its_parameters() -> None:
    plan = plan_of("SELECT * FROM t WHERE c = $1", given="$1 = 'x'")
    (found,) = executions([said(f"duration: 5.0 ms  {plan}")])
    assert (found.statement, found.values, found.duration_ms) == ("SELECT * FROM t WHERE c = $1", ("x",), 5.0)
    assert found.plan is not None
    assert found.plan["Duration"] == 5.0


def test_a_plan_of_another_statement_is_no_twin() -> None:
    found = list(
        executions(
            [
                said(f"duration: 1.0 ms  {plan_of('SELECT 1 FROM a')}"),
                said("duration: 2.0 ms  statement: SELECT 1 FROM b"),
            ]
        )
    )
    assert [(each.statement, each.plan is None) for each in found] == [
        ("SELECT $1 FROM a", False),
        ("SELECT $1 FROM b", True),
    ]


def test_a_plan_within_a_function_is_no_call() -> None:
    plan = said(f"duration: 1.0 ms  {plan_of('SELECT 1 FROM a')}", context="PL/pgSQL function f() line 1 at PERFORM")
    assert sent(plan) == []


def test_a_plan_that_breaks_off_costs_only_itself() -> None:
    broken = said('duration: 1.0 ms  plan:\n{ "Query Text": "SELECT 1", "Plan": {')
    assert sent(broken, said("duration: 1.5 ms  statement: SELECT 2 FROM t")) == [("SELECT $1 FROM t", ("2",), 1.5)]


def test_only_some_plans_of_a_statement_are_kept() -> None:
    plan = plan_of("SELECT 1 FROM a")
    found = list(executions(said(f"duration: {n}.0 ms  {plan}") for n in (5, 1, 2, 3, 4, 9)))
    assert [each.plan is not None for each in found] == [True, True, True, False, False, True]


@pytest.mark.parametrize(
    ("statement", "detail", "expected"),
    [
        ("EXECUTE q", "prepare: PREPARE q AS SELECT 1 FROM t", ("SELECT 1 FROM t", ())),
        ("EXECUTE q (5, NULL)", "prepare: PREPARE q (int, bit(3)) AS VALUES ($1,$2)", ("VALUES ($1,$2)", ("5", None))),
        ('execute "a q"(\'x, y\');', 'prepare: PREPARE "a q" AS SELECT $1', ("SELECT $1", ("x, y",))),
        ("EXECUTE q (now())", "prepare: PREPARE q AS SELECT $1", ("SELECT $1", None)),
        ('DECLARE "c 1" SCROLL CURSOR WITH HOLD FOR SELECT 1 FROM t', "", ("SELECT $1 FROM t", ("1",))),
        ("declare c no scroll cursor for\nSELECT a FROM t", "", ("SELECT a FROM t", ())),
    ],
)  # fmt: skip
def test_statements_that_stand_for_another(statement: str, detail: str, expected: tuple[str, object]) -> None:
    (found,) = executions([said(f"duration: 1.0 ms  statement: {statement}", detail=detail)])
    assert (found.statement, found.values) == expected


@pytest.mark.parametrize(
    "entry",
    [
        said("duration: 1.0 ms  statement: BEGIN"),
        said("duration: 1.0 ms  statement: SELECT 1; SELECT 2"),
        said("duration: 1.0 ms  statement: EXECUTE q(1)"),
        said("duration: 1.0 ms  statement: /* dbtune */ SELECT 1"),
        said("duration: 1.0 ms  statement: SELECT 1", application="dbtune"),
        said("duration: 1.0 ms  statement: SELECT 'unterminated"),
        said("duration: x ms  statement: SELECT 1"),
        said("duration: 1.0 ms  something else: SELECT 1"),
        said("could not find a duration", severity="ERROR", statement="SELECT 1"),
    ],
)
def test_what_is_no_query(entry: Entry) -> None:
    assert sent(entry) == []


def test_when_it_began_and_who_sent_it() -> None:
    (found,) = executions([said("duration: 500.0 ms  statement: SELECT 1", 77, application="web")])
    assert found.time is not None
    assert (found.time.isoformat(), found.process, found.application) == ("2026-01-31T10:00:00+00:00", 77, "web")


def test_many_sessions_do_not_fill_the_memory() -> None:
    def endless() -> Iterable[Entry]:
        for process in range(20_000):
            yield said("duration: 1.0 ms  statement: SELECT 1", process)

    found = iter(executions(endless()))
    assert sum(1 for _ in found) == 20_000


@pytest.mark.parametrize(
    ("entry", "kind", "amount"),
    [
        (said("sorry, too many clients already", severity="FATAL"), Kind.TOO_MANY_CLIENTS, None),
        (said('too many connections for role "app"', severity="FATAL"), Kind.TOO_MANY_CLIENTS, None),
        (
            said("remaining connection slots are reserved for roles with the SUPERUSER attribute", severity="FATAL"),
            Kind.TOO_MANY_CLIENTS,
            None,
        ),
        (said("zu viele Clients", severity="FATAL", sqlstate="53300"), Kind.TOO_MANY_CLIENTS, None),
        (said("unexpected EOF on client connection with an open transaction"), Kind.LOST_IN_TRANSACTION, None),
        (said("terminating connection due to idle-in-transaction timeout"), Kind.IDLE_IN_TRANSACTION, None),
        (said("process 4 still waiting for ShareLock on transaction 7 after 1000.123 ms"), Kind.LOCK_WAIT, 1000.123),
        (said("process 4 acquired ShareLock on transaction 7 after 2000.5 ms"), Kind.LOCK_WAIT, 2000.5),
        (said("deadlock detected", severity="ERROR", sqlstate="40P01"), Kind.DEADLOCK, None),
        (said('temporary file: path "base/pgsql_tmp/pgsql_tmp1.0", size 4096'), Kind.TEMPORARY_FILE, 4096),
        (said("canceling statement due to statement timeout", severity="ERROR"), Kind.CANCELLED, None),
    ],
)
def test_events(entry: Entry, kind: Kind, amount: float | None) -> None:
    (found,) = events([entry._replace(statement="SELECT 1", user="bob")])
    assert (found.kind, found.amount, found.statement, found.user) == (kind, amount, "SELECT 1", "bob")
    assert found.process == 1


@pytest.mark.parametrize(
    "message", ["process 4 detected deadlock", "checkpoint complete", "duration: 1.0 ms  statement: SELECT 'deadlock'"]
)
def test_what_is_no_event(message: str) -> None:
    assert list(events([said(message)])) == []
