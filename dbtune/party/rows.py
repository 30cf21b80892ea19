"""Invented rows for the party service: the same for the same :class:`Scale`, in proportions like the real register's.

Sizes are skewed on purpose: a few surveys, samples and businesses hold most rows, others a handful, so that a query
has frequent values and rare ones. Nothing here touches a database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import accumulate
from math import ceil
from random import Random
from uuid import UUID

from dbtune.party.words import (
    FIRST_NAMES,
    LAST_NAMES,
    LEGAL_FORM_WEIGHTS,
    LEGAL_FORMS,
    PLACES,
    TRADE_WEIGHTS,
    TRADES,
)

GENERATION = 1
"""Counts changes to what is invented: the same scale means the same rows only within one generation."""

FEWEST_BUSINESSES = 10

Row = tuple[str | None, ...]
"""Values in PostgreSQL's text format, None for NULL."""

COLUMNS = {
    "business": ("party_uuid", "business_ref", "created_on"),
    "business_attributes": (
        "id",
        "business_id",
        "sample_summary_id",
        "collection_exercise",
        "attributes",
        "created_on",
    ),
    "respondent": (
        "id",
        "party_uuid",
        "status",
        "email_address",
        "pending_email_address",
        "first_name",
        "last_name",
        "telephone",
        "created_on",
    ),
    "business_respondent": (
        "business_id",
        "respondent_id",
        "status",
        "effective_from",
        "effective_to",
        "created_on",
    ),
    "enrolment": ("business_id", "respondent_id", "survey_id", "status", "created_on"),
    "pending_enrolment": ("id", "case_id", "respondent_id", "business_id", "survey_id", "created_on"),
}
"""The tables, each after those that it refers to, with the columns in the order of the rows' values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much to invent: ``versions`` is the mean number of attribute versions of a business."""

    businesses: int = 10_000
    versions: float = 1.8
    seed: int = 2019

    def __str__(self) -> str:
        """Return the scale as it is noted beside loaded data."""
        return f"businesses={self.businesses} versions={self.versions:g} seed={self.seed} generation={GENERATION}"

    @property
    def counts(self) -> dict[str, int]:
        """The rows of each table."""
        share = {
            "business": 1.0,
            "business_attributes": self.versions,
            "respondent": 1.2,
            "business_respondent": 1.44,
            "enrolment": 2.4,
            "pending_enrolment": 0.3,
        }
        return {table: round(self.businesses * times) for table, times in share.items()}


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey: how much of all sampling it is, and how often a year it draws a sample."""

    name: str
    weight: float
    samples_a_year: int


SURVEYS = (
    Survey("Monthly Business Survey", 30, 12),
    Survey("Business Register and Employment Survey", 20, 1),
    Survey("Quarterly Business Survey", 16, 4),
    Survey("Retail Sales Inquiry", 13, 12),
    Survey("Annual Survey of Hours and Earnings", 9, 1),
    Survey("Quarterly Acquisitions and Disposals of Capital Assets", 6, 4),
    Survey("Quarterly Stocks Survey", 4, 4),
    Survey("Government Research and Development", 0.8, 1),
    Survey("Quarterly Sand and Gravel", 0.6, 4),
    Survey("Monthly Bricks", 0.4, 12),
    Survey("Quarterly Building Blocks", 0.2, 4),
)
_YEARS = (2017, 2018)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of one survey; not linked to a collection exercise while it is the survey's newest."""

    summary_id: str
    collection_exercise: str | None
    drawn_on: datetime
    weight: float


@dataclass(frozen=True, slots=True)
class Version:
    """One version of what is known about business number ``business``."""

    created_on: datetime
    business: int
    sample: Sample


