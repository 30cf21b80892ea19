"""Every route over HTTP, and what is turned away before it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from dbtune.party.routes import ROUTES
from tests.party.web.conftest import Client

ABSENT = "00000000-0000-4000-8000-000000000000"


def test_businesses_are_found_by_ids_id_and_ref(client: Client, business: Any) -> None:
    one = client.get(f"/businesses/id/{business.id}")
    assert one.status == 200
    assert (one.body["id"], one.body["sampleUnitRef"]) == (business.id, business.ref)
    assert len(one.body["associations"]) == business.respondents
    assert "attributes" not in one.body
    verbose = client.get(f"/businesses/id/{business.id}?verbose=true").body
    assert verbose["attributes"]["ruref"] == business.ref
    assert client.get(f"/businesses/ref/{business.ref}").body == one.body
    assert client.get(f"/businesses/ref/{business.ref}?verbose=true").body == verbose
    assert client.get(f"/businesses?id={ABSENT}&id={business.id}").body == [one.body]
    for kind in ("ref/" + business.ref, "id/" + business.id):
        assert client.get(f"/parties/type/B/{kind}").body == verbose


def test_search_takes_several_words(client: Client, party: Connection) -> None:
    name = party.scalar(text("SELECT attributes ->> 'name' FROM partysvc.business_attributes ORDER BY id LIMIT 1"))
    found = client.get("/businesses/search?query=" + "%20".join(reversed(str(name).split())))
    assert found.status == 200
    assert name in [each["name"] for each in found.body]
    assert client.get("/businesses/search?query=nosuchword").body == []


def test_respondents_are_found_by_ids_id_and_email(client: Client, respondent: Any) -> None:
    one = client.get(f"/respondents/id/{respondent.id}")
    assert (one.status, one.body["emailAddress"]) == (200, respondent.email)
    assert client.get(f"/respondents?id={respondent.id}&id={ABSENT}").body == [one.body]
    assert client.get(f"/respondents/email?email={respondent.email.upper()}").body == one.body
    assert client.ask("GET", "/respondents/email", {"email": respondent.email}).body == one.body
    assert client.get(f"/parties/type/BI/id/{respondent.id}").body == one.body


@pytest.mark.parametrize("path", ["/businesses", "/parties"])
def test_a_post_makes_a_business_and_then_another_version_of_it(client: Client, path: str) -> None:
    ref = str(uuid4().int)[:11]
    body = {"sampleUnitType": "B", "sampleUnitRef": ref, "sampleSummaryId": "s1", "attributes": {"name": "Älpha Ltd"}}
    made = client.ask("POST", path, body)
    assert (made.status, made.body["attributes"], made.body["sampleSummaryId"]) == (200, {"name": "Älpha Ltd"}, "s1")
    again = client.ask("POST", path, {**body, "attributes": {"name": "Beta Ltd"}})
    assert again.body["id"] == made.body["id"]
    assert client.get(f"/businesses/ref/{ref}").body["name"] == "Beta Ltd"


def test_a_sample_is_linked(client: Client, party: Connection) -> None:
    sample = f"sample-{uuid4()}"
    client.ask("POST", "/businesses", {"sampleUnitRef": "48000000001", "sampleSummaryId": sample, "attributes": {}})
    linked = client.ask("PUT", f"/businesses/sample/link/{sample}", {"collectionExerciseId": "exercise"})
    assert (linked.status, linked.body["collectionExerciseId"]) == (200, "exercise")
    kept = "SELECT collection_exercise FROM partysvc.business_attributes WHERE sample_summary_id = :sample"
    assert party.scalar(text(kept), {"sample": sample}) == "exercise"


def test_a_respondent_is_changed(client: Client, respondent: Any) -> None:
    email = f"{uuid4().hex}@new.example"
    body = {"firstName": "Olwen", "lastName": "Bevan", "telephone": None, "emailAddress": email}
    changed = client.ask("PUT", f"/respondents/id/{respondent.id}", body)
    assert changed.status == 200
    kept = client.get(f"/respondents/id/{respondent.id}").body
    assert (kept["firstName"], kept["telephone"], kept["pendingEmailAddress"]) == ("Olwen", None, email)
    assert kept["emailAddress"] == respondent.email


def test_somebody_elses_address_is_refused(client: Client, respondent: Any, party: Connection) -> None:
    other = party.scalar(text("SELECT max(email_address) FROM partysvc.respondent"))
    body = {"firstName": "Olwen", "lastName": "Bevan", "emailAddress": other}
    refused = client.ask("PUT", f"/respondents/id/{respondent.id}", body)
    assert (refused.status, refused.error) == (409, "somebody else has this e-mail address")


def test_enrolments_and_accounts_change(client: Client, respondent: Any) -> None:
    enrolment = {"respondent_id": respondent.id, "business_id": respondent.business, "survey_id": respondent.survey}
    changed = client.ask("PUT", "/respondents/change_enrolment_status", {**enrolment, "change_flag": "DISABLED"})
    assert (changed.status, changed.body["enrolmentStatus"]) == (200, "DISABLED")
    client.ask("PUT", "/respondents/change_enrolment_status", {**enrolment, "change_flag": "ENABLED"})
    for status in ("SUSPENDED", "ACTIVE"):
        answer = client.ask("PUT", f"/respondents/edit-account-status/{respondent.id}", {"status_change": status})
        assert (answer.status, answer.body["status"]) == (200, status)
        assert client.get(f"/respondents/id/{respondent.id}").body["status"] == status


def test_no_route_is_forgotten(client: Client) -> None:
    """Each route is there: with a body that says nothing it refuses, or finds nothing."""
    for route in ROUTES:
        path = route.template.format(id=ABSENT, ref="0", type="B", sample="none")
        answer = client.ask(route.method, path, {})
        assert answer.status in (400, 404), (str(route), answer)
        assert "no such" in answer.error or "URL" not in answer.error


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/businesses", None, 400, "no id is given; write ?id=…&id=…"),
        ("GET", "/businesses?id=7", None, 400, "'7' is not a UUID"),
        ("GET", "/businesses/id/7", None, 400, "'7' is not a UUID"),
        ("GET", f"/businesses/id/{ABSENT}", None, 404, f"no business has the id {ABSENT}"),
        ("GET", "/businesses/search", None, 400, "a search needs a word"),
        ("GET", "/businesses/search?query=%00", None, 400, "a value has a character that cannot be stored"),
        ("GET", "/businesses/ref/%00", None, 400, "a value has a character that cannot be stored"),
        ("GET", "/respondents/email", None, 400, "email is missing"),
        ("GET", f"/parties/type/C/id/{ABSENT}", None, 400, "'C' is no type of a party"),
        ("POST", "/businesses", None, 400, "the body is not JSON"),
        ("POST", "/businesses", [], 400, "the body is not a JSON object"),
        ("POST", "/businesses", {"attributes": {}}, 400, "sampleUnitRef is missing"),
        ("POST", "/businesses", {"sampleUnitRef": 7, "attributes": {}}, 400, "sampleUnitRef is not a string"),
        ("POST", "/businesses", {"sampleUnitRef": "7"}, 400, "attributes is missing"),
        ("POST", "/businesses", {"sampleUnitRef": "7", "attributes": []}, 400, "attributes is not an object"),
        ("POST", "/businesses", {"sampleUnitRef": "7", "attributes": {"a": ["\0"]}}, 400, "a value has a character"),
        ("POST", "/businesses", {"sampleUnitRef": "7", "attributes": {"\ud800": 1}}, 400, "a value has a character"),
        ("POST", "/businesses", {"sampleUnitRef": "7", "attributes": {"a": float("nan")}}, 400, "the body is not JSON"),
        ("POST", "/parties", {"sampleUnitType": "BI", "sampleUnitRef": "7", "attributes": {}}, 400, "samples are of"),
        ("PUT", f"/respondents/edit-account-status/{ABSENT}", {"status_change": "GONE"}, 400, "'GONE' is no status"),
        ("PUT", f"/respondents/id/{ABSENT}", {"firstName": "A", "lastName": "B"}, 404, "no respondent has the id"),
        ("DELETE", f"/businesses/id/{ABSENT}", None, 405, "not allowed"),
        ("GET", "/nosuch", None, 404, "not found"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    client: Client, method: str, path: str, body: Any, status: int, message: str
) -> None:
    answer = client.ask(method, path, body)
    assert answer.status == status
    assert message in answer.error


def test_bodies_that_are_not_json(client: Client) -> None:
    for raw in (b"{", b"\xff\xfe", b"[" * 100_000):
        assert client.ask("POST", "/businesses", raw=raw).error == "the body is not JSON"


def test_only_those_who_know_the_password_get_in(client: Client, business: Any) -> None:
    for auth in (None, "admin:wrong", "nobody:secret", "admin", "ädmin:sécret"):
        answer = client.ask("GET", f"/businesses/id/{business.id}", auth=auth)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="party"'
    assert client.ask("GET", "/info", auth=None).body["pool_size"] == 5


def test_nothing_secret_is_told(client: Client) -> None:
    info = client.ask("GET", "/info", auth=None).body
    assert not {"url", "cache_url", "user", "password"} & info.keys()
    assert info["errors"] == "2019"
