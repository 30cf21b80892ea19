"""The file: everything comes back, the same bytes every time, private, and a bad one is one clear line."""

from __future__ import annotations

import gzip
import json
import os
import stat
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from dbtune.errors import BadFile, UsageError
from dbtune.snapshot import file
from dbtune.snapshot.read import read
from dbtune.snapshot.value import Snapshot
from tests.snapshot import example

SMALL = example.snapshot(example.text("name", "ada", '"q\\"x"', frequencies=(0.5, 0.25), bounds="{b,c}"))

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_PLAIN: Mapping[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.integers(-(2**63), 2**63),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.sampled_from([UTC])),
}


def _strategy(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return values of a field's type."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    inner = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        one = next(each for each in inner if each is not type(None))
        return st.none() if depth > 4 else st.none() | _strategy(one, depth + 1)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        made: Any = kind
        return st.builds(made, **{f.name: _strategy(hints[f.name], depth + 1) for f in fields(kind)})
    if get_origin(kind) is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(_strategy(inner[0], depth + 1), max_size=2).map(tuple)
        return st.tuples(*(_strategy(each, depth + 1) for each in inner))
    return st.dictionaries(_strategy(inner[0]), _strategy(inner[1], depth + 1), max_size=2)


@given(_strategy(Snapshot))
@settings(max_examples=60, deadline=None)
def test_any_snapshot_comes_back(snapshot: Snapshot) -> None:
    text = file.dump(snapshot)
    assert file.parse(text, Path("x")) == snapshot
    assert file.dump(file.parse(text, Path("x"))) == text


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_what_was_saved_is_loaded(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    size = file.save(SMALL, path)
    assert file.load(path) == SMALL
    assert size == path.stat().st_size
    assert path.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")


def test_a_real_database_comes_back(made: Connection, tmp_path: Path) -> None:
    taken = read(made)
    file.save(taken, tmp_path / "a.json.gz")
    assert file.load(tmp_path / "a.json.gz") == taken


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_same_snapshot_same_bytes(tmp_path: Path, name: str) -> None:
    first, second = tmp_path / name, tmp_path / f"other-{name}"
    file.save(SMALL, first)
    os.utime(first, (0, 0))
    file.save(file.load(first), second)
    assert first.read_bytes() == second.read_bytes()
    shuffled = replace(SMALL, settings=dict(reversed(list(SMALL.settings.items()))))
    assert file.dump(shuffled) == file.dump(SMALL)


def test_numbers_are_numbers_and_defaults_left_out() -> None:
    document = json.loads(file.dump(SMALL))
    assert document["format"] == "dbtune snapshot"
    assert document["format_version"] == 1
    table = document["tables"][0]
    assert table["reltuples"] == 1000.0
    assert table["columns"][0]["statistics"]["most_common_freqs"] == [0.5, 0.25]
    assert "row_security" not in table
    assert document["taken_at"] == "2026-01-31T10:00:00.123456+00:00"


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(0o666)
    before = os.umask(0)
    try:
        file.save(SMALL, path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file.save(SMALL, path)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    file.save(SMALL, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert file.load(tmp_path / "real.json") == SMALL


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*nowhere.*; choose another --output"):
        file.save(SMALL, tmp_path / "nowhere" / "a.json")


def _changed(**changes: object) -> str:
    return json.dumps({**json.loads(file.dump(SMALL)), **changes})


_TABLE = {"schema": "public", "name": "t"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a.json:1: is not JSON: Expecting value"),
        ("{\n\n,", r"a.json:3: is not JSON: "),
        ("[1]", r"is not a snapshot; dbtune snapshot writes one"),
        ('{"plan": 1}', r"is not a snapshot; dbtune snapshot writes one"),
        ("NaN", r"is not a snapshot: holds NaN, which is no number"),
        ("[" * 100_000, r"is not a snapshot: "),
        (_changed(format_version=2), r"has format version 2, but this dbtune reads 1; use a newer dbtune"),
        (_changed(format_version="1"), r"has format version '1', but this dbtune reads 1; take it again"),
        (_changed(colour=3), r"document has a field 'colour' that this dbtune does not know; use a newer one"),
        (_changed(database=3), r"database must be text, not 3"),
        (_changed(server_version_num=True), r"server_version_num must be a whole number, not True"),
        (_changed(taken_at="yesterday"), r"taken_at must be a time such as"),
        (_changed(taken_at="2026-01-31T10:00:00"), r"taken_at must be a time with its zone"),
        (_changed(tables={}), r"tables must be a list"),
        (_changed(tables=[3]), r"tables\[0\] must be an object"),
        (_changed(tables=[{"schema": "public"}]), r"tables\[0\] lacks the field 'name'"),
        (_changed(tables=[{**_TABLE, "pages": 1.5}]), r"tables\[0\].pages must be a whole number, not 1.5"),
        (_changed(tables=[{**_TABLE, "reltuples": "x"}]), r"tables\[0\].reltuples must be a number, not 'x'"),
        (_changed(tables=[{**_TABLE, "inherits": [["a"]]}]), r"tables\[0\].inherits\[0\] must have 2 members"),
        (_changed(settings={"work_mem": 4}), r"settings.work_mem must be text, not 4"),
        (_changed(settings=[]), r"settings must be an object"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(BadFile, match=message) as caught:
        file.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        file.load(tmp_path / "none.json")
    with pytest.raises(BadFile, match="is a folder"):
        file.load(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe4"}')
    with pytest.raises(BadFile, match=r"is not UTF-8 \(byte 7\)"):
        file.load(tmp_path / "latin.json")
    whole = gzip.compress(file.dump(SMALL).encode())
    for broken in (whole[:-20], whole[:40] + b"\0" * 40 + whole[80:]):
        (tmp_path / "cut.json.gz").write_bytes(broken)
        with pytest.raises(BadFile, match="is not a whole gzip file; take the snapshot again"):
            file.load(tmp_path / "cut.json.gz")


def test_a_key_that_is_no_number(tmp_path: Path) -> None:
    document = json.loads(file.dump(SMALL))
    index = document["tables"][0]["indexes"][0]
    index["statistics"] = {"one": index["statistics"]["1"]}
    with pytest.raises(BadFile, match=r"indexes\[0\].statistics must have numbers as keys"):
        file.parse(json.dumps(document), tmp_path)


def test_times_keep_their_zone() -> None:
    moved = replace(SMALL, taken_at=SMALL.taken_at + timedelta(days=1))
    assert file.parse(file.dump(moved), Path("x")).taken_at == moved.taken_at
