"""JMeter's results, in both of its formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dbtune.cli import app
from dbtune.errors import BadFile
from dbtune.load import jtl
from dbtune.load.outcome import Outcome

HEADER = (
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage,bytes,sentBytes,"
    "grpThreads,allThreads,URL,Latency,IdleTime,Connect\n"
)
GONE = "Non HTTP response code: org.apache.http.conn.HttpHostConnectException"
LATE = "Non HTTP response code: java.net.SocketTimeoutException"
EMPTY = "Non HTTP response code: org.apache.http.NoHttpResponseException"
# When, how long, label, code, message, group, success, assertion
SAMPLES = [
    (1700000000100, 20, "GET /a", "200", "OK", "Readers", True, ""),
    (1700000000000, 150, "GET /a", "500", "boom", "Readers", False, ""),
    (1700000000200, 30, "GET /b", "200", "OK", "Writers", False, 'id is wrong, "7"'),
    (1700000000300, 1, "GET /b", GONE, "refused", "Readers", False, ""),
    (1700000000400, 900, "GET /b", LATE, "Read timed out", "Readers", False, ""),
    (1700000000500, 5, "GET /b", EMPTY, "failed to respond", "Readers", False, ""),
    (1700000001000, 5, "GET /b", "404", "no such", "Readers", True, ""),
]
ENDS = ["200", "5xx", "wrong body", "refused", "timed out", "empty", "2xx, 3xx"]


def as_csv(path: Path, delimiter: str = ",") -> Path:
    lines = [HEADER.replace(",", delimiter)]
    for at, took, label, code, said, group, good, failure in SAMPLES:
        quoted = '"' + failure.replace('"', '""') + '"'
        cells = [at, took, label, code, said, f"{group} 1-3", "text", str(good).lower(), quoted]
        lines.append(delimiter.join(map(str, [*cells, 1, 1, 1, 1, "http://me:secret@host:80/a", 1, 0, 0])) + "\n")
    note = "Number of samples in transaction : 2, number of failing samples : 0"
    together = [
        1700000000000,
        170,
        "Both",
        "200",
        f'"{note}"',
        "Readers 1-3",
        "",
        "true",
        "",
        1,
        1,
        1,
        1,
        "null",
        1,
        0,
        0,
    ]
    lines.append(delimiter.join(map(str, together)) + "\n")
    path.write_text("".join(lines))
    return path


def as_xml(path: Path) -> Path:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>\n<testResults version="1.2">\n<sample t="9" lb="Both" s="true">\n']
    for at, took, label, code, said, group, good, failure in SAMPLES:
        lines.append(
            f'<httpSample t="{took}" ts="{at}" s="{str(good).lower()}" lb="{label}" rc="{code}" rm="{said}"'
            f' tn="{group} 1-3"><httpSample t="1" ts="{at}" s="true" lb="part" rc="200" rm="OK" tn="x 1-1"/>'
        )
        if failure:
            lines.append(f"<assertionResult><failureMessage>{failure}</failureMessage></assertionResult>")
        lines.append("<java.net.URL>http://host:80/a</java.net.URL></httpSample>\n")
    path.write_text("".join([*lines, "</sample>\n</testResults>\n"]))
    return path


@pytest.mark.parametrize("kind", ["csv", "semicolons", "xml"])
def test_both_formats_say_the_same(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "results.jtl"
    path = as_xml(path) if kind == "xml" else as_csv(path, ";" if kind == "semicolons" else ",")
    head = jtl.head(path)
    assert head.target.removesuffix(":80") == "http://host"
    assert (head.requests, head.began, head.seconds, head.knows_due) == (7, 1700000000.0, 1.0, False)
    assert (head.cells, head.routes) == (("Readers", "Writers"), ("GET /a", "GET /b"))
    rows = list(jtl.rows(path, head.began))
    assert [row.outcome for row in rows] == [Outcome(each) for each in ENDS]
    assert [row.status for row in rows] == [200, 500, 200, None, None, None, 404]
    assert [row.detail for row in rows][:4] == ["", "boom", 'id is wrong, "7"', "refused"]
    assert [row.sent for row in rows][:2] == pytest.approx([0.1, 0.0], abs=1e-6)
    assert [row.service for row in rows][:2] == pytest.approx([0.02, 0.15])


def test_the_command_prints_its_tables_and_claims_no_more(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "results.jtl")
    done = CliRunner().invoke(app, ["hammer", "--jtl", str(path)])
    assert done.exit_code == 0, done.output
    assert "28.57% of 7 requests to http://host:80 succeeded (JMeter, results.jtl)" in done.stdout
    assert "from when each was sent" in done.stdout
    assert "sent late" not in done.stdout
    assert "from sending" not in done.stdout
    page = tmp_path / "page.html"
    told = json.loads(
        CliRunner().invoke(app, ["hammer", "--jtl", str(path), "--format", "json", "--html", str(page)]).stdout
    )
    assert (told["times_from"], told["lag_ms"], told["all"]["count"]) == ("sent", None, 7)
    assert "from when it was due" not in page.read_text()
    assert CliRunner().invoke(app, ["hammer", "--jtl", str(path), "--fail-under", "0.5"]).exit_code == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column"),
        ("1,2,GET /a,200\n", "no column"),
        (HEADER, "no HTTP request"),
        (HEADER + "2023/01/01 10:00:00,5,GET /a,200,OK,T 1-1,text,true,,1,1,1,1,null,1,0,0\n", ":2: timeStamp"),
        (HEADER + "1700000000000,5,GET /a\n1700000000", "jtl:3"),
        ('<testResults>\n<httpSample t="1" ts="1" rc="200" s="true"/>\n', "</testResults>"),
        ('<testResults><httpSample lb="a"/></testResults>', "ts and t"),
        ("<html></html>", "no HTTP request"),
    ],
)
def test_what_is_no_result_says_why(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "results.jtl"
    path.write_text(text)
    with pytest.raises(BadFile) as caught:
        jtl.head(path)
    assert words in str(caught.value)
