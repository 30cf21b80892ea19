"""Businesses: found by id, reference or words of their name; made and changed by samples.

The functions do what the service's routes do and as it did in 2019, with the same statements: a business comes with all
its attribute versions although the newest is enough, and the enrolments of each of its respondents with one more query.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_
from sqlalchemy.orm import Session

from dbtune.party.models import Business, BusinessAttributes
from dbtune.party.refusals import BadRequest, NotFound, uuid_or_refuse
from dbtune.party.respondents import association


def get_by_ids(session: Session, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the businesses of these ids that exist, in no order: 1 + k + Σr statements for k with r respondents each.

    :raises BadRequest: an id is no UUID.
    """
    wanted = [uuid_or_refuse(each) for each in ids]
    return [summary(business) for business in session.query(Business).filter(Business.party_uuid.in_(wanted))]


def get_by_id(session: Session, business_id: str, *, verbose: bool = False) -> dict[str, Any]:
    """Return a business, ``verbose`` with its newest attributes: 2 + r statements for one with r respondents.

    :raises BadRequest: the id is no UUID.
    :raises NotFound: no business has it.
    """
    business = session.query(Business).filter(Business.party_uuid == uuid_or_refuse(business_id)).first()
    if business is None:
        raise NotFound(f"no business has the id {business_id}")
    return details(business) if verbose else summary(business)


def get_by_ref(session: Session, ref: str, *, verbose: bool = False) -> dict[str, Any]:
    """Return the business of this reference, as :func:`get_by_id`.

    :raises NotFound: no business has it.
    """
    business = _find_by_ref(session, ref)
    if business is None:
        raise NotFound(f"no business has the reference {ref}")
    return details(business) if verbose else summary(business)


def search(session: Session, query: str) -> list[dict[str, Any]]:
    """Return references and names of the businesses in one of whose versions every word of ``query`` occurs.

    The words must all be in the reference, all in the name, or all in the trading name, in any case.

    :raises BadRequest: there is no word in it.
    """
    words = query.split()
    if not words:
        raise BadRequest("a search needs a word")
    name = BusinessAttributes.attributes["name"].astext
    trading_as = BusinessAttributes.attributes["trading_as"].astext
    matches = or_(
        *(and_(*(column.ilike(f"%{word}%") for word in words)) for column in (Business.business_ref, name, trading_as))
    )
    found = (
        session.query(Business.business_ref, name, trading_as)
        .select_from(BusinessAttributes)
        .join(BusinessAttributes.business)
        .filter(matches)
        .distinct()
    )
    return [{"ruref": ref, "name": its_name, "trading_as": its_trade} for ref, its_name, its_trade in found]


def post(
    session: Session,
    *,
    sample_unit_ref: str,
    attributes: dict[str, Any],
    new_id: UUID,
    now: datetime,
    sample_summary_id: str | None = None,
) -> dict[str, Any]:
    """Add a version of what is known about a business, and the business (as ``new_id``) where its reference is new.

    :raises BadRequest: there is no reference.
    """
    if not sample_unit_ref:
        raise BadRequest("sampleUnitRef is missing")
    business = _find_by_ref(session, sample_unit_ref)
    if business is None:
        business = Business(party_uuid=new_id, business_ref=sample_unit_ref, created_on=now)
        session.add(business)
    version = BusinessAttributes(sample_summary_id=sample_summary_id, attributes=attributes, created_on=now)
    business.attributes.insert(0, version)
    session.flush()
    return details(business)


def link_sample(session: Session, sample: str, *, collection_exercise_id: str) -> dict[str, Any]:
    """Note the collection exercise that a sample is for on all attribute versions of the sample.

    :raises NotFound: no version is of this sample.
    """
    linked = (
        session.query(BusinessAttributes)
        .filter(BusinessAttributes.sample_summary_id == sample)
        .update({BusinessAttributes.collection_exercise: collection_exercise_id}, synchronize_session=False)
    )
    if not linked:
        raise NotFound(f"no business is of the sample {sample}")
    return {"sampleSummaryId": sample, "collectionExerciseId": collection_exercise_id}


def summary(business: Business) -> dict[str, Any]:
    """Return what most answers tell of a business."""
    newest = business.attributes[0] if business.attributes else None
    attributes = newest.attributes if newest else {}
    return {
        "id": str(business.party_uuid),
        "sampleUnitRef": business.business_ref,
        "sampleUnitType": "B",
        "sampleSummaryId": newest.sample_summary_id if newest else None,
        "name": attributes.get("name"),
        "trading_as": attributes.get("trading_as"),
        "associations": [association(each, each.respondent.party_uuid) for each in business.respondents],
    }


def details(business: Business) -> dict[str, Any]:
    """Return the summary and the newest attributes."""
    return {**summary(business), "attributes": business.attributes[0].attributes if business.attributes else {}}


def _find_by_ref(session: Session, ref: str) -> Business | None:
    return session.query(Business).filter(Business.business_ref == ref).first()
