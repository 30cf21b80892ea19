"""The service in processes of its own, and a client that speaks plain HTTP to it."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection, text

from dbtune.party.web import serving
from dbtune.party.web.funnel import Funnel
from dbtune.party.web.servers import Server
from dbtune.party.web.serving import Running
from dbtune.party.web.settings import Settings

BASE = "/party-api/v1"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> str:
        """What it says is wrong."""
        (message,) = self.body["errors"]
        return str(message)


class Client:
    """Asks a running service, with the right password unless told otherwise."""

    def __init__(self, running: Running) -> None:
        self.running = running

    def ask(
        self, method: str, path: str, body: Any = None, *, auth: str | None = "admin:secret", raw: bytes | None = None
    ) -> Answer:
        """Send a request to a path below the base and return the answer, whose body must be JSON."""
        connection = http.client.HTTPConnection(urlsplit(self.running.address).netloc, timeout=30)
        headers = {"Connection": "close"}
        if auth is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, path if path.startswith(("/info", "/funnel")) else BASE + path, data, headers)
            response = connection.getresponse()
            found = response.read()
        finally:
            connection.close()
        assert response.headers["Content-Type"] == "application/json", found
        return Answer(response.status, dict(response.headers), json.loads(found))

    def get(self, path: str) -> Answer:
        """Send a GET."""
        return self.ask("GET", path)

    def funnel(self) -> Funnel:
        """Return the funnel when nothing is in flight any more: an answer is counted just after it was read."""
        end = time.monotonic() + 10
        while (found := self.running.funnel()).in_flight and time.monotonic() < end:
            time.sleep(0.01)
        return found


Serve = Callable[..., Client]


@pytest.fixture
def serve(party_url: str) -> Iterator[Serve]:
    """Starts the service on the module's database: ``serve(Server(...), pool_size=1)`` returns a client."""
    with ExitStack() as stack:

        def start(server: Server | None = None, **settings: Any) -> Client:
            given = Settings(**{"url": party_url, **settings})
            return Client(stack.enter_context(serving.start(given, server or Server())))

        yield start


@pytest.fixture(scope="module")
def client(party_url: str) -> Iterator[Client]:
    """One service for a module's tests that need nothing special."""
    with serving.start(Settings(url=party_url), Server()) as running:
        yield Client(running)


@pytest.fixture
def business(party: Connection) -> Any:
    """The business with the most respondents."""
    return party.execute(
        text(
            "SELECT b.party_uuid::text AS id, b.business_ref AS ref, count(r) AS respondents"
            " FROM partysvc.business b JOIN partysvc.business_respondent r ON r.business_id = b.party_uuid"
            " GROUP BY b.party_uuid ORDER BY count(r) DESC, b.party_uuid LIMIT 1"
        )
    ).one()


@pytest.fixture
def respondent(party: Connection) -> Any:
    """A respondent with an enrolment that is enabled."""
    return party.execute(
        text(
            "SELECT p.party_uuid::text AS id, p.email_address AS email, e.business_id::text AS business,"
            " e.survey_id AS survey FROM partysvc.respondent p JOIN partysvc.enrolment e ON e.respondent_id = p.id"
            " WHERE e.status = 'ENABLED' AND p.pending_email_address IS NULL ORDER BY p.id LIMIT 1"
        )
    ).one()
