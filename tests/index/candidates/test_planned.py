"""What plans tell, as EXPLAIN (VERBOSE, FORMAT JSON) prints them."""

from __future__ import annotations

from typing import Any

import pytest

from dbtune.index.candidates import Candidates, candidates
from dbtune.plan.parse import parse
from tests.index.candidates.build import column, query, snapshot, table, targets

T = table(
    "t", column("id", "bigint"), "a", "b", column("name", "character varying(40)"), column("at", "date"),
    column("Odd", "text"), column("pad", "text", width=300),
)  # fmt: skip
U = table("u", column("t_id", "bigint"), "kind", column("pad", "text", width=300))
TWO = snapshot(T, U)


def scan(relation: str, alias: str | None = None, kind: str = "Seq Scan", **more: object) -> dict[str, Any]:
    return {"Node Type": kind, "Relation Name": relation, "Schema": "public", "Alias": alias or relation, **more}


def above(kind: str, *plans: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"Node Type": kind, "Plans": list(plans), **more}


def of(root: dict[str, Any], statement: str = "EXECUTE x") -> Candidates:
    return candidates([query(statement)], TWO, {"q": parse([{"Plan": root}])})


@pytest.mark.parametrize(
    ("root", "wanted"),
    [
        (scan("t", Filter="(t.a = 1)"), "t (a)"),
        (scan("t", Filter="(a = 1)"), "t (a)"),
        (scan("t", "x", Filter="((x.a = 1) AND (x.b > 2))"), "t (a, b)"),
        (scan("t", Filter="(t.a = ANY ('{1,2}'::integer[]))"), "t (a)"),
        (scan("t", Filter="(t.b = $0)"), "t (b)"),
        (scan("t", Filter="(t.b = (InitPlan 1).col1)"), "t (b)"),
        (scan("t", Filter="((t.a = 1) AND (NOT (hashed SubPlan 1)))"), "t (a)"),
        (scan("t", Filter="((t.a = 1) AND EXISTS(SubPlan 1))"), "t (a)"),
        (scan("t", Filter="((alternatives: SubPlan 1 or hashed SubPlan 2) AND (t.a = 1))"), "t (a)"),
        (scan("t", Filter="((t.name)::text = 'x'::text)"), "t (name)"),
        (scan("t", Filter="(lower((t.name)::text) = 'x'::text)"), "t ((lower(name)))"),
        (scan("t", Filter="((t.name)::text ~~ 'ab%'::text)"), "t (name text_pattern_ops)"),
        (scan("t", Filter="((t.name)::text ~~* '%abc%'::text)"), "t USING gin (name gin_trgm_ops)"),
        (scan("t", Filter="(ROW(t.a, t.b) > ROW(1, 2))"), "t (a, b)"),
        (scan("t", Filter="((t.a = 1) OR (t.b = 2))"), "t (b)"),
        (scan("t", Filter='(t."Odd" = \'x\'::text)'), 't ("Odd")'),
        (scan("t", kind="Index Scan", **{"Index Cond": "(t.id = 3)", "Filter": "(t.a = 1)"}), "t (a, id)"),
        (
            above(
                "Hash Join",
                scan("t"),
                above("Hash", scan("u", "o", Filter="(o.kind = 3)")),
                **{"Hash Cond": "(t.id = o.t_id)"},
            ),
            "u (t_id, kind)",
        ),
        (above("Nested Loop", scan("t"), scan("u"), **{"Join Filter": "(u.t_id = t.id)"}), "u (t_id)"),
        (above("Merge Join", scan("t"), scan("u"), **{"Merge Cond": "(u.t_id = t.id)"}), "t (id)"),
        (above("Limit", above("Sort", scan("t"), **{"Sort Key": ["t.at DESC", "t.id"]})), "t (at, id DESC)"),
        (above("Limit", above("Sort", scan("t"), **{"Sort Key": ["t.at DESC NULLS LAST"]})), "t (at NULLS FIRST)"),
        (above("Sort", scan("t"), **{"Sort Key": ['t.name COLLATE "C"']}), 't (name COLLATE "C")'),
        (above("Aggregate", scan("t"), **{"Group Key": ["t.a", "t.b"]}), "t (a, b)"),
        (above("Aggregate", scan("t"), **{"Group Key": ["a"]}), "t (a)"),
        (above("ModifyTable", scan("t", Filter="(t.a = 1)"), **{"Relation Name": "t", "Alias": "t"}), "t (a)"),
        (scan("t", Filter="(t.a = 1)", Output=["t.b"]), "t (a) INCLUDE (b)"),
        (above("Aggregate", scan("t", Filter="(t.a = 1)", Output=["t.id", "t.a", "t.b", "t.pad"]), Output=["sum(t.b)"]),
         "t (a) INCLUDE (b)"),
    ],
)  # fmt: skip
def test_what_a_plan_tests_joins_and_sorts_by_is_found(root: dict[str, Any], wanted: str) -> None:
    result = of(root)
    assert not result.unreadable
    assert wanted in targets(result), targets(result)


