"""The party service's tables as of January 2019: schema ``partysvc``, indexed by nothing but its keys.

The models keep the loading habits of that time, which decide what statements the service sends: a business brings its
attribute versions by a join, newest first; its respondents and their enrolments come one statement each, on first use.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Enum, ForeignKey, ForeignKeyConstraint, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA = "partysvc"


class RespondentStatus(enum.Enum):
    """An account: CREATED until its e-mail address is verified."""

    CREATED = "CREATED"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


class BusinessRespondentStatus(enum.Enum):
    """Whether a respondent answers for a business."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    SUSPENDED = "SUSPENDED"
    ENDED = "ENDED"


class EnrolmentStatus(enum.Enum):
    """Whether a respondent answers one survey for a business."""

    PENDING = "PENDING"
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    SUSPENDED = "SUSPENDED"


class Base(DeclarativeBase):
    """Names of constraints are those that PostgreSQL would choose itself."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
        },
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain class attribute
        str: Text,
        dict[str, Any]: JSONB,
        RespondentStatus: Enum(RespondentStatus, name="respondentstatus", schema=SCHEMA),
        BusinessRespondentStatus: Enum(BusinessRespondentStatus, name="businessrespondentstatus", schema=SCHEMA),
        EnrolmentStatus: Enum(EnrolmentStatus, name="enrolmentstatus", schema=SCHEMA),
    }


class Business(Base):
    """A business of the register; what is known about it changes with every sample and is kept in versions."""

    __tablename__ = "business"

    party_uuid: Mapped[UUID] = mapped_column(primary_key=True)
    business_ref: Mapped[str] = mapped_column(unique=True)
    created_on: Mapped[datetime]

    attributes: Mapped[list[BusinessAttributes]] = relationship(
        lazy="joined", order_by="desc(BusinessAttributes.created_on)", back_populates="business"
    )
    respondents: Mapped[list[BusinessRespondent]] = relationship(back_populates="business")


class BusinessAttributes(Base):
    """One version of what is known about a business, as one sample brought it."""

    __tablename__ = "business_attributes"

    id: Mapped[int] = mapped_column(primary_key=True)
    business_id: Mapped[UUID] = mapped_column(ForeignKey(Business.party_uuid))
    sample_summary_id: Mapped[str | None]
    collection_exercise: Mapped[str | None]
    attributes: Mapped[dict[str, Any]]
    created_on: Mapped[datetime]

    business: Mapped[Business] = relationship(back_populates="attributes")


class Respondent(Base):
    """A person who answers surveys for one business or several."""

    __tablename__ = "respondent"

    id: Mapped[int] = mapped_column(primary_key=True)
    party_uuid: Mapped[UUID] = mapped_column(unique=True)
    status: Mapped[RespondentStatus]
    email_address: Mapped[str] = mapped_column(unique=True)
    pending_email_address: Mapped[str | None] = mapped_column(unique=True)
    first_name: Mapped[str]
    last_name: Mapped[str]
    telephone: Mapped[str | None]
    created_on: Mapped[datetime]

    businesses: Mapped[list[BusinessRespondent]] = relationship(back_populates="respondent")


class BusinessRespondent(Base):
    """That a respondent answers for a business."""

    __tablename__ = "business_respondent"

    business_id: Mapped[UUID] = mapped_column(ForeignKey(Business.party_uuid), primary_key=True)
    respondent_id: Mapped[int] = mapped_column(ForeignKey(Respondent.id), primary_key=True)
    status: Mapped[BusinessRespondentStatus]
    effective_from: Mapped[datetime]
    effective_to: Mapped[datetime | None]
    created_on: Mapped[datetime]

    business: Mapped[Business] = relationship(back_populates="respondents")
    respondent: Mapped[Respondent] = relationship(lazy="joined", innerjoin=True, back_populates="businesses")
    enrolments: Mapped[list[Enrolment]] = relationship(back_populates="business_respondent")


class Enrolment(Base):
    """That a respondent answers one survey for a business."""

    __tablename__ = "enrolment"
    __table_args__ = (
        ForeignKeyConstraint(
            ["business_id", "respondent_id"],
            [BusinessRespondent.business_id, BusinessRespondent.respondent_id],
            name="enrolment_business_id_respondent_id_fkey",
        ),
    )

    business_id: Mapped[UUID] = mapped_column(primary_key=True)
    respondent_id: Mapped[int] = mapped_column(primary_key=True)
    survey_id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[EnrolmentStatus]
    created_on: Mapped[datetime]

    business_respondent: Mapped[BusinessRespondent] = relationship(back_populates="enrolments")


class PendingEnrolment(Base):
    """An enrolment that waits for its respondent's account to be verified.

    Its foreign key was declared twice, on the column and on the table: each insert is checked twice.
    """

    __tablename__ = "pending_enrolment"
    __table_args__ = (
        ForeignKeyConstraint(["respondent_id"], [Respondent.id], name="pending_enrolment_respondent_id_fkey1"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[UUID]
    respondent_id: Mapped[int] = mapped_column(ForeignKey(Respondent.id))
    business_id: Mapped[UUID]
    survey_id: Mapped[UUID]
    created_on: Mapped[datetime]
