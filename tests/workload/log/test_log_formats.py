"""Entries that are written in any format are read back as they were; what is broken costs only itself."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbtune.errors import BadFile, UsageError
from dbtune.workload.capture.log import Entry, Reading, fitting, prefix, read
from dbtune.workload.capture.log.details import parameters, values
from dbtune.workload.capture.log.entry import moment
from dbtune.workload.capture.log.prefix import COMMON

TIME = "2026-01-31 10:00:00.123 UTC"
PREFIX = "%m [%p] "
LINE = f"{TIME} [42] LOG:  duration: 1.000 ms  statement: SELECT 1\n"

# What a server can log: no surrogates, no NUL; no carriage return, at which csv would have to be told not to stop.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40) | st.sampled_from(
    ["', $2 = '", "a\nb", "\n\t\n", '"', '""\n"', "LOG:  x", f"{TIME} [1] LOG:  x", "𝄞", "%m", "\\x00", "''", "\r"]
)
words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
entries = st.builds(
    Entry,
    severity=st.sampled_from(["LOG", "ERROR", "FATAL", "WARNING", "DEBUG1"]),
    message=texts.filter(bool),
    time=st.just(TIME),
    process=st.integers(1, 4_000_000),
    session=st.from_regex(r"[0-9a-f]{8}\.[0-9a-f]{1,6}", fullmatch=True),
    user=words,
    database=words,
    application=words,
    sqlstate=st.from_regex(r"[0-9A-Z]{5}", fullmatch=True),
    detail=texts,
    hint=texts,
    context=texts,
    statement=texts,
    query=texts,
)


def as_stderr(entry: Entry, written: str) -> str:
    """Render an entry as PostgreSQL's send_message_to_server_log does."""
    escapes = {
        "m": entry.time, "p": str(entry.process), "c": entry.session, "u": entry.user, "d": entry.database,
        "a": entry.application, "e": entry.sqlstate, "l": "7", "r": "10.0.0.1(4711)", "h": "10.0.0.1", "v": "3/1",
        "x": "0", "i": "SELECT", "s": "2026-01-31 09:00:00 UTC", "Q": "-12", "b": "client backend",
        "t": "2026-01-31 10:00:00 UTC", "n": "1769853600.123", "q": "", "%": "%", "P": "",
    }  # fmt: skip
    head = re.sub(r"%(-?\d+)?([A-Za-z%])", lambda found: padded(escapes[found[2]], int(found[1] or 0)), written)
    parts = [
        (entry.severity, entry.message), ("DETAIL", entry.detail), ("HINT", entry.hint), ("QUERY", entry.query),
        ("CONTEXT", entry.context), ("STATEMENT", entry.statement),
    ]  # fmt: skip
    return "".join(f"{head}{word}:  {text}\n".replace("\n", "\n\t")[:-1] for word, text in parts if text)


def padded(text: str, width: int) -> str:
    return text.ljust(-width) if width < 0 else text.rjust(width)


def as_csvlog(entry: Entry) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if text else ""

    row = [
        entry.time, quoted(entry.user), quoted(entry.database), str(entry.process), '"10.0.0.1:4711"', entry.session,
        "7", '"SELECT"', "2026-01-31 09:00:00 UTC", "3/1", "0", entry.severity, entry.sqlstate, quoted(entry.message),
        quoted(entry.detail), quoted(entry.hint), quoted(entry.query), "", quoted(entry.context),
        quoted(entry.statement), "", "", quoted(entry.application), '"client backend"', "", "0",
    ]  # fmt: skip
    return ",".join(row) + "\n"


def as_jsonlog(entry: Entry) -> str:
    names = {
        "timestamp": entry.time, "user": entry.user, "dbname": entry.database, "pid": entry.process,
        "session_id": entry.session, "error_severity": entry.severity, "state_code": entry.sqlstate,
        "message": entry.message, "detail": entry.detail, "hint": entry.hint, "internal_query": entry.query,
        "context": entry.context, "statement": entry.statement, "application_name": entry.application,
    }  # fmt: skip
    return json.dumps({key: value for key, value in names.items() if value}, ensure_ascii=False) + "\n"


def entries_in(text: str | bytes, written: str | None = None, reading: Reading | None = None) -> list[Entry]:
    stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return list(read(stream, None if written is None else prefix(written), reading=reading))


ALL = "%m|%p|%c|%u|%d|%a|%e|"


@settings(max_examples=150, deadline=None)
@given(st.lists(entries, min_size=1, max_size=5))
def test_stderr_gives_back_what_was_written(logged: list[Entry]) -> None:
    """A log in which every line ends with a carriage return is one of Windows, so another line leads."""
    leading = Entry("LOG", "started", TIME, 1, "0badcafe.1", "u", "d", "a", "00000")
    text = "".join(as_stderr(entry, ALL) for entry in (leading, *logged))
    assert entries_in(text, ALL) == [leading, *logged]