def test_a_statement_that_cannot_be_read_is_told_to_be_read_from_its_plan() -> None:
    result = of(scan("t", Filter="(t.a = 1)"))
    assert result.notes == {"q": ("read from its plan alone: it is no statement that reads or changes rows",)}


def test_constants_of_a_plan_are_the_texts_only_where_it_has_no_parameters() -> None:
    flag = table("t", column("flag", "text", distinct=3, common=[("x", 0.1)]), "a", column("pad", "text", width=300))
    plans = {"q": parse([{"Plan": scan("t", Filter="((t.flag = 'x'::text) AND (t.a = 1))")}])}
    part = "t (a) WHERE flag = 'x'"
    constant = candidates([query("SELECT * FROM v WHERE flag = 'x' AND a = 1")], snapshot(flag), plans)
    assert part in targets(constant)
    varying = candidates([query("SELECT * FROM v WHERE flag = $1 AND a = $2")], snapshot(flag), plans)
    assert part not in targets(varying)


def test_nothing_is_carried_for_rows_that_are_changed_or_locked() -> None:
    root = above("LockRows", scan("t", Filter="(t.a = 1)", Output=["t.b"]), Output=["t.b"])
    assert not [each for each in targets(of(root)) if "INCLUDE" in each]


def test_without_verbose_nothing_is_carried() -> None:
    assert targets(of(scan("t", Filter="(a = 1)"))) == ["t (a)"]


def test_partitions_are_one_table() -> None:
    parent = table("p", "id", column("pad", "text", width=300), kind="p", pages=0)
    part = [table(f"p{n}", *parent.columns, inherits=[("public", "p")], bound="x") for n in (1, 2)]
    other = table("u", "p_id", column("pad", "text", width=300))
    append = above("Append", scan("p1", "p_1", Filter="(p_1.id > 7)"), scan("p2", "p_2", Filter="(p_2.id > 7)"))
    root = above("Hash Join", append, above("Hash", scan("u")), **{"Hash Cond": "(p.id = u.p_id)"})
    result = candidates([query("EXECUTE x")], snapshot(parent, *part, other), {"q": parse([{"Plan": root}])})
    assert targets(result) == ["p (id)", "u (p_id)"]


def test_tables_that_the_snapshot_lacks_are_told() -> None:
    result = of(above("Nested Loop", scan("t", Filter="(t.a = 1)"), scan("gone")))
    assert "there is no table public.gone in the snapshot" in result.notes["q"]
    assert of(scan("gone")).unreadable == {"q": "it is no statement that reads or changes rows"}


@pytest.mark.parametrize(
    "text",
    ["", "(((", "t.a = ", "'", "(t.a = 'x", "\x00", "a b c", "(t.a @@@ 3)", "1; DROP TABLE t", "t.*", "$1", "ROW()"],
)
def test_conditions_that_are_none_do_no_harm(text: str) -> None:
    for key in ("Filter", "Index Cond", "Hash Cond"):
        of(scan("t", **{key: text}))
    of(above("Sort", scan("t", Output=[text]), **{"Sort Key": [text], "Output": [text]}))
