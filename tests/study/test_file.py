"""Studies as files: those that come with dbtune, and nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.errors import BadFile
from dbtune.party.web.servers import Kind
from dbtune.party.web.settings import Caching
from dbtune.study import file
from dbtune.study.arm import Reported, Sets, Steady

ARM = '[[arm]]\nname = "a"\n'


@pytest.mark.parametrize("name", ["quick", "full", "isolated"])
def test_those_that_come_with_dbtune(name: str) -> None:
    found = file.shipped(name)
    assert found.arms
    assert all(arm.schedule(found.seed).due for arm in found.arms)


def test_the_full_and_the_isolated_one_send_what_was_sent_in_2019() -> None:
    full, isolated = file.shipped("full"), file.shipped("isolated")
    assert len(full.arms[0].schedule(1).due) == len(isolated.arms[0].schedule(1).due) == 12_000
    assert full.arms[0].schedule(1).seconds == pytest.approx(998)
    assert isolated.arms[0].schedule(1).seconds > 7_200


def test_the_quick_one_has_every_setting_that_the_report_speaks_of() -> None:
    reported = {arm.reported for arm in file.shipped("quick").arms} - {None}
    assert reported == set(Reported) - {Reported.BASELINE}


def test_an_arm_takes_what_it_does_not_say_from_the_defaults() -> None:
    text = (
        'title = "t"\nrepeat = 3\n[defaults]\npool_size = 7\ncounts = [2]\nfaster = 4.0\n'
        '[[arm]]\nname = "a"\npool_size = 9\n'
        '[[arm]]\nname = "b"\nrate = 3\nseconds = 2\n'
        'server = "gevent"\nworkers = 2\ncaching = "simple"\nkill_at = 1.5\n'
    )
    found = file.parse(text, Path("x.toml"))
    one, other = found.arms
    assert found.repeat == 3
    assert (one.settings.pool_size, other.settings.pool_size) == (9, 7)
    assert one.load == Sets(counts=(2,), faster=4.0)
    assert other.load == Steady(rate=3, seconds=2)
    assert (other.server.kind, other.server.workers) == (Kind.GEVENT, 2)
    assert other.settings.caching is Caching.SIMPLE
    assert (one.killed_at_s, other.killed_at_s) == (None, 1.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no arms"),
        ("title = ", "is not TOML"),
        ("[[arm]]\n", "arm 1: it has no name"),
        (ARM + "pool = 3\n", "arm 1: pool is not known; known are name,"),
        (ARM + 'pool_size = "3"\n', "arm 1: pool_size must be a whole number"),
        (ARM + "indexes = 1\n", "arm 1: indexes must be true or false"),
        (ARM + "workers = true\n", "arm 1: workers must be a whole number"),
        (ARM + "pool_size = -1\n", "arm 'a': pool size is -1"),
        (ARM + 'server = "apache"\n', "arm 'a': server is 'apache'; there are threaded, sync"),
        (ARM + 'caching = "redis"\n', "a study starts no cache of others"),
        (ARM + "workers = 4\n", "the threaded server is one process"),
        (ARM + "keys = 0\n", "keys from 1 to the businesses"),
        (ARM + "keys = 20000\n", "keys from 1 to the businesses"),
        (ARM + "routes = []\n", "routes must be some of"),
        (ARM + 'routes = ["/nowhere"]\n', "routes must be some of ?id=, /ref/, /id/"),
        (ARM + "counts = [0]\n", "must be more than 0"),
        (ARM + "rate = -2\n", "arm 'a'"),
        (ARM + ARM, "arm 2: another arm is named 'a'"),
        ("max_connections = 3\n" + ARM, "max_connections is 10 to 1000"),
        ("repeat = 0\n" + ARM, "repeat 1 to 100"),
        ("calibrate = 0.0\n" + ARM, "calibrate is 0.2 to 60 seconds"),
        ("extra = 1\n" + ARM, "the study: extra is not known"),
        ("arm = [3]\n", "arm 1 must be a table"),
    ],
)
def test_nonsense_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(BadFile) as caught:
        file.parse(text, Path("x.toml"))
    message = str(caught.value)
    assert message.startswith("x.toml: ")
    assert said in message
    assert "\n" not in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read"):
        file.load(tmp_path / "none.toml")
