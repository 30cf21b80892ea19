"""Where a statement comes from: labels, requests, tags, call sites."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dbtune.workload.capture import origin


@pytest.mark.parametrize(
    ("statement", "route"),
    [
        ("SELECT 1 /*controller='users',action='show'*/", "users#show"),
        ("SELECT 1 /*action='show',route='%2Fusers%2F%3Cid%3E',traceparent='00-1-2-01'*/", "/users/<id>"),
        ("/* route='GET /a' */ SELECT 1", "GET /a"),
        ("SELECT 1 /* application:Party,controller:parties,action:index */", "parties#index"),
        ("SELECT 1 /*controller=a*/;", "a"),
        ("SELECT 1 /*route='it\\'s'*/", "it\\'s"),
        ("SELECT 1 /* a remark: not a tag, only words */", None),
        ("SELECT /*route='x'*/ 1", None),
        ("SELECT 1", None),
    ],
)
def test_tags_in_comments(statement: str, route: str | None) -> None:
    assert origin.tagged_route(statement) == route


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        ("SELECT 1 /*route='a',traceparent='00-1'*/", "SELECT 1"),
        ("SELECT 1 /*route='a'*/ ;", "SELECT 1;"),
        ("/*route='a'*/ SELECT 1", "SELECT 1"),
        ("SELECT '/*route=a*/'", "SELECT '/*route=a*/'"),
        ("SELECT 1 /* why */", "SELECT 1 /* why */"),
    ],
)
def test_tags_that_differ_with_each_request_are_no_part_of_the_query(statement: str, without: str) -> None:
    assert origin.without_tags(statement) == without


def test_the_innermost_label_wins_and_the_outer_one_comes_back() -> None:
    with origin.label("outer"):
        with origin.label("inner"):
            assert origin.origin("SELECT 1 /*route='x'*/") == "inner"
        assert origin.origin("SELECT 1") == "outer"


def test_a_flask_request_is_its_rule_and_not_its_path() -> None:
    flask = pytest.importorskip("flask")
    app = flask.Flask("party")
    seen: list[str | None] = []

    def view(id: str) -> str:
        seen.append(origin.origin("SELECT 1 /*route='x'*/"))
        return id

    app.add_url_rule("/parties/<id>", view_func=view, methods=["PUT"])
    app.test_client().put("/parties/7")
    assert seen == ["PUT /parties/<id>"]


def test_a_starlette_route_is_its_pattern_with_where_it_is_mounted() -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    seen: list[str | None] = []

    async def view(request: Request) -> PlainTextResponse:
        await asyncio.sleep(0)
        seen.append(origin.origin("SELECT 1"))
        return PlainTextResponse("")

    origin.label_asgi_routes()
    origin.label_asgi_routes()  # of a second recorder: still once
    inner = Route("/{id:int}", view)
    app = Starlette(routes=[Route("/parties/{id}", view), Mount("/v1", routes=[inner])])

    async def ask(path: str) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            return

        scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "query_string": b"", "headers": []}
        await app(scope, receive, send)

    async def both() -> None:
        await asyncio.gather(ask("/parties/1"), ask("/v1/2"))

    asyncio.run(both())
    assert sorted(filter(None, seen)) == ["GET /parties/{id}", "GET /v1/{id:int}"]
    assert origin.origin("SELECT 1 /*route='after'*/") == "after"


def test_without_anything_else_it_is_the_application_s_own_code() -> None:
    def repository() -> str | None:
        return origin.origin("SELECT 1")

    found = repository()
    assert found is not None
    assert found.startswith(f"{__name__}:test_without_anything_else")
