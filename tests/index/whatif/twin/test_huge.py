"""A terabyte that is known by its statistics alone."""

from __future__ import annotations

from benchmarks.advisor import huge
from dbtune.index.whatif.protocol import Question
from dbtune.index.whatif.twin import raise_twin
from dbtune.server.binaries import Binaries
from dbtune.workload.query import Query


def test_a_terabyte_takes_little_room_and_is_planned_as_one(programs: Binaries) -> None:
    snapshot = huge.made(programs.version)
    assert huge.apparent(snapshot) > 1e12
    with raise_twin(snapshot, bindir=programs.bindir) as twin:
        known = twin.add([huge.index(*each) for each in huge.CANDIDATES])
        assert [each.reason for each in known] == [None] * len(known)
        assert sum(each.pages for each in known) * 8192 > 1e12
        query = Query(name="q", statement=huge.QUERIES["account in time"])
        without = twin.plan(Question(name="q", query=query), ())
        answer = twin.plan(Question(name="q", query=query), {each.id for each in known})
        assert without.cost > 1e8
        assert answer.used == {known[1].id}
        assert answer.cost < 1000
        files = [path.stat() for path in twin.cluster.home.rglob("*") if path.is_file()]
        assert sum(each.st_size for each in files) > 2e12
        assert sum(each.st_blocks * 512 for each in files) < 100e6
        twin.check()
    assert list(twin.warnings) == []
