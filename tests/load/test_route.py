"""Files with routes and parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dbtune.errors import BadFile, UsageError
from dbtune.load import route


def written(folder: Path, told: Any) -> Path:
    path = folder / "routes.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    return path


def test_parameters_within_beside_as_csv_and_as_json(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("id,ref\n1,a\n2,b\n")
    (tmp_path / "ids.json").write_text('["x", "y", "z"]')
    path = written(
        tmp_path,
        {
            "routes": [
                {"path": "/a/{id}/{ref}", "parameters": "ids.csv"},
                {"path": "b/{id}", "parameters": "ids.json", "method": "put", "body": {"id": "{id}"}},
                {"path": "/c/{id}", "parameters": [1, 2], "name": "see", "expect": {"status": 201}},
            ]
        },
    )
    a, b, c = route.load(path)
    assert [each.name for each in (a, b, c)] == ["GET /a/{id}/{ref}", "PUT b/{id}", "see"]
    assert {a.request(number, 1).path for number in range(50)} == {"/a/1/a", "/a/2/b"}
    assert {str(b.request(number, 1).body) for number in range(50)} == {f"{{'id': '{each}'}}" for each in "xyz"}
    assert c.request(0, 1).statuses == (201,)


def test_plain_paths() -> None:
    assert route.plain("health").path == "/health"
    with pytest.raises(UsageError, match="routes file"):
        route.plain("/a/{id}")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("{", "is not JSON"),
        ({}, "has no routes"),
        ({"routes": []}, "has no routes"),
        ({"routes": ["/a"]}, 'route 1: write an object with a "path"'),
        ({"routes": [{"path": "/a"}, {"path": "/a", "paht": 1}]}, "route 2: paht is not known"),
        ({"routes": [{"path": "/a", "method": "FETCH"}]}, "method FETCH"),
        ({"routes": [{"path": "/a/{id}"}]}, "nothing is given for {id}"),
        ({"routes": [{"path": "/a/{id}", "parameters": []}]}, "not empty"),
        ({"routes": [{"path": "/a/{id}", "parameters": [{"x": 1}]}]}, "parameter 1 has no id"),
        ({"routes": [{"path": "/a/{id}/{x}", "parameters": [1]}]}, "must be an object"),
        ({"routes": [{"path": "/a/{id}", "parameters": "none.csv"}]}, "none.csv: cannot be read"),
        ({"routes": [{"path": "/a", "expect": {"code": 1}}]}, "expect is"),
    ],
)
def test_nonsense_says_which_route_and_what(tmp_path: Path, told: Any, words: str) -> None:
    with pytest.raises(BadFile) as caught:
        route.load(written(tmp_path, told))
    assert words in str(caught.value)
