"""Parties: businesses (sample unit type B) and respondents (BI) under one roof, as other services ask for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from dbtune.party import businesses, respondents
from dbtune.party.refusals import BadRequest


def get_by_ref(session: Session, party_type: str, ref: str) -> dict[str, Any]:
    """Return the business of this reference, with its attributes.

    :raises BadRequest: the type is not B; respondents have no reference.
    :raises NotFound: no business has it.
    """
    if party_type != "B":
        raise BadRequest(f"a party of type {party_type!r} has no reference; only B has")
    return businesses.get_by_ref(session, ref, verbose=True)


def get_by_id(session: Session, party_type: str, party_id: str) -> dict[str, Any]:
    """Return the business (type B) or respondent (BI) of this id.

    :raises BadRequest: the type is neither, or the id is no UUID.
    :raises NotFound: there is none.
    """
    if party_type == "B":
        return businesses.get_by_id(session, party_id, verbose=True)
    if party_type == "BI":
        return respondents.get_by_id(session, party_id)
    raise BadRequest(f"{party_type!r} is no type of a party; B and BI are")


def post(
    session: Session,
    *,
    sample_unit_type: str,
    sample_unit_ref: str,
    attributes: dict[str, Any],
    new_id: UUID,
    now: datetime,
    sample_summary_id: str | None = None,
) -> dict[str, Any]:
    """Add a version of what a sample tells about a business, as :func:`dbtune.party.businesses.post`.

    :raises BadRequest: the type is not B, or there is no reference.
    """
    if sample_unit_type != "B":
        raise BadRequest(f"samples are of businesses (B), not of {sample_unit_type!r}")
    return businesses.post(
        session,
        sample_unit_ref=sample_unit_ref,
        attributes=attributes,
        new_id=new_id,
        now=now,
        sample_summary_id=sample_summary_id,
    )
