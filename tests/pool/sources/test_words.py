"""Command lines as a shell reads them."""

from __future__ import annotations

import pytest

from dbtune.pool.fleet import Fact
from dbtune.pool.sources.words import assigned, commands, expand, options

SET = {"N": Fact("4", ".env:1"), "TWO": Fact("2", ".env:2"), "URL": Fact("postgresql://u:pa$$w@h/d", ".env:3")}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("$N", "4"),
        ("${N}", "4"),
        ("$(N)", "4"),  # Kubernetes'
        ("${M:-3}", "3"),
        ("${M-3}", "3"),
        ('${M:-"3"}', "3"),
        ("${N:-3}", "4"),
        ("${N:?must be set}", "4"),
        ("${M:-$N}", "4"),
        ("${M:-${N}}", "4"),
        ("${M:-${L:-7}}", "7"),
        ("${M:-$(nproc)}", "6"),
        ("$(nproc)", "6"),
        ("$(nproc --all)", "6"),
        ("$((2 * $(nproc) + 1))", "13"),
        ("$((N * 2))", "8"),
        ("$(( $N / 3 ))", "1"),  # a shell's division
        ("$((N / 0))", "$((N / 0))"),
        ("$((M * 2))", "$((M * 2))"),
        ("$M", "$M"),
        ("$(cat workers)", "$(cat workers)"),
        ("$URL", "postgresql://u:pa$$w@h/d"),  # what a value holds is not put in again
    ],
)
def test_what_is_put_in(text: str, becomes: str) -> None:
    assert expand(text, SET, cores=6).text == becomes


def test_what_is_not_set_and_what_depends_on_cores() -> None:
    unknown = expand("$M-${L}", SET)
    assert unknown.missing == ["M", "L"]
    by_cores = expand("$(nproc)", SET)
    assert (by_cores.text, by_cores.by_cores) == ("1", True)
    nested = expand("${M:-${L:-7}}", SET)
    assert (nested.missing, nested.sources) == ([], ["default of L", "default of M"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a -b c", [["a", "-b", "c"]]),
        ("a && b; c | d || e & f", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a \\\n  -b \\\r\n  c", [["a", "-b", "c"]]),
        ("# nothing\na # b", [["a"]]),
        ("sh -c 'a && b -c d'", [["a"], ["b", "-c", "d"]]),
        ("exec /bin/bash -lc \"a 'b c'\"", [["a", "b c"]]),
        ("a --workers $((2 * $(nproc) + 1)) b", [["a", "--workers", "$((2*$(nproc)+1))", "b"]]),
        ("a 'open", [["a", "'open"]]),
        ("", []),
        ("sh -c \"sh -c 'sh -c a'\"", [["a"]]),
    ],
)
def test_commands_of_a_line(line: str, words: list[list[str]]) -> None:
    assert list(commands(line)) == words


def test_variables_before_a_command() -> None:
    assert {k: v.value for k, v in assigned(["A=1", "B=$A", "gunicorn", "C=3"], "x:1", {}).items()} == {
        "A": "1",
        "B": "1",
    }
    assert list(assigned(["export", "A=$N"], "x:1", SET)) == ["A"]
    assert assigned(["A=$NOT_SET", "gunicorn"], "x:1", {}) == {}


def test_options_in_each_way_of_writing() -> None:
    found = options(["-w3", "-t", "5", "--name=x", "--flag", "app:app", "-k=gevent", "--last"], {"-w", "-t", "--name"})
    assert found.values == {"-w": "3", "-t": "5", "--name": "x"}
    assert found.flags == {"--flag", "-k=gevent", "--last"}
    assert found.others == ["app:app"]
    assert options(["-w"], {"-w"}).values == {}
