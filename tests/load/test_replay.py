"""Requests that were asked before: read from logs and streams, and sent again at their times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbtune.errors import BadFile, UsageError
from dbtune.load import replay, route
from dbtune.load.replay import Replay

Write = Callable[[str], Path]

ACCESS = """
127.0.0.1 - - [26/Nov/2026:10:00:00 +0000] "GET /items/7 HTTP/1.1" 200 12 "-" "curl"
127.0.0.1 - ann [26/Nov/2026:10:00:00 +0000] "GET /items/8?full=1 HTTP/1.1" 200 12
127.0.0.1 - - [26/Nov/2026:10:00:02 +0000] "GET /items/7 HTTP/1.1" 500 12
127.0.0.1 - - [26/Nov/2026:10:00:02 +0000] "POST /items HTTP/1.1" 201 12
127.0.0.1 - - [26/Nov/2026:10:00:02 +0000] "DELETE /items/7 HTTP/1.1" 204 0
127.0.0.1 - - [26/Nov/2026:10:00:02 +0000] "-" 408 0
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "log"
        path.write_text(text.lstrip("\n"))
        return path

    return written


def sent(found: Replay) -> list[tuple[float, str, str]]:
    """When, how and what."""
    requests = [(due.at, found.routes[due.route].request(due.number, 1)) for due in found.schedule.due]
    return [(round(at, 6), each.method, each.path) for at, each in requests]


def test_an_access_log_is_spread_within_its_seconds(write: Write) -> None:
    found = replay.load(write(ACCESS))
    assert sent(found) == [(0.0, "GET", "/items/7"), (0.5, "GET", "/items/8?full=1"), (2.0, "GET", "/items/7")]
    assert [each.name for each in found.routes] == ["GET /items/{id}", "GET /items/{id}?full"]
    assert found.notes == (
        "1 lines are no requests, the first of them line 6",
        "1 left out: POST is not sent again from an access log",
        "1 left out: DELETE is not sent again from an access log",
        "its times are whole seconds: the requests of each are spread evenly within it",
    )


def test_werkzeug_s_own_lines(write: Write) -> None:
    text = '127.0.0.1 - - [26/Nov/2026 10:00:00] "GET /a HTTP/1.1" 200 -\n' * 2
    assert sent(replay.load(write(text))) == [(0.0, "GET", "/a"), (0.5, "GET", "/a")]


def test_json_lines_with_bodies_in_any_order(write: Write) -> None:
    lines = [
        {"time": "2026-11-26T10:00:01.250+00:00", "method": "post", "path": "/items", "body": {"name": "{x}"}},
        {"time": "2026-11-26T10:00:00.500+00:00", "path": "/items/{7}"},
        {"ts": 1795687202.0, "url": "https://shop.example/items/9?q=ä b", "headers": {"X-A": 1}},
        {"@timestamp": 1795687203000, "method": "PUT", "path": "/items/9"},
        {"at": "2026-11-26T10:00:04Z", "message": '"GET /items/1 HTTP/1.1" 200 -'},
        {"at": "2026-11-26T10:00:04.5Z", "request": "GET /items/2 HTTP/1.1"},
        {"at": "1795687205.5", "method": "OPTIONS", "path": "/"},
        {"at": "2026-11-26T10:00:06Z", "method": "DELETE", "path": "/items/9"},
        {"at": "2026-11-26T10:00:06Z", "method": "DELETE", "path": "/items/8", "body": None},
        {"at": "soon", "path": "/"},
        {"path": "/"},
    ]
    found = replay.load(write("\n".join(map(json.dumps, lines)) + "\nnot a line\n"))
    assert sent(found) == [
        (0.0, "GET", "/items/{7}".replace("{", "%7B").replace("}", "%7D")),
        (0.75, "POST", "/items"),
        (1.5, "GET", "/items/9?q=%C3%A4%20b"),
        (3.5, "GET", "/items/1"),
        (4.0, "GET", "/items/2"),
        (5.5, "DELETE", "/items/8"),
    ]
    assert found.routes[1].request(0, 1).body == {"name": "{x}"}  # braces are braces
    assert found.routes[2].request(0, 1).headers == {"X-A": "1"}
    assert set(found.notes) == {
        "3 lines are no requests, the first of them line 10",
        "1 left out: PUT without its body",
        "1 left out: DELETE without its body",
        "1 left out: OPTIONS is not sent",
    }


def test_twice_as_fast(write: Write) -> None:
    assert [at for at, _, _ in sent(replay.load(write(ACCESS), speed=2.0))] == [0.0, 0.25, 1.0]
    with pytest.raises(UsageError, match="--speed must be more than 0"):
        replay.load(write(ACCESS), speed=0.0)


CAPTURED = [
    {"time": "2026-11-26T10:00:00.1+00:00", "route": "GET /items/{id}", "fingerprint": "aa", "parameters": "0a"},
    {"time": "2026-11-26T10:00:00.2+00:00", "route": "GET /items/{id}", "fingerprint": "bb", "parameters": "11"},
    {"time": "2026-11-26T10:00:01.1+00:00", "route": "GET /items/{id}", "fingerprint": "aa", "parameters": "0b"},
    {"time": "2026-11-26T10:00:02.1+00:00", "route": "GET /items/{id}", "fingerprint": "aa", "parameters": "0a"},
    {"time": "2026-11-26T10:00:02.2+00:00", "route": "GET /other", "fingerprint": "cc", "parameters": None},
    {"time": "2026-11-26T10:00:02.3+00:00", "route": None, "fingerprint": "cc", "parameters": None},
]


def test_a_captured_stream_asks_the_same_again_where_the_same_was_asked(write: Write, tmp_path: Path) -> None:
    routes = tmp_path / "routes.json"
    routes.write_text('{"routes": [{"path": "/items/{id}", "parameters": [1, 2, 3, 4, 5, 6, 7]}]}')
    path = write("\n".join(map(json.dumps, CAPTURED)))
    found = replay.load(path, route.load(routes))
    times, _, paths = zip(*sent(found), strict=True)
    assert times == (0.0, 1.0, 2.0)  # of each route, the statement that came first is a request
    assert paths[0] == paths[2] != paths[1]
    assert {each.name for each in found.routes} == {"GET /items/{id}"}
    assert set(found.notes) == {"1 left out: GET /other is not among the routes", "1 left out: of no route"}
    with pytest.raises(UsageError, match=r"has no values: give the routes that its names stand for with --routes"):
        replay.load(path)
    path.write_text("\n".join(map(json.dumps, [CAPTURED[0], {"time": 1795687202, "path": "/"}])))
    with pytest.raises(BadFile, match="replay them apart"):
        replay.load(path, route.load(routes))


def test_files_without_requests(write: Write, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="has no request to send"):
        replay.load(write(""))
    with pytest.raises(BadFile, match="has no request to send: 2 lines are no requests, the first of them line 1"):
        replay.load(write("a\n{broken\n"))
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        replay.load(tmp_path / "nowhere")
    with pytest.raises(BadFile, match="cannot be read: Is a directory"):
        replay.load(tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/a/12/b", "GET /a/{id}/b"),
        ("GET", "/p/3b136c4b-7a14-4904-9e01-13364dd7b972", "GET /p/{id}"),
        ("GET", "/p/v1/x12?b=1&a=2&a=3", "GET /p/v1/x12?b&a"),
        ("DELETE", "/", "DELETE /"),
    ],
)
def test_names_group_what_differs_by_ids_only(method: str, path: str, name: str) -> None:
    assert replay.name(method, path) == name
