"""The table of ``dbtune migrate verify``."""

from __future__ import annotations

from dbtune.migration.verify.fill import Filled
from dbtune.migration.verify.injections import ALL
from dbtune.migration.verify.judge import Result
from dbtune.migration.verify.scene import ALEMBIC, APPLY
from dbtune.migration.verify.verification import Report
from dbtune.render import migration_verify as render

FINE = Result(
    fault="orphan",
    says="again",
    way=APPLY,
    exits=(137, 0),
    left="valid, noted",
    again=0,
    converges=True,
    untouched=True,
)
BAD = Result(
    fault="ten-deployers",
    says="ten at once",
    way=ALEMBIC,
    exits=(255, 0, 255),
    left="INVALID, noted",
    again=3,
    problems=("noted as done, and it is not", "does not converge"),
    said="dbtune: it | exists",
    notes=("a write took 3 ms at most",),
)
SKIPPED = Result(fault="duplicates", says="rows", way=APPLY, skipped="no unique index")


def report(*results: Result) -> Report:
    tables = (
        Filled(table="shop.item", rows=20_000, wanted=20_000, why=None),
        Filled(table="shop.odd", rows=3, wanted=1_000, why="no more rows fulfil its constraints"),
    )
    made = ("a", "b", "c", "d")
    return Report(
        revision="r1",
        title="make it",
        version="18.1",
        tables=tables,
        made=made,
        gone=("old",),
        roles=("app",),
        results=results,
        seconds=185.2,
    )


def test_the_screen() -> None:
    screen = render.screen(report(FINE, SKIPPED, BAD), width=80)
    assert max(map(len, screen.splitlines())) <= 80
    assert (
        screen
        == """\
r1: make it
PostgreSQL 18.1, thrown away; makes a, b and 2 more; drops old
  shop.item: 20,000 rows
  shop.odd: 3 rows of 1,000: no more rows fulfil its constraints
  roles made up because revisions name them: app

By dbtune migrate apply

    fault    exit    left behind    again    others
--  -------  ------  -------------  -------  ---------
    orphan   137, 0  valid, noted   0, done  untouched

Could not be put in:
  duplicates: no unique index

By alembic upgrade

    fault          exit       left behind     again     others
--  -------------  ---------  --------------  --------  --------
!   ten-deployers  255 ×2, 0  INVALID, noted  3, FAILS  TOUCHED

What fails:
  ten-deployers: noted as done, and it is not; does not converge (dbtune: it |
    exists)

Noticed:
  ten-deployers: a write took 3 ms at most

1 of 2 faults end badly; 1 could not be put in. 3 min 5 s
"""
    )


def test_a_wide_screen_says_what_happens() -> None:
    assert "orphan   again" in render.screen(report(FINE), width=132)
    assert "every fault ends well. 3 min 5 s" in render.screen(report(FINE), width=132)


def test_markdown() -> None:
    text = render.screen(report(FINE, BAD), width=80, markdown=True)
    assert text.startswith("# r1: make it\n\nPostgreSQL")
    assert "## By `alembic upgrade`\n\n|" in text
    assert "\n- shop.item: 20,000 rows\n" in text


def test_the_document() -> None:
    document = render.document(report(FINE, BAD))
    assert (document["schema_version"], document["command"], document["is_fine"]) == (1, "migrate verify", False)
    assert [each["is_fine"] for each in document["results"]] == [True, False]
    assert document["results"][1]["exits"] == (255, 0, 255)


def test_the_list_of_faults() -> None:
    lines = render.listed(ALL).splitlines()
    assert len(lines) == len(ALL)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "nothing                    nothing in the way"