class Register:
    """Everything invented for one scale. Each part draws from a random stream of its own."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.counts = scale.counts

    def rows(self, table: str) -> Iterator[Row]:
        """Yield the rows of ``table``, in the order in which the service would have written them."""
        makers = {
            "business": self._business,
            "business_attributes": self._business_attributes,
            "respondent": self._respondent,
            "business_respondent": self._business_respondent,
            "enrolment": self._enrolment,
            "pending_enrolment": self._pending_enrolment,
        }
        return makers[table]()

    def _random(self, part: str) -> Random:
        return Random(f"{self.scale.seed}/{part}")

    # Keys and who belongs to whom, needed by several tables.

    @cached_property
    def _business_ids(self) -> list[str]:
        return _uuids(self._random("business id"), self.counts["business"])

    @cached_property
    def _names(self) -> list[tuple[str, str]]:
        """The name of each business and what it trades as."""
        random = self._random("name")
        return [_company(random) for _ in range(self.counts["business"])]

    @cached_property
    def _survey_ids(self) -> list[str]:
        return _uuids(self._random("survey id"), len(SURVEYS))

    @cached_property
    def _versions(self) -> list[Version]:
        """Every attribute version, oldest first; each business has 1 to twice the mean of them."""
        random = self._random("version")
        most = ceil(2 * self.scale.versions) - 1
        businesses = range(self.counts["business"])
        extra = random.sample(range(len(businesses) * (most - 1)), self.counts["business_attributes"] - len(businesses))
        owners = [*businesses, *(slot % len(businesses) for slot in extra)]
        samples = _samples(self._random("sample"))
        drawn = random.choices(samples, [sample.weight for sample in samples], k=len(owners))
        return sorted(
            (
                Version(sample.drawn_on + timedelta(microseconds=random.randrange(2 * 86_400_000_000)), owner, sample)
                for owner, sample in zip(owners, drawn, strict=True)
            ),
            key=lambda version: (version.created_on, version.business),
        )

    @cached_property
    def _verified(self) -> int:
        """How many respondents have verified their account: the first ones; the rest wait with pending enrolments."""
        return round(self.counts["respondent"] * 0.88)

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        """Which business (number) each respondent (id) answers for: some for many, some of them with many."""
        random = self._random("pair")
        businesses, respondents = range(self.counts["business"]), range(1, self._verified + 1)
        size = list(accumulate(random.gammavariate(2, 1) * (12 if random.random() < 0.001 else 1) for _ in businesses))
        reach = list(accumulate(min(random.paretovariate(1.2), 60) for _ in respondents))
        pairs = dict.fromkeys(
            zip(random.choices(businesses, cum_weights=size, k=len(respondents)), respondents, strict=True)
        )
        while len(pairs) < self.counts["business_respondent"]:
            (business,) = random.choices(businesses, cum_weights=size)
            (respondent,) = random.choices(respondents, cum_weights=reach)
            pairs[business, respondent] = None
        return list(pairs)

    # The tables.

    def _business(self) -> Iterator[Row]:
        random = self._random("business")
        refs = random.sample(range(49_000_000_000, 49_999_999_999), self.counts["business"])
        first_seen: dict[int, datetime] = {}
        for version in self._versions:
            first_seen.setdefault(version.business, version.created_on)
        for number in sorted(first_seen, key=lambda number: (first_seen[number], number)):
            yield self._business_ids[number], str(refs[number]), str(first_seen[number])

    def _business_attributes(self) -> Iterator[Row]:
        random = self._random("business")
        refs = random.sample(range(49_000_000_000, 49_999_999_999), self.counts["business"])
        lasting = [_lasting(random, str(ref), name) for ref, name in zip(refs, self._names, strict=True)]
        for id_, version in enumerate(self._versions, start=1):
            sample = version.sample
            yield (
                str(id_),
                self._business_ids[version.business],
                sample.summary_id,
                sample.collection_exercise,
                f"{lasting[version.business][:-1]}, {_changing(random)}}}",
                str(version.created_on),
            )

    def _respondent(self) -> Iterator[Row]:
        random = self._random("respondent")
        ids = _uuids(random, self.counts["respondent"])
        employer = {respondent: self._names[business][0] for business, respondent in reversed(self._pairs)}
        created = _dates(random, len(ids))
        for id_, (party_uuid, created_on) in enumerate(zip(ids, created, strict=True), start=1):
            first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
            company = employer.get(id_) or random.choice(self._names)[0]
            domain = "".join(letter for letter in company.lower() if letter.isalnum())
            email = f"{first}.{last}{id_}@{domain}.example"
            pending = f"{first}{id_}@new.{domain}.example" if random.random() < 0.02 else None
            verified = "SUSPENDED" if random.random() < 0.03 else "ACTIVE"
            yield (
                str(id_),
                party_uuid,
                verified if id_ <= self._verified else "CREATED",
                email if random.random() < 0.3 else email.lower(),
                pending,
                first,
                last,
                f"01{random.randrange(200, 999)} {random.randrange(100_000, 999_999)}"
                if random.random() < 0.95
                else None,
                str(created_on),
            )

    def _business_respondent(self) -> Iterator[Row]:
        random = self._random("business_respondent")
        statuses = random.choices(("ACTIVE", "ENDED", "INACTIVE", "SUSPENDED"), (92, 4, 3, 1), k=len(self._pairs))
        dates = _dates(random, len(self._pairs))
        for (business, respondent), status, since in zip(self._pairs, statuses, dates, strict=True):
            until = str(since + timedelta(days=random.randrange(30, 400))) if status == "ENDED" else None
            yield self._business_ids[business], str(respondent), status, str(since), until, str(since)

    def _enrolment(self) -> Iterator[Row]:
        random = self._random("enrolment")
        weights = list(accumulate(survey.weight for survey in SURVEYS))
        surveys = range(len(SURVEYS))
        first = random.choices(surveys, cum_weights=weights, k=len(self._pairs))
        enrolled = dict.fromkeys(zip(self._pairs, first, strict=True))
        while len(enrolled) < self.counts["enrolment"]:
            (survey,) = random.choices(surveys, cum_weights=weights)
            enrolled[random.choice(self._pairs), survey] = None
        statuses = random.choices(("ENABLED", "PENDING", "DISABLED", "SUSPENDED"), (88, 6, 5, 1), k=len(enrolled))
        dates = _dates(random, len(enrolled))
        for ((business, respondent), survey), status, created_on in zip(enrolled, statuses, dates, strict=True):
            yield self._business_ids[business], str(respondent), self._survey_ids[survey], status, str(created_on)

    def _pending_enrolment(self) -> Iterator[Row]:
        random = self._random("pending_enrolment")
        count = self.counts["pending_enrolment"]
        waiting = range(self._verified + 1, self.counts["respondent"] + 1)
        cases = _uuids(random, count)
        surveys = random.choices(self._survey_ids, [survey.weight for survey in SURVEYS], k=count)
        for id_, (case, survey, created_on) in enumerate(
            zip(cases, surveys, _dates(random, count), strict=True), start=1
        ):
            respondent = waiting[int(len(waiting) * random.random() ** 1.3)]
            business = random.choice(self._business_ids)
            yield str(id_), case, str(respondent), business, survey, str(created_on)


def _uuids(random: Random, count: int) -> list[str]:
    return [str(UUID(int=random.getrandbits(128), version=4)) for _ in range(count)]


def _dates(random: Random, count: int) -> list[datetime]:
    """Return ``count`` times of 2017 and 2018, ascending as a table's rows are."""
    span = 730 * 86_400_000_000
    return [datetime(2017, 1, 1) + timedelta(microseconds=at) for at in sorted(random.choices(range(span), k=count))]


