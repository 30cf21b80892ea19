"""Requests to a real service, and every way in which they can end."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dbtune.errors import UsageError
from dbtune.load import schedule
from dbtune.load.hammer import Hammer, Options, check_files
from dbtune.load.outcome import Outcome
from dbtune.load.record import Row
from dbtune.load.route import Expectation, Route, plain
from tests.load.service import Service, running

OPTIONS = Options(timeout=1.0)


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as made:
        yield made


def sent(
    target: str, routes: list[Route], rate: float = 100, seconds: float = 0.2, given: Options = OPTIONS
) -> list[Row]:
    rows: list[Row] = []
    hammer = Hammer(target, routes, schedule.constant(rate, seconds, len(routes)), given, rows.append)
    asyncio.run(hammer.run())
    return rows


@pytest.mark.parametrize(
    ("path", "outcome", "status"),
    [
        ("/item/7", Outcome.OK, 200),
        ("/status/201", Outcome.SUCCESS, 201),
        ("/status/302", Outcome.SUCCESS, 302),
        ("/status/404", Outcome.NOT_FOUND, 404),
        ("/status/400", Outcome.CLIENT_ERROR, 400),
        ("/status/500", Outcome.SERVER_ERROR, 500),
        ("/status/503", Outcome.UNAVAILABLE, 503),
        ("/reset", Outcome.RESET, None),
        ("/empty", Outcome.EMPTY, None),
        ("/slow/5", Outcome.TIMED_OUT, None),
    ],
)
def test_every_end_has_its_name(service: Service, path: str, outcome: Outcome, status: int | None) -> None:
    given = replace(OPTIONS, timeout=0.2) if outcome is Outcome.TIMED_OUT else OPTIONS
    rows = sent(service.url, [plain(path)], 20, 0.2, given)
    assert {(row.outcome, row.status) for row in rows} == {(outcome, status)}
    assert len(rows) == 4
    assert all(row.sent is not None and row.done is not None and row.done >= row.sent for row in rows)


def test_nobody_there_is_refused() -> None:
    with running() as gone:
        pass
    assert {row.outcome for row in sent(gone.url, [plain("/item/1")], 20)} == {Outcome.REFUSED}


def test_slow_answers_delay_no_other_request(service: Service) -> None:
    rows = sent(service.url, [plain("/slow/0.5"), plain("/item/1")], 100, 0.4)
    assert len(rows) == 40
    assert max(row.lag or 0.0 for row in rows) < 0.3
    assert {row.outcome for row in rows} == {Outcome.OK}


def test_bodies_are_checked(service: Service) -> None:
    ids = tuple({"id": str(number)} for number in range(5))
    right = Route(method="GET", path="/item/{id}", name="r", parameters=ids, expect=Expectation(json={"id": "{id}"}))
    wrong = replace(right, path="/item/0{id}")
    text = replace(right, path="/text/{id}")
    assert {row.outcome for row in sent(service.url, [right])} == {Outcome.OK}
    (told,) = {row.outcome for row in sent(service.url, [wrong])}
    assert told is Outcome.WRONG
    assert {row.detail for row in sent(service.url, [text])} == {"the body is no JSON"}
    found = replace(right, path="/status/404", expect=Expectation(statuses=(404,)))
    assert {row.outcome for row in sent(service.url, [found])} == {Outcome.SUCCESS}


def test_methods_bodies_headers_and_user(service: Service) -> None:
    post = Route(
        method="POST",
        path="/item/{id}",
        name="post",
        parameters=({"id": "a b/ü"},),
        body={"id": "{id}", "text": "is {id}"},
        headers={"X-One": "1"},
    )
    given = replace(OPTIONS, user=("me", "secret"), headers={"X-All": "2"})
    sent(service.url, [post, replace(post, method="DELETE", name="delete", body=None)], 20, 0.1, given)
    asked = {method: (path, headers, body) for method, path, headers, body in service.asked}
    path, headers, body = asked["POST"]
    assert path == "/item/a%20b%2F%C3%BC"
    assert body == '{"id": "a b/ü", "text": "is a b/ü"}'.encode() or b"a b/" in body
    assert (headers["x-one"], headers["x-all"]) == ("1", "2")
    assert headers["authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    assert asked["DELETE"][2] == b""


def test_connections_are_kept_or_not(service: Service) -> None:
    sent(service.url, [plain("/item/1")], 50, 0.4)
    kept = service.connections
    sent(service.url, [plain("/item/1")], 50, 0.4, replace(OPTIONS, keep_alive=False))
    assert service.connections - kept == 20
    assert kept < 20


def test_same_seed_asks_the_same(service: Service) -> None:
    ids = tuple({"id": number} for number in range(100))
    route = Route(method="GET", path="/item/{id}", name="r", parameters=ids)
    sent(service.url, [route])
    first = Counter(path for _, path, _, _ in service.asked)
    service.asked.clear()
    sent(service.url, [route])
    assert Counter(path for _, path, _, _ in service.asked) == first
    service.asked.clear()
    sent(service.url, [route], given=replace(OPTIONS, seed=2))
    assert Counter(path for _, path, _, _ in service.asked) != first


def test_agreed_start_is_kept_or_refused(service: Service) -> None:
    at = time.time() + 0.6
    sent(service.url, [plain("/item/1")], 10, 0.2, replace(OPTIONS, start_at=at))
    assert time.time() >= at
    with pytest.raises(UsageError, match="ago"):
        sent(service.url, [plain("/item/1")], 10, 0.2, replace(OPTIONS, start_at=time.time() - 5))


def test_stopped_runs_tell_of_what_is_under_way(service: Service) -> None:
    rows: list[Row] = []
    hammer = Hammer(service.url, [plain("/slow/9")], schedule.constant(50, 2, 1), OPTIONS, rows.append)

    async def stop() -> None:
        task = asyncio.create_task(hammer.run())
        await asyncio.sleep(0.6)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop())
    assert 0 < len(rows) < 100
    assert {row.detail for row in rows} == {"the run was stopped"}


def test_files_that_may_be_open_are_looked_at_before() -> None:
    assert check_files(schedule.constant(10, 1, 1), 1.0) is None
