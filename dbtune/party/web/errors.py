"""How failures are answered: JSON always, but with the habits of 2019 or with good ones."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from dbtune.party.refusals import Refusal
from dbtune.party.web import funnel, logs
from dbtune.party.web.session import first_line
from dbtune.party.web.settings import Errors, Settings

_UNIQUE_VIOLATION = "23505"


def install(app: Flask, settings: Settings) -> None:
    """Let ``app`` answer refusals, errors of HTTP, and all else as the settings say."""
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(HTTPException, _http)
    if settings.errors is Errors.AS_IN_2019:
        app.register_error_handler(Exception, _as_in_2019)
    else:
        app.register_error_handler(Exception, lambda error: _well(error, settings.retry_after_s))


def answer(status: int, message: str, **headers: str) -> Response:
    """Return an answer that says what is wrong."""
    response = jsonify(errors=[message])
    response.status_code = status
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def _refused(error: Refusal) -> Response:
    return answer(error.status, str(error))


def _http(error: HTTPException) -> Response:
    made = answer(error.code or 500, error.description or error.name)
    for name, value in error.get_headers():
        if name != "Content-Type":
            made.headers[name] = value
    return made


def _as_in_2019(error: Exception) -> Response:
    """Answer 500 whatever it was; it is logged a second time, and its text goes to the client."""
    logs.failure("uncaught", error, path=request.path)
    return answer(500, first_line(error))


def _well(error: Exception, retry_after_s: int) -> Response:
    """Answer 503 for what will pass and 409 for what somebody else was quicker to do; the rest is 500, logged once."""
    trail = funnel.current()
    if isinstance(error, PoolTimeout):
        logs.warning("no connection came free", path=request.path, reason=first_line(error))
        return answer(503, "the service is busy; try again later", Retry_After=str(retry_after_s))
    if trail is not None and (trail.has("too_many_clients") or trail.has("connect_failed")):
        logs.warning("the database takes no connection", path=request.path, reason=first_line(error))
        return answer(503, "the database takes no connection; try again later", Retry_After=str(retry_after_s))
    if isinstance(error, IntegrityError) and _sqlstate(error) == _UNIQUE_VIOLATION:
        return answer(409, "somebody else was quicker to take what must be unique")
    logs.failure("uncaught", error, path=request.path)
    return answer(500, "internal error; the log has it")


def _sqlstate(error: IntegrityError) -> str | None:
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
