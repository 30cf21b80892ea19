"""Pools that run dry and servers that refuse, answered as in 2019 and well; each loss is on one stage of the funnel."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection, make_url, text

from dbtune.party.web.funnel import SUMS, Funnel
from dbtune.party.web.servers import Kind, Server
from tests.party.web.conftest import Answer, Client, Serve

ABSENT = "00000000-0000-4000-8000-000000000000"


def many(client: Client, path: str, count: int) -> list[Answer]:
    with ThreadPoolExecutor(count) as executor:
        return list(executor.map(lambda _: client.get(path), range(count)))


def assert_sums(funnel: Funnel) -> None:
    """Every request that was accepted is on one line of each sum."""
    assert funnel.in_flight == 0
    assert funnel.open == dict.fromkeys(SUMS, 0)
    total = funnel.total
    assert sum(count for name, count in total.items() if name.startswith("status_")) == total["accepted"]


@pytest.fixture
def limited_url(party_url: str, party: Connection) -> Iterator[str]:
    """The URL of the party database for a role that may open two connections."""
    with party.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        admin.execute(text("CREATE ROLE limited LOGIN CONNECTION LIMIT 2"))
        admin.execute(text("GRANT USAGE ON SCHEMA partysvc TO limited"))
        admin.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA partysvc TO limited"))
        yield make_url(party_url).set(username="limited").render_as_string()
        end = time.monotonic() + 10
        sessions = text("SELECT count(*) FROM pg_stat_activity WHERE usename = 'limited'")
        while admin.scalar(sessions) and time.monotonic() < end:
            time.sleep(0.05)
        admin.execute(text("DROP OWNED BY limited"))
        admin.execute(text("DROP ROLE limited"))


def test_a_pool_that_runs_dry_is_500_in_2019(serve: Serve, business: Any) -> None:
    client = serve(pool_size=1, max_overflow=0, pool_timeout=0.2, hold_s=0.8)
    answers = many(client, f"/businesses/id/{business.id}", 4)
    assert Counter(answer.status for answer in answers) == {200: 1, 500: 3}
    failed = next(answer for answer in answers if answer.status == 500)
    assert failed.error.startswith("TimeoutError: QueuePool limit of size 1 overflow 0 reached")
    assert all(answer.headers["X-Emulated-Hold"] == "0.8 s" for answer in answers)
    funnel = client.funnel()
    assert_sums(funnel)
    total = funnel.total
    assert (total["pool_wait"], total["pool_timeout"], total["connection"]) == (4, 3, 1)
    assert len(log(client, "error")) == 6  # twice each: where it is rolled back and where it is answered


def test_a_pool_that_runs_dry_is_503_where_answers_are_good(serve: Serve, business: Any) -> None:
    client = serve(pool_size=1, max_overflow=0, pool_timeout=0.2, hold_s=0.8, errors="good", retry_after_s=7)
    answers = many(client, f"/businesses/id/{business.id}", 4)
    assert Counter(answer.status for answer in answers) == {200: 1, 503: 3}
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status == 503} == {"7"}
    assert_sums(client.funnel())
    assert len(log(client, "warning")) == 3
    assert not log(client, "error")


@pytest.mark.parametrize(("errors", "status"), [("2019", 500), ("good", 503)])
def test_a_server_without_connections_left(
    serve: Serve, limited_url: str, business: Any, errors: str, status: int
) -> None:
    client = serve(url=limited_url, pool_size=10, hold_s=0.8, errors=errors)
    answers = many(client, f"/businesses/id/{business.id}", 5)
    assert Counter(answer.status for answer in answers) == {200: 2, status: 3}
    assert "too many connections" in "".join(log(client))
    funnel = client.funnel()
    assert_sums(funnel)
    assert (funnel.total["too_many_clients"], funnel.total["connect_failed"]) == (3, 0)
    client.running.stop()


def test_a_server_that_is_not_there(serve: Serve, party_url: str) -> None:
    nowhere = make_url(party_url).update_query_dict({"port": "1"}).set(password="topsecret").render_as_string(False)
    client = serve(url=nowhere, errors="good")
    answer = client.get(f"/businesses/id/{ABSENT}")
    assert (answer.status, answer.error) == (503, "the database takes no connection; try again later")
    assert client.funnel().total["connect_failed"] == 1
    assert "topsecret" not in "".join(log(client))


@pytest.mark.parametrize(
    ("errors", "message"), [("2019", "ProgrammingError: relation"), ("good", "internal error; the log has it")]
)
def test_what_nobody_foresaw(serve: Serve, database_url: str, errors: str, message: str) -> None:
    """An empty database: the table is not there."""
    client = serve(url=database_url, errors=errors)
    answer = client.get(f"/businesses/id/{ABSENT}")
    assert answer.status == 500
    assert message in answer.error
    assert len(log(client, "error")) == (2 if errors == "2019" else 1)
    funnel = client.funnel()
    assert_sums(funnel)
    assert funnel.total["query_failed"] == 1
    client.running.stop()


def test_two_who_want_the_same_pending_address(serve: Serve, party: Connection) -> None:
    ids = party.scalars(text("SELECT party_uuid::text FROM partysvc.respondent ORDER BY id DESC LIMIT 2")).all()
    body = {"firstName": "A", "lastName": "B", "emailAddress": "wanted@new.example"}
    client = serve(errors="good")
    assert client.ask("PUT", f"/respondents/id/{ids[0]}", body).status == 200
    assert client.ask("PUT", f"/respondents/id/{ids[1]}", body).status == 409
    assert client.ask("PUT", f"/respondents/id/{ids[1]}", {**body, "emailAddress": None}).status == 200


def test_every_kind_of_answer_has_its_stage(serve: Serve, business: Any) -> None:
    client = serve(caching="simple")
    before = client.funnel()
    for path in ("/nosuch", "/businesses", "/businesses/id/7", f"/businesses/id/{ABSENT}"):
        client.get(path)
    client.ask("GET", "/businesses", auth=None)
    for _ in range(3):
        client.get(f"/businesses/id/{business.id}")
    funnel = client.funnel().since(before)
    assert_sums(funnel)
    total = funnel.total
    assert (total["accepted"], total["turned_away"], total["cached"], total["hit"]) == (8, 3, 2, 3)
    assert (total["no_database"], total["query_completed"]) == (1, 2)
    assert total["statements"] == 1 + 2 + business.respondents  # one for what is absent
    told = client.ask("GET", "/funnel", auth=None).body
    assert told["total"] == client.funnel().total
    assert [each["counts"] for each in told["processes"]] == [told["total"]]


def test_the_funnel_sums_over_processes_and_survives_them(serve: Serve, business: Any) -> None:
    client = serve(Server(kind=Kind.SYNC, workers=2), hold_s=0.1)
    many(client, f"/businesses/id/{business.id}", 12)
    funnel = client.funnel()
    assert_sums(funnel)
    assert len(funnel.processes) == 2
    assert funnel.total["query_completed"] == 12
    assert client.running.stop().total == client.running.funnel().total == funnel.total


def test_a_client_that_has_gone_is_not_written_to(serve: Serve, party: Connection) -> None:
    """It hangs up with a reset while its answer, too large for the socket's buffers, is made."""
    client = serve(hold_s=0.3)
    where = urlsplit(client.running.address)
    ids = party.scalars(text("SELECT party_uuid::text FROM partysvc.business LIMIT 300")).all()
    path = "/party-api/v1/businesses?" + "&".join(f"id={each}" for each in ids)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46c2VjcmV0\r\n\r\n"
    opened = socket.create_connection((where.hostname, where.port))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    opened.sendall(head.encode())
    while not client.running.funnel().total["query_started"]:
        time.sleep(0.01)
    opened.close()
    funnel = client.funnel()
    assert_sums(funnel)
    assert (funnel.total["unwritten"], funnel.total["query_completed"]) == (1, 1)


def test_requests_without_a_thread_are_told_so(serve: Serve) -> None:
    """The process may start no thread more: as when a container's limit is reached."""
    resource = pytest.importorskip("resource")
    for errors, expected in (("good", b"HTTP/1.1 503 "), ("2019", b"")):
        client = serve(errors=errors)
        # a thread needs address space for its stack; the bytes below leave none
        resource.prlimit(client.running.pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
        where = urlsplit(client.running.address)
        with socket.create_connection((where.hostname, where.port), timeout=10) as opened:
            opened.sendall(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                assert opened.recv(13) == expected
            except ConnectionResetError:
                assert not expected
        assert client.funnel().total["unthreaded"] == 1
        client.running.stop()


def log(client: Client, level: str = "") -> list[str]:
    """Return the lines that the service logged so far, of one level or all."""
    threading.Event().wait(0.05)  # what is logged after the answer
    lines = client.running.log_path.read_text().splitlines()
    return [line for line in lines if not level or json.loads(line)["level"] == level]
