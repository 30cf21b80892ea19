"""Plans for other tools: each says what the hammer would send, and when."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from dbtune.cli import app
from dbtune.load import schedule
from dbtune.load.exporting import Tool, jmeter, k6, locust
from dbtune.load.exporting.plan import Plan, plan
from dbtune.load.hammer import Options
from dbtune.load.route import Expectation, Route, plain

IDS = tuple({"id": number} for number in range(3))
ROUTES = [
    Route(method="GET", path="/item/{id}", name="item", parameters=IDS, expect=Expectation(json={"id": "{id}"})),
    Route(method="POST", path="/item", name="post", body={"text": 'it\'s "ü", </a>\n', "none": None}),
    plain("/status/404?a=$b"),
]
OPTIONS = Options(user=("me", "secret"), headers={"X-All": "1"}, seed=3, timeout=5.0)


@pytest.fixture
def made() -> Plan:
    return plan("http://localhost:8080/api", "20/s", ROUTES, schedule.steps([20, 40], 2, 3), OPTIONS)


def test_a_plan_asks_what_the_hammer_asks(made: Plan) -> None:
    planned = schedule.steps([20, 40], 2, 3)
    assert [at for at, _ in made.due] == pytest.approx([each.at for each in planned.due], abs=1e-6)
    for (_, which), each in zip(made.due, planned.due, strict=True):
        request = ROUTES[each.route].request(each.number, 3)
        asked = made.requests[which]
        assert (asked.method, asked.path, asked.json) == (request.method, request.path, request.json)
        assert asked.body == (None if request.body is None else json.dumps(request.body))
    assert len(made.requests) == 5


def test_a_locustfile_is_python_and_has_everything(made: Plan) -> None:
    text = locust.export(made).text
    compile(text, "locustfile.py", "exec")
    names: dict[str, object] = {}
    exec(text[text.index("USER = ") : text.index("def headers_of")], names)
    assert names["USER"] == "me"
    assert names["REQUESTS"] == [each.told() for each in made.requests]
    assert names["DUE"] == list(made.due)
    assert "host = 'http://localhost:8080/api'" in text
    assert "Connection" not in text
    assert "secret" not in text


def test_a_k6_script_is_javascript_and_has_everything(made: Plan, tmp_path: Path) -> None:
    text = k6.export(made).text
    (requests,) = re.findall(r"^const REQUESTS = (\[.*?^\]);", text, re.DOTALL | re.MULTILINE)
    (due,) = re.findall(r"^const DUE = (\[.*?^\]);", text, re.DOTALL | re.MULTILINE)
    assert json.loads(requests.replace(",\n]", "\n]")) == [each.told() for each in made.requests]
    assert json.loads(due.replace(",\n]", "\n]")) == [list(each) for each in made.due]
    assert "secret" not in text
    assert "noConnectionReuse: false" in text
    if (node := shutil.which("node")) is not None:
        path = tmp_path / "plan.mjs"
        path.write_text(text)
        subprocess.run([node, "--check", str(path)], check=True)


def test_a_jmeter_plan_has_the_rates_and_the_requests(made: Plan) -> None:
    exported = jmeter.export(made, "plan.csv")
    root = ElementTree.fromstring(exported.text)
    told = {element.get("name"): element.text for element in root.iter() if element.get("name")}
    assert told["OpenModelThreadGroup.schedule"] == (
        "rate(20/sec) even_arrivals(2 sec) rate(20/sec) rate(40/sec) even_arrivals(2 sec) rate(40/sec) pause(5 sec)"
    )
    assert told["HTTPSampler.path"] == "/api${path}"
    assert told["filename"] == "plan.csv"
    assert len(list(root.iter("HTTPSamplerProxy"))) == 2
    rows = list(csv.DictReader((exported.data or "").splitlines()))
    assert [row["path"] for row in rows] == [made.requests[which].path for _, which in made.due]
    bodies = {row["body"] for row in rows if row["method"] == "POST"}
    assert [json.loads(body) for body in bodies] == [ROUTES[1].body]
    assert "secret" not in exported.text + (exported.data or "")


@pytest.mark.parametrize(
    "planned",
    [
        schedule.constant(50, 0.5, 3),
        schedule.poisson(50, 10, 3),
        schedule.ramp(1, 50, 7, 3),
        schedule.sets([5, 10], [50, 1000], 3, overlapped=False),
        schedule.constant(1, 1, 1),
    ],
)
def test_jmeters_rates_add_up_to_the_requests(planned: schedule.Schedule) -> None:
    text = jmeter.schedule([(each.at, 0) for each in planned.due])
    parts = re.findall(r"rate\(([\d.]+)/sec\) even_arrivals\(([\d.]+) sec\) rate\(\1/sec\)", text)
    assert sum(float(rate) * float(seconds) for rate, seconds in parts) == pytest.approx(len(planned.due), abs=0.01)
    pauses = sum(map(float, re.findall(r"pause\(([\d.]+) sec\)", text)))
    assert pauses + sum(float(seconds) for _, seconds in parts) == pytest.approx(planned.seconds, abs=1.01)


@pytest.mark.parametrize("tool", list(Tool))
def test_the_command_writes_a_plan_and_sends_nothing(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "plan"
    load = ["hammer", "http://localhost:1", "--get", "/item/1", "--rate", "20", "--for", "1s", "--export", tool.value]
    done = CliRunner().invoke(app, [*load, "--output", str(path)])
    assert done.exit_code == 0, done.output
    assert "/item/1" in (path.with_suffix(".csv") if tool is Tool.JMETER else path).read_text()
    printed = CliRunner().invoke(app, load)
    if tool is Tool.JMETER:
        assert printed.exit_code == 2
        assert "--output" in printed.stderr
    else:
        assert printed.stdout == path.read_text()
