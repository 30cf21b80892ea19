"""Caches: hits that cost no query, bodies that are right, and those of 2019 that are not."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dbtune.errors import UsageError
from dbtune.party.web import caching
from dbtune.party.web.servers import Kind, Server
from dbtune.party.web.settings import Caching, Settings
from tests.party.web.conftest import Client, Serve

ABSENT = "00000000-0000-4000-8000-000000000000"


SERVERS = {
    "redis": ("redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
    "memcached": ("memcached", "-p", "{port}", "-l", "127.0.0.1", "-U", "0", "-u", "nobody"),
}


@pytest.fixture(params=["simple", "redis", "memcached"])
def cached(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> Iterator[Client]:
    """A service of two processes that caches with right keys."""
    server = Server(kind=Kind.GTHREAD, workers=2, threads=2)
    if request.param == "simple":
        yield serve(server, caching=Caching.SIMPLE)
        return
    with running(SERVERS[request.param], tmp_path) as port:
        yield serve(server, caching=Caching(request.param), cache_url=f"{request.param}://127.0.0.1:{port}")


@contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[int]:
    """Start Redis or Memcached, as installed here, and yield its port."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} on this machine")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [word.format(port=port) for word in command]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(400):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert process.poll() is None
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def post(client: Client, ref: str, name: str) -> str:
    """Make a version of a business and return its id."""
    answer = client.ask("POST", "/businesses", {"sampleUnitRef": ref, "attributes": {"name": name}})
    assert answer.status == 200
    return str(answer.body["id"])


def test_by_path_alone_the_wrong_body_is_returned(serve: Serve, business: Any) -> None:
    client = serve(caching="path")
    assert len(client.get(f"/businesses?id={business.id}").body) == 1
    wrong = client.get(f"/businesses?id={ABSENT}")
    assert (wrong.status, [each["id"] for each in wrong.body]) == (200, [business.id])


def test_by_path_alone_a_write_changes_nothing(serve: Serve) -> None:
    client = serve(caching="path")
    ref = str(uuid4().int)[:11]
    post(client, ref, "Before Ltd")
    assert client.get(f"/businesses/ref/{ref}").body["name"] == "Before Ltd"
    post(client, ref, "After Ltd")
    assert client.get(f"/businesses/ref/{ref}").body["name"] == "Before Ltd"


def test_right_keys_hold_query_and_body(cached: Client, business: Any, respondent: Any) -> None:
    for _ in range(2):
        assert len(cached.get(f"/businesses?id={business.id}").body) == 1
        assert cached.get(f"/businesses?id={ABSENT}").body == []
        assert "attributes" not in cached.get(f"/businesses/id/{business.id}").body
        assert "attributes" in cached.get(f"/businesses/id/{business.id}?verbose").body
        assert cached.ask("GET", "/respondents/email", {"email": respondent.email}).status == 200
        assert cached.ask("GET", "/respondents/email", {"email": "nobody@x.example"}).status == 404


def test_a_hit_costs_no_query_and_order_does_not_matter(serve: Serve, business: Any) -> None:
    client = serve(caching="simple")
    client.get(f"/businesses?id={business.id}&id={ABSENT}")
    before = client.funnel()
    assert client.get(f"/businesses?id={ABSENT}&id={business.id}").body[0]["id"] == business.id
    counted = client.funnel().since(before).total
    assert (counted["cached"], counted["hit"], counted["statements"]) == (1, 0, 0)


def test_every_worker_forgets_after_a_write(cached: Client) -> None:
    ref = str(uuid4().int)[:11]
    for number in range(4):
        post(cached, ref, f"Version {number} Ltd")
        for _ in range(6):  # some for each worker
            assert cached.get(f"/businesses/ref/{ref}").body["name"] == f"Version {number} Ltd"
    assert cached.funnel().total["cached"] > 0


def test_what_was_refused_is_asked_again_and_a_refused_write_forgets_nothing(serve: Serve, business: Any) -> None:
    client = serve(caching="simple")
    ref = str(uuid4().int)[:11]
    assert client.get(f"/businesses/ref/{ref}").status == 404
    post(client, ref, "New Ltd")
    assert client.get(f"/businesses/ref/{ref}").status == 200
    assert client.ask("POST", "/businesses", {}).status == 400
    before = client.funnel()
    assert client.get(f"/businesses/ref/{ref}").status == 200
    assert client.funnel().since(before).total["cached"] == 1


def test_the_password_is_asked_for_before_the_cache_is(serve: Serve, business: Any) -> None:
    client = serve(caching="simple")
    assert client.get(f"/businesses/id/{business.id}").status == 200
    assert client.ask("GET", f"/businesses/id/{business.id}", auth="admin:wrong").status == 401


def test_entries_are_few_where_few_are_allowed(serve: Serve, business: Any) -> None:
    client = serve(caching="simple", cache_entries=1)
    for number in range(40):
        client.get(f"/businesses/search?query=nosuch{number}")
    before = client.funnel()
    client.get("/businesses/search?query=nosuch0")
    assert client.funnel().since(before).total["hit"] == 1


def test_a_cache_elsewhere_needs_an_address() -> None:
    with pytest.raises(UsageError, match="needs an address: --cache-url redis://localhost:6379/0"):
        caching.check(Settings(url="", caching=Caching.REDIS))
