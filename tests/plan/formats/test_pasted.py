"""Plans as people paste them: with psql's frame, from a log, cut by a terminal, or broken.

pasted/NAME-FORMAT.txt is one plan, printed by psql with different settings; pasted/expected.json is the same in JSON.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.plan.formats import UnreadablePlan, documents
from tests.plan.formats.comparison import as_text_has_it, differences

PASTED = Path(__file__).parent / "pasted"
EXPECTED: list[dict[str, Any]] = json.loads((PASTED / "expected.json").read_text())
SESSION = (PASTED / "session.txt").read_text()
PLAIN = (PASTED / "unaligned-text.txt").read_text()

ROOT = "Seq Scan on t  (cost=0.00..1.00 rows=1 width=4) (actual time=0.010..0.020 rows=5 loops=1)"


def expected(form: str) -> Any:
    return as_text_has_it(EXPECTED, verbose=True) if form == "text" else EXPECTED


@pytest.mark.parametrize("path", sorted(PASTED.glob("*-*.txt")), ids=lambda path: path.stem)
def test_psql_frames(path: Path) -> None:
    assert differences(documents(path.read_text()), expected(path.stem.rpartition("-")[2])) == []


@pytest.mark.parametrize("form", ["text", "json", "yaml", "xml"])
def test_line_ends_and_byte_order_mark(form: str) -> None:
    text = (PASTED / f"csv-{form}.txt").read_text()
    assert differences(documents("\ufeff" + text.replace("\n", "\r\n")), expected(form)) == []


def test_a_session_with_several_plans() -> None:
    first, second, third = documents(SESSION)
    assert first == {
        "Plan": {
            "Node Type": "Index Scan",
            "Parallel Aware": False,
            "Async Capable": False,
            "Scan Direction": "Forward",
            "Index Name": "respondent_pkey",
            "Relation Name": "respondent",
            "Alias": "respondent",
            "Index Cond": "(id = 7)",
        }
    }
    assert second["Execution Time"] == 4.809
    assert second["Serialization"] == {"Time": 0.003, "Output Volume": 1, "Format": "text"}
    assert second["Planning"] == {"Shared Hit Blocks": 186}
    assert third["Plan"]["Node Type"] == "Result"


def test_several_plans_without_a_frame() -> None:
    text = (
        "Seq Scan on a\n  Filter: (x = 1)\n\nResult\n  ->  Limit\n        ->  Result\n(3 rows)\n\nUnique\n  ->  Result"
    )
    assert [document["Plan"]["Node Type"] for document in documents(text)] == ["Seq Scan", "Result", "Unique"]
    timed = f"{ROOT}\nExecution Time: 1.000 ms\n{ROOT}\nExecution Time: 2.000 ms"
    assert [document["Execution Time"] for document in documents(timed)] == [1.0, 2.0]


# The second plan of the session, which was run, without its frame.
ANALYZED = SESSION.split("-\n")[2].split("\n(49 rows)")[0]


@pytest.mark.parametrize("lost_spaces", [False, True])
@pytest.mark.parametrize("width", range(72, 150, 3))
def test_lines_that_a_terminal_cut(width: int, lost_spaces: bool) -> None:
    cut = [line[at : at + width] for line in ANALYZED.split("\n") for at in range(0, max(len(line), 1), width)]
    text = "\n".join(line.rstrip() if lost_spaces else line for line in cut)
    assert differences(documents(text), documents(ANALYZED)) == []


@pytest.mark.parametrize("width", [72, 76, 80, 100, 120])
def test_lines_that_a_mail_wrapped_at_words(width: int) -> None:
    wrapped = [
        part
        for line in ANALYZED.split("\n")
        for part in textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
    ]
    assert differences(documents("\n".join(wrapped)), documents(ANALYZED)) == []


def test_a_string_with_line_breaks() -> None:
    filtered = "   Filter: (a = 'one\n two\n\n  three: 3'::text)\n   Rows Removed by Filter: 3"
    (document,) = documents(f" {ROOT}\n{filtered}\n Planning Time: 1.000 ms")
    assert document["Plan"]["Filter"] == "(a = 'one\ntwo\n\n three: 3'::text)"
    assert document["Plan"]["Rows Removed by Filter"] == 3


LOG = """\
2026-01-05 10:00:00.123 UTC [77] app@shop LOG:  duration: 12.345 ms  plan:
\tQuery Text: SELECT *
\t  FROM t
\t\tWHERE a = 'Limit  (cost=0.00..1.00 rows=1 width=4)' -- (cost=1)
\tQuery Parameters: $1 = '3', $2 = NULL
\tSeq Scan on t  (cost=0.00..1.00 rows=1 width=4)
\t  Filter: (a = 'Limit
\tx'::text)
2026-01-05 10:00:00.124 UTC [77] app@shop CONTEXT:  PL/pgSQL function f() line 3 at SQL statement
2026-01-05 10:00:00.200 UTC [78] app@shop LOG:  connection received
2026-01-05 10:00:00.323 UTC [77] app@shop LOG:  duration: 3 ms  plan:
\t{
\t  "Query Text": "SELECT 1",
\t  "Plan": {
\t    "Node Type": "Result"
\t  }
\t}
2026-01-05 10:00:00.324 UTC [77] app@shop LOG:  duration: 1 ms  statement: SELECT 1
"""


def test_an_auto_explain_log() -> None:
    first, second = documents(LOG)
    assert first["Duration"] == 12.345
    assert first["Query Text"] == (
        "SELECT *\n  FROM t\n\tWHERE a = 'Limit  (cost=0.00..1.00 rows=1 width=4)' -- (cost=1)"
    )
    assert first["Query Parameters"] == "$1 = '3', $2 = NULL"
    assert first["Plan"]["Filter"] == "(a = 'Limit\nx'::text)"
    assert second == {"Query Text": "SELECT 1", "Plan": {"Node Type": "Result"}, "Duration": 3.0}


def test_a_log_without_its_tabs() -> None:
    spaced = LOG.replace("\t\tWHERE", "\t  WHERE")
    assert differences(documents(spaced.replace("\n\t", "\n")), documents(spaced)) == []


def test_logs_as_csv_and_json() -> None:
    body = "\n".join(line.removeprefix("\t") for line in LOG.split("\n")[1:8])
    message = f"duration: 12.345 ms  plan:\n{body}"
    quoted = message.replace('"', '""')
    csv = f'2026-01-05 10:00:00 UTC,"app","shop",77,"::1",,1,"SELECT",,3/4,0,LOG,00000,"{quoted}",,,,,,"x",,,"app"\n'
    other = csv.replace(quoted, "connection received")
    found = documents(other + csv + csv + other)
    assert found == documents(LOG)[:1] * 2
    entries = [
        {"timestamp": "2026-01-05", "error_severity": "LOG", "message": "connection received"},
        {"timestamp": "2026-01-05", "error_severity": "LOG", "message": message},
    ]
    assert documents("\n".join(json.dumps(entry) for entry in entries)) == documents(LOG)[:1]


def test_shapes_of_json() -> None:
    plan = {"Node Type": "Result", "Plans": [{"Node Type": "Limit", "Output": ["😀", 'a"b', "c\nd"]}]}
    one = {"Plan": plan}
    for text in (
        json.dumps([one]),
        json.dumps(one),
        json.dumps(plan),
        json.dumps({"QUERY PLAN": [one]}),
        json.dumps([{"QUERY PLAN": json.dumps([one])}]),
        f"postgres=# EXPLAIN (FORMAT JSON) SELECT 1;\n{json.dumps([one], indent=2)}\npostgres=# ",
        f"```json\n{json.dumps([one], indent=2)}\n```",
        json.dumps([one], indent=2).replace("\n", " +\n"),
    ):
        assert documents(text) == [one], text
    assert documents(f"{json.dumps([one, one])}\n{json.dumps(one, indent=1)}") == [one] * 3


def below(*lines: str) -> dict[str, Any]:
    """Return the one node of a plan with these lines, without what its first line says."""
    (document,) = documents("\n".join([ROOT, *(f"  {line}" for line in lines)]))
    (bare,) = documents(ROOT)
    return {key: value for key, value in document["Plan"].items() if key not in bare["Plan"]}


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("I/O Timings: read=1.500 write=2", {"I/O Read Time": 1.5, "I/O Write Time": 2}),
        (
            "I/O Timings: shared/local read=1.5, temp write=0.25",
            {"I/O Read Time": 1.5, "Temp I/O Write Time": 0.25},
        ),
        (
            "I/O Timings: shared read=1.5, local write=2.0, temp read=3.0",
            {"Shared I/O Read Time": 1.5, "Local I/O Write Time": 2.0, "Temp I/O Read Time": 3.0},
        ),
        (
            "Buffers: shared hit=1 read=2 dirtied=3 written=4, local hit=5 written=6, temp read=7 written=8",
            {
                "Shared Hit Blocks": 1,
                "Shared Read Blocks": 2,
                "Shared Dirtied Blocks": 3,
                "Shared Written Blocks": 4,
                "Local Hit Blocks": 5,
                "Local Written Blocks": 6,
                "Temp Read Blocks": 7,
                "Temp Written Blocks": 8,
            },
        ),
        (
            "WAL: records=1 fpi=2 bytes=3 buffers full=4",
            {"WAL Records": 1, "WAL FPI": 2, "WAL Bytes": 3, "WAL Buffers Full": 4},
        ),
        (
            "Sort Method: external merge  Disk: 24kB",
            {"Sort Method": "external merge", "Sort Space Used": 24, "Sort Space Type": "Disk"},
        ),
        (
            "Buckets: 131072 (originally 1024)  Batches: 4 (originally 1)  Memory Usage: 3073kB",
            {
                "Hash Buckets": 131072,
                "Original Hash Buckets": 1024,
                "Hash Batches": 4,
                "Original Hash Batches": 1,
                "Peak Memory Usage": 3073,
            },
        ),
        (
            "Full-sort Groups: 3  Sort Methods: top-N heapsort, external merge  Average Memory: 26kB  Peak Memory: 27kB"
            "  Average Disk: 40kB  Peak Disk: 48kB",
            {
                "Full-sort Groups": {
                    "Group Count": 3,
                    "Sort Methods Used": ["top-N heapsort", "external merge"],
                    "Sort Space Memory": {"Average Sort Space Used": 26, "Peak Sort Space Used": 27},
                    "Sort Space Disk": {"Average Sort Space Used": 40, "Peak Sort Space Used": 48},
                }
            },
        ),
        ("Heap Blocks: exact=7 lossy=8", {"Exact Heap Blocks": 7, "Lossy Heap Blocks": 8}),
        ("Storage: Disk  Maximum Storage: 17kB", {"Storage": "Disk", "Maximum Storage": 17}),
        ("Tuples: inserted=1 skipped=4", {"Tuples Inserted": 1, "Tuples Skipped": 4}),
        ("Foreign File Size: 1234 b", {"Foreign File Size": 1234}),
        ("Conflict Arbiter Indexes: a_key, b_key", {"Conflict Arbiter Indexes": ["a_key", "b_key"]}),
        (
            """Output: a, ('x, y'::text), f(b, c[1, 2]), "d, e".f""",
            {"Output": ["a", "('x, y'::text)", "f(b, c[1, 2])", '"d, e".f']},
        ),
        ("Chunks excluded: 3", {"Chunks excluded": "3"}),
        ("Vectorized Filter: (x > 1)", {"Vectorized Filter": "(x > 1)"}),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_lines_below_a_node(line: str, read: dict[str, Any]) -> None:
    assert below(line) == read


def test_workers() -> None:
    assert below(
        "Worker 0:  actual time=0.100..0.200 rows=3 loops=1",
        "  Sort Method: quicksort  Memory: 25kB",
        "  JIT:",
        "    Functions: 3",
        "    Options: Inlining false, Optimization true, Expressions true, Deforming false",
        "    Timing: Generation 0.5 ms (Deform 0.1 ms), Inlining 0.0 ms, Optimization 1.0 ms, Emission 2.0 ms"
        ", Total 3.5 ms",
        "  Buffers: shared hit=4",
        "Worker 1:  Sort Method: external merge  Disk: 24kB",
    ) == {
        "Workers": [
            {
                "Worker Number": 0,
                "Actual Startup Time": 0.1,
                "Actual Total Time": 0.2,
                "Actual Rows": 3,
                "Actual Loops": 1,
                "Sort Method": "quicksort",
                "Sort Space Used": 25,
                "Sort Space Type": "Memory",
                "JIT": {
                    "Functions": 3,
                    "Options": {"Inlining": False, "Optimization": True, "Expressions": True, "Deforming": False},
                    "Timing": {
                        "Generation": {"Deform": 0.1, "Total": 0.5},
                        "Inlining": 0.0,
                        "Optimization": 1.0,
                        "Emission": 2.0,
                        "Total": 3.5,
                    },
                },
                "Shared Hit Blocks": 4,
            },
            {"Worker Number": 1, "Sort Method": "external merge", "Sort Space Used": 24, "Sort Space Type": "Disk"},
        ]
    }


@pytest.mark.parametrize("shift", ["", " ", "      "])
def test_the_end_of_a_plan(shift: str) -> None:
    """The first line loses its indentation where a selection starts at its first word."""
    (document,) = documents(
        ROOT
        + "".join(
            f"\n{shift}{line}"
            for line in (
                "  Filter: (a > 1)",
                """Settings: work_mem = '64kB', search_path = '"$user", public, x = ''y''', jit = 'off'""",
                "Query Identifier: -123",
                "Planning:",
                "  Buffers: shared hit=3",
                "  Memory: used=9kB  allocated=16kB",
                "Planning Time: 0.100 ms",
                "Trigger for constraint t_fkey: time=1.500 calls=2",
                "Trigger my trigger: with colon on t: calls=3",
                "JIT:",
                "  Functions: 2",
                "  Options: Inlining false, Optimization false, Expressions true, Deforming true",
                "  Timing: Generation 0.5 ms, Inlining 0.0 ms, Optimization 1.0 ms, Emission 2.0 ms, Total 3.5 ms",
                "Serialization: time=0.012 ms  output=5kB  format=binary",
                "  Buffers: temp read=1",
                "Execution Time: 2.345 ms",
            )
        )
    )
    plan = document.pop("Plan")
    assert plan["Filter"] == "(a > 1)"
    assert document == {
        "Settings": {"work_mem": "64kB", "search_path": "\"$user\", public, x = ''y''", "jit": "off"},
        "Query Identifier": -123,
        "Planning": {"Shared Hit Blocks": 3, "Memory Used": 9, "Memory Allocated": 16},
        "Planning Time": 0.1,
        "Triggers": [
            {"Constraint Name": "t_fkey", "Time": 1.5, "Calls": 2},
            {"Trigger Name": "my trigger: with colon", "Relation": "t", "Calls": 3},
        ],
        "JIT": {
            "Functions": 2,
            "Options": {"Inlining": False, "Optimization": False, "Expressions": True, "Deforming": True},
            "Timing": {"Generation": 0.5, "Inlining": 0.0, "Optimization": 1.0, "Emission": 2.0, "Total": 3.5},
        },
        "Serialization": {"Time": 0.012, "Output Volume": 5, "Format": "binary", "Temp Read Blocks": 1},
        "Execution Time": 2.345,
    }


def test_nodes_of_extensions_and_old_servers() -> None:
    text = (
        "Custom Scan (ChunkAppend) on metrics m  (cost=0.00..1.00 rows=1 width=4)"
        " (actual time=0.1..0.2 rows=1 loops=1)\n"
        "  Chunks excluded during startup: 2\n"
        "  ->  Task\n"
        "        Node: host=a port=1\n"
        "        ->  Gather Motion 3:1  (slice1; segments: 3)  (cost=0.00..1.00 rows=1 width=4) (never executed)\n"
        "Total runtime: 1.250 ms"
    )
    (document,) = documents(text)
    root = document["Plan"]
    assert (root["Custom Plan Provider"], root["Relation Name"], root["Alias"]) == ("ChunkAppend", "metrics", "m")
    assert root["Chunks excluded during startup"] == "2"
    (task,) = root["Plans"]
    assert (task["Node Type"], task["Parent Relationship"], task["Node"]) == ("Task", "child", "host=a port=1")
    (motion,) = task["Plans"]
    assert motion["Node Type"] == "Gather Motion 3:1  (slice1; segments: 3)"
    assert (motion["Actual Loops"], motion["Actual Total Time"], motion["Plan Rows"]) == (0, 0.0, 1)
    assert document["Execution Time"] == 1.25


def test_xml_and_yaml_types_go_by_key() -> None:
    xml = (
        '<explain xmlns="http://www.postgresql.org/2009/explain"><Query><Plan><Node-Type>Seq Scan</Node-Type>'
        "<Relation-Name>1</Relation-Name><Alias>true</Alias><Plan-Rows>1</Plan-Rows><Total-Cost>1.00</Total-Cost>"
        "<Filter>x &lt; 1 &amp; y</Filter><One-Time-Filter>2</One-Time-Filter><Disabled>false</Disabled>"
        "<I-O-Read-Time>0.500</I-O-Read-Time><Output><Item>3</Item></Output></Plan>"
        "<Settings><work_mem>64</work_mem></Settings><Triggers>\n</Triggers></Query></explain>"
    )
    yaml = (
        '- Plan: \n    Node Type: "Seq Scan"\n    Relation Name: "1"\n    Alias: "true"\n    Plan Rows: 1\n'
        '    Total Cost: 1.00\n    Filter: "x < 1 & y"\n    One-Time Filter: "2"\n    Disabled: false\n'
        '    I/O Read Time: 0.500\n    Output: \n      - "3"\n  Settings: \n    work_mem: "64"\n  Triggers: \n'
    )
    found = documents(xml)
    assert differences(documents(yaml), found) == []
    assert found == [
        {
            "Plan": {
                "Node Type": "Seq Scan",
                "Relation Name": "1",
                "Alias": "true",
                "Plan Rows": 1,
                "Total Cost": 1.0,
                "Filter": "x < 1 & y",
                "One-Time Filter": "2",
                "Disabled": False,
                "I/O Read Time": 0.5,
                "Output": ["3"],
            },
            "Settings": {"work_mem": "64"},
            "Triggers": [],
        }
    ]
    assert isinstance(found[0]["Plan"]["Total Cost"], float)


WHOLE = json.dumps([{"Plan": {"Node Type": "Result", "Plans": [{"Node Type": "Limit"}]}}], indent=2)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", None, "empty"),
        (" \n\n", None, "empty"),
        ("SELECT * FROM t;\nhello", None, "no plan found"),
        ("[]", 1, 'no object with a "Plan"'),
        ('\n{"a": 1}', 2, 'no object with a "Plan"'),
        (WHOLE[:70], 5, "stops in the middle"),
        (WHOLE[:-3], 10, "stops in the middle"),
        (WHOLE.replace('"Plans"', "Plans"), 5, "not JSON: Plans: ["),
        ("[{'Plan': {'Node Type': 'Result'}}]", 1, "Python's notation"),
        (f"QUERY PLAN\n{WHOLE[:40]}", 5, "stops in the middle"),
        ('[\n  "Utility Statement"\n]', 1, "EXPLAIN gave no plan"),
        ("          QUERY PLAN\n-----\n Utility statements have no plan structure\n(1 row)", 3, "EXPLAIN gave no plan"),
        (f"x\n\n  ->  {ROOT}", 3, "the plan's first line is missing"),
        (f"{ROOT}\n->  {ROOT}", 2, "the indentation is lost"),
        (f"\n{ROOT[:40]}", 2, "cut off or garbled"),
        (f"{ROOT[:-9]}\n", 1, "cut off or garbled"),
        (f"{ROOT}\n  Sort Method: quicksort  Memory: kB", 2, "cut off or garbled"),
        (LOG.split("\tSeq Scan")[0], 5, "no plan after it"),
        ("\n<explain>\n<Query>\n<Plan>", 4, "the XML stops in the middle"),
        ("<explain>\n<Query></Plan></explain>", 2, "not XML: mismatched tag"),
        ("<explain/>", 1, "no plan in it"),
        ('- Plan: \n    Node Type: "Resu', 2, "has no end"),
        ('- Plan: \n    Node Type: "Result"\n      x', 3, "not YAML"),
        ("- Plan: \n    Node Type: |\n      x", 2, "not YAML"),
        ('- Plan: \n    Node Type: "Result"\n   - a: 1', 3, "not YAML"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, line: int | None, reason: str) -> None:
    with pytest.raises(UnreadablePlan) as raised:
        documents(text)
    assert reason in raised.value.reason
    assert raised.value.line == line
    assert str(raised.value) == (f"line {line}: " if line else "") + raised.value.reason


def deep_text(depth: int) -> str:
    node = "Nested Loop  (cost=0.00..1.00 rows=1 width=4)"
    lines = [node]
    for column in range(2, 6 * depth - 4, 6):
        lines += [f"{' ' * column}->  {node}", f"{' ' * (column + 6)}Join Filter: (a.x = b.y)"]
    return "\n".join([*lines, "Planning Time: 0.1 ms"])


def deep_json(depth: int) -> str:
    node = '{"Node Type":"Limit"'
    return '{"Plan":' + f'{node},"Plans":[' * (depth - 1) + node + "}" + "]}" * (depth - 1) + "}"


def deep_yaml(depth: int) -> str:
    lines = ["- Plan: ", '    Node Type: "Limit"']
    for column in range(4, 4 * depth, 4):
        lines += [f"{' ' * column}Plans: ", f'{" " * (column + 2)}- Node Type: "Limit"']
    return "\n".join(lines)


def deep_xml(depth: int) -> str:
    node = "<Plan><Node-Type>Limit</Node-Type>"
    inner = f"{node}<Plans>" * (depth - 1) + f"{node}</Plan>" + "</Plans></Plan>" * (depth - 1)
    return f"<explain><Query>{inner}</Query></explain>"


@pytest.mark.parametrize("depth", [200, 2000])
@pytest.mark.parametrize("form", [deep_text, deep_json, deep_yaml, deep_xml], ids=lambda form: form.__name__)
def test_no_depth_is_too_much(form: Any, depth: int) -> None:
    (document,) = documents(form(depth))
    found, node = 1, document["Plan"]
    while "Plans" in node:
        (node,) = node["Plans"]
        found += 1
    assert found == depth


SCRAPS = [
    *(
        ROOT,
        "Limit",
        "->  ",
        "(cost=",
        "Filter: (a = ",
        "Group Key: ()",
        "Settings: a = '",
        "Sort Method: ",
        "Buckets: ",
    ),
    *(
        "Worker 0:  ",
        "JIT:",
        "InitPlan 1",
        "CTE x",
        "Trigger x: ",
        "\n",
        "\n  ",
        " ",
        "\t",
        "'",
        '"',
        "(",
        ")",
        ":",
        ",",
    ),
    *("- Plan: ", "Node Type: ", '"Plan"', '"Node Type"', "{", "}", "[", "]", "<explain>", "<Plan>", "</Plan>"),
    *("QUERY PLAN", "---", "|", "+", "(1 row)", "-[ RECORD 1 ]--", "duration: 1 ms  plan:", "Query Text: x"),
]


@given(st.lists(st.sampled_from(SCRAPS), max_size=30).map("".join))
def test_no_text_is_too_broken(text: str) -> None:
    try:
        assert documents(text)
    except UnreadablePlan as problem:
        assert problem.line is None or 1 <= problem.line <= text.count("\n") + 1