@settings(max_examples=150, deadline=None)
@given(st.lists(entries, min_size=1, max_size=5), st.sampled_from([as_csvlog, as_jsonlog]))
def test_csvlog_and_jsonlog_give_back_what_was_written(logged: list[Entry], render: Callable[[Entry], str]) -> None:
    assert entries_in("".join(map(render, logged))) == logged


@settings(max_examples=150, deadline=None)
@given(st.lists(st.none() | texts, min_size=1, max_size=12), st.sampled_from(["parameters: ", "Parameters: "]))
def test_parameters_give_back_what_was_written(given_values: list[str | None], label: str) -> None:
    shown = [
        f"${number} = " + ("NULL" if value is None else "'" + value.replace("'", "''") + "'")
        for number, value in enumerate(given_values, start=1)
    ]
    cut = any(value is not None and value.endswith("...") for value in given_values)
    assert parameters(label + ", ".join(shown)) == (None if cut else tuple(given_values))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([LINE, as_csvlog(Entry("LOG", "m", TIME, 1, "a.b", "u"))]))
def test_binary_junk_costs_only_itself(junk: bytes, line: str) -> None:
    """A quote in the junk may take the row after it along; the one after that is whole again."""
    whole = line.encode()
    found = entries_in(whole * 3 + junk.replace(b"\n\t", b"\n") + b"\n" + whole * 3, PREFIX)
    assert len(found) >= 5
    assert found[0] == found[-1]


@settings(max_examples=100, deadline=None)
@given(entries, entries, st.data(), st.sampled_from([as_csvlog, as_jsonlog, lambda entry: as_stderr(entry, ALL)]))
def test_a_log_cut_at_either_end(one: Entry, other: Entry, data: st.DataObject, render: Callable[[Entry], str]) -> None:
    text = render(one)
    start = data.draw(st.integers(0, len(text)))
    whole = Entry("LOG", "whole", TIME, 1, "0badcafe.1", "u", "d", "a", "00000")
    cut_first = text[start:] + "\n" + render(whole)
    assert entries_in(render(whole) + cut_first, ALL)[-1] == whole
    assert entries_in(render(whole) + render(other)[:start], ALL)[0] == whole


@pytest.mark.parametrize(
    "written", [*(text for text in COMMON if text), "%-20m %5p %-10u|%q%10d ", "100%% %n %c:", "%t %b %Q %i "]
)
def test_every_prefix_reads_what_it_wrote(written: str) -> None:
    entry = Entry(
        "ERROR",
        "first\nsecond",
        TIME,
        statement="SELECT 1",
        process=42,
        session="0badcafe.2a",
        user="u",
        sqlstate="XX000",
    )
    (found,) = entries_in(as_stderr(entry, written), written)
    assert (found.message, found.statement) == (entry.message, entry.statement)
    for escape, name in (("%p", "process"), ("%c", "session"), ("%u", "user")):
        if escape in written:
            assert getattr(found, name) == getattr(entry, name)


@pytest.mark.parametrize("written", [text for text in COMMON if text])
def test_a_common_prefix_is_found_out(written: str) -> None:
    logged = [
        Entry(
            "LOG",
            f"duration: {n}.5 ms  statement: SELECT {n}",
            TIME,
            40 + n,
            f"0badcafe.{n}",
            "bob",
            "shop",
            "web",
            "00000",
        )
        for n in range(1, 5)
    ]
    lines = "".join(as_stderr(entry, written) for entry in logged).splitlines()
    found = fitting(lines)
    assert found is not None
    assert [match["rest"] for line in lines if (match := found.pattern.match(line))] == [e.message for e in logged]
    for escape, name in (
        ("%p", "process"),
        ("%c", "session"),
        ("%u", "user"),
        ("%d", "database"),
        ("%a", "application"),
    ):
        if escape in written:
            assert [match[name] for line in lines if (match := found.pattern.match(line))] == [
                str(getattr(entry, name)) for entry in logged
            ]


def test_a_background_process_has_no_user() -> None:
    text = f"{TIME} [7] LOG:  checkpoint starting: time\n{TIME} [42] bob@shop LOG:  hello\n"
    assert [(e.user, e.message) for e in entries_in(text, "%m [%p] %q%u@%d ")] == [
        ("", "checkpoint starting: time"),
        ("bob", "hello"),
    ]


def test_an_uncommon_prefix_is_derived() -> None:
    text = f"<{TIME}/42/shop> LOG:  hello\n<{TIME}/43/shop> LOG:  again\n"
    reading = Reading()
    assert [e.message for e in entries_in(text, reading=reading)] == ["hello", "again"]


