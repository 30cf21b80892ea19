"""What the party service says when it stops."""

from dbtune.party.web.funnel import STAGES, Funnel
from dbtune.render.party_funnel import table

NONE = dict.fromkeys(STAGES, 0)


def test_stages_that_were_reached_are_told_under_those_they_follow() -> None:
    one = NONE | {"accepted": 1000, "hit": 990, "turned_away": 10, "written": 997, "status_2xx": 980, "status_4xx": 10}
    two = NONE | {"accepted": 200, "hit": 200, "pool_wait": 200, "pool_timeout": 3, "connection": 197, "unwritten": 2}
    lines = table(Funnel({1: one, 2: two})).splitlines()
    assert lines[0] == " requests  of 2 processes"
    assert lines[1] == "    1,200  accepted"
    assert [line.split(":")[0] for line in lines[2:7]] == [
        "       10    turned away",
        "    1,190    hit",
        "      200      pool wait",
        "        3        pool timeout",
        "      197        connection",
    ]
    assert lines[7] == "      997  written: the answer was given to the kernel"
    assert lines[8] == "answers: 980 × 2xx, 10 × 4xx; 0 statements"
    assert lines[9] == "        2  the client had gone before its answer was written"
    assert lines[10] == "      201  were never answered: their process ended"


def test_nothing_asked() -> None:
    assert table(Funnel({})).splitlines() == [" requests  of 0 processes", "        0  accepted"]
