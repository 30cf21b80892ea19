"""Respondents: found by id or e-mail address; their details, account and enrolments changed.

The functions do what the service's routes do and as it did in 2019, with the same statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from dbtune.party.models import (
    BusinessRespondent,
    BusinessRespondentStatus,
    Enrolment,
    EnrolmentStatus,
    PendingEnrolment,
    Respondent,
    RespondentStatus,
)
from dbtune.party.refusals import BadRequest, Conflict, NotFound, uuid_or_refuse


def get_by_ids(session: Session, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the respondents of these ids that exist, in no order.

    :raises BadRequest: an id is no UUID.
    """
    wanted = [uuid_or_refuse(each) for each in ids]
    return [details(respondent) for respondent in session.query(Respondent).filter(Respondent.party_uuid.in_(wanted))]


def get_by_id(session: Session, respondent_id: str) -> dict[str, Any]:
    """Return a respondent.

    :raises BadRequest: the id is no UUID.
    :raises NotFound: no respondent has it.
    """
    return details(_find(session, respondent_id))


def get_by_email(session: Session, email: str) -> dict[str, Any]:
    """Return the respondent with this e-mail address, in any case.

    :raises NotFound: there is none.
    """
    respondent = _find_by_email(session, email)
    if respondent is None:
        raise NotFound("no respondent has this e-mail address")
    return details(respondent)


def update(
    session: Session,
    respondent_id: str,
    *,
    first_name: str,
    last_name: str,
    telephone: str | None,
    email_address: str | None = None,
) -> dict[str, Any]:
    """Change a respondent's details; a new e-mail address stays pending until it is verified.

    :raises BadRequest: the id is no UUID.
    :raises NotFound: no respondent has it.
    :raises Conflict: somebody else has the e-mail address.
    """
    respondent = _find(session, respondent_id)
    respondent.first_name = first_name
    respondent.last_name = last_name
    respondent.telephone = telephone
    if email_address and email_address.lower() != respondent.email_address.lower():
        if _find_by_email(session, email_address) is not None:
            raise Conflict("somebody else has this e-mail address")
        respondent.pending_email_address = email_address
    session.flush()
    return details(respondent)


def edit_account_status(session: Session, respondent_id: str, *, status_change: str, now: datetime) -> dict[str, Any]:
    """Make an account active or suspend it; one that becomes active first gets the enrolments that waited for it.

    :raises BadRequest: the id is no UUID, or the status is none.
    :raises NotFound: no respondent has it.
    """
    if status_change not in RespondentStatus.__members__:
        raise BadRequest(f"{status_change!r} is no status of an account")
    respondent = _find(session, respondent_id)
    verified = respondent.status is RespondentStatus.CREATED and status_change == RespondentStatus.ACTIVE.name
    respondent.status = RespondentStatus[status_change]
    if verified:
        waiting = session.query(PendingEnrolment).filter(PendingEnrolment.respondent_id == respondent.id)
        for pending in waiting.order_by(PendingEnrolment.id).all():
            _enrol(session, respondent, pending, now)
            session.delete(pending)
    session.flush()
    return {"id": respondent_id, "status": respondent.status.value}


def change_enrolment_status(
    session: Session, *, respondent_id: str, business_id: str, survey_id: str, change_flag: str
) -> dict[str, Any]:
    """Change one enrolment, and return how many respondents of the business are left enabled for the survey.

    :raises BadRequest: an id is no UUID, or the status is none.
    :raises NotFound: there is no such respondent or enrolment.
    """
    if change_flag not in EnrolmentStatus.__members__:
        raise BadRequest(f"{change_flag!r} is no status of an enrolment")
    business = uuid_or_refuse(business_id)
    respondent = _find(session, respondent_id)
    enrolment = (
        session.query(Enrolment)
        .filter(
            Enrolment.respondent_id == respondent.id,
            Enrolment.business_id == business,
            Enrolment.survey_id == survey_id,
        )
        .first()
    )
    if enrolment is None:
        raise NotFound("there is no such enrolment")
    enrolment.status = EnrolmentStatus[change_flag]
    enabled = (
        session.query(Enrolment)
        .filter(
            Enrolment.business_id == business,
            Enrolment.survey_id == survey_id,
            Enrolment.status == EnrolmentStatus.ENABLED,
        )
        .count()
    )
    return {"enrolmentStatus": enrolment.status.value, "enabledRespondents": enabled}


def details(respondent: Respondent) -> dict[str, Any]:
    """Return what every answer tells of a respondent."""
    return {
        "id": str(respondent.party_uuid),
        "sampleUnitType": "BI",
        "emailAddress": respondent.email_address,
        "pendingEmailAddress": respondent.pending_email_address,
        "firstName": respondent.first_name,
        "lastName": respondent.last_name,
        "telephone": respondent.telephone,
        "status": respondent.status.value,
        "associations": [association(each, each.business_id) for each in respondent.businesses],
    }


def association(link: BusinessRespondent, party_id: UUID) -> dict[str, Any]:
    """Return what an answer tells of a link, seen from one end: ``party_id`` is the other end's."""
    return {
        "partyId": str(party_id),
        "businessRespondentStatus": link.status.value,
        "enrolments": [
            {"surveyId": enrolment.survey_id, "enrolmentStatus": enrolment.status.value}
            for enrolment in link.enrolments
        ],
    }


def _find(session: Session, respondent_id: str) -> Respondent:
    respondent = session.query(Respondent).filter(Respondent.party_uuid == uuid_or_refuse(respondent_id)).first()
    if respondent is None:
        raise NotFound(f"no respondent has the id {respondent_id}")
    return respondent


def _find_by_email(session: Session, email: str) -> Respondent | None:
    return session.query(Respondent).filter(func.lower(Respondent.email_address) == email.lower()).first()


def _enrol(session: Session, respondent: Respondent, pending: PendingEnrolment, now: datetime) -> None:
    key: tuple[UUID, int] = (pending.business_id, respondent.id)
    if session.get(BusinessRespondent, key) is None:
        link = BusinessRespondent(
            business_id=pending.business_id,
            respondent_id=respondent.id,
            status=BusinessRespondentStatus.ACTIVE,
            effective_from=now,
            created_on=now,
        )
        session.add(link)
    survey_id = str(pending.survey_id)
    if session.get(Enrolment, (*key, survey_id)) is None:
        enrolment = Enrolment(
            business_id=pending.business_id,
            respondent_id=respondent.id,
            survey_id=survey_id,
            status=EnrolmentStatus.ENABLED,
            created_on=now,
        )
        session.add(enrolment)
