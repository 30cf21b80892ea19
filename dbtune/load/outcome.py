"""What came of a request: one word for each way in which it can end. A service that does not answer has several."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a request ended; ``NO_RESPONSE`` has those in which no answer came."""

    OK = "200"
    SUCCESS = "2xx, 3xx"
    NOT_FOUND = "404"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    UNAVAILABLE = "503"
    WRONG = "wrong body"
    REFUSED = "refused"
    RESET = "reset"
    EMPTY = "empty"
    TIMED_OUT = "timed out"
    UNSENT = "not sent"

    @property
    def is_success(self) -> bool:
        """Return whether it is what was asked for."""
        return self in (Outcome.OK, Outcome.SUCCESS)

    @property
    def is_no_response(self) -> bool:
        """Return whether no answer came, though it was sent."""
        return self in NO_RESPONSE


NO_RESPONSE = (Outcome.REFUSED, Outcome.RESET, Outcome.EMPTY, Outcome.TIMED_OUT)

REPORTED = ("200", "no response", "404", "500", "503", "other")
"""The columns of the tables of 2019, and one for each answer that they did not know."""


def of_status(status: int) -> Outcome:
    """Return the outcome of an answer with that status."""
    if status == 200:
        return Outcome.OK
    if status == 404:
        return Outcome.NOT_FOUND
    if status == 503:
        return Outcome.UNAVAILABLE
    if status < 400:
        return Outcome.SUCCESS
    return Outcome.CLIENT_ERROR if status < 500 else Outcome.SERVER_ERROR


def reported(outcome: Outcome, status: int | None) -> str:
    """Return the column of :data:`REPORTED` that it is counted in."""
    if outcome.is_no_response:
        return "no response"
    if status in (200, 404, 500, 503) and outcome is not Outcome.WRONG:
        return str(status)
    return "other"
