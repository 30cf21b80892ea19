"""Requests that exercise every route on loaded data, with values that give many rows, few and none.

Which business has most respondents, which sample is the smallest and so on is asked from the data, in an order that
leaves no choice: the same data give the same requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Connection, Row, text

from dbtune.party.routes import Route, route
from dbtune.server.connection import MARKER

NOW = datetime(2019, 1, 30, 12)
ABSENT_ID = "00000000-0000-4000-8000-000000000000"
ABSENT_REF = "00000000000"
ABSENT_EMAIL = "nobody@nowhere.example"
LIST_LENGTH = 5
"""How many ids a request for several parties names."""

# What there is, in order of the rows that a request for it finds, most first.
_BUSINESSES_BY_VERSIONS = """
    SELECT b.party_uuid::text AS id, b.business_ref AS ref
      FROM partysvc.business AS b JOIN partysvc.business_attributes AS a ON a.business_id = b.party_uuid
     GROUP BY b.party_uuid ORDER BY count(*) DESC, b.party_uuid"""
_BUSINESSES_BY_RESPONDENTS = """
    SELECT b.party_uuid::text AS id, b.business_ref AS ref
      FROM partysvc.business AS b LEFT JOIN partysvc.business_respondent AS r ON r.business_id = b.party_uuid
     GROUP BY b.party_uuid ORDER BY count(r.business_id) DESC, b.party_uuid"""
_SAMPLES_BY_VERSIONS = """
    SELECT sample_summary_id AS id FROM partysvc.business_attributes
     WHERE sample_summary_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, sample_summary_id COLLATE "C" """
_WORDS_BY_BUSINESSES = """
    SELECT word FROM partysvc.business_attributes, regexp_split_to_table(attributes ->> 'name', '[^A-Za-z]+') AS word
     WHERE length(word) > 2 GROUP BY word ORDER BY count(DISTINCT business_id) DESC, word COLLATE "C" """
_RESPONDENTS_BY_BUSINESSES = """
    SELECT p.party_uuid::text AS id, p.email_address AS email, p.first_name, p.last_name, p.telephone
      FROM partysvc.respondent AS p LEFT JOIN partysvc.business_respondent AS r ON r.respondent_id = p.id
     GROUP BY p.id ORDER BY count(r.business_id) DESC, p.id"""
_RESPONDENTS_BY_PENDING = """
    SELECT p.party_uuid::text AS id, count(e.id) AS pending
      FROM partysvc.respondent AS p LEFT JOIN partysvc.pending_enrolment AS e ON e.respondent_id = p.id
     WHERE p.status = 'CREATED' GROUP BY p.id ORDER BY pending DESC, p.id"""
_ENROLMENTS_BY_RESPONDENTS = """
    SELECT e.business_id::text AS business, e.survey_id AS survey, min(p.party_uuid::text) AS respondent
      FROM partysvc.enrolment AS e JOIN partysvc.respondent AS p ON p.id = e.respondent_id
     WHERE e.status = 'ENABLED'
     GROUP BY e.business_id, e.survey_id ORDER BY count(*) DESC, e.business_id, e.survey_id COLLATE "C" """


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a route's function: ``path`` stands for the names in the route's path, ``arguments`` go by name."""

    route: Route
    path: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)


def choose(connection: Connection) -> list[Request]:
    """Return the requests for the data that ``connection`` sees: each route's in a row."""
    requests = [*_of_businesses(connection), *_of_respondents(connection), *_of_parties(connection)]
    return [Request(route(name), path, arguments) for name, path, arguments in requests]


_Call = tuple[str, tuple[str, ...], dict[str, Any]]


def _of_businesses(connection: Connection) -> Iterator[_Call]:
    versions = _ranked(connection, _BUSINESSES_BY_VERSIONS)
    respondents = _ranked(connection, _BUSINESSES_BY_RESPONDENTS)
    for found in (LIST_LENGTH, 1, 0):
        absent = [_absent_id(number) for number in range(LIST_LENGTH - found)]
        yield "GET /businesses", (), {"ids": [*(each.id for each in versions[:found]), *absent]}
    for business in (*_ends(versions), *_ends(respondents)):
        yield "GET /businesses/id/{id}", (business.id,), {}
        yield "GET /businesses/ref/{ref}", (business.ref,), {}
    yield "GET /businesses/id/{id}", (versions[0].id,), {"verbose": True}
    yield "GET /businesses/id/{id}", (ABSENT_ID,), {}
    yield "GET /businesses/ref/{ref}", (ABSENT_REF,), {}
    words = [row.word for row in _ends(_ranked(connection, _WORDS_BY_BUSINESSES))]
    for query in (*words, "Xylophone", versions[0].ref, " ".join(words), f"Xylophone {words[0]}"):
        yield "GET /businesses/search", (), {"query": query}
    for ref in (versions[0].ref, versions[-1].ref, ABSENT_REF):
        yield "POST /businesses", (), _new_version(ref)
    for sample in (*(row.id for row in _ends(_ranked(connection, _SAMPLES_BY_VERSIONS))), ABSENT_ID):
        yield "PUT /businesses/sample/link/{sample}", (sample,), {"collection_exercise_id": _absent_id(1)}


