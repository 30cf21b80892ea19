from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from dbtune.party.rows import COLUMNS, FEWEST_BUSINESSES, Register, Scale, copy_text


def everything(scale: Scale) -> dict[str, list[tuple[str | None, ...]]]:
    register = Register(scale)
    return {table: list(register.rows(table)) for table in COLUMNS}


def test_the_same_scale_gives_the_same_rows_and_another_seed_others() -> None:
    scale = Scale(businesses=50)
    rows = everything(scale)
    assert everything(scale) == rows
    others = everything(Scale(businesses=50, seed=1))
    assert all(others[table] != rows[table] for table in COLUMNS)


def test_tables_can_be_asked_for_in_any_order() -> None:
    register = Register(Scale(businesses=50))
    backwards = {table: list(register.rows(table)) for table in reversed(COLUMNS)}
    assert backwards == everything(Scale(businesses=50))


@pytest.mark.parametrize(
    "scale",
    [
        Scale(businesses=FEWEST_BUSINESSES),
        Scale(businesses=FEWEST_BUSINESSES, versions=1),
        Scale(businesses=101, versions=1.05),
        Scale(businesses=300, versions=9),
    ],
    ids=str,
)
def test_as_many_rows_as_promised_with_keys_that_hold(scale: Scale) -> None:
    rows = everything(scale)
    assert {table: len(found) for table, found in rows.items()} == scale.counts
    assert all(len(row) == len(COLUMNS[table]) for table, found in rows.items() for row in found)
    businesses = {row[0] for row in rows["business"]}
    pairs = [row[:2] for row in rows["business_respondent"]]
    assert len(businesses) == len({row[1] for row in rows["business"]}) == scale.businesses
    assert {row[1] for row in rows["business_attributes"]} == businesses
    assert len(set(pairs)) == len(pairs)
    assert {row[:2] for row in rows["enrolment"]} <= set(pairs)
    assert len({row[:3] for row in rows["enrolment"]}) == len(rows["enrolment"])
    statuses = {row[0]: row[2] for row in rows["respondent"]}
    assert {statuses[row[2]] for row in rows["pending_enrolment"]} == {"CREATED"}
    assert "CREATED" not in {statuses[respondent] for _, respondent in pairs}


def test_sizes_are_skewed_as_the_service_saw_them() -> None:
    rows = everything(Scale(businesses=3000))
    samples = Counter(row[2] for row in rows["business_attributes"]).most_common()
    assert samples[0][1] > 50 * samples[-1][1]
    surveys = Counter(row[2] for row in rows["enrolment"]).most_common()
    assert surveys[0][1] > 20 * surveys[-1][1]
    respondents = Counter(row[0] for row in rows["business_respondent"])
    seen_from_a_link = sum(count**2 for count in respondents.values()) / respondents.total()
    assert 3 < seen_from_a_link < 4
    assert max(respondents.values()) > 12


def test_a_business_has_one_to_three_versions_newest_last() -> None:
    rows = everything(Scale(businesses=300))
    versions = Counter(row[1] for row in rows["business_attributes"])
    assert set(versions.values()) == {1, 2, 3}
    created = [row[5] for row in rows["business_attributes"]]
    assert created == sorted(map(str, created))


def test_copy_text_escapes_and_cuts_between_rows() -> None:
    rows = [("a\tb", None), ("c\\N\nd\re", "é"), ("", "\\N")]
    pieces = list(copy_text(rows, 1))
    assert pieces == [b"a\\tb\t\\N\n", b"c\\\\N\\nd\\re\t\xc3\xa9\n", b"\t\\\\N\n"]
    assert list(copy_text(rows, 1000)) == [b"".join(pieces)]
    assert not list(copy_text(islice(rows, 0), 1000))