def test_a_wrong_prefix_names_the_one_that_fits() -> None:
    with pytest.raises(BadFile, match=r"was not written with --prefix '%t %u '; '%m \[%p\] ' fits"):
        entries_in(LINE * 5, "%t %u ")


def test_what_is_no_log() -> None:
    with pytest.raises(BadFile, match="no common prefix fits"):
        entries_in("Dear Sir or Madam,\n" * 20)


def test_an_unknown_escape() -> None:
    with pytest.raises(UsageError, match="%y is none of PostgreSQL's"):
        prefix("%m %y ")


def test_interleaved_sessions_keep_their_details() -> None:
    text = (
        f"{TIME} [1] LOG:  one\n{TIME} [2] LOG:  two\n{TIME} [1] DETAIL:  of one\n\tand more\n"
        f"{TIME} [2] DETAIL:  of two\n{TIME} [1] STATEMENT:  SELECT 1\n"
    )
    assert [(e.message, e.detail, e.statement) for e in entries_in(text)] == [
        ("one", "of one\nand more", "SELECT 1"),
        ("two", "of two", ""),
    ]


def test_verbose_errors_have_their_state() -> None:
    (found,) = entries_in(f"{TIME} [1] ERROR:  40P01: deadlock detected\n{TIME} [1] LOCATION:  Report, d.c:1\n")
    assert (found.sqlstate, found.message) == ("40P01", "deadlock detected")


def test_a_statement_of_ten_megabytes() -> None:
    long = "SELECT '" + "x" * 10_000_000 + "'"
    many = "SELECT\n" + "\n".join(["1,"] * 1_000_000) + "\n1"
    for message in (long, many):
        entry = Entry("LOG", f"duration: 1.0 ms  statement: {message}", TIME, 1, "0badcafe.1", "u", "d", "a", "00000")
        for render in (as_csvlog, as_jsonlog, lambda e: as_stderr(e, ALL)):
            assert entries_in(render(entry), ALL)[0].message == entry.message


def test_unread_lines_are_counted() -> None:
    reading = Reading()
    found = entries_in("rest of an entry\n\tand more\n" + LINE + "Segmentation fault\n" + LINE, PREFIX, reading)
    assert len(found) == 2
    assert (reading.unread.lines, reading.unread.first) == (3, "rest of an entry")


def zstandard(data: bytes) -> bytes:
    module = pytest.importorskip("zstandard")
    return bytes(module.ZstdCompressor().compress(data))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard, bytes])
def test_packed_files(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(pack((LINE * 1000).encode()) + pack(LINE.encode()))
    assert len(list(read(path))) == 1001


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard])
def test_packed_files_that_break_off(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(pack(bytes(range(256)) * 400 + (LINE * 1000).encode())[:-200])
    with pytest.raises(BadFile, match=r"some\.log: (breaks off|cannot be read)"):
        list(read(path))


def test_zstandard_without_its_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "some.log.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(BadFile, match="install the Python package zstandard"):
        list(read(path))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        list(read(tmp_path / "none.log"))
    with pytest.raises(BadFile, match="is a folder"):
        list(read(tmp_path))


def test_an_empty_file_has_no_entries(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.touch()
    assert list(read(path)) == []


def test_the_limit_of_csv_is_as_before() -> None:
    before = csv.field_size_limit()
    entries_in(as_csvlog(Entry("LOG", "m", TIME, 1, "a.b", "u")))
    assert csv.field_size_limit() == before


def test_memory_does_not_grow_with_the_log() -> None:
    """Entries come out long before the log's end."""
    taken = 0

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            nonlocal taken
            taken += 1
            buffer[: len(LINE)] = LINE.encode()
            return len(LINE)

    found: Iterator[Entry] = read(Endless())  # type: ignore[arg-type]
    for _ in range(10_000):
        next(found)
    assert taken < 20_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31 10:00:00.123 UTC", datetime(2026, 1, 31, 10, 0, 0, 123000, UTC)),
        ("2026-01-31 10:00:00 GMT", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31 10:00:00 +0330", datetime(2026, 1, 31, 10, tzinfo=timezone(timedelta(hours=3, minutes=30)))),
        ("2026-01-31 10:00:00 -03", datetime(2026, 1, 31, 10, tzinfo=timezone(-timedelta(hours=3)))),
        ("2026-01-31 10:00:00.500 CEST", datetime(2026, 1, 31, 10, 0, 0, 500000)),
        ("1769853600.123", datetime(2026, 1, 31, 10, 0, 0, 123000, UTC)),
        ("", None),
        ("2026-99-31 10:00:00 UTC", None),
    ],
)
def test_moments(text: str, expected: datetime | None) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize("text", ["", "$1 = 'a", "$2 = 'a'", "$1 = 'a', $1 = 'b'", "$1 = 'a'x", "$1 = 'abc...'", "1"])
def test_values_that_are_not_all_told(text: str) -> None:
    assert values(text) is None