def _of_respondents(connection: Connection) -> Iterator[_Call]:
    respondents = _ranked(connection, _RESPONDENTS_BY_BUSINESSES)
    busiest, idlest = respondents[0], respondents[-1]
    for found in (LIST_LENGTH, 1, 0):
        absent = [_absent_id(number) for number in range(LIST_LENGTH - found)]
        yield "GET /respondents", (), {"ids": [*(each.id for each in respondents[:found]), *absent]}
    for respondent in (busiest, idlest):
        yield "GET /respondents/id/{id}", (respondent.id,), {}
        yield "GET /respondents/email", (), {"email": respondent.email.upper()}
    yield "GET /respondents/id/{id}", (ABSENT_ID,), {}
    yield "GET /respondents/email", (), {"email": ABSENT_EMAIL}

    details = {key: busiest._mapping[key] for key in ("first_name", "last_name", "telephone")}
    married = {**details, "last_name": f"{busiest.last_name}-Smith"}
    yield "PUT /respondents/id/{id}", (busiest.id,), married
    yield "PUT /respondents/id/{id}", (busiest.id,), {**details, "telephone": "01633 000000"}
    yield "PUT /respondents/id/{id}", (busiest.id,), {**details, "email_address": ABSENT_EMAIL}
    yield "PUT /respondents/id/{id}", (busiest.id,), {**details, "email_address": idlest.email}
    yield "PUT /respondents/id/{id}", (ABSENT_ID,), details

    enrolments = _ranked(connection, _ENROLMENTS_BY_RESPONDENTS)
    for row in _ends(enrolments):
        enrolment = {"respondent_id": row.respondent, "business_id": row.business, "survey_id": row.survey}
        yield "PUT /respondents/change_enrolment_status", (), {**enrolment, "change_flag": "DISABLED"}
        elsewhere = {**enrolment, "survey_id": ABSENT_ID}
        yield "PUT /respondents/change_enrolment_status", (), {**elsewhere, "change_flag": "DISABLED"}

    change = {"status_change": "SUSPENDED", "now": NOW}
    yield "PUT /respondents/edit-account-status/{id}", (busiest.id,), change
    created = _ranked(connection, _RESPONDENTS_BY_PENDING)
    without = [row for row in created if not row.pending]
    for respondent in (*_ends([row for row in created if row.pending]), *without[:1]):
        yield "PUT /respondents/edit-account-status/{id}", (respondent.id,), {**change, "status_change": "ACTIVE"}
    yield "PUT /respondents/edit-account-status/{id}", (ABSENT_ID,), change


def _of_parties(connection: Connection) -> Iterator[_Call]:
    businesses = _ranked(connection, _BUSINESSES_BY_RESPONDENTS)
    for business in _ends(businesses):
        yield "GET /parties/type/{type}/ref/{ref}", ("B", business.ref), {}
        yield "GET /parties/type/{type}/id/{id}", ("B", business.id), {}
    for respondent in _ends(_ranked(connection, _RESPONDENTS_BY_BUSINESSES)):
        yield "GET /parties/type/{type}/id/{id}", ("BI", respondent.id), {}
    for ref in (businesses[0].ref, ABSENT_REF):
        yield "POST /parties", (), {"sample_unit_type": "B", "sample_summary_id": _absent_id(2), **_new_version(ref)}


def _ranked(connection: Connection, statement: str) -> list[Row[Any]]:
    return list(connection.execute(text(f"{MARKER} {statement}")))


def _ends(rows: list[Row[Any]]) -> list[Row[Any]]:
    """Return the first and the last row, as far as there are so many."""
    return [rows[0], rows[-1]] if len(rows) > 1 else rows


def _absent_id(number: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://party.example/absent/{number}"))


def _new_version(ref: str) -> dict[str, Any]:
    return {
        "sample_unit_ref": ref,
        "attributes": {"ruref": ref, "name": "Ashford Bakery Ltd", "trading_as": "Ashford Bakery", "frotover": 120},
        "new_id": uuid5(NAMESPACE_URL, f"https://party.example/business/{ref}"),
        "now": NOW,
    }
