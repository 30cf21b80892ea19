"""How many candidates there are, in which order, and which queries they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dbtune.index.candidates import KINDS, Limits, candidates
from tests.index.candidates.build import column, found, query, snapshot, table, targets

BIG = table("big", *(f"c{n}" for n in range(12)), column("pad", "text", width=200), pages=50_000)
MID = table("mid", *(f"d{n}" for n in range(12)), column("pad", "text", width=200), pages=500)
TWO = snapshot(BIG, MID)
MANY = "SELECT c1 FROM big, mid WHERE d0 = c0 AND " + " AND ".join(
    f"c{n} = {n} AND d{n} > {n}" for n in range(1, 9)
)  # fmt: skip


def test_a_query_has_no_more_than_its_limit_and_what_is_cut_is_counted() -> None:
    all_ = found(MANY, TWO, per_query=10_000, per_table=10_000)
    assert all_.cut == 0
    few = found(MANY, TWO, per_query=20, per_table=10_000)
    assert len(few.candidates) == 20
    assert few.cut == len(all_.candidates) - 20
    assert set(targets(few)) < set(targets(all_))


def test_each_table_of_a_query_keeps_a_few() -> None:
    few = found(MANY, TWO, per_query=20)
    of_mid = [c for c in few.candidates if c.index.table == "mid"]
    assert len(of_mid) == 8  # though a hundred times smaller


def test_a_table_has_no_more_than_its_limit() -> None:
    queries = [query(f"SELECT * FROM big WHERE c{n} = 1", f"q{n}", calls=n + 1) for n in range(12)]
    result = found(queries, TWO, per_table=5)
    assert targets(result) == [f"big (c{n})" for n in (10, 11, 7, 8, 9)]  # the most often called, in order of text
    assert result.cut == 7


def test_merges_have_a_limit_of_their_own() -> None:
    queries = [query(f"SELECT * FROM big WHERE c0 = 1 AND c{n} > 2", f"q{n}") for n in range(1, 9)]
    for most in (0, 3):
        kinds = [c.kind for c in found(queries, TWO, merges_per_table=most).candidates]
        assert kinds.count("merged") == most


def test_a_candidate_names_every_query_that_suggests_it() -> None:
    queries = [
        query("SELECT * FROM big WHERE c0 = 1", "one"),
        query("SELECT * FROM big WHERE c0 = 2 AND c1 = 3", "two"),
    ]
    result = found(queries, TWO)
    by_target = {c.index.target: c.queries for c in result.candidates}
    assert by_target["public.big (c0)"] == {"one", "two"}
    assert by_target["public.big (c0, c1)"] == {"two"}
    assert [c.index.target for c in result.of("one")] == ["public.big (c0)"]


def test_a_candidate_that_one_querys_limit_left_out_is_its_all_the_same() -> None:
    wide = query(MANY, "wide")
    narrow = query("SELECT * FROM mid WHERE d8 > 1", "narrow")
    assert "mid (d8)" not in targets(found([wide], TWO, per_query=20))
    by_target = {c.index.target: c.queries for c in found([wide, narrow], TWO, per_query=20).candidates}
    assert by_target["public.mid (d8)"] == {"narrow", "wide"}


def test_every_candidate_is_of_a_known_kind_and_has_a_reason() -> None:
    for each in found(MANY, TWO).candidates:
        assert each.kind in KINDS
        assert each.reasons


def test_no_queries_and_no_tables_give_nothing() -> None:
    assert found([], TWO).candidates == ()
    assert found("SELECT 1", snapshot()).candidates == ()


def test_the_widest_is_told_by_either_way() -> None:
    one = candidates([query(MANY)], TWO, max_width=2)
    assert one == candidates([query(MANY)], TWO, limits=Limits(max_width=2))
    assert max(len(c.index.keys) for c in one.candidates) == 2


SCRIPT = """
from tests.index.candidates.test_limits import MANY, TWO
from tests.index.candidates.build import found, query
queries = [query(MANY, "a"), query("SELECT c1, c2 FROM big WHERE c3 = 1 OR c4 = 2 ORDER BY c5 LIMIT 1", "b"),
           query("SELEC", "c"), query("SELECT * FROM x, y, z", "d")]
result = found(queries, TWO, per_query=30)
for each in result.candidates:
    print(each.index.ddl(), sorted(each.queries), each.reasons, each.kind)
print(result.unreadable, result.notes, result.cut)
"""


def test_the_order_of_hashes_changes_nothing() -> None:
    root = Path(__file__).parents[3]
    outputs = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, cwd=root, capture_output=True, text=True, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert "CREATE INDEX" in outputs.pop()
