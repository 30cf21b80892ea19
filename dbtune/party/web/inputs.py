"""What a request asks, checked: from its query and JSON body to the arguments of its route's function."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flask import Request

from dbtune.party.refusals import BadRequest
from dbtune.party.routes import Route

Body = dict[str, Any]


def read(route: Route, request: Request) -> dict[str, Any]:
    """Return the named arguments for ``route.function``.

    :raises BadRequest: something is missing, of a wrong type, or has a character that PostgreSQL cannot store.
    """
    _check(request.view_args or {})
    _check(request.args.to_dict(flat=False))
    return _READERS[str(route)](request)


def body(request: Request) -> Body:
    """Return the JSON object that the request carries.

    :raises BadRequest: it carries none.
    """
    try:
        found = json.loads(request.get_data(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(found, dict):
        raise BadRequest("the body is not a JSON object")
    _check(found)
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and its kin are not JSON, and jsonb does not take them


def _check(value: Any) -> None:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and ("\0" in each or any("\ud800" <= letter <= "\udfff" for letter in each)):
            raise BadRequest("a value has a character that cannot be stored (NUL, or half of a pair)")


def _text(found: Body, name: str, *, needed: bool = True) -> str | None:
    value = found.get(name)
    if value is None and not needed:
        return None
    if not isinstance(value, str) or (needed and not value):
        raise BadRequest(f"{name} is missing" if value in (None, "") else f"{name} is not a string")
    return value


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _nothing(request: Request) -> dict[str, Any]:
    return {}


def _ids(request: Request) -> dict[str, Any]:
    ids = request.args.getlist("id")
    if not ids:
        raise BadRequest("no id is given; write ?id=…&id=…")
    return {"ids": ids}


def _verbose(request: Request) -> dict[str, Any]:
    return {"verbose": request.args.get("verbose", "false").lower() not in ("false", "0", "no")}


def _search(request: Request) -> dict[str, Any]:
    return {"query": request.args.get("query", "")}


def _email(request: Request) -> dict[str, Any]:
    """The address may be in the query or, as clients of 2019 sent it, in a body."""
    email = request.args.get("email") or _text(body(request) if request.get_data() else {}, "email")
    return {"email": email}


def _version(request: Request) -> dict[str, Any]:
    found = body(request)
    attributes = found.get("attributes")
    if not isinstance(attributes, dict):
        raise BadRequest("attributes is not an object" if "attributes" in found else "attributes is missing")
    return {
        "sample_unit_ref": _text(found, "sampleUnitRef"),
        "sample_summary_id": _text(found, "sampleSummaryId", needed=False),
        "attributes": attributes,
        "new_id": uuid4(),
        "now": _now(),
    }


def _party(request: Request) -> dict[str, Any]:
    return {"sample_unit_type": _text(body(request), "sampleUnitType"), **_version(request)}


def _link(request: Request) -> dict[str, Any]:
    return {"collection_exercise_id": _text(body(request), "collectionExerciseId")}


def _details(request: Request) -> dict[str, Any]:
    found = body(request)
    return {
        "first_name": _text(found, "firstName"),
        "last_name": _text(found, "lastName"),
        "telephone": _text(found, "telephone", needed=False),
        "email_address": _text(found, "emailAddress", needed=False),
    }


def _enrolment(request: Request) -> dict[str, Any]:
    found = body(request)
    return {name: _text(found, name) for name in ("respondent_id", "business_id", "survey_id", "change_flag")}


def _account(request: Request) -> dict[str, Any]:
    return {"status_change": _text(body(request), "status_change"), "now": _now()}


_READERS: dict[str, Callable[[Request], dict[str, Any]]] = {
    "GET /businesses": _ids,
    "GET /businesses/id/{id}": _verbose,
    "GET /businesses/ref/{ref}": _verbose,
    "GET /businesses/search": _search,
    "POST /businesses": _version,
    "PUT /businesses/sample/link/{sample}": _link,
    "GET /respondents": _ids,
    "GET /respondents/id/{id}": _nothing,
    "GET /respondents/email": _email,
    "PUT /respondents/id/{id}": _details,
    "PUT /respondents/change_enrolment_status": _enrolment,
    "PUT /respondents/edit-account-status/{id}": _account,
    "GET /parties/type/{type}/ref/{ref}": _nothing,
    "GET /parties/type/{type}/id/{id}": _nothing,
    "POST /parties": _party,
}
