from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, select
from sqlalchemy.orm import Session

from dbtune.party import businesses, parties, requests, respondents
from dbtune.party.models import (
    Business,
    BusinessAttributes,
    BusinessRespondent,
    Enrolment,
    EnrolmentStatus,
    PendingEnrolment,
    Respondent,
    RespondentStatus,
)
from dbtune.party.refusals import BadRequest, Conflict, NotFound
from dbtune.party.routes import ROUTES, route

ABSENT = requests.ABSENT_ID
NOW = datetime(2019, 1, 30, 12)
NEW_ID = UUID("11111111-1111-4111-8111-111111111111")


@pytest.fixture(scope="module")
def engine(party_url: str) -> Engine:
    return create_engine(party_url, poolclass=NullPool)


@pytest.fixture
def sent(engine: Engine) -> Iterator[list[str]]:
    """The statements that the engine sends during the test."""
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session that is rolled back."""
    with Session(engine) as opened:
        yield opened
        opened.rollback()


def some_business(session: Session) -> Business:
    """A business with several versions and respondents."""
    for business in session.scalars(select(Business).order_by(Business.party_uuid)).unique():
        if len(business.attributes) > 1 and len(business.respondents) > 2:
            session.expunge_all()
            return business
    raise AssertionError


def some_enrolment(session: Session) -> tuple[Enrolment, Respondent]:
    wanted = select(Enrolment, Respondent).join(Respondent, Respondent.id == Enrolment.respondent_id)
    enrolment, respondent = session.execute(wanted.where(Enrolment.status == EnrolmentStatus.ENABLED)).first() or (0, 0)
    assert isinstance(enrolment, Enrolment)
    assert isinstance(respondent, Respondent)
    session.expunge_all()
    return enrolment, respondent


def test_a_business_costs_two_statements_and_one_for_each_respondent(session: Session, sent: list[str]) -> None:
    business = some_business(session)
    sent.clear()
    answer = businesses.get_by_id(session, str(business.party_uuid), verbose=True)
    assert len(sent) == 2 + len(business.respondents)
    assert "LIMIT" in sent[0].split("LEFT OUTER JOIN")[0]  # the limit is inside, around the business alone
    assert answer["id"] == str(business.party_uuid)
    assert answer["sampleUnitRef"] == business.business_ref
    newest = max(business.attributes, key=lambda version: version.created_on)
    assert answer["attributes"] == newest.attributes
    assert answer["sampleSummaryId"] == newest.sample_summary_id
    assert len(answer["associations"]) == len(business.respondents)
    assert all(link["enrolments"] for link in answer["associations"])


def test_several_businesses_cost_one_statement_and_those_of_each(session: Session, sent: list[str]) -> None:
    wanted = list(session.scalars(select(Business).order_by(Business.party_uuid)).unique())[:4]
    links = sum(len(business.respondents) for business in wanted)
    session.expunge_all()
    sent.clear()
    answer = businesses.get_by_ids(session, [*(str(business.party_uuid) for business in wanted), ABSENT])
    assert len(sent) == 1 + len(wanted) + links
    assert {each["id"] for each in answer} == {str(business.party_uuid) for business in wanted}


def test_a_business_by_reference_and_as_a_party(session: Session) -> None:
    business = some_business(session)
    by_ref = businesses.get_by_ref(session, business.business_ref)
    assert by_ref == businesses.get_by_id(session, str(business.party_uuid))
    assert "attributes" not in by_ref
    party = parties.get_by_ref(session, "B", business.business_ref)
    assert party == parties.get_by_id(session, "B", str(business.party_uuid))
    assert party["attributes"]["ruref"] == business.business_ref


@pytest.mark.parametrize("query", ["ltd", "LTD bakery", "Services", "499"])
def test_a_search_finds_every_version_with_all_words_in_one_place(session: Session, query: str) -> None:
    words = query.lower().split()
    expected = set()
    for version, ref in session.execute(select(BusinessAttributes, Business.business_ref).join(Business)):
        places = (ref, version.attributes["name"], version.attributes["trading_as"])
        if any(all(word in place.lower() for word in words) for place in places):
            expected.add(places)
    found = [(each["ruref"], each["name"], each["trading_as"]) for each in businesses.search(session, query)]
    assert expected
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_search_without_a_word_or_a_hit(session: Session) -> None:
    with pytest.raises(BadRequest):
        businesses.search(session, "  ")
    assert businesses.search(session, "Xylophone") == []


def test_post_makes_a_business_and_then_versions_of_it(session: Session) -> None:
    first = businesses.post(session, sample_unit_ref="123", attributes={"name": "A"}, new_id=NEW_ID, now=NOW)
    assert (first["id"], first["name"], first["associations"]) == (str(NEW_ID), "A", [])
    later = NOW.replace(hour=13)
    second = parties.post(
        session,
        sample_unit_type="B",
        sample_unit_ref="123",
        sample_summary_id="s",
        attributes={"name": "B"},
        new_id=UUID(ABSENT),
        now=later,
    )
    assert (second["id"], second["name"], second["sampleSummaryId"]) == (str(NEW_ID), "B", "s")
    session.expire_all()
    assert [v.attributes["name"] for v in session.get_one(Business, NEW_ID).attributes] == ["B", "A"]


def test_post_refuses_what_is_no_business(session: Session) -> None:
    with pytest.raises(BadRequest):
        businesses.post(session, sample_unit_ref="", attributes={}, new_id=NEW_ID, now=NOW)
    with pytest.raises(BadRequest):
        parties.post(session, sample_unit_type="BI", sample_unit_ref="1", attributes={}, new_id=NEW_ID, now=NOW)


def test_linking_a_sample_changes_its_versions_and_no_others(session: Session) -> None:
    versions = list(session.scalars(select(BusinessAttributes)))
    sample = versions[0].sample_summary_id
    assert sample
    before = {v.id: "new" if v.sample_summary_id == sample else v.collection_exercise for v in versions}
    session.expunge_all()
    businesses.link_sample(session, sample, collection_exercise_id="new")
    assert {v.id: v.collection_exercise for v in session.scalars(select(BusinessAttributes))} == before
    with pytest.raises(NotFound):
        businesses.link_sample(session, ABSENT, collection_exercise_id="new")


def test_a_respondent_by_id_ids_email_and_as_a_party(session: Session) -> None:
    _, respondent = some_enrolment(session)
    answer = respondents.get_by_id(session, str(respondent.party_uuid))
    assert answer["emailAddress"] == respondent.email_address
    assert answer["associations"]
    assert respondents.get_by_email(session, respondent.email_address.swapcase()) == answer
    assert respondents.get_by_ids(session, [str(respondent.party_uuid), ABSENT]) == [answer]
    assert parties.get_by_id(session, "BI", str(respondent.party_uuid)) == answer


def test_a_respondent_s_details_change_and_a_new_address_waits(session: Session) -> None:
    one, other = session.scalars(select(Respondent).order_by(Respondent.id).limit(2))
    party_uuid, address, taken = str(one.party_uuid), one.email_address, other.email_address
    names: dict[str, Any] = {"first_name": "Ada", "last_name": "King", "telephone": None}
    answer = respondents.update(session, party_uuid, **names, email_address="ada@new.example")
    assert (answer["firstName"], answer["lastName"], answer["telephone"]) == ("Ada", "King", None)
    assert (answer["emailAddress"], answer["pendingEmailAddress"]) == (address, "ada@new.example")
    same = respondents.update(session, party_uuid, **names, email_address=address.upper())
    assert same["pendingEmailAddress"] == "ada@new.example"
    with pytest.raises(Conflict):
        respondents.update(session, party_uuid, **names, email_address=taken.upper())


def test_a_verified_account_takes_up_its_enrolments(session: Session) -> None:
    pending = session.scalars(select(PendingEnrolment).order_by(PendingEnrolment.id)).first()
    assert pending
    respondent = session.get_one(Respondent, pending.respondent_id)
    waiting = session.scalars(select(PendingEnrolment).where(PendingEnrolment.respondent_id == respondent.id)).all()
    expected = {(each.business_id, str(each.survey_id)) for each in waiting}
    answer = respondents.edit_account_status(session, str(respondent.party_uuid), status_change="ACTIVE", now=NOW)
    assert answer["status"] == "ACTIVE"
    session.expire_all()
    assert respondent.status is RespondentStatus.ACTIVE
    enrolments = session.scalars(select(Enrolment).where(Enrolment.respondent_id == respondent.id)).all()
    assert {(each.business_id, each.survey_id) for each in enrolments} == expected
    assert not session.scalars(select(PendingEnrolment).where(PendingEnrolment.respondent_id == respondent.id)).all()


def test_a_suspended_account_that_comes_back_is_not_enrolled_anew(session: Session, sent: list[str]) -> None:
    _, respondent = some_enrolment(session)
    party_uuid = str(respondent.party_uuid)
    assert (
        respondents.edit_account_status(session, party_uuid, status_change="SUSPENDED", now=NOW)["status"]
        == "SUSPENDED"
    )
    sent.clear()
    assert respondents.edit_account_status(session, party_uuid, status_change="ACTIVE", now=NOW)["status"] == "ACTIVE"
    assert not [statement for statement in sent if "enrolment" in statement]


def test_a_disabled_enrolment_no_longer_counts(session: Session) -> None:
    enrolment, respondent = some_enrolment(session)
    change = {
        "respondent_id": str(respondent.party_uuid),
        "business_id": str(enrolment.business_id),
        "survey_id": enrolment.survey_id,
    }
    enabled = respondents.change_enrolment_status(session, **change, change_flag="ENABLED")["enabledRespondents"]
    answer = respondents.change_enrolment_status(session, **change, change_flag="DISABLED")
    assert answer == {"enrolmentStatus": "DISABLED", "enabledRespondents": enabled - 1}
    with pytest.raises(NotFound):
        respondents.change_enrolment_status(session, **{**change, "survey_id": ABSENT}, change_flag="DISABLED")
    with pytest.raises(BadRequest):
        respondents.change_enrolment_status(session, **change, change_flag="GONE")


@pytest.mark.parametrize(
    ("name", "path", "arguments"),
    [
        ("GET /businesses/id/{id}", (ABSENT,), {}),
        ("GET /businesses/ref/{ref}", ("0",), {}),
        ("GET /respondents/id/{id}", (ABSENT,), {}),
        ("GET /respondents/email", (), {"email": "nobody@nowhere.example"}),
        ("PUT /respondents/id/{id}", (ABSENT,), {"first_name": "A", "last_name": "B", "telephone": None}),
        ("PUT /respondents/edit-account-status/{id}", (ABSENT,), {"status_change": "ACTIVE", "now": NOW}),
        ("GET /parties/type/{type}/id/{id}", ("B", ABSENT), {}),
        ("GET /parties/type/{type}/id/{id}", ("BI", ABSENT), {}),
        ("GET /parties/type/{type}/ref/{ref}", ("B", "0"), {}),
    ],
)
def test_what_is_not_there(session: Session, name: str, path: tuple[str, ...], arguments: dict[str, Any]) -> None:
    with pytest.raises(NotFound) as raised:
        route(name).function(session, *path, **arguments)
    assert raised.value.status == 404


@pytest.mark.parametrize(
    ("name", "path", "arguments"),
    [
        ("GET /businesses", (), {"ids": ["x"]}),
        ("GET /businesses/id/{id}", ("x",), {}),
        ("GET /respondents", (), {"ids": ["x"]}),
        ("GET /respondents/id/{id}", ("x",), {}),
        ("PUT /respondents/edit-account-status/{id}", (ABSENT,), {"status_change": "GONE", "now": NOW}),
        ("GET /parties/type/{type}/id/{id}", ("X", ABSENT), {}),
        ("GET /parties/type/{type}/ref/{ref}", ("BI", "0"), {}),
    ],
)
def test_what_makes_no_sense(session: Session, name: str, path: tuple[str, ...], arguments: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as raised:
        route(name).function(session, *path, **arguments)
    assert raised.value.status == 400


def test_the_requests_reach_every_route_and_do_not_depend_on_chance(party: Connection) -> None:
    chosen = requests.choose(party)
    assert {request.route for request in chosen} == set(ROUTES)
    assert requests.choose(party) == chosen


def test_a_link_s_other_end_comes_with_it(session: Session, sent: list[str]) -> None:
    link = session.scalars(select(BusinessRespondent)).first()
    assert link
    sent.clear()
    assert link.respondent.party_uuid
    assert sent == []


def test_an_unknown_route() -> None:
    with pytest.raises(KeyError):
        route("GET /nothing")