def _samples(random: Random) -> list[Sample]:
    samples = []
    for survey in SURVEYS:
        months = range(12 // survey.samples_a_year, 13, 12 // survey.samples_a_year)
        drawn = [datetime(year, month, 3) for year in _YEARS for month in months]
        for drawn_on in drawn:
            summary_id, exercise = _uuids(random, 2)
            weight = survey.weight / len(drawn) * random.uniform(0.7, 1.3)
            samples.append(Sample(summary_id, None if drawn_on == drawn[-1] else exercise, drawn_on, weight))
    return samples


def _company(random: Random) -> tuple[str, str]:
    """Return a company's name and what it trades as, often the same."""
    founder, trade = random.choice(LAST_NAMES), random.choices(TRADES, TRADE_WEIGHTS)[0]
    place, form = random.choice(PLACES), random.choices(LEGAL_FORMS, LEGAL_FORM_WEIGHTS)[0]
    full = random.choice((f"{founder} {trade}", f"{place} {trade}", f"{founder} of {place} {trade}"))
    return f"{full} {form}", f"{place} {trade}" if random.random() < 0.3 else f"{full} {form}"


def _lasting(random: Random, ref: str, name: tuple[str, str]) -> str:
    """Return the attributes of a business that no new version changes, as a JSON object."""
    registered, trading_as = name
    founder, *rest = registered.split()
    industry = f"{random.randrange(1_110, 99_000):05d}"
    attributes = {
        "ruref": ref,
        "checkletter": random.choice("ABCDEFGHJKLMNPRSTUVWXYZ"),
        "frosic92": industry,
        "rusic92": industry,
        "frosic2007": f"{int(industry) + 7:05d}",
        "rusic2007": f"{int(industry) + 7:05d}",
        "entref": f"{random.randrange(10**9, 10**10)}",
        "legalstatus": random.choice("1234567"),
        "entrepmkr": random.choice("EMN"),
        "region": random.choice(("AA", "BA", "DC", "ED", "FE", "GF", "HH", "JG", "KJ", "WW", "XX", "YY")),
        "birthdate": f"{random.randrange(1, 29):02d}/{random.randrange(1, 13):02d}/{random.randrange(1950, 2017)}",
        "entname1": founder,
        "entname2": " ".join(rest),
        "entname3": f"Registered office: {random.randrange(1, 200)} {random.choice(LAST_NAMES)} Street",
        "runame1": founder,
        "runame2": " ".join(rest),
        "runame3": f"{random.choice(PLACES)} {random.choice(('branch', 'works', 'head office', 'depot'))}",
        "tradstyle1": trading_as,
        "tradstyle2": f"also of {random.choice(PLACES)}" if random.random() < 0.4 else "",
        "tradstyle3": "",
        "currency": "GBP" if random.random() < 0.98 else "EUR",
        "name": registered,
        "trading_as": trading_as,
    }
    return json.dumps(attributes, ensure_ascii=False)


def _changing(random: Random) -> str:
    """Return the attributes that each sample brings anew, as the inside of a JSON object."""
    attributes = {
        "froempment": int(random.paretovariate(1.1) * 4),
        "frotover": int(random.paretovariate(1.05) * 120),
        "seltype": random.choice("CDS"),
        "inclexcl": random.choice(("D", "", "")),
        "cell_no": random.randrange(1, 900),
        "formtype": f"{random.randrange(1, 9999):04d}",
    }
    return json.dumps(attributes)[1:-1]


def copy_text(rows: Iterable[Row], piece_bytes: int) -> Iterator[bytes]:
    """Yield ``rows`` as COPY's text format in UTF-8 (manual, COPY), whole rows in pieces of about ``piece_bytes``."""
    piece: list[bytes] = []
    size = 0
    for row in rows:
        line = ("\t".join("\\N" if value is None else _escaped(value) for value in row) + "\n").encode()
        piece.append(line)
        size += len(line)
        if size >= piece_bytes:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
