"""The routes of the party service, each with the function that does its work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbtune.party import businesses, parties, respondents


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path below ``/party-api/v1``, and the function that does the work.

    ``function`` takes a Session, then what stands for each ``{name}`` in the path, and the rest of the request by name.
    It returns the answer or raises a :class:`dbtune.party.refusals.Refusal`.
    """

    method: str
    template: str
    function: Callable[..., Any]

    def __str__(self) -> str:
        """Return the route as reports name it, such as ``GET /businesses/id/{id}``."""
        return f"{self.method} {self.template}"


ROUTES = (
    Route("GET", "/businesses", businesses.get_by_ids),
    Route("GET", "/businesses/id/{id}", businesses.get_by_id),
    Route("GET", "/businesses/ref/{ref}", businesses.get_by_ref),
    Route("GET", "/businesses/search", businesses.search),
    Route("POST", "/businesses", businesses.post),
    Route("PUT", "/businesses/sample/link/{sample}", businesses.link_sample),
    Route("GET", "/respondents", respondents.get_by_ids),
    Route("GET", "/respondents/id/{id}", respondents.get_by_id),
    Route("GET", "/respondents/email", respondents.get_by_email),
    Route("PUT", "/respondents/id/{id}", respondents.update),
    Route("PUT", "/respondents/change_enrolment_status", respondents.change_enrolment_status),
    Route("PUT", "/respondents/edit-account-status/{id}", respondents.edit_account_status),
    Route("GET", "/parties/type/{type}/ref/{ref}", parties.get_by_ref),
    Route("GET", "/parties/type/{type}/id/{id}", parties.get_by_id),
    Route("POST", "/parties", parties.post),
)


def route(name: str) -> Route:
    """Return the route of this name, such as ``GET /businesses/id/{id}``.

    :raises KeyError: there is none.
    """
    for each in ROUTES:
        if str(each) == name:
            return each
    raise KeyError(name)
