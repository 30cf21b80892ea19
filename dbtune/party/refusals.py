"""Why the party service does not do what a request asks, with the HTTP status that says so."""

from __future__ import annotations

from uuid import UUID


class Refusal(Exception):
    """Base of all; :attr:`status` is the HTTP status of the answer."""

    status = 400


class BadRequest(Refusal):
    """The request makes no sense: a value is missing or malformed."""


class NotFound(Refusal):
    """There is no such business, respondent, sample or enrolment."""

    status = 404


class Conflict(Refusal):
    """Somebody else has what the request wants for itself, such as an e-mail address."""

    status = 409


def uuid_or_refuse(text: str) -> UUID:
    """Return the UUID that a request gives as ``text``.

    :raises BadRequest: it is none.
    """
    try:
        return UUID(text)
    except ValueError:
        raise BadRequest(f"{text!r} is not a UUID") from None
