"""Advice on a real server: what is advised, what is not and why, what may go, and how sure all that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, make_url

from dbtune.errors import Unsafe, UsageError
from dbtune.index.advice import Advice, Confidence
from dbtune.index.advisor import Wanted, advise, budget
from dbtune.index.advisor.measuring import measure
from dbtune.index.whatif.protocol import Answer, Question
from dbtune.index.whatif.real import Real, raise_real
from dbtune.server.connection import Target, connect
from dbtune.snapshot.read import read
from dbtune.workload.query import ParameterSet, Query

Advise = Callable[..., Advice]


@pytest.fixture
def target(database_url: str) -> Target:
    return Target(make_url(database_url), "test")


@pytest.fixture
def run(db: Connection, target: Target) -> Advise:
    """Advise on the database as the test left it."""

    def advised(*queries: Query, wanted: Wanted | None = None, **more: Any) -> Advice:
        db.commit()
        with connect(target) as other:
            other.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM (ANALYZE)")
        with connect(target) as other:
            snapshot = read(other)
        whatif = raise_real(target, snapshot, throw_away=True)
        try:
            return advise(snapshot, queries, whatif, wanted or Wanted(), **more)
        finally:
            whatif.close()

    return advised


@pytest.fixture
def items(db: Connection) -> Connection:
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, owner int, code text, kind int, note text)")
    db.exec_driver_sql(
        "INSERT INTO item SELECT g, mod(g, 5000), 'c' || g, mod(g, 4), repeat('x', 60)"
        " FROM generate_series(1, 50000) AS g"
    )
    return db


def query(statement: str, *sets: Sequence[str | None], name: str = "q", calls: int | None = None) -> Query:
    made = tuple(ParameterSet(name=f"set{n}", values=tuple(values)) for n, values in enumerate(sets))
    return Query(name=name, statement=statement, sets=made, calls=calls)


def ddl(advice: Advice) -> list[str]:
    return [each.index.target for each in advice.recommendations]


BY_OWNER = query("SELECT * FROM item WHERE owner = $1", ["7"], name="by-owner", calls=100)
BY_ID = query("SELECT * FROM item WHERE id = $1", ["7"], name="by-id", calls=100)


def test_what_helps_is_advised_with_whom_it_helps(run: Advise, items: Connection) -> None:
    advice = run(BY_OWNER, BY_ID)
    assert ddl(advice) == ["public.item (owner)"]
    (made,) = advice.recommendations
    assert [each.name for each in made.helped] == ["by-owner (set0)"]
    assert made.helped[0].after < made.helped[0].before / 10
    assert made.saves == pytest.approx(advice.before - advice.after)
    assert made.confidence is Confidence.HIGH
    assert made.bytes > 0
    assert made.reasons
    assert advice.gap <= 0.01
    assert advice.predicted == pytest.approx(advice.after, rel=0.005)
    assert [each.query for each in advice.unhelped] == ["by-id"]
    assert "item_pkey" in advice.unhelped[0].why
    assert advice.complete


def test_no_budget_no_index_and_no_noise(run: Advise, items: Connection) -> None:
    nothing = run(BY_OWNER, wanted=Wanted(budget=budget("0%")))
    assert ddl(nothing) == []
    assert nothing.before == nothing.after
    assert "is not advised" in nothing.unhelped[0].why
    assert any("budget" in each.why for each in nothing.rejected)
    none = run(query("SELECT sum(length(note)) + sum(owner) + sum(kind) FROM item", name="all"))
    assert none.recommendations == ()
    assert none.unhelped[0].query == "all"


def test_limits_on_number_names_and_columns(run: Advise, items: Connection) -> None:
    by_code = query("SELECT * FROM item WHERE code = $1", ["c7"], name="by-code", calls=1)
    assert ddl(run(BY_OWNER, by_code, wanted=Wanted(max_indexes=1))) == ["public.item (owner)"]
    assert ddl(run(BY_OWNER, by_code, wanted=Wanted(forbid=("item.owner",)))) == ["public.item (code)"]
    assert ddl(run(BY_OWNER, by_code, wanted=Wanted(forbid=("public.item",)))) == []
    made = run(BY_OWNER, by_code, wanted=Wanted(max_indexes=1, protect=("ix_item_code",)))
    assert ddl(made) == ["public.item (code)"]
    with pytest.raises(UsageError, match="--forbid nonsense"):
        run(BY_OWNER, wanted=Wanted(forbid=("nonsense",)))


def test_every_kind_of_trouble_is_told_by_query_and_the_rest_goes_on(run: Advise, items: Connection) -> None:
    items.exec_driver_sql("CREATE VIEW owned AS SELECT * FROM item WHERE owner IS NOT NULL")
    items.exec_driver_sql("CREATE TABLE few (id int, owner int)")
    items.exec_driver_sql("INSERT INTO few SELECT g, g FROM generate_series(1, 20) AS g")
    queries = [
        BY_OWNER,
        query("SELECT * FROM missing WHERE a = 1", name="missing"),
        query("SELEC nonsense", name="nonsense"),
        query("SELECT 1; SELECT 2", name="two"),
        query("SELECT * FROM owned WHERE code = 'c7'", name="view"),
        query("SELECT * FROM few WHERE owner = 3", name="small"),
        query("INSERT INTO few VALUES (1, 2)", name="insert"),
        query("SELECT * FROM item WHERE note LIKE '%y%'", name="pattern"),
        query("SELECT * FROM item i JOIN few f ON f.id = i.kind WHERE i.note = 'y' OR f.owner = 99", name="or"),
        query("SELECT sum(length(note)) + sum(owner) + sum(kind) + sum(length(code)) FROM item", name="all"),
        query("SELECT * FROM item WHERE id = 7", name="never", calls=0),
    ]
    advice = run(*queries)
    assert set(ddl(advice)) == {"public.item (owner)", "public.item (code)"}
    why = {each.query: each.why for each in advice.unhelped}
    assert set(why) == {each.name for each in queries} - {"by-owner", "view"}
    assert 'relation "missing" does not exist' in why["missing"]
    assert "cannot be planned" in why["nonsense"]
    assert "cannot be planned" in why["two"]
    assert "small tables" in why["small"]
    assert why["insert"] == "it adds rows and reads none"
    assert "trigrams" in why["pattern"]
    assert "OR across the tables few, item" in why["or"]
    assert "never called" in why["never"]
    assert why["all"]


def test_values_weigh_as_the_workload_does_and_the_generic_plan_stands_in(run: Advise, items: Connection) -> None:
    items.exec_driver_sql("UPDATE item SET kind = CASE WHEN id <= 20 THEN 9 ELSE 1 END")
    skewed = "SELECT * FROM item WHERE kind = $1"
    rare = run(query(skewed, ["9"], ["1"], name="skewed"))
    assert any("kind" in target for target in ddl(rare))
    (outcome,) = [each for each in rare.outcomes if each.name == "skewed (set1)"]
    assert outcome.after == outcome.before
    assert outcome.weight == 0.5
    generic = run(query("SELECT * FROM item WHERE owner = $1", name="generic"))
    assert ddl(generic) == ["public.item (owner)"]
    assert generic.outcomes[0].parameter_set is None


def test_indexes_that_nothing_needs_are_candidates_to_go_but_never_those_of_constraints(
    run: Advise, items: Connection
) -> None:
    items.exec_driver_sql("CREATE INDEX item_kind ON item (kind)")
    items.exec_driver_sql("CREATE UNIQUE INDEX item_code ON item (code)")
    items.exec_driver_sql("CREATE INDEX item_owner ON item (owner)")
    items.exec_driver_sql("CREATE INDEX item_owner_too ON item (owner)")
    items.exec_driver_sql("CREATE INDEX item_owner_kind ON item (owner, kind)")
    advice = run(BY_OWNER, wanted=Wanted(max_indexes=0))
    assert ddl(advice) == []
    gone = {each.index.name: each.why for each in advice.removals}
    assert set(gone) == {"item_kind", "item_owner", "item_owner_too"} or set(gone) == {
        "item_kind",
        "item_owner_too",
        "item_owner_kind",
    }
    assert all(why.startswith("candidate:") for why in gone.values())
    assert "no scan was counted" in gone["item_kind"]
    kept = run(BY_OWNER, wanted=Wanted(protect=("item_kind",)))
    assert "item_kind" not in {each.index.name for each in kept.removals}


def test_the_last_index_of_a_foreign_key_stays(run: Advise, items: Connection) -> None:
    items.exec_driver_sql("CREATE TABLE part (id int PRIMARY KEY, item int REFERENCES item)")
    items.exec_driver_sql("INSERT INTO part SELECT g, g FROM generate_series(1, 5000) AS g")
    items.exec_driver_sql("CREATE INDEX part_item ON part (item)")
    assert run(BY_OWNER).removals == ()


def test_a_new_index_tells_what_it_makes_superfluous(run: Advise, items: Connection) -> None:
    items.exec_driver_sql("CREATE INDEX item_owner ON item (owner)")
    both = query("SELECT id FROM item WHERE owner = $1 ORDER BY code LIMIT 1", ["7"], name="both", calls=1000)
    advice = run(both)
    (made,) = advice.recommendations
    assert made.index.target.startswith("public.item (owner, code")
    assert made.redundant == ("item_owner",)
    assert [each.index.name for each in advice.removals] == ["item_owner"]


def test_writes_speak_against_an_index(run: Advise, items: Connection) -> None:
    insert = query(
        "INSERT INTO item (id, owner, code, kind) VALUES ($1, 1, 'c', 1)", ["60001"], name="insert", calls=1_000_000
    )
    seldom = query("SELECT * FROM item WHERE owner = $1", ["7"], name="seldom", calls=1)
    advice = run(insert, seldom)
    assert ddl(advice) == []
    assert any("keeping it up to date costs" in each.why for each in advice.rejected)
    often = query("SELECT * FROM item WHERE owner = $1", ["7"], name="often", calls=1_000_000)
    (made,) = run(insert, often).recommendations
    assert made.write_cost > 0


def test_statistics_that_were_never_gathered_are_asked_for_first(db: Connection, target: Target) -> None:
    db.exec_driver_sql("CREATE TABLE raw (a int, b int) WITH (autovacuum_enabled = off)")
    db.exec_driver_sql("INSERT INTO raw SELECT g, g FROM generate_series(1, 50000) AS g")
    db.commit()
    snapshot = read(db)
    db.rollback()
    whatif = raise_real(target, snapshot, throw_away=True)
    try:
        advice = advise(snapshot, [query("SELECT * FROM raw WHERE a = 7", name="raw")], whatif, Wanted())
    finally:
        whatif.close()
    said = [*(doubt for each in advice.recommendations for doubt in each.doubts), *(e.why for e in advice.unhelped)]
    assert any("ANALYZE" in each for each in said)
    assert all(each.confidence is Confidence.LOW for each in advice.recommendations)


def test_values_beyond_the_statistics_lower_the_confidence(run: Advise, items: Connection) -> None:
    late = run(query("SELECT * FROM item WHERE id + 0 > 0 AND owner > $1", ["4999"], name="late"))
    (made,) = late.recommendations
    assert any("at or beyond the end" in doubt for doubt in made.doubts)
    assert made.confidence is Confidence.MEDIUM


class _Interrupting:
    """A server during whose so many-th answer somebody presses Ctrl-C."""

    def __init__(self, real: Real, at: int) -> None:
        self._real = real
        self._at = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def plan(self, question: Question, live: Any) -> Answer:
        if self._real.calls == self._at:
            self._at = -1
            raise KeyboardInterrupt
        return self._real.plan(question, live)


def test_ctrl_c_leaves_the_best_so_far(items: Connection, target: Target) -> None:
    items.commit()
    snapshot = read(items)
    items.rollback()
    whatif = raise_real(target, snapshot, throw_away=True)
    try:
        queries = [query(f"SELECT * FROM item WHERE owner = {n} AND kind = 1", name=f"q{n}") for n in range(5)]
        advice = advise(snapshot, queries, _Interrupting(whatif, 22), Wanted())
    finally:
        whatif.close()
    assert advice.interrupted
    assert not advice.complete
    assert advice.after <= advice.before


@pytest.fixture
def correlated(db: Connection) -> Connection:
    """Orders and their lines, joined by two columns of which one follows from the other; many lines a pair."""
    db.exec_driver_sql("CREATE TABLE head (a int, b int, day int, pad text)")
    db.exec_driver_sql("CREATE TABLE line (a int, b int, ref int, pad text)")
    db.exec_driver_sql("CREATE TABLE far (ref int, amount int, pad text)")
    db.exec_driver_sql("INSERT INTO head SELECT g, g, mod(g, 10), repeat('h', 20) FROM generate_series(1, 2000) AS g")
    db.exec_driver_sql(
        "INSERT INTO line SELECT 1 + mod(g, 2000), 1 + mod(g, 2000), mod(g * 7919, 200000), repeat('l', 20)"
        " FROM generate_series(1, 120000) AS g"
    )
    db.exec_driver_sql("INSERT INTO far SELECT g, g, repeat('f', 30) FROM generate_series(1, 200000) AS g")
    return db


TRAP = query(
    "SELECT sum(f.amount) FROM head h JOIN line l ON l.a = h.a AND l.b = h.b JOIN far f ON f.ref = l.ref", name="trap"
)


def test_loops_by_a_guess_are_a_low_confidence_unless_they_are_measured(
    run: Advise, correlated: Connection, target: Target
) -> None:
    advice = run(TRAP)
    (outcome,) = advice.outcomes
    assert outcome.after < outcome.before
    assert advice.recommendations
    driven = [each for each in advice.recommendations if each.index.table == "far"]
    assert driven
    assert all(each.confidence is Confidence.LOW for each in driven)
    assert all(any("independent" in doubt for doubt in each.doubts) for each in driven)

    measured = run(TRAP, measure=partial(measure, target, throw_away=True))
    (outcome,) = measured.outcomes
    assert outcome.measured_before is not None
    assert outcome.measured_after is not None
    assert outcome.measured_after.blocks > 1.5 * outcome.measured_before.blocks
    if outcome.deceived:
        assert all(each.confidence is Confidence.LOW for each in measured.recommendations)
        assert any("measured slower" in doubt for each in measured.recommendations for doubt in each.doubts)


def test_measuring_leaves_the_copy_as_it_was(run: Advise, items: Connection, target: Target) -> None:
    change = query("UPDATE item SET owner = 1 WHERE owner = $1", ["7"], name="change")
    advice = run(BY_OWNER, change, measure=partial(measure, target, throw_away=True))
    by_owner = next(each for each in advice.outcomes if each.query == "by-owner")
    assert by_owner.measured_before is not None
    assert by_owner.measured_after is not None
    assert by_owner.measured_after.blocks < by_owner.measured_before.blocks / 5
    assert items.exec_driver_sql("SELECT count(*) FROM item WHERE owner = 7").scalar() == 10
    assert items.exec_driver_sql("SELECT count(*) FROM pg_indexes WHERE tablename = 'item'").scalar() == 1
    with pytest.raises(Unsafe, match="--throw-away"):
        measure(target, [], [], throw_away=False)


def test_the_curve_of_cost_over_size_falls(run: Advise, items: Connection) -> None:
    by_code = query("SELECT * FROM item WHERE code = $1", ["c7"], name="by-code", calls=10)
    advice = run(BY_OWNER, by_code, wanted=Wanted(frontier=6))
    assert [each.bytes for each in advice.frontier] == sorted(each.bytes for each in advice.frontier)
    costs = [each.cost for each in advice.frontier]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == pytest.approx(advice.before)
    assert costs[-1] == pytest.approx(advice.after)
