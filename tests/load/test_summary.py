"""Rows, their files, and what they add up to."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from dbtune.errors import BadFile
from dbtune.load import latency, record
from dbtune.load.latency import Latencies
from dbtune.load.outcome import Outcome, of_status, reported
from dbtune.load.record import Head, Row, Writer
from dbtune.load.summary import summarise
from dbtune.render import load as render

HEAD = Head(
    target="http://localhost",
    schedule="10/s",
    requests=3,
    began=1000.0,
    seconds=0.2,
    cells=("10/s",),
    routes=("GET /a",),
)


def row(number: int = 0, outcome: Outcome = Outcome.OK, took: float | None = 0.1, **more: object) -> Row:
    due = number / 10
    made = Row(
        number=number,
        cell="10/s",
        route="GET /a",
        due=due,
        sent=due + 0.001,
        done=None if took is None else round(due + took, 6),
        outcome=outcome,
        status=200 if outcome is Outcome.OK else None,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def written(path: Path, rows: list[Row], head: Head = HEAD) -> Path:
    with path.open("w") as file:
        writer = Writer(file, head)
        for each in rows:
            writer.write(each)
    return path


def test_statuses() -> None:
    expected = {
        200: "200",
        201: "2xx, 3xx",
        302: "2xx, 3xx",
        404: "404",
        400: "4xx",
        500: "5xx",
        502: "5xx",
        503: "503",
    }
    assert {status: of_status(status).value for status in expected} == expected
    assert reported(Outcome.RESET, None) == "no response"
    assert reported(Outcome.SERVER_ERROR, 500) == "500"
    assert reported(Outcome.SERVER_ERROR, 502) == "other"
    assert reported(Outcome.WRONG, 200) == "other"


def test_percentiles_are_exact_for_few_and_close_for_many() -> None:
    dice = random.Random(2)
    values = [dice.lognormvariate(-3, 1) for _ in range(latency.EXACT + 5_000)]
    few, many = Latencies(), Latencies()
    for value in values[:1000]:
        few.add(value)
    for value in values:
        many.add(value)
    assert few.at(0.5) == sorted(values[:1000])[499]
    assert few.at(1.0) == max(values[:1000])
    for share in (0.5, 0.95, 0.999):
        assert many.at(share) == pytest.approx(sorted(values)[math.ceil(share * len(values)) - 1], rel=0.006)
    assert (many.least, many.most) == (min(values), max(values))
    assert many.mean == pytest.approx(sum(values) / len(values))
    assert math.isnan(Latencies().at(0.5))


@pytest.mark.parametrize("sizes", [(10, 20), (latency.EXACT - 5, 20), (latency.EXACT + 5, 20), (20, latency.EXACT + 5)])
def test_parts_add_up_to_the_whole(sizes: tuple[int, int]) -> None:
    dice = random.Random(3)
    whole, parts = Latencies(), [Latencies(), Latencies()]
    for part, size in zip(parts, sizes, strict=True):
        for value in (dice.lognormvariate(-3, 1) for _ in range(size)):
            part.add(value)
            whole.add(value)
    parts[0].take(parts[1])
    for share in (0.01, 0.5, 0.99, 1.0):
        assert parts[0].at(share) == whole.at(share)
    assert (parts[0].count, parts[0].least, parts[0].most) == (whole.count, whole.least, whole.most)
    assert parts[0].mean == pytest.approx(whole.mean)
    assert parts[1].count == sizes[1]


def test_words_that_are_all_different_are_counted_together() -> None:
    found = summarise((row(n, Outcome.SERVER_ERROR, detail=f"error {n}") for n in range(1200)), 1200)
    assert len(found.details) == 1001
    assert found.details[Outcome.SERVER_ERROR, "(other words)"] == 200


def test_tables_fit_80_columns() -> None:
    found = summarise([*(row(n, took=n * 1.2) for n in range(8)), row(9, Outcome.SERVER_ERROR, 99.0, status=500)], 9)
    text = render.screen(HEAD, found, None, 80)
    assert max(map(len, text.splitlines()[2:])) <= 80
    assert "p99.9" in text
    assert any("p50" in line and "p99.9" in line for line in render.screen(HEAD, found, None, 200).splitlines())


def test_what_was_written_is_read(tmp_path: Path) -> None:
    rows = [row(), row(1, Outcome.RESET, None, detail="reset by peer"), row(2, Outcome.SERVER_ERROR, status=500)]
    path = written(tmp_path / "rows", rows)
    assert list(record.rows(path)) == rows
    assert record.head(path) == HEAD


def test_machines_files_are_one_run(tmp_path: Path) -> None:
    one = written(tmp_path / "one", [row(0), row(2)], replace(HEAD, shard="1/2"))
    two = written(tmp_path / "two", [row(1)], replace(HEAD, shard="2/2", began=1000.5))
    rows = sorted(record.merged([one, two]), key=lambda each: each.number)
    assert [each.number for each in rows] == [0, 1, 2]
    assert rows[1].due == pytest.approx(0.6)
    assert rows[1].latency == pytest.approx(0.1)
    assert record.joined(record.heads([one, two])).seconds == pytest.approx(0.7)
    with pytest.raises(BadFile, match="1/2"):
        list(record.merged([one, one]))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(HEAD, shard="2/2", target="http://other"), "its target is another"),
        (replace(HEAD, shard="2/2", routes=("GET /b",)), "its routes are others"),
        (replace(HEAD, shard="2/3"), "not of the same run"),
    ],
)
def test_files_of_different_runs_are_no_run(tmp_path: Path, other: Head, words: str) -> None:
    one = written(tmp_path / "one", [row(0)], replace(HEAD, shard="1/2"))
    with pytest.raises(BadFile, match=words):
        record.heads([one, written(tmp_path / "two", [row(1)], other)])


@pytest.mark.parametrize("text", ["", "no json\n", '{"dbtune": "other"}\n', json.dumps([1]) + "\n"])
def test_other_files_are_told_apart(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other"
    path.write_text(text)
    with pytest.raises(BadFile, match="not a file of raw rows"):
        list(record.rows(path))
    with pytest.raises(BadFile, match="cannot be read"):
        record.head(tmp_path / "none")


def test_a_file_that_was_cut_says_where(tmp_path: Path) -> None:
    path = written(tmp_path / "rows", [row(), row(1)])
    path.write_text(path.read_text()[:-20])
    with pytest.raises(BadFile, match="rows:3"):
        list(record.rows(path))


def test_counts_add_up_and_failures_are_apart() -> None:
    rows = [
        *(row(n) for n in range(8)),
        row(8, Outcome.SERVER_ERROR, 3.0, status=500, detail="boom", route="GET /b"),
        row(9, Outcome.TIMED_OUT, 5.0),
    ]
    found = summarise(rows, 10)
    assert found.all.count == found.sent == 10
    assert found.all.success == 0.8
    assert found.all.columns == {"200": 8, "500": 1, "no response": 1}
    assert found.all.served.most == pytest.approx(0.1)
    assert found.all.failed.most == pytest.approx(5.0)
    assert {name: tally.count for name, tally in found.routes.items()} == {"GET /a": 9, "GET /b": 1}
    assert found.details.most_common(1) == [((Outcome.SERVER_ERROR, "boom"), 1)]
    assert found.rate == pytest.approx(10)
    assert found.no_verdict is None


def test_a_generator_that_fell_behind_gives_no_verdict() -> None:
    late = summarise([row(n, sent=n / 10 + 0.2, took=0.3) for n in range(100)], 100)
    assert late.no_verdict is not None
    assert "late" in late.no_verdict
    short = summarise([row(n) for n in range(90)], 100)
    assert short.no_verdict == "10 of 100 requests were not sent"
